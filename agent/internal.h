/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h: the agent's struct, shared by agent.c (life), subscriber.c (inputs), control.c (commands), health.c (reports) alone. */
#ifndef EDDY_AGENT_INTERNAL_H
#define EDDY_AGENT_INTERNAL_H

#include "agent/agent.h"
#include "agent/committer.h"
#include "agent/events.h"
#include "agent/job.h"
#include "agent/pipeline.h"
#include "agent/thin.h"
#include "agent/worker.h"
#include "base/json_writer.h"
#include "base/queue.h"
#include "cache/cache.h"
#include "transport/link.h"
#include "transport/outbox.h"

/* The ticket of the last status message; results use first seq + 1. */
#define GOODBYE_TICKET UINT64_MAX

/* OVERSENT_INPUTS_MAX: a broker that disregards a small Receive Maximum is borne with up to so many. */
enum { COMMANDS_WAITING_MAX = 32, QOS0_INPUTS_MAX = 256, OVERSENT_INPUTS_MAX = 4096, LINK_COUNT = 2, CONTROL_TEXT_BYTES = 64 * 1024 };

enum link_role { LINK_LOCAL, LINK_UPSTREAM };

/* One end of a connection: what its callbacks know. */
struct agent_link {
    struct agent *agent;
    enum link_role role;
    struct link *link;
    atomic_bool announce;        /* connected since the last tick: publish the birth message */
    atomic_bool goodbye_sent;
    bool goodbye_begun;          /* main thread */
};

struct command {
    struct link_message message;
    enum link_role from;
};

struct agent {
    struct config *config;
    struct pipeline *pipelines;  /* [config->pipeline_count] */
    struct worker *workers;      /* [config->agent.workers] */
    int worker_count;
    struct threads *threads;     /* that share the workers' inferences */
    struct job_pool pool;
    struct cache *cache;
    struct outbox *outbox;
    struct window_log *windows;  /* the committer's while that runs */
    struct seen *seen;           /* NULL: no pipeline is a series */
    struct thinner *thinner;     /* NULL: the newest results are kept */
    struct committer *committer;
    struct events events;
    struct agent_link links[LINK_COUNT];
    struct queue commands;       /* of struct command */
    pthread_mutex_t intake_lock; /* held while an input is handed out; guards: */
    bool accepting;              /* false: messages are given back unread, the broker keeps them */
    bool same_broker;            /* local and upstream are one: status and commands go over one link */
    bool reload_wanted;
    bool reload_reply_wanted;
    struct command reload_command;
    uint64_t cache_files_told;   /* damaged cache files that an event told of */
    int64_t started_us, health_due_us, flush_due_us, cpu_us_before, cpu_wall_before_us;
    char text[CONTROL_TEXT_BYTES]; /* for health and replies: main thread */
};

/* subscriber.c */
bool subscriber_on_message(struct link_message *message, void *context); /* context: struct agent_link */

/* control.c */
bool control_takes(const struct agent *agent, const char *topic);
void control_handle(struct agent *agent, struct command *command);
void control_reply(struct agent *agent, const struct command *command, const char *verb, enum error_code code, const char *message,
                   const char *data, size_t data_length);

/* health.c */
void health_publish(struct agent *agent);
size_t health_write(struct agent *agent, char *text, size_t capacity); /* the JSON; its length, 0: it did not fit */
void status_publish(struct agent *agent, enum link_role role, const char *state, const char *reason);

/* cache_report.c */
void cache_report_write(struct agent *agent, struct json_writer *writer); /* a JSON object; the agent has a cache */

/* agent.c */
void agent_publish(struct agent *agent, enum link_role role, const struct link_publication *publication);
bool agent_uses(const struct agent *agent, enum link_role role); /* for status, health and commands */

#endif
