/* SPDX-License-Identifier: ISC */
/* fake_net.h - packets, lookups and peers over a network that is known exactly
 *
 * The modules fwd, lookup, peer and echo are compiled into the test itself, with
 * all their names changed, so that what they call can be a fake: the area tree
 * and the routes are computed here from the whole graph, adjacencies lose and
 * delay packets as the test says, and time is virtual.
 *
 * Define FAKE_NAME(x_) as a prefix of your own before including this, once in a
 * test: fake_net.h is the whole world of one test file.
 *
 * The graph's vertices are facets; several of them may be one node.  Its tree is
 * made by joining connected parts, smallest first, as the real one does.
 */
#ifndef TESTS_FAKE_NET_H
#define TESTS_FAKE_NET_H

#ifndef FAKE_NAME
#define FAKE_NAME(x_) fake_##x_
#endif
#define addr_record_build FAKE_NAME(addr_record_build)
#define addr_record_parse FAKE_NAME(addr_record_parse)
#define addr_record_verify FAKE_NAME(addr_record_verify)
#define adj_at FAKE_NAME(adj_at)
#define adj_count FAKE_NAME(adj_count)
#define adj_data_send FAKE_NAME(adj_data_send)
#define adj_on_forward FAKE_NAME(adj_on_forward)
#define arena_take FAKE_NAME(arena_take)
#define circle_carve FAKE_NAME(circle_carve)
#define circle_expire FAKE_NAME(circle_expire)
#define circle_hash FAKE_NAME(circle_hash)
#define circle_init FAKE_NAME(circle_init)
#define circle_is_back FAKE_NAME(circle_is_back)
#define circle_note FAKE_NAME(circle_note)
#define circle_on_down FAKE_NAME(circle_on_down)
#define circle_request FAKE_NAME(circle_request)
#define circle_rule_out FAKE_NAME(circle_rule_out)
#define circle_shuns FAKE_NAME(circle_shuns)
#define client_expire FAKE_NAME(client_expire)
#define client_forget FAKE_NAME(client_forget)
#define client_init FAKE_NAME(client_init)
#define client_on_answer FAKE_NAME(client_on_answer)
#define client_on_error FAKE_NAME(client_on_error)
#define echo_build FAKE_NAME(echo_build)
#define echo_carve FAKE_NAME(echo_carve)
#define echo_init FAKE_NAME(echo_init)
#define echo_on_error FAKE_NAME(echo_on_error)
#define echo_on_packet FAKE_NAME(echo_on_packet)
#define echo_on_peer FAKE_NAME(echo_on_peer)
#define echo_parse FAKE_NAME(echo_parse)
#define facet_addr FAKE_NAME(facet_addr)
#define facet_height FAKE_NAME(facet_height)
#define facet_live FAKE_NAME(facet_live)
#define facet_max FAKE_NAME(facet_max)
#define facet_of_addr FAKE_NAME(facet_of_addr)
#define facet_root FAKE_NAME(facet_root)
#define fwd_carve FAKE_NAME(fwd_carve)
#define fwd_decide FAKE_NAME(fwd_decide)
#define fwd_decide_key FAKE_NAME(fwd_decide_key)
#define fwd_diff FAKE_NAME(fwd_diff)
#define fwd_error_build FAKE_NAME(fwd_error_build)
#define fwd_error_parse FAKE_NAME(fwd_error_parse)
#define fwd_fini FAKE_NAME(fwd_fini)
#define fwd_first_mtu FAKE_NAME(fwd_first_mtu)
#define fwd_init FAKE_NAME(fwd_init)
#define fwd_key_pick FAKE_NAME(fwd_key_pick)
#define fwd_on_packet FAKE_NAME(fwd_on_packet)
#define fwd_originate FAKE_NAME(fwd_originate)
#define fwd_relay FAKE_NAME(fwd_relay)
#define fwd_run_local FAKE_NAME(fwd_run_local)
#define fwd_send FAKE_NAME(fwd_send)
#define lookup_carve FAKE_NAME(lookup_carve)
#define lookup_expire FAKE_NAME(lookup_expire)
#define lookup_init FAKE_NAME(lookup_init)
#define lookup_key FAKE_NAME(lookup_key)
#define lookup_on_address FAKE_NAME(lookup_on_address)
#define lookup_on_packet FAKE_NAME(lookup_on_packet)
#define lookup_on_error FAKE_NAME(lookup_on_error)
#define lookup_nearest FAKE_NAME(lookup_nearest)
#define lookup_record_expire FAKE_NAME(lookup_record_expire)
#define lookup_send_store FAKE_NAME(lookup_send_store)
#define lookup_start FAKE_NAME(lookup_start)
#define addr_record_newer FAKE_NAME(addr_record_newer)
#define addr_prefix FAKE_NAME(addr_prefix)
#define fwd_key_walk FAKE_NAME(fwd_key_walk)
#define fwd_key_start FAKE_NAME(fwd_key_start)
#define lookup_on_chain FAKE_NAME(lookup_on_chain)
#define lookup_rtt_sample FAKE_NAME(lookup_rtt_sample)
#define lookup_timeout_ns FAKE_NAME(lookup_timeout_ns)
#define own_init FAKE_NAME(own_init)
#define own_changed FAKE_NAME(own_changed)
#define own_expire FAKE_NAME(own_expire)
#define own_on_stored FAKE_NAME(own_on_stored)
#define own_record FAKE_NAME(own_record)
#define table_init FAKE_NAME(table_init)
#define store_next FAKE_NAME(store_next)
#define store_insert FAKE_NAME(store_insert)
#define store_remove FAKE_NAME(store_remove)
#define store_set_raw FAKE_NAME(store_set_raw)
#define store_raw FAKE_NAME(store_raw)
#define store_rearm FAKE_NAME(store_rearm)
#define store_on_left FAKE_NAME(store_on_left)
#define left_area FAKE_NAME(left_area)
#define left_next FAKE_NAME(left_next)
#define left_expire FAKE_NAME(left_expire)
#define left_on_stored FAKE_NAME(left_on_stored)
#define lookup_tell_moved FAKE_NAME(lookup_tell_moved)
#define lookup_on_moved FAKE_NAME(lookup_on_moved)
#define store_returned FAKE_NAME(store_returned)
#define store_check FAKE_NAME(store_check)
#define tree_scopes FAKE_NAME(tree_scopes)
#define tree_area_base FAKE_NAME(tree_area_base)
#define tree_sibling_id FAKE_NAME(tree_sibling_id)
#define route_sibling_exists FAKE_NAME(route_sibling_exists)
#define nbhd_nearest FAKE_NAME(nbhd_nearest)
#define neighbour_addr FAKE_NAME(neighbour_addr)
#define net_event_push FAKE_NAME(net_event_push)
#define net_hdr_build FAKE_NAME(net_hdr_build)
#define net_hdr_parse FAKE_NAME(net_hdr_parse)
#define net_hit_tag FAKE_NAME(net_hit_tag)
#define net_identity_hit FAKE_NAME(net_identity_hit)
#define net_lookup FAKE_NAME(net_lookup)
#define net_next_hop FAKE_NAME(net_next_hop)
#define net_own_record FAKE_NAME(net_own_record)
#define net_peer_close FAKE_NAME(net_peer_close)
#define net_peer_mtu FAKE_NAME(net_peer_mtu)
#define net_peer_open FAKE_NAME(net_peer_open)
#define net_peer_silent FAKE_NAME(net_peer_silent)
#define net_peer_update FAKE_NAME(net_peer_update)
#define net_ping FAKE_NAME(net_ping)
#define net_random_u64 FAKE_NAME(net_random_u64)
#define net_send_addr FAKE_NAME(net_send_addr)
#define net_send_peer FAKE_NAME(net_send_peer)
#define net_sign FAKE_NAME(net_sign)
#define net_verify FAKE_NAME(net_verify)
#define peer_address FAKE_NAME(peer_address)
#define peer_carve FAKE_NAME(peer_carve)
#define peer_expire FAKE_NAME(peer_expire)
#define guard_may_answer FAKE_NAME(guard_may_answer)
#define guard_on_data FAKE_NAME(guard_on_data)
#define guard_on_reply FAKE_NAME(guard_on_reply)
#define fwd_answer FAKE_NAME(fwd_answer)
#define peer_fini FAKE_NAME(peer_fini)
#define peer_init FAKE_NAME(peer_init)
#define peer_in_doubt FAKE_NAME(peer_in_doubt)
#define peer_on_address FAKE_NAME(peer_on_address)
#define peer_on_error FAKE_NAME(peer_on_error)
#define peer_on_lookup_failed FAKE_NAME(peer_on_lookup_failed)
#define peer_on_record FAKE_NAME(peer_on_record)
#define cut_ends FAKE_NAME(cut_ends)
#define route_alternate FAKE_NAME(route_alternate)
#define route_detour FAKE_NAME(route_detour)
#define route_hop FAKE_NAME(route_hop)
#define route_metric FAKE_NAME(route_metric)
#define route_part FAKE_NAME(route_part)
#define route_shared FAKE_NAME(route_shared)
#define route_shun FAKE_NAME(route_shun)
#define route_sibling_line FAKE_NAME(route_sibling_line)
#define store_find FAKE_NAME(store_find)
#define store_hurry FAKE_NAME(store_hurry)
#define answer_on_query FAKE_NAME(answer_on_query)
#define store_on_store FAKE_NAME(store_on_store)
#define store_on_stored FAKE_NAME(store_on_stored)
#define store_scan FAKE_NAME(store_scan)
#define timer_earlier FAKE_NAME(timer_earlier)
#define timer_init FAKE_NAME(timer_init)
#define timer_set FAKE_NAME(timer_set)
#define tree_on_packet FAKE_NAME(tree_on_packet)
#define tree_weight FAKE_NAME(tree_weight)

