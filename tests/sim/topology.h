/* SPDX-License-Identifier: ISC */
/* topology.h - who is linked with whom
 *
 * A topology is a file of the form of tests/topologies
 *	{"links":[{"source":NAME,"target":NAME}, ...]}
 * where a NAME is a string or an integer, or is made by a generator:
 *	line:N ring:N star:N grid:WxH rtree:N geometric:N scalefree:N lan:N
 *	geometric:N/L (the L shortest links)
 *	islands:X+Y (X and Y are generators; AxB: two of geometric:N)
 * A link of a file may have members "delay" (ms), "rate" (bit/s), "loss" (share)
 * and "lan" (true: its ends are stations of one Ethernet).
 * Links have no direction; parallel ones count once, loops not at all.
 */
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NODES_MAX 100000	/* nodes */
#define SIM_EDGES_MAX 2000000	/* links */

enum topo_kind {
	TOPO_CABLE,		/* point to point */
	TOPO_TUNNEL,		/* the same, between islands */
	TOPO_LAN,		/* stations of an Ethernet, behind switches */
	TOPO_RADIO,		/* stations in each other's range */
};

struct topo_edge {
	uint32_t a, b;		/* nodes, a < b */
	enum topo_kind kind;
	uint64_t delay_ns, rate_bps; /* 0: as the others */
	double loss;		/* 0: as the others */
};

struct topology {
	char **names;		/* of nodes, node_count of them, owned */
	uint32_t node_count;
	struct topo_edge *edges; /* sorted, each once, owned */
	uint32_t edge_count;
	double *x, *y;		/* places of nodes in metres, owned; NULL: they have none */
	double radius_m;	/* linked when nearer than this, or, if not 0: */
	uint32_t shortest;	/* so many links, the shortest */
};

/** topology_load() - Read a file, or run a generator
 *  @spec:  file name, or generator with its size
 *  @seed:  for generators that draw
 *  @limit: keep at most so many nodes, found by a breadth-first search from
 *          the best-connected node; 0: all
 *  @err:   out, one line, on failure
 *  Return: false on failure */
bool topology_load(struct topology *t, const char *spec, uint64_t seed, uint32_t limit,
		   char *err, size_t err_cap);

/** topology_in_range() - the links that the places of the nodes make
 *  @t:     has places
 *  Return: how many, at most @cap */
uint32_t topology_in_range(const struct topology *t, struct topo_edge *out, uint32_t cap);

/** topology_node_add() - Return: number of the new node */
uint32_t topology_node_add(struct topology *t, const char *name);

/** topology_edge_add() - Return: the new edge, until the next is added; NULL if
 *  both ends are the same */
struct topo_edge *topology_edge_add(struct topology *t, uint32_t a, uint32_t b);

void topology_free(struct topology *t);

#endif
