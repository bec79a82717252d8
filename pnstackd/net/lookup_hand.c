/* SPDX-License-Identifier: ISC */
/* lookup_hand.c - the anchor: handing records on, second copies
 *
 * A record has its place: the end of the walk to its key in its area, and a second
 * one, where the walk would end without the first: in the sibling block of the first at
 * the lowest level at which there is one.  Small areas have no second place: if
 * their anchor is gone the next larger one answers.
 *
 * For each record that we have, we know (synced) that the other place has got it, as of
 * what the tree looked like then (sig): who is in the sibling block on the way to
 * the other place.  When that is no longer so the record is sent there, until it is
 * acknowledged; then one that has no business here is dropped after a while, as
 * somebody may still look for it here.  So the end of a node, or its coming, makes its
 * neighbours in the tree exchange a few messages, and nobody else. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"

#define SCAN_NS PN_S(2)
#define SCAN_COUNT 8                 /* records looked at then */
#define HURRY_NS PN_MS(40)           /* after a change, until all were seen */
#define HAND_NS PN_MS(200)           /* doubled at each attempt */
#define HAND_MAX 6                   /* attempts; then again at the next look */
#define KEEP_NS PN_S(10)             /* what was handed on is still answered for */
#define LEFT_NS PN_S(30)             /* what nobody asks us for any more */
#define SECOND_NS PN_MS(500)         /* a second copy waits so long */
#define SECOND_BASE 4                /* areas at least so high have second copies */

enum place { PLACE_NOWHERE, PLACE_FIRST, PLACE_OTHER };

struct where {
	enum place place;            /* ours: at the first, or we are not the first */
	uint16_t facet;
	int level;                   /* where the way to the other place leaves our side;
	                              * -1: there is no other place */
	uint64_t sig;
};

/* The lowest level, from @level on, at which the facet has a sibling inside the area; -1 none */
static int lowest_sibling(const struct net *net, uint16_t facet, unsigned level, unsigned base)
{
	for (; level < base; level++) {
		if (tree_sibling_id(net, facet, level) &&
		    route_sibling_exists(net, facet, level))
			return (int)level;
	}
	return -1;
}

/* Is the area one that records are kept in?  When the network has grown the former root is
 * not, mostly. */
static bool is_scope(const struct net *net, uint16_t facet, uint64_t area, unsigned base)
{
	struct tree_scope scopes[TREE_SCOPES_MAX];
	unsigned n = tree_scopes(net, facet, scopes);

	if (n == 0)                      /* we do not know: perhaps */
		return tree_area_base(net, facet, area) == (int)base;
	for (unsigned i = 0; i < n; i++) {
		if (scopes[i].area == area && scopes[i].base == base)
			return true;
	}
	return false;
}

static struct where where_is(const struct net *net, const struct stored *s)
{
	struct where at = { .place = PLACE_NOWHERE, .level = -1 };

	for (uint16_t f = 0; f < facet_max(net) && at.place != PLACE_FIRST; f++) {
		int level;

		if (!facet_live(net, f) || !is_scope(net, f, s->area, s->base))
			continue;
		level = fwd_key_walk(net, f, lookup_key(s->hit, s->replica), s->base);
		at.facet = f;
		at.place = level < 0 ? PLACE_FIRST : PLACE_OTHER;
		if (level < 0 && s->base >= SECOND_BASE)
			level = lowest_sibling(net, f, s->above, s->base);
		at.level = level;
	}
	at.sig = mix64((uint64_t)at.place * 64 + (uint64_t)(at.level + 1));
	if (at.level >= 0)
		at.sig ^= tree_sibling_id(net, at.facet, (unsigned)at.level);
	return at;
}

/* A record that we handed on has come back: keep it, do not acknowledge it to ourselves,
 * or we would drop the only copy.  A second copy goes further away then: at a hub the next
 * block may be ours as well. */
