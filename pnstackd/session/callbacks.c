/* SPDX-License-Identifier: ISC */
/* What ngtcp2 calls, and the ids of a connection.
 *
 * ngtcp2 must not be entered again from here, and the connection must not go
 * away: these functions change buffers, bits and flags only (see conn.c). */
#include "pnstackd/session/session_internal.h"

static uint64_t key64(const uint8_t *p)
{
	uint64_t k;

	memcpy(&k, p, sizeof(k));
	return k;
}

/* --- connection ids and reset tokens ------------------------------------------ */

bool conn_scid_new(struct conn *c, ngtcp2_cid *cid)
{
	if (c->scid_count == SCIDS_MAX)
		return false;
	do {
		set_random(c->set, cid->data, SCID_LEN);
	} while (!map_put(&c->set->by_scid, key64(cid->data), c->index));
	cid->datalen = SCID_LEN;
	c->scid[c->scid_count++] = key64(cid->data);
	return true;
}

void conn_scid_del(struct conn *c, uint64_t key)
{
	for (uint32_t i = 0; i < c->scid_count; i++) {
		if (c->scid[i] != key)
			continue;
		map_del(&c->set->by_scid, key);
		c->scid[i] = c->scid[--c->scid_count];
		return;
	}
}

bool conn_token_add(struct conn *c, const uint8_t token[TOKEN_LEN])
{
	if (c->token_count == TOKENS_MAX ||
	    !map_put(&c->set->by_token, key64(token), c->index))
		return false;
	memcpy(c->token[c->token_count++], token, TOKEN_LEN);
	return true;
}

void conn_token_del(struct conn *c, const uint8_t token[TOKEN_LEN])
{
	for (uint32_t i = 0; i < c->token_count; i++) {
		if (memcmp(c->token[i], token, TOKEN_LEN))
			continue;
		map_del(&c->set->by_token, key64(token));
		memcpy(c->token[i], c->token[--c->token_count], TOKEN_LEN);
		return;
	}
}

/* --- ngtcp2's callbacks: the handshake ------------------------------------------ */

static int feed(struct conn *c, qc_level level, const uint8_t *data, size_t len)
{
	return c->set->cfg.null_cipher ? tls_null_feed(c, level, data, len) :
					 tls_feed(c, level, data, len);
}

static int on_client_initial(ngtcp2_conn *qc, void *user_data)
{
	struct conn *c = user_data;

	if (protect_initial(c, ngtcp2_conn_get_dcid(qc)) || feed(c, QC_LEVEL_INITIAL, NULL, 0))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_recv_client_initial(ngtcp2_conn *qc, const ngtcp2_cid *dcid, void *user_data)
{
	(void)qc;
	return protect_initial(user_data, dcid);
}

static int on_recv_retry(ngtcp2_conn *qc, const ngtcp2_pkt_hd *hd, void *user_data)
{
	(void)qc;
	return protect_initial(user_data, &hd->scid);
}

static int on_recv_crypto(ngtcp2_conn *qc, qc_level level, uint64_t offset, const uint8_t *data,
			  size_t len, void *user_data)
{
	(void)qc;
	(void)offset;
	return feed(user_data, level, data, len);
}

static int on_version(ngtcp2_conn *qc, uint32_t version, const ngtcp2_cid *dcid, void *user_data)
{
	(void)qc;
	(void)version;
	(void)dcid;
	(void)user_data;
	return NGTCP2_ERR_CALLBACK_FAILURE;	/* we know one version */
}

static void on_rand(uint8_t *dst, size_t len, const ngtcp2_rand_ctx *ctx)
{
	set_random(ctx->native_handle, dst, len);
}

static int on_challenge(ngtcp2_conn *qc, uint8_t *data, void *user_data)
{
	struct conn *c = user_data;

	(void)qc;
	set_random(c->set, data, NGTCP2_PATH_CHALLENGE_DATALEN);
	return 0;
}

static int on_new_cid(ngtcp2_conn *qc, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
	struct conn *c = user_data;

	(void)qc;
	if (len != SCID_LEN || !conn_scid_new(c, cid))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	reset_token(c->set, cid->data, SCID_LEN, token);
	return 0;
}

static int on_remove_cid(ngtcp2_conn *qc, const ngtcp2_cid *cid, void *user_data)
{
	(void)qc;
	if (cid->datalen == SCID_LEN)
		conn_scid_del(user_data, key64(cid->data));
	return 0;
}

static int on_dcid_status(ngtcp2_conn *qc, qc_cid_status type, uint64_t seq, const ngtcp2_cid *cid,
			  const uint8_t *token, void *user_data)
{
	(void)qc;
	(void)seq;
	(void)cid;
	if (!token)
		return 0;
	if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE)
		conn_token_add(user_data, token);
	else
		conn_token_del(user_data, token);
	return 0;
}

/* --- ngtcp2's callbacks: streams and datagrams ------------------------------------- */

