/* SPDX-License-Identifier: ISC */
/* One QUIC connection: its life.
 *
 * Theory of operation: ngtcp2 sees one constant, made-up path; where packets
 * really go is decided here, packet by packet: to the identity (a net_peer
 * handle), or, until the peer has told us its signed address, to where its last
 * authentic packet came from.  "Authentic" is counted by protect.c.
 *
 * ngtcp2 must not be entered from its own callbacks, and a connection must not
 * go away inside one: callbacks only change buffers, bits and flags.  Whatever
 * ends a connection runs behind ngtcp2_conn_read_pkt(), in write.c behind a
 * failed write, or in a timer.
 *
 * A connection that ends gives up ngtcp2's memory at once.  Its ids stay for
 * CLOSING_NS more, to swallow what is on the way, and to answer now and then
 * with the same CONNECTION_CLOSE if it was we who closed.
 *
 * Death by silence: QUIC's idle timeout is off, because an idle stream lives for
 * ever.  But as long as something of ours is unacknowledged, ngtcp2 probes;
 * when nothing authentic has come for SILENCE_NS, the peer is given up.  Before, after
 * three timeouts in a row (1 + 2 + 4 times the probe timeout), and again after twice as
 * long, the network layer is asked to look for it: both ends may have moved at once. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include <sodium.h>

/* The path that every connection has, as far as ngtcp2 knows. */
static struct sockaddr_in local_addr = { .sin_family = AF_INET, .sin_port = 1 };
static struct sockaddr_in remote_addr = { .sin_family = AF_INET, .sin_port = 2 };
static const ngtcp2_path the_path = {
	{ (ngtcp2_sockaddr *)(void *)&local_addr, sizeof(local_addr) },
	{ (ngtcp2_sockaddr *)(void *)&remote_addr, sizeof(remote_addr) }, NULL };

/* --- making one ---------------------------------------------------------------------- */

static void settings_fill(struct conn *c, ngtcp2_settings *s, ngtcp2_transport_params *p)
{
	const struct session_config *cfg = &c->set->cfg;
	uint64_t streams = pn_min(stream_theirs_max(c->set), PEER_STREAMS);

	ngtcp2_settings_default(s);
	s->initial_ts = c->set->now.ns;
	s->initial_rtt = PN_MS(150);
	s->handshake_timeout = HANDSHAKE_NS;
	s->cc_algo = cfg->cc == SESSION_CC_BBR ? QC_CC_BBR : NGTCP2_CC_ALGO_CUBIC;
	s->max_tx_udp_payload_size = cfg->mtu_max;
	s->no_tx_udp_payload_size_shaping = 1;
	s->no_pmtud = 1;
	s->max_stream_window = cfg->window_max;
	s->rand_ctx.native_handle = c->set;
	ngtcp2_transport_params_default(p);
	p->initial_max_stream_data_bidi_local = STREAM_WINDOW;
	p->initial_max_stream_data_bidi_remote = STREAM_WINDOW;
	p->initial_max_data = CONN_WINDOW;
	p->initial_max_streams_bidi = streams;
	p->initial_max_streams_uni = 1;
	p->initial_max_stream_data_uni = GUARD_WINDOW;
	p->max_udp_payload_size = 65527;
	p->max_datagram_frame_size = 65535;
	p->active_connection_id_limit = 2;
	p->max_idle_timeout = 0;
	p->disable_active_migration = 1;
}

static struct conn *slot_take(struct session_set *set)
{
	for (int turn = 0; turn < 2; turn++) {
		for (uint32_t i = 0; i < set->cfg.session_max; i++) {
			uint32_t at = (set->conn_free_hint + i) % set->cfg.session_max;
			struct conn *c = &set->conns[at];

			if (c->state == CONN_FREE) {
				set->conn_free_hint = at + 1;
				return c;
			}
		}
		if (!conn_evict(set))
			break;
	}
	return NULL;
}

static struct conn *conn_new(struct session_set *set, bool server)
{
	struct conn *c = slot_take(set);
	uint32_t index;

