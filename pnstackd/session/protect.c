/* SPDX-License-Identifier: ISC */
/* Packet protection (RFC 9001) by libcrypto.
 *
 * Theory of operation: GnuTLS makes the secrets, this file makes keys of them
 * and does the work per packet.  A key is a struct aead with one EVP context
 * that lives as long as the key; per packet only the nonce is set.  ngtcp2 keeps
 * the pointers and gives them back to the callbacks here.  Each key knows its
 * connection and whether it proves anything: an Initial packet's key can be
 * computed by anybody, a packet that opens with a later key came from the peer
 * (the connection counts those).
 *
 * A suite names the ciphers; suite_null is the simulator's: it changes nothing
 * and appends sixteen constant bytes, so that all sizes are as usual. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

#include <openssl/evp.h>
#include <sodium.h>

#define TAG_LEN		16	/* bytes, of all suites */
#define IV_LEN		12	/* bytes, of all suites */
#define SECRET_MAX	48	/* bytes: SHA-384 */
#define NULL_TAG_BYTE	0x50

enum suite_kind { SUITE_AES, SUITE_CHACHA, SUITE_NULL };

struct suite {
	const char *name;
	enum suite_kind kind;
	size_t key_len;
	const char *hash;	/* libcrypto's name */
	size_t hash_len;
	const EVP_CIPHER *(*aead)(void);
	const EVP_CIPHER *(*header)(void);
	uint64_t max_encryption, max_decryption_failure; /* RFC 9001 6.6 */
};

const struct suite suite_aes128 = { "AES-128-GCM", SUITE_AES, 16, "SHA256", 32,
	EVP_aes_128_gcm, EVP_aes_128_ecb, 1ULL << 23, 1ULL << 52 };
const struct suite suite_aes256 = { "AES-256-GCM", SUITE_AES, 32, "SHA384", 48,
	EVP_aes_256_gcm, EVP_aes_256_ecb, 1ULL << 23, 1ULL << 52 };
const struct suite suite_chacha = { "CHACHA20-POLY1305", SUITE_CHACHA, 32, "SHA256", 32,
	EVP_chacha20_poly1305, EVP_chacha20, 1ULL << 62, 1ULL << 36 };
const struct suite suite_null = { "none", SUITE_NULL, 16, "SHA256", 32,
	NULL, NULL, 1ULL << 62, 1ULL << 36 };

struct aead {
	EVP_CIPHER_CTX *evp;	/* NULL for suite_null */
	struct conn *conn;	/* who counts what it opens; NULL for Initial keys */
	enum suite_kind kind;
};

const char *suite_cipher_name(const struct suite *s)
{
	return s ? s->name : "";
}

/* --- key derivation ---------------------------------------------------------- */

static bool hmac(const char *hash, const uint8_t *key, size_t key_len, const uint8_t *data,
		 size_t len, uint8_t *out, size_t out_cap)
{
	size_t out_len = 0;

	return EVP_Q_mac(NULL, "HMAC", NULL, hash, NULL, key, key_len, data, len,
			 out, out_cap, &out_len) != NULL;
}

void protect_mac(uint8_t out[32], const uint8_t *key, size_t key_len, const uint8_t *data,
		 size_t len)
{
	PN_ASSERT(hmac("SHA256", key, key_len, data, len, out, 32));
}

/* HKDF-Expand-Label of RFC 8446; everything we want fits one block of HMAC */
static bool expand_label(const struct suite *s, const uint8_t *secret, size_t secret_len,
			 const char *label, uint8_t *out, size_t out_len)
{
	uint8_t info[64], block[SECRET_MAX];
	size_t label_len = strlen(label), n = 0;
	bool ok;

	PN_ASSERT(out_len <= s->hash_len);
	info[n++] = 0;
	info[n++] = (uint8_t)out_len;
	info[n++] = (uint8_t)(6 + label_len);
	memcpy(info + n, "tls13 ", 6);
	memcpy(info + n + 6, label, label_len);
	n += 6 + label_len;
	info[n++] = 0;	/* no context */
	info[n++] = 1;	/* T(1) */
	ok = hmac(s->hash, secret, secret_len, info, n, block, sizeof(block));
	if (ok)
		memcpy(out, block, out_len);
	sodium_memzero(block, sizeof(block));
	return ok;
}

static struct aead *aead_new(const struct suite *s, struct conn *conn, const uint8_t *key,
			     bool seal)
{
	struct aead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->conn = conn;
	a->kind = s->kind;
	if (s->kind == SUITE_NULL)
		return a;
	a->evp = EVP_CIPHER_CTX_new();
	if (a->evp && EVP_CipherInit_ex(a->evp, s->aead(), NULL, key, NULL, seal))
		return a;
	EVP_CIPHER_CTX_free(a->evp);
	free(a);
	return NULL;
}

