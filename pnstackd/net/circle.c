/* SPDX-License-Identifier: ISC */
/* circle.c - packets that come back to a node which sent them on already
 *
 * Theory of operation
 *
 * Routes are free of loops as long as all tell the truth, but for the moments in which
 * news of several sources cross.  Who tells of routes that cost nothing, and hands on what
 * that attracts, makes packets circle for as long as he likes: his neighbours lead
 * to him, and he leads back to them.  The hop limit ends each packet, after 1,024 nodes
 * have carried it.
 *
 * So a node remembers what it sends along sibling routes: a hash of what does not
 * change under way, for LIFE_NS.  A packet that is here again, with another hop limit or from
 * where it was sent to, and with a level field that did not fall, has gone round: it made
 * no progress.  Who sends the same again over the same way is not taken for that: then
 * the hop limit is the same.  (A liar may set the hop limit as he likes; therefore any
 * other one counts, not only a lower one.)
 *
 * What follows is between that neighbour and that sibling.  At first the route which the packet
 * took is suspected: what came back does not take it again.  If packets still come back after
 * PATIENCE_NS it is shunned; who tells the truth had news by then.  (Not at once: that a route
 * is shunned is news as well, and while it spreads more packets go round.  On a ring under load
 * that did not end.)  One that was shunned before is so at once.
 *
 * A route that is shunned costs SHUN_COST more, for HOLD_NS at first, and twice as
 * long each time, up to HOLD_SHIFT_MAX doublings; what was not needed for FORGET_NS is
 * forgotten.  That route is the last resort then, for us and for whom we tell; if all others are
 * unfeasible, newer sequence numbers are asked for.  A neighbour with LIAR_ROUTES of them that
 * were bad again after they had been let in is not believed in anything for LIAR_HOLD_NS and
 * longer, of leaders neither: an honest one would have mended them meanwhile.
 *
 * The packet itself goes on by another way.  If there is none it goes back to whom it came
 * from first, with a flag that says so (fwd_back() in fwd.c), who suspects us for that
 * sibling, and does likewise: a search in depth, which finds a way around liars who
 * believe each other, and where it ends at last the source is told.  Only who shares the area,
 * and so looks for the same sibling, is asked like that.  Each return costs a share of the
 * hop limit, so that a packet which the table has no room for does not travel for long.
 *
 * A packet that left by a route to a part and is back to take the sibling route has not gone round:
 * somebody further on has no such route any more, and may well send it over us.  Nor has one that
 * is on a detour (cut.c) now, and was not.
 *
 * Requests for newer sequence numbers (route_req.c) are led astray as well: those that come
 * round are noticed in the same table, and try another way a few times.
 *
 * Whose fault it was does not matter: a route of an honest neighbour whom somebody
 * behind him deceives leads nowhere just as well.  He notices it himself as soon as packets
 * enter the circle at him, and mends it; then ours is good again after a second.  Who sends
 * back on purpose what came rightly by some neighbour keeps us from sending by
 * him what would end in his own hands.
 *
 * The table of packets is a sample when there are many: an entry stays for SEEN_KEEP_NS after
 * the packet was here, whoever comes meanwhile, and then until its place is wanted, or for
 * LIFE_NS.  One packet that is recognised is enough where there is another way, since the
 * route is the same for all; where there is none each of them would go round to the end of its
 * hop limit.
 */
#include "pnstackd/net/circle.h"
#include "pnstackd/net/ctl_int.h"

#define SEEN_PER_FLOW 8              /* packets remembered, by the limit of flows */
#define FLOWS_DEFAULT 128            /* a power of two */
#define NONE UINT16_MAX
#define UNIT_SHIFT 20                /* times are kept in 2^20 ns, modulo 2^16 */
#define LIFE_NS PN_MS(500)
#define SEEN_KEEP_NS PN_MS(30)       /* round a small circle */
#define REQUEST_NS PN_MS(200)        /* who starves repeats his later than that */
#define SHUNS_PER_ADJ 4              /* routes shunned at a time, or lately, */
#define SHUNS_MIN 16                 /* within these bounds, powers of two */
#define SHUNS_MAX 128
#define SHUN_PROBES 4
#define PATIENCE_NS PN_MS(500)
#define SUSPECT_NS PN_S(3)
#define HOLD_NS PN_S(1)
#define HOLD_SHIFT_MAX 6
#define LIAR_ROUTES 3                /* shunned at once, again: all of them are */
#define LIAR_HOLD_NS PN_S(16)
#define ALL CIRCLE_ALL
#define FORGET_NS PN_S(120)          /* after its end */

