/* SPDX-License-Identifier: Apache-2.0
 *
 * Series messages in each format, good and bad, and the rules of windows: hop, normalisation, gaps, late samples (agent/input.h). */
#include "agent/input.h"
#include "tests/check.h"

#include <math.h>

enum { FIELDS_MOST = 4, WINDOW_MOST = 64, LATE_US = 1000 };

static struct error error;
static struct manifest manifest;
static struct config_pipeline pipeline;
static struct tensor tensor;
static struct input *input;
static float values[FIELDS_MOST * WINDOW_MOST];
static const char *names[FIELDS_MOST];
static int windows;
static struct series_leftover left;
static int64_t now_us;

static void *memory_or_fail(size_t bytes)
{
    void *memory = malloc(bytes);
    CHECK(memory != NULL);
    return memory;
}

/* Fields parted by blanks. */
static void begin(enum series_format format, const char *fields, int window, int hop)
{
    static char text[256];
    input_free(input);
    input = NULL;
    manifest = (struct manifest){.name = "m"};
    pipeline = (struct config_pipeline){.name = "p", .input = {.kind = INPUT_SERIES, .format = format, .fields = names, .window = window, .hop = hop,
                                                               .delimiter = ',', .header = format == SERIES_CSV}};
    snprintf(text, sizeof text, "%s", fields);
    char *rest = text;
    for (char *one; (one = strsep(&rest, " ")) != NULL; pipeline.input.field_count++)
        names[pipeline.input.field_count] = one;
    tensor = (struct tensor){.name = "x", .dtype = DTYPE_F32, .data = values, .shape = {.rank = 3, .dims = {1, window, pipeline.input.field_count}}};
    now_us = 1000000;
}

static void open_input(void)
{
    if (input == NULL)
        CHECK_OK(input_new(&pipeline, &manifest, &tensor, &input, &error), error);
}

static enum error_code push_bytes(const void *bytes, size_t length)
{
    open_input();
    error = (struct error){0};
    windows = -1;
    now_us += LATE_US;
    return input_series_push(input, "sensor/1", now_us, bytes, length, &windows, &left, &error);
}

static int push(const char *text)
{
    CHECK_OK(push_bytes(text, strlen(text)), error);
    return windows;
}

static const char *refusal_of(const void *bytes, size_t length)
{
    enum error_code code = push_bytes(bytes, length);
    CHECK_INTEGER(code, error.code);
    CHECK(code == ERROR_NONE || (!input_series_next(input, &tensor) && strlen(error.message) > 5));
    return code == ERROR_NONE ? "accepted" : error.message;
}

static const char *refusal(const char *text)
{
    return refusal_of(text, strlen(text));
}

#define CHECK_SAYS(seen, words)                                                         \
    do {                                                                                \
        const char *said_ = (seen);                                                     \
        if (strstr(said_, words) == NULL) {                                             \
            printf("%s:%d: \"%s\", expected \"...%s...\"\n", __FILE__, __LINE__, said_, words); \
            check_failed();                                                             \
        }                                                                               \
    } while (0)

static void check_window(const float *expected, int count)
{
    CHECK(input_series_next(input, &tensor));
    for (int i = 0; i < count; i++) {
        if (!(fabsf(values[i] - expected[i]) < 1e-5f))
            printf("number %d of the window is %g, expected %g\n", i, (double)values[i], (double)expected[i]);
        CHECK(fabsf(values[i] - expected[i]) < 1e-5f);
    }
}

static void json_fields_are_found_wherever_they_are_nested(void)
{
    begin(SERIES_JSON, "/data/0/ax /data/1/v /m~1s /a~0b", 1, 1);
    CHECK_INTEGER(push("{\"other\":[{\"ax\":9},1],\"data\":[{\"x\":{\"ax\":7},\"ax\":1.5},{\"v\":-2e1,\"ax\":8}],\"m/s\":3,\"a~b\":4}"), 1);
    check_window((float[]){1.5f, -20, 3, 4}, 4);
    begin(SERIES_JSON, "/ /\xC3\xA9/\xC3\xA9", 1, 1);
    CHECK_INTEGER(push("{\"\":1,\"\\u00e9\":{\"\xC3\xA9\":2}}"), 1);
    check_window((float[]){1, 2}, 2);
}

