/* SPDX-License-Identifier: ISC */
/* Signs of life, round-trip time, loss and cost of an adjacency; its timers.
 *
 * Theory of operation
 *
 * Hellos are records in control frames:
 *
 *   flags 1 (bit 0: please answer; bit 1: times follow; bits 2, 3: see on_want()) |
 *   sequence number 2 | the next one comes within 1 (tenths of a second) | of your
 *   last hellos heard, so many 4 bits each | time 4 | the time of your last hello 4 | since then 4
 *
 * Times are microseconds modulo 2^32 of the sender's clock.  Time, echo and
 * delay give a round-trip sample that does not depend on when the neighbour
 * answers (RFC 9616).
 *
 * At rest one goes every HELLO_REST_NS (more rarely at a node with many neighbours,
 * more often where hellos were lost); every HELLO_NS while data flows, for
 * CHANGE_NS after this or another adjacency of ours came or was lost, and when a
 * round trip took much longer or shorter than usual.  Times are told always
 * then, and by each TIMED_EVERY-th hello at rest.  A hello rides on any control
 * frame that goes out when half of its interval is over.
 *
 * Every authentic frame is a sign of life.  A neighbour is asked, by hellos that
 * want an answer, every PROBE_NS, when nothing came from it
 *   for as long as it promised, and QUIET_SPARE_NS: at rest, or
 *   for QUIET_BUSY_NS since we sent something that must come to an answer: a
 *   packet of users' data, or a message (lookups do not count: at rest they
 *   would cost a hello each), or
 *   since the host could not send to it: then it is suspect at once.
 * Whoever gets users' data and has nothing to send back says hello after OWE_NS,
 * so that data that flows one way need not ask.  The neighbour is dead when
 * PROBES_MIN questions in a row were not answered; more are granted where hellos
 * are known to get lost.  So a silent crash is noticed within a second where
 * data flows, and within 1.3 intervals and a second elsewhere.  The neighbour is told, once, and
 * then gives up as well: a link that leads only one way is no use to it.  If our own timer
 * rang late (the process was stopped, the machine slept) the time of that is
 * not counted.
 *
 * Cost: configured, or NET_COST_UNIT for Ethernet and for a tunnel of up to
 * 1 ms, growing to 8 units at 100 ms, as the mean over MEAN_SAMPLES; and more where the
 * rate is known to be low; times the expected transmissions (ETX), from the loss of hellos
 * both ways.  It changes only if for COST_HOLD_NS it would be more than 12 % different, and
 * by more than what round trips differ by anyway; and then rises by no more than COST_RISE,
 * unless it doubles: what is measured by a few hellos goes up and down, and routes that get
 * worse by more than one link at once are unfeasible farther on (route.c).
 *
 * All timers of an adjacency are one entry of the heap, armed by live_rearm()
 * for the earliest of them; adj_expire() looks what is due:
 *   every state     halves of frames (SPLIT_NS), session NEXT not confirmed
 *   DIAL            next try              PENDING  give up
 *   UP              hello, silence, delayed ACK, retransmission, new keys, old
 *                   keys wiped            ENDED    collected
 * Packets do not touch the heap: they note the time, and the timer, when it
 * rings, finds that it need not have.
 */
#include "pnstackd/net/adj_int.h"

#define HELLO_ASK      1u
#define HELLO_TIMED    2u
#define HELLO_WANT     4u          /* I want you for a neighbour in the tree */
#define HELLO_TREE     8u          /* you are one already */
#define HELLO_UNIT_NS  PN_MS(100)  /* of an interval on the wire */
#define TIMED_EVERY    2           /* hellos at rest */
#define MEASURE_NS     PN_MS(2)    /* a round trip so far off the mean is looked into */
#define MEAN_SAMPLES   32          /* of round trips, that the cost goes by */
#define MEAN_SIDE      6           /* in a row above what was known, or below: it has changed */
#define MEASURE_COUNT  8           /* by so many hellos that ask */
#define HEARD_MAX      15          /* hellos in the map */
#define LATE_NS        PN_MS(200)  /* our own timer rang so late: we were away */
#define HEARD_MIN      8           /* hellos before loss is believed */
#define RATE_FULL_BPS  UINT64_C(1000000000)
#define RATE_COST_MAX  (4 * NET_COST_UNIT)
#define COST_RISE (NET_COST_UNIT / 2)
#define COST_MAX       (64 * NET_COST_UNIT)
#define TUNNEL_MIN_NS  PN_MS(1)
#define TUNNEL_MAX_NS  PN_MS(100)

