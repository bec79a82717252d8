/* SPDX-License-Identifier: ISC */
/* The simulator's checks: each must find what is planted for it, and nothing else.
 *
 * The picture is a line of four nodes a - b - c - d with addresses 0 to 3:
 *
 *	level 2:  R          base 2, the root
 *	level 1:  P = {a,b}  Q = {c,d}, base 1, top 1
 *	level 0:  leaves 10 11 12 13, top 0
 */
#include "tests/unit/unit.h"

/* The simulator is no archive; this file of it stands alone. */
#include "tests/sim/check.c"

enum { A, B, C, D, NODES };
#define CHAIN 3

struct line {
	struct snapshot s;
	struct snap_facet facets[NODES];
	struct snap_area areas[NODES * CHAIN];
	uint32_t adjs[2 * (NODES - 1)];
	struct violations v;
};

static void line_make(struct line *l)
{
	uint32_t i, n = 0;

	memset(l, 0, sizeof(*l));
	l->s = (struct snapshot){ .facets = l->facets, .facet_count = NODES, .areas = l->areas,
				  .area_count = NODES * CHAIN, .adjs = l->adjs,
				  .adj_count = 2 * (NODES - 1), .component_count = 1 };
	for (i = 0; i < NODES; i++) {
		struct snap_facet *f = &l->facets[i];
		struct snap_area *a = &l->areas[i * CHAIN];

		*f = (struct snap_facet){ .node = i, .addr = i, .known = 3,
					  .area_first = i * CHAIN, .area_count = CHAIN,
					  .adj_first = n };
		if (i > 0)
			l->adjs[n++] = i - 1;
		if (i + 1 < NODES)
			l->adjs[n++] = i + 1;
		f->adj_count = n - f->adj_first;
		a[0] = (struct snap_area){ .id = 10 + i, .base = 0, .top = 0, .bit = i & 1 };
		a[1] = (struct snap_area){ .id = i < C ? 'P' : 'Q', .base = 1, .top = 1,
					   .bit = (uint8_t)(i >> 1) };
		a[2] = (struct snap_area){ .id = 'R', .base = 2, .top = SNAP_TOP_NONE };
	}
}

/* Only @which (and @also) may be violated. */
static void expect(struct line *l, enum check which, enum check also)
{
	unsigned i;

	CU_ASSERT_FALSE(check_snapshot(&l->s, &l->v));
	for (i = 0; i < CHECK_COUNT; i++) {
		if (i == which)
			CU_ASSERT_TRUE(l->v.bad[i]);
		if (i != which && i != also)
			CU_ASSERT_FALSE(l->v.bad[i]);
		/* also may be CHECK_COUNT, for none; i never is */
		/* cppcheck-suppress arrayIndexOutOfBoundsCond */
		CU_ASSERT_EQUAL(l->v.bad[i], l->v.text[i][0] != '\0');
	}
}

static void test_good(void)
{
	struct line l;

	line_make(&l);
	CU_ASSERT_TRUE(check_snapshot(&l.s, &l.v));
	CU_ASSERT_FALSE(violations_any(&l.v));
}

static void test_two_networks(void)
{
	struct line l;
	uint32_t i;

	/* Each half ends at level 1 as a network of its own */
	line_make(&l);
	for (i = 0; i < NODES; i++) {
		l.facets[i].area_count = 2;
		l.facets[i].addr = i & 1;
		l.areas[i * CHAIN + 1].top = SNAP_TOP_NONE;
	}
	expect(&l, CHECK_ONE_NETWORK, CHECK_ADDRESSES_DISTINCT);

	/* that is right when nothing connects them */
	l.facets[C].component = l.facets[D].component = 1;
	l.s.component_count = 2;
	CU_ASSERT_TRUE(check_snapshot(&l.s, &l.v));
}

static void test_double_address(void)
{
	struct line l;

	line_make(&l);
	l.facets[D].addr = 2;
	l.areas[D * CHAIN].bit = 0;
	/* two leaves in one block: C's sibling at level 0 is gone, nothing else */
	expect(&l, CHECK_ADDRESSES_DISTINCT, CHECK_COUNT);
}

