/* SPDX-License-Identifier: Apache-2.0
 *
 * Model files cut off or with bytes flipped: opening them gives a clear error, or a model that runs. The models are those of the demo, small
 * ones of each operator (tests/fuzz/seeds.py) and, where it is there, all of ../shared/data.
 *   hostile_model_test [FLIPS [SEED]]     flips of each large file (default 8 and a seed that is printed); of small files four times as many
 * Cuts are at every byte of a small file, of others at every 64th, but of a large one at CUTS_MAX places, begin and end among them. */
#include "inference/engine.h"

#include "base/file.h"
#include "tests/check.h"

#include <dirent.h>
#include <limits.h>
#include <time.h>

enum { FILES_MAX = 512, CUT_STEP = 64, CUTS_MAX = 200, SMALL_BYTES = 4096, FILE_BYTES_MAX = 64 << 20, RUN_BYTES_MAX = 64 << 20 };
#define RUN_MACS_MAX 20000000u

static char *paths[FILES_MAX];
static int path_count;
static int flips = 8;
static unsigned seed;
static long opened, refused, ran;

static bool is_model(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".onnx") == 0 || strcmp(dot, ".tflite") == 0);
}

/* all: every file, not those alone that are called like models. */
static void find_models(const char *folder, bool all, int depth)
{
    char path[PATH_MAX];
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.' || (size_t)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= sizeof path)
            continue;
        if (entry->d_type == DT_DIR && depth > 0)
            find_models(path, all, depth - 1);
        else if (entry->d_type != DT_DIR && (all || is_model(path)) && path_count < FILES_MAX)
            paths[path_count++] = strdup(path);
    }
    closedir(directory);
}

/* Runs what loaded, unless it became so large that it would only take time. */
static void run_model(struct model *model)
{
    struct error error = {0};
    struct run *run;
    if (model_memory(model) > RUN_BYTES_MAX || model_macs(model) > RUN_MACS_MAX)
        return;
    CHECK_OK(run_new(model, &run, &error), error);
    run_execute(run);
    for (int i = 0; i < model_output_count(model); i++)
        CHECK(run_output(run, i)->data != NULL && run_output(run, i)->name != NULL);
    run_free(run);
    ran++;
}

/* The bytes are copied, so that a sanitizer sees every step beyond their end. */
static void try_bytes(const uint8_t *bytes, size_t length)
{
    struct error error = {0};
    struct model *model = NULL;
    uint8_t *copy = malloc(length + (length == 0));
    CHECK(copy != NULL);
    memcpy(copy, bytes, length);
    enum error_code code = model_open_bytes(copy, length, "damaged", NULL, &model, &error);
    if (code == ERROR_NONE) {
        opened++;
        run_model(model);
    } else {
        refused++;
        CHECK(model == NULL);
        CHECK_INTEGER(error.code, code);
        CHECK(code == ERROR_MODEL || code == ERROR_UNSUPPORTED || code == ERROR_LIMIT);
        CHECK(strlen(error.message) > strlen("damaged: "));
    }
    model_close(model);
    free(copy);
}

static void each_file(void (*visit)(const char *path, const struct file_map *map))
{
    for (int i = 0; i < path_count; i++) {
        struct file_map map;
        struct error error = {0};
        CHECK_OK(file_map_open(paths[i], FILE_BYTES_MAX, &map, &error), error);
        visit(paths[i], &map);
        file_map_close(&map);
    }
}

static void cut(const char *path, const struct file_map *map)
{
    (void)path;
    size_t step = map->bytes <= SMALL_BYTES ? 1 : CUT_STEP;
    if (map->bytes > SMALL_BYTES && map->bytes / step > CUTS_MAX)
        step = map->bytes / CUTS_MAX;
    for (size_t length = 0; length < map->bytes; length += step)
        try_bytes(map->data, length);
    for (size_t back = 1; back <= 16 && back <= map->bytes; back++)
        try_bytes(map->data, map->bytes - back);
}

static void flip(const char *path, const struct file_map *map)
{
    uint8_t *bytes = malloc(map->bytes);
    unsigned state = seed;
    int rounds = map->bytes <= SMALL_BYTES ? 4 * flips : flips;
    CHECK(bytes != NULL);
    memcpy(bytes, map->data, map->bytes);
    for (int i = 0; i < rounds; i++) {
        /* every second one in the first kilobytes, where names and shapes are: weights may be anything */
        size_t within = i % 2 == 0 && map->bytes > SMALL_BYTES ? SMALL_BYTES : map->bytes;
        size_t at = ((size_t)rand_r(&state) << 16 ^ (size_t)rand_r(&state)) % within;
        uint8_t old = bytes[at];
        bytes[at] = (uint8_t)rand_r(&state);
        if (getenv("EDDY_TEST_VERBOSE") != NULL)
            fprintf(stderr, "%s: byte %zu: %d instead of %d\n", path, at, bytes[at], old);
        try_bytes(bytes, map->bytes);
        bytes[at] = old;
    }
    free(bytes);
}

static void a_file_cut_anywhere_is_refused_or_runs(void)
{
    opened = refused = ran = 0;
    each_file(cut);
    printf("cut: %ld refused, %ld opened, of which %ld ran\n", refused, opened, ran);
    CHECK(refused > 10 * path_count);
}

static void a_file_with_a_flipped_byte_is_refused_or_runs(void)
{
    opened = refused = ran = 0;
    each_file(flip);
    printf("flipped, seed %u: %ld refused, %ld opened, of which %ld ran (repeat: hostile_model_test %d %u)\n", seed, refused, opened, ran, flips, seed);
    CHECK(refused > 0 && ran > 0);
}

static void whole_files_open_and_run(void)
{
    int whole = 0;
    for (int i = 0; i < path_count; i++) {
        struct error error = {0};
        struct model *model = NULL;
        enum error_code code = model_open(paths[i], NULL, &model, &error);
        if (code != ERROR_NONE) /* a file that leaves its input's length open may need to be told one */
            printf("%s\n", error.message);
        whole += code == ERROR_NONE;
        model_close(model);
    }
    CHECK(path_count > 0);
    CHECK(10 * whole >= 9 * path_count);
}

int main(int count, char **arguments)
{
    const char *shared = check_shared_data();
    char path[PATH_MAX];
    seed = (unsigned)time(NULL);
    if (count > 1 && atoi(arguments[1]) > 0)
        flips = atoi(arguments[1]);
    if (count > 2)
        seed = (unsigned)strtoul(arguments[2], NULL, 10);
    find_models(EDDY_SOURCE_DIR "/examples/factory", false, 3);
    find_models(EDDY_SEEDS "/onnx", true, 0);
    find_models(EDDY_SEEDS "/tflite", true, 0);
    if (shared != NULL) {
        snprintf(path, sizeof path, "%s/models", shared);
        find_models(path, false, 1);
    } else {
        printf("no ../shared/data here: its models are not tried\n");
    }
    printf("%d files\n", path_count);
    return check_main(1, arguments, (struct check_case[]){CASE(whole_files_open_and_run), CASE(a_file_cut_anywhere_is_refused_or_runs),
                                                          CASE(a_file_with_a_flipped_byte_is_refused_or_runs), {0}});
}
