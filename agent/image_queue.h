/* SPDX-License-Identifier: Apache-2.0
 *
 * image_queue.h: images on their way upstream: at once where the link takes them, else from the outbox once it is back.
 *
 * An image that was sent at once stays in memory until it is confirmed, IMAGES_SENT_MAX and IMAGES_SENT_BYTES_MAX at most: if its connection breaks first,
 * or the agent stops, it goes to the outbox. What does not fit is stored at once.
 * eddy/<agent>/image/<pipeline>, QoS 1, user properties id, seq, reason, redacted. Results go first: what waits is sent while no result does, a few at
 * a time, and is removed on PUBACK. An image is looked at once more before it leaves: where its pipeline's egress no longer lets it, it is dropped.
 * Bytes count towards upstream.bandwidth. Threads: the committer's alone. */
#ifndef EDDY_AGENT_IMAGE_QUEUE_H
#define EDDY_AGENT_IMAGE_QUEUE_H

#include "agent/egress.h"
#include "agent/pipeline.h"
#include "agent/uplink.h"
#include "transport/outbox.h"

enum { IMAGES_IN_FLIGHT_MAX = 4, IMAGES_FINISHED_MAX = 16, IMAGES_SENT_MAX = 16, IMAGES_SENT_BYTES_MAX = 4 << 20, IMAGE_ID_BYTES = 1024 };
#define IMAGE_TICKET (UINT64_C(1) << 61)                       /* tickets from here on are of stored images, */
#define IMAGE_SENT_TICKET (IMAGE_TICKET + (UINT64_C(1) << 60)) /* from here on, below EVENT_TICKET, of those that were sent at once */

struct image_sent {
    struct egress_image *image;   /* NULL: a free place */
    struct pipeline *pipeline;
    uint64_t ticket;
    int64_t seq;
    char id[IMAGE_ID_BYTES];
    bool to_be_stored;            /* the broker does not want it now */
};

struct image_queue {
    struct uplink *uplink; /* whose link, outbox and agent_id it uses */
    struct pipeline *pipelines;
    int pipeline_count;
    int64_t cursor;        /* number of the first image that was not handed to the present connection */
    int in_flight;
    int64_t finished[IMAGES_FINISHED_MAX]; /* to be removed */
    int finished_count;
    struct image_sent sent[IMAGES_SENT_MAX];
    uint64_t sent_total;
    size_t sent_bytes;
};

void image_queue_init(struct image_queue *queue, struct uplink *uplink, struct pipeline *pipelines, int pipeline_count);
void image_queue_reconnected(struct image_queue *queue); /* or disconnected: what was in flight is sent again */
void image_queue_deinit(struct image_queue *queue);      /* stores what was not confirmed */
/* Sends or stores the images of a result, which are its own then. head: of its line, from the brace to "seq": */
void image_queue_give(struct image_queue *queue, struct egress_image *images, struct pipeline *pipeline, const char *head, size_t head_length, int64_t seq);
bool image_queue_answered(struct image_queue *queue, uint64_t ticket, int reason_code); /* false: the ticket is of something else */
bool image_queue_awaits_answers(const struct image_queue *queue);
void image_queue_send(struct image_queue *queue); /* what waits, as far as it may */

#endif
