/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rebuild.h"

#include "agent/importance.h"
#include "agent/repeat.h"
#include "base/json_reader.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 65, SLOTS = 2 * REPEAT_SEQS_MAX };

struct remembered {
    int64_t seq;
    char *text;
    size_t length;
};

struct known_agent {
    char name[NAME_BYTES];
    struct remembered slots[SLOTS]; /* seq % SLOTS */
};

struct rebuild {
    struct known_agent *agents[REBUILD_AGENTS_MAX];
    int agent_count;
    char *line;
    size_t capacity;
};

enum error_code rebuild_new(struct rebuild **rebuild_out, struct error *error)
{
    *rebuild_out = calloc(1, sizeof **rebuild_out);
    return *rebuild_out != NULL ? ERROR_NONE : error_set(error, ERROR_LIMIT, "no memory to remember results in");
}

void rebuild_free(struct rebuild *rebuild)
{
    if (rebuild == NULL)
        return;
    for (int i = 0; i < rebuild->agent_count; i++) {
        for (int k = 0; k < SLOTS; k++)
            free(rebuild->agents[i]->slots[k].text);
        free(rebuild->agents[i]);
    }
    free(rebuild->line);
    free(rebuild);
}

static struct known_agent *find_agent(struct rebuild *rebuild, const char *name)
{
    for (int i = 0; i < rebuild->agent_count; i++) {
        if (strcmp(rebuild->agents[i]->name, name) == 0)
            return rebuild->agents[i];
    }
    struct known_agent *agent = rebuild->agent_count < REBUILD_AGENTS_MAX ? calloc(1, sizeof *agent) : NULL;
    if (agent != NULL) {
        memcpy(agent->name, name, strlen(name) + 1);
        rebuild->agents[rebuild->agent_count++] = agent;
    }
    return agent;
}

struct head {
    char agent[NAME_BYTES];
    int64_t seq, same_as;    /* -1: none */
};

/* A line is any sender's bytes: it is read as JSON, not by pattern. */
static bool read_head(const char *line, size_t length, struct head *head)
{
    struct json_reader reader;
    struct json_token token;
    *head = (struct head){.seq = -1, .same_as = -1};
    json_reader_init(&reader, line, length);
    if (!json_next(&reader, &token) || token.kind != JSON_OBJECT_BEGIN)
        return false;
    while (json_next(&reader, &token) && token.kind == JSON_KEY) {
        int64_t *number = json_text_equals(&token, "seq") ? &head->seq : json_text_equals(&token, "same-as") ? &head->same_as : NULL;
        bool agent = json_text_equals(&token, "agent");
        if (number == NULL && !agent) {
            if (!json_skip_value(&reader))
                return false;
            continue;
        }
        if (!json_next(&reader, &token))
            return false;
        if (number != NULL && token.kind == JSON_NUMBER && token.number >= 0 && token.number < 9e15)
            *number = (int64_t)token.number;
        size_t bytes = agent && token.kind == JSON_STRING ? json_unescape(&token, head->agent, NAME_BYTES - 1) : SIZE_MAX;
        if (bytes != SIZE_MAX)
            head->agent[bytes] = '\0';
    }
    return token.kind == JSON_OBJECT_END && head->seq >= 0 && head->agent[0] != '\0';
}

static void remember(struct known_agent *agent, int64_t seq, const char *text, size_t length)
{
    struct remembered *slot = &agent->slots[seq % SLOTS];
    char *copy = length <= REBUILD_RESULT_BYTES_MAX ? malloc(length + 1) : NULL;
    if (copy == NULL)
        return;
    memcpy(copy, text, length);
    free(slot->text);
    *slot = (struct remembered){seq, copy, length};
}

static bool join(struct rebuild *rebuild, const char *head, size_t head_length, const struct remembered *result, const char **line_out,
                 size_t *length_out)
{
    size_t needed = head_length + result->length;
    if (needed > rebuild->capacity) {
        char *grown = realloc(rebuild->line, needed);
        if (grown == NULL)
            return false;
        rebuild->line = grown;
        rebuild->capacity = needed;
    }
    memcpy(rebuild->line, head, head_length);
    memcpy(rebuild->line + head_length, result->text, result->length);
    *line_out = rebuild->line;
    *length_out = needed;
    return true;
}

bool rebuild_line(struct rebuild *rebuild, const char *line, size_t length, const char **line_out, size_t *length_out)
{
    struct head head;
    *line_out = line;
    *length_out = length;
    if (!read_head(line, length, &head))
        return true;
    size_t value_at = importance_find_value(line, length);
    struct known_agent *agent = find_agent(rebuild, head.agent);
    if (head.same_as < 0) {
        if (agent != NULL && value_at < length)
            remember(agent, head.seq, line + value_at, length - value_at);
        return true;
    }
    const struct remembered *result = agent != NULL ? &agent->slots[head.same_as % SLOTS] : NULL;
    return result != NULL && result->text != NULL && result->seq == head.same_as && value_at < length &&
           join(rebuild, line, value_at, result, line_out, length_out);
}
