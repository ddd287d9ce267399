/* SPDX-License-Identifier: Apache-2.0
 *
 * A power cut at any moment: the outbox opens, and holds exactly what its last commit or the one under way left. Only removals that no other commit
 * followed may be undone. */
#include "tests/transport/cut_vfs.h"
#include "transport/outbox.h"

#include <unistd.h>

enum { ROUNDS = 500, COMMITS = 60, BUDGET = 1 << 20, TAKEN = 500, BODY_BYTES_MAX = 9000, OPERATIONS_MAX = 700 };

/* What the outbox held after each commit. */
static struct {
    int64_t next_seq[COMMITS + 1], oldest[COMMITS + 1];
    bool removes_only[COMMITS];
    int commits, commits_at_cut, promised, promised_at_cut; /* promised: up to the last one that did more than remove */
    bool was_cut;
} model;

static void note_cut(void)
{
    model.commits_at_cut = model.commits;
    model.promised_at_cut = model.promised;
    model.was_cut = true;
}

static void fill(char *body, size_t bytes, int64_t seq)
{
    uint64_t state = (uint64_t)seq * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        body[i] = (char)state;
    }
}

static size_t body_bytes(int64_t seq)
{
    return 1 + (size_t)((uint64_t)seq * 2654435761u % BODY_BYTES_MAX);
}

static uint64_t input_of(int commit)
{
    return (uint64_t)(commit + 1) * 0xD6E8FEB86659FD93u;
}

static void commit(struct outbox *outbox, unsigned *random)
{
    static char bodies[4][BODY_BYTES_MAX + 1];
    struct outbox_batch batches[4];
    int64_t next = outbox_next_seq(outbox), oldest = model.oldest[model.commits], removed[64];
    size_t batch_count = (size_t)(rand_r(random) % 4), removed_count = 0;
    for (size_t i = 0; i < batch_count; i++, next++) {
        batches[i] = (struct outbox_batch){.first_seq = next, .last_seq = next, .pipeline = "p", .count = 1, .urgent = next % 5 == 0, .body = bodies[i],
                                           .body_bytes = body_bytes(next)};
        fill(bodies[i], batches[i].body_bytes, next);
    }
    for (int64_t most = rand_r(random) % 4; most > 0 && oldest < outbox_next_seq(outbox); most--)
        removed[removed_count++] = oldest++;
    uint64_t input = input_of(model.commits);
    struct error error;
    bool removes_only = batch_count == 0 && removed_count > 0;
    struct outbox_change change = {.batches = batches, .batch_count = batch_count, .inputs = &input, .input_count = removes_only ? 0 : 1,
                                   .removed = removed, .removed_count = removed_count};
    model.removes_only[model.commits] = removes_only;
    CHECK_INTEGER(outbox_commit(outbox, &change, &error), ERROR_NONE);
    model.commits++;
    model.promised = removes_only ? model.promised : model.commits;
    model.next_seq[model.commits] = next;
    model.oldest[model.commits] = oldest;
}

/* Which of the model's states the outbox is in, -1: none. */
static int state_of(struct outbox *outbox)
{
    static char expected[BODY_BYTES_MAX + 1];
    int64_t seq = -1, first = -1;
    struct outbox_batch batch;
    for (int64_t from = 0; outbox_find(outbox, from, &batch); from = batch.last_seq + 1) {
        fill(expected, batch.body_bytes, batch.first_seq);
        if ((seq >= 0 && batch.first_seq != seq) || batch.body_bytes != body_bytes(batch.first_seq) ||
            memcmp(batch.body, expected, batch.body_bytes) != 0)
            return -1;
        first = first < 0 ? batch.first_seq : first;
        seq = batch.last_seq + 1;
    }
    for (int i = model.commits; i >= 0; i--) {
        int last = i - 1;
        while (last >= 0 && model.removes_only[last])
            last--;
        bool taken = last < 0 || outbox_was_taken(outbox, input_of(last)), further = outbox_was_taken(outbox, input_of(i));
        bool same = first < 0 ? model.oldest[i] == model.next_seq[i] : model.oldest[i] == first && model.next_seq[i] == seq;
        if (taken && !further && same && outbox_next_seq(outbox) == model.next_seq[i])
            return i;
    }
    return -1;
}

