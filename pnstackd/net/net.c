/* SPDX-License-Identifier: ISC */
/* The facade of the network layer, and the services that its modules share.
 *
 * Theory of operation
 *
 * A node is one block of memory, cut up by the *_carve() functions of the
 * modules: once without memory, to learn how much they want, and once for real.
 * Tables are large, and small networks use little of them: nobody walks a whole
 * table at the start, entries are taken from its untouched end only when none was
 * given back, so that memory fresh from the kernel costs nothing before it is used.
 *
 * Everything starts in one of four calls.  net_input() hands frames to adj.c
 * and from there upwards; net_expire() rings the timers, all in one heap, by
 * their kind; net_output() and net_deliver() empty two queues.  What modules say
 * to neighbours is collected and sealed when frames are taken (ctlq_flush()),
 * and messages between facets of this node are handed over at the end of a
 * call (ctlq_internal_drain()), so that no module is entered while it works.
 *
 * Randomness is the ChaCha20 stream of the configured bytes: one seed, one run.
 * The key is replaced by output every RANDOM_REKEY draws, so that what was
 * drawn before cannot be computed from the state.
 */
#include "pnstackd/net/adj_int.h"
#include "pnstackd/net/circle.h"
#include "pnstackd/net/guard.h"

#include <string.h>

#include "libpeernet/base/name.h"

#define RANDOM_REKEY   1024  /* draws */
#define HEAP_SPARE     16

/* net_config_fit(): what a small node of a network that is known needs.  The tree's
 * height is at most 2 * log2(nodes) + 4; some levels more, for it gets there in steps. */
#define FIT_SPARE_ADJS 2
#define FIT_SPARE_SHARE 16
#define FIT_LEVELS     8
#define FIT_NEAR       32
#define FIT_BEYOND     64
#define FIT_SPARE_STATIONS 4
#define FIT_STATION_ADJS 32
#define FIT_SOURCES    64
#define FIT_EXPELLED   32
#define FIT_SEEN       16
#define FIT_REPLAY     256
#define FIT_RECORDS    16
#define FIT_RECORDS_LOG 4
#define FIT_PEERS      16
#define FIT_PEER_ADDRS 8
#define FIT_EVENTS     8
#define FIT_PINGS      32
#define FIT_QUERIES    16
#define FIT_FLOWS      16

/* Identities ------------------------------------------------------------------ */

void net_identity_derive(const uint8_t seed[PN_ID_LEN], uint8_t id[PN_ID_LEN])
{
	uint8_t key[64];

	crypto_identity(seed, id, key);
	crypto_wipe(key, sizeof(key));
}

void net_identity_hit(const uint8_t id[PN_ID_LEN], uint8_t hit[PN_HIT_LEN])
{
	uint8_t digest[CRYPTO_HASH_LEN];

	crypto_digest2(digest, sizeof(digest), "PeerNet HIT", 11, id, PN_ID_LEN);
	pn_hit_set_prefix(hit);
	memcpy(hit + PN_HIT_HASH_OFF, digest, PN_HIT_LEN - PN_HIT_HASH_OFF);
}

uint32_t net_hit_tag(const uint8_t hit[PN_HIT_LEN])
{
	struct pn_rd r;

	pn_rd_init(&r, &hit[PN_HIT_LEN - 4], 4);
	return pn_rd_u32(&r);
}

/* Memory ------------------------------------------------------------------------ */

void *arena_take(struct arena *a, size_t count, size_t size)
{
	size_t want = count * size;
	void *p = a->at ? a->at + a->used : NULL;

	PN_ASSERT(size == 0 || count <= SIZE_MAX / 2 / size);
	if (p && !a->zeroed)
		memset(p, 0, want);
	a->used += (want + 15) & ~(size_t)15;
	return p;
}

static uint32_t heap_cap(const struct net *net, const struct net_config *cfg)
{
	(void)net;
	/* one timer for each; facets are at most one per adjacency */
	return 2 * cfg->adj_max + net_limit(cfg->link_max, NET_LINK_MAX) + cfg->record_max +
	       cfg->peer_max + NET_LOOKUP_TIMERS + HEAP_SPARE;
}

