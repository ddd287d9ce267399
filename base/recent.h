/* SPDX-License-Identifier: Apache-2.0
 *
 * recent.h: the last so many 64-bit digests, and whether one is among them, in constant time.
 *
 * A ring; number n, counted from the first ever, lies at n % capacity. Beside it hash chains as deflate's match finder has them (RFC 1951, section 4; zlib's
 * head and prev): `heads` holds for each hash the latest place, `links` for each place the one before it with the same hash. Nothing is ever taken out: a
 * chain ends where numbers no longer fall, which is where a place was written anew.
 * Memory: at recent_init, 16 to 24 bytes for each digest. Threads: the caller's matter. */
#ifndef EDDY_BASE_RECENT_H
#define EDDY_BASE_RECENT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recent {
    uint64_t *ring;          /* [capacity] */
    uint32_t *heads, *links; /* [hashes], [capacity]: places + 1; 0: none */
    size_t capacity, hashes;
    int64_t total;           /* put so far: the number of the next one */
};

MUST_CHECK enum error_code recent_init(struct recent *recent, size_t capacity, struct error *error);
void recent_deinit(struct recent *recent);

void recent_put(struct recent *recent, uint64_t digest);
/* The same in two steps, for who must write before it counts: fill the places of the numbers from `total` on, then let `count` of them count. */
uint64_t *recent_place(const struct recent *recent, int64_t number);
void recent_advance(struct recent *recent, size_t count);
bool recent_has(const struct recent *recent, uint64_t digest, size_t reach); /* among the last `reach`, at most `capacity` */

#endif
