/* SPDX-License-Identifier: ISC */
/* The loop on io_uring.
 *
 * Theory of operation
 *
 * Readiness: each watch has at most one poll request in flight, one-shot, with
 * the watch as user data.  When it completes and the callback has been made, it
 * is armed again with what is wanted then: the new poll looks at the descriptor
 * first, so the effect is level-triggered.  A watch that wants less than it was
 * armed for is left alone (the surplus is ignored when it comes); one that wants
 * more has its poll removed, and is armed anew when the removal has completed.
 * A deleted watch is freed by the completion of its poll.
 *
 * A poll of io_uring always tells of a half-closed socket (POLLRDHUP), whatever it
 * was asked for.  A watch that wants something else, the room to write or the full
 * hang-up, would be armed and completed in a circle.  When that happens it is put
 * aside, for good, into an epoll set, which io_uring polls as one descriptor.
 *
 * A poll in flight holds the file: its peer would not see it closed.  So the
 * removal on deletion is handed to the kernel at once.  The kernel refuses it
 * (EALREADY) while the poll is being looked at again, because something has woken
 * it up; if that comes to nothing the poll stays.  So it is asked again.
 *
 * Sends: one request each; a whole batch enters the kernel by one call, together
 * with the wait.  They complete inline as a rule.
 *
 * Completions are run only when we ask (DEFER_TASKRUN, kernel 6.1), so callbacks
 * never nest.  A callback may queue anything; when the submission queue is full
 * it is submitted in between. */
#include "pnstackd/loop/loop_impl.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"

#define RING_ENTRIES	512
#define RING_CQ_ENTRIES	4096
#define REAP_MAX	256	/* completions per round, so that a round ends */

/* what user data points to, in its two low bits */
#define TAG_WATCH	0u
#define TAG_SEND	1u
#define TAG_REMOVE	2u	/* a watch: but see remove_done() */
#define TAG_ASIDE	3u	/* nothing: the epoll set */
#define TAG_MASK	3u

struct uring {
	struct io_uring ring;
	int aside_fd;		/* epoll, -1 until needed */
	bool aside_armed;	/* a poll of it is in flight */
};

static_assert(LOOP_SENDS_MAX <= RING_CQ_ENTRIES, "completions must fit");

static int uring_setup(struct io_uring *ring, unsigned int flags)
{
	struct io_uring_params p;

	memset(&p, 0, sizeof(p));
	p.flags = flags | IORING_SETUP_CQSIZE;
	p.cq_entries = RING_CQ_ENTRIES;
	return io_uring_queue_init_params(RING_ENTRIES, ring, &p);
}

static int uring_init(struct loop *loop)
{
	static const unsigned int flags[] = {
#if defined(IORING_SETUP_SINGLE_ISSUER) && defined(IORING_SETUP_DEFER_TASKRUN)
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			IORING_SETUP_TASKRUN_FLAG,
#endif
		0,
	};
	struct uring *u = calloc(1, sizeof(*u));
	int err = -EINVAL;
	size_t i;

	if (!u)
		return -ENOMEM;
	for (i = 0; i < PN_ARRAY_LEN(flags) && err == -EINVAL; i++)
		err = uring_setup(&u->ring, flags[i]);
	if (!err && !(u->ring.features & IORING_FEAT_EXT_ARG)) {
		io_uring_queue_exit(&u->ring);
		err = -EOPNOTSUPP;
	}
	if (err) {
		free(u);
		return err;
	}
	io_uring_ring_dontfork(&u->ring);
	u->aside_fd = -1;
	loop->back = u;
	return 0;
}

static void uring_fini(struct loop *loop)
{
	struct uring *u = loop->back;
	struct io_uring_cqe *cqe;

	/* nobody is called any more, only deleted watches come home */
	io_uring_submit_and_get_events(&u->ring);
	while (!io_uring_peek_cqe(&u->ring, &cqe)) {
		uint64_t data = io_uring_cqe_get_data64(cqe);
		struct loop_watch *w = (struct loop_watch *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);

		if ((data & TAG_MASK) == TAG_WATCH && w->dead)
			free(w);
		io_uring_cqe_seen(&u->ring, cqe);
	}
	io_uring_queue_exit(&u->ring);
	if (u->aside_fd >= 0)
		close(u->aside_fd);
	free(u);
}

