/* SPDX-License-Identifier: Apache-2.0
 *
 * refused.h: the batches that the broker refused for good, for the commands refused-list, refused-send and refused-drop.
 *
 *   list  {"batches":[{"first-seq","last-seq","pipeline","count","bytes","reason"}],"more":true}   up to REFUSED_LISTED_MAX from seq on
 *   send, drop  {"batches":N}
 * Threads: one asks, the outbox's owner serves; once it has begun, the other waits until it is done. */
#ifndef EDDY_AGENT_REFUSED_H
#define EDDY_AGENT_REFUSED_H

#include "agent/committer.h"
#include "agent/uplink.h"

enum { REFUSED_LISTED_MAX = 100 };

struct refused_request {
    enum committer_refused_verb verb;
    int64_t seq;
    struct json_writer *data;
    struct error *error;
    enum error_code code;
    bool done;
};

struct refused_desk { /* where the thread that asks and the outbox's owner meet */
    pthread_mutex_t lock;
    pthread_cond_t served;
    struct refused_request *request;
};

void refused_desk_init(struct refused_desk *desk);
void refused_desk_deinit(struct refused_desk *desk);
void refused_desk_place(struct refused_desk *desk, struct refused_request *request);
MUST_CHECK enum error_code refused_desk_wait(struct refused_desk *desk, struct refused_request *request);
void refused_desk_serve(struct refused_desk *desk, struct uplink *uplink);
/* Sets aside what the uplink lists, counts it and tells. What cannot be set aside stays where it is, and is tried again over the next connection. */
void refused_set_aside(struct uplink *uplink, struct events *events);
void refused_send_all(struct uplink *uplink); /* what was set aside, as after the command flush */

#endif
