/* SPDX-License-Identifier: ISC */
/* traffic.h - pings, lookups and session packets that are sent while time passes
 *
 * A source sends at a constant rate.  Whoever makes time pass asks
 * traffic_next() how far it may go, and calls traffic_due() there.
 */
#ifndef SIM_TRAFFIC_H
#define SIM_TRAFFIC_H

#include "tests/sim/medium.h"

enum source_kind {
	SOURCE_PINGS,		/* net_ping() between random pairs */
	SOURCE_LOOKUPS,		/* net_lookup() of random nodes by random nodes */
	SOURCE_PROBES,		/* one session packet between random pairs */
	SOURCE_FLOWS,		/* session packets between the pairs of t->flows, in turn */
};

struct source {
	enum source_kind kind;
	uint64_t next_ns, until_ns; /* until_ns: not at that time any more */
	double every_ns;
	double debt_ns;		/* fractions of every_ns */
	uint32_t group;
	bool apart;		/* only pairs that are no neighbours */
};
#define SOURCES_MAX 256

/* A ping or lookup */
struct question {
	uint32_t from, to;
	uint32_t group;
	uint64_t sent_ns, answer_ns; /* 0: not answered */
	float way_ns;		/* there and back along the shortest path; lookups only */
	bool lookup, error, wrong, failed, old;
	bool closed, idle;	/* too late for an answer; it could not be answered */
};

/* What became of the questions of a group */
struct tally {
	uint32_t asked, answered; /* those that could be answered, and in time were */
	uint32_t errors, failed, old; /* error messages; lookups that found nothing, or an
					 address that the node does not have any more */
	uint64_t rtt_sum_ns;
	double cost_median, cost_p95; /* time of an answered lookup, in ways there and back */
};

/* A pair that sends all the time */
struct flow {
	uint32_t from, to;
	net_peer peer;
	uint64_t boot;		/* of from */
	bool through;		/* its way led through the node in question */
	uint32_t sent, cap;
	uint64_t *sent_ns;	/* of each packet */
	bool *arrived;
};

struct probe;

struct traffic {
	struct sim *sim;
	struct rng rng;
	struct source sources[SOURCES_MAX];
	uint32_t source_count, groups;
	struct question *questions;
	uint32_t question_count, question_cap, closed;
	uint32_t ping_count, ping_answered; /* of all groups */
	uint32_t *component;	/* of nodes, as of: */
	uint64_t component_changes, component_ns;
	struct probe *probes;	/* ring of probe_slots */
	uint32_t probe_slots;
	uint64_t probe_sent, probe_arrived, probe_wrong, probe_twice;
	struct flow *flows;
	uint32_t flow_count, flow_turn;
	uint32_t flow_round;	/* packets of earlier flows do not count */
};

/** traffic_init() - begin to watch @sim */
void traffic_init(struct traffic *t, struct sim *sim);
void traffic_fini(struct traffic *t);

/** traffic_add() - a source that begins now
 *  @per_s: packets a second
 *  @for_s: so long; negative: until traffic_stop()
 *  @apart: pairs of neighbours do not count
 *  Return: its group */
uint32_t traffic_add(struct traffic *t, enum source_kind kind, double per_s, double for_s,
		     bool apart);

/** traffic_stop() - no more from the source of this group */
void traffic_stop(struct traffic *t, uint32_t group);

/** traffic_next() - Return: when to call traffic_due(); never if there is no source */
struct pn_time traffic_next(const struct traffic *t);

/** traffic_due() - send what is due now */
void traffic_due(struct traffic *t);

/** traffic_advance() - traffic while time passes, if nothing else happens */
void traffic_advance(struct traffic *t, struct pn_time until);

/** traffic_tally() - of questions of a group that were asked from one time up to
 *  another and are closed by now */
void traffic_tally(const struct traffic *t, uint32_t group, uint64_t from_ns, uint64_t to_ns,
		   struct tally *out);

/** traffic_answers_from() - the time from which on a share of all pings arrive:
 *  of those sent in the batch that begins then, and of all later ones together
 *  @batch_ns: length of a batch
 *  Return: seconds since the start; negative: never */
double traffic_answers_from(const struct traffic *t, uint32_t group, uint64_t batch_ns,
			    double share);

/** traffic_components() - Return: the component of each node, as it is now */
const uint32_t *traffic_components(struct traffic *t);

/** traffic_pair() - a random pair of different live nodes of one component
 *  Return: false if there seems to be none */
bool traffic_pair(struct traffic *t, uint32_t *from, uint32_t *to);

#endif
