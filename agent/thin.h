/* SPDX-License-Identifier: Apache-2.0
 *
 * thin.h: a stored batch without its ordinary results: what outbox.keep important makes of it when the outbox is full.
 *
 * Errors, anomalies and results of low confidence stay (importance.h), with their seq; the batch keeps its first and last seq, so that its
 * count says how many are missing. Memory: grows once to the largest batch. Threads: the outbox's. */
#ifndef EDDY_AGENT_THIN_H
#define EDDY_AGENT_THIN_H

#include "base/error.h"
#include "transport/outbox.h"

struct thinner;

MUST_CHECK enum error_code thinner_new(double low_confidence, struct thinner **thinner_out, struct error *error);
void thinner_free(struct thinner *thinner);
/* An outbox_thin_function; context: the thinner. */
bool thinner_thin(void *context, const struct outbox_batch *batch, struct outbox_batch *thinned_out);

#endif
