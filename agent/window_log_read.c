/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/window_log_internal.h"

#include "base/log.h"

#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

static int pipeline_of(const struct window_log *log, uint64_t key)
{
    for (int i = 0; i < log->pipeline_count; i++) {
        if (log->keys[i] != 0 && log->keys[i] == key)
            return i;
    }
    return -1;
}

/* The entry at `bytes`; its length, 0: it is none. *foreign_out: of a pipeline that is no more what it was. */
static size_t read_entry(struct window_log *log, const uint8_t *bytes, size_t length, bool *foreign_out)
{
    struct entry_head head;
    if (length < sizeof head)
        return 0;
    memcpy(&head, bytes, sizeof head);
    if (head.topic_bytes > WINDOW_LOG_TOPIC_BYTES_MAX || head.numbers > length / sizeof(float) ||
        length - sizeof head < head.topic_bytes + head.numbers * sizeof(float) || head.fresh > head.kept)
        return 0;
    size_t whole = sizeof head + head.topic_bytes + head.numbers * sizeof(float);
    int pipeline = pipeline_of(log, head.key);
    *foreign_out = pipeline < 0;
    if (pipeline < 0)
        return whole;
    int64_t window = log->pipelines[pipeline].config->input.window;
    if (head.kept >= window || head.numbers != head.fresh * window_log_fields(log, pipeline) || memchr(bytes + sizeof head, '\0', head.topic_bytes) != NULL)
        return 0;
    float *samples = malloc(head.numbers * sizeof(float) + 1); /* an entry may lie anywhere, floats may not */
    if (samples == NULL)
        return 0;
    memcpy(samples, bytes + sizeof head + head.topic_bytes, head.numbers * sizeof(float));
    struct series_leftover left = {.samples = samples, .kept = head.kept, .fresh = head.fresh, .end = head.end, .newest_us = head.newest_us};
    struct source *source = window_log_take(log, pipeline, (const char *)bytes + sizeof head, head.topic_bytes, head.arrived_wall_us, &left);
    free(samples);
    if (source != NULL) {
        source->logged = true;
        source->stored_end = source->end;
    }
    return whole;
}

/* false: it is damaged. */
static bool read_row(struct window_log *log, const uint8_t *bytes, size_t length, int *foreign)
{
    uint64_t checksum = 0;
    if (length >= WINDOW_LOG_CHECKSUM_BYTES)
        memcpy(&checksum, bytes, sizeof checksum);
    bool whole = length > WINDOW_LOG_CHECKSUM_BYTES && checksum == XXH3_64bits(bytes + WINDOW_LOG_CHECKSUM_BYTES, length - WINDOW_LOG_CHECKSUM_BYTES);
    for (size_t at = WINDOW_LOG_CHECKSUM_BYTES; whole && at < length;) {
        bool is_foreign = false;
        size_t entry = read_entry(log, bytes + at, length - at, &is_foreign);
        *foreign += is_foreign;
        whole = entry > 0;
        at += entry;
    }
    return whole;
}

/* Nobody knows whose readings a damaged or missing row held: no window may go on over it. */
void window_log_read_rows(struct window_log *log, struct outbox *outbox)
{
    const void *body;
    size_t length;
    int damaged = 0, foreign = 0;
    int64_t number, expected = INT64_MIN;
    while (outbox_find_readings(outbox, expected, &number, &body, &length) && number < INT64_MAX) {
        bool missing = expected != INT64_MIN && number != expected;
        if (missing)
            window_log_forget_all(log);
        bool whole = read_row(log, body, length, &foreign);
        if (!whole)
            window_log_forget_all(log);
        log->logged_bytes += length;
        damaged += missing + !whole;
        expected = number + 1;
    }
    log->stale = damaged + foreign > 0;
    if (damaged > 0)
        log_warning("the outbox: %d rows of readings are damaged or missing: windows that were not full begin anew", damaged);
    if (foreign > 0)
        log_warning("the outbox: readings of unfinished windows were discarded: their pipeline is gone, or its window, hop or fields were changed");
}
