/* SPDX-License-Identifier: Apache-2.0
 *
 * What brokers may ask of their clients (MQTT 5.0), and several of them: scripted ones beside the real mosquitto. */
#include "base/clock.h"
#include "tests/transport/scripted_broker.h"
#include "transport/link.h"

enum { PATIENCE_MS = 60000, SERVER_REFERENCE = 0x1c, SERVER_KEEP_ALIVE = 0x13, USE_ANOTHER_SERVER = 0x9c, SERVER_MOVED = 0x9d };

struct owner {
    atomic_int connected, disconnected, refused, messages, sessions;
    struct link *link;
};

static bool on_message(struct link_message *message, void *context)
{
    atomic_fetch_add(&((struct owner *)context)->messages, 1);
    link_message_release(message);
    return true;
}

static void on_connected(bool session_present, void *context)
{
    atomic_fetch_add(&((struct owner *)context)->sessions, session_present);
    atomic_fetch_add(&((struct owner *)context)->connected, 1);
}

static void on_disconnected(const char *why, void *context)
{
    (void)why;
    atomic_fetch_add(&((struct owner *)context)->disconnected, 1);
}

static void on_refused(int reason_code, const char *why, void *context)
{
    CHECK(reason_code >= 0x80 && why[0] != '\0');
    atomic_fetch_add(&((struct owner *)context)->refused, 1);
}

static bool reaches(atomic_int *count, int least)
{
    for (int i = 0; i < PATIENCE_MS / 5 && atomic_load(count) < least; i++)
        broker_pause_ms(5);
    return atomic_load(count) >= least;
}

static void open_link(struct owner *owner, const char *const *urls, int url_count, int keep_alive_s)
{
    struct error error;
    struct link_options options = {.url = urls[0], .fallback_urls = urls + 1, .fallback_count = url_count - 1, .client_id = "c",
                                   .keep_alive_s = keep_alive_s, .receive_maximum = 10, .on_message = on_message, .on_connected = on_connected,
                                   .on_disconnected = on_disconnected, .on_refused = on_refused, .context = owner};
    CHECK_OK(link_open(&options, &owner->link, &error), error);
}

static const char *url_of(char url[64], int port)
{
    snprintf(url, 64, "mqtt://127.0.0.1:%d", port);
    return url;
}

static void check_url(struct link *link, int port)
{
    char url[64];
    struct link_statistics statistics;
    link_get_statistics(link, &statistics);
    CHECK_TEXT(statistics.url, url_of(url, port));
}

static void a_shorter_server_keep_alive_is_obeyed(void)
{
    struct scripted_broker broker = {.connack_properties = {SERVER_KEEP_ALIVE, 0, 1}, .connack_properties_bytes = 3};
    struct owner owner = {0};
    char url[64];
    scripted_start(&broker);
    open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 3600);
    CHECK(reaches(&owner.connected, 1));
    CHECK_INTEGER(atomic_load(&broker.keep_alive_s), 1);
    CHECK(reaches(&broker.pings, 2));
    CHECK_INTEGER(atomic_load(&owner.connected), 1); /* it came up once: the owner never heard of the first try */
    CHECK_INTEGER(atomic_load(&owner.disconnected), 0);
    link_close(owner.link);
    scripted_stop(&broker);
}

static void redirect(int reason)
{
    struct broker real = {0};
    struct scripted_broker broker = {.connack_reason = (uint8_t)reason};
    struct owner owner = {0};
    struct error error;
    char url[64], reference[64];
    CHECK_OK(broker_start(&real, false, &error), error);
    snprintf(reference, sizeof reference, "127.0.0.1:%d other.example:1883", real.port);
    broker.connack_properties_bytes = scripted_text_property(broker.connack_properties, SERVER_REFERENCE, reference);
    scripted_start(&broker);
    open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 30);
    CHECK(reaches(&owner.connected, 1));
    check_url(owner.link, real.port);
    broker_stop(&real); /* once it is gone, the one that was configured is asked again */
    CHECK(reaches(&broker.connects, 2));
    CHECK_OK(broker_start(&real, false, &error), error);
    CHECK(reaches(&owner.connected, 2));
    check_url(owner.link, real.port);
    link_close(owner.link);
    scripted_stop(&broker);
    broker_remove(&real);
}

