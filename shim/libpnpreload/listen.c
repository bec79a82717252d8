/* SPDX-License-Identifier: ISC */
/* bind(), listen() and accept() of streams, and bind() of datagrams.
 *
 * Theory of operation
 *
 * bind() to a wildcard address really binds a hidden TCP socket, so that the
 * kernel says who may have the port, and which one is free when the program
 * asks for 0.  listen() makes it listen and hands it to the daemon, whose
 * AF_UNIX listener gets the program's number: PeerNet's streams and the
 * kernel's connections arrive there alike.  Without a daemon the hidden socket
 * itself gets the number, and the program is what it would be without us.
 *
 * The listener outlives the daemon.  The next one connects to it; accept() sees who it
 * is, and tells it of the listener and the hidden socket, where the kernel's
 * connections have waited.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define EPHEMERAL_MIN	49152	/* RFC 6335 */
#define RELEASE_TRIES	100	/* times to ask for a port that the daemon may just be
				 * giving up: its listener has been closed */
#define RELEASE_WAIT	5	/* ms between them */
#define ACCEPT_TRIES	16	/* foreign connections thrown away in one accept() */

/* --- bind ------------------------------------------------------------------ */

static uint16_t port_random(void)
{
	uint16_t r = 0;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r = (uint16_t)getpid();
	return (uint16_t)(EPHEMERAL_MIN + r % (65536 - EPHEMERAL_MIN));
}

static void opts_apply(const struct sock *s, int kernel_fd)
{
	int level, name, value;
	unsigned int at = 0;

	while (opt_each(&s->opts, &at, &level, &name, &value))
		real()->setsockopt(kernel_fd, level, name, &value, sizeof(value));
}

static uint16_t kernel_port(int fd)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof(sa);
	struct sa_dest d;

	if (real()->getsockname(fd, (struct sockaddr *)&sa, &len))
		return 0;
	sa_parse((struct sockaddr *)&sa, len, &d);
	return d.port;
}

/* Whoever closes a listener and opens it again at once, as servers do that are
 * started anew, may be faster than the daemon, which still has the old one. */
static int bind_patiently(int fd, const struct sockaddr *sa, socklen_t len)
{
	int tries;

	for (tries = 0; real()->bind(fd, sa, len); tries++) {
		if (errno != EADDRINUSE || tries == RELEASE_TRIES)
			return errno;
		real()->poll(NULL, 0, RELEASE_WAIT);
	}
	return 0;
}

/* The hidden TCP socket.  A kernel without IPv6 has none: PeerNet only then. */
static int bind_hidden(struct sock *s, const struct sockaddr *sa, socklen_t len)
{
	int k = real()->socket(s->domain, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (k < 0)
		return errno == EAFNOSUPPORT ? 0 : errno;
	opts_apply(s, k);
	err = bind_patiently(k, sa, len);
	if (err) {
		real()->close(k);
		return err == EADDRNOTAVAIL && s->domain == AF_INET6 ? 0 : err;
	}
	s->local.port = kernel_port(k);
	atomic_store(&s->kernel_fd, fd_hide(k));
	return 0;
}

static int stream_bind_wildcard(struct sock *s, const struct sockaddr *sa, socklen_t len,
				uint16_t port)
{
	int err = 0;

	s->local = (struct sa_addr){ .family = 6, .port = port };
	if (shim()->listen == SHIM_LISTEN_BOTH)
		err = bind_hidden(s, sa, len);
	if (err)
		s->local = (struct sa_addr){ 0 };
	else if (!s->local.port)
		s->local.port = port_random();
	return err;
}

static int stream_bind_self(struct sock *s, const struct sa_dest *dest)
{
	uint8_t self[16];
	int err = dm_self(self);

	if (err)
		return err;
	if (memcmp(self, dest->hit, sizeof(self)) != 0)
		return EADDRNOTAVAIL;
	s->local = (struct sa_addr){ .family = 6,
				     .port = dest->port ? dest->port : port_random() };
	memcpy(s->local.ip, self, sizeof(self));
	return 0;
}

static int stream_bind(struct sock *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	int err;

	err = dest_of(sa, len, &dest);
	if (!err && dest.kind == SA_OTHER && !shim()->only)
		return fail(sa_error(s->domain, sa, len));
	if (s->state != SOCK_BORN)
		return fail(EINVAL);
	if (err)
		return fail(err == ENETDOWN ? err : EADDRNOTAVAIL);
	if (dest.kind == SA_PEERNET) {
		err = sa->sa_family == s->domain ? stream_bind_self(s, &dest) : EAFNOSUPPORT;
	} else if (dest.kind == SA_WILDCARD && shim()->listen != SHIM_LISTEN_KERNEL) {
		err = stream_bind_wildcard(s, sa, len, dest.port);
	} else if (shim()->only) {
		err = EADDRNOTAVAIL;
	} else {
		trace(fd, "bind past PeerNet");
		err = sock_fallback(fd, s);
		return err ? fail(err) : real()->bind(fd, sa, len);
	}
	trace(fd, "bind to PeerNet, port %u: %s", s->local.port,
	      err ? strerrorname_np(err) : "done");
	if (!err)
		atomic_store(&s->state, SOCK_BOUND);
	return fail(err);
}

static int dgram_bind_any(struct sock *s, int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	int err = dest_of(sa, len, &dest);

	if (!err && dest.kind == SA_OTHER)
		err = sa_error(s->domain, sa, len);
	if (err || dest.kind == SA_PEERNET || dest.kind == SA_WILDCARD)
		return fail(err ? err : dgram_bind(s, fd, &dest));
	if (s->local.port || shim()->only)
		return fail(s->local.port ? EINVAL : EADDRNOTAVAIL);
	err = sock_fallback(fd, s);
	return err ? fail(err) : real()->bind(fd, sa, len);
}

static bool is_udp(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof(protocol);

	return !real()->getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) &&
	       protocol == IPPROTO_UDP;
}

