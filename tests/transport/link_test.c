/* SPDX-License-Identifier: Apache-2.0
 *
 * The link against a real mosquitto. */
#include "base/clock.h"
#include "tests/transport/link_owner.h"

#include <sys/stat.h>

static void what_the_owner_refuses_comes_again_in_order(void)
{
    enum { ALL = 60, ROOM = 7 };
    struct broker broker = {0};
    struct error error;
    struct link_statistics statistics;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 100, "t/#");
    pthread_mutex_lock(&subscriber->lock);
    subscriber->kept_max = ROOM;
    pthread_mutex_unlock(&subscriber->lock);
    publish_numbers(publisher, "t/x", 0, ALL, 1);
    int expected = 0;
    for (int seen = 0; expected < ALL; seen++) {
        CHECK(wait_for(subscriber, &subscriber->kept_count, seen + 1));
        int number = number_of(&subscriber->kept[seen]);
        CHECK(number == expected || (number < expected && subscriber->kept[seen].duplicate));
        expected += number == expected;
        acknowledge(subscriber, seen, 1);
        if ((seen + 1) % ROOM == 0) {
            pthread_mutex_lock(&subscriber->lock);
            subscriber->kept_max = seen + 1 + ROOM;
            pthread_mutex_unlock(&subscriber->lock);
        }
    }
    link_get_statistics(subscriber->link, &statistics);
    CHECK(statistics.overruns > 0);
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void only_what_was_not_acknowledged_comes_again(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 100, "t/#");
    publish_numbers(publisher, "t/x", 0, 20, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 20));
    for (int i = 0; i < 20; i++) {
        CHECK_INTEGER(number_of(&subscriber->kept[i]), i);
        CHECK(!subscriber->kept[i].duplicate);
        CHECK_INTEGER(subscriber->kept[i].qos, 1);
        CHECK_TEXT(subscriber->kept[i].topic, "t/x");
    }
    acknowledge(subscriber, 0, 5);
    acknowledge(subscriber, 5, 7);
    owner_free(subscriber);
    subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 100, "t/#");
    CHECK(subscriber->session_present);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 8));
    publish_numbers(publisher, "t/x", 20, 1, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 9));
    for (int i = 0; i < 9; i++) {
        CHECK_INTEGER(number_of(&subscriber->kept[i]), 12 + i);
        CHECK_INTEGER(subscriber->kept[i].duplicate, i < 8);
    }
    acknowledge(subscriber, 0, 9);
    owner_free(subscriber);
    subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 100, "t/#");
    publish_numbers(publisher, "t/x", 21, 1, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 1));
    CHECK_INTEGER(number_of(&subscriber->kept[0]), 21);
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void the_broker_waits_at_receive_maximum_and_the_connection_lives_on(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 60, 8, "t/#");
    publish_numbers(publisher, "t/x", 0, 40, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 8));
    broker_pause_ms(5000); /* more than one and a half of the keep-alive, which is 2 s */
    CHECK_INTEGER(read_count(subscriber, &subscriber->kept_count), 8);
    CHECK_INTEGER(read_count(subscriber, &subscriber->disconnected), 0);
    for (int taken = 0; taken < 40; taken += 4) {
        CHECK(wait_for(subscriber, &subscriber->kept_count, taken + 4));
        acknowledge(subscriber, taken, 4);
    }
    for (int i = 0; i < 40; i++)
        CHECK_INTEGER(number_of(&subscriber->kept[i]), i);
    CHECK_INTEGER(read_count(subscriber, &subscriber->connected), 1);
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void a_restarted_broker_is_found_and_subscribed_to_again(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 0, 100, "t/#");
    CHECK_OK(link_subscribe(subscriber->link, "late/+", 1, &error), error);
    CHECK_OK(link_unsubscribe(subscriber->link, "t/#", &error), error);
    publish_numbers(publisher, "t/x", 0, 1, 0);
    broker_stop(&broker);
    CHECK(wait_for(subscriber, &subscriber->disconnected, 1));
    CHECK(wait_for(publisher, &publisher->disconnected, 1));
    CHECK(subscriber->why[0] != '\0');
    CHECK_INTEGER(link_window_free(publisher->link), 0);
    struct link_publication publication = {.topic = "late/x", .payload = "1", .payload_bytes = 1, .qos = 1};
    CHECK_INTEGER(link_publish(publisher->link, &publication, &error), ERROR_LINK);
    CHECK_OK(broker_start(&broker, false, &error), error);
    CHECK(wait_for(subscriber, &subscriber->connected, 2));
    CHECK(wait_for(publisher, &publisher->connected, 2));
    broker_pause_ms(300);
    int before = read_count(subscriber, &subscriber->kept_count);
    publish_numbers(publisher, "t/x", 5, 1, 1);
    publish_numbers(publisher, "late/x", 6, 1, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, before + 1));
    CHECK_TEXT(subscriber->kept[before].topic, "late/x");
    struct link_statistics statistics;
    link_get_statistics(subscriber->link, &statistics);
    CHECK_INTEGER(statistics.connects, 2);
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void acknowledgements_of_an_older_connection_are_dropped(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, true, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 600, 100, "t/#");
    publish_numbers(publisher, "t/x", 0, 3, 1);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 3));
    broker_stop(&broker);
    CHECK(wait_for(subscriber, &subscriber->disconnected, 1));
    CHECK_OK(broker_start(&broker, true, &error), error);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 6)); /* the same three again */
    CHECK(subscriber->kept[3].generation != subscriber->kept[0].generation);
    acknowledge(subscriber, 0, 3);
    for (int i = 3; i < 6; i++) {
        CHECK_INTEGER(number_of(&subscriber->kept[i]), i - 3);
        CHECK(subscriber->kept[i].duplicate);
    }
    owner_free(subscriber);
    subscriber = open_subscriber(url_of(&broker, "mqtt"), 600, 100, "t/#");
    CHECK(wait_for(subscriber, &subscriber->kept_count, 3)); /* so they were not acknowledged */
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

