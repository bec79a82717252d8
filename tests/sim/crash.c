/* SPDX-License-Identifier: ISC */
/* Crashes, one at a time, and what each does to the others.
 *
 * Theory of operation
 *
 * Before a crash pairs are chosen that it does not touch: they live on, and are
 * connected without the victim.  Through half of them, if there are such, the
 * victim forwarded.  Each pair sends session packets at a constant rate, from a
 * moment before the crash, so that lookups are done, until FLOW_AFTER_S later.
 * The outage of a pair is the number of packets that were lost, as time.
 *
 * Each crash is watched for at least `settle` seconds, since much of its effect
 * comes late (silence is noticed by time).  It has recovered when the contracts
 * hold from then on until that time is over.
 *
 * A facet was re-addressed if no facet of its node has its address any more; a
 * node, if one of its facets was. */
#include "tests/sim/course.h"
#include "tests/sim/node.h"
#include "tests/sim/probe.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define FLOW_PAIRS 8		/* through the victim, and as many elsewhere */
#define FLOW_PER_S 50.0		/* packets of each pair */
#define FLOW_BEFORE_S 1.5
#define FLOW_AFTER_S 8.0
#define FLOW_COUNT_BEFORE_NS PN_MS(100) /* packets under way when it happens count */
#define FLOW_END_NS PN_MS(500)	/* of packets sent then not all need have arrived */
#define PAIR_TRIES 400
#define WAY_MAX 512

/* --- the victim --------------------------------------------------------------- */

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

/* The node with the most links to others that live */
static uint32_t hub(const struct sim *sim)
{
	const struct topology *t = sim->topo;
	uint32_t *links = sim_calloc(t->node_count, sizeof(*links)), best = 0, i;

	for (i = 0; i < t->edge_count; i++)
		if (sim_node_live(sim, t->edges[i].a) && sim_node_live(sim, t->edges[i].b)) {
			links[t->edges[i].a]++;
			links[t->edges[i].b]++;
		}
	for (i = 1; i < t->node_count; i++)
		if (links[i] > links[best])
			best = i;
	free(links);
	return best;
}

/* Each fourth victim is a root's leader, or all are, or hubs; the others are random. */
static uint32_t victim(struct course *c, uint32_t number)
{
	uint32_t node;

	if (c->cfg->kill_hubs)
		return hub(&c->sim);
	do
		node = (uint32_t)rng_below(&c->rng, c->sim.topo->node_count);
	while (!sim_node_live(&c->sim, node));
	return c->cfg->kill_leaders || number % 4 == 3 ? root_leader(&c->sim, node) : node;
}

/* --- addresses ---------------------------------------------------------------- */

struct addresses {
	uint32_t *first;	/* of each node, in addr; one more at the end */
	uint64_t *addr;
};

static void addresses_take(struct addresses *a, const struct sim *sim)
{
	uint32_t n = sim->topo->node_count, count = 0, cap = 0, i;
	uint16_t f;

	a->first = sim_calloc((size_t)n + 1, sizeof(*a->first));
	a->addr = NULL;
	for (i = 0; i < n; i++) {
		a->first[i] = count;
		for (f = 0; sim_node_live(sim, i) && f < net_facet_count(sim->nodes[i].net); f++) {
			if (count == cap) {
				cap = cap ? 2 * cap : 1024;
				a->addr = sim_realloc(a->addr, cap, sizeof(*a->addr));
			}
			a->addr[count++] = net_address(sim->nodes[i].net, f);
		}
	}
	a->first[n] = count;
}

static bool has_address(const struct net *net, uint64_t addr)
{
	uint16_t f;

	for (f = 0; f < net_facet_count(net); f++)
		if (net_address(net, f) == addr)
			return true;
	return false;
}

static void addresses_compare(const struct addresses *a, const struct sim *sim, struct run_kill *k)
{
	uint32_t i, j, gone;

	for (i = 0; i < sim->topo->node_count; i++) {
		if (!sim_node_live(sim, i))
			continue;
		k->survivors++;
		k->facets += a->first[i + 1] - a->first[i];
		for (gone = 0, j = a->first[i]; j < a->first[i + 1]; j++)
			gone += !has_address(sim->nodes[i].net, a->addr[j]);
		k->readdressed += gone > 0;
		k->facets_readdressed += gone;
	}
}

/* --- flows -------------------------------------------------------------------- */

/* Components of the graph without the victim */
static uint32_t *components_without(struct sim *sim, uint32_t victim_node)
{
	uint32_t *component = sim_calloc(sim->topo->node_count, sizeof(*component));

	sim->nodes[victim_node].state = NODE_DEAD;
	snapshot_components(sim, component);
	sim->nodes[victim_node].state = NODE_LIVE;
	return component;
}

