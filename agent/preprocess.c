/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/preprocess.h"

#include "inference/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool find_layout(const struct tensor *tensor, struct preprocess *preprocess)
{
    const int32_t *dims = tensor->shape.dims;
    if (tensor->shape.rank != 4 || dims[0] != 1)
        return false;
    preprocess->planar = dims[3] != 1 && dims[3] != 3;
    preprocess->channels = dims[preprocess->planar ? 1 : 3];
    preprocess->height = dims[preprocess->planar ? 2 : 1];
    preprocess->width = dims[preprocess->planar ? 3 : 2];
    return (preprocess->channels == 1 || preprocess->channels == 3) && preprocess->height > 0 && preprocess->width > 0;
}

/* A pixel has 256 values: what each becomes is computed once. */
static void fill_tables(struct preprocess *preprocess, const struct tensor *tensor)
{
    float scale = tensor->quantization.count == 1 ? tensor->quantization.scale[0] : 1;
    int32_t zero = tensor->quantization.count == 1 ? tensor->quantization.zero_point[0] : 0;
    float low = tensor->dtype == DTYPE_U8 ? 0 : -128, high = tensor->dtype == DTYPE_U8 ? 255 : 127;
    for (int c = 0; c < preprocess->channels; c++) {
        for (int i = 0; i < 256; i++) {
            float stored = roundf(((float)i * preprocess->factor[c] + preprocess->term[c]) / scale) + (float)zero;
            preprocess->table[c][i] = (uint8_t)(int32_t)(stored < low ? low : stored > high ? high : stored);
        }
    }
}

/* Every value is moved by the same distance (0, or 128 for i8): one addition instead of a table. */
static bool is_shift(const struct preprocess *preprocess)
{
    for (int c = 0; c < preprocess->channels; c++) {
        for (int i = 0; i < 256; i++) {
            if (preprocess->table[c][i] != (uint8_t)(i + preprocess->table[0][0]))
                return false;
        }
    }
    return true;
}

enum error_code preprocess_init(struct preprocess *preprocess, const struct manifest *manifest, const struct tensor *tensor, struct error *error)
{
    *preprocess = (struct preprocess){.resize = manifest->input.resize, .dtype = tensor->dtype, .pad = (float)manifest->input.pad};
    if (!find_layout(tensor, preprocess))
        return error_set(error, ERROR_CONFIG, "the model's input \"%s\" is no image: expected [1,H,W,C] or [1,C,H,W] with 1 or 3 channels", tensor->name);
    if ((manifest->input.color == COLOR_GRAY) != (preprocess->channels == 1))
        return error_set(error, ERROR_CONFIG, "the model's input has %d channels, its model.yaml says color: %s", preprocess->channels,
                         manifest->input.color == COLOR_GRAY ? "gray" : "rgb or bgr");
    if (tensor->dtype != DTYPE_F32 && tensor->dtype != DTYPE_F16 && tensor->dtype != DTYPE_U8 && tensor->dtype != DTYPE_I8)
        return error_set(error, ERROR_CONFIG, "the model's input is of type %s, expected f32, f16, u8 or i8", dtype_name(tensor->dtype));
    for (int c = 0; c < preprocess->channels; c++) {
        preprocess->factor[c] = 1 / manifest->input.std[c];
        preprocess->term[c] = -manifest->input.mean[c] / manifest->input.std[c];
    }
    if (tensor->dtype == DTYPE_U8 || tensor->dtype == DTYPE_I8)
        fill_tables(preprocess, tensor);
    preprocess->shifts = is_shift(preprocess);
    preprocess->columns = (struct preprocess_filter){.extent = preprocess->width, .taps = calloc((size_t)preprocess->width, sizeof(struct preprocess_taps))};
    preprocess->rows = (struct preprocess_filter){.extent = preprocess->height, .taps = calloc((size_t)preprocess->height, sizeof(struct preprocess_taps))};
    preprocess->row = malloc((size_t)preprocess->width * (size_t)preprocess->channels * sizeof(float));
    if (preprocess->columns.taps == NULL || preprocess->rows.taps == NULL || preprocess->row == NULL) {
        preprocess_deinit(preprocess);
        return error_set(error, ERROR_LIMIT, "no memory for an input of %d x %d", preprocess->width, preprocess->height);
    }
    return ERROR_NONE;
}

void preprocess_deinit(struct preprocess *preprocess)
{
    free(preprocess->line);
    free(preprocess->row);
    free(preprocess->rows.taps);
    free(preprocess->rows.weights);
    free(preprocess->columns.taps);
    free(preprocess->columns.weights);
    *preprocess = (struct preprocess){0};
}

