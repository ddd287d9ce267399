/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/policies.h"

#include "cache/sketch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { NOWHERE = UINT32_MAX };

static void *array(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (memory == NULL)
        abort();
    return memory;
}

/* Queues over dense keys: newer[key], older[key] are shared by all queues, a key is in one of them at most. */
struct queues {
    uint32_t *newer, *older;
    uint8_t *in; /* 0: in none */
};

struct queue_ends {
    uint32_t newest, oldest;
    size_t count;
    uint8_t id;
};

static struct queues queues_new(size_t keys)
{
    return (struct queues){array(keys, sizeof(uint32_t)), array(keys, sizeof(uint32_t)), array(keys, 1)};
}

static void queues_free(struct queues *queues)
{
    free(queues->newer);
    free(queues->older);
    free(queues->in);
}

static void push(struct queues *queues, struct queue_ends *ends, uint32_t key)
{
    queues->in[key] = ends->id;
    queues->newer[key] = NOWHERE;
    queues->older[key] = ends->count > 0 ? ends->newest : NOWHERE;
    if (ends->count > 0)
        queues->newer[ends->newest] = key;
    else
        ends->oldest = key;
    ends->newest = key;
    ends->count++;
}

static void pull(struct queues *queues, struct queue_ends *ends, uint32_t key)
{
    uint32_t newer = queues->newer[key], older = queues->older[key];
    if (newer != NOWHERE)
        queues->older[newer] = older;
    else
        ends->newest = older;
    if (older != NOWHERE)
        queues->newer[older] = newer;
    else
        ends->oldest = newer;
    ends->count--;
    queues->in[key] = 0;
}

double policy_lru(const struct trace *trace, size_t entries)
{
    struct queues queues = queues_new(trace->key_count);
    struct queue_ends all = {.id = 1};
    size_t hits = 0;
    for (size_t i = 0; i < trace->length; i++) {
        uint32_t key = trace->keys[i];
        if (queues.in[key]) {
            hits++;
            pull(&queues, &all, key);
        } else if (all.count == entries) {
            pull(&queues, &all, all.oldest);
        }
        push(&queues, &all, key);
    }
    queues_free(&queues);
    return (double)hits / (double)trace->length;
}

double policy_sieve(const struct trace *trace, size_t entries)
{
    struct queues queues = queues_new(trace->key_count);
    struct queue_ends all = {.id = 1};
    bool *marked = array(trace->key_count, sizeof *marked);
    uint32_t hand = NOWHERE;
    size_t hits = 0;
    for (size_t i = 0; i < trace->length; i++) {
        uint32_t key = trace->keys[i];
        if (queues.in[key]) {
            hits++;
            marked[key] = true;
            continue;
        }
        if (all.count == entries) {
            hand = hand == NOWHERE ? all.oldest : hand;
            while (marked[hand]) {
                marked[hand] = false;
                hand = queues.newer[hand] == NOWHERE ? all.oldest : queues.newer[hand];
            }
            uint32_t victim = hand;
            hand = queues.newer[hand];
            pull(&queues, &all, victim);
        }
        marked[key] = false;
        push(&queues, &all, key);
    }
    free(marked);
    queues_free(&queues);
    return (double)hits / (double)trace->length;
}

static uint64_t mix(uint64_t key)
{
    key = (key + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

double policy_w_tinylfu(const struct trace *trace, size_t entries)
{
    struct queues queues = queues_new(trace->key_count);
    struct queue_ends window = {.id = 1}, probation = {.id = 2}, protected = {.id = 3};
    size_t window_max = entries / 100 > 0 ? entries / 100 : 1, main_max = entries - window_max, protected_max = main_max * 4 / 5, hits = 0;
    struct sketch sketch;
    if (!sketch_init(&sketch, entries))
        abort();
    for (size_t i = 0; i < trace->length; i++) {
        uint32_t key = trace->keys[i];
        sketch_add(&sketch, mix(key), 10 * entries);
        if (queues.in[key] == window.id) {
            hits++;
            pull(&queues, &window, key);
            push(&queues, &window, key);
        } else if (queues.in[key] == protected.id) {
            hits++;
            pull(&queues, &protected, key);
            push(&queues, &protected, key);
        } else if (queues.in[key] == probation.id) {
            hits++;
            pull(&queues, &probation, key);
            push(&queues, &protected, key);
            if (protected.count > protected_max) {
                uint32_t demoted = protected.oldest;
                pull(&queues, &protected, demoted);
                push(&queues, &probation, demoted);
            }
        } else {
            push(&queues, &window, key);
            if (window.count <= window_max)
                continue;
            uint32_t candidate = window.oldest;
            pull(&queues, &window, candidate);
            if (probation.count + protected.count >= main_max) {
                struct queue_ends *from = probation.count > 0 ? &probation : &protected;
                uint32_t victim = from->oldest;
                if (sketch_estimate(&sketch, mix(candidate)) <= sketch_estimate(&sketch, mix(victim)))
                    continue;
                pull(&queues, from, victim);
            }
            push(&queues, &probation, candidate);
        }
    }
    sketch_deinit(&sketch);
    queues_free(&queues);
    return (double)hits / (double)trace->length;
}

/* A heap of (next use, key), latest use first; what was superseded is dropped when it comes up. */
struct use {
    uint64_t at;
    uint32_t key;
};

static void heap_push(struct use *heap, size_t *count, struct use use)
{
    size_t i = (*count)++;
    for (; i > 0 && heap[(i - 1) / 2].at < use.at; i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = use;
}

static struct use heap_pop(struct use *heap, size_t *count)
{
    struct use top = heap[0], last = heap[--*count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *count; i = child) {
        if (child + 1 < *count && heap[child + 1].at > heap[child].at)
            child++;
        if (heap[child].at <= last.at)
            break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

double policy_belady(const struct trace *trace, size_t entries)
{
    uint64_t *next = array(trace->length, sizeof *next), *later = array(trace->key_count, sizeof *later);
    for (size_t k = 0; k < trace->key_count; k++)
        later[k] = UINT64_MAX;
    for (size_t i = trace->length; i-- > 0;) {
        next[i] = later[trace->keys[i]];
        later[trace->keys[i]] = i;
    }
    struct use *heap = array(trace->length + 1, sizeof *heap);
    uint64_t *held = array(trace->key_count, sizeof *held); /* next use of a held key + 1; 0: not held */
    size_t heap_count = 0, count = 0, hits = 0;
    for (size_t i = 0; i < trace->length; i++) {
        uint32_t key = trace->keys[i];
        bool hit = held[key] != 0;
        hits += hit;
        count -= hit;
        held[key] = 0;
        if (next[i] == UINT64_MAX)
            continue;
        held[key] = next[i] + 1;
        count++;
        heap_push(heap, &heap_count, (struct use){.at = next[i], .key = key});
        while (count > entries) {
            struct use top = heap_pop(heap, &heap_count);
            if (held[top.key] == top.at + 1) {
                held[top.key] = 0;
                count--;
            }
        }
    }
    free(next);
    free(later);
    free(heap);
    free(held);
    return (double)hits / (double)trace->length;
}
