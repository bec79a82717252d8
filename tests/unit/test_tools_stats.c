/* SPDX-License-Identifier: ISC */
/* Statistics of round trips, against a naive twin. */
#include "tests/unit/unit.h"

#include <CUnit/TestDB.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/stats.h"

static void test_empty(void)
{
	struct stats s = { .count = 0 };
	struct stats_summary sum;

	stats_summary(&s, &sum);
	CU_ASSERT_EQUAL(sum.count, 0);
	CU_ASSERT_EQUAL(sum.p99_ns, 0);
	CU_ASSERT_EQUAL(stats_kept(&s), 0);
	stats_fini(&s);
}

static void test_known(void)
{
	/* 1..100 ms: mean 50.5, population deviation sqrt((100^2 - 1) / 12) */
	struct stats s = { .count = 0 };
	struct stats_summary sum;
	uint64_t i;

	for (i = 100; i > 0; i--)
		CU_ASSERT_TRUE(stats_add(&s, i * 1000000));
	stats_summary(&s, &sum);
	CU_ASSERT_EQUAL(sum.count, 100);
	CU_ASSERT_EQUAL(sum.min_ns, 1000000);
	CU_ASSERT_EQUAL(sum.max_ns, 100000000);
	CU_ASSERT_EQUAL(sum.avg_ns, 50500000);
	CU_ASSERT_EQUAL(sum.p50_ns, 50000000);
	CU_ASSERT_EQUAL(sum.p99_ns, 99000000);
	CU_ASSERT_EQUAL(sum.mdev_ns, (uint64_t)(sqrt(9999.0 / 12) * 1e6 + 0.5));
	CU_ASSERT_EQUAL(stats_at(&s, 0), 100000000);
	stats_fini(&s);
	CU_ASSERT_EQUAL(s.count, 0);
}

static void test_one(void)
{
	struct stats s = { .count = 0 };
	struct stats_summary sum;

	stats_add(&s, 77);
	stats_summary(&s, &sum);
	CU_ASSERT_EQUAL(sum.min_ns, 77);
	CU_ASSERT_EQUAL(sum.p99_ns, 77);
	CU_ASSERT_EQUAL(sum.mdev_ns, 0);
	stats_fini(&s);
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void check_random(uint64_t seed, size_t n)
{
	uint64_t *all = calloc(n, sizeof(*all));
	struct stats s = { .count = 0 };
	struct stats_summary sum;
	double mean = 0, square = 0;
	size_t i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	for (i = 0; i < n; i++) {
		all[i] = unit_random(&seed) % 1000000000;
		mean += (double)all[i] / (double)n;
		stats_add(&s, all[i]);
	}
	for (i = 0; i < n; i++)
		square += ((double)all[i] - mean) * ((double)all[i] - mean) / (double)n;
	for (i = 0; i < n; i++)
		CU_ASSERT_EQUAL(stats_at(&s, i), all[i]);
	qsort(all, n, sizeof(*all), by_size);
	stats_summary(&s, &sum);
	CU_ASSERT_EQUAL(sum.min_ns, all[0]);
	CU_ASSERT_EQUAL(sum.max_ns, all[n - 1]);
	CU_ASSERT_TRUE(fabs((double)sum.avg_ns - mean) <= 1);
	CU_ASSERT_TRUE(fabs((double)sum.mdev_ns - sqrt(square)) <= 2);
	CU_ASSERT_EQUAL(sum.p99_ns, all[(size_t)ceil((double)n * 0.99) - 1]);
	stats_fini(&s);
	free(all);
}

static void test_random(void)
{
	uint64_t seed;

	for (seed = 1; seed <= 50; seed++)
		check_random(seed, (size_t)(1 + seed * seed));
}

static void test_ring(void)
{
	/* only the newest count for the percentile, all for the rest */
	struct stats s = { .count = 0 };
	struct stats_summary sum;
	size_t i;

	for (i = 0; i < STATS_KEPT_MAX; i++)
		stats_add(&s, 1000);
	for (i = 0; i < STATS_KEPT_MAX; i++)
		stats_add(&s, 5);
	CU_ASSERT_EQUAL(stats_kept(&s), STATS_KEPT_MAX);
	CU_ASSERT_EQUAL(stats_at(&s, 0), 5);
	stats_add(&s, 6);
	CU_ASSERT_EQUAL(stats_at(&s, STATS_KEPT_MAX - 1), 6);
	CU_ASSERT_EQUAL(stats_at(&s, STATS_KEPT_MAX - 2), 5);
	stats_summary(&s, &sum);
	CU_ASSERT_EQUAL(sum.max_ns, 1000);
	CU_ASSERT_EQUAL(sum.p99_ns, 5);
	CU_ASSERT_EQUAL(sum.count, 2 * STATS_KEPT_MAX + 1);
	stats_fini(&s);
}

static CU_TestInfo tests[] = {
	{ "none", test_empty },
	{ "known series", test_known },
	{ "one", test_one },
	{ "random, against a naive twin", test_random },
	{ "more than are kept", test_ring },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_tools_stats;
CU_SuiteInfo suite_tools_stats = { .pName = "tools_stats", .pTests = tests };
