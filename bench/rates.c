/* SPDX-License-Identifier: Apache-2.0
 *
 * What bench/rates.sh puts around a running eddyd:
 *   rates publish URL TOPIC COUNT       COUNT readings of 192 bytes and an id of 8, QoS 1
 *   rates watch URL RESULTS NAME COMMAND...   runs the agent until so many results have come: results/s, batches/s and its CPU time for each, from the
 *                                       first batch to the last
 *   rates fill OUTBOX BATCHES           an outbox that holds as many batches of 64 results, rounded up to 50
 *   rates append FOLDER GROUP           the ceiling: GROUP times 200 bytes appended to a file and synced, again and again; messages/s */
#include "agent/batch.h"
#include "base/clock.h"
#include "bench/result_lines.h"
#include "transport/link.h"
#include "transport/outbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BATCH = 64, GROUP = 50, SAMPLES = 16, FIELDS = 3, READING_BYTES = 200, GROUP_MAX = 4096, APPEND_S = 2, TAKEN = 65535 };

static void must(enum error_code code, const struct error *error)
{
    if (code == ERROR_NONE)
        return;
    fprintf(stderr, "rates: %s\n", error->message);
    exit(1);
}

/* What all threads of a process have used. */
static double cpu_us(pid_t process)
{
    char path[300];
    double sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    for (struct dirent *entry; threads != NULL && (entry = readdir(threads)) != NULL;) {
        unsigned long long ns;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", (int)process, entry->d_name);
        FILE *file = entry->d_name[0] != '.' ? fopen(path, "r") : NULL;
        if (file != NULL && fscanf(file, "%llu", &ns) == 1)
            sum += (double)ns / 1e3;
        if (file != NULL)
            fclose(file);
    }
    if (threads != NULL)
        closedir(threads);
    return sum;
}

struct watch {
    struct batch_decoder *decoder;
    pid_t process;               /* 0: not yet there */
    atomic_bool connected, listening;
    atomic_llong results, batches, ended_us, confirmed;
    int64_t first_us;
    double first_cpu_us;
    long long first_results;
};

static bool on_message(struct link_message *message, void *context)
{
    struct watch *watch = context;
    struct error error;
    const char *text;
    size_t length;
    long long lines = 0;
    if (watch->process == 0) { /* its own: the subscription stands */
        atomic_store(&watch->listening, true);
        link_message_release(message);
        return true;
    }
    must(batch_decode(watch->decoder, message->payload, message->payload_bytes, &text, &length, &error), &error);
    for (const char *at = text; at != NULL && at < text + length; lines++) {
        at = memchr(at, '\n', (size_t)(text + length - at));
        at = at != NULL ? at + 1 : NULL;
    }
    if (watch->first_us == 0) {
        watch->first_us = clock_monotonic_us();
        watch->first_cpu_us = cpu_us(watch->process);
        watch->first_results = lines;
    }
    atomic_store(&watch->ended_us, clock_monotonic_us());
    atomic_fetch_add(&watch->batches, 1);
    atomic_fetch_add(&watch->results, lines);
    link_message_release(message);
    return true;
}

static void on_connected(bool session_present, void *context)
{
    (void)session_present;
    atomic_store(&((struct watch *)context)->connected, true);
}

static void on_published(uint64_t ticket, int reason_code, void *context)
{
    (void)ticket, (void)reason_code;
    atomic_fetch_add(&((struct watch *)context)->confirmed, 1);
}

static struct link *connect_to(const char *url, const char *id, const char *filter, struct watch *watch)
{
    const int qos = 0;
    struct link *link;
    struct error error;
    struct link_options options = {.url = url, .client_id = id, .keep_alive_s = 60, .receive_maximum = 1000, .filters = &filter, .filter_qos = &qos,
                                   .filter_count = filter != NULL, .on_message = on_message, .on_connected = on_connected,
                                   .on_published = on_published, .context = watch};
    must(link_open(&options, &link, &error), &error);
    while (!atomic_load(&watch->connected))
        usleep(1000);
    return link;
}

static pid_t run(char **command)
{
    pid_t parent = getpid(), process = fork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execvp(command[0], command);
        _exit(127);
    }
    return process;
}