static uint32_t clock_us(struct pn_time t)
{
	return (uint32_t)(t.ns / 1000);
}

/* Cost --------------------------------------------------------------------------- */

static unsigned heard(const struct adj *a)
{
	unsigned n = 0;

	for (unsigned b = 0; b < a->heard_of; b++)
		n += a->heard_map >> b & 1;
	return n;
}

/* Lost hellos of the last 16, both ways; one lost each way is forgiven */
static unsigned lost_sum(const struct adj *a)
{
	unsigned rx = a->heard_of >= HEARD_MIN ? a->heard_of - heard(a) : 0;
	unsigned tx = a->peer_of >= HEARD_MIN ? a->peer_of - a->peer_heard : 0;

	return (rx > 1 ? rx : 0) + (tx > 1 ? tx : 0);
}

/* What a slow link costs more: half a unit for each factor of ten below RATE_FULL_BPS, so
 * that a slow cable still beats a detour of two hops down to a tenth of the rate. */
static unsigned rate_cost(uint64_t bps)
{
	unsigned more = 0;

	for (uint64_t full = RATE_FULL_BPS; bps && bps < full && more < RATE_COST_MAX; full /= 10)
		more += NET_COST_UNIT / 2;
	return more;
}

/* Of a tunnel, for the time of a round trip above TUNNEL_MIN_NS */
static unsigned rtt_cost(uint64_t ns)
{
	return (unsigned)(7 * NET_COST_UNIT * ns / (TUNNEL_MAX_NS - TUNNEL_MIN_NS));
}

static uint16_t cost_now(const struct net *net, uint32_t i)
{
	const struct adj *a = adj_of(net, i);
	const struct link *l = link_of(net, pub_of(net, i)->link);
	uint64_t cost = NET_COST_UNIT, rtt = a->mean_ns;
	unsigned got;

	if (l->cfg.cost)
		return l->cfg.cost;
	cost += rate_cost(l->cfg.rate_bps);
	if (pub_of(net, i)->kind == ADJ_TUNNEL && rtt > TUNNEL_MIN_NS)
		cost += rtt_cost(pn_min(rtt, TUNNEL_MAX_NS) - TUNNEL_MIN_NS);
	got = a->heard_of >= HEARD_MIN ? heard(a) : 0;
	if (got && a->heard_of - got > 1)
		cost = cost * a->heard_of / got;
	if (a->peer_of >= HEARD_MIN && a->peer_heard && a->peer_of - a->peer_heard > 1)
		cost = cost * a->peer_of / a->peer_heard;
	return (uint16_t)pn_min(cost, COST_MAX);
}

static void cost_check(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct adj_pub *p = pub_of(net, i);
	uint16_t cost = cost_now(net, i);
	unsigned diff = cost > p->cost ? cost - p->cost : p->cost - cost;

	if (diff * 100 <= 12u * p->cost ||
	    (p->kind == ADJ_TUNNEL && diff <= rtt_cost(pn_min(a->rttvar_ns, TUNNEL_MAX_NS)))) {
		a->cost_since = PN_TIME_NEVER;
		return;
	}
	if (pn_time_is_never(a->cost_since))
		a->cost_since = now;
	if (pn_time_since(now, a->cost_since) < COST_HOLD_NS)
		return;
	a->cost_since = PN_TIME_NEVER;
	if (cost > p->cost && cost < 2 * p->cost)
		cost = (uint16_t)pn_min(cost, p->cost + COST_RISE);
	p->cost = cost;
	ctl_on_cost(net, i, now);
}

static uint64_t ns_apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* The last samples were all longer than what was known, or all shorter. */
static bool on_one_side(const struct adj *a)
{
	return a->side >= MEAN_SIDE || a->side <= -MEAN_SIDE;
}

