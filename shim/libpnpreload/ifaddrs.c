/* SPDX-License-Identifier: ISC */
/* getifaddrs(): the own HIT is an address of this node, too.
 *
 * Programs look through the list to learn whether there is any IPv6 to speak of (and
 * else make nothing of addresses like ours), or to serve each address.  The HIT stands
 * there as if it had been given to the loopback interface, which is where a system has
 * an address that is of no link; that interface exists, so that its index is known.
 */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* The entry at the end of the list; by its name's place it is known again */
struct own_entry {
	struct ifaddrs ifa;
	struct sockaddr_in6 addr, mask;
};

static char own_interface[] = "lo";

static struct ifaddrs *own_new(void)
{
	struct own_entry *own;
	uint8_t hit[16];

	if (!shim()->on || shim()->sandboxed || dm_self(hit))
		return NULL;
	own = calloc(1, sizeof(*own));
	if (!own)
		return NULL;
	own->addr.sin6_family = own->mask.sin6_family = AF_INET6;
	memcpy(&own->addr.sin6_addr, hit, sizeof(hit));
	memset(&own->mask.sin6_addr, 0xff, sizeof(own->mask.sin6_addr));
	own->ifa.ifa_name = own_interface;
	own->ifa.ifa_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
	own->ifa.ifa_addr = (struct sockaddr *)&own->addr;
	own->ifa.ifa_netmask = (struct sockaddr *)&own->mask;
	return &own->ifa;
}

HOOK int getifaddrs(struct ifaddrs **list)
{
	int ret = real()->getifaddrs(list), saved = errno;
	struct ifaddrs **end = list;

	if (ret)
		return ret;
	while (*end)
		end = &(*end)->ifa_next;
	*end = own_new();
	errno = saved;
	return 0;
}

HOOK void freeifaddrs(struct ifaddrs *list)
{
	struct ifaddrs **at = &list, *own;

	while (*at && (*at)->ifa_name != own_interface)
		at = &(*at)->ifa_next;
	own = *at;
	if (own)
		*at = own->ifa_next;
	real()->freeifaddrs(list);
	free(own);
}
