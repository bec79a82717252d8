/* SPDX-License-Identifier: ISC */
/* net_int.h - what the modules of the network layer know of each other
 *
 * Inside net/ data flows up by direct calls, always in the same direction:
 *
 *   net.c     frames in -> adj.c (unseal) -> ctl.c  tree and routes of facets
 *                                         -> fwd.c  packets: for us, or onwards
 *                                             -> lookup.c, peer.c, echo.c
 *   and down: adj_ctl_send(), adj_soft_send(), adj_data_send() -> net->out
 *
 * No module frees or moves anything that a caller up the stack still walks:
 * adjacencies that end are marked and collected in net_expire().
 */
#ifndef PN_NET_INT_H
#define PN_NET_INT_H

#include "pnstackd/net/net.h"
#include "pnstackd/net/crypto.h"
#include "libpeernet/base/bytes.h"
#include "libpeernet/base/heap.h"

#define NET_LINK_MAX 64
#define NET_EVENT_MAX 256            /* ring of events, without addresses */
#define NET_LEVEL_LIMIT 64           /* a leaf and at most 63 areas above it */
#define NET_FACET_ADJ_MAX 8          /* point-to-point neighbours of a facet, */
#define NET_FACETS_FULL 2            /* of the first ones; a hub has more facets, */
#define NET_HUB_FACET_ADJ_MAX 5      /* each of these with fewer */

/* Timers: one heap for all of a node. */
enum timer_kind {
	TIMER_ADJ, TIMER_LINK, TIMER_FACET, TIMER_PEER, TIMER_RECORD, TIMER_LOOKUP, TIMER_GUARD,
	TIMER_CIRCLE,
	TIMER_KINDS
};
struct net_timer {
	struct pn_heap_entry e;      /* first: the heap hands this back */
	uint8_t kind;                /* enum timer_kind */
	uint32_t index;              /* in the table of that kind */
};
void timer_init(struct net_timer *t, enum timer_kind kind, uint32_t index);
/** timer_set() - (re)arm; PN_TIME_NEVER cancels */
void timer_set(struct net *net, struct net_timer *t, struct pn_time at);
/** timer_earlier() - arm for @at unless it is armed for an earlier time */
void timer_earlier(struct net *net, struct net_timer *t, struct pn_time at);

/* One block of memory, carved twice: once to size it (at == NULL), once for real. */
struct arena { uint8_t *at; size_t used; bool zeroed; };
/** arena_take() - zeroed, 16-aligned; NULL while sizing */
void *arena_take(struct arena *a, size_t count, size_t size);

/** net_limit() - what the configuration says, or else the default */
static inline uint32_t net_limit(uint32_t configured, uint32_t otherwise)
{
	return configured ? configured : otherwise;
}

/** facet_adj_max() - neighbours that the facet of that number has room for */
static inline uint32_t facet_adj_max(uint32_t facet)
{
	return facet < NET_FACETS_FULL ? NET_FACET_ADJ_MAX : NET_HUB_FACET_ADJ_MAX;
}

/** facets_for() - facets that have room for so many neighbours */
static inline uint32_t facets_for(uint32_t neighbours)
{
	uint32_t full = NET_FACETS_FULL * NET_FACET_ADJ_MAX;

	if (neighbours <= full)
		return (neighbours + NET_FACET_ADJ_MAX - 1) / NET_FACET_ADJ_MAX;
	return NET_FACETS_FULL +
	       (neighbours - full + NET_HUB_FACET_ADJ_MAX - 1) / NET_HUB_FACET_ADJ_MAX;
}

/* Adjacencies (adj.c) --------------------------------------------------- */

enum adj_kind { ADJ_ETHERNET, ADJ_TUNNEL, ADJ_INTERNAL };

struct adj;   /* private parts in adj_int.h */

/* What everybody may read of an adjacency.  adj->pub.index is its handle: stable
 * while it is up. */
