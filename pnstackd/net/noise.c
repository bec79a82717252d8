/* SPDX-License-Identifier: ISC */
/* The handshake of an adjacency.
 *
 * Theory of operation
 *
 * The pattern is Noise IKpsk0 with X25519, BLAKE2b and ChaCha20-Poly1305, as
 * in WireGuard but for the place of the pre-shared key:
 *
 *	<- s                           the initiator knows the responder's identity
 *	-> psk, e, es, s, ss, payload  (initiation)
 *	<- e, ee, se, payload          (response)
 *
 * The network secret is mixed in first, so that the initiation of a stranger
 * does not even open and gets no answer.  An open network mixes in 32 zeros.
 * What travels as "s" is the Ed25519 identity; both sides convert it to X25519.
 *
 * ck is the chaining key, h the hash of all that was said.  The key derivation
 * is BLAKE2b keyed twice (extract, then expand), in the manner of HKDF.  The
 * initiation has no forward secrecy and can be replayed; its payload starts
 * with (boot counter, counter), which the responder compares with the last it
 * saw, and no session takes effect at the responder before a frame under its
 * keys came (adj_hs.c).
 *
 * mac1 is keyed with the hash of the receiver's identity: what was not meant
 * for us is dropped for the price of one hash.  Under load the responder wants
 * mac2, too, keyed with a cookie that only someone at that address can know.
 *
 * Everything is parsed into locals; outputs are set on success; secrets are
 * wiped at out:.
 */
#include "pnstackd/net/noise.h"

#include <string.h>

#include "libpeernet/base/pn_error.h"

#define CONSTRUCTION "PeerNet link 1: Noise IKpsk0 X25519 BLAKE2b ChaChaPoly"
#define MACS_LEN (2 * NOISE_MAC_LEN)
#define INIT_FIXED 88        /* bytes before the sealed payload */
#define RESPONSE_FIXED 44

enum option_kind { OPTION_CAPS = 1, OPTION_MTU = 2, OPTION_INSTANCE = 3 };

/* Symmetric state ----------------------------------------------------------- */

static void mix_hash(uint8_t h[32], const void *p, size_t len)
{
	crypto_digest2(h, 32, h, 32, p, len);
}

/* (ck, k1, k2) from ck and @in; k1 and k2 may be NULL */
static void mix_key(uint8_t ck[32], uint8_t *k1, uint8_t *k2, const uint8_t *in, size_t len)
{
	uint8_t prk[32], t[33];

	crypto_digest_keyed(prk, 32, ck, 32, in, len);
	t[0] = 1;
	crypto_digest_keyed(ck, 32, prk, 32, t, 1);
	if (k1) {
		memcpy(t, ck, 32);
		t[32] = 2;
		crypto_digest_keyed(k1, 32, prk, 32, t, 33);
	}
	if (k2) {
		memcpy(t, k1, 32);
		t[32] = 3;
		crypto_digest_keyed(k2, 32, prk, 32, t, 33);
	}
	crypto_wipe(prk, sizeof(prk));
	crypto_wipe(t, sizeof(t));
}

static bool mix_dh(uint8_t ck[32], uint8_t *k, const uint8_t secret[32], const uint8_t public[32])
{
	uint8_t dh[32];
	bool ok = crypto_dh(dh, secret, public);

	if (ok)
		mix_key(ck, k, NULL, dh, 32);
	crypto_wipe(dh, sizeof(dh));
	return ok;
}

static void start(uint8_t ck[32], uint8_t h[32], const uint8_t responder_id[32])
{
	crypto_digest(ck, 32, CONSTRUCTION, sizeof(CONSTRUCTION) - 1);
	crypto_digest2(h, 32, ck, 32, responder_id, 32);
}

static void mix_psk(uint8_t ck[32], uint8_t h[32], const uint8_t psk[32])
{
	uint8_t t[32];

	mix_key(ck, t, NULL, psk, 32);		/* psk */
	mix_hash(h, t, 32);
	crypto_wipe(t, sizeof(t));
}

static void mix_ephemeral(uint8_t ck[32], uint8_t h[32], const uint8_t e[32])
{
	mix_hash(h, e, 32);
	mix_key(ck, NULL, NULL, e, 32);		/* as Noise wants it with a psk */
}

