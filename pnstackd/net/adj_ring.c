/* SPDX-License-Identifier: ISC */
/* Stations of a shared Ethernet, and with which of them a node is a neighbour.
 *
 * Theory of operation
 *
 * Everybody hears everybody.  Were all neighbours of all, 250 stations would mean
 * 250 sessions and 250 times the gossip at each.  So of the stations that it
 * hears a node makes neighbours of O(log n): its successors on the ring of
 * identities, one at distance 1, one at 2 to 3, one at 4 to 7, and so on.  Up to
 * RING_FULL stations all are neighbours.
 *
 *   hello     multicast, signed: who is there.  Three fast ones when the link
 *             comes up, some while stations come and go, rare ones at rest; the
 *             more stations, the rarer, so that the load of the LAN is bounded
 *   station   an entry of the table: somebody whose hello was signed, or who
 *             passed a handshake.  A signature is checked once for an identity,
 *             boot and station address; hellos that repeat them only prolong.
 *             What a replayed hello can do is to name a station that is gone: it
 *             does not answer the handshake, and is not counted for a while
 *   wanted    by ring_update(), when stations came or went.  One that is wanted
 *             already, or up, is kept as long as it is anywhere in its stretch of
 *             the ring, so that a newcomer changes O(log n) adjacencies of all.  Of
 *             the first successors all up to one that is up are wanted: the ring
 *             stays closed while a dead one is found out
 *   tree      an adjacency that either side wants takes part in the area tree and
 *             routes (it is known to ctl.c); each side tells with every hello
 *             record whether it wants it, and whether it has it in the tree.  What
 *             neither wants is closed after RING_CLOSE_NS, unless data flows
 *
 * The rest of the stations are reached by one-hop shortcuts: adj_short.c.
 *
 * Leaves carry nothing for others, so they are not on the ring, which must hold without
 * them: a leaf is the neighbour of its first LEAF_WANTS successors that are none.
 *
 * Who starts the handshake: whoever wants it, at once; where all are wanted the
 * lower identity, and the higher one if nothing came for DEFER_NS.  A newcomer's
 * hello is answered, by a hello just for it, by those next to it on the ring and
 * by about ANSWERS of the others.
 */
#include "pnstackd/net/adj_int.h"

#include <stdlib.h>
#include <string.h>

#define RING_FULL        6             /* so many others: all are neighbours */
#define RING_SETTLE_NS   PN_MS(20)     /* for each station known, a change waits for more */
#define RING_SETTLE_MAX_NS PN_MS(300)
#define RING_EVERY_NS    PN_S(5)       /* looked at again */
#define RING_CLOSE_NS    PN_S(20)
#define RING_FAILS_FORGIVEN 2          /* by a hello; then the pause counts */
#define RING_FIRST_MAX   4             /* first successors wanted while none is up */
#define LEAF_WANTS       2
#define HELLO_FAST_NS    PN_MS(300)
#define HELLO_LAN_NS     PN_S(12)      /* multicast, at rest */
#define HELLO_LAN_MAX_NS PN_S(60)
#define STATION_NS       3             /* hellos missed: forgotten */
#define STATION_MAX_NS   PN_S(200)
#define FAST_FOR_NS      PN_S(10)
#define HURRY_FOR_NS     PN_S(30)
#define DEFER_NS         PN_S(1)       /* the lower identity shall initiate */
#define ANSWERS          16            /* to a newcomer's hello, about */
#define ANSWER_NS        PN_MS(30)     /* between two answers to hellos, 33 in a row */
#define VERIFY_NS        PN_MS(2)      /* between two signatures of hellos, 500 in a row */
#define SIGNED_AT        4             /* boot, identity, capabilities */
#define SIGNED_LEN       44

/* The table ---------------------------------------------------------------------- */

static struct station *station_find(const struct net *net, int link, const uint8_t *id)
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->station_used; i++)
		if (t->stations[i].used && t->stations[i].link == link &&
		    memcmp(t->stations[i].id, id, PN_ID_LEN) == 0)
			return &t->stations[i];
	return NULL;
}

