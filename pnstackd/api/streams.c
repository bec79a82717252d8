/* SPDX-License-Identifier: ISC */
/* A program's socket spliced with a stream of a session.
 *
 * Theory of operation
 *
 * A stream begins with the header that a program writes, or with STREAM_EV_INCOMING
 * and a connection to the program that listens.  Its states:
 *
 *   HEADER      the program's 64 bytes are read; nothing else is known
 *   CONNECTING  the far end has been asked; the program's descriptor is watched for
 *               hang-up only
 *   DRAIN       the outcome is known and the filler is read away: exactly as many bytes
 *               as PN_OP_FILLER told (it may come before the header, or later).  On
 *               failure it is not read: closing over it makes the program's poll() say
 *               POLLERR and POLLHUP at once, as after a refused connect() of TCP
 *   OPEN        bytes flow; in_done: nothing comes from the program any more; out_done:
 *               nothing goes to it any more; both: the end
 *
 * A stream to our own identity never gets to a session: it is handed to relay.c with
 * the listener's connection as soon as the program has had its answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pnstackd/api/stream_int.h"

static const char *const state_names[] = { "header", "connecting", "draining", "open" };
static_assert(PN_ARRAY_LEN(state_names) == ST_COUNT, "a name for each state");

/* Handles ------------------------------------------------------------------ */

static bool slot_take(struct stream *st)
{
	struct api *api = st->api;

	if (!api->slot_free)
		return false;
	st->slot = api->slot_free;
	api->slot_free = api->slots[st->slot].next_free;
	api->slots[st->slot].stream = st;
	return true;
}

static void slot_drop(struct stream *st)
{
	struct api *api = st->api;

	if (!st->slot)
		return;
	api->slots[st->slot].stream = NULL;
	api->slots[st->slot].generation++;
	api->slots[st->slot].next_free = api->slot_free;
	api->slot_free = st->slot;
	st->slot = 0;
}

static uint64_t owner_of(const struct stream *st)
{
	return (uint64_t)st->api->slots[st->slot].generation << 32 | st->slot;
}

static struct stream *stream_at(struct api *api, uint64_t owner)
{
	uint32_t slot = (uint32_t)owner;

	if (slot == 0 || slot > api->cfg.socket_max ||
	    api->slots[slot].generation != (uint32_t)(owner >> 32))
		return NULL;
	return api->slots[slot].stream;
}

/* Life --------------------------------------------------------------------- */

static void on_ready(void *arg, uint32_t events, struct pn_time now);

void api_stream_want(struct stream *st, uint32_t events)
{
	if (st->wanted == events)
		return;
	st->wanted = events;
	loop_watch_set(st->api->cfg.loop, st->watch, events);
}

/* Forgets everything but the socket count and the program's descriptor */
static void stream_forget(struct stream *st)
{
	struct api *api = st->api;

	API_LIST_DEL(api->streams, st);
	keytab_remove(&api->keys, &st->node);
	slot_drop(st);
	free(st);
}

void api_stream_free(struct stream *st)
{
	struct api *api = st->api;

	if (st->state != ST_HEADER)
		api_log(api, API_LOG_DEBUG,
			"stream %u %s port %u: %s, %llu bytes sent, %llu received",
			st->slot, st->incoming ? "from" : "to", st->port,
			st->broken ? st->broken
			: st->outcome || st->reset_err
				? errs_name(st->outcome ? st->outcome
							: st->reset_err)
				: "ended",
			(unsigned long long)st->sent,
			(unsigned long long)st->received);
	if (st->sid)
		stream_close(api->cfg.sessions, st->sid, api->now);
	if (st->local.fd >= 0)
		close(st->local.fd);
	api_close(api, &st->watch, &st->fd);
	api_socket_drop(api);
	stream_forget(st);
}

void api_stream_break(struct stream *st)
{
	st->broken = "broken off by the program";
	if (st->sid)
		stream_reset(st->api->cfg.sessions, st->sid, st->api->now);
	api_stream_free(st);
}

