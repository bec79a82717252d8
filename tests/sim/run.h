/* SPDX-License-Identifier: ISC */
/* run.h - one run: start, converge, rest, measure, then faults one by one */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "tests/sim/check.h"
#include "tests/sim/damage.h"
#include "tests/sim/measure.h"
#include "tests/sim/faults.h"
#include "tests/sim/medium.h"
#include "tests/sim/scenario.h"

struct run_config {
	struct sim_config sim;
	double seconds;		/* of the phase before faults; 0: until rest is measured */
	double cap;		/* seconds within which it must converge */
	double within;		/* it is a violation to converge later; 0: cap */
	double recover_within;	/* the same after a crash */
	double settle;		/* seconds watched after a crash, at least */
	uint32_t kills;
	bool kill_leaders;	/* each victim leads the root; else each fourth */
	bool kill_hubs;		/* each victim has the most links left */
	struct scenario scenario; /* count 0: none */
	uint32_t early_pings;	/* every quarter second while it converges */
	uint32_t pings;
	uint32_t pairs;
	struct byz_config byz;	/* Byzantine nodes */
	double probes_per_s;	/* while faults happen */
	const char *map;	/* the network at rest goes there; NULL: nowhere */
	bool progress;		/* on stderr */
	bool dump;		/* all nodes on stderr, at the end */
};

struct run_kill {
	uint32_t node;
	double at_s;
	double recovered_s;	/* negative: not within the bound */
	uint32_t readdressed, survivors; /* nodes */
	uint32_t facets_readdressed, facets; /* of survivors */
	bool was_root_leader;
	uint32_t pairs, pairs_through; /* that sent packets all the time; through the node */
	double outage_s, outage_through_s, outage_worst_s; /* worth of lost packets */
};

/* Pings or lookups that a fault of the scenario asked for */
struct run_item {
	uint32_t fault;
	enum fault_kind kind;
	unsigned line;
	double at_s;
	uint32_t rounds, asked, answered, failed, old, errors;
	uint64_t rtt_sum_ns;
	double worst;		/* share answered of a round */
	double cost_median, cost_p95; /* of lookups, in ways there and back */
};

struct run_move {
	uint32_t node;
	double at_s, frames;	/* that the move caused */
	double ring[MOVE_RINGS]; /* by distance from the node */
	uint32_t reach, touched; /* links; nodes */
	int64_t counters[MOVE_COUNTERS]; /* more than without it */
};

struct run_trial {
	bool ran;
	double from_s, until_s, recovered_s; /* the last after that; negative: not */
	uint32_t crashes, returns, joined, link_changes;
	uint64_t walks, walks_ended, walks_looped; /* while faults lasted */
	struct run_item *items;	/* owned */
	uint32_t item_count;
	struct run_move *moves;	/* owned */
	uint32_t move_count;
};

struct run_result {
	uint32_t nodes, links, components;
	double converged_s;	/* all invariants hold from then on; negative: never */
	double pings99_s;	/* from then on 99 % of pings arrive; negative: never */
	uint32_t relapses;	/* times they ceased to hold before the first fault */
	double virtual_s;
	struct tables tables;
	struct paths paths;
	double control_bytes_per_node_s; /* at rest, link headers counted; negative: no rest */
	double rest_s;		/* measured so long */
	uint32_t pings, answered, ping_errors;
	double ping_rtt_ms;
	uint64_t probes, probes_arrived;
	double mem_per_node;	/* bytes */
	uint32_t packets_peak;	/* buffers in use at a time */
	uint64_t frames_lost, frames_misdirected, frames_queue_dropped, frames_duplicated;
	struct run_trial trial;
	struct damage damage;	/* by Byzantine nodes; pairs 0: not measured */
	struct run_kill *kills;	/* owned */
	uint32_t kill_count;
	struct net_counter *counters; /* sums over the live nodes at the end; owned */
	uint32_t counter_count;
	struct violations violations;
};

/** run() - do it all
 *  @res: out; ended by run_result_free() */
void run(const struct topology *topo, const struct run_config *cfg, struct run_result *res);
void run_result_free(struct run_result *res);

#endif
