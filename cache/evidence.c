/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/evidence.h"

#include <math.h>

enum { KEPT_EXPECTED = 64, BISECTIONS = 40 }; /* a bin is halved when so many disagreements would have been allowed */

#define ALARM_LIMIT 3.0

static double log_beta(double a, double b)
{
    return lgamma(a) + lgamma(b) - lgamma(a + b);
}

/* log M of the header: how much the data speak against a share of p. */
static double log_mixture(double compared, double disagreed, double p, double expected)
{
    double a = 0.5, b = a / expected;
    return log_beta(a + disagreed, b + compared - disagreed) - log_beta(a, b) - disagreed * log(p) - (compared - disagreed) * log1p(-p);
}

static bool is_below(double compared, double disagreed, double p, double expected, double limit)
{
    return disagreed < p * compared && log_mixture(compared, disagreed, p, expected) >= log(limit);
}

static bool is_above(double compared, double disagreed, double p, double expected, double limit)
{
    return disagreed > p * compared && log_mixture(compared, disagreed, p, expected) >= log(limit);
}

double evidence_upper_bound(double compared, double disagreed, double expected)
{
    double low = compared > 0 ? disagreed / compared : 0, high = 1;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = (low + high) / 2;
        if (middle > 0 && middle < 1 && is_below(compared, disagreed, middle, expected, 1 / (1 - EVIDENCE_CONFIDENCE)))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static double bin_end(int bin)
{
    return EVIDENCE_DISTANCE_MIN * exp2(bin / 2.0);
}

static int bin_of(double distance)
{
    if (distance <= EVIDENCE_DISTANCE_MIN)
        return 0;
    double bin = ceil(2 * log2(distance / EVIDENCE_DISTANCE_MIN) - 1e-9);
    return bin < EVIDENCE_BINS ? (int)bin : EVIDENCE_BINS; /* beyond the last: counts for nothing */
}

static void find_trusted(struct evidence *evidence)
{
    double limit = EVIDENCE_BINS / (1 - EVIDENCE_CONFIDENCE), p = evidence->max_disagreement, compared = 0, disagreed = 0;
    evidence->trusted_distance = 0;
    for (int bin = 0; bin < EVIDENCE_BINS; bin++) {
        compared += evidence->compared[bin];
        disagreed += evidence->disagreed[bin];
        if (is_above(evidence->compared[bin], evidence->disagreed[bin], p, p, limit))
            return;
        if (evidence->compared[bin] >= EVIDENCE_BIN_MIN && is_below(compared, disagreed, p, p, limit))
            evidence->trusted_distance = bin_end(bin);
    }
}

/* So many comparisons without a disagreement prove p; 5 % are added for rounding. */
static double first_proof(double p)
{
    double limit = EVIDENCE_BINS / (1 - EVIDENCE_CONFIDENCE), compared = 1;
    while (!is_below(compared, 0, p, p, limit))
        compared *= 1.05;
    return compared;
}

void evidence_init(struct evidence *evidence, double max_disagreement)
{
    *evidence = (struct evidence){.max_disagreement = max_disagreement};
}

void evidence_presume(struct evidence *evidence, double distance)
{
    int last = bin_of(distance);
    if (last == EVIDENCE_BINS)
        last--;
    evidence->compared[last] += first_proof(evidence->max_disagreement) + EVIDENCE_BIN_MIN;
    find_trusted(evidence);
}

static void fade(struct evidence *evidence, int bin)
{
    if (evidence->compared[bin] * evidence->max_disagreement < KEPT_EXPECTED)
        return;
    evidence->compared[bin] /= 2;
    evidence->disagreed[bin] /= 2;
}

static void watch(struct evidence *evidence, int bin, bool agreed)
{
    evidence->alarm += agreed ? -2 * evidence->max_disagreement : 1;
    evidence->alarm = evidence->alarm < 0 ? 0 : evidence->alarm;
    if (evidence->alarm < ALARM_LIMIT)
        return;
    evidence->alarm = 0;
    for (; bin < EVIDENCE_BINS; bin++)
        evidence->compared[bin] = evidence->disagreed[bin] = 0;
}

void evidence_add(struct evidence *evidence, double distance, bool agreed, bool answered)
{
    int bin = bin_of(distance);
    if (bin == EVIDENCE_BINS)
        return;
    evidence->compared[bin]++;
    evidence->disagreed[bin] += !agreed;
    if (answered)
        watch(evidence, bin, agreed);
    fade(evidence, bin);
    find_trusted(evidence);
}
