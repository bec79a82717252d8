/* SPDX-License-Identifier: ISC */
/* lookup_client.c - asking for an identity's addresses.  The rules are told in
 * lookup.c.
 *
 * Step i < scopes - 1 is the question in the i-th of our areas; the steps from there on are
 * the replicas in the network.  The first packet climbs from step to step by itself; whatever
 * comes back says how far it came.  All others ask directly, all steps that have not said that
 * they know nothing, at once, in rounds.  A query has one random number for all its attempts, so
 * that a late answer to an early attempt still counts.  An answer that is no newer than what
 * the asker knows already is as good as none, for him; those who only want to know are told
 * at once.
 *
 * The record that an anchor has may be an old one, of somebody who was cut off when he left.  A
 * peer finds that out when the first packet comes back.  For those who only want to know
 * the anchor lets himself answer.  If one sends a record all the same, he is asked himself, at
 * that address, as part of the same step.  That an answer is from himself his signature shows,
 * which is over our random number and our address: there is none that was kept from before. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/peer.h"

#define ROUNDS_MAX 3                 /* in which all are asked */
#define ATTEMPTS_MAX 100             /* packets */
#define AGAIN_MAX 8                  /* of them those that answers ask for */
#define PAUSE_NS PN_MS(400)          /* nobody knows it: again after that, then twice that, */
#define PAUSE_SHIFT_MAX 2            /* then four times, ... */
#define PAUSES_MAX 4
#define QUERY_NS PN_MS(4500)         /* asked for the last time then */
#define NEGATIVE_NS PN_S(1)

void client_init(struct net *net)
{
	for (uint32_t i = 0; i < net->lookup->query_max; i++)
		timer_init(&net->lookup->queries[i].timer, TIMER_LOOKUP, i);
}

void client_forget(struct net *net)
{
	for (uint32_t i = 0; i < net->lookup->query_max; i++)
		net->lookup->negatives[i].until = (struct pn_time){ 0 };
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

/* @rec: inside its area; NULL: not found */
static void query_tell(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token,
		       const struct addr_record *rec)
{
	struct net_event *ev = net_event_push(net, NET_EV_LOOKUP);
	uint64_t prefix = 0;

	ev->token = token;
	memcpy(ev->hit, hit, PN_HIT_LEN);
	if (!rec) {
		ev->reason = NET_ERR_UNKNOWN;
		return;
	}
	(void)addr_prefix(net, rec->area, rec->base, &prefix);
	memcpy(ev->id, rec->id, PN_ID_LEN);
	ev->addr_count = rec->count;
	for (unsigned i = 0; i < ev->addr_count; i++)
		ev->addrs[i] = prefix | rec->addrs[i];
	ev->addr = ev->addrs[0];
}

static void waiters_tell(struct net *net, const struct query *q, const struct addr_record *rec)
{
	struct lookup *lk = net->lookup;

	for (unsigned i = 0; i < lk->waiter_max; i++) {
		struct waiter *w = &lk->waiters[i];

		if (w->used && w->query == (uint8_t)(q - lk->queries)) {
			w->used = false;
			query_tell(net, q->hit, w->token, rec);
		}
	}
}

/* The end of a query, with a record or none.  @himself: it is from him whom it is about */
static void query_end(struct net *net, struct query *q, const struct addr_record *rec,
		      bool himself, struct pn_time now)
{
	bool for_peer = q->for_peer, stale = q->stale;
	uint8_t hit[PN_HIT_LEN];

	memcpy(hit, q->hit, PN_HIT_LEN);
	timer_set(net, &q->timer, PN_TIME_NEVER);
	q->used = false;
	if (!rec && !q->stale) {
		count(net, lookup_unknown);
		negative_add(net->lookup, hit, now);
	}
	waiters_tell(net, q, rec);
	/* Last: peer.c may begin another query, perhaps in this very slot. */
	if (rec)
		peer_on_record(net, rec, himself, now);
	else if (for_peer)
		peer_on_lookup_failed(net, hit, stale, now);
}

/* Steps ------------------------------------------------------------------------- */

/* @flags: LOOKUP_Q_ON: it may climb */
static void query_send(struct net *net, struct query *q, unsigned step, uint8_t flags,
		       const struct tree_scope *scope, struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP,
			       .flow = (uint16_t)net_random_u64(net) };
	uint8_t buf[LOOKUP_QUERY_MAX] = { 0 };
	struct pn_wr w;

	PN_ASSERT(q->want <= sizeof(buf));
	PN_ASSERT(step < LOOKUP_STEPS);
	if (q->attempts >= ATTEMPTS_MAX)
		return;
	q->attempts++;
	if (step + 1u >= q->scopes)
		hdr.replica = (uint8_t)(step + 1u - q->scopes);
	fwd_key_start(net, 0, lookup_key(q->hit, hdr.replica), scope->base, &hdr);
	hdr.dst_tag = net_hit_tag(q->hit);
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_QUERY);
	pn_wr_u8(&w, step);
	pn_wr_u8(&w, flags | (q->for_peer && !q->doubt ? 0 : LOOKUP_Q_HIMSELF));
	pn_wr_u64(&w, q->qid);
	pn_wr_bytes(&w, q->hit, PN_HIT_LEN);
	pn_wr_u64(&w, scope->area);
	PN_ASSERT(w.len == LOOKUP_QUERY_LEN);
	q->pending |= 1u << step;
	q->sent_at = now;
	count(net, lookup_queries);
	(void)fwd_originate(net, 0, &hdr, buf, q->want, now);
}

