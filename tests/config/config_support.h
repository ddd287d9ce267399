/* SPDX-License-Identifier: Apache-2.0
 *
 * config_support.h: a folder of files for one test program, and texts as configurations. */
#ifndef EDDY_TESTS_CONFIG_SUPPORT_H
#define EDDY_TESTS_CONFIG_SUPPORT_H

#include "config/config.h"
#include "tests/check.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char support_folder[] = "/tmp/eddy-config-test-XXXXXX";

__attribute__((unused)) static int support_remove(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status;
    (void)flag;
    (void)walk;
    return remove(path);
}

__attribute__((unused)) static void support_clean_up(void)
{
    nftw(support_folder, support_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* An empty folder that is the working folder, so that names in messages are short. */
__attribute__((unused)) static void support_enter_folder(void)
{
    if (mkdtemp(support_folder) == NULL || chdir(support_folder) != 0)
        abort();
    atexit(support_clean_up);
}

__attribute__((unused)) static void support_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
        abort();
}

__attribute__((unused)) static void support_folder_make(const char *path)
{
    if (mkdir(path, 0755) != 0)
        abort();
}

/* The whole file as text. */
__attribute__((unused)) static char *support_read(const char *path)
{
    static char text[128 * 1024];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return NULL;
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return text;
}

__attribute__((unused)) static struct config *support_parse(const char *text)
{
    static char report[CONFIG_REPORT_BYTES];
    struct error error = {0};
    struct config *config = NULL;
    if (config_parse("eddy.yaml", text, strlen(text), &config, report, &error) != ERROR_NONE)
        printf("%s", report);
    CHECK(config != NULL);
    return config;
}

/* The whole report, without the line break at its end. */
__attribute__((unused)) static const char *support_report(const char *text)
{
    static char report[CONFIG_REPORT_BYTES];
    struct error error = {0};
    struct config *config = NULL;
    enum error_code code = config_parse("eddy.yaml", text, strlen(text), &config, report, &error);
    config_close(config);
    if (code == ERROR_NONE)
        return "accepted";
    size_t length = strlen(report);
    CHECK_INTEGER(code, ERROR_CONFIG);
    CHECK(length > 0 && report[length - 1] == '\n');
    CHECK(strncmp(report, error.message, strlen(error.message)) == 0);
    report[length - 1] = '\0';
    return report;
}

#endif
