/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_cost MODEL FRAME.jpg: what the cache costs where it does not help, and what it spares where it does.
 *
 * At 0, 10,000 and 1,000,000 results on disk: opening the file, the look-up of a new input (bytes and tensor, as the predictor asks), a hit in
 * memory and on disk. Then with the real model: unique inputs with and without the cache, an exact repeat. Prints Markdown. */
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/disk.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RESULT_BYTES = 65536, VALUE_BYTES = 180, UNIQUES = 20000, ROUNDS = 15, FRAMES_A_ROUND = 20, MEMORY_BYTES = 8 << 20 };

static char folder[] = "/tmp/eddy-cache-cost-XXXXXX", path[64];

static void fail(const struct error *error)
{
    fprintf(stderr, "cache_cost: %s\n", error->message);
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct cache *open_cache(struct cache_space **space_out, const char *settings)
{
    struct cache *cache;
    struct error error;
    bool set_aside;
    struct cache_space_options options = {.name = "bench", .settings = settings, .disk_bytes_max = (int64_t)1 << 40};
    if (cache_open(path, MEMORY_BYTES, &cache, &set_aside, &error) != ERROR_NONE ||
        cache_add_space(cache, &options, space_out, &error) != ERROR_NONE)
        fail(&error);
    return cache;
}

static struct cache_key numbered_key(const struct cache_space *space, uint64_t number)
{
    return cache_key(space, CACHE_LEVEL_BYTES, &number, sizeof number);
}

static int by_bytes(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(struct cache_key));
}

/* As cache_flush would have written them, but in the table's order, which is quicker. */
static void fill_disk(long entries, const char *settings)
{
    struct cache_space *space;
    struct disk_cache *disk;
    struct error error;
    bool set_aside;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    unlink(path);
    struct cache *cache = open_cache(&space, settings); /* for its keys */
    if (disk_cache_open(path, DISK_OPEN_AS_IT_IS, &disk, &set_aside, &error) != ERROR_NONE)
        fail(&error);
    int64_t id = disk_cache_space(disk, "bench", settings);
    struct cache_key *keys = calloc((size_t)entries + 1, sizeof *keys);
    if (keys == NULL)
        abort();
    for (long i = 0; i < entries; i++)
        keys[i] = numbered_key(space, (uint64_t)i);
    qsort(keys, (size_t)entries, sizeof *keys, by_bytes);
    for (long i = 0; i < entries; i++) {
        if (i % 10000 == 0)
            disk_cache_begin(disk);
        struct disk_row row = {.key = keys[i], .value = value, .length = sizeof value, .created_us = clock_wall_us(),
                               .saving_us = 1000};
        disk_cache_put(disk, id, &row);
        if (i % 10000 == 9999 || i + 1 == entries)
            disk_cache_commit(disk);
    }
    free(keys);
    disk_cache_close(disk);
    for (long i = 0; i <= entries / 20000 + 2; i++)
        cache_flush(cache); /* notices the rows, builds its filter, leaves it behind */
    cache_close(cache);
}

static void measure_store(long entries)
{
    struct cache_space *space;
    struct cache_found found;
    char value[VALUE_BYTES];
    fill_disk(entries, "settings");
    double opened = now_us();
    struct cache *cache = open_cache(&space, "settings");
    opened = now_us() - opened;

    double lookups = cpu_us();
    for (uint64_t i = 0; i < UNIQUES; i++) {
        uint64_t number = (1ull << 40) + i;
        struct cache_key bytes = numbered_key(space, number), tensor = cache_key(space, CACHE_LEVEL_TENSOR, &number, sizeof number);
        if (!cache_claim(space, bytes, value, sizeof value, &found) && !cache_claim(space, tensor, value, sizeof value, &found)) {
            cache_put(space, tensor, value, VALUE_BYTES, 1000);
            cache_put(space, bytes, value, VALUE_BYTES, 1000);
        }
    }
    lookups = (cpu_us() - lookups) / UNIQUES;

    double memory = cpu_us();
    for (int i = 0; i < UNIQUES; i++)
        cache_find(space, numbered_key(space, (1ull << 40) + UNIQUES - 1), value, sizeof value, &found);
    memory = (cpu_us() - memory) / UNIQUES;

    long sample = entries < 5000 ? entries : 5000, found_count = 0;
    double disk = cpu_us();
    for (long i = 0; i < sample; i++)
        found_count += cache_find(space, numbered_key(space, (uint64_t)(i * (entries / (sample > 0 ? sample : 1)))), value, sizeof value, &found);
    disk = sample > 0 ? (cpu_us() - disk) / (double)sample : 0;
    if (found_count != sample) {
        fprintf(stderr, "cache_cost: %ld of %ld found\n", found_count, sample);
        exit(1);
    }
    printf("| %ld | %.1f ms | %.2f us | %.2f us | %.2f us |\n", entries, opened / 1e3, lookups, memory, disk);
    fflush(stdout);
    cache_close(cache);
}

