/* SPDX-License-Identifier: ISC */
/* fake.h - what lies around the shim, for tests of its inner functions and hooks
 *
 * The program is linked of all that the shim consists of, but daemon.c: its calls are here, and
 * know one node.  As the hooks have the names of libc's calls, they are those of the whole
 * program; they go on to what fake_below() holds, which is libc's until a test puts something
 * else there.
 */
#ifndef TESTS_SHIM_FAKE_H
#define TESTS_SHIM_FAKE_H

#include "shim/libpnpreload/shim.h"

#define FAKE_NAME	"website.pn.alt" /* the only one that is found */
#define FAKE_HIT	"2001:21::5"	/* its HIT */
#define FAKE_ADDR4	"198.18.0.5"	/* what stands for that */

/**
 * struct fake_daemon - The daemon
 * @down:	There is none
 * @asked:	Names that it was asked for
 */
struct fake_daemon {
	bool down;
	unsigned int asked;
};

extern struct fake_daemon fake_daemon;

/** fake_below() - The calls below the shim, to be replaced */
struct shim_real *fake_below(void);

/** fake_reset() - All as at the start: libc's calls, a daemon, no settings */
void fake_reset(void);

#endif /* TESTS_SHIM_FAKE_H */
