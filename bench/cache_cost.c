/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_cost MODEL FRAME.jpg: what the cache costs where it does not help, and what it spares where it does.
 *
 * At 0, 10,000 and 1,000,000 results on disk: opening the file, the look-up of a new input (bytes and tensor, as the predictor asks), a hit in
 * memory and on disk. Then with the real model: unique inputs with and without the cache, an exact repeat. Prints Markdown. */
#include "agent/flash.h"
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RESULT_BYTES = 65536, VALUE_BYTES = 180, UNIQUES = 20000, ROUNDS = 6, TRIALS = 60, FRAMES_A_ROUND = 10, MEMORY_BYTES = 8 << 20, KEPT = 40000,
       KEPT_A_FLUSH = 256 };

static char folder[] = "/var/tmp/eddy-cache-cost-XXXXXX", path[64];

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

/* What a predictor does around an inference. */
static void ask_for_new(struct cache_space *space, uint64_t number, char *value)
{
    struct cache_found found;
    struct cache_key bytes = numbered_key(space, number), tensor = cache_key(space, CACHE_LEVEL_TENSOR, &number, sizeof number);
    if (cache_claim(space, bytes, value, VALUE_BYTES, &found) || cache_claim(space, tensor, value, VALUE_BYTES, &found))
        abort();
    cache_put(space, tensor, value, VALUE_BYTES, 1000);
    cache_put(space, bytes, value, VALUE_BYTES, 1000);
}

static void reach_disk(const char *ending)
{
    char file_path[80];
    snprintf(file_path, sizeof file_path, "%s%s", path, ending);
    int file = open(file_path, O_WRONLY | O_CLOEXEC);
    if (file >= 0 && fdatasync(file) == 0)
        close(file);
}

/* Results that are asked for again, so that they are kept, written behind as they come; the last close with its checkpoint included. Each batch is made
 * to reach the disk before the next, which is the most that may be written: the kernel waits for up to 30 s by itself. */
static void measure_flash(void)
{
    struct cache_space *space;
    struct cache_found found;
    char value[VALUE_BYTES];
    memset(value, 'v', sizeof value);
    unlink(path);
    struct cache *cache = open_cache(&space, "settings");
    int64_t written = flash_bytes_written();
    for (uint64_t number = 1; number <= KEPT; number++) {
        cache_put(space, numbered_key(space, number), value, sizeof value, 1000);
        cache_put(space, numbered_key(space, number), value, sizeof value, 1000);
        cache_find(space, numbered_key(space, number), value, sizeof value, &found);
        if (number % KEPT_A_FLUSH == 0) {
            cache_flush(cache);
            reach_disk("");
            reach_disk("-wal");
        }
    }
    struct cache_statistics statistics;
    cache_get_statistics(cache, &statistics);
    cache_close(cache);
    printf("\n%d results of %d bytes kept, %d at a time: %.1f KB written for each (%llu of them)\n\n", KEPT, VALUE_BYTES, KEPT_A_FLUSH,
           (double)(flash_bytes_written() - written) / 1e3 / (double)statistics.flushed, (unsigned long long)statistics.flushed);
}

static void measure_store(long entries)
{
    struct cache_space *space;
    struct cache_found found;
    char value[VALUE_BYTES];
    fill_disk(entries, "settings");
    double opened = now_us(), opening = cpu_us();
    struct cache *cache = open_cache(&space, "settings");
    opened = now_us() - opened;
    opening = cpu_us() - opening;

    uint64_t number = 1ull << 40;
    double lookups = 1e12;
    for (int round = 0; round < ROUNDS; round++) {
        double took = cpu_us();
        for (int i = 0; i < UNIQUES; i++)
            ask_for_new(space, ++number, value);
        took = (cpu_us() - took) / UNIQUES;
        lookups = took < lookups ? took : lookups;
    }

    double memory = cpu_us();
    for (int i = 0; i < UNIQUES; i++)
        cache_find(space, numbered_key(space, number), value, sizeof value, &found);
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
    printf("| %ld | %.1f ms | %.1f ms | %.2f us | %.2f us | %.2f us |\n", entries, opened / 1e3, opening / 1e3, lookups, memory, disk);
    fflush(stdout);
    cache_close(cache);
}

/* The frame with two steps of its first quantisation table changed (ITU-T T.81, B.2.4.1): other bytes and another picture, in as much time. */
static void number_frame(const struct file_map *frame, uint32_t number, uint8_t *out)
{
    enum { DQT = 0xdb, BEFORE_TABLE = 5, STEPS = 255 };
    memcpy(out, frame->data, frame->bytes);
    uint8_t *table = out;
    while ((size_t)(table - out) + BEFORE_TABLE + 2 < frame->bytes && (table[0] != 0xff || table[1] != DQT))
        table++;
    table[BEFORE_TABLE + 1] = (uint8_t)(1 + number % STEPS);
    table[BEFORE_TABLE + 2] = (uint8_t)(1 + number / STEPS % STEPS);
}

enum way { OFF, UNIQUE, REPEAT, WAYS };

/* One round, in us of CPU a frame; every frame of OFF and UNIQUE is another one. */
static double ask_round(struct predictor *predictor, const struct file_map *frame, uint8_t *buffer, enum way way)
{
    static uint32_t number;
    double cpu = cpu_us();
    for (int i = 0; i < FRAMES_A_ROUND; i++) {
        struct answer answer;
        number_frame(frame, way == REPEAT ? 0 : ++number, buffer);
        struct predictor_input input = {.source = "bench", .bytes = buffer, .length = frame->bytes, .arrived_us = clock_monotonic_us()};
        predictor_answer(predictor, &input, &answer);
    }
    return (cpu_us() - cpu) / FRAMES_A_ROUND;
}

