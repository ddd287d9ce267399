/* SPDX-License-Identifier: Apache-2.0
 *
 * window_log_internal.h: what window_log.c (the mirror, writing) and window_log_read.c share; the contract is window_log.h. */
#ifndef EDDY_AGENT_WINDOW_LOG_INTERNAL_H
#define EDDY_AGENT_WINDOW_LOG_INTERNAL_H

#include "agent/window_log.h"

enum { WINDOW_LOG_BUCKETS = 1024, WINDOW_LOG_TOPIC_BYTES_MAX = UINT16_MAX, WINDOW_LOG_CHECKSUM_BYTES = sizeof(uint64_t) };

struct source {                    /* one topic of one pipeline */
    struct source *next;           /* in its bucket */
    struct source *newer, *older;  /* by their last message */
    struct source *next_changed;
    uint64_t hash;
    int pipeline;
    bool changed, logged;          /* since the last commit; in a row of the log */
    int64_t end, newest_us, arrived_wall_us; /* as in struct series_leftover */
    int64_t stored_end;            /* what `end` was when it was written last */
    int64_t kept, capacity;        /* samples */
    float *samples;                /* [kept][fields] */
    size_t topic_bytes;
    char topic[];
};

struct entry_head {
    uint64_t key;                  /* of the pipeline and its settings */
    int64_t end, newest_us, arrived_wall_us;
    uint32_t kept, fresh, numbers; /* numbers: fresh * fields */
    uint32_t topic_bytes;
};

struct window_log {
    const struct pipeline *pipelines;
    uint64_t *keys;                /* [pipeline_count]; 0: no series */
    int pipeline_count;
    struct source *buckets[WINDOW_LOG_BUCKETS], *oldest, *newest, *changed;
    size_t live_bytes, bytes_max;  /* of the entries that would hold all windows; what they may be */
    size_t logged_bytes;           /* of the rows since the log began */
    uint8_t *row;                  /* grows once to the largest row */
    size_t row_bytes, row_capacity;
    bool stale;                    /* it holds what is of no use */
    bool begins_anew;              /* the row that is being committed replaces all others */
    uint64_t left_out;
};

int64_t window_log_fields(const struct window_log *log, int pipeline);

/* An input left the source's window like this. NULL: it has nothing in its window and never had, or there is no memory. */
struct source *window_log_take(struct window_log *log, int pipeline, const char *topic, size_t topic_bytes, int64_t arrived_wall_us,
                               const struct series_leftover *left);
void window_log_forget_all(struct window_log *log);                                /* none may be in the list of changed ones */
void window_log_read_rows(struct window_log *log, struct outbox *outbox);

#endif
