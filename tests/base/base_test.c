/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/recent.h"
#include "base/utf8.h"

#include "tests/check.h"

#include <unistd.h>

static void an_error_keeps_its_cause_behind_each_prefix(void)
{
    struct error error = {0};
    CHECK_INTEGER(error_set(&error, ERROR_INPUT, "byte %d", 7), ERROR_INPUT);
    CHECK_INTEGER(error_prefix(&error, "pipeline \"%s\": ", "line"), ERROR_INPUT);
    CHECK_TEXT(error.message, "pipeline \"line\": byte 7");
    CHECK_TEXT(error_code_name(error.code), "input");
}

static void a_message_that_is_too_long_is_cut_not_overrun(void)
{
    struct error error;
    char prefix[2 * ERROR_MESSAGE_BYTES];
    memset(prefix, 'x', sizeof prefix - 1);
    prefix[sizeof prefix - 1] = '\0';
    (void)error_set(&error, ERROR_LIMIT, "cause");
    (void)error_prefix(&error, "%s", prefix);
    CHECK_INTEGER(strlen(error.message), ERROR_MESSAGE_BYTES - 1);
    (void)error_set(&error, ERROR_LIMIT, "cause");
    (void)error_prefix(&error, "%.*s", ERROR_MESSAGE_BYTES - 3, prefix);
    CHECK(strlen(error.message) < ERROR_MESSAGE_BYTES);
}

static void an_arena_gives_zeroed_aligned_memory_up_to_its_maximum(void)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    unsigned char *first = arena_allocate(&arena, 100), *second = arena_allocate(&arena, 300000);
    CHECK(first != NULL && second != NULL);
    CHECK_INTEGER((uintptr_t)first % ARENA_ALIGNMENT, 0);
    CHECK_INTEGER((uintptr_t)second % ARENA_ALIGNMENT, 0);
    for (int i = 0; i < 100; i++)
        CHECK_INTEGER(first[i], 0);
    CHECK(arena_allocate(&arena, 1 << 20) == NULL);
    CHECK(arena_allocate_array(&arena, SIZE_MAX / 2, 4) == NULL);
    CHECK(arena_allocate(&arena, 1000) != NULL);
    arena_deinit(&arena);
    CHECK_INTEGER(arena.bytes_used, 0);
}

static void a_queue_keeps_order_and_refuses_when_full(void)
{
    struct queue queue;
    struct error error;
    int items[3];
    CHECK_OK(queue_init(&queue, 2, &error), error);
    CHECK(queue_try_push(&queue, &items[0]));
    CHECK(queue_try_push(&queue, &items[1]));
    CHECK(!queue_try_push(&queue, &items[2]));
    CHECK_INTEGER(queue_depth(&queue), 2);
    CHECK(queue_pop(&queue) == &items[0]);
    queue_close(&queue);
    CHECK(!queue_try_push(&queue, &items[2]));
    CHECK(queue_pop(&queue) == &items[1]);
    CHECK(queue_pop(&queue) == NULL);
    queue_deinit(&queue);
}

static void *push_numbers(void *argument)
{
    for (intptr_t i = 1; i <= 10000; i++)
        CHECK(queue_push(argument, (void *)i));
    return NULL;
}

static void a_queue_loses_nothing_between_threads(void)
{
    struct queue queue;
    struct error error;
    pthread_t producers[3];
    CHECK_OK(queue_init(&queue, 16, &error), error);
    for (int i = 0; i < 3; i++)
        CHECK_INTEGER(pthread_create(&producers[i], NULL, push_numbers, &queue), 0);
    int64_t sum = 0;
    for (int i = 0; i < 30000; i++)
        sum += (intptr_t)queue_pop(&queue);
    for (int i = 0; i < 3; i++)
        pthread_join(producers[i], NULL);
    CHECK_INTEGER(sum, 3LL * 10000 * 10001 / 2);
    CHECK(queue_pop_until(&queue, clock_monotonic_us() + 1000) == NULL);
    queue_deinit(&queue);
}

static void the_wall_clock_is_written_as_rfc_3339(void)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format(1795442731123456, text);
    CHECK_TEXT(text, "2026-11-23T14:05:31.123456Z");
}

static void utf8_refuses_overlong_forms_surrogates_and_cut_sequences(void)
{
    CHECK(utf8_is_valid("gr\xC3\xBC\xC3\x9F \xF0\x9F\x98\x80", 11));
    CHECK(!utf8_is_valid("\xC0\xAF", 2));
    CHECK(!utf8_is_valid("\xED\xA0\x80", 3));
    CHECK(!utf8_is_valid("\xF4\x90\x80\x80", 4));
    CHECK(!utf8_is_valid("\xE2\x82", 2));
}

