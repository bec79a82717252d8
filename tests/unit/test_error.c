// SPDX-License-Identifier: ISC
/* Texts of the error codes. */
#include "libpeernet/base/pn_error.h"
#include "tests/unit/unit.h"

#include <limits.h>
#include <string.h>

static void test_texts(void)
{
	int code, other;

	for (code = PN_ERROR_FIRST; code >= PN_ERROR_LAST; code--) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(pn_strerror(code));
		CU_ASSERT(strcmp(pn_strerror(code), "unknown error"));
		for (other = PN_ERROR_FIRST; other > code; other--)
			CU_ASSERT(strcmp(pn_strerror(code),
					 pn_strerror(other)));
	}
	CU_ASSERT_STRING_EQUAL(pn_strerror(0), "success");
	CU_ASSERT_STRING_EQUAL(pn_strerror(-1), "unknown error");
	CU_ASSERT_STRING_EQUAL(pn_strerror(PN_ERROR_LAST - 1), "unknown error");
	CU_ASSERT_STRING_EQUAL(pn_strerror(INT_MAX), "unknown error");
	CU_ASSERT_STRING_EQUAL(pn_strerror(INT_MIN), "unknown error");
	CU_ASSERT_STRING_EQUAL(pn_strerror(PN_EAUTH), "authentication failed");
}

static CU_TestInfo tests[] = {
	{ "each code has a text of its own", test_texts },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_error;
CU_SuiteInfo suite_error = { .pName = "error", .pTests = tests };
