/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "inference/threads.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { SETTINGS_BYTES = 16 * 1024, FLUSH_INTERVAL_US = 2000000, GOODBYE_WAIT_US = 2000000 };
enum { PACKET_IDS = UINT16_MAX }; /* no broker has more underway, however little it minds the Receive Maximum */

static const char lost_status[] = "{\"state\":\"offline\",\"reason\":\"lost\"}";

bool agent_uses(const struct agent *agent, enum link_role role)
{
    return role == LINK_UPSTREAM || !agent->same_broker;
}

void agent_publish(struct agent *agent, enum link_role role, const struct link_publication *publication)
{
    struct error error;
    struct link *link = agent->links[role].link;
    if (link != NULL && link_publish(link, publication, &error) != ERROR_NONE)
        log_debug("%s: not published: %s", publication->topic, error.message);
}

static bool wants_cache(const struct config *config)
{
    for (int i = 0; i < config->pipeline_count; i++) {
        if (config->pipelines[i].cache.mode != CACHE_OFF)
            return true;
    }
    return false;
}

static enum error_code state_path(const struct config *config, const char *name, char path[PATH_MAX], struct error *error)
{
    if ((size_t)snprintf(path, PATH_MAX, "%s/%s", config->agent.state_dir, name) >= PATH_MAX)
        return error_set(error, ERROR_CONFIG, "agent.state_dir is too long");
    return ERROR_NONE;
}

static enum error_code open_cache(struct agent *agent, struct error *error)
{
    char path[PATH_MAX];
    bool set_aside;
    TRY(state_path(agent->config, "cache.db", path, error));
    TRY(cache_open(path, (size_t)agent->config->cache.memory_bytes, &agent->cache, &set_aside, error));
    return ERROR_NONE;
}

/* Found at the start or while running. */
static void report_cache_files(struct agent *agent)
{
    struct cache_statistics statistics;
    cache_get_statistics(agent->cache, &statistics);
    if (statistics.files_set_aside == agent->cache_files_told)
        return;
    agent->cache_files_told = statistics.files_set_aside;
    static const char what[] = "cache.db was damaged: set aside as cache.db.damaged-SECONDS, a new one begun";
    log_warning("%s/%s", agent->config->agent.state_dir, what);
    events_raise(&agent->events, "cache-damaged", "%s/%s", agent->config->agent.state_dir, what);
}

static enum error_code open_pipelines(struct agent *agent, struct error *error)
{
    const struct config *config = agent->config;
    agent->pipelines = calloc((size_t)config->pipeline_count + 1, sizeof *agent->pipelines);
    char *settings = malloc(SETTINGS_BYTES);
    enum error_code code = ERROR_NONE;
    if (agent->pipelines == NULL || settings == NULL)
        code = error_set(error, ERROR_LIMIT, "no memory for %d pipelines", config->pipeline_count);
    for (int i = 0; i < config->pipeline_count && code == ERROR_NONE; i++) {
        struct pipeline *pipeline = &agent->pipelines[i];
        code = pipeline_open(&config->pipelines[i], config->models_dir, pipeline, error);
        if (code != ERROR_NONE || config->pipelines[i].cache.mode == CACHE_OFF)
            continue;
        predictor_settings(pipeline->config, &pipeline->bundle, settings, SETTINGS_BYTES);
        struct cache_space_options options = {.name = pipeline->config->name, .settings = settings, .ttl_us = pipeline->config->cache.ttl_us,
                                              .disk_bytes_max = pipeline->config->cache.max_bytes,
                                              .max_disagreement = pipeline->config->cache.max_disagreement,
                                              .start_distance = pipeline->config->cache.start_distance};
        code = cache_add_space(agent->cache, &options, &pipeline->space, error);
    }
    free(settings);
    return code;
}

/* QoS 1 inputs that may be here unacknowledged. */
static int most_inputs(const struct config *config)
{
    return config->local.receive_maximum > OVERSENT_INPUTS_MAX ? config->local.receive_maximum : OVERSENT_INPUTS_MAX;
}

