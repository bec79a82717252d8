/* SPDX-License-Identifier: ISC */
/* lookup.c - the lookup service: messages, timers, our own registration
 *
 * Theory of operation
 *
 * Where an identity is says its address record, signed by itself.  It is kept at
 * three anchors: the ends of the walks to the keys BLAKE2b(HIT, replica) (see
 * fwd_hop.c).  Nobody can forge a record, an anchor can only withhold it, and
 * then another replica answers.
 *
 * Registering (here).  A change of our addresses or of the tree above us makes a
 * new record, 20 ms later, so that several changes make one, and not sooner than
 * 200 ms after the last, while the tree forms.  Each replica gets
 * it in a STORE, repeated after 200 ms, 400 ms ... up to 6 times, until its
 * anchor acknowledges it (STORED, with our cookie).  Every 30 s, with a quarter
 * of jitter, all this is done again with a new record, which lives 100 s:
 * longer than three of these intervals.
 *
 * Keeping (lookup_store.c).  An anchor takes a record that is signed and newer.
 * When its table is full the record that ends first makes room.  Because the tree
 * grows and its counts change, an anchor looks over its records, a few every 2 s
 * and all within a moment after its own address changed: is it still the end of
 * their walk?  If not it hands them on along the key, with the lifetime that is
 * left, and keeps its copy until the new anchor has acknowledged it.
 *
 * Asking (lookup_client.c).  One query at a time for an identity, at a random
 * replica first; the next one at once if an anchor does not know it, or after
 * 250 to 400 ms of silence; at most 9 in all, so an end within 3 s.  If all three
 * do not know it the round is made once more after 400 ms, because the identity
 * may be registering just now.
 *
 * Timers (TIMER_LOOKUP): one for each query; one for our registration; one to
 * look over records.  TIMER_RECORD: the end of a record, or the next attempt to
 * hand it on, whichever is first.
 *
 * An answer is never longer than the query, which therefore carries zeros;
 * who wants a longer record is told how long he must make it.
 */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/peer.h"

#define DEBOUNCE_NS PN_MS(20)
#define SPACING_NS PN_MS(50)
#define REFRESH_NS PN_S(30)
#define LIFETIME_S 100
#define RETRY_NS PN_MS(200)          /* doubled each time */
#define RETRY_MAX 6
#define ANSWERS_PER_SOURCE 200       /* a second */
#define ANSWERS_PER_NODE 5000
#define STORES_PER_SOURCE 200        /* a second; each costs a signature check of 40 us */
#define STORES_PER_NODE 2000

static_assert((uint64_t)LIFETIME_S * 1000000000u > REFRESH_NS * 5 / 4 * 5 / 2,
	      "two registrations may get lost");

void lookup_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t buckets = 16;
	struct lookup *lk = arena_take(a, 1, sizeof(*lk));
	uint32_t queries = pn_min(net_limit(cfg->query_max, LOOKUP_QUERIES), LOOKUP_QUERIES);
	struct query *query = arena_take(a, queries, sizeof(*query));
	struct waiter *waiters = arena_take(a, (size_t)queries * 2, sizeof(*waiters));
	struct negative *negatives = arena_take(a, queries, sizeof(*negatives));
	struct stored *records;
	uint32_t *heads;

	while (buckets < cfg->record_max && buckets < 1u << 24)
		buckets *= 2;
	records = arena_take(a, cfg->record_max, sizeof(*records));
	heads = arena_take(a, buckets, sizeof(*heads));
	net->lookup = lk;
	if (!lk)
		return;                  /* only being sized */
	lk->queries = query;
	lk->query_max = queries;
	lk->waiters = waiters;
	lk->waiter_max = queries * 2;
	lk->negatives = negatives;
	lk->records = records;
	lk->buckets = heads;
	lk->record_max = cfg->record_max;
	lk->bucket_mask = buckets - 1;
}

