/* SPDX-License-Identifier: ISC */
/* ctl.c - the control plane: room for it, neighbours come and go; dispatch
 *
 * A facet does its work in ticks: whatever arrives only changes its tables and
 * pokes it; the tick then rebuilds the chain, runs all duties and tells the
 * neighbours.  A tick is idempotent, and each duty says when it next wants one,
 * so a facet at rest sleeps until its next beat.
 */
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"
#include "pnstackd/net/guard.h"
#include "pnstackd/net/circle.h"

#include <string.h>

/* Pools, per level that a chain may have.  In a network at rest a neighbour adds 4 records
 * to what the others tell (chains share their upper ends) and 15 vias, at 1,000 nodes; but
 * when a hub has died what is left of its network is tall for a while.  The highest marks seen
 * then, on maps of communities and scale-free graphs that lost their three largest hubs within
 * seconds, are 0.85 of the records that neighbours may bring and 0.8 of the sources, at nodes
 * with few neighbours, and 0.94 of the vias, at the next hub. */
#define RECS_OF_16_NODE 24       /* sixteenths of a level: facets share their upper ends, too, */
#define RECS_OF_16_FACET 16
#define RECS_OF_16_NB 2          /* for each neighbour */
#define SOURCES_OF_16_NB 1       /* the same of sources, and of siblings: most neighbours tell */
#define SOURCES_OF_16_FACET 24   /* of the same */
#define VIAS_OF_8 12             /* eighths: a neighbour that shares all but the leaf: 2 for each area,
                                  * and chains are longer while a network forms */
#define CHAIN_SPARE 8            /* levels that a chain may have for a moment, and that no
                                  * destination is kept for: HEIGHT_BELIEF allows them */
#define INTERNAL_COST 1          /* of NET_COST_UNIT: a metric must grow with each step */

static uint16_t facet_limit(const struct net_config *cfg)
{
	/* a leaf is one place in the tree, however many neighbours it has */
	uint32_t n = cfg->leaf ? 1 : net_limit(cfg->facet_max,
					       facets_for(cfg->adj_max) + 1);

	return n > 512 ? 512 : (uint16_t)n;
}

static uint32_t at_most(uint32_t v, uint32_t max)
{
	return v < max ? v : max;
}

static uint32_t recs_limit(uint32_t facets, uint32_t nbs, uint32_t levels)
{
	uint32_t share = RECS_OF_16_NODE + facets * RECS_OF_16_FACET + nbs * RECS_OF_16_NB;

	return at_most(share * levels / 16, 60000);
}

static uint32_t sources_limit(uint32_t facets, uint32_t nbs, uint32_t levels)
{
	return at_most((facets * SOURCES_OF_16_FACET + nbs * SOURCES_OF_16_NB) * levels / 16,
		       60000);
}

static void facets_carve(struct ctl *c, struct arena *a, uint32_t levels)
{
	size_t n = c->facet_max, chain;
	struct pn_time *times;
	struct dest *dests;
	rec_ref *refs;
	uint16_t i;

	c->dest_max = (uint8_t)(2 * at_most(levels, CHAIN_MAX));
	c->chain_max = (uint8_t)at_most(levels + CHAIN_SPARE, CHAIN_MAX);
	chain = c->chain_max;
	c->facets = arena_take(a, n, sizeof(*c->facets));
	dests = arena_take(a, n * c->dest_max, sizeof(*dests));
	times = arena_take(a, n * 4 * chain, sizeof(*times));
	refs = arena_take(a, n * chain, sizeof(*refs));
	for (i = 0; a->at && i < n; i++) {
		struct facet *f = &c->facets[i];

		f->dests = dests + (size_t)i * c->dest_max;
		f->leave_at = times + (size_t)i * 4 * chain;
		f->lease = f->leave_at + chain;
		f->stepped = f->lease + chain;
		f->silent = f->stepped + chain;
		f->chain.at = refs + (size_t)i * chain;
	}
}

static void nbs_carve(struct ctl *c, struct arena *a)
{
	size_t chain = c->chain_max;
	rec_ref *refs;
	uint32_t i;

	c->nbs = arena_take(a, c->nb_max, sizeof(*c->nbs));
	refs = arena_take(a, 3 * chain * c->nb_max, sizeof(*refs));
	for (i = 0; a->at && i < c->nb_max; i++) {
		c->nbs[i].stage.at = refs + 3 * chain * i;
		c->nbs[i].chain.at = c->nbs[i].stage.at + chain;
		c->nbs[i].sent.at = c->nbs[i].chain.at + chain;
	}
}

