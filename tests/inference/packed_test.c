/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed weights kept in a file: the second start maps them and gives the same bits; whatever else lies there is not used and written anew. */
#include "inference/engine.h"

#include "base/file.h"
#include "base/hash.h"
#include "tests/check.h"
#include "tests/inference/onnx_text.h"

#include <glob.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_BYTES = 8 << 20, RESULTS_MAX = 8 * 12 * 12 };

static char folder[] = "/tmp/eddy-packed-XXXXXX", model_path[PATH_MAX];
static uint8_t expected[RESULTS_MAX];

static void add_constant(char *text, const char *type, const char *name, int count, int range, double factor, unsigned seed)
{
    char *at = text + strlen(text);
    at += sprintf(at, "%s %s = {", type, name);
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        at += sprintf(at, "%s%g", i > 0 ? "," : "", (int)((seed >> 8) % (unsigned)(2 * range + 1) - (unsigned)range) * factor);
    }
    strcpy(at, "}\n");
}

/* A layer of each kind whose weights are packed: by minimal filtering, direct, 8 bit. `first` decides the weights of the first. */
static void write_model(unsigned first)
{
    char *text = calloc(1, TEXT_BYTES);
    struct error error;
    CHECK(text != NULL);
    strcpy(text, "(float[1,64,12,12] x) => (uint8[1,8,12,12] y)\n<");
    add_constant(text, "float[64,64,3,3]", "w", 64 * 64 * 9, 100, 1e-3, first);
    add_constant(text, ", float[4096,64,1,1]", "v", 4096 * 64, 100, 1e-3, 2);
    add_constant(text, ", int8[8,4096,1,1]", "u", 8 * 4096, 100, 1, 3);
    strcat(text, ", float[1] s = {0.05}, uint8[1] z = {100}, int8[1] n = {0}, float[1] r = {0.9}>\n"
                 "{ a = Conv<pads = [1,1,1,1]>(x, w) b = Conv(a, v) q = QuantizeLinear(b, s, z) y = QLinearConv(q, s, z, u, s, n, r, z) }\n");
    size_t length;
    uint8_t *bytes = onnx_from_text(text, 21, &length);
    CHECK_OK(file_replace(model_path, bytes, length, &error), error);
    free(bytes);
    free(text);
}

/* Opens, runs on inputs that are always the same; whether the weights were mapped. */
static bool open_and_run(bool keep, uint8_t results[RESULTS_MAX])
{
    struct error error;
    struct model *model;
    struct run *run;
    CHECK_OK(model_open(model_path, &(struct model_options){.keep_packed = keep}, &model, &error), error);
    CHECK_OK(run_new(model, &run, &error), error);
    float *input = run_input(run, 0)->data;
    for (int i = 0; i < 64 * 12 * 12; i++)
        input[i] = (float)(i % 17 - 8);
    run_execute(run);
    memcpy(results, run_output(run, 0)->data, RESULTS_MAX);
    bool mapped = model_is_packed_mapped(model);
    run_free(run);
    model_close(model);
    return mapped;
}

static bool same_as_expected(bool keep)
{
    uint8_t results[RESULTS_MAX];
    bool mapped = open_and_run(keep, results);
    CHECK(memcmp(results, expected, sizeof results) == 0);
    return mapped;
}

/* The one file of packed weights; "": there is none. */
static const char *find_packed(void)
{
    static char path[PATH_MAX];
    glob_t found;
    char pattern[PATH_MAX + 16];
    path[0] = '\0';
    snprintf(pattern, sizeof pattern, "%s.*", model_path);
    if (glob(pattern, 0, NULL, &found) == 0) {
        CHECK_INTEGER((int)found.gl_pathc, 1);
        snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
        globfree(&found);
    }
    return path;
}

static void start_anew(void)
{
    write_model(1);
    if (find_packed()[0] != '\0')
        unlink(find_packed());
    unsetenv("EDDY_PACKED");
    CHECK(!open_and_run(false, expected));
    int different = 0;
    for (int i = 1; i < RESULTS_MAX; i++)
        different += expected[i] != expected[0];
    CHECK(different > RESULTS_MAX / 2);
    CHECK_TEXT(find_packed(), "");
}

