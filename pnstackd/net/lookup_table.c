/* SPDX-License-Identifier: ISC */
/* lookup_table.c - the records that an anchor keeps for others: the table
 *
 * A hash table by HIT: all records of an identity, for other areas and replicas, are in
 * one chain.  Few records are longer than STORED_RAW (those of hubs): they have a second table
 * for their bytes.
 *
 * Room is shared out by source: a block of 8 addresses, hashed with a secret, may have
 * registered no more than a part of the table, and other anchors have handed on no more
 * than a larger part each.  When the table is full the record that ends first makes room. */
#include "pnstackd/net/lookup.h"

#define SOURCE_MIN 64                /* records that any source may keep here */
#define SOURCE_SHARE 16              /* or this part of the table, */
#define ANCHOR_SHARE 4               /* an anchor that hands on: this */

void table_init(struct net *net)
{
	struct lookup *lk = net->lookup;

	for (uint32_t i = 0; i <= lk->bucket_mask; i++)
		lk->buckets[i] = STORED_NONE;
	lk->record_free = STORED_NONE;
	lk->record_fresh = 0;
}

static uint32_t *store_bucket(struct lookup *lk, const uint8_t hit[PN_HIT_LEN])
{
	struct pn_rd r;
	uint64_t a, b;

	pn_rd_init(&r, hit, PN_HIT_LEN);
	a = pn_rd_u64(&r);
	b = pn_rd_u64(&r);
	return &lk->buckets[mix64(mix64(a ^ lk->secret) ^ b) & lk->bucket_mask];
}

struct stored *store_next(struct net *net, const uint8_t hit[PN_HIT_LEN],
			  const struct stored *after)
{
	struct lookup *lk = net->lookup;
	uint32_t i = after ? after->next : *store_bucket(lk, hit);

	for (; i != STORED_NONE; i = lk->records[i].next) {
		if (memcmp(lk->records[i].hit, hit, PN_HIT_LEN) == 0)
			return &lk->records[i];
	}
	return NULL;
}

struct stored *store_find(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica,
			  uint64_t area)
{
	struct stored *s = store_next(net, hit, NULL);

	while (s && (s->replica != replica || s->area != area))
		s = store_next(net, hit, s);
	return s;
}

/* Bytes --------------------------------------------------------------------------- */

static void large_drop(struct lookup *lk, struct stored *s)
{
	if (s->large) {
		lk->large[s->large - 1].next = lk->large_free;
		lk->large_free = s->large;
		s->large = 0;
	}
}

static bool large_take(struct lookup *lk, struct stored *s)
{
	if (lk->large_free) {
		s->large = lk->large_free;
		lk->large_free = lk->large[s->large - 1].next;
	} else if (lk->large_fresh < lk->large_max) {
		s->large = ++lk->large_fresh;
	}
	return s->large != 0;
}

bool store_set_raw(struct net *net, struct stored *s, const uint8_t *raw, size_t len)
{
	struct lookup *lk = net->lookup;

	PN_ASSERT(len <= ADDR_RECORD_MAX);
	if (len <= sizeof(s->raw))
		large_drop(lk, s);
	else if (!s->large && !large_take(lk, s))
		return false;
	s->len = (uint16_t)len;
	memcpy(s->large ? lk->large[s->large - 1].raw : s->raw, raw, len);
	return true;
}

const uint8_t *store_raw(const struct net *net, const struct stored *s)
{
	return s->large ? net->lookup->large[s->large - 1].raw : s->raw;
}

/* Entries --------------------------------------------------------------------------- */

void store_remove(struct net *net, struct stored *s)
{
	struct lookup *lk = net->lookup;
	uint32_t index = (uint32_t)(s - lk->records);
	uint32_t *link = store_bucket(lk, s->hit);

	PN_ASSERT(s->used);
	PN_ASSERT(lk->per_source[s->source] > 0);
	while (*link != index)
		link = &lk->records[*link].next;
	*link = s->next;
	timer_set(net, &s->timer, PN_TIME_NEVER);
	large_drop(lk, s);
	lk->per_source[s->source]--;
	s->used = false;
	s->next = lk->record_free;
	lk->record_free = index;
	lk->record_count--;
}

static struct pn_time store_end(const struct stored *s)
{
	return pn_time_min(s->expires, s->drop_at);
}

/* Room for one more: the record that ends first goes. */
static void store_evict(struct net *net)
{
	struct lookup *lk = net->lookup;
	struct stored *first = NULL;

	for (uint32_t i = 0; i < lk->record_fresh; i++) {
		struct stored *s = &lk->records[i];

		if (s->used && (!first || pn_time_before(store_end(s), store_end(first))))
			first = s;
	}
	PN_ASSERT(first);
	if (pn_time_is_never(first->drop_at))
		count(net, lookup_full); /* else it was only kept in case that somebody asks */
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

static bool source_has_room(const struct lookup *lk, uint8_t source, bool own_source)
{
	uint32_t most = lk->record_max / (own_source ? SOURCE_SHARE : ANCHOR_SHARE);

	if (most < SOURCE_MIN)
		most = SOURCE_MIN;
	return lk->per_source[source] < most && lk->per_source[source] < UINT16_MAX;
}

struct stored *store_insert(struct net *net, const struct addr_record *rec, uint8_t replica,
			    uint64_t source, bool own_source)
{
	struct lookup *lk = net->lookup;
	uint8_t slot = (uint8_t)mix64((source >> LIMIT_BLOCK_BITS) ^ ~lk->secret);
	struct stored *s;
	uint32_t *bucket;
	uint32_t index;

	if (lk->record_max == 0) {
		count(net, lookup_full);
		return NULL;
	}
	if (!source_has_room(lk, slot, own_source)) {
		count(net, lookup_crowded);
		return NULL;
	}
	index = store_place(net);
	s = &lk->records[index];
	bucket = store_bucket(lk, rec->hit);
	*s = (struct stored){ .used = true, .replica = replica, .area = rec->area,
			      .base = rec->base, .source = slot, .own_source = own_source,
			      .next = *bucket, .drop_at = PN_TIME_NEVER,
			      .timer = s->timer };
	memcpy(s->hit, rec->hit, PN_HIT_LEN);
	*bucket = index;
	lk->record_count++;
	lk->per_source[slot]++;
	return s;
}

void store_rearm(struct net *net, struct stored *s)
{
	struct pn_time at = store_end(s);

	timer_set(net, &s->timer, s->handing ? pn_time_min(at, s->next_try) : at);
}
