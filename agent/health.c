/* SPDX-License-Identifier: Apache-2.0
 *
 * What the agent says of itself: eddy/<agent>/status (retained), /health. */
#include "agent/flash.h"
#include "agent/internal.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int64_t resident_bytes(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void member(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_integer(writer, value);
}

/* What left besides results, by kind, beside the bytes that came in. */
static void write_images(struct json_writer *writer, struct pipeline *pipeline)
{
    json_key(writer, "images");
    json_object_begin(writer);
    member(writer, "snapshots", (int64_t)atomic_load(&pipeline->images_out[0]));
    member(writer, "crops", (int64_t)atomic_load(&pipeline->images_out[1]));
    member(writer, "bytes", (int64_t)atomic_load(&pipeline->image_bytes_out));
    member(writer, "stored", (int64_t)atomic_load(&pipeline->images_stored));
    member(writer, "dropped", (int64_t)atomic_load(&pipeline->images_dropped));
    member(writer, "withheld", (int64_t)atomic_load(&pipeline->images_withheld));
    json_object_end(writer);
}

static void write_pipeline(struct json_writer *writer, struct pipeline *pipeline)
{
    uint64_t inferences = atomic_load(&pipeline->inferences);
    json_object_begin(writer);
    json_key(writer, "name");
    json_string(writer, pipeline->config->name);
    json_key(writer, "model");
    json_string(writer, pipeline->bundle.label);
    json_key(writer, "kernels");
    json_string(writer, model_cpu(pipeline->bundle.model));
    json_key(writer, "paused");
    json_bool(writer, atomic_load(&pipeline->paused));
    member(writer, "in", (int64_t)atomic_load(&pipeline->messages_in));
    member(writer, "out", (int64_t)atomic_load(&pipeline->results_out));
    member(writer, "left_out", (int64_t)atomic_load(&pipeline->left_out));
    member(writer, "references", (int64_t)atomic_load(&pipeline->references));
    member(writer, "errors", (int64_t)atomic_load(&pipeline->errors));
    member(writer, "hits", (int64_t)atomic_load(&pipeline->hits));
    member(writer, "redelivered", (int64_t)atomic_load(&pipeline->redelivered));
    member(writer, "dropped_qos0", (int64_t)atomic_load(&pipeline->dropped_qos0));
    member(writer, "bytes_in", (int64_t)atomic_load(&pipeline->bytes_in));
    member(writer, "bytes_out", (int64_t)atomic_load(&pipeline->bytes_out));
    member(writer, "infer_us_mean", inferences > 0 ? (int64_t)(atomic_load(&pipeline->infer_us) / inferences) : 0);
    if (pipeline->config->egress != EGRESS_RESULTS)
        write_images(writer, pipeline);
    json_key(writer, "latency_us");
    json_object_begin(writer);
    member(writer, "p50", latency_percentile(&pipeline->latency, 0.50));
    member(writer, "p95", latency_percentile(&pipeline->latency, 0.95));
    member(writer, "p99", latency_percentile(&pipeline->latency, 0.99));
    json_object_end(writer);
    json_object_end(writer);
}

static void write_link(struct json_writer *writer, const char *name, struct link *link)
{
    struct link_statistics statistics;
    link_get_statistics(link, &statistics);
    json_key(writer, name);
    json_object_begin(writer);
    json_key(writer, "connected");
    json_bool(writer, statistics.connected);
    json_key(writer, "url");
    json_string(writer, statistics.url);
    member(writer, "connects", (int64_t)statistics.connects);
    member(writer, "messages_in", (int64_t)statistics.messages_in);
    member(writer, "messages_out", (int64_t)statistics.messages_out);
    member(writer, "bytes_in", (int64_t)statistics.bytes_in);
    member(writer, "bytes_out", (int64_t)statistics.bytes_out);
    if (statistics.last_problem[0] != '\0') {
        json_key(writer, "last_problem");
        json_string(writer, statistics.last_problem);
    }
    json_object_end(writer);
}

static void write_outbox(struct json_writer *writer, struct agent *agent)
{
    struct committer_statistics statistics;
    committer_get_statistics(agent->committer, &statistics);
    json_key(writer, "outbox");
    json_object_begin(writer);
    member(writer, "batches", statistics.outbox.batches);
    member(writer, "bytes", statistics.outbox.bytes);
    member(writer, "bytes_max", statistics.outbox.bytes_max);
    member(writer, "next_seq", statistics.outbox.next_seq);
    member(writer, "evicted_results", statistics.outbox.evicted_results);
    member(writer, "thinned_results", statistics.outbox.thinned_results);
    member(writer, "in_flight", statistics.in_flight);
    if (statistics.compression_level >= 0)
        member(writer, "compression_level", statistics.compression_level);
    member(writer, "commits", (int64_t)statistics.commits);
    member(writer, "replayed_batches", (int64_t)statistics.replayed_batches);
    member(writer, "refused_batches", (int64_t)statistics.refused_batches);
    member(writer, "images", statistics.outbox.images);
    member(writer, "image_bytes", statistics.outbox.image_bytes);
    member(writer, "evicted_images", statistics.outbox.evicted_images);
    member(writer, "refused_waiting", statistics.outbox.refused_batches);
    member(writer, "postponed_batches", (int64_t)statistics.postponed_batches);
    member(writer, "storage_errors", (int64_t)statistics.storage_errors);
    json_object_end(writer);
    json_key(writer, "queues");
    json_object_begin(writer);
    member(writer, "inputs", statistics.jobs_waiting);
    int64_t waiting = 0;
    for (int i = 0; i < agent->worker_count; i++)
        waiting += (int64_t)queue_depth(&agent->workers[i].queue);
    member(writer, "workers", waiting);
    member(writer, "commands", (int64_t)queue_depth(&agent->commands));
    json_object_end(writer);
}

