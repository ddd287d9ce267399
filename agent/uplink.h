/* SPDX-License-Identifier: Apache-2.0
 *
 * uplink.h: sends the outbox's batches upstream with a window in flight: the old and the new, the urgent first, no faster than allowed.
 *
 * Three streams, each in seq order by itself:
 *   urgent   batches of pipelines with sink.priority high, old or new: before all others
 *   backlog  ordinary ones stored before the present connection; they carry the user property replay: 1
 *   live     ordinary ones stored since
 * While both of the latter wait, everything leaves in the order of seq until a live batch has waited for patience_us; from then on live batches
 * get live_share of the bytes, and a place of the window is kept free for them. With a share of 0 they wait until the backlog is gone.
 * A stream's cursor is the first seq that was not handed to the present connection. What a broker answers with "quota exceeded" is sent again
 * after 1 to 60 s, what it refuses for good is listed in `refusals` for the owner to set aside.
 * Threads: the committer's alone. */
#ifndef EDDY_AGENT_UPLINK_H
#define EDDY_AGENT_UPLINK_H

#include "config/bandwidth.h"
#include "transport/link.h"
#include "transport/outbox.h"

enum { UPLINK_IN_FLIGHT_MAX = 64, UPLINK_REFUSALS_MAX = 64, UPLINK_PATIENCE_US = 100000 };

enum uplink_stream_name { UPLINK_URGENT, UPLINK_BACKLOG, UPLINK_LIVE, UPLINK_STREAMS };

struct uplink_stream {
    int64_t cursor;
    bool behind;                                /* something from cursor on may be stored and unsent */
    int in_flight;
    int64_t bytes_sent;                         /* while backlog and live compete */
};

struct uplink_in_flight {
    int64_t first_seq;
    enum uplink_stream_name stream;
};

struct uplink_refusal {
    int64_t first_seq;
    int reason_code;
};

enum uplink_verdict { UPLINK_UNKNOWN, UPLINK_DELIVERED, UPLINK_LATER, UPLINK_REFUSED };

struct uplink {
    struct outbox *outbox;
    struct link *link;
    const char *agent_id;
    double live_share;                          /* 0 to 1 */
    int64_t patience_us;                        /* UPLINK_PATIENCE_US */
    int64_t live_waits_us;                      /* since then live batches wait for the backlog; 0: they do not */
    int64_t bandwidth;                          /* bytes of payload a second, or BANDWIDTH_UNLIMITED or BANDWIDTH_NONE */
    struct uplink_stream streams[UPLINK_STREAMS];
    int64_t replay_below;                       /* batches with a smaller seq were stored before this connection */
    struct uplink_in_flight in_flight[UPLINK_IN_FLIGHT_MAX];
    int in_flight_count;
    struct uplink_refusal refusals[UPLINK_REFUSALS_MAX]; /* emptied by the owner */
    int refusal_count;
    int64_t held_until_us;                      /* the broker asked for patience */
    int holds;
    int64_t doubtful_seq;                       /* refused for a reason that may pass, */
    int doubtful_count;                         /* so many times */
    int64_t allowance, allowance_us;            /* of the bandwidth: bytes that may go now; negative: a debt */
    uint64_t replayed, postponed, refused;      /* refused: counted by who sets them aside */
};

void uplink_init(struct uplink *uplink, struct outbox *outbox, const char *agent_id, double live_share, int64_t bandwidth);
void uplink_set_bandwidth(struct uplink *uplink, int64_t bandwidth);
void uplink_connected(struct uplink *uplink);
void uplink_disconnected(struct uplink *uplink);
/* The broker's answer to the batch that begins with first_seq. REFUSED: it is in `refusals` now. UNKNOWN: it is not in flight (any more). */
enum uplink_verdict uplink_answered(struct uplink *uplink, int64_t first_seq, int reason_code);
/* Sends a batch that was just committed, if its stream has nothing older and the window allows: saves reading it back. */
void uplink_offer(struct uplink *uplink, const struct outbox_batch *batch);
void uplink_send(struct uplink *uplink); /* stored batches, as far as the window and the bandwidth allow */
void uplink_restored(struct uplink *uplink, int64_t first_seq); /* batches from there on are in the outbox again */
bool uplink_is_eager(const struct uplink *uplink); /* so little is in flight that a small batch costs nothing */
bool uplink_is_behind(const struct uplink *uplink); /* results wait to be sent */
/* For what is no result, and counts all the same: whether the bandwidth and the broker let it, and what it took. */
bool uplink_may_send_more(struct uplink *uplink);
void uplink_spend(struct uplink *uplink, size_t bytes);
int64_t uplink_wake_us(const struct uplink *uplink, int64_t now_us); /* when more may be sent, other than after an answer; INT64_MAX: then only */

#endif
