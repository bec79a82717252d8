/* SPDX-License-Identifier: ISC */
/* Look up the functions below the shim, once. */
#include "shim/libpnpreload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

static struct shim_real real_table;
static _Atomic int real_ready;

/* Several threads may do this at the same time: all write the same values. */
static void real_resolve(void)
{
	static const struct {
		const char *name;
		size_t offset;
	} names[] = {
#define R(ret_, name_, args_) { #name_, offsetof(struct shim_real, name_) },
		SHIM_REAL_LIST(R)
#undef R
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *sym = dlsym(RTLD_NEXT, names[i].name);

		memcpy((char *)&real_table + names[i].offset, &sym, sizeof(sym));
	}
}

const struct shim_real *real(void)
{
	if (__builtin_expect(!atomic_load_explicit(&real_ready,
						   memory_order_acquire), 0)) {
		int saved = errno;

		real_resolve();
		atomic_store_explicit(&real_ready, 1, memory_order_release);
		errno = saved;
	}
	return &real_table;
}
