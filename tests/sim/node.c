/* SPDX-License-Identifier: ISC */
/* The host of each node: what a daemon does around the network layer.
 *
 * A node starts at a time drawn from the seed, with a link for each cable, or
 * one for all when it is a hub, and one Ethernet link if it is on a shared
 * medium; see medium.c for what they are.  It crashes without a word, and may
 * come back with the same identity (its boot counter grows) or another one.
 *
 * The carrier of a cable is there when it is plugged and the other end lives.
 * Before a node's first start its neighbours' cables have a carrier all the
 * same, as machines that boot have; one that was held back has none. */
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#define NODE_CABLES_MAX 60	/* links of a node, below what the layer can hold */
#define SPINS_MAX 1000		/* deadlines at one moment */
#define BATCH 64
#define STATIONS_MAX 256	/* adjacencies for stations of an Ethernet link */

/* --- identities -------------------------------------------------------------- */

static uint32_t id_hash(const struct sim *sim, const uint8_t id[PN_ID_LEN])
{
	uint32_t h;

	memcpy(&h, id, sizeof(h)); /* a key is as good as random */
	return h & (sim->by_id_size - 1);
}

uint32_t sim_node_find(const struct sim *sim, const uint8_t id[PN_ID_LEN])
{
	uint32_t i;

	for (i = id_hash(sim, id); sim->by_id[i] != UINT32_MAX; i = (i + 1) & (sim->by_id_size - 1))
		if (!memcmp(sim->nodes[sim->by_id[i]].id, id, PN_ID_LEN))
			return sim->by_id[i];
	return UINT32_MAX;
}

static void id_insert(struct sim *sim, uint32_t node)
{
	uint32_t at = id_hash(sim, sim->nodes[node].id);

	while (sim->by_id[at] != UINT32_MAX)
		at = (at + 1) & (sim->by_id_size - 1);
	sim->by_id[at] = node;
}

static void ids_index(struct sim *sim)
{
	uint32_t i;

	memset(sim->by_id, 0xff, sim->by_id_size * sizeof(*sim->by_id));
	for (i = 0; i < sim->topo->node_count; i++)
		id_insert(sim, i);
}

static void identity_make(struct sim *sim, uint32_t node, struct rng *r)
{
	struct sim_node *n = &sim->nodes[node];

	rng_fill(r, n->seed, sizeof(n->seed));
	net_identity_derive(n->seed, n->id);
	net_identity_hit(n->id, n->hit);
	n->keys++;
}

/* An identity that nobody had before; the old one is forgotten. */
static void identity_change(struct sim *sim, uint32_t node)
{
	char purpose[48];
	struct rng r;

	snprintf(purpose, sizeof(purpose), "node %u key %llu", node,
		 (unsigned long long)sim->nodes[node].keys);
	rng_init(&r, sim->cfg.seed, purpose);
	identity_make(sim, node, &r);
	ids_index(sim);
}

/* --- pumping ----------------------------------------------------------------- */

static void timer_set(struct sim *sim, uint32_t node, struct pn_time at)
{
	struct sim_node *n = &sim->nodes[node];

	if (pn_time_is_never(at)) {
		pn_heap_remove(&sim->timers, &n->timer);
	} else if (pn_heap_has(&n->timer)) {
		pn_heap_update(&sim->timers, &n->timer, at);
	} else {
		n->timer.at = at;
		PN_ASSERT(pn_heap_push(&sim->timers, &n->timer));
	}
}

/* A slow node looks at its clock later: never before now, or it would look twice.  What is
 * overdue when a frame comes is looked at as soon as it would have been without the frame, or
 * a node that hears something all the time would never look at all. */
