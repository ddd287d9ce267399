/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/flash.h"
#include "tests/check.h"

#include <stdbool.h>

enum { SECOND_US = 1000000, COMMIT_BYTES = 16384, RESULT_BYTES = 100, RESULTS_A_SECOND = 50 };

/* Bytes that an agent with so many results a second writes in a day; a commit every 20 ms where nothing holds it back. */
static double simulate_day(int64_t bytes_a_day, int64_t *longest_us_out)
{
    struct flash flash;
    double written = 0;
    int64_t now = 0, last = 0;
    flash_init(&flash, bytes_a_day, 0, 0);
    *longest_us_out = 0;
    for (int64_t second = 0; second < 86400; second++) {
        int64_t until = (second + 1) * SECOND_US;
        while (now < until) {
            int64_t wait = flash.interval_us > 20000 ? flash.interval_us : 20000;
            if (last + wait > until) {
                now = until;
                break;
            }
            now = last + wait;
            written += COMMIT_BYTES + (double)(now - last) / SECOND_US * RESULTS_A_SECOND * RESULT_BYTES;
            *longest_us_out = now - last > *longest_us_out ? now - last : *longest_us_out;
            last = now;
        }
        flash_update(&flash, (int64_t)written, now);
    }
    return written;
}

static void commits_are_as_frequent_as_wanted_without_a_budget(void)
{
    int64_t longest;
    CHECK(simulate_day(0, &longest) > 60e9);
    CHECK_INTEGER(longest, 20000);
}

static void a_daily_budget_is_kept_by_rarer_commits(void)
{
    int64_t longest;
    double budget = 4e9, written = simulate_day((int64_t)budget, &longest);
    printf("%.2f GB of %.2f GB written, commits %lld ms apart at most\n", written / 1e9, budget / 1e9, (long long)longest / 1000);
    CHECK(written < budget * 1.06); /* an hour's worth is there from the start */
    CHECK(written > budget * 0.8);
    CHECK(longest <= FLASH_INTERVAL_MAX_US);
}

static void what_this_process_writes_is_counted(void)
{
    int64_t before = flash_bytes_written();
    FILE *file = fopen("flash_test.tmp", "w");
    CHECK(file != NULL);
    for (int i = 0; i < 1 << 20; i++)
        fputc(i, file);
    CHECK(fclose(file) == 0);
    int64_t after = flash_bytes_written();
    remove("flash_test.tmp");
    if (before == 0 && after == 0)
        printf("not counted here: the kernel gives no /proc/self/io, or this folder is in memory\n");
    else
        CHECK(after - before >= 1 << 20);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(commits_are_as_frequent_as_wanted_without_a_budget),
                                                              CASE(a_daily_budget_is_kept_by_rarer_commits),
                                                              CASE(what_this_process_writes_is_counted), {0}});
}
