/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/graph.h"

#include "base/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[OPERATOR_COUNT] = {
    [OPERATOR_CONV] = "Conv", [OPERATOR_DEPTHWISE_CONV] = "DepthwiseConv", [OPERATOR_CONV_TRANSPOSE] = "ConvTranspose",
    [OPERATOR_AVERAGE_POOL] = "AveragePool", [OPERATOR_MAX_POOL] = "MaxPool", [OPERATOR_GLOBAL_AVERAGE_POOL] = "GlobalAveragePool",
    [OPERATOR_RESIZE] = "Resize", [OPERATOR_PAD] = "Pad", [OPERATOR_SHUFFLE_CHANNELS] = "ShuffleChannels",
    [OPERATOR_FULLY_CONNECTED] = "FullyConnected", [OPERATOR_MATMUL] = "MatMul", [OPERATOR_LSTM] = "LSTM", [OPERATOR_LSTM_8] = "LSTM8",
    [OPERATOR_ADD] = "Add", [OPERATOR_SUB] = "Sub", [OPERATOR_MUL] = "Mul", [OPERATOR_DIV] = "Div", [OPERATOR_POW] = "Pow",
    [OPERATOR_MIN] = "Min", [OPERATOR_MAX] = "Max", [OPERATOR_LESS] = "Less", [OPERATOR_GREATER] = "Greater", [OPERATOR_EQUAL] = "Equal",
    [OPERATOR_AND] = "And", [OPERATOR_OR] = "Or", [OPERATOR_WHERE] = "Where", [OPERATOR_RELU] = "Relu", [OPERATOR_CLIP] = "Clip",
    [OPERATOR_LEAKY_RELU] = "LeakyRelu", [OPERATOR_PRELU] = "PRelu", [OPERATOR_SIGMOID] = "Sigmoid", [OPERATOR_TANH] = "Tanh",
    [OPERATOR_HARD_SIGMOID] = "HardSigmoid", [OPERATOR_HARD_SWISH] = "HardSwish", [OPERATOR_EXP] = "Exp", [OPERATOR_LOG] = "Log",
    [OPERATOR_SQRT] = "Sqrt", [OPERATOR_ABS] = "Abs", [OPERATOR_NEG] = "Neg", [OPERATOR_ERF] = "Erf", [OPERATOR_NOT] = "Not",
    [OPERATOR_BATCH_NORM] = "BatchNormalization", [OPERATOR_SOFTMAX] = "Softmax", [OPERATOR_CAST] = "Cast", [OPERATOR_QUANTIZE] = "Quantize",
    [OPERATOR_DEQUANTIZE] = "Dequantize", [OPERATOR_REQUANTIZE] = "Requantize", [OPERATOR_RESHAPE] = "Reshape",
    [OPERATOR_TRANSPOSE] = "Transpose", [OPERATOR_CONCAT] = "Concat", [OPERATOR_SPLIT] = "Split", [OPERATOR_SLICE] = "Slice",
    [OPERATOR_GATHER] = "Gather", [OPERATOR_ONE_HOT] = "OneHot", [OPERATOR_EXPAND] = "Expand", [OPERATOR_TILE] = "Tile",
    [OPERATOR_SHAPE] = "Shape", [OPERATOR_CONSTANT_OF_SHAPE] = "ConstantOfShape", [OPERATOR_REDUCE_MEAN] = "ReduceMean",
    [OPERATOR_REDUCE_SUM] = "ReduceSum", [OPERATOR_REDUCE_MAX] = "ReduceMax", [OPERATOR_REDUCE_MIN] = "ReduceMin",
    [OPERATOR_ARG_MAX] = "ArgMax", [OPERATOR_TREE_ENSEMBLE] = "TreeEnsemble", [OPERATOR_DETECTION_POSTPROCESS] = "DetectionPostprocess",
    [OPERATOR_CONV_INTEGER] = "ConvInteger", [OPERATOR_MATMUL_INTEGER] = "MatMulInteger", [OPERATOR_MATMUL_NBITS] = "MatMulNBits",
    [OPERATOR_GRU] = "GRU", [OPERATOR_RNN] = "RNN", [OPERATOR_MOD] = "Mod", [OPERATOR_FMOD] = "Fmod",
    [OPERATOR_BITWISE_AND] = "BitwiseAnd", [OPERATOR_BITWISE_OR] = "BitwiseOr", [OPERATOR_BITWISE_XOR] = "BitwiseXor",
    [OPERATOR_SHIFT_LEFT] = "ShiftLeft", [OPERATOR_SHIFT_RIGHT] = "ShiftRight", [OPERATOR_LESS_OR_EQUAL] = "LessOrEqual",
    [OPERATOR_GREATER_OR_EQUAL] = "GreaterOrEqual", [OPERATOR_XOR] = "Xor", [OPERATOR_ELU] = "Elu", [OPERATOR_SELU] = "Selu",
    [OPERATOR_CELU] = "Celu", [OPERATOR_GELU] = "Gelu", [OPERATOR_GELU_TANH] = "GeluTanh", [OPERATOR_SOFTPLUS] = "Softplus",
    [OPERATOR_SOFTSIGN] = "Softsign", [OPERATOR_MISH] = "Mish", [OPERATOR_THRESHOLDED_RELU] = "ThresholdedRelu",
    [OPERATOR_RECIPROCAL] = "Reciprocal", [OPERATOR_SIGN] = "Sign", [OPERATOR_FLOOR] = "Floor", [OPERATOR_CEIL] = "Ceil",
    [OPERATOR_ROUND] = "Round", [OPERATOR_SIN] = "Sin", [OPERATOR_COS] = "Cos", [OPERATOR_TAN] = "Tan", [OPERATOR_ASIN] = "Asin",
    [OPERATOR_ACOS] = "Acos", [OPERATOR_ATAN] = "Atan", [OPERATOR_SINH] = "Sinh", [OPERATOR_COSH] = "Cosh", [OPERATOR_ASINH] = "Asinh",
    [OPERATOR_ACOSH] = "Acosh", [OPERATOR_ATANH] = "Atanh", [OPERATOR_IS_NAN] = "IsNaN", [OPERATOR_IS_INF] = "IsInf",
    [OPERATOR_BITWISE_NOT] = "BitwiseNot", [OPERATOR_LAYER_NORM] = "LayerNormalization", [OPERATOR_LRN] = "LRN",
    [OPERATOR_LOG_SOFTMAX] = "LogSoftmax", [OPERATOR_GATHER_ELEMENTS] = "GatherElements", [OPERATOR_GATHER_ND] = "GatherND",
    [OPERATOR_SCATTER_ELEMENTS] = "ScatterElements", [OPERATOR_SCATTER_ND] = "ScatterND", [OPERATOR_RESIZE_AXIS] = "ResizeAxis",
    [OPERATOR_TRILU] = "Trilu", [OPERATOR_TOP_K] = "TopK", [OPERATOR_CUMULATIVE_SUM] = "CumSum", [OPERATOR_REDUCE_PROD] = "ReduceProd",
    [OPERATOR_REDUCE_L1] = "ReduceL1", [OPERATOR_REDUCE_L2] = "ReduceL2",
    [OPERATOR_REDUCE_SUM_SQUARE] = "ReduceSumSquare", [OPERATOR_ARG_MIN] = "ArgMin",
    [OPERATOR_NON_MAX_SUPPRESSION] = "NonMaxSuppression", [OPERATOR_NON_ZERO] = "NonZero",
};