static void json_arrays_of_numbers_are_consecutive_samples(void)
{
    begin(SERIES_JSON, "/ax /ay", 3, 1);
    CHECK_INTEGER(push("{\"ax\":[1,2,3,4],\"ay\":[10,20,30,40]}"), 2);
    check_window((float[]){1, 10, 2, 20, 3, 30}, 6);
    check_window((float[]){2, 20, 3, 30, 4, 40}, 6);
    CHECK(!input_series_next(input, &tensor));
}

static void a_whole_document_may_be_the_field(void)
{
    begin(SERIES_JSON, "", 2, 2);
    pipeline.input.field_count = 1;
    CHECK_INTEGER(push("[4,5]"), 1);
    check_window((float[]){4, 5}, 2);
    CHECK_INTEGER(push("6"), 0);
    CHECK_INTEGER(push(" 7 "), 1);
    check_window((float[]){6, 7}, 2);
}

static void json_that_cannot_be_used_is_refused_in_words(void)
{
    begin(SERIES_JSON, "/ax /ay", 4, 4);
    CHECK_SAYS(refusal("{\"ax\":NaN,\"ay\":1}"), "not JSON");
    CHECK_SAYS(refusal("{\"ax\":Infinity,\"ay\":1}"), "not JSON");
    CHECK_SAYS(refusal("{\"ax\":1e39,\"ay\":1}"), "field /ax holds a number that no f32 holds");
    CHECK_SAYS(refusal("{\"ax\":1}"), "field /ay is missing");
    CHECK_SAYS(refusal("{}"), "field /ax is missing");
    CHECK_SAYS(refusal("{\"ax\":\"1\",\"ay\":1}"), "field /ax holds text, expected a number");
    CHECK_SAYS(refusal("{\"ax\":null,\"ay\":1}"), "field /ax holds null");
    CHECK_SAYS(refusal("{\"ax\":true,\"ay\":1}"), "field /ax holds true or false");
    CHECK_SAYS(refusal("{\"ax\":{\"v\":1},\"ay\":1}"), "field /ax holds an object");
    CHECK_SAYS(refusal("{\"ax\":[1,[2]],\"ay\":1}"), "field /ax holds an array in its array");
    CHECK_SAYS(refusal("{\"ax\":[1,2],\"ay\":1}"), "field /ax holds 2 numbers, field /ay 1");
    CHECK_SAYS(refusal(""), "not JSON: ends too early");
    CHECK_SAYS(refusal("{\"ax\":1,\"ay\":1"), "not JSON: ends too early");
    CHECK_SAYS(refusal("{\"ax\":1,\"ay\":1} x"), "not JSON");
    CHECK_SAYS(refusal("\xFF\xFE{}"), "not JSON");
    CHECK_SAYS(refusal_of("{\"ax\":1,\0\"ay\":1}", 17), "not JSON");
}

static void ten_megabytes_of_brackets_are_refused_at_the_64th(void)
{
    size_t length = 10 << 20;
    char *brackets = memory_or_fail(length);
    begin(SERIES_JSON, "/ax", 1, 1);
    memset(brackets, '[', length);
    CHECK_SAYS(refusal_of(brackets, length), "deep");
    begin(SERIES_CBOR, "/ax", 1, 1);
    memset(brackets, 0x81, length);
    CHECK_SAYS(refusal_of(brackets, length), "deep");
    memset(brackets, 0xC1, length); /* tags within tags */
    CHECK_SAYS(refusal_of(brackets, length), "not CBOR");
    begin(SERIES_CSV, "ax", 1, 1);
    memset(brackets, ',', length);
    CHECK_SAYS(refusal_of(brackets, length), "columns");
    memset(brackets, '"', length);
    CHECK_SAYS(refusal_of(brackets, length), "bytes");
    free(brackets);
}

