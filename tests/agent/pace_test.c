/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/pace.h"
#include "tests/check.h"

/* What a commit that ended at 1 s leads to, once many have been like it. */
static struct pace settled_after(const struct pace_commit *commit)
{
    struct pace pace = {0};
    for (int i = 0; i < 200; i++)
        pace_committed(&pace, commit);
    return pace;
}

static struct pace settled(int64_t cpu_us, int unanswered)
{
    return settled_after(&(struct pace_commit){.ended_us = 1000000, .took_us = cpu_us, .cpu_us = cpu_us, .unanswered = unanswered});
}

static void the_first_commit_waits_for_nothing(void)
{
    struct pace pace = {0};
    CHECK_INTEGER(pace_rest_until(&pace, 100), 0);
}

static void nothing_waits_when_nothing_is_being_answered(void)
{
    struct pace pace = settled(500, 16);
    CHECK_INTEGER(pace_rest_until(&pace, 0), 0);
}

static void three_quarters_of_a_queue_are_waited_for(void)
{
    struct pace pace = settled(500, 16);
    for (int i = 1; i < 12; i++) {
        CHECK(!pace_answered(&pace));
        CHECK_INTEGER(pace_rest_until(&pace, 16 - i), 1000000 + PACE_MAX_US);
    }
    CHECK(pace_answered(&pace));
    CHECK(pace_rest_until(&pace, 4) < 1000000 + PACE_MAX_US);
    CHECK(!pace_answered(&pace)); /* told once */
}

static void one_input_at_a_time_is_not_held_for_a_queue(void)
{
    struct pace pace = settled(0, 1);
    CHECK(pace_rest_until(&pace, 1) < 1000010);
    pace = settled(0, 2); /* nor is the second for the first */
    CHECK(pace_answered(&pace));
}

static void a_queue_without_end_is_not_waited_for(void)
{
    struct pace pace = settled(0, 1000000);
    int answers = 1;
    while (!pace_answered(&pace))
        answers++;
    CHECK_INTEGER(answers, PACE_ANSWERS_MAX);
}

static void commits_take_a_third_of_a_core_at_most(void)
{
    struct pace pace = settled(300, 1);
    int64_t rest = pace_rest_until(&pace, 1) - 1000000;
    CHECK(rest > 890 && rest <= 900);
    pace = settled(INT64_MAX, 1);
    rest = pace_rest_until(&pace, 1) - 1000000;
    CHECK(rest > PACE_MAX_US - 10 && rest <= PACE_MAX_US);
}

static void a_slow_storage_rests_half_as_long_as_it_took(void)
{
    struct pace pace = settled_after(&(struct pace_commit){.ended_us = 1000000, .took_us = 6000, .cpu_us = 300, .unanswered = 1});
    int64_t rest = pace_rest_until(&pace, 1) - 1000000;
    CHECK(rest > 2990 && rest <= 3000);
    pace = settled_after(&(struct pace_commit){.ended_us = 1000000, .took_us = INT64_MAX, .cpu_us = 300, .unanswered = 1});
    rest = pace_rest_until(&pace, 1) - 1000000;
    CHECK(rest > PACE_MAX_US - 10 && rest <= PACE_MAX_US);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments,
                      (struct check_case[]){CASE(the_first_commit_waits_for_nothing), CASE(nothing_waits_when_nothing_is_being_answered),
                                            CASE(three_quarters_of_a_queue_are_waited_for), CASE(one_input_at_a_time_is_not_held_for_a_queue),
                                            CASE(a_queue_without_end_is_not_waited_for), CASE(commits_take_a_third_of_a_core_at_most),
                                            CASE(a_slow_storage_rests_half_as_long_as_it_took), {0}});
}