struct adj_pub {
	uint32_t index;
	bool up;                     /* keys confirmed in both directions */
	bool suspect;                /* it did not answer lately: better take another way */
	bool shortcut;               /* Ethernet: for data only, not known to ctl.c */
	bool leaf;                   /* it carries nobody else's traffic; told in the handshake */
	enum adj_kind kind;
	int link;
	uint8_t id[PN_ID_LEN];       /* the neighbour */
	uint8_t hit[PN_HIT_LEN];
	uint16_t cost;               /* NET_COST_UNIT for a perfect cable; >= 1; internal: 0 */
	uint32_t payload_max;        /* largest network packet, header included */
	uint16_t facet;              /* ours; set by ctl.c */
	uint16_t peer_facet;         /* set by ctl.c once told */
	uint32_t internal_peer;      /* ADJ_INTERNAL: index of the other end */
};

#define ADJ_CTL_MAX 1100             /* bytes of one control message, type included */

/** adj_count() - all indexes in use are below it; at most cfg.adj_max, which internal
 *  adjacencies share */
uint32_t adj_count(const struct net *net);
struct adj_pub *adj_at(struct net *net, uint32_t index); /* NULL if not up */
const struct adj_pub *adj_peek(const struct net *net, uint32_t index); /* the same; also valid
                                                            inside ctl_on_adj_down() */

/** adj_ctl_send() - reliable, in order, to one neighbour
 *  Return: 0; PN_EAGAIN: window full, ctl_on_writable() will be called */
int adj_ctl_send(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now);
/** adj_ctl_ready() - Return: adj_ctl_send() would take a message now; false: it would
 *  not, and ctl_on_writable() will be called */
bool adj_ctl_ready(struct net *net, uint32_t adj, struct pn_time now);
/** adj_soft_send() - sealed, but may get lost or come out of order */
void adj_soft_send(struct net *net, uint32_t adj, const uint8_t *msg, size_t len,
		   struct pn_time now);
/** adj_data_send() - takes @pkt, pkt->data at a struct net_hdr on the wire */
void adj_data_send(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now);
/** adj_internal_add() - join two facets of this node: both ends come up at once
 *  (ctl_on_adj_up() is NOT called for them).  Return: index of a's end, the other
 *  in its internal_peer; or PN_EFULL */
int adj_internal_add(struct net *net, uint16_t facet_a, uint16_t facet_b);
void adj_internal_del(struct net *net, uint32_t adj);
/** adj_expel() - take an adjacency down, and refuse its identity on all links of this
 *  node for @ns.  Bounded: of too many the one that ends soonest is let in again
 *  @adj: up, not internal; ctl_on_adj_down() is called before this returns */
void adj_expel(struct net *net, uint32_t adj, uint64_t ns, struct pn_time now);

/** adj_on_forward() - fwd.c is about to send a packet for @dst from @from (not below
 *  adj_count(): our own) to @to: is there a shorter way over the same Ethernet? */
void adj_on_forward(struct net *net, uint32_t from, uint32_t to, uint64_t dst, struct pn_time now);
/** adj_shortcut_addr() - for neighbour_addr(): the address behind a shortcut, if it may
 *  be used */
bool adj_shortcut_addr(const struct net *net, uint32_t adj, uint64_t *addr);
/** adj_shortcut_find() - the shortcut to @dst, as adj_shortcut_addr() shows it; UINT32_MAX: none */
uint32_t adj_shortcut_find(const struct net *net, uint64_t dst);
/** adj_on_address() - an address of ours changed: shortcuts are told */
void adj_on_address(struct net *net, struct pn_time now);

/* Up-calls out of adj.c, implemented in ctl.c and fwd.c. */
void ctl_on_adj_up(struct net *net, uint32_t adj, struct pn_time now);
void ctl_on_adj_down(struct net *net, uint32_t adj, enum net_err why, struct pn_time now);
void ctl_on_msg(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now);
void ctl_on_soft(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, struct pn_time now);
void ctl_on_writable(struct net *net, uint32_t adj, struct pn_time now);
void ctl_on_cost(struct net *net, uint32_t adj, struct pn_time now);
/** fwd_on_packet() - takes @pkt, unsealed, pkt->data at the network header */
void fwd_on_packet(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now);

