/* SPDX-License-Identifier: ISC */
/* Who may have which port. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

#define PORT_RESERVED 1024         /* below: root or CAP_NET_BIND_SERVICE */
#define PORT_EPHEMERAL 49152       /* RFC 6335 */
#define PORT_EPHEMERAL_COUNT 16384
#define CAP_NET_BIND_SERVICE_BIT 10

/* The effective capabilities of a process that may end at any moment: what is read
 * is at worst that of another process with this number, a race as in any daemon
 * that asks /proc. */
static bool may_bind_service(pid_t pid)
{
	char path[64], line[256];
	unsigned long long caps = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "CapEff:", 7)) {
			caps = strtoull(line + 7, NULL, 16);
			break;
		}
	}
	fclose(f);
	return caps >> CAP_NET_BIND_SERVICE_BIT & 1;
}

bool port_allowed(const struct api_cred *cred, uint16_t port)
{
	if (port == 0 || port >= PORT_RESERVED || cred->uid == 0)
		return true;
	return may_bind_service(cred->pid);
}

uint16_t port_ephemeral(struct api *api, bool (*used)(struct api *api, uint16_t port))
{
	uint32_t start = (uint32_t)api_random(api), i;

	for (i = 0; i < PORT_EPHEMERAL_COUNT; i++) {
		uint16_t port = (uint16_t)(PORT_EPHEMERAL + (start + i) % PORT_EPHEMERAL_COUNT);

		if (!used(api, port))
			return port;
	}
	return 0;
}
