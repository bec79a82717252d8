/* SPDX-License-Identifier: ISC */
/* Reading and writing: all the calls, for streams and datagrams.
 *
 * Theory of operation
 *
 * A connected stream needs nothing: its calls go straight down, without another
 * system call, so that sandboxes and speed are what they were.  Only
 *   - the end of file may be a reset, or that of the daemon: it is asked once
 *     (ending.c);
 *   - a connect() in progress is settled by the first call that comes by;
 *   - flags and addresses that TCP takes and AF_UNIX does not are taken off.
 * What others send is libc's affair, but for questions to the DNS (names_dns.c).
 * Datagrams go through io_dgram.c.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"
#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

/* The quick way is open to libc's descriptors and connected streams. */
static inline bool is_plain(const struct sock *s)
{
	return !s || (atomic_load_explicit(&s->kind, memory_order_relaxed) == SOCK_STREAMS &&
		      atomic_load_explicit(&s->state, memory_order_relaxed) == SOCK_CONNECTED);
}

/* A read has returned 0 */
static ssize_t eof_of(int fd)
{
	struct sock *s = fd_get(fd);
	ssize_t ret = 0;

	if (s) {
		ret = stream_eof(s, fd);
		sock_put(s);
	}
	return ret;
}

/* A blocking caller waits for a connect() that is in progress, as in TCP */
static int settle_wait(struct sock *s, int fd, bool dontwait)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = stream_settle(s, fd), flags;

	while (err == EINPROGRESS) {
		flags = real()->fcntl(fd, F_GETFL);
		if (dontwait || (flags >= 0 && flags & O_NONBLOCK))
			return EAGAIN;
		if (s->awaits_answer)
			p.events = POLLIN;
		if (real()->poll(&p, 1, -1) < 0)
			return errno;
		err = stream_settle(s, fd);
	}
	return err;
}

static int stream_io_ready(struct sock *s, int fd, int flags)
{
	switch ((enum sock_state)s->state) {
	case SOCK_CONNECTING:
		return settle_wait(s, fd, flags & MSG_DONTWAIT);
	case SOCK_BORN:
	case SOCK_BOUND:
	case SOCK_LISTENING:
	case SOCK_WAITING:
		return ENOTCONN;
	case SOCK_FAILED:
		return atomic_exchange(&s->so_error, 0);
	case SOCK_CONNECTED:
		return 0;
	}
	return ENOTCONN;
}

/* What the kernel says of a msghdr before it looks at the socket */
static int msg_check(const struct msghdr *msg)
{
	if (!msg)
		return EFAULT;
	if (msg->msg_name && (int)msg->msg_namelen < 0)
		return EINVAL;
	if (!msg->msg_iov && msg->msg_iovlen)
		return EFAULT;
	return msg->msg_iovlen > IOV_MAX_SHIM ? EMSGSIZE : 0;
}

static ssize_t stream_recvmsg(struct sock *s, int fd, struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	ssize_t ret;
	size_t want = 0, i;
	int err;

	if (flags & MSG_OOB)
		return fail(EINVAL); /* there is no urgent data */
	if (flags & MSG_ERRQUEUE)
		return fail(EAGAIN);
	err = stream_io_ready(s, fd, flags);
	if (err == ENOTCONN && s->shut & SHUT_READ && s->state != SOCK_LISTENING)
		return 0;
	if (err)
		return fail(err);
	m.msg_name = NULL;
	m.msg_namelen = 0;
	ret = real()->recvmsg(fd, &m, flags & ~MSG_TRUNC);
	if (ret < 0)
		return ret;
	msg->msg_namelen = 0;
	msg->msg_controllen = m.msg_controllen;
	msg->msg_flags = m.msg_flags;
	/* With nothing wanted, nothing does not mean the end */
	for (i = 0; i < m.msg_iovlen; i++)
		want += m.msg_iov[i].iov_len;
	return ret || (!want && !stream_is_over(s, fd)) ? ret : stream_eof(s, fd);
}

static ssize_t stream_sendmsg(struct sock *s, int fd, const struct msghdr *msg, int flags)
{
	struct msghdr m = *msg;
	int err = 0;

	/* TCP Fast Open: connect and send in one */
	if (flags & MSG_FASTOPEN && m.msg_name && s->state != SOCK_CONNECTED) {
		if (connect_inner(fd, m.msg_name, m.msg_namelen) && errno != EINPROGRESS)
			return -1;
		if (!fd_peek(fd)) {	/* the kernel's now */
			if (dns_is_leak(fd, NULL, msg))
				return fail(ECONNREFUSED);
			err = -1;
		}
	}
	flags &= ~(MSG_FASTOPEN | MSG_OOB);
	if (!err)
		err = stream_io_ready(s, fd, flags);
	if (err == ENOTCONN)
		return stream_broken(flags);
	if (err > 0)
		return fail(err);
	m.msg_name = NULL;
	m.msg_namelen = 0;
	return stream_sent(fd, real()->sendmsg(fd, &m, flags | MSG_NOSIGNAL), flags);
}

