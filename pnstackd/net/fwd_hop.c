/* SPDX-License-Identifier: ISC */
/* fwd_hop.c - where a packet goes next
 *
 * Theory of operation
 *
 * A packet for address t is at facet u.  k is the highest bit in which u and t
 * differ: t is in u's sibling block at level k.  The sibling route for level k
 * leads through u's own block of level k, where everybody has the same k, and
 * over a border into the sibling, where k is lower.  So k never grows, and a
 * packet needs at most 64 crossings; between two crossings the routes are
 * loop-free (route.c), or loop for a moment, until the hop limit ends that.  Back to
 * where it came from a packet goes only if it was aimed beyond us in vain: the smallest
 * loop, and the most frequent while a tree is built, is cut here.
 *
 * Shortcut: a place one or two links away (nbhd.c) that is nearer to t than what the
 * packet has reached or aimed at so far.  That is its level field L: twice the distance
 * of that place to t, which is k + 1, or 0 for t itself; one more while it is aimed at over
 * two links; 255 in a fresh packet.  L never grows, and a shortcut may be taken only if it
 * lowers L, strictly, whatever anybody believes about anybody's address: hence at most
 * 130 shortcuts on any packet's way.  Who gets a packet that aims beyond him sees the place
 * as his neighbour, which lowers L by the one; if it is not there any more, the sibling
 * routes go on.  A link that costs far more than the route that would be taken (a line that is
 * dear, say, and there for emergencies) is not worth a shortcut.
 *
 * Within our own block the packet takes the route to the part of the sibling that t is in
 * (route_part.c), if there is one, else the sibling route.  Both are loop-free, but not
 * together: two nodes of which only one knows the part might send a packet to and fro.  So whoever
 * has to take the sibling route sets NET_HDR_F_PLAIN, and all stay with it, until L falls.
 *
 * A shortcut to a place in the sibling, but outside that part, is not taken if the route to
 * the part is sure to be no longer (nbhd.c).
 *
 * All facets of a node are at the same place: a packet changes between them
 * here, in a bounded loop, at no cost, and the neighbours of each are candidates
 * for shortcuts.
 *
 * Where the area is cut in two there is no way to the sibling at k for a while.  From the
 * smaller part a packet goes around then (cut.c): towards the sibling at a higher level d, and from
 * there into the area again.  Its detour field tells d, and whether it has been there; after
 * that it may only go around by a sibling at a higher level than d.  So there are 63 detours at
 * most, and between two of them k does not grow.
 *
 * A key's walk goes down the tree from the root.  In the area whose children
 * hang at level k one child is picked by the key, weighted with the counts of
 * both; L is k and one flag is the pick until the packet has arrived in that
 * child, then the next lower level follows.  Levels above L are not looked at
 * again: a count that differs between two nodes cannot turn the packet back.  A
 * level without sibling counts as arrived, so the walk always ends at a node.  A walk
 * inside one area begins as if that area had been picked.  A hub that has another facet in the
 * child that was picked has arrived there.
 */
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/nbhd.h"

#define HOP_ROUNDS_MIN 128           /* changes of facet on one node, at least */
#define HOP_DEAR 4                   /* times the route's cost: no shortcut */

/* adj_at() only looks; it takes a plain pointer because others change through it. */
static const struct adj_pub *hop_adj(const struct net *net, uint32_t index)
{
	return adj_at((struct net *)(uintptr_t)net, index);
}

unsigned fwd_diff(uint64_t a, uint64_t b)
{
	PN_ASSERT(a != b);
	return 63u - (unsigned)__builtin_clzll(a ^ b);
}

static const struct adj_pub *hop_usable(const struct net *net, int index)
{
	const struct adj_pub *a = index < 0 ? NULL : hop_adj(net, (uint32_t)index);

	return a && a->up ? a : NULL;
}

/* The sibling route: the best next hop, or another one if that is not up, does not
 * answer just now, or leads straight back; that after all if it is the only one.
 * Return: NULL: none */
static const struct adj_pub *hop_sibling(const struct net *net, uint16_t facet, unsigned level,
					 uint16_t flow, uint32_t from, bool *alternate)
{
	int first = route_hop(net, facet, level, flow);
	const struct adj_pub *a = hop_usable(net, first);
	const struct adj_pub *b;

	*alternate = false;
	if (a && a->index != from && !a->suspect)
		return a;
	b = hop_usable(net, route_alternate(net, facet, level, first));
	if (!b || (a && (b->index == from || b->suspect)))
		return a;
	*alternate = true;
	return b;
}

/* Over an internal adjacency: the packet is at the other facet now.
 * Return: false if the other end is gone */
