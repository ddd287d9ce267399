/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/outbox_internal.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MARK_STEP = 1 << 20, WAL_BYTES_MAX = 1 << 20, APPLICATION_ID = 0x65646479 /* "eddy" */ };

#define CHOSEN "(?1 = 0 OR first_seq = ?1)"
#define COLUMNS "first_seq, last_seq, pipeline, count, encoding, urgent, body"

static const char *const statement_texts[OUTBOX_STATEMENTS] = {
    [OUTBOX_BEGIN] = "BEGIN IMMEDIATE",
    [OUTBOX_COMMIT] = "COMMIT",
    [OUTBOX_ROLLBACK] = "ROLLBACK",
    [OUTBOX_INSERT] = "INSERT INTO batch(" COLUMNS ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [OUTBOX_REMOVE] = "DELETE FROM batch WHERE first_seq = ?1 RETURNING count, length(body)",
    [OUTBOX_OLDEST] = "SELECT first_seq FROM batch ORDER BY first_seq LIMIT 1",
    [OUTBOX_FIND] = "SELECT " COLUMNS " FROM batch WHERE first_seq >= ?1 ORDER BY first_seq LIMIT 1",
    [OUTBOX_FIND_ORDINARY] = "SELECT " COLUMNS " FROM batch WHERE first_seq >= ?1 AND urgent = 0 ORDER BY first_seq LIMIT 1",
    [OUTBOX_FIND_URGENT] = "SELECT " COLUMNS " FROM batch WHERE first_seq >= ?1 AND urgent = 1 ORDER BY first_seq LIMIT 1",
    [OUTBOX_FIND_READINGS] = "SELECT number, body FROM reading WHERE number >= ?1 ORDER BY number LIMIT 1",
    [OUTBOX_IMAGE_FIND] = "SELECT number, seq, pipeline, id, reason, redacted, crop, jpeg FROM image WHERE number >= ?1 ORDER BY number LIMIT 1",
    [OUTBOX_IMAGE_INSERT] = "INSERT INTO image(seq, pipeline, id, reason, redacted, crop, jpeg) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [OUTBOX_IMAGE_REMOVE] = "DELETE FROM image WHERE number = ?1 RETURNING length(jpeg)",
    [OUTBOX_IMAGE_FORGET] = "DELETE FROM image WHERE number = (SELECT number FROM image ORDER BY number LIMIT 1) RETURNING length(jpeg)",
    [OUTBOX_THIN] = "UPDATE batch SET count = ?2, encoding = ?3, body = ?4 WHERE first_seq = ?1",
    [OUTBOX_SET_STATE] = "UPDATE state SET next_seq = ?1, batches = ?2, bytes = ?3, evicted_results = ?4 WHERE id = 0",
    [OUTBOX_REFUSE] = "INSERT OR REPLACE INTO refused(" COLUMNS ", reason) SELECT " COLUMNS ", ?2 FROM batch WHERE first_seq = ?1",
    [OUTBOX_REFUSED_FIND] = "SELECT first_seq, last_seq, pipeline, count, length(body), reason FROM refused WHERE first_seq >= ?1 ORDER BY first_seq LIMIT 1",
    [OUTBOX_REFUSED_BYTES] = "SELECT coalesce(sum(length(body)), 0) FROM refused",
    [OUTBOX_REFUSED_COUNT] = "SELECT count(*) FROM refused",
    [OUTBOX_REFUSED_FORGET] = "DELETE FROM refused WHERE first_seq = (SELECT first_seq FROM refused ORDER BY first_seq LIMIT 1) RETURNING count",
    [OUTBOX_REFUSED_CLEAR] = "DELETE FROM refused WHERE " CHOSEN,
    [OUTBOX_REFUSED_CHOSEN] = "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(sum(count), 0), coalesce(min(first_seq), -1)"
                              " FROM refused WHERE " CHOSEN,
    [OUTBOX_RESTORE] = "INSERT INTO batch(" COLUMNS ") SELECT " COLUMNS " FROM refused WHERE " CHOSEN,
    [OUTBOX_TAKE] = "INSERT OR REPLACE INTO taken(slot, ends_at, inputs) VALUES(?1, ?2, ?3)",
    [OUTBOX_ADD_READINGS] = "INSERT INTO reading(body) VALUES(?1)",
    [OUTBOX_CLEAR_READINGS] = "DELETE FROM reading",
    [OUTBOX_PAGE_COUNT] = "PRAGMA page_count",
    [OUTBOX_FREE_PAGES] = "PRAGMA freelist_count",
};

