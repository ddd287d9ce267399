/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"

enum { MEMORY = 8 };

void pace_committed(struct pace *pace, int64_t now_us, int64_t cpu_us, int unanswered)
{
    int64_t spacing = cpu_us > PACE_MAX_US / PACE_SHARE ? PACE_MAX_US : cpu_us * PACE_SHARE;
    pace->spacing_us += (spacing - pace->spacing_us) / MEMORY;
    pace->committed_us = now_us;
    pace->wanted = unanswered / 2 < PACE_ANSWERS_MAX ? unanswered / 2 : PACE_ANSWERS_MAX;
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