static void deadline_set(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	struct pn_time at = sim_true_time(sim, node, net_deadline(n->net));
	bool overdue = !pn_time_before(sim->now, at);

	if (n->lag_ns && !pn_time_is_never(at)) {
		at = pn_time_add(overdue ? sim->now : at, n->lag_ns);
		if (overdue && pn_heap_has(&n->timer) && pn_time_before(sim->now, n->timer.at))
			at = pn_time_min(at, n->timer.at);
	}
	timer_set(sim, node, at);
}

static void trace_event(const struct sim *sim, uint32_t node, const struct net_event *ev)
{
	static const char *const names[] = {
		[NET_EV_NEIGHBOUR_UP] = "neighbour up",
		[NET_EV_NEIGHBOUR_DOWN] = "neighbour down",
		[NET_EV_ADDRESS] = "address",
		[NET_EV_PEER_RESOLVED] = "peer resolved",
		[NET_EV_PEER_FAILED] = "peer failed",
		[NET_EV_PEER_MTU] = "peer mtu",
		[NET_EV_LOOKUP] = "lookup",
		[NET_EV_ECHO] = "echo",
		[NET_EV_ECHO_ERROR] = "echo error",
		[NET_EV_AUTH_FAILED] = "auth failed",
	};
	uint32_t other = sim_node_find(sim, ev->id);

	if (!sim->cfg.trace)
		return;
	sim_trace(sim, "%s: %s %s addr %#llx level %u reason %s", sim->topo->names[node],
		  names[ev->kind], other == UINT32_MAX ? "-" : sim->topo->names[other],
		  (unsigned long long)ev->addr, ev->level, net_err_text(ev->reason));
}

void sim_node_pump(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	struct pn_pkt *pkts[BATCH];
	struct net_event ev;
	size_t count, i;

	do {
		count = net_output(n->net, pkts, BATCH);
		for (i = 0; i < count; i++)
			sim_medium_send(sim, node, pkts[i]);
	} while (count > 0);
	while (net_next_event(n->net, &ev)) {
		trace_event(sim, node, &ev);
		if (sim->watcher.on_event)
			sim->watcher.on_event(sim->watcher.arg, node, &ev);
	}
	do {
		count = net_deliver(n->net, pkts, BATCH);
		for (i = 0; i < count; i++) {
			if (sim->watcher.on_packet)
				sim->watcher.on_packet(sim->watcher.arg, node, pkts[i]);
			pn_pkt_put(&sim->pool, pkts[i]);
		}
	} while (count > 0);
	if (sim->pool.get_failures > 0)
		violation(&sim->violations, CHECK_NO_UNBOUNDED,
			  "the %u packet buffers of all nodes were used up at %.3f s",
			  sim->pool.count, sim_seconds(sim));
	sim->pool_low = (uint32_t)pn_min(sim->pool_low, sim->pool.free_count);
	deadline_set(sim, node);
}

/* --- links -------------------------------------------------------------------- */

static void link_number(struct sim_node *n, int link, uint32_t edge)
{
	PN_ASSERT(link >= 0);
	while ((uint32_t)link >= n->link_cap) {
		n->link_edge = sim_realloc(n->link_edge, n->link_cap + 8, sizeof(*n->link_edge));
		memset(n->link_edge + n->link_cap, 0xff, 8 * sizeof(*n->link_edge));
		n->link_cap += 8;
	}
	n->link_edge[link] = edge;
}

static int link_add(struct sim *sim, uint32_t node, enum net_link_kind kind)
{
	struct sim_node *n = &sim->nodes[node];
	struct net_link_config lc = { .kind = kind, .mtu = sim->cfg.mtu, .listen = true };

	if (kind == NET_LINK_ETHERNET)
		lc.self = sim_station_of(node);
	return net_link_add(n->net, &lc, sim_clock(sim, node));
}

