/* SPDX-License-Identifier: ISC */
/* The course of one run.
 *
 * Theory of operation
 *
 *	start     nodes start at random times within the start spread
 *	converge  the contracts are checked at every step; this phase ends when all
 *	          hold, and fails at the cap
 *	rest      nothing happens; the contracts must go on to hold (a relapse moves
 *	          the time of convergence); traffic of the last REST_S is measured
 *	measure   walks along next hops (no time passes), then pings
 *	faults    crashes one at a time, with session packets under way all the time.
 *	          Each is watched for at least `settle` seconds, since much of its
 *	          effect comes late (silence is noticed by time).  It has recovered
 *	          when the contracts hold from then on until that time is over
 *
 * Faults are allowed to break what allocation promises for a while; what must
 * hold at any time (no packet to a wrong identity, bounds) is noted by the
 * medium and the traffic as it happens. */
#include "tests/sim/run.h"
#include "tests/sim/dump.h"
#include "tests/sim/node.h"
#include "tests/sim/series.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define REST_S 20.0		/* measured */
#define CALM_S 5.0		/* left alone before that */
#define HOLD_S 3.0		/* after a late recovery the contracts must hold so long */

struct course {
	const struct run_config *cfg;
	struct run_result *res;
	struct sim sim;
	struct traffic traffic;
	struct rng rng;		/* of faults */
	struct violations last;	/* of the last check */
	uint64_t step_ns;
	uint64_t probe_debt;	/* probes owed, in 1e-9 */
};

static void progress(const struct course *c, const char *phase)
{
	if (c->cfg->progress)
		fprintf(stderr, "\r%-10s %8.2f s, %d violated \033[K", phase, sim_seconds(&c->sim),
			c->last.bad[CHECK_ONE_NETWORK] + c->last.bad[CHECK_ADDRESSES_DISTINCT] +
			c->last.bad[CHECK_AREAS_CONNECTED] + c->last.bad[CHECK_SIBLINGS_KNOWN]);
}

static bool check_now(struct course *c, const char *phase)
{
	struct snapshot s;
	bool ok;

	snapshot_take(&s, &c->sim);
	ok = check_snapshot(&s, &c->last);
	series_row(&s, &c->last, phase, -1);
	snapshot_free(&s);
	progress(c, phase);
	return ok;
}

/* Take what the last check or measurement found into the result. */
static void note(struct course *c, const struct violations *v)
{
	unsigned i;

	for (i = 0; i < CHECK_COUNT; i++)
		if (v->bad[i] && (i > CHECK_REACHABLE || !byz_lies()))
			violation(&c->res->violations, i, "%s (at %.3f s, seed %llu)", v->text[i],
				  sim_seconds(&c->sim), (unsigned long long)c->cfg->sim.seed);
}

static void step(struct course *c, double until_s)
{
	struct pn_time end = sim_time(until_s);
	struct pn_time next = pn_time_add(c->sim.now, c->step_ns);

	sim_run_until(&c->sim, pn_time_min(next, pn_time_before(c->sim.now, end) ? end : next));
}

static bool converge(struct course *c)
{
	while (sim_seconds(&c->sim) < c->cfg->cap) {
		step(c, c->cfg->cap);
		if (check_now(c, "converging")) {
			c->res->converged_s = sim_seconds(&c->sim);
			return true;
		}
	}
	note(c, &c->last);
	return false;
}

