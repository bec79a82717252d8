/* SPDX-License-Identifier: ISC */
/* tree.c - the area tree of one facet
 *
 * Theory of operation
 *
 * A facet holds the records of the areas it is in: its *chain*, from its own
 * leaf to the root.  The chain is rebuilt whenever something may have changed:
 * starting at the leaf, each step takes the newest record of the parent area
 * that the facet or one of its neighbours holds.  A neighbour's record counts
 * only for an area that our own chain leads to, so nothing is merged from
 * outside an area.  Bases strictly rise along a chain, so it always ends.
 *
 * The leader of an area has duties, run by tree_duties():
 *  - it lists its two children: the one it is in itself, and the other as the
 *    sibling routes show it (route_sib()).  A listed child keeps its slot for
 *    LIST_NS of silence, a granted one for LEASE_NS until it is first seen;
 *  - it sees to it that its own area is listed by its parent.  If a living parent
 *    has not listed it, with this epoch and leader, for GRACE_NS, it detaches; sooner, if
 *    it is plain that it will not (superseded(), rivalled(), replaced());
 *  - if what it leads is cut in two, and it is in the smaller part, it leaves that to
 *    the other (cut.c);
 *  - if the parent's leader is lost (tree_lost_ns()), and nobody will succeed it
 *    (succeed.c), it detaches; if somebody may, not before ORPHAN_NS;
 *  - if the parent is the root and has no other child any more, it detaches, so that
 *    what is left after faults is not taller than it needs to be: at once if no
 *    address changes by it (bit 0), else when it meets another network.
 * To detach is to become a root with the epoch raised: no older listing counts
 * for it then, and the area grafts again as a whole (join.c).
 *
 * So where nobody succeeds a dead leader its children become networks of their own
 * and merge again.
 *
 * Invariants: an area has one leader for all its life (record.h), so two halves
 * can never both give away its slots.  Every record in a chain was verified.
 * All timers are kept per area and follow it when the chain shifts.
 */
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"
#include "pnstackd/net/route_int.h"

#include <string.h>

int chain_find(const struct net *net, const struct chain *c, uint64_t area)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (chain_rec(net, c, i)->id == area)
			return (int)i;
	return -1;
}

uint64_t chain_addr(const struct net *net, const struct chain *c)
{
	uint64_t addr = 0;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		const struct rec *r = chain_rec(net, c, i);

		if (r->parent)
			addr |= (uint64_t)r->bit << r->top;
	}
	return addr;
}

const struct rec *facet_root_rec(const struct net *net, const struct facet *f)
{
	if (!f->complete)
		return NULL;
	return facet_rec(net, f, f->chain.n - 1u);
}

bool tree_facet_init(struct net *net, struct facet *f)
{
	struct rec r;
	unsigned i;

	rec_init(&r, net, f->index, 0);
	r.epoch = f->leaf_epoch;
	r.seq = f->leaf_seq;
	rec_sign(net, &r);
	f->node_id = r.id;
	f->chain.at[0] = rec_intern(&net->ctl->recs, &r, 0);
	if (!f->chain.at[0])
		return false;
	f->chain.n = 1;
	f->complete = true;
	f->root = r.id;
	f->root_line = r.line;
	f->tall_since = PN_TIME_NEVER;
	for (i = 0; i < net->ctl->chain_max; i++) {
		f->leave_at[i] = PN_TIME_NEVER;
		f->silent[i] = PN_TIME_NEVER;
		f->lease[i] = (struct pn_time){0};
	}
	return true;
}

/* Where a neighbour stands, as its committed chain tells. */
static void locate(const struct net *net, const struct facet *f, struct nb *nb)
{
	const struct chain *c = &nb->chain;
	bool was_in = nb->in_network;
	const struct rec *top;
	unsigned i, j;

	nb->common = c->n;
	nb->inside = 0;
	nb->in_network = false;
	nb->fell_out |= was_in;
	if (!nb->ready || c->n == 0)
		return;
	top = chain_rec(net, c, c->n - 1u);
	nb->complete = top->parent == 0;
	nb->addr = chain_addr(net, c);
	nb->in_network = nb->complete && f->complete && area_same(net, f, f->chain.n - 1u, top);
	if (was_in && !nb->in_network)
		nb->apart_at = net->now;
	/* Bases rise along both, and are equal in the same area. */
	for (i = 0, j = 0; i < f->chain.n && j < c->n;) {
		const struct rec *r = facet_rec(net, f, i), *t = chain_rec(net, c, j);

		if (r->base == t->base && area_same(net, f, i, t)) {
			if (!nb->inside) {
				nb->common = (uint8_t)j;
				nb->common_own = (uint8_t)i;
			}
			nb->inside |= 1ull << i;
		}
		i += r->base <= t->base;
		j += t->base <= r->base;
	}
	if (nb->inside)
		nb->fell_out = false;
}

