/* SPDX-License-Identifier: ISC */
/* A few nodes on virtual wires, for unit tests and fuzz targets: real struct
 * nets, virtual time, seeded loss, duplicates and disorder.  Static functions,
 * so that a fuzz target needs no object of its own. */
#ifndef TESTS_LAB_H
#define TESTS_LAB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/net/net.h"

#ifndef LAB_NODES
#define LAB_NODES   8
#endif
#ifndef LAB_WIRES
#define LAB_WIRES   8
#endif
#define LAB_FLIGHT  4096
#define LAB_PKT_LEN 2048

struct lab_end { int node, link; struct pn_lladdr ll; };

struct lab_wire {
	enum net_link_kind kind;
	struct lab_end end[LAB_NODES];
	int ends;
	uint64_t delay_ns, jitter_ns;
	unsigned loss_pm, dup_pm;        /* per mille */
	bool cut;
};
struct lab_flight { struct pn_time at; uint64_t order; int wire, to; struct pn_pkt *pkt; };

struct lab {
	struct pn_pool pool;
	void *pool_mem, *mem[LAB_NODES];
	struct net *net[LAB_NODES];
	struct net_config cfg[LAB_NODES];
	int nodes, wires;
	struct lab_wire wire[LAB_WIRES];
	struct lab_flight flight[LAB_FLIGHT];
	int flights;
	uint64_t order, seed, frames, bytes;
	struct pn_time now;
	/* sees every frame; false: the frame is lost */
	bool (*tap)(struct lab *lab, int wire, int from, struct pn_pkt *pkt);
	uint8_t last[LAB_PKT_LEN];       /* free for the tap */
	size_t last_len;
	int last_from;
	struct net_event ev[LAB_NODES];  /* newest of the kind looked for */
	unsigned ev_count[LAB_NODES][16];
	unsigned delivered[LAB_NODES];
	uint8_t got[LAB_NODES][LAB_PKT_LEN];  /* last payload delivered */
	size_t got_len[LAB_NODES];
	enum net_err last_reason[LAB_NODES][16];
};