static void a_key_too_long_to_be_a_field_is_passed_over(void)
{
    char text[8000] = "{\"ax\":1,\"";
    begin(SERIES_JSON, "/ax", 1, 1);
    for (int i = 0; i < 600; i++)
        strcat(text, "\\u00e9");
    strcat(text, "\":2}");
    CHECK_INTEGER(push(text), 1);
    check_window((float[]){1}, 1);
}

static void more_samples_than_a_message_may_carry_are_refused(void)
{
    size_t most = 1 << 18, length = 0;
    char *text = memory_or_fail(4 * most + 64);
    begin(SERIES_JSON, "/ax", 4, 4);
    length += (size_t)sprintf(text, "{\"ax\":[1");
    for (size_t i = 0; i < most; i++, length += 2)
        memcpy(text + length, ",1", 2);
    length += (size_t)sprintf(text + length, "]}");
    CHECK_SAYS(refusal_of(text, length), "more than 262144 samples in one message");
    CHECK_INTEGER(error.code, ERROR_LIMIT);
    free(text);
}

static void csv_columns_are_found_by_name_or_number(void)
{
    begin(SERIES_CSV, "ay ax", 2, 2);
    CHECK_INTEGER(push("t,ax,\"ay\",note\r\n1,2,3,\"a, \"\"b\"\"\"\r\n\r\n4, 5 ,-6e-1,x"), 1);
    check_window((float[]){3, 2, -0.6f, 5}, 4);
    begin(SERIES_CSV, "#3 #1", 1, 1);
    pipeline.input.header = false;
    pipeline.input.delimiter = ';';
    CHECK_INTEGER(push("1;2;3\n4;5;\"6\"\n"), 2);
    check_window((float[]){3, 1}, 2);
    check_window((float[]){6, 4}, 2);
}

static void csv_that_cannot_be_used_is_refused_in_words(void)
{
    begin(SERIES_CSV, "ax ay", 4, 4);
    CHECK_SAYS(refusal(""), "no column named ax");
    CHECK_SAYS(refusal("ax,az\n1,2\n"), "no column named ay");
    CHECK_SAYS(refusal("ax,ay\n1\n"), "line 2: 1 columns, too few");
    CHECK_SAYS(refusal("ax,ay\n1,2\n3,\n"), "line 3: column ay holds \"\", expected a number");
    CHECK_SAYS(refusal("ax,ay\n1,abc\n"), "holds \"abc\"");
    CHECK_SAYS(refusal("ax,ay\n1,0x10\n"), "holds \"0x10\"");
    CHECK_SAYS(refusal("ax,ay\n1,nan\n"), "holds \"nan\"");
    CHECK_SAYS(refusal("ax,ay\n1,1e99\n"), "no f32 holds");
    CHECK_SAYS(refusal("ax,ay\n1,\"2\"3\n"), "text after a closing quote");
    CHECK_SAYS(refusal("ax,ay\n1,\"2\n"), "line 2: a quote that is not closed");
    CHECK_SAYS(refusal("ax,ay\r1,2\r"), "a carriage return alone");
    CHECK_SAYS(refusal("ax,ay\n"), "field ax is missing");
    CHECK_SAYS(refusal_of("ax,ay\n1,\0002\n", 11), "a byte 0");
}

