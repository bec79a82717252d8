/* SPDX-License-Identifier: ISC */
/* crypto.h - the only door of the network layer to libsodium and libcrypto
 *
 * Names are chosen so that none collides with a function of libsodium, which
 * has crypto_hash(), crypto_sign() and others of its own.  Nothing here draws
 * randomness or reads a clock; random bytes come from net_random().
 *
 * Keys, signatures, BLAKE2b and SipHash are libsodium's; frames are sealed by
 * libcrypto with contexts that are made once for each key (it allocates them
 * itself, when a key comes into use, and frees them in crypto_aead_fini()).
 */
#ifndef PN_NET_CRYPTO_H
#define PN_NET_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pn_assert.h"

#define CRYPTO_KEY_LEN   32  /* bytes: of all symmetric keys, X25519 keys, identities */
#define CRYPTO_HASH_LEN  32  /* bytes: the usual length of a digest */
#define CRYPTO_TAG_LEN   16  /* bytes an AEAD appends */
#define CRYPTO_SIG_LEN   64  /* bytes of a signature */

/* Hashes ---------------------------------------------------------------- */

/** struct crypto_part - a piece of what is to be hashed; borrowed */
struct crypto_part { const void *p; size_t len; };

/** crypto_digest_parts() - BLAKE2b of several pieces, as if they stood in a row
 *  @out_len: 16..64        @key: NULL, or a key of @key_len (1..64) bytes */
void crypto_digest_parts(void *out, size_t out_len, const void *key, size_t key_len,
			 const struct crypto_part *parts, size_t part_count);

/** crypto_digest() - BLAKE2b of one input */
void crypto_digest(void *out, size_t out_len, const void *in, size_t in_len);

/** crypto_digest2() - BLAKE2b of two inputs in a row */
void crypto_digest2(void *out, size_t out_len, const void *a, size_t a_len,
		    const void *b, size_t b_len);

/** crypto_digest_keyed() - BLAKE2b as a keyed hash (MAC, PRF) of one input */
void crypto_digest_keyed(void *out, size_t out_len, const void *key, size_t key_len,
			 const void *in, size_t in_len);

/** crypto_siphash() - short keyed hash for tables; not for secrets */
uint64_t crypto_siphash(const uint8_t key[16], const void *in, size_t in_len);

/* Identities and signatures ------------------------------------------------ */

/** crypto_identity() - keys of an Ed25519 seed
 *  @id:       out, public key
 *  @sign_key: out, secret, for crypto_sig_make(); wipe it */
void crypto_identity(const uint8_t seed[32], uint8_t id[32], uint8_t sign_key[64]);

void crypto_sig_make(uint8_t sig[64], const void *msg, size_t len, const uint8_t sign_key[64]);
bool crypto_sig_check(const uint8_t sig[64], const void *msg, size_t len, const uint8_t id[32]);

/* Key agreement ------------------------------------------------------------ */

/** crypto_dh_of_identity() - the X25519 public key that belongs to an identity
 *  Return: false if the identity is not a point of the right group */
PN_MUST_CHECK bool crypto_dh_of_identity(uint8_t dh_public[32], const uint8_t id[32]);

/** crypto_dh_of_sign_key() - the X25519 pair that belongs to our own identity */
void crypto_dh_of_sign_key(uint8_t dh_secret[32], uint8_t dh_public[32],
			   const uint8_t sign_key[64]);

/** crypto_dh_public() - public half of 32 random bytes */
void crypto_dh_public(uint8_t dh_public[32], const uint8_t dh_secret[32]);

/** crypto_dh() - X25519.  Return: false if @theirs is of small order; @out is wiped then */
PN_MUST_CHECK bool crypto_dh(uint8_t out[32], const uint8_t secret[32], const uint8_t theirs[32]);

/* Small things -------------------------------------------------------------- */

/** crypto_expand() - @len bytes of ChaCha20 key stream; deterministic
 *  @nonce: never the same twice with one key, if the bytes are to be random */
void crypto_expand(void *out, size_t len, const uint8_t key[32], uint64_t nonce);
void crypto_wipe(void *p, size_t len);
/** crypto_equal() - in constant time */
bool crypto_equal(const void *a, const void *b, size_t len);

/** crypto_once_seal() - ChaCha20-Poly1305 once, for handshakes
 *  @out: @len + CRYPTO_TAG_LEN bytes; may be @in */
void crypto_once_seal(uint8_t *out, const uint8_t *in, size_t len, const void *ad, size_t ad_len,
		     uint64_t nonce, const uint8_t key[32]);
/** crypto_once_open() - @len counts the tag.  Return: false if forged; @out is then undefined */
PN_MUST_CHECK bool crypto_once_open(uint8_t *out, const uint8_t *in, size_t len, const void *ad,
				   size_t ad_len, uint64_t nonce, const uint8_t key[32]);

/* Sealing frames ------------------------------------------------------------- */

enum crypto_cipher { CRYPTO_CHACHA20, CRYPTO_AES256_GCM };

/** crypto_has_aes() - does this processor have AES instructions? */
bool crypto_has_aes(void);

/** struct crypto_ciphers - the algorithms, looked up in libcrypto once */
struct crypto_ciphers { void *aes, *chacha; };
/** crypto_ciphers_init() - Return: false if libcrypto lacks one of them */
PN_MUST_CHECK bool crypto_ciphers_init(struct crypto_ciphers *c);
void crypto_ciphers_fini(struct crypto_ciphers *c);

/** struct crypto_aead - both directions of one session; all zero: unused */
struct crypto_aead { void *tx, *rx; };
/** crypto_aead_init() - Return: false if libcrypto had no memory; nothing is held then */
PN_MUST_CHECK bool crypto_aead_init(struct crypto_aead *a, const struct crypto_ciphers *c,
				    enum crypto_cipher cipher, const uint8_t tx_key[32],
				    const uint8_t rx_key[32]);
/** crypto_aead_fini() - wipes and frees; also of an unused one */
void crypto_aead_fini(struct crypto_aead *a);

/** crypto_aead_seal() - in place; the nonce is @counter, never the same twice
 *  @ad, @ad2: associated data in two pieces; ad2_len may be 0
 *  @buf:      @len bytes, sealed where they stand
 *  @tag:      out, CRYPTO_TAG_LEN bytes */
void crypto_aead_seal(struct crypto_aead *a, uint64_t counter, const void *ad, size_t ad_len,
		      const void *ad2, size_t ad2_len, uint8_t *buf, size_t len, uint8_t *tag);
/** crypto_aead_open() - in place.  Return: false if forged; @buf is then undefined */
PN_MUST_CHECK bool crypto_aead_open(struct crypto_aead *a, uint64_t counter, const void *ad,
				    size_t ad_len, const void *ad2, size_t ad2_len, uint8_t *buf,
				    size_t len, const uint8_t *tag);

#endif
