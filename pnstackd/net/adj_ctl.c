/* SPDX-License-Identifier: ISC */
/* What is inside sealed control frames.
 *
 * Theory of operation
 *
 * A control frame carries records, one behind the other:
 *
 *   kind 1 | length 2 | body
 *
 *   ACK      the sequence number that is expected next 2
 *   MESSAGE  sequence number 2 | a control message: reliable, in order
 *   SOFT     a control message that may get lost
 *   HELLO    see adj_live.c
 *   GOODBYE  reason 1
 *   ADDRESS, REDIRECT  see adj_short.c
 *
 * Unknown kinds are skipped.
 *
 * Reliable messages: a window of CTL_WINDOW, held as packets until they are
 * acknowledged, go-back-N.  The retransmission timeout follows the measured
 * round-trip time.  An acknowledgement is delayed up to ACK_DELAY_NS, and rides
 * on whatever control frame goes out before.
 *
 * Nothing is sent at once: messages are collected per adjacency and leave when
 * the host takes frames (ctlq_flush()), so that what is said at one moment
 * shares a frame.
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

enum record { REC_ACK = 1, REC_MESSAGE = 2, REC_SOFT = 3, REC_HELLO = 4,
	      REC_GOODBYE = 5, REC_ADDRESS = 6, REC_REDIRECT = 7 };
#define REC_HDR_LEN   3
#define ACK_LEN       (REC_HDR_LEN + 2)
#define INTERNAL_MAX  16384   /* messages handed over in one go */

static_assert(FRAME_OVERHEAD + REC_HDR_LEN + HELLO_BODY_LEN + ACK_LEN < 60, "a small hello");
static_assert(ADJ_CTL_MAX + REC_HDR_LEN + 2 + ACK_LEN + HELLO_BODY_LEN + REC_HDR_LEN <= PN_MTU_MIN,
	      "a message, a hello and an acknowledgement fit");

void ctlq_reset(struct net *net, struct adj *a)
{
	pn_pktq_drain(&a->ctl_q, net->pool);
	pn_pkt_put(net->pool, a->open);
	a->open = NULL;
	a->ctl_una = a->ctl_next = a->ctl_sent = a->ctl_expect = 0;
	a->ctl_blocked = false;
	a->ack_now = a->hello_now = a->hello_ask = false;
	a->ctl_tries = 0;
	a->ack_at = a->rto_at = a->retry_at = a->cap_at = PN_TIME_NEVER;
	a->rto_ns = RTO_START_NS;
}

void ctlq_mark(struct net *net, uint32_t i)
{
	struct adj *a = adj_of(net, i);

	if (a->dirty)
		return;
	a->dirty = true;
	a->dirty_next = net->adjs->dirty_head;
	net->adjs->dirty_head = (uint16_t)(i + 1);
}

/* Filling frames ------------------------------------------------------------------ */

static void send_open(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct pn_pkt *pkt = a->open;

	if (!pkt)
		return;
	a->open = NULL;
	if (a->ack_now || !pn_time_is_never(a->ack_at)) {
		uint8_t *p = pn_pkt_append(pkt, ACK_LEN);

		p[0] = REC_ACK;
		p[1] = 0;
		p[2] = 2;
		p[3] = (uint8_t)(a->ctl_expect >> 8);
		p[4] = (uint8_t)a->ctl_expect;
	}
	a->ack_now = false;
	a->ack_at = a->owe_at = PN_TIME_NEVER;
	cap_charge(net, i, pkt->len + FRAME_OVERHEAD, now);
	seal_control(net, i, pkt, a->open_what);
}

/* Room for a record of @len bytes in the open frame.  Return: a writer that is bad if
 * there is no buffer */
static struct pn_wr record_open(struct net *net, uint32_t i, enum record kind, size_t len)
{
	struct adj *a = adj_of(net, i);
	size_t want = REC_HDR_LEN + len;
	size_t limit = pn_min(a->sess[CUR].mtu - FRAME_OVERHEAD, PN_PKT_MAX) - ACK_LEN;
	struct pn_wr w;

