// SPDX-License-Identifier: ISC
/* Peers: handles, packets that wait, moving, path MTU; pings and traces. */
#define FAKE_NAME(x_) tp_##x_
#include "tests/unit/fake_net.h"

static void handles(void)
{
	net_peer p, q;

	w_line(3);
	w_start(1, 16, 2);
	p = net_peer_open(w_net(0), w_net(1)->hit, w.now);
	CU_ASSERT(p != 0);
	CU_ASSERT_EQUAL(net_peer_open(w_net(0), w_net(1)->hit, w.now), p);
	q = net_peer_open(w_net(0), w_net(2)->hit, w.now);
	CU_ASSERT(q != 0);
	CU_ASSERT(q != p);
	/* full of peers that are held */
	CU_ASSERT_EQUAL(net_peer_open(w_net(0), w_net(0)->hit, w.now), 0);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_table_full), 1);
	net_peer_close(w_net(0), p);
	CU_ASSERT_EQUAL(net_peer_open(w_net(0), w_net(0)->hit, w.now), 0);
	net_peer_close(w_net(0), p);
	/* a cache until its place is needed */
	CU_ASSERT_EQUAL(net_peer_open(w_net(0), w_net(1)->hit, w.now), p);
	net_peer_close(w_net(0), p);
	CU_ASSERT(net_peer_open(w_net(0), w_net(0)->hit, w.now) != 0);
	/* stale, wrong, none */
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), PEER_MTU_MIN);
	net_send_peer(w_net(0), p, w_packet(100, 0), w.now);
	net_send_peer(w_net(0), 0, w_packet(100, 0), w.now);
	net_send_peer(w_net(0), UINT32_MAX, w_packet(100, 0), w.now);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_queue_dropped), 3);
	net_peer_close(w_net(0), p);
	w_end();
}

static void found_and_sent(void)
{
	struct net_event ev;
	struct pn_pkt *pkt;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	for (unsigned i = 0; i < 5; i++)
		net_send_peer(w_net(0), p, w_packet(100 + i, 7), w.now);
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 0);
	w_run(PN_MS(100));
	CU_ASSERT(w_event_of(0, NET_EV_PEER_RESOLVED, &ev));
	CU_ASSERT_EQUAL(ev.peer, p);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), 1500 - NET_HDR_LEN);
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 5);
	for (unsigned i = 0; i < 5; i++) {           /* in order */
		pkt = pn_pktq_pop(&w_net(5)->deliver);
		CU_ASSERT_EQUAL(pkt->len, 100 + i);
		CU_ASSERT_EQUAL(pkt->tag, w_net(0)->tag);
		pn_pkt_put(&w.pool, pkt);
	}
	/* the ECN bits go through */
	pkt = w_packet(10, 7);
	pkt->ecn = 2;
	net_send_peer(w_net(0), p, pkt, w.now);
	w_run(PN_MS(10));
	pkt = pn_pktq_pop(&w_net(5)->deliver);
	CU_ASSERT_EQUAL(pkt->ecn, 2);
	pn_pkt_put(&w.pool, pkt);
	w_end();
}

