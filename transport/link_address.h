/* SPDX-License-Identifier: Apache-2.0
 *
 * link_address.h: a broker's URL as the owner gave it and as Paho wants it; where a broker sends its clients instead.
 *
 *   mqtt://HOST[:1883]  mqtts://HOST[:8883]  ws://HOST[:80][/PATH]  wss://HOST[:443][/PATH]; an IPv6 HOST stands in brackets. */
#ifndef EDDY_TRANSPORT_LINK_ADDRESS_H
#define EDDY_TRANSPORT_LINK_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>

struct link_address {
    char *given;       /* NULL: none */
    char *paho_url;
    bool encrypted, websocket;
};

enum { LINK_REFERENCE_BYTES = 256 };

MUST_CHECK enum error_code link_address_init(struct link_address *address, const char *url, struct error *error);
void link_address_deinit(struct link_address *address); /* zeroed afterwards; a zeroed one is fine */

/* The address that a Server Reference (MQTT 5.0, section 4.11) names, first of its list, reached the way `from` is: a broker can send its
 * clients to another host and port, never to a connection that is less protected. */
MUST_CHECK enum error_code link_address_redirect(struct link_address *address, const struct link_address *from, const char *reference,
                                                 struct error *error);

#endif
