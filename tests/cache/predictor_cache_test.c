/* SPDX-License-Identifier: Apache-2.0
 *
 * The cache as predictors use it, with the factory's real models: what is answered by which level, and that no level lies. */
#include "agent/agreement.h"
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/near.h"

#include "tests/check.h"

#include <pthread.h>
#include <stdatomic.h>

enum { RESULT_BYTES = 65536 };

struct bench { /* one pipeline with its cache */
    struct config_pipeline pipeline;
    struct bundle bundle;
    struct cache *cache;
    struct cache_space *space;
    struct predictor *predictor;
};

static void set_up(struct bench *bench, const char *model, struct config_pipeline pipeline, double max_disagreement, double start_distance)
{
    static const char *const folder = EDDY_SOURCE_DIR "/examples/factory/models/";
    char path[300], settings[4096];
    bool set_aside;
    struct error error;
    *bench = (struct bench){.pipeline = pipeline};
    snprintf(path, sizeof path, "%s%s/1.0.0", folder, model);
    CHECK_OK(bundle_open(path, NULL, &bench->bundle, &error), error);
    CHECK_OK(cache_open(NULL, 1 << 20, &bench->cache, &set_aside, &error), error);
    predictor_settings(&bench->pipeline, &bench->bundle, settings, sizeof settings);
    struct cache_space_options options = {.name = "line", .settings = settings, .max_disagreement = max_disagreement,
                                          .start_distance = start_distance};
    CHECK_OK(cache_add_space(bench->cache, &options, &bench->space, &error), error);
    CHECK_OK(predictor_new(&bench->pipeline, &bench->bundle, bench->space, RESULT_BYTES, &bench->predictor, &error), error);
}

static void tear_down(struct bench *bench)
{
    predictor_free(bench->predictor);
    cache_close(bench->cache);
    bundle_close(&bench->bundle);
}

static const struct config_pipeline images = {.name = "line", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}, .max_message_bytes = 1 << 25};

static struct file_map frame(const char *name)
{
    char path[300];
    struct file_map map;
    struct error error;
    snprintf(path, sizeof path, "%s/examples/factory/frames/%s", EDDY_SOURCE_DIR, name);
    CHECK_OK(file_map_open(path, 1 << 20, &map, &error), error);
    return map;
}

static struct answer ask(struct bench *bench, const void *bytes, size_t length)
{
    struct predictor_input input = {.source = "camera/1", .bytes = bytes, .length = length, .arrived_us = clock_monotonic_us()};
    struct answer answer;
    predictor_answer(bench->predictor, &input, &answer);
    return answer;
}

static const char *result_of(const struct answer *answer)
{
    static char text[RESULT_BYTES];
    const char *at = strstr(answer->text, "\"result\":");
    CHECK(at != NULL && answer->length < sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)(answer->text + answer->length - at), at);
    return text;
}

static bool says(const struct answer *answer, const char *words)
{
    return memmem(answer->text, answer->length, words, strlen(words)) != NULL;
}

static struct cache_space_statistics counts(struct bench *bench)
{
    struct cache_space_statistics statistics;
    cache_space_get_statistics(bench->space, &statistics);
    return statistics;
}

/* The same picture in other bytes: a comment segment behind the start marker. */
static uint8_t *with_comment(struct file_map map, const char *comment, size_t *length_out)
{
    size_t words = strlen(comment);
    uint8_t *bytes = malloc(map.bytes + words + 4);
    CHECK(bytes != NULL);
    memcpy(bytes, map.data, 2);
    bytes[2] = 0xff;
    bytes[3] = 0xfe;
    bytes[4] = (uint8_t)((words + 2) >> 8);
    bytes[5] = (uint8_t)(words + 2);
    memcpy(bytes + 6, comment, words);
    memcpy(bytes + 6 + words, map.data + 2, map.bytes - 2);
    *length_out = map.bytes + words + 4;
    return bytes;
}

static void the_same_bytes_are_answered_without_decoding(void)
{
    struct bench bench;
    struct file_map map = frame("part-00.jpg");
    char first[RESULT_BYTES];
    set_up(&bench, "part-check", images, 0, 0);
    struct answer answer = ask(&bench, map.data, map.bytes);
    CHECK(says(&answer, "\"cache\":\"miss\""));
    strcpy(first, result_of(&answer));
    answer = ask(&bench, map.data, map.bytes);
    CHECK(says(&answer, "\"cache\":\"hit\"") && says(&answer, "\"decode\":0,\"infer\":0"));
    CHECK_TEXT(result_of(&answer), first);
    CHECK_INTEGER(counts(&bench).hits[CACHE_LEVEL_BYTES], 1);
    CHECK_INTEGER(counts(&bench).misses, 1);
    CHECK(counts(&bench).saved_us > 0);
    tear_down(&bench);
    file_map_close(&map);
}

