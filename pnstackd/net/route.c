/* SPDX-License-Identifier: ISC */
/* route.c - distance vector to siblings and leaders
 *
 * Theory of operation
 *
 * A facet has a destination for each area of its chain above the leaf (the
 * area's leader) and for each area below the root (its sibling).  A route to
 * either is told only to neighbours inside that area: the state of a node grows
 * with the height of the tree, not with the number of nodes.
 *
 * This is Babel (RFC 8966) without its periodic updates, because the channel
 * between neighbours is reliable and in order:
 *  - a source is (destination, router): the leader of the area, or a border node
 *    with a neighbour inside the sibling.  It owns a sequence number;
 *  - what a neighbour advertises is kept for every neighbour (struct via), and it
 *    is feasible if its sequence number is newer than, or its metric smaller than,
 *    what we ever advertised ourselves for that source (struct fd; 3.5.1).  Only
 *    feasible routes are chosen, so there is no loop;
 *  - when only unfeasible ones are left, or the one in use is about to become so, the source is
 *    asked for a newer number (3.8.1.2); the request follows the selected routes towards it;
 *  - what is gone is retracted at once (metric NET_METRIC_INF); what only became dearer than
 *    may be believed, and nothing else is there, waits RISE_NS for the newer number.  What was told
 *    before stands meanwhile; that makes no loop, since who is used by us has told the same
 *    source and number, and is nearer by these.  (Otherwise a border link that costs a little
 *    more takes the route away from a whole area for a moment.)
 * A border's own direct neighbours in the sibling are vias as well, with the border
 * as the source and nothing to be compared: they cannot loop.  If these get dearer it tells so
 * under a new number.
 *
 * Where a table is full, what a neighbour tells counts as not told, and a WANT asks for it
 * again every AGAIN_NS until there is room: neighbours tell changes only.
 *
 * A leader raises its number every BEAT_NS * 2^(level/2).  If a route to a leader
 * has not seen a new number for several beats it is dropped: the backstop for
 * whatever retraction does not reach.
 *
 * What is told is built in route_tell.c.  Route entry: kind and flags 1 (bit 0: sibling) | area 8 |
 * router 8 | seqno 2 | metric 2 | and for a sibling: id 8 | leader 8 | epoch 4 | base 1 | count 1
 */
#include "pnstackd/net/route_int.h"

#include <string.h>

#define HOLD_NS PN_S(2)          /* so long must a slightly better route stay better, */
#define HOLD_MARGIN (NET_COST_UNIT * 3 / 4) /* which is one that is better by less than this */
#define RISE_NS PN_MS(400)
#define FLOOR_NS PN_S(10)
#define SHUN_COST (1024 * NET_COST_UNIT)
#define BEATS_MISSED 4           /* at most a factor of four of silence */

/* Vias ------------------------------------------------------------------ */

/* There was no room for something of a neighbour's: soon once more */
void route_lost(struct net *net, uint32_t adj)
{
	struct nb *nb = &net->ctl->nbs[adj];

	if (!nb->lost)
		nb->lost_at = pn_time_add(net->now, AGAIN_NS);
	nb->lost = true;
	facet_poke(net, facet_at(net, nb->facet), nb->lost_at);
}

struct via *via_have(struct net *net, struct dest *d, uint32_t adj)
{
	struct via *v = via_find(net, d, adj);
	struct ctl *c = net->ctl;
	uint16_t ref = c->via_free;

	if (v)
		return v;
	if (ref) {
		c->via_free = via_at(net, ref)->next;
	} else if (c->via_fresh < c->via_max) {
		ref = ++c->via_fresh;
	} else {
		count(net, via_full);
		route_lost(net, adj);
		return NULL;
	}
	v = via_at(net, ref);
	memset(v, 0, sizeof(*v));
	v->adj = (uint16_t)adj;
	v->metric = NET_METRIC_INF;
	v->shunned = dest_shuns(net, d, adj);
	v->next = d->vias;
	d->vias = ref;
	return v;
}

static void via_drop(struct net *net, struct dest *d, uint32_t adj)
{
	uint16_t *at = &d->vias;

	while (*at) {
		struct via *v = via_at(net, *at);
		uint16_t ref = *at;

		if (v->adj != adj) {
			at = &v->next;
			continue;
		}
		if (d->selected == ref) {
			d->selected = 0;
			d->switch_at = PN_TIME_NEVER;
		}
		intern_drop(&net->ctl->routers, v->router);
		intern_drop(&net->ctl->sibs, v->sib);
		*at = v->next;
		v->next = net->ctl->via_free;
		net->ctl->via_free = ref;
		return;
	}
}

