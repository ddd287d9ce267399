/* SPDX-License-Identifier: Apache-2.0
 *
 * The way in: a message becomes a delivery and one job per pipeline whose topics it matches. Runs in the link's callback: nothing here waits, but
 * for a stop of the agent that says that it takes no more: then no input is half handed out while the workers end. Inputs at QoS 1 are bounded by
 * the Receive Maximum, and where the broker disregards it by refusing (link.h); at QoS 0 by QOS0_INPUTS_MAX, beyond which they are dropped and
 * counted, which is what QoS 0 promises. */
#include "agent/internal.h"
#include "agent/topic.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

enum { PIPELINES_MAX = 256 }; /* what the config allows */

static bool matches(const struct pipeline *pipeline, const char *topic)
{
    for (int i = 0; i < pipeline->config->topic_count; i++) {
        if (topic_matches(pipeline->config->topics[i], topic))
            return true;
    }
    return false;
}

/* Images go where the least waits; the samples of one source always to the worker that has its windows. */
static struct worker *choose_worker(struct agent *agent, const struct pipeline *pipeline, const char *topic)
{
    if (pipeline->config->input.kind == INPUT_SERIES)
        return &agent->workers[worker_of_source(topic, agent->worker_count)];
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

/* A paused pipeline is still given what no other one wants: the broker had it underway before it heard of the pause. */
static int find_pipelines(struct agent *agent, const char *topic, struct pipeline *matching[PIPELINES_MAX])
{
    int count = 0;
    for (int paused = 0; paused <= 1 && count == 0; paused++) {
        for (int i = 0; i < agent->config->pipeline_count; i++) {
            struct pipeline *pipeline = &agent->pipelines[i];
            if (atomic_load_explicit(&pipeline->paused, memory_order_relaxed) == (paused == 1) && matches(pipeline, topic))
                matching[count++] = pipeline;
        }
    }
    return count;
}

static int take_jobs(struct agent *agent, struct delivery *delivery, struct pipeline *const *pipelines, int count, struct job **jobs)
{
    for (int i = 0; i < count; i++) {
        jobs[i] = job_pool_take(&agent->pool, delivery, pipelines[i]);
        if (jobs[i] == NULL) {
            while (i-- > 0)
                job_pool_give(&agent->pool, jobs[i]);
            return 0;
        }
    }
    return count;
}

static void hand_out(struct agent *agent, struct job *const *jobs, int count)
{
    committer_admit(agent->committer, jobs, count); /* before any of them can be answered */
    for (int i = 0; i < count; i++) {
        struct pipeline *pipeline = jobs[i]->pipeline;
        const struct link_message *message = &jobs[i]->delivery->message;
        atomic_fetch_add_explicit(&pipeline->messages_in, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pipeline->bytes_in, message->payload_bytes, memory_order_relaxed);
        if (!queue_try_push(&choose_worker(agent, pipeline, message->topic)->queue, jobs[i]))
            log_error("%s: a worker's queue is full although it has room for every input: a defect", pipeline->config->name);
    }
}

static bool take_input(struct agent *agent, struct link_message *message)
{
    struct pipeline *pipelines[PIPELINES_MAX];
    struct job *jobs[PIPELINES_MAX];
    int count = find_pipelines(agent, message->topic, pipelines);
    struct delivery *delivery = job_pool_take_delivery(&agent->pool, message);
    if (delivery == NULL) {
        for (int i = 0; i < count && message->qos == 0; i++)
            atomic_fetch_add_explicit(&pipelines[i]->dropped_qos0, 1, memory_order_relaxed);
        return false;
    }
    if (count == 0) {
        log_debug("%s: no pipeline asks for it (any more)", message->topic);
        committer_dismiss(agent->committer, delivery);
    } else if (take_jobs(agent, delivery, pipelines, count, jobs) == count) {
        hand_out(agent, jobs, count);
    } else {
        log_error("no memory for an input of %s: the broker will send it again", message->topic);
        job_pool_give_delivery(&agent->pool, delivery);
        message->storage = NULL;
        return false;
    }
    return true;
}

static bool take_command(struct agent_link *end, const struct link_message *message)
{
    struct command *command = malloc(sizeof *command);
    if (command != NULL)
        *command = (struct command){.message = *message, .from = end->role};
    if (command != NULL && queue_try_push(&end->agent->commands, command))
        return true;
    free(command);
    return false;
}

bool subscriber_on_message(struct link_message *message, void *context)
{
    struct agent_link *end = context;
    if (control_takes(end->agent, message->topic))
        return take_command(end, message);
    struct agent *agent = end->agent;
    pthread_mutex_lock(&agent->intake_lock);
    bool accepting = end->role == LINK_LOCAL && agent->accepting, taken = accepting && take_input(agent, message);
    pthread_mutex_unlock(&agent->intake_lock);
    if (!accepting)
        link_message_release(message); /* stopping: never acknowledged, so the broker keeps it */
    return taken || !accepting;
}
