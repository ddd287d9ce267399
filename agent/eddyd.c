/* SPDX-License-Identifier: Apache-2.0
 *
 * eddyd: the daemon. Reads the config, runs the agent, reloads on SIGHUP (or the command), stops cleanly on SIGTERM and SIGINT.
 * Exit status: 0 stopped, 1 failed, 2 usage, 78 (EX_CONFIG) wrong config: the unit does not restart on that one. */
#include "agent/cli/cli.h"
#include "agent/agent.h"
#include "agent/notify.h"
#include "base/clock.h"
#include "base/log.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static const char usage[] =
    "usage: eddyd -c FILE [--check] [--foreground]\n"
    "Runs the eddy agent: takes inputs from an MQTT broker, infers, publishes results upstream.\n\n"
    "  -c, --config FILE   configuration (default /etc/eddy/eddy.yaml; conf.d/*.yaml beside it is merged)\n"
    "  -t, --check         check the configuration, print what is wrong, end\n"
    "      --foreground    stay in the foreground (always so: systemd is the daemon's parent)\n"
    "      --help, --version\n\n"
    "Signals: SIGTERM, SIGINT stop; SIGHUP reloads. Exit: 0 stopped, 1 failed, 2 usage, 78 wrong configuration.\n";

static atomic_int stop_wanted, reload_signalled; /* any thread may be the one that a signal interrupts */

static void on_signal(int number)
{
    if (number == SIGHUP)
        reload_signalled = 1;
    else
        stop_wanted = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum error_code load(const char *path, struct agent **agent_out, struct error *error)
{
    struct config *config;
    TRY(config_open(path, &config, NULL, error));
    enum log_level level;
    if (log_level_parse(config->agent.log_level, &level))
        log_set_level(level);
    return agent_new(config, agent_out, error);
}

/* The running agent goes on unless everything of the new config is good. */
static struct agent *reload(const char *path, struct agent *old)
{
    struct error error = {0};
    struct agent *replacement = NULL;
    enum log_level level = log_get_level();
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_us());
    enum error_code code = load(path, &replacement, &error);
    agent_report_reload(old, code, error.message);
    if (code != ERROR_NONE) {
        log_set_level(level);
        log_error("reload refused, the running configuration stays: %s", error.message);
        notify_send("READY=1");
        return old;
    }
    agent_stop(old);
    agent_free(old);
    if (agent_start(replacement, &error) != ERROR_NONE) {
        log_error("the new configuration does not start: %s", error.message);
        agent_stop(replacement);
        agent_free(replacement);
        return NULL;
    }
    log_info("reloaded %s", path);
    notify_send("READY=1");
    return replacement;
}

static struct agent *run(const char *path, struct agent *agent)
{
    int64_t watchdog_us = notify_watchdog_interval_us(), watchdog_due_us = 0;
    char text[256];
    notify_send("READY=1");
    while (!stop_wanted && agent != NULL) {
        agent_tick(agent);
        if (reload_signalled || agent_wants_reload(agent)) {
            reload_signalled = 0;
            agent = reload(path, agent);
            continue;
        }
        int64_t now = clock_monotonic_us(), interval_us = watchdog_us > 0 ? watchdog_us : 10000000;
        if (now >= watchdog_due_us) {
            watchdog_due_us = now + interval_us;
            agent_describe(agent, text, sizeof text);
            notify_send("%sSTATUS=%s", watchdog_us > 0 ? "WATCHDOG=1\n" : "", text);
        }
    }
    return agent;
}

static int check(const char *path)
{
    struct config *config;
    struct error error;
    char report[CONFIG_REPORT_BYTES];
    if (config_open(path, &config, report, &error) != ERROR_NONE) {
        fputs(report, stderr);
        return EX_CONFIG;
    }
    config_close(config);
    printf("%s: good\n", path);
    return 0;
}

int eddyd_main(int count, char **arguments)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 't'},
                                            {"foreground", no_argument, NULL, 'f'},   {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'V'},      {0}};
    const char *path = "/etc/eddy/eddy.yaml";
    bool only_check = false;
    for (int option; (option = getopt_long(count, arguments, "c:th", options, NULL)) != -1;) {
        switch (option) {
        case 'c': path = optarg; break;
        case 't': only_check = true; break;
        case 'f': break;
        case 'h': fputs(usage, stdout); return 0;
        case 'V': puts("eddyd " EDDY_VERSION); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < count) {
        fputs(usage, stderr);
        return 2;
    }
    if (only_check)
        return check(path);
    mallopt(M_ARENA_MAX, 2); /* a handful of threads that pass buffers on: more arenas would only hold memory */
    mallopt(M_MMAP_THRESHOLD, 1 << 20); /* an image comes, is freed, the next one comes: its pages are not returned to the system in between */
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
    catch_signals();
    struct error error = {0};
    struct agent *agent = NULL;
    enum error_code code = load(path, &agent, &error);
    if (code != ERROR_NONE) {
        log_error("%s", error.message);
        return code == ERROR_CONFIG ? EX_CONFIG : 1;
    }
    code = agent_start(agent, &error);
    if (code != ERROR_NONE)
        log_error("%s", error.message);
    else
        agent = run(path, agent);
    notify_send("STOPPING=1");
    if (agent == NULL)
        return 1;
    agent_stop(agent);
    agent_free(agent);
    return code == ERROR_NONE ? 0 : 1;
}
