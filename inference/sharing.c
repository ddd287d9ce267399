/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/sharing.h"

#include <stdlib.h>

enum { FIRST_LOOKS = 4 * SHARING_LEVELS, LATER_LOOKS = 16, RUNS_BETWEEN_MAX = 1024, MUCH = 10, ANYTHING = 2 }; /* MUCH, ANYTHING: in times of handing over */

/* Of handing over while no helper has come in time yet, as where each has to be woken from deep sleep: large layers are tried all the same. */
enum { UNKNOWN_HAND_OVER_NS = 50000 };

/* What a level may take of the time of the one below. After a pause there is no hurry and helpers are woken for it: two threads may cost a
 * quarter more processor time than one, so they must need less than 1.25 / 2 of its time. */
static const double wins_at[] = {0.97, 0.62};

enum error_code sharing_begin(struct sharing *sharing, int32_t layers, struct error *error)
{
    const size_t count = (size_t)layers + 1;
    *sharing = (struct sharing){.hand_over_ns = INT64_MAX};
    sharing->alone_ns = malloc(count * (sizeof *sharing->alone_ns + sizeof *sharing->level_of));
    if (sharing->alone_ns == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the times of %d layers", (int)layers);
    sharing->level_of = (uint8_t *)(sharing->alone_ns + count);
    for (size_t n = 0; n < count; n++) {
        sharing->alone_ns[n] = INT64_MAX;
        sharing->level_of[n] = SHARING_LEVELS;
    }
    for (int h = 0; h < 2; h++) {
        for (int l = 0; l < SHARING_LEVELS; l++)
            sharing->habits[h].lowest_ns[l] = INT64_MAX;
    }
    return ERROR_NONE;
}

void sharing_end(struct sharing *sharing)
{
    free(sharing->alone_ns);
    *sharing = (struct sharing){0};
}

/* -1: none. */
static int level_to_look_at(uint32_t runs)
{
    if (runs <= FIRST_LOOKS)
        return (int)((runs - 1) % SHARING_LEVELS);
    uint32_t power = LATER_LOOKS;
    while (power <= runs / 2 && power < RUNS_BETWEEN_MAX)
        power *= 2;
    return runs >= power && runs % power < SHARING_LEVELS ? (int)(runs % power) : -1;
}

bool sharing_skips(struct sharing *sharing)
{
    const bool known = sharing->habits[0].runs > FIRST_LOOKS || sharing->habits[1].runs > FIRST_LOOKS;
    return known && sharing->promising == 0 && ++sharing->skipped % RUNS_BETWEEN_MAX >= SHARING_LEVELS;
}

bool sharing_start(struct sharing *sharing, int64_t now_ns)
{
    sharing->habit = now_ns - sharing->ended_ns > SHARING_PAUSE_NS;
    struct sharing_habit *habit = &sharing->habits[sharing->habit];
    habit->runs += habit->runs < UINT32_MAX;
    const int look = level_to_look_at(habit->runs);
    sharing->looks = look >= 0;
    sharing->level = sharing->looks ? look : habit->level;
    sharing->started_ns = now_ns;
    return look == 0;
}

void sharing_hand_over(struct sharing *sharing, int64_t taken_ns, int64_t now_ns)
{
    sharing->hand_over_ns = taken_ns < sharing->hand_over_ns ? taken_ns : sharing->hand_over_ns;
    sharing->started_ns = now_ns;
}

/* Each participant does as many parts as the one that has most. */
void sharing_layer(struct sharing *sharing, int32_t layer, int64_t taken_ns, int64_t parts, int threads)
{
    sharing->promising -= sharing->level_of[layer] < SHARING_LEVELS;
    sharing->alone_ns[layer] = taken_ns < sharing->alone_ns[layer] ? taken_ns : sharing->alone_ns[layer];
    const int64_t most = (parts + threads - 1) / threads, known = sharing->hand_over_ns < INT64_MAX ? sharing->hand_over_ns : UNKNOWN_HAND_OVER_NS;
    const double won = parts < 2 ? 0 : (double)sharing->alone_ns[layer] * (1 - (double)most / (double)parts), price = (double)known;
    sharing->level_of[layer] = won > MUCH * price ? 1 : won > ANYTHING * price ? 2 : SHARING_LEVELS;
    sharing->promising += sharing->level_of[layer] < SHARING_LEVELS;
}

static int best_level(const int64_t *lowest_ns, double wins)
{
    int best = 0;
    for (int l = 1; l < SHARING_LEVELS; l++) {
        if ((double)lowest_ns[l] < wins * (double)lowest_ns[best])
            best = l;
    }
    return best;
}

void sharing_finish(struct sharing *sharing, int64_t now_ns)
{
    struct sharing_habit *habit = &sharing->habits[sharing->habit];
    sharing->ended_ns = now_ns;
    if (!sharing->looks)
        return;
    int64_t *lowest = &habit->lowest_ns[sharing->level];
    const int64_t taken = now_ns - sharing->started_ns, faded = habit->runs > FIRST_LOOKS ? *lowest + *lowest / 8 : *lowest;
    *lowest = taken < faded ? taken : faded;
    if (sharing->level == SHARING_LEVELS - 1)
        habit->level = best_level(habit->lowest_ns, wins_at[sharing->habit]);
    sharing->level = habit->level;
}