	if (!c)
		return NULL;
	index = (uint32_t)(c - set->conns);
	memset(c, 0, sizeof(*c));
	c->set = set;
	c->index = index;
	c->server = server;
	c->state = CONN_HANDSHAKE;
	pn_heap_entry_init(&c->timer);
	link_init(&c->dirty);
	link_init(&c->streams);
	link_init(&c->ready);
	c->born = c->active = set->now;
	c->addr_until = PN_TIME_NEVER;
	c->silent = c->hurry_at = c->later = c->gone_at = c->probe_at = c->hello_at = PN_TIME_NEVER;
	c->guard_qid = -1;
	c->notice_tokens = NOTICE_RATE;
	c->notice_at = set->now;
	c->mtu = INITIAL_PAYLOAD;
	set_random(set, (uint8_t *)&c->flow, sizeof(c->flow));
	set->conn_count++;
	if (server)
		set->half_open++;
	return c;
}

static bool start_tls(struct conn *c)
{
	return c->set->cfg.null_cipher ? tls_null_start(c) : tls_start(c);
}

struct conn *conn_dial(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN])
{
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_callbacks cb;
	ngtcp2_cid dcid, scid;
	struct conn *c = conn_new(set, false);

	if (!c)
		return NULL;
	memcpy(c->hit, hit, PN_HIT_LEN);
	c->hit_known = true;
	if (id) {
		memcpy(c->id, id, PN_ID_LEN);
		c->id_known = true;
	}
	c->peer = net_peer_open(set->net, hit, set->now);
	settings_fill(c, &settings, &params);
	conn_callbacks(&cb);
	dcid.datalen = 16;
	set_random(set, dcid.data, dcid.datalen);
	if (!c->peer || !conn_scid_new(c, &scid))
		goto fail;
	memcpy(c->first_scid, scid.data, SCID_LEN);
	c->mtu = net_peer_mtu(set->net, c->peer);
	if (ngtcp2_conn_client_new(&c->qc, &dcid, &scid, &the_path, NGTCP2_PROTO_VER_V1, &cb,
				   &settings, &params, NULL, c) || !start_tls(c))
		goto fail;
	pair_add(c);
	conn_touch(c);
	return c;
fail:
	count(set, CNT_NO_MEMORY);
	conn_free(c);
	return NULL;
}

struct conn *conn_answer(struct session_set *set, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid,
			 const uint8_t *token, size_t token_len, const struct pn_pkt *pkt)
{
	ngtcp2_transport_params params;
	ngtcp2_settings settings;
	ngtcp2_callbacks cb;
	ngtcp2_cid scid;
	struct conn *c = conn_new(set, true);

	if (!c)
		return NULL;
	c->addr = pkt->src;
	c->addr_tag = pkt->tag;
	c->addr_known = c->use_addr = true;
	settings_fill(c, &settings, &params);
	conn_callbacks(&cb);
	if (!conn_scid_new(c, &scid))
		goto fail;
	memcpy(c->first_scid, scid.data, SCID_LEN);
	params.stateless_reset_token_present = 1;
	reset_token(set, scid.data, SCID_LEN, params.stateless_reset_token);
	qc_set_original_dcid(&params, odcid ? odcid : &hd->dcid);
	if (odcid) {
		params.retry_scid = hd->dcid;
		params.retry_scid_present = 1;
		qc_set_token(&settings, token, token_len);
	}
	if (ngtcp2_conn_server_new(&c->qc, &hd->scid, &scid, &the_path, NGTCP2_PROTO_VER_V1, &cb,
				   &settings, &params, NULL, c) || !start_tls(c))
		goto fail;
	return c;
fail:
	count(set, CNT_NO_MEMORY);
	conn_free(c);
	return NULL;
}

