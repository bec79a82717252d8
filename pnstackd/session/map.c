/* SPDX-License-Identifier: ISC */
/* A hash table from 64-bit keys to small numbers: open addressing, linear
 * probing, deletion by shifting back, at most half full.  Keys may come from
 * strangers, so the hash has a secret factor. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

static uint32_t slot_of(const struct map *m, uint64_t key)
{
	uint64_t h = (key ^ (key >> 31)) * m->mul;

	return (uint32_t)(h >> 32) & m->mask;
}

bool map_init(struct map *m, uint32_t count_max, uint64_t secret)
{
	uint32_t size = 16;

	while (size < count_max * 2)
		size *= 2;
	m->keys = calloc(size, sizeof(*m->keys));
	m->vals = calloc(size, sizeof(*m->vals));
	m->mul = secret | 1;
	m->mask = size - 1;
	m->count = 0;
	return m->keys && m->vals;
}

void map_fini(struct map *m)
{
	free(m->keys);
	free(m->vals);
	m->keys = NULL;
	m->vals = NULL;
}

/* The slot of the key, or the free one where it would go. */
static uint32_t probe(const struct map *m, uint64_t key)
{
	uint32_t i = slot_of(m, key);

	while (m->vals[i] && m->keys[i] != key)
		i = (i + 1) & m->mask;
	return i;
}

bool map_put(struct map *m, uint64_t key, uint32_t val)
{
	uint32_t i = probe(m, key);

	if (m->vals[i] || m->count > m->mask / 2)
		return false;
	m->keys[i] = key;
	m->vals[i] = val + 1;
	m->count++;
	return true;
}

uint32_t map_get(const struct map *m, uint64_t key)
{
	return m->vals[probe(m, key)] - 1;	/* 0 - 1: UINT32_MAX, none */
}

void map_set(struct map *m, uint64_t key, uint32_t val)
{
	uint32_t i = probe(m, key);

	PN_ASSERT(m->vals[i]);
	m->vals[i] = val + 1;
}

void map_del(struct map *m, uint64_t key)
{
	uint32_t i = probe(m, key), j = i, home;

	if (!m->vals[i])
		return;
	m->count--;
	for (;;) {
		m->vals[i] = 0;
		do {	/* look for one whose way to its home leads over i */
			j = (j + 1) & m->mask;
			if (!m->vals[j])
				return;
			home = slot_of(m, m->keys[j]);
		} while (((j - home) & m->mask) < ((j - i) & m->mask));
		m->keys[i] = m->keys[j];
		m->vals[i] = m->vals[j];
		i = j;
	}
}
