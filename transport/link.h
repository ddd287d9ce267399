/* SPDX-License-Identifier: Apache-2.0
 *
 * link.h: one MQTT 5 connection that keeps itself up, over Eclipse Paho (MQTTAsync, TLS and WebSocket variants).
 *
 * It connects in the background, again and again with back-off and jitter (1 s to 60 s), subscribes again after every connect, and tells
 * its owner. Of several addresses each is tried in turn, the first one first after every loss; the back-off comes after all of them. A broker
 * that refuses the credentials or this client is asked again after 1 to 10 minutes. One that names another (Server Reference) is left for it,
 * a few times in a row at most and never to a less protected connection. A Server Keep Alive below ours is obeyed by connecting anew with it.
 * A received message belongs to whom on_message gave it; a QoS 1 message is acknowledged to the broker only by link_acknowledge: Paho's
 * own PUBACK is held back (puback.c), so that "acknowledged" means "committed".
 * Back-pressure: the broker stops at receive_maximum unacknowledged messages; nothing here ever blocks Paho's threads. Of a broker that sends more all the
 *   same (mosquitto 2.0.11 does, out of a session with a backlog) nothing is read beyond twice that many, until some are acknowledged: TCP holds it up.
 *   An owner that refuses a message gets nothing more over this connection, so that order stays; once all that it took is acknowledged the link connects
 *   anew and gets the rest.
 * Threads: Paho's two threads call the callbacks, with a library-wide lock held: a callback must not block and must not call link_*
 *   except link_message_release. All other functions may be called from any other thread.
 * Errors: link_open fails on a bad URL or unreadable key files (ERROR_CONFIG); a broker that is away is no error but a state. */
#ifndef EDDY_TRANSPORT_LINK_H
#define EDDY_TRANSPORT_LINK_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link;

struct link_message {
    const char *topic;            /* NUL-terminated */
    const uint8_t *payload;
    size_t payload_bytes;
    const uint8_t *correlation;   /* MQTT 5 correlation data; NULL: none */
    size_t correlation_bytes;
    const char *response_topic;   /* NUL-terminated copy, not checked; NULL: none; "": an empty one, or with a NUL in it */
    int64_t arrived_us;           /* monotonic */
    int qos;
    bool duplicate, retained;
    uint16_t packet_id;           /* QoS 1 */
    uint32_t generation;          /* of the connection it came over: acknowledgements for an older one are dropped */
    void *storage;                /* the link's own */
};

struct link_user_property {
    const char *name, *value;
};

struct link_publication {
    const char *topic;
    const void *payload;
    size_t payload_bytes;
    int qos;
    bool retain;
    const char *content_type;     /* NULL: none */
    const char *response_topic;   /* NULL: none */
    const uint8_t *correlation;
    size_t correlation_bytes;
    const struct link_user_property *user_properties;
    int user_property_count;
    uint64_t ticket;              /* given back in on_published; 0: not wanted */
};

struct link_options {
    const char *url, *client_id;
    const char *const *fallback_urls; /* tried in their order where url does not answer */
    int fallback_count;
    const char *user, *password_file, *ca, *cert, *key;
    int keep_alive_s, receive_maximum;
    int refused_wait_s;           /* before a broker that refused is asked again, doubled up to tenfold; 0: 60 */
    uint32_t session_expiry_s;    /* > 0: persistent session, clean start false */
    const char *will_topic, *will_payload; /* retained, QoS 1; NULL: none */
    const char *const *filters;   /* subscribed after each connect */
    const int *filter_qos;
    int filter_count;
    bool (*on_message)(struct link_message *message, void *context); /* true: now the callee's; false: refused, stays the link's */
    void (*on_connected)(bool session_present, void *context);       /* subscriptions are under way */
    void (*on_disconnected)(const char *why, void *context);
    void (*on_published)(uint64_t ticket, int reason_code, void *context); /* PUBACK; >= 0x80: refused, MQTT 5.0 section 3.4.2.1 */
    void (*on_refused)(int reason_code, const char *why, void *context);   /* CONNACK: credentials or this client; may be NULL */
    void *context;
};

struct link_statistics {
    bool connected, connecting;
    uint64_t connects, messages_in, messages_out, bytes_in, bytes_out;
    uint64_t overruns;            /* connections ended because more arrived than the owner could take */
    int send_window;              /* publications that may be in flight: min of ours and the broker's Receive Maximum */
    size_t packet_bytes_max;      /* the broker's Maximum Packet Size; SIZE_MAX: none */
    char last_problem[128];
    char url[256];                /* of the present or last connection attempt */
};

MUST_CHECK enum error_code link_open(const struct link_options *options, struct link **link_out, struct error *error);
/* Publishes nothing more, disconnects in order (no Last Will), waits for callbacks to end. A connection that is being made is waited for, 2 s at most:
 * the broker may have our Last Will already. NULL is fine. */
void link_close(struct link *link);

/* ERROR_LINK: not connected or the window is full; the publication was not taken. Copies what it needs. */
MUST_CHECK enum error_code link_publish(struct link *link, const struct link_publication *publication, struct error *error);
const char *link_reason_name(int reason_code); /* in words, MQTT 5.0 section 2.4 */
int link_window_free(struct link *link); /* QoS 1 publications that may be handed in now; 0 while not connected */
/* Changes the subscriptions of a running link; kept over reconnects. Taken note of at once, sent when connected. */
MUST_CHECK enum error_code link_subscribe(struct link *link, const char *filter, int qos, struct error *error);
MUST_CHECK enum error_code link_unsubscribe(struct link *link, const char *filter, struct error *error);
void link_get_statistics(struct link *link, struct link_statistics *statistics_out);

/* Sends the PUBACKs of these messages (QoS 0 ones are passed over) in one go; those of a connection that is gone are dropped: the broker
 * sends the messages again with DUP. The messages stay the caller's. */
void link_acknowledge(struct link *link, struct link_message *const *messages, size_t count);
void link_message_release(struct link_message *message);

#endif
