/* SPDX-License-Identifier: Apache-2.0
 *
 * From a detection model's output tensors to candidates: four families of heads. */
#include "agent/task_internal.h"

#include <math.h>

/* Class 0 is the background where there is one class more than labels: how many classes to pass over. */
static int32_t background(const struct task_decoder *task)
{
    return task->manifest->label_count > 0 && task->class_count == task->manifest->label_count + 1;
}

static enum error_code check_labels(const struct task_decoder *task, int32_t allowed_more, struct error *error)
{
    int32_t labels = task->manifest->label_count;
    if (task->class_count < 1 || (labels != 0 && (task->class_count < labels || task->class_count > labels + allowed_more)))
        return error_set(error, ERROR_MODEL, "the model knows %d classes, model.yaml gives %d labels", task->class_count, labels);
    return ERROR_NONE;
}

/* boxes: UltraFace and its like: scores [1,N,C] after softmax, boxes [1,N,4] as x0,y0,x1,y1 in 0..1. */
static void write_boxes(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    const float *scores = task_floats(task, run, task->scores), *boxes = task_floats(task, run, task->boxes);
    int32_t count = run->outputs[task->scores]->shape.dims[1], classes = task->class_count, first = background(task);
    const float width = (float)task->model_width, height = (float)task->model_height;
    candidates_begin(task);
    for (int64_t n = 0; n < count; n++) {
        for (int32_t c = first; c < classes; c++) {
            if (!candidates_want(task, scores[n * classes + c]))
                continue;
            const float *b = boxes + n * 4, box[4] = {b[0] * width, b[1] * height, b[2] * width, b[3] * height};
            candidates_add(task, box, scores[n * classes + c], c - first);
        }
    }
    candidates_write(task, run, true, writer);
}

enum error_code task_boxes_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                               struct error *error)
{
    TRY(candidates_prepare(task, inputs[0], error));
    bool shaped = task->output_count == 2 && outputs[0]->shape.rank == 3 && outputs[1]->shape.rank == 3 &&
                  outputs[0]->shape.dims[0] == 1 && outputs[1]->shape.dims[0] == 1 && outputs[0]->shape.dims[1] == outputs[1]->shape.dims[1];
    task->boxes = 1;
    if (shaped && outputs[0]->shape.dims[2] == 4 && (outputs[1]->shape.dims[2] != 4 || task_name_has(outputs[0], "box loc")))
        task->boxes = 0;
    task->scores = 1 - task->boxes;
    if (!shaped || outputs[task->boxes]->shape.dims[2] != 4)
        return error_set(error, ERROR_MODEL, "decode: boxes expects two outputs, scores [1,N,C] and boxes [1,N,4]");
    task->class_count = outputs[task->scores]->shape.dims[2];
    task->write = write_boxes;
    return check_labels(task, 1, error);
}

/* ssd: TFLite_Detection_PostProcess: boxes [1,N,4] as y0,x0,y1,x1 in 0..1, classes [1,N], scores [1,N], count [1]; suppression is done. */
static void write_ssd(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    const float *boxes = task_floats(task, run, 0), *classes = task_floats(task, run, 1), *scores = task_floats(task, run, 2);
    const float width = (float)task->model_width, height = (float)task->model_height;
    float told = task_floats(task, run, 3)[0];
    int64_t limit = shape_elements(&run->outputs[2]->shape), count = told > 0 && told < (float)limit ? (int64_t)told : told > 0 ? limit : 0;
    candidates_begin(task);
    for (int64_t n = 0; n < count; n++) {
        if (!candidates_want(task, scores[n]) || !(classes[n] >= 0 && classes[n] < 1e6f))
            continue;
        const float *b = boxes + n * 4, box[4] = {b[1] * width, b[0] * height, b[3] * width, b[2] * height};
        candidates_add(task, box, scores[n], (int32_t)classes[n]);
    }
    candidates_write(task, run, false, writer);
}

enum error_code task_ssd_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                             struct error *error)
{
    TRY(candidates_prepare(task, inputs[0], error));
    int64_t count = task->output_count == 4 ? shape_elements(&outputs[2]->shape) : -1;
    if (count < 0 || shape_elements(&outputs[0]->shape) != 4 * count || shape_elements(&outputs[1]->shape) != count ||
        shape_elements(&outputs[3]->shape) != 1)
        return error_set(error, ERROR_MODEL, "decode: ssd expects four outputs: boxes [1,N,4], classes [1,N], scores [1,N], count [1]");
    task->write = write_ssd;
    return ERROR_NONE;
}

static const int32_t stride_sizes[TASK_STRIDES] = {8, 16, 32};

static int32_t cells(int32_t length, int32_t stride)
{
    return (length + stride - 1) / stride;
}

/* yolox: [1,N,5+C]: centre and log size in strides from each cell's corner, then objectness and class scores (after sigmoid). */
static void write_yolox(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    const float *row = task_floats(task, run, 0);
    int32_t classes = task->class_count;
    candidates_begin(task);
    for (int s = 0; s < TASK_STRIDES; s++) {
        const float stride = (float)task->strides[s].stride;
        int64_t count = (int64_t)task->strides[s].columns * task->strides[s].rows;
        for (int64_t i = 0; i < count; i++, row += 5 + classes) {
            float x = (row[0] + (float)(i % task->strides[s].columns)) * stride, y = (row[1] + (float)(i / task->strides[s].columns)) * stride;
            float half_width = expf(row[2]) * stride / 2, half_height = expf(row[3]) * stride / 2;
            const float box[4] = {x - half_width, y - half_height, x + half_width, y + half_height};
            for (int32_t c = 0; c < classes; c++) {
                float score = row[4] * row[5 + c];
                if (candidates_want(task, score))
                    candidates_add(task, box, score, c);
            }
        }
    }
    candidates_write(task, run, true, writer);
}

