/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bundle.h"
#include "agent/cli/cli.h"
#include "agent/cli/npy.h"
#include "base/file.h"
#include "base/json_writer.h"
#include "inference/onnx/onnx.h"

#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: eddy model inspect MODEL [--graph]\n"
    "       eddy model run MODEL --input NAME=FILE.npy ... --output DIR\n"
    "       eddy model test MODEL DIR... [--atol A] [--rtol R] [--json]\n"
    "       eddy model operators [--json]\n"
    "inspect: inputs, outputs and the graph as it runs; --graph: also as it was loaded and after each pass (EDDY_PASSES=NAME,... leaves\n"
    "passes out: layout, batch-norm, quantize, activation, reuse, shuffle, residual, winograd, concat, bands, all). run: NumPy arrays in and out.\n"
    "test: DIR holds input_N.pb and output_N.pb (ONNX TensorProto); one JSON line a DIR. Inputs that decide a shape are given when the\n"
    "model is opened. operators: the ONNX operators that load.\n\n"
    "      --atol A, --rtol R   tolerance (default 1e-4 and 1e-3)\n"
    "      --graph              inspect: the graph before and after each pass too\n"
    "      --cpu NAME           kernels: scalar, avx2, avxvnni, avx512, avx512vnni, neon\n"
    "Exit: 0 all passed, 1 a failure, 2 usage, 3 only unsupported ones.\n";

enum { VECTORS_MAX = 64, INPUTS_MAX = 64, VECTOR_BYTES_MAX = 256 << 20 };

struct model_command {
    const char *cpu, *output;
    bool json, graph;
    double atol, rtol;
    const char *inputs[INPUTS_MAX]; /* NAME=FILE.npy */
    int input_count;
};

static void print_end(const char *what, const struct tensor *tensor)
{
    printf("%s \"%s\": %s[", what, tensor->name, dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->shape.rank; i++)
        printf("%s%d", i > 0 ? "," : "", tensor->shape.dims[i]);
    printf("]");
    if (tensor->quantization.count == 1)
        printf(" scale %.9g zero point %d", (double)tensor->quantization.scale[0], tensor->quantization.zero_point[0]);
    puts("");
}

static int inspect(const char *path, const struct model_command *command)
{
    struct error error;
    struct bundle bundle;
    struct model_options options = {.cpu = command->cpu, .trace = command->graph ? stdout : NULL};
    if (bundle_open(path, &options, &bundle, &error) != ERROR_NONE)
        return cli_fail("model", &error);
    printf("%s%s  %.1f MMAC, %.2f MB a run, kernels %s\n", command->graph ? "\n" : "", bundle.label, (double)model_macs(bundle.model) / 1e6,
           (double)model_memory(bundle.model) / 1e6, model_cpu(bundle.model));
    for (int i = 0; i < model_input_count(bundle.model); i++)
        print_end("input", model_input(bundle.model, i));
    for (int i = 0; i < model_output_count(bundle.model); i++)
        print_end("output", model_output(bundle.model, i));
    model_print(bundle.model, stdout);
    bundle_close(&bundle);
    return CLI_DONE;
}

struct vectors {
    struct arena arena;
    struct file_map maps[VECTORS_MAX];
    struct tensor tensors[VECTORS_MAX];
    int count;
};

/* Reads DIR/<stem>_0.pb, _1.pb, ... until one is missing. */
static enum error_code vectors_open(struct vectors *vectors, const char *folder, const char *stem, struct error *error)
{
    char path[PATH_MAX];
    arena_init(&vectors->arena, (size_t)VECTOR_BYTES_MAX);
    for (vectors->count = 0; vectors->count < VECTORS_MAX; vectors->count++) {
        int i = vectors->count;
        if ((size_t)snprintf(path, sizeof path, "%s/%s_%d.pb", folder, stem, i) >= sizeof path || access(path, F_OK) != 0)
            break;
        TRY(file_map_open(path, VECTOR_BYTES_MAX, &vectors->maps[i], error));
        if (onnx_tensor_read(vectors->maps[i].data, vectors->maps[i].bytes, &vectors->arena, &vectors->tensors[i], error) != ERROR_NONE) {
            file_map_close(&vectors->maps[i]);
            return error_prefix(error, "%s: ", path);
        }
    }
    return ERROR_NONE;
}

