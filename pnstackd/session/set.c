/* SPDX-License-Identifier: ISC */
/* The set: all sessions of a node.
 *
 * Theory of operation: everything is in two tables made at the start,
 * connections and streams; a handle is index and generation.  Whoever changes a
 * connection marks it dirty; session_flush() visits the dirty ones, lets them
 * write and sets their timers anew.  One heap holds one entry per connection,
 * the earliest of all its timers; when it is due the connection becomes dirty,
 * too.  So in a batch each connection writes once, after all that was read, and
 * acknowledgements of many packets share one. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include <sodium.h>

void session_config_default(struct session_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->session_max = 1024;
	cfg->stream_max = 32768;
	cfg->window_max = 4U << 20;
	cfg->idle_ns = PN_S(60);
	cfg->cc = SESSION_CC_CUBIC;
	cfg->mtu_max = 1452;
}

void set_random(struct session_set *set, uint8_t *dst, size_t len)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	/* one key stream per call: the call's number is the nonce */
	memset(nonce, 0, sizeof(nonce));
	memcpy(nonce, &set->rng_count, sizeof(set->rng_count));
	set->rng_count++;
	crypto_stream_chacha20(dst, len, nonce, set->rng_key);
}

bool rate_take(uint32_t *tokens, struct pn_time *at, uint32_t rate, struct pn_time now)
{
	uint64_t more = pn_time_since(now, *at) / (PN_S(1) / rate);

	if (more) {
		*tokens = (uint32_t)pn_min(rate, *tokens + pn_min(more, rate));
		*at = now;
	}
	if (!*tokens)
		return false;
	--*tokens;
	return true;
}

static void keys_init(struct session_set *set)
{
	static const char label[] = "peernet session reset";
	uint8_t key[32];

	/* from the identity: a restarted node must make the same tokens */
	protect_mac(set->reset_key, set->cfg.seed, PN_ID_LEN, (const uint8_t *)label,
		    sizeof(label));
	memcpy(set->rng_key, set->cfg.random, sizeof(set->rng_key));
	set_random(set, key, sizeof(key));
	set_random(set, set->retry_key, sizeof(set->retry_key));
	set_random(set, (uint8_t *)&set->nonce, sizeof(set->nonce));
	memcpy(set->rng_key, key, sizeof(key));	/* forget what the caller knows */
	sodium_memzero(key, sizeof(key));
	sodium_memzero(set->cfg.random, sizeof(set->cfg.random));
}

static bool tables_init(struct session_set *set)
{
	uint32_t n = set->cfg.session_max, m = set->cfg.stream_max;
	uint64_t secret[4];

	set_random(set, (uint8_t *)secret, sizeof(secret));
	set->conns = calloc(n, sizeof(*set->conns));
	set->heap_slots = calloc(n, sizeof(struct pn_heap_entry *));
	set->streams = calloc(m, sizeof(*set->streams));
	set->stream_free = calloc(m, sizeof(*set->stream_free));
	if (!set->conns || !set->heap_slots || !set->streams || !set->stream_free ||
	    !map_init(&set->by_scid, n * SCIDS_MAX, secret[0]) ||
	    !map_init(&set->by_odcid, n, secret[1]) ||
	    !map_init(&set->by_token, n * TOKENS_MAX, secret[2]) ||
	    !map_init(&set->by_hit, n, secret[3]))
		return false;
	pn_heap_init(&set->heap, set->heap_slots, n);
	/* The lowest index on top.  Entries themselves stay untouched before they are
	 * used: memory fresh from the kernel costs nothing until then. */
	for (uint32_t i = 0; i < m; i++)
		set->stream_free[i] = m - 1 - i;
	set->stream_free_count = m;
	return true;
}

struct session_set *session_set_new(const struct session_config *cfg, struct net *net,
				    struct pn_time now)
{
	struct session_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	PN_ASSERT(cfg->pool);
	PN_ASSERT(cfg->session_max);
	PN_ASSERT(cfg->stream_max);
	set->cfg = *cfg;
	if (set->cfg.mtu_max < INITIAL_PAYLOAD)
		set->cfg.mtu_max = INITIAL_PAYLOAD;
	if (set->cfg.mtu_max > PAYLOAD_MAX)
		set->cfg.mtu_max = PAYLOAD_MAX;
	if (set->cfg.window_max < STREAM_WINDOW)
		set->cfg.window_max = STREAM_WINDOW;
	set->net = net;
	set->pool = cfg->pool;
	set->now = now;
	link_init(&set->dirty);
	link_init(&set->stream_events);
	link_init(&set->redial);
	net_identity_derive(set->cfg.seed, set->id);
	net_identity_hit(set->id, set->hit);
	keys_init(set);
	set->gate_at = set->reset_at = now;
	set->gate_tokens = DIAL_IN_RATE;
	set->reset_tokens = RESET_RATE;
	set->initial_suite = cfg->null_cipher ? &suite_null : &suite_aes128;
	if (tables_init(set) && (cfg->null_cipher ||
				 (set->tls = tls_ctx_new(set->cfg.seed, set->id)) != NULL)) {
		sodium_memzero(set->cfg.seed, sizeof(set->cfg.seed));
		return set;
	}
	session_set_free(set);
	return NULL;
}

