/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cache_transfer.h"
#include "agent/cli/cli.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "config/config.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: eddy cache stats|list|purge|export|import [OPTIONS]\n"
    "Works on the cache's file, whether an agent runs or not. What a running agent holds in memory: eddy ctl cache-stats, cache-purge.\n\n"
    "  stats    results and bytes by pipeline\n"
    "  list     results, the oldest first, one JSON line each\n"
    "  purge    forgets results\n"
    "  export   results as NDJSON to stdout\n"
    "  import   such lines from stdin; a running agent finds them within seconds\n\n"
    "  -c, --config FILE    whose agent.state_dir holds the cache (default /etc/eddy/eddy.yaml)\n"
    "      --file CACHE.DB  the cache itself\n"
    "      --pipeline NAME  that one alone\n"
    "      --limit N        list: at most so many (default 100)\n"
    "      --json           stats: one JSON object\n"
    "Exit: 0 done, 1 failed, 2 usage.\n";

enum { SPACES_MAX = 256 };

struct cache_command {
    const char *config, *pipeline;
    char file[PATH_MAX];
    long limit;
    bool json;
    struct disk_cache *disk;
    int matched;
    int64_t ids[SPACES_MAX];
    char names[SPACES_MAX][65];
};

static void note(const struct disk_space *space, void *context)
{
    struct cache_command *command = context;
    if (command->matched == SPACES_MAX || (command->pipeline != NULL && strcmp(command->pipeline, space->name) != 0))
        return;
    command->ids[command->matched] = space->id;
    snprintf(command->names[command->matched++], sizeof command->names[0], "%s", space->name);
}

static void print_space(const struct disk_space *space, void *context)
{
    struct cache_command *command = context;
    if (command->pipeline != NULL && strcmp(command->pipeline, space->name) != 0)
        return;
    if (command->json) {
        char name[6 * 64 + 3];
        struct json_writer writer;
        json_writer_init(&writer, name, sizeof name);
        json_string(&writer, space->name);
        json_writer_finish(&writer);
        printf("%s{\"name\":%s,\"entries\":%lld,\"bytes\":%lld,\"near_learned\":%s}", command->matched > 0 ? "," : "", name,
               (long long)space->entries, (long long)space->bytes, space->learned != NULL ? "true" : "false");
    } else {
        printf("%-24s %10lld results %12lld bytes%s\n", space->name, (long long)space->entries, (long long)space->bytes,
               space->learned != NULL ? ", near has learned" : "");
    }
    command->matched++;
}

static int run_stats(struct cache_command *command)
{
    int64_t entries, bytes;
    disk_cache_get_totals(command->disk, &entries, &bytes);
    if (command->json)
        printf("{\"entries\":%lld,\"bytes\":%lld,\"pipelines\":[", (long long)entries, (long long)bytes);
    disk_cache_each_space(command->disk, print_space, command);
    if (command->json)
        puts("]}");
    return CLI_DONE;
}

struct listing {
    const char *pipeline;
    long left;
};

static bool print_row(const struct disk_row *row, void *context)
{
    struct listing *listing = context;
    char created[CLOCK_TEXT_BYTES];
    clock_format(row->created_us, created);
    printf("{\"pipeline\":\"%s\",\"created\":\"%s\",", listing->pipeline, created); /* names are [a-z0-9_-] */
    cache_print_row(row, stdout);
    puts("}");
    return --listing->left > 0;
}

static int run_list(struct cache_command *command)
{
    struct listing listing = {.left = command->limit};
    disk_cache_each_space(command->disk, note, command);
    for (int i = 0; i < command->matched && listing.left > 0; i++) {
        struct disk_cursor cursor = {.kept_us = INT64_MIN};
        listing.pipeline = command->names[i];
        while (listing.left > 0 && disk_cache_walk(command->disk, command->ids[i], &cursor, 1000, true, print_row, &listing))
            ;
    }
    return CLI_DONE;
}

static int run_purge(struct cache_command *command)
{
    disk_cache_each_space(command->disk, note, command);
    if (command->matched == 0 && command->pipeline != NULL) {
        fprintf(stderr, "eddy cache: no results of a pipeline \"%s\"\n", command->pipeline);
        return CLI_FAILED;
    }
    disk_cache_begin(command->disk);
    for (int i = 0; i < command->matched; i++)
        disk_cache_purge(command->disk, command->ids[i]);
    disk_cache_tidy(command->disk);
    disk_cache_commit(command->disk);
    printf("%d pipelines purged\n", command->matched);
    return CLI_DONE;
}

static int run_export(struct cache_command *command)
{
    cache_export(command->disk, command->pipeline, stdout);
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}

static int run_import(struct cache_command *command)
{
    struct error error;
    int64_t count;
    if (cache_import(command->disk, stdin, &count, &error) != ERROR_NONE)
        return cli_fail("cache import", &error);
    printf("%lld results imported\n", (long long)count);
    return CLI_DONE;
}

static const struct {
    const char *name;
    int (*run)(struct cache_command *command);
} verbs[] = {{"stats", run_stats}, {"list", run_list}, {"purge", run_purge}, {"export", run_export}, {"import", run_import}};

/* The file that --file or the configuration names. */
static int find_file(struct cache_command *command)
{
    if (command->file[0] == '\0') {
        struct config *config;
        struct error error;
        char report[CONFIG_REPORT_BYTES];
        if (config_open(command->config, &config, report, &error) != ERROR_NONE) {
            fputs(report, stderr);
            return CLI_FAILED;
        }
        snprintf(command->file, sizeof command->file, "%s/cache.db", config->agent.state_dir);
        config_close(config);
    }
    if (access(command->file, F_OK) == 0)
        return CLI_DONE;
    fprintf(stderr, "eddy cache: %s: no such file: no agent has kept a result there yet\n", command->file);
    return CLI_FAILED;
}

static int run(struct cache_command *command, size_t verb)
{
    struct error error;
    bool set_aside;
    if (find_file(command) != CLI_DONE)
        return CLI_FAILED;
    if (disk_cache_open(command->file, DISK_OPEN_AS_IT_IS, &command->disk, &set_aside, &error) != ERROR_NONE)
        return cli_fail("cache", &error);
    int status = verbs[verb].run(command);
    disk_cache_close(command->disk);
    return status;
}

int cli_cache(int count, char **arguments)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"file", required_argument, NULL, 'f'},
                                            {"pipeline", required_argument, NULL, 'p'}, {"limit", required_argument, NULL, 'l'},
                                            {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    static struct cache_command command; /* large, and zero in the file */
    command.config = "/etc/eddy/eddy.yaml";
    command.limit = 100;
    for (int option; (option = getopt_long(count, arguments, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c': command.config = optarg; break;
        case 'f': snprintf(command.file, sizeof command.file, "%s", optarg); break;
        case 'p': command.pipeline = optarg; break;
        case 'l': command.limit = atol(optarg); break;
        case 'j': command.json = true; break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind + 1 != count || command.limit < 1)
        return cli_usage(usage, CLI_USAGE);
    for (size_t verb = 0; verb < sizeof verbs / sizeof verbs[0]; verb++) {
        if (strcmp(arguments[optind], verbs[verb].name) == 0)
            return run(&command, verb);
    }
    fprintf(stderr, "eddy cache: unknown verb \"%s\"\n", arguments[optind]);
    return cli_usage(usage, CLI_USAGE);
}