/* Return: the node, if there is memory */
static struct net *carve(struct arena *a, const struct net_config *cfg)
{
	struct net sizing = { 0 }, *real = arena_take(a, 1, sizeof(*real));
	struct net *net = real ? real : &sizing;
	struct pn_heap_entry **slots = arena_take(a, heap_cap(net, cfg), sizeof(*slots));

	net_events_carve(net, a, cfg);
	if (real)
		pn_heap_init(&net->timers, slots, heap_cap(net, cfg));
	adj_carve(net, a, cfg);
	ctl_carve(net, a, cfg);
	fwd_carve(net, a, cfg);
	lookup_carve(net, a, cfg);
	peer_carve(net, a, cfg);
	echo_carve(net, a, cfg);
	guard_carve(net, a, cfg);
	circle_carve(net, a, cfg);
	return real;
}

size_t net_mem_size(const struct net_config *cfg)
{
	struct arena a = { 0 };

	(void)carve(&a, cfg);
	return a.used;
}

void net_config_default(struct net_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->adj_max = 384;
	cfg->record_max = 4096;
	cfg->peer_max = 1024;
}

static uint32_t log2_ceil(uint32_t v)
{
	uint32_t log = 0;

	while (log < 31 && UINT32_C(1) << log < v)
		log++;
	return log;
}

/* Ends of the internal adjacencies that join so many facets (ctl.c) */
static uint32_t internal_ends(uint32_t facets)
{
	uint32_t ends = 0;

	for (uint32_t n = 1; n < facets; n++)
		ends += 2 * log2_ceil(n + 1);
	return ends;
}

uint32_t net_facets_of(uint32_t cables, uint32_t stations)
{
	uint32_t load = cables + (stations > 0);

	return pn_max(1, facets_for(load));
}

void net_config_fit(struct net_config *cfg, const struct net_surroundings *around)
{
	uint32_t log = log2_ceil(around->nodes), stations = around->stations;

	cfg->facet_max = net_facets_of(around->cables, stations);
	if (cfg->facet_max > 2)          /* some more, for neighbours that are moved (facet.c) */
		cfg->facet_max += cfg->facet_max / 2;
	/* of an Ethernet those of the ring, and shortcuts while data flows */
	cfg->station_max = stations ? stations + FIT_SPARE_STATIONS : 1;
	stations = pn_min(stations, FIT_STATION_ADJS + 4 * log2_ceil(stations + 1));
	/* Some more, for neighbours that come back before their old adjacency is gone. */
	cfg->adj_max = around->cables + stations + FIT_SPARE_ADJS +
		       around->cables / FIT_SPARE_SHARE + internal_ends(cfg->facet_max);
	cfg->link_max = pn_min(pn_max(around->links, 1), NET_LINK_MAX);
	cfg->level_max = pn_min(2 * log + FIT_LEVELS, NET_LEVEL_LIMIT);
	cfg->near_max = around->near ? around->near + around->near / 2 + FIT_NEAR : 0;
	cfg->beyond_max = around->beyond ? 2 * around->beyond + FIT_BEYOND : 0;
	cfg->source_max = FIT_SOURCES;
	cfg->expelled_max = (uint32_t)pn_min(cfg->adj_max, FIT_EXPELLED);
	cfg->seen_max = FIT_SEEN;
	cfg->replay_max = FIT_REPLAY;
	cfg->record_max = FIT_RECORDS + FIT_RECORDS_LOG * log;
	cfg->peer_max = FIT_PEERS;
	cfg->peer_addr_max = FIT_PEER_ADDRS;
	cfg->event_max = FIT_EVENTS + 2 * cfg->facet_max;
	cfg->ping_max = FIT_PINGS;
	cfg->query_max = FIT_QUERIES;
	cfg->flow_max = FIT_FLOWS;
}

/* Life ---------------------------------------------------------------------------- */

struct net *net_init(void *mem, const struct net_config *cfg, struct pn_time now)
{
	struct arena a = { .at = mem, .zeroed = cfg->zeroed };
	struct net *net;

