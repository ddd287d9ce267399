/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/repeat.h"

#include "agent/importance.h"

#include <math.h>
#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WAYS = 4, SETS = REPEAT_SOURCES_MAX / WAYS,
    RESULTS = 1024,             /* distinct ones that are remembered for references */
    TEXT_BYTES_MAX = 16 * 1024, /* longer results are never left out */
    REFERENCE_FROM_BYTES = 40,  /* shorter results cost no more than a reference */
};

struct source {
    XXH128_hash_t topic;
    int64_t sent_us;            /* 0: a free slot */
    int64_t unchanged;          /* left out since */
    char *text;
    size_t length, capacity;
};

struct result {
    XXH128_hash_t text;
    int64_t seq;                /* 0: a free slot */
};

struct repeat {
    const struct config_pipeline *pipeline;
    struct source *sources;     /* [SETS * WAYS]; NULL: every result is reported */
    struct result *results;     /* [RESULTS]; NULL: no references */
    struct {                    /* of the last choice */
        struct source *source;
        struct result *result;
        XXH128_hash_t topic, text_hash;
        const char *text;
        size_t length;
        int64_t seq, arrived_us;
        bool reference;
    } last;
};

enum error_code repeat_new(const struct config_pipeline *pipeline, struct repeat **repeat_out, struct error *error)
{
    *repeat_out = NULL;
    bool by_exception = pipeline->sink.on != REPORT_ALWAYS;
    if (!by_exception && !pipeline->sink.same_as)
        return ERROR_NONE;
    struct repeat *repeat = calloc(1, sizeof *repeat);
    if (repeat != NULL) {
        repeat->pipeline = pipeline;
        repeat->sources = by_exception ? calloc(SETS * WAYS, sizeof *repeat->sources) : NULL;
        repeat->results = pipeline->sink.same_as ? calloc(RESULTS, sizeof *repeat->results) : NULL;
    }
    if (repeat == NULL || (by_exception && repeat->sources == NULL) || (pipeline->sink.same_as && repeat->results == NULL)) {
        repeat_free(repeat);
        return error_set(error, ERROR_LIMIT, "no memory for what pipeline \"%s\" has sent", pipeline->name);
    }
    *repeat_out = repeat;
    return ERROR_NONE;
}

void repeat_free(struct repeat *repeat)
{
    if (repeat == NULL)
        return;
    for (int i = 0; repeat->sources != NULL && i < SETS * WAYS; i++)
        free(repeat->sources[i].text);
    free(repeat->sources);
    free(repeat->results);
    free(repeat);
}

static bool is_number_character(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Both at the first digit of a number; they end behind it. Numbers of eddy's own writing, so 31 characters hold them. */
static double read_number(const char **at, const char *end)
{
    char text[32];
    size_t length = 0;
    for (; *at < end && is_number_character(**at); (*at)++) {
        if (length < sizeof text - 1)
            text[length++] = **at;
    }
    text[length] = '\0';
    return strtod(text, NULL);
}

static bool is_same(const char *one, size_t one_length, const char *other, size_t other_length, double deadband)
{
    static const char key[] = "\"score\":";
    if (one_length == other_length && memcmp(one, other, one_length) == 0)
        return true;
    if (deadband <= 0)
        return false;
    const char *one_begin = one, *one_end = one + one_length, *other_end = other + other_length;
    while (one < one_end && other < other_end) {
        bool score = one - one_begin >= (ptrdiff_t)sizeof key - 1 && memcmp(one - (sizeof key - 1), key, sizeof key - 1) == 0;
        if (score && is_number_character(*one) && is_number_character(*other)) {
            if (fabs(read_number(&one, one_end) - read_number(&other, other_end)) > deadband)
                return false;
        } else if (*one++ != *other++) {
            return false;
        }
    }
    return one == one_end && other == other_end;
}

/* The topic's slot, or the one that it may take. */
static struct source *find_source(struct repeat *repeat, XXH128_hash_t topic)
{
    struct source *set = &repeat->sources[topic.low64 % SETS * WAYS], *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].sent_us != 0 && XXH128_isEqual(set[i].topic, topic))
            return &set[i];
        if (set[i].sent_us < oldest->sent_us)
            oldest = &set[i];
    }
    return oldest;
}

