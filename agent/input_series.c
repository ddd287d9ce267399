/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of a message behind what their source had left over; windows cut from that. */
#include "agent/input_internal.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct series_source {
    struct series_source *next;   /* in its bucket */
    int64_t arrived_us;           /* of its last message */
    int64_t newest_us;            /* of its last sample, by the clock that counts for gaps */
    int64_t kept;                 /* samples in `samples`: fewer than a window */
    int64_t end;                  /* number of the sample that comes next */
    float *samples;               /* [window][fields] */
    uint32_t hash;
    char topic[];
};

enum error_code series_add(struct series_columns *columns, int field, double value, const char *name, struct error *error)
{
    if (columns->counts[field] == columns->capacity)
        return error_set(error, ERROR_LIMIT, "more than %lld samples in one message: send smaller ones", (long long)columns->capacity);
    float number = (float)value;
    if (!isfinite(number))
        return error_set(error, ERROR_INPUT, "field %s holds a number that no f32 holds", name);
    columns->values[field * columns->capacity + columns->counts[field]++] = number;
    columns->seen[field] = true;
    return ERROR_NONE;
}

/* [.., window, fields] or [.., fields, window], ones aside; flattened row by row where neither shows. */
static bool is_planar(const struct tensor *tensor, int32_t fields, int32_t window)
{
    int32_t dims[TENSOR_RANK_MAX] = {0};
    int rank = 0;
    for (int i = 0; i < tensor->shape.rank; i++) {
        if (tensor->shape.dims[i] != 1)
            dims[rank++] = tensor->shape.dims[i];
    }
    return rank == 2 && fields != window && dims[0] == fields && dims[1] == window;
}

static enum error_code check_fit(const struct series *series, const struct manifest *manifest, const struct tensor *tensor, struct error *error)
{
    if ((manifest->input.fields != 0 && manifest->input.fields != series->fields) ||
        (manifest->input.window != 0 && manifest->input.window != series->window))
        return error_set(error, ERROR_CONFIG, "the pipeline makes windows of %d samples of %d fields, the model's model.yaml says %d of %d",
                         series->window, series->fields, manifest->input.window, manifest->input.fields);
    if (shape_elements(&tensor->shape) != (int64_t)series->window * series->fields)
        return error_set(error, ERROR_CONFIG, "the pipeline makes windows of %d x %d numbers, the model's input \"%s\" takes %lld",
                         series->window, series->fields, tensor->name, (long long)shape_elements(&tensor->shape));
    if (tensor->dtype != DTYPE_F32 && tensor->dtype != DTYPE_I8 && tensor->dtype != DTYPE_U8)
        return error_set(error, ERROR_CONFIG, "the model's input is of type %s, expected f32, i8 or u8", dtype_name(tensor->dtype));
    return ERROR_NONE;
}

static enum error_code parse_pointers(struct series *series, struct error *error)
{
    if (series->pipeline->input.format == SERIES_CSV || series->pipeline->input.format == SERIES_F32LE)
        return ERROR_NONE; /* columns have names or numbers */
    for (int f = 0; f < series->fields; f++)
        TRY(series_pointer_parse(series->pipeline->input.fields[f], &series->pointers[f], error));
    if (series->pipeline->input.time_field == NULL)
        return ERROR_NONE;
    return series_pointer_parse(series->pipeline->input.time_field, &series->pointers[series->fields], error);
}

