/* SPDX-License-Identifier: Apache-2.0 */
#include "config/check.h"

#include "config/rules.h"
#include "config/scalar.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

enum { IMAGE_BYTES_MAX = 32 * 1024 * 1024, SERIES_BYTES_MAX = 1024 * 1024, WINDOW_NUMBERS_MAX = 1 << 20, PREFIX_BYTES = 48 };

#define NEAR_DISAGREEMENT 0.01

struct entry {
    struct config_pipeline *pipeline;
    const struct yaml_node *node;
    char prefix[PREFIX_BYTES]; /* "pipelines[0]." */
    struct schema_problems *problems;
};

static bool default_id(struct config *config, struct schema_problems *problems)
{
    char host[HOST_NAME_MAX + 1] = "";
    if (config->agent.id != NULL)
        return true;
    if (gethostname(host, sizeof host - 1) != 0 || rule_topic_level(host) != NULL)
        snprintf(host, sizeof host, "eddy");
    config->agent.id = arena_copy_string(problems->arena, host, strlen(host));
    if (config->agent.id == NULL)
        schema_problem_line(problems, "the configuration needs more memory than it may");
    return config->agent.id != NULL;
}

static void check_broker(const struct config_broker *broker, const char *section, const struct yaml_node *root,
                         struct schema_problems *problems)
{
    static const char *const tls_keys[] = {"ca", "cert", "key"};
    const char *const values[] = {broker->ca, broker->cert, broker->key};
    const struct yaml_node *map = yaml_map_find(root, section);
    if (map == NULL || broker->url == NULL)
        return;
    if ((broker->cert == NULL) != (broker->key == NULL)) {
        const char *given = broker->cert != NULL ? "cert" : "key";
        schema_problem(problems, schema_find_near(map, given), "%s.%s is given alone, expected %s.%s with it", section, given, section,
                       broker->cert != NULL ? "key" : "cert");
    }
    for (int i = 0; i < 3; i++) {
        const struct yaml_node *node = yaml_map_find(map, tls_keys[i]);
        if (values[i] != NULL && node != NULL && !rule_url_is_encrypted(broker->url))
            schema_problem(problems, node, "%s.%s is given, but %s is not encrypted, expected a url with mqtts:// or wss://", section,
                           tls_keys[i], broker->url);
    }
}

static const struct yaml_node *list_node(const struct yaml_node *list, int index)
{
    const struct yaml_node *node = list->first;
    for (int i = 0; i < index; i++)
        node = node->next;
    return node;
}

/* A list with one connection's files and password: all of it encrypted or none, so that no key is asked for in vain. */
static void check_urls(struct config_broker *upstream, const struct yaml_node *root, struct schema_problems *problems)
{
    if (upstream->urls == NULL || upstream->url_count == 0)
        return;
    upstream->url = upstream->urls[0];
    for (int i = 1; i < upstream->url_count; i++) {
        if (upstream->url != NULL && upstream->urls[i] != NULL && rule_url_is_encrypted(upstream->urls[i]) != rule_url_is_encrypted(upstream->url))
            schema_problem(problems, list_node(schema_find(root, "upstream.url"), i),
                           "upstream.url[%d] is %s, expected addresses that are all encrypted (mqtts, wss) or all not", i, upstream->urls[i]);
    }
}

static void default_upstream(struct config *config)
{
    const struct config_broker *local = &config->local;
    struct config_broker *upstream = &config->upstream;
    if (upstream->url != NULL)
        return;
    upstream->url = local->url;
    if (upstream->user == NULL && upstream->password_file == NULL) {
        upstream->user = local->user;
        upstream->password_file = local->password_file;
    }
    if (upstream->ca == NULL)
        upstream->ca = local->ca;
    if (upstream->cert == NULL && upstream->key == NULL) {
        upstream->cert = local->cert;
        upstream->key = local->key;
    }
}

static void refuse_keys(const struct entry *entry, const char *const *paths, const char *only_for)
{
    for (; *paths != NULL; paths++) {
        const struct yaml_node *node = schema_find(entry->node, *paths);
        if (node != NULL)
            schema_problem_key(entry->problems, node, "%s%s is given, but it is only for %s, expected no such key here", entry->prefix,
                               *paths, only_for);
    }
}

