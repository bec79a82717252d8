/* SPDX-License-Identifier: ISC */
/* lookup.c - the lookup service: theory, messages
 *
 * Theory of operation
 *
 * Where an identity is says its address record, signed by itself.  It is kept by
 * anchors: the ends of the walks to the keys BLAKE2b(HIT, replica) (fwd_hop.c).
 * Nobody can forge a record, an anchor can only withhold it, and then another one
 * answers.
 *
 * Scopes.  There is a record for the whole network, under three keys, and one, under
 * the first key, for each of the smaller areas around the identity that are its blocks
 * at levels 3, 6, 9 ... (tree_scopes(); all in an area agree on whether it is one).  A
 * walk in an area does not leave it.  A record for an area says where the identity
 * is inside: the low bits of its addresses.  A change of the prefix above concerns
 * nobody then; who asks is in the area too and puts its own prefix in front.  The
 * area is signed with the addresses, so a record is good for nothing elsewhere.
 *
 * seq grows whenever an address changes, stamp whenever the same is registered again.
 * When the bits in an area change those in all larger ones do; so a record of a larger
 * area never has a lower seq than one of a smaller area, and of two records of
 * an identity the one with the higher seq is true.
 *
 * Registering (lookup_own.c).  Only what changed is registered anew.  Otherwise every 30 s
 * x 2^(level/2), with a quarter of jitter; kept three times as long.  A STORE is repeated
 * after 300 ms, 600 ms ... 19.2 s, and so on, until its anchor acknowledges it.
 *
 * Succession, and areas cut in two.  The name of an area is its line, so that nobody registers
 * anew in a hurry when its leader died.  But it may have been cut: then the part without the
 * leader has a successor of the same line, the anchors of many are in the other part, and
 * what they keep for those over there stays.  When both parts are one network again there are two
 * areas of that name in it.  So all register again when they see a successor, a while
 * later in large areas; who is asked himself looks whether the asker is in his area or in
 * the other one; and a peer whose address does not work asks him himself, and believes him
 * though he does not say anything newer (peer.c).
 *
 * Keeping (lookup_store.c, lookup_hand.c).  An anchor takes a record that is signed, newer,
 * of an area that it is in, and if it comes from its identity then from one of the
 * addresses told.  As refreshes are rare, a record outlives its anchor: the anchor of an area
 * that is not small keeps a second copy in its sibling block at the lowest level, just where
 * the walk will end if the anchor is gone.  Records are looked over, a few every 2 s, and all
 * soon after the chain changed: whoever is no longer the end of the walk hands the record
 * on, and keeps it until the new anchor has acknowledged it.
 *
 * Asking (lookup_client.c, lookup_answer.c).  One query at a time for an identity.  It goes to
 * the anchor of our smallest area first, which, if it knows nothing, does not say so but passes
 * it on to the next larger one, and so on; in the end to the replica in the network whose
 * walk leaves that anchor's side at the lowest level, as it is likely to be near.  So an area
 * that is asked in vain costs a small detour, not a way there and back.  For those who only
 * want to know, the anchor that has a record sends the query to him whom it is about, and he
 * answers himself: an old record is found out where it is kept, and costs no second
 * question.  He signs the number of the query and the asker's address along with his record, as
 * his word counts more than that of an anchor, who knows the number too and may have kept any
 * record of his.  A peer's first packet finds that out as well, so he is told by the anchor.
 * The query carries the tag of the identity: if it meets a neighbour of his on its way it
 * goes to him right away.
 *   If there is no answer in time (round-trip times are learned for each size of area), or
 * one that has nothing, all who have not said so are asked at once, directly: a silent or
 * lying anchor costs one retry.  If all say that there is none, again after 0.4 s, 0.8 s, 1.6 s
 * and 1.6 s, because it may be registering just now, or be cut off from us for a moment.
 *
 * Moving (lookup_left.c).  The anchors of small areas that we left are told where we are.
 *
 * Timers (TIMER_LOOKUP): one for each query; one for our registrations; one to
 * look over records.  TIMER_RECORD: the end of a record, or the next attempt to
 * hand it on, whichever is first.
 *
 * Limits.  Answers, the signatures that they cost and signature checks are limited per
 * source and in all, records per source address block, so that one place cannot fill a table.
 * An answer is never longer than the query, which therefore carries zeros; who wants a longer
 * record is told how long he must make it.  Signatures of answers are checked within the
 * same limits, and answers make the asker send no more than a few packets.
 */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/peer.h"

