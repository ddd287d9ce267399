/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/worker.h"

#include "agent/job.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static void count(struct pipeline *pipeline, const struct answer *answer)
{
    atomic_fetch_add_explicit(&pipeline->errors, (unsigned)answer->errors, memory_order_relaxed);
    atomic_fetch_add_explicit(&pipeline->hits, (unsigned)answer->hits, memory_order_relaxed);
    int inferred = answer->count - answer->errors - answer->hits;
    if (inferred > 0) {
        atomic_fetch_add_explicit(&pipeline->inferences, (unsigned)inferred, memory_order_relaxed);
        atomic_fetch_add_explicit(&pipeline->infer_us, (unsigned long long)answer->infer_us, memory_order_relaxed);
    }
}

/* A reading that was taken before: its first delivery is on its way to the commit, or there already. */
static bool is_known(struct worker *worker, const struct job *job)
{
    const struct link_message *message = &job->delivery->message;
    if (job->pipeline->config->input.kind != INPUT_SERIES || message->qos == 0)
        return false;
    uint64_t digest = job_digest(job);
    if (message->duplicate && seen_has(worker->seen, digest))
        return true;
    seen_add(worker->seen, digest);
    return false;
}

static void answer_job(struct worker *worker, struct job *job)
{
    const struct link_message *message = &job->delivery->message;
    struct predictor_input input = {.source = message->topic, .bytes = message->payload, .length = message->payload_bytes,
                                    .arrived_us = message->arrived_us};
    struct answer answer;
    struct error error;
    predictor_answer(worker->predictors[job->pipeline - worker->pipelines], &input, &answer);
    count(job->pipeline, &answer);
    if (worker->gate != NULL)
        job->images = egress_consider(worker->gate, job->pipeline, &input, &answer);
    if (job_write_answer(job, worker->agent_id, &answer, &error) != ERROR_NONE)
        log_error("%s: a result was lost: %s", job->pipeline->config->name, error.message);
    if (answer.left.end != 0 && message->qos > 0 && job_keep_window(job, &answer.left, &error) != ERROR_NONE)
        log_error("%s: %s: a kill would lose it", job->pipeline->config->name, error.message);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    for (struct job *job; (job = queue_pop(&worker->queue)) != NULL;) {
        job_identify(job);
        job->known = is_known(worker, job);
        if (!job->known)
            answer_job(worker, job);
        committer_take(worker->committer, job);
    }
    return NULL;
}

static enum error_code make_predictors(struct worker *worker, struct error *error)
{
    worker->predictors = calloc((size_t)worker->pipeline_count + 1, sizeof(struct predictor *));
    if (worker->predictors == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a worker");
    for (int i = 0; i < worker->pipeline_count; i++) {
        struct pipeline *pipeline = &worker->pipelines[i];
        if (pipeline->config->egress != EGRESS_RESULTS && worker->gate == NULL)
            TRY(egress_new(&worker->gate, error));
        size_t result_bytes_max = (size_t)pipeline->config->sink.max_bytes - COMMITTER_LINE_OVERHEAD;
        if (result_bytes_max > CACHE_VALUE_BYTES_MAX)
            result_bytes_max = CACHE_VALUE_BYTES_MAX;
        if (predictor_new(pipeline->config, &pipeline->bundle, pipeline->space, result_bytes_max, &worker->predictors[i], error) != ERROR_NONE ||
            predictor_set_threads(worker->predictors[i], worker->threads, error) != ERROR_NONE)
            return error_prefix(error, "pipeline \"%s\": ", pipeline->config->name);
    }
    return ERROR_NONE;
}

int worker_of_source(const char *topic, int worker_count)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    while (*topic != '\0')
        hash = (hash ^ (unsigned char)*topic++) * 16777619u;
    return (int)(hash % (uint32_t)worker_count);
}

/* The clocks of an earlier run are not ours: what counts is how long ago it was. */
static void restore_windows(struct worker *worker, const struct worker_options *options)
{
    struct window_log_source source;
    int64_t now = clock_monotonic_us(), now_wall = clock_wall_us();
    for (const void *at = NULL; window_log_next(options->windows, &at, &source);) {
        int64_t ago_us = now_wall > source.arrived_wall_us ? now_wall - source.arrived_wall_us : 0;
        if (worker_of_source(source.topic, options->count) == options->index)
            predictor_restore(worker->predictors[source.pipeline], source.topic, now - ago_us, &source.window);
    }
}

enum error_code worker_start(struct worker *worker, const struct worker_options *options, struct error *error)
{
    *worker = (struct worker){.pipelines = options->pipelines, .pipeline_count = options->pipeline_count, .committer = options->committer,
                              .threads = options->threads, .seen = options->seen, .agent_id = options->agent_id};
    TRY(queue_init(&worker->queue, options->queue_jobs, error));
    enum error_code code = make_predictors(worker, error);
    if (code == ERROR_NONE)
        restore_windows(worker, options);
    if (code == ERROR_NONE && pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
        code = error_set(error, ERROR_LIMIT, "cannot start a worker thread");
    if (code != ERROR_NONE) {
        worker_stop(worker);
        return code;
    }
    worker->running = true;
    char name[16];
    snprintf(name, sizeof name, "eddy:worker%d", options->index % 1000);
    pthread_setname_np(worker->thread, name);
    return ERROR_NONE;
}

void worker_stop(struct worker *worker)
{
    if (worker->running) {
        queue_close(&worker->queue);
        pthread_join(worker->thread, NULL);
    }
    for (int i = 0; worker->predictors != NULL && i < worker->pipeline_count; i++)
        predictor_free(worker->predictors[i]);
    free(worker->predictors);
    egress_free(worker->gate);
    queue_deinit(&worker->queue);
    *worker = (struct worker){0};
}
