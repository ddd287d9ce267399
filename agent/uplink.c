/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/uplink.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum {
    EAGER_BATCHES = 4,
    TOPIC_BYTES = 512,
    LIVE_PLACES = 2,        /* of the window, that the backlog leaves free */
    SECOND_US = 1000000,
    HOLD_MAX_S = 60,
    DOUBTS_MAX = 5,
    COMPETED_BYTES_MAX = 1 << 24, /* both counts are halved there: the share holds over the recent past */
    QUOTA_EXCEEDED = 0x97, UNSPECIFIED_ERROR = 0x80, IMPLEMENTATION_SPECIFIC_ERROR = 0x83, PACKET_TOO_LARGE = 0x95,
};

void uplink_init(struct uplink *uplink, struct outbox *outbox, const char *agent_id, double live_share, int64_t bandwidth)
{
    *uplink = (struct uplink){.outbox = outbox, .agent_id = agent_id, .live_share = live_share, .bandwidth = bandwidth,
                              .allowance = bandwidth, .allowance_us = clock_monotonic_us(), .doubtful_seq = -1,
                              .patience_us = UPLINK_PATIENCE_US};
    uplink_disconnected(uplink);
}

/* What was saved up at another limit counts as far as the new one lets it. */
void uplink_set_bandwidth(struct uplink *uplink, int64_t bandwidth)
{
    if (bandwidth == uplink->bandwidth)
        return;
    if (uplink->bandwidth <= 0) {
        uplink->allowance = bandwidth;
        uplink->allowance_us = clock_monotonic_us();
    }
    uplink->bandwidth = bandwidth;
    uplink->allowance = uplink->allowance < bandwidth ? uplink->allowance : bandwidth;
}

void uplink_connected(struct uplink *uplink)
{
    uplink->live_waits_us = 0;
    uplink->replay_below = outbox_next_seq(uplink->outbox);
    uplink->streams[UPLINK_URGENT] = uplink->streams[UPLINK_BACKLOG] = (struct uplink_stream){.behind = true};
    uplink->streams[UPLINK_LIVE] = (struct uplink_stream){.cursor = uplink->replay_below};
    uplink->held_until_us = 0;
}

/* What was in flight is part of the backlog of the next connection. */
void uplink_disconnected(struct uplink *uplink)
{
    uplink->in_flight_count = 0;
    for (int i = 0; i < UPLINK_STREAMS; i++)
        uplink->streams[i] = (struct uplink_stream){.behind = true};
}

static enum uplink_stream_name stream_of(const struct uplink *uplink, int64_t first_seq, bool urgent)
{
    return urgent ? UPLINK_URGENT : first_seq < uplink->replay_below ? UPLINK_BACKLOG : UPLINK_LIVE;
}

static bool is_in_flight(const struct uplink *uplink, int64_t first_seq)
{
    for (int i = 0; i < uplink->in_flight_count; i++) {
        if (uplink->in_flight[i].first_seq == first_seq)
            return true;
    }
    return false;
}

static void note_refusal(struct uplink *uplink, int64_t first_seq, int reason_code)
{
    uplink->refusals[uplink->refusal_count++] = (struct uplink_refusal){first_seq, reason_code};
    if (uplink->doubtful_seq == first_seq)
        uplink->doubtful_seq = -1;
}

static void send_again_later(struct uplink *uplink, const struct uplink_in_flight *batch)
{
    struct uplink_stream *stream = &uplink->streams[batch->stream];
    stream->cursor = batch->first_seq < stream->cursor ? batch->first_seq : stream->cursor;
    stream->behind = true;
    int64_t now = clock_monotonic_us();
    if (now < uplink->held_until_us)
        return; /* one of a window that was refused together */
    int64_t seconds = uplink->holds < 6 ? INT64_C(1) << uplink->holds : HOLD_MAX_S;
    uplink->held_until_us = now + seconds * SECOND_US;
    uplink->holds += uplink->holds < 6;
    uplink->postponed++;
}

/* Only of the oldest such batch the refusals are counted: the others' turn comes once it is gone. */
static bool is_hopeless(struct uplink *uplink, int64_t first_seq)
{
    if (uplink->doubtful_seq < 0 || first_seq < uplink->doubtful_seq) {
        uplink->doubtful_seq = first_seq;
        uplink->doubtful_count = 0;
    }
    return first_seq == uplink->doubtful_seq && ++uplink->doubtful_count >= DOUBTS_MAX;
}

