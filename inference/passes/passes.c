/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/passes/passes.h"

#include "inference/operators/operators.h"

#include <string.h>

static const struct {
    const char *name;
    pass_function *run;
} passes[] = {
    {"layout", pass_layout}, {"batch-norm", pass_batch_norm}, {"quantize", pass_quantize}, {"activation", pass_activation},
    {"fold", pass_fold}, {"reuse", pass_reuse}, {"shuffle", pass_shuffle}, {"residual", pass_residual},
    {"winograd", pass_winograd}, {"concat", pass_concat}, {"bands", pass_bands},
};

enum { PASSES = sizeof passes / sizeof passes[0] };

static bool is_named(const char *at, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(at, name, length) == 0;
}

/* skipped[i]: pass i is left out. Folding always runs: the engine counts on it. */
static enum error_code read_skipped(const char *list, bool skipped[PASSES], struct error *error)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        bool known = is_named(at, length, "all");
        for (int i = 0; i < PASSES; i++) {
            if (passes[i].run != pass_fold && (is_named(at, length, "all") || is_named(at, length, passes[i].name)))
                known = skipped[i] = true;
        }
        if (!known)
            return error_set(error, ERROR_INPUT, "EDDY_PASSES leaves out \"%.*s\", which is no pass: layout, batch-norm, quantize, activation, reuse, "
                                                 "shuffle, residual, winograd, concat, bands or all", (int)(length < 40 ? length : 40), at);
        at += length + (at[length] == ',');
    }
    return ERROR_NONE;
}

enum error_code passes_run(struct graph *graph, const char *skip, FILE *trace, struct error *error)
{
    bool skipped[PASSES] = {false};
    TRY(read_skipped(skip, skipped, error));
    TRY(graph_compact(graph, error));
    if (trace != NULL) {
        fprintf(trace, "loaded: %d nodes\n", graph->node_count);
        graph_print(graph, trace);
    }
    for (int i = 0; i < PASSES; i++) {
        if (skipped[i]) {
            if (trace != NULL)
                fprintf(trace, "\n%s: left out\n", passes[i].name);
            continue;
        }
        TRY(passes[i].run(graph, error));
        TRY(graph_compact(graph, error));
        TRY(operator_infer_all(graph, error));
        if (trace != NULL) {
            fprintf(trace, "\nafter %s: %d nodes\n", passes[i].name, graph->node_count);
            graph_print(graph, trace);
        }
    }
    return ERROR_NONE;
}

enum error_code pass_fold(struct graph *graph, struct error *error)
{
    for (int32_t n = 0; n < graph->node_count; n++) {
        bool constant = true;
        for (int32_t i = 0; i < graph->nodes[n].input_count; i++)
            constant = constant && (graph->nodes[n].inputs[i] < 0 || graph->values[graph->nodes[n].inputs[i]].data != NULL);
        if (constant)
            TRY(operator_fold(graph, &graph->nodes[n], error));
    }
    return ERROR_NONE;
}
