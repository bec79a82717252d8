/* SPDX-License-Identifier: ISC */
/* record.c - area records: build, parse, sign, verify, keep */
#include "pnstackd/net/record.h"

#include <string.h>

/* On the wire, big-endian:
 *
 *   leader identity 32 | boot 8 | nonce 4 | facet 2 | epoch 4 | seq 4 |
 *   base 1 | top 1 | bit 1 | count 1 | parent 8 | deputy 8 | prev 8 | line 8 |
 *   2 x child { id 8 | leader 8 | epoch 4 | count 1 } | signature 64
 *
 * The id is not sent: it follows from the leader and the nonce.  Line is sent as 0
 * when it is that id.
 */
#define REC_BODY_LEN (PN_ID_LEN + 8 + 4 + 2 + 4 + 4 + 4 + 4 * 8 + 2 * 21)
static_assert(REC_BODY_LEN + 64 == REC_WIRE_LEN, "record layout");

static uint64_t hash64(const uint8_t *buf, size_t len)
{
	uint8_t out[16];
	struct pn_rd r;

	crypto_digest(out, sizeof(out), buf, len);
	pn_rd_init(&r, out, sizeof(out));
	return pn_rd_u64(&r) | 1;        /* 0 means "none" everywhere */
}

uint64_t rec_node_id(const uint8_t id[PN_ID_LEN], uint16_t facet, uint64_t boot)
{
	uint8_t buf[PN_ID_LEN + 10];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_bytes(&w, id, PN_ID_LEN);
	pn_wr_u16(&w, facet);
	pn_wr_u64(&w, boot);
	PN_ASSERT(pn_wr_ok(&w));
	return hash64(buf, w.len);
}

static uint64_t rec_area_id(uint64_t node_id, uint32_t nonce)
{
	uint8_t buf[12];
	struct pn_wr w;

	if (nonce == 0)
		return node_id;          /* the leaf carries the node's own name */
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u64(&w, node_id);
	pn_wr_u32(&w, nonce);
	PN_ASSERT(pn_wr_ok(&w));
	return hash64(buf, w.len);
}

void rec_init(struct rec *r, const struct net *net, uint16_t facet, uint32_t nonce)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->leader_id, net->id, PN_ID_LEN);
	r->boot = net->boot;
	r->nonce = nonce;
	r->facet = facet;
	r->leader = rec_node_id(net->id, facet, net->boot);
	r->id = rec_area_id(r->leader, nonce);
	r->line = r->id;
	r->top = NET_TOP_NONE;
	r->count = net->leaf && nonce == 0 ? REC_COUNT_LEAF : REC_COUNT_ONE;
}

static void rec_build_body(struct pn_wr *w, const struct rec *r)
{
	int i;

	pn_wr_bytes(w, r->leader_id, PN_ID_LEN);
	pn_wr_u64(w, r->boot);
	pn_wr_u32(w, r->nonce);
	pn_wr_u16(w, r->facet);
	pn_wr_u32(w, r->epoch);
	pn_wr_u32(w, r->seq);
	pn_wr_u8(w, r->base);
	pn_wr_u8(w, r->top);
	pn_wr_u8(w, r->bit);
	pn_wr_u8(w, r->count);
	pn_wr_u64(w, r->parent);
	pn_wr_u64(w, r->deputy);
	pn_wr_u64(w, r->prev);
	pn_wr_u64(w, r->prev ? r->line : 0);
	for (i = 0; i < 2; i++) {
		pn_wr_u64(w, r->child[i].id);
		pn_wr_u64(w, r->child[i].leader);
		pn_wr_u32(w, r->child[i].epoch);
		pn_wr_u8(w, r->child[i].count);
	}
}

void rec_build(struct pn_wr *w, const struct rec *r)
{
	rec_build_body(w, r);
	pn_wr_bytes(w, r->sig, sizeof(r->sig));
}

void rec_sign(const struct net *net, struct rec *r)
{
	uint8_t body[REC_BODY_LEN];
	struct pn_wr w;

	r->seq++;
	pn_wr_init(&w, body, sizeof(body));
	rec_build_body(&w, r);
	PN_ASSERT(pn_wr_ok(&w));
	net_sign(net, SIGN_AREA, body, w.len, r->sig);
}

