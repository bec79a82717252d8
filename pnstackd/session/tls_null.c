/* SPDX-License-Identifier: ISC */
/* The simulator's handshake: the shape of TLS 1.3, nothing secret, no
 * randomness, so that a run repeats.  Both sides just say who they are.
 *
 *	client                          server
 *	Initial    C {params}     ->
 *	                          <-    Initial    S {}
 *	                          <-    Handshake  E {id, params}
 *	Handshake  F {id}         ->
 *
 * A message is its letter, a 16-bit length and the body. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include "libpeernet/base/bytes.h"

#define MSG_MAX 600	/* bytes */

struct tls_null {
	uint8_t buf[MSG_MAX];
	size_t len;
	bool begun;
};

static const uint8_t no_secret[32];

bool tls_null_start(struct conn *c)
{
	c->tls_null = calloc(1, sizeof(struct tls_null));
	return c->tls_null != NULL;
}

void tls_null_stop(struct conn *c)
{
	free(c->tls_null);
	c->tls_null = NULL;
}

static int say(struct conn *c, qc_level level, char letter, bool with_id, bool with_params)
{
	uint8_t buf[MSG_MAX], params[MSG_MAX / 2];
	struct pn_wr w;
	ngtcp2_ssize n = 0;
	size_t mark;

	if (with_params)
		n = ngtcp2_conn_encode_local_transport_params(c->qc, params, sizeof(params));
	if (n < 0)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, (uint8_t)letter);
	mark = pn_wr_open16(&w);
	if (with_id)
		pn_wr_bytes(&w, c->set->id, PN_ID_LEN);
	pn_wr_bytes(&w, params, (size_t)n);
	pn_wr_close16(&w, mark);
	if (!pn_wr_ok(&w))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return ngtcp2_conn_submit_crypto_data(c->qc, level, buf, w.len);
}

static int install(struct conn *c, qc_level level, bool rx, bool tx)
{
	return protect_install(c, &suite_null, level, rx ? no_secret : NULL, tx ? no_secret : NULL,
			       sizeof(no_secret));
}

static int read_params(struct conn *c, struct pn_rd *r)
{
	size_t len = pn_rd_left(r);

	return qc_decode_remote_params(c->qc, pn_rd_bytes(r, len), len);
}

static int read_id(struct conn *c, struct pn_rd *r)
{
	const uint8_t *id = pn_rd_bytes(r, PN_ID_LEN);

	return !id || conn_check_peer(c, id) ? NGTCP2_ERR_CRYPTO : 0;
}

static int server_message(struct conn *c, qc_level level, char letter, struct pn_rd *r)
{
	int rv;

	if (letter == 'C' && level == QC_LEVEL_INITIAL) {
		rv = read_params(c, r);
		rv = rv ? rv : say(c, QC_LEVEL_INITIAL, 'S', false, false);
		rv = rv ? rv : install(c, QC_LEVEL_HANDSHAKE, true, true);
		rv = rv ? rv : say(c, QC_LEVEL_HANDSHAKE, 'E', true, true);
		return rv ? rv : install(c, QC_LEVEL_1RTT, false, true);
	}
	if (letter == 'F' && level == QC_LEVEL_HANDSHAKE) {
		rv = read_id(c, r);
		rv = rv ? rv : install(c, QC_LEVEL_1RTT, true, false);
		if (!rv)
			qc_tls_handshake_completed(c->qc);
		return rv;
	}
	return NGTCP2_ERR_PROTO;
}

static int client_message(struct conn *c, qc_level level, char letter, struct pn_rd *r)
{
	int rv;

	if (letter == 'S' && level == QC_LEVEL_INITIAL)
		return install(c, QC_LEVEL_HANDSHAKE, true, true);
	if (letter == 'E' && level == QC_LEVEL_HANDSHAKE) {
		rv = read_id(c, r);
		rv = rv ? rv : read_params(c, r);
		rv = rv ? rv : say(c, QC_LEVEL_HANDSHAKE, 'F', true, false);
		rv = rv ? rv : install(c, QC_LEVEL_1RTT, true, true);
		if (!rv)
			qc_tls_handshake_completed(c->qc);
		return rv;
	}
	return NGTCP2_ERR_PROTO;
}

int tls_null_feed(struct conn *c, qc_level level, const uint8_t *data, size_t len)
{
	struct tls_null *t = c->tls_null;
	int rv = 0;

	if (!c->server && !t->begun) {
		t->begun = true;
		return say(c, QC_LEVEL_INITIAL, 'C', false, true);
	}
	if (len > sizeof(t->buf) - t->len)
		return NGTCP2_ERR_PROTO;
	if (len)
		memcpy(t->buf + t->len, data, len);
	t->len += len;
	while (!rv) {
		struct pn_rd r, body;
		char letter;

		pn_rd_init(&r, t->buf, t->len);
		letter = (char)pn_rd_u8(&r);
		body = pn_rd_sub(&r, pn_rd_u16(&r));
		if (body.bad || r.bad)
			return 0;	/* not all of it yet */
		rv = c->server ? server_message(c, level, letter, &body) :
				 client_message(c, level, letter, &body);
		t->len = pn_rd_left(&r);
		memmove(t->buf, r.at, t->len);
	}
	return rv;
}