void tree_locate(struct net *net, const struct facet *f, struct nb *nb)
{
	uint64_t addr = nb->addr;
	bool in_network = nb->in_network;

	locate(net, f, nb);
	if (nb->addr != addr || nb->in_network != in_network)
		nbhd_touch(net);
}

/* The newest record of an area that we, or a neighbour, hold. */
static rec_ref newest(struct net *net, const struct facet *f, const struct chain *own,
		      uint64_t area)
{
	int i = chain_find(net, own, area);
	rec_ref best = i >= 0 ? own->at[i] : 0;

	for_each_nb(net, f, a) {
		const struct nb *nb = &net->ctl->nbs[a];
		int j = nb->ready ? chain_find(net, &nb->chain, area) : -1;

		if (j < 0)
			continue;
		if (!best || rec_newer(rec_at(&net->ctl->recs, nb->chain.at[j]),
				       rec_at(&net->ctl->recs, best)))
			best = nb->chain.at[j];
	}
	return best;
}

/* The record above @r: of its parent, or of the successor that we went on to, or go
 * on to now.  Not counted. */
static rec_ref parent_of(struct net *net, const struct facet *f, const struct rec *r)
{
	uint64_t area = r->parent;
	rec_ref ref, next;
	unsigned i;

	for (i = 1; chain_find(net, &f->chain, area) < 0 && i < f->chain.n; i++)
		if (facet_rec(net, f, i)->prev == area &&
		    pn_time_since(net->now, f->stepped[i]) < STEP_NS)
			area = facet_rec(net, f, i)->id;
	ref = newest(net, f, &f->chain, area);
	next = ref ? succeed_of(net, f, r, ref) : 0;
	return next ? next : ref;
}

/* Follow the parents from the leaf.  References are counted for the new chain. */
static bool chain_follow(struct net *net, const struct facet *f, struct chain *out)
{
	out->at[0] = rec_get(&net->ctl->recs, f->chain.at[0]);
	out->n = 1;
	for (;;) {
		const struct rec *r = chain_rec(net, out, out->n - 1u), *p;
		rec_ref ref;

		if (!r->parent)
			return true;
		ref = parent_of(net, f, r);
		if (!ref || out->n == net->ctl->chain_max)
			return false;
		p = rec_at(&net->ctl->recs, ref);
		if (p->base != r->top + 1)
			return false;
		out->at[out->n++] = rec_get(&net->ctl->recs, ref);
	}
}

/* Timers belong to areas, not to places in the chain. */
static void chain_timers_move(struct net *net, struct facet *f, const struct chain *now_chain)
{
	struct pn_time leave_at[CHAIN_MAX] = {0}, lease[CHAIN_MAX] = {0};
	struct pn_time silent[CHAIN_MAX] = {0}, stepped[CHAIN_MAX] = {0};
	unsigned i;

	for (i = 0; i < now_chain->n; i++) {
		const struct rec *r = chain_rec(net, now_chain, i);
		int o = chain_find(net, &f->chain, r->id);

		if (o >= 0)
			stepped[i] = f->stepped[o];
		else if (r->prev && chain_find(net, &f->chain, r->prev) >= 0)
			stepped[i] = net->now;
		leave_at[i] = o >= 0 ? f->leave_at[o] : PN_TIME_NEVER;
		silent[i] = o >= 0 ? f->silent[o] : PN_TIME_NEVER;
		lease[i] = o >= 0 ? f->lease[o] : (struct pn_time){0};
	}
	memcpy(f->leave_at, leave_at, now_chain->n * sizeof(*leave_at));
	memcpy(f->silent, silent, now_chain->n * sizeof(*silent));
	memcpy(f->lease, lease, now_chain->n * sizeof(*lease));
	memcpy(f->stepped, stepped, now_chain->n * sizeof(*stepped));
}

static bool chain_equal(const struct chain *a, const struct chain *b)
{
	return a->n == b->n && !memcmp(a->at, b->at, a->n * sizeof(a->at[0]));
}