#include "pnstackd/net/fwd_hop.c"
#include "pnstackd/net/fwd.c"
#include "pnstackd/net/circle.c"
#include "pnstackd/net/lookup_record.c"
#include "pnstackd/net/lookup.c"
#include "pnstackd/net/lookup_own.c"
#include "pnstackd/net/lookup_table.c"
#include "pnstackd/net/lookup_store.c"
#include "pnstackd/net/lookup_answer.c"
#include "pnstackd/net/lookup_hand.c"
#include "pnstackd/net/lookup_left.c"
#include "pnstackd/net/lookup_client.c"
#include "pnstackd/net/peer.c"
#include "pnstackd/net/echo.c"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define FAKE static __attribute__((unused))
#ifndef W_CHECK
#define W_CHECK(cond_) CU_ASSERT(cond_)
#endif

#define W_VERTICES 64                /* facets in all, at most */
#define W_ADJS 200                   /* of one node */
#define W_LATENCY PN_MS(1)
#ifndef W_POOL
#define W_POOL 4096
#endif

struct w_adj {
	struct adj_pub pub;
	unsigned to;                 /* vertex */
	uint32_t back;               /* adjacency of the node there */
	bool shows_addr;
	uint64_t lie;                /* told as neighbour_addr() instead, if lying */
	bool lying;
};

