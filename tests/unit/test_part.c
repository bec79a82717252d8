// SPDX-License-Identifier: ISC
/* Routes to parts of siblings: whoever is there has one, it comes nearer with each step, and
 * after a loss the same again. */
#include "tests/unit/ctl_lab.h"
#include "pnstackd/net/route_int.h"

/* A ring with chords: large enough for areas with several borders. */
static void chords(uint64_t seed)
{
	line(seed, LAB_NODES, true);
	for (int i = 0; i < LAB_WIRES - LAB_NODES; i++)
		tie(i, (i + 5) % LAB_NODES);
	CU_ASSERT_FATAL(until_whole(PN_S(10)));
	lab_run(lab, PN_S(8));
}

static int node_at(uint64_t addr)
{
	for (int n = 0; n < lab->nodes; n++)
		if (lab->net[n] && net_address(lab->net[n], 0) == addr)
			return n;
	return -1;
}

/* Follow the routes to the part of the sibling at @level that @dst is in.
 * Return: the way ends in the sibling, and each step costs what it should */
static bool follows(int from, unsigned level, uint64_t dst)
{
	struct part_route at = { .metric = 0 };
	uint32_t last = NET_METRIC_INF;
	int n = from;

	for (int hops = 0; hops < LAB_NODES; hops++) {
		uint64_t own = net_address(lab->net[n], 0), next;

		if ((own ^ dst) >> level == 0)
			return true;
		if (!route_part(lab->net[n], 0, level, dst, 1, UINT32_MAX, &at) ||
		    !neighbour_addr(lab->net[n], at.adj, &next))
			return false;
		CU_ASSERT(at.metric < last);
		CU_ASSERT(at.metric >= route_metric(lab->net[n], 0, level));
		last = at.metric;
		n = node_at(next);
	}
	return false;
}

/* All pairs of which the second is in a sibling that has parts.  Return: how many */
static unsigned all_follow(void)
{
	unsigned found = 0;

	for (int a = 0; a < lab->nodes; a++) {
		for (int b = 0; lab->net[a] && b < lab->nodes; b++) {
			struct part_route out;
			uint64_t dst;
			unsigned level;

			if (a == b || !lab->net[b])
				continue;
			dst = net_address(lab->net[b], 0);
			level = 63u - (unsigned)__builtin_clzll(net_address(lab->net[a], 0) ^ dst);
			if (!route_part(lab->net[a], 0, level, dst, 1, UINT32_MAX, &out)) {
				/* a leaf: the sibling route is all that there is to know */
				CU_ASSERT_EQUAL(rec_of(b, 0)->top, level);
				continue;
			}
			found++;
			CU_ASSERT(follows(a, level, dst));
		}
	}
	return found;
}

static void test_known(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		chords(seed);
		CU_ASSERT(all_follow() > LAB_NODES * LAB_NODES / 4);
		done_sound();
	}
}

/* What is gone is taken back, and known again over other borders when the hold is over. */
static void test_cut(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		chords(seed);
		lab->wire[seed].cut = true;
		CU_ASSERT(until_whole(PN_S(20)));
		lab_run(lab, PN_S(12));
		CU_ASSERT(all_follow() > LAB_NODES * LAB_NODES / 4);
		done_sound();
	}
}

/* Entries told by hand ------------------------------------------------------------- */

/* Some node, a neighbour in an area of it, and the level where that hangs */
static int pick(uint32_t *adj, unsigned *level)
{
	for (int n = 0; n < lab->nodes; n++) {
		const struct facet *f = facet_of(n);

		for_each_nb(lab->net[n], f, a)
			for (unsigned i = 1; i + 1u < f->chain.n; i++)
				if (lab->net[n]->ctl->nbs[a].inside >> i & 1) {
					*adj = a;
					*level = rec_of(n, i)->top;
					return n;
				}
	}
	return -1;
}

static void hear(int n, uint32_t adj, const uint8_t *item, size_t len)
{
	uint8_t buf[64];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, CTL_UPDATE);
	pn_wr_u16(&w, 0);
	pn_wr_u8(&w, ENTRY_PART);
	pn_wr_u16(&w, (uint16_t)len);
	pn_wr_bytes(&w, item, len);
	lab->net[n]->now = lab->now;
	ctl_on_msg(lab->net[n], adj, buf, w.len, lab->now);
}

/* A neighbour that is no nearer than we ever were is not followed, whatever else there is; and
 * half an item is none. */