/* Ask the one whom we look for himself, where a record says that he is. */
static void query_ask_himself(struct net *net, struct query *q, const struct addr_record *rec,
			      uint64_t prefix, unsigned step, struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .dst = prefix | rec->addrs[0],
			       .dst_tag = net_hit_tag(q->hit),
			       .flow = (uint16_t)net_random_u64(net) };
	uint8_t buf[LOOKUP_QUERY_MAX] = { 0 };
	struct pn_wr w;

	q->attempts++;
	q->again++;
	q->climbing = false;
	q->pending |= 1u << step;
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_QUERY);
	pn_wr_u8(&w, step | LOOKUP_STEP_HIMSELF);
	pn_wr_u8(&w, 0);
	pn_wr_u64(&w, q->qid);
	pn_wr_bytes(&w, q->hit, PN_HIT_LEN);
	pn_wr_u64(&w, rec->area);
	timer_set(net, &q->timer, pn_time_add(now, lookup_timeout_ns(net, rec->base)));
	count(net, lookup_queries);
	(void)fwd_originate(net, 0, &hdr, buf, pn_max(q->want, w.len), now);
}

/* Is it worth asking himself?  Not if a peer is waiting who will find out. */
static bool query_doubts(const struct query *q)
{
	return (!q->for_peer || q->doubt) && !q->stale && q->attempts < ATTEMPTS_MAX &&
	       q->again < AGAIN_MAX;
}

/* Our areas may have changed since the query began: then it begins again.
 * Return: how many there are; 0: we do not know now */
static unsigned query_scopes(struct net *net, struct query *q,
			     struct tree_scope scopes[TREE_SCOPES_MAX])
{
	unsigned n = tree_scopes(net, 0, scopes);

	if (n > 0 && n != q->scopes) {
		q->scopes = (uint8_t)n;
		q->begun = q->climbing = false;
		q->unknown = 0;
	}
	return n;
}

/* Nobody knows it: it may be registering just now, or its part of the network be joining
 * ours, or an anchor have died a moment ago.  With an old record in hand that is worth no
 * wait. */
static void query_pause(struct net *net, struct query *q, struct pn_time now)
{
	uint64_t wait = PAUSE_NS << pn_min(q->pauses, PAUSE_SHIFT_MAX);
	uint64_t left = pn_time_until(now, q->until);

	if (q->pauses == PAUSES_MAX || q->stale || q->attempts >= ATTEMPTS_MAX || left == 0) {
		query_end(net, q, NULL, false, now);
		return;
	}
	q->pauses++;
	q->pausing = true;
	q->rounds = 0;
	timer_set(net, &q->timer, pn_time_add(now, pn_min(wait, left)));
}

/* The first packet: from the smallest area up */
static void query_climb(struct net *net, struct query *q, const struct tree_scope *scopes,
			struct pn_time now)
{
	const struct tree_scope *top = &scopes[q->scopes - 1];
	unsigned step = q->scopes > 1 ? 0 : lookup_nearest(net, 0, q->hit, top->base);

