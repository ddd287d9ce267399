/* SPDX-License-Identifier: Apache-2.0
 *
 * pace.h: how far commits are apart while inputs are still being answered.
 *
 * A commit costs the same for one result as for fifty, and on a gateway's CPU as much as a small inference. While no other input is being
 * answered nothing is gained by waiting, and results are committed at once. While some are, the next commit waits until commits take at most
 * a tenth of a core, or until nothing is being answered any more: whoever sends one input at a time never waits, and under load the CPU is
 * kept for inference. The price is a result that is up to PACE_MAX_US late in a queue where it waits longer anyway. */
#ifndef EDDY_AGENT_PACE_H
#define EDDY_AGENT_PACE_H

#include <stdint.h>

enum { PACE_MAX_US = 5000 };

struct pace {
    int64_t interval_us; /* between two commits, at least, while inputs are being answered */
};

/* cpu_us: what the last commit, with all that goes with it, took of the CPU. */
void pace_note(struct pace *pace, int64_t cpu_us);

#endif
