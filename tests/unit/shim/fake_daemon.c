/* SPDX-License-Identifier: ISC */
/* The daemon's calls, without a daemon: see fake.h.  Sockets it has none. */
#include "fake.h"

#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_assert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

struct fake_daemon fake_daemon;

static void the_hit(uint8_t hit[16])
{
	PN_ASSERT(inet_pton(AF_INET6, FAKE_HIT, hit) == 1);
}

static uint32_t the_addr4(void)
{
	struct in_addr in;

	PN_ASSERT(inet_pton(AF_INET, FAKE_ADDR4, &in) == 1);
	return ntohl(in.s_addr);
}

/* --- names and addresses ------------------------------------------------------------ */

int dm_resolve(const char *name, uint8_t hit[16])
{
	struct pn_name n;

	fake_daemon.asked++;
	if (fake_daemon.down)
		return ENETDOWN;
	if (pn_name_parse(name, &n) || strcmp(n.label, "website") != 0)
		return ENOENT;
	the_hit(hit);
	return 0;
}

int dm_reverse(const uint8_t hit[16], char name[PN_WIRE_NAME_MAX + 1])
{
	uint8_t known[16];

	if (fake_daemon.down)
		return ENETDOWN;
	the_hit(known);
	if (memcmp(hit, known, sizeof(known)) != 0)
		return ENOENT;
	memcpy(name, FAKE_NAME, sizeof(FAKE_NAME));
	return 0;
}

int dm_map4(const uint8_t hit[16], uint32_t *addr4)
{
	if (fake_daemon.down)
		return ENETDOWN;
	*addr4 = (the_addr4() & ~0xffU) | hit[15];
	return 0;
}

int dm_unmap4(uint32_t addr4, uint8_t hit[16])
{
	if (fake_daemon.down)
		return ENETDOWN;
	if (addr4 != the_addr4())
		return ENOENT;
	the_hit(hit);
	return 0;
}

int dm_self(uint8_t hit[16])
{
	the_hit(hit);
	return fake_daemon.down ? ENETDOWN : 0;
}

int dm_ready(void)
{
	return fake_daemon.down ? ENETDOWN : 0;
}

/* --- sockets: none -------------------------------------------------------------------- */

void dm_setup(void)
{
}

void dm_fd_moved(int from, int to)
{
	(void)from;
	(void)to;
}

uint32_t dm_which(void)
{
	return 0;
}

bool dm_has_gone(void)
{
	return fake_daemon.down;
}

uint32_t dm_of_stream(void)
{
	return 0;
}

int dm_error(int fd, const uint8_t key[16])
{
	(void)fd;
	(void)key;
	return ENETDOWN;
}

void dm_reset(int fd, const uint8_t key[16])
{
	(void)fd;
	(void)key;
}

int dm_connect(struct sock *s, int fd, const uint8_t hit[16], uint16_t port, bool nonblock)
{
	(void)s;
	(void)fd;
	(void)hit;
	(void)port;
	(void)nonblock;
	return ENETDOWN;
}

int dm_connected(struct sock *s, int fd)
{
	(void)s;
	(void)fd;
	return ENETDOWN;
}

int dm_listen(struct sock *s, int backlog, int kernel_fd, int *fd, int *live_fd)
{
	(void)s;
	(void)backlog;
	(void)kernel_fd;
	(void)fd;
	(void)live_fd;
	return ENETDOWN;
}

int dm_relisten(struct sock *s, int fd, int *live_fd)
{
	(void)s;
	(void)fd;
	(void)live_fd;
	return ENETDOWN;
}

int dm_accepted(int fd, struct pn_wire_name *name)
{
	(void)fd;
	(void)name;
	return EPERM;
}

int dm_name(int fd, struct pn_wire_name *name)
{
	(void)fd;
	(void)name;
	return ENOENT;
}

int dm_dgram_open(struct sock *s, int *fd)
{
	(void)s;
	(void)fd;
	return ENETDOWN;
}

int dm_dgram_bind(struct sock *s, uint16_t port)
{
	(void)s;
	(void)port;
	return ENETDOWN;
}

int dm_dgram_bind_again(struct sock *s)
{
	(void)s;
	return ENETDOWN;
}

int dm_dgram_connect(struct sock *s, const uint8_t hit[16], uint16_t port)
{
	(void)s;
	(void)hit;
	(void)port;
	return ENETDOWN;
}

void dm_dgram_local(struct sock *s)
{
	(void)s;
}

void dm_dgram_facts(struct sock *s)
{
	(void)s;
}

struct pn_client *dm_client(void)
{
	static struct pn_client none;

	return &none;
}