	if (a->open && (a->open->len + want > limit ||
			pn_pkt_room(a->open) < want + ACK_LEN + CRYPTO_TAG_LEN))
		send_open(net, i, net->now);
	if (!a->open)
		a->open = frame_new(net, pub_of(net, i)->link, NULL);
	if (!a->open || pn_pkt_room(a->open) < want + ACK_LEN + CRYPTO_TAG_LEN) {
		pn_wr_init(&w, NULL, 0);
		pn_wr_fail(&w);
		return w;
	}
	if (!a->open->len)
		a->open_what = COUNT_tx_hello_bytes;
	if (kind == REC_MESSAGE || kind == REC_SOFT)
		a->open_what = COUNT_tx_message_bytes;
	pn_wr_init(&w, pn_pkt_append(a->open, (uint32_t)want), want);
	pn_wr_u8(&w, kind);
	pn_wr_u16(&w, len);
	return w;
}

static void send_address_record(struct net *net, uint32_t i)
{
	uint16_t facet = ctl_link_facet(net, pub_of(net, i)->link);
	struct pn_wr w = record_open(net, i, REC_ADDRESS, 18);

	pn_wr_u16(&w, facet);
	pn_wr_u64(&w, facet_addr(net, facet));
	pn_wr_u64(&w, facet_root(net, facet));
}

void ctlq_redirect(struct net *net, uint32_t i, uint64_t dst, const uint8_t *id,
		   const struct pn_lladdr *ll)
{
	struct pn_wr w = record_open(net, i, REC_REDIRECT, 8 + PN_ID_LEN + 1 + (size_t)ll->len);

	pn_wr_u64(&w, dst);
	pn_wr_bytes(&w, id, PN_ID_LEN);
	pn_wr_u8(&w, ll->len);
	pn_wr_bytes(&w, ll->b, ll->len);
	ctlq_mark(net, i);
}

static void send_hello_record(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	bool timed = live_hello_timed(net, i, now);
	struct pn_wr w = record_open(net, i, REC_HELLO, timed ? HELLO_BODY_LEN : HELLO_BODY_MIN);

	if (!pn_wr_ok(&w))
		return;		/* no buffer: the timer comes again */
	live_hello_build(net, i, &w, timed, now);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == w.cap);
	a->hello_now = a->hello_ask = false;
	if (pub_of(net, i)->shortcut)
		send_address_record(net, i);
}

/* Messages that have not been sent, or that are to be sent again */
static void send_messages(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint16_t seq = a->ctl_una;

	a->cap_at = PN_TIME_NEVER;
	for (const struct pn_pkt *m = a->ctl_q.head; m; m = m->next, seq++) {
		struct pn_wr w;

		if ((int16_t)(seq - a->ctl_sent) < 0)
			continue;
		if (pn_time_before(now, cap_wait(net, i, now))) {
			a->cap_at = cap_wait(net, i, now);
			count(net, ctl_capped);
			link_of(net, pub_of(net, i)->link)->control.waited++;
			break;
		}
		w = record_open(net, i, REC_MESSAGE, 2 + (size_t)m->len);
		if (!pn_wr_ok(&w))
			break;
		pn_wr_u16(&w, seq);
		pn_wr_bytes(&w, m->data, m->len);
		PN_ASSERT(pn_wr_ok(&w));
		a->ctl_sent = (uint16_t)(seq + 1);
		live_expect(net, i, now);       /* its acknowledgement */
	}
	if (a->ctl_sent != a->ctl_una && pn_time_is_never(a->rto_at))
		a->rto_at = pn_time_add(now, a->rto_ns);
}

