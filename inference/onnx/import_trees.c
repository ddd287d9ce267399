/* SPDX-License-Identifier: Apache-2.0
 *
 * TreeEnsembleClassifier and TreeEnsembleRegressor of ai.onnx.ml (versions 1 to 3). */
#include "inference/onnx/import.h"
#include "inference/operators/tree_ensemble.h"

#include <stdlib.h>
#include <string.h>

enum { TREE_NODES_MAX = 1 << 20 };

struct tree_lists {
    const struct onnx_attribute *tree, *id, *feature, *value, *mode, *yes, *no, *missing;
    const struct onnx_attribute *leaf_tree, *leaf_node, *leaf_target, *leaf_weight;
    int nodes, leaves;
};

/* Where (tree, node id) of the file lies: nodes sorted by that pair. */
struct place {
    int64_t tree, id;
    int32_t index;
};

static int by_place(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->tree != y->tree)
        return x->tree < y->tree ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int32_t find_place(const struct place *places, int count, int64_t tree, int64_t id)
{
    struct place wanted = {.tree = tree, .id = id};
    const struct place *found = bsearch(&wanted, places, (size_t)count, sizeof *places, by_place);
    return found != NULL ? found->index : -1;
}

static const struct onnx_attribute *ints_of(struct importer *importer, const char *name, int count)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    if (attribute != NULL && attribute->int_count == count)
        return attribute;
    import_fail(importer, ERROR_MODEL, "%s has another length than the others", name);
    return NULL;
}

static enum error_code read_lists(struct importer *importer, bool classifier, struct tree_lists *lists)
{
    const struct onnx_attribute *tree = import_attribute(importer, "nodes_treeids");
    const struct onnx_attribute *leaf = import_attribute(importer, classifier ? "class_treeids" : "target_treeids");
    if (tree == NULL || leaf == NULL || tree->int_count < 1 || tree->int_count > TREE_NODES_MAX || leaf->int_count > TREE_NODES_MAX)
        return import_fail(importer, ERROR_MODEL, "no trees, or more than %d nodes", TREE_NODES_MAX);
    lists->nodes = tree->int_count;
    lists->leaves = leaf->int_count;
    lists->tree = tree;
    lists->leaf_tree = leaf;
    lists->value = import_attribute(importer, "nodes_values");
    lists->mode = import_attribute(importer, "nodes_modes");
    lists->leaf_weight = import_attribute(importer, classifier ? "class_weights" : "target_weights");
    lists->missing = import_attribute(importer, "nodes_missing_value_tracks_true");
    lists->id = ints_of(importer, "nodes_nodeids", lists->nodes);
    lists->feature = ints_of(importer, "nodes_featureids", lists->nodes);
    lists->yes = ints_of(importer, "nodes_truenodeids", lists->nodes);
    lists->no = ints_of(importer, "nodes_falsenodeids", lists->nodes);
    lists->leaf_node = ints_of(importer, classifier ? "class_nodeids" : "target_nodeids", lists->leaves);
    lists->leaf_target = ints_of(importer, classifier ? "class_ids" : "target_ids", lists->leaves);
    if (lists->id == NULL || lists->feature == NULL || lists->yes == NULL || lists->no == NULL || lists->leaf_node == NULL ||
        lists->leaf_target == NULL)
        return importer->error->code;
    if (lists->value == NULL || lists->value->float_count != lists->nodes || lists->mode == NULL || lists->mode->string_count != lists->nodes ||
        lists->leaf_weight == NULL || lists->leaf_weight->float_count != lists->leaves)
        return import_fail(importer, ERROR_MODEL, "values, modes and weights of another length than the nodes");
    return ERROR_NONE;
}

static bool read_mode(const char *name, enum tree_mode *mode)
{
    static const char *const names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "LEAF"};
    for (int i = 0; i <= TREE_LEAF; i++) {
        if (strcmp(name, names[i]) == 0) {
            *mode = (enum tree_mode)i;
            return true;
        }
    }
    return false;
}

