/* SPDX-License-Identifier: ISC */
/* lookup_store.c - the anchor: records kept for others, and handing them on.
 * The rules are told in lookup.c. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"

#define SCAN_NS PN_S(2)
#define SCAN_COUNT 8                 /* records looked at then */
#define HURRY_NS PN_MS(40)           /* after our address changed, until all were seen */
#define HAND_NS PN_MS(200)           /* doubled at each attempt */
#define HAND_MAX 6                   /* attempts; then again at the next look */

void store_init(struct net *net)
{
	struct lookup *lk = net->lookup;

	for (uint32_t i = 0; i <= lk->bucket_mask; i++)
		lk->buckets[i] = STORED_NONE;
	lk->record_free = STORED_NONE;
	lk->record_fresh = 0;
}

static uint32_t *store_bucket(struct lookup *lk, const uint8_t hit[PN_HIT_LEN], uint8_t replica)
{
	struct pn_rd r;
	uint64_t a, b;

	pn_rd_init(&r, hit, PN_HIT_LEN);
	a = pn_rd_u64(&r);
	b = pn_rd_u64(&r);
	return &lk->buckets[mix64(mix64(a ^ lk->secret) ^ b ^ replica) & lk->bucket_mask];
}

struct stored *store_find(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica)
{
	struct lookup *lk = net->lookup;

	for (uint32_t i = *store_bucket(lk, hit, replica); i != STORED_NONE;
	     i = lk->records[i].next) {
		struct stored *s = &lk->records[i];

		if (s->replica == replica && memcmp(s->hit, hit, PN_HIT_LEN) == 0)
			return s;
	}
	return NULL;
}

static void store_remove(struct net *net, struct stored *s)
{
	struct lookup *lk = net->lookup;
	uint32_t index = (uint32_t)(s - lk->records);
	uint32_t *link = store_bucket(lk, s->hit, s->replica);

	PN_ASSERT(s->used);
	while (*link != index)
		link = &lk->records[*link].next;
	*link = s->next;
	timer_set(net, &s->timer, PN_TIME_NEVER);
	s->used = false;
	s->next = lk->record_free;
	lk->record_free = index;
	lk->record_count--;
}

/* Room for one more: the record that ends first goes. */
static void store_evict(struct net *net)
{
	struct lookup *lk = net->lookup;
	struct stored *first = NULL;

	for (uint32_t i = 0; i < lk->record_fresh; i++) {
		struct stored *s = &lk->records[i];

		if (s->used && (!first || pn_time_before(s->expires, first->expires)))
			first = s;
	}
	PN_ASSERT(first);
	count(net, lookup_full);
	store_remove(net, first);
}

/* Return: the index of an entry that nobody uses */
static uint32_t store_place(struct net *net)
{
	struct lookup *lk = net->lookup;
	uint32_t index;

	if (lk->record_free == STORED_NONE && lk->record_fresh < lk->record_max) {
		index = lk->record_fresh++;
		timer_init(&lk->records[index].timer, TIMER_RECORD, index);
		return index;
	}
	if (lk->record_free == STORED_NONE)
		store_evict(net);
	index = lk->record_free;
	lk->record_free = lk->records[index].next;
	return index;
}

/* Return: NULL when this node keeps no records at all */
static struct stored *store_insert(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica)
{
	struct lookup *lk = net->lookup;
	struct stored *s;
	uint32_t *bucket;
	uint32_t index;

	if (lk->record_max == 0) {
		count(net, lookup_full);
		return NULL;
	}
	index = store_place(net);
	s = &lk->records[index];
	lk->record_count++;
	bucket = store_bucket(lk, hit, replica);
	s->used = true;
	s->replica = replica;
	memcpy(s->hit, hit, PN_HIT_LEN);
	s->next = *bucket;
	*bucket = index;
	return s;
}

static void store_rearm(struct net *net, struct stored *s)
{
	timer_set(net, &s->timer, s->handing ? pn_time_min(s->expires, s->next_try) : s->expires);
}

/* Storing -------------------------------------------------------------------- */

