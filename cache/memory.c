/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL_BYTES = 64,
    CELLS_TYPICAL = 4,       /* of an entry: sizes the index and the sketch */
    WINDOW_SHARE = 20,       /* the window is one in so many cells ... */
    WINDOW_CELLS_MIN = 256,  /* ... but holds dozens of values, or half of all: short repeats need as many, however small the cache */
    MARKED_PASSED_MAX = 64,  /* steps of the hand over marked entries for one victim: keeps a put short */
    PEEKED = 4,              /* entries ahead of the hand that may go in place of the one at it */
    REFUSALS_MAX = 32,       /* candidates that one victim turns away before the hand goes on: patience for what once was popular */
    AGEING_FACTOR = 10,      /* counters are halved once in so many requests per entry held */
    SAMPLES_PER_HELD = 4,    /* requests per entry held, over which hits are counted */
    ENTRIES_MIN = 64,
    REMEMBERED_WAYS = 8,     /* keys remembered per entry held */
};

/* When other keys become popular, what the sketch knows keeps the new ones out: then it forgets twenty times as fast, and each refusal moves the hand. */
static const double FALL = 0.03 /* of the share of hits, that tells it */, MEMORY_OF_SHARE = 0.97;

struct memory_cell {
    uint32_t next;
    char bytes[CELL_BYTES - sizeof(uint32_t)];
};

enum { HEAD_BYTES = CELL_BYTES - offsetof(struct memory_entry, value), REST_BYTES = sizeof((struct memory_cell *)0)->bytes };

static_assert(sizeof(struct memory_cell) == CELL_BYTES && offsetof(struct memory_entry, value) < CELL_BYTES, "a cell is a cache line");

static struct memory_entry *entry_at(const struct memory_cache *memory, uint32_t cell)
{
    return cell == 0 ? NULL : (struct memory_entry *)(void *)&memory->cells[cell];
}

static uint32_t cell_of(const struct memory_cache *memory, const struct memory_entry *entry)
{
    return (uint32_t)((const struct memory_cell *)(const void *)entry - memory->cells);
}

static size_t cells_for(size_t length)
{
    return length <= HEAD_BYTES ? 1 : 1 + (length - HEAD_BYTES + REST_BYTES - 1) / REST_BYTES;
}

enum error_code memory_cache_init(struct memory_cache *memory, size_t bytes, struct error *error)
{
    size_t entry_bytes = CELLS_TYPICAL * CELL_BYTES + (1 + REMEMBERED_WAYS) * sizeof(uint32_t) + sizeof(struct sketch_line) / SKETCH_KEYS_PER_LINE;
    size_t entries = bytes / entry_bytes;
    entries = entries < ENTRIES_MIN ? ENTRIES_MIN : entries;
    entries = entries > UINT32_MAX / CELLS_TYPICAL - 1 ? UINT32_MAX / CELLS_TYPICAL - 1 : entries; /* cells have 32-bit numbers */
    *memory = (struct memory_cache){.cell_count = entries * CELLS_TYPICAL, .index_slots = entries};
    memory->window_cells = memory->cell_count / WINDOW_SHARE;
    if (memory->window_cells < WINDOW_CELLS_MIN)
        memory->window_cells = memory->cell_count / 2 < WINDOW_CELLS_MIN ? memory->cell_count / 2 : WINDOW_CELLS_MIN;
    /* untouched pages cost nothing: calloc, and the free chain is laid as cells are first used */
    memory->cells = calloc(memory->cell_count + 1, sizeof *memory->cells);
    memory->index = calloc(memory->index_slots, sizeof *memory->index);
    memory->remembered = calloc(memory->index_slots * REMEMBERED_WAYS, sizeof *memory->remembered);
    if (memory->cells == NULL || memory->index == NULL || memory->remembered == NULL || !sketch_init(&memory->sketch, entries)) {
        memory_cache_deinit(memory);
        return error_set(error, ERROR_LIMIT, "no memory for a cache of %zu bytes", bytes);
    }
    memory->free_cell = 1;
    memory->free_cells = memory->cell_count;
    return ERROR_NONE;
}

void memory_cache_deinit(struct memory_cache *memory)
{
    free(memory->cells);
    free(memory->index);
    free(memory->remembered);
    sketch_deinit(&memory->sketch);
    *memory = (struct memory_cache){0};
}

size_t memory_cache_bytes(const struct memory_cache *memory)
{
    return (memory->cell_count - memory->free_cells) * CELL_BYTES;
}

/* A free cell whose `next` is 0 was never used: the one behind it is free as well. */
static uint32_t take_cell(struct memory_cache *memory)
{
    uint32_t cell = memory->free_cell;
    assert(memory->free_cells > 0);
    memory->free_cells--;
    memory->free_cell = memory->cells[cell].next != 0 ? memory->cells[cell].next : cell + 1;
    return cell;
}

static void give_cell(struct memory_cache *memory, uint32_t cell)
{
    memory->cells[cell].next = memory->free_cell;
    memory->free_cell = cell;
    memory->free_cells++;
}