static void a_replaced_file_is_whole_and_maps_back(void)
{
    char path[] = "/tmp/eddy-base-XXXXXX";
    struct error error;
    struct file_map map;
    int descriptor = mkstemp(path);
    CHECK(descriptor >= 0);
    close(descriptor);
    CHECK_OK(file_replace(path, "hello", 5, &error), error);
    CHECK_OK(file_map_open(path, 100, &map, &error), error);
    CHECK_INTEGER(map.bytes, 5);
    CHECK(memcmp(map.data, "hello", 5) == 0);
    file_map_close(&map);
    CHECK_INTEGER(file_map_open(path, 4, &map, &error), ERROR_LIMIT);
    unlink(path);
    CHECK_INTEGER(file_map_open(path, 100, &map, &error), ERROR_INPUT);
    CHECK_INTEGER(file_map_open("/tmp", 100, &map, &error), ERROR_INPUT);
}

static void log_levels_have_names(void)
{
    enum log_level level;
    CHECK(log_level_parse("debug", &level));
    CHECK_INTEGER(level, LOG_LEVEL_DEBUG);
    CHECK(!log_level_parse("loud", &level));
}

static void a_hash_is_xxh64_however_its_bytes_come(void)
{
    CHECK(hash_bytes("", 0, 0) == 0xEF46DB3751D8E999u);
    CHECK(hash_bytes("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    CHECK(hash_bytes("abc", 3, 0) == 0x44BC2CF5AD770999u);
    uint8_t bytes[200];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    for (size_t length = 0; length <= sizeof bytes; length++) {
        uint64_t whole = hash_bytes(bytes, length, 5);
        for (size_t cut = 0; cut <= length; cut += 7) {
            struct hash hash;
            hash_begin(&hash, 5);
            hash_add(&hash, bytes, cut);
            hash_add(&hash, bytes + cut, (length - cut) / 2);
            hash_add(&hash, bytes + cut + (length - cut) / 2, length - cut - (length - cut) / 2);
            CHECK(hash_end(&hash) == whole);
        }
        CHECK(length == 0 || whole != hash_bytes(bytes, length - 1, 5));
    }
}

static void cpu_features_are_those_that_the_compiler_finds(void)
{
#if defined(__x86_64__)
    const unsigned features = cpu_features();
    __builtin_cpu_init();
    CHECK_INTEGER((features & CPU_AVX) != 0, __builtin_cpu_supports("avx") != 0);
    CHECK_INTEGER((features & CPU_AVX2) != 0, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
    CHECK_INTEGER((features & CPU_AVX512) != 0, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("bmi2"));
    CHECK_INTEGER((features & CPU_AVX512_VNNI) != 0, (features & CPU_AVX512) != 0 && __builtin_cpu_supports("avx512vnni"));
#else
    CHECK_INTEGER(cpu_features(), 0);
#endif
}

/* Against a search of the whole list; few digests, so that chains are long and equal ones come again. */
static void the_last_digests_are_found_and_no_others(void)
{
    enum { CAPACITY = 100, REACH = 70, PUT = 20000 };
    static uint64_t put[PUT];
    struct recent recent;
    struct error error;
    unsigned random = 7;
    CHECK_OK(recent_init(&recent, CAPACITY, &error), error);
    CHECK(!recent_has(&recent, 0, REACH)); /* what was never put is not there, were it the content of an empty place */
    for (int i = 0; i < PUT; i++) {
        uint64_t asked = (uint64_t)rand_r(&random) % 300;
        bool expected = false;
        for (int k = i - REACH < 0 ? 0 : i - REACH; k < i; k++)
            expected |= put[k] == asked;
        CHECK(recent_has(&recent, asked, REACH) == expected);
        put[i] = (uint64_t)rand_r(&random) % 300;
        *recent_place(&recent, recent.total) = (uint64_t)rand_r(&random) % 300; /* written, and taken back before it counted */
        recent_put(&recent, put[i]);
    }
    recent_deinit(&recent);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(an_error_keeps_its_cause_behind_each_prefix), CASE(a_message_that_is_too_long_is_cut_not_overrun),
        CASE(an_arena_gives_zeroed_aligned_memory_up_to_its_maximum), CASE(a_queue_keeps_order_and_refuses_when_full),
        CASE(a_queue_loses_nothing_between_threads), CASE(the_wall_clock_is_written_as_rfc_3339),
        CASE(utf8_refuses_overlong_forms_surrogates_and_cut_sequences), CASE(a_replaced_file_is_whole_and_maps_back),
        CASE(log_levels_have_names), CASE(the_last_digests_are_found_and_no_others),
        CASE(a_hash_is_xxh64_however_its_bytes_come), CASE(cpu_features_are_those_that_the_compiler_finds), {0}});
}
