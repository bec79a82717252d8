/* SPDX-License-Identifier: ISC */
/* Datagram sockets.
 *
 * Theory of operation
 *
 * Each socket is one end of a SEQPACKET pair.  From the program everything is taken at
 * once, always: what cannot be sent is dropped and counted, as UDP does, so that no
 * program ever waits in send() for a slow peer.  To the program nothing waits either:
 * what does not fit its receive buffer is dropped and counted.
 *
 * A port belongs to one socket, or to several of one user that all asked to share it
 * (PN_LISTEN_REUSEPORT): then a sender always gets the same one of them.  A connected
 * socket hears its peer only, and is preferred for it.  "Nobody is bound there" is told
 * to a connected socket only, as a message with PN_DGRAM_F_ERROR.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

struct dgram {
	struct dgram *next, *prev;
	struct dgram *port_next;
	struct key_node node;
	struct api *api;
	struct api_cred cred;
	int fd;
	struct loop_watch *watch;
	uint16_t port;             /* 0: not bound */
	bool shared;
	uint16_t peer_port;        /* 0: not connected */
	uint8_t peer[PN_HIT_LEN];
	uint64_t tx, rx;           /* datagrams */
};

static_assert(PN_WIRE_DGRAM_LEN + PN_DATAGRAM_MAX + 1 <= API_SCRATCH, "one, and a byte");

static struct dgram **port_chain(struct api *api, uint16_t port)
{
	return &api->dgram_ports[port % PORT_BUCKETS];
}

static void unbind(struct dgram *d)
{
	struct dgram **at;

	if (!d->port)
		return;
	for (at = port_chain(d->api, d->port); *at != d; at = &(*at)->port_next)
		PN_ASSERT(*at);
	*at = d->port_next;
	d->port = 0;
}

static void dgram_free(struct dgram *d)
{
	struct api *api = d->api;

	unbind(d);
	keytab_remove(&api->keys, &d->node);
	api_close(api, &d->watch, &d->fd);
	API_LIST_DEL(api->dgrams, d);
	api_socket_drop(api);
	free(d);
}

/* Ports -------------------------------------------------------------------- */

static bool port_used(struct api *api, uint16_t port)
{
	const struct dgram *d;

	for (d = *port_chain(api, port); d; d = d->port_next) {
		if (d->port == port)
			return true;
	}
	return false;
}

static bool may_share(struct api *api, const struct dgram *mine, uint16_t port)
{
	const struct dgram *d;

	for (d = *port_chain(api, port); d; d = d->port_next) {
		if (d->port == port && (!d->shared || d->cred.uid != mine->cred.uid))
			return false;
	}
	return true;
}

static int bind_port(struct dgram *d, uint16_t port, bool shared)
{
	struct api *api = d->api;

	if (!port)
		port = port_ephemeral(api, port_used);
	else if (port_used(api, port) && !(shared && may_share(api, d, port)))
		return -EADDRINUSE;
	if (!port)
		return -EADDRINUSE;
	d->port = port;
	d->shared = shared;
	d->port_next = *port_chain(api, port);
	*port_chain(api, port) = d;
	return 0;
}

/* Inwards ------------------------------------------------------------------ */

/* How well does it fit: 2 connected to that peer, 1 to nobody, 0 not */
static int rank(const struct dgram *d, const uint8_t hit[16], uint16_t src_port, uint16_t port)
{
	if (d->port != port)
		return 0;
	if (!d->peer_port)
		return 1;
	return d->peer_port == src_port && !memcmp(d->peer, hit, 16) ? 2 : 0;
}

static struct dgram *pick(struct api *api, const uint8_t hit[16], uint16_t src_port,
			  uint16_t port)
{
	struct dgram *d, *chosen = NULL;
	uint32_t equals = 0, turn;
	int best = 0;

	for (d = *port_chain(api, port); d; d = d->port_next) {
		int r = rank(d, hit, src_port, port);

		if (r > best) {
			best = r;
			equals = 0;
		}
		if (r && r == best)
			equals++;
	}
	if (!equals)
		return NULL;
	turn = (src_port * 31u + hit[15]) % equals;
	for (d = *port_chain(api, port); d; d = d->port_next) {
		if (rank(d, hit, src_port, port) == best) {
			chosen = d;
			if (!turn--)
				break;
		}
	}
	return chosen;
}

