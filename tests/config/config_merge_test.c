/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/config/config_support.h"

static char report[CONFIG_REPORT_BYTES];

#define ENTRY(name, topic) "  - { name: " name ", topics: [" topic "], input: { kind: image }, model: m }\n"

static struct config *open_config(void)
{
    struct error error = {0};
    struct config *config = NULL;
    if (config_open("eddy.yaml", &config, report, &error) != ERROR_NONE)
        printf("%s", report);
    CHECK(config != NULL);
    return config;
}

static void later_files_replace_keys_and_add_pipelines(void)
{
    support_write("eddy.yaml", "agent: { id: a, workers: 2 }\noutbox:\npipelines:\n" ENTRY("one", "a") ENTRY("two", "b"));
    support_write("conf.d/10-more.yaml",
                  "agent: { workers: 3 }\noutbox: { max_bytes: 1MiB }\npipelines:\n" ENTRY("two", "c") ENTRY("three", "d"));
    support_write("conf.d/20-last.yaml", "agent: { workers: 4 }\npipelines:\n");
    support_write("conf.d/30-not-read.yaml.bak", "nonsense");
    support_write("conf.d/.hidden.yaml", "nonsense");
    struct config *config = open_config();
    CHECK_TEXT(config->agent.id, "a");
    CHECK_INTEGER(config->agent.workers, 4);
    CHECK_INTEGER(config->outbox.max_bytes, 1 << 20);
    CHECK_INTEGER(config->pipeline_count, 3);
    CHECK_TEXT(config->pipelines[0].topics[0], "a");
    CHECK_TEXT(config->pipelines[1].name, "two");
    CHECK_TEXT(config->pipelines[1].topics[0], "c");
    CHECK_TEXT(config->pipelines[2].name, "three");
    config_close(config);
}

static void problems_name_the_file_they_are_in(void)
{
    struct error error = {0};
    struct config *config = NULL;
    support_write("eddy.yaml", "agent: { workers: no }\nlocal: [1\n");
    support_write("conf.d/10-more.yaml", "agent: { id: x }\n");
    support_write("conf.d/20-last.yaml", "models: x\n");
    CHECK_INTEGER(config_open("eddy.yaml", &config, report, &error), ERROR_CONFIG);
    CHECK(strstr(report, "eddy.yaml:3:1: not valid YAML: ") == report);
    CHECK(strstr(report, "\nconf.d/20-last.yaml:1:1: models is not a known key, expected models_dir\n") != NULL);
    CHECK(config == NULL);
}

static void missing_file_is_said(void)
{
    struct error error = {0};
    struct config *config;
    CHECK_INTEGER(config_open("none/eddy.yaml", &config, report, &error), ERROR_CONFIG);
    CHECK_TEXT(error.message, "none/eddy.yaml: cannot open: No such file or directory");
    CHECK_TEXT(report, "none/eddy.yaml: cannot open: No such file or directory\n");
}

int main(int count, char **arguments)
{
    support_enter_folder();
    support_folder_make("conf.d");
    return check_main(count, arguments,
                      (struct check_case[]){CASE(later_files_replace_keys_and_add_pipelines), CASE(problems_name_the_file_they_are_in),
                                            CASE(missing_file_is_said), {0}});
}
