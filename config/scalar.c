/* SPDX-License-Identifier: Apache-2.0 */
#include "config/scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit size_units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {0}};
static const struct unit duration_units[] = {{"us", 1},           {"ms", 1000},          {"s", 1000000}, {"m", 60000000},
                                             {"h", 3600000000LL}, {"d", 86400000000LL}, {0}};

/* Digits at the start of text; what follows them in *rest_out. */
static bool read_digits(const char *text, int64_t *value_out, const char **rest_out)
{
    int64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
            return false;
    }
    *value_out = value;
    *rest_out = at;
    return at != text;
}

static bool read_with_unit(const char *text, const struct unit *units, int64_t *value_out)
{
    int64_t value;
    const char *rest;
    if (!read_digits(text, &value, &rest))
        return false;
    while (units->name != NULL && strcmp(units->name, rest) != 0)
        units++;
    return units->name != NULL && !__builtin_mul_overflow(value, units->factor, value_out);
}

bool scalar_read_integer(const char *text, int64_t *value_out)
{
    bool negative = text[0] == '-';
    int64_t value;
    const char *rest;
    if (!read_digits(text + negative, &value, &rest) || *rest != '\0')
        return false;
    *value_out = negative ? -value : value;
    return true;
}

bool scalar_read_size(const char *text, int64_t *bytes_out)
{
    return read_with_unit(text, size_units, bytes_out);
}

bool scalar_read_duration(const char *text, int64_t *us_out)
{
    if (strcmp(text, "0") == 0) {
        *us_out = 0;
        return true;
    }
    return read_with_unit(text, duration_units, us_out);
}

bool scalar_read_number(const char *text, double *value_out)
{
    if (text[0] == '\0' || text[strspn(text, "0123456789+-.eE")] != '\0')
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value))
        return false;
    *value_out = value;
    return true;
}

bool scalar_read_percent(const char *text, double *share_out)
{
    char digits[SCALAR_TEXT_BYTES];
    size_t length = strlen(text);
    if (length < 2 || length > sizeof digits || text[length - 1] != '%')
        return false;
    memcpy(digits, text, length - 1);
    digits[length - 1] = '\0';
    double value;
    if (!scalar_read_number(digits, &value))
        return false;
    *share_out = value / 100;
    return true;
}

static void write_with_unit(int64_t value, const struct unit *units, char text[SCALAR_TEXT_BYTES])
{
    const struct unit *best = units;
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value != 0 && value % unit->factor == 0)
            best = unit;
    }
    snprintf(text, SCALAR_TEXT_BYTES, "%lld%s", (long long)(value / best->factor), best->name);
}

void scalar_write_size(int64_t bytes, char text[SCALAR_TEXT_BYTES])
{
    write_with_unit(bytes, size_units, text);
}

void scalar_write_duration(int64_t us, char text[SCALAR_TEXT_BYTES])
{
    write_with_unit(us, us == 0 ? &duration_units[1] : duration_units, text);
}

void scalar_quote(const char *text, char quoted[SCALAR_QUOTE_BYTES])
{
    enum { SHOWN_MAX = 40 };
    size_t length = strlen(text), shown = length < SHOWN_MAX ? length : SHOWN_MAX;
    while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    for (size_t i = 0; i < shown; i++)
        quoted[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7F ? '?' : text[i];
    snprintf(quoted + shown, SCALAR_QUOTE_BYTES - shown, "%s", shown < length ? "..." : "");
}
