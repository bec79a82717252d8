/* SPDX-License-Identifier: ISC */
/* route_part.c - routes to parts of siblings
 *
 * Theory of operation
 *
 * A sibling route leads to the nearest border of the sibling, which may be far from where in
 * it a packet really wants to go.  So a facet knows as well how far it is to each of the PARTS
 * blocks of equal size that the sibling's block has, over whatever border is best for that
 * one.  That is a fixed number of metrics for each level: the state of a node still grows
 * with the height of the tree only.
 *
 * The metrics are told along with the routes (ENTRY_PART), by two kinds of neighbours:
 *  - one inside the sibling tells how far it is from there to each part of the area that it
 *    is in and we are not: nothing for its own part, what its own sibling routes and routes
 *    to parts cost for the others.  So parts of large areas are made from those of smaller;
 *  - one inside our own area tells how far it is from there to each part of our sibling.
 *
 * Plain distance vector would count to infinity, and packets circle meanwhile.  As in EIGRP
 * (RFC 7868, 3.5) a neighbour inside our area is feasible only if what it told is less than the
 * least that we told or used ourselves (fd): along each way that least falls, strictly, so
 * there is no loop at any moment.  Unlike siblings (route.c) parts have no sequence numbers,
 * because nobody depends on them: when only unfeasible neighbours are left the route is taken
 * back, and after HOLD_NS, when nobody has a way over us any more, any neighbour will do
 * again.  Until then packets follow the sibling route.
 *
 * Whoever sends a packet on by the sibling route although it is for a part says so in the
 * packet (NET_HDR_F_PLAIN), and then all do until it is in the sibling: it changes from one
 * kind of route to the other at most once for each level.
 *
 * What is meant by the parts depends on the height of the sibling (base).  What was told
 * for another one than we see waits until we see that.
 *
 * Whoever begins anew, because it came into the area again, has forgotten what it told. What a
 * neighbour still believes of that may lead back to it: so it is void, unless told again.
 *
 * ENTRY_PART: flags 1 (bit 0: tell me all again, and forget what I told) | and for each area
 *   level 1 | check 2 | base 1 | metric 2 of each part
 * level is where our own area hangs, check the last bytes of its line; PART_INSIDE: the area
 * that the sender is in and the receiver is beside.
 */
#include "pnstackd/net/circle.h"
#include "pnstackd/net/route_int.h"

#define PART_INSIDE 255u
#define PART_AGAIN 1u
#define ITEM_LEN (4 + 2 * PARTS)
#define TOLD_UNKNOWN 255u        /* told_base: it may believe anything: is told of no way, too */
#define HOLD_NS PN_S(5)
#define LOOK_NS PN_MS(100)       /* between two looks at all: what changes is told together */
#define MARGIN (NET_COST_UNIT / 2) /* what changed by less is not told */

void part_carve(struct ctl *c, struct arena *a)
{
	struct parts *parts = arena_take(a, (size_t)c->facet_max * (c->dest_max / 2u),
					 sizeof(*parts));

	/* Half of the others are to leaders; and these here may be wanting for a moment. */
	c->part_via_max = (uint16_t)(c->via_max / 3);
	c->part_vias = arena_take(a, c->part_via_max, sizeof(*c->part_vias));
	c->part_nbs = arena_take(a, c->nb_max, sizeof(*c->part_nbs));
	c->parts = parts;
}

static struct parts *parts_at(const struct net *net, const struct facet *f, unsigned i)
{
	PN_ASSERT(i < net->ctl->dest_max / 2u);
	return &net->ctl->parts[(size_t)f->index * (net->ctl->dest_max / 2u) + i];
}

/* Return: NULL: not a sibling, or there was no room */
static struct parts *parts_of(const struct net *net, const struct facet *f, const struct dest *d)
{
	return d && d->area && d->parts ? parts_at(net, f, d->parts - 1u) : NULL;
}

