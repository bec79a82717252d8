/* SPDX-License-Identifier: ISC */
/* edge.h - who can hear whom; struct sim_edge is in medium.h */
#ifndef SIM_EDGE_H
#define SIM_EDGE_H

#include "tests/sim/medium.h"

/** sim_edges_init() - those of the topology, with their qualities */
void sim_edges_init(struct sim *sim);

/** sim_quality_reset() - all links are again as the run began with */
void sim_quality_reset(struct sim *sim);

/** sim_edge_find() - Return: the edge between two nodes, or SIM_EDGE_NONE */
uint32_t sim_edge_find(const struct sim *sim, uint32_t a, uint32_t b);

/** sim_edge_add() - a new edge, plugged; the nodes notice if they live
 *  @a, @b: different, with no edge between them yet
 *  Return: its number; numbers never change */
uint32_t sim_edge_add(struct sim *sim, uint32_t a, uint32_t b, enum topo_kind kind);

/** sim_edge_set() - plug or unplug
 *  @tell: the ends' links lose their carrier (a LAN never tells; it is the switch
 *         that they are plugged into); those that lost it get it back in any case */
void sim_edge_set(struct sim *sim, uint32_t edge, bool up, bool tell);

/** sim_edge_usable() - Return: true if both ends live and can hear each other */
bool sim_edge_usable(const struct sim *sim, uint32_t edge);

#endif
