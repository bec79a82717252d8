/* SPDX-License-Identifier: ISC */
/* Packets out.
 *
 * Theory of operation: per flush a connection writes up to BURST_PACKETS
 * packets, as many as congestion control and pacing let it.  Streams that have
 * something stand in a ring, conn->ready; each packet begins with the next one
 * and is filled up with those behind it, so streams share evenly and small
 * writes of many share a packet.  Datagrams and streams take turns in who comes
 * first.  A stream that its own flow control stops leaves the ring and is put
 * back by ngtcp2's callback; if the connection's window stops us, we try again
 * with the next flush.
 *
 * The guard: ngtcp2 (0.12 at least) sets no probe timer for packets that hold
 * datagrams only.  Were all of them lost, or their acknowledgement, they would
 * count as in flight for ever and block the window.  So each packet that begins
 * with datagrams carries one byte of a unidirectional stream of ours, too, which
 * the peer throws away: that is probed for, and its acknowledgement settles the
 * others.
 *
 * ngtcp2 writes straight into a packet of the pool: nothing is copied again. */
#include "pnstackd/session/session_internal.h"

#define VECS_MAX	4	/* pieces of a stream in one packet */
#define NO_BUFFER_NS	PN_MS(1)
/* A DATAGRAM frame's bytes in a packet: less a short header with the longest
 * id and packet number, the tag, and the frame's own type and length */
#define DGRAM_OVERHEAD	(1 + NGTCP2_MAX_CIDLEN + 4 + 16 + 3 + GUARD_FRAME_LEN)
#define GUARD_FRAME_LEN	12	/* bytes of a STREAM frame with one byte */

enum outcome { WRITTEN, MORE, BLOCKED, FAILED };

struct packet {
	struct conn *c;
	uint8_t *buf;
	size_t cap;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize len;	/* what ngtcp2 said */
	bool streams_blocked;	/* by the connection's window */
	bool guarded;		/* something in it will be probed for */
};

static enum outcome judge(struct packet *p)
{
	if (p->len > 0)
		return WRITTEN;
	if (p->len == NGTCP2_ERR_WRITE_MORE)
		return MORE;
	return p->len == 0 ? BLOCKED : FAILED;
}

size_t conn_dgram_room(const struct conn *c)
{
	return c->mtu - DGRAM_OVERHEAD;
}

/* --- datagrams ---------------------------------------------------------------- */

static enum outcome write_guard(struct packet *p)
{
	static uint8_t zero;
	struct conn *c = p->c;
	ngtcp2_vec vec = { &zero, 1 };
	ngtcp2_ssize taken = -1;

	p->guarded = true;
	if (c->guard_qid == -1 && ngtcp2_conn_open_uni_stream(c->qc, &c->guard_qid, NULL))
		c->guard_qid = -2;
	if (c->guard_qid < 0)
		return MORE;
	p->len = ngtcp2_conn_writev_stream(c->qc, NULL, &p->pi, p->buf, p->cap, &taken,
					   NGTCP2_WRITE_STREAM_FLAG_MORE, c->guard_qid, &vec, 1,
					   conn_clock(c));
	if (p->len == NGTCP2_ERR_STREAM_DATA_BLOCKED || p->len == NGTCP2_ERR_STREAM_SHUT_WR ||
	    p->len == NGTCP2_ERR_STREAM_NOT_FOUND)
		return MORE;
	return judge(p);
}

static enum outcome write_hello(struct packet *p)
{
	struct conn *c = p->c;
	uint8_t buf[NET_RECORD_MAX + 64];
	ngtcp2_vec vec = { buf, 0 };
	int accepted = 0;

	vec.len = hello_build(c, buf, pn_min(sizeof(buf), conn_dgram_room(c)));
	if (!vec.len) {	/* a record that does not fit: none then */
		c->hello_pending = false;
		return MORE;
	}
	p->len = ngtcp2_conn_writev_datagram(c->qc, NULL, &p->pi, p->buf, p->cap, &accepted,
					     NGTCP2_WRITE_DATAGRAM_FLAG_MORE, c->hello_id, &vec, 1,
					     conn_clock(c));
	if (accepted) {
		c->hello_pending = false;
		c->hello_at = pn_time_add(c->set->now, HELLO_AGAIN_NS << c->hello_tries);
		c->hello_tries++;
	}
	if (p->len == NGTCP2_ERR_INVALID_STATE || p->len == NGTCP2_ERR_INVALID_ARGUMENT) {
		c->hello_pending = false;	/* the peer takes no datagrams */
		return MORE;
	}
	return judge(p);
}