static void ourselves(void)
{
	net_peer p;

	w_line(2);
	w_start(1, 16, 16);
	p = net_peer_open(w_net(0), w_net(0)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	CU_ASSERT_EQUAL(w_net(0)->deliver.count, 1);
	CU_ASSERT_EQUAL(w_net(0)->deliver.head->tag, w_net(0)->tag);
	w_end();
}

static void bounded_waiting(void)
{
	net_peer p[20];
	struct net_event ev;
	unsigned failed = 0;

	w_line(4);
	w_start(1, 16, 64);
	w.loss_percent = 100;
	for (unsigned i = 0; i < 20; i++) {
		uint8_t hit[PN_HIT_LEN] = { 0x20, 3, (uint8_t)i };

		p[i] = net_peer_open(w_net(0), hit, w.now);
		for (unsigned k = 0; k < 12; k++)
			net_send_peer(w_net(0), p[i], w_packet(1 + k, 0), w.now);
		CU_ASSERT_EQUAL(peer_at(w_net(0), p[i])->waiting, WAIT_PER_PEER);
		CU_ASSERT(w_net(0)->peers->waiting.count <= WAIT_ALL);
	}
	CU_ASSERT_EQUAL(w_net(0)->peers->waiting.count, WAIT_ALL);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_queue_dropped), 20 * 12 - WAIT_ALL);
	/* the oldest went: the first 12 peers have nothing left, the rest their last 8 */
	CU_ASSERT_EQUAL(peer_at(w_net(0), p[11])->waiting, 0);
	CU_ASSERT_EQUAL(peer_at(w_net(0), p[12])->waiting, WAIT_PER_PEER);
	CU_ASSERT_EQUAL(w_net(0)->peers->waiting.head->len, 5);
	/* one that is closed takes its packets along */
	net_peer_close(w_net(0), p[19]);
	CU_ASSERT_EQUAL(w_net(0)->peers->waiting.count, WAIT_ALL - WAIT_PER_PEER);
	/* all of them fail in the end, and nothing waits any more */
	w_run(PN_S(8));
	while (w_event_of(0, NET_EV_PEER_FAILED, &ev)) {
		CU_ASSERT_EQUAL(ev.reason, NET_ERR_UNKNOWN);
		failed++;
	}
	CU_ASSERT_EQUAL(failed, 19);
	CU_ASSERT_EQUAL(w_net(0)->peers->waiting.count, 0);
	/* and the next packet asks again */
	w.loss_percent = 0;
	net_send_peer(w_net(0), p[0], w_packet(1, 0), w.now);
	CU_ASSERT_EQUAL(peer_at(w_net(0), p[0])->state, PEER_RESOLVING);
	w_end();
}

/* Closed while it waits for its turn to be looked up, and opened again: it is asked for. */
static void closed_while_busy(void)
{
	net_peer p;

	w_line(6);
	w_start(1, 128, 16);
	w_run(PN_S(2));
	for (unsigned i = 0; i < LOOKUP_QUERIES; i++) {
		uint8_t hit[PN_HIT_LEN] = { 0x20, 7, (uint8_t)i };

		net_lookup(w_net(0), hit, i, w.now);
	}
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	CU_ASSERT_EQUAL(peer_at(w_net(0), p)->state, PEER_RESOLVING);
	CU_ASSERT(!peer_at(w_net(0), p)->looking);
	net_peer_close(w_net(0), p);
	w_run(PN_S(20));                 /* the queries end */
	CU_ASSERT_EQUAL(net_peer_open(w_net(0), w_net(5)->hit, w.now), p);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_S(2));
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 1);
	w_end();
}

/* The peer gets another address, somebody else gets the old one. */
static void moving(void)
{
	uint64_t free_addr;
	struct net_event ev;
	unsigned got;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 1);
	free_addr = w.vertex[5].addr ^ 1;            /* 5's sibling is 4 or nobody */
	for (unsigned i = 0; i < 6; i++) {
		if (w.vertex[i].addr == free_addr)
			w_move(i, w.vertex[5].addr);
	}
	w_move(5, free_addr);
	got = w_net(5)->deliver.count;
	for (unsigned i = 0; i < 30; i++) {
		net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
		w_run(PN_MS(100));
	}
	CU_ASSERT(w_count(0, COUNT_peer_gone) > 0);
	CU_ASSERT(w_count(0, COUNT_peer_relookups) > 0);
	CU_ASSERT(w_count(0, COUNT_peer_relookups) < 5);
	CU_ASSERT(w_net(5)->deliver.count >= got + 20);
	CU_ASSERT_EQUAL(peer_at(w_net(0), p)->addrs[0], free_addr);
	CU_ASSERT(!w_event_of(0, NET_EV_PEER_FAILED, &ev));
	w_end();
}