static struct predictor *make_predictor(struct cache *cache, const struct bundle *bundle, const struct config_pipeline *pipeline, enum way way,
                                        int trial)
{
    char name[32];
    struct error error;
    struct cache_space *space = NULL;
    struct predictor *predictor;
    snprintf(name, sizeof name, "%d-%d", way, trial);
    struct cache_space_options options = {.name = name, .settings = "s", .disk_bytes_max = (int64_t)1 << 40};
    if ((way != OFF && cache_add_space(cache, &options, &space, &error) != ERROR_NONE) ||
        predictor_new(pipeline, bundle, space, RESULT_BYTES, &predictor, &error) != ERROR_NONE)
        fail(&error);
    return predictor;
}

/* What a way took less than another in the same trial, as the mean of logarithms and how sure it is. */
struct ratio {
    double sum, squares;
    int count;
};

static void note_ratio(struct ratio *ratio, double value)
{
    ratio->sum += log(value);
    ratio->squares += log(value) * log(value);
    ratio->count++;
}

static void print_ratio(const struct ratio *ratio)
{
    double mean = ratio->sum / ratio->count, variance = (ratio->squares / ratio->count - mean * mean) / (ratio->count - 1);
    printf(" %.2f %% (%.2f to %.2f) |", 100 * exp(mean), 100 * exp(mean - 1.96 * sqrt(variance)), 100 * exp(mean + 1.96 * sqrt(variance)));
}

/* A trial: predictors made anew, since where a predictor's memory lies is worth 5 % to it, and their lowest rounds, by turns, so that what disturbs one
 * disturbs all. OFF and UNIQUE change places from trial to trial: whichever follows REPEAT finds colder memory. */
static void try_ways(struct cache *cache, const struct bundle *bundle, const struct config_pipeline *pipeline, const struct file_map *frame, uint8_t *buffer,
                     int trial, double least[WAYS])
{
    struct predictor *predictors[WAYS];
    for (int i = 0; i < WAYS; i++) {
        int way = (trial + i) % WAYS;
        predictors[way] = make_predictor(cache, bundle, pipeline, (enum way)way, trial);
        least[way] = 1e12;
    }
    for (int round = 0; round < WAYS * ROUNDS; round++) {
        int way = round % WAYS == REPEAT || trial % 2 == 0 ? round % WAYS : UNIQUE - round % WAYS;
        double cost = ask_round(predictors[way], frame, buffer, (enum way)way);
        least[way] = cost < least[way] ? cost : least[way];
    }
    for (int way = 0; way < WAYS; way++)
        predictor_free(predictors[way]);
}

/* With the cache file that measure_store left. */
static void measure_model(const struct bundle *bundle, const struct file_map *frame, long entries)
{
    const struct config_pipeline pipeline = {.name = "bench", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}, .max_message_bytes = 1 << 28};
    struct error error;
    struct cache *cache;
    bool set_aside;
    uint8_t *buffer = malloc(frame->bytes);
    if (buffer == NULL || cache_open(path, MEMORY_BYTES, &cache, &set_aside, &error) != ERROR_NONE)
        fail(&error);
    struct ratio unique = {0}, repeat = {0};
    double lowest = 1e12;
    for (int trial = 0; trial < TRIALS; trial++) {
        double least[WAYS];
        try_ways(cache, bundle, &pipeline, frame, buffer, trial, least);
        lowest = least[OFF] < lowest ? least[OFF] : lowest;
        note_ratio(&unique, least[UNIQUE] / least[OFF]);
        note_ratio(&repeat, least[REPEAT] / least[OFF]);
    }
    printf("| %ld | %.1f us |", entries, lowest);
    print_ratio(&unique);
    print_ratio(&repeat);
    printf("\n");
    fflush(stdout);
    free(buffer);
    cache_close(cache);
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
    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: cache_cost MODEL FRAME.jpg [most results on disk, default 1000000]\n");
        return 2;
    }
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/cache.db", folder);
    printf("CPU time, but for the first column of times.\n\n"
           "| on disk | open to ready, wall | CPU | new input, both levels, put | hit in memory | hit on disk |\n"
           "|---|---|---|---|---|---|\n");
    const long sizes[] = {0, 10000, 1000000}, most = count == 4 ? atol(arguments[3]) : sizes[2];
    for (int i = 0; i < 3 && sizes[i] <= most; i++)
        measure_store(sizes[i]);
    struct error error;
    struct bundle bundle;
    struct file_map frame;
    if (bundle_open(arguments[1], NULL, &bundle, &error) != ERROR_NONE || file_map_open(arguments[2], 1 << 28, &frame, &error) != ERROR_NONE)
        fail(&error);
    printf("\n%s, a frame of %zu bytes, CPU time; of %d pairs of predictors the mean ratio, within its 95 %% interval:\n\n"
           "| on disk | cache off | unique input to cache off | exact repeat to cache off |\n|---|---|---|---|\n", bundle.label, frame.bytes, TRIALS);
    for (int i = 0; i < 3 && sizes[i] <= most; i++) {
        fill_disk(sizes[i], "settings");
        measure_model(&bundle, &frame, sizes[i]);
    }
    measure_flash();
    remove_folder();
    file_map_close(&frame);
    bundle_close(&bundle);
    return 0;
}
