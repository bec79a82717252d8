/* SPDX-License-Identifier: ISC */
/* peer.c - identities we talk to, and where they are
 *
 * Theory of operation
 *
 * A peer is known by its HIT; a handle is its place in the table and a
 * generation, so that a stale one finds nobody.  Peers are counted; one that
 * nobody holds stays as a cache until its place is needed, oldest first.
 *
 *   NONE       nothing asked yet
 *     | first packet
 *   RESOLVING  lookup.c asks; packets wait, 8 for a peer, 64 in all, the oldest
 *     |        is dropped.  Ends within 5 s.
 *   KNOWN      packets go to the nearest of its addresses
 *   FAILED     not found, or no address works; the next packet asks again
 *
 * While KNOWN, errors from the network make doubt: no route to an address, or
 * somebody else has it.  The address is avoided for a second if there is another
 * one, and the peer is looked up again, at first at once, then three times each after
 * 0.5 s, 1 s, 2 s, 4 s: who was cut off for a second or two is found soon after.  Twelve
 * such lookups in a row without news (some 18 s: longer than the network takes to find
 * another way) end in FAILED.  A peer that nobody holds goes back to NONE instead.
 * While there is doubt he himself is believed whatever he says, if he has signed it for our
 * question; everybody else only if it is newer than all that we have had of him, now or
 * before: what was seen does not come back.
 * A peer that is talked to is also looked up when its record has reached a third
 * of its lifetime; if that fails nothing happens, its address is as good as
 * before.  Newer records also come by net_peer_update(), out of a session.
 *
 * Path MTU: that of the first hop at first; each "too big" lowers it, and ten
 * minutes later it starts anew.  It never falls below what every link carries.
 *
 * Timer (TIMER_PEER): a lookup that is due but has to wait, also for room among the lookups.
 */
#include "pnstackd/net/peer.h"
#include "pnstackd/net/echo.h"
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/lookup.h"

#define PEER_ADDRS 32                /* the nearest of its addresses are kept, at most so many */
#define PEER_LIMIT 65534             /* index + 1 has 16 bits in a handle */
#define PEER_NONE_INDEX UINT32_MAX
#define WAIT_PER_PEER 8
#define WAIT_ALL 64
#define AVOID_NS PN_S(1)
#define RELOOKUP_NS PN_MS(500)       /* doubled */
#define RELOOKUP_TRIES 3             /* after so many each, */
#define RELOOKUP_SHIFT_MAX 3         /* so often */
#define FRUITLESS_MAX 12
#define RESOLVE_NS PN_S(5)
#define BUSY_NS PN_MS(50)            /* no room for a lookup: again after that, and as much more */
#define CALM_NS PN_S(20)             /* without errors: doubts are forgotten */
#define REFRESH_AGAIN_NS PN_S(10)
#define FLOWS 4                      /* flow labels remembered, power of two */
#define MTU_AGAIN_NS PN_S(600)
#define PEER_MTU_MIN (PN_MTU_MIN - NET_HDR_LEN)
#define PEER_MTU_MAX (PN_PKT_MAX - NET_HDR_LEN)

enum peer_state { PEER_NONE, PEER_RESOLVING, PEER_KNOWN, PEER_FAILED };

struct peer {
	bool used;
	bool self;                   /* it is us: known, at our own address */
	bool looking;                /* lookup.c will call back */
	bool suspect;                /* because of errors */
	enum peer_state state;
	uint16_t gen;
	uint8_t relookups;           /* without news so far */
	uint8_t waiting;             /* packets */
	uint32_t refs;
	uint32_t tag;
	uint8_t hit[PN_HIT_LEN];
	uint32_t hash_next;
	uint32_t older, newer;       /* idle list, while refs is 0 */
	uint32_t mtu;                /* payload */
	struct pn_time mtu_again;
	struct pn_time refresh_at, relookup_at, error_at, resolve_until;
	uint64_t refresh_after;

