/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/events.h"

#include "base/clock.h"
#include "base/json_writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 2 * 1024, TOPIC_BYTES = 256 };

void events_init(struct events *events)
{
    *events = (struct events){0};
    pthread_mutex_init(&events->lock, NULL);
}

void events_deinit(struct events *events)
{
    pthread_mutex_destroy(&events->lock);
}

static struct event *find_slot(struct events *events, const char *name)
{
    for (int i = 0; i < EVENTS_MAX; i++) {
        struct event *event = &events->slots[i];
        if (event->name[0] == '\0')
            snprintf(event->name, sizeof event->name, "%s", name);
        if (strcmp(event->name, name) == 0)
            return event;
    }
    return NULL;
}

void events_raise(struct events *events, const char *name, const char *format, ...)
{
    va_list arguments;
    pthread_mutex_lock(&events->lock);
    struct event *event = find_slot(events, name);
    if (event != NULL) {
        va_start(arguments, format);
        vsnprintf(event->message, sizeof event->message, format, arguments);
        va_end(arguments);
        event->happened_wall_us = clock_wall_us();
        event->count++;
        event->pending = true;
    }
    pthread_mutex_unlock(&events->lock);
}

static size_t write_text(const struct event *event, char text[TEXT_BYTES])
{
    char ts[CLOCK_TEXT_BYTES];
    struct json_writer writer;
    clock_format(event->happened_wall_us, ts);
    json_writer_init(&writer, text, TEXT_BYTES);
    json_object_begin(&writer);
    json_key(&writer, "ts");
    json_string(&writer, ts);
    json_key(&writer, "message");
    json_string(&writer, event->message);
    json_key(&writer, "count");
    json_integer(&writer, event->count);
    json_object_end(&writer);
    return json_writer_finish(&writer) ? writer.length : 0;
}

/* Takes what is due out of its slot before it is sent: the answer may come before link_publish returns. */
static bool take_due(struct event *event, int64_t now_us, struct event *copy_out)
{
    bool due = event->pending && !event->in_flight &&
               (event->published_us == 0 || now_us - event->published_us >= EVENTS_INTERVAL_S * INT64_C(1000000));
    if (due) {
        *copy_out = *event;
        event->published_count = event->count;
        event->published_us = now_us;
        event->pending = false;
        event->in_flight = true;
    }
    return due;
}

static void put_back(struct event *event)
{
    event->pending = true;
    event->in_flight = false;
    event->published_us = 0;
}

void events_publish(struct events *events, struct link *link, const char *agent_id)
{
    char topic[TOPIC_BYTES], text[TEXT_BYTES];
    int64_t now = clock_monotonic_us();
    for (int i = 0; i < EVENTS_MAX && link_window_free(link) > 0; i++) {
        struct event event;
        struct error error;
        pthread_mutex_lock(&events->lock);
        bool due = take_due(&events->slots[i], now, &event);
        pthread_mutex_unlock(&events->lock);
        if (!due)
            continue;
        snprintf(topic, sizeof topic, "eddy/%s/event/%s", agent_id, event.name);
        struct link_publication publication = {.topic = topic, .payload = text, .payload_bytes = write_text(&event, text), .qos = 1,
                                               .content_type = "application/json", .ticket = EVENT_TICKET + (uint64_t)i};
        if (link_publish(link, &publication, &error) == ERROR_NONE)
            continue;
        pthread_mutex_lock(&events->lock);
        put_back(&events->slots[i]);
        pthread_mutex_unlock(&events->lock);
    }
}

bool events_confirmed(struct events *events, uint64_t ticket, int reason_code)
{
    (void)reason_code; /* a broker that does not want it will not want it tomorrow either */
    if (ticket < EVENT_TICKET || ticket >= EVENT_TICKET + EVENTS_MAX)
        return false;
    struct event *event = &events->slots[ticket - EVENT_TICKET];
    pthread_mutex_lock(&events->lock);
    if (event->in_flight) {
        event->in_flight = false;
        event->count -= event->published_count;
    }
    pthread_mutex_unlock(&events->lock);
    return true;
}

void events_disconnected(struct events *events)
{
    pthread_mutex_lock(&events->lock);
    for (int i = 0; i < EVENTS_MAX; i++) {
        if (events->slots[i].in_flight)
            put_back(&events->slots[i]);
    }
    pthread_mutex_unlock(&events->lock);
}
