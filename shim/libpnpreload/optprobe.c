/* SPDX-License-Identifier: ISC */
/* The kernel's word on options that AF_UNIX has not.
 *
 * Which values and lengths an option takes, what is read back, and which error says
 * no, differs from option to option and from kernel to kernel.  So the question is put
 * to a TCP or UDP socket that is made for it and closed again.  In a sandbox, where
 * that may be forbidden, optstore.c answers alone.
 */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static int probe_socket(const struct sock *s)
{
	int type = s->kind == SOCK_STREAMS ? SOCK_STREAM : SOCK_DGRAM;

	if (shim()->sandboxed)
		return -1;
	return real()->socket(s->domain, type | SOCK_CLOEXEC, 0);
}

/* The usual: a switch that every TCP socket has, turned on or off */
static bool is_plain_switch(const struct sock *s, int level, int name, const void *value,
			    socklen_t len)
{
	int v = -1;

	if (value && len == sizeof(v))
		memcpy(&v, value, sizeof(v));
	return (v == 0 || v == 1) && (level == SOL_SOCKET || level == IPPROTO_TCP) &&
	       opt_is_switch(s->kind == SOCK_STREAMS, level, name);
}

int optprobe_set(const struct sock *s, int level, int name, const void *value, socklen_t len)
{
	int k, err;

	if (is_plain_switch(s, level, name, value, len))
		return 0;
	k = probe_socket(s);
	if (k < 0)
		return ENOSYS;
	err = real()->setsockopt(k, level, name, value, len) ? errno : 0;
	real()->close(k);
	return err;
}

int optprobe_get(const struct sock *s, int level, int name, void *value, socklen_t *len)
{
	int k = probe_socket(s), v, err;

	if (k < 0)
		return ENOSYS;
	if (opt_stored(&s->opts, level, name, &v))
		real()->setsockopt(k, level, name, &v, sizeof(v));
	err = real()->getsockopt(k, level, name, value, len) ? errno : 0;
	real()->close(k);
	return err;
}
