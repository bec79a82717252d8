/* SPDX-License-Identifier: ISC */
/* net.h - the facade of the network layer
 *
 * The layer is sans-I/O: it makes no system call, reads no clock and draws no
 * randomness.  The host (the daemon, or the simulator) owns the links; it hands
 * frames in with net_input(), takes frames out with net_output(), packets for
 * this node with net_deliver() and news with net_next_event(), and calls
 * net_expire() when net_deadline() has come.  Nothing here calls the host.
 *
 * One struct net is one node.  All memory comes from the block given to
 * net_init(); afterwards tables can be full, never out of memory.
 */
#ifndef PN_NET_H
#define PN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pkt.h"
#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_error.h"
#include "libpeernet/base/pn_limits.h"
#include "libpeernet/base/pn_time.h"

struct net;

/* Identities ------------------------------------------------------------ */

/** net_identity_derive() - the public half of an identity
 *  @seed: 32 secret bytes (Ed25519 seed), borrowed
 *  @id:   out, the Ed25519 public key
 */
void net_identity_derive(const uint8_t seed[PN_ID_LEN], uint8_t id[PN_ID_LEN]);

/** net_identity_hit() - HIT of an identity (RFC 7343 manner): the prefix
 *  2001:20::/28, the nibble PN_HIT_NIBBLE, 96 bits of BLAKE2b of the identity */
void net_identity_hit(const uint8_t id[PN_ID_LEN], uint8_t hit[PN_HIT_LEN]);

/** net_hit_tag() - the 32-bit tag that packet headers carry for an identity:
 *  the last four bytes of its HIT */
uint32_t net_hit_tag(const uint8_t hit[PN_HIT_LEN]);

/* Life ------------------------------------------------------------------ */

struct net_config {
	uint8_t seed[PN_ID_LEN];     /* secret Ed25519 seed; wiped by the caller */
	uint8_t random[32];          /* the only entropy the layer ever gets */
	uint64_t boot;               /* grows by one at each start of this identity */
	struct pn_pool *pool;        /* packet buffers; outlives the net */
	bool zeroed;                 /* the memory given to net_init() is zero already */
	uint32_t adj_max;            /* adjacencies, at most */
	uint32_t record_max;         /* lookup records kept for others */
	uint32_t peer_max;           /* identities whose address we remember */
	/* For those that follow 0 is the default (net_config_default()). */
	uint32_t link_max;           /* links; at most NET_LINK_MAX */
	uint32_t station_max;        /* stations known on its Ethernets */
	uint32_t facet_max;          /* places in the tree: one for 5 to 8 tunnels */
	uint32_t level_max;          /* areas that a place is in, one within the other */
	uint32_t event_max;          /* events that wait for the host */
	uint32_t ping_max;           /* net_ping() under way; a power of two */
	uint32_t query_max;          /* identities that are looked up at once */
	uint32_t near_max;           /* places of all neighbours */
	uint32_t beyond_max;         /* places that these tell of, at most half from each */
	uint32_t peer_addr_max;      /* addresses remembered of each, the nearest */
	uint32_t source_max;         /* buckets of limits that sources share; a power of two */
	uint32_t expelled_max;       /* identities refused for a while */
	uint32_t seen_max;           /* timestamps of neighbours that are gone; a power of two */
	uint32_t replay_max;         /* frames that may come out of order, of one neighbour;
	                                a multiple of 64 */
	uint32_t flow_max;           /* next hops remembered for a moment; a power of two */
	const uint8_t (*allowed)[PN_ID_LEN]; /* NULL: anybody may be a neighbour */
	uint32_t allowed_count;      /* identities in allowed; copied at init */
	bool has_secret;             /* closed network: */
	uint8_t secret[32];          /* mixed into every link handshake */
	bool leaf;                   /* carry nobody else's traffic; neighbours are told */
};

/** net_config_default() - the limits a daemon starts with; keys left zero */
void net_config_default(struct net_config *cfg);

