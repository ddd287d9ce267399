/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"
#include "base/clock.h"
#include "base/json_reader.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: eddy ctl [-b URL] -a AGENT VERB [JSON]\n"
    "Sends a command to a running agent over its broker and prints the reply (JSON).\n\n"
    "Verbs: ping, get, pause, resume, reload, log-level, cache-purge, cache-stats, flush, snapshot,\n"
    "refused-list, refused-send, refused-drop.\n"
    "JSON is the command's body, for example '{\"pipeline\":\"line\"}'.\n\n"
    "  -b, --broker URL   default mqtt://127.0.0.1:1883\n"
    "  -a, --agent ID     default: this machine's name\n"
    "      --timeout S    seconds to wait for the reply (default 10)\n"
    "      --json         the output is JSON already; accepted for uniformity\n"
    "Exit: 0 successful, 1 failed or no reply, 2 usage.\n";

static bool says_successful(const uint8_t *payload, size_t length)
{
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, (const char *)payload, length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(&reader, &token) && token.kind == JSON_KEY) {
        bool state = json_text_equals(&token, "state");
        if (!state && !json_skip_value(&reader))
            return false;
        if (state)
            return json_next(&reader, &token) && token.kind == JSON_STRING && json_text_equals(&token, "successful");
    }
    return false;
}

static int request(const char *url, const char *agent, const char *verb, const char *body, int64_t timeout_us)
{
    char topic[256], reply[256], request_json[64];
    struct error error;
    struct cli_link *link;
    snprintf(topic, sizeof topic, "eddy/%s/cmd/%s", agent, verb);
    snprintf(reply, sizeof reply, "eddy/%s/reply/%s/%ld", agent, verb, (long)getpid());
    snprintf(request_json, sizeof request_json, "{}");
    const char *filter = reply;
    int64_t deadline = clock_monotonic_us() + timeout_us;
    if (cli_link_open(url, &filter, 1, timeout_us, &link, &error) != ERROR_NONE)
        return cli_fail("ctl", &error);
    const char *payload = body != NULL ? body : request_json;
    struct link_publication publication = {.topic = topic, .payload = payload, .payload_bytes = strlen(payload), .qos = 1,
                                           .content_type = "application/json", .response_topic = reply};
    int status = CLI_FAILED;
    struct link_message message;
    if (link_publish(cli_link_get(link), &publication, &error) != ERROR_NONE) {
        cli_fail("ctl", &error);
    } else if (!cli_link_receive(link, &message, deadline)) {
        fprintf(stderr, "eddy ctl: no reply from agent \"%s\"\n", agent);
    } else {
        cli_print(stdout, (const char *)message.payload, message.payload_bytes);
        putchar('\n');
        status = says_successful(message.payload, message.payload_bytes) ? CLI_DONE : CLI_FAILED;
        link_message_release(&message);
    }
    cli_link_close(link);
    return status;
}

int cli_ctl(int count, char **arguments)
{
    static const struct option options[] = {{"broker", required_argument, NULL, 'b'}, {"agent", required_argument, NULL, 'a'},
                                            {"timeout", required_argument, NULL, 't'}, {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'}, {0}};
    char host[65] = "";
    const char *url = "mqtt://127.0.0.1:1883", *agent = host;
    double timeout_s = 10;
    gethostname(host, sizeof host - 1);
    for (int option; (option = getopt_long(count, arguments, "b:a:h", options, NULL)) != -1;) {
        switch (option) {
        case 'b': url = optarg; break;
        case 'a': agent = optarg; break;
        case 't':
            if (!cli_number(optarg, 1e-3, 86400, &timeout_s))
                return cli_usage(usage, CLI_USAGE);
            break;
        case 'j': break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind >= count || count - optind > 2)
        return cli_usage(usage, CLI_USAGE);
    return request(url, agent, arguments[optind], optind + 1 < count ? arguments[optind + 1] : NULL, (int64_t)(timeout_s * 1e6));
}
