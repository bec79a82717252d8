// SPDX-License-Identifier: ISC
/* Area records: wire format, signatures, counts, the pool of versions. */
#include "pnstackd/net/record.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct net me, other;

static void nodes_make(void)
{
	uint8_t seed[32] = { 1 };

	crypto_identity(seed, me.id, me.sign_key);
	seed[0] = 2;
	crypto_identity(seed, other.id, other.sign_key);
	me.boot = 5;
	other.boot = 6;
}

/* An inner area of ours, every field something else */
static struct rec sample(void)
{
	struct rec r;

	nodes_make();
	rec_init(&r, &me, 3, 7);
	r.epoch = 9;
	r.seq = 99;
	r.base = 4;
	r.top = 6;
	r.bit = 1;
	r.count = 33;
	r.parent = 0x1111;
	r.deputy = 0x8888;
	r.prev = 0x9999;
	r.line = 0xaaaa;
	r.child[0] = (struct rec_child){ 0x2222, 0x3333, 4, 5 };
	r.child[1] = (struct rec_child){ 0x6666, 0x7777, 8, 9 };
	rec_sign(&me, &r);
	return r;
}

static size_t build(const struct rec *r, uint8_t buf[REC_WIRE_LEN])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, REC_WIRE_LEN);
	rec_build(&w, r);
	CU_ASSERT(pn_wr_ok(&w));
	return w.len;
}

static int parse(const uint8_t *buf, size_t len, struct rec *out)
{
	uint8_t *copy = unit_copy(buf, len);
	struct pn_rd rd;
	int rc;

	pn_rd_init(&rd, copy, len);
	rc = rec_parse(&rd, out);
	free(copy);
	return rc;
}

static void test_round_trip(void)
{
	uint8_t buf[REC_WIRE_LEN], again[REC_WIRE_LEN];
	struct rec r = sample(), p;

	CU_ASSERT_EQUAL(r.seq, 100);             /* signing raised it */
	CU_ASSERT_EQUAL(build(&r, buf), REC_WIRE_LEN);
	CU_ASSERT_EQUAL_FATAL(parse(buf, sizeof(buf), &p), 0);
	CU_ASSERT_EQUAL(p.id, r.id);
	CU_ASSERT_EQUAL(p.leader, r.leader);
	CU_ASSERT_EQUAL(p.epoch, 9);
	CU_ASSERT_EQUAL(p.seq, 100);
	CU_ASSERT_EQUAL(p.top, 6);
	CU_ASSERT_EQUAL(p.prev, 0x9999);
	CU_ASSERT_EQUAL(p.line, 0xaaaa);
	CU_ASSERT_EQUAL(rec_lists(&p, 0x6666, 8, 0x7777), 1);
	CU_ASSERT_EQUAL(rec_lists(&p, 0x6666, 7, 0x7777), -1);
	CU_ASSERT_EQUAL(rec_lists(&p, 0x6666, 8, 0x7778), -1);
	CU_ASSERT_EQUAL(rec_verify(&p), 0);
	build(&p, again);
	CU_ASSERT_EQUAL(memcmp(buf, again, sizeof(buf)), 0);
	for (size_t len = 0; len < REC_WIRE_LEN; len++)
		CU_ASSERT_EQUAL(parse(buf, len, &p), PN_EBADMSG);
}

/* Every bit of a record is under its signature, or is the signature. */
static void test_forged(void)
{
	uint8_t buf[REC_WIRE_LEN];
	struct rec r = sample(), p;

	build(&r, buf);
	for (size_t i = 0; i < REC_WIRE_LEN; i++) {
		buf[i] ^= 1;
		if (parse(buf, sizeof(buf), &p) == 0)
			CU_ASSERT_EQUAL(rec_verify(&p), PN_EAUTH);
		buf[i] ^= 1;
	}
	/* somebody else signs for our area: the id follows from the leader */
	rec_init(&p, &other, 3, 7);
	CU_ASSERT_NOT_EQUAL(p.id, r.id);
	p = r;
	rec_sign(&other, &p);
	CU_ASSERT_EQUAL(rec_verify(&p), PN_EAUTH);
}

