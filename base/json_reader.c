/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_reader.h"

#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

void json_reader_init(struct json_reader *reader, const char *bytes, size_t length)
{
    *reader = (struct json_reader){.bytes = bytes, .length = length, .expect_value = true};
}

bool json_failed(const struct json_reader *reader)
{
    return reader->problem != NULL;
}

static bool fail(struct json_reader *reader, const char *problem)
{
    reader->problem = problem;
    return false;
}

static void skip_space(struct json_reader *reader)
{
    while (reader->at < reader->length) {
        char c = reader->bytes[reader->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        reader->at++;
    }
}

static bool inside_object(const struct json_reader *reader)
{
    return reader->depth > 0 && (reader->in_object >> (reader->depth - 1) & 1) != 0;
}

static bool is_hex4(const char *text)
{
    for (int i = 0; i < 4; i++) {
        char c = text[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return false;
    }
    return true;
}

static bool read_string(struct json_reader *reader, struct json_token *token)
{
    size_t start = ++reader->at;
    token->escaped = false;
    while (reader->at < reader->length) {
        unsigned char c = (unsigned char)reader->bytes[reader->at];
        if (c == '"') {
            token->text = reader->bytes + start;
            token->length = reader->at++ - start;
            return true;
        }
        if (c < 0x20)
            return fail(reader, "control character in a string");
        if (c == '\\') {
            size_t left = reader->length - reader->at;
            char escape = left >= 2 ? reader->bytes[reader->at + 1] : '\0';
            if (escape == '\0' || strchr("\"\\/bfnrtu", escape) == NULL)
                return fail(reader, "bad escape in a string");
            if (escape == 'u' && (left < 6 || !is_hex4(reader->bytes + reader->at + 2)))
                return fail(reader, "bad \\u escape in a string");
            token->escaped = true;
            reader->at += escape == 'u' ? 6 : 2;
        } else if (c < 0x80) {
            reader->at++;
        } else {
            size_t sequence = utf8_sequence_length(reader->bytes + reader->at, reader->length - reader->at);
            if (sequence == 0)
                return fail(reader, "a string that is not UTF-8");
            reader->at += sequence;
        }
    }
    return fail(reader, "string without an end");
}

enum { NUMBER_LENGTH_MAX = 63 }; /* a double needs 24; longer ones are no readings */

static bool is_digit(const struct json_reader *reader, size_t at)
{
    return at < reader->length && reader->bytes[at] >= '0' && reader->bytes[at] <= '9';
}

/* Up to 19 significant digits fit a uint64_t and 10^22 is exact in a double, so ordinary readings never reach strtod (Clinger 1990). */
static double fast_or_exact(const char *text, size_t length, uint64_t mantissa, int digits, int exponent, bool negative)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (digits <= 19 && mantissa <= (1ull << 53) && exponent >= -22 && exponent <= 22) {
        double value = (double)mantissa;
        value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
        return negative ? -value : value;
    }
    char copy[NUMBER_LENGTH_MAX + 1];
    memcpy(copy, text, length);
    copy[length] = '\0';
    return strtod(copy, NULL);
}

static bool read_number(struct json_reader *reader, struct json_token *token)
{
    size_t start = reader->at, at = start;
    bool negative = reader->bytes[at] == '-';
    if (negative)
        at++;
    if (!is_digit(reader, at))
        return fail(reader, "expected a number");
    uint64_t mantissa = 0;
    int digits = 0, exponent = 0;
    if (reader->bytes[at] == '0') {
        at++;
    } else {
        for (; is_digit(reader, at); at++, digits++)
            mantissa = digits < 19 ? mantissa * 10 + (uint64_t)(reader->bytes[at] - '0') : mantissa;
    }
    if (at < reader->length && reader->bytes[at] == '.') {
        at++;
        if (!is_digit(reader, at))
            return fail(reader, "number without digits after its point");
        for (; is_digit(reader, at); at++, digits += mantissa > 0 || reader->bytes[at - 1] != '0') {
            if (digits < 19) {
                mantissa = mantissa * 10 + (uint64_t)(reader->bytes[at] - '0');
                exponent--;
            }
        }
    }
    if (at < reader->length && (reader->bytes[at] == 'e' || reader->bytes[at] == 'E')) {
        at++;
        bool below_zero = at < reader->length && reader->bytes[at] == '-';
        if (at < reader->length && (reader->bytes[at] == '-' || reader->bytes[at] == '+'))
            at++;
        if (!is_digit(reader, at))
            return fail(reader, "number without digits in its exponent");
        int power = 0;
        for (; is_digit(reader, at); at++)
            power = power < 10000 ? power * 10 + (reader->bytes[at] - '0') : power;
        exponent += below_zero ? -power : power;
    }
    token->text = reader->bytes + start;
    token->length = at - start;
    if (token->length > NUMBER_LENGTH_MAX)
        return fail(reader, "number of more than 63 characters");
    token->number = fast_or_exact(token->text, token->length, mantissa, digits, exponent, negative);
    reader->at = at;
    return true;
}

static bool read_word(struct json_reader *reader, const char *word)
{
    size_t length = strlen(word);
    if (reader->length - reader->at < length || memcmp(reader->bytes + reader->at, word, length) != 0)
        return fail(reader, "expected a value");
    reader->at += length;
    return true;
}

static bool open_level(struct json_reader *reader, bool object)
{
    if (reader->depth == JSON_DEPTH_MAX)
        return fail(reader, "nested too deeply");
    uint64_t bit = 1ull << reader->depth;
    reader->in_object = object ? reader->in_object | bit : reader->in_object & ~bit;
    reader->depth++;
    reader->at++;
    reader->expect_value = false;
    reader->after_value = false;
    return true;
}

static bool read_value(struct json_reader *reader, struct json_token *token)
{
    char c = reader->bytes[reader->at];
    reader->expect_value = false;
    reader->after_key = false;
    reader->after_value = true;
    switch (c) {
    case '{': token->kind = JSON_OBJECT_BEGIN; return open_level(reader, true);
    case '[': token->kind = JSON_ARRAY_BEGIN; return open_level(reader, false);
    case '"': token->kind = JSON_STRING; return read_string(reader, token);
    case 't': token->kind = JSON_TRUE; return read_word(reader, "true");
    case 'f': token->kind = JSON_FALSE; return read_word(reader, "false");
    case 'n': token->kind = JSON_NULL; return read_word(reader, "null");
    default: token->kind = JSON_NUMBER; return read_number(reader, token);
    }
}

static bool read_key(struct json_reader *reader, struct json_token *token)
{
    if (reader->bytes[reader->at] != '"')
        return fail(reader, "expected a key in quotes");
    token->kind = JSON_KEY;
    if (!read_string(reader, token))
        return false;
    skip_space(reader);
    if (reader->at >= reader->length || reader->bytes[reader->at] != ':')
        return fail(reader, "expected ':' after a key");
    reader->at++;
    reader->after_key = true;
    reader->after_value = false;
    return true;
}

bool json_next(struct json_reader *reader, struct json_token *token)
{
    if (reader->problem != NULL)
        return false;
    skip_space(reader);
    if (reader->depth == 0 && !reader->expect_value) {
        if (reader->at < reader->length)
            return fail(reader, "bytes after the value");
        if (!reader->after_value)
            return false;
        reader->after_value = false;
        token->kind = JSON_END;
        return true;
    }
    if (reader->at >= reader->length)
        return fail(reader, "ends too early");
    if (reader->expect_value || reader->after_key)
        return read_value(reader, token);

    bool object = inside_object(reader);
    char c = reader->bytes[reader->at];
    if (c == (object ? '}' : ']')) {
        token->kind = object ? JSON_OBJECT_END : JSON_ARRAY_END;
        reader->at++;
        reader->depth--;
        reader->after_value = true;
        return true;
    }
    if (reader->after_value) {
        if (c != ',')
            return fail(reader, "expected ',' or a closing bracket");
        reader->at++;
        skip_space(reader);
        if (reader->at >= reader->length)
            return fail(reader, "ends too early");
    }
    return object ? read_key(reader, token) : read_value(reader, token);
}

bool json_skip_value(struct json_reader *reader)
{
    struct json_token token;
    if (!json_next(reader, &token))
        return false;
    if (token.kind != JSON_OBJECT_BEGIN && token.kind != JSON_ARRAY_BEGIN)
        return true;
    int outer = reader->depth - 1;
    while (reader->depth > outer) {
        if (!json_next(reader, &token))
            return false;
    }
    return true;
}

static uint32_t hex4(const char *text)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = text[i];
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* One \u escape, or a surrogate pair of two; a lone surrogate becomes U+FFFD. */
static uint32_t unescape_point(const char *text, size_t length, size_t *used)
{
    uint32_t point = hex4(text + 2);
    *used = 6;
    if (point < 0xD800 || point > 0xDFFF)
        return point;
    if (point < 0xDC00 && length >= 12 && text[6] == '\\' && text[7] == 'u') {
        uint32_t low = hex4(text + 8);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *used = 12;
            return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return 0xFFFD;
}

static size_t put_utf8(uint32_t point, char out[4])
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = count; i-- > 1; point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3F));
    out[0] = (char)(leads[count] | point);
    return count;
}

size_t json_unescape(const struct json_token *token, char *text, size_t capacity)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t written = 0;
    for (size_t at = 0; at < token->length;) {
        char piece[4];
        size_t count = 1;
        if (token->text[at] != '\\') {
            piece[0] = token->text[at++];
        } else if (token->text[at + 1] == 'u') {
            size_t used;
            count = put_utf8(unescape_point(token->text + at, token->length - at, &used), piece);
            at += used;
        } else {
            piece[0] = values[strchr(names, token->text[at + 1]) - names];
            at += 2;
        }
        if (count > capacity - written)
            return SIZE_MAX;
        memcpy(text + written, piece, count);
        written += count;
    }
    return written;
}

bool json_text_equals(const struct json_token *token, const char *text)
{
    size_t length = strlen(text);
    if (!token->escaped)
        return token->length == length && memcmp(token->text, text, length) == 0;
    char plain[256];
    size_t unescaped = json_unescape(token, plain, sizeof plain);
    return unescaped == length && memcmp(plain, text, length) == 0;
}
