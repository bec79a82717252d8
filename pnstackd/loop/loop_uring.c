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
 * A poll in flight holds the file: its peer would not see it closed.  So the
 * removal on deletion is handed to the kernel at once.
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

#include "libpeernet/base/pn_assert.h"

#define RING_ENTRIES	512
#define RING_CQ_ENTRIES	4096
#define REAP_MAX	256	/* completions per round, so that a round ends */

/* what user data points to, in its two low bits */
#define TAG_WATCH	0u
#define TAG_SEND	1u
#define TAG_NONE	2u
#define TAG_MASK	3u

struct uring {
	struct io_uring ring;
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

static void uring_arm(struct loop *loop, struct loop_watch *w)
{
	struct io_uring_sqe *sqe;
	unsigned int mask = 0;

	if (w->armed || w->dead || !w->want)
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
	io_uring_sqe_set_data64(sqe, TAG_NONE);
}

static int uring_watch_add(struct loop *loop, struct loop_watch *w)
{
	uring_arm(loop, w);
	return 0;
}

static void uring_watch_set(struct loop *loop, struct loop_watch *w)
{
	if (!w->armed) {
		if (!w->busy)	/* else it is armed after its callback */
			uring_arm(loop, w);
	} else if (w->want & ~w->armed_want) {
		uring_disarm(loop, w);
	}
}

static void uring_watch_del(struct loop *loop, struct loop_watch *w)
{
	struct uring *u = loop->back;

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
	if (!w->once || !n)
		uring_arm(loop, w);
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
		default:
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