static void test_identity(void)
{
	struct rec a, b;

	nodes_make();
	rec_init(&a, &me, 3, 0);
	CU_ASSERT_EQUAL(a.id, rec_node_id(me.id, 3, 5));  /* a leaf is named as the node is */
	CU_ASSERT_EQUAL(a.id, a.leader);
	CU_ASSERT_EQUAL(a.top, NET_TOP_NONE);
	rec_init(&b, &me, 4, 0);
	CU_ASSERT_NOT_EQUAL(a.id, b.id);
	me.boot++;
	rec_init(&b, &me, 3, 0);
	CU_ASSERT_NOT_EQUAL(a.id, b.id);
}

/* Return: what a record of an area of that height with so many nodes is read as */
static int count_read(unsigned base, uint8_t count)
{
	uint8_t buf[REC_WIRE_LEN];
	struct rec r, out;
	struct pn_wr w;
	struct pn_rd rd;

	rec_init(&r, &me, 0, base > 0);
	r.base = (uint8_t)base;
	r.child[0].id = base ? 2 : 0;
	r.count = count;
	pn_wr_init(&w, buf, sizeof(buf));
	rec_build(&w, &r);
	pn_rd_init(&rd, buf, w.len);
	return rec_parse(&rd, &out);
}

/* Nobody is more than the addresses that he has; counts are rounded, though. */
static void test_too_many(void)
{
	nodes_make();
	CU_ASSERT_EQUAL(count_read(0, REC_COUNT_ONE), 0);
	CU_ASSERT_EQUAL(count_read(0, REC_COUNT_LEAF), 0);
	CU_ASSERT_EQUAL(count_read(0, 40), PN_EBADMSG);  /* a leaf of 32 */
	CU_ASSERT_EQUAL(count_read(3, 31), 0);           /* 15 */
	CU_ASSERT_EQUAL(count_read(3, 32), PN_EBADMSG);  /* 16 */
	CU_ASSERT_EQUAL(count_read(40, 254), 0);
}

static void test_insane(void)
{
	static const struct {
		uint32_t nonce;
		uint8_t base, top, bit;
		uint64_t parent, child;
		int rc;
	} table[] = {
		{ 1, 1, NET_TOP_NONE, 0, 0, 2, 0 },
		{ 1, 63, NET_TOP_NONE, 0, 0, 2, 0 },
		{ 1, 62, 62, 1, 1, 2, 0 },
		{ 0, 0, 0, 0, 1, 0, 0 },
		{ 1, 64, NET_TOP_NONE, 0, 0, 2, PN_EBADMSG },   /* too tall */
		{ 1, 63, 63, 0, 1, 2, PN_EBADMSG },
		{ 1, 255, NET_TOP_NONE, 0, 0, 2, PN_EBADMSG },
		{ 1, 5, 4, 0, 1, 2, PN_EBADMSG },               /* hangs inside itself */
		{ 1, 1, 3, 0, 0, 2, PN_EBADMSG },               /* a root that hangs somewhere */
		{ 1, 1, NET_TOP_NONE, 0, 1, 2, PN_EBADMSG },    /* a parent, but nowhere */
		{ 1, 1, 3, 2, 1, 2, PN_EBADMSG },               /* no such bit */
		{ 1, 0, NET_TOP_NONE, 0, 0, 2, PN_EBADMSG },    /* an inner area of one address */
		{ 0, 1, NET_TOP_NONE, 0, 0, 0, PN_EBADMSG },    /* a leaf of two */
		{ 0, 0, NET_TOP_NONE, 0, 0, 2, PN_EBADMSG },    /* a leaf with children */
	};
	uint8_t buf[REC_WIRE_LEN];

	nodes_make();
	for (size_t i = 0; i < PN_ARRAY_LEN(table); i++) {
		struct rec r, p;

		rec_init(&r, &me, 0, table[i].nonce);
		r.base = table[i].base;
		r.top = table[i].top;
		r.bit = table[i].bit;
		r.parent = table[i].parent;
		r.child[1].id = table[i].child;
		rec_sign(&me, &r);
		build(&r, buf);
		if (parse(buf, sizeof(buf), &p) != table[i].rc) {
			fprintf(stderr, "line %zu\n", i);
			CU_FAIL("insane record");
		}
	}
}

