/* SPDX-License-Identifier: Apache-2.0
 *
 * input.h: from a message's bytes to a model's input tensor.
 *
 * image: libjpeg-turbo decodes straight at the DCT scale that suffices; resize, crop, channel order, mean/std, layout and quantisation
 *   are one pass from decoded pixels into the tensor (preprocess.c). The tensor may be NHWC or NCHW, f32, f16, u8 or i8: read off its shape.
 * series: one message may carry many samples; each source (topic) has its own sliding window. A window that a message completes
 *   fills the tensor; a message may complete none (no result yet) or several.
 *   Gap rule: silence longer than gap_us (by the samples' own time where time_field is set, else by arrival) empties the source's window.
 *   Late rule: a sample older than the newest of its source is refused as an error result, the window stays as it was.
 * Bounds: pixels, message bytes, nesting, samples a message, sources (INPUT_SOURCES_MAX; the one silent longest makes room).
 * Memory: all at input_new but the pixel rows of an image, which grow once to the largest image seen. Threads: one owner (a worker);
 *   series of one source must all come to one input. Errors: ERROR_INPUT / ERROR_LIMIT with what was found. */
#ifndef EDDY_AGENT_INPUT_H
#define EDDY_AGENT_INPUT_H

#include "agent/descriptor.h"
#include "base/error.h"
#include "config/config.h"
#include "config/manifest.h"
#include "inference/tensor.h"

struct input;

enum { INPUT_SOURCES_MAX = 1024 };

struct image_geometry {            /* how model coordinates map back to the original image */
    int32_t width, height;         /* of the original */
    float scale_x, scale_y;        /* model pixel = original * scale + offset */
    float offset_x, offset_y;
    int32_t model_width, model_height;
};

/* tensor: the model's input (shape, type, quantisation). Checks that manifest, pipeline and tensor fit together (ERROR_CONFIG). */
MUST_CHECK enum error_code input_new(const struct config_pipeline *pipeline, const struct manifest *manifest, const struct tensor *tensor,
                                     struct input **input_out, struct error *error);
void input_free(struct input *input);

/* How a message left the window of its source, whose samples are numbered from when it was first heard of: no two windows share numbers. */
struct series_leftover {
    const float *samples;          /* [fresh][fields]: the newest in the window, all of them of this message */
    int64_t kept, fresh;           /* in the window: samples in all, fewer than a window; of this message */
    int64_t end;                   /* number of the sample that comes next; 0: no window was touched */
    int64_t newest_us;             /* of the last sample, by its own time; 0 where there is no time_field */
};

/* image: decodes into tensor->data. */
MUST_CHECK enum error_code input_decode_image(struct input *input, const uint8_t *bytes, size_t length, struct tensor *tensor,
                                              struct image_geometry *geometry_out, struct error *error);
/* What the image looks like, without decoding it in full; false: it cannot be used, or is of a kind that has no descriptor (CMYK). */
bool input_describe_image(struct input *input, const uint8_t *bytes, size_t length, struct near_descriptor *descriptor_out);
/* Reads the header alone: what the image is. For limits and reports. */
MUST_CHECK enum error_code input_image_size(const uint8_t *bytes, size_t length, int32_t *width_out, int32_t *height_out, struct error *error);

/* series: takes a message's samples into the source's window. On success *windows_out is how many windows it completed (often 0 or 1).
 * On failure no sample of the message was taken. left_out: borrowed until the next push. */
MUST_CHECK enum error_code input_series_push(struct input *input, const char *source, int64_t arrived_us, const uint8_t *bytes,
                                             size_t length, int *windows_out, struct series_leftover *left_out, struct error *error);
/* Puts back what an earlier run left in a source's window (fresh: all of it). Nothing that can be used, or no memory: the window begins anew. */
void input_series_restore(struct input *input, const char *source, int64_t arrived_us, const struct series_leftover *left);
/* Writes the next completed window of the last push, oldest first, into tensor->data; false: no more. */
bool input_series_next(struct input *input, struct tensor *tensor);
/* The raw samples of the window that input_series_next gave last, before normalisation. Borrowed. */
const float *input_series_window(const struct input *input, size_t *floats_out);
/* What that window looks like; false: it has too many fields for that. */
bool input_describe_window(const struct input *input, struct near_descriptor *descriptor_out);

#endif
