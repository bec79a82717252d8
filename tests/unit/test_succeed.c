// SPDX-License-Identifier: ISC
/* Areas outlive their leaders: deputies, who may be one, splits, returns. */
#include "tests/unit/ctl_lab.h"

#include "pnstackd/net/route_int.h"

static int root_leader(void)
{
	for (int i = 0; i < lab->nodes; i++)
		if (lab->net[i] && root_of(i)->leader == facet_of(i)->node_id)
			return i;
	CU_FAIL_FATAL("no leader");
	return 0;
}

static void addresses(uint64_t out[LAB_NODES])
{
	for (int i = 0; i < lab->nodes; i++)
		out[i] = lab->net[i] ? net_address(lab->net[i], 0) : 0;
}

static int moved(const uint64_t before[LAB_NODES])
{
	int n = 0;

	for (int i = 0; i < lab->nodes; i++)
		n += lab->net[i] && net_address(lab->net[i], 0) != before[i];
	return n;
}

/* A whole ring: areas are arcs of it */
static void ring(uint64_t seed, int n)
{
	line(seed, n, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
}

/* The root's leader stops.  Each area of its is led by another, who was its deputy; no
 * address changes but where the leader was what held an area together. */
static void test_leader_stops(void)
{
	int sum = 0;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint64_t before[LAB_NODES], line_id, id, deputy;
		int led;

		ring(seed, 8);
		led = root_leader();
		line_id = root_of(led)->line;
		id = root_of(led)->id;
		deputy = root_of(led)->deputy;
		CU_ASSERT_NOT_EQUAL(deputy, 0);
		CU_ASSERT_NOT_EQUAL(deputy, facet_of(led)->node_id);
		addresses(before);
		net_goodbye(lab->net[led], lab->now);
		lab_run(lab, PN_MS(20));
		lab_stop(lab, led);
		lab_run(lab, PN_S(5));
		CU_ASSERT(until_whole(PN_S(8)));
		CU_ASSERT(counters("tree_successions") > 0);
		sum += moved(before);
		if (moved(before) == 0) {
			CU_ASSERT_EQUAL(root_of(root_leader())->line, line_id);
			CU_ASSERT_EQUAL(root_of(root_leader())->prev, id);
			CU_ASSERT_EQUAL(root_of(root_leader())->leader, deputy);
		}
		done_sound();
	}
	CU_ASSERT(sum <= 8);                     /* all of them would be 56 */
}

/* One after the other, down to two */
static void test_all_leaders(void)
{
	for (uint64_t seed = 11; seed <= 13; seed++) {
		ring(seed, 8);
		for (int n = 8; n > 4; n--) {
			int led = root_leader();

			net_goodbye(lab->net[led], lab->now);
			lab_run(lab, PN_MS(20));
			lab_stop(lab, led);
			/* a ring without two of its nodes is two lines */
			lab_run(lab, PN_S(6));
			if (n == 8)
				CU_ASSERT(until_whole(PN_S(8)));
		}
		done_sound();
	}
}

/* A successor shown by the neighbour at @adj in place of our @i-th area */
static rec_ref shown(struct net *net, uint32_t adj, unsigned i, const struct net *by,
		     uint64_t line_id, const struct rec *below)
{
	struct nb *nb = &net->ctl->nbs[adj];
	const struct rec *a = facet_rec(net, &net->ctl->facets[0], i);
	int j = chain_find(net, &nb->chain, a->id);
	struct rec s;

	rec_init(&s, by, 0, 77);
	s.base = a->base;
	s.top = a->top;
	s.bit = a->bit;
	s.parent = a->parent;
	s.prev = a->id;
	s.line = line_id;
	rec_sign(by, &s);
	CU_ASSERT_FATAL(j >= 0);
	rec_put(&net->ctl->recs, nb->chain.at[j]);
	nb->chain.at[j] = rec_intern(&net->ctl->recs, &s, 0);
	return succeed_of(net, &net->ctl->facets[0], below, net->ctl->facets[0].chain.at[i]);
}

/* Return: the way of a node to its root's leader, which is gone */
static struct dest *leader_gone(int node)
{
	struct dest *d = dest_find(facet_of(node), DEST_LEADER, root_of(node)->id);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	d->metric = NET_METRIC_INF;
	d->own = false;
	return d;
}