static struct station *station_new(struct net *net, int link, const uint8_t *id)
{
	struct adj_table *t = net->adjs;
	uint32_t i = 0;

	while (i < t->station_used && t->stations[i].used)
		i++;
	if (i == t->station_max) {
		count(net, station_full);
		return NULL;
	}
	if (i == t->station_used)
		t->station_used++;
	t->stations[i] = (struct station){ .used = true, .link = (uint8_t)link,
					   .retry_at = PN_TIME_ZERO };
	memcpy(t->stations[i].id, id, PN_ID_LEN);
	link_of(net, link)->heard++;
	return &t->stations[i];
}

static void station_free(struct net *net, struct station *s)
{
	struct adj_table *t = net->adjs;
	struct link *l = link_of(net, s->link);

	PN_ASSERT(l->heard > 0);
	l->heard--;
	s->used = false;
	while (t->station_used && !t->stations[t->station_used - 1].used)
		t->station_used--;
}

/* Timers ---------------------------------------------------------------------------- */

static void link_rearm(struct net *net, int link)
{
	struct link *l = link_of(net, link);

	timer_set(net, &l->timer, pn_time_min(l->hello_at, l->ring_at));
}

/* Look at the ring when this change and those that come with it are over. */
static void ring_poke(struct net *net, int link, struct pn_time now)
{
	struct link *l = link_of(net, link);
	uint64_t wait = RING_SETTLE_NS * l->heard + (l->heard > 1 ? 3 * RING_SETTLE_NS : 0);

	if (pn_time_is_never(l->change_at))
		l->change_at = now;
	l->ring_at = pn_time_add(now, pn_min(wait, RING_SETTLE_MAX_NS));
	l->ring_at = pn_time_min(l->ring_at, pn_time_add(l->change_at, RING_SETTLE_MAX_NS));
	link_rearm(net, link);
}

void ring_start(struct net *net, int link, struct pn_time now)
{
	struct link *l = link_of(net, link);

	l->hellos = 0;
	l->fast_until = pn_time_add(now, FAST_FOR_NS);
	l->hello_at = pn_time_add(now, net_random_u64(net) % PN_MS(20));
	l->ring_at = pn_time_add(now, RING_EVERY_NS);
	l->change_at = PN_TIME_NEVER;
	link_rearm(net, link);
}

void ring_stop(struct net *net, int link)
{
	struct adj_table *t = net->adjs;

	timer_set(net, &link_of(net, link)->timer, PN_TIME_NEVER);
	for (uint32_t i = t->station_used; i-- > 0;)
		if (t->stations[i].used && t->stations[i].link == link)
			station_free(net, &t->stations[i]);
}

void link_hurry(struct net *net, int link, struct pn_time now)
{
	struct link *l = link_of(net, link);

	if (l->cfg.kind != NET_LINK_ETHERNET || !l->carrier)
		return;
	l->fast_until = pn_time_add(now, HURRY_FOR_NS);
	if (l->heard <= RING_FULL)
		l->hello_at = pn_time_min(l->hello_at, pn_time_add(now, HELLO_FAST_NS));
	link_rearm(net, link);
}

/* Hellos ------------------------------------------------------------------------------ */

static uint64_t lan_interval(const struct link *l, struct pn_time now)
{
	uint64_t n = l->heard;

	if (l->hellos < 3)
		return pn_max(HELLO_FAST_NS, PN_MS(20) * n);
	if (pn_time_before(now, l->fast_until))
		return pn_max(HELLO_NS, PN_MS(100) * n);
	return pn_min(pn_max(HELLO_LAN_NS, PN_MS(200) * n), HELLO_LAN_MAX_NS);
}

/* What is signed: the fixed part of a hello, and the network's secret, so that nobody
 * outside of a closed network can make one. */
