/* SPDX-License-Identifier: Apache-2.0
 *
 * engine.h: runs one compressed model on the CPU of this gateway.
 *
 * A model is the checked, immutable form of an .onnx or .tflite file, planned for one set of input shapes. A run is the memory of one
 * inference over it.
 * Not here: decoding of inputs (agent/input), meaning of outputs (agent/task), the choice of kernels (kernels/kernels.h).
 * Memory:  model_open allocates all that a model needs, run_new allocates model_memory() bytes; run_execute allocates nothing.
 * Threads: a model may be shared by any number of runs; a run belongs to one thread at a time. A run may use a pool (run_set_threads), which
 *          any number of runs share; its results have the same bits whatever the pool.
 * Errors:  every byte of the file is checked in model_open: ERROR_MODEL (damaged; with offset or tensor and the reason),
 *          ERROR_UNSUPPORTED (operator, its name and where it sits), ERROR_LIMIT, ERROR_INPUT (file). run_execute cannot fail. */
#ifndef EDDY_INFERENCE_ENGINE_H
#define EDDY_INFERENCE_ENGINE_H

#include "base/error.h"
#include "inference/tensor.h"

#include <stddef.h>
#include <stdio.h>

struct model;
struct run;
struct threads; /* threads.h */

/* What the caller knows of an input before the first run. Where an operand must be known when the model is opened (graph.h: "Known at open")
 * and depends on an input whose content is given here, that input becomes a constant: the model then has it no longer. */
struct input_shape {
    const char *name; /* NULL: by position */
    struct shape shape;
    enum dtype dtype; /* of data */
    const void *data; /* the input's content, dense; NULL: comes with each run. Read during model_open alone */
};

struct model_options {
    const struct input_shape *input_shapes; /* for files that leave dimensions open; those not named become 1 */
    int input_shape_count;
    bool channels_last;      /* images that the file wants as [N,C,H,W] may be described, and then given, as [N,H,W,C]: saves a transposition */
    const char *cpu;         /* scalar | avx2 | avxvnni | avx512 | avx512vnni | neon | NULL: EDDY_CPU from the environment, else the best there is */
    const char *skip_passes; /* comma-separated names of passes/ to leave out, or "all"; NULL: EDDY_PASSES from the environment, else none */
    bool keep_packed;        /* model_open: weights as these kernels want them stay in a file beside the model (packed.h); environment EDDY_PACKED=on, off */
    FILE *trace;             /* where the graph is written as loaded and after each pass; NULL: nowhere */
};

MUST_CHECK enum error_code model_open(const char *path, const struct model_options *options, struct model **model_out, struct error *error);
/* The same from memory; bytes must stay until model_close. name is for messages. The format is found from the content. */
MUST_CHECK enum error_code model_open_bytes(const void *bytes, size_t length, const char *name, const struct model_options *options,
                                            struct model **model_out, struct error *error);
void model_close(struct model *model); /* NULL is fine; after its last run */

int model_input_count(const struct model *model);
int model_output_count(const struct model *model);
/* Name, type, shape and quantisation as the file states them; data is NULL. Borrowed until model_close. */
const struct tensor *model_input(const struct model *model, int index);
const struct tensor *model_output(const struct model *model, int index);
int model_input_position(const struct model *model, int index); /* its place among the file's inputs */
size_t model_memory(const struct model *model); /* bytes that one run needs */
uint64_t model_macs(const struct model *model); /* multiply-accumulates of one run */
int model_winograd_layers(const struct model *model); /* convolutions done by minimal filtering: not to the last bit what the direct way gives */
bool model_is_packed_mapped(const struct model *model); /* its weights came from the file that keep_packed keeps */
const char *model_cpu(const struct model *model); /* the kernels that were chosen: "avx512vnni", ... */
void model_print(const struct model *model, FILE *file); /* one line a node, in execution order */

/* One step of a run, for profiles. Text is borrowed until model_close. */
struct layer {
    const char *name, *kind;
    struct shape shape; /* of its result */
    uint64_t macs;
    uint64_t bytes;     /* of its inputs, weights and results, each once */
};
int model_layer_count(const struct model *model);
struct layer model_layer(const struct model *model, int index);

MUST_CHECK enum error_code run_new(const struct model *model, struct run **run_out, struct error *error);
void run_free(struct run *run); /* NULL is fine */
const struct model *run_get_model(const struct run *run);
struct tensor *run_input(struct run *run, int index);         /* borrowed: fill ->data in the file's type and layout, then execute */
/* Lets this run share its large layers among the pool's threads; borrowed until run_free. Layers that measure faster on one thread stay on
 * one: the first runs try both. NULL: the caller's thread alone, as at first. ERROR_LIMIT: no memory; the run stays as it was. */
MUST_CHECK enum error_code run_set_threads(struct run *run, struct threads *threads, struct error *error);
void run_execute(struct run *run);
/* Executes once; lowers each layer's entry to its time where that is shorter. Layers that run together in bands (bands.h): all of them, where
 * the sum is; while threads share them, as the caller's thread divided its time. */
void run_measure(struct run *run, int64_t *layer_ns);
const struct tensor *run_output(const struct run *run, int index); /* borrowed: valid until the next execute */

#endif
