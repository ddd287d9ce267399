/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/job.h"

#include "agent/pipeline.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/utf8.h"

#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES_MAX = 64 + 6 * 512, MIDDLE_BYTES_MAX = 512 + 6 * 1024, CORRELATION_BYTES_MAX = 512, TOPIC_BYTES_MAX = 1024 };

void job_pool_init(struct job_pool *pool, const struct job_pool_limits *limits)
{
    *pool = (struct job_pool){.limits = *limits};
    pthread_mutex_init(&pool->lock, NULL);
}

void job_pool_deinit(struct job_pool *pool)
{
    while (pool->free_jobs != NULL) {
        struct job *next = pool->free_jobs->next;
        free(pool->free_jobs->text);
        free(pool->free_jobs->samples);
        free(pool->free_jobs);
        pool->free_jobs = next;
    }
    while (pool->free_deliveries != NULL) {
        struct delivery *next = pool->free_deliveries->next;
        free(pool->free_deliveries);
        pool->free_deliveries = next;
    }
    pthread_mutex_destroy(&pool->lock);
}

static bool has_room(const struct job_pool *pool, const struct link_message *message)
{
    const struct job_pool_limits *limits = &pool->limits, *out = &pool->out;
    return out->deliveries[message->qos > 0] < limits->deliveries[message->qos > 0] &&
           (out->bytes == 0 || out->bytes + (int64_t)message->payload_bytes <= limits->bytes);
}

static void count_delivery(struct job_pool *pool, const struct link_message *message, int sign)
{
    pool->out.deliveries[message->qos > 0] += sign;
    pool->out.bytes += sign * (int64_t)message->payload_bytes;
}

struct delivery *job_pool_take_delivery(struct job_pool *pool, const struct link_message *message)
{
    struct delivery *delivery = NULL;
    pthread_mutex_lock(&pool->lock);
    if (has_room(pool, message)) {
        delivery = pool->free_deliveries;
        if (delivery != NULL)
            pool->free_deliveries = delivery->next;
        else if ((delivery = malloc(sizeof *delivery)) != NULL)
            pool->deliveries++;
        if (delivery != NULL)
            count_delivery(pool, message, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    if (delivery != NULL)
        *delivery = (struct delivery){.message = *message, .arrived_wall_us = clock_wall_us()};
    return delivery;
}

struct job *job_pool_take(struct job_pool *pool, struct delivery *delivery, struct pipeline *pipeline)
{
    pthread_mutex_lock(&pool->lock);
    struct job *job = pool->free_jobs;
    if (job != NULL)
        pool->free_jobs = job->next;
    else if ((job = calloc(1, sizeof *job)) != NULL)
        pool->jobs++;
    pthread_mutex_unlock(&pool->lock);
    if (job != NULL)
        *job = (struct job){.delivery = delivery, .pipeline = pipeline, .text = job->text, .text_capacity = job->text_capacity, .samples = job->samples,
                            .samples_capacity = job->samples_capacity};
    return job;
}

void job_pool_give(struct job_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->next = pool->free_jobs;
    pool->free_jobs = job;
    pthread_mutex_unlock(&pool->lock);
}

void job_pool_give_delivery(struct job_pool *pool, struct delivery *delivery)
{
    link_message_release(&delivery->message);
    pthread_mutex_lock(&pool->lock);
    count_delivery(pool, &delivery->message, -1);
    delivery->next = pool->free_deliveries;
    pool->free_deliveries = delivery;
    pthread_mutex_unlock(&pool->lock);
}

/* The input's own id where it is text, its hex where it is not, its content's hash where there is none. */
static void write_id(struct json_writer *writer, const struct link_message *message, const uint64_t content[2])
{
    char hex[2 * CORRELATION_BYTES_MAX + 1];
    size_t length = message->correlation_bytes;
    if (message->correlation != NULL && length > 0 && length <= CORRELATION_BYTES_MAX) {
        if (utf8_is_valid((const char *)message->correlation, length)) {
            json_string_bytes(writer, (const char *)message->correlation, length);
            return;
        }
        for (size_t i = 0; i < length; i++)
            snprintf(hex + 2 * i, 3, "%02x", message->correlation[i]);
    } else {
        snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)content[1], (unsigned long long)content[0]);
    }
    json_string(writer, hex);
}

static bool write_head(struct job *job, char *buffer, size_t capacity)
{
    struct json_writer writer;
    json_writer_init(&writer, buffer, capacity);
    json_object_begin(&writer);
    json_key(&writer, "v");
    json_integer(&writer, 1);
    json_key(&writer, "id");
    write_id(&writer, &job->delivery->message, job->content);
    json_key(&writer, "seq");
    job->head_length = writer.length;
    return !writer.overflow;
}

