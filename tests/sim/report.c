/* SPDX-License-Identifier: ISC */
/* Printing of results.  Numbers are rounded, so that a run's output is the same
 * wherever it is repeated. */
#include "tests/sim/report.h"
#include "tests/sim/report_faults.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

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

static json_t *invariants(const struct run_result *res)
{
	json_t *o = json_object();
	unsigned i;

	for (i = 0; i < CHECK_COUNT; i++)
		json_object_set_new(o, check_names[i], res->violations.bad[i] ?
				    json_string(res->violations.text[i]) : json_true());
	return o;
}

static json_t *pair_of(double a, double b)
{
	return json_pack("[o, o]", number(a), number(b));
}

static json_t *byzantine(const struct run_config *cfg, const struct run_result *res)
{
	const struct damage *d = &res->damage;
	json_t *o, *groups = json_array(), *series = json_array();
	uint32_t i;

	for (i = 0; i < cfg->byz.count; i++) {
		const struct byz_group *g = &cfg->byz.group[i];

		json_array_append_new(groups, json_pack("{s:s, s:f, s:o}", "kind",
							byz_kind_name(g->kind), "share", g->share,
							"at_s", number_or_null(g->at_s)));
	}
	for (i = 0; i < d->series_count; i++)
		json_array_append_new(series, number(d->series[i]));
	o = json_pack("{s:o, s:i, s:i, s:i, s:o}", "groups", groups, "nodes", (int)d->byzantine,
		      "honest", (int)d->honest, "pairs", (int)d->pairs, "within_s",
		      number(d->within));
	json_object_set_new(o, "working", number(d->working));
	json_object_set_new(o, "ever", number(d->ever));
	json_object_set_new(o, "found", number(d->found));
	json_object_set_new(o, "first_second", number(d->first));
	json_object_set_new(o, "answered_per_second", series);
	json_object_set_new(o, "clean_paths", pair_of(d->clean_before, d->clean_after));
	json_object_set_new(o, "adjacencies_with_byzantine",
			    pair_of(d->edges_bad[0], d->edges_bad[1]));
	json_object_set_new(o, "adjacencies_of_honest",
			    pair_of(d->edges_good[0], d->edges_good[1]));
	json_object_set_new(o, "duplicated", json_integer(d->duplicated));
	json_object_set_new(o, "readdressed", json_integer(d->readdressed));
	json_object_set_new(o, "wrong_identity", json_integer(d->wrong));
	json_object_set_new(o, "acts", json_integer((json_int_t)d->acts));
	json_object_set_new(o, "unread", json_integer((json_int_t)byz_unread()));
	return o;
}

/* Counts of 1, up to 1.1, up to 1.2, ...; those behind the last that is not 0 left out */
static json_t *histogram(const struct paths *p)
{
	json_t *list = json_array();
	unsigned i, end = STRETCH_BINS;

	while (end > 0 && p->stretch_hist[end - 1] == 0)
		end--;
	for (i = 0; i < end; i++)
		json_array_append_new(list, json_integer(p->stretch_hist[i]));
	return list;
}

static json_t *counters(const struct run_result *res)
{
	json_t *o = json_object();
	uint32_t i;

	for (i = 0; i < res->counter_count; i++)
		if (res->counters[i].value > 0)
			json_object_set_new(o, res->counters[i].name,
					    json_integer((json_int_t)res->counters[i].value));
	return o;
}