void ctlq_flush_one(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	bool spare;

	if (a->state != ADJ_UP || pub_of(net, i)->kind == ADJ_INTERNAL)
		return;
	send_messages(net, i, now);
	spare = a->open && pn_time_before(a->hello_at, pn_time_add(now, a->hello_ns / 2));
	if (a->hello_now || spare)
		send_hello_record(net, i, now);
	if (a->ack_now && !a->open) {
		a->open = frame_new(net, pub_of(net, i)->link, NULL);
		a->open_what = COUNT_tx_ack_bytes;
	}
	send_open(net, i, now);
	live_rearm(net, i, now);
}

void ctlq_flush(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	while (t->dirty_head) {
		uint32_t i = t->dirty_head - 1u;
		struct adj *a = adj_of(net, i);

		t->dirty_head = a->dirty_next;
		a->dirty = false;
		ctlq_flush_one(net, i, now);
	}
}

void ctlq_goodbye(struct net *net, uint32_t i, enum net_err why)
{
	struct pn_wr w = record_open(net, i, REC_GOODBYE, 1);

	pn_wr_u8(&w, why);
	if (pn_wr_ok(&w))
		send_open(net, i, net->now);
}

/* Messages between two facets of this node ------------------------------------------ */

static int internal_send(struct net *net, uint32_t i, const uint8_t *msg, size_t len, bool soft)
{
	struct adj_table *t = net->adjs;
	uint32_t to = pub_of(net, i)->internal_peer;
	struct pn_pkt *pkt;

	if (t->internal_q.count >= INTERNAL_MAX)
		return PN_EAGAIN;
	pkt = pn_pkt_get(net->pool);
	if (!pkt) {
		count(net, tx_no_buffer);
		return PN_EAGAIN;
	}
	if (len > pn_pkt_room(pkt)) {
		pn_pkt_put(net->pool, pkt);
		return PN_EMSGSIZE;
	}
	memcpy(pn_pkt_append(pkt, (uint32_t)len), msg, len);
	pkt->tag = to;
	pkt->proto = soft;
	pkt->cookie = adj_of(net, to)->hs_instance;
	pn_pktq_push(&t->internal_q, pkt);
	return 0;
}

void ctlq_internal_drain(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	for (uint32_t n = 0; n < INTERNAL_MAX && t->internal_q.count; n++) {
		struct pn_pkt *pkt = pn_pktq_pop(&t->internal_q);
		uint32_t to = pkt->tag, from;

		/* its adjacency may have gone meanwhile, and another have taken the entry */
		if (pub_of(net, to)->up && pub_of(net, to)->kind == ADJ_INTERNAL &&
		    adj_of(net, to)->hs_instance == pkt->cookie) {
			from = pub_of(net, to)->internal_peer;
			if (pkt->proto)
				ctl_on_soft(net, to, pkt->data, pkt->len, now);
			else
				ctl_on_msg(net, to, pkt->data, pkt->len, now);
			if (adj_of(net, from)->ctl_blocked && pub_of(net, from)->up) {
				adj_of(net, from)->ctl_blocked = false;
				ctl_on_writable(net, from, now);
			}
		}
		pn_pkt_put(net->pool, pkt);
	}
}

/* From ctl.c ------------------------------------------------------------------------- */

bool adj_ctl_ready(struct net *net, uint32_t adj, struct pn_time now)
{
	struct adj *a = adj_of(net, adj);
	bool internal = pub_of(net, adj)->kind == ADJ_INTERNAL, full;

	if (!pub_of(net, adj)->up)
		return false;
	full = internal ? net->adjs->internal_q.count >= INTERNAL_MAX
			: a->ctl_q.count >= CTL_WINDOW;
	if (!full && net->pool->free_count > 0)
		return true;
	a->ctl_blocked = true;
	if (internal) {                  /* there may be nothing in the queue that would wake it */
		timer_earlier(net, &a->timer, pn_time_add(now, RTO_MIN_NS));
	} else if (!full) {
		a->retry_at = pn_time_add(now, RTO_MIN_NS);
		live_rearm(net, adj, now);
	}
	return false;
}

