/* SPDX-License-Identifier: ISC */
/* balance.c - how a tree that has grown crooked is set right
 *
 * Theory of operation
 *
 * Where nobody has a low slot to give, whoever joins hangs high, and in a network that
 * nodes leave and enter for long the tree gets higher and higher, though there is room
 * below.  So it is set right while it lives, by little at a time:
 *
 *  - An area is *crooked* if its height is at the bound that holds for a network of its nodes
 *    (HEIGHT_NEAR; moving those of log2 N + 5 as well kept networks restless for longer after a
 *    hub died than it made them lower).  Its smaller child moves: both children know both
 *    counts, so they agree on which it is.  Its borders towards the other child look for a
 *    slot there that is lower than its own, and tell its leader of them (MOVE, every
 *    OFFER_EVERY_NS).  If the parent's record has not changed for MOVE_WAIT_NS by then, the
 *    leader detaches, and the area grafts again as a whole, the lowest slot first.  What
 *    stays has a high slot to give; nobody but the small child has another address.
 *    Whoever moves again and again waits twice as long each time.
 *  - A root left with one child goes (tree.c), so the tree gets lower from the top.
 *  - An area left with one child for HOLLOW_NS is taken out, if that child has bit 0 and the
 *    same leader: its addresses stay, and there is a gap with slots of all levels.
 *
 * A network that is too tall all the same (2 log2 N + 4), say after a hub died, is
 * rebuilt: if it stays so, all areas of at most a quarter of its height detach at the same
 * time, on what the root record says, and merge again: now that all links are up, like sizes
 * pair and the tree comes out low.  (Larger ones have no slots to give to the many small
 * ones around them, and the tree comes out as tall as it was.)  If it does not, the next
 * time the pieces are half as high, and it is waited for twice as long.  Facets of one node
 * never stay together in a piece: they are to merge last (join.c), and where two of them are next
 * to each other at the bottom all their neighbours hang above both.
 */
#include "pnstackd/net/ctl_int.h"

#define HEIGHT_LIMIT 4           /* 2 log2 + so much is the bound (tall network) */
#define HEIGHT_NEAR 3            /* crooked: one level below that */
#define OFFER_EVERY_NS PN_S(1)
#define MOVE_WAIT_NS PN_S(2)     /* and up to so much longer, drawn: the parent's record rests */
#define MOVE_WINDOW_NS PN_S(2)   /* then, or not before it changes again */
#define MOVE_HOLD_NS PN_S(10)    /* not again before; doubled each time */
#define MOVES_MAX 6
#define MOVES_FORGET_NS PN_S(60)
#define HOLLOW_NS PN_S(5)
#define TALL_NS PN_S(1)          /* a network that is too tall for so long is rebuilt */

static unsigned count_log2(uint8_t count)
{
	uint32_t n = rec_count_value(count);
	unsigned log = 0;

	while (n >>= 1)
		log++;
	return log;
}

bool balance_compact(const struct rec *r, unsigned slack)
{
	unsigned log = count_log2(r->count);

	return r->base <= log + log / 2 + 1 + slack;
}

static bool crooked(const struct rec *r)
{
	return !rec_height_fits(r->base, r->count, HEIGHT_NEAR);
}

/* Return: our i-th area is the one to move: the smaller child of one that is crooked */
static bool to_move(const struct net *net, const struct facet *f, unsigned i)
{
	const struct rec *r = facet_rec(net, f, i), *p;
	const struct rec_child *own, *other;
	uint32_t n, m;

	if (!f->complete || i + 1u >= f->chain.n)
		return false;
	p = facet_rec(net, f, i + 1);
	own = &p->child[r->bit];
	other = &p->child[1 - r->bit];
	if (!crooked(p) || own->id != r->id || !other->id)
		return false;
	n = rec_count_value(own->count);
	m = rec_count_value(other->count);
	return n < m || (n == m && own->id < other->id);
}

/* Return: the lowest slot for our i-th area at a neighbour in its sibling; -1: none */
static int slot_beside(const struct net *net, const struct facet *f, unsigned i,
		       const struct nb *nb)
{
	struct chain below = nb->chain;
	unsigned owner;

	below.n = nb->common;            /* the last one is the sibling itself */
	return join_slot(net, &below, facet_rec(net, f, i)->base, &owner);
}

static void offer(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	for_each_nb(net, f, a) {
		struct nb *nb = &net->ctl->nbs[a];
		int level;

		if (!nb->ready || !nb->in_network || nb->common_own != i + 1 || nb->common == 0 ||
		    nb->common >= nb->chain.n || adj_peek(net, a)->leaf || net->leaf)
			continue;
		if (!pn_time_due(nb->next_cand, now)) {
			facet_poke(net, f, nb->next_cand);
			continue;
		}
		level = slot_beside(net, f, i, nb);
		if (level < 0 || level >= facet_rec(net, f, i)->top)
			continue;
		nb->next_cand = pn_time_add(now, OFFER_EVERY_NS);
		facet_poke(net, f, nb->next_cand);
		join_offer_move(net, f, i, (unsigned)level, now);
	}
}

