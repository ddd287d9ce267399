/* SPDX-License-Identifier: Apache-2.0
 *
 * notify.h: tells systemd how the daemon does: the sd_notify(3) protocol, one datagram to $NOTIFY_SOCKET.
 *
 * Written out here because libsystemd would bring five libraries and a megabyte of memory for these lines; the protocol is stable and
 * meant to be reimplemented (sd_notify(3), "Standalone Implementations"). Without NOTIFY_SOCKET all calls do nothing. */
#ifndef EDDY_AGENT_NOTIFY_H
#define EDDY_AGENT_NOTIFY_H

#include "base/error.h"

#include <stdint.h>

void notify_send(const char *format, ...) PRINTF_LIKE(1, 2); /* "READY=1\nSTATUS=..." */
int64_t notify_watchdog_interval_us(void); /* half of what WATCHDOG_USEC asks; 0: no watchdog */

#endif
