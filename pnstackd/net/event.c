/* SPDX-License-Identifier: ISC */
/* event.c - news for the host: a ring that forgets the oldest when it is full
 *
 * A struct net_event has room for all addresses of a large hub, which hardly any
 * event carries.  So only one is kept whole, the one that was pushed last and is
 * still being filled in by its module; it is packed into the ring, without the
 * addresses that it does not have, when the next one comes or the host asks. */
#include "pnstackd/net/net_int.h"

#include <string.h>

#define HEAD_WORDS (offsetof(struct net_event, addrs) / sizeof(uint64_t))
static_assert(offsetof(struct net_event, addrs) % sizeof(uint64_t) == 0, "whole words");

void net_events_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	struct net_events *q = &net->events;
	uint32_t max = net_limit(cfg->event_max, NET_EVENT_MAX);

	/* the largest event must fit, whatever the limit */
	q->cap = (uint32_t)HEAD_WORDS * max;
	q->cap = (uint32_t)pn_max(q->cap, HEAD_WORDS + NET_ADDRS_MAX);
	q->ring = arena_take(a, q->cap, sizeof(*q->ring));
	q->next = arena_take(a, 1, sizeof(*q->next));
}

static void words_in(struct net_events *q, const void *from, uint32_t words)
{
	const uint8_t *p = from;

	for (uint32_t i = 0; i < words; i++)
		memcpy(&q->ring[(q->head + q->used++) % q->cap], p + 8 * (size_t)i, 8);
}

static void words_out(struct net_events *q, void *to, uint32_t words)
{
	uint8_t *p = to;

	PN_ASSERT(words <= q->used);
	for (uint32_t i = 0; i < words; i++) {
		memcpy(p + 8 * (size_t)i, &q->ring[q->head], 8);
		q->head = (q->head + 1) % q->cap;
	}
	q->used -= words;
}

static void take(struct net_events *q, struct net_event *ev)
{
	memset(ev, 0, sizeof(*ev));
	words_out(q, ev, HEAD_WORDS);
	PN_ASSERT(ev->addr_count <= NET_ADDRS_MAX);
	words_out(q, ev->addrs, ev->addr_count);
}

/* The one that was being filled in is complete now. */
static void commit(struct net *net)
{
	struct net_events *q = &net->events;
	struct net_event old;
	uint32_t words;

	if (!q->filling)
		return;
	q->filling = false;
	PN_ASSERT(q->next->addr_count <= NET_ADDRS_MAX);
	words = (uint32_t)HEAD_WORDS + q->next->addr_count;
	while (q->cap - q->used < words) {
		take(q, &old);
		count(net, events_dropped);
	}
	words_in(q, q->next, (uint32_t)HEAD_WORDS);
	words_in(q, q->next->addrs, q->next->addr_count);
}

struct net_event *net_event_push(struct net *net, enum net_event_kind kind)
{
	struct net_event *ev = net->events.next;

	commit(net);
	memset(ev, 0, sizeof(*ev));
	ev->kind = kind;
	ev->link = -1;
	net->events.filling = true;
	return ev;
}

bool net_next_event(struct net *net, struct net_event *ev)
{
	commit(net);
	if (!net->events.used)
		return false;
	take(&net->events, ev);
	return true;
}
