/* SPDX-License-Identifier: ISC */
/* course.h - what the phases of a run have in common; see run.c */
#ifndef SIM_COURSE_H
#define SIM_COURSE_H

#include "tests/sim/faults.h"
#include "tests/sim/run.h"

struct course {
	const struct run_config *cfg;
	struct run_result *res;
	struct sim sim;
	struct traffic traffic;
	struct faults faults;	/* of the scenario; ended if there is none */
	struct rng rng;		/* of crashes */
	struct violations last;	/* of the last check */
	uint32_t early;		/* group of the pings while it converges; 0: none */
	uint64_t step_ns;	/* between checks */
};

/** course_advance() - time passes, with traffic and faults, and no checks */
void course_advance(struct course *c, struct pn_time until);

/** course_step() - the same for one step, but not beyond @until_s */
void course_step(struct course *c, double until_s);

/** course_check() - Return: true if the contracts hold now; if not, c->last tells why */
bool course_check(struct course *c, const char *phase);

/** course_progress() - on stderr, if wanted */
void course_progress(const struct course *c, const char *phase);

/** course_note() - take violations into the result */
void course_note(struct course *c, const struct violations *v);

/** course_recover() - wait until the contracts hold, and go on to
 *  @start_s: since then, as a rule now
 *  Return: seconds after that, or after a dropper was expelled or let in again meanwhile, from
 *          which on they held; the longest of these.  Negative: not in time */
double course_recover(struct course *c, double start_s);

/** course_paths() - walk all ways, note what is wrong with them */
void course_paths(struct course *c);

/** crashes() - crash.c: nodes die, one at a time */
void crashes(struct course *c);

/** trial() - trial.c: the scenario happens, and the network must recover from it
 *  Return: true if it did */
bool trial(struct course *c);

#endif
