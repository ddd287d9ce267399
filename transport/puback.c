/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/puback.h"

#include "transport/paho_socket.h"

#include <MQTTAsync.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* From Paho's MQTTAsyncUtils.h, Clients.h and MQTTPacket.h as of Debian's 1.3.12: the members up to the last one used. */
struct paho_client {
    char *clientID;
};
struct paho_async {
    char *serverURI;
    int ssl, websocket;
    struct paho_client *c;
};
struct paho_network { /* networkHandles */
    int socket;
    struct timeval last_sent;
};
struct paho_buffers { /* PacketBuffers: what follows the first buffer */
    int count;
    char **buffers;
    size_t *lengths;
    int *frees;
    uint8_t mask[4];
};

enum { PUBACK_BYTES = 4, PAHO_COMPLETE = 0, PAHO_FAILED = -1, PAHO_INTERRUPTED = -22 };

extern pthread_mutex_t *mqttasync_mutex; /* held by Paho while it handles a packet or a command */
extern pthread_mutex_t *socket_mutex;    /* held by Paho while it goes on with pending writes; taken after the other */
int Socket_noPendingWrites(int socket);
int WebSocket_putdatas(struct paho_network *network, char **first, size_t *first_bytes, struct paho_buffers *others); /* or TLS, or a plain socket */
struct timeval MQTTTime_now(void);
int __real_MQTTPacket_send_puback(int version, int packet_id, struct paho_network *network, const char *client_id);
int __wrap_MQTTPacket_send_puback(int version, int packet_id, struct paho_network *network, const char *client_id);
int __real_Socket_new(const char *address, size_t address_bytes, int port, int *socket, long timeout);
int __wrap_Socket_new(const char *address, size_t address_bytes, int port, int *socket, long timeout);

static pthread_mutex_t routes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct puback_route *routes;

bool puback_attach(struct puback_route *route, void *handle, const char *client_id)
{
    const struct paho_async *async = handle;
    if (async->c == NULL || async->c->clientID == NULL || strcmp(async->c->clientID, client_id) != 0)
        return false;
    pthread_mutex_lock(&routes_lock);
    *route = (struct puback_route){.client = async->c->clientID, .next = routes};
    routes = route;
    pthread_mutex_unlock(&routes_lock);
    return true;
}

void puback_detach(struct puback_route *route)
{
    pthread_mutex_lock(&routes_lock);
    for (struct puback_route **link = &routes; *link != NULL; link = &(*link)->next) {
        if (*link == route) {
            *link = route->next;
            break;
        }
    }
    *route = (struct puback_route){0};
    pthread_mutex_unlock(&routes_lock);
}

int __wrap_MQTTPacket_send_puback(int version, int packet_id, struct paho_network *network, const char *client_id)
{
    pthread_mutex_lock(&routes_lock);
    struct puback_route *route = routes;
    while (route != NULL && route->client != client_id)
        route = route->next;
    if (route != NULL) {
        route->connection = network;
        route->socket = network->socket;
    }
    pthread_mutex_unlock(&routes_lock);
    return route != NULL ? PAHO_COMPLETE : __real_MQTTPacket_send_puback(version, packet_id, network, client_id);
}

/* As MQTTPacket_send does it: the memory is Paho's where it has to finish the write itself. */
static int send_joined(struct paho_network *network, const uint16_t *packet_ids, size_t count)
{
    struct paho_buffers none = {0};
    size_t bytes = count * PUBACK_BYTES;
    char *packets = malloc(bytes);
    if (packets == NULL)
        return PAHO_FAILED;
    for (size_t i = 0; i < count; i++) {
        const uint8_t packet[PUBACK_BYTES] = {0x40, 2, (uint8_t)(packet_ids[i] >> 8), (uint8_t)packet_ids[i]}; /* MQTT 5, 3.4: success, no properties */
        memcpy(packets + i * PUBACK_BYTES, packet, PUBACK_BYTES);
    }
    int status = WebSocket_putdatas(network, &packets, &bytes, &none);
    if (status == PAHO_COMPLETE)
        network->last_sent = MQTTTime_now();
    if (status != PAHO_INTERRUPTED)
        free(packets);
    return status;
}

size_t puback_send(struct puback_route *route, const uint16_t *packet_ids, size_t count)
{
    pthread_mutex_lock(&routes_lock);
    struct paho_network *network = route->connection;
    pthread_mutex_unlock(&routes_lock);
    if (network == NULL || count == 0)
        return 0;
    bool sent = false;
    pthread_mutex_lock(mqttasync_mutex);
    pthread_mutex_lock(socket_mutex);
    if (network->socket > 0 && Socket_noPendingWrites(network->socket)) {
        int status = send_joined(network, packet_ids, count);
        sent = status == PAHO_COMPLETE || status == PAHO_INTERRUPTED; /* interrupted: Paho writes the rest itself */
    }
    pthread_mutex_unlock(socket_mutex);
    pthread_mutex_unlock(mqttasync_mutex);
    return sent ? count : 0;
}

void puback_pause_reading(const struct puback_route *route, int64_t until_us)
{
    pthread_mutex_lock(&routes_lock);
    int socket = route->socket;
    pthread_mutex_unlock(&routes_lock);
    if (socket > 0)
        paho_socket_pause(socket, until_us);
}

int __wrap_Socket_new(const char *address, size_t address_bytes, int port, int *socket, long timeout)
{
    int status = __real_Socket_new(address, address_bytes, port, socket, timeout);
    int on = 1;
    if (*socket > 0)
        (void)setsockopt(*socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return status;
}