/* Note what a neighbour tells of, or (@router 0) what it is.  Return: false: no room, it is as
 * if it had told nothing */
static bool via_hear(struct net *net, struct via *v, uint64_t router, const struct sib *s)
{
	struct ctl *c = net->ctl;
	uint16_t r = intern_put(&c->routers, &router), sib = intern_put(&c->sibs, s);
	bool no_router = router && !r, no_sib = s->id && !sib;

	intern_drop(&c->routers, v->router);
	intern_drop(&c->sibs, v->sib);
	v->router = r;
	v->sib = sib;
	v->tx_want = v->lost = false;
	if (!no_router && !no_sib)
		return true;
	if (no_router)
		count(net, router_full);
	if (no_sib)
		count(net, sib_full);
	intern_drop(&c->routers, v->router);
	intern_drop(&c->sibs, v->sib);
	v->router = v->sib = 0;
	v->lost = !router || v->metric < NET_METRIC_INF;
	v->metric = NET_METRIC_INF;
	if (v->lost)
		route_lost(net, v->adj);
	return false;
}

/* Destinations ------------------------------------------------------------- */

struct dest *dest_find(const struct facet *f, enum dest_kind kind, uint64_t area)
{
	unsigned i;

	for (i = 0; i < f->dest_high; i++)
		if (f->dests[i].area == area && f->dests[i].kind == kind)
			return &f->dests[i];
	return NULL;
}

int dest_index(const struct net *net, const struct facet *f, const struct dest *d)
{
	unsigned i;

	if (d->kind == DEST_LEADER)
		return chain_find(net, &f->chain, d->area);
	for (i = 0; i < f->chain.n; i++)
		if (facet_rec(net, f, i)->line == d->area)
			return (int)i;
	return -1;
}

const struct fd *route_fd(const struct dest *d, uint16_t router)
{
	unsigned i;

	for (i = 0; i < FD_MAX && d->fd[i].router; i++)
		if (d->fd[i].router == router)
			return &d->fd[i];
	return NULL;
}

static bool source_lives(const struct net *net, const struct dest *d, uint16_t router)
{
	for_each_via(net, d, v)
		if (!v->direct && v->router == router && v->metric < NET_METRIC_INF)
			return true;
	return false;
}

/* The distance for a source has the @i-th place, and gets the @to-th before that.  The first one is
 * that of the route in use. */
static void fd_set(struct dest *d, unsigned i, unsigned to, struct fd fd)
{
	memmove(&d->fd[to + 1], &d->fd[to], (i - to) * sizeof(d->fd[0]));
	d->fd[to] = fd;
}

/* Room for one more source: that of one of which nobody tells any more, if there is one,
 * and the longest unused.  Its distance is not forgotten at once: for FLOOR_NS a source
 * that we do not know must be nearer than all that went.  Return: its place */
static unsigned fd_room(struct net *net, struct dest *d)
{
	unsigned i = FD_MAX - 1;

	if (!d->fd[i].router)
		return i;
	while (i > 0 && source_lives(net, d, d->fd[i].router))
		i--;
	if (i == 0 && source_lives(net, d, d->fd[0].router))
		i = FD_MAX - 1;
	if (pn_time_due(d->floor_until, net->now) || d->fd[i].metric < d->fd_floor)
		d->fd_floor = d->fd[i].metric;
	d->floor_until = pn_time_add(net->now, FLOOR_NS);
	intern_drop(&net->ctl->routers, d->fd[i].router);
	return i;
}

void route_fd_adopt(struct net *net, struct dest *d, const struct via *v)
{
	unsigned i = fd_room(net, d), to = d->fd[0].router && i > 0;

	PN_ASSERT(!route_fd(d, v->router));
	fd_set(d, i, to, (struct fd){intern_get(&net->ctl->routers, v->router),
					       v->seqno, v->metric});
}

