/* SPDX-License-Identifier: ISC */
/* The host of all nodes: events in virtual time, and the medium between them.
 *
 * Theory of operation
 *
 * There are two kinds of events: the arrival of a frame (a heap of our own,
 * ordered by time and then by order of sending) and a node's deadline (pn_heap,
 * one entry per node).  The earlier goes first, frames before deadlines.  After
 * each call into a node it is pumped: its frames enter the medium, its news and
 * session packets go to the watcher, its deadline is looked up.  Nothing else
 * makes anything happen, no clock is read and all randomness comes from one
 * seed, so a run repeats byte for byte.
 *
 * A link of the topology is a cable between two nodes.  At a node with up to
 * NODE_LINKS_MAX of them each is a link of its own, point to point, with a
 * carrier; a hub with more has one link on which each cable is a station (as a
 * UDP listener has).  Stations' addresses are the number of the cable, the same
 * at both ends.  The end with the lower number dials.
 *
 * Frames on a cable keep their order unless told otherwise, and each is lost
 * with the same probability.  A frame for a node that has crashed, or crashed
 * and came back, is gone.
 *
 * Bounds that a healthy network never reaches, and whose excess is noted as the
 * violation no_unbounded: a node that is due again and again without time going
 * by; a node that sends more than FRAMES_PER_EDGE frames per cable in a second;
 * an empty pool of packets; a packet that is missing at the end.
 */
#include "tests/sim/medium.h"
#include "tests/sim/util.h"

#include <stdarg.h>

#define NODE_LINKS_MAX 60	/* links of a node, below what the layer can hold */
#define SPINS_MAX 1000		/* deadlines at one moment */
#define FRAMES_PER_NODE 4000	/* frames in a second, and in addition: */
#define FRAMES_PER_EDGE 500
#define BATCH 64
#define RECORDS 64		/* lookup records that a node keeps for others */
#define PEERS 32		/* identities whose address it remembers */