static void aead_free(void *p)
{
	struct aead *a = p;

	if (a)
		EVP_CIPHER_CTX_free(a->evp);
	free(a);
}

static struct aead *header_new(const struct suite *s, const uint8_t *key)
{
	struct aead *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->kind = s->kind;
	if (s->kind == SUITE_NULL)
		return a;
	a->evp = EVP_CIPHER_CTX_new();
	if (a->evp && EVP_EncryptInit_ex(a->evp, s->header(), NULL, key, NULL) &&
	    EVP_CIPHER_CTX_set_padding(a->evp, 0))
		return a;
	aead_free(a);
	return NULL;
}

/* One direction's keys from its secret.  @header may be NULL (key update). */
static bool keys_make(const struct suite *s, struct conn *conn, const uint8_t *secret,
		      size_t secret_len, bool seal, struct aead **aead, uint8_t iv[IV_LEN],
		      struct aead **header)
{
	uint8_t key[32];
	bool ok;

	*aead = NULL;
	ok = expand_label(s, secret, secret_len, "quic key", key, s->key_len) &&
	     expand_label(s, secret, secret_len, "quic iv", iv, IV_LEN);
	if (ok)
		*aead = aead_new(s, conn, key, seal);
	ok = ok && *aead;
	if (ok && header) {
		*header = NULL;
		if (expand_label(s, secret, secret_len, "quic hp", key, s->key_len))
			*header = header_new(s, key);
		ok = *header != NULL;
	}
	if (!ok) {
		aead_free(*aead);
		*aead = NULL;
	}
	sodium_memzero(key, sizeof(key));
	return ok;
}

static void crypto_ctx(const struct suite *s, ngtcp2_crypto_ctx *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
	/* ngtcp2 only hands these pointers back */
	ctx->aead.native_handle = (void *)(uintptr_t)s;
	ctx->aead.max_overhead = TAG_LEN;
	ctx->md.native_handle = (void *)(uintptr_t)s;
	ctx->hp.native_handle = (void *)(uintptr_t)s;
	ctx->max_encryption = s->max_encryption;
	ctx->max_decryption_failure = s->max_decryption_failure;
}

/* --- installing ------------------------------------------------------------------ */

static bool retry_install(struct conn *c, const struct suite *s)
{
	ngtcp2_crypto_ctx ctx;
	ngtcp2_crypto_aead_ctx key = { NULL };

	crypto_ctx(s, &ctx);
	key.native_handle = aead_new(s, NULL, (const uint8_t *)NGTCP2_RETRY_KEY_V1, true);
	if (!key.native_handle)
		return false;
	ngtcp2_conn_set_retry_aead(c->qc, &ctx.aead, &key);
	return true;
}

