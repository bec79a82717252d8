// SPDX-License-Identifier: ISC
/* Runs the unit tests.  It only lists the suites: each test_<module>.c exports
 * a "CU_SuiteInfo suite_<module>"; add one line below for a new one.
 *
 * usage: unit [SUITE...]		all suites, or those named */
#include "tests/unit/unit.h"

#include <CUnit/Basic.h>

#include <stdio.h>
#include <string.h>

#define SUITES(X)	\
	X(adj)		\
	X(adj_life)	\
	X(adj_link)	\
	X(adj_policy)	\
	X(adj_ring)	\
	X(api_wire)	\
	X(bytes)	\
	X(client)	\
	X(config)	\
	X(cut)		\
	X(error)	\
	X(fwd)		\
	X(guard)	\
	X(heap)		\
	X(intern)	\
	X(leaf)		\
	X(leaving)	\
	X(linkspec)	\
	X(lookup)	\
	X(loop)		\
	X(loop_hup)	\
	X(name)		\
	X(nbhd)		\
	X(noise)	\
	X(part)		\
	X(peer)		\
	X(petnames)	\
	X(pkt)		\
	X(record)	\
	X(replay)	\
	X(route)	\
	X(shim)		\
	X(shim_fdtable)	\
	X(sim_check)	\
	X(sim_scenario)	\
	X(succeed)	\
	X(testlink)	\
	X(time)		\
	X(tools)	\
	X(tools_stats)	\
	X(tree)		\
	/* end of the list */

#define DECLARE(name_)	extern CU_SuiteInfo suite_##name_;
#define ENTRY(name_)	{ #name_, &suite_##name_ },

SUITES(DECLARE)

static const struct {
	const char *name;
	CU_SuiteInfo *info;
} suites[] = { SUITES(ENTRY) };

#define SUITE_COUNT	(sizeof(suites) / sizeof(suites[0]))

static bool is_wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return argc < 2;
}

static int register_suites(int argc, char **argv)
{
	int count = 0;
	size_t i;

	for (i = 0; i < SUITE_COUNT; i++) {
		CU_SuiteInfo one[] = { *suites[i].info, CU_SUITE_INFO_NULL };

		if (!is_wanted(suites[i].name, argc, argv))
			continue;
		if (CU_register_suites(one) != CUE_SUCCESS) {
			fprintf(stderr, "unit: %s: %s\n", suites[i].name,
				CU_get_error_msg());
			return -1;
		}
		count++;
	}
	if (argc > 1 && count != argc - 1) {
		fprintf(stderr, "unit: no such suite among the arguments\n");
		return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int failed, run;

	if (CU_initialize_registry() != CUE_SUCCESS ||
	    register_suites(argc, argv) < 0)
		return 2;
	CU_basic_set_mode(CU_BRM_NORMAL);
	if (CU_basic_run_tests() != CUE_SUCCESS) {
		fprintf(stderr, "unit: %s\n", CU_get_error_msg());
		return 2;
	}
	run = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	/* a suite whose init failed ran no test: count it as one */
	printf("\nunit: %u passed, %u failed\n", run - failed,
	       failed + CU_get_number_of_suites_failed());
	failed += CU_get_number_of_suites_failed();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
