/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/limits.h"

#include "base/clock.h"

enum { CHECK_US = 1000000 };

void limits_init(struct limits *limits, const struct config_broker *upstream, const struct pipeline *pipelines, int pipeline_count)
{
    *limits = (struct limits){.bandwidth = upstream->bandwidth};
    for (int i = 0; i < upstream->bandwidth_window_count; i++) /* read once already, by config */
        limits->window_count += bandwidth_read(upstream->bandwidth_windows[i], &limits->windows[limits->window_count]);
    for (int i = 0; i < pipeline_count; i++)
        limits->any_lz4hc = limits->any_lz4hc || pipelines[i].config->sink.compression == COMPRESSION_LZ4HC;
}

void limits_watch(struct limits *limits, struct uplink *uplink, struct batch_encoder *encoder)
{
    int64_t now = clock_monotonic_us();
    double idle;
    if (now - limits->checked_us < CHECK_US)
        return;
    limits->checked_us = now;
    if (limits->any_lz4hc && idle_share(&limits->idle, &idle))
        batch_encoder_adapt(encoder, idle);
    if (limits->window_count > 0)
        uplink_set_bandwidth(uplink, bandwidth_at(limits->windows, limits->window_count, limits->bandwidth, (time_t)(clock_wall_us() / 1000000)));
}
