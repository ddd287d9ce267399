/* SPDX-License-Identifier: Apache-2.0 */
#include "config/version.h"

#include <ctype.h>
#include <string.h>

/* Compares the runs of digits at *left and *right and moves past them. */
static int compare_numbers(const char **left, const char **right)
{
    const char *a = *left + strspn(*left, "0"), *b = *right + strspn(*right, "0");
    size_t a_length = strspn(a, "0123456789"), b_length = strspn(b, "0123456789");
    *left = a + a_length;
    *right = b + b_length;
    if (a_length != b_length)
        return a_length < b_length ? -1 : 1;
    return memcmp(a, b, a_length);
}

/* Where in the order of versions a character stands: a pre-release mark before the end, the end before all others. */
static int rank(char character)
{
    return character == '-' ? -1 : (unsigned char)character;
}

int version_compare(const char *left, const char *right)
{
    for (;;) {
        if (isdigit((unsigned char)*left) && isdigit((unsigned char)*right)) {
            int order = compare_numbers(&left, &right);
            if (order != 0)
                return order;
        } else if (*left != *right) {
            return rank(*left) - rank(*right);
        } else if (*left == '\0') {
            return 0;
        } else {
            left++;
            right++;
        }
    }
}