static int64_t prepare_strides(struct task_decoder *task)
{
    int64_t sum = 0;
    for (int s = 0; s < TASK_STRIDES; s++) {
        task->strides[s].stride = stride_sizes[s];
        task->strides[s].columns = cells(task->model_width, stride_sizes[s]);
        task->strides[s].rows = cells(task->model_height, stride_sizes[s]);
        sum += (int64_t)task->strides[s].columns * task->strides[s].rows;
    }
    return sum;
}

enum error_code task_yolox_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                               struct error *error)
{
    TRY(candidates_prepare(task, inputs[0], error));
    int64_t expected = prepare_strides(task);
    const struct shape *shape = &outputs[0]->shape;
    if (task->output_count != 1 || shape->rank != 3 || shape->dims[0] != 1 || shape->dims[1] != expected || shape->dims[2] < 6)
        return error_set(error, ERROR_MODEL, "decode: yolox expects one output [1,%lld,5+classes] for an image of %d x %d", (long long)expected,
                         task->model_width, task->model_height);
    task->class_count = shape->dims[2] - 5;
    task->write = write_yolox;
    return check_labels(task, 0, error);
}

/* The mean of a softmax over bins 0..n-1 (Generalized Focal Loss, arXiv:2006.04388, eq. 6). */
static float expectation(const float *logits, int32_t bins)
{
    float highest = logits[0], sum = 0, weighted = 0;
    for (int32_t i = 1; i < bins; i++)
        highest = logits[i] > highest ? logits[i] : highest;
    for (int32_t i = 0; i < bins; i++) {
        float weight = expf(logits[i] - highest);
        sum += weight;
        weighted += weight * (float)i;
    }
    return weighted / sum;
}

static void add_nanodet_cell(struct task_decoder *task, const float *scores, const float *distances, float x, float y, float stride)
{
    bool sized = false;
    float box[4];
    for (int32_t c = 0; c < task->class_count; c++) {
        if (!candidates_want(task, scores[c]))
            continue;
        if (!sized) {
            float side[4];
            for (int k = 0; k < 4; k++)
                side[k] = expectation(distances + (int64_t)k * task->bins, task->bins) * stride;
            box[0] = x - side[0];
            box[1] = y - side[1];
            box[2] = x + side[2];
            box[3] = y + side[3];
            sized = true;
        }
        candidates_add(task, box, scores[c], c);
    }
}

/* nanodet: per stride class scores (after sigmoid) and, for each side, a distribution over distances in strides. */
static void write_nanodet(struct task_decoder *task, const struct task_run *run, struct json_writer *writer)
{
    candidates_begin(task);
    for (int s = 0; s < TASK_STRIDES; s++) {
        const float *scores = task_floats(task, run, task->strides[s].scores), *distances = task_floats(task, run, task->strides[s].distances);
        const float stride = (float)task->strides[s].stride, middle = (stride - 1) / 2;
        int32_t columns = task->strides[s].columns;
        for (int64_t i = 0; i < (int64_t)columns * task->strides[s].rows; i++)
            add_nanodet_cell(task, scores + i * task->class_count, distances + i * 4 * task->bins, (float)(i % columns) * stride + middle,
                             (float)(i / columns) * stride + middle, stride);
    }
    candidates_write(task, run, true, writer);
}

/* The output of a stride that holds class scores (or distances), by its number of cells and then its name; -1: none. */
static int find_head(const struct task_decoder *task, const struct tensor *const *outputs, int s, const char *names)
{
    int64_t count = (int64_t)task->strides[s].columns * task->strides[s].rows;
    for (int i = 0; i < task->output_count; i++) {
        const struct shape *shape = &outputs[i]->shape;
        if (shape->rank == 3 && shape->dims[0] == 1 && shape->dims[1] == count && task_name_has(outputs[i], names))
            return i;
    }
    return -1;
}

enum error_code task_nanodet_new(struct task_decoder *task, const struct tensor *const *inputs, const struct tensor *const *outputs,
                                 struct error *error)
{
    TRY(candidates_prepare(task, inputs[0], error));
    prepare_strides(task);
    for (int s = 0; s < TASK_STRIDES; s++) {
        int scores = find_head(task, outputs, s, "cls"), distances = find_head(task, outputs, s, "dis reg");
        if (scores < 0 || distances < 0)
            return error_set(error, ERROR_MODEL, "decode: nanodet expects outputs named cls... and dis... of [1,%d,..] for stride %d",
                             task->strides[s].columns * task->strides[s].rows, task->strides[s].stride);
        int32_t classes = outputs[scores]->shape.dims[2], sides = outputs[distances]->shape.dims[2];
        if (sides % 4 != 0 || sides / 4 < 2 || sides / 4 > TASK_BINS_MAX || (s > 0 && (classes != task->class_count || sides / 4 != task->bins)))
            return error_set(error, ERROR_MODEL, "outputs \"%s\" and \"%s\" do not belong together", outputs[scores]->name, outputs[distances]->name);
        task->strides[s].scores = scores;
        task->strides[s].distances = distances;
        task->class_count = classes;
        task->bins = sides / 4;
    }
    task->write = write_nanodet;
    return check_labels(task, 0, error);
}
