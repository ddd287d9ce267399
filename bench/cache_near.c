/* SPDX-License-Identifier: Apache-2.0
 *
 * cache_near MODEL MAX_DISAGREEMENT% FRAME.jpg...: how much inference the near level saves on a camera's frames, and how often it is wrong.
 *
 * Every frame is inferred once by the engine: that is the truth. Then the frames run through the near level's own index:
 *   the curve:   with a fixed distance, from nothing: what would each distance save, and how many answers would differ?
 *   as learned:  pass after pass, with references dropped in between, so that only what was learned helps.
 * Prints Markdown; docs/cache.md holds it. Agreement is agent/agreement.h's. */
#include "agent/agreement.h"
#include "agent/input.h"
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "cache/evidence.h"
#include "cache/near.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULT_BYTES = 65536, PASSES = 48, SEEDS = 20 };

struct frame {
    struct near_descriptor descriptor;
    char *result;
    size_t length;
    double margin;
};

struct run {
    const struct manifest *manifest;
    struct frame *frames;
    int count;
};

struct tally {
    int inferred, wrong;
    int64_t look_us;  /* CPU time */
};

static void fail(const struct error *error)
{
    fprintf(stderr, "cache_near: %s\n", error->message);
    exit(1);
}

static void read_frame(struct predictor *predictor, struct input *input, const char *path, struct frame *frame)
{
    struct error error;
    struct file_map map;
    struct answer answer;
    if (file_map_open(path, 1 << 28, &map, &error) != ERROR_NONE)
        fail(&error);
    struct predictor_input message = {.source = path, .bytes = map.data, .length = map.bytes, .arrived_us = clock_monotonic_us()};
    predictor_answer(predictor, &message, &answer);
    const char *result = memmem(answer.text, answer.length, "\"result\":", 9);
    if (result == NULL || !input_describe_image(input, map.data, map.bytes, &frame->descriptor)) {
        fprintf(stderr, "cache_near: %s: no result\n", path);
        exit(1);
    }
    result += 9;
    frame->margin = answer.margin;
    frame->length = (size_t)(answer.text + answer.length - result) - 1;
    frame->result = malloc(frame->length);
    if (frame->result == NULL)
        abort();
    memcpy(frame->result, result, frame->length);
    file_map_close(&map);
}

static bool agrees(const struct run *run, int left, int right)
{
    const struct frame *a = &run->frames[left], *b = &run->frames[right];
    return agreement_check(run->manifest, (struct agreement_result){a->result, a->length}, (struct agreement_result){b->result, b->length});
}

static int level_of(double distance)
{
    int level = 0;
    while (level + 1 < EVIDENCE_LEVELS && evidence_distance(level + 1) <= distance * 1.001)
        level++;
    return level;
}

/* One distance as if it were the trusted one: its references are those that it would have had. */
static struct tally replay_fixed(const struct run *run, double distance)
{
    struct tally tally = {0};
    struct near *near = near_new(0.01, distance, 1);
    for (int i = 0; i < run->count; i++) {
        struct near_ask ask;
        near_look(near, &run->frames[i].descriptor, &ask);
        int shared = -1; /* what would be answered at this distance: for a sample, the trial of its level */
        for (int t = 0; t < ask.trial_count; t++)
            shared = (ask.trials[t].levels >> level_of(distance) & 1) != 0 ? (int)ask.trials[t].key.low : shared;
        if (ask.advice == NEAR_HIT)
            shared = (int)ask.key.low;
        if (shared >= 0) {
            tally.wrong += !agrees(run, i, shared);
            continue;
        }
        tally.inferred++;
        near_add(near, &ask, &run->frames[i].descriptor, (struct cache_key){.low = (uint64_t)i}, run->frames[i].margin);
    }
    near_free(near);
    return tally;
}

