/* SPDX-License-Identifier: Apache-2.0
 *
 * The formats that documents come in: JSON, CBOR (RFC 8949), raw little-endian floats. */
#include "agent/series_match.h"
#include "base/json_reader.h"

#include <cbor.h>
#include <string.h>

enum error_code series_parse_json(struct series *series, const uint8_t *bytes, size_t length, struct error *error)
{
    struct json_reader reader;
    struct json_token token;
    struct series_match match;
    int64_t elements[JSON_DEPTH_MAX + 1];
    bool in_array[JSON_DEPTH_MAX + 1];
    char key[512];
    series_match_init(&match, series, error);
    json_reader_init(&reader, (const char *)bytes, length);
    in_array[0] = false;
    while (json_next(&reader, &token) && token.kind != JSON_END) {
        int depth = match.depth;
        bool is_end = token.kind == JSON_OBJECT_END || token.kind == JSON_ARRAY_END;
        if (depth > 0 && in_array[depth] && !is_end && match.collecting < 0)
            series_match_child(&match, NULL, 0, elements[depth]++);
        switch (token.kind) {
        case JSON_KEY: {
            size_t key_length = token.escaped ? json_unescape(&token, key, sizeof key) : token.length;
            series_match_child(&match, token.escaped ? key : token.text, key_length, -1); /* SIZE_MAX, too long for a pointer: no match */
            break;
        }
        case JSON_OBJECT_BEGIN: case JSON_ARRAY_BEGIN:
            TRY(series_match_enter(&match, token.kind == JSON_ARRAY_BEGIN));
            in_array[match.depth] = token.kind == JSON_ARRAY_BEGIN;
            elements[match.depth] = 0;
            break;
        case JSON_OBJECT_END: case JSON_ARRAY_END: series_match_leave(&match); break;
        case JSON_NUMBER: TRY(series_match_number(&match, token.number)); break;
        case JSON_STRING: TRY(series_match_text(&match, token.text, token.length)); break;
        case JSON_NULL: TRY(series_match_other(&match, "null")); break;
        default: TRY(series_match_other(&match, "true or false")); break;
        }
    }
    if (json_failed(&reader))
        return error_set(error, ERROR_INPUT, "not JSON: %s at byte %zu", reader.problem, reader.at);
    return ERROR_NONE;
}

/* What libcbor's callbacks fill: the item at hand. Strings in several chunks are refused. */
struct cbor_item {
    enum { CBOR_ITEM_NUMBER, CBOR_ITEM_TEXT, CBOR_ITEM_ARRAY, CBOR_ITEM_MAP, CBOR_ITEM_TAG, CBOR_ITEM_OTHER, CBOR_ITEM_BREAK } kind;
    double number;
    const uint8_t *text;
    size_t length;      /* of text; of a container: its items, SIZE_MAX: until the break */
    const char *what;
};

#define CBOR_NUMBER_CALLBACK(name, type, expression)                 \
    static void name(void *context, type value)                       \
    {                                                                 \
        struct cbor_item *item = context;                             \
        item->kind = CBOR_ITEM_NUMBER;                                \
        item->number = (expression);                                  \
    }
CBOR_NUMBER_CALLBACK(on_uint8, uint8_t, value)
CBOR_NUMBER_CALLBACK(on_uint16, uint16_t, value)
CBOR_NUMBER_CALLBACK(on_uint32, uint32_t, value)
CBOR_NUMBER_CALLBACK(on_uint64, uint64_t, (double)value)
CBOR_NUMBER_CALLBACK(on_negative8, uint8_t, -1.0 - value)
CBOR_NUMBER_CALLBACK(on_negative16, uint16_t, -1.0 - value)
CBOR_NUMBER_CALLBACK(on_negative32, uint32_t, -1.0 - value)
CBOR_NUMBER_CALLBACK(on_negative64, uint64_t, -1.0 - (double)value)
CBOR_NUMBER_CALLBACK(on_float, float, (double)value)
CBOR_NUMBER_CALLBACK(on_double, double, value)

static void on_text(void *context, cbor_data text, size_t length)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_TEXT, .text = text, .length = length};
}

static void on_bytes(void *context, cbor_data text, size_t length)
{
    (void)text, (void)length;
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_OTHER, .what = "bytes"};
}

static void on_array(void *context, size_t length)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_ARRAY, .length = length};
}

static void on_map(void *context, size_t length)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_MAP, .length = length};
}

static void on_open_array(void *context)
{
    on_array(context, SIZE_MAX);
}

static void on_open_map(void *context)
{
    on_map(context, SIZE_MAX);
}

static void on_tag(void *context, uint64_t tag)
{
    (void)tag;
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_TAG};
}

static void on_nothing(void *context)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_OTHER, .what = "null"};
}

static void on_boolean(void *context, bool value)
{
    (void)value;
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_OTHER, .what = "true or false"};
}

static void on_break(void *context)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_BREAK};
}