	uint64_t seq;                /* of the record; count is 0 when there is none */
	uint64_t seq_max;            /* of all that we have had: it never falls */
	uint64_t area;               /* that the record is for, */
	uint8_t base;                /* and how large it is */
	bool placed;                 /* we are in that area, or have been */
	uint16_t count;
	uint16_t best;               /* index of the nearest address, if best_gen says so */
	uint32_t best_gen;
	uint64_t avoid;              /* bit per address */
	struct pn_time avoid_until;
	uint64_t *addrs;             /* with what stands above them, as of best_gen */
	uint16_t flows[FLOWS];       /* labels of packets sent lately, each once */
	uint8_t flow_at;
	struct net_timer timer;
};

struct peers {
	struct peer *at;
	uint32_t *buckets;           /* by tag */
	uint32_t max, bucket_mask;
	uint16_t addr_max;           /* addresses of each */
	uint64_t *addrs;             /* [max][addr_max] */
	uint64_t secret;
	uint32_t fresh;              /* entries below were used at least once */
	uint32_t idle_oldest, idle_newest;
	uint32_t addr_gen;           /* counts changes of our own addresses */
	struct pn_pktq waiting;      /* of all peers, oldest first; cookie: the handle */
};

/* Table ---------------------------------------------------------------------- */

void peer_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t max = cfg->peer_max < PEER_LIMIT ? cfg->peer_max : PEER_LIMIT;
	struct peers *ps = arena_take(a, 1, sizeof(*ps));
	struct peer *at = arena_take(a, max, sizeof(*at));
	uint16_t addr_max = (uint16_t)pn_min(net_limit(cfg->peer_addr_max, PEER_ADDRS), PEER_ADDRS);
	uint64_t *addrs = arena_take(a, (size_t)max * addr_max, sizeof(*addrs));
	uint32_t *buckets;
	uint32_t n = 16;

	while (n < max)
		n *= 2;
	buckets = arena_take(a, n, sizeof(*buckets));
	net->peers = ps;
	if (!ps)
		return;                  /* only being sized */
	ps->at = at;
	ps->max = max;
	ps->addr_max = addr_max;
	ps->addrs = addrs;
	ps->buckets = buckets;
	ps->bucket_mask = n - 1;
}

void peer_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	struct peers *ps = net->peers;

	(void)cfg;
	(void)now;
	ps->secret = net_random_u64(net);
	ps->idle_oldest = ps->idle_newest = PEER_NONE_INDEX;
	ps->addr_gen = 1;
	pn_pktq_init(&ps->waiting);
	for (uint32_t i = 0; i <= ps->bucket_mask; i++)
		ps->buckets[i] = PEER_NONE_INDEX;
}

void peer_fini(struct net *net)
{
	pn_pktq_drain(&net->peers->waiting, net->pool);
	fwd_fini(net);
}

static net_peer peer_handle(const struct peers *ps, const struct peer *p)
{
	return (net_peer)p->gen << 16 | ((uint32_t)(p - ps->at) + 1);
}

static struct peer *peer_at(const struct net *net, net_peer handle)
{
	const struct peers *ps = net->peers;
	uint32_t index = (handle & 0xffff) - 1;

	if (index >= ps->max || !ps->at[index].used || ps->at[index].gen != handle >> 16)
		return NULL;
	return &ps->at[index];
}

static uint32_t *peer_bucket(const struct peers *ps, uint32_t tag)
{
	return &ps->buckets[mix64(tag ^ ps->secret) & ps->bucket_mask];
}

static struct peer *peer_find(const struct net *net, const uint8_t hit[PN_HIT_LEN])
{
	const struct peers *ps = net->peers;

	for (uint32_t i = *peer_bucket(ps, net_hit_tag(hit)); i != PEER_NONE_INDEX;
	     i = ps->at[i].hash_next) {
		if (memcmp(ps->at[i].hit, hit, PN_HIT_LEN) == 0)
			return &ps->at[i];
	}
	return NULL;
}

