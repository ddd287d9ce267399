/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum error_code queue_init(struct queue *queue, size_t capacity, struct error *error)
{
    *queue = (struct queue){.capacity = capacity};
    queue->items = calloc(capacity, sizeof *queue->items);
    if (queue->items == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a queue of %zu items", capacity);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->mutex, NULL);
    pthread_cond_init(&queue->not_empty, &monotonic);
    pthread_cond_init(&queue->not_full, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return ERROR_NONE;
}

void queue_deinit(struct queue *queue)
{
    if (queue->items == NULL)
        return;
    pthread_cond_destroy(&queue->not_full);
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->mutex);
    free(queue->items);
    *queue = (struct queue){0};
}

static void push_locked(struct queue *queue, void *item)
{
    queue->items[(queue->head + queue->count) % queue->capacity] = item;
    queue->count++;
    pthread_cond_signal(&queue->not_empty);
}

static void *pop_locked(struct queue *queue)
{
    if (queue->count == 0)
        return NULL;
    void *item = queue->items[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    pthread_cond_signal(&queue->not_full);
    return item;
}

bool queue_try_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->mutex);
    bool pushed = !queue->closed && queue->count < queue->capacity;
    if (pushed)
        push_locked(queue, item);
    pthread_mutex_unlock(&queue->mutex);
    return pushed;
}

bool queue_push(struct queue *queue, void *item)
{
    pthread_mutex_lock(&queue->mutex);
    while (!queue->closed && queue->count == queue->capacity)
        pthread_cond_wait(&queue->not_full, &queue->mutex);
    bool pushed = !queue->closed;
    if (pushed)
        push_locked(queue, item);
    pthread_mutex_unlock(&queue->mutex);
    return pushed;
}

void *queue_pop(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    while (!queue->closed && queue->count == 0)
        pthread_cond_wait(&queue->not_empty, &queue->mutex);
    void *item = pop_locked(queue);
    pthread_mutex_unlock(&queue->mutex);
    return item;
}

void *queue_pop_until(struct queue *queue, int64_t deadline_us)
{
    struct timespec deadline = {.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000};
    pthread_mutex_lock(&queue->mutex);
    int waited = 0;
    while (!queue->closed && queue->count == 0 && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&queue->not_empty, &queue->mutex, &deadline);
    void *item = pop_locked(queue);
    pthread_mutex_unlock(&queue->mutex);
    return item;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->closed = true;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_cond_broadcast(&queue->not_full);
    pthread_mutex_unlock(&queue->mutex);
}

size_t queue_depth(struct queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    size_t depth = queue->count;
    pthread_mutex_unlock(&queue->mutex);
    return depth;
}
