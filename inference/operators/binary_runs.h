/* SPDX-License-Identifier: Apache-2.0
 *
 * binary_runs.h: the inner loops of operators of two operands. binary.c has those that models spend time in; binary_rare.c, compiled for
 * size, those of integers, truth values and comparisons. */
#ifndef EDDY_INFERENCE_BINARY_RUNS_H
#define EDDY_INFERENCE_BINARY_RUNS_H

#include "inference/graph.h"

/* out[i] = a[i * a_step] op b[i * b_step], i < count; a step is 0 or 1. */
typedef void run_function(const void *a, int64_t a_step, const void *b, int64_t b_step, void *out, int64_t count, const void *extra);

struct binary_run {
    enum operator_kind kind;
    enum dtype dtype;
    run_function *run;
};

#define DEFINE_RUN(name, in_type, out_type, expression)                                                                          \
    static void name(const void *a_data, int64_t a_step, const void *b_data, int64_t b_step, void *out_data, int64_t count,        \
                     const void *extra)                                                                                           \
    {                                                                                                                             \
        const in_type *a = a_data, *b = b_data;                                                                                   \
        out_type *out = out_data;                                                                                                 \
        (void)extra;                                                                                                              \
        if (a_step == 1 && b_step == 1) {                                                                                         \
            for (int64_t i = 0; i < count; i++) {                                                                                 \
                in_type x = a[i], y = b[i];                                                                                       \
                out[i] = (out_type)(expression);                                                                                  \
            }                                                                                                                     \
        } else if (a_step == 1) {                                                                                                 \
            in_type y = b[0];                                                                                                     \
            for (int64_t i = 0; i < count; i++) {                                                                                 \
                in_type x = a[i];                                                                                                 \
                out[i] = (out_type)(expression);                                                                                  \
            }                                                                                                                     \
        } else {                                                                                                                  \
            in_type x = a[0];                                                                                                     \
            for (int64_t i = 0; i < count; i++) {                                                                                 \
                in_type y = b[i * b_step];                                                                                        \
                out[i] = (out_type)(expression);                                                                                  \
            }                                                                                                                     \
        }                                                                                                                         \
    }

/* For i64, u64 and bool, and f32 where it compares; NULL: there is none. Integers come in widened blocks (wide.h), both steps 1. */
run_function *binary_rare_run(enum operator_kind kind, enum dtype dtype);

#endif
