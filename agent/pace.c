/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"

enum { MEMORY = 8 };

void pace_committed(struct pace *pace, const struct pace_commit *commit)
{
    int64_t spacing = commit->cpu_us > PACE_MAX_US / PACE_SHARE ? PACE_MAX_US : commit->cpu_us * PACE_SHARE, half = commit->took_us / 2;
    spacing = half > PACE_MAX_US ? PACE_MAX_US : half > spacing ? half : spacing;
    pace->spacing_us += (spacing - pace->spacing_us) / MEMORY;
    pace->committed_us = commit->ended_us;
    int most = commit->unanswered - (commit->unanswered + 3) / 4;
    pace->wanted = most < PACE_ANSWERS_MAX ? most : PACE_ANSWERS_MAX;
}

bool pace_answered(struct pace *pace)
{
    return pace->wanted > 0 && --pace->wanted == 0;
}

int64_t pace_rest_until(const struct pace *pace, int unanswered)
{
    if (unanswered == 0 || pace->committed_us == 0)
        return 0;
    return pace->committed_us + (pace->wanted > 0 ? PACE_MAX_US : pace->spacing_us);
}