/* Facets: tree and routes (ctl.c, tree.c, route.c) ------------------------ */

void ctl_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void ctl_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void ctl_expire(struct net *net, uint32_t facet, struct pn_time now);    /* TIMER_FACET */

uint16_t facet_max(const struct net *net);           /* table size */
bool facet_live(const struct net *net, uint16_t facet);
uint64_t facet_addr(const struct net *net, uint16_t facet);
uint64_t facet_root(const struct net *net, uint16_t facet);   /* root area id */
uint16_t ctl_link_facet(const struct net *net, int link);     /* that its neighbours are on */
/** facet_of_addr() - Return: the live facet whose address this is (also an old one
 *  within its grace time), or -1
 *  @facet: in the network of which facet; while networks merge, two facets of a node
 *          may have the same address in different ones.  FACET_ANY: in whichever
 *  @tag:   who is meant: an old address, which may be somebody else's by now, counts
 *          only for a packet that names us */
int facet_of_addr(const struct net *net, uint16_t facet, uint64_t addr, uint32_t tag,
		  struct pn_time now);
#define FACET_ANY UINT16_MAX

/** route_hop() - next hop from @facet towards the sibling at @level
 *  @flow: spreads equal costs per flow
 *  Return: adjacency index (may be internal), or -1: no such sibling or no route */
int route_hop(const struct net *net, uint16_t facet, unsigned level, uint16_t flow);
/** route_metric() - what the sibling route at @level costs; NET_METRIC_INF: there is none */
uint32_t route_metric(const struct net *net, uint16_t facet, unsigned level);
/** route_alternate() - another feasible next hop than @not, or -1 */
int route_alternate(const struct net *net, uint16_t facet, unsigned level, int not);
/* A route to the part of a sibling that an address is in. */
struct part_route {
	uint32_t adj;                /* next hop, which is up; may be internal */
	uint16_t metric;
	uint8_t base;                /* the part has 2^base addresses */
};
/** route_part() - the route to the part of the sibling at @level that @dst is in
 *  @from: an adjacency that is not taken
 *  Return: false: none is known */
bool route_part(const struct net *net, uint16_t facet, unsigned level, uint64_t dst, uint16_t flow,
		uint32_t from, struct part_route *out);
/** route_sibling_line() - the line of the area whose sibling that is; 0: there is none */
uint64_t route_sibling_line(const struct net *net, uint16_t facet, unsigned level);
/** route_detour() - the area whose children hang at @level is cut in two, and this is the smaller
 *  part: the level of the sibling over which packets for the larger one go; -1: not so */
int route_detour(const struct net *net, uint16_t facet, unsigned level);
/** cut_ends() - Return: that neighbour has no way to its sibling at @level, but around, for it
 *  is in the smaller part of an area that is cut in two */
bool cut_ends(const struct net *net, uint32_t adj, unsigned level);
/** route_shared() - Return: the neighbour is in our area whose sibling is at @level, too, and
 *  looks for the same ways there */
bool route_shared(const struct net *net, uint32_t adj, unsigned level);
/** route_shun() - circle_shuns() or guard_avoids() tell something else by now of some of a
 *  neighbour's routes */
void route_shun(struct net *net, uint16_t facet, uint32_t adj, struct pn_time now);
/** route_sibling_exists() - is there anybody in our sibling block at @level? */
bool route_sibling_exists(const struct net *net, uint16_t facet, unsigned level);
/** neighbour_addr() - the address of the neighbour facet behind an adjacency
 *  Return: false while unknown or when it is in another network */
bool neighbour_addr(const struct net *net, uint32_t adj, uint64_t *addr);
/** tree_weight() - for lookups: the two coarse counts at the area of ours whose
 *  children hang at @level.  Return: false when we have no sibling there.
 *  @own_bit: the bit of the child that we are in */
bool tree_weight(const struct net *net, uint16_t facet, unsigned level, uint64_t *area_id,
		 uint32_t count[2], unsigned *own_bit);
