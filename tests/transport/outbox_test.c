/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/check.h"
#include "transport/outbox_internal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUDGET = 8 << 20, TAKEN = 64, MEMORY_BYTES_MIN = 256 << 20 };

static char folder[64], path[128];

static void begin_in(const char *parent)
{
    snprintf(folder, sizeof folder, "%s/eddy-outbox-XXXXXX", parent);
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
}

/* In memory where there is room: these thousands of commits are not about what a disk keeps (power_cut_test is), and each would wait for it. */
static void begin(void)
{
    struct statvfs memory;
    bool room = statvfs("/dev/shm", &memory) == 0 && memory.f_bavail * memory.f_frsize >= MEMORY_BYTES_MIN && access("/dev/shm", W_OK) == 0;
    begin_in(room ? "/dev/shm" : "/tmp");
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

static struct outbox *open_outbox(int64_t budget, bool *set_aside_out)
{
    struct outbox *outbox = NULL;
    struct error error;
    CHECK_OK(outbox_open(path, budget, TAKEN, &outbox, set_aside_out, &error), error);
    return outbox;
}

static struct outbox *reopen(struct outbox *outbox)
{
    bool set_aside;
    outbox_close(outbox);
    outbox = open_outbox(BUDGET, &set_aside);
    CHECK(!set_aside);
    return outbox;
}

static void fill(char *body, size_t bytes, int64_t seq)
{
    uint64_t state = (uint64_t)seq * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        body[i] = (char)state;
    }
}

static enum error_code add(struct outbox *outbox, int count, size_t bytes, struct error *error)
{
    static char body[1 << 20];
    int64_t first = outbox_next_seq(outbox);
    fill(body, bytes, first);
    struct outbox_batch batch = {.first_seq = first, .last_seq = first + count - 1, .pipeline = "line", .count = count,
                                 .encoding = OUTBOX_LZ4, .body = body, .body_bytes = bytes};
    return outbox_commit(outbox, &(struct outbox_change){.batches = &batch, .batch_count = 1}, error);
}

static void check_body(const struct outbox_batch *batch)
{
    static char expected[1 << 20];
    CHECK(batch->body_bytes <= sizeof expected);
    fill(expected, batch->body_bytes, batch->first_seq);
    CHECK(batch->body_bytes == 0 || memcmp(expected, batch->body, batch->body_bytes) == 0);
}

static struct outbox_statistics statistics_of(const struct outbox *outbox)
{
    struct outbox_statistics statistics;
    outbox_get_statistics(outbox, &statistics);
    return statistics;
}

static uint64_t digest_of(int number)
{
    return (uint64_t)number * UINT64_C(0x9E3779B97F4A7C15);
}

static void what_was_committed_is_there_after_reopening(void)
{
    begin();
    bool set_aside;
    struct error error;
    struct outbox_batch batch;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    CHECK(!set_aside);
    CHECK_INTEGER(outbox_next_seq(outbox), 1);
    for (int i = 0; i < 10; i++)
        CHECK_OK(add(outbox, 7, (size_t)i * 3000, &error), error);
    outbox = reopen(outbox);
    CHECK_INTEGER(outbox_next_seq(outbox), 71);
    int64_t from = 0;
    for (int i = 0; i < 10; i++) {
        CHECK(outbox_find(outbox, from, &batch));
        CHECK_INTEGER(batch.first_seq, 1 + 7 * i);
        CHECK_INTEGER(batch.last_seq, 7 + 7 * i);
        CHECK_INTEGER(batch.count, 7);
        CHECK_INTEGER(batch.encoding, OUTBOX_LZ4);
        CHECK_INTEGER(batch.body_bytes, i * 3000);
        CHECK_TEXT(batch.pipeline, "line");
        check_body(&batch);
        from = batch.last_seq + 1;
    }
    CHECK(!outbox_find(outbox, from, &batch));
    CHECK_INTEGER(statistics_of(outbox).batches, 10);
    CHECK_INTEGER(statistics_of(outbox).bytes, 45 * 3000);
    outbox_close(outbox);
    end();
}

