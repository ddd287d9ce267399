/* SPDX-License-Identifier: Apache-2.0
 *
 * broker.h: a private mosquitto on a free loopback port for the life of a test.
 *
 *   struct broker broker = {0};                      extra: more lines for mosquitto.conf
 *   broker_need();                                   skips the program, in words, where mosquitto is not installed
 *   CHECK_OK(broker_start(&broker, true, &error), error);
 *   ... broker_stop(&broker); broker_start again: the same port and folder ... broker_remove(&broker);
 * It dies with the test. persistent: sessions and queued messages survive broker_stop. */
#ifndef EDDY_TESTS_TRANSPORT_BROKER_H
#define EDDY_TESTS_TRANSPORT_BROKER_H

#include "base/error.h"
#include "tests/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct broker {
    int port;          /* 0: a free one is chosen */
    pid_t pid;
    char folder[64];   /* "" : a new one under /tmp */
    char extra[768];
    char listener[128]; /* lines after "listener PORT 127.0.0.1", such as its protocol or its keys */
};

static inline const char *broker_program(void)
{
    static const char *const places[] = {"/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

static inline void broker_need(void)
{
    if (broker_program() == NULL)
        check_skip("mosquitto is not installed (apt-get install mosquitto)");
}

static inline void broker_pause_ms(int milliseconds)
{
    struct timespec pause = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L};
    nanosleep(&pause, NULL);
}

static inline struct sockaddr_in broker_address(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline int broker_free_port(void)
{
    struct sockaddr_in address = broker_address(0);
    socklen_t bytes = sizeof address;
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port = 0;
    if (bind(probe, (struct sockaddr *)&address, sizeof address) == 0 && getsockname(probe, (struct sockaddr *)&address, &bytes) == 0)
        port = ntohs(address.sin_port);
    close(probe);
    return port;
}

static inline bool broker_answers(int port)
{
    struct sockaddr_in address = broker_address(port);
    int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers = connect(probe, (struct sockaddr *)&address, sizeof address) == 0;
    close(probe);
    return answers;
}

static inline bool broker_write_config(const struct broker *broker, bool persistent, char *path, size_t path_bytes)
{
    snprintf(path, path_bytes, "%s/mosquitto.conf", broker->folder);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    fprintf(file, "listener %d 127.0.0.1\n%s\nmax_queued_messages 100000\npersistence %s\npersistence_location %s/\nlog_dest file %s/log\n"
            "log_type error\nlog_type warning\nlog_type notice\nlog_type information\nlog_type subscribe\n%s\n",
            broker->port, broker->listener, persistent ? "true" : "false", broker->folder, broker->folder, broker->extra);
    if (strstr(broker->extra, "allow_anonymous") == NULL)
        fprintf(file, "allow_anonymous true\n");
    if (geteuid() == 0)
        fprintf(file, "user root\n");
    return fclose(file) == 0;
}

static inline enum error_code broker_start(struct broker *broker, bool persistent, struct error *error)
{
    char config[128];
    if (broker->folder[0] == '\0') {
        snprintf(broker->folder, sizeof broker->folder, "/tmp/eddy-broker-XXXXXX");
        if (mkdtemp(broker->folder) == NULL)
            return error_set(error, ERROR_STORAGE, "cannot make %s: %s", broker->folder, strerror(errno));
    }
    if (broker->port == 0)
        broker->port = broker_free_port();
    if (!broker_write_config(broker, persistent, config, sizeof config))
        return error_set(error, ERROR_STORAGE, "cannot write %s", config);
    pid_t parent = getpid();
    broker->pid = fork();
    if (broker->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execl(broker_program(), "mosquitto", "-c", config, (char *)NULL);
        _exit(127);
    }
    while (!broker_answers(broker->port)) {
        if (waitpid(broker->pid, NULL, WNOHANG) == broker->pid) {
            broker->pid = 0;
            return error_set(error, ERROR_LINK, "mosquitto ended at once; see %s/log", broker->folder);
        }
        broker_pause_ms(20);
    }
    return ERROR_NONE;
}

static inline bool file_says(const char *path, const char *text)
{
    char line[1024];
    bool found = false;
    FILE *file = fopen(path, "r");
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

static inline bool broker_log_says(const struct broker *broker, const char *text)
{
    char path[96];
    snprintf(path, sizeof path, "%s/log", broker->folder);
    return file_says(path, text);
}

static inline void broker_stop(struct broker *broker)
{
    if (broker->pid <= 0)
        return;
    kill(broker->pid, SIGTERM);
    while (waitpid(broker->pid, NULL, WNOHANG) == 0) { /* one that has just started answers before it heeds signals, and forgets this one */
        broker_pause_ms(20);
        kill(broker->pid, SIGTERM);
    }
    broker->pid = 0;
}

static inline void broker_remove(struct broker *broker)
{
    char command[128];
    broker_stop(broker);
    if (broker->folder[0] != '\0') {
        snprintf(command, sizeof command, "rm -rf '%s'", broker->folder);
        (void)!system(command);
    }
    *broker = (struct broker){0};
}

#endif
