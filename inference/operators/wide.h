/* SPDX-License-Identifier: Apache-2.0
 *
 * wide.h: integers of every width through one loop of int64_t, a block at a time.
 *
 * An operator on integers is written once, for int64_t; operands of other types are widened into a block, results narrowed to their low bits
 * (two's complement wraps). u64 keeps its bits: operators whose result depends on the sign look at the type. */
#ifndef EDDY_INFERENCE_WIDE_H
#define EDDY_INFERENCE_WIDE_H

#include "inference/tensor.h"

enum { WIDE_BLOCK = 256 };

/* from[i * step] for i < count <= WIDE_BLOCK; integers and bool. */
void wide_load(enum dtype dtype, const void *from, int64_t step, int64_t *block, int64_t count);
void wide_store(enum dtype dtype, void *to, const int64_t *block, int64_t count); /* f32 too: the nearest */

/* to[i] = from[i] for i < count, block by block, each changed by `change` in between (NULL: converted only). They may be one array of one type. */
typedef void wide_change(int64_t *block, int64_t count, int argument);
void wide_map(enum dtype from_dtype, const void *from, enum dtype to_dtype, void *to, int64_t count, wide_change *change, int argument);

#endif
