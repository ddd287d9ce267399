/* SPDX-License-Identifier: Apache-2.0
 *
 * A topic filter and a topic, parted by a byte 0. A filter without wildcards covers itself alone; # covers all that does not begin with $. */
#include "agent/topic.h"
#include "config/rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t first = zero != NULL ? (size_t)(zero - data) : size, second = zero != NULL ? size - first - 1 : 0;
    char *filter = calloc(1, first + 1), *topic = calloc(1, second + 1);
    if (filter == NULL || topic == NULL)
        abort();
    if (size > 0)
        memcpy(filter, data, first);
    if (second > 0)
        memcpy(topic, zero + 1, second);
    bool covers = topic_matches(filter, topic), plain = strpbrk(filter, "+#") == NULL && strncmp(filter, "$share/", 7) != 0;
    if (plain && covers != (strcmp(filter, topic) == 0))
        abort();
    if (topic_matches("#", topic) != (topic[0] != '$'))
        abort();
    if (rule_topic_filter(filter) == NULL && plain && !topic_matches(filter, filter))
        abort();
    free(topic);
    free(filter);
    return 0;
}
