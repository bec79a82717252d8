/* SPDX-License-Identifier: ISC */
/* Who listens where, and connecting to them.
 *
 * Theory of operation
 *
 * A listener is an AF_UNIX socket in the abstract namespace, made here and given to
 * the program; we keep only its name.  To bring it a connection we connect to that
 * name from a socket bound to the pair of addresses (struct pn_wire_name, kind 'a'),
 * which the program reads with getpeername().
 *
 * Whether anybody still has it open is asked of the kernel: a name can be bound a second
 * time only when the first socket is gone.  That is right through fork, exec and
 * descriptor passing, and takes nothing from the program's backlog.  It is asked when
 * somebody else wants the port, on the hints named in api_wire.h, and once a second
 * for all.
 *
 * The listener outlives us.  A daemon that is started finds it by its name (wake.c), and the
 * program hands it to us again as it is: so all processes that have it open listen again.
 *
 * Which listener of a port: one bound to our HIT before one for any address; then one of
 * a socket that is not AF_INET before one that is; among equals (SO_REUSEPORT) in turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

#define LOOKS 6            /* after a hint, each LOOK_NS: about as long as an exit takes */
#define LOOK_NS PN_MS(20)
#define CONNECT_TRIES 8    /* listeners that turn out to be dead, per connection */

struct listener {
	struct listener *next, *prev;
	struct listener *port_next;
	struct key_node node;
	struct api *api;
	struct api_cred cred;
	uint8_t hit[16];
	uint16_t port, flags;
	bool in_ports;
	int kernel_fd, live_fd;
	int kernel_held;           /* a connection that waits for room in the backlog, -1 none */
	struct loop_watch *kernel_watch, *live_watch;
	bool kernel_paused;
	uint8_t looks;             /* soon again, so often: the program seems to have ended */
	uint64_t accepted;
	struct sockaddr_un name;
	socklen_t name_len;
};

static const uint8_t any[16];

static struct listener **port_chain(struct api *api, uint16_t port)
{
	return &api->listen_ports[port % PORT_BUCKETS];
}

static void listener_free(struct listener *l)
{
	struct api *api = l->api;
	struct listener **at;

	if (l->in_ports) {
		for (at = port_chain(api, l->port); *at != l; at = &(*at)->port_next)
			PN_ASSERT(*at);
		*at = l->port_next;
	}
	keytab_remove(&api->keys, &l->node);
	api_close(api, &l->kernel_watch, &l->kernel_fd);
	if (l->kernel_held >= 0)
		close(l->kernel_held);
	api_close(api, &l->live_watch, &l->live_fd);
	API_LIST_DEL(api->listeners, l);
	api->listener_count--;
	free(l);
}

/* Has any program still got it open?  In doubt it has. */
static bool listener_alive(const struct listener *l)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool dead;

	if (fd < 0)
		return true;
	dead = bind(fd, (const struct sockaddr *)&l->name, l->name_len) == 0;
	close(fd);
	return !dead;
}

static void listener_check(struct listener *l)
{
	if (!listener_alive(l))
		listener_free(l);
}

void listener_probe(struct api *api, struct key_node *n)
{
	struct listener *l = pn_container_of(n, struct listener, node);

	PN_ASSERT(l->api == api);
	listener_check(l);
}

/* Connecting --------------------------------------------------------------- */

/* How well does it fit: 0 not at all, the more the better */
static int rank(const struct api *api, const struct listener *l, uint16_t port)
{
	if (l->port != port || (l->flags & PN_LISTEN_NO_PEERNET))
		return 0;
	if (!memcmp(l->hit, api->hit, sizeof(l->hit)))
		return 3;
	return l->flags & PN_LISTEN_V4 ? 1 : 2;
}

static struct listener *pick(struct api *api, uint16_t port)
{
	struct listener *l, *chosen = NULL;
	uint32_t equals = 0, turn;
	int best = 0;

	for (l = *port_chain(api, port); l; l = l->port_next) {
		int r = rank(api, l, port);

		if (r > best) {
			best = r;
			equals = 0;
		}
		if (r && r == best)
			equals++;
	}
	if (!equals)
		return NULL;
	turn = api->round++ % equals;
	for (l = *port_chain(api, port); l; l = l->port_next) {
		if (rank(api, l, port) == best) {
			chosen = l;
			if (!turn--)
				break;
		}
	}
	return chosen;
}

