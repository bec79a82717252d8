/* SPDX-License-Identifier: ISC */
/* echo.h - echo requests: pings and traces
 *
 * Payload of NET_PROTO_ECHO:
 *
 *   request  kind 1 (1) | zero 1 | hop limit it starts with 2 | number 8 |
 *            cookie 8 | zeros, ECHO_MIN in all, or more
 *   reply    kind 1 (2) | zero 1 | hop limit left on arrival 2 | number 8 |
 *            cookie 8 | identity 32 | the rest of the request
 *
 * A reply is as long as the request.  ECHO_MIN leaves room for a reply and for an
 * error with all its fields.  Who answers is believed because only nodes on the
 * way know the cookie; whoever needs proof opens a session. */
#ifndef PN_ECHO_H
#define PN_ECHO_H

#include "pnstackd/net/fwd.h"

#define ECHO_HEAD_LEN 20             /* up to and with the cookie */
#define ECHO_MIN FWD_ERROR_MAX       /* 73 */
#define ECHO_MAX 1200                /* payload that net_ping() sends, at most */
static_assert(FWD_EXCERPT_MAX >= ECHO_HEAD_LEN, "an error must name the request");
static_assert(ECHO_MIN >= ECHO_HEAD_LEN + PN_ID_LEN, "a reply must fit");

enum echo_kind { ECHO_REQUEST = 1, ECHO_REPLY = 2 };

struct echo_msg {
	uint8_t kind;
	uint16_t hops;
	uint64_t number, cookie;
};
/** echo_parse() - the first ECHO_HEAD_LEN bytes.  Return: 0, PN_EBADMSG */
PN_MUST_CHECK int echo_parse(struct echo_msg *msg, const uint8_t *buf, size_t len);
/** echo_build() - the first ECHO_HEAD_LEN bytes of @buf */
void echo_build(const struct echo_msg *msg, uint8_t *buf, size_t cap);

/** echo_on_error() - an error about an echo request
 *  Return: it is one that we sent */
bool echo_on_error(struct net *net, const struct net_hdr *hdr, const struct fwd_error *err,
		   struct pn_time now);

/** echo_on_peer() - a peer that pings may wait for was found, or not
 *  @err: NET_ERR_NONE, or why not */
void echo_on_peer(struct net *net, net_peer peer, enum net_err err, struct pn_time now);

#endif
