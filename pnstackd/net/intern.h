/* SPDX-License-Identifier: ISC */
/* intern.h - values that many refer to are kept once, and counted
 *
 * A reference has 16 bits.  0 stands for the value that is all zero, which is always
 * there and takes no room.  Values are compared byte by byte: they must have no padding.
 */
#ifndef PN_INTERN_H
#define PN_INTERN_H

#include <stdint.h>

#include "pnstackd/net/net_int.h"

struct intern {
	uint8_t *values;             /* [cap + 1][size]; the first is all zero */
	uint32_t *refs;              /* [cap + 1]; how many refer to it */
	uint16_t *next;              /* [cap + 1]; in its bucket, or free; 0 end */
	uint16_t *bucket;            /* [mask + 1]; heads */
	uint16_t cap, free, fresh;   /* fresh: so many were ever used */
	uint16_t size;
	uint32_t mask;
};

/** intern_carve() - @cap: values at most, below 65535    @size: of each, a multiple of 8 */
void intern_carve(struct intern *t, struct arena *a, uint32_t cap, size_t size);
/** intern_find() - Return: the reference to a value; 0: it is zero, or not there.  Not counted */
uint16_t intern_find(const struct intern *t, const void *value);
/** intern_put() - Return: a counted reference to a value; 0: it is zero, or there is no room */
uint16_t intern_put(struct intern *t, const void *value);
/** intern_get() - Return: @ref, counted once more */
uint16_t intern_get(struct intern *t, uint16_t ref);
/** intern_drop() - one reference less; the value goes with the last */
void intern_drop(struct intern *t, uint16_t ref);
static inline const void *intern_at(const struct intern *t, uint16_t ref)
{
	PN_ASSERT(ref <= t->fresh);
	return t->values + (size_t)ref * t->size;
}

#endif