	PN_ASSERT(mem);
	PN_ASSERT(cfg->pool);
	net = carve(&a, cfg);
	net->now = now;
	net->pool = cfg->pool;
	net->boot = cfg->boot;
	net->leaf = cfg->leaf;
	net->rx_adj = NET_RX_NONE;
	memcpy(net->random_key, cfg->random, sizeof(net->random_key));
	crypto_identity(cfg->seed, net->id, net->sign_key);
	crypto_dh_of_sign_key(net->dh_secret, net->dh_public, net->sign_key);
	net_identity_hit(net->id, net->hit);
	net->tag = net_hit_tag(net->hit);
	pn_pktq_init(&net->out);
	pn_pktq_init(&net->deliver);
	guard_init(net, now);
	circle_init(net);
	adj_init(net, cfg, now);
	ctl_init(net, cfg, now);
	fwd_init(net, cfg, now);
	lookup_init(net, cfg, now);
	peer_init(net, cfg, now);
	echo_init(net, cfg, now);
	return net;
}

void net_goodbye(struct net *net, struct pn_time now)
{
	net->now = now;
	adj_goodbye(net, now);
}

void net_fini(struct net *net)
{
	peer_fini(net);
	adj_fini(net);
	pn_pktq_drain(&net->out, net->pool);
	pn_pktq_drain(&net->deliver, net->pool);
	crypto_wipe(net->sign_key, sizeof(net->sign_key));
	crypto_wipe(net->dh_secret, sizeof(net->dh_secret));
	crypto_wipe(net->random_key, sizeof(net->random_key));
}

const uint8_t *net_id(const struct net *net)
{
	return net->id;
}

const uint8_t *net_hit(const struct net *net)
{
	return net->hit;
}

/* Frames, packets, time -------------------------------------------------------------- */

void net_input(struct net *net, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	net->now = now;
	for (size_t i = 0; i < n; i++)
		adj_input(net, pkts[i], now);
	ctlq_internal_drain(net, now);
}

static size_t take(struct pn_pktq *q, struct pn_pkt **pkts, size_t max)
{
	size_t n = 0;

	while (n < max && q->count)
		pkts[n++] = pn_pktq_pop(q);
	return n;
}

size_t net_output(struct net *net, struct pn_pkt **pkts, size_t max)
{
	ctlq_flush(net, net->now);
	return take(&net->out, pkts, max);
}

size_t net_deliver(struct net *net, struct pn_pkt **pkts, size_t max)
{
	return take(&net->deliver, pkts, max);
}

struct pn_time net_deadline(const struct net *net)
{
	if (net->adjs->internal_q.count)
		return net->now;
	return pn_heap_next_deadline(&net->timers);
}

static void ring(struct net *net, const struct net_timer *t, struct pn_time now)
{
	switch ((enum timer_kind)t->kind) {
	case TIMER_ADJ:
		adj_expire(net, t->index, now);
		break;
	case TIMER_LINK:
		adj_link_expire(net, t->index, now);
		break;
	case TIMER_FACET:
		ctl_expire(net, t->index, now);
		break;
	case TIMER_PEER:
		peer_expire(net, t->index, now);
		break;
	case TIMER_RECORD:
		lookup_record_expire(net, t->index, now);
		break;
	case TIMER_LOOKUP:
		lookup_expire(net, t->index, now);
		break;
	case TIMER_GUARD:
		guard_expire(net, now);
		break;
	case TIMER_CIRCLE:
		circle_expire(net, now);
		break;
	case TIMER_KINDS:
		PN_ASSERT(false);
	}
}

void net_expire(struct net *net, struct pn_time now)
{
	/* A timer that is armed for now again and again must not hold up the host for
	 * ever: what is left over rings at the next call, which is due at once. */
	uint32_t left = 2 * net->timers.count + HEAP_SPARE;

	net->now = now;
	ctlq_internal_drain(net, now);
	while (left-- > 0 && pn_time_due(pn_heap_next_deadline(&net->timers), now)) {
		struct pn_heap_entry *e = pn_heap_pop(&net->timers);

		ring(net, pn_container_of(e, struct net_timer, e), now);
	}
	ctlq_internal_drain(net, now);
}

/* Timers ------------------------------------------------------------------------------- */

