/* SPDX-License-Identifier: Apache-2.0
 *
 * eddy demo: a private mosquitto on a free loopback port, an eddyd of its own, the shipped frames and readings replayed through both. */
#include "agent/batch.h"
#include "agent/cli/cli.h"
#include "agent/cli/demo.h"
#include "base/clock.h"
#include "config/manifest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: eddy demo [--seconds S | --keep] [--data DIR]\n"
    "Replays the shipped factory line (camera frames, motor readings) through a private mosquitto and an agent, and prints what came out.\n\n"
    "      --seconds S   how long (default 20)\n"
    "      --keep        until Ctrl-C\n"
    "      --data DIR    folder with models, frames, readings (default /usr/share/eddy/demo)\n"
    "Needs mosquitto.\n";

enum { CONNECT_TIMEOUT_US = 10000000, READY_TIMEOUT_US = 15000000, SETTLE_US = 10000000, CONFIG_BYTES_MAX = 16 * 1024 };

struct demo {
    char folder[64];        /* temporary */
    const char *data;
    int port;
    pid_t broker, agent;
    struct cli_link *link;
    struct batch_decoder *decoder;
    struct demo_replay replay;
    struct demo_report report;
};

static enum error_code free_port(int *port_out, struct error *error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = descriptor < 0 || bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
                 getsockname(descriptor, (struct sockaddr *)&address, &length) != 0;
    if (descriptor >= 0)
        close(descriptor);
    if (failed)
        return error_set(error, ERROR_LINK, "no free loopback port: %s", strerror(errno));
    *port_out = ntohs(address.sin_port);
    return ERROR_NONE;
}

static enum error_code write_file(const char *path, const char *text, size_t length, struct error *error)
{
    return file_replace(path, text, length, error);
}

static pid_t start_program(const char *path, char *const *arguments, const char *log_path)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    FILE *log = fopen(log_path, "w");
    if (log != NULL) {
        dup2(fileno(log), STDERR_FILENO);
        dup2(fileno(log), STDOUT_FILENO);
    }
    setpgid(0, 0); /* Ctrl-C reaches the demo alone, which ends the others in order */
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* and where it is killed itself, nothing stays behind */
    execvp(path, arguments);
    _exit(127);
}

/* Debian's mosquitto is in sbin, which a user's PATH may lack. */
static const char *const program_folders[] = {"/usr/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin"};