static void store_acknowledge(struct net *net, const struct net_hdr *hdr,
			      const uint8_t hit[PN_HIT_LEN], uint8_t replica,
			      enum lookup_stored status, uint64_t cookie,
			      struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = hdr->src, .dst_tag = hdr->src_tag,
				.flow = hdr->flow };
	uint8_t buf[LOOKUP_STORED_LEN];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_STORED);
	pn_wr_u8(&w, replica);
	pn_wr_u8(&w, status);
	pn_wr_u64(&w, cookie);
	pn_wr_bytes(&w, hit, PN_HIT_LEN);
	PN_ASSERT(pn_wr_ok(&w));
	(void)fwd_originate(net, 0, &back, buf, w.len, now);
}

/* A record that we handed on and that came back to us: keep it, do not
 * acknowledge it to ourselves, or we would drop the only copy.
 * Return: that is what it was */
static bool store_returned(struct net *net, const struct net_hdr *hdr, struct stored *s,
			   uint64_t cookie, struct pn_time now)
{
	if (!s || !s->handing || s->cookie != cookie || hdr->src_tag != net->tag ||
	    facet_of_addr(net, FACET_ANY, hdr->src, net->tag, now) < 0)
		return false;
	s->handing = false;
	store_rearm(net, s);
	return true;
}

/* A signature that was checked before, or is ours: in small networks one anchor
 * gets all three copies. */
static bool store_checked(struct net *net, const struct addr_record *rec, const uint8_t *raw,
			  size_t len)
{
	const struct lookup *lk = net->lookup;

	if (len == lk->own_len && memcmp(raw, lk->own, len) == 0)
		return true;
	for (uint8_t r = 0; r < LOOKUP_REPLICAS; r++) {
		const struct stored *s = store_find(net, rec->hit, r);

		if (s && s->len == len && memcmp(raw, s->raw, len) == 0)
			return true;
	}
	return false;
}

void store_on_store(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		    struct pn_time now)
{
	uint8_t replica = pn_rd_u8(rd);
	uint8_t flags = pn_rd_u8(rd);
	uint64_t left_ns = PN_MS(pn_rd_u32(rd));
	uint64_t cookie = pn_rd_u64(rd);
	size_t len = pn_rd_left(rd);
	const uint8_t *raw = rd->at;
	struct addr_record rec;
	struct stored *s;

	if (rd->bad || replica >= LOOKUP_REPLICAS || addr_record_parse(&rec, raw, len) < 0 ||
	    hdr->dst != lookup_key(rec.hit, replica)) {
		count(net, lookup_bad);
		return;
	}
	s = store_find(net, rec.hit, replica);
	if ((flags & LOOKUP_F_HANDOVER) && store_returned(net, hdr, s, cookie, now))
		return;
	if (s && s->seq > rec.seq) {
		store_acknowledge(net, hdr, rec.hit, replica, STORED_OLD, cookie, now);
		return;
	}
	if (!s || s->seq < rec.seq) {
		bool checked = store_checked(net, &rec, raw, len);

		if (!checked && !limit_take(&net->lookup->stores, hdr->src, now)) {
			count(net, lookup_limited);
			return;
		}
		if (!checked && addr_record_verify(&rec, raw, len) < 0) {
			count(net, lookup_bad);
			return;
		}
		if (!s)
			s = store_insert(net, rec.hit, replica);
		if (!s)
			return;
		s->seq = rec.seq;
		s->len = (uint16_t)len;
		memcpy(s->raw, raw, len);
		s->handing = false;
		s->expires = pn_time_add(now, pn_min(left_ns, PN_S(rec.lifetime_s)));
		store_rearm(net, s);
		count(net, lookup_registered);
	}
	store_acknowledge(net, hdr, rec.hit, replica, STORED_OK, cookie, now);
}

/* Handing on ----------------------------------------------------------------- */

static void store_hand_on(struct net *net, struct stored *s, struct pn_time now)
{
	if (s->tries >= HAND_MAX) {
		s->handing = false;      /* the next look begins anew */
		store_rearm(net, s);
		return;
	}
	s->cookie = net_random_u64(net);
	s->next_try = pn_time_add(now, HAND_NS << s->tries);
	s->tries++;
	store_rearm(net, s);
	lookup_send_store(net, s->replica, true, pn_time_until(now, s->expires), s->cookie,
			  s->raw, s->len, now);
}

