/* SPDX-License-Identifier: Apache-2.0
 *
 * topic.h: whether something is a topic to publish to, and whether an MQTT topic filter covers a topic (MQTT 5.0, section 4.7: + and #, and none
 * of them covers a topic that begins with $ unless the filter does). Shared subscriptions ($share/group/filter) are compared by their filter. */
#ifndef EDDY_AGENT_TOPIC_H
#define EDDY_AGENT_TOPIC_H

#include <stdbool.h>

enum { TOPIC_NAME_BYTES_MAX = 1024 };

/* Why eddy does not publish to a topic that somebody else names, in words; NULL: it does. MQTT 5.0, sections 4.7.1 to 4.7.3 and 1.5.4: not empty, no
 * wildcards, UTF-8 without control characters; and not one of the broker's own ($SYS, $share), and of at most TOPIC_NAME_BYTES_MAX bytes. */
const char *topic_problem(const char *topic);

bool topic_matches(const char *filter, const char *topic);

#endif
