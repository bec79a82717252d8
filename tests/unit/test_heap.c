// SPDX-License-Identifier: ISC
/* Heap of deadlines, against a naive twin: an array searched from end to end. */
#include "libpeernet/base/heap.h"
#include "tests/unit/unit.h"

#define ENTRY_COUNT	200
#define HEAP_CAP	150
#define STEP_COUNT	200000

struct item {
	int before;			/* so that container_of has work */
	struct pn_heap_entry entry;
};

static struct item items[ENTRY_COUNT];

/* What must hold after each step */
static void check_shape(const struct pn_heap *h)
{
	uint32_t i;

	for (i = 0; i < h->count; i++) {
		if (h->slots[i]->index != i)
			CU_FAIL_FATAL("index is wrong");
		if (i && pn_time_before(h->slots[i]->at,
					h->slots[(i - 1) / 2]->at))
			CU_FAIL_FATAL("child before parent");
	}
}

/* The twin: the earliest time of all that should be in the heap */
static struct pn_time naive_top(const bool *inside, const uint64_t *at,
				uint32_t *count)
{
	struct pn_time top = PN_TIME_NEVER;
	uint32_t i;

	*count = 0;
	for (i = 0; i < ENTRY_COUNT; i++) {
		if (!inside[i])
			continue;
		(*count)++;
		top = pn_time_min(top, (struct pn_time){ at[i] });
	}
	return top;
}

static void step(struct pn_heap *h, bool *inside, uint64_t *at,
		 uint64_t *state)
{
	uint32_t i = (uint32_t)(unit_random(state) % ENTRY_COUNT);
	uint64_t when = unit_random(state) % 64;	/* often equal */
	struct pn_heap_entry *e = &items[i].entry;
	bool full = h->count == h->cap;
	struct pn_heap_entry *top;

	switch (unit_random(state) % 4) {
	case 0:
	case 1:
		if (inside[i]) {
			pn_heap_update(h, e, (struct pn_time){ when });
			at[i] = when;
			break;
		}
		e->at = (struct pn_time){ when };
		inside[i] = pn_heap_push(h, e);
		CU_ASSERT(inside[i] == !full);
		at[i] = when;
		break;
	case 2:
		pn_heap_remove(h, e);	/* also if it is not inside */
		inside[i] = false;
		break;
	case 3:
		top = pn_heap_pop(h);
		if (!top)
			break;
		i = (uint32_t)(pn_container_of(top, struct item, entry) -
			       items);
		CU_ASSERT(inside[i]);
		CU_ASSERT_EQUAL(top->at.ns, at[i]);
		inside[i] = false;
		break;
	}
}

static void test_twin(void)
{
	struct pn_heap_entry *slots[HEAP_CAP];
	bool inside[ENTRY_COUNT] = { false };
	uint64_t at[ENTRY_COUNT] = { 0 };
	uint64_t state = 1;
	uint32_t i, count;
	struct pn_heap h;

	for (i = 0; i < ENTRY_COUNT; i++)
		pn_heap_entry_init(&items[i].entry);
	pn_heap_init(&h, slots, HEAP_CAP);
	for (i = 0; i < STEP_COUNT; i++) {
		struct pn_time top;

		step(&h, inside, at, &state);
		check_shape(&h);
		top = naive_top(inside, at, &count);
		if (h.count != count ||
		    pn_heap_next_deadline(&h).ns != top.ns)
			CU_FAIL_FATAL("differs from the twin");
	}
	for (i = 0; i < ENTRY_COUNT; i++)
		CU_ASSERT(pn_heap_has(&items[i].entry) == inside[i]);
}

static void test_sorted(void)
{
	struct pn_heap_entry *slots[HEAP_CAP];
	struct pn_time last = PN_TIME_ZERO;
	struct pn_heap_entry *e;
	uint64_t state = 2;
	struct pn_heap h;
	uint32_t i;

	pn_heap_init(&h, slots, HEAP_CAP);
	CU_ASSERT_PTR_NULL(pn_heap_top(&h));
	CU_ASSERT_PTR_NULL(pn_heap_pop(&h));
	CU_ASSERT(pn_time_is_never(pn_heap_next_deadline(&h)));
	for (i = 0; i < HEAP_CAP; i++) {
		pn_heap_entry_init(&items[i].entry);
		items[i].entry.at.ns = unit_random(&state);
		CU_ASSERT(pn_heap_push(&h, &items[i].entry));
	}
	for (i = 0; (e = pn_heap_pop(&h)); i++) {
		CU_ASSERT(!pn_time_before(e->at, last));
		CU_ASSERT(!pn_heap_has(e));
		last = e->at;
	}
	CU_ASSERT_EQUAL(i, HEAP_CAP);
}

static void push_twice(void *arg)
{
	struct pn_heap *h = arg;

	(void)!pn_heap_push(h, &items[0].entry);
	(void)!pn_heap_push(h, &items[0].entry);
}

static void update_outside(void *arg)
{
	pn_heap_update(arg, &items[0].entry, PN_TIME_ZERO);
}

static void test_misuse(void)
{
	struct pn_heap_entry *slots[HEAP_CAP];
	struct pn_heap h;

	pn_heap_init(&h, slots, HEAP_CAP);
	pn_heap_entry_init(&items[0].entry);
	CU_ASSERT(unit_aborts(push_twice, &h));
	CU_ASSERT(unit_aborts(update_outside, &h));
}

static CU_TestInfo tests[] = {
	{ "as its naive twin", test_twin },
	{ "comes out sorted", test_sorted },
	{ "misuse aborts", test_misuse },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_heap;
CU_SuiteInfo suite_heap = { .pName = "heap", .pTests = tests };
