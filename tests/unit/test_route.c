// SPDX-License-Identifier: ISC
/* Routes: feasibility, starvation and requests, retraction, alternates. */
#include "tests/unit/ctl_lab.h"
#include "pnstackd/net/route_int.h"

/* Entries told by hand ------------------------------------------------------------- */

/* The only router whose route to a leader is believed: the leader */
static uint64_t source_of(int node, const struct dest *d)
{
	struct facet *f = facet_of(node);
	int i = chain_find(lab->net[node], &f->chain, d->area);

	CU_ASSERT_FATAL(i > 0);
	return facet_rec(lab->net[node], f, (unsigned)i)->leader;
}

/* @sib: what is beside it; NULL: @d is a leader */
static void tell_sibling(int node, int from, const struct dest *d, uint64_t router, uint16_t seqno,
			 uint16_t metric, const struct sib *sib)
{
	struct net *net = lab->net[node];
	uint8_t buf[96];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, CTL_UPDATE);
	pn_wr_u16(&w, 0);
	pn_wr_u8(&w, ENTRY_ROUTE);
	pn_wr_u8(&w, d->kind);
	pn_wr_u64(&w, d->area);
	pn_wr_u64(&w, router);
	pn_wr_u16(&w, seqno);
	pn_wr_u16(&w, metric);
	if (sib) {
		pn_wr_u64(&w, sib->id);
		pn_wr_u64(&w, sib->leader);
		pn_wr_u32(&w, sib->epoch);
		pn_wr_u8(&w, sib->base);
		pn_wr_u8(&w, sib->count);
	}
	net->now = lab->now;
	ctl_on_msg(net, adj_to(node, from), buf, w.len, lab->now);
}

static void tell_as(int node, int from, const struct dest *d, uint64_t router, uint16_t seqno,
		    uint16_t metric)
{
	tell_sibling(node, from, d, router, seqno, metric, NULL);
}

static void tell(int node, int from, const struct dest *d, uint16_t seqno, uint16_t metric)
{
	tell_as(node, from, d, source_of(node, d), seqno, metric);
}

static int via_now(int node, const struct dest *d)
{
	return d->selected ? (int)lab->net[node]->ctl->vias[d->selected - 1].adj : -1;
}

/* Node 0 in the middle of a star of three, and a leader's route of its that is not its own */
static struct dest *star(uint64_t seed, int *x, int *y)
{
	struct facet *f;

	nodes(seed, 4);
	start_all();
	for (int i = 1; i < 4; i++)
		tie(0, i);
	CU_ASSERT_FATAL(until_whole(PN_S(10)));
	lab_run(lab, PN_S(2));
	f = facet_of(0);
	for (unsigned i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];

		if (!d->area || d->kind != DEST_LEADER || d->own || !d->selected)
			continue;
		for (*x = 1; (int)adj_to(0, *x) != via_now(0, d); ++*x)
			;
		*y = *x % 3 + 1;
		return d;
	}
	return NULL;
}

static struct dest *any_star(int *x, int *y)
{
	struct dest *d = NULL;

	for (uint64_t seed = 1; seed < 20 && !d; seed++) {
		d = star(seed, x, y);
		if (!d)
			done();
	}
	CU_ASSERT_FATAL(d != NULL);
	return d;
}