/* Is this bind() of a socket of libc's ours?  A UDP server's is: a wildcard and
 * a port.  With port 0 it is a client, which will say where to by sendto(). */
static bool bind_is_ours(int fd, const struct sa_dest *dest)
{
	if (sa_is_inside(dest->kind))
		return true;
	if (dest->kind != SA_WILDCARD || shim()->listen == SHIM_LISTEN_KERNEL || !is_udp(fd))
		return false;
	return shim()->only || (dest->port && !dm_ready());
}

static int bind_foreign(int fd, const struct sockaddr *sa, socklen_t len,
			const struct sa_dest *dest)
{
	if (shim()->only && (dest->kind == SA_KERNEL || dest->kind == SA_WILDCARD))
		return fail(EADDRNOTAVAIL);
	return real()->bind(fd, sa, len);
}

static int bind_inner(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct sa_dest dest;
	struct sock *s;
	int saved = errno, ret;

	sa_parse(sa, len, &dest);
	s = fd_get_checked(fd);
	if (!s && !bind_is_ours(fd, &dest)) {
		errno = saved;
		return bind_foreign(fd, sa, len, &dest);
	}
	if (!s)
		s = sock_adopt(fd);
	if (!s)
		return -1;
	if (s->kind == SOCK_STREAMS)
		ret = stream_bind(s, fd, sa, len);
	else
		ret = dgram_bind_any(s, fd, sa, len);
	sock_put(s);
	if (!ret)
		errno = saved;
	return ret;
}

HOOK int bind(int fd, __CONST_SOCKADDR_ARG sa, socklen_t len)
{
	if (!shim()->on || sa_is_too_long(len))
		return real()->bind(fd, sa.__sockaddr__, len);
	return bind_inner(fd, sa.__sockaddr__, len);
}

/* --- listen ------------------------------------------------------------------ */

static int listen_ephemeral(struct sock *s)
{
	struct sockaddr_storage any;
	const struct sa_addr none = { 0 };
	socklen_t len = sa_build(s->domain, &none, 0, &any);

	return stream_bind_wildcard(s, (struct sockaddr *)&any, len, 0);
}

/* What the program would be without us, if it may. */
static int listen_kernel(struct sock *s, int fd, int backlog)
{
	int err;

	if (s->kernel_fd < 0)
		return ENETDOWN;
	trace(fd, "listen past PeerNet");
	err = sock_fallback(fd, s);
	return err ? err : real()->listen(fd, backlog) ? errno : 0;
}

/* As bind_patiently() */
static int listen_patiently(struct sock *s, int backlog, int *listener, int *live)
{
	int tries, err;

	for (tries = 0;; tries++) {
		err = dm_listen(s, backlog, s->kernel_fd, listener, live);
		if (err != EADDRINUSE || tries == RELEASE_TRIES)
			return err;
		real()->poll(NULL, 0, RELEASE_WAIT);
	}
}

