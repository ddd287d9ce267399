/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/window_log_internal.h"

#include "base/log.h"

#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

enum { LOG_BYTES_LEAST = 64 * 1024 };

/* What must be the same for samples of then to continue in a window of now. */
static uint64_t key_of(const struct config_pipeline *config)
{
    if (config->input.kind != INPUT_SERIES)
        return 0;
    const int32_t shape[] = {config->input.window, config->input.hop, config->input.field_count, config->input.time_field != NULL};
    uint64_t key = XXH3_64bits_withSeed(shape, sizeof shape, XXH3_64bits(config->name, strlen(config->name)));
    for (int i = 0; i < config->input.field_count; i++)
        key = XXH3_64bits_withSeed(config->input.fields[i], strlen(config->input.fields[i]), key);
    return key == 0 ? 1 : key;
}

int64_t window_log_fields(const struct window_log *log, int pipeline)
{
    return log->pipelines[pipeline].config->input.field_count;
}

static size_t entry_bytes(const struct window_log *log, const struct source *source, int64_t samples)
{
    return sizeof(struct entry_head) + source->topic_bytes + (size_t)(samples * window_log_fields(log, source->pipeline)) * sizeof(float);
}

static size_t live_bytes(const struct window_log *log, const struct source *source)
{
    return source->kept > 0 ? entry_bytes(log, source, source->kept) : 0;
}

static struct source *find(const struct window_log *log, uint64_t hash, int pipeline, const char *topic, size_t topic_bytes)
{
    struct source *source = log->buckets[hash % WINDOW_LOG_BUCKETS];
    while (source != NULL && (source->hash != hash || source->pipeline != pipeline || source->topic_bytes != topic_bytes ||
                              memcmp(source->topic, topic, topic_bytes) != 0))
        source = source->next;
    return source;
}

static void unlink_by_age(struct window_log *log, struct source *source)
{
    *(source->older != NULL ? &source->older->newer : &log->oldest) = source->newer;
    *(source->newer != NULL ? &source->newer->older : &log->newest) = source->older;
}

static void link_as_newest(struct window_log *log, struct source *source)
{
    source->older = log->newest;
    source->newer = NULL;
    *(log->newest != NULL ? &log->newest->newer : &log->oldest) = source;
    log->newest = source;
}

/* Only one that is not in the list of changed ones. */
static void drop(struct window_log *log, struct source *source)
{
    struct source **at = &log->buckets[source->hash % WINDOW_LOG_BUCKETS];
    while (*at != source)
        at = &(*at)->next;
    *at = source->next;
    unlink_by_age(log, source);
    log->live_bytes -= live_bytes(log, source);
    free(source->samples);
    free(source);
}

static struct source *add(struct window_log *log, uint64_t hash, int pipeline, const char *topic, size_t topic_bytes)
{
    struct source *source = calloc(1, sizeof *source + topic_bytes + 1);
    if (source == NULL)
        return NULL;
    source->hash = hash;
    source->pipeline = pipeline;
    source->topic_bytes = topic_bytes;
    memcpy(source->topic, topic, topic_bytes);
    source->next = log->buckets[hash % WINDOW_LOG_BUCKETS];
    log->buckets[hash % WINDOW_LOG_BUCKETS] = source;
    link_as_newest(log, source);
    return source;
}

static bool reserve(struct source *source, int64_t samples, int64_t fields)
{
    if (samples <= source->capacity)
        return true;
    float *grown = realloc(source->samples, (size_t)(samples * fields) * sizeof(float));
    if (grown == NULL)
        return false;
    source->samples = grown;
    source->capacity = samples;
    return true;
}

/* Moves the source's window on. Where the new samples do not continue the old ones, the new ones are all there is. */
static void move_on(struct window_log *log, struct source *source, const struct series_leftover *left)
{
    int64_t fields = window_log_fields(log, source->pipeline), fresh = left->fresh, stays = left->kept - fresh;
    log->live_bytes -= live_bytes(log, source);
    if (source->end != left->end - fresh)
        stays = 0;
    stays = stays < source->kept ? stays : source->kept;
    if (!reserve(source, stays + fresh, fields)) /* no memory: as if the source had been left out */
        stays = fresh = 0;
    if (stays > 0)
        memmove(source->samples, source->samples + (source->kept - stays) * fields, (size_t)(stays * fields) * sizeof(float));
    if (fresh > 0)
        memcpy(source->samples + stays * fields, left->samples, (size_t)(fresh * fields) * sizeof(float));
    source->kept = stays + fresh;
    source->end = left->end;
    source->newest_us = left->newest_us;
    log->live_bytes += live_bytes(log, source);
}

