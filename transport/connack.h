/* SPDX-License-Identifier: Apache-2.0
 *
 * connack.h: the Server Reference of a refused connection, which Paho 1.3.12 reads and then keeps to itself.
 *
 * Programs are linked with --wrap=MQTTPacket_connack; Paho has one receiving thread, which reads a CONNACK and then calls onFailure5: what
 * the wrapper noted there is of that very CONNACK. */
#ifndef EDDY_TRANSPORT_CONNACK_H
#define EDDY_TRANSPORT_CONNACK_H

#include <stddef.h>

/* To be called from onFailure5 alone. Not NUL-terminated; its length, 0: there was none, or it does not fit. */
size_t connack_server_reference(char *text, size_t capacity);

#endif
