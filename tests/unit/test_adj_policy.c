// SPDX-License-Identifier: ISC
/* Adjacencies: who tells what it is, and who is refused. */
#include "tests/unit/adj_lab.h"

/* A leaf says so in the handshake, whoever starts it */
static void test_leaf(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		nodes(seed, 2);
		lab->cfg[1].leaf = true;
		start_all();
		lab_wire(lab, NET_LINK_ETHERNET, PN_US(100));
		lab_plug(lab, 0, 0);
		lab_plug(lab, 0, 1);
		CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(1)) != UINT64_MAX);
		CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_S(1)) != UINT64_MAX);
		CU_ASSERT(adj_at(lab->net[0], 0)->leaf);
		CU_ASSERT(!adj_at(lab->net[1], 0)->leaf);
		done();
	}
}

static void expelled_on(enum net_link_kind kind, int who)
{
	struct net_link_config cfg = { .mtu = 1400, .listen = true };

	nodes(7, 2);
	start_all();
	lab_wire(lab, kind, PN_MS(1));
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug_cfg(lab, 0, 1, &cfg);
	if (kind == NET_LINK_TUNNEL)
		lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(3));
	CU_ASSERT_FATAL(adj_at(lab->net[who], 0) != NULL);
	adj_expel(lab->net[who], 0, PN_S(30), lab->now);
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 1), 0);	/* it was told */
	CU_ASSERT_EQUAL(lab->last_reason[who][NET_EV_NEIGHBOUR_DOWN], NET_ERR_EXPELLED);
	lab_run(lab, PN_S(29));
	CU_ASSERT_EQUAL(lab_neighbours(lab, who), 0);
	CU_ASSERT_EQUAL(counter(who, "adj_expelled"), 1);
	/* the time is over; the other one tries rarely by now */
	CU_ASSERT(lab_until_neighbours(lab, who, 1, PN_S(50)) != UINT64_MAX);
	CU_ASSERT(lab_until_neighbours(lab, !who, 1, PN_S(1)) != UINT64_MAX);
	done();
}

static void test_expelled(void)
{
	for (int who = 0; who < 2; who++) {
		expelled_on(NET_LINK_ETHERNET, who);
		expelled_on(NET_LINK_TUNNEL, who);
	}
}

static void test_expelled_bounded(void)
{
	uint8_t id[PN_ID_LEN];

	pair(1);
	memcpy(id, net_id(lab->net[1]), PN_ID_LEN);
	adj_expel(lab->net[0], 0, PN_S(5), lab->now);
	CU_ASSERT(adj_expelled_ns(lab->net[0], id, lab->now) == PN_S(5));
	for (uint8_t i = 0; i < EXPELLED_DEFAULT; i++) {
		lab->net[0]->adjs->expelled[i].until = pn_time_add(lab->now, PN_S(6) + i);
		memset(lab->net[0]->adjs->expelled[i].id, i, PN_ID_LEN);
	}
	CU_ASSERT_EQUAL(adj_expelled_ns(lab->net[0], id, lab->now), 0);
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(5)) != UINT64_MAX);
	adj_expel(lab->net[0], 0, PN_S(50), lab->now);
	CU_ASSERT_EQUAL(adj_expelled_ns(lab->net[0], id, lab->now), PN_S(50));
	/* the one that would have ended first gave way, the others did not */
	for (uint8_t i = 0; i < EXPELLED_DEFAULT; i++) {
		memset(id, i, sizeof(id));
		CU_ASSERT_EQUAL(adj_expelled_ns(lab->net[0], id, lab->now) == 0, i == 0);
	}
	done();
}

/* A neighbour that starts handshakes all the time is answered now and then */
static void test_handshake_rate(void)
{
	uint64_t before;

	tunnel_pair(3, PN_US(100), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(3));
	CU_ASSERT_FATAL(adj_at(lab->net[0], 0) != NULL);
	before = counter(0, "hs_responses");
	for (int i = 0; i < 40; i++) {
		hs_initiate(lab->net[0], 0, lab->now);
		lab_run(lab, PN_MS(5));
	}
	CU_ASSERT(counter(0, "hs_responses") - before <= 11);
	CU_ASSERT(counter(0, "hs_responses") - before >= 9);
	CU_ASSERT(counter(1, "hs_rate_limited") >= 29);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

static CU_TestInfo tests[] = {
	{ "leaf", test_leaf },
	{ "expelled", test_expelled },
	{ "expelled, bounded", test_expelled_bounded },
	{ "handshake rate", test_handshake_rate },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_adj_policy;
CU_SuiteInfo suite_adj_policy = { .pName = "adj_policy", .pTests = tests };