/* Takes @fd; it is closed on failure */
static struct stream *stream_new(struct api *api, int fd, const struct api_cred *cred,
				 uint32_t events)
{
	struct stream *st;

	if (!api_socket_take(api)) {
		close(fd);
		return NULL;
	}
	st = calloc(1, sizeof(*st));
	if (!st) {
		api_socket_drop(api);
		close(fd);
		return NULL;
	}
	st->api = api;
	st->fd = fd;
	st->cred = *cred;
	st->node.kind = KEY_STREAM;
	st->node.uid = cred->uid;
	st->local.fd = -1;
	st->wanted = events;
	API_LIST_ADD(api->streams, st);
	st->watch = loop_watch_add(api->cfg.loop, fd, events, on_ready, st);
	if (!st->watch || !slot_take(st)) {
		api_stream_free(st);
		return NULL;
	}
	return st;
}

/* Answering the program ---------------------------------------------------- */

static void stream_begin_open(struct stream *st)
{
	struct api *api = st->api;

	if (st->local.fd >= 0) {
		struct relay_end ends[2] = {
			{ .fd = st->fd, .uid = st->cred.uid },
			st->local,
		};

		memcpy(ends[0].key, st->node.key, sizeof(ends[0].key));
		loop_watch_del(api->cfg.loop, st->watch);
		stream_forget(st);
		relay_new(api, ends);
		return;
	}
	st->state = ST_OPEN;
	api_stream_pump(st, PUMP_IN | PUMP_OUT);
}

static void stream_drain(struct stream *st)
{
	struct api *api = st->api;

	if (!st->filler_known) {
		api_stream_want(st, LOOP_HUP);
		return;
	}
	while (st->filler_left && !st->outcome) {
		ssize_t n = recv(st->fd, api->scratch, pn_min(st->filler_left, API_SCRATCH),
				 MSG_DONTWAIT);

		if (n > 0) {
			st->filler_left -= (uint32_t)n;
		} else if (n < 0 && errno == EINTR) {
			continue;
		} else if (n < 0 && errno == EAGAIN) {
			api_stream_want(st, LOOP_IN);
			return;
		} else {
			api_stream_break(st);
			return;
		}
	}
	if (st->outcome)
		api_stream_free(st);
	else
		stream_begin_open(st);
}

/* The outcome of a connect is known: @err is an errno or 0.  May free @st */
static void stream_finish(struct stream *st, int err)
{
	struct api *api = st->api;
	uint32_t e = (uint32_t)err;
	uint8_t answer[4] = { (uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8),
			      (uint8_t)e };

	if (err)
		api->count[API_N_STREAMS_FAILED]++;
	if (st->flags & PN_WIRE_F_FILLER) {
		st->outcome = err;
		st->state = ST_DRAIN;
		if (err)
			errs_keep(&api->errs, st->node.key, st->cred.uid, err, api->now);
		stream_drain(st);
		return;
	}
	if (st->flags & PN_WIRE_F_ANSWER &&
	    send(st->fd, answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)sizeof(answer)) {
		api_stream_break(st);   /* it does not wait for it any more */
		return;
	}
	if (!err) {
		stream_begin_open(st);
		return;
	}
	if (!(st->flags & PN_WIRE_F_ANSWER))
		errs_keep(&api->errs, st->node.key, st->cred.uid, err, api->now);
	api_stream_free(st);
}

/* Connecting --------------------------------------------------------------- */

/* Return: false if the backlog is full and it @may_wait; else @st may be no more */
static bool connect_local(struct stream *st, bool may_wait)
{
	struct pn_wire_name name = { .kind = 'a', .family = 6, .peer_port = st->local_port,
				     .local_port = st->port };
	struct api *api = st->api;
	int fd;

	memcpy(name.peer, api->hit, 16);
	memcpy(name.local, api->hit, 16);
	fd = listener_connect(api, NULL, &name, &st->local.uid);
	if (fd == -EAGAIN && may_wait)
		return false;
	if (fd < 0) {
		stream_finish(st, fd == -EAGAIN ? ECONNREFUSED : -fd);
		return true;
	}
	st->local.fd = fd;
	memcpy(st->local.key, name.key, sizeof(st->local.key));
	stream_finish(st, 0);
	return true;
}

