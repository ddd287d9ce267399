/* SPDX-License-Identifier: Apache-2.0
 *
 * hash.h: XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), whole or piece by piece with the same result.
 *
 * Finds damage and tells contents apart at some 10 GB/s; anybody can make two contents with one hash, so it proves nothing about who wrote them.
 * Threads: none. Errors: none. Part of libeddy-infer, which uses no library but libc: hence not libxxhash, which the agent links. */
#ifndef EDDY_BASE_HASH_H
#define EDDY_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash {
    uint64_t lanes[4], seed, bytes;
    uint8_t rest[32]; /* bytes that do not fill a stripe yet */
};

void hash_begin(struct hash *hash, uint64_t seed);
void hash_add(struct hash *hash, const void *data, size_t bytes);
uint64_t hash_end(const struct hash *hash);

uint64_t hash_bytes(const void *data, size_t bytes, uint64_t seed);

#endif
