/* SPDX-License-Identifier: ISC */
/* Edges: those of the topology, and those that come later.  See medium.c for what
 * they are; an edge, once made, keeps its number for ever. */
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

static uint32_t pair_slot(const struct sim *sim, uint32_t a, uint32_t b)
{
	uint64_t h = ((uint64_t)pn_min(a, b) << 32 | pn_max(a, b)) * 0x9e3779b97f4a7c15U;
	uint32_t i = (uint32_t)(h >> 32) & (sim->by_pair_size - 1), e;

	for (; (e = sim->by_pair[i]) != SIM_EDGE_NONE; i = (i + 1) & (sim->by_pair_size - 1))
		if ((sim->edges[e].node[0] == a && sim->edges[e].node[1] == b) ||
		    (sim->edges[e].node[0] == b && sim->edges[e].node[1] == a))
			break;
	return i;
}

uint32_t sim_edge_find(const struct sim *sim, uint32_t a, uint32_t b)
{
	return sim->by_pair[pair_slot(sim, a, b)];
}

static void pairs_grow(struct sim *sim)
{
	uint32_t i;

	sim->by_pair_size = sim->by_pair_size ? 2 * sim->by_pair_size : 1024;
	sim->by_pair = sim_realloc(sim->by_pair, sim->by_pair_size, sizeof(*sim->by_pair));
	memset(sim->by_pair, 0xff, sim->by_pair_size * sizeof(*sim->by_pair));
	for (i = 0; i < sim->edge_count; i++)
		sim->by_pair[pair_slot(sim, sim->edges[i].node[0], sim->edges[i].node[1])] = i;
}

static void incident_add(struct sim_node *n, uint32_t edge)
{
	if (n->edge_count == n->edge_cap) {
		n->edge_cap = n->edge_cap ? 2 * n->edge_cap : 4;
		n->edges = sim_realloc(n->edges, n->edge_cap, sizeof(*n->edges));
	}
	n->edges[n->edge_count++] = edge;
}

/* An edge before anybody uses it */
static uint32_t edge_new(struct sim *sim, uint32_t a, uint32_t b, enum topo_kind kind)
{
	uint32_t e = sim->edge_count;

	if (sim->edge_count == sim->edge_cap) {
		sim->edge_cap = sim->edge_cap ? 2 * sim->edge_cap : 256;
		sim->edges = sim_realloc(sim->edges, sim->edge_cap, sizeof(*sim->edges));
	}
	if (2 * (sim->edge_count + 1) > sim->by_pair_size)
		pairs_grow(sim);
	sim->edges[e] = (struct sim_edge){ .node = { a, b }, .link = { -1, -1 }, .kind = kind,
					   .up = true, .q = kind == TOPO_TUNNEL ?
					   sim->cfg.tunnel : sim->cfg.link };
	sim->by_pair[pair_slot(sim, a, b)] = e;
	sim->edge_count++;
	incident_add(&sim->nodes[a], e);
	incident_add(&sim->nodes[b], e);
	return e;
}

uint32_t sim_edge_add(struct sim *sim, uint32_t a, uint32_t b, enum topo_kind kind)
{
	uint32_t e = edge_new(sim, a, b, kind), side;

	sim->changes++;
	for (side = 0; side < 2; side++)
		if (sim_node_live(sim, sim->edges[e].node[side])) {
			sim_node_link_edge(sim, sim->edges[e].node[side], e);
			sim_node_pump(sim, sim->edges[e].node[side]);
		}
	return e;
}

void sim_edge_set(struct sim *sim, uint32_t e, bool up, bool tell)
{
	struct sim_edge *edge = &sim->edges[e];
	uint32_t side;

	if (edge->up == up)
		return;
	edge->up = up;
	sim->changes++;
	sim_trace(sim, "link %s to %s %s%s", sim->topo->names[edge->node[0]],
		  sim->topo->names[edge->node[1]], up ? "up" : "down", tell ? "" : ", silently");
	/* What one fault took with its carrier another may mend without a word; but that is no
	 * reason to tell of a far end that crashed in silence. */
	for (side = 0; side < 2; side++)
		if (tell || (up && sim->nodes[edge->node[!side]].state != NODE_DEAD))
			sim_node_carrier(sim, e, side);
}

bool sim_edge_usable(const struct sim *sim, uint32_t e)
{
	const struct sim_edge *edge = &sim->edges[e];

	return edge->up && !edge->deaf[0] && !edge->deaf[1] &&
	       sim_node_live(sim, edge->node[0]) && sim_node_live(sim, edge->node[1]);
}

/* The delay and so on of each link that is not as all the others */
static void quality_draw(struct sim *sim, const struct topology *t)
{
	uint64_t more = sim->cfg.delay_max_ns > sim->cfg.link.delay_ns ?
			sim->cfg.delay_max_ns - sim->cfg.link.delay_ns : 0;
	struct rng r;
	uint32_t i;

	rng_init(&r, sim->cfg.seed, "delays");
	for (i = 0; i < t->edge_count; i++) {
		struct link_quality *q = &sim->edges[i].q;
		const struct topo_edge *e = &t->edges[i];

		if (more > 0 && e->kind != TOPO_TUNNEL)
			q->delay_ns += rng_below(&r, more + 1);
		if (e->delay_ns > 0)
			q->delay_ns = e->delay_ns;
		if (e->rate_bps > 0)
			q->rate_bps = e->rate_bps;
		if (e->loss > 0)
			q->loss = e->loss;
	}
}

void sim_edges_init(struct sim *sim)
{
	const struct topology *t = sim->topo;
	uint32_t i;

	pairs_grow(sim);
	for (i = 0; i < t->edge_count; i++) {
		enum topo_kind kind = t->edges[i].kind;

		edge_new(sim, t->edges[i].a, t->edges[i].b,
			 sim->cfg.radio && kind == TOPO_CABLE ? TOPO_RADIO : kind);
	}
	quality_draw(sim, t);
}

void sim_quality_reset(struct sim *sim)
{
	uint32_t i;

	sim->cfg.link = sim->first_link;
	sim->cfg.tunnel = sim->first_tunnel;
	for (i = 0; i < sim->edge_count; i++)
		sim->edges[i].q = sim->edges[i].kind == TOPO_TUNNEL ? sim->cfg.tunnel :
								      sim->cfg.link;
	quality_draw(sim, sim->topo);
}
