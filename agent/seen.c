/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/seen.h"

#include "base/recent.h"

#include <pthread.h>
#include <stdlib.h>

enum { PACKET_IDS = UINT16_MAX };

struct seen {
    pthread_mutex_t lock;
    struct recent recent;
};

enum error_code seen_new(const struct outbox *outbox, struct seen **seen_out, struct error *error)
{
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the digests of %d readings", PACKET_IDS);
    pthread_mutex_init(&seen->lock, NULL);
    enum error_code code = recent_init(&seen->recent, PACKET_IDS, error);
    if (code != ERROR_NONE) {
        seen_free(seen);
        return code;
    }
    recent_advance(&seen->recent, outbox_list_taken(outbox, seen->recent.ring, PACKET_IDS));
    *seen_out = seen;
    return ERROR_NONE;
}

void seen_free(struct seen *seen)
{
    if (seen == NULL)
        return;
    recent_deinit(&seen->recent);
    pthread_mutex_destroy(&seen->lock);
    free(seen);
}

bool seen_has(struct seen *seen, uint64_t digest)
{
    pthread_mutex_lock(&seen->lock);
    bool found = recent_has(&seen->recent, digest, PACKET_IDS);
    pthread_mutex_unlock(&seen->lock);
    return found;
}

void seen_add(struct seen *seen, uint64_t digest)
{
    pthread_mutex_lock(&seen->lock);
    recent_put(&seen->recent, digest);
    pthread_mutex_unlock(&seen->lock);
}
