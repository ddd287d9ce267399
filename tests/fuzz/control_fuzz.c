/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the body of a command. The parser is control.c's own, and what lies around it needs a broker: so the file itself is taken in. */
#include "agent/control.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arguments arguments;
    struct error error = {0};
    struct link_message message = {.topic = "eddy/fuzz/cmd/get", .payload = data, .payload_bytes = size};
    enum error_code code = read_arguments(&message, &arguments, &error);
    const char *members[] = {arguments.id, arguments.pipeline, arguments.what, arguments.level};
    if (code != ERROR_NONE && error.message[0] == '\0')
        abort();
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (memchr(members[i], '\0', ARGUMENT_BYTES) == NULL)
            abort();
    }
    return 0;
}
