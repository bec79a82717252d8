/* SPDX-License-Identifier: ISC */
/* damage.h - how far the damage of Byzantine nodes reaches
 *
 * Pairs of honest nodes between which there is a way through honest nodes only
 * talk to each other, a question and its answer every second, from the moment on
 * at which the Byzantine nodes turn.
 */
#ifndef SIM_DAMAGE_H
#define SIM_DAMAGE_H

#include "tests/sim/byzantine.h"
#include "tests/sim/check.h"

#define DAMAGE_WINDOW_S 5	/* after the time allowed: here it is counted who works */

struct damage {
	uint32_t byzantine;	/* nodes */
	uint32_t pairs;
	double within;		/* seconds after they turned */
	double working;		/* share of pairs whose questions are answered after that:
				 * all but one in the window */
	double ever;		/* share that got an answer at all */
	double found;		/* share whose lookup succeeded */
	double first;		/* share answered in the first second */
	double *series;		/* share answered, for each second; owned */
	uint32_t series_count;
	double clean_before, clean_after; /* share whose path has no Byzantine node */
	uint32_t edges_bad[2];	/* adjacencies with Byzantine nodes, before and after */
	uint32_t edges_good[2];	/* among the honest */
	uint32_t duplicated;	/* honest facets that share their address with another one */
	uint32_t readdressed;	/* honest nodes */
	uint32_t honest;
	uint32_t wrong;		/* packets that reached somebody else: must be 0 */
	uint64_t acts;		/* what the Byzantine nodes did */
};

/** damage_measure() - they turn now, if they have not yet; then time passes
 *  @d: out; ended by damage_free() */
void damage_measure(struct sim *sim, double within, struct damage *d);
void damage_free(struct damage *d);

#endif
