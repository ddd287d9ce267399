/* SPDX-License-Identifier: Apache-2.0
 *
 * near.h: the third level of the cache: an input that looks like one that was inferred gets that one's result.
 *
 * Looks like: a descriptor (up to NEAR_DIMENSIONS_MAX numbers, made by the caller: agent/descriptor.h) within the trusted distance of a
 *   reference. Distance is the fourth-power mean of the differences: large where a part of the picture changed much, so that somebody who
 *   enters a corner is not averaged away (docs/cache.md compares it with others).
 * References are inputs that were inferred themselves: slow drift adds up and is seen. The last NEAR_REFERENCES of all sources are kept, and
 *   those that answer beyond that (a queue with second chances); a reference holds no result, it names an entry of the cache.
 * The trusted distance is learned (evidence.h) from comparisons: every miss is compared with its nearest reference for free; of the hits a
 *   random one in NEAR_AUDIT_ONE_IN (more often after a disagreement) is inferred all the same. Before there is enough evidence nothing is a hit.
 * Use: near_ask -> NEAR_HIT: take match.key's result. NEAR_AUDIT or NEAR_MISS: infer, near_learn if match.known, then near_add.
 * Memory: all at near_new. Threads: any. */
#ifndef EDDY_CACHE_NEAR_H
#define EDDY_CACHE_NEAR_H

#include "cache/cache.h"

enum { NEAR_DIMENSIONS_MAX = 432, NEAR_REFERENCES = 256, NEAR_AUDIT_ONE_IN = 64, NEAR_AUDIT_ONE_IN_DOUBT = 8 };

struct near_descriptor {
    int32_t width, height;  /* of the original: a result's boxes are in its pixels. Only equal ones are compared */
    int count;              /* of values */
    float values[NEAR_DIMENSIONS_MAX]; /* zero beyond count */
};

enum near_advice { NEAR_MISS, NEAR_AUDIT, NEAR_HIT };

struct near_match {
    bool known;             /* there is a nearest reference: the rest is set */
    struct cache_key key;
    double distance;
};

struct near_statistics {
    double max_disagreement, trusted_distance;
    uint64_t audits, audit_disagreements;   /* of hits that were inferred all the same */
    uint64_t comparisons, disagreements;    /* of misses with their nearest reference */
    double bound;                           /* upper end for the share of wrong answers, from the audits alone */
    int references;
};

struct near *near_new(double max_disagreement, double start_distance, uint64_t seed); /* NULL: no memory. start_distance: 0, or see evidence_presume */
void near_free(struct near *near); /* NULL is fine */

enum near_advice near_ask(struct near *near, const struct near_descriptor *descriptor, struct near_match *match_out);
void near_learn(struct near *near, const struct near_match *match, enum near_advice advice, bool agreed);
void near_add(struct near *near, const struct near_descriptor *descriptor, struct cache_key key);
void near_drop_references(struct near *near); /* what was learned stays */
void near_forget(struct near *near);          /* all */

/* What was learned, as bytes to keep over a restart; 0: nothing new since the last call. restore: bytes that do not fit are ignored. */
size_t near_save(struct near *near, void *bytes, size_t capacity);
void near_restore(struct near *near, const void *bytes, size_t length);
void near_get_statistics(struct near *near, struct near_statistics *statistics_out);

#endif