static void own_rearm(struct net *net)
{
	struct lookup *lk = net->lookup;
	struct pn_time at = lk->refresh_at;

	if (lk->dirty)
		at = pn_time_min(at, lk->rebuild_at);
	for (unsigned i = 0; i < LOOKUP_REPLICAS; i++) {
		if (!lk->reg[i].acked)
			at = pn_time_min(at, lk->reg[i].next_try);
	}
	timer_set(net, &lk->own_timer, at);
}

void lookup_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	(void)cfg;
	lk->secret = net_random_u64(net);
	limit_init(&lk->answers, ANSWERS_PER_SOURCE, ANSWERS_PER_NODE, net_random_u64(net));
	limit_init(&lk->stores, STORES_PER_SOURCE, STORES_PER_NODE, net_random_u64(net));
	timer_init(&lk->own_timer, TIMER_LOOKUP, LOOKUP_TIMER_OWN);
	timer_init(&lk->scan_timer, TIMER_LOOKUP, LOOKUP_TIMER_SCAN);
	store_init(net);
	client_init(net);
	for (unsigned i = 0; i < LOOKUP_REPLICAS; i++)
		lk->reg[i].acked = true;
	lk->ready = true;
	lk->dirty = true;
	lk->rebuild_at = pn_time_add(now, DEBOUNCE_NS);
	lk->refresh_at = PN_TIME_NEVER;
	own_rearm(net);
	store_hurry(net, now);
}

/* Our own registration ------------------------------------------------------- */

/* A new record of all our addresses. */
static void own_build(struct net *net)
{
	struct lookup *lk = net->lookup;
	struct addr_record rec = { .lifetime_s = LIFETIME_S };

	for (uint16_t f = 0; f < facet_max(net) && rec.count < NET_ADDRS_MAX; f++) {
		if (facet_live(net, f))
			rec.addrs[rec.count++] = facet_addr(net, f);
	}
	PN_ASSERT(rec.count > 0);
	rec.seq = net->boot << 32 | ++lk->own_n;
	lk->own_len = (uint16_t)addr_record_build(net, &rec, lk->own, sizeof(lk->own));
	PN_ASSERT(lk->own_len > 0);
}

void lookup_own_renew(struct net *net)
{
	if (net->lookup->dirty && net->lookup->own_len > 0)
		own_build(net);          /* it is registered when its time has come */
}

void lookup_send_store(struct net *net, uint8_t replica, bool handover, uint64_t left_ns,
		       uint64_t cookie, const uint8_t *raw, size_t len, struct pn_time now)
{
	struct addr_record rec;
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .flags = NET_HDR_F_KEY,
			       .replica = replica };
	uint8_t buf[LOOKUP_PAYLOAD_MAX];
	struct pn_wr w;
	int rc = addr_record_parse(&rec, raw, len);

	PN_ASSERT(rc == 0);
	hdr.dst = lookup_key(rec.hit, replica);
	hdr.flow = (uint16_t)cookie;     /* another way, perhaps, at each attempt */
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_STORE);
	pn_wr_u8(&w, replica);
	pn_wr_u8(&w, handover ? LOOKUP_F_HANDOVER : 0);
	pn_wr_u32(&w, pn_min(left_ns / PN_MS(1), UINT32_MAX));
	pn_wr_u64(&w, cookie);
	pn_wr_bytes(&w, raw, len);
	PN_ASSERT(pn_wr_ok(&w));
	/* No route or no buffer now: as good as lost, it will be repeated. */
	(void)fwd_originate(net, 0, &hdr, buf, w.len, now);
}

static void own_send(struct net *net, uint8_t replica, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	struct registration *reg = &lk->reg[replica];

	if (reg->tries >= RETRY_MAX) {
		reg->next_try = PN_TIME_NEVER;   /* until the next refresh */
		return;
	}
	reg->cookie = net_random_u64(net);
	reg->next_try = pn_time_add(now, RETRY_NS << reg->tries);
	reg->tries++;
	lookup_send_store(net, replica, false, PN_S(LIFETIME_S), reg->cookie, lk->own,
			  lk->own_len, now);
}