struct seen {
	uint32_t hash;               /* 0 free */
	uint16_t at;                 /* in units of 2^20 ns */
	uint16_t hops;               /* that it came with */
	uint16_t facet, to;          /* where it left, and over which adjacency */
	uint16_t from;               /* over which it came first; NONE: our own */
	uint8_t level;               /* field of the packet that left */
	uint8_t sibling : 6;         /* level of the route */
	uint8_t plain : 1;           /* it left with NET_HDR_F_PLAIN */
	uint8_t around : 1;          /* it left on a detour (cut.c) */
};

struct shun {
	uint32_t key;                /* hash of the line of our area whose sibling the route
	                                leads to, and of the neighbour; 0 free */
	uint32_t until;              /* in units */
	uint32_t since;              /* first of the returns that it is, or may be, shunned for */
	uint16_t adj;
	uint8_t times;               /* in a row */
	bool on : 1;
	bool all : 1;                /* all of its routes */
};

struct circle {
	struct seen *seen;
	uint32_t mask;
	struct net_timer timer;
	uint32_t shun_mask;
	struct shun *shuns;          /* [shun_mask + 1] */
};

void circle_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t count = SEEN_PER_FLOW * net_limit(cfg->flow_max, FLOWS_DEFAULT);
	uint32_t shun_count = SHUNS_MIN;
	struct circle *c = arena_take(a, 1, sizeof(*c));
	struct seen *seen = arena_take(a, count, sizeof(*seen));
	struct shun *shuns;

	while (shun_count < SHUNS_PER_ADJ * cfg->adj_max && shun_count < SHUNS_MAX)
		shun_count *= 2;
	shuns = arena_take(a, shun_count, sizeof(*shuns));
	PN_ASSERT((count & (count - 1)) == 0);
	PN_ASSERT(cfg->adj_max < NONE);
	net->circle = c;
	if (!c)
		return;                  /* only being sized */
	c->seen = seen;
	c->mask = count - 1;
	c->shuns = shuns;
	c->shun_mask = shun_count - 1;
}

void circle_init(struct net *net)
{
	timer_init(&net->circle->timer, TIMER_CIRCLE, 0);
}

/* Packets ------------------------------------------------------------------------ */

static uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));        /* any order of bytes will do, here only */
	return v;
}

uint32_t circle_hash(const struct net_hdr *hdr, const struct pn_pkt *pkt)
{
	uint64_t replica = hdr->flags & NET_HDR_F_KEY ? hdr->replica : 0; /* no detour: it changes */
	uint64_t h = hdr->dst * 0x9e3779b97f4a7c15u + hdr->src * 0xc2b2ae3d27d4eb4fu +
		     ((uint64_t)hdr->dst_tag << 32 | hdr->src_tag) * 0x165667b19e3779f9u +
		     ((uint64_t)hdr->proto << 48 | replica << 40 |
		      (uint64_t)hdr->flow << 16 | (pkt->len & 0xffff)) * 0xff51afd7ed558ccdu;

	/* the ends of the payload: numbers stand in front, seals at the end */
	if (pkt->len >= NET_HDR_LEN + 2 * sizeof(h))
		h += load(pkt->data + NET_HDR_LEN) * 0xc4ceb9fe1a85ec53u +
		     load(pkt->data + pkt->len - sizeof(h)) * 0x94d049bb133111ebu;
	h = mix64(h);
	return (uint32_t)(h >> 32) | 1;
}

static uint32_t units(struct pn_time now)
{
	return (uint32_t)(now.ns >> UNIT_SHIFT);
}

/* Return: the entry is in use, and younger than that */
static bool seen_within(const struct seen *s, uint64_t ns, struct pn_time now)
{
	return s->hash && (uint16_t)(units(now) - s->at) <= ns >> UNIT_SHIFT;
}

static bool seen_lives(const struct seen *s, struct pn_time now)
{
	return seen_within(s, LIFE_NS, now);
}

static struct seen *seen_at(const struct net *net, uint32_t hash)
{
	return &net->circle->seen[(hash >> 1) & net->circle->mask];
}

void circle_note(struct net *net, uint32_t from, const struct net_hdr *hdr, uint32_t hash,
		 const struct fwd_hop *hop, struct pn_time now)
{
	struct seen *s = seen_at(net, hash);
	uint16_t first = s->hash == hash && seen_lives(s, now) ? s->from : (uint16_t)from;

	/* What aims at a place lowers the level, and nobody's route is used. */
	if (hop->shortcut || hop->level == 0)
		return;
	if (s->hash != hash && seen_within(s, SEEN_KEEP_NS, now))
		return;
	*s = (struct seen){ .hash = hash, .at = (uint16_t)units(now),
			    .facet = hop->facet, .from = first,
			    .hops = from == FWD_ADJ_NONE ? 0 : hdr->hops,
			    .to = (uint16_t)hop->adj, .level = hop->level,
			    .plain = !!(hop->flags & NET_HDR_F_PLAIN),
			    .around = !(hdr->flags & NET_HDR_F_KEY) && hop->detour,
			    .sibling = hop->sibling & 0x3f };
}

