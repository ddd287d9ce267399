/* SPDX-License-Identifier: Apache-2.0
 *
 * graph.h: the one form of a model between its file and its plan.
 *
 * Both loaders (onnx/, tflite/) build this; passes/ rewrite it; operators/ give each node its shapes and its code; plan.c gives each
 * value its place in memory.
 * Layout: spatial operators (convolution, pooling, resize, ...) are NHWC here, whatever the file says. The ONNX loader puts a
 *   Transpose before and behind each one; the layout pass then moves transposes until they cancel. Weights: convolution [O, KH, KW, I/groups],
 *   depthwise (groups == I, OPERATOR_DEPTHWISE_CONV) [KH, KW, O] with O = I * multiplier, fully connected [O, I].
 * Quantisation belongs to values, as in TFLite: an i8/u8 convolution is OPERATOR_CONV between quantised values, i32 bias with
 *   scale input*weight. QDQ and QOperator forms of ONNX arrive in this form (QOperator at load, QDQ by a pass).
 * Known at open: every shape is fixed when the model is opened. What decides a shape (the target of Reshape, axes, sizes, repeats), scales and
 *   zero points, and the weights of layers must be known by then: constants of the file, results of constants and of shapes (folded while
 *   loading), or of inputs whose content the caller gives (engine.h, struct input_shape). Anything else is refused by operator and name.
 * Known by a run only: how many boxes NonMaxSuppression keeps and how many elements NonZero finds. Such a value is bounded: its shape states the
 *   most that it can be, the rest of its room is zeros, and an i64 value counts what is there. Operators that work element by element or row by
 *   row pass the bound on (operators/bounded.c); others refuse it. A bounded output has its actual shape after each run.
 * Ownership: all of it lies in graph->arena and goes with graph_deinit; constant data may point into the mapped file instead.
 * Errors: graph_add_* return -1 where GRAPH_*_MAX or the memory limit is reached; loaders turn this into ERROR_LIMIT.
 * Threads: none; a graph is built and rewritten by one thread, then only read. */
#ifndef EDDY_INFERENCE_GRAPH_H
#define EDDY_INFERENCE_GRAPH_H

#include "base/arena.h"
#include "base/error.h"
#include "inference/tensor.h"

#include <stdio.h>

enum { GRAPH_VALUES_MAX = 1 << 16, GRAPH_NODES_MAX = 1 << 15, NODE_INPUTS_MAX = 1 << 10, NODE_OUTPUTS_MAX = 64 };
#ifndef GRAPH_ARENA_BYTES_MAX /* fuzzers take less */
#define GRAPH_ARENA_BYTES_MAX ((size_t)2 << 30)
#endif
enum { GRAPH_WORK_MAX = 1 << 29, GRAPH_WORK_OF_BYTE = 16 };
enum { GRAPH_NO_VALUE = -1 }; /* an optional input that is absent */

