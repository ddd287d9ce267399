/* SPDX-License-Identifier: Apache-2.0
 *
 * Several threads on one cache; `./dev tsan` runs this under ThreadSanitizer. */
#include "tests/cache/support.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { THREADS = 4 };

static atomic_int made, wrong;
static struct cache_space *shared_space;

static void *ask_for_the_same(void *argument)
{
    (void)argument;
    char value[64], input[32];
    struct cache_found found;
    for (int i = 0; i < 200; i++) {
        snprintf(input, sizeof input, "%d", i);
        struct cache_key key = key_of(shared_space, input);
        if (!cache_claim(shared_space, key, value, sizeof value, &found)) {
            atomic_fetch_add(&made, 1);
            usleep(200); /* an inference */
            cache_put(shared_space, key, input, strlen(input), 200);
        } else if (found.length != strlen(input) || memcmp(value, input, found.length) != 0) {
            atomic_fetch_add(&wrong, 1);
        }
    }
    return NULL;
}

static void run(void *(*body)(void *))
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, body, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void equal_inputs_at_once_are_made_once(void)
{
    struct cache *cache = open_cache(NULL, 1 << 20);
    shared_space = add_space(cache, "line", "v1", 0);
    atomic_store(&made, 0);
    atomic_store(&wrong, 0);
    run(ask_for_the_same);
    CHECK_INTEGER(made, 200);
    CHECK_INTEGER(wrong, 0);
    CHECK(statistics_of(cache).waits > 0);
    cache_close(cache);
}

static void *give_up_first(void *argument)
{
    (void)argument;
    char value[64];
    struct cache_found found;
    struct cache_key key = key_of(shared_space, "hard");
    if (cache_claim(shared_space, key, value, sizeof value, &found))
        return NULL;
    usleep(1000);
    if (atomic_fetch_add(&made, 1) < 2)
        cache_give_up(shared_space, key); /* the inference failed */
    else
        cache_put(shared_space, key, "easy", 4, 1);
    return NULL;
}

static void after_a_maker_gave_up_the_next_one_makes_it(void)
{
    struct cache *cache = open_cache(NULL, 1 << 20);
    shared_space = add_space(cache, "line", "v1", 0);
    atomic_store(&made, 0);
    run(give_up_first);
    CHECK_INTEGER(made, 3);
    CHECK(has(shared_space, "hard", "easy"));
    cache_close(cache);
}

static atomic_bool stop;

static void *use(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument * 2654435761u + 1;
    char value[64], input[32];
    struct cache_found found;
    while (!atomic_load(&stop)) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        snprintf(input, sizeof input, "%d", (int)((state >> 33) % 3000));
        struct cache_key key = key_of(shared_space, input);
        if (!cache_claim(shared_space, key, value, sizeof value, &found))
            cache_put(shared_space, key, input, strlen(input), 10);
        else if (found.length != strlen(input) || memcmp(value, input, found.length) != 0)
            atomic_fetch_add(&wrong, 1);
        cache_count_miss(shared_space);
    }
    return NULL;
}

static void lookups_go_on_while_batches_are_written_and_spaces_purged(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 17);
    shared_space = add_space(cache, "line", "v1", 0);
    atomic_store(&wrong, 0);
    atomic_store(&stop, false);
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, use, (void *)i) == 0);
    for (int i = 0; i < 60; i++) {
        usleep(10000);
        cache_flush(cache);
        statistics_of(cache);
        if (i % 20 == 19)
            cache_purge(shared_space);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INTEGER(wrong, 0);
    CHECK(statistics_of(cache).flushed > 100);
    cache_close(cache);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(equal_inputs_at_once_are_made_once), CASE(after_a_maker_gave_up_the_next_one_makes_it),
        CASE(lookups_go_on_while_batches_are_written_and_spaces_purged), {0}});
}