int adj_ctl_send(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now)
{
	struct adj *a = adj_of(net, adj);
	struct pn_pkt *pkt;
	int err;

	PN_ASSERT(len > 0);
	PN_ASSERT(len <= ADJ_CTL_MAX);
	if (!pub_of(net, adj)->up)
		return PN_ENOENT;
	if (pub_of(net, adj)->kind == ADJ_INTERNAL) {
		err = internal_send(net, adj, msg, len, false);
		a->ctl_blocked |= err != 0;
		if (err)	/* there may be nothing in the queue that would wake it */
			timer_earlier(net, &a->timer, pn_time_add(now, RTO_MIN_NS));
		return err;
	}
	if (a->ctl_q.count >= CTL_WINDOW) {
		a->ctl_blocked = true;
		return PN_EAGAIN;
	}
	pkt = pn_pkt_get(net->pool);
	if (!pkt || pn_pkt_room(pkt) < len) {
		pn_pkt_put(net->pool, pkt);
		count(net, tx_no_buffer);
		a->ctl_blocked = true;
		a->retry_at = pn_time_add(now, RTO_MIN_NS);
		live_rearm(net, adj, now);
		return PN_EAGAIN;
	}
	memcpy(pn_pkt_append(pkt, (uint32_t)len), msg, len);
	if (!a->ctl_q.count)
		a->ctl_progress = now;
	pn_pktq_push(&a->ctl_q, pkt);
	a->ctl_next++;
	ctlq_mark(net, adj);
	return 0;
}

void adj_soft_send(struct net *net, uint32_t adj, const uint8_t *msg, size_t len,
		   struct pn_time now)
{
	struct pn_wr w;

	PN_ASSERT(len > 0);
	PN_ASSERT(len <= ADJ_CTL_MAX);
	if (!pub_of(net, adj)->up)
		return;
	if (pub_of(net, adj)->kind == ADJ_INTERNAL) {
		(void)internal_send(net, adj, msg, len, true);
		return;
	}
	if (pn_time_before(now, cap_wait(net, adj, now))) {
		count(net, soft_capped);
		link_of(net, pub_of(net, adj)->link)->control.dropped++;
		return;
	}
	w = record_open(net, adj, REC_SOFT, len);
	if (!pn_wr_ok(&w))
		return;
	pn_wr_bytes(&w, msg, len);
	ctlq_mark(net, adj);
}

void ctlq_on_rto(struct net *net, uint32_t i)
{
	struct adj *a = adj_of(net, i);

	a->rto_at = PN_TIME_NEVER;
	if (!a->ctl_q.count)
		return;
	count_add(net, ctl_retransmits, (uint16_t)(a->ctl_sent - a->ctl_una));
	a->ctl_sent = a->ctl_una;	/* go back N */
	if (a->ctl_tries < UINT8_MAX)
		a->ctl_tries++;
	/* patient, but often enough that a lossy link gets its chances before CTL_GIVE_UP_NS */
	a->rto_ns = pn_min(a->rto_ns * 2, pn_max(PN_MS(400), a->srtt_ns * 2));
	ctlq_mark(net, i);
}

/* Records in --------------------------------------------------------------------------- */

uint64_t ctlq_rto(const struct adj *a)
{
	uint64_t ns = a->srtt_ns + 4 * a->rttvar_ns + ACK_DELAY_NS;

	if (!a->srtt_ns)
		return RTO_START_NS;
	return ns < RTO_MIN_NS ? RTO_MIN_NS : ns > RTO_MAX_NS ? RTO_MAX_NS : ns;
}

