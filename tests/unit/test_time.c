// SPDX-License-Identifier: ISC
/* Arithmetic of points in time, at its edges. */
#include "libpeernet/base/pn_time.h"
#include "tests/unit/unit.h"

#define T(ns_)	((struct pn_time){ (ns_) })
#define MAX	UINT64_MAX

static void test_add(void)
{
	static const struct {
		uint64_t t, delta_ns, sum;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, 2, 3 },
		{ MAX - 2, 1, MAX - 1 },
		{ MAX - 2, 2, MAX },
		{ MAX - 2, 3, MAX },
		{ MAX, 0, MAX },
		{ MAX, 1, MAX },
		{ MAX, MAX, MAX },
		{ 0, MAX, MAX },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CU_ASSERT_EQUAL(pn_time_add(T(cases[i].t),
					    cases[i].delta_ns).ns,
				cases[i].sum);
}

static void test_compare(void)
{
	CU_ASSERT(pn_time_before(T(1), T(2)));
	CU_ASSERT(!pn_time_before(T(2), T(2)));
	CU_ASSERT(pn_time_before(T(MAX - 1), PN_TIME_NEVER));
	CU_ASSERT(!pn_time_before(PN_TIME_NEVER, PN_TIME_NEVER));
	CU_ASSERT_EQUAL(pn_time_min(T(1), PN_TIME_NEVER).ns, 1);
	CU_ASSERT_EQUAL(pn_time_min(T(3), T(2)).ns, 2);
	CU_ASSERT(pn_time_due(T(2), T(2)));
	CU_ASSERT(pn_time_due(T(1), T(2)));
	CU_ASSERT(!pn_time_due(T(3), T(2)));
	CU_ASSERT(!pn_time_due(PN_TIME_NEVER, PN_TIME_NEVER));
	CU_ASSERT(pn_time_is_never(PN_TIME_NEVER));
	CU_ASSERT(!pn_time_is_never(T(MAX - 1)));
}

static void test_elapsed(void)
{
	CU_ASSERT_EQUAL(pn_time_since(T(5), T(3)), 2);
	CU_ASSERT_EQUAL(pn_time_since(T(3), T(5)), 0);
	CU_ASSERT_EQUAL(pn_time_since(T(3), PN_TIME_NEVER), 0);
	CU_ASSERT_EQUAL(pn_time_since(PN_TIME_NEVER, T(3)), MAX);
	CU_ASSERT_EQUAL(pn_time_since(PN_TIME_NEVER, PN_TIME_NEVER), 0);
	CU_ASSERT_EQUAL(pn_time_until(T(3), T(5)), 2);
	CU_ASSERT_EQUAL(pn_time_until(T(5), T(3)), 0);
	CU_ASSERT_EQUAL(pn_time_until(T(5), PN_TIME_NEVER), MAX);
}

static void test_units(void)
{
	int i = 3;

	CU_ASSERT_EQUAL(PN_US(5), 5000);
	CU_ASSERT_EQUAL(PN_MS(5), 5000000);
	CU_ASSERT_EQUAL(PN_S(100), 100000000000);	/* beyond 32 bits */
	CU_ASSERT_EQUAL(PN_S(i + 1), 4000000000);
}

static CU_TestInfo tests[] = {
	{ "add saturates", test_add },
	{ "compare", test_compare },
	{ "elapsed and left", test_elapsed },
	{ "units", test_units },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_time;
CU_SuiteInfo suite_time = { .pName = "time", .pTests = tests };