void route_fd_update(struct net *net, struct dest *d, uint16_t router, uint16_t seqno,
		     uint16_t metric)
{
	const struct fd *known = route_fd(d, router);
	struct fd fd = {router, seqno, metric};

	if (!known) {
		intern_get(&net->ctl->routers, router);
		fd_set(d, fd_room(net, d), 0, fd);
		return;
	}
	if (!seqno_newer(seqno, known->seqno) &&
	    !(seqno == known->seqno && metric < known->metric))
		fd = *known;
	fd_set(d, (unsigned)(known - d->fd), 0, fd);
}

bool route_via_feasible(const struct net *net, const struct facet *f, const struct dest *d,
			const struct via *v)
{
	const struct fd *fd;

	if (v->direct)
		return true;
	if (!via_heard(f, v))
		return false;
	fd = route_fd(d, v->router);
	if (!fd)
		return v->metric < d->fd_floor || pn_time_due(d->floor_until, net->now);
	return seqno_newer(v->seqno, fd->seqno) ||
	       (v->seqno == fd->seqno && v->metric < fd->metric);
}

uint32_t route_via_total(const struct net *net, const struct via *v)
{
	uint32_t m = (v->direct ? 0u : v->metric) + nb_cost(net, v->adj) +
		     (via_last_resort(v) || cut_border(net, v) ? SHUN_COST : 0);

	return m < NET_METRIC_INF ? m : NET_METRIC_INF - 1;
}

/* A route that is a little better waits: metrics that go up and down must not
 * make the whole area hear of it (RFC 8966 A.3).  Return: the one in use stays */
static bool hold_on(struct net *net, struct facet *f, struct dest *d, const struct via *in_use,
		    uint32_t best_total, struct pn_time now)
{
	uint32_t total = route_via_total(net, in_use);

	if (!route_via_feasible(net, f, d, in_use) || total >= best_total + HOLD_MARGIN ||
	    total <= best_total) {
		d->switch_at = PN_TIME_NEVER;
		return false;
	}
	if (pn_time_is_never(d->switch_at))
		d->switch_at = pn_time_add(now, HOLD_NS);
	if (pn_time_due(d->switch_at, now)) {
		d->switch_at = PN_TIME_NEVER;
		return false;
	}
	facet_poke(net, f, d->switch_at);
	return true;
}

/* The route in use became dearer, no more, and there is no other one: what was told stands until the
 * source has answered with a newer number.  Return: so it is */
static bool rise_waits(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	const struct via *v = d->selected ? via_at(net, d->selected) : NULL;
	struct pn_time end = pn_time_add(now, RISE_NS);

	if (!v || v->direct || !via_heard(f, v) || v->metric >= SHUN_COST || via_last_resort(v) ||
	    d->fd[0].router != v->router || d->fd[0].seqno != v->seqno ||
	    pn_time_due(d->switch_at, now))
		return false;            /* hold_on() forgets when */
	d->switch_at = pn_time_min(d->switch_at, end);
	facet_poke(net, f, d->switch_at);
	route_request(net, f, d, now);
	return true;
}

/* Choose the best feasible route; the one in use stays among equals. */
static void dest_select(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	struct via *best = NULL;
	uint32_t best_total = NET_METRIC_INF;
	bool starving = false, resort;

	if (d->own && d->kind == DEST_LEADER)
		return;
	for_each_via(net, d, v) {
		uint32_t total;

		if (!route_via_feasible(net, f, d, v)) {
			starving |= via_heard(f, v);
			continue;
		}
		total = route_via_total(net, v);
		if (total < best_total || (total == best_total && via_ref(net, v) == d->selected)) {
			best = v;
			best_total = total;
		}
	}
	if ((!best || via_last_resort(best)) && rise_waits(net, f, d, now))
		return;
	if (d->selected && hold_on(net, f, d, via_at(net, d->selected), best_total, now)) {
		best = via_at(net, d->selected);
		best_total = route_via_total(net, best);
	}
	if (best && best->direct && d->own && best_total > d->metric)
		d->seqno++;              /* so nobody finds it unfeasible */
	d->selected = via_ref(net, best);
	d->metric = (uint16_t)best_total;
	d->own = d->kind == DEST_SIBLING && best && best->direct;
	if (best) {
		d->had = true;
		d->lost_at = PN_TIME_NEVER;
		if (!via_last_resort(best))
			d->requests = 0;
		if (!best->direct) {
			route_fd_update(net, d, best->router, best->seqno, d->metric);
			route_refresh(net, d, best, now);
		}
	} else {
		if (pn_time_is_never(d->lost_at)) {
			d->lost_at = now;
			facet_poke(net, f, now);
		}
	}
	resort = best && via_last_resort(best);
	route_doubt(net, d, resort && !best->direct, now);
	if ((starving && (!best || resort)) || route_doubts(d, now))
		route_request(net, f, d, now);
}

