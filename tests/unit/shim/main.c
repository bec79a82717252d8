/* SPDX-License-Identifier: ISC */
/* Runs the tests of the shim's inner functions: see fake.h. */
#include "fake.h"

#include "libpeernet/base/pn_assert.h"

#include <CUnit/Basic.h>

#include <stdlib.h>

extern CU_SuiteInfo suite_shim_names, suite_shim_dns, suite_shim_exec, suite_shim_res;

/* Before the shim's own, which reads them */
__attribute__((constructor(101))) static void no_settings(void)
{
	static const char *const names[] = { "PEERNET", "PEERNET_SOCKET", "PEERNET_ONLY",
					     "PEERNET_LISTEN", "PEERNET_TRACE" };

	for (size_t i = 0; i < PN_ARRAY_LEN(names); i++)
		unsetenv(names[i]);
}

int main(void)
{
	CU_SuiteInfo *const infos[] = { &suite_shim_names, &suite_shim_dns, &suite_shim_exec,
					&suite_shim_res };
	unsigned int failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (size_t i = 0; i < PN_ARRAY_LEN(infos); i++) {
		CU_SuiteInfo one[] = { *infos[i], CU_SUITE_INFO_NULL };

		if (CU_register_suites(one) != CUE_SUCCESS)
			return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