/** struct net_surroundings - of a node, where they are known beforehand */
struct net_surroundings {
	uint32_t cables;             /* neighbours on point-to-point links, at most */
	uint32_t stations;           /* others on its Ethernets */
	uint32_t links;              /* of its own */
	uint32_t near;               /* places of all neighbours: see facet_max; 0 unknown */
	uint32_t beyond;             /* places of these and of their neighbours, for each of
	                                them; 0 unknown */
	uint32_t nodes;              /* in the whole network: the tree is not higher than
	                                2 * log2 of it + 4 */
};

/** net_config_fit() - just enough for such a node */
void net_config_fit(struct net_config *cfg, const struct net_surroundings *around);

/** net_facets_of() - places in the tree of a node with so many cables, and with stations */
uint32_t net_facets_of(uint32_t cables, uint32_t stations);

/** net_mem_size() - bytes that net_init() wants for this configuration */
size_t net_mem_size(const struct net_config *cfg);

/** net_init() - a node, alone in its own network
 *  @mem:   net_mem_size() bytes aligned to 64, owned by the caller, who frees
 *          them after net_fini()
 *  Return: the node inside @mem */
struct net *net_init(void *mem, const struct net_config *cfg, struct pn_time now);

/** net_goodbye() - tell all neighbours that we leave; drain net_output() after */
void net_goodbye(struct net *net, struct pn_time now);

/** net_fini() - wipe all secrets, return all packets to the pool */
void net_fini(struct net *net);

const uint8_t *net_id(const struct net *net);   /* PN_ID_LEN bytes */
const uint8_t *net_hit(const struct net *net);  /* PN_HIT_LEN bytes */

/* Links ----------------------------------------------------------------- */

enum net_link_kind {
	NET_LINK_ETHERNET,  /* shared medium: stations are found by multicast */
	NET_LINK_TUNNEL,    /* point to point: stations are configured or dial us */
};

struct net_link_config {
	enum net_link_kind kind;
	uint32_t mtu;        /* largest frame in bytes that this link carries,
	                        without the Ethernet or UDP/IP header */
	struct pn_lladdr self; /* own station address; len 0 where unknown */
	uint64_t rate_bps;   /* 0 unknown: what a tunnel takes, an Ethernet in all */
	uint64_t control_bps; /* at most so much of it for control traffic: of an Ethernet, or
	                        of each tunnel.  0: 2 % of the rate or NET_CONTROL_BPS,
	                        whichever is more */
	uint16_t cost;       /* 0: measured, and by the rate */
	bool seal_full;      /* seal the payload too, not only the header */
	bool listen;         /* answer handshakes of stations not configured */
};

#define NET_CONTROL_BPS 64000
#define NET_ETHERNET_BPS 100000000   /* what an Ethernet of unknown rate is taken for, here */

/** net_link_add() - Return: link number >= 0, or PN_EFULL, PN_EINVAL (mtu too
 *  small: a frame must take 700 bytes; packets of PN_MTU_MIN are split in two) */
int net_link_add(struct net *net, const struct net_link_config *cfg, struct pn_time now);

/** net_link_del() - says goodbye to its neighbours, forgets the link; the
 *  frames of the goodbye still come out of net_output() once */
void net_link_del(struct net *net, int link, struct pn_time now);

/** net_link_carrier() - the link lost or got its carrier */
void net_link_carrier(struct net *net, int link, bool up, struct pn_time now);

/** net_link_station_down() - the host knows that one station of a link is gone
 *  (its cable lost the carrier, its socket was refused); a static peer there is
 *  dialled again later.  Nothing happens if there is no adjacency with it */
void net_link_station_down(struct net *net, int link,
			   const struct pn_lladdr *ll, struct pn_time now);

