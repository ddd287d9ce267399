/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/topic.h"

#include <string.h>

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
