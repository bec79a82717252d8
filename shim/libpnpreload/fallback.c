/* SPDX-License-Identifier: ISC */
/* Another socket under the same number.
 *
 * Theory of operation
 *
 * dup3() puts the new socket under the number; what the number was registered
 * with in epoll sets goes with the old socket, silently.  So the registrations
 * are read from /proc/self/fdinfo before, taken out (they would stay, out of
 * reach, if a duplicate keeps the old socket alive), and put back after.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* --- epoll ------------------------------------------------------------------- */

struct registration {
	int epfd;
	struct epoll_event event;
};

/* Has the program ever put anything into an epoll set? */
static _Atomic bool epoll_used;

HOOK int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	struct sock *s;

	if (op == EPOLL_CTL_ADD) {
		atomic_store_explicit(&epoll_used, true, memory_order_relaxed);
		s = fd_peek(fd);
		if (s)
			atomic_store(&s->in_epoll, true);
	}
	return real()->epoll_ctl(epfd, op, fd, event);
}

static bool is_epoll(int fd)
{
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	return strstr(target, "[eventpoll]") != NULL;
}

/* "tfd:        5 events: 19 data: 5 ..." */
static bool info_field(const char *line, const char *name, int base, uint64_t *value)
{
	const char *at = strstr(line, name);
	char *end;

	if (!at)
		return false;
	at += strlen(name);
	*value = strtoull(at, &end, base);
	return end != at;
}

static size_t epoll_collect_one(int epfd, int fd, struct registration *out, size_t room)
{
	char path[64], line[256];
	uint64_t tfd, events, data;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", epfd);
	f = fopen(path, "re");
	if (!f)
		return 0;
	while (n < room && fgets(line, sizeof(line), f)) {
		if (!info_field(line, "tfd:", 10, &tfd) || tfd != (uint64_t)fd ||
		    !info_field(line, "events:", 16, &events) ||
		    !info_field(line, "data:", 16, &data))
			continue;
		out[n].epfd = epfd;
		out[n].event.events = (uint32_t)events;
		out[n].event.data.u64 = data;
		n++;
	}
	real()->fclose(f);
	return n;
}

int next_open(DIR *d)
{
	struct dirent *e;
	char *end;
	long fd;

	while ((e = readdir(d))) {
		fd = strtol(e->d_name, &end, 10);
		if (end != e->d_name && !*end && fd >= 0 && fd <= INT_MAX && fd != dirfd(d))
			return (int)fd;
	}
	return -1;
}

static size_t epoll_take(int fd, struct registration *out, size_t room)
{
	size_t n = 0, i;
	int epfd;
	DIR *d;

	d = opendir("/proc/self/fd");
	if (!d)
		return 0;
	while (n < room && (epfd = next_open(d)) >= 0) {
		if (is_epoll(epfd))
			n += epoll_collect_one(epfd, fd, out + n, room - n);
	}
	closedir(d);
	for (i = 0; i < n; i++)
		real()->epoll_ctl(out[i].epfd, EPOLL_CTL_DEL, fd, &out[i].event);
	return n;
}

