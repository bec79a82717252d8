/* SPDX-License-Identifier: ISC */
/* Addresses, taken apart and put together. */
#include "shim/libpnpreload/sa.h"

#include "libpeernet/base/name.h"

#include <netinet/in.h>
#include <string.h>

#define SA_MAPPED_NET	0xc6120000u	/* 198.18.0.0 */
#define SA_MAPPED_MASK	0xfffe0000u	/* /15, RFC 2544 */

static enum sa_kind sa_kind4(uint32_t addr)
{
	if (!addr)
		return SA_WILDCARD;
	return (addr & SA_MAPPED_MASK) == SA_MAPPED_NET ? SA_MAPPED : SA_KERNEL;
}

static void sa_parse6(const struct sockaddr_in6 *in6, struct sa_dest *dest)
{
	const uint8_t *ip = in6->sin6_addr.s6_addr;

	dest->port = ntohs(in6->sin6_port);
	if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)) {
		dest->kind = SA_WILDCARD;
	} else if (pn_is_hit(ip)) {
		dest->kind = SA_PEERNET;
		memcpy(dest->hit, ip, sizeof(dest->hit));
	} else if (pn_is_orchid(ip)) {
		dest->kind = SA_ORCHID;
	} else if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		dest->addr4 = (uint32_t)ip[12] << 24 | (uint32_t)ip[13] << 16 |
			      (uint32_t)ip[14] << 8 | ip[15];
		dest->kind = sa_kind4(dest->addr4);
	} else {
		dest->kind = SA_KERNEL;
	}
}

void sa_parse(const struct sockaddr *sa, socklen_t len, struct sa_dest *dest)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	sa_family_t family;

	memset(dest, 0, sizeof(*dest));
	dest->kind = SA_OTHER;
	if (!sa || len < sizeof(family))
		return;
	memcpy(&family, sa, sizeof(family));
	if (family == AF_UNSPEC)
		dest->kind = SA_UNSPEC;
	/* The kernel wants sin6_scope_id only for link-local addresses */
	if (family == AF_INET6 && len >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memset(&in6, 0, sizeof(in6));
		memcpy(&in6, sa, pn_min(len, sizeof(in6)));
		sa_parse6(&in6, dest);
	}
	if (family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		dest->port = ntohs(in.sin_port);
		dest->addr4 = ntohl(in.sin_addr.s_addr);
		dest->kind = sa_kind4(dest->addr4);
	}
}

bool sa_is_inside(enum sa_kind kind)
{
	return kind == SA_PEERNET || kind == SA_MAPPED || kind == SA_ORCHID;
}

static socklen_t sa_build4(uint32_t addr4, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	in.sin_port = htons(port);
	in.sin_addr.s_addr = htonl(addr4);
	memcpy(out, &in, sizeof(in));
	return sizeof(in);
}

socklen_t sa_build(int domain, const struct sa_addr *a, uint32_t addr4,
		   struct sockaddr_storage *out)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	uint32_t ip4 = (uint32_t)a->ip[0] << 24 | (uint32_t)a->ip[1] << 16 |
		       (uint32_t)a->ip[2] << 8 | a->ip[3];

	memset(out, 0, sizeof(*out));
	if (domain == AF_INET)
		return sa_build4(a->family == 4 ? ip4 : a->family ? addr4 : 0, a->port, out);
	in6.sin6_port = htons(a->port);
	if (a->family == 4) {
		memcpy(in6.sin6_addr.s6_addr, mapped, sizeof(mapped));
		memcpy(in6.sin6_addr.s6_addr + 12, a->ip, 4);
	} else if (a->family) {
		memcpy(in6.sin6_addr.s6_addr, a->ip, 16);
	}
	memcpy(out, &in6, sizeof(in6));
	return sizeof(in6);
}

void sa_from_name(const struct pn_wire_name *name, struct sa_addr *peer, struct sa_addr *local)
{
	peer->family = name->family;
	peer->port = name->peer_port;
	memcpy(peer->ip, name->peer, sizeof(peer->ip));
	local->family = name->family;
	local->port = name->local_port;
	memcpy(local->ip, name->local, sizeof(local->ip));
}
