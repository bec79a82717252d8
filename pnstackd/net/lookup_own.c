/* SPDX-License-Identifier: ISC */
/* lookup_own.c - registering ourselves.  The rules are told in lookup.c.
 *
 * Whatever happens to our chains only marks us dirty.  A moment later, so that several
 * changes make one, all areas of all facets are gone through, from the largest to the
 * smallest: one that is new, or in which an address of ours has changed, gets a new
 * record, with the sequence number of the next larger one, which has changed too or says the
 * same. */
#include "pnstackd/net/lookup.h"

#define DEBOUNCE_NS PN_MS(20)
#define SPACING_NS PN_MS(50)
#define SPREAD_NS PN_MS(5)           /* times the level: not all of a network at once */
#define REFRESH_NS PN_S(30)          /* times 2^(level/2), */
#define REFRESH_LEVEL_MAX 14         /* up to here: 64 minutes */
#define RETRY_NS PN_MS(300)          /* doubled each time */
#define RETRY_MAX 6                  /* times; then the same time again and again */
#define RENEW_NS PN_MS(250)          /* times 2^(level/2) */

static uint64_t refresh_ns(unsigned base)
{
	unsigned level = base < REFRESH_LEVEL_MAX ? base : REFRESH_LEVEL_MAX;
	uint64_t ns = REFRESH_NS << level / 2;

	return level % 2 ? ns / 128 * 181 : ns;  /* sqrt(2) */
}

static uint64_t lifetime_ns(unsigned base)
{
	return 3 * refresh_ns(base);
}

static_assert(3 * 30 << REFRESH_LEVEL_MAX / 2 <= ADDR_LIFETIME_MAX, "all may be registered");

static void own_rearm(struct net *net)
{
	struct lookup *lk = net->lookup;
	struct pn_time at = lk->dirty ? lk->rebuild_at : PN_TIME_NEVER;

	for (uint32_t i = 0; i < lk->reg_high; i++) {
		const struct registration *reg = &lk->regs[i];

		if (!reg->used)
			continue;
		at = pn_time_min(at, reg->refresh_at);
		for (unsigned r = 0; r < LOOKUP_REPLICAS; r++) {
			if (!reg->rep[r].acked)
				at = pn_time_min(at, reg->rep[r].next_try);
		}
	}
	timer_set(net, &lk->own_timer, pn_time_min(at, left_next(net)));
}

void own_init(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	timer_init(&lk->own_timer, TIMER_LOOKUP, LOOKUP_TIMER_OWN);
	lk->dirty = true;
	lk->rebuild_at = pn_time_add(now, DEBOUNCE_NS);
	own_rearm(net);
}

void own_changed(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	if (lk->dirty)
		return;
	lk->dirty = true;
	lk->rebuild_at = pn_time_add(now, DEBOUNCE_NS);
	if (pn_time_before(lk->rebuild_at, pn_time_add(lk->built_at, SPACING_NS)))
		lk->rebuild_at = pn_time_add(lk->built_at, SPACING_NS);
	timer_earlier(net, &lk->own_timer, lk->rebuild_at);
}

/* What is registered ----------------------------------------------------------- */

/* @base: -1 any */
static struct registration *reg_find(struct lookup *lk, uint64_t area, int base)
{
	for (uint32_t i = 0; i < lk->reg_high; i++) {
		struct registration *reg = &lk->regs[i];

		if (reg->used && reg->area == area && (base < 0 || reg->base == base))
			return reg;
	}
	return NULL;
}

static struct registration *reg_new(struct lookup *lk, const struct tree_scope *scope)
{
	uint32_t i = 0;

	while (i < lk->reg_high && lk->regs[i].used)
		i++;
	if (i == lk->reg_max)
		return NULL;             /* a hub of very many facets: fewer small areas */
	if (i == lk->reg_high)
		lk->reg_high++;
	lk->regs[i] = (struct registration){ .used = true, .area = scope->area,
					     .base = scope->base };
	return &lk->regs[i];
}