static void test_feasible(void)
{
	uint8_t buf[16];
	struct part_route to;
	struct pn_wr w;
	uint64_t before, dst, other;
	uint32_t adj = 0;
	unsigned level = 0;
	int n;

	chords(5);
	n = pick(&adj, &level);
	CU_ASSERT_FATAL(n >= 0);
	dst = net_address(lab->net[n], 0) ^ 1ull << level;
	for (int b = 0; b < lab->nodes; b++) {
		other = net_address(lab->net[b], 0);
		if ((other ^ dst) >> level == 0)
			dst = other;
	}
	CU_ASSERT_FATAL(route_part(lab->net[n], 0, level, dst, 1, UINT32_MAX, &to));
	for (unsigned more = 0; more < 2; more++) {
		const struct facet *f = facet_of(n);
		const struct dest *d = &f->dests[f->by_level[level] - 1];

		pn_wr_init(&w, buf, sizeof(buf));
		pn_wr_u8(&w, 0);
		pn_wr_u8(&w, level);
		pn_wr_u16(&w, (uint16_t)d->area);
		pn_wr_u8(&w, via_sib(lab->net[n], via_at(lab->net[n], d->selected))->base);
		for (unsigned i = 0; i < PARTS; i++)
			pn_wr_u16(&w, more ? to.metric : 1);
		hear(n, adj, buf, w.len);
		lab_run(lab, PN_MS(200));
		if (!more) {
			CU_ASSERT(route_part(lab->net[n], 0, level, dst, 1, UINT32_MAX, &to));
			CU_ASSERT_EQUAL(to.metric, 1 + nb_cost(lab->net[n], adj));
		} else {
			CU_ASSERT(!route_part(lab->net[n], 0, level, dst, 1, UINT32_MAX, &to) ||
				  to.adj != adj);
		}
		for (size_t len = 2; len < w.len && !more; len++) {
			before = counter(n, "ctl_malformed");
			hear(n, adj, buf, len);
			CU_ASSERT_EQUAL(counter(n, "ctl_malformed"), before + 1);
		}
	}
	done_sound();
}

/* What node @n heard from a neighbour of the sibling at a level; NULL: nothing */
static struct part_via *heard(int n, unsigned level, uint32_t adj)
{
	const struct ctl *c = lab->net[n]->ctl;
	const struct facet *f = facet_of(n);
	const struct dest *d = &f->dests[f->by_level[level] - 1];

	CU_ASSERT_FATAL(f->by_level[level] != 0 && d->parts != 0);
	for (uint16_t ref = c->parts[d->parts - 1].vias; ref; ref = c->part_vias[ref - 1].next)
		if (c->part_vias[ref - 1].adj == adj)
			return &c->part_vias[ref - 1];
	return NULL;
}

/* The other end of that adjacency */
static int beyond(int n, uint32_t adj)
{
	int m = 0;

	while (memcmp(net_id(lab->net[m]), adj_peek(lab->net[n], adj)->id, PN_ID_LEN))
		CU_ASSERT_FATAL(++m < lab->nodes);
	return m;
}

/* For each two neighbours inside an area: what @n holds of the other about its sibling, and what
 * the other holds of @n.  NULL where there was nothing to tell. */
static void each_inside(void (*at)(int n, uint32_t adj, struct part_via *v, struct part_via *there))
{
	for (int n = 0; n < lab->nodes; n++) {
		const struct facet *f = facet_of(n);

		for_each_nb(lab->net[n], f, a)
			for (unsigned i = 1; i + 1u < f->chain.n; i++) {
				unsigned level = rec_of(n, i)->top;
				int m = beyond(n, a);

				if (lab->net[n]->ctl->nbs[a].inside >> i & 1)
					at(n, a, heard(n, level, a), heard(m, level, adj_to(m, n)));
			}
	}
}

static unsigned void_ones, inside_ones;

/* Whoever has told is looked at again */
static void look(int n, uint32_t adj)
{
	lab->net[n]->ctl->nbs[adj].tx_dirty = true;
	part_changed(facet_of(n));
	facet_poke(lab->net[n], facet_of(n), lab->now);
	lab_run(lab, PN_MS(500));
}

/* @n begins anew */
static void forgotten(int n, uint32_t adj, struct part_via *v, struct part_via *there)
{
	for (unsigned k = 0; v && there && k < PARTS; k++) {
		void_ones += v->told[k] >= NET_METRIC_INF;
		there->metric[k] = 7;
		v->told[k] = NET_METRIC_INF;
	}
	lab->net[n]->ctl->part_nbs[adj].want = true;
	look(n, adj);
	for (unsigned k = 0; v && there && k < PARTS; k++)
		CU_ASSERT_NOT_EQUAL(there->metric[k], 7);
}

