/* SPDX-License-Identifier: ISC */
/* The course of one run.
 *
 * Theory of operation
 *
 *	start     nodes start at random times within the start spread
 *	converge  the contracts are checked at every step; this phase ends when all
 *	          hold, and fails at the cap.  Meanwhile, and a little longer, random
 *	          pairs ping each other
 *	rest      nothing happens; the contracts must go on to hold (a relapse moves
 *	          the time of convergence); traffic of the last REST_S is measured
 *	measure   walks along next hops (no time passes), then pings
 *	crashes   one at a time, with session packets under way all the time, see
 *	          crash.c
 *	trial     the faults of a scenario, see trial.c.  If its times count from
 *	          the start of the run it comes before all, in place of converge
 *
 * Faults are allowed to break what allocation promises for a while; what must
 * hold at any time (no packet to a wrong identity, bounds) is noted by the
 * medium and the traffic as it happens. */
#include "tests/sim/course.h"
#include "tests/sim/dump.h"
#include "tests/sim/node.h"
#include "tests/sim/series.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define REST_S 20.0		/* measured */
#define CALM_S 5.0		/* left alone before that */
#define EARLY_BATCH_NS PN_MS(250) /* pings while the network converges */
#define EARLY_AFTER_S 3.0	/* so much longer */
#define PING_SPREAD_S 2.0
#define PING_WAIT_S 2.1

static bool converge(struct course *c)
{
	while (sim_seconds(&c->sim) < c->cfg->cap) {
		course_step(c, c->cfg->cap);
		if (course_check(c, "converging")) {
			c->res->converged_s = sim_seconds(&c->sim);
			return true;
		}
	}
	course_note(c, &c->last);
	return false;
}

/* Until @end_s; Return: true if the contracts hold at the end */
static bool watch(struct course *c, double end_s)
{
	bool held = true, holds = true;

	while (sim_seconds(&c->sim) < end_s) {
		course_step(c, end_s);
		holds = course_check(c, "resting");
		if (held && !holds) {
			c->res->relapses++;
			sim_trace(&c->sim, "relapse");
		}
		if (!held && holds)
			c->res->converged_s = sim_seconds(&c->sim);
		held = holds;
	}
	return holds;
}

static uint32_t live_nodes(const struct sim *sim)
{
	uint32_t n = 0, i;

	for (i = 0; i < sim->topo->node_count; i++)
		n += sim_node_live(sim, i);
	return n;
}

/* Pings are sent from the start in batches of up to this many; a small network
 * need not ask everybody so often. */
static void early_pings_begin(struct course *c)
{
	double batch = (double)pn_min(c->cfg->early_pings, 4 * (uint64_t)c->res->nodes);

	if (batch > 0)
		c->early = traffic_add(&c->traffic, SOURCE_PINGS, batch * 1e9 / EARLY_BATCH_NS, -1,
				       false);
}

static void early_pings_end(struct course *c)
{
	if (c->early == 0)
		return;
	watch(c, sim_seconds(&c->sim) + EARLY_AFTER_S);
	traffic_stop(&c->traffic, c->early);
	course_advance(c, pn_time_add(c->sim.now, (uint64_t)(PING_WAIT_S * 1e9)));
	c->res->pings99_s = traffic_answers_from(&c->traffic, c->early, EARLY_BATCH_NS, 0.99);
	c->early = 0;
}

static void rest(struct course *c)
{
	double start = sim_seconds(&c->sim);
	double end = c->cfg->seconds > 0 ? c->cfg->seconds : start + CALM_S + REST_S;
	double from = end - REST_S > start ? end - REST_S : start;
	uint64_t bytes;

	if (end <= start)
		return;
	early_pings_end(c);
	watch(c, from);
	bytes = c->sim.sent_bytes;
	from = sim_seconds(&c->sim);
	if (!watch(c, end)) {
		c->res->converged_s = -1;
		course_note(c, &c->last);
	}
	c->res->rest_s = sim_seconds(&c->sim) - from;
	c->res->control_bytes_per_node_s =
		(double)(c->sim.sent_bytes - bytes) / live_nodes(&c->sim) / c->res->rest_s;
}

