/* SPDX-License-Identifier: ISC */
/* Assertions and the few macros that every file needs.
 *
 * An assertion is for our own mistakes only (style rule 24 c): it is on in
 * release builds and ends the process.  What a peer, the network, the operator
 * or the system did is never asserted. */
#ifndef PN_ASSERT_H
#define PN_ASSERT_H

#include <stddef.h>

/** PN_MUST_CHECK - The caller must look at the function's result */
#define PN_MUST_CHECK		__attribute__((warn_unused_result))

/** PN_PRINTF() - Argument @fmt_ is a printf format, values begin at @args_ */
#define PN_PRINTF(fmt_, args_)	__attribute__((format(printf, fmt_, args_)))

/** PN_ARRAY_LEN() - Count of elements of an array (not of a pointer) */
#define PN_ARRAY_LEN(array_)	(sizeof(array_) / sizeof((array_)[0]))

/** pn_container_of() - The struct @type_ whose field @member_ @ptr_ points to */
#define pn_container_of(ptr_, type_, member_)				\
	((type_ *)(void *)((char *)(ptr_) - offsetof(type_, member_)))

#define PN_STR_(x_)		#x_
#define PN_STR(x_)		PN_STR_(x_)

/** PN_ASSERT() - Abort if @cond_ is false; it is evaluated exactly once
 *
 * Split && into two assertions, so that the one that failed is known.
 */
#define PN_ASSERT(cond_)						\
	do {								\
		if (__builtin_expect(!(cond_), 0))			\
			pn_assert_fail_(__FILE__ ":" PN_STR(__LINE__)	\
					": " #cond_);			\
	} while (0)

/** pn_assert_failed - "file:line: condition" of the assertion that failed
 *
 * NULL before.  The base library does no I/O: a handler of SIGABRT may print
 * it, and a debugger finds it in the core file.
 */
extern const char *volatile pn_assert_failed;

/** pn_assert_fail_() - What PN_ASSERT() does when it fails: abort()
 * @where:	Static string, put into pn_assert_failed
 */
_Noreturn void pn_assert_fail_(const char *where);

/** pn_min() - The smaller of two sizes
 * Return: @a or @b
 */
static inline size_t pn_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/** pn_max() - The larger of two sizes
 * Return: @a or @b
 */
static inline size_t pn_max(size_t a, size_t b)
{
	return a > b ? a : b;
}

#endif /* PN_ASSERT_H */
