/* SPDX-License-Identifier: Apache-2.0
 *
 * TFLite_Detection_PostProcess: box encodings [1,N,4] (y, x, h, w) against anchors [N,4], class scores [1,N,C] of which the first C - classes
 * are background, non-maximum suppression; results [1,D,4] as y0,x0,y1,x1, [1,D], [1,D] and the count [1]. Behaviour as in
 * tensorflow/lite/kernels/detection_postprocess.cc: fast (each anchor's best class, suppressed across classes) or regular (per class). */
#include "inference/operators/families.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct choice {
    float score;
    int32_t anchor, class;
};

struct detection {
    int64_t anchors, all_classes, classes, most, choices_max;
    size_t boxes_bytes;
};

static bool has_elements(const struct value *value, int64_t elements)
{
    bool type = value->dtype == DTYPE_F32 || ((value->dtype == DTYPE_I8 || value->dtype == DTYPE_U8) && value->quantization.count == 1);
    return type && shape_elements(&value->shape) == elements;
}

enum error_code detection_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *boxes = &graph->values[node->inputs[0]], *scores = &graph->values[node->inputs[1]], *anchors = &graph->values[node->inputs[2]];
    int32_t most = node->attributes.detection.detections_max, classes = node->attributes.detection.classes;
    if (boxes->shape.rank != 3 || scores->shape.rank != 3 || boxes->shape.dims[0] != 1 || boxes->shape.dims[1] != scores->shape.dims[1])
        return operator_fail(node, ERROR_MODEL, error, "expected boxes [1,N,4] and scores [1,N,C]");
    int64_t count = boxes->shape.dims[1];
    if (!has_elements(boxes, count * 4) || !has_elements(anchors, count * 4) || !has_elements(scores, count * scores->shape.dims[2]) ||
        scores->shape.dims[2] < classes)
        return operator_fail(node, ERROR_MODEL, error, "boxes, scores and anchors that do not fit together");
    const struct shape shapes[4] = {{.rank = 3, .dims = {1, most, 4}}, {.rank = 2, .dims = {1, most}}, {.rank = 2, .dims = {1, most}},
                                    {.rank = 1, .dims = {1}}};
    for (int i = 0; i < 4; i++) {
        graph->values[node->outputs[i]].dtype = DTYPE_F32;
        graph->values[node->outputs[i]].shape = shapes[i];
    }
    return ERROR_NONE;
}

static float element(const struct value *value, const void *data, int64_t i)
{
    if (value->dtype == DTYPE_F32)
        return ((const float *)data)[i];
    int32_t stored = value->dtype == DTYPE_U8 ? ((const uint8_t *)data)[i] : ((const int8_t *)data)[i];
    return value->quantization.scale[0] * (float)(stored - value->quantization.zero_point[0]);
}

static void decode_boxes(const struct operation *operation, void *const *data, float *boxes, int64_t count)
{
    const struct value *encoded = operation_input(operation, 0), *anchors = operation_input(operation, 2);
    const void *encoded_data = operation_input_data(operation, data, 0), *anchor_data = operation_input_data(operation, data, 2);
    const float scales[4] = {operation->node->attributes.detection.scale_y, operation->node->attributes.detection.scale_x,
                             operation->node->attributes.detection.scale_h, operation->node->attributes.detection.scale_w};
    for (int64_t i = 0; i < count; i++) {
        float code[4], anchor[4];
        for (int k = 0; k < 4; k++) {
            code[k] = element(encoded, encoded_data, i * 4 + k) / scales[k];
            anchor[k] = element(anchors, anchor_data, i * 4 + k);
        }
        float y = code[0] * anchor[2] + anchor[0], x = code[1] * anchor[3] + anchor[1];
        float half_height = expf(code[2]) * anchor[2] / 2, half_width = expf(code[3]) * anchor[3] / 2;
        boxes[4 * i] = y - half_height;
        boxes[4 * i + 1] = x - half_width;
        boxes[4 * i + 2] = y + half_height;
        boxes[4 * i + 3] = x + half_width;
    }
}

static float intersection_over_union(const float *a, const float *b)
{
    float a_area = (a[2] - a[0]) * (a[3] - a[1]), b_area = (b[2] - b[0]) * (b[3] - b[1]);
    if (!(a_area > 0) || !(b_area > 0))
        return 0;
    float height = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), width = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    float common = fmaxf(height, 0) * fmaxf(width, 0);
    return common / (a_area + b_area - common);
}

static int by_score(const void *left, const void *right)
{
    const struct choice *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->anchor != b->anchor ? (a->anchor < b->anchor ? -1 : 1) : (a->class > b->class) - (a->class < b->class);
}

