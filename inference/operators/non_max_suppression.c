/* SPDX-License-Identifier: Apache-2.0
 *
 * NonMaxSuppression: boxes [B, N, 4], scores [B, C, N], then optional numbers: overlap and score thresholds -> [<= bound, 3] of batch, class and
 * box, and how many. For each class of each batch the best box is kept and those that overlap a kept one too much are dropped. */
#include "inference/operators/families.h"
#include "inference/operators/heap.h"
#include "inference/operators/order.h"

#include <math.h>

enum { INPUT_OVERLAP = 2, INPUT_SCORE = 3 };

enum error_code non_max_suppression_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *boxes = &graph->values[node->inputs[0]], *scores = &graph->values[node->inputs[1]];
    struct value *out = &graph->values[node->outputs[0]], *count = &graph->values[node->outputs[1]];
    const int32_t *b = boxes->shape.dims, *s = scores->shape.dims;
    if (boxes->dtype != DTYPE_F32 || scores->dtype != DTYPE_F32)
        return operator_fail(node, ERROR_UNSUPPORTED, error, "expected f32");
    if (boxes->shape.rank != 3 || scores->shape.rank != 3 || b[2] != 4 || b[0] != s[0] || b[1] != s[2] || node->attributes.suppression.boxes_max < 0)
        return operator_fail(node, ERROR_MODEL, error, "boxes and scores that do not fit together");
    for (int i = INPUT_OVERLAP; i <= INPUT_SCORE; i++) {
        const struct value *number = node->inputs[i] >= 0 ? &graph->values[node->inputs[i]] : NULL;
        if (number != NULL && (number->dtype != DTYPE_F32 || shape_elements(&number->shape) != 1))
            return operator_fail(node, ERROR_MODEL, error, "a threshold that is not one f32");
    }
    int64_t each = node->attributes.suppression.boxes_max < b[1] ? node->attributes.suppression.boxes_max : b[1];
    int64_t bound = (int64_t)s[0] * s[1] * each;
    if (bound > TENSOR_ELEMENTS_MAX / 3)
        return operator_fail(node, ERROR_LIMIT, error, "more boxes than eddy takes");
    out->dtype = count->dtype = DTYPE_I64;
    out->shape = (struct shape){.rank = 2, .dims = {(int32_t)bound, 3}};
    count->shape = (struct shape){.rank = 0};
    return ERROR_NONE;
}

struct box {
    float low[2], high[2];
};

/* y0, x0, y1, x1 in any order of corners, or centre x, centre y, width, height. */
static struct box read_box(const float *from, bool centered)
{
    if (centered)
        return (struct box){{from[0] - from[2] / 2, from[1] - from[3] / 2}, {from[0] + from[2] / 2, from[1] + from[3] / 2}};
    return (struct box){{fminf(from[0], from[2]), fminf(from[1], from[3])}, {fmaxf(from[0], from[2]), fmaxf(from[1], from[3])}};
}

static float area(const struct box *box)
{
    return (box->high[0] - box->low[0]) * (box->high[1] - box->low[1]);
}

static float overlap(const struct box *a, const struct box *b)
{
    float height = fminf(a->high[0], b->high[0]) - fmaxf(a->low[0], b->low[0]), width = fminf(a->high[1], b->high[1]) - fmaxf(a->low[1], b->low[1]);
    float common = height > 0 && width > 0 ? height * width : 0, all = area(a) + area(b) - common;
    return all > 0 ? common / all : 0;
}

struct thresholds {
    float overlap, score;
    bool has_score, centered;
};

static bool is_suppressed(const struct thresholds *thresholds, const float *boxes, int64_t candidate, const int64_t *kept, int64_t count)
{
    struct box box = read_box(boxes + candidate * 4, thresholds->centered);
    for (int64_t i = 0; i < count; i++) {
        struct box other = read_box(boxes + kept[i * 3 + 2] * 4, thresholds->centered);
        if (overlap(&box, &other) > thresholds->overlap)
            return true;
    }
    return false;
}

/* One class of one batch; gives how many rows were written. */
static int64_t keep_best(const struct thresholds *thresholds, const float *boxes, const float *scores, int64_t boxes_count, int64_t most,
                         struct heap_entry *heap, int64_t batch, int64_t class, int64_t *rows)
{
    int64_t left = 0, kept = 0;
    for (int64_t i = 0; i < boxes_count; i++) {
        if (!thresholds->has_score || scores[i] > thresholds->score)
            heap[left++] = (struct heap_entry){.key = order_key_f32(scores[i]), .index = i};
    }
    heap_make(heap, left);
    for (; left > 0 && kept < most; left--) {
        int64_t candidate = heap_take(heap, left).index;
        if (is_suppressed(thresholds, boxes, candidate, rows, kept))
            continue;
        rows[kept * 3] = batch;
        rows[kept * 3 + 1] = class;
        rows[kept * 3 + 2] = candidate;
        kept++;
    }
    return kept;
}

static void non_max_suppression_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const int32_t *dims = operation_input(operation, 1)->shape.dims; /* batches, classes, boxes */
    const float *boxes = operation_input_data(operation, data, 0), *scores = operation_input_data(operation, data, 1);
    const float *overlap_limit = operation_input_data(operation, data, INPUT_OVERLAP), *score_limit = operation_input_data(operation, data, INPUT_SCORE);
    int64_t *rows = operation_output_data(operation, data, 0), *count = operation_output_data(operation, data, 1), kept = 0;
    struct thresholds thresholds = {.overlap = overlap_limit != NULL ? *overlap_limit : 0, .score = score_limit != NULL ? *score_limit : 0,
                                    .has_score = score_limit != NULL, .centered = operation->node->attributes.suppression.centered};
    for (int64_t b = 0; b < dims[0]; b++) {
        for (int64_t c = 0; c < dims[1]; c++)
            kept += keep_best(&thresholds, boxes + b * dims[2] * 4, scores + (b * dims[1] + c) * dims[2], dims[2],
                              operation->node->attributes.suppression.boxes_max, scratch, b, c, rows + kept * 3);
    }
    *count = kept;
    for (int64_t i = kept * 3; i < shape_elements(&operation_output(operation, 0)->shape); i++)
        rows[i] = 0;
}

enum error_code non_max_suppression_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->scratch_bytes = ((size_t)operation_input(operation, 1)->shape.dims[2] + 1) * sizeof(struct heap_entry);
    operation->execute = non_max_suppression_execute;
    return ERROR_NONE;
}
