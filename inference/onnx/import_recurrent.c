/* SPDX-License-Identifier: Apache-2.0
 *
 * LSTM, GRU, RNN. With layout 1 the batch comes first in the file; the engine has time first. */
#include "inference/onnx/import.h"

#include <string.h>

static const char *const lstm_activations[] = {"Sigmoid", "Tanh", "Tanh"}, *const gru_activations[] = {"Sigmoid", "Tanh"};

/* Only the usual activations; an RNN may have Relu, in all directions alike. */
static enum error_code check_activations(struct importer *importer, const char *const *usual, int count, bool *relu)
{
    const struct onnx_attribute *given = import_attribute(importer, "activations");
    *relu = false;
    for (int i = 0; given != NULL && i < given->string_count; i++) {
        const char *name = given->strings[i];
        bool is_relu = usual == NULL && strcmp(name, "Relu") == 0;
        if (!is_relu && strcmp(name, usual == NULL ? "Tanh" : usual[i % count]) != 0)
            return import_fail(importer, ERROR_UNSUPPORTED, "activation %.20s", name);
        if (i > 0 && is_relu != *relu)
            return import_fail(importer, ERROR_UNSUPPORTED, "directions of different activations");
        *relu = is_relu;
    }
    return ERROR_NONE;
}

/* [N, T, I] and [N, D, H] to [T, N, I] and [D, N, H]. */
static enum error_code swap_batch(struct importer *importer, int32_t *value)
{
    if (*value < 0)
        return ERROR_NONE;
    if (import_value(importer, *value)->shape.rank != 3)
        return import_fail(importer, ERROR_MODEL, "an operand of rank %d, expected 3", import_value(importer, *value)->shape.rank);
    return import_transpose(importer, *value, (int32_t[]){1, 0, 2}, value);
}

static enum error_code check_options(struct importer *importer, int64_t hidden)
{
    if (import_int(importer, "input_forget", 0) != 0)
        return import_fail(importer, ERROR_UNSUPPORTED, "input_forget");
    if (hidden < 1 || hidden > 1 << 16)
        return import_fail(importer, ERROR_MODEL, "hidden_size is %lld", (long long)hidden);
    return ERROR_NONE;
}

/* X, W, R, B, sequence lengths, first h; LSTM: first c and peepholes, too. */
static enum error_code import_recurrent(struct importer *importer)
{
    enum operator_kind kind = importer->row->kind;
    int inputs = kind == OPERATOR_LSTM ? 8 : 6, outputs = kind == OPERATOR_LSTM ? 3 : 2;
    int32_t operands[8], results[3], first;
    bool relu, batch_first = import_int(importer, "layout", 0) != 0;
    for (int i = 0; i < inputs; i++)
        TRY(import_input(importer, i, i < 3, &operands[i]));
    TRY(check_activations(importer, kind == OPERATOR_LSTM ? lstm_activations : kind == OPERATOR_GRU ? gru_activations : NULL,
                          kind == OPERATOR_LSTM ? 3 : 2, &relu));
    if (kind == OPERATOR_LSTM && import_attribute(importer, "clip") != NULL)
        return import_fail(importer, ERROR_UNSUPPORTED, "clip");
    const struct shape weights = import_value(importer, operands[2])->shape;
    int64_t hidden = import_int(importer, "hidden_size", weights.rank == 3 ? weights.dims[2] : 0);
    TRY(check_options(importer, hidden));
    for (int i = 0; batch_first && i < inputs; i++) {
        if (i == 0 || i == 5 || i == 6)
            TRY(swap_batch(importer, &operands[i]));
    }
    struct node *node = import_node(importer, kind, operands, inputs, outputs);
    if (node == NULL)
        return importer->error->code;
    node->attributes.recurrent.hidden = (int32_t)hidden;
    node->attributes.recurrent.direction = import_text_is(importer, "direction", "reverse")         ? 1
                                           : import_text_is(importer, "direction", "bidirectional") ? 2
                                                                                                   : 0;
    if (kind != OPERATOR_LSTM)
        node->attributes.recurrent.cell_clip = import_float(importer, "clip", 0);
    node->attributes.recurrent.linear_before_reset = import_int(importer, "linear_before_reset", 0) != 0;
    node->attributes.recurrent.relu = relu;
    memcpy(results, node->outputs, (size_t)outputs * sizeof *results);
    TRY(import_finish(importer, &first));
    for (int i = 0; i < outputs; i++) {
        if (batch_first && i == 0)
            TRY(import_transpose(importer, results[0], (int32_t[]){2, 0, 1, 3}, &results[0]));
        else if (batch_first)
            TRY(swap_batch(importer, &results[i]));
        TRY(import_bind(importer, i, results[i]));
    }
    return ERROR_NONE;
}

const struct import_row import_recurrent_rows[] = {
    {"LSTM", import_recurrent, OPERATOR_LSTM, "f32 f16", "activations Sigmoid, Tanh, Tanh; no clip, no input_forget"},
    {"GRU", import_recurrent, OPERATOR_GRU, "f32 f16", "activations Sigmoid, Tanh"},
    {"RNN", import_recurrent, OPERATOR_RNN, "f32 f16", "activation Tanh or Relu"},
    {0},
};
