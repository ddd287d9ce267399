/* SPDX-License-Identifier: Apache-2.0
 *
 * link_internal.h: what the files of the link share; its contract is link.h.
 *
 * link.c          opening and closing, publishing, acknowledging, statistics
 * link_options.c  what the owner asked for, copied and checked: URLs, keys, password, filters
 * link_address.c  URLs, and where a broker sends its clients instead
 * connack.c       what a refused connection was told besides the reason
 * link_connect.c  the link's own thread: connects, waits, subscribes, tells the owner
 * link_receive.c  a message on its way from Paho to the owner and back to the heap
 * puback.c, paho_socket.c, paho_parts.c  what stands in for parts of Paho
 *
 * Three locks, always taken in this order:
 *   handle_lock      the Paho handle exists and stays; never taken in a Paho callback
 *   Paho's own       held by Paho around every callback
 *   lock             all below it in the struct; short, nothing of Paho is called under it
 * A connection has its own Paho handle, made anew each time: so Paho cannot send anything of an older connection again. */
#ifndef EDDY_TRANSPORT_LINK_INTERNAL_H
#define EDDY_TRANSPORT_LINK_INTERNAL_H

#include "transport/link.h"
#include "transport/link_address.h"
#include "transport/puback.h"

#include <MQTTAsync.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    LINK_WINDOW_MAX = 64,   /* publications at QoS 1 in flight, where the broker allows as many */
    LINK_QOS0_MAX = 64,     /* publications at QoS 0 that Paho has not yet written */
    LINK_SLOTS = LINK_WINDOW_MAX + LINK_QOS0_MAX,
    LINK_PROBLEM_BYTES = 128,
    LINK_PASSWORD_BYTES = 4096,
    LINK_HELD_FACTOR = 2,        /* nothing is read beyond so many Receive Maxima unacknowledged, */
    LINK_PAUSE_MAX_US = 5000000, /* but for so long and half the keep-alive at most: the broker's answers to pings must be read */
    LINK_PACKET_IDS = UINT16_MAX, /* each is unacknowledged at most once */
    LINK_PACKET_OVERHEAD = 64, /* more than the fixed header and property ids of a PUBLISH take */
};

enum link_phase { LINK_WAITING, LINK_CONNECTING, LINK_UP };
enum link_event { LINK_NOTHING, LINK_CONNECTED, LINK_LOST };

struct link_subscription {
    char *filter;
    int qos;
    bool removed;           /* kept: a persistent session may still have it, so each connect unsubscribes again */
    bool sent;
};

struct link_slot {          /* a publication in flight: Paho's context for its answer */
    struct link *link;
    uint64_t ticket;
    uint32_t generation;
    int qos;
    bool busy;
};

struct link_settings {      /* copies, constant after link_open */
    struct link_address *addresses; /* the first one is preferred */
    int address_count;
    char *client_id, *user, *password_file, *ca, *cert, *key, *will_topic, *will_payload;
    int keep_alive_s, receive_maximum, refused_wait_s;
    uint32_t session_expiry_s;
    bool (*on_message)(struct link_message *message, void *context);
    void (*on_connected)(bool session_present, void *context);
    void (*on_disconnected)(const char *why, void *context);
    void (*on_published)(uint64_t ticket, int reason_code, void *context);
    void (*on_refused)(int reason_code, const char *why, void *context);
    void *context;
};

struct link {
    struct link_settings settings;
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t handle_lock;
    MQTTAsync handle;
    struct puback_route route;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool signalled, closing;
    bool answered;                         /* what the thread last ordered of the broker */
    enum link_phase phase;
    enum link_event event;
    char why[LINK_PROBLEM_BYTES];          /* of the event */
    int reason;                            /* of the event: what the broker said, below 0x80: nothing */
    char reference[LINK_REFERENCE_BYTES];  /* the Server Reference that came with it; "": none */
    int server_keep_alive_s;               /* what the broker asks for; 0: nothing */
    bool usable;                           /* up, and nothing heard of a loss yet */
    bool session_present, subscriptions_changed;
    uint32_t generation;
    int window, in_flight[2];              /* by QoS */
    size_t packet_bytes_max;
    struct link_slot slots[LINK_SLOTS];
    struct link_subscription *subscriptions;
    int subscription_count;
    uint16_t *acknowledgements;            /* [LINK_PACKET_IDS], of this generation, not yet sent */
    size_t acknowledgement_count;
    size_t unacknowledged;                 /* QoS 1 messages of this generation that the owner has */
    bool paused;                           /* too much arrived: nothing is read until some of it is acknowledged */
    bool overrun;                          /* the owner refused one: the rest of this generation is dropped */
    char last_problem[LINK_PROBLEM_BYTES];
    uint64_t connects, overruns;
    atomic_ullong messages_in, messages_out, bytes_in, bytes_out;

    int64_t due_us, give_up_us, up_since_us; /* from here on the thread's own */
    int failures, address, redirects;
    int keep_alive_s;                      /* ours, or less where the broker asked for it */
    struct link_address redirect;          /* where the broker sent us; given NULL: nowhere */
    unsigned random;
};

/* link_options.c */
MUST_CHECK enum error_code link_settings_copy(struct link *link, const struct link_options *options, struct error *error);
void link_settings_free(struct link *link);
/* The first line of the password file; its length, or -1 with a reason in *error. */
int link_read_password(const struct link_settings *settings, char password[LINK_PASSWORD_BYTES], struct error *error);
MUST_CHECK enum error_code link_add_subscription(struct link *link, const char *filter, int qos, bool removed, struct error *error);

/* link_connect.c */
void *link_thread(void *link);
void link_wake_locked(struct link *link);
void link_note_event(struct link *link, enum link_event event, const char *why); /* from Paho's callbacks */
void link_flush_acknowledgements(struct link *link);

/* link_receive.c */
int link_message_arrived(void *link, char *topic, int topic_bytes, MQTTAsync_message *message);

#endif