struct w_vertex {
	unsigned node;
	uint16_t facet;
	uint64_t addr, old_addr;
	bool has_old;
	unsigned height;             /* of the whole tree */
	uint32_t dist[64];           /* hops to the sibling at each level; UINT32_MAX none */
};

struct w_node {
	struct net net;              /* first */
	uint8_t *mem;
	unsigned facets;
	unsigned vertex[W_VERTICES]; /* of facet */
	unsigned adjs;
	struct w_adj adj[W_ADJS];
	struct net_event events[NET_EVENT_MAX];
	unsigned event_head, event_count;
	struct pn_heap_entry *slots[1024];
	unsigned tree_packets;
};

struct w_flight {
	struct pn_time at;
	unsigned node;
	uint32_t adj;
	struct pn_pkt *pkt;
	struct w_flight *next;
};

struct world {
	struct pn_time now;
	uint64_t random;
	unsigned vertices, nodes;
	bool edge[W_VERTICES][W_VERTICES];
	struct w_vertex vertex[W_VERTICES];
	struct w_node *node[W_VERTICES];
	struct pn_pool pool;
	void *pool_mem;
	struct w_flight *head, *tail;
	unsigned loss_percent;
	bool lying_routes;           /* route_hop() answers anything */
	int around;                      /* level of all detours; 0: none */
	unsigned parts;              /* of w.parts nodes all but one know routes to parts; 0 none */
	unsigned lure;               /* route_hop() leads to node lure - 1, and back; 0 none */
	uint16_t shun_facet;             /* whose routes were last to be looked at for a shun */
	bool lying_counts;           /* tree_weight() differs from node to node */
	uint64_t area_salt;          /* another one: all areas have other names */
	uint32_t count_skew;         /* added to count[0] everywhere */
	uint64_t sent;               /* packets over real links */
	uint64_t sent_proto[8];
	uint64_t delivered_wrong;
};
static struct world w;

FAKE uint64_t w_random(void) { return unit_random(&w.random); }

FAKE struct w_node *w_of(const struct net *net) { return (struct w_node *)(uintptr_t)net; }

/* Fakes of adj.c ------------------------------------------------------------------ */

uint32_t adj_count(const struct net *net) { return w_of(net)->adjs; }

/* no Ethernets here */
void adj_on_forward(struct net *net, uint32_t from, uint32_t to, uint64_t dst, struct pn_time now)
{
	(void)net;
	(void)from;
	(void)to;
	(void)dst;
	(void)now;
}

struct adj_pub *adj_at(struct net *net, uint32_t index)
{
	struct w_node *n = w_of(net);

	return index < n->adjs && n->adj[index].pub.up ? &n->adj[index].pub : NULL;
}

void adj_data_send(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	struct w_node *n = w_of(net);
	struct w_flight *f;

	PN_ASSERT(adj < n->adjs);
	PN_ASSERT(n->adj[adj].pub.kind != ADJ_INTERNAL);
	PN_ASSERT(pkt->len <= n->adj[adj].pub.payload_max);
	w.sent++;
	w.sent_proto[pkt->data[0] & 7]++;
	if (w_random() % 100 < w.loss_percent) {
		pn_pkt_put(net->pool, pkt);
		return;
	}
	f = malloc(sizeof(*f));
	*f = (struct w_flight){ .at = pn_time_add(now, W_LATENCY), .pkt = pkt,
				.node = w.vertex[n->adj[adj].to].node, .adj = n->adj[adj].back };
	if (w.tail)
		w.tail->next = f;
	else
		w.head = f;
	w.tail = f;
}

/* Fakes of ctl.c ------------------------------------------------------------------ */

FAKE struct w_vertex *w_vertex(const struct net *net, uint16_t facet)
{
	PN_ASSERT(facet < w_of(net)->facets);
	return &w.vertex[w_of(net)->vertex[facet]];
}

uint16_t facet_max(const struct net *net) { return (uint16_t)w_of(net)->facets; }
bool facet_live(const struct net *net, uint16_t facet) { return facet < w_of(net)->facets; }
uint64_t facet_addr(const struct net *net, uint16_t facet) { return w_vertex(net, facet)->addr; }
uint64_t facet_root(const struct net *net, uint16_t facet) { (void)net; (void)facet; return 1; }
uint8_t facet_height(const struct net *net, uint16_t facet)
{
	return (uint8_t)w_vertex(net, facet)->height;
}

int facet_of_addr(const struct net *net, uint16_t facet, uint64_t addr, uint32_t tag,
		  struct pn_time now)
{
	(void)tag;
	(void)now;
	(void)facet;
	for (uint16_t f = 0; f < facet_max(net); f++) {
		if (w_vertex(net, f)->addr == addr)
			return f;
	}
	for (uint16_t f = 0; f < facet_max(net); f++) {
		if (w_vertex(net, f)->has_old && w_vertex(net, f)->old_addr == addr)
			return f;
	}
	return -1;
}

