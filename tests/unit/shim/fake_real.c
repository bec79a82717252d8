/* SPDX-License-Identifier: ISC */
/* The table of what is below, which tests change. */
#include "fake.h"

#include "shim/libpnpreload/real.c"

struct shim_real *fake_below(void)
{
	real();
	return &real_table;
}

void fake_reset(void)
{
	real_resolve();
	fake_daemon = (struct fake_daemon){ .down = false };
	shim()->on = true;
	shim()->only = false;
	shim()->listen = SHIM_LISTEN_BOTH;
}
