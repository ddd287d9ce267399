/* SPDX-License-Identifier: Apache-2.0
 *
 * recall.h: one predictor's use of the cache's near level: ask with an input's descriptor, learn from what was inferred after all.
 *
 * Order of calls for an input: fill `descriptor` and set `described` (or not, where it cannot be described), recall_ask; on false infer, then
 * recall_learn. Memory: at recall_init. Threads: one owner; the near level behind it is shared. */
#ifndef EDDY_AGENT_RECALL_H
#define EDDY_AGENT_RECALL_H

#include "cache/near.h"
#include "config/manifest.h"

struct recall {
    struct cache_space *space;
    struct near *near;               /* NULL: the space has no near level */
    const struct manifest *manifest; /* says when two results agree */
    char *shared;                    /* [capacity]: a reference's result */
    size_t capacity, shared_length;
    int64_t saving_us;
    struct near_descriptor descriptor;
    bool described;
    struct near_ask ask;
};

MUST_CHECK enum error_code recall_init(struct recall *recall, struct cache_space *space, const struct manifest *manifest, size_t capacity,
                                       struct error *error);
void recall_deinit(struct recall *recall);

/* true: `shared`, `shared_length` is the result to give and saving_us what it spares. */
bool recall_ask(struct recall *recall);
/* The result of the model; key: under which the cache holds it; margin: see task_margin. */
void recall_learn(struct recall *recall, const char *result, size_t length, struct cache_key key, double margin);

#endif
