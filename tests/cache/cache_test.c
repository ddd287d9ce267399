/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/cache/support.h"

#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

static void what_was_put_is_found_and_nothing_else(void)
{
    struct cache *cache = open_cache(NULL, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    put(space, "frame 1", "good");
    CHECK(has(space, "frame 1", "good"));
    CHECK(!has(space, "frame 2", ""));
    put(space, "frame 1", "scratched");
    CHECK(has(space, "frame 1", "scratched"));
    cache_purge(space);
    CHECK(!has(space, "frame 1", ""));
    cache_close(cache);
}

static void another_model_level_or_geometry_is_another_key(void)
{
    struct cache *cache = open_cache(NULL, 1 << 16);
    struct cache_space *old = add_space(cache, "line", "model 1", 0), *new = add_space(cache, "line", "model 2", 0);
    put(old, "frame", "good");
    CHECK(!has(new, "frame", ""));
    struct cache_key bytes = cache_key(old, CACHE_LEVEL_BYTES, "x", 1), tensor = cache_key(old, CACHE_LEVEL_TENSOR, "x", 1);
    CHECK(bytes.low != tensor.low && bytes.high != tensor.high);
    int32_t small = 320, large = 640;
    struct cache_key at_small = cache_key_with(tensor, &small, sizeof small), at_large = cache_key_with(tensor, &large, sizeof large);
    CHECK(at_small.low != at_large.low && at_small.high != at_large.high);
    cache_close(cache);
}

static void only_what_was_asked_for_twice_survives_a_restart(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    CHECK(!has(space, "asked twice", ""));
    put(space, "asked twice", "yes");
    CHECK(!has(space, "seen once", ""));
    put(space, "seen once", "no");
    CHECK(has(space, "asked twice", "yes"));
    cache_close(cache);

    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "v1", 0);
    CHECK(has(space, "asked twice", "yes"));
    CHECK(has(space, "asked twice", "yes"));
    CHECK(!has(space, "seen once", ""));
    CHECK_INTEGER(statistics_of(cache).found_disk, 1);
    CHECK_INTEGER(statistics_of(cache).found_memory, 1);
    CHECK_INTEGER(statistics_of(cache).disk_entries, 1);
    cache_close(cache);

    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "another model", 0);
    CHECK(!has(space, "asked twice", ""));
    CHECK_INTEGER(statistics_of(cache).disk_entries, 0);
    cache_close(cache);
}

static void unique_inputs_write_nothing_and_read_nothing(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 20);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    cache_flush(cache);
    char file[160], input[32];
    struct stat before, after;
    snprintf(file, sizeof file, "%s-wal", path);
    CHECK(stat(file, &before) == 0);
    for (int i = 0; i < 20000; i++) {
        snprintf(input, sizeof input, "%d", i);
        CHECK(!has(space, input, ""));
        put(space, input, "result");
        if (i % 1000 == 0)
            cache_flush(cache);
    }
    flush_all(cache);
    CHECK(stat(file, &after) == 0);
    CHECK_INTEGER(after.st_size, before.st_size);
    CHECK_INTEGER(statistics_of(cache).flushed, 0);
    cache_close(cache);
}

static void what_memory_lost_is_found_on_disk_and_persisted_at_second_sight(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 16); /* holds about 900 */
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    char input[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1500; i++) {
            snprintf(input, sizeof input, "%d", i);
            if (!has(space, input, input))
                put(space, input, input);
            if (i % 50 == 0)
                flush_all(cache);
        }
    }
    CHECK(statistics_of(cache).memory_entries < 1100);
    CHECK(statistics_of(cache).disk_entries > 700);
    CHECK(statistics_of(cache).found_disk > 200);
    cache_close(cache);
}

static void an_entry_ends_with_its_time_to_live(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 200000);
    put(space, "frame", "good");
    CHECK(has(space, "frame", "good"));
    flush_all(cache);
    CHECK_INTEGER(statistics_of(cache).disk_entries, 1);
    usleep(250000);
    CHECK(!has(space, "frame", ""));
    cache_flush(cache);
    CHECK_INTEGER(statistics_of(cache).disk_entries, 0);
    cache_close(cache);
}

static void the_disk_stays_within_its_budget_and_keeps_what_is_wanted(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 4 << 20);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    char value[2001], input[32];
    memset(value, 'v', 2000);
    value[2000] = '\0';
    for (int i = 0; i < 5000; i++) { /* 10 MB for a budget of 1 MB */
        snprintf(input, sizeof input, "%d", i);
        put(space, input, value);
        CHECK(has(space, input, value));
        put(space, "favourite", i == 0 ? "f" : "g");
        CHECK(has(space, "favourite", i == 0 ? "f" : "g"));
        if (i % 100 == 0)
            cache_flush(cache);
    }
    flush_all(cache);
    struct cache_statistics statistics = statistics_of(cache);
    CHECK(statistics.disk_entries > 150);
    CHECK(statistics.disk_bytes <= 1 << 20);
    cache_close(cache);
    struct stat file;
    CHECK(stat(path, &file) == 0);
    CHECK(file.st_size < 2 << 20);
    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "v1", 0);
    CHECK(has(space, "favourite", "g"));
    cache_close(cache);
}

static void memory_stays_within_its_budget(void)
{
    struct cache *cache = open_cache(NULL, 1 << 18);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    static char value[3000];
    char input[32];
    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < 3000; i++) {
        snprintf(input, sizeof input, "%d", i);
        value[i % 2900 + 50] = '\0'; /* of every length */
        put(space, input, value);
        value[i % 2900 + 50] = 'v';
    }
    CHECK(statistics_of(cache).memory_bytes <= 1 << 18);
    CHECK(statistics_of(cache).memory_bytes > 1 << 16);
    CHECK(statistics_of(cache).evictions > 1000);
    cache_close(cache);
}

