/* SPDX-License-Identifier: ISC */
/* The handshake by GnuTLS: TLS 1.3, both ends with an Ed25519 raw public key.
 *
 * Theory of operation: an identity is an Ed25519 key, so its SubjectPublicKeyInfo
 * is a constant prefix and the identity, and its PKCS #8 form a constant prefix
 * and the seed; no certificate exists.  GnuTLS proves that the peer has the
 * private key (CertificateVerify); verify_peer() below, which runs before the
 * handshake can complete, checks that it is an Ed25519 key and the one that was
 * dialled.  GnuTLS sees handshake messages only, in and out through CRYPTO
 * frames; its secrets go to protect.c, and no record is ever made by it. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include <sodium.h>

#define SPKI_PREFIX_LEN		12
#define PKCS8_PREFIX_LEN	16
#define TP_EXTENSION		0x39	/* quic_transport_parameters, RFC 9001 8.2 */
#define TP_MAX			512	/* bytes */

/* SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING, 0 unused bits } */
static const uint8_t spki_prefix[SPKI_PREFIX_LEN] = {
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
/* SEQUENCE { 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING } } */
static const uint8_t pkcs8_prefix[PKCS8_PREFIX_LEN] = {
	0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
	0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };

static const char alpn_name[] = "peernet/1";

struct tls_ctx {
	gnutls_certificate_credentials_t cred;
	gnutls_priority_t priority;
};

static bool have_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
	return true;
#endif
}

#define PRIORITY(ciphers_) \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" ciphers_ \
	":-GROUP-ALL:+GROUP-X25519:-SIGN-ALL:+SIGN-EDDSA-ED25519" \
	":-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK:%DISABLE_TLS13_COMPAT_MODE"

static int verify_peer(gnutls_session_t s)
{
	struct conn *c = gnutls_session_get_ptr(s);
	unsigned int n = 0;
	const gnutls_datum_t *peer = gnutls_certificate_get_peers(s, &n);

	if (gnutls_certificate_type_get2(s, GNUTLS_CTYPE_PEERS) != GNUTLS_CRT_RAWPK ||
	    !peer || n != 1 || peer->size != SPKI_PREFIX_LEN + PN_ID_LEN ||
	    memcmp(peer->data, spki_prefix, SPKI_PREFIX_LEN)) {
		c->tls_err = PN_EAUTH;
		return -1;
	}
	return conn_check_peer(c, peer->data + SPKI_PREFIX_LEN) ? -1 : 0;
}

struct tls_ctx *tls_ctx_new(const uint8_t seed[PN_ID_LEN], const uint8_t id[PN_ID_LEN])
{
	uint8_t spki[SPKI_PREFIX_LEN + PN_ID_LEN], pkcs8[PKCS8_PREFIX_LEN + PN_ID_LEN];
	gnutls_datum_t pub = { spki, sizeof(spki) }, key = { pkcs8, sizeof(pkcs8) };
	struct tls_ctx *t = calloc(1, sizeof(*t));
	bool ok;

	if (!t)
		return NULL;
	memcpy(spki, spki_prefix, SPKI_PREFIX_LEN);
	memcpy(spki + SPKI_PREFIX_LEN, id, PN_ID_LEN);
	memcpy(pkcs8, pkcs8_prefix, PKCS8_PREFIX_LEN);
	memcpy(pkcs8 + PKCS8_PREFIX_LEN, seed, PN_ID_LEN);
	ok = !gnutls_certificate_allocate_credentials(&t->cred) &&
	     !gnutls_certificate_set_rawpk_key_mem(t->cred, &pub, &key, GNUTLS_X509_FMT_DER,
						   NULL, 0, NULL, 0, 0) &&
	     !gnutls_priority_init(&t->priority, have_aes() ?
			PRIORITY("+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM") :
			PRIORITY("+CHACHA20-POLY1305:+AES-256-GCM:+AES-128-GCM"), NULL);
	sodium_memzero(pkcs8, sizeof(pkcs8));
	if (!ok) {
		tls_ctx_free(t);
		return NULL;
	}
	gnutls_certificate_set_verify_function(t->cred, verify_peer);
	return t;
}

void tls_ctx_free(struct tls_ctx *t)
{
	if (!t)
		return;
	if (t->priority)
		gnutls_priority_deinit(t->priority);
	if (t->cred)
		gnutls_certificate_free_credentials(t->cred);
	free(t);
}

/* --- what GnuTLS calls -------------------------------------------------------- */

static const struct suite *negotiated(gnutls_session_t s)
{
	switch (gnutls_cipher_get(s)) {
	case GNUTLS_CIPHER_AES_128_GCM:
		return &suite_aes128;
	case GNUTLS_CIPHER_AES_256_GCM:
		return &suite_aes256;
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		return &suite_chacha;
	default:
		return NULL;
	}
}

static int on_secret(gnutls_session_t s, gnutls_record_encryption_level_t level,
		     const void *rx, const void *tx, size_t len)
{
	struct conn *c = gnutls_session_get_ptr(s);
	const struct suite *suite = negotiated(s);

	if (!suite || (level != GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE &&
		       level != GNUTLS_ENCRYPTION_LEVEL_APPLICATION))
		return -1;
	return protect_install(c, suite, level == GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE ?
			       QC_LEVEL_HANDSHAKE : QC_LEVEL_1RTT, rx, tx, len) ? -1 : 0;
}

