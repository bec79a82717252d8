/* SPDX-License-Identifier: ISC */
/* nbhd.h - the neighbourhood: addresses at most two links away
 *
 * Owned by the control plane, asked by forwarding: fwd_hop.c takes shortcuts to
 * what nbhd_nearest() finds.  See the theory of operation in nbhd.c. */
#ifndef PN_NBHD_H
#define PN_NBHD_H

#include "pnstackd/net/net_int.h"

struct nb;
struct nbhd;

/* The place of an address that we know. */
struct nbhd_hit {
	uint32_t adj;                /* over which; unused if hops is 0 */
	uint16_t facet;              /* ours: the place itself, or where it leaves */
	uint8_t hops;                /* 0: a facet of ours, 1: a neighbour, 2: its neighbour */
	uint8_t dist;                /* nbhd_distance() to what was asked for */
};

/* What a packet's level field counts twice: 0 at the destination, else the highest bit
 * in which the addresses differ, plus 1. */
static inline unsigned nbhd_distance(uint64_t a, uint64_t b)
{
	return a == b ? 0 : 64u - (unsigned)__builtin_clzll(a ^ b);
}

/* The level field that aims at a place: odd while it is more than one link away. */
static inline unsigned nbhd_level(unsigned dist, unsigned hops)
{
	return 2 * dist + (hops > 1);
}

static inline bool nbhd_aimed(unsigned level)
{
	return level & 1;
}

/** nbhd_nearest() - the known place nearest to @dst, by address; among equals the one
 *                   with fewer links, then the cheaper one, then by who told of more places,
 *                   but for @dst itself, then by @flow
 *  @at:    facet of ours: only what is in its network counts, not it itself
 *  @level: only what lowers a packet's level field below this, strictly
 *  @dear:  a link that costs more is not taken
 *  @not:   an adjacency that is not taken, or UINT32_MAX
 *  @part:  the route that would be taken instead, or NULL
 *  Return: false: there is none
 *  Cost:   a binary search and a few entries around */
bool nbhd_nearest(const struct net *net, uint16_t at, uint64_t dst, unsigned level, uint32_t dear,
		  uint32_t not, uint16_t flow, const struct part_route *part,
		  struct nbhd_hit *hit);

/** nbhd_pick() - the address of some neighbour of the neighbour behind @adj, not ours
 *  @random: which one.  Return: false: none is known */
bool nbhd_pick(const struct net *net, uint32_t adj, uint64_t random, uint64_t *addr);

/* For the control plane --------------------------------------------------- */

/** nbhd_carve() - Return: NULL while sizing */
struct nbhd *nbhd_carve(struct arena *a, const struct net_config *cfg, uint32_t facets);
/** nbhd_touch() - an address, of ours or of a neighbour, may have changed */
void nbhd_touch(struct net *net);
/** nbhd_tick() - put the index in order, and see whether there is news to tell
 *  Return: when it wants to be called again; NEVER */
struct pn_time nbhd_tick(struct net *net, struct pn_time now);
/** nbhd_start(), nbhd_forget() - an adjacency came up, went away */
void nbhd_start(struct net *net, uint32_t adj);
void nbhd_forget(struct net *net, uint32_t adj);
/** nbhd_build() - the entry for one neighbour.  Return: everything is told */
bool nbhd_build(struct net *net, uint32_t adj, struct pn_wr *w);
/** nbhd_on_entry() - what a neighbour tells; kind byte and length are read */
void nbhd_on_entry(struct net *net, uint32_t adj, struct pn_rd *rd);
/** nbhd_count() - entries known, for displays */
uint32_t nbhd_count(const struct net *net);

#endif
