/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near.h"

#include "cache/evidence.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef float lanes __attribute__((vector_size(16))); /* what every CPU has registers for */
enum { LANES = sizeof(lanes) / sizeof(float), STRETCH = 480, TURNS_MAX = 8, SAVED_VERSION = 2, USEFUL_SAMPLES = 64 };
enum { EARLY_EXPECTED = 6, LATE_EXPECTED = 10, EARLY_ONE_IN = 8, LATE_ONE_IN = 25 }; /* wrong ones that the samples so far would allow */

static_assert((int)EVIDENCE_LEVELS <= 64 && (int)NEAR_TRIALS_MAX >= (int)EVIDENCE_LEVELS && NEAR_DIMENSIONS_MAX % (2 * LANES) == 0, "a level is a bit");

struct reference {
    struct cache_key key;
    uint64_t added;        /* when, counted in references; 0: free */
    uint64_t levels;       /* candidate distances that have it */
    float margin;
    uint32_t answers;      /* since its last turn, and half of those before */
    struct near_descriptor descriptor;
};

struct near {
    pthread_mutex_t lock;
    struct evidence evidence;
    double start_distance;
    struct reference *references; /* [NEAR_REFERENCES] */
    uint64_t added;
    int latest;                   /* place of the reference that answered or came last */
    uint64_t random;
    double looks, inferred[EVIDENCE_LEVELS]; /* how much each level would have inferred, lately */
    bool changed;                 /* since near_save */
    uint64_t audits, audit_disagreements;
};

static void begin(struct near *near)
{
    evidence_init(&near->evidence, near->evidence.max_disagreement);
    if (near->start_distance > 0)
        evidence_presume(&near->evidence, near->start_distance);
}

/* Nothing is trusted: then there is nothing to save by sampling less. */
static unsigned sample_one_in(const struct near *near)
{
    double expected = near->evidence.samples * near->evidence.max_disagreement;
    if (near->evidence.trusted < 0)
        return 1;
    return near->start_distance > 0 || expected >= LATE_EXPECTED ? NEAR_SAMPLE_ONE_IN : expected >= EARLY_EXPECTED ? LATE_ONE_IN : EARLY_ONE_IN;
}

struct near *near_new(double max_disagreement, double start_distance, uint64_t seed)
{
    struct near *near = calloc(1, sizeof *near);
    if (near == NULL)
        return NULL;
    near->references = calloc(NEAR_REFERENCES, sizeof *near->references);
    if (near->references == NULL) {
        free(near);
        return NULL;
    }
    pthread_mutex_init(&near->lock, NULL);
    near->evidence.max_disagreement = max_disagreement;
    near->start_distance = start_distance;
    near->random = seed | 1;
    begin(near);
    return near;
}

void near_free(struct near *near)
{
    if (near == NULL)
        return;
    pthread_mutex_destroy(&near->lock);
    free(near->references);
    free(near);
}

/* xorshift64: which inputs are samples must not depend on the inputs */
static bool one_in(struct near *near, unsigned count)
{
    near->random ^= near->random << 13;
    near->random ^= near->random >> 7;
    near->random ^= near->random << 17;
    return (near->random >> 32) % count == 0;
}

static inline lanes sixth_powers(const float *a, const float *b)
{
    lanes x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    lanes square = (x - y) * (x - y);
    return square * square * square;
}

/* Infinite where it is beyond `limit`, which is often clear after the first stretch. */
static double distance_between(const struct near_descriptor *a, const struct near_descriptor *b, double limit)
{
    lanes even = {0}, odd = {0}; /* two sums: one addition need not wait for the other */
    float sum = 0;
    double most = pow(limit, 6) * a->count;
    for (int from = 0; from < a->count; from += STRETCH) {
        int end = from + STRETCH < a->count ? from + STRETCH : a->count;
        for (int i = from; i < end; i += 2 * LANES) {
            even += sixth_powers(a->values + i, b->values + i);
            odd += sixth_powers(a->values + i + LANES, b->values + i + LANES);
        }
        sum = 0;
        for (int k = 0; k < LANES; k++)
            sum += even[k] + odd[k];
        if ((double)sum > most)
            return INFINITY;
    }
    return pow((double)sum / a->count, 1.0 / 6);
}

struct nearest { /* of each level's references */
    struct reference *reference[EVIDENCE_LEVELS];
    double distance[EVIDENCE_LEVELS];
};

/* Beyond which a reference is of no interest to any of its levels. */
static double worth_knowing(const struct nearest *nearest, uint64_t levels)
{
    double most = 0;
    for (; levels != 0; levels &= levels - 1)
        most = fmax(most, nearest->distance[__builtin_ctzll(levels)]);
    return most;
}