int conn_check_peer(struct conn *c, const uint8_t id[PN_ID_LEN])
{
	uint8_t hit[PN_HIT_LEN];

	net_identity_hit(id, hit);
	if ((c->hit_known && memcmp(hit, c->hit, PN_HIT_LEN)) ||
	    (c->id_known && memcmp(id, c->id, PN_ID_LEN))) {
		c->tls_err = PN_EAUTH;
		count(c->set, CNT_AUTH_FAILED);
		return PN_EAUTH;
	}
	memcpy(c->id, id, PN_ID_LEN);
	memcpy(c->hit, hit, PN_HIT_LEN);
	c->id_known = c->hit_known = true;
	return 0;
}

/* --- packets ------------------------------------------------------------------------------ */

void conn_send(struct conn *c, struct pn_pkt *pkt, uint8_t ecn)
{
	struct session_set *set = c->set;

	pkt->flow = c->flow;
	pkt->ecn = ecn;
	c->tx_bytes += pkt->len;
	count(set, CNT_TX_PACKETS);
	if (c->use_addr && pn_time_due(c->addr_until, set->now)) {
		c->use_addr = false;	/* it may have moved: have it looked up again */
		c->addr_until = PN_TIME_NEVER;
	}
	if (c->use_addr || !c->peer)
		net_send_addr(set->net, c->addr, c->addr_tag, pkt, set->now);
	else
		net_send_peer(set->net, c->peer, pkt, set->now);
}

static void conn_up(struct conn *c)
{
	struct session_set *set = c->set;

	c->state = CONN_UP;
	c->active = set->now;
	dgram_on_up(c);
	if (c->server) {
		set->half_open--;
		c->addr_tag = net_hit_tag(c->hit);
		c->peer = net_peer_open(set->net, c->hit, set->now);
	}
	if (c->peer)
		c->mtu = net_peer_mtu(set->net, c->peer);
	count(set, c->server ? CNT_UP_IN : CNT_UP_OUT);
	c->announced = event_put(set, SESSION_EV_UP, c, 0, 0, 0, NULL, 0);
	pair_on_up(c);
	hello_on_up(c);
}

void conn_check_up(struct conn *c)
{
	if (c->state == CONN_HANDSHAKE && ngtcp2_conn_get_handshake_completed(c->qc))
		conn_up(c);
}

static void peer_closed(struct conn *c)
{
	int app;
	uint64_t code = qc_remote_close(c->qc, &app);

	count(c->set, CNT_CLOSED_PEER);
	conn_close(c, code, c->tls_err ? c->tls_err : err_from_close(code, app), false);
}

void conn_read(struct conn *c, const struct pn_pkt *pkt)
{
	uint64_t authentic = c->authentic;
	ngtcp2_pkt_info pi = { .ecn = pkt->ecn };
	int rv;

	c->rx_bytes += pkt->len;
	rv = ngtcp2_conn_read_pkt(c->qc, &the_path, &pi, pkt->data, pkt->len, conn_clock(c));
	if (c->authentic != authentic) {
		c->addr = pkt->src;
		c->addr_tag = c->state == CONN_UP || !c->server ? net_hit_tag(c->hit) : pkt->tag;
		c->addr_known = true;
		c->silent = c->hurry_at = PN_TIME_NEVER;
	}
	switch (rv) {
	case 0:
		conn_check_up(c);
		conn_touch(c);
		return;
	case NGTCP2_ERR_DRAINING:
		peer_closed(c);
		return;
	case NGTCP2_ERR_DROP_CONN:
	case NGTCP2_ERR_RETRY:	/* the gate asks for Retry before, not ngtcp2 */
		if (c->server && c->state == CONN_HANDSHAKE) {
			conn_free(c);
			return;
		}
		/* fall through */
	default:
		conn_fail(c, rv);
	}
}

/* --- the end --------------------------------------------------------------------------------- */

static void say_close(struct conn *c, const qc_close_error *e)
{
	struct pn_pkt *pkt = pn_pkt_get(c->set->pool);
	ngtcp2_pkt_info pi = { 0 };
	ngtcp2_ssize n;

	if (!pkt)
		return;
	n = ngtcp2_conn_write_connection_close(c->qc, NULL, &pi, pkt->data,
					       pn_min(INITIAL_PAYLOAD, pn_pkt_room(pkt)), e,
					       conn_clock(c));
	if (n <= 0) {
		pn_pkt_put(c->set->pool, pkt);
		return;
	}
	pn_pkt_append(pkt, (uint32_t)n);
	c->close_pkt = malloc((size_t)n);
	if (c->close_pkt) {
		memcpy(c->close_pkt, pkt->data, (size_t)n);
		c->close_len = (uint32_t)n;
	}
	conn_send(c, pkt, pi.ecn);
}

