/* SPDX-License-Identifier: ISC */
/* node.h - the nodes of a run: their identities, start, crash and return */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "tests/sim/medium.h"

/** sim_nodes_init() - identities, clocks and times to start; edges stand */
void sim_nodes_init(struct sim *sim);

/** sim_node_due() - the node's timer rang: start, or let it expire */
void sim_node_due(struct sim *sim, uint32_t node);

/** sim_node_crash() - a node is gone, without a word.  Unless the run is silent
 *  the cables of its neighbours lose their carrier
 *  @carrier: false: they do not, either */
void sim_node_crash(struct sim *sim, uint32_t node, bool carrier);

/** sim_node_end() - the same without anybody told: for the end of the run */
void sim_node_end(struct sim *sim, uint32_t node);

/** sim_node_hold() - a node that waits does not start; see sim_node_start() */
void sim_node_hold(struct sim *sim, uint32_t node);

/** sim_node_start() - a dead or held node starts now
 *  @new_key: under another identity, which its neighbours' configured tunnels
 *            then name */
void sim_node_start(struct sim *sim, uint32_t node, bool new_key);

/** sim_node_drift() - from now on the node's clock is fast by so many parts in a
 *  million; it does not jump */
void sim_node_drift(struct sim *sim, uint32_t node, double ppm);

/** sim_node_link_edge() - the link of a live node for an edge, and whom it dials there */
void sim_node_link_edge(struct sim *sim, uint32_t node, uint32_t edge);

/** sim_node_carrier() - let the link of one end of an edge know whether there is
 *  a carrier, if such links ever tell */
void sim_node_carrier(struct sim *sim, uint32_t edge, uint32_t side);

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

#endif