void route_changed(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	dest_select(net, f, d, now);
	part_changed(f);
	for_each_nb(net, f, a)
		net->ctl->nbs[a].tx_dirty = true;
	facet_poke(net, f, now);
}

static uint64_t beat_ns(const struct net *net, const struct facet *f, uint64_t area)
{
	int i = chain_find(net, &f->chain, area);
	unsigned level = i > 0 ? facet_rec(net, f, (unsigned)i)->base : 0;

	return BEAT_NS << (level / 2);
}

static struct via *want_again(struct net *net, const struct facet *f, struct dest *d, uint32_t adj)
{
	struct nb *nb = &net->ctl->nbs[adj];
	int own = dest_index(net, f, d);
	struct via *v;

	if (!nb->ready || own < 0 || !(nb->inside >> own & 1))
		return NULL;
	v = via_have(net, d, adj);
	if (v)
		v->tx_want = true;
	/* whether there is room or not: what it told before may be wrong by now */
	if (d->kind == DEST_SIBLING)
		part_want(net, adj);
	nb->tx_dirty = true;
	return v;
}

static struct dest *dest_add(struct net *net, struct facet *f, enum dest_kind kind, uint64_t area,
			     struct pn_time now)
{
	unsigned i;

	for (i = 0; i < net->ctl->dest_max; i++) {
		struct dest *d = &f->dests[i];

		if (d->area)
			continue;
		if (f->dest_high <= i)
			f->dest_high = (uint8_t)(i + 1);
		memset(d, 0, sizeof(*d));
		d->area = area;
		d->kind = (uint8_t)kind;
		d->metric = NET_METRIC_INF;
		d->lost_at = now;
		d->next_beat = d->switch_at = d->ghost_at = PN_TIME_NEVER;
		/* Neighbours may have told us before we were in that area. */
		for_each_nb(net, f, a)
			want_again(net, f, d, a);
		if (kind == DEST_SIBLING)
			part_start(net, f, d);
		return d;
	}
	count(net, dest_full);
	return NULL;
}

static void dest_del(struct net *net, struct facet *f, struct dest *d)
{
	unsigned i;

	if (d->kind == DEST_SIBLING)
		part_stop(net, f, d);
	while (d->vias)
		via_drop(net, d, via_at(net, d->vias)->adj);
	for (i = 0; i < FD_MAX; i++)
		intern_drop(&net->ctl->routers, d->fd[i].router);
	memset(d, 0, sizeof(*d));
}

bool route_init(struct net *net, struct facet *f)
{
	f->router = intern_put(&net->ctl->routers, &f->node_id);
	if (!f->router)
		count(net, router_full);
	return f->router != 0;
}

void route_fini(struct net *net, struct facet *f)
{
	while (f->dest_high > 0)
		dest_del(net, f, &f->dests[--f->dest_high]);
	intern_drop(&net->ctl->routers, f->router);
	f->router = 0;
}

/* A neighbour's place changed: is it in the sibling itself, or in the area still? */
static bool dest_on_chain(struct net *net, struct facet *f, struct dest *d, uint32_t adj)
{
	const struct nb *nb = &net->ctl->nbs[adj];
	int own = dest_index(net, f, d);
	const struct adj_pub *p = adj_peek(net, adj);
	bool direct = d->kind == DEST_SIBLING && nb->ready && nb->common < nb->chain.n &&
		      /* a leaf: only if it is all there is */
		      (nb->common == 1 || !p || !p->leaf) &&
		      nb->common > 0 && nb->common_own > 0 &&
		      nb->common_own - 1 == own &&
		      /* while a slot is split it may show the new area that we are in, too */
		      facet_rec(net, f, nb->common_own - 1u)->bit !=
			      chain_rec(net, &nb->chain, nb->common - 1u)->bit;
	bool inside = nb->ready && own >= 0 && nb->inside >> own & 1;
	struct via *v = via_find(net, d, adj);
	bool changed;

	if (!direct && !inside) {
		via_drop(net, d, adj);
		return v != NULL;
	}
	if (inside && (!v || (v->direct && !direct))) {
		/* it may have been inside before, told and been told; or told before we knew */
		v = want_again(net, f, d, adj);
		if (!v)
			return false;
		v->tx_open = true;
	}
	changed = !v || v->direct != direct;
	if (direct) {
		const struct rec *y = chain_rec(net, &nb->chain, nb->common - 1u);
		struct sib s = {y->id, y->leader, y->epoch, y->base, y->count, 0};

		v = via_have(net, d, adj);
		if (!v)
			return false;
		changed |= v->sib != intern_find(&net->ctl->sibs, &s);
		direct = via_hear(net, v, 0, &s);
	}
	v->direct = direct;
	return changed;
}

