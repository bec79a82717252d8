// SPDX-License-Identifier: ISC
/* What a neighbour says: chains, records, routes, requests, joins.
 *
 * A hub with ten tunnels, and so with two facets, was stopped in several states of
 * its network: neighbours just up, networks merging, at rest, after a loss.  Each
 * input picks one, says things, and lets the hub's timers ring for a while; the next
 * input finds the same memory again, so each repeats alone.
 *
 *   input: state 1 | then, several times: how 1 | length 2 | message
 *   how    bits 0..1: 0 reliable, 1 soft, 2 packet for the tree, 3 let time pass;
 *          bits 2..5: from which neighbour; bit 6: sign the records in it, so that
 *          a changed record is not just thrown away
 *
 * In a message A5 5A n xx xx xx xx xx stands for the n-th number that we know:
 * areas, nodes, addresses.  The records of a signed message belong to the node
 * with the number of their facet. */
#define LAB_NODES 12
#include "tests/unit/lab.h"

#include "pnstackd/net/adj_int.h"
#include "pnstackd/net/ctl_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define HUB      0
#define NODES    12
#define STATES   4
#define KNOWN    192
#define MSG_MAX  1400
#define MSGS_MAX 40
#define RINGS    40

static struct lab *lab;
static struct state {
	struct lab *lab;
	uint8_t *mem, *pool_mem;
	struct pn_pool pool;
	struct pn_time now;
	uint64_t known[KNOWN];
	unsigned known_count;
	uint32_t adj[16];
	unsigned adj_count;
} states[STATES];
static size_t mem_size, pool_size;

/* Who signs a record of which this is the facet number */
static const struct net *signer(uint16_t facet)
{
	return lab->net[1 + facet % (NODES - 1)];
}

static void know(struct state *s, uint64_t v)
{
	if (s->known_count < KNOWN)
		s->known[s->known_count++] = v;
}

static void know_chain(struct state *s, const struct net *net, const struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		know(s, chain_rec(net, c, i)->id);
}

static void *copy_of(const void *p, size_t len)
{
	void *copy = malloc(len);

	PN_ASSERT(copy);
	return memcpy(copy, p, len);
}

/* Keep the hub as it is now, alone: nothing is under way. */
static void keep(struct state *s)
{
	struct net *net = lab->net[HUB];
	struct rec r;

	lab_pump(lab);
	for (; lab->flights > 0; lab->flights--)
		pn_pkt_put(&lab->pool, lab->flight[lab->flights - 1].pkt);
	for (unsigned f = 0; f < net->ctl->facet_count; f++) {
		know(s, net->ctl->facets[f].addr);
		know_chain(s, net, &net->ctl->facets[f].chain);
	}
	for (unsigned i = 0; i < net->ctl->nb_high && s->adj_count < 16; i++) {
		if (!net->ctl->nbs[i].used)
			continue;
		s->adj[s->adj_count++] = i;
		know(s, net->ctl->nbs[i].addr);
		know_chain(s, net, &net->ctl->nbs[i].chain);
	}
	for (uint16_t facet = 0; facet < 8; facet++)
		for (uint32_t nonce = 0; nonce < 8; nonce++) {
			rec_init(&r, signer(facet), facet, nonce);
			know(s, r.id);
		}
	s->now = lab->now;
	s->pool = lab->pool;
	s->mem = copy_of(lab->mem[HUB], mem_size);
	s->pool_mem = copy_of(lab->pool_mem, pool_size);
}

/* Run a lab to the moment that @which stands for.  One lab each: sessions have memory
 * of their own, which ends with them. */
static void prepare(unsigned which)
{
	static const uint64_t later[STATES] = { 0, PN_MS(350), PN_S(12), PN_S(12) };

	lab = states[which].lab = lab_new(1);
	for (int n = 0; n < NODES; n++) {
		lab_node(lab);
		lab->cfg[n].adj_max = 24;
		lab->cfg[n].record_max = lab->cfg[n].peer_max = 4;
		lab_start(lab, n);
	}
	mem_size = net_mem_size(&lab->cfg[HUB]);
	pool_size = pn_pool_mem_size(2048, LAB_PKT_LEN);
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	for (int n = 0; n < NODES; n++) {
		lab_plug(lab, 0, n);
		lab_plug(lab, 1, n);
	}
	for (int n = 1; n <= 3; n++)
		lab_dial(lab, 0, n, HUB, net_id(lab->net[HUB]));
	for (int n = 5; n < NODES - 1; n++)      /* they are a network already */
		lab_dial(lab, 1, n, n + 1, net_id(lab->net[n + 1]));
	lab_run(lab, PN_S(6));
	for (int n = 4; n < NODES - 1; n++)
		lab_dial(lab, 0, n, HUB, net_id(lab->net[HUB]));
	lab_run(lab, PN_MS(8) + later[which]);
	if (which == 3) {
		net_goodbye(lab->net[2], lab->now);
		net_goodbye(lab->net[7], lab->now);
		lab_run(lab, PN_MS(1100));
	}
	keep(&states[which]);
}

/* The lab's pool is inside the lab: its address stays. */
static struct net *restore(const struct state *s)
{
	lab = s->lab;
	memcpy(lab->mem[HUB], s->mem, mem_size);
	memcpy(lab->pool_mem, s->pool_mem, pool_size);
	lab->pool = s->pool;
	lab->now = s->now;
	lab->net[HUB]->now = s->now;
	return lab->net[HUB];
}

