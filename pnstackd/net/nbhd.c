/* SPDX-License-Identifier: ISC */
/* nbhd.c - the neighbourhood: addresses at most two links away; what is told of them is
 * made in nbhd_tell.c
 *
 * Theory of operation
 *
 * Sibling routes alone lead to the nearest border of an area, which may be far from
 * where a packet really wants to go.  What makes ways short is to know who is near:
 * each node tells its neighbours the addresses of its own facets and of its
 * neighbours (all of their facets, since these are one place).  Forwarding takes a
 * shortcut to such an address if that lowers the packet's level, strictly.
 *
 * Told are relative addresses: exclusive-ored with that of the sender's first facet,
 * which itself is told relative to the facet at the sender's end of the adjacency,
 * whose address the receiver knows from its chain.  So a change of the prefix above
 * both ends of a relation is no news: when whole networks merge, or an area moves,
 * nothing is told again; and a relative address is short, mostly two bytes.
 *
 * Sending.  There is one list per node, not one per neighbour: a log, in the order of
 * change.  Each entry has a version; what went is an entry, too.  For each neighbour
 * only the version that it was told up to is kept, so news is what stands behind that,
 * and a hub with a thousand neighbours needs a list of a thousand and a thousand
 * numbers.  When the log is full it is compacted; if entries of what went must be
 * dropped before all neighbours have heard of them, those are told to forget all and get
 * the whole list.  Changes are collected for TELL_NS.
 *
 * Receiving.  One index for all: our own facets, neighbours, and what these told, sorted
 * by address.  The nearest place to an address is then next to where a binary search ends.
 * Messages append behind the sorted part; nbhd_tick() puts it in order.  A neighbour may
 * fill at most half of it: nobody alone can crowd out the others; and it may tell no
 * more than NEWS_BURST entries at once, then one each NEWS_NS: the rest is passed over.
 *
 * A wrong entry, old or a lie, costs a packet at most a detour: the level falls with each
 * shortcut (fwd_hop.c).
 *
 * Entry: flags 1 (bit 0: forget what I told you) | base: length 1, bytes | and for each
 * address a byte: bits 0..3 length, bit 6: it is a neighbour's (else one of my own
 * facets), bit 7: it went | relative address, most significant byte first
 */
#include "pnstackd/net/guard.h"
#include "pnstackd/net/nbhd_int.h"

#include <string.h>

#define INDEX_MIN 640           /* entries of the index, and so many more per adjacency */
#define INDEX_PER_ADJ 32
#define INDEX_MAX 32768
#define OWN_MIN 64              /* entries of our own list, and so many more per adjacency */
#define OWN_PER_ADJ 3
#define TELL_NS PN_MS(300)       /* between two changes of our own list */
#define SCAN_MAX 96              /* entries of the index that one search looks at */
#define NEWS_BURST 16384         /* entries that one neighbour may tell at once: a hub's list, */
#define NEWS_NS PN_US(200)       /* and one more each */
#define NEWS_RESET 64            /* to forget all costs so many */
#define COST_STEP (NET_COST_UNIT / 4) /* links whose costs differ by less are as good */
#define TAIL_MAX 1024            /* not in order yet; what goes is searched there one by one */

static void place_move(struct place *e, uint64_t addr)
{
	e->high = (uint32_t)(addr >> 32);
	e->low = (uint32_t)addr;
}

struct nbhd *nbhd_carve(struct arena *a, const struct net_config *cfg, uint32_t facets)
{
	struct nbhd *taken = arena_take(a, 1, sizeof(*taken)), sizing = {0};
	struct nbhd *n = taken ? taken : &sizing;

	uint32_t near = net_limit(cfg->near_max, OWN_MIN + cfg->adj_max * OWN_PER_ADJ);
	uint32_t beyond = net_limit(cfg->beyond_max, INDEX_MIN + cfg->adj_max * INDEX_PER_ADJ);

