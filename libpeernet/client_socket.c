/* SPDX-License-Identifier: ISC */
/* Streams, listeners and datagram sockets of a program, as client.h says. */
#include "libpeernet/client.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"

#define EPHEMERAL_FIRST 49152
#define EPHEMERAL_MASK 0x3fff
#define FILL_SNDBUF 2304        /* the kernel's least, once it has doubled it */
#define NORMAL_SNDBUF 106496    /* net.core.wmem_default, before doubling */
#define FILL_CHUNK 512
#define FILL_MAX (1U << 20)     /* an end, should a kernel never say EAGAIN */
#define IOV_DIRECT 64           /* pieces that the kernel gets as they are */

/* Naming -------------------------------------------------------------------------- */

static int get_name(struct pn_client *c, int fd, bool peer, struct pn_wire_name *out)
{
	struct sockaddr_un un;
	socklen_t len = sizeof(un);
	int r;

	memset(&un, 0, sizeof(un));
	r = peer ? c->sys->getpeername(fd, (struct sockaddr *)&un, &len)
		 : c->sys->getsockname(fd, (struct sockaddr *)&un, &len);
	if (r < 0)
		return errno == ENOTCONN ? -ENOENT : -errno;
	return pn_wire_name_parse(&un, len, out) < 0 ? -ENOENT : 0;
}

int pn_client_name(struct pn_client *c, int fd, struct pn_wire_name *out)
{
	struct pn_wire_name own, peer;
	int r = get_name(c, fd, false, &own);

	if (r < 0 && r != -ENOENT)
		return r;
	/* An accepted socket has the listener's name; the other end has ours. */
	if (r == -ENOENT || own.kind == 'l') {
		int r2 = get_name(c, fd, true, &peer);

		if (r2 == 0 && peer.kind == 'a') {
			*out = peer;
			return 0;
		}
		if (r2 < 0 && r2 != -ENOENT)
			return r2;
	}
	if (r == 0)
		*out = own;
	return r;
}

/* Streams ------------------------------------------------------------------------- */

int pn_client_stream_fresh(struct pn_client *c, int fd)
{
	struct timeval rcv = { 0 }, snd = { 0 };
	socklen_t rlen = sizeof(rcv), slen = sizeof(snd);
	int fl = c->sys->fcntl(fd, F_GETFL);
	int fdfl = c->sys->fcntl(fd, F_GETFD);
	int fresh, r = 0;

	if (fl < 0 || fdfl < 0)
		return -errno;
	fresh = c->sys->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
			       (fl & O_NONBLOCK ? SOCK_NONBLOCK : 0), 0);
	if (fresh < 0)
		return -errno;
	if (c->sys->getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rcv, &rlen) == 0)
		c->sys->setsockopt(fresh, SOL_SOCKET, SO_RCVTIMEO, &rcv, sizeof(rcv));
	if (c->sys->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &snd, &slen) == 0)
		c->sys->setsockopt(fresh, SOL_SOCKET, SO_SNDTIMEO, &snd, sizeof(snd));
	if (c->sys->dup3(fresh, fd, fdfl & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		r = -errno;
	c->sys->close(fresh);
	return r;
}

/* Connects to the daemon's path; waits a moment if its backlog is full */
static int connect_path(struct pn_client *c, int fd)
{
	const struct timeval wait = { .tv_sec = 2 };
	struct timeval old = { 0 };
	socklen_t len = sizeof(old);
	struct sockaddr_un un;
	int fl, r;

	r = pn_client_address(c, &un);
	if (r < 0)
		return r;
	if (c->sys->connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0)
		return 0;
	if (errno != EAGAIN && errno != EINTR)
		return -errno;
	fl = c->sys->fcntl(fd, F_GETFL);
	c->sys->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &old, &len);
	c->sys->setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	c->sys->fcntl(fd, F_SETFL, fl & ~O_NONBLOCK);
	do {
		r = c->sys->connect(fd, (struct sockaddr *)&un, sizeof(un));
	} while (r < 0 && errno == EINTR);
	r = r < 0 ? -errno : 0;
	c->sys->fcntl(fd, F_SETFL, fl);
	c->sys->setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &old, sizeof(old));
	return r;
}