static void fill_in(const struct state *s, uint8_t *msg, size_t len)
{
	for (size_t i = 0; i + 8 <= len; i++) {
		struct pn_wr w;

		if (msg[i] != 0xa5 || msg[i + 1] != 0x5a)
			continue;
		pn_wr_init(&w, msg + i, 8);
		pn_wr_u64(&w, s->known[msg[i + 2] % s->known_count]);
		i += 7;
	}
}

/* The record at @at, if it is one, by the node that its facet number says */
static void sign_at(uint8_t *at)
{
	struct pn_rd rd;
	struct pn_wr w;
	struct rec r;
	const struct net *by;

	pn_rd_init(&rd, at, REC_WIRE_LEN);
	if (rec_parse(&rd, &r))
		return;
	by = signer(r.facet);
	memcpy(r.leader_id, by->id, PN_ID_LEN);
	r.boot = by->boot;
	r.seq--;
	rec_sign(by, &r);
	pn_wr_init(&w, at, REC_WIRE_LEN);
	rec_build(&w, &r);
}

static void sign_all(uint8_t *msg, size_t len)
{
	size_t at = 3;

	if (len > REC_WIRE_LEN && msg[0] == CTL_JOIN)
		sign_at(msg + len - REC_WIRE_LEN);
	if (len < at || msg[0] != CTL_UPDATE)
		return;
	while (at + 2 + REC_WIRE_LEN <= len && msg[at] == ENTRY_SET) {
		sign_at(msg + at + 2);
		at += 2 + REC_WIRE_LEN;
	}
}

/* The neighbours take what there is for them, at once. */
static void take_all(struct net *net)
{
	struct pn_pkt *pkt;

	while (net_output(net, &pkt, 1) || net_deliver(net, &pkt, 1))
		pn_pkt_put(&lab->pool, pkt);
	for (uint32_t i = 0; i < net->ctl->nb_high; i++) {
		struct adj *a = adj_of(net, i);

		if (!net->ctl->nbs[i].used || pub_of(net, i)->kind == ADJ_INTERNAL)
			continue;
		pn_pktq_drain(&a->ctl_q, net->pool);
		a->ctl_una = a->ctl_sent = a->ctl_next;
		if (a->ctl_blocked) {
			a->ctl_blocked = false;
			ctl_on_writable(net, i, lab->now);
		}
	}
	ctlq_internal_drain(net, lab->now);
}

/* Only the facets' timers: no adjacency ends. */
static void ring(struct net *net, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		struct net_timer *first = NULL;

		for (unsigned f = 0; f < net->ctl->facet_count; f++) {
			struct net_timer *t = &net->ctl->facets[f].timer;

			if (pn_heap_has(&t->e) && (!first || pn_time_before(t->e.at, first->e.at)))
				first = t;
		}
		take_all(net);
		if (!first)
			return;
		if (pn_time_before(lab->now, first->e.at))
			lab->now = first->e.at;
		net->now = lab->now;
		timer_set(net, first, PN_TIME_NEVER);
		ctl_expire(net, first->index, lab->now);
	}
}

static void say(struct net *net, const struct state *s, unsigned how, uint8_t *msg, size_t len)
{
	static const struct net_hdr hdr = { .proto = NET_PROTO_TREE };
	uint32_t adj = s->adj[(how >> 2 & 15) % s->adj_count];

	fill_in(s, msg, len);
	if (how & 64)
		sign_all(msg, len);
	/* what the layers below see to */
	if (!adj_at(net, adj) || len == 0)
		return;
	net->now = lab->now;
	switch (how & 3) {
	case 0:
		ctl_on_msg(net, adj, msg, len, lab->now);
		break;
	case 1:
		ctl_on_soft(net, adj, msg, len, lab->now);
		break;
	case 2:
		tree_on_packet(net, 0, &hdr, msg, len, lab->now);
		break;
	case 3:
		ring(net, msg[0] % 16);
		break;
	}
}

/* What can be looked at must be there to be looked at, and sound. */
static void look(const struct net *net)
{
	struct net_area a;
	struct net_route r;

	for (uint16_t f = 0; f < net_facet_count(net); f++) {
		int base = -1;

		for (size_t i = 0; net_area_at(net, f, i, &a); i++) {
			PN_ASSERT(a.base > base);
			base = a.base;
		}
	}
	for (size_t i = 0; i < 40 && net_route_at(net, i, &r); i++)
		PN_ASSERT(r.level <= REC_LEVEL_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct state *s;
	struct net *net;
	struct pn_rd rd;

	for (unsigned i = 0; i < STATES && !states[i].lab; i++)
		prepare(i);
	if (len < 4)
		return 0;
	s = &states[data[0] % STATES];
	net = restore(s);
	pn_rd_init(&rd, data + 1, len - 1);
	for (unsigned i = 0; i < MSGS_MAX && pn_rd_left(&rd) >= 3; i++) {
		unsigned how = pn_rd_u8(&rd);
		size_t n = pn_min(pn_rd_u16(&rd), MSG_MAX);
		uint8_t *msg;

		n = pn_min(n, pn_rd_left(&rd));
		msg = n ? copy_of(pn_rd_bytes(&rd, n), n) : NULL;

		say(net, s, how, msg, n);
		free(msg);
	}
	ring(net, RINGS);
	look(net);
	return 0;
}
