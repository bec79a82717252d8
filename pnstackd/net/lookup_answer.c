/* SPDX-License-Identifier: ISC */
/* lookup_answer.c - the anchor: what it answers.  The rules are told in lookup.c. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"

#include <limits.h>

/* The best record that we have for somebody who is in @area: the newest, of that area or
 * left here as a hint.  Those of larger areas would do as well, but if their owner has
 * registered anew since then, that was elsewhere. */
static const struct stored *store_best(struct net *net, const uint8_t hit[PN_HIT_LEN],
				       uint64_t area)
{
	const struct stored *best = NULL;
	struct stored *s = NULL;

	while ((s = store_next(net, hit, s))) {
		if (s->area != area && s->replica != LOOKUP_HINT)
			continue;
		if (!best || addr_record_newer(s->seq, s->stamp, best->seq, best->stamp))
			best = s;
	}
	return best;
}

static bool in_area(const struct net *net, uint64_t area)
{
	for (uint16_t f = 0; f < facet_max(net); f++) {
		if (facet_live(net, f) && tree_area_base(net, f, area) >= 0)
			return true;
	}
	return false;
}

/* Is @addr in that area, too?  When an area was cut in two and both parts have met again, both
 * may have the same line. */
static bool shares_area(const struct net *net, uint64_t area, uint64_t addr)
{
	uint64_t prefix;

	for (uint16_t f = 0; f < facet_max(net); f++) {
		int base = facet_live(net, f) ? tree_area_base(net, f, area) : -1;

		if (base < 0)
			continue;
		prefix = facet_addr(net, f) ^ addr_low(facet_addr(net, f), (unsigned)base);
		if ((addr ^ addr_low(addr, (unsigned)base)) == prefix)
			return true;
	}
	return false;
}

/* Return: the record that we keep for the answer, NULL: none */
static const uint8_t *query_record(struct net *net, const uint8_t *hit, uint64_t area, bool key,
				   size_t *len)
{
	const struct stored *s;

	if (!key || !in_area(net, area))
		return NULL;             /* we are not in that area (any more) */
	s = store_best(net, hit, area);
	*len = s ? s->len : 0;
	return s ? store_raw(net, s) : NULL;
}

/* A query that came to us; the payload is passed on with other numbers in it. */
struct asked {
	const struct net_hdr *hdr;
	uint8_t step, flags;
	uint64_t qid, area;
	const uint8_t *hit, *payload;
	size_t len;
};

static int query_parse(struct asked *q, const struct net_hdr *hdr, const uint8_t *payload,
		       size_t len)
{
	struct pn_rd rd;

	pn_rd_init(&rd, payload, len);
	(void)pn_rd_u8(&rd);
	q->hdr = hdr;
	q->payload = payload;
	q->len = len;
	q->step = pn_rd_u8(&rd);
	q->flags = pn_rd_u8(&rd);
	q->qid = pn_rd_u64(&rd);
	q->hit = pn_rd_bytes(&rd, PN_HIT_LEN);
	q->area = pn_rd_u64(&rd);
	return rd.bad || len > LOOKUP_QUERY_MAX ? PN_EBADMSG : 0;
}

/* Send it on, as if the asker had sent it there himself.  Return: false: it cannot go there */
static bool query_relay(struct net *net, const struct asked *q, uint16_t facet,
			struct net_hdr *hdr, uint8_t step, uint8_t flags, uint64_t area,
			struct pn_time now)
{
	uint8_t buf[LOOKUP_QUERY_MAX];
	struct pn_wr w;

	if (q->hdr->hops <= 1)
		return false;
	hdr->proto = NET_PROTO_LOOKUP;
	hdr->flow = q->hdr->flow;
	hdr->hops = q->hdr->hops - 1;    /* it does not go round for ever, either */
	hdr->src = q->hdr->src;
	hdr->src_tag = q->hdr->src_tag;
	hdr->dst_tag = net_hit_tag(q->hit);
	memcpy(buf, q->payload, q->len);
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_QUERY);
	pn_wr_u8(&w, step);
	pn_wr_u8(&w, flags);
	pn_wr_u64(&w, q->qid);
	pn_wr_bytes(&w, q->hit, PN_HIT_LEN);
	pn_wr_u64(&w, area);
	PN_ASSERT(w.len == LOOKUP_QUERY_LEN);
	return fwd_relay(net, facet, hdr, buf, q->len, now) == 0;
}