/* The part of its area that an address is in */
static unsigned part_of(uint64_t addr, unsigned base)
{
	PN_ASSERT(base > 0);
	if (base < PART_BITS)
		return (unsigned)(addr << (PART_BITS - base)) & (PARTS - 1);
	return (unsigned)(addr >> (base - PART_BITS)) & (PARTS - 1);
}

/* Is there a way to any of them? */
static bool finite(const uint16_t metric[PARTS])
{
	for (unsigned i = 0; i < PARTS; i++)
		if (metric[i] < NET_METRIC_INF)
			return true;
	return false;
}

static void metrics_void(uint16_t metric[PARTS])
{
	for (unsigned i = 0; i < PARTS; i++)
		metric[i] = NET_METRIC_INF;
}

/* Vias ------------------------------------------------------------------------- */

static struct part_via *pv_at(const struct net *net, uint16_t ref)
{
	PN_ASSERT(ref != 0);
	return &net->ctl->part_vias[ref - 1];
}

#define for_each_pv(net, p, v) \
	for (struct part_via *v = (p)->vias ? pv_at(net, (p)->vias) : NULL; v; \
	     v = v->next ? pv_at(net, v->next) : NULL)

static struct part_via *pv_find(const struct net *net, const struct parts *p, uint32_t adj)
{
	for_each_pv(net, p, v)
		if (v->adj == adj)
			return v;
	return NULL;
}

static struct part_via *pv_have(struct net *net, struct parts *p, uint32_t adj)
{
	struct part_via *v = pv_find(net, p, adj);
	struct ctl *c = net->ctl;
	uint16_t ref = c->part_via_free;

	if (v)
		return v;
	if (ref) {
		c->part_via_free = pv_at(net, ref)->next;
	} else if (c->part_via_fresh < c->part_via_max) {
		ref = ++c->part_via_fresh;
	} else {
		count(net, part_full);
		route_lost(net, adj);
		return NULL;
	}
	v = pv_at(net, ref);
	*v = (struct part_via){ .next = p->vias, .adj = (uint16_t)adj };
	metrics_void(v->metric);
	metrics_void(v->told);
	p->vias = ref;
	return v;
}

static void pv_drop(struct net *net, struct parts *p, uint32_t adj)
{
	uint16_t *at = &p->vias;

	while (*at) {
		struct part_via *v = pv_at(net, *at);
		uint16_t ref = *at;

		if (v->adj != adj) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		v->next = net->ctl->part_via_free;
		net->ctl->part_via_free = ref;
		return;
	}
}

/* Coming and going -------------------------------------------------------------- */

static void parts_clear(struct parts *p, unsigned base)
{
	unsigned i;

	p->base = (uint8_t)base;
	for (i = 0; i < PARTS; i++) {
		p->metric[i] = p->fd[i] = NET_METRIC_INF;
		p->until_ms[i] = 0;
	}
}

void part_start(struct net *net, struct facet *f, struct dest *d)
{
	unsigned i = 0;

	/* they may have told us before we were in that area, and been told */
	for_each_nb(net, f, a) {
		part_want(net, a);
		net->ctl->nbs[a].tx_dirty = true;
	}
	while (i < net->ctl->dest_max / 2u && parts_at(net, f, i)->used)
		i++;
	if (i == net->ctl->dest_max / 2u) {
		count(net, part_full);
		return;
	}
	d->parts = (uint8_t)(i + 1);
	*parts_of(net, f, d) = (struct parts){ .used = true };
	parts_clear(parts_of(net, f, d), 0);
}

void part_stop(struct net *net, struct facet *f, struct dest *d)
{
	struct parts *p = parts_of(net, f, d);

	if (!p)
		return;
	while (p->vias)
		pv_drop(net, p, pv_at(net, p->vias)->adj);
	p->used = false;
	d->parts = 0;
}