/* page_size and auto_vacuum are laid down with the first page, so they come first. Small pages, since every commit writes those of the numbers and
 * lists anew, however little has changed in them. EXCLUSIVE keeps the WAL index in memory and a second agent out. */
static const char settings[] = "PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON; PRAGMA secure_delete = OFF;"; /* Debian's SQLite overwrites what is deleted: as many bytes again */
#define TAKEN "CREATE TABLE taken(slot INTEGER PRIMARY KEY, ends_at INTEGER NOT NULL, inputs BLOB NOT NULL);"
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE batch(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, pipeline TEXT NOT NULL, count INTEGER NOT NULL,"
    "  encoding INTEGER NOT NULL, urgent INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE INDEX urgent ON batch(first_seq) WHERE urgent = 1;" /* costs the ordinary ones nothing */
    "CREATE TABLE refused(first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, pipeline TEXT NOT NULL, count INTEGER NOT NULL,"
    "  encoding INTEGER NOT NULL, urgent INTEGER NOT NULL, body BLOB NOT NULL, reason INTEGER NOT NULL);"
    "CREATE TABLE state(id INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, batches INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  evicted_results INTEGER NOT NULL);"
    TAKEN
    "CREATE TABLE reading(number INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "INSERT INTO state VALUES(0, 1, 0, 0, 0);"
    "PRAGMA application_id = 1701078137; PRAGMA user_version = 2;"
    "COMMIT;";
static const char later_tables[] = "CREATE TABLE IF NOT EXISTS reading(number INTEGER PRIMARY KEY, body BLOB NOT NULL)"; /* files of earlier builds lack it */
/* Version 1 had blocks of 256 digests, numbered without end: 16 of today's each. The reader finds them out of their places and writes them anew. */
static const char from_version_1[] =
    "BEGIN IMMEDIATE;"
    "ALTER TABLE taken RENAME TO wide;"
    TAKEN
    "WITH RECURSIVE part(i) AS (VALUES(0) UNION ALL SELECT i + 1 FROM part WHERE i < 15)"
    "  INSERT INTO taken SELECT number * 16 + i, number * 256 + min(i * 16 + 16, length(inputs) / 8), substr(inputs, i * 128 + 1, 128) FROM wide, part"
    "  WHERE length(inputs) > i * 128;"
    "DROP TABLE wide;"
    "PRAGMA user_version = 2;"
    "COMMIT;";
_Static_assert(APPLICATION_ID == 1701078137 && OUTBOX_VERSION == 2 && OUTBOX_TAKEN_BLOCK == 16, "the schema spells them out");

int outbox_run(struct outbox *outbox, const char *sql)
{
    return sqlite3_exec(outbox->database, sql, NULL, NULL, NULL);
}

bool outbox_is_damage(int status)
{
    int primary = status & 0xff;
    return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_FORMAT;
}

static int read_number(sqlite3 *database, const char *sql, int64_t *number_out)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(database, sql, -1, &statement, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_step(statement);
        if (status == SQLITE_ROW) {
            *number_out = sqlite3_column_int64(statement, 0);
            status = SQLITE_OK;
        } else if (status == SQLITE_DONE) {
            status = SQLITE_NOTFOUND;
        }
    }
    sqlite3_finalize(statement);
    return status;
}

static int set_limits(struct outbox *outbox)
{
    char sql[128];
    int64_t pages = outbox->bytes_max / outbox->page_bytes;
    int64_t most = WAL_BYTES_MAX / outbox->page_bytes;
    outbox->wal_pages = pages / 8 < 16 ? 16 : pages / 8 > most ? most : pages / 8; /* what the WAL may take is part of the budget */
    outbox->pages_max = pages - outbox->wal_pages < 32 ? 32 : pages - outbox->wal_pages;
    snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %lld; PRAGMA journal_size_limit = %lld; PRAGMA max_page_count = %lld",
             (long long)outbox->wal_pages, (long long)(outbox->wal_pages * outbox->page_bytes), (long long)outbox->pages_max);
    return outbox_run(outbox, sql);
}

