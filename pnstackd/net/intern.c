/* SPDX-License-Identifier: ISC */
/* intern.c - values that many refer to are kept once: a hash table of indexes */
#include "pnstackd/net/intern.h"
#include "pnstackd/net/limit.h"

#include <string.h>

void intern_carve(struct intern *t, struct arena *a, uint32_t cap, size_t size)
{
	PN_ASSERT(cap > 0);
	PN_ASSERT(cap < UINT16_MAX);
	PN_ASSERT(size % sizeof(uint64_t) == 0);
	t->cap = (uint16_t)cap;
	t->size = (uint16_t)size;
	t->mask = 7;
	while (t->mask < cap / 2)
		t->mask = 2 * t->mask + 1;
	t->values = arena_take(a, cap + 1, size);
	t->refs = arena_take(a, cap + 1, sizeof(*t->refs));
	t->next = arena_take(a, cap + 1, sizeof(*t->next));
	t->bucket = arena_take(a, t->mask + 1, sizeof(*t->bucket));
}

/* Return: where the value's chain begins; NULL: it is zero */
static uint16_t *bucket_of(const struct intern *t, const void *value)
{
	const uint8_t *p = value;
	uint64_t word, any = 0, h = 0;

	for (size_t i = 0; i < t->size; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		any |= word;
		h = mix64(h ^ word);
	}
	return any ? &t->bucket[h & t->mask] : NULL;
}

static uint16_t chain_search(const struct intern *t, uint16_t ref, const void *value)
{
	while (ref && memcmp(intern_at(t, ref), value, t->size) != 0)
		ref = t->next[ref];
	return ref;
}

uint16_t intern_find(const struct intern *t, const void *value)
{
	const uint16_t *head = bucket_of(t, value);

	return head ? chain_search(t, *head, value) : 0;
}

uint16_t intern_put(struct intern *t, const void *value)
{
	uint16_t *head = bucket_of(t, value), ref;

	if (!head)
		return 0;
	ref = chain_search(t, *head, value);
	if (ref)
		return intern_get(t, ref);
	if (t->free) {
		ref = t->free;
		t->free = t->next[ref];
	} else if (t->fresh < t->cap) {
		ref = ++t->fresh;
	} else {
		return 0;
	}
	memcpy(t->values + (size_t)ref * t->size, value, t->size);
	t->refs[ref] = 1;
	t->next[ref] = *head;
	*head = ref;
	return ref;
}

uint16_t intern_get(struct intern *t, uint16_t ref)
{
	if (ref) {
		PN_ASSERT(t->refs[ref] > 0);
		t->refs[ref]++;
	}
	return ref;
}

void intern_drop(struct intern *t, uint16_t ref)
{
	uint16_t *at;

	if (!ref)
		return;
	PN_ASSERT(t->refs[ref] > 0);
	if (--t->refs[ref])
		return;
	at = bucket_of(t, intern_at(t, ref));
	PN_ASSERT(at);
	while (*at != ref) {
		PN_ASSERT(*at);
		at = &t->next[*at];
	}
	*at = t->next[ref];
	t->next[ref] = t->free;
	t->free = ref;
}