bool guard_may_answer(struct net *net, struct pn_time now)
{
	(void)net;
	(void)now;
	return true;
}

void guard_on_data(struct net *net, uint32_t adj)
{
	(void)net;
	(void)adj;
}

bool guard_on_reply(struct net *net, const struct echo_msg *msg, struct pn_time now)
{
	(void)net;
	(void)msg;
	(void)now;
	return false;
}

bool neighbour_addr(const struct net *net, uint32_t adj, uint64_t *addr)
{
	const struct w_adj *a = &w_of(net)->adj[adj];

	*addr = a->lying ? a->lie : w.vertex[a->to].addr;
	return a->shows_addr;
}

/* The naive twin of nbhd.c: look at everything within two links. */
struct w_search {
	uint64_t dst;
	unsigned level;
	uint32_t best;               /* nearer than this */
	struct nbhd_hit *hit;
};

FAKE void w_consider(struct w_search *s, uint64_t addr, unsigned hops, uint32_t adj,
		     uint16_t facet)
{
	unsigned dist = nbhd_distance(addr, s->dst);

	if (nbhd_level(dist, hops) >= s->level || 4 * dist + hops >= s->best)
		return;
	s->best = 4 * dist + hops;
	*s->hit = (struct nbhd_hit){ .adj = adj, .facet = facet, .hops = (uint8_t)hops,
				     .dist = (uint8_t)dist };
}

FAKE void w_consider_node(struct w_search *s, const struct w_node *n, unsigned hops, uint32_t adj,
			  uint16_t facet)
{
	for (unsigned f = 0; f < n->facets; f++)
		w_consider(s, w.vertex[n->vertex[f]].addr, hops, adj, facet);
}

bool nbhd_nearest(const struct net *net, uint16_t at, uint64_t dst, unsigned level, uint32_t dear,
		  uint32_t not, uint16_t flow, const struct part_route *part, struct nbhd_hit *hit)
{
	struct w_search s = { .dst = dst, .level = level, .best = UINT32_MAX, .hit = hit };
	const struct w_node *n = w_of(net);

	(void)flow;
	if (part && level > 2 * part->base + 2u)
		s.level = 2 * part->base + 2u;
	for (uint16_t f = 0; f < n->facets; f++)
		if (f != at)
			w_consider(&s, facet_addr(net, f), 0, 0, f);
	for (uint32_t i = 0; i < n->adjs; i++) {
		const struct w_adj *a = &n->adj[i];
		const struct w_node *y = w.node[w.vertex[a->to].node];
		uint64_t addr;

		if (!a->pub.up || a->pub.kind == ADJ_INTERNAL || i == not || a->pub.cost > dear ||
		    !neighbour_addr(net, i, &addr))
			continue;
		w_consider(&s, addr, 1, i, a->pub.facet);
		if (a->lying)
			w_consider(&s, addr ^ w.random >> 40, 2, i, a->pub.facet);
		w_consider_node(&s, y, 1, i, a->pub.facet);
		for (uint32_t k = 0; k < y->adjs; k++)
			w_consider_node(&s, w.node[w.vertex[y->adj[k].to].node], 2, i,
					a->pub.facet);
	}
	return s.best < UINT32_MAX;
}

/* The @skip-th next hop towards the sibling at @level, counted from @start */
FAKE int w_route(const struct net *net, uint16_t facet, unsigned level, unsigned start, int not)
{
	const struct w_node *n = w_of(net);
	const struct w_vertex *u = w_vertex(net, facet);

	if (u->dist[level] == UINT32_MAX)
		return -1;
	for (unsigned i = 0; i < n->adjs; i++) {
		unsigned k = (i + start) % n->adjs;
		const struct w_adj *a = &n->adj[k];
		const struct w_vertex *v = &w.vertex[a->to];

		if (a->pub.facet != facet || (int)k == not ||
		    circle_shuns(net, level + 1, k))
			continue;
		/* Over the border, or nearer to it inside our own block */
		if ((v->addr ^ u->addr) >> level == 1 ||
		    ((v->addr ^ u->addr) >> level == 0 && v->dist[level] < u->dist[level]))
			return (int)k;
	}
	return -1;
}

/* Inside the block the lure is the best way to anywhere, and all that it has is back. */
FAKE int w_lured(const struct net *net, uint16_t facet, unsigned level)
{
	const struct w_node *n = w_of(net);
	bool is = n == w.node[w.lure - 1];

	for (unsigned k = 0; k < n->adjs; k++)
		if (n->adj[k].pub.facet == facet && route_shared(net, k, level) &&
		    (is || w.vertex[n->adj[k].to].node == w.lure - 1) &&
		    !circle_shuns(net, level + 1, k))
			return (int)k;
	return -1;
}

int route_hop(const struct net *net, uint16_t facet, unsigned level, uint16_t flow)
{
	if (w.lying_routes)
		return (int)(w_random() % w_of(net)->adjs);
	if (w.lure && w_lured(net, facet, level) >= 0)
		return w_lured(net, facet, level);
	return w_route(net, facet, level, flow, -1);
}

uint64_t route_sibling_line(const struct net *net, uint16_t facet, unsigned level)
{
	return w_vertex(net, facet)->dist[level] == UINT32_MAX ? 0 : level + 1;
}