static void find_nearest(struct near *near, const struct near_descriptor *descriptor, struct nearest *nearest)
{
    for (int level = 0; level < EVIDENCE_LEVELS; level++) {
        nearest->reference[level] = NULL;
        nearest->distance[level] = INFINITY;
    }
    for (int i = 0; i < NEAR_REFERENCES; i++) {
        struct reference *reference = &near->references[(near->latest + i) % NEAR_REFERENCES]; /* the likely one first: it spares the others */
        if (reference->added == 0 || reference->descriptor.count != descriptor->count || reference->descriptor.width != descriptor->width ||
            reference->descriptor.height != descriptor->height)
            continue;
        double margin = (double)reference->margin, limit = worth_knowing(nearest, reference->levels) * margin;
        double distance = distance_between(descriptor, &reference->descriptor, limit) / margin;
        for (uint64_t levels = reference->levels; levels != 0; levels &= levels - 1) {
            int level = __builtin_ctzll(levels);
            if (distance < nearest->distance[level]) {
                nearest->distance[level] = distance;
                nearest->reference[level] = reference;
            }
        }
    }
}

static void add_trial(struct near_ask *ask, const struct reference *reference, int level)
{
    for (int i = 0; i < ask->trial_count; i++) {
        if (ask->trials[i].key.low == reference->key.low && ask->trials[i].key.high == reference->key.high) {
            ask->trials[i].levels |= 1ull << level;
            return;
        }
    }
    ask->trials[ask->trial_count++] = (struct near_trial){.key = reference->key, .levels = 1ull << level};
}

/* A distance that would infer nearly all inputs is of no use: it gets few new references, which others need more. */
static bool wants_references(const struct near *near, int level)
{
    return level == near->evidence.trusted || near->looks < USEFUL_SAMPLES || near->inferred[level] <= near->looks * 7 / 8;
}

static void try_levels(struct near *near, const struct nearest *nearest, struct near_ask *ask)
{
    bool generous = one_in(near, 16);
    near->looks++;
    for (int level = 0; level < EVIDENCE_LEVELS; level++) {
        if (nearest->distance[level] <= evidence_distance(level)) {
            nearest->reference[level]->answers++;
            near->latest = (int)(nearest->reference[level] - near->references);
            if (ask->sampled) {
                add_trial(ask, nearest->reference[level], level);
                bool just = level > 0 && nearest->distance[level] > evidence_distance(level - 1);
                ask->tried |= just ? 1ull << level : 0;
            }
        } else {
            near->inferred[level]++;
            ask->new_for |= generous || wants_references(near, level) ? 1ull << level : 0;
        }
        ask->distance = fmin(ask->distance, nearest->distance[level]);
    }
    if (near->looks < 64 * USEFUL_SAMPLES)
        return;
    near->looks /= 2;
    for (int level = 0; level < EVIDENCE_LEVELS; level++)
        near->inferred[level] /= 2;
}

void near_look(struct near *near, const struct near_descriptor *descriptor, struct near_ask *ask_out)
{
    struct nearest nearest;
    *ask_out = (struct near_ask){.distance = INFINITY};
    pthread_mutex_lock(&near->lock);
    ask_out->sampled = one_in(near, sample_one_in(near));
    find_nearest(near, descriptor, &nearest);
    try_levels(near, &nearest, ask_out);
    int trusted = near->evidence.trusted;
    if (!ask_out->sampled && trusted >= 0 && nearest.distance[trusted] <= evidence_distance(trusted)) {
        ask_out->advice = NEAR_HIT;
        ask_out->key = nearest.reference[trusted]->key;
        nearest.reference[trusted]->levels |= ask_out->new_for >> trusted << trusted; /* nothing is inferred: the next best for larger ones */
    }
    pthread_mutex_unlock(&near->lock);
}

void near_learn(struct near *near, const struct near_ask *ask, uint64_t wrong_levels)
{
    if (!ask->sampled)
        return;
    pthread_mutex_lock(&near->lock);
    uint64_t answered = 0;
    for (int i = 0; i < ask->trial_count; i++)
        answered |= ask->trials[i].levels;
    if (near->evidence.trusted >= 0) {
        near->audits += answered >> near->evidence.trusted & 1;
        near->audit_disagreements += wrong_levels >> near->evidence.trusted & 1;
    }
    evidence_add(&near->evidence, wrong_levels, ask->tried);
    near->changed = true;
    pthread_mutex_unlock(&near->lock);
}

