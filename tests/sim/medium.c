/* SPDX-License-Identifier: ISC */
/* Links, and the order of events in virtual time.
 *
 * Theory of operation
 *
 * There are two kinds of events: the arrival of a frame (a heap of our own,
 * ordered by time and then by order of sending) and a node's deadline (pn_heap,
 * one entry per node).  The earlier goes first, frames before deadlines.  After
 * each call into a node it is pumped (node.c): its frames enter the medium, its
 * news and session packets go to the watcher, its deadline is looked up.  Nothing
 * else makes anything happen, no clock is read and all randomness comes from one
 * seed, so a run repeats byte for byte.
 *
 * An edge is two nodes that can hear each other.  There are two sorts:
 *
 * A cable (or a tunnel) is a link of its own at both ends, point to point, with
 * a carrier.  A hub with more than NODE_CABLES_MAX has one link on which each
 * cable is a station (as a UDP listener has).  Such stations' addresses are the
 * number of the cable, the same at both ends.  The end with the lower number
 * dials, and knows whom.
 *
 * The edges of a shared medium (a LAN's stations all hear each other; on radio
 * some do) belong to the one Ethernet link of each node.  A frame to nobody in
 * particular reaches all of them at one time, each with its own chance of loss;
 * a frame to a station reaches only that one, as through a switch.  A station
 * that crashes, or goes out of reach, is missed by the others without being
 * told; only on radio, and only if wanted, their host knows (as a wireless
 * driver does).
 *
 * A frame waits until the frames before it have been sent, which takes their
 * length by the rate (the sender's port on a shared medium); when more than the
 * queue holds would wait it is dropped.  Then it is under way for the delay, more
 * or less by the jitter.  Frames of an edge keep their order unless told
 * otherwise.  A frame for a node that has crashed, or crashed and came back, or
 * whose edge was unplugged meanwhile, is gone.
 *
 * A slow node gets all frames, and serves its deadlines, later.  Each node has
 * its own clock (sim_clock()), which starts right and runs wrong.
 *
 * Bounds that a healthy network never reaches, and whose excess is noted as the
 * violation no_unbounded: a node that is due again and again without time going
 * by; a node that sends more than FRAMES_PER_EDGE frames per edge in a second;
 * an empty pool of packets; a packet that is missing at the end.
 */
#include "tests/sim/medium.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include <stdarg.h>

#define FRAMES_PER_NODE 4000	/* frames in a second, and in addition: */
#define FRAMES_PER_EDGE 500

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

