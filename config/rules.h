/* SPDX-License-Identifier: Apache-2.0
 *
 * rules.h: what names, addresses and pointers must look like.
 *
 * Each takes a text from a configuration and gives NULL where it is fine, else static words that follow the text in a message:
 * "expected ...". Pure functions; any thread. */
#ifndef EDDY_CONFIG_RULES_H
#define EDDY_CONFIG_RULES_H

#include <stdbool.h>

const char *rule_topic_level(const char *text);     /* one level of a topic: no / + # */
const char *rule_topic_filter(const char *text);    /* MQTT 5.0, section 4.7 */
const char *rule_pipeline_name(const char *text);   /* [a-z0-9_-]{1,64} */
const char *rule_broker_url(const char *text);      /* mqtt:// mqtts:// ws:// wss:// */
const char *rule_path(const char *text);            /* not empty */
const char *rule_model_name(const char *text);      /* [A-Za-z0-9._-]{1,79}, no . or .. */
const char *rule_model_reference(const char *text); /* name or name@version */
const char *rule_file_in_bundle(const char *text);  /* a plain file name */
const char *rule_sha256(const char *text);          /* 64 hex digits */
const char *rule_json_pointer(const char *text);    /* RFC 6901 */
const char *rule_csv_column(const char *text);      /* a name, or #1, #2, ... */
const char *rule_bandwidth_window(const char *text); /* see bandwidth.h */

bool rule_url_is_encrypted(const char *url); /* mqtts or wss */

#endif