static void vectors_close(struct vectors *vectors)
{
    for (int i = 0; i < vectors->count; i++)
        file_map_close(&vectors->maps[i]);
    arena_deinit(&vectors->arena);
}

struct verdict {
    const char *status;
    double max_abs, max_rel;
    char why[ERROR_MESSAGE_BYTES];
};

static void fail(struct verdict *verdict, const char *format, ...) PRINTF_LIKE(2, 3);
static void fail(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (strcmp(verdict->status, "pass") == 0)
        vsnprintf(verdict->why, sizeof verdict->why, format, arguments);
    verdict->status = "fail";
    va_end(arguments);
}

static void compare_output(const struct tensor *seen, const struct tensor *expected, const struct model_command *command, struct verdict *verdict)
{
    if (!shape_equal(&seen->shape, &expected->shape) || seen->dtype != expected->dtype) {
        fail(verdict, "output \"%s\" has another shape or type than expected", seen->name);
        return;
    }
    int64_t count = shape_elements(&seen->shape);
    for (int64_t i = 0; i < count; i++) {
        double a = element_read(seen->dtype, seen->data, i), b = element_read(expected->dtype, expected->data, i);
        if (isnan(a) && isnan(b))
            continue;
        double difference = a == b ? 0 : fabs(a - b), relative = b != 0 ? difference / fabs(b) : difference;
        verdict->max_abs = fmax(verdict->max_abs, difference);
        verdict->max_rel = fmax(verdict->max_rel, relative);
        double allowed = command->atol + (dtype_is_integer(seen->dtype) ? 0 : command->rtol * fabs(b)); /* whole numbers: exact by default */
        if (!(difference <= allowed))
            fail(verdict, "output \"%s\"[%lld] is %.9g, expected %.9g", seen->name, (long long)i, a, b);
    }
}

static enum error_code fill_input(struct tensor *tensor, const struct vectors *inputs, int position, struct error *error)
{
    if (position >= inputs->count)
        return error_set(error, ERROR_INPUT, "no input_%d.pb for input \"%s\"", position, tensor->name);
    const struct tensor *given = &inputs->tensors[position];
    if (tensor->dtype != given->dtype || !shape_equal(&tensor->shape, &given->shape))
        return error_set(error, ERROR_INPUT, "input \"%s\" has another shape or type than input_%d.pb", tensor->name, position);
    memcpy(tensor->data, given->data, tensor_bytes(tensor));
    return ERROR_NONE;
}

static enum error_code run_vectors(const char *path, const struct vectors *inputs, const struct vectors *outputs,
                                   const struct model_command *command, struct verdict *verdict, struct error *error)
{
    struct input_shape shapes[VECTORS_MAX];
    for (int i = 0; i < inputs->count; i++)
        shapes[i] = (struct input_shape){.shape = inputs->tensors[i].shape, .dtype = inputs->tensors[i].dtype, .data = inputs->tensors[i].data};
    struct model_options options = {.cpu = command->cpu, .input_shapes = shapes, .input_shape_count = inputs->count};
    struct bundle bundle;
    TRY(bundle_open(path, &options, &bundle, error));
    struct run *run = NULL;
    enum error_code code = run_new(bundle.model, &run, error);
    if (code == ERROR_NONE && model_output_count(bundle.model) != outputs->count)
        code = error_set(error, ERROR_INPUT, "%d outputs given, the model has %d", outputs->count, model_output_count(bundle.model));
    for (int i = 0; code == ERROR_NONE && i < model_input_count(bundle.model); i++)
        code = fill_input(run_input(run, i), inputs, model_input_position(bundle.model, i), error);
    if (code == ERROR_NONE) {
        run_execute(run);
        for (int i = 0; i < outputs->count; i++)
            compare_output(run_output(run, i), &outputs->tensors[i], command, verdict);
    }
    run_free(run);
    bundle_close(&bundle);
    return code;
}