static bool hop_cross(const struct net *net, const struct adj_pub *a, uint16_t *facet,
		      uint32_t *from)
{
	const struct adj_pub *other = hop_adj(net, a->internal_peer);

	if (!other)
		return false;
	*from = a->internal_peer;
	*facet = other->facet;
	return true;
}

static unsigned hop_rounds(const struct net *net)
{
	return HOP_ROUNDS_MIN + facet_max(net);
}

/* The detour field: 0, or 1 + twice the level of the sibling that a packet goes around by, and 1
 * more when it has been there. */
static unsigned detour_field(unsigned level, bool been)
{
	return 2 * level + 1 + been;
}

static bool detour_is(unsigned detour, unsigned level)
{
	return detour && (detour - 1) / 2 == level;
}

/* There is no way to the sibling at @level: around by a higher one, if that has not been tried.
 * Return: the level of that; -1: no */
static int hop_detour(const struct net *net, uint16_t facet, unsigned level, unsigned detour)
{
	int around = route_detour(net, facet, level);

	return around >= 0 && detour_field((unsigned)around, false) >= detour ? around : -1;
}

/* Would a packet be sent back to where it came from without anything new for those there? */
static bool hop_in_vain(const struct net_hdr *hdr, const struct fwd_hop *hop)
{
	return !nbhd_aimed(hdr->level) && hop->detour == hdr->detour &&
	       !(hop->flags & ~hdr->flags & NET_HDR_F_PLAIN);
}

struct fwd_hop fwd_decide(const struct net *net, uint16_t facet, const struct net_hdr *hdr,
			  uint32_t from)
{
	struct fwd_hop hop = { .verdict = FWD_NO_ROUTE, .facet = facet, .flags = hdr->flags };
	unsigned level = hdr->level;
	uint32_t in = from;

	hop.detour = hdr->detour;
	for (unsigned round = hop_rounds(net); round > 0; round--) {
		uint64_t own = facet_addr(net, facet);
		const struct adj_pub *a;
		int around;

		hop.facet = facet;
		if (own == hdr->dst) {
			hop.verdict = FWD_HERE;
			return hop;
		}
		unsigned k = fwd_diff(own, hdr->dst);
		struct nbhd_hit near;
		struct part_route to;
		bool part;

		if (nbhd_level(k + 1, 0) < level)
			hop.flags &= (uint8_t)~NET_HDR_F_PLAIN;
		level = (unsigned)pn_min(level, nbhd_level(k + 1, 0));
		part = !(hop.flags & NET_HDR_F_PLAIN) &&
		       route_part(net, facet, k, hdr->dst, hdr->flow, in, &to) && to.adj != from;
		if (nbhd_nearest(net, facet, hdr->dst, level,
				 HOP_DEAR * (part ? to.metric : route_metric(net, facet, k)), from,
				 hdr->flow, part ? &to : NULL, &near)) {
			level = nbhd_level(near.dist, near.hops);
			hop.flags &= (uint8_t)~NET_HDR_F_PLAIN;
			facet = hop.facet = near.facet;
			if (near.hops == 0)
				continue;
			hop.verdict = FWD_SEND;
			hop.shortcut = true;
			hop.adj = near.adj;
			hop.level = (uint8_t)level;
			return hop;
		}
		hop.level = hop.sibling = (uint8_t)k;
		if (detour_is(hop.detour, k))    /* there, and now into the area again */
			hop.detour = (uint8_t)detour_field(k, true);
		a = part ? hop_adj(net, to.adj)
			 : hop_sibling(net, facet, k, hdr->flow, in, &hop.alternate);
		if (!part)
			hop.flags |= NET_HDR_F_PLAIN;
		if (!a && (around = hop_detour(net, facet, k, hop.detour)) >= 0) {
			hop.sibling = (uint8_t)around;
			hop.detour = (uint8_t)detour_field(hop.sibling, false);
			a = hop_sibling(net, facet, hop.sibling, hdr->flow, in, &hop.alternate);
		}
		if (!a || (a->index == from && hop_in_vain(hdr, &hop)))
			return hop;
		if (a->kind != ADJ_INTERNAL) {
			hop.verdict = FWD_SEND;
			hop.adj = a->index;
			hop.level = (uint8_t)level;
			return hop;
		}
		if (!hop_cross(net, a, &facet, &in))
			return hop;
	}
	return hop;
}

unsigned fwd_key_pick(uint64_t key, uint64_t area_id, const uint32_t count[2])
{
	uint64_t total = (uint64_t)count[0] + count[1];
	uint64_t h = mix64(key + mix64(area_id));

	if (total == 0)
		return (unsigned)(h >> 63);
	/* h / 2^64 < count[0] / total, in integers: h's upper half is enough */
	return (h >> 32) * total >= (uint64_t)count[0] << 32;
}

