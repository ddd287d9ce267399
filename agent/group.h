/* SPDX-License-Identifier: Apache-2.0
 *
 * group.h: what one commit makes durable: answered results as encoded batches, and the inputs that they answer.
 *
 * A job moves from its pipeline's order (answered or not, in the order of arrival) to its ready list (answered, and so is all before it), then to
 * the group's list of consumed jobs, when the last of its lines is in a batch. Batches get their seq here; nothing of it counts before the commit.
 * The committer's thread calls all of this, and group_collect under its lock, since workers mark jobs as answered. Memory is taken by group_init. */
#ifndef EDDY_AGENT_GROUP_H
#define EDDY_AGENT_GROUP_H

#include "agent/batch.h"
#include "agent/job.h"
#include "agent/pipeline.h"
#include "agent/window_log.h"
#include "base/error.h"
#include "transport/outbox.h"

enum { GROUP_BATCHES_MAX = 16, GROUP_INPUTS_MAX = OUTBOX_INPUTS_PER_COMMIT };

struct group_options {
    struct pipeline *pipelines;
    int pipeline_count;
    struct outbox *outbox;
    struct window_log *windows;
    int inputs_held_max;              /* as in committer_options */
    int64_t bytes_held_max;
};

struct group {
    struct group_options options;
    struct batch_encoder *encoder;
    struct outbox_batch batches[GROUP_BATCHES_MAX];
    char *bodies[GROUP_BATCHES_MAX];
    struct pipeline *batch_pipelines[GROUP_BATCHES_MAX];
    int batch_count;
    char *raw;
    int held_inputs;                  /* in the pipelines' ready lists, at QoS 1 */
    int64_t held_bytes;
    struct job_list consumed;         /* all their lines are in this commit's batches */
    uint64_t *inputs;                 /* [GROUP_INPUTS_MAX] */
};

/* What decides on when a batch closes, besides what is in it. */
struct group_moment {
    int64_t now_us;
    int64_t not_before_us;            /* the next commit, for the sake of the CPU or the flash */
    bool eager;                       /* a batch that closes now is sent at once */
    bool stopping;                    /* everything closes */
};

MUST_CHECK enum error_code group_init(struct group *group, const struct group_options *options, struct error *error);
void group_deinit(struct group *group); /* after a failed group_init too */

/* Moves what is answered, in order, from the pipeline's order to its ready list. */
void group_collect(struct group *group, struct pipeline *pipeline, int64_t now_us);
/* When this pipeline's ready results should go; now_us or less: at once; INT64_MAX: there are none. */
int64_t group_due_at(const struct group *group, const struct pipeline *pipeline, const struct group_moment *moment);
/* Makes batches of all that is due, as many as there is room for. */
void group_close_due(struct group *group, const struct group_moment *moment);
/* Fills `inputs` with the digests of the consumed inputs at QoS 1 and returns how many there are. */
size_t group_list_inputs(struct group *group);

#endif