static void the_same_picture_in_other_bytes_is_answered_without_inference(void)
{
    struct bench bench;
    struct file_map map = frame("part-00.jpg");
    size_t length;
    uint8_t *commented = with_comment(map, "camera 3, 14:05:31", &length);
    char first[RESULT_BYTES];
    set_up(&bench, "part-check", images, 0, 0);
    struct answer answer = ask(&bench, map.data, map.bytes);
    strcpy(first, result_of(&answer));
    answer = ask(&bench, commented, length);
    CHECK(says(&answer, "\"cache\":\"hit\"") && says(&answer, "\"infer\":0") && !says(&answer, "\"decode\":0"));
    CHECK_TEXT(result_of(&answer), first);
    answer = ask(&bench, commented, length); /* now by its bytes */
    CHECK(says(&answer, "\"decode\":0,\"infer\":0"));
    CHECK_INTEGER(counts(&bench).hits[CACHE_LEVEL_TENSOR], 1);
    CHECK_INTEGER(counts(&bench).hits[CACHE_LEVEL_BYTES], 1);
    tear_down(&bench);
    free(commented);
    file_map_close(&map);
}

static void a_damaged_picture_gives_its_error_each_time_and_blocks_nobody(void)
{
    struct bench bench;
    struct file_map map = frame("part-00.jpg");
    set_up(&bench, "part-check", images, 0, 0);
    for (int i = 0; i < 3; i++) {
        struct answer answer = ask(&bench, map.data, map.bytes / 2);
        CHECK_INTEGER(answer.errors, 1);
    }
    CHECK_INTEGER(counts(&bench).misses, 3);
    tear_down(&bench);
    file_map_close(&map);
}

static void a_window_is_known_again_whatever_its_json_looks_like(void)
{
    static const char *fields[] = {"/ax", "/ay", "/az"};
    struct config_pipeline series = {.name = "motor", .max_message_bytes = 1 << 20,
                                     .input = {.kind = INPUT_SERIES, .format = SERIES_JSON, .fields = fields, .field_count = 3, .window = 64, .hop = 64}};
    struct bench bench;
    char plain[8192] = "{", spaced[16384] = "{ ";
    for (int f = 0; f < 3; f++) {
        sprintf(plain + strlen(plain), "%s\"%s\":[", f > 0 ? "," : "", fields[f] + 1);
        sprintf(spaced + strlen(spaced), "%s\n\t\"%s\" : [ ", f > 0 ? " ," : "", fields[f] + 1);
        for (int i = 0; i < 64; i++) {
            double value = (f == 2 ? 9.8 : 0) + 0.1 * ((i * 7 + f) % 5);
            sprintf(plain + strlen(plain), "%s%.3f", i > 0 ? "," : "", value);
            sprintf(spaced + strlen(spaced), "%s%.6fe0", i > 0 ? " , " : "", value);
        }
        strcat(plain, "]");
        strcat(spaced, " ]");
    }
    strcat(plain, "}");
    strcat(spaced, "\n}");
    set_up(&bench, "motor-anomaly", series, 0, 0);
    struct answer answer = ask(&bench, plain, strlen(plain));
    CHECK_INTEGER(answer.count, 1);
    CHECK(says(&answer, "\"cache\":\"miss\""));
    answer = ask(&bench, spaced, strlen(spaced));
    CHECK_INTEGER(answer.count, 1);
    CHECK(says(&answer, "\"cache\":\"hit\""));
    CHECK_INTEGER(counts(&bench).hits[CACHE_LEVEL_TENSOR], 1);
    tear_down(&bench);
}

static void a_likeness_is_answered_and_another_scene_is_not(void)
{
    struct bench bench;
    struct file_map good = frame("part-00.jpg"), other = frame("part-20.jpg");
    size_t length;
    uint8_t *commented = with_comment(good, "the same scene", &length);
    set_up(&bench, "part-check", images, 0.01, 0.5);
    struct answer answer = ask(&bench, good.data, good.bytes);
    CHECK(says(&answer, "\"cache\":\"miss\""));
    answer = ask(&bench, commented, length);
    CHECK(says(&answer, "\"cache\":\"near\"") || says(&answer, "\"cache\":\"hit\"")); /* or audited: then its tensor is known */
    answer = ask(&bench, other.data, other.bytes);
    CHECK(says(&answer, "\"cache\":\"miss\""));
    answer = ask(&bench, good.data, good.bytes);
    CHECK(says(&answer, "\"cache\":\"hit\""));
    struct near_statistics statistics;
    near_get_statistics(cache_near(bench.space), &statistics);
    CHECK(statistics.references >= 2);
    tear_down(&bench);
    free(commented);
    file_map_close(&good);
    file_map_close(&other);
}

