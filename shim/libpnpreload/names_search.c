/* SPDX-License-Identifier: ISC */
/* Names that become ours inside libc, where they cannot be seen any more.
 *
 * Theory of operation
 *
 * libc puts the domains of its search list (resolv.conf(5)) behind a name: with "pn.alt" among
 * them "web" would be asked of the DNS as "web.pn.alt".  So the domains that make a name ours
 * are not in the list while libc looks for that name.  A list that is not that of the file any
 * more libc takes as it is; and it is each thread's own.  Afterwards it is as it was, so that
 * libc reads the file again when it changes.
 *
 * With AI_IDN libc first makes a name of ASCII, by libidn2.  That knows other dots (U+3002), and
 * letters that become those of ".pn.alt" (U+FF50).  We ask the same function before.
 */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/names.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define IDN_LIBRARY "libidn2.so.0"	/* the one that libc opens */

/* Is the list in need of a change?  @state is what the program or libc has at this time */
static bool has_ours(const struct __res_state *state, const char *name)
{
	char all[NS_MAXDNAME + 1];
	size_t i;

	for (i = 0; i < MAXDNSRCH && state->dnsrch[i]; i++) {
		if (name_join(name, state->dnsrch[i], all))
			return true;
	}
	return false;
}

/* Have libc read the file, if it has not yet, or if that has changed */
static void refresh(void)
{
	unsigned char question[NS_HFIXEDSZ + NS_QFIXEDSZ + 4];
	int saved = errno;

	res_mkquery(ns_o_query, "a", C_IN, T_A, NULL, 0, NULL, question, sizeof(question));
	errno = saved;
}

static bool is_searched(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return shim()->on && len && name[len - 1] != '.';
}

/* What all of libc's functions for hosts take for an address.  inet_aton() alone takes more:
 * gethostbyname() looks for "0x50", and both for what has rubbish behind a blank */
static bool is_address(const char *name)
{
	struct in6_addr any;

	return inet_pton(AF_INET6, name, &any) == 1 ||
	       (!name[strspn(name, "0123456789.")] && inet_aton(name, (struct in_addr *)&any));
}

bool search_has_ours(const char *name)
{
	if (!is_searched(name) || is_address(name))
		return false;
	refresh();
	return has_ours(&_res, name);
}

void search_hide(res_state state, const char *name, struct search_list *kept)
{
	char all[NS_MAXDNAME + 1];
	size_t i, left = 0;

	kept->hidden = false;
	if (!is_searched(name))
		return;
	if (state == &_res)
		refresh();
	kept->hidden = has_ours(state, name);
	if (!kept->hidden)
		return;
	memcpy(kept->domain, state->dnsrch, sizeof(kept->domain));
	for (i = 0; i < MAXDNSRCH && kept->domain[i]; i++) {
		if (!name_join(name, kept->domain[i], all))
			state->dnsrch[left++] = kept->domain[i];
	}
	state->dnsrch[left] = NULL;
	trace(-1, "name %s: not looked for in domains of PeerNet's", name);
}

void search_hide_host(const char *name, struct search_list *kept)
{
	kept->hidden = false;
	if (name && !is_address(name))
		search_hide(&_res, name, kept);
}

void search_show(res_state state, const struct search_list *kept)
{
	if (kept->hidden)
		memcpy(state->dnsrch, kept->domain, sizeof(kept->domain));
}

char *idn_to_ascii(const char *name)
{
	static _Atomic(void *) found;
	int (*lookup)(const char *, char **, int);
	void *at = atomic_load(&found), *library;
	char *ascii = NULL;
	const char *c = name;

	while (*c && !(*c & 0x80))
		c++;
	if (!*c)
		return NULL;
	if (!at) {
		library = dlopen(IDN_LIBRARY, RTLD_NOW);
		at = library ? dlsym(library, "idn2_lookup_ul") : NULL;
		atomic_store(&found, at);
	}
	if (!at)
		return NULL;
	memcpy(&lookup, &at, sizeof(lookup));
	return lookup(name, &ascii, 0) ? NULL : ascii;
}
