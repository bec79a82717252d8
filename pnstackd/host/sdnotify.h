/* SPDX-License-Identifier: ISC */
/* sdnotify.h - telling systemd how we are, without its library (sd_notify(3)) */
#ifndef PN_SDNOTIFY_H
#define PN_SDNOTIFY_H

#include <stdint.h>

/** sdnotify() - @state as "READY=1"; nothing happens if not started by systemd */
void sdnotify(const char *state);

/** sdnotify_watchdog_ns() - how often "WATCHDOG=1" is due; 0: never */
uint64_t sdnotify_watchdog_ns(void);

#endif
