/* SPDX-License-Identifier: ISC */
/* Delay, loss and rate of a test link, made on the way out.
 *
 * Theory of operation
 *
 * The only place where the daemon makes a link worse than it is: with the
 * options delay=, loss= and rate= of a link; without them there is no struct
 * testlink.  A frame is first lost or not, by a generator whose seed is the
 * link's name, so that a run repeats; then it waits its turn at the rate, then
 * the delay.  No frame's time is before that of the one in front, so the order
 * stays, and a queue will do; the time is in the packet.  Not more than QUEUE_MAX
 * frames, and not more than half of the pool, wait at once; at a rate, not more
 * than QUEUE_NS worth: what comes on top is lost, as in a real queue, and counted
 * as what the link has dropped. */
#include <stdlib.h>
#include <string.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define QUEUE_MAX	8192
#define QUEUE_NS	PN_MS(100)

/**
 * struct testlink
 * @seed:	state of the generator
 * @turn:	when the line is free at the rate
 * @last:	time of the last frame queued
 * @late:	frames that wait, the time of each in its cookie
 * @late_max:	how many may
 */
struct testlink {
	uint64_t delay_ns;
	double loss;
	uint64_t rate_bps;
	uint64_t seed;
	struct pn_time turn;
	struct pn_time last;
	struct pn_pool *pool;
	struct pn_pktq late;
	uint32_t late_max;
};

bool testlink_wanted(const struct link_spec *spec)
{
	return spec->test_delay_ns || spec->test_loss > 0 || spec->test_rate_bps;
}

struct testlink *testlink_new(const struct link_spec *spec, struct pn_pool *pool)
{
	struct testlink *t = calloc(1, sizeof(*t));
	const char *p;

	if (!t)
		return NULL;
	pn_pktq_init(&t->late);
	t->late_max = pool->count / 2 < QUEUE_MAX ? pool->count / 2 : QUEUE_MAX;
	t->delay_ns = spec->test_delay_ns;
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
	if (!t)
		return;
	pn_pktq_drain(&t->late, t->pool);
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
	if (pn_time_before(*at, t->last))
		*at = t->last;
	return true;
}

/* Return: true if the frame is lost, or waits */
static bool test_take(struct testlink *t, struct link *link, struct pn_pkt *pkt,
		      struct pn_time now)
{
	struct pn_time at;

	if (t->loss > 0 && test_random(t) < t->loss)
		goto drop;
	if (!t->delay_ns && !t->rate_bps)
		return false;
	if (t->late.count >= t->late_max || !test_time(t, pkt->len, now, &at))
		goto drop;
	t->last = at;
	pkt->cookie = at.ns;
	pn_pktq_push(&t->late, pkt);
	return true;

drop:
	link->tx_dropped++;
	pn_pkt_put(t->pool, pkt);
	return true;
}

size_t testlink_take(struct testlink *t, struct link *link, struct pn_pkt **pkts, size_t n,
		     struct pn_time now)
{
	size_t i, left = 0;

	for (i = 0; i < n; i++) {
		if (!test_take(t, link, pkts[i], now))
			pkts[left++] = pkts[i];
	}
	return left;
}

struct pn_time testlink_deadline(const struct testlink *t)
{
	if (!t->late.head)
		return PN_TIME_NEVER;
	return (struct pn_time){ t->late.head->cookie };
}

size_t testlink_next(struct testlink *t, struct pn_pkt **pkts, size_t max, struct pn_time now)
{
	size_t n = 0;

	while (n < max && t->late.head && pn_time_due(testlink_deadline(t), now))
		pkts[n++] = pn_pktq_pop(&t->late);
	return n;
}
