/* SPDX-License-Identifier: Apache-2.0
 *
 * constants.h: the memory of constants that nobody reads any more goes back to the system while a model is loaded.
 *
 * Constants may share memory: tensors over one buffer of the file, views, weights still to be rearranged. What overlaps is one block, and a
 * block goes when the last value in it that is read has lost its last reader. Blocks are found once, by sorting: a file of 60,000 tensors over
 * one buffer costs no more than one of 60,000 buffers.
 * Only of models whose file is mapped: of others it is not known what is the caller's memory and what the graph's. */
#ifndef EDDY_INFERENCE_CONSTANTS_H
#define EDDY_INFERENCE_CONSTANTS_H

#include "inference/graph.h"

struct constants {
    struct constants_block {
        uintptr_t first, last;
        int32_t value;            /* that begins it */
        int32_t values_read;      /* how many of it have readers */
    } *blocks;
    int32_t block_count;
    int32_t *block_of;            /* by value; -1: no constant, or a new one */
    struct graph_uses *uses;      /* borrowed */
};

MUST_CHECK enum error_code constants_count(struct graph *graph, struct graph_uses *uses, struct constants *constants_out,
                                           struct error *error); /* in the graph's arena */
void constants_drop_unread(struct graph *graph, const struct constants *constants); /* what nobody reads by now, passes have replaced it */
/* One reader of that constant less; one that was made after they were counted has one. */
void constants_release(struct graph *graph, struct constants *constants, int32_t value);

#endif