static void check_column(const struct entry *entry, const char *path, const struct yaml_node *node, const char *text)
{
    enum series_format format = entry->pipeline->input.format;
    const char *problem = format == SERIES_CSV     ? rule_csv_column(text)
                          : format == SERIES_F32LE ? NULL
                                                   : rule_json_pointer(text);
    if (problem == NULL && format == SERIES_CSV && text[0] != '#' && !entry->pipeline->input.header)
        problem = "expected a number such as \"#1\": columns have names only with header: true";
    if (problem == NULL)
        return;
    char quoted[SCALAR_QUOTE_BYTES];
    scalar_quote(text, quoted);
    schema_problem(entry->problems, node, "%s%s is \"%s\", %s", entry->prefix, path, quoted, problem);
}

static void check_fields(const struct entry *entry)
{
    const struct config_pipeline *pipeline = entry->pipeline;
    const struct yaml_node *fields = schema_find(entry->node, "input.fields"), *time = schema_find(entry->node, "input.time_field");
    if (fields == NULL)
        schema_problem(entry->problems, schema_find_near(entry->node, "input.fields"),
                       "%sinput.fields is missing, expected a list such as [\"/ax\", \"/ay\"]", entry->prefix);
    for (int i = 0; i < pipeline->input.field_count; i++)
        check_column(entry, "input.fields", list_node(fields, i), pipeline->input.fields[i]);
    if (pipeline->input.time_field != NULL && pipeline->input.format == SERIES_F32LE)
        schema_problem_key(entry->problems, time, "%sinput.time_field is given, but f32le holds no times, expected no such key here",
                           entry->prefix);
    else if (pipeline->input.time_field != NULL)
        check_column(entry, "input.time_field", time, pipeline->input.time_field);
}

static void check_window(const struct entry *entry)
{
    struct config_pipeline *pipeline = entry->pipeline;
    const struct yaml_node *window = schema_find(entry->node, "input.window"), *hop = schema_find(entry->node, "input.hop");
    if (window == NULL) {
        schema_problem(entry->problems, schema_find_near(entry->node, "input.window"),
                       "%sinput.window is missing, expected the model's number of samples", entry->prefix);
        return;
    }
    if (pipeline->input.window == 0)
        return; /* refused before */
    if ((int64_t)pipeline->input.window * pipeline->input.field_count > WINDOW_NUMBERS_MAX)
        schema_problem(entry->problems, window, "%sinput.window is %d with %d fields, expected at most %d numbers in a window",
                       entry->prefix, pipeline->input.window, pipeline->input.field_count, WINDOW_NUMBERS_MAX);
    if (pipeline->input.hop > pipeline->input.window)
        schema_problem(entry->problems, hop, "%sinput.hop is %d, expected a whole number from 1 to the window, %d", entry->prefix,
                       pipeline->input.hop, pipeline->input.window);
    if (pipeline->input.hop == 0)
        pipeline->input.hop = pipeline->input.window;
}

static void check_input(const struct entry *entry)
{
    static const char *const series_keys[] = {"input.format", "input.fields",     "input.window",    "input.hop",
                                              "input.gap",    "input.time_field", "input.delimiter", "input.header", NULL};
    static const char *const csv_keys[] = {"input.delimiter", "input.header", NULL};
    static const char *const image_keys[] = {"input.max_pixels", NULL};
    struct config_pipeline *pipeline = entry->pipeline;
    bool image = pipeline->input.kind == INPUT_IMAGE;
    if (schema_find(entry->node, "input.kind") == NULL)
        return; /* refused before */
    if (pipeline->max_message_bytes == 0)
        pipeline->max_message_bytes = image ? IMAGE_BYTES_MAX : SERIES_BYTES_MAX;
    if (image) {
        refuse_keys(entry, series_keys, "kind series");
        return;
    }
    refuse_keys(entry, image_keys, "kind image");
    if (pipeline->input.format != SERIES_CSV)
        refuse_keys(entry, csv_keys, "format csv");
    check_fields(entry);
    check_window(entry);
}

static void check_cache(const struct entry *entry)
{
    static const char *const near_keys[] = {"cache.max_disagreement", "cache.start_distance", NULL};
    if (entry->pipeline->cache.mode != CACHE_NEAR)
        refuse_keys(entry, near_keys, "cache mode near");
    else if (schema_find(entry->node, "cache.max_disagreement") == NULL)
        entry->pipeline->cache.max_disagreement = NEAR_DISAGREEMENT;
}

