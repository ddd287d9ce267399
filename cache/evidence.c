/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/evidence.h"

#include <math.h>
#include <string.h>

enum { KEPT_EXPECTED = 64, BISECTIONS = 40 }; /* evidence is halved when so many wrong ones would have been allowed */

#define ALARM_LIMIT 3.0
#define FIRST_DISTANCE 0.125

static double log_beta(double a, double b)
{
    return lgamma(a) + lgamma(b) - lgamma(a + b);
}

/* log M of the header: how much the data speak against a share of p. */
static double log_mixture(double samples, double wrong, double p, double expected)
{
    double a = 0.5, b = a / expected;
    return log_beta(a + wrong, b + samples - wrong) - log_beta(a, b) - wrong * log(p) - (samples - wrong) * log1p(-p);
}

static bool is_below(double samples, double wrong, double p, double expected)
{
    return wrong < p * samples && log_mixture(samples, wrong, p, expected) >= -log(1 - EVIDENCE_CONFIDENCE);
}

double evidence_upper_bound(double samples, double wrong, double expected)
{
    double low = samples > 0 ? wrong / samples : 0, high = 1;
    for (int i = 0; i < BISECTIONS; i++) {
        double middle = (low + high) / 2;
        if (middle < 1 && is_below(samples, wrong, middle, expected))
            high = middle;
        else
            low = middle;
    }
    return high;
}

double evidence_distance(int level)
{
    return FIRST_DISTANCE * exp2(level / 6.0);
}

static void find_trusted(struct evidence *evidence)
{
    int reach = EVIDENCE_LEVELS;
    while (reach > 0 && evidence->tried[reach - 1] < EVIDENCE_TRIED_MIN)
        reach--;
    evidence->trusted = -1;
    while (evidence->trusted + 1 < reach && is_below(evidence->samples, evidence->wrong[evidence->trusted + 1],
                                                               evidence->max_disagreement, evidence->max_disagreement))
        evidence->trusted++;
}

void evidence_init(struct evidence *evidence, double max_disagreement)
{
    *evidence = (struct evidence){.max_disagreement = max_disagreement, .trusted = -1};
}

void evidence_presume(struct evidence *evidence, double distance)
{
    double p = evidence->max_disagreement;
    evidence->samples = 1;
    while (!is_below(evidence->samples, 0, p, p))
        evidence->samples += 1 + evidence->samples / 64;
    for (int level = 0; level < EVIDENCE_LEVELS; level++) {
        bool beyond = evidence_distance(level) > distance * 1.001;
        evidence->wrong[level] = beyond ? p * evidence->samples : 0; /* more has to be proven */
        evidence->tried[level] = beyond ? 0 : EVIDENCE_TRIED_MIN;
    }
    find_trusted(evidence);
}

static void fade(struct evidence *evidence)
{
    if (evidence->samples * evidence->max_disagreement < KEPT_EXPECTED)
        return;
    evidence->samples /= 2;
    for (int level = 0; level < EVIDENCE_LEVELS; level++)
        evidence->wrong[level] /= 2;
}

void evidence_add(struct evidence *evidence, uint64_t wrong_levels, uint64_t tried_levels)
{
    if (evidence->trusted >= 0) {
        evidence->alarm += (wrong_levels >> evidence->trusted & 1) != 0 ? 1 : -2 * evidence->max_disagreement;
        evidence->alarm = evidence->alarm < 0 ? 0 : evidence->alarm;
        if (evidence->alarm >= ALARM_LIMIT)
            evidence_init(evidence, evidence->max_disagreement);
    }
    evidence->samples++;
    for (int level = 0; level < EVIDENCE_LEVELS; level++) {
        evidence->wrong[level] += wrong_levels >> level & 1;
        evidence->tried[level] += evidence->tried[level] < EVIDENCE_TRIED_MIN && (tried_levels >> level & 1) != 0;
    }
    fade(evidence);
    find_trusted(evidence);
}
