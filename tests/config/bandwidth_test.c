/* SPDX-License-Identifier: Apache-2.0
 *
 * Which limit holds when. Times are of Europe/Berlin, spelled out as a rule, so that no zone files are needed. */
#include "config/bandwidth.h"
#include "tests/check.h"
#include "tests/config/config_support.h"

#include <stdlib.h>

enum { KIB = 1024 };

static struct bandwidth_window window(const char *text)
{
    struct bandwidth_window window;
    CHECK(bandwidth_read(text, &window));
    return window;
}

/* 2026-11-23 is a Monday. */
static int64_t limit_at(const struct bandwidth_window *windows, int count, int day, int hour, int minute)
{
    struct tm local = {.tm_year = 126, .tm_mon = 10, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_isdst = -1};
    return bandwidth_at(windows, count, 7 * KIB, mktime(&local));
}

static void a_window_holds_from_its_first_minute_to_before_its_last_on_its_days(void)
{
    struct bandwidth_window office = window("mon-fri 08:00-18:00 64KiB");
    CHECK_INTEGER(limit_at(&office, 1, 23, 7, 59), 7 * KIB);
    CHECK_INTEGER(limit_at(&office, 1, 23, 8, 0), 64 * KIB);
    CHECK_INTEGER(limit_at(&office, 1, 27, 17, 59), 64 * KIB);
    CHECK_INTEGER(limit_at(&office, 1, 27, 18, 0), 7 * KIB);
    CHECK_INTEGER(limit_at(&office, 1, 28, 12, 0), 7 * KIB);
}

static void a_window_over_midnight_belongs_to_the_day_on_which_it_began(void)
{
    struct bandwidth_window night = window("fri-sun 22:00-06:00 unlimited");
    CHECK_INTEGER(limit_at(&night, 1, 27, 5, 0), 7 * KIB); /* Friday morning */
    CHECK_INTEGER(limit_at(&night, 1, 27, 22, 0), BANDWIDTH_UNLIMITED);
    CHECK_INTEGER(limit_at(&night, 1, 30, 5, 59), BANDWIDTH_UNLIMITED); /* Monday: Sunday's night */
    CHECK_INTEGER(limit_at(&night, 1, 30, 6, 0), 7 * KIB);
    CHECK_INTEGER(limit_at(&night, 1, 30, 23, 0), 7 * KIB);
}

static void the_first_window_that_holds_counts_and_days_may_be_listed(void)
{
    struct bandwidth_window windows[] = {window("sat,mon 12:00-13:00 none"), window("00:00-24:00 2MiB")};
    CHECK_INTEGER(limit_at(windows, 2, 23, 12, 30), BANDWIDTH_NONE);
    CHECK_INTEGER(limit_at(windows, 2, 24, 12, 30), 2 * KIB * KIB);
    CHECK_INTEGER(limit_at(windows, 2, 28, 12, 30), BANDWIDTH_NONE);
    CHECK_INTEGER(limit_at(windows, 0, 28, 12, 30), 7 * KIB);
}

static void times_are_local_ones_in_summer_too(void)
{
    struct bandwidth_window morning = window("08:00-09:00 none");
    time_t winter = 1768460400, summer = 1784091600; /* 2026-01-15 07:00 and 2026-07-15 05:00 UTC: 08:00 and 07:00 here */
    CHECK_INTEGER(bandwidth_at(&morning, 1, 1, winter), BANDWIDTH_NONE);
    CHECK_INTEGER(bandwidth_at(&morning, 1, 1, summer), 1);
    CHECK_INTEGER(bandwidth_at(&morning, 1, 1, summer + 3600), BANDWIDTH_NONE);
}

static void what_is_no_window_is_refused_with_what_was_expected(void)
{
    static const char *const bad[] = {"", "mon", "mon-fri", "mon-fri 08:00-18:00", "mon-fri 08:00-18:00 ", "mon 8:00-18:00 64KiB", "mon 08:00-25:00 64KiB",
                                      "mon 08:60-09:00 64KiB", "mon 24:01-09:00 64KiB", "mon 08:00-18:00 64", "mon 08:00-18:00 -1", "mo 08:00-18:00 64KiB",
                                      "mon, 08:00-18:00 64KiB", "mon- 08:00-18:00 64KiB", "08:00-18:00 64KiB x", "mon  08:00-18:00 64KiB"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bandwidth_window unused;
        if (bandwidth_read(bad[i], &unused))
            printf("taken: \"%s\"\n", bad[i]);
        CHECK(!bandwidth_read(bad[i], &unused));
    }
    CHECK_TEXT(support_report("upstream: { bandwidth_windows: [\"mon 8-18 none\"] }"),
               "eddy.yaml:1:33: upstream.bandwidth_windows is \"mon 8-18 none\", expected days, times and a limit, such as \"mon-fri 08:00-18:00 64KiB\", "
               "\"22:00-06:00 unlimited\" or \"sat,sun 00:00-24:00 none\"");
}

int main(int count, char **arguments)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return check_main(count, arguments, (struct check_case[]){
        CASE(a_window_holds_from_its_first_minute_to_before_its_last_on_its_days),
        CASE(a_window_over_midnight_belongs_to_the_day_on_which_it_began),
        CASE(the_first_window_that_holds_counts_and_days_may_be_listed),
        CASE(times_are_local_ones_in_summer_too),
        CASE(what_is_no_window_is_refused_with_what_was_expected),
        {0}});
}
