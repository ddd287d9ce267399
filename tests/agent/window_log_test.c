/* SPDX-License-Identifier: Apache-2.0
 *
 * The log of unfinished windows, over a real outbox: what it gives back after an end without warning is what the last commit left, or less and in
 * one piece, never something else; and it stays small. */
#include "agent/window_log.h"

#include "tests/check.h"

#include <sqlite3.h>
#include <unistd.h>

enum { FIELDS = 2, WINDOW = 20, SOURCES = 7, BUDGET = 64 << 20 };

/* What is in a source's window: its samples are numbered, sample n holds (n, source). */
struct window {
    int64_t end, kept;
};

static char folder[64], path[96];
static const char *names[] = {"a", "b"};
static struct config_pipeline config;
static struct pipeline pipeline;
static struct outbox *outbox;
static struct window_log *window_log;

static void open_log(int64_t budget)
{
    struct error error;
    bool set_aside;
    CHECK_OK(outbox_open(path, budget, 100, &outbox, &set_aside, &error), error);
    CHECK(!set_aside);
    CHECK_OK(window_log_new(&pipeline, 1, outbox, budget, &window_log, &error), error);
}

static void close_log(void)
{
    window_log_free(window_log);
    outbox_close(outbox);
}

static void begin(int64_t budget)
{
    config = (struct config_pipeline){.name = "p", .input = {.kind = INPUT_SERIES, .fields = names, .field_count = FIELDS, .window = WINDOW, .hop = WINDOW}};
    pipeline = (struct pipeline){.config = &config};
    snprintf(folder, sizeof folder, "/tmp/eddy-windows-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/outbox.db", folder);
    open_log(budget);
}

static void end(void)
{
    char command[96];
    close_log();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CHECK(system(command) == 0);
}

static void note(int source, struct window *window, int64_t added)
{
    static float samples[1024 * FIELDS];
    char topic[32];
    snprintf(topic, sizeof topic, "sensor/%d", source);
    window->end += added;
    window->kept = (window->kept + added) % config.input.window;
    int64_t fresh = added < window->kept ? added : window->kept;
    for (int64_t i = 0; i < fresh; i++) {
        samples[i * FIELDS] = (float)(window->end - fresh + i);
        samples[i * FIELDS + 1] = (float)source;
    }
    struct series_leftover left = {.samples = samples, .kept = window->kept, .fresh = fresh, .end = window->end, .newest_us = 7};
    window_log_note(window_log, 0, topic, 1000 + window->end, &left);
}

static size_t commit(void)
{
    struct outbox_change change = {0};
    struct error error;
    window_log_write(window_log, &change);
    CHECK_OK(outbox_commit(outbox, &change, &error), error);
    window_log_committed(window_log);
    return change.readings_bytes;
}

/* Every source in the log holds numbered samples in one piece; returns how many sources there are. */
static int read_back(struct window *windows, int sources)
{
    struct window_log_source source;
    int count = 0;
    memset(windows, 0, (size_t)sources * sizeof *windows);
    for (const void *at = NULL; window_log_next(window_log, &at, &source); count++) {
        int number = atoi(source.topic + strlen("sensor/"));
        CHECK(number >= 0 && number < sources && source.window.kept > 0 && source.window.kept < config.input.window);
        CHECK_INTEGER(source.window.fresh, source.window.kept);
        CHECK_INTEGER(source.arrived_wall_us, 1000 + source.window.end);
        CHECK_INTEGER(source.window.newest_us, 7);
        for (int64_t i = 0; i < source.window.kept; i++) {
            CHECK(source.window.samples[i * FIELDS] == (float)(source.window.end - source.window.kept + i));
            CHECK(source.window.samples[i * FIELDS + 1] == (float)number);
        }
        windows[number] = (struct window){.end = source.window.end, .kept = source.window.kept};
    }
    return count;
}

static long long ask(const char *sql)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    CHECK(sqlite3_open(path, &database) == SQLITE_OK && sqlite3_prepare_v2(database, sql, -1, &statement, NULL) == SQLITE_OK);
    int status = sqlite3_step(statement);
    CHECK(status == SQLITE_ROW || status == SQLITE_DONE);
    long long number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return number;
}

