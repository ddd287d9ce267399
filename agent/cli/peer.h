/* SPDX-License-Identifier: Apache-2.0
 *
 * peer.h: another runtime on the same model and inputs, for `eddy bench --compare`. Its library is looked for when it is asked for (dlopen).
 *
 * onnxruntime: libonnxruntime.so.1 or libonnxruntime.so, from 1.0 on, through its C API; .onnx files. "onnxruntime=PATH" names the library.
 * ncnn and xnnpack read neither .onnx nor .tflite: ERROR_UNSUPPORTED says what to do.
 * Errors: ERROR_INPUT: no such runtime, its library is not found, or it refuses the model, in its words. */
#ifndef EDDY_AGENT_PEER_H
#define EDDY_AGENT_PEER_H

#include "inference/engine.h"

struct peer;

/* run: of the same model; its inputs are the peer's inputs from then on, borrowed until peer_close. */
MUST_CHECK enum error_code peer_open(const char *name, const char *model_path, struct run *run, int threads, struct peer **peer_out, struct error *error);
void peer_close(struct peer *peer); /* NULL is fine */
const char *peer_title(const struct peer *peer); /* "onnxruntime 1.20.1" */
MUST_CHECK enum error_code peer_execute(struct peer *peer, struct error *error); /* once */
/* The largest difference between the peer's last results and the run's: of floats absolute, of integers in steps. ERROR_MODEL: another size. */
MUST_CHECK enum error_code peer_difference(const struct peer *peer, const struct run *run, double *difference_out, struct error *error);

#endif