void route_shun(struct net *net, uint16_t facet, uint32_t adj, struct pn_time now)
{
	(void)net;                       /* w_route() asks circle_shuns() */
	w.shun_facet = facet;
	(void)adj;
	(void)now;
}

bool route_shared(const struct net *net, uint32_t adj, unsigned level)
{
	const struct w_adj *a = &w_of(net)->adj[adj];

	return (w.vertex[a->to].addr ^ w_vertex(net, a->pub.facet)->addr) >> level == 0;
}

/* How far it is from each vertex to the part that @dst is in, inside the block of @at: over
 * whichever border is best, where one outside the part is PART_BEYOND more. */
#define W_PART_BEYOND 5
FAKE void w_part_dist(unsigned at, unsigned level, uint64_t dst, unsigned base,
		      unsigned dist[W_VERTICES])
{
	uint64_t block = w.vertex[at].addr >> level;
	bool more = true;

	for (unsigned i = 0; i < w.vertices; i++)
		dist[i] = w.vertex[i].addr >> base == dst >> base	? 0
			  : w.vertex[i].addr >> level == (block ^ 1)	? W_PART_BEYOND
									: 10000;
	while (more) {
		more = false;
		for (unsigned i = 0; i < w.vertices; i++) {
			for (unsigned j = 0; j < w.vertices; j++) {
				if (!w.edge[i][j] || w.vertex[i].addr >> level != block ||
				    dist[j] + 1 >= dist[i])
					continue;
				dist[i] = dist[j] + 1;
				more = true;
			}
		}
	}
}

bool route_part(const struct net *net, uint16_t facet, unsigned level, uint64_t dst, uint16_t flow,
		uint32_t from, struct part_route *out)
{
	const struct w_node *n = w_of(net);
	unsigned at = n->vertex[facet], base = level > PART_BITS ? level - PART_BITS : 0;
	unsigned dist[W_VERTICES];

	(void)flow;
	if (w.parts == 0 || w_vertex(net, facet)->dist[level] == UINT32_MAX ||
	    (at * 7 + level) % w.parts == 0)
		return false;
	w_part_dist(at, level, dst, base, dist);
	for (uint32_t k = 0; k < n->adjs; k++) {
		if (k == from || n->adj[k].pub.facet != facet ||
		    dist[n->adj[k].to] >= dist[at])
			continue;
		*out = (struct part_route){ .adj = k, .metric = (uint16_t)(16 * dist[at]),
					    .base = (uint8_t)base };
		return true;
	}
	return false;
}

int route_detour(const struct net *net, uint16_t facet, unsigned level)
{
	(void)net;
	(void)facet;
	if (w.around)
		return w.around;
	return w.lying_routes ? (int)(level + w_random() % (64 - level)) - 1 : -1;
}

bool cut_ends(const struct net *net, uint32_t adj, unsigned level)
{
	(void)net;
	(void)adj;
	(void)level;
	return false;
}

uint32_t route_metric(const struct net *net, uint16_t facet, unsigned level)
{
	(void)net;
	(void)facet;
	(void)level;
	return NET_METRIC_INF;           /* any link is good enough for a shortcut */
}

int route_alternate(const struct net *net, uint16_t facet, unsigned level, int not)
{
	if (w.lying_routes)
		return (int)(w_random() % w_of(net)->adjs);
	return w_route(net, facet, level, 0, not);
}

bool tree_weight(const struct net *net, uint16_t facet, unsigned level, uint64_t *area_id,
		 uint32_t n[2], unsigned *own_bit)
{
	const struct w_vertex *u = w_vertex(net, facet);
	uint64_t area = level >= 63 ? 0 : u->addr >> (level + 1);

	n[0] = n[1] = 0;
	for (unsigned i = 0; i < w.vertices; i++) {
		uint64_t x = w.vertex[i].addr;

		if ((level >= 63 ? 0 : x >> (level + 1)) == area)
			n[x >> level & 1]++;
	}
	*own_bit = u->addr >> level & 1;
	*area_id = mix64(area * 64 + level + 1);
	if (n[!*own_bit] == 0)
		return false;
	n[0] += w.count_skew;
	if (w.lying_counts) {
		n[0] = (uint32_t)(w_random() % 100);
		n[1] = (uint32_t)(w_random() % 100);
	}
	return true;
}

/* Who shares all bits from @level up with @addr */
FAKE bool w_block_used(uint64_t addr, unsigned level)
{
	for (unsigned i = 0; i < w.vertices; i++) {
		if ((w.vertex[i].addr ^ addr) >> level == 0)
			return true;
	}
	return false;
}

bool route_sibling_exists(const struct net *net, uint16_t facet, unsigned level)
{
	return w_block_used(facet_addr(net, facet) ^ UINT64_C(1) << level, level);
}

uint64_t tree_sibling_id(const struct net *net, uint16_t facet, unsigned level)
{
	uint64_t there = facet_addr(net, facet) ^ UINT64_C(1) << level;

	return w_block_used(there, level) ? mix64((there >> level) * 64 + level) | 1 : 0;
}

/* Every block is an area here, and each has a name of its own. */
FAKE uint64_t w_area(uint64_t addr, unsigned base)
{
	return mix64(((addr >> base) * 64 + base) ^ w.area_salt << 40) | 1;
}