/* Our addresses in an area.  Return: how many, at most NET_ADDRS_MAX */
static uint16_t own_addrs(const struct net *net, uint64_t area, unsigned base, uint64_t *addrs)
{
	uint16_t n = 0;

	for (uint16_t f = 0; f < facet_max(net) && n < NET_ADDRS_MAX; f++) {
		if (facet_live(net, f) && tree_area_base(net, f, area) == (int)base)
			addrs[n++] = addr_low(facet_addr(net, f), base);
	}
	return n;
}

static uint64_t own_digest(const struct net *net, uint64_t area, unsigned base)
{
	uint64_t addrs[NET_ADDRS_MAX], h = base;
	uint16_t n = own_addrs(net, area, base, addrs);

	for (uint16_t i = 0; i < n; i++)
		h = mix64(h ^ addrs[i]) + i;
	return h;
}

/* @spread: the first attempt comes within that time */
static void reg_schedule(struct net *net, struct registration *reg, uint64_t spread,
			 struct pn_time now)
{
	uint64_t interval = refresh_ns(reg->base);

	reg->refresh_at = pn_time_add(now, interval * 3 / 4 +
				      net_random_u64(net) % (interval / 2));
	for (unsigned r = 0; r < LOOKUP_REPLICAS; r++) {
		reg->rep[r] = (struct reg_replica){ .acked = r > 0 && !reg->widest };
		reg->rep[r].next_try = pn_time_add(now, net_random_u64(net) % (spread + 1));
	}
}

/* The area has a successor: it may have been cut in two when its leader was lost, and the anchor
 * may be in the other part.  Mostly it is not: no hurry in large ones. */
static void reg_renew(struct net *net, struct registration *reg, uint64_t id, struct pn_time now)
{
	unsigned level = reg->base < REFRESH_LEVEL_MAX ? reg->base : REFRESH_LEVEL_MAX;

	reg->id = id;
	reg->stamp++;
	reg_schedule(net, reg, RENEW_NS << level / 2, now);
}

/* One area of ours, the next larger one having been looked at before.
 * @wider: its sequence number, or 0 for the whole network
 * Return: the sequence number of this one */
static uint64_t reg_look(struct net *net, uint16_t facet, const struct tree_scope *scope,
			 uint64_t wider, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	struct registration *reg = reg_find(lk, scope->area, scope->base);
	uint64_t digest = own_digest(net, scope->area, scope->base), seq;

	if (reg && reg->seen)
		return reg->seq;
	if (!reg)
		reg = reg_new(lk, scope);
	if (!reg)
		return wider ? wider : net->boot << 32 | lk->own_n;
	reg->seen = true;
	reg->facet = facet;
	if (reg->seq && reg->digest == digest && reg->widest == !wider) {
		if (reg->id != scope->id)
			reg_renew(net, reg, scope->id, now);
		return reg->seq;
	}
	seq = wider ? wider : net->boot << 32 | ++lk->own_n;
	if (!wider)                      /* another network: others are there */
		client_forget(net);
	reg->stamp = seq == reg->seq ? reg->stamp + 1 : 1;
	reg->seq = seq;
	reg->widest = !wider;
	reg->digest = digest;
	reg->id = scope->id;
	reg_schedule(net, reg, SPREAD_NS * reg->base, now);
	return seq;
}

/* Bring the registrations up to date with the chains of all facets. */
static void own_look(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	bool unsure = false;

	lk->dirty = false;
	lk->built_at = now;
	for (uint32_t i = 0; i < lk->reg_high; i++)
		lk->regs[i].seen = false;
	for (uint16_t f = 0; f < facet_max(net); f++) {
		struct tree_scope scopes[TREE_SCOPES_MAX];
		unsigned n = facet_live(net, f) ? tree_scopes(net, f, scopes) : 0;
		uint64_t seq = 0;

		unsure = unsure || (facet_live(net, f) && n == 0);
		while (n-- > 0)
			seq = reg_look(net, f, &scopes[n], seq, now);
	}
	for (uint32_t i = 0; i < lk->reg_high && !unsure; i++) {
		if (lk->regs[i].used && !lk->regs[i].seen) {
			lk->regs[i].used = false;
			left_area(net, &lk->regs[i], now);
		}
	}
}