static void cbor_of_all_lengths_and_numbers_is_read(void)
{
    begin(SERIES_CBOR, "/a /b /c", 1, 1);
    /* {"a": 1.5 (half), "b": 1.1 (double), "c": -500} and, open-ended, {"a": [7], "b": tag 1 (250), "c": 2.0 (single)} */
    static const uint8_t definite[] = {0xa3, 0x61, 'a', 0xf9, 0x3e, 0x00, 0x61, 'b', 0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a,
                                       0x61, 'c', 0x39, 0x01, 0xf3};
    static const uint8_t open[] = {0xbf, 0x61, 'a', 0x9f, 0x07, 0xff, 0x61, 'b', 0xc1, 0x18, 0xfa, 0x61, 'x', 0x7f, 0x61, 'y', 0xff,
                                   0x61, 'c', 0xfa, 0x40, 0x00, 0x00, 0x00, 0xff};
    CHECK_OK(push_bytes(definite, sizeof definite), error);
    check_window((float[]){1.5f, 1.1f, -500}, 3);
    const char *said = refusal_of(open, sizeof open); /* a string in chunks is none that eddy takes for text, whatever its place */
    CHECK(strcmp(said, "accepted") != 0 || windows == 1);
    static const uint8_t plain_open[] = {0xbf, 0x61, 'a', 0x9f, 0x07, 0xff, 0x61, 'b', 0xc1, 0x18, 0xfa, 0x61, 'c', 0xfa, 0x40, 0, 0, 0, 0xff};
    CHECK_OK(push_bytes(plain_open, sizeof plain_open), error);
    check_window((float[]){7, 250, 2}, 3);
}

static void cbor_that_cannot_be_used_is_refused_in_words(void)
{
    begin(SERIES_CBOR, "/a", 4, 4);
    CHECK_SAYS(refusal_of("", 0), "not CBOR: ends too early");
    CHECK_SAYS(refusal_of("\xa1\x61\x61", 3), "ends too early");
    CHECK_SAYS(refusal_of("\xa1\x61\x61\x01\x00", 5), "bytes after the value");
    CHECK_SAYS(refusal_of("\xa1\x61\x61\xff", 4), "not CBOR");
    CHECK_SAYS(refusal_of("\xff", 1), "break outside a container");
    CHECK_SAYS(refusal_of("\x1c", 1), "not CBOR");
    CHECK_SAYS(refusal_of("\xa1\x61\x61\xf9\x7e\x00", 6), "no f32 holds"); /* NaN */
    CHECK_SAYS(refusal_of("\xa1\x61\x61\xf6", 4), "holds null");
    CHECK_SAYS(refusal_of("\xa1\x61\x61\x41\x00", 5), "holds bytes");
    CHECK_SAYS(refusal_of("\xa1\x81\x01\x01", 4), "a container as a key");
    CHECK_SAYS(refusal_of("\x9b\xff\xff\xff\xff\xff\xff\xff\xf0", 9), "not CBOR"); /* 2^64 - 16 items */
    CHECK_SAYS(refusal_of("\x5b\x7f\xff\xff\xff\xff\xff\xff\xff", 9), "not CBOR"); /* so many bytes */
}

static void f32le_is_interleaved_and_whole(void)
{
    static const float numbers[] = {1, 10, 2, 20};
    static const uint32_t infinite[] = {0x7f800000, 0};
    begin(SERIES_F32LE, "x y", 2, 2);
    CHECK_OK(push_bytes(numbers, sizeof numbers), error);
    check_window((float[]){1, 10, 2, 20}, 4);
    CHECK_SAYS(refusal_of(numbers, 7), "7 bytes");
    CHECK_SAYS(refusal_of(numbers, 12), "12 bytes");
    CHECK_SAYS(refusal_of(infinite, sizeof infinite), "no f32 holds");
    CHECK(strcmp(refusal_of(numbers, 0), "accepted") != 0);
}

static void windows_advance_by_the_hop(void)
{
    begin(SERIES_F32LE, "x", 4, 2);
    float sample = 0;
    int made[10];
    for (int i = 0; i < 10; i++, sample++) {
        CHECK_OK(push_bytes(&sample, sizeof sample), error);
        made[i] = windows;
        if (windows == 1)
            check_window((float[]){sample - 3, sample - 2, sample - 1, sample}, 4);
    }
    CHECK(memcmp(made, (int[]){0, 0, 0, 1, 0, 1, 0, 1, 0, 1}, sizeof made) == 0);
    static const float many[] = {10, 11, 12, 13, 14};
    CHECK_OK(push_bytes(many, sizeof many), error);
    CHECK_INTEGER(windows, 2);
    check_window((float[]){8, 9, 10, 11}, 4);
    check_window((float[]){10, 11, 12, 13}, 4);
}

