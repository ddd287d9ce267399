/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/demo.h"

#include "base/json_reader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_BYTES_MAX = 1 << 20, READINGS_BYTES_MAX = 16 << 20, FRAME_INTERVAL_US = 200000, LINE_MAX_BYTES = 64 * 1024 };

static enum error_code map_file(struct demo_replay *replay, const char *path, size_t bytes_max, struct file_map **map_out, struct error *error)
{
    if (replay->map_count == DEMO_ITEMS_MAX)
        return error_set(error, ERROR_LIMIT, "more than %d demo files", DEMO_ITEMS_MAX);
    struct file_map *map = &replay->maps[replay->map_count];
    TRY(file_map_open(path, bytes_max, map, error));
    replay->map_count++;
    *map_out = map;
    return ERROR_NONE;
}

static enum error_code add_item(struct demo_replay *replay, struct demo_item **item_out, struct error *error)
{
    if (replay->item_count == DEMO_ITEMS_MAX)
        return error_set(error, ERROR_LIMIT, "more than %d demo inputs", DEMO_ITEMS_MAX);
    *item_out = &replay->items[replay->item_count++];
    return ERROR_NONE;
}

static void copy_text(char *to, size_t capacity, const char *from, size_t length)
{
    size_t used = length < capacity ? length : capacity - 1;
    memcpy(to, from, used);
    to[used] = '\0';
}

/* frames.csv: a heading, then file,truth in the order of the belt. */
static enum error_code read_frames(struct demo_replay *replay, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct file_map *list;
    snprintf(path, sizeof path, "%s/frames/frames.csv", folder);
    TRY(map_file(replay, path, READINGS_BYTES_MAX, &list, error));
    const char *at = (const char *)list->data, *end = at + list->bytes;
    int64_t index = 0;
    for (bool heading = true; at < end; heading = false) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL)
            line_end = end;
        const char *comma = memchr(at, ',', (size_t)(line_end - at));
        if (!heading && comma != NULL) {
            struct demo_item *item;
            struct file_map *frame;
            TRY(add_item(replay, &item, error));
            snprintf(path, sizeof path, "%s/frames/%.*s", folder, (int)(comma - at), at);
            TRY(map_file(replay, path, FRAME_BYTES_MAX, &frame, error));
            size_t truth = strcspn(comma + 1, ",\r\n");
            copy_text(item->truth, sizeof item->truth, comma + 1, truth < (size_t)(line_end - comma - 1) ? truth : (size_t)(line_end - comma - 1));
            copy_text(item->topic, sizeof item->topic, "camera/1/frame", 14);
            item->at_us = index++ * FRAME_INTERVAL_US;
            item->payload = frame->data;
            item->payload_bytes = frame->bytes;
            item->is_frame = true;
        }
        at = line_end + 1;
    }
    return ERROR_NONE;
}

static enum error_code read_reading(struct demo_item *item, const char *line, size_t length, struct error *error)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, line, length);
    bool good = json_next(&reader, &token) && token.kind == JSON_OBJECT_BEGIN;
    while (good && json_next(&reader, &token) && token.kind == JSON_KEY) {
        bool topic = json_text_equals(&token, "topic"), truth = json_text_equals(&token, "truth");
        bool time = json_text_equals(&token, "t_ms"), payload = json_text_equals(&token, "payload");
        size_t start = reader.at;
        good = (topic || truth || time) ? json_next(&reader, &token) : json_skip_value(&reader);
        if (good && topic)
            copy_text(item->topic, sizeof item->topic, token.text, token.length);
        else if (good && truth)
            copy_text(item->truth, sizeof item->truth, token.text, token.length);
        else if (good && time)
            item->at_us = (int64_t)(token.number * 1000);
        else if (good && payload) {
            item->payload = (const uint8_t *)line + start;
            item->payload_bytes = reader.at - start;
        }
    }
    if (!good || item->payload == NULL || item->topic[0] == '\0')
        return error_set(error, ERROR_INPUT, "readings.ndjson: a line that is no reading: %s",
                         reader.problem != NULL ? reader.problem : "topic, t_ms, truth or payload is missing");
    return ERROR_NONE;
}

static bool is_first_of_topic(const struct demo_replay *replay, const struct demo_item *item)
{
    for (const struct demo_item *other = replay->items; other < item; other++) {
        if (strcmp(other->topic, item->topic) == 0)
            return false;
    }
    return true;
}

static enum error_code read_readings(struct demo_replay *replay, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct file_map *list;
    snprintf(path, sizeof path, "%s/readings/readings.ndjson", folder);
    TRY(map_file(replay, path, READINGS_BYTES_MAX, &list, error));
    const char *at = (const char *)list->data, *end = at + list->bytes;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t length = line_end != NULL ? (size_t)(line_end - at) : (size_t)(end - at);
        struct demo_item *item;
        if (length > 0) {
            TRY(add_item(replay, &item, error));
            TRY(read_reading(item, at, length, error));
            replay->motor_count += is_first_of_topic(replay, item);
        }
        at += length + 1;
    }
    return ERROR_NONE;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const struct demo_item *)a)->at_us, y = ((const struct demo_item *)b)->at_us;
    return (x > y) - (x < y);
}

/* Frames go round more often than readings: their list is repeated over the whole time of the readings. */
static enum error_code repeat_frames(struct demo_replay *replay, int frames, struct error *error)
{
    int64_t last_us = 0;
    for (int i = 0; i < replay->item_count; i++)
        last_us = replay->items[i].at_us > last_us ? replay->items[i].at_us : last_us;
    for (int i = 0; frames > 0 && (frames + i) * (int64_t)FRAME_INTERVAL_US <= last_us; i++) {
        struct demo_item *item;
        TRY(add_item(replay, &item, error));
        *item = replay->items[i % frames];
        item->at_us = (frames + i) * (int64_t)FRAME_INTERVAL_US;
    }
    replay->round_us = last_us + FRAME_INTERVAL_US;
    return ERROR_NONE;
}

enum error_code demo_replay_open(const char *folder, struct demo_replay *replay, struct error *error)
{
    memset(replay, 0, sizeof *replay);
    arena_init(&replay->arena, (size_t)DEMO_ITEMS_MAX * (sizeof *replay->items + 64));
    replay->items = arena_allocate_array(&replay->arena, DEMO_ITEMS_MAX, sizeof *replay->items);
    if (replay->items == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the demo");
    TRY(read_frames(replay, folder, error));
    int frames = replay->item_count;
    TRY(read_readings(replay, folder, error));
    TRY(repeat_frames(replay, frames, error));
    if (replay->item_count == 0)
        return error_set(error, ERROR_INPUT, "%s: no frames and no readings", folder);
    qsort(replay->items, (size_t)replay->item_count, sizeof *replay->items, by_time);
    return ERROR_NONE;
}

void demo_replay_close(struct demo_replay *replay)
{
    for (int i = 0; i < replay->map_count; i++)
        file_map_close(&replay->maps[i]);
    arena_deinit(&replay->arena);
}