/* Options --------------------------------------------------------------------- */

void noise_options_build(struct pn_wr *w, const struct noise_options *opt)
{
	pn_wr_u8(w, OPTION_CAPS);
	pn_wr_u8(w, 4);
	pn_wr_u32(w, opt->caps);
	pn_wr_u8(w, OPTION_MTU);
	pn_wr_u8(w, 4);
	pn_wr_u32(w, opt->mtu);
	pn_wr_u8(w, OPTION_INSTANCE);
	pn_wr_u8(w, 16);
	pn_wr_u64(w, opt->instance);
	pn_wr_u64(w, opt->peer_instance);
}

bool noise_options_parse(struct pn_rd *r, struct noise_options *out)
{
	struct noise_options o = { 0 };
	bool ok = true;

	while (pn_rd_left(r)) {
		uint8_t kind = pn_rd_u8(r);
		struct pn_rd v = pn_rd_sub(r, pn_rd_u8(r));

		switch (kind) {
		case OPTION_CAPS:
			o.caps = pn_rd_u32(&v);
			ok &= pn_rd_finish(&v);
			break;
		case OPTION_MTU:
			o.mtu = pn_rd_u32(&v);
			ok &= pn_rd_finish(&v);
			break;
		case OPTION_INSTANCE:
			o.instance = pn_rd_u64(&v);
			o.peer_instance = pn_rd_u64(&v);
			ok &= pn_rd_finish(&v);
			break;
		default:
			break;	/* of a later version: skipped */
		}
	}
	if (!ok || !pn_rd_finish(r) || !o.mtu || !o.instance)
		return false;
	*out = o;
	return true;
}

/* Initiation -------------------------------------------------------------------- */

size_t noise_create_initiation(struct noise_state *st, const struct noise_local *us,
			       const uint8_t peer_id[32], const uint8_t e_secret[32],
			       uint64_t boot, uint64_t counter, const struct noise_options *opt,
			       uint32_t local_index, uint8_t *frame)
{
	uint8_t k[32], peer_dh[32], e[32], sealed[32 + CRYPTO_TAG_LEN];
	uint8_t payload[NOISE_PAYLOAD_MAX];
	struct pn_wr w, p;
	size_t done = 0;

	crypto_wipe(st, sizeof(*st));
	if (!crypto_dh_of_identity(peer_dh, peer_id))
		return 0;
	start(st->ck, st->h, peer_id);
	mix_psk(st->ck, st->h, us->psk);
	memcpy(st->e_secret, e_secret, 32);
	crypto_dh_public(e, e_secret);
	mix_ephemeral(st->ck, st->h, e);			/* e */
	if (!mix_dh(st->ck, k, e_secret, peer_dh))		/* es */
		goto out;
	crypto_once_seal(sealed, us->id, 32, st->h, 32, 0, k);	/* s */
	mix_hash(st->h, sealed, sizeof(sealed));
	if (!mix_dh(st->ck, k, us->dh_secret, peer_dh))		/* ss */
		goto out;

	pn_wr_init(&p, payload, sizeof(payload) - CRYPTO_TAG_LEN);
	pn_wr_u64(&p, boot);
	pn_wr_u64(&p, counter);
	noise_options_build(&p, opt);
	PN_ASSERT(pn_wr_ok(&p));
	crypto_once_seal(payload, payload, p.len, st->h, 32, 0, k);
	p.len += CRYPTO_TAG_LEN;
	mix_hash(st->h, payload, p.len);

	pn_wr_init(&w, frame, NOISE_INIT_MAX);
	pn_wr_u8(&w, NOISE_TYPE_INIT);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, p.len);
	pn_wr_u32(&w, local_index);
	pn_wr_bytes(&w, e, 32);
	pn_wr_bytes(&w, sealed, sizeof(sealed));
	pn_wr_bytes(&w, payload, p.len);
	memset(pn_wr_reserve(&w, MACS_LEN), 0, MACS_LEN);
	PN_ASSERT(pn_wr_ok(&w));
	st->local_index = local_index;
	st->active = true;
	done = w.len;