/* We know nothing: on to the anchor in the next larger area.  Return: false: there is none */
static bool query_pass_on(struct net *net, const struct asked *q, struct pn_time now)
{
	struct tree_scope scopes[TREE_SCOPES_MAX];
	uint8_t step = q->step + 1;
	struct net_hdr hdr = { 0 };
	unsigned n = 0, i = 0;
	uint16_t f = 0;

	for (; f < facet_max(net); f++) {
		n = facet_live(net, f) ? tree_scopes(net, f, scopes) : 0;
		for (i = 0; i < n && scopes[i].area != q->area; i++)
			;
		if (i + 1 < n)
			break;
	}
	if (f == facet_max(net) || q->step >= TREE_SCOPES_MAX)
		return false;
	i++;
	if (i + 1 == n) {
		hdr.replica = lookup_nearest(net, f, q->hit, scopes[i].base);
		step += hdr.replica;
	}
	fwd_key_start(net, f, lookup_key(q->hit, hdr.replica), scopes[i].base, &hdr);
	if (!query_relay(net, q, f, &hdr, step, q->flags, scopes[i].area, now))
		return false;
	count(net, lookup_passed_on);
	return true;
}

/* To him whom it is about, where our record says that he is: to the nearest of his
 * addresses.  Return: false: there is no way */
static bool query_to_himself(struct net *net, const struct asked *q, const uint8_t *raw,
			     size_t len, struct pn_time now)
{
	struct net_hdr hdr = { 0 };
	unsigned least = UINT_MAX;
	struct addr_record rec;
	uint64_t prefix;

	if (addr_record_parse(&rec, raw, len) < 0 ||
	    !addr_prefix(net, rec.area, rec.base, &prefix))
		return false;
	for (unsigned i = 0; i < rec.count; i++) {
		uint64_t addr = prefix | rec.addrs[i], own = facet_addr(net, 0);
		unsigned away = addr == own ? 0 : fwd_diff(addr, own) + 1;

		if (away < least) {
			least = away;
			hdr.dst = addr;
		}
	}
	if (!query_relay(net, q, 0, &hdr, q->step | LOOKUP_STEP_HIMSELF, 0, q->area, now))
		return false;
	count(net, lookup_relayed);
	return true;
}

/* @raw: NULL: nothing
 * @kind: what it is */
static void query_answer(struct net *net, const struct asked *q, enum lookup_answer kind,
			 const uint8_t *raw, size_t raw_len, struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = q->hdr->src,
				.dst_tag = q->hdr->src_tag, .flow = q->hdr->flow };
	uint8_t buf[LOOKUP_ANSWER_LEN + ADDR_RECORD_MAX];
	bool fits = LOOKUP_ANSWER_LEN + raw_len <= q->len;
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_ANSWER);
	pn_wr_u8(&w, q->step & (uint8_t)~LOOKUP_STEP_HIMSELF);
	pn_wr_u8(&w, !raw ? ANSWER_UNKNOWN : fits ? kind : ANSWER_LONGER);
	pn_wr_u64(&w, q->qid);
	if (raw && !fits)
		pn_wr_u16(&w, LOOKUP_ANSWER_LEN + raw_len);
	else if (raw)
		pn_wr_bytes(&w, raw, raw_len);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len <= q->len);
	count(net, lookup_answers);
	(void)fwd_originate(net, 0, &back, buf, w.len, now);
}

/* About ourselves: we sign what we say, for this asker and question only, so that nobody can say
 * it for us, or again.  Return: false: we are not registered anywhere just now */
static bool query_answer_ourselves(struct net *net, const struct asked *q, struct pn_time now)
{
	struct addr_ask ask = { .qid = q->qid, .asker = q->hdr->src };
	uint8_t raw[ADDR_RECORD_MAX];
	size_t len = 0;

	if (!limit_take(&net->lookup->signs, ask.asker, now)) {
		count(net, lookup_limited);
		return true;
	}
	if (shares_area(net, q->area, ask.asker))
		len = own_record(net, q->area, &ask, raw, sizeof(raw));
	if (len == 0)                    /* not registered there, but larger areas will do */
		len = own_record(net, 0, &ask, raw, sizeof(raw));
	if (len > 0)
		query_answer(net, q, ANSWER_HIMSELF, raw, len, now);
	return len > 0;
}

void answer_on_query(struct net *net, const struct net_hdr *hdr, const uint8_t *payload,
		     size_t len, struct pn_time now)
{
	bool key = hdr->flags & NET_HDR_F_KEY;
	const uint8_t *raw = NULL;
	size_t raw_len = 0;
	struct asked q;

	if (query_parse(&q, hdr, payload, len) < 0) {
		count(net, lookup_bad);
		return;
	}
	if (!limit_take(&net->lookup->answers, hdr->src, now)) {
		count(net, lookup_limited);
		return;
	}
	if (memcmp(q.hit, net->hit, PN_HIT_LEN) != 0)
		raw = query_record(net, q.hit, q.area, key, &raw_len);
	else if (query_answer_ourselves(net, &q, now))
		return;
	if (raw && (q.flags & LOOKUP_Q_HIMSELF)) {
		if (query_to_himself(net, &q, raw, raw_len, now))
			return;
		raw = NULL;              /* he is not there any more */
	} else if (!raw && key && (q.flags & LOOKUP_Q_ON) && query_pass_on(net, &q, now)) {
		return;
	}
	query_answer(net, &q, ANSWER_RECORD, raw, raw_len, now);
}
