/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a model file: refused with a message, or loaded, and then run twice, with zeros and with numbers of all sizes. What loads may
 * still be larger than a fuzzer has patience for: such models are not run. */
#include "inference/engine.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RUN_BYTES_MAX = 1 << 18, RUN_MACS_MAX = 1 << 18 };

static void fill(const struct model *model, struct run *run)
{
    uint32_t state = 1;
    for (int i = 0; i < model_input_count(model); i++) {
        struct tensor *tensor = run_input(run, i);
        uint8_t *bytes = tensor->data;
        size_t count = tensor_bytes(tensor);
        for (size_t k = 0; k < count; k++) {
            state = state * 1664525u + 1013904223u;
            bytes[k] = tensor->dtype == DTYPE_BOOL ? state >> 31 : (uint8_t)(state >> 24);
        }
    }
}

static size_t read_outputs(const struct model *model, const struct run *run)
{
    size_t sum = 0;
    for (int i = 0; i < model_output_count(model); i++) {
        const struct tensor *tensor = run_output(run, i);
        size_t count = tensor_bytes(tensor);
        for (size_t k = 0; k < count; k++)
            sum += ((const uint8_t *)tensor->data)[k];
    }
    return sum;
}

static void run_model(const struct model *model)
{
    struct run *run;
    struct error error = {0};
    if (model_memory(model) > RUN_BYTES_MAX || model_macs(model) > RUN_MACS_MAX)
        return;
    if (run_new(model, &run, &error) != ERROR_NONE)
        return;
    run_execute(run);
    fill(model, run);
    run_execute(run);
    if (read_outputs(model, run) == SIZE_MAX)
        abort();
    run_free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model *model = NULL;
    struct error error = {0};
    enum error_code code = model_open_bytes(data, size, "fuzz", NULL, &model, &error);
    if ((code == ERROR_NONE) != (model != NULL) || (code != ERROR_NONE && error.message[0] == '\0'))
        abort();
    if (model != NULL)
        run_model(model);
    model_close(model);
    return 0;
}
