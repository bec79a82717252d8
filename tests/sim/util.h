/* SPDX-License-Identifier: ISC */
/* util.h - allocation that ends the program when there is no memory */
#ifndef SIM_UTIL_H
#define SIM_UTIL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static inline void *sim_check_(void *p)
{
	if (!p) {
		fputs("pnsim: out of memory\n", stderr);
		exit(2);
	}
	return p;
}

/** sim_calloc() - zeroed; never NULL */
static inline void *sim_calloc(size_t count, size_t size)
{
	return sim_check_(calloc(count ? count : 1, size ? size : 1));
}

/** sim_realloc() - never NULL */
static inline void *sim_realloc(void *p, size_t count, size_t size)
{
	return sim_check_(reallocarray(p, count ? count : 1, size));
}

/** sim_pages() - zeroed memory straight from the kernel, which costs nothing before it is
 *  used; never NULL.  Given back with sim_pages_free() */
static inline void *sim_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	sim_check_(p == MAP_FAILED ? NULL : p);
	madvise(p, size, MADV_NOHUGEPAGE);	/* tables are used here and there */
	return p;
}

static inline void sim_pages_free(void *p, size_t size)
{
	if (p)
		munmap(p, size);
}

/** sim_strdup() - never NULL */
static inline char *sim_strdup(const char *s)
{
	return sim_check_(strdup(s));
}

#endif
