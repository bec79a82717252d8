/* SPDX-License-Identifier: ISC */
/* medium.h - many nodes, the links between them, and virtual time
 *
 * struct sim is one run.  The nodes are real ones (struct net); the simulator
 * is their host: it carries frames along the links of a topology (edge.h), rings
 * their deadlines, starts and crashes them (node.h).  sim_run_until() is the only
 * thing that makes time pass.
 */
#ifndef SIM_MEDIUM_H
#define SIM_MEDIUM_H

#include "libpeernet/base/heap.h"
#include "pnstackd/net/net.h"
#include "tests/sim/check.h"
#include "tests/sim/rng.h"
#include "tests/sim/topology.h"

/* Virtual time does not begin at 0, as a machine's monotonic clock does not when
 * a daemon starts; what is printed counts from here. */
#define SIM_EPOCH_NS PN_S(1000)

/* What a link does to frames, each direction for itself */
struct link_quality {
	uint64_t delay_ns;
	uint64_t rate_bps;	/* 0: no limit */
	uint32_t queue_bytes;	/* frames that wait for the sender beyond it are dropped */
	double jitter;		/* share of the delay that each frame may differ by */
	double loss, duplicate;	/* share of frames, 0 to 1 */
	bool reorder;		/* let frames overtake each other */
};

struct sim_config {
	uint64_t seed;
	struct link_quality link; /* of links that have no other */
	uint64_t delay_max_ns;	/* each link has a delay from link.delay_ns to this; 0: not so */
	struct link_quality tunnel; /* of tunnels between islands */
	uint64_t start_spread_ns; /* nodes start at random times up to this */
	bool start_in_order;	/* evenly within that, in the order of the topology */
	double leaf_share;	/* of nodes that carry nobody else's traffic */
	double drift_ppm;	/* clocks are fast or slow by up to this */
	uint32_t mtu;		/* bytes of a frame */
	uint32_t link_header;	/* bytes in front of a frame, counted as traffic */
	bool more_edges;	/* there will be edges that the topology does not have */
	bool radio;		/* links are stations that hear each other, not cables */
	bool silent;		/* nobody's carrier tells of crashes and cuts */
	bool trace;		/* tell what happens on stderr */
};

enum node_state {
	NODE_WAITING,		/* starts when its timer rings */
	NODE_LIVE,		/* has a net */
	NODE_DEAD,		/* crashed, or not there yet */
};

/* Two nodes that can hear each other.  On a shared medium (kind TOPO_RADIO,
 * TOPO_LAN) these are stations of the one such link of each node. */
struct sim_edge {
	uint32_t node[2];
	int link[2];		/* link number at each end, while that node lives; -1: none */
	enum topo_kind kind;
	bool up;		/* plugged, in range */
	bool deaf[2];		/* that end hears nothing: a one-way link */
	struct link_quality q;
	uint64_t last_ns[2];	/* arrival of the last frame towards that end */
	uint64_t busy_ns[2];	/* until then frames towards that end are being sent */
};
#define SIM_EDGE_NONE UINT32_MAX

struct sim_node {
	struct pn_heap_entry timer; /* in true time */
	enum node_state state;
	struct net *net;	/* inside mem; NULL unless live */
	void *mem;
	size_t mem_size;
	uint8_t seed[PN_ID_LEN], id[PN_ID_LEN], hit[PN_HIT_LEN];
	uint64_t boot;
	uint64_t since_ns;	/* lives since then, if it lives */
	uint64_t keys;		/* identities it has had */
	int32_t drift_ppb;	/* its clock is fast by so much, parts in 10^9, */
	uint64_t drift_from_ns;	/* since this true time, */
	int64_t clock_off_ns;	/* when it was ahead by so much */
	uint64_t lag_ns;	/* it handles frames and deadlines so much later */
	uint32_t *edges;	/* in sim->edges; owned */
	uint32_t edge_count, edge_cap;
	uint32_t *link_edge;	/* cable of each link number; SIM_EDGE_NONE: stations */
	uint32_t link_cap;
	bool leaf;		/* carries nobody else's traffic */
	bool hub;		/* its cables are stations of one tunnel link */
	int hub_link;		/* number of that one, -1: none */
	int ether;		/* number of its Ethernet link, -1: none */
	uint64_t busy_ns;	/* until then frames leave through it */
	uint32_t spins;		/* times it was due again at once */
	uint64_t second;	/* of virtual time that frames counts */
	uint32_t frames;	/* sent in that second */
	uint64_t sent_frames, sent_bytes; /* since the run began, link headers counted */
};

struct sim_frame {
	uint64_t at_ns, seq;	/* arrival, and order of sending */
	struct pn_pkt *pkt;
	uint32_t edge;		/* SIM_EDGE_NONE: to all stations of a shared medium */
	uint32_t side;		/* end that it goes to; with no edge: node that sent it */
	uint64_t boot;		/* of the node there when it was sent */
};

