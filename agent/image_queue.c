/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/image_queue.h"

#include "base/json_reader.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { TOPIC_BYTES = 512, WINDOW_LEFT_TO_RESULTS = 4, QUOTA_EXCEEDED = 0x97 };

void image_queue_init(struct image_queue *queue, struct uplink *uplink, struct pipeline *pipelines, int pipeline_count)
{
    *queue = (struct image_queue){.uplink = uplink, .pipelines = pipelines, .pipeline_count = pipeline_count};
}

/* The id's text out of {"v":1,"id":"...","seq": */
static void read_id(const char *head, size_t length, char id[IMAGE_ID_BYTES])
{
    struct json_reader reader;
    struct json_token token;
    id[0] = '\0';
    json_reader_init(&reader, head, length);
    if (!json_next(&reader, &token))
        return;
    while (json_next(&reader, &token) && token.kind == JSON_KEY && !json_text_equals(&token, "id")) {
        if (!json_skip_value(&reader))
            return;
    }
    size_t bytes = token.kind == JSON_KEY && json_next(&reader, &token) && token.kind == JSON_STRING ? json_unescape(&token, id, IMAGE_ID_BYTES - 1) : 0;
    id[bytes < IMAGE_ID_BYTES ? bytes : 0] = '\0';
}

static bool publish(struct image_queue *queue, const struct outbox_image *image, struct pipeline *pipeline, uint64_t ticket)
{
    struct uplink *uplink = queue->uplink;
    char topic[TOPIC_BYTES], number[24];
    if (!uplink_may_send_more(uplink) || link_window_free(uplink->link) <= WINDOW_LEFT_TO_RESULTS)
        return false;
    snprintf(topic, sizeof topic, "eddy/%s/image/%s", uplink->agent_id, image->pipeline);
    snprintf(number, sizeof number, "%lld", (long long)image->seq);
    struct link_user_property properties[] = {{"id", image->id}, {"seq", number}, {"reason", image->reason}, {"redacted", image->redacted ? "1" : "0"}};
    struct link_publication publication = {.topic = topic, .payload = image->jpeg, .payload_bytes = image->jpeg_bytes, .qos = 1,
                                           .content_type = "image/jpeg", .user_properties = properties, .user_property_count = 4, .ticket = ticket};
    struct error error;
    if (link_publish(uplink->link, &publication, &error) != ERROR_NONE)
        return false;
    uplink_spend(uplink, image->jpeg_bytes);
    atomic_fetch_add_explicit(&pipeline->images_out[image->crop], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pipeline->image_bytes_out, image->jpeg_bytes, memory_order_relaxed);
    return true;
}

static void store(struct image_queue *queue, const struct outbox_image *image, struct pipeline *pipeline)
{
    struct error error;
    bool stored = outbox_store_image(queue->uplink->outbox, image, &error) == ERROR_NONE;
    if (!stored)
        log_warning("an image is dropped: %s", error.message);
    atomic_fetch_add_explicit(stored ? &pipeline->images_stored : &pipeline->images_dropped, 1, memory_order_relaxed);
}

static struct outbox_image describe(const struct egress_image *image, const struct pipeline *pipeline, const char *id, int64_t seq)
{
    static const char *const reasons[] = {[EGRESS_NOT] = "", [EGRESS_ANOMALY] = "anomaly", [EGRESS_LOW_CONFIDENCE] = "low-confidence",
                                          [EGRESS_EVERY] = "every", [EGRESS_COMMAND] = "command"};
    return (struct outbox_image){.seq = seq, .pipeline = pipeline->config->name, .id = id, .reason = reasons[image->reason], .redacted = image->redacted,
                                 .crop = pipeline->config->egress == EGRESS_CROPS, .jpeg = image->jpeg, .jpeg_bytes = image->bytes};
}

/* A place for one more that waits for its confirmation; NULL: there is none. */
static struct image_sent *find_place(struct image_queue *queue, size_t bytes)
{
    int at = 0;
    while (at < IMAGES_SENT_MAX && queue->sent[at].image != NULL)
        at++;
    return at < IMAGES_SENT_MAX && queue->sent_bytes + bytes <= IMAGES_SENT_BYTES_MAX ? &queue->sent[at] : NULL;
}

static void let_go(struct image_queue *queue, struct image_sent *sent)
{
    queue->sent_bytes -= sent->image->bytes;
    egress_images_free(sent->image);
    sent->image = NULL;
}

