/* SPDX-License-Identifier: ISC */
/* Pings and probes: packets of the layer's own making, and of ours.
 *
 * A ping is net_ping(): found by lookup, answered by the layer of the other
 * node.  Its answer must come from the identity that was asked.
 *
 * A probe is a session packet whose payload names whom it is for and which one
 * it is.  It takes the whole way of real data: a peer handle, a lookup, maybe a
 * queue, forwarding.  That it gets lost while the network heals is allowed; that
 * somebody else gets it never is. */
#include "tests/sim/measure.h"
#include "tests/sim/node.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#include "libpeernet/base/bytes.h"

#define PING_SPREAD_NS PN_S(2)
#define PING_WAIT_NS PN_S(2)
#define PING_LEN 56		/* bytes, as ping(8) */
#define PROBES_MAX 512		/* handles kept open */
#define PROBE_LEN (8 + 8 + PN_ID_LEN)
#define PROBE_MAGIC 0x706e73696d707262U
#define TOKEN_PING (UINT64_C(1) << 63)

struct ping {
	uint32_t from, to;
	uint64_t sent_ns;
	bool done;
};

struct probe {
	net_peer peer;		/* 0: free */
	uint32_t from, to;
	struct pn_time sent;
	uint64_t boot;		/* of from */
	uint64_t number;
	bool arrived;
};

static void on_event(void *arg, uint32_t node, const struct net_event *ev)
{
	struct traffic *t = arg;
	struct ping *p;

	if (ev->kind != NET_EV_ECHO && ev->kind != NET_EV_ECHO_ERROR)
		return;
	if (!(ev->token & TOKEN_PING) || (ev->token & ~TOKEN_PING) >= t->ping_count)
		return;
	p = &t->pings[ev->token & ~TOKEN_PING];
	if (p->from != node || p->done)
		return;
	if (ev->kind == NET_EV_ECHO_ERROR) {
		sim_trace(t->sim, "ping from %s to %s: %s", t->sim->topo->names[p->from],
			  t->sim->topo->names[p->to], net_err_text(ev->reason));
		t->errors++;
		return;
	}
	p->done = true;
	if (sim_node_find(t->sim, ev->id) != p->to) {
		t->wrong++;
		violation(&t->sim->violations, CHECK_DELIVERY_IDENTITY,
			  "a ping from %.40s to %.40s was answered by another identity at %.3f s",
			  t->sim->topo->names[p->from], t->sim->topo->names[p->to],
			  sim_seconds(t->sim));
	} else if (t->sim->now.ns - p->sent_ns <= PING_WAIT_NS) {
		t->answered++;
		t->rtt_sum_ns += t->sim->now.ns - p->sent_ns;
	}
}

static void on_packet(void *arg, uint32_t node, const struct pn_pkt *pkt)
{
	struct traffic *t = arg;
	const uint8_t *id;
	struct probe *p;
	uint64_t number;
	struct pn_rd r;

	pn_rd_init(&r, pkt->data, pkt->len);
	if (pn_rd_u64(&r) != PROBE_MAGIC)
		return;
	number = pn_rd_u64(&r);
	id = pn_rd_bytes(&r, PN_ID_LEN);
	if (!pn_rd_finish(&r))
		return;
	if (memcmp(id, t->sim->nodes[node].id, PN_ID_LEN) != 0) {
		uint32_t meant = sim_node_find(t->sim, id);

		t->probe_wrong++;
		violation(&t->sim->violations, CHECK_DELIVERY_IDENTITY,
			  "%.40s got a packet that was for %.40s at %.3f s",
			  t->sim->topo->names[node],
			  meant == UINT32_MAX ? "nobody" : t->sim->topo->names[meant],
			  sim_seconds(t->sim));
		return;
	}
	p = &t->probes[number % PROBES_MAX];
	if (p->number == number && p->arrived) {
		t->probe_twice++;
		return;
	}
	p->arrived = p->arrived || p->number == number;
	t->probe_arrived++;
}

void traffic_init(struct traffic *t, struct sim *sim)
{
	memset(t, 0, sizeof(*t));
	t->sim = sim;
	rng_init(&t->rng, sim->cfg.seed, "traffic");
	t->probes = sim_calloc(PROBES_MAX, sizeof(*t->probes));
	sim->watcher = (struct sim_watcher){ .arg = t, .on_event = on_event,
					     .on_packet = on_packet };
}

void traffic_fini(struct traffic *t)
{
	t->sim->watcher = (struct sim_watcher){ 0 };
	free(t->pings);
	free(t->probes);
}

/* A random pair of different live nodes of one component; false: found none */
static bool pair_draw(struct traffic *t, const uint32_t *component, uint32_t *from, uint32_t *to)
{
	uint32_t n = t->sim->topo->node_count, tries;

	for (tries = 0; tries < 10000; tries++) {
		*from = (uint32_t)rng_below(&t->rng, n);
		*to = (uint32_t)rng_below(&t->rng, n);
		if (*from != *to && component[*from] != UINT32_MAX &&
		    component[*from] == component[*to])
			return true;
	}
	return false;
}

void traffic_pings(struct traffic *t, uint32_t count)
{
	struct sim *sim = t->sim;
	uint32_t *component = sim_calloc(sim->topo->node_count, sizeof(*component)), i;
	uint64_t start_ns = sim->now.ns;

	free(t->pings);
	t->pings = sim_calloc(count, sizeof(*t->pings));
	t->ping_count = t->answered = t->errors = 0;
	t->rtt_sum_ns = 0;
	snapshot_components(sim, component);
	for (i = 0; i < count; i++) {
		struct ping *p = &t->pings[i];

		sim_run_until(sim, (struct pn_time){ start_ns + PING_SPREAD_NS / count * i });
		if (!pair_draw(t, component, &p->from, &p->to))
			break;
		p->sent_ns = sim->now.ns;
		t->ping_count++;
		net_ping(sim->nodes[p->from].net, sim->nodes[p->to].hit,
			 TOKEN_PING | i, 0, PING_LEN, sim_clock(sim, p->from));
		sim_node_pump(sim, p->from);
	}
	sim_run_until(sim, pn_time_add(sim->now, PING_WAIT_NS));
	free(component);
}

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

void traffic_probe(struct traffic *t)
{
	struct sim *sim = t->sim;
	uint32_t *component = sim_calloc(sim->topo->node_count, sizeof(*component)), from, to;
	struct probe *p = &t->probes[t->probe_sent % PROBES_MAX];
	struct pn_pkt *pkt;
	struct pn_wr w;

	snapshot_components(sim, component);
	if (!pair_draw(t, component, &from, &to))
		goto out;
	probe_end(t, p);
	pkt = pn_pkt_get(&sim->pool);
	if (!pkt)
		goto out;
	pn_wr_init(&w, pn_pkt_append(pkt, PROBE_LEN), PROBE_LEN);
	pn_wr_u64(&w, PROBE_MAGIC);
	pn_wr_u64(&w, t->probe_sent);
	pn_wr_bytes(&w, sim->nodes[to].id, PN_ID_LEN);
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
out:
	free(component);
}