/* A free place, else the oldest one; who answered since its last turn gets another one. */
static struct reference *find_place(struct near *near)
{
    for (int turn = 0;; turn++) {
        struct reference *oldest = &near->references[0];
        for (int i = 1; i < NEAR_REFERENCES && oldest->added != 0; i++) {
            if (near->references[i].added < oldest->added)
                oldest = &near->references[i];
        }
        if (oldest->added == 0 || oldest->answers == 0 || turn == TURNS_MAX)
            return oldest;
        oldest->answers /= 2;
        oldest->added = ++near->added;
    }
}

void near_add(struct near *near, const struct near_ask *ask, const struct near_descriptor *descriptor, struct cache_key key, double margin)
{
    if (ask->new_for == 0)
        return;
    pthread_mutex_lock(&near->lock);
    struct reference *place = find_place(near);
    float kept = margin >= NEAR_MARGIN_MIN ? (float)margin : (float)NEAR_MARGIN_MIN; /* no number: the least */
    *place = (struct reference){.key = key, .added = ++near->added, .levels = ask->new_for, .margin = kept, .descriptor = *descriptor};
    near->latest = (int)(place - near->references);
    pthread_mutex_unlock(&near->lock);
}

void near_drop_references(struct near *near)
{
    pthread_mutex_lock(&near->lock);
    for (int i = 0; i < NEAR_REFERENCES; i++)
        near->references[i].added = 0;
    near->added = 0;
    pthread_mutex_unlock(&near->lock);
}

void near_forget(struct near *near)
{
    near_drop_references(near);
    pthread_mutex_lock(&near->lock);
    begin(near);
    near->looks = 0;
    memset(near->inferred, 0, sizeof near->inferred);
    near->changed = true;
    near->audits = near->audit_disagreements = 0;
    pthread_mutex_unlock(&near->lock);
}

struct saved {
    uint32_t version, bytes;
    struct evidence evidence;
    uint64_t audits, audit_disagreements;
};

size_t near_save(struct near *near, void *bytes, size_t capacity)
{
    pthread_mutex_lock(&near->lock);
    bool wanted = near->changed && capacity >= sizeof(struct saved);
    struct saved saved = {.version = SAVED_VERSION, .bytes = sizeof saved, .evidence = near->evidence, .audits = near->audits,
                          .audit_disagreements = near->audit_disagreements};
    if (wanted) {
        memcpy(bytes, &saved, sizeof saved);
        near->changed = false;
    }
    pthread_mutex_unlock(&near->lock);
    return wanted ? sizeof saved : 0;
}

static bool is_sound(const struct evidence *evidence)
{
    bool sound = isfinite(evidence->samples) && isfinite(evidence->alarm) && evidence->trusted >= -1 && evidence->trusted < EVIDENCE_LEVELS;
    for (int level = 0; level < EVIDENCE_LEVELS; level++)
        sound &= evidence->wrong[level] >= 0 && evidence->wrong[level] <= evidence->samples && evidence->tried[level] >= 0;
    return sound;
}

void near_restore(struct near *near, const void *bytes, size_t length)
{
    struct saved saved;
    if (length != sizeof saved)
        return;
    memcpy(&saved, bytes, sizeof saved);
    pthread_mutex_lock(&near->lock);
    /* another promise is another proof */
    if (saved.version == SAVED_VERSION && saved.bytes == sizeof saved && saved.evidence.max_disagreement == near->evidence.max_disagreement &&
        is_sound(&saved.evidence)) {
        near->evidence = saved.evidence;
        near->audits = saved.audits;
        near->audit_disagreements = saved.audit_disagreements;
    }
    pthread_mutex_unlock(&near->lock);
}

void near_get_statistics(struct near *near, struct near_statistics *statistics_out)
{
    pthread_mutex_lock(&near->lock);
    const struct evidence *evidence = &near->evidence;
    int level = evidence->trusted > 0 ? evidence->trusted : 0;
    *statistics_out = (struct near_statistics){.max_disagreement = evidence->max_disagreement, .samples = evidence->samples,
                                               .trusted_distance = evidence->trusted >= 0 ? evidence_distance(level) : 0,
                                               .wrong = evidence->wrong[level], .audits = near->audits,
                                               .audit_disagreements = near->audit_disagreements};
    for (int i = 0; i < NEAR_REFERENCES; i++)
        statistics_out->references += near->references[i].added != 0;
    pthread_mutex_unlock(&near->lock);
    statistics_out->bound = evidence_upper_bound(statistics_out->samples, statistics_out->wrong, statistics_out->max_disagreement);
}
