/* SPDX-License-Identifier: ISC */
/* Session packets: single ones between random pairs, and flows of constant rate. */
#include "tests/sim/probe.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include "libpeernet/base/bytes.h"

#define PROBES_MAX 512		/* handles kept open, and at most one for two nodes */
#define PROBE_MAGIC 0x706e73696d707262U
#define FLOW_MAGIC 0x706e73696d666c6fU
#define PACKET_LEN (8 + 8 + PN_ID_LEN)
#define FLOW_PACKETS_MAX 1000000

struct probe {
	net_peer peer;		/* 0: free */
	uint32_t from, to;
	struct pn_time sent;
	uint64_t boot;		/* of from */
	uint64_t number;
	bool arrived;
};

void probes_init(struct traffic *t)
{
	t->probe_slots = (uint32_t)pn_min(PROBES_MAX, t->sim->topo->node_count / 2 + 1);
	t->probes = sim_calloc(t->probe_slots, sizeof(*t->probes));
}

void probes_fini(struct traffic *t)
{
	flows_close(t);
	free(t->probes);
}

/* A packet that tells what it is; NULL: no buffer */
static struct pn_pkt *packet_make(struct traffic *t, uint64_t magic, uint64_t number, uint32_t to)
{
	struct pn_pkt *pkt = pn_pkt_get(&t->sim->pool);
	struct pn_wr w;

	if (!pkt)
		return NULL;
	pn_wr_init(&w, pn_pkt_append(pkt, PACKET_LEN), PACKET_LEN);
	pn_wr_u64(&w, number); /* in front, as packets have it: no two look alike */
	pn_wr_u64(&w, magic);
	pn_wr_bytes(&w, t->sim->nodes[to].id, PN_ID_LEN);
	return pkt;
}

/* --- single ones -------------------------------------------------------------- */

static void probe_end(struct traffic *t, struct probe *p)
{
	const struct sim_node *n = &t->sim->nodes[p->from];

	if (p->peer && !p->arrived)
		sim_trace(t->sim, "probe from %s to %s, %.3f s ago, did not arrive",
			  t->sim->topo->names[p->from], t->sim->topo->names[p->to],
			  (double)pn_time_since(t->sim->now, p->sent) / 1e9);
	if (p->peer && n->state == NODE_LIVE && n->boot == p->boot)
		net_peer_close(n->net, p->peer);
	p->peer = 0;
}

void probe_send(struct traffic *t)
{
	struct sim *sim = t->sim;
	struct probe *p = &t->probes[t->probe_sent % t->probe_slots];
	struct pn_pkt *pkt;
	uint32_t from, to;

	if (!traffic_pair(t, &from, &to))
		return;
	probe_end(t, p);
	pkt = packet_make(t, PROBE_MAGIC, t->probe_sent, to);
	if (!pkt)
		return;
	pkt->flow = (uint16_t)t->probe_sent;
	*p = (struct probe){ .from = from,
			     .to = to,
			     .sent = sim->now,
			     .boot = sim->nodes[from].boot,
			     .number = t->probe_sent++ };
	p->peer = net_peer_open(sim->nodes[from].net, sim->nodes[to].hit, sim_clock(sim, from));
	if (p->peer)
		net_send_peer(sim->nodes[from].net, p->peer, pkt, sim_clock(sim, from));
	else
		pn_pkt_put(&sim->pool, pkt);
	sim_node_pump(sim, from);
}

static void probe_arrived(struct traffic *t, uint64_t number)
{
	struct probe *p = &t->probes[number % t->probe_slots];

	if (p->number == number && p->arrived) {
		t->probe_twice++;
		return;
	}
	p->arrived = p->arrived || p->number == number;
	t->probe_arrived++;
}

/* --- flows -------------------------------------------------------------------- */

/* number of a packet: round 24 bits, flow 16, packet 24 */
static uint64_t flow_number(const struct traffic *t, uint32_t flow, uint32_t packet)
{
	return (uint64_t)(t->flow_round & 0xffffff) << 40 | (uint64_t)flow << 24 | packet;
}

uint16_t flow_label(const struct traffic *t, uint32_t flow)
{
	return (uint16_t)(flow * 0x9e37 + t->flow_round);
}