/* --- the two general ones, on which all the others rest ----------------------- */

static ssize_t any_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct sock *s = fd_get(fd);
	ssize_t ret;

	if (!s)
		return fd_is_internal(fd) ? fail(EBADF) : real()->recvmsg(fd, msg, flags);
	if (msg_check(msg))
		ret = fail(msg_check(msg));
	else if (s->kind == SOCK_STREAMS)
		ret = stream_recvmsg(s, fd, msg, flags);
	else
		ret = dgram_recv(s, fd, msg, flags);
	sock_put(s);
	return ret;
}

/* To an address that is not PeerNet's */
static ssize_t kernel_sendmsg(int fd, const struct msghdr *msg, int flags,
			      const struct sa_dest *dest)
{
	ssize_t ret;

	if (shim()->only)
		return fail(ENETUNREACH);
	ret = real()->sendmsg(fd, msg, flags);
	/* TCP Fast Open: it is connected there now, or will be */
	if (flags & MSG_FASTOPEN && (ret >= 0 || errno == EINPROGRESS || errno == EINTR))
		dns_connected(fd, dest);
	return ret;
}

/* A datagram that libc's socket is to send to a HIT makes it ours */
static ssize_t foreign_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct sa_dest dest;
	struct sock *s;
	ssize_t ret;

	sa_parse(msg->msg_name, msg->msg_namelen, &dest);
	if (dns_is_leak(fd, dest.kind == SA_OTHER ? NULL : &dest, msg))
		return fail(ECONNREFUSED);
	if (!shim()->on || dest.kind == SA_OTHER || dest.kind == SA_UNSPEC)
		return real()->sendmsg(fd, msg, flags);
	if (!sa_is_inside(dest.kind))
		return kernel_sendmsg(fd, msg, flags, &dest);
	if (msg_check(msg))
		return fail(msg_check(msg));
	s = sock_adopt(fd);
	if (!s)
		return -1;
	if (s->kind == SOCK_STREAMS)
		ret = stream_sendmsg(s, fd, msg, flags);
	else
		ret = dgram_send(s, fd, msg, flags);
	sock_put(s);
	return ret;
}

static ssize_t any_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct sock *s = fd_get(fd);
	ssize_t ret;

	if (!s)
		return fd_is_internal(fd) ? fail(EBADF) : foreign_sendmsg(fd, msg, flags);
	if (msg_check(msg))
		ret = fail(msg_check(msg));
	else if (s->kind == SOCK_STREAMS)
		ret = stream_sendmsg(s, fd, msg, flags);
	else
		ret = dgram_send(s, fd, msg, flags);
	sock_put(s);
	return ret;
}

/* Descriptors came in a message: some may be sockets of ours, from a program like this one.  Their
 * numbers may have been ours before. */
static void rights_enter(const struct msghdr *msg)
{
	struct msghdr m = *msg;
	struct cmsghdr *c;
	int fd, saved = errno;
	size_t i, n;

	for (c = CMSG_FIRSTHDR(&m); c && shim()->on; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (i = 0; i < n; i++) {
			struct sock *s;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			fd_drop(fd);
			s = sock_recover(fd);
			if (s)
				sock_put(s);
		}
	}
	errno = saved;
}

static ssize_t foreign_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t ret = real()->recvmsg(fd, msg, flags);

	if (ret >= 0 && msg->msg_controllen)
		rights_enter(msg);
	return ret;
}

static ssize_t buf_recv(int fd, void *buf, size_t n, int flags)
{
	struct iovec iov = { buf, pn_min(n, IO_MAX) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return any_recvmsg(fd, &msg, flags);
}

static ssize_t buf_send(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
			socklen_t len)
{
	struct iovec iov = { (void *)(uintptr_t)buf, pn_min(n, IO_MAX) };
	struct msghdr msg = { .msg_name = (void *)(uintptr_t)to, .msg_namelen = to ? len : 0,
			      .msg_iov = &iov, .msg_iovlen = 1 };

	return any_sendmsg(fd, &msg, flags);
}

/* --- hooks ------------------------------------------------------------------------ */

/* An error that somebody took for a length: read() and write() refuse it, whatever the
 * descriptor.  send() would send what memory there is. */
static bool is_no_length(size_t n)
{
	return n > SSIZE_MAX;
}

/* readv() and writev() of nothing do not even ask the socket */
static size_t iov_total(const struct iovec *iov, int count)
{
	size_t total = 0;
	int i;

	for (i = 0; i < count && iov; i++)
		total += iov[i].iov_len;
	return total;
}

HOOK ssize_t read(int fd, void *buf, size_t n)
{
	struct sock *s = fd_peek(fd);
	ssize_t ret;

	if (!is_plain(s) && !is_no_length(n))
		return n ? buf_recv(fd, buf, n, 0) : 0;
	ret = real()->read(fd, buf, n);
	return ret || !s || !n ? ret : eof_of(fd);
}

HOOK ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	struct sock *s = fd_peek(fd);
	ssize_t ret;

	if (!is_plain(s) || (s && (!n || flags & (MSG_OOB | MSG_ERRQUEUE | MSG_TRUNC))))
		return buf_recv(fd, buf, n, flags);
	ret = real()->recv(fd, buf, n, flags);
	return ret || !s ? ret : eof_of(fd);
}

HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov };
	struct sock *s = fd_peek(fd);
	ssize_t ret;

	if (!is_plain(s) && (count < 0 || count > IOV_MAX_SHIM))
		return fail(EINVAL);
	msg.msg_iovlen = (size_t)count;
	if (!is_plain(s))
		return iov_total(iov, count) ? any_recvmsg(fd, &msg, 0) : 0;
	ret = real()->readv(fd, iov, count);
	return ret || !s || !iov_total(iov, count) ? ret : eof_of(fd);
}

HOOK ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	return fd_peek(fd) ? any_recvmsg(fd, msg, flags) : foreign_recvmsg(fd, msg, flags);
}

HOOK ssize_t recvfrom(int fd, void *restrict buf, size_t n, int flags, __SOCKADDR_ARG from,
		      socklen_t *restrict len)
{
	struct iovec iov = { buf, pn_min(n, IO_MAX) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t ret;

	if (!fd_peek(fd))
		return real()->recvfrom(fd, buf, n, flags, from.__sockaddr__, len);
	/* What is wrong with @len the kernel finds when it has the data */
	if (from.__sockaddr__ && len && (int)*len >= 0) {
		msg.msg_name = from.__sockaddr__;
		msg.msg_namelen = *len;
	}
	ret = any_recvmsg(fd, &msg, flags);
	if (ret < 0 || !from.__sockaddr__)
		return ret;
	if (!msg.msg_name)
		return fail(len ? EINVAL : EFAULT);
	*len = msg.msg_namelen;
	return ret;
}

/* Where the kernel may do all, SIGPIPE included */
static bool is_kernels(const struct sock *s)
{
	return !s || (is_plain(s) && atomic_load_explicit(&shim()->sandboxed,
							  memory_order_relaxed));
}

HOOK ssize_t write(int fd, const void *buf, size_t n)
{
	struct sock *s = fd_peek(fd);

	if (!s && dns_buf_is_leak(fd, buf, n))
		return fail(ECONNREFUSED);
	if (is_kernels(s) || is_no_length(n))
		return real()->write(fd, buf, n);
	if (!is_plain(s))
		return buf_send(fd, buf, n, 0, NULL, 0);
	return stream_sent(fd, real()->send(fd, buf, n, MSG_NOSIGNAL), 0);
}

HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov };
	struct sock *s = fd_peek(fd);

	msg.msg_iovlen = count < 0 || count > IOV_MAX_SHIM ? 0 : (size_t)count;
	if (!s && dns_is_leak(fd, NULL, &msg))
		return fail(ECONNREFUSED);
	if (is_kernels(s))
		return real()->writev(fd, iov, count);
	if (count < 0 || count > IOV_MAX_SHIM)
		return fail(EINVAL);
	if (!iov_total(iov, count))
		return 0;
	if (!is_plain(s))
		return any_sendmsg(fd, &msg, 0);
	return stream_sent(fd, real()->sendmsg(fd, &msg, MSG_NOSIGNAL), 0);
}

HOOK ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	struct sock *s = fd_peek(fd);

	if (!s && dns_buf_is_leak(fd, buf, n))
		return fail(ECONNREFUSED);
	if (is_kernels(s) && !(s && flags & MSG_OOB))
		return real()->send(fd, buf, n, flags);
	if (!is_plain(s) || flags & MSG_OOB)
		return buf_send(fd, buf, n, flags, NULL, 0);
	return stream_sent(fd, real()->send(fd, buf, n, flags | MSG_NOSIGNAL), flags);
}

HOOK ssize_t sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG to,
		    socklen_t len)
{
	if (!to.__sockaddr__)
		return send(fd, buf, n, flags);
	if (sa_is_too_long(len))
		return real()->sendto(fd, buf, n, flags, to.__sockaddr__, len);
	return buf_send(fd, buf, n, flags, to.__sockaddr__, len);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (!msg)
		return real()->sendmsg(fd, msg, flags);
	return any_sendmsg(fd, msg, flags);
}

