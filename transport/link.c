/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/link.h"

#include "base/clock.h"
#include "transport/link_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_BYTES_MAX = 256 * 1024 * 1024 - 1 - 128 * 1024 /* what MQTT's length field allows beside a topic and properties */ };

/* A Paho client that never connects. While it exists, Paho does not tear its threads down and up again with every new connection. */
static pthread_mutex_t anchor_lock = PTHREAD_MUTEX_INITIALIZER;
static MQTTAsync anchor;
static int anchor_users;

static enum error_code take_anchor(struct error *error)
{
    int status = MQTTASYNC_SUCCESS;
    pthread_mutex_lock(&anchor_lock);
    if (anchor_users == 0)
        status = MQTTAsync_create(&anchor, "tcp://127.0.0.1:1", "anchor", MQTTCLIENT_PERSISTENCE_NONE, NULL);
    if (status == MQTTASYNC_SUCCESS)
        anchor_users++;
    pthread_mutex_unlock(&anchor_lock);
    return status == MQTTASYNC_SUCCESS ? ERROR_NONE : error_set(error, ERROR_INTERNAL, "Paho does not start (%d)", status);
}

static void drop_anchor(void)
{
    pthread_mutex_lock(&anchor_lock);
    if (--anchor_users == 0)
        MQTTAsync_destroy(&anchor);
    pthread_mutex_unlock(&anchor_lock);
}

static enum error_code start(struct link *link, struct error *error)
{
    sigset_t all, before;
    TRY(take_anchor(error));
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before); /* signals are the main thread's; Paho's threads inherit this */
    int status = pthread_create(&link->thread, NULL, link_thread, link);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != 0) {
        drop_anchor();
        return error_set(error, ERROR_LIMIT, "cannot start a thread for the connection: %s", strerror(status));
    }
    pthread_setname_np(link->thread, "link");
    link->thread_runs = true;
    return ERROR_NONE;
}

enum error_code link_open(const struct link_options *options, struct link **link_out, struct error *error)
{
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a connection");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&link->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&link->handle_lock, NULL);
    pthread_mutex_init(&link->lock, NULL);
    link->packet_bytes_max = SIZE_MAX;
    link->random = (unsigned)clock_wall_us() ^ (unsigned)(uintptr_t)link;
    enum error_code code = link_settings_copy(link, options, error);
    link->keep_alive_s = link->settings.keep_alive_s;
    if (code == ERROR_NONE) {
        link->acknowledgements = calloc(LINK_PACKET_IDS, sizeof *link->acknowledgements);
        code = link->acknowledgements != NULL ? start(link, error) : error_set(error, ERROR_LIMIT, "no memory for a connection");
    }
    if (code != ERROR_NONE) {
        link_close(link);
        return code;
    }
    *link_out = link;
    return ERROR_NONE;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    if (link->thread_runs) {
        pthread_mutex_lock(&link->lock);
        link->closing = true;
        link->usable = false;
        pthread_cond_signal(&link->wake);
        pthread_mutex_unlock(&link->lock);
        pthread_join(link->thread, NULL);
        drop_anchor();
    }
    link_settings_free(link);
    free(link->acknowledgements);
    pthread_mutex_destroy(&link->lock);
    pthread_mutex_destroy(&link->handle_lock);
    pthread_cond_destroy(&link->wake);
    free(link);
}

/* An answer to a publication; counts only while its connection is the present one. */
static void settle(struct link_slot *slot, int reason_code)
{
    struct link *link = slot->link;
    pthread_mutex_lock(&link->lock);
    bool current = slot->busy && slot->generation == link->generation;
    uint64_t ticket = slot->ticket;
    if (current) {
        slot->busy = false;
        link->in_flight[slot->qos]--;
    }
    bool tell = current && ticket != 0 && reason_code >= 0 && !link->closing;
    pthread_mutex_unlock(&link->lock);
    if (tell && link->settings.on_published != NULL)
        link->settings.on_published(ticket, reason_code, link->settings.context);
    if (current && reason_code < 0 && ticket != 0) /* lost inside Paho: the owner sends again after a disconnect */
        link_note_event(link, LINK_LOST, "a publication could not be sent");
}

static void publish_succeeded(void *context, MQTTAsync_successData5 *answer)
{
    settle(context, (int)answer->reasonCode);
}

