/* SPDX-License-Identifier: ISC */
/* Programs for the session tests: see app.h. */
#include "app.h"

#include <string.h>

struct app the_app;

uint8_t app_byte(uint8_t salt, uint64_t off)
{
	return (uint8_t)(off * 131 + (off >> 8) * 17 + (off >> 16) * 5 + salt);
}

static struct app_stream *of_event(int node, const struct session_event *ev)
{
	struct app_stream *s = ev->owner ? &the_app.s[ev->owner - 1] : NULL;

	return s && s->used && s->node == node && s->id == ev->stream ? s : NULL;
}

static struct app_stream *take(void)
{
	struct app_stream *s = &the_app.s[the_app.count++];

	PN_ASSERT(the_app.count <= APP_STREAMS);
	memset(s, 0, sizeof(*s));
	s->used = true;
	return s;
}

static uint64_t owner_of(const struct app_stream *s)
{
	return (uint64_t)(s - the_app.s) + 1;
}

struct app_stream *app_open_hit(struct world *w, int from, const uint8_t *hit, uint16_t port)
{
	struct app_stream *s = take();

	s->node = from;
	s->port = port;
	s->salt = (uint8_t)owner_of(s);
	s->id = stream_open(w->node[from].set, NULL, hit, port, 40000, owner_of(s), w->now);
	return s;
}

struct app_stream *app_open(struct world *w, int from, int to, uint16_t port, uint64_t to_send)
{
	struct app_stream *s = app_open_hit(w, from, w->node[to].hit, port);

	s->to_send = to_send;
	app_push(w, s);
	return s;
}

/* The n-th stream to a port from here is the n-th that was accepted there. */
struct app_stream *app_server_of(struct app_stream *c, int node)
{
	uint32_t nth = 0;

	for (struct app_stream *s = the_app.s; s != c; s++)
		nth += !s->incoming && s->port == c->port && s->node == c->node;
	for (uint32_t i = 0; i < the_app.count; i++) {
		struct app_stream *s = &the_app.s[i];

		if (s->incoming && s->node == node && s->port == c->port && nth-- == 0)
			return s;
	}
	return NULL;
}

void app_push(struct world *w, struct app_stream *s)
{
	struct session_set *set = w->node[s->node].set;

	while (s->sent < s->to_send && !s->closed) {
		size_t n;
		uint8_t *p = stream_write_space(set, s->id, &n);

		if (!p)
			return;
		n = pn_min(n, s->to_send - s->sent);
		for (size_t i = 0; i < n; i++)
			p[i] = app_byte(s->salt, s->sent + i);
		stream_write_commit(set, s->id, n, w->now);
		s->sent += n;
	}
	if (s->to_send && !s->end_sent && s->sent == s->to_send) {
		s->end_sent = true;
		stream_shutdown(set, s->id, w->now);
	}
}

long app_try(struct world *w, struct app_stream *s)
{
	return stream_write(w->node[s->node].set, s->id, (const uint8_t *)"x", 1, w->now);
}

void app_close(struct world *w, struct app_stream *s)
{
	if (!s->closed)
		stream_close(w->node[s->node].set, s->id, w->now);
	s->closed = true;
}

static void echo(struct world *w, struct app_stream *s)
{
	struct session_set *set = w->node[s->node].set;
	size_t len;
	bool fin;
	const uint8_t *p;

	while ((p = stream_peek(set, s->id, &len, &fin)) != NULL && len) {
		long n = stream_write(set, s->id, p, len, w->now);

		if (n <= 0)
			return;
		stream_consume(set, s->id, (size_t)n, w->now);
		s->got += (uint64_t)n;
	}
	if (fin && !s->end_sent) {
		s->fin = s->end_sent = true;
		stream_shutdown(set, s->id, w->now);
	}
}

void app_pull(struct world *w, struct app_stream *s)
{
	struct session_set *set = w->node[s->node].set;
	size_t len;
	bool fin;
	const uint8_t *p;

	if (s->no_read || s->closed)
		return;
	if (s->echo) {
		echo(w, s);
		return;
	}
	while ((p = stream_peek(set, s->id, &len, &fin)) != NULL && len) {
		for (size_t i = 0; i < len; i++)
			if (p[i] != app_byte(s->salt, s->got + i))
				s->bad = true;
		stream_consume(set, s->id, len, w->now);
		s->got += len;
	}
	if (fin)
		s->fin = true;
}

