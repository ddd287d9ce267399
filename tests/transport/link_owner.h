/* SPDX-License-Identifier: Apache-2.0
 *
 * link_owner.h: an owner of a link that keeps all that it is told, for tests against a real mosquitto. */
#ifndef EDDY_TESTS_TRANSPORT_LINK_OWNER_H
#define EDDY_TESTS_TRANSPORT_LINK_OWNER_H

#include "tests/transport/broker.h"
#include "transport/link.h"

#include <pthread.h>

enum { KEPT_MAX = 4096, PATIENCE_S = 180 };

/* What a link told its owner. */
struct owner {
    pthread_mutex_t lock;
    struct link *link;
    struct link_message kept[KEPT_MAX];
    int kept_max, kept_count, connected, disconnected, published, refused, turned_away;
    uint64_t published_sum;
    bool session_present;
    char why[160];
};

static inline bool on_message(struct link_message *message, void *context)
{
    struct owner *owner = context;
    pthread_mutex_lock(&owner->lock);
    bool room = owner->kept_count < owner->kept_max;
    if (room)
        owner->kept[owner->kept_count++] = *message;
    pthread_mutex_unlock(&owner->lock);
    return room;
}

static inline void on_connected(bool session_present, void *context)
{
    struct owner *owner = context;
    pthread_mutex_lock(&owner->lock);
    owner->connected++;
    owner->session_present = session_present;
    pthread_mutex_unlock(&owner->lock);
}

static inline void on_disconnected(const char *why, void *context)
{
    struct owner *owner = context;
    pthread_mutex_lock(&owner->lock);
    owner->disconnected++;
    snprintf(owner->why, sizeof owner->why, "%s", why);
    pthread_mutex_unlock(&owner->lock);
}

static inline void on_published(uint64_t ticket, int reason_code, void *context)
{
    struct owner *owner = context;
    pthread_mutex_lock(&owner->lock);
    owner->published++;
    owner->published_sum += ticket;
    owner->refused += reason_code >= 0x80;
    pthread_mutex_unlock(&owner->lock);
}

static inline void on_refused(int reason_code, const char *why, void *context)
{
    struct owner *owner = context;
    CHECK(reason_code >= 0x80 && why[0] != '\0');
    pthread_mutex_lock(&owner->lock);
    owner->turned_away++;
    pthread_mutex_unlock(&owner->lock);
}

static inline struct owner *owner_new(void)
{
    struct owner *owner = calloc(1, sizeof *owner);
    CHECK(owner != NULL);
    owner->kept_max = KEPT_MAX;
    pthread_mutex_init(&owner->lock, NULL);
    return owner;
}

static inline void owner_free(struct owner *owner)
{
    link_close(owner->link);
    for (int i = 0; i < owner->kept_count; i++)
        link_message_release(&owner->kept[i]);
    pthread_mutex_destroy(&owner->lock);
    free(owner);
}

static inline int read_count(struct owner *owner, const int *count)
{
    pthread_mutex_lock(&owner->lock);
    int value = *count;
    pthread_mutex_unlock(&owner->lock);
    return value;
}

/* false: it did not come to that within three minutes */
static inline bool wait_for(struct owner *owner, const int *count, int least)
{
    for (int i = 0; i < PATIENCE_S * 100; i++) {
        if (read_count(owner, count) >= least)
            return true;
        broker_pause_ms(10);
    }
    return false;
}

static inline struct link_options options_for(struct owner *owner, const char *url, const char *client_id)
{
    return (struct link_options){.url = url, .client_id = client_id, .keep_alive_s = 30, .receive_maximum = 100,
                                 .on_message = on_message, .on_connected = on_connected, .on_disconnected = on_disconnected,
                                 .on_published = on_published, .context = owner};
}

static inline const char *url_of(const struct broker *broker, const char *scheme)
{
    static char url[64];
    snprintf(url, sizeof url, "%s://localhost:%d", scheme, broker->port);
    return url;
}

static inline struct owner *open_publisher(const struct broker *broker)
{
    struct owner *owner = owner_new();
    struct error error;
    struct link_options options = options_for(owner, url_of(broker, "mqtt"), "publisher");
    CHECK_OK(link_open(&options, &owner->link, &error), error);
    CHECK(wait_for(owner, &owner->connected, 1));
    return owner;
}

static inline struct owner *open_subscriber(const char *url, uint32_t session_expiry_s, int receive_maximum, const char *filter)
{
    static const int qos = 1;
    struct owner *owner = owner_new();
    struct error error;
    struct link_options options = options_for(owner, url, "subscriber");
    options.session_expiry_s = session_expiry_s;
    options.receive_maximum = receive_maximum;
    options.keep_alive_s = 2;
    options.filters = &filter;
    options.filter_qos = &qos;
    options.filter_count = 1;
    CHECK_OK(link_open(&options, &owner->link, &error), error);
    CHECK(wait_for(owner, &owner->connected, 1));
    broker_pause_ms(200); /* for the SUBACK */
    return owner;
}

/* Publishes "first" to "first + count - 1" as texts, with tickets of the same numbers plus one. */
static inline void publish_numbers(struct owner *publisher, const char *topic, int first, int count, int qos)
{
    int before = read_count(publisher, &publisher->published);
    for (int i = 0; i < count; i++) {
        char text[16];
        struct error error;
        snprintf(text, sizeof text, "%d", first + i);
        struct link_publication publication = {.topic = topic, .payload = text, .payload_bytes = strlen(text), .qos = qos,
                                               .ticket = (uint64_t)(first + i + 1)};
        while (qos > 0 && link_window_free(publisher->link) == 0)
            broker_pause_ms(1);
        CHECK_OK(link_publish(publisher->link, &publication, &error), error);
    }
    CHECK(wait_for(publisher, &publisher->published, before + count));
}

static inline int number_of(const struct link_message *message)
{
    char text[16] = "";
    memcpy(text, message->payload, message->payload_bytes < 15 ? message->payload_bytes : 15);
    return atoi(text);
}

static inline void acknowledge(struct owner *owner, int from, int count)
{
    struct link_message *list[KEPT_MAX];
    pthread_mutex_lock(&owner->lock);
    for (int i = 0; i < count; i++)
        list[i] = &owner->kept[from + i];
    pthread_mutex_unlock(&owner->lock);
    link_acknowledge(owner->link, list, (size_t)count);
}

#endif
