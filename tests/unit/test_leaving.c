// SPDX-License-Identifier: ISC
/* The area tree: who leaves his area and when, and what becomes of it. */
#include "tests/unit/ctl_lab.h"

/* Something else has the place of what the other of a pair leads: what @leader leads */
static void give_away(int led, uint64_t leader)
{
	struct facet *f = facet_of(led);
	struct rec p = *rec_of(led, 1);
	struct rec_child *c = &p.child[1 - rec_of(led, 0)->bit];

	c->id = 0x123456;
	c->leader = leader;
	f->lease[1] = pn_time_add(lab->now, PN_S(5));
	CU_ASSERT(tree_replace(lab->net[led], f, 1, &p, lab->now));
}

/* Who is not listed leaves after a while, sooner if somebody else is, which will hardly change. */
static void test_not_listed(void)
{
	static const struct { uint64_t other_ns, leave_ns; } cases[] = {
		{ UINT64_MAX, GRACE_NS },        /* somebody else: never, */
		{ 0, REPLACED_NS },              /* at once, */
		{ PN_S(1), PN_S(1) + REPLACED_NS }, /* and after it was not listed for a while */
	};

	for (unsigned i = 0; i < 3; i++) {
		uint64_t later = pn_min(cases[i].other_ns, cases[i].leave_ns);
		int led;

		pair_and_stranger(6);
		led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
		if (later > 0)
			give_away(led, facet_of(1 - led)->node_id);
		if (cases[i].other_ns != UINT64_MAX) {
			lab_run(lab, later);
			give_away(led, 0x123457);
		} else {
			later = 0;
		}
		lab_run(lab, cases[i].leave_ns - later - PN_MS(50));
		CU_ASSERT_EQUAL(counter(1 - led, "tree_detaches"), 0);
		CU_ASSERT(lab_merged(lab, 0, 1));
		lab_run(lab, PN_MS(150));
		CU_ASSERT_EQUAL(counter(1 - led, "tree_detaches"), 1);
		CU_ASSERT_EQUAL(rec_of(1 - led, 0)->epoch, 1);
		lab_run(lab, PN_S(8));
		CU_ASSERT(lab_merged(lab, 0, 1));        /* and comes again */
		done_sound();
	}
}

/* Return: who leads the child of the root that its leader is not in */
static int leader_beside(int led)
{
	const struct rec *p = root_of(led), *own = rec_of(led, facet_of(led)->chain.n - 2u);

	for (int i = 0; i < lab->nodes; i++)
		if (p->child[1 - own->bit].leader == facet_of(i)->node_id)
			return i;
	CU_FAIL_FATAL("no such leader");
	return 0;
}

/* The root's leader lists not the area of @x any more, but what that has succeeded, and the other
 * child of that area, at node @other, is not to be seen. */
static void make_half(int led, int x, int other)
{
	unsigned top = facet_of(led)->chain.n - 1u;
	struct rec p = *root_of(led), r = *rec_of(x, 1);

	p.child[r.bit].id = 0x123456;
	r.prev = 0x123456;
	memset(&r.child[rec_of(other, 0)->bit], 0, sizeof(r.child[0]));
	facet_of(led)->lease[top] = pn_time_add(lab->now, PN_S(5));
	CU_ASSERT(tree_replace(lab->net[led], facet_of(led), top, &p, lab->now));
	CU_ASSERT(tree_replace(lab->net[x], facet_of(x), 1, &r, lab->now));
	lab->net[x]->ctl->nbs[adj_to(x, other)].ready = false;
}

/* Half an area whose parent does not list it leaves soon, unless it was half of one for a moment
 * only. */
static void test_half(void)
{
	for (int half = 0; half < 2; half++) {
		int led = 0, x, other;
		struct lab_wire *w;

		line(4, 4, true);
		CU_ASSERT_FATAL(until_whole(PN_S(12)));
		lab_run(lab, PN_S(4));
		while (root_of(led)->leader != facet_of(led)->node_id)
			led++;
		x = leader_beside(led);
		CU_ASSERT_EQUAL_FATAL(facet_of(x)->chain.n, 3);
		other = rec_of((x + 1) % 4, 1)->id == rec_of(x, 1)->id ? (x + 1) % 4 : (x + 3) % 4;
		w = &lab->wire[other == (x + 1) % 4 ? x : other];
		make_half(led, x, other);
		w->cut = true;
		lab_run(lab, PN_MS(100));
		CU_ASSERT_EQUAL(rec_of(x, 1)->child[rec_of(other, 0)->bit].id, 0);
		w->cut = half;
		lab_run(lab, REPLACED_NS - PN_MS(150));
		CU_ASSERT_EQUAL(rec_of(x, 1)->child[rec_of(other, 0)->bit].id == 0, half);
		CU_ASSERT_EQUAL(counter(x, "tree_detaches"), 0);
		lab_run(lab, PN_MS(150));
		CU_ASSERT_EQUAL(counter(x, "tree_detaches") > 0, half);
		lab_run(lab, GRACE_NS - REPLACED_NS - PN_MS(150));
		CU_ASSERT_EQUAL(counter(x, "tree_detaches") > 0, half);
		lab_run(lab, PN_MS(150));
		CU_ASSERT(counter(x, "tree_detaches") > 0);
		done_sound();
	}
}

