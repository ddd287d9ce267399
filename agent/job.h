/* SPDX-License-Identifier: Apache-2.0
 *
 * job.h: one input on its way through one pipeline.
 *
 * A delivery is a message from the local broker; it makes one job for each pipeline whose topics it matches (nearly always one), and is
 * acknowledged when the last of them is committed.
 * Life of a job: job_pool_take (subscriber, in a callback) -> worker's queue -> job_identify, job_write_answer -> committer -> job_pool_give.
 * Ownership is handed on with the pointer; only `done` and `next` are touched under the committer's lock.
 * Memory: jobs come back to the pool with the buffers that they grew, so that the steady state allocates nothing. */
#ifndef EDDY_AGENT_JOB_H
#define EDDY_AGENT_JOB_H

#include "agent/egress.h"
#include "agent/predictor.h"
#include "agent/repeat.h"
#include "base/error.h"
#include "transport/link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pipeline;

struct delivery {
    struct link_message message;
    int64_t arrived_wall_us;
    int jobs_open;          /* committer's lock */
    struct delivery *next;  /* in the pool, or in the committer's list */
};

struct job {
    struct delivery *delivery;
    struct pipeline *pipeline;
    struct job *next;       /* the pipeline's next input, or the next free job */
    bool done;              /* answered by a worker */
    bool known;             /* a redelivery of what was taken before: it has no answer of its own */
    uint64_t content[2];    /* XXH3 of the payload, set by job_identify */
    struct series_leftover left; /* series: how it left its source's window; samples are the job's own */
    int line_count, left_out;
    int64_t seq;            /* of its first line; 0: not yet in a batch */
    struct egress_image *images; /* that leave once it is committed */
    /* text: head, middle, then the answer's lines; a result line is head + seq + middle + line + "\n" */
    char *text;
    size_t text_capacity, head_length, middle_length, lines_length;
    size_t lines_at;        /* how much of the lines went into batches */
    float *samples;         /* of `left` */
    size_t samples_capacity;
};

struct job_pool {
    pthread_mutex_t lock;
    struct job *free_jobs;
    struct delivery *free_deliveries;
    int jobs, deliveries;   /* in all */
    struct job_pool_limits {
        int deliveries[2];  /* at QoS 0, at QoS 1 and 2 */
        int64_t bytes;      /* of payloads; one alone may be larger */
    } limits, out;
};

void job_pool_init(struct job_pool *pool, const struct job_pool_limits *limits);
void job_pool_deinit(struct job_pool *pool); /* all jobs must be back */
/* The message moves into the delivery. NULL: as many or as much as may be is out, or no memory; the message stays the caller's. */
struct delivery *job_pool_take_delivery(struct job_pool *pool, const struct link_message *message);
struct job *job_pool_take(struct job_pool *pool, struct delivery *delivery, struct pipeline *pipeline); /* NULL: no memory */
void job_pool_give(struct job_pool *pool, struct job *job);
void job_pool_give_delivery(struct job_pool *pool, struct delivery *delivery); /* releases its message */

void job_identify(struct job *job); /* first of all: hashes the payload */
/* What a redelivered input is recognised by, after job_identify: packet id, pipeline and content. */
uint64_t job_digest(const struct job *job);

/* Puts the answer into the job's text, with the parts of the line that do not depend on seq. */
MUST_CHECK enum error_code job_write_answer(struct job *job, const char *agent_id, const struct answer *answer, struct error *error);

/* Copies how the input left its source's window. */
MUST_CHECK enum error_code job_keep_window(struct job *job, const struct series_leftover *left, struct error *error);

/* The job's next result line without its head, as predictor.h has it; NULL: there is none. */
const char *job_peek_line(const struct job *job, size_t *length_out);
void job_skip_line(struct job *job);
/* Appends the job's next result line to buffer, changed as the choice says (NULL: as it is); false: it does not fit, or there is none. */
bool job_format_line(struct job *job, int64_t seq, const struct repeat_choice *choice, char *buffer, size_t capacity, size_t *length);
bool job_has_lines(const struct job *job);

#endif
