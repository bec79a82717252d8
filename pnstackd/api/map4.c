/* SPDX-License-Identifier: ISC */
/* IPv4 addresses that stand for HITs, for programs that know no IPv6.
 *
 * Out of 198.18.0.0/15 (RFC 2544, never on the Internet).  The address follows from
 * the HIT, so that it is most often the same after a restart too; where two HITs want
 * the same, the second gets the next free one.  An entry is never forgotten while the
 * daemon runs: a program may hold the address for ever.  Half of the addresses may be
 * given out; then new HITs get none.
 */
#include <stdlib.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

#define MAP4_BASE 0xc6120000u   /* 198.18.0.0 */
#define MAP4_SIZE 131072u
#define MAP4_MAX (MAP4_SIZE / 2)

struct map4 {
	uint32_t count;
	uint8_t (*hit)[PN_HIT_LEN];   /* MAP4_SIZE; all zero: free */
};

struct map4 *map4_new(void)
{
	struct map4 *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->hit = calloc(MAP4_SIZE, sizeof(*m->hit));
	if (!m->hit) {
		free(m);
		return NULL;
	}
	return m;
}

void map4_free(struct map4 *m)
{
	if (!m)
		return;
	free(m->hit);
	free(m);
}

static bool is_free(const struct map4 *m, uint32_t i)
{
	static const uint8_t none[PN_HIT_LEN];

	return !memcmp(m->hit[i], none, PN_HIT_LEN);
}

/* The first and last address of a /24 look special to some programs. */
static bool usable(uint32_t i)
{
	return (i & 0xff) != 0 && (i & 0xff) != 0xff;
}

int map4_get(struct map4 *m, const uint8_t hit[PN_HIT_LEN], uint32_t *addr4)
{
	uint32_t i = ((uint32_t)hit[13] << 16 | (uint32_t)hit[14] << 8 | hit[15]) % MAP4_SIZE;
	uint32_t tries;

	for (tries = 0; tries < MAP4_SIZE; tries++, i = (i + 1) % MAP4_SIZE) {
		if (!usable(i))
			continue;
		if (is_free(m, i)) {
			if (m->count >= MAP4_MAX)
				return PN_EFULL;
			memcpy(m->hit[i], hit, PN_HIT_LEN);
			m->count++;
		} else if (memcmp(m->hit[i], hit, PN_HIT_LEN) != 0) {
			continue;
		}
		*addr4 = MAP4_BASE + i;
		return 0;
	}
	return PN_EFULL;
}

const uint8_t *map4_find(const struct map4 *m, uint32_t addr4)
{
	uint32_t i = addr4 - MAP4_BASE;

	if (i >= MAP4_SIZE || is_free(m, i))
		return NULL;
	return m->hit[i];
}
