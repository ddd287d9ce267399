/* SPDX-License-Identifier: Apache-2.0
 *
 * input_internal.h: what input.c, input_image.c and input_series.c share: the struct behind input.h. */
#ifndef EDDY_AGENT_INPUT_INTERNAL_H
#define EDDY_AGENT_INPUT_INTERNAL_H

#include "agent/input.h"
#include "agent/preprocess.h"
#include "agent/series.h"

struct image_decoder;

struct input {
    const struct config_pipeline *pipeline;
    const struct manifest *manifest;
    struct preprocess preprocess;     /* images */
    struct image_decoder *decoder;
    struct series series;             /* series */
};

MUST_CHECK enum error_code image_decoder_new(struct image_decoder **decoder_out, struct error *error);
void image_decoder_free(struct image_decoder *decoder);

MUST_CHECK enum error_code series_init(struct series *series, const struct config_pipeline *pipeline, const struct manifest *manifest,
                                       const struct tensor *tensor, struct error *error);
void series_deinit(struct series *series);

#endif