static int bind_name(struct pn_client *c, int fd, const struct pn_wire_name *name)
{
	struct sockaddr_un un;
	socklen_t len = pn_wire_name_build(name, &un);

	return c->sys->bind(fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
}

/* The path is out of reach: a pair whose other end the connector carries */
static int connect_pair(struct pn_client *c, int fd, struct pn_wire_name *name)
{
	struct pn_wire_msg msg = { .op = PN_OP_CONNECT };
	int fl = c->sys->fcntl(fd, F_GETFL);
	int fdfl = c->sys->fcntl(fd, F_GETFD);
	int pair[2], r;

	if (c->sys->socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pn_client_key(name->key);   /* the old name may be bound still */
	memcpy(msg.key, name->key, sizeof(msg.key));
	memcpy(msg.hit, name->peer, sizeof(msg.hit));
	msg.port = name->peer_port;
	r = bind_name(c, pair[0], name);
	if (r == 0)
		r = pn_client_tell(c, &msg, &pair[1], 1);
	if (r == 0 && fl >= 0 && fl & O_NONBLOCK)
		c->sys->fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK);
	if (r == 0 && c->sys->dup3(pair[0], fd, fdfl & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		r = -errno;
	c->sys->close(pair[0]);
	c->sys->close(pair[1]);
	return r;
}

int pn_client_stream_connect(struct pn_client *c, int fd, const uint8_t hit[16], uint16_t port,
			     uint16_t local_port, uint16_t flags, uint8_t key[16])
{
	struct pn_wire_name name = { .kind = 'c', .family = 6, .peer_port = port };
	struct pn_wire_connect header = { .flags = flags, .port = port };
	uint8_t buf[PN_WIRE_CONNECT_LEN];
	int r, replaced = 0;

	PN_ASSERT((flags & (PN_WIRE_F_ANSWER | PN_WIRE_F_FILLER)) !=
		  (PN_WIRE_F_ANSWER | PN_WIRE_F_FILLER));
	r = pn_client_info(c, name.local, NULL);
	if (r < 0)
		return r;
	memcpy(name.peer, hit, 16);
	pn_client_key(name.key);
	if (!local_port)
		local_port = (uint16_t)(EPHEMERAL_FIRST +
			     ((name.key[0] << 8 | name.key[1]) & EPHEMERAL_MASK));
	name.local_port = local_port;
	r = bind_name(c, fd, &name);
	if (r < 0)
		return r;
	r = connect_path(c, fd);
	if (r == -EISCONN || r == -EBADF || r == -ENOTSOCK)
		return r;
	if (r < 0) {
		r = connect_pair(c, fd, &name);
		if (r < 0)
			return r;
		replaced = 1;
	}
	memcpy(header.hit, hit, 16);
	memcpy(header.key, name.key, 16);
	header.local_port = local_port;
	pn_wire_connect_build(&header, buf);
	if (c->sys->send(fd, buf, sizeof(buf), MSG_NOSIGNAL) != (ssize_t)sizeof(buf))
		return -ENETDOWN;
	memcpy(key, name.key, 16);
	return replaced;
}

int pn_client_stream_answer(struct pn_client *c, int fd)
{
	struct timeval rcv = { 0 }, snd = { 0 };
	socklen_t rlen = sizeof(rcv), slen = sizeof(snd);
	uint8_t answer[4];
	ssize_t n;
	bool swap;
	int r;

	/* SO_SNDTIMEO bounds connect(), but what we do is receive. */
	c->sys->getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rcv, &rlen);
	c->sys->getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &snd, &slen);
	swap = rcv.tv_sec != snd.tv_sec || rcv.tv_usec != snd.tv_usec;
	if (swap)
		c->sys->setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &snd, sizeof(snd));
	/* The daemon writes the four bytes at once: they come together. */
	n = c->sys->recv(fd, answer, sizeof(answer), 0);
	r = n < 0 ? -errno : 0;
	if (swap)
		c->sys->setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &rcv, sizeof(rcv));
	if (r == -EAGAIN)
		return -EINPROGRESS;
	if (r < 0)
		return r == -ECONNRESET ? -ENETDOWN : r;
	if (n != (ssize_t)sizeof(answer))
		return -ENETDOWN;
	return -(answer[0] << 24 | answer[1] << 16 | answer[2] << 8 | answer[3]);
}