enum uplink_verdict uplink_answered(struct uplink *uplink, int64_t first_seq, int reason_code)
{
    int at = 0;
    while (at < uplink->in_flight_count && uplink->in_flight[at].first_seq != first_seq)
        at++;
    if (at == uplink->in_flight_count)
        return UPLINK_UNKNOWN;
    struct uplink_in_flight batch = uplink->in_flight[at];
    uplink->in_flight_count--;
    memmove(&uplink->in_flight[at], &uplink->in_flight[at + 1], (size_t)(uplink->in_flight_count - at) * sizeof batch);
    uplink->streams[batch.stream].in_flight--;
    if (reason_code < UNSPECIFIED_ERROR) {
        uplink->holds = 0;
        if (first_seq == uplink->doubtful_seq)
            uplink->doubtful_seq = -1;
        return UPLINK_DELIVERED;
    }
    bool may_pass = reason_code == QUOTA_EXCEEDED ||
                    ((reason_code == UNSPECIFIED_ERROR || reason_code == IMPLEMENTATION_SPECIFIC_ERROR) && !is_hopeless(uplink, first_seq));
    if (may_pass || uplink->refusal_count == UPLINK_REFUSALS_MAX) {
        send_again_later(uplink, &batch);
        return UPLINK_LATER;
    }
    note_refusal(uplink, first_seq, reason_code);
    return UPLINK_REFUSED;
}

static void earn_allowance(struct uplink *uplink, int64_t now_us)
{
    if (uplink->bandwidth <= 0)
        return;
    int64_t passed = now_us - uplink->allowance_us;
    passed = passed < SECOND_US ? passed : SECOND_US;
    int64_t earned = (int64_t)((double)uplink->bandwidth * (double)passed / SECOND_US);
    uplink->allowance = uplink->allowance + earned < uplink->bandwidth ? uplink->allowance + earned : uplink->bandwidth;
    uplink->allowance_us = passed < SECOND_US ? uplink->allowance_us + (int64_t)((double)earned / (double)uplink->bandwidth * SECOND_US) : now_us;
}

bool uplink_may_send_more(struct uplink *uplink)
{
    int64_t now = clock_monotonic_us();
    earn_allowance(uplink, now);
    return uplink->link != NULL && uplink->in_flight_count < UPLINK_IN_FLIGHT_MAX && uplink->refusal_count < UPLINK_REFUSALS_MAX &&
           now >= uplink->held_until_us && uplink->bandwidth != BANDWIDTH_NONE &&
           (uplink->bandwidth == BANDWIDTH_UNLIMITED || uplink->allowance > 0) && link_window_free(uplink->link) > 0;
}

void uplink_spend(struct uplink *uplink, size_t bytes)
{
    if (uplink->bandwidth > 0)
        uplink->allowance -= (int64_t)bytes;
}

static void account(struct uplink *uplink, const struct outbox_batch *batch, enum uplink_stream_name name)
{
    struct uplink_stream *live = &uplink->streams[UPLINK_LIVE], *backlog = &uplink->streams[UPLINK_BACKLOG];
    uplink->streams[name].in_flight++;
    uplink->streams[name].bytes_sent += (int64_t)batch->body_bytes;
    if (!live->behind || !backlog->behind)
        live->bytes_sent = backlog->bytes_sent = 0;
    if (live->bytes_sent + backlog->bytes_sent > COMPETED_BYTES_MAX) {
        live->bytes_sent /= 2;
        backlog->bytes_sent /= 2;
    }
    uplink_spend(uplink, batch->body_bytes);
}

static bool publish(struct uplink *uplink, const struct outbox_batch *batch, enum uplink_stream_name name)
{
    char topic[TOPIC_BYTES], count[24], first[24], last[24];
    snprintf(topic, sizeof topic, "eddy/%s/result/%s", uplink->agent_id, batch->pipeline);
    snprintf(count, sizeof count, "%d", batch->count);
    snprintf(first, sizeof first, "%lld", (long long)batch->first_seq);
    snprintf(last, sizeof last, "%lld", (long long)batch->last_seq);
    char thinned[24];
    struct link_user_property properties[6] = {{"count", count}, {"first-seq", first}, {"last-seq", last}};
    int property_count = 3;
    if (batch->encoding == OUTBOX_LZ4)
        properties[property_count++] = (struct link_user_property){"content-encoding", "lz4"};
    int64_t missing = batch->last_seq - batch->first_seq + 1 - batch->count;
    if (missing > 0) {
        snprintf(thinned, sizeof thinned, "%lld", (long long)missing);
        properties[property_count++] = (struct link_user_property){"thinned", thinned};
    }
    bool replay = batch->first_seq < uplink->replay_below;
    if (replay)
        properties[property_count++] = (struct link_user_property){"replay", "1"};
    struct link_publication publication = {.topic = topic, .payload = batch->body, .payload_bytes = batch->body_bytes, .qos = 1,
                                           .content_type = "application/x-ndjson", .user_properties = properties,
                                           .user_property_count = property_count, .ticket = (uint64_t)batch->first_seq + 1};
    struct error error;
    enum error_code code = link_publish(uplink->link, &publication, &error);
    if (code != ERROR_NONE && code != ERROR_LIMIT)
        return false;
    uplink->streams[name].cursor = batch->last_seq + 1;
    if (code == ERROR_LIMIT) { /* more than this broker ever takes: it is not even asked */
        note_refusal(uplink, batch->first_seq, PACKET_TOO_LARGE);
        return true;
    }
    uplink->in_flight[uplink->in_flight_count++] = (struct uplink_in_flight){batch->first_seq, name};
    uplink->replayed += replay;
    account(uplink, batch, name);
    return true;
}