/* A filler count may have come before the header did */
static void take_note(struct stream *st)
{
	size_t i;

	for (i = 0; i < FILLER_NOTES; i++) {
		struct filler_note *note = &st->api->notes[i];

		if (!note->until.ns || memcmp(note->key, st->node.key, 16) != 0)
			continue;
		st->filler_known = true;
		st->filler_left = note->count;
		note->until = PN_TIME_ZERO;
	}
}

/* Return: false if @st is no more */
static bool header_accept(struct stream *st)
{
	const uint16_t both = PN_WIRE_F_ANSWER | PN_WIRE_F_FILLER;
	struct api *api = st->api;
	struct pn_wire_connect h;

	if (pn_wire_connect_parse(st->header, sizeof(st->header), &h) < 0 ||
	    (h.flags & both) == both || !pn_is_hit(h.hit) || !h.port) {
		api->count[API_N_BAD_HEADER]++;
		api_stream_free(st);
		return false;
	}
	memcpy(st->node.key, h.key, sizeof(st->node.key));
	if (!keytab_insert(&api->keys, &st->node)) {
		api->count[API_N_BAD_HEADER]++;
		api_stream_free(st);
		return false;
	}
	st->flags = h.flags;
	st->port = h.port;
	memcpy(st->hit, h.hit, sizeof(st->hit));
	st->local_port = h.local_port ? h.local_port :
			 (uint16_t)(49152 + api_random(api) % 16384);
	if (st->flags & PN_WIRE_F_FILLER)
		take_note(st);
	return true;
}

static void stream_start(struct stream *st)
{
	struct api *api = st->api;

	if (!header_accept(st))
		return;
	st->state = ST_CONNECTING;
	api_stream_want(st, LOOP_HUP);
	api->count[API_N_STREAMS_OUT]++;
	api_log(api, API_LOG_DEBUG, "stream %u to port %u: asked for by pid %d uid %u", st->slot,
		st->port, (int)st->cred.pid, (unsigned int)st->cred.uid);
	if (!port_allowed(&st->cred, st->local_port)) {
		api->count[API_N_DENIED]++;
		stream_finish(st, EACCES);
		return;
	}
	if (!memcmp(st->hit, api->hit, sizeof(st->hit))) {
		if ((backlog_busy(api, st->port) || !connect_local(st, true)) &&
		    !backlog_hold(api, 0, owner_of(st), st->port))
			stream_finish(st, ECONNREFUSED);
		return;
	}
	st->sid = stream_open(api->cfg.sessions, names_identity(api->names, st->hit), st->hit,
			      st->port, st->local_port, owner_of(st), api->now);
	if (!st->sid)
		stream_finish(st, ENOBUFS);
}

static void stream_read_header(struct stream *st)
{
	ssize_t n = recv(st->fd, st->header + st->header_len,
			 sizeof(st->header) - st->header_len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		api_stream_free(st);
		return;
	}
	st->header_len += (size_t)n;
	if (st->header_len == sizeof(st->header))
		stream_start(st);
}

void api_stream_adopt(struct api *api, int fd, const struct api_cred *cred)
{
	struct stream *st = stream_new(api, fd, cred, LOOP_IN);

	if (st)
		stream_read_header(st);
}

static void on_ready(void *arg, uint32_t events, struct pn_time now)
{
	struct stream *st = arg;

	st->api->now = now;
	switch (st->state) {
	case ST_HEADER:
		stream_read_header(st);
		break;
	case ST_CONNECTING:
		if (events & (LOOP_HUP | LOOP_ERR))
			api_stream_break(st);
		break;
	case ST_DRAIN:
		if (!st->filler_known && events & (LOOP_HUP | LOOP_ERR))
			api_stream_break(st);
		else
			stream_drain(st);
		break;
	case ST_OPEN:
		api_stream_pump(st, (events & LOOP_IN ? PUMP_IN : 0) |
			    (events & LOOP_OUT ? PUMP_OUT : 0) |
			    (events & (LOOP_HUP | LOOP_ERR) ? PUMP_IN | PUMP_OUT | PUMP_HUP : 0));
		break;
	case ST_COUNT:
		PN_ASSERT(false);
	}
}

/* Events of the session layer ---------------------------------------------- */