unsigned tree_scopes(const struct net *net, uint16_t facet, struct tree_scope out[TREE_SCOPES_MAX])
{
	uint64_t addr = facet_addr(net, facet);
	unsigned n = 0, height = facet_height(net, facet);

	for (unsigned level = TREE_SCOPE_STEP; level + 1 < height; level += TREE_SCOPE_STEP)
		out[n++] = (struct tree_scope){ .area = w_area(addr, level), .base = (uint8_t)level };
	out[n++] = (struct tree_scope){ .area = w_area(addr, height), .base = (uint8_t)height };
	return n;
}

int tree_area_base(const struct net *net, uint16_t facet, uint64_t area)
{
	uint64_t addr = facet_addr(net, facet);

	for (unsigned base = 0; base <= facet_height(net, facet); base++) {
		if (w_area(addr, base) == area)
			return (int)base;
	}
	return -1;
}

void tree_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		    const uint8_t *payload, size_t len, struct pn_time now)
{
	(void)facet;
	(void)hdr;
	(void)payload;
	(void)len;
	(void)now;
	w_of(net)->tree_packets++;
}

/* Fakes of net.c ------------------------------------------------------------------ */

void timer_init(struct net_timer *t, enum timer_kind kind, uint32_t index)
{
	pn_heap_entry_init(&t->e);
	t->kind = (uint8_t)kind;
	t->index = index;
}

void timer_set(struct net *net, struct net_timer *t, struct pn_time at)
{
	bool ok = true;

	if (pn_heap_has(&t->e))
		pn_heap_remove(&net->timers, &t->e);
	t->e.at = at;
	if (!pn_time_is_never(at))
		ok = pn_heap_push(&net->timers, &t->e);
	PN_ASSERT(ok);
}

void timer_earlier(struct net *net, struct net_timer *t, struct pn_time at)
{
	if (!pn_heap_has(&t->e) || pn_time_before(at, t->e.at))
		timer_set(net, t, at);
}

void *arena_take(struct arena *a, size_t n, size_t size)
{
	void *p = a->at ? a->at + a->used : NULL;

	a->used += (n * size + 63) / 64 * 64;
	return p;
}

struct net_event *net_event_push(struct net *net, enum net_event_kind kind)
{
	struct w_node *n = (struct w_node *)net;
	struct net_event *ev = &n->events[(n->event_head + n->event_count) % NET_EVENT_MAX];

	if (n->event_count < NET_EVENT_MAX)
		n->event_count++;
	else
		n->event_head = (n->event_head + 1) % NET_EVENT_MAX;
	*ev = (struct net_event){ .kind = kind };
	return ev;
}

/* Return: false when there is none */
FAKE bool w_event(unsigned node, struct net_event *ev)
{
	struct w_node *n = w.node[node];

	if (n->event_count == 0)
		return false;
	*ev = n->events[n->event_head];
	n->event_head = (n->event_head + 1) % NET_EVENT_MAX;
	n->event_count--;
	return true;
}

/* The next event of this kind, others passed over */
FAKE bool w_event_of(unsigned node, enum net_event_kind kind, struct net_event *ev)
{
	while (w_event(node, ev)) {
		if (ev->kind == kind)
			return true;
	}
	return false;
}

uint64_t net_random_u64(struct net *net) { (void)net; return w_random(); }

uint32_t net_hit_tag(const uint8_t hit[PN_HIT_LEN])
{
	return (uint32_t)hit[12] << 24 | (uint32_t)hit[13] << 16 | (uint32_t)hit[14] << 8 | hit[15];
}

void net_identity_hit(const uint8_t id[PN_ID_LEN], uint8_t hit[PN_HIT_LEN])
{
	uint8_t digest[16];

	crypto_digest(digest, sizeof(digest), id, PN_ID_LEN);
	memcpy(hit, digest, PN_HIT_LEN);
	hit[0] = 0x20;
}

void net_sign(const struct net *net, enum sign_purpose p, const uint8_t *msg, size_t len,
	      uint8_t sig[64])
{
	uint8_t buf[1 + ADDR_RECORD_MAX];

	buf[0] = (uint8_t)p;
	memcpy(buf + 1, msg, len);
	crypto_sig_make(sig, buf, len + 1, net->sign_key);
}

bool net_verify(const uint8_t id[PN_ID_LEN], enum sign_purpose p, const uint8_t *msg, size_t len,
		const uint8_t sig[64])
{
	uint8_t buf[1 + ADDR_RECORD_MAX];

	buf[0] = (uint8_t)p;
	memcpy(buf + 1, msg, len);
	return crypto_sig_check(sig, buf, len + 1, id);
}

/* The tree ------------------------------------------------------------------------- */

/* Joins parts of the graph, smallest first: the smaller gets bit 1 above the taller. */
FAKE void w_grow(void)
{
	unsigned part[W_VERTICES], height[W_VERTICES] = { 0 };

	for (unsigned i = 0; i < w.vertices; i++) {
		part[i] = i;
		w.vertex[i].addr = 0;
	}
	for (;;) {
		unsigned best = UINT32_MAX, a = 0, b = 0;

		for (unsigned i = 0; i < w.vertices; i++) {
			for (unsigned j = 0; j < w.vertices; j++) {
				unsigned p = part[i], q = part[j];
				unsigned top = height[p] > height[q] ? height[p] : height[q];

				if (!w.edge[i][j] || p == q || top * 64 + height[p] >= best)
					continue;
				best = top * 64 + height[p];
				a = p;
				b = q;
			}
		}
		if (best == UINT32_MAX)
			break;
		unsigned level = height[a] > height[b] ? height[a] : height[b];

		PN_ASSERT(level < 63);
		for (unsigned i = 0; i < w.vertices; i++) {
			if (part[i] != a)
				continue;
			w.vertex[i].addr |= UINT64_C(1) << level;
			part[i] = b;
		}
		height[b] = level + 1;
	}
	for (unsigned i = 0; i < w.vertices; i++)
		w.vertex[i].height = height[part[i]];
}

