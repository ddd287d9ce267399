/* SPDX-License-Identifier: Apache-2.0
 *
 * cli.h: the commands of the program `eddy`, one file each. A command gets its own arguments (arguments[0] is its name), prints data to
 * stdout and problems to stderr, and returns the exit status: CLI_DONE, CLI_FAILED or CLI_USAGE. */
#ifndef EDDY_AGENT_CLI_H
#define EDDY_AGENT_CLI_H

#include "base/error.h"
#include "transport/link.h"

#include <stdio.h>

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNSUPPORTED = 3 };

typedef int cli_command(int count, char **arguments);

cli_command cli_check, cli_infer, cli_bench, cli_model, cli_tail, cli_ctl, cli_cache, cli_demo, cli_sample_config;
int eddyd_main(int count, char **arguments); /* what the program is when it is called eddyd */

int cli_usage(const char *text, int status);                /* prints it to stdout (CLI_DONE) or stderr; returns status */
bool cli_number(const char *text, double low, double high, double *number_out); /* false: not a number, or outside low..high */
bool cli_count(const char *text, long low, long high, long *count_out);         /* the same, whole numbers alone */
/* Prints what came from elsewhere: control characters as \u001b (the same in JSON text), bytes that are no UTF-8 as \xff; tabs stay. */
void cli_print(FILE *file, const char *text, size_t length);
int cli_fail(const char *command, const struct error *error); /* prints "eddy infer: message"; returns CLI_FAILED */

/* A link for the life of one command: opens, waits until it is connected or timeout_us has passed. */
struct cli_link;
MUST_CHECK enum error_code cli_link_open(const char *url, const char *const *filters, int filter_count, int64_t timeout_us,
                                         struct cli_link **link_out, struct error *error);
void cli_link_close(struct cli_link *link);
struct link *cli_link_get(struct cli_link *link);
/* The next message; false: none until the deadline (monotonic), or the user asked to stop. Release it with link_message_release. */
bool cli_link_receive(struct cli_link *link, struct link_message *message_out, int64_t deadline_us);

#endif