static void chain_put(struct net *net, struct chain *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		rec_put(&net->ctl->recs, c->at[i]);
	c->n = 0;
}

static void remember_old_addr(struct facet *f, struct pn_time now)
{
	memmove(&f->old[1], &f->old[0], sizeof(f->old[0]) * (FACET_OLD_ADDRS - 1));
	f->old[0].addr = f->addr;
	f->old[0].until = pn_time_add(now, OLD_ADDR_NS);
}

static void address_changed(struct net *net, struct facet *f, struct pn_time now)
{
	const struct rec *root = facet_root_rec(net, f);
	uint64_t addr;
	struct net_event *ev;

	if (!root)
		return;                  /* the old one stays until we know better */
	addr = chain_addr(net, &f->chain);
	if (f->root != root->id)
		nbhd_touch(net);
	f->root = root->id;
	if (addr == f->addr && root->line == f->root_line)
		return;
	if (addr != f->addr)
		remember_old_addr(f, now);
	f->addr = addr;
	f->root_line = root->line;
	nbhd_touch(net);
	ev = net_event_push(net, NET_EV_ADDRESS);
	ev->addr = addr;
	ev->level = root->base;
	ev->token = f->index;
	lookup_on_address(net, f->index, now);
	adj_on_address(net, now);
}

/* Look again when area and successor count as one no longer. */
static void poke_when_stepped(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	for (i = 0; i < f->chain.n; i++)
		if (pn_time_since(now, f->stepped[i]) < STEP_NS)
			facet_poke(net, f, pn_time_add(f->stepped[i], STEP_NS));
}

void tree_rebuild(struct net *net, struct facet *f, struct pn_time now)
{
	rec_ref room[CHAIN_MAX];
	struct chain c = {.at = room};
	bool complete = chain_follow(net, f, &c);

	f->complete = complete;
	if (chain_equal(&c, &f->chain)) {
		chain_put(net, &c);
	} else {
		chain_timers_move(net, f, &c);
		chain_put(net, &f->chain);
		memcpy(f->chain.at, c.at, c.n * sizeof(*c.at));
		f->chain.n = c.n;
		nb_all_dirty(net, f);
		lookup_on_chain(net, now);
	}
	for_each_nb(net, f, a)
		tree_locate(net, f, &net->ctl->nbs[a]);
	route_sync_dests(net, f, now);
	poke_when_stepped(net, f, now);
	address_changed(net, f, now);
}

bool tree_replace(struct net *net, struct facet *f, unsigned i, struct rec *r, struct pn_time now)
{
	rec_ref ref;

	PN_ASSERT(i < f->chain.n);
	PN_ASSERT(r->leader == f->node_id);
	rec_sign(net, r);
	ref = rec_intern(&net->ctl->recs, r, 0);
	if (!ref) {
		count(net, rec_full);
		return false;
	}
	rec_put(&net->ctl->recs, f->chain.at[i]);
	f->chain.at[i] = ref;
	nb_all_dirty(net, f);
	lookup_on_chain(net, now);
	facet_poke(net, f, now);
	return true;
}

/* Duties ------------------------------------------------------------------- */

static bool child_is(const struct rec_child *c, uint64_t id, uint32_t epoch, uint64_t leader)
{
	return c->id == id && c->epoch == epoch && c->leader == leader;
}

/* The other child, as the sibling routes show it.  Return: the listing changed */
static bool list_sibling(struct net *net, struct facet *f, unsigned i, struct rec_child *c,
			 struct pn_time now)
{
	const struct sib *s = route_sib(net, f, i - 1, c);
	bool leased = pn_time_before(now, f->lease[i]);
	struct rec_child was = *c;

	if (s) {
		f->silent[i] = PN_TIME_NEVER;
		if (c->id != s->id ? c->id && leased : s->epoch < c->epoch && leased)
			return false;    /* what was there before; the new one comes */
		if (c->id == s->id && c->epoch == s->epoch)
			f->lease[i] = (struct pn_time){0};
		*c = (struct rec_child){s->id, s->leader, s->epoch, s->count};
	} else if (c->id && !leased) {
		if (pn_time_is_never(f->silent[i]))
			f->silent[i] = now;
		if (pn_time_since(now, f->silent[i]) < LIST_NS)
			facet_poke(net, f, pn_time_add(f->silent[i], LIST_NS));
		else
			memset(c, 0, sizeof(*c));
	} else if (c->id) {
		facet_poke(net, f, f->lease[i]);
	}
	return !child_is(&was, c->id, c->epoch, c->leader) || was.count != c->count;
}

