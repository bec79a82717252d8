/* SPDX-License-Identifier: ISC */
/* Hooks for names: getaddrinfo() and its elders.
 *
 * Theory of operation
 *
 * A name of ours becomes a HIT by asking the daemon.  Then libc's own
 * getaddrinfo() is called with the HIT as text, so that services, hints and
 * memory are its affair, and freeaddrinfo() needs no hook.  Who wants IPv4
 * gets the address out of 198.18.0.0/15 that the daemon keeps for the HIT.
 * A name of ours never gets to libc as it is, so never to the DNS.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int name_lookup(const char *name, enum name_kind kind, uint8_t hit[16])
{
	int err = kind == NAME_BAD ? EINVAL : kind == NAME_HIT ? 0 : dm_resolve(name, hit);

	trace(-1, "name %s: %s", name, err ? strerrorname_np(err) : "found");
	return err;
}

/* --- getaddrinfo --------------------------------------------------------------- */

/* libc puts the numbers there; the name was asked for */
static int set_canonname(struct addrinfo *list, const char *name)
{
	char *copy;

	if (!list || !list->ai_canonname)
		return 0;
	copy = strdup(name);
	if (!copy)
		return EAI_MEMORY;
	free(list->ai_canonname);
	list->ai_canonname = copy;
	return 0;
}

static int gai_text(const uint8_t hit[16], int family, char text[INET6_ADDRSTRLEN])
{
	uint32_t addr4;
	int err;

	if (family == AF_INET) {
		err = dm_map4(hit, &addr4);
		if (err)
			return err;
		addr4 = htonl(addr4);
		inet_ntop(AF_INET, &addr4, text, INET6_ADDRSTRLEN);
	} else {
		inet_ntop(AF_INET6, hit, text, INET6_ADDRSTRLEN);
	}
	return 0;
}

static int gai_ours(const char *name, enum name_kind kind, const char *service,
		    const struct addrinfo *hints, struct addrinfo **out)
{
	struct addrinfo h = { .ai_family = AF_INET6 };
	char text[INET6_ADDRSTRLEN];
	uint8_t hit[16] = { 0 };
	int err;

	if (hints) {
		h.ai_socktype = hints->ai_socktype;
		h.ai_protocol = hints->ai_protocol;
		h.ai_flags = hints->ai_flags & (AI_CANONNAME | AI_NUMERICSERV);
		if (hints->ai_family == AF_INET)
			h.ai_family = AF_INET;
		else if (hints->ai_family != AF_UNSPEC && hints->ai_family != AF_INET6)
			return EAI_FAMILY;
		if (hints->ai_flags & AI_NUMERICHOST && kind != NAME_HIT)
			return EAI_NONAME;
	}
	h.ai_flags |= AI_NUMERICHOST;
	if (kind == NAME_HIT && h.ai_family == AF_INET && hints->ai_flags & AI_NUMERICHOST)
		return EAI_ADDRFAMILY;
	if (kind == NAME_HIT)
		name_kind_of(name, hit);
	err = name_lookup(name, kind, hit);
	if (!err)
		err = gai_text(hit, h.ai_family, text);
	if (err)
		return name_eai(err);
	err = real()->getaddrinfo(text, service, &h, out);
	if (err || kind == NAME_HIT)
		return err;
	err = set_canonname(*out, name);
	if (err)
		real()->freeaddrinfo(*out);
	return err;
}

static int gai_libc(const char *name, const char *service, const struct addrinfo *hints,
		    struct addrinfo **out)
{
	struct search_list kept;
	int ret;

	if (hints && hints->ai_flags & AI_NUMERICHOST)
		return real()->getaddrinfo(name, service, hints, out);
	search_hide_host(name, &kept);
	ret = real()->getaddrinfo(name, service, hints, out);
	search_show(&_res, &kept);
	return ret;
}

/* @name is as libc will see it */
static int gai_any(const char *name, const char *service, const struct addrinfo *hints,
		   struct addrinfo **out)
{
	struct addrinfo h = { 0 };
	uint8_t hit[16];
	enum name_kind kind = name_kind_of(name, hit);

	if (kind != NAME_FOREIGN)
		return gai_ours(name, kind, service, hints, out);
	/* PEERNET_ONLY: libc's questions to the DNS cannot be hooked */
	if (shim()->only && name) {
		if (hints)
			h = *hints;
		h.ai_flags |= AI_NUMERICHOST;
		hints = &h;
	}
	return gai_libc(name, service, hints, out);
}