static void idle_remove(struct peers *ps, struct peer *p)
{
	if (p->older != PEER_NONE_INDEX)
		ps->at[p->older].newer = p->newer;
	else
		ps->idle_oldest = p->newer;
	if (p->newer != PEER_NONE_INDEX)
		ps->at[p->newer].older = p->older;
	else
		ps->idle_newest = p->older;
}

static void idle_append(struct peers *ps, struct peer *p)
{
	uint32_t index = (uint32_t)(p - ps->at);

	p->older = ps->idle_newest;
	p->newer = PEER_NONE_INDEX;
	if (p->older != PEER_NONE_INDEX)
		ps->at[p->older].newer = index;
	else
		ps->idle_oldest = index;
	ps->idle_newest = index;
}

/* A place for a new peer, out of the hash table.  Return: NULL: all are held */
static struct peer *peer_place(struct net *net)
{
	struct peers *ps = net->peers;
	struct peer *p;
	uint32_t *link;

	if (ps->fresh < ps->max) {
		p = &ps->at[ps->fresh];
		timer_init(&p->timer, TIMER_PEER, ps->fresh++);
		return p;
	}
	if (ps->idle_oldest == PEER_NONE_INDEX)
		return NULL;
	p = &ps->at[ps->idle_oldest];
	PN_ASSERT(p->refs == 0);
	PN_ASSERT(p->waiting == 0);
	idle_remove(ps, p);
	timer_set(net, &p->timer, PN_TIME_NEVER);
	link = peer_bucket(ps, p->tag);
	while (*link != (uint32_t)(p - ps->at))
		link = &ps->at[*link].hash_next;
	*link = p->hash_next;
	return p;
}

net_peer net_peer_open(struct net *net, const uint8_t hit[PN_HIT_LEN], struct pn_time now)
{
	struct peers *ps = net->peers;
	struct peer *p = peer_find(net, hit);
	uint32_t *bucket;

	net->now = now;
	if (p) {
		if (p->refs++ == 0)
			idle_remove(ps, p);
		return peer_handle(ps, p);
	}
	p = peer_place(net);
	if (!p) {
		count(net, peer_table_full);
		return 0;
	}
	*p = (struct peer){ .used = true, .gen = (uint16_t)(p->gen + 1), .refs = 1,
			    .tag = net_hit_tag(hit), .mtu = PEER_MTU_MIN,
			    .mtu_again = PN_TIME_NEVER, .avoid_until = PN_TIME_NEVER,
			    .timer = p->timer,
			    .addrs = ps->addrs + (size_t)(p - ps->at) * ps->addr_max };
	memcpy(p->hit, hit, PN_HIT_LEN);
	p->self = memcmp(hit, net->hit, PN_HIT_LEN) == 0;
	if (p->self)
		p->state = PEER_KNOWN;
	bucket = peer_bucket(ps, p->tag);
	p->hash_next = *bucket;
	*bucket = (uint32_t)(p - ps->at);
	return peer_handle(ps, p);
}

/* Packets that wait ------------------------------------------------------------- */

/* Moves what waits for @handle (at most @max packets) to @out. */
static void wait_take(struct peers *ps, net_peer handle, unsigned max, struct pn_pktq *out)
{
	struct pn_pktq all = ps->waiting;
	struct pn_pkt *pkt;

	pn_pktq_init(&ps->waiting);
	pn_pktq_init(out);
	while ((pkt = pn_pktq_pop(&all)))
		pn_pktq_push(pkt->cookie == handle && out->count < max ? out : &ps->waiting, pkt);
}

static void wait_drop(struct net *net, struct peer *p, unsigned max)
{
	struct pn_pktq q;

	wait_take(net->peers, peer_handle(net->peers, p), max, &q);
	PN_ASSERT(q.count <= p->waiting);
	p->waiting = (uint8_t)(p->waiting - q.count);
	count_add(net, peer_queue_dropped, q.count);
	pn_pktq_drain(&q, net->pool);
}

