/* SPDX-License-Identifier: ISC */
/* Sessions come, go, meet, and their peers restart. */
#include "app.h"

#include <string.h>

#include <CUnit/CUnit.h>

static struct world w;
static struct app_stream *a, *b;

static void begin(int nodes)
{
	world_init(&w, nodes);
	app_init(&w);
	w.delay_ns = PN_MS(1);
}

static bool a_fin(struct world *x) { (void)x; return a->fin; }
static bool ab_fin(struct world *x) { (void)x; return a->fin && b->fin; }
static bool a_opened(struct world *x) { (void)x; return a->opened && app_server_of(a, 1); }
static bool a_reset(struct world *x) { (void)x; return a->reset || a->failed; }

static void test_both_dial(void)
{
	begin(2);
	w.delay_ns = PN_MS(20);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	b = app_open(&w, 1, 0, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(10), ab_fin));
	CU_ASSERT_EQUAL(a->got, 1000);
	CU_ASSERT_EQUAL(b->got, 1000);
	for (uint32_t i = 0; i < the_app.count; i++)
		app_close(&w, &the_app.s[i]);
	world_run(&w, PN_S(5), NULL);
	CU_ASSERT_EQUAL(world_sessions(&w, 0, "up"), 1);
	CU_ASSERT_EQUAL(world_sessions(&w, 1, "up"), 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	b = app_open(&w, 1, 0, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(10), ab_fin));
	CU_ASSERT_EQUAL(world_sessions(&w, 0, "up"), 1);
	CU_ASSERT_EQUAL(world_sessions(&w, 1, "up"), 1);
	{	/* the one that the lower identity dialled */
		bool low0 = memcmp(w.node[0].id, w.node[1].id, PN_ID_LEN) < 0;
		struct session_info info;

		CU_ASSERT_TRUE(session_info_at(w.node[0].set, 0, &info, w.now));
		CU_ASSERT_EQUAL(info.incoming, !low0);
	}
	world_fini(&w);
}

static void test_idle(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	b = app_server_of(a, 1);
	/* open streams hold the session for ever */
	world_run(&w, PN_S(4000), NULL);
	CU_ASSERT_EQUAL(world_sessions(&w, 0, "up"), 1);
	CU_ASSERT_FALSE(a->reset);
	app_close(&w, a);
	app_close(&w, b);
	world_run(&w, PN_S(58), NULL);
	CU_ASSERT_EQUAL(world_sessions(&w, 0, "up"), 1);
	world_run(&w, PN_S(20), NULL);
	CU_ASSERT_EQUAL(world_sessions(&w, 0, "up"), 0);
	CU_ASSERT_EQUAL(world_sessions(&w, 1, "up"), 0);
	CU_ASSERT_EQUAL(world_sessions(&w, 1, "closing"), 0);
	CU_ASSERT_EQUAL(the_app.down[0], 1);
	CU_ASSERT_EQUAL(the_app.down[1], 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);	/* and it comes back */
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(the_app.up[0], 2);
	world_fini(&w);
}

/* An open, idle stream lives through a long loss of the path, and works after. */
static void test_suspend(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	world_run(&w, PN_S(5), NULL);
	w.loss_permille = 1000;
	world_run(&w, PN_S(7200), NULL);
	w.loss_permille = 0;
	a->to_send = 5000;
	app_push(&w, a);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(a->got, 5000);
	world_fini(&w);
}

static void test_cut_short(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 30000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	w.loss_permille = 1000;
	world_run(&w, PN_S(2), NULL);
	w.loss_permille = 0;
	CU_ASSERT_TRUE(world_run(&w, PN_S(60), a_fin));
	CU_ASSERT_EQUAL(a->got, 30000000);
	CU_ASSERT_FALSE(a->bad);
	world_fini(&w);
}

static uint64_t got_before;

static bool a_moves(struct world *world)
{
	(void)world;
	return a->got > got_before;
}

/* However long the cut was: each side probes within a second or so after it */
static void test_cut_resumes(void)
{
	static const uint64_t cut_ms[] = { 700, 3000, 6300, 9900, 17000, 25000 };

	for (size_t i = 0; i < PN_ARRAY_LEN(cut_ms); i++) {
		begin(2);
		a = app_open(&w, 0, 1, PORT_ECHO, UINT64_C(1) << 40);
		CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
		world_run(&w, PN_MS(30), NULL);
		w.loss_permille = 1000;
		world_run(&w, PN_MS(cut_ms[i]), NULL);
		w.loss_permille = 0;
		got_before = a->got;
		CU_ASSERT_TRUE(world_run(&w, PN_MS(2200), a_moves));
		world_fini(&w);
	}
}