int report_json(FILE *f, const struct topology *topo, const char *spec, const struct run_config *cfg,
		const struct run_result *res, const char *repeat)
{
	json_t *o = json_object();
	int rc;

#define SET(key_, value_) json_object_set_new(o, key_, value_)
	SET("topology", json_string(spec));
	SET("seed", json_integer((json_int_t)cfg->sim.seed));
	SET("nodes", json_integer(res->nodes));
	SET("links", json_integer(res->links));
	SET("facets", json_integer(res->tables.facets));
	SET("components", json_integer(res->components));
	SET("converged_s", number_or_null(res->converged_s));
	SET("pings99_s", number_or_null(res->pings99_s));
	SET("relapses", json_integer(res->relapses));
	SET("networks", json_integer(res->tables.networks));
	SET("height", json_integer(res->tables.height));
	SET("table_mean", number(res->tables.mean));
	SET("table_max", json_integer(res->tables.max));
	SET("stretch_mean", number(res->paths.stretch_mean));
	SET("stretch_p95", number(res->paths.stretch_p95));
	SET("stretch_histogram", histogram(&res->paths));
	SET("pairs", json_integer((json_int_t)res->paths.pairs));
	SET("pairs_reached", json_integer((json_int_t)res->paths.reached));
	SET("pairs_looped", json_integer((json_int_t)res->paths.looped));
	SET("control_bytes_per_node_s", number_or_null(res->control_bytes_per_node_s));
	SET("rest_s", number(res->rest_s));
	SET("pings", json_integer(res->pings));
	SET("delivery", number(share(res->answered, res->pings)));
	SET("ping_rtt_ms", number(res->ping_rtt_ms));
	SET("ping_errors", json_integer(res->ping_errors));
	SET("probes", json_integer((json_int_t)res->probes));
	SET("probe_delivery", res->probes ? number(share(res->probes_arrived, res->probes)) :
	    json_null());
	SET("mem_per_node", json_integer((json_int_t)res->mem_per_node));
	SET("packets_peak", json_integer(res->packets_peak));
	SET("frames_lost", json_integer((json_int_t)res->frames_lost));
	SET("frames_misdirected", json_integer((json_int_t)res->frames_misdirected));
	SET("frames_queue_dropped", json_integer((json_int_t)res->frames_queue_dropped));
	SET("frames_duplicated", json_integer((json_int_t)res->frames_duplicated));
	SET("virtual_s", number(res->virtual_s));
	SET("byzantine", res->damage.within > 0 ? byzantine(cfg, res) : json_null());
	report_crashes(o, topo, res);
	SET("scenario", report_trial(topo, res));
	SET("counters", counters(res));
	SET("invariants", invariants(res));
	SET("repeat", json_string(repeat));
#undef SET
	rc = json_dumpf(o, f, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	json_decref(o);
	putchar('\n');
	return rc == 0 && fflush(f) == 0 ? 0 : -1;
}

static void text_byzantine(const struct run_result *res)
{
	const struct damage *d = &res->damage;

	if (d->within <= 0)
		return;
	printf("%-24s %10u, %u honest, %llu misdeeds\n", "Byzantine nodes", d->byzantine,
	       d->honest, (unsigned long long)d->acts);
	printf("%-24s %9.1f %% of %u work after %.0f s, %.1f %% in the first second\n",
	       "honest pairs", 100 * d->working, d->pairs, d->within, 100 * d->first);
	printf("%-24s %10u duplicated, %u re-addressed, %u packets to a wrong identity\n",
	       "damage", d->duplicated, d->readdressed, d->wrong);
}

int report_text(const struct topology *topo, const char *spec, const struct run_config *cfg,
		const struct run_result *res, const char *repeat)
{
	unsigned i;

	printf("%s, seed %llu: %u nodes, %u links, %u facets, %u components, %.2f s\n", spec,
	       (unsigned long long)cfg->sim.seed, res->nodes, res->links, res->tables.facets,
	       res->components, res->virtual_s);
	if (res->converged_s < 0)
		printf("%-24s %10s\n", "converged", "never");
	else
		printf("%-24s %10.2f s\n", "converged", res->converged_s);
	if (res->pings99_s >= 0)
		printf("%-24s %10.2f s\n", "99 % of pings from", res->pings99_s);
	printf("%-24s %10u\n", "networks", res->tables.networks);
	printf("%-24s %10u\n", "height", res->tables.height);
	printf("%-24s %10.2f mean %8u max\n", "table entries", res->tables.mean, res->tables.max);
	printf("%-24s %10.3f mean %8.3f p95\n", "stretch", res->paths.stretch_mean,
	       res->paths.stretch_p95);
	printf("%-24s %10llu of %llu\n", "pairs reached", (unsigned long long)res->paths.reached,
	       (unsigned long long)res->paths.pairs);
	if (res->control_bytes_per_node_s >= 0)
		printf("%-24s %10.0f per node and second\n", "bytes at rest",
		       res->control_bytes_per_node_s);
	printf("%-24s %9.1f %% of %u, %.1f ms\n", "pings answered",
	       100 * share(res->answered, res->pings), res->pings, res->ping_rtt_ms);
	text_byzantine(res);
	report_faults_text(topo, res);
	putchar('\n');
	for (i = 0; i < CHECK_COUNT; i++)
		printf("%-24s %s\n", check_names[i],
		       res->violations.bad[i] ? res->violations.text[i] : "ok");
	if (violations_any(&res->violations))
		printf("repeat with: %s\n", repeat);
	return fflush(stdout) == 0 ? 0 : -1;
}