static void test_feasible(void)
{
	int x = 1, y = 2, ax, ay;
	struct dest *d = any_star(&x, &y);
	uint64_t requests;

	ax = (int)adj_to(0, x);
	ay = (int)adj_to(0, y);
	tell(0, x, d, 10, 100);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 100 + nb_cost(lab->net[0], (uint32_t)ax));
	/* not nearer than we ever were: it may have this from ourselves */
	tell(0, y, d, 10, d->metric);
	tell(0, x, d, 10, NET_METRIC_INF);
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	CU_ASSERT_EQUAL(d->metric, NET_METRIC_INF);
	/* so the source is asked for a new number, again and again but ever more rarely */
	requests = counter(0, "route_requests");
	CU_ASSERT(requests > 0);
	CU_ASSERT(d->requests == 1);
	CU_ASSERT(pn_time_before(lab->now, d->next_request));
	tell(0, y, d, 9, 1);             /* an older one is no answer */
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	tell(0, y, d, 11, 3000);         /* a newer is, however far */
	CU_ASSERT_EQUAL(via_now(0, d), ay);
	CU_ASSERT(pn_time_is_never(d->lost_at));
	tell(0, x, d, 11, 2900);         /* nearer, and feasible: two now */
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, x, d, 11, NET_METRIC_INF);
	/* 3000 is not below what we told, 2900 and the cost */
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	tell(0, y, d, 11, 2900);
	CU_ASSERT_EQUAL(via_now(0, d), ay);
	/* numbers wrap */
	tell(0, y, d, 32000, 5);
	tell(0, y, d, 64000, 5);
	tell(0, y, d, 3, 70);
	CU_ASSERT_EQUAL(via_now(0, d), ay);
	CU_ASSERT_EQUAL(d->metric, 70 + nb_cost(lab->net[0], (uint32_t)ay));
	done();
}

/* A route in use that gets worse is renewed before it is unfeasible: it is never lost. */
static void test_refresh(void)
{
	int x = 1, y = 2;
	struct dest *d = any_star(&x, &y);
	uint16_t cost = (uint16_t)nb_cost(lab->net[0], adj_to(0, x));
	uint64_t asked;

	tell(0, x, d, 10, 100);
	tell(0, y, d, 10, NET_METRIC_INF);
	lab_run(lab, PN_S(1));
	asked = counter(0, "route_requests");
	tell(0, x, d, 10, (uint16_t)(100 + cost / 8));
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked);
	tell(0, x, d, 10, (uint16_t)(100 + cost / 2));
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked + 1);
	tell(0, x, d, 10, (uint16_t)(100 + cost - 1));   /* not for each change */
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked + 1);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, x));
	d->next_request = lab->now;
	tell(0, x, d, 11, (uint16_t)(100 + cost));       /* renewed: far from the bound again */
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked + 1);
	CU_ASSERT_EQUAL(d->metric, 100 + 2 * cost);
	done();
}

/* A route in use that is unfeasible all of a sudden, since it became dearer, is lost only if its source
 * does not answer. */
static void test_rise(void)
{
	int x = 1, y = 2, ax;
	struct dest *d = any_star(&x, &y);
	uint16_t cost = (uint16_t)nb_cost(lab->net[0], adj_to(0, x));
	uint64_t asked;

	ax = (int)adj_to(0, x);
	tell(0, x, d, 10, 100);
	tell(0, y, d, 10, NET_METRIC_INF);
	lab_run(lab, PN_S(1));
	asked = counter(0, "route_requests");
	tell(0, x, d, 10, (uint16_t)(100 + cost));
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked + 1);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 100 + cost);          /* as told before */
	lab->now = pn_time_add(lab->now, PN_MS(200));    /* and nobody answers */
	tell(0, x, d, 10, (uint16_t)(100 + 2 * cost));   /* not longer for that */
	lab->now = pn_time_add(lab->now, PN_MS(199));
	route_duties(lab->net[0], facet_of(0), lab->now);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 100 + cost);
	lab->now = pn_time_add(lab->now, PN_MS(2));
	route_duties(lab->net[0], facet_of(0), lab->now);
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	CU_ASSERT_EQUAL(d->metric, NET_METRIC_INF);
	CU_ASSERT(pn_time_is_never(d->switch_at));
	/* another source is no rise */
	tell(0, x, d, 11, 100);
	tell(0, x, d, 11, (uint16_t)(100 + cost));
	CU_ASSERT_EQUAL(d->metric, 100 + cost);
	tell_as(0, x, d, source_of(0, d) + 1, 11, (uint16_t)(100 + cost));
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	tell(0, x, d, 11, 50);
	tell(0, x, d, 11, (uint16_t)(50 + cost));
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 50 + cost);
	tell(0, x, d, 12, (uint16_t)(100 + cost));       /* the answer */
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 100 + 2 * cost);
	CU_ASSERT(pn_time_is_never(d->switch_at));
	tell(0, x, d, 12, (uint16_t)(100 + 2 * cost));
	CU_ASSERT_EQUAL(d->metric, 100 + 2 * cost);
	tell(0, x, d, 12, NET_METRIC_INF);               /* that is no rise */
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	done();
}

