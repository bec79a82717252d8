/* SPDX-License-Identifier: ISC */
/* Sending and receiving, with and without addresses. */
#include <errno.h>
#include <string.h>

#include "libpeernet/lib.h"

/* A stream with an address is a mistake; without one it is send() itself. */
static ssize_t stream_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr copy = *msg;

	if (msg->msg_name)
		return pn_lib_result(-EISCONN);
	copy.msg_namelen = 0;
	return sendmsg(fd, &copy, flags);
}

ssize_t pn_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct pn_wire_dgram to = { 0 };
	int type = pn_lib_type(fd);
	struct sockaddr_pn addr;
	int r;

	if (type < 0)
		return pn_lib_result(type);
	if (type == SOCK_STREAM)
		return stream_sendmsg(fd, msg, flags);
	if (msg->msg_name) {
		if (msg->msg_namelen < sizeof(addr))
			return pn_lib_result(-EINVAL);
		memcpy(&addr, msg->msg_name, sizeof(addr));
		r = pn_lib_target(&addr, msg->msg_namelen, to.hit, &to.port);
		if (r < 0)
			return pn_lib_result(r);
	}
	return pn_lib_result(pn_client_dgram_send(pn_lib_client(), fd, &to, msg->msg_iov,
						  msg->msg_iovlen, flags));
}

ssize_t pn_recvmsg(int fd, struct msghdr *msg, int flags)
{
	int type = pn_lib_type(fd);
	struct pn_wire_dgram from;
	ssize_t n;

	if (type < 0)
		return pn_lib_result(type);
	if (type == SOCK_STREAM) {
		n = recvmsg(fd, msg, flags);
		if (n >= 0)
			msg->msg_namelen = 0;
		return n;
	}
	n = pn_client_dgram_recv(pn_lib_client(), fd, &from, msg->msg_iov, msg->msg_iovlen,
				 flags, &msg->msg_flags);
	if (n < 0)
		return pn_lib_result(n);
	pn_lib_address(from.hit, from.port, false, msg->msg_name, &msg->msg_namelen);
	msg->msg_controllen = 0;
	return n;
}

static void *drop_const(const void *p)
{
	return (void *)(uintptr_t)p;
}

ssize_t pn_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr_pn *to,
		  socklen_t len)
{
	struct iovec iov = { drop_const(buf), n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
			      .msg_name = drop_const(to), .msg_namelen = to ? len : 0 };

	return pn_sendmsg(fd, &msg, flags);
}

ssize_t pn_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr_pn *from,
		    socklen_t *len)
{
	struct iovec iov = { buf, n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_name = from,
			      .msg_namelen = from && len ? *len : 0 };
	ssize_t got = pn_recvmsg(fd, &msg, flags);

	if (got >= 0 && len)
		*len = from ? msg.msg_namelen : 0;
	return got;
}
