/* SPDX-License-Identifier: ISC */
/* noise.h - the handshake of an adjacency: Noise IK, with a cookie under load
 *
 * Pure functions over bytes: no table, no timer.  create_*() writes a frame,
 * consume_*() reads one; a consume that fails leaves its outputs untouched.
 *
 * All numbers are big endian.  A frame may be followed by padding of the link,
 * which is why each one says how long its sealed part is.
 *
 *   initiation  0 type 1 | version 1 | length of the sealed payload 2 | sender
 *               index 4 | 8 ephemeral 32 | 40 identity, sealed 32 + 16 | 88
 *               payload, sealed: boot 8, counter 8, options, tag 16 | mac1 16 | mac2 16
 *   response    0 type 1 | version 1 | length of the sealed payload 2 | sender
 *               index 4 | 8 receiver index 4 | 12 ephemeral 32 | 44 payload,
 *               sealed: options, tag 16 | mac1 16 | mac2 16
 *   cookie      0 type 1 | version 1 | zero 2 | receiver index 4 | 8 nonce 16 |
 *               24 cookie, sealed 16 + 16
 *   option      kind 1 | length 1 | value; unknown kinds are skipped
 */
#ifndef PN_NET_NOISE_H
#define PN_NET_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/bytes.h"
#include "libpeernet/base/pkt.h"
#include "pnstackd/net/crypto.h"

#define NOISE_VERSION       1
#define NOISE_TYPE_INIT     2     /* first bytes of the frames: see adj_int.h */
#define NOISE_TYPE_RESPONSE 3
#define NOISE_TYPE_COOKIE   4

#define NOISE_MAC_LEN       16
#define NOISE_COOKIE_LEN    16
#define NOISE_PAYLOAD_MAX   256   /* bytes of a sealed payload, tag included */
#define NOISE_INIT_MAX      (88 + NOISE_PAYLOAD_MAX + 2 * NOISE_MAC_LEN)
#define NOISE_RESPONSE_MAX  (44 + NOISE_PAYLOAD_MAX + 2 * NOISE_MAC_LEN)
#define NOISE_COOKIE_FRAME_LEN 56
#define NOISE_COOKIE_NS     PN_S(120)   /* a cookie is good for so long */

/** struct noise_local - who we are; all borrowed, @psk all zero in an open network */
struct noise_local {
	const uint8_t *id, *dh_secret, *dh_public, *psk;
};

/** struct noise_options - what both tell each other, sealed
 *  @caps:          NOISE_CAP_*
 *  @mtu:           largest frame the sender's link carries
 *  @instance:      random number of the sender's side of this adjacency
 *  @peer_instance: what it takes for the receiver's; 0: it knows none */
struct noise_options {
	uint32_t caps;
	uint32_t mtu;
	uint64_t instance;
	uint64_t peer_instance;
};
#define NOISE_CAP_AES       1u    /* has AES instructions: used if both have */
#define NOISE_CAP_SEAL_FULL 2u    /* wants payloads sealed too: done if either wants it */
#define NOISE_CAP_LEAF      4u    /* carries nobody else's traffic */
#define NOISE_CAP_WANT      8u    /* Ethernet: wants the other one for a neighbour */

void noise_options_build(struct pn_wr *w, const struct noise_options *opt);
/** noise_options_parse() - reads to the end.  Return: false if one is malformed or
 *  mtu or instance is missing */
PN_MUST_CHECK bool noise_options_parse(struct pn_rd *r, struct noise_options *out);

/** struct noise_state - an initiation under way, at the initiator; secret */
struct noise_state {
	bool active;
	uint32_t local_index;
	uint8_t ck[32], h[32], e_secret[32];
};

/** struct noise_initiation - a consumed initiation, at the responder; secret */
struct noise_initiation {
	uint32_t sender_index;
	uint8_t id[32];
	uint64_t boot, counter;      /* together the timestamp: must grow */
	struct noise_options options;
	uint8_t ck[32], h[32], e_public[32], dh_public[32];
};

/** struct noise_keys - what comes out; secret */
struct noise_keys { uint8_t tx[32], rx[32]; };