	n->index_max = (uint32_t)pn_min(beyond, INDEX_MAX);
	n->want_max = facets + near;
	n->log_max = 3 * n->want_max;    /* all went, and as many came */
	n->told_max = cfg->adj_max;
	/* Our own places have room whatever neighbours tell. */
	n->index = arena_take(a, n->index_max + facets + n->told_max, sizeof(*n->index));
	n->want = arena_take(a, n->want_max, sizeof(*n->want));
	n->log = arena_take(a, n->log_max, sizeof(*n->log));
	n->told = arena_take(a, n->told_max, sizeof(*n->told));
	return taken;
}

void nbhd_touch(struct net *net)
{
	struct nbhd *n = nbhd_of(net);

	n->dirty = true;
	n->tell = true;
}

uint32_t nbhd_count(const struct net *net)
{
	return nbhd_of(net)->index_count;
}

/* Shell's sort: in place, bounded whatever neighbours tell, fast if nearly in order. */
void nbhd_sort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	static const uint16_t gaps[] = { 21479, 9548, 4243, 1750, 701, 301, 132, 57, 23, 10, 4, 1 };
	uint8_t *at = base, one[sizeof(struct news)];
	size_t i, j, g;

	PN_ASSERT(size <= sizeof(one));
	for (g = 0; g < PN_ARRAY_LEN(gaps); g++) {
		for (i = gaps[g]; i < n; i++) {
			memcpy(one, at + i * size, size);
			for (j = i; j >= gaps[g] && compare(at + (j - gaps[g]) * size, one) > 0;
			     j -= gaps[g])
				memcpy(at + j * size, at + (j - gaps[g]) * size, size);
			memcpy(at + j * size, one, size);
		}
	}
}

/* The index ---------------------------------------------------------------- */

static int place_compare(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	uint64_t x = place_addr(a), y = place_addr(b);

	if (x != y)
		return x < y ? -1 : 1;
	if (a->hops != b->hops)
		return a->hops < b->hops ? -1 : 1;
	if (a->adj != b->adj)
		return a->adj < b->adj ? -1 : 1;
	return (int)a->place - (int)b->place;
}

static void index_add(struct nbhd *n, uint64_t addr, uint32_t adj, enum place_kind place,
		      unsigned hops)
{
	struct place *e = &n->index[n->index_count++];

	place_move(e, addr);
	e->adj = (uint16_t)adj;
	e->place = (uint8_t)place;
	e->hops = (uint8_t)hops;
}

static bool place_told(const struct place *e)
{
	return e->place == PLACE_FACET || e->place == PLACE_BEYOND;
}

/* Keep what neighbours told, moved along with their addresses; drop the rest. */
static void index_keep_told(struct net *net, struct nbhd *n)
{
	uint32_t i, kept = 0;

	for (i = 0; i < n->index_count; i++) {
		struct place e = n->index[i];
		const struct told *t;

		if (!place_told(&e))
			continue;
		t = &n->told[e.adj];
		place_move(&e, place_addr(&e) ^ t->applied ^ t->base ^ net->ctl->nbs[e.adj].addr);
		n->index[kept++] = e;
	}
	n->index_count = kept;
}

static void index_order(struct net *net, struct nbhd *n)
{
	struct ctl *c = net->ctl;
	uint32_t i, kept = 0;
	uint64_t addr;

	index_keep_told(net, n);
	for (i = 0; i < c->facet_count; i++)
		if (c->facets[i].live)
			index_add(n, c->facets[i].addr, i, PLACE_OWN, 0);
	for (i = 0; i < c->nb_high; i++) {
		const struct adj_pub *p = adj_peek(net, i);

		n->told[i].applied = n->told[i].base ^ c->nbs[i].addr;
		n->told[i].count = 0;
		if (p && p->kind != ADJ_INTERNAL && neighbour_addr(net, i, &addr))
			index_add(n, addr, i, PLACE_NEAR, 1);
	}
	nbhd_sort(n->index, n->index_count, sizeof(*n->index), place_compare);
	for (i = 0; i < n->index_count; i++) {
		struct place e = n->index[i];

		/* told twice */
		if (place_told(&e) && kept && !place_compare(&e, &n->index[kept - 1]))
			continue;
		if (place_told(&e))
			n->told[e.adj].count++;
		n->index[kept++] = e;
	}
	n->index_count = n->sorted = kept;
	n->dirty = false;
}

