/* SPDX-License-Identifier: Apache-2.0
 *
 * Windows that several messages fill: each window of each source holds exactly the samples that were sent, and comes out once, while the agent is
 * killed, stopped, reconfigured and cut off. The model gives back what goes in, so a result is its window: sample n of source s is (n, s). */
#include "tests/agent/gateway.h"
#include "tests/inference/onnx_text.h"

enum { WINDOW = 16, HOP = 12, SOURCES = 5, SAMPLES = 1500, KILLS = 10, CUTS = 3, WINDOWS_MAX = SAMPLES / HOP + 1 };

#define PIPELINE(hop, sink)                                                                    \
    "pipelines:\n"                                                                             \
    "  - name: echo\n"                                                                         \
    "    topics: [\"sensor/+/reading\"]\n"                                                     \
    "    input: { kind: series, format: f32le, fields: [n, s], window: 16, hop: " hop " }\n"   \
    "    model: echo\n"                                                                        \
    "    sink: { " sink " }\n"

static const char pipelines[] = PIPELINE("12", "batch: 16, linger: 30ms");

static void write_file(const char *folder, const char *name, const void *bytes, size_t length)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
}

static void begin(struct gateway *gateway, const char *yaml)
{
    static const char manifest[] = "name: echo\nversion: 1.0.0\ntask: raw\nfile: echo.onnx\n";
    char folder[560], command[640];
    size_t length;
    uint8_t *model = onnx_from_text("(float[1,16,2] x) => (float[1,16,2] y) <float[1] one = {1}> { y = Mul(x, one) }", 13, &length);
    snprintf(gateway->models_dir, sizeof gateway->models_dir, "/tmp/eddy-models-XXXXXX");
    CHECK(mkdtemp(gateway->models_dir) != NULL);
    snprintf(folder, sizeof folder, "%s/echo/1.0.0", gateway->models_dir);
    snprintf(command, sizeof command, "mkdir -p '%s'", folder);
    CHECK(system(command) == 0);
    write_file(folder, "echo.onnx", model, length);
    write_file(folder, "model.yaml", manifest, sizeof manifest - 1);
    free(model);
    gateway_begin(gateway, yaml);
}

static void end(struct gateway *gateway)
{
    char command[560];
    snprintf(command, sizeof command, "rm -rf '%s'", gateway->models_dir);
    gateway_end(gateway);
    CHECK(system(command) == 0);
}

/* Sends samples [from, from + count) of a source in one message. */
static void publish_samples(struct gateway *gateway, int source, int from, int count)
{
    float samples[64][2];
    char topic[32], id[32];
    for (int i = 0; i < count; i++) {
        samples[i][0] = (float)(from + i);
        samples[i][1] = (float)source;
    }
    snprintf(topic, sizeof topic, "sensor/%d/reading", source);
    int length = snprintf(id, sizeof id, "%d-%d", source, from + count);
    gateway_publish(gateway, topic, samples, (size_t)count * sizeof samples[0], id, (size_t)length);
}

struct sent {
    int samples[SOURCES];
    unsigned random;
};

/* One message of one to five samples of one of the sources, as chance has it; false: all were sent. */
static bool publish_some(struct gateway *gateway, struct sent *sent, int samples)
{
    for (int i = 0, at = rand_r(&sent->random) % SOURCES; i < SOURCES; i++, at = (at + 1) % SOURCES) {
        int left = samples - sent->samples[at], count = 1 + rand_r(&sent->random) % 5;
        if (left == 0)
            continue;
        count = count < left ? count : left;
        publish_samples(gateway, at, sent->samples[at], count);
        sent->samples[at] += count;
        return true;
    }
    return false;
}

struct verdict {
    int windows, twice, torn;       /* torn: not the consecutive samples of one source from where a window begins */
};

