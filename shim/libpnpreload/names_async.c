/* SPDX-License-Identifier: ISC */
/* getaddrinfo_a(): questions that are answered later.
 *
 * libc asks them inside itself, where getaddrinfo() cannot be hooked.  Those that are not for
 * libc are answered at once, since the daemon is near; libc sees the others, and says when
 * all is done.  It passes over entries that are NULL.
 */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whatever it becomes */
static bool is_translated(const struct gaicb *one)
{
	bool idn = one->ar_request && one->ar_request->ai_flags & AI_IDN;
	char *ascii = idn ? idn_to_ascii(one->ar_name) : NULL;
	bool yes = ascii != NULL;

	free(ascii);
	return yes;
}

/* PEERNET_ONLY: none is */
static bool is_libcs(const struct gaicb *one)
{
	const char *name = one->ar_name;
	uint8_t hit[16];

	return !name || (!shim()->only && name_kind_of(name, hit) == NAME_FOREIGN &&
			 !search_has_ours(name) && !is_translated(one));
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
