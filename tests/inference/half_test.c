/* SPDX-License-Identifier: Apache-2.0 */
#include "inference/half.h"

#include "tests/check.h"

#include <math.h>

static double exactly(int half)
{
    uint16_t bits = (uint16_t)half;
    _Float16 value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static int compiler_rounds(double value)
{
    _Float16 half = (_Float16)value;
    uint16_t bits;
    memcpy(&bits, &half, sizeof bits);
    return bits;
}

static void every_half_is_widened_to_its_value_and_narrowed_to_itself(void)
{
    for (int half = 0; half <= 0xFFFF; half++) {
        const double wide = (double)half_to_float((uint16_t)half);
        if (isnan(exactly(half))) {
            CHECK(isnan(wide) && isnan(exactly(half_from_double(wide))));
            CHECK_INTEGER(half_from_double(wide) >> 15, half >> 15);
        } else {
            CHECK(wide == exactly(half) && !signbit(wide) == !signbit(exactly(half)));
            CHECK_INTEGER(half_from_double(wide), half);
        }
    }
}

/* Between two neighbours lies one tie; a double just beside it must fall to its own side, and may not be rounded twice. */
static void a_number_between_two_halves_goes_to_the_nearer_and_a_tie_to_the_even(void)
{
    for (int half = 0; half <= 0x7BFF; half++) {
        const double low = exactly(half), high = half == 0x7BFF ? 65536 : exactly(half + 1), tie = (low + high) / 2;
        CHECK_INTEGER(half_from_double(tie), half + (half & 1));
        CHECK_INTEGER(half_from_double(nextafter(tie, low)), half);
        CHECK_INTEGER(half_from_double(nextafter(tie, high)), half + 1);
        CHECK_INTEGER(half_from_double(-nextafter(tie, low)), 0x8000 | half);
        CHECK_INTEGER(half_from_double(tie), compiler_rounds(tie));
    }
    CHECK_INTEGER(half_from_double(1e300), 0x7C00);
    CHECK_INTEGER(half_from_double(-INFINITY), 0xFC00);
    CHECK_INTEGER(half_from_double(0x1p-1070), 0);
}

int main(int count, char **arguments)
{
    return check_main(count, arguments, (struct check_case[]){
        CASE(every_half_is_widened_to_its_value_and_narrowed_to_itself),
        CASE(a_number_between_two_halves_goes_to_the_nearer_and_a_tie_to_the_even), {0}});
}
