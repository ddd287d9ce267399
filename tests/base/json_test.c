/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_reader.h"
#include "base/json_writer.h"

#include "tests/check.h"

#include <math.h>

/* Walks the whole text; returns the number of tokens, -1 where it is refused. */
static int walk(const char *text, size_t length)
{
    struct json_reader reader;
    struct json_token token;
    int tokens = 0;
    json_reader_init(&reader, text, length);
    while (json_next(&reader, &token)) {
        if (token.kind == JSON_END)
            return tokens;
        tokens++;
    }
    return -1;
}

static int walk_text(const char *text)
{
    return walk(text, strlen(text));
}

static void good_json_is_walked_to_its_end(void)
{
    CHECK_INTEGER(walk_text("{}"), 2);
    CHECK_INTEGER(walk_text(" [1, 2.5e3, -0, true, false, null, \"a\\u00fc\"] "), 9);
    CHECK_INTEGER(walk_text("{\"a\":{\"b\":[{}]},\"c\":1}"), 12);
    CHECK_INTEGER(walk_text("3"), 1);
}

static void bad_json_is_refused(void)
{
    static const char *const bad[] = {"",       "{",      "[1,]",  "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1 2]",   "01",
                                      "1.",     ".5",     "+1",    "NaN",     "[NaN]",    "Infinity",   "\"\x01\"", "\"\\x\"",
                                      "\"\\u12", "tru",    "[1]]",  "{1:2}",   "\"abc",    "1e",         "[,1]",    "\"\xff\"", "{} x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (walk_text(bad[i]) != -1)
            printf("accepted: %s\n", bad[i]);
        CHECK_INTEGER(walk_text(bad[i]), -1);
    }
}

static void ten_megabytes_of_brackets_cost_a_bounded_depth(void)
{
    size_t length = 10 << 20;
    char *text = malloc(length);
    CHECK(text != NULL);
    memset(text, '[', length);
    CHECK_INTEGER(walk(text, length), -1);
    free(text);
}

static void every_prefix_of_a_document_is_refused(void)
{
    static const char text[] = "{\"sensor\":\"7\",\"values\":[1.5,-2e-3,{\"deep\":[true,null]}],\"s\":\"\\ud83d\\ude00\"}";
    for (size_t length = 0; length < sizeof text - 1; length++)
        CHECK_INTEGER(walk(text, length), -1);
    CHECK(walk(text, sizeof text - 1) > 0);
}

static double number(const char *text)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, text, strlen(text));
    CHECK(json_next(&reader, &token));
    CHECK_INTEGER(token.kind, JSON_NUMBER);
    return token.number;
}

static void numbers_are_what_strtod_makes_of_them(void)
{
    static const char *const numbers[] = {"0", "-0", "1", "0.1", "123456789.125", "1e22", "1e23", "1.7976931348623157e308", "5e-324",
                                          "0.000123", "9007199254740993", "123456789012345678901234567890", "-3.0000e-5", "0.30000000000000004"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        CHECK(number(numbers[i]) == strtod(numbers[i], NULL));
}

static void escapes_become_utf8(void)
{
    struct json_reader reader;
    struct json_token token;
    const char *text = "\"a\\n\\u00fc\\ud83d\\ude00\\ud800\"";
    char plain[32];
    json_reader_init(&reader, text, strlen(text));
    CHECK(json_next(&reader, &token));
    size_t length = json_unescape(&token, plain, sizeof plain);
    CHECK_INTEGER(length, 11);
    CHECK(memcmp(plain, "a\n\xC3\xBC\xF0\x9F\x98\x80\xEF\xBF\xBD", 11) == 0);
    CHECK(json_unescape(&token, plain, 3) == SIZE_MAX);
}

static void skipping_a_value_passes_over_all_of_it(void)
{
    struct json_reader reader;
    struct json_token token;
    const char *text = "{\"skip\":[{\"x\":[1,2]},3],\"take\":4}";
    json_reader_init(&reader, text, strlen(text));
    CHECK(json_next(&reader, &token) && json_next(&reader, &token));
    CHECK(json_text_equals(&token, "skip") && json_skip_value(&reader));
    CHECK(json_next(&reader, &token) && json_text_equals(&token, "take"));
    CHECK(json_next(&reader, &token) && token.number == 4);
}

static void the_writer_writes_what_the_reader_reads(void)
{
    char buffer[256];
    struct json_writer writer;
    json_writer_init(&writer, buffer, sizeof buffer);
    json_object_begin(&writer);
    json_key(&writer, "a\"b");
    json_array_begin(&writer);
    json_integer(&writer, INT64_MIN);
    json_float(&writer, 0.25);
    json_float(&writer, NAN);
    json_string_bytes(&writer, "x\xff\n", 3);
    json_bool(&writer, true);
    json_array_end(&writer);
    json_key(&writer, "raw");
    json_raw(&writer, "{}", 2);
    json_object_end(&writer);
    CHECK(json_writer_finish(&writer));
    CHECK_TEXT(buffer, "{\"a\\\"b\":[-9223372036854775808,0.25,null,\"x\xEF\xBF\xBD\\u000a\",true],\"raw\":{}}");
    CHECK(walk(buffer, writer.length) > 0);
}

static void a_writer_without_room_says_so_and_stays_inside(void)
{
    for (size_t capacity = 0; capacity < 20; capacity++) {
        char buffer[32];
        struct json_writer writer;
        memset(buffer, '#', sizeof buffer);
        json_writer_init(&writer, buffer, capacity);
        json_string(&writer, "0123456789012345678901");
        CHECK(!json_writer_finish(&writer));
        for (size_t i = capacity; i < sizeof buffer; i++)
            CHECK_INTEGER(buffer[i], '#');
    }
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(good_json_is_walked_to_its_end), CASE(bad_json_is_refused), CASE(ten_megabytes_of_brackets_cost_a_bounded_depth),
        CASE(every_prefix_of_a_document_is_refused), CASE(numbers_are_what_strtod_makes_of_them), CASE(escapes_become_utf8),
        CASE(skipping_a_value_passes_over_all_of_it), CASE(the_writer_writes_what_the_reader_reads),
        CASE(a_writer_without_room_says_so_and_stays_inside), {0}});
}
