/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum error_code error_set(struct error *error, enum error_code code, const char *format, ...)
{
    if (error == NULL)
        return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->code = code;
    return code;
}

enum error_code error_prefix(struct error *error, const char *format, ...)
{
    char prefixed[ERROR_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(prefixed, sizeof prefixed, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < sizeof prefixed - 1) {
        size_t room = sizeof prefixed - (size_t)length - 1;
        size_t rest = strnlen(error->message, room);
        memcpy(prefixed + length, error->message, rest);
        prefixed[(size_t)length + rest] = '\0';
    }
    memcpy(error->message, prefixed, sizeof prefixed);
    return error->code;
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",       [ERROR_CONFIG] = "config",   [ERROR_INPUT] = "input",
        [ERROR_MODEL] = "model",     [ERROR_UNSUPPORTED] = "unsupported", [ERROR_STORAGE] = "storage",
        [ERROR_LINK] = "link",       [ERROR_LIMIT] = "limit",     [ERROR_TIMEOUT] = "timeout",
        [ERROR_INTERNAL] = "internal",
    };
    return names[code];
}