/* Return: all neighbours of a node are in its @i-th area */
static bool all_within(int node, unsigned i)
{
	for_each_nb(lab->net[node], facet_of(node), a)
		if (!(lab->net[node]->ctl->nbs[a].inside >> i & 1))
			return false;
	return true;
}

/* Who has not heard yet that the area it is in is a root now is no way to another network. */
static void test_lagging(void)
{
	int seen = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		line(seed, 8, false);
		CU_ASSERT_FATAL(until_whole(PN_S(10)));
		for (int n = 0; n < 8 && !seen; n++) {
			struct facet *f = facet_of(n);

			for (unsigned i = 1; i + 1u < f->chain.n && !seen; i++) {
				if (rec_of(n, i)->leader != f->node_id || !all_within(n, i))
					continue;
				tree_detach(lab->net[n], f, i, lab->now);
				join_border(lab->net[n], f, lab->now);
				CU_ASSERT_EQUAL(f->cand_count, 0);
				seen++;
			}
		}
		lab_run(lab, PN_S(8));
		CU_ASSERT(until_whole(PN_S(10)));
		done_sound();
	}
	CU_ASSERT(seen > 0);
}

/* What borders told the root that we were is no choice for the one that we are now. */
static void test_other_root(void)
{
	struct facet *f;
	int led;

	pair_and_stranger(6);
	led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
	f = facet_of(led);
	for (int same = 0; same < 2; same++) {
		uint64_t joins = counter(led, "tree_joins");

		f->cand[0] = (struct cand){ .border_addr = f->addr, .border_adj = 0, .level = 3,
					    .height = 4, .dest = 1 };
		f->cand_count = 1;
		f->cand_root = same ? root_of(led)->id : 0x1234;
		f->decide_at = lab->now;
		join_expire(lab->net[led], f, lab->now);
		CU_ASSERT_EQUAL(counter(led, "tree_joins"), joins + (unsigned)same);
		CU_ASSERT_EQUAL(f->cand_count, 0);
	}
	done_sound();
}

/* The first border that tells the root that we are now begins the choice anew. */
static void test_chosen_anew(void)
{
	struct facet *f;

	pair_and_stranger(6);
	f = facet_of(2);
	f->cand[0] = (struct cand){ .border_addr = f->addr, .level = 3, .height = 4, .dest = 1 };
	f->cand_count = 1;
	f->cand_root = 0x1234;
	f->decide_at = PN_TIME_NEVER;
	tie(1, 2);
	CU_ASSERT(until_whole(PN_S(5)));
	done_sound();
}

static void test_leader_dies(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		int led = 0;

		line(seed, 6, true);
		CU_ASSERT(until_whole(PN_S(10)));
		for (int i = 0; i < 6; i++)
			if (root_of(0)->leader == facet_of(i)->node_id)
				led = i;
		lab_stop(lab, led);
		lab_run(lab, PN_S(4));           /* until its neighbours notice */
		CU_ASSERT(until_whole(PN_S(8)));
		CU_ASSERT(counters("tree_successions") + counters("tree_detaches") > 0);
		done_sound();
	}
}

/* A facet at rest sleeps, also when a place in its tree is empty. */
static void test_rest(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct pn_time last[LAB_NODES] = { 0 }, until;
		unsigned ticks = 0;

		line(seed, 8, false);
		CU_ASSERT(until_whole(PN_S(10)));
		lab_stop(lab, 7);
		lab_run(lab, PN_S(20));
		until = pn_time_add(lab->now, PN_S(5));
		while (lab_step(lab, until))
			for (int i = 0; i < 7; i++) {
				ticks += last[i].ns != facet_of(i)->last_tick.ns;
				last[i] = facet_of(i)->last_tick;
			}
		CU_ASSERT(ticks < 7 * 20);
		done_sound();
	}
}

static CU_TestInfo tests[] = {
	{ "not listed: detach", test_not_listed },
	{ "half an area for a moment", test_half },
	{ "a neighbour that has not heard of it", test_lagging },
	{ "candidates for another root", test_other_root },
	{ "the choice begins anew", test_chosen_anew },
	{ "the root's leader dies", test_leader_dies },
	{ "at rest", test_rest },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_leaving;
CU_SuiteInfo suite_leaving = { .pName = "leaving", .pTests = tests };
