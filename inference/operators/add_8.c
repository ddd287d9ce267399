/* SPDX-License-Identifier: Apache-2.0
 *
 * Sum or difference of two byte tensors, with the kernels of kernels/bytes.h. Where the set has a linear path, each layer tries it on all pairs
 * of bytes once: taken only where every result is the same. */
#include "inference/kernels/bytes.h"
#include "inference/kernels/fixed_point.h"
#include "inference/operators/families.h"

#include <math.h>
#include <string.h>

enum { PART_BYTES = 32 << 10 }; /* about 2 us */

struct add_8 {
    const struct byte_kernels *kernels;
    struct byte_add add;
    int64_t count;
};

static void add_8_parts(const struct operation *operation, void *const *data, void *scratch, int64_t first, int64_t last)
{
    const struct add_8 *layer = operation->prepared;
    const uint8_t *a = operation_input_data(operation, data, 0), *b = operation_input_data(operation, data, 1);
    uint8_t *out = operation_output_data(operation, data, 0);
    int64_t at = first * PART_BYTES, end = last * PART_BYTES < layer->count ? last * PART_BYTES : layer->count;
    (void)scratch;
    layer->kernels->add(a + at, b + at, out + at, end - at, &layer->add);
}

static bool is_linear(const struct byte_kernels *kernels, const struct byte_add *add)
{
    struct byte_add exact = *add;
    uint8_t a[256], b[256], expected[256], seen[256];
    exact.linear = false;
    for (int i = 0; i < 256; i++)
        b[i] = (uint8_t)i;
    for (int i = 0; i < 256; i++) {
        memset(a, i, sizeof a);
        kernels->add(a, b, expected, 256, &exact);
        kernels->add(a, b, seen, 256, add);
        if (memcmp(seen, expected, 256) != 0)
            return false;
    }
    return true;
}

/* The definition rounds in several steps, which moves a result next to a tie now and then; a nudge can bring all of them to the right side. */
static void try_linear(const struct byte_kernels *kernels, struct byte_add *add)
{
    static const double nudges[] = {0, 0x1p-20, -0x1p-20, 0x1p-18, -0x1p-18, 0x1p-16, -0x1p-16};
    double twice_max = ldexp(add->out_multiplier, add->out_shift - 31 + 20);
    double a_factor = twice_max * ldexp(add->a_multiplier, add->a_shift - 31), b_factor = add->sign_b * twice_max * ldexp(add->b_multiplier, add->b_shift - 31);
    double larger = fmax(fabs(a_factor), fabs(b_factor));
    if (larger > 64)
        return;
    add->shift = 14;
    while (ldexp(larger, add->shift) > INT16_MAX - 1)
        add->shift--;
    int64_t a = llround(ldexp(a_factor, add->shift + 15)), b = llround(ldexp(b_factor, add->shift + 15)), digit = 1 << 15;
    add->a_upper = (int16_t)(a >> 15);
    add->a_lower = (int16_t)(a & (digit - 1));
    add->b_upper = (int16_t)(b >> 15);
    add->b_lower = (int16_t)(b & (digit - 1));
    add->linear = true;
    for (size_t i = 0; i < sizeof nudges / sizeof nudges[0]; i++) {
        double offset = add->out_zero + 0.5 - add->a_zero * a_factor - add->b_zero * b_factor + nudges[i];
        add->whole = (int32_t)floor(offset);
        add->start = (int32_t)ldexp(offset - add->whole, add->shift + 15);
        if (is_linear(kernels, add))
            return;
    }
    add->linear = false;
}

static void fill_add(const struct node *node, const struct value *a, const struct value *b, const struct value *out, struct byte_add *add)
{
    double a_scale = (double)a->quantization.scale[0], b_scale = (double)b->quantization.scale[0], out_scale = (double)out->quantization.scale[0];
    double twice_max = 2 * (a_scale > b_scale ? a_scale : b_scale);
    int32_t offset = a->dtype == DTYPE_I8 ? 128 : 0;
    struct fixed_multiplier a_factor = fixed_multiplier_from(a_scale / twice_max), b_factor = fixed_multiplier_from(b_scale / twice_max);
    struct fixed_multiplier out_factor = fixed_multiplier_from(twice_max / ((1 << 20) * out_scale));
    *add = (struct byte_add){
        .a_zero = a->quantization.zero_point[0] + offset, .b_zero = b->quantization.zero_point[0] + offset,
        .out_zero = out->quantization.zero_point[0] + offset, .a_multiplier = a_factor.multiplier, .a_shift = a_factor.shift,
        .b_multiplier = b_factor.multiplier, .b_shift = b_factor.shift, .out_multiplier = out_factor.multiplier, .out_shift = out_factor.shift,
        .sign_b = node->kind == OPERATOR_SUB ? -1 : 1, .a_flip = (uint8_t)offset, .b_flip = (uint8_t)offset, .out_flip = (uint8_t)offset};
    fixed_activation_range(node->activation, out, &add->low, &add->high);
    add->low += offset;
    add->high += offset;
}

bool add_8_fits(const struct operation *operation)
{
    const struct value *a = operation_input(operation, 0), *b = operation_input(operation, 1), *out = operation_output(operation, 0);
    bool bytes = (a->dtype == DTYPE_I8 || a->dtype == DTYPE_U8) && b->dtype == a->dtype && out->dtype == a->dtype;
    bool adds = operation->node->kind == OPERATOR_ADD || operation->node->kind == OPERATOR_SUB;
    if (!bytes || !adds || a->quantization.count != 1 || b->quantization.count != 1 || out->quantization.count != 1)
        return false;
    int32_t low = a->dtype == DTYPE_U8 ? 0 : -128;
    const struct value *all[] = {a, b, out};
    for (int i = 0; i < 3; i++) {
        int32_t zero = all[i]->quantization.zero_point[0];
        if (zero < low || zero > low + 255 || !shape_equal(&all[i]->shape, &out->shape))
            return false;
    }
    return true;
}

enum error_code add_8_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    const struct value *a = operation_input(operation, 0), *b = operation_input(operation, 1), *out = operation_output(operation, 0);
    struct add_8 *layer = arena_allocate(arena, sizeof *layer);
    if (layer == NULL)
        return operator_fail(operation->node, ERROR_LIMIT, error, "no memory");
    layer->kernels = operation->kernels->bytes;
    layer->count = shape_elements(&out->shape);
    fill_add(operation->node, a, b, out, &layer->add);
    if (layer->kernels->adds_linear)
        try_linear(layer->kernels, &layer->add);
    operation->prepared = layer;
    operation->parts = (layer->count + PART_BYTES - 1) / PART_BYTES;
    operation->execute_parts = add_8_parts;
    operation->in_place = true;
    return ERROR_NONE;
}
