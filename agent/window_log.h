/* SPDX-License-Identifier: Apache-2.0
 *
 * window_log.h: the readings that are still in a window, kept in the outbox, so that a killed agent finds its windows again.
 *
 * A mirror of every source's window as of the inputs committed so far, and a log of what changed it: one row of the outbox a commit, in the commit's
 * own transaction, holding for each source that changed how its window stands now and the samples that are new in it. Several messages of one source
 * in one commit make one entry; a source whose messages complete their windows by themselves, with nothing left over, makes none.
 * Bound: once the log has grown by what all windows hold, and LOG_BYTES_LEAST, it begins anew with one row that holds the windows; when no window
 * holds anything it is emptied. All windows together may hold WINDOW_LOG_BYTES_MAX, or a sixteenth of the outbox's budget where that is less: past
 * it the sources silent longest are left out, counted: after a kill they begin a new window.
 * Row: XXH3 of what follows (8 bytes), then entries: struct entry_head, topic, samples [fresh][fields] f32, all in this machine's byte order.
 * What was kept before a damaged row is passed over, and an entry of a pipeline that is gone or whose window, hop or fields changed; a source whose new
 * samples do not continue what is there keeps the new ones alone.
 * At QoS 0 nothing is kept: such a reading ends what was kept of its source.
 * Threads: window_log_new and _next before the committer runs; then all of it is the committer's. */
#ifndef EDDY_AGENT_WINDOW_LOG_H
#define EDDY_AGENT_WINDOW_LOG_H

#include "agent/input.h"
#include "agent/pipeline.h"
#include "base/error.h"
#include "transport/outbox.h"

enum { WINDOW_LOG_BYTES_MAX = 4 << 20 };

struct window_log;

/* What a reader of the log is told of one source. */
struct window_log_source {
    int pipeline;                  /* index */
    const char *topic;
    int64_t arrived_wall_us;       /* of its last message */
    struct series_leftover window; /* borrowed; all of it is fresh */
};

/* Reads what an earlier run kept. */
MUST_CHECK enum error_code window_log_new(const struct pipeline *pipelines, int pipeline_count, struct outbox *outbox, int64_t outbox_bytes_max,
                                          struct window_log **log_out, struct error *error);
void window_log_free(struct window_log *log); /* NULL is fine */

/* Goes through the sources with something in their window; *at begins as NULL. */
bool window_log_next(const struct window_log *log, const void **at, struct window_log_source *source_out);

/* An input that is part of the next commit left its source's window like this. */
void window_log_note(struct window_log *log, int pipeline, const char *topic, int64_t arrived_wall_us, const struct series_leftover *left);

/* Adds to the change what is to be committed with it; borrowed until window_log_committed. */
void window_log_write(struct window_log *log, struct outbox_change *change);
void window_log_committed(struct window_log *log);

void window_log_renew(struct window_log *log); /* the outbox began a new file: the next commit holds all of it */

uint64_t window_log_left_out(const struct window_log *log); /* sources that were dropped from the mirror */

#endif
