/* SPDX-License-Identifier: ISC */
/* route_tell.c - what we tell a neighbour of our routes
 *
 * For each destination that it shares with us what was told is kept (struct via), and an
 * entry goes out when it is something else by now.  What can never be used is not told:
 * our own next hop hears that there is no way over us, and a leaf is nobody's way.  The
 * entry's layout is told in route.c.
 */
#include "pnstackd/net/route_int.h"
#include "pnstackd/net/limit.h"

#define ENTRY_MAX 44             /* bytes of the largest entry, kind byte included */

void route_on_want(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd)
{
	unsigned kind = pn_rd_u8(rd);
	uint64_t area = pn_rd_u64(rd);
	struct dest *d = rd->bad || !area ? NULL : dest_find(f, kind, area);
	struct via *v = d ? via_find(net, d, adj) : NULL;

	if (!v)
		return;
	v->tx_sent = false;
	net->ctl->nbs[adj].tx_dirty = true;
	facet_poke(net, f, net->now);
}

/* What we advertise to one neighbour: nothing towards our own next hop. */
struct advert { uint64_t router; uint16_t seqno, metric; struct sib sib; };

static struct advert dest_advert(const struct net *net, const struct facet *f, const struct dest *d,
				 uint32_t adj)
{
	struct advert ad = {f->node_id, d->seqno, d->metric, {0}};
	const struct via *sel = d->selected ? via_at(net, d->selected) : NULL;

	if (net->leaf && !(d->own && d->kind == DEST_LEADER))
		ad.metric = NET_METRIC_INF;      /* we are nobody's way */
	if (sel)
		ad.sib = *via_sib(net, sel);
	if (sel && !sel->direct) {
		ad.router = via_router(net, sel);
		ad.seqno = sel->seqno;
		if (sel->adj == adj)
			ad.metric = NET_METRIC_INF;
	}
	return ad;
}

/* In 48 bits: two adverts that follow each other never have the same one by chance, and
 * whoever makes them so on purpose could as well have told nothing. */
static uint64_t advert_digest(const struct advert *ad)
{
	uint64_t h = mix64(ad->router) ^ ((uint64_t)ad->seqno << 16 | ad->metric);

	h = mix64(h) ^ ad->sib.id;
	h = mix64(h) ^ ((uint64_t)ad->sib.epoch << 8 | ad->sib.count);
	return mix64(h) >> 16;
}

static bool advert_told(const struct via *v, const struct advert *ad)
{
	if (ad->metric >= NET_METRIC_INF && !v->tx_open)
		return true;             /* nothing was told, nothing to take back */
	return v->tx_sent && ((uint64_t)v->told_high << 32 | v->told) == advert_digest(ad);
}

static void advert_write(struct pn_wr *w, const struct dest *d, struct via *v,
			 const struct advert *ad)
{
	uint64_t digest = advert_digest(ad);

	pn_wr_u8(w, ENTRY_ROUTE);
	pn_wr_u8(w, d->kind);
	pn_wr_u64(w, d->area);
	pn_wr_u64(w, ad->router);
	pn_wr_u16(w, ad->seqno);
	pn_wr_u16(w, ad->metric);
	if (d->kind == DEST_SIBLING) {
		pn_wr_u64(w, ad->sib.id);
		pn_wr_u64(w, ad->sib.leader);
		pn_wr_u32(w, ad->sib.epoch);
		pn_wr_u8(w, ad->sib.base);
		pn_wr_u8(w, ad->sib.count);
	}
	v->tx_sent = true;
	v->tx_open = ad->metric < NET_METRIC_INF;
	v->told = (uint32_t)digest;
	v->told_high = (uint16_t)(digest >> 32);
}

/* Return: everything is told */
bool route_build(struct net *net, struct facet *f, uint32_t adj, struct pn_wr *w)
{
	const struct nb *nb = &net->ctl->nbs[adj];
	unsigned i;

	if (!nb->ready)
		return true;
	for (i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];
		int own = d->area ? dest_index(net, f, d) : -1;
		struct advert ad;
		struct via *v;

		if (own < 0 || !(nb->inside >> own & 1))
			continue;
		v = via_find(net, d, adj);
		if (!v)
			continue;        /* there was no room (route_lost()) */
		if (w->cap - w->len < ENTRY_MAX + 10)
			return false;
		if (v->tx_want) {
			pn_wr_u8(w, ENTRY_WANT);
			pn_wr_u8(w, d->kind);
			pn_wr_u64(w, d->area);
			v->tx_want = false;
		}
		ad = dest_advert(net, f, d, adj);
		if (!advert_told(v, &ad))
			advert_write(w, d, v, &ad);
	}
	return true;
}
