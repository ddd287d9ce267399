/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/preprocess.h"

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
    preprocess->columns = calloc((size_t)preprocess->width, sizeof *preprocess->columns);
    preprocess->rows = calloc((size_t)preprocess->height, sizeof *preprocess->rows);
    if (preprocess->columns == NULL || preprocess->rows == NULL) {
        preprocess_deinit(preprocess);
        return error_set(error, ERROR_LIMIT, "no memory for an input of %d x %d", preprocess->width, preprocess->height);
    }
    return ERROR_NONE;
}

void preprocess_deinit(struct preprocess *preprocess)
{
    free(preprocess->line);
    free(preprocess->rows);
    free(preprocess->columns);
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

static void fill_samples(struct preprocess_sample *samples, int32_t count, int32_t source, float scale, float offset)
{
    for (int32_t i = 0; i < count; i++) {
        float at = ((float)i + 0.5f - offset) / scale; /* in source pixels, edges at whole numbers */
        if (at < 0 || at > (float)source) {
            samples[i] = (struct preprocess_sample){.low = -1, .high = -1};
            continue;
        }
        at -= 0.5f;
        at = at < 0 ? 0 : at > (float)(source - 1) ? (float)(source - 1) : at;
        int32_t low = (int32_t)at;
        samples[i] = (struct preprocess_sample){.low = low, .high = low + 1 < source ? low + 1 : low, .weight = at - (float)low};
    }
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
    fill_samples(preprocess->columns, preprocess->width, width, scale_x, offset_x);
    fill_samples(preprocess->rows, preprocess->height, height, scale_y, offset_y);
    preprocess->source_width = width;
    preprocess->source_height = height;
    return true;
}

static void store(const struct preprocess *preprocess, void *data, int64_t at, int c, float pixel)
{
    switch (preprocess->dtype) {
    case DTYPE_F32: ((float *)data)[at] = pixel * preprocess->factor[c] + preprocess->term[c]; break;
    case DTYPE_F16: ((_Float16 *)data)[at] = (_Float16)(pixel * preprocess->factor[c] + preprocess->term[c]); break;
    default: ((uint8_t *)data)[at] = preprocess->table[c][(uint8_t)(pixel + 0.5f)]; break;
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
    for (int64_t i = 0; i < count; i++) {
        for (int c = 0; c < channels; c++)
            out[i * channels + c] = (float)pixels[i * channels + c] * preprocess->factor[c] + preprocess->term[c];
    }
}

static void blend_rows(struct preprocess *preprocess, const uint8_t *pixels, const struct preprocess_sample *row)
{
    int64_t stride = (int64_t)preprocess->source_width * preprocess->channels;
    const uint8_t *above = pixels + row->low * stride, *below = pixels + row->high * stride;
    float weight = row->weight;
    for (int64_t i = 0; i < stride; i++)
        preprocess->line[i] = (float)above[i] + ((float)below[i] - (float)above[i]) * weight;
}

static void run_row(const struct preprocess *preprocess, int32_t y, bool inside, void *data)
{
    int channels = preprocess->channels;
    int64_t plane = (int64_t)preprocess->width * preprocess->height, row_at = (int64_t)y * preprocess->width;
    for (int32_t x = 0; x < preprocess->width; x++) {
        const struct preprocess_sample *column = &preprocess->columns[x];
        bool padding = !inside || column->low < 0;
        for (int c = 0; c < channels; c++) {
            float pixel = preprocess->pad;
            if (!padding) {
                float left = preprocess->line[column->low * channels + c], right = preprocess->line[column->high * channels + c];
                pixel = left + (right - left) * column->weight;
            }
            int64_t at = preprocess->planar ? c * plane + row_at + x : (row_at + x) * channels + c;
            store(preprocess, data, at, c, pixel);
        }
    }
}

bool preprocess_run(struct preprocess *preprocess, const uint8_t *pixels, int32_t width, int32_t height, void *data)
{
    if (width == preprocess->width && height == preprocess->height && preprocess->dtype == DTYPE_F32) {
        run_plain(preprocess, pixels, data);
        return true;
    }
    if (!fit_to(preprocess, width, height))
        return false;
    for (int32_t y = 0; y < preprocess->height; y++) {
        bool inside = preprocess->rows[y].low >= 0;
        if (inside)
            blend_rows(preprocess, pixels, &preprocess->rows[y]);
        run_row(preprocess, y, inside, data);
    }
    return true;
}