static void on_chunked(void *context)
{
    *(struct cbor_item *)context = (struct cbor_item){.kind = CBOR_ITEM_OTHER, .what = "a string in chunks"};
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8, .uint16 = on_uint16, .uint32 = on_uint32, .uint64 = on_uint64, .negint8 = on_negative8, .negint16 = on_negative16,
    .negint32 = on_negative32, .negint64 = on_negative64, .byte_string_start = on_chunked, .byte_string = on_bytes, .string = on_text,
    .string_start = on_chunked, .indef_array_start = on_open_array, .array_start = on_array, .indef_map_start = on_open_map,
    .map_start = on_map, .tag = on_tag, .float2 = on_float, .float4 = on_float, .float8 = on_double, .undefined = on_nothing, .null = on_nothing,
    .boolean = on_boolean, .indef_break = on_break};

struct cbor_level {
    bool is_map, key_next;
    size_t left;        /* items (of a map: keys and values); SIZE_MAX: until the break */
    int64_t index;
};

/* Takes one item of the container it lies in; a map's keys are handled here. true: the item was a key. */
static bool take_place(struct cbor_level *level, struct series_match *match, const struct cbor_item *item)
{
    if (level->left != SIZE_MAX)
        level->left--;
    if (!level->is_map) {
        if (match->collecting < 0)
            series_match_child(match, NULL, 0, level->index);
        level->index++;
        return false;
    }
    level->key_next = !level->key_next;
    if (level->key_next) /* it was true before: this was a value */
        return false;
    bool text = item->kind == CBOR_ITEM_TEXT;
    series_match_child(match, text ? (const char *)item->text : "", text ? item->length : 0, -1);
    return true;
}

static enum error_code cbor_value(struct series_match *match, struct cbor_level *levels, const struct cbor_item *item, struct error *error)
{
    switch (item->kind) {
    case CBOR_ITEM_NUMBER: return series_match_number(match, item->number);
    case CBOR_ITEM_TEXT: return series_match_text(match, (const char *)item->text, item->length);
    case CBOR_ITEM_OTHER: return series_match_other(match, item->what);
    case CBOR_ITEM_ARRAY: case CBOR_ITEM_MAP: {
        bool is_map = item->kind == CBOR_ITEM_MAP;
        if (item->length != SIZE_MAX && item->length > SIZE_MAX / 4)
            return error_set(error, ERROR_INPUT, "not CBOR: a container of more items than bytes");
        TRY(series_match_enter(match, !is_map));
        levels[match->depth] = (struct cbor_level){.is_map = is_map, .key_next = is_map,
                                                   .left = item->length == SIZE_MAX ? SIZE_MAX : item->length * (is_map ? 2 : 1)};
        return ERROR_NONE;
    }
    default: return error_set(error, ERROR_INPUT, "not CBOR: a break outside a container");
    }
}

enum error_code series_parse_cbor(struct series *series, const uint8_t *bytes, size_t length, struct error *error)
{
    struct cbor_level levels[SERIES_DEPTH_MAX + 2];
    struct series_match match;
    size_t at = 0;
    bool done = false;
    series_match_init(&match, series, error);
    while (!done) {
        struct cbor_item item = {.kind = CBOR_ITEM_OTHER, .what = "something else"};
        struct cbor_decoder_result result = cbor_stream_decode(bytes + at, length - at, &callbacks, &item);
        if (result.status != CBOR_DECODER_FINISHED) {
            bool early = at >= length || result.status == CBOR_DECODER_NEDATA;
            return error_set(error, ERROR_INPUT, "not CBOR: %s at byte %zu", early ? "ends too early" : "damaged", at);
        }
        at += result.read;
        if (item.kind == CBOR_ITEM_TAG)
            continue; /* what follows is the value */
        struct cbor_level *level = match.depth > 0 ? &levels[match.depth] : NULL;
        bool ends_open = item.kind == CBOR_ITEM_BREAK && level != NULL && level->left == SIZE_MAX && (!level->is_map || level->key_next);
        if (ends_open)
            series_match_leave(&match);
        else if (level == NULL || !take_place(level, &match, &item))
            TRY(cbor_value(&match, levels, &item, error));
        else if (item.kind == CBOR_ITEM_ARRAY || item.kind == CBOR_ITEM_MAP || item.kind == CBOR_ITEM_BREAK)
            return error_set(error, ERROR_INPUT, "not CBOR that eddy reads: a container as a key");
        while (match.depth > 0 && levels[match.depth].left == 0)
            series_match_leave(&match);
        done = match.depth == 0;
    }
    if (at != length)
        return error_set(error, ERROR_INPUT, "not CBOR: %zu bytes after the value", length - at);
    return ERROR_NONE;
}

enum error_code series_parse_f32le(struct series *series, const uint8_t *bytes, size_t length, struct error *error)
{
    size_t sample = (size_t)series->fields * sizeof(float);
    if (length % sample != 0)
        return error_set(error, ERROR_INPUT, "%zu bytes, expected a multiple of %zu (%d fields of f32)", length, sample, series->fields);
    for (size_t at = 0; at < length; at += sizeof(float)) {
        float value;
        memcpy(&value, bytes + at, sizeof value);
        int field = (int)(at / sizeof(float) % (size_t)series->fields);
        TRY(series_add(&series->columns, field, (double)value, "f32le", error));
    }
    return ERROR_NONE;
}
