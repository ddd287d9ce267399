/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <string.h>

enum { STRIPE = 32 };

static const uint64_t PRIME_1 = 0x9E3779B185EBCA87u, PRIME_2 = 0xC2B2AE3D27D4EB4Fu, PRIME_3 = 0x165667B19E3779F9u, PRIME_4 = 0x85EBCA77C2B2AE63u,
                      PRIME_5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t word, int bits)
{
    return word << bits | word >> (64 - bits);
}

static uint64_t word_at(const uint8_t *data) /* little-endian, as the machines that eddy runs on */
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

static uint64_t mix(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * PRIME_2, 31) * PRIME_1;
}

void hash_begin(struct hash *hash, uint64_t seed)
{
    *hash = (struct hash){.lanes = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1}, .seed = seed};
}

static void add_stripes(struct hash *hash, const uint8_t *data, size_t stripes)
{
    uint64_t a = hash->lanes[0], b = hash->lanes[1], c = hash->lanes[2], d = hash->lanes[3];
    for (; stripes > 0; stripes--, data += STRIPE) {
        a = mix(a, word_at(data));
        b = mix(b, word_at(data + 8));
        c = mix(c, word_at(data + 16));
        d = mix(d, word_at(data + 24));
    }
    hash->lanes[0] = a, hash->lanes[1] = b, hash->lanes[2] = c, hash->lanes[3] = d;
}

void hash_add(struct hash *hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    size_t held = (size_t)(hash->bytes % STRIPE);
    hash->bytes += bytes;
    if (held > 0) {
        size_t taken = bytes < STRIPE - held ? bytes : STRIPE - held;
        if (taken > 0)
            memcpy(hash->rest + held, at, taken);
        if (held + taken < STRIPE)
            return;
        add_stripes(hash, hash->rest, 1);
        at += taken;
        bytes -= taken;
    }
    add_stripes(hash, at, bytes / STRIPE);
    if (bytes % STRIPE > 0)
        memcpy(hash->rest, at + bytes / STRIPE * STRIPE, bytes % STRIPE);
}

uint64_t hash_end(const struct hash *hash)
{
    uint64_t sum = hash->seed + PRIME_5;
    if (hash->bytes >= STRIPE) {
        sum = rotate(hash->lanes[0], 1) + rotate(hash->lanes[1], 7) + rotate(hash->lanes[2], 12) + rotate(hash->lanes[3], 18);
        for (int i = 0; i < 4; i++)
            sum = (sum ^ mix(0, hash->lanes[i])) * PRIME_1 + PRIME_4;
    }
    sum += hash->bytes;
    const uint8_t *at = hash->rest;
    size_t left = (size_t)(hash->bytes % STRIPE);
    for (; left >= 8; left -= 8, at += 8)
        sum = rotate(sum ^ mix(0, word_at(at)), 27) * PRIME_1 + PRIME_4;
    if (left >= 4) {
        uint32_t half;
        memcpy(&half, at, sizeof half);
        sum = rotate(sum ^ half * PRIME_1, 23) * PRIME_2 + PRIME_3;
        left -= 4;
        at += 4;
    }
    for (; left > 0; left--, at++)
        sum = rotate(sum ^ *at * PRIME_5, 11) * PRIME_1;
    sum = (sum ^ sum >> 33) * PRIME_2;
    sum = (sum ^ sum >> 29) * PRIME_3;
    return sum ^ sum >> 32;
}

uint64_t hash_bytes(const void *data, size_t bytes, uint64_t seed)
{
    struct hash hash;
    hash_begin(&hash, seed);
    hash_add(&hash, data, bytes);
    return hash_end(&hash);
}
