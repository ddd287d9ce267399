/* SPDX-License-Identifier: Apache-2.0
 *
 * queue.h: a bounded queue of pointers between threads.
 *
 * Any number of threads may push and pop. Ownership of an item moves with it. A full queue refuses (queue_try_push) or waits
 * (queue_push); nothing is ever dropped. queue_close wakes all: pushes fail from then on, pops drain what is left, then give NULL. */
#ifndef EDDY_BASE_QUEUE_H
#define EDDY_BASE_QUEUE_H

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t not_empty, not_full;
    void **items;
    size_t capacity, count, head;
    bool closed;
};

MUST_CHECK enum error_code queue_init(struct queue *queue, size_t capacity, struct error *error);
void queue_deinit(struct queue *queue); /* the queue must be empty or its items reachable elsewhere */

bool queue_try_push(struct queue *queue, void *item); /* false: full or closed, the item stays the caller's */
bool queue_push(struct queue *queue, void *item);     /* waits for room; false: closed */
void *queue_pop(struct queue *queue);                 /* waits; NULL: closed and empty */
void *queue_pop_until(struct queue *queue, int64_t deadline_us); /* NULL too once clock_monotonic_us() passes the deadline */
void queue_close(struct queue *queue);
size_t queue_depth(struct queue *queue);

#endif
