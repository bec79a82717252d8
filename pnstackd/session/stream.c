/* SPDX-License-Identifier: ISC */
/* Streams: the table, their states, what the connection reports of them.
 *
 * Theory of operation: a stream socket is one bidirectional QUIC stream.  Before
 * the dialler's first byte stands a header, before the acceptor's an answer:
 *
 *	header  version (1)   1 byte       answer  0: accepted   1 byte
 *	        flags (0)     1
 *	        port dialled  2
 *	        own port      2
 *
 * The dialler sends nothing more until the answer is there, so what a program
 * wrote is never acknowledged by a node where nobody listens.  A refusal is
 * RESET_STREAM with a code of errmap.c.
 *
 *	half-close        FIN                    stream_shutdown()
 *	closed reader     STOP_SENDING           stream_stop()
 *	reset             both, code PN_ERESET   stream_reset()
 *
 * A peer that answers our STOP_SENDING with RESET_STREAM (QUIC makes it) has not
 * reset the stream in our sense.  An owner that closes its handle leaves an
 * orphan behind, which goes on sending and then goes away. */
#include "pnstackd/session/session_internal.h"

#include "libpeernet/base/bytes.h"

#define HEADER_VERSION	1
#define ANSWER_ACCEPTED	0

/* --- the table -------------------------------------------------------------- */

stream_id stream_handle(const struct stream *s)
{
	return (uint64_t)s->gen << 32 | (s->index + 1);
}

struct stream *stream_at(const struct session_set *set, stream_id id)
{
	uint32_t index = (uint32_t)id - 1;
	struct stream *s;

	if (!(uint32_t)id || index >= set->cfg.stream_max)
		return NULL;
	s = &set->streams[index];
	if (s->gen != id >> 32 || s->state == STREAM_FREE || s->orphan)
		return NULL;
	return s;
}

struct stream *stream_new(struct session_set *set, struct conn *c)
{
	struct stream *s;
	uint32_t index, gen;

	if (!set->stream_free_count)
		return NULL;
	index = set->stream_free[--set->stream_free_count];
	s = &set->streams[index];
	PN_ASSERT(s->state == STREAM_FREE);
	gen = s->gen ? s->gen : 1;	/* never used: 0 */
	memset(s, 0, sizeof(*s));
	s->set = set;
	s->index = index;
	s->gen = gen;
	s->qid = -1;
	link_init(&s->of_conn);
	link_init(&s->in_ready);
	link_init(&s->in_events);
	sendbuf_init(&s->tx);
	recvbuf_init(&s->rx);
	memcpy(s->id, c->id, PN_ID_LEN);
	memcpy(s->hit, c->hit, PN_HIT_LEN);
	s->conn = c;
	link_add_tail(&c->streams, &s->of_conn);
	c->stream_count++;
	c->active = set->now;
	return s;
}

void stream_tx_drop(struct stream *s)
{
	s->set->tx_buffered -= sendbuf_kept(&s->tx);
	sendbuf_fini(&s->tx);
	sendbuf_init(&s->tx);
}

void stream_unwait(struct stream *s)
{
	if (s->waiting)
		s->conn->waiting--;
	s->waiting = false;
}

/* The stream leaves its connection, for which it does not count any more. */
static void detach(struct stream *s)
{
	struct conn *c = s->conn;

	link_del(&s->of_conn);
	link_del(&s->in_ready);
	if (!c)
		return;
	stream_unwait(s);
	if (s->qid >= 0 && c->qc)
		ngtcp2_conn_set_stream_user_data(c->qc, s->qid, NULL);
	c->stream_count--;
	c->active = c->set->now;	/* perhaps its idle time begins */
	s->conn = NULL;
	s->qid = -1;
}

void stream_free(struct stream *s)
{
	struct session_set *set = s->set;

	PN_ASSERT(s->state != STREAM_FREE);
	if (s->conn)
		conn_touch(s->conn);
	detach(s);
	link_del(&s->in_events);
	stream_tx_drop(s);
	recvbuf_fini(&s->rx);
	s->state = STREAM_FREE;
	if (!++s->gen)
		s->gen = 1;
	set->stream_free[set->stream_free_count++] = s->index;
}