struct source *window_log_take(struct window_log *log, int pipeline, const char *topic, size_t topic_bytes, int64_t arrived_wall_us,
                           const struct series_leftover *left)
{
    uint64_t hash = XXH3_64bits_withSeed(topic, topic_bytes, log->keys[pipeline]);
    struct source *source = find(log, hash, pipeline, topic, topic_bytes);
    if (source == NULL && left->kept == 0)
        return NULL;
    if (source == NULL && (source = add(log, hash, pipeline, topic, topic_bytes)) == NULL)
        return NULL;
    unlink_by_age(log, source);
    link_as_newest(log, source);
    source->arrived_wall_us = arrived_wall_us;
    move_on(log, source, left);
    return source;
}

void window_log_note(struct window_log *log, int pipeline, const char *topic, int64_t arrived_wall_us, const struct series_leftover *left)
{
    size_t topic_bytes = strlen(topic);
    struct source *source = topic_bytes <= WINDOW_LOG_TOPIC_BYTES_MAX ? window_log_take(log, pipeline, topic, topic_bytes, arrived_wall_us, left) : NULL;
    if (source == NULL || source->changed)
        return;
    source->changed = true;
    source->next_changed = log->changed;
    log->changed = source;
}

static bool row_append(struct window_log *log, const void *bytes, size_t length)
{
    if (log->row_capacity - log->row_bytes < length) {
        size_t capacity = 2 * (log->row_bytes + length);
        uint8_t *grown = realloc(log->row, capacity);
        if (grown == NULL)
            return false;
        log->row = grown;
        log->row_capacity = capacity;
    }
    if (length > 0)
        memcpy(log->row + log->row_bytes, bytes, length);
    log->row_bytes += length;
    return true;
}

static bool row_add(struct window_log *log, const struct source *source, int64_t fresh)
{
    int64_t fields = window_log_fields(log, source->pipeline);
    struct entry_head head = {.key = log->keys[source->pipeline], .end = source->end, .newest_us = source->newest_us,
                              .arrived_wall_us = source->arrived_wall_us, .kept = (uint32_t)source->kept, .fresh = (uint32_t)fresh,
                              .numbers = (uint32_t)(fresh * fields), .topic_bytes = (uint32_t)source->topic_bytes};
    return row_append(log, &head, sizeof head) && row_append(log, source->topic, source->topic_bytes) &&
           row_append(log, source->samples + (source->kept - fresh) * fields, (size_t)(fresh * fields) * sizeof(float));
}

static bool write_changes(struct window_log *log)
{
    bool complete = true;
    for (const struct source *source = log->changed; source != NULL; source = source->next_changed) {
        int64_t since = source->end - source->stored_end;
        if (source->kept > 0 || source->logged) /* else nobody knows of it */
            complete = row_add(log, source, since < 0 || since > source->kept ? source->kept : since) && complete;
    }
    return complete;
}

/* The one silent longest comes first, so that it stays the first to go. */
static bool write_windows(struct window_log *log)
{
    bool complete = true;
    for (const struct source *source = log->oldest; source != NULL; source = source->newer)
        complete = (source->kept == 0 || row_add(log, source, source->kept)) && complete;
    return complete;
}

static bool is_logged(const struct window_log *log)
{
    return log->logged_bytes > 0;
}

/* Too much for the log: those that said nothing for longest go, but for those of this commit; some more than is needed, as the log begins anew. */
static void keep_to_bound(struct window_log *log)
{
    if (log->live_bytes <= log->bytes_max)
        return;
    for (struct source *source = log->oldest; source != NULL && log->live_bytes > log->bytes_max / 4 * 3;) {
        struct source *newer = source->newer;
        if (!source->changed) {
            log->left_out += source->kept > 0;
            log->begins_anew = log->begins_anew || source->logged;
            drop(log, source);
        }
        source = newer;
    }
}

