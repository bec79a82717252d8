/* SPDX-License-Identifier: ISC */
/* Links, and how stations on them are found.
 *
 * Theory of operation
 *
 * Ethernet: stations say hello to all, see adj_ring.c.
 *
 * Tunnel: static peers are dialled for ever, with growing pauses: of up to 5 s for five
 * minutes, so that who lost his network for a while is soon back, then of 30 s.  The
 * handshake needs to know whom it talks to.  Where no identity is configured, a
 * small "who is there" (solicit) is sent first; the answer (announce) is not
 * larger than the question.  Where one is configured and nobody answers, the
 * same question finds out whether somebody else lives there, so that the
 * operator can be told.
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

#define STATION_TRIES   6             /* initiations without answer */
#define DIAL_EAGER      64            /* tries of a static peer, with pauses of up to */
#define DIAL_EAGER_NS   PN_S(5)
#define DIAL_NS         PN_S(30)      /* and then of up to */

/* Frames ---------------------------------------------------------------------- */

struct pn_pkt *frame_new(struct net *net, int link, const struct pn_lladdr *ll)
{
	struct pn_pkt *pkt = pn_pkt_get(net->pool);

	if (!pkt) {
		count(net, tx_no_buffer);
		return NULL;
	}
	pkt->link = link;
	if (ll)
		pkt->ll = *ll;
	return pkt;
}

void frame_out(struct net *net, struct pn_pkt *pkt, enum net_counter_id what)
{
	const struct link *l = link_of(net, pkt->link);

	if (!l->used || !l->carrier) {
		pn_pkt_put(net->pool, pkt);
		return;
	}
	count(net, tx_frames);
	net->counters[what] += pkt->len +
			       (l->cfg.kind == NET_LINK_ETHERNET ? HDR_ETHERNET : HDR_UDP_IP);
	pn_pktq_push(&net->out, pkt);
}

/* Static peers -------------------------------------------------------------------- */

static void solicit_mac(const struct net *net, uint8_t mac[16], const uint8_t *frame, size_t len)
{
	crypto_digest_keyed(mac, 16, net->adjs->secret, 32, frame, len);
}

static void send_solicit(struct net *net, uint32_t i)
{
	struct adj *a = adj_of(net, i);
	struct pn_pkt *pkt = frame_new(net, pub_of(net, i)->link, &a->ll);
	uint8_t mac[16];
	struct pn_wr w;

	if (!pkt)
		return;
	do {
		a->nonce = net_random_u64(net);
	} while (!a->nonce);
	pn_wr_init(&w, pn_pkt_append(pkt, SOLICIT_LEN), SOLICIT_LEN);
	pn_wr_u8(&w, FRAME_SOLICIT);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, 0);
	pn_wr_u64(&w, a->nonce);
	solicit_mac(net, mac, w.buf, w.len);
	pn_wr_bytes(&w, mac, sizeof(mac));
	PN_ASSERT(pn_wr_ok(&w));
	memset(w.buf + w.len, 0, SOLICIT_LEN - w.len);
	frame_out(net, pkt, COUNT_tx_handshake_bytes);
}

void link_on_solicit(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	const struct link *l = link_of(net, pkt->link);
	uint8_t mac[16];
	struct pn_pkt *out;
	struct pn_wr w;

	if (pkt->len < SOLICIT_LEN || l->cfg.kind != NET_LINK_TUNNEL) {
		count(net, rx_malformed);
		return;
	}
	solicit_mac(net, mac, pkt->data, 12);
	if (!l->cfg.listen || !crypto_equal(mac, pkt->data + 12, sizeof(mac))) {
		count(net, hs_refused);
		return;
	}
	if (!hs_admit(net, now))
		return;
	out = frame_new(net, pkt->link, &pkt->ll);
	if (!out)
		return;
	pn_wr_init(&w, pn_pkt_append(out, ANNOUNCE_LEN), ANNOUNCE_LEN);
	pn_wr_u8(&w, FRAME_ANNOUNCE);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, 0);
	pn_wr_bytes(&w, pkt->data + 4, 8);
	pn_wr_u64(&w, net->boot);
	pn_wr_bytes(&w, net->id, PN_ID_LEN);
	solicit_mac(net, mac, w.buf, w.len);
	pn_wr_bytes(&w, mac, sizeof(mac));
	PN_ASSERT(pn_wr_ok(&w));
	frame_out(net, out, COUNT_tx_handshake_bytes);
}

