/* SPDX-License-Identifier: ISC */
/* Making, binding, connecting, accepting and closing sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libpeernet/lib.h"

#define BACKLOG_MAX 4096

int pn_socket(int domain, int type, int protocol)
{
	int flags = type & (SOCK_NONBLOCK | SOCK_CLOEXEC);
	uint8_t key[16];

	if (domain != PF_PEERNET)
		return (int)pn_lib_result(-EAFNOSUPPORT);
	if (protocol != 0)
		return (int)pn_lib_result(-EPROTONOSUPPORT);
	switch (type & ~flags) {
	case SOCK_STREAM:
		return socket(AF_UNIX, type, 0);
	case SOCK_DGRAM:
		pn_client_key(key);
		return (int)pn_lib_result(pn_client_dgram_open(pn_lib_client(), flags, key));
	default:
		return (int)pn_lib_result(-ESOCKTNOSUPPORT);
	}
}

/* The port cannot be taken before listen() or connect(): the name keeps it. */
static int stream_bind(int fd, uint16_t port)
{
	struct pn_wire_name name = { .kind = 'b', .family = 6, .local_port = port };
	struct sockaddr_un un;
	socklen_t len;

	pn_client_key(name.key);
	len = pn_wire_name_build(&name, &un);
	return bind(fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
}

/* May an address be bound here: is it ours, or any? */
static int check_own(const struct sockaddr_pn *addr)
{
	static const struct sockaddr_pn zero;
	uint8_t hit[16], id[32];
	int r;

	if (!memcmp(addr->spn_hit, zero.spn_hit, 16) && !memcmp(addr->spn_id, zero.spn_id, 32))
		return 0;
	r = pn_client_info(pn_lib_client(), hit, id);
	if (r < 0)
		return r;
	if (memcmp(addr->spn_hit, zero.spn_hit, 16) && memcmp(addr->spn_hit, hit, 16))
		return -EADDRNOTAVAIL;
	if (memcmp(addr->spn_id, zero.spn_id, 32) && memcmp(addr->spn_id, id, 32))
		return -EADDRNOTAVAIL;
	return 0;
}

int pn_bind(int fd, const struct sockaddr_pn *addr, socklen_t len)
{
	uint8_t key[16];
	int type, r;

	if (!addr || len < sizeof(*addr))
		return (int)pn_lib_result(-EINVAL);
	if (addr->spn_family != AF_PEERNET)
		return (int)pn_lib_result(-EAFNOSUPPORT);
	type = pn_lib_type(fd);
	if (type < 0)
		return (int)pn_lib_result(type);
	r = check_own(addr);
	if (r < 0)
		return (int)pn_lib_result(r);
	if (type == SOCK_STREAM)
		return (int)pn_lib_result(stream_bind(fd, ntohs(addr->spn_port)));
	r = pn_lib_dgram_key(fd, key);
	if (r == 0)
		r = pn_client_dgram_bind(pn_lib_client(), key, ntohs(addr->spn_port), 0, NULL);
	return (int)pn_lib_result(r);
}

/* Puts @from under the number @fd with the flags that @fd has; closes @from */
static int replace(int from, int fd)
{
	int fl = fcntl(fd, F_GETFL);
	int fdfl = fcntl(fd, F_GETFD);
	int r = 0;

	if (fl >= 0 && fl & O_NONBLOCK)
		fcntl(from, F_SETFL, O_RDWR | O_NONBLOCK);
	if (fl < 0 || fdfl < 0 || dup3(from, fd, fdfl & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		r = -errno;
	close(from);
	return r;
}

int pn_listen(int fd, int backlog)
{
	struct pn_client_listen req = { .kernel_fd = -1, .live_fd = -1 };
	struct pn_wire_name name;
	int type = pn_lib_type(fd);
	int r;

	if (type < 0)
		return (int)pn_lib_result(type);
	if (type != SOCK_STREAM)
		return (int)pn_lib_result(-EOPNOTSUPP);
	if (backlog < 0 || backlog > BACKLOG_MAX)
		backlog = BACKLOG_MAX;
	r = pn_client_name(pn_lib_client(), fd, &name);
	if (r == 0 && name.kind == 'l')
		return listen(fd, backlog);
	if (r == 0 && name.kind != 'b')
		return (int)pn_lib_result(-EINVAL);
	if (r == 0)
		req.port = name.local_port;
	else if (r != -ENOENT)
		return (int)pn_lib_result(r);
	req.backlog = (uint16_t)backlog;
	pn_client_key(req.key);
	r = pn_client_listen(pn_lib_client(), &req, NULL);
	if (r >= 0)
		r = replace(r, fd);
	return (int)pn_lib_result(r);
}

int pn_accept4(int fd, struct sockaddr_pn *addr, socklen_t *len, int flags)
{
	struct pn_wire_name name;
	int got, r;

	for (;;) {
		got = accept4(fd, NULL, NULL, flags);
		if (got < 0)
			return -1;
		r = pn_client_accepted(pn_lib_client(), got, &name);
		if (r == 0)
			break;
		close(got);
		if (r == -ESTALE)
			(void)pn_client_relisten(pn_lib_client(), fd, -1, -1);
		else if (r != -EPERM)
			return (int)pn_lib_result(r);
		/* not a connection from the daemon: as if it had never come */
	}
	pn_lib_address(name.peer, name.peer_port, true, addr, len);
	return got;
}

int pn_accept(int fd, struct sockaddr_pn *addr, socklen_t *len)
{
	return pn_accept4(fd, addr, len, 0);
}

/* What was before on this socket?  Return: 0 go on, with the local port; else why not */
static int connect_before(int fd, uint16_t *local_port)
{
	struct pn_wire_name name;
	int r = pn_client_name(pn_lib_client(), fd, &name);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	switch (name.kind) {
	case 'b':
		*local_port = name.local_port;
		return pn_client_stream_fresh(pn_lib_client(), fd);
	case 'c':
		r = pn_client_filled(pn_lib_client(), fd, name.key, 0);
		if (r == -EINPROGRESS)
			return -EALREADY;
		return r < 0 ? r : -EISCONN;
	case 'a':
		return -EISCONN;
	default:
		return -EOPNOTSUPP;
	}
}

static int stream_connect(int fd, const uint8_t hit[16], uint16_t port)
{
	struct pn_client *c = pn_lib_client();
	int fl = fcntl(fd, F_GETFL);
	bool wait = fl >= 0 && !(fl & O_NONBLOCK);
	uint16_t local_port = 0;
	uint8_t key[16];
	int r;

	r = connect_before(fd, &local_port);
	if (r < 0)
		return r;
	r = pn_client_stream_connect(c, fd, hit, port, local_port,
				     wait ? PN_WIRE_F_ANSWER : PN_WIRE_F_FILLER, key);
	if (r >= 0 && !wait) {
		r = pn_client_fill(c, fd, key);
		if (r == 0)
			return -EINPROGRESS;
	} else if (r >= 0) {
		r = pn_client_stream_answer(c, fd);
		if (r == 0)
			return 0;
	}
	/* Failed: a new socket under the number, so that it can be tried again, and so
	 * that no late answer is ever read as data. */
	pn_client_stream_fresh(c, fd);
	return r == -EINPROGRESS ? -ETIMEDOUT : r;
}

int pn_connect(int fd, const struct sockaddr_pn *addr, socklen_t len)
{
	uint8_t hit[16], key[16];
	uint16_t port;
	int type, r;

	if (!addr || len < sizeof(sa_family_t))
		return (int)pn_lib_result(-EINVAL);
	type = pn_lib_type(fd);
	if (type < 0)
		return (int)pn_lib_result(type);
	if (type == SOCK_SEQPACKET && addr->spn_family == AF_UNSPEC) {
		r = pn_lib_dgram_key(fd, key);
		if (r == 0)
			r = pn_client_dgram_connect(pn_lib_client(), key, key, 0, NULL);
		return (int)pn_lib_result(r);
	}
	r = pn_lib_target(addr, len, hit, &port);
	if (r < 0)
		return (int)pn_lib_result(r);
	if (type == SOCK_STREAM)
		return (int)pn_lib_result(stream_connect(fd, hit, port));
	r = pn_lib_dgram_key(fd, key);
	if (r == 0)
		r = pn_client_dgram_connect(pn_lib_client(), key, hit, port, NULL);
	return (int)pn_lib_result(r);
}

int pn_close(int fd)
{
	struct pn_wire_name name = { .kind = 0 };
	struct linger linger = { 0 };
	socklen_t len = sizeof(linger);
	int r;

	if (pn_client_name(pn_lib_client(), fd, &name) < 0)
		name.kind = 0;
	if ((name.kind == 'a' || name.kind == 'c') &&
	    getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
	    linger.l_onoff && !linger.l_linger)
		pn_client_reset(pn_lib_client(), fd, name.key);
	r = close(fd);
	if (r == 0 && name.kind == 'l') {
		/* Only a hint to look now whether anybody still has it open. */
		pn_client_unlisten(pn_lib_client(), name.key);
	}
	return r;
}
