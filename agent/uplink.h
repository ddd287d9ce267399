/* SPDX-License-Identifier: Apache-2.0
 *
 * uplink.h: sends the outbox's batches upstream, in seq order, with a window in flight.
 *
 * `cursor` is the first seq that was not handed to the present connection; what is in flight is remembered by its first seq. When the
 * connection goes, the cursor falls back to the oldest batch that was not confirmed. Batches stored before the present connection carry
 * the user property replay: 1.
 * Threads: the committer's alone. */
#ifndef EDDY_AGENT_UPLINK_H
#define EDDY_AGENT_UPLINK_H

#include "transport/link.h"
#include "transport/outbox.h"

enum { UPLINK_IN_FLIGHT_MAX = 64 };

struct uplink {
    struct outbox *outbox;
    struct link *link;
    const char *agent_id;
    int64_t cursor;
    int64_t replay_below;                       /* batches with a smaller seq were stored before this connection */
    int64_t in_flight[UPLINK_IN_FLIGHT_MAX];    /* first seq, in the order of sending */
    int in_flight_count;
    uint64_t replayed, refused;
};

void uplink_init(struct uplink *uplink, struct outbox *outbox, const char *agent_id);
void uplink_connected(struct uplink *uplink);
void uplink_disconnected(struct uplink *uplink);
/* A PUBACK for the batch that begins with first_seq. false: it is not in flight (any more). */
bool uplink_confirm(struct uplink *uplink, int64_t first_seq);
/* Sends a batch that was just committed, if it is the next one and the window allows: saves reading it back. */
void uplink_offer(struct uplink *uplink, const struct outbox_batch *batch);
void uplink_send(struct uplink *uplink); /* stored batches, as far as the window allows */
bool uplink_is_eager(const struct uplink *uplink); /* so little is in flight that a small batch costs nothing */
bool uplink_has_backlog(const struct uplink *uplink);

#endif