void live_rtt(struct adj *a, uint64_t sample_ns)
{
	uint64_t diff = ns_apart(sample_ns, a->srtt_ns);
	int side = sample_ns > a->srtt_ns ? 1 : -1;

	if (sample_ns == 0)
		sample_ns = 1;
	if (!a->srtt_ns) {
		a->srtt_ns = a->mean_ns = sample_ns;
		a->mean_of = 1;
		a->rttvar_ns = sample_ns / 2;
		return;
	}
	if (a->side * side < 0)
		a->side = 0;
	if (!on_one_side(a))
		a->side = (int8_t)(a->side + side);
	a->rttvar_ns = (3 * a->rttvar_ns + diff) / 4;
	a->srtt_ns = (7 * a->srtt_ns + sample_ns) / 8;
	if (on_one_side(a)) {
		a->mean_ns = a->srtt_ns; /* it is another path by now */
		a->mean_of = MEAN_SIDE;
	}
	if (a->mean_of < MEAN_SAMPLES)
		a->mean_of++;
	a->mean_ns += ((int64_t)sample_ns - (int64_t)a->mean_ns) / a->mean_of;
}

/* Events --------------------------------------------------------------------------- */

void live_start(struct net *net, uint32_t i, uint64_t rtt_ns, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	a->up_at = a->rx_at = a->hello_at = now;
	/* the first hello wants an answer: only with its keys confirmed is it up there, too */
	a->expect_at = now;
	a->owe_at = PN_TIME_NEVER;
	a->busy_from = a->busy_until = now;
	a->busy_packets = a->measure = 0;
	a->fast_until = pn_time_add(now, CHANGE_NS);
	a->hello_ns = a->peer_hello_ns = HELLO_NS;
	a->probe_at = PN_TIME_NEVER;
	a->probes = 0;
	a->unsent = false;
	pub_of(net, i)->suspect = false;
	a->hello_seq = 0;
	a->echo_valid = false;
	a->heard_of = a->peer_of = a->peer_heard = 0;
	a->heard_map = 0;
	a->srtt_ns = a->rttvar_ns = 0;
	a->side = 0;
	if (rtt_ns < PN_S(2))
		live_rtt(a, rtt_ns);
	a->cost_since = PN_TIME_NEVER;
	pub_of(net, i)->cost = cost_now(net, i);
	a->ctl_progress = now;
	a->ack_at = a->rto_at = a->retry_at = a->cap_at = PN_TIME_NEVER;
	a->rto_ns = pn_max(ctlq_rto(a), RTO_START_NS);
	a->hello_now = true;	/* also confirms the keys to the responder */
	ctlq_mark(net, i);
	live_rearm(net, i, now);
}

void live_on_rx(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	a->rx_at = now;
	a->expect_at = PN_TIME_NEVER;
	a->probes = 0;
	a->unsent = false;
	pub_of(net, i)->suspect = false;
}

/* From when on the neighbour is asked. */
static struct pn_time quiet_from(const struct adj *a)
{
	struct pn_time t = pn_time_add(a->rx_at, a->peer_hello_ns + QUIET_SPARE_NS);

	if (pn_time_is_never(a->expect_at))
		return t;
	if (a->unsent)
		return pn_time_min(t, a->expect_at);
	return pn_time_min(t, pn_time_add(a->expect_at, QUIET_BUSY_NS + 2 * a->srtt_ns));
}

void live_expect(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	if (!pn_time_is_never(a->expect_at))
		return;
	a->expect_at = now;
	timer_earlier(net, &a->timer, quiet_from(a));
}

void live_on_unsent(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	pub_of(net, i)->suspect = true;
	if (a->unsent)
		return;
	a->unsent = true;
	if (!a->probes)
		a->expect_at = now;
	timer_earlier(net, &a->timer, quiet_from(a));
}

void live_owe(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	live_on_data(net, i, now);
	if (!pn_time_is_never(a->owe_at))
		return;
	a->owe_at = pn_time_add(now, OWE_NS);
	timer_earlier(net, &a->timer, a->owe_at);
}

void live_on_data(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	a->data_at = now;
	if (pn_time_since(now, a->busy_from) >= BUSY_NS) {
		a->busy_from = now;
		a->busy_packets = 0;
	}
	if (a->busy_packets < BUSY_PACKETS) {
		a->busy_packets++;
		return;
	}
	a->busy_until = pn_time_add(now, BUSY_NS);
	if (pn_time_until(now, a->hello_at) > HELLO_NS) {
		a->hello_at = pn_time_add(now, HELLO_NS);
		timer_earlier(net, &a->timer, a->hello_at);
	}
}

void live_change(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++) {
		struct adj *a = &t->a[i];

		if (a->state != ADJ_UP || t->pub[i].kind == ADJ_INTERNAL)
			continue;
		a->fast_until = pn_time_add(now, CHANGE_NS);
		if (pn_time_until(now, a->hello_at) <= HELLO_NS)
			continue;
		a->hello_at = pn_time_add(now, net_random_u64(net) % HELLO_NS);
		timer_earlier(net, &a->timer, a->hello_at);
	}
}

