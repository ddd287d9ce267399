/* SPDX-License-Identifier: Apache-2.0
 *
 * pipeline.h: one declared pipeline: topics -> decode -> cache -> model -> sink. What it is and what it has counted.
 *
 * The model and the counters are shared by all workers (counters are atomic); `order` is the committer's: the pipeline's inputs in the
 * order of their arrival, so that results leave in that order however many workers there are. */
#ifndef EDDY_AGENT_PIPELINE_H
#define EDDY_AGENT_PIPELINE_H

#include "agent/bundle.h"
#include "agent/repeat.h"
#include "cache/cache.h"
#include "config/config.h"

#include <stdatomic.h>

struct job;

enum { LATENCY_BUCKETS = 96 };

/* Counts in buckets of a quarter of an octave, 1 us to 16 s: percentiles within 19 %, no memory per sample. */
struct latency {
    atomic_ullong buckets[LATENCY_BUCKETS];
};

struct job_list {
    struct job *head, **tail;
    int count;
};

struct pipeline {
    const struct config_pipeline *config;
    struct bundle bundle;
    struct cache_space *space;      /* NULL: cache off */
    struct repeat *repeat;          /* the committer's; NULL: all results are sent in full */
    atomic_bool paused;
    atomic_uint snapshots_wanted, images_considered;                    /* by command; for images.every */
    atomic_ullong images_out[2], image_bytes_out;                       /* snapshots and crops that left */
    atomic_ullong images_stored, images_dropped, images_withheld;       /* to be sent later; no room; not to be redacted, or too large */
    atomic_ullong left_out, references; /* results that were not sent, or as a reference */
    atomic_ullong messages_in, results_out, errors, hits, dropped_qos0, redelivered, bytes_in, bytes_out, inferences, infer_us;
    struct latency latency;         /* arrival to committed */

    /* the committer's, under its lock */
    struct job_list order;          /* admitted, not yet collected */
    /* the committer's own */
    struct job_list ready;          /* answered, not yet in a batch */
    int64_t ready_since_us;
    int64_t ready_bytes;
    int ready_results, ready_inputs;    /* inputs: at QoS 1, so they are to be committed */
};

MUST_CHECK enum error_code pipeline_open(const struct config_pipeline *config, const char *models_dir, struct pipeline *pipeline_out,
                                         struct error *error);
void pipeline_close(struct pipeline *pipeline);

void job_list_init(struct job_list *list);
void job_list_push(struct job_list *list, struct job *job);
struct job *job_list_pop(struct job_list *list); /* NULL: empty */

void latency_add(struct latency *latency, int64_t us);
int64_t latency_percentile(const struct latency *latency, double fraction); /* us; 0 where nothing was counted */

#endif
