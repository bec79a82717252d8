/* SPDX-License-Identifier: ISC */
/* The shim's table of descriptors: references, reuse, hidden numbers, threads. */
#include "tests/unit/unit.h"

#include "shim/libpnpreload/fdtable.c"
#include "shim/libpnpreload/real.c"

#include <pthread.h>

static int moved_from, moved_to;

void dm_fd_moved(int from, int to)
{
	moved_from = from;
	moved_to = to;
}

void trace_fd_moved(int from, int to)
{
	(void)from;
	(void)to;
}

void vfork_fd_moved(int from, int to)
{
	(void)from;
	(void)to;
}

static void test_references(void)
{
	struct sock *s = sock_new(SOCK_STREAMS, AF_INET), *again;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NULL(fd_get(500));
	fd_bind(500, s);
	fd_bind(501, s);
	sock_put(s);
	CU_ASSERT_EQUAL(s->refs, 2);
	again = fd_get(501);
	CU_ASSERT_PTR_EQUAL(again, s);
	fd_drop(500);
	fd_drop(501);
	CU_ASSERT_EQUAL(s->refs, 1);
	CU_ASSERT_PTR_NULL(fd_get(500));
	sock_put(again);
	CU_ASSERT_EQUAL(s->refs, 0);
}

static void test_numbers(void)
{
	struct sock *s = sock_new(SOCK_STREAMS, AF_INET), *at;

	CU_ASSERT_PTR_NULL(fd_get(-1));
	CU_ASSERT_PTR_NULL(fd_get((int)FD_MAX));
	CU_ASSERT_PTR_NULL(fd_get(INT32_MAX));
	fd_drop(-1);
	fd_drop(INT32_MAX);
	fd_bind(INT32_MAX, s);	/* no room: libc's */
	CU_ASSERT_PTR_NULL(fd_get(INT32_MAX));
	CU_ASSERT_EQUAL(s->refs, 1);
	fd_bind(3 * FD_BLOCK + 7, s);
	CU_ASSERT_EQUAL(fd_next(0, &at), 3 * FD_BLOCK + 7);
	CU_ASSERT_PTR_EQUAL(at, s);
	CU_ASSERT_EQUAL(fd_next(3 * FD_BLOCK + 8, &at), -1);
	fd_drop(3 * FD_BLOCK + 7);
	sock_put(s);
}

/* More sockets than a block has; each of them its own, and all come back */
static void test_many(void)
{
	enum { COUNT = SOCK_BLOCK * 3 };
	static struct sock *all[COUNT];
	unsigned int blocks, i;

	for (i = 0; i < COUNT; i++) {
		all[i] = sock_new(SOCK_STREAMS, AF_INET);
		CU_ASSERT_PTR_NOT_NULL_FATAL(all[i]);
		all[i]->domain = (int)i;
	}
	for (i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(all[i]->domain, (int)i);
	blocks = sock_block_count;
	for (i = 0; i < COUNT; i++)
		sock_put(all[i]);
	for (i = 0; i < COUNT; i++)
		all[i] = sock_new(SOCK_STREAMS, AF_INET);
	CU_ASSERT_EQUAL(sock_block_count, blocks);
	for (i = 0; i < COUNT; i++)
		sock_put(all[i]);
}

static void test_hidden(void)
{
	struct sock *s = sock_new(SOCK_STREAMS, AF_INET);
	int fd = fd_hide(dup(0)), old;

	CU_ASSERT_FATAL(fd > 2);
	CU_ASSERT(fd_is_internal(fd));
	CU_ASSERT_PTR_NULL(fd_get(fd));
	/* somebody wants the number: the owner learns the new one */
	atomic_store(&s->live_fd, fd);
	fd_bind(700, s);
	old = fd;
	CU_ASSERT_EQUAL(fd_evict(old), 0);
	fd = s->live_fd;
	CU_ASSERT_NOT_EQUAL(fd, old);
	CU_ASSERT(fd_is_internal(fd));
	CU_ASSERT(!fd_is_internal(old));
	CU_ASSERT_EQUAL(moved_from, old);
	CU_ASSERT_EQUAL(moved_to, fd);
	close(old);
	/* the last reference closes what was hidden */
	fd_drop(700);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), 0 + FD_CLOEXEC);
	sock_put(s);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), -1);
	CU_ASSERT(!fd_is_internal(fd));
	fd_unhide(-1);
}

/* No number is free: what is hidden stays where it is, and stays hidden */
static void test_no_way_out(void)
{
	int fd = fd_hide(dup(0)), lowest = dup(0);
	struct rlimit lim, low;

	CU_ASSERT_FATAL(fd > lowest);
	close(lowest);
	getrlimit(RLIMIT_NOFILE, &lim);
	low = lim;
	low.rlim_cur = (rlim_t)lowest;
	setrlimit(RLIMIT_NOFILE, &low);
	moved_from = -1;
	CU_ASSERT_EQUAL(fd_evict(fd), EMFILE);
	setrlimit(RLIMIT_NOFILE, &lim);
	CU_ASSERT(fd_is_internal(fd));
	CU_ASSERT_EQUAL(moved_from, -1);
	fd_unhide(fd);
}

/* Threads that look, while others close and reuse the same numbers */
#define RACE_FDS	4
#define RACE_ROUNDS	20000

static void *race_look(void *arg)
{
	int i, *bad = arg;
	struct sock *s;

	for (i = 0; i < RACE_ROUNDS; i++) {
		s = fd_get(800 + i % RACE_FDS);
		if (!s)
			continue;
		if (!s->refs || s->refs & SOCK_DYING || s->domain < 800)
			*bad = 1;
		sock_put(s);
	}
	return NULL;
}

static void *race_change(void *arg)
{
	struct sock *s;
	int i;

	(void)arg;
	for (i = 0; i < RACE_ROUNDS; i++) {
		s = sock_new(SOCK_STREAMS, 800 + i);
		if (!s)
			continue;
		fd_bind(800 + i % RACE_FDS, s);
		sock_put(s);
		if (i % 3 == 0)
			fd_drop(800 + (i + 1) % RACE_FDS);
	}
	return NULL;
}

static void test_race(void)
{
	pthread_t t[4];
	int bad = 0, i;

	pthread_create(&t[0], NULL, race_look, &bad);
	pthread_create(&t[1], NULL, race_look, &bad);
	pthread_create(&t[2], NULL, race_change, NULL);
	pthread_create(&t[3], NULL, race_change, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CU_ASSERT(!bad);
	for (i = 0; i < RACE_FDS; i++)
		fd_drop(800 + i);
	CU_ASSERT_EQUAL(fd_next(800, &(struct sock *){ NULL }), -1);
}

static CU_TestInfo tests[] = {
	{ "references", test_references },
	{ "numbers out of range", test_numbers },
	{ "many sockets", test_many },
	{ "hidden descriptors", test_hidden },
	{ "hidden descriptors that cannot go", test_no_way_out },
	{ "threads", test_race },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_shim_fdtable;
CU_SuiteInfo suite_shim_fdtable = {
	.pName = "shim_fdtable",
	.pTests = tests,
};
