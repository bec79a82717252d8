/* SPDX-License-Identifier: ISC */
/* Datagrams: the daemon's header on each message, and what UDP would say. */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#define UDP6_MTU_MAX	1232	/* bytes that fit the MTU that we tell, less headers */
#define ERROR_SKIP_MAX	64	/* errors passed over in one recv() */

/* sendto() on IPv6 may ask that nothing be fragmented */
static uint8_t dgram_flags(const struct sock *s)
{
	if (s->domain == AF_INET)
		return opt_int(&s->opts, IPPROTO_IP, IP_MTU_DISCOVER) >= IP_PMTUDISC_DO ?
			PN_DGRAM_F_NOFRAG : 0;
	return opt_int(&s->opts, IPPROTO_IPV6, IPV6_MTU_DISCOVER) >= IPV6_PMTUDISC_DO ||
	       opt_int(&s->opts, IPPROTO_IPV6, IPV6_DONTFRAG) ? PN_DGRAM_F_NOFRAG : 0;
}

/* More than that, unfragmented?  (The daemon could only drop it.) */
static bool is_too_long(const struct sock *s, const struct msghdr *msg)
{
	size_t len = 0, i;

	if (!dgram_flags(s))
		return false;
	for (i = 0; i < msg->msg_iovlen && len <= UDP6_MTU_MAX; i++)
		len += msg->msg_iov[i].iov_len;
	return len > UDP6_MTU_MAX;
}

/* UDP tells an error to whichever call comes first; here it lies in the queue, as a message */
void dgram_look(struct sock *s, int fd)
{
	int saved = errno;

	if (s->state == SOCK_CONNECTED && !s->so_error && pn_client_dgram_refused(dm_client(), fd))
		atomic_store(&s->so_error, ECONNREFUSED);
	errno = saved;
}

int dgram_shutdown(struct sock *s, int fd, int how)
{
	if (how < SHUT_RD || how > SHUT_RDWR)
		return EINVAL;
	atomic_fetch_or(&s->shut, (uint8_t)(how + 1));
	/* Who waits in recv() wakes up.  The other half would tell the daemon that we
	 * have gone. */
	if (how != SHUT_WR && real()->shutdown(fd, SHUT_RD))
		return errno;
	return s->peer.port ? 0 : ENOTCONN;
}

/* The first datagram gets a port, which getsockname() shall tell */
static int dgram_port(struct sock *s)
{
	return s->local.port ? 0 : dm_dgram_bind(s, 0);
}

ssize_t dgram_send(struct sock *s, int fd, const struct msghdr *msg, int flags)
{
	struct pn_wire_dgram to = { .flags = dgram_flags(s), .port = s->peer.port };
	struct sa_dest dest;
	ssize_t ret;
	int err;

	memcpy(to.hit, s->peer.ip, sizeof(to.hit));
	if (flags & MSG_OOB && s->domain == AF_INET)
		return fail(EOPNOTSUPP);
	if (msg->msg_name && msg->msg_namelen) {
		err = dest_of(msg->msg_name, msg->msg_namelen, &dest);
		if (!err && dest.kind == SA_OTHER)
			err = EINVAL;
		if (!err && dest.kind != SA_PEERNET)
			err = ENETUNREACH;
		if (!err && !dest.port)
			err = EINVAL;
		if (err)
			return fail(err);
		to.port = dest.port;
		memcpy(to.hit, dest.hit, sizeof(to.hit));
	} else if (!to.port) {
		return fail(EDESTADDRREQ);
	}
	if (s->shut & SHUT_WRITE)
		return fail(EPIPE);
	dgram_look(s, fd);
	err = atomic_exchange(&s->so_error, 0);
	if (!err && s->state == SOCK_WAITING)
		err = dgram_again(s, fd);
	if (!err && is_too_long(s, msg))
		err = EMSGSIZE;
	if (!err)
		err = dgram_port(s);
	if (err)
		return fail(err);
	ret = pn_client_dgram_send(dm_client(), fd, &to, msg->msg_iov, msg->msg_iovlen,
				   flags & (MSG_DONTWAIT | MSG_NOSIGNAL));
	if (ret == -ENETDOWN)
		(void)dgram_wait(s, fd);
	return ret < 0 ? fail((int)-ret) : ret;
}

/* As the kernel: what does not fit is cut off, and space behind the last one is not needed */
static void control_put(struct msghdr *msg, size_t room, int level, int type, const void *data,
			size_t len)
{
	struct cmsghdr c = { .cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type };

	if (room < CMSG_LEN(len))
		msg->msg_flags |= MSG_CTRUNC;
	if (room < sizeof(c))
		return;
	c.cmsg_len = pn_min(c.cmsg_len, room);
	memcpy(msg->msg_control, &c, sizeof(c));
	memcpy((uint8_t *)msg->msg_control + CMSG_LEN(0), data, c.cmsg_len - CMSG_LEN(0));
	msg->msg_controllen = pn_min(CMSG_SPACE(len), room);
}

