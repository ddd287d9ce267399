/* SPDX-License-Identifier: Apache-2.0
 *
 * preprocess.h: from decoded pixels to a model's input tensor in one pass: bilinear resize (half-pixel centres), letterbox or crop,
 * (x - mean) / std, quantisation, NHWC or NCHW.
 *
 * Making an image smaller, the triangle of the bilinear filter grows with the factor, as in Pillow and in torchvision's antialias: without it
 * small models lose accuracy on photos. Positions and weights along both axes are computed once per image size. Threads: one owner. */
#ifndef EDDY_AGENT_PREPROCESS_H
#define EDDY_AGENT_PREPROCESS_H

#include "base/error.h"
#include "config/manifest.h"
#include "inference/tensor.h"

enum { PREPROCESS_CHANNELS_MAX = 3 };

struct preprocess {
    int32_t width, height, channels;         /* of the model */
    bool planar;                             /* NCHW */
    enum resize resize;
    float factor[PREPROCESS_CHANNELS_MAX], term[PREPROCESS_CHANNELS_MAX]; /* model value = pixel * factor + term */
    uint8_t table[PREPROCESS_CHANNELS_MAX][256]; /* bytes: stored value of a pixel */
    bool shifts;                             /* bytes: the tables only add a constant */
    enum dtype dtype;
    float pad;                               /* pixel value of the letterbox */
    int32_t source_width, source_height;     /* for which the filters below hold */
    struct preprocess_filter {
        struct preprocess_taps {
            int32_t first, count;            /* source columns or rows; count 0: padding */
        } *taps;                             /* [extent of the model] */
        float *weights;                      /* [extent][most] */
        int32_t extent, most, capacity;      /* most: weights a position */
    } columns, rows;
    float *line;                             /* one blended source row */
    float *row;                              /* [width][channels]: one row of the model's image */
    int32_t line_capacity;
};

MUST_CHECK enum error_code preprocess_init(struct preprocess *preprocess, const struct manifest *manifest, const struct tensor *tensor,
                                           struct error *error);
void preprocess_deinit(struct preprocess *preprocess);

/* How an image of this size comes to lie in the model's: model pixel = image pixel * scale + offset. */
void preprocess_place(const struct preprocess *preprocess, int32_t width, int32_t height, float *scale_x, float *scale_y, float *offset_x,
                      float *offset_y);
/* pixels: rows of width x channels bytes, dense. false: no memory. */
bool preprocess_run(struct preprocess *preprocess, const uint8_t *pixels, int32_t width, int32_t height, void *data);

#endif
