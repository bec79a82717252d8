/* SPDX-License-Identifier: ISC */
/* Datagrams over a session, in DATAGRAM frames (RFC 9221).
 *
 *	DG_WHOLE        type, source port, destination port, data
 *	DG_FRAGMENT     type, source port, destination port, message (4),
 *	                length of the whole (2), offset (2), data
 *	DG_UNREACHABLE  type, source port, destination port: as in the datagram
 *	                that found nobody
 *	DG_HELLO        see pair.c
 *
 * Theory of operation: nothing is sent twice.  A queue per session, bounded in
 * bytes and count, holds what waits for the handshake or the congestion window;
 * a datagram is cut up only as it is sent, by the MTU of that moment.  One that has
 * waited for the window too long is dropped: else a program that sends more than the
 * path takes would fill the queue, and whatever it sends afterwards come as late as
 * all of the queue needs, which is seconds on a slow or lossy path.  The
 * receiver puts together a few at a time; a slot that is not complete in time is
 * given up, and when all are busy the oldest is.  ngtcp2 drops duplicates, so
 * counting bytes is enough: a peer that sends overlapping pieces spoils only its
 * own datagram. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include "libpeernet/base/bytes.h"

#define WHOLE_HDR	5	/* bytes */
#define FRAGMENT_HDR	13

/* --- out ---------------------------------------------------------------------- */

static int enqueue(struct conn *c, uint8_t type, uint16_t src_port, uint16_t dst_port,
		   const uint8_t *data, size_t len)
{
	struct dgram *d;

	if (c->dg_count >= DGRAM_QUEUE_COUNT || c->dg_bytes + len > DGRAM_QUEUE_BYTES) {
		count(c->set, CNT_DGRAM_QUEUE_FULL);
		return PN_EAGAIN;
	}
	d = malloc(sizeof(*d) + len);
	if (!d) {
		count(c->set, CNT_NO_MEMORY);
		return PN_EAGAIN;
	}
	d->next = NULL;
	d->type = type;
	d->src_port = src_port;
	d->dst_port = dst_port;
	d->len = (uint32_t)len;
	d->off = 0;
	d->late = pn_time_add(c->set->now, DGRAM_LATE_NS);
	d->msg_id = c->dg_next_id++;
	if (len)
		memcpy(d->data, data, len);
	if (c->dg_tail)
		c->dg_tail->next = d;
	else
		c->dg_head = d;
	c->dg_tail = d;
	c->dg_count++;
	c->dg_bytes += (uint32_t)len;
	c->active = c->set->now;
	conn_touch(c);
	return 0;
}

static void pop(struct conn *c)
{
	struct dgram *d = c->dg_head;

	c->dg_head = d->next;
	if (!c->dg_head)
		c->dg_tail = NULL;
	c->dg_count--;
	c->dg_bytes -= d->len;
	free(d);
}

int session_datagram_send(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN],
			  uint16_t src_port, uint16_t dst_port, const uint8_t *data, size_t len,
			  bool no_frag, struct pn_time now)
{
	struct conn *c;

	set->now = now;
	if (len > PN_DATAGRAM_MAX)
		return PN_EMSGSIZE;
	c = pair_get(set, id, hit);
	if (!c)
		return PN_EFULL;
	if (no_frag && len + WHOLE_HDR > conn_dgram_room(c))
		return PN_EMSGSIZE;
	return enqueue(c, DG_WHOLE, src_port, dst_port, data, len);
}

void session_datagram_unreachable(struct session_set *set, const uint8_t hit[PN_HIT_LEN],
				  uint16_t src_port, uint16_t dst_port, struct pn_time now)
{
	struct conn *c;

	set->now = now;
	c = pair_find(set, hit);
	if (!c || c->state != CONN_UP)
		return;
	if (!rate_take(&c->notice_tokens, &c->notice_at, NOTICE_RATE, now)) {
		count(set, CNT_NOTICE_LIMITED);
		return;
	}
	enqueue(c, DG_UNREACHABLE, src_port, dst_port, NULL, 0);
}

size_t dgram_frame(struct conn *c, uint8_t hdr[16], ngtcp2_vec vec[2], size_t room)
{
	struct dgram *d = c->dg_head;
	bool whole = !d->off && d->len + WHOLE_HDR <= room;
	struct pn_wr w;

	pn_wr_init(&w, hdr, 16);
	pn_wr_u8(&w, whole ? d->type : DG_FRAGMENT);
	pn_wr_u16(&w, d->src_port);
	pn_wr_u16(&w, d->dst_port);
	c->dg_piece = d->len - d->off;
	if (!whole) {
		c->dg_piece = (uint32_t)pn_min(c->dg_piece, room - FRAGMENT_HDR);
		pn_wr_u32(&w, d->msg_id);
		pn_wr_u16(&w, d->len);
		pn_wr_u16(&w, d->off);
	}
	PN_ASSERT(pn_wr_ok(&w));
	vec[0].base = hdr;
	vec[0].len = w.len;
	vec[1].base = d->data + d->off;
	vec[1].len = c->dg_piece;
	return c->dg_piece ? 2 : 1;
}

void dgram_sent(struct conn *c)
{
	struct dgram *d = c->dg_head;

	d->off += c->dg_piece;
	if (d->off < d->len)
		return;
	count(c->set, CNT_DGRAM_TX);
	c->active = c->set->now;
	pop(c);
}

void dgram_drop_late(struct conn *c)
{
	/* one that has begun is finished: it would be of no use to anybody */
	while (c->dg_head && !c->dg_head->off && pn_time_due(c->dg_head->late, c->set->now)) {
		count(c->set, CNT_DGRAM_LATE);
		pop(c);
	}
}

