/* SPDX-License-Identifier: ISC */
/* Sealed frames.
 *
 * Theory of operation
 *
 *   0 type 1 | flags 1 | length of the frame 2 | receiver index 4 | counter 8 |
 *   sealed ...
 *
 * The length is there because links pad short frames, and because nobody shall
 * cut a payload that is not sealed.  The receiver index was chosen by the
 * receiver in the handshake: entry in the low 16 bits, a random number above
 * them that tells sessions apart.  The counter is the nonce and never repeats
 * under one key.
 *
 *   data     header | network header sealed 32 | tag 16 | payload in clear
 *            associated data: the frame header and the payload's last 16 bytes
 *            (all of it, if shorter).  The payload is sealed end to end, and
 *            the last bytes of a QUIC packet are its own tag.
 *   full     header | network header and payload sealed | tag 16   (flag bit 0)
 *            if either side wants it ("seal": "full"); clear ones are refused
 * then control  header | records sealed | tag 16      records: see adj_ctl.c split
 * 0 type 1 | part 1 | length of the whole frame 2 | receiver index 4 | counter
 * 8 | half of the bytes of a frame above
 *
 * Nothing is copied: a network packet is grown at its front by tag and frame
 * header, its own header moves 16 bytes forward and is sealed where it stands;
 * on the way in the header moves back.
 *
 * A frame that the link does not carry is cut in two halves below the seal.
 * The halves are not authentic by themselves; a bounded number of them per
 * adjacency waits for the other for SPLIT_NS, the oldest gives way.  The packet
 * that holds the first half takes the second one.
 *
 * Order in seal_on_frame(): cheap tests, replay window, AEAD, and only then
 * anything is changed.
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

#define FLAG_FULL 1u
#define AD_TAIL   16   /* bytes of the payload that are associated data */

static void header_build(uint8_t *p, enum frame_type type, unsigned flags, size_t len,
			 uint32_t receiver, uint64_t counter)
{
	struct pn_wr w;

	pn_wr_init(&w, p, FRAME_HDR_LEN);
	pn_wr_u8(&w, type);
	pn_wr_u8(&w, flags);
	pn_wr_u16(&w, len);
	pn_wr_u32(&w, receiver);
	pn_wr_u64(&w, counter);
}

/* Out ------------------------------------------------------------------------- */

/* Cut a frame in two.  The second half is copied, the first stays where it is. */
static void send_split(struct net *net, uint32_t i, struct pn_pkt *pkt,
			enum net_counter_id what)
{
	struct adj *a = adj_of(net, i);
	const struct session *s = &a->sess[CUR];
	uint32_t total = pkt->len, first = (total + 1) / 2;
	uint64_t counter = s->tx_counter - 1;
	struct pn_pkt *half[2] = { pkt, frame_new(net, pkt->link, &pkt->ll) };

	if (!half[1] || pn_pkt_room(half[1]) < total - first ||
	    pn_pkt_headroom(pkt) < FRAME_HDR_LEN) {
		pn_pkt_put(net->pool, half[1]);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	half[1]->flow = pkt->flow;
	memcpy(pn_pkt_append(half[1], total - first), pkt->data + first, total - first);
	pn_pkt_trim(pkt, first);
	for (unsigned part = 0; part < 2; part++) {
		uint8_t *p = pn_pkt_push(half[part], FRAME_HDR_LEN);

		header_build(p, FRAME_SPLIT, part, total, s->remote, counter);
		frame_out(net, half[part], what);
	}
}

static void send_sealed(struct net *net, uint32_t i, struct pn_pkt *pkt,
			enum net_counter_id what)
{
	const struct adj *a = adj_of(net, i);

