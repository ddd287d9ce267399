/* SPDX-License-Identifier: Apache-2.0
 *
 * classes: one tensor of scores; the best ones with their labels. The threshold of model.yaml does not count here: a classifier always
 * says what it takes the input for, and how sure it is. */
#include "agent/task_internal.h"

#include <math.h>
#include <stdlib.h>

static bool is_score_type(const struct tensor *tensor)
{
    return tensor->dtype == DTYPE_F32 || tensor->dtype == DTYPE_F16 || tensor->dtype == DTYPE_I8 || tensor->dtype == DTYPE_U8;
}

/* The only tensor that can be scores, or the one whose name says so; -1: not clear. */
static int find_scores(const struct task_decoder *task, const struct tensor *const *outputs)
{
    int found = -1, named = -1, candidates = 0;
    for (int i = 0; i < task->output_count; i++) {
        if (!is_score_type(outputs[i]))
            continue;
        found = i;
        candidates++;
        if (named < 0 && task_name_has(outputs[i], "prob score softmax"))
            named = i;
    }
    return candidates == 1 ? found : named;
}

static void activate(enum output_activation activation, const float *scores, float *out, int32_t count)
{
    float highest = scores[0], sum = 0;
    for (int32_t i = 1; i < count; i++)
        highest = scores[i] > highest ? scores[i] : highest;
    for (int32_t i = 0; i < count; i++) {
        out[i] = activation == OUTPUT_ACTIVATION_SOFTMAX   ? expf(scores[i] - highest)
                 : activation == OUTPUT_ACTIVATION_SIGMOID ? 1 / (1 + expf(-scores[i]))
                                                           : scores[i];
        sum += out[i];
    }
    for (int32_t i = 0; activation == OUTPUT_ACTIVATION_SOFTMAX && i < count; i++)
        out[i] /= sum;
}

/* Insertion into the list of the best: top is small. A NaN never ranks. Returns how many there are. */
static int32_t rank(const float *scores, int32_t count, int32_t *order, int32_t top)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < count; i++) {
        if (isnan(scores[i]) || (kept == top && scores[i] <= scores[order[top - 1]]))
            continue;
        int32_t at = kept < top ? kept++ : top - 1;
        for (; at > 0 && scores[order[at - 1]] < scores[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return kept;
}

/* The best score's lead over the next one. */
static double lead(const float *scores, int32_t count, int32_t best)
{
    float next = scores[best] - 1;
    for (int32_t i = 0; i < count; i++)
        next = i != best && scores[i] > next ? scores[i] : next;
    return (double)(scores[best] - next);
}

static void write_one(const struct task_decoder *task, int32_t label, struct json_writer *writer)
{
    char number[16];
    json_key(writer, "label");
    json_string(writer, task_label(task, label, number, sizeof number));
    json_key(writer, "score");
    json_float(writer, task_round((double)task->probabilities[label], 1e5));
}

static void write_classes(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    const float *scores = task_floats(task, run, task->scores);
    activate(task->manifest->output.activation, scores, task->probabilities, task->class_count);
    int32_t kept = rank(task->probabilities, task->class_count, task->order, task->manifest->output.top);
    task->margin = kept > 0 ? lead(task->probabilities, task->class_count, task->order[0]) : 0;
    json_object_begin(writer);
    if (kept > 0) {
        write_one(task, task->order[0], writer);
    } else {
        json_key(writer, "label");
        json_null(writer);
    }
    json_key(writer, "top");
    json_array_begin(writer);
    for (int32_t i = 0; i < kept; i++) {
        json_object_begin(writer);
        write_one(task, task->order[i], writer);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
}

enum error_code task_classes_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                                 struct error *error)
{
    (void)inputs;
    int32_t labels = task->manifest->label_count;
    task->scores = find_scores(task, outputs);
    if (task->scores < 0)
        return error_set(error, ERROR_MODEL, "decode: classes needs one output of scores; the model has %d outputs and none is named so",
                         task->output_count);
    int64_t count = shape_elements(&outputs[task->scores]->shape);
    if (count < 1 || (labels != 0 && labels != count))
        return error_set(error, ERROR_MODEL, "output \"%s\" holds %lld scores, model.yaml gives %d labels", outputs[task->scores]->name,
                         (long long)count, labels);
    task->class_count = (int32_t)count;
    task->order = calloc((size_t)task->manifest->output.top, sizeof *task->order);
    task->probabilities = calloc((size_t)count, sizeof *task->probabilities);
    task->write = write_classes;
    if (task->order == NULL || task->probabilities == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %lld scores", (long long)count);
    return ERROR_NONE;
}