uint8_t facet_height(const struct net *net, uint16_t facet);

/* Areas in which lookup records are kept (view.c). */
struct tree_scope {
	uint64_t area;               /* its line: it has the same after a succession */
	uint64_t id;                 /* its id: another one then */
	uint8_t base;                /* its block has 2^base addresses */
};
#define TREE_SCOPE_STEP 3            /* levels between two of them */
#define TREE_SCOPES_MAX 22
/** tree_scopes() - those of a facet, smallest first, its network last.  All members of
 *  an area agree on whether it is one.  Return: how many; 0 while we do not know */
unsigned tree_scopes(const struct net *net, uint16_t facet,
		     struct tree_scope out[TREE_SCOPES_MAX]);
/** tree_area_base() - Return: the base of an area that the facet is in; -1: it is not */
int tree_area_base(const struct net *net, uint16_t facet, uint64_t area);
/** tree_sibling_id() - who is in the sibling block at @level; 0 nobody */
uint64_t tree_sibling_id(const struct net *net, uint16_t facet, unsigned level);

/* Packets by address (fwd.c) ---------------------------------------------- */

enum net_proto {                     /* what a network packet carries */
	NET_PROTO_SESSION = 1,       /* payload: a QUIC packet */
	NET_PROTO_ERROR = 2,
	NET_PROTO_ECHO = 3,
	NET_PROTO_LOOKUP = 4,        /* register, query, answer, hand over */
	NET_PROTO_TREE = 5,          /* join requests and answers between leaders and borders */
};
/* Network header, NET_HDR_LEN bytes, all big-endian:
 *   0 proto 1 | 1 level 1 | 2 hop limit 2 | 4 flow label 2 | 6 flags 1 (bit 0:
 *   dst is a lookup key, bit 1: the child picked, bit 2: comes back, bit 3: sibling
 *   routes only, bits 6..7 ECN) | 7 replica of a key, else detour (fwd_hop.c) 1 |
 *   8 dst tag 4 | 12 src tag 4 | 16 dst 8 | 24 src 8 */
#define NET_HDR_LEN 32
#define NET_HDR_F_KEY 1u             /* walk to the anchor of a key */
#define NET_HDR_F_KEY_BIT 2u         /* the child that the walk picked at its level */
#define NET_HDR_F_BACK 4u            /* from a neighbour that knows no way */
#define NET_HDR_F_PLAIN 8u           /* by sibling routes only, until it is in the sibling */
#define NET_HOPS_DEFAULT 1024
#define NET_LEVEL_ANY 255            /* level field of a fresh packet; see fwd_hop.c */

struct net_hdr {
	uint8_t proto, level, flags;
	union { uint8_t replica, detour; };  /* to a key; to an address */
	uint16_t hops, flow;
	uint32_t dst_tag, src_tag;
	uint64_t dst, src;
};
/** fwd_originate() - build and route a packet from @facet (0 is always live)
 *  @hdr: proto, dst, dst_tag, flags, flow, hops (0: default) set; src filled in, level
 *        too unless it goes to a key
 *  @payload: copied.  Return: 0, PN_EAGAIN (no buffer), PN_ENOROUTE, PN_EMSGSIZE */
int fwd_originate(struct net *net, uint16_t facet, struct net_hdr *hdr,
		  const uint8_t *payload, size_t len, struct pn_time now);
/** tree_on_packet() - ctl.c gets NET_PROTO_TREE packets for us */
void tree_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		    const uint8_t *payload, size_t len, struct pn_time now);

/* Told to lookup.c and peer.c by tree.c when a facet's address or root changed.  The
 * old address stays valid (facet_of_addr) for a grace time. */
void lookup_on_address(struct net *net, uint16_t facet, struct pn_time now);
/** lookup_on_chain() - the areas of a facet, or their records, may have changed */
void lookup_on_chain(struct net *net, struct pn_time now);

/* Shared services (net.c) ------------------------------------------------- */