#include <limits.h>

#define ANSWERS_PER_SOURCE 200       /* a second */
#define ANSWERS_PER_NODE 5000
#define STORES_PER_SOURCE 200        /* a second; each costs a signature check of 40 us */
#define STORES_PER_NODE 2000
#define SIGNS_PER_SOURCE 50          /* a second; each costs a signature of 25 us */
#define SIGNS_PER_NODE 2000
#define REGS_SPARE 2                 /* registrations, beside those of each facet */
#define REGS_PER_FACET 2
#define TIMEOUT_MIN_NS PN_MS(60)
#define TIMEOUT_MAX_NS PN_MS(800)
#define TIMEOUT_FIRST_NS PN_MS(100)  /* nothing learned yet, and more */
#define TIMEOUT_LEVEL_NS PN_MS(20)   /* for each level */

void lookup_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t buckets = 16;
	uint32_t facets = net_limit(cfg->facet_max, facets_for(cfg->adj_max) + 1);
	uint32_t levels = net_limit(cfg->level_max, NET_LEVEL_LIMIT);
	uint32_t regs = levels / TREE_SCOPE_STEP + REGS_SPARE + REGS_PER_FACET * facets;
	uint32_t large_max = cfg->record_max / 32 + 1;
	uint32_t queries = (uint32_t)pn_min(net_limit(cfg->query_max, LOOKUP_QUERIES),
					    LOOKUP_QUERIES);
	struct lookup *lk = arena_take(a, 1, sizeof(*lk));
	struct query *query = arena_take(a, queries, sizeof(*query));
	struct waiter *waiters = arena_take(a, (size_t)queries * 2, sizeof(*waiters));
	struct negative *negatives = arena_take(a, queries, sizeof(*negatives));
	struct registration *reg;
	struct stored *records;
	struct large *large;
	uint32_t *heads;

	while (buckets < cfg->record_max && buckets < 1u << 24)
		buckets *= 2;
	if (large_max > UINT16_MAX - 1)
		large_max = UINT16_MAX - 1;
	reg = arena_take(a, regs, sizeof(*reg));
	records = arena_take(a, cfg->record_max, sizeof(*records));
	large = arena_take(a, large_max, sizeof(*large));
	heads = arena_take(a, buckets, sizeof(*heads));
	limit_carve(lk ? &lk->answers : NULL, a, net_limit(cfg->source_max, LIMIT_SLOTS));
	limit_carve(lk ? &lk->stores : NULL, a, net_limit(cfg->source_max, LIMIT_SLOTS));
	limit_carve(lk ? &lk->signs : NULL, a, net_limit(cfg->source_max, LIMIT_SLOTS));
	net->lookup = lk;
	if (!lk)
		return;                  /* only being sized */
	lk->queries = query;
	lk->query_max = queries;
	lk->waiters = waiters;
	lk->waiter_max = queries * 2;
	lk->negatives = negatives;
	lk->regs = reg;
	lk->reg_max = regs;
	lk->records = records;
	lk->large = large;
	lk->large_max = (uint16_t)large_max;
	lk->buckets = heads;
	lk->record_max = cfg->record_max;
	lk->bucket_mask = buckets - 1;
}

void lookup_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	(void)cfg;
	lk->secret = net_random_u64(net);
	limit_init(&lk->answers, ANSWERS_PER_SOURCE, ANSWERS_PER_NODE, net_random_u64(net));
	limit_init(&lk->stores, STORES_PER_SOURCE, STORES_PER_NODE, net_random_u64(net));
	limit_init(&lk->signs, SIGNS_PER_SOURCE, SIGNS_PER_NODE, mix64(lk->secret));
	timer_init(&lk->scan_timer, TIMER_LOOKUP, LOOKUP_TIMER_SCAN);
	table_init(net);
	client_init(net);
	own_init(net, now);
	lk->ready = true;
	store_hurry(net, now);
}

void lookup_on_chain(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	if (!lk || !lk->ready)
		return;
	own_changed(net, now);
	store_hurry(net, now);
}

void lookup_on_address(struct net *net, uint16_t facet, struct pn_time now)
{
	(void)facet;
	lookup_on_chain(net, now);
	peer_on_address(net);
}

/* How long to wait --------------------------------------------------------------- */

static struct lookup_rtt *rtt_of(struct lookup *lk, unsigned base)
{
	PN_ASSERT(base <= 64);
	return &lk->rtt[base / TREE_SCOPE_STEP];
}

