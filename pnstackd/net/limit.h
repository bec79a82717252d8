/* SPDX-License-Identifier: ISC */
/* limit.h - how many answers we give, per source and in all
 *
 * Token buckets, kept as the time at which the bucket would be full again
 * ("generic cell rate"): one number each, no timer.  Sources share buckets by a
 * keyed hash of their block of 8 addresses, so that a stranger cannot choose
 * whom to share with; what one source cannot use up is guarded by the second
 * bucket, for all together.
 *
 * The times of sources are kept in microseconds, modulo 2^32: one that lies
 * further ahead than a burst is of a past that came round, and the bucket is full.
 */
#ifndef PN_LIMIT_H
#define PN_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "pnstackd/net/net_int.h"

#define LIMIT_SLOTS 256              /* the default */
#define LIMIT_BLOCK_BITS 3           /* addresses that differ only here count as one source */

struct limit {
	uint32_t each_us, each_burst_us; /* between two grants; how far ahead */
	uint64_t all_ns, all_burst_ns;
	uint64_t secret;
	uint64_t all_full;               /* when the bucket of all is full again */
	uint32_t mask;
	uint32_t *full;                  /* [mask + 1] */
};

/** mix64() - a 64-bit permutation (the finaliser of splitmix64), no secret */
static inline uint64_t mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/** limit_carve() - @slots: buckets of sources, a power of two */
static inline void limit_carve(struct limit *l, struct arena *a, uint32_t slots)
{
	uint32_t *full = arena_take(a, slots, sizeof(*full));

	PN_ASSERT((slots & (slots - 1)) == 0);
	if (!l)
		return;                  /* only being sized */
	l->full = full;
	l->mask = slots - 1;
}

/** limit_init() - @each, @all: grants per second of one source and of all; each
 *  may be used up at once, then they come back evenly */
static inline void limit_init(struct limit *l, uint32_t each, uint32_t all, uint64_t secret)
{
	l->each_us = 1000000 / each;
	l->each_burst_us = 1000000;
	l->all_ns = PN_S(1) / all;
	l->all_burst_ns = PN_S(1);
	l->secret = secret;
}

/** limit_take() - Return: granted */
static inline bool limit_take(struct limit *l, uint64_t src, struct pn_time now)
{
	uint64_t h = mix64((src >> LIMIT_BLOCK_BITS) ^ l->secret);
	uint32_t *slot = &l->full[h & l->mask];
	uint32_t now_us = (uint32_t)(now.ns / 1000), each = *slot - now_us;
	uint64_t all = l->all_full > now.ns ? l->all_full : now.ns;

	if (each > l->each_burst_us)
		each = 0;
	if (each + l->each_us > l->each_burst_us ||
	    all - now.ns + l->all_ns > l->all_burst_ns)
		return false;
	*slot = now_us + each + l->each_us;
	l->all_full = all + l->all_ns;
	return true;
}

#endif
