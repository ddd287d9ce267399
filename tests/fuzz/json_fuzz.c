/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as JSON: every token lies inside the input, text without its escapes is UTF-8, and what was accepted is accepted again when it is
 * skipped as one value. */
#include "base/json_reader.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_token(const struct json_token *token, const char *bytes, size_t size)
{
    char plain[256];
    if (token->kind != JSON_KEY && token->kind != JSON_STRING && token->kind != JSON_NUMBER)
        return;
    if (token->text < bytes || token->text + token->length > bytes + size)
        abort();
    if (token->kind == JSON_NUMBER)
        return;
    size_t length = json_unescape(token, plain, sizeof plain);
    if (length != SIZE_MAX && (length > sizeof plain || !utf8_is_valid(plain, length)))
        abort();
    json_text_equals(token, "pipeline");
}

static bool read_all(const char *bytes, size_t size)
{
    struct json_reader reader;
    struct json_token token = {.kind = JSON_NULL};
    json_reader_init(&reader, bytes, size);
    size_t tokens = 0;
    while (json_next(&reader, &token)) {
        check_token(&token, bytes, size);
        if (++tokens > size + 1)
            abort();
    }
    if (json_failed(&reader) == (token.kind == JSON_END))
        abort();
    return !json_failed(&reader);
}

static bool skip_all(const char *bytes, size_t size)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, bytes, size);
    return json_skip_value(&reader) && json_next(&reader, &token) && token.kind == JSON_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (read_all((const char *)data, size) != skip_all((const char *)data, size))
        abort();
    return 0;
}