static void removed_batches_are_gone_and_seq_never_repeats(void)
{
    begin();
    bool set_aside;
    struct error error;
    struct outbox_batch batch;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (int round = 0; round < 20; round++) {
        int64_t first = outbox_next_seq(outbox);
        CHECK_INTEGER(first, 1 + 6 * round);
        CHECK_OK(add(outbox, 3, 500, &error), error);
        CHECK_OK(add(outbox, 3, 500, &error), error);
        int64_t removed[] = {first, first + 3, 999999};
        CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.removed = removed, .removed_count = 3}, &error), error);
        CHECK(!outbox_find(outbox, 0, &batch));
        CHECK_INTEGER(statistics_of(outbox).batches, 0);
        CHECK_INTEGER(statistics_of(outbox).bytes, 0);
        outbox = reopen(outbox);
    }
    char body[] = "x";
    struct outbox_batch wrong = {.first_seq = 5, .last_seq = 5, .pipeline = "line", .count = 1, .body = body, .body_bytes = 1};
    CHECK_INTEGER(outbox_commit(outbox, &(struct outbox_change){.batches = &wrong, .batch_count = 1}, &error), ERROR_INTERNAL);
    outbox_close(outbox);
    CHECK(unlink(path) == 0);
    outbox = open_outbox(BUDGET, &set_aside); /* the file was removed by hand: numbering still goes on */
    CHECK(outbox_next_seq(outbox) > 120);
    outbox_close(outbox);
    end();
}

static int64_t bytes_on_disk(void)
{
    char with_ending[160];
    struct stat state;
    int64_t bytes = stat(path, &state) == 0 ? state.st_size : 0;
    snprintf(with_ending, sizeof with_ending, "%s-wal", path);
    return bytes + (stat(with_ending, &state) == 0 ? state.st_size : 0);
}

static void past_the_budget_the_oldest_go_first_and_are_counted(void)
{
    begin();
    bool set_aside;
    struct error error;
    struct outbox_batch batch;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    int64_t batches = 4000, results = 4;
    for (int i = 0; i < batches; i++)
        CHECK_OK(add(outbox, (int)results, 2000 + (size_t)i % 7 * 1500, &error), error);
    struct outbox_statistics statistics = statistics_of(outbox);
    CHECK(statistics.evicted_results > 0);
    CHECK_INTEGER(statistics.evicted_results + statistics.batches * results, batches * results);
    CHECK(bytes_on_disk() < BUDGET + BUDGET / 4);
    CHECK(statistics.bytes > BUDGET / 3);
    CHECK(outbox_find(outbox, 0, &batch)); /* what is left has no hole: the newest, to the last */
    CHECK_INTEGER(batch.first_seq, statistics.evicted_results + 1);
    int64_t left = 0;
    for (int64_t from = 0; outbox_find(outbox, from, &batch); from = batch.last_seq + 1, left++)
        check_body(&batch);
    CHECK_INTEGER(left, statistics.batches);
    outbox = reopen(outbox);
    CHECK_INTEGER(statistics_of(outbox).evicted_results, statistics.evicted_results);
    outbox_close(outbox);
    end();
}

static void an_emptied_outbox_gives_its_space_back(void)
{
    begin();
    bool set_aside;
    struct error error;
    struct outbox_batch batch;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (int i = 0; i < 900; i++)
        CHECK_OK(add(outbox, 1, 6000, &error), error);
    int64_t full = bytes_on_disk();
    while (outbox_find(outbox, 0, &batch)) {
        int64_t removed = batch.first_seq;
        CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.removed = &removed, .removed_count = 1}, &error), error);
    }
    outbox_close(outbox);
    CHECK(bytes_on_disk() < full / 3);
    end();
}

static int64_t pages_looked_at(struct outbox *outbox)
{
    int hits = 0, misses = 0, unused;
    sqlite3_db_status(outbox->database, SQLITE_DBSTATUS_CACHE_HIT, &hits, &unused, 0);
    sqlite3_db_status(outbox->database, SQLITE_DBSTATUS_CACHE_MISS, &misses, &unused, 0);
    return (int64_t)hits + misses;
}

