/* SPDX-License-Identifier: Apache-2.0
 *
 * Values that must be known while loading (graph.h: "Known at open"). */
#include "inference/onnx/import.h"
#include "inference/operators/operators.h"

#include <string.h>

enum { VISITS_MAX = 256 }; /* values looked at for one operand: a file can make paths double at every node */

static bool may_be_known(const struct importer *importer, int32_t value, int *visits)
{
    const struct value *operand = import_value(importer, value);
    const struct node *producer = graph_producer(importer->graph, value);
    if (operand->data != NULL || operand->given != NULL)
        return true;
    if (producer == NULL || --*visits < 0)
        return false;
    for (int32_t i = 0; i < producer->input_count; i++) {
        if (producer->inputs[i] >= 0 && !may_be_known(importer, producer->inputs[i], visits))
            return false;
    }
    return true;
}

/* A given input stops being an input. */
static enum error_code make_constant(struct importer *importer, int32_t input)
{
    struct graph *graph = importer->graph;
    struct value *value = &graph->values[input];
    size_t bytes = (size_t)shape_elements(&value->shape) * dtype_bytes(value->dtype);
    void *copy = arena_allocate(&graph->arena, bytes);
    int32_t kept = 0;
    if (copy == NULL)
        return import_fail(importer, ERROR_LIMIT, "the model needs more memory than eddy allows");
    memcpy(copy, value->given, bytes);
    value->data = copy;
    for (int32_t i = 0; i < graph->input_count; i++) {
        graph->inputs[kept] = graph->inputs[i];
        graph->input_positions[kept] = graph->input_positions[i];
        kept += graph->inputs[i] != input;
    }
    graph->input_count = kept;
    return ERROR_NONE;
}

static enum error_code make_known(struct importer *importer, int32_t value)
{
    if (import_value(importer, value)->data != NULL)
        return ERROR_NONE;
    if (import_value(importer, value)->given != NULL)
        return make_constant(importer, value);
    struct node *producer = graph_producer(importer->graph, value);
    for (int32_t i = 0; i < producer->input_count; i++) {
        if (producer->inputs[i] < 0)
            continue;
        TRY(make_known(importer, producer->inputs[i]));
        if (import_value(importer, producer->inputs[i])->data == NULL)
            return ERROR_NONE; /* too large to be folded: import_known says so */
    }
    return operator_fold(importer->graph, producer, importer->error);
}

bool import_may_be_known(const struct importer *importer, int32_t value)
{
    int visits = VISITS_MAX;
    return may_be_known(importer, value, &visits);
}

enum error_code import_known(struct importer *importer, int32_t value)
{
    if (!import_may_be_known(importer, value))
        return import_fail(importer, ERROR_UNSUPPORTED, "\"%.60s\" must be known when the model is opened, but is computed at run time",
                           import_value(importer, value)->name);
    TRY(make_known(importer, value));
    return import_value(importer, value)->data != NULL ? ERROR_NONE : import_fail(importer, ERROR_LIMIT, "\"%.60s\" is too large to be computed at open",
                                                                                  import_value(importer, value)->name);
}

enum error_code import_integers(struct importer *importer, int32_t value, struct integers *integers_out)
{
    TRY(import_known(importer, value));
    const struct value *constant = import_value(importer, value);
    int64_t count = shape_elements(&constant->shape);
    if (count > 64 || (constant->dtype != DTYPE_I64 && constant->dtype != DTYPE_I32))
        return import_fail(importer, ERROR_UNSUPPORTED, "an operand of %lld %s, expected at most 64 i64", (long long)count, dtype_name(constant->dtype));
    integers_out->count = (int)count;
    for (int i = 0; i < integers_out->count; i++)
        integers_out->values[i] = constant->dtype == DTYPE_I64 ? ((const int64_t *)constant->data)[i] : ((const int32_t *)constant->data)[i];
    return ERROR_NONE;
}

enum error_code import_integers_either(struct importer *importer, const char *name, int index, struct integers *integers_out)
{
    const struct onnx_attribute *attribute = import_attribute(importer, name);
    int32_t value;
    integers_out->count = 0;
    if (attribute != NULL) {
        if (attribute->int_count > 64)
            return import_fail(importer, ERROR_UNSUPPORTED, "%s has %d entries", name, attribute->int_count);
        integers_out->count = attribute->int_count;
        memcpy(integers_out->values, attribute->ints, (size_t)attribute->int_count * sizeof(int64_t));
        return ERROR_NONE;
    }
    if (index < 0)
        return ERROR_NONE;
    TRY(import_input(importer, index, false, &value));
    return value < 0 ? ERROR_NONE : import_integers(importer, value, integers_out);
}

enum error_code import_scalar(struct importer *importer, int32_t value, double *scalar_out)
{
    TRY(import_known(importer, value));
    const struct value *constant = import_value(importer, value);
    if (shape_elements(&constant->shape) != 1)
        return import_fail(importer, ERROR_MODEL, "an operand that is not one number");
    *scalar_out = element_read(constant->dtype, constant->data, 0);
    return ERROR_NONE;
}