/* Hellos ----------------------------------------------------------------------------- */

static bool is_busy(const struct adj *a, struct pn_time now)
{
	return a->measure || pn_time_before(now, a->busy_until) ||
	       pn_time_before(now, a->fast_until);
}

/* A node with many neighbours says less to each; over a link that loses hellos more, so
 * that it is known how many. */
static uint64_t rest_ns(const struct net *net, const struct adj *a)
{
	uint32_t n = net->adjs->up_count;

	if (net->leaf)
		return HELLO_REST_MAX_NS;        /* metered, or on a battery */
	if (lost_sum(a))
		return HELLO_LOSSY_NS;
	return n <= HELLO_REST_ADJS ? HELLO_REST_NS :
	       pn_min(HELLO_REST_NS * n / HELLO_REST_ADJS, HELLO_REST_MAX_NS);
}

bool live_hello_timed(const struct net *net, uint32_t i, struct pn_time now)
{
	const struct adj *a = adj_of(net, i);

	return a->hello_ask || is_busy(a, now) || a->hello_seq % TIMED_EVERY == 0;
}

void live_hello_build(struct net *net, uint32_t i, struct pn_wr *w, bool timed,
		      struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint64_t since_us = pn_time_since(now, a->echo_at) / 1000;
	bool echo = a->echo_valid && since_us < UINT32_MAX;

	a->hello_ns = is_busy(a, now) ? HELLO_NS : rest_ns(net, a);
	pn_wr_u8(w, (a->hello_ask || a->measure ? HELLO_ASK : 0) | (timed ? HELLO_TIMED : 0) |
		    (a->want ? HELLO_WANT : 0) | (pub_of(net, i)->shortcut ? 0 : HELLO_TREE));
	pn_wr_u16(w, a->hello_seq++);
	pn_wr_u8(w, a->hello_ns / HELLO_UNIT_NS);
	pn_wr_u8(w, heard(a) << 4 | a->heard_of);
	if (timed) {
		pn_wr_u32(w, clock_us(now));
		pn_wr_u32(w, echo ? a->echo_ts : 0);
		pn_wr_u32(w, echo ? since_us : UINT32_MAX);	/* the maximum: no echo */
	}
	a->measure -= a->measure > 0;
	a->hello_sent = now;
	a->hello_at = pn_time_add(now, a->hello_ns - net_random_u64(net) % (a->hello_ns / 10));
}

/* A round trip that is far from what was known, and farther than they are anyway: measure
 * some more, soon. */
static void on_sample(struct net *net, uint32_t i, uint64_t sample_ns, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint64_t off = ns_apart(sample_ns, a->srtt_ns);
	bool varies = off < 3 * a->rttvar_ns && !on_one_side(a);

	live_rtt(a, sample_ns);
	if (pub_of(net, i)->kind != ADJ_TUNNEL || varies || off < MEASURE_NS ||
	    off < a->srtt_ns / 8)
		return;
	a->measure = MEASURE_COUNT;
	if (pn_time_until(now, a->hello_at) > HELLO_NS)
		a->hello_at = pn_time_add(now, HELLO_NS);
}

/* Keep book of the neighbour's sequence numbers. */
static void note_seq(struct adj *a, uint16_t seq)
{
	int16_t ahead = (int16_t)(seq - a->heard_seq);

	if (!a->heard_of || ahead > HEARD_MAX || ahead < -HEARD_MAX) {
		a->heard_map = 1;
		a->heard_of = 1;
		a->heard_seq = seq;
	} else if (ahead > 0) {
		a->heard_map = (uint16_t)(a->heard_map << ahead | 1);
		a->heard_of = (uint8_t)pn_min(HEARD_MAX, (size_t)(a->heard_of + ahead));
		a->heard_seq = seq;
	} else {
		a->heard_map |= (uint16_t)(1u << -ahead);
	}
}

/* Ethernet: does it want us in the tree?  If so we are, and tell it. */
static void on_want(struct net *net, uint32_t i, unsigned flags, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	a->peer_wants = flags & HELLO_WANT;
	if (!pub_of(net, i)->shortcut || !(flags & (HELLO_WANT | HELLO_TREE)))
		return;
	adj_to_tree(net, i, now);
	if (flags & HELLO_TREE)
		return;
	a->hello_now = true;
	ctlq_mark(net, i);
}

