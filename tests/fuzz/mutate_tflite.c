/* SPDX-License-Identifier: Apache-2.0
 *
 * FlatBuffers: offsets tie a file together, so numbers are changed where they stand and nothing moves. */
#include "tests/fuzz/mutate.h"

#include <stdlib.h>
#include <string.h>

static void put(uint8_t *at, size_t bytes, int64_t number)
{
    memcpy(at, &number, bytes); /* little-endian: the low bytes come first */
}

static void change_number(uint8_t *data, size_t size, unsigned *seed)
{
    static const size_t widths[] = {1, 1, 2, 4, 4, 4, 8};
    size_t bytes = widths[(size_t)rand_r(seed) % (sizeof widths / sizeof widths[0])];
    if (size < bytes + 8)
        return;
    size_t at = (size_t)rand_r(seed) % (size - bytes + 1) / bytes * bytes;
    int64_t old = 0;
    memcpy(&old, data + at, bytes);
    switch (rand_r(seed) % 4) {
    case 0: put(data + at, bytes, (int64_t)((uint64_t)old + (uint64_t)(rand_r(seed) % 9) - 4)); break;
    case 1: put(data + at, bytes, old ^ (int64_t)(1ull << rand_r(seed) % (8 * (int)bytes))); break;
    case 2: memmove(data + at, data + (size_t)rand_r(seed) % (size - bytes + 1) / bytes * bytes, bytes); break;
    default: put(data + at, bytes, mutate_numbers[(size_t)rand_r(seed) % MUTATE_NUMBERS]); break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
    unsigned state = seed;
    if (size < 16 || rand_r(&state) % 16 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    for (int changes = 1 + rand_r(&state) % 3; changes > 0; changes--)
        change_number(data, size, &state);
    memcpy(data + 4, "TFL3", 4);
    return size;
}