int pn_client_fill(struct pn_client *c, int fd, const uint8_t key[16])
{
	static const uint8_t filler[FILL_CHUNK];
	struct pn_wire_msg msg = { .op = PN_OP_FILLER };
	const int small = FILL_SNDBUF;
	uint32_t count = 0;

	c->sys->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (count < FILL_MAX) {
		ssize_t n = c->sys->send(fd, filler, sizeof(filler), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			count += (uint32_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			break;
		else
			return -ENETDOWN;
	}
	msg.count = count;
	memcpy(msg.key, key, 16);
	return pn_client_tell(c, &msg, NULL, 0);
}

int pn_client_filled(struct pn_client *c, int fd, const uint8_t key[16], int sndbuf)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT | POLLRDHUP };
	socklen_t len = sizeof(int);
	int unread;

	if (c->sys->poll(&p, 1, 0) < 0)
		return -errno;
	if (p.revents & POLLNVAL)
		return -EBADF;
	if (!p.revents)
		return -EINPROGRESS;
	if (sndbuf <= 0)
		sndbuf = NORMAL_SNDBUF;
	c->sys->setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	if (!(p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
		return 0;
	/* The filler that nobody read has left an error, which says nothing */
	c->sys->getsockopt(fd, SOL_SOCKET, SO_ERROR, &unread, &len);
	return pn_client_error(c, fd, key);
}

/* Was the stream made by another daemon than the one that answers now?  A daemon that
 * ended knows of no error any more, but its streams did not end well. */
static bool other_daemon(struct pn_client *c, int fd)
{
	struct ucred stream, daemon;
	struct sockaddr_un un;
	socklen_t slen = sizeof(stream), dlen = sizeof(daemon), len = sizeof(un);
	int connector = pn_client_connector(c);

	/* An end of a pair (connect_pair()) has a peer without a name, and tells the
	 * process that made the pair. */
	if (connector < 0 || c->sys->getpeername(fd, (struct sockaddr *)&un, &len) < 0 ||
	    len <= sizeof(sa_family_t))
		return false;
	return c->sys->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &stream, &slen) == 0 &&
	       c->sys->getsockopt(connector, SOL_SOCKET, SO_PEERCRED, &daemon, &dlen) == 0 &&
	       stream.pid != daemon.pid;
}

int pn_client_error(struct pn_client *c, int fd, const uint8_t key[16])
{
	struct pn_wire_msg msg = { .op = PN_OP_ERROR };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.key, key, 16);
	r = pn_client_call(c, &msg, NULL, 0, &fd, fd >= 0 ? 1 : 0, &reply, NULL);
	if (r == 0 && fd >= 0 && other_daemon(c, fd))
		return -ECONNRESET;
	return r;
}

int pn_client_reset(struct pn_client *c, int fd, const uint8_t key[16])
{
	struct pn_wire_msg msg = { .op = PN_OP_RESET };

	memcpy(msg.key, key, 16);
	return pn_client_tell(c, &msg, &fd, fd >= 0 ? 1 : 0);
}

/* Listeners ----------------------------------------------------------------------- */

int pn_client_listen(struct pn_client *c, const struct pn_client_listen *req, uint16_t *port)
{
	struct pn_wire_msg msg = { .op = PN_OP_LISTEN, .flags = req->flags, .port = req->port,
				   .backlog = req->backlog };
	struct pn_wire_reply reply;
	int fds[2], fd, r;
	size_t n = 0;

	if (req->kernel_fd >= 0)
		fds[n++] = req->kernel_fd;
	if (req->live_fd >= 0)
		fds[n++] = req->live_fd;
	memcpy(msg.hit, req->hit, 16);
	memcpy(msg.key, req->key, 16);
	r = pn_client_call(c, &msg, NULL, 0, fds, n, &reply, &fd);
	if (r < 0)
		return r;
	if (fd < 0)
		return -EPROTO;
	if (port)
		*port = reply.port;
	return fd;
}

int pn_client_unlisten(struct pn_client *c, const uint8_t key[16])
{
	struct pn_wire_msg msg = { .op = PN_OP_UNLISTEN };

	memcpy(msg.key, key, 16);
	return pn_client_tell(c, &msg, NULL, 0);
}