/* The same, told inside a session: no lookup at all. */
static void moving_told(void)
{
	uint8_t rec[NET_RECORD_MAX], old[NET_RECORD_MAX];
	uint64_t queries, there;
	size_t len, old_len;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_MS(100));
	queries = w_count(0, COUNT_lookup_queries);
	old_len = net_own_record(w_net(5), old, sizeof(old));
	there = w_free_addr();
	w_move(5, there);
	w_run(PN_MS(100));
	len = net_own_record(w_net(5), rec, sizeof(rec));
	CU_ASSERT(len > 0);
	CU_ASSERT_EQUAL(net_own_record(w_net(5), rec, len - 1), 0);
	rec[len - 1] ^= 1;
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), rec, len, w.now), PN_EAUTH);
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), rec, len - 1, w.now), PN_EBADMSG);
	rec[len - 1] ^= 1;
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), rec, len, w.now), 0);
	CU_ASSERT_EQUAL(peer_target(w_net(0), peer_at(w_net(0), p), w.now), there);
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), old, old_len, w.now), 0);    /* old news */
	CU_ASSERT_EQUAL(peer_target(w_net(0), peer_at(w_net(0), p), w.now), there);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries);
	w_end();
}

/* A peer that cannot be reached: doubt, some lookups, and after a while the end. */
static void lost(void)
{
	struct net_event ev;
	net_peer p;
	unsigned i;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_MS(100));
	/* gone without a word; its sibling knows that nobody is there */
	w.vertex[5].addr = w_free_addr();
	w_measure();
	w_net(5)->lookup->ready = false;
	w.node[4]->adj[1].pub.up = false;
	for (i = 0; i < 400 && !w_event_of(0, NET_EV_PEER_FAILED, &ev); i++) {
		net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
		w_run(PN_MS(100));
	}
	CU_ASSERT(i > 50);
	CU_ASSERT(i < 400);
	CU_ASSERT_EQUAL(ev.reason, NET_ERR_ROUTE);
	CU_ASSERT_EQUAL(ev.peer, p);
	CU_ASSERT(w_count(0, COUNT_peer_relookups) <= 14);
	w_end();
}

/* There was no way for a while, and it has the address that it had: it is found again, by
 * pings, which nobody waits for, and by packets after they had failed. */
static void way_back(void)
{
	struct net_event ev;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	net_ping(w_net(0), w_net(5)->hit, 1, 0, 0, w.now);
	w_run(PN_MS(100));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	w.node[4]->adj[1].pub.up = false;
	for (unsigned i = 0; i < 3; i++) {
		net_ping(w_net(0), w_net(5)->hit, 2 + i, 0, 0, w.now);
		w_run(PN_MS(500));
	}
	w.node[4]->adj[1].pub.up = true;
	w_run(PN_S(10));
	while (w_event_of(0, NET_EV_ECHO_ERROR, &ev))
		;
	net_ping(w_net(0), w_net(5)->hit, 9, 0, 0, w.now);
	w_run(PN_S(1));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	CU_ASSERT_EQUAL(ev.token, 9);

	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	w.node[4]->adj[1].pub.up = false;
	for (unsigned i = 0; i < 400 && !w_event_of(0, NET_EV_PEER_FAILED, &ev); i++) {
		net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
		w_run(PN_MS(100));
	}
	CU_ASSERT_EQUAL(ev.reason, NET_ERR_ROUTE);
	w.node[4]->adj[1].pub.up = true;
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_S(3));
	CU_ASSERT(w_event_of(0, NET_EV_PEER_RESOLVED, &ev));
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 1);
	w_end();
}

/* Errors that a stranger made up change nothing: he does not know the flow. */
static void forged_errors(void)
{
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 0x777), w.now);
	w_run(PN_MS(100));
	peer_on_error(w_net(0), NET_ERR_GONE, 0, w.vertex[5].addr, w_net(5)->tag, 0x778, w.now);
	peer_on_error(w_net(0), NET_ERR_TOO_BIG, 1300, w.vertex[5].addr, w_net(5)->tag, 0x778,
		      w.now);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_relookups), 0);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), 1500 - NET_HDR_LEN);
	peer_on_error(w_net(0), NET_ERR_GONE, 0, w.vertex[5].addr, w_net(5)->tag, 0x777, w.now);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_relookups), 1);
	w_end();
}