static void the_second_start_maps_what_the_first_packed(void)
{
    start_anew();
    CHECK(!same_as_expected(true));
    CHECK(find_packed()[0] != '\0');
    CHECK(same_as_expected(true));
    CHECK(same_as_expected(true));
    CHECK(!same_as_expected(false));
    setenv("EDDY_PACKED", "off", 1);
    CHECK(!same_as_expected(true));
    setenv("EDDY_PACKED", "on", 1);
    CHECK(same_as_expected(false));
}

/* Whatever was done to the file: it is not used, the answers are right, and the start after that maps a new one. */
static void is_replaced(void)
{
    CHECK(!same_as_expected(true));
    CHECK(same_as_expected(true));
}

static void a_damaged_file_is_not_used_and_written_anew(void)
{
    struct error error;
    struct file_map map;
    start_anew();
    CHECK(!same_as_expected(true));
    const char *path = find_packed();
    CHECK_OK(file_map_open(path, SIZE_MAX, &map, &error), error);
    uint8_t *copy = malloc(map.bytes + 1);
    CHECK(copy != NULL);
    memcpy(copy, map.data, map.bytes);
    size_t bytes = map.bytes;
    file_map_close(&map);
    copy[bytes] = 0;
    for (size_t i = 0; i < 24; i++) {
        size_t at = i < 12 ? 4 * i : (bytes - 1) / 11 * (i - 12) % bytes;
        copy[at] ^= 0x40;
        CHECK_OK(file_replace(path, copy, bytes, &error), error);
        copy[at] ^= 0x40;
        is_replaced();
    }
    size_t lengths[] = {0, 1, 31, 32, 40, bytes / 2, bytes - 64, bytes - 1, bytes + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        CHECK_OK(file_replace(path, copy, lengths[i], &error), error);
        is_replaced();
    }
    free(copy);
}

/* Lengths of two blocks changed places, and the checksum says that this is right. */
static void a_file_that_fits_but_has_other_blocks_is_not_used(void)
{
    enum { CHECKSUM = 2, LENGTHS = 4 }; /* words of the file */
    struct error error;
    struct file_map map;
    start_anew();
    CHECK(!same_as_expected(true));
    CHECK_OK(file_map_open(find_packed(), SIZE_MAX, &map, &error), error);
    uint64_t *words = malloc(map.bytes);
    CHECK(words != NULL);
    memcpy(words, map.data, map.bytes);
    uint64_t first = words[LENGTHS];
    words[LENGTHS] = words[LENGTHS + 1];
    words[LENGTHS + 1] = first;
    CHECK(words[LENGTHS] != first);
    words[CHECKSUM] = hash_bytes(words + LENGTHS, map.bytes - LENGTHS * sizeof *words, 0);
    CHECK_OK(file_replace(find_packed(), words, map.bytes, &error), error);
    file_map_close(&map);
    free(words);
    is_replaced();
}

static void a_file_of_another_model_or_that_others_may_write_is_not_used(void)
{
    start_anew();
    CHECK(!same_as_expected(true));
    CHECK_INTEGER(chmod(find_packed(), 0666), 0);
    is_replaced();
    write_model(7);
    uint8_t others[RESULTS_MAX], again[RESULTS_MAX];
    CHECK(!open_and_run(true, others));
    CHECK(memcmp(others, expected, sizeof others) != 0);
    CHECK(open_and_run(true, again));
    CHECK(memcmp(others, again, sizeof others) == 0);
    write_model(1);
    is_replaced();
}

static void without_a_place_for_the_file_the_model_runs_all_the_same(void)
{
    start_anew();
    CHECK(!same_as_expected(true));
    char path[PATH_MAX];
    strcpy(path, find_packed());
    unlink(path);
    CHECK_INTEGER(mkdir(path, 0755), 0);
    CHECK(!same_as_expected(true));
    CHECK(!same_as_expected(true));
    CHECK_INTEGER(rmdir(path), 0);
}

int main(int count, char **arguments)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(model_path, sizeof model_path, "%s/m.onnx", folder);
    int status = check_main(count, arguments, (struct check_case[]){
        CASE(the_second_start_maps_what_the_first_packed), CASE(a_damaged_file_is_not_used_and_written_anew),
        CASE(a_file_that_fits_but_has_other_blocks_is_not_used),
        CASE(a_file_of_another_model_or_that_others_may_write_is_not_used), CASE(without_a_place_for_the_file_the_model_runs_all_the_same), {0}});
    if (find_packed()[0] != '\0')
        unlink(find_packed());
    unlink(model_path);
    rmdir(folder);
    return status;
}
