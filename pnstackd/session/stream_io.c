/* SPDX-License-Identifier: ISC */
/* The stream calls of the facade: bytes in, bytes out, ends.
 *
 * How much a stream may buffer follows the congestion window: twice that keeps
 * a sender busy for a round trip, so a fast path gets much memory and a slow one
 * little.  When all streams together hold too much, each may hold a little. */
#include "pnstackd/session/session_internal.h"

uint64_t stream_tx_limit(const struct stream *s)
{
	uint64_t limit = SENDBUF_MIN;

	if (s->set->tx_buffered > SENDBUF_TOTAL)
		return SENDBUF_LOW;
	if (s->conn && s->conn->cwnd > limit / 2)
		limit = pn_min(2 * s->conn->cwnd, SENDBUF_MAX);
	return limit;
}

static int can_write(const struct stream *s)
{
	if (!s)
		return PN_ESTALE;
	if (s->state == STREAM_DEAD)
		return PN_ERESET;
	if (s->fin_wanted || s->tx_stopped)
		return PN_ECLOSED;
	return 0;
}

/* Room for the owner; none: it will hear when there is */
static uint8_t *space(struct stream *s, size_t *len)
{
	uint64_t limit = stream_tx_limit(s), kept = sendbuf_kept(&s->tx);
	uint8_t *p = kept < limit ? sendbuf_space(&s->tx, len) : NULL;

	if (p) {
		*len = pn_min(*len, limit - kept);
		return p;
	}
	s->want_write = true;
	if (s->conn && pn_time_is_never(s->conn->probe_at))
		s->conn->probe_at = pn_time_add(s->set->now, PROBE_NS);
	stream_ready(s);
	return NULL;
}

static void commit(struct stream *s, size_t len)
{
	sendbuf_commit(&s->tx, len);
	s->set->tx_buffered += len;
	s->tx_bytes += len;
}

long stream_write(struct session_set *set, stream_id id, const uint8_t *data, size_t len,
		  struct pn_time now)
{
	struct stream *s = stream_at(set, id);
	size_t done = 0;
	int err = can_write(s);

	set->now = now;
	if (err)
		return err;
	while (done < len) {
		size_t n;
		uint8_t *p = space(s, &n);

		if (!p)
			break;
		n = pn_min(n, len - done);
		memcpy(p, data + done, n);
		commit(s, n);
		done += n;
	}
	stream_ready(s);
	return (long)done;
}

uint8_t *stream_write_space(struct session_set *set, stream_id id, size_t *len)
{
	struct stream *s = stream_at(set, id);

	*len = 0;
	return can_write(s) ? NULL : space(s, len);
}

void stream_write_commit(struct session_set *set, stream_id id, size_t len, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (can_write(s) || !len)
		return;
	commit(s, len);
	stream_ready(s);
}

void stream_shutdown(struct session_set *set, stream_id id, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (can_write(s))
		return;
	s->fin_wanted = true;
	s->want_write = false;
	stream_ready(s);
}

const uint8_t *stream_peek(struct session_set *set, stream_id id, size_t *len, bool *fin)
{
	struct stream *s = stream_at(set, id);
	const uint8_t *p;

	*len = 0;
	*fin = false;
	if (!s)
		return NULL;
	p = recvbuf_peek(&s->rx, len);
	*fin = s->rx_fin && *len == s->rx.bytes;
	return p;
}

void stream_consume(struct session_set *set, stream_id id, size_t len, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s || !len)
		return;
	recvbuf_consume(&s->rx, len);
	s->rx_bytes += len;
	if (!s->conn || s->qid < 0)
		return;
	ngtcp2_conn_extend_max_stream_offset(s->conn->qc, s->qid, len);
	conn_touch(s->conn);
}

void stream_stop(struct session_set *set, stream_id id, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s || s->rx_stopped)
		return;
	s->rx_stopped = true;
	recvbuf_fini(&s->rx);
	s->events &= (uint8_t)~EV_READABLE;
	if (!s->events)
		link_del(&s->in_events);
	/* before the answer it must wait: it would stop the answer, too */
	if (s->conn && s->qid >= 0 && !s->rx_fin && s->state == STREAM_OPEN) {
		qc_shutdown_stream_read(s->conn->qc, s->qid, WIRE_STOP);
		conn_touch(s->conn);
	}
}

static void abort_both(struct stream *s)
{
	if (s->conn && s->qid >= 0 && s->state != STREAM_DEAD) {
		qc_shutdown_stream(s->conn->qc, s->qid, err_to_wire(PN_ERESET));
		conn_touch(s->conn);
	}
}

void stream_reset(struct session_set *set, stream_id id, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s)
		return;
	abort_both(s);
	stream_unwait(s);
	if (!s->conn)
		link_del(&s->of_conn);	/* not to be dialled again */
	s->state = STREAM_DEAD;
	s->err = PN_ERESET;
	s->events = 0;
	link_del(&s->in_events);
	recvbuf_fini(&s->rx);
}

void stream_close(struct session_set *set, stream_id id, struct pn_time now)
{
	struct stream *s = stream_at(set, id);

	set->now = now;
	if (!s)
		return;
	if (s->state == STREAM_DIALLING || s->state == STREAM_ASKED) {
		stream_reset(set, id, now);
	} else if (s->state == STREAM_OPEN && s->conn) {
		stream_stop(set, id, now);
		s->fin_wanted = true;
		s->want_write = false;
		stream_ready(s);
	}
	recvbuf_fini(&s->rx);
	s->events = 0;
	link_del(&s->in_events);
	s->orphan = true;
	stream_orphan_check(s);
}

bool stream_info(const struct session_set *set, stream_id id, struct stream_info *out)
{
	const struct stream *s = stream_at(set, id);
	struct qc_stat st;

	if (!s)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->id, s->id, PN_ID_LEN);
	memcpy(out->hit, s->hit, PN_HIT_LEN);
	out->port = s->port;
	out->peer_port = s->peer_port;
	out->incoming = s->incoming;
	out->tx_bytes = s->tx_bytes;
	out->rx_bytes = s->rx_bytes;
	if (s->conn && s->conn->qc) {
		qc_get_stat(s->conn->qc, &st);
		out->rtt_ns = st.rtt_ns;
		out->cwnd = st.cwnd;
	}
	return true;
}
