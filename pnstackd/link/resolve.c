/* SPDX-License-Identifier: ISC */
/* Host names to addresses, without blocking the loop.
 *
 * Theory of operation
 *
 * getaddrinfo() blocks for many seconds when a name server is silent, so each
 * question runs in a detached thread of its own.  The thread knows nothing but
 * its struct resolve: it fills it in and sends the pointer through a socket pair
 * to the loop, where the answer is handed to the link that asked, if that is
 * still there.  Who sees the struct last frees it: the loop, or the thread when
 * the pair is closed.  The threads take no signals. */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

/**
 * struct resolve - One question and its answer
 * @link:	who asked; NULL: not interested any more; the loop's only
 * @fd:		the thread's own descriptor of the pair
 */
struct resolve {
	struct link *link;
	int fd;
	char host[256];
	char port[8];
	struct pn_lladdr addrs[LINK_ADDRS_MAX];
	unsigned int count;
	char why[96];
};

static void *resolve_run(void *arg)
{
	struct resolve *r = arg;
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
				  .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	struct addrinfo *list = NULL, *ai;
	int fd = r->fd, err;

	err = getaddrinfo(r->host, r->port, &hints, &list);
	if (err)
		snprintf(r->why, sizeof(r->why), "%s",
			 err == EAI_SYSTEM ? strerror(errno) : gai_strerror(err));
	for (ai = list; ai && r->count < LINK_ADDRS_MAX; ai = ai->ai_next) {
		struct sockaddr_storage ss;

		if (ai->ai_addrlen > sizeof(ss) ||
		    (ai->ai_family != AF_INET && ai->ai_family != AF_INET6))
			continue;
		memcpy(&ss, ai->ai_addr, ai->ai_addrlen);
		udp_lladdr(&ss, &r->addrs[r->count++]);
	}
	if (list)
		freeaddrinfo(list);
	if (!err && !r->count)
		snprintf(r->why, sizeof(r->why), "it has no address");
	if (send(fd, &r, sizeof(r), MSG_NOSIGNAL) != (ssize_t)sizeof(r))
		free(r);
	close(fd);
	return NULL;
}

static void on_answer(void *arg, uint32_t events, struct pn_time now)
{
	struct link_set *set = arg;
	struct resolve *r;

	(void)events;
	while (recv(set->resolve_fd[0], &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r)) {
		struct link *link = r->link;

		if (link) {
			link->udp.resolve = NULL;
			udp_on_resolved(link, r->addrs, r->count, r->why, now);
		}
		free(r);
	}
}

int resolve_init(struct link_set *set)
{
	if (set->resolve_watch)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, set->resolve_fd) < 0)
		return -errno;
	set->resolve_watch = loop_watch_add(set->loop, set->resolve_fd[0], LOOP_IN, on_answer, set);
	if (set->resolve_watch)
		return 0;
	close(set->resolve_fd[0]);
	close(set->resolve_fd[1]);
	return -ENOMEM;
}

void resolve_fini(struct link_set *set)
{
	struct resolve *r;

	if (!set->resolve_watch)
		return;
	loop_watch_del(set->loop, set->resolve_watch);
	set->resolve_watch = NULL;
	while (recv(set->resolve_fd[0], &r, sizeof(r), MSG_DONTWAIT) == (ssize_t)sizeof(r))
		free(r);
	close(set->resolve_fd[0]);
	close(set->resolve_fd[1]);
}

static int resolve_thread(struct resolve *r)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, resolve_run, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return -err;
}

int resolve_start(struct link *link)
{
	struct resolve *r;
	int err = resolve_init(link->set);

	if (err)
		return err;
	PN_ASSERT(!link->udp.resolve);
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->link = link;
	memcpy(r->host, link->spec.host, sizeof(r->host));
	snprintf(r->port, sizeof(r->port), "%u", link->spec.port);
	r->fd = dup(link->set->resolve_fd[1]);
	err = r->fd < 0 ? -errno : resolve_thread(r);
	if (err) {
		if (r->fd >= 0)
			close(r->fd);
		free(r);
		return err;
	}
	link->udp.resolve = r;
	return 0;
}

void resolve_cancel(struct link *link)
{
	if (!link->udp.resolve)
		return;
	link->udp.resolve->link = NULL;
	link->udp.resolve = NULL;
}