void part_neighbour(struct net *net, uint32_t adj)
{
	struct part_nb *pn = &net->ctl->part_nbs[adj];

	*pn = (struct part_nb){ .base = 0 };
	metrics_void(pn->metric);
	metrics_void(pn->told);
}

void part_neighbour_gone(struct net *net, struct facet *f, uint32_t adj)
{
	unsigned i;

	part_neighbour(net, adj);
	for (i = 0; i < net->ctl->dest_max / 2u; i++)
		if (parts_at(net, f, i)->used)
			pv_drop(net, parts_at(net, f, i), adj);
	part_changed(f);
}

void part_want(struct net *net, uint32_t adj)
{
	net->ctl->part_nbs[adj].want = true;
}

bool part_has_room(const struct net *net)
{
	const struct ctl *c = net->ctl;

	return c->part_via_free || c->part_via_fresh < c->part_via_max;
}

void part_changed(struct facet *f)
{
	f->part_dirty = true;
}

/* Choosing ------------------------------------------------------------------------ */

static uint16_t add(uint32_t metric, uint32_t cost)
{
	return (uint16_t)pn_min(metric + cost, NET_METRIC_INF - 1);
}

/* What a way to a part costs that begins with this neighbour inside the sibling */
static uint16_t direct_total(const struct net *net, const struct parts *p, const struct via *v,
			     unsigned part)
{
	const struct part_nb *pn = &net->ctl->part_nbs[v->adj];

	if (!v->direct || v->shunned || via_sib(net, v)->base != p->base || pn->base != p->base ||
	    pn->metric[part] >= NET_METRIC_INF)
		return NET_METRIC_INF;
	return add(pn->metric[part], nb_cost(net, v->adj));
}

/* The same with one inside our own area */
static uint16_t via_total(const struct net *net, const struct dest *d, const struct parts *p,
			  const struct part_via *v, unsigned part)
{
	if (v->base != p->base || v->metric[part] >= p->fd[part] || dest_shuns(net, d, v->adj))
		return NET_METRIC_INF;
	return add(v->metric[part], nb_cost(net, v->adj));
}

static uint16_t part_best(const struct net *net, const struct dest *d, const struct parts *p,
			  unsigned part, uint16_t *adj)
{
	uint16_t best = NET_METRIC_INF, total;

	for_each_via(net, d, v) {
		total = direct_total(net, p, v, part);
		if (total < best) {
			best = total;
			*adj = v->adj;
		}
	}
	for_each_pv(net, p, v) {
		total = via_total(net, d, p, v, part);
		if (total < best) {
			best = total;
			*adj = v->adj;
		}
	}
	return best;
}

static uint32_t ms(struct pn_time t)
{
	return (uint32_t)(t.ns / PN_MS(1));
}

static bool held(const struct parts *p, unsigned part, struct pn_time now)
{
	return p->until_ms[part] && (int32_t)(p->until_ms[part] - ms(now)) > 0;
}

static void part_select(const struct net *net, const struct dest *d, struct parts *p,
			unsigned part, struct pn_time now)
{
	if (p->until_ms[part] && !held(p, part, now)) {
		p->until_ms[part] = 0;
		p->fd[part] = NET_METRIC_INF;
	}
	p->metric[part] = part_best(net, d, p, part, &p->adj[part]);
	p->fd[part] = pn_min(p->fd[part], p->metric[part]);
	if (p->metric[part] < NET_METRIC_INF)
		p->until_ms[part] = 0;
	else if (!p->until_ms[part] && p->fd[part] < NET_METRIC_INF)
		p->until_ms[part] = ms(pn_time_add(now, HOLD_NS)) | 1;
}

static void parts_select(struct net *net, struct facet *f, const struct dest *d,
			 struct pn_time now)
{
	struct parts *p = parts_of(net, f, d);
	int own = dest_index(net, f, d);
	unsigned base = 0, i;