/* A border whose own link gets dearer tells so under a new number: nobody need starve. */
static void test_border_cost(void)
{
	struct net *net;
	struct facet *f;
	struct dest *d = NULL;
	uint16_t seqno, adj;

	line(3, 2, false);
	CU_ASSERT_FATAL(until_whole(PN_S(10)));
	net = lab->net[0];
	f = facet_of(0);
	for (unsigned i = 0; i < f->dest_high; i++)
		if (f->dests[i].area && f->dests[i].kind == DEST_SIBLING)
			d = &f->dests[i];
	CU_ASSERT_FATAL(d && d->own);
	seqno = d->seqno;
	adj = via_at(net, d->selected)->adj;
	adj_at(net, adj)->cost = 50;
	ctl_on_cost(net, adj, lab->now);
	CU_ASSERT_EQUAL(d->metric, 50);
	CU_ASSERT_EQUAL(d->seqno, (uint16_t)(seqno + 1));
	adj_at(net, adj)->cost = 40;
	ctl_on_cost(net, adj, lab->now);
	CU_ASSERT_EQUAL(d->metric, 40);
	CU_ASSERT_EQUAL(d->seqno, (uint16_t)(seqno + 1));
	done();
}

/* A little better waits, much better does not, and what is lost is replaced at once. */
static void test_hold(void)
{
	int x = 1, y = 2, ax, ay;
	struct dest *d = any_star(&x, &y);
	struct pn_time then;

	ax = (int)adj_to(0, x);
	ay = (int)adj_to(0, y);
	tell(0, x, d, 10, 200);
	tell(0, y, d, 10, 300);          /* not feasible: farther than what we tell */
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, y, d, 10, 195);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(d->metric, 200 + nb_cost(lab->net[0], (uint32_t)ax));
	then = pn_time_add(lab->now, PN_MS(1999));
	route_duties(lab->net[0], facet_of(0), then);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	route_duties(lab->net[0], facet_of(0), pn_time_add(then, PN_MS(2)));
	CU_ASSERT_EQUAL(via_now(0, d), ay);
	tell(0, x, d, 10, 150);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, y, d, 10, 148);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, x, d, 10, NET_METRIC_INF);
	CU_ASSERT_EQUAL(via_now(0, d), ay);
	done();
}

/* Only the leader is the source of routes to it. */
static void test_wrong_source(void)
{
	int x = 1, y = 2, ax;
	struct dest *d = any_star(&x, &y);

	ax = (int)adj_to(0, x);
	tell(0, x, d, 10, 200);
	tell_as(0, y, d, 0x5151, 11, 1);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(counter(0, "route_bad_source"), 1);
	tell(0, x, d, 10, NET_METRIC_INF);
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	done();
}

/* Whoever is not the leader itself has at least one link to it, which costs something. */
static void test_too_cheap(void)
{
	int x = 1, y = 2, ax;
	struct dest *d = any_star(&x, &y);
	uint64_t source = source_of(0, d);
	int liar = facet_of(y)->node_id == source ? x : y, honest = x + y - liar;

	ax = (int)adj_to(0, honest);
	tell(0, honest, d, 10, 200);
	tell(0, liar, d, 11, 0);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	CU_ASSERT_EQUAL(counter(0, "route_bad_source"), 1);
	tell(0, honest, d, 10, NET_METRIC_INF);  /* better than none */
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, liar));
	tell(0, honest, d, 11, 200);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, liar, d, 11, 1);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, liar));
	done();
}

static uint16_t source_new(struct net *net, uint64_t router)
{
	return intern_put(&net->ctl->routers, &router);
}

