/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h: what every test program needs: named cases, checks that print what was seen, and a count at the end.
 *
 *   static void queue_keeps_order(void) { ... CHECK(x == 1); CHECK_INTEGER(depth, 3); CHECK_TEXT(name, "a"); }
 *   int main(int count, char **arguments) { return check_main(count, arguments, (struct check_case[]){CASE(queue_keeps_order), {0}}); }
 * A case's name is a sentence that is true. A failed check prints file, line and values, ends its case and makes the program exit 1.
 * `PROGRAM NAME` runs one case. check_skip("why") ends the program with 77, which ctest shows as skipped. */
#ifndef EDDY_TESTS_CHECK_H
#define EDDY_TESTS_CHECK_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct check_case {
    const char *name;
    void (*run)(void);
};
#define CASE(function) {#function, function}

/* One for the whole program, so that helpers in other files may check too. */
__attribute__((weak)) jmp_buf check_escape;

__attribute__((unused, noreturn)) static void check_skip(const char *why)
{
    printf("skipped: %s\n", why);
    exit(77);
}

__attribute__((unused)) static void check_failed(void)
{
    fflush(stdout);
    longjmp(check_escape, 1);
}

#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                 \
            check_failed();                                                                 \
        }                                                                                   \
    } while (0)
#define CHECK_INTEGER(seen, expected)                                                                                      \
    do {                                                                                                                   \
        long long seen_ = (long long)(seen), expected_ = (long long)(expected);                                            \
        if (seen_ != expected_) {                                                                                          \
            printf("%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #seen, seen_, expected_);                      \
            check_failed();                                                                                                \
        }                                                                                                                  \
    } while (0)
#define CHECK_TEXT(seen, expected)                                                                                         \
    do {                                                                                                                   \
        const char *seen_ = (seen), *expected_ = (expected);                                                               \
        if (strcmp(seen_, expected_) != 0) {                                                                               \
            printf("%s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #seen, seen_, expected_);                   \
            check_failed();                                                                                                \
        }                                                                                                                  \
    } while (0)
/* expression gives an enum error_code and fills `error` */
#define CHECK_OK(expression, error)                                                                                        \
    do {                                                                                                                   \
        if ((expression) != 0) {                                                                                           \
            printf("%s:%d: %s failed: %s\n", __FILE__, __LINE__, #expression, (error).message);                             \
            check_failed();                                                                                                \
        }                                                                                                                  \
    } while (0)

__attribute__((unused)) static int check_main(int count, char **arguments, const struct check_case *cases)
{
    volatile int passed = 0, failed = 0;
    for (const struct check_case *volatile one = cases; one->name != NULL; one++) {
        if (count > 1 && strcmp(arguments[1], one->name) != 0)
            continue;
        if (setjmp(check_escape) == 0) {
            one->run();
            passed++;
        } else {
            printf("FAILED %s (repeat: %s %s)\n", one->name, arguments[0], one->name);
            failed++;
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}

/* The folder with real models and photos beside the checkout, or NULL where it is absent (a fresh clone): such tests skip, in words. */
__attribute__((unused)) static const char *check_shared_data(void)
{
    static char path[512];
    const char *given = getenv("EDDY_SHARED");
    snprintf(path, sizeof path, "%s/data", given != NULL ? given : EDDY_SOURCE_DIR "/../shared");
    FILE *probe = fopen(path, "r");
    if (probe == NULL)
        return NULL;
    fclose(probe);
    return path;
}

#endif