int protect_initial(struct conn *c, const ngtcp2_cid *client_dcid)
{
	static const uint8_t salt[] = {
		0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };
	const struct suite *s = c->set->initial_suite;
	uint8_t initial[32], rx_secret[32], tx_secret[32], rx_iv[IV_LEN], tx_iv[IV_LEN];
	struct aead *rx = NULL, *tx = NULL, *rx_hp = NULL, *tx_hp = NULL;
	ngtcp2_crypto_aead_ctx rx_ctx, tx_ctx;
	ngtcp2_crypto_cipher_ctx rx_hp_ctx, tx_hp_ctx;
	ngtcp2_crypto_ctx ctx;

	crypto_ctx(s, &ctx);
	ngtcp2_conn_set_initial_crypto_ctx(c->qc, &ctx);
	if (!hmac("SHA256", salt, sizeof(salt), client_dcid->data, client_dcid->datalen,
		  initial, 32) ||
	    !expand_label(s, initial, 32, c->server ? "client in" : "server in", rx_secret, 32) ||
	    !expand_label(s, initial, 32, c->server ? "server in" : "client in", tx_secret, 32) ||
	    !keys_make(s, NULL, rx_secret, 32, false, &rx, rx_iv, &rx_hp) ||
	    !keys_make(s, NULL, tx_secret, 32, true, &tx, tx_iv, &tx_hp))
		goto fail;
	rx_ctx.native_handle = rx;
	tx_ctx.native_handle = tx;
	rx_hp_ctx.native_handle = rx_hp;
	tx_hp_ctx.native_handle = tx_hp;
	if (ngtcp2_conn_install_initial_key(c->qc, &rx_ctx, rx_iv, &rx_hp_ctx, &tx_ctx, tx_iv,
					    &tx_hp_ctx, IV_LEN))
		goto fail;
	if (!c->server && !ngtcp2_conn_after_retry(c->qc) && !retry_install(c, s))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
fail:
	aead_free(rx);
	aead_free(tx);
	aead_free(rx_hp);
	aead_free(tx_hp);
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int install_rx(struct conn *c, qc_level level, const uint8_t *secret, size_t len)
{
	uint8_t iv[IV_LEN];
	struct aead *key, *hp;
	ngtcp2_crypto_aead_ctx ctx;
	ngtcp2_crypto_cipher_ctx hp_ctx;
	int rv;

	if (!keys_make(c->suite, c, secret, len, false, &key, iv, &hp))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	ctx.native_handle = key;
	hp_ctx.native_handle = hp;
	rv = level == QC_LEVEL_HANDSHAKE ?
	     ngtcp2_conn_install_rx_handshake_key(c->qc, &ctx, iv, IV_LEN, &hp_ctx) :
	     ngtcp2_conn_install_rx_key(c->qc, secret, len, &ctx, iv, IV_LEN, &hp_ctx);
	if (rv) {
		aead_free(key);
		aead_free(hp);
	}
	return rv;
}

static int install_tx(struct conn *c, qc_level level, const uint8_t *secret, size_t len)
{
	uint8_t iv[IV_LEN];
	struct aead *key, *hp;
	ngtcp2_crypto_aead_ctx ctx;
	ngtcp2_crypto_cipher_ctx hp_ctx;
	int rv;

	if (!keys_make(c->suite, c, secret, len, true, &key, iv, &hp))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	ctx.native_handle = key;
	hp_ctx.native_handle = hp;
	rv = level == QC_LEVEL_HANDSHAKE ?
	     ngtcp2_conn_install_tx_handshake_key(c->qc, &ctx, iv, IV_LEN, &hp_ctx) :
	     ngtcp2_conn_install_tx_key(c->qc, secret, len, &ctx, iv, IV_LEN, &hp_ctx);
	if (rv) {
		aead_free(key);
		aead_free(hp);
	}
	return rv;
}

int protect_install(struct conn *c, const struct suite *suite, qc_level level,
		    const uint8_t *rx_secret, const uint8_t *tx_secret, size_t secret_len)
{
	int rv = 0;

	if (!c->suite) {
		ngtcp2_crypto_ctx ctx;

		c->suite = suite;
		crypto_ctx(suite, &ctx);
		ngtcp2_conn_set_crypto_ctx(c->qc, &ctx);
	}
	if (rx_secret)
		rv = install_rx(c, level, rx_secret, secret_len);
	if (!rv && tx_secret)
		rv = install_tx(c, level, tx_secret, secret_len);
	return rv;
}

/* --- per packet -------------------------------------------------------------------- */

static int on_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
		      const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain, size_t len,
		      const uint8_t *nonce, size_t nonce_len, const uint8_t *aad, size_t aad_len)
{
	const struct aead *a = ctx->native_handle;
	int n;

	(void)aead;
	if (a->kind == SUITE_NULL) {
		memmove(dest, plain, len);
		memset(dest + len, NULL_TAG_BYTE, TAG_LEN);
		return 0;
	}
	if (nonce_len != IV_LEN || !EVP_EncryptInit_ex(a->evp, NULL, NULL, NULL, nonce) ||
	    !EVP_EncryptUpdate(a->evp, NULL, &n, aad, (int)aad_len) ||
	    !EVP_EncryptUpdate(a->evp, dest, &n, plain, (int)len) ||
	    !EVP_EncryptFinal_ex(a->evp, dest + len, &n) ||
	    !EVP_CIPHER_CTX_ctrl(a->evp, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, dest + len))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int null_decrypt(uint8_t *dest, const uint8_t *cipher, size_t len)
{
	for (size_t i = 0; i < TAG_LEN; i++)
		if (cipher[len + i] != NULL_TAG_BYTE)
			return NGTCP2_ERR_DECRYPT;
	memmove(dest, cipher, len);
	return 0;
}

static int on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
		      const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *cipher, size_t cipher_len,
		      const uint8_t *nonce, size_t nonce_len, const uint8_t *aad, size_t aad_len)
{
	const struct aead *a = ctx->native_handle;
	size_t len = cipher_len - TAG_LEN;
	uint8_t tag[TAG_LEN];
	int n;

	(void)aead;
	if (cipher_len < TAG_LEN)
		return NGTCP2_ERR_DECRYPT;
	if (a->kind == SUITE_NULL) {
		if (null_decrypt(dest, cipher, len))
			return NGTCP2_ERR_DECRYPT;
	} else {
		memcpy(tag, cipher + len, TAG_LEN);
		if (nonce_len != IV_LEN || !EVP_DecryptInit_ex(a->evp, NULL, NULL, NULL, nonce) ||
		    !EVP_CIPHER_CTX_ctrl(a->evp, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, tag) ||
		    !EVP_DecryptUpdate(a->evp, NULL, &n, aad, (int)aad_len) ||
		    !EVP_DecryptUpdate(a->evp, dest, &n, cipher, (int)len) ||
		    !EVP_DecryptFinal_ex(a->evp, dest + len, &n))
			return NGTCP2_ERR_DECRYPT;
	}
	if (a->conn)
		a->conn->authentic++;
	return 0;
}

