/* SPDX-License-Identifier: ISC */
/* The wrappers told in crypto.h.  A failure of libcrypto that only our own
 * mistake can cause is asserted. */
#include "pnstackd/net/crypto.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#define NONCE_LEN 12	/* bytes, of both ciphers */

static_assert(crypto_generichash_blake2b_BYTES_MAX == 64, "BLAKE2b");
static_assert(crypto_sign_SECRETKEYBYTES == 64, "Ed25519");

/* Hashes ------------------------------------------------------------------ */

void crypto_digest_parts(void *out, size_t out_len, const void *key, size_t key_len,
			 const struct crypto_part *parts, size_t part_count)
{
	crypto_generichash_blake2b_state st;

	PN_ASSERT(out_len >= 16);
	PN_ASSERT(out_len <= 64);
	PN_ASSERT(key_len <= 64);
	crypto_generichash_blake2b_init(&st, key, key_len, out_len);
	for (size_t i = 0; i < part_count; i++)
		crypto_generichash_blake2b_update(&st, parts[i].p, parts[i].len);
	crypto_generichash_blake2b_final(&st, out, out_len);
	if (key_len)
		sodium_memzero(&st, sizeof(st));
}

void crypto_digest(void *out, size_t out_len, const void *in, size_t in_len)
{
	crypto_digest_parts(out, out_len, NULL, 0, &(struct crypto_part){ in, in_len }, 1);
}

void crypto_digest2(void *out, size_t out_len, const void *a, size_t a_len,
		    const void *b, size_t b_len)
{
	struct crypto_part parts[2] = { { a, a_len }, { b, b_len } };

	crypto_digest_parts(out, out_len, NULL, 0, parts, 2);
}

void crypto_digest_keyed(void *out, size_t out_len, const void *key, size_t key_len,
			 const void *in, size_t in_len)
{
	crypto_digest_parts(out, out_len, key, key_len, &(struct crypto_part){ in, in_len }, 1);
}

uint64_t crypto_siphash(const uint8_t key[16], const void *in, size_t in_len)
{
	uint8_t out[8];
	uint64_t v = 0;

	crypto_shorthash_siphash24(out, in, in_len, key);
	for (int i = 0; i < 8; i++)
		v = v << 8 | out[i];
	return v;
}

/* Identities, signatures, key agreement ------------------------------------ */

void crypto_identity(const uint8_t seed[32], uint8_t id[32], uint8_t sign_key[64])
{
	crypto_sign_ed25519_seed_keypair(id, sign_key, seed);
}

void crypto_sig_make(uint8_t sig[64], const void *msg, size_t len, const uint8_t sign_key[64])
{
	crypto_sign_ed25519_detached(sig, NULL, msg, len, sign_key);
}

bool crypto_sig_check(const uint8_t sig[64], const void *msg, size_t len, const uint8_t id[32])
{
	return crypto_sign_ed25519_verify_detached(sig, msg, len, id) == 0;
}

bool crypto_dh_of_identity(uint8_t dh_public[32], const uint8_t id[32])
{
	return crypto_sign_ed25519_pk_to_curve25519(dh_public, id) == 0;
}

void crypto_dh_of_sign_key(uint8_t dh_secret[32], uint8_t dh_public[32],
			   const uint8_t sign_key[64])
{
	crypto_sign_ed25519_sk_to_curve25519(dh_secret, sign_key);
	crypto_scalarmult_curve25519_base(dh_public, dh_secret);
}

void crypto_dh_public(uint8_t dh_public[32], const uint8_t dh_secret[32])
{
	crypto_scalarmult_curve25519_base(dh_public, dh_secret);
}

bool crypto_dh(uint8_t out[32], const uint8_t secret[32], const uint8_t theirs[32])
{
	if (crypto_scalarmult_curve25519(out, secret, theirs) == 0)
		return true;
	sodium_memzero(out, 32);
	return false;
}

/* Small things --------------------------------------------------------------- */

static void nonce_of(uint8_t nonce[NONCE_LEN], uint64_t counter)
{
	memset(nonce, 0, NONCE_LEN - 8);
	for (int i = 0; i < 8; i++)
		nonce[NONCE_LEN - 1 - i] = (uint8_t)(counter >> (8 * i));
}

void crypto_expand(void *out, size_t len, const uint8_t key[32], uint64_t nonce)
{
	uint8_t n[NONCE_LEN];

	nonce_of(n, nonce);
	crypto_stream_chacha20_ietf(out, len, n, key);
}

void crypto_wipe(void *p, size_t len)
{
	sodium_memzero(p, len);
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return sodium_memcmp(a, b, len) == 0;
}