	if (!p)
		return;
	/* What was told of a sibling that is none of ours (any more) nobody has judged. */
	if (own >= 0 && d->selected)
		base = via_sib(net, via_at(net, d->selected))->base;
	for_each_nb(net, f, a)
		if (own < 0 || !(net->ctl->nbs[a].inside >> own & 1))
			pv_drop(net, p, a);
	if (p->base != base)
		parts_clear(p, base);
	for (i = 0; i < PARTS && base > 0; i++)
		part_select(net, d, p, i, now);
}

/* Return: something has been held for long enough.  What still is: the facet looks then */
static bool hold_over(struct net *net, struct facet *f, struct pn_time now)
{
	bool over = false;
	unsigned i, k;

	for (i = 0; i < net->ctl->dest_max / 2u; i++) {
		const struct parts *p = parts_at(net, f, i);

		for (k = 0; p->used && k < PARTS; k++) {
			if (held(p, k, now))
				facet_poke(net, f, pn_time_add(now, PN_MS(1) * (p->until_ms[k] -
										ms(now))));
			else
				over |= p->until_ms[k] != 0;
		}
	}
	return over;
}

/* What we told a neighbour (@told), or what it told us, is void: it is told again. */
static void forget(struct net *net, const struct facet *f, uint32_t adj, bool told)
{
	struct part_nb *pn = &net->ctl->part_nbs[adj];
	unsigned i;

	metrics_void(told ? pn->told : pn->metric);
	for (i = 0; i < net->ctl->dest_max / 2u; i++) {
		const struct parts *p = parts_at(net, f, i);
		struct part_via *v = p->used ? pv_find(net, p, adj) : NULL;

		if (v)
			metrics_void(told ? v->told : v->metric);
	}
}

/* A neighbour lost what we told it, or not: what it got just after it asked it still believes. */
static void tell_again(struct net *net, const struct facet *f, uint32_t adj)
{
	struct part_nb *pn = &net->ctl->part_nbs[adj];

	if (!pn->again)
		return;
	pn->again = false;
	if (pn->told_base || finite(pn->told))   /* else it was told nothing, ever */
		pn->told_base = TOLD_UNKNOWN;
	for (unsigned i = 0; i < net->ctl->dest_max / 2u; i++) {
		const struct parts *p = parts_at(net, f, i);
		struct part_via *v = p->used ? pv_find(net, p, adj) : NULL;

		if (v)
			v->told_base = TOLD_UNKNOWN;
	}
}

void part_duties(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	f->part_dirty |= hold_over(net, f, now);
	if (!f->part_dirty)
		return;
	if (pn_time_before(now, f->part_at)) {
		facet_poke(net, f, f->part_at);
		return;
	}
	f->part_dirty = false;
	f->part_at = pn_time_add(now, LOOK_NS);
	for (i = 0; i < f->dest_high; i++)
		parts_select(net, f, &f->dests[i], now);
	hold_over(net, f, now);
	for_each_nb(net, f, a) {
		tell_again(net, f, a);
		net->ctl->nbs[a].tx_dirty = true;
	}
}

/* Telling -------------------------------------------------------------------------- */

/* How far it is from here to a part of an area of this base that we are in */
static uint16_t part_within(const struct net *net, const struct facet *f, unsigned base,
			    unsigned part)
{
	unsigned own = part_of(f->addr, base), half = part & 1;
	const struct dest *d;
	const struct parts *p;

	static_assert(PART_BITS == 2, "halves and their halves");
	if (part == own)
		return 0;
	if (part >> 1 == own >> 1) {
		d = base >= 2 ? dest_at_level(net, f->index, base - 2) : NULL;
		return d && d->selected ? d->metric : NET_METRIC_INF;
	}
	d = dest_at_level(net, f->index, base - 1);
	if (!d || !d->selected)
		return NET_METRIC_INF;
	p = parts_of(net, f, d);
	if (via_sib(net, via_at(net, d->selected))->base + 1u < base || base == 1)
		return half ? NET_METRIC_INF : d->metric; /* it fits into one part */
	if (!p || p->base + 1u != base)
		return NET_METRIC_INF;
	return pn_min(p->metric[2 * half], p->metric[2 * half + 1]);
}

