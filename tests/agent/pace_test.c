/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"
#include "tests/check.h"

static int64_t settled(struct pace *pace, int64_t cpu_us)
{
    for (int i = 0; i < 100; i++)
        pace_note(pace, cpu_us);
    return pace->interval_us;
}

static void commits_take_a_tenth_of_a_core_at_most(void)
{
    struct pace pace = {0};
    int64_t interval = settled(&pace, 300);
    CHECK(interval > 2900 && interval <= 3000);
}

static void no_result_waits_longer_than_the_limit(void)
{
    struct pace pace = {0};
    int64_t interval = settled(&pace, 1000000);
    CHECK(interval > PACE_MAX_US - 10 && interval <= PACE_MAX_US);
    interval = settled(&pace, INT64_MAX);
    CHECK(interval <= PACE_MAX_US);
}

static void it_follows_what_commits_take(void)
{
    struct pace pace = {0};
    int64_t slow = settled(&pace, 400), fast = settled(&pace, 50);
    CHECK(fast < slow);
    CHECK(settled(&pace, 0) < 10);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){CASE(commits_take_a_tenth_of_a_core_at_most), CASE(no_result_waits_longer_than_the_limit),
                                                              CASE(it_follows_what_commits_take), {0}});
}