static void wait_push(struct net *net, struct peer *p, struct pn_pkt *pkt)
{
	struct peers *ps = net->peers;

	if (p->waiting >= WAIT_PER_PEER)
		wait_drop(net, p, 1);
	if (ps->waiting.count >= WAIT_ALL) {
		struct peer *oldest = peer_at(net, (net_peer)ps->waiting.head->cookie);

		PN_ASSERT(oldest);
		wait_drop(net, oldest, 1);
	}
	pkt->cookie = peer_handle(ps, p);
	pn_pktq_push(&ps->waiting, pkt);
	p->waiting++;
}

void net_peer_close(struct net *net, net_peer peer)
{
	struct peer *p = peer_at(net, peer);

	if (!p)
		return;
	PN_ASSERT(p->refs > 0);
	if (--p->refs > 0)
		return;
	if (p->waiting > 0)
		wait_drop(net, p, p->waiting);
	timer_set(net, &p->timer, PN_TIME_NEVER);
	if (!p->looking) {               /* what the timer would have begun nobody waits for */
		p->suspect = false;
		if (p->state == PEER_RESOLVING)
			p->state = PEER_NONE;
	}
	idle_append(net->peers, p);
}

/* Addresses and MTU ---------------------------------------------------------------- */

static void peer_event(struct net *net, const struct peer *p, enum net_event_kind kind,
		       enum net_err why)
{
	struct net_event *ev;

	if (p->refs == 0)
		return;
	ev = net_event_push(net, kind);
	ev->peer = peer_handle(net->peers, p);
	ev->reason = why;
	memcpy(ev->hit, p->hit, PN_HIT_LEN);
	ev->mtu = p->mtu;
}

/* The distance of an address from the nearest of our facets */
static unsigned peer_distance(const struct net *net, uint64_t addr)
{
	unsigned best = 64;

	for (uint16_t f = 0; f < facet_max(net); f++) {
		uint64_t own = facet_live(net, f) ? facet_addr(net, f) : ~addr;
		unsigned d = own == addr ? 0 : fwd_diff(own, addr) + 1;

		best = d < best ? d : best;
	}
	return best;
}

static bool peer_avoids(const struct peer *p, unsigned i)
{
	return p->avoid >> i & 1;
}

/* Put what stands above the area, as we see it now, in front of the addresses.  While
 * we are not in that area ourselves they stay what they were. */
static void peer_place_addrs(struct net *net, struct peer *p)
{
	uint64_t prefix;

	if (!addr_prefix(net, p->area, p->base, &prefix))
		return;
	p->placed = true;
	for (uint16_t i = 0; i < p->count; i++)
		p->addrs[i] = prefix | addr_low(p->addrs[i], p->base);
}

/* Index of the address to send to */
static uint16_t peer_best(struct net *net, struct peer *p, struct pn_time now)
{
	unsigned best = UINT32_MAX;

	PN_ASSERT(p->count > 0);
	if (!pn_time_is_never(p->avoid_until) && !pn_time_before(now, p->avoid_until)) {
		p->avoid = 0;
		p->avoid_until = PN_TIME_NEVER;
		p->best_gen = 0;
	}
	if (p->best_gen == net->peers->addr_gen)
		return p->best;
	peer_place_addrs(net, p);
	for (uint16_t i = 0; i < p->count; i++) {
		/* One to be avoided is taken only if all are. */
		unsigned d = peer_distance(net, p->addrs[i]) + (peer_avoids(p, i) ? 256 : 0);

		if (d < best) {
			best = d;
			p->best = i;
		}
	}
	p->best_gen = net->peers->addr_gen;
	return p->best;
}

void peer_on_address(struct net *net)
{
	if (net->peers && ++net->peers->addr_gen == 0)
		net->peers->addr_gen = 1;        /* 0: not computed */
}

static uint64_t peer_target(struct net *net, struct peer *p, struct pn_time now)
{
	return p->self ? facet_addr(net, 0) : p->addrs[peer_best(net, p, now)];
}

