/* SPDX-License-Identifier: ISC */
/* gossip.c - what neighbours tell each other
 *
 * Theory of operation
 *
 * Each side keeps the other's copy of its chain up to date over the reliable
 * channel of the adjacency: slot by slot, and a COMMIT when all slots are told.
 * What stands in a neighbour's chain counts only once it is committed, so it is
 * always a chain that the neighbour really had.  State, not events, is sent: a
 * record that changes twice before its turn comes is sent once.  The channel's
 * window is the back-pressure; nothing is queued here.
 *
 * CTL_UPDATE: type 1 | our facet 2 | entries, each a kind byte and
 *   SET     slot 1 | record REC_WIRE_LEN
 *   COMMIT  slots in all 1
 *   ROUTE   see route.c
 *   NBHD    see nbhd.c, PART route_part.c, CUT cut.c; their kinds and those above are followed by
 *           a length 2
 *   WANT    destination kind 1 | area 8: tell that route again, we lost it
 *   AGAIN   slot 1: tell that slot again, we could not take it
 *
 * What a neighbour can make us do is bounded: signatures to check, chains to commit and
 * slots to tell again by buckets, records to keep by a quota and by what is spared for our
 * own.  A record (with a commit too many: the first) that is refused for that
 * is asked for again after AGAIN_NS; until then what was committed before counts, if there is
 * room for both.
 */
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"

#include <string.h>

static void slot_set(struct net *net, struct chain *c, unsigned i, rec_ref ref)
{
	while (c->n <= i)
		c->at[c->n++] = 0;
	rec_put(&net->ctl->recs, c->at[i]);
	c->at[i] = ref;
}

static void chain_truncate(struct net *net, struct chain *c, unsigned n)
{
	while (c->n > n)
		rec_put(&net->ctl->recs, c->at[--c->n]);
}

static void chain_copy(struct net *net, struct chain *to, const struct chain *from)
{
	unsigned i;

	for (i = 0; i < from->n; i++)
		rec_get(&net->ctl->recs, from->at[i]);
	chain_truncate(net, to, 0);
	memcpy(to->at, from->at, from->n * sizeof(*to->at));
	to->n = from->n;
}

void gossip_forget(struct net *net, struct nb *nb)
{
	chain_truncate(net, &nb->stage, 0);
	chain_truncate(net, &nb->chain, 0);
	chain_truncate(net, &nb->sent, 0);
	nb->again = 0;
	nb->again_room = false;
	nb->ready = false;
}

/* Sending ------------------------------------------------------------------ */

/* Return: all slots are told */
static bool build_chain(struct net *net, const struct facet *f, struct nb *nb, struct pn_wr *w)
{
	unsigned i;

	for (i = 0; i < f->chain.n; i++) {
		if (i < nb->sent.n && nb->sent.at[i] == f->chain.at[i])
			continue;
		nb->sent_commit = false;
		if (w->cap - w->len < 2 + REC_WIRE_LEN)
			return false;
		pn_wr_u8(w, ENTRY_SET);
		pn_wr_u8(w, i);
		rec_build(w, facet_rec(net, f, i));
		slot_set(net, &nb->sent, i, rec_get(&net->ctl->recs, f->chain.at[i]));
	}
	if (nb->sent_commit && nb->sent.n == f->chain.n)
		return true;
	if (w->cap - w->len < 2)
		return false;
	pn_wr_u8(w, ENTRY_COMMIT);
	pn_wr_u8(w, f->chain.n);
	chain_truncate(net, &nb->sent, f->chain.n);
	nb->sent_commit = true;
	return true;
}

static void build_again(struct nb *nb, struct pn_wr *w, struct pn_time now)
{
	unsigned i;

	if (!nb->again || !pn_time_due(nb->again_at, now))
		return;
	for (i = 0; i < CHAIN_MAX; i++) {
		if (!(nb->again >> i & 1))
			continue;
		pn_wr_u8(w, ENTRY_AGAIN);
		pn_wr_u8(w, i);
	}
	nb->again_at = pn_time_add(now, AGAIN_NS);
}