void ctl_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	struct ctl *c = arena_take(a, 1, sizeof(*c)), sizing = {0};
	uint16_t facets = facet_limit(cfg);
	uint32_t nbs = cfg->adj_max;
	uint32_t levels = net_limit(cfg->level_max, NET_LEVEL_LIMIT);

	if (!c)
		c = &sizing;
	else
		net->ctl = c;
	c->facet_max = facets;
	c->nb_max = nbs;
	facets_carve(c, a, levels);
	nbs_carve(c, a);
	rec_pool_carve(&c->recs, a, recs_limit(facets, nbs, levels), nbs);
	c->via_max = (uint16_t)at_most(nbs * levels * VIAS_OF_8 / 8, 60000);
	c->vias = arena_take(a, c->via_max, sizeof(*c->vias));
	intern_carve(&c->routers, a, sources_limit(facets, nbs, levels), sizeof(uint64_t));
	intern_carve(&c->sibs, a, sources_limit(facets, nbs, levels), sizeof(struct sib));
	part_carve(c, a);
	c->nbhd = nbhd_carve(a, cfg, facets);
	c->link_max = at_most(net_limit(cfg->link_max, NET_LINK_MAX), NET_LINK_MAX);
	c->link_facet = arena_take(a, c->link_max, sizeof(*c->link_facet));
	c->link_slots = arena_take(a, c->link_max, sizeof(*c->link_slots));
}

/* Facets ------------------------------------------------------------------- */

uint16_t facet_max(const struct net *net)
{
	return net->ctl->facet_max;
}

bool facet_live(const struct net *net, uint16_t facet)
{
	return facet < net->ctl->facet_max && net->ctl->facets[facet].live;
}

uint64_t facet_addr(const struct net *net, uint16_t facet)
{
	return facet_at(net, facet)->addr;
}

uint64_t facet_root(const struct net *net, uint16_t facet)
{
	return facet_at(net, facet)->root;
}

uint16_t ctl_link_facet(const struct net *net, int link)
{
	int f = link >= 0 && (uint32_t)link < net->ctl->link_max ? net->ctl->link_facet[link] : 0;

	return f < 0 ? 0 : (uint16_t)f;
}

uint8_t facet_height(const struct net *net, uint16_t facet)
{
	const struct facet *f = facet_at(net, facet);

	return facet_rec(net, f, f->chain.n - 1u)->base;
}

static bool same_network(const struct ctl *c, uint16_t facet, unsigned other)
{
	return facet == FACET_ANY || c->facets[facet].root == c->facets[other].root;
}

int facet_of_addr(const struct net *net, uint16_t facet, uint64_t addr, uint32_t tag,
		  struct pn_time now)
{
	const struct ctl *c = net->ctl;
	unsigned i, o;

	for (i = 0; i < c->facet_count; i++)
		if (c->facets[i].addr == addr && same_network(c, facet, i))
			return (int)i;
	for (i = 0; tag == net->tag && i < c->facet_count; i++)
		for (o = 0; o < FACET_OLD_ADDRS && same_network(c, facet, i); o++)
			if (c->facets[i].old[o].addr == addr &&
			    pn_time_before(now, c->facets[i].old[o].until))
				return (int)i;
	return -1;
}

void facet_poke(struct net *net, struct facet *f, struct pn_time at)
{
	struct pn_time soonest = pn_time_add(f->last_tick, TICK_MIN_NS);

	if (pn_time_is_never(at))
		return;
	timer_earlier(net, &f->timer, pn_time_before(at, soonest) ? soonest : at);
}

/* The link in a facet's list, rising by index, that leads to @adj or past it */
static uint16_t *nb_link(struct ctl *c, struct facet *f, uint32_t adj)
{
	uint16_t *at = &f->nb_first;

	while (*at && *at - 1u < adj)
		at = &c->nbs[*at - 1].next;
	return at;
}

static void nb_insert(struct net *net, uint32_t adj, uint16_t facet)
{
	struct nb *nb = &net->ctl->nbs[adj];
	uint16_t *link = nb_link(net->ctl, facet_at(net, facet), adj);

	nb->facet = facet;
	nb->next = *link;
	*link = (uint16_t)(adj + 1);
	nb->tx_dirty = true;
	nb->sent_commit = false;
	adj_at(net, adj)->facet = facet;
}

void nb_start(struct net *net, uint32_t adj, uint16_t facet, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	PN_ASSERT(adj < net->ctl->nb_max);
	PN_ASSERT(!nb->used);
	PN_ASSERT(nb->stage.n + nb->chain.n + nb->sent.n == 0);
	*nb = (struct nb){.used = true, .stage = nb->stage, .chain = nb->chain, .sent = nb->sent};
	if (net->ctl->nb_high <= adj)
		net->ctl->nb_high = adj + 1;
	nb->apart_at = now;
	nb_insert(net, adj, facet);
	nbhd_start(net, adj);
	part_neighbour(net, adj);
}

void ctl_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	struct ctl *c = net->ctl;
	uint16_t i;

	(void)cfg;
	rec_pool_init(&c->recs);
	c->rec_spare = c->facet_max * (c->dest_max / 4u);
	c->rec_quota = (c->recs.cap - c->rec_spare) / 4 * 3;
	c->via_free = 0;
	c->via_fresh = 0;
	for (i = 0; i < c->link_max; i++)
		c->link_facet[i] = -1;
	if (facet_new(net, now) != 0)
		PN_ASSERT(false);
}

/* Neighbours ----------------------------------------------------------------- */

uint32_t nb_next(const struct net *net, const struct facet *f, uint32_t after)
{
	uint32_t next = after == NB_END ? f->nb_first : net->ctl->nbs[after].next;

	return next ? next - 1 : NB_END;
}

