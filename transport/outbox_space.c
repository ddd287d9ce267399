/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/outbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    BALLAST_BYTES = 1 << 20,
    BALLAST_BYTES_MIN = 1 << 18,
    RESERVE_BYTES = 1 << 18,  /* of a disk without ballast: what the WAL needs to delete */
    BALLAST_RETRY_COMMITS = 64,
    VACUUM_FROM_BYTES = 1 << 20,  /* free space that is not worth giving back */
    VACUUM_USED_BYTES = 1 << 20,  /* what may be in use, and is moved if it lies at the file's end */
    VACUUM_SHARE = 4,             /* so many times what is in use must be free */
};

static int64_t free_bytes(const struct outbox *outbox)
{
    struct statvfs space;
    return statvfs(outbox->path, &space) == 0 ? (int64_t)space.f_bavail * (int64_t)space.f_frsize : 0;
}

/* A quarter of the budget, and no more than leaves the disk three times as much; 0: there is not enough for one. */
static int64_t ballast_bytes(const struct outbox *outbox)
{
    int64_t budget = outbox->bytes_max / 4 < BALLAST_BYTES ? outbox->bytes_max / 4 : BALLAST_BYTES, room = free_bytes(outbox) / 4;
    int64_t bytes = room < budget ? room : budget;
    return bytes >= BALLAST_BYTES_MIN ? bytes : 0;
}

static void ballast_path(const struct outbox *outbox, char path[OUTBOX_PATH_BYTES + 16])
{
    snprintf(path, OUTBOX_PATH_BYTES + 16, "%s.ballast", outbox->path);
}

static bool ballast_make(const struct outbox *outbox)
{
    char path[OUTBOX_PATH_BYTES + 16];
    ballast_path(outbox, path);
    unlink(path); /* what a former run left counts as free */
    int64_t bytes = ballast_bytes(outbox);
    if (bytes == 0)
        return false;
    int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    bool made = posix_fallocate(file, 0, bytes) == 0;
    close(file);
    if (!made)
        unlink(path);
    return made;
}

static void limit_pages(struct outbox *outbox, int64_t pages)
{
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages);
    (void)outbox_run(outbox, sql); /* SQLite takes any number and never goes below what is in use */
}

/* Without ballast the file may grow by half of what is free beyond the reserve: the WAL takes the other half first. */
static int64_t pages_for_space(struct outbox *outbox)
{
    int64_t beyond = free_bytes(outbox) - RESERVE_BYTES, pages = outbox_number(outbox, OUTBOX_PAGE_COUNT);
    pages += beyond > 0 ? beyond / 2 / outbox->page_bytes : 0;
    return pages < outbox->pages_max ? pages : outbox->pages_max;
}

static bool thaw_a_little(struct outbox *outbox)
{
    int64_t before = outbox->frozen_pages;
    outbox->frozen_pages = pages_for_space(outbox);
    limit_pages(outbox, outbox->frozen_pages);
    return outbox->frozen_pages > before;
}

void outbox_ballast_open(struct outbox *outbox)
{
    outbox->ballast_there = ballast_make(outbox);
    outbox->frozen = !outbox->ballast_there;
    if (outbox->frozen)
        (void)thaw_a_little(outbox);
    else
        limit_pages(outbox, outbox->pages_max);
}

bool outbox_is_full(const struct outbox *outbox, int status)
{
    if ((status & 0xff) == SQLITE_FULL)
        return true;
    int cause = outbox->database != NULL ? sqlite3_system_errno(outbox->database) : 0;
    return (status & 0xff) == SQLITE_IOERR && (cause == ENOSPC || cause == EDQUOT || cause == EFBIG);
}

static int evict_oldest(struct outbox *outbox, struct outbox_state *state, int64_t *bytes_out)
{
    int image = outbox_evict_image(outbox, state, bytes_out);
    if (image != SQLITE_NOTFOUND)
        return image;
    int thinned = outbox_thin_oldest(outbox, state, bytes_out);
    if (thinned != SQLITE_NOTFOUND)
        return thinned;
    int64_t oldest = outbox_number(outbox, OUTBOX_OLDEST), results = 0;
    if (oldest < 0)
        return SQLITE_NOTFOUND;
    int status = outbox_remove_batch(outbox, oldest, state, &results, bytes_out);
    state->evicted_results += results;
    return status;
}

