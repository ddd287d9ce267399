/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink.h"

#include <stdio.h>
#include <string.h>

enum { EAGER_BATCHES = 4, TOPIC_BYTES = 512 };

void uplink_init(struct uplink *uplink, struct outbox *outbox, const char *agent_id)
{
    *uplink = (struct uplink){.outbox = outbox, .agent_id = agent_id};
}

void uplink_connected(struct uplink *uplink)
{
    uplink->replay_below = outbox_next_seq(uplink->outbox);
}

void uplink_disconnected(struct uplink *uplink)
{
    if (uplink->in_flight_count > 0)
        uplink->cursor = uplink->in_flight[0];
    uplink->in_flight_count = 0;
}

bool uplink_confirm(struct uplink *uplink, int64_t first_seq)
{
    for (int i = 0; i < uplink->in_flight_count; i++) {
        if (uplink->in_flight[i] != first_seq)
            continue;
        uplink->in_flight_count--;
        memmove(&uplink->in_flight[i], &uplink->in_flight[i + 1], (size_t)(uplink->in_flight_count - i) * sizeof uplink->in_flight[0]);
        return true;
    }
    return false;
}

static bool window_open(const struct uplink *uplink)
{
    return uplink->link != NULL && uplink->in_flight_count < UPLINK_IN_FLIGHT_MAX && link_window_free(uplink->link) > 0;
}

static bool publish(struct uplink *uplink, const struct outbox_batch *batch)
{
    char topic[TOPIC_BYTES], count[24], first[24], last[24];
    snprintf(topic, sizeof topic, "eddy/%s/result/%s", uplink->agent_id, batch->pipeline);
    snprintf(count, sizeof count, "%d", batch->count);
    snprintf(first, sizeof first, "%lld", (long long)batch->first_seq);
    snprintf(last, sizeof last, "%lld", (long long)batch->last_seq);
    struct link_user_property properties[5] = {{"count", count}, {"first-seq", first}, {"last-seq", last}};
    int property_count = 3;
    if (batch->encoding == OUTBOX_LZ4)
        properties[property_count++] = (struct link_user_property){"content-encoding", "lz4"};
    bool replay = batch->first_seq < uplink->replay_below;
    if (replay)
        properties[property_count++] = (struct link_user_property){"replay", "1"};
    struct link_publication publication = {.topic = topic, .payload = batch->body, .payload_bytes = batch->body_bytes, .qos = 1,
                                           .content_type = "application/x-ndjson", .user_properties = properties,
                                           .user_property_count = property_count, .ticket = (uint64_t)batch->first_seq + 1};
    struct error error;
    if (link_publish(uplink->link, &publication, &error) != ERROR_NONE)
        return false;
    uplink->in_flight[uplink->in_flight_count++] = batch->first_seq;
    uplink->cursor = batch->last_seq + 1;
    uplink->replayed += replay;
    return true;
}

void uplink_offer(struct uplink *uplink, const struct outbox_batch *batch)
{
    if (batch->first_seq == uplink->cursor && window_open(uplink))
        publish(uplink, batch);
}

void uplink_send(struct uplink *uplink)
{
    struct outbox_batch batch;
    while (uplink_has_backlog(uplink) && window_open(uplink)) {
        if (!outbox_find(uplink->outbox, uplink->cursor, &batch)) {
            uplink->cursor = outbox_next_seq(uplink->outbox);
            return;
        }
        if (!publish(uplink, &batch))
            return;
    }
}

bool uplink_is_eager(const struct uplink *uplink)
{
    return uplink->in_flight_count < EAGER_BATCHES && !uplink_has_backlog(uplink) && window_open(uplink);
}

bool uplink_has_backlog(const struct uplink *uplink)
{
    return uplink->cursor < outbox_next_seq(uplink->outbox);
}