out:
	if (!done)
		crypto_wipe(st, sizeof(*st));
	crypto_wipe(k, sizeof(k));
	return done;
}

int noise_consume_initiation(struct noise_initiation *out, const struct noise_local *us,
			     const uint8_t *frame, size_t len)
{
	uint8_t k[32], payload[NOISE_PAYLOAD_MAX];
	struct noise_initiation in = { 0 };
	const uint8_t *e, *sealed_id, *sealed;
	size_t sealed_len;
	struct pn_rd r;
	int err = PN_EBADMSG;

	pn_rd_init(&r, frame, len);
	pn_rd_skip(&r, 2);
	sealed_len = pn_rd_u16(&r);
	in.sender_index = pn_rd_u32(&r);
	e = pn_rd_bytes(&r, 32);
	sealed_id = pn_rd_bytes(&r, 32 + CRYPTO_TAG_LEN);
	sealed = pn_rd_bytes(&r, sealed_len);
	pn_rd_skip(&r, MACS_LEN);
	if (r.bad || sealed_len > sizeof(payload) || sealed_len < CRYPTO_TAG_LEN)
		goto out;

	err = PN_EAUTH;
	start(in.ck, in.h, us->id);
	mix_psk(in.ck, in.h, us->psk);
	memcpy(in.e_public, e, 32);
	mix_ephemeral(in.ck, in.h, e);				/* e */
	if (!mix_dh(in.ck, k, us->dh_secret, e))		/* es */
		goto out;
	if (!crypto_once_open(in.id, sealed_id, 32 + CRYPTO_TAG_LEN, in.h, 32, 0, k))	/* s */
		goto out;
	mix_hash(in.h, sealed_id, 32 + CRYPTO_TAG_LEN);
	if (!crypto_dh_of_identity(in.dh_public, in.id))
		goto out;
	if (!mix_dh(in.ck, k, us->dh_secret, in.dh_public))	/* ss */
		goto out;
	if (!crypto_once_open(payload, sealed, sealed_len, in.h, 32, 0, k))
		goto out;
	mix_hash(in.h, sealed, sealed_len);

	err = PN_EBADMSG;
	pn_rd_init(&r, payload, sealed_len - CRYPTO_TAG_LEN);
	in.boot = pn_rd_u64(&r);
	in.counter = pn_rd_u64(&r);
	if (!noise_options_parse(&r, &in.options))
		goto out;
	*out = in;
	err = 0;
out:
	crypto_wipe(k, sizeof(k));
	crypto_wipe(payload, sizeof(payload));
	crypto_wipe(&in, sizeof(in));
	return err;
}

/* Response ------------------------------------------------------------------------ */

size_t noise_create_response(struct noise_keys *keys, const struct noise_initiation *in,
			     const uint8_t e_secret[32], const struct noise_options *opt,
			     uint32_t local_index, uint8_t *frame)
{
	uint8_t ck[32], h[32], k[32], e[32], payload[NOISE_PAYLOAD_MAX];
	struct pn_wr w, p;
	size_t done = 0;

	memcpy(ck, in->ck, 32);
	memcpy(h, in->h, 32);
	crypto_dh_public(e, e_secret);
	mix_ephemeral(ck, h, e);				/* e */
	if (!mix_dh(ck, NULL, e_secret, in->e_public))		/* ee */
		goto out;
	if (!mix_dh(ck, k, e_secret, in->dh_public))		/* se */
		goto out;
	pn_wr_init(&p, payload, sizeof(payload) - CRYPTO_TAG_LEN);
	noise_options_build(&p, opt);
	PN_ASSERT(pn_wr_ok(&p));
	crypto_once_seal(payload, payload, p.len, h, 32, 0, k);
	p.len += CRYPTO_TAG_LEN;

	pn_wr_init(&w, frame, NOISE_RESPONSE_MAX);
	pn_wr_u8(&w, NOISE_TYPE_RESPONSE);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, p.len);
	pn_wr_u32(&w, local_index);
	pn_wr_u32(&w, in->sender_index);
	pn_wr_bytes(&w, e, 32);
	pn_wr_bytes(&w, payload, p.len);
	memset(pn_wr_reserve(&w, MACS_LEN), 0, MACS_LEN);
	PN_ASSERT(pn_wr_ok(&w));
	mix_key(ck, keys->rx, keys->tx, NULL, 0);	/* the initiator sends with the first */
	done = w.len;
