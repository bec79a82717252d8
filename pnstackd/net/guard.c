/* SPDX-License-Identifier: ISC */
/* guard.c - do our neighbours carry what we hand to them?
 *
 * Theory of operation
 *
 * A neighbour that takes part in the control plane but drops what it should forward
 * (broken, or on purpose) draws traffic and swallows it: neither hellos nor routes
 * show it.  So every node tests the forwarding of each neighbour v: an echo request
 * leaves over v for a node w that is a neighbour of v (nbhd.c knows), by u -> v -> w.
 * Whoever answers an echo request sends the answer back over the adjacency that the
 * request came by, unless the asker is its own neighbour: so the answer comes
 *   by w -> u, if w is our neighbour as well: such a w is preferred, since v cannot
 *      answer in its place: an answer that comes over v itself does not count;
 *   by w -> v -> u otherwise, and v is tested both ways.
 * Nobody else is on the way, and nobody else can be the reason for silence, but w.
 * Therefore w is drawn anew for each request.
 *
 *   RESTING   one request each REST_NS, the first some time within that; or DATA_NS after
 *     |       the last one, or after v came, while packets of users are handed to v
 *   STREAK    no answer within WAIT_NS, or twice what answers took lately: a request each
 *     |       STREAK_NS, until one is answered (back to RESTING)
 *   AVOIDED   AVOID of them were not: v is the last resort for what is to be carried on.  Its
 *     |       routes are shunned, as those are that lead in circles, and v is no shortcut.
 *     |       `need` of them were not, and LATE_NS went by for the last: if nobody's packets
 *     |       are handed to v any more it is asked seldom, until it answers or they are
 *   expelled  (adj_expel()), for PENALTY_NS at first, doubled each time up to
 *             PENALTY_MAX_NS, forgotten after FORGET_NS
 *
 * Why not expelled at once?  A way may lead over several that drop, and the next one is found
 * only when packets come to it: what counts is how soon each of them is avoided.  To avoid an
 * honest one for a moment costs next to nothing, and its next answer ends it.  To expel one
 * changes the tree, which disturbs everybody around for a second or two; that needs proof, and a
 * need: an area that v alone holds together has no other ways until it is built without v.
 * When v is avoided all others are tested, unless they just were: what went over v goes over
 * them now.
 *
 * Nothing is asked unless v's place and ours are known, and have been the same for
 * STABLE_NS; if one changes amid a streak, that waits, and the last DOUBT misses do not
 * count.  If nobody is known behind v any more, it ends.
 *
 * How sure is it?  Where each link loses p of the frames a request is answered with
 * (1-p)^4.  At p = 0.2 that is 0.41: AVOID unanswered ones in a row come to pass once in
 * 25 streaks, NEED_ANY once in 10^9.  A neighbour that was seen to answer nearly always is
 * condemned after NEED_SURE: its links do not lose that much.  The last neighbour is never
 * expelled, nor is anybody while all the others are in a streak as well: then it is rather
 * us.
 *
 * Cost: a test at rest is two frames of 150 bytes on each of two links, each REST_NS.
 *
 * What stays undetected.  Who drops only a part, forwards what looks like a test (a small
 * echo request between two neighbours of it), or answers in w's name where w is no
 * neighbour of ours, passes; so does who names accomplices as neighbours.  Against
 * these only the ends help: they see that nothing comes back, and take another flow.
 * And w itself may be silent on purpose to bring v into disrepute; it has to be all of
 * v's neighbours that we are told of, though.  A leaf carries nothing for others: it is
 * not tested.
 */
#include "pnstackd/net/guard.h"
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"

#define LOOK_NS PN_S(1)              /* between two looks, until all is at rest */
#define STABLE_NS PN_S(1)            /* no address changed for so long */
#define REST_NS PN_S(300)
#define DATA_NS PN_MS(3000)
#define WAIT_NS PN_MS(300)
#define DATA_MIN 2                   /* packets, the last one within */
#define DATA_RECENT_NS PN_S(2)
#define STREAK_NS PN_MS(100)
#define DOUBT 8                      /* misses just before an address changed do not count */
#define LATE_NS PN_S(1)
#define AVOID 6                      /* misses */
#define NEED_ANY 40
#define NEED_SURE 24
#define SURE 240                     /* of 256: how many of its tests were answered */
#define SHARE_START 128
#define SHARE_SHIFT 3                /* a test weighs 1/8 in that share */
#define SLOW_SHIFT 3                 /* so much of the time that answers take is forgotten each */
#define SLOW_MAX_MS 4000
#define IDLE_SHIFT_MAX 5             /* times LOOK_NS, doubled, where it is in vain to ask */
#define ANSWER_BURST 2500            /* to packets that one neighbour hands us, */
#define ANSWER_NS PN_US(200)         /* and one more each */
#define PENALTY_NS PN_S(60)
#define PENALTY_MAX_NS PN_S(3600)
#define FORGET_NS PN_S(7200)
#define CONVICTS 32                  /* identities remembered */
#define PICKS 4                      /* draws for a target that is our neighbour as well */
#define BY_OTHER 0x8000u             /* in a number: the answer must not come over v */