/* GnuTLS has a message for the peer */
static int on_message(gnutls_session_t s, gnutls_record_encryption_level_t level,
		      gnutls_handshake_description_t type, const void *data, size_t len)
{
	struct conn *c = gnutls_session_get_ptr(s);
	qc_level l = level == GNUTLS_ENCRYPTION_LEVEL_INITIAL ? QC_LEVEL_INITIAL :
		     level == GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE ? QC_LEVEL_HANDSHAKE :
		     QC_LEVEL_1RTT;
	int rv;

	if (type == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
		return 0;
	rv = ngtcp2_conn_submit_crypto_data(c->qc, l, data, len);
	if (rv)
		ngtcp2_conn_set_tls_error(c->qc, rv);
	return rv ? -1 : 0;
}

static int on_alert(gnutls_session_t s, gnutls_record_encryption_level_t level,
		    gnutls_alert_level_t alert_level, gnutls_alert_description_t alert)
{
	struct conn *c = gnutls_session_get_ptr(s);

	(void)level;
	(void)alert_level;
	ngtcp2_conn_set_tls_alert(c->qc, (uint8_t)alert);
	return 0;
}

static int on_params_in(gnutls_session_t s, const unsigned char *data, size_t len)
{
	struct conn *c = gnutls_session_get_ptr(s);
	int rv = qc_decode_remote_params(c->qc, data, len);

	if (rv)
		ngtcp2_conn_set_tls_error(c->qc, rv);
	return rv ? -1 : 0;
}

static int on_params_out(gnutls_session_t s, gnutls_buffer_t out)
{
	struct conn *c = gnutls_session_get_ptr(s);
	uint8_t buf[TP_MAX];
	ngtcp2_ssize n = ngtcp2_conn_encode_local_transport_params(c->qc, buf, sizeof(buf));

	return n < 0 || gnutls_buffer_append_data(out, buf, (size_t)n) ? -1 : 0;
}

/* --- what conn.c calls ---------------------------------------------------------- */

bool tls_start(struct conn *c)
{
	gnutls_datum_t alpn = { (unsigned char *)(uintptr_t)alpn_name, sizeof(alpn_name) - 1 };
	unsigned int flags = GNUTLS_ENABLE_RAWPK | GNUTLS_NO_END_OF_EARLY_DATA |
			     GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;
	gnutls_session_t s;

	if (gnutls_init(&s, flags | (c->server ? GNUTLS_SERVER : GNUTLS_CLIENT)))
		return false;
	c->tls = s;
	gnutls_session_set_ptr(s, c);
	if (gnutls_priority_set(s, c->set->tls->priority) ||
	    gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c->set->tls->cred) ||
	    gnutls_alpn_set_protocols(s, &alpn, 1, GNUTLS_ALPN_MANDATORY) ||
	    gnutls_session_ext_register(s, "QUIC Transport Parameters", TP_EXTENSION,
					GNUTLS_EXT_TLS, on_params_in, on_params_out,
					NULL, NULL, NULL,
					GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO |
					GNUTLS_EXT_FLAG_EE))
		return false;	/* tls_stop() frees */
	gnutls_handshake_set_secret_function(s, on_secret);
	gnutls_handshake_set_read_function(s, on_message);
	gnutls_alert_set_read_function(s, on_alert);
	if (c->server)
		gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
	ngtcp2_conn_set_tls_native_handle(c->qc, s);
	return true;
}

void tls_stop(struct conn *c)
{
	if (c->tls)
		gnutls_deinit(c->tls);
	c->tls = NULL;
}

static int tls_error(struct conn *c, int rv)
{
	int err;

	gnutls_alert_send_appropriate(c->tls, rv);
	err = ngtcp2_conn_get_tls_error(c->qc);
	if (rv == GNUTLS_E_NO_CERTIFICATE_FOUND || rv == GNUTLS_E_CERTIFICATE_REQUIRED ||
	    rv == GNUTLS_E_PK_SIG_VERIFY_FAILED)
		c->tls_err = PN_EAUTH;
	return err ? err : NGTCP2_ERR_CRYPTO;
}

int tls_feed(struct conn *c, qc_level level, const uint8_t *data, size_t len)
{
	gnutls_record_encryption_level_t l =
		level == QC_LEVEL_INITIAL ? GNUTLS_ENCRYPTION_LEVEL_INITIAL :
		level == QC_LEVEL_HANDSHAKE ? GNUTLS_ENCRYPTION_LEVEL_HANDSHAKE :
		GNUTLS_ENCRYPTION_LEVEL_APPLICATION;
	int rv;

	if (len) {
		rv = gnutls_handshake_write(c->tls, l, data, len);
		if (rv)
			return gnutls_error_is_fatal(rv) ? tls_error(c, rv) : 0;
	}
	if (ngtcp2_conn_get_handshake_completed(c->qc))
		return 0;
	rv = gnutls_handshake(c->tls);
	if (rv < 0)
		return gnutls_error_is_fatal(rv) ? tls_error(c, rv) : 0;
	qc_tls_handshake_completed(c->qc);
	return 0;
}
