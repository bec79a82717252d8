/* SPDX-License-Identifier: ISC */
/* facet.c - the places of a node in the tree come and go
 *
 * A node is one facet, or several: each carries a few point-to-point neighbours
 * (facet_adj_max(); an Ethernet counts as one, whoever is on it), so that a hub does
 * not force a tree as deep as it has neighbours: n on a facet need n levels, 2^n
 * facets another n.  So those of a hub carry fewer; the first ones more, since most
 * nodes have no others, and each facet costs memory and traffic.  The facets of a
 * node are joined by internal adjacencies at distances 1, 2, 4, ... of their numbers:
 * connected, short, and O(log n) each.  The last one goes when it has been without
 * neighbours for FACET_IDLE_NS.  To tree.c and route.c a facet is a node like any
 * other.
 *
 * A facet has one slot on each level.  When all are taken, whoever joins hangs above the root;
 * and when a hub dies, those who stood beside its facets come to those of the next hub all at
 * once: a level for each, until the tree is so tall that everybody gets another address
 * (balance.c).  So a neighbour that fell out of our network, and finds no slot below the root,
 * is moved to another facet that has one, or to a new one: that hangs high itself, but has
 * slots on all levels below for those that follow.  The neighbour sees another chain at the
 * end of its adjacency, as if the facet it knew had joined elsewhere: no message is needed.
 * (Moving those as well who come for the first time makes networks form more slowly, and no
 * lower: like sizes would merge anyway.)
 */
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"

#define FACET_IDLE_NS PN_S(30)   /* a facet without neighbours goes after so long, */
#define FACET_LEADER_IDLE_NS PN_S(120) /* also if it leads an area */
#define REHOME_FACETS 3          /* hubs only, */
#define REHOME_LOWER 2           /* and networks so many levels lower, as they come of a dead hub */
#define REHOME_LEVELS 8          /* so high a facet may always get by it, or a new one begin */

static void facet_join(struct net *net, uint32_t adj, uint16_t a, uint16_t b, struct pn_time now)
{
	uint32_t other = adj_at(net, adj)->internal_peer;

	nb_start(net, adj, a, now);
	nb_start(net, other, b, now);
	facet_poke(net, facet_at(net, b), now);
}

int facet_new(struct net *net, struct pn_time now)
{
	struct ctl *c = net->ctl;
	uint16_t n = c->facet_count, step;
	struct facet *f;
	int adj = -1;

	if (n == c->facet_max)
		return -1;
	f = &c->facets[n];
	f->index = n;
	if (!tree_facet_init(net, f)) {
		count(net, rec_full);
		return -1;
	}
	if (!route_init(net, f)) {
		rec_put(&c->recs, f->chain.at[0]);
		return -1;
	}
	if (n > 0) {                     /* the first step is what connects it */
		adj = adj_internal_add(net, n, (uint16_t)(n - 1));
		if (adj < 0) {
			route_fini(net, f);
			rec_put(&c->recs, f->chain.at[0]);
			return -1;
		}
	}
	f->live = true;
	f->idle_since = now;
	f->decide_at = PN_TIME_NEVER;
	timer_init(&f->timer, TIMER_FACET, n);
	c->facet_count++;
	facet_poke(net, f, now);
	for (step = 1; step <= n && adj >= 0; step = (uint16_t)(step * 2)) {
		if (step > 1)
			adj = adj_internal_add(net, n, (uint16_t)(n - step));
		if (adj >= 0)
			facet_join(net, (uint32_t)adj, n, (uint16_t)(n - step), now);
	}
	return n;
}

uint16_t facet_choose(struct net *net, const struct adj_pub *adj, struct pn_time now)
{
	struct ctl *c = net->ctl;
	bool shared = adj->kind == ADJ_ETHERNET && adj->link >= 0 &&
		      (uint32_t)adj->link < c->link_max;
	int f;

	if (shared && c->link_facet[adj->link] >= 0)
		return (uint16_t)c->link_facet[adj->link];
	for (f = 0; f < c->facet_count; f++)
		if (c->facets[f].load < facet_adj_max((uint32_t)f))
			break;
	if (f == c->facet_count)
		f = facet_new(net, now);
	if (f < 0)
		f = 0;                   /* no more facets: the tree gets higher */
	c->facets[f].load++;
	if (shared)
		c->link_facet[adj->link] = (int16_t)f;
	return (uint16_t)f;
}

/* The facet of an Ethernet stays reserved for it while anybody is on it. */
void facet_release(struct net *net, uint32_t adj, struct facet *f, struct pn_time now)
{
	const struct adj_pub *p = adj_peek(net, adj);

	if (p && p->kind == ADJ_ETHERNET && p->link >= 0 &&
	    (uint32_t)p->link < net->ctl->link_max) {
		for_each_nb(net, f, a) {
			const struct adj_pub *q = adj_peek(net, a);

			if (a != adj && q && q->kind == ADJ_ETHERNET && q->link == p->link)
				return;
		}
		net->ctl->link_facet[p->link] = -1;
	}
	PN_ASSERT(f->load > 0);
	if (--f->load == 0)
		f->idle_since = now;
}

