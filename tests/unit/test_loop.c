// SPDX-License-Identifier: ISC
/* The loop: what holds on io_uring must hold on epoll as well. */
#include "libpeernet/base/pn_assert.h"
#include "pnstackd/loop/loop.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BOUND_NS PN_S(5)	/* of every wait: beyond it a test has failed */

/**
 * struct side - What a callback saw and shall do
 * @calls:	times called
 * @events:	of the last call
 * @take:	bytes to read in each call
 * @victim:	watch to delete in the next call
 */
struct side {
	struct loop *loop;
	int fd;
	int calls;
	uint32_t events;
	size_t take;
	struct loop_watch *watch;
	struct side *victim;
	uint32_t set;
	bool do_set;
};

static void on_ready(void *arg, uint32_t events, struct pn_time now)
{
	struct side *s = arg;
	char buf[64];

	(void)now;
	s->calls++;
	s->events = events;
	if (s->take && read(s->fd, buf, s->take) < 0)
		s->take = 0;
	if (s->victim && s->victim->watch) {
		loop_watch_del(s->loop, s->victim->watch);
		s->victim->watch = NULL;
	}
	if (s->do_set && s->watch)
		loop_watch_set(s->loop, s->watch, s->set);
}

static struct pn_time bound(void)
{
	return pn_time_add(loop_now(), BOUND_NS);
}

