/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/sketch.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 4, COUNTERS_PER_ROW = 28, COUNTER_MAX = 15 };

static size_t lines_for(size_t keys)
{
    return keys / SKETCH_KEYS_PER_LINE + 1;
}

size_t sketch_bytes(size_t keys)
{
    return lines_for(keys) * sizeof(struct sketch_line);
}

bool sketch_init(struct sketch *sketch, size_t keys)
{
    *sketch = (struct sketch){.line_count = lines_for(keys)};
    sketch->lines = aligned_alloc(64, sketch_bytes(keys));
    if (sketch->lines == NULL)
        return false;
    memset(sketch->lines, 0, sketch_bytes(keys));
    return true;
}

void sketch_deinit(struct sketch *sketch)
{
    free(sketch->lines);
    *sketch = (struct sketch){0};
}

/* Where a key's marks lie: its line, two bits of the doorkeeper, one counter of each row. */
struct place {
    struct sketch_line *line;
    uint64_t door;
    int counters[ROWS]; /* 0 .. 111 */
};

static struct place place_of(const struct sketch *sketch, uint64_t hash)
{
    struct place place = {.line = sketch->lines + (size_t)(((hash >> 32) * sketch->line_count) >> 32)};
    uint64_t bits = hash * 0x9e3779b97f4a7c15u; /* the line took the upper half: spread what is left */
    place.door = 1ull << (bits & 63) | 1ull << (bits >> 6 & 63);
    for (int row = 0; row < ROWS; row++)
        place.counters[row] = row * COUNTERS_PER_ROW + (int)(((bits >> (12 + 13 * row) & 0x1fff) * COUNTERS_PER_ROW) >> 13);
    return place;
}

static int counter(const struct sketch_line *line, int index)
{
    return (int)(line->counters[index / 16] >> (index % 16 * 4) & COUNTER_MAX);
}

static int lowest(const struct place *place)
{
    int least = COUNTER_MAX;
    for (int row = 0; row < ROWS; row++) {
        int count = counter(place->line, place->counters[row]);
        least = count < least ? count : least;
    }
    return least;
}

static void age(struct sketch *sketch, size_t period)
{
    sketch->ageing_owed += (double)sketch->line_count / (double)period;
    for (; sketch->ageing_owed >= 1; sketch->ageing_owed -= 1) {
        struct sketch_line *line = &sketch->lines[sketch->ageing];
        line->door = 0;
        for (int i = 0; i < 7; i++)
            line->counters[i] = line->counters[i] >> 1 & 0x7777777777777777u;
        sketch->ageing = (sketch->ageing + 1) % sketch->line_count;
    }
}

int sketch_estimate(const struct sketch *sketch, uint64_t hash)
{
    struct place place = place_of(sketch, hash);
    return lowest(&place) + ((place.line->door & place.door) == place.door);
}

int sketch_add(struct sketch *sketch, uint64_t hash, size_t period)
{
    age(sketch, period);
    struct place place = place_of(sketch, hash);
    int least = lowest(&place);
    if ((place.line->door & place.door) != place.door) {
        place.line->door |= place.door;
        return least + 1;
    }
    for (int row = 0; row < ROWS && least < COUNTER_MAX; row++) {
        int index = place.counters[row];
        if (counter(place.line, index) == least) /* conservative update: no counter above what the key can have */
            place.line->counters[index / 16] += 1ull << (index % 16 * 4);
    }
    return least + 1 + (least < COUNTER_MAX);
}