static void path_mtu(void)
{
	struct net_event ev;
	net_peer p;

	w_line(5);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	w.node[2]->adj[0].pub.payload_max = w.node[2]->adj[1].pub.payload_max = 1400;
	p = net_peer_open(w_net(0), w_net(4)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(1460, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, 0);
	CU_ASSERT(w_event_of(0, NET_EV_PEER_RESOLVED, &ev));
	CU_ASSERT(w_event_of(0, NET_EV_PEER_MTU, &ev));
	CU_ASSERT_EQUAL(ev.peer, p);
	CU_ASSERT_EQUAL(ev.mtu, 1400 - NET_HDR_LEN);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), 1400 - NET_HDR_LEN);
	net_send_peer(w_net(0), p, w_packet(1400 - NET_HDR_LEN, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, 1);
	/* our own link got smaller: known without an error packet; never below 1280 */
	w.node[0]->adj[0].pub.payload_max = 1290;
	net_send_peer(w_net(0), p, w_packet(1300, 7), w.now);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), 1290 - NET_HDR_LEN);
	peer_on_error(w_net(0), NET_ERR_TOO_BIG, 10, w.vertex[4].addr, w_net(4)->tag, 7, w.now);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), PN_MTU_MIN - NET_HDR_LEN);
	/* and ten minutes later it is tried again */
	w.node[0]->adj[0].pub.payload_max = 1500;
	w_run(PN_S(601));
	net_send_peer(w_net(0), p, w_packet(10, 7), w.now);
	CU_ASSERT_EQUAL(net_peer_mtu(w_net(0), p), 1500 - NET_HDR_LEN);
	w_end();
}

/* Among several addresses the nearest is taken, another one when it fails. */
static void several_addresses(void)
{
	unsigned both = 0;
	struct peer *p;
	net_peer h;

	w_random_graph(3, 12, 4, 0);
	for (unsigned i = 0; i < 12; i++)            /* vertices 4 and 9 are one node */
		w.vertex[i].node = i == 9 ? 4 : i > 9 ? i - 1 : i;
	w_edge(4, 9);
	w_start(3, 64, 16);
	w_run(PN_S(2));
	for (unsigned i = 0; i < w.nodes; i++) {
		unsigned near;

		if (i == 4)
			continue;
		h = net_peer_open(w_net(i), w_net(4)->hit, w.now);
		net_send_peer(w_net(i), h, w_packet(100, 7), w.now);
		w_run(PN_MS(100));
		p = peer_at(w_net(i), h);
		if (p->count == 1)
			continue;        /* found in an area that only one is in */
		both++;
		near = peer_distance(w_net(i), p->addrs[0]) <= peer_distance(w_net(i),
									     p->addrs[1]) ? 0 : 1;
		CU_ASSERT_EQUAL(peer_best(w_net(i), p, w.now), near);
		peer_on_error(w_net(i), NET_ERR_ROUTE, 0, p->addrs[near], p->tag, 7, w.now);
		CU_ASSERT_EQUAL(peer_best(w_net(i), p, w.now), 1 - near);
		w_run(PN_S(2));
		CU_ASSERT_EQUAL(peer_best(w_net(i), p, w.now), near);
	}
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, w.nodes - 1);
	CU_ASSERT(both > 3);
	w_end();
}

static void an_active_peer_is_refreshed(void)
{
	uint64_t queries;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_MS(100));
	queries = w_count(0, COUNT_lookup_queries);
	w_run(PN_S(90));                             /* idle: nothing */
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries);
	net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT(w_count(0, COUNT_lookup_queries) > queries);
	CU_ASSERT_EQUAL(peer_at(w_net(0), p)->state, PEER_KNOWN);
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 2);
	w_end();
}