static uint32_t find_nonce(const struct net *net, int link, uint64_t nonce)
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++)
		if (t->a[i].state == ADJ_DIAL && t->a[i].is_static && t->a[i].nonce == nonce &&
		    t->pub[i].link == link)
			return i;
	return ADJ_NONE;
}

void link_on_announce(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	uint8_t mac[16];
	const uint8_t *id;
	uint64_t nonce;
	struct pn_rd r;
	struct adj *a;
	uint32_t i;

	pn_rd_init(&r, pkt->data, pkt->len);
	pn_rd_skip(&r, 4);
	nonce = pn_rd_u64(&r);
	pn_rd_u64(&r);		/* its boot counter */
	id = pn_rd_bytes(&r, PN_ID_LEN);
	if (r.bad || pn_rd_left(&r) < sizeof(mac) || !nonce) {
		count(net, rx_malformed);
		return;
	}
	i = find_nonce(net, pkt->link, nonce);
	solicit_mac(net, mac, pkt->data, ANNOUNCE_LEN - sizeof(mac));
	if (i == ADJ_NONE || !crypto_equal(mac, r.at, sizeof(mac))) {
		count(net, rx_no_adjacency);
		return;
	}
	a = adj_of(net, i);
	a->nonce = 0;
	if (a->want_id) {
		if (memcmp(id, pub_of(net, i)->id, PN_ID_LEN) != 0)
			adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_IDENTITY, now);
		return;
	}
	if (memcmp(id, net->id, PN_ID_LEN) == 0 || !adj_allowed(net, id)) {
		count(net, hs_refused);
		adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_POLICY, now);
		return;
	}
	adj_set_id(net, i, id);
	a->hs_tries = 0;
	link_dial(net, i, now);
}

uint64_t dial_pause_ns(unsigned tries)
{
	return pn_min(PN_MS(100) << pn_min(tries, 9), tries < DIAL_EAGER ? DIAL_EAGER_NS : DIAL_NS);
}

void link_dial(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct adj_pub *p = pub_of(net, i);
	unsigned tries = a->hs_tries;
	uint32_t twin;

	PN_ASSERT(a->state == ADJ_DIAL);
	if (!link_of(net, p->link)->carrier) {
		a->hs_next = PN_TIME_NEVER;
		return;
	}
	if (!a->is_static) {
		if (tries >= STATION_TRIES) {
			ring_on_silent(net, i, PN_S(10), now);
			adj_end(net, i, now);
		} else {
			hs_initiate(net, i, now);
		}
		return;
	}
	if (a->id_known && adj_expelled_ns(net, p->id, now)) {
		a->hs_next = pn_time_add(now, adj_expelled_ns(net, p->id, now));
		live_rearm(net, i, now);
		return;
	}
	twin = a->id_known ? adj_find_id(net, p->link, p->id) : ADJ_NONE;
	if (twin != ADJ_NONE && adj_of(net, twin)->state == ADJ_UP) {
		a->hs_next = pn_time_add(now, PN_S(10));	/* reached another way */
		live_rearm(net, i, now);
		return;
	}
	if (a->id_known && !a->want_id && tries >= 4)
		a->id_known = false;	/* somebody else may live there now */
	if (!a->id_known || tries % 3 == 2)
		send_solicit(net, i);
	if (a->id_known) {
		hs_initiate(net, i, now);
		return;
	}
	if (a->hs_tries < UINT8_MAX)
		a->hs_tries++;
	a->hs_next = pn_time_add(now, dial_pause_ns(tries) + net_random_u64(net) % PN_MS(200));
	live_rearm(net, i, now);
}