	q->begun = q->climbing = true;
	q->pending = 0;
	timer_set(net, &q->timer, pn_time_add(now, lookup_timeout_ns(net, top->base)));
	query_send(net, q, step, LOOKUP_Q_ON, &scopes[0], now);
}

/* All at once that have not said that they do not know */
static void query_next(struct net *net, struct query *q, struct pn_time now)
{
	struct tree_scope scopes[TREE_SCOPES_MAX];
	unsigned n = query_scopes(net, q, scopes);
	uint64_t wait = PAUSE_NS;        /* our network is being put together */

	if (n > 0 && !q->begun && q->rounds == 0 && q->attempts < ATTEMPTS_MAX) {
		query_climb(net, q, scopes, now);
		return;
	}
	if (++q->rounds > ROUNDS_MAX || q->attempts >= ATTEMPTS_MAX) {
		query_pause(net, q, now);
		return;
	}
	q->begun = true;
	q->climbing = false;
	q->pending = 0;
	if (n > 0)
		wait = lookup_timeout_ns(net, scopes[n - 1].base);
	timer_set(net, &q->timer, pn_time_add(now, wait << (q->rounds - 1)));
	for (unsigned i = 0; n > 0 && i < n - 1 + LOOKUP_REPLICAS; i++) {
		if (!(q->unknown & 1u << i))
			query_send(net, q, i, 0, &scopes[i < n ? i : n - 1], now);
	}
}

/* That step has nothing (new); if the packet climbed, all before it have nothing either. */
static void query_unknown(struct net *net, struct query *q, unsigned step, struct pn_time now)
{
	uint32_t all = (1u << LOOKUP_REPLICAS) - 1, below = (1u << (q->scopes - 1)) - 1;

	PN_ASSERT(q->scopes > 0);
	q->unknown |= 1u << step;
	if (q->pausing)
		return;
	if (q->climbing) {
		q->unknown |= below & ((1u << step) - 1);
		q->climbing = false;
		q->pending = 0;
	} else if (!(q->pending & 1u << step)) {
		return;
	}
	q->pending &= ~(1u << step);
	if (q->pending)
		return;
	if ((q->unknown >> (q->scopes - 1) & all) != all)
		query_next(net, q, now);
	else
		query_pause(net, q, now);
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

/* Asking -------------------------------------------------------------------------- */

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
		q->until = pn_time_add(now, QUERY_NS);
		query_next(net, q, now);
		return q;
	}
	count(net, lookup_busy);
	return NULL;
}

int lookup_start(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t min_seq, bool doubt,
		 struct pn_time now)
{
	struct lookup *lk = net->lookup;
	struct query *q = query_find(lk, hit);

	if (!q && negative_has(lk, hit, now))
		return PN_EUNREACH;
	if (!q)
		q = query_begin(net, hit, now);
	if (!q)
		return PN_EFULL;
	q->for_peer = true;
	q->doubt = q->doubt || doubt;
	if (q->min_seq < min_seq)
		q->min_seq = min_seq;
	return 0;
}

