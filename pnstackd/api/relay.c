/* SPDX-License-Identifier: ISC */
/* Two descriptors of this host spliced: a program's socket with the kernel's TCP, or
 * two programs that meet on this node.
 *
 * Each side has a buffer for what was read from the other and does not fit; nothing
 * more is read from there until it is empty.  End of file, a closed reader and a reset
 * are carried over as in streams.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

#define RELAY_BUF API_IO_CHUNK

struct relay_side {
	struct relay *relay;
	struct key_node node;
	int fd;
	bool kernel;
	struct loop_watch *watch;
	uint32_t wanted;
	bool eof;                  /* nothing comes from here any more */
	bool shut;                 /* nothing goes there any more */
	uint8_t *buf;              /* waits to be written here; NULL: nothing */
	size_t off, len;
	uint64_t bytes;            /* read here */
};

struct relay {
	struct relay *next, *prev;
	struct api *api;
	struct relay_side side[2];
};

static struct relay_side *other(struct relay_side *s)
{
	struct relay *r = s->relay;

	return s == &r->side[0] ? &r->side[1] : &r->side[0];
}

static void relay_free(struct relay *r)
{
	struct api *api = r->api;
	size_t i;

	for (i = 0; i < 2; i++) {
		struct relay_side *s = &r->side[i];

		keytab_remove(&api->keys, &s->node);
		api_close(api, &s->watch, &s->fd);
		free(s->buf);
	}
	API_LIST_DEL(api->relays, r);
	api_socket_drop(api);
	free(r);
}

/* One side broke it off: the other sees a reset */
static void relay_break(struct relay_side *from)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };
	struct relay_side *to = other(from);
	struct api *api = from->relay->api;

	if (to->kernel)
		setsockopt(to->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	else
		errs_keep(&api->errs, to->node.key, to->node.uid, ECONNRESET, api->now);
	relay_free(from->relay);
}

/* Writes what waits.  Return: false while some still waits */
static bool flush_side(struct relay_side *to)
{
	while (to->len && !to->shut) {
		ssize_t n = send(to->fd, to->buf + to->off, to->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			to->off += (size_t)n;
			to->len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			return false;
		} else if (n < 0 && errno != EINTR) {
			to->shut = true;
		}
	}
	free(to->buf);
	to->buf = NULL;
	to->len = to->off = 0;
	return true;
}

static void pass_on(struct relay_side *to, const uint8_t *data, size_t len)
{
	ssize_t n = send(to->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		to->shut = true;
		return;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n == len)
		return;
	to->buf = malloc(RELAY_BUF);
	if (!to->buf) {
		to->shut = true;   /* out of memory: as if it read no more */
		return;
	}
	to->off = 0;
	to->len = len - (size_t)n;
	memcpy(to->buf, data + n, to->len);
}

/* Nobody reads there.  Whoever writes here learns it by that: the first bytes are lost,
 * then it finds the stream broken.
 * @some:	Bytes have been lost already
 * Return: false if it broke it off */
static bool move_away(struct relay_side *from, bool some)
{
	struct api *api = from->relay->api;
	ssize_t n = recv(from->fd, api->scratch, 1, MSG_PEEK | MSG_DONTWAIT);

	some = some || n > 0;
	/* First, so that whoever waits in write() is not let through */
	if (some)
		shutdown(from->fd, SHUT_RD);
	while (n > 0)
		n = recv(from->fd, api->scratch, RELAY_BUF, MSG_DONTWAIT);
	from->eof = some || n == 0;
	return from->eof || errno == EAGAIN || errno == EINTR;
}

/* Has it closed with bytes unread?  Then its sender shall see a reset */
static bool is_reset(const struct relay_side *s)
{
	socklen_t len = sizeof(int);
	int err = 0;

	return !getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len) && err == ECONNRESET;
}

/* From one side to the other.  Return: the side that broke it off, or NULL */
static struct relay_side *move(struct relay_side *from, struct relay_side *to)
{
	struct api *api = from->relay->api;
	bool was_shut = to->shut;
	int round;

