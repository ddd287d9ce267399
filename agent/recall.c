/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recall.h"

#include "agent/agreement.h"

#include <stdlib.h>

enum error_code recall_init(struct recall *recall, struct cache_space *space, const struct manifest *manifest, size_t capacity,
                            struct error *error)
{
    *recall = (struct recall){.space = space, .near = space != NULL ? cache_near(space) : NULL, .manifest = manifest, .capacity = capacity};
    if (recall->near == NULL)
        return ERROR_NONE;
    recall->shared = malloc(capacity);
    return recall->shared != NULL ? ERROR_NONE : error_set(error, ERROR_LIMIT, "no memory for results of %zu bytes", capacity);
}

void recall_deinit(struct recall *recall)
{
    free(recall->shared);
    *recall = (struct recall){0};
}

static bool fetch(struct recall *recall, struct cache_key key)
{
    struct cache_found found;
    if (!cache_find(recall->space, key, recall->shared, recall->capacity, &found))
        return false; /* evicted or too old: the reference is of no use */
    recall->shared_length = found.length;
    recall->saving_us = found.saving_us;
    return true;
}

bool recall_ask(struct recall *recall)
{
    if (recall->near == NULL || !recall->described)
        return false;
    near_look(recall->near, &recall->descriptor, &recall->ask);
    if (recall->ask.advice != NEAR_HIT)
        return false;
    if (fetch(recall, recall->ask.key))
        return true;
    recall->ask.new_for = UINT64_MAX; /* in the place of the one whose result is gone */
    return false;
}

void recall_learn(struct recall *recall, const char *result, size_t length, struct cache_key key, double margin)
{
    if (recall->near == NULL || !recall->described)
        return;
    uint64_t wrong = 0;
    for (int i = 0; i < recall->ask.trial_count; i++) {
        const struct near_trial *trial = &recall->ask.trials[i];
        if (fetch(recall, trial->key) && !agreement_check(recall->manifest, (struct agreement_result){recall->shared, recall->shared_length},
                                                          (struct agreement_result){result, length}))
            wrong |= trial->levels;
    }
    near_learn(recall->near, &recall->ask, wrong);
    near_add(recall->near, &recall->ask, &recall->descriptor, key, margin);
}
