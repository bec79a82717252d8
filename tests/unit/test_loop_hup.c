/* SPDX-License-Identifier: ISC */
/* Half-closed sockets: a watch that cannot act on the half hang-up must sleep, with
 * either back end, and still hear of room to write and of the full hang-up. */
#include "pnstackd/loop/loop.h"
#include "tests/unit/unit.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct heard {
	struct loop *loop;
	struct loop_watch *watch;
	uint32_t events;
	int calls;
	bool drop;             /* delete the watch in the callback */
};

static void hear(void *arg, uint32_t events, struct pn_time now)
{
	struct heard *h = arg;

	(void)now;
	h->events = events;
	h->calls++;
	if (h->drop) {
		loop_watch_del(h->loop, h->watch);
		h->watch = NULL;
	}
}

/* Return: how often the loop woke up within 50 ms */
static int wakes(struct heard *h)
{
	struct pn_time end = pn_time_add(loop_now(), PN_MS(50));
	int n = 0;

	h->calls = 0;
	h->events = 0;
	while (pn_time_before(loop_now(), end) && n < 1000) {
		loop_wait(h->loop, end);
		n++;
	}
	return n;
}

static void once(struct heard *h)
{
	h->calls = 0;
	h->events = 0;
	loop_wait(h->loop, pn_time_add(loop_now(), PN_S(5)));
}

static void half_closed(enum loop_kind kind)
{
	static char buf[65536];
	struct heard h = { .calls = 0 };
	const char *why;
	int fd[2];

	h.loop = loop_new(kind, &why);
	if (!h.loop && kind == LOOP_URING)
		return;   /* forbidden here */
	CU_ASSERT_PTR_NOT_NULL_FATAL(h.loop);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	h.watch = loop_watch_add(h.loop, fd[0], LOOP_IN, hear, &h);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h.watch);
	shutdown(fd[1], SHUT_WR);
	once(&h);
	CU_ASSERT_EQUAL(h.events, LOOP_IN);

	loop_watch_set(h.loop, h.watch, LOOP_HUP);
	CU_ASSERT(wakes(&h) < 20);
	CU_ASSERT_EQUAL(h.calls, 0);

	while (send(fd[0], buf, sizeof(buf), MSG_NOSIGNAL) > 0)
		;
	loop_watch_set(h.loop, h.watch, LOOP_OUT);
	CU_ASSERT(wakes(&h) < 20);
	CU_ASSERT_EQUAL(h.calls, 0);
	while (recv(fd[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	once(&h);
	CU_ASSERT_EQUAL(h.events, LOOP_OUT);

	loop_watch_set(h.loop, h.watch, 0);
	CU_ASSERT(wakes(&h) < 20);
	CU_ASSERT_EQUAL(h.calls, 0);
	loop_watch_set(h.loop, h.watch, LOOP_HUP);
	h.drop = true;
	close(fd[1]);
	CU_ASSERT(wakes(&h) < 20);
	CU_ASSERT_EQUAL(h.calls, 1);
	CU_ASSERT(h.events & LOOP_HUP);
	CU_ASSERT_PTR_NULL(h.watch);
	close(fd[0]);
	loop_free(h.loop);
}

static void test_uring(void)
{
	half_closed(LOOP_URING);
}

static void test_epoll(void)
{
	half_closed(LOOP_EPOLL);
}

/* A deletion just when something has woken the poll up: the other end must see that the
 * socket is closed */
static void deleted_awake(enum loop_kind kind)
{
	struct heard h = { .calls = 0 };
	struct pollfd p = { .events = 0 };
	const char *why;
	int fd[2];

	h.loop = loop_new(kind, &why);
	if (!h.loop && kind == LOOP_URING)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(h.loop);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	h.watch = loop_watch_add(h.loop, fd[0], LOOP_HUP, hear, &h);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h.watch);
	wakes(&h);
	shutdown(fd[0], SHUT_WR);
	loop_watch_del(h.loop, h.watch);
	close(fd[0]);
	wakes(&h);
	p.fd = fd[1];
	CU_ASSERT_EQUAL(poll(&p, 1, 0), 1);
	CU_ASSERT_EQUAL(p.revents, POLLHUP);
	close(fd[1]);
	loop_free(h.loop);
}

static void test_deleted(void)
{
	deleted_awake(LOOP_URING);
	deleted_awake(LOOP_EPOLL);
}

static CU_TestInfo tests[] = {
	{ "half-closed, io_uring", test_uring },
	{ "half-closed, epoll", test_epoll },
	{ "deleted while being woken up", test_deleted },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_loop_hup;
CU_SuiteInfo suite_loop_hup = { .pName = "loop_hup", .pTests = tests };