static int read_state(struct outbox *outbox)
{
    sqlite3_stmt *statement = NULL;
    int status = sqlite3_prepare_v2(outbox->database, "SELECT next_seq, batches, bytes, evicted_results FROM state WHERE id = 0", -1,
                                    &statement, NULL);
    if (status == SQLITE_OK) {
        status = sqlite3_step(statement);
        struct outbox_state state = {.next_seq = sqlite3_column_int64(statement, 0), .batches = sqlite3_column_int64(statement, 1),
                                     .bytes = sqlite3_column_int64(statement, 2), .evicted_results = sqlite3_column_int64(statement, 3)};
        bool sane = state.next_seq > 0 && state.batches >= 0 && state.bytes >= 0 && state.evicted_results >= 0;
        if (status == SQLITE_DONE || (status == SQLITE_ROW && !sane))
            status = SQLITE_CORRUPT;
        if (status == SQLITE_ROW) {
            outbox->state = state;
            status = SQLITE_OK;
        }
    }
    sqlite3_finalize(statement);
    if (status == SQLITE_OK)
        status = read_number(outbox->database, "SELECT count(*) FROM image", &outbox->state.images);
    if (status == SQLITE_OK)
        status = read_number(outbox->database, "SELECT coalesce(sum(length(jpeg)), 0) FROM image", &outbox->state.image_bytes);
    int64_t last_seq = 0;
    if (status == SQLITE_OK) {
        status = read_number(outbox->database, "SELECT last_seq FROM batch ORDER BY first_seq DESC LIMIT 1", &last_seq);
        status = status == SQLITE_NOTFOUND ? SQLITE_OK : status;
    }
    return status == SQLITE_OK && last_seq >= outbox->state.next_seq ? SQLITE_CORRUPT : status;
}

static int begin_schema(struct outbox *outbox)
{
    int64_t version = 0, application = 0, tables = 0;
    int status = read_number(outbox->database, "SELECT count(*) FROM sqlite_schema", &tables);
    outbox->new_file = status == SQLITE_OK && tables == 0;
    if (outbox->new_file)
        status = outbox_run(outbox, schema);
    if (status == SQLITE_OK) /* not in every outbox of this version */
        status = outbox_run(outbox, "CREATE TABLE IF NOT EXISTS image(number INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, pipeline TEXT NOT NULL,"
                                    " id TEXT NOT NULL, reason TEXT NOT NULL, redacted INTEGER NOT NULL, crop INTEGER NOT NULL, jpeg BLOB NOT NULL)");
    if (status == SQLITE_OK)
        status = read_number(outbox->database, "PRAGMA user_version", &version);
    if (status == SQLITE_OK)
        status = read_number(outbox->database, "PRAGMA application_id", &application);
    if (status == SQLITE_OK && (version < 1 || version > OUTBOX_VERSION || application != APPLICATION_ID))
        return SQLITE_CORRUPT;
    if (status == SQLITE_OK && !outbox->new_file)
        status = outbox_run(outbox, later_tables);
    return status == SQLITE_OK && version == 1 ? outbox_run(outbox, from_version_1) : status;
}