void preprocess_place(const struct preprocess *preprocess, int32_t width, int32_t height, float *scale_x, float *scale_y, float *offset_x,
                      float *offset_y)
{
    float x = (float)preprocess->width / (float)width, y = (float)preprocess->height / (float)height;
    if (preprocess->resize == RESIZE_LETTERBOX)
        x = y = x < y ? x : y;
    else if (preprocess->resize == RESIZE_CROP)
        x = y = x > y ? x : y;
    *scale_x = x;
    *scale_y = y;
    *offset_x = ((float)preprocess->width - (float)width * x) / 2;
    *offset_y = ((float)preprocess->height - (float)height * y) / 2;
}

/* The weights of one position: a triangle around `centre` (in source pixels, edges at whole numbers), `reach` to each side. */
static struct preprocess_taps fill_taps(float centre, float reach, int32_t source, float *weights)
{
    if (centre < 0 || centre > (float)source)
        return (struct preprocess_taps){0};
    int32_t first = (int32_t)floorf(centre - reach + 0.5f), last = (int32_t)floorf(centre + reach + 0.5f);
    first = first < 0 ? 0 : first;
    last = last > source ? source : last;
    if (last <= first) { /* beyond the middle of the outermost pixel */
        first = centre < 1 ? 0 : source - 1;
        last = first + 1;
    }
    float sum = 0;
    for (int32_t i = first; i < last; i++) {
        float weight = 1 - fabsf((float)i + 0.5f - centre) / reach;
        weights[i - first] = weight > 0 ? weight : 0;
        sum += weights[i - first];
    }
    for (int32_t i = first; i < last; i++)
        weights[i - first] = sum > 0 ? weights[i - first] / sum : 1;
    return (struct preprocess_taps){.first = first, .count = last - first};
}

static bool fill_filter(struct preprocess_filter *filter, int32_t source, float scale, float offset)
{
    float reach = scale < 1 ? 1 / scale : 1;
    filter->most = (int32_t)(2 * reach) + 3;
    if (filter->most > filter->capacity) {
        float *grown = realloc(filter->weights, (size_t)filter->extent * (size_t)filter->most * sizeof *grown);
        if (grown == NULL)
            return false;
        filter->weights = grown;
        filter->capacity = filter->most;
    }
    for (int32_t i = 0; i < filter->extent; i++)
        filter->taps[i] = fill_taps(((float)i + 0.5f - offset) / scale, reach, source, filter->weights + (size_t)i * (size_t)filter->most);
    return true;
}

static bool fit_to(struct preprocess *preprocess, int32_t width, int32_t height)
{
    if (preprocess->source_width == width && preprocess->source_height == height)
        return true;
    int32_t needed = width * preprocess->channels;
    if (needed > preprocess->line_capacity) {
        float *grown = realloc(preprocess->line, (size_t)needed * sizeof *grown);
        if (grown == NULL)
            return false;
        preprocess->line = grown;
        preprocess->line_capacity = needed;
    }
    float scale_x, scale_y, offset_x, offset_y;
    preprocess_place(preprocess, width, height, &scale_x, &scale_y, &offset_x, &offset_y);
    preprocess->source_width = 0; /* until both filters are whole */
    if (!fill_filter(&preprocess->columns, width, scale_x, offset_x) || !fill_filter(&preprocess->rows, height, scale_y, offset_y))
        return false;
    preprocess->source_width = width;
    preprocess->source_height = height;
    return true;
}

static void run_plain_bytes(const struct preprocess *preprocess, const uint8_t *pixels, uint8_t *out)
{
    int64_t count = (int64_t)preprocess->width * preprocess->height;
    int channels = preprocess->channels;
    const uint8_t shift = preprocess->table[0][0];
    if (preprocess->shifts) {
        for (int64_t i = 0; i < count * channels; i++)
            out[i] = (uint8_t)(pixels[i] + shift);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        for (int c = 0; c < channels; c++)
            out[i * channels + c] = preprocess->table[c][pixels[i * channels + c]];
    }
}

/* Same size, f32: no interpolation, straight loops. */
static void run_plain(const struct preprocess *preprocess, const uint8_t *pixels, float *out)
{
    int64_t count = (int64_t)preprocess->width * preprocess->height;
    int channels = preprocess->channels;
    if (preprocess->planar && channels == 3) {
        float *first = out, *second = out + count, *third = out + 2 * count;
        const float f0 = preprocess->factor[0], f1 = preprocess->factor[1], f2 = preprocess->factor[2];
        const float t0 = preprocess->term[0], t1 = preprocess->term[1], t2 = preprocess->term[2];
        for (int64_t i = 0; i < count; i++) {
            first[i] = (float)pixels[3 * i] * f0 + t0;
            second[i] = (float)pixels[3 * i + 1] * f1 + t1;
            third[i] = (float)pixels[3 * i + 2] * f2 + t2;
        }
        return;
    }
    enum { BLOCK = 16 * PREPROCESS_CHANNELS_MAX }; /* whole pixels and whole vectors */
    float factor[BLOCK], term[BLOCK];
    for (int i = 0; i < BLOCK; i++) {
        factor[i] = preprocess->factor[i % channels];
        term[i] = preprocess->term[i % channels];
    }
    int64_t at = 0;
    for (; at + BLOCK <= count * channels; at += BLOCK) {
        for (int i = 0; i < BLOCK; i++)
            out[at + i] = (float)pixels[at + i] * factor[i] + term[i];
    }
    for (int i = 0; at + i < count * channels; i++)
        out[at + i] = (float)pixels[at + i] * factor[i] + term[i];
}