static enum error_code read_nodes(struct importer *importer, const struct tree_lists *lists, const struct place *places,
                                  struct tree_ensemble *trees, uint8_t *has_parent)
{
    for (int i = 0; i < lists->nodes; i++) {
        struct tree_node *node = &trees->nodes[i];
        int64_t feature = lists->feature->ints[i];
        if (!read_mode(lists->mode->strings[i], &node->mode) || feature < 0 || feature > 1 << 20)
            return import_fail(importer, ERROR_MODEL, "node %d has mode %.40s, feature %lld", i, lists->mode->strings[i], (long long)feature);
        node->threshold = lists->value->floats[i];
        node->missing_is_yes = lists->missing != NULL && i < lists->missing->int_count && lists->missing->ints[i] != 0;
        if (node->mode == TREE_LEAF)
            continue;
        node->feature = (int32_t)feature;
        trees->features = node->feature + 1 > trees->features ? node->feature + 1 : trees->features;
        node->yes = find_place(places, lists->nodes, lists->tree->ints[i], lists->yes->ints[i]);
        node->no = find_place(places, lists->nodes, lists->tree->ints[i], lists->no->ints[i]);
        if (node->yes <= i || node->no <= i)
            return import_fail(importer, ERROR_UNSUPPORTED, "node %d leads to one that is not behind it", i);
        has_parent[node->yes] = has_parent[node->no] = 1;
    }
    for (int i = 0; i < lists->nodes; i++) {
        if (!has_parent[i])
            trees->roots[trees->root_count++] = i;
    }
    return ERROR_NONE;
}

/* Counting sort of the weights by their leaf. */
static enum error_code read_leaves(struct importer *importer, const struct tree_lists *lists, const struct place *places,
                                   struct tree_ensemble *trees, int32_t *leaf_of)
{
    for (int i = 0; i < lists->leaves; i++) {
        leaf_of[i] = find_place(places, lists->nodes, lists->leaf_tree->ints[i], lists->leaf_node->ints[i]);
        int64_t target = lists->leaf_target->ints[i];
        if (leaf_of[i] < 0 || trees->nodes[leaf_of[i]].mode != TREE_LEAF || target < 0 || target >= trees->targets)
            return import_fail(importer, ERROR_MODEL, "weight %d belongs to no leaf or no target", i);
        trees->nodes[leaf_of[i]].no++;
    }
    int32_t at = 0;
    for (int i = 0; i < lists->nodes; i++) {
        struct tree_node *node = &trees->nodes[i];
        if (node->mode != TREE_LEAF)
            continue;
        int32_t count = node->no;
        node->yes = node->no = at;
        at += count;
    }
    for (int i = 0; i < lists->leaves; i++)
        trees->weights[trees->nodes[leaf_of[i]].no++] =
            (struct tree_weight){.target = (int32_t)lists->leaf_target->ints[i], .weight = lists->leaf_weight->floats[i]};
    return ERROR_NONE;
}