void net_lookup(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	struct query *q = query_find(lk, hit);
	uint8_t raw[ADDR_RECORD_MAX];
	struct addr_record own;

	net->now = now;
	if (memcmp(hit, net->hit, PN_HIT_LEN) == 0 &&
	    addr_record_parse(&own, raw, own_record(net, 0, NULL, raw, sizeof(raw))) == 0) {
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

/* Answers --------------------------------------------------------------------------- */

/* An answer with a record.  @himself: it says that it is from him whom it is about
 * Return: false if it is not one that counts */
static bool query_on_record(struct net *net, struct query *q, const struct net_hdr *hdr,
			    struct pn_rd *rd, unsigned step, bool himself, struct pn_time now)
{
	struct addr_ask ask = { .qid = q->qid, .asker = hdr->dst };
	const uint8_t *raw = rd->at;
	size_t len = pn_rd_left(rd);
	struct addr_record rec;
	uint64_t prefix;

	if (addr_record_parse(&rec, raw, len) < 0 || memcmp(rec.hit, q->hit, PN_HIT_LEN) != 0)
		return false;
	if (!limit_take(&net->lookup->stores, hdr->src, now)) {
		count(net, lookup_limited);
		return true;
	}
	if (addr_record_verify(&rec, himself ? &ask : NULL, raw, len) < 0)
		return false;
	if (!addr_prefix(net, rec.area, rec.base, &prefix)) {
		count(net, lookup_elsewhere);    /* we have left that area meanwhile */
		query_unknown(net, q, step, now);
		return true;
	}
	if (rec.seq > q->min_seq && !himself && query_doubts(q)) {
		query_ask_himself(net, q, &rec, prefix, step, now);
		return true;
	}
	/* Asked because his address does not work, he may say what is not newer: see peer.c. */
	if (rec.seq > q->min_seq || (himself && q->doubt)) {
		query_end(net, q, &rec, himself, now);
		return true;
	}
	q->stale = true;
	waiters_tell(net, q, &rec);
	query_unknown(net, q, step, now);
	return true;
}

static void query_on_longer(struct net *net, struct query *q, unsigned step, uint16_t want,
			    struct pn_time now)
{
	struct tree_scope scopes[TREE_SCOPES_MAX];
	unsigned n = query_scopes(net, q, scopes);

	q->again++;
	if (q->want < want)
		q->want = want;
	if (n > 0 && step < n + LOOKUP_REPLICAS - 1)
		query_send(net, q, step, 0, &scopes[step < n ? step : n - 1], now);
}

static struct query *query_by_id(struct lookup *lk, uint64_t qid)
{
	for (unsigned i = 0; i < lk->query_max; i++) {
		if (lk->queries[i].used && lk->queries[i].qid == qid)
			return &lk->queries[i];
	}
	return NULL;
}

static void query_measure(struct net *net, const struct query *q, unsigned step, struct pn_time now)
{
	struct tree_scope scopes[TREE_SCOPES_MAX];
	unsigned n = tree_scopes(net, 0, scopes);

	if (n == q->scopes && (q->climbing || (q->pending & 1u << step)))
		lookup_rtt_sample(net, scopes[step < n ? step : n - 1].base,
				  pn_time_since(now, q->sent_at));
}

void client_on_answer(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		      struct pn_time now)
{
	uint8_t step = pn_rd_u8(rd);
	uint8_t status = pn_rd_u8(rd);
	uint64_t qid = pn_rd_u64(rd);
	struct query *q = rd->bad ? NULL : query_by_id(net->lookup, qid);

	if (rd->bad || step >= LOOKUP_STEPS) {
		count(net, lookup_bad);
		return;
	}
	if (!q || q->scopes == 0 || step + 1u > q->scopes + LOOKUP_REPLICAS - 1u)
		return;                  /* late, another one was faster */
	query_measure(net, q, step, now);
	if (status == ANSWER_RECORD || status == ANSWER_HIMSELF) {
		if (query_on_record(net, q, hdr, rd, step, status == ANSWER_HIMSELF, now))
			return;
	} else if (status == ANSWER_UNKNOWN && pn_rd_finish(rd)) {
		query_unknown(net, q, step, now);
		return;
	} else if (status == ANSWER_LONGER) {
		uint16_t want = pn_rd_u16(rd);

		if (pn_rd_finish(rd) && want > LOOKUP_QUERY_WANT && want <= LOOKUP_QUERY_MAX &&
		    q->again < AGAIN_MAX && (q->climbing || (q->pending & 1u << step))) {
			query_on_longer(net, q, step, want, now);
			return;
		}
	}
	/* Whoever answers nonsense knows nothing. */
	count(net, lookup_bad);
	query_unknown(net, q, step, now);
}

void client_on_error(struct net *net, struct pn_rd *rd, struct pn_time now)
{
	uint8_t told = pn_rd_u8(rd), step = told & (uint8_t)~LOOKUP_STEP_HIMSELF;
	uint64_t qid;
	struct query *q;

	(void)pn_rd_u8(rd);
	qid = pn_rd_u64(rd);
	q = rd->bad ? NULL : query_by_id(net->lookup, qid);
	if (!q || step == told || q->scopes == 0 || step + 1u > q->scopes + LOOKUP_REPLICAS - 1u)
		return;
	count(net, lookup_gone);
	q->stale = q->stale || q->doubt; /* as the peer knows already */
	query_unknown(net, q, step, now);
}