/* hop: windows begin at its multiples. */
static struct verdict judge(const struct gateway *gateway, int hop, int windows_max)
{
    struct verdict verdict = {0};
    long long *seqs = calloc(SOURCES * (size_t)windows_max, sizeof *seqs);
    CHECK(seqs != NULL);
    for (int i = 0; i < gateway->line_count; i++) {
        const char *topic = strstr(gateway->lines[i], "\"topic\":\"sensor/"), *data = strstr(gateway->lines[i], "\"data\":[");
        const char *seq_text = strstr(gateway->lines[i], "\"seq\":");
        CHECK(topic != NULL && data != NULL && seq_text != NULL);
        int source = atoi(topic + strlen("\"topic\":\"sensor/"));
        long long seq = atoll(seq_text + strlen("\"seq\":"));
        char *at = (char *)(uintptr_t)data + strlen("\"data\":[") - 1;
        int first = atoi(at + 1);
        bool whole = first % hop == 0 && first / hop < windows_max && source < SOURCES;
        for (int k = 0; k < WINDOW && whole; k++)
            whole = strtod(at + 1, &at) == first + k && *at == ',' && strtod(at + 1, &at) == source && (*at == ',' || *at == ']');
        verdict.torn += !whole;
        if (!whole) {
            printf("torn: %s\n", gateway->lines[i]);
            continue;
        }
        long long *known = &seqs[source * windows_max + first / hop];
        verdict.windows += *known == 0;
        verdict.twice += *known != 0 && *known != seq;
        *known = seq;
    }
    free(seqs);
    return verdict;
}

static void check_every_window(struct gateway *gateway, int samples, int hop)
{
    int expected = SOURCES * ((samples - WINDOW) / hop + 1);
    struct verdict verdict = {0};
    for (int i = 0; i < GATEWAY_PATIENCE_S * 2 && verdict.windows < expected; i++) {
        gateway_pump(gateway, 500);
        verdict = judge(gateway, hop, WINDOWS_MAX);
        CHECK_INTEGER(verdict.torn, 0);
    }
    gateway_pump(gateway, 1000); /* what comes late may be a second one */
    verdict = judge(gateway, hop, WINDOWS_MAX);
    printf("%d of %d windows, %d twice, %d torn, %d lines\n", verdict.windows, expected, verdict.twice, verdict.torn, gateway->line_count);
    CHECK_INTEGER(verdict.windows, expected);
    CHECK_INTEGER(verdict.twice, 0);
    CHECK_INTEGER(verdict.torn, 0);
}

