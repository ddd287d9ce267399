/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/task_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void to_floats(const struct tensor *tensor, float *out)
{
    int64_t count = shape_elements(&tensor->shape);
    bool known = tensor->quantization.count == 1;
    float scale = known ? tensor->quantization.scale[0] : 1;
    int32_t zero = known ? tensor->quantization.zero_point[0] : 0;
    for (int64_t i = 0; i < count; i++)
        out[i] = scale * (float)(element_read(tensor->dtype, tensor->data, i) - zero);
}

const float *task_floats(const struct task_decoder *task, const struct task_run *run, int i)
{
    if (task->scratch[i] == NULL)
        return run->outputs[i]->data;
    to_floats(run->outputs[i], task->scratch[i]);
    return task->scratch[i];
}

const float *task_input_floats(const struct task_decoder *task, const struct task_run *run)
{
    float *scratch = task->scratch[TASK_OUTPUTS_MAX];
    if (scratch == NULL)
        return run->inputs[0]->data;
    to_floats(run->inputs[0], scratch);
    return scratch;
}

const char *task_label(const struct task_decoder *task, int32_t label, char *text, size_t capacity)
{
    if (label >= 0 && label < task->manifest->label_count)
        return task->manifest->labels[label];
    snprintf(text, capacity, "%d", label);
    return text;
}

bool task_name_has(const struct tensor *tensor, const char *words)
{
    while (*words != '\0') {
        size_t length = strcspn(words, " "), name = strlen(tensor->name);
        for (size_t at = 0; at + length <= name; at++) {
            if (memcmp(tensor->name + at, words, length) == 0)
                return true;
        }
        words += length + (words[length] == ' ');
    }
    return false;
}

double task_round(double value, double digits)
{
    return round(value * digits) / digits;
}

static bool add_scratch(const struct tensor *tensor, float **scratch)
{
    if (tensor->dtype == DTYPE_F32)
        return true;
    *scratch = malloc(((size_t)shape_elements(&tensor->shape) + 1) * sizeof(float));
    return *scratch != NULL;
}

static enum error_code fill(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs, struct error *error)
{
    static task_new_function *const decoders[] = {
        [DECODE_CLASSES] = task_classes_new, [DECODE_BOXES] = task_boxes_new, [DECODE_SSD] = task_ssd_new, [DECODE_YOLOX] = task_yolox_new,
        [DECODE_NANODET] = task_nanodet_new, [DECODE_RECONSTRUCTION] = task_reconstruction_new, [DECODE_RAW] = task_raw_new};
    bool memory = add_scratch(inputs[0], &task->scratch[TASK_OUTPUTS_MAX]);
    for (int i = 0; i < task->output_count; i++)
        memory &= add_scratch(outputs[i], &task->scratch[i]);
    if (!memory)
        return error_set(error, ERROR_LIMIT, "no memory to read the model's outputs");
    return decoders[task->manifest->output.decode](task, inputs, outputs, error);
}

enum error_code task_new(const struct manifest *manifest, const struct tensor *const *inputs, int input_count,
                         const struct tensor *const *outputs, int output_count, struct task_decoder **task_out, struct error *error)
{
    if (input_count < 1 || output_count < 1 || output_count > TASK_OUTPUTS_MAX)
        return error_set(error, ERROR_MODEL, "a model with %d inputs and %d outputs", input_count, output_count);
    struct task_decoder *task = calloc(1, sizeof *task);
    if (task == NULL)
        return error_set(error, ERROR_LIMIT, "no memory to read the model's outputs");
    task->manifest = manifest;
    task->output_count = output_count;
    enum error_code code = fill(task, inputs, outputs, error);
    if (code != ERROR_NONE) {
        task_free(task);
        return code;
    }
    *task_out = task;
    return ERROR_NONE;
}

void task_free(struct task_decoder *task)
{
    if (task == NULL)
        return;
    for (int i = 0; i <= TASK_OUTPUTS_MAX; i++)
        free(task->scratch[i]);
    free(task->order);
    free(task->probabilities);
    free(task->candidates);
    free(task);
}

void task_write(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                const struct image_geometry *geometry, struct json_writer *writer)
{
    struct image_geometry identity = {.width = task->model_width, .height = task->model_height, .scale_x = 1, .scale_y = 1,
                                      .model_width = task->model_width, .model_height = task->model_height};
    struct task_run run = {.inputs = inputs, .outputs = outputs, .geometry = geometry != NULL ? geometry : &identity};
    task->margin = 1;
    task->write(task, &run, writer);
}

double task_margin(const struct task_decoder *task)
{
    return task->margin > 0 ? task->margin < 1 ? task->margin : 1 : 0;
}
