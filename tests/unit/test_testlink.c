// SPDX-License-Identifier: ISC
/* Links made worse for tests: what waits keeps its order and its time, what is lost or finds
 * the queue full is counted, and what goes on goes on together. */
#include "pnstackd/link/link_impl.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define PKTS	64

static struct pn_pool pool;
static struct link_set set;
static struct link link;
static void *pool_mem;

/* What the link was given to send: the numbers of the frames, and how many at each call */
static struct {
	uint32_t tags[4096];
	size_t count, calls, largest;
} sent;

static void on_transmit(struct link *l, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	size_t i;

	(void)now;
	sent.calls++;
	sent.largest = n > sent.largest ? n : sent.largest;
	for (i = 0; i < n; i++) {
		CU_ASSERT_FATAL(sent.count < PN_ARRAY_LEN(sent.tags));
		sent.tags[sent.count++] = pkts[i]->tag;
	}
	link_sent(l, pkts, n, 0);
}

static const struct link_ops ops = { .type = "test", .transmit = on_transmit };

static void lab_open(const char *text)
{
	size_t size = pn_pool_mem_size(PKTS, 1500);
	char why[200];

	pool_mem = malloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool_mem);
	pn_pool_init(&pool, pool_mem, PKTS, 1500);
	memset(&set, 0, sizeof(set));
	memset(&link, 0, sizeof(link));
	memset(&sent, 0, sizeof(sent));
	CU_ASSERT_EQUAL_FATAL(link_spec_parse(text, &link.spec, why, sizeof(why)), 0);
	set.pool = &pool;
	set.wake = PN_TIME_NEVER;
	set.scan_at = PN_TIME_NEVER;
	set.links = &link;
	set.by_net[3] = &link;
	link.set = &set;
	link.ops = &ops;
	link.net_link = 3;
	link.wake = PN_TIME_NEVER;
	if (testlink_wanted(&link.spec))
		link.test = testlink_new(&link.spec, &pool);
}

static void lab_close(void)
{
	testlink_free(link.test);
	CU_ASSERT_EQUAL(pool.free_count, PKTS);	/* nothing is lost on the way */
	free(pool_mem);
}

/* Hands @n frames, numbered from @first, to the link at @at_ms. */
static void lab_send(uint32_t first, size_t n, uint64_t at_ms)
{
	struct pn_pkt *pkts[PKTS];
	size_t i;

	for (i = 0; i < n; i++) {
		pkts[i] = pn_pkt_get(&pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
		memset(pn_pkt_append(pkts[i], 1000), 0, 1000);
		pkts[i]->link = 3;
		pkts[i]->tag = first + (uint32_t)i;
	}
	link_transmit(&set, pkts, n, (struct pn_time){ PN_MS(at_ms) });
}

static void lab_expire(uint64_t at_ms)
{
	link_expire(&set, (struct pn_time){ PN_MS(at_ms) });
}

static bool sent_in_order(void)
{
	size_t i;

	for (i = 0; i < sent.count; i++) {
		if (sent.tags[i] != i)
			return false;
	}
	return true;
}

static void test_none(void)
{
	lab_open("eth:a,cost=20");
	CU_ASSERT_PTR_NULL(link.test);
	lab_send(0, 10, 1);
	CU_ASSERT_EQUAL(sent.calls, 1);
	CU_ASSERT_EQUAL(sent.count, 10);
	CU_ASSERT_TRUE(pn_time_is_never(link_deadline(&set)));
	lab_close();
}

static void test_delay(void)
{
	lab_open("eth:a,delay=30ms");
	lab_send(0, 5, 100);
	lab_send(5, 5, 110);
	CU_ASSERT_EQUAL(sent.count, 0);
	CU_ASSERT_EQUAL(link_deadline(&set).ns, PN_MS(130));
	lab_expire(129);
	CU_ASSERT_EQUAL(sent.count, 0);
	lab_expire(130);
	CU_ASSERT_EQUAL(sent.count, 5);
	CU_ASSERT_EQUAL(sent.calls, 1);	/* together, as they came */
	CU_ASSERT_EQUAL(link_deadline(&set).ns, PN_MS(140));
	lab_expire(500);
	CU_ASSERT_EQUAL(sent.count, 10);
	CU_ASSERT_TRUE(sent_in_order());
	CU_ASSERT_TRUE(pn_time_is_never(link_deadline(&set)));
	CU_ASSERT_EQUAL(link.tx_frames, 10);
	CU_ASSERT_EQUAL(link.tx_dropped, 0);
	lab_send(10, 5, 600);	/* these are still under way at the end */
	lab_close();
}

/* A thousand bytes at 8 Mbit/s are a millisecond. */
static void test_rate(void)
{
	lab_open("udp:h:1,rate=8mbit,delay=10ms");
	lab_send(0, 20, 100);
	lab_expire(111);
	CU_ASSERT_EQUAL(sent.count, 1);
	lab_expire(120);
	CU_ASSERT_EQUAL(sent.count, 10);
	lab_expire(130);
	CU_ASSERT_EQUAL(sent.count, 20);
	CU_ASSERT_TRUE(sent_in_order());
	lab_close();
}

static void test_queue_bound(void)
{
	lab_open("eth:a,delay=30ms");
	lab_send(0, 30, 0);
	lab_send(30, 30, 1);
	CU_ASSERT_EQUAL(link.tx_dropped, 60 - PKTS / 2);
	CU_ASSERT_EQUAL(pool.free_count, PKTS / 2);
	lab_expire(31);
	CU_ASSERT_EQUAL(sent.count, PKTS / 2);
	CU_ASSERT_TRUE(sent_in_order());
	lab_send(0, 10, 40);	/* there is room again */
	CU_ASSERT_EQUAL(link.tx_dropped, 60 - PKTS / 2);
	lab_close();
}

/* At a rate a tenth of a second's worth waits, however many frames that is. */
static void test_queue_time(void)
{
	lab_open("eth:a,rate=400kbit");
	lab_send(0, 20, 0);
	CU_ASSERT_EQUAL(link.tx_dropped, 20 - 6);	/* 20 ms each */
	lab_close();
}

static void test_lost(void)
{
	size_t i, n = 100, each = 40;

	lab_open("udp-listen:1,loss=10%");
	for (i = 0; i < n; i++)
		lab_send((uint32_t)(i * each), each, i);
	CU_ASSERT_EQUAL(sent.count + link.tx_dropped, n * each);
	CU_ASSERT_EQUAL(link.tx_frames, sent.count);
	CU_ASSERT_TRUE(link.tx_dropped > n * each / 20);
	CU_ASSERT_TRUE(link.tx_dropped < n * each / 5);
	for (i = 1; i < sent.count; i++)
		CU_ASSERT_TRUE(sent.tags[i] > sent.tags[i - 1]);
	CU_ASSERT_EQUAL(sent.calls, n);		/* loss does not take batches apart */
	CU_ASSERT_TRUE(pn_time_is_never(link_deadline(&set)));
	lab_close();
	lab_open("eth:a,loss=100%");
	lab_send(0, 10, 0);
	CU_ASSERT_EQUAL(sent.calls, 0);
	CU_ASSERT_EQUAL(link.tx_dropped, 10);
	lab_close();
}

static CU_TestInfo tests[] = {
	{ "no options, no test link", test_none },
	{ "a delay keeps the order", test_delay },
	{ "a rate spaces frames", test_rate },
	{ "the queue has a bound", test_queue_bound },
	{ "at a rate the queue is short", test_queue_time },
	{ "what is lost is counted", test_lost },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_testlink = { .pName = "testlink", .pTests = tests };
