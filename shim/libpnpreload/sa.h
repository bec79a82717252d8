/* SPDX-License-Identifier: ISC */
/* Addresses: what a program passes and expects, and what PeerNet means.
 *
 * Pure: no system calls, no state. */
#ifndef SHIM_SA_H
#define SHIM_SA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "libpeernet/api_wire.h"

/**
 * struct sa_addr - An address as in the daemon's API
 * @family:	6 PeerNet, 4 or 7 the kernel's IPv4 and IPv6, 0 none
 * @port:	In host order
 * @ip:		HIT or IPv6 address; IPv4 in the first four bytes
 */
struct sa_addr {
	uint8_t family;
	uint16_t port;
	uint8_t ip[16];
};

enum sa_kind {
	SA_PEERNET,	/* a HIT */
	SA_MAPPED,	/* 198.18.0.0/15: the daemon knows which HIT */
	SA_WILDCARD,	/* 0.0.0.0 or :: */
	SA_KERNEL,	/* anything else of IPv4 or IPv6 */
	SA_ORCHID,	/* 2001:20::/28, but no HIT of PeerNet's: nowhere */
	SA_UNSPEC,	/* AF_UNSPEC: dissolves an association */
	SA_OTHER,	/* another family, or too short to tell */
};

/**
 * struct sa_dest - A sockaddr, understood
 * @kind:	As above
 * @port:	In host order
 * @addr4:	If SA_MAPPED, the IPv4 address, host order
 * @hit:	If SA_PEERNET
 */
struct sa_dest {
	enum sa_kind kind;
	uint16_t port;
	uint32_t addr4;
	uint8_t hit[16];
};

/** sa_parse() - Understand an address */
void sa_parse(const struct sockaddr *sa, socklen_t len, struct sa_dest *dest);

/** sa_is_inside() - Must this address never reach the kernel's network? */
bool sa_is_inside(enum sa_kind kind);

/** sa_build() - An address as a program with a socket of @domain expects it
 * @domain:	AF_INET or AF_INET6
 * @addr4:	What stands for the HIT, host order, if @domain is AF_INET
 * Return: bytes written to @out
 */
socklen_t sa_build(int domain, const struct sa_addr *a, uint32_t addr4,
		   struct sockaddr_storage *out);

/** sa_from_name() - Both addresses of a stream, from the name of its end */
void sa_from_name(const struct pn_wire_name *name, struct sa_addr *peer, struct sa_addr *local);

/** sa_is_too_long() - Is that longer than any address?  The kernel refuses it for any socket */
static inline bool sa_is_too_long(socklen_t len)
{
	return len > sizeof(struct sockaddr_storage);
}

#endif /* SHIM_SA_H */