enum error_code agent_new(struct config *config, struct agent **agent_out, struct error *error)
{
    struct agent *agent = calloc(1, sizeof *agent);
    if (agent == NULL) {
        config_close(config);
        return error_set(error, ERROR_LIMIT, "no memory for the agent");
    }
    agent->config = config;
    agent->same_broker = strcmp(config->local.url, config->upstream.url) == 0;
    agent->started_us = agent->cpu_wall_before_us = clock_monotonic_us();
    struct job_pool_limits limits = {.deliveries = {QOS0_INPUTS_MAX, most_inputs(config)},
                                     .bytes = config->agent.input_bytes_max};
    job_pool_init(&agent->pool, &limits);
    pthread_mutex_init(&agent->intake_lock, NULL);
    events_init(&agent->events);
    enum error_code code = ERROR_NONE;
    if (mkdir(config->agent.state_dir, 0750) == 0)
        log_info("%s: created", config->agent.state_dir);
    if (wants_cache(config))
        code = open_cache(agent, error);
    if (code == ERROR_NONE)
        code = open_pipelines(agent, error);
    if (code == ERROR_NONE)
        code = queue_init(&agent->commands, COMMANDS_WAITING_MAX, error);
    if (code != ERROR_NONE) {
        agent_free(agent);
        return code;
    }
    *agent_out = agent;
    return ERROR_NONE;
}

static void on_connected(bool session_present, void *context)
{
    struct agent_link *end = context;
    (void)session_present;
    atomic_store(&end->announce, true);
    if (end->role == LINK_UPSTREAM)
        committer_connected(end->agent->committer);
}

static void on_disconnected(const char *why, void *context)
{
    struct agent_link *end = context;
    log_warning("%s broker lost: %s", end->role == LINK_LOCAL ? "local" : "upstream", why);
    if (end->role == LINK_UPSTREAM) {
        committer_disconnected(end->agent->committer);
        events_disconnected(&end->agent->events);
    }
}

static void on_refused(int reason_code, const char *why, void *context)
{
    struct agent_link *end = context;
    const char *role = end->role == LINK_LOCAL ? "local" : "upstream";
    log_error("%s broker: %s", role, why);
    events_raise(&end->agent->events, end->role == LINK_LOCAL ? "local-refused" : "upstream-refused",
                 "the %s broker does not let this gateway in (0x%02x): %s; it is asked again after minutes, or after a reload", role,
                 (unsigned)reason_code, why);
}

static void on_published(uint64_t ticket, int reason_code, void *context)
{
    struct agent_link *end = context;
    if (ticket == GOODBYE_TICKET)
        atomic_store(&end->goodbye_sent, true);
    else if (events_confirmed(&end->agent->events, ticket, reason_code))
        return;
    else if (end->role == LINK_UPSTREAM)
        committer_published(end->agent->committer, ticket, reason_code);
}

struct filters {
    const char **filters;
    int *qos, count;
};

