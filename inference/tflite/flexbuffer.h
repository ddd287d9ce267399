/* SPDX-License-Identifier: Apache-2.0
 *
 * flexbuffer.h: numbers out of a FlexBuffer map (https://flatbuffers.dev/flexbuffers/), the form of a custom operator's options. */
#ifndef EDDY_INFERENCE_FLEXBUFFER_H
#define EDDY_INFERENCE_FLEXBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The integer, boolean or float under a key of the root map; false: there is none, or the bytes are damaged. */
bool flexbuffer_number(const uint8_t *bytes, size_t length, const char *key, double *number_out);

#endif