static struct io_uring_sqe *uring_sqe(struct uring *u)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
	int i;

	for (i = 0; !sqe && i < 8; i++) {
		io_uring_submit(&u->ring);
		sqe = io_uring_get_sqe(&u->ring);
	}
	return sqe;
}

/* Makes the registration of a watch in the epoll set what it wants. */
static int aside_apply(struct uring *u, struct loop_watch *w)
{
	struct epoll_event ev = { .data.ptr = w };
	int op = w->armed_want ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int r = 0;

	PN_ASSERT(w->aside);
	if (w->want & LOOP_IN)
		ev.events |= EPOLLIN;
	if (w->want & LOOP_OUT)
		ev.events |= EPOLLOUT;
	if (w->want || w->armed_want)
		r = epoll_ctl(u->aside_fd, w->want ? op : EPOLL_CTL_DEL, w->fd, &ev);
	w->armed_want = w->want;
	return r;
}

static void aside_arm(struct uring *u)
{
	struct io_uring_sqe *sqe;

	if (u->aside_armed)
		return;
	sqe = uring_sqe(u);
	PN_ASSERT(sqe);
	io_uring_prep_poll_add(sqe, u->aside_fd, POLLIN);
	io_uring_sqe_set_data64(sqe, TAG_ASIDE);
	u->aside_armed = true;
}

/* Return: false if it cannot be: then it goes on as before */
static bool aside_put(struct uring *u, struct loop_watch *w)
{
	if (u->aside_fd < 0)
		u->aside_fd = epoll_create1(EPOLL_CLOEXEC);
	if (u->aside_fd < 0 || w->once)
		return false;
	w->aside = true;
	w->armed_want = 0;
	if (aside_apply(u, w) < 0) {
		w->aside = false;
		return false;
	}
	aside_arm(u);
	return true;
}

static void uring_arm(struct loop *loop, struct loop_watch *w)
{
	struct io_uring_sqe *sqe;
	unsigned int mask = 0;

	if (w->armed || w->aside || w->dead || !w->want)
		return;
	if (w->want & LOOP_IN)
		mask |= POLLIN;
	if (w->want & LOOP_OUT)
		mask |= POLLOUT;
	sqe = uring_sqe(loop->back);
	PN_ASSERT(sqe);
	io_uring_prep_poll_add(sqe, w->fd, mask);
	io_uring_sqe_set_data64(sqe, (uintptr_t)w | TAG_WATCH);
	w->armed = true;
	w->armed_want = w->want;
}

static void uring_disarm(struct loop *loop, struct loop_watch *w)
{
	struct io_uring_sqe *sqe = uring_sqe(loop->back);

	PN_ASSERT(w->armed);
	PN_ASSERT(sqe);
	io_uring_prep_poll_remove(sqe, (uintptr_t)w | TAG_WATCH);
	io_uring_sqe_set_data64(sqe, (uintptr_t)w | TAG_REMOVE);
}

static int uring_watch_add(struct loop *loop, struct loop_watch *w)
{
	uring_arm(loop, w);
	return 0;
}

static void uring_watch_set(struct loop *loop, struct loop_watch *w)
{
	if (w->aside) {
		aside_apply(loop->back, w);
	} else if (!w->armed) {
		if (!w->busy)	/* else it is armed after its callback */
			uring_arm(loop, w);
	} else if (w->want & ~w->armed_want) {
		uring_disarm(loop, w);
	}
}

static void uring_watch_del(struct loop *loop, struct loop_watch *w)
{
	struct uring *u = loop->back;

	if (w->aside)
		aside_apply(u, w);
	if (w->armed) {
		uring_disarm(loop, w);
		io_uring_submit_and_get_events(&u->ring);
	} else if (!w->busy) {
		free(w);
	}
}

static int uring_sendmsg(struct loop *loop, int fd, const struct msghdr *msg,
			 struct loop_send *send)
{
	struct io_uring_sqe *sqe = uring_sqe(loop->back);

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_sendmsg(sqe, fd, msg, MSG_NOSIGNAL);
	io_uring_sqe_set_data64(sqe, (uintptr_t)send | TAG_SEND);
	return 0;
}

static void uring_submit(struct loop *loop)
{
	struct uring *u = loop->back;

	if (io_uring_sq_ready(&u->ring))
		io_uring_submit(&u->ring);
}