static struct bench shared;
static struct file_map burst;
static atomic_int inferred;

static void *ask_in_a_burst(void *argument)
{
    struct predictor *predictor = argument;
    for (int i = 0; i < 10; i++) {
        struct predictor_input input = {.source = "camera/1", .bytes = burst.data, .length = burst.bytes, .arrived_us = clock_monotonic_us()};
        struct answer answer;
        predictor_answer(predictor, &input, &answer);
        atomic_fetch_add(&inferred, answer.count - answer.hits);
    }
    return NULL;
}

static void a_burst_of_duplicates_over_several_workers_is_inferred_once(void)
{
    enum { WORKERS = 4 };
    struct predictor *predictors[WORKERS];
    pthread_t threads[WORKERS];
    struct error error;
    set_up(&shared, "part-check", images, 0, 0);
    burst = frame("part-03.jpg");
    atomic_store(&inferred, 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_OK(predictor_new(&shared.pipeline, &shared.bundle, shared.space, RESULT_BYTES, &predictors[i], &error), error);
    for (int i = 0; i < WORKERS; i++)
        CHECK(pthread_create(&threads[i], NULL, ask_in_a_burst, predictors[i]) == 0);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INTEGER(inferred, 1);
    CHECK_INTEGER(counts(&shared).hits[CACHE_LEVEL_BYTES], 10 * WORKERS - 1);
    for (int i = 0; i < WORKERS; i++)
        predictor_free(predictors[i]);
    tear_down(&shared);
    file_map_close(&burst);
}

static bool agree(enum decode decode, const char *left, const char *right)
{
    struct manifest manifest = {.output = {.decode = decode, .threshold = 0.7f}};
    return agreement_check(&manifest, (struct agreement_result){left, strlen(left)}, (struct agreement_result){right, strlen(right)});
}

static void results_agree_where_a_consumer_would_do_the_same(void)
{
    CHECK(agree(DECODE_CLASSES, "{\"label\":\"a\",\"score\":0.9,\"top\":[]}", "{\"label\":\"a\",\"score\":0.6,\"top\":[]}"));
    CHECK(!agree(DECODE_CLASSES, "{\"label\":\"a\",\"score\":0.9,\"top\":[]}", "{\"label\":\"ab\",\"score\":0.9,\"top\":[]}"));
    CHECK(!agree(DECODE_CLASSES, "{}", "{}"));
    CHECK(agree(DECODE_RECONSTRUCTION, "{\"score\":1,\"anomalous\":true}", "{\"score\":9,\"anomalous\":true}"));
    CHECK(!agree(DECODE_RECONSTRUCTION, "{\"score\":1,\"anomalous\":true}", "{\"score\":1,\"anomalous\":false}"));
    const char *none = "{\"objects\":[]}", *certain = "{\"objects\":[{\"label\":\"face\",\"score\":0.95,\"box\":[10,10,50,50]}]}",
               *moved = "{\"objects\":[{\"label\":\"face\",\"score\":0.9,\"box\":[12,12,52,52]}]}",
               *elsewhere = "{\"objects\":[{\"label\":\"face\",\"score\":0.95,\"box\":[40,40,80,80]}]}",
               *weak = "{\"objects\":[{\"label\":\"face\",\"score\":0.72,\"box\":[10,10,50,50]}]}";
    CHECK(agree(DECODE_BOXES, certain, moved));
    CHECK(!agree(DECODE_BOXES, certain, elsewhere));
    CHECK(!agree(DECODE_BOXES, certain, none) && !agree(DECODE_BOXES, none, certain));
    CHECK(agree(DECODE_BOXES, weak, none) && agree(DECODE_BOXES, weak, certain));
    CHECK(!agree(DECODE_BOXES, "{\"objects\":[{\"label\"", none));
    CHECK(agree(DECODE_RAW, "{\"outputs\":{\"y\":{\"shape\":[2],\"data\":[100,1]}}}", "{\"outputs\":{\"y\":{\"shape\":[2],\"data\":[103,0]}}}"));
    CHECK(!agree(DECODE_RAW, "{\"outputs\":{\"y\":{\"shape\":[2],\"data\":[100,1]}}}", "{\"outputs\":{\"y\":{\"shape\":[2],\"data\":[80,1]}}}"));
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(the_same_bytes_are_answered_without_decoding), CASE(the_same_picture_in_other_bytes_is_answered_without_inference),
        CASE(a_damaged_picture_gives_its_error_each_time_and_blocks_nobody), CASE(a_window_is_known_again_whatever_its_json_looks_like),
        CASE(a_likeness_is_answered_and_another_scene_is_not), CASE(a_burst_of_duplicates_over_several_workers_is_inferred_once),
        CASE(results_agree_where_a_consumer_would_do_the_same), {0}});
}
