/* SPDX-License-Identifier: ISC */
/* Datagram sockets while there is no daemon.
 *
 * Theory of operation
 *
 * The socket's other end was the daemon's, so poll() would say for ever that it has hung up,
 * which UDP never does, and a server would spin.  Instead a listener is put under its number,
 * with the name by which a new daemon finds it (pnstackd/api/wake.c).  That connects, the
 * socket is readable, and recv() has it back as it was: bound and connected.  Whoever sends
 * tries by himself; and so do we at once, since a program that was busy for long may find out
 * when a new daemon is there and looks for nobody any more.
 *
 * Processes that shared the socket each have one of their own then, so they share the port.
 * Threads do this one by one.
 */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_BACKLOG	4

#define TURN_TRIES	100	/* times to look whether another thread is ready */
#define TURN_WAIT	5	/* ms between them */

/* Not for ever: after fork() that thread may be none of ours */
static void turn_begin(struct sock *s)
{
	int tries;

	for (tries = 0; atomic_exchange(&s->renewing, true) && tries < TURN_TRIES; tries++)
		real()->poll(NULL, 0, TURN_WAIT);
}

static void turn_end(struct sock *s)
{
	atomic_store(&s->renewing, false);
}

/* Return: the socket under the number has a daemon, another thread has seen to that */
static bool is_alive(int fd)
{
	struct pollfd p = { .fd = fd, .events = 0 };

	return real()->poll(&p, 1, 0) == 0;
}

static int put_listener(struct sock *s, int fd)
{
	struct pn_wire_name name = { .kind = 'l', .family = 6, .local_port = s->local.port };
	int w = real()->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;
	struct sockaddr_un un;
	socklen_t len;

	if (w < 0)
		return errno;
	pn_client_key(name.key);
	len = pn_wire_name_build(&name, &un);
	if (real()->bind(w, (struct sockaddr *)&un, len) || real()->listen(w, WAIT_BACKLOG)) {
		err = errno;
		real()->close(w);
		return err;
	}
	sock_tag(w, s->domain);
	err = sock_replace(fd, s, w);
	if (!err)
		atomic_store(&s->state, SOCK_WAITING);
	trace(fd, "the daemon has gone: waiting for it");
	return err;
}

/* @s is WAITING */
static int renew(struct sock *s, int fd)
{
	struct sa_dest peer = { .kind = SA_PEERNET, .port = s->peer.port };
	int newfd = -1, err = dm_ready();

	if (err || (err = dm_dgram_open(s, &newfd)))
		return err;
	sock_tag(newfd, s->domain);
	if (s->local.port && (err = dm_dgram_bind_again(s))) {
		real()->close(newfd);
		return err;
	}
	err = sock_replace(fd, s, newfd);
	if (err)
		return err;
	atomic_store(&s->state, s->local.port ? SOCK_BOUND : SOCK_BORN);
	trace(fd, "datagrams on PeerNet again, port %u", s->local.port);
	memcpy(peer.hit, s->peer.ip, sizeof(peer.hit));
	return peer.port ? dgram_connect(s, fd, &peer) : 0;
}

int dgram_wait(struct sock *s, int fd)
{
	int err = 0;

	turn_begin(s);
	if (s->state != SOCK_WAITING && !is_alive(fd))
		err = put_listener(s, fd);
	if (s->state == SOCK_WAITING)
		(void)renew(s, fd);
	turn_end(s);
	return err;
}

int dgram_again(struct sock *s, int fd)
{
	int err = 0;

	turn_begin(s);
	if (s->state == SOCK_WAITING)
		err = renew(s, fd);
	turn_end(s);
	return err;
}

int dgram_await(struct sock *s, int fd, bool dontwait)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int err, got;

	for (;;) {
		err = dgram_again(s, fd);
		if (!err)
			return 0;
		/* A daemon that says no has called, too: poll() is not to tell of it again */
		if (err != ENETDOWN && err != ENOENT && err != ECONNREFUSED) {
			got = real()->poll(&p, 1, 0) > 0 ?
				real()->accept4(fd, NULL, NULL, SOCK_CLOEXEC) : -1;
			if (got >= 0)
				real()->close(got);
			return err;
		}
		if (dontwait && real()->poll(&p, 1, 0) <= 0)
			return EAGAIN;
		got = real()->accept4(fd, NULL, NULL, SOCK_CLOEXEC); /* EAGAIN: SO_RCVTIMEO, too */
		if (got < 0)
			return errno;
		real()->close(got);
	}
}
