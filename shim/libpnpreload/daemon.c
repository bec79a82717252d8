/* SPDX-License-Identifier: ISC */
/* The daemon, through libpeernet's client with the real calls below the shim. */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pn_client_sys dm_sys;
static struct pn_client dm;
static char dm_path[PN_CLIENT_PATH_MAX];

/* The client closes only what is its own */
static int dm_close(int fd)
{
	if (fd_is_internal(fd))
		fd_drop(fd);
	return real()->close(fd);
}

void dm_setup(void)
{
	const struct shim_real *r = real();
	const char *path = getenv(PN_API_SOCKET_ENV);

	dm_sys = (struct pn_client_sys){
		.socket = r->socket, .socketpair = r->socketpair, .bind = r->bind,
		.connect = r->connect, .sendmsg = r->sendmsg, .recvmsg = r->recvmsg,
		.send = r->send, .recv = r->recv, .getsockname = r->getsockname,
		.getpeername = r->getpeername, .getsockopt = r->getsockopt,
		.setsockopt = r->setsockopt, .poll = r->poll, .fcntl = r->fcntl,
		.dup3 = r->dup3, .close = dm_close,
	};
	pn_client_init(&dm, &dm_sys);
	dm.fd_floor = fd_hidden_min();
	/* Some programs clean their environment up later (nginx) */
	if (path && *path && strlen(path) < sizeof(dm_path)) {
		memcpy(dm_path, path, strlen(path) + 1);
		dm.path = dm_path;
	}
}

/* The client makes its connector when it is first needed: hide what it has. */
static void dm_hide(void)
{
	uint64_t packed = atomic_load(&dm.connector);

	if (packed)
		fd_mark((int)(packed >> 32));
}

struct pn_client *dm_client(void)
{
	return &dm;
}

void dm_fd_moved(int from, int to)
{
	uint64_t packed = atomic_load(&dm.connector);

	/* The low half is the inode, which stays */
	if (packed && (int)(packed >> 32) == from)
		atomic_compare_exchange_strong(&dm.connector, &packed,
					       (uint64_t)(uint32_t)to << 32 | (uint32_t)packed);
}

static int dm_result(int ret)
{
	dm_hide();
	return ret < 0 ? -ret : 0;
}

int dm_ready(void)
{
	return dm_result(pn_client_connector(&dm));
}

/* --- names ---------------------------------------------------------------- */

int dm_self(uint8_t hit[16])
{
	return dm_result(pn_client_info(&dm, hit, NULL));
}

int dm_resolve(const char *name, uint8_t hit[16])
{
	return dm_result(pn_client_resolve(&dm, name, hit, NULL));
}

int dm_reverse(const uint8_t hit[16], char name[PN_WIRE_NAME_MAX + 1])
{
	return dm_result(pn_client_reverse(&dm, hit, name, NULL));
}

/* A HIT keeps its address as long as the daemon runs, so a few are remembered.
 * An entry is read and written as a whole, under a flag that nobody waits for. */
static struct {
	_Atomic bool busy;
	uint32_t addr4;
	uint8_t hit[16];
} map4_cache[MAP4_CACHE];

int dm_map4(const uint8_t hit[16], uint32_t *addr4)
{
	size_t at = hit[15] % MAP4_CACHE;
	bool mine, found = false;
	int err;

	mine = !atomic_exchange(&map4_cache[at].busy, true);
	if (mine && map4_cache[at].addr4 && !memcmp(map4_cache[at].hit, hit, 16)) {
		*addr4 = map4_cache[at].addr4;
		found = true;
	}
	if (mine)
		atomic_store(&map4_cache[at].busy, false);
	if (found)
		return 0;
	err = dm_result(pn_client_map4(&dm, hit, addr4));
	if (err || atomic_exchange(&map4_cache[at].busy, true))
		return err;
	memcpy(map4_cache[at].hit, hit, 16);
	map4_cache[at].addr4 = *addr4;
	atomic_store(&map4_cache[at].busy, false);
	return 0;
}

int dm_unmap4(uint32_t addr4, uint8_t hit[16])
{
	return dm_result(pn_client_unmap4(&dm, addr4, hit));
}

/* The connector is one socket as long as the daemon lives */
uint32_t dm_which(void)
{
	return (uint32_t)atomic_load(&dm.connector);
}