uid_t listener_uid(struct api *api, uint16_t port)
{
	for (const struct listener *l = *port_chain(api, port); l; l = l->port_next)
		if (rank(api, l, port))
			return l->cred.uid;
	return (uid_t)-1;
}

/* Return: descriptor, -errno */
static int connect_to(const struct listener *l, struct pn_wire_name *name)
{
	struct sockaddr_un un;
	socklen_t len;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	api_key(name->key);
	len = pn_wire_name_build(name, &un);
	if (bind(fd, (struct sockaddr *)&un, len) == 0 &&
	    connect(fd, (const struct sockaddr *)&l->name, l->name_len) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

int listener_connect(struct api *api, struct listener *only, struct pn_wire_name *name,
		     uid_t *uid)
{
	int tries, fd;

	for (tries = 0; tries < CONNECT_TRIES; tries++) {
		struct listener *l = only ? only : pick(api, name->local_port);

		if (!l)
			return -ECONNREFUSED;
		fd = connect_to(l, name);
		if (fd >= 0) {
			l->accepted++;
			*uid = l->cred.uid;
			return fd;
		}
		if (fd != -ECONNREFUSED)
			return fd;
		listener_free(l);   /* nobody has it open any more */
		if (only)
			return -ECONNREFUSED;
	}
	return -ECONNREFUSED;
}

/* The kernel's connections ------------------------------------------------- */

static void put_address(const struct sockaddr_storage *ss, uint8_t addr[16], uint16_t *port,
			uint8_t *family)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in4;

	if (ss->ss_family == AF_INET6) {
		memcpy(&in6, ss, sizeof(in6));
		memcpy(addr, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
		*family = 7;
		return;
	}
	memcpy(&in4, ss, sizeof(in4));
	memset(addr, 0, 16);
	memcpy(addr, &in4.sin_addr, 4);
	*port = ntohs(in4.sin_port);
	*family = 4;
}

/* No more of them for now: others wait in the kernel, as ever when a backlog is full. */
static void kernel_pause(struct listener *l, int held)
{
	l->kernel_held = held;
	l->kernel_paused = true;
	loop_watch_set(l->api->cfg.loop, l->kernel_watch, 0);
	l->api->tick = pn_time_min(l->api->tick, pn_time_add(l->api->now, LOOK_NS));
}

/* Takes @tcp.  Return: false if @l is no more; it may have been paused */
static bool kernel_connection(struct listener *l, int tcp)
{
	struct pn_wire_name name = { .kind = 'a' };
	struct sockaddr_storage peer = { 0 }, local = { 0 };
	socklen_t plen = sizeof(peer), llen = sizeof(local);
	struct relay_end ends[2] = { { .fd = tcp, .kernel = true }, { .fd = -1 } };
	struct api *api = l->api;
	int fd = -EMFILE;

	if (getpeername(tcp, (struct sockaddr *)&peer, &plen) < 0 ||
	    getsockname(tcp, (struct sockaddr *)&local, &llen) < 0 || !api_socket_take(api)) {
		close(tcp);
		return true;
	}
	put_address(&peer, name.peer, &name.peer_port, &name.family);
	put_address(&local, name.local, &name.local_port, &name.family);
	fd = listener_connect(api, l, &name, &ends[1].uid);
	if (fd == -EAGAIN) {
		api_socket_drop(api);
		kernel_pause(l, tcp);
		return true;
	}
	if (fd < 0) {
		api->count[API_N_REFUSED_BACKLOG]++;
		api_socket_drop(api);
		close(tcp);
		return fd != -ECONNREFUSED;
	}
	ends[1].fd = fd;
	memcpy(ends[1].key, name.key, sizeof(ends[1].key));
	relay_new(api, ends);
	return true;
}

static void on_kernel(void *arg, uint32_t events, struct pn_time now)
{
	struct listener *l = arg;
	int i;

	(void)events;
	l->api->now = now;
	for (i = 0; i < API_BATCH; i++) {
		int tcp = accept4(l->kernel_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (tcp >= 0) {
			if (!kernel_connection(l, tcp) || l->kernel_paused)
				return;
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			loop_watch_set(l->api->cfg.loop, l->kernel_watch, 0);
			l->kernel_paused = true;
			return;
		}
	}
}

static void on_live(void *arg, uint32_t events, struct pn_time now)
{
	struct listener *l = arg;

	(void)events;
	l->api->now = now;
	/* That end may have been closed alone: the hint is used up.  Or it is the first
	 * that an ending program loses, and the listener itself goes a moment later. */
	api_close(l->api, &l->live_watch, &l->live_fd);
	l->looks = LOOKS;
	l->api->tick = pn_time_min(l->api->tick, now);
}

/* Making one --------------------------------------------------------------- */

static bool may_share(const struct listener *l, const struct listen_request *req)
{
	if (l->cred.uid != req->cred.uid)
		return false;
	if (l->flags & req->flags & PN_LISTEN_REUSEPORT)
		return true;
	return (l->flags ^ req->flags) & PN_LISTEN_V4;
}

/* Return: 0 or -EADDRINUSE */
static int check_conflicts(struct api *api, const struct listen_request *req, uint16_t port)
{
	struct listener *l, *next;

	for (l = *port_chain(api, port); l; l = next) {
		next = l->port_next;
		if (l->port != port || may_share(l, req))
			continue;
		if (memcmp(l->hit, req->hit, 16) && memcmp(l->hit, any, 16) &&
		    memcmp(req->hit, any, 16))
			continue;
		if (listener_alive(l))
			return -EADDRINUSE;
		listener_free(l);
	}
	return 0;
}

static bool port_used(struct api *api, uint16_t port)
{
	const struct listener *l;

	for (l = *port_chain(api, port); l; l = l->port_next) {
		if (l->port == port)
			return true;
	}
	return false;
}

/* Who has a listener of a daemon before us (take_socket() looks at its name) was allowed the
 * port then, and may have given up what it takes since.  The kernel tells who called
 * listen(): that was a daemon of this user. */
static bool port_allowed_before(const struct listen_request *req)
{
	struct api_cred cred;

	return req->own_fd >= 0 && api_cred_of(req->own_fd, &cred) && cred.uid == geteuid();
}

static int choose_port(struct api *api, const struct listen_request *req, uint16_t *port)
{
	*port = req->port;
	if (req->flags & PN_LISTEN_NO_PEERNET)
		return 0;
	if (!port_allowed(&req->cred, *port) && !port_allowed_before(req)) {
		api->count[API_N_DENIED]++;
		return -EACCES;
	}
	if (*port)
		return check_conflicts(api, req, *port);
	*port = port_ephemeral(api, port_used);
	return *port ? 0 : -EADDRINUSE;
}

static bool watch_extras(struct listener *l)
{
	struct loop *loop = l->api->cfg.loop;

	if (l->kernel_fd >= 0) {
		int fl = fcntl(l->kernel_fd, F_GETFL);

		if (fl < 0 || fcntl(l->kernel_fd, F_SETFL, fl | O_NONBLOCK) < 0)
			return false;
		l->kernel_watch = loop_watch_add(loop, l->kernel_fd, LOOP_IN, on_kernel, l);
	}
	if (l->live_fd >= 0)
		l->live_watch = loop_watch_add(loop, l->live_fd, LOOP_IN, on_live, l);
	return (l->kernel_fd < 0 || l->kernel_watch) && (l->live_fd < 0 || l->live_watch);
}

/* Return: the program's socket, -errno */
static int make_socket(struct listener *l, uint16_t backlog)
{
	struct pn_wire_name name = { .kind = 'l', .family = 6, .flags = l->flags,
				     .local_port = l->port };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	memcpy(name.local, l->hit, 16);
	memcpy(name.key, l->node.key, 16);
	l->name_len = pn_wire_name_build(&name, &l->name);
	if (bind(fd, (struct sockaddr *)&l->name, l->name_len) == 0 && listen(fd, backlog) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* A listener that the program has from a daemon before.  Return: 0, -errno */
static int take_socket(struct listener *l, int fd)
{
	struct pn_wire_name name;

	l->name_len = sizeof(l->name);
	if (getsockname(fd, (struct sockaddr *)&l->name, &l->name_len) < 0)
		return -errno;
	if (pn_wire_name_parse(&l->name, l->name_len, &name) || name.kind != 'l' ||
	    name.local_port != l->port || memcmp(name.local, l->hit, 16) ||
	    memcmp(name.key, l->node.key, 16))
		return -EINVAL;
	return 0;
}

static struct listener *listener_alloc(struct api *api, const struct listen_request *req,
				       uint16_t port)
{
	struct listener *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->api = api;
	l->cred = req->cred;
	l->port = port;
	l->flags = req->flags;
	l->kernel_fd = l->live_fd = l->kernel_held = -1;
	memcpy(l->hit, req->hit, sizeof(l->hit));
	memcpy(l->node.key, req->key, sizeof(l->node.key));
	l->node.kind = KEY_LISTENER;
	l->node.uid = req->cred.uid;
	API_LIST_ADD(api->listeners, l);
	api->listener_count++;
	return l;
}

int listener_new(struct api *api, const struct listen_request *req, uint16_t *port)
{
	struct listener *l;
	uint16_t chosen;
	int fd, r;

	if (memcmp(req->hit, any, 16) && memcmp(req->hit, api->hit, 16))
		return -EADDRNOTAVAIL;
	if (api->listener_count >= API_LISTENER_MAX) {
		api->count[API_N_OVER_LIMIT]++;
		return -ENOBUFS;
	}
	r = choose_port(api, req, &chosen);
	if (r < 0)
		return r;
	l = listener_alloc(api, req, chosen);
	if (!l)
		return -ENOMEM;
	if (!keytab_insert(&api->keys, &l->node))
		fd = -EINVAL;
	else
		fd = req->own_fd < 0 ? make_socket(l, req->backlog) : take_socket(l, req->own_fd);
	if (fd < 0) {
		listener_free(l);
		return fd;
	}
	l->kernel_fd = req->kernel_fd;
	l->live_fd = req->live_fd;
	if (!watch_extras(l)) {
		l->kernel_fd = l->live_fd = -1;   /* the caller's still */
		if (req->own_fd < 0)
			close(fd);
		listener_free(l);
		return -ENOMEM;
	}
	if (!(l->flags & PN_LISTEN_NO_PEERNET)) {
		l->port_next = *port_chain(api, chosen);
		*port_chain(api, chosen) = l;
		l->in_ports = true;
	}
	*port = chosen;
	return fd;
}

/* Time, lists, the end ----------------------------------------------------- */

/* Return: false if @l is no more */
static bool kernel_resume(struct listener *l)
{
	int held = l->kernel_held;

	l->kernel_paused = false;
	l->kernel_held = -1;
	if (held >= 0 && !kernel_connection(l, held))
		return false;
	if (!l->kernel_paused)
		loop_watch_set(l->api->cfg.loop, l->kernel_watch, LOOP_IN);
	return true;
}

void listener_tick(struct api *api)
{
	struct listener *l, *next;

	for (l = api->listeners; l; l = next) {
		next = l->next;
		if (l->kernel_paused && !kernel_resume(l))
			continue;
		if (l->looks && --l->looks)
			api->tick = pn_time_min(api->tick, pn_time_add(api->now, LOOK_NS));
		listener_check(l);
	}
}

void listener_free_all(struct api *api)
{
	while (api->listeners)
		listener_free(api->listeners);
}

void listener_show_all(struct api *api, json_t *list)
{
	struct listener *l;

	for (l = api->listeners; l && json_array_size(list) < API_LIST_MAX; l = l->next) {
		json_t *o = json_pack("{s:s, s:i, s:b, s:b, s:b, s:i, s:i, s:I}",
				      "type", "listener", "port", (int)l->port,
				      "any", !memcmp(l->hit, any, 16),
				      "kernel", l->kernel_fd >= 0,
				      "peernet", !(l->flags & PN_LISTEN_NO_PEERNET),
				      "uid", (int)l->cred.uid, "pid", (int)l->cred.pid,
				      "accepted", (json_int_t)l->accepted);

		if (o)
			json_array_append_new(list, o);
	}
}