/* Rounds until @s was called @calls times, or time is up. */
static bool until(struct loop *loop, const struct side *s, int calls)
{
	struct pn_time end = bound();

	while (s->calls < calls && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	return s->calls >= calls;
}

/* Nothing shall happen within some rounds. */
static void rest(struct loop *loop)
{
	int i;

	for (i = 0; i < 3; i++)
		loop_wait(loop, pn_time_add(loop_now(), PN_MS(5)));
}

static struct loop *loop_of(enum loop_kind kind)
{
	const char *why;
	struct loop *loop = loop_new(kind, &why);

	if (!loop)
		printf("(%s) ", why);
	return loop;
}

static void pair(int fd[2])
{
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
}

static void check_level(struct loop *loop)
{
	struct side s = { .loop = loop, .take = 1 };
	int fd[2];

	pair(fd);
	s.fd = fd[0];
	s.watch = loop_watch_add(loop, fd[0], LOOP_IN, on_ready, &s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s.watch);
	rest(loop);
	CU_ASSERT_EQUAL(s.calls, 0);
	CU_ASSERT_EQUAL(write(fd[1], "abc", 3), 3);
	CU_ASSERT_TRUE(until(loop, &s, 3));	/* a byte each: called again */
	CU_ASSERT_EQUAL(s.events, LOOP_IN);
	rest(loop);
	CU_ASSERT_EQUAL(s.calls, 3);
	/* paused, it is silent; resumed, what came meanwhile is told */
	loop_watch_set(loop, s.watch, 0);
	CU_ASSERT_EQUAL(write(fd[1], "d", 1), 1);
	rest(loop);
	CU_ASSERT_EQUAL(s.calls, 3);
	loop_watch_set(loop, s.watch, LOOP_IN);
	CU_ASSERT_TRUE(until(loop, &s, 4));
	/* more wanted than it was armed for */
	rest(loop);
	loop_watch_set(loop, s.watch, LOOP_IN | LOOP_OUT);
	CU_ASSERT_TRUE(until(loop, &s, 5));
	CU_ASSERT_EQUAL(s.events, LOOP_OUT);
	loop_watch_set(loop, s.watch, LOOP_IN);
	rest(loop);
	s.calls = 0;
	s.take = 0;
	s.do_set = true;	/* pauses itself */
	close(fd[1]);
	CU_ASSERT_TRUE(until(loop, &s, 1));
	CU_ASSERT_TRUE(s.events & LOOP_HUP);
	rest(loop);
	CU_ASSERT_EQUAL(s.calls, 1);
	loop_watch_del(loop, s.watch);
	close(fd[0]);
	rest(loop);
}

static void check_delete(struct loop *loop)
{
	struct side a = { .loop = loop }, b = { .loop = loop };
	int fa[2], fb[2];

	pair(fa);
	pair(fb);
	a.fd = fa[0];
	b.fd = fb[0];
	a.victim = &b;
	b.victim = &a;
	/* whichever comes first deletes the other, which is ready, too */
	CU_ASSERT_EQUAL(write(fa[1], "x", 1) + write(fb[1], "x", 1), 2);
	a.watch = loop_watch_add(loop, fa[0], LOOP_IN, on_ready, &a);
	b.watch = loop_watch_add(loop, fb[0], LOOP_IN, on_ready, &b);
	loop_wait(loop, bound());
	CU_ASSERT_EQUAL(a.calls + b.calls, 1);
	/* then itself */
	a.victim = &a;
	b.victim = &b;
	loop_wait(loop, bound());
	CU_ASSERT_EQUAL(a.calls + b.calls, 2);
	CU_ASSERT_PTR_NULL(a.watch);
	CU_ASSERT_PTR_NULL(b.watch);
	rest(loop);
	CU_ASSERT_EQUAL(a.calls + b.calls, 2);
	close(fa[0]);
	close(fa[1]);
	close(fb[0]);
	close(fb[1]);
}

/* A deleted watch does not keep the file open: the peer sees the end. */
static void check_close(struct loop *loop)
{
	struct side s = { .loop = loop };
	char c;
	int fd[2];

	pair(fd);
	s.watch = loop_watch_add(loop, fd[0], LOOP_IN, on_ready, &s);
	rest(loop);
	loop_watch_del(loop, s.watch);
	close(fd[0]);
	CU_ASSERT_EQUAL(read(fd[1], &c, 1), 0);
	close(fd[1]);
}

struct sent {
	int calls;
	int sum;
};

static void on_sent(void *arg, int res)
{
	struct sent *s = arg;

	s->calls++;
	s->sum += res;
}

static void check_send(struct loop *loop)
{
	struct iovec iov = { "hello", 5 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pn_time end = bound();
	struct sent s = { 0, 0 };
	char buf[4096];
	int fd[2], i, queued = 0;

	pair(fd);
	for (i = 0; i < 100; i++)
		queued += !loop_sendmsg(loop, fd[0], &msg, on_sent, &s);
	CU_ASSERT_EQUAL(queued, 100);
	CU_ASSERT_EQUAL(s.calls, 0);	/* never from within the call */
	while (s.calls < 100 && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	CU_ASSERT_EQUAL(s.calls, 100);
	CU_ASSERT_EQUAL(s.sum, 500);
	CU_ASSERT_EQUAL(read(fd[1], buf, sizeof(buf)), 500);
	close(fd[1]);
	s = (struct sent){ 0, 0 };
	CU_ASSERT_EQUAL(loop_sendmsg(loop, fd[0], &msg, on_sent, &s), 0);
	while (!s.calls && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	CU_ASSERT_EQUAL(s.sum, -EPIPE);
	/* more than there is room for is refused, and all of the rest comes back */
	s = (struct sent){ 0, 0 };
	queued = 0;
	for (i = 0; i < 5000; i++)
		queued += !loop_sendmsg(loop, fd[0], &msg, on_sent, &s);
	CU_ASSERT(queued < 5000);
	while (s.calls < queued && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	CU_ASSERT_EQUAL(s.calls, queued);
	close(fd[0]);
}

struct pipe_end {
	int fd;
	size_t bytes;
	int calls;
	struct loop *loop;
	struct loop_drain *drain;
	bool last;
};

static size_t on_drain(void *arg, struct pn_time now)
{
	struct pipe_end *p = arg;
	char buf[16];
	ssize_t n = read(p->fd, buf, sizeof(buf));

	(void)now;
	p->calls++;
	if (n > 0)
		p->bytes += (size_t)n;
	if (p->last && p->drain) {
		loop_drain_del(p->loop, p->drain);
		p->drain = NULL;
	}
	return n > 0 ? (size_t)n : 0;
}

static void check_drain(struct loop *loop)
{
	struct pipe_end p = { .loop = loop };
	struct pn_time end = bound();
	char data[1000] = "";
	int fd[2], calls;

	pair(fd);
	p.fd = fd[0];
	p.drain = loop_drain_add(loop, fd[0], on_drain, &p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p.drain);
	rest(loop);
	CU_ASSERT_EQUAL(p.calls, 0);	/* cold: nobody looks */
	CU_ASSERT_EQUAL(write(fd[1], data, sizeof(data)), (ssize_t)sizeof(data));
	while (p.bytes < sizeof(data) && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	CU_ASSERT_EQUAL(p.bytes, sizeof(data));
	/* it cools down: after a moment it is not looked at any more */
	end = pn_time_add(loop_now(), PN_MS(50));
	while (pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	calls = p.calls;
	rest(loop);
	CU_ASSERT_EQUAL(p.calls, calls);
	end = bound();
	/* and hears of what comes then */
	p.last = true;
	CU_ASSERT_EQUAL(write(fd[1], "z", 1), 1);
	while (p.bytes < sizeof(data) + 1 && pn_time_before(loop_now(), end))
		loop_wait(loop, end);
	CU_ASSERT_EQUAL(p.bytes, sizeof(data) + 1);
	calls = p.calls;
	CU_ASSERT_EQUAL(write(fd[1], "z", 1), 1);
	rest(loop);
	CU_ASSERT_EQUAL(p.calls, calls);	/* deleted within its callback */
	close(fd[0]);
	close(fd[1]);
}

static void check_deadline(struct loop *loop)
{
	struct pn_time t0 = loop_now(), end;
	int rounds;

	CU_ASSERT_EQUAL(loop_wait(loop, t0), 0);	/* long past: at once */
	CU_ASSERT_EQUAL(loop_wait(loop, PN_TIME_ZERO), 0);
	end = pn_time_add(loop_now(), PN_MS(20));
	/* it sleeps; a signal may end that early, but not often */
	for (rounds = 0; pn_time_before(loop_now(), end); rounds++)
		CU_ASSERT_EQUAL(loop_wait(loop, end), 0);
	CU_ASSERT(rounds >= 1);
	CU_ASSERT(rounds <= 5);
}

static void (*const checks[])(struct loop *loop) = {
	check_deadline, check_level, check_delete, check_close, check_send, check_drain,
};

static void check_all(enum loop_kind kind, const char *name)
{
	struct loop *loop = loop_of(kind);
	size_t i;

	if (!loop && kind == LOOP_URING)
		return;		/* forbidden here: nothing to test */
	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	CU_ASSERT_STRING_EQUAL(loop_name(loop), name);
	for (i = 0; i < PN_ARRAY_LEN(checks); i++)
		checks[i](loop);
	loop_free(loop);
}

static void test_uring(void)
{
	check_all(LOOP_URING, "io_uring");
}

static void test_epoll(void)
{
	check_all(LOOP_EPOLL, "epoll");
}

static void test_auto(void)
{
	const char *why = "?";
	struct loop *loop = loop_new(LOOP_AUTO, &why);

	CU_ASSERT_PTR_NOT_NULL_FATAL(loop);
	/* a reason if and only if it is not io_uring */
	CU_ASSERT_EQUAL(why == NULL, !strcmp(loop_name(loop), "io_uring"));
	loop_free(loop);
}

static CU_TestInfo tests[] = {
	{ "io_uring", test_uring },
	{ "epoll", test_epoll },
	{ "picks one", test_auto },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_loop;
CU_SuiteInfo suite_loop = { .pName = "loop", .pTests = tests };
