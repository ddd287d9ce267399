/* SPDX-License-Identifier: Apache-2.0
 *
 * eddy/infer.h: runs .onnx and .tflite models on this CPU. libeddy-infer, a static library that needs libc and libm alone.
 *
 *   open      eddy_open: the whole file is checked, planned, packed for this CPU
 *   describe  eddy_input, eddy_output: name, type, shape, quantisation, as the file has them
 *   run       eddy_run_new once, then eddy_run for each inference
 *   close     eddy_run_free, eddy_close
 *
 * Not here: decoding of images, meaning of outputs, training.
 * Memory:  eddy_open and eddy_run_new allocate; eddy_run allocates nothing. Buffers given to eddy_run are the caller's.
 * Threads: a model may be shared by any number of runs; a run belongs to one thread at a time. No global state but which kernels this
 *          CPU runs, found once.
 * Errors:  functions that can fail return a status and fill *error (NULL is fine) with what was found, what was expected and where: file,
 *          operator and node, tensor. Results are written on success only. A hostile file is refused, never followed.
 * Shapes:  all are fixed when the model is opened. struct eddy_given says dimensions that the file leaves open, and the content of inputs that
 *          decide a shape; those become constants and are no inputs any more. Where only a run knows an extent (NonMaxSuppression, NonZero),
 *          eddy_output states its upper bound and eddy_run_output the actual one.
 * Environment: EDDY_CPU chooses kernels (scalar, avx2, avxvnni, avx512, avx512vnni, neon), EDDY_PASSES leaves graph passes out; options win.
 *          EDDY_PACKED=on keeps packed weights for every model, off for none, whatever options say. */
#ifndef EDDY_INFER_H
#define EDDY_INFER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { EDDY_RANK_MAX = 8, EDDY_MESSAGE_BYTES = 400 };

enum eddy_status {
    EDDY_OK,
    EDDY_INPUT,       /* a file that cannot be read, or an argument that does not fit the model */
    EDDY_MODEL,       /* the model is damaged or contradicts itself                             */
    EDDY_UNSUPPORTED, /* well-formed, but beyond what eddy does: which operator, which node     */
    EDDY_LIMIT        /* more memory, nodes or elements than eddy takes                         */
};

struct eddy_error {
    enum eddy_status status;
    char message[EDDY_MESSAGE_BYTES];
};

enum eddy_type { EDDY_F32, EDDY_F16, EDDY_I8, EDDY_U8, EDDY_I16, EDDY_I32, EDDY_I64, EDDY_BOOL, EDDY_U16, EDDY_U32, EDDY_U64 };

/* Dense, row-major, little-endian. real = scale * (stored - zero_point) where scales > 0. Pointers live as long as the model. */
struct eddy_tensor {
    const char *name;
    enum eddy_type type;
    int rank;                       /* 0: one number */
    int32_t shape[EDDY_RANK_MAX];
    size_t bytes;
    int scales;                     /* 0: not quantised; 1: for the whole tensor; n: for each index of scale_axis */
    int scale_axis;
    const float *scale;
    const int32_t *zero_point;
};

struct eddy_given {                 /* what is known of an input before the first run */
    const char *name;               /* NULL: by position */
    int rank;
    int32_t shape[EDDY_RANK_MAX];
    enum eddy_type type;            /* of data */
    const void *data;               /* content; NULL: comes with each run. Read during eddy_open alone */
};

struct eddy_options {
    const struct eddy_given *given;
    int given_count;
    const char *cpu;                /* NULL: EDDY_CPU, else the best there is */
    int keep_packed;                /* 1: eddy_open keeps the weights, as these kernels want them, in PATH.KERNELS.packed, where it can write: the next
                                     * open maps them. Used after its owner, key and checksum were found right; else written anew; never needed */
};

struct eddy_model;
struct eddy_run;

/* options may be NULL. eddy_open_bytes: bytes must stay until eddy_close; name is for messages. */
enum eddy_status eddy_open(const char *path, const struct eddy_options *options, struct eddy_model **model_out, struct eddy_error *error);
enum eddy_status eddy_open_bytes(const void *bytes, size_t length, const char *name, const struct eddy_options *options,
                                 struct eddy_model **model_out, struct eddy_error *error);
void eddy_close(struct eddy_model *model); /* NULL is fine; after its last run */

int eddy_input_count(const struct eddy_model *model);
int eddy_output_count(const struct eddy_model *model);
struct eddy_tensor eddy_input(const struct eddy_model *model, int index);
struct eddy_tensor eddy_output(const struct eddy_model *model, int index);
size_t eddy_memory(const struct eddy_model *model);    /* bytes of one run */
const char *eddy_cpu(const struct eddy_model *model);  /* the kernels in use: "avx512vnni", ... */

enum eddy_status eddy_run_new(const struct eddy_model *model, struct eddy_run **run_out, struct eddy_error *error);
void eddy_run_free(struct eddy_run *run);              /* NULL is fine */

/* Copies inputs[i] in, executes, copies into outputs[i]; each is as long as eddy_tensor.bytes says. NULL instead of an array or of one pointer:
 * nothing is copied there, the buffer is used in place through eddy_run_input and eddy_run_output. */
void eddy_run(struct eddy_run *run, const void *const *inputs, void *const *outputs);

/* The run's own buffers. actual (NULL is fine): the output's description after the last run. */
void *eddy_run_input(struct eddy_run *run, int index);
const void *eddy_run_output(const struct eddy_run *run, int index, struct eddy_tensor *actual);

#ifdef __cplusplus
}
#endif

#endif