static void peer_set_mtu(struct net *net, struct peer *p, uint32_t packet)
{
	uint32_t mtu = packet > NET_HDR_LEN ? packet - NET_HDR_LEN : 0;
	uint32_t before = p->mtu;

	p->mtu = mtu < PEER_MTU_MIN ? PEER_MTU_MIN : mtu > PEER_MTU_MAX ? PEER_MTU_MAX : mtu;
	if (p->mtu != before)
		peer_event(net, p, NET_EV_PEER_MTU, NET_ERR_NONE);
}

/* As large as the first hop allows */
static void peer_start_mtu(struct net *net, struct peer *p, struct pn_time now)
{
	p->mtu_again = PN_TIME_NEVER;
	peer_set_mtu(net, p, p->self ? 0 : fwd_first_mtu(net, peer_target(net, p, now)));
}

static void peer_lower_mtu(struct net *net, struct peer *p, uint32_t packet, struct pn_time now)
{
	if (packet >= p->mtu + NET_HDR_LEN)
		return;
	p->mtu_again = pn_time_add(now, MTU_AGAIN_NS);
	peer_set_mtu(net, p, packet);
}

uint32_t net_peer_mtu(const struct net *net, net_peer peer)
{
	const struct peer *p = peer_at(net, peer);

	return p ? p->mtu : PEER_MTU_MIN;
}

/* Looking up ---------------------------------------------------------------------- */

static void peer_fail(struct net *net, struct peer *p, enum net_err why, struct pn_time now)
{
	p->state = PEER_FAILED;
	p->relookups = 0;
	count(net, peer_failed);
	if (p->waiting > 0)
		wait_drop(net, p, p->waiting);
	peer_event(net, p, NET_EV_PEER_FAILED, why);
	echo_on_peer(net, peer_handle(net->peers, p), why, now);
}

/* Are we still in the area that the peer's record is for? */
static bool peer_in_area(const struct net *net, const struct peer *p)
{
	uint64_t prefix;

	return addr_prefix(net, p->area, p->base, &prefix);
}

/* A record is news if it is newer than all that we have had, or says the same as the newest
 * for an area that we are in. */
static uint64_t peer_min_seq(const struct net *net, const struct peer *p)
{
	PN_ASSERT(p->seq <= p->seq_max);
	if (p->seq == 0 || p->seq < p->seq_max || peer_in_area(net, p))
		return p->seq_max;
	return p->seq - 1;
}

/* Return: as lookup_start() */
static int peer_ask(struct net *net, const struct peer *p, bool doubt, struct pn_time now)
{
	return lookup_start(net, p->hit, peer_min_seq(net, p), doubt, now);
}

/* Begin to resolve.  Return: 0, or why not (the state stays) */
static int peer_resolve(struct net *net, struct peer *p, struct pn_time now)
{
	int rc = peer_ask(net, p, p->count > 0, now);

	if (rc < 0 && rc != PN_EFULL)
		return rc;
	if (p->state != PEER_RESOLVING)
		p->resolve_until = pn_time_add(now, RESOLVE_NS);
	p->looking = rc == 0;
	p->state = PEER_RESOLVING;
	if (!p->looking)                 /* too many at once: our turn comes */
		timer_set(net, &p->timer,
			  pn_time_add(now, BUSY_NS + net_random_u64(net) % BUSY_NS));
	return 0;
}

/* There is doubt about a known peer: ask again, not too often. */
static void peer_relookup(struct net *net, struct peer *p, struct pn_time now)
{
	unsigned shift = pn_min(p->relookups / RELOOKUP_TRIES, RELOOKUP_SHIFT_MAX);

	if (p->looking)
		return;
	if (p->refs == 0) {
		/* Nobody waits (a ping lets go at once): who comes next asks anew. */
		p->state = PEER_NONE;
		return;
	}
	if (pn_time_before(now, p->relookup_at)) {
		timer_set(net, &p->timer, p->relookup_at);
		return;
	}
	p->relookup_at = pn_time_add(now, RELOOKUP_NS << shift);
	count(net, peer_relookups);
	if (peer_ask(net, p, true, now) == 0)
		p->looking = true;
	else
		timer_set(net, &p->timer, p->relookup_at);
}

