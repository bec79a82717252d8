/* SPDX-License-Identifier: ISC */
/* Paths and tables: figures at rest, that take no virtual time.
 *
 * A walk asks node after node for its next hop, as a packet would find it, and
 * counts links; facets of one node are no distance.  It has gone wrong when a
 * node knows no next hop (reachable), when it visits more facets than there are
 * for each level that a packet can carry, or names a neighbour that is none
 * (termination).  Links are counted equal, so the shortest path is a
 * breadth-first search. */
#include "tests/sim/measure.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define WALK_MAX 4096		/* hops; a line may be long, but see NET_HOPS_DEFAULT */
#define ALL_PAIRS_DESTS 200	/* destinations of a source when pairs are drawn */

/* Distances from @from over live nodes, leaves only as ends; UINT32_MAX: not connected */
static void distances(const struct sim *sim, uint32_t from, uint32_t *dist, uint32_t *queue)
{
	uint32_t head = 0, tail = 0, i;

	memset(dist, 0xff, sim->topo->node_count * sizeof(*dist));
	dist[from] = 0;
	queue[tail++] = from;
	while (head < tail) {
		uint32_t at = queue[head++];
		const struct sim_node *n = &sim->nodes[at];

		if (n->leaf && at != from)
			continue;	/* nobody's way */
		for (i = 0; i < n->edge_count; i++) {
			const struct sim_edge *e = &sim->edges[n->edges[i]];
			uint32_t other = e->node[0] == at ? e->node[1] : e->node[0];

			if (!sim_edge_usable(sim, n->edges[i]) || dist[other] != UINT32_MAX ||
			    byz_parted(n->edges[i]))
				continue;
			if ((n->leaf || sim->nodes[other].leaf) &&
			    net_root_id(n->net) != net_root_id(sim->nodes[other].net))
				continue;	/* it connects no networks */
			dist[other] = dist[at] + 1;
			queue[tail++] = other;
		}
	}
}

void measure_distances(const struct sim *sim, uint32_t from, uint32_t *dist)
{
	uint32_t *queue = sim_calloc(sim->topo->node_count, sizeof(*queue));

	distances(sim, from, dist, queue);
	free(queue);
}

uint32_t measure_distance(const struct sim *sim, uint32_t from, uint32_t to)
{
	uint32_t *dist = sim_calloc(sim->topo->node_count, sizeof(*dist)), d;

	measure_distances(sim, from, dist);
	d = dist[to];
	free(dist);
	return d;
}

static bool linked(const struct sim *sim, uint32_t a, uint32_t b)
{
	uint32_t e = sim_edge_find(sim, a, b);

	return e != SIM_EDGE_NONE && sim_edge_usable(sim, e);
}

/* Where a walk stands, and what came of the last step */
struct walk {
	uint32_t at;
	uint16_t facet;
	uint8_t level, flags;
	int rc;			/* of net_next_hop() */
	uint32_t links;
};

/* One hop of a packet to @dst; Return: false if there is none */
static bool walk_step(const struct sim *sim, struct walk *w, uint64_t dst, uint16_t flow)
{
	uint8_t id[PN_ID_LEN];
	uint32_t next;

	w->rc = net_next_hop(sim->nodes[w->at].net, w->facet, dst, &w->level, &w->flags, flow,
			     id, &w->facet);
	next = w->rc == 0 ? sim_node_find(sim, id) : UINT32_MAX;
	if (w->rc != 0 || (next != w->at && (next == UINT32_MAX || !linked(sim, w->at, next))))
		return false;
	w->links += next != w->at;
	w->at = next;
	return true;
}

int64_t measure_walk(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow,
		     bool (*may_pass)(uint32_t node))
{
	struct walk w = { .at = from, .level = NET_LEVEL_ANY };
	uint64_t dst = net_address(sim->nodes[to].net, 0);
	uint32_t steps;

	for (steps = 0; steps < WALK_MAX; steps++) {
		if (w.at == to)
			return w.links;
		if ((may_pass && !may_pass(w.at)) || !walk_step(sim, &w, dst, flow))
			return -1;
	}
	return -1;
}

/* Return: links walked, or -1 and it is noted why */
static int64_t walk(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow,
		    struct paths *out, struct violations *v)
{
	const char *from_name = sim->topo->names[from], *to_name = sim->topo->names[to];
	uint64_t dst = net_address(sim->nodes[to].net, 0);
	struct walk w = { .at = from, .level = NET_LEVEL_ANY };
	uint32_t steps;

	for (steps = 0; steps < WALK_MAX; steps++) {
		if (w.at == to)
			return w.links;
		if (walk_step(sim, &w, dst, flow))
			continue;
		out->unreachable++;
		violation(v, CHECK_REACHABLE,
			  "from %.30s to %.30s (%#llx) the way ends at %.30s, level %u (%s)",
			  from_name, to_name, (unsigned long long)dst, sim->topo->names[w.at],
			  w.level, w.rc == 1 ? "it takes it" :
			  w.rc ? "no next hop" : "not a neighbour");
		return -1;
	}
	out->looped++;
	violation(v, CHECK_TERMINATION,
		  "from %.30s to %.30s (%#llx) a packet goes on for ever, at %.30s",
		  from_name, to_name, (unsigned long long)dst, sim->topo->names[w.at]);
	return -1;
}