void nb_all_dirty(struct net *net, struct facet *f)
{
	for_each_nb(net, f, a) {
		net->ctl->nbs[a].tx_dirty = true;
		net->ctl->nbs[a].sent_commit = false;
	}
}

struct facet *nb_facet(const struct net *net, uint32_t adj)
{
	if (adj >= net->ctl->nb_max || !net->ctl->nbs[adj].used)
		return NULL;
	return facet_at(net, net->ctl->nbs[adj].facet);
}

uint16_t nb_cost(const struct net *net, uint32_t adj)
{
	const struct adj_pub *p = adj_peek(net, adj);

	if (!p)
		return NET_METRIC_INF - 1;
	return p->kind == ADJ_INTERNAL ? INTERNAL_COST : p->cost;
}

bool neighbour_addr(const struct net *net, uint32_t adj, uint64_t *addr)
{
	const struct nb *nb;

	if (adj >= net->ctl->nb_max)
		return false;
	nb = &net->ctl->nbs[adj];
	if (!nb->used)
		return adj_shortcut_addr(net, adj, addr);
	if (!nb->ready || !nb->in_network)
		return false;
	*addr = nb->addr;
	return true;
}

void ctl_on_adj_up(struct net *net, uint32_t adj, struct pn_time now)
{
	uint16_t f = facet_choose(net, adj_at(net, adj), now);

	nb_start(net, adj, f, now);
	guard_on_up(net, adj, now);
	facet_poke(net, facet_at(net, f), now);
}

/* No neighbour of its facet any more */
static void nb_remove(struct net *net, uint32_t adj, struct pn_time now)
{
	struct facet *f = facet_at(net, net->ctl->nbs[adj].facet);

	*nb_link(net->ctl, f, adj) = net->ctl->nbs[adj].next;
	route_neighbour_gone(net, f, adj, now);
	part_neighbour_gone(net, f, adj);
	facet_poke(net, f, now);
}

void nb_stop(struct net *net, uint32_t adj, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	PN_ASSERT(nb->used);
	gossip_forget(net, nb);
	nbhd_forget(net, adj);
	nb->used = false;
	nb_remove(net, adj, now);
}

void nb_move(struct net *net, uint32_t adj, uint16_t facet, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	PN_ASSERT(nb->used);
	PN_ASSERT(nb->inside == 0);      /* routes between the two count no more */
	nb_remove(net, adj, now);
	nb_insert(net, adj, facet);
	nb->fell_out = false;            /* one move for each time */
	net->ctl->part_nbs[adj].want = true;
	tree_locate(net, facet_at(net, facet), nb);
	route_on_chain(net, facet_at(net, facet), adj, now);
	nbhd_touch(net);
	facet_poke(net, facet_at(net, facet), now);
}

void ctl_on_adj_down(struct net *net, uint32_t adj, enum net_err why, struct pn_time now)
{
	struct facet *f = nb_facet(net, adj);

	(void)why;
	if (!f)
		return;
	guard_on_down(net, adj);
	circle_on_down(net, adj);
	facet_release(net, adj, f, now);
	nb_stop(net, adj, now);
}

void ctl_on_cost(struct net *net, uint32_t adj, struct pn_time now)
{
	struct facet *f = nb_facet(net, adj);

	if (f)
		route_on_cost(net, f, adj, now);
}

/* Messages ---------------------------------------------------------------------- */

void ctl_on_msg(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now)
{
	struct pn_rd r;

	if (!nb_facet(net, adj))
		return;
	pn_rd_init(&r, msg, len);
	if (pn_rd_u8(&r) == CTL_UPDATE)
		gossip_on_update(net, adj, &r, now);
	else
		count(net, ctl_malformed);
}

void ctl_on_soft(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now)
{
	struct facet *f = nb_facet(net, adj);
	struct pn_rd r;

	if (!f)
		return;
	pn_rd_init(&r, msg, len);
	switch (pn_rd_u8(&r)) {
	case CTL_SEQNO_REQUEST:
		route_on_request(net, f, adj, &r, now);
		break;
	case CTL_JOIN:
		join_on_soft(net, adj, msg, len, now);
		break;
	default:
		count(net, ctl_malformed);
	}
}

void ctl_on_writable(struct net *net, uint32_t adj, struct pn_time now)
{
	if (nb_facet(net, adj))
		gossip_send(net, adj, now);
}

/* The tick ------------------------------------------------------------------------- */

void ctl_expire(struct net *net, uint32_t facet, struct pn_time now)
{
	struct facet *f = facet_at(net, (uint16_t)facet);

	f->last_tick = now;
	if (facet_idle(net, f, now))
		return;
	tree_rebuild(net, f, now);
	route_duties(net, f, now);
	part_duties(net, f, now);
	cut_duties(net, f, now);
	tree_duties(net, f, now);
	join_border(net, f, now);
	join_expire(net, f, now);
	facet_poke(net, facet_at(net, 0), nbhd_tick(net, now));
	for_each_nb(net, f, a)
		if (gossip_due(net, a, now))
			gossip_send(net, a, now);
}
