/* SPDX-License-Identifier: ISC */
/* The loop on epoll, for where io_uring is forbidden.
 *
 * Theory of operation
 *
 * Watches are ordinary level-triggered registrations, those that fire once use
 * EPOLLONESHOT.  A paused watch (no events wanted) is taken out of the set,
 * since epoll reports hang-ups whether asked for or not.  A watch that is
 * deleted during a round may still stand in the events that epoll returned: it
 * is freed when the round is over.
 *
 * A send happens at once, its callback at the next round: as with io_uring the
 * caller never hears of it from within loop_sendmsg(). */
#include "pnstackd/loop/loop_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"

#define EVENTS_MAX	128	/* per round */

/**
 * struct poller
 * @fd:		epoll
 * @dead:	watches to free when no round runs
 * @done, @done_end: sends whose callback is due
 * @no_pwait2:	the kernel has only milliseconds
 */
struct poller {
	int fd;
	struct loop_watch *dead;
	struct loop_send *done;
	struct loop_send **done_end;
	bool no_pwait2;
};

static int poller_init(struct loop *loop)
{
	struct poller *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd < 0) {
		int err = -errno;

		free(p);
		return err;
	}
	p->done_end = &p->done;
	loop->back = p;
	return 0;
}

static void poller_bury(struct poller *p)
{
	while (p->dead) {
		struct loop_watch *w = p->dead;

		p->dead = w->next;
		free(w);
	}
}

static void poller_fini(struct loop *loop)
{
	struct poller *p = loop->back;

	poller_bury(p);
	close(p->fd);
	free(p);
}

/* Makes the registration what @w wants. */
static int poller_apply(struct poller *p, struct loop_watch *w)
{
	struct epoll_event ev = { .data.ptr = w };
	int op;

	if (!w->want) {
		if (w->armed_want)
			epoll_ctl(p->fd, EPOLL_CTL_DEL, w->fd, NULL);
		w->armed_want = 0;
		w->armed = false;
		return 0;
	}
	if (w->want & LOOP_IN)
		ev.events |= EPOLLIN;
	if (w->want & LOOP_OUT)
		ev.events |= EPOLLOUT;
	if (w->once)
		ev.events |= EPOLLONESHOT;
	op = w->armed_want ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	if (epoll_ctl(p->fd, op, w->fd, &ev) < 0)
		return -errno;
	w->armed_want = w->want;
	w->armed = true;
	return 0;
}

static int poller_watch_add(struct loop *loop, struct loop_watch *w)
{
	return poller_apply(loop->back, w);
}

static void poller_watch_set(struct loop *loop, struct loop_watch *w)
{
	poller_apply(loop->back, w);
}

static void poller_watch_del(struct loop *loop, struct loop_watch *w)
{
	struct poller *p = loop->back;

	poller_apply(p, w);
	w->next = p->dead;
	p->dead = w;
}

static int poller_sendmsg(struct loop *loop, int fd, const struct msghdr *msg,
			  struct loop_send *send)
{
	struct poller *p = loop->back;
	ssize_t n = sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT);

	send->res = n < 0 ? -errno : (int)n;
	/* send->next is loop.c's until we return; then it is ours, and NULL */
	*p->done_end = send;
	p->done_end = &send->next;
	return 0;
}

static void poller_submit(struct loop *loop)
{
	(void)loop;
}

static void poller_sends_done(struct loop *loop)
{
	struct poller *p = loop->back;
	struct loop_send *s = p->done;

	p->done = NULL;
	p->done_end = &p->done;
	while (s) {
		struct loop_send *next = s->next;

		loop_send_done(loop, s, s->res);
		s = next;
	}
}

static int poller_wait(struct poller *p, struct epoll_event *ev, uint64_t timeout_ns)
{
	struct timespec ts = { (time_t)(timeout_ns / PN_S(1)), (long)(timeout_ns % PN_S(1)) };
	uint64_t ms;
	int n;

	if (!p->no_pwait2) {
		n = epoll_pwait2(p->fd, ev, EVENTS_MAX,
				 timeout_ns == LOOP_NEVER_NS ? NULL : &ts, NULL);
		if (n >= 0 || errno != ENOSYS)
			return n;
		p->no_pwait2 = true;
	}
	if (timeout_ns == LOOP_NEVER_NS)
		return epoll_wait(p->fd, ev, EVENTS_MAX, -1);
	ms = (timeout_ns + PN_MS(1) - 1) / PN_MS(1);
	return epoll_wait(p->fd, ev, EVENTS_MAX, ms > 60000 ? 60000 : (int)ms);
}

static uint32_t events_of(uint32_t e)
{
	uint32_t events = 0;

	if (e & EPOLLIN)
		events |= LOOP_IN;
	if (e & EPOLLOUT)
		events |= LOOP_OUT;
	if (e & EPOLLHUP)
		events |= LOOP_HUP;
	if (e & EPOLLERR)
		events |= LOOP_ERR;
	return events;
}

static int poller_poll(struct loop *loop, uint64_t timeout_ns)
{
	struct poller *p = loop->back;
	struct epoll_event ev[EVENTS_MAX];
	struct pn_time now;
	int n, i, called = 0;

	if (p->done)
		timeout_ns = 0;
	poller_sends_done(loop);
	n = poller_wait(p, ev, timeout_ns);
	now = loop_now();
	for (i = 0; i < n; i++) {
		struct loop_watch *w = ev[i].data.ptr;

		if (w->once)
			w->armed = false;
		called += loop_watch_call(w, events_of(ev[i].events), now);
	}
	poller_bury(p);
	return called;
}

const struct loop_ops loop_epoll_ops = {
	.name = "epoll",
	.init = poller_init,
	.fini = poller_fini,
	.watch_add = poller_watch_add,
	.watch_set = poller_watch_set,
	.watch_del = poller_watch_del,
	.rearm = poller_watch_set,
	.sendmsg = poller_sendmsg,
	.submit = poller_submit,
	.poll = poller_poll,
};
