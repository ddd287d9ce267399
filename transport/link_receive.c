/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "transport/link_internal.h"

#include <stdlib.h>
#include <string.h>

/* The payload stays where Paho read it; this keeps what must be freed with it. */
struct storage {
    MQTTAsync_message *message;
    char *topic;
    bool has_response_topic;
    char response_topic[];
};

static const MQTTLenString *find_property(MQTTAsync_message *message, enum MQTTPropertyCodes which)
{
    const MQTTProperty *property = MQTTProperties_getProperty(&message->properties, which);
    return property != NULL && property->value.data.len >= 0 ? &property->value.data : NULL;
}

static struct storage *storage_new(MQTTAsync_message *message, char *topic)
{
    const MQTTLenString *response = find_property(message, MQTTPROPERTY_CODE_RESPONSE_TOPIC);
    size_t length = response != NULL ? (size_t)response->len : 0;
    struct storage *storage = malloc(sizeof *storage + length + 1);
    if (storage == NULL)
        return NULL;
    storage->message = message;
    storage->topic = topic;
    storage->has_response_topic = response != NULL;
    if (length > 0 && memchr(response->data, '\0', length) != NULL)
        length = 0; /* what ends early is another topic */
    if (length > 0)
        memcpy(storage->response_topic, response->data, length);
    storage->response_topic[length] = '\0';
    return storage;
}

/* The owner may acknowledge it from another thread before on_message returns, so it is counted before. */
static bool admit(struct link *link, bool counts, uint32_t *generation_out)
{
    pthread_mutex_lock(&link->lock);
    bool wanted = !link->closing && !(link->overrun && counts);
    if (wanted && counts && ++link->unacknowledged > LINK_HELD_FACTOR * (size_t)link->settings.receive_maximum && !link->paused) {
        int64_t longest_us = link->settings.keep_alive_s * INT64_C(500000);
        link->paused = true;
        puback_pause_reading(&link->route, clock_monotonic_us() + (longest_us < LINK_PAUSE_MAX_US ? longest_us : LINK_PAUSE_MAX_US));
    }
    *generation_out = link->generation;
    pthread_mutex_unlock(&link->lock);
    return wanted;
}

static void refuse_rest(struct link *link, uint32_t generation)
{
    pthread_mutex_lock(&link->lock);
    if (generation == link->generation) {
        link->overrun = true;
        link->unacknowledged--;
        link_wake_locked(link);
    }
    pthread_mutex_unlock(&link->lock);
}

static void take(struct link *link, MQTTAsync_message *message, struct storage *storage, uint32_t generation)
{
    const MQTTLenString *correlation = find_property(message, MQTTPROPERTY_CODE_CORRELATION_DATA);
    struct link_message taken = {
        .topic = storage->topic, .payload = message->payload, .payload_bytes = message->payloadlen > 0 ? (size_t)message->payloadlen : 0,
        .correlation = correlation != NULL ? (const uint8_t *)correlation->data : NULL,
        .correlation_bytes = correlation != NULL ? (size_t)correlation->len : 0,
        .response_topic = storage->has_response_topic ? storage->response_topic : NULL,
        .arrived_us = clock_monotonic_us(), .qos = message->qos, .duplicate = message->dup != 0, .retained = message->retained != 0,
        .packet_id = message->qos > 0 ? (uint16_t)message->msgid : 0, .generation = generation, .storage = storage};
    atomic_fetch_add_explicit(&link->messages_in, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&link->bytes_in, taken.payload_bytes, memory_order_relaxed);
    if (link->settings.on_message != NULL && link->settings.on_message(&taken, link->settings.context))
        return;
    link_message_release(&taken);
    if (taken.qos > 0)
        refuse_rest(link, generation);
}

int link_message_arrived(void *context, char *topic, int topic_bytes, MQTTAsync_message *message)
{
    struct link *link = context;
    (void)topic_bytes; /* Paho ends the topic with NUL; one inside it is against MQTT and ends it early */
    uint32_t generation;
    bool counts = message->qos > 0, wanted = admit(link, counts, &generation);
    struct storage *storage = wanted ? storage_new(message, topic) : NULL;
    if (storage != NULL) {
        take(link, message, storage, generation);
    } else { /* unacknowledged, so the broker keeps it */
        MQTTAsync_freeMessage(&message);
        MQTTAsync_free(topic);
        if (wanted && counts)
            refuse_rest(link, generation);
    }
    return 1; /* 0 would make Paho keep a queue of its own */
}

void link_message_release(struct link_message *message)
{
    struct storage *storage = message->storage;
    if (storage == NULL)
        return;
    MQTTAsync_freeMessage(&storage->message);
    MQTTAsync_free(storage->topic);
    free(storage);
    message->storage = NULL;
}
