/* SPDX-License-Identifier: Apache-2.0
 *
 * kernels.h: the inner loops of the engine, one function pointer per operation, chosen once by what the CPU can do.
 *
 * Scalar code in kernels/scalar fills every entry and is the reference: each faster variant (kernels/x86, kernels/arm) gives the same
 * integers, and floats that differ only by the order of summation. tests/inference/kernels_check.c holds them against each other. */
#ifndef EDDY_INFERENCE_KERNELS_H
#define EDDY_INFERENCE_KERNELS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

struct kernels {
    const char *name; /* "scalar", "avx2", "avx512vnni", "neon", ... */
};

/* cpu NULL: the best that this CPU has; else that name. Unknown name, or one that this CPU cannot run: ERROR_UNSUPPORTED with the names. */
MUST_CHECK enum error_code kernels_select(const char *cpu, const struct kernels **kernels_out, struct error *error);

#endif
