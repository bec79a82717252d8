// SPDX-License-Identifier: ISC
/* Frames into a node that has neighbours on an Ethernet and on a tunnel.
 *
 * An input is a row of steps: what 1 | argument 1 | length 1 | bytes
 *   0 the bytes as a frame from the Ethernet       1 the same from the tunnel
 *   2 the last true frame of type "argument", changed: place 2, value 1, ...
 *   3 the bytes as records of an authentic control frame (a hostile neighbour)
 *   4 the bytes as an authentic network packet (the same)
 *   5 time passes: argument * 4 ms
 * The nodes live for ROUNDS inputs, so that odd states are met, too. */
#include "pnstackd/net/adj_int.h"
#include "tests/unit/lab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ROUNDS 256
#define TYPES  10

static struct lab *lab;
static int rounds;
static uint8_t true_frame[TYPES][LAB_PKT_LEN];
static size_t true_len[TYPES];
static int true_wire[TYPES], true_from[TYPES];

static bool keep(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)l;
	if (pkt->data[0] < TYPES && lab->wire[wire].end[from].node != 0) {
		memcpy(true_frame[pkt->data[0]], pkt->data, pkt->len);
		true_len[pkt->data[0]] = pkt->len;
		true_wire[pkt->data[0]] = wire;
		true_from[pkt->data[0]] = from;
	}
	return true;
}

static void begin(void)
{
	struct net_link_config small = { .mtu = 700, .listen = true };
	uint8_t p[900] = { 1 };

	lab = lab_new(7);
	lab->tap = keep;
	for (int i = 0; i < 3; i++) {
		lab_node(lab);
		lab_start(lab, i);
	}
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(10));
	lab_wire(lab, NET_LINK_TUNNEL, PN_US(10));
	lab_plug(lab, 0, 0);
	lab_plug(lab, 0, 1);
	lab_plug_cfg(lab, 1, 0, &small);
	lab_plug_cfg(lab, 1, 2, &small);
	lab_dial(lab, 1, 1, 0, NULL);
	lab_run(lab, PN_S(6));
	lab_data(lab, 1, 0, p, 200);
	lab_data(lab, 2, 0, p, sizeof(p));	/* in two halves */
	lab_run(lab, PN_MS(10));
}

static void mutant(unsigned type, const uint8_t *p, size_t n)
{
	uint8_t copy[LAB_PKT_LEN];

	type %= TYPES;
	if (!true_len[type])
		return;
	memcpy(copy, true_frame[type], true_len[type]);
	for (; n >= 3; p += 3, n -= 3)
		copy[(p[0] | p[1] << 8) % true_len[type]] ^= p[2];
	lab_inject(lab, true_wire[type], true_from[type], 0, copy,
		   n == 1 ? p[0] % (true_len[type] + 1) : true_len[type]);
}

/* An adjacency of node 0 that is up, or ADJ_NONE */
static uint32_t some_adj(unsigned arg)
{
	uint32_t n = adj_count(lab->net[0]);

	for (uint32_t k = 0; k < n; k++) {
		const struct adj_pub *p = adj_at(lab->net[0], (arg + k) % n);

		if (p && p->kind != ADJ_INTERNAL)
			return p->index;
	}
	return ADJ_NONE;
}

static void authentic(bool packet, unsigned arg, const uint8_t *p, size_t n)
{
	struct net *net = lab->net[0];
	uint32_t adj = some_adj(arg);
	struct pn_pkt *pkt;

	if (adj == ADJ_NONE)
		return;
	net->now = lab->now;
	if (!packet) {
		uint8_t *copy = malloc(n ? n : 1);	/* so that ASan sees its edge */

		if (!copy)
			return;
		memcpy(copy, p, n);
		ctlq_on_records(net, adj, copy, n, lab->now);
		free(copy);
		return;
	}
	pkt = pn_pkt_get(&lab->pool);
	if (!pkt)
		return;
	memcpy(pn_pkt_append(pkt, (uint32_t)n), p, n);
	pkt->link = pub_of(net, adj)->link;
	fwd_on_packet(net, adj, pkt, lab->now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pn_rd r;

	if (!lab)
		begin();
	pn_rd_init(&r, data, len);
	while (pn_rd_left(&r)) {
		unsigned what = pn_rd_u8(&r), arg = pn_rd_u8(&r);
		size_t n = pn_min(pn_rd_u8(&r), pn_rd_left(&r));
		const uint8_t *p = pn_rd_bytes(&r, n);

		if (!p)
			break;
		switch (what % 6) {
		case 0:
		case 1:
			lab_inject(lab, (int)(what % 6), 1, 0, p, n);
			break;
		case 2:
			mutant(arg, p, n);
			break;
		case 3:
		case 4:
			authentic(what % 6 == 4, arg, p, n);
			break;
		case 5:
			lab_run(lab, PN_MS(4) * arg);
			break;
		}
		lab_run(lab, PN_US(30));
	}
	if (++rounds == ROUNDS || some_adj(0) == ADJ_NONE) {
		rounds = 0;
		if (lab_free(lab) != 0)
			abort();	/* a packet leaked */
		lab = NULL;
	}
	return 0;
}
