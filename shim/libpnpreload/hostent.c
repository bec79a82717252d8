/* SPDX-License-Identifier: ISC */
/* Names, as far as no daemon is needed: what is ours, and how it is told. */
#include "shim/libpnpreload/names.h"

#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_assert.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* ".pn.alt" itself and names that are too long for a parser: still not DNS's */
static bool ends_in_suffix(const char *name)
{
	size_t len = strlen(name), suffix = strlen(PN_NAME_SUFFIX);

	while (len && name[len - 1] == '.')
		len--;
	if (len == suffix - 1)
		return !strncasecmp(name, &PN_NAME_SUFFIX[1], len);
	return len >= suffix && !strncasecmp(name + len - suffix, PN_NAME_SUFFIX, suffix);
}

/* Of 2001:20::/28 and 198.18.0.0/15 */
static bool is_reverse(const char *name)
{
	static const char *const zones[] = {
		"2.0.0.1.0.0.2.ip6.arpa", "18.198.in-addr.arpa", "19.198.in-addr.arpa",
	};
	size_t len = strlen(name), zone;

	if (len && name[len - 1] == '.')
		len--;
	for (size_t i = 0; i < PN_ARRAY_LEN(zones); i++) {
		zone = strlen(zones[i]);
		if (len >= zone && !strncasecmp(name + len - zone, zones[i], zone) &&
		    (len == zone || name[len - zone - 1] == '.'))
			return true;
	}
	return false;
}

/* The character that an escape stands for, behind its backslash: \DDD or \X (RFC 1035, 5.1).  One
 * that is malformed is taken for \X, since not all resolvers refuse it. */
static char escaped(const char **at)
{
	const char *p = *at;
	unsigned int value = 0;
	size_t i;

	for (i = 0; i < 3 && p[i] >= '0' && p[i] <= '9'; i++)
		value = value * 10 + (unsigned int)(p[i] - '0');
	if (i < 3 || value > UINT8_MAX) {
		*at += *p ? 1 : 0;
		return *p;
	}
	*at += i;
	return value ? (char)value : '?';	/* 0 is no end */
}

/* Return: false if it is too long for any resolver */
static bool unescape(const char *name, char out[NS_MAXDNAME])
{
	size_t len = 0;

	while (*name && len < NS_MAXDNAME - 1) {
		char c = *name++;

		out[len++] = c == '\\' ? escaped(&name) : c;
	}
	out[len] = '\0';
	return !*name;
}

static enum name_kind plain_kind_of(const char *name, uint8_t hit[16])
{
	struct in6_addr in6;
	struct pn_name n;

	if (inet_pton(AF_INET6, name, &in6) == 1) {
		if (!pn_is_orchid(in6.s6_addr))
			return NAME_FOREIGN;
		memcpy(hit, in6.s6_addr, 16);
		return pn_is_hit(in6.s6_addr) ? NAME_HIT : NAME_BAD;
	}
	if (pn_name_parse(name, &n))
		return NAME_BAD;
	if (n.kind != PN_NAME_FOREIGN)
		return NAME_OURS;
	return ends_in_suffix(name) || is_reverse(name) ? NAME_BAD : NAME_FOREIGN;
}

enum name_kind name_kind_of(const char *name, uint8_t hit[16])
{
	char plain[NS_MAXDNAME];
	uint8_t unused[16];

	if (!name)
		return NAME_FOREIGN;
	if (!strchr(name, '\\'))
		return plain_kind_of(name, hit);
	/* The DNS would be asked for what the escapes stand for; none of ours needs any */
	return unescape(name, plain) && plain_kind_of(plain, unused) == NAME_FOREIGN ?
	       NAME_FOREIGN : NAME_BAD;
}

int name_eai(int err)
{
	switch (err) {
	case 0:
		return 0;
	case ENETDOWN:
	case ETIMEDOUT:
	case EAGAIN:
		return EAI_AGAIN;
	case ENOMEM:
		return EAI_MEMORY;
	case ENOENT:
	case EINVAL:
	case EHOSTUNREACH:
		return EAI_NONAME;
	default:
		return EAI_FAIL;
	}
}

/* Cut @n bytes, aligned for pointers, off the caller's buffer */
static void *cut(char **buf, size_t *len, size_t n)
{
	size_t pad = (size_t)(-(uintptr_t)*buf) % sizeof(void *);
	void *p;

	if (*len < pad || *len - pad < n)
		return NULL;
	p = *buf + pad;
	*buf += pad + n;
	*len -= pad + n;
	return p;
}

int hostent_fill(struct hostent *h, char *buf, size_t len, const char *name, int family,
		 const void *addr)
{
	int addr_len = family == AF_INET6 ? 16 : 4;
	char **list = cut(&buf, &len, 3 * sizeof(*list));
	char *at = cut(&buf, &len, (size_t)addr_len);
	char *text = cut(&buf, &len, strlen(name) + 1);

	if (!list || !at || !text)
		return ERANGE;
	memcpy(at, addr, (size_t)addr_len);
	memcpy(text, name, strlen(name) + 1);
	list[0] = at;
	list[1] = NULL; /* end of the addresses */
	list[2] = NULL; /* no aliases */
	h->h_name = text;
	h->h_aliases = &list[2];
	h->h_addrtype = family;
	h->h_length = addr_len;
	h->h_addr_list = list;
	return 0;
}
