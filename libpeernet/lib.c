/* SPDX-License-Identifier: ISC */
/* Helpers shared by the calls of libpeernet; see lib.h. */
#include "libpeernet/lib.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_assert.h"

static struct pn_client process_client = PN_CLIENT_INIT;

struct pn_client *pn_lib_client(void)
{
	return &process_client;
}

long pn_lib_result(long r)
{
	if (r >= 0)
		return r;
	errno = (int)-r;
	return -1;
}

int pn_lib_type(int fd)
{
	int type = 0, domain = 0;
	socklen_t len = sizeof(type), dlen = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &dlen) < 0)
		return -errno;
	if (domain != AF_UNIX || (type != SOCK_STREAM && type != SOCK_SEQPACKET))
		return -EOPNOTSUPP;
	return type;
}

int pn_lib_dgram_key(int fd, uint8_t key[16])
{
	struct pn_wire_name name;
	int r = pn_client_name(pn_lib_client(), fd, &name);

	if (r < 0)
		return r == -ENOENT ? -EOPNOTSUPP : r;
	if (name.kind != 'd')
		return -EOPNOTSUPP;
	memcpy(key, name.key, 16);
	return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--)
		if (*p++)
			return false;
	return true;
}

int pn_lib_target(const struct sockaddr_pn *addr, socklen_t len, uint8_t hit[16],
		  uint16_t *port)
{
	if (len < sizeof(*addr))
		return -EINVAL;
	if (addr->spn_family != AF_PEERNET)
		return -EAFNOSUPPORT;
	if (!addr->spn_port)
		return -EADDRNOTAVAIL;
	*port = ntohs(addr->spn_port);
	if (!all_zero(addr->spn_hit, 16)) {
		memcpy(hit, addr->spn_hit, 16);
		return 0;
	}
	if (!all_zero(addr->spn_id, 32)) {
		char name[PN_ID_NAME_LEN + 1];

		pn_id_to_name(addr->spn_id, name);
		return pn_client_resolve(pn_lib_client(), name, hit, NULL);
	}
	return pn_client_info(pn_lib_client(), hit, NULL);
}

void pn_lib_address(const uint8_t hit[16], uint16_t port, bool with_id,
		    struct sockaddr_pn *addr, socklen_t *len)
{
	struct sockaddr_pn full = { .spn_family = AF_PEERNET, .spn_port = htons(port) };
	char name[PN_WIRE_NAME_MAX + 1];
	uint8_t own_hit[16], own_id[32];

	if (!addr || !len)
		return;
	memcpy(full.spn_hit, hit, 16);
	if (with_id && !all_zero(hit, 16)) {
		if (pn_client_info(pn_lib_client(), own_hit, own_id) == 0 &&
		    memcmp(own_hit, hit, 16) == 0)
			memcpy(full.spn_id, own_id, 32);
		else if (pn_client_reverse(pn_lib_client(), hit, name, full.spn_id) < 0)
			memset(full.spn_id, 0, 32);
	}
	memcpy(addr, &full, pn_min(*len, sizeof(full)));
	*len = sizeof(full);
}
