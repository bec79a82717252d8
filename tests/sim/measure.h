/* SPDX-License-Identifier: ISC */
/* measure.h - figures of a moment: paths and tables */
#ifndef SIM_MEASURE_H
#define SIM_MEASURE_H

#include "tests/sim/check.h"
#include "tests/sim/medium.h"

/* --- paths ----------------------------------------------------------------- */

#define STRETCH_BINS 42		/* the last but one ends at 5 */

struct paths {
	uint64_t pairs, reached, looped, unreachable;
	double stretch_mean, stretch_p95;
	/* how many have a stretch of 1, up to 1.1, up to 1.2, ... and above */
	uint32_t stretch_hist[STRETCH_BINS];
};

/** measure_paths() - walk along net_next_hop() and compare with the shortest
 *  paths of the physical graph, counted in links
 *  @pairs_max: at most so many pairs, drawn; all if there are no more
 *  @v:         gets termination and reachable */
void measure_paths(const struct sim *sim, uint32_t pairs_max, struct paths *out,
		   struct violations *v);

/** measure_walk() - walk along next hops; no time passes
 *  @may_pass: asked for each node on the way but the last; NULL: any may
 *  Return: links walked, or -1 */
int64_t measure_walk(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow,
		     bool (*may_pass)(uint32_t node));
/** measure_distance() - Return: links on the shortest way between two nodes;
 *  UINT32_MAX: not connected */
uint32_t measure_distance(const struct sim *sim, uint32_t from, uint32_t to);

/** measure_distances() - the same from one node to all; @dist: out, one per node */
void measure_distances(const struct sim *sim, uint32_t from, uint32_t *dist);

/** measure_way() - the nodes that a packet would pass
 *  @nodes: out, from @from to @to, at most @cap
 *  Return: how many; 0: it would not arrive */
uint32_t measure_way(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow,
		     uint32_t *nodes, uint32_t cap);

/* --- tables ---------------------------------------------------------------- */

struct tables {
	uint32_t networks;	/* different roots */
	uint32_t facets;
	unsigned height;
	double mean;		/* siblings in the table of a facet */
	uint32_t max;
};

void measure_tables(const struct snapshot *s, struct tables *out);

#endif