/* One source too many: what is forgotten of it binds those that are not known. */
static void test_many_sources(void)
{
	struct dest d = { .kind = DEST_SIBLING, .area = 1 };
	struct via v = { .seqno = 7, .metric = 100 };
	struct net *net;
	struct facet *f;

	nodes(1, 1);
	start_all();
	net = lab->net[0];
	net->now = lab->now;
	f = facet_of(0);
	for (unsigned i = 0; i < FD_MAX; i++) {
		v.router = source_new(net, 100 + i);
		CU_ASSERT(route_via_feasible(net, f, &d, &v));
		route_fd_adopt(net, &d, &v);
		CU_ASSERT(!route_via_feasible(net, f, &d, &v));
	}
	v.router = source_new(net, 200);
	route_fd_adopt(net, &d, &v);
	/* the first place is that of the route in use */
	CU_ASSERT_PTR_EQUAL(route_fd(&d, source_new(net, 100)), &d.fd[0]);
	v.router = source_new(net, 101);
	CU_ASSERT_PTR_NULL(route_fd(&d, v.router));
	CU_ASSERT(!route_via_feasible(net, f, &d, &v));
	v.metric = 99;
	CU_ASSERT(route_via_feasible(net, f, &d, &v));
	v.metric = 1000;
	net->now = pn_time_add(net->now, PN_S(11));
	CU_ASSERT(route_via_feasible(net, f, &d, &v));
	done();
}

/* With no room for a source, who tells of it told nothing; those that are known still count. */
static void test_sources_full(void)
{
	int x = 1, y = 2, ax;
	struct dest *d = any_star(&x, &y);

	ax = (int)adj_to(0, x);
	tell(0, x, d, 10, 200);
	for (uint64_t junk = 1000; source_new(lab->net[0], junk); junk++)
		;
	tell_as(0, y, d, 0x5151, 11, 1);
	CU_ASSERT_EQUAL(counter(0, "router_full"), 1);
	CU_ASSERT_EQUAL(counter(0, "route_bad_source"), 0);
	CU_ASSERT_EQUAL(via_now(0, d), ax);
	tell(0, y, d, 11, 100);
	CU_ASSERT_EQUAL(counter(0, "router_full"), 1);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	done();
}

static unsigned junk_put(struct intern *t, uint16_t refs[], unsigned max)
{
	uint64_t v[4] = {~0ull, 1, 2, 3};
	unsigned n = 0;

	CU_ASSERT_FATAL(t->size <= sizeof(v));
	while (n < max && (refs[n] = intern_put(t, v))) {
		n++;
		v[0]--;
	}
	CU_ASSERT_FATAL(n < max);
	return n;
}

/* Return: a node has a route to wherever anybody in the same area has one */
static bool all_known(int node)
{
	const struct facet *f = facet_of(node);

	for (unsigned i = 0; i < f->dest_high; i++) {
		const struct dest *d = &f->dests[i];

		for (int n = 0; d->area && !dest_alive(d) && n < lab->nodes; n++)
			if (dest_alive(dest_find(facet_of(n), d->kind, d->area)))
				return false;
	}
	return true;
}

static void full_for(uint64_t seed, bool interned)
{
	static uint16_t routers[4096], sibs[4096];
	unsigned n = 0, m = 0;
	struct ctl *c;
	uint16_t vias;

	line(seed, 10, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(5));
	c = lab->net[0]->ctl;
	vias = c->via_max;
	if (interned) {
		n = junk_put(&c->routers, routers, PN_ARRAY_LEN(routers));
		m = junk_put(&c->sibs, sibs, PN_ARRAY_LEN(sibs));
	} else {
		c->via_max = c->via_fresh;
		c->via_free = 0;
	}
	lab->wire[4 + seed % 2].cut = true;
	lab_run(lab, PN_S(10));
	while (n > 0)
		intern_drop(&c->routers, routers[--n]);
	while (m > 0)
		intern_drop(&c->sibs, sibs[--m]);
	c->via_max = vias;
	/* without vias a node is nobody's way, and the tree has come apart */
	CU_ASSERT(until_whole(interned ? PN_S(1) : PN_S(20)));
	lab_run(lab, PN_S(2));
	CU_ASSERT(all_known(0));
	done_sound();
}

/* All tables of a node are full, and a link far away is cut: what there was no room for is known
 * soon after there is some again. */
static void test_full_for_a_while(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		full_for(seed, true);
		full_for(seed, false);
	}
}