static uint32_t events_of(int res)
{
	uint32_t events = 0;

	if (res < 0)
		return res == -ECANCELED ? 0 : LOOP_ERR;
	if (res & POLLIN)
		events |= LOOP_IN;
	if (res & POLLOUT)
		events |= LOOP_OUT;
	if (res & POLLHUP)
		events |= LOOP_HUP;
	if (res & (POLLERR | POLLNVAL))
		events |= LOOP_ERR;
	return events;
}

static int uring_watch_done(struct loop *loop, struct loop_watch *w, int res, struct pn_time now)
{
	int n = 0;

	PN_ASSERT(w->armed);
	w->armed = false;
	if (!w->dead)
		n = loop_watch_call(w, events_of(res), now);
	if (w->dead) {
		if (!w->armed)
			free(w);
		return n;
	}
	if (!n && w->want && res > 0 && res & POLLRDHUP && aside_put(loop->back, w))
		return 0;
	if (!w->once || !n)
		uring_arm(loop, w);
	return n;
}

/* The watch may be no more, unless the removal was too early: the completion of
 * its poll, which frees it, is still to come then. */
static void remove_done(struct loop *loop, struct loop_watch *w, int res)
{
	if (res == -EALREADY && w->armed)
		uring_disarm(loop, w);
}

/* One at a time: a callback may delete any other watch. */
static int aside_reap(struct loop *loop, struct pn_time now)
{
	struct uring *u = loop->back;
	const void *first = NULL;
	struct epoll_event ev;
	int n = 0, i;

	u->aside_armed = false;
	for (i = 0; i < REAP_MAX && epoll_wait(u->aside_fd, &ev, 1, 0) == 1; i++) {
		struct loop_watch *w = ev.data.ptr;
		uint32_t events = 0;

		if (w == first)   /* they come in turn: all have been called */
			break;
		if (!first)
			first = w;
		if (ev.events & EPOLLIN)
			events |= LOOP_IN;
		if (ev.events & EPOLLOUT)
			events |= LOOP_OUT;
		if (ev.events & EPOLLHUP)
			events |= LOOP_HUP;
		if (ev.events & EPOLLERR)
			events |= LOOP_ERR;
		n += loop_watch_call(w, events, now);
		if (w->dead)
			free(w);
	}
	aside_arm(u);
	return n;
}

static int uring_reap(struct loop *loop)
{
	struct uring *u = loop->back;
	struct pn_time now = loop_now();
	struct io_uring_cqe *cqe;
	int n = 0, i;

	for (i = 0; i < REAP_MAX && !io_uring_peek_cqe(&u->ring, &cqe); i++) {
		uint64_t data = io_uring_cqe_get_data64(cqe);
		void *at = (void *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
		int res = cqe->res;

		/* seen first: the callback may look at the ring itself */
		io_uring_cqe_seen(&u->ring, cqe);
		switch (data & TAG_MASK) {
		case TAG_WATCH:
			n += uring_watch_done(loop, at, res, now);
			break;
		case TAG_SEND:
			loop_send_done(loop, at, res);
			break;
		case TAG_ASIDE:
			n += aside_reap(loop, now);
			break;
		case TAG_REMOVE:
			remove_done(loop, at, res);
			break;
		}
	}
	return n;
}

static int uring_poll(struct loop *loop, uint64_t timeout_ns)
{
	struct uring *u = loop->back;
	struct __kernel_timespec ts;
	struct io_uring_cqe *cqe;

	if (io_uring_cq_ready(&u->ring))
		timeout_ns = 0;
	if (!timeout_ns) {
		if (io_uring_sq_ready(&u->ring))
			io_uring_submit_and_get_events(&u->ring);
	} else if (timeout_ns == LOOP_NEVER_NS) {
		io_uring_submit_and_wait(&u->ring, 1);
	} else {
		ts.tv_sec = (long long)(timeout_ns / PN_S(1));
		ts.tv_nsec = (long long)(timeout_ns % PN_S(1));
		io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &ts, NULL);
	}
	return uring_reap(loop);
}

const struct loop_ops loop_uring_ops = {
	.name = "io_uring",
	.init = uring_init,
	.fini = uring_fini,
	.watch_add = uring_watch_add,
	.watch_set = uring_watch_set,
	.watch_del = uring_watch_del,
	.rearm = uring_arm,
	.sendmsg = uring_sendmsg,
	.submit = uring_submit,
	.poll = uring_poll,
};
