/* SPDX-License-Identifier: ISC */
/* socket(): streams are born AF_UNIX, all else is the kernel's. */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/limits.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#define TYPE_FLAGS	(SOCK_NONBLOCK | SOCK_CLOEXEC)

int fail(int err)
{
	if (!err)
		return 0;
	errno = err;
	return -1;
}

static bool is_inet(int domain)
{
	return domain == AF_INET || domain == AF_INET6;
}

static int socket_stream(int domain, int type, int protocol)
{
	int fd = real()->socket(AF_UNIX, SOCK_STREAM | (type & TYPE_FLAGS), 0);
	struct sock *s;

	if (fd < 0)
		return -1;
	s = (unsigned int)fd < FD_MAX ? sock_new(SOCK_STREAMS, domain) : NULL;
	if (!s) {
		/* More than the table can hold: the kernel's, as without us */
		real()->close(fd);
		return real()->socket(domain, type, protocol);
	}
	s->owner = getpid();
	sock_tag(fd, domain);
	fd_bind(fd, s);
	sock_put(s);
	return fd;
}

/* Under PEERNET_ONLY: what cannot send anything to the outside past our hooks */
static bool socket_allowed(int domain, int type)
{
	if (is_inet(domain))
		return (type & ~TYPE_FLAGS) == SOCK_DGRAM;
	return domain == AF_UNIX || domain == AF_NETLINK;
}

HOOK int socket(int domain, int type, int protocol)
{
	int fd;

	if (!shim()->on)
		return real()->socket(domain, type, protocol);
	if (is_inet(domain) && (type & ~TYPE_FLAGS) == SOCK_STREAM &&
	    (protocol == 0 || protocol == IPPROTO_TCP))
		return socket_stream(domain, type, protocol);
	if (shim()->only && !socket_allowed(domain, type))
		return fail(EACCES);
	fd = real()->socket(domain, type, protocol);
	if (fd >= 0)
		fd_drop(fd);
	return fd;
}