static void signed_part(const struct net *net, uint8_t out[SIGNED_LEN + 32], const uint8_t *hello)
{
	memcpy(out, hello + SIGNED_AT, SIGNED_LEN);
	memcpy(out + SIGNED_LEN, net->adjs->secret, 32);
}

static void send_hello(struct net *net, int link, const struct pn_lladdr *to, unsigned flags,
		       uint64_t within_ns)
{
	struct adj_table *t = net->adjs;
	struct pn_pkt *pkt = frame_new(net, link, to);
	uint8_t part[SIGNED_LEN + 32];
	struct pn_wr w;

	if (!pkt)
		return;
	pn_wr_init(&w, pn_pkt_append(pkt, HELLO_LEN), HELLO_LEN);
	pn_wr_u8(&w, FRAME_HELLO);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, flags);
	pn_wr_u64(&w, net->boot);
	pn_wr_bytes(&w, net->id, PN_ID_LEN);
	pn_wr_u32(&w, t->caps);
	pn_wr_u32(&w, within_ns / PN_MS(100));
	if (!t->hello_signed) {         /* it does not change while we live */
		signed_part(net, part, w.buf);
		net_sign(net, SIGN_LINK, part, sizeof(part), t->hello_sig);
		crypto_wipe(part, sizeof(part));
		t->hello_signed = true;
	}
	pn_wr_bytes(&w, t->hello_sig, sizeof(t->hello_sig));
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == HELLO_LEN);
	frame_out(net, pkt, COUNT_tx_hello_bytes);
}

/* One of a kind each @every_ns, 1 s worth of them in a row */
static bool admit(struct pn_time *at, uint64_t every_ns, struct pn_time now)
{
	if (pn_time_before(now, *at))
		return false;
	if (pn_time_since(now, *at) > PN_S(1))
		at->ns = now.ns > PN_S(1) ? now.ns - PN_S(1) : 0;
	*at = pn_time_add(*at, every_ns);
	return true;
}

static bool hello_authentic(struct net *net, int link, const struct pn_pkt *pkt,
			    const uint8_t *id, const uint8_t *sig, struct pn_time now)
{
	uint8_t part[SIGNED_LEN + 32];
	bool ok;

	if (!admit(&link_of(net, link)->verify_at, VERIFY_NS, now)) {
		count(net, hs_rate_limited);
		return false;
	}
	signed_part(net, part, pkt->data);
	ok = net_verify(id, SIGN_LINK, part, sizeof(part), sig);
	crypto_wipe(part, sizeof(part));
	if (!ok)
		count(net, rx_auth_failed);
	return ok;
}

/* Places between us and @id on the ring, going up */
static uint32_t ring_rank(const struct net *net, int link, const uint8_t *id)
{
	const struct adj_table *t = net->adjs;
	bool wraps = memcmp(id, net->id, PN_ID_LEN) < 0;
	uint32_t rank = 1;

	for (uint32_t i = 0; i < t->station_used; i++) {
		const struct station *s = &t->stations[i];
		bool above = memcmp(s->id, net->id, PN_ID_LEN) > 0;
		bool below = memcmp(s->id, id, PN_ID_LEN) < 0;

		if (s->used && s->link == link)
			rank += wraps ? above || below : above && below;
	}
	return rank;
}

/* Tell a newcomer that we are here, if it should know soon. */
static void answer(struct net *net, const struct pn_pkt *pkt, struct station *s, struct pn_time now)
{
	struct link *l = link_of(net, pkt->link);
	uint32_t rank = ring_rank(net, pkt->link, s->id);

	if (pn_time_before(now, s->answer_at))
		return;
	s->answer_at = pn_time_add(now, PN_S(2));
	if (rank > 2 && rank + 2 < l->heard && net_random_u64(net) % l->heard >= ANSWERS)
		return;
	if (admit(&l->answer_at, ANSWER_NS, now))
		send_hello(net, pkt->link, &pkt->ll, HELLO_F_ANSWER, lan_interval(l, now));
}

