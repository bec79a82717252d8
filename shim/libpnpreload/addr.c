/* SPDX-License-Identifier: ISC */
/* getsockname(), getpeername(), and addresses on their way in and out. */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

int sa_error(int domain, const struct sockaddr *sa, socklen_t len)
{
	/* IPv6 is content without sin6_scope_id */
	socklen_t least = domain == AF_INET ? sizeof(struct sockaddr_in) :
					      offsetof(struct sockaddr_in6, sin6_scope_id);

	if (len < least)
		return EINVAL;
	return sa ? EAFNOSUPPORT : EFAULT;
}

int dest_of(const struct sockaddr *sa, socklen_t len, struct sa_dest *dest)
{
	int err;

	sa_parse(sa, len, dest);
	if (dest->kind == SA_ORCHID)
		return EHOSTUNREACH;
	if (dest->kind != SA_MAPPED)
		return 0;
	err = dm_unmap4(dest->addr4, dest->hit);
	if (err)
		return err == ENETDOWN ? err : EHOSTUNREACH;
	dest->kind = SA_PEERNET;
	return 0;
}

int addr_out(int domain, const struct sa_addr *a, struct sockaddr *sa, socklen_t *len)
{
	static const uint8_t any[16];
	struct sockaddr_storage out;
	uint32_t addr4 = 0;
	socklen_t n;

	if (!sa)
		return 0;
	if (!len)
		return EFAULT;
	if ((int)*len < 0)
		return EINVAL;
	/* Without the daemon it is 0.0.0.0: no address is better than a wrong one */
	if (domain == AF_INET && a->family == 6 && memcmp(a->ip, any, sizeof(any)) != 0 &&
	    dm_map4(a->ip, &addr4))
		addr4 = 0;
	n = sa_build(domain, a, addr4, &out);
	memcpy(sa, &out, pn_min(n, *len));
	*len = n;
	return 0;
}

static int name_of(struct sock *s, int fd, bool peer, struct sockaddr *sa, socklen_t *len)
{
	if (s->kind == SOCK_STREAMS && s->state == SOCK_CONNECTING)
		stream_look(s, fd);
	/* The daemon gives a port to who sends without having one */
	if (s->kind == SOCK_DGRAMS && !peer && !s->local.port)
		dm_dgram_local(s);
	if (peer && (s->state != SOCK_CONNECTED ||
		     (s->kind == SOCK_STREAMS && stream_is_over(s, fd))))
		return ENOTCONN;
	return sa ? addr_out(s->domain, peer ? &s->peer : &s->local, sa, len) : EFAULT;
}

HOOK int getsockname(int fd, __SOCKADDR_ARG sa, socklen_t *len)
{
	struct sock *s = fd_get_checked(fd);
	int saved = errno, err;

	if (!s)
		return real()->getsockname(fd, sa.__sockaddr__, len);
	err = name_of(s, fd, false, sa.__sockaddr__, len);
	sock_put(s);
	errno = saved;
	return fail(err);
}

HOOK int getpeername(int fd, __SOCKADDR_ARG sa, socklen_t *len)
{
	struct sock *s = fd_get_checked(fd);
	int saved = errno, err;

	if (!s)
		return real()->getpeername(fd, sa.__sockaddr__, len);
	err = name_of(s, fd, true, sa.__sockaddr__, len);
	sock_put(s);
	errno = saved;
	return fail(err);
}
