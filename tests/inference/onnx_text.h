/* SPDX-License-Identifier: Apache-2.0
 *
 * onnx_text.h: ONNX files for tests from text much like ONNX's own textual form.
 *
 *   (float[2,3] x, int64[2] i) => (float[2,3] y)          inputs and outputs; dimensions may be names: left open
 *   <float[3] w = {1, 2.5, -3}>                           constants, optional
 *   { t = Mul(x, w)  y = Softmax<axis = 1>(t) }           nodes; _ is an absent operand
 *   attributes: 3, 2.5, "text", [1, 2], [1.5], a tensor float[1]{2}, a graph (...) => (...) {...}
 *   types: float, float16, int8, uint8, int16, uint16, int32, uint32, int64, uint64, bool
 * A text that does not read ends the test. */
#ifndef EDDY_TESTS_ONNX_TEXT_H
#define EDDY_TESTS_ONNX_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* A serialised ModelProto of that opset; free() it. */
uint8_t *onnx_from_text(const char *text, int opset, size_t *length_out);

#endif