bool live_on_hello(struct net *net, uint32_t i, struct pn_rd *r, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	unsigned flags = pn_rd_u8(r);
	uint16_t seq = pn_rd_u16(r);
	uint64_t every_ns = pn_rd_u8(r) * HELLO_UNIT_NS;
	unsigned told = pn_rd_u8(r), got = told >> 4, of = told & 15;
	bool timed = flags & HELLO_TIMED;
	uint32_t ts = timed ? pn_rd_u32(r) : 0, echo = timed ? pn_rd_u32(r) : 0;
	uint32_t delay = timed ? pn_rd_u32(r) : UINT32_MAX;

	/* what a later version appends is skipped */
	if (r->bad || got > of)
		return false;
	note_seq(a, seq);
	on_want(net, i, flags, now);
	if (timed) {
		a->echo_ts = ts;
		a->echo_at = now;
		a->echo_valid = true;
	}
	a->peer_hello_ns = every_ns < HELLO_NS ? HELLO_NS : every_ns;
	a->peer_heard = (uint8_t)got;
	a->peer_of = (uint8_t)of;
	if (delay != UINT32_MAX) {
		uint32_t rtt_us = clock_us(now) - echo - delay;

		if (rtt_us < 10 * 1000 * 1000)		/* else a clock is mad */
			on_sample(net, i, (uint64_t)rtt_us * 1000, now);
	}
	/* its answer, unless a hello of ours is hardly older than the question */
	if ((flags & HELLO_ASK) && pn_time_since(now, a->hello_sent) > PROBE_NS / 2) {
		a->hello_now = true;
		ctlq_mark(net, i);
	}
	cost_check(net, i, now);
	return true;
}

/* Timers ------------------------------------------------------------------------------ */

static uint64_t probe_ns(const struct adj *a)
{
	return pn_max(PROBE_NS, a->srtt_ns + 4 * a->rttvar_ns);
}

static struct pn_time rekey_at(const struct adj *a)
{
	const struct session *s = &a->sess[CUR];

	if (!pn_time_is_never(a->hs_next))
		return a->hs_next;
	if (s->tx_counter >= REKEY_COUNT)
		return PN_TIME_ZERO;
	return pn_time_add(s->born, REKEY_NS + (s->initiator ? 0 : PN_S(15)));
}

static struct pn_time up_deadline(const struct adj *a)
{
	struct pn_time t = a->hello_at, probe = quiet_from(a);

	if (a->probes && !pn_time_is_never(a->probe_at))
		probe = pn_time_add(a->probe_at, probe_ns(a));
	t = pn_time_min(t, probe);
	t = pn_time_min(t, a->owe_at);
	t = pn_time_min(t, a->ack_at);
	t = pn_time_min(t, a->rto_at);
	t = pn_time_min(t, a->retry_at);
	t = pn_time_min(t, a->cap_at);
	t = pn_time_min(t, rekey_at(a));
	if (a->sess[PREV].local)
		t = pn_time_min(t, a->prev_until);
	return t;
}

void live_rearm(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct pn_time t = PN_TIME_NEVER;

	(void)now;
	switch (a->state) {
	case ADJ_FREE:
		break;
	case ADJ_ENDED:
		return;			/* armed by adj_end() */
	case ADJ_DIAL:
		t = a->hs_next;
		break;
	case ADJ_PENDING:
		t = a->collect_at;
		break;
	case ADJ_UP:
		if (pub_of(net, i)->kind == ADJ_INTERNAL)
			return;
		t = up_deadline(a);
		break;
	}
	t = pn_time_min(t, split_deadline(a));
	if (a->sess[NEXT].local)
		t = pn_time_min(t, a->next_until);
	timer_set(net, &a->timer, t);
}

/* We heard nothing, or no acknowledgement, for too long.  It may hear us all the same, and if it
 * does it would go on handing us what we cannot open any more: it is told. */
static void give_up(struct net *net, uint32_t i, struct pn_time now)
{
	ctlq_goodbye(net, i, NET_ERR_TIMEOUT);
	adj_go_down(net, i, NET_ERR_TIMEOUT, now);
}