static bool is_installed(const char *program)
{
    char path[PATH_MAX], folders[256] = "";
    bool found = false;
    for (size_t i = 0; i < sizeof program_folders / sizeof program_folders[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", program_folders[i], program);
        found |= access(path, X_OK) == 0;
        snprintf(folders + strlen(folders), sizeof folders - strlen(folders), "%s%s", i > 0 ? ":" : "", program_folders[i]);
    }
    setenv("PATH", folders, 1);
    return found;
}

static enum error_code start_broker(struct demo *demo, struct error *error)
{
    char path[PATH_MAX], log_path[PATH_MAX], text[256];
    if (!is_installed("mosquitto"))
        return error_set(error, ERROR_LINK, "the demo needs mosquitto: apt-get install mosquitto");
    TRY(free_port(&demo->port, error));
    snprintf(path, sizeof path, "%s/mosquitto.conf", demo->folder);
    snprintf(log_path, sizeof log_path, "%s/mosquitto.log", demo->folder);
    int length = snprintf(text, sizeof text, "listener %d 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 10000\n", demo->port);
    TRY(write_file(path, text, (size_t)length, error));
    demo->broker = start_program("mosquitto", (char *[]){"mosquitto", "-c", path, NULL}, log_path);
    return demo->broker > 0 ? ERROR_NONE : error_set(error, ERROR_INTERNAL, "cannot start mosquitto");
}

/* The template's @PORT@, @STATE@ and @MODELS@ are filled in. */
static enum error_code write_config(const struct demo *demo, const char *path, struct error *error)
{
    char template_path[PATH_MAX], value[PATH_MAX + 16];
    struct file_map map;
    snprintf(template_path, sizeof template_path, "%s/eddy.yaml", demo->data);
    TRY(file_map_open(template_path, CONFIG_BYTES_MAX, &map, error));
    char *text = malloc(4 * CONFIG_BYTES_MAX);
    size_t length = 0;
    for (size_t at = 0; text != NULL && at < map.bytes;) {
        const char *rest = (const char *)map.data + at;
        size_t left = map.bytes - at, skip = 1;
        value[0] = *rest;
        value[1] = '\0';
        if (left >= 6 && memcmp(rest, "@PORT@", 6) == 0)
            skip = 6, snprintf(value, sizeof value, "%d", demo->port);
        else if (left >= 7 && memcmp(rest, "@STATE@", 7) == 0)
            skip = 7, snprintf(value, sizeof value, "%s/state", demo->folder);
        else if (left >= 8 && memcmp(rest, "@MODELS@", 8) == 0)
            skip = 8, snprintf(value, sizeof value, "%s/models", demo->data);
        size_t value_length = strlen(value);
        if (length + value_length > 4 * CONFIG_BYTES_MAX)
            break;
        memcpy(text + length, value, value_length);
        length += value_length;
        at += skip;
    }
    file_map_close(&map);
    enum error_code code = text != NULL ? write_file(path, text, length, error) : error_set(error, ERROR_LIMIT, "no memory");
    free(text);
    return code;
}

/* eddyd lies beside this program, in the build folder as in /usr/bin; the package puts it into /usr/sbin. */
static void find_eddyd(char path[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 8);
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        snprintf(slash + 1, PATH_MAX - (size_t)(slash + 1 - path), "eddyd");
    if (slash == NULL || access(path, X_OK) != 0)
        snprintf(path, PATH_MAX, "eddyd");
}

static enum error_code start_agent(struct demo *demo, struct error *error)
{
    char path[PATH_MAX], log_path[PATH_MAX], program[PATH_MAX];
    snprintf(path, sizeof path, "%s/eddy.yaml", demo->folder);
    snprintf(log_path, sizeof log_path, "%s/eddyd.log", demo->folder);
    TRY(write_config(demo, path, error));
    find_eddyd(program);
    demo->agent = start_program(program, (char *[]){"eddyd", "-c", path, "--foreground", NULL}, log_path);
    return demo->agent > 0 ? ERROR_NONE : error_set(error, ERROR_INTERNAL, "cannot start eddyd");
}

static void print_log(const struct demo *demo)
{
    char path[PATH_MAX];
    struct error ignored;
    struct file_map map;
    snprintf(path, sizeof path, "%s/eddyd.log", demo->folder);
    if (file_map_open(path, 1 << 20, &map, &ignored) != ERROR_NONE)
        return;
    fwrite(map.data, 1, map.bytes, stderr);
    file_map_close(&map);
}

/* The retained status says "online" once the agent has subscribed and can answer. */
static enum error_code wait_online(struct demo *demo, struct error *error)
{
    struct link_message message;
    int64_t deadline = clock_monotonic_us() + READY_TIMEOUT_US;
    while (clock_monotonic_us() < deadline) {
        int status;
        if (waitpid(demo->agent, &status, WNOHANG) == demo->agent) {
            demo->agent = 0;
            print_log(demo);
            return error_set(error, ERROR_INTERNAL, "eddyd ended: see the lines above");
        }
        if (!cli_link_receive(demo->link, &message, clock_monotonic_us() + 200000))
            continue;
        bool online = strstr(message.topic, "/status") != NULL && memmem(message.payload, message.payload_bytes, "\"online\"", 8) != NULL;
        link_message_release(&message);
        if (online)
            return ERROR_NONE;
    }
    print_log(demo);
    return error_set(error, ERROR_TIMEOUT, "eddyd is not ready after %d s", READY_TIMEOUT_US / 1000000);
}

static enum error_code set_up(struct demo *demo, struct error *error)
{
    static const char *const filters[] = {"eddy/+/result/#", "eddy/+/status"};
    char url[64];
    snprintf(demo->folder, sizeof demo->folder, "/tmp/eddy-demo-XXXXXX");
    if (mkdtemp(demo->folder) == NULL)
        return error_set(error, ERROR_STORAGE, "%s: %s", demo->folder, strerror(errno));
    TRY(demo_replay_open(demo->data, &demo->replay, error));
    TRY(batch_decoder_new(&demo->decoder, error));
    TRY(start_broker(demo, error));
    snprintf(url, sizeof url, "mqtt://127.0.0.1:%d", demo->port);
    TRY(cli_link_open(url, filters, 2, CONNECT_TIMEOUT_US, &demo->link, error));
    TRY(start_agent(demo, error));
    return wait_online(demo, error);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *position)
{
    (void)status, (void)type, (void)position;
    return remove(path);
}

static void stop_program(pid_t child)
{
    if (child <= 0)
        return;
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
}

static void tear_down(struct demo *demo)
{
    stop_program(demo->agent);
    cli_link_close(demo->link);
    stop_program(demo->broker);
    batch_decoder_free(demo->decoder);
    demo_replay_close(&demo->replay);
    nftw(demo->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void print_model(const struct demo *demo, const char *name)
{
    char folder[PATH_MAX];
    struct manifest *manifest;
    struct error ignored;
    snprintf(folder, sizeof folder, "%s/models", demo->data);
    if (manifest_find(folder, name, &manifest, &ignored) != ERROR_NONE)
        return;
    printf("  %s@%s: %s\n", manifest->name, manifest->version, manifest->description);
    manifest_close(manifest);
}

static void print_introduction(const struct demo *demo)
{
    printf("A camera above a factory line and two motors, through a private mosquitto (port %d) and an eddyd.\n", demo->port);
    print_model(demo, "part-check");
    print_model(demo, "motor-anomaly");
    printf("In another terminal: eddy tail -b mqtt://127.0.0.1:%d\n"
           "                     eddy ctl -b mqtt://127.0.0.1:%d -a factory get\n", demo->port, demo->port);
    fflush(stdout);
}

static void receive(struct demo *demo, int64_t deadline_us)
{
    struct link_message message;
    struct error error;
    if (!cli_link_receive(demo->link, &message, deadline_us))
        return;
    const char *text;
    size_t length;
    if (strstr(message.topic, "/result/") != NULL &&
        batch_decode(demo->decoder, message.payload, message.payload_bytes, &text, &length, &error) == ERROR_NONE) {
        demo->report.messages++;
        demo->report.upstream_bytes += (int64_t)(message.payload_bytes + strlen(message.topic));
        demo_report_take(&demo->report, &demo->replay, text, length, message.arrived_us);
    }
    link_message_release(&message);
}

/* false: the link's window is full; try again shortly. */
static bool send_item(struct demo *demo, int index, int round)
{
    struct demo_item *item = &demo->replay.items[index];
    char id[32];
    int id_length = snprintf(id, sizeof id, "%d-%d", index, round);
    struct error error;
    struct link_publication publication = {.topic = item->topic, .payload = item->payload, .payload_bytes = item->payload_bytes, .qos = 1,
                                           .correlation = (const uint8_t *)id, .correlation_bytes = (size_t)id_length};
    item->sent_us = clock_monotonic_us();
    if (link_publish(cli_link_get(demo->link), &publication, &error) != ERROR_NONE)
        return false;
    struct demo_kind *kind = item->is_frame ? &demo->report.frames : &demo->report.readings;
    kind->inputs++;
    kind->input_bytes += (int64_t)(item->payload_bytes + strlen(item->topic));
    return true;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool results_are_due(const struct demo *demo)
{
    const struct demo_kind *frames = &demo->report.frames, *readings = &demo->report.readings;
    return frames->results < frames->inputs || readings->results + demo->replay.motor_count < readings->inputs;
}

static void replay(struct demo *demo, int64_t duration_us)
{
    int64_t start = clock_monotonic_us(), next_line = start + 1000000;
    int index = 0, round = 0;
    demo->report.started_us = start;
    for (int64_t now = start; !interrupted && now - start < duration_us; now = clock_monotonic_us()) {
        const struct demo_item *item = &demo->replay.items[index];
        int64_t due = start + round * demo->replay.round_us + item->at_us;
        if (now >= due && send_item(demo, index, round)) {
            if (++index == demo->replay.item_count)
                index = 0, round++;
            continue;
        }
        if (now >= next_line) {
            demo_report_print_progress(&demo->report, now);
            next_line += 1000000;
        }
        int64_t until = due > now ? due : now + 1000;
        receive(demo, until < next_line ? until : next_line);
    }
    int64_t settle = clock_monotonic_us() + SETTLE_US;
    while (clock_monotonic_us() < settle && results_are_due(demo))
        receive(demo, settle);
    demo_report_print_summary(&demo->report, clock_monotonic_us());
}

int cli_demo(int count, char **arguments)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'}, {"keep", no_argument, NULL, 'k'},
                                            {"data", required_argument, NULL, 'd'},    {"help", no_argument, NULL, 'h'}, {0}};
    static struct demo demo; /* large */
    demo.data = "/usr/share/eddy/demo";
    double seconds = 20;
    for (int option; (option = getopt_long(count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 's': seconds = atof(optarg); break;
        case 'k': seconds = 1e9; break;
        case 'd': demo.data = optarg; break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind < count || !(seconds > 0))
        return cli_usage(usage, CLI_USAGE);
    struct error error;
    int status = CLI_DONE;
    if (set_up(&demo, &error) != ERROR_NONE) {
        status = cli_fail("demo", &error);
    } else {
        signal(SIGINT, on_interrupt);
        signal(SIGTERM, on_interrupt);
        print_introduction(&demo);
        replay(&demo, (int64_t)(seconds * 1e6));
        if (demo.report.frames.results + demo.report.readings.results == 0)
            status = CLI_FAILED;
    }
    tear_down(&demo);
    return status;
}
