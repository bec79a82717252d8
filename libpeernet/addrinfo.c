/* SPDX-License-Identifier: ISC */
/* Names and services to addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpeernet/base/name.h"
#include "libpeernet/lib.h"

#define SERVICE_BUF 1024

/* Return: 0 or EAI_SERVICE; @port in network byte order */
static int service_port(const char *service, int socktype, in_port_t *port)
{
	char buf[SERVICE_BUF];
	struct servent ent, *found = NULL;
	unsigned long n;
	char *end;

	*port = 0;
	if (!service || !*service)
		return 0;
	errno = 0;
	n = strtoul(service, &end, 10);
	if (service[0] >= '0' && service[0] <= '9' && !*end) {
		if (errno || n > 65535)
			return EAI_SERVICE;
		*port = htons((uint16_t)n);
		return 0;
	}
	if (getservbyname_r(service, socktype == SOCK_DGRAM ? "udp" : "tcp", &ent, buf,
			    sizeof(buf), &found) != 0 || !found)
		return EAI_SERVICE;
	*port = (in_port_t)found->s_port;
	return 0;
}

static int resolve(const char *name, struct sockaddr_pn *addr)
{
	int r;

	if (!name)
		return 0;
	r = pn_client_resolve(pn_lib_client(), name, addr->spn_hit, addr->spn_id);
	switch (r) {
	case 0:
		return 0;
	case -ENOENT:
	case -EINVAL:
		return EAI_NONAME;
	case -ETIMEDOUT:
		return EAI_AGAIN;
	default:
		errno = -r;
		return EAI_SYSTEM;
	}
}

static char *canonical(const struct sockaddr_pn *addr)
{
	static const uint8_t none[32];
	char buf[PN_ID_NAME_LEN + INET6_ADDRSTRLEN];

	if (memcmp(addr->spn_id, none, sizeof(none)) != 0)
		pn_id_to_name(addr->spn_id, buf);
	else if (!inet_ntop(AF_INET6, addr->spn_hit, buf, sizeof(buf)))
		return NULL;
	return strdup(buf);
}

static int append(struct pn_addrinfo ***tail, const struct sockaddr_pn *addr, int socktype)
{
	struct pn_addrinfo *ai = calloc(1, sizeof(*ai));

	if (!ai)
		return EAI_MEMORY;
	ai->ai_socktype = socktype;
	ai->ai_addr = *addr;
	ai->ai_canonname = canonical(addr);
	**tail = ai;
	*tail = &ai->ai_next;
	return ai->ai_canonname ? 0 : EAI_MEMORY;
}

int pn_getaddrinfo(const char *name, const char *service, int socktype, struct pn_addrinfo **out)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	struct sockaddr_pn addr = { .spn_family = AF_PEERNET };
	struct pn_addrinfo *list = NULL, **tail = &list;
	int r, last = EAI_SERVICE;
	size_t i;

	if (socktype != 0 && socktype != SOCK_STREAM && socktype != SOCK_DGRAM)
		return EAI_SOCKTYPE;
	if (!name && !service)
		return EAI_NONAME;
	r = resolve(name, &addr);
	if (r != 0)
		return r;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (socktype && socktype != types[i])
			continue;
		last = service_port(service, types[i], &addr.spn_port);
		if (last == EAI_SERVICE)
			continue;   /* perhaps known for the other type */
		r = append(&tail, &addr, types[i]);
		if (r != 0) {
			pn_freeaddrinfo(list);
			return r;
		}
	}
	if (!list)
		return last;
	*out = list;
	return 0;
}

void pn_freeaddrinfo(struct pn_addrinfo *list)
{
	while (list) {
		struct pn_addrinfo *next = list->ai_next;

		free(list->ai_canonname);
		free(list);
		list = next;
	}
}
