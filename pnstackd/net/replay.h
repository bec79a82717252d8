/* SPDX-License-Identifier: ISC */
/* replay.h - which frame counters have been seen (RFC 6479)
 *
 * A ring of 64-bit words.  The word that holds the highest counter may be only
 * partly in use, so that with one word more than that the wanted number of counters
 * below it are always told apart.  Moving forward clears whole words and never shifts.
 */
#ifndef PN_NET_REPLAY_H
#define PN_NET_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REPLAY_DEFAULT 2048                       /* counters */
#define REPLAY_WORDS(window) ((window) / 64 + 1)  /* for so many */

/** struct replay - @top 0 and all words zero: nothing seen
 *  @top:   the highest counter seen
 *  @words: of @seen, which is the caller's */
struct replay {
	uint64_t top;
	uint64_t *seen;
	uint32_t words;
};

/** replay_init() - nothing seen */
static inline void replay_init(struct replay *r, uint64_t *seen, uint32_t words)
{
	*r = (struct replay){ .seen = seen, .words = words };
	memset(seen, 0, words * sizeof(*seen));
}

/** replay_is_new() - neither seen nor older than the window */
static inline bool replay_is_new(const struct replay *r, uint64_t counter)
{
	if (counter > r->top)
		return true;
	if (r->top - counter >= (uint64_t)(r->words - 1) * 64)
		return false;
	return !(r->seen[counter / 64 % r->words] >> (counter % 64) & 1);
}

/** replay_mark() - remember an authentic counter for which replay_is_new() was true */
static inline void replay_mark(struct replay *r, uint64_t counter)
{
	if (counter > r->top) {
		uint64_t gone = counter / 64 - r->top / 64;

		if (gone > r->words)
			gone = r->words;
		for (uint64_t i = 0; i < gone; i++)
			r->seen[(counter / 64 - i) % r->words] = 0;
		r->top = counter;
	}
	r->seen[counter / 64 % r->words] |= UINT64_C(1) << (counter % 64);
}

#endif
