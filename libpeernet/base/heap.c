// SPDX-License-Identifier: ISC
/* Binary heap of deadlines: slot i has its children in 2i+1 and 2i+2. */
#include "libpeernet/base/heap.h"

static void heap_set(struct pn_heap *h, uint32_t i, struct pn_heap_entry *e)
{
	h->slots[i] = e;
	e->index = i;
}

static void heap_up(struct pn_heap *h, uint32_t i)
{
	struct pn_heap_entry *e = h->slots[i];

	while (i > 0) {
		uint32_t parent = (i - 1) / 2;

		if (!pn_time_before(e->at, h->slots[parent]->at))
			break;
		heap_set(h, i, h->slots[parent]);
		i = parent;
	}
	heap_set(h, i, e);
}

static void heap_down(struct pn_heap *h, uint32_t i)
{
	struct pn_heap_entry *e = h->slots[i];

	while (i < h->count / 2) {
		uint32_t child = 2 * i + 1;

		if (child + 1 < h->count &&
		    pn_time_before(h->slots[child + 1]->at,
				   h->slots[child]->at))
			child++;
		if (!pn_time_before(h->slots[child]->at, e->at))
			break;
		heap_set(h, i, h->slots[child]);
		i = child;
	}
	heap_set(h, i, e);
}

void pn_heap_init(struct pn_heap *h, struct pn_heap_entry **slots,
		  uint32_t cap)
{
	PN_ASSERT(slots || !cap);
	PN_ASSERT(cap < PN_HEAP_NONE);
	h->slots = slots;
	h->count = 0;
	h->cap = cap;
}

bool pn_heap_push(struct pn_heap *h, struct pn_heap_entry *e)
{
	PN_ASSERT(!pn_heap_has(e));
	if (h->count >= h->cap)
		return false;
	h->slots[h->count] = e;
	heap_up(h, h->count++);
	return true;
}

void pn_heap_remove(struct pn_heap *h, struct pn_heap_entry *e)
{
	uint32_t i = e->index;
	struct pn_heap_entry *last;

	if (!pn_heap_has(e))
		return;
	PN_ASSERT(i < h->count);
	PN_ASSERT(h->slots[i] == e);

	last = h->slots[--h->count];
	e->index = PN_HEAP_NONE;
	if (last == e)
		return;
	heap_set(h, i, last);
	heap_up(h, i);
	heap_down(h, last->index);
}

void pn_heap_update(struct pn_heap *h, struct pn_heap_entry *e,
		    struct pn_time at)
{
	PN_ASSERT(pn_heap_has(e));
	PN_ASSERT(e->index < h->count);
	PN_ASSERT(h->slots[e->index] == e);
	e->at = at;
	heap_up(h, e->index);
	heap_down(h, e->index);
}

struct pn_heap_entry *pn_heap_pop(struct pn_heap *h)
{
	struct pn_heap_entry *e = pn_heap_top(h);

	if (e)
		pn_heap_remove(h, e);
	return e;
}