static bool far_apart(uint8_t a, uint8_t b)
{
	return a > b ? a - b > 1 : b - a > 1;
}

static void lead_children(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	struct rec n = *facet_rec(net, f, i);
	const struct rec *c = facet_rec(net, f, i - 1);
	struct rec_child *own = &n.child[c->bit], *other = &n.child[1 - c->bit];
	struct rec_child before = *other;
	uint8_t sum;
	uint64_t deputy;
	bool changed = false;

	if (!child_is(own, c->id, c->epoch, c->leader) || far_apart(own->count, c->count)) {
		*own = (struct rec_child){c->id, c->leader, c->epoch, c->count};
		changed = true;
	}
	if (list_sibling(net, f, i, other, now) &&
	    (!child_is(other, before.id, before.epoch, before.leader) ||
	     far_apart(before.count, other->count)))
		changed = true;
	sum = other->id ? rec_count_sum(own->count, other->count) : own->count;
	deputy = succeed_deputy(net, other, c);
	if (changed || far_apart(sum, n.count) || n.deputy != deputy) {
		n.count = sum;
		n.deputy = deputy;
		tree_replace(net, f, i, &n, now);
	}
}

void tree_detach(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	struct rec r = *facet_rec(net, f, i);

	PN_ASSERT(r.parent != 0);
	r.parent = 0;
	r.top = NET_TOP_NONE;
	r.bit = 0;
	r.epoch++;
	f->leave_at[i] = PN_TIME_NEVER;
	f->pend_until = (struct pn_time){0};
	count(net, tree_detaches);
	if (tree_replace(net, f, i, &r, now))
		tree_rebuild(net, f, now);
}

/* Return: our i-th area is half of one that was cut in two, and followed that; the parent @p
 * still lists it: its leader lives, most likely */
static bool rivalled(const struct net *net, const struct facet *f, unsigned i, const struct rec *p)
{
	const struct rec *r = facet_rec(net, f, i);

	return r->prev && p->child[r->bit].id == r->prev && i > 0 &&
	       !r->child[1 - facet_rec(net, f, i - 1)->bit].id;
}

/* Return: the deputy went on with our i-th area, and the parent @p lists that: never us again */
static bool superseded(const struct net *net, const struct facet *f, unsigned i,
		       const struct rec *p)
{
	const struct rec *r = facet_rec(net, f, i);
	const struct rec_child *c = &p->child[r->bit];

	return r->deputy && c->leader == r->deputy && c->id != r->id && c->id != r->prev;
}

/* Return: the parent @p lists what somebody else leads in place of our i-th area: it sees us no
 * more, or we are the part that does not go on with what was cut in two */
static bool replaced(const struct net *net, const struct facet *f, unsigned i, const struct rec *p)
{
	const struct rec *r = facet_rec(net, f, i);
	const struct rec_child *c = &p->child[r->bit];

	return c->id && c->id != r->id && c->id != r->prev && c->leader != r->leader;
}

/* Return: an area we lead has not been listed for too long */
static bool unlisted(struct net *net, struct facet *f, unsigned i, struct pn_time now)
{
	const struct rec *r = facet_rec(net, f, i), *p;
	uint64_t grace = GRACE_NS, early = 0, left;
	const struct dest *d;
	struct pn_time at;

	if (!r->parent)
		return false;
	if (i + 1u < f->chain.n) {
		p = facet_rec(net, f, i + 1);
		d = dest_find(f, DEST_LEADER, p->id);
		if (rec_lists(p, r->id, r->epoch, r->leader) == r->bit || !dest_alive(d)) {
			f->leave_at[i] = PN_TIME_NEVER;
			return false;
		}
		if (superseded(net, f, i, p))
			return true;
		if (replaced(net, f, i, p))
			grace = REPLACED_NS;
		if (rivalled(net, f, i, p))  /* while it is so: the other half may come yet */
			early = GRACE_NS - REPLACED_NS;
	}                                /* else: the parent's record is missing */
	at = pn_time_add(now, grace);    /* only ever nearer, also if it was true for a moment */
	if (pn_time_before(at, f->leave_at[i]))
		f->leave_at[i] = at;
	left = pn_time_until(now, f->leave_at[i]);
	if (left <= early)
		return true;
	facet_poke(net, f, pn_time_add(now, left - early));
	return false;
}