void window_log_write(struct window_log *log, struct outbox_change *change)
{
    if (log->changed == NULL && !log->stale)
        return;
    log->begins_anew = log->stale;
    keep_to_bound(log);
    uint64_t checksum = 0;
    log->row_bytes = 0;
    bool complete = row_append(log, &checksum, sizeof checksum);
    if (log->live_bytes == 0) {
        log->begins_anew = is_logged(log);
    } else if (log->begins_anew || log->logged_bytes > log->live_bytes + LOG_BYTES_LEAST) {
        log->begins_anew = true;
        complete = write_windows(log) && complete;
    } else {
        complete = write_changes(log) && complete;
    }
    if (!complete)
        log_error("no memory to store readings of unfinished windows: a kill would lose them");
    change->readings_replace = log->begins_anew;
    if (!complete || log->row_bytes == WINDOW_LOG_CHECKSUM_BYTES)
        return;
    checksum = XXH3_64bits(log->row + WINDOW_LOG_CHECKSUM_BYTES, log->row_bytes - WINDOW_LOG_CHECKSUM_BYTES);
    memcpy(log->row, &checksum, sizeof checksum);
    change->readings = log->row;
    change->readings_bytes = log->row_bytes;
}

void window_log_committed(struct window_log *log)
{
    if (log->changed == NULL && !log->stale)
        return;
    size_t written = log->row_bytes > WINDOW_LOG_CHECKSUM_BYTES ? log->row_bytes : 0;
    log->logged_bytes = written + (log->begins_anew ? 0 : log->logged_bytes);
    log->stale = false;
    if (log->begins_anew) {
        for (struct source *source = log->oldest; source != NULL; source = source->newer)
            source->logged = source->kept > 0;
    }
    while (log->changed != NULL) {
        struct source *source = log->changed;
        log->changed = source->next_changed;
        source->changed = false;
        source->logged = source->kept > 0 || (source->logged && !log->begins_anew);
        source->stored_end = source->end;
        if (source->kept == 0 && !source->logged)
            drop(log, source);
    }
}

void window_log_renew(struct window_log *log)
{
    log->stale = true;
}

uint64_t window_log_left_out(const struct window_log *log)
{
    return log->left_out;
}

void window_log_forget_all(struct window_log *log)
{
    while (log->oldest != NULL)
        drop(log, log->oldest);
}

enum error_code window_log_new(const struct pipeline *pipelines, int pipeline_count, struct outbox *outbox, int64_t outbox_bytes_max,
                               struct window_log **log_out, struct error *error)
{
    struct window_log *log = calloc(1, sizeof *log);
    if (log == NULL || (log->keys = calloc((size_t)pipeline_count + 1, sizeof *log->keys)) == NULL) {
        free(log);
        return error_set(error, ERROR_LIMIT, "no memory for the windows of %d pipelines", pipeline_count);
    }
    log->pipelines = pipelines;
    log->pipeline_count = pipeline_count;
    log->bytes_max = outbox_bytes_max / 16 < WINDOW_LOG_BYTES_MAX ? (size_t)(outbox_bytes_max / 16) : WINDOW_LOG_BYTES_MAX;
    for (int i = 0; i < pipeline_count; i++)
        log->keys[i] = key_of(pipelines[i].config);
    window_log_read_rows(log, outbox);
    *log_out = log;
    return ERROR_NONE;
}

void window_log_free(struct window_log *log)
{
    if (log == NULL)
        return;
    window_log_forget_all(log);
    free(log->row);
    free(log->keys);
    free(log);
}

bool window_log_next(const struct window_log *log, const void **at, struct window_log_source *source_out)
{
    const struct source *source = *at == NULL ? log->oldest : ((const struct source *)*at)->newer;
    while (source != NULL && source->kept == 0)
        source = source->newer;
    if (source == NULL)
        return false;
    *at = source;
    *source_out = (struct window_log_source){.pipeline = source->pipeline, .topic = source->topic, .arrived_wall_us = source->arrived_wall_us,
        .window = {.samples = source->samples, .kept = source->kept, .fresh = source->kept, .end = source->end, .newest_us = source->newest_us}};
    return true;
}