out:
	crypto_wipe(ck, sizeof(ck));
	crypto_wipe(k, sizeof(k));
	return done;
}

int noise_consume_response(struct noise_keys *keys, struct noise_options *opt,
			   uint32_t *sender_index, const struct noise_state *st,
			   const struct noise_local *us, const uint8_t *frame, size_t len)
{
	uint8_t ck[32], h[32], k[32], payload[NOISE_PAYLOAD_MAX];
	struct noise_options o;
	const uint8_t *e, *sealed;
	size_t sealed_len;
	uint32_t sender;
	struct pn_rd r;
	int err = PN_EBADMSG;

	PN_ASSERT(st->active);
	pn_rd_init(&r, frame, len);
	pn_rd_skip(&r, 2);
	sealed_len = pn_rd_u16(&r);
	sender = pn_rd_u32(&r);
	pn_rd_skip(&r, 4);
	e = pn_rd_bytes(&r, 32);
	sealed = pn_rd_bytes(&r, sealed_len);
	pn_rd_skip(&r, MACS_LEN);
	if (r.bad || sealed_len > sizeof(payload) || sealed_len < CRYPTO_TAG_LEN)
		return PN_EBADMSG;

	memcpy(ck, st->ck, 32);
	memcpy(h, st->h, 32);
	err = PN_EAUTH;
	mix_ephemeral(ck, h, e);				/* e */
	if (!mix_dh(ck, NULL, st->e_secret, e))			/* ee */
		goto out;
	if (!mix_dh(ck, k, us->dh_secret, e))			/* se */
		goto out;
	if (!crypto_once_open(payload, sealed, sealed_len, h, 32, 0, k))
		goto out;
	err = PN_EBADMSG;
	pn_rd_init(&r, payload, sealed_len - CRYPTO_TAG_LEN);
	if (!noise_options_parse(&r, &o))
		goto out;
	mix_key(ck, keys->tx, keys->rx, NULL, 0);
	*opt = o;
	*sender_index = sender;
	err = 0;
out:
	crypto_wipe(ck, sizeof(ck));
	crypto_wipe(k, sizeof(k));
	crypto_wipe(payload, sizeof(payload));
	return err;
}

static uint32_t u32_at(const uint8_t *frame, size_t len, size_t at)
{
	struct pn_rd r;

	pn_rd_init(&r, frame, len);
	pn_rd_skip(&r, at);
	return pn_rd_u32(&r);
}

uint32_t noise_response_receiver(const uint8_t *frame, size_t len)
{
	return u32_at(frame, len, 8);
}

uint32_t noise_cookie_receiver(const uint8_t *frame, size_t len)
{
	return u32_at(frame, len, 4);
}

/* MACs and cookies ------------------------------------------------------------------ */

size_t noise_frame_len(const uint8_t *frame, size_t len)
{
	struct pn_rd r;
	size_t want;
	uint8_t type;

	pn_rd_init(&r, frame, len);
	type = pn_rd_u8(&r);
	pn_rd_u8(&r);
	want = (type == NOISE_TYPE_INIT ? INIT_FIXED : RESPONSE_FIXED) + pn_rd_u16(&r) + MACS_LEN;
	return r.bad || want > len ? 0 : want;
}

void noise_mac1_key(uint8_t key[32], const uint8_t receiver_id[32])
{
	crypto_digest2(key, 32, "PeerNet mac1", 12, receiver_id, 32);
}

void noise_cookie_key(uint8_t key[32], const uint8_t receiver_id[32])
{
	crypto_digest2(key, 32, "PeerNet cookie", 14, receiver_id, 32);
}