/* Return: descriptor, or the reason to refuse; PN_EAGAIN: it has to wait for the program */
static int incoming_connect(struct api *api, const struct stream_info *info,
			    struct pn_wire_name *name, uid_t *uid, bool may_wait)
{
	int fd;

	*name = (struct pn_wire_name){ .kind = 'a', .family = 6, .peer_port = info->peer_port,
				       .local_port = info->port };
	memcpy(name->peer, info->hit, 16);
	memcpy(name->local, api->hit, 16);
	if (api->socket_count >= api->cfg.socket_max) {
		api->count[API_N_REFUSED_FULL]++;
		return PN_EFULL;
	}
	fd = listener_connect(api, NULL, name, uid);
	if (fd >= 0)
		return fd;
	if (fd == -EAGAIN && may_wait)
		return PN_EAGAIN;
	api->count[fd == -EAGAIN ? API_N_REFUSED_BACKLOG : API_N_REFUSED_NOBODY]++;
	return PN_EREFUSED;
}

/* Return: false if the backlog is full and it @may_wait */
static bool incoming_try(struct api *api, stream_id sid, bool may_wait)
{
	struct session_set *set = api->cfg.sessions;
	struct api_cred cred = { .pid = 0 };
	struct stream_info info;
	struct pn_wire_name name;
	struct stream *st;
	int fd;

	if (!stream_info(set, sid, &info))
		return true;
	fd = incoming_connect(api, &info, &name, &cred.uid, may_wait);
	if (fd == PN_EAGAIN)
		return false;
	if (fd < 0) {
		stream_refuse(set, sid, fd, api->now);
		return true;
	}
	st = stream_new(api, fd, &cred, LOOP_IN);
	if (!st) {
		stream_refuse(set, sid, PN_EFULL, api->now);
		return true;
	}
	api->count[API_N_STREAMS_IN]++;
	st->incoming = true;
	st->sid = sid;
	st->port = info.port;
	st->local_port = info.peer_port;
	memcpy(st->hit, info.hit, sizeof(st->hit));
	memcpy(st->node.key, name.key, sizeof(st->node.key));
	if (!keytab_insert(&api->keys, &st->node))
		memset(st->node.key, 0, sizeof(st->node.key));
	st->state = ST_OPEN;
	stream_accept(set, sid, owner_of(st), api->now);
	api_stream_pump(st, PUMP_OUT);
	return true;
}

static void on_incoming(struct api *api, stream_id sid)
{
	struct stream_info info;

	if (!stream_info(api->cfg.sessions, sid, &info))
		return;
	names_learn(api->names, info.id);
	if ((backlog_busy(api, info.port) || !incoming_try(api, sid, true)) &&
	    !backlog_hold(api, sid, 0, info.port)) {
		api->count[API_N_REFUSED_BACKLOG]++;
		stream_refuse(api->cfg.sessions, sid, PN_EREFUSED, api->now);
	}
}

bool api_stream_retry(struct api *api, const struct held *held, bool last)
{
	struct stream *st;

	if (held->sid)
		return incoming_try(api, held->sid, !last);
	st = stream_at(api, held->owner);
	if (!st || st->state != ST_CONNECTING)
		return true;
	return connect_local(st, !last);
}

/* The far side reads no more: neither may the program write.  After the far side's end,
 * when both come from a close(), it learns that as with TCP, by writing: the first bytes
 * are lost, what comes after finds the stream broken.  (Until then its poll() says nothing
 * of a hang-up.) */
static void on_stopped(struct stream *st)
{
	struct api *api = st->api;

	st->broken = "stopped by the other side";
	st->stopped = true;
	stream_shutdown(api->cfg.sessions, st->sid, api->now);
	api_stream_pump(st, PUMP_IN | PUMP_OUT);
}

static void on_reset(struct stream *st, int code)
{
	int err = errs_errno(code);

	st->reset_err = err ? err : ECONNRESET;
	if (st->state == ST_OPEN) {
		api_stream_pump(st, PUMP_OUT);
	} else if (st->state == ST_CONNECTING) {
		stream_close(st->api->cfg.sessions, st->sid, st->api->now);
		st->sid = 0;
		stream_finish(st, st->reset_err);
	}
	/* In DRAIN it is seen as soon as it is open. */
}

