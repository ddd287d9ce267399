/* SPDX-License-Identifier: Apache-2.0
 *
 * topic.h: whether an MQTT topic filter covers a topic (MQTT 5.0, section 4.7: + and #, and none of them covers a topic that begins
 * with $ unless the filter does). Shared subscriptions ($share/group/filter) are compared by their filter. */
#ifndef EDDY_AGENT_TOPIC_H
#define EDDY_AGENT_TOPIC_H

#include <stdbool.h>

bool topic_matches(const char *filter, const char *topic);

#endif
