/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bundle.h"
#include "agent/cli/cli.h"
#include "agent/predictor.h"
#include "config/config.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const char usage[] =
    "usage: eddy check [-c FILE] [--syntax]\n"
    "Checks a configuration without starting anything: its text, the files it names, its models and whether they fit their pipelines.\n\n"
    "  -c, --config FILE   default /etc/eddy/eddy.yaml\n"
    "      --syntax        the text alone\n";

static int check_file(const char *role, const char *key, const char *path)
{
    if (path == NULL || access(path, R_OK) == 0)
        return 0;
    fprintf(stderr, "%s.%s: cannot read %s\n", role, key, path);
    return 1;
}

static int check_broker(const char *role, const struct config_broker *broker)
{
    return check_file(role, "ca", broker->ca) + check_file(role, "cert", broker->cert) + check_file(role, "key", broker->key) +
           check_file(role, "password_file", broker->password_file);
}

static int check_pipeline(const struct config *config, const struct config_pipeline *pipeline)
{
    struct error error;
    struct bundle bundle;
    struct predictor *predictor = NULL;
    enum error_code code = bundle_find(config->models_dir, pipeline->model, NULL, &bundle, &error);
    if (code == ERROR_NONE) {
        code = predictor_new(pipeline, &bundle, NULL, (size_t)pipeline->sink.max_bytes, &predictor, &error);
        predictor_free(predictor);
        if (code == ERROR_NONE)
            printf("pipeline \"%s\": model %s, kernels %s, %.1f MB a worker\n", pipeline->name, bundle.label, model_cpu(bundle.model),
                   (double)model_memory(bundle.model) / 1e6);
        bundle_close(&bundle);
    }
    if (code != ERROR_NONE)
        fprintf(stderr, "pipeline \"%s\": %s\n", pipeline->name, error.message);
    return code != ERROR_NONE;
}

int cli_check(int count, char **arguments)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"syntax", no_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = "/etc/eddy/eddy.yaml";
    bool syntax_only = false;
    for (int option; (option = getopt_long(count, arguments, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c': path = optarg; break;
        case 's': syntax_only = true; break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind < count)
        return cli_usage(usage, CLI_USAGE);
    struct config *config;
    struct error error;
    char report[CONFIG_REPORT_BYTES];
    if (config_open(path, &config, report, &error) != ERROR_NONE) {
        fputs(report, stderr);
        return CLI_FAILED;
    }
    int problems = 0;
    if (!syntax_only) {
        problems = check_broker("local", &config->local) + check_broker("upstream", &config->upstream);
        for (int i = 0; i < config->pipeline_count; i++)
            problems += check_pipeline(config, &config->pipelines[i]);
    }
    printf("%s: %d pipelines, %s\n", path, config->pipeline_count, problems == 0 ? "good" : "not usable as it is");
    config_close(config);
    return problems == 0 ? CLI_DONE : CLI_FAILED;
}

int cli_sample_config(int count, char **arguments)
{
    (void)arguments;
    if (count > 1)
        return cli_usage("usage: eddy sample-config\nPrints the commented default configuration.\n",
                         arguments[1][0] == '-' && arguments[1][1] == '-' && arguments[1][2] == 'h' ? CLI_DONE : CLI_USAGE);
    config_print_sample(stdout);
    return CLI_DONE;
}