void lookup_record_expire(struct net *net, uint32_t index, struct pn_time now)
{
	struct stored *s = &net->lookup->records[index];

	PN_ASSERT(index < net->lookup->record_max);
	PN_ASSERT(s->used);
	if (pn_time_due(s->expires, now)) {
		count(net, lookup_expired);
		store_remove(net, s);
	} else if (s->handing && fwd_key_is_ours(net, lookup_key(s->hit, s->replica))) {
		s->handing = false;      /* the tree turned back */
		store_rearm(net, s);
	} else if (s->handing) {
		store_hand_on(net, s, now);
	}
}

void store_on_stored(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica,
		     uint64_t cookie, struct pn_time now)
{
	struct stored *s = store_find(net, hit, replica);

	(void)now;
	/* Our own registration, acknowledged twice or late, ends here too. */
	if (!s || !s->handing || s->cookie != cookie)
		return;
	count(net, lookup_handed_on);
	store_remove(net, s);
}

void store_scan(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint32_t left = (uint32_t)pn_min(SCAN_COUNT, lk->record_count);

	for (uint32_t i = 0; i < lk->record_fresh && left > 0; i++) {
		struct stored *s;

		lk->scan_at = lk->scan_at + 1 < lk->record_fresh ? lk->scan_at + 1 : 0;
		s = &lk->records[lk->scan_at];
		if (!s->used)
			continue;
		left--;
		if (lk->scan_left > 0)
			lk->scan_left--;
		if (s->handing || fwd_key_is_ours(net, lookup_key(s->hit, s->replica)))
			continue;
		s->handing = true;
		s->tries = 0;
		store_hand_on(net, s, now);
	}
	if (left > 0)
		lk->scan_left = 0;       /* the table shrank meanwhile */
	timer_set(net, &lk->scan_timer, pn_time_add(now, lk->scan_left > 0 ? HURRY_NS : SCAN_NS));
}

void store_hurry(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	lk->scan_left = lk->record_count;
	timer_earlier(net, &lk->scan_timer, pn_time_add(now, HURRY_NS));
}

/* Answering ------------------------------------------------------------------ */

void store_on_query(struct net *net, const struct net_hdr *hdr, const uint8_t *payload, size_t len,
		    struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = hdr->src, .dst_tag = hdr->src_tag,
				.flow = hdr->flow };
	uint8_t buf[LOOKUP_ANSWER_LEN + ADDR_RECORD_MAX];
	struct pn_rd rd;
	struct pn_wr w;

	pn_rd_init(&rd, payload, len);
	(void)pn_rd_u8(&rd);
	uint8_t replica = pn_rd_u8(&rd);
	(void)pn_rd_u8(&rd);
	uint64_t qid = pn_rd_u64(&rd);
	const uint8_t *hit = pn_rd_bytes(&rd, PN_HIT_LEN);

	if (!hit || replica >= LOOKUP_REPLICAS) {
		count(net, lookup_bad);
		return;
	}
	if (!limit_take(&net->lookup->answers, hdr->src, now)) {
		count(net, lookup_limited);
		return;
	}
	lookup_own_renew(net);
	bool self = memcmp(hit, net->hit, PN_HIT_LEN) == 0 && net->lookup->own_len > 0;
	const struct stored *s = self ? NULL : store_find(net, hit, replica);
	const uint8_t *raw = self ? net->lookup->own : s ? s->raw : NULL;
	size_t raw_len = self ? net->lookup->own_len : s ? s->len : 0;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_ANSWER);
	pn_wr_u8(&w, replica);
	pn_wr_u8(&w, !raw ? ANSWER_UNKNOWN :
		 LOOKUP_ANSWER_LEN + raw_len > len ? ANSWER_LONGER : ANSWER_RECORD);
	pn_wr_u64(&w, qid);
	if (raw && LOOKUP_ANSWER_LEN + raw_len > len)
		pn_wr_u16(&w, LOOKUP_ANSWER_LEN + raw_len);
	else if (raw)
		pn_wr_bytes(&w, raw, raw_len);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len <= len);
	count(net, lookup_answers);
	(void)fwd_originate(net, 0, &back, buf, w.len, now);
}
