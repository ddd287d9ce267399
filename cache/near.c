/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/near.h"

#include "cache/evidence.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { DOUBT_HITS = 128, BLOCK = 48, LANES = 8, TURNS_MAX = 8, SAVED_VERSION = 1 };

struct reference {
    struct cache_key key;
    uint64_t added;        /* when, counted in references; 0: free */
    uint32_t answers;      /* since its last turn, and half of those before */
    struct near_descriptor descriptor;
};

struct near {
    pthread_mutex_t lock;
    struct evidence evidence;
    double start_distance;
    struct reference *references; /* [NEAR_REFERENCES] */
    uint64_t added;
    uint64_t random;
    int doubt;                    /* hits that are still audited more often */
    bool changed;                 /* since near_save */
    struct near_statistics statistics;
};

static void begin(struct near *near)
{
    evidence_init(&near->evidence, near->evidence.max_disagreement);
    if (near->start_distance > 0)
        evidence_presume(&near->evidence, near->start_distance);
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

/* xorshift64: which hits are audited must not depend on the inputs */
static bool one_in(struct near *near, unsigned count)
{
    near->random ^= near->random << 13;
    near->random ^= near->random >> 7;
    near->random ^= near->random << 17;
    return (near->random >> 32) % count == 0;
}

/* Sum of fourth powers; stops early above the limit. */
static float difference(const struct near_descriptor *a, const struct near_descriptor *b, float limit)
{
    float sum = 0;
    for (int begins = 0; begins < a->count && sum <= limit; begins += BLOCK) {
        float lanes[LANES] = {0}; /* so that the order of additions leaves the compiler free to use vectors */
        for (int i = begins; i < begins + BLOCK; i += LANES) {
            for (int k = 0; k < LANES; k++) {
                float square = (a->values[i + k] - b->values[i + k]) * (a->values[i + k] - b->values[i + k]);
                lanes[k] += square * square;
            }
        }
        for (int k = 0; k < LANES; k++)
            sum += lanes[k];
    }
    return sum;
}

static struct reference *find_nearest(struct near *near, const struct near_descriptor *descriptor, double *distance_out)
{
    struct reference *nearest = NULL;
    float least = INFINITY;
    for (int i = 0; i < NEAR_REFERENCES; i++) {
        struct reference *reference = &near->references[i];
        if (reference->added == 0 || reference->descriptor.count != descriptor->count || reference->descriptor.width != descriptor->width ||
            reference->descriptor.height != descriptor->height)
            continue;
        float sum = difference(descriptor, &reference->descriptor, least);
        if (sum < least) {
            least = sum;
            nearest = reference;
        }
    }
    *distance_out = nearest != NULL ? pow((double)least / descriptor->count, 0.25) : 0;
    return nearest;
}

static bool wants_audit(struct near *near)
{
    if (near->doubt == 0)
        return one_in(near, NEAR_AUDIT_ONE_IN);
    near->doubt--;
    return one_in(near, NEAR_AUDIT_ONE_IN_DOUBT);
}

enum near_advice near_ask(struct near *near, const struct near_descriptor *descriptor, struct near_match *match_out)
{
    *match_out = (struct near_match){0};
    enum near_advice advice = NEAR_MISS;
    pthread_mutex_lock(&near->lock);
    struct reference *nearest = find_nearest(near, descriptor, &match_out->distance);
    if (nearest != NULL) {
        match_out->known = true;
        match_out->key = nearest->key;
        nearest->answers++;
        if (match_out->distance <= near->evidence.trusted_distance)
            advice = wants_audit(near) ? NEAR_AUDIT : NEAR_HIT;
    }
    pthread_mutex_unlock(&near->lock);
    return advice;
}

void near_learn(struct near *near, const struct near_match *match, enum near_advice advice, bool agreed)
{
    pthread_mutex_lock(&near->lock);
    evidence_add(&near->evidence, match->distance, agreed, advice == NEAR_AUDIT);
    near->changed = true;
    if (advice == NEAR_AUDIT) {
        near->statistics.audits++;
        near->statistics.audit_disagreements += !agreed;
        near->doubt = agreed ? near->doubt : DOUBT_HITS;
    } else {
        near->statistics.comparisons++;
        near->statistics.disagreements += !agreed;
    }
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

void near_add(struct near *near, const struct near_descriptor *descriptor, struct cache_key key)
{
    pthread_mutex_lock(&near->lock);
    struct reference *place = find_place(near);
    *place = (struct reference){.key = key, .added = ++near->added, .descriptor = *descriptor};
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
    near->doubt = 0;
    near->changed = true;
    near->statistics = (struct near_statistics){0};
    pthread_mutex_unlock(&near->lock);
}

struct saved {
    uint32_t version, bytes;
    struct evidence evidence;
    uint64_t audits, audit_disagreements, comparisons, disagreements;
};

size_t near_save(struct near *near, void *bytes, size_t capacity)
{
    pthread_mutex_lock(&near->lock);
    bool wanted = near->changed && capacity >= sizeof(struct saved);
    struct saved saved = {.version = SAVED_VERSION, .bytes = sizeof saved, .evidence = near->evidence, .audits = near->statistics.audits,
                          .audit_disagreements = near->statistics.audit_disagreements, .comparisons = near->statistics.comparisons,
                          .disagreements = near->statistics.disagreements};
    if (wanted) {
        memcpy(bytes, &saved, sizeof saved);
        near->changed = false;
    }
    pthread_mutex_unlock(&near->lock);
    return wanted ? sizeof saved : 0;
}

static bool is_sound(const struct evidence *evidence)
{
    bool sound = isfinite(evidence->trusted_distance) && evidence->trusted_distance >= 0 && isfinite(evidence->alarm);
    for (int i = 0; i < EVIDENCE_BINS; i++)
        sound &= isfinite(evidence->compared[i]) && evidence->disagreed[i] >= 0 && evidence->compared[i] >= evidence->disagreed[i];
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
        near->statistics.audits = saved.audits;
        near->statistics.audit_disagreements = saved.audit_disagreements;
        near->statistics.comparisons = saved.comparisons;
        near->statistics.disagreements = saved.disagreements;
    }
    pthread_mutex_unlock(&near->lock);
}

void near_get_statistics(struct near *near, struct near_statistics *statistics_out)
{
    pthread_mutex_lock(&near->lock);
    *statistics_out = near->statistics;
    statistics_out->max_disagreement = near->evidence.max_disagreement;
    statistics_out->trusted_distance = near->evidence.trusted_distance;
    for (int i = 0; i < NEAR_REFERENCES; i++)
        statistics_out->references += near->references[i].added != 0;
    pthread_mutex_unlock(&near->lock);
    statistics_out->bound = evidence_upper_bound((double)statistics_out->audits, (double)statistics_out->audit_disagreements,
                                                 statistics_out->max_disagreement);
}