static void on_incoming(struct world *w, int node, const struct session_event *ev)
{
	struct session_set *set = w->node[node].set;
	struct stream_info info;
	struct app_stream *s;

	PN_ASSERT(stream_info(set, ev->stream, &info));
	PN_ASSERT(info.incoming);
	if (info.port == PORT_FULL || (info.port != PORT_ECHO && info.port != PORT_SINK &&
				       info.port != PORT_SOURCE && info.port != PORT_UNREAD)) {
		stream_refuse(set, ev->stream, info.port == PORT_FULL ? PN_EFULL : PN_EREFUSED,
			      w->now);
		return;
	}
	s = take();
	s->node = node;
	s->id = ev->stream;
	s->incoming = s->opened = true;
	s->port = info.port;
	s->echo = info.port == PORT_ECHO;
	s->no_read = info.port == PORT_UNREAD;
	/* a sink checks the pattern of the stream that dialled it */
	for (uint32_t i = 0; i < the_app.count; i++) {
		struct app_stream *c = &the_app.s[i];

		if (!c->incoming && c->port == s->port && app_server_of(c, node) == s)
			s->salt = c->salt;
	}
	if (info.port == PORT_SOURCE)
		s->to_send = SOURCE_BYTES;
	stream_accept(set, ev->stream, owner_of(s), w->now);
	app_push(w, s);
}

static void on_datagram(struct world *w, int node, const struct session_event *ev)
{
	memcpy(the_app.dgram[node], ev->data, ev->len);
	the_app.dgram_len[node] = ev->len;
	the_app.dgram_count[node]++;
	the_app.dgram_src[node] = ev->src_port;
	the_app.dgram_dst[node] = ev->dst_port;
	if (ev->dst_port == 99)
		session_datagram_unreachable(w->node[node].set, ev->hit, ev->src_port, ev->dst_port,
					     w->now);
	else if (the_app.dgram_reply && ev->dst_port == 53)
		session_datagram_send(w->node[node].set, NULL, ev->hit, 53, ev->src_port,
				      the_app.dgram[node], the_app.dgram_len[node], false, w->now);
}

static void on_stream_event(struct world *w, struct app_stream *s, const struct session_event *ev)
{
	switch (ev->kind) {
	case STREAM_EV_OPEN:
		s->opened = true;
		app_push(w, s);
		break;
	case STREAM_EV_FAILED:
		s->failed = s->closed = true;
		s->err = ev->err;
		break;
	case STREAM_EV_READABLE:
		app_pull(w, s);
		break;
	case STREAM_EV_WRITABLE:
		if (s->echo)
			app_pull(w, s);
		else
			app_push(w, s);
		break;
	case STREAM_EV_RESET:
		s->reset = true;
		s->err = ev->err;
		break;
	case STREAM_EV_STOPPED:
		s->stopped = true;
		break;
	default:
		PN_ASSERT(!"unexpected event");
	}
}

static void on_event(struct world *w, int node, const struct session_event *ev)
{
	struct app_stream *s;

	switch (ev->kind) {
	case STREAM_EV_INCOMING:
		on_incoming(w, node, ev);
		return;
	case SESSION_EV_DATAGRAM:
		on_datagram(w, node, ev);
		return;
	case SESSION_EV_UNREACHABLE:
		the_app.unreachable[node]++;
		the_app.unreachable_src[node] = ev->src_port;
		the_app.unreachable_dst[node] = ev->dst_port;
		return;
	case SESSION_EV_UP:
		the_app.up[node]++;
		return;
	case SESSION_EV_DOWN:
		the_app.down[node]++;
		return;
	default:
		s = of_event(node, ev);
		PN_ASSERT(s);	/* an event of a handle that we closed would be wrong */
		on_stream_event(w, s, ev);
	}
}

void app_init(struct world *w)
{
	memset(&the_app, 0, sizeof(the_app));
	w->on_event = on_event;
}
