/* SPDX-License-Identifier: Apache-2.0
 *
 * MatMulNBits of com.microsoft with 4 bits: a row of K numbers times N columns of weights that stay packed in memory, since reading them is what
 * takes the time. x [..., K]; weights u8 [N, blocks, block/2], the lower half of a byte first; scales f32 [N * blocks]; zero points u8
 * [N, (blocks + 1) / 2], packed alike, or 8; bias f32 [N], optional. y = sum over blocks of scale * (sum of x * q - zero * sum of x). */
#include "inference/operators/families.h"

enum { INPUT_SCALES = 2, INPUT_ZEROS, INPUT_BIAS, ZERO_BY_DEFAULT = 8 };

static int64_t block_count(const struct node *node)
{
    return ((int64_t)node->attributes.nbits.depth + node->attributes.nbits.block - 1) / node->attributes.nbits.block;
}

enum error_code matmul_nbits_infer(struct graph *graph, struct node *node, struct error *error)
{
    const struct value *x = &graph->values[node->inputs[0]];
    struct value *out = &graph->values[node->outputs[0]];
    int64_t depth = node->attributes.nbits.depth, columns = node->attributes.nbits.columns, block = node->attributes.nbits.block;
    if (x->dtype != DTYPE_F32 || x->shape.rank < 1 || depth < 1 || columns < 1 || block < 2 || block % 2 != 0 || depth > TENSOR_ELEMENTS_MAX ||
        x->shape.dims[x->shape.rank - 1] != depth)
        return operator_fail(node, ERROR_MODEL, error, "expected f32 rows of K numbers, and a block size");
    int64_t blocks = block_count(node);
    const int64_t counts[4] = {columns * blocks * (block / 2), columns * blocks, columns * ((blocks + 1) / 2), columns};
    for (int i = 0; i < 4; i++) {
        const struct value *operand = node->inputs[1 + i] >= 0 ? &graph->values[node->inputs[1 + i]] : NULL;
        enum dtype dtype = i == 0 || i == 2 ? DTYPE_U8 : DTYPE_F32;
        if (operand != NULL && (operand->dtype != dtype || shape_elements(&operand->shape) != counts[i]))
            return operator_fail(node, ERROR_UNSUPPORTED, error, "weights, scales, zero points or bias of another size or type");
    }
    out->dtype = DTYPE_F32;
    out->shape = x->shape;
    out->shape.dims[out->shape.rank - 1] = (int32_t)columns;
    return ERROR_NONE;
}

/* Sum of x * q over `count` numbers of a block. */
static float dot_nibbles(const float *x, const uint8_t *packed, int64_t count)
{
    float low = 0, high = 0;
    for (int64_t i = 0; i < count / 2; i++) {
        low += x[2 * i] * (float)(packed[i] & 15);
        high += x[2 * i + 1] * (float)(packed[i] >> 4);
    }
    return low + high + (count % 2 != 0 ? x[count - 1] * (float)(packed[count / 2] & 15) : 0);
}

static void matmul_nbits_execute(const struct operation *operation, void *const *data, void *scratch)
{
    const struct node *node = operation->node;
    int64_t depth = node->attributes.nbits.depth, columns = node->attributes.nbits.columns, block = node->attributes.nbits.block;
    int64_t blocks = block_count(node), rows = shape_elements(&operation_output(operation, 0)->shape) / columns;
    const float *x = operation_input_data(operation, data, 0), *scales = operation_input_data(operation, data, INPUT_SCALES);
    const uint8_t *packed = operation_input_data(operation, data, 1), *zeros = operation_input_data(operation, data, INPUT_ZEROS);
    const float *bias = operation_input_data(operation, data, INPUT_BIAS);
    float *out = operation_output_data(operation, data, 0), *sums = scratch; /* of x, block by block */
    for (int64_t r = 0; r < rows; r++, x += depth, out += columns) {
        for (int64_t b = 0; b < blocks; b++) {
            sums[b] = 0;
            for (int64_t i = b * block; i < depth && i < (b + 1) * block; i++)
                sums[b] += x[i];
        }
        for (int64_t c = 0; c < columns; c++) {
            float sum = bias != NULL ? bias[c] : 0;
            for (int64_t b = 0; b < blocks; b++) {
                int64_t left = depth - b * block, at = c * blocks + b;
                int zero = zeros == NULL ? ZERO_BY_DEFAULT : zeros[c * ((blocks + 1) / 2) + b / 2] >> (b % 2 * 4) & 15;
                float dot = dot_nibbles(x + b * block, packed + at * (block / 2), left < block ? left : block);
                sum += scales[at] * (dot - (float)zero * sums[b]);
            }
            out[c] = sum;
        }
    }
}

enum error_code matmul_nbits_prepare(struct operation *operation, struct arena *arena, struct error *error)
{
    (void)arena, (void)error;
    operation->scratch_bytes = (size_t)block_count(operation->node) * sizeof(float);
    operation->macs = (uint64_t)shape_elements(&operation_output(operation, 0)->shape) * (uint64_t)operation->node->attributes.nbits.depth;
    operation->execute = matmul_nbits_execute;
    return ERROR_NONE;
}
