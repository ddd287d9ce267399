/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/operators/tree_ensemble.h"

#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum error_code tree_ensemble_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct tree_ensemble *trees = node->attributes.trees;
    const struct value *in = &graph->values[node->inputs[0]];
    if (in->dtype != DTYPE_F32 || in->shape.rank < 1 || in->shape.rank > 2 || in->shape.dims[in->shape.rank - 1] < trees->features)
        return operator_fail(node, ERROR_MODEL, error, "expected f32 rows with all features that the trees ask for");
    int32_t rows = in->shape.rank == 2 ? in->shape.dims[0] : 1;
    struct value *scores = &graph->values[node->outputs[trees->labels != NULL ? 1 : 0]];
    scores->dtype = DTYPE_F32;
    scores->shape = (struct shape){.rank = 2, .dims = {rows, trees->targets}};
    if (trees->labels != NULL) {
        graph->values[node->outputs[0]].dtype = DTYPE_I64;
        graph->values[node->outputs[0]].shape = (struct shape){.rank = 1, .dims = {rows}};
    }
    return ERROR_NONE;
}

static bool takes_yes(const struct tree_node *node, float x)
{
    if (isnan(x))
        return node->missing_is_yes;
    switch (node->mode) {
    case TREE_LEQ: return x <= node->threshold;
    case TREE_LT: return x < node->threshold;
    case TREE_GTE: return x >= node->threshold;
    case TREE_GT: return x > node->threshold;
    case TREE_EQ: return x == node->threshold;
    default: return x != node->threshold;
    }
}

static const struct tree_node *find_leaf(const struct tree_ensemble *trees, int32_t root, const float *row)
{
    const struct tree_node *node = &trees->nodes[root];
    while (node->mode != TREE_LEAF)
        node = &trees->nodes[takes_yes(node, row[node->feature]) ? node->yes : node->no];
    return node;
}

static void add_leaf(const struct tree_ensemble *trees, const struct tree_node *leaf, float *scores, bool first)
{
    for (int32_t i = leaf->yes; i < leaf->no; i++) {
        float *score = &scores[trees->weights[i].target], weight = trees->weights[i].weight;
        if (trees->aggregate == TREE_MIN)
            *score = first || weight < *score ? weight : *score;
        else if (trees->aggregate == TREE_MAX)
            *score = first || weight > *score ? weight : *score;
        else
            *score += weight;
    }
}

static void transform(const struct tree_ensemble *trees, float *scores)
{
    float largest = scores[0], sum = 0;
    for (int32_t t = 1; t < trees->targets; t++)
        largest = scores[t] > largest ? scores[t] : largest;
    for (int32_t t = 0; t < trees->targets && trees->transform == TREE_SOFTMAX; t++)
        sum += scores[t] = expf(scores[t] - largest);
    for (int32_t t = 0; t < trees->targets; t++) {
        if (trees->transform == TREE_SOFTMAX)
            scores[t] /= sum;
        else if (trees->transform == TREE_LOGISTIC)
            scores[t] = 1 / (1 + expf(-scores[t]));
    }
}

static void score_row(const struct tree_ensemble *trees, const float *row, float *scores)
{
    memset(scores, 0, (size_t)trees->targets * sizeof *scores);
    for (int32_t r = 0; r < trees->root_count; r++)
        add_leaf(trees, find_leaf(trees, trees->roots[r], row), scores, r == 0);
    for (int32_t t = 0; t < trees->targets; t++) {
        if (trees->aggregate == TREE_AVERAGE)
            scores[t] /= (float)trees->root_count;
        if (trees->base_values != NULL)
            scores[t] += trees->base_values[t];
    }
    if (trees->binary) { /* one score speaks for the second class; the first has its complement */
        float score = scores[0] + scores[1];
        scores[1] = trees->transform == TREE_LOGISTIC ? 1 / (1 + expf(-score)) : score;
        scores[0] = 1 - scores[1];
        return;
    }
    transform(trees, scores);
}

static void tree_ensemble_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct tree_ensemble *trees = operation->node->attributes.trees;
    const struct shape *in = &operation_input(operation, 0)->shape;
    const float *row = operation_input_data(operation, data, 0);
    float *scores = operation_output_data(operation, data, trees->labels != NULL ? 1 : 0);
    int64_t *labels = trees->labels != NULL ? operation_output_data(operation, data, 0) : NULL;
    int32_t rows = in->rank == 2 ? in->dims[0] : 1, columns = in->dims[in->rank - 1];
    (void)scratch;
    for (int32_t i = 0; i < rows; i++, row += columns, scores += trees->targets) {
        score_row(trees, row, scores);
        int32_t best = 0;
        for (int32_t t = 1; t < trees->targets; t++)
            best = scores[t] > scores[best] ? t : best;
        if (labels != NULL)
            labels[i] = trees->labels[best];
    }
}

enum error_code tree_ensemble_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->execute = tree_ensemble_execute;
    return ERROR_NONE;
}
