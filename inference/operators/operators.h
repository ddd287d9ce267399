/* SPDX-License-Identifier: Apache-2.0
 *
 * operators.h: what each operator means: the shape of its results and the code that makes them.
 *
 * One table row per enum operator_kind (operators.c), one small .c file per family. Three steps:
 *   infer    from the inputs' types, shapes and constants to the outputs' types and shapes; checks ranks, attributes, divisors, weights'
 *            sizes. After infer has passed, nothing that the node says can make prepare or execute leave its buffers.
 *   prepare  once per model: chooses kernels, packs weights into the arena, sizes the scratch. Refuses what no kernel does
 *            (ERROR_UNSUPPORTED with operator, node and types).
 *   execute  per run: cannot fail, allocates nothing. Inputs and outputs do not overlap, except where in_place says so.
 * Constant folding (passes/) prepares and executes a node whose inputs are all constant, with the scalar kernels. */
#ifndef EDDY_INFERENCE_OPERATORS_H
#define EDDY_INFERENCE_OPERATORS_H

#include "inference/graph.h"
#include "inference/kernels/kernels.h"

struct operation {
    /* data[value index] is where that value lies; scratch: operation->scratch_bytes, aligned to ARENA_ALIGNMENT */
    void (*execute)(const struct operation *operation, void *const *data, void *scratch);
    /* In place of execute, work of `parts` > 0 parts that depend on nothing of each other: threads share them. Does parts [first, last);
     * how the work is cut never depends on the number of threads, so neither do the bits of the result. Each thread has its own scratch. */
    void (*execute_parts)(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last);
    int64_t parts;
    /* Layers whose parts follow one image from top to bottom: the result's pixels that are complete when parts [0, part) are done. NULL: they
     * are cut in another way. */
    int64_t (*pixels_before)(const struct operation *operation, int64_t part);
    int32_t chained;        /* > 0: executes so many nodes in bands (bands.h), of which `node` is the last; < 0: nothing, `node`
                             * is done with a later one; 0: `node` alone */
    const struct graph *graph;
    const struct node *node;
    const struct kernels *kernels;
    const void *prepared;   /* the operator's own: packed weights, tables, resolved sizes; in the arena */
    size_t scratch_bytes;
    bool scratch_kept;      /* parts remember in an i64 at the scratch's begin what it holds for others; 0 when an execution begins */
    int weights_packed;     /* inputs 1 .. this are in `prepared`, in another form: their own data is not looked at any more */
    bool in_place;          /* output 0 may take the place of input 0 (same size, elementwise or a view) */
    uint64_t macs;
};

/* Before each execution, for the scratch of each thread that may take part. */
static inline void operation_begin(const struct operation *operation, void *scratch)
{
    if (operation->scratch_kept)
        *(int64_t *)scratch = 0;
}

static inline void operation_execute(const struct operation *operation, void *const *data, void *scratch)
{
    operation_begin(operation, scratch);
    if (operation->execute_parts != NULL)
        operation->execute_parts(operation, data, scratch, 0, operation->parts);
    else
        operation->execute(operation, data, scratch);
}

MUST_CHECK enum error_code operator_infer(struct graph *graph, struct node *node, struct error *error);
MUST_CHECK enum error_code operator_infer_all(struct graph *graph, struct error *error); /* in order; sets every value's dtype, shape */
MUST_CHECK enum error_code operator_prepare(const struct graph *graph, const struct node *node, const struct kernels *kernels,
                                            struct arena *arena, struct operation *operation_out, struct error *error);

/* Computes a node whose inputs are all constant: its outputs become constants, the node is removed. Scalar kernels. A node whose result would
 * be large or slow to make stays as it is, without an error. */
MUST_CHECK enum error_code operator_fold(struct graph *graph, struct node *node, struct error *error);

/* Rearranges a constant that is not as its shape says yet (graph.h, arranged_from): for whoever is about to read its content. */
MUST_CHECK enum error_code operator_arrange(struct graph *graph, int32_t value, struct error *error);

/* Moves what is there of a bounded value (graph.h) together, given its count; the actual extent along its axis. bounded.c */
int32_t bounded_shrink(const struct value *value, const void *count, void *data);

/* A family's entry points, referenced by the table in operators.c. */
typedef enum error_code operator_infer_function(struct graph *graph, struct node *node, struct error *error);
typedef enum error_code operator_prepare_function(struct operation *operation, struct arena *arena, struct error *error);

/* convolution.c, depthwise.c, fully_connected.c, pool.c */
operator_infer_function convolution_infer, depthwise_infer, fully_connected_infer, pool_infer, global_pool_infer;
operator_prepare_function convolution_prepare, depthwise_prepare, fully_connected_prepare, pool_prepare, global_pool_prepare;

bool convolution_packs(const struct graph *graph, const struct node *node); /* its weights are read for packing (packed.h) alone */

/* Resolves SAME padding and computes the output extent of one spatial axis pair; shared by convolution and pooling.
 * ERROR_MODEL where kernel, stride, dilation or pad are not positive, too large, or the result would be empty. */
MUST_CHECK enum error_code spatial_infer(struct node *node, const struct shape *input, int32_t output_channels, struct shape *output,
                                         struct error *error);

#endif