const char *operator_name(enum operator_kind kind)
{
    return names[kind];
}

void graph_init(struct graph *graph)
{
    *graph = (struct graph){0};
    arena_init(&graph->arena, GRAPH_ARENA_BYTES_MAX);
}

void graph_deinit(struct graph *graph)
{
    free(graph->values);
    free(graph->nodes);
    arena_deinit(&graph->arena);
    *graph = (struct graph){0};
}

/* Room for one more element in a growing array. */
static void *grow(void *array, int32_t count, int32_t *capacity, int32_t most, size_t bytes)
{
    if (count < *capacity)
        return array;
    int32_t larger = *capacity == 0 ? 256 : 2 * *capacity;
    if (count >= most)
        return NULL;
    void *grown = realloc(array, (size_t)larger * bytes);
    if (grown != NULL)
        *capacity = larger;
    return grown;
}

int32_t graph_add_value(struct graph *graph, const char *name, enum dtype dtype)
{
    void *grown = grow(graph->values, graph->value_count, &graph->value_capacity, GRAPH_VALUES_MAX, sizeof *graph->values);
    if (grown == NULL)
        return -1;
    graph->values = grown;
    graph->values[graph->value_count] = (struct value){.name = name, .dtype = dtype, .producer = -1};
    return graph->value_count++;
}

int32_t graph_add_constant(struct graph *graph, const char *name, enum dtype dtype, const struct shape *shape, const void *data)
{
    int32_t index = graph_add_value(graph, name, dtype);
    if (index >= 0) {
        graph->values[index].shape = *shape;
        graph->values[index].shape_known = true;
        graph->values[index].data = data;
    }
    return index;
}