static bool passes(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow, uint32_t node)
{
	uint32_t way[WAY_MAX], n = measure_way(sim, from, to, flow, way, WAY_MAX), i;

	for (i = 0; i < n; i++)
		if (way[i] == node)
			return true;
	return false;
}

static uint32_t flows_open(struct course *c, uint32_t node)
{
	uint32_t *component = components_without(&c->sim, node), through = 0, other = 0, tries;

	for (tries = 0; tries < PAIR_TRIES && through + other < 2 * FLOW_PAIRS; tries++) {
		uint16_t label = flow_label(&c->traffic, c->traffic.flow_count);
		uint32_t from, to;
		bool is_through;

		if (!traffic_pair(&c->traffic, &from, &to))
			break;
		if (from == node || to == node || component[from] != component[to])
			continue;
		is_through = passes(&c->sim, from, to, label, node);
		if (is_through ? through == FLOW_PAIRS : other == FLOW_PAIRS)
			continue;
		*(is_through ? &through : &other) += flow_open(&c->traffic, from, to, is_through);
	}
	free(component);
	if (through + other == 0)
		return 0;
	return traffic_add(&c->traffic, SOURCE_FLOWS, FLOW_PER_S * (through + other),
			   FLOW_BEFORE_S + FLOW_AFTER_S, false);
}

static void flows_count(struct course *c, struct run_kill *k)
{
	uint64_t at_ns = sim_time(k->at_s).ns, from_ns = at_ns - FLOW_COUNT_BEFORE_NS;
	uint64_t to_ns = at_ns + (uint64_t)(FLOW_AFTER_S * 1e9) - FLOW_END_NS;
	double sum = 0, sum_through = 0;
	uint32_t i;

	for (i = 0; i < c->traffic.flow_count; i++) {
		const struct flow *f = &c->traffic.flows[i];
		double s = flow_lost(f, from_ns, to_ns) / FLOW_PER_S;

		sum += s;
		k->outage_worst_s = s > k->outage_worst_s ? s : k->outage_worst_s;
		k->pairs++;
		if (!f->through)
			continue;
		k->pairs_through++;
		sum_through += s;
	}
	k->outage_s = k->pairs ? sum / k->pairs : 0;
	k->outage_through_s = k->pairs_through ? sum_through / k->pairs_through : 0;
}

/* --- one ---------------------------------------------------------------------- */

static bool kill_one(struct course *c, uint32_t number)
{
	struct run_kill *k = &c->res->kills[number];
	struct violations late = { 0 };
	struct addresses before;
	uint32_t group;

	*k = (struct run_kill){ .node = victim(c, number) };
	group = flows_open(c, k->node);
	course_advance(c, pn_time_add(c->sim.now, (uint64_t)(FLOW_BEFORE_S * 1e9)));
	k->at_s = sim_seconds(&c->sim);
	k->was_root_leader = leads_root(&c->sim, k->node);
	addresses_take(&before, &c->sim);
	sim_node_crash(&c->sim, k->node, true);
	c->res->kill_count++;
	k->recovered_s = course_recover(c, k->at_s);
	addresses_compare(&before, &c->sim, k);
	free(before.first);
	free(before.addr);
	flows_count(c, k);
	traffic_stop(&c->traffic, group);
	flows_close(&c->traffic);
	sim_trace(&c->sim, "%s: crash recovered in %.2f s, %u of %u re-addressed",
		  c->sim.topo->names[k->node], k->recovered_s, k->readdressed, k->survivors);
	if (k->recovered_s >= 0 && k->recovered_s <= c->cfg->recover_within)
		return true;
	if (violations_any(&c->last))
		course_note(c, &c->last);
	else
		violation(&late, CHECK_ONE_NETWORK,
			  "the crash of %.40s at %.3f s took %.3f s to recover from",
			  c->sim.topo->names[k->node], k->at_s, k->recovered_s);
	course_note(c, &late);
	return k->recovered_s >= 0;
}

void crashes(struct course *c)
{
	uint32_t group, i;

	if (c->cfg->kills == 0)
		return;
	c->res->kills = sim_calloc(c->cfg->kills, sizeof(*c->res->kills));
	group = traffic_add(&c->traffic, SOURCE_PROBES, c->cfg->probes_per_s, -1, false);
	for (i = 0; i < c->cfg->kills && i + 2 < c->sim.topo->node_count; i++)
		if (!kill_one(c, i))
			break;
	traffic_stop(&c->traffic, group);
	if (i == c->cfg->kills || i + 2 >= c->sim.topo->node_count)
		course_paths(c);
}