static void number_put(uint8_t *at, uint32_t number)
{
	unsigned i;

	for (i = 0; i < 4; i++)
		at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* 02:00 and the number of the node: a MAC address of local meaning */
struct pn_lladdr sim_station_of(uint32_t node)
{
	struct pn_lladdr ll = { .len = PN_LLADDR_MAC_LEN, .b = { 2 } };

	number_put(ll.b + 2, node);
	return ll;
}

/* A cable is fd00::number, port 1: as a UDP station looks. */
struct pn_lladdr sim_edge_station(const struct sim *sim, uint32_t edge, uint32_t side)
{
	struct pn_lladdr ll = { .len = PN_LLADDR_UDP_LEN, .b = { 0xfd } };

	if (sim_edge_is_shared(&sim->edges[edge]))
		return sim_station_of(sim->edges[edge].node[!side]);
	number_put(ll.b + 12, edge);
	ll.b[17] = 1;
	return ll;
}

/* The edge that a frame leaves by; SIM_EDGE_NONE if there is none */
static uint32_t edge_of_frame(const struct sim *sim, uint32_t node, const struct pn_pkt *pkt)
{
	const struct sim_node *n = &sim->nodes[node];
	const uint8_t *at = pkt->ll.b + (pkt->ll.len == PN_LLADDR_MAC_LEN ? 2 : 12);
	uint32_t number = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 |
			  at[3];
	const struct sim_edge *edge;

	if (pkt->link < 0 || (uint32_t)pkt->link >= n->link_cap)
		return SIM_EDGE_NONE;
	if (n->link_edge[pkt->link] != SIM_EDGE_NONE)
		return n->link_edge[pkt->link];
	if (pkt->ll.len == PN_LLADDR_MAC_LEN)
		number = sim_edge_find(sim, node, number);
	else if (pkt->ll.len != PN_LLADDR_UDP_LEN)
		return SIM_EDGE_NONE;
	if (number >= sim->edge_count)
		return SIM_EDGE_NONE;
	edge = &sim->edges[number];
	if ((edge->node[0] != node && edge->node[1] != node) ||
	    edge->link[sim_edge_side(edge, node)] != pkt->link)
		return SIM_EDGE_NONE;
	return number;
}

static void count_frame(struct sim *sim, uint32_t node, const struct pn_pkt *pkt)
{
	struct sim_node *n = &sim->nodes[node];
	uint64_t second = (sim->now.ns - SIM_EPOCH_NS) / PN_S(1);
	uint32_t bytes = pkt->len + sim->cfg.link_header;

	sim->sent_frames++;
	sim->sent_bytes += bytes;
	n->sent_frames++;
	n->sent_bytes += bytes;
	if (n->second != second) {
		n->second = second;
		n->frames = 0;
	}
	if (++n->frames > FRAMES_PER_NODE + FRAMES_PER_EDGE * n->edge_count)
		violation(&sim->violations, CHECK_NO_UNBOUNDED,
			  "%.40s sent more than %u frames within second %llu",
			  sim->topo->names[node], n->frames - 1, (unsigned long long)second);
}

/* --- what an edge does to frames --------------------------------------------- */

static uint64_t delayed(struct sim *sim, const struct link_quality *q)
{
	uint64_t jitter = (uint64_t)((double)q->delay_ns * q->jitter);

	return q->delay_ns - jitter + rng_below(&sim->rng, 2 * jitter + 1);
}

/* When the last bit of a frame leaves; UINT64_MAX: the queue is full
 * @busy_ns: of the sender, moved on */
static uint64_t sent_at(struct sim *sim, const struct link_quality *q, uint64_t *busy_ns,
			uint32_t len)
{
	uint64_t start_ns = pn_max(*busy_ns, sim->now.ns);
	double ns_per_byte;

	if (q->rate_bps == 0)
		return sim->now.ns;
	ns_per_byte = 8e9 / (double)q->rate_bps;
	if ((double)(start_ns - sim->now.ns) > q->queue_bytes * ns_per_byte) {
		sim->queue_dropped++;
		return UINT64_MAX;
	}
	*busy_ns = start_ns + (uint64_t)((len + sim->cfg.link_header) * ns_per_byte);
	return *busy_ns;
}

static struct pn_pkt *pkt_copy(struct sim *sim, const struct pn_pkt *pkt)
{
	struct pn_pkt *copy = pn_pkt_get(&sim->pool);

	if (copy)
		memcpy(pn_pkt_append(copy, pkt->len), pkt->data, pkt->len);
	return copy;
}

/* Takes @pkt, which left at @sent_ns. */
static void travel(struct sim *sim, uint32_t e, uint32_t side, struct pn_pkt *pkt,
		   uint64_t sent_ns)
{
	struct sim_edge *edge = &sim->edges[e];
	const struct sim_node *to = &sim->nodes[edge->node[side]];
	uint64_t at_ns = sent_ns + delayed(sim, &edge->q);

	if ((edge->q.loss > 0 && rng_unit(&sim->rng) < edge->q.loss) || !edge->up ||
	    edge->deaf[side] || to->state != NODE_LIVE) {
		sim->lost_frames++;
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	at_ns += to->lag_ns;
	if (!edge->q.reorder && at_ns < edge->last_ns[side])
		at_ns = edge->last_ns[side];
	edge->last_ns[side] = at_ns;
	frame_push(sim, (struct sim_frame){ .at_ns = at_ns, .seq = sim->frame_seq++, .pkt = pkt,
					    .edge = e, .side = side, .boot = to->boot });
}

/* To all stations of the sender's Ethernet link: one event for all of them.
 * Takes @pkt. */
static void multicast(struct sim *sim, uint32_t node, struct pn_pkt *pkt)
{
	struct sim_node *n = &sim->nodes[node];
	uint64_t at_ns = sent_at(sim, &sim->cfg.link, &n->busy_ns, pkt->len);

	if (at_ns == UINT64_MAX) {
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	frame_push(sim, (struct sim_frame){ .at_ns = at_ns + delayed(sim, &sim->cfg.link),
					    .seq = sim->frame_seq++, .pkt = pkt,
					    .edge = SIM_EDGE_NONE, .side = node });
}

void sim_medium_send(struct sim *sim, uint32_t node, struct pn_pkt *pkt)
{
	struct sim_node *n = &sim->nodes[node];
	uint32_t e = SIM_EDGE_NONE, side;
	bool to_all = pkt->ll.len == 0 && n->ether >= 0 && pkt->link == n->ether;
	struct sim_edge *edge;
	struct pn_pkt *copy;
	uint64_t sent_ns;

	count_frame(sim, node, pkt);
	if (!to_all)
		e = edge_of_frame(sim, node, pkt);
	if ((!to_all && e == SIM_EDGE_NONE) || pkt->len > sim->cfg.mtu) {
		sim->misdirected_frames++;
		sim_trace(sim, "%s sends a frame of %u bytes to nowhere (link %d)",
			  sim->topo->names[node], pkt->len, pkt->link);
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	if (to_all) {
		multicast(sim, node, pkt);
		return;
	}
	edge = &sim->edges[e];
	side = !sim_edge_side(edge, node);
	sent_ns = sent_at(sim, &edge->q,
			  sim_edge_is_shared(edge) ? &n->busy_ns : &edge->busy_ns[side], pkt->len);
	if (sent_ns == UINT64_MAX) {
		pn_pkt_put(&sim->pool, pkt);
		return;
	}
	if (edge->q.duplicate > 0 && rng_unit(&sim->rng) < edge->q.duplicate) {
		copy = pkt_copy(sim, pkt);
		sim->duplicated_frames++;
		if (copy)
			travel(sim, e, side, copy, sent_ns);
	}
	travel(sim, e, side, pkt, sent_ns);
}

/* Takes @pkt. */
static void deliver(struct sim *sim, uint32_t e, uint32_t side, struct pn_pkt *pkt)
{
	uint32_t node = sim->edges[e].node[side];

	pkt->link = sim->edges[e].link[side];
	pkt->ll = sim_edge_station(sim, e, side);
	net_input(sim->nodes[node].net, &pkt, 1, sim_clock(sim, node));
	sim_node_pump(sim, node);
}

static void multicast_arrive(struct sim *sim, uint32_t from, struct pn_pkt *pkt)
{
	uint32_t i;

	for (i = 0; i < sim->nodes[from].edge_count; i++) {
		uint32_t e = sim->nodes[from].edges[i];
		struct sim_edge *edge = &sim->edges[e];
		uint32_t side = !sim_edge_side(edge, from);
		const struct sim_node *to = &sim->nodes[edge->node[side]];
		struct pn_pkt *copy;

		if (!sim_edge_is_shared(edge))
			continue;
		if (!edge->up || edge->deaf[side] || to->state != NODE_LIVE ||
		    (edge->q.loss > 0 && rng_unit(&sim->rng) < edge->q.loss)) {
			sim->lost_frames++;
			continue;
		}
		copy = pkt_copy(sim, pkt);
		if (!copy)
			break;
		if (to->lag_ns == 0)
			deliver(sim, e, side, copy);
		else
			frame_push(sim, (struct sim_frame){
				.at_ns = sim->now.ns + to->lag_ns, .seq = sim->frame_seq++,
				.pkt = copy, .edge = e, .side = side, .boot = to->boot });
	}
	pn_pkt_put(&sim->pool, pkt);
}

static void frame_arrive(struct sim *sim, struct sim_frame f)
{
	struct sim_edge *edge;
	struct sim_node *n;

	if (f.edge == SIM_EDGE_NONE) {
		multicast_arrive(sim, f.side, f.pkt);
		return;
	}
	edge = &sim->edges[f.edge];
	n = &sim->nodes[edge->node[f.side]];
	if (n->state != NODE_LIVE || n->boot != f.boot || !edge->up || edge->link[f.side] < 0) {
		sim->lost_frames++;
		pn_pkt_put(&sim->pool, f.pkt);
		return;
	}
	deliver(sim, f.edge, f.side, f.pkt);
}

struct pn_time sim_true_time(const struct sim *sim, uint32_t node, struct pn_time local)
{
	const struct sim_node *n = &sim->nodes[node];
	int64_t d, t;

	if (pn_time_is_never(local) || (n->drift_ppb == 0 && n->clock_off_ns == 0))
		return local;
	d = (int64_t)(local.ns - n->drift_from_ns) - n->clock_off_ns;
	t = (int64_t)((__int128)d * 1000000000 / (1000000000 + n->drift_ppb));
	while (t + (int64_t)((__int128)t * n->drift_ppb / 1000000000) < d)
		t++; /* what is rounded is a nanosecond or two */
	return (struct pn_time){ n->drift_from_ns + (uint64_t)t };
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
			sim_node_due(sim, (uint32_t)(pn_container_of(e, struct sim_node, timer) -
						     sim->nodes));
	}
	sim->now = until;
}

/* --- the whole ------------------------------------------------------------- */

static uint32_t packets_of(const struct topology *t)
{
	uint64_t n = 8192 + 24 * (uint64_t)t->node_count;
	uint32_t i;

	for (i = 0; i < t->edge_count; i++)
		n += t->edges[i].kind == TOPO_LAN ? 2 : 16;
	return (uint32_t)pn_min(PN_POOL_MAX, n);
}

void sim_init(struct sim *sim, const struct topology *topo, const struct sim_config *cfg)
{
	uint32_t n = topo->node_count, packets = packets_of(topo);

	memset(sim, 0, sizeof(*sim));
	sim->cfg = *cfg;
	sim->first_link = cfg->link;
	sim->first_tunnel = cfg->tunnel;
	sim->topo = topo;
	sim->now.ns = SIM_EPOCH_NS;
	rng_init(&sim->rng, cfg->seed, "medium");
	sim->nodes = sim_calloc(n, sizeof(*sim->nodes));
	sim->pool_mem = sim_calloc(1, pn_pool_mem_size(packets, cfg->mtu));
	pn_pool_init(&sim->pool, sim->pool_mem, packets, cfg->mtu);
	sim->pool_low = packets;
	pn_heap_init(&sim->timers, sim_calloc(n, sizeof(struct pn_heap_entry *)), n);
	sim_edges_init(sim);
	sim_nodes_init(sim);
}

void sim_fini(struct sim *sim)
{
	uint32_t i;

	while (sim->frame_count > 0)
		pn_pkt_put(&sim->pool, frame_pop(sim).pkt);
	for (i = 0; i < sim->topo->node_count; i++) {
		if (sim_node_live(sim, i))
			sim_node_end(sim, i);
		free(sim->nodes[i].edges);
		free(sim->nodes[i].link_edge);
	}
	if (sim->pool.free_count != sim->pool.count)
		violation(&sim->violations, CHECK_NO_UNBOUNDED,
			  "%u packet buffers are missing at the end",
			  sim->pool.count - sim->pool.free_count);
	free(sim->nodes);
	free(sim->edges);
	free(sim->by_pair);
	free(sim->by_id);
	free(sim->frames);
	free(sim->timers.slots);
	free(sim->pool_mem);
}

uint64_t sim_addresses_hash(const struct sim *sim, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	uint64_t h = 0xcbf29ce484222325U;
	uint16_t f;

	if (!sim_node_live(sim, node))
		return 0;
	for (f = 0; f < net_facet_count(net); f++)
		h = (h ^ net_address(net, f)) * 0x100000001b3U;
	return h ? h : 1;
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