/* Only the deputy that the record names, only when the leader is lost. */
static void test_who_may(void)
{
	struct net *net;
	struct facet *f;
	struct dest *d;
	struct rec below;
	unsigned top;
	int led, x = 0, other = 0, deputy = -1;

	ring(3, 6);
	led = root_leader();
	for (int i = 0; i < 6; i++)
		if (facet_of(i)->node_id == root_of(led)->deputy)
			deputy = i;
	CU_ASSERT_FATAL(deputy >= 0);
	while (x == led || x == deputy)
		x++;
	while (other == led || other == deputy || other == x)
		other++;
	net = lab->net[x];
	f = facet_of(x);
	top = f->chain.n - 1u;
	/* the leader is there: nobody may */
	CU_ASSERT_EQUAL(shown(net, adj_to(x, (x + 1) % 6), top, lab->net[deputy],
			      root_of(x)->line, rec_of(x, top - 1)), 0);
	CU_ASSERT_EQUAL(counter(x, "ctl_bad_deputy"), 0);
	done_sound();
	ring(3, 6);
	net = lab->net[x];
	f = facet_of(x);
	d = leader_gone(x);
	CU_ASSERT_EQUAL(shown(net, adj_to(x, (x + 1) % 6), top, lab->net[other],
			      root_of(x)->line, rec_of(x, top - 1)), 0);
	CU_ASSERT_EQUAL(counter(x, "ctl_bad_deputy"), 1);
	CU_ASSERT_EQUAL(shown(net, adj_to(x, (x + 5) % 6), top, lab->net[deputy], 99,
			      rec_of(x, top - 1)), 0);
	done_sound();
	ring(3, 6);
	net = lab->net[x];
	f = facet_of(x);
	d = leader_gone(x);
	CU_ASSERT_NOT_EQUAL(shown(net, adj_to(x, (x + 1) % 6), top, lab->net[deputy],
				  root_of(x)->line, rec_of(x, top - 1)), 0);
	/* but he is not lost when we hear of the area for the first time, for a while */
	d->had = false;
	d->lost_at = lab->now;
	CU_ASSERT_EQUAL(succeed_of(net, f, rec_of(x, top - 1), f->chain.at[top]), 0);
	net->now = pn_time_add(lab->now, UNMET_NS);
	CU_ASSERT_NOT_EQUAL(succeed_of(net, f, rec_of(x, top - 1), f->chain.at[top]), 0);
	done_sound();
	/* or who followed the leader in the child that he led as well */
	ring(3, 6);
	net = lab->net[x];
	f = facet_of(x);
	d = leader_gone(x);
	below = *rec_of(x, top - 1);
	below.bit = root_of(x)->child[1].leader == root_of(x)->leader;
	below.prev = root_of(x)->child[below.bit].id;
	below.leader = facet_of(other)->node_id;
	CU_ASSERT_NOT_EQUAL(shown(net, adj_to(x, (x + 1) % 6), top, lab->net[other],
				  root_of(x)->line, &below), 0);
	below.bit = !below.bit;
	below.prev = root_of(x)->child[below.bit].id;
	CU_ASSERT_EQUAL(shown(net, adj_to(x, (x + 5) % 6), top, lab->net[other],
			      root_of(x)->line, &below), 0);
	done_sound();
}

/* @node is told by @by of the leader of its @i-th area, but not so that it may believe it */
static void tell_unfeasible(int node, int by, unsigned i)
{
	struct net *net = lab->net[node];
	const struct rec *r = rec_of(node, i);
	struct dest *d = dest_find(facet_of(node), DEST_LEADER, r->id);
	struct via *v = d ? via_find(net, d, adj_to(node, by)) : NULL;
	const struct fd *fd;

	CU_ASSERT_FATAL(v != NULL);
	intern_drop(&net->ctl->routers, v->router);
	v->router = intern_put(&net->ctl->routers, &r->leader);
	fd = route_fd(d, v->router);
	CU_ASSERT_FATAL(fd != NULL);
	v->seqno = fd->seqno;
	v->metric = (uint16_t)(fd->metric + 100);
}

/* A leader of whom a neighbour still tells is followed later: most likely he is there. */
static void test_doubt(void)
{
	for (int told = 0; told < 2; told++) {
		struct dest *d;
		uint64_t id;
		int led, x = 0;
		unsigned top;

		ring(3, 8);
		led = root_leader();
		id = root_of(led)->id;
		while (x < 8 && facet_of(x)->node_id != root_of(led)->deputy)
			x++;
		CU_ASSERT_FATAL(x < 8);
		top = facet_of(x)->chain.n - 1u;
		net_goodbye(lab->net[led], lab->now);
		lab_run(lab, PN_MS(20));
		lab_stop(lab, led);
		lab_run(lab, PN_MS(300));
		d = dest_find(facet_of(x), DEST_LEADER, id);
		CU_ASSERT_FATAL(d && !dest_alive(d));
		CU_ASSERT_EQUAL(tree_lost_ns(lab->net[x], facet_of(x), d), LOST_NS);
		d->had = false;                  /* who was never met may be on his way */
		CU_ASSERT_EQUAL(tree_lost_ns(lab->net[x], facet_of(x), d), UNMET_NS);
		d->had = true;
		if (told)
			tell_unfeasible(x, (x + 1) % 8 == led ? (x + 7) % 8 : (x + 1) % 8, top);
		lab_run(lab, LOST_NS);
		CU_ASSERT_EQUAL(root_of(x)->id == id, told);
		lab_run(lab, DOUBT_NS);
		CU_ASSERT_NOT_EQUAL(root_of(x)->id, id);
		CU_ASSERT_EQUAL(root_of(x)->prev, id);
		lab_run(lab, PN_S(3));
		CU_ASSERT_EQUAL(counters("tree_orphans"), 0);
		CU_ASSERT(until_whole(PN_S(8)));
		done_sound();
	}
}

