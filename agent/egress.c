/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/egress.h"

#include "agent/importance.h"
#include "agent/picture.h"
#include "agent/pipeline.h"
#include "base/json_reader.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS_MAX = 256, LABEL_BYTES = 128 };

static const double REDACT_GROW = 0.1, CROP_GROW = 0.1;

struct object {
    struct picture_box box;
    double score;
    char label[LABEL_BYTES];
};

struct egress_gate {
    struct picture *picture;
    struct object objects[OBJECTS_MAX];
    int object_count;
};

enum error_code egress_new(struct egress_gate **gate_out, struct error *error)
{
    struct egress_gate *gate = calloc(1, sizeof *gate);
    if (gate == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for images that leave");
    enum error_code code = picture_new(&gate->picture, error);
    if (code != ERROR_NONE) {
        egress_free(gate);
        return code;
    }
    *gate_out = gate;
    return ERROR_NONE;
}

void egress_free(struct egress_gate *gate)
{
    if (gate != NULL)
        picture_free(gate->picture);
    free(gate);
}

void egress_images_free(struct egress_image *images)
{
    for (struct egress_image *next; images != NULL; images = next) {
        next = images->next;
        free(images);
    }
}

static bool take_command(struct pipeline *pipeline)
{
    unsigned wanted = atomic_load_explicit(&pipeline->snapshots_wanted, memory_order_relaxed);
    while (wanted > 0 && !atomic_compare_exchange_weak(&pipeline->snapshots_wanted, &wanted, wanted - 1))
        ;
    return wanted > 0;
}

static enum egress_reason reason_for(struct pipeline *pipeline, const struct answer *answer)
{
    const struct config_pipeline *config = pipeline->config;
    enum importance importance = importance_of(answer->text, answer->length, config->images.below);
    if (take_command(pipeline))
        return EGRESS_COMMAND;
    if (importance == IMPORTANCE_ANOMALY && config->images.anomalies)
        return EGRESS_ANOMALY;
    if (importance == IMPORTANCE_LOW_CONFIDENCE)
        return EGRESS_LOW_CONFIDENCE;
    if (config->images.every > 0 && atomic_fetch_add_explicit(&pipeline->images_considered, 1, memory_order_relaxed) % (unsigned)config->images.every == 0)
        return EGRESS_EVERY;
    return EGRESS_NOT;
}

static bool read_box(struct json_reader *reader, struct picture_box *box)
{
    struct json_token token;
    double numbers[4];
    if (!json_next(reader, &token) || token.kind != JSON_ARRAY_BEGIN)
        return false;
    for (int i = 0; i < 4; i++) {
        if (!json_next(reader, &token) || token.kind != JSON_NUMBER || !(token.number > -1e8 && token.number < 1e8))
            return false;
        numbers[i] = token.number;
    }
    *box = (struct picture_box){(int)numbers[0], (int)numbers[1], (int)(numbers[2] + 0.999), (int)(numbers[3] + 0.999)};
    return json_next(reader, &token) && token.kind == JSON_ARRAY_END;
}

static bool read_object(struct json_reader *reader, struct object *object)
{
    struct json_token token;
    bool has_box = false;
    *object = (struct object){0};
    while (json_next(reader, &token) && token.kind == JSON_KEY) {
        if (json_text_equals(&token, "box")) {
            if (!read_box(reader, &object->box))
                return false;
            has_box = true;
        } else if (json_text_equals(&token, "label")) {
            size_t length = json_next(reader, &token) && token.kind == JSON_STRING ? json_unescape(&token, object->label, LABEL_BYTES - 1) : SIZE_MAX;
            if (length == SIZE_MAX)
                return false; /* it might be one to redact */
            object->label[length] = '\0';
        } else if (json_text_equals(&token, "score")) {
            if (!json_next(reader, &token) || token.kind != JSON_NUMBER)
                return false;
            object->score = token.number;
        } else if (!json_skip_value(reader)) {
            return false;
        }
    }
    return token.kind == JSON_OBJECT_END && has_box;
}

/* false: the result does not tell all its objects, as "result":{"objects":[...]} does. */
static bool read_objects(struct egress_gate *gate, const char *line, size_t length)
{
    static const char begin[] = "\"result\":{\"objects\":";
    size_t at = importance_find_value(line, length) + sizeof begin - 1;
    struct json_reader reader;
    struct json_token token;
    gate->object_count = 0;
    if (at > length || memcmp(line + at - (sizeof begin - 1), begin, sizeof begin - 1) != 0)
        return false;
    json_reader_init(&reader, line + at, length - at - 2); /* less the two braces that end the line */
    if (!json_next(&reader, &token) || token.kind != JSON_ARRAY_BEGIN)
        return false;
    while (json_next(&reader, &token) && token.kind == JSON_OBJECT_BEGIN) {
        if (gate->object_count == OBJECTS_MAX || !read_object(&reader, &gate->objects[gate->object_count]))
            return false;
        gate->object_count++;
    }
    return token.kind == JSON_ARRAY_END;
}

static bool is_redacted(const struct config_pipeline *config, const char *label)
{
    for (int i = 0; i < config->images.redact_count; i++) {
        if (strcmp(config->images.redact[i], label) == 0)
            return true;
    }
    return false;
}

static enum error_code redact(struct egress_gate *gate, const struct config_pipeline *config, bool *any_out, struct error *error)
{
    *any_out = false;
    for (int i = 0; i < gate->object_count; i++) {
        const struct object *object = &gate->objects[i];
        if (!is_redacted(config, object->label))
            continue;
        TRY(picture_pixelate(gate->picture, picture_grow(gate->picture, object->box, REDACT_GROW), error));
        *any_out = true;
    }
    return ERROR_NONE;
}

static void add_image(struct egress_gate *gate, struct pipeline *pipeline, struct picture_box box, enum egress_reason reason, bool redacted,
                      struct egress_image **images)
{
    struct error error;
    const uint8_t *jpeg;
    size_t bytes;
    if (picture_encode(gate->picture, box, (size_t)pipeline->config->images.max_bytes, &jpeg, &bytes, &error) != ERROR_NONE) {
        log_warning("%s: an image does not leave: %s", pipeline->config->name, error.message);
        atomic_fetch_add_explicit(&pipeline->images_withheld, 1, memory_order_relaxed);
        return;
    }
    struct egress_image *image = malloc(sizeof *image + bytes);
    if (image == NULL)
        return;
    *image = (struct egress_image){.next = *images, .reason = reason, .redacted = redacted, .bytes = bytes};
    memcpy(image->jpeg, jpeg, bytes);
    *images = image;
}

static int by_score(const void *one, const void *other)
{
    double difference = ((const struct object *)other)->score - ((const struct object *)one)->score;
    return difference > 0 ? 1 : difference < 0 ? -1 : 0;
}

static void add_crops(struct egress_gate *gate, struct pipeline *pipeline, enum egress_reason reason, bool redacted, struct egress_image **images)
{
    qsort(gate->objects, (size_t)gate->object_count, sizeof gate->objects[0], by_score);
    for (int i = 0; i < gate->object_count && i < EGRESS_CROPS_MAX; i++) {
        struct picture_box box = picture_grow(gate->picture, gate->objects[i].box, CROP_GROW);
        if (box.x1 > box.x0 && box.y1 > box.y0)
            add_image(gate, pipeline, box, reason, redacted, images);
    }
}

struct egress_image *egress_consider(struct egress_gate *gate, struct pipeline *pipeline, const struct predictor_input *input, const struct answer *answer)
{
    const struct config_pipeline *config = pipeline->config;
    struct egress_image *images = NULL;
    struct error error;
    enum egress_reason reason = answer->count > 0 && config->egress != EGRESS_RESULTS ? reason_for(pipeline, answer) : EGRESS_NOT;
    if (reason == EGRESS_NOT)
        return NULL;
    bool told = read_objects(gate, answer->text, answer->length), redacted;
    if ((!told && config->images.redact_count > 0) ||
        picture_open(gate->picture, input->bytes, input->length, config->input.max_pixels, &error) != ERROR_NONE ||
        redact(gate, config, &redacted, &error) != ERROR_NONE) {
        atomic_fetch_add_explicit(&pipeline->images_withheld, 1, memory_order_relaxed);
        return NULL;
    }
    if (config->egress == EGRESS_SNAPSHOTS)
        add_image(gate, pipeline, picture_whole(gate->picture), reason, redacted, &images);
    else if (told)
        add_crops(gate, pipeline, reason, redacted, &images);
    return images;
}
