/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/series_match.h"

#include <stdlib.h>
#include <string.h>

enum error_code series_pointer_parse(const char *text, struct series_pointer *pointer, struct error *error)
{
    size_t length = strlen(text), used = 0;
    *pointer = (struct series_pointer){0};
    if (length >= sizeof pointer->text || (length > 0 && text[0] != '/'))
        return error_set(error, ERROR_CONFIG, "field \"%.80s\": expected a JSON Pointer such as /values or /data/0/x", text);
    for (size_t i = 0; i < length;) {
        if (pointer->count == SERIES_SEGMENTS_MAX)
            return error_set(error, ERROR_CONFIG, "field \"%.80s\": more than %d levels", text, SERIES_SEGMENTS_MAX);
        char *start = pointer->text + used;
        for (i++; i < length && text[i] != '/'; i++) { /* ~1 stands for /, ~0 for ~ */
            bool escape = text[i] == '~' && i + 1 < length && (text[i + 1] == '0' || text[i + 1] == '1');
            pointer->text[used++] = escape ? (text[i + 1] == '0' ? '~' : '/') : text[i];
            i += escape;
        }
        size_t segment = (size_t)(pointer->text + used - start);
        pointer->segments[pointer->count] = start;
        pointer->lengths[pointer->count] = segment;
        pointer->indices[pointer->count] = -1;
        if (segment > 0 && segment < 10 && strspn(start, "0123456789") >= segment)
            pointer->indices[pointer->count] = strtol(start, NULL, 10);
        pointer->count++;
        pointer->text[used++] = '\0';
    }
    return ERROR_NONE;
}

void series_match_init(struct series_match *match, struct series *series, struct error *error)
{
    *match = (struct series_match){.series = series, .collecting = -1, .error = error};
}

static int pointer_count(const struct series *series)
{
    return series->fields + (series->pipeline->input.time_field != NULL);
}

void series_match_child(struct series_match *match, const char *key, size_t length, int64_t index)
{
    int level = match->depth - 1;
    for (int f = 0; f < pointer_count(match->series); f++) {
        const struct series_pointer *pointer = &match->series->pointers[f];
        if (match->matched[f] > level)
            match->matched[f] = level; /* the sibling before agreed; this one may not */
        if (match->matched[f] != level || level >= pointer->count)
            continue;
        bool agrees = key != NULL ? pointer->lengths[level] == length && memcmp(pointer->segments[level], key, length) == 0
                                  : pointer->indices[level] == index;
        match->matched[f] += agrees;
    }
}

/* Whether the value at hand is what the pointer names. */
static bool is_target(const struct series_match *match, int f)
{
    return match->matched[f] == match->series->pointers[f].count && match->depth == match->series->pointers[f].count;
}

static const char *field_name(const struct series *series, int f)
{
    return f < series->fields ? series->pipeline->input.fields[f] : series->pipeline->input.time_field;
}

enum error_code series_match_number(struct series_match *match, double value)
{
    struct series *series = match->series;
    if (match->collecting >= 0) {
        if (match->collecting == series->fields)
            return series_note_time(&series->columns, value, NULL, 0, match->error);
        return series_add(&series->columns, match->collecting, value, field_name(series, match->collecting), match->error);
    }
    for (int f = 0; f < pointer_count(series); f++) {
        if (!is_target(match, f))
            continue;
        if (f == series->fields)
            TRY(series_note_time(&series->columns, value, NULL, 0, match->error));
        else
            TRY(series_add(&series->columns, f, value, field_name(series, f), match->error));
    }
    return ERROR_NONE;
}

enum error_code series_match_text(struct series_match *match, const char *text, size_t length)
{
    struct series *series = match->series;
    bool time = series->pipeline->input.time_field != NULL && (match->collecting == series->fields || is_target(match, series->fields));
    if (time)
        return series_note_time(&series->columns, 0, text, length, match->error);
    return series_match_other(match, "text");
}

enum error_code series_match_other(struct series_match *match, const char *what)
{
    int f = match->collecting;
    for (int i = 0; f < 0 && i < pointer_count(match->series); i++)
        f = is_target(match, i) ? i : -1;
    if (f < 0)
        return ERROR_NONE;
    return error_set(match->error, ERROR_INPUT, "field %s holds %s, expected a number", field_name(match->series, f), what);
}

enum error_code series_match_enter(struct series_match *match, bool is_array)
{
    if (match->collecting >= 0)
        return series_match_other(match, is_array ? "an array in its array" : "an object");
    for (int f = 0; f < pointer_count(match->series); f++) {
        if (!is_target(match, f))
            continue;
        if (!is_array)
            return error_set(match->error, ERROR_INPUT, "field %s holds an object, expected a number or an array of numbers",
                             field_name(match->series, f));
        match->collecting = f;
        if (f < match->series->fields)
            match->series->columns.seen[f] = true;
    }
    if (match->depth == SERIES_DEPTH_MAX)
        return error_set(match->error, ERROR_INPUT, "nested more than %d deep", SERIES_DEPTH_MAX);
    match->depth++;
    return ERROR_NONE;
}

void series_match_leave(struct series_match *match)
{
    match->depth--;
    match->collecting = -1; /* only numbers lie in an array that is collected, so this is its end */
    for (int f = 0; f < pointer_count(match->series); f++) {
        if (match->matched[f] > match->depth)
            match->matched[f] = match->depth;
    }
}
