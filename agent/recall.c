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

bool recall_ask(struct recall *recall)
{
    recall->shared_length = 0;
    recall->match.known = false;
    if (recall->near == NULL || !recall->described)
        return false;
    struct cache_found found;
    recall->advice = near_ask(recall->near, &recall->descriptor, &recall->match);
    if (!recall->match.known || !cache_find(recall->space, recall->match.key, recall->shared, recall->capacity, &found))
        return false; /* evicted or too old: the reference is of no use */
    recall->shared_length = found.length;
    recall->saving_us = found.saving_us;
    return recall->advice == NEAR_HIT;
}

void recall_learn(struct recall *recall, const char *result, size_t length, struct cache_key key)
{
    if (recall->near == NULL || !recall->described)
        return;
    if (recall->shared_length > 0)
        near_learn(recall->near, &recall->match, recall->advice,
                   agreement_check(recall->manifest, (struct agreement_result){recall->shared, recall->shared_length},
                                   (struct agreement_result){result, length}));
    near_add(recall->near, &recall->descriptor, key);
}
