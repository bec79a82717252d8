/* SPDX-License-Identifier: ISC */
/* route_use.c - routes as forwarding, the tree and lookups ask for them */
#include "pnstackd/net/circle.h"
#include "pnstackd/net/route_int.h"

int route_leader_hop(struct net *net, struct facet *f, uint64_t area)
{
	struct dest *d = dest_find(f, DEST_LEADER, area);

	if (chain_rec(net, &f->chain, 0)->id == area)
		return -2;               /* our own leaf */
	if (!d)
		return -1;
	if (d->own)
		return -2;
	return d->selected ? (int)via_at(net, d->selected)->adj : -1;
}

const struct sib *route_sib(const struct net *net, const struct facet *f, unsigned i,
			    const struct rec_child *listed)
{
	struct dest *d = dest_find(f, DEST_SIBLING, facet_rec(net, f, i)->line);
	const struct sib *best = NULL;
	bool best_listed = false;

	if (!d)
		return NULL;
	/* While a slot is being split, borders may still show the old, smaller area. */
	for_each_via(net, d, v) {
		const struct sib *s = via_sib(net, v);
		bool is = s->id == listed->id && s->leader == listed->leader;

		if (!via_heard(f, v) || (!route_via_feasible(net, f, d, v) &&
					 via_ref(net, v) != d->selected))
			continue;
		if (best && (s->base < best->base ||
			     (s->base == best->base && (best_listed || !is))))
			continue;
		best = s;
		best_listed = is;
	}
	return best;
}

uint64_t route_sibling_line(const struct net *net, uint16_t facet, unsigned level)
{
	const struct dest *d = dest_at_level(net, facet, level);

	return d ? d->area : 0;
}

bool route_shared(const struct net *net, uint32_t adj, unsigned level)
{
	const struct facet *f = nb_facet(net, adj);
	const struct dest *d = f ? dest_at_level(net, f->index, level) : NULL;
	int i = d ? dest_index(net, f, d) : -1;

	return i >= 0 && net->ctl->nbs[adj].ready && net->ctl->nbs[adj].inside >> i & 1;
}

void route_shun(struct net *net, uint16_t facet, uint32_t adj, struct pn_time now)
{
	struct facet *f = facet_at(net, facet);

	for (unsigned i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];
		struct via *v = d->area ? via_find(net, d, adj) : NULL;

		if (!v || v->shunned == dest_shuns(net, d, adj))
			continue;
		v->shunned = !v->shunned;
		route_changed(net, f, d, now);
	}
}

bool route_sibling_exists(const struct net *net, uint16_t facet, unsigned level)
{
	return dest_alive(dest_at_level(net, facet, level));
}

/* No route that is sure to be free of loops, until the source answers: then one that may be a
 * loop.  If it is, packets come back, and it is shunned (circle.c). */
static int route_desperate(const struct net *net, const struct facet *f, const struct dest *d)
{
	const struct via *best = NULL;

	for_each_via(net, d, v)
		if (via_heard(f, v) &&
		    (!best || route_via_total(net, v) < route_via_total(net, best)))
			best = v;
	return best ? (int)best->adj : -1;
}

int route_hop(const struct net *net, uint16_t facet, unsigned level, uint16_t flow)
{
	struct facet *f = facet_at(net, facet);
	struct dest *d = dest_at_level(net, facet, level);
	const struct via *best;
	uint32_t weight, w;

	if (!d)
		return -1;
	if (!d->selected)
		return route_desperate(net, f, d);
	/* Equal costs share the load by flow; nearly equal ones, too: what measured round
	 * trips differ by, but only if the neighbour is nearer than we are.  Feasible is not
	 * enough: two neighbours with routes to different borders might use each other's. */
	best = via_at(net, d->selected);
	weight = flow_weight(flow, best->adj);
	for_each_via(net, d, v) {
		if (route_via_total(net, v) > d->metric + NEARLY_EQUAL ||
		    (!v->direct && v->metric >= d->metric) ||
		    !route_via_feasible(net, f, d, v))
			continue;
		w = flow_weight(flow, v->adj);
		if (w > weight) {
			best = v;
			weight = w;
		}
	}
	return (int)best->adj;
}

uint32_t route_metric(const struct net *net, uint16_t facet, unsigned level)
{
	const struct dest *d = dest_at_level(net, facet, level);

	return d && d->selected ? d->metric : NET_METRIC_INF;
}

int route_alternate(const struct net *net, uint16_t facet, unsigned level, int not)
{
	struct facet *f = facet_at(net, facet);
	struct dest *d = dest_at_level(net, facet, level);
	const struct via *best = NULL;

	if (!d)
		return -1;
	for_each_via(net, d, v)
		if ((int)v->adj != not && route_via_feasible(net, f, d, v) &&
		    (!best || route_via_total(net, v) < route_via_total(net, best)))
			best = v;
	return best ? (int)best->adj : -1;
}