/* A line cut in two: both halves live, under different areas, and merge when they meet.
 * What had more nodes keeps its addresses. */
static void test_split(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		uint64_t before[LAB_NODES];

		line(seed, 9, false);
		CU_ASSERT_FATAL(until_whole(PN_S(12)));
		lab_run(lab, PN_S(3));
		lab->wire[3].cut = true;         /* 0 to 3, and 4 to 8 */
		lab_run(lab, PN_S(15));
		CU_ASSERT(!lab_merged(lab, 0, 8));
		CU_ASSERT(lab_merged(lab, 0, 3));
		CU_ASSERT(lab_merged(lab, 4, 8));
		for (int a = 4; a < 9; a++)
			for (int b = 4; b < 9; b++)
				CU_ASSERT(a == b || reaches(a, b));
		addresses(before);
		lab->wire[3].cut = false;
		lab_run(lab, PN_S(4));
		CU_ASSERT(until_whole(PN_S(12)));
		CU_ASSERT(moved(before) <= 5);
		done_sound();
	}
}

/* The leader returns, with a new boot counter, while it is being succeeded. */
static void test_returns(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		int led;

		ring(seed, 7);
		led = root_leader();
		net_goodbye(lab->net[led], lab->now);
		lab_run(lab, PN_MS(20));
		lab_stop(lab, led);
		lab_run(lab, PN_MS(300 * seed));
		lab_start(lab, led);
		for (int i = 0; i < 2; i++) {    /* its ends of the wires before and after it */
			int wire = (led + 6 + i) % 7, end = wire == led ? 0 : 1;
			struct lab_wire *w = &lab->wire[wire];
			struct net_link_config cfg = { .kind = NET_LINK_TUNNEL, .mtu = 1500,
						       .listen = true, .self = w->end[end].ll };

			w->end[end].link = net_link_add(lab->net[led], &cfg, lab->now);
			lab_dial(lab, wire, end, 1 - end,
				 net_id(lab->net[w->end[1 - end].node]));
		}
		lab_run(lab, PN_S(6));
		CU_ASSERT(until_whole(PN_S(12)));
		done_sound();
	}
}

/* When to look again ----------------------------------------------------------------- */

/* Node @node goes, and says so. */
static void say_goodbye(int node)
{
	net_goodbye(lab->net[node], lab->now);
	lab_run(lab, PN_MS(20));
	lab_stop(lab, node);
}

static void run_to(struct pn_time at)
{
	CU_ASSERT_FATAL(pn_time_before(lab->now, at));
	lab_run(lab, pn_time_until(lab->now, at));
}

/* A leaf waits for the deputy of its root, in the area beside it, to succeed the leader.  It goes
 * when that is lost, too, though there is nobody any more whose words would wake it. */
static void test_sibling_lost(void)
{
	const struct dest *d;
	struct pn_time lost;
	int led;

	nodes(1, 3);
	lab->cfg[2].leaf = true;
	start_all();
	tie(0, 1);
	lab_run(lab, PN_S(4));
	tie(1, 2);
	tie(2, 0);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
	led = root_leader();
	CU_ASSERT_FATAL(led != 2);
	CU_ASSERT_EQUAL_FATAL(facet_of(2)->chain.n, 2);
	CU_ASSERT_EQUAL_FATAL(root_of(2)->deputy, facet_of(1 - led)->node_id);
	say_goodbye(led);
	d = dest_find(facet_of(2), DEST_LEADER, root_of(2)->id);
	CU_ASSERT_FATAL(d && !dest_alive(d));
	lost = d->lost_at;
	lab_run(lab, PN_MS(280));
	say_goodbye(1 - led);
	d = dest_find(facet_of(2), DEST_SIBLING, rec_of(2, 0)->line);
	CU_ASSERT_FATAL(d && !dest_alive(d));
	CU_ASSERT(pn_time_since(d->lost_at, lost) > PN_MS(250));
	run_to(pn_time_add(d->lost_at, LOST_NS - PN_MS(10)));
	CU_ASSERT_EQUAL(counter(2, "tree_orphans"), 0);
	lab_run(lab, PN_MS(30));
	CU_ASSERT_EQUAL(counter(2, "tree_orphans"), 1);
	done_sound();
}