static void check_report(const struct entry *entry)
{
    static const char *const change_keys[] = {"sink.deadband", NULL}, *const not_always_keys[] = {"sink.every", NULL};
    const struct config_pipeline *pipeline = entry->pipeline;
    const struct yaml_node *every = schema_find(entry->node, "sink.every");
    if (pipeline->sink.on != REPORT_CHANGE)
        refuse_keys(entry, change_keys, "sink.on change");
    if (pipeline->sink.on == REPORT_ALWAYS)
        refuse_keys(entry, not_always_keys, "sink.on change or interval");
    if (pipeline->sink.on == REPORT_INTERVAL && pipeline->sink.every_us == 0 && every != NULL)
        schema_problem(entry->problems, every, "%ssink.every is 0, expected a time: it is the interval", entry->prefix);
}

static void check_images(const struct entry *entry)
{
    static const char *const image_keys[] = {"images.anomalies", "images.below", "images.every", "images.max_bytes", "images.redact", NULL};
    const struct config_pipeline *pipeline = entry->pipeline;
    const struct yaml_node *egress = schema_find(entry->node, "egress");
    if (pipeline->egress == EGRESS_RESULTS)
        refuse_keys(entry, image_keys, "egress crops or snapshots");
    else if (pipeline->input.kind != INPUT_IMAGE && egress != NULL)
        schema_problem(entry->problems, egress, "%segress is \"%s\", expected results: the input is no image", entry->prefix, egress->text);
}

/* Whether filter covers eddy/<agent>/result/<pipeline>: results would come back as inputs, for ever. */
static bool covers_results(const char *filter, const char *agent, const char *pipeline)
{
    const char *const levels[] = {"eddy", agent, "result", pipeline};
    if (strncmp(filter, "$share/", 7) == 0)
        filter = strchr(filter + 7, '/') + 1;
    for (int i = 0; i < 4; i++) {
        size_t length = strcspn(filter, "/");
        if (filter[0] == '#')
            return true;
        bool same = length == strlen(levels[i]) && memcmp(filter, levels[i], length) == 0;
        if (!same && !(length == 1 && filter[0] == '+'))
            return false;
        filter += length;
        if (*filter == '\0')
            return i == 3;
        filter++;
    }
    return filter[0] == '#';
}

static void check_topics(const struct entry *entry, const struct config *config)
{
    const struct config_pipeline *pipeline = entry->pipeline;
    bool one_broker = config->local.url != NULL && config->upstream.url != NULL && strcmp(config->local.url, config->upstream.url) == 0;
    for (int i = 0; i < pipeline->topic_count && one_broker && pipeline->name != NULL; i++) {
        if (covers_results(pipeline->topics[i], config->agent.id, pipeline->name))
            schema_problem(entry->problems, list_node(schema_find(entry->node, "topics"), i),
                           "%stopics[%d] covers this pipeline's own results, expected filters that do not", entry->prefix, i);
    }
}

static void check_name(const struct entry *entry, const struct config *config, int index, const struct yaml_node *first)
{
    const struct yaml_node *node = first;
    for (int i = 0; i < index; i++, node = node->next) {
        const char *other = config->pipelines[i].name;
        if (other == NULL || entry->pipeline->name == NULL || strcmp(other, entry->pipeline->name) != 0)
            continue;
        schema_problem(entry->problems, schema_find_near(entry->node, "name"),
                       "%sname is \"%s\", expected a name that no other pipeline has (see line %d)", entry->prefix, other,
                       schema_find_near(node, "name")->line);
        return;
    }
}

void config_complete(struct config *config, const struct yaml_node *root, struct schema_problems *problems)
{
    if (!default_id(config, problems))
        return;
    check_urls(&config->upstream, root, problems);
    check_broker(&config->local, "local", root, problems);
    check_broker(&config->upstream, "upstream", root, problems);
    default_upstream(config);
    const struct yaml_node *list = yaml_map_find(root, "pipelines");
    const struct yaml_node *node = list != NULL ? list->first : NULL;
    for (int i = 0; i < config->pipeline_count; i++, node = node->next) {
        struct entry entry = {.pipeline = &config->pipelines[i], .node = node, .problems = problems};
        if (node->kind != YAML_MAP)
            continue;
        snprintf(entry.prefix, sizeof entry.prefix, "pipelines[%d].", i);
        check_name(&entry, config, i, list->first);
        check_input(&entry);
        check_cache(&entry);
        check_report(&entry);
        check_images(&entry);
        check_topics(&entry, config);
    }
}
