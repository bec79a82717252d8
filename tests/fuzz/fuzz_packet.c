// SPDX-License-Identifier: ISC
/* Packets from a neighbour: forwarding, errors, echo, lookup.
 *
 * A node in the middle of three, with a record kept for somebody, a query, a ping
 * and a peer under way, gets one packet; then its timers ring for some seconds.
 * Every input begins with the same node, to the byte, so each repeats alone.
 *
 *   input: kind 1 | patch 1 | payload, or a whole packet
 *   kind   bits 0..2: 0 whole packet, else its proto; bit 3: walks to a key;
 *          bit 4: for an address that is not ours; bit 5: few hops; bit 6: from the
 *          other side; bit 7: three times, with the next replica each time
 *   patch  what a stranger would not know is put into the payload: bit 0: number
 *          of the query; bit 1: of the ping; bit 2: of the record handed on;
 *          bit 3: a signed record at the end of the payload; bit 4: dst and flow
 *          of what we sent, in an error; bit 5: the other query, for whom that
 *          record is; bit 6: HIT (and area) or identity of whom it concerns; bit 7: a bit of the
 *          signature is wrong
 */
#define FAKE_NAME(x_) fz_##x_
#define W_CHECK(cond_) PN_ASSERT(cond_)
#define W_POOL 64
#include "tests/unit/fake_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NODE 1

static struct {
	struct world world;
	struct w_node *node;
	uint8_t *mem;
	uint8_t record[ADDR_RECORD_MAX];
	size_t record_len, mem_len;
	uint64_t area, cookie;
	net_peer known;
} start;

uint64_t unit_random(uint64_t *state)
{
	return mix64(*state += 0x9e3779b97f4a7c15u);
}

static void drop_flights(void)
{
	while (w.head) {
		struct w_flight *f = w.head;

		w.head = f->next;
		pn_pkt_put(&w.pool, f->pkt);
		free(f);
	}
	w.tail = NULL;
}

static void *copy_of(const void *p, size_t len)
{
	void *copy = malloc(len);

	PN_ASSERT(copy);
	return memcpy(copy, p, len);
}

/* The node as every input finds it */
static void prepare(void)
{
	static const uint8_t nobody[PN_HIT_LEN] = { 0x20, 1, 2, 3 };
	struct addr_record rec = { .seq = UINT64_C(7) << 32, .lifetime_s = 100, .count = 3 };
	uint8_t raw[ADDR_RECORD_MAX];
	struct net *net;
	struct stored *s;

	w_line(3);
	w_start(1, 8, 8);
	w_run(PN_S(1));
	net = w_net(NODE);
	start.known = net_peer_open(net, w_net(2)->hit, w.now);
	net_send_peer(net, start.known, w_packet(40, 0x1234), w.now);
	w_run(PN_MS(50));
	pn_pktq_drain(&w_net(2)->deliver, &w.pool);
	net_ping(net, w_net(2)->hit, 1, 0, 0, w.now);
	net_lookup(net, nobody, 2, w.now);
	net_send_peer(net, net_peer_open(net, w_net(0)->hit, w.now), w_packet(40, 1), w.now);
	rec.base = facet_height(net, 0);
	rec.area = start.area = w_area(0, rec.base);
	rec.addrs[0] = w.vertex[0].addr;
	start.record_len = addr_record_build(w_net(0), &rec, NULL, start.record, sizeof(start.record));
	s = store_find(net, w_net(0)->hit, 0, rec.area);
	if (!s) {
		memcpy(rec.hit, w_net(0)->hit, PN_HIT_LEN);
		s = store_insert(net, &rec, 0, 0, true);
		s->seq = 1;
		if (!store_set_raw(net, s, raw, net_own_record(w_net(0), raw, sizeof(raw))))
			abort();
		s->expires = pn_time_add(w.now, PN_S(50));
	}
	s->handing = true;
	s->cookie = start.cookie = UINT64_C(0xc00c1e) << 32 |
				   (uint64_t)(s - net->lookup->records);
	s->next_try = pn_time_add(w.now, PN_S(1));
	store_rearm(net, s);
	drop_flights();
	pn_pktq_drain(&net->fwd->local, &w.pool);        /* a query that ends here */
	start.world = w;
	start.node = copy_of(w.node[NODE], sizeof(struct w_node));
	struct net_config cfg = { .record_max = 8, .peer_max = 8 };
	struct arena a = { 0 };
	struct net sizing = { 0 };

	fwd_carve(&sizing, &a, &cfg);
	lookup_carve(&sizing, &a, &cfg);
	peer_carve(&sizing, &a, &cfg);
	echo_carve(&sizing, &a, &cfg);
	start.mem_len = a.used;
	start.mem = copy_of(w.node[NODE]->mem, a.used);
}

static void put64(struct pn_pkt *pkt, uint32_t at, uint64_t v)
{
	for (uint32_t i = 0; i < 8 && at + i < pkt->len; i++)
		pkt->data[at + i] = (uint8_t)(v >> (56 - 8 * i));
}