static void watch_results(char **arguments)
{
    static const struct link_publication probe = {.topic = "eddy/rates/result/probe", .payload = "?", .payload_bytes = 1};
    struct watch watch = {0};
    long long wanted = atoll(arguments[1]);
    struct error error;
    must(batch_decoder_new(&watch.decoder, &error), &error);
    struct link *link = connect_to(arguments[0], "rates-watch", "eddy/+/result/#", &watch);
    while (!atomic_load(&watch.listening)) {
        must(link_publish(link, &probe, &error), &error);
        usleep(20000);
    }
    usleep(200000); /* for what of these is under way */
    pid_t process = watch.process = run(arguments + 3);
    while (atomic_load(&watch.results) < wanted && waitpid(process, NULL, WNOHANG) == 0)
        usleep(2000);
    double took = (double)(atomic_load(&watch.ended_us) - watch.first_us) / 1e6, cpu = cpu_us(process) - watch.first_cpu_us;
    double results = (double)(atomic_load(&watch.results) - watch.first_results), batches = (double)(atomic_load(&watch.batches) - 1);
    printf("%s: %.0f results/s, %.0f batches/s, %.2f us of CPU a result, %.0f us a batch; %.0f results in %.2f s\n", arguments[2], results / took,
           batches / took, cpu / results, cpu / batches, results, took);
    kill(process, SIGTERM);
    waitpid(process, NULL, 0);
    link_close(link);
    batch_decoder_free(watch.decoder);
}

static void publish_readings(char **arguments)
{
    struct watch watch = {0};
    long count = atol(arguments[2]);
    float samples[SAMPLES * FIELDS];
    struct error error;
    struct link *link = connect_to(arguments[0], "rates-publish", NULL, &watch);
    for (long number = 0; number < count; number++) {
        uint64_t id = (uint64_t)number;
        for (int i = 0; i < SAMPLES * FIELDS; i++)
            samples[i] = (float)((number * 31 + i * 7) % 100) / 50;
        struct link_publication publication = {.topic = arguments[1], .payload = samples, .payload_bytes = sizeof samples, .qos = 1,
                                               .correlation = (const uint8_t *)&id, .correlation_bytes = sizeof id,
                                               .ticket = id + 1};
        while (link_publish(link, &publication, &error) != ERROR_NONE)
            usleep(100);
    }
    while (atomic_load(&watch.confirmed) < count)
        usleep(1000);
    link_close(link);
}

static void fill(char **arguments)
{
    static char raw[BATCH * RESULT_LINE_BYTES_MAX], bodies[GROUP][2 * sizeof raw];
    struct outbox_batch batches[GROUP];
    struct batch_encoder *encoder;
    struct outbox *outbox;
    struct error error;
    bool set_aside;
    must(batch_encoder_new(&encoder, &error), &error);
    must(outbox_open(arguments[0], INT64_C(4) << 30, TAKEN, &outbox, &set_aside, &error), &error);
    for (long done = 0, wanted = atol(arguments[1]); done < wanted; done += GROUP) {
        int64_t seq = outbox_next_seq(outbox);
        for (int i = 0; i < GROUP; i++, seq += BATCH) {
            size_t length = write_lines(raw, seq, BATCH);
            batches[i] = (struct outbox_batch){.first_seq = seq, .last_seq = seq + BATCH - 1, .pipeline = "line", .count = BATCH, .body = bodies[i]};
            batches[i].encoding = batch_encode(encoder, COMPRESSION_LZ4, 0, raw, length, bodies[i], &batches[i].body_bytes);
        }
        must(outbox_commit(outbox, &(struct outbox_change){.batches = batches, .batch_count = GROUP}, &error), &error);
    }
    outbox_close(outbox);
    batch_encoder_free(encoder);
}

static void append(char **arguments)
{
    static char bytes[GROUP_MAX * READING_BYTES];
    char path[600];
    size_t group = (size_t)atol(arguments[1]);
    long groups = 0;
    snprintf(path, sizeof path, "%s/append", arguments[0]);
    int file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0 || group > GROUP_MAX)
        exit(1);
    int64_t begin = clock_monotonic_us(), end = begin + APPEND_S * INT64_C(1000000);
    for (; clock_monotonic_us() < end; groups++) {
        if (write(file, bytes, group * READING_BYTES) != (ssize_t)(group * READING_BYTES) || fdatasync(file) != 0)
            exit(1);
    }
    printf("append + fdatasync of %zu: %.0f messages/s\n", group, (double)(groups * (long)group) * 1e6 / (double)(clock_monotonic_us() - begin));
    close(file);
    unlink(path);
}

int main(int count, char **arguments)
{
    static const struct { const char *verb; int least, most; void (*run)(char **arguments); } verbs[] = {
        {"publish", 3, 3, publish_readings}, {"watch", 4, 64, watch_results}, {"fill", 2, 2, fill}, {"append", 2, 2, append}};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (count >= 2 && strcmp(arguments[1], verbs[i].verb) == 0 && count - 2 >= verbs[i].least && count - 2 <= verbs[i].most) {
            verbs[i].run(arguments + 2);
            return 0;
        }
    }
    fprintf(stderr, "usage: rates publish URL TOPIC COUNT | watch URL RESULTS NAME COMMAND... | fill OUTBOX BATCHES | append FOLDER GROUP\n");
    return 2;
}
