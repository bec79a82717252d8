/* SPDX-License-Identifier: ISC */
/* fwd.c - packets by address: take, deliver, send on, or tell the source why not
 *
 * Every packet that comes in is delivered here, leaves over exactly one
 * adjacency, or is dropped with a counter; where it goes is decided in fwd_hop.c.
 *
 * Errors go to the packet's source address.  An error is never answered with an
 * error, a key's walk never either (its sender repeats it by itself), and errors
 * are limited per source and in all.
 *
 * Who has moved away but is still a neighbour gets packets for its old address all the same:
 * the tag says whom they are for.  Level 0 tells it that it is meant, and it
 * tells the source where it is now (lookup_left.c).
 *
 * What this node sends to itself is not delivered inside the call that sends it,
 * but when a timer rings that is due at once: who sends never finds his own
 * tables changed under him.  Session packets are the exception: they only go
 * into the queue for the host.
 *
 * Decisions are remembered for 2 ms, so that a stream of packets does not look
 * through all neighbours for each: 2 ms of an old route are no worse than the
 * time that news of a new one are under way, and end at the hop limit likewise.
 *
 * A packet that came round, or for which there is no way, goes another way or back: circle.c.
 */
#include "pnstackd/net/fwd.h"
#include "pnstackd/net/circle.h"
#include "pnstackd/net/echo.h"
#include "pnstackd/net/guard.h"
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/peer.h"

#define CACHE_DEFAULT 256            /* decisions, a power of two */
#define CACHE_NS PN_MS(2)
#define LOCAL_MAX 64                 /* packets from this node to itself that wait */
#define RETURN_SHARE 4               /* of the hop limit that is left each return costs one */
#define ERRORS_PER_SOURCE 100        /* a second */
#define ERRORS_PER_NODE 1000

struct fwd_cached {
	uint64_t dst;
	struct pn_time until;
	uint32_t from;
	uint16_t facet, flow;
	uint8_t level, detour;
	bool plain;
	struct fwd_hop hop;
};

struct fwd {
	struct limit errors;
	struct pn_pktq local;        /* whole packets, header in front */
	struct net_timer local_timer;
	uint32_t cache_mask;
	struct fwd_cached *cache;
};

void fwd_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t flows = net_limit(cfg->flow_max, CACHE_DEFAULT);
	struct fwd_cached *cache;

	PN_ASSERT((flows & (flows - 1)) == 0);
	net->fwd = arena_take(a, 1, sizeof(struct fwd));
	limit_carve(net->fwd ? &net->fwd->errors : NULL, a,
		    net_limit(cfg->source_max, LIMIT_SLOTS));
	cache = arena_take(a, flows, sizeof(*cache));
	if (!net->fwd)
		return;                  /* only being sized */
	net->fwd->cache = cache;
	net->fwd->cache_mask = flows - 1;
}

void fwd_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	(void)cfg;
	(void)now;
	limit_init(&net->fwd->errors, ERRORS_PER_SOURCE, ERRORS_PER_NODE, net_random_u64(net));
	pn_pktq_init(&net->fwd->local);
	timer_init(&net->fwd->local_timer, TIMER_LOOKUP, LOOKUP_TIMER_LOCAL);
}

void fwd_fini(struct net *net)
{
	pn_pktq_drain(&net->fwd->local, net->pool);
}

/* Header -------------------------------------------------------------------- */

int net_hdr_parse(struct net_hdr *hdr, const uint8_t *buf, size_t len)
{
	struct net_hdr h;
	struct pn_rd r;

	if (len < NET_HDR_LEN)
		return PN_ETRUNC;
	pn_rd_init(&r, buf, NET_HDR_LEN);
	h.proto = pn_rd_u8(&r);
	h.level = pn_rd_u8(&r);
	h.hops = pn_rd_u16(&r);
	h.flow = pn_rd_u16(&r);
	h.flags = pn_rd_u8(&r);
	h.replica = pn_rd_u8(&r);
	h.dst_tag = pn_rd_u32(&r);
	h.src_tag = pn_rd_u32(&r);
	h.dst = pn_rd_u64(&r);
	h.src = pn_rd_u64(&r);
	if (!pn_rd_finish(&r) || h.hops == 0)
		return PN_EBADMSG;
	/* Only lookups walk to a key. */
	if ((h.flags & NET_HDR_F_KEY) && h.proto != NET_PROTO_LOOKUP)
		return PN_EBADMSG;
	*hdr = h;
	return 0;
}