bool flow_open(struct traffic *t, uint32_t from, uint32_t to, bool through)
{
	struct sim_node *n = &t->sim->nodes[from];
	struct flow f = { .from = from, .to = to, .boot = n->boot, .through = through };

	if (t->flow_count == UINT16_MAX)
		return false;
	f.peer = net_peer_open(n->net, t->sim->nodes[to].hit, sim_clock(t->sim, from));
	sim_node_pump(t->sim, from);
	if (!f.peer)
		return false; /* it talks to as many as it can already */
	t->flows = sim_realloc(t->flows, t->flow_count + 1, sizeof(*t->flows));
	t->flows[t->flow_count++] = f;
	return true;
}

static bool flow_alive(const struct traffic *t, const struct flow *f)
{
	return sim_node_live(t->sim, f->from) && t->sim->nodes[f->from].boot == f->boot;
}

void flow_send(struct traffic *t)
{
	uint32_t index;
	struct pn_pkt *pkt;
	struct flow *f;

	if (t->flow_count == 0)
		return;
	index = t->flow_turn++ % t->flow_count;
	f = &t->flows[index];
	if (!flow_alive(t, f) || f->sent == FLOW_PACKETS_MAX)
		return;
	if (f->sent == f->cap) {
		f->cap = f->cap ? 2 * f->cap : 64;
		f->sent_ns = sim_realloc(f->sent_ns, f->cap, sizeof(*f->sent_ns));
		f->arrived = sim_realloc(f->arrived, f->cap, sizeof(*f->arrived));
	}
	pkt = packet_make(t, FLOW_MAGIC, flow_number(t, index, f->sent), f->to);
	if (!pkt)
		return;
	pkt->flow = flow_label(t, index);
	f->arrived[f->sent] = false;
	f->sent_ns[f->sent++] = t->sim->now.ns;
	net_send_peer(t->sim->nodes[f->from].net, f->peer, pkt, sim_clock(t->sim, f->from));
	sim_node_pump(t->sim, f->from);
}

static void flow_arrived(struct traffic *t, uint64_t number)
{
	uint32_t flow = (uint32_t)(number >> 24 & 0xffff), packet = (uint32_t)number & 0xffffff;

	if (number >> 40 != (t->flow_round & 0xffffff) || flow >= t->flow_count ||
	    packet >= t->flows[flow].sent)
		return;
	t->flows[flow].arrived[packet] = true;
}

uint32_t flow_lost(const struct flow *f, uint64_t from_ns, uint64_t to_ns)
{
	uint32_t lost = 0, i;

	for (i = 0; i < f->sent; i++)
		lost += f->sent_ns[i] >= from_ns && f->sent_ns[i] < to_ns && !f->arrived[i];
	return lost;
}

void flows_close(struct traffic *t)
{
	uint32_t i;

	for (i = 0; i < t->flow_count; i++) {
		struct flow *f = &t->flows[i];

		if (flow_alive(t, f))
			net_peer_close(t->sim->nodes[f->from].net, f->peer);
		free(f->sent_ns);
		free(f->arrived);
	}
	free(t->flows);
	t->flows = NULL;
	t->flow_count = t->flow_turn = 0;
	t->flow_round++;
}

/* --- both --------------------------------------------------------------------- */

void probe_received(struct traffic *t, uint32_t node, const struct pn_pkt *pkt)
{
	uint64_t magic, number;
	const uint8_t *id;
	uint32_t meant;
	struct pn_rd r;

	pn_rd_init(&r, pkt->data, pkt->len);
	number = pn_rd_u64(&r);
	magic = pn_rd_u64(&r);
	id = pn_rd_bytes(&r, PN_ID_LEN);
	if (!pn_rd_finish(&r) || (magic != PROBE_MAGIC && magic != FLOW_MAGIC))
		return;
	if (memcmp(id, t->sim->nodes[node].id, PN_ID_LEN) == 0) {
		(magic == PROBE_MAGIC ? probe_arrived : flow_arrived)(t, number);
		return;
	}
	meant = sim_node_find(t->sim, id);
	t->probe_wrong++;
	violation(&t->sim->violations, CHECK_DELIVERY_IDENTITY,
		  "%.40s got a packet that was for %.40s at %.3f s", t->sim->topo->names[node],
		  meant == UINT32_MAX ? "nobody" : t->sim->topo->names[meant], sim_seconds(t->sim));
}
