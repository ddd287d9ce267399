/* SPDX-License-Identifier: Apache-2.0
 *
 * What tail, ctl and demo share: a connection for the life of one command, its messages as a queue. */
#include "agent/cli/cli.h"
#include "base/clock.h"
#include "base/queue.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGES_WAITING_MAX = 4096, FILTERS_MAX = 8, POLL_US = 100000 };

struct cli_link {
    struct link *link;
    struct queue messages;
    atomic_bool connected;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool on_message(struct link_message *message, void *context)
{
    struct cli_link *link = context;
    struct link_message *copy = malloc(sizeof *copy);
    if (copy != NULL)
        *copy = *message;
    if (copy != NULL && queue_try_push(&link->messages, copy))
        return true;
    free(copy);
    return false;
}

static void on_connected(bool session_present, void *context)
{
    (void)session_present;
    atomic_store(&((struct cli_link *)context)->connected, true);
}

static void on_disconnected(const char *why, void *context)
{
    (void)why;
    atomic_store(&((struct cli_link *)context)->connected, false);
}

static void on_published(uint64_t ticket, int reason_code, void *context)
{
    (void)ticket, (void)reason_code, (void)context;
}

static enum error_code wait_connected(struct cli_link *link, const char *url, int64_t timeout_us, struct error *error)
{
    struct timespec pause = {.tv_nsec = 2000000};
    for (int64_t deadline = clock_monotonic_us() + timeout_us; !atomic_load(&link->connected); nanosleep(&pause, NULL)) {
        if (interrupted || clock_monotonic_us() > deadline) {
            struct link_statistics statistics;
            link_get_statistics(link->link, &statistics);
            return error_set(error, ERROR_LINK, "%s: not connected: %s", url, statistics.last_problem);
        }
    }
    return ERROR_NONE;
}

enum error_code cli_link_open(const char *url, const char *const *filters, int filter_count, int64_t timeout_us, struct cli_link **link_out,
                              struct error *error)
{
    static const int qos[FILTERS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    struct cli_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return error_set(error, ERROR_LIMIT, "no memory");
    char client_id[64];
    snprintf(client_id, sizeof client_id, "eddy-cli-%ld-%llx", (long)getpid(), (unsigned long long)clock_monotonic_us());
    struct link_options options = {.url = url, .client_id = client_id, .keep_alive_s = 30, .receive_maximum = 1024, .filters = filters,
                                   .filter_qos = qos, .filter_count = filter_count, .on_message = on_message,
                                   .on_connected = on_connected, .on_disconnected = on_disconnected, .on_published = on_published,
                                   .context = link};
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    enum error_code code = queue_init(&link->messages, MESSAGES_WAITING_MAX, error);
    if (code == ERROR_NONE)
        code = link_open(&options, &link->link, error);
    if (code == ERROR_NONE)
        code = wait_connected(link, url, timeout_us, error);
    if (code != ERROR_NONE) {
        cli_link_close(link);
        return code;
    }
    *link_out = link;
    return ERROR_NONE;
}

void cli_link_close(struct cli_link *link)
{
    if (link == NULL)
        return;
    link_close(link->link);
    if (link->messages.items != NULL) {
        queue_close(&link->messages);
        for (struct link_message *message; (message = queue_pop(&link->messages)) != NULL; free(message))
            link_message_release(message);
    }
    queue_deinit(&link->messages);
    free(link);
}

struct link *cli_link_get(struct cli_link *link)
{
    return link->link;
}

bool cli_link_receive(struct cli_link *link, struct link_message *message_out, int64_t deadline_us)
{
    while (!interrupted && clock_monotonic_us() < deadline_us) {
        int64_t until = clock_monotonic_us() + POLL_US; /* a signal may come between the test and the wait */
        struct link_message *message = queue_pop_until(&link->messages, until < deadline_us ? until : deadline_us);
        if (message == NULL)
            continue;
        *message_out = *message;
        free(message);
        struct link_message *taken = message_out;
        link_acknowledge(link->link, &taken, 1);
        return true;
    }
    return false;
}
