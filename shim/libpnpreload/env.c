/* SPDX-License-Identifier: ISC */
/* Settings, read once: some programs scrub their environment later. */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct shim_conf shim_conf;
static _Atomic int shim_stage;	/* 0 nothing, 1 at work, 2 ready */

static bool env_true(const char *name)
{
	const char *v = getenv(name);

	return v && *v && strcmp(v, "0") != 0 && strcmp(v, "no") != 0;
}

static bool env_off(void)
{
	const char *v = getenv("PEERNET");

	return v && (!strcmp(v, "off") || !strcmp(v, "0") || !strcmp(v, "no"));
}

static void env_read(void)
{
	const char *listen = getenv("PEERNET_LISTEN");
	const char *file = getenv("PEERNET_TRACE");

	shim_conf.on = !env_off();
	shim_conf.only = env_true("PEERNET_ONLY");
	shim_conf.listen = SHIM_LISTEN_BOTH;
	if (shim_conf.only || (listen && !strcmp(listen, "peernet")))
		shim_conf.listen = SHIM_LISTEN_PEERNET;
	else if (listen && !strcmp(listen, "kernel"))
		shim_conf.listen = SHIM_LISTEN_KERNEL;
	if (!shim_conf.on)
		return;
	dm_setup();
	exec_setup();
	if (file && *file)
		trace_open(file);
	recover_all();
}

/* What hooks are called before this is done (by us, or by another thread,
 * which there hardly is so early) go to libc. */
static void shim_start(void)
{
	int zero = 0, saved = errno;

	if (!atomic_compare_exchange_strong(&shim_stage, &zero, 1))
		return;
	real();
	env_read();
	atomic_store(&shim_stage, 2);
	errno = saved;
}

struct shim_conf *shim(void)
{
	static struct shim_conf starting;

	if (__builtin_expect(!atomic_load_explicit(&shim_stage, memory_order_acquire), 0))
		shim_start();
	return __builtin_expect(atomic_load(&shim_stage) == 2, 1) ? &shim_conf : &starting;
}

__attribute__((constructor)) static void shim_constructor(void)
{
	shim();
}