/* A list of free pages that is searched for each page would be a stall that grows with the square of the backlog. */
static void draining_a_long_backlog_costs_no_more_a_batch_than_a_short_one(void)
{
    enum { GROUP = 32, BYTES = 20000 };
    static const int groups[] = {10, 50};
    int64_t looked[2];
    bool set_aside;
    struct error error;
    struct outbox_batch batch;
    for (int run = 0; run < 2; run++) {
        begin();
        struct outbox *outbox = open_outbox(INT64_C(1) << 30, &set_aside);
        for (int i = 0; i < groups[run]; i++) {
            static char body[BYTES];
            struct outbox_batch batches[GROUP];
            for (int k = 0; k < GROUP; k++)
                batches[k] = (struct outbox_batch){.first_seq = outbox_next_seq(outbox) + k, .last_seq = outbox_next_seq(outbox) + k, .pipeline = "line",
                                                   .count = 1, .body = body, .body_bytes = BYTES};
            CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.batches = batches, .batch_count = GROUP}, &error), error);
        }
        CHECK_OK(add(outbox, 1, BYTES, &error), error); /* stays, and lies at the end of the file */
        int64_t full = bytes_on_disk(), before = pages_looked_at(outbox), last = outbox_next_seq(outbox) - 1;
        for (int64_t seq = 1; seq < last; seq += GROUP) {
            int64_t removed[GROUP];
            for (int k = 0; k < GROUP; k++)
                removed[k] = seq + k;
            CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.removed = removed, .removed_count = GROUP}, &error), error);
        }
        for (int i = 0; i < 16; i++) /* it is looked at now and then */
            CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = (uint64_t[]){digest_of(i)}, .input_count = 1}, &error), error);
        looked[run] = (pages_looked_at(outbox) - before) / (groups[run] * GROUP);
        CHECK(outbox_find(outbox, 0, &batch));
        CHECK_INTEGER(batch.first_seq, last);
        check_body(&batch);
        outbox_close(outbox);
        CHECK(bytes_on_disk() < full / 4);
        end();
    }
    printf("pages looked at for a batch of 20 pages: %lld, in a backlog five times as long %lld\n", (long long)looked[0], (long long)looked[1]);
    CHECK(looked[1] < looked[0] * 3 / 2);
}

static int64_t wal_bytes(void)
{
    char wal[160];
    struct stat status;
    snprintf(wal, sizeof wal, "%s-wal", path);
    CHECK(stat(wal, &status) == 0);
    return status.st_size;
}

static void neither_storing_nor_removing_writes_much_beside_the_bodies(void)
{
    enum { BATCHES = 64, BYTES = 6000 };
    bool set_aside;
    struct error error;
    int64_t firsts[BATCHES];
    begin();
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    int64_t empty = wal_bytes();
    for (int i = 0; i < BATCHES; i++) {
        firsts[i] = outbox_next_seq(outbox);
        CHECK_OK(add(outbox, 64, BYTES, &error), error);
    }
    int64_t full = wal_bytes();
    CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.removed = firsts, .removed_count = BATCHES}, &error), error);
    int64_t removed = wal_bytes();
    printf("written for %d bytes of bodies: %lld to store, %lld to remove\n", BATCHES * BYTES, (long long)(full - empty), (long long)(removed - full));
    CHECK(full - empty < 2 * BATCHES * BYTES); /* a commit for each, and the log is not copied into the database yet */
    CHECK(removed - full < BATCHES * BYTES / 8);
    outbox_close(outbox);
    end();
}

static void images_wait_within_their_share_and_give_way_to_results(void)
{
    enum { IMAGES = 50, BYTES = 100 * 1024 };
    static char jpeg[BYTES];
    bool set_aside;
    struct error error;
    struct outbox_image image = {.seq = 7, .pipeline = "line", .id = "x", .reason = "every", .crop = true, .jpeg = jpeg, .jpeg_bytes = BYTES}, found;
    begin();
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (int i = 0; i < IMAGES; i++) {
        memset(jpeg, i, BYTES);
        CHECK_OK(outbox_store_image(outbox, &image, &error), error);
    }
    int64_t kept = BUDGET / 4 / BYTES;
    CHECK_INTEGER(statistics_of(outbox).images, kept);
    CHECK_INTEGER(statistics_of(outbox).evicted_images, IMAGES - kept);
    outbox = reopen(outbox);
    CHECK_INTEGER(statistics_of(outbox).images, kept);
    CHECK_INTEGER(statistics_of(outbox).image_bytes, kept * BYTES);
    CHECK(outbox_find_image(outbox, 0, &found));
    CHECK_INTEGER(found.number, IMAGES - kept + 1);
    CHECK(found.seq == 7 && found.crop && !found.redacted && strcmp(found.id, "x") == 0 && strcmp(found.reason, "every") == 0);
    CHECK(found.jpeg_bytes == BYTES && ((const char *)found.jpeg)[BYTES - 1] == (char)(IMAGES - kept));
    int64_t number = found.number;
    CHECK_OK(outbox_remove_images(outbox, &number, 1, &error), error);
    CHECK(outbox_find_image(outbox, 0, &found));
    CHECK_INTEGER(found.number, number + 1);
    for (int i = 0; statistics_of(outbox).images > 0; i++) {
        CHECK(i < 1000);
        CHECK_OK(add(outbox, 3, 64 * 1024, &error), error);
        CHECK_INTEGER(statistics_of(outbox).evicted_results, 0);
    }
    outbox_close(outbox);
    end();
}

