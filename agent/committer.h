/* SPDX-License-Identifier: Apache-2.0
 *
 * committer.h: the thread that makes results durable, acknowledges their inputs and sends them upstream.
 *
 * Order of things for an input, which is the promise of docs/delivery.md:
 *   admitted (its place in its pipeline's order) -> answered by a worker -> in a batch -> committed to the outbox -> acknowledged to the
 *   local broker; batches then go upstream in seq order, as many in flight as the broker allows, and leave the outbox on PUBACK.
 * One commit serves all that is ready (group commit); the removals of what upstream has confirmed ride along.
 * A batch closes when it is full (sink.batch, sink.max_bytes), when its oldest result has waited for linger, when as much waits as may be held
 * back from the broker, or, with linger 0, as soon as few batches are in flight. A reading that completes no window waits as a result does; what
 * is committed then is the window (window_log.h).
 * Threads: committer_admit, _dismiss, _published, _connected, _disconnected may be called from link callbacks; they take one short lock. */
#ifndef EDDY_AGENT_COMMITTER_H
#define EDDY_AGENT_COMMITTER_H

#include "agent/events.h"
#include "agent/job.h"
#include "agent/pipeline.h"
#include "agent/window_log.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "transport/link.h"
#include "transport/outbox.h"

struct committer;

/* What head, seq, agent, topic, ... may add to a result in its line. */
enum { COMMITTER_LINE_OVERHEAD = 8 * 1024 };

struct committer_statistics {
    struct outbox_statistics outbox;
    int in_flight, jobs_waiting;
    int compression_level;      /* of lz4hc; -1: no pipeline has it */
    int64_t commit_interval_us; /* the least, for the sake of the flash; 0: none */
    uint64_t commits, refused_batches, postponed_batches, storage_errors, replayed_batches;
};

struct committer_options {
    const char *agent_id;
    struct pipeline *pipelines;
    int pipeline_count;
    struct outbox *outbox;     /* the committer's while it runs; closed by its owner */
    struct link *local, *upstream;
    struct job_pool *pool;
    double live_share;         /* see uplink.h */
    const struct config_broker *limits; /* upstream.bandwidth and its windows */
    struct window_log *windows; /* the committer's while it runs; freed by its owner */
    int inputs_held_max;       /* so many answered inputs, or their payloads' bytes, wait for linger at most: more would hold the broker up */
    int64_t bytes_held_max;
    int64_t daily_writes;      /* bytes; 0: no limit; see flash.h */
    struct events *events;     /* rare things an operator wants to know */
};

MUST_CHECK enum error_code committer_new(const struct committer_options *options, struct committer **committer_out, struct error *error);
MUST_CHECK enum error_code committer_start(struct committer *committer, struct error *error); /* once the links are there */
void committer_set_links(struct committer *committer, struct link *local, struct link *upstream); /* before committer_start */
/* Commits and acknowledges all that was answered, then ends. Workers must have stopped. */
void committer_stop(struct committer *committer);
void committer_free(struct committer *committer); /* NULL is fine */

void committer_admit(struct committer *committer, struct job *const *jobs, int count); /* all jobs of one delivery */
void committer_dismiss(struct committer *committer, struct delivery *delivery); /* admitted by nobody: it is only acknowledged */
void committer_take(struct committer *committer, struct job *job); /* answered: the job is the committer's */
void committer_published(struct committer *committer, uint64_t ticket, int reason_code);
/* What the broker refused and is set aside: lists it as JSON, sends it once more or drops it; seq: the first of one batch, or OUTBOX_ALL. Any other thread;
 * waits for the committer. ERROR_INPUT: there is no such batch. ERROR_STORAGE: the outbox does not answer. */
enum committer_refused_verb { COMMITTER_REFUSED_LIST, COMMITTER_REFUSED_SEND, COMMITTER_REFUSED_DROP };
MUST_CHECK enum error_code committer_refused(struct committer *committer, enum committer_refused_verb verb, int64_t seq, struct json_writer *data,
                                             struct error *error);
void committer_flush(struct committer *committer); /* closes what waits to be a batch; what the broker refused is sent once more */
void committer_connected(struct committer *committer);
void committer_disconnected(struct committer *committer);
void committer_get_statistics(struct committer *committer, struct committer_statistics *statistics_out);

#endif