static void a_purge_leaves_nothing_on_disk_nor_in_memory(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 20);
    struct cache_space *line = add_space(cache, "line", "v1", 0), *motor = add_space(cache, "motor", "v1", 0);
    for (int i = 0; i < 2; i++) {
        put(line, "frame", "good");
        put(motor, "frame", "fine");
        CHECK(has(line, "frame", "good") && has(motor, "frame", "fine"));
    }
    flush_all(cache);
    CHECK_INTEGER(statistics_of(cache).disk_entries, 2);
    cache_purge(line);
    CHECK(!has(line, "frame", ""));
    CHECK(has(motor, "frame", "fine"));
    CHECK_INTEGER(statistics_of(cache).disk_entries, 1);
    put(line, "frame", "new");
    CHECK(has(line, "frame", "new"));
    cache_close(cache);
    cache = open_cache(path, 1 << 20);
    line = add_space(cache, "line", "v1", 0);
    CHECK(has(line, "frame", "new"));
    cache_close(cache);
}

static int set_aside_files(void)
{
    char pattern[160];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.damaged-*", path);
    if (glob(pattern, 0, NULL, &found) != 0)
        return 0;
    int count = (int)found.gl_pathc;
    globfree(&found);
    return count;
}

static void a_file_that_is_no_database_is_set_aside_and_the_cache_runs_on(void)
{
    new_folder();
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    for (int i = 0; i < 5000; i++)
        fputc(i * 7, file);
    fclose(file);
    struct cache *cache = NULL;
    struct error error;
    bool set_aside = false;
    CHECK_OK(cache_open(path, 1 << 16, &cache, &set_aside, &error), error);
    CHECK(set_aside);
    CHECK_INTEGER(set_aside_files(), 1);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    put(space, "frame", "good");
    CHECK(has(space, "frame", "good"));
    cache_close(cache);
}

static void damage_inside_the_file_is_met_while_running_and_set_aside(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 16);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    char input[32], noise[4096];
    for (int i = 0; i < 3000; i++) {
        snprintf(input, sizeof input, "%d", i);
        put(space, input, "a result that takes some room on a page");
        CHECK(has(space, input, "a result that takes some room on a page"));
        if (i % 500 == 0)
            cache_flush(cache);
    }
    cache_close(cache);
    FILE *file = fopen(path, "r+");
    CHECK(file != NULL);
    memset(noise, 0x5a, sizeof noise);
    for (int page = 8; page < 60; page++) {
        CHECK(fseek(file, page * 4096L, SEEK_SET) == 0);
        CHECK(fwrite(noise, 1, sizeof noise, file) == sizeof noise);
    }
    fclose(file);

    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "v1", 0);
    for (int i = 0; i < 3000; i++) {
        snprintf(input, sizeof input, "%d", i);
        if (!has(space, input, "a result that takes some room on a page"))
            put(space, input, "a result that takes some room on a page");
    }
    cache_flush(cache);
    cache_flush(cache);
    CHECK_INTEGER(statistics_of(cache).files_set_aside, 1);
    CHECK_INTEGER(set_aside_files(), 1);
    put(space, "after", "fine");
    CHECK(has(space, "after", "fine"));
    cache_close(cache);
    cache = open_cache(path, 1 << 16);
    space = add_space(cache, "line", "v1", 0);
    CHECK(has(space, "after", "fine"));
    cache_close(cache);
}

static void a_kill_leaves_a_cache_that_finds_what_was_written(void)
{
    new_folder();
    struct cache *cache = open_cache(path, 1 << 20);
    struct cache_space *space = add_space(cache, "line", "v1", 0);
    char input[32], command[600];
    for (int i = 0; i < 500; i++) {
        snprintf(input, sizeof input, "%d", i);
        put(space, input, input);
        CHECK(has(space, input, input));
    }
    flush_all(cache);
    snprintf(command, sizeof command, "mkdir %s/copy && cp %s %s-wal %s/copy/", folder, path, path, folder);
    CHECK(system(command) == 0); /* what a kill would leave: no clean close, no stored filter */
    cache_close(cache);
    snprintf(path, sizeof path, "%s/copy/cache.db", folder);
    cache = open_cache(path, 1 << 20);
    space = add_space(cache, "line", "v1", 0);
    CHECK(has(space, "17", "17"));
    for (int i = 0; i < 3; i++)
        cache_flush(cache); /* builds the filter anew */
    for (int i = 0; i < 500; i++) {
        snprintf(input, sizeof input, "%d", i);
        CHECK(has(space, input, input));
    }
    cache_close(cache);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(what_was_put_is_found_and_nothing_else), CASE(another_model_level_or_geometry_is_another_key),
        CASE(only_what_was_asked_for_twice_survives_a_restart), CASE(unique_inputs_write_nothing_and_read_nothing),
        CASE(what_memory_lost_is_found_on_disk_and_persisted_at_second_sight), CASE(an_entry_ends_with_its_time_to_live),
        CASE(the_disk_stays_within_its_budget_and_keeps_what_is_wanted), CASE(memory_stays_within_its_budget),
        CASE(a_purge_leaves_nothing_on_disk_nor_in_memory), CASE(a_file_that_is_no_database_is_set_aside_and_the_cache_runs_on),
        CASE(damage_inside_the_file_is_met_while_running_and_set_aside), CASE(a_kill_leaves_a_cache_that_finds_what_was_written), {0}});
}
