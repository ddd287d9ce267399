/* SPDX-License-Identifier: Apache-2.0
 *
 * puback.h: the one place that reaches inside Paho, so that a QoS 1 message is acknowledged when its owner says so.
 *
 * Paho 1.3.12 calls messageArrived and then sends the PUBACK, whatever that returned. Programs are linked with
 * --wrap=MQTTPacket_send_puback: the wrapper sends nothing and only notes where the client's socket is; puback_send sends the real
 * ones later. --wrap=Socket_new sets TCP_NODELAY, which Paho has no option for.
 * Threads: puback_send, _attach and _detach of one route are called under one lock of its owner; the wrapper runs in Paho's threads. */
#ifndef EDDY_TRANSPORT_PUBACK_H
#define EDDY_TRANSPORT_PUBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct puback_route {
    const char *client;  /* Paho's own copy of the client id: the pointer tells its clients apart */
    void *connection;    /* its networkHandles, noted with the first PUBACK that was held back; NULL: not yet */
    int socket;          /* its, noted likewise; 0: not yet */
    struct puback_route *next;
};

/* handle: an MQTTAsync. false: it does not look like one of the version that this was written for. */
bool puback_attach(struct puback_route *route, void *handle, const char *client_id);
void puback_detach(struct puback_route *route); /* before MQTTAsync_destroy; a route that is not attached is fine */

/* Sends PUBACKs, in order and in one write: all of them (count), or none (0) where a write is pending or memory is short. */
size_t puback_send(struct puback_route *route, const uint16_t *packet_ids, size_t count);

/* Nothing more is read from the connection until then; 0: from now on again. Any thread, under any lock but this file's. */
void puback_pause_reading(const struct puback_route *route, int64_t until_us);

#endif