/* It was started anew, and may not know us any more. */
static void restarted(struct net *net, int link, const uint8_t *id, struct pn_time now)
{
	uint32_t i = adj_find_id(net, link, id);
	struct adj *a;

	if (i == ADJ_NONE)
		return;
	a = adj_of(net, i);
	if (a->state != ADJ_UP || a->hs.active || pn_time_since(now, a->hs_sent) <= PN_S(5))
		return;
	a->hs_next = memcmp(net->id, id, PN_ID_LEN) < 0 ? now : pn_time_add(now, DEFER_NS);
	a->hs_tries = 0;
	live_rearm(net, i, now);
}

/* Its station address changed while we call it. */
static void moved(struct net *net, int link, const uint8_t *id, const struct pn_lladdr *ll)
{
	uint32_t i = adj_find_id(net, link, id);

	if (i != ADJ_NONE && adj_of(net, i)->state == ADJ_DIAL)
		adj_of(net, i)->ll = *ll;
}

void link_on_hello(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	struct link *l = link_of(net, pkt->link);
	const uint8_t *id, *sig;
	struct station *s;
	uint64_t boot, within_ns;
	unsigned flags;
	struct pn_rd r;
	bool fresh, leaf;

	pn_rd_init(&r, pkt->data, pkt->len);
	pn_rd_skip(&r, 2);
	flags = pn_rd_u16(&r);
	boot = pn_rd_u64(&r);
	id = pn_rd_bytes(&r, PN_ID_LEN);
	leaf = pn_rd_u32(&r) & NOISE_CAP_LEAF;
	within_ns = pn_rd_u32(&r) * PN_MS(100);
	sig = pn_rd_bytes(&r, CRYPTO_SIG_LEN);
	if (r.bad || l->cfg.kind != NET_LINK_ETHERNET) {
		count(net, rx_malformed);
		return;
	}
	if (memcmp(id, net->id, PN_ID_LEN) == 0 || !adj_allowed(net, id) ||
	    adj_expelled_ns(net, id, now))
		return;
	s = station_find(net, pkt->link, id);
	fresh = !s;
	if (s && boot < s->boot)
		return;
	if (!s || boot != s->boot || !pn_lladdr_equal(&s->ll, &pkt->ll)) {
		if (!hello_authentic(net, pkt->link, pkt, id, sig, now))
			return;
		if (!s)
			s = station_new(net, pkt->link, id);
		if (!s)
			return;
		if (s->boot && boot > s->boot)
			restarted(net, pkt->link, id, now);
		s->boot = boot;
		s->leaf = leaf;
		s->ll = pkt->ll;
		moved(net, pkt->link, id, &pkt->ll);
		s->fails = 0;
		s->retry_at = PN_TIME_ZERO;
		ring_poke(net, pkt->link, now);
	}
	within_ns = pn_max(STATION_NS * pn_min(within_ns, STATION_MAX_NS), PN_S(10));
	s->until = pn_time_add(now, pn_min(within_ns, STATION_MAX_NS));
	if (pn_time_before(now, s->retry_at) && s->fails <= RING_FAILS_FORGIVEN) {
		s->retry_at = PN_TIME_ZERO;     /* we had lost it, and there it is */
		ring_poke(net, pkt->link, now);
	}
	if (fresh) {
		l->fast_until = pn_time_add(now, FAST_FOR_NS);
		l->hello_at = pn_time_min(l->hello_at, pn_time_add(now, lan_interval(l, now)));
		link_rearm(net, pkt->link);
	}
	if ((fresh || (flags & HELLO_F_NEW)) && !(flags & HELLO_F_ANSWER))
		answer(net, pkt, s, now);
}

/* What the rest of the module tells --------------------------------------------------- */