/* Distances to each sibling inside one's own block */
FAKE void w_measure(void)
{
	for (unsigned i = 0; i < w.vertices; i++) {
		for (unsigned k = 0; k < 64; k++)
			w.vertex[i].dist[k] = UINT32_MAX;
	}
	for (unsigned k = 0; k < 64; k++) {
		bool changed = true;

		while (changed) {
			changed = false;
			for (unsigned i = 0; i < w.vertices; i++) {
				struct w_vertex *u = &w.vertex[i];

				for (unsigned j = 0; j < w.vertices; j++) {
					struct w_vertex *v = &w.vertex[j];
					uint32_t d = UINT32_MAX;

					if (!w.edge[i][j])
						continue;
					if ((u->addr ^ v->addr) >> k == 1)
						d = 1;
					else if ((u->addr ^ v->addr) >> k == 0 &&
						 v->dist[k] != UINT32_MAX)
						d = v->dist[k] + 1;
					if (d < u->dist[k]) {
						u->dist[k] = d;
						changed = true;
					}
				}
			}
		}
	}
}

/* Life --------------------------------------------------------------------------------- */

FAKE uint32_t w_adj_add(unsigned u, unsigned v, enum adj_kind kind)
{
	struct w_node *n = w.node[w.vertex[u].node];
	struct w_adj *a = &n->adj[n->adjs];

	PN_ASSERT(n->adjs < W_ADJS);
	*a = (struct w_adj){ .to = v, .shows_addr = true };
	a->pub = (struct adj_pub){ .index = n->adjs, .up = true, .kind = kind,
				   .facet = w.vertex[u].facet,
				   .peer_facet = w.vertex[v].facet,
					   .cost = kind == ADJ_INTERNAL ? 0 : 16,
				   .payload_max = 1500 };
	memcpy(a->pub.id, w.node[w.vertex[v].node]->net.id, PN_ID_LEN);
	memcpy(a->pub.hit, w.node[w.vertex[v].node]->net.hit, PN_HIT_LEN);
	return n->adjs++;
}

FAKE void w_node_start(unsigned index, const struct net_config *cfg)
{
	struct w_node *n = calloc(1, sizeof(*n));
	struct net *net = &n->net;
	struct arena a = { 0 };
	uint8_t seed[32];

	w.node[index] = n;
	for (unsigned i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)w_random();
	crypto_identity(seed, net->id, net->sign_key);
	net_identity_hit(net->id, net->hit);
	net->tag = net_hit_tag(net->hit);
	net->boot = 1;
	net->pool = &w.pool;
	pn_heap_init(&net->timers, n->slots, 1024);
	pn_pktq_init(&net->out);
	pn_pktq_init(&net->deliver);
	for (unsigned pass = 0; pass < 2; pass++) {
		a.used = 0;
		fwd_carve(net, &a, cfg);
		circle_carve(net, &a, cfg);
		lookup_carve(net, &a, cfg);
		peer_carve(net, &a, cfg);
		echo_carve(net, &a, cfg);
		if (pass == 0)
			n->mem = a.at = calloc(1, a.used);
	}
}

/* A world of @nodes nodes; vertices, edges (and the nodes of vertices) are set */
FAKE void w_start(uint64_t seed, uint32_t record_max, uint32_t peer_max)
{
	struct net_config cfg = { .record_max = record_max, .peer_max = peer_max };
	unsigned nodes = 0;

	w.random = seed;
	w.now = (struct pn_time){ PN_S(1) };
	w.pool_mem = malloc(pn_pool_mem_size(W_POOL, 2048));
	pn_pool_init(&w.pool, w.pool_mem, W_POOL, 2048);
	w_grow();
	w_measure();
	for (unsigned i = 0; i < w.vertices; i++)
		nodes = w.vertex[i].node + 1 > nodes ? w.vertex[i].node + 1 : nodes;
	w.nodes = nodes;
	for (unsigned i = 0; i < nodes; i++)
		w_node_start(i, &cfg);
	for (unsigned i = 0; i < w.vertices; i++) {
		struct w_node *n = w.node[w.vertex[i].node];

		w.vertex[i].facet = (uint16_t)n->facets;
		n->vertex[n->facets++] = i;
	}
	for (unsigned i = 0; i < w.vertices; i++) {
		for (unsigned j = 0; j < i; j++) {
			bool same = w.vertex[i].node == w.vertex[j].node;
			enum adj_kind kind = same ? ADJ_INTERNAL : ADJ_TUNNEL;

			if (!w.edge[i][j])
				continue;
			uint32_t a = w_adj_add(i, j, kind), b = w_adj_add(j, i, kind);
			struct w_adj *x = &w.node[w.vertex[i].node]->adj[a];
			struct w_adj *y = &w.node[w.vertex[j].node]->adj[b];

			x->back = b;
			y->back = a;
			x->pub.internal_peer = b;
			y->pub.internal_peer = a;
		}
	}
	for (unsigned i = 0; i < nodes; i++) {
		struct net *net = &w.node[i]->net;

		fwd_init(net, &cfg, w.now);
		circle_init(net);
		lookup_init(net, &cfg, w.now);
		peer_init(net, &cfg, w.now);
		echo_init(net, &cfg, w.now);
	}
}

