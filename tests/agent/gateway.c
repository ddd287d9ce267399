/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/agent/gateway.h"

#include "agent/batch.h"
#include "base/clock.h"
#include "base/queue.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { QUEUED_MAX = 4096, WINDOW = 256 };

struct gateway_client {
    struct link *link;
    struct queue messages;
    struct batch_decoder *decoder;
    atomic_int connects;
};

static bool on_message(struct link_message *message, void *context)
{
    struct gateway_client *client = context;
    struct link_message *copy = malloc(sizeof *copy);
    if (copy != NULL)
        *copy = *message;
    if (copy != NULL && queue_try_push(&client->messages, copy))
        return true;
    free(copy);
    return false;
}

static void on_connected(bool session_present, void *context)
{
    (void)session_present;
    atomic_fetch_add(&((struct gateway_client *)context)->connects, 1);
}

static void on_disconnected(const char *why, void *context)
{
    (void)why, (void)context;
}

static struct gateway_client *client_new(int port)
{
    static const char *const filters[] = {"eddy/+/result/#", "eddy/+/status", "eddy/+/reply/#", "eddy/+/health", "answers/#",
                                          "eddy/+/event/#"};
    static const int qos[] = {1, 1, 1, 1, 1, 1};
    char url[64];
    struct error error;
    struct gateway_client *client = calloc(1, sizeof *client);
    CHECK(client != NULL);
    CHECK_OK(queue_init(&client->messages, QUEUED_MAX, &error), error);
    CHECK_OK(batch_decoder_new(&client->decoder, &error), error);
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", port);
    struct link_options options = {.url = url, .client_id = "witness", .keep_alive_s = 30, .receive_maximum = WINDOW, .session_expiry_s = 3600,
                                   .filters = filters, .filter_qos = qos, .filter_count = 6, .on_message = on_message,
                                   .on_connected = on_connected, .on_disconnected = on_disconnected, .context = client};
    CHECK_OK(link_open(&options, &client->link, &error), error);
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && atomic_load(&client->connects) == 0; i++)
        broker_pause_ms(10);
    CHECK(atomic_load(&client->connects) > 0);
    return client;
}

static void client_free(struct gateway_client *client)
{
    if (client == NULL)
        return;
    link_close(client->link);
    for (struct link_message *message; (message = queue_pop_until(&client->messages, 0)) != NULL; free(message))
        link_message_release(message);
    queue_deinit(&client->messages);
    batch_decoder_free(client->decoder);
    free(client);
}

static void keep_lines(struct gateway *gateway, const char *text, size_t length)
{
    for (size_t at = 0; at < length && gateway->line_count < GATEWAY_LINES_MAX;) {
        const char *end = memchr(text + at, '\n', length - at);
        size_t size = end != NULL ? (size_t)(end - text) - at : length - at;
        gateway->lines[gateway->line_count++] = strndup(text + at, size);
        at += size + 1;
    }
}

static void keep_text(char *text, size_t capacity, const void *bytes, size_t length)
{
    snprintf(text, capacity, "%.*s", (int)length, length > 0 ? (const char *)bytes : "");
}

static void take(struct gateway *gateway, struct gateway_client *client, const struct link_message *message)
{
    struct error error = {0};
    const char *text;
    size_t length;
    if (strstr(message->topic, "/result/") != NULL) {
        CHECK_OK(batch_decode(client->decoder, message->payload, message->payload_bytes, &text, &length, &error), error);
        keep_lines(gateway, text, length);
        gateway->batch_count++;
    } else if (strstr(message->topic, "/status") != NULL) {
        keep_text(gateway->status, sizeof gateway->status, message->payload, message->payload_bytes);
        gateway->statuses++;
    } else if (strstr(message->topic, "/event/") != NULL) {
        size_t used = strlen(gateway->events);
        snprintf(gateway->events + used, sizeof gateway->events - used, "%s %.*s\n", message->topic, (int)message->payload_bytes,
                 (const char *)message->payload);
    } else if (strstr(message->topic, "/health") != NULL) {
        keep_text(gateway->health, sizeof gateway->health, message->payload, message->payload_bytes);
    } else {
        keep_text(gateway->reply_topic, sizeof gateway->reply_topic, message->topic, strlen(message->topic));
        keep_text(gateway->reply, sizeof gateway->reply, message->payload, message->payload_bytes);
        keep_text(gateway->reply_correlation, sizeof gateway->reply_correlation, message->correlation, message->correlation_bytes);
        gateway->replies++;
    }
}