static bool differs(const uint16_t told[PARTS], const uint16_t now[PARTS])
{
	unsigned i;

	for (i = 0; i < PARTS; i++)
		if ((told[i] >= NET_METRIC_INF) != (now[i] >= NET_METRIC_INF) ||
		    told[i] > now[i] + MARGIN || now[i] > told[i] + MARGIN)
			return true;
	return false;
}

static void item_write(struct pn_wr *w, unsigned level, uint64_t line, unsigned base,
		       const uint16_t metric[PARTS])
{
	unsigned i;

	pn_wr_u8(w, level);
	pn_wr_u16(w, (uint16_t)line);
	pn_wr_u8(w, base);
	for (i = 0; i < PARTS; i++)
		pn_wr_u16(w, metric[i]);
}

/* To one inside our area: the parts of its sibling.  Return: there was room */
static bool tell_via(struct net *net, struct facet *f, const struct dest *d, uint32_t adj,
		     struct pn_wr *w)
{
	struct parts *p = parts_of(net, f, d);
	struct part_via *v = pv_find(net, p, adj);
	uint16_t now[PARTS], none[PARTS];
	int own = dest_index(net, f, d);
	unsigned i;

	for (i = 0; i < PARTS; i++) {
		none[i] = NET_METRIC_INF;
		now[i] = net->leaf || p->base == 0 || p->adj[i] == adj ? NET_METRIC_INF
								       : p->metric[i];
	}
	if (!differs(v ? v->told : none, now) && (!v || v->told_base == p->base))
		return true;
	if (w->cap - w->len < ITEM_LEN)
		return false;
	v = pv_have(net, p, adj);
	if (!v)
		return true;
	memcpy(v->told, now, sizeof(now));
	v->told_base = p->base;
	item_write(w, facet_rec(net, f, (unsigned)own)->top, d->area, p->base, now);
	return true;
}

/* To one beside an area of ours: the parts of that.  Return: there was room */
static bool tell_within(struct net *net, struct facet *f, uint32_t adj, struct pn_wr *w)
{
	const struct nb *nb = &net->ctl->nbs[adj];
	struct part_nb *pn = &net->ctl->part_nbs[adj];
	uint16_t now[PARTS];
	unsigned base = 0, i;

	if (nb->in_network && nb->common_own > 0 && nb->common_own <= f->chain.n && !net->leaf)
		base = facet_rec(net, f, nb->common_own - 1u)->base;
	for (i = 0; i < PARTS; i++)
		now[i] = base ? part_within(net, f, base, i) : NET_METRIC_INF;
	if (!differs(pn->told, now) &&
	    (pn->told_base == base || (base == 0 && pn->told_base != TOLD_UNKNOWN)))
		return true;
	if (w->cap - w->len < ITEM_LEN)
		return false;
	memcpy(pn->told, now, sizeof(now));
	pn->told_base = (uint8_t)base;
	item_write(w, PART_INSIDE, 0, base, now);
	return true;
}

bool part_build(struct net *net, struct facet *f, uint32_t adj, struct pn_wr *w)
{
	const struct nb *nb = &net->ctl->nbs[adj];
	struct part_nb *pn = &net->ctl->part_nbs[adj];
	size_t start = w->len, at, head;
	bool all;
	unsigned i;

	if (!nb->ready)
		return true;
	if (w->cap - w->len < 4 + ITEM_LEN)
		return false;
	pn_wr_u8(w, ENTRY_PART);
	at = pn_wr_open16(w);
	pn_wr_u8(w, pn->want ? PART_AGAIN : 0);
	if (pn->want)
		forget(net, f, adj, true);
	head = w->len;
	all = tell_within(net, f, adj, w);
	for (i = 0; i < f->dest_high && all; i++) {
		const struct dest *d = &f->dests[i];
		int own = parts_of(net, f, d) ? dest_index(net, f, d) : -1;

		if (own >= 0 && nb->inside >> own & 1)
			all = tell_via(net, f, d, adj, w);
	}
	pn_wr_close16(w, at);
	if (w->len == head && !pn->want)
		w->len = start;          /* no news */
	pn->want = false;
	return all;
}

