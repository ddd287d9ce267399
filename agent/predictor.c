/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/predictor.h"

#include "agent/input.h"
#include "agent/recall.h"
#include "agent/task.h"
#include "base/clock.h"

#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_TENSORS_MAX = 64 };

struct predictor {
    const struct config_pipeline *pipeline;
    const struct bundle *bundle;
    struct cache_space *space;
    struct run *run;
    struct input *input;
    struct task_decoder *task;
    struct recall recall;
    const struct tensor *inputs[MODEL_TENSORS_MAX], *outputs[MODEL_TENSORS_MAX];
    char label[6 * BUNDLE_LABEL_BYTES + 3]; /* of the bundle, as JSON */
    size_t result_bytes_max;
    char *result;              /* [result_bytes_max + 1] */
    char *text;                /* grows once to the largest answer */
    size_t text_length, text_capacity;
};

/* One result's times and where it came from. */
struct timing {
    const char *cache;
    int64_t arrived_us, started_us, decode_us, infer_us;
};

void predictor_settings(const struct config_pipeline *pipeline, const struct bundle *bundle, char *text, size_t capacity)
{
    const struct manifest *m = bundle->manifest;
    struct json_writer writer;
    json_writer_init(&writer, text, capacity);
    json_array_begin(&writer);
    json_string(&writer, EDDY_VERSION);
    json_string(&writer, m->sha256);
    json_string(&writer, bundle->label);
    const int64_t numbers[] = {pipeline->input.kind, pipeline->input.format, pipeline->input.window, pipeline->input.max_pixels, m->task,
                               m->input.color, m->input.resize, m->input.pad, m->output.decode, m->output.activation, m->output.top};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_integer(&writer, numbers[i]);
    const float floats[] = {m->input.mean[0], m->input.mean[1], m->input.mean[2], m->input.std[0], m->input.std[1], m->input.std[2],
                            m->output.threshold, m->output.iou};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++)
        json_float(&writer, floats[i]);
    for (int i = 0; m->input.normalize_mean != NULL && i < m->input.fields; i++) {
        json_float(&writer, m->input.normalize_mean[i]);
        json_float(&writer, m->input.normalize_std[i]);
    }
    uint64_t labels = 0;
    for (int i = 0; i < m->label_count; i++)
        labels = XXH3_64bits_withSeed(m->labels[i], strlen(m->labels[i]), labels);
    json_integer(&writer, (int64_t)labels);
    json_array_end(&writer);
    json_writer_finish(&writer);
}

static enum error_code bind_tensors(struct predictor *predictor, struct error *error)
{
    const struct model *model = predictor->bundle->model;
    if (model_input_count(model) > MODEL_TENSORS_MAX || model_output_count(model) > MODEL_TENSORS_MAX)
        return error_set(error, ERROR_UNSUPPORTED, "a model with more than %d inputs or outputs", MODEL_TENSORS_MAX);
    TRY(run_new(model, &predictor->run, error));
    for (int i = 0; i < model_input_count(model); i++) {
        struct tensor *tensor = run_input(predictor->run, i);
        memset(tensor->data, 0, tensor_bytes(tensor));
        predictor->inputs[i] = tensor;
    }
    for (int i = 0; i < model_output_count(model); i++)
        predictor->outputs[i] = run_output(predictor->run, i);
    return ERROR_NONE;
}

/* A bare model file lends its name to the label, and a file name may hold anything. */
static void write_label(struct predictor *predictor)
{
    struct json_writer writer;
    json_writer_init(&writer, predictor->label, sizeof predictor->label);
    json_string(&writer, predictor->bundle->label);
    json_writer_finish(&writer);
}

