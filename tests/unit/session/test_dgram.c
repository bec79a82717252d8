/* SPDX-License-Identifier: ISC */
/* Datagrams over sessions. */
#include "app.h"

#include <string.h>

#include <CUnit/CUnit.h>

static struct world w;
static uint8_t data[65536];

static void begin(void)
{
	world_init(&w, 2);
	app_init(&w);
	w.delay_ns = PN_MS(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = app_byte(9, i);
}

static int send_to(int from, uint16_t port, size_t len, bool no_frag)
{
	return session_datagram_send(w.node[from].set, NULL, w.node[!from].hit, 1234, port,
				     data, len, no_frag, w.now);
}

static void test_sizes(void)
{
	static const size_t sizes[] = { 0, 1, 100, 1150, 1151, 1152, 1200, 1300, 1350, 1360, 1400,
					1401, 2000, 9000, 30000, 65506, 65507 };

	begin();
	for (size_t i = 0; i < PN_ARRAY_LEN(sizes); i++) {
		memset(the_app.dgram[1], 0, sizeof(the_app.dgram[1]));
		CU_ASSERT_EQUAL(send_to(0, 53, sizes[i], false), 0);
		world_run(&w, PN_S(1), NULL);
		CU_ASSERT_EQUAL(the_app.dgram_count[1], i + 1);
		CU_ASSERT_EQUAL(the_app.dgram_len[1], sizes[i]);
		CU_ASSERT_FALSE(memcmp(the_app.dgram[1], data, sizes[i]));
		CU_ASSERT_EQUAL(the_app.dgram_src[1], 1234);
		CU_ASSERT_EQUAL(the_app.dgram_dst[1], 53);
	}
	CU_ASSERT_EQUAL(send_to(0, 53, 65508, false), PN_EMSGSIZE);
	CU_ASSERT_EQUAL(send_to(0, 53, 3000, true), PN_EMSGSIZE);
	CU_ASSERT_EQUAL(send_to(0, 53, 1000, true), 0);
	world_fini(&w);
}

static void test_reply(void)
{
	begin();
	the_app.dgram_reply = true;
	CU_ASSERT_EQUAL(send_to(0, 53, 40000, false), 0);
	world_run(&w, PN_S(2), NULL);
	CU_ASSERT_EQUAL(the_app.dgram_len[0], 40000);
	CU_ASSERT_EQUAL(the_app.dgram_dst[0], 1234);
	CU_ASSERT_EQUAL(the_app.dgram_src[0], 53);
	world_fini(&w);
}

static void test_unreachable(void)
{
	begin();
	CU_ASSERT_EQUAL(send_to(0, 99, 10, false), 0);
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_EQUAL(the_app.unreachable[0], 1);
	CU_ASSERT_EQUAL(the_app.unreachable_src[0], 1234);
	CU_ASSERT_EQUAL(the_app.unreachable_dst[0], 99);
	world_fini(&w);
}

/* Kept while the session starts, but not without bound. */
static void test_queue(void)
{
	uint32_t taken = 0;
	int rv = 0;

	begin();
	while (taken < 100 && (rv = send_to(0, 53, 60000, false)) == 0)
		taken++;
	CU_ASSERT_EQUAL(rv, PN_EAGAIN);
	CU_ASSERT_TRUE(taken >= 10);
	world_run(&w, PN_S(10), NULL);
	CU_ASSERT_EQUAL(the_app.dgram_count[1], taken);
	CU_ASSERT_EQUAL(world_counter(&w, 0, "datagram_drop_queue"), 1);
	world_fini(&w);
}

/* Lost ones are not sent again, broken ones are given up, the rest is right. */
static void test_loss(void)
{
	begin();
	w.loss_permille = 100;
	for (int i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(send_to(0, 53, 5000, false), 0);
		world_run(&w, PN_MS(50), NULL);
		if (the_app.dgram_count[1])
			CU_ASSERT_FALSE(memcmp(the_app.dgram[1], data, 5000));
	}
	world_run(&w, PN_S(5), NULL);
	CU_ASSERT_TRUE(the_app.dgram_count[1] > 80);
	CU_ASSERT_TRUE(the_app.dgram_count[1] < 190);
	CU_ASSERT_TRUE(world_counter(&w, 1, "datagram_drop_reassembly_timeout") +
		       world_counter(&w, 1, "datagram_drop_reassembly_full") > 5);
	world_fini(&w);
}

/* The MTU falls while datagrams wait: they are cut by what holds now. */
static void test_mtu(void)
{
	struct net_event ev = { .kind = NET_EV_PEER_MTU, .peer = 1 };

	begin();
	CU_ASSERT_EQUAL(send_to(0, 53, 1300, false), 0);
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_EQUAL(the_app.dgram_count[1], 1);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(send_to(0, 53, 1300, false), 0);
	w.mtu = 1200;
	session_on_net_event(w.node[0].set, &ev, w.now);
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_EQUAL(the_app.dgram_count[1], 11);
	CU_ASSERT_FALSE(memcmp(the_app.dgram[1], data, 1300));
	CU_ASSERT_EQUAL(the_app.dgram_len[1], 1300);
	world_fini(&w);
}

static bool bulk_fin(struct world *x)
{
	(void)x;
	return the_app.s[0].fin;
}

/* A flood of datagrams leaves a stream its share, and the other way round. */
static void test_share(void)
{
	uint32_t sent = 0;

	begin();
	app_open(&w, 0, 1, PORT_ECHO, 4000000);
	for (int i = 0; i < 4000 && !the_app.s[0].fin; i++) {
		while (send_to(0, 53, 1000, false) == 0)
			sent++;
		world_run(&w, PN_MS(1), NULL);
	}
	CU_ASSERT_TRUE(world_run(&w, PN_S(30), bulk_fin));
	CU_ASSERT_EQUAL(the_app.s[0].got, 4000000);
	CU_ASSERT_TRUE(the_app.dgram_count[1] > 100);
	CU_ASSERT_TRUE(sent >= the_app.dgram_count[1]);
	world_fini(&w);
}

/* After far more than the path takes, one datagram more does not wait for seconds. */
static void test_late(void)
{
	begin();
	w.delay_ns = PN_MS(30);
	w.loss_permille = 50;
	for (int i = 0; i < 4000; i++) {	/* ms; 8 Mbit/s */
		(void)send_to(0, 53, 1000, false);
		world_run(&w, PN_MS(1), NULL);
	}
	CU_ASSERT_TRUE(world_counter(&w, 0, "datagram_drop_late") > 100);
	CU_ASSERT_TRUE(the_app.dgram_count[1] > 100);
	world_run(&w, PN_MS(600), NULL);
	w.loss_permille = 0;
	the_app.dgram_count[1] = 0;
	CU_ASSERT_EQUAL(send_to(0, 53, 77, false), 0);
	world_run(&w, PN_MS(100), NULL);
	CU_ASSERT_EQUAL(the_app.dgram_count[1], 1);
	CU_ASSERT_EQUAL(the_app.dgram_len[1], 77);
	world_fini(&w);
}

static CU_TestInfo tests[] = {
	{ "sizes from 0 to 65507", test_sizes },
	{ "there and back", test_reply },
	{ "unreachable port", test_unreachable },
	{ "queue is bounded", test_queue },
	{ "loss", test_loss },
	{ "MTU falls", test_mtu },
	{ "datagrams and a stream share", test_share },
	{ "what has waited too long is dropped", test_late },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_session_dgram = { .pName = "session datagrams", .pTests = tests };
