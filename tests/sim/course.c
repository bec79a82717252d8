/* SPDX-License-Identifier: ISC */
/* What the phases of a run have in common. */
#include "tests/sim/course.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/series.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define HOLD_S 3.0		/* after a late recovery the contracts must hold so long */

void course_progress(const struct course *c, const char *phase)
{
	if (c->cfg->progress)
		fprintf(stderr, "\r%-10s %8.2f s, %d violated \033[K", phase, sim_seconds(&c->sim),
			c->last.bad[CHECK_ONE_NETWORK] + c->last.bad[CHECK_ADDRESSES_DISTINCT] +
			c->last.bad[CHECK_AREAS_CONNECTED] + c->last.bad[CHECK_SIBLINGS_KNOWN]);
}

static void violations_trace(const struct course *c)
{
	unsigned i;

	for (i = 0; i < CHECK_SNAPSHOT_COUNT; i++)
		if (c->last.bad[i])
			sim_trace(&c->sim, "%s: %s", check_names[i], c->last.text[i]);
}

bool course_check(struct course *c, const char *phase)
{
	struct snapshot s;
	bool ok;

	snapshot_take(&s, &c->sim);
	ok = check_snapshot(&s, &c->last);
	series_row(&s, &c->last, phase, -1);
	snapshot_free(&s);
	violations_trace(c);
	course_progress(c, phase);
	return ok;
}

/* Take what the last check or measurement found into the result. */
void course_note(struct course *c, const struct violations *v)
{
	unsigned i;

	for (i = 0; i < CHECK_COUNT; i++)
		if (v->bad[i] && (i > CHECK_REACHABLE || !byz_lies()))
			violation(&c->res->violations, i, "%s (at %.3f s, seed %llu)", v->text[i],
				  sim_seconds(&c->sim), (unsigned long long)c->cfg->sim.seed);
}

void course_advance(struct course *c, struct pn_time until)
{
	while (pn_time_before(c->sim.now, until)) {
		struct pn_time next = pn_time_min(until, traffic_next(&c->traffic));

		next = pn_time_min(next, faults_next(&c->faults));
		if (pn_time_before(c->sim.now, next))
			sim_run_until(&c->sim, next);
		faults_due(&c->faults);
		traffic_due(&c->traffic);
	}
}

void course_step(struct course *c, double until_s)
{
	struct pn_time end = sim_time(until_s);
	struct pn_time next = pn_time_add(c->sim.now, c->step_ns);

	course_advance(c, pn_time_min(next, pn_time_before(c->sim.now, end) ? end : next));
}

void course_paths(struct course *c)
{
	struct violations v = { 0 };
	struct paths paths;

	measure_paths(&c->sim, c->cfg->pairs, &paths, &v);
	course_note(c, &v);
}

/* From @from_s the contracts have the time for recovery, and all the time until @settled_s. */
static double limit_of(const struct course *c, double from_s, double settled_s)
{
	double limit = from_s + c->cfg->recover_within;

	return limit < settled_s ? settled_s : limit;
}

/* A dropper that is expelled, or let in again a minute later, changes the network as a link does
 * that breaks or comes: the time runs from there. */
double course_recover(struct course *c, double start_s)
{
	double settled = start_s + c->cfg->settle, from = start_s, good = start_s, longest = 0;
	uint64_t parted = byz_parted_links();
	bool holds = true;

	while (true) {
		double limit = limit_of(c, from, settled), before = sim_seconds(&c->sim), now;

		course_step(c, limit + HOLD_S);
		now = sim_seconds(&c->sim);
		if (byz_parted_links() != parted) {
			parted = byz_parted_links();
			if (!holds && before - from > longest)
				longest = before - from;
			from = before;
			limit = limit_of(c, from, settled);
		}
		if (!course_check(c, "faults")) {
			holds = false;
		} else if (!holds) {
			holds = true;
			good = now;
			if (good - from > longest)
				longest = good - from;
		}
		if (holds && now >= settled && (good == start_s || now >= good + HOLD_S))
			return longest;
		if (now >= (holds ? limit + HOLD_S : limit))
			return -1;
	}
}