static void each_source_has_its_own_window(void)
{
    float a = 1, b = 100;
    begin(SERIES_F32LE, "x", 2, 2);
    open_input();
    CHECK_OK(input_series_push(input, "a", 1, (uint8_t *)&a, sizeof a, &windows, &left, &error), error);
    CHECK_OK(input_series_push(input, "b", 2, (uint8_t *)&b, sizeof b, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 0);
    CHECK_OK(input_series_push(input, "a", 3, (uint8_t *)&a, sizeof a, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 1);
    check_window((float[]){1, 1}, 2);
}

static void beyond_the_most_sources_the_one_silent_longest_makes_room(void)
{
    char name[32];
    float one = 1;
    begin(SERIES_F32LE, "x", 2, 2);
    open_input();
    for (int i = 0; i <= INPUT_SOURCES_MAX; i++) {
        snprintf(name, sizeof name, "sensor/%d", i);
        CHECK_OK(input_series_push(input, name, 10 + i, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
        CHECK_INTEGER(windows, 0);
    }
    CHECK_OK(input_series_push(input, "sensor/1", 5000, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 1); /* still there */
    CHECK_OK(input_series_push(input, "sensor/0", 5001, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 0); /* was dropped */
}

static void numbers_are_normalised_and_quantised_in_the_tensors_order(void)
{
    static float mean[] = {10, 100}, std[] = {2, 4}, scale = 0.5f;
    static int32_t zero = -1;
    static const float numbers[] = {12, 104, 8, 92, 10, 100};
    begin(SERIES_F32LE, "x y", 3, 3);
    manifest.input.fields = 2;
    manifest.input.normalize_mean = mean;
    manifest.input.normalize_std = std;
    CHECK_OK(push_bytes(numbers, sizeof numbers), error);
    check_window((float[]){1, 1, -1, -2, 0, 0}, 6);
    size_t floats;
    CHECK(memcmp(input_series_window(input, &floats), numbers, sizeof numbers) == 0);
    CHECK_INTEGER(floats, 6);
    begin(SERIES_F32LE, "x y", 3, 3);
    tensor.shape = (struct shape){.rank = 3, .dims = {1, 2, 3}};
    CHECK_OK(push_bytes(numbers, sizeof numbers), error);
    check_window((float[]){12, 8, 10, 104, 92, 100}, 6);
    begin(SERIES_F32LE, "x y", 3, 3);
    tensor.dtype = DTYPE_I8;
    tensor.quantization = (struct quantization){.count = 1, .scale = &scale, .zero_point = &zero};
    CHECK_OK(push_bytes(numbers, sizeof numbers), error);
    CHECK(input_series_next(input, &tensor));
    CHECK(memcmp(values, (int8_t[]){23, 127, 15, 127, 19, 127}, 6) == 0);
}

static void silence_longer_than_the_gap_empties_the_window(void)
{
    float one = 1;
    begin(SERIES_F32LE, "x", 2, 2);
    pipeline.input.gap_us = 500;
    open_input();
    CHECK_OK(input_series_push(input, "s", 10000, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
    CHECK_OK(input_series_push(input, "s", 10501, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 0);
    CHECK_OK(input_series_push(input, "s", 11001, (uint8_t *)&one, sizeof one, &windows, &left, &error), error);
    CHECK_INTEGER(windows, 1); /* 500 us are no gap */
}

static void gaps_and_late_samples_go_by_the_samples_own_time(void)
{
    begin(SERIES_JSON, "/x", 2, 2);
    pipeline.input.time_field = "/t";
    pipeline.input.gap_us = 2000000;
    CHECK_INTEGER(push("{\"x\":1,\"t\":\"2026-11-23T14:05:31.5Z\"}"), 0);
    CHECK_SAYS(refusal("{\"x\":2,\"t\":\"2026-11-23T15:05:31.4+01:00\"}"), "late: a sample is 100000 us older");
    CHECK_INTEGER(push("{\"x\":2,\"t\":1795442732.5}"), 1); /* a second on; the late one left no trace */
    check_window((float[]){1, 2}, 2);
    CHECK_INTEGER(push("{\"x\":3,\"t\":1795442733500}"), 0);
    CHECK_INTEGER(push("{\"x\":4,\"t\":1795442736500000}"), 0); /* three seconds on: the window begins anew */
    CHECK_INTEGER(push("{\"x\":[5],\"t\":[1795442737000]}"), 1);
    check_window((float[]){4, 5}, 2);
    CHECK_SAYS(refusal("{\"x\":1}"), "time field /t is missing");
    CHECK_SAYS(refusal("{\"x\":1,\"t\":\"yesterday\"}"), "expected RFC 3339");
    CHECK_SAYS(refusal("{\"x\":1,\"t\":1e300}"), "time 1e+300 is out of range");
    CHECK_SAYS(refusal("{\"x\":[1,2],\"t\":[1795442740,1795442739]}"), "run backwards");
}

static void a_message_that_is_refused_leaves_the_window_as_it_was(void)
{
    begin(SERIES_JSON, "/x", 3, 3);
    CHECK_INTEGER(push("{\"x\":[1,2]}"), 0);
    CHECK_SAYS(refusal("{\"x\":[7,8,\"9\"]}"), "text");
    CHECK_SAYS(refusal("{\"x\":[7,8,9]"), "not JSON");
    CHECK_INTEGER(push("{\"x\":3}"), 1);
    check_window((float[]){1, 2, 3}, 3);
}

static void a_pipeline_that_does_not_fit_the_model_is_refused(void)
{
    begin(SERIES_F32LE, "x y", 4, 4);
    tensor.shape.dims[1] = 5;
    CHECK_INTEGER(input_new(&pipeline, &manifest, &tensor, &input, &error), ERROR_CONFIG);
    CHECK_SAYS(error.message, "windows of 4 x 2 numbers");
    begin(SERIES_F32LE, "x y", 4, 4);
    manifest.input.fields = 3;
    CHECK_INTEGER(input_new(&pipeline, &manifest, &tensor, &input, &error), ERROR_CONFIG);
    begin(SERIES_F32LE, "x y", 4, 4);
    tensor.dtype = DTYPE_I64;
    CHECK_INTEGER(input_new(&pipeline, &manifest, &tensor, &input, &error), ERROR_CONFIG);
    CHECK_SAYS(error.message, "type i64");
    begin(SERIES_JSON, "x", 4, 4);
    CHECK_INTEGER(input_new(&pipeline, &manifest, &tensor, &input, &error), ERROR_CONFIG);
    CHECK_SAYS(error.message, "expected a JSON Pointer");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(json_fields_are_found_wherever_they_are_nested), CASE(json_arrays_of_numbers_are_consecutive_samples), CASE(a_whole_document_may_be_the_field),
        CASE(json_that_cannot_be_used_is_refused_in_words), CASE(ten_megabytes_of_brackets_are_refused_at_the_64th),
        CASE(a_key_too_long_to_be_a_field_is_passed_over), CASE(more_samples_than_a_message_may_carry_are_refused),
        CASE(csv_columns_are_found_by_name_or_number), CASE(csv_that_cannot_be_used_is_refused_in_words), CASE(cbor_of_all_lengths_and_numbers_is_read),
        CASE(cbor_that_cannot_be_used_is_refused_in_words), CASE(f32le_is_interleaved_and_whole), CASE(windows_advance_by_the_hop),
        CASE(each_source_has_its_own_window), CASE(beyond_the_most_sources_the_one_silent_longest_makes_room),
        CASE(numbers_are_normalised_and_quantised_in_the_tensors_order), CASE(silence_longer_than_the_gap_empties_the_window),
        CASE(gaps_and_late_samples_go_by_the_samples_own_time), CASE(a_message_that_is_refused_leaves_the_window_as_it_was),
        CASE(a_pipeline_that_does_not_fit_the_model_is_refused), {0}});
}