static void test_newer(void)
{
	struct rec a = sample(), b = a;

	CU_ASSERT(!rec_newer(&a, &b));
	a.seq++;
	CU_ASSERT(rec_newer(&a, &b));
	b.epoch++;
	CU_ASSERT(rec_newer(&b, &a));
	CU_ASSERT(!rec_newer(&a, &b));
}

static uint8_t code_of(uint32_t n)
{
	uint8_t code = REC_COUNT_ONE;

	while (n-- > 1)
		code = rec_count_sum(code, REC_COUNT_ONE);
	return code;
}

static void test_counts(void)
{
	uint8_t code = REC_COUNT_ONE;

	CU_ASSERT_EQUAL(rec_count_value(REC_COUNT_ONE), 1);
	for (unsigned c = 1; c < REC_COUNT_LEAF; c++)
		CU_ASSERT(rec_count_value((uint8_t)c) >= rec_count_value((uint8_t)(c - 1)));
	for (uint32_t n = 1; n <= 16; n++)
		CU_ASSERT_EQUAL(rec_count_value(code_of(n)), n);
	/* a balanced tree of 2^20 nodes: the error does not grow with its height */
	for (unsigned level = 0; level < 20; level++)
		code = rec_count_sum(code, code);
	CU_ASSERT_EQUAL(rec_count_value(code), 1u << 20);
	/* a sum is within one step, never less than the larger, in both orders the same */
	for (unsigned a = 0; a < 248; a++)
		for (unsigned b = 0; b <= a; b++) {
			uint8_t s = rec_count_sum((uint8_t)a, (uint8_t)b);
			double want = (double)rec_count_value((uint8_t)a) +
				      rec_count_value((uint8_t)b);

			CU_ASSERT(s >= a);
			CU_ASSERT_EQUAL(s, rec_count_sum((uint8_t)b, (uint8_t)a));
			if (a >= 24 && b >= 24 && s < 248)
				CU_ASSERT(rec_count_value(s) > want * 0.91 &&
					  rec_count_value(s) < want * 1.09);
		}
	CU_ASSERT_EQUAL(rec_count_sum(254, 254), 254);
	/* a leaf is one node */
	CU_ASSERT_EQUAL(rec_count_value(REC_COUNT_LEAF), 1);
	CU_ASSERT_EQUAL(rec_count_sum(REC_COUNT_LEAF, REC_COUNT_LEAF), code_of(2));
	CU_ASSERT_EQUAL(rec_count_sum(REC_COUNT_LEAF, 40), rec_count_sum(REC_COUNT_ONE, 40));
}

#define POOL_CAP 8

static struct rec_pool pool_make(void)
{
	struct rec_pool p = { 0 };
	struct arena a = { 0 };

	rec_pool_carve(&p, &a, POOL_CAP, 2);
	a.at = calloc(1, a.used);
	a.used = 0;
	rec_pool_carve(&p, &a, POOL_CAP, 2);
	rec_pool_init(&p);
	return p;
}