enum error_code series_init(struct series *series, const struct config_pipeline *pipeline, const struct manifest *manifest,
                            const struct tensor *tensor, struct error *error)
{
    *series = (struct series){.pipeline = pipeline, .fields = pipeline->input.field_count, .window = pipeline->input.window,
                              .hop = pipeline->input.hop};
    TRY(check_fit(series, manifest, tensor, error));
    size_t fields = (size_t)series->fields;
    int64_t capacity = SERIES_NUMBERS_MAX / series->fields;
    series->planar = is_planar(tensor, series->fields, series->window);
    series->columns.capacity = capacity;
    series->columns.fields = series->fields;
    series->columns.values = malloc(fields * (size_t)capacity * sizeof(float));
    series->staging = malloc(fields * (size_t)(capacity + series->window) * sizeof(float));
    series->pointers = calloc(fields + 1, sizeof *series->pointers);
    series->normalize_factor = calloc(fields, sizeof(float));
    series->normalize_term = calloc(fields, sizeof(float));
    if (series->columns.values == NULL || series->staging == NULL || series->pointers == NULL || series->normalize_factor == NULL ||
        series->normalize_term == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for windows of %d x %d numbers", series->window, series->fields);
    for (int f = 0; f < series->fields; f++) {
        bool given = manifest->input.normalize_mean != NULL;
        series->normalize_factor[f] = given ? 1 / manifest->input.normalize_std[f] : 1;
        series->normalize_term[f] = given ? -manifest->input.normalize_mean[f] / manifest->input.normalize_std[f] : 0;
    }
    return parse_pointers(series, error);
}

static void source_free(struct series_source *source)
{
    free(source->samples);
    free(source);
}

void series_deinit(struct series *series)
{
    for (int b = 0; b < SERIES_BUCKETS; b++) {
        while (series->buckets[b] != NULL) {
            struct series_source *source = series->buckets[b];
            series->buckets[b] = source->next;
            source_free(source);
        }
    }
    free(series->columns.values);
    free(series->staging);
    free(series->pointers);
    free(series->normalize_factor);
    free(series->normalize_term);
}

static uint32_t hash_topic(const char *topic)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *topic != '\0'; topic++)
        hash = (hash ^ (uint8_t)*topic) * 16777619u;
    return hash;
}

static struct series_source *find_source(const struct series *series, const char *topic)
{
    uint32_t hash = hash_topic(topic);
    struct series_source *source = series->buckets[hash % SERIES_BUCKETS];
    while (source != NULL && (source->hash != hash || strcmp(source->topic, topic) != 0))
        source = source->next;
    return source;
}

static void drop_silent_longest(struct series *series)
{
    struct series_source **oldest = NULL;
    for (int b = 0; b < SERIES_BUCKETS; b++) {
        for (struct series_source **at = &series->buckets[b]; *at != NULL; at = &(*at)->next) {
            if (oldest == NULL || (*at)->arrived_us < (*oldest)->arrived_us)
                oldest = at;
        }
    }
    struct series_source *dropped = *oldest;
    *oldest = dropped->next;
    source_free(dropped);
    series->source_count--;
}

static struct series_source *add_source(struct series *series, const char *topic)
{
    if (series->source_count == INPUT_SOURCES_MAX)
        drop_silent_longest(series);
    size_t length = strlen(topic) + 1;
    struct series_source *source = calloc(1, sizeof *source + length);
    float *samples = malloc((size_t)series->window * (size_t)series->fields * sizeof(float));
    if (source == NULL || samples == NULL) {
        free(source);
        free(samples);
        return NULL;
    }
    memcpy(source->topic, topic, length);
    source->samples = samples;
    source->end = clock_wall_us(); /* beyond any number of an earlier one */
    source->hash = hash_topic(topic);
    source->next = series->buckets[source->hash % SERIES_BUCKETS];
    series->buckets[source->hash % SERIES_BUCKETS] = source;
    series->source_count++;
    return source;
}

static enum error_code parse(struct series *series, const uint8_t *bytes, size_t length, struct error *error)
{
    static series_parse_function *const formats[] = {[SERIES_JSON] = series_parse_json, [SERIES_CSV] = series_parse_csv,
                                                     [SERIES_CBOR] = series_parse_cbor, [SERIES_F32LE] = series_parse_f32le};
    struct series_columns *columns = &series->columns;
    const char *const *names = series->pipeline->input.fields;
    for (int f = 0; f < series->fields; f++) {
        columns->counts[f] = 0;
        columns->seen[f] = false;
    }
    columns->has_time = false;
    TRY(formats[series->pipeline->input.format](series, bytes, length, error));
    for (int f = 0; f < series->fields; f++) {
        if (!columns->seen[f])
            return error_set(error, ERROR_INPUT, "field %s is missing", names[f]);
        if (columns->counts[f] != columns->counts[0])
            return error_set(error, ERROR_INPUT, "field %s holds %lld numbers, field %s %lld: expected as many of each", names[0],
                             (long long)columns->counts[0], names[f], (long long)columns->counts[f]);
    }
    if (series->pipeline->input.time_field != NULL && !columns->has_time)
        return error_set(error, ERROR_INPUT, "time field %s is missing", series->pipeline->input.time_field);
    return ERROR_NONE;
}

/* What the source kept, then the message's samples, interleaved; returns how many samples that makes. */
static int64_t stage(struct series *series, const struct series_source *source)
{
    const struct series_columns *columns = &series->columns;
    int64_t fields = series->fields, added = columns->counts[0];
    memcpy(series->staging, source->samples, (size_t)(source->kept * fields) * sizeof(float));
    for (int64_t f = 0; f < fields; f++) {
        const float *from = columns->values + f * columns->capacity;
        float *to = series->staging + source->kept * fields + f;
        for (int64_t i = 0; i < added; i++)
            to[i * fields] = from[i];
    }
    return source->kept + added;
}

