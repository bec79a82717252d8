/* SPDX-License-Identifier: ISC */
/* The loop: what io_uring and epoll have in common.
 *
 * Theory of operation
 *
 * A back end knows two things: to call back when a descriptor is ready, and to
 * send a message.  On top of that stands the treatment of descriptors on which
 * many frames arrive (struct loop_drain).  Measured on veth and UDP: a process
 * that waits on such a descriptor costs the sender a wake-up per frame and
 * itself a trip through poll; one that looks for itself, naps for some ten
 * microseconds when there is nothing, and looks again, halves the cost of a
 * frame.  So each drain is in one of two states:
 *
 *   cold	It is armed with a one-shot wait and called when that fires.
 *   hot	Nobody waits on it, each round calls it.  When nothing has come for
 *		COOL_NS it is cold again.
 *
 * While any drain is hot, a round in which nothing happened naps for NAP_NS (a
 * watch or a cold drain that fires ends the nap).  When none is, the loop sleeps
 * until something is ready or the deadline has come: a daemon at rest wakes up
 * for nothing but its timers and what arrives.
 *
 * A single hello must not heat a drain: it becomes hot when frames come within
 * HEAT_NS of each other, or HEAT_FRAMES of them at once.
 *
 * A watch is level-triggered.  It may be deleted from within any callback, its
 * own included; no callback comes after. */
#include "pnstackd/loop/loop_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "libpeernet/base/pn_assert.h"

#define NAP_NS		PN_US(30)
#define COOL_NS		PN_US(1500)
#define HEAT_NS		PN_US(400)
#define HEAT_FRAMES	8

struct pn_time loop_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct pn_time){ PN_S(ts.tv_sec) + (uint64_t)ts.tv_nsec };
}

static struct loop *loop_try(const struct loop_ops *ops, int *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	size_t i;

	if (!loop) {
		*err = ENOMEM;
		return NULL;
	}
	loop->ops = ops;
	loop->sends = calloc(LOOP_SENDS_MAX, sizeof(*loop->sends));
	if (!loop->sends) {
		*err = ENOMEM;
		goto err_free;
	}
	for (i = 0; i < LOOP_SENDS_MAX; i++) {
		loop->sends[i].next = loop->send_free;
		loop->send_free = &loop->sends[i];
	}
	*err = -ops->init(loop);
	if (*err)
		goto err_free;
	return loop;

err_free:
	free(loop->sends);
	free(loop);
	return NULL;
}

static const char *uring_refusal(int err)
{
	switch (err) {
	case ENOSYS:
		return "the kernel has no io_uring";
	case EPERM:
	case EACCES:
		return "io_uring is forbidden here";
	case ENOMEM:
		return "not enough lockable memory for io_uring";
	case EOPNOTSUPP:
		return "the kernel's io_uring is too old";
	default:
		return "io_uring could not be set up";
	}
}

struct loop *loop_new(enum loop_kind kind, const char **why)
{
	struct loop *loop = NULL;
	int err = 0;

	*why = NULL;
	if (kind != LOOP_EPOLL) {
		loop = loop_try(&loop_uring_ops, &err);
		if (!loop)
			*why = uring_refusal(err);
	} else {
		*why = "epoll is configured";
	}
	if (!loop && kind != LOOP_URING)
		loop = loop_try(&loop_epoll_ops, &err);
	if (!loop) {
		errno = err;
		return NULL;
	}
	/* else a nap of 30 us takes 80 */
	prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
	return loop;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->drains)
		loop_drain_del(loop, loop->drains);
	loop->ops->fini(loop);
	free(loop->sends);
	free(loop);
}

const char *loop_name(const struct loop *loop)
{
	return loop->ops->name;
}

static struct loop_watch *watch_new(struct loop *loop, int fd, uint32_t events, bool once,
				    loop_fn *fn, void *arg)
{
	struct loop_watch *w = calloc(1, sizeof(*w));
	int err;

	PN_ASSERT(fd >= 0);
	if (!w)
		return NULL;
	w->fd = fd;
	w->want = events & (LOOP_IN | LOOP_OUT | LOOP_HUP);
	w->once = once;
	w->fn = fn;
	w->arg = arg;
	err = loop->ops->watch_add(loop, w);
	if (err) {
		free(w);
		errno = -err;
		return NULL;
	}
	return w;
}

struct loop_watch *loop_watch_add(struct loop *loop, int fd, uint32_t events, loop_fn *fn,
				  void *arg)
{
	return watch_new(loop, fd, events, false, fn, arg);
}

void loop_watch_set(struct loop *loop, struct loop_watch *w, uint32_t events)
{
	PN_ASSERT(!w->dead);
	events &= LOOP_IN | LOOP_OUT | LOOP_HUP;
	if (w->want == events)
		return;
	w->want = events;
	loop->ops->watch_set(loop, w);
}

