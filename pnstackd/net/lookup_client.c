/* SPDX-License-Identifier: ISC */
/* lookup_client.c - asking for an identity's addresses.  The rules are told in
 * lookup.c.
 *
 * A query has one random number for all its attempts, so that a late answer to
 * an early attempt still counts.  An answer that is no newer than what the asker
 * knows already is kept while the other replicas are asked for news. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/peer.h"

#define ATTEMPTS_MAX 9
#define PAUSE_NS PN_MS(400)
#define NEGATIVE_NS PN_S(1)

static const uint64_t timeout_ns[ATTEMPTS_MAX / LOOKUP_REPLICAS] = {
	PN_MS(250), PN_MS(300), PN_MS(400)
};

void client_init(struct net *net)
{
	for (uint32_t i = 0; i < net->lookup->query_max; i++)
		timer_init(&net->lookup->queries[i].timer, TIMER_LOOKUP, i);
}

static struct query *query_find(struct lookup *lk, const uint8_t hit[PN_HIT_LEN])
{
	for (unsigned i = 0; i < lk->query_max; i++) {
		if (lk->queries[i].used && memcmp(lk->queries[i].hit, hit, PN_HIT_LEN) == 0)
			return &lk->queries[i];
	}
	return NULL;
}

static bool negative_has(const struct lookup *lk, const uint8_t hit[PN_HIT_LEN], struct pn_time now)
{
	for (unsigned i = 0; i < lk->query_max; i++) {
		const struct negative *n = &lk->negatives[i];

		if (pn_time_before(now, n->until) && memcmp(n->hit, hit, PN_HIT_LEN) == 0)
			return true;
	}
	return false;
}

static void negative_add(struct lookup *lk, const uint8_t hit[PN_HIT_LEN], struct pn_time now)
{
	struct negative *n = &lk->negatives[lk->negative_at++ % lk->query_max];

	n->until = pn_time_add(now, NEGATIVE_NS);
	memcpy(n->hit, hit, PN_HIT_LEN);
}

static void query_tell(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token,
		       const struct addr_record *rec)
{
	struct net_event *ev = net_event_push(net, NET_EV_LOOKUP);

	ev->token = token;
	memcpy(ev->hit, hit, PN_HIT_LEN);
	if (!rec) {
		ev->reason = NET_ERR_UNKNOWN;
		return;
	}
	memcpy(ev->id, rec->id, PN_ID_LEN);
	ev->addr_count = rec->count;
	ev->addr = rec->addrs[0];
	memcpy(ev->addrs, rec->addrs, rec->count * sizeof(rec->addrs[0]));
}

/* The end of a query, with a record or none.  @rec is not in the query. */
static void query_end(struct net *net, struct query *q, const struct addr_record *rec,
		      struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint8_t index = (uint8_t)(q - lk->queries);
	bool for_peer = q->for_peer;
	uint8_t hit[PN_HIT_LEN];

	memcpy(hit, q->hit, PN_HIT_LEN);
	timer_set(net, &q->timer, PN_TIME_NEVER);
	q->used = false;
	if (!rec) {
		count(net, lookup_unknown);
		negative_add(lk, hit, now);
	}
	for (unsigned i = 0; i < lk->waiter_max; i++) {
		struct waiter *w = &lk->waiters[i];

		if (w->used && w->query == index) {
			w->used = false;
			query_tell(net, hit, w->token, rec);
		}
	}
	/* Last: peer.c may begin another query, perhaps in this very slot. */
	if (rec)
		peer_on_record(net, rec, now);
	else if (for_peer)
		peer_on_lookup_failed(net, hit, now);
}

static void query_fail(struct net *net, struct query *q, struct pn_time now)
{
	struct addr_record rec = q->stale;

	query_end(net, q, q->have_stale ? &rec : NULL, now);
}

static void query_send(struct net *net, struct query *q, struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .flags = NET_HDR_F_KEY,
			       .replica = q->replica, .dst = lookup_key(q->hit, q->replica),
			       .flow = (uint16_t)net_random_u64(net) };
	uint8_t buf[LOOKUP_QUERY_MAX] = { 0 };
	struct pn_wr w;

	PN_ASSERT(q->attempts < ATTEMPTS_MAX);
	PN_ASSERT(q->want <= sizeof(buf));
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_QUERY);
	pn_wr_u8(&w, q->replica);
	pn_wr_u8(&w, 0);
	pn_wr_u64(&w, q->qid);
	pn_wr_bytes(&w, q->hit, PN_HIT_LEN);
	PN_ASSERT(w.len == LOOKUP_QUERY_LEN);
	timer_set(net, &q->timer, pn_time_add(now, timeout_ns[q->attempts / LOOKUP_REPLICAS]));
	q->attempts++;
	count(net, lookup_queries);
	(void)fwd_originate(net, 0, &hdr, buf, q->want, now);
}

/* The next replica that has not said that it does not know. */
static void query_next(struct net *net, struct query *q, struct pn_time now)
{
	if (q->attempts >= ATTEMPTS_MAX) {
		query_fail(net, q, now);
		return;
	}
	for (unsigned i = 0; i < LOOKUP_REPLICAS; i++) {
		q->replica = (uint8_t)((q->replica + 1) % LOOKUP_REPLICAS);
		if (!(q->unknown & 1u << q->replica))
			break;
	}
	query_send(net, q, now);
}

