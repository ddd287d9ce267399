/* SPDX-License-Identifier: Apache-2.0
 *
 * A sample's own time, in microseconds. */
#include "agent/series.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Days since 1970-01-01 of a proleptic Gregorian date: http://howardhinnant.github.io/date_algorithms.html, days_from_civil. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = year / 400, year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool take_digits(const char **text, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return false;
        *value = *value * 10 + (**text - '0');
    }
    return true;
}

static bool take_character(const char **text, const char *allowed)
{
    if (**text == '\0' || strchr(allowed, **text) == NULL)
        return false;
    (*text)++;
    return true;
}

/* RFC 3339: 2026-11-23T14:05:31.123456Z or with an offset such as +01:00. */
static bool parse_rfc3339(const char *text, int64_t *us_out)
{
    int year, month, day, hour, minute, second, offset_hour = 0, offset_minute = 0;
    int64_t fraction = 0;
    bool date = take_digits(&text, 4, &year) && take_character(&text, "-") && take_digits(&text, 2, &month) && take_character(&text, "-") &&
                take_digits(&text, 2, &day) && take_character(&text, "Tt ");
    bool time = date && take_digits(&text, 2, &hour) && take_character(&text, ":") && take_digits(&text, 2, &minute) &&
                take_character(&text, ":") && take_digits(&text, 2, &second);
    if (!time || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    if (take_character(&text, ".")) {
        int64_t unit = 100000;
        for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
            fraction += unit * (*text - '0');
    }
    bool behind = *text == '-';
    if (take_character(&text, "+-")) {
        if (!take_digits(&text, 2, &offset_hour) || !take_character(&text, ":") || !take_digits(&text, 2, &offset_minute))
            return false;
    } else if (!take_character(&text, "Zz")) {
        return false;
    }
    int64_t offset = (offset_hour * 60 + offset_minute) * (behind ? -60 : 60);
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    *us_out = seconds * 1000000 + fraction;
    return *text == '\0';
}

/* Seconds, milliseconds, microseconds or nanoseconds since 1970, told by their size: years 1970 to 5138 in seconds stay below 1e11. */
static bool microseconds(double value, int64_t *us_out)
{
    double size = fabs(value), us = size < 1e11 ? value * 1e6 : size < 1e14 ? value * 1e3 : size < 1e17 ? value : value / 1e3;
    if (!isfinite(value) || fabs(us) > 9e17)
        return false;
    *us_out = (int64_t)llround(us);
    return true;
}

enum error_code series_note_time(struct series_columns *columns, double value, const char *text, size_t length, struct error *error)
{
    char copy[40];
    int64_t us;
    if (text != NULL) {
        bool fits = length < sizeof copy;
        snprintf(copy, sizeof copy, "%.*s", fits ? (int)length : 0, text);
        if (!fits || !parse_rfc3339(copy, &us))
            return error_set(error, ERROR_INPUT, "time \"%.*s\", expected RFC 3339 such as 2026-11-23T14:05:31.5Z", (int)(length < 40 ? length : 40), text);
    } else if (!microseconds(value, &us)) {
        return error_set(error, ERROR_INPUT, "time %g is out of range", value);
    }
    if (columns->has_time && us < columns->last_us)
        return error_set(error, ERROR_INPUT, "the times of the message's samples run backwards");
    if (!columns->has_time)
        columns->first_us = us;
    columns->last_us = us;
    columns->has_time = true;
    return ERROR_NONE;
}
