/* SPDX-License-Identifier: ISC */
/* Objects by key: a chained hash table whose size is fixed at start. */
#include <stdlib.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

bool keytab_init(struct keytab *t, size_t size_hint, uint64_t seed)
{
	size_t size = 64;

	while (size < size_hint)
		size <<= 1;
	t->bucket = calloc(size, sizeof(*t->bucket));
	t->mask = size - 1;
	t->seed = seed;
	return t->bucket != NULL;
}

void keytab_fini(struct keytab *t)
{
	free(t->bucket);
	t->bucket = NULL;
}

/* Programs choose keys; the seed keeps them from choosing a bucket. */
static size_t slot(const struct keytab *t, const uint8_t key[16])
{
	uint64_t a, b;

	memcpy(&a, key, sizeof(a));
	memcpy(&b, key + 8, sizeof(b));
	a = (a ^ t->seed) * 0x9e3779b97f4a7c15u;
	a ^= a >> 29;
	a = (a ^ b ^ (t->seed << 32 | t->seed >> 32)) * 0xbf58476d1ce4e5b9u;
	a ^= a >> 32;
	return (size_t)a & t->mask;
}

bool keytab_insert(struct keytab *t, struct key_node *n)
{
	static const uint8_t none[16];
	struct key_node **at;

	PN_ASSERT(!n->in);
	if (!memcmp(n->key, none, sizeof(none)) || keytab_lookup(t, n->key))
		return false;
	at = &t->bucket[slot(t, n->key)];
	n->next = *at;
	n->in = true;
	*at = n;
	return true;
}

void keytab_remove(struct keytab *t, struct key_node *n)
{
	struct key_node **at;

	if (!n->in)
		return;
	for (at = &t->bucket[slot(t, n->key)]; *at != n; at = &(*at)->next)
		PN_ASSERT(*at);
	*at = n->next;
	n->in = false;
}

struct key_node *keytab_lookup(const struct keytab *t, const uint8_t key[16])
{
	struct key_node *n;

	for (n = t->bucket[slot(t, key)]; n; n = n->next) {
		if (!memcmp(n->key, key, sizeof(n->key)))
			return n;
	}
	return NULL;
}