void loop_watch_del(struct loop *loop, struct loop_watch *w)
{
	if (!w)
		return;
	PN_ASSERT(!w->dead);
	w->dead = true;
	w->want = 0;
	loop->ops->watch_del(loop, w);
}

int loop_watch_call(struct loop_watch *w, uint32_t events, struct pn_time now)
{
	if (w->dead || !w->want)
		return 0;
	events &= w->want | LOOP_HUP | LOOP_ERR;
	if (!events)
		return 0;
	w->busy = true;
	w->fn(w->arg, events, now);
	w->busy = false;
	return 1;
}

/* --- sends ----------------------------------------------------------- */

int loop_sendmsg(struct loop *loop, int fd, const struct msghdr *msg, loop_sent_fn *fn, void *arg)
{
	struct loop_send *s = loop->send_free;
	int err;

	if (!s)
		return -EAGAIN;
	s->fn = fn;
	s->arg = arg;
	err = loop->ops->sendmsg(loop, fd, msg, s);
	if (err)
		return err;
	loop->send_free = s->next;
	s->next = NULL;
	return 0;
}

void loop_send_done(struct loop *loop, struct loop_send *s, int res)
{
	loop_sent_fn *fn = s->fn;
	void *arg = s->arg;

	s->next = loop->send_free;
	loop->send_free = s;
	fn(arg, res);
}

void loop_submit(struct loop *loop)
{
	loop->ops->submit(loop);
}

/* --- drains ---------------------------------------------------------- */

static void drain_on_ready(void *arg, uint32_t events, struct pn_time now)
{
	struct loop_drain *d = arg;

	(void)events;
	(void)now;
	d->fired = true;
}

struct loop_drain *loop_drain_add(struct loop *loop, int fd, loop_drain_fn *fn, void *arg)
{
	struct loop_drain *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->loop = loop;
	d->fn = fn;
	d->arg = arg;
	d->watch = watch_new(loop, fd, LOOP_IN, true, drain_on_ready, d);
	if (!d->watch) {
		free(d);
		return NULL;
	}
	d->next = loop->drains;
	loop->drains = d;
	return d;
}

static void drain_sweep(struct loop *loop)
{
	struct loop_drain **at = &loop->drains;

	while (*at) {
		struct loop_drain *d = *at;

		if (d->dead) {
			*at = d->next;
			free(d);
		} else {
			at = &d->next;
		}
	}
}

void loop_drain_del(struct loop *loop, struct loop_drain *d)
{
	if (!d)
		return;
	PN_ASSERT(!d->dead);
	loop_watch_del(loop, d->watch);
	d->watch = NULL;
	d->dead = true;
	if (!loop->draining)
		drain_sweep(loop);
}

/* Calls one drain.  Return: frames it took */
static size_t drain_call(struct loop_drain *d, struct pn_time now)
{
	uint64_t quiet_ns = pn_time_since(now, d->last);
	size_t got;

	d->fired = false;
	got = d->fn(d->arg, now);
	if (got) {
		d->hot |= got >= HEAT_FRAMES || quiet_ns < HEAT_NS;
		d->last = now;
	} else if (quiet_ns > COOL_NS) {
		d->hot = false;
	}
	return got;
}

/* Calls the drains that are hot or have fired. */
static size_t drain_all(struct loop *loop)
{
	struct pn_time now = loop_now();
	struct loop_drain *d;
	size_t got = 0;

	loop->draining = true;
	for (d = loop->drains; d; d = d->next) {
		if (!d->dead && (d->hot || d->fired))
			got += drain_call(d, now);
	}
	loop->draining = false;
	drain_sweep(loop);
	return got;
}

/* Arms the cold drains.  Return: is any hot? */
static bool drain_arm(struct loop *loop)
{
	struct loop_drain *d;
	bool hot = false;

	for (d = loop->drains; d; d = d->next) {
		hot |= d->hot;
		if (!d->hot && !d->watch->armed)
			loop->ops->rearm(loop, d->watch);
	}
	return hot;
}

/* --- the round --------------------------------------------------------- */

int loop_wait(struct loop *loop, struct pn_time deadline)
{
	bool hot = drain_arm(loop);
	uint64_t left_ns;
	int n;

	if (hot) {
		n = loop->ops->poll(loop, 0) + (int)drain_all(loop);
		left_ns = pn_time_until(loop_now(), deadline);
		if (n || !left_ns)
			return n;
		n = loop->ops->poll(loop, left_ns < NAP_NS ? left_ns : NAP_NS);
	} else {
		n = loop->ops->poll(loop, pn_time_until(loop_now(), deadline));
	}
	return n + (int)drain_all(loop);
}