static void a_connack_that_names_another_server_is_followed(void)
{
    redirect(USE_ANOTHER_SERVER);
    redirect(SERVER_MOVED);
}

static int disconnect_to(struct scripted_broker *broker, int number, const uint8_t *packet, size_t bytes)
{
    (void)number, (void)packet, (void)bytes;
    uint8_t disconnect[128] = {0xe0};
    int properties = scripted_text_property(disconnect + 4, SERVER_REFERENCE, broker->context);
    disconnect[1] = (uint8_t)(properties + 2);
    disconnect[2] = USE_ANOTHER_SERVER;
    disconnect[3] = (uint8_t)properties;
    scripted_send(broker->socket, disconnect, (size_t)properties + 4);
    return -1;
}

static void a_disconnect_that_names_another_server_is_followed(void)
{
    struct broker real = {0};
    struct owner owner = {0};
    struct error error;
    char url[64], reference[64];
    CHECK_OK(broker_start(&real, false, &error), error);
    snprintf(reference, sizeof reference, "127.0.0.1:%d", real.port);
    struct scripted_broker broker = {.on_publish = disconnect_to, .context = reference};
    scripted_start(&broker);
    open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 30);
    CHECK(reaches(&owner.connected, 1));
    struct link_publication publication = {.topic = "t", .payload = "1", .payload_bytes = 1, .qos = 1};
    CHECK_OK(link_publish(owner.link, &publication, &error), error);
    CHECK(reaches(&owner.connected, 2));
    CHECK_INTEGER(atomic_load(&owner.disconnected), 1);
    check_url(owner.link, real.port);
    link_close(owner.link);
    scripted_stop(&broker);
    broker_remove(&real);
}

static void brokers_that_send_each_other_their_clients_are_met_with_patience(void)
{
    struct scripted_broker one = {.connack_reason = USE_ANOTHER_SERVER}, other = {.connack_reason = USE_ANOTHER_SERVER};
    struct owner owner = {0};
    char url[64], reference[64];
    scripted_start(&other);
    snprintf(reference, sizeof reference, "127.0.0.1:%d", other.port);
    one.connack_properties_bytes = scripted_text_property(one.connack_properties, SERVER_REFERENCE, reference);
    scripted_start(&one);
    snprintf(reference, sizeof reference, "127.0.0.1:%d", one.port);
    scripted_stop(&other);
    other = (struct scripted_broker){.port = other.port, .connack_reason = USE_ANOTHER_SERVER};
    other.connack_properties_bytes = scripted_text_property(other.connack_properties, SERVER_REFERENCE, reference);
    scripted_start(&other);
    open_link(&owner, (const char *[]){url_of(url, one.port)}, 1, 30);
    CHECK(reaches(&one.connects, 2));
    broker_pause_ms(700); /* less than the first back-off */
    CHECK(atomic_load(&one.connects) + atomic_load(&other.connects) <= 4);
    CHECK(reaches(&one.connects, 3));
    CHECK_INTEGER(atomic_load(&owner.connected), 0);
    link_close(owner.link);
    scripted_stop(&one);
    scripted_stop(&other);
}

static void a_reference_to_something_that_is_no_host_is_ignored(void)
{
    static const char *const bad[] = {"mqtt://elsewhere:1", "a b@c", "host:99999", "h\x01", " "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct scripted_broker broker = {.connack_reason = SERVER_MOVED};
        struct owner owner = {0};
        char url[64];
        broker.connack_properties_bytes = scripted_text_property(broker.connack_properties, SERVER_REFERENCE, bad[i]);
        scripted_start(&broker);
        open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 30);
        CHECK(reaches(&broker.connects, 1));
        CHECK_INTEGER(atomic_load(&owner.connected), 0);
        link_close(owner.link);
        scripted_stop(&broker);
    }
}

