/* SPDX-License-Identifier: ISC */
/* The state of all nodes as text: what one looks at when a check fails. */
#include "tests/sim/dump.h"
#include "tests/sim/node.h"

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
