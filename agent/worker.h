/* SPDX-License-Identifier: Apache-2.0
 *
 * worker.h: a thread that answers inputs, one after the other, for all pipelines.
 *
 * It owns a predictor per pipeline (its own tensors, decoders and windows) and a queue. Images go to the worker with the least to do;
 * a series source always to the same worker, which has its windows: those that an earlier run left are put back at the start. A reading that
 * the broker sends again and that was seen before is not pushed into its window. An answered job is the committer's. */
#ifndef EDDY_AGENT_WORKER_H
#define EDDY_AGENT_WORKER_H

#include "agent/committer.h"
#include "agent/pipeline.h"
#include "agent/predictor.h"
#include "agent/seen.h"
#include "agent/window_log.h"
#include "base/queue.h"

#include <pthread.h>

struct worker {
    pthread_t thread;
    struct queue queue;              /* of struct job */
    struct predictor **predictors;   /* [pipeline_count] */
    struct pipeline *pipelines;
    int pipeline_count;
    struct committer *committer;
    struct threads *threads;         /* shared by all workers; NULL: none */
    struct seen *seen;               /* shared too; NULL: no pipeline is a series */
    const char *agent_id;
    struct egress_gate *gate;           /* NULL: no pipeline lets images leave */
    bool running;
};

struct worker_options {
    int index, count;                /* which of how many */
    struct pipeline *pipelines;
    int pipeline_count;
    size_t queue_jobs;
    const char *agent_id;
    struct committer *committer;
    struct threads *threads;
    struct seen *seen;
    const struct window_log *windows; /* read by worker_start alone */
};

/* Makes the predictors and starts the thread. */
MUST_CHECK enum error_code worker_start(struct worker *worker, const struct worker_options *options, struct error *error);
int worker_of_source(const char *topic, int worker_count); /* the one that has a series source's windows */
void worker_stop(struct worker *worker); /* answers what is queued, then ends; a zeroed or half-started one is fine */

#endif