static void a_taken_input_is_recognised_until_taken_max_others_came(void)
{
    begin();
    bool set_aside;
    struct error error;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (uint16_t round = 0; round < 30; round++) {
        uint64_t inputs[7];
        for (uint16_t i = 0; i < 7; i++)
            inputs[i] = digest_of(1 + round * 7 + i);
        CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = inputs, .input_count = 7}, &error), error);
        if (round % 4 == 3)
            outbox = reopen(outbox);
        int last = 7 + round * 7, recognised = 0;
        for (int id = 1; id <= last; id++) {
            bool taken = outbox_was_taken(outbox, digest_of(id));
            recognised += taken;
            if (id > last - TAKEN)
                CHECK(taken);
            CHECK(!outbox_was_taken(outbox, digest_of(id) + 1));
        }
        CHECK_INTEGER(recognised, last < TAKEN ? last : TAKEN);
    }
    uint64_t many[3 * TAKEN];
    for (uint16_t i = 0; i < 3 * TAKEN; i++)
        many[i] = digest_of(1000 + i);
    CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = many, .input_count = 3 * TAKEN}, &error), error);
    outbox = reopen(outbox);
    CHECK(outbox_was_taken(outbox, many[3 * TAKEN - 1]));
    CHECK(outbox_was_taken(outbox, many[2 * TAKEN]));
    CHECK(!outbox_was_taken(outbox, many[2 * TAKEN - 1]));
    outbox_close(outbox);
    end();
}

static void inputs_are_recognised_after_the_number_of_those_remembered_was_changed(void)
{
    static const int remembered[] = {64, 200, 500, 30, 100};
    begin();
    bool set_aside;
    struct error error;
    struct outbox *outbox;
    int total = 0, kept = 0;
    for (size_t i = 0; i < sizeof remembered / sizeof *remembered; i++) {
        int max = remembered[i];
        CHECK_OK(outbox_open(path, BUDGET, max, &outbox, &set_aside, &error), error);
        CHECK(!set_aside);
        kept = kept < max ? kept : max;
        for (int commit = 0; commit < 37; commit++) {
            uint64_t inputs[9];
            for (int k = 0; k < 9; k++)
                inputs[k] = digest_of(total++);
            kept = kept + 9 < max ? kept + 9 : max;
            CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = inputs, .input_count = 9}, &error), error);
        }
        outbox_close(outbox);
        CHECK_OK(outbox_open(path, BUDGET, max, &outbox, &set_aside, &error), error);
        for (int k = total - kept; k < total; k++)
            CHECK(outbox_was_taken(outbox, digest_of(k)));
        CHECK(kept == total || !outbox_was_taken(outbox, digest_of(total - max - 1)));
        outbox_close(outbox);
    }
    end();
}