/* Routes ----------------------------------------------------------------------------- */

static uint32_t shun_key(uint64_t area, uint32_t adj)
{
	return (uint32_t)(mix64(area ^ (uint64_t)adj << 32) >> 32) | 1;
}

static struct shun *shun_at(const struct net *net, uint32_t key, unsigned i)
{
	return &net->circle->shuns[((key >> 1) + i) & net->circle->shun_mask];
}

static struct shun *shun_find(const struct net *net, uint64_t area, uint32_t adj)
{
	uint32_t key = shun_key(area, adj);

	for (unsigned i = 0; i < SHUN_PROBES; i++)
		if (shun_at(net, key, i)->key == key)
			return shun_at(net, key, i);
	return NULL;
}

/* The neighbour may have been moved to another facet meanwhile (facet.c), or be gone. */
static void shun_changed(struct net *net, uint32_t adj, struct pn_time now)
{
	const struct adj_pub *p = adj_at(net, adj);

	if (p)
		route_shun(net, p->facet, adj, now);
}

static void shun_end(struct net *net, struct shun *s, struct pn_time now)
{
	if (!s->on)
		return;
	s->on = false;
	shun_changed(net, s->adj, now);
}

/* Packets that came back by it lately are not sent there again, whether it is shunned or not. */
static bool shun_suspects(const struct shun *s, struct pn_time now)
{
	return units(now) - s->since <= SUSPECT_NS >> UNIT_SHIFT;
}

/* It was shunned before, and that is not forgotten. */
static bool shun_again(const struct shun *s, struct pn_time now)
{
	return s->times && (uint32_t)(units(now) - s->until) <= FORGET_NS >> UNIT_SHIFT;
}

/* That one, or room for it: nothing that is shunned or suspected now goes for it, or else who makes
 * packets come back for many areas would be shunned for none.  Return: NULL: no room */
static struct shun *shun_have(struct net *net, uint64_t area, uint32_t adj, struct pn_time now)
{
	uint32_t key = shun_key(area, adj);
	struct shun *s = shun_find(net, area, adj), *best = NULL;

	if (s)
		return s;
	for (unsigned i = 0; i < SHUN_PROBES; i++) {
		s = shun_at(net, key, i);
		if (s->key && (s->on || shun_suspects(s, now)))
			continue;
		if (!best || (shun_again(best, now) && !shun_again(s, now)) ||
		    (shun_again(best, now) == shun_again(s, now) &&
		     (int32_t)(s->until - best->until) < 0))
			best = s;
	}
	if (best)
		*best = (struct shun){ .key = key, .adj = (uint16_t)adj, .all = area == ALL,
				       .until = units(now), .since = units(now) - UINT16_MAX };
	return best;
}

bool circle_shuns(const struct net *net, uint64_t area, uint32_t adj)
{
	const struct shun *s = shun_find(net, area, adj);

	return (s && s->on) || (area != ALL && circle_shuns(net, ALL, adj));
}

static void shun(struct net *net, uint64_t area, uint32_t adj, uint64_t hold_ns,
		 struct pn_time now)
{
	struct shun *s = shun_have(net, area, adj, now);

	if (!s || s->on)
		return;                  /* no room; or what came back left before */
	if (!shun_again(s, now))
		s->times = 0;
	hold_ns <<= s->times;
	s->on = true;
	s->until = units(now) + (uint32_t)(hold_ns >> UNIT_SHIFT);
	s->times += s->times < HOLD_SHIFT_MAX;
	count(net, circle_shunned);
	shun_changed(net, adj, now);
	timer_earlier(net, &net->circle->timer, pn_time_add(now, hold_ns));
}

/* Routes of one neighbour that are shunned now, or were lately, and not for the first time */
static unsigned shun_count(const struct net *net, uint32_t adj, struct pn_time now)
{
	unsigned n = 0;

	for (uint32_t i = 0; i <= net->circle->shun_mask; i++) {
		const struct shun *s = &net->circle->shuns[i];

		n += s->key && !s->all && s->adj == adj && s->times > 1 &&
		     (s->on || (uint32_t)(units(now) - s->until) < LIAR_HOLD_NS >> UNIT_SHIFT);
	}
	return n;
}

static void blame(struct net *net, uint16_t facet, unsigned level, uint32_t adj,
		  struct pn_time now)
{
	uint64_t area = route_sibling_line(net, facet, level);
	struct shun *s;

	if (!area || !adj_at(net, adj))
		return;
	s = shun_have(net, area, adj, now);
	if (!s)
		return;
	if (!shun_suspects(s, now))
		s->since = units(now);
	if (!shun_again(s, now) && units(now) - s->since < PATIENCE_NS >> UNIT_SHIFT)
		return;                  /* news may be under way yet */
	shun(net, area, adj, HOLD_NS, now);
	if (shun_count(net, adj, now) >= LIAR_ROUTES)
		shun(net, ALL, adj, LIAR_HOLD_NS, now);
}

