/* SPDX-License-Identifier: ISC */
/* Binary heap of deadlines, the earliest on top.
 *
 * Intrusive: an entry is a field of the caller's struct (pn_container_of()
 * leads back) and keeps its own index, so that cancelling and moving cost
 * O(log n) without a search.  The array of pointers is the caller's too: the
 * heap allocates nothing and can be full.  Entries with equal times come out
 * in no promised, but in a repeatable, order. */
#ifndef PN_HEAP_H
#define PN_HEAP_H

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_time.h"

#include <stdbool.h>
#include <stdint.h>

/** PN_HEAP_NONE - Index of an entry that is in no heap */
#define PN_HEAP_NONE	UINT32_MAX

/**
 * struct pn_heap_entry - What the caller's struct carries
 * @at:		Key; change it only with pn_heap_update() while in a heap
 * @index:	Place in the array, PN_HEAP_NONE if in no heap; the heap's
 */
struct pn_heap_entry {
	struct pn_time at;
	uint32_t index;
};

/**
 * struct pn_heap - A heap over the caller's array
 * @slots:	Array of @cap pointers, borrowed while the heap is used
 * @count:	Entries in it
 * @cap:	Entries that fit
 */
struct pn_heap {
	struct pn_heap_entry **slots;
	uint32_t count;
	uint32_t cap;
};

/** pn_heap_init() - Make an empty heap
 * @slots:	Array of @cap pointers, kept; contents do not matter
 * @cap:	Entries that fit, below PN_HEAP_NONE
 */
void pn_heap_init(struct pn_heap *h, struct pn_heap_entry **slots,
		  uint32_t cap);

/** pn_heap_entry_init() - Make an entry that is in no heap
 *
 * A zeroed entry is not one: its index would be 0.
 */
static inline void pn_heap_entry_init(struct pn_heap_entry *e)
{
	e->at = PN_TIME_NEVER;
	e->index = PN_HEAP_NONE;
}

/** pn_heap_has() - Is the entry in a heap?
 * Return: true or false
 */
static inline bool pn_heap_has(const struct pn_heap_entry *e)
{
	return e->index != PN_HEAP_NONE;
}

/** pn_heap_top() - The earliest entry
 * Return: the entry, which stays in the heap; NULL if there is none
 */
static inline struct pn_heap_entry *pn_heap_top(const struct pn_heap *h)
{
	return h->count ? h->slots[0] : NULL;
}

/** pn_heap_next_deadline() - When the earliest entry is due
 * Return: its time; PN_TIME_NEVER if the heap is empty
 */
static inline struct pn_time pn_heap_next_deadline(const struct pn_heap *h)
{
	return h->count ? h->slots[0]->at : PN_TIME_NEVER;
}

/** pn_heap_push() - Put an entry into the heap
 * @e:		Entry with @at set, in no heap; must stay where it is until
 *		removed
 *
 * Return: false if the heap is full
 */
PN_MUST_CHECK bool pn_heap_push(struct pn_heap *h, struct pn_heap_entry *e);

/** pn_heap_remove() - Take an entry out
 * @e:		Entry; nothing happens if it is in no heap
 */
void pn_heap_remove(struct pn_heap *h, struct pn_heap_entry *e);

/** pn_heap_update() - Give an entry of the heap another time
 * @e:		Entry in this heap
 * @at:		Its new time, earlier or later
 */
void pn_heap_update(struct pn_heap *h, struct pn_heap_entry *e,
		    struct pn_time at);

/** pn_heap_pop() - Take the earliest entry out
 * Return: the entry; NULL if there is none
 */
struct pn_heap_entry *pn_heap_pop(struct pn_heap *h);

#endif /* PN_HEAP_H */
