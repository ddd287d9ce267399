/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a series message in each format. The first two bytes are settings: bits 0-1 the format, bit 2 a time field, bit 3 a CSV
 * header, bit 4 the delimiter ';', bits 5-7 the hop less one; the second byte where the message is cut in two, so that windows span
 * messages. Windows hold finite numbers, and a message that was refused leaves the window as it was. */
#include "agent/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS = 3, WINDOW = 4 };

static void make_pipeline(uint8_t settings, struct config_pipeline *pipeline)
{
    static const char *pointers[] = {"/ax", "/ay", "/az"}, *columns[] = {"ax", "ay", "az"}, *numbers[] = {"#1", "#2", "#3"};
    enum series_format format = (enum series_format)(settings & 3);
    bool timed = (settings & 4) != 0 && format != SERIES_F32LE, header = format == SERIES_CSV && (settings & 8) != 0;
    *pipeline = (struct config_pipeline){.name = "fuzz"};
    pipeline->input.kind = INPUT_SERIES;
    pipeline->input.format = format;
    pipeline->input.fields = format != SERIES_CSV ? pointers : header ? columns : numbers;
    pipeline->input.field_count = FIELDS;
    pipeline->input.window = WINDOW;
    pipeline->input.hop = 1 + (settings >> 5) % WINDOW;
    pipeline->input.gap_us = 1000000;
    pipeline->input.time_field = !timed ? NULL : format != SERIES_CSV ? "/t" : header ? "t" : "#4";
    pipeline->input.delimiter = (settings & 16) != 0 ? ';' : ',';
    pipeline->input.header = header;
}

static void push(struct input *input, struct tensor *tensor, const uint8_t *bytes, size_t size, int64_t now_us)
{
    struct error error = {0};
    int windows = 0, seen = 0;
    struct series_leftover left;
    if (input_series_push(input, "source", now_us, bytes, size, &windows, &left, &error) != ERROR_NONE) {
        if (error.message[0] == '\0' || input_series_next(input, tensor))
            abort();
        return;
    }
    for (; input_series_next(input, tensor); seen++) {
        for (int i = 0; i < FIELDS * WINDOW; i++) {
            if (!isfinite(((const float *)tensor->data)[i]))
                abort();
        }
    }
    if (seen != windows)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float values[FIELDS * WINDOW];
    struct tensor tensor = {.name = "x", .dtype = DTYPE_F32, .shape = {.rank = 3, .dims = {1, WINDOW, FIELDS}}, .data = values};
    struct manifest manifest = {.name = "fuzz"};
    struct config_pipeline pipeline;
    struct error error = {0};
    static struct input *inputs[256]; /* one for each setting, kept: their windows carry on, as an agent's do */
    if (size < 2)
        return 0;
    make_pipeline(data[0], &pipeline);
    static struct config_pipeline pipelines[256];
    if (inputs[data[0]] == NULL) {
        pipelines[data[0]] = pipeline;
        if (input_new(&pipelines[data[0]], &manifest, &tensor, &inputs[data[0]], &error) != ERROR_NONE)
            abort();
    }
    size_t cut = data[1] < size - 2 ? data[1] : size - 2;
    push(inputs[data[0]], &tensor, data + 2, cut, 0);
    push(inputs[data[0]], &tensor, data + 2 + cut, size - 2 - cut, 500000);
    push(inputs[data[0]], &tensor, data + 2, size - 2, 5000000);
    return 0;
}
