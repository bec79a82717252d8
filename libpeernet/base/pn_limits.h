/* SPDX-License-Identifier: ISC */
/* The one place for maxima: every table, queue, retry, loop and nesting that
 * has a limit names it here, and the arithmetic between them is checked below.
 * Include this file wherever a limit is needed; never repeat a number. */
#ifndef PN_LIMITS_H
#define PN_LIMITS_H

#include <assert.h>	/* static_assert */

/* --- identities ------------------------------------------------------- */
#define PN_ID_LEN		32	/* bytes, an Ed25519 public key */
#define PN_ID_TEXT_LEN		52	/* characters of base32, without NUL */
#define PN_HIT_LEN		16	/* bytes, an IPv6 address */
#define PN_LABEL_MAX		63	/* characters of a petname, RFC 1035 */
#define PN_NAME_MAX		255	/* characters of a host name, RFC 1035 */

static_assert(PN_ID_TEXT_LEN == (PN_ID_LEN * 8 + 4) / 5,
	      "base32 carries 5 bits in each character");
static_assert(PN_ID_TEXT_LEN <= PN_LABEL_MAX, "a key must fit one label");

/* --- packets ---------------------------------------------------------- */
#define PN_MTU_MIN		1280	/* bytes of network packet that every
					 * link must carry */
#define PN_PKT_MAX		9216	/* bytes of the largest network packet */
#define PN_PKT_HEADROOM		128	/* bytes kept free before the data */
#define PN_PKT_TAILROOM		32	/* bytes kept free behind the payload */
#define PN_DATAGRAM_MAX		65507	/* bytes of an application's datagram,
					 * as UDP over IPv4 */
#define PN_POOL_MAX		(1U << 20) /* packets in one pool */

static_assert(PN_MTU_MIN <= PN_PKT_MAX, "the smallest packet is a packet");
static_assert(PN_PKT_TAILROOM >= 16, "an AEAD tag must fit");
static_assert(PN_DATAGRAM_MAX <= 65535, "a datagram's length has 16 bits");

/* --- link layer ------------------------------------------------------- */
#define PN_LLADDR_MAX		19	/* bytes, so that pn_lladdr has 20 */

static_assert(PN_LLADDR_MAX >= 16 + 2, "an IPv6 address and port must fit");

#endif /* PN_LIMITS_H */