void net_hdr_build(const struct net_hdr *hdr, uint8_t buf[NET_HDR_LEN])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, NET_HDR_LEN);
	pn_wr_u8(&w, hdr->proto);
	pn_wr_u8(&w, hdr->level);
	pn_wr_u16(&w, hdr->hops);
	pn_wr_u16(&w, hdr->flow);
	pn_wr_u8(&w, hdr->flags);
	pn_wr_u8(&w, hdr->replica);
	pn_wr_u32(&w, hdr->dst_tag);
	pn_wr_u32(&w, hdr->src_tag);
	pn_wr_u64(&w, hdr->dst);
	pn_wr_u64(&w, hdr->src);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == NET_HDR_LEN);
}

/* Errors -------------------------------------------------------------------- */

int fwd_error_parse(struct fwd_error *err, const uint8_t *buf, size_t len)
{
	struct fwd_error e = { 0 };
	struct pn_rd r;
	uint8_t reason;

	pn_rd_init(&r, buf, len);
	reason = pn_rd_u8(&r);
	e.level = pn_rd_u8(&r);
	e.mtu = pn_rd_u32(&r);
	e.proto = pn_rd_u8(&r);
	e.flow = pn_rd_u16(&r);
	e.dst_tag = pn_rd_u32(&r);
	e.dst = pn_rd_u64(&r);
	if (r.bad || reason < NET_ERR_ROUTE || reason > NET_ERR_GONE)
		return PN_EBADMSG;
	e.reason = (enum net_err)reason;
	if (pn_rd_left(&r) >= PN_ID_LEN)
		e.has_id = pn_rd_copy(&r, e.id, PN_ID_LEN);
	/* More than we know of is from a newer version: passed over. */
	e.excerpt_len = (uint8_t)pn_min(pn_rd_left(&r), FWD_EXCERPT_MAX);
	pn_rd_copy(&r, e.excerpt, e.excerpt_len);
	*err = e;
	return 0;
}

size_t fwd_error_build(const struct fwd_error *err, uint8_t *buf, size_t cap)
{
	struct pn_wr w;

	if (cap < FWD_ERROR_LEN)
		return 0;
	pn_wr_init(&w, buf, cap);
	pn_wr_u8(&w, err->reason);
	pn_wr_u8(&w, err->level);
	pn_wr_u32(&w, err->mtu);
	pn_wr_u8(&w, err->proto);
	pn_wr_u16(&w, err->flow);
	pn_wr_u32(&w, err->dst_tag);
	pn_wr_u64(&w, err->dst);
	if (err->has_id && cap - w.len >= PN_ID_LEN) {
		pn_wr_bytes(&w, err->id, PN_ID_LEN);
		pn_wr_bytes(&w, err->excerpt, pn_min(err->excerpt_len, cap - w.len));
	}
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

/* Tell the source of a packet that it ended at @facet. */
static void fwd_tell(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		     const struct pn_pkt *pkt, enum net_err reason, uint8_t level, uint32_t mtu,
		     struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_ERROR, .dst = hdr->src, .dst_tag = hdr->src_tag,
				.flow = hdr->flow };
	struct fwd_error err = { .reason = reason, .level = level, .mtu = mtu, .proto = hdr->proto,
				 .flow = hdr->flow, .dst_tag = hdr->dst_tag, .dst = hdr->dst,
				 .has_id = true };
	uint8_t buf[FWD_ERROR_MAX];
	size_t len;

	if (hdr->proto == NET_PROTO_ERROR || (hdr->flags & NET_HDR_F_KEY))
		return;
	PN_ASSERT(pkt->len >= NET_HDR_LEN);
	len = pkt->len - NET_HDR_LEN;
	memcpy(err.id, net->id, PN_ID_LEN);
	err.excerpt_len = (uint8_t)pn_min(len, FWD_EXCERPT_MAX);
	memcpy(err.excerpt, pkt->data + NET_HDR_LEN, err.excerpt_len);
	len = fwd_error_build(&err, buf, pn_min(len, sizeof(buf)));
	if (len == 0 || !guard_may_answer(net, now) ||
	    !limit_take(&net->fwd->errors, hdr->src, now)) {
		count(net, fwd_errors_limited);
		return;
	}
	if (fwd_originate(net, facet, &back, buf, len, now) == 0)
		count(net, fwd_errors_sent);
}

