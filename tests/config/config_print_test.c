/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/config/config_support.h"

static char *printed(void (*print)(FILE *file))
{
    char *text = NULL;
    size_t length = 0;
    FILE *file = open_memstream(&text, &length);
    print(file);
    fclose(file);
    return text;
}

static void check_file(const char *path, void (*print)(FILE *file))
{
    char *text = printed(print);
    const char *committed = support_read(path);
    bool same = committed != NULL && strcmp(committed, text) == 0;
    free(text);
    if (!same)
        printf("%s is not what the table prints: run build/tests/config_print in the checkout\n", path);
    CHECK(same);
}

static void committed_files_are_what_the_table_prints(void)
{
    check_file(EDDY_SOURCE_DIR "/config/eddy.yaml", config_print_sample);
    check_file(EDDY_SOURCE_DIR "/docs/configuration.md", config_print_reference);
    check_file(EDDY_SOURCE_DIR "/docs/man/eddy.yaml.5", config_print_man);
}

static void sample_is_a_valid_config(void)
{
    char *text = printed(config_print_sample);
    struct config *config = support_parse(text);
    CHECK_INTEGER(config->pipeline_count, 0);
    config_close(config);
    free(text);
}

static void sample_pipeline_is_valid_without_its_comment_marks(void)
{
    char *text = printed(config_print_sample), *out = text;
    bool in_pipelines = false;
    for (char *at = text; *at != '\0';) {
        in_pipelines |= strncmp(at, "pipelines:", 10) == 0;
        at += in_pipelines && *at == '#';
        size_t length = strcspn(at, "\n") + 1;
        memmove(out, at, length);
        out += length;
        at += length;
    }
    *out = '\0';
    struct config *config = support_parse(text);
    CHECK_INTEGER(config->pipeline_count, 1);
    CHECK_TEXT(config->pipelines[0].name, "line");
    CHECK_INTEGER(config->pipelines[0].cache.mode, CACHE_EXACT);
    config_close(config);
    free(text);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(committed_files_are_what_the_table_prints), CASE(sample_is_a_valid_config),
                                            CASE(sample_pipeline_is_valid_without_its_comment_marks), {0}});
}