void session_set_free(struct session_set *set)
{
	if (!set)
		return;
	for (uint32_t i = 0; set->conns && i < set->cfg.session_max; i++) {
		struct conn *c = &set->conns[i];

		if (c->state == CONN_HANDSHAKE || c->state == CONN_UP)
			conn_close(c, WIRE_SHUTDOWN, PN_ECLOSED, true);
		if (c->state != CONN_FREE)
			conn_free(c);
	}
	for (uint32_t i = 0; set->streams && i < set->cfg.stream_max; i++)
		if (set->streams[i].state != STREAM_FREE)
			stream_free(&set->streams[i]);
	events_fini(set);
	tls_ctx_free(set->tls);
	map_fini(&set->by_scid);
	map_fini(&set->by_odcid);
	map_fini(&set->by_token);
	map_fini(&set->by_hit);
	free(set->conns);
	free(set->heap_slots);
	free(set->streams);
	free(set->stream_free);
	sodium_memzero(set, sizeof(*set));
	free(set);
}

/* --- timers ------------------------------------------------------------------- */

void conn_touch(struct conn *c)
{
	if (c->state != CONN_FREE && !link_in(&c->dirty))
		link_add_tail(&c->set->dirty, &c->dirty);
}

/* ngtcp2's deadline, by the host's clock */
static struct pn_time conn_qc_deadline(const struct conn *c)
{
	uint64_t at = ngtcp2_conn_get_expiry(c->qc);

	if (at == UINT64_MAX)
		return PN_TIME_NEVER;
	return (struct pn_time){ at > c->ahead_ns ? at - c->ahead_ns : 0 };
}

void conn_arm(struct conn *c)
{
	struct pn_time t;

	if (c->state == CONN_FREE) {
		return;
	} else if (c->state == CONN_CLOSING) {
		t = c->gone_at;
	} else {
		t = conn_qc_deadline(c);
		t = pn_time_min(t, c->hurry_at);
		t = pn_time_min(t, conn_idle_at(c));
		t = pn_time_min(t, pn_time_add(c->silent, SILENCE_NS));
		t = pn_time_min(t, dgram_deadline(c));
		t = pn_time_min(t, c->probe_at);
		t = pn_time_min(t, c->hello_at);
		t = pn_time_min(t, c->later);
	}
	if (pn_heap_has(&c->timer)) {
		pn_heap_update(&c->set->heap, &c->timer, t);
	} else {
		c->timer.at = t;
		PN_ASSERT(pn_heap_push(&c->set->heap, &c->timer));
	}
}

struct pn_time session_deadline(const struct session_set *set)
{
	if (link_in(&set->dirty) || link_in(&set->redial))
		return PN_TIME_ZERO;
	return pn_heap_next_deadline(&set->heap);
}

void session_expire(struct session_set *set, struct pn_time now)
{
	struct pn_heap_entry *e;

	set->now = now;
	e = pn_heap_top(&set->heap);
	/* A process that was stopped for a minute has not heard its peers for a
	 * minute, which is not their fault. */
	set->late = e && pn_time_since(now, e->at) > LATE_NS;
	while ((e = pn_heap_top(&set->heap)) != NULL && pn_time_due(e->at, now)) {
		struct conn *c = pn_container_of(e, struct conn, timer);

		pn_heap_remove(&set->heap, e);
		conn_expire(c);
		conn_touch(c);	/* session_flush() sets the next time */
	}
}

void session_flush(struct session_set *set, struct pn_time now)
{
	struct link round;

	set->now = now;
	stream_redial(set);
	/* Visit those that are dirty now: one that reaches its burst limit
	 * marks itself again and comes back in the next batch. */
	if (!link_in(&set->dirty))
		return;
	round = set->dirty;
	round.next->prev = &round;
	round.prev->next = &round;
	link_init(&set->dirty);
	while (link_in(&round)) {
		struct conn *c = pn_container_of(round.next, struct conn, dirty);

		link_del(&c->dirty);
		conn_flush(c);
		conn_arm(c);
	}
}

/* --- looking in ------------------------------------------------------------------- */

