/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/topic.h"

#include "base/utf8.h"

#include <string.h>

const char *topic_problem(const char *topic)
{
    size_t length = strlen(topic);
    if (length == 0)
        return "it is empty";
    if (length > TOPIC_NAME_BYTES_MAX)
        return "it is longer than 1024 bytes";
    if (topic[0] == '$')
        return "topics that begin with $ are the broker's";
    if (strpbrk(topic, "+#") != NULL)
        return "+ and # are wildcards";
    if (!utf8_is_valid(topic, length))
        return "it is not UTF-8";
    for (size_t i = 0; i < length; i++) { /* U+0000 to U+001F, U+007F to U+009F */
        unsigned char byte = (unsigned char)topic[i];
        if (byte < 0x20 || byte == 0x7f || (byte == 0xc2 && (unsigned char)topic[i + 1] < 0xa0))
            return "it holds a control character";
    }
    return NULL;
}

_Static_assert(TOPIC_NAME_BYTES_MAX == 1024, "topic_problem says so");

static const char *without_share(const char *filter)
{
    if (strncmp(filter, "$share/", 7) != 0)
        return filter;
    const char *group_end = strchr(filter + 7, '/');
    return group_end != NULL ? group_end + 1 : filter;
}

bool topic_matches(const char *filter, const char *topic)
{
    filter = without_share(filter);
    if (*topic == '$' && *filter != '$')
        return false;
    for (;;) {
        if (strcmp(filter, "#") == 0)
            return true;
        size_t filter_level = strcspn(filter, "/"), topic_level = strcspn(topic, "/");
        bool any = filter_level == 1 && *filter == '+';
        if (!any && (filter_level != topic_level || memcmp(filter, topic, topic_level) != 0))
            return false;
        filter += filter_level;
        topic += topic_level;
        if (*topic == '\0')
            return *filter == '\0' || strcmp(filter, "/#") == 0; /* "a/#" covers "a" too */
        if (*filter == '\0')
            return false;
        filter++;
        topic++;
    }
}
