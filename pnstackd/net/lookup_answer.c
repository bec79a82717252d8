/* SPDX-License-Identifier: ISC */
/* lookup_answer.c - the anchor: what it answers.  The rules are told in lookup.c. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"

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

/* @raw: room for a record of ours.  Return: the record for the answer, NULL: none */
static const uint8_t *query_record(struct net *net, const uint8_t *hit, uint64_t area, bool key,
				   uint8_t raw[ADDR_RECORD_MAX], size_t *len)
{
	const struct stored *s;

	if (memcmp(hit, net->hit, PN_HIT_LEN) == 0) {
		*len = own_record(net, area, raw, ADDR_RECORD_MAX);
		if (*len == 0)           /* not registered there, but larger areas will do */
			*len = own_record(net, 0, raw, ADDR_RECORD_MAX);
		return *len ? raw : NULL;
	}
	if (!key || !in_area(net, area))
		return NULL;             /* we are not in that area (any more) */
	s = store_best(net, hit, area);
	*len = s ? s->len : 0;
	return s ? store_raw(net, s) : NULL;
}

void answer_on_query(struct net *net, const struct net_hdr *hdr, const uint8_t *payload, size_t len,
		    struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = hdr->src, .dst_tag = hdr->src_tag,
				.flow = hdr->flow };
	uint8_t buf[LOOKUP_ANSWER_LEN + ADDR_RECORD_MAX], own[ADDR_RECORD_MAX];
	size_t raw_len = 0;
	struct pn_rd rd;
	struct pn_wr w;

	pn_rd_init(&rd, payload, len);
	(void)pn_rd_u8(&rd);
	uint8_t step = pn_rd_u8(&rd);
	(void)pn_rd_u8(&rd);
	uint64_t qid = pn_rd_u64(&rd);
	const uint8_t *hit = pn_rd_bytes(&rd, PN_HIT_LEN);
	uint64_t area = pn_rd_u64(&rd);

	if (rd.bad) {
		count(net, lookup_bad);
		return;
	}
	if (!limit_take(&net->lookup->answers, hdr->src, now)) {
		count(net, lookup_limited);
		return;
	}
	const uint8_t *raw = query_record(net, hit, area, hdr->flags & NET_HDR_F_KEY, own,
					  &raw_len);
	bool fits = LOOKUP_ANSWER_LEN + raw_len <= len;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_ANSWER);
	pn_wr_u8(&w, step);
	pn_wr_u8(&w, !raw ? ANSWER_UNKNOWN : fits ? ANSWER_RECORD : ANSWER_LONGER);
	pn_wr_u64(&w, qid);
	if (raw && !fits)
		pn_wr_u16(&w, LOOKUP_ANSWER_LEN + raw_len);
	else if (raw)
		pn_wr_bytes(&w, raw, raw_len);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len <= len);
	count(net, lookup_answers);
	(void)fwd_originate(net, 0, &back, buf, w.len, now);
}
