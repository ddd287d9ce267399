/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/cli.h"
#include "agent/predictor.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json_writer.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: eddy infer -m MODEL [OPTIONS] FILE...\n"
    "Runs a model on files, as a pipeline would: one JSON line a file.\n\n"
    "  -m, --model MODEL    a bundle folder or a bare model file\n"
    "      --format F       series models: json (default), csv, cbor, f32le\n"
    "      --field POINTER  series models: a field, several times for several (json, cbor: JSON Pointer; csv: column)\n"
    "      --window N, --hop N   samples (default: the model's window)\n"
    "      --cpu NAME       kernels: scalar, avx2, avxvnni, avx512, avx512vnni, neon (default: the best of this CPU)\n"
    "      --json           the default output is JSON already; accepted for uniformity\n"
    "Exit: 0 all answered, 1 any failed, 2 usage.\n";

enum { INFER_FILE_BYTES_MAX = 256 << 20, INFER_RESULT_BYTES_MAX = 16 << 20, LINE_BYTES = 4096, SAMPLES_MAX = 65536 };

struct infer_options {
    const char *model, *cpu;
    struct config_pipeline pipeline;
    const char *fields[CONFIG_FIELDS_MAX];
};

static bool parse_format(const char *name, enum series_format *format_out)
{
    static const char *const names[] = {[SERIES_JSON] = "json", [SERIES_CSV] = "csv", [SERIES_CBOR] = "cbor", [SERIES_F32LE] = "f32le"};
    for (int i = 0; i <= SERIES_F32LE; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format_out = (enum series_format)i;
            return true;
        }
    }
    return false;
}

static int parse(int count, char **arguments, struct infer_options *parsed)
{
    static const struct option options[] = {
        {"model", required_argument, NULL, 'm'}, {"format", required_argument, NULL, 'f'}, {"field", required_argument, NULL, 'd'},
        {"window", required_argument, NULL, 'w'}, {"hop", required_argument, NULL, 'p'}, {"cpu", required_argument, NULL, 'u'},
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    struct config_pipeline *pipeline = &parsed->pipeline;
    long samples;
    for (int option; (option = getopt_long(count, arguments, "m:h", options, NULL)) != -1;) {
        switch (option) {
        case 'm': parsed->model = optarg; break;
        case 'u': parsed->cpu = optarg; break;
        case 'w': case 'p':
            if (!cli_count(optarg, 1, SAMPLES_MAX, &samples))
                return cli_usage(usage, CLI_USAGE);
            *(option == 'w' ? &pipeline->input.window : &pipeline->input.hop) = (int32_t)samples;
            break;
        case 'j': break;
        case 'f':
            if (!parse_format(optarg, &pipeline->input.format))
                return cli_usage(usage, CLI_USAGE);
            break;
        case 'd':
            if (pipeline->input.field_count == CONFIG_FIELDS_MAX)
                return cli_usage(usage, CLI_USAGE);
            parsed->fields[pipeline->input.field_count++] = optarg;
            break;
        case 'h': cli_usage(usage, CLI_DONE); return -1;
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (parsed->model == NULL || optind >= count || pipeline->input.window < 0 || pipeline->input.hop < 0)
        return cli_usage(usage, CLI_USAGE);
    pipeline->input.fields = parsed->fields;
    return CLI_DONE;
}

/* Images unless the manifest or the options say series. */
static void complete_pipeline(struct config_pipeline *pipeline, const struct manifest *manifest)
{
    pipeline->name = "infer";
    pipeline->max_message_bytes = INFER_FILE_BYTES_MAX;
    pipeline->input.max_pixels = 100000000;
    pipeline->input.delimiter = ',';
    bool series = manifest->input.window > 0 || manifest->input.fields > 0 || pipeline->input.field_count > 0 ||
                  pipeline->input.format != SERIES_JSON;
    pipeline->input.kind = series ? INPUT_SERIES : INPUT_IMAGE;
    if (pipeline->input.window == 0)
        pipeline->input.window = manifest->input.window;
    if (pipeline->input.hop == 0)
        pipeline->input.hop = pipeline->input.window;
}

static void print_line(const char *path, const char *text, size_t length)
{
    char name[LINE_BYTES];
    struct json_writer writer;
    json_writer_init(&writer, name, sizeof name);
    json_string(&writer, path);
    if (!json_writer_finish(&writer))
        snprintf(name, sizeof name, "\"\"");
    printf("{\"file\":%s,%.*s\n", name, (int)length, text);
}

static int infer_file(struct predictor *predictor, const char *path)
{
    struct error error;
    struct file_map map;
    if (file_map_open(path, INFER_FILE_BYTES_MAX, &map, &error) != ERROR_NONE) {
        char text[3 * ERROR_MESSAGE_BYTES];
        struct json_writer writer;
        json_writer_init(&writer, text, sizeof text - 1);
        json_key(&writer, "error");
        json_object_begin(&writer);
        json_key(&writer, "code");
        json_string(&writer, error_code_name(error.code));
        json_key(&writer, "message");
        json_string(&writer, error.message);
        json_object_end(&writer);
        text[writer.length++] = '}';
        print_line(path, text, writer.length);
        return 1;
    }
    struct predictor_input input = {.source = path, .bytes = map.data, .length = map.bytes, .arrived_us = clock_monotonic_us()};
    struct answer answer;
    predictor_answer(predictor, &input, &answer);
    for (size_t at = 0; at < answer.length;) {
        const char *end = memchr(answer.text + at, '\n', answer.length - at);
        size_t length = end != NULL ? (size_t)(end - answer.text) - at : answer.length - at;
        print_line(path, answer.text + at, length);
        at += length + 1;
    }
    static const char no_window[] = "\"error\":{\"code\":\"input\",\"message\":\"too few samples for a window\"}}";
    if (answer.count == 0)
        print_line(path, no_window, sizeof no_window - 1);
    file_map_close(&map);
    return answer.errors > 0 || answer.count == 0;
}

int cli_infer(int count, char **arguments)
{
    struct infer_options parsed = {0};
    int status = parse(count, arguments, &parsed);
    if (status != CLI_DONE)
        return status < 0 ? CLI_DONE : status;
    struct error error;
    struct bundle bundle;
    struct model_options model_options = {.cpu = parsed.cpu};
    if (bundle_open(parsed.model, &model_options, &bundle, &error) != ERROR_NONE)
        return cli_fail("infer", &error);
    complete_pipeline(&parsed.pipeline, bundle.manifest);
    struct predictor *predictor;
    int failed = 0;
    if (predictor_new(&parsed.pipeline, &bundle, NULL, INFER_RESULT_BYTES_MAX, &predictor, &error) != ERROR_NONE) {
        failed = cli_fail("infer", &error);
    } else {
        for (int i = optind; i < count; i++)
            failed += infer_file(predictor, arguments[i]);
        predictor_free(predictor);
    }
    bundle_close(&bundle);
    return failed > 0 ? CLI_FAILED : CLI_DONE;
}
