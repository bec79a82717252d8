/* SPDX-License-Identifier: ISC */
/* Addresses and options of sockets. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "libpeernet/lib.h"

int pn_getsockname(int fd, struct sockaddr_pn *addr, socklen_t *len)
{
	struct pn_wire_name name;
	uint8_t peer[16], own[16];
	uint16_t peer_port;
	int r;

	if (!addr || !len)
		return (int)pn_lib_result(-EFAULT);
	r = pn_lib_type(fd);
	if (r < 0)
		return (int)pn_lib_result(r);
	memset(&name, 0, sizeof(name));
	r = pn_client_name(pn_lib_client(), fd, &name);
	if (r < 0 && r != -ENOENT)
		return (int)pn_lib_result(r);
	if (name.kind == 'd') {
		r = pn_client_dgram_info(pn_lib_client(), name.key, &name.local_port, peer,
					 &peer_port);
		if (r == 0 && name.local_port)
			r = pn_client_info(pn_lib_client(), own, NULL);
		if (r < 0)
			return (int)pn_lib_result(r);
		if (name.local_port)
			memcpy(name.local, own, 16);
	}
	pn_lib_address(name.local, name.local_port, true, addr, len);
	return 0;
}

int pn_getpeername(int fd, struct sockaddr_pn *addr, socklen_t *len)
{
	struct pn_wire_name name;
	uint16_t local_port;
	int r;

	if (!addr || !len)
		return (int)pn_lib_result(-EFAULT);
	r = pn_lib_type(fd);
	if (r < 0)
		return (int)pn_lib_result(r);
	r = pn_client_name(pn_lib_client(), fd, &name);
	if (r == 0 && name.kind == 'd')
		r = pn_client_dgram_info(pn_lib_client(), name.key, &local_port, name.peer,
					 &name.peer_port);
	else if (r == 0 && name.kind != 'a' && name.kind != 'c')
		r = -ENOENT;
	if (r < 0)
		return (int)pn_lib_result(r == -ENOENT ? -ENOTCONN : r);
	if (!name.peer_port)
		return (int)pn_lib_result(-ENOTCONN);
	pn_lib_address(name.peer, name.peer_port, true, addr, len);
	return 0;
}

/* What SO_ERROR is to tell */
static int pending_error(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	struct pn_wire_name name;
	int err = 0, r;
	socklen_t len = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return errno;
	if (err)
		return err;
	r = pn_client_name(pn_lib_client(), fd, &name);
	if (r < 0)
		return 0;
	if (name.kind == 'c') {
		r = pn_client_filled(pn_lib_client(), fd, name.key, 0);
		return r == -EINPROGRESS ? 0 : -r;
	}
	if (name.kind == 'a' && poll(&p, 1, 0) > 0)
		return -pn_client_error(pn_lib_client(), fd, name.key);
	return 0;
}

static int give_int(int v, void *value, socklen_t *len)
{
	if (!value || !len || *len < sizeof(v))
		return (int)pn_lib_result(-EINVAL);
	memcpy(value, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}

int pn_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	int type = pn_lib_type(fd);

	if (type < 0)
		return (int)pn_lib_result(type);
	if (level != SOL_SOCKET)
		return (int)pn_lib_result(-ENOPROTOOPT);
	switch (name) {
	case SO_ERROR:
		return give_int(pending_error(fd), value, len);
	case SO_TYPE:
		return give_int(type == SOCK_SEQPACKET ? SOCK_DGRAM : type, value, len);
	case SO_DOMAIN:
		return give_int(AF_PEERNET, value, len);
	case SO_PROTOCOL:
		return give_int(0, value, len);
	default:
		return getsockopt(fd, level, name, value, len);
	}
}

int pn_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	int type = pn_lib_type(fd);

	if (type < 0)
		return (int)pn_lib_result(type);
	if (level != SOL_SOCKET)
		return (int)pn_lib_result(-ENOPROTOOPT);
	return setsockopt(fd, level, name, value, len);
}
