/* SPDX-License-Identifier: Apache-2.0
 *
 * mutate.h: what the mutators of model files share. libFuzzer's own changes break a file's frame nearly always, and then the loader's
 * first check is all that is tried; these keep the frame most of the time. */
#ifndef EDDY_TESTS_FUZZ_MUTATE_H
#define EDDY_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max); /* libFuzzer's */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed);

/* Numbers at which shapes, offsets and counts go wrong. */
static const int64_t mutate_numbers[] = {0, 1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 33, 64, 127, 128, 255, 256, 1000, 4096, 32767, 65535, 65536, 1 << 20, 1 << 24,
                                         1 << 30, INT32_MAX, UINT32_MAX, INT64_MAX, -1, -2, -3, -128, INT32_MIN, INT64_MIN};
enum { MUTATE_NUMBERS = sizeof mutate_numbers / sizeof mutate_numbers[0] };

#endif
