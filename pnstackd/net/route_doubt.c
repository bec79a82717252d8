/* SPDX-License-Identifier: ISC */
/* route_doubt.c - routes that are not believed, or not for long
 *
 * Theory of operation
 *
 * What a neighbour tells is bounded by what our own records tell of the area: what does not fit is
 * no route.  A last resort is one that costs less than any can, or whose neighbour had packets
 * come back (circle.c) or not arrive (guard.c).
 *
 * A last resort in use is believed for GHOST_NS.  In the second half of that its source is asked for newer numbers, and if none has
 * come it counts as unfeasible, until one comes.  Otherwise liars could keep what has died, or has
 * gone elsewhere, by saying the same for ever.  (Who makes numbers up still can, they are not
 * signed; and who takes his word back for a moment in time.)
 */
#include "pnstackd/net/circle.h"
#include "pnstackd/net/guard.h"
#include "pnstackd/net/route_int.h"

#define GHOST_NS PN_S(8)

/* Packets tell only of routes to siblings; who lied there is not believed of leaders either. */
bool dest_shuns(const struct net *net, const struct dest *d, uint32_t adj)
{
	return guard_avoids(net, adj) ||
	       circle_shuns(net, d->kind == DEST_SIBLING ? d->area : CIRCLE_ALL, adj);
}

/* What our own record of an area tells bounds what a neighbour may claim of its leader or
 * its sibling.  Until a changed record has come round the two may not fit. */
static bool via_fits(const struct net *net, const struct rec *r, const struct dest *d,
		     const struct via *v)
{
	const struct sib *s = via_sib(net, v);

	if (d->kind == DEST_LEADER)
		return via_router(net, v) == r->leader;
	return s->id && s->leader && s->id != r->id && s->base <= r->top &&
	       rec_count_value(s->count) >> pn_min(s->base, 31) <= 1;
}

/* Each link costs 1 at least: the border's into the sibling, and all up to here.  Who says
 * less lies.  Not to use such a route at all would cut off those to whom there is no other one,
 * and liars may as well say what is believed. */
static bool via_cheap(const struct net *net, const struct dest *d, const struct via *v)
{
	const struct nb *nb = &net->ctl->nbs[v->adj];
	bool source = nb->ready && chain_rec(net, &nb->chain, 0)->leader == via_router(net, v);

	return v->metric < (d->kind == DEST_SIBLING) + (nb->ready && !source);
}

bool route_judge(const struct net *net, const struct facet *f, const struct dest *d,
		 struct via *v)
{
	int own = dest_index(net, f, d);
	bool told = own >= 0 && !v->direct && v->router && v->metric < NET_METRIC_INF;
	bool unfit = told && !via_fits(net, facet_rec(net, f, (unsigned)own), d, v);
	bool cheap = told && via_cheap(net, d, v);
	bool changed = unfit != v->unfit || cheap != v->cheap;

	v->unfit = unfit;
	v->cheap = cheap;
	return changed;
}

void route_doubt(const struct net *net, struct dest *d, bool resort, struct pn_time now)
{
	if (!resort)
		d->ghost_at = PN_TIME_NEVER;
	if (!resort || !pn_time_is_never(d->ghost_at))
		return;
	d->ghost_at = pn_time_add(now, GHOST_NS);
	for_each_via(net, d, v)
		v->raised = false;
}

bool route_doubts(const struct dest *d, struct pn_time now)
{
	return !pn_time_is_never(d->ghost_at) &&
	       !pn_time_before(pn_time_add(now, GHOST_NS / 2), d->ghost_at);
}

bool route_may_ask(const struct dest *d, struct pn_time now)
{
	return pn_time_due(d->next_request, now) ||
	       (d->requests > ASK_DOUBTS && route_doubts(d, now));
}

void route_disbelieve(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	d->ghost_at = PN_TIME_NEVER;
	for_each_via(net, d, v) {
		if (v->direct || v->raised || !v->router || !via_last_resort(v) ||
		    !route_via_feasible(net, f, d, v))
			continue;
		count(net, route_ghosts);
		route_fd_update(net, d, v->router, v->seqno, 0);
	}
	route_changed(net, f, d, now);
}

struct pn_time route_doubt_look(const struct dest *d, struct pn_time now)
{
	if (pn_time_is_never(d->ghost_at))
		return PN_TIME_NEVER;
	if (!route_doubts(d, now))
		return pn_time_add(now, pn_time_until(now, d->ghost_at) - GHOST_NS / 2);
	return pn_time_min(d->ghost_at, d->next_request);
}