/* More lookups than there is room for: each gets its turn. */
static void many_at_once(void)
{
	unsigned resolved = 0;
	struct net_event ev;

	w_line(40);
	w_start(1, 256, 64);
	w_run(PN_S(3));
	w_net(0)->lookup->query_max = 3;
	for (unsigned i = 1; i < 40; i++) {
		net_peer p = net_peer_open(w_net(0), w_net(i)->hit, w.now);

		net_send_peer(w_net(0), p, w_packet(100, 7), w.now);
	}
	CU_ASSERT(w_count(0, COUNT_lookup_busy) >= 36);
	w_run(PN_S(6));
	while (w_event_of(0, NET_EV_PEER_RESOLVED, &ev))
		resolved++;
	CU_ASSERT_EQUAL(resolved, 39);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_failed), 0);
	w_end();
}

/* Who has moved but is still a neighbour of before gets what goes to the old address, and
 * its correspondent is told. */
static void moved_next_door(void)
{
	uint64_t queries;
	net_peer p;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	p = net_peer_open(w_net(0), w_net(5)->hit, w.now);
	net_send_peer(w_net(0), p, w_packet(300, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 1);
	queries = w_count(0, COUNT_lookup_queries);
	w_move(5, w_free_addr());
	net_send_peer(w_net(0), p, w_packet(300, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 2);
	CU_ASSERT_EQUAL(w_count(4, COUNT_fwd_old_place), 1);
	CU_ASSERT_EQUAL(w_count(5, COUNT_lookup_moved), 1);
	CU_ASSERT_EQUAL(peer_target(w_net(0), peer_at(w_net(0), p), w.now), w.vertex[5].addr);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_queries), queries);
	w_end();
}

/* What we know of him is from an area that is not ours any more, and newer than his record in
 * the small area that we share: he has not moved in there.  He is believed all the same. */
static void older_and_true(void)
{
	struct peer *p;
	net_peer h;

	w_line(12);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	h = net_peer_open(w_net(0), w_net(2)->hit, w.now);
	net_send_peer(w_net(0), h, w_packet(300, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(2)->deliver.count, 1);
	p = peer_at(w_net(0), h);
	p->seq = p->seq_max = p->seq + 5;
	p->area = 4711;
	p->base = 6;
	p->addrs[0] = w_free_addr();
	p->best_gen = 0;
	net_send_peer(w_net(0), h, w_packet(300, 7), w.now);     /* lost */
	w_run(PN_MS(200));
	CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), w.vertex[2].addr);
	net_send_peer(w_net(0), h, w_packet(300, 7), w.now);
	w_run(PN_MS(100));
	CU_ASSERT_EQUAL(w_net(2)->deliver.count, 2);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_failed), 0);
	w_end();
}

/* An answer to the query of node 0 that is under way, as if it had come to @dst */
static void answer_in(uint64_t dst, uint8_t step, uint8_t status, const uint8_t *raw, size_t len)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .src = 5, .dst = dst };
	uint8_t buf[LOOKUP_QUERY_MAX];
	struct pn_wr wr;

	CU_ASSERT_FATAL(w_net(0)->lookup->queries[0].used);
	pn_wr_init(&wr, buf, sizeof(buf));
	pn_wr_u8(&wr, LOOKUP_ANSWER);
	pn_wr_u8(&wr, step);
	pn_wr_u8(&wr, status);
	pn_wr_u64(&wr, w_net(0)->lookup->queries[0].qid);
	pn_wr_bytes(&wr, raw, len);
	lookup_on_packet(w_net(0), 0, &hdr, buf, wr.len, w.now);
}

