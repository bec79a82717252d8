/* SPDX-License-Identifier: ISC */
/* Seeded random numbers: xoshiro256**, seeded by splitmix64. */
#include "tests/sim/rng.h"

#include "libpeernet/base/pn_assert.h"

static uint64_t splitmix(uint64_t *x)
{
	uint64_t z = *x += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, const char *purpose)
{
	uint64_t x = 0xcbf29ce484222325U;
	unsigned i;

	for (; *purpose; purpose++)
		x = (x ^ (uint8_t)*purpose) * 0x100000001b3U;
	x ^= splitmix(&seed);
	for (i = 0; i < 4; i++)
		r->s[i] = splitmix(&x);
}

static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t result = rotl(r->s[1] * 5, 7) * 9;
	uint64_t t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	PN_ASSERT(n > 0);
	return rng_u64(r) % n; /* the bias does not matter: n is far below 2^64 */
}

double rng_unit(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

void rng_fill(struct rng *r, uint8_t *buf, uint32_t len)
{
	uint64_t v = 0;
	uint32_t i;

	for (i = 0; i < len; i++) {
		if (i % 8 == 0)
			v = rng_u64(r);
		buf[i] = (uint8_t)(v >> (i % 8 * 8));
	}
}