int pn_client_accepted(struct pn_client *c, int fd, struct pn_wire_name *out)
{
	struct pn_wire_name name;
	struct ucred cred;
	socklen_t len = sizeof(cred);
	uid_t uid;
	int r;

	if (c->sys->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	r = pn_client_uid(c, &uid);
	if (r < 0)
		return r;
	if (cred.uid != uid)
		return -EPERM;
	if (get_name(c, fd, true, &name) < 0 || (name.kind != 'a' && name.kind != 'w'))
		return -EPERM;
	if (name.kind == 'w')
		return -ESTALE;
	*out = name;
	return 0;
}

int pn_client_relisten(struct pn_client *c, int fd, int kernel_fd, int live_fd)
{
	struct pn_wire_msg msg = { .op = PN_OP_LISTEN };
	struct pn_wire_reply reply;
	struct pn_wire_name name;
	int fds[3] = { fd }, r;
	size_t n = 1;

	r = get_name(c, fd, false, &name);
	if (r < 0)
		return r;
	if (kernel_fd >= 0)
		fds[n++] = kernel_fd;
	if (live_fd >= 0)
		fds[n++] = live_fd;
	msg.flags = name.flags;
	msg.port = name.local_port;
	memcpy(msg.hit, name.local, 16);
	memcpy(msg.key, name.key, 16);
	return pn_client_call(c, &msg, NULL, 0, fds, n, &reply, NULL);
}

/* Datagrams ------------------------------------------------------------------------- */

int pn_client_dgram_give(struct pn_client *c, int fd, const uint8_t key[16])
{
	struct pn_wire_msg msg = { .op = PN_OP_DGRAM };

	memcpy(msg.key, key, 16);
	return pn_client_tell(c, &msg, &fd, 1);
}

int pn_client_dgram_open(struct pn_client *c, int sock_flags, const uint8_t key[16])
{
	struct pn_wire_name name = { .kind = 'd', .family = 6 };
	int pair[2], r;

	if (c->sys->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memcpy(name.key, key, 16);
	r = bind_name(c, pair[0], &name);
	if (r == 0)
		r = pn_client_dgram_give(c, pair[1], key);
	c->sys->close(pair[1]);
	if (r < 0) {
		c->sys->close(pair[0]);
		return r;
	}
	if (sock_flags & SOCK_NONBLOCK)
		c->sys->fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK);
	if (!(sock_flags & SOCK_CLOEXEC))
		c->sys->fcntl(pair[0], F_SETFD, 0);
	return pair[0];
}

int pn_client_dgram_bind(struct pn_client *c, const uint8_t key[16], uint16_t port,
			 uint16_t flags, uint16_t *bound)
{
	struct pn_wire_msg msg = { .op = PN_OP_BIND, .flags = flags, .port = port };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.key, key, 16);
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r == 0 && bound)
		*bound = reply.port;
	return r;
}

int pn_client_dgram_connect(struct pn_client *c, const uint8_t key[16], const uint8_t hit[16],
			    uint16_t port, uint16_t *local_port)
{
	struct pn_wire_msg msg = { .op = PN_OP_DCONNECT, .port = port };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.key, key, 16);
	if (port)
		memcpy(msg.hit, hit, 16);
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r == 0 && local_port)
		*local_port = reply.port;
	return r;
}

int pn_client_dgram_info(struct pn_client *c, const uint8_t key[16], uint16_t *local_port,
			 uint8_t peer[16], uint16_t *peer_port)
{
	struct pn_wire_msg msg = { .op = PN_OP_DINFO };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.key, key, 16);
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r < 0)
		return r;
	*local_port = reply.port;
	*peer_port = (uint16_t)reply.addr4;
	memcpy(peer, reply.hit, 16);
	return 0;
}

/**
 * struct layout - A datagram with its header in front
 * @header:     The daemon's
 * @iov:        The header, and the program's pieces
 * @msg:        Of @iov
 * @joined:     In place of the pieces, where they are many; NULL: none
 * @joined_len: Bytes of it
 */
struct layout {
	uint8_t header[PN_WIRE_DGRAM_LEN];
	struct iovec iov[IOV_DIRECT + 1];
	struct msghdr msg;
	uint8_t *joined;
	size_t joined_len;
};

/* Bytes of all pieces; -EMSGSIZE, -EINVAL */
static ssize_t total_of(const struct iovec *iov, size_t count)
{
	size_t len = 0, i;

	if (count > PN_CLIENT_IOV_MAX)
		return -EMSGSIZE;
	for (i = 0; i < count; i++) {
		if (iov[i].iov_len > SSIZE_MAX)
			return -EINVAL;
		len += pn_min(iov[i].iov_len, SSIZE_MAX - len);
	}
	return (ssize_t)len;
}

/* The kernel takes no more pieces than the program may pass, so that there is no room for a
 * header; and an array of so many is large for a stack.  mmap() takes no locks.
 * Return: 0, or -ENOBUFS; then nothing is to be undone */