static enum outcome write_dgram(struct packet *p)
{
	struct conn *c = p->c;
	uint8_t hdr[16];
	ngtcp2_vec vec[2];
	int accepted = 0;
	size_t n;

	n = dgram_frame(c, hdr, vec, conn_dgram_room(c));
	if (!n)
		return MORE;
	p->len = ngtcp2_conn_writev_datagram(c->qc, NULL, &p->pi, p->buf, p->cap, &accepted,
					     NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, vec, n,
					     conn_clock(c));
	if (accepted)
		dgram_sent(c);
	if (p->len == NGTCP2_ERR_INVALID_STATE || p->len == NGTCP2_ERR_INVALID_ARGUMENT) {
		dgram_drop(c);
		return MORE;
	}
	return judge(p);
}

/* Return: MORE when there is room left in the packet and nothing left to say */
static enum outcome fill_dgrams(struct packet *p)
{
	struct conn *c = p->c;
	enum outcome o = MORE;

	dgram_drop_late(c);
	if (!p->guarded && (c->hello_pending || c->dg_head))
		o = write_guard(p);
	if (o == MORE && c->hello_pending)
		o = write_hello(p);
	while (o == MORE && c->dg_head)
		o = write_dgram(p);
	return o;
}

/* --- streams -------------------------------------------------------------------- */

static size_t stream_vec(struct stream *s, ngtcp2_vec vec[VECS_MAX + 1], uint64_t *bytes)
{
	uint64_t data = 0;
	size_t n = 0;

	if (s->pre_sent < s->pre_len) {
		vec[n].base = s->pre + s->pre_sent;
		vec[n++].len = (size_t)(s->pre_len - s->pre_sent);
	}
	if (s->state == STREAM_OPEN)
		n += sendbuf_vec(&s->tx, vec + n, VECS_MAX, &data);
	*bytes = data + s->pre_len - s->pre_sent;
	return n;
}

static void stream_sent(struct stream *s, uint64_t bytes, bool fin)
{
	uint64_t pre = pn_min(bytes, (size_t)(s->pre_len - s->pre_sent));

	s->pre_sent = (uint8_t)(s->pre_sent + pre);
	sendbuf_advance(&s->tx, bytes - pre);
	if (fin)
		s->fin_sent = true;
	/* to the end of the ring, or out of it */
	link_del(&s->in_ready);
	if (stream_has_tx(s))
		link_add_tail(&s->conn->ready, &s->in_ready);
}

static enum outcome write_stream(struct packet *p, struct stream *s)
{
	struct conn *c = p->c;
	ngtcp2_vec vec[VECS_MAX + 1];
	ngtcp2_ssize taken = -1;
	uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
	uint64_t bytes;
	size_t n = stream_vec(s, vec, &bytes);
	bool fin = s->state == STREAM_OPEN && s->fin_wanted && !s->fin_sent &&
		   bytes == sendbuf_unsent(&s->tx) + s->pre_len - s->pre_sent;

	if (fin)
		flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
	p->len = ngtcp2_conn_writev_stream(c->qc, NULL, &p->pi, p->buf, p->cap, &taken, flags,
					   s->qid, vec, n, conn_clock(c));
	if (taken >= 0)
		p->guarded = true;
	if (taken >= 0)
		stream_sent(s, (uint64_t)taken, fin && (uint64_t)taken == bytes);
	switch (p->len) {
	case NGTCP2_ERR_STREAM_DATA_BLOCKED:
		if (!ngtcp2_conn_get_max_data_left(c->qc))
			p->streams_blocked = true;
		else
			link_del(&s->in_ready);
		return MORE;
	case NGTCP2_ERR_STREAM_SHUT_WR:
	case NGTCP2_ERR_STREAM_NOT_FOUND:
		link_del(&s->in_ready);
		stream_on_stopped(s);
		return MORE;
	default:
		return judge(p);
	}
}

static enum outcome fill_streams(struct packet *p)
{
	struct conn *c = p->c;
	enum outcome o = MORE;

	while (o == MORE && link_in(&c->ready) && !p->streams_blocked)
		o = write_stream(p, pn_container_of(c->ready.next, struct stream, in_ready));
	return o;
}

