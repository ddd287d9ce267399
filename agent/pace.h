/* SPDX-License-Identifier: Apache-2.0
 *
 * pace.h: how far commits are apart while inputs are still being answered.
 *
 * A commit costs the same for one result as for fifty, and on a gateway's CPU as much as a small inference. Two rules:
 * - After a commit the next one waits until three quarters of the inputs that were unanswered then are answered. Most of them wait in
 *   their queue anyway, so that results are late by less than the queue is long: one input at a time is committed at once, a queue in few commits,
 *   which leaves the CPU to inference, and new inputs arrive before the queue is empty. Never longer than PACE_MAX_US.
 * - Commits take at most a third of a core, and storage is left alone for half as long as the last one took: where a sync takes long, the next
 *   commit serves all that came meanwhile instead of the few that came first.
 * Neither holds once nothing is being answered any more: nothing is gained by waiting then.
 *
 * Calls are serialised by the owner. Times are those of base/clock.h's monotonic clock. */
#ifndef EDDY_AGENT_PACE_H
#define EDDY_AGENT_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum { PACE_MAX_US = 20000, PACE_SHARE = 3, PACE_ANSWERS_MAX = 64 };

struct pace {
    int64_t committed_us; /* 0: never */
    int64_t spacing_us;   /* what the second rule asks for, smoothed */
    int wanted;           /* answers still to come before the next commit */
};

struct pace_commit {
    int64_t ended_us, took_us; /* with all that goes with it */
    int64_t cpu_us;
    int unanswered;            /* inputs that workers have at its end */
};

void pace_committed(struct pace *pace, const struct pace_commit *commit);
/* An input was answered. true: the last one that was waited for, pace_rest_until may have changed. */
bool pace_answered(struct pace *pace);
/* When the next commit may begin; now_us or less: now. */
int64_t pace_rest_until(const struct pace *pace, int unanswered);

#endif