static void fwd_on_error(struct net *net, const struct net_hdr *hdr, const struct pn_pkt *pkt,
			 struct pn_time now)
{
	struct fwd_error err;

	if (fwd_error_parse(&err, pkt->data, pkt->len) < 0) {
		count(net, fwd_bad_payload);
		return;
	}
	if (err.proto == NET_PROTO_ECHO && echo_on_error(net, hdr, &err, now))
		peer_on_error(net, err.reason, err.mtu, err.dst, err.dst_tag, PEER_FLOW_ANY, now);
	if (err.proto == NET_PROTO_LOOKUP)
		lookup_on_error(net, &err, now);
	if (err.proto == NET_PROTO_SESSION)
		peer_on_error(net, err.reason, err.mtu, err.dst, err.dst_tag, err.flow, now);
}

/* Delivery ------------------------------------------------------------------ */

/* Takes @pkt, header still in front, which is for @facet. */
static void fwd_deliver(struct net *net, uint16_t facet, const struct net_hdr *hdr,
			struct pn_pkt *pkt, struct pn_time now)
{
	pn_pkt_pull(pkt, NET_HDR_LEN);
	count(net, fwd_delivered);
	switch (hdr->proto) {
	case NET_PROTO_SESSION:
		pkt->src = hdr->src;
		pkt->dst = hdr->dst;
		pkt->tag = hdr->src_tag;
		pkt->flow = hdr->flow;
		pkt->proto = hdr->proto;
		pkt->ecn = hdr->flags >> NET_HDR_F_ECN_SHIFT;
		pn_pktq_push(&net->deliver, pkt);
		return;
	case NET_PROTO_ERROR:
		fwd_on_error(net, hdr, pkt, now);
		break;
	case NET_PROTO_ECHO:
		echo_on_packet(net, facet, hdr, pkt->data, pkt->len, now);
		break;
	case NET_PROTO_LOOKUP:
		lookup_on_packet(net, facet, hdr, pkt->data, pkt->len, now);
		break;
	case NET_PROTO_TREE:
		tree_on_packet(net, facet, hdr, pkt->data, pkt->len, now);
		break;
	default:
		count(net, fwd_bad_payload);
		break;
	}
	pn_pkt_put(net->pool, pkt);
}

/* Is this packet for us, by its tag?  The caller found its address to be ours. */
static bool fwd_tag_ours(const struct net *net, const struct net_hdr *hdr)
{
	if (hdr->dst_tag == net->tag)
		return true;
	return hdr->dst_tag == 0 && hdr->proto != NET_PROTO_SESSION;
}

