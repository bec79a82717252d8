// SPDX-License-Identifier: ISC
/* The end of a process that found itself wrong. */
#include "libpeernet/base/pn_assert.h"

#include <stdlib.h>

const char *volatile pn_assert_failed;

_Noreturn void pn_assert_fail_(const char *where)
{
	pn_assert_failed = where;
	abort();
}
