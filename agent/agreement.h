/* SPDX-License-Identifier: Apache-2.0
 *
 * agreement.h: whether two results of one model say the same, as far as a consumer would act on them. The cache's near level learns from it.
 *
 * The rule, by task:
 *   classification  the same label
 *   detection       every certain object of either has a partner in the other: same label, boxes that overlap by at least half
 *                   (intersection over union >= 0.5). Certain: the score lies at least a third of the way from the threshold to 1; an
 *                   object at the threshold comes and goes from frame to frame without anything having changed
 *   anomaly         the same verdict (anomalous or not)
 *   raw             every number within 5 % of the largest in the result
 * Results are the JSON that task_write made. What cannot be read does not agree. Pure; any thread. */
#ifndef EDDY_AGENT_AGREEMENT_H
#define EDDY_AGENT_AGREEMENT_H

#include "config/manifest.h"

#include <stddef.h>

struct agreement_result {
    const char *json;
    size_t length;
};

double agreement_certain(const struct manifest *manifest); /* the score from which on an object is certain */
bool agreement_check(const struct manifest *manifest, struct agreement_result left, struct agreement_result right);

#endif
