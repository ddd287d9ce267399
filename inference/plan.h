/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.h: where each computed value lies in the one block of memory that a run has.
 *
 * A value lives from the node that makes it to the last that reads it; two whose lives meet must not overlap. Greedy by size: the largest
 * first, each at the lowest offset that is free for its whole life (Pisarchyk and Lee, arXiv 2001.03288, section 5.2). A node that may
 * work in place gives its result the room of its input where nobody reads that input afterwards. Graph inputs and outputs keep their own
 * room for the whole run, since callers look at them. */
#ifndef EDDY_INFERENCE_PLAN_H
#define EDDY_INFERENCE_PLAN_H

#include "inference/operators/operators.h"

struct plan {
    size_t *offsets;      /* by value; SIZE_MAX: a constant, or not used */
    size_t bytes;         /* of the block, scratch included */
    size_t scratch_offset;
    size_t lower_bound;   /* most bytes alive at one node: no plan needs less */
};

MUST_CHECK enum error_code plan_make(struct graph *graph, const struct operation *operations, struct plan *plan_out, struct error *error);

#endif
