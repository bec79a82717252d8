/* SPDX-License-Identifier: ISC */
/* peer.h - identities we talk to: what peer.c tells the rest of net/ */
#ifndef PN_PEER_H
#define PN_PEER_H

#include "pnstackd/net/net_int.h"

struct addr_record;

/** peer_address() - where to send for a peer, or begin to find out
 *  @addr:  out, when known
 *  Return: 0; PN_EAGAIN: being looked up, echo_on_peer() will tell; PN_EUNREACH;
 *  PN_ESTALE: no such handle */
int peer_address(struct net *net, net_peer peer, uint64_t *addr, struct pn_time now);

/** peer_on_record() - a verified record was found
 *  @himself: he whom it is about has just answered with it */
void peer_on_record(struct net *net, const struct addr_record *rec, bool himself,
		    struct pn_time now);

/** peer_on_lookup_failed() - the query that lookup_start() began found nothing
 *  @confirmed: nothing newer, that is: what we know already is what the network knows */
void peer_on_lookup_failed(struct net *net, const uint8_t hit[PN_HIT_LEN], bool confirmed,
			   struct pn_time now);

/** peer_on_error() - something sent to (@dst, @dst_tag) did not arrive
 *  @mtu:  network packet that fits, for NET_ERR_TOO_BIG
 *  @flow: flow label that the error names: one that the peer was lately sent to
 *         with, which a stranger does not know; PEER_FLOW_ANY: no doubt about it */
void peer_on_error(struct net *net, enum net_err reason, uint32_t mtu, uint64_t dst,
		   uint32_t dst_tag, uint32_t flow, struct pn_time now);
#define PEER_FLOW_ANY UINT32_MAX

/** peer_in_doubt() - it is being looked up, or will be soon; echo_on_peer() tells the end */
bool peer_in_doubt(const struct net *net, net_peer peer);

/** peer_on_address() - our own address changed: what is nearest may have, too */
void peer_on_address(struct net *net);

#endif