	pkt->link = pub_of(net, i)->link;
	pkt->ll = a->ll;
	if (pkt->len > a->sess[CUR].mtu)
		send_split(net, i, pkt, what);
	else
		frame_out(net, pkt, what);
}

void seal_control(struct net *net, uint32_t i, struct pn_pkt *pkt, enum net_counter_id what)
{
	struct adj *a = adj_of(net, i);
	struct session *s = &a->sess[CUR];
	uint32_t len = pkt->len;
	uint8_t *p;

	PN_ASSERT(a->state == ADJ_UP);
	p = pn_pkt_push(pkt, FRAME_HDR_LEN);
	pn_pkt_append(pkt, CRYPTO_TAG_LEN);
	header_build(p, FRAME_CONTROL, 0, pkt->len, s->remote, s->tx_counter);
	crypto_aead_seal(&s->aead, s->tx_counter++, p, FRAME_HDR_LEN, NULL, 0,
			 p + FRAME_HDR_LEN, len, p + FRAME_HDR_LEN + len);
	send_sealed(net, i, pkt, what);
}

/* Return: false if it has no room for tag and header */
static bool seal_data(struct session *s, struct pn_pkt *pkt)
{
	uint32_t payload = pkt->len - NET_HDR_LEN, tail = (uint32_t)pn_min(payload, AD_TAIL);
	uint8_t *p;

	if (s->seal_full) {
		if (pn_pkt_headroom(pkt) < FRAME_HDR_LEN || pn_pkt_room(pkt) < CRYPTO_TAG_LEN)
			return false;
		p = pn_pkt_push(pkt, FRAME_HDR_LEN);
		pn_pkt_append(pkt, CRYPTO_TAG_LEN);
		header_build(p, FRAME_DATA, FLAG_FULL, pkt->len, s->remote, s->tx_counter);
		crypto_aead_seal(&s->aead, s->tx_counter++, p, FRAME_HDR_LEN, NULL, 0,
				 p + FRAME_HDR_LEN, NET_HDR_LEN + payload,
				 p + FRAME_HDR_LEN + NET_HDR_LEN + payload);
		return true;
	}
	if (pn_pkt_headroom(pkt) < FRAME_OVERHEAD)
		return false;
	p = pn_pkt_push(pkt, FRAME_OVERHEAD);
	memmove(p + FRAME_HDR_LEN, p + FRAME_OVERHEAD, NET_HDR_LEN);
	header_build(p, FRAME_DATA, 0, pkt->len, s->remote, s->tx_counter);
	crypto_aead_seal(&s->aead, s->tx_counter++, p, FRAME_HDR_LEN, p + pkt->len - tail, tail,
			 p + FRAME_HDR_LEN, NET_HDR_LEN, p + FRAME_HDR_LEN + NET_HDR_LEN);
	return true;
}

/* What the bytes of a packet are counted as */
static enum net_counter_id kind_of(const struct pn_pkt *pkt)
{
	switch (pkt->data[0]) {
	case NET_PROTO_SESSION:
		return COUNT_tx_session_bytes;
	case NET_PROTO_LOOKUP:
		return COUNT_tx_lookup_bytes;
	case NET_PROTO_TREE:
		return COUNT_tx_tree_bytes;
	default:
		return COUNT_tx_other_bytes;
	}
}

void adj_data_send(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	struct adj *a = adj_of(net, adj);
	const struct adj_pub *p = pub_of(net, adj);
	enum net_counter_id what;

	PN_ASSERT(p->kind != ADJ_INTERNAL);
	PN_ASSERT(pkt->len >= NET_HDR_LEN);
	what = kind_of(pkt);
	if (!p->up || pkt->len > p->payload_max || a->sess[CUR].tx_counter >= KEYS_MAX_COUNT) {
		if (p->up && pkt->len > p->payload_max)
			count(net, tx_too_big);
		else
			count(net, fwd_no_route);	/* it has just gone */
		pn_pkt_put(net->pool, pkt);
		return;
	}
	if (!seal_data(&a->sess[CUR], pkt)) {
		count(net, tx_no_buffer);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	a->tx_packets++;
	a->tx_bytes += pkt->len;
	a->owe_at = PN_TIME_NEVER;
	if (what == COUNT_tx_session_bytes || what == COUNT_tx_other_bytes) {
		live_on_data(net, adj, now);
		live_expect(net, adj, now);
	}
	send_sealed(net, adj, pkt, what);
}

/* In ---------------------------------------------------------------------------- */

/* The session that a receiver index names, and its entry; NULL: none */
static struct session *session_of(struct net *net, uint32_t index, int link, uint32_t *i)
{
	struct adj *a;

	*i = index & 0xffff;
	if (*i >= net->adjs->used || pub_of(net, *i)->link != link)
		return NULL;
	a = adj_of(net, *i);
	if (a->state == ADJ_FREE || a->state == ADJ_ENDED)
		return NULL;
	for (int s = 0; s < SESSIONS; s++)
		if (index && a->sess[s].local == index)
			return &a->sess[s];
	return NULL;
}

/* Open a frame in place.  Return: the plain bytes, *@len of them; NULL: forged */
static uint8_t *open_frame(struct session *s, struct pn_pkt *pkt, uint64_t counter, size_t *len)
{
	uint8_t *p = pkt->data, *sealed = p + FRAME_HDR_LEN;
	size_t rest = pkt->len - FRAME_OVERHEAD, payload, tail;

	if (p[0] == FRAME_CONTROL || (p[1] & FLAG_FULL)) {
		*len = rest;
		return crypto_aead_open(&s->aead, counter, p, FRAME_HDR_LEN, NULL, 0, sealed, rest,
					sealed + rest) ? sealed : NULL;
	}
	payload = rest - NET_HDR_LEN;
	tail = pn_min(payload, AD_TAIL);
	if (!crypto_aead_open(&s->aead, counter, p, FRAME_HDR_LEN, p + pkt->len - tail, tail,
			      sealed, NET_HDR_LEN, sealed + NET_HDR_LEN))
		return NULL;
	memmove(sealed + CRYPTO_TAG_LEN, sealed, NET_HDR_LEN);
	*len = rest;
	return sealed + CRYPTO_TAG_LEN;
}

/* Neither seen nor too old?  Under NEXT nothing was seen yet: its first frame makes it CUR. */
static bool counter_is_new(const struct adj *a, const struct session *s, uint64_t counter)
{
	const struct replay_old *old = &a->replay_prev;

	if (s == &a->sess[CUR])
		return replay_is_new(&a->replay, counter);
	if (s == &a->sess[NEXT] || counter > old->top)
		return true;
	return old->top - counter < 64 && !(old->seen >> (old->top - counter) & 1);
}

static void old_mark(struct replay_old *old, uint64_t counter)
{
	uint64_t ahead = counter > old->top ? counter - old->top : 0;

	old->seen = ahead < 64 ? old->seen << ahead : 0;
	old->top += ahead;
	old->seen |= UINT64_C(1) << (old->top - counter);
}

/* A frame is authentic: what follows from that alone.  Return: false if the entry did
 * not survive it */
static bool on_authentic(struct net *net, uint32_t i, struct session *s, uint64_t counter,
			 const struct pn_pkt *pkt, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	if (s == &a->sess[NEXT]) {
		a->next_ll = pkt->ll;
		adj_promote(net, i, now);
	} else if (s == &a->sess[CUR] && counter >= a->replay.top &&
		   !pn_lladdr_equal(&a->ll, &pkt->ll)) {
		a->ll = pkt->ll;	/* roaming: the last authenticated source wins */
	}
	if (s == &a->sess[PREV])
		old_mark(&a->replay_prev, counter);
	else
		replay_mark(&a->replay, counter);
	if (a->state != ADJ_UP)
		return false;
	live_on_rx(net, i, now);
	return true;
}

void seal_on_frame(struct net *net, struct pn_pkt *pkt, struct pn_time now)
{
	bool data = pkt->data[0] == FRAME_DATA;
	struct session *s;
	uint64_t counter;
	uint8_t *plain;
	struct pn_rd r;
	uint32_t i;
	size_t len;

	pn_rd_init(&r, pkt->data, pkt->len);
	pn_rd_skip(&r, 2);
	len = pn_rd_u16(&r);
	s = session_of(net, pn_rd_u32(&r), pkt->link, &i);
	counter = pn_rd_u64(&r);
	if (len < FRAME_OVERHEAD + (data ? NET_HDR_LEN : 0) || len > pkt->len) {
		count(net, rx_runt);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	pn_pkt_trim(pkt, (uint32_t)len);	/* off with what the link padded */
	if (!s) {
		count(net, rx_no_adjacency);
	} else if (!counter_is_new(adj_of(net, i), s, counter)) {
		count(net, rx_replayed);
	} else if ((data && s->seal_full && !(pkt->data[1] & FLAG_FULL)) ||
		   !(plain = open_frame(s, pkt, counter, &len))) {
		count(net, rx_auth_failed);
	} else if (on_authentic(net, i, s, counter, pkt, now)) {
		struct adj *a = adj_of(net, i);

		if (!data) {
			ctlq_on_records(net, i, plain, len, now);
			pn_pkt_put(net->pool, pkt);
			return;
		}
		a->rx_packets++;
		a->rx_bytes += pkt->len;
		pn_pkt_pull(pkt, (uint32_t)(plain - pkt->data));
		pn_pkt_trim(pkt, (uint32_t)len);
		if (*plain == NET_PROTO_SESSION || *plain == NET_PROTO_ECHO)
			live_owe(net, i, now);
		fwd_on_packet(net, i, pkt, now);
		return;
	}
	pn_pkt_put(net->pool, pkt);
}

/* Halves -------------------------------------------------------------------------- */

void split_drop(struct net *net, struct adj *a, bool all, struct pn_time now)
{
	for (int k = 0; k < SPLIT_SLOTS; k++) {
		struct split *sp = &a->split[k];

		if (!sp->pkt || (!all && pn_time_before(now, sp->until)))
			continue;
		count(net, rx_split_lost);
		pn_pkt_put(net->pool, sp->pkt);
		sp->pkt = NULL;
	}
}

struct pn_time split_deadline(const struct adj *a)
{
	struct pn_time t = PN_TIME_NEVER;

	for (int k = 0; k < SPLIT_SLOTS; k++)
		if (a->split[k].pkt)
			t = pn_time_min(t, a->split[k].until);
	return t;
}

/* Keep a half whose other one is not here yet; the oldest gives way. */
static void split_keep(struct net *net, uint32_t i, struct pn_pkt *pkt, unsigned part,
		       uint16_t total, uint64_t counter, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct split *sp = &a->split[0];

	for (int k = 1; k < SPLIT_SLOTS && sp->pkt; k++)
		if (!a->split[k].pkt || pn_time_before(a->split[k].until, sp->until))
			sp = &a->split[k];
	if (sp->pkt) {
		count(net, rx_split_lost);
		pn_pkt_put(net->pool, sp->pkt);
	}
	*sp = (struct split){ pkt, counter, total, (uint8_t)part, pn_time_add(now, SPLIT_NS) };
	timer_earlier(net, &a->timer, sp->until);
}

void seal_on_split(struct net *net, struct pn_pkt *pkt, struct pn_time now)
{
	uint32_t i, mine, first;
	struct pn_pkt *half[2];
	struct split *sp = NULL;
	uint64_t counter;
	uint16_t total;
	unsigned part;
	struct adj *a;
	struct pn_rd r;

	pn_rd_init(&r, pkt->data, pkt->len);
	pn_rd_u8(&r);
	part = pn_rd_u8(&r);
	total = pn_rd_u16(&r);
	if (!session_of(net, pn_rd_u32(&r), pkt->link, &i)) {
		count(net, rx_no_adjacency);
		goto put;
	}
	counter = pn_rd_u64(&r);
	first = (total + 1u) / 2;
	mine = part ? total - first : first;
	if (part > 1 || total < FRAME_OVERHEAD || total > FRAME_MAX || pn_rd_left(&r) < mine) {
		count(net, rx_malformed);
		goto put;
	}
	pn_pkt_pull(pkt, FRAME_HDR_LEN);
	pn_pkt_trim(pkt, mine);		/* the link may have padded it */
	a = adj_of(net, i);
	for (int k = 0; k < SPLIT_SLOTS; k++)
		if (a->split[k].pkt && a->split[k].counter == counter)
			sp = &a->split[k];
	if (!sp) {
		split_keep(net, i, pkt, part, total, counter, now);
		return;
	}
	if (sp->part == part || sp->total != total) {
		count(net, rx_malformed);
		goto put;
	}
	half[part] = pkt;
	half[!part] = sp->pkt;
	sp->pkt = NULL;
	if (pn_pkt_room(half[0]) < half[1]->len) {
		count(net, rx_too_long);
		pn_pkt_put(net->pool, half[1]);
		pkt = half[0];
		goto put;
	}
	memcpy(pn_pkt_append(half[0], half[1]->len), half[1]->data, half[1]->len);
	pn_pkt_put(net->pool, half[1]);
	if (half[0]->data[0] == FRAME_DATA || half[0]->data[0] == FRAME_CONTROL) {
		seal_on_frame(net, half[0], now);
		return;
	}
	count(net, rx_malformed);
	pkt = half[0];
put:
	pn_pkt_put(net->pool, pkt);
}