/* Who wants to know what nodes tell. */
struct sim_watcher {
	void *arg;
	void (*on_event)(void *arg, uint32_t node, const struct net_event *ev);
	/* a session packet for this node; the packet stays the simulator's */
	void (*on_packet)(void *arg, uint32_t node, const struct pn_pkt *pkt);
};

struct sim {
	struct sim_config cfg;
	struct link_quality first_link, first_tunnel; /* of cfg, when the run began */
	const struct topology *topo; /* borrowed */
	struct pn_time now;	/* true time; nodes have clocks of their own */
	struct rng rng;		/* of the medium */
	struct sim_node *nodes;	/* topo->node_count */
	struct sim_edge *edges;
	uint32_t edge_count, edge_cap;
	uint32_t *by_pair;	/* hash table: two nodes to edge */
	uint32_t by_pair_size;
	uint32_t *by_id;	/* hash table: identity to node */
	uint32_t by_id_size;
	struct pn_heap timers;
	struct sim_frame *frames; /* heap */
	uint32_t frame_count, frame_cap;
	uint64_t frame_seq;
	struct pn_pool pool;
	void *pool_mem;
	uint32_t pool_low;	/* least packets that were ever free */
	struct sim_watcher watcher;
	struct violations violations; /* those of running, not of snapshots */
	uint64_t sent_frames, sent_bytes; /* link headers counted */
	uint64_t lost_frames, misdirected_frames, queue_dropped, duplicated_frames;
	uint64_t mem_bytes;	/* of the nodes, at the start */
	uint64_t changes;	/* grows with each start, crash and change of an edge */
};

/** sim_init() - nodes that wait for their start
 *  @topo: borrowed until sim_fini() */
void sim_init(struct sim *sim, const struct topology *topo, const struct sim_config *cfg);

/** sim_fini() - ends all nodes, and checks that no packet is missing */
void sim_fini(struct sim *sim);

/** sim_run_until() - let everything happen up to and including @until */
void sim_run_until(struct sim *sim, struct pn_time until);

/* --- stations --------------------------------------------------------------- */

/** sim_edge_station() - how the link of one end names the other end */
struct pn_lladdr sim_edge_station(const struct sim *sim, uint32_t edge, uint32_t side);

/** sim_station_of() - a node's own address on a shared medium */
struct pn_lladdr sim_station_of(uint32_t node);

/** sim_edge_side() - Return: 0 or 1, which end of the edge the node is */
static inline uint32_t sim_edge_side(const struct sim_edge *edge, uint32_t node)
{
	return edge->node[1] == node;
}

/** sim_edge_is_shared() - stations of a shared medium, not a cable? */
static inline bool sim_edge_is_shared(const struct sim_edge *edge)
{
	return edge->kind == TOPO_RADIO || edge->kind == TOPO_LAN;
}

/** sim_medium_send() - takes @pkt, that a node sends */
void sim_medium_send(struct sim *sim, uint32_t node, struct pn_pkt *pkt);

/* --- time ------------------------------------------------------------------- */

/** sim_time() - the time so many seconds after the start */
static inline struct pn_time sim_time(double seconds)
{
	return (struct pn_time){ SIM_EPOCH_NS + (uint64_t)(seconds * 1e9) };
}

/** sim_seconds() - virtual seconds since the start */
static inline double sim_seconds(const struct sim *sim)
{
	return (double)(sim->now.ns - SIM_EPOCH_NS) / 1e9;
}

/** sim_clock() - what the clock of a node shows now: to be used in all calls
 *  into its net */
static inline struct pn_time sim_clock(const struct sim *sim, uint32_t node)
{
	const struct sim_node *n = &sim->nodes[node];
	int64_t d = (int64_t)(sim->now.ns - n->drift_from_ns);

	return (struct pn_time){ sim->now.ns + (uint64_t)(n->clock_off_ns +
		(int64_t)((__int128)d * n->drift_ppb / 1000000000)) };
}

/** sim_true_time() - when the clock of a node will show @local */
struct pn_time sim_true_time(const struct sim *sim, uint32_t node, struct pn_time local);

/* --- telling ---------------------------------------------------------------- */

/** sim_trace() - one line on stderr, if wanted */
void sim_trace(const struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** sim_addresses_hash() - all addresses of a node in one number, to see whether any
 *  has changed
 *  Return: the number, never 0; 0 if the node does not live */
uint64_t sim_addresses_hash(const struct sim *sim, uint32_t node);

/** sim_counter() - one counter, summed over the live nodes
 *  Return: the sum; 0 if no counter has that name */
uint64_t sim_counter(const struct sim *sim, const char *name);

#endif
