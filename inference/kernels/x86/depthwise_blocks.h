/* SPDX-License-Identifier: Apache-2.0
 *
 * depthwise_blocks.h: the blocks in which the x86 kernels do depthwise layers.
 *
 * A line is flat: result i belongs to channel i % channels. A block holds the weights and constants of `size` results in a row; they repeat
 * after `channels / gcd(channels, size)` blocks. Where these would be too many, each pixel is done apart, in blocks from channel 0 on. */
#ifndef EDDY_INFERENCE_DEPTHWISE_BLOCKS_H
#define EDDY_INFERENCE_DEPTHWISE_BLOCKS_H

#include "inference/kernels/bytes.h"

enum { BYTE_BLOCKS_MAX = 17 };

struct byte_blocks {
    int64_t count, step; /* step: results from one use of a block to the next */
    size_t bytes;        /* of a block */
    bool flat;
};

static inline struct byte_blocks byte_blocks_plan(int64_t channels, int64_t size, size_t bytes)
{
    int64_t divisor = size;
    while (channels % divisor != 0) /* size is a power of two */
        divisor /= 2;
    struct byte_blocks blocks = {.count = channels / divisor, .bytes = bytes, .flat = true};
    if (divisor != size && blocks.count > BYTE_BLOCKS_MAX) {
        blocks.flat = false;
        blocks.count = (channels + size - 1) / size;
    }
    blocks.step = blocks.flat ? blocks.count * size : channels;
    return blocks;
}

/* Every use of every block: body sees block, at, left: results from `at` on, of which it does up to `size`. */
#define BYTE_BLOCKS_EACH(call, plan, size, body)                                                                          \
    do {                                                                                                                  \
        struct byte_blocks blocks = plan;                                                                                 \
        const char *block = call->packed;                                                                                 \
        for (int64_t b = 0; b < blocks.count; b++, block += blocks.bytes) {                                               \
            for (int64_t at = b * size; at < call->length; at += blocks.step) {                                           \
                int64_t left = blocks.flat ? call->length - at : call->channels - b * size;                               \
                body;                                                                                                     \
            }                                                                                                             \
        }                                                                                                                 \
    } while (0)

#endif
