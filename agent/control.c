/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands: eddy/<agent>/cmd/<verb>, JSON body, answered on the MQTT 5 response topic with its correlation data, else on
 * eddy/<agent>/reply/<verb> with the body's "id". One table row a verb; unknown verbs and bad bodies get an error reply. A command whose response
 * topic is none that may be published to is not run: that is said on the reply topic. */
#include "agent/internal.h"
#include "agent/topic.h"
#include "base/json_reader.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_BYTES_MAX = 64 * 1024, ARGUMENT_BYTES = 128 };

struct arguments {
    char id[ARGUMENT_BYTES], pipeline[ARGUMENT_BYTES], what[ARGUMENT_BYTES], level[ARGUMENT_BYTES], seq[ARGUMENT_BYTES];
};

typedef enum error_code verb_function(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error);

static bool command_prefix(const struct agent *agent, const char *topic, const char **verb_out)
{
    char prefix[256];
    int length = snprintf(prefix, sizeof prefix, "eddy/%s/cmd/", agent->config->agent.id);
    if (strncmp(topic, prefix, (size_t)length) != 0)
        return false;
    *verb_out = topic + length;
    return true;
}

bool control_takes(const struct agent *agent, const char *topic)
{
    const char *verb;
    return command_prefix(agent, topic, &verb);
}

static enum error_code verb_ping(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)arguments, (void)error;
    json_object_begin(data);
    json_key(data, "agent");
    json_string(data, agent->config->agent.id);
    json_key(data, "version");
    json_string(data, EDDY_VERSION);
    json_object_end(data);
    return ERROR_NONE;
}

static enum error_code verb_get(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    if (arguments->what[0] != '\0' && strcmp(arguments->what, "health") != 0)
        return error_set(error, ERROR_INPUT, "get: \"what\" is \"%s\", expected \"health\" or nothing", arguments->what);
    static char text[CONTROL_TEXT_BYTES / 2]; /* main thread alone */
    size_t length = health_write(agent, text, sizeof text);
    if (length == 0)
        return error_set(error, ERROR_LIMIT, "health does not fit a reply");
    json_raw(data, text, length);
    return ERROR_NONE;
}

static bool filter_is_wanted(const struct agent *agent, const char *filter)
{
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        const struct config_pipeline *config = &agent->config->pipelines[i];
        for (int k = 0; k < config->topic_count && !atomic_load(&agent->pipelines[i].paused); k++) {
            if (strcmp(config->topics[k], filter) == 0)
                return true;
        }
    }
    return false;
}

static enum error_code set_paused(struct agent *agent, struct pipeline *pipeline, bool paused, struct error *error)
{
    if (atomic_exchange(&pipeline->paused, paused) == paused)
        return ERROR_NONE;
    struct link *link = agent->links[LINK_LOCAL].link;
    for (int i = 0; i < pipeline->config->topic_count; i++) {
        const char *filter = pipeline->config->topics[i];
        if (!paused)
            TRY(link_subscribe(link, filter, pipeline->config->qos, error));
        else if (!filter_is_wanted(agent, filter))
            TRY(link_unsubscribe(link, filter, error));
    }
    log_info("%s: %s", pipeline->config->name, paused ? "paused" : "resumed");
    return ERROR_NONE;
}

static enum error_code pause_or_resume(struct agent *agent, const struct arguments *arguments, bool paused, struct json_writer *data,
                                       struct error *error)
{
    int found = 0;
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        struct pipeline *pipeline = &agent->pipelines[i];
        if (arguments->pipeline[0] != '\0' && strcmp(arguments->pipeline, pipeline->config->name) != 0)
            continue;
        found++;
        TRY(set_paused(agent, pipeline, paused, error));
    }
    if (found == 0)
        return error_set(error, ERROR_INPUT, "no pipeline \"%s\"", arguments->pipeline);
    json_object_begin(data);
    json_key(data, paused ? "paused" : "resumed");
    json_integer(data, found);
    json_object_end(data);
    return ERROR_NONE;
}

static enum error_code verb_pause(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    return pause_or_resume(agent, arguments, true, data, error);
}

static enum error_code verb_resume(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    return pause_or_resume(agent, arguments, false, data, error);
}

static enum error_code verb_log_level(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)agent, (void)data;
    enum log_level level;
    if (!log_level_parse(arguments->level, &level))
        return error_set(error, ERROR_INPUT, "log-level: \"level\" is \"%s\", expected error, warning, info or debug", arguments->level);
    log_set_level(level);
    return ERROR_NONE;
}

static enum error_code verb_cache_purge(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)data;
    int found = 0;
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        struct pipeline *pipeline = &agent->pipelines[i];
        if (arguments->pipeline[0] != '\0' && strcmp(arguments->pipeline, pipeline->config->name) != 0)
            continue;
        found++;
        if (pipeline->space != NULL)
            cache_purge(pipeline->space);
    }
    return found > 0 ? ERROR_NONE : error_set(error, ERROR_INPUT, "no pipeline \"%s\"", arguments->pipeline);
}

