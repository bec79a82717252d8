/* SPDX-License-Identifier: ISC */
/* What comes out of session_next_event().
 *
 * Theory of operation: events of streams are bits in the stream, so that they
 * can be neither lost nor too many; streams with bits stand in a list.  Events
 * of sessions, which carry data, wait in a bounded queue; datagrams that the
 * owner does not take in time are dropped and counted. */
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>

bool event_put(struct session_set *set, enum session_event_kind kind, const struct conn *c,
	       int err, uint16_t src_port, uint16_t dst_port, const uint8_t *data, size_t len)
{
	struct sess_event *e;

	if (set->ev_count >= DGRAM_IN_COUNT || set->ev_bytes + len > DGRAM_IN_BYTES)
		return false;
	e = malloc(sizeof(*e) + len);
	if (!e) {
		count(set, CNT_NO_MEMORY);
		return false;
	}
	memset(e, 0, sizeof(*e));
	e->ev.kind = kind;
	e->ev.err = err;
	memcpy(e->ev.id, c->id, PN_ID_LEN);
	memcpy(e->ev.hit, c->hit, PN_HIT_LEN);
	e->ev.src_port = src_port;
	e->ev.dst_port = dst_port;
	if (len)
		memcpy(e->data, data, len);
	e->ev.data = e->data;
	e->ev.len = len;
	if (set->ev_tail)
		set->ev_tail->next = e;
	else
		set->ev_head = e;
	set->ev_tail = e;
	set->ev_count++;
	set->ev_bytes += (uint32_t)len;
	return true;
}

void events_fini(struct session_set *set)
{
	struct sess_event *e, *next;

	for (e = set->ev_head; e; e = next) {
		next = e->next;
		free(e);
	}
	free(set->ev_current);
	set->ev_head = set->ev_tail = set->ev_current = NULL;
}

static bool stream_event_take(struct session_set *set, struct session_event *ev)
{
	static const struct { uint8_t bit; enum session_event_kind kind; } kinds[] = {
		{ EV_INCOMING, STREAM_EV_INCOMING }, { EV_OPEN, STREAM_EV_OPEN },
		{ EV_READABLE, STREAM_EV_READABLE }, { EV_WRITABLE, STREAM_EV_WRITABLE },
		{ EV_STOPPED, STREAM_EV_STOPPED }, { EV_RESET, STREAM_EV_RESET },
		{ EV_FAILED, STREAM_EV_FAILED },
	};
	struct stream *s;
	size_t i = 0;

	if (!link_in(&set->stream_events))
		return false;
	s = pn_container_of(set->stream_events.next, struct stream, in_events);
	PN_ASSERT(s->events);
	while (!(s->events & kinds[i].bit))
		i++;
	memset(ev, 0, sizeof(*ev));
	ev->kind = kinds[i].kind;
	ev->stream = stream_handle(s);
	ev->owner = s->owner;
	ev->err = s->err;
	memcpy(ev->id, s->id, PN_ID_LEN);
	memcpy(ev->hit, s->hit, PN_HIT_LEN);
	ev->src_port = s->peer_port;
	ev->dst_port = s->port;
	s->events &= (uint8_t)~kinds[i].bit;
	if (!s->events)
		link_del(&s->in_events);
	if (ev->kind == STREAM_EV_FAILED) {	/* the handle ends here */
		s->orphan = true;
		stream_orphan_check(s);
	}
	return true;
}

bool session_next_event(struct session_set *set, struct session_event *ev)
{
	struct sess_event *e = set->ev_head;

	free(set->ev_current);
	set->ev_current = NULL;
	if (!e)
		return stream_event_take(set, ev);
	set->ev_head = e->next;
	if (!set->ev_head)
		set->ev_tail = NULL;
	set->ev_count--;
	set->ev_bytes -= (uint32_t)e->ev.len;
	*ev = e->ev;
	set->ev_current = e;	/* its data is borrowed until the next call */
	return true;
}