static void inputs_taken_in_a_file_of_version_1_are_recognised(void)
{
    enum { BLOCK_1 = 256, INPUTS = BLOCK_1 + 44, REMEMBERED = 512 };
    begin();
    bool set_aside;
    struct error error;
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    uint64_t inputs[INPUTS + 1];
    for (int i = 0; i < INPUTS + 1; i++)
        inputs[i] = digest_of(i);
    sqlite3_stmt *insert = NULL;
    CHECK(outbox_run(outbox, "DROP TABLE taken; CREATE TABLE taken(number INTEGER PRIMARY KEY, inputs BLOB NOT NULL); PRAGMA user_version = 1") == SQLITE_OK);
    CHECK(sqlite3_prepare_v2(outbox->database, "INSERT INTO taken VALUES(?1, ?2)", -1, &insert, NULL) == SQLITE_OK);
    for (int block = 0; block < 2; block++) {
        int count = block == 0 ? BLOCK_1 : INPUTS - BLOCK_1;
        sqlite3_bind_int(insert, 1, block);
        sqlite3_bind_blob(insert, 2, inputs + block * BLOCK_1, count * (int)sizeof *inputs, SQLITE_STATIC);
        CHECK(sqlite3_step(insert) == SQLITE_DONE && sqlite3_reset(insert) == SQLITE_OK);
    }
    sqlite3_finalize(insert);
    outbox_close(outbox);
    for (int round = 0; round < 2; round++) { /* converted, and as it lies there afterwards */
        CHECK_OK(outbox_open(path, BUDGET, REMEMBERED, &outbox, &set_aside, &error), error);
        CHECK(!set_aside);
        for (int i = 0; i < INPUTS + round; i++)
            CHECK(outbox_was_taken(outbox, inputs[i]));
        CHECK(round == 1 || !outbox_was_taken(outbox, inputs[INPUTS]));
        if (round == 0)
            CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = inputs + INPUTS, .input_count = 1}, &error), error);
        outbox_close(outbox);
    }
    end();
}

static void what_the_broker_refuses_is_set_aside_within_bounds_and_can_come_back(void)
{
    enum { BATCHES = 40, BYTES = 64 * 1024 };
    struct error error;
    struct outbox_batch batch;
    bool set_aside;
    int64_t first, count;
    begin();
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (int i = 0; i < BATCHES; i++)
        CHECK_OK(add(outbox, 3, BYTES, &error), error);
    CHECK_OK(outbox_refuse(outbox, 4, 0x95, &error), error);
    CHECK_OK(outbox_refuse(outbox, 10, 0x87, &error), error);
    CHECK_INTEGER(statistics_of(outbox).refused_batches, 2);
    CHECK_INTEGER(statistics_of(outbox).batches, BATCHES - 2);
    CHECK(outbox_find(outbox, 4, &batch));
    CHECK_INTEGER(batch.first_seq, 7);
    outbox = reopen(outbox);
    CHECK_INTEGER(statistics_of(outbox).refused_batches, 2);
    CHECK_OK(outbox_restore_refused(outbox, OUTBOX_ALL, &first, &count, &error), error);
    CHECK_INTEGER(first, 4);
    CHECK_INTEGER(count, 2);
    CHECK(outbox_find(outbox, 4, &batch));
    CHECK_INTEGER(batch.first_seq, 4);
    check_body(&batch);
    CHECK_INTEGER(statistics_of(outbox).batches, BATCHES);
    CHECK_INTEGER(statistics_of(outbox).bytes, (int64_t)BATCHES * BYTES);
    struct outbox_refused refused;
    CHECK_OK(outbox_refuse(outbox, 4, 0x95, &error), error);
    CHECK_OK(outbox_refuse(outbox, 7, 0x87, &error), error);
    CHECK_OK(outbox_refuse(outbox, 10, 0x87, &error), error);
    CHECK(outbox_find_refused(outbox, 5, &refused));
    CHECK(refused.first_seq == 7 && refused.last_seq == 9 && refused.count == 3 && refused.bytes == BYTES && refused.reason == 0x87);
    CHECK_OK(outbox_drop_refused(outbox, 7, &count, &error), error);
    CHECK_INTEGER(count, 1);
    CHECK_INTEGER(statistics_of(outbox).evicted_results, 3);
    CHECK_OK(outbox_restore_refused(outbox, 10, &first, &count, &error), error);
    CHECK(first == 10 && count == 1);
    CHECK_OK(outbox_restore_refused(outbox, 7, &first, &count, &error), error);
    CHECK(first == -1 && count == 0);
    CHECK_OK(outbox_drop_refused(outbox, OUTBOX_ALL, &count, &error), error);
    CHECK(count == 1 && !outbox_find_refused(outbox, 0, &refused));
    CHECK_INTEGER(statistics_of(outbox).refused_batches, 0);
    for (int i = 0; i < BATCHES; i++) {
        if (i != 1 && i != 2) /* those were dropped */
            CHECK_OK(outbox_refuse(outbox, 1 + 3 * i, 0x87, &error), error);
    }
    CHECK_INTEGER(statistics_of(outbox).batches, 0);
    CHECK_INTEGER(statistics_of(outbox).refused_batches, BUDGET / 8 / BYTES);
    CHECK_INTEGER(statistics_of(outbox).evicted_results, 3 * (BATCHES - BUDGET / 8 / BYTES)); /* dropped ones among them */
    CHECK_OK(outbox_restore_refused(outbox, OUTBOX_ALL, &first, &count, &error), error);
    CHECK_OK(outbox_restore_refused(outbox, OUTBOX_ALL, &first, &count, &error), error);
    CHECK_INTEGER(first, -1);
    CHECK_INTEGER(count, 0);
    outbox_close(outbox);
    end();
}