/* Hearing ---------------------------------------------------------------------------- */

static void on_item(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd)
{
	unsigned level = pn_rd_u8(rd), check = pn_rd_u16(rd), base = pn_rd_u8(rd), i;
	uint16_t metric[PARTS];
	const struct dest *d;
	struct part_via *v;
	struct parts *p;
	int own;

	for (i = 0; i < PARTS; i++)
		metric[i] = pn_rd_u16(rd);
	if (rd->bad)
		return;
	if (level == PART_INSIDE) {
		net->ctl->part_nbs[adj].base = (uint8_t)base;
		memcpy(net->ctl->part_nbs[adj].metric, metric, sizeof(metric));
		return;
	}
	d = dest_at_level(net, f->index, level);
	p = parts_of(net, f, d);
	own = p ? dest_index(net, f, d) : -1;
	if (own < 0 || (uint16_t)d->area != check || !(net->ctl->nbs[adj].inside >> own & 1))
		return;                  /* not both in that area (any more); we ask if we ever are */
	v = finite(metric) ? pv_have(net, p, adj) : pv_find(net, p, adj);
	if (!v)
		return;
	v->base = (uint8_t)base;
	/* Each link costs 1 at least: nobody inside our area is in the sibling. */
	for (i = 0; i < PARTS; i++)
		v->metric[i] = metric[i] ? metric[i] : NET_METRIC_INF;
}

void part_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd)
{
	unsigned flags = pn_rd_u8(rd);

	if (flags & PART_AGAIN) {
		forget(net, f, adj, false);
		net->ctl->part_nbs[adj].again = true;    /* at the next look */
	}
	while (rd->left)
		on_item(net, f, adj, rd);
	if (rd->bad)
		count(net, ctl_malformed);
	part_changed(f);
}

/* Using -------------------------------------------------------------------------------- */

struct choice {
	const struct net *net;
	uint32_t limit;              /* a way may cost so much */
	uint32_t from;               /* an adjacency that is not taken */
	uint16_t flow;
	bool found;
	uint32_t weight;
	struct part_route *out;
};

static void choose(struct choice *c, uint32_t total, uint32_t adj)
{
	const struct adj_pub *a = adj_peek(c->net, adj);
	uint32_t weight = flow_weight(c->flow, adj);

	if (total > c->limit || !a || !a->up || a->suspect || adj == c->from ||
	    (c->found && weight <= c->weight))
		return;
	c->found = true;
	c->weight = weight;
	c->out->adj = adj;
}

bool route_part(const struct net *net, uint16_t facet, unsigned level, uint64_t dst, uint16_t flow,
		uint32_t from, struct part_route *out)
{
	const struct facet *f = facet_at(net, facet);
	const struct dest *d = dest_at_level(net, f->index, level);
	const struct parts *p = parts_of(net, f, d);
	struct choice c = { .net = net, .from = from, .flow = flow, .out = out };
	unsigned part;

	if (!p || p->base == 0)
		return false;
	part = part_of(dst, p->base);
	if (p->metric[part] >= NET_METRIC_INF)
		return false;
	out->metric = p->metric[part];
	out->base = p->base > PART_BITS ? (uint8_t)(p->base - PART_BITS) : 0;
	c.limit = p->metric[part] + NEARLY_EQUAL;
	for_each_via(net, d, v)
		choose(&c, direct_total(net, p, v, part), v->adj);
	for_each_pv(net, p, v)
		choose(&c, via_total(net, d, p, v, part), v->adj);
	return c.found;
}