static void remove_folder(const char *folder)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

/* true: what the disk held was the state after the last commit that had returned, or after the one under way. */
static bool round_holds(unsigned seed, const char *folder, const char *image)
{
    char path[PATH_MAX];
    struct outbox *outbox;
    struct error error;
    bool set_aside, holds = false;
    unsigned random = seed;
    memset(&model, 0, sizeof model);
    model.next_seq[0] = model.oldest[0] = 1;
    cut_install();
    snprintf(cut.image_folder, sizeof cut.image_folder, "%s", image);
    cut.on_cut = note_cut;
    cut.operations_until_cut = -1;
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    CHECK_INTEGER(outbox_open(path, BUDGET, TAKEN, &outbox, &set_aside, &error), ERROR_NONE);
    cut.random = seed;
    cut.operations_until_cut = rand_r(&random) % OPERATIONS_MAX;
    while (model.commits < COMMITS && !model.was_cut)
        commit(outbox, &random);
    if (!model.was_cut)
        cut_write_image();
    cut.operations_until_cut = -1;
    outbox_close(outbox);
    cut_remove();
    snprintf(path, sizeof path, "%s/outbox.db", image);
    if (outbox_open(path, BUDGET, TAKEN, &outbox, &set_aside, &error) != ERROR_NONE)
        return false;
    int state = set_aside ? -1 : state_of(outbox);
    holds = state >= model.promised_at_cut && state <= model.commits_at_cut + 1;
    if (!holds && !cut.lies)
        printf("seed %u: after %d commits the disk held %s%d\n", seed, model.commits_at_cut, set_aside ? "a damaged file, state " : "state ", state);
    outbox_close(outbox);
    return holds;
}

static int count_rounds_that_hold(int rounds, bool lies)
{
    int hold = 0;
    cut.lies = lies;
    for (int i = 0; i < rounds; i++) {
        char folder[] = "/tmp/eddy-cut-XXXXXX", image[] = "/tmp/eddy-cut-XXXXXX";
        CHECK(mkdtemp(folder) != NULL && mkdtemp(image) != NULL);
        hold += round_holds((unsigned)i + 1, folder, image);
        remove_folder(folder);
        remove_folder(image);
    }
    return hold;
}

static void after_a_power_cut_the_outbox_holds_what_was_committed(void)
{
    CHECK_INTEGER(count_rounds_that_hold(ROUNDS, false), ROUNDS);
}

static void removals_alone_wait_for_no_sync_and_what_follows_does(void)
{
    char folder[] = "/tmp/eddy-cut-XXXXXX", path[PATH_MAX];
    const int64_t removed = 1;
    struct outbox_batch batch = {.first_seq = 1, .last_seq = 1, .pipeline = "p", .count = 1, .body = "x", .body_bytes = 1};
    struct outbox *outbox;
    struct error error;
    bool set_aside;
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    cut_install();
    cut.operations_until_cut = -1;
    CHECK_INTEGER(outbox_open(path, BUDGET, TAKEN, &outbox, &set_aside, &error), ERROR_NONE);
    for (int seq = 1; seq <= 3; seq++) {
        batch.first_seq = batch.last_seq = seq;
        int before = cut.syncs;
        CHECK_INTEGER(outbox_commit(outbox, &(struct outbox_change){.batches = &batch, .batch_count = 1}, &error), ERROR_NONE);
        CHECK(cut.syncs > before);
        before = cut.syncs;
        CHECK_INTEGER(outbox_commit(outbox, &(struct outbox_change){.removed = &removed, .removed_count = 1}, &error), ERROR_NONE);
        CHECK_INTEGER(cut.syncs, before);
    }
    outbox_close(outbox);
    cut_remove();
    remove_folder(folder);
}

/* Else the power cuts above would prove nothing. */
static void a_disk_that_lies_about_syncing_is_noticed(void)
{
    enum { SOME = 50 };
    CHECK(count_rounds_that_hold(SOME, true) < SOME / 2);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(after_a_power_cut_the_outbox_holds_what_was_committed),
                                                              CASE(removals_alone_wait_for_no_sync_and_what_follows_does),
                                                              CASE(a_disk_that_lies_about_syncing_is_noticed), {0}});
}
