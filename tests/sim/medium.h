/* SPDX-License-Identifier: ISC */
/* medium.h - many nodes, the links between them, and virtual time
 *
 * struct sim is one run.  The nodes are real ones (struct net); the simulator
 * is their host: it carries frames along the links of a topology, with delay
 * and loss, rings their deadlines, starts and crashes them.  sim_run_until()
 * is the only thing that makes time pass.
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

struct sim_config {
	uint64_t seed;
	uint64_t delay_ns;	/* of a link, plus or minus 20 % */
	double loss;		/* share of frames that get lost, 0 to 1 */
	uint64_t start_spread_ns; /* nodes start at random times up to this */
	uint32_t mtu;		/* bytes of a frame */
	uint32_t link_header;	/* bytes in front of a frame, counted as traffic */
	bool reorder;		/* let frames of a link overtake each other */
	bool trace;		/* tell what happens on stderr */
};

enum node_state {
	NODE_WAITING,		/* starts when its timer rings */
	NODE_LIVE,		/* has a net */
	NODE_DEAD,		/* crashed */
};

struct sim_edge {
	uint32_t node[2];
	int link[2];		/* link number at each end, while that node lives */
	bool up;
	uint64_t last_ns[2];	/* arrival of the last frame towards that end */
};

struct sim_node {
	struct pn_heap_entry timer;
	enum node_state state;
	struct net *net;	/* inside mem; NULL unless live */
	void *mem;
	size_t mem_size;
	uint8_t seed[PN_ID_LEN], id[PN_ID_LEN], hit[PN_HIT_LEN];
	uint64_t boot;
	uint32_t edge_first, edge_count; /* in sim->incident */
	bool shared;		/* all its edges are stations of one link */
	uint32_t spins;		/* times it was due again at once */
	uint64_t second;	/* of virtual time that frames counts */
	uint32_t frames;	/* sent in that second */
};

struct sim_frame {
	uint64_t at_ns, seq;	/* arrival, and order of sending */
	struct pn_pkt *pkt;
	uint32_t edge;
	uint32_t side;		/* end that it goes to */
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
	const struct topology *topo; /* borrowed */
	struct pn_time now;
	struct rng rng;		/* of the medium */
	struct sim_node *nodes;	/* topo->node_count */
	struct sim_edge *edges;	/* topo->edge_count */
	uint32_t *incident;	/* edges of each node */
	uint32_t *by_id;	/* hash table: identity to node */
	uint32_t by_id_size;
	struct pn_heap timers;
	struct sim_frame *frames; /* heap */
	uint32_t frame_count, frame_cap;
	uint64_t frame_seq;
	struct pn_pool pool;
	void *pool_mem;
	struct sim_watcher watcher;
	struct violations violations; /* those of running, not of snapshots */
	uint64_t sent_frames, sent_bytes; /* link headers counted */
	uint64_t lost_frames, misdirected_frames;
	uint64_t mem_bytes;	/* of the nodes, at the start */
};

/** sim_init() - nodes that wait for their start
 *  @topo: borrowed until sim_fini() */
void sim_init(struct sim *sim, const struct topology *topo, const struct sim_config *cfg);

/** sim_fini() - ends all nodes, and checks that no packet is missing */
void sim_fini(struct sim *sim);

/** sim_run_until() - let everything happen up to and including @until */
void sim_run_until(struct sim *sim, struct pn_time until);

/** sim_node_crash() - a node is gone, without a word
 *  @carrier: its neighbours' links tell them so at once */
void sim_node_crash(struct sim *sim, uint32_t node, bool carrier);

/** sim_node_pump() - after a call into a node: carry what it has to send, hand
 *  on what it tells, look when it is due next */
void sim_node_pump(struct sim *sim, uint32_t node);

/** sim_node_find() - Return: the node of an identity, or UINT32_MAX */
uint32_t sim_node_find(const struct sim *sim, const uint8_t id[PN_ID_LEN]);

/** sim_node_live() - Return: true if the node runs */
static inline bool sim_node_live(const struct sim *sim, uint32_t node)
{
	return sim->nodes[node].state == NODE_LIVE;
}

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

/** sim_trace() - one line on stderr, if wanted */
void sim_trace(const struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** sim_counter() - one counter, summed over the live nodes
 *  Return: the sum; 0 if no counter has that name */
uint64_t sim_counter(const struct sim *sim, const char *name);

#endif
