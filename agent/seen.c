/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/seen.h"

#include <pthread.h>
#include <stdlib.h>

enum { PACKET_IDS = UINT16_MAX };

struct seen {
    pthread_mutex_t lock;
    size_t count, at;            /* at: where the next one goes */
    uint64_t ring[PACKET_IDS];
};

enum error_code seen_new(const struct outbox *outbox, struct seen **seen_out, struct error *error)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the digests of %d readings", PACKET_IDS);
    pthread_mutex_init(&seen->lock, NULL);
    seen->count = outbox_list_taken(outbox, seen->ring, PACKET_IDS);
    seen->at = seen->count % PACKET_IDS;
    *seen_out = seen;
    return ERROR_NONE;
}

void seen_free(struct seen *seen)
{
    if (seen == NULL)
        return;
    pthread_mutex_destroy(&seen->lock);
    free(seen);
}

bool seen_has(struct seen *seen, uint64_t digest)
{
    bool found = false;
    pthread_mutex_lock(&seen->lock);
    for (size_t i = 0; i < seen->count && !found; i++)
        found = seen->ring[i] == digest;
    pthread_mutex_unlock(&seen->lock);
    return found;
}

void seen_add(struct seen *seen, uint64_t digest)
{
    pthread_mutex_lock(&seen->lock);
    seen->ring[seen->at] = digest;
    seen->at = (seen->at + 1) % PACKET_IDS;
    seen->count += seen->count < PACKET_IDS;
    pthread_mutex_unlock(&seen->lock);
}