static uint32_t *slot_of(struct memory_cache *memory, struct cache_key key)
{
    return &memory->index[(size_t)(((key.low >> 32) * memory->index_slots) >> 32)];
}

static void unlink_from_index(struct memory_cache *memory, const struct memory_entry *entry)
{
    uint32_t *at = slot_of(memory, entry->key);
    while (entry_at(memory, *at) != entry)
        at = &entry_at(memory, *at)->chain;
    *at = entry->chain;
    memory->entries--;
}

static void link_into_index(struct memory_cache *memory, struct memory_entry *entry)
{
    uint32_t *slot = slot_of(memory, entry->key);
    entry->chain = *slot;
    *slot = cell_of(memory, entry);
    memory->entries++;
}

static struct memory_queue *queue_of(struct memory_cache *memory, const struct memory_entry *entry)
{
    return entry->in_window ? &memory->window : &memory->main;
}

static void enqueue(struct memory_cache *memory, struct memory_entry *entry, bool in_window)
{
    entry->in_window = in_window;
    struct memory_queue *queue = queue_of(memory, entry);
    entry->older = queue->newest;
    entry->newer = 0;
    if (queue->newest != 0)
        entry_at(memory, queue->newest)->newer = cell_of(memory, entry);
    else
        queue->oldest = cell_of(memory, entry);
    queue->newest = cell_of(memory, entry);
    queue->cells += cells_for(entry->length);
}

static void dequeue(struct memory_cache *memory, struct memory_entry *entry)
{
    struct memory_queue *queue = queue_of(memory, entry);
    if (memory->hand == cell_of(memory, entry))
        memory->hand = entry->newer;
    if (entry->older != 0)
        entry_at(memory, entry->older)->newer = entry->newer;
    else
        queue->oldest = entry->newer;
    if (entry->newer != 0)
        entry_at(memory, entry->newer)->older = entry->older;
    else
        queue->newest = entry->older;
    queue->cells -= cells_for(entry->length);
}

void memory_cache_remove(struct memory_cache *memory, struct memory_entry *entry)
{
    dequeue(memory, entry);
    unlink_from_index(memory, entry);
    uint32_t rest = entry->rest;
    give_cell(memory, cell_of(memory, entry));
    while (rest != 0) {
        uint32_t next = memory->cells[rest].next;
        give_cell(memory, rest);
        rest = next;
    }
}

static void evict(struct memory_cache *memory, struct memory_entry *entry)
{
    memory_cache_remove(memory, entry);
    memory->evictions++;
}

/* A sample of requests is over: has the share of hits fallen further below what it was lately than chance explains? */
static void end_sample(struct memory_cache *memory)
{
    struct memory_sample *sample = &memory->sample;
    double share = 1 - (double)sample->missed / (double)sample->asked, noise = 4 * sqrt(0.25 / (double)sample->asked);
    sample->shifted = share < sample->lately - (noise > FALL ? noise : FALL);
    sample->lately = share > sample->lately ? share : MEMORY_OF_SHARE * sample->lately + (1 - MEMORY_OF_SHARE) * share;
    sample->asked = sample->missed = 0;
}

int memory_cache_ask(struct memory_cache *memory, struct cache_key key)
{
    size_t held = memory->entries > ENTRIES_MIN ? memory->entries : ENTRIES_MIN;
    if (held > memory->index_slots) /* more small entries than the sketch has counters for */
        held = memory->index_slots;
    if (++memory->sample.asked >= held / SAMPLES_PER_HELD)
        end_sample(memory);
    return sketch_add(&memory->sketch, key.high, memory->sample.shifted ? held / 2 : AGEING_FACTOR * held);
}

bool memory_cache_remember(struct memory_cache *memory, struct cache_key key)
{
    uint32_t *set = memory->remembered + (size_t)(((key.high >> 32) * memory->index_slots) >> 32) * REMEMBERED_WAYS;
    uint32_t print = (uint32_t)key.low | 1;
    for (int i = 0; i < REMEMBERED_WAYS; i++) {
        if (set[i] == print)
            return true;
    }
    memmove(set + 1, set, (REMEMBERED_WAYS - 1) * sizeof *set); /* the oldest is forgotten */
    set[0] = print;
    return false;
}

int memory_cache_frequency(const struct memory_cache *memory, struct cache_key key)
{
    return sketch_estimate(&memory->sketch, key.high);
}

struct memory_entry *memory_cache_find(struct memory_cache *memory, struct cache_key key)
{
    struct memory_entry *entry = entry_at(memory, *slot_of(memory, key));
    while (entry != NULL && (entry->key.low != key.low || entry->key.high != key.high))
        entry = entry_at(memory, entry->chain);
    return entry;
}

void memory_cache_read(const struct memory_cache *memory, const struct memory_entry *entry, char *value)
{
    size_t length = entry->length, part = length < HEAD_BYTES ? length : HEAD_BYTES;
    memcpy(value, entry->value, part);
    for (uint32_t rest = entry->rest; rest != 0; rest = memory->cells[rest].next) {
        value += part;
        length -= part;
        part = length < REST_BYTES ? length : REST_BYTES;
        memcpy(value, memory->cells[rest].bytes, part);
    }
}

