/* SPDX-License-Identifier: ISC */
/* Pictures of all nodes, through the layer's own windows (net_area_at() and so on).
 *
 * An adjacency counts only if both ends say that it is up and which facets it
 * joins: one that a side has given up, or does not know yet, connects nothing. */
#include "tests/sim/snapshot.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

/* One end's word: facet @from is a neighbour of facet @to */
struct claim {
	uint32_t from, to;
};

static int claim_compare(const void *pa, const void *pb)
{
	const struct claim *a = pa, *b = pb;

	if (a->from != b->from)
		return a->from < b->from ? -1 : 1;
	return a->to == b->to ? 0 : a->to < b->to ? -1 : 1;
}

static uint32_t leader_of(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i) {
		parent[i] = parent[parent[i]];
		i = parent[i];
	}
	return i;
}

static uint64_t root_of(const struct sim *sim, uint32_t node)
{
	return sim_node_live(sim, node) ? net_root_id(sim->nodes[node].net) : 0;
}

/* A leaf connects nobody.  It belongs to what is next to it; if that is several
 * components, to the one whose network it is in. */
static void leaf_join(const struct sim *sim, uint32_t *parent, uint32_t leaf)
{
	const struct sim_node *n = &sim->nodes[leaf];
	uint32_t best = UINT32_MAX, i;

	for (i = 0; i < n->edge_count; i++) {
		const struct sim_edge *e = &sim->edges[n->edges[i]];
		uint32_t other = e->node[0] == leaf ? e->node[1] : e->node[0];

		if (!sim_edge_usable(sim, n->edges[i]) || sim->nodes[other].leaf)
			continue;
		if (best == UINT32_MAX || root_of(sim, other) == root_of(sim, leaf))
			best = other;
	}
	if (best == UINT32_MAX)
		return;
	/* it leads nothing, so the lower one of both may lead both */
	best = leader_of(parent, best);
	parent[leaf > best ? leaf : best] = leaf > best ? best : leaf;
}

static bool connects(const struct sim *sim, uint32_t edge)
{
	const struct sim_edge *e = &sim->edges[edge];

	return sim_edge_usable(sim, edge) && !sim->nodes[e->node[0]].leaf &&
	       !sim->nodes[e->node[1]].leaf && !byz_parted(edge);
}

uint32_t snapshot_components(const struct sim *sim, uint32_t *component)
{
	uint32_t n = sim->topo->node_count, i, count = 0;
	uint32_t *parent = sim_calloc(n, sizeof(*parent));

	for (i = 0; i < n; i++)
		parent[i] = i;
	for (i = 0; i < sim->edge_count; i++) {
		const struct sim_edge *e = &sim->edges[i];
		uint32_t a, b;

		if (!connects(sim, i))
			continue;
		a = leader_of(parent, e->node[0]);
		b = leader_of(parent, e->node[1]);
		/* the lower one leads, so that it comes first below */
		parent[a > b ? a : b] = a > b ? b : a;
	}
	for (i = 0; i < n; i++)
		if (sim->nodes[i].leaf)
			leaf_join(sim, parent, i);
	for (i = 0; i < n; i++) {
		uint32_t leader = leader_of(parent, i);

		if (!sim_node_live(sim, i))
			component[i] = UINT32_MAX;
		else
			component[i] = leader == i ? count++ : component[leader];
	}
	free(parent);
	return count;
}

static void take_areas(struct snapshot *s, struct snap_facet *f, const struct net *net,
		       uint32_t *cap)
{
	struct net_area a;
	size_t i;

	f->area_first = s->area_count;
	for (i = 0; net_area_at(net, f->facet, i, &a) && i < 128; i++) {
		if (s->area_count == *cap) {
			*cap = *cap ? 2 * *cap : 1024;
			s->areas = sim_realloc(s->areas, *cap, sizeof(*s->areas));
		}
		s->areas[s->area_count++] = (struct snap_area){
			.id = a.area_id, .base = a.base, .bit = a.bit,
			.top = a.top == NET_TOP_NONE ? SNAP_TOP_NONE : a.top,
		};
	}
	f->area_count = s->area_count - f->area_first;
}