/* Numbers that only we and the one we asked know.  Payload begins at NET_HDR_LEN. */
static void patch(struct net *net, struct pn_pkt *pkt, unsigned what)
{
	const uint32_t p = NET_HDR_LEN;

	if (what & 1)
		put64(pkt, p + 3, net->lookup->queries[what & 32 ? 1 : 0].qid);
	if (what & 2) {
		uint32_t at = pkt->data[0] == NET_PROTO_ERROR ? p + FWD_ERROR_LEN + PN_ID_LEN : p;

		put64(pkt, at + 4, net->echo->pings[0].number);
		put64(pkt, at + 12, net->echo->pings[0].cookie);
	}
	if (what & 4)
		put64(pkt, pkt->data[NET_HDR_LEN] == LOOKUP_STORE ? p + 7 : p + 2, start.cookie);
	if ((what & 8) && pkt->len >= p + start.record_len)
		memcpy(pkt->data + pkt->len - start.record_len, start.record, start.record_len);
	if ((what & 128) && pkt->len > p)
		pkt->data[pkt->len - 1] ^= 1;
	if ((what & 64) && pkt->data[0] == NET_PROTO_LOOKUP && pkt->len >= p + 11 + PN_HIT_LEN)
		memcpy(pkt->data + p + 11, w_net(0)->hit, PN_HIT_LEN);
	if ((what & 64) && pkt->data[0] == NET_PROTO_LOOKUP)
		put64(pkt, p + 11 + PN_HIT_LEN, start.area);
	if ((what & 64) && pkt->data[0] == NET_PROTO_ECHO && pkt->len >= p + ECHO_MIN)
		memcpy(pkt->data + p + ECHO_HEAD_LEN, w_net(2)->id, PN_ID_LEN);
	if ((what & 16) && pkt->len >= p + FWD_ERROR_LEN) {
		pkt->data[p + 7] = 0x12;
		pkt->data[p + 8] = 0x34;
		for (unsigned i = 0; i < 4; i++)
			pkt->data[p + 9 + i] = (uint8_t)(w_net(2)->tag >> (24 - 8 * i));
		put64(pkt, p + 13, w.vertex[2].addr);
	}
}

static struct pn_pkt *make(struct net *net, const uint8_t *data, size_t len, unsigned round)
{
	struct pn_pkt *pkt = pn_pkt_get(&w.pool);
	unsigned kind = data[0];
	struct net_hdr hdr = { .proto = kind & 7, .hops = kind & 32 ? 1 : 200,
			       .level = NET_LEVEL_ANY,
			       .src = w.vertex[kind & 64 ? 2 : 0].addr, .dst_tag = net->tag,
			       .src_tag = w_net(kind & 64 ? 2 : 0)->tag };
	size_t n = pn_min(len - 2, 2000);

	PN_ASSERT(pkt);
	if (hdr.proto == 0) {
		memcpy(pn_pkt_append(pkt, (uint32_t)n), data + 2, n);
		return pkt;
	}
	hdr.dst = w.vertex[kind & 16 ? 2 : NODE].addr;
	if (kind & 8) {
		hdr.flags = NET_HDR_F_KEY;
		hdr.dst = lookup_key(w_net(0)->hit, 0);
		hdr.level = 0;
		hdr.flags |= w.vertex[NODE].addr & 1 ? NET_HDR_F_KEY_BIT : 0;
	}
	net_hdr_build(&hdr, pn_pkt_append(pkt, NET_HDR_LEN));
	memcpy(pn_pkt_append(pkt, (uint32_t)n), data + 2, n);
	patch(net, pkt, data[1]);
	if (round > 0 && n >= 2)
		pkt->data[NET_HDR_LEN + 1] = (uint8_t)(pkt->data[NET_HDR_LEN + 1] + round);
	return pkt;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct net *net;

	if (!start.node)
		prepare();
	if (len < 2)
		return 0;
	struct pn_pool pool = w.pool;

	w = start.world;
	w.pool = pool;
	memcpy(w.node[NODE], start.node, sizeof(struct w_node));
	memcpy(w.node[NODE]->mem, start.mem, start.mem_len);
	net = w_net(NODE);
	/* what waits in the copy was put back by the last input */
	pn_pktq_init(&net->peers->waiting);
	for (uint32_t i = 0; i < net->peers->max; i++)
		net->peers->at[i].waiting = 0;
	PN_ASSERT(w.pool.free_count >= w.pool.count - 1);

	for (unsigned i = 0; i < (data[0] & 128 ? 3u : 1u); i++)
		fwd_on_packet(net, data[0] & 64 ? 1 : 0, make(net, data, len, i), w.now);
	for (unsigned i = 0; i < 14; i++) {
		w_ring(net);
		drop_flights();
		w.now = pn_time_add(w.now, PN_MS(300));
	}
	pn_pktq_drain(&net->deliver, &w.pool);
	pn_pktq_drain(&net->peers->waiting, &w.pool);
	pn_pktq_drain(&net->fwd->local, &w.pool);
	PN_ASSERT(w.pool.free_count >= w.pool.count - 1);
	return 0;
}
