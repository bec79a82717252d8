/* SPDX-License-Identifier: ISC */
/* succeed.c - how an area outlives its leader
 *
 * Theory of operation
 *
 * An area has one leader for all its life, so an area whose leader died is followed
 * by another: its *successor* has a new id and the same place (base, top, bit, parent,
 * children, line), and names it as `prev`.  Addresses are bits, not ids: nobody gets
 * another one.
 *
 *  - Each record names a deputy: the leader of the other child; or, if there is none
 *    or it is a facet of the same node, whoever is deputy of the leader's own child.
 *  - Only that deputy makes the successor, when the leader is lost (tree_lost_ns(),
 *    succeed_take_over()).  So each level of what a dead node led is taken over by
 *    somebody else, in parallel, and never by one who is not listed there.
 *  - All other members follow by themselves: where the chain leads to area A, whose
 *    leader is lost to us too, and a neighbour shows a successor of A made by the
 *    deputy that our record of A names, the successor takes its place (succeed_of()).
 *    What it stands above still says "parent A": a record whose parent is the
 *    `prev` of the next is sound.  The leader of that child then signs it anew with
 *    the new parent (succeed_adopt()).
 *  - What no deputy has taken over when it was lost for ORPHAN_NS falls apart as without
 *    one (tree.c).
 *  - If the area is cut in two besides, the part that has LARGER times the nodes of the other
 *    goes on with it, so that fewer get other addresses: a deputy in the smaller part leaves
 *    it alone; and if the leader stood in the larger part, and led that child too, so that
 *    it was succeeded first, then who did that is the *heir* of the whole.  A leader who finds
 *    himself in the smaller part of what he leads leaves it to the deputy (cut.c).
 *
 * While the step spreads, area and successor count as the same (area_same()): for one
 * who has not gone it while the leader is lost to him, for one who has for STEP_NS.
 * Sibling routes are kept by line, which does not change, so forwarding goes on
 * without a gap.  Outside this window they are two areas.  So if the area was only
 * cut in two, the part with the leader remains what it was, the other becomes the
 * successor, and at most one of them is listed by the parent: the other detaches, or
 * both are roots, and merge when they meet.
 */
#include "pnstackd/net/ctl_int.h"

#include <string.h>

/* Levels that a successor may have too many for its nodes.  When a hub dies, much of what
 * stood below is gone or has no border any more: to keep such hollow areas would make
 * the tree that grows out of them too tall, so they fall apart. */
#define HOLLOW 2
#define LARGER 2                     /* times as many nodes: that part goes on with the area */
#define HUB_LED 2                    /* facets of a hub that led areas around one node, */
#define HUB_FACET 2                  /* one of them at least of this number */

/* Return: there was a way to that area's leader, and it is gone; or none came up in time.  Who
 * goes back from a successor to an area whose leader lives after all has no way to him yet. */
static bool leader_lost(const struct net *net, const struct facet *f, uint64_t area)
{
	const struct dest *d = dest_find(f, DEST_LEADER, area);

	return d && !dest_alive(d) &&
	       (d->had || pn_time_since(net->now, d->lost_at) >= UNMET_NS);
}

/* Return: @leader leads what followed @own, the child in which the leader of @a was, and which
 * he led as well.  If @a is cut in two that may be the larger part, and it has no deputy */
static bool heir(const struct rec *a, const struct rec *own, uint64_t leader)
{
	const struct rec_child *c = &a->child[own->bit];

	return own->leader == leader && own->prev && own->prev == c->id && c->leader == a->leader;
}

bool area_same(const struct net *net, const struct facet *f, unsigned i, const struct rec *theirs)
{
	const struct rec *r = facet_rec(net, f, i);

	if (r->id == theirs->id)
		return true;
	if (r->line != theirs->line)
		return false;
	if (theirs->prev == r->id)
		return leader_lost(net, f, r->id) &&
		       (theirs->leader == r->deputy ||
			(i > 0 && heir(r, facet_rec(net, f, i - 1), theirs->leader)));
	return r->prev == theirs->id && pn_time_since(net->now, f->stepped[i]) < STEP_NS;
}

rec_ref succeed_of(struct net *net, const struct facet *f, const struct rec *below, rec_ref held)
{
	const struct rec *r = rec_at(&net->ctl->recs, held);
	rec_ref best = 0;

	if (!leader_lost(net, f, r->id))
		return 0;
	for_each_nb(net, f, a) {
		const struct nb *nb = &net->ctl->nbs[a];
		unsigned j;

		for (j = 0; nb->ready && j < nb->chain.n; j++) {
			const struct rec *s = chain_rec(net, &nb->chain, j);

			if (s->prev != r->id || s->line != r->line || s->base != r->base)
				continue;
			if (s->leader != r->deputy && !heir(r, below, s->leader)) {
				count(net, ctl_bad_deputy);
				continue;
			}
			if (!best || (s->id == rec_at(&net->ctl->recs, best)->id &&
				      rec_newer(s, rec_at(&net->ctl->recs, best))))
				best = nb->chain.at[j];
		}
	}
	return best;
}

static bool own_node(const struct net *net, uint64_t leader)
{
	uint16_t i;

	for (i = 0; i < net->ctl->facet_count; i++)
		if (net->ctl->facets[i].node_id == leader)
			return true;
	return false;
}

