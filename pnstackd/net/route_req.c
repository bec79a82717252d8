/* SPDX-License-Identifier: ISC */
/* route_req.c - when only unfeasible routes are left, or soon will be, or only doubtful ones: ask
 * the source for a newer number
 *
 * The request goes hop by hop along the routes to the source (RFC 8966 3.8.1.2), which then
 * raises its number; or to the first node whose own route has such a number, which tells
 * it once more.  Who starves repeats its request ever more rarely.  A neighbour may make us
 * handle REQUEST_BURST at once and REQUEST_RATE a second: each may become one message
 * further on, or a new number that all of an area hear of.
 */
#include "pnstackd/net/circle.h"
#include "pnstackd/net/route_int.h"

#define REQUEST_EVERY_NS PN_MS(250)
#define REFRESH_NS PN_MS(500)
#define REQUEST_HOPS 250
#define REQUEST_BURST 128
#define REQUEST_AGAIN 6          /* so often the same is sent on once more */
#define REQUEST_RATE 64          /* per adjacency and second */

/* CTL_SEQNO_REQUEST: type 1 | kind 1 | area 8 | router 8 | seqno 2 | hops 1 */
static void request_send(struct net *net, uint32_t adj, enum dest_kind kind, uint64_t area,
			 uint64_t router, uint16_t seqno, unsigned hops, struct pn_time now)
{
	uint8_t buf[24];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, CTL_SEQNO_REQUEST);
	pn_wr_u8(&w, kind);
	pn_wr_u64(&w, area);
	pn_wr_u64(&w, router);
	pn_wr_u16(&w, seqno);
	pn_wr_u8(&w, hops);
	PN_ASSERT(pn_wr_ok(&w));
	count(net, route_requests);
	adj_soft_send(net, adj, buf, w.len, now);
}

/* Of the sources that we kept no distance for, the nearest can be asked, too. */
static void adopt_nearest(struct net *net, struct facet *f, struct dest *d)
{
	const struct via *nearest = NULL;

	for_each_via(net, d, v)
		if (via_heard(f, v) && !v->direct && !route_fd(d, v->router) &&
		    (!nearest || route_via_total(net, v) < route_via_total(net, nearest)))
			nearest = v;
	if (nearest)
		route_fd_adopt(net, d, nearest);
}

void route_request(struct net *net, struct facet *f, struct dest *d, struct pn_time now)
{
	bool doubts;

	if (!route_may_ask(d, now) && d->requests) {
		facet_poke(net, f, d->next_request);
		return;
	}
	doubts = route_doubts(d, now);
	adopt_nearest(net, f, d);
	for_each_via(net, d, v) {
		const struct fd *fd;

		if (!via_heard(f, v) || v->direct ||
		    (route_via_feasible(net, f, d, v) &&
		     !(doubts && via_last_resort(v) && !v->raised)))
			continue;
		fd = route_fd(d, v->router);
		if (fd)
			request_send(net, v->adj, d->kind, d->area, via_router(net, v),
				     (uint16_t)(fd->seqno + 1), REQUEST_HOPS, now);
	}
	d->requests = (uint8_t)pn_min(d->requests + 1u, doubts ? ASK_DOUBTS : 5u);
	d->next_request = pn_time_add(now, REQUEST_EVERY_NS << (d->requests - 1));
	facet_poke(net, f, d->next_request);
}

void route_refresh(struct net *net, struct dest *d, const struct via *v, struct pn_time now)
{
	const struct fd *fd = route_fd(d, v->router);

	if (!fd || fd->seqno != v->seqno || !pn_time_due(d->next_request, now) ||
	    (fd->metric - v->metric) * 4 > nb_cost(net, v->adj) * 3)
		return;
	request_send(net, v->adj, d->kind, d->area, via_router(net, v), (uint16_t)(fd->seqno + 1),
		     REQUEST_HOPS, now);
	d->next_request = pn_time_add(now, REFRESH_NS);
}

/* The neighbour through which a request for @router gets closer to it; one that was here
 * already may try another one. */
static struct via *towards(struct net *net, struct facet *f, struct dest *d, uint16_t router,
			   uint32_t not, unsigned again)
{
	struct via *sel = d->selected ? via_at(net, d->selected) : NULL, *best = NULL;
	unsigned points, most = 0, others = 0;

	if (again == 0 && sel && sel->router == router && sel->adj != not && !via_last_resort(sel))
		return sel;
	for_each_via(net, d, v) {
		if (v->router != router || v->adj == not || !via_heard(f, v))
			continue;
		points = 1 + (route_via_feasible(net, f, d, v) ? 1 : 0) + (via_last_resort(v) ? 0 : 2);
		if (again % 2)           /* perhaps it went round: any of the others */
			points = net_random_u64(net) % ++others == 0 ? most + 1 : 0;
		if (points > most) {
			most = points;
			best = v;
		}
	}
	return best;
}

void route_on_request(struct net *net, struct facet *f, uint32_t adj, struct pn_rd *rd,
		      struct pn_time now)
{
	unsigned kind = pn_rd_u8(rd);
	uint64_t area = pn_rd_u64(rd), router = pn_rd_u64(rd);
	uint16_t seqno = pn_rd_u16(rd);
	unsigned hops = pn_rd_u8(rd);
	struct dest *d;
	struct via *v, *sel;
	unsigned again;
	uint16_t source;

	if (!pn_rd_finish(rd) || kind > DEST_SIBLING || !area) {
		count(net, ctl_malformed);
		return;
	}
	if (!bucket_take(&net->ctl->nbs[adj].requests, REQUEST_BURST, PN_S(1) / REQUEST_RATE,
			 now)) {
		count(net, route_limited);
		return;
	}
	d = dest_find(f, kind, area);
	if (!d)
		return;
	if (router == f->node_id) {
		if (d->own && seqno_newer(seqno, d->seqno)) {
			d->seqno = seqno;
			route_changed(net, f, d, now);
		}
		return;
	}
	sel = d->selected ? via_at(net, d->selected) : NULL;
	source = intern_find(&net->ctl->routers, &router);
	if (sel && !sel->direct && sel->router == source && !seqno_newer(seqno, sel->seqno)) {
		v = via_find(net, d, adj);
		if (v)
			v->tx_sent = false;      /* tell it once more */
		net->ctl->nbs[adj].tx_dirty = true;
		facet_poke(net, f, now);
		return;
	}
	if (hops <= 1 || net->leaf)
		return;
	again = circle_request(net, area, router, seqno, now);
	if (again > REQUEST_AGAIN) {
		count(net, route_limited);
		return;
	}
	v = source ? towards(net, f, d, source, adj, again) : NULL;
	if (v)
		request_send(net, v->adj, d->kind, area, router, seqno, hops - 1, now);
}