/** net_link_unsent() - the host could not send a frame: the outer network says that there is
 *  no way.  Its neighbour is asked at once, and until it answers data takes another way
 *  @ll:  of the frame; len 0: it was for all stations of the link */
void net_link_unsent(struct net *net, int link, const struct pn_lladdr *ll, struct pn_time now);

/** net_link_peer() - dial a static peer on a tunnel link, for ever
 *  @ll:    where (outer address)
 *  @id:    who it must be, or NULL for anybody
 *  @hint:  cookie returned in net_neighbour.hint, for the host's own book-keeping
 *  Return: 0, PN_EFULL, PN_ENOENT (no such link) */
int net_link_peer(struct net *net, int link, const struct pn_lladdr *ll,
		  const uint8_t *id, uint32_t hint, struct pn_time now);

/** net_link_peer_del() - stop dialling; an adjacency with it is closed */
void net_link_peer_del(struct net *net, int link, const struct pn_lladdr *ll, struct pn_time now);

/* Frames, packets, time --------------------------------------------------- */

/* Frames are what stands behind the Ethernet header (EtherType) or the UDP
 * header.  pkt->link and pkt->ll say where a frame came from or goes to
 * (pkt->ll.len == 0 on the way out: multicast to all stations). */

/** net_input() - takes @n frames */
void net_input(struct net *net, struct pn_pkt **pkts, size_t n, struct pn_time now);

/** net_output() - up to @max frames to send, in order; the caller owns them
 *  Return: how many */
size_t net_output(struct net *net, struct pn_pkt **pkts, size_t max);

/** net_deliver() - up to @max session packets for this node; the caller owns
 *  them.  pkt->data is the payload, pkt->src the sender's address, pkt->tag the
 *  tag of the sender's identity (a claim, not a proof), pkt->ecn the ECN field */
size_t net_deliver(struct net *net, struct pn_pkt **pkts, size_t max);

struct pn_time net_deadline(const struct net *net);
void net_expire(struct net *net, struct pn_time now);

/* Peers: identities we talk to -------------------------------------------- */

typedef uint32_t net_peer;          /* index and generation; 0 is nobody */

/** net_peer_open() - a handle for an identity known by its HIT; counted, one
 *  net_peer_close() each.  A lookup starts when the first packet wants one.
 *  Return: handle, or 0 when the table is full of open handles */
net_peer net_peer_open(struct net *net, const uint8_t hit[PN_HIT_LEN], struct pn_time now);
void net_peer_close(struct net *net, net_peer peer);

/** net_peer_update() - the peer told us, inside an authenticated session, its
 *  newest signed address record.  Return: 0 also when it is old news; PN_EBADMSG,
 *  PN_EAUTH */
int net_peer_update(struct net *net, const uint8_t *record, size_t len, struct pn_time now);

/** net_own_record() - our newest signed address record, for net_peer_update()
 *  at the other side.  Return: bytes written (at most NET_RECORD_MAX), 0: none */
size_t net_own_record(struct net *net, uint8_t *buf, size_t cap);
#define NET_RECORD_MAX 1100

/** net_peer_silent() - nothing has come from a peer for three timeouts in a row: perhaps both
 *  ends have moved at the same time.  It is looked up again, not too often */
void net_peer_silent(struct net *net, net_peer peer, struct pn_time now);

/** net_peer_mtu() - payload bytes that fit towards that peer (>= 1200) */
uint32_t net_peer_mtu(const struct net *net, net_peer peer);

/** net_send_peer() - takes @pkt, whose data is a session packet (pkt->flow and
 *  pkt->ecn set); kept (a bounded number of them) while the peer is looked up */
void net_send_peer(struct net *net, net_peer peer, struct pn_pkt *pkt, struct pn_time now);

/** net_send_addr() - takes @pkt; to an address whose owner must have the tag */
void net_send_addr(struct net *net, uint64_t addr, uint32_t tag,
		   struct pn_pkt *pkt, struct pn_time now);

/* Asking ------------------------------------------------------------------ */

