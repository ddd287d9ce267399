/* SPDX-License-Identifier: Apache-2.0
 *
 * tree_ensemble.h: decision trees of ai.onnx.ml (TreeEnsembleClassifier, TreeEnsembleRegressor) in flat, checked form.
 *
 * A row walks each tree from its root: at an inner node feature <mode> threshold leads to `yes`, else to `no`; a leaf adds its weights to
 * its targets. Children always lie behind their parent (checked while importing), so that every walk ends. */
#ifndef EDDY_INFERENCE_TREE_ENSEMBLE_H
#define EDDY_INFERENCE_TREE_ENSEMBLE_H

#include <stdbool.h>
#include <stdint.h>

enum tree_mode { TREE_LEQ, TREE_LT, TREE_GTE, TREE_GT, TREE_EQ, TREE_NEQ, TREE_LEAF };
enum tree_aggregate { TREE_SUM, TREE_AVERAGE, TREE_MIN, TREE_MAX };
enum tree_transform { TREE_NONE, TREE_SOFTMAX, TREE_LOGISTIC };

struct tree_node {
    enum tree_mode mode;
    int32_t feature;
    float threshold;
    int32_t yes, no;            /* inner nodes: indices; leaves: range yes..no of leaf weights */
    bool missing_is_yes;        /* NaN goes to yes */
};

struct tree_weight {
    int32_t target;
    float weight;
};

struct tree_ensemble {
    struct tree_node *nodes;
    struct tree_weight *weights;
    int32_t *roots;
    float *base_values;         /* [targets] or NULL */
    int64_t *labels;            /* classifier: [targets]; NULL: a regressor */
    int32_t node_count, weight_count, root_count, targets, features; /* features: highest index + 1 */
    enum tree_aggregate aggregate;
    enum tree_transform transform;
    bool binary;                /* a classifier of two classes whose leaves speak of one only */
};

#endif