uint64_t succeed_deputy(const struct net *net, const struct rec_child *other, const struct rec *own)
{
	if (other->id && other->count != REC_COUNT_LEAF &&
	    (!own_node(net, other->leader) || !own->deputy))
		return other->leader;
	return own->deputy;
}

/* Return: area @i of our chain names us its deputy, and lists the child that we lead */
static bool deputy_of(const struct net *net, const struct facet *f, unsigned i)
{
	const struct rec *a = facet_rec(net, f, i), *own = facet_rec(net, f, i - 1);
	const struct rec_child *c = &a->child[own->bit];

	if (a->deputy != f->node_id || own->leader != f->node_id || !c->id)
		return false;
	if (c->id == own->id)
		return c->epoch == own->epoch;
	return c->id == own->prev || c->leader == f->node_id;
}

static bool succeed_make(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	const struct rec *a = facet_rec(net, f, i);
	struct rec own = *facet_rec(net, f, i - 1), s;
	struct rec_child *other;
	rec_ref ref;

	rec_init(&s, net, f->index, ++f->nonce);
	s.prev = a->id;
	s.line = a->line;
	s.base = a->base;
	s.top = a->top;
	s.bit = a->bit;
	s.parent = a->parent;
	s.child[own.bit] = (struct rec_child){own.id, own.leader, own.epoch, own.count};
	other = &s.child[1 - own.bit];
	if (dest_alive(dest_find(f, DEST_SIBLING, own.line)))
		*other = a->child[1 - own.bit];
	s.count = other->id ? rec_count_sum(own.count, other->count) : own.count;
	s.deputy = succeed_deputy(net, other, &own);
	if (!balance_compact(&s, HOLLOW))
		return false;
	rec_sign(net, &s);
	ref = rec_intern(&net->ctl->recs, &s, 0);
	own.parent = s.id;
	if (!ref || !tree_replace(net, f, i - 1, &own, now)) {
		rec_put(&net->ctl->recs, ref);
		return false;
	}
	rec_put(&net->ctl->recs, f->chain.at[i]);
	f->chain.at[i] = ref;
	f->leave_at[i] = PN_TIME_NEVER;
	f->silent[i] = PN_TIME_NEVER;
	f->lease[i] = (struct pn_time){0};
	f->stepped[i] = now;
	count(net, tree_successions);
	tree_rebuild(net, f, now);
	return true;
}

/* Return: a hub died: different facets of one node led areas of ours, and all are gone.
 * Most of what they held together has no border any more */
static bool hub_died(const struct net *net, const struct facet *f, const struct rec *a)
{
	uint64_t leaders[HUB_LED];
	unsigned i, j, n = 0;
	bool many = false;

	for (i = 1; i < f->chain.n; i++) {
		const struct rec *r = facet_rec(net, f, i);

		if (memcmp(r->leader_id, a->leader_id, PN_ID_LEN) != 0 ||
		    !leader_lost(net, f, r->id))
			continue;
		for (j = 0; j < n && leaders[j] != r->leader; j++)
			;
		if (j == n && n < HUB_LED)
			leaders[n++] = r->leader;
		many |= r->facet >= HUB_FACET;
	}
	return many && n == HUB_LED;
}

/* Return: there is no way between the two children of area @i of our chain for long.  While that
 * is in doubt the area counts as whole: its deputy goes on with it, an heir waits. */
static bool cut(const struct net *net, const struct facet *f, unsigned i)
{
	const struct dest *d = dest_find(f, DEST_SIBLING, facet_rec(net, f, i - 1)->line);

	return d && !dest_alive(d) &&
	       pn_time_since(net->now, d->lost_at) >= tree_lost_ns(net, f, d);
}

/* The same where there was one: the other child is no invention of the area's leader */
static bool torn(const struct net *net, const struct facet *f, unsigned i)
{
	const struct dest *d = dest_find(f, DEST_SIBLING, facet_rec(net, f, i - 1)->line);

	return d && d->had && cut(net, f, i);
}

bool succeed_take_over(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	const struct rec *a, *own;
	const struct rec_child *other;
	uint32_t n, m;

	PN_ASSERT(i > 0);
	PN_ASSERT(i < f->chain.n);
	a = facet_rec(net, f, i);
	own = facet_rec(net, f, i - 1);
	other = &a->child[1 - own->bit];
	n = rec_count_value(a->child[own->bit].count);
	m = other->id ? rec_count_value(other->count) : 0;
	if (hub_died(net, f, a))
		return false;
	if (deputy_of(net, f, i) ? m >= LARGER * n && torn(net, f, i)
				 : !heir(a, own, f->node_id) || n < LARGER * m || !torn(net, f, i))
		return false;
	return succeed_make(net, f, i, now);
}

bool succeed_hoped(const struct net *net, const struct facet *f, unsigned i)
{
	const struct rec *a = facet_rec(net, f, i);

	/* Nobody comes; or only over a border within the area, and there is none for long. */
	return a->deputy && a->deputy != f->node_id && !hub_died(net, f, a) && !cut(net, f, i);
}

void succeed_adopt(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	struct rec r = *facet_rec(net, f, i);

	if (!r.parent || i + 1u >= f->chain.n || facet_rec(net, f, i + 1)->id == r.parent)
		return;
	r.parent = facet_rec(net, f, i + 1)->id;
	count(net, tree_adoptions);
	tree_replace(net, f, i, &r, now);
}