static int on_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
		      const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample)
{
	static const uint8_t zero[5];
	const struct aead *a = ctx->native_handle;
	uint8_t block[32];
	int n;

	(void)hp;
	switch (a->kind) {
	case SUITE_NULL:
		memset(dest, 0, 5);
		return 0;
	case SUITE_AES:
		if (!EVP_EncryptUpdate(a->evp, block, &n, sample, 16))
			return NGTCP2_ERR_CALLBACK_FAILURE;
		memcpy(dest, block, 5);
		return 0;
	case SUITE_CHACHA:	/* the sample is counter and nonce, as libcrypto's IV */
		if (!EVP_EncryptInit_ex(a->evp, NULL, NULL, NULL, sample) ||
		    !EVP_EncryptUpdate(a->evp, dest, &n, zero, sizeof(zero)))
			return NGTCP2_ERR_CALLBACK_FAILURE;
		return 0;
	}
	return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_update_key(ngtcp2_conn *qc, uint8_t *rx_secret, uint8_t *tx_secret,
			 ngtcp2_crypto_aead_ctx *rx_ctx, uint8_t *rx_iv,
			 ngtcp2_crypto_aead_ctx *tx_ctx, uint8_t *tx_iv,
			 const uint8_t *rx_now, const uint8_t *tx_now, size_t len, void *user_data)
{
	struct conn *c = user_data;
	struct aead *rx, *tx;

	(void)qc;
	if (!expand_label(c->suite, rx_now, len, "quic ku", rx_secret, len) ||
	    !expand_label(c->suite, tx_now, len, "quic ku", tx_secret, len) ||
	    !keys_make(c->suite, c, rx_secret, len, false, &rx, rx_iv, NULL))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	if (!keys_make(c->suite, c, tx_secret, len, true, &tx, tx_iv, NULL)) {
		aead_free(rx);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	rx_ctx->native_handle = rx;
	tx_ctx->native_handle = tx;
	return 0;
}

static void on_delete_aead(ngtcp2_conn *qc, ngtcp2_crypto_aead_ctx *ctx, void *user_data)
{
	(void)qc;
	(void)user_data;
	aead_free(ctx->native_handle);
}

static void on_delete_cipher(ngtcp2_conn *qc, ngtcp2_crypto_cipher_ctx *ctx, void *user_data)
{
	(void)qc;
	(void)user_data;
	aead_free(ctx->native_handle);
}

void protect_callbacks(ngtcp2_callbacks *cb)
{
	cb->encrypt = on_encrypt;
	cb->decrypt = on_decrypt;
	cb->hp_mask = on_hp_mask;
	cb->update_key = on_update_key;
	cb->delete_crypto_aead_ctx = on_delete_aead;
	cb->delete_crypto_cipher_ctx = on_delete_cipher;
}

size_t protect_write_retry(const struct suite *initial, uint8_t *dst, size_t cap,
			   const ngtcp2_cid *dcid, const ngtcp2_cid *scid, const ngtcp2_cid *odcid,
			   const uint8_t *token, size_t token_len)
{
	ngtcp2_crypto_ctx ctx;
	ngtcp2_crypto_aead_ctx key;
	ngtcp2_ssize n;

	crypto_ctx(initial, &ctx);
	key.native_handle = aead_new(initial, NULL, (const uint8_t *)NGTCP2_RETRY_KEY_V1, true);
	if (!key.native_handle)
		return 0;
	n = ngtcp2_pkt_write_retry(dst, cap, NGTCP2_PROTO_VER_V1, dcid, scid, odcid, token,
				   token_len, on_encrypt, &ctx.aead, &key);
	aead_free(key.native_handle);
	return n > 0 ? (size_t)n : 0;
}