enum operator_kind {
    /* spatial, NHWC */
    OPERATOR_CONV, OPERATOR_DEPTHWISE_CONV, OPERATOR_CONV_TRANSPOSE, OPERATOR_AVERAGE_POOL, OPERATOR_MAX_POOL, OPERATOR_GLOBAL_AVERAGE_POOL,
    OPERATOR_RESIZE, OPERATOR_PAD, OPERATOR_SHUFFLE_CHANNELS, OPERATOR_CONV_INTEGER,
    /* matrices */
    OPERATOR_FULLY_CONNECTED, OPERATOR_MATMUL, OPERATOR_MATMUL_INTEGER, OPERATOR_MATMUL_NBITS, OPERATOR_LSTM, OPERATOR_LSTM_8,
    OPERATOR_GRU, OPERATOR_RNN,
    /* elementwise, numpy broadcasting */
    OPERATOR_ADD, OPERATOR_SUB, OPERATOR_MUL, OPERATOR_DIV, OPERATOR_POW, OPERATOR_MIN, OPERATOR_MAX,
    OPERATOR_MOD, OPERATOR_FMOD, OPERATOR_BITWISE_AND, OPERATOR_BITWISE_OR, OPERATOR_BITWISE_XOR, OPERATOR_SHIFT_LEFT, OPERATOR_SHIFT_RIGHT,
    OPERATOR_LESS, OPERATOR_LESS_OR_EQUAL, OPERATOR_GREATER, OPERATOR_GREATER_OR_EQUAL, OPERATOR_EQUAL, OPERATOR_XOR, OPERATOR_AND, OPERATOR_OR,
    OPERATOR_WHERE,
    OPERATOR_RELU, OPERATOR_CLIP, OPERATOR_LEAKY_RELU, OPERATOR_PRELU, OPERATOR_SIGMOID, OPERATOR_TANH, OPERATOR_HARD_SIGMOID,
    OPERATOR_HARD_SWISH, OPERATOR_EXP, OPERATOR_LOG, OPERATOR_SQRT, OPERATOR_ABS, OPERATOR_NEG, OPERATOR_ERF, OPERATOR_ELU, OPERATOR_SELU,
    OPERATOR_CELU, OPERATOR_GELU, OPERATOR_GELU_TANH, OPERATOR_SOFTPLUS, OPERATOR_SOFTSIGN, OPERATOR_MISH, OPERATOR_THRESHOLDED_RELU,
    OPERATOR_RECIPROCAL, OPERATOR_SIGN, OPERATOR_FLOOR, OPERATOR_CEIL, OPERATOR_ROUND, OPERATOR_SIN, OPERATOR_COS, OPERATOR_TAN, OPERATOR_ASIN,
    OPERATOR_ACOS, OPERATOR_ATAN, OPERATOR_SINH, OPERATOR_COSH, OPERATOR_ASINH, OPERATOR_ACOSH, OPERATOR_ATANH, OPERATOR_IS_NAN,
    OPERATOR_IS_INF, OPERATOR_BITWISE_NOT, OPERATOR_NOT,
    OPERATOR_BATCH_NORM, /* x, scale, bias, mean, variance along the last axis; folded away wherever a convolution precedes it */
    OPERATOR_LAYER_NORM, OPERATOR_LRN,
    OPERATOR_SOFTMAX, OPERATOR_LOG_SOFTMAX, OPERATOR_CAST, OPERATOR_QUANTIZE, OPERATOR_DEQUANTIZE, OPERATOR_REQUANTIZE,
    /* shape and movement */
    OPERATOR_RESHAPE, /* Reshape, Flatten, Squeeze, Unsqueeze, Identity: same elements, new shape */
    OPERATOR_TRANSPOSE, OPERATOR_CONCAT, OPERATOR_SPLIT, OPERATOR_SLICE, OPERATOR_GATHER, OPERATOR_ONE_HOT, OPERATOR_EXPAND, OPERATOR_TILE,
    OPERATOR_SHAPE, OPERATOR_CONSTANT_OF_SHAPE, OPERATOR_GATHER_ELEMENTS, OPERATOR_GATHER_ND, OPERATOR_SCATTER_ELEMENTS, OPERATOR_SCATTER_ND,
    OPERATOR_RESIZE_AXIS, OPERATOR_TRILU, OPERATOR_TOP_K, OPERATOR_CUMULATIVE_SUM,
    /* reductions */
    OPERATOR_REDUCE_MEAN, OPERATOR_REDUCE_SUM, OPERATOR_REDUCE_MAX, OPERATOR_REDUCE_MIN, OPERATOR_REDUCE_PROD, OPERATOR_REDUCE_L1,
    OPERATOR_REDUCE_L2, OPERATOR_REDUCE_SUM_SQUARE, OPERATOR_ARG_MAX, OPERATOR_ARG_MIN,
    /* trees and heads */
    OPERATOR_TREE_ENSEMBLE, OPERATOR_DETECTION_POSTPROCESS, OPERATOR_NON_MAX_SUPPRESSION, OPERATOR_NON_ZERO,
    OPERATOR_COUNT
};

const char *operator_name(enum operator_kind kind); /* "Conv", "Softmax", ... */

enum activation { ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_RELU6, ACTIVATION_RELU_N1_1, ACTIVATION_LEAKY_RELU, ACTIVATION_CLIP };

struct spatial {                  /* convolution and pooling */
    int32_t kernel[2];            /* height, width */
    int32_t stride[2], dilation[2];
    int32_t pad[4];               /* top, left, bottom, right: always explicit here (SAME is resolved by shape inference) */
    int32_t groups;
    bool same;                    /* padding still to be resolved: SAME of TFLite / SAME_UPPER of ONNX */
    bool same_lower;
    bool ceil_mode, count_include_pad;
    int32_t winograd;             /* convolution: tile of minimal filtering, 2 or 4; 0: direct (passes/winograd.c decides) */
};