/* Return: index of an area above that node that is no root and has a deputy, and that others
 * lead, as they lead its child in which the node is; 0: none */
static unsigned led_by_others(int node, int *deputy)
{
	struct facet *f = facet_of(node);

	for (unsigned i = 2; i + 1u < f->chain.n; i++)
		for (int k = 0; k < lab->nodes; k++)
			if (k != node && rec_of(node, i)->deputy == facet_of(k)->node_id &&
			    rec_of(node, i)->leader != f->node_id &&
			    rec_of(node, i - 1)->leader != f->node_id) {
				*deputy = k;
				return i;
			}
	return 0;
}

/* Who comes into an area whose leader is gone follows the successor in time by himself. */
static void test_unmet(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct pn_time until;
		int x = 0, deputy = 0;
		unsigned i = 0;
		struct dest *d;
		uint64_t id;
		uint16_t beat;

		ring(seed, 8);
		while (x < 8 && !(i = led_by_others(x, &deputy)))
			x++;
		CU_ASSERT_FATAL(i > 0);
		id = rec_of(x, i)->id;
		d = dest_find(facet_of(x), DEST_LEADER, id);
		CU_ASSERT_FATAL(dest_alive(d));
		beat = d->fd[0].seqno;           /* for seconds nobody tells of him after one */
		until = pn_time_add(lab->now, PN_S(30));
		while (d->fd[0].seqno == beat && lab_step(lab, until))
			;
		lab_run(lab, PN_MS(100));
		d->metric = NET_METRIC_INF;
		d->had = false;
		d->lost_at = lab->now;
		for_each_nb(lab->net[x], facet_of(x), a)
			if (chain_find(lab->net[x], &lab->net[x]->ctl->nbs[a].chain, id) >= 0)
				shown(lab->net[x], a, i, lab->net[deputy], rec_of(x, i)->line,
				      rec_of(x, i - 1));
		facet_poke(lab->net[x], facet_of(x), lab->now);
		lab_run(lab, UNMET_NS - PN_MS(10));
		CU_ASSERT(!d->had);
		CU_ASSERT_EQUAL(rec_of(x, i)->id, id);
		lab_run(lab, PN_MS(30));
		CU_ASSERT_EQUAL(rec_of(x, i)->prev, id);
		done();
	}
}

/* The root in the chain of the neighbour at @adj is this one. */
static void show_root(struct net *net, uint32_t adj, const struct rec *root)
{
	struct nb *nb = &net->ctl->nbs[adj];
	rec_ref *at = &nb->chain.at[nb->chain.n - 1];

	rec_put(&net->ctl->recs, *at);
	*at = rec_intern(&net->ctl->recs, root, 0);
}

/* A neighbour that has not gone over to the successor in time is in another network, also if
 * nothing happens just then. */
static void test_step_over(void)
{
	for (int made = 0; made < 2; made++) {
		struct rec was;
		struct facet *f;
		const struct nb *nb;
		int led, x = 0;
		unsigned top;

		ring(3, 8);
		led = root_leader();
		was = *root_of(led);
		say_goodbye(led);
		lab_run(lab, PN_S(3));
		while (x < 8 && (x == led || root_of(x)->prev != was.id ||
				 (facet_of(x)->node_id == was.deputy) != made))
			x++;
		CU_ASSERT_FATAL(x < 8);
		f = facet_of(x);
		top = f->chain.n - 1u;
		run_to(pn_time_add(f->stepped[top], STEP_NS - PN_MS(20)));
		nb = &lab->net[x]->ctl->nbs[f->nb_first - 1];
		CU_ASSERT(nb->in_network);
		show_root(lab->net[x], f->nb_first - 1u, &was);
		lab_run(lab, PN_MS(10));
		CU_ASSERT(nb->in_network);
		lab_run(lab, PN_MS(30));
		CU_ASSERT(!nb->in_network);
		done_sound();
	}
}

static CU_TestInfo tests[] = {
	{ "the root's leader stops", test_leader_stops },
	{ "leader after leader", test_all_leaders },
	{ "who may succeed", test_who_may },
	{ "a leader of whom somebody tells", test_doubt },
	{ "split, and met again", test_split },
	{ "the leader returns", test_returns },
	{ "the sibling lost after the leader", test_sibling_lost },
	{ "a leader never met", test_unmet },
	{ "the step is over", test_step_over },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_succeed;
CU_SuiteInfo suite_succeed = { .pName = "succession", .pTests = tests };