/* Only where one of them goes somewhere special, or may connect the socket for those behind it, are
 * they sent one by one */
static bool mmsg_is_foreign(int fd, const struct mmsghdr *msgs, unsigned int count, int flags)
{
	struct sa_dest dest;
	unsigned int i;

	if (fd_peek(fd) || flags & MSG_FASTOPEN)
		return false;
	for (i = 0; i < count && shim()->on; i++) {
		sa_parse(msgs[i].msg_hdr.msg_name, msgs[i].msg_hdr.msg_namelen, &dest);
		if (sa_is_inside(dest.kind) || (shim()->only && dest.kind == SA_KERNEL) ||
		    dns_is_leak(fd, dest.kind == SA_OTHER ? NULL : &dest, &msgs[i].msg_hdr))
			return false;
	}
	return true;
}

HOOK int sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags)
{
	int saved = errno;
	unsigned int i;
	ssize_t ret;

	if (count > MMSG_MAX)
		count = MMSG_MAX;
	if (mmsg_is_foreign(fd, msgs, count, flags))
		return real()->sendmmsg(fd, msgs, count, flags);
	for (i = 0; i < count; i++) {
		ret = any_sendmsg(fd, &msgs[i].msg_hdr, flags);
		if (ret < 0 && !i)
			return -1;
		if (ret < 0)
			break;
		msgs[i].msg_len = (unsigned int)ret;
	}
	errno = saved;
	return (int)i;
}

static int foreign_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
			    struct timespec *timeout)
{
	int ret = real()->recvmmsg(fd, msgs, count, flags, timeout), i;

	for (i = 0; i < ret; i++)
		if (msgs[i].msg_hdr.msg_controllen)
			rights_enter(&msgs[i].msg_hdr);
	return ret;
}

HOOK int recvmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags,
		  struct timespec *timeout)
{
	int saved = errno;
	unsigned int i;
	ssize_t ret;

	if (!fd_peek(fd))
		return foreign_recvmmsg(fd, msgs, count, flags, timeout);
	if (count > MMSG_MAX)
		count = MMSG_MAX;
	for (i = 0; i < count; i++) {
		ret = any_recvmsg(fd, &msgs[i].msg_hdr, flags & ~MSG_WAITFORONE);
		if (ret < 0 && !i)
			return -1;
		if (ret < 0)
			break;
		msgs[i].msg_len = (unsigned int)ret;
		/* A timeout is only looked at between messages, as Linux does;
		 * with one, what is there now is taken */
		if (timeout && !timeout->tv_sec && !timeout->tv_nsec) {
			i++;
			break;
		}
		if (flags & MSG_WAITFORONE || timeout)
			flags |= MSG_DONTWAIT;
	}
	errno = saved;
	return (int)i;
}

/* TCP that is not connected says so, but poll() and recv() see the shutdown all the same */
static int stream_shutdown(struct sock *s, int fd, int how)
{
	uint8_t shut = (uint8_t)(how + 1);
	bool connected;

	if (how < SHUT_RD || how > SHUT_RDWR)
		return fail(EINVAL);
	if (s->state == SOCK_CONNECTING && stream_look(s, fd) == EINPROGRESS)
		return fail(stream_give_up(s, fd));
	connected = s->state == SOCK_LISTENING ||
		    (s->state == SOCK_CONNECTED && !stream_is_over(s, fd));
	if (stream_far_ended(s, fd))
		shut |= SHUT_FAR;
	atomic_fetch_or(&s->shut, shut);
	if (real()->shutdown(fd, how))
		return -1;
	return connected ? 0 : fail(ENOTCONN);
}

HOOK int shutdown(int fd, int how)
{
	struct sock *s = fd_get(fd);
	int ret;

	if (!s)
		return real()->shutdown(fd, how);
	if (s->kind == SOCK_DGRAMS) {
		ret = fail(dgram_shutdown(s, fd, how));
	} else {
		ret = stream_shutdown(s, fd, how);
	}
	sock_put(s);
	return ret;
}

/* What _FORTIFY_SOURCE makes of the calls: they check a size, then do the same */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       struct sockaddr *from, socklen_t *len);

HOOK ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	return n > room ? real()->__read_chk(fd, buf, n, room) : read(fd, buf, n);
}

HOOK ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	return n > room ? real()->__recv_chk(fd, buf, n, room, flags) : recv(fd, buf, n, flags);
}

HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
			    struct sockaddr *from, socklen_t *len)
{
	if (n > room)
		return real()->__recvfrom_chk(fd, buf, n, room, flags, from, len);
	return recvfrom(fd, buf, n, flags, (__SOCKADDR_ARG){ .__sockaddr__ = from }, len);
}