static void what_was_committed_comes_back_and_nothing_else(void)
{
    struct window now[SOURCES] = {0}, committed[SOURCES] = {0}, seen[SOURCES];
    unsigned random = 11;
    begin(BUDGET);
    for (int round = 0; round < 1000; round++) {
        for (int messages = rand_r(&random) % 5; messages > 0; messages--) {
            int source = rand_r(&random) % SOURCES;
            note(source, &now[source], 1 + rand_r(&random) % (round % 7 == 0 ? 3 * WINDOW : 4));
        }
        commit();
        memcpy(committed, now, sizeof now);
        if (round % 5 != 0)
            continue;
        int source = rand_r(&random) % SOURCES; /* this one is never committed: it comes again later, with the same number */
        note(source, &now[source], 3);
        close_log();
        open_log(BUDGET);
        memcpy(now, committed, sizeof now);
        int expected = 0;
        CHECK(read_back(seen, SOURCES) <= SOURCES);
        for (int i = 0; i < SOURCES; i++) {
            expected += committed[i].kept > 0;
            CHECK_INTEGER(seen[i].kept, committed[i].kept);
            CHECK(seen[i].kept == 0 || seen[i].end == committed[i].end);
        }
        CHECK_INTEGER(read_back(seen, SOURCES), expected);
    }
    end();
}

static void messages_that_are_whole_windows_write_nothing(void)
{
    struct window window = {0};
    begin(BUDGET);
    for (int i = 0; i < 10; i++) {
        note(1, &window, WINDOW);
        CHECK_INTEGER(commit(), 0);
        note(1, &window, WINDOW / 2); /* two in one commit that are one together */
        note(1, &window, WINDOW / 2);
        CHECK_INTEGER(commit(), 0);
    }
    close_log();
    CHECK_INTEGER(ask("SELECT count(*) FROM reading"), 0);
    open_log(BUDGET);
    end();
}

static void the_log_stays_within_twice_the_windows(void)
{
    struct window windows[SOURCES] = {0};
    unsigned random = 5;
    size_t written = 0;
    int rounds = 4000;
    begin(BUDGET);
    for (int i = 0; i < rounds; i++) {
        int source = rand_r(&random) % SOURCES;
        note(source, &windows[source], 1);
        written += commit();
    }
    close_log();
    long long bytes = ask("SELECT coalesce(sum(length(body)), 0) FROM reading");
    printf("%lld bytes in the log; %zu bytes a reading written\n", bytes, written / (size_t)rounds);
    CHECK(bytes <= 2 * SOURCES * (WINDOW * FIELDS * 4 + 80) + 66 * 1024);
    CHECK(written / (size_t)rounds < 100);
    open_log(BUDGET);
    end();
}

static void an_empty_log_takes_no_room(void)
{
    struct window window = {0};
    begin(BUDGET);
    note(3, &window, WINDOW - 1);
    CHECK(commit() > 0);
    note(3, &window, 1);
    CHECK_INTEGER(commit(), 0);
    close_log();
    CHECK_INTEGER(ask("SELECT count(*) FROM reading"), 0);
    open_log(BUDGET);
    end();
}

/* Bytes all over each row, and each row as a whole. */
static void a_damaged_row_costs_windows_and_never_makes_a_wrong_one(void)
{
    struct window windows[SOURCES] = {0}, seen[SOURCES];
    unsigned random = 3;
    char sql[256];
    begin(BUDGET);
    for (int i = 0; i < 12; i++) {
        for (int messages = 0; messages < 2; messages++) {
            int source = rand_r(&random) % SOURCES;
            note(source, &windows[source], 1 + rand_r(&random) % 4);
        }
        commit();
    }
    close_log();
    long long rows = ask("SELECT count(*) FROM reading");
    CHECK(rows == 12);
    for (long long row = 1; row <= rows; row++) {
        snprintf(sql, sizeof sql, "SELECT length(body) FROM reading WHERE number = %lld", row);
        long long length = ask(sql);
        for (long long byte = 1; byte <= length + 2; byte += byte < length - 4 ? 5 : 1) { /* length + 1: cut short, + 2: gone */
            ask("CREATE TABLE IF NOT EXISTS saved AS SELECT * FROM reading");
            if (byte <= length)
                snprintf(sql, sizeof sql, "UPDATE reading SET body = CAST(substr(body, 1, %lld) || x'%02x' || substr(body, %lld) AS BLOB) WHERE number = %lld",
                         byte - 1, rand_r(&random) % 256, byte + 1, row);
            else if (byte == length + 1)
                snprintf(sql, sizeof sql, "UPDATE reading SET body = substr(body, 1, %lld) WHERE number = %lld", length / 2, row);
            else
                snprintf(sql, sizeof sql, "DELETE FROM reading WHERE number = %lld", row);
            ask(sql);
            open_log(BUDGET);
            read_back(seen, SOURCES);
            bool is_last = row == rows;
            for (int i = 0; i < SOURCES; i++) { /* without its last row the log is that of a commit before */
                CHECK(seen[i].kept <= windows[i].kept || (is_last && byte == length + 2));
                CHECK(seen[i].kept == 0 || seen[i].end == windows[i].end || (is_last && byte == length + 2));
            }
            close_log();
            ask("DELETE FROM reading");
            ask("INSERT INTO reading SELECT * FROM saved");
        }
    }
    ask("DROP TABLE saved");
    open_log(BUDGET);
    end();
}