static void store_sent(struct image_queue *queue, bool all)
{
    for (int i = 0; i < IMAGES_SENT_MAX; i++) {
        struct image_sent *sent = &queue->sent[i];
        if (sent->image == NULL || !(all || sent->to_be_stored))
            continue;
        struct outbox_image image = describe(sent->image, sent->pipeline, sent->id, sent->seq);
        store(queue, &image, sent->pipeline);
        let_go(queue, sent);
    }
}

void image_queue_reconnected(struct image_queue *queue)
{
    queue->cursor = 0;
    queue->in_flight = 0;
    store_sent(queue, true);
}

void image_queue_deinit(struct image_queue *queue)
{
    store_sent(queue, true);
}

/* The image is the queue's from here on. */
static void send_or_store(struct image_queue *queue, struct egress_image *one, struct pipeline *pipeline, const char *id, int64_t seq)
{
    struct outbox_image image = describe(one, pipeline, id, seq);
    struct image_sent *place = find_place(queue, one->bytes);
    uint64_t ticket = IMAGE_SENT_TICKET + queue->sent_total;
    if (place == NULL || !publish(queue, &image, pipeline, ticket)) {
        store(queue, &image, pipeline);
        egress_images_free(one);
        return;
    }
    queue->sent_total++;
    queue->sent_bytes += one->bytes;
    *place = (struct image_sent){.image = one, .pipeline = pipeline, .ticket = ticket, .seq = seq};
    memcpy(place->id, id, strlen(id) + 1);
}

void image_queue_give(struct image_queue *queue, struct egress_image *images, struct pipeline *pipeline, const char *head, size_t head_length, int64_t seq)
{
    char id[IMAGE_ID_BYTES];
    read_id(head, head_length, id);
    while (images != NULL) {
        struct egress_image *one = images;
        images = one->next;
        one->next = NULL;
        send_or_store(queue, one, pipeline, id, seq);
    }
}

static void sent_answered(struct image_queue *queue, uint64_t ticket, int reason_code)
{
    for (int i = 0; i < IMAGES_SENT_MAX; i++) {
        struct image_sent *sent = &queue->sent[i];
        if (sent->image == NULL || sent->ticket != ticket)
            continue;
        sent->to_be_stored = reason_code == QUOTA_EXCEEDED;
        if (!sent->to_be_stored)
            let_go(queue, sent);
        return;
    }
}

bool image_queue_answered(struct image_queue *queue, uint64_t ticket, int reason_code)
{
    if (ticket >= IMAGE_SENT_TICKET) {
        sent_answered(queue, ticket, reason_code);
        return true;
    }
    if (ticket < IMAGE_TICKET || queue->in_flight == 0) /* of an earlier connection */
        return ticket >= IMAGE_TICKET;
    queue->in_flight--;
    if (reason_code != QUOTA_EXCEEDED && queue->finished_count < IMAGES_FINISHED_MAX) /* else it is sent over the next connection */
        queue->finished[queue->finished_count++] = (int64_t)(ticket - IMAGE_TICKET);
    return true;
}

bool image_queue_awaits_answers(const struct image_queue *queue)
{
    return queue->in_flight > 0 || queue->sent_bytes > 0;
}

static void remove_finished(struct image_queue *queue)
{
    struct error error;
    if (queue->finished_count > 0 && outbox_remove_images(queue->uplink->outbox, queue->finished, (size_t)queue->finished_count, &error) != ERROR_NONE)
        log_warning("images that have left stay in the outbox and leave once more: %s", error.message);
    queue->finished_count = 0;
}

static struct pipeline *pipeline_of(const struct image_queue *queue, const char *name)
{
    for (int i = 0; i < queue->pipeline_count; i++) {
        if (strcmp(queue->pipelines[i].config->name, name) == 0)
            return &queue->pipelines[i];
    }
    return NULL;
}

void image_queue_send(struct image_queue *queue)
{
    struct outbox_image image;
    remove_finished(queue);
    store_sent(queue, false);
    while (!uplink_is_behind(queue->uplink) && queue->in_flight < IMAGES_IN_FLIGHT_MAX && queue->finished_count < IMAGES_FINISHED_MAX &&
           outbox_find_image(queue->uplink->outbox, queue->cursor, &image)) {
        struct pipeline *pipeline = pipeline_of(queue, image.pipeline);
        bool may_leave = pipeline != NULL && pipeline->config->egress == (image.crop ? EGRESS_CROPS : EGRESS_SNAPSHOTS);
        if (may_leave && !publish(queue, &image, pipeline, IMAGE_TICKET + (uint64_t)image.number))
            return;
        queue->in_flight += may_leave;
        if (!may_leave)
            queue->finished[queue->finished_count++] = image.number;
        queue->cursor = image.number + 1;
    }
}