static void print_verdict(const char *folder, const struct verdict *verdict)
{
    char text[2 * PATH_MAX + 6 * ERROR_MESSAGE_BYTES];
    struct json_writer writer;
    json_writer_init(&writer, text, sizeof text);
    json_object_begin(&writer);
    json_key(&writer, "dir");
    json_string(&writer, folder);
    json_key(&writer, "status");
    json_string(&writer, verdict->status);
    json_key(&writer, "max_abs");
    json_float(&writer, verdict->max_abs);
    json_key(&writer, "max_rel");
    json_float(&writer, verdict->max_rel);
    json_key(&writer, "why");
    json_string(&writer, verdict->why);
    json_object_end(&writer);
    if (json_writer_finish(&writer))
        puts(text);
}

static void test_folder(const char *path, const char *folder, const struct model_command *command, struct verdict *verdict)
{
    static struct vectors inputs, outputs; /* large, and one at a time */
    struct error error = {0};
    *verdict = (struct verdict){.status = "pass"};
    inputs = outputs = (struct vectors){0};
    enum error_code code = vectors_open(&inputs, folder, "input", &error);
    if (code == ERROR_NONE)
        code = vectors_open(&outputs, folder, "output", &error);
    if (code == ERROR_NONE && outputs.count == 0)
        code = error_set(&error, ERROR_INPUT, "no output_0.pb in it");
    if (code == ERROR_NONE)
        code = run_vectors(path, &inputs, &outputs, command, verdict, &error);
    if (code != ERROR_NONE) {
        verdict->status = code == ERROR_UNSUPPORTED ? "unsupported" : "fail";
        memcpy(verdict->why, error.message, sizeof verdict->why);
    }
    vectors_close(&outputs);
    vectors_close(&inputs);
}

static int test(const char *path, char **folders, int count, const struct model_command *command)
{
    int failed = 0, unsupported = 0;
    for (int i = 0; i < count; i++) {
        struct verdict verdict;
        test_folder(path, folders[i], command, &verdict);
        print_verdict(folders[i], &verdict);
        failed += strcmp(verdict.status, "fail") == 0;
        unsupported += strcmp(verdict.status, "unsupported") == 0;
    }
    return failed > 0 ? CLI_FAILED : unsupported > 0 ? CLI_UNSUPPORTED : CLI_DONE;
}

static void print_operator(const struct onnx_operator *row, bool json)
{
    char text[1024];
    struct json_writer writer;
    if (!json) {
        printf("%-30s %-40s %s\n", row->name, row->types, row->note);
        return;
    }
    json_writer_init(&writer, text, sizeof text);
    json_object_begin(&writer);
    const char *const pairs[][2] = {{"operator", row->name}, {"domain", row->domain}, {"family", row->family}, {"types", row->types}, {"note", row->note}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        json_key(&writer, pairs[i][0]);
        json_string(&writer, pairs[i][1]);
    }
    json_object_end(&writer);
    if (json_writer_finish(&writer))
        puts(text);
}

static int list_operators(const struct model_command *command)
{
    struct onnx_operator row;
    for (int i = 0; onnx_operator_at(i, &row); i++)
        print_operator(&row, command->json);
    return CLI_DONE;
}

static enum error_code load_input(const struct model *model, struct run *run, const char *assignment, struct error *error)
{
    const char *equals = strchr(assignment, '=');
    if (equals == NULL)
        return error_set(error, ERROR_INPUT, "--input %s: expected NAME=FILE.npy", assignment);
    for (int i = 0; i < model_input_count(model); i++) {
        struct tensor *tensor = run_input(run, i);
        if (strlen(tensor->name) == (size_t)(equals - assignment) && strncmp(tensor->name, assignment, (size_t)(equals - assignment)) == 0)
            return npy_read(equals + 1, tensor, error);
    }
    return error_set(error, ERROR_INPUT, "--input %s: the model has no such input; `eddy model inspect` names them", assignment);
}