/* Needs a disk that can be filled: a small tmpfs, so only where one may be mounted. */
static void a_full_disk_heals(void)
{
    begin();
    if (mount("tmpfs", folder, "tmpfs", 0, "size=6m") != 0) {
        printf("a full disk was not tried: mounting a tmpfs needs root\n");
        end();
        return;
    }
    bool set_aside;
    struct error error;
    char filler[160];
    struct outbox *outbox = open_outbox(64 << 20, &set_aside); /* a budget far beyond the disk */
    int failed = 0;
    for (int i = 0; i < 3000; i++)
        failed += add(outbox, 1, 5000, &error) != ERROR_NONE;
    struct outbox_statistics statistics = statistics_of(outbox);
    CHECK_INTEGER(failed, 0);
    CHECK(statistics.evicted_results > 1000);
    CHECK_INTEGER(outbox_next_seq(outbox), 3001);
    snprintf(filler, sizeof filler, "%s/filler", folder); /* now somebody else takes what is left */
    int file = open(filler, O_CREAT | O_WRONLY, 0600);
    static char zeros[4096];
    while (write(file, zeros, sizeof zeros) > 0) {
    }
    close(file);
    for (int i = 0; i < 500; i++)
        CHECK_OK(add(outbox, 1, 5000, &error), error);
    struct outbox_batch batch;
    int64_t expected = 0;
    for (int64_t from = 0; outbox_find(outbox, from, &batch); from = batch.last_seq + 1) {
        CHECK(expected == 0 || batch.first_seq == expected);
        check_body(&batch);
        expected = batch.last_seq + 1;
    }
    CHECK_INTEGER(expected, 3501);
    while (outbox_find(outbox, 0, &batch)) { /* and it still empties */
        int64_t removed = batch.first_seq;
        CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.removed = &removed, .removed_count = 1}, &error), error);
    }
    unlink(filler);
    for (int i = 0; i < 200; i++)
        CHECK_OK(add(outbox, 1, 500, &error), error);
    outbox_close(outbox);
    outbox = open_outbox(64 << 20, &set_aside);
    CHECK(!set_aside);
    CHECK_INTEGER(statistics_of(outbox).batches, 200);
    outbox_close(outbox);
    CHECK(umount(folder) == 0);
    end();
}

static void damage(const char *file_path, unsigned *random, int way)
{
    int file = open(file_path, O_RDWR);
    struct stat state;
    if (file < 0)
        return;
    CHECK(fstat(file, &state) == 0);
    if (way % 3 == 0) {
        CHECK(ftruncate(file, rand_r(random) % (state.st_size + 1)) == 0);
    } else {
        int flips = way % 3 == 1 ? 3 : 200;
        int64_t range = way % 2 == 0 ? state.st_size : (state.st_size < 4096 ? state.st_size : 4096);
        for (int i = 0; i < flips && range > 0; i++) {
            unsigned char byte;
            int64_t at = rand_r(random) % range;
            CHECK(pread(file, &byte, 1, at) == 1);
            byte ^= (unsigned char)(1u << (rand_r(random) % 8));
            CHECK(pwrite(file, &byte, 1, at) == 1);
        }
    }
    close(file);
}

