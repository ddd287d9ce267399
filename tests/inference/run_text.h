/* SPDX-License-Identifier: Apache-2.0
 *
 * run_text.h: runs a model written as text (onnx_text.h) and compares, for tests of operators. Numbers are given as doubles, whatever type the
 * tensors have. Every model also runs with the scalar kernels, and with the constants that it begins with folded or not. */
#ifndef EDDY_TESTS_RUN_TEXT_H
#define EDDY_TESTS_RUN_TEXT_H

#include "inference/engine.h"
#include "tests/check.h"
#include "tests/inference/onnx_text.h"

#include <math.h>

enum { RUN_TEXT_ELEMENTS_MAX = 256 };

struct numbers {
    int count;
    double values[RUN_TEXT_ELEMENTS_MAX];
};
#define NUMBERS(...) (struct numbers){sizeof((double[]){__VA_ARGS__}) / sizeof(double), {__VA_ARGS__}}

static void compare_output(const struct tensor *seen, const struct numbers *expected)
{
    CHECK_INTEGER(shape_elements(&seen->shape), expected->count);
    for (int i = 0; i < expected->count; i++) {
        double value = element_read(seen->dtype, seen->data, i), wanted = expected->values[i];
        if (!(fabs(value - wanted) <= 1e-5 + 1e-4 * fabs(wanted)) && !(isnan(value) && isnan(wanted))) {
            printf("output \"%s\"[%d] is %.9g, expected %.9g\n", seen->name, i, value, wanted);
            check_failed();
        }
    }
}

static void run_opened(struct model *model, const struct numbers *inputs, const struct numbers *outputs)
{
    struct error error = {0};
    struct run *run;
    CHECK_OK(run_new(model, &run, &error), error);
    for (int i = 0; i < model_input_count(model); i++) {
        struct tensor *tensor = run_input(run, i);
        CHECK_INTEGER(shape_elements(&tensor->shape), inputs[i].count);
        for (int k = 0; k < inputs[i].count; k++)
            element_write(tensor->dtype, tensor->data, k, inputs[i].values[k]);
    }
    for (int round = 0; round < 2; round++) { /* the second: nothing is left over from the first */
        run_execute(run);
        for (int i = 0; i < model_output_count(model); i++)
            compare_output(run_output(run, i), &outputs[i]);
    }
    run_free(run);
}

/* inputs and outputs: one struct numbers for each of the model's. */
__attribute__((unused)) static void run_text(const char *text, const struct numbers *inputs, const struct numbers *outputs)
{
    static const char *const cpus[] = {NULL, "scalar"}, *const skipped[] = {NULL, "all"};
    struct error error = {0};
    size_t length;
    uint8_t *bytes = onnx_from_text(text, 21, &length);
    for (int i = 0; i < 4; i++) {
        struct model_options options = {.cpu = cpus[i % 2], .skip_passes = skipped[i / 2]};
        struct model *model;
        CHECK_OK(model_open_bytes(bytes, length, "text", &options, &model, &error), error);
        run_opened(model, inputs, outputs);
        model_close(model);
    }
    free(bytes);
}

/* The model is refused with that code, and the message holds `part`. */
__attribute__((unused)) static void refuse_text(const char *text, enum error_code code, const char *part)
{
    struct error error = {0};
    struct model *model = NULL;
    size_t length;
    uint8_t *bytes = onnx_from_text(text, 21, &length);
    enum error_code seen = model_open_bytes(bytes, length, "text", NULL, &model, &error);
    free(bytes);
    model_close(model);
    if (seen != code || strstr(error.message, part) == NULL) {
        printf("refused with %s: %s\nexpected %s: ...%s...\n", error_code_name(seen), error.message, error_code_name(code), part);
        check_failed();
    }
}

#endif
