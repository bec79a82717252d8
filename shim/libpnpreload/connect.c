/* SPDX-License-Identifier: ISC */
/* connect() of streams.
 *
 * Theory of operation
 *
 * A blocking connect() writes the request and reads the daemon's four bytes of
 * answer.  A non-blocking one leaves filler in the socket, so that it is not
 * writable until the daemon has the answer and drains it: poll, select and
 * epoll then say by themselves what they say of TCP.  The state is
 * SOCK_CONNECTING until some hook comes by and looks (stream_settle()), which
 * also gives the socket its full buffer back.
 *
 * After a failure the AF_UNIX socket is of no use; a fresh one is put in its
 * place, so that a program may try again, as it may with TCP.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static bool is_nonblock(int fd)
{
	int flags = real()->fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

/* Back to the start, with a new socket below. */
static int stream_renew(struct sock *s, int fd)
{
	int fresh = real()->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fresh < 0)
		return errno;
	sock_tag(fresh, s->domain);
	err = sock_replace(fd, s, fresh);
	if (err)
		return err;
	/* As the kernel: the port stays */
	s->local = (struct sa_addr){ .family = s->local.family, .port = s->local.port };
	s->peer = (struct sa_addr){ 0 };
	s->awaits_answer = false;
	atomic_store(&s->shut, 0);
	atomic_store(&s->unannounced, false);
	atomic_store(&s->so_error, 0);
	atomic_store(&s->eof_asked, false);
	atomic_store(&s->state, SOCK_BORN);
	return 0;
}

int stream_settle(struct sock *s, int fd)
{
	int err;

	if (s->state != SOCK_CONNECTING)
		return 0;
	err = dm_connected(s, fd);
	if (err == EINPROGRESS)
		return err;
	trace(fd, "connect has ended: %s", err ? strerrorname_np(err) : "connected");
	atomic_store(&s->state, err ? SOCK_FAILED : SOCK_CONNECTED);
	return err;
}

int stream_look(struct sock *s, int fd)
{
	int err = stream_settle(s, fd);

	if (err && err != EINPROGRESS)
		atomic_store(&s->so_error, err);
	return err;
}

int stream_give_up(struct sock *s, int fd)
{
	return stream_renew(s, fd);
}

static int stream_join(struct sock *s, int fd, const struct sa_dest *dest)
{
	bool nonblock = is_nonblock(fd);
	uint8_t born = SOCK_BORN, bound = SOCK_BOUND;
	int err;

	if (!dest->port)
		return ECONNREFUSED;
	if (!atomic_compare_exchange_strong(&s->state, &born, SOCK_CONNECTING) &&
	    !atomic_compare_exchange_strong(&s->state, &bound, SOCK_CONNECTING))
		return EALREADY;
	fd_unhide(atomic_exchange(&s->kernel_fd, -1));
	err = dm_connect(s, fd, dest->hit, dest->port, nonblock);
	trace(fd, "connect to PeerNet, port %u: %s", dest->port,
	      err ? strerrorname_np(err) : "connected");
	if (!err)
		atomic_store(&s->state, SOCK_CONNECTED);
	else if (err == EINPROGRESS || err == EINTR)
		atomic_store(&s->unannounced, true);
	else
		stream_renew(s, fd);
	return err;
}

/* connect() on a socket that is not new.  What Linux says of it, to the letter: a connect()
 * in progress that has succeeded is announced once, one that has failed must be buried by
 * a call that fails. */

static int stream_again(struct sock *s, int fd, const struct sa_dest *dest)
{
	int err;

	if (s->state == SOCK_BORN || s->state == SOCK_BOUND)
		return 0;
	if (dest->kind == SA_UNSPEC) {
		/* The far side sees a reset */
		if (s->state == SOCK_CONNECTED)
			dm_reset(fd, s->key);
		return stream_renew(s, fd);
	}
	err = stream_look(s, fd);
	switch ((enum sock_state)s->state) {
	case SOCK_CONNECTING:
		return err == EINPROGRESS ? EALREADY : err;
	case SOCK_CONNECTED:
		return atomic_exchange(&s->unannounced, false) ? 0 : EISCONN;
	case SOCK_LISTENING:
		return EISCONN;
	case SOCK_FAILED:
		err = atomic_exchange(&s->so_error, 0);
		stream_renew(s, fd);
		return err ? err : ECONNABORTED;
	case SOCK_BORN:
	case SOCK_BOUND:
		return 0;
	case SOCK_WAITING:
		break;
	}
	return EINVAL;
}

static bool stream_may_fallback(const struct sock *s)
{
	return s->state == SOCK_BORN || s->state == SOCK_BOUND;
}

static int stream_connect(struct sock *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	bool fresh = stream_may_fallback(s);
	int err;

	sa_parse(sa, len, &dest);
	if (len < sizeof(sa->sa_family))
		return fail(EINVAL);
	err = stream_again(s, fd, &dest);
	if (err || (!fresh && s->state != SOCK_BORN) || dest.kind == SA_UNSPEC)
		return fail(err);
	if (!sa_is_inside(dest.kind)) {
		if (shim()->only)
			return fail(dest.kind == SA_OTHER ? EAFNOSUPPORT : ENETUNREACH);
		trace(fd, "connect past PeerNet");
		err = sock_fallback(fd, s);
		return err ? fail(err) : real()->connect(fd, sa, len);
	}
	if (sa->sa_family != s->domain)
		return fail(sa_error(s->domain, sa, len));
	err = dest_of(sa, len, &dest);
	return fail(err ? err : stream_join(s, fd, &dest));
}

/* A socket of libc's and an address that is not PeerNet's */
static int connect_foreign(int fd, const struct sockaddr *sa, socklen_t len,
			   const struct sa_dest *dest)
{
	if (shim()->only && (dest->kind == SA_KERNEL || dest->kind == SA_WILDCARD))
		return fail(ENETUNREACH);
	return real()->connect(fd, sa, len);
}

static int dgram_connect_any(struct sock *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	int err = dest_of(sa, len, &dest);

	if (!err && (dest.kind == SA_PEERNET || dest.kind == SA_UNSPEC))
		return fail(dgram_connect(s, fd, &dest));
	if (!err && dest.kind == SA_OTHER)
		err = sa_error(s->domain, sa, len);
	if (err || shim()->only)
		return fail(err ? err : ENETUNREACH);
	trace(fd, "connect past PeerNet");
	err = sock_fallback(fd, s);
	return err ? fail(err) : real()->connect(fd, sa, len);
}

int connect_inner(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	struct sock *s;
	int saved = errno, ret;

	sa_parse(sa, len, &dest);
	dns_connected(fd, &dest);
	s = fd_get_checked(fd);
	if (!s && !sa_is_inside(dest.kind))
		return connect_foreign(fd, sa, len, &dest);
	if (!s)
		s = sock_adopt(fd);
	if (!s)
		return -1;
	if (s->kind == SOCK_STREAMS)
		ret = stream_connect(s, fd, sa, len);
	else
		ret = dgram_connect_any(s, fd, sa, len);
	sock_put(s);
	if (!ret)
		errno = saved;
	return ret;
}

HOOK int connect(int fd, __CONST_SOCKADDR_ARG sa, socklen_t len)
{
	if (!shim()->on || sa_is_too_long(len))
		return real()->connect(fd, sa.__sockaddr__, len);
	return connect_inner(fd, sa.__sockaddr__, len);
}
