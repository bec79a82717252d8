/* SPDX-License-Identifier: ISC */
/* fake_net.h - the network layer's calls, without a network
 *
 * Some nodes in one process: what one sends arrives at another after a delay, or
 * not at all, in virtual time and by a seed.  Only what sessions call is there.
 */
#ifndef PN_FAKE_NET_H
#define PN_FAKE_NET_H

#include "pnstackd/net/net.h"
#include "pnstackd/session/session.h"

#define WORLD_NODES	4
#define WORLD_PEERS	64	/* handles of one node */
#define WORLD_BATCH	64
#ifndef WORLD_POOL		/* the fuzzer has less */
#define WORLD_POOL	16384	/* packets */
#endif

struct world;

struct net {		/* one node */
	struct world *world;
	int index;
	uint8_t seed[PN_ID_LEN], id[PN_ID_LEN], hit[PN_HIT_LEN];
	uint64_t addr;
	struct session_set *set;
	struct pn_pktq inbox;	/* all that is on the way to it, in order of arrival */
	uint8_t peer_hit[WORLD_PEERS][PN_HIT_LEN];
	uint32_t peer_refs[WORLD_PEERS];
	struct net_event event;	/* one at a time is enough */
	bool has_event;
	bool blackhole;		/* what it sends is lost */
	bool no_record;		/* net_own_record() has none */
	uint64_t records_in;	/* net_peer_update() calls */
	uint64_t sent_addr, sent_peer;
};

struct world {
	struct net node[WORLD_NODES];
	int count;
	struct pn_time now;
	uint64_t delay_ns;
	uint32_t loss_permille;
	uint64_t rng;
	uint32_t mtu;
	void *pool_mem;
	struct pn_pool pool;
	uint64_t packets, lost;
	/* what a program would do; called for each event of each node */
	void (*on_event)(struct world *w, int node, const struct session_event *ev);
	void (*on_idle)(struct world *w);	/* after each step, may be NULL */
	void *user;
	void (*on_packet)(struct world *w, struct pn_pkt *pkt); /* may change it */
	struct session_config cfg;	/* for nodes to start */
};

void world_init(struct world *w, int nodes);
void world_fini(struct world *w);
void world_start(struct world *w, int node, uint32_t life); /* life: another nonce */
void world_stop(struct world *w, int node, bool goodbye);
/** world_run() - until @done says so, or for @ns; Return: what @done said last */
bool world_run(struct world *w, uint64_t ns, bool (*done)(struct world *w));
uint32_t world_random(struct world *w);
uint64_t world_counter(struct world *w, int node, const char *name);
size_t world_sessions(struct world *w, int node, const char *state);

#endif