/* Sorts and keeps the best that do not overlap, at most `most`, at the front; returns how many. */
static int64_t suppress(struct choice *choices, int64_t count, const float *boxes, float threshold, int64_t most)
{
    int64_t kept = 0;
    qsort(choices, (size_t)count, sizeof *choices, by_score);
    for (int64_t i = 0; i < count && kept < most; i++) {
        bool overlaps = false;
        for (int64_t k = 0; k < kept && !overlaps; k++)
            overlaps = intersection_over_union(boxes + 4 * choices[k].anchor, boxes + 4 * choices[i].anchor) > threshold;
        if (!overlaps)
            choices[kept++] = choices[i];
    }
    return kept;
}

static int64_t choose_best_class(const struct operation *operation, const struct detection *detection, const void *scores, struct choice *choices)
{
    const struct value *value = operation_input(operation, 1);
    int64_t background = detection->all_classes - detection->classes, count = 0;
    for (int64_t i = 0; i < detection->anchors; i++) {
        struct choice best = {.score = -INFINITY, .anchor = (int32_t)i};
        for (int64_t c = 0; c < detection->classes; c++) {
            float score = element(value, scores, i * detection->all_classes + background + c);
            if (score > best.score) {
                best.score = score;
                best.class = (int32_t)c;
            }
        }
        if (best.score >= operation->node->attributes.detection.score_threshold)
            choices[count++] = best;
    }
    return count;
}

static int64_t run_regular(const struct operation *operation, const struct detection *detection, const void *scores, const float *boxes,
                           struct choice *choices, struct choice *kept)
{
    const struct value *value = operation_input(operation, 1);
    int64_t background = detection->all_classes - detection->classes, total = 0, per_class = operation->node->attributes.detection.per_class_max;
    for (int64_t c = 0; c < detection->classes; c++) {
        int64_t count = 0;
        for (int64_t i = 0; i < detection->anchors; i++) {
            float score = element(value, scores, i * detection->all_classes + background + c);
            if (score >= operation->node->attributes.detection.score_threshold)
                choices[count++] = (struct choice){.score = score, .anchor = (int32_t)i, .class = (int32_t)c};
        }
        int64_t taken = suppress(choices, count, boxes, operation->node->attributes.detection.iou_threshold,
                                 per_class < detection->most ? per_class : detection->most);
        memcpy(kept + total, choices, (size_t)taken * sizeof *kept);
        qsort(kept, (size_t)(total + taken), sizeof *kept, by_score);
        total = total + taken < detection->most ? total + taken : detection->most;
    }
    return total;
}

static void detection_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct detection *detection = operation->prepared;
    const void *scores = operation_input_data(operation, data, 1);
    float *boxes = scratch;
    struct choice *choices = (struct choice *)((char *)scratch + detection->boxes_bytes), *kept = choices + detection->anchors;
    decode_boxes(operation, data, boxes, detection->anchors);
    int64_t count;
    if (operation->node->attributes.detection.regular) {
        count = run_regular(operation, detection, scores, boxes, choices, kept);
    } else {
        count = choose_best_class(operation, detection, scores, choices);
        count = suppress(choices, count, boxes, operation->node->attributes.detection.iou_threshold, detection->most);
        kept = choices;
    }
    float *out_boxes = operation_output_data(operation, data, 0), *classes = operation_output_data(operation, data, 1);
    float *out_scores = operation_output_data(operation, data, 2), *out_count = operation_output_data(operation, data, 3);
    for (int64_t i = 0; i < detection->most; i++) {
        for (int k = 0; k < 4; k++)
            out_boxes[4 * i + k] = i < count ? boxes[4 * kept[i].anchor + k] : 0;
        classes[i] = i < count ? (float)kept[i].class : 0;
        out_scores[i] = i < count ? kept[i].score : 0;
    }
    *out_count = (float)count;
}

enum error_code detection_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct shape *scores = &operation_input(operation, 1)->shape;
    struct detection *detection = arena_allocate(arena, sizeof *detection);
    if (detection == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    *detection = (struct detection){.anchors = scores->dims[1], .all_classes = scores->dims[2], .classes = operation->node->attributes.detection.classes,
                                    .most = operation->node->attributes.detection.detections_max};
    detection->boxes_bytes = ((size_t)detection->anchors * 4 * sizeof(float) + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    operation->scratch_bytes = detection->boxes_bytes + (size_t)(detection->anchors + 2 * detection->most) * sizeof(struct choice);
    operation->prepared = detection;
    operation->execute = detection_execute;
    return ERROR_NONE;
}