	for (round = 0; round < API_IO_ROUNDS && !from->eof && !to->shut; round++) {
		ssize_t n;

		if (to->len && !flush_side(to))
			return NULL;
		if (to->shut)
			break;
		n = recv(from->fd, api->scratch, RELAY_BUF, MSG_DONTWAIT);
		if (n > 0) {
			from->bytes += (uint64_t)n;
			pass_on(to, api->scratch, (size_t)n);
		} else if (n == 0) {
			from->eof = true;
		} else if (errno == EAGAIN) {
			return NULL;
		} else if (errno != EINTR) {
			return from;
		}
	}
	if (to->len && !flush_side(to))
		return NULL;
	if (from->eof && !to->shut) {
		shutdown(to->fd, SHUT_WR);
		to->shut = true;
	}
	if (!to->shut || from->eof)
		return NULL;
	if (!was_shut && is_reset(to))
		return to;
	return move_away(from, !was_shut) ? NULL : from;
}

static void wants(struct relay_side *s)
{
	uint32_t events = 0;

	if (!s->eof && !other(s)->len)
		events |= LOOP_IN;
	if (s->len)
		events |= LOOP_OUT;
	if (!events && s->eof)
		events = LOOP_HUP;
	if (events == s->wanted)
		return;
	s->wanted = events;
	loop_watch_set(s->relay->api->cfg.loop, s->watch, events);
}

static void pump(struct relay *r)
{
	struct relay_side *a = &r->side[0], *b = &r->side[1];
	struct relay_side *broken = move(a, b);

	if (!broken)
		broken = move(b, a);
	if (broken) {
		relay_break(broken);
	} else if (a->eof && b->eof && a->shut && b->shut) {
		relay_free(r);
	} else {
		wants(a);
		wants(b);
	}
}

static void on_side(void *arg, uint32_t events, struct pn_time now)
{
	struct relay_side *s = arg;
	struct relay *r = s->relay;

	r->api->now = now;
	if (events & LOOP_HUP && s->eof && !s->len)
		s->shut = true;   /* it has closed: nobody reads there */
	pump(r);
}

static bool side_init(struct relay *r, struct relay_side *s, const struct relay_end *end)
{
	struct api *api = r->api;
	const int one = 1;

	s->relay = r;
	s->fd = end->fd;
	s->kernel = end->kernel;
	s->node.kind = KEY_RELAY;
	s->node.uid = end->uid;
	memcpy(s->node.key, end->key, sizeof(s->node.key));
	keytab_insert(&api->keys, &s->node);   /* without a key nobody can ask: no harm */
	if (s->kernel)
		setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->wanted = LOOP_IN;
	s->watch = loop_watch_add(api->cfg.loop, s->fd, LOOP_IN, on_side, s);
	return s->watch != NULL;
}

void relay_new(struct api *api, const struct relay_end ends[2])
{
	struct relay *r = calloc(1, sizeof(*r));
	bool ok;

	if (!r) {
		close(ends[0].fd);
		close(ends[1].fd);
		api_socket_drop(api);
		return;
	}
	r->api = api;
	API_LIST_ADD(api->relays, r);
	api->count[API_N_RELAYS]++;
	ok = side_init(r, &r->side[0], &ends[0]);
	ok = side_init(r, &r->side[1], &ends[1]) && ok;
	if (ok)
		pump(r);
	else
		relay_free(r);
}

void relay_abort(struct api *api, struct key_node *n)
{
	struct relay_side *s = pn_container_of(n, struct relay_side, node);

	PN_ASSERT(s->relay->api == api);
	relay_break(s);
}

void relay_free_all(struct api *api)
{
	while (api->relays)
		relay_free(api->relays);
}

void relay_show_all(struct api *api, json_t *list)
{
	struct relay *r;

	for (r = api->relays; r && json_array_size(list) < API_LIST_MAX; r = r->next) {
		const struct relay_side *s = &r->side[0];
		json_t *o = json_pack("{s:s, s:s, s:i, s:I, s:I}",
				      "type", s->kernel ? "kernel-stream" : "local-stream",
				      "state", "open", "uid", (int)r->side[1].node.uid,
				      "rx_bytes", (json_int_t)s->bytes,
				      "tx_bytes", (json_int_t)r->side[1].bytes);

		if (o)
			json_array_append_new(list, o);
	}
}