int net_link_peer(struct net *net, int link, const struct pn_lladdr *ll,
		  const uint8_t *id, uint32_t hint, struct pn_time now)
{
	struct adj *a;
	uint32_t i;

	net->now = now;
	if (link < 0 || (uint32_t)link >= net->adjs->link_max || !link_of(net, link)->used)
		return PN_ENOENT;
	net_link_peer_del(net, link, ll, now);
	i = adj_alloc(net, link, ll);
	if (i == ADJ_NONE)
		return PN_EFULL;
	a = adj_of(net, i);
	a->state = ADJ_DIAL;
	a->is_static = true;
	a->dial_ll = *ll;
	a->hint = hint;
	if (id) {
		a->want_id = true;
		adj_set_id(net, i, id);
	}
	link_dial(net, i, now);
	return 0;
}

/* One entry of a link that is taken away, in whatever state it is. */
static void dismiss(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	a->is_static = false;
	if (a->state == ADJ_UP) {
		ctlq_goodbye(net, i, NET_ERR_GOODBYE);
		adj_go_down(net, i, NET_ERR_GOODBYE, now);
	} else if (a->state != ADJ_FREE && a->state != ADJ_ENDED) {
		adj_end(net, i, now);
	}
}

void net_link_peer_del(struct net *net, int link, const struct pn_lladdr *ll, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	net->now = now;
	for (uint32_t i = 0; i < t->used; i++)
		if (t->a[i].is_static && t->pub[i].link == link &&
		    pn_lladdr_equal(&t->a[i].dial_ll, ll))
			dismiss(net, i, now);
}

/* Links ----------------------------------------------------------------------------- */

static void link_start(struct net *net, int link, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	struct link *l = link_of(net, link);

	l->carrier = true;
	if (l->cfg.kind == NET_LINK_ETHERNET)
		ring_start(net, link, now);
	for (uint32_t i = 0; i < t->used; i++) {
		if (t->pub[i].link != link || t->a[i].state != ADJ_DIAL)
			continue;
		t->a[i].hs_tries = 0;
		t->a[i].hs_next = now;
		live_rearm(net, i, now);
	}
}

int net_link_add(struct net *net, const struct net_link_config *cfg, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	net->now = now;
	if (cfg->mtu < LINK_MTU_MIN)
		return PN_EINVAL;
	for (uint32_t n = 0; n < t->link_max; n++) {
		/* round robin, so that a number just deleted does not come back at once */
		uint32_t i = (t->next_link + n) % t->link_max;
		struct link *l = &t->links[i];

		if (l->used)
			continue;
		t->next_link = i + 1;
		l->used = true;
		l->cfg = *cfg;
		l->event_at = PN_TIME_ZERO;
		l->answer_at = PN_TIME_ZERO;
		l->hellos = 0;
		cap_init(&l->cap, cfg);
		link_start(net, (int)i, now);
		return (int)i;
	}
	return PN_EFULL;
}

void net_link_del(struct net *net, int link, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	struct link *l;

	net->now = now;
	if (link < 0 || (uint32_t)link >= net->adjs->link_max || !link_of(net, link)->used)
		return;
	l = link_of(net, link);
	for (uint32_t i = 0; i < t->used; i++)
		if (t->pub[i].link == link && t->pub[i].kind != ADJ_INTERNAL)
			dismiss(net, i, now);
	ring_stop(net, link);
	l->used = false;
	l->carrier = false;
}

void net_link_carrier(struct net *net, int link, bool up, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	struct link *l;

	net->now = now;
	if (link < 0 || (uint32_t)link >= net->adjs->link_max || !link_of(net, link)->used)
		return;
	l = link_of(net, link);
	if (l->carrier == up)
		return;
	if (up) {
		link_start(net, link, now);
		return;
	}
	l->carrier = false;
	ring_stop(net, link);
	for (uint32_t i = 0; i < t->used; i++) {
		struct adj *a = &t->a[i];

		if (t->pub[i].link != link || t->pub[i].kind == ADJ_INTERNAL)
			continue;
		if (a->state == ADJ_UP)
			adj_go_down(net, i, NET_ERR_CARRIER, now);
		else if (a->state != ADJ_FREE && a->state != ADJ_ENDED && !a->is_static)
			adj_end(net, i, now);
		else if (a->is_static && a->state == ADJ_DIAL)
			a->hs_next = PN_TIME_NEVER;
	}
}