/* What a node told before it began anew is void. */
static void test_forgotten(void)
{
	void_ones = 0;
	chords(5);
	each_inside(forgotten);
	CU_ASSERT(void_ones > 0);
	done_sound();
}

/* Whoever wants to be told all again is, however often it asked before. */
static void test_again(void)
{
	uint16_t metric[PARTS];
	struct part_via *v;
	struct net *net;
	uint32_t adj = 0;
	unsigned level = 0;
	int n, m;

	chords(5);
	n = pick(&adj, &level);
	CU_ASSERT_FATAL(n >= 0);
	net = lab->net[n];
	v = heard(n, level, adj);
	CU_ASSERT_FATAL(v != NULL);
	memcpy(metric, v->metric, sizeof(metric));
	m = beyond(n, adj);
	lab->net[m]->ctl->nbs[adj_to(m, n)].repeats.used = UINT16_MAX;
	for (unsigned i = 0; i < PARTS; i++)
		v->metric[i] = 7;
	net->ctl->part_nbs[adj].want = true;
	net->ctl->nbs[adj].tx_dirty = true;
	facet_poke(net, facet_of(n), lab->now);
	lab_run(lab, PN_MS(300));
	CU_ASSERT_EQUAL(memcmp(v->metric, metric, sizeof(metric)), 0);
	done_sound();
}

/* @n is asked, after what it told before it took that back */
static void overtaken(int n, uint32_t adj, struct part_via *v, struct part_via *there)
{
	int m = beyond(n, adj);
	struct part_nb *pn = &lab->net[n]->ctl->part_nbs[adj];
	struct part_nb *far = &lab->net[m]->ctl->part_nbs[adj_to(m, n)];

	for (unsigned k = 0; v && there && k < PARTS; k++)
		if (v->told[k] >= NET_METRIC_INF) {
			void_ones++;
			there->metric[k] = 7;
		}
	for (unsigned k = 0; pn->told_base && k < PARTS; k++)
		if (pn->told[k] >= NET_METRIC_INF) {
			inside_ones++;
			far->metric[k] = 7;
		}
	pn->again = true;
	look(n, adj);
	for (unsigned k = 0; v && there && k < PARTS; k++)
		CU_ASSERT_NOT_EQUAL(there->metric[k], 7);
	for (unsigned k = 0; pn->told_base && k < PARTS; k++)
		CU_ASSERT_NOT_EQUAL(far->metric[k], 7);
}

/* Whoever asks to be told all again may still get what was told before the question came: where
 * there is no way any more it is told that as well, though it had been told so. */
static void test_overtaken(void)
{
	void_ones = inside_ones = 0;
	chords(5);
	each_inside(overtaken);
	CU_ASSERT(void_ones > 0);
	CU_ASSERT(inside_ones > 0);
	done_sound();
}

/* Only those in our own area tell us of its sibling. */
static void test_outside(void)
{
	uint8_t buf[16];
	unsigned tried = 0;

	chords(5);
	for (int n = 0; n < lab->nodes; n++) {
		const struct facet *f = facet_of(n);
		struct pn_wr w;

		for_each_nb(lab->net[n], f, a)
			for (unsigned i = 1; i + 1u < f->chain.n; i++) {
				unsigned level = rec_of(n, i)->top;

				if (lab->net[n]->ctl->nbs[a].inside >> i & 1 || !f->by_level[level])
					continue;
				pn_wr_init(&w, buf, sizeof(buf));
				pn_wr_u8(&w, 0);
				pn_wr_u8(&w, level);
				pn_wr_u16(&w, (uint16_t)rec_of(n, i)->line);
				pn_wr_u8(&w, rec_of(n, i)->base);
				for (unsigned k = 0; k < PARTS; k++)
					pn_wr_u16(&w, 1);
				hear(n, a, buf, w.len);
				CU_ASSERT_PTR_NULL(heard(n, level, a));
				tried++;
			}
	}
	CU_ASSERT(tried > 0);
	done_sound();
}

static CU_TestInfo tests[] = {
	{ "parts are known", test_known },
	{ "known again", test_cut },
	{ "feasibility", test_feasible },
	{ "told again", test_again },
	{ "what was told before is void", test_forgotten },
	{ "told while it asked", test_overtaken },
	{ "none from outside", test_outside },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_part;
CU_SuiteInfo suite_part = { .pName = "parts", .pTests = tests };