static int stream_listen(struct sock *s, int fd, int backlog)
{
	int err = 0, listener = -1, live = -1;

	if (s->state == SOCK_LISTENING)
		return 0;
	if (s->state == SOCK_BORN)
		err = listen_ephemeral(s);
	else if (s->state != SOCK_BOUND)
		err = EINVAL;
	if (err)
		return err;
	if (s->kernel_fd >= 0 && real()->listen(s->kernel_fd, backlog))
		return errno;
	err = listen_patiently(s, backlog, &listener, &live);
	trace(fd, "listen on PeerNet, port %u: %s", s->local.port,
	      err ? strerrorname_np(err) : "done");
	if (err)
		return err == ENETDOWN ? listen_kernel(s, fd, backlog) : err;
	sock_tag(listener, s->domain);
	err = sock_replace(fd, s, listener);
	if (err) {
		if (live >= 0)
			real()->close(live);
		return err;
	}
	s->daemon = dm_which();
	atomic_store(&s->live_fd, fd_hide(live));
	atomic_store(&s->state, SOCK_LISTENING);
	return 0;
}

HOOK int listen(int fd, int backlog)
{
	struct sock *s = fd_get_checked(fd);
	int saved = errno, err;

	if (!s)
		return real()->listen(fd, backlog);
	err = s->kind == SOCK_STREAMS ? stream_listen(s, fd, backlog) : EOPNOTSUPP;
	sock_put(s);
	errno = saved;
	return fail(err);
}

/* --- accept -------------------------------------------------------------------- */

static void accept_enter(int fd, const struct sock *listener, const struct pn_wire_name *name)
{
	struct sock *s = sock_new(SOCK_STREAMS, listener->domain);

	if (!s)
		return;
	sa_from_name(name, &s->peer, &s->local);
	memcpy(s->key, name->key, sizeof(s->key));
	s->opts = listener->opts;
	s->reset = listener->reset;
	s->daemon = dm_of_stream();
	s->owner = getpid();
	atomic_store(&s->state, SOCK_CONNECTED);
	sock_tag(fd, s->domain);
	fd_bind(fd, s);
	trace(fd, "accepted from %s, port %u", name->family == 6 ? "PeerNet" : "the kernel",
	      s->peer.port);
	sock_put(s);
}

/* A daemon has been started; or it is another's, while ours is there. */
static void relisten(struct sock *s, int fd)
{
	int live = -1, err;

	if (s->daemon && s->daemon == dm_which() && !dm_has_gone())
		return;
	err = dm_relisten(s, fd, &live);
	trace(fd, "listen on PeerNet again, port %u: %s", s->local.port,
	      err ? strerrorname_np(err) : "done");
	if (err)
		return;
	s->daemon = dm_which();
	fd_unhide(atomic_exchange(&s->live_fd, fd_hide(live)));
}

static int accept_ours(struct sock *s, int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct pn_wire_name name;
	int tries, got, err, saved = errno;
	struct sock *made;

	for (tries = 0; tries < ACCEPT_TRIES; tries++) {
		got = real()->accept4(fd, NULL, NULL, flags);
		if (got < 0)
			return -1;
		fd_drop(got);
		err = dm_accepted(got, &name);
		if (!err)
			break;
		real()->close(got);
		if (err == ESTALE)
			relisten(s, fd);
		else    /* not from the daemon: somebody who plays it */
			trace(got, "accepted from a stranger: closed");
	}
	if (tries == ACCEPT_TRIES)
		return fail(ECONNABORTED);
	accept_enter(got, s, &name);
	if (s->carries)
		carry_options(fd, got);
	made = fd_get(got);
	if (made) {
		err = addr_out(made->domain, &made->peer, sa, len);
		sock_put(made);
	}
	if (err) {	/* as the kernel: the connection is lost */
		close(got);
		return fail(err);
	}
	errno = saved;
	return got;
}

static int accept_foreign(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	int got = real()->accept4(fd, sa, len, flags);

	if (got >= 0)
		fd_drop(got);
	return got;
}

static int accept_inner(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct sock *s = fd_get(fd);
	int got;

	if (!s)
		return accept_foreign(fd, sa, len, flags);
	if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) {
		sock_put(s);
		return fail(EINVAL);
	}
	if (s->kind == SOCK_STREAMS && s->state == SOCK_LISTENING)
		got = accept_ours(s, fd, sa, len, flags);
	else
		got = fail(s->kind == SOCK_STREAMS ? EINVAL : EOPNOTSUPP);
	sock_put(s);
	return got;
}

HOOK int accept(int fd, __SOCKADDR_ARG sa, socklen_t *restrict len)
{
	return accept_inner(fd, sa.__sockaddr__, len, 0);
}

HOOK int accept4(int fd, __SOCKADDR_ARG sa, socklen_t *restrict len, int flags)
{
	return accept_inner(fd, sa.__sockaddr__, len, flags);
}