static void each_publication_is_answered_once_and_the_window_holds(void)
{
    struct broker broker = {.extra = "max_inflight_messages 20\nmax_packet_size 2000\n"};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct link_statistics statistics;
    link_get_statistics(publisher->link, &statistics);
    CHECK_INTEGER(statistics.send_window, 20);
    CHECK_INTEGER(statistics.packet_bytes_max, 2000);
    publish_numbers(publisher, "nobody/listens", 0, 3000, 1);
    CHECK_INTEGER(publisher->published, 3000);
    CHECK_INTEGER(publisher->published_sum, 3000LL * 3001 / 2);
    CHECK_INTEGER(publisher->refused, 0);
    CHECK_INTEGER(link_window_free(publisher->link), 20);
    static char large[3000];
    struct link_publication publication = {.topic = "t", .payload = large, .payload_bytes = sizeof large, .qos = 1};
    CHECK_INTEGER(link_publish(publisher->link, &publication, &error), ERROR_LIMIT);
    publish_numbers(publisher, "nobody/listens", 0, 50, 0);
    owner_free(publisher);
    broker_remove(&broker);
}

static void properties_and_empty_payloads_arrive(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *publisher = open_publisher(&broker);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 0, 100, "t/#");
    struct link_user_property user = {"count", "3"};
    struct link_publication publication = {
        .topic = "t/p", .payload = "hello", .payload_bytes = 5, .qos = 1, .retain = true, .content_type = "text/plain", .response_topic = "t/answer",
        .correlation = (const uint8_t *)"a\0b", .correlation_bytes = 3, .user_properties = &user, .user_property_count = 1};
    CHECK_OK(link_publish(publisher->link, &publication, &error), error);
    publication = (struct link_publication){.topic = "t/empty", .payload = NULL, .qos = 0};
    CHECK_OK(link_publish(publisher->link, &publication, &error), error);
    CHECK(wait_for(subscriber, &subscriber->kept_count, 2));
    struct link_message *message = &subscriber->kept[0];
    CHECK_TEXT(message->topic, "t/p");
    CHECK_TEXT(message->response_topic, "t/answer");
    CHECK_INTEGER(message->correlation_bytes, 3);
    CHECK(memcmp(message->correlation, "a\0b", 3) == 0);
    CHECK_INTEGER(message->payload_bytes, 5);
    CHECK_INTEGER(subscriber->kept[1].payload_bytes, 0);
    CHECK_INTEGER(subscriber->kept[1].qos, 0);
    CHECK(subscriber->kept[1].response_topic == NULL);
    acknowledge(subscriber, 0, 2);
    owner_free(subscriber);
    subscriber = open_subscriber(url_of(&broker, "mqtt"), 0, 100, "t/p");
    CHECK(wait_for(subscriber, &subscriber->kept_count, 1));
    CHECK(subscriber->kept[0].retained);
    owner_free(subscriber);
    owner_free(publisher);
    broker_remove(&broker);
}