bool outbox_is_over_budget(struct outbox *outbox)
{
    int64_t allowed = outbox->pages_max - outbox->pages_max / 8; /* the rest lets the next commit in without a second try */
    return outbox_number(outbox, OUTBOX_PAGE_COUNT) - outbox_number(outbox, OUTBOX_FREE_PAGES) > allowed;
}

int outbox_evict_to_budget(struct outbox *outbox, struct outbox_state *state)
{
    for (;;) {
        if (!outbox_is_over_budget(outbox) || state->batches <= 0)
            return SQLITE_OK;
        int64_t bytes;
        int status = evict_oldest(outbox, state, &bytes);
        if (status != SQLITE_OK)
            return status == SQLITE_NOTFOUND ? SQLITE_OK : status;
    }
}

static bool evict_bytes(struct outbox *outbox, int64_t bytes_wanted)
{
    struct outbox_state state = outbox->state;
    int64_t freed = 0, bytes = 0, evicted = 0;
    int status = outbox_begin(outbox);
    while (status == SQLITE_OK && freed < bytes_wanted && (status = evict_oldest(outbox, &state, &bytes)) == SQLITE_OK) {
        freed += bytes;
        evicted++;
    }
    status = status == SQLITE_NOTFOUND && evicted > 0 ? SQLITE_OK : status;
    if (status == SQLITE_OK)
        status = outbox_write_state(outbox, &state);
    if (status == SQLITE_OK)
        status = outbox_step(outbox, OUTBOX_COMMIT);
    if (status != SQLITE_OK) {
        if (!sqlite3_get_autocommit(outbox->database))
            (void)outbox_step(outbox, OUTBOX_ROLLBACK);
        return false;
    }
    outbox->state = state;
    return evicted > 0;
}

/* At a full disk the deletion that would help needs room itself: the ballast gives it, and from then on the file may not grow, so that the
 * room stays there for the WAL. */
bool outbox_make_room(struct outbox *outbox, int64_t bytes_wanted)
{
    bool at_budget = outbox_number(outbox, OUTBOX_PAGE_COUNT) + 8 >= outbox->pages_max;
    bool helped = false;
    if (!at_budget && !outbox->frozen) {
        char path[OUTBOX_PATH_BYTES + 16];
        ballast_path(outbox, path);
        unlink(path);
        outbox->ballast_there = false;
        outbox->frozen = true;
        (void)sqlite3_wal_checkpoint_v2(outbox->database, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        (void)thaw_a_little(outbox);
        helped = true;
    } else if (outbox->frozen) {
        helped = thaw_a_little(outbox);
    }
    int64_t least = outbox->state.bytes / 16; /* some more than is needed now, so that not every commit comes here */
    bool evicted = !helped && evict_bytes(outbox, bytes_wanted > least ? bytes_wanted : least);
    if (outbox->frozen)
        (void)sqlite3_wal_checkpoint_v2(outbox->database, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    return evicted || helped;
}

/* Giving pages back moves those in use from the file's end to its beginning, which writes each of them twice: it waits until there are few. */
static bool is_mostly_free(struct outbox *outbox)
{
    int64_t free_pages = outbox_number(outbox, OUTBOX_FREE_PAGES), used_pages = outbox_number(outbox, OUTBOX_PAGE_COUNT) - free_pages;
    return free_pages * outbox->page_bytes > VACUUM_FROM_BYTES && free_pages > VACUUM_SHARE * used_pages &&
           used_pages * outbox->page_bytes <= VACUUM_USED_BYTES;
}

/* All free pages at once. incremental_vacuum searches the whole list of free pages for each page that it gives back (SQLite's incrVacuumStep), which
 * took a second a step after a backlog of 100 MB; a commit with auto_vacuum FULL drops the list as a whole. */
static void give_pages_back(struct outbox *outbox)
{
    (void)outbox_run(outbox, "PRAGMA auto_vacuum = FULL");
    (void)outbox_run(outbox, "PRAGMA auto_vacuum = INCREMENTAL");
}

/* Best effort, after what counts is safe: what fails here is tried again with a later commit. */
void outbox_after_commit(struct outbox *outbox)
{
    if (outbox->frozen) {
        (void)sqlite3_wal_checkpoint_v2(outbox->database, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
        if (outbox->commits % BALLAST_RETRY_COMMITS == 0)
            outbox_ballast_open(outbox);
    } else if (outbox->commits % 16 == 0 && is_mostly_free(outbox)) {
        give_pages_back(outbox);
    }
}