void gossip_send(struct net *net, uint32_t adj, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];
	struct facet *f = facet_at(net, nb->facet);
	uint8_t buf[ADJ_CTL_MAX];

	while (gossip_due(net, adj, now) && adj_ctl_ready(net, adj, now)) {
		struct pn_wr w;
		size_t head;
		bool all;

		pn_wr_init(&w, buf, sizeof(buf));
		pn_wr_u8(&w, CTL_UPDATE);
		pn_wr_u16(&w, nb->facet);
		head = w.len;
		build_again(nb, &w, now);
		all = build_chain(net, f, nb, &w) && cut_build(f, nb, &w) &&
		      route_build(net, f, adj, &w) && part_build(net, f, adj, &w) &&
		      nbhd_build(net, adj, &w);
		PN_ASSERT(pn_wr_ok(&w));
		nb->tx_dirty = !all;
		if (w.len == head)
			return;
		if (adj_ctl_send(net, adj, buf, w.len, now))
			return;          /* cannot be: it was ready */
	}
}

/* Receiving ---------------------------------------------------------------- */

bool gossip_may_check(struct net *net, uint32_t adj, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	if (bucket_take(&nb->checks, SIGN_BURST, SIGN_REFILL_NS, now))
		return true;
	count(net, ctl_checks_bounded);
	return false;
}

bool gossip_due(struct net *net, uint32_t adj, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];

	if (nb->again && !pn_time_due(nb->again_at, now))
		facet_poke(net, facet_at(net, nb->facet), nb->again_at);
	return nb->tx_dirty || (nb->again && pn_time_due(nb->again_at, now));
}

/* The record, kept for this neighbour; 0: not now.  *bad: not ever */
static rec_ref take_in(struct net *net, uint32_t adj, const struct rec *r, bool *bad,
		       struct pn_time now)
{
	struct rec_pool *p = &net->ctl->recs;
	rec_ref ref = rec_get(p, rec_find(p, r));

	*bad = false;
	if (ref || !gossip_may_check(net, adj, now))
		return ref;
	if (rec_verify(r)) {
		count(net, ctl_bad_signature);
		*bad = true;
		return 0;
	}
	ref = rec_intern_for(p, r, net->ctl->rec_spare, adj + 1, net->ctl->rec_quota);
	if (!ref) {
		count(net, rec_full);
		net->ctl->nbs[adj].again_room = true;
	}
	return ref;
}

static void ask_again(struct net *net, struct nb *nb, unsigned slot)
{
	if (!nb->again)
		nb->again_at = pn_time_add(net->now, AGAIN_NS);
	nb->again |= 1ull << slot;
	facet_poke(net, facet_at(net, nb->facet), nb->again_at);
}

static int on_set(struct net *net, uint32_t adj, struct pn_rd *rd, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];
	unsigned slot = pn_rd_u8(rd);
	struct rec r;
	rec_ref ref = 0;
	bool bad = true;
	int err = rec_parse(rd, &r);

	if (err || slot >= CHAIN_MAX) {
		count(net, ctl_malformed);
		return PN_EBADMSG;
	}
	if (slot >= net->ctl->chain_max) {
		count(net, ctl_refused_height);
		return 0;                /* its chain is longer than any that ours can be */
	}
	if (!rec_height_fits(r.base, r.count, HEIGHT_BELIEF))
		count(net, ctl_refused_height);
	else
		ref = take_in(net, adj, &r, &bad, now);
	slot_set(net, &nb->stage, slot, ref);
	if (ref || bad) {
		nb->again &= ~(1ull << slot);
		return 0;
	}
	ask_again(net, nb, slot);
	return 0;
}

/* A committed chain must hang together, or we do as if there was none. */
static bool chain_sound(const struct net *net, const struct chain *c)
{
	unsigned i;

	for (i = 0; i < c->n; i++)
		if (!c->at[i])
			return false;
	if (c->n == 0 || chain_rec(net, c, 0)->nonce != 0)
		return false;
	for (i = 0; i + 1 < c->n; i++) {
		const struct rec *r = chain_rec(net, c, i), *p = chain_rec(net, c, i + 1);

		if (!r->parent || (r->parent != p->id && r->parent != p->prev) ||
		    p->base != r->top + 1)
			return false;
	}
	return true;
}