static void publish_failed(void *context, MQTTAsync_failureData5 *answer)
{
    settle(context, (int)answer->reasonCode >= 0x80 ? (int)answer->reasonCode : -1);
}

static struct link_slot *take_slot(struct link *link, const struct link_publication *publication)
{
    int qos = publication->qos > 0;
    struct link_slot *slot = NULL;
    pthread_mutex_lock(&link->lock);
    if (link->usable && link->in_flight[qos] < (qos == 1 ? link->window : LINK_QOS0_MAX)) {
        for (slot = link->slots; slot->busy; slot++) { /* there is one: the two limits add up to LINK_SLOTS */
        }
        *slot = (struct link_slot){.link = link, .ticket = publication->ticket, .generation = link->generation, .qos = qos, .busy = true};
        link->in_flight[qos]++;
    }
    pthread_mutex_unlock(&link->lock);
    return slot;
}

static void give_slot_back(struct link_slot *slot)
{
    struct link *link = slot->link;
    pthread_mutex_lock(&link->lock);
    if (slot->busy && slot->generation == link->generation) {
        slot->busy = false;
        link->in_flight[slot->qos]--;
    }
    pthread_mutex_unlock(&link->lock);
}

static void add_data(MQTTProperties *properties, enum MQTTPropertyCodes which, const void *data, size_t bytes)
{
    MQTTProperty property = {.identifier = which};
    property.value.data.data = (char *)(uintptr_t)data;
    property.value.data.len = (int)bytes;
    (void)MQTTProperties_add(properties, &property); /* fails where memory does, and then so does the sending */
}

static void add_properties(MQTTProperties *properties, const struct link_publication *publication)
{
    if (publication->content_type != NULL)
        add_data(properties, MQTTPROPERTY_CODE_CONTENT_TYPE, publication->content_type, strlen(publication->content_type));
    if (publication->response_topic != NULL)
        add_data(properties, MQTTPROPERTY_CODE_RESPONSE_TOPIC, publication->response_topic, strlen(publication->response_topic));
    if (publication->correlation != NULL)
        add_data(properties, MQTTPROPERTY_CODE_CORRELATION_DATA, publication->correlation, publication->correlation_bytes);
    for (int i = 0; i < publication->user_property_count; i++) {
        const struct link_user_property *user = &publication->user_properties[i];
        MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
        property.value.data.data = (char *)(uintptr_t)user->name;
        property.value.data.len = (int)strlen(user->name);
        property.value.value.data = (char *)(uintptr_t)user->value;
        property.value.value.len = (int)strlen(user->value);
        (void)MQTTProperties_add(properties, &property);
    }
}

static int send_publication(struct link *link, const struct link_publication *publication, struct link_slot *slot)
{
    MQTTAsync_message message = MQTTAsync_message_initializer;
    MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
    message.payload = (void *)(uintptr_t)publication->payload;
    message.payloadlen = (int)publication->payload_bytes;
    message.qos = slot->qos;
    message.retained = publication->retain;
    add_properties(&message.properties, publication);
    answer.context = slot;
    answer.onSuccess5 = publish_succeeded;
    answer.onFailure5 = publish_failed;
    pthread_mutex_lock(&link->handle_lock);
    pthread_mutex_lock(&link->lock);
    bool usable = link->usable && slot->generation == link->generation;
    pthread_mutex_unlock(&link->lock);
    int status = usable ? MQTTAsync_sendMessage(link->handle, publication->topic, &message, &answer) : MQTTASYNC_DISCONNECTED;
    pthread_mutex_unlock(&link->handle_lock);
    MQTTProperties_free(&message.properties);
    return status;
}

static size_t packet_bytes(const struct link_publication *publication)
{
    size_t bytes = publication->payload_bytes + strlen(publication->topic) + publication->correlation_bytes + LINK_PACKET_OVERHEAD;
    bytes += publication->content_type != NULL ? strlen(publication->content_type) : 0;
    bytes += publication->response_topic != NULL ? strlen(publication->response_topic) : 0;
    for (int i = 0; i < publication->user_property_count; i++)
        bytes += strlen(publication->user_properties[i].name) + strlen(publication->user_properties[i].value) + 5;
    return bytes;
}