/* Streams that were full for long and saw no acknowledgement: has the peer
 * stopped one?  Older ngtcp2 tells only by refusing a write. */
static void stream_probe(struct conn *c)
{
	bool again = false;

	c->probe_at = PN_TIME_NEVER;
	for (struct link *l = c->streams.next; l != &c->streams; l = l->next) {
		struct stream *s = pn_container_of(l, struct stream, of_conn);

		if (!s->want_write || s->qid < 0 || s->tx_stopped)
			continue;
		again = true;
		if (s->no_progress && !link_in(&s->in_ready))
			link_add_tail(&c->ready, &s->in_ready);
		s->no_progress = true;
	}
	if (again)
		c->probe_at = pn_time_add(c->set->now, PROBE_NS);
}

/* --- one packet, one burst ---------------------------------------------------------- */

static enum outcome write_packet(struct packet *p)
{
	struct conn *c = p->c;
	enum outcome o = MORE;

	if (c->state == CONN_UP) {
		bool dgrams_first = c->dgram_turn;

		c->dgram_turn = !dgrams_first;
		o = dgrams_first ? fill_dgrams(p) : fill_streams(p);
		if (o == MORE)
			o = dgrams_first ? fill_streams(p) : fill_dgrams(p);
	}
	if (o != MORE)
		return o;
	p->len = ngtcp2_conn_writev_stream(c->qc, NULL, &p->pi, p->buf, p->cap, NULL,
					   NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0,
					   conn_clock(c));
	return judge(p);
}

static void begin_streams(struct conn *c)
{
	struct link *l = c->streams.next;

	for (; c->waiting && !c->stream_ids_out && l != &c->streams; l = l->next) {
		struct stream *s = pn_container_of(l, struct stream, of_conn);

		if (s->waiting && !stream_begin(s))
			c->stream_ids_out = true;
	}
}

/* Return: packets written; -1 if the connection ended */
static int burst(struct conn *c)
{
	struct session_set *set = c->set;
	int n;

	for (n = 0; n < BURST_PACKETS; n++) {
		struct pn_pkt *pkt = pn_pkt_get(set->pool);
		struct packet p = { .c = c };
		enum outcome o;

		if (!pkt) {
			count(set, CNT_TX_NO_BUFFER);
			c->later = pn_time_add(set->now, NO_BUFFER_NS);
			return n;
		}
		p.buf = pkt->data;
		p.cap = pn_min(c->state == CONN_UP ? c->mtu : INITIAL_PAYLOAD, pn_pkt_room(pkt));
		o = write_packet(&p);
		if (o == WRITTEN) {
			pn_pkt_append(pkt, (uint32_t)p.len);
			conn_send(c, pkt, p.pi.ecn);
			c->key_packets++;
			conn_check_up(c);
			continue;
		}
		pn_pkt_put(set->pool, pkt);
		if (o == FAILED) {
			conn_fail(c, (int)p.len);
			return -1;
		}
		break;
	}
	return n;
}

/* New keys in good time: ngtcp2 would end the connection if it has to change them
 * and cannot just then. */
static void renew_keys(struct conn *c)
{
	if (c->key_packets >= KEY_PACKETS &&
	    !ngtcp2_conn_initiate_key_update(c->qc, conn_clock(c)))
		c->key_packets = 0;
}

void conn_flush(struct conn *c)
{
	struct session_set *set = c->set;
	struct qc_stat st;
	int n;

	if (!c->qc)
		return;
	if (pn_time_due(c->probe_at, set->now))
		stream_probe(c);
	if (c->state == CONN_UP) {
		renew_keys(c);
		begin_streams(c);
	}
	n = burst(c);
	if (n < 0)
		return;
	/* Pacing starts with the session: before, the assumed round trip would
	 * hold back the last packet of the handshake. */
	if (c->state == CONN_UP)
		ngtcp2_conn_update_pkt_tx_time(c->qc, conn_clock(c));
	qc_get_stat(c->qc, &st);
	c->cwnd = st.cwnd;
	if (st.in_flight && c->state == CONN_UP) {
		if (pn_time_is_never(c->silent))
			c->silent = set->now;
		if (pn_time_is_never(c->hurry_at))
			c->hurry_at = pn_time_add(set->now, HURRY_NS + 2 * st.rtt_ns);
	}
	if (n == BURST_PACKETS || (c->state == CONN_UP && c->waiting && !c->stream_ids_out))
		conn_touch(c);
}
