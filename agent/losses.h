/* SPDX-License-Identifier: Apache-2.0
 *
 * losses.h: events about results that the outbox holds no longer, from what its counters say before and after a commit. */
#ifndef EDDY_AGENT_LOSSES_H
#define EDDY_AGENT_LOSSES_H

#include "agent/events.h"
#include "transport/outbox.h"

/* Raises results-thinned, results-evicted and outbox-damaged for what happened between the two. */
void losses_tell(struct events *events, const struct outbox_statistics *before, const struct outbox_statistics *now);

#endif
