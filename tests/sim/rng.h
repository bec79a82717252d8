/* SPDX-License-Identifier: ISC */
/* rng.h - the simulator's own seeded random numbers (xoshiro256**)
 *
 * Each purpose (loss and delay, choice of pairs, faults, ...) has a stream of
 * its own, so that more of one does not change the other.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

/** rng_init() - Start a stream
 *  @seed:    of the run
 *  @purpose: name of the stream */
void rng_init(struct rng *r, uint64_t seed, const char *purpose);

/** rng_u64() - 64 random bits */
uint64_t rng_u64(struct rng *r);

/** rng_below() - Return: a number below @n, which is not 0 */
uint64_t rng_below(struct rng *r, uint64_t n);

/** rng_unit() - Return: a number from 0 up to, not including, 1 */
double rng_unit(struct rng *r);

/** rng_fill() - @len random bytes */
void rng_fill(struct rng *r, uint8_t *buf, uint32_t len);

#endif
