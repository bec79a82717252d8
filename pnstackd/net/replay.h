/* SPDX-License-Identifier: ISC */
/* replay.h - which frame counters have been seen (RFC 6479)
 *
 * A ring of 64-bit words.  The word that holds the highest counter may be only
 * partly in use, so that with 33 words the 2,048 counters below it are always
 * told apart.  Moving forward clears whole words and never shifts.
 */
#ifndef PN_NET_REPLAY_H
#define PN_NET_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WORDS  33
#define REPLAY_WINDOW ((REPLAY_WORDS - 1) * 64)   /* counters */

/** struct replay - all zero: nothing seen
 *  @top: the highest counter seen */
struct replay {
	uint64_t top;
	uint64_t seen[REPLAY_WORDS];
};

/** replay_is_new() - neither seen nor older than the window */
static inline bool replay_is_new(const struct replay *r, uint64_t counter)
{
	if (counter > r->top)
		return true;
	if (r->top - counter >= REPLAY_WINDOW)
		return false;
	return !(r->seen[counter / 64 % REPLAY_WORDS] >> (counter % 64) & 1);
}

/** replay_mark() - remember an authentic counter for which replay_is_new() was true */
static inline void replay_mark(struct replay *r, uint64_t counter)
{
	if (counter > r->top) {
		uint64_t gone = counter / 64 - r->top / 64;

		if (gone > REPLAY_WORDS)
			gone = REPLAY_WORDS;
		for (uint64_t i = 0; i < gone; i++)
			r->seen[(counter / 64 - i) % REPLAY_WORDS] = 0;
		r->top = counter;
	}
	r->seen[counter / 64 % REPLAY_WORDS] |= UINT64_C(1) << (counter % 64);
}

#endif
