/* SPDX-License-Identifier: ISC */
/* circle.h - packets that come back to a node which sent them on already
 *
 * How it works: see the theory of operation in circle.c. */
#ifndef PN_CIRCLE_H
#define PN_CIRCLE_H

#include "pnstackd/net/fwd.h"

void circle_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void circle_init(struct net *net);
void circle_expire(struct net *net, struct pn_time now);        /* TIMER_CIRCLE */

/** circle_hash() - what does not change of a packet under way
 *  @pkt: header in front, which is in @hdr
 *  Cost: two loads of payload, no branch but one */
uint32_t circle_hash(const struct net_hdr *hdr, const struct pn_pkt *pkt);

/** circle_is_back() - did we send this packet on before?  Then the route that it took is
 *                     suspected, and in the end shunned
 *  @from:  it came by now  @to: out, where it was sent then
 *  @first: out, where it had come from before that; FWD_ADJ_NONE: it is our own
 *  Cost:  one probe */
bool circle_is_back(struct net *net, uint32_t from, const struct net_hdr *hdr, uint32_t hash,
		    uint32_t *to, uint32_t *first, struct pn_time now);

/** circle_note() - a packet leaves along a sibling route
 *  @from: it came by; FWD_ADJ_NONE: it is our own
 *  Cost:  one probe */
void circle_note(struct net *net, uint32_t from, const struct net_hdr *hdr, uint32_t hash,
		 const struct fwd_hop *hop, struct pn_time now);

/** circle_shuns() - Return: that neighbour's route to our sibling beside @area is one
 *  of those that are the last resort now
 *  @area: CIRCLE_ALL: all its routes are */
#define CIRCLE_ALL UINT64_MAX
bool circle_shuns(const struct net *net, uint64_t area, uint32_t adj);

/** circle_rule_out() - where a packet that came back would go next: another way if that one is
 *  shunned or suspected, or no route after all
 *  @from: where it came from */
void circle_rule_out(struct net *net, uint32_t from, struct fwd_hop *hop, struct pn_time now);

/** circle_request() - a request for a newer sequence number is about to be sent on
 *  Return: how often it was, just now */
unsigned circle_request(struct net *net, uint64_t area, uint64_t router, uint16_t seqno,
			struct pn_time now);

/** circle_on_down() - an adjacency is gone: another neighbour may get its number */
void circle_on_down(struct net *net, uint32_t adj);

#endif