void lookup_rtt_sample(struct net *net, unsigned base, uint64_t ns)
{
	struct lookup_rtt *r = rtt_of(net->lookup, base);
	uint32_t us = (uint32_t)pn_min(ns / 1000, 1000000) + 1;

	if (r->srtt_us == 0) {
		r->srtt_us = us;
		r->var_us = us / 2;
		return;
	}
	uint32_t off = us > r->srtt_us ? us - r->srtt_us : r->srtt_us - us;

	r->var_us = (3 * r->var_us + off) / 4;
	r->srtt_us = (7 * r->srtt_us + us) / 8;
}

uint64_t lookup_timeout_ns(const struct net *net, unsigned base)
{
	const struct lookup_rtt *r = &net->lookup->rtt[base / TREE_SCOPE_STEP];
	uint64_t ns = r->srtt_us ? (r->srtt_us + 4ull * r->var_us) * 1000
				 : TIMEOUT_FIRST_NS + TIMEOUT_LEVEL_NS * base;

	return ns < TIMEOUT_MIN_NS ? TIMEOUT_MIN_NS : ns > TIMEOUT_MAX_NS ? TIMEOUT_MAX_NS : ns;
}

uint8_t lookup_nearest(const struct net *net, uint16_t facet, const uint8_t hit[PN_HIT_LEN],
		       unsigned base)
{
	uint8_t best = 0;
	int least = INT_MAX;

	for (uint8_t r = 0; r < LOOKUP_REPLICAS; r++) {
		int away = fwd_key_walk(net, facet, lookup_key(hit, r), base);

		if (away < least) {
			least = away;
			best = r;
		}
	}
	return best;
}

/* Messages ------------------------------------------------------------------- */

void lookup_send_store(struct net *net, const struct lookup_store_msg *m,
		       const uint8_t hit[PN_HIT_LEN], const uint8_t *raw, size_t len,
		       struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .replica = m->replica };
	uint8_t buf[LOOKUP_PAYLOAD_MAX];
	struct pn_wr w;

	if (!facet_live(net, m->facet))
		return;                  /* it went: registrations follow soon */
	fwd_key_start(net, m->facet, lookup_key(hit, m->replica), m->base, &hdr);
	if (m->level >= 0) {             /* picked: the other side at that level */
		hdr.level = (uint8_t)m->level;
		hdr.flags = NET_HDR_F_KEY;
		if (!(facet_addr(net, m->facet) >> m->level & 1))
			hdr.flags |= NET_HDR_F_KEY_BIT;
	}
	hdr.flow = (uint16_t)m->cookie;  /* another way, perhaps, at each attempt */
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_STORE);
	pn_wr_u8(&w, m->replica);
	pn_wr_u8(&w, m->flags);
	pn_wr_u32(&w, pn_min(m->left_ns / PN_MS(1), UINT32_MAX));
	pn_wr_u64(&w, m->cookie);
	pn_wr_bytes(&w, raw, len);
	PN_ASSERT(pn_wr_ok(&w));
	count(net, lookup_stores);
	/* No route or no buffer now: as good as lost, it will be repeated. */
	(void)fwd_originate(net, m->facet, &hdr, buf, w.len, now);
}

static void lookup_on_stored(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
			     struct pn_time now)
{
	uint8_t status = pn_rd_u8(rd);
	uint64_t cookie = pn_rd_u64(rd);

	if (!pn_rd_finish(rd) || status > STORED_OLD) {
		count(net, lookup_bad);
		return;
	}
	if (!own_on_stored(net, hdr, cookie, now) && !left_on_stored(net, cookie))
		store_on_stored(net, cookie, now);
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
		lookup_on_stored(net, hdr, &rd, now);
	else if (kind == LOOKUP_STORE)
		store_on_left(net, hdr, &rd, now);
	else if (kind == LOOKUP_MOVED && !key)
		lookup_on_moved(net, hdr, &rd, now);
	else if (kind == LOOKUP_QUERY)
		answer_on_query(net, hdr, payload, len, now);
	else if (kind == LOOKUP_ANSWER && !key)
		client_on_answer(net, hdr, &rd, now);
	else
		count(net, lookup_bad);
}

void lookup_on_error(struct net *net, const struct fwd_error *err, struct pn_time now)
{
	struct pn_rd rd;

	pn_rd_init(&rd, err->excerpt, err->excerpt_len);
	if (pn_rd_u8(&rd) == LOOKUP_QUERY)
		client_on_error(net, &rd, now);
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