/* The last facet, which has nobody but its own node, goes, as if it had crashed.  What it
 * led is succeeded, or falls apart, so it waits rather until it leads nothing.  Another one
 * of that number will not be taken for it: its areas are new, its leaf of a new epoch. */
static void facet_remove(struct net *net, struct facet *f, struct pn_time now)
{
	struct ctl *c = net->ctl;
	const struct rec leaf = *facet_rec(net, f, 0);
	struct facet next = {.leave_at = f->leave_at, .lease = f->lease, .stepped = f->stepped,
			     .silent = f->silent, .dests = f->dests, .nonce = f->nonce,
			     .chain.at = f->chain.at,
			     .leaf_epoch = leaf.epoch + 1, .leaf_seq = leaf.seq};

	PN_ASSERT(f->index > 0 && f->index + 1 == c->facet_count);
	while (f->nb_first) {
		uint32_t adj = f->nb_first - 1u, other = adj_at(net, adj)->internal_peer;

		adj_internal_del(net, adj);
		nb_stop(net, adj, now);
		nb_stop(net, other, now);
	}
	route_fini(net, f);
	while (f->chain.n > 0)
		rec_put(&c->recs, f->chain.at[--f->chain.n]);
	timer_set(net, &f->timer, PN_TIME_NEVER);
	c->facet_count--;
	count(net, facets_removed);
	facet_poke(net, facet_at(net, c->facet_count - 1u), now);
	lookup_on_address(net, f->index, now);
	adj_on_address(net, now);
	nbhd_touch(net);
	*f = next;
}

bool facet_idle(struct net *net, struct facet *f, struct pn_time now)
{
	uint64_t wait = FACET_IDLE_NS;
	unsigned i;

	if (f->load > 0 || f->index == 0 || f->index + 1 != net->ctl->facet_count)
		return false;
	for (i = 1; i < f->chain.n; i++)
		if (facet_rec(net, f, i)->leader == f->node_id)
			wait = FACET_LEADER_IDLE_NS;
	if (pn_time_since(now, f->idle_since) < wait) {
		facet_poke(net, f, pn_time_add(f->idle_since, wait));
		return false;
	}
	facet_remove(net, f, now);
	return true;
}

/* Is there a slot for a network of that height at this facet, no higher than its own network,
 * or than any facet may get? */
static bool has_room(const struct net *net, const struct facet *f, uint8_t height)
{
	const struct rec *root = facet_root_rec(net, f);
	unsigned owner;
	int level = root ? join_slot(net, &f->chain, height, &owner) : -1;

	return level >= 0 && (unsigned)level < pn_max(root->base, REHOME_LEVELS);
}

/* May there be one facet more?  At most half as many again as there are neighbours for: they
 * stay, and take adjacencies for those between them. */
static bool may_be_new(const struct net *net, uint8_t height)
{
	const struct ctl *c = net->ctl;
	unsigned load = 0, need;

	for (uint16_t i = 0; i < c->facet_count; i++)
		load += c->facets[i].load;
	need = facets_for(load);
	return height < REHOME_LEVELS && c->facet_count < need + need / 2;
}

/* Return: another facet for a neighbour that finds no room at this one; -1: none */
static int with_room(struct net *net, const struct facet *full, uint8_t height, struct pn_time now)
{
	const struct ctl *c = net->ctl;

	for (uint16_t i = 0; i < c->facet_count; i++)
		if (i != full->index && c->facets[i].load < facet_adj_max(i) &&
		    has_room(net, &c->facets[i], height))
			return i;
	return may_be_new(net, height) ? facet_new(net, now) : -1;
}

/* Has its network been given a slot at this facet?  It will hear of that. */
static bool granted(const struct net *net, const struct facet *f, const struct rec *top)
{
	for (unsigned i = 1; i < f->chain.n; i++)
		if (rec_lists(facet_rec(net, f, i), top->id, top->epoch, top->leader) >= 0)
			return true;
	return false;
}

bool facet_rehome(struct net *net, struct facet *f, uint32_t adj, struct pn_time now)
{
	const struct nb *nb = &net->ctl->nbs[adj];
	const struct rec *root = facet_root_rec(net, f);
	const struct rec *top = chain_rec(net, &nb->chain, nb->chain.n - 1u);
	int to;

	if (!nb->fell_out || net->ctl->facet_count < REHOME_FACETS || f->load < 2 || !root ||
	    adj_peek(net, adj)->kind != ADJ_TUNNEL || top->base + REHOME_LOWER > root->base ||
	    has_room(net, f, top->base) || granted(net, f, top))
		return false;
	to = with_room(net, f, top->base, now);
	if (to < 0)
		return false;
	f->load--;
	facet_at(net, (uint16_t)to)->load++;
	nb_move(net, adj, (uint16_t)to, now);
	count(net, facets_rehomed);
	return true;
}
