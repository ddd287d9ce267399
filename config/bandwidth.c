/* SPDX-License-Identifier: Apache-2.0 */
#include "config/bandwidth.h"

#include "config/scalar.h"

#include <string.h>

enum { DAYS = 7, DAY_MINUTES = 24 * 60, EVERY_DAY = (1 << DAYS) - 1, LIMIT_MIN = 1024 };

static bool read_day(const char **at, int *day_out)
{
    static const char names[DAYS][4] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
    for (int day = 0; day < DAYS; day++) {
        if (strncmp(*at, names[day], 3) == 0) {
            *at += 3;
            *day_out = day;
            return true;
        }
    }
    return false;
}

static bool read_days(const char **at, unsigned *days_out)
{
    *days_out = 0;
    for (;;) {
        int first, last;
        if (!read_day(at, &first))
            return false;
        last = first;
        if (**at == '-') {
            (*at)++;
            if (!read_day(at, &last))
                return false;
        }
        for (int day = first; *days_out |= 1u << day, day != last; day = (day + 1) % DAYS)
            ;
        if (**at != ',')
            break;
        (*at)++;
    }
    return *(*at)++ == ' ';
}

static bool read_two(const char *at, int most, int *number_out)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *number_out = (at[0] - '0') * 10 + at[1] - '0';
    return *number_out <= most;
}

/* "08:30", and "24:00" */
static bool read_time(const char **at, int *minutes_out)
{
    int hours, minutes;
    if (!read_two(*at, 24, &hours) || (*at)[2] != ':' || !read_two(*at + 3, 59, &minutes))
        return false;
    *at += 5;
    *minutes_out = hours * 60 + minutes;
    return *minutes_out <= DAY_MINUTES;
}

static bool read_limit(const char *text, int64_t *limit_out)
{
    if (strcmp(text, "unlimited") == 0 || strcmp(text, "none") == 0) {
        *limit_out = text[0] == 'u' ? BANDWIDTH_UNLIMITED : BANDWIDTH_NONE;
        return true;
    }
    return scalar_read_size(text, limit_out) && *limit_out >= LIMIT_MIN;
}

bool bandwidth_read(const char *text, struct bandwidth_window *window_out)
{
    struct bandwidth_window window = {.days = EVERY_DAY};
    const char *at = text;
    if ((*at < '0' || *at > '9') && !read_days(&at, &window.days))
        return false;
    if (!read_time(&at, &window.begin) || *at++ != '-' || !read_time(&at, &window.end) || *at++ != ' ' || !read_limit(at, &window.limit))
        return false;
    window.end += window.end <= window.begin ? DAY_MINUTES : 0;
    *window_out = window;
    return true;
}

int64_t bandwidth_at(const struct bandwidth_window *windows, int count, int64_t otherwise, time_t when)
{
    struct tm local;
    if (count == 0 || localtime_r(&when, &local) == NULL)
        return otherwise;
    int minute = local.tm_hour * 60 + local.tm_min, yesterday = (local.tm_wday + DAYS - 1) % DAYS;
    for (int i = 0; i < count; i++) {
        const struct bandwidth_window *window = &windows[i];
        bool today = (window->days >> local.tm_wday & 1) != 0 && minute >= window->begin && minute < window->end;
        bool since_yesterday = (window->days >> yesterday & 1) != 0 && minute + DAY_MINUTES < window->end;
        if (today || since_yesterday)
            return window->limit;
    }
    return otherwise;
}