enum error_code input_series_push(struct input *input, const char *source_name, int64_t arrived_us, const uint8_t *bytes, size_t length,
                                  int *windows_out, struct series_leftover *left_out, struct error *error)
{
    struct series *series = &input->series;
    const struct series_columns *columns = &series->columns;
    series->next_window = series->windows = 0;
    TRY(parse(series, bytes, length, error));
    struct series_source *source = find_source(series, source_name);
    if (source != NULL && columns->has_time && columns->first_us < source->newest_us)
        return error_set(error, ERROR_INPUT, "late: a sample is %lld us older than the newest of its source",
                         (long long)(source->newest_us - columns->first_us));
    if (source == NULL && (source = add_source(series, source_name)) == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the window of one more source");
    int64_t gap_us = series->pipeline->input.gap_us, begins_us = columns->has_time ? columns->first_us : arrived_us;
    if (gap_us > 0 && begins_us - source->newest_us > gap_us)
        source->kept = 0;
    int64_t samples = stage(series, source);
    series->windows = samples < series->window ? 0 : (samples - series->window) / series->hop + 1;
    int64_t begin = series->windows * series->hop;
    source->kept = samples - begin;
    memcpy(source->samples, series->staging + begin * series->fields, (size_t)(source->kept * series->fields) * sizeof(float));
    source->newest_us = columns->has_time ? columns->last_us : arrived_us;
    source->arrived_us = arrived_us;
    source->end += columns->counts[0];
    int64_t fresh = source->kept < columns->counts[0] ? source->kept : columns->counts[0];
    *left_out = (struct series_leftover){.samples = source->samples + (source->kept - fresh) * series->fields, .kept = source->kept, .fresh = fresh,
                                         .end = source->end, .newest_us = columns->has_time ? columns->last_us : 0};
    *windows_out = (int)series->windows;
    return ERROR_NONE;
}

void input_series_restore(struct input *input, const char *source_name, int64_t arrived_us, const struct series_leftover *left)
{
    struct series *series = &input->series;
    struct series_source *source = left->kept < series->window && left->fresh == left->kept ? add_source(series, source_name) : NULL;
    if (source == NULL)
        return;
    memcpy(source->samples, left->samples, (size_t)(left->kept * series->fields) * sizeof(float));
    source->kept = left->kept;
    source->end = left->end;
    source->arrived_us = arrived_us;
    source->newest_us = series->pipeline->input.time_field != NULL ? left->newest_us : arrived_us;
}

static void store(const struct tensor *tensor, int64_t index, float value)
{
    if (tensor->dtype == DTYPE_F32) {
        ((float *)tensor->data)[index] = value;
        return;
    }
    bool known = tensor->quantization.count == 1;
    float scale = known ? tensor->quantization.scale[0] : 1, zero = known ? (float)tensor->quantization.zero_point[0] : 0;
    float low = tensor->dtype == DTYPE_U8 ? 0 : -128, high = tensor->dtype == DTYPE_U8 ? 255 : 127;
    float stored = roundf(value / scale) + zero;
    stored = stored < low ? low : stored > high ? high : stored;
    ((uint8_t *)tensor->data)[index] = (uint8_t)(int32_t)stored;
}

bool input_series_next(struct input *input, struct tensor *tensor)
{
    struct series *series = &input->series;
    if (series->next_window == series->windows)
        return false;
    series->current = series->staging + series->next_window * series->hop * series->fields;
    series->next_window++;
    for (int64_t i = 0; i < series->window; i++) {
        for (int64_t f = 0; f < series->fields; f++) {
            float value = series->current[i * series->fields + f] * series->normalize_factor[f] + series->normalize_term[f];
            store(tensor, series->planar ? f * series->window + i : i * series->fields + f, value);
        }
    }
    return true;
}

const float *input_series_window(const struct input *input, size_t *floats_out)
{
    *floats_out = (size_t)input->series.window * (size_t)input->series.fields;
    return input->series.current;
}

bool input_describe_window(const struct input *input, struct near_descriptor *descriptor_out)
{
    const struct series *series = &input->series;
    return descriptor_of_window(series->current, series->window, series->fields, series->normalize_factor, series->normalize_term, descriptor_out);
}