static void own_expire(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	if (pn_time_due(lk->refresh_at, now) || (lk->dirty && pn_time_due(lk->rebuild_at, now))) {
		own_build(net);
		lk->dirty = false;
		lk->built_at = now;
		lk->refresh_at = pn_time_add(now, REFRESH_NS * 3 / 4 +
					     net_random_u64(net) % (REFRESH_NS / 2));
		for (unsigned i = 0; i < LOOKUP_REPLICAS; i++)
			lk->reg[i] = (struct registration){ .next_try = now };
	}
	for (uint8_t i = 0; i < LOOKUP_REPLICAS; i++) {
		if (!lk->reg[i].acked && pn_time_due(lk->reg[i].next_try, now))
			own_send(net, i, now);
	}
	own_rearm(net);
}

void lookup_on_address(struct net *net, uint16_t facet, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	(void)facet;
	if (!lk || !lk->ready)
		return;
	if (!lk->dirty) {
		struct pn_time spaced = pn_time_add(lk->built_at, SPACING_NS);

		lk->dirty = true;
		lk->rebuild_at = pn_time_add(now, DEBOUNCE_NS);
		if (pn_time_before(lk->rebuild_at, spaced))
			lk->rebuild_at = spaced;
		own_rearm(net);
	}
	store_hurry(net, now);
	peer_on_address(net);
}

size_t net_own_record(const struct net *net, uint8_t *buf, size_t cap)
{
	const struct lookup *lk = net->lookup;

	if (lk->own_len == 0 || cap < lk->own_len)
		return 0;
	memcpy(buf, lk->own, lk->own_len);
	return lk->own_len;
}

/* Messages ------------------------------------------------------------------- */

static void lookup_on_stored(struct net *net, struct pn_rd *rd, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint8_t replica = pn_rd_u8(rd);
	uint8_t status = pn_rd_u8(rd);
	uint64_t cookie = pn_rd_u64(rd);
	const uint8_t *hit = pn_rd_bytes(rd, PN_HIT_LEN);

	if (!pn_rd_finish(rd) || status > STORED_OLD || replica >= LOOKUP_REPLICAS) {
		count(net, lookup_bad);
		return;
	}
	if (memcmp(hit, net->hit, PN_HIT_LEN) == 0 && lk->reg[replica].cookie == cookie) {
		lk->reg[replica].acked = true;
		own_rearm(net);
		return;
	}
	store_on_stored(net, hit, replica, cookie, now);
}

void lookup_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		      const uint8_t *payload, size_t len, struct pn_time now)
{
	bool key = hdr->flags & NET_HDR_F_KEY;
	struct pn_rd rd;
	uint8_t kind;

	(void)facet;
	pn_rd_init(&rd, payload, len);
	kind = pn_rd_u8(&rd);
	if (kind == LOOKUP_STORE && key)
		store_on_store(net, hdr, &rd, now);
	else if (kind == LOOKUP_STORED && !key)
		lookup_on_stored(net, &rd, now);
	else if (kind == LOOKUP_QUERY && key)
		store_on_query(net, hdr, payload, len, now);
	else if (kind == LOOKUP_ANSWER && !key)
		client_on_answer(net, &rd, now);
	else
		count(net, lookup_bad);
}

void lookup_expire(struct net *net, uint32_t index, struct pn_time now)
{
	if (index < LOOKUP_QUERIES)
		client_expire(net, index, now);
	else if (index == LOOKUP_TIMER_OWN)
		own_expire(net, now);
	else if (index == LOOKUP_TIMER_SCAN)
		store_scan(net, now);
	else if (index == LOOKUP_TIMER_LOCAL)
		fwd_run_local(net, now);
}