struct watch {
	bool used;
	uint8_t data;                /* packets of users that went there since the last test */
	bool asked;                  /* one request is under way, its time is not over */
	bool avoided;                /* last resort */
	uint8_t idle;                /* so often there was nobody to ask, or no need */
	uint16_t share;              /* of tests that were answered, in 256ths */
	uint8_t need;                /* STREAK: so many unanswered requests are too many */
	uint8_t missed;              /* STREAK: so many were sent; 0: not in a streak */
	uint16_t slow_ms;            /* that answers take: the slowest of late */
	uint16_t round;              /* counts tests; answers to older ones do not count */
	struct bucket answers;       /* that v's packets got */
	uint64_t addr;               /* v's, and since when */
	struct pn_time since;
	struct pn_time last;         /* test begun */
	struct pn_time rest;         /* one is due even without data */
	struct pn_time data_at;      /* last packet of users */
	struct pn_time next;         /* what is due; NEVER: nothing */
};

struct convict {
	uint64_t key;                /* of its identity; 0 free */
	uint8_t times;
	struct pn_time last;
};

struct guard {
	struct watch *watch;         /* by adjacency */
	uint32_t max, high;          /* all in use are below high */
	uint8_t secret[32];          /* of cookies */
	struct net_timer timer;
	struct convict convicts[CONVICTS];
};

void guard_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	struct guard *g = arena_take(a, 1, sizeof(*g));
	struct watch *watch = arena_take(a, cfg->adj_max, sizeof(*watch));

	PN_ASSERT(cfg->adj_max <= BY_OTHER);     /* room in a number */
	net->guard = g;
	if (!g)
		return;                  /* only being sized */
	g->watch = watch;
	g->max = cfg->adj_max;
}

void guard_init(struct net *net, struct pn_time now)
{
	(void)now;
	net_random(net, net->guard->secret, sizeof(net->guard->secret));
	timer_init(&net->guard->timer, TIMER_GUARD, 0);
}

/* Times are spread by a quarter, so that tests of many do not come together. */
static struct pn_time spread(struct net *net, struct pn_time now, uint64_t ns)
{
	return pn_time_add(now, ns - ns / 4 + net_random_u64(net) % (ns / 2 + 1));
}

static void watch_at(struct net *net, struct watch *w, struct pn_time at)
{
	w->next = at;
	if (!pn_time_is_never(at))
		timer_earlier(net, &net->guard->timer, at);
}

void guard_on_up(struct net *net, uint32_t adj, struct pn_time now)
{
	struct guard *g = net->guard;
	struct watch *w = &g->watch[adj];

	PN_ASSERT(adj < g->max);
	*w = (struct watch){ .used = true, .share = SHARE_START, .since = now, .last = now };
	w->round = (uint16_t)net_random_u64(net);
	if (g->high <= adj)
		g->high = adj + 1;
	/* Who carries nothing for us yet can harm nobody: first tests are spread out. */
	w->rest = pn_time_add(now, net_random_u64(net) % REST_NS);
	watch_at(net, w, w->rest);
}

void guard_on_down(struct net *net, uint32_t adj)
{
	PN_ASSERT(adj < net->guard->max);
	net->guard->watch[adj].used = false;
}

bool guard_avoids(const struct net *net, uint32_t adj)
{
	PN_ASSERT(adj < net->guard->max);
	return net->guard->watch[adj].used && net->guard->watch[adj].avoided;
}

bool guard_may_answer(struct net *net, struct pn_time now)
{
	struct watch *w = net->rx_adj < net->guard->high ? &net->guard->watch[net->rx_adj] : NULL;

	if (!w || !w->used || bucket_take(&w->answers, ANSWER_BURST, ANSWER_NS, now))
		return true;
	count(net, guard_bounded);
	return false;
}

