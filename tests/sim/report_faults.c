/* SPDX-License-Identifier: ISC */
/* Printing what crashes and scenarios did. */
#include "tests/sim/report_faults.h"
#include "tests/sim/util.h"

#include <math.h>

static json_t *number(double v)
{
	return json_real(round(v * 1000) / 1000);
}

static json_t *number_or_null(double v)
{
	return v < 0 ? json_null() : number(v);
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

/* --- crashes ------------------------------------------------------------------- */

static json_t *kill_json(const struct topology *topo, const struct run_kill *k)
{
	json_t *o = json_object();

	json_object_set_new(o, "node", json_string(topo->names[k->node]));
	json_object_set_new(o, "at_s", number(k->at_s));
	json_object_set_new(o, "recovered_s", number_or_null(k->recovered_s));
	json_object_set_new(o, "readdressed", json_integer(k->readdressed));
	json_object_set_new(o, "survivors", json_integer(k->survivors));
	json_object_set_new(o, "facets_readdressed", json_integer(k->facets_readdressed));
	json_object_set_new(o, "facets", json_integer(k->facets));
	json_object_set_new(o, "was_root_leader", json_boolean(k->was_root_leader));
	json_object_set_new(o, "pairs", json_integer(k->pairs));
	json_object_set_new(o, "pairs_through", json_integer(k->pairs_through));
	json_object_set_new(o, "outage_s", number(k->outage_s));
	json_object_set_new(o, "outage_through_s",
			    k->pairs_through ? number(k->outage_through_s) : json_null());
	json_object_set_new(o, "outage_worst_s", number(k->outage_worst_s));
	return o;
}

/* All crashes together */
struct crash_sum {
	uint32_t pairs, through, max, facets_max;
	double readdressed, facets, outage, outage_through, worst, recovered;
};

static struct crash_sum crashes_sum(const struct run_result *res)
{
	struct crash_sum s = { 0 };
	uint32_t i;

	for (i = 0; i < res->kill_count; i++) {
		const struct run_kill *k = &res->kills[i];

		s.readdressed += (double)k->readdressed / res->kill_count;
		s.facets += (double)k->facets_readdressed / res->kill_count;
		s.max = (uint32_t)pn_max(s.max, k->readdressed);
		s.facets_max = (uint32_t)pn_max(s.facets_max, k->facets_readdressed);
		s.pairs += k->pairs;
		s.through += k->pairs_through;
		s.outage += k->outage_s * k->pairs;
		s.outage_through += k->outage_through_s * k->pairs_through;
		s.worst = fmax(s.worst, k->outage_worst_s);
		s.recovered = k->recovered_s < 0 || s.recovered < 0 ? -1 :
			      fmax(s.recovered, k->recovered_s);
	}
	s.outage = s.pairs ? s.outage / s.pairs : 0;
	s.outage_through = s.through ? s.outage_through / s.through : 0;
	return s;
}

void report_crashes(json_t *result, const struct topology *topo, const struct run_result *res)
{
	struct crash_sum s = crashes_sum(res);
	json_t *list = json_array(), *o = json_object();
	uint32_t i;

	for (i = 0; i < res->kill_count; i++)
		json_array_append_new(list, kill_json(topo, &res->kills[i]));
	json_object_set_new(result, "kills", list);
	json_object_set_new(o, "count", json_integer(res->kill_count));
	json_object_set_new(o, "recovered_worst_s", number_or_null(s.recovered));
	json_object_set_new(o, "readdressed_mean", number(s.readdressed));
	json_object_set_new(o, "readdressed_max", json_integer(s.max));
	json_object_set_new(o, "facets_readdressed_mean", number(s.facets));
	json_object_set_new(o, "facets_readdressed_max", json_integer(s.facets_max));
	json_object_set_new(o, "outage_mean_s", number(s.outage));
	json_object_set_new(o, "outage_through_mean_s",
			    s.through ? number(s.outage_through) : json_null());
	json_object_set_new(o, "outage_worst_s", number(s.worst));
	json_object_set_new(result, "crashes", res->kill_count ? o : json_null());
	if (res->kill_count == 0)
		json_decref(o);
}

/* --- scenarios ------------------------------------------------------------------ */

static json_t *item_json(const struct run_item *i)
{
	json_t *o = json_object();

	json_object_set_new(o, "fault", json_string(fault_name(i->kind)));
	json_object_set_new(o, "line", json_integer(i->line));
	json_object_set_new(o, "at_s", number(i->at_s));
	json_object_set_new(o, "rounds", json_integer(i->rounds));
	json_object_set_new(o, "asked", json_integer(i->asked));
	json_object_set_new(o, "answered", json_integer(i->answered));
	json_object_set_new(o, "share", number(share(i->answered, i->asked)));
	json_object_set_new(o, "worst_round", number(i->worst));
	json_object_set_new(o, "failed", json_integer(i->failed));
	json_object_set_new(o, "old", json_integer(i->old));
	json_object_set_new(o, "errors", json_integer(i->errors));
	json_object_set_new(o, "rtt_ms", i->answered ?
			    number((double)i->rtt_sum_ns / i->answered / 1e6) : json_null());
	if (i->kind == FAULT_LOOKUPS || i->kind == FAULT_CHURN) {
		json_object_set_new(o, "cost_median", number(i->cost_median));
		json_object_set_new(o, "cost_p95", number(i->cost_p95));
	}
	return o;
}

static json_t *move_json(const struct topology *topo, const struct run_result *res,
			 const struct run_move *m)
{
	json_t *o = json_object(), *ring = json_array(), *more = json_object();
	unsigned i;

	for (i = 0; i < res->counter_count && i < MOVE_COUNTERS; i++)
		if (m->counters[i] != 0)
			json_object_set_new(more, res->counters[i].name,
					    json_integer(m->counters[i]));

	for (i = 0; i < MOVE_RINGS; i++)
		json_array_append_new(ring, number(m->ring[i]));
	json_object_set_new(o, "node", json_string(topo->names[m->node]));
	json_object_set_new(o, "at_s", number(m->at_s));
	json_object_set_new(o, "frames", number(m->frames));
	json_object_set_new(o, "frames_by_distance", ring);
	json_object_set_new(o, "reach", json_integer(m->reach));
	json_object_set_new(o, "touched", json_integer(m->touched));
	json_object_set_new(o, "counters", more);
	return o;
}

json_t *report_trial(const struct topology *topo, const struct run_result *res)
{
	const struct run_trial *t = &res->trial;
	json_t *o, *items = json_array(), *moves = json_array();
	uint32_t i;

	for (i = 0; i < t->item_count; i++)
		json_array_append_new(items, item_json(&t->items[i]));
	for (i = 0; i < t->move_count; i++)
		json_array_append_new(moves, move_json(topo, res, &t->moves[i]));
	o = json_object();
	json_object_set_new(o, "from_s", number(t->from_s));
	json_object_set_new(o, "until_s", number(t->until_s));
	json_object_set_new(o, "recovered_s", number_or_null(t->recovered_s));
	json_object_set_new(o, "crashes", json_integer(t->crashes));
	json_object_set_new(o, "returns", json_integer(t->returns));
	json_object_set_new(o, "joined", json_integer(t->joined));
	json_object_set_new(o, "link_changes", json_integer(t->link_changes));
	json_object_set_new(o, "walks", json_integer((json_int_t)t->walks));
	json_object_set_new(o, "walks_ended", json_integer((json_int_t)t->walks_ended));
	json_object_set_new(o, "walks_looped", json_integer((json_int_t)t->walks_looped));
	json_object_set_new(o, "traffic", items);
	json_object_set_new(o, "moves", moves);
	if (t->ran)
		return o;
	json_decref(o);
	return json_null();
}

/* --- text ----------------------------------------------------------------------- */

static void text_crashes(const struct topology *topo, const struct run_result *res)
{
	struct crash_sum s = crashes_sum(res);
	uint32_t i;

	if (res->kill_count == 0)
		return;
	printf("\n%-16s %10s %12s %15s %9s\n", "crashed", "at", "recovered", "re-addressed",
	       "outage");
	for (i = 0; i < res->kill_count; i++) {
		const struct run_kill *k = &res->kills[i];
		char recovered[32] = "never";

		if (k->recovered_s >= 0)
			snprintf(recovered, sizeof(recovered), "%.2f s", k->recovered_s);
		printf("%-16s %8.2f s %12s %5u of %-6u %7.2f s%s\n", topo->names[k->node], k->at_s,
		       recovered, k->readdressed, k->survivors, k->outage_worst_s,
		       k->was_root_leader ? " (root leader)" : "");
	}
	printf("re-addressed: %.2f nodes (%.2f facets) on average\n", s.readdressed, s.facets);
	printf("outage: %.3f s on average of %u pairs, %.3f s of the %u whose way it was on\n",
	       s.outage, s.pairs, s.outage_through, s.through);
	printf("session packets meanwhile: %.1f %% of %llu arrived\n",
	       100 * share(res->probes_arrived, res->probes), (unsigned long long)res->probes);
}

static void text_trial(const struct topology *topo, const struct run_result *res)
{
	const struct run_trial *t = &res->trial;
	uint32_t i, k;

	if (!t->ran)
		return;
	printf("\nscenario from %.2f s to %.2f s: %u crashes, %u returns, %u joined, "
	       "%u changes of links\n", t->from_s, t->until_s, t->crashes, t->returns, t->joined,
	       t->link_changes);
	if (t->recovered_s < 0)
		puts("it has not recovered");
	else
		printf("recovered after %.2f s\n", t->recovered_s);
	printf("ways meanwhile: %llu, of which %llu ended nowhere and %llu in circles\n",
	       (unsigned long long)t->walks, (unsigned long long)t->walks_ended,
	       (unsigned long long)t->walks_looped);
	for (i = 0; i < t->item_count; i++) {
		const struct run_item *m = &t->items[i];

		printf("%-8s at %7.2f s: %.2f %% of %u answered, %.2f %% in the worst of %u rounds",
		       fault_name(m->kind), m->at_s, 100 * share(m->answered, m->asked), m->asked,
		       100 * m->worst, m->rounds);
		if (m->cost_median > 0)
			printf(", cost %.2f ways", m->cost_median);
		putchar('\n');
	}
	for (i = 0; i < t->move_count; i++) {
		const struct run_move *m = &t->moves[i];

		printf("move of %s: %.0f frames, %u nodes up to %u links away:",
		       topo->names[m->node], m->frames, m->touched, m->reach);
		for (k = 0; k < MOVE_RINGS; k++)
			printf(" %.0f", m->ring[k]);
		putchar('\n');
	}
}

void report_faults_text(const struct topology *topo, const struct run_result *res)
{
	text_crashes(topo, res);
	text_trial(topo, res);
}