/* The connection is no more, for ngtcp2 and for our streams. */
static void gone(struct conn *c, int err, bool redial)
{
	struct session_set *set = c->set;
	struct link mine;

	if (c->state == CONN_HANDSHAKE && c->server)
		set->half_open--;
	if (c->announced)
		event_put(set, SESSION_EV_DOWN, c, err, 0, 0, NULL, 0);
	pair_del(c);
	c->state = CONN_CLOSING;
	c->gone_at = pn_time_add(set->now, CLOSING_NS);
	ngtcp2_conn_del(c->qc);
	c->qc = NULL;
	tls_stop(c);
	tls_null_stop(c);
	dgram_fini(c);
	while (c->token_count)
		conn_token_del(c, c->token[0]);
	/* streams last: one may be dialled anew, which takes another connection */
	link_init(&mine);
	while (link_in(&c->streams)) {
		struct link *l = c->streams.next;

		link_del(l);
		link_add_tail(&mine, l);
	}
	while (link_in(&mine))
		stream_on_conn_gone(pn_container_of(mine.next, struct stream, of_conn),
				    err, redial);
	PN_ASSERT(!c->stream_count);
	conn_arm(c);
}

void conn_close(struct conn *c, uint64_t code, int err, bool say)
{
	bool redial = err == PN_ERESET || code == WIRE_IDLE || code == WIRE_REDUNDANT ||
		      code == WIRE_SHUTDOWN;

	PN_ASSERT(c->qc);
	if (say) {
		qc_close_error e;

		qc_close_app(&e, code);
		say_close(c, &e);
	}
	gone(c, err, redial && c->state == CONN_UP);
}

void conn_fail(struct conn *c, int liberr)
{
	qc_close_error e;
	int err = c->tls_err;

	PN_ASSERT(c->qc);
	if (liberr == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
		count(c->set, CNT_HANDSHAKE_TIMEOUT);
		err = c->unreach ? PN_EUNREACH : PN_ETIMEDOUT;
	} else {
		count(c->set, CNT_CLOSED_ERROR);
		if (!err)
			err = liberr == NGTCP2_ERR_NOMEM ? PN_ENOMEM : PN_EPROTO;
		if (liberr == NGTCP2_ERR_CRYPTO)
			qc_close_alert(&e, ngtcp2_conn_get_tls_alert(c->qc));
		else
			qc_close_lib(&e, liberr);
		say_close(c, &e);
	}
	gone(c, err, false);
}

void conn_free(struct conn *c)
{
	struct session_set *set = c->set;

	PN_ASSERT(c->state != CONN_FREE);
	if (c->state != CONN_CLOSING) {
		if (c->qc) {
			gone(c, PN_ECLOSED, false);
		} else {	/* was never more than begun */
			if (c->server)
				set->half_open--;
			tls_stop(c);
			tls_null_stop(c);
		}
	}
	pn_heap_remove(&set->heap, &c->timer);
	link_del(&c->dirty);
	while (c->scid_count)
		conn_scid_del(c, c->scid[0]);
	if (c->has_odcid)
		map_del(&set->by_odcid, c->odcid_key);
	if (c->peer)
		net_peer_close(set->net, c->peer);
	free(c->close_pkt);
	c->close_pkt = NULL;
	c->peer = 0;
	c->state = CONN_FREE;
	set->conn_count--;
}

/* The packet is for a connection that has ended.  The 1st, 2nd, 4th, 8th... is
 * answered, in case our CONNECTION_CLOSE was lost. */