/* @replica has nothing (new). */
static void query_unknown(struct net *net, struct query *q, uint8_t replica, struct pn_time now)
{
	q->unknown |= (uint8_t)(1u << replica);
	if (q->pausing)
		return;
	if (q->unknown != (1u << LOOKUP_REPLICAS) - 1) {
		if (replica == q->replica)
			query_next(net, q, now);
		return;
	}
	/* Nobody: it may be registering just now.  With an old record in hand that
	 * is worth no wait. */
	if (q->retried || q->have_stale) {
		query_fail(net, q, now);
		return;
	}
	q->retried = true;
	q->pausing = true;
	timer_set(net, &q->timer, pn_time_add(now, PAUSE_NS));
}

void client_expire(struct net *net, uint32_t index, struct pn_time now)
{
	struct query *q = &net->lookup->queries[index];

	PN_ASSERT(index < net->lookup->query_max);
	PN_ASSERT(q->used);
	if (q->pausing) {
		q->pausing = false;
		q->unknown = 0;
	}
	query_next(net, q, now);
}

static struct query *query_begin(struct net *net, const uint8_t hit[PN_HIT_LEN], struct pn_time now)
{
	struct lookup *lk = net->lookup;

	for (unsigned i = 0; i < lk->query_max; i++) {
		struct query *q = &lk->queries[i];
		struct net_timer timer = q->timer;

		if (q->used)
			continue;
		*q = (struct query){ .used = true, .want = LOOKUP_QUERY_WANT, .timer = timer };
		memcpy(q->hit, hit, PN_HIT_LEN);
		q->qid = net_random_u64(net);
		q->replica = (uint8_t)(net_random_u64(net) % LOOKUP_REPLICAS);
		query_send(net, q, now);
		return q;
	}
	count(net, lookup_busy);
	return NULL;
}

int lookup_start(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t min_seq,
		 struct pn_time now)
{
	struct query *q = query_find(net->lookup, hit);

	if (!q && negative_has(net->lookup, hit, now))
		return PN_EUNREACH;
	if (!q)
		q = query_begin(net, hit, now);
	if (!q)
		return PN_EFULL;
	q->for_peer = true;
	q->min_seq = q->min_seq > min_seq ? q->min_seq : min_seq;
	return 0;
}

void net_lookup(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	struct query *q = query_find(lk, hit);
	struct addr_record own;

	net->now = now;
	if (memcmp(hit, net->hit, PN_HIT_LEN) == 0 &&
	    addr_record_parse(&own, lk->own, lk->own_len) == 0) {
		query_tell(net, hit, token, &own);
		return;
	}
	if (!q && !negative_has(lk, hit, now))
		q = query_begin(net, hit, now);
	for (unsigned i = 0; q && i < lk->waiter_max; i++) {
		struct waiter *w = &lk->waiters[i];

		if (w->used)
			continue;
		*w = (struct waiter){ .used = true, .query = (uint8_t)(q - lk->queries),
				      .token = token };
		return;
	}
	if (q)
		count(net, lookup_busy);
	query_tell(net, hit, token, NULL);
}

/* An answer with a record.  Return: false if it is not one that counts */
static bool query_on_record(struct net *net, struct query *q, struct pn_rd *rd, uint8_t replica,
			    struct pn_time now)
{
	const uint8_t *raw = rd->at;
	size_t len = pn_rd_left(rd);
	struct addr_record rec;

	if (addr_record_parse(&rec, raw, len) < 0 || memcmp(rec.hit, q->hit, PN_HIT_LEN) != 0 ||
	    addr_record_verify(&rec, raw, len) < 0)
		return false;
	if (rec.seq > q->min_seq) {
		query_end(net, q, &rec, now);
		return true;
	}
	q->have_stale = true;
	q->stale = rec;
	query_unknown(net, q, replica, now);
	return true;
}

void client_on_answer(struct net *net, struct pn_rd *rd, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint8_t replica = pn_rd_u8(rd);
	uint8_t status = pn_rd_u8(rd);
	uint64_t qid = pn_rd_u64(rd);
	struct query *q = NULL;

	for (unsigned i = 0; i < lk->query_max && !q; i++) {
		if (lk->queries[i].used && lk->queries[i].qid == qid)
			q = &lk->queries[i];
	}
	if (rd->bad || replica >= LOOKUP_REPLICAS) {
		count(net, lookup_bad);
		return;
	}
	if (!q)
		return;                  /* late, another replica was faster */
	if (status == ANSWER_RECORD) {
		if (query_on_record(net, q, rd, replica, now))
			return;
	} else if (status == ANSWER_UNKNOWN && pn_rd_finish(rd)) {
		query_unknown(net, q, replica, now);
		return;
	} else if (status == ANSWER_LONGER) {
		uint16_t want = pn_rd_u16(rd);

		if (pn_rd_finish(rd) && want > q->want && want <= LOOKUP_QUERY_MAX &&
		    q->attempts < ATTEMPTS_MAX && !q->pausing) {
			q->want = want;
			q->replica = replica;
			query_send(net, q, now);
			return;
		}
	}
	/* Whoever answers nonsense knows nothing. */
	count(net, lookup_bad);
	query_unknown(net, q, replica, now);
}