/** net_event_push() - a zeroed slot in the ring, to be filled by the caller */
struct net_event *net_event_push(struct net *net, enum net_event_kind kind);
void net_random(struct net *net, void *buf, size_t len);  /* deterministic generator */
uint64_t net_random_u64(struct net *net);

/* Signatures name their purpose (domain separation). */
enum sign_purpose { SIGN_AREA = 1, SIGN_LOOKUP = 2, SIGN_ECHO = 3, SIGN_LINK = 4, SIGN_ANSWER = 5 };
void net_sign(const struct net *net, enum sign_purpose p, const uint8_t *msg, size_t len,
	      uint8_t sig[64]);
bool net_verify(const uint8_t id[PN_ID_LEN], enum sign_purpose p, const uint8_t *msg, size_t len,
		const uint8_t sig[64]);

/* Counters: add a line here, and it shows up in net_counter_at(). */
#define NET_COUNTERS(X) \
	X(rx_frames) X(rx_runt) X(rx_bad_version) X(rx_unknown_type) \
	X(rx_no_adjacency) X(rx_auth_failed) X(rx_replayed) X(rx_too_long) \
	X(rx_malformed) X(rx_split_lost) X(hs_initiations) X(hs_responses) \
	X(hs_refused) X(hs_rate_limited) X(hs_cookies) X(hs_replayed) X(hs_expelled) \
	X(adj_expelled) X(station_full) X(redirects) X(shortcuts_dialled) X(adj_up) \
	X(adj_down) X(adj_unheard) X(adj_full) X(rekeys) X(ctl_retransmits) X(ctl_capped) \
	X(soft_capped) X(tx_no_buffer) \
	X(tx_too_big) X(tx_unsent) X(tx_frames) X(tx_handshake_bytes) X(tx_hello_bytes) X(tx_ack_bytes) \
	X(tx_message_bytes) X(tx_session_bytes) X(tx_lookup_bytes) X(tx_tree_bytes) \
	X(tx_other_bytes) X(events_dropped) \
	X(fwd_forwarded) X(fwd_delivered) X(fwd_no_route) X(fwd_hop_limit) \
	X(fwd_gone) X(fwd_bad_header) X(fwd_too_big) X(fwd_errors_sent) \
	X(fwd_errors_limited) X(fwd_alternate) X(ctl_malformed) X(ctl_bad_signature) \
	X(ctl_stale) X(ctl_foreign) X(ctl_refused_height) \
	X(tree_joins) X(tree_grants) X(tree_refusals) X(tree_detaches) \
	X(tree_orphans) X(tree_rebuilds) X(tree_moves) X(tree_hollows) X(facets_removed) \
	X(facets_rehomed) X(tree_no_slot) X(tree_bounded) \
	X(ctl_checks_bounded) X(ctl_bounded) X(tree_successions) X(tree_adoptions) \
	X(ctl_bad_deputy) \
	X(route_requests) X(route_updates) X(via_full) X(router_full) X(sib_full) \
	X(part_full) X(dest_full) X(rec_full) \
	X(lookup_queries) \
	X(lookup_answers) X(lookup_registered) X(lookup_handed_on) X(lookup_full) \
	X(lookup_bad) X(lookup_elsewhere) X(lookup_crowded) X(lookup_replayed) \
	X(lookup_stores) X(lookup_left) X(lookup_moved) X(lookup_passed_on) \
	X(lookup_relayed) X(lookup_gone) X(fwd_old_place) X(fwd_key_met) X(peer_silent) \
	X(peer_resolved) X(peer_failed) X(peer_queue_dropped) \
	X(peer_table_full) X(echo_requests) X(echo_replies) X(echo_limited) \
	X(fwd_shortcuts) X(fwd_key_no_route) X(fwd_local_dropped) X(fwd_bad_payload) \
	X(lookup_limited) X(lookup_unknown) X(lookup_expired) X(lookup_busy) \
	X(route_bad_source) X(route_bad_sibling) X(route_limited) X(nbhd_full) \
	X(nbhd_bounded) X(peer_relookups) X(peer_gone) X(echo_bad) \
	X(fwd_leaf) X(guard_tests) X(guard_answers) X(guard_given_up) X(guard_spared) \
	X(guard_avoided) X(guard_kept) X(guard_expelled) X(guard_bounded) X(circle_returns) \
	X(circle_shunned) X(circle_back) X(route_ghosts)