void ring_on_up(struct net *net, uint32_t i, struct pn_time now)
{
	const struct adj_pub *p = pub_of(net, i);
	struct station *s = station_find(net, p->link, p->id);

	if (!s)
		s = station_new(net, p->link, p->id);
	if (!s)
		return;
	s->ll = adj_of(net, i)->ll;
	s->leaf = p->leaf;
	s->until = pn_time_add(now, STATION_MAX_NS);
	s->fails = 0;
	s->retry_at = PN_TIME_ZERO;
	ring_poke(net, p->link, now);
}

void ring_on_silent(struct net *net, uint32_t i, uint64_t pause_ns, struct pn_time now)
{
	const struct adj_pub *p = pub_of(net, i);
	struct station *s = p->kind == ADJ_ETHERNET ? station_find(net, p->link, p->id) : NULL;

	if (!s)
		return;
	s->retry_at = pn_time_add(now, pause_ns << s->fails);
	if (s->fails < 4)
		s->fails++;
	ring_poke(net, p->link, now);
}

void ring_on_goodbye(struct net *net, int link, const uint8_t *id, struct pn_time now)
{
	struct station *s = station_find(net, link, id);

	if (!s)
		return;
	station_free(net, s);
	ring_poke(net, link, now);
}

/* The ring -------------------------------------------------------------------------- */

/* Who is on it, in its order from us on.  Return: how many */
static uint32_t ring_collect(struct net *net, int link, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	struct link *l = link_of(net, link);
	uint32_t n = 0;

	for (uint32_t i = t->station_used; i-- > 0;) {
		struct station *s = &t->stations[i];
		uint32_t k;

		if (!s->used || s->link != link)
			continue;
		if (!pn_time_before(now, s->until)) {
			uint32_t a = adj_find_id(net, link, s->id);

			if (a == ADJ_NONE || adj_of(net, a)->state != ADJ_UP) {
				station_free(net, s);
				continue;
			}
		}
		if (adj_expelled_ns(net, s->id, now) || (s->leaf && l->heard > RING_FULL))
			continue;
		if (pn_time_before(now, s->retry_at)) {
			l->ring_at = pn_time_min(l->ring_at, s->retry_at);
			continue;
		}
		s->above = memcmp(s->id, net->id, PN_ID_LEN) > 0;
		/* insertion: the table is small, and nearly in order the next time */
		for (k = n++; k > 0; k--) {
			const struct station *o = &t->stations[t->ring[k - 1]];

			if (o->above != s->above ? o->above : memcmp(o->id, s->id, PN_ID_LEN) < 0)
				break;
			t->ring[k] = t->ring[k - 1];
		}
		t->ring[k] = (uint16_t)i;
	}
	return n;
}

static uint32_t ring_adj(const struct net *net, int link, uint32_t rank)
{
	const struct adj_table *t = net->adjs;

	return adj_find_id(net, link, t->stations[t->ring[rank - 1]].id);
}

/* The adjacency exists; make one with the station otherwise. */
static void ring_want(struct net *net, int link, uint32_t rank, bool full, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	const struct station *s = &t->stations[t->ring[rank - 1]];
	uint32_t i = ring_adj(net, link, rank);
	struct adj *a;

	if (i != ADJ_NONE) {
		adj_of(net, i)->want = true;
		return;
	}
	i = adj_alloc(net, link, &s->ll);
	if (i == ADJ_NONE)
		return;
	a = adj_of(net, i);
	a->state = ADJ_DIAL;
	a->want = true;
	adj_set_id(net, i, s->id);
	if (!full || memcmp(net->id, s->id, PN_ID_LEN) < 0) {
		hs_initiate(net, i, now);
		return;
	}
	a->hs_next = pn_time_add(now, DEFER_NS);
	live_rearm(net, i, now);
}

/* Of the places from @first to @last the one to have: one that is wanted or up already */
static uint32_t ring_pick(const struct net *net, int link, uint32_t first, uint32_t last)
{
	uint32_t up = 0;

	for (uint32_t rank = first; rank <= last; rank++) {
		uint32_t i = ring_adj(net, link, rank);

		if (i == ADJ_NONE)
			continue;
		if (adj_of(net, i)->was_wanted)
			return rank;
		if (!up && pub_of(net, i)->up && !pub_of(net, i)->shortcut)
			up = rank;
	}
	return up ? up : first;
}