/* Not while what the parent's record tells still changes; and, since to move is a change too,
 * soon after it did or not at all: a network at rest stays as it is. */
static bool chance(struct net *net, struct facet *f, const struct rec *parent, uint64_t area,
		   struct pn_time now)
{
	bool over = pn_time_since(now, f->move_at) >= MOVE_WINDOW_NS;

	if (f->move_area != area && !over)
		return false;            /* one at a time */
	if (f->move_area != area || f->move_seq != parent->seq) {
		f->move_area = area;
		f->move_seq = parent->seq;
		f->move_at = pn_time_add(now, MOVE_WAIT_NS + net_random_u64(net) % MOVE_WAIT_NS);
		return false;
	}
	return pn_time_due(f->move_at, now) && !over;
}

void balance_on_offer(struct net *net, struct facet *f, uint64_t area, unsigned level,
		      struct pn_time now)
{
	int i = chain_find(net, &f->chain, area);

	if (i < 0 || facet_rec(net, f, (unsigned)i)->leader != f->node_id ||
	    level >= facet_rec(net, f, (unsigned)i)->top || !to_move(net, f, (unsigned)i)) {
		count(net, ctl_stale);
		return;
	}
	if (!chance(net, f, facet_rec(net, f, (unsigned)i + 1), area, now) ||
	    pn_time_before(now, f->move_hold))
		return;
	if (pn_time_since(now, f->move_hold) >= MOVES_FORGET_NS)
		f->moves = 0;
	f->move_area = 0;
	f->move_hold = pn_time_add(now, MOVE_HOLD_NS << f->moves);
	if (f->moves < MOVES_MAX)
		f->moves++;
	count(net, tree_moves);
	tree_detach(net, f, (unsigned)i, now);
}

/* Return: our i-th area is only height above the child that we lead, and it is taken out */
static bool hollow(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	const struct rec *r = facet_rec(net, f, i);
	struct rec low = *facet_rec(net, f, i - 1);

	if (r->leader != f->node_id || low.leader != f->node_id || !r->parent || low.bit ||
	    r->child[1].id || r->child[0].id != low.id || pn_time_before(now, f->lease[i]))
		return false;
	if (pn_time_is_never(f->silent[i]))
		f->silent[i] = now;
	if (pn_time_since(now, f->silent[i]) < HOLLOW_NS) {
		facet_poke(net, f, pn_time_add(f->silent[i], HOLLOW_NS));
		return false;
	}
	low.top = r->top;
	low.bit = r->bit;
	low.parent = r->parent;
	if (!tree_replace(net, f, i - 1, &low, now))
		return false;
	count(net, tree_hollows);
	tree_rebuild(net, f, now);
	return true;
}

/* Another facet of this node is in that area of ours. */
static bool has_other_facet(const struct net *net, const struct facet *f, const struct rec *area)
{
	for (uint16_t i = 0; i < net->ctl->facet_count; i++)
		if (i != f->index && facet_live(net, i) &&
		    chain_find(net, &net->ctl->facets[i].chain, area->id) >= 0)
			return true;
	return false;
}

/* Return: the network has long been too tall; @piece: the area to keep whole */
static bool rebuild(struct net *net, struct facet *f, unsigned *piece, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	uint64_t wait;
	unsigned i;

	if (!root || rec_height_fits(root->base, root->count, HEIGHT_LIMIT)) {
		f->tall_since = PN_TIME_NEVER;
		return false;
	}
	if (pn_time_is_never(f->tall_since))
		f->tall_since = now;
	wait = TALL_NS << f->rebuilds;
	if (pn_time_since(now, f->tall_since) < wait) {
		facet_poke(net, f, pn_time_add(f->tall_since, wait));
		return false;
	}
	f->tall_since = PN_TIME_NEVER;
	if (f->rebuilds < 6)
		f->rebuilds++;
	i = 0;
	while (i + 2u < f->chain.n && balance_compact(facet_rec(net, f, i + 1), 0) &&
	       facet_rec(net, f, i + 1)->base <= root->base >> (f->rebuilds + 1) &&
	       !has_other_facet(net, f, facet_rec(net, f, i + 1)))
		i++;
	*piece = i;
	return facet_rec(net, f, i)->parent && facet_rec(net, f, i)->leader == f->node_id;
}

void balance_duties(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	if (rebuild(net, f, &i, now)) {
		count(net, tree_rebuilds);
		tree_detach(net, f, i, now);
		return;
	}
	for (i = 0; i + 1u < f->chain.n; i++)
		if (to_move(net, f, i))
			offer(net, f, i, now);
	for (i = 1; i < f->chain.n; i++)
		if (hollow(net, f, i, now))
			return;          /* the chain is another one now */
}