int outbox_database_open(struct outbox *outbox)
{
    int status = sqlite3_open_v2(outbox->path, &outbox->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (status == SQLITE_OK) {
        sqlite3_extended_result_codes(outbox->database, 1);
        outbox->unsynced = false;
        status = outbox_run(outbox, settings);
    }
    if (status == SQLITE_OK)
        status = begin_schema(outbox);
    if (status == SQLITE_OK)
        status = read_number(outbox->database, "PRAGMA page_size", &outbox->page_bytes);
    if (status == SQLITE_OK)
        status = set_limits(outbox);
    if (status == SQLITE_OK)
        status = read_state(outbox);
    bool in_place = true;
    if (status == SQLITE_OK)
        status = outbox_read_taken(outbox, &in_place);
    for (int i = 0; status == SQLITE_OK && i < OUTBOX_STATEMENTS; i++) {
        status = sqlite3_prepare_v3(outbox->database, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &outbox->statements[i], NULL);
    }
    if (status == SQLITE_OK && !in_place)
        status = outbox_store_taken(outbox);
    if (status == SQLITE_ERROR) /* a table is not what it should be */
        status = SQLITE_CORRUPT;
    if (status == SQLITE_OK)
        outbox->refused_batches = outbox_number(outbox, OUTBOX_REFUSED_COUNT);
    else
        outbox_database_close(outbox);
    return status;
}

void outbox_database_close(struct outbox *outbox)
{
    for (int i = 0; i < OUTBOX_STATEMENTS; i++) {
        sqlite3_finalize(outbox->statements[i]);
        outbox->statements[i] = NULL;
    }
    sqlite3_close(outbox->database);
    outbox->database = NULL;
}

/* What a damaged file still tells about the seq numbers it gave out. */
int64_t outbox_salvage_next_seq(const struct outbox *outbox)
{
    static const char *const questions[] = {"SELECT next_seq FROM state WHERE id = 0",
                                            "SELECT last_seq + 1 FROM batch ORDER BY first_seq DESC LIMIT 1"};
    sqlite3 *database = NULL;
    int64_t next_seq = 0;
    if (sqlite3_open_v2(outbox->path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        for (int i = 0; i < 2; i++) {
            int64_t found = 0;
            if (read_number(database, questions[i], &found) == SQLITE_OK && found > next_seq && found < INT64_MAX / 2)
                next_seq = found;
        }
    }
    sqlite3_close(database);
    return next_seq;
}

static void mark_path(const struct outbox *outbox, char path[OUTBOX_PATH_BYTES + 16])
{
    snprintf(path, OUTBOX_PATH_BYTES + 16, "%s.mark", outbox->path);
}

int64_t outbox_read_mark(const struct outbox *outbox)
{
    char path[OUTBOX_PATH_BYTES + 16];
    long long mark = 0;
    mark_path(outbox, path);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%18lld", &mark) != 1 || mark < 0)
        mark = 0;
    fclose(file);
    return mark;
}

/* The mark is a number that no seq has passed: where the database is lost, numbering goes on from there. */
enum error_code outbox_keep_mark(struct outbox *outbox, int64_t next_seq, struct error *error)
{
    if (next_seq < outbox->mark)
        return ERROR_NONE;
    char path[OUTBOX_PATH_BYTES + 16], text[32];
    mark_path(outbox, path);
    int length = snprintf(text, sizeof text, "%lld\n", (long long)next_seq + MARK_STEP);
    if (file_replace(path, text, (size_t)length, error) != ERROR_NONE)
        return error_set(error, ERROR_STORAGE, "cannot write %s: free disk space or check the folder's rights", path);
    outbox->mark = next_seq + MARK_STEP;
    return ERROR_NONE;
}

/* Only the newest damaged file is kept: they must not fill the disk. */
static void remove_older_damaged(const struct outbox *outbox)
{
    char pattern[OUTBOX_PATH_BYTES + 32];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s.damaged-*", outbox->path);
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            unlink(found.gl_pathv[i]);
    }
    globfree(&found);
}

enum error_code outbox_set_aside(struct outbox *outbox, struct error *error)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char from[OUTBOX_PATH_BYTES + 16], to[OUTBOX_PATH_BYTES + 64];
    outbox_database_close(outbox);
    remove_older_damaged(outbox);
    long long now = (long long)(clock_wall_us() / 1000000);
    for (int i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s%s", outbox->path, endings[i]);
        snprintf(to, sizeof to, "%s.damaged-%lld%s", outbox->path, now, endings[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return error_set(error, ERROR_STORAGE, "%s is damaged and cannot be set aside: %s", from, strerror(errno));
    }
    outbox->set_aside++;
    int status = outbox_database_open(outbox);
    if (status != SQLITE_OK)
        return error_set(error, ERROR_STORAGE, "cannot begin a new %s: %s", outbox->path, sqlite3_errstr(status));
    return ERROR_NONE;
}