static void measure(struct course *c)
{
	struct violations v = { 0 };
	struct tally pings;
	struct snapshot s;
	uint32_t group;

	snapshot_take(&s, &c->sim);
	measure_tables(&s, &c->res->tables);
	c->res->components = s.component_count;
	snapshot_free(&s);
	measure_paths(&c->sim, c->cfg->pairs, &c->res->paths, &v);
	if (c->res->converged_s >= 0)
		course_note(c, &v); /* before that nothing is promised */
	if (c->cfg->map && !sim_map_write(&c->sim, c->cfg->map))
		fprintf(stderr, "pnsim: %s: cannot be written\n", c->cfg->map);
	course_progress(c, "pinging");
	if (c->cfg->pings == 0)
		return;
	group = traffic_add(&c->traffic, SOURCE_PINGS, c->cfg->pings / PING_SPREAD_S,
			    PING_SPREAD_S, false);
	course_advance(c, pn_time_add(c->sim.now, (uint64_t)(1e9 * (PING_SPREAD_S + PING_WAIT_S))));
	traffic_tally(&c->traffic, group, 0, UINT64_MAX, &pings);
	c->res->pings = pings.asked;
	c->res->answered = pings.answered;
	c->res->ping_errors = pings.errors;
	if (pings.answered > 0)
		c->res->ping_rtt_ms = (double)pings.rtt_sum_ns / pings.answered / 1e6;
}

/* --- the whole --------------------------------------------------------------- */

static void counters_take(struct course *c)
{
	struct run_result *res = c->res;
	struct net_counter one;
	uint32_t i, j;

	for (i = 0; i < c->sim.topo->node_count; i++) {
		if (!sim_node_live(&c->sim, i))
			continue;
		for (j = 0; net_counter_at(c->sim.nodes[i].net, j, &one); j++) {
			if (j == res->counter_count) {
				res->counters = sim_realloc(res->counters, j + 1,
							    sizeof(*res->counters));
				res->counters[res->counter_count++] =
					(struct net_counter){ .name = one.name };
			}
			res->counters[j].value += one.value;
		}
	}
}

static void too_late(struct course *c)
{
	struct violations v = { 0 };

	if (c->cfg->within <= 0 || c->res->converged_s < 0 ||
	    c->res->converged_s <= c->cfg->within)
		return;
	violation(&v, CHECK_ONE_NETWORK, "it took %.2f s to converge, more than %.2f s",
		  c->res->converged_s, c->cfg->within);
	course_note(c, &v);
}

void run(const struct topology *topo, const struct run_config *cfg, struct run_result *res)
{
	struct course c = { .cfg = cfg, .res = res };

	memset(res, 0, sizeof(*res));
	res->nodes = topo->node_count;
	res->links = topo->edge_count;
	res->converged_s = res->control_bytes_per_node_s = res->pings99_s = -1;
	/* A check costs more than a step of a large network */
	c.step_ns = topo->node_count <= 1000 ? PN_MS(250) : PN_S(1);
	rng_init(&c.rng, cfg->sim.seed, "faults");
	sim_init(&c.sim, topo, &cfg->sim);
	byz_start(&c.sim, &cfg->byz);
	traffic_init(&c.traffic, &c.sim);

	series_start(&c.sim, &c.traffic);

	faults_init(&c.faults, &c.sim, &c.traffic, &cfg->scenario);

	early_pings_begin(&c);
	if (cfg->scenario.from_start && cfg->scenario.count > 0 ? trial(&c) : converge(&c))
		rest(&c);
	traffic_stop(&c.traffic, c.early);
	measure(&c);
	too_late(&c);
	if (cfg->byz.count > 0)
		damage_measure(&c.sim, cfg->byz.within, &res->damage);
	if (res->converged_s >= 0)
		crashes(&c);
	if (res->converged_s >= 0 && cfg->scenario.count > 0 && !cfg->scenario.from_start)
		trial(&c);

	res->virtual_s = sim_seconds(&c.sim);
	res->mem_per_node = (double)c.sim.mem_bytes / topo->node_count;
	res->probes = c.traffic.probe_sent;
	res->probes_arrived = c.traffic.probe_arrived;
	counters_take(&c);
	if (cfg->dump)
		sim_dump(&c.sim);
	series_stop();
	faults_fini(&c.faults);
	traffic_fini(&c.traffic);
	res->frames_lost = c.sim.lost_frames;
	res->frames_misdirected = c.sim.misdirected_frames;
	res->frames_queue_dropped = c.sim.queue_dropped;
	res->frames_duplicated = c.sim.duplicated_frames;
	res->packets_peak = c.sim.pool.count - c.sim.pool_low;
	sim_fini(&c.sim);
	byz_end();
	course_note(&c, &c.sim.violations);
	if (cfg->progress)
		fputs("\r\033[K", stderr);
}

void run_result_free(struct run_result *res)
{
	free(res->kills);
	free(res->trial.items);
	free(res->trial.moves);
	free(res->counters);
	damage_free(&res->damage);
}
