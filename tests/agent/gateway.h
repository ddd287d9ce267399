/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway.h: a real eddyd on a real mosquitto for the life of a test, and a client that sees what it says.
 *
 *   struct gateway gateway = {.separate = true};     upstream is a broker of its own
 *   gateway_begin(&gateway, pipelines_yaml);         brokers, folder, config, client
 *   gateway_start(&gateway);                         eddyd, until it says "online" and has subscribed
 *   gateway_publish(&gateway, topic, bytes, length, id, id_length);
 *   gateway_wait_lines(&gateway, 100);               gateway.lines then holds that many results
 *   gateway_stop(&gateway, SIGKILL);                 the status, as waitpid gives it
 *   gateway_end(&gateway);                           all of it away
 * The client's session and the brokers' queues are persistent, so nothing that was published is missed; what arrives is taken and
 * acknowledged in gateway_pump, which the waits call. All programs die with the test. */
#ifndef EDDY_TESTS_AGENT_GATEWAY_H
#define EDDY_TESTS_AGENT_GATEWAY_H

#include "base/error.h"
#include "tests/transport/broker.h"
#include "transport/link.h"

enum { GATEWAY_LINES_MAX = 1 << 17, GATEWAY_PATIENCE_S = 120, GATEWAY_TEXT_BYTES = 16384 };

struct gateway_client;

struct gateway {
    int receive_maximum;       /* of the agent's local link; 0: 256 */
    bool separate;
    const char *settings;              /* more lines for eddy.yaml; NULL: none */
    const char *upstream_settings;     /* more keys of the section upstream, with a comma before each; NULL: none */
    struct broker local, upstream;
    struct gateway_client *at_local, *at_upstream; /* the same where there is one broker */
    char folder[64], config[96];
    char models_dir[512];              /* "": the project's own demo models */
    pid_t agent;
    char **lines;                      /* result lines in order of arrival */
    int line_count, batch_count;
    char status[1024], reply[GATEWAY_TEXT_BYTES], reply_correlation[64], reply_topic[128], health[GATEWAY_TEXT_BYTES];
    int replies, statuses;
    char events[GATEWAY_TEXT_BYTES];   /* topic, blank, payload of each, one a line */
};

void gateway_begin(struct gateway *gateway, const char *pipelines);
void gateway_write_config(struct gateway *gateway, const char *pipelines);
void gateway_launch(struct gateway *gateway);  /* without waiting for anything */
void gateway_start(struct gateway *gateway);
bool gateway_is_alive(struct gateway *gateway);
int gateway_stop(struct gateway *gateway, int signal_number);
void gateway_end(struct gateway *gateway);

/* QoS 1, to the local broker; waits while the link's window is full. id NULL: no correlation data. */
void gateway_publish(struct gateway *gateway, const char *topic, const void *bytes, size_t length, const void *id, size_t id_length);
void gateway_command(struct gateway *gateway, const char *verb, const char *body, bool retain); /* then waits for its reply */
void gateway_request(struct gateway *gateway, const char *verb, const char *response_topic); /* the same, to be answered there */
void gateway_pump(struct gateway *gateway, int milliseconds);
void gateway_wait_lines(struct gateway *gateway, int least);
void gateway_wait_status(struct gateway *gateway, const char *text);
/* The first result line that holds `text`; fails the test where there is none. */
const char *gateway_find_line(struct gateway *gateway, const char *text);
bool gateway_log_says(const struct gateway *gateway, const char *text);

/* A whole file of the project, freed by the caller. */
uint8_t *gateway_read_file(const char *path, size_t *length_out);

#endif