static enum error_code verb_cache_stats(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)arguments;
    if (agent->cache == NULL)
        return error_set(error, ERROR_INPUT, "no pipeline has a cache: set its cache.mode to exact or near");
    cache_report_write(agent, data);
    return ERROR_NONE;
}

static enum error_code verb_snapshot(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)data;
    int found = 0, allowed = 0;
    for (int i = 0; i < agent->config->pipeline_count; i++) {
        struct pipeline *pipeline = &agent->pipelines[i];
        if (arguments->pipeline[0] != '\0' && strcmp(arguments->pipeline, pipeline->config->name) != 0)
            continue;
        found++;
        if (pipeline->config->egress == EGRESS_RESULTS)
            continue;
        allowed++;
        atomic_fetch_add(&pipeline->snapshots_wanted, 1);
    }
    if (found == 0)
        return error_set(error, ERROR_INPUT, "no pipeline \"%s\"", arguments->pipeline);
    return allowed > 0 ? ERROR_NONE : error_set(error, ERROR_UNSUPPORTED, "egress is results: no image leaves this gateway");
}

static enum error_code verb_flush(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    (void)arguments, (void)error;
    struct committer_statistics statistics;
    committer_get_statistics(agent->committer, &statistics);
    committer_flush(agent->committer);
    json_object_begin(data);
    json_key(data, "refused_batches");
    json_integer(data, statistics.outbox.refused_batches);
    json_object_end(data);
    return ERROR_NONE;
}

static enum error_code refused(struct agent *agent, enum committer_refused_verb verb, const struct arguments *arguments, struct json_writer *data,
                               struct error *error)
{
    char *end;
    long long seq = strtoll(arguments->seq, &end, 10);
    if (arguments->seq[0] != '\0' && (*end != '\0' || seq <= 0))
        return error_set(error, ERROR_INPUT, "\"seq\" is \"%s\", expected the first-seq of a refused batch, or nothing for all", arguments->seq);
    return committer_refused(agent->committer, verb, seq, data, error);
}

static enum error_code verb_refused_list(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    return refused(agent, COMMITTER_REFUSED_LIST, arguments, data, error);
}

static enum error_code verb_refused_send(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    return refused(agent, COMMITTER_REFUSED_SEND, arguments, data, error);
}

static enum error_code verb_refused_drop(struct agent *agent, const struct arguments *arguments, struct json_writer *data, struct error *error)
{
    return refused(agent, COMMITTER_REFUSED_DROP, arguments, data, error);
}

static const struct {
    const char *name;
    verb_function *run;
} verbs[] = {
    {"ping", verb_ping},           {"get", verb_get},
    {"pause", verb_pause},         {"resume", verb_resume},
    {"log-level", verb_log_level}, {"cache-purge", verb_cache_purge},
    {"cache-stats", verb_cache_stats},
    {"flush", verb_flush},         {"snapshot", verb_snapshot},
    {"refused-list", verb_refused_list}, {"refused-send", verb_refused_send}, {"refused-drop", verb_refused_drop},
};

/* Unknown members are no error: a command may carry notes of its sender. */
static enum error_code read_arguments(const struct link_message *message, struct arguments *arguments, struct error *error)
{
    static const struct { const char *key; size_t offset; } members[] = {
        {"id", offsetof(struct arguments, id)}, {"pipeline", offsetof(struct arguments, pipeline)},
        {"what", offsetof(struct arguments, what)}, {"level", offsetof(struct arguments, level)},
        {"seq", offsetof(struct arguments, seq)},
    };
    *arguments = (struct arguments){0};
    if (message->payload_bytes == 0)
        return ERROR_NONE;
    if (message->payload_bytes > BODY_BYTES_MAX)
        return error_set(error, ERROR_LIMIT, "body of %zu bytes, at most %d are taken", message->payload_bytes, BODY_BYTES_MAX);
    struct json_reader reader;
    struct json_token token;
    json_reader_init(&reader, (const char *)message->payload, message->payload_bytes);
    if (json_next(&reader, &token) && token.kind != JSON_OBJECT_BEGIN)
        return error_set(error, ERROR_INPUT, "the body is not a JSON object");
    while (json_next(&reader, &token) && token.kind == JSON_KEY) {
        char *text = NULL;
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
            if (json_text_equals(&token, members[i].key))
                text = (char *)arguments + members[i].offset;
        }
        if (text == NULL) {
            if (!json_skip_value(&reader))
                break;
            continue;
        }
        if (!json_next(&reader, &token))
            break;
        size_t length = token.kind == JSON_STRING ? json_unescape(&token, text, ARGUMENT_BYTES - 1) : SIZE_MAX;
        if (length == SIZE_MAX && token.kind == JSON_NUMBER && token.length < ARGUMENT_BYTES) {
            length = token.length;
            memcpy(text, token.text, length);
        }
        if (length == SIZE_MAX)
            return error_set(error, ERROR_INPUT, "a member that is no text of at most %d bytes", ARGUMENT_BYTES - 1);
        text[length] = '\0';
    }
    while (json_next(&reader, &token) && token.kind != JSON_END)
        ;
    if (json_failed(&reader))
        return error_set(error, ERROR_INPUT, "the body is not JSON: %s at byte %zu", reader.problem, reader.at);
    return ERROR_NONE;
}