static bool may_be_left_out(const struct repeat *repeat, const struct source *source)
{
    const struct config_pipeline *pipeline = repeat->pipeline;
    bool known = source->sent_us != 0 && XXH128_isEqual(source->topic, repeat->last.topic);
    bool due = pipeline->sink.every_us > 0 && repeat->last.arrived_us - source->sent_us >= pipeline->sink.every_us;
    if (!known || due)
        return false;
    if (pipeline->sink.on == REPORT_INTERVAL)
        return importance_of(repeat->last.text, repeat->last.length, 0) == IMPORTANCE_ORDINARY;
    return source->length > 0 && is_same(source->text, source->length, repeat->last.text, repeat->last.length, pipeline->sink.deadband);
}

static void choose_report(struct repeat *repeat, const char *topic, struct repeat_choice *choice)
{
    repeat->last.topic = XXH3_128bits(topic, strlen(topic));
    struct source *source = repeat->last.source = find_source(repeat, repeat->last.topic);
    bool known = source->sent_us != 0 && XXH128_isEqual(source->topic, repeat->last.topic);
    if (may_be_left_out(repeat, source)) {
        choice->leave_out = true;
        source->unchanged++;
    } else if (known && source->unchanged > 0) {
        snprintf(choice->insert, sizeof choice->insert, "\"unchanged\":%lld,", (long long)source->unchanged);
    }
}

static void choose_reference(struct repeat *repeat, size_t value_at, struct repeat_choice *choice)
{
    static const char key[] = "\"result\":";
    repeat->last.result = NULL;
    if (repeat->last.length < REFERENCE_FROM_BYTES || memcmp(repeat->last.text, key, sizeof key - 1) != 0)
        return;
    repeat->last.text_hash = XXH3_128bits(repeat->last.text, repeat->last.length);
    struct result *result = repeat->last.result = &repeat->results[repeat->last.text_hash.low64 % RESULTS];
    if (result->seq == 0 || repeat->last.seq - result->seq > REPEAT_SEQS_MAX || !XXH128_isEqual(result->text, repeat->last.text_hash))
        return;
    repeat->last.reference = true;
    choice->keep = value_at;
    snprintf(choice->tail, sizeof choice->tail, "\"same-as\":%lld}", (long long)result->seq);
}

void repeat_choose(struct repeat *repeat, const char *topic, const char *line, size_t length, int64_t seq, int64_t arrived_us,
                   struct repeat_choice *choice_out)
{
    size_t value_at = importance_find_value(line, length);
    *choice_out = (struct repeat_choice){.keep = length};
    repeat->last.text = line + value_at;
    repeat->last.length = length - value_at;
    repeat->last.seq = seq;
    repeat->last.arrived_us = arrived_us;
    repeat->last.reference = false;
    if (repeat->sources != NULL)
        choose_report(repeat, topic, choice_out);
    if (repeat->results != NULL && !choice_out->leave_out)
        choose_reference(repeat, value_at, choice_out);
}

static void keep_text(struct source *source, const char *text, size_t length)
{
    source->length = 0;
    if (length > source->capacity && length <= TEXT_BYTES_MAX) {
        char *grown = realloc(source->text, length);
        if (grown == NULL)
            return; /* this source is reported once more than needed */
        source->text = grown;
        source->capacity = length;
    }
    if (length <= source->capacity) {
        memcpy(source->text, text, length);
        source->length = length;
    }
}

void repeat_sent(struct repeat *repeat)
{
    struct source *source = repeat->last.source;
    if (repeat->sources != NULL) {
        source->topic = repeat->last.topic;
        source->sent_us = repeat->last.arrived_us > 0 ? repeat->last.arrived_us : 1;
        source->unchanged = 0;
        keep_text(source, repeat->last.text, repeat->last.length);
    }
    if (repeat->results != NULL && repeat->last.result != NULL && !repeat->last.reference)
        *repeat->last.result = (struct result){repeat->last.text_hash, repeat->last.seq};
}

void repeat_forget_results(struct repeat *repeat)
{
    if (repeat != NULL && repeat->results != NULL)
        memset(repeat->results, 0, RESULTS * sizeof *repeat->results);
}
