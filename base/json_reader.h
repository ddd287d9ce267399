/* SPDX-License-Identifier: Apache-2.0
 *
 * json_reader.h: reads JSON (RFC 8259) token by token, in place, without allocating.
 *
 * The reader walks bytes that somebody else wrote: it never reads past `length`, nests at most JSON_DEPTH_MAX deep and costs time
 * linear in the length. NaN, Infinity, comments and trailing commas are refused as the RFC does.
 *   struct json_reader reader;
 *   json_reader_init(&reader, bytes, length);
 *   while (json_next(&reader, &token)) ...          token.kind JSON_END comes last; json_failed() tells an error from the end.
 * Inside an object a key arrives as JSON_KEY, then its value. json_skip_value passes over the value that begins next.
 * Errors: `reader.problem` names what was found at byte `reader.at`; all further calls return false. */
#ifndef EDDY_BASE_JSON_READER_H
#define EDDY_BASE_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 64 };

enum json_kind {
    JSON_OBJECT_BEGIN, JSON_OBJECT_END, JSON_ARRAY_BEGIN, JSON_ARRAY_END,
    JSON_KEY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL, JSON_END
};

struct json_token {
    enum json_kind kind;
    const char *text; /* key and string: between the quotes, still escaped; number: its digits. Borrowed from the input */
    size_t length;
    bool escaped;     /* key and string: holds a backslash, see json_unescape */
    double number;
};

struct json_reader {
    const char *bytes;
    size_t length, at;
    const char *problem; /* static text; NULL while all is well */
    int depth;
    uint64_t in_object;  /* bit d: level d is an object */
    bool expect_value, after_value, after_key;
};

void json_reader_init(struct json_reader *reader, const char *bytes, size_t length);
bool json_next(struct json_reader *reader, struct json_token *token); /* false: failed, or JSON_END was given before */
bool json_skip_value(struct json_reader *reader);
bool json_failed(const struct json_reader *reader);

/* Writes the text of a key or string without its escapes as UTF-8; returns its length, or SIZE_MAX where it does not fit. Adds no NUL. */
size_t json_unescape(const struct json_token *token, char *text, size_t capacity);
bool json_text_equals(const struct json_token *token, const char *text);

#endif