/* The frame with a number in a comment segment: other bytes, the same picture. */
static size_t numbered_frame(const struct file_map *frame, uint32_t number, uint8_t *out)
{
    memcpy(out, frame->data, 2);
    const uint8_t comment[] = {0xff, 0xfe, 0, 6};
    memcpy(out + 2, comment, 4);
    memcpy(out + 6, &number, 4);
    memcpy(out + 10, frame->data + 2, frame->bytes - 2);
    return frame->bytes + 8;
}

struct cost {
    double wall_us, cpu_us;
};

static struct cost measure(struct predictor *predictor, struct cache_space *space, const struct file_map *frame, uint8_t *buffer, bool unique)
{
    static uint32_t number;
    struct cost least = {1e12, 1e12};
    for (int round = 0; round < ROUNDS; round++) {
        double wall = now_us(), cpu = cpu_us();
        for (int i = 0; i < FRAMES_A_ROUND; i++) {
            struct answer answer;
            size_t length = numbered_frame(frame, unique ? ++number : 0, buffer);
            struct predictor_input input = {.source = "bench", .bytes = buffer, .length = length, .arrived_us = clock_monotonic_us()};
            if (unique && space != NULL)
                cache_purge(space); /* the picture is the same: its tensor must not be found */
            predictor_answer(predictor, &input, &answer);
        }
        wall = (now_us() - wall) / FRAMES_A_ROUND;
        cpu = (cpu_us() - cpu) / FRAMES_A_ROUND;
        least.wall_us = wall < least.wall_us ? wall : least.wall_us;
        least.cpu_us = cpu < least.cpu_us ? cpu : least.cpu_us;
    }
    return least;
}

static void measure_model(const char *model, const char *frame_path)
{
    struct error error;
    struct bundle bundle;
    struct file_map frame;
    struct cache *cache;
    struct cache_space *space;
    struct predictor *with, *without;
    bool set_aside;
    struct config_pipeline pipeline = {.name = "bench", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}, .max_message_bytes = 1 << 28};
    struct cache_space_options options = {.name = "bench", .settings = "s"};
    if (bundle_open(model, NULL, &bundle, &error) != ERROR_NONE || file_map_open(frame_path, 1 << 28, &frame, &error) != ERROR_NONE ||
        cache_open(NULL, MEMORY_BYTES, &cache, &set_aside, &error) != ERROR_NONE ||
        cache_add_space(cache, &options, &space, &error) != ERROR_NONE ||
        predictor_new(&pipeline, &bundle, space, RESULT_BYTES, &with, &error) != ERROR_NONE ||
        predictor_new(&pipeline, &bundle, NULL, RESULT_BYTES, &without, &error) != ERROR_NONE)
        fail(&error);
    uint8_t *buffer = malloc(frame.bytes + 8);
    if (buffer == NULL)
        abort();
    struct cost off = measure(without, NULL, &frame, buffer, true), unique = measure(with, space, &frame, buffer, true);
    struct cost off_again = measure(without, NULL, &frame, buffer, true), repeat = measure(with, space, &frame, buffer, false);
    double base = off.cpu_us < off_again.cpu_us ? off.cpu_us : off_again.cpu_us;
    printf("\n%s, a frame of %zu bytes:\n\n| | wall | CPU | of a miss |\n|---|---|---|---|\n", bundle.label, frame.bytes);
    printf("| cache off | %.0f us | %.0f us | 100 %% |\n", off.wall_us < off_again.wall_us ? off.wall_us : off_again.wall_us, base);
    printf("| unique input | %.0f us | %.0f us | %.1f %% |\n", unique.wall_us, unique.cpu_us, 100 * unique.cpu_us / base);
    printf("| exact repeat | %.1f us | %.1f us | %.2f %% |\n", repeat.wall_us, repeat.cpu_us, 100 * repeat.cpu_us / base);
    free(buffer);
    predictor_free(with);
    predictor_free(without);
    cache_close(cache);
    file_map_close(&frame);
    bundle_close(&bundle);
}

static void remove_folder(void)
{
    char file[384];
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
        unlink(file);
    }
    closedir(directory);
    rmdir(folder);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: cache_cost MODEL FRAME.jpg\n");
        return 2;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/cache.db", folder);
    printf("CPU time, but for the first column.\n\n| on disk | open to ready | new input, both levels, put | hit in memory | hit on disk |\n|---|---|---|---|---|\n");
    measure_store(0);
    measure_store(10000);
    measure_store(1000000);
    remove_folder();
    measure_model(arguments[1], arguments[2]);
    return 0;
}