/* One row of the source image: those that the filter reaches, weighted. */
static void blend_rows(struct preprocess *preprocess, const uint8_t *pixels, const struct preprocess_taps *taps, const float *weights)
{
    int64_t stride = (int64_t)preprocess->source_width * preprocess->channels;
    const uint8_t *source = pixels + taps->first * stride;
    float *line = preprocess->line;
    for (int64_t i = 0; i < stride; i++)
        line[i] = (float)source[i] * weights[0];
    for (int32_t t = 1; t < taps->count; t++) {
        source += stride;
        for (int64_t i = 0; i < stride; i++)
            line[i] += (float)source[i] * weights[t];
    }
}

static void blend_columns(struct preprocess *preprocess)
{
    int channels = preprocess->channels;
    const struct preprocess_filter *columns = &preprocess->columns;
    for (int32_t x = 0; x < preprocess->width; x++) {
        const struct preprocess_taps *taps = &columns->taps[x];
        const float *weights = columns->weights + (size_t)x * (size_t)columns->most, *from = preprocess->line + (int64_t)taps->first * channels;
        float sums[PREPROCESS_CHANNELS_MAX] = {0};
        for (int32_t t = 0; t < taps->count; t++, from += channels) {
            for (int c = 0; c < channels; c++)
                sums[c] += from[c] * weights[t];
        }
        for (int c = 0; c < channels; c++)
            preprocess->row[x * channels + c] = taps->count > 0 ? sums[c] : preprocess->pad;
    }
}

static void fill_with_padding(struct preprocess *preprocess)
{
    for (int32_t i = 0; i < preprocess->width * preprocess->channels; i++)
        preprocess->row[i] = preprocess->pad;
}

/* From `row` to its place in the tensor, in the tensor's type. */
static void store_row(const struct preprocess *preprocess, int32_t y, void *data)
{
    int channels = preprocess->channels;
    int64_t plane = (int64_t)preprocess->width * preprocess->height, row_at = (int64_t)y * preprocess->width;
    for (int c = 0; c < channels; c++) {
        int64_t at = preprocess->planar ? c * plane + row_at : row_at * channels + c, step = preprocess->planar ? 1 : channels;
        const float *from = preprocess->row + c;
        const float factor = preprocess->factor[c], term = preprocess->term[c];
        if (preprocess->dtype == DTYPE_F32) {
            for (int32_t x = 0; x < preprocess->width; x++)
                ((float *)data)[at + x * step] = from[x * channels] * factor + term;
        } else if (preprocess->dtype == DTYPE_F16) {
            for (int32_t x = 0; x < preprocess->width; x++)
                ((uint16_t *)data)[at + x * step] = half_from_double((double)(from[x * channels] * factor + term));
        } else {
            for (int32_t x = 0; x < preprocess->width; x++)
                ((uint8_t *)data)[at + x * step] = preprocess->table[c][(uint8_t)(from[x * channels] + 0.5f)];
        }
    }
}

bool preprocess_run(struct preprocess *preprocess, const uint8_t *pixels, int32_t width, int32_t height, void *data)
{
    if (width == preprocess->width && height == preprocess->height && preprocess->dtype == DTYPE_F32) {
        run_plain(preprocess, pixels, data);
        return true;
    }
    if (width == preprocess->width && height == preprocess->height && dtype_bytes(preprocess->dtype) == 1 && !preprocess->planar) {
        run_plain_bytes(preprocess, pixels, data);
        return true;
    }
    if (!fit_to(preprocess, width, height))
        return false;
    for (int32_t y = 0; y < preprocess->height; y++) {
        const struct preprocess_taps *taps = &preprocess->rows.taps[y];
        if (taps->count > 0) {
            blend_rows(preprocess, pixels, taps, preprocess->rows.weights + (size_t)y * (size_t)preprocess->rows.most);
            blend_columns(preprocess);
        } else {
            fill_with_padding(preprocess);
        }
        store_row(preprocess, y, data);
    }
    return true;
}