void timer_init(struct net_timer *t, enum timer_kind kind, uint32_t index)
{
	pn_heap_entry_init(&t->e);
	t->kind = (uint8_t)kind;
	t->index = index;
}

void timer_set(struct net *net, struct net_timer *t, struct pn_time at)
{
	if (pn_time_is_never(at)) {
		pn_heap_remove(&net->timers, &t->e);
	} else if (pn_heap_has(&t->e)) {
		pn_heap_update(&net->timers, &t->e, at);
	} else {
		bool ok;

		t->e.at = at;
		ok = pn_heap_push(&net->timers, &t->e);
		PN_ASSERT(ok);		/* heap_cap() counts all of them */
	}
}

void timer_earlier(struct net *net, struct net_timer *t, struct pn_time at)
{
	if (!pn_heap_has(&t->e) || pn_time_before(at, t->e.at))
		timer_set(net, t, at);
}

/* Names -------------------------------------------------------------------------------------- */

const char *net_err_text(enum net_err err)
{
	static const char *const text[] = {
		[NET_ERR_NONE] = "no error",
		[NET_ERR_ROUTE] = "no route",
		[NET_ERR_HOPS] = "hop limit reached",
		[NET_ERR_TOO_BIG] = "packet too big",
		[NET_ERR_GONE] = "address belongs to somebody else now",
		[NET_ERR_UNKNOWN] = "identity not found",
		[NET_ERR_IDENTITY] = "not the configured identity",
		[NET_ERR_POLICY] = "not allowed, or another network secret",
		[NET_ERR_TIMEOUT] = "neighbour silent",
		[NET_ERR_CARRIER] = "link lost its carrier",
		[NET_ERR_GOODBYE] = "neighbour left",
		[NET_ERR_REPLACED] = "replaced by a newer adjacency",
		[NET_ERR_EXPELLED] = "expelled",
		[NET_ERR_IDLE] = "not needed any more",
	};

	static_assert(PN_ARRAY_LEN(text) == NET_ERR_COUNT, "a text for each");
	return (unsigned)err < NET_ERR_COUNT ? text[err] : "unknown error";
}

bool net_counter_at(const struct net *net, size_t index, struct net_counter *out)
{
	static const char *const names[COUNT_MAX] = {
#define X(name) #name,
		NET_COUNTERS(X)
#undef X
	};

	if (index >= COUNT_MAX)
		return false;
	out->name = names[index];
	out->value = net->counters[index];
	return true;
}

/* Randomness and signatures ------------------------------------------------------------------ */

void net_random(struct net *net, void *buf, size_t len)
{
	if (net->random_counter >= RANDOM_REKEY) {
		crypto_expand(net->random_key, sizeof(net->random_key), net->random_key,
			      net->random_counter);
		net->random_counter = 0;
	}
	crypto_expand(buf, len, net->random_key, net->random_counter++);
}

uint64_t net_random_u64(struct net *net)
{
	uint8_t b[8];
	struct pn_rd r;

	net_random(net, b, sizeof(b));
	pn_rd_init(&r, b, sizeof(b));
	return pn_rd_u64(&r);
}

/* What is signed: 15 fixed bytes, the purpose, BLAKE2b of the message. */
#define SIGNED_LEN (16 + 64)

static void signed_bytes(uint8_t out[SIGNED_LEN], enum sign_purpose p, const uint8_t *msg,
			 size_t len)
{
	memcpy(out, "PeerNet signs 1", 15);
	out[15] = (uint8_t)p;
	crypto_digest(out + 16, 64, msg, len);
}

void net_sign(const struct net *net, enum sign_purpose p, const uint8_t *msg, size_t len,
	      uint8_t sig[64])
{
	uint8_t m[SIGNED_LEN];

	signed_bytes(m, p, msg, len);
	crypto_sig_make(sig, m, sizeof(m), net->sign_key);
}

bool net_verify(const uint8_t id[PN_ID_LEN], enum sign_purpose p, const uint8_t *msg, size_t len,
		const uint8_t sig[64])
{
	uint8_t m[SIGNED_LEN];

	signed_bytes(m, p, msg, len);
	return crypto_sig_check(sig, m, sizeof(m), id);
}
