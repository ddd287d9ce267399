/* SPDX-License-Identifier: Apache-2.0
 *
 * scripted_broker.h: an MQTT 5 server that answers as a script says: for what mosquitto cannot be brought to do.
 *
 * It serves one connection after the other in a thread of its own: CONNECT gets the script's CONNACK, PINGREQ a PINGRESP, SUBSCRIBE a
 * SUBACK, and each PUBLISH at QoS 1 a PUBACK with the reason that on_publish gives (or a DISCONNECT where that is what it sends). */
#ifndef EDDY_TESTS_TRANSPORT_SCRIPTED_BROKER_H
#define EDDY_TESTS_TRANSPORT_SCRIPTED_BROKER_H

#include "tests/transport/broker.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

struct scripted_broker {
    int port, listener, socket;                  /* socket: of the present connection */
    pthread_t thread;
    atomic_bool ending;
    atomic_int connects, pings, publications, disconnects;
    int connack_delay_ms;
    atomic_int keep_alive_s;                     /* of the last CONNECT */
    uint8_t connack_reason;
    uint8_t connack_properties[128];             /* encoded, without their length */
    int connack_properties_bytes;
    /* Number of the publication, from 1; its reason code. May be NULL: 0. Runs in the broker's thread. */
    int (*on_publish)(struct scripted_broker *broker, int number, const uint8_t *packet, size_t bytes);
    void *context;
};

static inline bool scripted_read(struct scripted_broker *broker, int socket, uint8_t *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        struct pollfd waiting = {.fd = socket, .events = POLLIN};
        if (atomic_load(&broker->ending))
            return false;
        if (poll(&waiting, 1, 50) == 0)
            continue;
        ssize_t got = recv(socket, bytes + done, count - done, 0);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static inline void scripted_send(int socket, const void *bytes, size_t count)
{
    (void)!send(socket, bytes, count, MSG_NOSIGNAL);
}

static inline void scripted_connack(struct scripted_broker *broker, int socket)
{
    uint8_t packet[160] = {0x20, (uint8_t)(3 + broker->connack_properties_bytes), 0, broker->connack_reason,
                           (uint8_t)broker->connack_properties_bytes};
    memcpy(packet + 5, broker->connack_properties, (size_t)broker->connack_properties_bytes);
    scripted_send(socket, packet, (size_t)broker->connack_properties_bytes + 5);
}

static inline void scripted_publish(struct scripted_broker *broker, int socket, const uint8_t *body, size_t bytes)
{
    size_t topic = (size_t)body[0] << 8 | body[1];
    int number = atomic_fetch_add(&broker->publications, 1) + 1;
    int reason = broker->on_publish != NULL ? broker->on_publish(broker, number, body, bytes) : 0;
    uint8_t puback[6] = {0x40, 4, body[2 + topic], body[3 + topic], (uint8_t)reason, 0};
    if (reason >= 0)
        scripted_send(socket, puback, sizeof puback);
}

/* One packet; false: the connection is over. */
static inline bool scripted_answer(struct scripted_broker *broker, int socket)
{
    static uint8_t body[1 << 20];
    uint8_t type, byte;
    size_t length = 0;
    if (!scripted_read(broker, socket, &type, 1))
        return false;
    for (int shift = 0;; shift += 7) {
        if (!scripted_read(broker, socket, &byte, 1))
            return false;
        length |= (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            break;
    }
    CHECK(length <= sizeof body);
    if (!scripted_read(broker, socket, body, length))
        return false;
    switch (type & 0xf0) {
    case 0x10:
        atomic_store(&broker->keep_alive_s, body[8] << 8 | body[9]);
        atomic_fetch_add(&broker->connects, 1);
        broker_pause_ms(broker->connack_delay_ms);
        scripted_connack(broker, socket);
        return broker->connack_reason == 0;
    case 0x30:
        if ((type & 0x06) != 0)
            scripted_publish(broker, socket, body, length);
        return true;
    case 0x80: {
        uint8_t suback[6] = {0x90, 4, body[0], body[1], 0, 1};
        scripted_send(socket, suback, sizeof suback);
        return true;
    }
    case 0xc0:
        atomic_fetch_add(&broker->pings, 1);
        scripted_send(socket, (uint8_t[]){0xd0, 0}, 2);
        return true;
    case 0xe0: atomic_fetch_add(&broker->disconnects, 1); return false;
    default: return true;
    }
}

static inline void *scripted_main(void *argument)
{
    struct scripted_broker *broker = argument;
    while (!atomic_load(&broker->ending)) {
        struct pollfd waiting = {.fd = broker->listener, .events = POLLIN};
        if (poll(&waiting, 1, 50) <= 0)
            continue;
        broker->socket = accept(broker->listener, NULL, NULL);
        while (broker->socket >= 0 && scripted_answer(broker, broker->socket))
            ;
        close(broker->socket);
    }
    return NULL;
}

static inline void scripted_start(struct scripted_broker *broker)
{
    struct sockaddr_in address = broker_address(broker->port);
    socklen_t bytes = sizeof address;
    int on = 1;
    broker->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(broker->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK(bind(broker->listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(broker->listener, 8) == 0);
    CHECK(getsockname(broker->listener, (struct sockaddr *)&address, &bytes) == 0);
    broker->port = ntohs(address.sin_port);
    CHECK(pthread_create(&broker->thread, NULL, scripted_main, broker) == 0);
}

static inline void scripted_stop(struct scripted_broker *broker)
{
    atomic_store(&broker->ending, true);
    pthread_join(broker->thread, NULL);
    close(broker->listener);
}

/* A text property of CONNACK or DISCONNECT: identifier, length, text. Returns its bytes. */
static inline int scripted_text_property(uint8_t *bytes, uint8_t identifier, const char *text)
{
    size_t length = strlen(text);
    bytes[0] = identifier;
    bytes[1] = (uint8_t)(length >> 8);
    bytes[2] = (uint8_t)length;
    memcpy(bytes + 3, text, length);
    return (int)length + 3;
}

#endif