/* Six answers that are not his, or not to this */
static void others_in_his_name(const struct addr_record *rec, const struct addr_ask *ask)
{
	struct addr_ask other;
	uint8_t raw[ADDR_RECORD_MAX];
	size_t len;

	/* an anchor's, also if it says that it is not */
	len = addr_record_build(w_net(2), rec, NULL, raw, sizeof(raw));
	answer_in(ask->asker, 0x40, ANSWER_RECORD, raw, len);
	answer_in(ask->asker, 0, ANSWER_HIMSELF, raw, len);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_bad), 2);
	/* his answer to another question, or to somebody else */
	other = (struct addr_ask){ .qid = ask->qid + 1, .asker = ask->asker };
	len = addr_record_build(w_net(2), rec, &other, raw, sizeof(raw));
	answer_in(ask->asker, 0, ANSWER_HIMSELF, raw, len);
	other = (struct addr_ask){ .qid = ask->qid, .asker = ask->asker ^ 1 };
	len = addr_record_build(w_net(2), rec, &other, raw, sizeof(raw));
	answer_in(ask->asker, 0, ANSWER_HIMSELF, raw, len);
	/* his own is no record for everybody, nor is a kind that there is not */
	len = addr_record_build(w_net(2), rec, ask, raw, sizeof(raw));
	answer_in(ask->asker, 0, ANSWER_RECORD, raw, len);
	answer_in(ask->asker, 0, ANSWER_HIMSELF + 1, raw, len);
}

/* In doubt his own word counts, though it is older than what we know, but only his: whoever
 * knows the query and has kept a record of his that is true no more cannot say it for him.
 * And what we knew before is not newer then. */
static void in_his_name(void)
{
	struct addr_record rec = { .stamp = 1, .lifetime_s = 100, .base = 3, .count = 1 };
	struct addr_ask ask;
	uint8_t raw[ADDR_RECORD_MAX];
	uint64_t was, newest;
	struct peer *p;
	net_peer h;
	size_t len;

	w_line(12);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	h = net_peer_open(w_net(0), w_net(2)->hit, w.now);
	net_send_peer(w_net(0), h, w_packet(300, 7), w.now);
	w_run(PN_MS(100));
	p = peer_at(w_net(0), h);
	p->seq = p->seq_max = newest = p->seq + 5;
	p->area = 4711;
	p->base = 6;
	was = peer_target(w_net(0), p, w.now);
	w.loss_percent = 100;
	net_peer_silent(w_net(0), h, w.now);
	CU_ASSERT_FATAL(w_net(0)->lookup->queries[0].used);
	ask = (struct addr_ask){ .qid = w_net(0)->lookup->queries[0].qid,
				 .asker = w.vertex[0].addr };
	rec.seq = newest - 4;
	rec.area = w_area(w.vertex[0].addr, rec.base);
	rec.addrs[0] = addr_low(w.vertex[2].addr, rec.base) ^ 1;
	others_in_his_name(&rec, &ask);
	len = addr_record_build(w_net(2), &rec, &ask, raw, sizeof(raw));
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_bad), 6);
	CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), was);
	/* himself */
	answer_in(ask.asker, 0, ANSWER_HIMSELF, raw, len);
	CU_ASSERT_EQUAL(w_count(0, COUNT_lookup_bad), 6);
	CU_ASSERT_EQUAL(p->seq, newest - 4);
	CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), w.vertex[2].addr ^ 1);
	/* and nothing that was signed before */
	rec.addrs[0] ^= 2;
	for (rec.seq = newest - 5; rec.seq <= newest; rec.seq++) {
		len = addr_record_build(w_net(2), &rec, NULL, raw, sizeof(raw));
		CU_ASSERT_EQUAL(net_peer_update(w_net(0), raw, len, w.now), 0);
		CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), w.vertex[2].addr ^ 1);
	}
	p->area = 4711;                  /* not even when we have left that area, too */
	rec.seq = newest;
	len = addr_record_build(w_net(2), &rec, NULL, raw, sizeof(raw));
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), raw, len, w.now), 0);
	CU_ASSERT_EQUAL(p->seq, newest - 4);
	rec.seq = newest + 1;
	len = addr_record_build(w_net(2), &rec, NULL, raw, sizeof(raw));
	CU_ASSERT_EQUAL(net_peer_update(w_net(0), raw, len, w.now), 0);
	CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), w.vertex[2].addr ^ 3);
	/* no doubt any more: what he said before that comes too late */
	rec.seq = newest - 4;
	rec.addrs[0] ^= 2;
	memcpy(rec.hit, w_net(2)->hit, PN_HIT_LEN);
	peer_on_record(w_net(0), &rec, true, w.now);
	CU_ASSERT_EQUAL(p->seq, newest + 1);
	CU_ASSERT_EQUAL(peer_target(w_net(0), p, w.now), w.vertex[2].addr ^ 3);
	w_end();
}