void peer_expire(struct net *net, uint32_t index, struct pn_time now)
{
	struct peer *p = &net->peers->at[index];

	PN_ASSERT(index < net->peers->max);
	if (p->used && p->state == PEER_KNOWN && p->suspect)
		peer_relookup(net, p, now);
	if (!p->used || p->state != PEER_RESOLVING || p->looking)
		return;
	if (pn_time_due(p->resolve_until, now) || peer_resolve(net, p, now) < 0)
		peer_fail(net, p, NET_ERR_UNKNOWN, now);
}

/* A lookup brought no news. */
static void peer_no_news(struct net *net, struct peer *p, struct pn_time now)
{
	p->refresh_at = pn_time_add(now, pn_max(REFRESH_AGAIN_NS, p->refresh_after));
	if (!p->suspect)
		return;
	p->suspect = false;              /* until the next error */
	if (++p->relookups >= FRUITLESS_MAX)
		peer_fail(net, p, NET_ERR_ROUTE, now);
	else                             /* perhaps there is a way now */
		echo_on_peer(net, peer_handle(net->peers, p), NET_ERR_NONE, now);
}

/* Of the addresses of a large hub those that are nearest to us */
static void peer_choose(const struct net *net, struct peer *p, const struct addr_record *rec)
{
	unsigned away[PEER_ADDRS];
	uint16_t max = net->peers->addr_max;
	uint64_t prefix = 0;

	(void)addr_prefix(net, rec->area, rec->base, &prefix);
	p->count = 0;
	for (uint16_t k = 0; k < rec->count; k++) {
		unsigned d = peer_distance(net, prefix | rec->addrs[k]);
		uint16_t i = p->count < max ? p->count++ : max;

		if (i == max && away[--i] <= d)
			continue;
		for (; i > 0 && away[i - 1] > d; i--) {
			away[i] = away[i - 1];
			p->addrs[i] = p->addrs[i - 1];
		}
		away[i] = d;
		p->addrs[i] = prefix | rec->addrs[k];
	}
}

static void peer_set_record(const struct net *net, struct peer *p, const struct addr_record *rec,
			    struct pn_time now)
{
	p->seq = rec->seq;
	p->seq_max = pn_max(p->seq_max, rec->seq);
	p->area = rec->area;
	p->base = rec->base;
	p->placed = false;
	peer_choose(net, p, rec);
	p->avoid = 0;
	p->avoid_until = PN_TIME_NEVER;
	p->best_gen = 0;
	p->refresh_after = PN_S(rec->lifetime_s) / 3;
	p->refresh_at = pn_time_add(now, PN_S(rec->lifetime_s) / 3);
}

static void peer_transmit(struct net *net, struct peer *p, struct pn_pkt *pkt, struct pn_time now);

static void peer_known(struct net *net, struct peer *p, struct pn_time now)
{
	struct pn_pktq q;
	struct pn_pkt *pkt;

	p->state = PEER_KNOWN;
	count(net, peer_resolved);
	peer_start_mtu(net, p, now);
	peer_event(net, p, NET_EV_PEER_RESOLVED, NET_ERR_NONE);
	wait_take(net->peers, peer_handle(net->peers, p), p->waiting, &q);
	p->waiting = 0;
	while ((pkt = pn_pktq_pop(&q)))
		peer_transmit(net, p, pkt, now);
	echo_on_peer(net, peer_handle(net->peers, p), NET_ERR_NONE, now);
}

/* Does he say himself, in a record that is not newer than ours, that the address that we use is
 * not his?  When an area was cut in two and both parts have met again, a record for it may
 * have been read in the wrong one.  And ours may be of an area that has moved or gone since,
 * while he is where he was in a smaller one, whose record is older.  As long as nothing is
 * wrong with ours that is not heard: a newer one may have come while we asked. */
