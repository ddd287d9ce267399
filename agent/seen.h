/* SPDX-License-Identifier: Apache-2.0
 *
 * seen.h: the readings that are in a window already, or went through one, whether committed yet or not.
 *
 * After a lost connection the broker sends again what it has no PUBACK for. A reading of those that is on its way from the worker to the commit must
 * not enter its window a second time; the outbox cannot tell, it knows what was committed. The digests (job_digest, base/recent.h): of every QoS 1 reading
 * that a worker took, and of what the outbox remembers of earlier runs. As many as there are packet ids: no broker has more underway.
 * Threads: any; one short lock. Memory: all at seen_new. */
#ifndef EDDY_AGENT_SEEN_H
#define EDDY_AGENT_SEEN_H

#include "base/error.h"
#include "transport/outbox.h"

#include <stdbool.h>
#include <stdint.h>

struct seen;

MUST_CHECK enum error_code seen_new(const struct outbox *outbox, struct seen **seen_out, struct error *error);
void seen_free(struct seen *seen); /* NULL is fine */
bool seen_has(struct seen *seen, uint64_t digest);
void seen_add(struct seen *seen, uint64_t digest);

#endif