static void test_split_area(void)
{
	struct line l;

	/* b and c change places, so that neither P nor Q is connected */
	line_make(&l);
	l.adjs[l.facets[A].adj_first] = C;
	l.adjs[l.facets[C].adj_first] = A;
	l.adjs[l.facets[B].adj_first] = D;
	l.adjs[l.facets[B].adj_first + 1] = C;
	l.adjs[l.facets[C].adj_first + 1] = B;
	l.adjs[l.facets[D].adj_first] = B;
	expect(&l, CHECK_AREAS_CONNECTED, CHECK_COUNT);
	CU_ASSERT_PTR_NOT_NULL(strstr(l.v.text[CHECK_AREAS_CONNECTED], "not connected"));

	/* two facets of one node are connected without a word */
	l.facets[B].node = A;
	l.facets[D].node = C;
	CU_ASSERT_TRUE(check_snapshot(&l.s, &l.v));
}

static void test_area_twice(void)
{
	struct line l;

	/* Both halves call themselves P */
	line_make(&l);
	l.areas[C * CHAIN + 1].id = l.areas[D * CHAIN + 1].id = 'P';
	expect(&l, CHECK_AREAS_CONNECTED, CHECK_COUNT);

	/* an area that is its own parent must not confuse the search */
	line_make(&l);
	l.areas[A * CHAIN + 1].id = 'R';
	expect(&l, CHECK_AREAS_CONNECTED, CHECK_COUNT);
}

static void test_unknown_sibling(void)
{
	struct line l;

	line_make(&l);
	l.facets[B].known = 1;
	expect(&l, CHECK_SIBLINGS_KNOWN, CHECK_COUNT);

	/* nobody in the block: nothing to know */
	line_make(&l);
	l.s.facet_count = 2;
	l.facets[B].adj_count = 1;
	l.facets[A].known = l.facets[B].known = 1;
	CU_ASSERT_TRUE(check_snapshot(&l.s, &l.v));
}

static void test_chain(void)
{
	struct line l;

	line_make(&l);
	l.areas[B * CHAIN].bit = 0;	/* but its address says 1 */
	expect(&l, CHECK_CHAINS, CHECK_COUNT);

	line_make(&l);
	l.areas[B * CHAIN + 1].top = 2;	/* above the root */
	expect(&l, CHECK_CHAINS, CHECK_COUNT);

	line_make(&l);
	l.facets[D].area_count = 2;	/* ends below the root */
	expect(&l, CHECK_CHAINS, CHECK_ONE_NETWORK);

	line_make(&l);
	l.facets[D].area_count = 0;
	expect(&l, CHECK_CHAINS, CHECK_COUNT);
}

static void test_height(void)
{
	struct line l;
	uint32_t i;

	CU_ASSERT_EQUAL(check_height_limit(1), 4);
	CU_ASSERT_EQUAL(check_height_limit(4), 8);
	CU_ASSERT_EQUAL(check_height_limit(50), 15);
	CU_ASSERT_EQUAL(check_height_limit(1000), 23);

	/* Four facets may have height 8: the halves hang at level 7, then at 8 */
	line_make(&l);
	for (i = 0; i < NODES; i++) {
		l.areas[i * CHAIN + 1].top = 7;
		l.areas[i * CHAIN + 2].base = 8;
		l.facets[i].addr = (i & 1) | (uint64_t)(i >> 1) << 7;
		l.facets[i].known = 1 | 1 << 7;
	}
	CU_ASSERT_TRUE(check_snapshot(&l.s, &l.v));
	for (i = 0; i < NODES; i++) {
		l.areas[i * CHAIN + 1].top = 8;
		l.areas[i * CHAIN + 2].base = 9;
		l.facets[i].addr = (i & 1) | (uint64_t)(i >> 1) << 8;
		l.facets[i].known = 1 | 1 << 8;
	}
	expect(&l, CHECK_HEIGHT_BOUNDED, CHECK_COUNT);
}

static CU_TestInfo tests[] = {
	{ "a good network passes", test_good },
	{ "two networks in one component", test_two_networks },
	{ "an address twice", test_double_address },
	{ "an area in two parts", test_split_area },
	{ "an area in two places", test_area_twice },
	{ "a sibling that is not known", test_unknown_sibling },
	{ "an address that is not its chain's", test_chain },
	{ "a tree too high", test_height },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_sim_check;
CU_SuiteInfo suite_sim_check = { .pName = "sim_check", .pTests = tests };
