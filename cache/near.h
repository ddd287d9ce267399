/* SPDX-License-Identifier: Apache-2.0
 *
 * near.h: the third level of the cache: an input that looks like one that was inferred gets that one's result.
 *
 * Looks like: a descriptor (up to NEAR_DIMENSIONS_MAX numbers, made by the caller: agent/descriptor.h) within the trusted distance of a
 *   reference. Distance is the sixth-power mean of the differences: large where a part of the picture changed much, so that somebody who
 *   enters a corner is not averaged away (docs/cache.md compares it with others). It is divided by the reference's margin: how far its result is from
 *   another one, 1 (or more than the caller can tell) down to NEAR_MARGIN_MIN. A model's output does not change faster than its input by more than
 *   some factor, so that a result that stands firm holds further away; the factor is what is learned.
 * References are inputs that were inferred themselves: slow drift adds up and is seen. The last NEAR_REFERENCES of all sources are kept, and
 *   those that answer beyond that (a queue with second chances); a reference holds no result, it names an entry of the cache.
 * The trusted distance is learned (evidence.h). How often an answer at some distance is wrong depends on which references there are, and that
 *   on the distance itself: a large one infers little and compares with what is far. So each candidate distance has references of its own
 *   (a bit in each reference), kept as if that distance were in use, and is judged by what it would have answered. While learning every
 *   input is a sample, and nothing is answered; once something is trusted one in 8 is, then one in 25, then one in NEAR_SAMPLE_ONE_IN, drawn before it is
 *   looked at.
 * Use: near_look. NEAR_HIT: take ask.key's result. Else infer; for each trial compare, and near_learn with those that disagree; then near_add.
 * Memory: all at near_new, 4 MB. Threads: any. */
#ifndef EDDY_CACHE_NEAR_H
#define EDDY_CACHE_NEAR_H

#include "cache/cache.h"

enum { NEAR_DIMENSIONS_MAX = 3888, NEAR_REFERENCES = 256, NEAR_SAMPLE_ONE_IN = 100, NEAR_TRIALS_MAX = 64 };
#define NEAR_MARGIN_MIN 0.015625

struct near_descriptor {
    int32_t width, height;  /* of the original: a result's boxes are in its pixels. Only equal ones are compared */
    int count;              /* of values */
    float values[NEAR_DIMENSIONS_MAX]; /* zero beyond count */
};

enum near_advice { NEAR_MISS, NEAR_HIT };

struct near_trial { /* what some candidate distances would have answered */
    struct cache_key key;
    uint64_t levels;
};

struct near_ask {
    enum near_advice advice;
    struct cache_key key;             /* NEAR_HIT: whose result to take */
    double distance;                  /* to the nearest reference, as a share of its margin; infinite: there is none */
    bool sampled;                     /* counts as evidence, whatever it looks like */
    struct near_trial trials[NEAR_TRIALS_MAX]; /* sampled: to be compared with the model's result */
    int trial_count;
    uint64_t tried;                   /* sampled: levels that would just have answered */
    uint64_t new_for;                 /* levels that it is a new reference for */
};

struct near_statistics {
    double max_disagreement, trusted_distance;   /* distance 0: nothing is trusted yet */
    double samples, wrong, bound;                /* the evidence at that distance (the smallest, if none): counts, and the upper end of the share */
    uint64_t audits, audit_disagreements;        /* samples that would have been answered, and would have been wrong */
    int references;
};

/* NULL: no memory. start_distance: 0, or see evidence_presume. */
struct near *near_new(double max_disagreement, double start_distance, uint64_t seed);
void near_free(struct near *near); /* NULL is fine */

void near_look(struct near *near, const struct near_descriptor *descriptor, struct near_ask *ask_out);
void near_learn(struct near *near, const struct near_ask *ask, uint64_t wrong_levels); /* does nothing unless ask->sampled */
void near_add(struct near *near, const struct near_ask *ask, const struct near_descriptor *descriptor, struct cache_key key, double margin);
void near_drop_references(struct near *near); /* what was learned stays */
void near_forget(struct near *near);          /* all */

/* What was learned, as bytes to keep over a restart; 0: nothing new since the last call. restore: bytes that do not fit are ignored. */
size_t near_save(struct near *near, void *bytes, size_t capacity);
void near_restore(struct near *near, const void *bytes, size_t length);
void near_get_statistics(struct near *near, struct near_statistics *statistics_out);

#endif