/** net_lookup() - find the addresses of an identity; answered by
 *  NET_EV_LOOKUP with @token */
void net_lookup(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token, struct pn_time now);

/** net_ping() - one echo request, looked up first if need be; answered by
 *  NET_EV_ECHO or NET_EV_ECHO_ERROR with @token, or by nothing
 *  @hops:  hop limit of the packet; 0 the default.  A node where it ends answers
 *          with NET_EV_ECHO_ERROR, reason NET_ERR_HOPS, its identity and address
 *  @len:   payload bytes beyond the headers (0..1200) */
void net_ping(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token,
	      uint16_t hops, uint16_t len, struct pn_time now);

/* News -------------------------------------------------------------------- */

enum net_event_kind {
	NET_EV_NEIGHBOUR_UP,    /* id, link */
	NET_EV_NEIGHBOUR_DOWN,  /* id, link, reason */
	NET_EV_ADDRESS,         /* our address changed: addr, height */
	NET_EV_PEER_RESOLVED,   /* peer */
	NET_EV_PEER_FAILED,     /* peer; reason: NET_ERR_UNKNOWN (no such identity
	                           found), NET_ERR_ROUTE (no route) */
	NET_EV_PEER_MTU,        /* peer: net_peer_mtu() changed */
	NET_EV_LOOKUP,          /* token, hit, addrs; addr_count 0: not found */
	NET_EV_ECHO,            /* token, hops, len, id, addr: of the one who answered;
	                           level: relays that the request passed */
	NET_EV_ECHO_ERROR,      /* token, reason, id, addr, level, hops */
	NET_EV_AUTH_FAILED,     /* a handshake ended wrong: link, ll, reason */
};

enum net_err {
	NET_ERR_NONE,
	NET_ERR_ROUTE,       /* no route; level says where */
	NET_ERR_HOPS,        /* hop limit reached */
	NET_ERR_TOO_BIG,     /* mtu says what fits */
	NET_ERR_GONE,        /* somebody else has that address now */
	NET_ERR_UNKNOWN,     /* lookup found nothing */
	NET_ERR_IDENTITY,    /* handshake: not the identity that was configured */
	NET_ERR_POLICY,      /* handshake: not on the list, or wrong network secret */
	NET_ERR_TIMEOUT,     /* neighbour silent */
	NET_ERR_CARRIER,     /* link lost its carrier */
	NET_ERR_GOODBYE,     /* neighbour left */
	NET_ERR_REPLACED,    /* a newer adjacency took its place */
	NET_ERR_EXPELLED,    /* refused for a while: it did not do its share */
	NET_ERR_IDLE,        /* neither side had a use for it */
	NET_ERR_COUNT
};
const char *net_err_text(enum net_err err);

#define NET_ADDRS_MAX 208    /* addresses of one identity, at most: with 1,000 tunnels */

struct net_event {
	enum net_event_kind kind;
	enum net_err reason;
	uint64_t token;
	net_peer peer;
	int link;
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	struct pn_lladdr ll;
	uint64_t addr;
	uint8_t level;         /* height for NET_EV_ADDRESS */
	uint16_t hops;         /* hop limit left on arrival */
	uint16_t len;
	uint32_t mtu;
	uint32_t addr_count;
	uint64_t addrs[NET_ADDRS_MAX];
};

/** net_next_event() - Return: false when there is none.  The ring is bounded;
 *  when the host does not drain it the oldest are dropped and counted */
bool net_next_event(struct net *net, struct net_event *ev);

/* Looking in: for status displays, tests and the simulator ------------------ */

