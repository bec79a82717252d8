/* SPDX-License-Identifier: ISC */
/* getaddrinfo_a(): questions that are answered later.
 *
 * libc asks them inside itself, in threads of its own, where neither getaddrinfo() can be hooked
 * nor the search list be changed.  So those that are not for libc are answered before the call
 * returns: names of ours at once, since the daemon is near; but a name that only one of libc's
 * domains makes ours may have to wait for the DNS.  libc sees the others, and says when all is
 * done.  It passes over entries that are NULL.
 */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* @name is as libc will see it */
static bool stays_foreign(const char *name)
{
	uint8_t hit[16];

	return name_kind_of(name, hit) == NAME_FOREIGN && !search_has_ours(name);
}

/* PEERNET_ONLY: none is.  A thread that has a locale of its own cannot tell what libc's, which
 * has that of the process, makes of a name. */
static bool is_libcs(const struct gaicb *one)
{
	bool idn = one->ar_request && one->ar_request->ai_flags & AI_IDN;
	char *ascii;
	bool yes;

	if (!one->ar_name)
		return true;
	if (shim()->only || (idn && uselocale((locale_t)0) != LC_GLOBAL_LOCALE))
		return false;
	ascii = idn ? idn_to_ascii(one->ar_name) : NULL;
	yes = stays_foreign(ascii ? ascii : one->ar_name);
	free(ascii);
	return yes;
}

HOOK int getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event)
{
	struct gaicb **rest;
	int i, ret;

	if (!real()->getaddrinfo_a)
		return EAI_SYSTEM;
	if (!shim()->on || count <= 0 || (mode != GAI_WAIT && mode != GAI_NOWAIT))
		return real()->getaddrinfo_a(mode, list, count, event);
	rest = calloc((size_t)count, sizeof(*rest));
	if (!rest)
		return EAI_MEMORY;
	for (i = 0; i < count; i++) {
		if (list[i] && !is_libcs(list[i]))
			list[i]->__return = getaddrinfo(list[i]->ar_name, list[i]->ar_service,
							list[i]->ar_request,
							&list[i]->ar_result);
		else
			rest[i] = list[i];
	}
	ret = real()->getaddrinfo_a(mode, rest, count, event);
	free(rest);
	return ret;
}