void store_returned(struct net *net, struct stored *s)
{
	struct where at = where_is(net, s);

	s->handing = false;
	s->synced = at.place != PLACE_FIRST;     /* as far as we can see, until that changes */
	if (at.place == PLACE_FIRST && at.level >= 0)
		s->above = (uint8_t)(at.level + 1);
	store_rearm(net, s);
}

static void store_hand_on(struct net *net, struct stored *s, const struct where *at,
			  struct pn_time now)
{
	struct lookup_store_msg m = { .facet = at->facet, .base = s->base, .replica = s->replica,
				      .flags = LOOKUP_F_HANDOVER, .level = -1 };

	if (s->tries >= HAND_MAX) {
		s->handing = false;      /* the next look begins anew */
		store_rearm(net, s);
		return;
	}
	if (at->place == PLACE_FIRST) {
		m.flags |= LOOKUP_F_SECOND;
		m.level = at->level;
	}
	/* Random, and its place in the table */
	m.cookie = net_random_u64(net) << 32 | (uint32_t)(s - net->lookup->records);
	m.left_ns = pn_time_until(now, s->expires);
	s->cookie = m.cookie;
	s->sig = at->sig;
	s->next_try = pn_time_add(now, HAND_NS << s->tries);
	s->tries++;
	store_rearm(net, s);
	lookup_send_store(net, &m, s->hit, store_raw(net, s), s->len, now);
}

void store_check(struct net *net, struct stored *s, struct pn_time now)
{
	struct where at;

	if (s->replica == LOOKUP_HINT)
		return;                  /* it stays where it is, and ends soon */
	at = where_is(net, s);
	if (at.place == PLACE_NOWHERE && pn_time_is_never(s->drop_at))
		s->drop_at = pn_time_add(now, LEFT_NS);  /* unless we come back into the area */
	else if (at.place == PLACE_FIRST || (at.place == PLACE_OTHER && s->sig != at.sig))
		s->drop_at = PN_TIME_NEVER;
	store_rearm(net, s);
	if (s->handing || (s->synced && s->sig == at.sig))
		return;
	if (at.level < 0 || (s->second && !s->synced && at.place == PLACE_OTHER)) {
		s->sig = at.sig;         /* nowhere else; or it has just come from there */
		s->synced = true;
		return;
	}
	s->handing = true;
	s->synced = false;
	s->tries = 0;
	s->cookie = net_random_u64(net);
	s->next_try = pn_time_add(now, SECOND_NS);
	if (at.place == PLACE_FIRST)
		store_rearm(net, s);     /* no hurry with a second copy: more may change */
	else
		store_hand_on(net, s, &at, now);
}

void lookup_record_expire(struct net *net, uint32_t index, struct pn_time now)
{
	struct stored *s = &net->lookup->records[index];
	struct where at;

	PN_ASSERT(index < net->lookup->record_max);
	PN_ASSERT(s->used);
	if (pn_time_due(s->expires, now) || pn_time_due(s->drop_at, now)) {
		count(net, lookup_expired);
		store_remove(net, s);
		return;
	}
	if (!s->handing)
		return;
	at = where_is(net, s);
	if (at.level < 0) {              /* the tree turned back */
		s->handing = false;
		s->synced = true;
		s->sig = at.sig;
		store_rearm(net, s);
		return;
	}
	store_hand_on(net, s, &at, now);
}

void store_on_stored(struct net *net, uint64_t cookie, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint32_t index = (uint32_t)cookie;
	struct stored *s;
	struct where at;

	/* Our own registration, acknowledged twice or late, ends here too. */
	if (index >= lk->record_fresh)
		return;
	s = &lk->records[index];
	if (!s->used || !s->handing || s->cookie != cookie)
		return;
	at = where_is(net, s);
	s->handing = false;
	s->synced = true;
	count(net, lookup_handed_on);
	if (at.place == PLACE_OTHER && !s->second)
		s->drop_at = pn_time_add(now, KEEP_NS);
	store_rearm(net, s);
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
		store_check(net, s, now);
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