static int replace_one(int fd, int with, bool epoll)
{
	struct registration regs[EPOLL_SETS_MAX];
	int fdfl = real()->fcntl(fd, F_GETFD), err = 0;
	size_t n = epoll ? epoll_take(fd, regs, EPOLL_SETS_MAX) : 0, i;

	if (real()->dup3(with, fd, fdfl >= 0 && fdfl & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		err = errno;
	for (i = 0; i < n; i++)
		real()->epoll_ctl(regs[i].epfd, EPOLL_CTL_ADD, fd, &regs[i].event);
	return err;
}

/* What AF_UNIX keeps for real and the new one should have too */
void carry_options(int from, int to)
{
	static const int names[] = { SO_LINGER, SO_RCVTIMEO, SO_SNDTIMEO, SO_RCVLOWAT };
	union {
		struct linger linger;
		struct timeval time;
		int number;
	} value;
	socklen_t len;
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(names); i++) {
		len = sizeof(value);
		if (!real()->getsockopt(from, SOL_SOCKET, names[i], &value, &len))
			real()->setsockopt(to, SOL_SOCKET, names[i], &value, len);
	}
}

int sock_replace(int fd, struct sock *s, int with)
{
	bool epoll = s ? atomic_load(&s->in_epoll) : atomic_load(&epoll_used);
	int flags = real()->fcntl(fd, F_GETFL), err, at;
	struct sock *other;

	if (flags >= 0)
		real()->fcntl(with, F_SETFL, flags & (O_NONBLOCK | O_ASYNC));
	carry_options(fd, with);
	err = replace_one(fd, with, epoll);
	for (at = fd_next(0, &other); s && !err && at >= 0; at = fd_next(at + 1, &other)) {
		if (other == s && at != fd)
			err = replace_one(at, with, epoll);
	}
	fd_drop(with);
	real()->close(with);
	return err;
}

/* --- to the kernel ------------------------------------------------------------ */

static int kernel_socket(const struct sock *s)
{
	int type = s->kind == SOCK_STREAMS ? SOCK_STREAM : SOCK_DGRAM, level, name, value;
	int k = real()->socket(s->domain, type | SOCK_CLOEXEC, 0);
	unsigned int at = 0;

	if (k < 0)
		return -1;
	while (opt_each(&s->opts, &at, &level, &name, &value))
		real()->setsockopt(k, level, name, &value, sizeof(value));
	if (s->opts.cc[0])
		real()->setsockopt(k, IPPROTO_TCP, TCP_CONGESTION, s->opts.cc,
				   (socklen_t)strlen(s->opts.cc));
	return k;
}

int sock_fallback(int fd, struct sock *s)
{
	int k = atomic_exchange(&s->kernel_fd, -1), err, at;
	struct sock *other;

	if (k < 0)
		k = kernel_socket(s);
	if (k < 0)
		return errno;
	err = sock_replace(fd, s, k);
	for (at = fd_next(0, &other); at >= 0; at = fd_next(at + 1, &other)) {
		if (other == s)
			fd_drop(at);
	}
	return err;
}

/* --- from the kernel ------------------------------------------------------------ */

static void adopt_options(struct sock *s, int fd)
{
	static const int names[][2] = {
		{ SOL_SOCKET, SO_REUSEADDR }, { SOL_SOCKET, SO_REUSEPORT },
		{ SOL_SOCKET, SO_BROADCAST }, { SOL_SOCKET, SO_KEEPALIVE },
		{ IPPROTO_IPV6, IPV6_V6ONLY }, { IPPROTO_IPV6, IPV6_RECVPKTINFO },
		{ IPPROTO_IPV6, IPV6_RECVERR }, { IPPROTO_IPV6, IPV6_TCLASS },
		{ IPPROTO_IPV6, IPV6_MTU_DISCOVER }, { IPPROTO_IPV6, IPV6_RECVTCLASS },
		{ IPPROTO_IP, IP_PKTINFO }, { IPPROTO_IP, IP_TOS }, { IPPROTO_IP, IP_RECVERR },
		{ IPPROTO_IP, IP_MTU_DISCOVER }, { IPPROTO_TCP, TCP_NODELAY },
		{ SOL_SOCKET, SO_PRIORITY }, { SOL_SOCKET, SO_MARK },
		{ IPPROTO_IPV6, IPV6_UNICAST_HOPS }, { IPPROTO_IPV6, IPV6_RECVHOPLIMIT },
		{ IPPROTO_IPV6, IPV6_DONTFRAG }, { IPPROTO_IP, IP_TTL },
		{ IPPROTO_IP, IP_RECVTOS }, { IPPROTO_IP, IP_RECVTTL },
	};
	bool stream = s->kind == SOCK_STREAMS;
	socklen_t len;
	size_t i;
	int v;

	for (i = 0; i < PN_ARRAY_LEN(names); i++) {
		len = sizeof(v);
		if (!real()->getsockopt(fd, names[i][0], names[i][1], &v, &len))
			opt_set(&s->opts, stream, names[i][0], names[i][1], &v, len);
	}
	/* The kernel tells twice of what was set */
	for (i = 0; i < 2; i++) {
		int name = i ? SO_SNDBUF : SO_RCVBUF;

		len = sizeof(v);
		if (real()->getsockopt(fd, SOL_SOCKET, name, &v, &len))
			continue;
		v /= 2;
		opt_set(&s->opts, stream, SOL_SOCKET, name, &v, len);
	}
}

bool sock_facts(int fd, int *domain, int *type)
{
	socklen_t len = sizeof(int);

	return !real()->getsockopt(fd, SOL_SOCKET, SO_DOMAIN, domain, &len) &&
	       !real()->getsockopt(fd, SOL_SOCKET, SO_TYPE, type, &len);
}

/* A client may have bound its port before it said whom it talks to */
static void adopt_port(struct sock *s, int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct sa_dest d;

	if (real()->getsockname(fd, (struct sockaddr *)&sa, &len))
		return;
	sa_parse((struct sockaddr *)&sa, len, &d);
	if (!d.port)
		return;
	if (s->kind == SOCK_DGRAMS)
		dm_dgram_bind(s, d.port);
	else
		s->local = (struct sa_addr){ .family = 6, .port = d.port };
}

struct sock *sock_adopt(int fd)
{
	int domain = 0, type = 0, newfd = -1, err = 0, saved = errno;
	struct sock *s;

	if (!sock_facts(fd, &domain, &type))
		return NULL;
	if ((domain != AF_INET && domain != AF_INET6) ||
	    (type != SOCK_STREAM && type != SOCK_DGRAM)) {
		errno = domain == AF_INET || domain == AF_INET6 ? ENETUNREACH : EAFNOSUPPORT;
		return NULL;
	}
	s = sock_new(type == SOCK_STREAM ? SOCK_STREAMS : SOCK_DGRAMS, domain);
	if (!s)
		return NULL;
	s->owner = getpid();
	/* It may be in an epoll set from before */
	atomic_store(&s->in_epoll, atomic_load(&epoll_used));
	adopt_options(s, fd);
	if (type == SOCK_DGRAM)
		err = dm_dgram_open(s, &newfd);
	else if ((newfd = real()->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) < 0)
		err = errno;
	if (!err) {
		adopt_port(s, fd);
		sock_tag(newfd, domain);
		err = sock_replace(fd, NULL, newfd);
	}
	if (err) {
		sock_put(s);
		errno = err;
		return NULL;
	}
	fd_bind(fd, s);
	errno = saved;
	trace(fd, "taken over from the kernel");
	return s;
}