/* Down the tree from @level + 1 (all of it when fresh).
 * Return: the level at which the packet must change to the other child, with the
 * child in @bit; -1 when it has arrived */
static int hop_key_level(const struct net *net, uint16_t facet, uint64_t key, unsigned level,
			 unsigned *bit)
{
	unsigned top = facet_height(net, facet);
	uint64_t area;
	uint32_t count[2];
	unsigned own;

	/* Picked before us, and we are not yet there? */
	if (level < top) {
		if (tree_weight(net, facet, level, &area, count, &own) && own != *bit)
			return (int)level;
		top = level;
	}
	while (top-- > 0) {
		if (!tree_weight(net, facet, top, &area, count, &own))
			continue;
		*bit = fwd_key_pick(key, area, count);
		if (*bit != own)
			return (int)top;
	}
	return -1;
}

/* A hub has another facet in the sibling at @level: the packet is there at no cost, whether there is
 * an adjacency between the two or not.  Return: -1: no facet there */
static int hop_own_facet(const struct net *net, uint16_t facet, unsigned level)
{
	uint64_t own = facet_addr(net, facet);

	for (unsigned f = 0; f < facet_max(net); f++)
		if (f != facet && facet_live(net, (uint16_t)f) &&
		    (own ^ facet_addr(net, (uint16_t)f)) >> level == 1 &&
		    facet_root(net, (uint16_t)f) == facet_root(net, facet))
			return (int)f;
	return -1;
}

struct fwd_hop fwd_decide_key(const struct net *net, uint16_t facet, const struct net_hdr *hdr,
			      uint32_t from)
{
	struct fwd_hop hop = { .verdict = FWD_NO_ROUTE, .facet = facet, .detour = hdr->replica };
	unsigned bit = !!(hdr->flags & NET_HDR_F_KEY_BIT);
	unsigned level = hdr->level;

	for (unsigned round = hop_rounds(net); round > 0; round--) {
		const struct adj_pub *a;
		int k = hop_key_level(net, facet, hdr->dst, level, &bit), there;

		hop.facet = facet;
		if (k < 0) {
			hop.verdict = FWD_HERE;
			return hop;
		}
		level = (unsigned)k;
		hop.level = hop.sibling = (uint8_t)level;
		there = hop_own_facet(net, facet, level);
		if (there >= 0) {
			facet = (uint16_t)there;
			from = FWD_ADJ_NONE;
			continue;
		}
		hop.flags = (uint8_t)((hdr->flags & ~NET_HDR_F_KEY_BIT) |
				      (bit ? NET_HDR_F_KEY_BIT : 0));
		a = hop_sibling(net, facet, level, hdr->flow, from, &hop.alternate);
		if (!a || a->index == from)
			return hop;
		if (a->kind != ADJ_INTERNAL) {
			hop.verdict = FWD_SEND;
			hop.adj = a->index;
			return hop;
		}
		if (!hop_cross(net, a, &facet, &from))
			return hop;
	}
	return hop;
}

int fwd_key_walk(const struct net *net, uint16_t facet, uint64_t key, unsigned base)
{
	unsigned bit = facet_addr(net, facet) >> (base < 63 ? base : 63) & 1;

	return hop_key_level(net, facet, key, base, &bit);
}

void fwd_key_start(const struct net *net, uint16_t facet, uint64_t key, unsigned base,
		   struct net_hdr *hdr)
{
	/* As if the area itself had been picked, and the packet had arrived there. */
	hdr->dst = key;
	hdr->level = (uint8_t)base;
	hdr->flags = NET_HDR_F_KEY;
	if (facet_addr(net, facet) >> (base < 63 ? base : 63) & 1)
		hdr->flags |= NET_HDR_F_KEY_BIT;
}

int net_next_hop(const struct net *net, uint16_t facet, uint64_t dst, uint8_t *level,
		 uint8_t *flags, uint16_t flow, uint8_t next_id[PN_ID_LEN], uint16_t *next_facet)
{
	struct net_hdr hdr = { .dst = dst, .level = *level, .flags = *flags, .flow = flow };
	const struct adj_pub *a;
	struct fwd_hop hop;

	if (facet_of_addr(net, facet, dst, 0, net->now) >= 0)
		return 1;
	hop = fwd_decide(net, facet, &hdr, FWD_ADJ_NONE);
	if (hop.verdict == FWD_HERE)
		return 1;
	if (hop.verdict == FWD_NO_ROUTE)
		return PN_EUNREACH;
	a = hop_adj(net, hop.adj);
	PN_ASSERT(a);
	memcpy(next_id, a->id, PN_ID_LEN);
	*next_facet = a->peer_facet;
	*level = hop.level;
	*flags = hop.flags;
	return 0;
}