static void fwd_local(struct net *net, struct pn_pkt *pkt, struct pn_time now)
{
	struct pn_pktq *q = &net->fwd->local;

	if (q->count >= LOCAL_MAX) {
		count(net, fwd_local_dropped);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	pn_pktq_push(q, pkt);
	timer_set(net, &net->fwd->local_timer, now);
}

void fwd_run_local(struct net *net, struct pn_time now)
{
	struct pn_pktq todo = net->fwd->local;
	struct pn_pkt *pkt;

	/* What is sent meanwhile waits for the next ring: no endless loop here. */
	pn_pktq_init(&net->fwd->local);
	while ((pkt = pn_pktq_pop(&todo))) {
		struct net_hdr hdr;
		int facet = 0;
		int rc = net_hdr_parse(&hdr, pkt->data, pkt->len);

		PN_ASSERT(rc == 0);
		if (!(hdr.flags & NET_HDR_F_KEY))
			facet = facet_of_addr(net, (uint16_t)pkt->cookie,
					      hdr.dst, hdr.dst_tag, now);
		if (facet < 0) {
			count(net, fwd_local_dropped);
			pn_pkt_put(net->pool, pkt);
			continue;
		}
		fwd_deliver(net, (uint16_t)facet, &hdr, pkt, now);
	}
}

/* Onwards ------------------------------------------------------------------- */

/* fwd_decide() through the cache */
static struct fwd_hop fwd_decide_cached(struct net *net, uint16_t facet, const struct net_hdr *hdr,
					uint32_t from, struct pn_time now)
{
	uint64_t h = mix64(hdr->dst ^ (uint64_t)hdr->flow << 48 ^ (uint64_t)from << 16 ^ facet);
	struct fwd_cached *c = &net->fwd->cache[h & net->fwd->cache_mask];

	if (pn_time_before(now, c->until) && c->dst == hdr->dst && c->flow == hdr->flow &&
	    c->facet == facet && c->level == hdr->level && c->detour == hdr->detour &&
	    c->from == from && c->plain == !!(hdr->flags & NET_HDR_F_PLAIN)) {
		const struct adj_pub *a = adj_at(net, c->hop.adj);
		struct fwd_hop hop = c->hop;

		hop.flags = (uint8_t)((hdr->flags & ~NET_HDR_F_PLAIN) |
				      (hop.flags & NET_HDR_F_PLAIN));
		if (a && a->up && !a->suspect)
			return hop;
	}
	struct fwd_hop hop = fwd_decide(net, facet, hdr, from);

	if (hop.verdict == FWD_SEND)
		*c = (struct fwd_cached){ .dst = hdr->dst, .until = pn_time_add(now, CACHE_NS),
					  .from = from, .facet = facet, .flow = hdr->flow,
					  .level = hdr->level, .detour = hdr->detour, .hop = hop,
					  .plain = hdr->flags & NET_HDR_F_PLAIN };
	return hop;
}

/* Takes @pkt, whose header gets the new level, flags and hop limit. */
static void fwd_transmit(struct net *net, struct pn_pkt *pkt, struct net_hdr *hdr,
			 const struct fwd_hop *hop, struct pn_time now)
{
	uint64_t there;

	hdr->level = hop->level;
	hdr->detour = hop->detour;
	hdr->flags = hop->flags;
	net_hdr_build(hdr, pkt->data);
	if ((hdr->proto == NET_PROTO_SESSION || hdr->proto == NET_PROTO_ECHO) && !hop->answer &&
	    !(neighbour_addr(net, hop->adj, &there) && there == hdr->dst))
		guard_on_data(net, hop->adj);
	if (hop->shortcut)
		count(net, fwd_shortcuts);
	if (hop->alternate)
		count(net, fwd_alternate);
	adj_data_send(net, hop->adj, pkt, now);
}

/* Data between users may deserve a shorter way over a shared Ethernet. */
static void fwd_redirect(struct net *net, uint32_t from, uint32_t to, const struct net_hdr *hdr,
			 struct pn_time now)
{
	if (!(hdr->flags & NET_HDR_F_KEY) &&
	    (hdr->proto == NET_PROTO_SESSION || hdr->proto == NET_PROTO_ECHO))
		adj_on_forward(net, from, to, hdr->dst, now);
}

/* The neighbour that has the tag a packet is for.  Return: FWD_ADJ_NONE: none */
static uint32_t fwd_tag_neighbour(struct net *net, const struct net_hdr *hdr, uint32_t from)
{
	if (hdr->dst_tag == 0 || (net->leaf && from != FWD_ADJ_NONE))
		return FWD_ADJ_NONE;
	for (uint32_t i = 0; i < adj_count(net); i++) {
		const struct adj_pub *a = adj_at(net, i);

		if (a && a->up && a->kind != ADJ_INTERNAL && i != from &&
		    net_hit_tag(a->hit) == hdr->dst_tag)
			return i;
	}
	return FWD_ADJ_NONE;
}

/* Who is meant may have been here, and have another address now: if a neighbour has the
 * tag the packet goes to it, whatever its address.  Once only: level 0 says so.
 * Return: false: no such neighbour */
static bool fwd_to_tag(struct net *net, const struct net_hdr *hdr, uint32_t from,
		       struct fwd_hop *hop)
{
	uint32_t i = FWD_ADJ_NONE;

	if (!(hdr->flags & NET_HDR_F_KEY) && hdr->level != 0)
		i = fwd_tag_neighbour(net, hdr, from);
	if (i == FWD_ADJ_NONE)
		return false;
	*hop = (struct fwd_hop){ .verdict = FWD_SEND, .adj = i, .facet = adj_at(net, i)->facet,
				 .flags = hdr->flags };
	count(net, fwd_old_place);
	return true;
}

/* A question on its way to an anchor has met a neighbour of the one whom it is about:
 * he knows best where he is.  He takes it, whatever the key.
 * Return: false: no such neighbour */
static bool fwd_key_meets(struct net *net, const struct net_hdr *hdr, uint32_t from,
			  struct fwd_hop *hop)
{
	uint32_t i = hdr->flags & NET_HDR_F_KEY ? fwd_tag_neighbour(net, hdr, from) : FWD_ADJ_NONE;
	uint64_t there;

	if (i == FWD_ADJ_NONE || adj_at(net, i)->suspect || !neighbour_addr(net, i, &there))
		return false;
	*hop = (struct fwd_hop){ .verdict = FWD_SEND, .adj = i, .facet = adj_at(net, i)->facet,
				 .level = hdr->level, .sibling = hdr->level,
				 .flags = hdr->flags, .detour = hdr->detour };
	count(net, fwd_key_met);
	return true;
}

static struct fwd_hop fwd_any_hop(struct net *net, uint16_t facet, const struct net_hdr *hdr,
				  uint32_t from, struct pn_time now)
{
	struct fwd_hop hop;

	if (!(hdr->flags & NET_HDR_F_KEY))
		return fwd_decide_cached(net, facet, hdr, from, now);
	if (fwd_key_meets(net, hdr, from, &hop))
		return hop;
	return fwd_decide_key(net, facet, hdr, from);
}

/* A packet for us that was sent to an address that we do not have any more */
static void fwd_moved(struct net *net, const struct net_hdr *hdr, size_t len, struct pn_time now)
{
	if (hdr->proto == NET_PROTO_SESSION && limit_take(&net->fwd->errors, hdr->src, now))
		lookup_tell_moved(net, hdr, len, now);
}

/* Takes @pkt: over that adjacency, or an error to its source. */
static void fwd_pass(struct net *net, uint32_t from, struct net_hdr *hdr, struct pn_pkt *pkt,
		     const struct fwd_hop *hop, struct pn_time now);

/* Takes @pkt, which cannot go on from here: back to whom it came from, who knows no way
 * either if it comes from us, and tries another one.
 * Return: false: it cannot do that; not taken */
static bool fwd_back(struct net *net, uint32_t to, struct net_hdr *hdr, struct pn_pkt *pkt,
		     const struct fwd_hop *at, struct pn_time now)
{
	const struct adj_pub *a = to == FWD_ADJ_NONE ? NULL : adj_at(net, to);
	struct fwd_hop hop = { .verdict = FWD_SEND, .adj = to, .facet = at->facet,
			       .level = hdr->level, .answer = true, .detour = hdr->detour,
			       .flags = hdr->flags | NET_HDR_F_BACK };

	if (!a || !a->up || a->leaf || net->leaf || hdr->hops <= 1 ||
	    pkt->len > a->payload_max || !route_shared(net, to, at->level))
		return false;
	hdr->hops--;
	count(net, circle_back);
	fwd_transmit(net, pkt, hdr, &hop, now);
	return true;
}

/* Takes @pkt: on to the next node, or an error to its source. */
static void fwd_onward(struct net *net, uint32_t adj, uint16_t facet, struct net_hdr *hdr,
		       struct pn_pkt *pkt, struct pn_time now)
{
	uint32_t hash = circle_hash(hdr, pkt), to, first = adj;
	bool back = circle_is_back(net, adj, hdr, hash, &to, &first, now);

	hdr->flags &= (uint8_t)~NET_HDR_F_BACK;
	struct fwd_hop hop = back && !(hdr->flags & NET_HDR_F_KEY)
				     ? fwd_decide(net, facet, hdr, adj)
				     : fwd_any_hop(net, facet, hdr, adj, now);
	if (hop.verdict == FWD_HERE && (hdr->flags & NET_HDR_F_KEY)) {
		fwd_deliver(net, hop.facet, hdr, pkt, now);
		return;
	}
	if (back) {
		hdr->hops -= hdr->hops / RETURN_SHARE;
		circle_rule_out(net, adj, &hop, now);
	}
	if (hop.verdict == FWD_NO_ROUTE && !fwd_to_tag(net, hdr, adj, &hop) &&
	    fwd_back(net, back && adj == to ? first : adj, hdr, pkt, &hop, now))
		return;
	if (net->leaf) {
		count(net, fwd_leaf);
		fwd_tell(net, facet, hdr, pkt, NET_ERR_ROUTE, hop.level, 0, now);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	if (hop.verdict != FWD_SEND) {
		if (hdr->flags & NET_HDR_F_KEY)
			count(net, fwd_key_no_route);
		count(net, fwd_no_route);
		fwd_tell(net, hop.facet, hdr, pkt, NET_ERR_ROUTE, hop.level, 0, now);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	circle_note(net, adj, hdr, hash, &hop, now);
	fwd_pass(net, adj, hdr, pkt, &hop, now);
}

static void fwd_pass(struct net *net, uint32_t from, struct net_hdr *hdr, struct pn_pkt *pkt,
		     const struct fwd_hop *hop, struct pn_time now)
{
	const struct adj_pub *a = adj_at(net, hop->adj);

	PN_ASSERT(a);
	if (hdr->hops <= 1) {
		uint64_t own = facet_addr(net, hop->facet);

		count(net, fwd_hop_limit);
		fwd_tell(net, hop->facet, hdr, pkt, NET_ERR_HOPS,
			 own == hdr->dst ? 0 : (uint8_t)fwd_diff(own, hdr->dst), 0, now);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	if (pkt->len > a->payload_max) {
		count(net, fwd_too_big);
		fwd_tell(net, hop->facet, hdr, pkt, NET_ERR_TOO_BIG, 0, a->payload_max, now);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	hdr->hops--;
	count(net, fwd_forwarded);
	fwd_redirect(net, from, hop->adj, hdr, now);
	fwd_transmit(net, pkt, hdr, hop, now);
}

/* Takes @pkt. */
static void fwd_take(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	const struct adj_pub *a = adj_at(net, adj);
	struct net_hdr hdr;
	int ours;

	PN_ASSERT(pkt);
	if (!a || net_hdr_parse(&hdr, pkt->data, pkt->len) < 0 || !facet_live(net, a->facet)) {
		count(net, fwd_bad_header);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	ours = hdr.flags & NET_HDR_F_KEY
		       ? -1
		       : facet_of_addr(net, a->facet, hdr.dst, hdr.dst_tag, now);
	/* Given to us as the one who is meant: then the address is an old one of ours; or
	 * we are the one whom a question is about. */
	if (ours < 0 && hdr.dst_tag == net->tag && (hdr.level == 0 || (hdr.flags & NET_HDR_F_KEY)))
		ours = a->facet;
	if (ours >= 0 && fwd_tag_ours(net, &hdr)) {
		if (facet_addr(net, (uint16_t)ours) != hdr.dst)
			fwd_moved(net, &hdr, pkt->len, now);
		fwd_deliver(net, (uint16_t)ours, &hdr, pkt, now);
		return;
	}
	/* An address of ours, but meant for whoever had it before.  One that we had
	 * before may be somebody else's now: such a packet goes on to him. */
	if (ours >= 0 && facet_addr(net, (uint16_t)ours) == hdr.dst) {
		struct fwd_hop hop;

		if (fwd_to_tag(net, &hdr, adj, &hop)) {
			fwd_pass(net, adj, &hdr, pkt, &hop, now);
			return;
		}
		count(net, fwd_gone);
		fwd_tell(net, (uint16_t)ours, &hdr, pkt, NET_ERR_GONE, 0, 0, now);
		pn_pkt_put(net->pool, pkt);
		return;
	}
	fwd_onward(net, adj, a->facet, &hdr, pkt, now);
}

void fwd_on_packet(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	net->rx_adj = adj;
	fwd_take(net, adj, pkt, now);
	net->rx_adj = NET_RX_NONE;
}

/* Our own packets ------------------------------------------------------------- */

/* Takes @pkt, header in front: it stays on this node. */
static int fwd_to_self(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		       struct pn_pkt *pkt, struct pn_time now)
{
	net_hdr_build(hdr, pkt->data);
	if (hdr->proto == NET_PROTO_SESSION)
		fwd_deliver(net, facet, hdr, pkt, now);
	else {
		pkt->cookie = facet;     /* whose network the address belongs to */
		fwd_local(net, pkt, now);
	}
	return 0;
}

static int fwd_drop_own(struct net *net, struct pn_pkt *pkt, int rc)
{
	if (rc == PN_EMSGSIZE)
		count(net, fwd_too_big);
	else
		count(net, fwd_no_route);
	pn_pkt_put(net->pool, pkt);
	return rc;
}

/* Takes @pkt: fwd_send() when the source is filled in. */
static int fwd_start(struct net *net, uint16_t facet, struct net_hdr *hdr, struct pn_pkt *pkt,
		     uint32_t *mtu, struct pn_time now)
{
	const struct adj_pub *a;
	struct fwd_hop hop;
	int ours;

	PN_ASSERT(facet_live(net, facet));
	PN_ASSERT(pn_pkt_headroom(pkt) >= NET_HDR_LEN);
	pn_pkt_push(pkt, NET_HDR_LEN);
	if (!(hdr->flags & NET_HDR_F_KEY))
		hdr->level = NET_LEVEL_ANY;
	hdr->hops = hdr->hops ? hdr->hops : NET_HOPS_DEFAULT;
	ours = hdr->flags & NET_HDR_F_KEY
		       ? -1
		       : facet_of_addr(net, facet, hdr->dst, hdr->dst_tag, now);
	if (ours >= 0 && fwd_tag_ours(net, hdr))
		return fwd_to_self(net, (uint16_t)ours, hdr, pkt, now);
	if (ours >= 0 && facet_addr(net, (uint16_t)ours) == hdr->dst)
		return fwd_drop_own(net, pkt, PN_ESTALE);
	hop = fwd_any_hop(net, facet, hdr, FWD_ADJ_NONE, now);
	if (hop.verdict == FWD_HERE && (hdr->flags & NET_HDR_F_KEY))
		return fwd_to_self(net, hop.facet, hdr, pkt, now);
	if (hop.verdict != FWD_SEND && !fwd_to_tag(net, hdr, FWD_ADJ_NONE, &hop))
		return fwd_drop_own(net, pkt, PN_ENOROUTE);
	fwd_redirect(net, FWD_ADJ_NONE, hop.adj, hdr, now);
	a = adj_at(net, hop.adj);
	PN_ASSERT(a);
	if (pkt->len > a->payload_max) {
		if (mtu)
			*mtu = a->payload_max;
		return fwd_drop_own(net, pkt, PN_EMSGSIZE);
	}
	circle_note(net, FWD_ADJ_NONE, hdr, circle_hash(hdr, pkt), &hop, now);
	fwd_transmit(net, pkt, hdr, &hop, now);
	return 0;
}

int fwd_send(struct net *net, uint16_t facet, struct net_hdr *hdr, struct pn_pkt *pkt,
	     uint32_t *mtu, struct pn_time now)
{
	hdr->src = facet_addr(net, facet);
	hdr->src_tag = net->tag;
	return fwd_start(net, facet, hdr, pkt, mtu, now);
}

int fwd_relay(struct net *net, uint16_t facet, struct net_hdr *hdr, const uint8_t *payload,
	      size_t len, struct pn_time now)
{
	struct pn_pkt *pkt = pn_pkt_get(net->pool);

	if (!pkt) {
		count(net, tx_no_buffer);
		return PN_EAGAIN;
	}
	if (len > pn_pkt_room(pkt) - PN_PKT_TAILROOM)
		return fwd_drop_own(net, pkt, PN_EMSGSIZE);
	memcpy(pn_pkt_append(pkt, (uint32_t)len), payload, len);
	return fwd_start(net, facet, hdr, pkt, NULL, now);
}

int fwd_originate(struct net *net, uint16_t facet, struct net_hdr *hdr,
		  const uint8_t *payload, size_t len, struct pn_time now)
{
	hdr->src = facet_addr(net, facet);
	hdr->src_tag = net->tag;
	return fwd_relay(net, facet, hdr, payload, len, now);
}

/* Is @addr the address of a neighbour of ours? */
static bool fwd_is_neighbour(const struct net *net, uint64_t addr)
{
	uint64_t there;

	for (uint32_t i = 0; i < adj_count(net); i++)
		if (neighbour_addr(net, i, &there) && there == addr)
			return true;
	return false;
}

void fwd_answer(struct net *net, uint16_t facet, struct net_hdr *hdr, const uint8_t *payload,
		size_t len, struct pn_time now)
{
	struct fwd_hop hop = { .verdict = FWD_SEND, .adj = net->rx_adj, .facet = facet,
			       .level = NET_LEVEL_ANY, .flags = hdr->flags, .answer = true };
	const struct adj_pub *a = hop.adj == NET_RX_NONE ? NULL : adj_at(net, hop.adj);
	struct pn_pkt *pkt;
	uint64_t there;

	if (!a || !a->up || a->leaf || !neighbour_addr(net, hop.adj, &there) ||
	    NET_HDR_LEN + len > a->payload_max || fwd_is_neighbour(net, hdr->dst)) {
		(void)fwd_originate(net, facet, hdr, payload, len, now);
		return;
	}
	pkt = pn_pkt_get(net->pool);
	if (!pkt) {
		count(net, tx_no_buffer);
		return;
	}
	if (len > pn_pkt_room(pkt) - PN_PKT_TAILROOM) {
		(void)fwd_drop_own(net, pkt, PN_EMSGSIZE);
		return;
	}
	memcpy(pn_pkt_append(pkt, (uint32_t)len), payload, len);
	pn_pkt_push(pkt, NET_HDR_LEN);
	hdr->hops = NET_HOPS_DEFAULT;
	hdr->src = facet_addr(net, facet);
	hdr->src_tag = net->tag;
	fwd_transmit(net, pkt, hdr, &hop, now);
}

uint32_t fwd_first_mtu(const struct net *net, uint64_t dst)
{
	struct net_hdr hdr = { .dst = dst, .level = NET_LEVEL_ANY };
	struct fwd_hop hop = fwd_decide(net, 0, &hdr, FWD_ADJ_NONE);

	if (hop.verdict != FWD_SEND)
		return 0;
	return adj_at((struct net *)(uintptr_t)net, hop.adj)->payload_max;
}

void net_send_addr(struct net *net, uint64_t addr, uint32_t tag, struct pn_pkt *pkt,
		   struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_SESSION, .dst = addr, .dst_tag = tag,
			       .flow = pkt->flow,
			       .flags = (uint8_t)((pkt->ecn & 3) << NET_HDR_F_ECN_SHIFT) };

	net->now = now;
	(void)fwd_send(net, 0, &hdr, pkt, NULL, now);
}
