/* SPDX-License-Identifier: ISC */
/* Delay, loss and rate of a test link, made on the way out.
 *
 * Theory of operation
 *
 * The only place where the daemon makes a link worse than it is: with the
 * options delay=, loss= and rate= of a link.  A frame is first lost or not, by a
 * generator whose seed is the link's name, so that a run repeats; then it waits
 * its turn at the rate, then the delay.  Each frame's time is later than that of
 * the one before, so the order stays.  Not more than QUEUE_MAX frames, and not
 * more than half of the pool, wait at once; at a rate, not more than QUEUE_NS
 * worth: what comes on top is lost, as in a real queue. */
#include <stdlib.h>
#include <string.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define QUEUE_MAX	8192
#define QUEUE_NS	PN_MS(100)

struct late {
	struct pn_heap_entry entry;
	struct pn_pkt *pkt;
	struct late *next_free;
};

/**
 * struct testlink
 * @seed:	state of the generator
 * @turn:	when the line is free at the rate
 * @last:	time of the last frame queued
 */
struct testlink {
	uint64_t delay_ns;
	double loss;
	uint64_t rate_bps;
	uint64_t seed;
	struct pn_time turn;
	struct pn_time last;
	struct pn_pool *pool;
	struct pn_heap heap;
	struct pn_heap_entry **slots;
	struct late *late;
	struct late *free;
};

bool testlink_wanted(const struct link_spec *spec)
{
	return spec->test_delay_ms || spec->test_loss > 0 || spec->test_rate_bps;
}

struct testlink *testlink_new(const struct link_spec *spec, struct pn_pool *pool)
{
	struct testlink *t = calloc(1, sizeof(*t));
	uint32_t cap = pool->count / 2 < QUEUE_MAX ? pool->count / 2 : QUEUE_MAX, i;
	const char *p;

	if (!t)
		return NULL;
	t->slots = calloc(cap + 1, sizeof(struct pn_heap_entry *));
	t->late = calloc(cap + 1, sizeof(*t->late));
	if (!t->slots || !t->late) {
		free(t->slots);
		free(t->late);
		free(t);
		return NULL;
	}
	pn_heap_init(&t->heap, t->slots, cap);
	for (i = 0; i < cap; i++) {
		pn_heap_entry_init(&t->late[i].entry);
		t->late[i].next_free = t->free;
		t->free = &t->late[i];
	}
	t->delay_ns = PN_MS(spec->test_delay_ms);
	t->loss = spec->test_loss;
	t->rate_bps = spec->test_rate_bps;
	t->pool = pool;
	t->seed = 0x9e3779b97f4a7c15;
	for (p = spec->name; *p; p++)	/* FNV-1a over the name */
		t->seed = (t->seed ^ (uint8_t)*p) * 0x100000001b3;
	return t;
}

void testlink_free(struct testlink *t)
{
	struct pn_heap_entry *e;

	if (!t)
		return;
	while ((e = pn_heap_pop(&t->heap)))
		pn_pkt_put(t->pool, pn_container_of(e, struct late, entry)->pkt);
	free(t->slots);
	free(t->late);
	free(t);
}

/* splitmix64: a number in [0, 1) */
static double test_random(struct testlink *t)
{
	uint64_t z = t->seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (double)(z >> 11) / (double)(1ULL << 53);
}

/* When a frame of @len bytes leaves.  Return: false if the queue is too long */
static bool test_time(struct testlink *t, size_t len, struct pn_time now, struct pn_time *at)
{
	*at = now;
	if (t->rate_bps) {
		if (pn_time_before(t->turn, now))
			t->turn = now;
		if (pn_time_until(now, t->turn) > QUEUE_NS)
			return false;
		t->turn = pn_time_add(t->turn, len * PN_S(8) / t->rate_bps);
		*at = t->turn;
	}
	*at = pn_time_add(*at, t->delay_ns);
	if (!pn_time_before(t->last, *at))
		*at = pn_time_add(t->last, 1);
	return true;
}

bool testlink_take(struct testlink *t, struct link *link, struct pn_pkt *pkt, struct pn_time now)
{
	struct late *l = t->free;
	struct pn_time at;

	if (t->loss > 0 && test_random(t) < t->loss)
		goto drop;
	if (!t->delay_ns && !t->rate_bps)
		return false;
	if (!l || !test_time(t, pkt->len, now, &at))
		goto drop;
	t->free = l->next_free;
	t->last = at;
	l->pkt = pkt;
	l->entry.at = at;
	if (!pn_heap_push(&t->heap, &l->entry))
		PN_ASSERT(false);	/* as many slots as records */
	return true;

drop:
	link->tx_dropped++;
	pn_pkt_put(t->pool, pkt);
	return true;
}

struct pn_pkt *testlink_next(struct testlink *t, struct pn_time now)
{
	struct late *l;

	if (!pn_time_due(pn_heap_next_deadline(&t->heap), now))
		return NULL;
	l = pn_container_of(pn_heap_pop(&t->heap), struct late, entry);
	l->next_free = t->free;
	t->free = l;
	return l->pkt;
}

struct pn_time testlink_deadline(const struct testlink *t)
{
	return pn_heap_next_deadline(&t->heap);
}