enum net_counter_id {
#define X(name) COUNT_##name,
	NET_COUNTERS(X)
#undef X
	COUNT_MAX
};
#define count(net, name) ((net)->counters[COUNT_##name]++)
#define count_add(net, name, n) ((net)->counters[COUNT_##name] += (n))

/* The node --------------------------------------------------------------- */

#define NET_RX_NONE UINT32_MAX

/* News that the host has not taken yet, see event.c. */
struct net_events {
	uint64_t *ring;                  /* [cap] words */
	uint32_t cap, head, used;
	bool filling;                    /* *next is not in the ring yet */
	struct net_event *next;
};
void net_events_carve(struct net *net, struct arena *a, const struct net_config *cfg);

struct adj_table; struct ctl; struct lookup; struct peers; struct echo; struct fwd; struct guard;
struct circle;

struct net {
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	uint32_t tag;
	uint8_t sign_key[64];            /* libsodium's secret key: wiped by net_fini() */
	uint8_t dh_secret[32], dh_public[32]; /* X25519, converted from the identity */
	uint64_t boot;
	bool leaf;                       /* carries nobody else's traffic */
	struct pn_pool *pool;
	uint8_t random_key[32];
	uint64_t random_counter;
	struct pn_time now;              /* of the call under way */
	uint32_t rx_adj;                 /* adjacency of the packet under way; NET_RX_NONE */

	struct pn_heap timers;
	struct pn_pktq out;              /* frames for the host */
	struct pn_pktq deliver;          /* session packets for the host */
	struct net_events events;
	uint64_t counters[COUNT_MAX];

	struct adj_table *adjs;          /* adj.c: links and adjacencies */
	struct ctl *ctl;                 /* ctl.c: facets */
	struct lookup *lookup;           /* lookup.c: records kept for others, queries */
	struct peers *peers;             /* peer.c: identities we talk to */
	struct echo *echo;               /* echo.c: pings under way */
	struct fwd *fwd;                 /* fwd.c: rate limits of errors */
	struct guard *guard;             /* guard.c: do neighbours carry data? */
	struct circle *circle;           /* circle.c: packets that come back */
};

/* Every module: *_carve() takes its memory, *_init() starts it, *_expire() when
 * its timer rang. */
void adj_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void adj_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void adj_fini(struct net *net);
void adj_input(struct net *net, struct pn_pkt *pkt, struct pn_time now);   /* takes */
void adj_expire(struct net *net, uint32_t index, struct pn_time now);      /* TIMER_ADJ */
void adj_link_expire(struct net *net, uint32_t link, struct pn_time now);  /* TIMER_LINK */
void adj_goodbye(struct net *net, struct pn_time now);
void fwd_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void fwd_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void lookup_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void lookup_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void lookup_expire(struct net *net, uint32_t index, struct pn_time now);   /* TIMER_LOOKUP */
#define NET_LOOKUP_TIMERS 67         /* entries that lookup.c and fwd.c want in the heap,
                                      * beside one per record and one per peer */
void lookup_record_expire(struct net *net, uint32_t index, struct pn_time now); /* TIMER_RECORD */
void lookup_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		      const uint8_t *payload, size_t len, struct pn_time now);
/** lookup_on_error() - a query did not arrive where an anchor, or we, had sent it */
struct fwd_error;
void lookup_on_error(struct net *net, const struct fwd_error *err, struct pn_time now);
void peer_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void peer_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void peer_fini(struct net *net);
void peer_expire(struct net *net, uint32_t index, struct pn_time now);     /* TIMER_PEER */
void echo_carve(struct net *net, struct arena *a, const struct net_config *cfg);
void echo_init(struct net *net, const struct net_config *cfg, struct pn_time now);
void echo_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		    const uint8_t *payload, size_t len, struct pn_time now);

#endif