void crypto_once_seal(uint8_t *out, const uint8_t *in, size_t len, const void *ad, size_t ad_len,
		     uint64_t nonce, const uint8_t key[32])
{
	uint8_t n[NONCE_LEN];

	nonce_of(n, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, ad, ad_len, NULL, n, key);
}

bool crypto_once_open(uint8_t *out, const uint8_t *in, size_t len, const void *ad,
		     size_t ad_len, uint64_t nonce, const uint8_t key[32])
{
	uint8_t n[NONCE_LEN];

	if (len < CRYPTO_TAG_LEN)
		return false;
	nonce_of(n, nonce);
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, ad, ad_len, n,
							 key) == 0;
}

/* Sealing frames --------------------------------------------------------------- */

bool crypto_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
	uint32_t a = 1, b, c = 0, d;

	/* CPUID leaf 1: ECX bit 25 AES-NI, bit 1 PCLMULQDQ (GCM needs both) */
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return (c & (1u << 25)) && (c & (1u << 1));
#elif defined(__ARM_FEATURE_AES) || defined(__ARM_FEATURE_CRYPTO)
	return true;
#else
	return false;
#endif
}

bool crypto_ciphers_init(struct crypto_ciphers *c)
{
	c->aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	c->chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	if (c->aes && c->chacha)
		return true;
	crypto_ciphers_fini(c);
	return false;
}

void crypto_ciphers_fini(struct crypto_ciphers *c)
{
	EVP_CIPHER_free(c->aes);
	EVP_CIPHER_free(c->chacha);
	c->aes = NULL;
	c->chacha = NULL;
}

bool crypto_aead_init(struct crypto_aead *a, const struct crypto_ciphers *c,
		      enum crypto_cipher cipher, const uint8_t tx_key[32],
		      const uint8_t rx_key[32])
{
	const EVP_CIPHER *evp = cipher == CRYPTO_AES256_GCM ? c->aes : c->chacha;

	PN_ASSERT(!a->tx);
	PN_ASSERT(!a->rx);
	a->tx = EVP_CIPHER_CTX_new();
	a->rx = EVP_CIPHER_CTX_new();
	if (a->tx && a->rx && EVP_EncryptInit_ex(a->tx, evp, NULL, tx_key, NULL) == 1 &&
	    EVP_DecryptInit_ex(a->rx, evp, NULL, rx_key, NULL) == 1)
		return true;
	crypto_aead_fini(a);
	return false;
}

void crypto_aead_fini(struct crypto_aead *a)
{
	EVP_CIPHER_CTX_free(a->tx);
	EVP_CIPHER_CTX_free(a->rx);
	a->tx = NULL;
	a->rx = NULL;
}

void crypto_aead_seal(struct crypto_aead *a, uint64_t counter, const void *ad, size_t ad_len,
		      const void *ad2, size_t ad2_len, uint8_t *buf, size_t len, uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = a->tx;
	uint8_t nonce[NONCE_LEN];
	int n = 0, ok;

	PN_ASSERT(ctx);
	nonce_of(nonce, counter);
	ok = EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce);
	ok &= EVP_EncryptUpdate(ctx, NULL, &n, ad, (int)ad_len);
	if (ad2_len)
		ok &= EVP_EncryptUpdate(ctx, NULL, &n, ad2, (int)ad2_len);
	if (len)
		ok &= EVP_EncryptUpdate(ctx, buf, &n, buf, (int)len);
	ok &= EVP_EncryptFinal_ex(ctx, tag, &n);
	ok &= EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_TAG_LEN, tag);
	PN_ASSERT(ok == 1);
}

bool crypto_aead_open(struct crypto_aead *a, uint64_t counter, const void *ad,
		      size_t ad_len, const void *ad2, size_t ad2_len, uint8_t *buf,
		      size_t len, const uint8_t *tag)
{
	EVP_CIPHER_CTX *ctx = a->rx;
	uint8_t nonce[NONCE_LEN], copy[CRYPTO_TAG_LEN];
	int n = 0, ok;

	PN_ASSERT(ctx);
	nonce_of(nonce, counter);
	memcpy(copy, tag, sizeof(copy));	/* libcrypto wants it writable */
	ok = EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce);
	ok &= EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG_LEN, copy);
	ok &= EVP_DecryptUpdate(ctx, NULL, &n, ad, (int)ad_len);
	if (ad2_len)
		ok &= EVP_DecryptUpdate(ctx, NULL, &n, ad2, (int)ad2_len);
	if (len)
		ok &= EVP_DecryptUpdate(ctx, buf, &n, buf, (int)len);
	return ok == 1 && EVP_DecryptFinal_ex(ctx, copy, &n) == 1;
}
