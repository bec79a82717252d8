/* SPDX-License-Identifier: ISC */
/* faults.h - makes a scenario happen
 *
 * Like a source of traffic: whoever makes time pass asks faults_next() how far
 * it may go, and calls faults_due() there.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "tests/sim/scenario.h"
#include "tests/sim/traffic.h"

/* Why an edge is down; it is up again when no reason is left. */
#define DOWN_CUT	1U
#define DOWN_PARTITION	2U
#define DOWN_FLAP	4U
#define DOWN_RANGE	8U	/* out of range of each other */

enum fault_stage { STAGE_BEGIN, STAGE_TICK, STAGE_END, STAGE_RETURN };

struct pending {
	uint64_t at_ns, seq;
	uint32_t fault;
	enum fault_stage stage;
	uint32_t arg;		/* node that comes back; links of a flap, steps of mobility */
};

/* A measurement that a fault asks for */
struct fault_traffic {
	uint32_t fault, group;
	uint64_t from_ns, to_ns;
};

#define MOVE_COUNTERS 160	/* of the layer, at most */
#define MOVE_RINGS 8		/* the last: so far and farther */

/* What moving one node caused, compared with the same time without the move */
struct fault_move {
	uint32_t fault, node;
	uint64_t from_ns;
	uint64_t *sent;		/* frames of each node until then */
	uint32_t *dist;		/* of each node, from the old place or the new one */
	int twin;		/* pipe from the process where it did not move; -1: none */
	int pid;
	bool done;
	double frames;		/* more than in the twin, by nodes that differ */
	double ring[MOVE_RINGS]; /* the same by distance */
	uint32_t reach;		/* of the farthest node that differs */
	uint32_t touched;	/* nodes that differ */
	int64_t counters[MOVE_COUNTERS]; /* of all nodes, more than in the twin */
};

struct faults {
	struct sim *sim;
	struct traffic *traffic;
	const struct scenario *sc;
	struct rng rng;
	uint64_t origin_ns, end_ns;
	bool ended;		/* all that can be undone is undone */
	struct pending *pending; /* sorted by time */
	uint32_t pending_count, pending_cap;
	uint64_t seq;
	uint8_t *down;		/* reasons, of each edge */
	uint32_t down_cap;
	uint8_t *half;		/* of each node while there is a partition */
	struct topology places;	/* with mobility: own x and y, the rest borrowed */
	uint32_t *held;		/* nodes that have not joined yet */
	uint32_t held_count;
	struct fault_traffic *measures;
	uint32_t measure_count;
	struct fault_move *moves;
	uint32_t move_count;
	uint32_t crashes, returns, joined, link_changes;
	/* whoever made it: makes time pass, in the twin; are the contracts kept? */
	void *arg;
	void (*advance)(void *arg, struct pn_time until);
	void (*check)(void *arg, const struct fault *fault);
};

/** faults_init() - before time passes: nodes that will join are held back
 *  @sc: borrowed until faults_fini() */
void faults_init(struct faults *f, struct sim *sim, struct traffic *t, const struct scenario *sc);
void faults_fini(struct faults *f);

/** faults_begin() - the times of the scenario count from now */
void faults_begin(struct faults *f);

/** faults_next() - Return: when to call faults_due(); never: all is over */
struct pn_time faults_next(const struct faults *f);

/** faults_due() - what is due now happens */
void faults_due(struct faults *f);

/** faults_over() - Return: true if the faults have stopped */
static inline bool faults_over(const struct faults *f)
{
	return f->ended;
}

/* --- between the parts of it -------------------------------------------------- */

/** faults_edge() - give an edge a reason to be down, or take it away */
void faults_edge(struct faults *f, uint32_t edge, unsigned reason, bool on, bool tell);

/** faults_measure() - note that traffic of a group, from now on, belongs to a fault */
void faults_measure(struct faults *f, uint32_t fault, uint32_t group, double for_s);

/** faults_later() - let a stage of a fault come in so much time */
void faults_later(struct faults *f, uint32_t fault, enum fault_stage stage, uint64_t in_ns,
		  uint32_t arg);

/* mobility.c */
void mobility_init(struct faults *f);
void mobility_fini(struct faults *f);
/** mobility_step() - all nodes step, then links are what is in range */
void mobility_step(struct faults *f, const struct fault *fault);
/** mobility_move() - one node goes to another one, or anywhere, and takes up links
 *  with it and its neighbours; what that causes is measured */
void mobility_move(struct faults *f, uint32_t index, uint32_t node);
/** mobility_moved() - the end of the measurement */
void mobility_moved(struct faults *f, uint32_t move);

#endif