void uplink_offer(struct uplink *uplink, const struct outbox_batch *batch)
{
    enum uplink_stream_name name = stream_of(uplink, batch->first_seq, batch->urgent);
    struct uplink_stream *stream = &uplink->streams[name];
    bool waits = stream->behind || (name == UPLINK_LIVE && uplink->streams[UPLINK_BACKLOG].behind) || !uplink_may_send_more(uplink);
    if (waits || !publish(uplink, batch, name))
        stream->behind = true;
    if (name == UPLINK_LIVE && stream->behind && uplink->live_waits_us == 0)
        uplink->live_waits_us = clock_monotonic_us();
}

/* All leaves in order for as long as that makes no live batch wait long: a short backlog is gone by then, a long one has to share. */
static bool live_may_overtake(const struct uplink *uplink)
{
    return uplink->live_share > 0 && uplink->live_waits_us > 0 && clock_monotonic_us() - uplink->live_waits_us >= uplink->patience_us;
}

/* The next stored batch of a stream that is not in flight; without one the stream is no longer behind. */
static bool find_next(struct uplink *uplink, enum uplink_stream_name name, struct outbox_batch *batch)
{
    struct uplink_stream *stream = &uplink->streams[name];
    while (outbox_find_ranked(uplink->outbox, stream->cursor, name == UPLINK_URGENT, batch)) {
        if (name == UPLINK_BACKLOG && batch->first_seq >= uplink->replay_below)
            break;
        if (!is_in_flight(uplink, batch->first_seq))
            return true;
        stream->cursor = batch->last_seq + 1;
    }
    stream->behind = false;
    return false;
}

/* UPLINK_STREAMS: nothing may go. */
static enum uplink_stream_name choose_stream(const struct uplink *uplink)
{
    const struct uplink_stream *live = &uplink->streams[UPLINK_LIVE], *backlog = &uplink->streams[UPLINK_BACKLOG];
    if (uplink->streams[UPLINK_URGENT].behind)
        return UPLINK_URGENT;
    bool overtake = live_may_overtake(uplink);
    bool live_first = live->behind && (!backlog->behind || (overtake && (double)live->bytes_sent * (1 - uplink->live_share) <
                                                               (double)backlog->bytes_sent * uplink->live_share));
    if (live_first)
        return UPLINK_LIVE;
    bool place = !overtake || backlog->in_flight == 0 || link_window_free(uplink->link) > LIVE_PLACES;
    if (backlog->behind && place)
        return UPLINK_BACKLOG;
    return live->behind && overtake ? UPLINK_LIVE : UPLINK_STREAMS;
}

void uplink_send(struct uplink *uplink)
{
    struct outbox_batch batch;
    while (uplink_may_send_more(uplink)) {
        enum uplink_stream_name name = choose_stream(uplink);
        if (name == UPLINK_STREAMS)
            return;
        if (find_next(uplink, name, &batch) && !publish(uplink, &batch, name))
            return;
    }
}

void uplink_restored(struct uplink *uplink, int64_t first_seq)
{
    for (int i = 0; i < UPLINK_STREAMS; i++) {
        struct uplink_stream *stream = &uplink->streams[i];
        int64_t from = i == UPLINK_LIVE && first_seq < uplink->replay_below ? uplink->replay_below : first_seq;
        stream->cursor = from < stream->cursor ? from : stream->cursor;
        stream->behind = true;
    }
}

bool uplink_is_behind(const struct uplink *uplink)
{
    return uplink->streams[UPLINK_URGENT].behind || uplink->streams[UPLINK_BACKLOG].behind || uplink->streams[UPLINK_LIVE].behind;
}

bool uplink_is_eager(const struct uplink *uplink)
{
    return uplink->in_flight_count < EAGER_BATCHES && !uplink_is_behind(uplink) && uplink->link != NULL && link_window_free(uplink->link) > 0;
}

int64_t uplink_wake_us(const struct uplink *uplink, int64_t now_us)
{
    if (uplink->link == NULL || !uplink_is_behind(uplink) || uplink->bandwidth == BANDWIDTH_NONE)
        return INT64_MAX;
    int64_t wake = now_us < uplink->held_until_us ? uplink->held_until_us : INT64_MAX;
    if (uplink->bandwidth > 0 && uplink->allowance <= 0) {
        int64_t paid_us = uplink->allowance_us + (int64_t)((double)(1 - uplink->allowance) / (double)uplink->bandwidth * SECOND_US) + 1000;
        wake = wake == INT64_MAX || paid_us > wake ? paid_us : wake;
    }
    return wake;
}
