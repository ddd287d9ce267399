/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/passes/passes.h"

#include "inference/operators/operators.h"

#include <string.h>

static bool is_skipped(const char *skip, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = skip; at != NULL && *at != '\0';) {
        size_t part = strcspn(at, ",");
        if (part == length && memcmp(at, name, length) == 0)
            return true;
        at += part + (at[part] == ',');
    }
    return false;
}

enum error_code passes_run(struct graph *graph, const char *skip, struct error *error)
{
    static const struct {
        const char *name;
        pass_function *run;
    } passes[] = {
        {"layout", pass_layout}, {"batch-norm", pass_batch_norm}, {"quantize", pass_quantize}, {"activation", pass_activation}, {"", pass_fold},
        {"shuffle", pass_shuffle}, {"residual", pass_residual}, {"winograd", pass_winograd},
    };
    TRY(graph_compact(graph, error));
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        if (passes[i].name[0] != '\0' && is_skipped(skip, passes[i].name))
            continue;
        TRY(passes[i].run(graph, error));
        TRY(graph_compact(graph, error));
        TRY(operator_infer_all(graph, error));
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