struct net_neighbour {
	uint8_t id[PN_ID_LEN];
	int link;
	struct pn_lladdr ll;
	uint16_t facet;        /* ours */
	uint16_t peer_facet;
	uint64_t addr;         /* of its facet */
	bool same_network;
	uint16_t cost;
	bool shortcut;         /* for data only: a station that is no neighbour in the tree */
	bool leaf;             /* it carries nobody else's traffic */
	uint64_t rtt_ns;       /* smoothed; 0 unknown */
	uint64_t up_ns;        /* since the handshake */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint32_t hint;
};
/** net_neighbour_at() - Return: false behind the last; @index counts from 0 */
bool net_neighbour_at(const struct net *net, size_t index,
		      struct net_neighbour *out, struct pn_time now);

/** net_expelled_at() - neighbours that are refused for a while
 *  @left_ns: for how long still
 *  Return: false behind the last; @index counts from 0 */
bool net_expelled_at(const struct net *net, size_t index, uint8_t id[PN_ID_LEN],
		     uint64_t *left_ns, struct pn_time now);

/** struct net_link_control - the control traffic of a link
 *  @bps:     what it may take, in bits per second: of an Ethernet all together, of a
 *            tunnel's link each tunnel
 *  @bytes:   sent
 *  @waited:  messages that had to wait for their turn; @dropped: those that could not */
struct net_link_control {
	uint64_t bps, bytes, waited, dropped;
};
/** net_link_control() - Return: false: no such link */
bool net_link_control(const struct net *net, int link, struct net_link_control *out);

/* One area of one facet, from the leaf (index 0) to the root. */
struct net_area {
	uint16_t facet;
	uint64_t area_id;
	uint8_t base;          /* level of its contents: it occupies a block 2^base */
	uint8_t top;           /* level it hangs at; NET_TOP_NONE: root */
	uint8_t bit;
	uint8_t leader[PN_ID_LEN];
	uint16_t leader_facet;
	bool leading;          /* by this facet */
	uint32_t epoch, seq;
	uint32_t count;        /* coarse node count */
	uint64_t parent_id;    /* 0: root */
	uint64_t child_id[2];
	uint64_t sibling_id;   /* 0: the sibling block is free */
	uint64_t deputy;       /* node id of who goes on when the leader is lost; 0: nobody */
	bool deputising;       /* that is this facet */
};
#define NET_TOP_NONE 255
bool net_area_at(const struct net *net, uint16_t facet, size_t index, struct net_area *out);

/* One next hop of one sibling route. */
struct net_route {
	uint16_t facet;
	uint8_t level;         /* of the sibling */
	uint64_t block;        /* first address of the sibling block */
	uint64_t sibling_id;
	uint32_t metric;       /* in NET_COST_UNIT per perfect cable; NET_METRIC_INF */
	uint8_t next_id[PN_ID_LEN];
	int link;              /* -1: another facet of this node */
	bool selected;
	bool feasible;
	uint32_t count;
};
#define NET_COST_UNIT 16
#define NET_METRIC_INF 65535
bool net_route_at(const struct net *net, size_t index, struct net_route *out);

uint16_t net_facet_count(const struct net *net); /* live facets are numbered from
						    0 with no gaps in this iteration */
uint64_t net_address(const struct net *net, uint16_t facet);
uint8_t net_height(const struct net *net);
uint64_t net_root_id(const struct net *net);

#define NET_LEVEL_ANY 255  /* level of a packet that has not been forwarded yet */
/** net_next_hop() - where a packet for @dst would go now, for the simulator's
 *  stretch figures and for status.  Pure: changes nothing.
 *  @facet: facet it is at   @level, @flags: in and out, as the packet carries them
 *  Return: 0 and the neighbour's identity, facet; 1: here; PN_EUNREACH */
int net_next_hop(const struct net *net, uint16_t facet, uint64_t dst, uint8_t *level,
		 uint8_t *flags, uint16_t flow, uint8_t next_id[PN_ID_LEN], uint16_t *next_facet);

/* Counters: one name and value per drop reason and message kind. */
struct net_counter { const char *name; uint64_t value; };
bool net_counter_at(const struct net *net, size_t index, struct net_counter *out);

#endif
