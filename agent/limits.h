/* SPDX-License-Identifier: Apache-2.0
 *
 * limits.h: what changes with the time of day and with other programs' load: the uplink's bandwidth and how much lz4hc tries. Looked at once a second.
 * Threads: the committer's alone. */
#ifndef EDDY_AGENT_LIMITS_H
#define EDDY_AGENT_LIMITS_H

#include "agent/batch.h"
#include "agent/idle.h"
#include "agent/pipeline.h"
#include "agent/uplink.h"

struct limits {
    struct bandwidth_window windows[BANDWIDTH_WINDOWS_MAX];
    int window_count;
    int64_t bandwidth;     /* where no window holds */
    bool any_lz4hc;
    struct idle idle;
    int64_t checked_us;
};

void limits_init(struct limits *limits, const struct config_broker *upstream, const struct pipeline *pipelines, int pipeline_count);
void limits_watch(struct limits *limits, struct uplink *uplink, struct batch_encoder *encoder);

#endif
