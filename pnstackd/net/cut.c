/* SPDX-License-Identifier: ISC */
/* cut.c - forwarding while an area is cut in two
 *
 * Theory of operation
 *
 * When the node or link goes over which one part of an area reached the other, routes inside
 * it end at the cut, though from outside both parts can be reached.  It takes the tree seconds
 * to put that right (succeed.c, tree.c); until then packets for the larger part go around:
 *
 *  - Each facet counts how much of each of its areas it reaches: its own part, and the siblings
 *    to which it has a way.  An area of which that is less than half is *cut* for it, and it
 *    tells its neighbours so (ENTRY_CUT).
 *  - Who stands outside that area takes such a neighbour for a way into it as a last resort
 *    only: what is for the area goes in over the borders of the larger part.
 *  - A packet in the smaller part, for somebody in the other, leaves the area: it goes
 *    towards the next higher sibling to which there is a way, and from there into the area
 *    again (route_detour()).  The header tells the level of that sibling, and whether it was
 *    reached: once it was, only a higher one may follow.  So a packet makes at most 63
 *    detours, and ends.
 *
 * Which part is the larger one follows from the counts in the area's record; if both are as
 * large it is the one with bit 0.  So it is the same for both, as long as both have the same
 * record; if they have not, both may go on as before.
 *
 * A leader who finds that of an area he leads most nodes are beyond the cut leaves it to them
 * (cut_outnumbered()): with his own part, the child of the lowest area that is cut, he grafts
 * again.  The deputy goes on with the area, as if the leader had died (succeed.c), and
 * those many keep their addresses.
 *
 * ENTRY_CUT, its kind followed by a length 2: bits, one for each slot of our chain 8 */
#include "pnstackd/net/route_int.h"

#define MOST 3                   /* times what we reach is in an area that we do not keep, */
#define FEW 8                    /* if so many are beyond: hardly just the deputy died */
#define CUT_BURST 16             /* changes that a neighbour may tell of at once: all routes over */
#define CUT_EVERY_NS PN_MS(100)  /* it become others each time; and one more each */
#define LEAVE_HOLD_NS PN_S(60)   /* a leader leaves, and then not again for so long: how many are
                                  * beyond is what somebody there told */
#define CUT_NS PN_MS(30)         /* a way is missing for so long: new ones come sooner */

/* Walking up our chain */
struct reach {
	uint64_t all, reached;   /* nodes of the area, and those in parts to which there is a way */
	unsigned lowest;         /* index of the lowest area that is cut in two; 0: none yet */
};

/* On to our i-th area, the next one up.  A way counts as missing after @ns */
static void reach_up(struct net *net, struct facet *f, struct reach *w, unsigned i, uint64_t ns,
		     struct pn_time now)
{
	const struct rec *r = facet_rec(net, f, i), *own = facet_rec(net, f, i - 1);
	const struct rec_child *other = &r->child[1 - own->bit];
	const struct dest *d = dest_find(f, DEST_SIBLING, own->line);
	uint32_t n = other->id ? rec_count_value(other->count) : 0;

	w->all = (uint64_t)rec_count_value(r->child[own->bit].count) + n;
	/* One that was never reached is on its way, or an invention of the area's leader. */
	if (n && d && d->had && !dest_alive(d) && pn_time_since(now, d->lost_at) >= ns) {
		if (!w->lowest)
			w->lowest = i;
		return;
	}
	if (n && d && d->had && !dest_alive(d))
		facet_poke(net, f, pn_time_add(d->lost_at, ns));
	w->reached += n;
}

static uint64_t cut_areas(struct net *net, struct facet *f, struct pn_time now)
{
	struct reach w = {1, 1, 0};
	uint64_t cut = 0;
	unsigned i;

	for (i = 1; i < f->chain.n; i++) {
		reach_up(net, f, &w, i, CUT_NS, now);
		if (w.lowest && (2 * w.reached < w.all ||
				 (2 * w.reached == w.all && facet_rec(net, f, i - 1)->bit)))
			cut |= 1ull << i;
	}
	return cut;
}

bool cut_outnumbered(struct net *net, struct facet *f, unsigned *piece, struct pn_time now)
{
	struct reach w = {1, 1, 0};
	unsigned i;

	if (pn_time_before(now, f->leave_hold))
		return false;
	for (i = 1; i < f->chain.n; i++) {
		const struct rec *r = facet_rec(net, f, i);

		if (!r->parent || r->leader != f->node_id)
			break;
		reach_up(net, f, &w, i, LIST_NS, now);
		if (w.lowest && w.all >= MOST * w.reached && w.all - w.reached >= FEW) {
			*piece = w.lowest - 1;
			f->leave_hold = pn_time_add(now, LEAVE_HOLD_NS);
			return true;
		}
	}
	return false;
}

/* What a neighbour told counts from now on, if it has not changed it too often. */
static void cut_look(struct net *net, struct facet *f, uint32_t adj, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	if (nb->cut == nb->cut_heard)
		return;
	if (!bucket_take(&nb->cuts, CUT_BURST, CUT_EVERY_NS, now)) {
		facet_poke(net, f, pn_time_add(now, CUT_EVERY_NS));
		return;
	}
	nb->cut = nb->cut_heard;
	route_on_cost(net, f, adj, now);
}

void cut_duties(struct net *net, struct facet *f, struct pn_time now)
{
	uint64_t cut = cut_areas(net, f, now);
	bool news = cut != f->cut;

	f->cut = cut;
	for_each_nb(net, f, a) {
		net->ctl->nbs[a].tx_dirty |= news;
		cut_look(net, f, a, now);
	}
}

bool cut_build(const struct facet *f, struct nb *nb, struct pn_wr *w)
{
	size_t length;

	if (nb->cut_told == f->cut)
		return true;
	if (w->cap - w->len < 1 + 2 + 8)
		return false;
	pn_wr_u8(w, ENTRY_CUT);
	length = pn_wr_open16(w);
	pn_wr_u64(w, f->cut);
	pn_wr_close16(w, length);
	nb->cut_told = f->cut;
	return true;
}

void cut_on_entry(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		  struct pn_time now)
{
	uint64_t cut = pn_rd_u64(rd);

	if (!pn_rd_finish(rd)) {
		count(net, ctl_malformed);
		return;
	}
	net->ctl->nbs[adj].cut_heard = cut;
	cut_look(net, f, adj, now);
}

bool cut_border(const struct net *net, const struct via *v)
{
	const struct nb *nb = &net->ctl->nbs[v->adj];

	return v->direct && nb->common > 0 && nb->cut >> (nb->common - 1) & 1;
}

bool cut_ends(const struct net *net, uint32_t adj, unsigned level)
{
	const struct nb *nb = adj < net->ctl->nb_max ? &net->ctl->nbs[adj] : NULL;
	unsigned i;

	for (i = 0; nb && nb->cut && nb->ready && i + 1u < nb->chain.n; i++)
		if (chain_rec(net, &nb->chain, i)->top == level)
			return nb->cut >> (i + 1) & 1;
	return false;
}

int route_detour(const struct net *net, uint16_t facet, unsigned level)
{
	const struct facet *f = facet_at(net, facet);
	unsigned i;

	for (i = 0; i + 1u < f->chain.n && facet_rec(net, f, i)->top != level; i++)
		;
	if (i + 1u >= f->chain.n || !(f->cut >> (i + 1) & 1))
		return -1;
	for (i++; i + 1u < f->chain.n; i++)
		if (route_sibling_exists(net, facet, facet_rec(net, f, i)->top))
			return facet_rec(net, f, i)->top;
	return -1;
}