void control_reply(struct agent *agent, const struct command *command, const char *verb, enum error_code code, const char *message,
                   const char *data, size_t data_length)
{
    struct arguments arguments;
    struct error ignored;
    if (read_arguments(&command->message, &arguments, &ignored) != ERROR_NONE)
        arguments.id[0] = '\0';
    char topic[512];
    struct json_writer writer;
    json_writer_init(&writer, agent->text, sizeof agent->text);
    json_object_begin(&writer);
    if (arguments.id[0] != '\0') {
        json_key(&writer, "id");
        json_string(&writer, arguments.id);
    }
    json_key(&writer, "state");
    json_string(&writer, code == ERROR_NONE ? "successful" : "failed");
    if (code != ERROR_NONE) {
        json_key(&writer, "error");
        json_object_begin(&writer);
        json_key(&writer, "code");
        json_string(&writer, error_code_name(code));
        json_key(&writer, "message");
        json_string(&writer, message);
        json_object_end(&writer);
    } else if (data_length > 0) {
        json_key(&writer, "data");
        json_raw(&writer, data, data_length);
    }
    json_object_end(&writer);
    if (!json_writer_finish(&writer))
        return;
    snprintf(topic, sizeof topic, "eddy/%s/reply/%s", agent->config->agent.id, verb);
    const char *response = command->message.response_topic;
    struct link_publication publication = {.topic = response != NULL && topic_problem(response) == NULL ? response : topic,
                                           .payload = agent->text, .payload_bytes = writer.length, .qos = 1,
                                           .content_type = "application/json", .correlation = command->message.correlation,
                                           .correlation_bytes = command->message.correlation_bytes};
    agent_publish(agent, command->from, &publication);
}

static enum error_code check_response_topic(const struct command *command, const char *verb, struct error *error)
{
    const char *problem = command->message.response_topic != NULL ? topic_problem(command->message.response_topic) : NULL;
    if (problem == NULL)
        return ERROR_NONE;
    log_warning("command %s: the response topic cannot be published to: %s", verb, problem);
    return error_set(error, ERROR_INPUT, "the response topic cannot be published to: %s; the command was not run", problem);
}

static enum error_code run_verb(struct agent *agent, const struct command *command, const char *verb, struct json_writer *data,
                                struct error *error)
{
    struct arguments arguments;
    TRY(check_response_topic(command, verb, error));
    TRY(read_arguments(&command->message, &arguments, error));
    if (command->message.retained)
        return error_set(error, ERROR_INPUT, "retained commands are ignored: publish it without the retain flag");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(verb, verbs[i].name) == 0)
            return verbs[i].run(agent, &arguments, data, error);
    }
    return error_set(error, ERROR_UNSUPPORTED, "unknown command \"%.64s\", expected ping, get, pause, resume, reload, log-level, cache-purge, cache-stats, "
                     "flush, snapshot, refused-list, refused-send or refused-drop", verb);
}

void control_handle(struct agent *agent, struct command *command)
{
    static char text[CONTROL_TEXT_BYTES / 2 + 1024]; /* main thread alone */
    const char *verb;
    if (!command_prefix(agent, command->message.topic, &verb))
        return;
    struct error error = {0};
    if (strcmp(verb, "reload") == 0 && !command->message.retained && !agent->reload_wanted &&
        check_response_topic(command, verb, &error) == ERROR_NONE) {
        agent->reload_wanted = agent->reload_reply_wanted = true;
        agent->reload_command = *command; /* answered by agent_report_reload, which releases it */
        return;
    }
    struct json_writer data;
    json_writer_init(&data, text, sizeof text);
    enum error_code code = run_verb(agent, command, verb, &data, &error);
    if (code == ERROR_NONE && !json_writer_finish(&data))
        code = error_set(&error, ERROR_LIMIT, "the reply does not fit");
    control_reply(agent, command, verb, code, error.message, text, code == ERROR_NONE ? data.length : 0);
    struct link *from = agent->links[command->from].link;
    struct link_message *message = &command->message;
    link_acknowledge(from, &message, 1);
    link_message_release(message);
}
