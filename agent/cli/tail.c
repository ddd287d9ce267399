/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/batch.h"
#include "agent/cli/cli.h"
#include "agent/rebuild.h"

#include <getopt.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: eddy tail [-b URL] [-t TOPIC] [--count N]\n"
    "Decodes result messages from a broker to NDJSON, one result a line, until Ctrl-C.\n"
    "Control characters are printed as \\u001b, bytes that are not UTF-8 as \\xff: nothing of a message reaches the terminal as a command.\n"
    "A line that refers to an earlier one (\"same-as\":SEQ) gets that one's result; where it was not seen, the line stays as it is.\n\n"
    "  -b, --broker URL   default mqtt://127.0.0.1:1883\n"
    "  -t, --topic TOPIC  default eddy/+/result/#\n"
    "      --count N      end after N results\n"
    "      --json         the output is JSON already; accepted for uniformity\n";

enum { CONNECT_TIMEOUT_US = 10000000 };

/* Prints whole lines; returns how many. */
static long print_lines(struct rebuild *rebuild, const char *text, size_t length, long most)
{
    long lines = 0;
    for (size_t at = 0; at < length && (most < 0 || lines < most); lines++) {
        size_t end = at;
        while (end < length && text[end] != '\n')
            end++;
        const char *line;
        size_t line_length;
        if (!rebuild_line(rebuild, text + at, end - at, &line, &line_length))
            fputs("eddy tail: the result that the next line refers to was not seen\n", stderr);
        cli_print(stdout, line, line_length);
        putchar('\n');
        at = end + 1;
    }
    fflush(stdout);
    return lines;
}

static void complain(const char *topic, const struct error *error)
{
    fputs("eddy tail: ", stderr);
    cli_print(stderr, topic, strlen(topic));
    fprintf(stderr, ": %s\n", error->message);
}

static int tail(struct cli_link *link, long count)
{
    struct error error;
    struct batch_decoder *decoder = NULL;
    struct rebuild *rebuild = NULL;
    struct link_message message;
    if (batch_decoder_new(&decoder, &error) != ERROR_NONE || rebuild_new(&rebuild, &error) != ERROR_NONE) {
        batch_decoder_free(decoder);
        return cli_fail("tail", &error);
    }
    long printed = 0;
    while ((count < 0 || printed < count) && cli_link_receive(link, &message, INT64_MAX)) {
        const char *text;
        size_t length;
        if (batch_decode(decoder, message.payload, message.payload_bytes, &text, &length, &error) != ERROR_NONE)
            complain(message.topic, &error);
        else
            printed += print_lines(rebuild, text, length, count < 0 ? -1 : count - printed);
        link_message_release(&message);
    }
    rebuild_free(rebuild);
    batch_decoder_free(decoder);
    return count < 0 || printed >= count ? CLI_DONE : CLI_FAILED;
}

int cli_tail(int count, char **arguments)
{
    static const struct option options[] = {{"broker", required_argument, NULL, 'b'}, {"topic", required_argument, NULL, 't'},
                                            {"count", required_argument, NULL, 'n'},  {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},         {0}};
    const char *url = "mqtt://127.0.0.1:1883", *topic = "eddy/+/result/#";
    long results = -1;
    for (int option; (option = getopt_long(count, arguments, "b:t:n:h", options, NULL)) != -1;) {
        switch (option) {
        case 'b': url = optarg; break;
        case 't': topic = optarg; break;
        case 'n':
            if (!cli_count(optarg, 1, LONG_MAX, &results))
                return cli_usage(usage, CLI_USAGE);
            break;
        case 'j': break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind < count)
        return cli_usage(usage, CLI_USAGE);
    struct error error;
    struct cli_link *link;
    if (cli_link_open(url, &topic, 1, CONNECT_TIMEOUT_US, &link, &error) != ERROR_NONE)
        return cli_fail("tail", &error);
    int status = tail(link, results);
    cli_link_close(link);
    return status;
}