FAKE void w_end(void)
{
	while (w.head) {
		struct w_flight *f = w.head;

		w.head = f->next;
		pn_pkt_put(&w.pool, f->pkt);
		free(f);
	}
	for (unsigned i = 0; i < w.nodes; i++) {
		struct net *net = &w.node[i]->net;

		peer_fini(net);
		pn_pktq_drain(&net->deliver, &w.pool);
		free(w.node[i]->mem);
		free(w.node[i]);
	}
	W_CHECK(w.pool.free_count == w.pool.count);      /* nothing leaked */
	free(w.pool_mem);
	memset(&w, 0, sizeof(w));
}

/* One node's timers that are due */
FAKE void w_ring(struct net *net)
{
	while (pn_time_due(pn_heap_next_deadline(&net->timers), w.now)) {
		struct net_timer *t = pn_container_of(pn_heap_pop(&net->timers), struct net_timer,
						      e);

		net->now = w.now;
		if (t->kind == TIMER_LOOKUP)
			lookup_expire(net, t->index, w.now);
		else if (t->kind == TIMER_RECORD)
			lookup_record_expire(net, t->index, w.now);
		else if (t->kind == TIMER_CIRCLE)
			circle_expire(net, w.now);
		else
			peer_expire(net, t->index, w.now);
	}
}

/* Let @ns pass. */
FAKE void w_run(uint64_t ns)
{
	struct pn_time end = pn_time_add(w.now, ns);

	for (;;) {
		struct pn_time next = w.head ? w.head->at : PN_TIME_NEVER;

		for (unsigned i = 0; i < w.nodes; i++)
			next = pn_time_min(next, pn_heap_next_deadline(&w.node[i]->net.timers));
		if (pn_time_before(end, next))
			break;
		w.now = pn_time_before(next, w.now) ? w.now : next;
		for (unsigned i = 0; i < w.nodes; i++)
			w_ring(&w.node[i]->net);
		while (w.head && pn_time_due(w.head->at, w.now)) {
			struct w_flight *f = w.head;
			struct net *net = &w.node[f->node]->net;

			w.head = f->next;
			if (!w.head)
				w.tail = NULL;
			net->now = w.now;
			if (w.node[f->node]->adj[f->adj].pub.up)
				fwd_on_packet(net, f->adj, f->pkt, w.now);
			else
				pn_pkt_put(&w.pool, f->pkt);
			free(f);
		}
	}
	w.now = end;
}

FAKE void w_edge(unsigned u, unsigned v) { w.edge[u][v] = w.edge[v][u] = true; }

/* A connected random graph; every @hub-th vertex is one more facet of the one
 * before (0: each vertex its own node) */
FAKE void w_random_graph(uint64_t seed, unsigned vertices, unsigned more, unsigned hub)
{
	unsigned node = 0;

	memset(&w, 0, sizeof(w));
	w.vertices = vertices;
	for (unsigned i = 0; i < vertices; i++) {
		bool facet = hub && i % hub != 0;

		w.vertex[i].node = i == 0 ? 0 : facet ? node : ++node;
		for (unsigned j = 0; j < i; j++) {
			if (w.vertex[j].node == w.vertex[i].node)
				w_edge(i, j);
		}
		if (i > 0 && !facet)
			w_edge(i, (unsigned)(unit_random(&seed) % i));
	}
	for (unsigned i = 0; i < more; i++) {
		unsigned u = (unsigned)(unit_random(&seed) % vertices);
		unsigned v = (unsigned)(unit_random(&seed) % vertices);

		if (u != v)
			w_edge(u, v);
	}
}

/* A line 0 - 1 - ... */
FAKE void w_line(unsigned vertices)
{
	memset(&w, 0, sizeof(w));
	w.vertices = vertices;
	for (unsigned i = 0; i < vertices; i++) {
		w.vertex[i].node = i;
		if (i > 0)
			w_edge(i, i - 1);
	}
}

FAKE struct net *w_net(unsigned node) { return &w.node[node]->net; }

FAKE uint64_t w_count(unsigned node, enum net_counter_id id)
{
	return w.node[node]->net.counters[id];
}

/* An address that nobody has, in a tree that has room */
FAKE uint64_t w_free_addr(void)
{
	for (uint64_t a = 0; a >> w.vertex[0].height == 0; a++) {
		if (!w_block_used(a, 0))
			return a;
	}
	PN_ASSERT(false);
	return 0;
}

/* Move vertex @v to another address: everybody knows at once, except by lookup. */
FAKE void w_move(unsigned v, uint64_t addr)
{
	w.vertex[v].addr = addr;
	w_measure();
	lookup_on_address(w_net(w.vertex[v].node), w.vertex[v].facet, w.now);
}

/* A packet with some payload */
FAKE struct pn_pkt *w_packet(size_t len, uint16_t flow)
{
	struct pn_pkt *pkt = pn_pkt_get(&w.pool);

	PN_ASSERT(pkt);
	memset(pn_pkt_append(pkt, (uint32_t)len), 0x5a, len);
	pkt->flow = flow;
	return pkt;
}

#endif