struct resize_attributes {
    enum { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC } mode; /* cubic: by axis only */
    enum { RESIZE_HALF_PIXEL, RESIZE_ALIGN_CORNERS, RESIZE_ASYMMETRIC, RESIZE_PYTORCH_HALF_PIXEL,
           RESIZE_HALF_PIXEL_SYMMETRIC, RESIZE_REGION } coordinates; /* the last two: by axis only */
    enum { RESIZE_ROUND_PREFER_FLOOR, RESIZE_FLOOR, RESIZE_CEIL, RESIZE_ROUND_PREFER_CEIL } rounding;
    float scale[2];               /* height, width; 0: from the sizes */
    int32_t size[2];              /* height, width; 0: from the scales */
};

/* One axis of any tensor; an image is resized axis by axis. */
struct resize_axis_attributes {
    struct resize_attributes rule; /* scale[0], size[0]: of this axis */
    int32_t axis;
    float roi[2];                  /* RESIZE_REGION: begin and end, 1 = the whole axis */
    float cubic;                   /* coefficient a of the cubic filter */
    float extrapolation;           /* RESIZE_REGION: value outside the axis */
    bool exclude_outside, antialias;
};

enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP };

struct tree_ensemble;             /* operators/tree_ensemble.h */

struct node {
    enum operator_kind kind;
    const char *name;             /* from the file, or made from the operator and its index; never NULL */
    int32_t input_count, output_count;
    int32_t *inputs;              /* value indices; GRAPH_NO_VALUE where an optional one is absent */
    int32_t *outputs;
    enum activation activation;   /* fused behind conv, depthwise, fully connected, add, ... */
    float activation_low, activation_high; /* ACTIVATION_CLIP; ACTIVATION_LEAKY_RELU: slope in activation_low */
    bool removed;                 /* by a pass; graph_compact drops it */
    union {
        struct spatial spatial;
        struct resize_attributes resize;
        struct { int32_t axis; float epsilon; bool center; int32_t size; float alpha, beta, bias; } norm; /* from axis on; size, alpha, beta, bias: LRN */
        struct resize_axis_attributes resize_axis;
        struct { int32_t axis, batch, reduction, reverse, exclusive; } index; /* gather and scatter by element or tuple, cumulative sum */
        struct { int32_t depth, columns, block; } nbits;               /* matrix product with packed weights */
        struct { int32_t axis, k; bool largest; } top_k;
        struct { int32_t boxes_max; bool centered; } suppression; /* boxes_max: for each class of each batch */
        struct { int32_t diagonal; bool upper; } trilu;
        struct { int32_t axis; float beta; bool flatten; } softmax;   /* flatten: opset < 13, all dimensions from axis on as one */
        struct { int32_t axis; } axis;                                 /* concat, split, gather, arg max, one hot, batch norm */
        struct { int32_t axis; bool keep_dims; bool last; } arg;       /* arg max */
        struct { int32_t axes[TENSOR_RANK_MAX]; int32_t count; bool keep_dims; } reduce; /* count 0: all axes */
        struct { int32_t order[TENSOR_RANK_MAX]; } transpose;          /* output axis i is input axis order[i] */
        struct { int32_t begin[TENSOR_RANK_MAX], step[TENSOR_RANK_MAX]; } slice; /* resolved; extents are the output's shape */
        struct { int32_t before[TENSOR_RANK_MAX], after[TENSOR_RANK_MAX]; float value; enum pad_mode mode; } pad;
        struct { float alpha, beta; bool transpose_a, transpose_b; } matmul; /* Gemm keeps alpha, beta until folded */
        struct { float alpha, beta; } scalar;                          /* leaky relu slope, hard sigmoid, clip low and high */
        struct { float epsilon; } batch_norm;
        struct { int32_t groups; } shuffle;
        struct {
            int32_t hidden, direction;
            float cell_clip;                                           /* 0: none */
            bool linear_before_reset, relu;
            int32_t cell_power;                                        /* LSTM_8: the cell state's scale is 2^cell_power */
        } recurrent;
        struct tree_ensemble *trees;
        struct {
            float scale_y, scale_x, scale_h, scale_w, score_threshold, iou_threshold;
            int32_t classes, detections_max, per_class_max;
            bool regular;
        } detection;
        float fill;                                                    /* constant of shape */
    } attributes;
};