static struct tally replay_learning(const struct run *run, struct near *near)
{
    struct tally tally = {0};
    for (int i = 0; i < run->count; i++) {
        struct near_ask ask;
        int64_t begin_us = clock_thread_cpu_us();
        near_look(near, &run->frames[i].descriptor, &ask);
        tally.look_us += clock_thread_cpu_us() - begin_us;
        if (ask.advice == NEAR_HIT) {
            tally.wrong += !agrees(run, i, (int)ask.key.low);
            continue;
        }
        tally.inferred++;
        uint64_t wrong = 0;
        for (int t = 0; t < ask.trial_count; t++)
            wrong |= agrees(run, i, (int)ask.trials[t].key.low) ? 0 : ask.trials[t].levels;
        near_learn(near, &ask, wrong);
        near_add(near, &ask, &run->frames[i].descriptor, (struct cache_key){.low = (uint64_t)i}, run->frames[i].margin);
    }
    return tally;
}

static void print_tally(const struct run *run, const char *label, double distance, struct tally tally)
{
    printf("| %s | %.2f | %d | %.1f x | %d | %.2f %% |\n", label, distance, tally.inferred, (double)run->count / tally.inferred, tally.wrong,
           100.0 * tally.wrong / run->count);
}

/* Which inputs are samples is chance, so it is repeated with other seeds. */
static void learn(const struct run *run, double max_disagreement)
{
    double worst = 0;
    struct tally all = {0};
    for (int seed = 1; seed <= SEEDS; seed++) {
        struct near *near = near_new(max_disagreement, 0, (uint64_t)seed * 0x9E3779B97F4A7C15u);
        struct tally of_seed = {0};
        for (int pass = 1; pass <= PASSES; pass++) {
            char label[32];
            struct near_statistics statistics;
            struct tally tally = replay_learning(run, near);
            near_get_statistics(near, &statistics);
            snprintf(label, sizeof label, "learned, pass %d", pass);
            if (seed == 1 && (pass <= 4 || pass % 8 == 0))
                print_tally(run, label, statistics.trusted_distance, tally);
            of_seed.inferred += tally.inferred;
            of_seed.wrong += tally.wrong;
            all.look_us += tally.look_us;
            near_drop_references(near);
        }
        double share = (double)of_seed.wrong / (PASSES * run->count);
        worst = share > worst ? share : worst;
        all.inferred += of_seed.inferred;
        all.wrong += of_seed.wrong;
        near_free(near);
    }
    int inputs = SEEDS * PASSES * run->count;
    printf("\n%d runs of %d passes, learning included: %.1f x fewer inferences, %.2f %% wrong; %.2f %% in the worst run; %.0f us of CPU a look\n",
           SEEDS, PASSES,
           (double)inputs / all.inferred, 100.0 * all.wrong / inputs, 100 * worst, (double)all.look_us / inputs);
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: cache_near MODEL MAX_DISAGREEMENT%% FRAME.jpg...\n");
        return 2;
    }
    struct error error;
    struct bundle bundle;
    struct predictor *predictor;
    struct input *input;
    struct config_pipeline pipeline = {.name = "bench", .input = {.kind = INPUT_IMAGE, .max_pixels = 50000000}, .max_message_bytes = 1 << 28};
    if (bundle_open(arguments[1], NULL, &bundle, &error) != ERROR_NONE ||
        predictor_new(&pipeline, &bundle, NULL, RESULT_BYTES, &predictor, &error) != ERROR_NONE ||
        input_new(&pipeline, bundle.manifest, model_input(bundle.model, 0), &input, &error) != ERROR_NONE)
        fail(&error);
    double max_disagreement = atof(arguments[2]) / 100;
    struct run run = {.manifest = bundle.manifest, .count = count - 3, .frames = calloc((size_t)count, sizeof *run.frames)};
    for (int i = 0; i < run.count; i++)
        read_frame(predictor, input, arguments[i + 3], &run.frames[i]);

    printf("%s, %d frames; the ceiling is one inference in all.\n\n", bundle.label, run.count);
    printf("| | distance | inferences | saving | wrong answers | of all |\n|---|---|---|---|---|---|\n");
    for (int third = 6; third <= 21; third++) {
        double distance = exp2(third / 3.0);
        print_tally(&run, "fixed", distance, replay_fixed(&run, distance));
    }
    learn(&run, max_disagreement);
    for (int i = 0; i < run.count; i++)
        free(run.frames[i].result);
    free(run.frames);
    input_free(input);
    predictor_free(predictor);
    bundle_close(&bundle);
    return 0;
}