static const char *const counter_names[] = {
	[CNT_RX_PACKETS] = "rx_packets",
	[CNT_RX_SHORT] = "rx_drop_short",
	[CNT_RX_VERSION] = "rx_drop_version",
	[CNT_RX_NOT_INITIAL] = "rx_drop_not_initial",
	[CNT_RX_UNKNOWN] = "rx_drop_unknown_connection",
	[CNT_RX_CLOSED] = "rx_drop_closed_connection",
	[CNT_RX_RESET] = "rx_stateless_reset",
	[CNT_TX_RESET] = "tx_stateless_reset",
	[CNT_RESET_LIMITED] = "tx_drop_reset_rate",
	[CNT_TX_RETRY] = "tx_retry",
	[CNT_RETRY_BAD] = "rx_drop_retry_token",
	[CNT_GATE_RATE] = "rx_drop_handshake_rate",
	[CNT_GATE_HALF_OPEN] = "rx_drop_half_open",
	[CNT_GATE_TABLE] = "rx_drop_session_table",
	[CNT_TX_PACKETS] = "tx_packets",
	[CNT_TX_NO_BUFFER] = "tx_wait_no_buffer",
	[CNT_UP_OUT] = "sessions_dialled",
	[CNT_UP_IN] = "sessions_answered",
	[CNT_AUTH_FAILED] = "peer_wrong_identity",
	[CNT_HANDSHAKE_TIMEOUT] = "handshake_timeout",
	[CNT_CLOSED_IDLE] = "closed_idle",
	[CNT_CLOSED_SILENT] = "closed_silent",
	[CNT_CLOSED_REDUNDANT] = "closed_redundant",
	[CNT_CLOSED_PEER] = "closed_by_peer",
	[CNT_CLOSED_ERROR] = "closed_error",
	[CNT_RESTARTED] = "peer_restarted",
	[CNT_STREAM_TABLE_FULL] = "stream_table_full",
	[CNT_STREAM_BAD_HEADER] = "stream_bad_header",
	[CNT_DGRAM_TX] = "datagram_tx",
	[CNT_DGRAM_RX] = "datagram_rx",
	[CNT_DGRAM_QUEUE_FULL] = "datagram_drop_queue",
	[CNT_DGRAM_LATE] = "datagram_drop_late",
	[CNT_DGRAM_TOO_BIG] = "datagram_drop_size",
	[CNT_DGRAM_BAD] = "datagram_drop_malformed",
	[CNT_DGRAM_REASM_FULL] = "datagram_drop_reassembly_full",
	[CNT_DGRAM_REASM_TIMEOUT] = "datagram_drop_reassembly_timeout",
	[CNT_DGRAM_IN_FULL] = "datagram_drop_not_taken",
	[CNT_DGRAM_LOST] = "datagram_lost",
	[CNT_NOTICE_LIMITED] = "unreachable_notice_limited",
	[CNT_HELLO_BAD] = "hello_malformed",
	[CNT_NO_MEMORY] = "no_memory",
};
static_assert(PN_ARRAY_LEN(counter_names) == CNT_COUNT, "a name for each counter");

bool session_counter_at(const struct session_set *set, size_t index, struct net_counter *out)
{
	if (index >= CNT_COUNT)
		return false;
	out->name = counter_names[index];
	out->value = set->counters[index];
	return true;
}

static void info_fill(const struct conn *c, struct session_info *out, struct pn_time now)
{
	static const char *const names[] = {
		[CONN_FREE] = "free", [CONN_HANDSHAKE] = "handshake",
		[CONN_UP] = "up", [CONN_CLOSING] = "closing" };

	memset(out, 0, sizeof(*out));
	memcpy(out->id, c->id, PN_ID_LEN);
	memcpy(out->hit, c->hit, PN_HIT_LEN);
	out->state = names[c->state];
	out->incoming = c->server;
	out->age_ns = pn_time_since(now, c->born);
	out->idle_ns = c->stream_count ? 0 : pn_time_since(now, c->active);
	out->streams = c->stream_count;
	out->mtu = c->mtu;
	out->tx_bytes = c->tx_bytes;
	out->rx_bytes = c->rx_bytes;
	out->cipher = suite_cipher_name(c->suite);
	if (c->qc) {
		struct qc_stat st;

		qc_get_stat(c->qc, &st);
		out->rtt_ns = st.rtt_ns;
		out->cwnd = st.cwnd;
		out->lost_packets = st.lost_packets;
	}
}

bool session_info_at(const struct session_set *set, size_t index, struct session_info *out,
		     struct pn_time now)
{
	for (uint32_t i = 0; i < set->cfg.session_max; i++) {
		if (set->conns[i].state == CONN_FREE)
			continue;
		if (index-- == 0) {
			info_fill(&set->conns[i], out, now);
			return true;
		}
	}
	return false;
}