static void take_facets(struct snapshot *s, const struct sim *sim, const uint32_t *component,
			uint32_t *first)
{
	uint32_t i, j, cap = 0, area_cap = 0;
	struct net_route r;
	size_t k;

	for (i = 0; i < sim->topo->node_count; i++) {
		const struct net *net = sim->nodes[i].net;
		uint32_t count = sim_node_live(sim, i) ? net_facet_count(net) : 0;

		first[i] = s->facet_count;
		for (j = 0; j < count; j++) {
			struct snap_facet *f;

			if (s->facet_count == cap) {
				cap = cap ? 2 * cap : 256;
				s->facets = sim_realloc(s->facets, cap, sizeof(*s->facets));
			}
			f = &s->facets[s->facet_count++];
			*f = (struct snap_facet){ .node = i, .facet = (uint16_t)j,
						  .component = component[i],
						  .addr = net_address(net, (uint16_t)j) };
			take_areas(s, f, net, &area_cap);
		}
		for (k = 0; count > 0 && net_route_at(net, k, &r); k++)
			if (r.selected && r.metric < NET_METRIC_INF && r.level < 64 &&
			    r.facet < count)
				s->facets[first[i] + r.facet].known |= (uint64_t)1 << r.level;
	}
	first[i] = s->facet_count;
}

static struct claim *take_claims(const struct sim *sim, const uint32_t *first, uint32_t *count)
{
	struct net_neighbour nb;
	struct claim *claims = NULL;
	uint32_t i, other, cap = 0;
	size_t k;

	*count = 0;
	for (i = 0; i < sim->topo->node_count; i++) {
		if (!sim_node_live(sim, i))
			continue;
		for (k = 0; net_neighbour_at(sim->nodes[i].net, k, &nb,
						sim_clock(sim, i)); k++) {
			other = sim_node_find(sim, nb.id);
			if (other == UINT32_MAX || other == i ||
			    nb.facet >= first[i + 1] - first[i] ||
			    nb.peer_facet >= first[other + 1] - first[other])
				continue;
			if (*count == cap) {
				cap = cap ? 2 * cap : 1024;
				claims = sim_realloc(claims, cap, sizeof(*claims));
			}
			claims[(*count)++] = (struct claim){ first[i] + nb.facet,
							     first[other] + nb.peer_facet };
		}
	}
	if (*count > 0)
		qsort(claims, *count, sizeof(*claims), claim_compare);
	return claims;
}

static void take_adjs(struct snapshot *s, const struct sim *sim, const uint32_t *first)
{
	uint32_t count, i, f = 0;
	struct claim *claims = take_claims(sim, first, &count);

	s->adjs = sim_calloc(count, sizeof(*s->adjs));
	for (i = 0; i < count; i++) {
		struct claim reverse = { claims[i].to, claims[i].from };

		if (!bsearch(&reverse, claims, count, sizeof(*claims), claim_compare))
			continue;
		for (; f < claims[i].from; f++)
			s->facets[f + 1].adj_first = s->adj_count;
		s->facets[f].adj_count++;
		s->adjs[s->adj_count++] = claims[i].to;
	}
	free(claims);
}

void snapshot_take(struct snapshot *s, const struct sim *sim)
{
	uint32_t n = sim->topo->node_count;
	uint32_t *component = sim_calloc(n, sizeof(*component));
	uint32_t *first = sim_calloc((size_t)n + 1, sizeof(*first));

	memset(s, 0, sizeof(*s));
	s->names = sim->topo->names;
	s->component_count = snapshot_components(sim, component);
	take_facets(s, sim, component, first);
	take_adjs(s, sim, first);
	free(component);
	free(first);
}

void snapshot_free(struct snapshot *s)
{
	free(s->facets);
	free(s->areas);
	free(s->adjs);
	memset(s, 0, sizeof(*s));
}
