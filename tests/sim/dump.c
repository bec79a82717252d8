/* SPDX-License-Identifier: ISC */
/* The state of all nodes: as text, what one looks at when a check fails, and as
 * JSON, what pictures are made from.
 *
 * The map:
 *	t_s      virtual time
 *	nodes    [{name, x, y (if known), kind (if Byzantine),
 *	           facets: [{addr, areas: [[id, base, top, bit, leading], ...]}]}]
 *	         areas from the leaf to the root; numbers of 64 bits are strings
 *	links    [[node, node], ...]
 */
#include "tests/sim/byzantine.h"
#include "tests/sim/edge.h"
#include "tests/sim/dump.h"
#include "tests/sim/node.h"

#include <jansson.h>
#include <stdio.h>

static const char *name_of(const struct sim *sim, const uint8_t id[PN_ID_LEN])
{
	uint32_t node = sim_node_find(sim, id);

	return node == UINT32_MAX ? "?" : sim->topo->names[node];
}

static void dump_areas(const struct sim *sim, uint32_t node, uint16_t facet)
{
	struct net_area a;
	size_t i;

	for (i = 0; net_area_at(sim->nodes[node].net, facet, i, &a); i++) {
		fprintf(stderr, "  area %016llx %2u..%-3u bit %u leader %s/%u%s epoch %u count %u",
			(unsigned long long)a.area_id, a.base, a.top, a.bit,
			name_of(sim, a.leader), a.leader_facet, a.leading ? " (here)" : "",
			a.epoch, a.count);
		fprintf(stderr, " children %llx %llx sibling %llx\n",
			(unsigned long long)a.child_id[0], (unsigned long long)a.child_id[1],
			(unsigned long long)a.sibling_id);
	}
}

static void dump_node(const struct sim *sim, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	struct net_neighbour nb;
	struct net_counter c;
	struct net_route r;
	uint16_t f;
	size_t i;

	for (f = 0; f < net_facet_count(net); f++) {
		fprintf(stderr, "%s/%u address %#llx\n", sim->topo->names[node], f,
			(unsigned long long)net_address(net, f));
		dump_areas(sim, node, f);
		for (i = 0; net_route_at(net, i, &r); i++)
			if (r.facet == f)
				fprintf(stderr,
					"  route level %u via %s metric %u%s%s\n",
					r.level, name_of(sim, r.next_id),
					r.metric, r.selected ? " selected" : "",
					r.feasible ? " feasible" : "");
	}
	for (i = 0; net_neighbour_at(net, i, &nb, sim_clock(sim, node)); i++)
		fprintf(stderr, "  neighbour %s/%u of /%u address %#llx cost %u%s\n",
			name_of(sim, nb.id), nb.peer_facet, nb.facet, (unsigned long long)nb.addr,
			nb.cost, nb.same_network ? "" : " (other network)");
	fprintf(stderr, "  counters");
	for (i = 0; net_counter_at(net, i, &c); i++)
		if (c.value > 0)
			fprintf(stderr, " %s=%llu", c.name, (unsigned long long)c.value);
	fputc('\n', stderr);
}

void sim_dump(const struct sim *sim)
{
	uint32_t i;

	fprintf(stderr, "at %.6f s\n", sim_seconds(sim));
	for (i = 0; i < sim->topo->node_count; i++)
		if (sim_node_live(sim, i))
			dump_node(sim, i);
}

/* --- the map ------------------------------------------------------------------ */

static json_t *u64_text(uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%016llx", (unsigned long long)v);
	return json_string(text);
}

static json_t *map_facet(const struct net *net, uint16_t facet)
{
	json_t *areas = json_array();
	struct net_area a;
	size_t i;

	for (i = 0; net_area_at(net, facet, i, &a); i++)
		json_array_append_new(areas, json_pack("[o, i, i, i, b]", u64_text(a.area_id),
						       a.base, a.top, a.bit, a.leading));
	return json_pack("{s:o, s:o}", "addr", u64_text(net_address(net, facet)), "areas", areas);
}

static json_t *map_node(const struct sim *sim, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	json_t *o = json_object(), *facets = json_array();
	uint16_t f;

	json_object_set_new(o, "name", json_string(sim->topo->names[node]));
	if (sim->topo->x) {
		json_object_set_new(o, "x", json_real(sim->topo->x[node]));
		json_object_set_new(o, "y", json_real(sim->topo->y[node]));
	}
	if (byz_kind_of(node) != BYZ_HONEST)
		json_object_set_new(o, "kind", json_string(byz_kind_name(byz_kind_of(node))));
	for (f = 0; sim_node_live(sim, node) && f < net_facet_count(net); f++)
		json_array_append_new(facets, map_facet(net, f));
	json_object_set_new(o, "facets", facets);
	return o;
}

bool sim_map_write(const struct sim *sim, const char *file)
{
	json_t *nodes = json_array(), *links = json_array(), *o;
	uint32_t i;
	bool ok;

	for (i = 0; i < sim->topo->node_count; i++)
		json_array_append_new(nodes, map_node(sim, i));
	for (i = 0; i < sim->edge_count; i++)
		if (sim_edge_usable(sim, i))
			json_array_append_new(links, json_pack("[i, i]",
							       (int)sim->edges[i].node[0],
							       (int)sim->edges[i].node[1]));
	o = json_pack("{s:i, s:f, s:o, s:o}", "seed", (int)sim->cfg.seed, "t_s", sim_seconds(sim),
		      "nodes", nodes, "links", links);
	ok = json_dump_file(o, file, JSON_COMPACT) == 0;
	json_decref(o);
	return ok;
}
