/* SPDX-License-Identifier: Apache-2.0
 *
 * sharing.h: which layers of a run are shared among threads, found out by measuring.
 *
 * What a layer wins by itself (half of its time, less what handing over costs) is not what the run wins: the next layer finds its input in another
 * core's cache, a helper that sleeps has to be woken, and other programs may have the other core. So layers are only sorted by what they promise,
 * into levels: 0 shares none, 1 those that promise much, 2 all that promise anything. Whole runs at each level then decide, and a higher level
 * must win clearly: every layer that is shared for nothing is processor time for nothing.
 * Runs close behind each other and runs after a pause, whose helpers sleep, are judged apart: the latter share only where two threads take so
 * much less time that together they cost little more than one.
 * Looks: at the first runs, then at run 16, 32, 64, ... 1024, and every 1024 from there on, with the two that follow, for each level's turn. Lowest
 * times count; older ones fade, so that it is noticed when other programs come to the machine.
 * Not here: how work is cut (operations' parts, by shape alone) and so the results: they have the same bits at any level.
 * Threads: those of the run. */
#ifndef EDDY_INFERENCE_SHARING_H
#define EDDY_INFERENCE_SHARING_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { SHARING_LEVELS = 3, SHARING_PAUSE_NS = 1000000 };

struct sharing {
    int64_t *alone_ns;            /* by layer: lowest on the caller's thread */
    uint8_t *level_of;            /* by layer: the lowest level that shares it; SHARING_LEVELS: none does. In alone_ns's memory */
    int64_t hand_over_ns;         /* lowest; INT64_MAX: no helper ever came in time */
    struct sharing_habit {        /* [0]: runs close behind each other, [1]: after a pause */
        int64_t lowest_ns[SHARING_LEVELS];
        uint32_t runs;
        int level;                /* the best so far */
    } habits[2];
    int64_t started_ns, ended_ns; /* this run, the one before */
    int habit;                    /* of this run */
    int level;
    bool looks;                   /* this run is one that is measured */
    int32_t promising;            /* layers that some level shares */
    uint32_t skipped;             /* runs done without a look at the clock, as no layer promises anything */
};

MUST_CHECK enum error_code sharing_begin(struct sharing *sharing, int32_t layers, struct error *error); /* ERROR_LIMIT: no memory */
void sharing_end(struct sharing *sharing); /* a zeroed one is fine */

/* No layer promises anything: this run need not be started, and is done alone. What takes two microseconds feels a look at the clock. */
bool sharing_skips(struct sharing *sharing);
/* A run: sharing_start says at which level; true: its layers, all done alone, are to be timed, each with sharing_layer. */
bool sharing_start(struct sharing *sharing, int64_t now_ns);
void sharing_hand_over(struct sharing *sharing, int64_t taken_ns, int64_t now_ns); /* what it took just now: no part of the run */
/* parts: as the layer's work is cut; 1: it cannot be shared. threads: that would share it. */
void sharing_layer(struct sharing *sharing, int32_t layer, int64_t taken_ns, int64_t parts, int threads);
void sharing_finish(struct sharing *sharing, int64_t now_ns);

static inline bool sharing_shares(const struct sharing *sharing, int32_t layer)
{
    return sharing->level_of[layer] <= sharing->level;
}

#endif