static void test_cut_for_good(void)
{
	struct pn_time t;

	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 30000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	w.loss_permille = 1000;
	t = w.now;
	CU_ASSERT_TRUE(world_run(&w, PN_S(60), a_reset));
	CU_ASSERT_EQUAL(a->err, PN_ETIMEDOUT);
	CU_ASSERT_TRUE(pn_time_since(w.now, t) > PN_S(25));
	CU_ASSERT_TRUE(pn_time_since(w.now, t) < PN_S(40));
	world_fini(&w);
}

/* Our process is stopped while data is in flight; its timers run before it reads
 * what has come in the meantime. */
static void test_stopped(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	a->to_send = 1000;
	app_push(&w, a);
	session_flush(w.node[0].set, w.now);
	w.now.ns += PN_S(120);
	session_expire(w.node[0].set, w.now);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(a->got, 1000);
	CU_ASSERT_FALSE(a->reset);
	world_fini(&w);
}

/* The peer restarts and knows nothing.  @by: who sends next.
 * @dialled: who had dialled */
static void restart(int dialler, bool writer_sends)
{
	int other = !dialler;
	struct app_stream *s;

	begin(2);
	a = app_open(&w, dialler, other, PORT_ECHO, 0);
	world_run(&w, PN_S(2), NULL);
	CU_ASSERT_TRUE(a->opened);
	s = app_server_of(a, other);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	/* node 1 restarts, node 0 has a stream with it */
	world_stop(&w, 1, false);
	world_start(&w, 1, 5);
	if (dialler == 1) {
		a->closed = true;
		a = s;
	} else {
		s->closed = true;
	}
	if (writer_sends) {
		CU_ASSERT_EQUAL(app_try(&w, a), 1);
	} else {
		b = app_open(&w, 1, 0, PORT_ECHO, 100);
	}
	CU_ASSERT_TRUE(world_run(&w, PN_S(1), a_reset));
	CU_ASSERT_EQUAL(a->err, PN_ERESET);
	if (!writer_sends) {
		world_run(&w, PN_S(2), NULL);
		CU_ASSERT_TRUE(b->fin);
	}
	CU_ASSERT_TRUE(world_counter(&w, 0, "peer_restarted") >= 1);
	world_fini(&w);
}

static void test_restart_dialled(void) { restart(0, true); }
static void test_restart_dialler(void) { restart(1, true); }
static void test_restart_dials(void) { restart(1, false); }
static void test_restart_dials_back(void) { restart(0, false); }

/* Dialled just after the restart, over the dead session: it is dialled anew. */
static void test_restart_redial(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	app_close(&w, a);
	world_run(&w, PN_S(2), NULL);
	app_server_of(a, 1)->closed = true;
	world_stop(&w, 1, false);
	world_start(&w, 1, 5);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(a->got, 1000);
	world_fini(&w);
}

static void test_goodbye(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	world_stop(&w, 1, true);
	CU_ASSERT_TRUE(world_run(&w, PN_S(1), a_reset));
	CU_ASSERT_EQUAL(a->err, PN_ERESET);
	world_fini(&w);
}