static void test_pool(void)
{
	struct rec_pool p = pool_make();
	struct rec r = sample();
	rec_ref ref[POOL_CAP], again;

	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < POOL_CAP; i++) {
			r.seq = i;
			ref[i] = rec_intern(&p, &r, 0);
			CU_ASSERT_FATAL(ref[i] != 0);
		}
		CU_ASSERT_EQUAL(p.used, POOL_CAP);
		r.seq = POOL_CAP;
		CU_ASSERT_EQUAL(rec_intern(&p, &r, 0), 0);       /* full */
		r.seq = 3;
		again = rec_intern(&p, &r, POOL_CAP);            /* but this one is there */
		CU_ASSERT_EQUAL(again, ref[3]);
		CU_ASSERT_EQUAL(rec_find(&p, &r), ref[3]);
		r.sig[0] ^= 1;                                   /* another version */
		CU_ASSERT_EQUAL(rec_find(&p, &r), 0);
		r.sig[0] ^= 1;
		rec_put(&p, again);
		CU_ASSERT_EQUAL(rec_find(&p, &r), ref[3]);       /* one reference is left */
		rec_put(&p, 0);
		for (unsigned i = 0; i < POOL_CAP; i++) {
			r.seq = (i * 5) % POOL_CAP;              /* out of the middle of chains */
			CU_ASSERT_EQUAL(rec_find(&p, &r), ref[r.seq]);
			CU_ASSERT_EQUAL(rec_at(&p, ref[r.seq])->seq, r.seq);
			rec_put(&p, ref[r.seq]);
			CU_ASSERT_EQUAL(rec_find(&p, &r), 0);
		}
		CU_ASSERT_EQUAL(p.used, 0);
	}
	/* what is to be spared */
	for (unsigned i = 0; i < POOL_CAP; i++) {
		r.seq = i;
		CU_ASSERT_EQUAL(rec_intern(&p, &r, 3) != 0, i < POOL_CAP - 3);
	}
	CU_ASSERT_EQUAL(p.used, POOL_CAP - 3);
	free(p.rec);
}

/* Who may bring two has two at a time, whoever keeps them. */
static void test_quota(void)
{
	struct rec_pool p = pool_make();
	struct rec r = sample();
	rec_ref ref[3];

	for (r.seq = 0; r.seq < 3; r.seq++)
		ref[r.seq] = rec_intern_for(&p, &r, 0, 1, 2);
	CU_ASSERT(ref[0] && ref[1]);
	CU_ASSERT_EQUAL(ref[2], 0);
	r.seq = 2;
	ref[2] = rec_intern_for(&p, &r, 0, 2, 2);        /* from another */
	CU_ASSERT_NOT_EQUAL(ref[2], 0);
	CU_ASSERT_EQUAL(rec_intern_for(&p, &r, 0, 1, 2), ref[2]);
	r.seq = 7;
	CU_ASSERT_EQUAL(rec_intern_for(&p, &r, 0, 1, 2), 0);
	rec_put(&p, ref[0]);
	CU_ASSERT_NOT_EQUAL(rec_intern_for(&p, &r, 0, 1, 2), 0);
	CU_ASSERT_EQUAL(p.owned[1], 2);
	CU_ASSERT_EQUAL(p.owned[2], 1);
	free(p.rec);
}

static void test_height_fits(void)
{
	CU_ASSERT(rec_height_fits(8, REC_COUNT_ONE, 8));
	CU_ASSERT(!rec_height_fits(9, REC_COUNT_ONE, 8));
	CU_ASSERT(rec_height_fits(10, 8, 8));               /* two nodes */
	CU_ASSERT(!rec_height_fits(11, 8, 8));
	CU_ASSERT(rec_height_fits(28, 80, 8));              /* 1,024 */
	CU_ASSERT(!rec_height_fits(29, 80, 8));
}

static CU_TestInfo tests[] = {
	{ "round trip, and every truncation", test_round_trip },
	{ "forged", test_forged },
	{ "who an area belongs to", test_identity },
	{ "levels and links that make no sense", test_insane },
	{ "more nodes than addresses", test_too_many },
	{ "which is newer", test_newer },
	{ "coarse counts", test_counts },
	{ "pool of versions", test_pool },
	{ "quota of the pool", test_quota },
	{ "heights and counts", test_height_fits },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_record;
CU_SuiteInfo suite_record = { .pName = "record", .pTests = tests };