static bool send_up(struct dgram *d, uint8_t flags, const uint8_t hit[16], uint16_t src_port,
		    const uint8_t *data, size_t len)
{
	struct pn_wire_dgram from = { .flags = flags, .port = src_port };
	uint8_t header[PN_WIRE_DGRAM_LEN];
	struct iovec iov[2] = { { header, sizeof(header) },
				{ (void *)(uintptr_t)data, len } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };

	memcpy(from.hit, hit, 16);
	pn_wire_dgram_build(&from, header);
	return sendmsg(d->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

/* Return: false if nobody is bound there */
static bool deliver(struct api *api, const uint8_t hit[16], uint16_t src_port, uint16_t port,
		    const uint8_t *data, size_t len)
{
	struct dgram *d = pick(api, hit, src_port, port);

	if (!d) {
		if (port_used(api, port)) {
			api->count[API_N_DGRAM_DROP_PEER]++;
			return true;
		}
		api->count[API_N_DGRAM_DROP_NOBODY]++;
		return false;
	}
	if (send_up(d, 0, hit, src_port, data, len)) {
		d->rx++;
		api->count[API_N_DGRAM_IN]++;
	} else {
		api->count[API_N_DGRAM_DROP_FULL]++;
	}
	return true;
}

static void unreachable(struct api *api, const uint8_t hit[16], uint16_t own_port,
			uint16_t far_port)
{
	struct dgram *d = pick(api, hit, far_port, own_port);

	if (d && d->peer_port)
		send_up(d, PN_DGRAM_F_ERROR, hit, far_port, NULL, 0);
}

void dgram_on_event(struct api *api, const struct session_event *ev)
{
	if (ev->kind == SESSION_EV_UNREACHABLE) {
		unreachable(api, ev->hit, ev->src_port, ev->dst_port);
		return;
	}
	names_learn(api->names, ev->id);
	if (!deliver(api, ev->hit, ev->src_port, ev->dst_port, ev->data, ev->len))
		session_datagram_unreachable(api->cfg.sessions, ev->hit, ev->src_port,
					     ev->dst_port, api->now);
}

/* Outwards ----------------------------------------------------------------- */

static void send_out(struct dgram *d, const struct pn_wire_dgram *to, const uint8_t *data,
		     size_t len)
{
	struct api *api = d->api;
	const uint8_t *hit = to->port ? to->hit : d->peer;
	uint16_t port = to->port ? to->port : d->peer_port;
	int r;

	if (!port || len > PN_DATAGRAM_MAX || !pn_is_hit(hit)) {
		api->count[API_N_DGRAM_DROP_BAD]++;
		return;
	}
	if (!d->port && bind_port(d, 0, false) < 0) {
		api->count[API_N_DGRAM_DROP_SEND]++;
		return;
	}
	d->tx++;
	api->count[API_N_DGRAM_OUT]++;
	if (!memcmp(hit, api->hit, 16)) {
		if (!deliver(api, api->hit, d->port, port, data, len))
			unreachable(api, api->hit, d->port, port);
		return;
	}
	r = session_datagram_send(api->cfg.sessions, names_identity(api->names, hit), hit,
				  d->port, port, data, len, to->flags & PN_DGRAM_F_NOFRAG,
				  api->now);
	if (r < 0)
		api->count[API_N_DGRAM_DROP_SEND]++;
}

/* Takes up to @max messages.  Return: false if the program has gone */
static bool take(struct dgram *d, int max)
{
	struct api *api = d->api;
	int i;

	for (i = 0; i < max; i++) {
		struct pn_wire_dgram to;
		ssize_t n = recv(d->fd, api->scratch, API_SCRATCH, MSG_DONTWAIT | MSG_TRUNC);

		if (n == 0)
			return false;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return errno == EAGAIN;
		}
		if (n > (ssize_t)API_SCRATCH ||
		    pn_wire_dgram_parse(api->scratch, (size_t)n, &to) < 0)
			api->count[API_N_DGRAM_DROP_BAD]++;
		else
			send_out(d, &to, api->scratch + PN_WIRE_DGRAM_LEN,
				 (size_t)n - PN_WIRE_DGRAM_LEN);
	}
	return true;
}

static void on_ready(void *arg, uint32_t events, struct pn_time now)
{
	struct dgram *d = arg;

	(void)events;
	d->api->now = now;
	if (!take(d, API_BATCH))
		dgram_free(d);
}

/* A program that has just closed a socket may have its port again, though we have not yet
 * been told by the loop */
static void release_port(struct api *api, uint16_t port)
{
	struct dgram *d, *next;

	for (d = *port_chain(api, port); d; d = next) {
		next = d->port_next;
		if (d->port == port && !take(d, API_BATCH))
			dgram_free(d);
	}
}

/* Messages on the connector ------------------------------------------------ */

int dgram_new(struct api *api, int fd, const uint8_t key[16], const struct api_cred *cred)
{
	struct dgram *d;

	if (!api_socket_take(api))
		return -ENOBUFS;
	d = calloc(1, sizeof(*d));
	if (!d) {
		api_socket_drop(api);
		return -ENOMEM;
	}
	d->api = api;
	d->fd = -1;
	d->cred = *cred;
	d->node.kind = KEY_DGRAM;
	d->node.uid = cred->uid;
	memcpy(d->node.key, key, sizeof(d->node.key));
	API_LIST_ADD(api->dgrams, d);
	if (!keytab_insert(&api->keys, &d->node)) {
		dgram_free(d);
		return -EINVAL;
	}
	d->watch = loop_watch_add(api->cfg.loop, fd, LOOP_IN, on_ready, d);
	if (!d->watch) {
		dgram_free(d);
		return -ENOMEM;
	}
	d->fd = fd;
	return 0;
}

int dgram_bind(struct api *api, struct key_node *n, const struct api_cred *cred,
	       uint16_t port, uint16_t flags, uint16_t *bound)
{
	struct dgram *d = pn_container_of(n, struct dgram, node);
	int r;

	if (d->port)
		return -EINVAL;
	if (!port_allowed(cred, port)) {
		api->count[API_N_DENIED]++;
		return -EACCES;
	}
	release_port(api, port);
	r = bind_port(d, port, flags & PN_LISTEN_REUSEPORT);
	if (r == 0)
		*bound = d->port;
	return r;
}

int dgram_connect(struct api *api, struct key_node *n, const uint8_t hit[16], uint16_t port,
		  uint16_t *local_port)
{
	struct dgram *d = pn_container_of(n, struct dgram, node);
	int r;

	if (port && !pn_is_hit(hit))
		return -EINVAL;
	if (!d->port) {
		r = bind_port(d, 0, false);
		if (r < 0)
			return r;
	}
	/* What was sent before this goes to the peer before; its end shows by itself. */
	(void)take(d, API_BATCH);
	PN_ASSERT(d->api == api);
	d->peer_port = port;
	memcpy(d->peer, hit, sizeof(d->peer));
	*local_port = d->port;
	return 0;
}

void dgram_info(struct key_node *n, uint16_t *local_port, uint8_t peer[16],
		uint16_t *peer_port)
{
	const struct dgram *d = pn_container_of(n, struct dgram, node);

	*local_port = d->port;
	*peer_port = d->peer_port;
	if (d->peer_port)
		memcpy(peer, d->peer, 16);
}

void dgram_free_all(struct api *api)
{
	while (api->dgrams)
		dgram_free(api->dgrams);
}

void dgram_show_all(struct api *api, json_t *list)
{
	struct dgram *d;

	for (d = api->dgrams; d && json_array_size(list) < API_LIST_MAX; d = d->next) {
		json_t *o = json_pack("{s:s, s:i, s:i, s:i, s:I, s:I}", "type", "datagram",
				      "local_port", (int)d->port, "uid", (int)d->cred.uid,
				      "pid", (int)d->cred.pid, "tx_datagrams", (json_int_t)d->tx,
				      "rx_datagrams", (json_int_t)d->rx);

		if (!o)
			return;
		if (d->peer_port) {
			json_object_set_new(o, "port", json_integer(d->peer_port));
			show_identity(api, o, names_identity(api->names, d->peer), d->peer);
		}
		json_array_append_new(list, o);
	}
}