static int layout_init(struct layout *l, const struct iovec *iov, size_t count, size_t len)
{
	size_t i;

	l->iov[0] = (struct iovec){ l->header, sizeof(l->header) };
	l->joined = NULL;
	l->joined_len = pn_min(len, PN_DATAGRAM_MAX);
	if (count > IOV_DIRECT) {
		l->joined = mmap(NULL, l->joined_len + 1, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (l->joined == MAP_FAILED)
			return -ENOBUFS;
		l->iov[1] = (struct iovec){ l->joined, l->joined_len };
		count = 1;
	} else {
		/* No datagram is longer; the kernel may find faults with what is */
		for (i = 0; i < count; i++)
			l->iov[i + 1] = (struct iovec){ iov[i].iov_base,
							pn_min(iov[i].iov_len, PN_DATAGRAM_MAX) };
	}
	l->msg = (struct msghdr){ .msg_iov = l->iov, .msg_iovlen = count + 1 };
	return 0;
}

static void layout_fini(struct layout *l)
{
	if (l->joined)
		munmap(l->joined, l->joined_len + 1);
}

/* From the pieces, or to them: at most @len bytes, of those that are joined */
static void layout_copy(struct layout *l, const struct iovec *iov, size_t len, bool to)
{
	size_t at = 0, n;

	for (; l->joined && at < len; at += n, iov++) {
		n = pn_min(iov->iov_len, len - at);
		if (n && to)
			memcpy(iov->iov_base, l->joined + at, n);
		else if (n)
			memcpy(l->joined + at, iov->iov_base, n);
	}
}

ssize_t pn_client_dgram_send(struct pn_client *c, int fd, const struct pn_wire_dgram *to,
			     const struct iovec *iov, size_t iov_count, int flags)
{
	ssize_t len = total_of(iov, iov_count);
	struct layout l;
	int r;

	if (len < 0)
		return len;
	if (len > PN_DATAGRAM_MAX)
		return -EMSGSIZE;
	r = layout_init(&l, iov, iov_count, (size_t)len);
	if (r < 0)
		return r;
	pn_wire_dgram_build(to, l.header);
	layout_copy(&l, iov, (size_t)len, false);
	if (c->sys->sendmsg(fd, &l.msg, (flags & MSG_DONTWAIT) | MSG_NOSIGNAL) < 0)
		r = -errno;
	layout_fini(&l);
	if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN)
		return -ENETDOWN;
	return r < 0 ? r : len;
}

/* Receive a header alone.  Return: it tells that nobody listens */
static bool recv_refusal(struct pn_client *c, int fd, int flags)
{
	uint8_t header[PN_WIRE_DGRAM_LEN];
	struct pn_wire_dgram from;
	ssize_t n = c->sys->recv(fd, header, sizeof(header), flags | MSG_DONTWAIT);

	return n == (ssize_t)sizeof(header) &&
	       pn_wire_dgram_parse(header, sizeof(header), &from) == 0 &&
	       from.flags & PN_DGRAM_F_ERROR;
}

/* Another thread, or process, may take it between the two, and tell it.  Then it is a datagram
 * that is lost here, if there is one already; as UDP may. */
bool pn_client_dgram_refused(struct pn_client *c, int fd)
{
	return recv_refusal(c, fd, MSG_PEEK) && recv_refusal(c, fd, 0);
}

/* Return: bytes with the header, MSG_TRUNC or not; negative errno */
static ssize_t recv_whole(struct pn_client *c, int fd, struct pn_wire_dgram *from,
			  struct layout *l, int flags)
{
	ssize_t n;

	do {
		n = c->sys->recvmsg(fd, &l->msg,
				    (flags & (MSG_DONTWAIT | MSG_PEEK)) | MSG_TRUNC);
		if (n < 0)
			return errno == ECONNRESET ? -ENETDOWN : -errno;
		if (n == 0)
			return -ENETDOWN;
		if (pn_wire_dgram_parse(l->header, pn_min((size_t)n, sizeof(l->header)),
					from) < 0)
			return -EPROTO;
		if (!(from->flags & PN_DGRAM_F_ERROR))
			return n;
		/* an error is told once, by whoever takes it */
	} while (flags & MSG_PEEK && !recv_refusal(c, fd, 0));
	return -ECONNREFUSED;
}

ssize_t pn_client_dgram_recv(struct pn_client *c, int fd, struct pn_wire_dgram *from,
			     const struct iovec *iov, size_t iov_count, int flags,
			     int *msg_flags)
{
	ssize_t room = total_of(iov, iov_count), n;
	struct layout l;
	int r;

	if (room < 0)
		return room;
	r = layout_init(&l, iov, iov_count, (size_t)room);
	if (r < 0)
		return r;
	n = recv_whole(c, fd, from, &l, flags);
	if (n >= 0) {
		n -= PN_WIRE_DGRAM_LEN;
		layout_copy(&l, iov, pn_min((size_t)n, l.joined_len), true);
	}
	layout_fini(&l);
	if (n < 0)
		return n;
	if (msg_flags)
		*msg_flags = n > room ? MSG_TRUNC : 0;
	return n > room && !(flags & MSG_TRUNC) ? room : n;
}