/* A stream to ourselves. */
static void test_self(void)
{
	begin(2);
	a = app_open(&w, 0, 0, PORT_ECHO, 100000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(a->got, 100000);
	world_fini(&w);
}

static void test_records(void)
{
	struct net_event ev = { .kind = NET_EV_ADDRESS };
	uint64_t by_addr;

	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_EQUAL(w.node[0].records_in, 1);
	CU_ASSERT_EQUAL(w.node[1].records_in, 1);
	/* the answerer knows the way now: nothing goes to the bare address */
	by_addr = w.node[1].sent_addr;
	CU_ASSERT_TRUE(by_addr > 0);
	CU_ASSERT_EQUAL(w.node[0].sent_addr, 0);
	/* the dialler moves: all it says comes from elsewhere */
	w.node[0].addr = 0x7777;
	session_on_net_event(w.node[0].set, &ev, w.now);
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_EQUAL(w.node[1].records_in, 2);
	CU_ASSERT_EQUAL(w.node[1].sent_addr, by_addr);
	world_fini(&w);
}

/* Without a record the answerer follows the address its packets come from. */
static void test_no_record(void)
{
	begin(2);
	w.node[0].no_record = true;
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(w.node[1].sent_peer, 0);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	w.node[0].addr = 0x7777;
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_EQUAL(w.node[1].sent_peer, 0);
	world_fini(&w);
}

/* The way to the peer is lost: to where it was, then looked up again. */
static void test_peer_failed(void)
{
	struct net_event ev = { .kind = NET_EV_PEER_FAILED, .reason = NET_ERR_ROUTE, .peer = 1 };
	uint64_t by_peer;

	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	world_run(&w, PN_S(1), NULL);
	session_on_net_event(w.node[0].set, &ev, w.now);
	by_peer = w.node[0].sent_peer;
	a->to_send = 1000;
	app_push(&w, a);
	CU_ASSERT_TRUE(world_run(&w, PN_S(1), a_fin));
	CU_ASSERT_EQUAL(w.node[0].sent_peer, by_peer);
	CU_ASSERT_TRUE(w.node[0].sent_addr > 0);
	/* both have moved: only a lookup finds it */
	session_on_net_event(w.node[0].set, &ev, w.now);
	w.node[1].addr = 0x8888;
	w.node[0].addr = 0x9999;
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(8), a_fin));
	CU_ASSERT_EQUAL(a->got, 1000);
	world_fini(&w);
}

static void test_hello_lost(void)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		begin(2);
		w.rng += seed << 40;
		w.loss_permille = 300;
		a = app_open(&w, 0, 1, PORT_ECHO, 100);
		world_run(&w, PN_S(30), NULL);
		if (the_app.up[1]) {
			CU_ASSERT_TRUE(w.node[0].records_in >= 1);
			CU_ASSERT_TRUE(w.node[1].records_in >= 1);
		}
		world_fini(&w);
	}
}

/* More sessions than the table has: idle ones make room, busy ones do not. */
static void test_table_full(void)
{
	begin(3);
	world_stop(&w, 0, false);
	w.cfg.session_max = 1;
	world_start(&w, 0, 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	b = app_open(&w, 0, 2, PORT_ECHO, 0);
	CU_ASSERT_EQUAL(b->id, 0);
	app_close(&w, a);
	world_run(&w, PN_S(1), NULL);
	b = app_open(&w, 0, 2, PORT_ECHO, 1000);
	CU_ASSERT_NOT_EQUAL(b->id, 0);
	a = b;
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	world_fini(&w);
}

static int corrupt_every;

static void corrupt(struct world *x, struct pn_pkt *pkt)
{
	if (world_random(x) % (uint32_t)corrupt_every == 0)
		pkt->data[world_random(x) % pkt->len] ^= (uint8_t)(1 + world_random(x) % 255);
}

/* Changed packets are lost packets. */
static void test_corrupt(void)
{
	begin(2);
	corrupt_every = 20;
	w.on_packet = corrupt;
	a = app_open(&w, 0, 1, PORT_ECHO, 1000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(300), a_fin));
	CU_ASSERT_EQUAL(a->got, 1000000);
	CU_ASSERT_FALSE(a->bad);
	world_fini(&w);
}

/* A flood of new handshakes from everywhere: Retry, then no more; and a session
 * can still be had through it. */
static void test_flood(void)
{
	struct pn_pkt *first = NULL;
	uint8_t image[1500];
	uint32_t len;

	begin(3);
	/* catch a real first packet */
	a = app_open(&w, 0, 1, PORT_ECHO, 100);
	session_flush(w.node[0].set, w.now);
	first = w.node[1].inbox.head;
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	len = first->len;
	memcpy(image, first->data, len);
	CU_ASSERT_TRUE(len >= 1200);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	/* again and again, with another first id: each looks like a new client, and
	 * costs a slot although it cannot be decrypted or not */
	for (int i = 0; i < 5000; i++) {
		struct pn_pkt *pkt = pn_pkt_get(&w.pool);

		CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
		memcpy(pn_pkt_append(pkt, len), image, len);
		pkt->data[6 + i % 8] ^= (uint8_t)(1 + i / 8);
		pkt->src = 0x9000 + (uint64_t)i;
		pkt->tag = (uint32_t)i;
		pkt->ecn = 0;
		session_input(w.node[1].set, &pkt, 1, w.now);
	}
	session_flush(w.node[1].set, w.now);
	CU_ASSERT_TRUE(world_counter(&w, 1, "rx_drop_handshake_rate") > 0 ||
		       world_counter(&w, 1, "tx_retry") > 0);
	a = app_open(&w, 2, 1, PORT_ECHO, 100);
	CU_ASSERT_TRUE(world_run(&w, PN_S(9), a_fin));
	world_fini(&w);
}

