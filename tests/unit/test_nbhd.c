// SPDX-License-Identifier: ISC
/* The neighbourhood: what is known of addresses two links away is true, is told on change
 * only, and one neighbour cannot crowd out the others. */
#include "tests/unit/ctl_lab.h"
#include "pnstackd/net/nbhd.h"

#define ANY_COST NET_METRIC_INF

static bool sees(int node, uint64_t addr, unsigned hops)
{
	struct nbhd_hit hit;

	return nbhd_nearest(lab->net[node], 0, addr, 2, ANY_COST, UINT32_MAX, 0, NULL, &hit) &&
	       hit.dist == 0 && hit.hops == hops;
}

static bool tied(int a, int b)
{
	for (uint32_t i = 0; i < adj_count(lab->net[a]); i++) {
		const struct adj_pub *p = adj_peek(lab->net[a], i);

		if (p && p->kind != ADJ_INTERNAL && !memcmp(p->id, net_id(lab->net[b]), PN_ID_LEN))
			return true;
	}
	return false;
}

/* The naive twin: everybody's neighbours, from their own tables */
static unsigned links_between(int a, int b)
{
	if (a == b)
		return 0;
	if (tied(a, b))
		return 1;
	for (int m = 0; m < lab->nodes; m++)
		if (m != a && m != b && lab->net[m] && tied(a, m) && tied(m, b))
			return 2;
	return 3;
}

static void all_true(void)
{
	for (int a = 0; a < lab->nodes; a++) {
		for (int b = 0; lab->net[a] && b < lab->nodes; b++) {
			unsigned links = lab->net[b] && a != b ? links_between(a, b) : 0;

			for (uint16_t f = 0; links && f < net_facet_count(lab->net[b]); f++) {
				uint64_t addr = net_address(lab->net[b], f);

				CU_ASSERT_EQUAL(sees(a, addr, 1), links == 1);
				CU_ASSERT_EQUAL(sees(a, addr, 2), links == 2);
			}
		}
	}
}

static void known(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		line(seed, 10, seed % 2);
		CU_ASSERT_FATAL(until_whole(PN_S(20)));
		lab_run(lab, PN_S(2));
		all_true();
		done();
	}
}

/* A hub of several facets: to whom one is near, all are */
static void hub(void)
{
	nodes(3, 12);
	start_all();
	for (int i = 1; i < 11; i++)
		tie(0, i);
	tie(10, 11);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(2));
	CU_ASSERT(net_facet_count(lab->net[0]) > 1);
	all_true();
	done();
}

static void forgotten(void)
{
	uint64_t addr, sum;
	int cut;

	nodes(2, 4);
	start_all();
	tie(0, 1);
	tie(1, 2);
	cut = tie(2, 3);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(2));
	addr = net_address(lab->net[3], 0);
	CU_ASSERT(sees(1, addr, 2));
	lab->wire[cut].cut = true;
	lab_run(lab, PN_S(20));
	CU_ASSERT(!sees(1, addr, 2));
	lab->wire[cut].cut = false;
	CU_ASSERT_FATAL(until_whole(PN_S(30)));
	lab_run(lab, PN_S(2));
	all_true();
	/* nothing is told at rest */
	sum = counters("tx_message_bytes");
	for (int i = 0; i < 4; i++)
		nbhd_touch(lab->net[i]);
	lab_run(lab, PN_MS(400));
	CU_ASSERT(counters("tx_message_bytes") < sum + 300);
	done();
}

static void picks(void)
{
	uint64_t addr;
	unsigned seen = 0;

	nodes(4, 5);
	start_all();
	for (int i = 1; i < 5; i++)
		tie(0, i);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(2));
	for (uint64_t r = 0; r < 30; r++) {
		CU_ASSERT_FATAL(nbhd_pick(lab->net[1], adj_to(1, 0), r, &addr));
		CU_ASSERT_NOT_EQUAL(addr, net_address(lab->net[1], 0));
		for (int i = 2; i < 5; i++)
			seen |= addr == net_address(lab->net[i], 0) ? 1u << i : 0;
	}
	CU_ASSERT_EQUAL(seen, 4 + 8 + 16);
	/* who has no other neighbour cannot be asked */
	CU_ASSERT(!nbhd_pick(lab->net[0], adj_to(0, 1), 1, &addr));
	done();
}

static size_t entry(uint8_t *buf, unsigned flags, const uint64_t *rel, unsigned n)
{
	struct pn_wr w;

	pn_wr_init(&w, buf, 1000);
	pn_wr_u8(&w, flags);
	pn_wr_u8(&w, 0);                 /* its first facet is the one at our end */
	for (unsigned i = 0; i < n; i++) {
		pn_wr_u8(&w, 0x48);
		pn_wr_u64(&w, rel[i]);
	}
	CU_ASSERT(pn_wr_ok(&w));
	return w.len;
}

static void tell(int node, uint32_t adj, unsigned flags, const uint64_t *rel, unsigned n)
{
	uint8_t buf[1000];
	struct pn_rd rd;

	pn_rd_init(&rd, buf, entry(buf, flags, rel, n));
	nbhd_on_entry(lab->net[node], adj, &rd);
}

