/* SPDX-License-Identifier: ISC */
/* What the tests of the tree and of the routes share: small networks of tunnels. */
#ifndef TESTS_CTL_LAB_H
#define TESTS_CTL_LAB_H

#define LAB_NODES 25
#define LAB_WIRES 32
#include "tests/unit/adj_lab.h"
#include "pnstackd/net/ctl_int.h"

/* A tunnel of its own for two nodes.  Return: its wire, to be cut */
static inline int tie(int a, int b)
{
	int wire = lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));

	lab_plug(lab, wire, a);
	lab_plug(lab, wire, b);
	lab_dial(lab, wire, 0, 1, net_id(lab->net[b]));
	return wire;
}

/* A line of @n nodes, or a ring.  Wire i ties node i and node i + 1. */
static inline void line(uint64_t seed, int n, bool ring)
{
	nodes(seed, n);
	start_all();
	for (int i = 0; i + 1 < n; i++)
		tie(i, i + 1);
	if (ring)
		tie(n - 1, 0);
}

/* Return: our adjacency with that node, on any facet; it must be there */
static inline uint32_t adj_to(int node, int to)
{
	for (uint32_t i = 0; i < adj_count(lab->net[node]); i++) {
		const struct adj_pub *p = adj_peek(lab->net[node], i);

		if (p && p->kind != ADJ_INTERNAL && !memcmp(p->id, net_id(lab->net[to]), PN_ID_LEN))
			return i;
	}
	CU_FAIL_FATAL("no such neighbour");
	return 0;
}

static inline struct facet *facet_of(int node)
{
	return &lab->net[node]->ctl->facets[0];
}

static inline const struct rec *rec_of(int node, unsigned i)
{
	return facet_rec(lab->net[node], facet_of(node), i);
}

static inline const struct rec *root_of(int node)
{
	return rec_of(node, facet_of(node)->chain.n - 1u);
}

/* Return: a packet from @from to the address of @to gets there */
static inline bool reaches(int from, int to)
{
	uint64_t dst = net_address(lab->net[to], 0);
	uint8_t level = NET_LEVEL_ANY, flags = 0, next[PN_ID_LEN];
	uint16_t facet = 0;
	int at = from;

	for (int hops = 0; hops < 64; hops++) {
		int rc = net_next_hop(lab->net[at], facet, dst, &level, &flags, 1, next,
				      &facet);

		if (rc)
			return rc == 1 && at == to;
		for (at = 0; at < lab->nodes; at++)
			if (lab->net[at] && !memcmp(net_id(lab->net[at]), next, PN_ID_LEN))
				break;
		if (at == lab->nodes)
			return false;
	}
	return false;
}

/* One network, in which everybody reaches everybody */
static inline bool whole(void)
{
	int first = -1;

	for (int a = 0; a < lab->nodes; a++) {
		if (!lab->net[a])
			continue;
		if (first < 0)
			first = a;
		if (!lab_merged(lab, a, first))
			return false;
	}
	for (int a = 0; a < lab->nodes; a++)
		for (int b = 0; b < lab->nodes; b++)
			if (lab->net[a] && lab->net[b] && a != b && !reaches(a, b))
				return false;
	return true;
}

/* Run until whole(), or @max_ns have passed */
static inline bool until_whole(uint64_t max_ns)
{
	struct pn_time until = pn_time_add(lab->now, max_ns);

	while (!whole()) {
		if (!pn_time_before(lab->now, until))
			return false;
		lab_run(lab, PN_MS(20));
	}
	return true;
}

static inline uint64_t counters(const char *name)
{
	uint64_t sum = 0;

	for (int n = 0; n < lab->nodes; n++)
		sum += lab->net[n] ? counter(n, name) : 0;
	return sum;
}

/* Return: all references to interned values are those that facets hold, no more, no less */
static inline bool refs_sound(int node)
{
	const struct ctl *c = lab->net[node]->ctl;
	static uint32_t routers[UINT16_MAX], sibs[UINT16_MAX];

	memset(routers, 0, sizeof(routers));
	memset(sibs, 0, sizeof(sibs));
	for (unsigned n = 0; n < c->facet_count; n++) {
		const struct facet *f = &c->facets[n];

		routers[f->router]++;
		for (unsigned i = 0; i < f->dest_high; i++) {
			const struct dest *d = &f->dests[i];

			for (uint16_t v = d->vias; v; v = c->vias[v - 1].next) {
				routers[c->vias[v - 1].router]++;
				sibs[c->vias[v - 1].sib]++;
			}
			for (unsigned k = 0; k < FD_MAX; k++)
				routers[d->fd[k].router]++;
		}
	}
	for (unsigned r = 1; r <= c->routers.fresh; r++)
		if (c->routers.refs[r] != routers[r])
			return false;
	for (unsigned r = 1; r <= c->sibs.fresh; r++)
		if (c->sibs.refs[r] != sibs[r])
			return false;
	return true;
}

/* The same as done(), if nothing was put by hand */
static inline void done_sound(void)
{
	for (int n = 0; n < lab->nodes; n++)
		CU_ASSERT(!lab->net[n] || refs_sound(n));
	done();
}

/* Two nodes that are a network, and one that is alone */
static inline void pair_and_stranger(uint64_t seed)
{
	nodes(seed, 3);
	start_all();
	tie(0, 1);
	lab_run(lab, PN_S(6));
	CU_ASSERT_FATAL(lab_merged(lab, 0, 1));
	CU_ASSERT_EQUAL_FATAL(root_of(0)->base, 1);
}

#endif