static bool peer_elsewhere(const struct net *net, const struct peer *p,
			   const struct addr_record *rec, bool himself)
{
	uint64_t prefix;

	if (!himself || !(p->suspect || p->state == PEER_RESOLVING))
		return false;
	if (!addr_prefix(net, rec->area, rec->base, &prefix))
		return false;
	for (uint16_t i = 0; i < rec->count; i++)
		if ((prefix | rec->addrs[i]) == p->addrs[p->best])
			return false;
	return true;
}

void peer_on_record(struct net *net, const struct addr_record *rec, bool himself,
		    struct pn_time now)
{
	struct peer *p = peer_find(net, rec->hit);

	if (!p || p->self)
		return;
	p->looking = false;
	bool news = p->count == 0 || rec->seq > peer_min_seq(net, p) ||
		    peer_elsewhere(net, p, rec, himself);

	if (news || rec->seq == p->seq)
		peer_set_record(net, p, rec, now);
	if (news) {
		p->suspect = false;
		p->relookups = 0;
	}
	if (p->state != PEER_KNOWN) {
		peer_known(net, p, now);
	} else if (news) {
		peer_start_mtu(net, p, now);
		echo_on_peer(net, peer_handle(net->peers, p), NET_ERR_NONE, now);
	} else {
		peer_no_news(net, p, now);
	}
}

void peer_on_lookup_failed(struct net *net, const uint8_t hit[PN_HIT_LEN], bool confirmed,
			   struct pn_time now)
{
	struct peer *p = peer_find(net, hit);

	if (!p || !p->looking)
		return;
	p->looking = false;
	/* It failed once: there was no way.  Its address is what it was: perhaps there is now. */
	if (p->state == PEER_RESOLVING && confirmed && p->count > 0)
		peer_known(net, p, now);
	else if (p->state == PEER_RESOLVING)
		peer_fail(net, p, NET_ERR_UNKNOWN, now);
	else if (p->state == PEER_KNOWN)
		peer_no_news(net, p, now);
}

int net_peer_update(struct net *net, const uint8_t *record, size_t len, struct pn_time now)
{
	struct addr_record rec;
	struct peer *p;

	net->now = now;
	if (addr_record_parse(&rec, record, len) < 0)
		return PN_EBADMSG;
	p = peer_find(net, rec.hit);
	if (!p || p->self || (p->count > 0 && rec.seq <= peer_min_seq(net, p)))
		return 0;
	if (addr_record_verify(&rec, NULL, record, len) < 0)
		return PN_EAUTH;
	/* A query that is under way for it may still end: it will be no news. */
	bool looking = p->looking;

	peer_on_record(net, &rec, false, now);
	p->looking = looking;
	return 0;
}

/* Errors --------------------------------------------------------------------------- */

static void peer_doubt(struct net *net, struct peer *p, uint16_t index, struct pn_time now)
{
	if (pn_time_since(now, p->error_at) > CALM_NS)
		p->relookups = 0;
	p->error_at = now;
	p->suspect = true;
	if (p->count > 1) {
		p->avoid |= UINT64_C(1) << index;
		p->avoid_until = pn_time_add(now, AVOID_NS);
		p->best_gen = 0;
	}
	peer_relookup(net, p, now);
}

static bool peer_uses_flow(const struct peer *p, uint32_t flow)
{
	if (flow == PEER_FLOW_ANY)
		return true;
	for (unsigned i = 0; i < FLOWS; i++) {
		if (p->flows[i] == flow)
			return true;
	}
	return false;
}

void peer_on_error(struct net *net, enum net_err reason, uint32_t mtu, uint64_t dst,
		   uint32_t dst_tag, uint32_t flow, struct pn_time now)
{
	struct peers *ps = net->peers;

	if (reason == NET_ERR_GONE)
		count(net, peer_gone);
	for (uint32_t i = *peer_bucket(ps, dst_tag); i != PEER_NONE_INDEX;
	     i = ps->at[i].hash_next) {
		struct peer *p = &ps->at[i];

		if (p->tag != dst_tag || p->state != PEER_KNOWN || p->self ||
		    !peer_uses_flow(p, flow))
			continue;
		for (uint16_t k = 0; k < p->count; k++) {
			if (p->addrs[k] != dst)
				continue;
			if (reason == NET_ERR_TOO_BIG)
				peer_lower_mtu(net, p, mtu, now);
			else if (reason == NET_ERR_ROUTE || reason == NET_ERR_GONE)
				peer_doubt(net, p, k, now);
			break;
		}
	}
}