int rec_verify(const struct rec *r)
{
	uint8_t body[REC_BODY_LEN];
	struct pn_wr w;

	pn_wr_init(&w, body, sizeof(body));
	rec_build_body(&w, r);
	PN_ASSERT(pn_wr_ok(&w));
	return net_verify(r->leader_id, SIGN_AREA, body, w.len, r->sig) ? 0 : PN_EAUTH;
}

/* Levels and links of a record must make sense by themselves: whoever signed it. */
static bool rec_sane(const struct rec *r)
{
	bool root = r->parent == 0;

	if (root != (r->top == NET_TOP_NONE) || r->bit > 1)
		return false;
	if (r->base > REC_LEVEL_MAX + 1 || (!root && (r->top > REC_LEVEL_MAX || r->top < r->base)))
		return false;
	if ((r->prev == 0) != (r->line == 0))
		return false;
	/* More nodes than there are addresses: counts are rounded, but not by that much. */
	if (rec_count_value(r->count) >> (r->base < 31 ? r->base : 31) > 1)
		return false;
	if (r->nonce == 0)
		return r->base == 0 && !r->prev && !r->child[0].id && !r->child[1].id;
	return r->base > 0;
}

int rec_parse(struct pn_rd *rd, struct rec *out)
{
	struct rec r;
	int i;

	memset(&r, 0, sizeof(r));
	pn_rd_copy(rd, r.leader_id, PN_ID_LEN);
	r.boot = pn_rd_u64(rd);
	r.nonce = pn_rd_u32(rd);
	r.facet = pn_rd_u16(rd);
	r.epoch = pn_rd_u32(rd);
	r.seq = pn_rd_u32(rd);
	r.base = pn_rd_u8(rd);
	r.top = pn_rd_u8(rd);
	r.bit = pn_rd_u8(rd);
	r.count = pn_rd_u8(rd);
	r.parent = pn_rd_u64(rd);
	r.deputy = pn_rd_u64(rd);
	r.prev = pn_rd_u64(rd);
	r.line = pn_rd_u64(rd);
	for (i = 0; i < 2; i++) {
		r.child[i].id = pn_rd_u64(rd);
		r.child[i].leader = pn_rd_u64(rd);
		r.child[i].epoch = pn_rd_u32(rd);
		r.child[i].count = pn_rd_u8(rd);
	}
	pn_rd_copy(rd, r.sig, sizeof(r.sig));
	if (rd->bad || !rec_sane(&r))
		return PN_EBADMSG;
	r.leader = rec_node_id(r.leader_id, r.facet, r.boot);
	r.id = rec_area_id(r.leader, r.nonce);
	if (!r.prev)
		r.line = r.id;
	*out = r;
	return 0;
}

bool rec_newer(const struct rec *a, const struct rec *b)
{
	PN_ASSERT(a->id == b->id);
	if (a->epoch != b->epoch)
		return a->epoch > b->epoch;
	return a->seq > b->seq;
}

int rec_lists(const struct rec *p, uint64_t id, uint32_t epoch, uint64_t leader)
{
	int i;

	for (i = 0; i < 2; i++)
		if (p->child[i].id == id && p->child[i].epoch == epoch &&
		    p->child[i].leader == leader)
			return i;
	return -1;
}

/* Code 8e + m stands for (8 + m)/8 * 2^e, a small float. */
static uint64_t count_eighths(uint8_t code)
{
	unsigned e = code / 8 > 40 ? 40 : code / 8;

	if (code == REC_COUNT_LEAF)
		return 8;
	return (uint64_t)(8 + code % 8) << e;
}