void stream_orphan_check(struct stream *s)
{
	/* while ngtcp2 knows the stream it may hold pointers into our buffer */
	if (s->orphan && (!s->conn || s->qid < 0))
		stream_free(s);
}

void stream_event(struct stream *s, uint8_t bit)
{
	if (s->orphan)
		return;
	s->events |= bit;
	if (!link_in(&s->in_events))
		link_add_tail(&s->set->stream_events, &s->in_events);
}

bool stream_has_tx(const struct stream *s)
{
	if (!s->conn || s->qid < 0 || s->tx_stopped || s->state == STREAM_DEAD)
		return false;
	if (s->pre_sent < s->pre_len)
		return true;
	return s->state == STREAM_OPEN &&
	       (sendbuf_unsent(&s->tx) || (s->fin_wanted && !s->fin_sent));
}

void stream_ready(struct stream *s)
{
	if (stream_has_tx(s) && !link_in(&s->in_ready))
		link_add_tail(&s->conn->ready, &s->in_ready);
	if (s->conn)
		conn_touch(s->conn);
}

/* --- dialling ------------------------------------------------------------------ */

bool stream_begin(struct stream *s)
{
	struct conn *c = s->conn;

	if (ngtcp2_conn_open_bidi_stream(c->qc, &s->qid, s)) {
		s->qid = -1;
		return false;
	}
	stream_unwait(s);
	if (stream_has_tx(s))
		link_add_tail(&c->ready, &s->in_ready);
	return true;
}

void stream_attach(struct stream *s, struct conn *c)
{
	s->conn = c;
	s->qid = -1;
	s->pre_sent = 0;
	link_add_tail(&c->streams, &s->of_conn);
	c->stream_count++;
	c->waiting++;
	s->waiting = true;
	c->active = c->set->now;
	conn_touch(c);
}

void stream_move_waiting(struct conn *from, struct conn *to)
{
	struct link *l, *next;

	for (l = from->streams.next; l != &from->streams; l = next) {
		struct stream *s = pn_container_of(l, struct stream, of_conn);

		next = l->next;
		if (!s->waiting)
			continue;
		detach(s);
		stream_attach(s, to);
	}
}

void stream_redial(struct session_set *set)
{
	while (link_in(&set->redial)) {
		struct stream *s = pn_container_of(set->redial.next, struct stream, of_conn);
		struct conn *c;

		link_del(&s->of_conn);
		c = pair_get(set, NULL, s->hit);
		if (c)
			stream_attach(s, c);
		else
			stream_fail(s, PN_EFULL);
	}
}

static void header_build(struct stream *s, uint16_t port, uint16_t local_port)
{
	struct pn_wr w;

	pn_wr_init(&w, s->pre, sizeof(s->pre));
	pn_wr_u8(&w, HEADER_VERSION);
	pn_wr_u8(&w, 0);
	pn_wr_u16(&w, port);
	pn_wr_u16(&w, local_port);
	PN_ASSERT(pn_wr_ok(&w));
	s->pre_len = (uint8_t)w.len;
}

stream_id stream_open(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN],
		      uint16_t port, uint16_t local_port, uint64_t owner, struct pn_time now)
{
	struct stream *s;
	struct conn *c;

	set->now = now;
	if (!set->stream_free_count) {
		count(set, CNT_STREAM_TABLE_FULL);
		return 0;
	}
	c = pair_get(set, id, hit);
	if (!c) {
		count(set, CNT_GATE_TABLE);
		return 0;
	}
	s = stream_new(set, c);
	PN_ASSERT(s);
	s->state = STREAM_DIALLING;
	s->owner = owner;
	s->port = port;
	s->peer_port = local_port;
	memcpy(s->hit, hit, PN_HIT_LEN);
	if (id)
		memcpy(s->id, id, PN_ID_LEN);
	header_build(s, port, local_port);
	c->waiting++;
	s->waiting = true;
	conn_touch(c);
	return stream_handle(s);
}

