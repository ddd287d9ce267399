/* SPDX-License-Identifier: Apache-2.0
 *
 * passes.h: rewrites a graph into one that computes the same with less. One file a pass; each may be left out and the result stays right.
 *
 *   layout        moves transposes to where they cancel, turns those that move nothing into reshapes
 *   batch-norm    folds batch normalisation into the convolution or fully connected layer before it
 *   quantize      dequantise -> operator -> quantise becomes the operator on integers
 *   activation    Relu, Clip, LeakyRelu become the end of the layer before them
 *   reuse         slices that take a concat's input back out are that input; what was computed just before is not computed again
 *   shuffle       concat, channel shuffle and split of floats become one pass over memory
 *   residual      what is added to a float layer's result becomes an input of the layer
 *   winograd      float 3x3 convolutions that are faster by minimal filtering are marked for it
 *   concat        convolutions write their results to where a concat would copy them
 *   bands         large values between layers that can be run in bands of rows are marked for it
 * fold and compaction (computing what is constant, dropping what nobody needs) always run.
 * Errors: ERROR_LIMIT where the rewritten graph needs more memory than eddy allows. */
#ifndef EDDY_INFERENCE_PASSES_H
#define EDDY_INFERENCE_PASSES_H

#include "inference/graph.h"

/* skip: comma-separated names of passes to leave out, "all" for all of them; NULL: none. ERROR_INPUT where a name is none of them.
 * trace: where the graph is written as it was loaded and after each pass; NULL: nowhere. */
MUST_CHECK enum error_code passes_run(struct graph *graph, const char *skip, FILE *trace, struct error *error);

/* Inputs of [N,C,H,W] that are only read channels last are given so from now on: [N,H,W,C]. The result is the same for an input laid out anew. */
MUST_CHECK enum error_code inputs_channels_last(struct graph *graph, struct error *error);

typedef enum error_code pass_function(struct graph *graph, struct error *error);
pass_function pass_layout, pass_batch_norm, pass_quantize, pass_activation, pass_reuse, pass_shuffle, pass_residual, pass_winograd, pass_concat, pass_bands,
    pass_fold;

#endif
