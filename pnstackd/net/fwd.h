/* SPDX-License-Identifier: ISC */
/* fwd.h - packets by address: where next, and what to tell the source if nowhere */
#ifndef PN_FWD_H
#define PN_FWD_H

#include "pnstackd/net/net_int.h"
#include "pnstackd/net/limit.h"

/* Where next (fwd_hop.c): pure functions ---------------------------------- */

enum fwd_verdict {
	FWD_SEND,            /* over adjacency hop.adj */
	FWD_HERE,            /* the address, or the end of the key's walk, is hop.facet */
	FWD_NO_ROUTE,        /* no way to the sibling at hop.level */
};

struct fwd_hop {
	enum fwd_verdict verdict;
	uint32_t adj;        /* FWD_SEND: never an internal one */
	uint16_t facet;      /* ours, where the packet leaves, ends or is stuck */
	uint8_t level;       /* FWD_SEND: the new level field */
	uint8_t flags;       /* FWD_SEND: the new flags */
	bool shortcut;       /* a neighbour that is nearer than the sibling route */
	uint8_t detour;      /* FWD_SEND: of an address: what the header tells of it (fwd_hop.c) */
	uint8_t sibling;     /* FWD_SEND, not a shortcut: the level of the sibling aimed at */
	bool alternate;      /* not the best next hop */
	bool answer;         /* back where it came from, see fwd_answer() */
};

#define FWD_ADJ_NONE UINT32_MAX

/** fwd_diff() - the highest bit in which two addresses differ; they do differ */
unsigned fwd_diff(uint64_t a, uint64_t b);

/** fwd_decide() - the next hop of a packet to an address
 *  @facet:   where it is  @hdr: dst, level, detour and flow are looked at
 *  @from:    adjacency it came by, or FWD_ADJ_NONE */
struct fwd_hop fwd_decide(const struct net *net, uint16_t facet, const struct net_hdr *hdr,
			  uint32_t from);

/** fwd_decide_key() - the next hop of a packet on the walk to a key's anchor */
struct fwd_hop fwd_decide_key(const struct net *net, uint16_t facet, const struct net_hdr *hdr,
			      uint32_t from);

/** fwd_key_pick() - which child of an area a key belongs to, by their counts
 *  Return: 0 or 1 */
unsigned fwd_key_pick(uint64_t key, uint64_t area_id, const uint32_t count[2]);

/** fwd_key_walk() - the walk for @key inside the area of a facet that has 2^base addresses
 *  Return: the level at which it leaves the facet's side; -1: it ends at the facet */
int fwd_key_walk(const struct net *net, uint16_t facet, uint64_t key, unsigned base);

/** fwd_key_start() - the header of a packet that begins such a walk there */
void fwd_key_start(const struct net *net, uint16_t facet, uint64_t key, unsigned base,
		   struct net_hdr *hdr);

/* Header -------------------------------------------------------------------- */

/** net_hdr_parse() - Return: 0, PN_ETRUNC, PN_EBADMSG; @hdr untouched then */
PN_MUST_CHECK int net_hdr_parse(struct net_hdr *hdr, const uint8_t *buf, size_t len);
void net_hdr_build(const struct net_hdr *hdr, uint8_t buf[NET_HDR_LEN]);

#define NET_HDR_F_ECN_SHIFT 6

/* Errors ---------------------------------------------------------------------
 *
 * Payload of NET_PROTO_ERROR.  The header's source is the node that reports.
 *
 *   reason 1 | level 1 | mtu 4 | of the packet: proto 1, flow 2, dst tag 4, dst 8
 *   identity of the reporter 32 | first bytes of the packet's payload, 0..20
 *
 * Whole error packets are never larger than the packet they answer: the last
 * bytes are left out first, then the identity; with no room for the first 21 of
 * them there is no error. */
#define FWD_ERROR_LEN 21             /* without the last two fields */
#define FWD_EXCERPT_MAX 20
#define FWD_ERROR_MAX (FWD_ERROR_LEN + PN_ID_LEN + FWD_EXCERPT_MAX)

struct fwd_error {
	enum net_err reason;
	uint8_t level;
	uint32_t mtu;                /* network packet, header included; 0 unless too big */
	uint8_t proto;
	uint16_t flow;
	uint32_t dst_tag;
	uint64_t dst;
	bool has_id;
	uint8_t id[PN_ID_LEN];
	uint8_t excerpt_len;
	uint8_t excerpt[FWD_EXCERPT_MAX];
};

/** fwd_error_parse() - Return: 0, PN_EBADMSG */
PN_MUST_CHECK int fwd_error_parse(struct fwd_error *err, const uint8_t *buf, size_t len);

/** fwd_error_build() - as much of it as fits into @cap
 *  Return: bytes, 0: no room */
size_t fwd_error_build(const struct fwd_error *err, uint8_t *buf, size_t cap);

/* Packets (fwd.c) ------------------------------------------------------------ */

/** fwd_send() - takes @pkt, whose data is the payload
 *  @hdr:  as for fwd_originate()
 *  @mtu:  out, PN_EMSGSIZE: the largest network packet; may be NULL
 *  Return: 0; PN_ENOROUTE, PN_ESTALE (the address is ours now), PN_EMSGSIZE */
int fwd_send(struct net *net, uint16_t facet, struct net_hdr *hdr, struct pn_pkt *pkt,
	     uint32_t *mtu, struct pn_time now);

/** fwd_relay() - as fwd_originate(), on behalf of somebody else: with the source, the source's
 *  tag and the hop limit (0: as new) that stand in @hdr */
int fwd_relay(struct net *net, uint16_t facet, struct net_hdr *hdr, const uint8_t *payload,
	      size_t len, struct pn_time now);

/** fwd_answer() - as fwd_originate(), to the source of the packet under way: over the
 *  adjacency that it came by, as long as the source is not itself our neighbour.  A way is
 *  good both ways or not at all; and who tests a way (guard.c) tests that very way */
void fwd_answer(struct net *net, uint16_t facet, struct net_hdr *hdr, const uint8_t *payload,
		size_t len, struct pn_time now);

/** fwd_first_mtu() - largest network packet of the first hop towards @dst; 0 none */
uint32_t fwd_first_mtu(const struct net *net, uint64_t dst);

/** fwd_run_local() - deliver what this node sent to itself (its timer rang) */
void fwd_run_local(struct net *net, struct pn_time now);

void fwd_fini(struct net *net);

#endif