/* With no number left, the link of a cable unplugged long ago makes room. */
static int cable_link_add(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	int link = link_add(sim, node, NET_LINK_TUNNEL);
	uint32_t i;

	for (i = 0; i < n->edge_count && link < 0; i++) {
		struct sim_edge *edge = &sim->edges[n->edges[i]];
		uint32_t side = sim_edge_side(edge, node);

		if (edge->up || sim_edge_is_shared(edge) || edge->link[side] < 0)
			continue;
		net_link_del(n->net, edge->link[side], sim_clock(sim, node));
		edge->link[side] = -1;
		link = link_add(sim, node, NET_LINK_TUNNEL);
	}
	return link;
}

void sim_node_link_edge(struct sim *sim, uint32_t node, uint32_t e)
{
	struct sim_node *n = &sim->nodes[node];
	struct sim_edge *edge = &sim->edges[e];
	uint32_t side = sim_edge_side(edge, node), other = edge->node[!side];
	struct pn_lladdr ll = sim_edge_station(sim, e, side);
	bool shared = sim_edge_is_shared(edge);
	int *one = shared ? &n->ether : &n->hub_link;

	if (shared || n->hub) {
		if (*one < 0) {
			*one = link_add(sim, node, shared ? NET_LINK_ETHERNET : NET_LINK_TUNNEL);
			link_number(n, *one, SIM_EDGE_NONE);
		}
		edge->link[side] = *one;
	} else {
		edge->link[side] = cable_link_add(sim, node);
		if (edge->link[side] < 0) /* a node with too many neighbours at a time */
			return;
		link_number(n, edge->link[side], e);
	}
	if (!shared && side == 0)
		PN_ASSERT(net_link_peer(n->net, edge->link[side], &ll, sim->nodes[other].id, e,
					sim_clock(sim, node)) == 0);
	if (sim->nodes[other].state == NODE_DEAD || !edge->up)
		sim_node_carrier(sim, e, side);
}

void sim_node_carrier(struct sim *sim, uint32_t e, uint32_t side)
{
	struct sim_edge *edge = &sim->edges[e];
	uint32_t node = edge->node[side], other = edge->node[!side];
	struct pn_lladdr ll = sim_edge_station(sim, e, side);
	bool up = edge->up && sim->nodes[other].state != NODE_DEAD;
	struct sim_node *n = &sim->nodes[node];

	if (!sim_node_live(sim, node) || sim->cfg.silent || edge->kind == TOPO_LAN)
		return;
	if (edge->link[side] < 0) {
		if (up)
			sim_node_link_edge(sim, node, e);
	} else if (sim_edge_is_shared(edge) || n->hub) {
		if (!up)
			net_link_station_down(n->net, edge->link[side], &ll, sim_clock(sim, node));
	} else {
		net_link_carrier(n->net, edge->link[side], up, sim_clock(sim, node));
	}
	sim_node_pump(sim, node);
}

/* --- life --------------------------------------------------------------------- */

static uint32_t stations_of(const struct sim *sim, const struct sim_node *n)
{
	uint32_t stations = 0, i;

	for (i = 0; i < n->edge_count; i++)
		stations += sim_edge_is_shared(&sim->edges[n->edges[i]]);
	return stations;
}

static uint32_t facets_of(const struct sim *sim, const struct sim_node *n)
{
	uint32_t stations = stations_of(sim, n);

	return net_facets_of(n->edge_count - stations, stations);
}

static const struct sim_node *node_beyond(const struct sim *sim, uint32_t edge,
					  const struct sim_node *n)
{
	const struct sim_edge *e = &sim->edges[edge];

	return &sim->nodes[e->node[!sim_edge_side(e, (uint32_t)(n - sim->nodes))]];
}

static uint32_t places_near(const struct sim *sim, const struct sim_node *n)
{
	uint32_t places = 0, i;

	for (i = 0; i < n->edge_count; i++)
		places += facets_of(sim, node_beyond(sim, n->edges[i], n));
	return places;
}