/* Tensor names may hold anything; a file name may not. */
static enum error_code save_output(const char *folder, const struct tensor *tensor, struct error *error)
{
    char path[PATH_MAX], name[NAME_MAX];
    size_t length = 0;
    for (const char *c = tensor->name; *c != '\0' && length < sizeof name - 8; c++)
        name[length++] = *c == '/' || *c == ':' ? '_' : *c;
    name[length] = '\0';
    if ((size_t)snprintf(path, sizeof path, "%s/%s.npy", folder, name) >= sizeof path)
        return error_set(error, ERROR_INPUT, "%s: path too long", folder);
    TRY(npy_write(path, tensor, error));
    puts(path);
    return ERROR_NONE;
}

static int run_once(const char *path, const struct model_command *command)
{
    struct error error;
    struct bundle bundle;
    struct run *run = NULL;
    struct model_options options = {.cpu = command->cpu};
    if (bundle_open(path, &options, &bundle, &error) != ERROR_NONE)
        return cli_fail("model", &error);
    enum error_code code = run_new(bundle.model, &run, &error);
    if (code == ERROR_NONE && command->input_count != model_input_count(bundle.model))
        code = error_set(&error, ERROR_INPUT, "%d inputs given, the model has %d", command->input_count, model_input_count(bundle.model));
    for (int i = 0; code == ERROR_NONE && i < command->input_count; i++)
        code = load_input(bundle.model, run, command->inputs[i], &error);
    if (code == ERROR_NONE)
        run_execute(run);
    for (int i = 0; code == ERROR_NONE && i < model_output_count(bundle.model); i++)
        code = save_output(command->output, run_output(run, i), &error);
    run_free(run);
    bundle_close(&bundle);
    return code == ERROR_NONE ? CLI_DONE : cli_fail("model", &error);
}

static int dispatch(int count, char **arguments, const struct model_command *command)
{
    if (count == 1 && strcmp(arguments[0], "operators") == 0)
        return list_operators(command);
    if (count < 2)
        return cli_usage(usage, CLI_USAGE);
    const char *verb = arguments[0], *path = arguments[1];
    if (strcmp(verb, "inspect") == 0 && count == 2)
        return inspect(path, command);
    if (strcmp(verb, "test") == 0 && count > 2)
        return test(path, arguments + 2, count - 2, command);
    if (strcmp(verb, "run") == 0 && count == 2 && command->input_count > 0 && command->output != NULL)
        return run_once(path, command);
    return cli_usage(usage, CLI_USAGE);
}

int cli_model(int count, char **arguments)
{
    static const struct option options[] = {{"atol", required_argument, NULL, 'a'},   {"rtol", required_argument, NULL, 'r'},
                                            {"cpu", required_argument, NULL, 'u'},    {"input", required_argument, NULL, 'i'},
                                            {"output", required_argument, NULL, 'o'}, {"json", no_argument, NULL, 'j'},
                                            {"graph", no_argument, NULL, 'g'},
                                            {"help", no_argument, NULL, 'h'}, {0}};
    struct model_command command = {.atol = 1e-4, .rtol = 1e-3};
    for (int option; (option = getopt_long(count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 'a': case 'r':
            if (!cli_number(optarg, 0, INFINITY, option == 'a' ? &command.atol : &command.rtol))
                return cli_usage(usage, CLI_USAGE);
            break;
        case 'u': command.cpu = optarg; break;
        case 'o': command.output = optarg; break;
        case 'i':
            if (command.input_count == INPUTS_MAX)
                return cli_usage(usage, CLI_USAGE);
            command.inputs[command.input_count++] = optarg;
            break;
        case 'j': command.json = true; break;
        case 'g': command.graph = true; break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    return dispatch(count - optind, arguments + optind, &command);
}
