/* SPDX-License-Identifier: Apache-2.0
 *
 * bands.h: runs layers that follow each other in bands of rows, so that what one writes is still in the cache when the next reads it.
 *
 * A chain is some layers of which each alone reads what the one before it makes; such a value is banded (chosen by passes/bands.c, by shape;
 * those whose bands would not fit the cache are taken back here). Executed one by one, each layer would write its whole result to memory, for
 * the next to fetch it. In bands each layer does no more parts (operators.h) than the next needs for its own, again and again from top to
 * bottom. A banded value has no room in the run's memory but a window in the scratch of each thread: rows that were made and are still
 * needed. What two bands need is moved to the window's front, nothing is made twice.
 * To engine and plan a chain is one operation, that of its last layer, whose parts are bands: threads share them as those of any layer. Only
 * a thread that begins further down than where it ended makes the rows above its band again.
 * Parts are cut as without bands and computed by the same code: the bits of the results are the same. */
#ifndef EDDY_INFERENCE_BANDS_H
#define EDDY_INFERENCE_BANDS_H

#include "inference/operators/operators.h"

/* operations: [node_count], prepared. Those of a chain's last nodes become the chain, those before it do nothing. All in the graph's arena. */
MUST_CHECK enum error_code bands_make(struct graph *graph, struct operation *operations, struct error *error);

/* Before each execution of a chain, for the scratch of each thread that may take part. timed: how long each layer takes is summed up. */
void bands_begin(void *scratch, bool timed);
const int64_t *bands_spent_ns(const void *scratch); /* [chained]: what this thread spent in each layer */

#endif
