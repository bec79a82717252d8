/* SPDX-License-Identifier: ISC */
/* Packets from the network layer to connections, and the front gate.
 *
 * Theory of operation: a packet is found by its destination connection id: the
 * ids that we gave out have SCID_LEN bytes and are looked up as they are; a
 * client's first packets carry an id of the client's choice, looked up by a
 * keyed hash.  A packet for nobody is an Initial that may start a connection, or
 * a stateless reset, or is answered by one.
 *
 * The gate: a handshake costs a signature, so new ones are limited by rate; when
 * many are pending each must first prove its address (Retry), and beyond
 * HALF_OPEN_MAX none is taken. */
#include "pnstackd/session/session_internal.h"

#include <sodium.h>

#include "libpeernet/base/bytes.h"

#define LONG_HEADER	0x80

struct header {
	bool long_form;
	uint32_t version;
	const uint8_t *dcid;
	size_t dcid_len;
};

static bool header_parse(const struct pn_pkt *pkt, struct header *h)
{
	struct pn_rd r;
	uint8_t first;

	pn_rd_init(&r, pkt->data, pkt->len);
	first = pn_rd_u8(&r);
	h->long_form = first & LONG_HEADER;
	h->version = 0;
	h->dcid_len = SCID_LEN;
	if (h->long_form) {
		h->version = pn_rd_u32(&r);
		h->dcid_len = pn_rd_u8(&r);
	}
	h->dcid = pn_rd_bytes(&r, h->dcid_len);
	return h->dcid != NULL;
}

static uint64_t odcid_key(const struct session_set *set, const uint8_t *cid, size_t len)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t k;

	crypto_shorthash(out, cid, len, set->retry_key);
	memcpy(&k, out, sizeof(k));
	return k;
}

static void send_retry(struct session_set *set, const ngtcp2_pkt_hd *hd, const struct pn_pkt *in)
{
	uint8_t token[RETRY_TOKEN_MAX];
	struct pn_pkt *pkt = pn_pkt_get(set->pool);
	ngtcp2_cid scid;
	size_t len, n;

	if (!pkt)
		return;
	scid.datalen = 16;	/* not SCID_LEN: it is no id of a connection */
	set_random(set, scid.data, scid.datalen);
	len = retry_token_make(set, token, in, &hd->dcid, &scid);
	n = protect_write_retry(set->initial_suite, pkt->data, pn_pkt_room(pkt), &hd->scid, &scid,
				&hd->dcid, token, len);
	if (!n) {
		pn_pkt_put(set->pool, pkt);
		return;
	}
	pn_pkt_append(pkt, (uint32_t)n);
	pkt->flow = 0;
	pkt->ecn = 0;
	count(set, CNT_TX_RETRY);
	net_send_addr(set->net, in->src, in->tag, pkt, set->now);
}

/* May this Initial start a connection?  @has_odcid: a good Retry token said so */
static bool gate(struct session_set *set, const ngtcp2_pkt_hd *hd, const struct pn_pkt *pkt,
		 ngtcp2_cid *odcid, bool *has_odcid)
{
	size_t token_len;
	const uint8_t *token = qc_hd_token(hd, &token_len);

	*has_odcid = false;
	if (set->half_open >= HALF_OPEN_MAX) {
		count(set, CNT_GATE_HALF_OPEN);
		return false;
	}
	if (token_len) {
		if (!retry_token_check(set, token, token_len, pkt, &hd->dcid, odcid)) {
			count(set, CNT_RETRY_BAD);
			return false;
		}
		*has_odcid = true;
	} else if (set->half_open >= HALF_OPEN_RETRY) {
		send_retry(set, hd, pkt);
		return false;
	}
	if (!rate_take(&set->gate_tokens, &set->gate_at, DIAL_IN_RATE, set->now)) {
		count(set, CNT_GATE_RATE);
		return false;
	}
	return true;
}

static void new_connection(struct session_set *set, const struct pn_pkt *pkt)
{
	const uint8_t *token;
	ngtcp2_pkt_hd hd;
	ngtcp2_cid odcid;
	bool has_odcid;
	struct conn *c;
	size_t token_len;

	memset(&hd, 0, sizeof(hd));
	if (ngtcp2_accept(&hd, pkt->data, pkt->len) != 0) {
		count(set, CNT_RX_NOT_INITIAL);
		return;
	}
	if (!gate(set, &hd, pkt, &odcid, &has_odcid))
		return;
	token = qc_hd_token(&hd, &token_len);
	c = conn_answer(set, &hd, has_odcid ? &odcid : NULL, token, token_len, pkt);
	if (!c) {
		count(set, CNT_GATE_TABLE);
		return;
	}
	c->odcid_key = odcid_key(set, hd.dcid.data, hd.dcid.datalen);
	c->has_odcid = map_put(&set->by_odcid, c->odcid_key, c->index);
	conn_read(c, pkt);
}

static struct conn *find(struct session_set *set, const struct header *h)
{
	uint32_t i = UINT32_MAX;
	uint64_t key;

	if (h->dcid_len == SCID_LEN) {
		memcpy(&key, h->dcid, sizeof(key));
		i = map_get(&set->by_scid, key);
	}
	if (i == UINT32_MAX && h->long_form)
		i = map_get(&set->by_odcid, odcid_key(set, h->dcid, h->dcid_len));
	return i == UINT32_MAX ? NULL : &set->conns[i];
}

static void for_nobody(struct session_set *set, const struct header *h, const struct pn_pkt *pkt)
{
	struct conn *c;

	if (h->long_form) {
		new_connection(set, pkt);
		return;
	}
	c = reset_match(set, pkt);
	if (c && c->qc) {
		count(set, CNT_RX_RESET);
		count(set, CNT_RESTARTED);
		conn_close(c, 0, PN_ERESET, false);
		return;
	}
	count(set, CNT_RX_UNKNOWN);
	reset_send(set, h->dcid, pkt);
}

static void input(struct session_set *set, const struct pn_pkt *pkt)
{
	struct header h;
	struct conn *c;

	count(set, CNT_RX_PACKETS);
	if (!header_parse(pkt, &h)) {
		count(set, CNT_RX_SHORT);
		return;
	}
	if (h.long_form && (h.version != NGTCP2_PROTO_VER_V1 || h.dcid_len > NGTCP2_MAX_CIDLEN)) {
		count(set, CNT_RX_VERSION);
		return;
	}
	c = find(set, &h);
	if (!c)
		for_nobody(set, &h, pkt);
	else if (c->qc)
		conn_read(c, pkt);
	else
		conn_stray(c, pkt);
}

void session_input(struct session_set *set, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	set->now = now;
	for (size_t i = 0; i < n; i++) {
		input(set, pkts[i]);
		pn_pkt_put(set->pool, pkts[i]);
	}
}

void session_on_net_event(struct session_set *set, const struct net_event *ev, struct pn_time now)
{
	set->now = now;
	pair_on_net_event(set, ev);
}