static void a_damaged_file_works_or_is_set_aside(void)
{
    unsigned random = 20260101;
    int seen_aside = 0;
    for (int round = 0; round < 120; round++) {
        begin();
        bool set_aside = false;
        struct error error;
        struct outbox_batch batch;
        struct outbox *outbox = open_outbox(BUDGET, &set_aside);
        for (int i = 0; i < 40; i++)
            CHECK_OK(add(outbox, 5, 3000, &error), error);
        uint64_t input = digest_of(9);
        CHECK_OK(outbox_commit(outbox, &(struct outbox_change){.inputs = &input, .input_count = 1}, &error), error);
        outbox_close(outbox);
        damage(path, &random, round);
        outbox = open_outbox(BUDGET, &set_aside);
        seen_aside += set_aside;
        if (set_aside)
            CHECK(outbox_next_seq(outbox) >= 201);
        for (int64_t from = 0, steps = 0; outbox_find(outbox, from, &batch) && steps < 1000; from = batch.last_seq + 1, steps++)
            CHECK(batch.body_bytes <= BUDGET);
        int64_t next_seq = outbox_next_seq(outbox);
        for (int i = 0; i < 20; i++)
            CHECK_OK(add(outbox, 5, 3000, &error), error);
        CHECK_INTEGER(outbox_next_seq(outbox), next_seq + 100);
        outbox_close(outbox);
        end();
    }
    printf("%d of 120 damaged files were set aside at start\n", seen_aside);
    CHECK(seen_aside > 0);
}

struct promise {
    int64_t next_seq;
};

static void commit_for_ever(int reports)
{
    bool set_aside;
    struct error error;
    char body[900];
    struct outbox *outbox = open_outbox(BUDGET, &set_aside);
    for (;;) {
        int64_t first = outbox_next_seq(outbox), removed = first - 150;
        fill(body, sizeof body, first);
        struct outbox_batch batch = {.first_seq = first, .last_seq = first + 2, .pipeline = "line", .count = 3, .body = body,
                                     .body_bytes = sizeof body};
        uint64_t input = digest_of((int)first);
        struct outbox_change change = {.batches = &batch, .batch_count = 1, .inputs = &input, .input_count = 1, .removed = &removed,
                                       .removed_count = removed > 0};
        if (outbox_commit(outbox, &change, &error) != ERROR_NONE)
            _exit(3);
        struct promise promise = {.next_seq = outbox_next_seq(outbox)};
        if (write(reports, &promise, sizeof promise) != sizeof promise)
            _exit(4);
    }
}

static void every_reported_commit_survives_kill_9(void)
{
    begin_in("/tmp");
    unsigned random = 7;
    int64_t commits = 0;
    for (int round = 0; round < 15; round++) {
        int reports[2];
        CHECK(pipe(reports) == 0);
        pid_t child = fork();
        if (child == 0) {
            close(reports[0]);
            commit_for_ever(reports[1]);
        }
        close(reports[1]);
        struct promise last = {0}, promise;
        int until = 1 + rand_r(&random) % 400;
        for (int i = 0; read(reports[0], &promise, sizeof promise) == sizeof promise; i++) {
            last = promise;
            commits++;
            if (i == until)
                kill(child, SIGKILL);
        }
        close(reports[0]);
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));
        bool set_aside;
        struct outbox_batch batch;
        struct outbox *outbox = open_outbox(BUDGET, &set_aside);
        CHECK(!set_aside);
        CHECK(outbox_next_seq(outbox) >= last.next_seq);
        CHECK(outbox_next_seq(outbox) <= last.next_seq + 3); /* one more may have been committed than was reported */
        CHECK(outbox_find(outbox, last.next_seq - 3, &batch));
        CHECK_INTEGER(batch.first_seq, last.next_seq - 3);
        check_body(&batch);
        CHECK(outbox_was_taken(outbox, digest_of((int)last.next_seq - 3)));
        outbox_close(outbox);
    }
    printf("%lld commits reported, none lost\n", (long long)commits);
    end();
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(what_was_committed_is_there_after_reopening),
        CASE(removed_batches_are_gone_and_seq_never_repeats),
        CASE(past_the_budget_the_oldest_go_first_and_are_counted),
        CASE(an_emptied_outbox_gives_its_space_back),
        CASE(draining_a_long_backlog_costs_no_more_a_batch_than_a_short_one),
        CASE(neither_storing_nor_removing_writes_much_beside_the_bodies),
        CASE(images_wait_within_their_share_and_give_way_to_results),
        CASE(a_taken_input_is_recognised_until_taken_max_others_came),
        CASE(inputs_are_recognised_after_the_number_of_those_remembered_was_changed),
        CASE(inputs_taken_in_a_file_of_version_1_are_recognised),
        CASE(what_the_broker_refuses_is_set_aside_within_bounds_and_can_come_back),
        CASE(a_full_disk_heals),
        CASE(a_damaged_file_works_or_is_set_aside),
        CASE(every_reported_commit_survives_kill_9),
        {0}});
}