/* @n: on the ring   @full: it is so small that all are neighbours of all */
static void ring_choose(struct net *net, int link, uint32_t n, bool full, struct pn_time now)
{
	if (!full && (net->adjs->caps & NOISE_CAP_LEAF)) {
		for (uint32_t rank = 1; rank <= pn_min(n, LEAF_WANTS); rank++)
			ring_want(net, link, rank, false, now);
		return;
	}
	for (uint32_t rank = 1; rank <= pn_min(n, RING_FIRST_MAX); rank++) {
		uint32_t i = ring_adj(net, link, rank);
		bool up = i != ADJ_NONE && pub_of(net, i)->up;

		ring_want(net, link, rank, full, now);
		if (up && !full)
			break;
		if (!full && i == ADJ_NONE)
			break;          /* just begun: the next one if it does not come up */
	}
	for (uint32_t rank = RING_FIRST_MAX + 1; full && rank <= n; rank++)
		ring_want(net, link, rank, true, now);
	for (uint32_t first = 2; !full && first <= n; first *= 2)
		ring_want(net, link,
			  ring_pick(net, link, first, (uint32_t)pn_min(2 * first - 1, n)),
			  false, now);
}

/* What nobody wants any more is closed. */
static void ring_close(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	bool data = pn_time_since(now, a->data_at) < SHORT_IDLE_NS && a->data_at.ns;

	if (a->want || a->peer_wants || data) {
		a->unwanted_at = PN_TIME_NEVER;
		return;
	}
	if (pn_time_is_never(a->unwanted_at))
		a->unwanted_at = now;
	if (pn_time_since(now, a->unwanted_at) < RING_CLOSE_NS)
		return;
	ctlq_goodbye(net, i, NET_ERR_IDLE);
	adj_go_down(net, i, NET_ERR_IDLE, now);
}

static void ring_update(struct net *net, int link, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	uint32_t n = ring_collect(net, link, now);

	for (uint32_t i = 0; i < t->used; i++) {
		t->a[i].was_wanted = t->a[i].want && t->pub[i].link == link;
		if (t->pub[i].link == link && t->pub[i].kind == ADJ_ETHERNET)
			t->a[i].want = false;
	}
	ring_choose(net, link, n, link_of(net, link)->heard <= RING_FULL, now);
	for (uint32_t i = 0; i < t->used; i++) {
		struct adj *a = &t->a[i];

		if (t->pub[i].link != link || t->pub[i].kind != ADJ_ETHERNET ||
		    a->state != ADJ_UP)
			continue;
		if (a->want != a->was_wanted) {
			a->hello_now = true;    /* tells it */
			ctlq_mark(net, i);
			live_rearm(net, i, now);
		}
		ring_close(net, i, now);
	}
}

void adj_link_expire(struct net *net, uint32_t link, struct pn_time now)
{
	struct link *l = link_of(net, (int)link);

	if (!l->used || !l->carrier || l->cfg.kind != NET_LINK_ETHERNET)
		return;
	if (pn_time_due(l->ring_at, now)) {
		l->ring_at = pn_time_add(now, RING_EVERY_NS);
		l->change_at = PN_TIME_NEVER;
		ring_update(net, (int)link, now);
	}
	if (pn_time_due(l->hello_at, now)) {
		uint64_t ns = lan_interval(l, now);

		send_hello(net, (int)link, NULL, l->hellos < 3 ? HELLO_F_NEW : 0, ns);
		l->hello_at = pn_time_add(now, ns - net_random_u64(net) % (ns / 8));
		if (l->hellos < UINT8_MAX)
			l->hellos++;
	}
	link_rearm(net, (int)link);
}