/* Whom to ask ------------------------------------------------------------------ */

/* Our own neighbour whose address this is, not @not; UINT32_MAX: none */
static uint32_t neighbour_of_ours(const struct net *net, uint64_t addr, uint32_t not)
{
	uint64_t there;

	for (uint32_t i = 0; i < adj_count(net); i++) {
		const struct adj_pub *p = adj_peek(net, i);

		if (p && p->up && !p->suspect && p->kind != ADJ_INTERNAL && i != not &&
		    neighbour_addr(net, i, &there) && there == addr)
			return i;
	}
	return UINT32_MAX;
}

/* @src: of our facets, the one that the target is a neighbour of */
struct target { uint64_t addr, src; uint32_t tag; bool by_other; };

static bool target_pick(struct net *net, uint32_t adj, struct target *t)
{
	for (unsigned i = 0; i < PICKS; i++) {
		uint32_t own;

		if (!nbhd_pick(net, adj, net_random_u64(net), &t->addr))
			return false;
		own = neighbour_of_ours(net, t->addr, adj);
		t->by_other = own != UINT32_MAX;
		t->tag = t->by_other ? net_hit_tag(adj_peek(net, own)->hit) : 0;
		t->src = facet_addr(net, adj_peek(net, t->by_other ? own : adj)->facet);
		if (t->by_other)
			break;
	}
	return true;
}

/* Is the place of v, and ours, known and at rest? */
static bool watch_stable(struct net *net, struct watch *w, uint32_t adj, struct pn_time now)
{
	const struct adj_pub *p = adj_peek(net, adj);
	uint64_t addr;

	if (!p || !p->up || !neighbour_addr(net, adj, &addr)) {
		w->since = now;
		return false;
	}
	addr ^= mix64(facet_addr(net, p->facet) ^ facet_root(net, p->facet));
	if (addr != w->addr) {
		w->addr = addr;
		w->since = now;
	}
	return pn_time_since(now, w->since) >= STABLE_NS;
}

/* Requests ----------------------------------------------------------------------- */

static uint64_t cookie_of(const struct guard *g, uint64_t number)
{
	uint8_t in[8], out[16];
	struct pn_rd r;
	struct pn_wr w;

	pn_wr_init(&w, in, sizeof(in));
	pn_wr_u64(&w, number);
	crypto_digest_keyed(out, sizeof(out), g->secret, sizeof(g->secret), in, sizeof(in));
	pn_rd_init(&r, out, sizeof(out));
	return pn_rd_u64(&r);
}

/* Twice as long as its answers take, and @ns at least */
static uint64_t watch_wait(const struct watch *w, uint64_t ns)
{
	return pn_max(ns, 2 * PN_MS(w->slow_ms));
}

/* A number is: milliseconds 16 | random 16 | round 16 | BY_OTHER and adjacency 16 */
static uint16_t number_ms(struct pn_time now)
{
	return (uint16_t)(now.ns / PN_MS(1));
}

static void watch_slow(struct watch *w, uint64_t number, struct pn_time now)
{
	uint16_t ms = (uint16_t)(number_ms(now) - (number >> 48));

	w->slow_ms = (uint16_t)(w->slow_ms - (w->slow_ms >> SLOW_SHIFT));
	w->slow_ms = (uint16_t)pn_min(pn_max(w->slow_ms, ms), SLOW_MAX_MS);
}

static void request_send(struct net *net, const struct watch *w, uint32_t adj,
			 const struct target *t, struct pn_time now)
{
	uint64_t random = net_random_u64(net);
	struct echo_msg msg = { .kind = ECHO_REQUEST, .hops = NET_HOPS_DEFAULT };
	struct net_hdr hdr = { .proto = NET_PROTO_ECHO, .level = NET_LEVEL_ANY,
			       .hops = NET_HOPS_DEFAULT, .flow = (uint16_t)random, .dst = t->addr,
			       .src = t->src, .dst_tag = t->tag, .src_tag = net->tag };
	struct pn_pkt *pkt = pn_pkt_get(net->pool);
	uint8_t *p;

	if (!pkt) {
		count(net, tx_no_buffer);
		return;
	}
	msg.number = (uint64_t)number_ms(now) << 48 | (random >> 32 & UINT16_MAX) << 32 |
		     (uint64_t)w->round << 16 | (t->by_other ? BY_OTHER : 0) | adj;
	msg.cookie = cookie_of(net->guard, msg.number);
	p = pn_pkt_append(pkt, ECHO_MIN);
	memset(p, 0, ECHO_MIN);
	echo_build(&msg, p, ECHO_MIN);
	pn_pkt_push(pkt, NET_HDR_LEN);
	net_hdr_build(&hdr, pkt->data);
	count(net, guard_tests);
	adj_data_send(net, adj, pkt, now);
}

