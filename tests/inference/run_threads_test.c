/* SPDX-License-Identifier: Apache-2.0
 *
 * A model's results have the same bits for any number of threads, in every run: those in which layers are timed and those in which they are
 * shared, whatever the run before left in the threads' scratch. */
#include "inference/engine.h"
#include "inference/threads.h"

#include "tests/check.h"
#include "tests/inference/onnx_text.h"
#include "tests/inference/threaded_run.h"

enum { CHANNELS = 32, WINDOW = 9, RUNS = 20, THREADS_TESTED = 4, INPUTS = 2, TEXT_BYTES = 1 << 18 };

static size_t add_numbers(char *text, size_t at, int count)
{
    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, TEXT_BYTES - at, "%s%d", i > 0 ? ", " : "", i * 37 % 23 - 11);
    return at;
}

/* Dense, depthwise and dense again, then a sum of two; large enough to be shared. */
static char *model_text(bool bytes)
{
    char *text = malloc(TEXT_BYTES);
    CHECK(text != NULL);
    const char *type = bytes ? "int8" : "float", *input = bytes ? "uint8" : "float";
    size_t at = (size_t)snprintf(text, TEXT_BYTES, "(%s[1,%d,40,40] x) => (%s[1,%d,40,40] a, %s[1,%d,40,40] b, %s[1,%d,20,20] c)<", input, CHANNELS, input,
                                 CHANNELS, input, CHANNELS, input, CHANNELS);
    at += (size_t)snprintf(text + at, TEXT_BYTES - at, "float s = {1}, float t = {64}, uint8 z = {128}, int8 n = {0}, %s[%d,%d,3,3] w = {", type, CHANNELS,
                           CHANNELS);
    at = add_numbers(text, at, CHANNELS * CHANNELS * WINDOW);
    at += (size_t)snprintf(text + at, TEXT_BYTES - at, "}, %s[%d,1,3,3] d = {", type, CHANNELS);
    at = add_numbers(text, at, CHANNELS * WINDOW);
    if (bytes)
        snprintf(text + at, TEXT_BYTES - at, "}>{ a = QLinearConv<pads = [1, 1, 1, 1]>(x, s, z, w, s, n, t, z)"
                 " b = QLinearConv<pads = [1, 1, 1, 1], group = %d>(x, s, z, d, s, n, t, z)"
                 " c = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a) }", CHANNELS);
    else
        snprintf(text + at, TEXT_BYTES - at, "}>{ a = Conv<pads = [1, 1, 1, 1]>(x, w) b = Conv<pads = [1, 1, 1, 1], group = %d>(x, d)"
                 " c = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(a) }", CHANNELS);
    return text;
}

static void fill(struct tensor *tensor, int which)
{
    int64_t count = shape_elements(&tensor->shape);
    for (int64_t i = 0; i < count; i++) {
        if (tensor->dtype == DTYPE_U8)
            ((uint8_t *)tensor->data)[i] = (uint8_t)((i + which) * 7919 >> 4);
        else
            ((float *)tensor->data)[i] = (float)((i + which) * 7919 % 1001) / 500 - 1;
    }
}

static void run_with_threads(const struct model *model, int count, uint8_t *const (*expected)[INPUTS])
{
    struct threaded_run opened = threaded_run_open(model, count);
    struct run *run = opened.run;
    for (int round = 0; round < RUNS; round++) {
        fill(run_input(run, 0), round % INPUTS);
        run_execute(run);
        for (int i = 0; i < model_output_count(model); i++) {
            const struct tensor *seen = run_output(run, i);
            if (count == 1)
                memcpy(expected[i][round % INPUTS], seen->data, tensor_bytes(seen));
            CHECK_INTEGER(memcmp(seen->data, expected[i][round % INPUTS], tensor_bytes(seen)), 0);
        }
    }
    threaded_run_close(&opened);
}

static void try_model(bool bytes)
{
    struct error error = {0};
    struct model *model;
    size_t length;
    char *text = model_text(bytes);
    uint8_t *file = onnx_from_text(text, 21, &length), *expected[8][INPUTS];
    CHECK_OK(model_open_bytes(file, length, "text", NULL, &model, &error), error);
    for (int i = 0; i < model_output_count(model) * INPUTS; i++) {
        expected[i / INPUTS][i % INPUTS] = malloc(tensor_bytes(model_output(model, i / INPUTS)));
        CHECK(expected[i / INPUTS][i % INPUTS] != NULL);
    }
    for (int count = 1; count <= THREADS_TESTED; count++)
        run_with_threads(model, count, expected);
    for (int i = 0; i < model_output_count(model) * INPUTS; i++)
        free(expected[i / INPUTS][i % INPUTS]);
    model_close(model);
    free(file);
    free(text);
}

static void bytes_do_not_depend_on_the_number_of_threads(void)
{
    try_model(true);
}

static void floats_do_not_depend_on_the_number_of_threads(void)
{
    try_model(false);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(bytes_do_not_depend_on_the_number_of_threads), CASE(floats_do_not_depend_on_the_number_of_threads), {0}});
}
