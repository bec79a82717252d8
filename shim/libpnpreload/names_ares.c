/* SPDX-License-Identifier: ISC */
/* Names that are asked of c-ares, the resolver library that many programs have beside libc's.
 *
 * It speaks to the DNS with sockets of its own.  As with getaddrinfo(), a name of ours is handed
 * to it as the address that it stands for, which it answers at once.  Whatever else is asked about
 * such a name is not found, and never sent.
 *
 * The library may have been loaded by a part of the program, where RTLD_NEXT does not look.
 * What is said of its calls here has been so since 1.16; all have the name libcares.so.2.
 */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/names.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <string.h>

#define ARES_ENOTFOUND	4	/* ares.h */
#define ARES_ENOTIMP	5

/** struct ares_hints - The start of struct ares_addrinfo_hints */
struct ares_hints {
	int flags;
	int family;
};

/* Each call has one of these, with what was found */
typedef void (*ares_found)(void *arg, int status, int timeouts, void *found);
typedef void (*ares_answer)(void *arg, int status, int timeouts, unsigned char *answer, int len);

typedef void (*ares_ghbn)(void *channel, const char *name, int family, ares_found cb, void *arg);
typedef void (*ares_gai)(void *channel, const char *name, const char *service,
			 const struct ares_hints *hints, ares_found cb, void *arg);
typedef void (*ares_question)(void *channel, const char *name, int class, int type,
			      ares_answer cb, void *arg);

static void *ares_real(const char *call)
{
	void *sym = dlsym(RTLD_NEXT, call), *library;

	if (sym)
		return sym;
	library = dlopen("libcares.so.2", RTLD_LAZY | RTLD_NOLOAD);
	if (!library)
		return NULL;
	sym = dlsym(library, call);
	dlclose(library);
	return sym;
}

/* Hooks need a declaration; ares.h may not be there */
HOOK void ares_gethostbyname(void *channel, const char *name, int family, ares_found cb,
			     void *arg);
HOOK void ares_getaddrinfo(void *channel, const char *name, const char *service,
			   const struct ares_hints *hints, ares_found cb, void *arg);
HOOK void ares_query(void *channel, const char *name, int class, int type, ares_answer cb,
		     void *arg);
HOOK void ares_search(void *channel, const char *name, int class, int type, ares_answer cb,
		      void *arg);

HOOK void ares_gethostbyname(void *channel, const char *name, int family, ares_found cb, void *arg)
{
	ares_ghbn next = (ares_ghbn)ares_real("ares_gethostbyname");
	char text[INET6_ADDRSTRLEN];

	if (!next)
		cb(arg, ARES_ENOTIMP, 0, NULL);
	else if (name_is_foreign(name))
		next(channel, name, family, cb, arg);
	else if (name_literal(name, family, text))
		cb(arg, ARES_ENOTFOUND, 0, NULL);
	else
		next(channel, text, family, cb, arg);
}

HOOK void ares_getaddrinfo(void *channel, const char *name, const char *service,
			   const struct ares_hints *hints, ares_found cb, void *arg)
{
	ares_gai next = (ares_gai)ares_real("ares_getaddrinfo");
	char text[INET6_ADDRSTRLEN];

	if (!next)
		cb(arg, ARES_ENOTIMP, 0, NULL);
	else if (name_is_foreign(name))
		next(channel, name, service, hints, cb, arg);
	else if (name_literal(name, hints ? hints->family : AF_UNSPEC, text))
		cb(arg, ARES_ENOTFOUND, 0, NULL);
	else
		next(channel, text, service, hints, cb, arg);
}

static void ares_ask(const char *call, void *channel, const char *name, int class, int type,
		     ares_answer cb, void *arg)
{
	ares_question next = (ares_question)ares_real(call);

	if (!next || !name_is_foreign(name))
		cb(arg, next ? ARES_ENOTFOUND : ARES_ENOTIMP, 0, NULL, 0);
	else
		next(channel, name, class, type, cb, arg);
}

HOOK void ares_query(void *channel, const char *name, int class, int type, ares_answer cb,
		     void *arg)
{
	ares_ask("ares_query", channel, name, class, type, cb, arg);
}

HOOK void ares_search(void *channel, const char *name, int class, int type, ares_answer cb,
		      void *arg)
{
	ares_ask("ares_search", channel, name, class, type, cb, arg);
}