static int on_stream_open(ngtcp2_conn *qc, int64_t qid, void *user_data)
{
	struct conn *c = user_data;
	struct stream *s = NULL;

	conn_check_up(c);	/* the packet that ended the handshake may hold more */
	if (!ngtcp2_is_bidi_stream(qid))
		return 0;	/* the peer's guard, see write.c */
	if (c->set->cfg.stream_max - c->set->stream_free_count < stream_theirs_max(c->set))
		s = stream_new(c->set, c);
	if (!s) {
		count(c->set, CNT_STREAM_TABLE_FULL);
		return qc_shutdown_stream(qc, qid, err_to_wire(PN_EFULL)) ?
		       NGTCP2_ERR_CALLBACK_FAILURE : 0;
	}
	s->qid = qid;
	s->incoming = true;
	s->state = STREAM_HEADER;
	return ngtcp2_conn_set_stream_user_data(qc, qid, s) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_data(ngtcp2_conn *qc, uint32_t flags, int64_t qid, uint64_t offset,
			  const uint8_t *data, size_t len, void *user_data, void *stream_data)
{
	struct stream *s = stream_data;

	(void)offset;
	(void)user_data;
	/* The connection's window opens on arrival: a stream that is not read
	 * must not stall the others.  Its own window bounds the memory. */
	ngtcp2_conn_extend_max_offset(qc, len);
	if (!ngtcp2_is_bidi_stream(qid))
		ngtcp2_conn_extend_max_stream_offset(qc, qid, len);
	return s ? stream_on_data(s, data, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN) : 0;
}

static int on_stream_acked(ngtcp2_conn *qc, int64_t qid, uint64_t offset, uint64_t len,
			   void *user_data, void *stream_data)
{
	(void)qc;
	(void)qid;
	(void)user_data;
	if (stream_data)
		stream_on_acked(stream_data, offset + len);
	return 0;
}

static int on_stream_close(ngtcp2_conn *qc, uint32_t flags, int64_t qid, uint64_t code,
			   void *user_data, void *stream_data)
{
	(void)flags;
	(void)code;
	(void)user_data;
	if (!ngtcp2_conn_is_local_stream(qc, qid) && ngtcp2_is_bidi_stream(qid))
		ngtcp2_conn_extend_max_streams_bidi(qc, 1);
	if (stream_data)
		stream_on_done(stream_data);
	return 0;
}

static int on_stream_reset(ngtcp2_conn *qc, int64_t qid, uint64_t final_size, uint64_t code,
			   void *user_data, void *stream_data)
{
	(void)qc;
	(void)qid;
	(void)final_size;
	(void)user_data;
	if (stream_data)
		stream_on_reset(stream_data, code);
	return 0;
}

static int on_max_stream_data(ngtcp2_conn *qc, int64_t qid, uint64_t max, void *user_data,
			      void *stream_data)
{
	(void)qc;
	(void)qid;
	(void)max;
	(void)user_data;
	if (stream_data)
		stream_ready(stream_data);
	return 0;
}

static int on_max_streams(ngtcp2_conn *qc, uint64_t max, void *user_data)
{
	struct conn *c = user_data;

	(void)qc;
	(void)max;
	c->stream_ids_out = false;
	return 0;
}

static int on_datagram(ngtcp2_conn *qc, uint32_t flags, const uint8_t *data, size_t len,
		       void *user_data)
{
	(void)qc;
	(void)flags;
	conn_check_up(user_data);
	dgram_on_frame(user_data, data, len);
	return 0;
}

static int on_dgram_acked(ngtcp2_conn *qc, uint64_t id, void *user_data)
{
	struct conn *c = user_data;

	(void)qc;
	if (id && id == c->hello_id) {
		c->hello_acked = id;
		c->hello_at = PN_TIME_NEVER;
	}
	return 0;
}

static int on_dgram_lost(ngtcp2_conn *qc, uint64_t id, void *user_data)
{
	struct conn *c = user_data;

	(void)qc;
	if (!id)
		count(c->set, CNT_DGRAM_LOST);
	else if (id == c->hello_id && c->hello_acked != id)
		hello_again(c);
	return 0;
}

void conn_callbacks(ngtcp2_callbacks *cb)
{
	memset(cb, 0, sizeof(*cb));
	protect_callbacks(cb);
	cb->client_initial = on_client_initial;
	cb->recv_client_initial = on_recv_client_initial;
	cb->recv_retry = on_recv_retry;
	cb->recv_crypto_data = on_recv_crypto;
	cb->version_negotiation = on_version;
	cb->rand = on_rand;
	cb->get_path_challenge_data = on_challenge;
	cb->get_new_connection_id = on_new_cid;
	cb->remove_connection_id = on_remove_cid;
	cb->dcid_status = on_dcid_status;
	cb->stream_open = on_stream_open;
	cb->recv_stream_data = on_stream_data;
	cb->acked_stream_data_offset = on_stream_acked;
	cb->stream_close = on_stream_close;
	cb->stream_reset = on_stream_reset;
	cb->extend_max_stream_data = on_max_stream_data;
	cb->extend_max_local_streams_bidi = on_max_streams;
	cb->recv_datagram = on_datagram;
	cb->ack_datagram = on_dgram_acked;
	cb->lost_datagram = on_dgram_lost;
}