void gateway_pump(struct gateway *gateway, int milliseconds)
{
    int64_t end = clock_monotonic_us() + milliseconds * 1000;
    do {
        struct link_message *message = queue_pop_until(&gateway->at_upstream->messages, 0);
        if (message != NULL) {
            take(gateway, gateway->at_upstream, message);
            link_acknowledge(gateway->at_upstream->link, &message, 1);
            link_message_release(message);
            free(message);
        } else if (milliseconds > 0) {
            broker_pause_ms(2);
        } else {
            return;
        }
    } while (milliseconds == 0 || clock_monotonic_us() < end);
}

void gateway_write_config(struct gateway *gateway, const char *pipelines)
{
    FILE *file = fopen(gateway->config, "w");
    CHECK(file != NULL);
    fprintf(file,
            "agent: { id: gw, state_dir: %s/state, health_interval: 1s, input_memory: 1MiB }\n"
            "local: { url: \"mqtt://127.0.0.1:%d\", receive_maximum: %d }\nupstream: { url: \"mqtt://127.0.0.1:%d\"%s }\n"
            "models_dir: %s\n%s\n%s\n",
            gateway->folder, gateway->local.port, gateway->receive_maximum > 0 ? gateway->receive_maximum : 256,
            gateway->separate ? gateway->upstream.port : gateway->local.port,
            gateway->upstream_settings != NULL ? gateway->upstream_settings : "",
            gateway->models_dir[0] != '\0' ? gateway->models_dir : EDDY_SOURCE_DIR "/examples/factory/models",
            gateway->settings != NULL ? gateway->settings : "", pipelines);
    CHECK(fclose(file) == 0);
}

void gateway_begin(struct gateway *gateway, const char *pipelines)
{
    struct error error;
    gateway->lines = calloc(GATEWAY_LINES_MAX, sizeof *gateway->lines);
    CHECK(gateway->lines != NULL);
    CHECK_OK(broker_start(&gateway->local, true, &error), error);
    if (gateway->separate)
        CHECK_OK(broker_start(&gateway->upstream, true, &error), error);
    snprintf(gateway->folder, sizeof gateway->folder, "/tmp/eddy-gateway-XXXXXX");
    CHECK(mkdtemp(gateway->folder) != NULL);
    snprintf(gateway->config, sizeof gateway->config, "%s/eddy.yaml", gateway->folder);
    char state[96];
    snprintf(state, sizeof state, "%s/state", gateway->folder);
    CHECK(mkdir(state, 0700) == 0);
    gateway_write_config(gateway, pipelines);
    gateway->at_local = client_new(gateway->local.port);
    gateway->at_upstream = gateway->separate ? client_new(gateway->upstream.port) : gateway->at_local;
}

void gateway_launch(struct gateway *gateway)
{
    char log[96];
    snprintf(log, sizeof log, "%s/log", gateway->folder);
    pid_t parent = getpid();
    gateway->agent = fork();
    if (gateway->agent == 0) {
        int file = open(log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(file, STDERR_FILENO);
        dup2(file, STDOUT_FILENO);
        if (getppid() == parent)
            execl(EDDY_EDDYD, "eddyd", "-c", gateway->config, "--foreground", (char *)NULL);
        _exit(127);
    }
    CHECK(gateway->agent > 0);
}

static void print_log(const struct gateway *gateway)
{
    char command[128];
    snprintf(command, sizeof command, "tail -n 40 %s/log", gateway->folder);
    (void)!system(command);
}

bool gateway_is_alive(struct gateway *gateway)
{
    return gateway->agent > 0 && waitpid(gateway->agent, NULL, WNOHANG) == 0;
}

void gateway_wait_status(struct gateway *gateway, const char *text)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100; i++) {
        if (strstr(gateway->status, text) != NULL)
            return;
        gateway_pump(gateway, 10);
    }
    print_log(gateway);
    printf("the status is %s\n", gateway->status);
    CHECK(strstr(gateway->status, text) != NULL);
}

/* The status is upstream's. What is published before the local broker has the agent's first subscription is nobody's. */
static void wait_subscribed(struct gateway *gateway)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && gateway->local.pid > 0; i++) {
        if (broker_log_says(&gateway->local, "eddy-gw 1 "))
            return;
        gateway_pump(gateway, 10);
    }
    CHECK(gateway->local.pid <= 0);
}

void gateway_start(struct gateway *gateway)
{
    gateway_pump(gateway, 0);
    gateway->status[0] = '\0';
    gateway_launch(gateway);
    gateway_wait_status(gateway, "\"online\"");
    wait_subscribed(gateway);
}