struct value {
    const char *name;
    enum dtype dtype;
    struct shape shape;
    bool shape_known;             /* false: until shape inference has been here */
    bool bounded;                 /* its extent along bound_axis is known by a run only; shape states the most that it can be */
    int32_t bound_axis, bound_count; /* bound_count: the i64 value that holds the actual extent */
    bool placed;                  /* lies inside `host`: its pixels' channels from host_channel on; only the concat that makes the host reads it */
    int32_t host, host_channel;
    bool banded;                  /* made and read in bands of rows (bands.h): it has no room of its own, the next node reads it and no other */
    struct quantization quantization;
    const void *data;             /* constant, dense; NULL: computed at run time, or a graph input */
    const void *given;            /* graph input: what the caller says it will hold; becomes data where it must be known. Else NULL */
    int32_t arranged_from;        /* weights [O, KH, KW, I] still to be rearranged from [O, I, KH, KW], the constant of this index less 1, whose
                                   * data theirs is so far: operator_arrange before reading them. 0: data is as the shape says */
    int32_t producer;             /* node index; -1: a constant or a graph input */
};

struct graph {
    struct arena arena;
    struct value *values;
    int32_t value_count, value_capacity;
    struct node *nodes;           /* in execution order */
    int32_t node_count, node_capacity;
    int32_t *inputs, *outputs;
    int32_t input_count, output_count;
    const uint8_t *mapped;        /* the model's file where it is mapped (pages that come back by themselves); NULL: it is in memory */
    size_t mapped_bytes;          /* of the file, mapped or not */
    struct packed_weights *packed; /* packed.h; set while layers are prepared; NULL: none is kept */
    int32_t *input_positions;     /* of each input among the file's; NULL: the same */
    uint64_t work_taken;          /* graph_take_work */
    int64_t inputs_renewed;       /* what renaming has looked at so far: for tests */
};

void graph_init(struct graph *graph);
void graph_deinit(struct graph *graph);

int32_t graph_add_value(struct graph *graph, const char *name, enum dtype dtype); /* index, or -1 */
int32_t graph_add_constant(struct graph *graph, const char *name, enum dtype dtype, const struct shape *shape, const void *data);
/* A node with room for so many inputs (all GRAPH_NO_VALUE) and outputs (all new values named after the node); NULL at a limit.
 * The pointer is valid until the next node is added. */
struct node *graph_add_node(struct graph *graph, enum operator_kind kind, const char *name, int32_t input_count, int32_t output_count);

struct node *graph_producer(const struct graph *graph, int32_t value); /* the live node that makes it; NULL: none */

/* Who uses each value: counted once, by value index, over live nodes and graph outputs. */
struct graph_uses {
    int32_t *count;               /* graph outputs count too */
    int32_t value_count;          /* when they were counted */
    int32_t *consumer;            /* the node that uses it last in order; -1: none */
};
MUST_CHECK enum error_code graph_count_uses(struct graph *graph, struct graph_uses *uses_out, struct error *error); /* in the graph's arena */

/* Making constants of other constants or of shapes, in bytes read and written and multiplications: a few bytes of a file must not buy gigabytes or
 * minutes while a model is loaded. false: more than all of it together may take, GRAPH_WORK_MAX and so much for each byte of the file. */
MUST_CHECK bool graph_take_work(struct graph *graph, uint64_t work);

/* What lies in the mapped file and will hardly be read again: its pages go back, and come again if it is. false: it does not lie there. */
bool graph_forget_mapped(const struct graph *graph, const void *data, size_t bytes);

/* Values whose place others take, while a pass goes over the nodes in topological order: it brings each node's inputs up to date as it comes to
 * it (graph_renew), and those of all others, and the graph's outputs, at its end. So a pass looks at each input twice, however many values go. */
struct graph_renaming {
    int32_t *to;                  /* by value: what it is called now */
    bool *is_output;              /* by value: a result of the graph */
    int32_t value_count;          /* at the beginning: later ones keep their names */
};
MUST_CHECK enum error_code graph_renaming_begin(struct graph *graph, struct graph_renaming *renaming_out, struct error *error); /* in the graph's arena */
void graph_rename(struct graph_renaming *renaming, int32_t from, int32_t to); /* to: up to date; from: a value of before, made after `to` */
void graph_renew(struct graph *graph, const struct graph_renaming *renaming, struct node *node);
void graph_renaming_end(struct graph *graph, const struct graph_renaming *renaming);

/* Drops removed nodes and those whose results nobody needs, and puts the rest into topological order. A cycle is ERROR_MODEL. */
MUST_CHECK enum error_code graph_compact(struct graph *graph, struct error *error);
void graph_print(const struct graph *graph, FILE *file);

#endif