static enum error_code list_filters(const struct agent *agent, enum link_role role, const char *command_filter, struct filters *list,
                                    struct error *error)
{
    int capacity = 1;
    for (int i = 0; i < agent->config->pipeline_count; i++)
        capacity += agent->config->pipelines[i].topic_count;
    list->filters = calloc((size_t)capacity, sizeof *list->filters);
    list->qos = calloc((size_t)capacity, sizeof *list->qos);
    list->count = 0;
    if (list->filters == NULL || list->qos == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %d topic filters", capacity);
    for (int i = 0; role == LINK_LOCAL && i < agent->config->pipeline_count; i++) {
        const struct config_pipeline *pipeline = &agent->config->pipelines[i];
        for (int k = 0; k < pipeline->topic_count; k++) {
            list->filters[list->count] = pipeline->topics[k];
            list->qos[list->count++] = pipeline->qos;
        }
    }
    if (agent_uses(agent, role)) {
        list->filters[list->count] = command_filter;
        list->qos[list->count++] = 1;
    }
    return ERROR_NONE;
}

static enum error_code open_link(struct agent *agent, enum link_role role, struct error *error)
{
    const struct config_broker *broker = role == LINK_LOCAL ? &agent->config->local : &agent->config->upstream;
    const char *id = agent->config->agent.id;
    char client_id[160], command_filter[160], status_topic[160];
    snprintf(client_id, sizeof client_id, "eddy-%s%s", id, role == LINK_UPSTREAM ? "-up" : "");
    snprintf(command_filter, sizeof command_filter, "eddy/%s/cmd/+", id);
    snprintf(status_topic, sizeof status_topic, "eddy/%s/status", id);
    struct filters list = {0};
    enum error_code code = list_filters(agent, role, command_filter, &list, error);
    struct agent_link *end = &agent->links[role];
    end->agent = agent;
    end->role = role;
    struct link_options options = {
        .url = broker->url, .fallback_urls = broker->url_count > 1 ? broker->urls + 1 : NULL,
        .fallback_count = broker->url_count > 1 ? broker->url_count - 1 : 0, .client_id = client_id,
        .user = broker->user, .password_file = broker->password_file, .ca = broker->ca,
        .cert = broker->cert, .key = broker->key, .keep_alive_s = broker->keep_alive_s, .receive_maximum = broker->receive_maximum,
        .session_expiry_s = role == LINK_LOCAL ? (uint32_t)broker->session_expiry_s : 0,
        .will_topic = agent_uses(agent, role) ? status_topic : NULL, .will_payload = lost_status,
        .filters = list.filters, .filter_qos = list.qos, .filter_count = list.count, .on_message = subscriber_on_message,
        .on_connected = on_connected, .on_disconnected = on_disconnected, .on_published = on_published,
        .on_refused = on_refused, .context = end};
    if (code == ERROR_NONE)
        code = link_open(&options, &end->link, error);
    free(list.filters);
    free(list.qos);
    return code == ERROR_NONE ? ERROR_NONE : error_prefix(error, "%s broker: ", role == LINK_LOCAL ? "local" : "upstream");
}

static enum error_code open_windows(struct agent *agent, struct error *error)
{
    bool any_series = false;
    for (int i = 0; i < agent->config->pipeline_count; i++)
        any_series = any_series || agent->config->pipelines[i].input.kind == INPUT_SERIES;
    TRY(window_log_new(agent->pipelines, agent->config->pipeline_count, agent->outbox, agent->config->outbox.max_bytes, &agent->windows, error));
    return any_series ? seen_new(agent->outbox, &agent->seen, error) : ERROR_NONE;
}

static enum error_code open_outbox(struct agent *agent, struct error *error)
{
    char path[PATH_MAX];
    bool set_aside;
    TRY(state_path(agent->config, "outbox.db", path, error));
    TRY(outbox_open(path, agent->config->outbox.max_bytes, PACKET_IDS, &agent->outbox, &set_aside, error));
    if (set_aside) {
        log_error("%s was damaged: set aside, a new one begun; results in it are not sent", path);
        events_raise(&agent->events, "outbox-damaged", "%s was damaged: set aside, a new one begun; results in it are not sent", path);
    }
    if (agent->config->outbox.keep == KEEP_IMPORTANT) {
        TRY(thinner_new(agent->config->outbox.low_confidence, &agent->thinner, error));
        outbox_set_thinner(agent->outbox, thinner_thin, agent->thinner);
    }
    TRY(open_windows(agent, error));
    struct committer_options options = {.agent_id = agent->config->agent.id, .pipelines = agent->pipelines,
                                        .pipeline_count = agent->config->pipeline_count, .outbox = agent->outbox, .pool = &agent->pool,
                                        .live_share = agent->config->outbox.live_share, .limits = &agent->config->upstream,
                                        .daily_writes = agent->config->outbox.daily_writes, .windows = agent->windows,
                                        .inputs_held_max = agent->config->local.receive_maximum / 2,
                                        .bytes_held_max = agent->config->agent.input_bytes_max / 4,
                                        .events = &agent->events};
    return committer_new(&options, &agent->committer, error);
}

/* How many threads each worker may use. */
static int threads_per_worker(const struct config *config)
{
    cpu_set_t allowed;
    int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    int count = config->agent.threads > 0 ? config->agent.threads : cores / config->agent.workers;
    return count < 1 ? 1 : count > THREADS_MAX ? THREADS_MAX : count;
}

static enum error_code start_workers(struct agent *agent, struct error *error)
{
    int count = agent->config->agent.workers;
    size_t queue_jobs = (size_t)(agent->pool.limits.deliveries[0] + agent->pool.limits.deliveries[1]) * (size_t)(agent->config->pipeline_count + 1);
    agent->workers = calloc((size_t)count, sizeof *agent->workers);
    if (agent->workers == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for %d workers", count);
    TRY(threads_new(threads_per_worker(agent->config), count, &agent->threads, error));
    for (; agent->worker_count < count; agent->worker_count++)
    {
        struct worker_options options = {.index = agent->worker_count, .count = count, .pipelines = agent->pipelines,
                                         .pipeline_count = agent->config->pipeline_count, .queue_jobs = queue_jobs,
                                         .agent_id = agent->config->agent.id, .committer = agent->committer, .threads = agent->threads,
                                         .seen = agent->seen, .windows = agent->windows};
        TRY(worker_start(&agent->workers[agent->worker_count], &options, error));
    }
    return ERROR_NONE;
}

/* Once this has returned, no input is being handed out. */
static void set_accepting(struct agent *agent, bool accepting)
{
    pthread_mutex_lock(&agent->intake_lock);
    agent->accepting = accepting;
    pthread_mutex_unlock(&agent->intake_lock);
}

enum error_code agent_start(struct agent *agent, struct error *error)
{
    TRY(open_outbox(agent, error));
    TRY(start_workers(agent, error));
    /* upstream first: a link that is up early delivers what a former run left */
    TRY(open_link(agent, LINK_UPSTREAM, error));
    set_accepting(agent, true);
    TRY(open_link(agent, LINK_LOCAL, error));
    committer_set_links(agent->committer, agent->links[LINK_LOCAL].link, agent->links[LINK_UPSTREAM].link);
    TRY(committer_start(agent->committer, error));
    agent->health_due_us = clock_monotonic_us() + agent->config->agent.health_interval_us;
    return ERROR_NONE;
}

/* Publishes "stopped" as soon as there is a connection; true: it has arrived, or there is none to say it to. */
static bool has_said_goodbye(struct agent_link *end)
{
    struct link_statistics statistics;
    if (end->link == NULL || !agent_uses(end->agent, end->role) || atomic_load(&end->goodbye_sent))
        return true;
    link_get_statistics(end->link, &statistics);
    if (statistics.connected && !end->goodbye_begun) {
        status_publish(end->agent, end->role, "offline", "stopped");
        end->goodbye_begun = true;
    }
    return !statistics.connected && !statistics.connecting;
}

/* A broker that has our CONNECT has our Last Will too, and "lost" would be what it says of an agent that leaves before the answer: it is waited for. */
static void say_goodbye(struct agent *agent)
{
    int64_t give_up_us = clock_monotonic_us() + GOODBYE_WAIT_US;
    struct timespec pause = {.tv_nsec = 5000000};
    for (;;) {
        bool said = true;
        for (int role = 0; role < LINK_COUNT; role++)
            said = has_said_goodbye(&agent->links[role]) && said;
        if (said || clock_monotonic_us() >= give_up_us)
            return;
        nanosleep(&pause, NULL);
    }
}

static void drop_commands(struct agent *agent)
{
    queue_close(&agent->commands);
    for (struct command *command; (command = queue_pop(&agent->commands)) != NULL; free(command))
        link_message_release(&command->message);
}

void agent_stop(struct agent *agent)
{
    set_accepting(agent, false);
    for (int i = 0; i < agent->worker_count; i++)
        worker_stop(&agent->workers[i]);
    agent->worker_count = 0;
    threads_free(agent->threads);
    agent->threads = NULL;
    committer_stop(agent->committer);
    say_goodbye(agent);
    for (int role = 0; role < LINK_COUNT; role++) {
        link_close(agent->links[role].link);
        agent->links[role].link = NULL;
    }
    drop_commands(agent);
    committer_free(agent->committer);
    agent->committer = NULL;
    window_log_free(agent->windows);
    agent->windows = NULL;
    seen_free(agent->seen);
    agent->seen = NULL;
    outbox_close(agent->outbox);
    agent->outbox = NULL;
    thinner_free(agent->thinner);
    agent->thinner = NULL;
}

void agent_free(struct agent *agent)
{
    if (agent == NULL)
        return;
    free(agent->workers);
    for (int i = 0; agent->pipelines != NULL && i < agent->config->pipeline_count; i++)
        pipeline_close(&agent->pipelines[i]);
    free(agent->pipelines);
    cache_close(agent->cache);
    queue_deinit(&agent->commands);
    job_pool_deinit(&agent->pool);
    pthread_mutex_destroy(&agent->intake_lock);
    events_deinit(&agent->events);
    config_close(agent->config);
    free(agent);
}

static void announce(struct agent *agent)
{
    for (int role = 0; role < LINK_COUNT; role++) {
        struct agent_link *end = &agent->links[role];
        if (!atomic_exchange(&end->announce, false))
            continue;
        struct link_statistics statistics;
        link_get_statistics(end->link, &statistics);
        log_info("%s broker connected: %s", role == LINK_LOCAL ? "local" : "upstream", statistics.url);
        if (agent_uses(agent, (enum link_role)role))
            status_publish(agent, (enum link_role)role, "online", NULL);
    }
}

void agent_tick(struct agent *agent)
{
    struct command *command = queue_pop_until(&agent->commands, clock_monotonic_us() + AGENT_TICK_US);
    if (command != NULL) {
        control_handle(agent, command);
        free(command);
    }
    announce(agent);
    events_publish(&agent->events, agent->links[LINK_UPSTREAM].link, agent->config->agent.id);
    int64_t now = clock_monotonic_us();
    if (now >= agent->health_due_us) {
        agent->health_due_us = now + agent->config->agent.health_interval_us;
        health_publish(agent);
    }
    if (agent->cache != NULL && now >= agent->flush_due_us) {
        agent->flush_due_us = now + FLUSH_INTERVAL_US;
        cache_flush(agent->cache);
        report_cache_files(agent);
    }
}

bool agent_wants_reload(struct agent *agent)
{
    bool wanted = agent->reload_wanted;
    agent->reload_wanted = false;
    return wanted;
}

void agent_report_reload(struct agent *agent, enum error_code code, const char *message)
{
    if (!agent->reload_reply_wanted)
        return;
    agent->reload_reply_wanted = false;
    struct link_message *request = &agent->reload_command.message;
    control_reply(agent, &agent->reload_command, "reload", code, message, "", 0);
    link_acknowledge(agent->links[agent->reload_command.from].link, &request, 1);
    link_message_release(request);
}

void agent_describe(struct agent *agent, char *text, size_t capacity)
{
    struct committer_statistics statistics;
    struct link_statistics local, upstream;
    committer_get_statistics(agent->committer, &statistics);
    link_get_statistics(agent->links[LINK_LOCAL].link, &local);
    link_get_statistics(agent->links[LINK_UPSTREAM].link, &upstream);
    snprintf(text, capacity, "%d pipelines; local %s, upstream %s; %lld results made, %lld batches waiting", agent->config->pipeline_count,
             local.connected ? "connected" : "away", upstream.connected ? "connected" : "away", (long long)statistics.outbox.next_seq,
             (long long)statistics.outbox.batches);
}
