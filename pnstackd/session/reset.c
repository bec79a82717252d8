/* SPDX-License-Identifier: ISC */
/* Tokens: stateless resets (RFC 9000 10.3) and Retry (8.1.2).
 *
 * Theory of operation: the reset token of a connection id is a MAC of it under a
 * key that derives from the identity, so a node that has lost its state can end
 * connections it does not know.  All sessions of a node share one door, so a
 * reset (which looks like a packet for an unknown id) is found by its last
 * sixteen bytes in a table of all tokens that peers gave us.  A client cannot
 * give a token for its first connection id by QUIC's own means; the hello
 * message carries it (pair.c).
 *
 *	Retry token   time (8 bytes), length and bytes of the first destination
 *	              id, MAC (16) over these, the sender's address and tag, and
 *	              the id that the Retry told the client to use */
#include "pnstackd/session/session_internal.h"

#include <sodium.h>

#include "libpeernet/base/bytes.h"

#define RESET_MIN	21	/* bytes: RFC 9000 10.3 */
#define RESET_LEN	43	/* bytes we send: at most a little less than we got */

void reset_token(const struct session_set *set, const uint8_t *cid, size_t len,
		 uint8_t token[TOKEN_LEN])
{
	uint8_t mac[32];

	protect_mac(mac, set->reset_key, sizeof(set->reset_key), cid, len);
	memcpy(token, mac, TOKEN_LEN);
}

static uint64_t key64(const uint8_t *p)
{
	uint64_t k;

	memcpy(&k, p, sizeof(k));
	return k;
}

struct conn *reset_match(struct session_set *set, const struct pn_pkt *pkt)
{
	const uint8_t *token;
	struct conn *c;
	uint32_t i;

	if (pkt->len < RESET_MIN)
		return NULL;
	token = pkt->data + pkt->len - TOKEN_LEN;
	i = map_get(&set->by_token, key64(token));
	if (i == UINT32_MAX)
		return NULL;
	c = &set->conns[i];
	for (i = 0; i < c->token_count; i++)
		if (!sodium_memcmp(c->token[i], token, TOKEN_LEN))
			return c;
	return NULL;
}

void reset_send(struct session_set *set, const uint8_t *cid, const struct pn_pkt *in)
{
	uint8_t token[TOKEN_LEN], noise[RESET_LEN];
	struct pn_pkt *pkt;
	ngtcp2_ssize n;

	/* smaller than what it answers, so that two nodes cannot play for ever */
	if (in->len <= RESET_MIN)
		return;
	if (!rate_take(&set->reset_tokens, &set->reset_at, RESET_RATE, set->now)) {
		count(set, CNT_RESET_LIMITED);
		return;
	}
	pkt = pn_pkt_get(set->pool);
	if (!pkt)
		return;
	reset_token(set, cid, SCID_LEN, token);
	set_random(set, noise, sizeof(noise));
	n = ngtcp2_pkt_write_stateless_reset(pkt->data, pn_min(in->len - 1, RESET_LEN), token,
					     noise, RESET_LEN - TOKEN_LEN);
	if (n <= 0) {
		pn_pkt_put(set->pool, pkt);
		return;
	}
	pn_pkt_append(pkt, (uint32_t)n);
	pkt->flow = 0;
	pkt->ecn = 0;
	count(set, CNT_TX_RESET);
	net_send_addr(set->net, in->src, in->tag, pkt, set->now);
}

static void retry_mac(const struct session_set *set, uint8_t mac[32], const uint8_t *head,
		      size_t head_len, const struct pn_pkt *pkt, const ngtcp2_cid *scid)
{
	uint8_t buf[128];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_bytes(&w, head, head_len);
	pn_wr_u64(&w, pkt->src);
	pn_wr_u32(&w, pkt->tag);
	pn_wr_u8(&w, scid->datalen);
	pn_wr_bytes(&w, scid->data, scid->datalen);
	PN_ASSERT(pn_wr_ok(&w));
	protect_mac(mac, set->retry_key, sizeof(set->retry_key), buf, w.len);
}

size_t retry_token_make(const struct session_set *set, uint8_t *buf, const struct pn_pkt *pkt,
			const ngtcp2_cid *odcid, const ngtcp2_cid *scid)
{
	uint8_t mac[32];
	struct pn_wr w;

	pn_wr_init(&w, buf, RETRY_TOKEN_MAX);
	pn_wr_u64(&w, set->now.ns);
	pn_wr_u8(&w, odcid->datalen);
	pn_wr_bytes(&w, odcid->data, odcid->datalen);
	retry_mac(set, mac, buf, w.len, pkt, scid);
	pn_wr_bytes(&w, mac, TOKEN_LEN);
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

bool retry_token_check(const struct session_set *set, const uint8_t *token, size_t len,
		       const struct pn_pkt *pkt, const ngtcp2_cid *scid, ngtcp2_cid *odcid)
{
	const uint8_t *cid, *mac;
	uint8_t want[32];
	struct pn_time made;
	struct pn_rd r;
	size_t n;

	pn_rd_init(&r, token, len);
	made.ns = pn_rd_u64(&r);
	n = pn_rd_u8(&r);
	cid = pn_rd_bytes(&r, n);
	mac = pn_rd_bytes(&r, TOKEN_LEN);
	if (!pn_rd_finish(&r) || n > NGTCP2_MAX_CIDLEN)
		return false;
	retry_mac(set, want, token, len - TOKEN_LEN, pkt, scid);
	if (sodium_memcmp(mac, want, TOKEN_LEN) || made.ns > set->now.ns ||
	    pn_time_since(set->now, made) > RETRY_LIFE_NS)
		return false;
	ngtcp2_cid_init(odcid, cid, n);
	return true;
}
