/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/bundle.h"
#include "agent/cli/cli.h"
#include "agent/cli/peer.h"
#include "agent/cli/roofline.h"
#include "base/json_writer.h"
#include "inference/threads.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: eddy bench MODEL [OPTIONS]\n"
    "Times a model on this machine with pseudo-random inputs, after 10 warm-up runs.\n\n"
    "      --threads N   threads of one inference (default: 1); layers that are faster on one thread use one\n"
    "      --runs R      timed runs (default: about half a second's worth)\n"
    "      --cpu NAME    kernels: scalar, avx2, avxvnni, avx512, avx512vnni, neon (default: the best of this CPU)\n"
    "      --profile     one line a layer: lowest time of the runs, share of the whole, GMAC/s\n"
    "      --svg FILE    a picture of the layers under what this CPU can multiply and read at most (roofline), which takes a second longer\n"
    "      --packed      keep the weights as these kernels want them in a file beside the model, and use it\n"
    "      --compare R   time onnxruntime beside eddy, in rounds, and compare results; its library is found by the system's loader, or is\n"
    "                    named: onnxruntime=PATH (ncnn and xnnpack read no such files: bench/inference.py)\n"
    "      --json        one JSON line; with --profile or --svg the layers are in it\n";

enum { WARM_UP_RUNS = 10, RUNS_MAX = 1000000, ROUNDS = 3 };

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes' linear congruence: the same inputs on every machine */
    return *state >> 8;
}

