/* SPDX-License-Identifier: Apache-2.0
 *
 * error.h: the one error of eddy: a code to branch on and a message for a person.
 *
 * The message says what was found, what was expected and what to do; it is written once, where the cause is known. Callers may put
 * context before it (error_prefix), never replace it. The same code and text go into the log, a result, a command's reply and the
 * exit of a program. Library parts return errors and do not log; the agent logs them once.
 * Threads: an error belongs to the thread that filled it. */
#ifndef EDDY_BASE_ERROR_H
#define EDDY_BASE_ERROR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

enum error_code {
    ERROR_NONE,
    ERROR_CONFIG,      /* the configuration or a manifest is wrong                     */
    ERROR_INPUT,       /* one message or file from outside cannot be used              */
    ERROR_MODEL,       /* a model file is damaged or contradicts itself                */
    ERROR_UNSUPPORTED, /* well-formed, but beyond what eddy does                       */
    ERROR_STORAGE,     /* disk or database                                             */
    ERROR_LINK,        /* broker or network                                            */
    ERROR_LIMIT,       /* a bound that protects the gateway was reached                */
    ERROR_TIMEOUT,
    ERROR_INTERNAL,    /* a defect of eddy                                             */
};

enum { ERROR_MESSAGE_BYTES = 400 };

struct error {
    enum error_code code;
    char message[ERROR_MESSAGE_BYTES];
};

/* Fills *error (NULL is fine) and returns code, so that a failure is one line: return error_set(error, ERROR_INPUT, "..."). */
enum error_code error_set(struct error *error, enum error_code code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts context before the message that is there; returns the code that is there. */
enum error_code error_prefix(struct error *error, const char *format, ...) PRINTF_LIKE(2, 3);

/* "input", "model", ...: the spelling in results, replies and logs. Static. */
const char *error_code_name(enum error_code code);

/* Returns from the calling function with the code of a step that failed. */
#define TRY(step)                                  \
    do {                                           \
        enum error_code try_code_ = (step);        \
        if (try_code_ != ERROR_NONE)               \
            return try_code_;                      \
    } while (0)

#endif