/* Until @end_s; Return: true if the contracts hold at the end */
static bool watch(struct course *c, double end_s)
{
	bool held = true, holds = true;

	while (sim_seconds(&c->sim) < end_s) {
		step(c, end_s);
		holds = check_now(c, "resting");
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

static void rest(struct course *c)
{
	double start = sim_seconds(&c->sim);
	double end = c->cfg->seconds > 0 ? c->cfg->seconds : start + CALM_S + REST_S;
	double from = end - REST_S > start ? end - REST_S : start;
	uint64_t bytes;

	if (end <= start)
		return;
	watch(c, from);
	bytes = c->sim.sent_bytes;
	from = sim_seconds(&c->sim);
	if (!watch(c, end)) {
		c->res->converged_s = -1;
		note(c, &c->last);
	}
	c->res->rest_s = sim_seconds(&c->sim) - from;
	c->res->control_bytes_per_node_s =
		(double)(c->sim.sent_bytes - bytes) / c->res->nodes / c->res->rest_s;
}

static void measure(struct course *c)
{
	struct violations v = { 0 };
	struct snapshot s;

	snapshot_take(&s, &c->sim);
	measure_tables(&s, &c->res->tables);
	c->res->components = s.component_count;
	snapshot_free(&s);
	measure_paths(&c->sim, c->cfg->pairs, &c->res->paths, &v);
	if (c->res->converged_s >= 0)
		note(c, &v); /* before that nothing is promised */
	if (c->cfg->map && !sim_map_write(&c->sim, c->cfg->map))
		fprintf(stderr, "pnsim: %s: cannot be written\n", c->cfg->map);
	progress(c, "pinging");
	if (c->cfg->pings == 0)
		return;
	traffic_pings(&c->traffic, c->cfg->pings);
	c->res->pings = c->traffic.ping_count;
	c->res->answered = c->traffic.answered;
	c->res->ping_errors = c->traffic.errors;
	if (c->traffic.answered > 0)
		c->res->ping_rtt_ms =
			(double)c->traffic.rtt_sum_ns / c->traffic.answered / 1e6;
}

/* --- faults ---------------------------------------------------------------- */

static bool leads_root(const struct sim *sim, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	struct net_area a;
	uint16_t f;
	size_t i;

	for (f = 0; f < net_facet_count(net); f++)
		for (i = 0; net_area_at(net, f, i, &a); i++)
			if (a.top == NET_TOP_NONE && a.leading)
				return true;
	return false;
}

/* The node that leads the network of @node; @node itself if it does not live */
static uint32_t root_leader(const struct sim *sim, uint32_t node)
{
	struct net_area a;
	uint32_t leader = node;
	size_t i;

	for (i = 0; net_area_at(sim->nodes[node].net, 0, i, &a); i++)
		if (a.top == NET_TOP_NONE)
			leader = sim_node_find(sim, a.leader);
	return leader != UINT32_MAX && sim_node_live(sim, leader) ? leader : node;
}

/* Each fourth victim is a root's leader, or all are; the others are random. */
static uint32_t victim(struct course *c, uint32_t number)
{
	uint32_t node;

	do
		node = (uint32_t)rng_below(&c->rng, c->sim.topo->node_count);
	while (!sim_node_live(&c->sim, node));
	return c->cfg->kill_leaders || number % 4 == 3 ? root_leader(&c->sim, node) : node;
}

static void step_with_probes(struct course *c, double end_s)
{
	uint64_t before = c->sim.now.ns;

	step(c, end_s);
	c->probe_debt += (uint64_t)((double)(c->sim.now.ns - before) * c->cfg->probes_per_s);
	for (; c->probe_debt >= PN_S(1); c->probe_debt -= PN_S(1))
		traffic_probe(&c->traffic);
}

/* Return: seconds after @start_s from which on the contracts held; negative: not */
static double recover(struct course *c, double start_s)
{
	double settled = start_s + c->cfg->settle, limit = start_s + c->cfg->recover_within;
	double good = start_s;
	bool holds = true;

	if (limit < settled)
		limit = settled;
	while (true) {
		double now;

		step_with_probes(c, limit + HOLD_S);
		now = sim_seconds(&c->sim);
		if (!check_now(c, "faults")) {
			holds = false;
		} else if (!holds) {
			holds = true;
			good = now;
		}
		if (holds && now >= settled && (good == start_s || now >= good + HOLD_S))
			return good - start_s;
		if (now >= (holds ? limit + HOLD_S : limit))
			return -1;
	}
}

static bool kill_one(struct course *c, uint32_t number)
{
	struct run_kill *k = &c->res->kills[number];
	uint32_t n = c->sim.topo->node_count, i;
	uint64_t *before = sim_calloc(n, sizeof(*before));

	*k = (struct run_kill){ .node = victim(c, number), .at_s = sim_seconds(&c->sim) };
	k->was_root_leader = leads_root(&c->sim, k->node);
	for (i = 0; i < n; i++)
		if (sim_node_live(&c->sim, i))
			before[i] = sim_addresses_hash(&c->sim, i);
	sim_node_crash(&c->sim, k->node, true);
	c->res->kill_count++;
	k->recovered_s = recover(c, k->at_s);
	for (i = 0; i < n; i++) {
		if (!sim_node_live(&c->sim, i))
			continue;
		k->survivors++;
		k->readdressed += sim_addresses_hash(&c->sim, i) != before[i];
	}
	free(before);
	sim_trace(&c->sim, "%s: crash recovered in %.2f s, %u of %u re-addressed",
		  c->sim.topo->names[k->node], k->recovered_s, k->readdressed, k->survivors);
	if (k->recovered_s < 0 || k->recovered_s > c->cfg->recover_within) {
		struct violations late = { 0 };

		if (violations_any(&c->last))
			note(c, &c->last);
		else
			violation(&late, CHECK_ONE_NETWORK,
				  "the crash of %.40s at %.3f s took %.3f s to recover from",
				  c->sim.topo->names[k->node], k->at_s, k->recovered_s);
		note(c, &late);
	}
	return k->recovered_s >= 0;
}

static void faults(struct course *c)
{
	struct violations v = { 0 };
	struct paths paths;
	uint32_t i;

	c->res->kills = sim_calloc(c->cfg->kills, sizeof(*c->res->kills));
	for (i = 0; i < c->cfg->kills && i + 2 < c->sim.topo->node_count; i++)
		if (!kill_one(c, i))
			return;
	if (i == 0)
		return;
	measure_paths(&c->sim, c->cfg->pairs, &paths, &v);
	note(c, &v);
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
	note(c, &v);
}

void run(const struct topology *topo, const struct run_config *cfg, struct run_result *res)
{
	struct course c = { .cfg = cfg, .res = res };

	memset(res, 0, sizeof(*res));
	res->nodes = topo->node_count;
	res->links = topo->edge_count;
	res->converged_s = res->control_bytes_per_node_s = -1;
	/* A check costs more than a step of a large network */
	c.step_ns = topo->node_count <= 1000 ? PN_MS(250) : PN_S(1);
	rng_init(&c.rng, cfg->sim.seed, "faults");
	sim_init(&c.sim, topo, &cfg->sim);
	byz_start(&c.sim, &cfg->byz);
	traffic_init(&c.traffic, &c.sim);

	series_start(&c.sim, &c.traffic);

	if (converge(&c))
		rest(&c);
	measure(&c);
	too_late(&c);
	if (cfg->byz.count > 0)
		damage_measure(&c.sim, cfg->byz.within, &res->damage);
	if (res->converged_s >= 0)
		faults(&c);

	res->virtual_s = sim_seconds(&c.sim);
	res->mem_per_node = (double)c.sim.mem_bytes / topo->node_count;
	res->probes = c.traffic.probe_sent;
	res->probes_arrived = c.traffic.probe_arrived;
	counters_take(&c);
	if (cfg->dump)
		sim_dump(&c.sim);
	series_stop();
	traffic_fini(&c.traffic);
	res->frames_lost = c.sim.lost_frames;
	res->frames_misdirected = c.sim.misdirected_frames;
	sim_fini(&c.sim);
	byz_end();
	note(&c, &c.sim.violations);
	if (cfg->progress)
		fputs("\r\033[K", stderr);
}

void run_result_free(struct run_result *res)
{
	free(res->kills);
	free(res->counters);
	damage_free(&res->damage);
}