static void fill_inputs(const struct model *model, struct run *run)
{
    uint32_t state = 1;
    for (int i = 0; i < model_input_count(model); i++) {
        struct tensor *tensor = run_input(run, i);
        size_t bytes = tensor_bytes(tensor);
        if (tensor->dtype == DTYPE_F32) {
            float *values = tensor->data;
            for (size_t k = 0; k < bytes / sizeof *values; k++)
                values[k] = (float)next_random(&state) / (float)(1 << 23) - 1.0f;
        } else if (tensor->dtype == DTYPE_I8 || tensor->dtype == DTYPE_U8) {
            uint8_t *values = tensor->data;
            for (size_t k = 0; k < bytes; k++)
                values[k] = (uint8_t)next_random(&state);
        } else {
            memset(tensor->data, 0, bytes);
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static long peak_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &kb) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kb;
}

struct bench_settings {
    struct model_options model;
    const char *compare; /* NULL: with nothing */
    const char *svg;     /* NULL: no picture */
    int runs, threads;
    bool json, profile;
};

struct bench_result {
    double load_ms, first_ms, median_ms, min_ms, p95_ms;
    int runs, threads;
    long peak_kb;        /* of eddy alone: what measures the machine takes more */
    const char *peer;    /* NULL: none; own_ms, peer_ms: lowest median of the rounds */
    double own_ms, peer_ms, difference;
    int64_t *layer_ns;   /* NULL: layers were not measured */
    const struct ceilings *ceilings; /* NULL: not measured */
};

static int time_runs(struct run *run, int runs, struct bench_result *result)
{
    double start = now_ms();
    run_execute(run);
    result->first_ms = now_ms() - start;
    double warm = now_ms();
    for (int i = 0; i < WARM_UP_RUNS; i++)
        run_execute(run);
    double one = (now_ms() - warm) / WARM_UP_RUNS;
    if (runs == 0)
        runs = one > 0 ? (int)(500 / one) : RUNS_MAX;
    runs = runs < 5 ? 5 : runs > RUNS_MAX ? RUNS_MAX : runs;
    double *times = malloc((size_t)runs * sizeof *times);
    if (times == NULL)
        return -1;
    for (int i = 0; i < runs; i++) {
        start = now_ms();
        run_execute(run);
        times[i] = now_ms() - start;
    }
    qsort(times, (size_t)runs, sizeof *times, compare);
    result->runs = runs;
    result->median_ms = times[runs / 2];
    result->min_ms = times[0];
    result->p95_ms = times[(int)(0.95 * (runs - 1))];
    free(times);
    return 0;
}

/* Rounds of eddy and the peer in turn, so that what else happens on the machine happens to both. */
static enum error_code time_rounds(struct peer *peer, struct run *run, struct bench_result *result, double *times, struct error *error)
{
    for (int i = 0; i < WARM_UP_RUNS; i++)
        TRY(peer_execute(peer, error));
    run_execute(run);
    TRY(peer_difference(peer, run, &result->difference, error));
    for (int round = 0; round < 2 * ROUNDS; round++) {
        bool own = round % 2 == 0;
        for (int i = 0; i < result->runs; i++) {
            double start = now_ms();
            if (own)
                run_execute(run);
            else
                TRY(peer_execute(peer, error));
            times[i] = now_ms() - start;
        }
        qsort(times, (size_t)result->runs, sizeof *times, compare);
        double *lowest = own ? &result->own_ms : &result->peer_ms;
        *lowest = round < 2 || times[result->runs / 2] < *lowest ? times[result->runs / 2] : *lowest;
    }
    return ERROR_NONE;
}

static enum error_code time_peer(struct peer *peer, struct run *run, struct bench_result *result, struct error *error)
{
    double *times = malloc((size_t)result->runs * sizeof *times);
    if (times == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the times of the runs");
    enum error_code code = time_rounds(peer, run, result, times, error);
    free(times);
    result->peer = peer_title(peer);
    return code;
}

static void write_number(struct json_writer *writer, const char *key, double value)
{
    json_key(writer, key);
    json_float(writer, value);
}

static void write_layers(struct json_writer *writer, const struct model *model, const int64_t *layer_ns)
{
    json_key(writer, "layers");
    json_array_begin(writer);
    for (int i = 0; i < model_layer_count(model); i++) {
        struct layer layer = model_layer(model, i);
        json_object_begin(writer);
        json_key(writer, "name");
        json_string(writer, layer.name);
        json_key(writer, "kind");
        json_string(writer, layer.kind);
        write_number(writer, "us", (double)layer_ns[i] / 1e3);
        json_key(writer, "macs");
        json_integer(writer, (int64_t)layer.macs);
        json_key(writer, "bytes");
        json_integer(writer, (int64_t)layer.bytes);
        json_object_end(writer);
    }
    json_array_end(writer);
}

static void write_ceilings(struct json_writer *writer, const struct ceilings *ceilings)
{
    json_key(writer, "ceilings");
    json_object_begin(writer);
    write_number(writer, "f32_gmac_s", ceilings->f32_gmac_s);
    write_number(writer, "i8_gmac_s", ceilings->i8_gmac_s);
    json_key(writer, "read");
    json_array_begin(writer);
    for (int i = 0; i < CEILINGS_READ; i++) {
        json_object_begin(writer);
        json_key(writer, "bytes");
        json_integer(writer, (int64_t)ceilings->read[i].bytes);
        write_number(writer, "gb_s", ceilings->read[i].gb_s);
        json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
}

static size_t json_bytes(const struct model *model, const struct bench_result *result)
{
    enum { FIXED = 8192, LAYER = 256, ESCAPED = 6 };
    size_t bytes = FIXED;
    for (int i = 0; result->layer_ns != NULL && i < model_layer_count(model); i++)
        bytes += LAYER + ESCAPED * strlen(model_layer(model, i).name);
    return bytes;
}

static enum error_code print_json(const char *path, const struct model *model, const struct bench_result *result, struct error *error)
{
    const size_t bytes = json_bytes(model, result);
    char *text = malloc(bytes);
    if (text == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for a line of %zu bytes", bytes);
    const char *name = strrchr(path, '/');
    struct json_writer writer;
    json_writer_init(&writer, text, bytes);
    json_object_begin(&writer);
    json_key(&writer, "model");
    json_string(&writer, name != NULL ? name + 1 : path);
    json_key(&writer, "cpu");
    json_string(&writer, model_cpu(model));
    const struct { const char *key; double value; } numbers[] = {
        {"threads", result->threads}, {"runs", result->runs}, {"load_ms", result->load_ms}, {"first_ms", result->first_ms}, {"med_ms", result->median_ms},
        {"min_ms", result->min_ms}, {"p95_ms", result->p95_ms}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        write_number(&writer, numbers[i].key, numbers[i].value);
    json_key(&writer, "macs");
    json_integer(&writer, (int64_t)model_macs(model));
    json_key(&writer, "winograd_layers");
    json_integer(&writer, model_winograd_layers(model));
    json_key(&writer, "arena_bytes");
    json_integer(&writer, (int64_t)model_memory(model));
    json_key(&writer, "peak_kb");
    json_integer(&writer, result->peak_kb);
    json_key(&writer, "packed");
    json_bool(&writer, model_is_packed_mapped(model));
    if (result->peer != NULL) {
        const struct { const char *key; double value; } compared[] = {
            {"own_ms", result->own_ms}, {"peer_ms", result->peer_ms}, {"ratio", result->peer_ms / result->own_ms}, {"difference", result->difference}};
        json_key(&writer, "peer");
        json_string(&writer, result->peer);
        for (size_t i = 0; i < sizeof compared / sizeof compared[0]; i++)
            write_number(&writer, compared[i].key, compared[i].value);
    }
    if (result->layer_ns != NULL)
        write_layers(&writer, model, result->layer_ns);
    if (result->ceilings != NULL)
        write_ceilings(&writer, result->ceilings);
    json_object_end(&writer);
    json_writer_finish(&writer);
    puts(text);
    free(text);
    return ERROR_NONE;
}

static void print_text(const char *path, const struct model *model, const struct bench_result *result)
{
    printf("%s  kernels %s, %d thread%s, %d runs\n", path, model_cpu(model), result->threads, result->threads > 1 ? "s" : "", result->runs);
    printf("  load %.2f ms, first %.3f ms, median %.4f ms, min %.4f ms, p95 %.4f ms\n", result->load_ms, result->first_ms, result->median_ms,
           result->min_ms, result->p95_ms);
    printf("  %.1f MMAC, %.1f GMAC/s, arena %.2f MB, peak RSS %.1f MB\n", (double)model_macs(model) / 1e6,
           (double)model_macs(model) / result->median_ms / 1e6, (double)model_memory(model) / 1e6, (double)result->peak_kb / 1024);
    if (result->peer != NULL)
        printf("  %s: median %.4f ms, eddy in the same rounds %.4f ms: %.2f times as fast; results differ by at most %g\n", result->peer,
               result->peer_ms, result->own_ms, result->peer_ms / result->own_ms, result->difference);
}

static enum error_code measure_layers(const struct model *model, struct run *run, struct bench_result *result, struct error *error)
{
    int count = model_layer_count(model);
    result->layer_ns = malloc(((size_t)count + 1) * sizeof *result->layer_ns);
    if (result->layer_ns == NULL)
        return error_set(error, ERROR_LIMIT, "no memory for the times of the layers");
    for (int i = 0; i < count; i++)
        result->layer_ns[i] = INT64_MAX;
    for (int i = 0; i < result->runs; i++)
        run_measure(run, result->layer_ns);
    return ERROR_NONE;
}

static void print_profile(const struct model *model, const int64_t *times)
{
    int count = model_layer_count(model);
    int64_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += times[i];
    printf("%4s %-20s %-20s %10s %6s %8s  %s\n", "", "kind", "result", "us", "%", "GMAC/s", "name");
    for (int i = 0; i < count; i++) {
        struct layer layer = model_layer(model, i);
        char shape[96] = "";
        size_t length = 0;
        for (int d = 0; d < layer.shape.rank; d++)
            length += (size_t)snprintf(shape + length, sizeof shape - length, "%s%d", d > 0 ? "x" : "", (int)layer.shape.dims[d]);
        printf("%4d %-20s %-20s %10.2f %6.2f %8.1f  %s\n", i, layer.kind, shape, (double)times[i] / 1e3, 100.0 * (double)times[i] / (double)sum,
               times[i] > 0 ? (double)layer.macs / (double)times[i] : 0.0, layer.name);
    }
    printf("%4s %-20s %-20s %10.2f\n", "", "sum", "", (double)sum / 1e3);
}

static enum error_code draw_roofline(const char *svg, const char *path, const struct model *model, const struct bench_result *result, struct error *error)
{
    const char *name = strrchr(path, '/');
    return roofline_write(svg, &(struct roofline){name != NULL ? name + 1 : path, model, result->layer_ns, result->ceilings, result->threads}, error);
}

static enum error_code time_model(const struct bench_settings *settings, const char *path, const struct bundle *bundle, struct threads *threads,
                                  double start, struct error *error)
{
    const struct model *model = bundle->model;
    struct run *run = NULL;
    struct peer *peer = NULL;
    struct ceilings ceilings;
    struct bench_result result = {.threads = settings->threads};
    TRY(run_new(model, &run, error));
    enum error_code code = run_set_threads(run, threads, error);
    if (code == ERROR_NONE) {
        result.load_ms = now_ms() - start;
        fill_inputs(model, run);
        if (time_runs(run, settings->runs, &result) != 0)
            code = error_set(error, ERROR_LIMIT, "no memory for the times of the runs");
    }
    result.peak_kb = peak_kb();
    if (code == ERROR_NONE && settings->compare != NULL)
        code = peer_open(settings->compare, bundle->manifest->model_path, run, settings->threads, &peer, error);
    if (code == ERROR_NONE && peer != NULL)
        code = time_peer(peer, run, &result, error);
    if (code == ERROR_NONE && (settings->profile || settings->svg != NULL))
        code = measure_layers(model, run, &result, error);
    if (code == ERROR_NONE && settings->svg != NULL) {
        code = ceilings_measure(model_cpu(model), &ceilings, error);
        result.ceilings = &ceilings;
    }
    if (code == ERROR_NONE && settings->svg != NULL)
        code = draw_roofline(settings->svg, path, model, &result, error);
    if (code == ERROR_NONE && settings->json)
        code = print_json(path, model, &result, error);
    else if (code == ERROR_NONE)
        print_text(path, model, &result);
    if (code == ERROR_NONE && settings->profile && !settings->json)
        print_profile(model, result.layer_ns);
    free(result.layer_ns);
    peer_close(peer);
    run_free(run);
    return code;
}

static int bench(const char *path, const struct bench_settings *settings)
{
    struct error error;
    struct bundle bundle;
    struct threads *threads = NULL;
    double start = now_ms();
    if (bundle_open(path, &settings->model, &bundle, &error) != ERROR_NONE)
        return cli_fail("bench", &error);
    enum error_code code = threads_new(settings->threads, 1, &threads, &error);
    if (code == ERROR_NONE)
        code = time_model(settings, path, &bundle, threads, start, &error);
    threads_free(threads);
    bundle_close(&bundle);
    return code == ERROR_NONE ? CLI_DONE : cli_fail("bench", &error);
}

int cli_bench(int count, char **arguments)
{
    static const struct option options[] = {{"threads", required_argument, NULL, 't'}, {"runs", required_argument, NULL, 'r'},
                                            {"cpu", required_argument, NULL, 'u'},     {"json", no_argument, NULL, 'j'},
                                            {"profile", no_argument, NULL, 'p'},       {"packed", no_argument, NULL, 'k'},
                                            {"compare", required_argument, NULL, 'c'}, {"svg", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct bench_settings settings = {.threads = 1};
    long number;
    for (int option; (option = getopt_long(count, arguments, "h", options, NULL)) != -1;) {
        switch (option) {
        case 't':
            if (!cli_count(optarg, 1, THREADS_MAX, &number))
                return cli_usage(usage, CLI_USAGE);
            settings.threads = (int)number;
            break;
        case 'r':
            if (!cli_count(optarg, 1, RUNS_MAX, &number))
                return cli_usage(usage, CLI_USAGE);
            settings.runs = (int)number;
            break;
        case 'u': settings.model.cpu = optarg; break;
        case 'p': settings.profile = true; break;
        case 'k': settings.model.keep_packed = true; break;
        case 'c': settings.compare = optarg; break;
        case 's': settings.svg = optarg; break;
        case 'j': settings.json = true; break;
        case 'h': return cli_usage(usage, CLI_DONE);
        default: return cli_usage(usage, CLI_USAGE);
        }
    }
    if (optind != count - 1)
        return cli_usage(usage, CLI_USAGE);
    return bench(arguments[optind], &settings);
}
