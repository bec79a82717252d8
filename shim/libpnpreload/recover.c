/* SPDX-License-Identifier: ISC */
/* Descriptors that come from elsewhere: through exec, or in a message (SCM_RIGHTS).
 *
 * Nothing of our memory came along.  Bound and connected sockets bear a name that tells
 * what they are; all of ours bear a tag, too.
 */
#include "shim/libpnpreload/shim.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The tag is the socket's priority: it stays with the socket wherever that goes, any user may set
 * these, and AF_UNIX makes nothing of it.  (What a program sets as SO_PRIORITY is kept by us.) */
#define TAG_V4	4
#define TAG_V6	6

void sock_tag(int fd, int domain)
{
	int tag = domain == AF_INET ? TAG_V4 : TAG_V6, saved = errno;

	if (real()->setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &tag, sizeof(tag)))
		errno = saved;           /* then it counts as IPv6's, as without a tag */
}

/* Return: AF_INET or AF_INET6; 0: there is none */
static int tag_domain(int fd)
{
	socklen_t len = sizeof(int);
	int tag = 0;

	if (real()->getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &tag, &len))
		return 0;
	return tag == TAG_V4 ? AF_INET : tag == TAG_V6 ? AF_INET6 : 0;
}

/* Return: a stream socket that is neither bound nor connected nor listening */
static bool is_born(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	return !real()->getsockname(fd, (struct sockaddr *)&sa, &len) &&
	       len <= sizeof(sa_family_t) && (len = sizeof(sa)) &&
	       real()->getpeername(fd, (struct sockaddr *)&sa, &len) && errno == ENOTCONN;
}

/* What lies there is a listener while it waits for a daemon, which else knows port and peer */
static void recover_dgram(struct sock *s, const struct pn_wire_name *name)
{
	if (name->kind != 'l' && !shim()->sandboxed)
		dm_dgram_facts(s);
	atomic_store(&s->state, name->kind == 'l' ? SOCK_WAITING : s->peer.port ? SOCK_CONNECTED :
			s->local.port ? SOCK_BOUND : SOCK_BORN);
}

static struct sock *recover_as(int fd, int domain, int type, const struct pn_wire_name *name)
{
	struct sock *s = sock_new(type == SOCK_STREAM ? SOCK_STREAMS : SOCK_DGRAMS,
				  domain ? domain : AF_INET6);

	if (!s)
		return NULL;
	if (name) {
		sa_from_name(name, &s->peer, &s->local);
		memcpy(s->key, name->key, sizeof(s->key));
		if (s->kind == SOCK_DGRAMS)
			recover_dgram(s, name);
		else
			atomic_store(&s->state, name->kind == 'l' ? SOCK_LISTENING : SOCK_CONNECTED);
	}
	fd_bind(fd, s);
	trace(fd, "known again");
	return s;
}

struct sock *sock_recover(int fd)
{
	struct pn_wire_name name;
	int domain = 0, type = 0, tag;

	if (!sock_facts(fd, &domain, &type) || domain != AF_UNIX ||
	    (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return NULL;
	tag = tag_domain(fd);
	if (!dm_name(fd, &name))
		return name.kind == 'b' ? NULL : recover_as(fd, tag, type, &name);
	if (tag && type == SOCK_STREAM && is_born(fd))
		return recover_as(fd, tag, type, NULL);
	return NULL;
}

/* A listener that came along will be accepted from, which the daemon is needed for; by then the
 * program may have given up the rights, or gone to where it cannot be found. */
void recover_all(void)
{
	DIR *d = opendir("/proc/self/fd");
	bool listens = false;
	struct sock *s;
	int fd;

	if (!d)
		return;
	while ((fd = next_open(d)) >= 0) {
		s = fd_is_internal(fd) ? NULL : sock_recover(fd);
		if (!s)
			continue;
		listens = listens || s->state == SOCK_LISTENING;
		sock_put(s);
	}
	closedir(d);
	if (listens)
		dm_ready();
}