void conn_stray(struct conn *c, const struct pn_pkt *in)
{
	struct pn_pkt *pkt;

	(void)in;
	count(c->set, CNT_RX_CLOSED);
	c->strays++;
	if (!c->close_pkt || (c->strays & (c->strays - 1)))
		return;
	pkt = pn_pkt_get(c->set->pool);
	if (!pkt)
		return;
	memcpy(pn_pkt_append(pkt, c->close_len), c->close_pkt, c->close_len);
	conn_send(c, pkt, 0);
}

/* The table is full: end the session that has been without streams for longest.
 * Return: false if each has streams */
bool conn_evict(struct session_set *set)
{
	struct conn *best = NULL;

	for (uint32_t i = 0; i < set->cfg.session_max; i++) {
		struct conn *c = &set->conns[i];

		if (c->state == CONN_CLOSING) {
			conn_free(c);
			return true;
		}
		if (c->state == CONN_UP && !c->stream_count && !c->dg_head &&
		    (!best || pn_time_before(c->active, best->active)))
			best = c;
	}
	if (!best)
		return false;
	conn_close(best, WIRE_IDLE, PN_ECLOSED, true);
	conn_free(best);
	return true;
}

struct pn_time conn_idle_at(const struct conn *c)
{
	uint64_t ns = c->set->cfg.idle_ns;

	if (c->state != CONN_UP || c->stream_count || c->dg_head)
		return PN_TIME_NEVER;
	if (c->redundant)
		return pn_time_add(c->active, REDUNDANT_NS);
	/* the side that was dialled waits a little longer, so that rarely
	 * both close at once, or one closes what the other begins to use */
	return pn_time_add(c->active, c->server ? ns + ns / 8 : ns);
}

/* Silence: do not wait for the next probe. */
static void hurry(struct conn *c)
{
	uint64_t at = ngtcp2_conn_get_expiry(c->qc), clock = conn_clock(c);

	c->hurry_at = PN_TIME_NEVER;	/* the flush that follows sets it anew */
	if (at != UINT64_MAX && at > clock)
		c->ahead_ns += at - clock;
}

/* Timeouts in a row: perhaps the peer is not where we think. */
static void conn_look_again(struct conn *c)
{
	uint64_t wait = 7 * ngtcp2_conn_get_pto(c->qc) << c->looks;

	if (pn_time_is_never(c->silent) || c->state != CONN_UP || !c->peer) {
		c->looks = 0;
	} else if (c->looks < LOOKS_MAX && pn_time_since(c->set->now, c->silent) >= wait) {
		c->looks++;
		net_peer_silent(c->set->net, c->peer, c->set->now);
	}
}

void conn_expire(struct conn *c)
{
	struct session_set *set = c->set;
	struct pn_time now = set->now;
	int rv;

	if (c->state == CONN_CLOSING) {
		if (pn_time_due(c->gone_at, now))
			conn_free(c);
		return;
	}
	if (pn_time_due(c->later, now))
		c->later = PN_TIME_NEVER;
	if (pn_time_due(c->hello_at, now))
		hello_again(c);
	dgram_expire(c);
	if (set->late && !pn_time_is_never(c->silent))
		c->silent = now;
	if (pn_time_due(pn_time_add(c->silent, SILENCE_NS), now)) {
		count(set, CNT_CLOSED_SILENT);
		conn_close(c, err_to_wire(PN_ETIMEDOUT), PN_ETIMEDOUT, true);
		return;
	}
	conn_look_again(c);
	if (pn_time_due(conn_idle_at(c), now)) {
		count(set, c->redundant ? CNT_CLOSED_REDUNDANT : CNT_CLOSED_IDLE);
		conn_close(c, c->redundant ? WIRE_REDUNDANT : WIRE_IDLE, PN_ECLOSED, true);
		return;
	}
	if (pn_time_due(c->hurry_at, now))
		hurry(c);
	if (ngtcp2_conn_get_expiry(c->qc) <= conn_clock(c)) {
		rv = ngtcp2_conn_handle_expiry(c->qc, conn_clock(c));
		if (rv)
			conn_fail(c, rv);
	}
}