static void run_with_deaths(int signal_number, const char *settings, int receive_maximum)
{
    struct gateway gateway = {.settings = settings, .receive_maximum = receive_maximum};
    struct sent sent = {.random = 4711};
    begin(&gateway, pipelines);
    gateway_start(&gateway);
    const int messages_between = SOURCES * SAMPLES / 3 / (KILLS + 1);
    for (int i = 1; publish_some(&gateway, &sent, SAMPLES); i++) {
        if (i % messages_between != 0)
            continue;
        broker_pause_ms(rand_r(&sent.random) % 80); /* at another moment of its work each time */
        int status = gateway_stop(&gateway, signal_number);
        CHECK(signal_number == SIGKILL ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
        gateway_launch(&gateway);
    }
    check_every_window(&gateway, SAMPLES, HOP);
    end(&gateway);
}

static void kill_nine_in_the_middle_of_windows_changes_none_of_them(void)
{
    run_with_deaths(SIGKILL, NULL, 0);
}

static void a_clean_stop_in_the_middle_of_windows_changes_none_of_them(void)
{
    run_with_deaths(SIGTERM, NULL, 0);
}

static void windows_are_whole_where_the_broker_sends_more_than_it_may(void)
{
    run_with_deaths(SIGKILL, NULL, 2);
}

/* Takes the session of the agent over and drops it: what the agent has not acknowledged comes again, and some that it never saw comes as if again. */
static void cut_off(const struct gateway *gateway)
{
    static const uint8_t connect_packet[] = {0x10, 28, 0, 4, 'M', 'Q', 'T', 'T', 5, 0, 0, 60, 8, 0x11, 0, 0, 0x0e, 0x10, 0x21, 1, 0,
                                             0, 7, 'e', 'd', 'd', 'y', '-', 'g', 'w'};
    uint8_t answer[16];
    struct sockaddr_in address = broker_address(gateway->local.port);
    int intruder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(intruder, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(intruder, connect_packet, sizeof connect_packet) == sizeof connect_packet);
    CHECK(read(intruder, answer, sizeof answer) > 0);
    close(intruder);
}

static int counted(const struct gateway *gateway, const char *what)
{
    const char *at = strstr(gateway->health, what);
    return at != NULL ? atoi(at + strlen(what)) : -1;
}

static void a_reading_that_is_sent_again_is_in_its_window_once(void)
{
    struct gateway gateway = {0};
    struct sent sent = {.random = 815};
    begin(&gateway, PIPELINE("12", "batch: 1000, linger: 300ms"));
    gateway_start(&gateway);
    const int messages_between = SOURCES * SAMPLES / 3 / (CUTS + 1);
    for (int i = 1; publish_some(&gateway, &sent, SAMPLES); i++) {
        if (i % messages_between == 0) {
            broker_pause_ms(20);
            cut_off(&gateway);
        }
    }
    check_every_window(&gateway, SAMPLES, HOP);
    for (int i = 0; i < GATEWAY_PATIENCE_S * 10 && counted(&gateway, "\"redelivered\":") <= 0; i++)
        gateway_pump(&gateway, 100);
    printf("%d readings were recognised\n", counted(&gateway, "\"redelivered\":"));
    CHECK(counted(&gateway, "\"redelivered\":") > 0);
    end(&gateway);
}

static void the_windows_of_one_message_are_stored_together(void)
{
    struct gateway gateway = {0};
    begin(&gateway, PIPELINE("2", "batch: 16, linger: 10s"));
    gateway_start(&gateway);
    publish_samples(&gateway, 0, 0, 64); /* 25 windows: a batch, and nine that are none */
    gateway_wait_lines(&gateway, 16);
    gateway_stop(&gateway, SIGKILL);
    gateway_launch(&gateway);
    gateway_wait_lines(&gateway, 25);
    gateway_pump(&gateway, 1000);
    struct verdict verdict = judge(&gateway, 2, SAMPLES);
    CHECK_INTEGER(verdict.windows, 25);
    CHECK_INTEGER(verdict.twice, 0);
    CHECK_INTEGER(verdict.torn, 0);
    end(&gateway);
}

static void another_hop_begins_the_windows_anew_and_says_so(void)
{
    struct gateway gateway = {0};
    begin(&gateway, pipelines);
    gateway_start(&gateway);
    publish_samples(&gateway, 0, 0, 20); /* one window, eight samples of the next one */
    gateway_wait_lines(&gateway, 1);
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    gateway_write_config(&gateway, PIPELINE("16", "linger: 0ms"));
    gateway_start(&gateway);
    CHECK(gateway_log_says(&gateway, "readings of unfinished windows were discarded"));
    publish_samples(&gateway, 0, 32, 16);
    gateway_wait_lines(&gateway, 2);
    CHECK(strstr(gateway.lines[1], "\"data\":[32,0,33,0,") != NULL);
    end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(kill_nine_in_the_middle_of_windows_changes_none_of_them),
                                                              CASE(a_clean_stop_in_the_middle_of_windows_changes_none_of_them),
                                                              CASE(windows_are_whole_where_the_broker_sends_more_than_it_may),
                                                              CASE(a_reading_that_is_sent_again_is_in_its_window_once),
                                                              CASE(the_windows_of_one_message_are_stored_together),
                                                              CASE(another_hop_begins_the_windows_anew_and_says_so), {0}});
}