HOOK int getaddrinfo(const char *restrict name, const char *restrict service,
		     const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
	char *ascii = NULL;
	int ret;

	if (!shim()->on)
		return real()->getaddrinfo(name, service, hints, out);
	if (name && hints && hints->ai_flags & AI_IDN)
		ascii = idn_to_ascii(name);
	ret = gai_any(ascii ? ascii : name, service, hints, out);
	free(ascii);
	return ret;
}

HOOK void freeaddrinfo(struct addrinfo *list)
{
	real()->freeaddrinfo(list);
}

/* --- gethostbyname -------------------------------------------------------------- */

int name_h_errno(int err)
{
	int eai = name_eai(err);

	return eai == EAI_AGAIN ? TRY_AGAIN : eai == EAI_NONAME ? HOST_NOT_FOUND : NO_RECOVERY;
}

/* Return: 0, or errno (ERANGE: too small) with *@h_err */
static int ghbn_ours(const char *name, enum name_kind kind, int family, struct hostent *h,
		     char *buf, size_t len, int *h_err)
{
	uint8_t hit[16];
	uint32_t addr4 = 0;
	int err;

	if (kind == NAME_HIT)
		name_kind_of(name, hit);
	err = name_lookup(name, kind, hit);
	if (!err && family == AF_INET)
		err = dm_map4(hit, &addr4);
	if (err) {
		*h_err = name_h_errno(err);
		return err;
	}
	addr4 = htonl(addr4);
	err = hostent_fill(h, buf, len, name, family, family == AF_INET ? (void *)&addr4 : hit);
	if (err)
		*h_err = NETDB_INTERNAL;
	return err;
}

/* Whose question is it?  Under PEERNET_ONLY names of the DNS are nobody's. */
static enum name_kind ghbn_kind(const char *name, uint8_t hit[16])
{
	enum name_kind kind = shim()->on ? name_kind_of(name, hit) : NAME_FOREIGN;
	struct in6_addr any;

	if (kind == NAME_FOREIGN && shim()->only && name &&
	    inet_pton(AF_INET, name, &any) != 1 && inet_pton(AF_INET6, name, &any) != 1)
		return NAME_BAD;
	return kind;
}

bool name_is_foreign(const char *name)
{
	uint8_t hit[16];

	return ghbn_kind(name, hit) == NAME_FOREIGN;
}

int name_literal(const char *name, int family, char *text)
{
	uint8_t hit[16];
	enum name_kind kind = name_kind_of(name, hit);
	int err = name_lookup(name, kind == NAME_FOREIGN ? NAME_BAD : kind, hit);

	return err ? err : gai_text(hit, family, text);
}

HOOK int gethostbyname2_r(const char *restrict name, int family, struct hostent *restrict h,
			  char *restrict buf, size_t len, struct hostent **restrict out,
			  int *restrict h_err)
{
	uint8_t hit[16];
	enum name_kind kind = ghbn_kind(name, hit);
	struct search_list kept;
	int err;

	if (kind == NAME_FOREIGN || (family != AF_INET && family != AF_INET6)) {
		search_hide_host(name, &kept);
		err = real()->gethostbyname2_r(name, family, h, buf, len, out, h_err);
		search_show(&_res, &kept);
		return err;
	}
	*out = NULL;
	err = ghbn_ours(name, kind, family, h, buf, len, h_err);
	if (!err)
		*out = h;
	/* As libc: "not found" is no failure of the call */
	return err == ERANGE || err == ENOMEM ? err : 0;
}

HOOK int gethostbyname_r(const char *restrict name, struct hostent *restrict h,
			 char *restrict buf, size_t len, struct hostent **restrict out,
			 int *restrict h_err)
{
	struct search_list kept;
	uint8_t hit[16];
	int err;

	if (ghbn_kind(name, hit) != NAME_FOREIGN)
		return gethostbyname2_r(name, AF_INET, h, buf, len, out, h_err);
	search_hide_host(name, &kept);
	err = real()->gethostbyname_r(name, h, buf, len, out, h_err);
	search_show(&_res, &kept);
	return err;
}

/* libc's own is one for the process; one for each thread breaks nobody */
static _Thread_local struct hostent host_static;
static _Thread_local char host_buf[PN_WIRE_NAME_MAX + 128];

static struct hostent *ghbn_static(const char *name, enum name_kind kind, int family)
{
	int err = 0;

	if (!ghbn_ours(name, kind, family, &host_static, host_buf, sizeof(host_buf), &err))
		return &host_static;
	h_errno = err;
	return NULL;
}

HOOK struct hostent *gethostbyname(const char *name)
{
	uint8_t hit[16];
	enum name_kind kind = ghbn_kind(name, hit);
	struct search_list kept;
	struct hostent *h;

	if (kind != NAME_FOREIGN)
		return ghbn_static(name, kind, AF_INET);
	search_hide_host(name, &kept);
	h = real()->gethostbyname(name);
	search_show(&_res, &kept);
	return h;
}