/** noise_create_initiation() - Return: bytes at @frame (NOISE_INIT_MAX fit), macs still
 *  zero; 0 if @peer_id is no identity
 *  @e_secret: 32 fresh random bytes */
size_t noise_create_initiation(struct noise_state *st, const struct noise_local *us,
			       const uint8_t peer_id[32], const uint8_t e_secret[32],
			       uint64_t boot, uint64_t counter, const struct noise_options *opt,
			       uint32_t local_index, uint8_t *frame);

/** noise_consume_initiation() - Return: 0; PN_EBADMSG (form); PN_EAUTH: not for us,
 *  forged or another network secret */
PN_MUST_CHECK int noise_consume_initiation(struct noise_initiation *out,
					   const struct noise_local *us,
					   const uint8_t *frame, size_t len);

/** noise_create_response() - Return: bytes at @frame (NOISE_RESPONSE_MAX fit); 0 if the
 *  initiator's keys are bad */
size_t noise_create_response(struct noise_keys *keys, const struct noise_initiation *in,
			     const uint8_t e_secret[32], const struct noise_options *opt,
			     uint32_t local_index, uint8_t *frame);

/** noise_consume_response() - Return: 0; PN_EBADMSG; PN_EAUTH.  The state stays active */
PN_MUST_CHECK int noise_consume_response(struct noise_keys *keys, struct noise_options *opt,
					 uint32_t *sender_index, const struct noise_state *st,
					 const struct noise_local *us,
					 const uint8_t *frame, size_t len);

/** noise_response_receiver() - the receiver index of a response; 0 if too short */
uint32_t noise_response_receiver(const uint8_t *frame, size_t len);

/* MACs and cookies.  mac1 proves that the sender knows whom it talks to, mac2
 * that it can receive at its address. */

/** noise_frame_len() - bytes of an initiation or response without what the link
 *  padded.  Return: 0 if it is too short for what it says */
size_t noise_frame_len(const uint8_t *frame, size_t len);
/** noise_mac1_key(), noise_cookie_key() - derived from the receiver's identity */
void noise_mac1_key(uint8_t key[32], const uint8_t receiver_id[32]);
void noise_cookie_key(uint8_t key[32], const uint8_t receiver_id[32]);
/** noise_macs_set() - fill in the macs of a frame just created
 *  @cookie: NULL, or the cookie that the receiver gave us */
void noise_macs_set(uint8_t *frame, size_t len, const uint8_t receiver_id[32],
		    const uint8_t *cookie);
/** noise_mac1_check() - cheap, constant time; @len from noise_frame_len() */
bool noise_mac1_check(const uint8_t *frame, size_t len, const uint8_t mac1_key[32]);
bool noise_mac2_check(const uint8_t *frame, size_t len, const uint8_t cookie[NOISE_COOKIE_LEN]);
/** noise_cookie_of() - the cookie of a station, from a secret that changes */
void noise_cookie_of(uint8_t cookie[NOISE_COOKIE_LEN], const uint8_t secret[32],
		     const struct pn_lladdr *ll);
/** noise_create_cookie() - Return: NOISE_COOKIE_FRAME_LEN, the bytes at @frame
 *  @to, @to_len: the initiation that it answers   @nonce: random */
size_t noise_create_cookie(uint8_t *frame, const uint8_t *to, size_t to_len,
			   const uint8_t cookie[NOISE_COOKIE_LEN], const uint8_t cookie_key[32],
			   const uint8_t nonce[16]);
/** noise_consume_cookie() - Return: 0; PN_EBADMSG; PN_EAUTH
 *  @mac1: of the frame that we sent */
PN_MUST_CHECK int noise_consume_cookie(uint8_t cookie[NOISE_COOKIE_LEN],
				       const uint8_t *frame, size_t len,
				       const uint8_t sender_id[32],
				       const uint8_t mac1[NOISE_MAC_LEN]);
/** noise_cookie_receiver() - the receiver index of a cookie frame; 0 if too short */
uint32_t noise_cookie_receiver(const uint8_t *frame, size_t len);

#endif
