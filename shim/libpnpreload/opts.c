/* SPDX-License-Identifier: ISC */
/* getsockopt() and setsockopt(): answers as TCP and UDP would give them. */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static int opt_out_int(int v, void *value, socklen_t *len)
{
	return opt_out(&v, sizeof(v), value, len);
}

/* SO_ERROR tells once; a connect() that is still in progress is no error */
static int sock_error(struct sock *s, int fd)
{
	int err, v = 0;
	socklen_t len = sizeof(v);

	if (s->kind == SOCK_STREAMS && s->state == SOCK_CONNECTING) {
		err = stream_settle(s, fd);
		return err == EINPROGRESS ? 0 : err;
	}
	if (s->kind == SOCK_DGRAMS)
		dgram_look(s, fd);
	err = atomic_exchange(&s->so_error, 0);
	if (!err && s->kind == SOCK_STREAMS)
		err = stream_error(s, fd);
	if (err)
		return err;
	return real()->getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &len) ? 0 : v;
}

/* What depends on the path: the kernel's word of a socket that has none is worth nothing */
static bool is_of_path(const struct sock *s, int level, int name)
{
	return s->state == SOCK_CONNECTED &&
	       ((level == IPPROTO_TCP && name == TCP_MAXSEG) ||
		(level == IPPROTO_IP && name == IP_MTU) ||
		(level == IPPROTO_IPV6 && name == IPV6_MTU && s->domain == AF_INET6));
}

static int inet_getopt(struct sock *s, int fd, int level, int name, void *value, socklen_t *len)
{
	bool stream = s->kind == SOCK_STREAMS;
	int err = ENOSYS;

	if (stream && level == IPPROTO_TCP && name == TCP_INFO) {
		if (s->state == SOCK_CONNECTING)
			stream_look(s, fd);
		err = opt_get(&s->opts, stream, level, name, value, len);
		if (!err && *len)
			*(uint8_t *)value = (uint8_t)stream_tcp_state(s, fd);
		return err;
	}
	if (!is_of_path(s, level, name) && !(level == IPPROTO_TCP && name == TCP_CONGESTION))
		err = optprobe_get(s, level, name, value, len);
	return err == ENOSYS ? opt_get(&s->opts, stream, level, name, value, len) : err;
}

/* Where to put the length is not known, but the kernel looks at that late */
static int nowhere_getopt(struct sock *s, int level, int name, void *value)
{
	int err = opt_is_ours(level, name) ? optprobe_get(s, level, name, value, NULL) : EFAULT;

	return err && err != ENOSYS ? err : EFAULT;
}

static int sock_getopt(struct sock *s, int fd, int level, int name, void *value, socklen_t *len)
{
	static const struct ucred nobody = { 0, (uid_t)-1, (gid_t)-1 };
	bool stream = s->kind == SOCK_STREAMS;
	int err;

	if (!len)
		return nowhere_getopt(s, level, name, value);
	if ((int)*len < 0 && level != IPPROTO_IPV6)
		return EINVAL;
	if (opt_is_ours(level, name))
		return inet_getopt(s, fd, level, name, value, len);
	switch (name) {
	case SO_TYPE:
		return opt_out_int(stream ? SOCK_STREAM : SOCK_DGRAM, value, len);
	case SO_DOMAIN:
		return opt_out_int(s->domain, value, len);
	case SO_PROTOCOL:
		return opt_out_int(stream ? IPPROTO_TCP : IPPROTO_UDP, value, len);
	case SO_ERROR:
		return opt_out_int(sock_error(s, fd), value, len);
	case SO_ACCEPTCONN:
		return opt_out_int(s->state == SOCK_LISTENING, value, len);
	case SO_PEERCRED:
		return opt_out(&nobody, sizeof(nobody), value, len);
	case SO_PEERGROUPS:
		return ENODATA;
	case SO_PASSCRED:
		err = optprobe_get(s, level, name, value, len);
		return err == ENOSYS ? opt_out_int(0, value, len) : err;
	default:
		return real()->getsockopt(fd, level, name, value, len) ? errno : 0;
	}
}

static int inet_setopt(struct sock *s, int level, int name, const void *value, socklen_t len)
{
	bool stream = s->kind == SOCK_STREAMS;
	int err, v = 0;

	if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && s->local.port)
		return EINVAL;
	err = optprobe_set(s, level, name, value, len);
	if (err && err != ENOSYS)
		return err;
	/* What the kernel takes may be shorter than an integer, or none at all */
	if (err || (level == IPPROTO_TCP && name == TCP_CONGESTION))
		return opt_set(&s->opts, stream, level, name, value, len);
	if (value && len >= sizeof(v))
		memcpy(&v, value, sizeof(v));
	else if (value && len && level == IPPROTO_IP)
		v = *(const uint8_t *)value;
	return opt_set(&s->opts, stream, level, name, &v, sizeof(v));
}

static int sock_setopt(struct sock *s, int fd, int level, int name, const void *value,
		       socklen_t len)
{
	struct linger linger;
	int err;

	if (opt_is_ours(level, name)) {
		err = inet_setopt(s, level, name, value, len);
		/* The hidden one must behave the same; if it cannot, no harm */
		if (!err && s->kernel_fd >= 0)
			real()->setsockopt(s->kernel_fd, level, name, value, len);
		return err;
	}
	/* On AF_UNIX it would make messages carry credentials */
	if (name == SO_PASSCRED) {
		err = optprobe_set(s, level, name, value, len);
		return err == ENOSYS ? 0 : err;
	}
	if (real()->setsockopt(fd, level, name, value, len))
		return errno;
	if (name == SO_LINGER || name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_RCVLOWAT)
		s->carries = true;
	if (name == SO_LINGER && len >= sizeof(linger)) {
		memcpy(&linger, value, sizeof(linger));
		s->reset = linger.l_onoff && !linger.l_linger;
	}
	return 0;
}

HOOK int getsockopt(int fd, int level, int name, void *restrict value, socklen_t *restrict len)
{
	struct sock *s = fd_get(fd);
	int saved = errno, err;

	if (!s)
		return real()->getsockopt(fd, level, name, value, len);
	err = sock_getopt(s, fd, level, name, value, len);
	sock_put(s);
	errno = saved;
	return fail(err);
}

HOOK int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	struct sock *s = fd_get(fd);
	int saved = errno, err;

	if (!s)
		return real()->setsockopt(fd, level, name, value, len);
	err = sock_setopt(s, fd, level, name, value, len);
	sock_put(s);
	errno = saved;
	return fail(err);
}