static void ping(void)
{
	static const uint8_t nobody[PN_HIT_LEN] = { 0x20, 1, 2, 3 };
	struct net_event ev;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	for (unsigned i = 0; i < 3; i++) {
		uint16_t len = i == 0 ? 0 : i == 1 ? 1200 : UINT16_MAX;

		net_ping(w_net(0), w_net(5)->hit, 42 + i, 0, len, w.now);
		w_run(PN_MS(100));
		CU_ASSERT_FATAL(w_event_of(0, NET_EV_ECHO, &ev));
		CU_ASSERT_EQUAL(ev.token, 42 + i);
		CU_ASSERT_EQUAL(memcmp(ev.id, w_net(5)->id, PN_ID_LEN), 0);
		CU_ASSERT_EQUAL(ev.addr, w.vertex[5].addr);
		CU_ASSERT_EQUAL(ev.len, i == 0 ? ECHO_MIN : ECHO_MAX);
		CU_ASSERT_EQUAL(ev.hops, NET_HOPS_DEFAULT - 4);
		CU_ASSERT_EQUAL(ev.level, 4);
	}
	/* ourselves */
	net_ping(w_net(0), w_net(0)->hit, 50, 0, 0, w.now);
	CU_ASSERT(!w_event_of(0, NET_EV_ECHO, &ev));
	w_run(PN_MS(1));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	CU_ASSERT_EQUAL(ev.token, 50);
	CU_ASSERT_EQUAL(ev.level, 0);
	/* nobody */
	net_ping(w_net(0), nobody, 51, 0, 0, w.now);
	w_run(PN_S(6));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO_ERROR, &ev));
	CU_ASSERT_EQUAL(ev.token, 51);
	CU_ASSERT_EQUAL(ev.reason, NET_ERR_UNKNOWN);
	/* no peer is held for ever */
	for (uint32_t i = 0; i < w_net(0)->peers->fresh; i++)
		CU_ASSERT_EQUAL(w_net(0)->peers->at[i].refs, 0);
	w_end();
}

static void trace(void)
{
	struct net_event ev;

	w_line(6);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	for (uint16_t hops = 1; hops <= 4; hops++) {
		net_ping(w_net(0), w_net(5)->hit, hops, hops, 0, w.now);
		w_run(PN_MS(100));
		CU_ASSERT_FATAL(w_event_of(0, NET_EV_ECHO_ERROR, &ev));
		CU_ASSERT_EQUAL(ev.token, hops);
		CU_ASSERT_EQUAL(ev.reason, NET_ERR_HOPS);
		CU_ASSERT_EQUAL(memcmp(ev.id, w_net(hops)->id, PN_ID_LEN), 0);
		CU_ASSERT_EQUAL(ev.addr, w.vertex[hops].addr);
		CU_ASSERT_EQUAL(ev.level, fwd_diff(w.vertex[hops].addr, w.vertex[5].addr));
	}
	net_ping(w_net(0), w_net(5)->hit, 9, 5, 0, w.now);
	w_run(PN_MS(100));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	w_end();
}