/* Room for the neighbours that it has, or may get when edges come and go */
static void node_fit(const struct sim *sim, const struct sim_node *n, struct net_config *cfg)
{
	struct net_surroundings around = { .nodes = sim->topo->node_count };
	uint32_t stations = stations_of(sim, n), cables = n->edge_count - stations, i;

	if (sim->cfg.more_edges)
		cables = stations = (uint32_t)pn_max(n->edge_count, NODE_CABLES_MAX);
	else if (stations == 0)
		around.near = places_near(sim, n);
	for (i = 0; i < n->edge_count && around.near > 0; i++) {
		const struct sim_node *nb = node_beyond(sim, n->edges[i], n);

		around.beyond += facets_of(sim, nb) + places_near(sim, nb);
	}
	around.cables = cables;
	around.stations = (uint32_t)pn_min(stations, STATIONS_MAX);
	around.links = (n->hub ? 1 : cables) + (stations > 0);
	net_config_fit(cfg, &around);
}

static void node_config(struct sim *sim, uint32_t node, struct net_config *cfg)
{
	struct sim_node *n = &sim->nodes[node];
	char purpose[48];
	struct rng r;

	net_config_default(cfg);
	memcpy(cfg->seed, n->seed, sizeof(cfg->seed));
	snprintf(purpose, sizeof(purpose), "node %u boot %llu", node, (unsigned long long)n->boot);
	rng_init(&r, sim->cfg.seed, purpose);
	rng_fill(&r, cfg->random, sizeof(cfg->random));
	cfg->boot = n->boot;
	cfg->pool = &sim->pool;
	cfg->leaf = n->leaf;
	cfg->zeroed = true;	/* sim_pages() */
	node_fit(sim, n, cfg);
}

static void node_start(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	struct net_config cfg;
	uint32_t i;

	node_config(sim, node, &cfg);
	n->mem_size = net_mem_size(&cfg);
	n->mem = sim_pages(n->mem_size);
	n->net = net_init(n->mem, &cfg, sim_clock(sim, node));
	n->state = NODE_LIVE;
	n->since_ns = sim->now.ns;
	n->ether = n->hub_link = -1;
	if (n->boot == 1)
		sim->mem_bytes += n->mem_size;
	sim->changes++;
	sim_trace(sim, "%s: start", sim->topo->names[node]);
	for (i = 0; i < n->edge_count; i++)
		sim_node_link_edge(sim, node, n->edges[i]);
	sim_node_pump(sim, node);
}

void sim_node_end(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	uint32_t i;

	net_fini(n->net);
	sim_pages_free(n->mem, n->mem_size);
	n->mem = NULL;
	n->net = NULL;
	n->state = NODE_DEAD;
	for (i = 0; i < n->edge_count; i++) {
		struct sim_edge *edge = &sim->edges[n->edges[i]];

		edge->link[sim_edge_side(edge, node)] = -1;
	}
	pn_heap_remove(&sim->timers, &n->timer);
}

static void neighbours_notice(struct sim *sim, uint32_t node)
{
	const struct sim_node *n = &sim->nodes[node];
	uint32_t i;

	for (i = 0; i < n->edge_count; i++)
		sim_node_carrier(sim, n->edges[i],
				 !sim_edge_side(&sim->edges[n->edges[i]], node));
}

void sim_node_crash(struct sim *sim, uint32_t node, bool carrier)
{
	struct sim_node *n = &sim->nodes[node];

	PN_ASSERT(n->state == NODE_LIVE);
	sim_trace(sim, "%s: crash", sim->topo->names[node]);
	sim_node_end(sim, node);
	sim->changes++;
	if (carrier)
		neighbours_notice(sim, node);
}

void sim_node_hold(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];

	PN_ASSERT(n->state == NODE_WAITING);
	n->state = NODE_DEAD;
	n->boot = 0; /* its first start makes it 1 */
	pn_heap_remove(&sim->timers, &n->timer);
}

