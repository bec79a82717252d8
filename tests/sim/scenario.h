/* SPDX-License-Identifier: ISC */
/* scenario.h - what is to go wrong, and when; the format is told in pnsim(1) */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include "tests/sim/topology.h"

enum fault_kind {
	FAULT_CRASH,		/* who, silent */
	FAULT_RETURN,		/* who, key */
	FAULT_JOIN,		/* count, over_s */
	FAULT_CHURN,		/* value: share per minute; away_s, key, silent, least */
	FAULT_PARTITION,	/* value: share of the nodes; silent */
	FAULT_HEAL,		/* all partitions */
	FAULT_CUT,		/* links, silent */
	FAULT_MEND,		/* links that are cut, or all */
	FAULT_FLAP,		/* links, every_s, silent */
	FAULT_ONEWAY,		/* links */
	FAULT_SLOW,		/* who, value: seconds */
	FAULT_CLOCK,		/* who, value: parts in a million, negative: slow */
	FAULT_MOVE,		/* who, to, silent */
	FAULT_MOBILITY,		/* value: metres, every_s, count: steps, pings, silent, least */
	FAULT_LOOKUPS,		/* value: per second; least */
	FAULT_PINGS,		/* value: per second; least */
	FAULT_SET,		/* setting, value */
	FAULT_CHECK,		/* the contracts hold now */
	FAULT_END,
};

enum fault_setting { SET_LOSS, SET_DUPLICATE, SET_JITTER, SET_DELAY, SET_RATE, SET_QUEUE,
		     SET_REORDER };

/* Which nodes, or links */
enum fault_who { WHO_NAMED, WHO_RANDOM, WHO_SHARE, WHO_LEADER, WHO_ALL };

enum fault_key { KEY_KEPT, KEY_NEW };

struct fault {
	enum fault_kind kind;
	unsigned line;		/* of the file; 0: of the command line */
	double at_s;
	double for_s;		/* negative: until the faults end */
	double every_s, over_s, away_s;
	double value;
	enum fault_who who;
	double share;
	double least;		/* share of questions that must be answered */
	uint32_t node, other;	/* named; both ends of a named link */
	uint32_t count, pings;
	uint32_t to;		/* UINT32_MAX: anywhere */
	enum fault_key key;
	enum fault_setting setting;
	bool silent;
};

#define FAULTS_MAX 4096

struct scenario {
	struct fault *faults;	/* in the order of the file, owned */
	uint32_t count;
	bool from_start;	/* times count from the start of the run, else from rest */
	bool radio_moves;	/* links will come that the topology does not have */
	uint32_t joins;		/* nodes that are held back for joining */
	double end_s;		/* faults stop */
};

/** scenario_read() - append the faults of a file
 *  @topo: names of nodes
 *  @err:  out, one line "file:line: what", on failure */
bool scenario_read(struct scenario *s, const char *file, const struct topology *topo, char *err,
		   size_t err_cap);

/** scenario_line() - append one line, as of the command line
 *  @where: for the error text */
bool scenario_line(struct scenario *s, const char *text, const char *where, unsigned line,
		   const struct topology *topo, char *err, size_t err_cap);

void scenario_free(struct scenario *s);

/** fault_name() - Return: the word of the file */
const char *fault_name(enum fault_kind kind);

#endif