static void a_broker_that_refuses_us_is_not_asked_again_soon(void)
{
    struct scripted_broker broker = {.connack_reason = 0x87};
    struct owner owner = {0};
    char url[64];
    scripted_start(&broker);
    open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 30);
    CHECK(reaches(&owner.refused, 1));
    broker_pause_ms(4000); /* the ordinary back-off would have tried again by now */
    CHECK_INTEGER(atomic_load(&broker.connects), 1);
    link_close(owner.link);
    scripted_stop(&broker);
}

static void the_next_of_several_addresses_is_used_and_the_first_one_comes_back(void)
{
    struct broker first = {.port = broker_free_port()}, second = {0};
    struct owner owner = {0};
    struct error error;
    char one[64], two[64];
    CHECK_OK(broker_start(&second, false, &error), error);
    open_link(&owner, (const char *[]){url_of(one, first.port), url_of(two, second.port)}, 2, 30);
    CHECK(reaches(&owner.connected, 1));
    check_url(owner.link, second.port);
    CHECK_OK(broker_start(&first, false, &error), error);
    broker_stop(&second);
    CHECK(reaches(&owner.connected, 2));
    check_url(owner.link, first.port);
    link_close(owner.link);
    broker_remove(&first);
    broker_remove(&second);
}

/* A broker has the Last Will with the CONNECT: without a DISCONNECT it would send it. */
static void a_close_while_a_connection_is_made_disconnects_in_order(void)
{
    struct scripted_broker broker = {.connack_delay_ms = 300};
    struct owner owner = {0};
    scripted_start(&broker);
    struct link_statistics statistics;
    char url[64];
    open_link(&owner, (const char *[]){url_of(url, broker.port)}, 1, 30);
    CHECK(reaches(&broker.connects, 1));
    link_get_statistics(owner.link, &statistics);
    CHECK(statistics.connecting && !statistics.connected);
    link_close(owner.link);
    CHECK(reaches(&broker.disconnects, 1));
    CHECK_INTEGER(atomic_load(&owner.connected), 0);
    scripted_stop(&broker);
}

static void a_session_that_the_broker_lost_is_subscribed_anew(void)
{
    static const char *const filter = "t/#";
    static const int qos = 1;
    struct broker broker = {0};
    struct owner owner = {0};
    struct error error;
    char url[64];
    CHECK_OK(broker_start(&broker, false, &error), error); /* not persistent: a restart forgets all sessions */
    struct link_options options = {.url = url_of(url, broker.port), .client_id = "s", .keep_alive_s = 30, .receive_maximum = 10,
                                   .session_expiry_s = 3600, .filters = &filter, .filter_qos = &qos, .filter_count = 1,
                                   .on_message = on_message, .on_connected = on_connected, .on_disconnected = on_disconnected, .context = &owner};
    CHECK_OK(link_open(&options, &owner.link, &error), error);
    CHECK(reaches(&owner.connected, 1));
    broker_stop(&broker);
    CHECK_OK(broker_start(&broker, false, &error), error);
    CHECK(reaches(&owner.connected, 2));
    CHECK_INTEGER(atomic_load(&owner.sessions), 0);
    struct link_publication publication = {.topic = "t/x", .payload = "1", .payload_bytes = 1, .qos = 1};
    for (int i = 0; i < PATIENCE_MS / 20 && atomic_load(&owner.messages) == 0; i++) { /* until the subscription is there */
        (void)!link_publish(owner.link, &publication, &error);
        broker_pause_ms(20);
    }
    CHECK(atomic_load(&owner.messages) > 0);
    link_close(owner.link);
    broker_remove(&broker);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){
        CASE(a_shorter_server_keep_alive_is_obeyed),
        CASE(a_connack_that_names_another_server_is_followed),
        CASE(a_disconnect_that_names_another_server_is_followed),
        CASE(brokers_that_send_each_other_their_clients_are_met_with_patience),
        CASE(a_reference_to_something_that_is_no_host_is_ignored),
        CASE(a_broker_that_refuses_us_is_not_asked_again_soon),
        CASE(a_close_while_a_connection_is_made_disconnects_in_order),
        CASE(a_session_that_the_broker_lost_is_subscribed_anew),
        CASE(the_next_of_several_addresses_is_used_and_the_first_one_comes_back),
        {0}});
}