/* Where a datagram came to, for those who asked for it */
static void dgram_control(struct sock *s, struct msghdr *msg)
{
	bool six = s->domain == AF_INET6;
	struct in6_pktinfo info6 = { .ipi6_ifindex = 1 };
	struct in_pktinfo info4 = { .ipi_ifindex = 1 };
	size_t room = msg->msg_control ? msg->msg_controllen : 0;
	uint8_t self[16];
	uint32_t addr4;

	msg->msg_controllen = 0;
	if (!(six ? opt_int(&s->opts, IPPROTO_IPV6, IPV6_RECVPKTINFO) :
		    opt_int(&s->opts, IPPROTO_IP, IP_PKTINFO)))
		return;
	if (dm_self(self) || (!six && dm_map4(self, &addr4)))
		return;
	if (six) {
		memcpy(&info6.ipi6_addr, self, sizeof(self));
		control_put(msg, room, IPPROTO_IPV6, IPV6_PKTINFO, &info6, sizeof(info6));
	} else {
		info4.ipi_addr.s_addr = htonl(addr4);
		info4.ipi_spec_dst = info4.ipi_addr;
		control_put(msg, room, IPPROTO_IP, IP_PKTINFO, &info4, sizeof(info4));
	}
}

/* Whoever would wait gets 0, as from UDP */
static ssize_t dgram_recv_shut(int fd, struct msghdr *msg, int flags)
{
	int fl = real()->fcntl(fd, F_GETFL);

	if (flags & MSG_DONTWAIT || (fl >= 0 && fl & O_NONBLOCK))
		return fail(EAGAIN);
	msg->msg_flags = 0;
	msg->msg_namelen = 0;
	msg->msg_controllen = 0;
	return 0;
}

ssize_t dgram_recv(struct sock *s, int fd, struct msghdr *msg, int flags)
{
	struct pn_wire_dgram from;
	struct sa_addr a = { .family = 6 };
	int tries, msg_flags = 0, err, saved = errno;
	ssize_t ret = -EAGAIN;

	if (flags & MSG_ERRQUEUE)
		return fail(EAGAIN);
	err = atomic_exchange(&s->so_error, 0);
	if (!err && s->state == SOCK_WAITING)
		err = dgram_await(s, fd, flags & MSG_DONTWAIT);
	if (err)
		return fail(err);
	/* A socket without a peer is not told that somebody does not listen */
	for (tries = 0; tries < ERROR_SKIP_MAX; tries++) {
		ret = pn_client_dgram_recv(dm_client(), fd, &from, msg->msg_iov, msg->msg_iovlen,
					   flags & ~MSG_WAITALL, &msg_flags);
		if (ret != -ECONNREFUSED || s->peer.port)
			break;
	}
	if (ret == -ENETDOWN && s->shut & SHUT_READ)
		return dgram_recv_shut(fd, msg, flags);
	if (ret == -ENETDOWN)
		(void)dgram_wait(s, fd);
	if (ret < 0)
		return fail((int)-ret);
	msg->msg_flags = msg_flags & (MSG_TRUNC | MSG_CTRUNC);
	a.port = from.port;
	memcpy(a.ip, from.hit, sizeof(a.ip));
	(void)addr_out(s->domain, &a, msg->msg_name, &msg->msg_namelen);
	dgram_control(s, msg);
	errno = saved;
	return ret;
}

int dgram_connect(struct sock *s, int fd, const struct sa_dest *dest)
{
	uint16_t port = dest->kind == SA_UNSPEC ? 0 : dest->port;
	int err;

	if (dest->kind == SA_PEERNET && !port)
		return ECONNREFUSED;
	err = s->state == SOCK_WAITING ? dgram_again(s, fd) : 0;
	if (err)
		return err;
	err = dm_dgram_connect(s, dest->hit, port);
	if (!err)
		atomic_store(&s->state, port ? SOCK_CONNECTED :
				s->local.port ? SOCK_BOUND : SOCK_BORN);
	trace(fd, "datagrams to PeerNet, port %u: %s", port, err ? strerrorname_np(err) : "done");
	return err;
}

int dgram_bind(struct sock *s, int fd, const struct sa_dest *dest)
{
	uint8_t self[16];
	int err;

	if (s->local.port)
		return EINVAL;
	if (dest->kind == SA_PEERNET) {
		err = dm_self(self);
		if (!err && memcmp(self, dest->hit, sizeof(self)) != 0)
			err = EADDRNOTAVAIL;
		if (err)
			return err;
	}
	err = dm_dgram_bind(s, dest->port);
	if (!err && dest->kind == SA_PEERNET)
		memcpy(s->local.ip, self, sizeof(self));
	if (!err)
		atomic_store(&s->state, SOCK_BOUND);
	trace(fd, "datagrams on PeerNet, port %u: %s", s->local.port,
	      err ? strerrorname_np(err) : "done");
	return err;
}