static_assert(UNMET_NS + DOUBT_NS < ORPHAN_NS, "who doubts succeeds before others leave");

/* Who was never reached may be on his way to us yet.  And if neighbours tell of ways that may be
 * loops, he is being asked for a new number, and lives most likely; where many lie his answer takes
 * its time.  To follow one who lives tears the area in two. */
uint64_t tree_lost_ns(const struct net *net, const struct facet *f, const struct dest *d)
{
	uint64_t ns = d->had ? LOST_NS : UNMET_NS;

	for_each_via(net, d, v)
		if (via_heard(f, v))
			return ns + DOUBT_NS;
	return ns;
}

/* Look again when what we have no way to counts as gone. */
static void poke_when_lost(struct net *net, struct facet *f, const struct dest *d,
			   struct pn_time now)
{
	struct pn_time at;

	if (!d || dest_alive(d))
		return;
	at = pn_time_add(d->lost_at, tree_lost_ns(net, f, d));
	if (pn_time_before(now, at))
		facet_poke(net, f, at);
}

/* The first area of ours without a leader: if we lead the child, we succeed it, or wait
 * for who does, or leave.  Return: something was done about it */
static bool orphaned(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	for (i = 1; i < f->chain.n; i++) {
		const struct rec *r = facet_rec(net, f, i);
		const struct dest *d = dest_find(f, DEST_LEADER, r->id);
		const struct rec *own = facet_rec(net, f, i - 1);
		uint64_t lost, wait, since;

		if (!d || dest_alive(d))
			continue;
		if (own->leader != f->node_id)
			return false;
		since = pn_time_since(now, d->lost_at);
		lost = tree_lost_ns(net, f, d);
		if (since >= lost && succeed_take_over(net, f, i, now))
			return true;
		wait = succeed_hoped(net, f, i) ? ORPHAN_NS : lost;
		if (since < wait) {
			facet_poke(net, f, pn_time_add(d->lost_at, wait));
			poke_when_lost(net, f, d, now);
			poke_when_lost(net, f, dest_find(f, DEST_SIBLING, own->line), now);
			return false;
		}
		count(net, tree_orphans);
		tree_detach(net, f, i - 1, now);
		return true;
	}
	return false;
}

/* A root that lost its other child is only height: what is left of it goes without.  With
 * bit 1 that changes all its addresses, so it waits until they will change anyway. */
static bool alone_below_root(const struct net *net, const struct facet *f, unsigned i,
			     struct pn_time now)
{
	const struct rec *r = facet_rec(net, f, i), *p;

	if (!r->parent || i + 2u != f->chain.n ||
	    (r->bit && pn_time_since(now, f->met_at) >= MET_NS))
		return false;
	p = facet_rec(net, f, i + 1);
	return !p->parent && !p->child[1 - r->bit].id &&
	       rec_lists(p, r->id, r->epoch, r->leader) >= 0;
}

/* A leaf in a network of leaves: is there a better one next to it by now? */
static bool leaf_astray(const struct net *net, const struct facet *f)
{
	if (!net->leaf || f->chain.n < 2 || !leaf_carried(net))
		return false;
	for_each_nb(net, f, a)
		if (net->ctl->nbs[a].in_network && !adj_peek(net, a)->leaf)
			return false;
	for_each_nb(net, f, a)
		if (net->ctl->nbs[a].complete && !adj_peek(net, a)->leaf)
			return true;
	return false;
}

void tree_duties(struct net *net, struct facet *f, struct pn_time now)
{
	unsigned i;

	if (cut_outnumbered(net, f, &i, now)) {
		tree_detach(net, f, i, now);
		return;
	}
	for (i = 0; i < f->chain.n; i++) {
		if (facet_rec(net, f, i)->leader != f->node_id)
			continue;
		succeed_adopt(net, f, i, now);
		if (i > 0)
			lead_children(net, f, i, now);
		if (unlisted(net, f, i, now) || alone_below_root(net, f, i, now)) {
			tree_detach(net, f, i, now);
			return;          /* the chain is another one now */
		}
	}
	if (leaf_astray(net, f)) {
		tree_detach(net, f, 0, now);
		return;
	}
	if (!orphaned(net, f, now))
		balance_duties(net, f, now);
}