/* Asking ------------------------------------------------------------------- */

static uint32_t index_search(const struct nbhd *n, uint64_t addr)
{
	uint32_t low = 0, high = n->sorted;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (place_addr(&n->index[mid]) < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct search {
	const struct net *net;
	uint16_t at, flow;
	uint64_t dst;
	uint32_t dear, not;
	unsigned level;
	unsigned home;               /* our own distance */
	const struct part_route *part;
	bool found;
	uint32_t cost, knows;
	struct nbhd_hit *hit;
};

/* Return: the link cost of the way to an entry; UINT32_MAX: it cannot be taken */
static uint32_t place_cost(const struct search *s, const struct place *e, unsigned dist)
{
	const struct adj_pub *p;
	uint64_t addr;

	if (e->place == PLACE_DEAD)
		return UINT32_MAX;
	if (e->place == PLACE_OWN)
		return e->adj != s->at && facet_live(s->net, e->adj) &&
			       facet_root(s->net, e->adj) == facet_root(s->net, s->at)
			       ? 0 : UINT32_MAX;
	p = adj_peek(s->net, e->adj);
	if (!p || !p->up || p->suspect || e->adj == s->not || p->cost > s->dear)
		return UINT32_MAX;
	if ((p->leaf || guard_avoids(s->net, e->adj)) && (dist > 0 || e->hops > 1))
		return UINT32_MAX;       /* it carries nothing for others */
	/* While networks merge our facets may be in different ones. */
	if (!neighbour_addr(s->net, e->adj, &addr) ||
	    facet_root(s->net, p->facet) != facet_root(s->net, s->at))
		return UINT32_MAX;
	return p->cost;
}

/* A place outside the part that a packet is for: is the route there to be preferred?  If the way
 * to the place begins inside the area that we have in common with the destination, the route is
 * what is best of all such ways; and from the place it is a link at least. */
static bool part_better(const struct search *s, const struct place *e, unsigned dist, uint32_t cost)
{
	uint64_t addr;

	if (!s->part || dist <= s->part->base)
		return false;
	if (e->place == PLACE_OWN)
		return true;
	return (neighbour_addr(s->net, e->adj, &addr) && nbhd_distance(addr, s->dst) <= s->home) ||
	       s->part->metric <= cost + e->hops * NET_COST_UNIT + NET_COST_UNIT / 4;
}

/* How many places a neighbour told of: who has to look further had better know many */
static uint32_t place_knows(const struct search *s, const struct place *e, unsigned dist)
{
	return dist == 0 || e->place == PLACE_OWN ? 0 : nbhd_of(s->net)->told[e->adj].count;
}

/* Is this place to be preferred to the one found, as near and over as many links? */
static bool place_before(const struct search *s, const struct place *e, uint32_t cost,
			 uint32_t knows)
{
	if (cost / COST_STEP != s->cost / COST_STEP)
		return cost < s->cost;
	if (knows != s->knows)
		return knows > s->knows;
	if (cost != s->cost)
		return cost < s->cost;
	return flow_weight(s->flow, e->adj) > flow_weight(s->flow, s->hit->adj);
}

static void consider(struct search *s, const struct place *e, unsigned dist)
{
	struct nbhd_hit *h = s->hit;
	uint32_t cost, knows;

	if (nbhd_level(dist, e->hops) >= s->level)
		return;
	if (s->found && (dist > h->dist || (dist == h->dist && e->hops > h->hops)))
		return;
	cost = place_cost(s, e, dist);
	if (e->place == PLACE_NEAR && dist > 0 && cut_ends(s->net, e->adj, dist - 1))
		return;
	if (cost == UINT32_MAX || part_better(s, e, dist, cost))
		return;
	knows = place_knows(s, e, dist);
	if (s->found && dist == h->dist && e->hops == h->hops && !place_before(s, e, cost, knows))
		return;
	s->found = true;
	s->knows = knows;
	s->cost = cost;
	h->dist = (uint8_t)dist;
	h->hops = e->hops;
	h->adj = e->adj;
	h->facet = e->place == PLACE_OWN ? e->adj : adj_peek(s->net, e->adj)->facet;
}

/* A station of the same Ethernet that is no neighbour: only for what is meant for it */
static void consider_station(struct search *s, uint32_t adj)
{
	struct place e = { .adj = (uint16_t)adj, .place = PLACE_NEAR, .hops = 1 };

	if (adj != UINT32_MAX)
		consider(s, &e, 0);
}

bool nbhd_nearest(const struct net *net, uint16_t at, uint64_t dst, unsigned level, uint32_t dear,
		  uint32_t not, uint16_t flow, const struct part_route *part, struct nbhd_hit *hit)
{
	const struct nbhd *n = nbhd_of(net);
	struct search s = { .net = net, .at = at, .dst = dst, .flow = flow, .dear = dear, .not = not,
			    .level = level, .hit = hit, .part = part,
			    .home = nbhd_distance(facet_addr(net, at), dst) };
	uint32_t right = index_search(n, dst), left = right, i;

	for (i = 0; i < SCAN_MAX; i++) {
		unsigned l = left > 0 ? nbhd_distance(place_addr(&n->index[left - 1]), dst) : 65;
		unsigned r = right < n->sorted
				     ? nbhd_distance(place_addr(&n->index[right]), dst) : 65;
		unsigned dist = l < r ? l : r;

		if (2 * dist >= level || (s.found && dist > hit->dist))
			break;
		consider(&s, &n->index[l < r ? --left : right++], dist);
	}
	if (!s.found || hit->dist > 0 || hit->hops > 1)
		consider_station(&s, adj_shortcut_find(net, dst));
	return s.found;
}

static bool pickable(const struct net *net, const struct place *e, uint32_t adj)
{
	return e->place == PLACE_BEYOND && e->adj == adj &&
	       facet_of_addr(net, FACET_ANY, place_addr(e), 0, net->now) < 0;
}

bool nbhd_pick(const struct net *net, uint32_t adj, uint64_t random, uint64_t *addr)
{
	const struct nbhd *n = nbhd_of(net);
	uint64_t there;
	uint32_t i, some = 0;

	if (!neighbour_addr(net, adj, &there))
		return false;
	for (i = 0; i < n->sorted; i++)
		some += pickable(net, &n->index[i], adj);
	if (some == 0)
		return false;
	some = (uint32_t)(random % some);
	for (i = 0; i < n->sorted; i++) {
		if (!pickable(net, &n->index[i], adj) || some-- > 0)
			continue;
		*addr = place_addr(&n->index[i]);
		return true;
	}
	return false;
}

/* The tick --------------------------------------------------------------------- */

struct pn_time nbhd_tick(struct net *net, struct pn_time now)
{
	struct nbhd *n = nbhd_of(net);
	uint16_t f;

	if (n->dirty)
		index_order(net, n);
	if (!n->tell)
		return PN_TIME_NEVER;
	if (!pn_time_due(n->tell_at, now))
		return n->tell_at;
	n->tell = false;
	n->tell_at = pn_time_add(now, TELL_NS);
	if (!nbhd_log_update(net, n))
		return PN_TIME_NEVER;
	for (uint32_t i = 0; i < net->ctl->nb_high; i++)
		net->ctl->nbs[i].tx_dirty |= net->ctl->nbs[i].used;
	for (f = 0; f < net->ctl->facet_count; f++)
		facet_poke(net, facet_at(net, f), now);
	return PN_TIME_NEVER;
}

/* From neighbours ---------------------------------------------------------------- */

static uint64_t rel_read(struct pn_rd *rd, unsigned *flags)
{
	unsigned head = pn_rd_u8(rd), len = head & TOLD_LEN;
	uint64_t rel = 0;

	*flags = head & ~TOLD_LEN;
	if (len > REL_MAX)
		pn_rd_fail(rd);
	while (len-- > 0 && !rd->bad)
		rel = rel << 8 | pn_rd_u8(rd);
	return rel;
}

void nbhd_start(struct net *net, uint32_t adj)
{
	nbhd_of(net)->told[adj] = (struct told){0};
	nbhd_touch(net);
}

static void forget_told(struct nbhd *n, uint32_t adj)
{
	uint32_t i;

	for (i = 0; n->told[adj].count > 0 && i < n->index_count; i++)
		if (n->index[i].adj == adj && place_told(&n->index[i]))
			n->index[i].place = PLACE_DEAD;
	n->told[adj].count = 0;
}

void nbhd_forget(struct net *net, uint32_t adj)
{
	forget_told(nbhd_of(net), adj);
	nbhd_of(net)->told[adj] = (struct told){0};
	nbhd_touch(net);
}

static void on_gone(struct nbhd *n, uint32_t adj, uint64_t addr)
{
	uint32_t i = index_search(n, addr);

	while (i < n->sorted && place_addr(&n->index[i]) == addr) {
		struct place *e = &n->index[i++];

		if (e->adj == adj && place_told(e))
			e->place = PLACE_DEAD;
	}
	for (i = n->sorted; i < n->index_count; i++) {
		struct place *e = &n->index[i];

		if (place_addr(e) == addr && e->adj == adj && place_told(e))
			e->place = PLACE_DEAD;
	}
}

static void on_address(struct net *net, struct nbhd *n, uint32_t adj, uint64_t addr,
		       bool neighbour)
{
	struct told *t = &n->told[adj];
	uint32_t left = n->index_max > n->index_count ? n->index_max - n->index_count : 0;

	if (left == 0 || t->count >= n->index_max / 2) {
		count(net, nbhd_full);
		return;
	}
	t->count++;
	index_add(n, addr, adj, neighbour ? PLACE_BEYOND : PLACE_FACET, neighbour ? 2 : 1);
}

/* Return: the neighbour may tell @entries more, and they are counted */
static bool news_take(struct net *net, struct told *t, unsigned entries)
{
	while (entries > 0 && bucket_take(&t->news, NEWS_BURST, NEWS_NS, net->now))
		entries--;
	if (entries == 0)
		return true;
	count(net, nbhd_bounded);
	return false;
}

void nbhd_on_entry(struct net *net, uint32_t adj, struct pn_rd *rd)
{
	struct nbhd *n = nbhd_of(net);
	struct told *t = &n->told[adj];
	unsigned flags = pn_rd_u8(rd), head;
	uint64_t base = rel_read(rd, &head);

	if (rd->bad || adj_peek(net, adj)->kind == ADJ_INTERNAL) {
		count(net, ctl_malformed);
		return;
	}
	if (!news_take(net, t, flags & TOLD_RESET ? NEWS_RESET : 1))
		return;
	if (n->index_count - n->sorted > TAIL_MAX)
		index_order(net, n);
	if (flags & TOLD_RESET)
		forget_told(n, adj);
	t->base = base;
	nbhd_touch(net);
	while (rd->left) {
		uint64_t rel = rel_read(rd, &head);

		if (rd->bad || !news_take(net, t, 1))
			break;
		if (head & TOLD_GONE)
			on_gone(n, adj, rel ^ t->applied);
		else
			on_address(net, n, adj, rel ^ t->applied, head & TOLD_NEIGHBOUR);
	}
	if (rd->bad)
		count(net, ctl_malformed);
}
