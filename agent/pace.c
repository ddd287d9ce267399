/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"

enum { APART = 10, MEMORY = 8 };

void pace_note(struct pace *pace, int64_t cpu_us)
{
    int64_t wanted = cpu_us > PACE_MAX_US / APART ? PACE_MAX_US : cpu_us * APART;
    pace->interval_us += (wanted - pace->interval_us) / MEMORY;
}
