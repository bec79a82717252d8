/* SPDX-License-Identifier: ISC */
/* A scenario, in two phases.
 *
 * While faults last, nothing unsafe may happen: packets go to nobody else, and
 * nothing grows without bounds.  That is noted by the
 * medium and the traffic as it happens; what allocation promises may be broken
 * for a while.  When the faults have stopped, the contracts must hold again
 * within the time for recovery, and go on to hold. */
#include "tests/sim/course.h"
#include "tests/sim/node.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define WALKS 500		/* pairs of which the way is walked while faults last */
#define WALK_EVERY_NS PN_S(2)

static void advance(void *arg, struct pn_time until)
{
	course_advance(arg, until);
}

static void check(void *arg, const struct fault *fault)
{
	struct course *c = arg;
	struct violations v = { 0 };
	unsigned i;

	if (course_check(c, "check"))
		return;
	for (i = 0; i < CHECK_COUNT; i++)
		if (c->last.bad[i])
			violation(&v, i, "at the check of line %u: %.200s", fault->line,
				  c->last.text[i]);
	course_note(c, &v);
}

/* Ways may end nowhere while faults last, or lead in circles for a moment (then the
 * hop limit ends a packet): how many do is a figure, not a violation. */
static void walk_some(struct course *c)
{
	struct violations v = { 0 };
	struct paths paths;

	measure_paths(&c->sim, WALKS, &paths, &v);
	c->res->trial.walks += paths.pairs;
	c->res->trial.walks_ended += paths.unreachable;
	c->res->trial.walks_looped += paths.looped;
}

static void item_add(struct run_trial *t, const struct fault_traffic *m, const struct fault *f,
		     const struct tally *tally)
{
	struct run_item *item = NULL;
	double share = tally->asked ? (double)tally->answered / tally->asked : 1;
	uint32_t i;

	for (i = 0; i < t->item_count; i++)
		if (t->items[i].fault == m->fault)
			item = &t->items[i];
	if (!item) {
		t->items = sim_realloc(t->items, t->item_count + 1, sizeof(*t->items));
		item = &t->items[t->item_count++];
		*item = (struct run_item){ .fault = m->fault, .kind = f->kind, .line = f->line,
					   .at_s = f->at_s, .worst = 1 };
	}
	item->rounds++;
	item->asked += tally->asked;
	item->answered += tally->answered;
	item->failed += tally->failed;
	item->old += tally->old;
	item->errors += tally->errors;
	item->worst = share < item->worst ? share : item->worst;
	item->rtt_sum_ns += tally->rtt_sum_ns;
	/* lookups are one round */
	item->cost_median = tally->cost_median;
	item->cost_p95 = tally->cost_p95;
}

static void answered_enough(struct course *c, const struct run_item *i, double least)
{
	struct violations v = { 0 };

	if (i->answered >= least * i->asked)
		return;
	violation(&v, CHECK_REACHABLE, "%s at %.3f s: %u of %u questions answered, less than %g",
		  fault_name(i->kind), i->at_s, i->answered, i->asked, least);
	course_note(c, &v);
}

static void result_take(struct course *c)
{
	struct run_trial *t = &c->res->trial;
	const struct faults *f = &c->faults;
	struct tally tally;
	uint32_t i;

	for (i = 0; i < f->measure_count; i++) {
		const struct fault_traffic *m = &f->measures[i];

		traffic_tally(&c->traffic, m->group, m->from_ns, UINT64_MAX, &tally);
		item_add(t, m, &f->sc->faults[m->fault], &tally);
	}
	for (i = 0; i < t->item_count; i++)
		answered_enough(c, &t->items[i], f->sc->faults[t->items[i].fault].least);
	t->moves = sim_calloc(f->move_count, sizeof(*t->moves));
	for (i = 0; i < f->move_count; i++) {
		const struct fault_move *m = &f->moves[i];

		t->moves[i] = (struct run_move){ .node = m->node, .frames = m->frames,
						 .reach = m->reach, .touched = m->touched,
						 .at_s = (double)(m->from_ns - SIM_EPOCH_NS) / 1e9 };
		memcpy(t->moves[i].counters, m->counters, sizeof(m->counters));
		memcpy(t->moves[i].ring, m->ring, sizeof(m->ring));
	}
	t->move_count = f->move_count;
	t->crashes = f->crashes;
	t->returns = f->returns;
	t->joined = f->joined;
	t->link_changes = f->link_changes;
}

bool trial(struct course *c)
{
	struct run_trial *t = &c->res->trial;
	struct violations late = { 0 };
	uint64_t walked_ns = c->sim.now.ns;
	uint32_t group;

	c->faults.arg = c;
	c->faults.advance = advance;
	c->faults.check = check;
	t->ran = true;
	t->from_s = sim_seconds(&c->sim);
	group = traffic_add(&c->traffic, SOURCE_PROBES, c->cfg->probes_per_s, -1, false);
	faults_begin(&c->faults);
	while (!faults_over(&c->faults)) {
		course_step(c, (double)(c->faults.end_ns + 1 - SIM_EPOCH_NS) / 1e9);
		course_check(c, "faults");
		if (c->sim.now.ns - walked_ns < WALK_EVERY_NS)
			continue;
		walked_ns = c->sim.now.ns;
		walk_some(c);
	}
	t->until_s = sim_seconds(&c->sim);
	t->recovered_s = course_recover(c, t->until_s);
	traffic_stop(&c->traffic, group);
	result_take(c);
	if (c->cfg->scenario.from_start)
		c->res->converged_s = t->recovered_s < 0 ? -1 : t->until_s + t->recovered_s;
	if (t->recovered_s >= 0 && t->recovered_s <= c->cfg->recover_within) {
		course_paths(c);
		return true;
	}
	if (violations_any(&c->last))
		course_note(c, &c->last);
	else
		violation(&late, CHECK_ONE_NETWORK,
			  "after the faults stopped at %.3f s it took %.3f s to recover",
			  t->until_s, t->recovered_s);
	course_note(c, &late);
	return t->recovered_s >= 0;
}