/* A neighbour's requests are followed as fast as one that starves repeats them, no faster. */
static void test_requests_limited(void)
{
	int x = 1, y = 2;
	struct dest *d = any_star(&x, &y);
	uint64_t before;

	before = counter(0, "route_limited");
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t buf[24];
		struct pn_wr w;

		pn_wr_init(&w, buf, sizeof(buf));
		pn_wr_u8(&w, CTL_SEQNO_REQUEST);
		pn_wr_u8(&w, d->kind);
		pn_wr_u64(&w, d->area);
		pn_wr_u64(&w, source_of(0, d));
		pn_wr_u16(&w, i);
		pn_wr_u8(&w, 9);
		ctl_on_soft(lab->net[0], adj_to(0, y), buf, w.len, lab->now);
	}
	CU_ASSERT(counter(0, "route_limited") - before > 800);
	CU_ASSERT(counter(0, "route_limited") - before < 900);
	done();
}

/* Whole networks --------------------------------------------------------------------- */

/* Each wire of a ring in turn is cut: routes go the other way round. */
static void test_ring(void)
{
	uint64_t requests = 0;

	for (uint64_t seed = 1; seed <= 3; seed++) {
		line(seed, 8, true);
		CU_ASSERT(until_whole(PN_S(12)));
		for (int i = 0; i < 8; i++) {
			lab->wire[i].cut = true;
			lab_run(lab, PN_S(4));
			CU_ASSERT(until_whole(PN_S(8)));
			lab->wire[i].cut = false;
			lab_run(lab, PN_S(4));
			CU_ASSERT(until_whole(PN_S(8)));
		}
		requests += counters("route_requests");
		done_sound();
	}
	CU_ASSERT(requests > 0);
}

/* A sibling that has gone is gone everywhere, soon after its neighbour noticed. */
static void test_retraction(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		uint64_t dead;
		struct net_route r;

		line(seed, 6, false);
		CU_ASSERT(until_whole(PN_S(12)));
		dead = facet_of(5)->node_id;
		net_goodbye(lab->net[5], lab->now);
		lab_run(lab, PN_MS(50));
		lab_stop(lab, 5);
		lab_run(lab, PN_MS(300));
		for (int n = 0; n < 5; n++)
			for (size_t i = 0; net_route_at(lab->net[n], i, &r); i++)
				CU_ASSERT(r.sibling_id != dead);
		lab_run(lab, PN_S(5));
		CU_ASSERT(until_whole(PN_S(8)));
		done_sound();
	}
}

/* Two borders towards one sibling: an alternate for each, the nearer first */
static void test_alternate(void)
{
	unsigned found = 0;

	for (uint64_t seed = 1; seed <= 4; seed++) {
		nodes(seed, 4);
		start_all();
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < i; j++)
				tie(i, j);
		CU_ASSERT(until_whole(PN_S(10)));
		lab_run(lab, PN_S(3));
		for (int n = 0; n < 4; n++)
			for (unsigned level = 0; level < root_of(n)->base; level++) {
				int a = route_hop(lab->net[n], 0, level, 0), b;
				const struct net *net = lab->net[n];

				if (a < 0)
					continue;
				b = route_alternate(net, 0, level, a);
				CU_ASSERT(b != a);
				if (b < 0)
					continue;
				found++;
				/* a neighbour in the sibling itself beats a detour */
				for (uint32_t i = 0; i < adj_count(net); i++) {
					uint64_t at, own = net_address(net, 0), other;

					if ((int)i == a || !neighbour_addr(net, i, &at) ||
					    !neighbour_addr(net, (uint32_t)b, &other))
						continue;
					if (((at ^ own) >> level) == 1 &&
					    nb_cost(net, i) == nb_cost(net, (uint32_t)b))
						CU_ASSERT_EQUAL((other ^ own) >> level, 1);
				}
			}
		CU_ASSERT_EQUAL(route_hop(lab->net[0], 0, 63, 0), -1);
		CU_ASSERT_EQUAL(route_hop(lab->net[0], 0, 64, 0), -1);
		CU_ASSERT_EQUAL(route_alternate(lab->net[0], 0, 255, 0), -1);
		done_sound();
	}
	CU_ASSERT(found > 0);
}

/* A star of nine, and the route of its middle to the leader of all, which is by @x; @y and @z:
 * others.  Its beats are 16 s apart, and one has just been. */
