/* SPDX-License-Identifier: Apache-2.0
 *
 * eddy: the command-line tool, and eddyd, the daemon: one program under two names, so that a gateway stores the engine once. */
#include "agent/cli/cli.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *help;
    cli_command *run;
} commands[] = {
    {"check", "check a configuration and its models", cli_check},
    {"infer", "run a model on files, as a pipeline would", cli_infer},
    {"bench", "time a model on this machine", cli_bench},
    {"model", "inspect a model, run it on tensors, test it against stored vectors", cli_model},
    {"tail", "decode result messages from a broker to NDJSON", cli_tail},
    {"ctl", "send a command to a running agent", cli_ctl},
    {"cache", "look into, empty, copy the cache's file", cli_cache},
    {"demo", "run the factory demo on a private broker", cli_demo},
    {"sample-config", "print the commented default configuration", cli_sample_config},
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

int cli_usage(const char *text, int status)
{
    fputs(text, status == CLI_DONE ? stdout : stderr);
    return status;
}

void cli_print(FILE *file, const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t bytes = utf8_sequence_length(text + at, length - at);
        unsigned char first = (unsigned char)text[at], second = bytes == 2 ? (unsigned char)text[at + 1] : 0;
        bool is_control = (first < 0x20 && first != '\t') || first == 0x7f || (first == 0xc2 && bytes == 2 && second < 0xa0);
        if (bytes == 0)
            fprintf(file, "\\x%02x", first);
        else if (is_control)
            fprintf(file, "\\u%04x", bytes == 2 ? second : first);
        else
            fwrite(text + at, 1, bytes, file);
        at += bytes > 0 ? bytes : 1;
    }
}

bool cli_number(const char *text, double low, double high, double *number_out)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || !(number >= low && number <= high))
        return false;
    *number_out = number;
    return true;
}

bool cli_count(const char *text, long low, long high, long *count_out)
{
    char *end;
    errno = 0;
    long count = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || count < low || count > high)
        return false;
    *count_out = count;
    return true;
}

int cli_fail(const char *command, const struct error *error)
{
    fprintf(stderr, "eddy %s: %s\n", command, error->message);
    return CLI_FAILED;
}

static int print_help(int status)
{
    FILE *file = status == CLI_DONE ? stdout : stderr;
    fputs("usage: eddy COMMAND [OPTIONS]\n\n", file);
    for (int i = 0; i < COMMAND_COUNT; i++)
        fprintf(file, "  %-14s %s\n", commands[i].name, commands[i].help);
    fputs("\n`eddy COMMAND --help` says more. Exit status: 0 done, 1 failed, 2 usage.\n", file);
    return status;
}

static bool is_called(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash != NULL ? slash + 1 : path, name) == 0;
}

int main(int count, char **arguments)
{
    if (count > 0 && is_called(arguments[0], "eddyd"))
        return eddyd_main(count, arguments);
    if (count < 2)
        return print_help(CLI_USAGE);
    if (strcmp(arguments[1], "--help") == 0 || strcmp(arguments[1], "help") == 0)
        return print_help(CLI_DONE);
    if (strcmp(arguments[1], "--version") == 0) {
        puts("eddy " EDDY_VERSION);
        return CLI_DONE;
    }
    for (int i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(arguments[1], commands[i].name) == 0) {
            if (count > 2 && strcmp(arguments[2], "--version") == 0) {
                puts("eddy " EDDY_VERSION);
                return CLI_DONE;
            }
            return commands[i].run(count - 1, arguments + 1);
        }
    }
    fprintf(stderr, "eddy: unknown command \"%s\"\n", arguments[1]);
    return print_help(CLI_USAGE);
}
