// SPDX-License-Identifier: ISC
/* What a link costs, what control traffic may take of it, what fits through it. */
#include "tests/unit/adj_lab.h"

/* Cost by the rate, on an Ethernet */
static uint16_t cost_at(uint64_t bps, uint16_t fixed)
{
	struct net_link_config cfg = { .mtu = 1500, .listen = true, .rate_bps = bps,
				       .cost = fixed };
	uint16_t cost;

	nodes(1, 2);
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(50));
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug_cfg(lab, 0, 1, &cfg);
	lab_run(lab, PN_S(1));
	CU_ASSERT_FATAL(adj_at(lab->net[0], 0) != NULL);
	cost = adj_at(lab->net[0], 0)->cost;
	done();
	return cost;
}

static void test_rate(void)
{
	CU_ASSERT_EQUAL(cost_at(0, 0), NET_COST_UNIT);
	CU_ASSERT_EQUAL(cost_at(10000000000, 0), NET_COST_UNIT);
	CU_ASSERT_EQUAL(cost_at(1000000000, 0), NET_COST_UNIT);
	/* a direct cable of a tenth of the rate beats the detour over two fast ones */
	CU_ASSERT(cost_at(100000000, 0) > NET_COST_UNIT);
	CU_ASSERT(cost_at(100000000, 0) < 2 * NET_COST_UNIT);
	CU_ASSERT(cost_at(10000000, 0) > cost_at(100000000, 0));
	CU_ASSERT(cost_at(8000, 0) <= 5 * NET_COST_UNIT);
	CU_ASSERT_EQUAL(cost_at(10000000, 77), 77);
}

/* Loss that comes and goes within the time a cost is held changes nothing; lasting loss
 * does, once, and its end, too */
static void test_hysteresis(void)
{
	uint16_t last, now;
	unsigned changes = 0;

	pair(4);
	lab_run(lab, PN_S(20));
	last = adj_at(lab->net[0], 0)->cost;
	CU_ASSERT_EQUAL(last, NET_COST_UNIT);
	lab->wire[0].loss_pm = 30;              /* noise */
	for (int i = 0; i < 1200; i++) {
		lab_run(lab, PN_MS(100));
		changes += adj_at(lab->net[0], 0)->cost != last;
		last = adj_at(lab->net[0], 0)->cost;
	}
	CU_ASSERT(changes <= 6);
	lab->wire[0].loss_pm = 400;
	changes = 0;
	for (int i = 0; i < 1200 && adj_at(lab->net[0], 0); i++) {
		lab_run(lab, PN_MS(100));
		if (!adj_at(lab->net[0], 0))
			break;
		now = adj_at(lab->net[0], 0)->cost;
		changes += now != last;
		/* by little, or far too much for that to matter */
		CU_ASSERT(now <= last + NET_COST_UNIT / 2 || now >= 2 * last);
		last = now;
	}
	CU_ASSERT(changes <= 25);               /* not more often than each 5 s */
	CU_ASSERT(last > NET_COST_UNIT * 3 / 2);
	done();
}

static uint64_t control_bytes(int n)
{
	return counter(n, "tx_hello_bytes") + counter(n, "tx_ack_bytes") +
	       counter(n, "tx_message_bytes");
}

/* A flood of messages: at most the cap, after the burst; nothing is lost, hellos go on */
static void test_cap(void)
{
	struct net_link_config cfg = { .mtu = 1400, .listen = true, .control_bps = 80000 };
	uint8_t msg[1000] = { 250 };
	uint64_t bytes, got, sent = 0;

	nodes(1, 2);
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug_cfg(lab, 0, 1, &cfg);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(5));
	bytes = control_bytes(0);
	got = counter(1, "ctl_malformed");
	for (int i = 0; i < 3000; i++) {
		while (adj_ctl_ready(lab->net[0], 0, lab->now))
			sent += adj_ctl_send(lab->net[0], 0, msg, sizeof(msg), lab->now) == 0;
		lab_run(lab, PN_MS(10));
	}
	bytes = control_bytes(0) - bytes;
	CU_ASSERT(bytes > 30 * 10000);
	CU_ASSERT(bytes < 30 * 10000 + CAP_BURST + 4000);
	CU_ASSERT(counter(0, "ctl_capped") > 0);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	adj_soft_send(lab->net[0], 0, msg, sizeof(msg), lab->now);
	CU_ASSERT_EQUAL(counter(0, "soft_capped"), 1);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(counter(1, "ctl_malformed") - got, sent);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

