/* SPDX-License-Identifier: Apache-2.0
 *
 * paho_socket.h: what the link may say about a socket that Paho reads, see paho_socket.c. */
#ifndef EDDY_TRANSPORT_PAHO_SOCKET_H
#define EDDY_TRANSPORT_PAHO_SOCKET_H

#include <stdint.h>

/* Until then (base/clock.h's monotonic clock; 0: no longer) the socket counts as one that nothing has arrived at, and TCP holds the sender back. Any thread,
 * Paho's callbacks included; takes one short lock. */
void paho_socket_pause(int socket, int64_t until_us);

#endif