/* What went over one neighbour goes over others now, who may be no better. */
static void test_others(struct net *net, const struct watch *but, struct pn_time now)
{
	for (uint32_t i = 0; i < net->guard->high; i++) {
		struct watch *w = &net->guard->watch[i];

		if (w == but || !w->used || w->asked || w->missed ||
		    pn_time_since(now, w->last) < DATA_NS)
			continue;
		w->rest = pn_time_add(now, net_random_u64(net) % WAIT_NS);
		watch_at(net, w, w->rest);
	}
}

static void watch_avoid(struct net *net, struct watch *w, uint32_t adj, bool avoid,
			struct pn_time now)
{
	const struct adj_pub *p = adj_peek(net, adj);

	if (w->avoided == avoid)
		return;
	w->avoided = avoid;
	if (p && p->up)
		route_shun(net, p->facet, adj, now);
	if (!avoid)
		return;
	count(net, guard_avoided);
	test_others(net, w, now);
}

bool guard_on_reply(struct net *net, const struct echo_msg *msg, struct pn_time now)
{
	struct guard *g = net->guard;
	uint32_t adj = (uint32_t)msg->number & (BY_OTHER - 1);
	bool by_other = msg->number & BY_OTHER;
	struct watch *w = adj < g->high ? &g->watch[adj] : NULL;

	if (!w || !w->used || (uint16_t)(msg->number >> 16) != w->round ||
	    cookie_of(g, msg->number) != msg->cookie)
		return false;
	if (!(w->asked || w->missed) || (by_other && net->rx_adj == adj))
		return true;             /* again, or not believed */
	count(net, guard_answers);
	w->share = (uint16_t)(w->share + ((256 - w->share) >> SHARE_SHIFT));
	watch_slow(w, msg->number, now);
	w->idle = 0;
	w->asked = false;
	w->missed = 0;
	watch_avoid(net, w, adj, false, now);
	w->round++;
	w->rest = spread(net, now, REST_NS);
	watch_at(net, w, w->data < DATA_MIN ? w->rest : spread(net, w->last, DATA_NS));
	return true;
}

void guard_on_data(struct net *net, uint32_t adj)
{
	struct watch *w = &net->guard->watch[adj];
	struct pn_time at;

	PN_ASSERT(adj < net->guard->max);
	w->data_at = net->now;
	if (!w->used || w->data >= DATA_MIN || ++w->data < DATA_MIN)
		return;
	if (w->avoided && !w->asked)     /* it was not needed any more, and is now */
		watch_at(net, w, net->now);
	at = pn_time_add(w->last, DATA_NS);
	if (!w->asked && !w->missed && pn_time_before(at, w->next))
		watch_at(net, w, at);
}

/* Verdicts ------------------------------------------------------------------------ */

/* Is there another neighbour that carries, as far as we know? */
static bool others_carry(const struct net *net, uint32_t adj)
{
	for (uint32_t i = 0; i < net->guard->high; i++) {
		const struct adj_pub *p = adj_peek(net, i);

		if (i != adj && net->guard->watch[i].used && !net->guard->watch[i].missed && p &&
		    p->up && !p->leaf)
			return true;
	}
	return false;
}

static uint64_t penalty(struct net *net, const uint8_t id[PN_ID_LEN], struct pn_time now)
{
	struct convict *c = &net->guard->convicts[0];
	uint64_t key, ns = PENALTY_NS;

	memcpy(&key, id, sizeof(key));
	key |= 1;
	for (unsigned i = 0; i < CONVICTS; i++) {
		struct convict *k = &net->guard->convicts[i];

		if (k->key == key) {
			c = k;
			break;
		}
		if (pn_time_before(k->last, c->last))
			c = k;
	}
	if (c->key != key || pn_time_since(now, c->last) > FORGET_NS)
		*c = (struct convict){ .key = key };
	for (unsigned i = 0; i < c->times && ns < PENALTY_MAX_NS; i++)
		ns *= 2;
	c->times += c->times < UINT8_MAX;
	c->last = now;
	return pn_min(ns, PENALTY_MAX_NS);
}