static enum error_code read_options(struct importer *importer, bool classifier, struct tree_ensemble *trees)
{
    if (import_text_is(importer, "post_transform", "SOFTMAX"))
        trees->transform = TREE_SOFTMAX;
    else if (import_text_is(importer, "post_transform", "LOGISTIC"))
        trees->transform = TREE_LOGISTIC;
    else if (import_attribute(importer, "post_transform") != NULL && !import_text_is(importer, "post_transform", "NONE"))
        return import_fail(importer, ERROR_UNSUPPORTED, "this post_transform");
    static const char *const aggregates[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    for (int i = 0; i < 4; i++) {
        if (import_text_is(importer, "aggregate_function", aggregates[i]))
            trees->aggregate = (enum tree_aggregate)i;
    }
    const struct onnx_attribute *base = import_attribute(importer, "base_values");
    const struct onnx_attribute *labels = import_attribute(importer, "classlabels_int64s");
    if (classifier && (labels == NULL || labels->int_count < 1 || labels->int_count > 1 << 16))
        return import_fail(importer, ERROR_UNSUPPORTED, "class labels that are no integers");
    int64_t targets = classifier ? labels->int_count : import_int(importer, "n_targets", 1);
    if (targets < 1 || targets > 1 << 16)
        return import_fail(importer, ERROR_MODEL, "%lld targets", (long long)targets);
    trees->targets = (int32_t)targets;
    trees->labels = classifier ? labels->ints : NULL;
    if (base != NULL && base->float_count == trees->targets)
        trees->base_values = base->floats;
    else if (base != NULL && base->float_count != 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "%d base values for %d targets", base->float_count, trees->targets);
    return ERROR_NONE;
}

static enum error_code read_trees(struct importer *importer, bool classifier, struct tree_ensemble *trees)
{
    struct tree_lists lists;
    struct arena *arena = &importer->graph->arena;
    TRY(read_options(importer, classifier, trees));
    TRY(read_lists(importer, classifier, &lists));
    struct place *places = arena_allocate_array(arena, (size_t)lists.nodes, sizeof *places);
    uint8_t *has_parent = arena_allocate_array(arena, (size_t)lists.nodes, 1);
    int32_t *leaf_of = arena_allocate_array(arena, (size_t)lists.leaves + 1, sizeof *leaf_of);
    trees->nodes = arena_allocate_array(arena, (size_t)lists.nodes, sizeof *trees->nodes);
    trees->roots = arena_allocate_array(arena, (size_t)lists.nodes, sizeof *trees->roots);
    trees->weights = arena_allocate_array(arena, (size_t)lists.leaves + 1, sizeof *trees->weights);
    if (places == NULL || has_parent == NULL || leaf_of == NULL || trees->nodes == NULL || trees->roots == NULL || trees->weights == NULL)
        return import_fail(importer, ERROR_LIMIT, "the trees need more memory than eddy allows");
    for (int i = 0; i < lists.nodes; i++)
        places[i] = (struct place){.tree = lists.tree->ints[i], .id = lists.id->ints[i], .index = i};
    qsort(places, (size_t)lists.nodes, sizeof *places, by_place);
    trees->node_count = lists.nodes;
    trees->weight_count = lists.leaves;
    TRY(read_nodes(importer, &lists, places, trees, has_parent));
    TRY(read_leaves(importer, &lists, places, trees, leaf_of));
    bool only_one = classifier && trees->targets == 2;
    for (int i = 0; i < lists.leaves; i++)
        only_one = only_one && trees->weights[i].target == trees->weights[0].target;
    trees->binary = only_one;
    return ERROR_NONE;
}

static enum error_code import_tree_ensemble(struct importer *importer)
{
    bool classifier = strcmp(importer->node->op, "TreeEnsembleClassifier") == 0;
    int32_t input, output;
    TRY(import_input(importer, 0, true, &input));
    struct tree_ensemble *trees = arena_allocate(&importer->graph->arena, sizeof *trees);
    if (trees == NULL)
        return import_fail(importer, ERROR_LIMIT, "the trees need more memory than eddy allows");
    TRY(read_trees(importer, classifier, trees));
    struct node *node = import_node(importer, OPERATOR_TREE_ENSEMBLE, &input, 1, classifier ? 2 : 1);
    if (node == NULL)
        return importer->error->code;
    node->attributes.trees = trees;
    int32_t scores = node->outputs[classifier ? 1 : 0];
    TRY(import_finish(importer, &output));
    TRY(import_bind(importer, 0, output));
    return classifier ? import_bind(importer, 1, scores) : ERROR_NONE;
}

const struct import_row import_tree_rows[] = {
    {"TreeEnsembleClassifier", import_tree_ensemble, OPERATOR_TREE_ENSEMBLE, "f32", "integer labels"},
    {"TreeEnsembleRegressor", import_tree_ensemble, OPERATOR_TREE_ENSEMBLE, "f32", ""},
    {0},
};
