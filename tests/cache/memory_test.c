/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/filter.h"
#include "cache/memory.h"

#include "tests/check.h"

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static struct cache_key key_of(uint64_t k)
{
    return (struct cache_key){.low = (k + 1) * 0x9e3779b97f4a7c15u, .high = (k + 1) * 0xd1b54a32d192ed03u};
}

/* The front against a plain array: whatever is found must be what was put last. */
static void memory_never_gives_a_wrong_value(void)
{
    enum { KEYS = 1000, STEPS = 200000 };
    static char last[KEYS][700], seen[700];
    struct memory_cache memory;
    struct error error;
    int found = 0;
    memset(last, 0, sizeof last);
    CHECK_OK(memory_cache_init(&memory, 65536, &error), error);
    for (int i = 0; i < STEPS; i++) {
        int k = (int)(random_number() % KEYS);
        struct cache_key key = {.low = (uint64_t)k << 20, .high = (uint64_t)k}; /* all in one chain of the index */
        memory_cache_ask(&memory, key);
        struct memory_entry *entry = memory_cache_find(&memory, key);
        if (entry != NULL) {
            CHECK_INTEGER(entry->length, strlen(last[k]));
            memory_cache_read(&memory, entry, seen);
            CHECK(memcmp(seen, last[k], entry->length) == 0);
            entry->marked = true;
            found++;
        }
        if (random_number() % 3 == 0) {
            int length = snprintf(last[k], sizeof last[k], "%d:", i), more = (int)(random_number() % 600);
            memset(last[k] + length, 'a' + i % 26, (size_t)more);
            last[k][length + more] = '\0';
            struct memory_value value = {.bytes = last[k], .length = strlen(last[k]), .saving_us = (uint32_t)(random_number() % 1000)};
            CHECK(memory_cache_put(&memory, key, &value) != NULL);
        } else if (entry != NULL && random_number() % 7 == 0) {
            memory_cache_remove(&memory, entry);
        }
        CHECK(memory_cache_bytes(&memory) <= 65536);
    }
    CHECK(found > 1000);
    CHECK(memory.evictions > 1000);
    memory_cache_remove_space(&memory, 0);
    CHECK_INTEGER(memory.entries, 0);
    CHECK_INTEGER(memory_cache_bytes(&memory), 0);
    memory_cache_deinit(&memory);
}

static void a_value_larger_than_the_window_is_not_taken(void)
{
    static char large[65536];
    struct memory_cache memory;
    struct error error;
    CHECK_OK(memory_cache_init(&memory, 65536, &error), error);
    CHECK(memory_cache_put(&memory, key_of(1), &(struct memory_value){.bytes = large, .length = sizeof large}) == NULL);
    CHECK(memory_cache_find(&memory, key_of(1)) == NULL);
    memory_cache_deinit(&memory);
}

static void fill(struct memory_cache *memory, uint64_t from, uint64_t to, uint32_t saving_us)
{
    for (uint64_t k = from; k < to; k++) {
        memory_cache_ask(memory, key_of(k));
        if (memory_cache_find(memory, key_of(k)) == NULL)
            CHECK(memory_cache_put(memory, key_of(k), &(struct memory_value){.bytes = "0123456789", .length = 10, .saving_us = saving_us}) != NULL);
        else
            memory_cache_find(memory, key_of(k))->marked = true;
    }
}

static int count(struct memory_cache *memory, uint64_t from, uint64_t to)
{
    int found = 0;
    for (uint64_t k = from; k < to; k++)
        found += memory_cache_find(memory, key_of(k)) != NULL;
    return found;
}

static void a_scan_does_not_drive_out_what_is_asked_for_often(void)
{
    struct memory_cache memory;
    struct error error;
    CHECK_OK(memory_cache_init(&memory, 1 << 16, &error), error);
    for (int round = 0; round < 5; round++)
        fill(&memory, 0, 100, 1000);
    fill(&memory, 1000, 2500, 1000);
    CHECK(count(&memory, 0, 100) >= 90);
    memory_cache_deinit(&memory);
}

static void what_saves_more_stays_longer(void)
{
    struct memory_cache memory;
    struct error error;
    CHECK_OK(memory_cache_init(&memory, 1 << 16, &error), error);
    for (uint64_t k = 0; k < 20000; k++) {
        fill(&memory, k, k + 1, 50000);           /* an expensive model */
        fill(&memory, 100000 + k, 100000 + k + 1, 50); /* a cheap one, as often */
    }
    CHECK(count(&memory, 0, 20000) > 2 * count(&memory, 100000, 120000));
    memory_cache_deinit(&memory);
}

static void the_sketch_counts_what_came_often_and_forgets_with_time(void)
{
    struct sketch sketch;
    CHECK(sketch_init(&sketch, 1000));
    for (int i = 0; i < 10; i++)
        sketch_add(&sketch, key_of(1).high, 10000);
    for (uint64_t k = 100; k < 1000; k++)
        sketch_add(&sketch, key_of(k).high, 10000);
    CHECK(sketch_estimate(&sketch, key_of(1).high) >= 10);
    CHECK_INTEGER(sketch_estimate(&sketch, key_of(5000).high), 0);
    int seen_once = 0;
    for (uint64_t k = 100; k < 1000; k++)
        seen_once += sketch_estimate(&sketch, key_of(k).high) == 1;
    CHECK(seen_once > 800);
    for (uint64_t k = 2000; k < 52000; k++)
        sketch_add(&sketch, key_of(k).high, 10000);
    CHECK(sketch_estimate(&sketch, key_of(1).high) <= 3);
    for (int i = 0; i < 100; i++)
        CHECK(sketch_add(&sketch, key_of(2).high, 10000) <= SKETCH_COUNT_MAX);
    sketch_deinit(&sketch);
}

static void the_filter_misses_no_key_and_few_strangers_pass(void)
{
    struct filter filter;
    CHECK(filter_init(&filter, 100000));
    for (uint64_t k = 0; k < 100000; k++)
        filter_add(&filter, key_of(k).high);
    int strangers = 0;
    for (uint64_t k = 0; k < 100000; k++) {
        CHECK(filter_may_hold(&filter, key_of(k).high));
        strangers += filter_may_hold(&filter, key_of(k + 1000000).high);
    }
    CHECK(strangers < 6000);
    filter.complete = false;
    CHECK(filter_may_hold(&filter, key_of(5000000).high));
    filter_deinit(&filter);
}

int main(int argument_count, char **arguments)
{
    return check_main(argument_count, arguments, (struct check_case[]){
        CASE(memory_never_gives_a_wrong_value), CASE(a_value_larger_than_the_window_is_not_taken),
        CASE(a_scan_does_not_drive_out_what_is_asked_for_often), CASE(what_saves_more_stays_longer),
        CASE(the_sketch_counts_what_came_often_and_forgets_with_time), CASE(the_filter_misses_no_key_and_few_strangers_pass), {0}});
}
