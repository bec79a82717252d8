/* SPDX-License-Identifier: ISC */
/* view.c - looking in: areas, routes, addresses, for displays and the simulator */
#include "pnstackd/net/route_int.h"

#include <string.h>

bool net_area_at(const struct net *net, uint16_t facet, size_t index, struct net_area *out)
{
	const struct facet *f;
	const struct rec *r, *p;

	if (!facet_live(net, facet))
		return false;
	f = facet_at(net, facet);
	if (index >= f->chain.n)
		return false;
	r = facet_rec(net, f, (unsigned)index);
	memset(out, 0, sizeof(*out));
	out->facet = facet;
	out->area_id = r->id;
	out->base = r->base;
	out->top = r->top;
	out->bit = r->bit;
	memcpy(out->leader, r->leader_id, PN_ID_LEN);
	out->leader_facet = r->facet;
	out->leading = r->leader == f->node_id;
	out->epoch = r->epoch;
	out->seq = r->seq;
	out->count = rec_count_value(r->count);
	out->parent_id = r->parent;
	out->child_id[0] = r->child[0].id;
	out->child_id[1] = r->child[1].id;
	out->deputy = r->deputy;
	out->deputising = r->deputy && r->deputy == f->node_id;
	if (index + 1 < f->chain.n) {
		p = facet_rec(net, f, (unsigned)index + 1);
		out->sibling_id = p->child[1 - r->bit].id;
	}
	return true;
}

/* The i-th area of ours that a sibling destination belongs to; -1 none. */
static int sibling_index(const struct net *net, const struct facet *f, const struct dest *d)
{
	return d->area && d->kind == DEST_SIBLING ? dest_index(net, f, d) : -1;
}

static void route_fill(const struct net *net, const struct facet *f, const struct dest *d,
		       const struct via *v, int i, struct net_route *out)
{
	const struct rec *r = facet_rec(net, f, (unsigned)i);
	const struct adj_pub *adj = adj_peek(net, v->adj);
	uint64_t bit = 1ull << r->top;

	memset(out, 0, sizeof(*out));
	out->facet = f->index;
	out->level = r->top;
	out->block = ((f->addr ^ bit) / bit) * bit;
	out->sibling_id = via_sib(net, v)->id;
	out->count = rec_count_value(via_sib(net, v)->count);
	out->selected = d->selected && v == &net->ctl->vias[d->selected - 1];
	out->feasible = route_via_feasible(net, f, d, v);
	out->metric = (v->direct ? 0u : v->metric) + nb_cost(net, v->adj);
	if (out->selected)
		out->metric = d->metric;
	if (out->metric > NET_METRIC_INF)
		out->metric = NET_METRIC_INF;
	if (adj) {
		memcpy(out->next_id, adj->id, PN_ID_LEN);
		out->link = adj->kind == ADJ_INTERNAL ? -1 : adj->link;
	}
}

bool net_route_at(const struct net *net, size_t index, struct net_route *out)
{
	uint16_t n;

	for (n = 0; n < net->ctl->facet_count; n++) {
		const struct facet *f = facet_at(net, n);
		unsigned k;

		for (k = 0; k < f->dest_high; k++) {
			const struct dest *d = &f->dests[k];
			int i = sibling_index(net, f, d);
			uint16_t ref;

			for (ref = i < 0 ? 0 : d->vias; ref; ref = net->ctl->vias[ref - 1].next) {
				const struct via *v = &net->ctl->vias[ref - 1];

				if (!v->direct && (!v->router || v->metric >= NET_METRIC_INF))
					continue;
				if (index-- == 0) {
					route_fill(net, f, d, v, i, out);
					return true;
				}
			}
		}
	}
	return false;
}

uint16_t net_facet_count(const struct net *net)
{
	return net->ctl->facet_count;
}

uint64_t net_address(const struct net *net, uint16_t facet)
{
	return facet_addr(net, facet);
}

uint8_t net_height(const struct net *net)
{
	return facet_height(net, 0);
}

uint64_t net_root_id(const struct net *net)
{
	return facet_root(net, 0);
}

static uint32_t anchors(const struct rec_child *c)
{
	return c->count == REC_COUNT_LEAF ? 0 : rec_count_value(c->count);
}

bool tree_weight(const struct net *net, uint16_t facet, unsigned level, uint64_t *area_id,
		 uint32_t weight[2], unsigned *own_bit)
{
	const struct facet *f = facet_at(net, facet);
	unsigned i;

	for (i = 0; i + 1u < f->chain.n; i++) {
		const struct rec *c = facet_rec(net, f, i), *p;

		if (c->top != level)
			continue;
		p = facet_rec(net, f, i + 1);
		if (!p->child[1 - c->bit].id || !route_sibling_exists(net, facet, level))
			return false;
		*area_id = p->line;      /* who succeeds it keeps its keys */
		/* no leaf answers for others, as long as there is anybody else */
		weight[0] = anchors(&p->child[0]);
		weight[1] = anchors(&p->child[1]);
		*own_bit = c->bit;
		return true;
	}
	return false;
}

int tree_area_base(const struct net *net, uint16_t facet, uint64_t area)
{
	const struct facet *f = facet_at(net, facet);
	unsigned i;

	for (i = 0; i < f->chain.n; i++)
		if (facet_rec(net, f, i)->line == area)
			return facet_rec(net, f, i)->base;
	return -1;
}

uint64_t tree_sibling_id(const struct net *net, uint16_t facet, unsigned level)
{
	const struct facet *f = facet_at(net, facet);
	unsigned i;

	for (i = 0; i + 1u < f->chain.n; i++) {
		const struct rec *c = facet_rec(net, f, i);

		if (c->top == level)
			return facet_rec(net, f, i + 1)->child[1 - c->bit].id;
	}
	return 0;
}

/* The block of a facet at levels 3, 6, 9 ... is an area: the highest that is not larger.
 * One that is nearly the whole network is not worth records of its own. */
unsigned tree_scopes(const struct net *net, uint16_t facet, struct tree_scope out[TREE_SCOPES_MAX])
{
	const struct facet *f = facet_at(net, facet);
	const struct rec *root = facet_root_rec(net, f);
	unsigned n = 0, i = 0, level;

	if (!root)
		return 0;
	for (level = TREE_SCOPE_STEP; level + 1 < root->base; level += TREE_SCOPE_STEP) {
		const struct rec *r;

		while (i + 1u < f->chain.n && facet_rec(net, f, i + 1)->base <= level)
			i++;
		r = facet_rec(net, f, i);
		if (r->base > 0 && (n == 0 || out[n - 1].area != r->line))
			out[n++] = (struct tree_scope){ r->line, r->id, r->base };
		PN_ASSERT(n < TREE_SCOPES_MAX);
	}
	out[n++] = (struct tree_scope){ root->line, root->id, root->base };
	return n;
}