void net_peer_silent(struct net *net, net_peer peer, struct pn_time now)
{
	struct peer *p = peer_at(net, peer);

	net->now = now;
	if (!p || p->self || p->state != PEER_KNOWN)
		return;
	count(net, peer_silent);
	p->suspect = true;
	peer_relookup(net, p, now);
}

/* Sending -------------------------------------------------------------------------- */

/* Takes @pkt; the peer is known. */
static void peer_transmit(struct net *net, struct peer *p, struct pn_pkt *pkt, struct pn_time now)
{
	uint64_t dst = peer_target(net, p, now);
	struct net_hdr hdr = { .proto = NET_PROTO_SESSION, .dst = dst, .dst_tag = p->tag,
			       .flow = pkt->flow,
			       .flags = (uint8_t)((pkt->ecn & 3) << NET_HDR_F_ECN_SHIFT) };
	uint32_t mtu = 0;
	int rc;

	if (!peer_uses_flow(p, pkt->flow))
		p->flows[p->flow_at++ % FLOWS] = pkt->flow;
	rc = fwd_send(net, 0, &hdr, pkt, &mtu, now);
	if (rc == PN_ENOROUTE)
		peer_on_error(net, NET_ERR_ROUTE, 0, dst, p->tag, PEER_FLOW_ANY, now);
	else if (rc == PN_ESTALE)
		peer_on_error(net, NET_ERR_GONE, 0, dst, p->tag, PEER_FLOW_ANY, now);
	else if (rc == PN_EMSGSIZE)
		peer_on_error(net, NET_ERR_TOO_BIG, mtu, dst, p->tag, PEER_FLOW_ANY, now);
}

bool peer_in_doubt(const struct net *net, net_peer peer)
{
	const struct peer *p = peer_at(net, peer);

	return p && ((p->state == PEER_KNOWN && p->suspect) || p->state == PEER_RESOLVING);
}

/* What is due for a peer that is in use */
static void peer_upkeep(struct net *net, struct peer *p, struct pn_time now)
{
	if (pn_time_due(p->mtu_again, now))
		peer_start_mtu(net, p, now);
	if (p->self || p->looking || !pn_time_due(p->refresh_at, now))
		return;
	p->refresh_at = pn_time_add(now, REFRESH_AGAIN_NS);
	p->looking = peer_ask(net, p, false, now) == 0;
}

int peer_address(struct net *net, net_peer peer, uint64_t *addr, struct pn_time now)
{
	struct peer *p = peer_at(net, peer);

	if (!p)
		return PN_ESTALE;
	if (p->state == PEER_KNOWN) {
		peer_upkeep(net, p, now);
		*addr = peer_target(net, p, now);
		return 0;
	}
	if (p->state != PEER_RESOLVING && peer_resolve(net, p, now) < 0)
		return PN_EUNREACH;
	return PN_EAGAIN;
}

void net_send_peer(struct net *net, net_peer peer, struct pn_pkt *pkt, struct pn_time now)
{
	struct peer *p = peer_at(net, peer);

	net->now = now;
	if (!p) {
		count(net, peer_queue_dropped);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	PN_ASSERT(p->refs > 0);
	if (p->state == PEER_KNOWN) {
		peer_upkeep(net, p, now);
		peer_transmit(net, p, pkt, now);
		return;
	}
	if (p->state != PEER_RESOLVING && peer_resolve(net, p, now) < 0) {
		count(net, peer_queue_dropped);
		pn_pkt_put(net->pool, pkt);
		p->state = PEER_FAILED;
		peer_event(net, p, NET_EV_PEER_FAILED, NET_ERR_UNKNOWN);
		return;
	}
	wait_push(net, p, pkt);
}