static void write_value(struct memory_cache *memory, struct memory_entry *entry, const char *value)
{
    size_t length = entry->length, part = length < HEAD_BYTES ? length : HEAD_BYTES;
    memcpy(entry->value, value, part);
    uint32_t *link = &entry->rest;
    while (length > part) {
        value += part;
        length -= part;
        part = length < REST_BYTES ? length : REST_BYTES;
        uint32_t cell = take_cell(memory);
        memcpy(memory->cells[cell].bytes, value, part);
        *link = cell;
        link = &memory->cells[cell].next;
    }
    *link = 0;
}

static double worth(const struct memory_cache *memory, const struct memory_entry *entry)
{
    double saving = entry->saving_us > 0 ? entry->saving_us : 1;
    return memory_cache_frequency(memory, entry->key) * saving / (double)cells_for(entry->length);
}

/* Where SIEVE would evict from the main part next: the hand goes from old to new, over marked entries, and clears their marks. */
static struct memory_entry *move_hand(struct memory_cache *memory)
{
    for (int passed = 0;; passed++) {
        if (memory->hand == 0)
            memory->hand = memory->main.oldest;
        struct memory_entry *entry = entry_at(memory, memory->hand);
        if (entry == NULL || !entry->marked || passed == MARKED_PASSED_MAX)
            return entry;
        entry->marked = false;
        memory->hand = entry->newer;
    }
}

/* Of the entry at the hand and the unmarked ones just ahead of it, the one worth least. */
static struct memory_entry *find_victim(struct memory_cache *memory)
{
    struct memory_entry *victim = move_hand(memory), *ahead = victim;
    double least = worth(memory, victim);
    for (int i = 0; i < PEEKED && (ahead = entry_at(memory, ahead->newer)) != NULL; i++) {
        double other = ahead->marked ? least : worth(memory, ahead);
        if (other < least) {
            least = other;
            victim = ahead;
        }
    }
    return victim;
}

/* The oldest of the window moves on into the main part, at the cost of whoever the hand rests on, if it is worth more. The hand stays
 * where a candidate was turned away: were it to go on, the marks would be cleared too fast to mean anything (docs/cache.md). */
static void leave_window(struct memory_cache *memory)
{
    struct memory_entry *candidate = entry_at(memory, memory->window.oldest);
    size_t main_cells = memory->cell_count - memory->window_cells, needed = cells_for(candidate->length);
    double candidate_worth = worth(memory, candidate);
    while (memory->main.cells + needed > main_cells) {
        struct memory_entry *victim = find_victim(memory);
        if (worth(memory, victim) >= candidate_worth) {
            if (++memory->refusals >= (memory->sample.shifted ? 1 : REFUSALS_MAX)) {
                memory->refusals = 0;
                memory->hand = entry_at(memory, memory->hand)->newer;
            }
            evict(memory, candidate);
            return;
        }
        memory->refusals = 0;
        evict(memory, victim);
    }
    dequeue(memory, candidate);
    candidate->marked = false;
    enqueue(memory, candidate, false);
}

struct memory_entry *memory_cache_put(struct memory_cache *memory, struct cache_key key, const struct memory_value *value)
{
    struct memory_entry *old = memory_cache_find(memory, key);
    if (old != NULL)
        memory_cache_remove(memory, old);
    size_t needed = cells_for(value->length);
    memory->sample.missed += old == NULL;
    if (needed > memory->window_cells)
        return NULL;
    while (memory->window.cells + needed > memory->window_cells)
        leave_window(memory);
    struct memory_entry *entry = entry_at(memory, take_cell(memory));
    *entry = (struct memory_entry){.key = key, .created_us = value->created_us, .length = (uint32_t)value->length,
                                   .saving_us = value->saving_us, .space = value->space};
    write_value(memory, entry, value->bytes);
    link_into_index(memory, entry);
    enqueue(memory, entry, true);
    return entry;
}

static void remove_space_from(struct memory_cache *memory, const struct memory_queue *queue, uint16_t space)
{
    for (uint32_t cell = queue->oldest; cell != 0;) {
        struct memory_entry *entry = entry_at(memory, cell);
        cell = entry->newer;
        if (entry->space == space)
            memory_cache_remove(memory, entry);
    }
}

void memory_cache_remove_space(struct memory_cache *memory, uint16_t space)
{
    remove_space_from(memory, &memory->window, space);
    remove_space_from(memory, &memory->main, space);
}

void memory_cache_forget_saved(struct memory_cache *memory)
{
    const uint32_t queues[] = {memory->window.oldest, memory->main.oldest};
    for (int i = 0; i < 2; i++) {
        for (struct memory_entry *entry = entry_at(memory, queues[i]); entry != NULL; entry = entry_at(memory, entry->newer))
            entry->saved = false;
    }
}