void stream_accept(struct session_set *set, stream_id id, uint64_t owner, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s || (s->state != STREAM_ASKED && s->state != STREAM_DEAD))
		return;
	s->owner = owner;
	if (s->state == STREAM_DEAD)
		return;		/* its STREAM_EV_RESET is on the way */
	s->state = STREAM_OPEN;
	s->pre[0] = ANSWER_ACCEPTED;
	s->pre_len = STREAM_ANSWER_LEN;
	stream_ready(s);
	if (s->rx.bytes || s->rx_fin)
		stream_event(s, EV_READABLE);
}

void stream_refuse(struct session_set *set, stream_id id, int err, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s || (s->state != STREAM_ASKED && s->state != STREAM_DEAD))
		return;
	if (s->state == STREAM_ASKED && s->conn) {
		qc_shutdown_stream(s->conn->qc, s->qid, err_to_wire(err));
		conn_touch(s->conn);
	}
	s->state = STREAM_DEAD;
	s->orphan = true;
	link_del(&s->in_events);
	stream_orphan_check(s);
}

/* --- from the connection, inside ngtcp2's callbacks -------------------------------- */

void stream_fail(struct stream *s, int err)
{
	if (s->conn && s->qid >= 0)
		qc_shutdown_stream(s->conn->qc, s->qid, err_to_wire(PN_ERESET));
	else
		detach(s);
	s->state = STREAM_DEAD;
	s->err = err == PN_ECLOSED ? PN_ERESET : err;
	s->events = 0;
	stream_event(s, EV_FAILED);
	stream_orphan_check(s);
}

static void header_bad(struct stream *s)
{
	count(s->set, CNT_STREAM_BAD_HEADER);
	qc_shutdown_stream(s->conn->qc, s->qid, err_to_wire(PN_EBADMSG));
	s->state = STREAM_DEAD;
	s->orphan = true;	/* nobody knows of it; goes when ngtcp2 is done */
}

static void header_take(struct stream *s)
{
	struct pn_rd r;
	uint8_t version;

	pn_rd_init(&r, s->rx_pre, s->rx_pre_len);
	version = pn_rd_u8(&r);
	pn_rd_u8(&r);	/* flags: none are defined, all are ignored */
	s->port = pn_rd_u16(&r);
	s->peer_port = pn_rd_u16(&r);
	if (!pn_rd_finish(&r) || version != HEADER_VERSION) {
		header_bad(s);
		return;
	}
	memcpy(s->id, s->conn->id, PN_ID_LEN);
	memcpy(s->hit, s->conn->hit, PN_HIT_LEN);
	s->state = STREAM_ASKED;
	stream_event(s, EV_INCOMING);
}

static void answer_take(struct stream *s)
{
	if (s->rx_pre[0] != ANSWER_ACCEPTED) {
		stream_fail(s, PN_EPROTO);
		return;
	}
	memcpy(s->id, s->conn->id, PN_ID_LEN);
	s->state = STREAM_OPEN;
	stream_event(s, EV_OPEN);
	if (s->rx_stopped)
		qc_shutdown_stream_read(s->conn->qc, s->qid, WIRE_STOP);
	stream_ready(s);
}

/* The bytes before the data.  Return: how many of @len they were */
static size_t take_pre(struct stream *s, const uint8_t *data, size_t len)
{
	size_t want = s->incoming ? STREAM_HDR_LEN : STREAM_ANSWER_LEN;
	size_t n = pn_min(len, want - s->rx_pre_len);

	if (!n)
		return 0;
	memcpy(s->rx_pre + s->rx_pre_len, data, n);
	s->rx_pre_len = (uint8_t)(s->rx_pre_len + n);
	ngtcp2_conn_extend_max_stream_offset(s->conn->qc, s->qid, n);
	if (s->rx_pre_len < want)
		return n;
	if (s->incoming)
		header_take(s);
	else
		answer_take(s);
	return n;
}