/* Records ------------------------------------------------------------------------ */

static size_t reg_build(struct net *net, const struct registration *reg,
			const struct addr_ask *ask, uint8_t *buf, size_t cap)
{
	struct addr_record rec = { .seq = reg->seq, .stamp = reg->stamp, .area = reg->area,
				   .base = reg->base };

	rec.lifetime_s = (uint16_t)(lifetime_ns(reg->base) / PN_S(1));
	rec.count = own_addrs(net, reg->area, reg->base, rec.addrs);
	return rec.count ? addr_record_build(net, &rec, ask, buf, cap) : 0;
}

size_t own_record(struct net *net, uint64_t area, const struct addr_ask *ask, uint8_t *buf,
		  size_t cap)
{
	struct lookup *lk = net->lookup;
	const struct registration *reg = NULL;

	if (lk->dirty) {
		own_look(net, net->now);
		own_rearm(net);
	}
	if (area)
		reg = reg_find(lk, area, -1);
	for (uint32_t i = 0; i < lk->reg_high && !area && !reg; i++) {
		const struct registration *r = &lk->regs[i];

		if (r->used && r->widest && tree_area_base(net, 0, r->area) == r->base)
			reg = r;
	}
	return reg ? reg_build(net, reg, ask, buf, cap) : 0;
}

size_t net_own_record(struct net *net, uint8_t *buf, size_t cap)
{
	return own_record(net, 0, NULL, buf, cap);
}

/* Messages ------------------------------------------------------------------------- */

static void reg_send(struct net *net, struct registration *reg, uint8_t replica, struct pn_time now)
{
	struct reg_replica *rep = &reg->rep[replica];
	uint8_t raw[ADDR_RECORD_MAX];
	size_t len;

	rep->cookie = net_random_u64(net);
	rep->sent_at = now;
	rep->next_try = pn_time_add(now, RETRY_NS << rep->tries);
	if (rep->tries < RETRY_MAX)      /* who is in the way now may not be for ever */
		rep->tries++;
	len = reg_build(net, reg, NULL, raw, sizeof(raw));
	if (len == 0)
		return;                  /* we have just left: own_look() will see */
	lookup_send_store(net,
			  &(struct lookup_store_msg){ .facet = reg->facet, .base = reg->base,
						      .replica = replica, .level = -1,
						      .left_ns = lifetime_ns(reg->base),
						      .cookie = rep->cookie },
			  net->hit, raw, len, now);
}

void own_expire(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;

	if (lk->dirty && pn_time_due(lk->rebuild_at, now))
		own_look(net, now);
	left_expire(net, now);
	for (uint32_t i = 0; i < lk->reg_high; i++) {
		struct registration *reg = &lk->regs[i];

		if (reg->used && pn_time_due(reg->refresh_at, now)) {
			reg->stamp++;
			reg_schedule(net, reg, SPREAD_NS * reg->base, now);
		}
		for (uint8_t r = 0; reg->used && r < LOOKUP_REPLICAS; r++) {
			if (!reg->rep[r].acked && pn_time_due(reg->rep[r].next_try, now))
				reg_send(net, reg, r, now);
		}
	}
	own_rearm(net);
}

bool own_on_stored(struct net *net, const struct net_hdr *hdr, uint64_t cookie,
		   struct pn_time now)
{
	struct lookup *lk = net->lookup;

	for (uint32_t i = 0; i < lk->reg_high; i++) {
		struct registration *reg = &lk->regs[i];

		for (unsigned r = 0; reg->used && r < LOOKUP_REPLICAS; r++) {
			struct reg_replica *rep = &reg->rep[r];

			if (rep->tries == 0 || rep->cookie != cookie)
				continue;
			if (!rep->acked)
				lookup_rtt_sample(net, reg->base,
						  pn_time_since(now, rep->sent_at));
			rep->acked = true;
			if (r == 0) {    /* of a small area that is the only one */
				reg->anchor = hdr->src;
				reg->anchor_tag = hdr->src_tag;
			}
			own_rearm(net);
			return true;
		}
	}
	return false;
}
