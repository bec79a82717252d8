// SPDX-License-Identifier: ISC
/* Values kept once, against a naive twin that counts them. */
#include "pnstackd/net/intern.h"
#include "tests/unit/unit.h"

#include <string.h>

#define CAP 20
#define KINDS 40

struct value { uint64_t a, b; };

static _Alignas(16) uint8_t mem[2048];

static struct intern table(void)
{
	struct arena sizing = {0}, a = {.at = mem};
	struct intern t = {0};

	intern_carve(&t, &sizing, CAP, sizeof(struct value));
	CU_ASSERT_FATAL(sizing.used <= sizeof(mem));
	memset(mem, 0xa5, sizeof(mem));
	intern_carve(&t, &a, CAP, sizeof(struct value));
	return t;
}

static struct value value_of(unsigned kind)
{
	return (struct value){.b = kind};
}

/* Zero is always there, and nobody can take it away. */
static void test_zero(void)
{
	struct intern t = table();
	struct value zero = {0};

	CU_ASSERT_EQUAL(intern_put(&t, &zero), 0);
	intern_drop(&t, 0);
	CU_ASSERT_EQUAL(memcmp(intern_at(&t, 0), &zero, sizeof(zero)), 0);
	CU_ASSERT_EQUAL(t.fresh, 0);
}

/* Equal values have equal references; those that are counted stay; a full table takes no more. */
static void test_twin(void)
{
	struct intern t = table();
	unsigned count[KINDS + 1] = {0}, used = 0, full = 0;
	uint64_t state = 1;

	for (int i = 0; i < 20000; i++) {
		uint64_t x = unit_random(&state);
		unsigned kind = 1 + (unsigned)(x % KINDS);
		struct value v = value_of(kind);
		uint16_t ref = intern_find(&t, &v), put;

		CU_ASSERT_FATAL((ref != 0) == (count[kind] > 0));
		if (ref)
			CU_ASSERT_FATAL(!memcmp(intern_at(&t, ref), &v, sizeof(v)));
		if (x >> 32 & 1) {
			put = intern_put(&t, &v);
			CU_ASSERT_FATAL((put != 0) == (ref || used < CAP));
			CU_ASSERT_FATAL(!ref || put == ref);
			full += put == 0;
			used += put && !count[kind];
			count[kind] += put != 0;
		} else if (ref) {
			intern_drop(&t, ref);
			used -= --count[kind] == 0;
		}
	}
	CU_ASSERT(full > 100);
	CU_ASSERT(t.fresh <= CAP);
}

static CU_TestInfo tests[] = {
	{ "zero takes no room", test_zero },
	{ "as a naive twin", test_twin },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_intern;
CU_SuiteInfo suite_intern = { .pName = "intern", .pTests = tests };