static void crowded(void)
{
	uint64_t rel[100], one = UINT64_C(1) << 50, at1, at2, full;
	uint32_t a1, a2;

	nodes(4, 3);
	start_all();
	tie(0, 1);
	tie(0, 2);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(1));
	a1 = adj_to(0, 1);
	a2 = adj_to(0, 2);
	at1 = net_address(lab->net[1], 0);
	at2 = net_address(lab->net[2], 0);
	for (uint64_t round = 0; round < 200; round++) {
		for (uint64_t i = 0; i < 100; i++)
			rel[i] = UINT64_C(1) << 40 | (round * 100 + i) << 8;
		tell(0, a1, 0, rel, 100);
	}
	full = counters("nbhd_full");
	CU_ASSERT(full > 0);
	tell(0, a2, 0, &one, 1);
	CU_ASSERT_EQUAL(counters("nbhd_full"), full);
	nbhd_tick(lab->net[0], lab->now);
	CU_ASSERT(sees(0, at2 ^ one, 2));
	CU_ASSERT(sees(0, at1 ^ UINT64_C(1) << 40, 2));
	/* nor does it keep us busy: so much at once is enough, for a while */
	CU_ASSERT_EQUAL(counters("nbhd_bounded"), 200 - 16384 / 101);
	tell(0, a1, 1, rel, 1);
	CU_ASSERT(sees(0, at1 ^ UINT64_C(1) << 40, 2));
	lab_run(lab, PN_MS(50));
	lab->net[0]->now = lab->now;
	tell(0, a1, 1, rel, 1);          /* forget all, but this */
	nbhd_tick(lab->net[0], lab->now);
	CU_ASSERT(!sees(0, at1 ^ UINT64_C(1) << 40, 2));
	CU_ASSERT(sees(0, at1 ^ rel[0], 2));
	CU_ASSERT(nbhd_count(lab->net[0]) < 10);
	done();
}

/* Two neighbours know the same place: whichever knows more is asked for what is near it, but
 * for the place itself flows are shared. */
static void knows_more(void)
{
	uint64_t rel[20], place = UINT64_C(1) << 40;
	struct nbhd_hit hit;
	unsigned by[2] = { 0 };

	nodes(4, 3);
	start_all();
	tie(0, 1);
	tie(0, 2);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(1));
	for (int more = 1; more <= 2; more++) {
		rel[0] = place ^ net_address(lab->net[3 - more], 0);
		tell(0, adj_to(0, 3 - more), 1, rel, 1);
		rel[0] = place ^ net_address(lab->net[more], 0);
		for (uint64_t i = 1; i < 20; i++)
			rel[i] = UINT64_C(1) << 50 | i << 8;
		tell(0, adj_to(0, more), 1, rel, 20);
		nbhd_tick(lab->net[0], lab->now);
		for (uint16_t flow = 0; flow < 50; flow++) {
			CU_ASSERT(nbhd_nearest(lab->net[0], 0, place ^ 1, 255, ANY_COST, UINT32_MAX,
					       flow, NULL, &hit));
			CU_ASSERT_EQUAL(hit.adj, adj_to(0, more));
			CU_ASSERT(nbhd_nearest(lab->net[0], 0, place, 255, ANY_COST, UINT32_MAX,
					       flow, NULL, &hit));
			by[hit.adj == adj_to(0, 1)]++;
		}
	}
	CU_ASSERT(by[0] > 20);
	CU_ASSERT(by[1] > 20);
	done();
}

static bool beside_route(uint64_t dst, uint8_t base)
{
	struct part_route part = { .metric = 1000, .base = base };
	struct nbhd_hit hit;

	return nbhd_nearest(lab->net[0], 0, dst, 255, ANY_COST, UINT32_MAX, 0, &part, &hit);
}

/* A route to the part of the sibling where a packet goes is better than any place outside that
 * part to which the way begins where the route does. */
static void not_beside_a_route(void)
{
	uint64_t rel[1], place = UINT64_C(1) << 40;

	nodes(4, 2);
	start_all();
	tie(0, 1);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	lab_run(lab, PN_S(1));
	rel[0] = place ^ net_address(lab->net[1], 0);
	tell(0, adj_to(0, 1), 1, rel, 1);
	nbhd_tick(lab->net[0], lab->now);
	CU_ASSERT(beside_route(place, 0));
	CU_ASSERT(beside_route(place ^ 4, 3));
	CU_ASSERT(!beside_route(place ^ 4, 2));
	CU_ASSERT(!beside_route(place ^ 4, 0));
	done();
}

static void truncated(void)
{
	uint64_t rel[3] = { 1, UINT64_MAX, 0 };
	uint8_t buf[1000];
	size_t len = entry(buf, 0, rel, 3);
	uint64_t bad;

	nodes(4, 2);
	start_all();
	tie(0, 1);
	CU_ASSERT_FATAL(until_whole(PN_S(20)));
	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *copy = unit_copy(buf, cut);
		struct pn_rd rd;

		bad = counters("ctl_malformed");
		pn_rd_init(&rd, copy, cut);
		nbhd_on_entry(lab->net[0], adj_to(0, 1), &rd);
		CU_ASSERT_EQUAL(counters("ctl_malformed") - bad, cut < 2 || (cut - 2) % 9 != 0);
		nbhd_tick(lab->net[0], lab->now);
		free(copy);
	}
	buf[2] = 0x49;                   /* nine bytes of address */
	bad = counters("ctl_malformed");
	struct pn_rd rd;

	pn_rd_init(&rd, buf, len);
	nbhd_on_entry(lab->net[0], adj_to(0, 1), &rd);
	CU_ASSERT_EQUAL(counters("ctl_malformed"), bad + 1);
	done();
}

static CU_TestInfo tests[] = {
	{ "what is known is true", known },
	{ "all facets of a hub are near", hub },
	{ "what went is forgotten", forgotten },
	{ "a neighbour's neighbour", picks },
	{ "one neighbour does not crowd out the others", crowded },
	{ "who knows more", knows_more },
	{ "not beside a route", not_beside_a_route },
	{ "truncated entries", truncated },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_nbhd;
CU_SuiteInfo suite_nbhd = { .pName = "nbhd", .pTests = tests };