void api_stream_on_event(struct api *api, const struct session_event *ev)
{
	struct stream *st;

	if (ev->kind == STREAM_EV_INCOMING) {
		on_incoming(api, ev->stream);
		return;
	}
	if (ev->kind == STREAM_EV_RESET && !ev->owner && backlog_drop(api, ev->stream)) {
		stream_refuse(api->cfg.sessions, ev->stream, PN_ERESET, api->now);
		return;
	}
	st = stream_at(api, ev->owner);
	if (!st || st->sid != ev->stream)
		return;
	switch (ev->kind) {
	case STREAM_EV_OPEN:
		if (st->state == ST_CONNECTING)
			stream_finish(st, 0);
		break;
	case STREAM_EV_FAILED:
		st->sid = 0;
		if (st->state == ST_CONNECTING)
			stream_finish(st, errs_errno(ev->err) ? errs_errno(ev->err) : EIO);
		break;
	case STREAM_EV_READABLE:
		if (st->state == ST_OPEN)
			api_stream_pump(st, PUMP_OUT);
		break;
	case STREAM_EV_WRITABLE:
		if (st->state == ST_OPEN)
			api_stream_pump(st, PUMP_IN);
		break;
	case STREAM_EV_RESET:
		on_reset(st, ev->err);
		break;
	case STREAM_EV_STOPPED:
		if (st->state == ST_OPEN)
			on_stopped(st);
		break;
	default:
		break;
	}
}

/* Messages on the connector ------------------------------------------------ */

static void note_filler(struct api *api, const uint8_t key[16], uint32_t count)
{
	struct filler_note *oldest = &api->notes[0];
	size_t i;

	for (i = 0; i < FILLER_NOTES; i++) {
		struct filler_note *note = &api->notes[i];

		if (note->until.ns < oldest->until.ns)
			oldest = note;
	}
	memcpy(oldest->key, key, 16);
	oldest->count = count;
	oldest->until = pn_time_add(api->now, API_PENDING_NS);
}

void api_stream_filler(struct api *api, const uint8_t key[16], struct key_node *n,
		   const struct api_cred *cred, uint32_t count)
{
	struct stream *st;

	if (!n) {
		note_filler(api, key, count);
		return;
	}
	st = pn_container_of(n, struct stream, node);
	if (n->kind != KEY_STREAM || cred->uid != n->uid || st->filler_known ||
	    !(st->flags & PN_WIRE_F_FILLER)) {
		api->count[API_N_BAD_MESSAGE]++;
		return;
	}
	st->filler_known = true;
	st->filler_left = count;
	if (st->state == ST_DRAIN)
		stream_drain(st);
}

void api_stream_abort(struct api *api, struct key_node *n)
{
	struct stream *st = pn_container_of(n, struct stream, node);

	PN_ASSERT(st->api == api);
	api_stream_break(st);
}

/* Lists and the end -------------------------------------------------------- */

void api_stream_free_all(struct api *api)
{
	while (api->streams)
		api_stream_break(api->streams);
}

void api_stream_show_all(struct api *api, json_t *list)
{
	struct stream *st;

	for (st = api->streams; st && json_array_size(list) < API_LIST_MAX; st = st->next) {
		struct stream_info info;
		json_t *o;

		if (st->state == ST_HEADER)
			continue;
		o = json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "type", "stream",
			      "state", state_names[st->state],
			      "direction", st->incoming ? "in" : "out",
			      "port", st->incoming ? st->local_port : st->port,
			      "local_port", st->incoming ? st->port : st->local_port,
			      "uid", (int)st->node.uid, "pid", (int)st->cred.pid);
		if (!o)
			return;
		show_identity(api, o, names_identity(api->names, st->hit), st->hit);
		if (st->sid && stream_info(api->cfg.sessions, st->sid, &info)) {
			json_object_set_new(o, "tx_bytes", json_integer((json_int_t)info.tx_bytes));
			json_object_set_new(o, "rx_bytes", json_integer((json_int_t)info.rx_bytes));
			json_object_set_new(o, "rtt_ns", json_integer((json_int_t)info.rtt_ns));
		}
		json_array_append_new(list, o);
	}
}