/* Many clients at once: the later ones are asked to prove their address. */
static void test_retry(void)
{
	struct session_set *sets[40];
	struct net *from = NULL;

	begin(3);
	(void)from;
	/* one node dials under forty identities at the same moment */
	for (int i = 0; i < 40; i++) {
		struct session_config cfg = w.cfg;

		memset(cfg.seed, 0x80 + i, sizeof(cfg.seed));
		memset(cfg.random, 0x80 + i, sizeof(cfg.random));
		cfg.session_max = 4;
		cfg.stream_max = 4;
		sets[i] = session_set_new(&cfg, &w.node[2], w.now);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sets[i]);
		CU_ASSERT_NOT_EQUAL(stream_open(sets[i], NULL, w.node[1].hit, PORT_SINK, 1, 1,
						w.now), 0);
		session_flush(sets[i], w.now);
	}
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(9), a_fin));
	CU_ASSERT_TRUE(world_counter(&w, 1, "tx_retry") >= 1);
	CU_ASSERT_EQUAL(world_counter(&w, 1, "rx_drop_retry_token"), 0);
	CU_ASSERT_EQUAL(a->got, 1000);
	for (int i = 0; i < 40; i++)
		session_set_free(sets[i]);
	world_fini(&w);
}

static void test_null_cipher(void)
{
	uint64_t packets[2];

	for (int turn = 0; turn < 2; turn++) {
		begin(2);
		for (int i = 0; i < 2; i++)
			world_stop(&w, i, false);
		w.cfg.null_cipher = true;
		for (int i = 0; i < 2; i++)
			world_start(&w, i, 1);
		w.loss_permille = 20;
		a = app_open(&w, 0, 1, PORT_ECHO, 1000000);
		CU_ASSERT_TRUE(world_run(&w, PN_S(60), a_fin));
		CU_ASSERT_EQUAL(a->got, 1000000);
		CU_ASSERT_FALSE(a->bad);
		packets[turn] = w.packets;
		world_fini(&w);
	}
	CU_ASSERT_EQUAL(packets[0], packets[1]);	/* a run repeats */
}

static void test_null_wrong_identity(void)
{
	begin(3);
	for (int i = 0; i < 3; i++)
		world_stop(&w, i, false);
	memcpy(w.node[1].seed, w.node[2].seed, PN_ID_LEN);
	w.cfg.null_cipher = true;
	for (int i = 0; i < 3; i++)
		world_start(&w, i, 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 10);
	CU_ASSERT_TRUE(world_run(&w, PN_S(12), a_reset));
	CU_ASSERT_EQUAL(a->err, PN_EAUTH);
	world_fini(&w);
}

static CU_TestInfo tests[] = {
	{ "both dial at once", test_both_dial },
	{ "idle close and return", test_idle },
	{ "idle stream outlives a long silence", test_suspend },
	{ "path cut for two seconds", test_cut_short },
	{ "after a cut it goes on soon", test_cut_resumes },
	{ "path cut for good", test_cut_for_good },
	{ "our process was stopped", test_stopped },
	{ "restarted peer, we had dialled", test_restart_dialled },
	{ "restarted peer, it had dialled", test_restart_dialler },
	{ "restarted peer dials again", test_restart_dials },
	{ "restarted peer dials back", test_restart_dials_back },
	{ "dialled over a dead session", test_restart_redial },
	{ "peer stops in good order", test_goodbye },
	{ "a session with ourselves", test_self },
	{ "address records", test_records },
	{ "no address record", test_no_record },
	{ "no way to the peer for a while", test_peer_failed },
	{ "lost hello", test_hello_lost },
	{ "session table full", test_table_full },
	{ "corrupt packets", test_corrupt },
	{ "flood of handshakes", test_flood },
	{ "Retry", test_retry },
	{ "null cipher repeats", test_null_cipher },
	{ "null cipher, wrong identity", test_null_wrong_identity },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_session_life = { .pName = "session life", .pTests = tests };
