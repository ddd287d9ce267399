/* SPDX-License-Identifier: Apache-2.0
 *
 * The way in: a message becomes a delivery and one job per pipeline whose topics it matches. Runs in the link's callback: nothing here
 * waits. Inputs at QoS 1 are bounded by the Receive Maximum; at QoS 0 by QOS0_INPUTS_MAX, beyond which they are dropped and counted,
 * which is what QoS 0 promises. */
#include "agent/internal.h"
#include "agent/topic.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

static bool matches(const struct pipeline *pipeline, const char *topic)
{
    for (int i = 0; i < pipeline->config->topic_count; i++) {
        if (topic_matches(pipeline->config->topics[i], topic))
            return true;
    }
    return false;
}

static uint32_t topic_hash(const char *topic)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    while (*topic != '\0')
        hash = (hash ^ (unsigned char)*topic++) * 16777619u;
    return hash;
}

/* Images go where the least waits; the samples of one source always to the worker that has its windows. */
static struct worker *choose_worker(struct agent *agent, const struct pipeline *pipeline, const char *topic)
{
    if (pipeline->config->input.kind == INPUT_SERIES)
        return &agent->workers[topic_hash(topic) % (uint32_t)agent->worker_count];
    struct worker *best = &agent->workers[0];
    size_t best_depth = agent->worker_count > 1 ? queue_depth(&best->queue) : 0;
    for (int i = 1; i < agent->worker_count && best_depth > 0; i++) {
        size_t depth = queue_depth(&agent->workers[i].queue);
        if (depth < best_depth) {
            best = &agent->workers[i];
            best_depth = depth;
        }
    }
    return best;
}

static void take_input(struct agent *agent, struct link_message *message)
{
    struct pipeline *matching[64];
    int count = 0;
    for (int i = 0; i < agent->config->pipeline_count && count < 64; i++) {
        struct pipeline *pipeline = &agent->pipelines[i];
        if (!atomic_load_explicit(&pipeline->paused, memory_order_relaxed) && matches(pipeline, message->topic))
            matching[count++] = pipeline;
    }
    struct delivery *delivery = count > 0 ? job_pool_take_delivery(&agent->pool) : NULL;
    if (delivery == NULL) {
        for (int i = 0; i < count; i++)
            atomic_fetch_add_explicit(&matching[i]->dropped_qos0, 1, memory_order_relaxed);
        link_message_release(message);
        return;
    }
    delivery->message = *message;
    delivery->arrived_wall_us = clock_wall_us();
    struct job *jobs[64];
    int jobs_made = 0;
    for (int i = 0; i < count; i++) {
        struct job *job = job_pool_take(&agent->pool, delivery, matching[i]);
        if (job != NULL)
            jobs[jobs_made++] = job;
    }
    if (jobs_made < count)
        log_error("no memory for an input of %s: the broker will send it again", message->topic);
    committer_admit(agent->committer, jobs, jobs_made); /* before any of them can be answered */
    for (int i = 0; i < jobs_made; i++) {
        struct pipeline *pipeline = jobs[i]->pipeline;
        atomic_fetch_add_explicit(&pipeline->messages_in, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pipeline->bytes_in, message->payload_bytes, memory_order_relaxed);
        if (!queue_try_push(&choose_worker(agent, pipeline, message->topic)->queue, jobs[i]))
            log_error("%s: a worker's queue is full although it has room for every input: a defect", pipeline->config->name);
    }
}

void subscriber_on_message(struct link_message *message, void *context)
{
    struct agent_link *end = context;
    struct agent *agent = end->agent;
    if (control_takes(agent, message->topic)) {
        struct command *command = malloc(sizeof *command);
        if (command != NULL)
            *command = (struct command){.message = *message, .from = end->role};
        if (command == NULL || !queue_try_push(&agent->commands, command)) {
            free(command);
            link_message_release(message);
        }
        return;
    }
    if (end->role == LINK_LOCAL && atomic_load(&agent->accepting))
        take_input(agent, message);
    else
        link_message_release(message);
}
