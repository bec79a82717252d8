/* SPDX-License-Identifier: ISC */
/* loop_impl.h - between loop.c and its two back ends; nobody else includes it */
#ifndef PN_LOOP_IMPL_H
#define PN_LOOP_IMPL_H

#include <assert.h>

#include "pnstackd/loop/loop.h"

#define LOOP_SENDS_MAX	1024	/* asynchronous sends in flight at once */
#define LOOP_NEVER_NS	UINT64_MAX

/**
 * struct loop_watch - A descriptor somebody wants to hear of
 * @fd:		the caller's
 * @want:	LOOP_IN, LOOP_OUT; 0 paused
 * @once:	after one callback it is silent until loop_ops.rearm()
 * @armed:	the back end will report it (io_uring: a poll is in flight)
 * @armed_want:	what it was armed with
 * @aside:	io_uring: it stands in the epoll set, see there
 * @busy:	its callback is running
 * @dead:	deleted by its owner, waits to be freed by the back end
 * @fn, @arg:	callback
 * @next:	list of the dead (epoll), list of all (loop.c)
 */
struct loop_watch {
	int fd;
	uint32_t want;
	bool once;
	bool armed;
	uint32_t armed_want;
	bool aside;
	bool busy;
	bool dead;
	loop_fn *fn;
	void *arg;
	struct loop_watch *next;
};

/**
 * struct loop_send - One asynchronous send
 * @fn, @arg:	callback
 * @res:	result, epoll only
 * @next:	free list, or list of the finished (epoll)
 */
struct loop_send {
	loop_sent_fn *fn;
	void *arg;
	int res;
	struct loop_send *next;
};

/**
 * struct loop_ops - What a back end does
 * @init:	Return: 0 or -errno
 * @watch_add:	begin with a watch, whose fields are set; 0 or -errno
 * @watch_set:	its @want has changed
 * @watch_del:	forget it and free it, at once or later
 * @rearm:	a @once watch that has fired shall fire again
 * @sendmsg:	queue a send; 0, or -EAGAIN
 * @submit:	hand queued work to the kernel
 * @poll:	hand over queued work, wait up to @timeout_ns for something to
 *		happen (0: only look; LOOP_NEVER_NS: no limit), make the
 *		callbacks; Return: callbacks of watches made
 */
struct loop_ops {
	const char *name;
	int (*init)(struct loop *loop);
	void (*fini)(struct loop *loop);
	int (*watch_add)(struct loop *loop, struct loop_watch *w);
	void (*watch_set)(struct loop *loop, struct loop_watch *w);
	void (*watch_del)(struct loop *loop, struct loop_watch *w);
	void (*rearm)(struct loop *loop, struct loop_watch *w);
	int (*sendmsg)(struct loop *loop, int fd, const struct msghdr *msg,
		       struct loop_send *send);
	void (*submit)(struct loop *loop);
	int (*poll)(struct loop *loop, uint64_t timeout_ns);
};

/**
 * struct loop_drain - A descriptor that is drained while traffic flows
 * @watch:	how its readiness is learnt in the cold state
 * @fired:	it is ready, or may be
 * @hot:	it is called each round, nobody waits on it
 * @last:	when it brought frames
 * @next:	next of the loop
 */
struct loop_drain {
	struct loop *loop;
	struct loop_watch *watch;
	loop_drain_fn *fn;
	void *arg;
	bool fired;
	bool dead;
	bool hot;
	struct pn_time last;
	struct loop_drain *next;
};

/**
 * struct loop
 * @back:	the back end's own
 * @sends:	all send records; @send_free those that are free
 * @drains:	list
 * @draining:	the list is being walked: deleted drains are freed later
 */
struct loop {
	const struct loop_ops *ops;
	void *back;
	struct loop_send *sends;
	struct loop_send *send_free;
	struct loop_drain *drains;
	bool draining;
};

/** loop_watch_call() - call back, for what of @events is wanted.
 *  Return: 1 if called */
int loop_watch_call(struct loop_watch *w, uint32_t events, struct pn_time now);

void loop_send_done(struct loop *loop, struct loop_send *s, int res);

extern const struct loop_ops loop_uring_ops;
extern const struct loop_ops loop_epoll_ops;

#endif
