/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/tflite/flexbuffer.h"

#include <string.h>

/* Types as FlexBuffers number them; the low two bits of a packed type are the width of the elements. */
enum { FLEX_INT = 1, FLEX_UINT = 2, FLEX_FLOAT = 3, FLEX_INDIRECT_INT = 6, FLEX_INDIRECT_UINT = 7, FLEX_INDIRECT_FLOAT = 8, FLEX_MAP = 9, FLEX_BOOL = 26 };

struct flex {
    const uint8_t *bytes;
    size_t length;
};

static bool is_width(size_t width)
{
    return width == 1 || width == 2 || width == 4 || width == 8;
}

static bool read_unsigned(const struct flex *flex, size_t at, size_t width, uint64_t *number)
{
    *number = 0;
    if (!is_width(width) || at > flex->length || width > flex->length - at)
        return false;
    memcpy(number, flex->bytes + at, width);
    return true;
}

/* Offsets go backwards from where they stand. */
static bool follow(const struct flex *flex, size_t at, size_t width, size_t *target)
{
    uint64_t offset;
    if (!read_unsigned(flex, at, width, &offset) || offset > at)
        return false;
    *target = at - (size_t)offset;
    return true;
}

static bool read_scalar(const struct flex *flex, size_t at, size_t width, int type, double *number)
{
    uint64_t bits;
    if (!read_unsigned(flex, at, width, &bits))
        return false;
    if (type == FLEX_FLOAT) {
        float single;
        memcpy(&single, &bits, sizeof single);
        if (width == 4)
            *number = (double)single;
        else if (width == 8)
            memcpy(number, &bits, sizeof *number);
        return width >= 4;
    }
    int unused = 64 - 8 * (int)width;
    *number = type == FLEX_INT ? (double)((int64_t)(bits << unused) >> unused) : (double)bits;
    return true;
}

static bool read_number(const struct flex *flex, size_t at, size_t width, uint8_t packed, double *number)
{
    int type = packed >> 2;
    if (type == FLEX_INT || type == FLEX_UINT || type == FLEX_FLOAT || type == FLEX_BOOL)
        return read_scalar(flex, at, width, type, number);
    size_t target;
    if (type != FLEX_INDIRECT_INT && type != FLEX_INDIRECT_UINT && type != FLEX_INDIRECT_FLOAT)
        return false;
    int direct = type == FLEX_INDIRECT_INT ? FLEX_INT : type == FLEX_INDIRECT_UINT ? FLEX_UINT : FLEX_FLOAT;
    return follow(flex, at, width, &target) && read_scalar(flex, target, (size_t)1 << (packed & 3), direct, number);
}

static bool key_equals(const struct flex *flex, size_t at, const char *key)
{
    size_t length = strlen(key) + 1;
    return at <= flex->length && length <= flex->length - at && memcmp(flex->bytes + at, key, length) == 0;
}

bool flexbuffer_number(const uint8_t *bytes, size_t length, const char *key, double *number_out)
{
    struct flex flex = {bytes, length};
    if (length < 3 || bytes[length - 2] >> 2 != FLEX_MAP)
        return false;
    size_t root_width = bytes[length - 1], width = (size_t)1 << (bytes[length - 2] & 3), map, keys;
    uint64_t count, key_width;
    if (!is_width(root_width) || root_width + 2 > length || !follow(&flex, length - 2 - root_width, root_width, &map) || map < 3 * width)
        return false;
    bool whole = read_unsigned(&flex, map - width, width, &count) && read_unsigned(&flex, map - 2 * width, width, &key_width) &&
                 follow(&flex, map - 3 * width, width, &keys);
    if (!whole || count > length || map + count * width + count > length)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t name;
        if (follow(&flex, keys + i * (size_t)key_width, (size_t)key_width, &name) && key_equals(&flex, name, key))
            return read_number(&flex, map + i * width, width, bytes[map + count * width + i], number_out);
    }
    return false;
}