void route_on_chain(struct net *net, struct facet *f, uint32_t adj, struct pn_time now)
{
	unsigned i;

	for (i = 0; i < f->dest_high; i++)
		if (f->dests[i].area && dest_on_chain(net, f, &f->dests[i], adj))
			route_changed(net, f, &f->dests[i], now);
}

static bool dest_wanted(const struct net *net, const struct facet *f, const struct dest *d)
{
	int i = dest_index(net, f, d);

	if (i < 0)
		return false;
	return d->kind == DEST_LEADER ? i > 0 : facet_rec(net, f, (unsigned)i)->parent != 0;
}

static void dest_lead(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	if (d->own)
		return;
	d->own = true;
	d->selected = 0;
	d->metric = 0;
	d->lost_at = d->switch_at = PN_TIME_NEVER;
	d->next_beat = pn_time_add(now, beat_ns(net, f, d->area));
}

/* Forwarding asks by level: one step instead of a search. */
static void level_index(const struct net *net, struct facet *f)
{
	unsigned i;

	memset(f->by_level, 0, sizeof(f->by_level));
	for (i = 0; i + 1 < f->chain.n; i++) {
		const struct rec *r = facet_rec(net, f, i);
		const struct dest *d = dest_find(f, DEST_SIBLING, r->line);

		if (d && r->top < PN_ARRAY_LEN(f->by_level))
			f->by_level[r->top] = (uint8_t)(d - f->dests + 1);
	}
}

static void fit_again(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	bool changed = false;

	if (dest_index(net, f, d) < 0)
		return;
	for_each_via(net, d, v)
		changed |= route_judge(net, f, d, v);
	if (changed)
		route_changed(net, f, d, now);
}

/* The sibling of an area.  If it hangs elsewhere now (balance.c) it is another one, and has
 * not been missing for long. */
static void dest_beside(struct net *net, struct facet *f, const struct rec *r, struct pn_time now)
{
	struct dest *d = dest_find(f, DEST_SIBLING, r->line);

	if (!d)
		d = dest_add(net, f, DEST_SIBLING, r->line, now);
	if (!d || d->level == r->top)
		return;
	d->level = r->top;
	d->had = dest_alive(d);
	if (!d->had)
		d->lost_at = now;
}

/* Our chain changed: the destinations follow it. */
void route_sync_dests(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	for (i = 0; i < f->dest_high; i++)
		if (f->dests[i].area && !dest_wanted(net, f, &f->dests[i]))
			dest_del(net, f, &f->dests[i]);
	for (i = 0; i < f->chain.n; i++) {
		const struct rec *r = facet_rec(net, f, i);
		struct dest *d;

		if (r->parent)
			dest_beside(net, f, r, now);
		if (i == 0)
			continue;
		d = dest_find(f, DEST_LEADER, r->id);
		if (!d)
			d = dest_add(net, f, DEST_LEADER, r->id, now);
		if (d && r->leader == f->node_id)
			dest_lead(net, f, d, now);
		else if (d && !d->had && pn_time_since(now, d->lost_at) < UNMET_NS)
			facet_poke(net, f, pn_time_add(d->lost_at, UNMET_NS));
	}
	for_each_nb(net, f, a)
		route_on_chain(net, f, a, now);
	for (i = 0; i < f->dest_high; i++)
		if (f->dests[i].area)
			fit_again(net, f, &f->dests[i], now);
	level_index(net, f);
}

void route_neighbour_gone(struct net *net, struct facet *f, uint32_t adj, struct pn_time now)
{
	unsigned i;

	for (i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];

		if (!d->area || !via_find(net, d, adj))
			continue;
		via_drop(net, d, adj);
		route_changed(net, f, d, now);
	}
}