/* With what it costs a result, over the life of this process: cache and all included. */
static void write_flash(struct json_writer *writer, struct agent *agent)
{
    struct committer_statistics statistics;
    int64_t written = flash_bytes_written();
    uint64_t results = 0;
    committer_get_statistics(agent->committer, &statistics);
    for (int i = 0; i < agent->config->pipeline_count; i++)
        results += atomic_load(&agent->pipelines[i].results_out);
    member(writer, "flash_bytes_written", written);
    member(writer, "flash_bytes_per_result", results > 0 ? written / (int64_t)results : 0);
    member(writer, "commit_interval_ms", statistics.commit_interval_us / 1000);
}

static void write_process(struct json_writer *writer, struct agent *agent)
{
    int64_t now = clock_monotonic_us(), cpu = cpu_us();
    double share = now > agent->cpu_wall_before_us ? (double)(cpu - agent->cpu_us_before) / (double)(now - agent->cpu_wall_before_us) : 0;
    member(writer, "uptime_s", (now - agent->started_us) / 1000000);
    member(writer, "rss_bytes", resident_bytes());
    json_key(writer, "cpu");
    json_float(writer, share);
    write_flash(writer, agent);
    agent->cpu_us_before = cpu;
    agent->cpu_wall_before_us = now;
}

size_t health_write(struct agent *agent, char *text, size_t capacity)
{
    char ts[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_us(), ts);
    struct json_writer writer;
    json_writer_init(&writer, text, capacity);
    json_object_begin(&writer);
    json_key(&writer, "v");
    json_integer(&writer, 1);
    json_key(&writer, "ts");
    json_string(&writer, ts);
    json_key(&writer, "version");
    json_string(&writer, EDDY_VERSION);
    write_process(&writer, agent);
    write_link(&writer, "local", agent->links[LINK_LOCAL].link);
    write_link(&writer, "upstream", agent->links[LINK_UPSTREAM].link);
    write_outbox(&writer, agent);
    if (agent->cache != NULL) {
        json_key(&writer, "cache");
        cache_report_write(agent, &writer);
    }
    json_key(&writer, "pipelines");
    json_array_begin(&writer);
    for (int i = 0; i < agent->config->pipeline_count; i++)
        write_pipeline(&writer, &agent->pipelines[i]);
    json_array_end(&writer);
    json_object_end(&writer);
    return json_writer_finish(&writer) ? writer.length : 0;
}

static void publish_on_all(struct agent *agent, const char *topic, const char *text, size_t length, int qos, bool retain)
{
    struct link_publication publication = {.topic = topic, .payload = text, .payload_bytes = length, .qos = qos, .retain = retain,
                                           .content_type = "application/json"};
    for (int role = 0; role < LINK_COUNT; role++) {
        if (agent_uses(agent, (enum link_role)role))
            agent_publish(agent, (enum link_role)role, &publication);
    }
}

void health_publish(struct agent *agent)
{
    char topic[256];
    size_t length = health_write(agent, agent->text, sizeof agent->text);
    snprintf(topic, sizeof topic, "eddy/%s/health", agent->config->agent.id);
    if (length > 0)
        publish_on_all(agent, topic, agent->text, length, 0, false);
    else
        log_warning("health does not fit %d bytes: too many pipelines", CONTROL_TEXT_BYTES);
}

void status_publish(struct agent *agent, enum link_role role, const char *state, const char *reason)
{
    char topic[256], text[512];
    struct json_writer writer;
    json_writer_init(&writer, text, sizeof text);
    json_object_begin(&writer);
    json_key(&writer, "state");
    json_string(&writer, state);
    if (reason != NULL) {
        json_key(&writer, "reason");
        json_string(&writer, reason);
    }
    json_key(&writer, "version");
    json_string(&writer, EDDY_VERSION);
    char ts[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_us(), ts);
    json_key(&writer, "ts");
    json_string(&writer, ts);
    json_key(&writer, "pipelines");
    json_integer(&writer, agent->config->pipeline_count);
    json_object_end(&writer);
    json_writer_finish(&writer);
    snprintf(topic, sizeof topic, "eddy/%s/status", agent->config->agent.id);
    struct link_publication publication = {.topic = topic, .payload = text, .payload_bytes = writer.length, .qos = 1, .retain = true,
                                           .content_type = "application/json", .ticket = reason != NULL ? GOODBYE_TICKET : 0};
    agent_publish(agent, role, &publication);
}