uint32_t rec_count_value(uint8_t code)
{
	uint64_t v = count_eighths(code) / 8;

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

uint8_t rec_count_sum(uint8_t a, uint8_t b)
{
	uint64_t want = count_eighths(a) + count_eighths(b);
	uint8_t code = count_eighths(a) > count_eighths(b) ? a : b;

	if (code == REC_COUNT_LEAF)
		code = REC_COUNT_ONE;

	while (code < 248 && count_eighths(code + 1) <= want)
		code++;
	if (code < 248 && count_eighths(code + 1) - want < want - count_eighths(code))
		code++;
	return code;
}

bool rec_height_fits(uint8_t base, uint8_t count, unsigned slack)
{
	uint64_t n = rec_count_value(count);

	return base <= slack || 1ull << (base - slack) <= n * n;
}

/* Pool ------------------------------------------------------------------- */

void rec_pool_carve(struct rec_pool *p, struct arena *a, uint32_t cap, uint32_t owners)
{
	PN_ASSERT(cap > 0);
	PN_ASSERT(cap < UINT16_MAX);
	PN_ASSERT(owners < UINT16_MAX);
	p->owners = owners;
	p->cap = cap;
	p->bucket_count = 16;
	while (p->bucket_count < cap)
		p->bucket_count *= 2;
	p->rec = arena_take(a, cap, sizeof(*p->rec));
	p->refs = arena_take(a, cap, sizeof(*p->refs));
	p->next = arena_take(a, cap, sizeof(*p->next));
	p->bucket = arena_take(a, p->bucket_count, sizeof(*p->bucket));
	p->owner = arena_take(a, cap, sizeof(*p->owner));
	p->owned = arena_take(a, owners + 1, sizeof(*p->owned));
}

void rec_pool_init(struct rec_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->cap; i++)
		p->next[i] = i + 1 < p->cap ? (uint16_t)(i + 2) : 0;
	p->free = 1;
	p->used = 0;
}

static uint16_t *rec_bucket(struct rec_pool *p, const struct rec *r)
{
	uint64_t h = r->id ^ ((uint64_t)r->seq << 32) ^ r->epoch;

	h *= 0x9e3779b97f4a7c15ull;      /* spread; ids are hashes already */
	return &p->bucket[(h >> 32) & (p->bucket_count - 1)];
}

static bool rec_same_version(const struct rec *a, const struct rec *b)
{
	return a->id == b->id && a->epoch == b->epoch && a->seq == b->seq &&
	       !memcmp(a->sig, b->sig, sizeof(a->sig));
}

rec_ref rec_find(struct rec_pool *p, const struct rec *r)
{
	rec_ref ref;

	for (ref = *rec_bucket(p, r); ref; ref = p->next[ref - 1])
		if (rec_same_version(&p->rec[ref - 1], r))
			return ref;
	return 0;
}

rec_ref rec_intern(struct rec_pool *p, const struct rec *r, uint32_t spare)
{
	return rec_intern_for(p, r, spare, 0, UINT32_MAX);
}

rec_ref rec_intern_for(struct rec_pool *p, const struct rec *r, uint32_t spare, uint32_t owner,
		       uint32_t quota)
{
	uint16_t *head = rec_bucket(p, r);
	rec_ref ref = rec_find(p, r);

	if (ref)
		return rec_get(p, ref);
	ref = p->free;
	PN_ASSERT(owner <= p->owners);
	if (!ref || p->cap - p->used <= spare || p->owned[owner] >= quota)
		return 0;
	p->owner[ref - 1] = (uint16_t)owner;
	p->owned[owner]++;
	p->free = p->next[ref - 1];
	p->rec[ref - 1] = *r;
	p->refs[ref - 1] = 1;
	p->next[ref - 1] = *head;
	*head = ref;
	p->used++;
	return ref;
}

rec_ref rec_get(struct rec_pool *p, rec_ref ref)
{
	if (ref) {
		PN_ASSERT(p->refs[ref - 1] > 0);
		p->refs[ref - 1]++;
	}
	return ref;
}

void rec_put(struct rec_pool *p, rec_ref ref)
{
	uint16_t *at;

	if (!ref)
		return;
	PN_ASSERT(p->refs[ref - 1] > 0);
	if (--p->refs[ref - 1])
		return;
	for (at = rec_bucket(p, &p->rec[ref - 1]); *at != ref; at = &p->next[*at - 1])
		PN_ASSERT(*at != 0);
	*at = p->next[ref - 1];
	p->next[ref - 1] = p->free;
	p->free = ref;
	p->owned[p->owner[ref - 1]]--;
	p->used--;
}
