/* SPDX-License-Identifier: Apache-2.0 */
#include "config/scalar.h"
#include "tests/check.h"

#include <stdbool.h>

static void sizes_have_binary_units(void)
{
    int64_t bytes;
    CHECK(scalar_read_size("0", &bytes) && bytes == 0);
    CHECK(scalar_read_size("4096", &bytes) && bytes == 4096);
    CHECK(scalar_read_size("128KiB", &bytes) && bytes == 131072);
    CHECK(scalar_read_size("8589934591GiB", &bytes) && bytes == 8589934591LL << 30);
    static const char *const bad[] = {"", "KiB", "1KB", "1 KiB", "1kib", "1.5MiB", "-1", "+1", "8589934592GiB", "9223372036854775808", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!scalar_read_size(bad[i], &bytes));
}

static void durations_need_a_unit_but_for_zero(void)
{
    int64_t us;
    CHECK(scalar_read_duration("0", &us) && us == 0);
    CHECK(scalar_read_duration("0ms", &us) && us == 0);
    CHECK(scalar_read_duration("250us", &us) && us == 250);
    CHECK(scalar_read_duration("200ms", &us) && us == 200000);
    CHECK(scalar_read_duration("10m", &us) && us == 600000000);
    CHECK(scalar_read_duration("7d", &us) && us == 7 * 86400000000LL);
    static const char *const bad[] = {"", "1", "s", "1 s", "1M", "1sec", "-1s", "1.5s", "99999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!scalar_read_duration(bad[i], &us));
}

static void numbers_are_finite_decimals(void)
{
    int64_t integer;
    double number;
    CHECK(scalar_read_integer("-12", &integer) && integer == -12);
    CHECK(!scalar_read_integer("1e3", &integer) && !scalar_read_integer("--1", &integer) && !scalar_read_integer("-", &integer));
    CHECK(scalar_read_number("-1.5e-3", &number) && number == -0.0015);
    static const char *const bad[] = {"", "nan", "inf", "0x1p3", "1e999", "1.2.3", "1,5", " 1", "e"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!scalar_read_number(bad[i], &number));
    CHECK(scalar_read_percent("1%", &number) && number == 0.01);
    CHECK(!scalar_read_percent("1", &number) && !scalar_read_percent("%", &number));
    CHECK(!scalar_read_percent("0000000000000000000000000000000000001%", &number));
}

static void what_is_written_is_read_back(void)
{
    static const int64_t values[] = {0, 1, 512, 1024, 1536, 1 << 20, 3LL << 30, 999999, 1000, 60000000, 3600000000LL, INT64_MAX};
    char text[SCALAR_TEXT_BYTES];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        int64_t back = -1;
        scalar_write_size(values[i], text);
        CHECK(scalar_read_size(text, &back) && back == values[i]);
        scalar_write_duration(values[i], text);
        CHECK(scalar_read_duration(text, &back) && back == values[i]);
    }
    scalar_write_size(1536, text);
    CHECK_TEXT(text, "1536");
    scalar_write_duration(90000000, text);
    CHECK_TEXT(text, "90s");
}

static void quotes_are_cut_between_characters(void)
{
    char quoted[SCALAR_QUOTE_BYTES];
    scalar_quote("a\nb\x7F", quoted);
    CHECK_TEXT(quoted, "a?b?");
    scalar_quote("0123456789012345678901234567890123456789", quoted);
    CHECK_TEXT(quoted, "0123456789012345678901234567890123456789");
    scalar_quote("012345678901234567890123456789012345678\xC3\xA4z", quoted);
    CHECK_TEXT(quoted, "012345678901234567890123456789012345678...");
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(sizes_have_binary_units), CASE(durations_need_a_unit_but_for_zero),
                                            CASE(numbers_are_finite_decimals), CASE(what_is_written_is_read_back),
                                            CASE(quotes_are_cut_between_characters), {0}});
}
