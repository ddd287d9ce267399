/* SPDX-License-Identifier: Apache-2.0
 *
 * Einsum of two operands as a batched matrix product: letters that both operands and the result have count batches, letters of both operands
 * alone are summed over, the others stay. Each operand is transposed to [batches, rows or depth, depth or columns]. */
#include "inference/onnx/import_einsum.h"

#include <string.h>

enum { LETTERS = 26 };

struct term {
    int letters[TENSOR_RANK_MAX], rank;
    int place[LETTERS]; /* axis of each letter; -1: not in it */
};

static bool read_term(const char **at, struct term *term)
{
    *term = (struct term){.rank = 0};
    memset(term->place, -1, sizeof term->place);
    for (; **at != '\0' && **at != ',' && **at != '-'; (*at)++) {
        int letter = **at - 'a';
        if (**at == ' ')
            continue;
        if (letter < 0 || letter >= LETTERS || term->place[letter] >= 0 || term->rank == TENSOR_RANK_MAX)
            return false;
        term->place[letter] = term->rank;
        term->letters[term->rank++] = letter;
    }
    return true;
}

/* "ij,jk->ik": operands and result */
static bool read_equation(const char *text, struct term terms[3])
{
    if (!read_term(&text, &terms[0]) || *text++ != ',' || !read_term(&text, &terms[1]) || *text++ != '-' || *text++ != '>')
        return false;
    return read_term(&text, &terms[2]) && *text == '\0';
}

enum role { ROLE_BATCH, ROLE_KEPT, ROLE_SUMMED, ROLES };

static enum role role_of(const struct term terms[3], int letter)
{
    if (terms[0].place[letter] < 0 || terms[1].place[letter] < 0)
        return ROLE_KEPT;
    return terms[2].place[letter] >= 0 ? ROLE_BATCH : ROLE_SUMMED;
}

/* The operand's axes role by role in the order given, letters of one role in that of the result, or of the first operand. */
static enum error_code arrange(struct importer *importer, const struct term terms[3], int index, const enum role roles[ROLES], int32_t *value)
{
    struct shape shape = import_value(importer, *value)->shape, flat = {.rank = ROLES, .dims = {1, 1, 1}};
    int32_t order[TENSOR_RANK_MAX];
    int count = 0;
    for (int r = 0; r < ROLES; r++) {
        const struct term *guide = roles[r] == ROLE_SUMMED ? &terms[0] : &terms[2];
        for (int i = 0; i < guide->rank; i++) {
            int axis = terms[index].place[guide->letters[i]];
            if (axis < 0 || role_of(terms, guide->letters[i]) != roles[r])
                continue;
            order[count++] = axis;
            flat.dims[r] *= shape.dims[axis];
        }
    }
    if (count != shape.rank)
        return import_fail(importer, ERROR_UNSUPPORTED, "a letter of one operand alone that the result lacks");
    TRY(import_transpose(importer, *value, order, value));
    return import_reshape(importer, *value, &flat, value);
}

enum error_code import_einsum(struct importer *importer)
{
    static const enum role left[ROLES] = {ROLE_BATCH, ROLE_KEPT, ROLE_SUMMED}, right[ROLES] = {ROLE_BATCH, ROLE_SUMMED, ROLE_KEPT};
    const struct onnx_attribute *equation = import_attribute(importer, "equation");
    struct term terms[3];
    struct shape shapes[2], wide = {0};
    int32_t operands[2], value, order[TENSOR_RANK_MAX];
    if (equation == NULL || equation->s == NULL || importer->node->input_count != 2 || !read_equation(equation->s, terms))
        return import_fail(importer, ERROR_UNSUPPORTED, "an equation that is not two operands of different small letters and a result");
    for (int i = 0; i < 2; i++) {
        TRY(import_input(importer, i, true, &operands[i]));
        shapes[i] = import_value(importer, operands[i])->shape;
        if (shapes[i].rank != terms[i].rank)
            return import_fail(importer, ERROR_MODEL, "%d letters for rank %d", terms[i].rank, shapes[i].rank);
    }
    for (int letter = 0; letter < LETTERS; letter++) {
        int a = terms[0].place[letter], b = terms[1].place[letter];
        if ((a >= 0 && b >= 0 && shapes[0].dims[a] != shapes[1].dims[b]) || (a < 0 && b < 0 && terms[2].place[letter] >= 0))
            return import_fail(importer, ERROR_MODEL, "letter %c stands for nothing, or for two extents", 'a' + letter);
    }
    TRY(arrange(importer, terms, 0, left, &operands[0]));
    TRY(arrange(importer, terms, 1, right, &operands[1]));
    TRY(import_binary_of(importer, OPERATOR_MATMUL, operands[0], operands[1], &value));
    /* batches, then what is kept of the left, then of the right */
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < terms[2].rank; i++) {
            int letter = terms[2].letters[i], a = terms[0].place[letter], b = terms[1].place[letter];
            if (pass != (a >= 0 && b >= 0 ? 0 : a >= 0 ? 1 : 2))
                continue;
            order[i] = wide.rank;
            wide.dims[wide.rank++] = a >= 0 ? shapes[0].dims[a] : shapes[1].dims[b];
        }
    }
    TRY(import_reshape(importer, value, &wide, &value));
    TRY(import_transpose(importer, value, order, &value));
    return import_bind(importer, 0, value);
}