static void watch_rest(struct net *net, struct watch *w, uint32_t adj, struct pn_time now,
		       uint64_t ns)
{
	watch_avoid(net, w, adj, false, now);
	w->asked = false;
	w->missed = 0;
	w->round++;
	watch_at(net, w, spread(net, now, ns));
}

/* Proven, but nobody needs v to be gone: there are other ways. */
static void watch_keep(struct net *net, struct watch *w, struct pn_time now)
{
	count(net, guard_kept);
	w->data = 0;
	w->asked = false;
	w->missed--;                     /* one request more before the next verdict */
	watch_at(net, w, spread(net, now, LOOK_NS << w->idle));
	w->idle += w->idle < IDLE_SHIFT_MAX;
}

static void watch_condemn(struct net *net, struct watch *w, uint32_t adj, struct pn_time now)
{
	if (pn_time_since(now, w->data_at) >= DATA_RECENT_NS) {
		watch_keep(net, w, now);
		return;
	}
	if (!others_carry(net, adj)) {
		count(net, guard_spared);
		watch_rest(net, w, adj, now, LOOK_NS << w->idle);
		w->idle += w->idle < IDLE_SHIFT_MAX;
		return;
	}
	count(net, guard_expelled);
	adj_expel(net, adj, penalty(net, adj_peek(net, adj)->id, now), now);
}

/* A request was not answered in time. */
static void watch_miss(struct watch *w)
{
	if (!w->missed)
		w->need = w->share >= SURE ? NEED_SURE : NEED_ANY;
	w->missed++;
	w->share = (uint16_t)(w->share - (w->share >> SHARE_SHIFT));
}

/* Is there a reason to ask now? */
static bool watch_due(const struct watch *w, struct pn_time now)
{
	return w->asked || w->missed || pn_time_due(w->rest, now) ||
	       (w->data >= DATA_MIN && pn_time_since(now, w->data_at) < DATA_RECENT_NS);
}

static void watch_ask(struct net *net, struct watch *w, uint32_t adj, const struct target *t,
		      struct pn_time now)
{
	uint64_t wait = STREAK_NS;

	if (!w->missed) {
		w->last = now;
		w->data = 0;
		wait = watch_wait(w, WAIT_NS);
	} else if (w->missed + 1 >= w->need) {
		wait = watch_wait(w, LATE_NS);
	}
	w->asked = true;
	request_send(net, w, adj, t, now);
	watch_at(net, w, pn_time_add(now, wait));
}

static void watch_expire(struct net *net, struct watch *w, uint32_t adj, struct pn_time now)
{
	const struct adj_pub *p = adj_peek(net, adj);
	struct target t;

	if (!watch_due(w, now)) {
		w->data = 0;
		watch_at(net, w, w->rest);
		return;
	}
	if (!watch_stable(net, w, adj, now)) {
		w->asked = false;        /* what is under way counts neither way */
		w->missed = w->missed > DOUBT ? (uint8_t)(w->missed - DOUBT) : w->avoided;
		watch_at(net, w, spread(net, now, LOOK_NS));
		return;
	}
	if (p->leaf || !target_pick(net, adj, &t)) {
		if (w->missed)
			count(net, guard_given_up);
		w->idle += w->idle < IDLE_SHIFT_MAX;
		watch_rest(net, w, adj, now, LOOK_NS << w->idle);
		return;
	}
	if (w->asked)
		watch_miss(w);
	if (w->missed >= AVOID && pn_time_since(now, w->last) >= watch_wait(w, 0))
		watch_avoid(net, w, adj, true, now);
	if (w->missed && w->missed >= w->need)
		watch_condemn(net, w, adj, now);
	else
		watch_ask(net, w, adj, &t, now);
}

void guard_expire(struct net *net, struct pn_time now)
{
	struct guard *g = net->guard;
	struct pn_time next = PN_TIME_NEVER;

	for (uint32_t i = 0; i < g->high; i++)
		if (g->watch[i].used && pn_time_due(g->watch[i].next, now))
			watch_expire(net, &g->watch[i], i, now);
	for (uint32_t i = 0; i < g->high; i++)
		if (g->watch[i].used)
			next = pn_time_min(next, g->watch[i].next);
	timer_set(net, &g->timer, next);
}