void dgram_on_up(struct conn *c)
{
	struct dgram *d;

	for (d = c->dg_head; d; d = d->next)
		d->late = pn_time_add(c->set->now, DGRAM_LATE_NS);
}

void dgram_drop(struct conn *c)
{
	count(c->set, CNT_DGRAM_TOO_BIG);
	pop(c);
}

/* --- in ------------------------------------------------------------------------- */

static void slot_clear(struct conn *c, struct reasm *m)
{
	if (!m->data)
		return;
	free(m->data);
	m->data = NULL;
	c->set->reasm_bytes -= m->len;
	c->reasm_count--;
}

static void deliver(struct conn *c, enum session_event_kind kind, uint16_t src_port,
		    uint16_t dst_port, const uint8_t *data, size_t len)
{
	c->active = c->set->now;
	if (kind == SESSION_EV_DATAGRAM)
		count(c->set, CNT_DGRAM_RX);
	if (!event_put(c->set, kind, c, 0, src_port, dst_port, data, len))
		count(c->set, CNT_DGRAM_IN_FULL);
}

static struct reasm *slot_find(struct conn *c, uint32_t msg_id)
{
	for (size_t i = 0; i < REASM_SLOTS; i++)
		if (c->reasm[i].data && c->reasm[i].msg_id == msg_id)
			return &c->reasm[i];
	return NULL;
}

/* A slot for a new message: a free one, else the oldest */
static struct reasm *slot_new(struct conn *c, uint32_t msg_id, uint32_t len)
{
	struct session_set *set = c->set;
	struct reasm *m = &c->reasm[0];

	for (size_t i = 0; i < REASM_SLOTS && m->data; i++)
		if (!c->reasm[i].data || pn_time_before(c->reasm[i].until, m->until))
			m = &c->reasm[i];
	if (m->data)
		count(set, CNT_DGRAM_REASM_FULL);
	slot_clear(c, m);
	if (set->reasm_bytes + len > REASM_BYTES) {
		count(set, CNT_DGRAM_REASM_FULL);
		return NULL;
	}
	m->data = calloc(1, len);	/* zero: a hostile peer may leave holes */
	if (!m->data) {
		count(set, CNT_NO_MEMORY);
		return NULL;
	}
	set->reasm_bytes += len;
	c->reasm_count++;
	m->msg_id = msg_id;
	m->len = len;
	m->got = 0;
	m->until = pn_time_add(set->now, REASM_NS);
	return m;
}

static void on_fragment(struct conn *c, struct pn_rd *r, uint16_t src_port, uint16_t dst_port)
{
	uint32_t msg_id = pn_rd_u32(r);
	uint32_t total = pn_rd_u16(r);
	uint32_t off = pn_rd_u16(r);
	size_t len = pn_rd_left(r);
	const uint8_t *data = pn_rd_bytes(r, len);
	struct reasm *m;

	if (r->bad || !len || total > PN_DATAGRAM_MAX || off > total || len > total - off) {
		count(c->set, CNT_DGRAM_BAD);
		return;
	}
	m = slot_find(c, msg_id);
	if (m && (m->len != total || m->src_port != src_port || m->dst_port != dst_port)) {
		count(c->set, CNT_DGRAM_BAD);
		slot_clear(c, m);
		return;
	}
	if (!m)
		m = slot_new(c, msg_id, total);
	if (!m)
		return;
	m->src_port = src_port;
	m->dst_port = dst_port;
	memcpy(m->data + off, data, len);
	m->got += (uint32_t)len;
	if (m->got < m->len)
		return;
	deliver(c, SESSION_EV_DATAGRAM, src_port, dst_port, m->data, m->len);
	slot_clear(c, m);
}

void dgram_on_frame(struct conn *c, const uint8_t *data, size_t len)
{
	uint16_t src_port, dst_port;
	struct pn_rd r;
	uint8_t type;

	pn_rd_init(&r, data, len);
	type = pn_rd_u8(&r);
	if (type == DG_HELLO) {
		hello_parse(c, data, len);
		return;
	}
	src_port = pn_rd_u16(&r);
	dst_port = pn_rd_u16(&r);
	if (r.bad) {
		count(c->set, CNT_DGRAM_BAD);
		return;
	}
	switch (type) {
	case DG_WHOLE:
		deliver(c, SESSION_EV_DATAGRAM, src_port, dst_port, r.at, pn_rd_left(&r));
		break;
	case DG_FRAGMENT:
		on_fragment(c, &r, src_port, dst_port);
		break;
	case DG_UNREACHABLE:
		deliver(c, SESSION_EV_UNREACHABLE, src_port, dst_port, NULL, 0);
		break;
	default:
		count(c->set, CNT_DGRAM_BAD);
	}
}

/* --- time and end ------------------------------------------------------------------ */

struct pn_time dgram_deadline(const struct conn *c)
{
	struct pn_time t = PN_TIME_NEVER;

	for (size_t i = 0; c->reasm_count && i < REASM_SLOTS; i++)
		if (c->reasm[i].data)
			t = pn_time_min(t, c->reasm[i].until);
	return t;
}

void dgram_expire(struct conn *c)
{
	for (size_t i = 0; c->reasm_count && i < REASM_SLOTS; i++) {
		if (!c->reasm[i].data || !pn_time_due(c->reasm[i].until, c->set->now))
			continue;
		count(c->set, CNT_DGRAM_REASM_TIMEOUT);
		slot_clear(c, &c->reasm[i]);
	}
}

void dgram_fini(struct conn *c)
{
	while (c->dg_head)
		pop(c);
	for (size_t i = 0; i < REASM_SLOTS; i++)
		slot_clear(c, &c->reasm[i]);
}