static void on_ack(struct net *net, uint32_t i, uint16_t ack, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint16_t n = (uint16_t)(ack - a->ctl_una);

	if (n == 0 || n > (uint16_t)(a->ctl_sent - a->ctl_una)) {
		/* an acknowledgement of what was sent before we went back counts, too */
		if (n == 0 || n > a->ctl_q.count)
			return;
		a->ctl_sent = ack;
	}
	for (; n; n--) {
		pn_pkt_put(net->pool, pn_pktq_pop(&a->ctl_q));
		a->ctl_una++;
	}
	a->ctl_progress = now;
	a->ctl_tries = 0;
	a->rto_ns = ctlq_rto(a);
	a->rto_at = a->ctl_q.count ? pn_time_add(now, a->rto_ns) : PN_TIME_NEVER;
	if (a->ctl_blocked) {
		a->ctl_blocked = false;
		ctl_on_writable(net, i, now);
	}
}

static void on_message(struct net *net, uint32_t i, struct pn_rd *r, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint16_t seq = pn_rd_u16(r);

	if (r->bad || !pn_rd_left(r)) {
		count(net, rx_malformed);
		return;
	}
	if (pub_of(net, i)->shortcut) {
		/* the other side knows already that both want it; or it is mistaken, then
		 * it hears so with our next hello */
		if (!a->want)
			return;
		adj_to_tree(net, i, now);
	}
	ctlq_mark(net, i);
	/* one that is not the next is answered, too, as the other side may be behind; but
	 * not each at once: acknowledgements are not held back by the cap */
	a->ack_at = pn_time_min(a->ack_at, pn_time_add(now, ACK_DELAY_NS));
	if (seq != a->ctl_expect)
		return;
	a->ctl_expect++;
	ctl_on_msg(net, i, r->at, r->left, now);
}

/* It left; or closed a shortcut; or does not hear us, which we had noticed, too, if it had said
 * nothing any more: then the link is as good as silent. */
static void on_goodbye(struct net *net, uint32_t i, unsigned why, struct pn_time now)
{
	const struct adj_pub *p = pub_of(net, i);

	switch (why) {
	case NET_ERR_TIMEOUT:
		count(net, adj_unheard);
		adj_go_down(net, i, NET_ERR_TIMEOUT, now);
		break;
	case NET_ERR_IDLE:
		adj_go_down(net, i, NET_ERR_IDLE, now);
		break;
	default:
		if (p->kind == ADJ_ETHERNET)
			ring_on_goodbye(net, p->link, p->id, now);
		adj_go_down(net, i, NET_ERR_GOODBYE, now);
		break;
	}
}

void ctlq_on_records(struct net *net, uint32_t i, const uint8_t *p, size_t len, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint64_t era = a->sess[CUR].instance;
	struct pn_rd r;

	pn_rd_init(&r, p, len);
	/* an upcall might end the adjacency: then the rest is of no interest */
	while (pn_rd_left(&r) && a->state == ADJ_UP && a->sess[CUR].instance == era) {
		uint8_t kind = pn_rd_u8(&r);
		struct pn_rd b;

		b = pn_rd_sub(&r, pn_rd_u16(&r));
		if (r.bad)
			break;
		switch (kind) {
		case REC_ACK: {
			uint16_t ack = pn_rd_u16(&b);

			if (pn_rd_finish(&b))
				on_ack(net, i, ack, now);
			break;
		}
		case REC_MESSAGE:
			on_message(net, i, &b, now);
			break;
		case REC_SOFT:
			if (pn_rd_left(&b) && !pub_of(net, i)->shortcut)
				ctl_on_soft(net, i, b.at, b.left, now);
			break;
		case REC_HELLO:
			if (!live_on_hello(net, i, &b, now))
				count(net, rx_malformed);
			break;
		case REC_GOODBYE:
			on_goodbye(net, i, pn_rd_u8(&b), now);
			return;
		case REC_ADDRESS:
			short_on_address(net, i, &b);
			break;
		case REC_REDIRECT:
			short_on_redirect(net, i, &b, now);
			break;
		default:
			break;	/* of a later version */
		}
	}
	if (r.bad)
		count(net, rx_malformed);
	if (a->state == ADJ_UP)
		live_rearm(net, i, now);
}