/* Silence.  Return: false if the adjacency went down */
static bool check_quiet(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	uint64_t asking = pn_time_since(now, quiet_from(a));
	bool probe_due = !a->probes || pn_time_since(now, a->probe_at) >= probe_ns(a);

	if (asking >= DEAD_NS || (probe_due && a->probes >= PROBES_MIN + lost_sum(a))) {
		give_up(net, i, now);
		return false;
	}
	if (!pn_time_before(now, quiet_from(a)) && probe_due) {
		if (a->probes < UINT8_MAX)
			a->probes++;
		a->probe_at = now;
		a->hello_now = a->hello_ask = true;
		pub_of(net, i)->suspect =
			a->unsent || a->probes > PROBES_SUSPECT + lost_sum(a) / 2;
	}
	return true;
}

static void check_keys(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	if (a->sess[PREV].local && !pn_time_before(now, a->prev_until))
		session_wipe(&a->sess[PREV]);
	if (pn_time_before(now, rekey_at(a)))
		return;
	if (pn_time_is_never(a->hs_next))
		a->hs_tries = 0;
	hs_initiate(net, i, now);
}

static void expire_up(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	const struct session *cur = &a->sess[CUR];

	if (pn_time_since(now, cur->born) >= KEYS_MAX_NS || cur->tx_counter >= KEYS_MAX_COUNT) {
		adj_go_down(net, i, NET_ERR_TIMEOUT, now);      /* nothing is said under these */
		return;
	}
	if (!check_quiet(net, i, now))
		return;
	if (a->ctl_q.count && a->ctl_tries > 4 &&
	    pn_time_since(now, a->ctl_progress) >= CTL_GIVE_UP_NS) {
		give_up(net, i, now);
		return;
	}
	check_keys(net, i, now);
	if (pn_time_due(a->hello_at, now) || pn_time_due(a->owe_at, now))
		a->hello_now = true;
	if (pn_time_due(a->ack_at, now))
		a->ack_now = true;
	if (pn_time_due(a->rto_at, now))
		ctlq_on_rto(net, i);
	if (pn_time_due(a->retry_at, now)) {
		a->retry_at = PN_TIME_NEVER;
		if (a->ctl_blocked) {
			a->ctl_blocked = false;
			ctl_on_writable(net, i, now);
		}
	}
	if (a->state != ADJ_UP)
		return;
	cost_check(net, i, now);
	ctlq_flush_one(net, i, now);
	/* without a buffer no hello went out: do not ring again at once */
	if (pn_time_due(a->hello_at, now))
		a->hello_at = pn_time_add(now, PN_MS(50));
	if (pn_time_due(a->owe_at, now))
		a->owe_at = pn_time_add(now, PN_MS(50));
	if (pn_time_due(a->ack_at, now))
		a->ack_at = pn_time_add(now, ACK_DELAY_NS);
	live_rearm(net, i, now);
}

void adj_expire(struct net *net, uint32_t index, struct pn_time now)
{
	struct adj *a = adj_of(net, index);
	uint64_t late = pn_time_since(now, a->timer.e.at);

	if (a->state == ADJ_ENDED) {
		adj_collect(net, index);
		return;
	}
	if (pub_of(net, index)->kind == ADJ_INTERNAL) {
		if (a->ctl_blocked && pub_of(net, index)->up) {
			a->ctl_blocked = false;
			ctl_on_writable(net, index, now);
		}
		return;
	}
	split_drop(net, a, false, now);
	if (a->sess[NEXT].local && !pn_time_before(now, a->next_until))
		session_wipe(&a->sess[NEXT]);
	switch (a->state) {
	case ADJ_UP:
		if (late > LATE_NS) {
			a->rx_at = pn_time_min(now, pn_time_add(a->rx_at, late));
			if (!pn_time_is_never(a->expect_at))
				a->expect_at = pn_time_min(now, pn_time_add(a->expect_at, late));
			a->ctl_progress = pn_time_min(now, pn_time_add(a->ctl_progress, late));
			a->probes = 0;
			a->unsent = false;
			pub_of(net, index)->suspect = false;
		}
		expire_up(net, index, now);
		break;
	case ADJ_DIAL:
		if (pn_time_due(a->hs_next, now))
			link_dial(net, index, now);
		else
			live_rearm(net, index, now);
		break;
	case ADJ_PENDING:
		if (pn_time_due(a->collect_at, now))
			adj_end(net, index, now);
		else
			live_rearm(net, index, now);
		break;
	case ADJ_FREE:
	case ADJ_ENDED:
		break;
	}
}