/* Those who dial the node's cables are told its new identity. */
static void tunnels_rename(struct sim *sim, uint32_t node)
{
	const struct sim_node *n = &sim->nodes[node];
	uint32_t i;

	for (i = 0; i < n->edge_count; i++) {
		uint32_t e = n->edges[i], dialler = sim->edges[e].node[0];
		int link = sim->edges[e].link[0];
		struct pn_lladdr ll = sim_edge_station(sim, e, 0);

		if (dialler == node || link < 0 || sim_edge_is_shared(&sim->edges[e]) ||
		    !sim_node_live(sim, dialler))
			continue;
		net_link_peer_del(sim->nodes[dialler].net, link, &ll, sim_clock(sim, dialler));
		net_link_peer(sim->nodes[dialler].net, link, &ll, n->id, e,
			      sim_clock(sim, dialler));
		sim_node_pump(sim, dialler);
	}
}

void sim_node_start(struct sim *sim, uint32_t node, bool new_key)
{
	struct sim_node *n = &sim->nodes[node];

	PN_ASSERT(n->state == NODE_DEAD);
	n->boot++;
	if (new_key) {
		identity_change(sim, node);
		tunnels_rename(sim, node);
	}
	node_start(sim, node);
	neighbours_notice(sim, node);
}

void sim_node_drift(struct sim *sim, uint32_t node, double ppm)
{
	struct sim_node *n = &sim->nodes[node];

	n->clock_off_ns = (int64_t)(sim_clock(sim, node).ns - sim->now.ns);
	n->drift_from_ns = sim->now.ns;
	n->drift_ppb = (int32_t)(ppm * 1000);
	if (sim_node_live(sim, node))
		sim_node_pump(sim, node);
}

void sim_node_due(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];

	if (n->state == NODE_WAITING) {
		node_start(sim, node);
		return;
	}
	net_expire(n->net, sim_clock(sim, node));
	sim_node_pump(sim, node);
	if (!pn_heap_has(&n->timer) || !pn_time_due(n->timer.at, sim->now)) {
		n->spins = 0;
		return;
	}
	if (++n->spins < SPINS_MAX)
		return;
	violation(&sim->violations, CHECK_NO_UNBOUNDED, "%.40s is due for ever at %.6f s",
		  sim->topo->names[node], sim_seconds(sim));
	n->spins = 0;
	timer_set(sim, node, pn_time_add(sim->now, PN_MS(1)));
}

void sim_nodes_init(struct sim *sim)
{
	uint32_t n = sim->topo->node_count, i, j, cables;
	uint64_t spread = sim->cfg.start_spread_ns;
	struct rng r, clocks, leaves;

	rng_init(&r, sim->cfg.seed, "identities");
	rng_init(&clocks, sim->cfg.seed, "clocks");
	rng_init(&leaves, sim->cfg.seed, "leaves");
	for (sim->by_id_size = 4; sim->by_id_size < 2 * n;)
		sim->by_id_size *= 2;
	sim->by_id = sim_calloc(sim->by_id_size, sizeof(*sim->by_id));
	for (i = 0; i < n; i++) {
		struct sim_node *node = &sim->nodes[i];

		identity_make(sim, i, &r);
		node->drift_from_ns = SIM_EPOCH_NS;
		node->leaf = rng_unit(&leaves) < sim->cfg.leaf_share;
		node->boot = 1;
		node->ether = node->hub_link = -1;
		for (cables = j = 0; j < node->edge_count; j++)
			cables += !sim_edge_is_shared(&sim->edges[node->edges[j]]);
		node->hub = cables > NODE_CABLES_MAX;
		node->drift_ppb = (int32_t)((2 * rng_unit(&clocks) - 1) * 1000 *
					    sim->cfg.drift_ppm);
	}
	ids_index(sim);
	for (i = 0; i < n; i++) {
		pn_heap_entry_init(&sim->nodes[i].timer);
		timer_set(sim, i, pn_time_add(sim->now, sim->cfg.start_in_order ?
					      spread * i / n : rng_below(&sim->rng, spread + 1)));
	}
}
