// SPDX-License-Identifier: ISC
/* Packet pool, packets and queues. */
#include "libpeernet/base/pkt.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define COUNT		5
#define PAYLOAD_SIZE	1501

static void *mem;
static struct pn_pool pool;

static int setup(void)
{
	mem = malloc(pn_pool_mem_size(COUNT, PAYLOAD_SIZE));
	if (!mem)
		return 1;
	pn_pool_init(&pool, mem, COUNT, PAYLOAD_SIZE);
	return 0;
}

static int cleanup(void)
{
	free(mem);
	return 0;
}

static void test_pool(void)
{
	struct pn_pkt *pkts[COUNT];
	uint32_t i, k;

	for (i = 0; i < COUNT; i++) {
		pkts[i] = pn_pkt_get(&pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
		CU_ASSERT_EQUAL(pkts[i]->len, 0);
		CU_ASSERT_EQUAL(pkts[i]->link, -1);
		CU_ASSERT_EQUAL(pkts[i]->ll.len, 0);
		CU_ASSERT_EQUAL(pn_pkt_headroom(pkts[i]), PN_PKT_HEADROOM);
		CU_ASSERT(pn_pkt_room(pkts[i]) >=
			  PAYLOAD_SIZE + PN_PKT_TAILROOM);
		CU_ASSERT_EQUAL((uintptr_t)pkts[i]->buf % 64, 0);
		memset(pkts[i]->buf, (int)i, pkts[i]->cap);
	}
	CU_ASSERT_EQUAL(pool.free_count, 0);
	CU_ASSERT_PTR_NULL(pn_pkt_get(&pool));
	CU_ASSERT_EQUAL(pool.get_failures, 1);
	for (i = 0; i < COUNT; i++) {
		for (k = 0; k < pkts[i]->cap; k++) {
			if (pkts[i]->buf[k] != i)
				CU_FAIL_FATAL("buffers overlap");
		}
	}

	pkts[0]->src = 1;
	pkts[0]->ll.len = 6;
	(void)pn_pkt_append(pkts[0], 9);
	pn_pkt_put(&pool, pkts[0]);
	CU_ASSERT_PTR_EQUAL(pn_pkt_get(&pool), pkts[0]);
	CU_ASSERT_EQUAL(pkts[0]->src, 0);	/* as new */
	CU_ASSERT_EQUAL(pkts[0]->ll.len, 0);
	CU_ASSERT_EQUAL(pkts[0]->len, 0);
	for (i = 0; i < COUNT; i++)
		pn_pkt_put(&pool, pkts[i]);
	pn_pkt_put(&pool, NULL);
	CU_ASSERT_EQUAL(pool.free_count, COUNT);
}

static void test_pool_any_alignment(void)
{
	size_t size = pn_pool_mem_size(COUNT, PAYLOAD_SIZE);
	size_t off;

	for (off = 0; off < 64; off++) {
		uint8_t *area = malloc(size + off);
		struct pn_pkt *pkt;
		struct pn_pool p;

		CU_ASSERT_PTR_NOT_NULL_FATAL(area);
		pn_pool_init(&p, area + off, COUNT, PAYLOAD_SIZE);
		while ((pkt = pn_pkt_get(&p)))	/* ASan sees the end */
			memset(pkt->buf, 0xff, pkt->cap);
		free(area);
	}
}

static void test_pkt(void)
{
	struct pn_pkt *pkt = pn_pkt_get(&pool);
	uint8_t *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
	memcpy(pn_pkt_append(pkt, 5), "hello", 5);
	memcpy(pn_pkt_push(pkt, 4), "head", 4);
	CU_ASSERT_EQUAL(pkt->len, 9);
	CU_ASSERT(!memcmp(pkt->data, "headhello", 9));
	p = pn_pkt_append(pkt, 3);
	memcpy(p, "tag", 3);
	CU_ASSERT(!memcmp(pkt->data, "headhellotag", 12));
	pn_pkt_trim(pkt, 9);
	p = pn_pkt_pull(pkt, 4);
	CU_ASSERT_PTR_EQUAL(p, pkt->data);
	CU_ASSERT_EQUAL(pkt->len, 5);
	CU_ASSERT(!memcmp(p, "hello", 5));
	CU_ASSERT_EQUAL(pn_pkt_headroom(pkt) + pkt->len + pn_pkt_room(pkt),
			pkt->cap);
	(void)pn_pkt_push(pkt, PN_PKT_HEADROOM);
	CU_ASSERT_PTR_EQUAL(pkt->data, pkt->buf);
	(void)pn_pkt_append(pkt, pn_pkt_room(pkt));
	CU_ASSERT_EQUAL(pn_pkt_room(pkt), 0);
	CU_ASSERT_EQUAL(pkt->len, pkt->cap);
	pn_pkt_put(&pool, pkt);
}

static void put_twice(void *arg)
{
	pn_pkt_put(&pool, arg);
	pn_pkt_put(&pool, arg);
}

static void put_foreign(void *arg)
{
	struct pn_pkt foreign = *(struct pn_pkt *)arg;

	pn_pkt_put(&pool, &foreign);
}

static void push_too_much(void *arg)
{
	(void)pn_pkt_push(arg, PN_PKT_HEADROOM + 1);
}

static void pull_too_much(void *arg)
{
	(void)pn_pkt_pull(arg, 1);
}

static void append_too_much(void *arg)
{
	(void)pn_pkt_append(arg, pn_pkt_room(arg) + 1);
}

static void queue_free_one(void *arg)
{
	struct pn_pktq q;

	pn_pktq_init(&q);
	pn_pkt_put(&pool, arg);
	pn_pktq_push(&q, arg);
}

static void queue_twice(void *arg)
{
	struct pn_pktq q;

	pn_pktq_init(&q);
	pn_pktq_push(&q, arg);
	pn_pktq_push(&q, arg);
}

static void test_misuse(void)
{
	struct pn_pkt *pkt = pn_pkt_get(&pool);

	CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
	CU_ASSERT(unit_aborts(put_twice, pkt));
	CU_ASSERT(unit_aborts(put_foreign, pkt));
	CU_ASSERT(unit_aborts(push_too_much, pkt));
	CU_ASSERT(unit_aborts(pull_too_much, pkt));
	CU_ASSERT(unit_aborts(append_too_much, pkt));
	CU_ASSERT(unit_aborts(queue_free_one, pkt));
	CU_ASSERT(unit_aborts(queue_twice, pkt));
	pn_pkt_put(&pool, pkt);
}

static void test_queue(void)
{
	struct pn_pkt *pkts[COUNT];
	struct pn_pktq a, b;
	uint32_t i;

	pn_pktq_init(&a);
	pn_pktq_init(&b);
	CU_ASSERT_PTR_NULL(pn_pktq_pop(&a));
	for (i = 0; i < COUNT; i++) {
		pkts[i] = pn_pkt_get(&pool);
		CU_ASSERT_PTR_NOT_NULL_FATAL(pkts[i]);
		pn_pktq_push(i < 3 ? &a : &b, pkts[i]);
	}
	CU_ASSERT_EQUAL(a.count, 3);
	pn_pktq_splice(&a, &b);
	CU_ASSERT_EQUAL(a.count, COUNT);
	CU_ASSERT_EQUAL(b.count, 0);
	CU_ASSERT_PTR_NULL(pn_pktq_pop(&b));
	pn_pktq_splice(&a, &b);		/* nothing */
	pn_pktq_splice(&b, &a);		/* all, onto an empty one */
	CU_ASSERT_EQUAL(b.count, COUNT);
	for (i = 0; i < COUNT - 2; i++)
		CU_ASSERT_PTR_EQUAL(pn_pktq_pop(&b), pkts[i]);
	pn_pktq_push(&b, pkts[0]);
	CU_ASSERT_EQUAL(b.count, 3);
	pn_pktq_drain(&b, &pool);
	CU_ASSERT_EQUAL(b.count, 0);
	CU_ASSERT_PTR_NULL(b.tail);
	pn_pkt_put(&pool, pkts[1]);
	pn_pkt_put(&pool, pkts[2]);
	CU_ASSERT_EQUAL(pool.free_count, COUNT);
}

static void test_lladdr(void)
{
	struct pn_lladdr a = { 6, { 1, 2, 3, 4, 5, 6 } };
	struct pn_lladdr b = { 6, { 1, 2, 3, 4, 5, 6, 7 } };
	struct pn_lladdr c = { 18, { 1, 2, 3, 4, 5, 6 } };
	struct pn_lladdr none = { 0 };

	CU_ASSERT(pn_lladdr_equal(&a, &b));	/* beyond len: no matter */
	CU_ASSERT(!pn_lladdr_equal(&a, &c));
	CU_ASSERT(!pn_lladdr_equal(&a, &none));
	CU_ASSERT(pn_lladdr_equal(&none, &none));
	b.b[5] = 0;
	CU_ASSERT(!pn_lladdr_equal(&a, &b));
}

static CU_TestInfo tests[] = {
	{ "pool", test_pool },
	{ "pool in memory of any alignment", test_pool_any_alignment },
	{ "push, pull, append, trim", test_pkt },
	{ "misuse aborts", test_misuse },
	{ "queue", test_queue },
	{ "stations", test_lladdr },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_pkt;
CU_SuiteInfo suite_pkt = {
	.pName = "pkt",
	.pInitFunc = setup,
	.pCleanupFunc = cleanup,
	.pTests = tests,
};
