/* SPDX-License-Identifier: Apache-2.0
 *
 * evidence.h: at which distance may a result be shared, so that at most a given part of the answers differs from the model's?
 *
 * There are EVIDENCE_LEVELS candidate distances, a sixth of an octave apart. A sampled input (one that was inferred, chosen without regard to what it
 * looks like) tells of every level whether an answer shared at that distance would have been wrong. Level k is trusted when the upper end
 * of a confidence sequence for its share of wrong answers lies below max_disagreement, and so it does for all lower levels.
 * The confidence sequence is the beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021), a bet in the
 * sense of Waudby-Smith and Ramdas (JRSS B 2024): for w wrong of n, p = max_disagreement, a = 1/2, b = a / p
 *   M = B(a + w, b + n - w) / (B(a, b) p^w (1 - p)^(n - w));   trusted if M >= 1 / (1 - EVIDENCE_CONFIDENCE) and w < p n
 * It holds at all times at once, however often one looks and whenever one stops, which the interval of Clopper and Pearson does not. Levels
 * are tested from small to large and the first that fails ends it (fixed sequence testing), so that picking one of them costs no
 * confidence. At p = 1 % a level is trusted after 410 samples without a wrong one, 1,330 with 4, 2,320 with 10.
 * Evidence about near inputs says nothing about far ones: after an hour in which nothing happened every level would look harmless. So a level is trusted
 * only where it, or a higher one, was tried: EVIDENCE_TRIED_MIN samples lay in the outermost sixth of an octave of it.
 * An alarm (a CUSUM over sampled answers at the trusted level) drops all evidence when wrong answers come too fast, so that a change of what
 * the camera sees is not outvoted by a long past; beyond that, evidence is halved when it becomes old.
 * Threads: the caller locks. */
#ifndef EDDY_CACHE_EVIDENCE_H
#define EDDY_CACHE_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { EVIDENCE_LEVELS = 64, EVIDENCE_TRIED_MIN = 4 };
#define EVIDENCE_CONFIDENCE 0.95

struct evidence {
    double max_disagreement;
    double samples, wrong[EVIDENCE_LEVELS];
    int tried[EVIDENCE_LEVELS]; /* EVIDENCE_TRIED_MIN at most */
    double alarm;
    int trusted; /* level; -1: none */
};

double evidence_distance(int level); /* 2^-3 ... 2^7.5 */

void evidence_init(struct evidence *evidence, double max_disagreement);
/* A sample; bit k: level k would have answered, wrongly; it would have answered, and just so. */
void evidence_add(struct evidence *evidence, uint64_t wrong_levels, uint64_t tried_levels);
/* Begins as if there were just enough samples for this distance: for one that was learned elsewhere. */
void evidence_presume(struct evidence *evidence, double distance);
/* Upper end of the confidence sequence for the share of wrong ones. */
double evidence_upper_bound(double samples, double wrong, double expected);

#endif
