/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/idle.h"

#include <stdio.h>

bool idle_share_of(struct idle *idle, const char *text, double *share_out)
{
    unsigned long long ticks[8] = {0}; /* user nice system idle iowait irq softirq steal */
    int count = sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6],
                       &ticks[7]);
    if (count < 4)
        return false;
    struct idle now = {.idle = ticks[3] + ticks[4]}, before = *idle;
    for (int i = 0; i < 8; i++)
        now.all += ticks[i];
    *idle = now;
    if (before.all == 0 || now.all <= before.all || now.idle < before.idle)
        return false;
    *share_out = (double)(now.idle - before.idle) / (double)(now.all - before.all);
    return true;
}

bool idle_share(struct idle *idle, double *share_out)
{
    char line[256];
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL)
        return false;
    bool known = fgets(line, sizeof line, file) != NULL && idle_share_of(idle, line, share_out);
    fclose(file);
    return known;
}