static struct dest *root_star(int *x, int *y, int *z)
{
	struct dest *d = NULL;
	uint16_t seqno;

	for (uint64_t seed = 1; seed < 20 && (!d || d->own); seed++) {
		if (seed > 1)
			done();
		nodes(seed, 9);
		start_all();
		for (int i = 1; i < 9; i++)
			tie(0, i);
		CU_ASSERT_FATAL(until_whole(PN_S(20)));
		lab_run(lab, PN_S(3));
		d = dest_find(facet_of(0), DEST_LEADER, root_of(0)->id);
	}
	CU_ASSERT_FATAL(d && !d->own);
	for (*x = 1; (int)adj_to(0, *x) != via_now(0, d); ++*x)
		;
	*y = *x % 8 + 1;
	*z = *y % 8 + 1;
	seqno = via_find(lab->net[0], d, adj_to(0, *x))->seqno;
	while (via_find(lab->net[0], d, adj_to(0, *x))->seqno == seqno)
		lab_run(lab, PN_MS(100));
	return d;
}

/* A lie is believed for want of better, but not for ever if nobody is there. */
static void test_ghost(void)
{
	int x = 1, y = 2, z = 3;
	struct dest *d = root_star(&x, &y, &z);
	uint64_t asked;

	tell(0, x, d, 500, NET_METRIC_INF);
	tell(0, y, d, 500, 0);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	CU_ASSERT(via_last_resort(via_find(lab->net[0], d, adj_to(0, y))));
	lab_run(lab, PN_MS(3900));
	asked = counter(0, "route_requests");
	lab_run(lab, PN_S(4));
	CU_ASSERT(counter(0, "route_requests") >= asked + 4);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	lab_run(lab, PN_MS(200));
	CU_ASSERT_EQUAL(counter(0, "route_ghosts"), 1);
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	tell(0, y, d, 500, 0);           /* that is known */
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	tell(0, y, d, 501, 0);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	done();
}

/* Of two, one has shown that it lives. */
static void test_ghosts_apart(void)
{
	int x = 1, y = 2, z = 3;
	struct dest *d = root_star(&x, &y, &z);

	tell(0, x, d, 500, NET_METRIC_INF);
	tell(0, y, d, 500, 0);
	tell(0, z, d, 500, 0);
	lab_run(lab, PN_S(5));
	tell(0, z, d, 501, 0);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	lab_run(lab, PN_MS(3200));
	CU_ASSERT_EQUAL(counter(0, "route_ghosts"), 1);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, z));
	done();
}

/* Nothing is left, and nothing else happens: the source is asked ever more rarely. */
static void test_asked_again(void)
{
	static const int at_ms[] = {200, 300, 700, 800};
	int x = 1, y = 2, z = 3, ms = 0;
	struct dest *d = root_star(&x, &y, &z);
	uint64_t asked;

	tell(0, x, d, 500, 100);
	tell(0, y, d, 499, 100);
	tell(0, x, d, 500, NET_METRIC_INF);
	CU_ASSERT_EQUAL(via_now(0, d), -1);
	asked = counter(0, "route_requests");
	for (unsigned i = 0; i < sizeof(at_ms) / sizeof(at_ms[0]); i++) {
		lab_run(lab, PN_MS(at_ms[i] - ms));
		ms = at_ms[i];
		CU_ASSERT_EQUAL(counter(0, "route_requests"), asked + (i + 1) / 2);
	}
	done();
}

/* An older route of a third keeps us asking ever more rarely; who is doubted is asked each second. */
static void test_ghost_starving(void)
{
	int x = 1, y = 2, z = 3;
	struct dest *d = root_star(&x, &y, &z);
	uint64_t asked;

	tell(0, x, d, 500, NET_METRIC_INF);
	tell(0, y, d, 500, 0);
	for (uint16_t i = 0; i < 39; i++) {
		tell(0, z, d, 499, 100 + i);
		CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
		lab_run(lab, PN_MS(100));
	}
	asked = counter(0, "route_requests");
	lab_run(lab, PN_S(4));
	CU_ASSERT(counter(0, "route_requests") >= asked + 2 * 4);
	done();
}