void sim_trace(const struct sim *sim, const char *fmt, ...)
{
	va_list ap;

	if (!sim->cfg.trace)
		return;
	fprintf(stderr, "%11.6f ", sim_seconds(sim));
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* --- frames under way ---------------------------------------------------- */

static bool frame_before(const struct sim_frame *a, const struct sim_frame *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

static void frame_push(struct sim *sim, struct sim_frame f)
{
	uint32_t i;

	if (sim->frame_count == sim->frame_cap) {
		sim->frame_cap = sim->frame_cap ? 2 * sim->frame_cap : 1024;
		sim->frames = sim_realloc(sim->frames, sim->frame_cap, sizeof(*sim->frames));
	}
	for (i = sim->frame_count++; i > 0; i = (i - 1) / 2) {
		if (!frame_before(&f, &sim->frames[(i - 1) / 2]))
			break;
		sim->frames[i] = sim->frames[(i - 1) / 2];
	}
	sim->frames[i] = f;
}

static struct sim_frame frame_pop(struct sim *sim)
{
	struct sim_frame top = sim->frames[0], last = sim->frames[--sim->frame_count];
	uint32_t i = 0, child;

	while ((child = 2 * i + 1) < sim->frame_count) {
		if (child + 1 < sim->frame_count &&
		    frame_before(&sim->frames[child + 1], &sim->frames[child]))
			child++;
		if (!frame_before(&sim->frames[child], &last))
			break;
		sim->frames[i] = sim->frames[child];
		i = child;
	}
	if (sim->frame_count > 0)
		sim->frames[i] = last;
	return top;
}

/* --- stations ------------------------------------------------------------ */

/* fd00::edge, port 1: as a UDP station looks */
static struct pn_lladdr station_of(uint32_t edge)
{
	struct pn_lladdr ll = { .len = PN_LLADDR_UDP_LEN, .b = { 0xfd } };
	unsigned i;

	for (i = 0; i < 4; i++)
		ll.b[12 + i] = (uint8_t)(edge >> (24 - 8 * i));
	ll.b[17] = 1;
	return ll;
}

static uint32_t edge_of_station(const struct pn_lladdr *ll)
{
	if (ll->len != PN_LLADDR_UDP_LEN)
		return UINT32_MAX;
	return (uint32_t)ll->b[12] << 24 | (uint32_t)ll->b[13] << 16 | (uint32_t)ll->b[14] << 8 |
	       ll->b[15];
}

/* Which end of @edge is @node? */
static uint32_t side_of(const struct sim_edge *edge, uint32_t node)
{
	return edge->node[1] == node;
}

/* The cable that a frame leaves by; UINT32_MAX if there is none */
static uint32_t edge_of_frame(const struct sim *sim, uint32_t node, const struct pn_pkt *pkt)
{
	const struct sim_node *n = &sim->nodes[node];
	uint32_t edge;

	if (pkt->ll.len == 0 && !n->shared && pkt->link >= 0 &&
	    (uint32_t)pkt->link < n->edge_count)
		edge = sim->incident[n->edge_first + (uint32_t)pkt->link];
	else
		edge = edge_of_station(&pkt->ll);
	if (edge >= sim->topo->edge_count ||
	    (sim->edges[edge].node[0] != node && sim->edges[edge].node[1] != node) ||
	    sim->edges[edge].link[side_of(&sim->edges[edge], node)] != pkt->link)
		return UINT32_MAX;
	return edge;
}

static void count_frame(struct sim *sim, uint32_t node, const struct pn_pkt *pkt)
{
	struct sim_node *n = &sim->nodes[node];
	uint64_t second = (sim->now.ns - SIM_EPOCH_NS) / PN_S(1);

	sim->sent_frames++;
	sim->sent_bytes += pkt->len + sim->cfg.link_header;
	if (n->second != second) {
		n->second = second;
		n->frames = 0;
	}
	if (++n->frames > FRAMES_PER_NODE + FRAMES_PER_EDGE * n->edge_count)
		violation(&sim->violations, CHECK_NO_UNBOUNDED,
			  "%.40s sent more than %u frames within second %llu",
			  sim->topo->names[node], n->frames - 1, (unsigned long long)second);
}

/* Takes @pkt. */
static void medium_send(struct sim *sim, uint32_t node, struct pn_pkt *pkt)
{
	uint32_t e = edge_of_frame(sim, node, pkt), side;
	struct sim_edge *edge;
	uint64_t at_ns;

	count_frame(sim, node, pkt);
	if (e == UINT32_MAX || pkt->len > sim->cfg.mtu) {
		sim->misdirected_frames++;
		sim_trace(sim, "%s sends a frame of %u bytes to nowhere (link %d)",
			  sim->topo->names[node], pkt->len, pkt->link);
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	edge = &sim->edges[e];
	side = !side_of(edge, node);
	at_ns = sim->now.ns + sim->cfg.delay_ns - sim->cfg.delay_ns / 5 +
		rng_below(&sim->rng, 2 * (sim->cfg.delay_ns / 5) + 1);
	if ((sim->cfg.loss > 0 && rng_unit(&sim->rng) < sim->cfg.loss) || !edge->up ||
	    !sim_node_live(sim, edge->node[side])) {
		sim->lost_frames++;
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	if (!sim->cfg.reorder && at_ns < edge->last_ns[side])
		at_ns = edge->last_ns[side];
	edge->last_ns[side] = at_ns;
	frame_push(sim, (struct sim_frame){ .at_ns = at_ns, .seq = sim->frame_seq++, .pkt = pkt,
					    .edge = e, .side = side,
					    .boot = sim->nodes[edge->node[side]].boot });
}

static void frame_arrive(struct sim *sim, struct sim_frame f)
{
	struct sim_edge *edge = &sim->edges[f.edge];
	uint32_t node = edge->node[f.side];
	struct sim_node *n = &sim->nodes[node];

	if (n->state != NODE_LIVE || n->boot != f.boot || !edge->up) {
		sim->lost_frames++;
		pn_pkt_put(&sim->pool, f.pkt);
		return;
	}
	f.pkt->link = edge->link[f.side];
	f.pkt->ll = station_of(f.edge);
	net_input(n->net, &f.pkt, 1, sim->now);
	sim_node_pump(sim, node);
}

/* --- nodes --------------------------------------------------------------- */

static void node_timer_set(struct sim *sim, uint32_t node, struct pn_time at)
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
			medium_send(sim, node, pkts[i]);
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
	node_timer_set(sim, node, net_deadline(n->net));
}

/* Adjacencies of a node with so many cables: besides those, the ones between its
 * facets (eight cables each), with about log2 of the facets from each, two ends
 * each; and a few for neighbours that come back before their old one is gone. */
static uint32_t adjacencies(uint32_t cables)
{
	uint32_t facets = cables > 8 ? cables / 8 + 2 : 1, log = 0;

	while (facets >> log > 1)
		log++;
	return cables + 4 + (facets > 1 ? 2 * facets * (log + 1) : 0);
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
	cfg->adj_max = adjacencies(n->edge_count);
	cfg->record_max = RECORDS;
	cfg->peer_max = PEERS;
}

/* Links and static peers of a node that has just been made */
static void node_links(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	struct net_link_config lc = { .kind = NET_LINK_TUNNEL,
				      .mtu = sim->cfg.mtu,
				      .listen = true };
	int link = -1;
	uint32_t i;

	for (i = 0; i < n->edge_count; i++) {
		uint32_t e = sim->incident[n->edge_first + i];
		struct sim_edge *edge = &sim->edges[e];
		uint32_t side = side_of(edge, node), other = edge->node[!side];
		struct pn_lladdr ll = station_of(e);

		if (i == 0 || !n->shared) {
			snprintf(lc.name, sizeof(lc.name), "sim%u", i);
			link = net_link_add(n->net, &lc, sim->now);
			PN_ASSERT(link >= 0);
		}
		edge->link[side] = link;
		if (side == 0)
			PN_ASSERT(net_link_peer(n->net, link, &ll, sim->nodes[other].id, e,
						sim->now) == 0);
	}
}

static void node_start(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];
	struct net_config cfg;

	node_config(sim, node, &cfg);
	n->mem_size = net_mem_size(&cfg);
	n->mem = sim_check_(aligned_alloc(64, (n->mem_size + 63) / 64 * 64));
	n->net = net_init(n->mem, &cfg, sim->now);
	n->state = NODE_LIVE;
	sim->mem_bytes += n->mem_size;
	sim_trace(sim, "%s: start", sim->topo->names[node]);
	node_links(sim, node);
	sim_node_pump(sim, node);
}

static void node_end(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];

	net_fini(n->net);
	free(n->mem);
	n->mem = NULL;
	n->net = NULL;
	n->state = NODE_DEAD;
	pn_heap_remove(&sim->timers, &n->timer);
}

void sim_node_crash(struct sim *sim, uint32_t node, bool carrier)
{
	struct sim_node *n = &sim->nodes[node];
	uint32_t i;

	PN_ASSERT(n->state == NODE_LIVE);
	sim_trace(sim, "%s: crash", sim->topo->names[node]);
	node_end(sim, node);
	for (i = 0; carrier && i < n->edge_count; i++) {
		uint32_t e = sim->incident[n->edge_first + i];
		struct sim_edge *edge = &sim->edges[e];
		uint32_t side = !side_of(edge, node), other = edge->node[side];
		struct pn_lladdr ll = station_of(e);

		if (!sim_node_live(sim, other))
			continue;
		if (sim->nodes[other].shared)
			net_link_station_down(sim->nodes[other].net, edge->link[side], &ll,
					      sim->now);
		else
			net_link_carrier(sim->nodes[other].net, edge->link[side], false, sim->now);
		sim_node_pump(sim, other);
	}
}

static void node_due(struct sim *sim, uint32_t node)
{
	struct sim_node *n = &sim->nodes[node];

	if (n->state == NODE_WAITING) {
		node_start(sim, node);
		return;
	}
	net_expire(n->net, sim->now);
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
	node_timer_set(sim, node, pn_time_add(sim->now, PN_MS(1)));
}

void sim_run_until(struct sim *sim, struct pn_time until)
{
	while (true) {
		struct pn_heap_entry *e = pn_heap_top(&sim->timers);
		bool frame = sim->frame_count > 0 && (!e || sim->frames[0].at_ns <= e->at.ns);
		struct pn_time at = { frame ? sim->frames[0].at_ns : e ? e->at.ns : UINT64_MAX };

		if (pn_time_before(until, at))
			break;
		if (pn_time_before(sim->now, at))
			sim->now = at;
		if (frame)
			frame_arrive(sim, frame_pop(sim));
		else
			node_due(sim, (uint32_t)(pn_container_of(e, struct sim_node, timer) -
						 sim->nodes));
	}
	sim->now = until;
}

/* --- the whole ------------------------------------------------------------- */

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

static void identities_make(struct sim *sim)
{
	uint32_t n = sim->topo->node_count, i, at;
	struct rng r;

	rng_init(&r, sim->cfg.seed, "identities");
	for (sim->by_id_size = 4; sim->by_id_size < 2 * n;)
		sim->by_id_size *= 2;
	sim->by_id = sim_calloc(sim->by_id_size, sizeof(*sim->by_id));
	memset(sim->by_id, 0xff, sim->by_id_size * sizeof(*sim->by_id));
	for (i = 0; i < n; i++) {
		struct sim_node *node = &sim->nodes[i];

		rng_fill(&r, node->seed, sizeof(node->seed));
		net_identity_derive(node->seed, node->id);
		net_identity_hit(node->id, node->hit);
		node->boot = 1;
		at = id_hash(sim, node->id);
		while (sim->by_id[at] != UINT32_MAX)
			at = (at + 1) & (sim->by_id_size - 1);
		sim->by_id[at] = i;
	}
}

static void edges_make(struct sim *sim)
{
	const struct topology *t = sim->topo;
	uint32_t i, side, first = 0;

	for (i = 0; i < t->edge_count; i++) {
		sim->edges[i] = (struct sim_edge){ .node = { t->edges[i].a, t->edges[i].b },
						   .link = { -1, -1 }, .up = true };
		sim->nodes[t->edges[i].a].edge_count++;
		sim->nodes[t->edges[i].b].edge_count++;
	}
	for (i = 0; i < t->node_count; i++) {
		sim->nodes[i].edge_first = first;
		first += sim->nodes[i].edge_count;
		sim->nodes[i].shared = sim->nodes[i].edge_count > NODE_LINKS_MAX;
		sim->nodes[i].edge_count = 0;
	}
	for (i = 0; i < t->edge_count; i++)
		for (side = 0; side < 2; side++) {
			struct sim_node *n = &sim->nodes[sim->edges[i].node[side]];

			sim->incident[n->edge_first + n->edge_count++] = i;
		}
}

void sim_init(struct sim *sim, const struct topology *topo, const struct sim_config *cfg)
{
	uint32_t n = topo->node_count, i;
	size_t packets = pn_min(PN_POOL_MAX, 8192 + 24 * (size_t)n + 16 * (size_t)topo->edge_count);

	memset(sim, 0, sizeof(*sim));
	sim->cfg = *cfg;
	sim->topo = topo;
	sim->now.ns = SIM_EPOCH_NS;
	rng_init(&sim->rng, cfg->seed, "medium");
	sim->nodes = sim_calloc(n, sizeof(*sim->nodes));
	sim->edges = sim_calloc(topo->edge_count, sizeof(*sim->edges));
	sim->incident = sim_calloc(2 * (size_t)topo->edge_count, sizeof(*sim->incident));
	sim->pool_mem = sim_calloc(1, pn_pool_mem_size((uint32_t)packets, cfg->mtu));
	pn_pool_init(&sim->pool, sim->pool_mem, (uint32_t)packets, cfg->mtu);
	pn_heap_init(&sim->timers, sim_calloc(n, sizeof(struct pn_heap_entry *)), n);
	identities_make(sim);
	edges_make(sim);
	for (i = 0; i < n; i++) {
		pn_heap_entry_init(&sim->nodes[i].timer);
		node_timer_set(sim, i, pn_time_add(sim->now, rng_below(&sim->rng,
								       cfg->start_spread_ns + 1)));
	}
}

void sim_fini(struct sim *sim)
{
	uint32_t i;

	while (sim->frame_count > 0)
		pn_pkt_put(&sim->pool, frame_pop(sim).pkt);
	for (i = 0; i < sim->topo->node_count; i++)
		if (sim_node_live(sim, i))
			node_end(sim, i);
	if (sim->pool.free_count != sim->pool.count)
		violation(&sim->violations, CHECK_NO_UNBOUNDED,
			  "%u packet buffers are missing at the end",
			  sim->pool.count - sim->pool.free_count);
	free(sim->nodes);
	free(sim->edges);
	free(sim->incident);
	free(sim->by_id);
	free(sim->frames);
	free(sim->timers.slots);
	free(sim->pool_mem);
}

uint64_t sim_counter(const struct sim *sim, const char *name)
{
	struct net_counter c;
	uint64_t sum = 0;
	size_t at = 0;
	uint32_t i;

	for (i = 0; i < sim->topo->node_count; i++) {
		if (!sim_node_live(sim, i))
			continue;
		for (at = 0; net_counter_at(sim->nodes[i].net, at, &c); at++)
			if (!strcmp(c.name, name))
				sum += c.value;
	}
	return sum;
}
