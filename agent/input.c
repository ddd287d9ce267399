/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/input_internal.h"

#include <stdlib.h>

enum error_code input_new(const struct config_pipeline *pipeline, const struct manifest *manifest, const struct tensor *tensor,
                          struct input **input_out, struct error *error)
{
    struct input *input = calloc(1, sizeof *input);
    if (input == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for an input");
    input->pipeline = pipeline;
    input->manifest = manifest;
    enum error_code code;
    if (pipeline->input.kind == INPUT_IMAGE) {
        code = preprocess_init(&input->preprocess, manifest, tensor, error);
        if (code == ERROR_NONE)
            code = image_decoder_new(&input->decoder, error);
    } else {
        code = series_init(&input->series, pipeline, manifest, tensor, error);
    }
    if (code != ERROR_NONE) {
        input_free(input);
        return code;
    }
    *input_out = input;
    return ERROR_NONE;
}

void input_free(struct input *input)
{
    if (input == NULL)
        return;
    preprocess_deinit(&input->preprocess);
    image_decoder_free(input->decoder);
    series_deinit(&input->series);
    free(input);
}