bool dm_has_gone(void)
{
	uint64_t packed = atomic_load(&dm.connector);
	struct pollfd p = { .fd = (int)(packed >> 32), .events = 0 };

	return packed && real()->poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

uint32_t dm_of_stream(void)
{
	return !shim()->sandboxed && dm_has_gone() ? 0 : dm_which();
}

/* --- streams --------------------------------------------------------------- */

int dm_error(int fd, const uint8_t key[16])
{
	return dm_result(pn_client_error(&dm, fd, key));
}

void dm_reset(int fd, const uint8_t key[16])
{
	int saved = errno;

	dm_result(pn_client_reset(&dm, fd, key));
	errno = saved;
}

static void dm_addresses(struct sock *s, int fd, const uint8_t hit[16], uint16_t port)
{
	struct pn_wire_name name;

	s->peer = (struct sa_addr){ .family = 6, .port = port };
	memcpy(s->peer.ip, hit, 16);
	if (!pn_client_name(&dm, fd, &name))
		sa_from_name(&name, &s->peer, &s->local);
}

int dm_connect(struct sock *s, int fd, const uint8_t hit[16], uint16_t port, bool nonblock)
{
	uint16_t flags = nonblock ? PN_WIRE_F_FILLER : PN_WIRE_F_ANSWER;
	int ret;

	ret = pn_client_stream_connect(&dm, fd, hit, port, s->local.port, flags, s->key);
	if (ret < 0)
		return dm_result(ret);
	if (ret)        /* another socket is there now */
		sock_tag(fd, s->domain);
	dm_addresses(s, fd, hit, port);
	if (nonblock) {
		ret = pn_client_fill(&dm, fd, s->key);
		s->daemon = dm_of_stream();
		return ret < 0 ? dm_result(ret) : EINPROGRESS;
	}
	s->daemon = dm_of_stream();
	ret = pn_client_stream_answer(&dm, fd);
	s->awaits_answer = ret == -EINTR || ret == -EINPROGRESS;
	return dm_result(ret);
}

int dm_connected(struct sock *s, int fd)
{
	int ret;

	if (s->awaits_answer) {
		ret = pn_client_stream_answer(&dm, fd);
		if (ret != -EINTR && ret != -EINPROGRESS)
			s->awaits_answer = false;
		return dm_result(ret == -EINTR ? -EINPROGRESS : ret);
	}
	return dm_result(pn_client_filled(&dm, fd, s->key, 0));
}

int dm_listen(struct sock *s, int backlog, int kernel_fd, int *fd, int *live_fd)
{
	struct pn_client_listen req = {
		.port = s->local.port, .kernel_fd = kernel_fd, .live_fd = -1,
		.backlog = (uint16_t)(backlog < 0 || backlog > 4096 ? 4096 : backlog),
	};
	int pair[2] = { -1, -1 }, ret;

	if (opt_int(&s->opts, SOL_SOCKET, SO_REUSEPORT))
		req.flags |= PN_LISTEN_REUSEPORT;
	memcpy(req.hit, s->local.ip, sizeof(req.hit));
	pn_client_key(s->key);
	memcpy(req.key, s->key, sizeof(req.key));
	if (s->domain == AF_INET)
		req.flags |= PN_LISTEN_V4;
	if (!real()->socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		req.live_fd = pair[1];
	ret = pn_client_listen(&dm, &req, &s->local.port);
	if (pair[1] >= 0)
		real()->close(pair[1]);
	if (ret < 0) {
		if (pair[0] >= 0)
			real()->close(pair[0]);
		return dm_result(ret);
	}
	*fd = ret;
	*live_fd = pair[0];
	return dm_result(0);
}

int dm_relisten(struct sock *s, int fd, int *live_fd)
{
	int pair[2] = { -1, -1 }, ret;

	if (real()->socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		pair[0] = pair[1] = -1;
	ret = pn_client_relisten(&dm, fd, s->kernel_fd, pair[1]);
	if (pair[1] >= 0)
		real()->close(pair[1]);
	if (ret < 0 && pair[0] >= 0)
		real()->close(pair[0]);
	*live_fd = ret < 0 ? -1 : pair[0];
	return dm_result(ret);
}

int dm_accepted(int fd, struct pn_wire_name *name)
{
	return dm_result(pn_client_accepted(&dm, fd, name));
}

int dm_name(int fd, struct pn_wire_name *name)
{
	int ret = pn_client_name(&dm, fd, name);

	return ret < 0 ? -ret : 0;
}

/* --- datagrams ---------------------------------------------------------------- */

int dm_dgram_open(struct sock *s, int *fd)
{
	int ret;

	pn_client_key(s->key);
	ret = pn_client_dgram_open(&dm, SOCK_CLOEXEC, s->key);
	if (ret >= 0)
		*fd = ret;
	return dm_result(ret);
}

static int dgram_bind_as(struct sock *s, uint16_t port, uint16_t flags)
{
	uint16_t bound = 0;
	int err;

	err = dm_result(pn_client_dgram_bind(&dm, s->key, port, flags, &bound));
	if (!err) {
		s->local.family = 6;
		s->local.port = bound;
	}
	return err;
}

int dm_dgram_bind(struct sock *s, uint16_t port)
{
	/* With UDP either option lets several sockets have a port */
	bool shared = opt_int(&s->opts, SOL_SOCKET, SO_REUSEADDR) ||
		      opt_int(&s->opts, SOL_SOCKET, SO_REUSEPORT);

	return dgram_bind_as(s, port, shared ? PN_LISTEN_REUSEPORT : 0);
}

int dm_dgram_bind_again(struct sock *s)
{
	return dgram_bind_as(s, s->local.port, PN_LISTEN_REUSEPORT);
}

int dm_dgram_connect(struct sock *s, const uint8_t hit[16], uint16_t port)
{
	uint16_t local = 0;
	int err = dm_result(pn_client_dgram_connect(&dm, s->key, hit, port, &local));

	if (err)
		return err;
	s->peer = (struct sa_addr){ .family = port ? 6 : 0, .port = port };
	if (!port)
		return 0;
	memcpy(s->peer.ip, hit, 16);
	s->local.family = 6;
	s->local.port = local;
	dm_self(s->local.ip);
	return 0;
}

void dm_dgram_local(struct sock *s)
{
	uint16_t local = 0, peer_port = 0;
	uint8_t peer[16];

	if (!dm_result(pn_client_dgram_info(&dm, s->key, &local, peer, &peer_port)) && local) {
		s->local.family = 6;
		s->local.port = local;
	}
}

void dm_dgram_facts(struct sock *s)
{
	uint16_t local = 0, peer_port = 0;
	uint8_t peer[16];

	if (dm_result(pn_client_dgram_info(&dm, s->key, &local, peer, &peer_port)) || !local)
		return;
	s->local = (struct sa_addr){ .family = 6, .port = local };
	if (!peer_port)
		return;
	s->peer = (struct sa_addr){ .family = 6, .port = peer_port };
	memcpy(s->peer.ip, peer, sizeof(s->peer.ip));
	dm_self(s->local.ip);
}