/* Return: it goes to that sibling by others than @adj now */
static bool avoids(const struct net *net, uint64_t area, uint32_t adj, struct pn_time now)
{
	const struct shun *s = shun_find(net, area, adj);

	return circle_shuns(net, area, adj) || (s && shun_suspects(s, now));
}

void circle_rule_out(struct net *net, uint32_t from, struct fwd_hop *hop, struct pn_time now)
{
	const struct adj_pub *a;
	uint64_t area;
	int other;

	if (hop->verdict != FWD_SEND || hop->shortcut || hop->level == 0)
		return;
	area = route_sibling_line(net, hop->facet, hop->sibling);
	if (!avoids(net, area, hop->adj, now))
		return;
	other = route_alternate(net, hop->facet, hop->sibling, (int)hop->adj);
	a = other < 0 ? NULL : adj_at(net, (uint32_t)other);
	if (a && a->up && !a->suspect && a->kind != ADJ_INTERNAL && (uint32_t)other != from &&
	    !avoids(net, area, (uint32_t)other, now)) {
		hop->adj = (uint32_t)other;
		hop->alternate = true;
		if (!(hop->flags & NET_HDR_F_KEY))
			hop->flags |= NET_HDR_F_PLAIN;
		return;
	}
	hop->verdict = FWD_NO_ROUTE;
	hop->level = hop->sibling;
}

bool circle_is_back(struct net *net, uint32_t from, const struct net_hdr *hdr, uint32_t hash,
		    uint32_t *to, uint32_t *first, struct pn_time now)
{
	const struct seen *s = seen_at(net, hash);
	uint16_t facet = adj_at(net, from)->facet;

	if (hdr->flags & NET_HDR_F_BACK) {
		bool known = s->hash == hash && s->to == from && seen_lives(s, now);
		unsigned level = known ? s->sibling
				 : hdr->flags & NET_HDR_F_KEY || facet_addr(net, facet) == hdr->dst
					 ? hdr->level
					 : fwd_diff(facet_addr(net, facet), hdr->dst);

		count(net, circle_returns);
		*to = from;
		*first = known && s->from != NONE ? s->from : FWD_ADJ_NONE;
		blame(net, facet, level, from, now);
		return true;
	}
	if (s->hash != hash || s->to == NONE || !seen_lives(s, now) || hdr->level < s->level ||
	    (hdr->hops == s->hops && from != s->to) || (!s->plain && hdr->flags & NET_HDR_F_PLAIN) ||
	    (!s->around && !(hdr->flags & NET_HDR_F_KEY) && hdr->detour))
		return false;
	count(net, circle_returns);
	*to = s->to;
	*first = s->from == NONE ? FWD_ADJ_NONE : s->from;
	if (facet_live(net, s->facet))
		blame(net, s->facet, s->sibling, s->to, now);
	return true;
}

unsigned circle_request(struct net *net, uint64_t area, uint64_t router, uint16_t seqno,
			struct pn_time now)
{
	uint32_t hash = (uint32_t)(mix64(mix64(area) ^ router ^ (uint64_t)seqno << 48) >> 32) | 1;
	struct seen *s = seen_at(net, hash);

	if (s->hash == hash && s->to == NONE &&
	    (uint16_t)(units(now) - s->at) <= REQUEST_NS >> UNIT_SHIFT)
		return ++s->hops;
	/* they are rare, and go before packets */
	*s = (struct seen){ .hash = hash, .at = (uint16_t)units(now), .to = NONE };
	return 0;
}

void circle_on_down(struct net *net, uint32_t adj)
{
	struct circle *c = net->circle;

	for (uint32_t i = 0; i <= c->shun_mask; i++)
		if (c->shuns[i].adj == adj)
			c->shuns[i] = (struct shun){ 0 };
	for (uint32_t i = 0; i <= c->mask; i++)
		if (c->seen[i].to == adj)
			c->seen[i].hash = 0;
}

void circle_expire(struct net *net, struct pn_time now)
{
	uint32_t left = UINT32_MAX;

	for (uint32_t i = 0; i <= net->circle->shun_mask; i++) {
		struct shun *s = &net->circle->shuns[i];

		if (s->on && (int32_t)(s->until - units(now)) <= 0)
			shun_end(net, s, now);
		if (s->on)
			left = pn_min(left, s->until - units(now));
	}
	timer_set(net, &net->circle->timer,
		  left == UINT32_MAX ? PN_TIME_NEVER
				     : pn_time_add(now, (uint64_t)left << UNIT_SHIFT));
}