static void another_window_hop_or_field_discards_what_was_kept(void)
{
    static const char *other_names[] = {"a", "c"};
    struct window window = {0}, seen[SOURCES];
    begin(BUDGET);
    note(2, &window, 5);
    commit();
    for (int change = 0; change < 5; change++) {
        close_log();
        config.input.window = change == 0 ? WINDOW + 1 : WINDOW;
        config.input.hop = change == 1 ? 1 : WINDOW;
        config.input.fields = change == 2 ? other_names : names;
        config.name = change == 3 ? "q" : "p";
        open_log(BUDGET);
        CHECK_INTEGER(read_back(seen, SOURCES), change == 4); /* nothing was committed in between */
    }
    config.name = "q";
    close_log();
    open_log(BUDGET);
    note(1, &(struct window){0}, 5); /* the first commit clears what is of no use */
    commit();
    close_log();
    CHECK_INTEGER(ask("SELECT count(*) FROM reading"), 1);
    open_log(BUDGET);
    CHECK_INTEGER(read_back(seen, SOURCES), 1);
    end();
}

static void beyond_the_bound_the_sources_silent_longest_are_left_out(void)
{
    enum { MANY = 1000, SMALL_BUDGET = 1 << 20 };
    static struct window windows[MANY], seen[MANY];
    memset(windows, 0, sizeof windows);
    begin(SMALL_BUDGET);
    size_t written = 0;
    for (int i = 0; i < MANY; i++) {
        note(i, &windows[i], WINDOW - 1);
        written += commit();
    }
    CHECK(window_log_left_out(window_log) > 0);
    close_log();
    CHECK(ask("SELECT sum(length(body)) FROM reading") <= SMALL_BUDGET / 8 + 64 * 1024);
    open_log(SMALL_BUDGET);
    int kept = read_back(seen, MANY);
    printf("%d of %d sources kept, %zu bytes written for each\n", kept, MANY, written / MANY);
    CHECK(kept > 100 && kept < MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_INTEGER(seen[i].kept, i >= MANY - kept ? WINDOW - 1 : 0);
    CHECK(written / MANY < 1500);
    end();
}

static void readings_that_do_not_continue_the_window_begin_it_anew(void)
{
    struct window window = {0}, seen[SOURCES];
    begin(BUDGET);
    note(1, &window, 5);
    commit();
    window.end += 2; /* two that were not to be kept, at QoS 0 */
    window.kept += 2;
    note(1, &window, 3);
    commit();
    for (int i = 0; i < 2; i++) {
        CHECK_INTEGER(read_back(seen, SOURCES), 1);
        CHECK_INTEGER(seen[1].kept, 3);
        CHECK_INTEGER(seen[1].end, 10);
        close_log();
        open_log(BUDGET);
    }
    note(1, &window, 1);
    commit();
    CHECK_INTEGER(read_back(seen, SOURCES), 1);
    CHECK_INTEGER(seen[1].kept, 4);
    end();
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(what_was_committed_comes_back_and_nothing_else),
                                                              CASE(messages_that_are_whole_windows_write_nothing),
                                                              CASE(the_log_stays_within_twice_the_windows), CASE(an_empty_log_takes_no_room),
                                                              CASE(a_damaged_row_costs_windows_and_never_makes_a_wrong_one),
                                                              CASE(another_window_hop_or_field_discards_what_was_kept),
                                                              CASE(beyond_the_bound_the_sources_silent_longest_are_left_out),
                                                              CASE(readings_that_do_not_continue_the_window_begin_it_anew), {0}});
}