HOOK struct hostent *gethostbyname2(const char *name, int family)
{
	uint8_t hit[16];
	enum name_kind kind = ghbn_kind(name, hit);
	struct search_list kept;
	struct hostent *h;

	if (kind != NAME_FOREIGN && (family == AF_INET || family == AF_INET6))
		return ghbn_static(name, kind, family);
	search_hide_host(name, &kept);
	h = real()->gethostbyname2(name, family);
	search_show(&_res, &kept);
	return h;
}

/* --- from address to name --------------------------------------------------------- */

static bool addr_is_ours(const void *addr, socklen_t len, int family, struct sa_dest *dest)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (!shim()->on || !addr)
		return false;
	if (family == AF_INET6 && len == 16) {
		memcpy(&in6.sin6_addr, addr, 16);
		sa_parse((struct sockaddr *)&in6, sizeof(in6), dest);
	} else if (family == AF_INET && len == 4) {
		memcpy(&in.sin_addr, addr, 4);
		sa_parse((struct sockaddr *)&in, sizeof(in), dest);
	} else {
		return false;
	}
	return sa_is_inside(dest->kind);
}

static int name_of_dest(struct sa_dest *dest, char name[PN_WIRE_NAME_MAX + 1])
{
	int err = 0;

	if (dest->kind == SA_ORCHID)
		return ENOENT;
	if (dest->kind == SA_MAPPED)
		err = dm_unmap4(dest->addr4, dest->hit);
	return err ? err : dm_reverse(dest->hit, name);
}

static int ghba_ours(const void *addr, int family, struct sa_dest *dest, struct hostent *h,
		     char *buf, size_t len, int *h_err)
{
	char name[PN_WIRE_NAME_MAX + 1];
	int err = name_of_dest(dest, name);

	if (err) {
		*h_err = name_h_errno(err);
		return err;
	}
	err = hostent_fill(h, buf, len, name, family, addr);
	if (err)
		*h_err = NETDB_INTERNAL;
	return err;
}

HOOK struct hostent *gethostbyaddr(const void *addr, socklen_t len, int family)
{
	struct sa_dest dest;
	int err = 0;

	if (!addr_is_ours(addr, len, family, &dest))
		return real()->gethostbyaddr(addr, len, family);
	if (!ghba_ours(addr, family, &dest, &host_static, host_buf, sizeof(host_buf), &err))
		return &host_static;
	h_errno = err;
	return NULL;
}

HOOK int gethostbyaddr_r(const void *restrict addr, socklen_t len, int family,
			 struct hostent *restrict h, char *restrict buf, size_t buf_len,
			 struct hostent **restrict out, int *restrict h_err)
{
	struct sa_dest dest;
	int err;

	if (!addr_is_ours(addr, len, family, &dest))
		return real()->gethostbyaddr_r(addr, len, family, h, buf, buf_len, out, h_err);
	*out = NULL;
	err = ghba_ours(addr, family, &dest, h, buf, buf_len, h_err);
	if (!err)
		*out = h;
	return err == ERANGE || err == ENOMEM ? err : 0;
}

HOOK int getnameinfo(const struct sockaddr *restrict sa, socklen_t len, char *restrict host,
		     socklen_t host_len, char *restrict serv, socklen_t serv_len, int flags)
{
	char name[PN_WIRE_NAME_MAX + 1];
	struct sa_dest dest;
	int err;

	sa_parse(sa, len, &dest);
	if (!shim()->on || !sa_is_inside(dest.kind))
		return real()->getnameinfo(sa, len, host, host_len, serv, serv_len,
					   shim()->only ? flags | NI_NUMERICHOST : flags);
	if (!host || !host_len || flags & NI_NUMERICHOST)
		return real()->getnameinfo(sa, len, host, host_len, serv, serv_len,
					   flags | NI_NUMERICHOST);
	/* The numbers may be longer than the name: they need not fit if there is one */
	err = real()->getnameinfo(sa, len, NULL, 0, serv, serv_len, flags & ~NI_NAMEREQD);
	if (err)
		return err;
	err = name_of_dest(&dest, name);
	if (err && flags & NI_NAMEREQD)
		return name_eai(err);
	if (err)
		return real()->getnameinfo(sa, len, host, host_len, NULL, 0,
					   flags | NI_NUMERICHOST);
	if (strlen(name) >= host_len)
		return EAI_OVERFLOW;
	memcpy(host, name, strlen(name) + 1);
	return 0;
}
