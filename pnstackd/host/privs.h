/* SPDX-License-Identifier: ISC */
/* privs.h - giving up privileges; see privs.c for the stages */
#ifndef PN_PRIVS_H
#define PN_PRIVS_H

#include <stdbool.h>
#include <stddef.h>

/** privs_harden() - stage 1, before a secret is read: no core dumps, no ptrace
 *  by others, no rights gained by exec */
void privs_harden(void);

/** privs_own() - give a fresh directory or file to the user that we become
 *  @user: as for privs_drop() */
void privs_own(const char *path, const char *user);

/** privs_drop() - stage 3: become @user if started as root, keep at most the two
 *  network capabilities
 *  @user:  name; "": peernet if there is such a user, else stay (without rights)
 *  @keep_net: keep CAP_NET_RAW and CAP_NET_ADMIN, as far as we have them
 *  @told:  out, what was done, in words
 *  Return: 0, or a negative code with @told: why not */
int privs_drop(const char *user, bool keep_net, char *told, size_t told_len);

/** privs_has_net_raw() - may we open Ethernet links? */
bool privs_has_net_raw(void);

#endif