uint32_t measure_way(const struct sim *sim, uint32_t from, uint32_t to, uint16_t flow,
		     uint32_t *nodes, uint32_t cap)
{
	uint64_t dst = net_address(sim->nodes[to].net, 0);
	uint8_t level = NET_LEVEL_ANY, flags = 0, next_id[PN_ID_LEN];
	uint32_t at = from, next, steps, count = 0;
	uint16_t facet = 0;

	for (steps = 0; steps < WALK_MAX && count < cap; steps++) {
		if (count == 0 || nodes[count - 1] != at)
			nodes[count++] = at;
		if (at == to)
			return count;
		if (net_next_hop(sim->nodes[at].net, facet, dst, &level, &flags, flow, next_id,
				 &facet) != 0)
			return 0;
		next = sim_node_find(sim, next_id);
		if (next == UINT32_MAX || (next != at && !linked(sim, at, next)))
			return 0;
		at = next;
	}
	return 0;
}

static int double_compare(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;

	return *a == *b ? 0 : *a < *b ? -1 : 1;
}

struct path_run {
	const struct sim *sim;
	struct paths *out;
	struct violations *v;
	uint32_t *dist, *queue;
	double *stretch;
};

static void pair(struct path_run *p, uint32_t from, uint32_t to)
{
	int64_t links;
	uint64_t bin;

	if (from == to || p->dist[to] == UINT32_MAX)
		return;
	p->out->pairs++;
	links = walk(p->sim, from, to, (uint16_t)(from * 31 + to), p->out, p->v);
	if (links < 0)
		return;
	p->stretch[p->out->reached++] = (double)links / p->dist[to];
	/* in whole numbers: a tenth is none of a floating one */
	bin = (10 * ((uint64_t)links - p->dist[to]) + p->dist[to] - 1) / p->dist[to];
	p->out->stretch_hist[pn_min(bin, STRETCH_BINS - 1)]++;
}

void measure_paths(const struct sim *sim, uint32_t pairs_max, struct paths *out,
		   struct violations *v)
{
	uint32_t n = sim->topo->node_count, i, j, from;
	bool all = (uint64_t)n * (n - 1) <= pairs_max;
	uint32_t sources = all ? n : (pairs_max + ALL_PAIRS_DESTS - 1) / ALL_PAIRS_DESTS;
	uint32_t dests = all ? n : (uint32_t)pn_min(ALL_PAIRS_DESTS, pairs_max);
	struct path_run p = { .sim = sim, .out = out, .v = v };
	struct rng r;

	memset(out, 0, sizeof(*out));
	rng_init(&r, sim->cfg.seed, "pairs");
	p.dist = sim_calloc(n, sizeof(*p.dist));
	p.queue = sim_calloc(n, sizeof(*p.queue));
	p.stretch = sim_calloc((size_t)sources * dests, sizeof(*p.stretch));
	for (i = 0; i < sources; i++) {
		from = all ? i : (uint32_t)rng_below(&r, n);
		if (!sim_node_live(sim, from))
			continue;
		distances(sim, from, p.dist, p.queue);
		for (j = 0; j < dests; j++)
			pair(&p, from, all ? j : (uint32_t)rng_below(&r, n));
	}
	for (i = 0; i < out->reached; i++)
		out->stretch_mean += p.stretch[i] / (double)out->reached;
	if (out->reached > 0) {
		qsort(p.stretch, out->reached, sizeof(*p.stretch), double_compare);
		out->stretch_p95 = p.stretch[(out->reached - 1) * 95 / 100];
	}
	free(p.dist);
	free(p.queue);
	free(p.stretch);
}

/* --- tables ---------------------------------------------------------------- */

static int u64_compare(const void *pa, const void *pb)
{
	const uint64_t *a = pa, *b = pb;

	return *a == *b ? 0 : *a < *b ? -1 : 1;
}

void measure_tables(const struct snapshot *s, struct tables *out)
{
	uint64_t *roots = sim_calloc(s->facet_count, sizeof(*roots)), sum = 0;
	uint32_t i, n = 0;

	memset(out, 0, sizeof(*out));
	out->facets = s->facet_count;
	for (i = 0; i < s->facet_count; i++) {
		const struct snap_facet *f = &s->facets[i];
		uint32_t known = (uint32_t)__builtin_popcountll(f->known);

		sum += known;
		out->max = (uint32_t)pn_max(out->max, known);
		if (f->area_count > 0) {
			const struct snap_area *root = &s->areas[f->area_first + f->area_count - 1];

			roots[n++] = root->id;
			out->height = (unsigned)pn_max(out->height, root->base);
		}
	}
	qsort(roots, n, sizeof(*roots), u64_compare);
	for (i = 0; i < n; i++)
		out->networks += i == 0 || roots[i] != roots[i - 1];
	out->mean = s->facet_count ? (double)sum / s->facet_count : 0;
	free(roots);
}
