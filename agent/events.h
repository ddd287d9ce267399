/* SPDX-License-Identifier: Apache-2.0
 *
 * events.h: eddy/<agent>/event/<name>: what an operator wants to be told once.
 *
 * Raised by any thread at any time; published at QoS 1 by the main thread when the link is there, again after a lost connection, until the
 * broker has it. One slot a name: what happens again before it was told, or within EVENTS_INTERVAL_S of it, is told together, with the last
 * message and a count. Events are not kept over a restart: what they report is in the log and in health as well.
 *   {"ts":"2026-11-23T14:05:31.123456Z","message":"...","count":1}      (docs/uplink.md lists the names)
 * Threads: events_raise and events_confirmed take one short lock and may be called from link callbacks. */
#ifndef EDDY_AGENT_EVENTS_H
#define EDDY_AGENT_EVENTS_H

#include "base/error.h"
#include "transport/link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { EVENTS_MAX = 24, EVENT_NAME_BYTES = 32, EVENT_MESSAGE_BYTES = 320, EVENTS_INTERVAL_S = 60 };
#define EVENT_TICKET (UINT64_C(1) << 62) /* tickets from here on are of events */

struct event {
    char name[EVENT_NAME_BYTES]; /* "": a free slot */
    char message[EVENT_MESSAGE_BYTES];
    int64_t happened_wall_us, published_us;
    int count, published_count;
    bool pending, in_flight;
};

struct events {
    pthread_mutex_t lock;
    struct event slots[EVENTS_MAX];
};

void events_init(struct events *events);
void events_deinit(struct events *events);
/* name: a topic level, in the words of docs/uplink.md. */
void events_raise(struct events *events, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
void events_publish(struct events *events, struct link *link, const char *agent_id); /* what is due */
bool events_confirmed(struct events *events, uint64_t ticket, int reason_code); /* false: the ticket is of something else */
void events_disconnected(struct events *events);

#endif
