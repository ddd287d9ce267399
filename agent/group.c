/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/group.h"

#include <stdlib.h>

enum {
    OFFLINE_LINGER_US = 20000,      /* linger 0 while nothing can be sent: group a little, hold inputs not long */
    READING_LINGER_US = 200000,     /* a reading without a result is in no hurry to be committed alone */
};

static size_t largest_batch(const struct group_options *options)
{
    size_t largest = 0;
    for (int i = 0; i < options->pipeline_count; i++) {
        size_t bytes = (size_t)options->pipelines[i].config->sink.max_bytes;
        largest = bytes > largest ? bytes : largest;
    }
    return largest;
}

enum error_code group_init(struct group *group, const struct group_options *options, struct error *error)
{
    *group = (struct group){.options = *options};
    job_list_init(&group->consumed);
    size_t raw_capacity = largest_batch(options) + 1;
    group->raw = malloc(raw_capacity);
    group->inputs = calloc(GROUP_INPUTS_MAX, sizeof *group->inputs);
    bool enough = group->raw != NULL && group->inputs != NULL;
    for (int i = 0; i < GROUP_BATCHES_MAX; i++)
        enough = (group->bodies[i] = malloc(batch_bound(raw_capacity))) != NULL && enough;
    return enough ? batch_encoder_new(&group->encoder, error) : error_set(error, ERROR_LIMIT, "no memory for batches of %zu bytes", raw_capacity);
}

void group_deinit(struct group *group)
{
    batch_encoder_free(group->encoder);
    for (int i = 0; i < GROUP_BATCHES_MAX; i++)
        free(group->bodies[i]);
    free(group->inputs);
    free(group->raw);
}

static void hold(struct group *group, struct pipeline *pipeline, const struct job *job, int sign)
{
    if (job->delivery->message.qos == 0)
        return;
    pipeline->ready_inputs += sign;
    group->held_inputs += sign;
    group->held_bytes += sign * (int64_t)job->delivery->message.payload_bytes;
}

/* Of the job's lines in a batch, each with its seq. */
static size_t expected_bytes(const struct job *job)
{
    enum { SEQ_BYTES = 24 };
    return job->lines_length + (size_t)job->line_count * (job->head_length + job->middle_length + SEQ_BYTES);
}

void group_collect(struct group *group, struct pipeline *pipeline, int64_t now_us)
{
    while (pipeline->order.head != NULL && pipeline->order.head->done) {
        struct job *job = job_list_pop(&pipeline->order);
        if (pipeline->ready.count == 0)
            pipeline->ready_since_us = now_us;
        job_list_push(&pipeline->ready, job);
        hold(group, pipeline, job, 1);
        pipeline->ready_results += job->line_count;
        pipeline->ready_bytes += (int64_t)expected_bytes(job);
    }
}

static bool is_full(const struct group *group, const struct pipeline *pipeline)
{
    return group->held_inputs >= group->options.inputs_held_max || group->held_bytes >= group->options.bytes_held_max ||
           pipeline->ready_results >= pipeline->config->sink.batch || pipeline->ready_bytes >= pipeline->config->sink.max_bytes;
}

int64_t group_due_at(const struct group *group, const struct pipeline *pipeline, const struct group_moment *moment)
{
    if (pipeline->ready.count == 0)
        return INT64_MAX;
    if (moment->stopping || pipeline->ready_results + pipeline->ready_inputs == 0) /* nothing of it is to be stored */
        return moment->now_us;
    int64_t linger_us = pipeline->config->sink.linger_us;
    if (linger_us == 0)
        linger_us = moment->eager ? 0 : OFFLINE_LINGER_US;
    if (pipeline->ready_results == 0 && linger_us < READING_LINGER_US)
        linger_us = READING_LINGER_US;
    int64_t due_us = is_full(group, pipeline) ? moment->now_us : pipeline->ready_since_us + linger_us;
    return due_us > moment->not_before_us ? due_us : moment->not_before_us;
}

static void consume(struct group *group, struct pipeline *pipeline)
{
    struct job *job = job_list_pop(&pipeline->ready);
    hold(group, pipeline, job, -1);
    job_list_push(&group->consumed, job);
    if (job->left.end != 0)
        window_log_note(group->options.windows, (int)(pipeline - group->options.pipelines), job->delivery->message.topic,
                        job->delivery->arrived_wall_us, &job->left);
}

/* A redelivered input whose result was committed before, or is in this very commit: acknowledged again, no second seq. */
static bool was_committed(const struct group *group, const struct job *job)
{
    if (!job->delivery->message.duplicate || job->lines_at > 0 || job->delivery->message.qos == 0)
        return false;
    uint64_t input = job_digest(job);
    for (const struct job *other = group->consumed.head; other != NULL; other = other->next) {
        if (other->delivery != job->delivery && job_digest(other) == input)
            return true;
    }
    return outbox_was_taken(group->options.outbox, input);
}