static void on_again(struct net *net, struct nb *nb, unsigned slot)
{
	if (!bucket_take(&nb->repeats, REPEAT_BURST, REPEAT_REFILL_NS, net->now)) {
		count(net, ctl_bounded);
		return;                  /* it asks once more */
	}
	if (slot < nb->sent.n)
		slot_set(net, &nb->sent, slot, 0);
	nb->sent_commit = false;
	nb->tx_dirty = true;
	facet_poke(net, facet_at(net, nb->facet), net->now);
}

static void on_commit(struct net *net, uint32_t adj, struct nb *nb, unsigned n, struct pn_time now)
{
	struct facet *f = facet_at(net, nb->facet);

	chain_truncate(net, &nb->stage, n);
	if (n < CHAIN_MAX)
		nb->again &= (1ull << n) - 1;
	if (!bucket_take(&nb->commits, COMMIT_BURST, COMMIT_REFILL_NS, now)) {
		count(net, ctl_bounded);
		ask_again(net, nb, 0);
		return;
	}
	if (nb->again && !nb->again_room)
		return;                  /* soon */
	if (nb->again)                   /* what was before makes room for what is */
		chain_truncate(net, &nb->chain, 0);
	nb->again_room = false;
	nb->ready = nb->stage.n == n && chain_sound(net, &nb->stage);
	if (nb->ready)
		chain_copy(net, &nb->chain, &nb->stage);
	else
		count(net, ctl_stale);
	tree_locate(net, f, nb);
	route_on_chain(net, f, adj, now);
	nb->tx_dirty = true;             /* it may be in more, or fewer, areas with us */
	facet_poke(net, f, now);
}

/* An entry that carries its length: what we do not know is passed over. */
static void on_long(struct net *net, struct facet *f, uint32_t adj, unsigned kind,
		    struct pn_rd *rd, struct pn_time now)
{
	struct pn_rd sub = pn_rd_sub(rd, pn_rd_u16(rd));

	if (rd->bad || (kind != ENTRY_NBHD && kind != ENTRY_PART && kind != ENTRY_CUT))
		return;
	if (kind == ENTRY_NBHD)
		nbhd_on_entry(net, adj, &sub);
	else if (kind == ENTRY_PART)
		part_on_entry(net, f, adj, &sub);
	else
		cut_on_entry(net, f, adj, &sub, now);
	facet_poke(net, f, now);
}

void gossip_on_update(struct net *net, uint32_t adj, struct pn_rd *rd, struct pn_time now)
{
	struct nb *nb = &net->ctl->nbs[adj];
	struct facet *f = facet_at(net, nb->facet);
	bool committed = false;

	adj_at(net, adj)->peer_facet = pn_rd_u16(rd);
	while (rd->left) {
		unsigned kind = pn_rd_u8(rd);

		switch (kind) {
		case ENTRY_SET:
			if (on_set(net, adj, rd, now))
				return;
			break;
		case ENTRY_COMMIT:
			if (committed) { /* one is all it takes, and it is dear */
				count(net, ctl_malformed);
				return;
			}
			committed = true;
			on_commit(net, adj, nb, pn_rd_u8(rd), now);
			break;
		case ENTRY_ROUTE:
			route_on_entry(net, f, adj, rd, now);
			break;
		case ENTRY_WANT:
			route_on_want(net, f, adj, rd);
			break;
		case ENTRY_AGAIN:
			on_again(net, nb, pn_rd_u8(rd));
			break;
		default:
			if (kind < ENTRY_LONG) {
				count(net, ctl_malformed);
				return;
			}
			on_long(net, f, adj, kind, rd, now);
		}
	}
	if (rd->bad)
		count(net, ctl_malformed);
}