struct node *graph_add_node(struct graph *graph, enum operator_kind kind, const char *name, int32_t input_count, int32_t output_count)
{
    if (input_count > NODE_INPUTS_MAX || output_count > NODE_OUTPUTS_MAX)
        return NULL;
    void *grown = grow(graph->nodes, graph->node_count, &graph->node_capacity, GRAPH_NODES_MAX, sizeof *graph->nodes);
    if (grown == NULL)
        return NULL;
    graph->nodes = grown;
    struct node *node = &graph->nodes[graph->node_count];
    memset(node, 0, sizeof *node);
    node->kind = kind;
    node->name = name;
    node->input_count = input_count;
    node->output_count = output_count;
    node->inputs = arena_allocate_array(&graph->arena, (size_t)(input_count + output_count) + 1, sizeof *node->inputs);
    if (node->inputs == NULL)
        return NULL;
    node->outputs = node->inputs + input_count;
    for (int32_t i = 0; i < input_count; i++)
        node->inputs[i] = GRAPH_NO_VALUE;
    for (int32_t i = 0; i < output_count; i++) {
        node->outputs[i] = graph_add_value(graph, name, DTYPE_F32);
        if (node->outputs[i] < 0)
            return NULL;
        graph->values[node->outputs[i]].producer = graph->node_count;
    }
    graph->node_count++;
    return node;
}

struct node *graph_producer(const struct graph *graph, int32_t value)
{
    int32_t index = value < 0 ? -1 : graph->values[value].producer;
    return index < 0 || graph->nodes[index].removed ? NULL : &graph->nodes[index];
}

enum error_code graph_count_uses(struct graph *graph, struct graph_uses *uses_out, struct error *error)
{
    struct graph_uses uses = {.count = arena_allocate_array(&graph->arena, (size_t)graph->value_count + 1, sizeof *uses.count),
                              .consumer = arena_allocate_array(&graph->arena, (size_t)graph->value_count + 1, sizeof *uses.consumer)};
    uses.value_count = graph->value_count;
    if (uses.count == NULL || uses.consumer == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    memset(uses.consumer, -1, (size_t)graph->value_count * sizeof *uses.consumer);
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        for (int32_t i = 0; i < node->input_count && !node->removed; i++) {
            if (node->inputs[i] >= 0) {
                uses.count[node->inputs[i]]++;
                uses.consumer[node->inputs[i]] = n;
            }
        }
    }
    for (int32_t i = 0; i < graph->output_count; i++)
        uses.count[graph->outputs[i]]++;
    *uses_out = uses;
    return ERROR_NONE;
}

bool graph_take_work(struct graph *graph, uint64_t work)
{
    uint64_t left = GRAPH_WORK_MAX + (uint64_t)GRAPH_WORK_OF_BYTE * graph->mapped_bytes - graph->work_taken;
    if (work > left)
        return false;
    graph->work_taken += work;
    return true;
}

bool graph_forget_mapped(const struct graph *graph, const void *data, size_t bytes)
{
    const uintptr_t first = (uintptr_t)data, mapped = (uintptr_t)graph->mapped;
    if (mapped == 0 || first < mapped || first + bytes > mapped + graph->mapped_bytes)
        return false;
    file_map_forget(data, bytes);
    return true;
}

enum error_code graph_renaming_begin(struct graph *graph, struct graph_renaming *renaming_out, struct error *error)
{
    size_t count = (size_t)graph->value_count;
    struct graph_renaming renaming = {.to = arena_allocate_array(&graph->arena, count + 1, sizeof *renaming.to),
                                      .is_output = arena_allocate_array(&graph->arena, count + 1, sizeof *renaming.is_output),
                                      .value_count = graph->value_count};
    if (renaming.to == NULL || renaming.is_output == NULL)
        return error_set(error, ERROR_LIMIT, "the model needs more memory than eddy allows");
    for (int32_t v = 0; v < graph->value_count; v++)
        renaming.to[v] = v;
    for (int32_t i = 0; i < graph->output_count; i++)
        renaming.is_output[graph->outputs[i]] = true;
    *renaming_out = renaming;
    return ERROR_NONE;
}

void graph_rename(struct graph_renaming *renaming, int32_t from, int32_t to)
{
    renaming->to[from] = to;
    if (to < renaming->value_count)
        renaming->is_output[to] = renaming->is_output[to] || renaming->is_output[from];
}

void graph_renew(struct graph *graph, const struct graph_renaming *renaming, struct node *node)
{
    graph->inputs_renewed += node->input_count;
    for (int32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i] >= 0 && node->inputs[i] < renaming->value_count)
            node->inputs[i] = renaming->to[node->inputs[i]];
    }
}

void graph_renaming_end(struct graph *graph, const struct graph_renaming *renaming)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].removed)
            graph_renew(graph, renaming, &graph->nodes[n]);
    }
    for (int32_t i = 0; i < graph->output_count; i++)
        graph->outputs[i] = renaming->to[graph->outputs[i]];
}