/* A program that was just started is ended by any signal until it has said what it does with it. */
static bool catches(pid_t process, int signal_number)
{
    char path[64], line[128];
    unsigned long long caught = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        (void)sscanf(line, "SigCgt: %llx", &caught);
    if (file != NULL)
        fclose(file);
    return (caught >> (signal_number - 1) & 1) != 0;
}

int gateway_stop(struct gateway *gateway, int signal_number)
{
    int status = -1;
    for (int i = 0; i < GATEWAY_PATIENCE_S * 1000 && signal_number == SIGTERM && !catches(gateway->agent, SIGTERM); i++)
        broker_pause_ms(1);
    CHECK(kill(gateway->agent, signal_number) == 0);
    CHECK(waitpid(gateway->agent, &status, 0) == gateway->agent);
    gateway->agent = 0;
    return status;
}

void gateway_end(struct gateway *gateway)
{
    char command[128];
    if (gateway->agent > 0)
        gateway_stop(gateway, SIGKILL);
    if (gateway->separate)
        client_free(gateway->at_upstream);
    client_free(gateway->at_local);
    broker_remove(&gateway->upstream);
    broker_remove(&gateway->local);
    for (int i = 0; i < gateway->line_count; i++)
        free(gateway->lines[i]);
    free(gateway->lines);
    snprintf(command, sizeof command, "rm -rf '%s'", gateway->folder);
    (void)!system(command);
}

static void publish(struct gateway *gateway, struct gateway_client *client, const struct link_publication *publication)
{
    struct error error = {0};
    for (int i = 0; i < GATEWAY_PATIENCE_S * 1000; i++) {
        if (link_publish(client->link, publication, &error) == ERROR_NONE)
            return;
        gateway_pump(gateway, 1);
    }
    CHECK_OK(ERROR_TIMEOUT, error);
}

void gateway_publish(struct gateway *gateway, const char *topic, const void *bytes, size_t length, const void *id, size_t id_length)
{
    struct link_publication publication = {.topic = topic, .payload = bytes, .payload_bytes = length, .qos = 1, .correlation = id,
                                           .correlation_bytes = id_length};
    publish(gateway, gateway->at_local, &publication);
}

static void command(struct gateway *gateway, const char *verb, const char *body, bool retain, const char *response_topic)
{
    char topic[64];
    int before = gateway->replies;
    snprintf(topic, sizeof topic, "eddy/gw/cmd/%s", verb);
    struct link_publication publication = {.topic = topic, .payload = body, .payload_bytes = strlen(body), .qos = 1, .retain = retain,
                                           .response_topic = response_topic, .correlation = (const uint8_t *)"c-1", .correlation_bytes = 3};
    publish(gateway, gateway->at_upstream, &publication);
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && gateway->replies == before; i++)
        gateway_pump(gateway, 10);
    CHECK(gateway->replies > before);
}

void gateway_command(struct gateway *gateway, const char *verb, const char *body, bool retain)
{
    command(gateway, verb, body, retain, "answers/here");
}

void gateway_request(struct gateway *gateway, const char *verb, const char *response_topic)
{
    command(gateway, verb, "{\"id\":\"r-1\"}", false, response_topic);
}

void gateway_wait_lines(struct gateway *gateway, int least)
{
    for (int i = 0; i < GATEWAY_PATIENCE_S * 100 && gateway->line_count < least; i++)
        gateway_pump(gateway, 10);
    if (gateway->line_count < least)
        print_log(gateway);
    CHECK(gateway->line_count >= least);
}

const char *gateway_find_line(struct gateway *gateway, const char *text)
{
    for (int i = 0; i < gateway->line_count; i++) {
        if (strstr(gateway->lines[i], text) != NULL)
            return gateway->lines[i];
    }
    printf("no result line holds %s\n", text);
    CHECK(false);
    return "";
}

bool gateway_log_says(const struct gateway *gateway, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/log", gateway->folder);
    return file_says(path, text);
}

uint8_t *gateway_read_file(const char *path, size_t *length_out)
{
    FILE *file = fopen(path, "rb");
    struct stat state;
    CHECK(file != NULL && fstat(fileno(file), &state) == 0);
    uint8_t *bytes = malloc((size_t)state.st_size + 1);
    CHECK(bytes != NULL);
    *length_out = fread(bytes, 1, (size_t)state.st_size, file);
    fclose(file);
    return bytes;
}