/* A program of its own, so that it can be killed. */
static int run_with_will(const char *url)
{
    struct owner *owner = owner_new();
    struct error error;
    struct link_options options = options_for(owner, url, "mortal");
    options.will_topic = "will";
    options.will_payload = "gone";
    if (link_open(&options, &owner->link, &error) != ERROR_NONE || !wait_for(owner, &owner->connected, 1))
        return 1;
    printf("connected\n");
    fflush(stdout);
    pause();
    return 0;
}

static const char *own_path;

static void the_last_will_is_sent_after_a_kill_but_not_after_a_close(void)
{
    struct broker broker = {0};
    struct error error;
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *closed = owner_new();
    struct link_options options = options_for(closed, url_of(&broker, "mqtt"), "orderly");
    options.will_topic = "orderly";
    options.will_payload = "gone";
    CHECK_OK(link_open(&options, &closed->link, &error), error);
    CHECK(wait_for(closed, &closed->connected, 1));
    int output[2];
    CHECK(pipe(output) == 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(output[1], 1);
        execl(own_path, own_path, "--with-will", url_of(&broker, "mqtt"), (char *)NULL);
        _exit(127);
    }
    close(output[1]);
    char said[16] = "";
    CHECK(read(output[0], said, 9) == 9);
    owner_free(closed);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(output[0]);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 0, 100, "#");
    CHECK(wait_for(subscriber, &subscriber->kept_count, 1)); /* retained, so it is there still */
    CHECK_TEXT(subscriber->kept[0].topic, "will");
    CHECK_INTEGER(subscriber->kept[0].payload_bytes, 4);
    CHECK_INTEGER(subscriber->kept[0].qos, 1);
    owner_free(subscriber);
    broker_remove(&broker);
}