/* Whatever a neighbour says: not an acknowledgement for each, and no debt without end. */
static void test_flood(void)
{
	uint8_t rec[] = { 2, 0, 3, 0x40, 0, 250 };     /* a message far ahead of the next */
	struct net_link_config cfg = { .mtu = 1400, .listen = true, .control_bps = 8000 };
	uint64_t acks;

	nodes(1, 2);
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug_cfg(lab, 0, 1, &cfg);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(5));
	acks = counter(0, "tx_ack_bytes");
	for (int i = 0; i < 1000; i++) {
		ctlq_on_records(lab->net[0], 0, rec, sizeof(rec), lab->now);
		lab_run(lab, PN_MS(1));
	}
	CU_ASSERT(counter(0, "tx_ack_bytes") - acks > 0);
	CU_ASSERT(counter(0, "tx_ack_bytes") - acks < 45 * 100);
	for (int i = 0; i < 1000; i++)
		cap_charge(lab->net[0], 0, 1000, lab->now);
	CU_ASSERT(pn_time_until(lab->now, cap_wait(lab->net[0], 0, lab->now)) <=
		  PN_S(CAP_BURST / 1000 + 1));
	done();
}

static void test_cap_default(void)
{
	struct net_link_config cfg = { .kind = NET_LINK_TUNNEL };
	struct cap c;

	cap_init(&c, &cfg);
	CU_ASSERT_EQUAL(c.byte_ns, PN_S(8) / NET_CONTROL_BPS);
	cfg.rate_bps = 1000000;                 /* 2 % of it is less */
	cap_init(&c, &cfg);
	CU_ASSERT_EQUAL(c.byte_ns, PN_S(8) / NET_CONTROL_BPS);
	cfg.rate_bps = 100000000;
	cap_init(&c, &cfg);
	CU_ASSERT_EQUAL(c.byte_ns, PN_S(8) / 2000000);
	cfg.control_bps = 32000;
	cap_init(&c, &cfg);
	CU_ASSERT_EQUAL(c.byte_ns, PN_S(8) / 32000);
}

/* A node, a relay and a node: the second link carries less than the first */
static void test_path_mtu(void)
{
	struct net_link_config wide = { .mtu = 1700, .listen = true };
	struct net_link_config narrow = { .mtu = 1400, .listen = true };
	uint8_t p[1800] = { 1 };
	uint32_t fits = 1400 - FRAME_OVERHEAD - NET_HDR_LEN;
	struct pn_pkt *pkt;
	net_peer peer;

	nodes(3, 3);
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_plug_cfg(lab, 0, 0, &wide);
	lab_plug_cfg(lab, 0, 1, &wide);
	lab_plug_cfg(lab, 1, 1, &narrow);
	lab_plug_cfg(lab, 1, 2, &narrow);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_dial(lab, 1, 0, 1, NULL);
	lab_run(lab, PN_S(10));
	CU_ASSERT_FATAL(lab_merged(lab, 0, 2));
	peer = net_peer_open(lab->net[0], net_hit(lab->net[2]), lab->now);
	for (int i = 0; i < 4; i++) {
		uint32_t len = i ? net_peer_mtu(lab->net[0], peer) : 1000;

		pkt = pn_pkt_get(&lab->pool);
		CU_ASSERT_FATAL(pkt && len <= sizeof(p));
		memcpy(pn_pkt_append(pkt, len), p, len);
		net_send_peer(lab->net[0], peer, pkt, lab->now);
		lab_run(lab, PN_S(1));
		if (i == 0) {                   /* found; so far only the first link is known */
			CU_ASSERT_EQUAL(lab->delivered[2], 1);
			CU_ASSERT(net_peer_mtu(lab->net[0], peer) > fits);
		}
		if (i == 1) {                   /* too big for the second: told so */
			CU_ASSERT_EQUAL(lab->delivered[2], 1);
			CU_ASSERT_EQUAL(counter(1, "fwd_too_big"), 1);
			CU_ASSERT(lab->ev_count[0][NET_EV_PEER_MTU] >= 1);
			CU_ASSERT_EQUAL(net_peer_mtu(lab->net[0], peer), fits);
		}
	}
	CU_ASSERT_EQUAL(lab->delivered[2], 3);
	CU_ASSERT_EQUAL(lab->got_len[2], fits);
	net_peer_close(lab->net[0], peer);
	done();
}

static CU_TestInfo tests[] = {
	{ "rate", test_rate },
	{ "hysteresis", test_hysteresis },
	{ "cap", test_cap },
	{ "flood", test_flood },
	{ "cap, default", test_cap_default },
	{ "path mtu", test_path_mtu },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_adj_link;
CU_SuiteInfo suite_adj_link = { .pName = "adj_link", .pTests = tests };