int stream_on_data(struct stream *s, const uint8_t *data, size_t len, bool fin)
{
	size_t n = s->state == STREAM_DEAD ? len : take_pre(s, data, len);

	if (s->state == STREAM_DEAD)
		return 0;
	if (fin && (s->state == STREAM_HEADER || s->state == STREAM_DIALLING)) {
		if (s->incoming)
			header_bad(s);
		else
			stream_fail(s, PN_EPROTO);
		return 0;
	}
	if (fin)
		s->rx_fin = true;
	if (s->rx_stopped || s->orphan)
		return 0;
	if (!recvbuf_put(&s->rx, data + n, len - n)) {
		count(s->set, CNT_NO_MEMORY);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	if (s->state == STREAM_OPEN && (len > n || fin))
		stream_event(s, EV_READABLE);
	return 0;
}

void stream_on_acked(struct stream *s, uint64_t upto)
{
	uint64_t before = sendbuf_kept(&s->tx), kept;

	s->no_progress = false;
	if (upto <= s->pre_len)
		return;
	sendbuf_acked(&s->tx, upto - s->pre_len);
	kept = sendbuf_kept(&s->tx);
	s->set->tx_buffered -= before - kept;
	if (s->want_write && kept <= stream_tx_limit(s) / 4 * 3) {
		s->want_write = false;
		stream_event(s, EV_WRITABLE);
	}
}

/* The peer broke it off, for good or because it never wanted it. */
void stream_on_reset(struct stream *s, uint64_t code)
{
	switch (s->state) {
	case STREAM_DIALLING:
		stream_fail(s, err_from_wire(code));
		return;
	case STREAM_HEADER:
		header_bad(s);
		return;
	case STREAM_ASKED:
	case STREAM_OPEN:
		if (s->rx_stopped || s->orphan)
			return;	/* QUIC's answer to our STOP_SENDING */
		qc_shutdown_stream_write(s->conn->qc, s->qid, err_to_wire(PN_ERESET));
		s->state = STREAM_DEAD;
		s->err = err_from_wire(code);
		stream_event(s, EV_RESET);
		return;
	case STREAM_FREE:
	case STREAM_DEAD:
		return;
	}
}

void stream_on_stopped(struct stream *s)
{
	if (s->tx_stopped)
		return;
	s->tx_stopped = true;
	s->want_write = false;
	if (s->state == STREAM_OPEN)
		stream_event(s, EV_STOPPED);
}

/* ngtcp2 forgets the stream: both directions have ended. */
void stream_on_done(struct stream *s)
{
	bool all_sent = s->fin_sent || s->tx_stopped;

	s->qid = -1;	/* so that nobody asks ngtcp2 for it */
	if (s->state == STREAM_OPEN && !all_sent)
		stream_on_stopped(s);
	if (s->state == STREAM_DIALLING) {
		stream_fail(s, PN_EPROTO);
		return;
	}
	detach(s);
	stream_tx_drop(s);
	stream_orphan_check(s);
}

void stream_on_conn_gone(struct stream *s, int err, bool may_redial)
{
	bool asked_unseen = s->state == STREAM_ASKED && (s->events & EV_INCOMING);

	s->qid = -1;
	detach(s);
	if (s->state == STREAM_DIALLING && may_redial && !s->retried && !s->orphan) {
		s->retried = true;
		link_add_tail(&s->set->redial, &s->of_conn);
		return;
	}
	if (s->state == STREAM_HEADER || asked_unseen || s->orphan) {
		stream_free(s);
	} else if (s->state == STREAM_DIALLING) {
		stream_fail(s, err);
	} else if (s->state != STREAM_DEAD) {
		s->state = STREAM_DEAD;
		s->err = err == PN_ECLOSED ? PN_ERESET : err;
		stream_tx_drop(s);
		stream_event(s, EV_RESET);
	}
}