enum error_code link_publish(struct link *link, const struct link_publication *publication, struct error *error)
{
    if (publication->payload_bytes > PAYLOAD_BYTES_MAX || publication->correlation_bytes > UINT16_MAX)
        return error_set(error, ERROR_LIMIT, "a publication of %zu bytes is more than MQTT carries", publication->payload_bytes);
    pthread_mutex_lock(&link->lock);
    size_t most = link->packet_bytes_max;
    pthread_mutex_unlock(&link->lock);
    if (packet_bytes(publication) > most)
        return error_set(error, ERROR_LIMIT, "a publication of %zu bytes to %.100s is more than the broker takes (%zu): lower max_bytes",
                         publication->payload_bytes, publication->topic, most);
    struct link_slot *slot = take_slot(link, publication);
    if (slot == NULL)
        return error_set(error, ERROR_LINK, "not connected, or as much is in flight as the broker allows");
    int status = send_publication(link, publication, slot);
    if (status != MQTTASYNC_SUCCESS) {
        give_slot_back(slot);
        return error_set(error, ERROR_LINK, "cannot publish to %.100s: Paho says %d", publication->topic, status);
    }
    atomic_fetch_add_explicit(&link->messages_out, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&link->bytes_out, publication->payload_bytes, memory_order_relaxed);
    return ERROR_NONE;
}

const char *link_reason_name(int reason_code)
{
    const char *name = MQTTReasonCode_toString((enum MQTTReasonCodes)reason_code);
    return name != NULL ? name : "no reason known";
}

int link_window_free(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    int room = link->usable ? link->window - link->in_flight[1] : 0;
    pthread_mutex_unlock(&link->lock);
    return room;
}

static enum error_code change_subscription(struct link *link, const char *filter, int qos, bool removed, struct error *error)
{
    pthread_mutex_lock(&link->lock);
    enum error_code code = link_add_subscription(link, filter, qos, removed, error);
    link->subscriptions_changed = true;
    link_wake_locked(link);
    pthread_mutex_unlock(&link->lock);
    return code;
}

enum error_code link_subscribe(struct link *link, const char *filter, int qos, struct error *error)
{
    return change_subscription(link, filter, qos, false, error);
}

enum error_code link_unsubscribe(struct link *link, const char *filter, struct error *error)
{
    return change_subscription(link, filter, 0, true, error);
}

void link_get_statistics(struct link *link, struct link_statistics *statistics_out)
{
    pthread_mutex_lock(&link->lock);
    *statistics_out = (struct link_statistics){.connected = link->usable, .connecting = link->phase == LINK_CONNECTING,
                                               .connects = link->connects, .overruns = link->overruns, .send_window = link->window,
                                               .packet_bytes_max = link->packet_bytes_max};
    snprintf(statistics_out->last_problem, sizeof statistics_out->last_problem, "%s", link->last_problem);
    const struct link_address *address = link->redirect.given != NULL ? &link->redirect : &link->settings.addresses[link->address];
    snprintf(statistics_out->url, sizeof statistics_out->url, "%s", address->given);
    pthread_mutex_unlock(&link->lock);
    statistics_out->messages_in = atomic_load_explicit(&link->messages_in, memory_order_relaxed);
    statistics_out->messages_out = atomic_load_explicit(&link->messages_out, memory_order_relaxed);
    statistics_out->bytes_in = atomic_load_explicit(&link->bytes_in, memory_order_relaxed);
    statistics_out->bytes_out = atomic_load_explicit(&link->bytes_out, memory_order_relaxed);
}

void link_acknowledge(struct link *link, struct link_message *const *messages, size_t count)
{
    pthread_mutex_lock(&link->lock);
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->qos == 0 || messages[i]->generation != link->generation || link->acknowledgement_count == LINK_PACKET_IDS)
            continue;
        link->acknowledgements[link->acknowledgement_count++] = messages[i]->packet_id;
        link->unacknowledged--;
    }
    if (link->paused && link->unacknowledged <= (size_t)link->settings.receive_maximum) {
        link->paused = false;
        puback_pause_reading(&link->route, 0);
    }
    bool any = link->acknowledgement_count > 0;
    pthread_mutex_unlock(&link->lock);
    if (any)
        link_flush_acknowledgements(link);
}
