/* SPDX-License-Identifier: Apache-2.0
 *
 * What the cache has done, for health and the command cache-stats. */
#include "agent/internal.h"
#include "cache/near.h"

static void member(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_integer(writer, (int64_t)value);
}

static void number(struct json_writer *writer, const char *key, double value)
{
    json_key(writer, key);
    json_float(writer, value);
}

static void add(struct cache_space_statistics *sum, const struct cache_space_statistics *part)
{
    for (int level = 0; level < CACHE_LEVEL_COUNT; level++)
        sum->hits[level] += part->hits[level];
    sum->misses += part->misses;
    sum->saved_us += part->saved_us;
}

static void write_counts(struct json_writer *writer, const struct cache_space_statistics *counts, double core_watts)
{
    static const char *const levels[CACHE_LEVEL_COUNT] = {"bytes", "tensor", "near"};
    uint64_t lookups = counts->misses;
    for (int level = 0; level < CACHE_LEVEL_COUNT; level++)
        lookups += counts->hits[level];
    member(writer, "lookups", lookups);
    json_key(writer, "hits");
    json_object_begin(writer);
    for (int level = 0; level < CACHE_LEVEL_COUNT; level++)
        member(writer, levels[level], counts->hits[level]);
    json_object_end(writer);
    member(writer, "misses", counts->misses);
    number(writer, "saved_s", (double)counts->saved_us / 1e6);
    number(writer, "saved_joules", (double)counts->saved_us / 1e6 * core_watts);
}

static void write_near(struct json_writer *writer, struct near *near)
{
    struct near_statistics statistics;
    near_get_statistics(near, &statistics);
    json_key(writer, "near");
    json_object_begin(writer);
    number(writer, "trusted_distance", statistics.trusted_distance);
    number(writer, "max_disagreement", statistics.max_disagreement);
    number(writer, "samples", statistics.samples);
    number(writer, "disagreement", statistics.samples > 0 ? statistics.wrong / statistics.samples : 0);
    number(writer, "disagreement_bound", statistics.bound);
    member(writer, "audits", statistics.audits);
    member(writer, "audit_disagreements", statistics.audit_disagreements);
    member(writer, "references", (uint64_t)statistics.references);
    json_object_end(writer);
}

static void write_pipelines(struct json_writer *writer, struct agent *agent)
{
    json_key(writer, "pipelines");
    json_array_begin(writer);
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        const struct pipeline *pipeline = &agent->pipelines[i];
        if (pipeline->space == NULL)
            continue;
        struct cache_space_statistics counts;
        cache_space_get_statistics(pipeline->space, &counts);
        json_object_begin(writer);
        json_key(writer, "name");
        json_string(writer, pipeline->config->name);
        write_counts(writer, &counts, agent->config->cache.core_watts);
        if (cache_near(pipeline->space) != NULL)
            write_near(writer, cache_near(pipeline->space));
        json_object_end(writer);
    }
    json_array_end(writer);
}

void cache_report_write(struct agent *agent, struct json_writer *writer)
{
    struct cache_statistics statistics;
    struct cache_space_statistics sum = {0}, counts;
    cache_get_statistics(agent->cache, &statistics);
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        if (agent->pipelines[i].space == NULL)
            continue;
        cache_space_get_statistics(agent->pipelines[i].space, &counts);
        add(&sum, &counts);
    }
    json_object_begin(writer);
    write_counts(writer, &sum, agent->config->cache.core_watts);
    member(writer, "found_memory", statistics.found_memory);
    member(writer, "found_disk", statistics.found_disk);
    member(writer, "waits", statistics.waits);
    member(writer, "insertions", statistics.insertions);
    member(writer, "evictions", statistics.evictions);
    member(writer, "written_behind", statistics.flushed);
    member(writer, "memory_entries", statistics.memory_entries);
    member(writer, "memory_bytes", statistics.memory_bytes);
    member(writer, "disk_entries", statistics.disk_entries);
    member(writer, "disk_bytes", statistics.disk_bytes);
    member(writer, "files_set_aside", statistics.files_set_aside);
    write_pipelines(writer, agent);
    json_object_end(writer);
}
