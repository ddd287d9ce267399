/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agreement.h"

#include "base/json_reader.h"

#include <math.h>
#include <string.h>

enum { OBJECTS_MAX = 256 };

#define OVERLAP_MIN 0.5
#define CERTAIN_SHARE (1.0 / 3)
#define RAW_TOLERANCE 0.05

struct text {
    const char *start;
    size_t length;
};

static bool same_text(struct text a, struct text b)
{
    return a.start != NULL && b.start != NULL && a.length == b.length && memcmp(a.start, b.start, a.length) == 0;
}

/* The value of a member of the outermost object: a text, or true and false as such. */
static struct text find_member(struct agreement_result result, const char *key)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, result.json, result.length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return (struct text){0};
    while (json_next(&reader, &token) && token.kind == JSON_KEY) {
        if (!json_text_equals(&token, key)) {
            if (!json_skip_value(&reader))
                break;
            continue;
        }
        if (!json_next(&reader, &token))
            break;
        if (token.kind == JSON_TRUE || token.kind == JSON_FALSE || token.kind == JSON_NULL)
            return (struct text){token.kind == JSON_TRUE ? "true" : token.kind == JSON_FALSE ? "false" : "null", token.kind == JSON_FALSE ? 5 : 4};
        return token.kind == JSON_STRING ? (struct text){token.text, token.length} : (struct text){0};
    }
    return (struct text){0};
}

static bool same_member(struct agreement_result left, struct agreement_result right, const char *key)
{
    return same_text(find_member(left, key), find_member(right, key));
}

struct object {
    struct text label;
    double score, box[4];
};

static bool read_box(struct json_reader *reader, double box[4])
{
    struct json_token token;
    if (!json_next(reader, &token) || token.kind != JSON_ARRAY_BEGIN)
        return false;
    for (int i = 0; i < 4; i++) {
        if (!json_next(reader, &token) || token.kind != JSON_NUMBER)
            return false;
        box[i] = token.number;
    }
    return json_next(reader, &token) && token.kind == JSON_ARRAY_END;
}

static bool read_object(struct json_reader *reader, struct object *object)
{
    struct json_token token;
    *object = (struct object){0};
    while (json_next(reader, &token) && token.kind == JSON_KEY) {
        bool label = json_text_equals(&token, "label"), score = json_text_equals(&token, "score");
        if (json_text_equals(&token, "box")) {
            if (!read_box(reader, object->box))
                return false;
        } else if (!label && !score) {
            if (!json_skip_value(reader))
                return false;
        } else if (!json_next(reader, &token)) {
            return false;
        } else if (label) {
            object->label = (struct text){token.text, token.length};
        } else {
            object->score = token.number;
        }
    }
    return token.kind == JSON_OBJECT_END;
}

/* How many objects; -1: not what task_write makes. More than fit are left out on both sides: the list is sorted by score. */
static int read_objects(struct agreement_result result, struct object *objects)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, result.json, result.length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN || !json_next(&reader, &token) || token.kind != JSON_KEY ||
        !json_text_equals(&token, "objects") || !json_next(&reader, &token) || token.kind != JSON_ARRAY_BEGIN)
        return -1;
    int count = 0;
    while (json_next(&reader, &token) && token.kind == JSON_OBJECT_BEGIN && count < OBJECTS_MAX) {
        if (!read_object(&reader, &objects[count++]))
            return -1;
    }
    return json_failed(&reader) ? -1 : count;
}

static double overlap(const double a[4], const double b[4])
{
    double width = fmin(a[2], b[2]) - fmax(a[0], b[0]), height = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    double common = width > 0 && height > 0 ? width * height : 0;
    double all = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common;
    return all > 0 ? common / all : 0;
}

static bool has_partner(const struct object *object, const struct object *others, int count)
{
    for (int i = 0; i < count; i++) {
        if (same_text(object->label, others[i].label) && overlap(object->box, others[i].box) >= OVERLAP_MIN)
            return true;
    }
    return false;
}

static bool all_have_partners(const struct object *objects, int count, const struct object *others, int other_count, double certain)
{
    for (int i = 0; i < count; i++) {
        if (objects[i].score >= certain && !has_partner(&objects[i], others, other_count))
            return false;
    }
    return true;
}

double agreement_certain(const struct manifest *manifest)
{
    double threshold = (double)manifest->output.threshold;
    return threshold + (1 - threshold) * CERTAIN_SHARE;
}

static bool same_objects(const struct manifest *manifest, struct agreement_result left, struct agreement_result right)
{
    struct object lefts[OBJECTS_MAX], rights[OBJECTS_MAX];
    int left_count = read_objects(left, lefts), right_count = read_objects(right, rights);
    double certain = agreement_certain(manifest);
    return left_count >= 0 && right_count >= 0 && all_have_partners(lefts, left_count, rights, right_count, certain) &&
           all_have_partners(rights, right_count, lefts, left_count, certain);
}

static double largest_number(struct agreement_result result)
{
    struct json_reader reader;
    struct json_token token;
    double largest = 0;
    json_reader_init(&reader, result.json, result.length);
    while (json_next(&reader, &token) && token.kind != JSON_END) {
        if (token.kind == JSON_NUMBER)
            largest = fmax(largest, fabs(token.number));
    }
    return largest;
}

static bool same_numbers(struct agreement_result left, struct agreement_result right)
{
    double tolerance = RAW_TOLERANCE * fmax(largest_number(left), largest_number(right));
    struct json_reader readers[2];
    struct json_token a, b;
    json_reader_init(&readers[0], left.json, left.length);
    json_reader_init(&readers[1], right.json, right.length);
    while (json_next(&readers[0], &a) && json_next(&readers[1], &b)) {
        if (a.kind == JSON_END || b.kind == JSON_END)
            return a.kind == b.kind;
        if (a.kind != b.kind || (a.kind == JSON_NUMBER && !(fabs(a.number - b.number) <= tolerance)))
            return false;
    }
    return false;
}

bool agreement_check(const struct manifest *manifest, struct agreement_result left, struct agreement_result right)
{
    switch (manifest->output.decode) {
    case DECODE_CLASSES: return same_member(left, right, "label");
    case DECODE_RECONSTRUCTION: return same_member(left, right, "anomalous");
    case DECODE_RAW: return same_numbers(left, right);
    default: return same_objects(manifest, left, right);
    }
}