void route_on_cost(struct net *net, struct facet *f, uint32_t adj, struct pn_time now)
{
	unsigned i;

	for (i = 0; i < f->dest_high; i++)
		if (f->dests[i].area && via_find(net, &f->dests[i], adj))
			route_changed(net, f, &f->dests[i], now);
}

/* Beats and repeated requests ------------------------------------------------ */

/* What there was no room for: look at a neighbour in the sibling again, ask the others. */
static void lost_again(struct net *net, struct facet *f, struct pn_time now)
{
	for_each_nb(net, f, a) {
		struct nb *nb = &net->ctl->nbs[a];

		if (!nb->lost)
			continue;
		if (!pn_time_due(nb->lost_at, now)) {
			facet_poke(net, f, nb->lost_at);
			continue;
		}
		nb->lost = false;
		nb->tx_dirty = true;
		if (part_has_room(net))
			part_want(net, a);
		for (unsigned i = 0; i < f->dest_high; i++) {
			struct via *v = f->dests[i].area ? via_find(net, &f->dests[i], a) : NULL;

			if (v && v->lost)
				v->tx_want = true;
		}
		route_on_chain(net, f, a, now);
	}
}

static void forget_source(struct net *net, struct dest *d)
{
	for_each_via(net, d, v)
		if (!v->direct)
			v->metric = NET_METRIC_INF;
}

void route_duties(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	lost_again(net, f, now);
	for (i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];

		if (!d->area)
			continue;
		if (pn_time_due(d->next_beat, now)) {
			if (d->own) {
				d->seqno++;
				d->next_beat = pn_time_add(now, beat_ns(net, f, d->area));
			} else {
				d->next_beat = PN_TIME_NEVER;
				forget_source(net, d);
			}
			route_changed(net, f, d, now);
		}
		if (pn_time_due(d->ghost_at, now))
			route_disbelieve(net, f, d, now);
		if (pn_time_due(d->switch_at, now))
			route_changed(net, f, d, now);
		if (!d->own && route_may_ask(d, now) &&
		    (!d->selected || via_last_resort(via_at(net, d->selected))))
			dest_select(net, f, d, now);
		facet_poke(net, f, d->next_beat);
		facet_poke(net, f, route_doubt_look(d, now));
		/* A last resort in use is asked for when it is doubted. */
		if (!d->own && !d->selected && d->requests && pn_time_before(now, d->next_request))
			facet_poke(net, f, d->next_request);
	}
}

/* Updates ------------------------------------------------------------------------ */

void route_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		    struct pn_time now)
{
	unsigned kind = pn_rd_u8(rd) & 1;
	uint64_t area = pn_rd_u64(rd), router = pn_rd_u64(rd);
	uint16_t seqno = pn_rd_u16(rd), metric = pn_rd_u16(rd);
	struct sib s = {0};
	struct dest *d;
	struct via *v;

	if (kind == DEST_SIBLING) {
		s.id = pn_rd_u64(rd);
		s.leader = pn_rd_u64(rd);
		s.epoch = pn_rd_u32(rd);
		s.base = pn_rd_u8(rd);
		s.count = pn_rd_u8(rd);
	}
	if (rd->bad || !area)
		return;
	d = dest_find(f, kind, area);
	v = d ? via_have(net, d, adj) : NULL;
	if (!v)
		return;                  /* not in that area (any more); we ask if we ever are */
	count(net, route_updates);
	if (v->direct)
		return;                  /* it is in the sibling itself: an old entry */
	if (d->kind == DEST_LEADER && !d->own && (seqno_newer(seqno, v->seqno) || !v->router))
		d->next_beat = pn_time_add(now, beat_ns(net, f, area) * BEATS_MISSED);
	v->raised |= !v->router || via_router(net, v) != router || seqno_newer(seqno, v->seqno);
	v->seqno = seqno;
	v->metric = metric;
	(void)via_hear(net, v, router, &s);
	(void)route_judge(net, f, d, v);
	if ((v->unfit || v->cheap) && d->kind == DEST_LEADER)
		count(net, route_bad_source);
	else if (v->unfit || v->cheap)
		count(net, route_bad_sibling);
	route_changed(net, f, d, now);
}