/* Depth-first from the outputs with an own stack: visits exactly what is needed, producers first. */
struct walk {
    int32_t *stack, *order;
    uint8_t *state; /* 0 new, 1 on the stack, 2 done */
    int32_t depth, ordered;
};

static enum error_code visit(const struct graph *graph, struct walk *walk, int32_t start, struct error *error)
{
    walk->stack[walk->depth++] = start;
    while (walk->depth > 0) {
        int32_t n = walk->stack[walk->depth - 1];
        const struct node *node = &graph->nodes[n];
        int32_t next = -1;
        for (int32_t i = 0; i < node->input_count && walk->state[n] != 2; i++) {
            int32_t producer = node->inputs[i] < 0 || graph->values[node->inputs[i]].data != NULL ? -1 : graph->values[node->inputs[i]].producer;
            if (producer >= 0 && walk->state[producer] == 1 && producer != n)
                return error_set(error, ERROR_MODEL, "the graph goes in a circle at node \"%s\"", node->name);
            if (producer >= 0 && walk->state[producer] == 0 && producer != n) {
                next = producer;
                break;
            }
        }
        walk->state[n] = next >= 0 ? 1 : walk->state[n];
        if (next >= 0) {
            walk->stack[walk->depth++] = next;
            continue;
        }
        walk->depth--;
        if (walk->state[n] != 2)
            walk->order[walk->ordered++] = n;
        walk->state[n] = 2;
    }
    return ERROR_NONE;
}

static void apply_order(struct graph *graph, const struct walk *walk, struct node *sorted)
{
    for (int32_t v = 0; v < graph->value_count; v++)
        graph->values[v].producer = -1;
    for (int32_t i = 0; i < walk->ordered; i++) {
        sorted[i] = graph->nodes[walk->order[i]];
        for (int32_t k = 0; k < sorted[i].output_count; k++)
            graph->values[sorted[i].outputs[k]].producer = i;
    }
    if (walk->ordered > 0) /* an output may be an input: then there may be no node at all */
        memcpy(graph->nodes, sorted, (size_t)walk->ordered * sizeof *sorted);
    graph->node_count = walk->ordered;
}

enum error_code graph_compact(struct graph *graph, struct error *error)
{
    size_t count = (size_t)graph->node_count + 1;
    struct walk walk = {.stack = malloc(count * sizeof *walk.stack), .order = malloc(count * sizeof *walk.order), .state = calloc(count, 1)};
    struct node *sorted = malloc(count * sizeof *sorted);
    enum error_code code = ERROR_NONE;
    if (walk.stack == NULL || walk.order == NULL || walk.state == NULL || sorted == NULL)
        code = error_set(error, ERROR_LIMIT, "no memory for a graph of %d nodes", graph->node_count);
    for (int32_t i = 0; i < graph->output_count && code == ERROR_NONE; i++) {
        const struct value *value = &graph->values[graph->outputs[i]];
        if (value->data == NULL && value->producer >= 0 && walk.state[value->producer] != 2)
            code = visit(graph, &walk, value->producer, error);
    }
    if (code == ERROR_NONE)
        apply_order(graph, &walk, sorted);
    free(sorted);
    free(walk.state);
    free(walk.order);
    free(walk.stack);
    return code;
}

static void print_value(const struct graph *graph, int32_t index, FILE *file)
{
    if (index < 0) {
        fputs(" -", file);
        return;
    }
    const struct value *value = &graph->values[index];
    fprintf(file, " %s%d:%s[", value->data != NULL ? "c" : "v", index, dtype_name(value->dtype));
    for (int i = 0; i < value->shape.rank; i++)
        fprintf(file, "%s%s%" PRId32, i > 0 ? "," : "", value->bounded && value->bound_axis == i ? "<=" : "", value->shape.dims[i]);
    fputs(value->banded ? "] in bands" : "]", file);
    if (value->placed)
        fprintf(file, "@v%" PRId32 "+%" PRId32, value->host, value->host_channel);
}

void graph_print(const struct graph *graph, FILE *file)
{
    static const char *const activations[] = {"", " relu", " relu6", " relu-1..1", " leaky", " clip"};
    for (int32_t n = 0; n < graph->node_count; n++) {
        const struct node *node = &graph->nodes[n];
        fprintf(file, "%4" PRId32 " %s%s (%s):", n, operator_name(node->kind), activations[node->activation], node->name);
        for (int32_t i = 0; i < node->input_count; i++)
            print_value(graph, node->inputs[i], file);
        fputs(" ->", file);
        for (int32_t i = 0; i < node->output_count; i++)
            print_value(graph, node->outputs[i], file);
        fputc('\n', file);
    }
}
