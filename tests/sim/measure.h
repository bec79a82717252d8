/* SPDX-License-Identifier: ISC */
/* measure.h - figures of a run: paths, pings, tables, and packets on their way
 * that must not reach anybody else */
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

/* --- tables ---------------------------------------------------------------- */

struct tables {
	uint32_t networks;	/* different roots */
	uint32_t facets;
	unsigned height;
	double mean;		/* siblings in the table of a facet */
	uint32_t max;
};

void measure_tables(const struct snapshot *s, struct tables *out);

/* --- traffic --------------------------------------------------------------- */

struct ping;
struct probe;

struct traffic {
	struct sim *sim;
	struct rng rng;
	struct ping *pings;
	uint32_t ping_count;	/* sent, or about to be */
	uint32_t answered, wrong, errors;
	uint64_t rtt_sum_ns;
	struct probe *probes;	/* ring of PROBES_MAX */
	uint64_t probe_sent, probe_arrived, probe_wrong, probe_twice;
};

/** traffic_init() - begin to watch @sim */
void traffic_init(struct traffic *t, struct sim *sim);
void traffic_fini(struct traffic *t);

/** traffic_pings() - send @count pings between random pairs of a component over
 *  two seconds and wait for the answers, each two seconds; time passes */
void traffic_pings(struct traffic *t, uint32_t count);

/** traffic_probe() - send one session packet between a random pair.  Whoever
 *  gets it, it must be the one it was for */
void traffic_probe(struct traffic *t);

#endif
