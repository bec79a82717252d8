/* SPDX-License-Identifier: ISC */
/* How a stream ends, told as TCP tells it.
 *
 * Theory of operation
 *
 * AF_UNIX knows the end of file and EPIPE; whether it was a reset, the daemon knows,
 * and tells it once.  TCP tells a reset once, too, to whichever call comes first:
 * read, write or SO_ERROR.  So the first of them asks, and s->eof_asked keeps the
 * others from doing so.
 *
 * A write that finds no reader raises SIGPIPE in the kernel, before we could ask; after a
 * reset TCP does not raise it.  So streams are written to with MSG_NOSIGNAL, and the signal
 * is raised here.  In a sandbox, which may allow write() and nothing else, all is left to the
 * kernel.
 */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>

#define SHUT_BOTH	(SHUT_READ | SHUT_WRITE)

/* The end of the daemon is not the end of the data, though it looks the same,
 * and a new daemon would know nothing of the stream. */
static int reason(struct sock *s, int fd)
{
	int err;

	if (s->daemon && (s->daemon != dm_which() || dm_has_gone()))
		return ECONNRESET;
	err = dm_error(fd, s->key);
	return err == ENETDOWN ? ECONNRESET : err;
}

/* Return: 0 if it was no reset, or that has been told */
static int reset_once(struct sock *s, int fd)
{
	int err;

	if (s->kind != SOCK_STREAMS || s->state != SOCK_CONNECTED || shim()->sandboxed ||
	    atomic_exchange(&s->eof_asked, true))
		return 0;
	err = reason(s, fd);
	if (err)
		trace(fd, "end of stream: %s", strerrorname_np(err));
	return err;
}

ssize_t stream_eof(struct sock *s, int fd)
{
	int saved = errno, err = reset_once(s, fd);

	if (err)
		return fail(err);
	errno = saved;
	return 0;
}

static uint32_t bits(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return real()->poll(&p, 1, 0) > 0 ? (uint32_t)p.revents : 0;
}

/* Who has shut down for reading sees POLLRDHUP, too: then one cannot tell */
bool stream_far_ended(const struct sock *s, int fd)
{
	return s->shut & SHUT_FAR || (!(s->shut & SHUT_READ) && bits(fd) & POLLRDHUP);
}

bool stream_is_over(const struct sock *s, int fd)
{
	bool far_counts = s->shut & SHUT_FAR || (s->shut & SHUT_BOTH) != SHUT_BOTH;

	return far_counts && bits(fd) & POLLHUP;
}

int stream_error(struct sock *s, int fd)
{
	return bits(fd) & POLLHUP ? reset_once(s, fd) : 0;
}

ssize_t stream_broken(int flags)
{
	if (!(flags & MSG_NOSIGNAL))
		pthread_kill(pthread_self(), SIGPIPE);
	return fail(EPIPE);
}

ssize_t stream_sent(int fd, ssize_t ret, int flags)
{
	struct sock *s;
	int err;

	if (ret >= 0 || errno != EPIPE)
		return ret;
	s = fd_get(fd);
	err = s ? stream_error(s, fd) : 0;
	if (s)
		sock_put(s);
	return err ? fail(err) : stream_broken(flags);
}

int stream_tcp_state(const struct sock *s, int fd)
{
	switch ((enum sock_state)s->state) {
	case SOCK_LISTENING:
		return TCP_LISTEN;
	case SOCK_CONNECTING:
		return TCP_SYN_SENT;
	case SOCK_CONNECTED:
		if (stream_is_over(s, fd))
			return TCP_CLOSE;
		if (stream_far_ended(s, fd))
			return TCP_CLOSE_WAIT;
		return s->shut & SHUT_WRITE ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
	default:
		return TCP_CLOSE;
	}
}
