/* SPDX-License-Identifier: ISC */
/* topology.h - who is linked with whom
 *
 * A topology is a file of the form of tests/topologies
 *	{"links":[{"source":NAME,"target":NAME}, ...]}
 * where a NAME is a string or an integer, or is made by a generator:
 *	line:N ring:N star:N grid:WxH rtree:N geometric:N scalefree:N
 * Links have no direction; parallel ones count once, loops not at all.
 */
#ifndef SIM_TOPOLOGY_H
#define SIM_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NODES_MAX 100000	/* nodes */
#define SIM_EDGES_MAX 2000000	/* links */

struct topo_edge {
	uint32_t a, b;		/* nodes, a < b */
};

struct topology {
	char **names;		/* of nodes, node_count of them, owned */
	uint32_t node_count;
	struct topo_edge *edges; /* sorted, each once, owned */
	uint32_t edge_count;
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

void topology_free(struct topology *t);

#endif