static inline uint64_t lab_random(struct lab *lab)
{
	uint64_t z = lab->seed += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static inline struct lab *lab_new(uint64_t seed)
{
	struct lab *lab = calloc(1, sizeof(*lab));

	if (!lab)
		abort();
	lab->seed = seed;
	lab->now = (struct pn_time){ PN_S(1000) };
	lab->pool_mem = malloc(pn_pool_mem_size(2048, LAB_PKT_LEN));
	if (!lab->pool_mem)
		abort();
	pn_pool_init(&lab->pool, lab->pool_mem, 2048, LAB_PKT_LEN);
	return lab;
}

/* (Re)start node @n with lab->cfg[n], which is then kept */
static inline void lab_start(struct lab *lab, int n)
{
	struct net_config *cfg = &lab->cfg[n];
	size_t size;

	cfg->boot++;
	for (size_t i = 0; i < sizeof(cfg->random); i++)
		cfg->random[i] = (uint8_t)lab_random(lab);
	size = net_mem_size(cfg);
	if (posix_memalign(&lab->mem[n], 64, size) != 0)
		abort();
	memset(lab->mem[n], 0xa5, size);
	lab->net[n] = net_init(lab->mem[n], cfg, lab->now);
}

static inline int lab_node(struct lab *lab)
{
	int n = lab->nodes++;
	struct net_config *cfg = &lab->cfg[n];

	net_config_default(cfg);
	for (size_t i = 0; i < sizeof(cfg->seed); i++)
		cfg->seed[i] = (uint8_t)lab_random(lab);
	cfg->pool = &lab->pool;
	cfg->adj_max = 16;
	cfg->record_max = 64;
	cfg->peer_max = 16;
	return n;
}

static inline int lab_wire(struct lab *lab, enum net_link_kind kind, uint64_t delay_ns)
{
	lab->wire[lab->wires] = (struct lab_wire){ .kind = kind, .delay_ns = delay_ns };
	return lab->wires++;
}

/* Return: the end's number on the wire */
static inline int lab_plug_cfg(struct lab *lab, int wire, int node, struct net_link_config *cfg)
{
	struct lab_wire *w = &lab->wire[wire];
	struct lab_end *e = &w->end[w->ends];

	cfg->kind = w->kind;
	e->node = node;
	e->ll.len = w->kind == NET_LINK_ETHERNET ? PN_LLADDR_MAC_LEN : PN_LLADDR_UDP_LEN;
	memset(e->ll.b, 0, sizeof(e->ll.b));
	e->ll.b[0] = 2;
	e->ll.b[4] = (uint8_t)wire;
	e->ll.b[5] = (uint8_t)(w->ends + 1);
	cfg->self = e->ll;
	e->link = net_link_add(lab->net[node], cfg, lab->now);
	return w->ends++;
}

static inline int lab_plug(struct lab *lab, int wire, int node)
{
	struct net_link_config cfg = { .mtu = 1500, .listen = true };

	return lab_plug_cfg(lab, wire, node, &cfg);
}

static inline void lab_dial(struct lab *lab, int wire, int from, int to, const uint8_t *id)
{
	struct lab_wire *w = &lab->wire[wire];

	(void)!net_link_peer(lab->net[w->end[from].node], w->end[from].link, &w->end[to].ll, id, 7,
			     lab->now);
}

static inline void lab_fly(struct lab *lab, int wire, int to, struct pn_pkt *pkt)
{
	struct lab_wire *w = &lab->wire[wire];
	uint64_t d = w->delay_ns + (w->jitter_ns ? lab_random(lab) % w->jitter_ns : 0);

	if (lab->flights == LAB_FLIGHT) {
		pn_pkt_put(&lab->pool, pkt);
		return;
	}
	lab->flight[lab->flights++] = (struct lab_flight){ pn_time_add(lab->now, d), lab->order++,
							   wire, to, pkt };
}

/* A copy of @len bytes to end @to of a wire, as if end @from had sent it */
static inline void lab_inject(struct lab *lab, int wire, int from, int to, const void *p,
			      size_t len)
{
	struct pn_pkt *pkt = pn_pkt_get(&lab->pool);

	if (!pkt)
		return;
	if (len)
		memcpy(pn_pkt_append(pkt, (uint32_t)len), p, len);
	pkt->ll = lab->wire[wire].end[from].ll;
	lab_fly(lab, wire, to, pkt);
}

static inline void lab_send(struct lab *lab, int wire, int from, struct pn_pkt *pkt)
{
	struct lab_wire *w = &lab->wire[wire];

	lab->frames++;
	lab->bytes += pkt->len;
	if (w->kind == NET_LINK_ETHERNET && pkt->len < 46)
		memset(pn_pkt_append(pkt, 46 - pkt->len), 0xee, 46 - pkt->len);
	if (!w->cut && (!lab->tap || lab->tap(lab, wire, from, pkt)))
		for (int to = 0; to < w->ends; to++) {
			if (to == from ||
			    (pkt->ll.len &&
			     !pn_lladdr_equal(&pkt->ll, &w->end[to].ll)))
				continue;
			if (lab_random(lab) % 1000 >= w->loss_pm)
				lab_inject(lab, wire, from, to, pkt->data, pkt->len);
			if (lab_random(lab) % 1000 < w->dup_pm)
				lab_inject(lab, wire, from, to, pkt->data, pkt->len);
		}
	pn_pkt_put(&lab->pool, pkt);
}

static inline void lab_pump(struct lab *lab)
{
	struct pn_pkt *pkt;
	struct net_event ev;

	for (int n = 0; n < lab->nodes; n++) {
		if (!lab->net[n])
			continue;
		while (net_output(lab->net[n], &pkt, 1)) {
			int wire = -1, from = -1;

			for (int w = 0; w < lab->wires; w++)
				for (int e = 0; e < lab->wire[w].ends; e++)
					if (lab->wire[w].end[e].node == n &&
					    lab->wire[w].end[e].link == pkt->link) {
						wire = w;
						from = e;
					}
			if (wire < 0)
				pn_pkt_put(&lab->pool, pkt);
			else
				lab_send(lab, wire, from, pkt);
		}
		while (net_deliver(lab->net[n], &pkt, 1)) {
			lab->delivered[n]++;
			lab->got_len[n] = pkt->len;
			memcpy(lab->got[n], pkt->data, pkt->len);
			pn_pkt_put(&lab->pool, pkt);
		}
		while (net_next_event(lab->net[n], &ev)) {
			lab->ev_count[n][ev.kind]++;
			lab->last_reason[n][ev.kind] = ev.reason;
			lab->ev[n] = ev;
		}
	}
}

static inline int lab_next_flight(const struct lab *lab)
{
	int best = -1;

	for (int i = 0; i < lab->flights; i++)
		if (best < 0 || lab->flight[i].at.ns < lab->flight[best].at.ns ||
		    (lab->flight[i].at.ns == lab->flight[best].at.ns &&
		     lab->flight[i].order < lab->flight[best].order))
			best = i;
	return best;
}

/* One step of virtual time, at most to @until.  Return: false when there */
static inline bool lab_step(struct lab *lab, struct pn_time until)
{
	int f;
	struct pn_time t = until;

	lab_pump(lab);
	f = lab_next_flight(lab);
	if (f >= 0)
		t = pn_time_min(t, lab->flight[f].at);
	for (int n = 0; n < lab->nodes; n++)
		if (lab->net[n])
			t = pn_time_min(t, net_deadline(lab->net[n]));
	if (pn_time_before(lab->now, t))
		lab->now = t;
	if (f >= 0 && pn_time_due(lab->flight[f].at, lab->now)) {
		struct lab_flight fl = lab->flight[f];
		struct lab_end *e = &lab->wire[fl.wire].end[fl.to];

		lab->flight[f] = lab->flight[--lab->flights];
		fl.pkt->link = e->link;
		if (lab->net[e->node] && e->link >= 0 && !lab->wire[fl.wire].cut)
			net_input(lab->net[e->node], &fl.pkt, 1, lab->now);
		else
			pn_pkt_put(&lab->pool, fl.pkt);
	}
	for (int n = 0; n < lab->nodes; n++)
		if (lab->net[n] && pn_time_due(net_deadline(lab->net[n]), lab->now))
			net_expire(lab->net[n], lab->now);
	lab_pump(lab);
	return pn_time_before(lab->now, until);
}

static inline void lab_run(struct lab *lab, uint64_t ns)
{
	struct pn_time until = pn_time_add(lab->now, ns);

	while (lab_step(lab, until))
		;
}

static inline void lab_stop(struct lab *lab, int n)
{
	if (!lab->net[n])
		return;
	net_fini(lab->net[n]);
	free(lab->mem[n]);
	lab->net[n] = NULL;
	lab->mem[n] = NULL;
}

/* Return: packets that leaked: must be 0 */
static inline uint32_t lab_free(struct lab *lab)
{
	uint32_t leaked;

	for (int n = 0; n < lab->nodes; n++)
		lab_stop(lab, n);
	for (int i = 0; i < lab->flights; i++)
		pn_pkt_put(&lab->pool, lab->flight[i].pkt);
	leaked = lab->pool.count - lab->pool.free_count;
	free(lab->pool_mem);
	free(lab);
	return leaked;
}

static inline uint64_t lab_counter(const struct lab *lab, int n, const char *name)
{
	struct net_counter c;

	for (size_t i = 0; net_counter_at(lab->net[n], i, &c); i++)
		if (strcmp(c.name, name) == 0)
			return c.value;
	fprintf(stderr, "no counter %s\n", name);
	abort();
}

static inline int lab_neighbours(const struct lab *lab, int n)
{
	struct net_neighbour nb;
	int k = 0;

	while (net_neighbour_at(lab->net[n], (size_t)k, &nb, lab->now))
		k++;
	return k;
}

/* Both ends of one network?  Then data can flow */
static inline bool lab_merged(const struct lab *lab, int a, int b)
{
	return net_root_id(lab->net[a]) == net_root_id(lab->net[b]);
}

static inline void lab_data(struct lab *lab, int from, int to, const void *p, size_t len)
{
	struct pn_pkt *pkt = pn_pkt_get(&lab->pool);

	if (!pkt)
		abort();
	memcpy(pn_pkt_append(pkt, (uint32_t)len), p, len);
	net_send_addr(lab->net[from], net_address(lab->net[to], 0),
		      net_hit_tag(net_hit(lab->net[to])), pkt, lab->now);
	lab_pump(lab);
}

/* Run until node @n has @want neighbours.  Return: nanoseconds it took; UINT64_MAX: too long */
static inline uint64_t lab_until_neighbours(struct lab *lab, int n, int want, uint64_t max_ns)
{
	struct pn_time start = lab->now, until = pn_time_add(start, max_ns);

	while (lab_neighbours(lab, n) != want)
		if (!lab_step(lab, until))
			return lab_neighbours(lab, n) == want ? max_ns : UINT64_MAX;
	return pn_time_since(lab->now, start);
}

#endif