void noise_macs_set(uint8_t *frame, size_t len, const uint8_t receiver_id[32],
		    const uint8_t *cookie)
{
	uint8_t key[32];

	PN_ASSERT(len > MACS_LEN);
	noise_mac1_key(key, receiver_id);
	crypto_digest_keyed(frame + len - 32, NOISE_MAC_LEN, key, 32, frame, len - 32);
	memset(frame + len - 16, 0, NOISE_MAC_LEN);
	if (cookie)
		crypto_digest_keyed(frame + len - 16, NOISE_MAC_LEN, cookie, NOISE_COOKIE_LEN,
				    frame, len - 16);
}

bool noise_mac1_check(const uint8_t *frame, size_t len, const uint8_t mac1_key[32])
{
	uint8_t mac[NOISE_MAC_LEN];

	PN_ASSERT(len > MACS_LEN);
	crypto_digest_keyed(mac, sizeof(mac), mac1_key, 32, frame, len - 32);
	return crypto_equal(mac, frame + len - 32, sizeof(mac));
}

bool noise_mac2_check(const uint8_t *frame, size_t len, const uint8_t cookie[NOISE_COOKIE_LEN])
{
	uint8_t mac[NOISE_MAC_LEN];

	PN_ASSERT(len > MACS_LEN);
	crypto_digest_keyed(mac, sizeof(mac), cookie, NOISE_COOKIE_LEN, frame, len - 16);
	return crypto_equal(mac, frame + len - 16, sizeof(mac));
}

void noise_cookie_of(uint8_t cookie[NOISE_COOKIE_LEN], const uint8_t secret[32],
		     const struct pn_lladdr *ll)
{
	PN_ASSERT(ll->len <= PN_LLADDR_MAX);
	crypto_digest_keyed(cookie, NOISE_COOKIE_LEN, secret, 32, ll->b, ll->len);
}

/* The key is fresh for every nonce, so the AEAD's own nonce may be 0. */
static void cookie_box_key(uint8_t key[32], const uint8_t cookie_key[32], const uint8_t nonce[16])
{
	crypto_digest_keyed(key, 32, cookie_key, 32, nonce, 16);
}

size_t noise_create_cookie(uint8_t *frame, const uint8_t *to, size_t to_len,
			   const uint8_t cookie[NOISE_COOKIE_LEN], const uint8_t cookie_key[32],
			   const uint8_t nonce[16])
{
	uint8_t key[32];
	struct pn_wr w;

	PN_ASSERT(to_len > MACS_LEN);
	cookie_box_key(key, cookie_key, nonce);
	pn_wr_init(&w, frame, NOISE_COOKIE_FRAME_LEN);
	pn_wr_u8(&w, NOISE_TYPE_COOKIE);
	pn_wr_u8(&w, NOISE_VERSION);
	pn_wr_u16(&w, 0);
	pn_wr_u32(&w, u32_at(to, to_len, 4));
	pn_wr_bytes(&w, nonce, 16);
	crypto_once_seal(pn_wr_reserve(&w, NOISE_COOKIE_LEN + CRYPTO_TAG_LEN), cookie,
			 NOISE_COOKIE_LEN, to + to_len - 32, NOISE_MAC_LEN, 0, key);
	PN_ASSERT(w.len == NOISE_COOKIE_FRAME_LEN);
	crypto_wipe(key, sizeof(key));
	return w.len;
}

int noise_consume_cookie(uint8_t cookie[NOISE_COOKIE_LEN], const uint8_t *frame, size_t len,
			 const uint8_t sender_id[32], const uint8_t mac1[NOISE_MAC_LEN])
{
	uint8_t key[32], out[NOISE_COOKIE_LEN];
	const uint8_t *nonce, *sealed;
	struct pn_rd r;

	pn_rd_init(&r, frame, len);
	pn_rd_skip(&r, 8);
	nonce = pn_rd_bytes(&r, 16);
	sealed = pn_rd_bytes(&r, NOISE_COOKIE_LEN + CRYPTO_TAG_LEN);
	if (r.bad)
		return PN_EBADMSG;
	noise_cookie_key(key, sender_id);
	cookie_box_key(key, key, nonce);
	if (!crypto_once_open(out, sealed, NOISE_COOKIE_LEN + CRYPTO_TAG_LEN, mac1,
			      NOISE_MAC_LEN, 0, key))
		return PN_EAUTH;
	memcpy(cookie, out, sizeof(out));
	return 0;
}
