/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a reply goes: to the response topic that a command names, unless that is none to publish to. */
#include "agent/topic.h"
#include "tests/agent/gateway.h"

static const char pipelines[] = "pipelines:\n"
                                "  - name: motor\n"
                                "    topics: [\"sensor/+/reading\"]\n"
                                "    input: { kind: series, format: f32le, fields: [x, y, z], window: 64, hop: 64 }\n"
                                "    model: motor-anomaly\n";

static char *repeat(char *text, char byte, size_t count)
{
    memset(text, byte, count);
    text[count] = '\0';
    return text;
}

static void what_can_be_published_to_is_told_from_what_cannot(void)
{
    static char text[TOPIC_NAME_BYTES_MAX + 2];
    static const char *const good[] = {"a", "/", "answers/here", "a b/caf\xc3\xa9", "a/$b", "eddy/x/reply/ping/17", "\xc2\xa0"};
    static const char *const bad[] = {"", "+", "#", "a/+/b", "a/#", "a+", "$SYS/broker", "$share/g/t", "$", "a\n", "\x1b[31m", "a\x7f", "\xc2\x9b", "\xff",
                                      "\xc3"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(topic_problem(good[i]) == NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(topic_problem(bad[i]) != NULL);
    CHECK(topic_problem(repeat(text, 'a', TOPIC_NAME_BYTES_MAX)) == NULL);
    CHECK_TEXT(topic_problem(repeat(text, 'a', TOPIC_NAME_BYTES_MAX + 1)), "it is longer than 1024 bytes");
}

static void a_command_with_a_response_topic_that_is_none_is_refused_on_the_reply_topic(void)
{
    static char text[TOPIC_NAME_BYTES_MAX + 2];
    const char *const topics[] = {"$SYS/broker/uptime", "answers/+", "answers/#", "", repeat(text, 'a', TOPIC_NAME_BYTES_MAX + 1)};
    struct gateway gateway = {0};
    gateway_begin(&gateway, pipelines);
    gateway_start(&gateway);
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        gateway_request(&gateway, i % 2 == 0 ? "pause" : "reload", topics[i]);
        CHECK_TEXT(gateway.reply_topic, i % 2 == 0 ? "eddy/gw/reply/pause" : "eddy/gw/reply/reload");
        CHECK(strstr(gateway.reply, "\"id\":\"r-1\",\"state\":\"failed\"") != NULL);
        CHECK(strstr(gateway.reply, "the response topic cannot be published to") != NULL);
        CHECK(gateway_log_says(&gateway, "the response topic cannot be published to"));
    }
    gateway_request(&gateway, "ping", "answers/here");
    CHECK_TEXT(gateway.reply_topic, "answers/here");
    CHECK(strstr(gateway.reply, "\"successful\"") != NULL);
    gateway_request(&gateway, "get", "answers/here");
    CHECK(strstr(gateway.reply, "\"paused\":false") != NULL);
    CHECK(!gateway_log_says(&gateway, "reloaded"));
    CHECK_INTEGER(gateway_stop(&gateway, SIGTERM), 0);
    gateway_end(&gateway);
}

int main(int count, char **arguments)
{
    broker_need();
    return check_main(count, arguments, (struct check_case[]){CASE(what_can_be_published_to_is_told_from_what_cannot),
                                                              CASE(a_command_with_a_response_topic_that_is_none_is_refused_on_the_reply_topic), {0}});
}
