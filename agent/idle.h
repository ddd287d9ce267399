/* SPDX-License-Identifier: Apache-2.0
 *
 * idle.h: how much of this machine's CPU nobody used lately, all processes counted (/proc/stat, proc(5)). Threads: one owner. */
#ifndef EDDY_AGENT_IDLE_H
#define EDDY_AGENT_IDLE_H

#include <stdbool.h>
#include <stdint.h>

struct idle {
    uint64_t idle, all; /* ticks at the last look */
};

/* The share since the last look, 0 to 1; false: it is not known (the first look, nothing passed, no such line). text: of /proc/stat. */
bool idle_share_of(struct idle *idle, const char *text, double *share_out);
bool idle_share(struct idle *idle, double *share_out);

#endif
