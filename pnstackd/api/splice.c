/* SPDX-License-Identifier: ISC */
/* The bytes of a stream, between a program's socket and the session.
 *
 * Theory of operation
 *
 * Bytes are read straight into the session's send buffer and written straight out of
 * its receive buffer.  We wait for readiness only after EAGAIN, for WRITABLE only
 * after the send buffer was full, and watch for hang-up only when there is nothing to
 * read: a level-triggered hang-up that nobody can act on would spin.
 *
 * How a program ends and what the far side sees: shutdown(SHUT_WR) or close() is a FIN;
 * close() with bytes unread is a reset, as with TCP (AF_UNIX tells it by ECONNRESET);
 * closing while we still send is STOP_SENDING.  A reset from afar: the bytes before it
 * are delivered, the error is kept for PN_OP_ERROR, the socket closed.
 */
#include <errno.h>

#include "pnstackd/api/stream_int.h"

/* From the program to nowhere.  Return: false if the program broke it off */
static bool pump_away(struct stream *st)
{
	bool some = !st->out_done || st->sent != st->sent_at_fin;
	uint8_t *scratch = st->api->scratch;
	ssize_t n = recv(st->fd, scratch, 1, MSG_PEEK | MSG_DONTWAIT);

	some = some || n > 0;
	/* First, so that whoever waits in write() is not let through */
	if (some)
		shutdown(st->fd, SHUT_RD);
	/* What is unread when we close would read as a reset there. */
	while (n > 0)
		n = recv(st->fd, scratch, API_SCRATCH, MSG_DONTWAIT);
	st->in_done = st->in_done || some || n == 0;
	return st->in_done || errno == EAGAIN || errno == EINTR;
}

/* From the program into the session.  Return: false if the program broke it off */
static bool pump_in(struct stream *st)
{
	struct session_set *set = st->api->cfg.sessions;
	int round;

	st->in_full = false;
	if (st->stopped)
		return pump_away(st);
	for (round = 0; round < API_IO_ROUNDS && !st->in_done && !st->reset_err; round++) {
		size_t len = 0;
		uint8_t *space = stream_write_space(set, st->sid, &len);
		ssize_t n;

		if (!space || !len) {
			st->in_full = true;
			return true;
		}
		len = pn_min(len, API_IO_CHUNK);
		n = recv(st->fd, space, len, MSG_DONTWAIT);
		if (n > 0) {
			stream_write_commit(set, st->sid, (size_t)n, st->api->now);
			st->sent += (uint64_t)n;
			if ((size_t)n < len)
				return true;   /* that was all */
		} else if (n == 0) {
			st->in_done = true;
			stream_shutdown(set, st->sid, st->api->now);
		} else if (errno == EAGAIN) {
			return true;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* From the session to the program */
static void pump_out(struct stream *st)
{
	struct session_set *set = st->api->cfg.sessions;
	int round;

	st->out_full = false;
	for (round = 0; round < API_IO_ROUNDS && !st->out_done; round++) {
		size_t len = 0;
		bool fin = false;
		const uint8_t *data = stream_peek(set, st->sid, &len, &fin);
		ssize_t n;

		if (!len) {
			if (fin) {
				shutdown(st->fd, SHUT_WR);
				st->out_done = true;
				st->sent_at_fin = st->sent;
			}
			return;
		}
		len = pn_min(len, API_IO_CHUNK);
		n = send(st->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			stream_consume(set, st->sid, (size_t)n, st->api->now);
			st->received += (uint64_t)n;
			if ((size_t)n < len) {
				st->out_full = true;
				return;
			}
		} else if (n < 0 && errno == EAGAIN) {
			st->out_full = true;
			return;
		} else if (n < 0 && errno != EINTR) {
			st->broken = "the program reads no more";
			stream_stop(set, st->sid, st->api->now);
			st->out_done = true;
		}
	}
	/* More may be there: come back with the next readiness to write. */
	st->out_full = !st->out_done;
}

static uint32_t stream_wants(const struct stream *st)
{
	uint32_t events = 0;

	if (!st->in_done && !st->in_full && !st->reset_err)
		events |= LOOP_IN;
	if (st->out_full)
		events |= LOOP_OUT;
	if (!events && st->in_done)
		events = LOOP_HUP;
	return events;
}

void api_stream_pump(struct stream *st, unsigned int what)
{
	bool fin_told = st->out_done;
	struct api *api = st->api;

	PN_ASSERT(st->state == ST_OPEN);
	if (what & PUMP_OUT || st->reset_err)
		pump_out(st);
	if (st->reset_err) {
		if (st->out_full && !st->out_done) {
			api_stream_want(st, LOOP_OUT);   /* first what came before it */
			return;
		}
		/* After the end a reset is no news, as with TCP */
		if (!fin_told)
			errs_keep(&api->errs, st->node.key, st->node.uid, st->reset_err, api->now);
		api_stream_free(st);
		return;
	}
	if (what & PUMP_IN && !pump_in(st)) {
		api_stream_break(st);
		return;
	}
	/* Nothing more comes, and nobody reads. */
	if (what & PUMP_HUP && st->in_done && !st->out_done) {
		st->broken = "closed by the program";
		stream_stop(api->cfg.sessions, st->sid, api->now);
		st->out_done = true;
	}
	if (st->in_done && st->out_done)
		api_stream_free(st);
	else
		api_stream_want(st, stream_wants(st));
}