static bool problem_says(struct link *link, const char *word)
{
    struct link_statistics statistics = {0};
    for (int i = 0; i < PATIENCE_S * 100; i++) {
        link_get_statistics(link, &statistics);
        if (strstr(statistics.last_problem, word) != NULL)
            return true;
        broker_pause_ms(10);
    }
    printf("the last problem is \"%s\"\n", statistics.last_problem);
    return false;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void refused_credentials_are_reported_and_right_ones_work(void)
{
    struct broker broker = {0};
    struct error error;
    char password_file[128], command[256];
    CHECK_OK(broker_start(&broker, false, &error), error); /* makes the folder */
    broker_stop(&broker);
    snprintf(command, sizeof command, "mosquitto_passwd -c -b %s/users agent secret >/dev/null 2>&1", broker.folder);
    CHECK(system(command) == 0);
    snprintf(broker.extra, sizeof broker.extra, "allow_anonymous false\npassword_file %s/users\n", broker.folder);
    CHECK_OK(broker_start(&broker, false, &error), error);
    snprintf(password_file, sizeof password_file, "%s/password", broker.folder);
    struct owner *owner = owner_new();
    struct link_options options = options_for(owner, url_of(&broker, "mqtt"), "agent");
    options.user = "agent";
    options.password_file = password_file;
    options.refused_wait_s = 1;
    options.on_refused = on_refused;
    CHECK_INTEGER(link_open(&options, &owner->link, &error), ERROR_CONFIG);
    CHECK(strstr(error.message, "password file") != NULL);
    write_text(password_file, "wrong\n");
    CHECK_OK(link_open(&options, &owner->link, &error), error);
    CHECK(problem_says(owner->link, "refused"));
    CHECK(wait_for(owner, &owner->turned_away, 1));
    CHECK_INTEGER(read_count(owner, &owner->connected), 0);
    write_text(password_file, "secret\nnot this line\n"); /* read anew for each try */
    CHECK(wait_for(owner, &owner->connected, 1));
    owner_free(owner);
    broker_remove(&broker);
}

static void make_keys(const char *folder)
{
    char command[1200];
    snprintf(command, sizeof command,
             "cd %s && { for a in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -keyout $a.key -out $a.pem -days 30 -subj /CN=$a; done;"
             "openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost;"
             "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' >extensions;"
             "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile extensions;"
             "openssl req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=agent;"
             "openssl x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out client.pem -days 30; } >/dev/null 2>&1",
             folder);
    CHECK(system(command) == 0);
}

static void tls_works_with_the_right_authority_and_only_with_it(void)
{
    if (system("openssl version >/dev/null 2>&1") != 0) {
        printf("TLS was not tried: the openssl program is not installed\n");
        return;
    }
    struct broker broker = {0};
    struct error error;
    char ca[128], other[128], cert[128], key[128];
    CHECK_OK(broker_start(&broker, false, &error), error); /* makes the folder */
    broker_stop(&broker);
    make_keys(broker.folder);
    snprintf(broker.extra, sizeof broker.extra, "cafile %s/ca.pem\ncertfile %s/server.pem\nkeyfile %s/server.key\nrequire_certificate true\n",
             broker.folder, broker.folder, broker.folder);
    CHECK_OK(broker_start(&broker, false, &error), error);
    snprintf(ca, sizeof ca, "%s/ca.pem", broker.folder);
    snprintf(other, sizeof other, "%s/other.pem", broker.folder);
    snprintf(cert, sizeof cert, "%s/client.pem", broker.folder);
    snprintf(key, sizeof key, "%s/client.key", broker.folder);
    struct owner *stranger = owner_new(), *owner = owner_new();
    struct link_options options = options_for(stranger, url_of(&broker, "mqtts"), "stranger");
    options.ca = other;
    options.cert = cert;
    options.key = key;
    CHECK_OK(link_open(&options, &stranger->link, &error), error);
    CHECK(problem_says(stranger->link, "TLS"));
    CHECK_INTEGER(read_count(stranger, &stranger->connected), 0);
    owner_free(stranger);
    options = options_for(owner, url_of(&broker, "mqtts"), "agent");
    options.ca = ca;
    options.cert = cert;
    options.key = key;
    const char *filter = "t/#";
    options.filters = &filter;
    options.filter_count = 1;
    CHECK_OK(link_open(&options, &owner->link, &error), error);
    CHECK(wait_for(owner, &owner->connected, 1));
    broker_pause_ms(200);
    publish_numbers(owner, "t/tls", 0, 300, 1);
    for (int taken = 0; taken < 300; taken += 50) {
        CHECK(wait_for(owner, &owner->kept_count, taken + 50));
        acknowledge(owner, taken, 50);
    }
    owner_free(owner);
    options.ca = "/nowhere/ca.pem";
    struct link *none;
    CHECK_INTEGER(link_open(&options, &none, &error), ERROR_CONFIG);
    broker_remove(&broker);
}

/* Whether the broker answers an upgrade made by hand: where it does not, nothing of eddy is being tested. */
static bool upgrades(const struct broker *broker)
{
    static const char request[] = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n";
    struct sockaddr_in address = broker_address(broker->port);
    struct timeval patience = {.tv_sec = 10};
    char answer[13] = "";
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(probe, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool sent = connect(probe, (struct sockaddr *)&address, sizeof address) == 0 &&
                send(probe, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof request - 1);
    bool answered = sent && recv(probe, answer, sizeof answer - 1, MSG_WAITALL) == (ssize_t)(sizeof answer - 1);
    close(probe);
    return answered && strcmp(answer, "HTTP/1.1 101") == 0;
}

/* libwebsockets needs more of a network than some sandboxes give, and does not come up each time on a busy machine. */
static bool start_websocket_broker(struct broker *broker)
{
    struct error error;
    for (int attempt = 0; attempt < 3; attempt++) {
        *broker = (struct broker){.listener = "protocol websockets"};
        if (broker_start(broker, false, &error) == ERROR_NONE && upgrades(broker))
            return true;
        broker_remove(broker);
    }
    return false;
}

static void websockets_carry_the_same(void)
{
    struct broker broker;
    if (!start_websocket_broker(&broker)) {
        printf("WebSockets were not tried: mosquitto's listener does not answer an upgrade here\n");
        return;
    }
    struct owner *owner = open_subscriber(url_of(&broker, "ws"), 60, 20, "t/#");
    publish_numbers(owner, "t/ws", 0, 10, 1);
    CHECK(wait_for(owner, &owner->kept_count, 10));
    acknowledge(owner, 0, 10);
    publish_numbers(owner, "t/ws", 10, 20, 1);
    CHECK(wait_for(owner, &owner->kept_count, 30));
    acknowledge(owner, 10, 10);
    owner_free(owner);
    owner = open_subscriber(url_of(&broker, "ws"), 60, 20, "t/#");
    CHECK(wait_for(owner, &owner->kept_count, 10));
    CHECK_INTEGER(number_of(&owner->kept[0]), 20);
    owner_free(owner);
    broker_remove(&broker);
}

static void a_publisher_of_mqtt_3_1_1_is_heard(void)
{
    struct broker broker = {0};
    struct error error;
    char command[256];
    CHECK_OK(broker_start(&broker, false, &error), error);
    struct owner *subscriber = open_subscriber(url_of(&broker, "mqtt"), 0, 100, "t/#");
    snprintf(command, sizeof command, "mosquitto_pub -V mqttv311 -h 127.0.0.1 -p %d -q 1 -t t/old -m 42", broker.port);
    if (system(command) != 0) {
        printf("not tried: mosquitto_pub is not installed\n");
    } else {
        CHECK(wait_for(subscriber, &subscriber->kept_count, 1));
        CHECK_INTEGER(number_of(&subscriber->kept[0]), 42);
        CHECK(subscriber->kept[0].correlation == NULL);
        acknowledge(subscriber, 0, 1);
    }
    owner_free(subscriber);
    broker_remove(&broker);
}

static void bad_addresses_are_refused_and_absent_brokers_are_waited_for(void)
{
    static const char *const bad[] = {"", "localhost", "http://x", "mqtt://", "mqtt://:1883", "mqtt://h:0", "mqtt://h:65536", "mqtt://h:12x",
                                      "mqtt://h/path", "mqtt://h :1", "mqtt://u@h"};
    struct error error;
    struct owner *owner = owner_new();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct link_options options = options_for(owner, bad[i], "c");
        CHECK_INTEGER(link_open(&options, &owner->link, &error), ERROR_CONFIG);
    }
    struct broker broker = {.port = broker_free_port()};
    struct link_options options = options_for(owner, url_of(&broker, "mqtt"), "c");
    CHECK_OK(link_open(&options, &owner->link, &error), error);
    CHECK(problem_says(owner->link, "connect"));
    CHECK_OK(broker_start(&broker, false, &error), error);
    CHECK(wait_for(owner, &owner->connected, 1));
    owner_free(owner);
    broker_remove(&broker);
}

int main(int count, char **arguments)
{
    own_path = "/proc/self/exe";
    if (count == 3 && strcmp(arguments[1], "--with-will") == 0)
        return run_with_will(arguments[2]);
    broker_need();
    return check_main(count, arguments, (struct check_case[]){
        CASE(only_what_was_not_acknowledged_comes_again),
        CASE(what_the_owner_refuses_comes_again_in_order),
        CASE(the_broker_waits_at_receive_maximum_and_the_connection_lives_on),
        CASE(a_restarted_broker_is_found_and_subscribed_to_again),
        CASE(acknowledgements_of_an_older_connection_are_dropped),
        CASE(each_publication_is_answered_once_and_the_window_holds),
        CASE(properties_and_empty_payloads_arrive),
        CASE(the_last_will_is_sent_after_a_kill_but_not_after_a_close),
        CASE(refused_credentials_are_reported_and_right_ones_work),
        CASE(tls_works_with_the_right_authority_and_only_with_it),
        CASE(websockets_carry_the_same),
        CASE(a_publisher_of_mqtt_3_1_1_is_heard),
        CASE(bad_addresses_are_refused_and_absent_brokers_are_waited_for),
        {0}});
}