/* Who has answered is not asked again. */
static void test_ghost_answered(void)
{
	int x = 1, y = 2, z = 3;
	struct dest *d = root_star(&x, &y, &z);
	uint64_t asked;

	tell(0, x, d, 500, NET_METRIC_INF);
	tell(0, y, d, 500, 0);
	lab_run(lab, PN_MS(4500));
	tell(0, y, d, 501, 0);
	asked = counter(0, "route_requests");
	lab_run(lab, PN_S(3));
	CU_ASSERT_EQUAL(counter(0, "route_requests"), asked);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counter(0, "route_ghosts"), 0);
	CU_ASSERT_EQUAL(via_now(0, d), (int)adj_to(0, y));
	done();
}

/* Node 0 at the end of a line, and a sibling's route of its that is a last resort from now on */
static struct dest *doubtful_sibling(void)
{
	struct dest *d = NULL;
	struct facet *f;

	line(3, 10, false);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(5));
	f = facet_of(0);
	for (unsigned i = 0; i < f->dest_high; i++)
		if (f->dests[i].area && f->dests[i].kind == DEST_SIBLING && f->dests[i].selected &&
		    !via_at(lab->net[0], f->dests[i].selected)->direct)
			d = &f->dests[i];
	CU_ASSERT_FATAL(d != NULL);
	for_each_via(lab->net[0], d, v)
		v->shunned = true;
	lab->net[0]->now = lab->now;
	route_changed(lab->net[0], f, d, lab->now);
	return d;
}

/* @ms go by, and node 1 has no tokens for requests of node 0: each is lost. */
static void run_unasked(int ms)
{
	for (; ms > 0 && !counter(0, "route_ghosts"); ms--) {
		lab->net[1]->ctl->nbs[adj_to(1, 0)].requests =
			(struct bucket){(uint32_t)(lab->now.ns / 1000), 128};
		lab_run(lab, PN_MS(1));
	}
}

/* A route that lives, and was not asked in time, comes back. */
static void test_no_ghost(void)
{
	struct dest *d = doubtful_sibling();

	run_unasked(20000);
	CU_ASSERT_EQUAL(counter(0, "route_ghosts"), 1);
	CU_ASSERT(!dest_alive(d));
	for (int i = 0; i < 60 && !dest_alive(d); i++)
		lab_run(lab, PN_MS(100));
	CU_ASSERT(dest_alive(d));
	done();
}

/* Another source takes over at the end, whose numbers are lower: it was not asked yet. */
static void test_other_source(void)
{
	struct dest *d = doubtful_sibling();
	struct net *net = lab->net[0];
	const struct via *v = via_at(net, d->selected);
	struct sib s = *via_sib(net, v);

	run_unasked(7900);
	CU_ASSERT(dest_alive(d));
	net->now = lab->now;
	tell_sibling(0, 1, d, via_router(net, v) + 1, (uint16_t)(v->seqno - 3), 20, &s);
	lab_run(lab, PN_MS(200));
	CU_ASSERT_EQUAL(counter(0, "route_ghosts"), 0);
	CU_ASSERT(dest_alive(d));
	done();
}

static CU_TestInfo tests[] = {
	{ "feasibility", test_feasible },
	{ "asked for in time", test_refresh },
	{ "dearer all of a sudden", test_rise },
	{ "a border's link gets dearer", test_border_cost },
	{ "a little better waits", test_hold },
	{ "the leader alone is the source", test_wrong_source },
	{ "too cheap", test_too_cheap },
	{ "more sources than room", test_many_sources },
	{ "no room for a source", test_sources_full },
	{ "no room for a while", test_full_for_a_while },
	{ "requests are limited", test_requests_limited },
	{ "a ghost", test_ghost },
	{ "a ghost beside one that lives", test_ghosts_apart },
	{ "asked again", test_asked_again },
	{ "a ghost while something else is asked for", test_ghost_starving },
	{ "a ghost that answered", test_ghost_answered },
	{ "no ghost", test_no_ghost },
	{ "no ghost, another source", test_other_source },
	{ "a ring is cut", test_ring },
	{ "retraction", test_retraction },
	{ "alternates", test_alternate },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_route;
CU_SuiteInfo suite_route = { .pName = "route", .pTests = tests };
