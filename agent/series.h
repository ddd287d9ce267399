/* SPDX-License-Identifier: Apache-2.0
 *
 * series.h: samples out of messages, windows out of samples.
 *
 * A format (series_formats.c, series_csv.c) fills `columns`: one list of numbers a field, all of one length.
 * input_series.c puts them behind what the source had left over and cuts windows. */
#ifndef EDDY_AGENT_SERIES_H
#define EDDY_AGENT_SERIES_H

#include "base/error.h"
#include "config/config.h"
#include "inference/tensor.h"

enum { SERIES_NUMBERS_MAX = 1 << 18 /* of one message, all fields together */, SERIES_SEGMENTS_MAX = 32, SERIES_BUCKETS = 256 };

struct series_source; /* one topic's window */

struct series_pointer { /* a JSON Pointer (RFC 6901), cut into its segments */
    char text[512];
    const char *segments[SERIES_SEGMENTS_MAX];
    size_t lengths[SERIES_SEGMENTS_MAX];
    int64_t indices[SERIES_SEGMENTS_MAX]; /* as an array index; -1: not a number */
    int count;
};

/* The numbers of one message. */
struct series_columns {
    float *values;               /* [fields][capacity] */
    int64_t capacity, counts[CONFIG_FIELDS_MAX];
    bool seen[CONFIG_FIELDS_MAX];
    int fields;
    bool has_time;
    int64_t first_us, last_us;   /* of the samples' own time */
};

struct series {
    const struct config_pipeline *pipeline;
    int32_t fields, window, hop;
    struct series_pointer *pointers; /* [fields + 1]: the last is the time's */
    struct series_columns columns;
    struct series_source *buckets[SERIES_BUCKETS]; /* hash table by topic */
    int32_t source_count;
    float *staging;              /* [window + capacity][fields]: what was left over, then the message's samples */
    int64_t next_window, windows; /* of the last push */
    const float *current;        /* the window given last */
    float *normalize_factor, *normalize_term; /* [fields] */
    bool planar;                 /* the tensor is [fields][window] */
};

/* Adds one number to a field's list. */
MUST_CHECK enum error_code series_add(struct series_columns *columns, int field, double value, const char *name, struct error *error);
/* Notes a sample's time: a number (seconds, milliseconds or microseconds by its size) or RFC 3339. */
MUST_CHECK enum error_code series_note_time(struct series_columns *columns, double value, const char *text, size_t length, struct error *error);

MUST_CHECK enum error_code series_pointer_parse(const char *text, struct series_pointer *pointer, struct error *error);

typedef enum error_code series_parse_function(struct series *series, const uint8_t *bytes, size_t length, struct error *error);
series_parse_function series_parse_json, series_parse_cbor, series_parse_csv, series_parse_f32le;

#endif