static void account(struct pipeline *pipeline, size_t bytes, int results)
{
    pipeline->ready_results -= results;
    pipeline->ready_bytes -= (int64_t)bytes;
}

/* One line of the job into the batch, or left out; false: it does not fit. */
static bool take_line(struct group *group, struct pipeline *pipeline, struct job *job, size_t limit, size_t *raw_bytes, int64_t *next_seq)
{
    struct repeat_choice choice;
    size_t length, before = *raw_bytes;
    const char *line = pipeline->repeat != NULL ? job_peek_line(job, &length) : NULL;
    if (line != NULL) {
        repeat_choose(pipeline->repeat, job->delivery->message.topic, line, length, *next_seq, job->delivery->message.arrived_us, &choice);
        if (choice.leave_out) {
            account(pipeline, length, 1);
            job_skip_line(job);
            job->left_out++;
            atomic_fetch_add_explicit(&pipeline->left_out, 1, memory_order_relaxed);
            return true;
        }
    }
    if (!job_format_line(job, *next_seq, line != NULL ? &choice : NULL, group->raw, limit, raw_bytes))
        return false;
    job->seq = job->seq == 0 ? *next_seq : job->seq;
    if (line != NULL) {
        repeat_sent(pipeline->repeat);
        atomic_fetch_add_explicit(&pipeline->references, choice.tail[0] != '\0', memory_order_relaxed);
    }
    account(pipeline, *raw_bytes - before, 1);
    (*next_seq)++;
    return true;
}

/* Formats the pipeline's oldest results as one batch from *next_seq on. */
static void close_batch(struct group *group, struct pipeline *pipeline, int64_t *next_seq)
{
    size_t raw_bytes = 0, limit = (size_t)pipeline->config->sink.max_bytes;
    int64_t first_seq = *next_seq;
    while (pipeline->ready.head != NULL && *next_seq - first_seq < pipeline->config->sink.batch && group->consumed.count < GROUP_INPUTS_MAX) {
        struct job *job = pipeline->ready.head;
        if (job->known || was_committed(group, job)) {
            atomic_fetch_add_explicit(&pipeline->redelivered, 1, memory_order_relaxed);
            account(pipeline, expected_bytes(job), job->line_count);
            job->lines_at = job->lines_length;
            job->known = true;
        }
        if (job_has_lines(job) && !take_line(group, pipeline, job, limit, &raw_bytes, next_seq))
            break; /* the batch is full */
        if (!job_has_lines(job))
            consume(group, pipeline);
    }
    if (pipeline->ready.head == NULL)
        pipeline->ready_bytes = pipeline->ready_results = 0;
    if (*next_seq == first_seq)
        return;
    int count = (int)(*next_seq - first_seq);
    struct outbox_batch *batch = &group->batches[group->batch_count];
    char *body = group->bodies[group->batch_count];
    *batch = (struct outbox_batch){.first_seq = first_seq, .last_seq = *next_seq - 1, .pipeline = pipeline->config->name, .count = count,
                                   .urgent = pipeline->config->sink.priority == PRIORITY_HIGH, .body = body};
    batch->encoding = batch_encode(group->encoder, pipeline->config->sink.compression, pipeline->config->sink.compress_above,
                                   group->raw, raw_bytes, body, &batch->body_bytes);
    group->batch_pipelines[group->batch_count++] = pipeline;
}

/* Some of a message's windows are in a batch: the others go with the same commit, or a kill between the two would give those a second seq. */
static bool has_begun(const struct pipeline *pipeline)
{
    return pipeline->ready.head != NULL && pipeline->ready.head->lines_at > 0;
}

void group_close_due(struct group *group, const struct group_moment *moment)
{
    int64_t next_seq = outbox_next_seq(group->options.outbox);
    for (int i = 0; i < group->options.pipeline_count; i++) {
        struct pipeline *pipeline = &group->options.pipelines[i];
        while (group->batch_count < GROUP_BATCHES_MAX && group->consumed.count < GROUP_INPUTS_MAX &&
               (group_due_at(group, pipeline, moment) <= moment->now_us || has_begun(pipeline)))
            close_batch(group, pipeline, &next_seq);
    }
}

size_t group_list_inputs(struct group *group)
{
    size_t count = 0;
    for (struct job *job = group->consumed.head; job != NULL; job = job->next) {
        if (job->delivery->message.qos > 0 && !job->known)
            group->inputs[count++] = job_digest(job);
    }
    return count;
}
