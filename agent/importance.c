/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/importance.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A quote inside a JSON string is escaped, so `"key":` cannot be part of one. */
static const char *find(const char *text, size_t length, const char *what)
{
    return memmem(text, length, what, strlen(what));
}

static bool begins(const char *text, size_t length, const char *what)
{
    return length >= strlen(what) && memcmp(text, what, strlen(what)) == 0;
}

size_t importance_find_value(const char *line, size_t length)
{
    static const char *const keys[] = {"\"result\":", "\"error\":{", "\"same-as\":"};
    const char *times = find(line, length, "\"us\":{"); /* the member before it: what comes earlier may be anybody's text */
    size_t from = times != NULL ? (size_t)(times - line) : 0;
    const char *first = NULL;
    for (int i = 0; i < 3; i++) {
        const char *at = find(line + from, length - from, keys[i]);
        if (at != NULL && (first == NULL || at < first))
            first = at;
    }
    return first != NULL ? (size_t)(first - line) : length;
}

static bool has_score_below(const char *text, size_t length, double low, bool all)
{
    static const char key[] = "\"score\":";
    const char *end = text + length;
    for (const char *at = find(text, length, key); at != NULL; at = find(at, (size_t)(end - at), key)) {
        char number[32] = "";
        at += sizeof key - 1;
        size_t rest = (size_t)(end - at);
        memcpy(number, at, rest < sizeof number - 1 ? rest : sizeof number - 1);
        if (strtod(number, NULL) < low)
            return true;
        if (!all)
            return false;
    }
    return false;
}

enum importance importance_of(const char *line, size_t length, double low_confidence)
{
    size_t from = importance_find_value(line, length);
    const char *value = line + from;
    size_t rest = length - from;
    if (begins(value, rest, "\"error\":"))
        return IMPORTANCE_ERROR;
    if (find(value, rest, "\"anomalous\":true") != NULL)
        return IMPORTANCE_ANOMALY;
    bool label = begins(value, rest, "\"result\":{\"label\":"), objects = begins(value, rest, "\"result\":{\"objects\":");
    return (label || objects) && has_score_below(value, rest, low_confidence, objects) ? IMPORTANCE_LOW_CONFIDENCE : IMPORTANCE_ORDINARY;
}