enum error_code predictor_new(const struct config_pipeline *pipeline, const struct bundle *bundle, struct cache_space *space,
                              size_t result_bytes_max, struct predictor **predictor_out, struct error *error)
{
    struct predictor *predictor = calloc(1, sizeof *predictor);
    if (predictor == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a predictor");
    predictor->pipeline = pipeline;
    predictor->bundle = bundle;
    predictor->space = space;
    predictor->result_bytes_max = result_bytes_max;
    write_label(predictor);
    predictor->result = malloc(result_bytes_max + 1);
    enum error_code code = predictor->result == NULL
                               ? error_set(error, ERROR_LIMIT, "no memory for results of %zu bytes", result_bytes_max)
                               : bind_tensors(predictor, error);
    if (code == ERROR_NONE)
        code = recall_init(&predictor->recall, space, bundle->manifest, result_bytes_max, error);
    if (code == ERROR_NONE)
        code = input_new(pipeline, bundle->manifest, predictor->inputs[0], &predictor->input, error);
    if (code == ERROR_NONE)
        code = task_new(bundle->manifest, predictor->inputs, model_input_count(bundle->model), predictor->outputs,
                        model_output_count(bundle->model), &predictor->task, error);
    if (code != ERROR_NONE) {
        error_prefix(error, "model %s: ", bundle->label);
        predictor_free(predictor);
        return code;
    }
    *predictor_out = predictor;
    return ERROR_NONE;
}

enum error_code predictor_set_threads(struct predictor *predictor, struct threads *threads, struct error *error)
{
    return run_set_threads(predictor->run, threads, error);
}

void predictor_free(struct predictor *predictor)
{
    if (predictor == NULL)
        return;
    task_free(predictor->task);
    recall_deinit(&predictor->recall);
    input_free(predictor->input);
    run_free(predictor->run);
    free(predictor->text);
    free(predictor->result);
    free(predictor);
}

static bool reserve(struct predictor *predictor, size_t bytes)
{
    size_t needed = predictor->text_length + bytes;
    if (needed <= predictor->text_capacity)
        return true;
    size_t capacity = needed < PREDICTOR_TEXT_BYTES_MAX / 2 ? 2 * needed : PREDICTOR_TEXT_BYTES_MAX;
    char *grown = needed <= PREDICTOR_TEXT_BYTES_MAX ? realloc(predictor->text, capacity) : NULL;
    if (grown == NULL)
        return false;
    predictor->text = grown;
    predictor->text_capacity = capacity;
    return true;
}

/* Appends one line end; body is `"result":{...}` or `"error":{...}` without its key. */
static void append(struct predictor *predictor, struct answer *answer, const struct timing *timing, const char *key, const char *body,
                   size_t body_length)
{
    enum { MEMBERS_BYTES_MAX = sizeof predictor->label + 352 };
    int64_t now = clock_monotonic_us();
    if (!reserve(predictor, body_length + MEMBERS_BYTES_MAX))
        return; /* answer_series stops long before this; an error of one line always fits */
    char *at = predictor->text + predictor->text_length;
    if (answer->count > 0)
        *at++ = '\n';
    int head = snprintf(at, MEMBERS_BYTES_MAX,
                        "\"model\":%s,\"cache\":\"%s\",\"us\":{\"queue\":%lld,\"decode\":%lld,\"infer\":%lld,\"total\":%lld},\"%s\":",
                        predictor->label, timing->cache, (long long)(timing->started_us - timing->arrived_us),
                        (long long)timing->decode_us, (long long)timing->infer_us, (long long)(now - timing->arrived_us), key);
    at += head;
    memcpy(at, body, body_length);
    at += body_length;
    *at++ = '}';
    predictor->text_length = (size_t)(at - predictor->text);
    answer->count++;
    answer->decode_us += timing->decode_us;
    answer->infer_us += timing->infer_us;
}

static void append_error(struct predictor *predictor, struct answer *answer, const struct timing *timing, const struct error *error)
{
    char body[3 * ERROR_MESSAGE_BYTES];
    struct json_writer writer;
    json_writer_init(&writer, body, sizeof body);
    json_object_begin(&writer);
    json_key(&writer, "code");
    json_string(&writer, error_code_name(error->code));
    json_key(&writer, "message");
    json_string(&writer, error->message);
    json_object_end(&writer);
    json_writer_finish(&writer);
    append(predictor, answer, timing, "error", body, writer.length);
    answer->errors++;
}

/* The keys under which an input's result is kept, and which of them this predictor is making (cache_claim). */
struct keys {
    struct cache_key bytes, tensor;
    bool making_bytes, making_tensor;
};

static void append_hit(struct predictor *predictor, struct answer *answer, struct timing *timing, enum cache_level level, const char *result,
                       size_t length, int64_t saved_us)
{
    timing->cache = level == CACHE_LEVEL_NEAR ? "near" : "hit";
    append(predictor, answer, timing, "result", result, length);
    answer->hits++;
    cache_count_hit(predictor->space, level, saved_us);
}

/* Claims the key; true: somebody had it, and it is the answer. */
static bool answer_from_cache(struct predictor *predictor, enum cache_level level, struct keys *keys, struct timing *timing,
                              struct answer *answer)
{
    struct cache_found found;
    bool bytes = level == CACHE_LEVEL_BYTES;
    if (predictor->space == NULL)
        return false;
    if (!cache_claim(predictor->space, bytes ? keys->bytes : keys->tensor, predictor->result, predictor->result_bytes_max, &found)) {
        *(bytes ? &keys->making_bytes : &keys->making_tensor) = true;
        return false;
    }
    append_hit(predictor, answer, timing, level, predictor->result, found.length, found.saving_us);
    if (keys->making_bytes) { /* the same tensor from other bytes: the next time these bytes suffice */
        cache_put(predictor->space, keys->bytes, predictor->result, found.length, found.saving_us + timing->decode_us);
        keys->making_bytes = false;
    }
    return true;
}

static bool answer_from_likeness(struct predictor *predictor, struct timing *timing, struct answer *answer)
{
    struct recall *recall = &predictor->recall;
    if (!recall_ask(recall))
        return false;
    append_hit(predictor, answer, timing, CACHE_LEVEL_NEAR, recall->shared, recall->shared_length, recall->saving_us);
    return true;
}

static void give_up(struct predictor *predictor, const struct keys *keys)
{
    if (keys->making_tensor)
        cache_give_up(predictor->space, keys->tensor);
    if (keys->making_bytes)
        cache_give_up(predictor->space, keys->bytes);
}

static void keep(struct predictor *predictor, const struct keys *keys, const struct timing *timing, size_t length, double margin)
{
    if (keys->making_tensor)
        cache_put(predictor->space, keys->tensor, predictor->result, length, timing->infer_us);
    if (keys->making_bytes)
        cache_put(predictor->space, keys->bytes, predictor->result, length, timing->infer_us + timing->decode_us);
    if (keys->making_tensor || keys->making_bytes)
        recall_learn(&predictor->recall, predictor->result, length, keys->making_bytes ? keys->bytes : keys->tensor, margin);
}

static void infer(struct predictor *predictor, const struct image_geometry *geometry, const struct keys *keys, struct timing *timing,
                  struct answer *answer)
{
    int64_t before = clock_monotonic_us();
    run_execute(predictor->run);
    struct json_writer writer;
    json_writer_init(&writer, predictor->result, predictor->result_bytes_max);
    task_write(predictor->task, predictor->inputs, predictor->outputs, geometry, &writer);
    timing->infer_us = clock_monotonic_us() - before;
    if (predictor->space != NULL)
        cache_count_miss(predictor->space);
    if (!json_writer_finish(&writer)) {
        struct error error;
        error_set(&error, ERROR_LIMIT, "the result is larger than %zu bytes: raise sink.max_bytes or the model's threshold",
                  predictor->result_bytes_max);
        append_error(predictor, answer, timing, &error);
        give_up(predictor, keys);
        return;
    }
    append(predictor, answer, timing, "result", predictor->result, writer.length);
    answer->margin = task_margin(predictor->task);
    keep(predictor, keys, timing, writer.length, answer->margin);
}

static struct cache_key tensor_key(struct predictor *predictor, const struct image_geometry *geometry)
{
    const struct tensor *tensor = run_input(predictor->run, 0);
    struct cache_key key = cache_key(predictor->space, CACHE_LEVEL_TENSOR, tensor->data, tensor_bytes(tensor));
    return geometry == NULL ? key : cache_key_with(key, geometry, sizeof *geometry); /* boxes are in pixels of the original */
}

static void answer_image(struct predictor *predictor, const struct predictor_input *input, struct timing *timing, struct answer *answer)
{
    struct keys keys = {0};
    if (predictor->space != NULL)
        keys.bytes = cache_key(predictor->space, CACHE_LEVEL_BYTES, input->bytes, input->length);
    if (answer_from_cache(predictor, CACHE_LEVEL_BYTES, &keys, timing, answer))
        return;
    struct image_geometry geometry;
    struct error error = {0};
    int64_t before = clock_monotonic_us();
    if (predictor->recall.near != NULL)
        predictor->recall.described = input_describe_image(predictor->input, input->bytes, input->length, &predictor->recall.descriptor);
    if (answer_from_likeness(predictor, timing, answer)) {
        give_up(predictor, &keys);
        return;
    }
    enum error_code code = input_decode_image(predictor->input, input->bytes, input->length, run_input(predictor->run, 0), &geometry, &error);
    timing->decode_us = clock_monotonic_us() - before;
    if (code != ERROR_NONE) {
        append_error(predictor, answer, timing, &error);
        give_up(predictor, &keys);
        if (predictor->space != NULL)
            cache_count_miss(predictor->space);
        return;
    }
    if (predictor->space != NULL)
        keys.tensor = tensor_key(predictor, &geometry);
    if (!answer_from_cache(predictor, CACHE_LEVEL_TENSOR, &keys, timing, answer))
        infer(predictor, &geometry, &keys, timing, answer);
}

static void answer_window(struct predictor *predictor, struct timing *timing, struct answer *answer)
{
    struct keys keys = {0};
    if (predictor->space != NULL)
        keys.tensor = tensor_key(predictor, NULL);
    if (answer_from_cache(predictor, CACHE_LEVEL_TENSOR, &keys, timing, answer))
        return;
    if (predictor->recall.near != NULL)
        predictor->recall.described = input_describe_window(predictor->input, &predictor->recall.descriptor);
    if (answer_from_likeness(predictor, timing, answer))
        give_up(predictor, &keys);
    else
        infer(predictor, NULL, &keys, timing, answer);
}

static void answer_series(struct predictor *predictor, const struct predictor_input *input, struct timing *timing, struct answer *answer)
{
    struct error error = {0};
    int windows;
    int64_t before = clock_monotonic_us();
    enum error_code code = input_series_push(predictor->input, input->source, input->arrived_us, input->bytes, input->length, &windows,
                                             &answer->left, &error);
    timing->decode_us = clock_monotonic_us() - before;
    if (code != ERROR_NONE) {
        append_error(predictor, answer, timing, &error);
        return;
    }
    const char *without_hit = timing->cache;
    while (input_series_next(predictor->input, run_input(predictor->run, 0))) {
        if (predictor->text_length + 2 * predictor->result_bytes_max > PREDICTOR_TEXT_BYTES_MAX) {
            error_set(&error, ERROR_LIMIT, "one message completed %d windows; only the first %d are answered: send fewer samples a message",
                      windows, answer->count);
            append_error(predictor, answer, timing, &error);
            return;
        }
        timing->cache = without_hit;
        timing->infer_us = 0;
        answer_window(predictor, timing, answer);
        timing->decode_us = 0; /* of the message, told once */
    }
}

void predictor_restore(struct predictor *predictor, const char *source, int64_t arrived_us, const struct series_leftover *left)
{
    input_series_restore(predictor->input, source, arrived_us, left);
}

void predictor_answer(struct predictor *predictor, const struct predictor_input *input, struct answer *answer_out)
{
    struct timing timing = {.cache = predictor->space == NULL ? "off" : "miss", .arrived_us = input->arrived_us,
                            .started_us = clock_monotonic_us()};
    *answer_out = (struct answer){0};
    predictor->text_length = 0;
    if (input->length > (uint64_t)predictor->pipeline->max_message_bytes) {
        struct error error;
        error_set(&error, ERROR_LIMIT, "message of %zu bytes, at most %lld are taken (max_message)", input->length,
                  (long long)predictor->pipeline->max_message_bytes);
        append_error(predictor, answer_out, &timing, &error);
    } else if (predictor->pipeline->input.kind == INPUT_IMAGE) {
        answer_image(predictor, input, &timing, answer_out);
    } else {
        answer_series(predictor, input, &timing, answer_out);
    }
    answer_out->text = predictor->text;
    answer_out->length = predictor->text_length;
}
