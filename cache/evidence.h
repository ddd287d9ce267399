/* SPDX-License-Identifier: Apache-2.0
 *
 * evidence.h: up to which distance may a result be shared, so that at most a given part of the answers differs from the model's?
 *
 * Evidence is a list of comparisons (distance, agreed or not), kept as counts in EVIDENCE_BINS bins of half an octave of distance. A
 * distance is trusted when, over all comparisons up to it, the upper end of a confidence sequence for the share that disagrees lies below
 * max_disagreement: the beta-binomial mixture (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021). It holds at
 * all times at once, however often one looks and whenever one stops, which the interval of Clopper and Pearson does not; the error
 * probability 1 - EVIDENCE_CONFIDENCE is divided among the bins, so that picking the best of them is covered as well.
 * For p0 = max_disagreement and k of n comparisons that disagreed:
 *   M = B(a + k, b + n - k) / (B(a, b) p0^k (1 - p0)^(n - k)),  a = 1/2, b = a / p0;   trusted if M >= bins / (1 - confidence), k / n < p0
 * With p0 = 1 % that takes about 800 comparisons without a disagreement, with 5 % about 160.
 * Besides: a bin counts only with EVIDENCE_BIN_MIN comparisons of its own (what holds near does not prove what holds far); one whose own
 * comparisons show it to be worse than p0 ends the range; and an alarm (a CUSUM over answers given) forgets the evidence from the distance
 * of the disagreement on when disagreements come too fast, so that a change of the scene is not outvoted by a long past.
 * Threads: the caller locks. */
#ifndef EDDY_CACHE_EVIDENCE_H
#define EDDY_CACHE_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { EVIDENCE_BINS = 32, EVIDENCE_BIN_MIN = 24 };
#define EVIDENCE_CONFIDENCE 0.95
#define EVIDENCE_DISTANCE_MIN 0.00390625 /* upper end of the first bin; the last ends at 181 */

struct evidence {
    double max_disagreement;
    double compared[EVIDENCE_BINS], disagreed[EVIDENCE_BINS];
    double alarm;
    double trusted_distance; /* 0: none yet */
};

void evidence_init(struct evidence *evidence, double max_disagreement);
/* answered: the result was in use (an audited hit); false: it was not (a miss, compared with the nearest result all the same). */
void evidence_add(struct evidence *evidence, double distance, bool agreed, bool answered);
/* Begins as if enough comparisons up to this distance had agreed: for a distance that was learned elsewhere. */
void evidence_presume(struct evidence *evidence, double distance);
/* Upper end of the confidence sequence for the share that disagrees, after `disagreed` of `compared`, at EVIDENCE_CONFIDENCE. */
double evidence_upper_bound(double compared, double disagreed, double expected);

#endif