static bool write_middle(struct job *job, const char *agent_id, char *buffer, size_t capacity)
{
    char ts[CLOCK_TEXT_BYTES];
    clock_format(job->delivery->arrived_wall_us, ts);
    struct json_writer writer;
    json_writer_init(&writer, buffer, capacity);
    writer.needs_comma = true;
    json_key(&writer, "agent");
    json_string(&writer, agent_id);
    json_key(&writer, "pipeline");
    json_string(&writer, job->pipeline->config->name);
    json_key(&writer, "topic");
    size_t topic_length = strlen(job->delivery->message.topic);
    json_string_bytes(&writer, job->delivery->message.topic, topic_length < TOPIC_BYTES_MAX ? topic_length : TOPIC_BYTES_MAX);
    json_key(&writer, "ts");
    json_string(&writer, ts);
    json_raw(&writer, "", 0); /* the comma before the line's own members */
    job->middle_length = writer.length;
    return !writer.overflow;
}

void job_identify(struct job *job)
{
    const struct link_message *message = &job->delivery->message;
    XXH128_hash_t content = XXH3_128bits(message->payload, message->payload_bytes);
    job->content[0] = content.low64;
    job->content[1] = content.high64;
}

uint64_t job_digest(const struct job *job)
{
    const char *pipeline = job->pipeline->config->name;
    return job->content[0] ^ XXH3_64bits(pipeline, strlen(pipeline)) ^ job->delivery->message.packet_id * UINT64_C(0x9E3779B97F4A7C15);
}

enum error_code job_keep_window(struct job *job, const struct series_leftover *left, struct error *error)
{
    size_t numbers = (size_t)left->fresh * (size_t)job->pipeline->config->input.field_count;
    job->left = *left;
    job->left.samples = NULL;
    if (numbers > job->samples_capacity) {
        float *grown = realloc(job->samples, numbers * sizeof(float));
        if (grown == NULL) {
            job->left.kept = job->left.fresh = 0;
            return error_set(error, ERROR_LIMIT, "no memory for %zu numbers of a reading", numbers);
        }
        job->samples = grown;
        job->samples_capacity = numbers;
    }
    if (numbers > 0)
        memcpy(job->samples, left->samples, numbers * sizeof(float));
    job->left.samples = job->samples;
    return ERROR_NONE;
}

enum error_code job_write_answer(struct job *job, const char *agent_id, const struct answer *answer, struct error *error)
{
    char head[HEAD_BYTES_MAX], middle[MIDDLE_BYTES_MAX];
    job->line_count = job->left_out = 0;
    job->lines_at = 0;
    job->lines_length = 0;
    if (answer->count == 0)
        return ERROR_NONE;
    if (!write_head(job, head, sizeof head) || !write_middle(job, agent_id, middle, sizeof middle))
        return error_set(error, ERROR_INTERNAL, "an id or topic does not fit a result line");
    size_t needed = job->head_length + job->middle_length + answer->length;
    if (needed > job->text_capacity) {
        char *grown = realloc(job->text, needed);
        if (grown == NULL)
            return error_set(error, ERROR_LIMIT, "no memory for a result of %zu bytes", needed);
        job->text = grown;
        job->text_capacity = needed;
    }
    memcpy(job->text, head, job->head_length);
    memcpy(job->text + job->head_length, middle, job->middle_length);
    memcpy(job->text + job->head_length + job->middle_length, answer->text, answer->length);
    job->lines_length = answer->length;
    job->line_count = answer->count;
    return ERROR_NONE;
}

bool job_has_lines(const struct job *job)
{
    return job->lines_at < job->lines_length;
}

const char *job_peek_line(const struct job *job, size_t *length_out)
{
    if (!job_has_lines(job))
        return NULL;
    const char *line = job->text + job->head_length + job->middle_length + job->lines_at;
    size_t rest = job->lines_length - job->lines_at;
    const char *end = memchr(line, '\n', rest);
    *length_out = end != NULL ? (size_t)(end - line) : rest;
    return line;
}

void job_skip_line(struct job *job)
{
    size_t length;
    if (job_peek_line(job, &length) == NULL)
        return;
    job->lines_at += length;
    job->lines_at += job->lines_at < job->lines_length;
}

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

bool job_format_line(struct job *job, int64_t seq, const struct repeat_choice *choice, char *buffer, size_t capacity, size_t *length)
{
    size_t line_length;
    const char *line = job_peek_line(job, &line_length);
    if (line == NULL)
        return false;
    const char *insert = choice != NULL ? choice->insert : "", *tail = choice != NULL ? choice->tail : "";
    size_t keep = choice != NULL ? choice->keep : line_length, insert_length = strlen(insert), tail_length = strlen(tail);
    char digits[24];
    size_t digit_count = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)seq);
    if (job->head_length + digit_count + job->middle_length + insert_length + keep + tail_length + 1 > capacity - *length)
        return false;
    char *at = put(buffer + *length, job->text, job->head_length);
    at = put(at, digits, digit_count);
    at = put(at, job->text + job->head_length, job->middle_length);
    at = put(at, insert, insert_length);
    at = put(at, line, keep);
    at = put(at, tail, tail_length);
    *at++ = '\n';
    *length = (size_t)(at - buffer);
    job->lines_at += line_length;
    job->lines_at += job->lines_at < job->lines_length; /* the line break */
    return true;
}
