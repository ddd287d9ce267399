/* SPDX-License-Identifier: Apache-2.0
 *
 * Candidates of any detection head: the best are kept, overlapping ones of a class suppressed, the rest mapped to the original image. */
#include "agent/agreement.h"
#include "agent/task_internal.h"

#include <math.h>
#include <stdlib.h>

enum error_code candidates_prepare(struct task_decoder *task, const struct tensor *input, struct error *error)
{
    const int32_t *dims = input->shape.dims;
    if (input->shape.rank != 4)
        return error_set(error, ERROR_MODEL, "a detection model's input \"%s\" is no image", input->name);
    bool planar = dims[3] != 1 && dims[3] != 3;
    task->model_height = dims[planar ? 2 : 1];
    task->model_width = dims[planar ? 3 : 2];
    task->candidates = calloc(CANDIDATES_MAX, sizeof *task->candidates);
    return task->candidates == NULL ? error_set(error, ERROR_LIMIT, "no memory for detections") : ERROR_NONE;
}

void candidates_begin(struct task_decoder *task)
{
    task->candidate_count = task->candidates_seen = task->near_miss_count = 0;
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static void sort(struct task_decoder *task)
{
    qsort(task->candidates, (size_t)task->candidate_count, sizeof *task->candidates, by_score);
}

bool candidates_want(const struct task_decoder *task, float score)
{
    float floor = task->near_miss_count < NEAR_MISSES_MAX ? 0 : task->near_misses[NEAR_MISSES_MAX - 1].score;
    return score >= task->manifest->output.threshold || score > floor;
}

static void note_near_miss(struct task_decoder *task, const struct candidate *candidate)
{
    int32_t at = task->near_miss_count < NEAR_MISSES_MAX ? task->near_miss_count++ : NEAR_MISSES_MAX - 1;
    for (; at > 0 && task->near_misses[at - 1].score < candidate->score; at--)
        task->near_misses[at] = task->near_misses[at - 1];
    task->near_misses[at] = *candidate;
}

/* However many a model reports, the best CANDIDATES_KEPT come through. */
void candidates_add(struct task_decoder *task, const float box[4], float score, int32_t label)
{
    for (int i = 0; i < 4; i++) {
        if (!isfinite(box[i]))
            return;
    }
    struct candidate candidate = {.box = {box[0], box[1], box[2], box[3]}, .score = score, .label = label, .order = task->candidates_seen};
    if (score < task->manifest->output.threshold) {
        note_near_miss(task, &candidate);
        return;
    }
    task->candidates_seen++;
    if (task->candidate_count == CANDIDATES_MAX) {
        sort(task);
        task->candidate_count = CANDIDATES_KEPT;
    }
    task->candidates[task->candidate_count++] = candidate;
}

static float area(const float box[4])
{
    float width = box[2] - box[0], height = box[3] - box[1];
    return width > 0 && height > 0 ? width * height : 0;
}

static float intersection_over_union(const float a[4], const float b[4])
{
    const float common[4] = {a[0] > b[0] ? a[0] : b[0], a[1] > b[1] ? a[1] : b[1], a[2] < b[2] ? a[2] : b[2], a[3] < b[3] ? a[3] : b[3]};
    float shared = area(common), all = area(a) + area(b) - shared;
    return all > 0 ? shared / all : 0;
}

/* By one of the first `count` objects of the same class. */
static bool is_covered(const struct task_decoder *task, const struct candidate *candidate, int32_t count)
{
    for (int32_t k = 0; k < count; k++) {
        if (task->candidates[k].label == candidate->label &&
            intersection_over_union(task->candidates[k].box, candidate->box) > task->manifest->output.iou)
            return true;
    }
    return false;
}

/* Greedy non-maximum suppression per class, in place. */
static void suppress_overlapping(struct task_decoder *task)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < task->candidate_count; i++) {
        struct candidate candidate = task->candidates[i];
        if (!is_covered(task, &candidate, kept))
            task->candidates[kept++] = candidate;
    }
    task->candidate_count = kept;
}

/* See task_margin. */
static double find_margin(const struct task_decoder *task)
{
    double threshold = (double)task->manifest->output.threshold, certain = agreement_certain(task->manifest), margin = certain;
    for (int32_t i = 0; i < task->candidate_count; i++) {
        double score = (double)task->candidates[i].score;
        margin = score >= certain ? fmin(margin, score - threshold) : margin;
    }
    for (int32_t i = 0; i < task->near_miss_count; i++) {
        if (!is_covered(task, &task->near_misses[i], task->candidate_count))
            return fmin(margin, certain - (double)task->near_misses[i].score);
    }
    return margin;
}

static double to_original(float at, float offset, float scale, int32_t limit)
{
    float pixel = (at - offset) / scale;
    pixel = pixel < 0 ? 0 : pixel > (float)limit ? (float)limit : pixel;
    return task_round((double)pixel, 1e2);
}

static void write_object(const struct task_decoder *task, const struct candidate *candidate, const struct image_geometry *geometry,
                         struct json_writer *writer)
{
    char number[16];
    json_object_begin(writer);
    json_key(writer, "label");
    json_string(writer, task_label(task, candidate->label, number, sizeof number));
    json_key(writer, "score");
    json_float(writer, task_round((double)candidate->score, 1e5));
    json_key(writer, "box");
    json_array_begin(writer);
    for (int i = 0; i < 4; i += 2) {
        json_float(writer, to_original(candidate->box[i], geometry->offset_x, geometry->scale_x, geometry->width));
        json_float(writer, to_original(candidate->box[i + 1], geometry->offset_y, geometry->scale_y, geometry->height));
    }
    json_array_end(writer);
    json_object_end(writer);
}

void candidates_write(struct task_decoder *task, const struct task_run *run, bool suppress, struct json_writer *writer)
{
    sort(task);
    if (task->candidate_count > CANDIDATES_KEPT)
        task->candidate_count = CANDIDATES_KEPT;
    if (suppress)
        suppress_overlapping(task);
    task->margin = find_margin(task);
    json_object_begin(writer);
    json_key(writer, "objects");
    json_array_begin(writer);
    for (int32_t i = 0; i < task->candidate_count; i++)
        write_object(task, &task->candidates[i], run->geometry, writer);
    json_array_end(writer);
    json_object_end(writer);
}