/* Whoever answers must know the cookie and be the one who was asked. */
static void false_answers(void)
{
	struct echo_msg msg = { .kind = ECHO_REPLY, .hops = 9 };
	struct net_hdr hdr = { .proto = NET_PROTO_ECHO, .hops = 9 };
	uint8_t buf[ECHO_MIN] = { 0 };
	struct net_event ev;
	struct ping *p;

	w_line(3);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	w.loss_percent = 0;
	net_ping(w_net(0), w_net(2)->hit, 1, 0, 0, w.now);
	w_run(PN_MS(100));
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	w.loss_percent = 100;
	net_ping(w_net(0), w_net(2)->hit, 2, 0, 0, w.now);
	w_run(PN_MS(100));
	p = &w_net(0)->echo->pings[1];
	CU_ASSERT_EQUAL_FATAL(p->state, PING_SENT);
	msg.number = p->number;
	msg.cookie = p->cookie + 1;
	echo_build(&msg, buf, sizeof(buf));
	memcpy(buf + ECHO_HEAD_LEN, w_net(2)->id, PN_ID_LEN);
	echo_on_packet(w_net(0), 0, &hdr, buf, sizeof(buf), w.now);
	msg.cookie = p->cookie;
	echo_build(&msg, buf, sizeof(buf));
	memcpy(buf + ECHO_HEAD_LEN, w_net(1)->id, PN_ID_LEN);
	echo_on_packet(w_net(0), 0, &hdr, buf, sizeof(buf), w.now);
	CU_ASSERT(!w_event_of(0, NET_EV_ECHO, &ev));
	CU_ASSERT_EQUAL(w_count(0, COUNT_echo_bad), 2);
	memcpy(buf + ECHO_HEAD_LEN, w_net(2)->id, PN_ID_LEN);
	for (size_t len = 0; len <= sizeof(buf); len++) {
		uint8_t *copy = unit_copy(buf, len);

		echo_on_packet(w_net(0), 0, &hdr, copy, len, w.now);
		free(copy);
	}
	CU_ASSERT(w_event_of(0, NET_EV_ECHO, &ev));
	CU_ASSERT(!w_event_of(0, NET_EV_ECHO, &ev));         /* once */
	w_end();
}

static void replies_are_limited_and_short(void)
{
	struct echo_msg msg = { .kind = ECHO_REQUEST, .hops = 9 };
	struct net_hdr hdr = { .proto = NET_PROTO_ECHO, .hops = 9 };
	uint8_t buf[ECHO_MIN] = { 0 };
	uint64_t before;

	w_line(2);
	w_start(1, 64, 16);
	w_run(PN_S(2));
	hdr.src = w.vertex[0].addr;
	hdr.src_tag = w_net(0)->tag;
	echo_build(&msg, buf, sizeof(buf));
	before = w.sent_proto[NET_PROTO_ECHO];
	for (size_t len = 0; len < sizeof(buf); len++)
		echo_on_packet(w_net(1), 0, &hdr, buf, len, w.now);
	CU_ASSERT_EQUAL(w.sent_proto[NET_PROTO_ECHO], before);
	for (unsigned i = 0; i < 3000; i++)
		echo_on_packet(w_net(1), 0, &hdr, buf, sizeof(buf), w.now);
	CU_ASSERT_EQUAL(w.sent_proto[NET_PROTO_ECHO], before + REPLIES_PER_SOURCE);
	CU_ASSERT_EQUAL(w.tail->pkt->len, NET_HDR_LEN + sizeof(buf));
	CU_ASSERT_EQUAL(w_count(1, COUNT_echo_limited), 3000 - REPLIES_PER_SOURCE);
	w_end();
}

static CU_TestInfo tests[] = {
	{ "handles", handles },
	{ "found and sent", found_and_sent },
	{ "ourselves", ourselves },
	{ "bounded waiting", bounded_waiting },
	{ "closed while busy", closed_while_busy },
	{ "moving", moving },
	{ "moving, told by the peer", moving_told },
	{ "lost", lost },
	{ "a way is there again", way_back },
	{ "forged errors", forged_errors },
	{ "path mtu", path_mtu },
	{ "several addresses", several_addresses },
	{ "an active peer is refreshed", an_active_peer_is_refreshed },
	{ "many at once", many_at_once },
	{ "moved next door", moved_next_door },
	{ "an older record that is true", older_and_true },
	{ "in his name", in_his_name },
	{ "ping", ping },
	{ "trace", trace },
	{ "false answers", false_answers },
	{ "replies are limited and short", replies_are_limited_and_short },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_peer;
CU_SuiteInfo suite_peer = { .pName = "peer", .pTests = tests };
