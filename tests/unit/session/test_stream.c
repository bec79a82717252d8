/* SPDX-License-Identifier: ISC */
/* Streams between two nodes. */
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
	a = b = NULL;
}

static bool a_fin(struct world *x) { (void)x; return a->fin; }
static bool a_failed(struct world *x) { (void)x; return a->failed; }
static bool a_opened(struct world *x) { (void)x; return a->opened && app_server_of(a, 1); }
static bool ab_fin(struct world *x) { (void)x; return a->fin && b->fin; }

static void check_echo(struct app_stream *s, uint64_t bytes)
{
	CU_ASSERT_EQUAL(s->got, bytes);
	CU_ASSERT_FALSE(s->bad);
	CU_ASSERT_TRUE(s->opened);
	CU_ASSERT_FALSE(s->reset);
}

static void test_echo(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 10000000);
	b = app_open(&w, 1, 0, PORT_ECHO, 10000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(60), ab_fin));
	check_echo(a, 10000000);
	check_echo(b, 10000000);
	world_fini(&w);
}

static void test_echo_loss(void)
{
	begin(2);
	w.delay_ns = PN_MS(15);
	w.loss_permille = 50;
	a = app_open(&w, 0, 1, PORT_ECHO, 1000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(300), a_fin));
	check_echo(a, 1000000);
	CU_ASSERT_TRUE(w.lost > 10);
	world_fini(&w);
}

static void test_bbr(void)
{
	begin(2);
	for (int i = 0; i < 2; i++)
		world_stop(&w, i, false);
	w.cfg.cc = SESSION_CC_BBR;
	for (int i = 0; i < 2; i++)
		world_start(&w, i, 1);
	w.loss_permille = 10;
	a = app_open(&w, 0, 1, PORT_ECHO, 3000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(120), a_fin));
	check_echo(a, 3000000);
	world_fini(&w);
}

static void test_jumbo(void)
{
	begin(2);
	for (int i = 0; i < 2; i++)
		world_stop(&w, i, false);
	w.cfg.mtu_max = 8900;
	w.mtu = 8900;
	for (int i = 0; i < 2; i++)
		world_start(&w, i, 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 5000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(60), a_fin));
	check_echo(a, 5000000);
	CU_ASSERT_TRUE(w.packets < 2 * 5000000 / 4000);
	world_fini(&w);
}

static void test_refuse(void)
{
	struct app_stream *full;
	struct stream_info info;

	begin(2);
	a = app_open(&w, 0, 1, 4242, 0);
	full = app_open(&w, 0, 1, PORT_FULL, 0);
	CU_ASSERT_TRUE(stream_info(w.node[0].set, a->id, &info));
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_failed));
	CU_ASSERT_EQUAL(a->err, PN_EREFUSED);
	CU_ASSERT_FALSE(a->opened);
	world_run(&w, PN_S(1), NULL);
	CU_ASSERT_TRUE(full->failed);
	CU_ASSERT_EQUAL(full->err, PN_EFULL);
	CU_ASSERT_FALSE(stream_info(w.node[0].set, a->id, &info));
	world_fini(&w);
}

static void test_unknown(void)
{
	uint8_t hit[PN_HIT_LEN] = { 0x20, 1, 0, 0x21, 9 };

	begin(2);
	a = app_open_hit(&w, 0, hit, 80);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_failed));
	CU_ASSERT_EQUAL(a->err, PN_EUNREACH);
	world_fini(&w);
}

static void test_silent(void)
{
	begin(2);
	w.node[1].blackhole = true;
	a = app_open(&w, 0, 1, PORT_ECHO, 10);
	CU_ASSERT_TRUE(world_run(&w, PN_S(12), a_failed));
	CU_ASSERT_EQUAL(a->err, PN_ETIMEDOUT);
	world_fini(&w);
}

/* The dialled HIT belongs to a node whose key is another one. */
static void test_wrong_identity(void)
{
	begin(3);
	/* node 2 gets what is meant for node 1 */
	world_stop(&w, 1, false);
	memcpy(w.node[1].seed, w.node[2].seed, PN_ID_LEN);
	world_start(&w, 1, 3);
	a = app_open(&w, 0, 1, PORT_ECHO, 10);
	CU_ASSERT_TRUE(world_run(&w, PN_S(12), a_failed));
	CU_ASSERT_EQUAL(a->err, PN_EAUTH);
	CU_ASSERT_EQUAL(world_counter(&w, 0, "peer_wrong_identity"), 1);
	CU_ASSERT_EQUAL(world_counter(&w, 1, "sessions_answered"), 0);
	CU_ASSERT_EQUAL(the_app.up[1], 0);
	world_fini(&w);
}

static void test_half_close(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_SOURCE, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	stream_shutdown(w.node[0].set, a->id, w.now);	/* nothing to say */
	CU_ASSERT_TRUE(world_run(&w, PN_S(20), a_fin));
	CU_ASSERT_EQUAL(a->got, SOURCE_BYTES);
	CU_ASSERT_EQUAL(app_try(&w, a), PN_ECLOSED);
	b = app_server_of(a, 1);
	CU_ASSERT_TRUE(b->fin);
	CU_ASSERT_EQUAL(b->got, 0);
	world_fini(&w);
}

static void test_reset(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_UNREAD, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	b = app_server_of(a, 1);
	CU_ASSERT_EQUAL(stream_write(w.node[0].set, a->id, (const uint8_t *)"hello", 5, w.now), 5);
	world_run(&w, PN_MS(100), NULL);
	stream_reset(w.node[0].set, a->id, w.now);
	app_close(&w, a);
	world_run(&w, PN_MS(100), NULL);
	CU_ASSERT_TRUE(b->reset);
	CU_ASSERT_EQUAL(b->err, PN_ERESET);
	b->no_read = false;
	b->salt = 0;
	app_pull(&w, b);	/* what came before is still there */
	CU_ASSERT_EQUAL(b->got, 5);
	CU_ASSERT_EQUAL(app_try(&w, b), PN_ERESET);
	app_close(&w, b);
	CU_ASSERT_EQUAL(app_try(&w, b), PN_ESTALE);
	world_fini(&w);
}

static bool a_stopped(struct world *x) { (void)x; return a->stopped; }

/* The reader goes away while the writer is idle, or has its buffer full. */
static void test_stop(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_UNREAD, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	a->to_send = 1000000000;
	app_push(&w, a);
	world_run(&w, PN_S(2), NULL);
	b = app_server_of(a, 1);
	CU_ASSERT_TRUE(a->sent < 16000000);	/* its window and our buffer */
	CU_ASSERT_FALSE(a->stopped);
	stream_stop(w.node[1].set, b->id, w.now);
	CU_ASSERT_TRUE(world_run(&w, PN_S(2), a_stopped));
	CU_ASSERT_EQUAL(app_try(&w, a), PN_ECLOSED);
	/* the other direction lives */
	b->salt = a->salt;
	b->to_send = 5000;
	app_push(&w, b);
	CU_ASSERT_TRUE(world_run(&w, PN_S(2), a_fin));
	CU_ASSERT_EQUAL(a->got, 5000);
	CU_ASSERT_FALSE(a->bad);
	CU_ASSERT_FALSE(a->reset);
	world_fini(&w);
}

/* All in flight, nothing unsent, the owner waits: a stop must still be heard. */
static void test_stop_in_flight(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_UNREAD, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	b = app_server_of(a, 1);
	a->to_send = 1000000;
	app_push(&w, a);		/* as much as the buffer takes */
	stream_stop(w.node[1].set, b->id, w.now);
	CU_ASSERT_TRUE(world_run(&w, PN_S(2), a_stopped));
	world_fini(&w);
}

static bool b_got_all(struct world *x) { (void)x; b = app_server_of(a, 1); return b && b->fin; }

/* The writer closes at once: what it wrote arrives, and an end. */
static void test_close_flushes(void)
{
	begin(2);
	a = app_open(&w, 0, 1, PORT_SINK, 200000);
	CU_ASSERT_EQUAL(a->sent, 200000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(1), a_opened));
	app_close(&w, a);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), b_got_all));
	CU_ASSERT_EQUAL(b->got, 200000);
	CU_ASSERT_FALSE(b->bad);
	app_close(&w, b);
	world_run(&w, PN_S(1), NULL);
	for (int i = 0; i < 2; i++) {
		struct session_info info;

		CU_ASSERT_TRUE(session_info_at(w.node[i].set, 0, &info, w.now));
		CU_ASSERT_EQUAL(info.streams, 0);
	}
	world_fini(&w);
}

#define MANY 500

static bool all_fin(struct world *x)
{
	(void)x;
	for (uint32_t i = 0; i < the_app.count; i++)
		if (!the_app.s[i].incoming && !the_app.s[i].fin)
			return false;
	return true;
}

static void test_many(void)
{
	begin(2);
	w.loss_permille = 5;
	for (int i = 0; i < MANY; i++)
		app_open(&w, i & 1, !(i & 1), PORT_ECHO, 20000 + (uint64_t)i);
	CU_ASSERT_TRUE(world_run(&w, PN_S(120), all_fin));
	for (uint32_t i = 0; i < the_app.count; i++)
		if (!the_app.s[i].incoming &&
		    (the_app.s[i].bad || the_app.s[i].got != the_app.s[i].to_send))
			CU_FAIL("a stream got something else");
	CU_ASSERT_EQUAL(the_app.count, 2 * MANY);
	for (uint32_t i = 0; i < the_app.count; i++)
		app_close(&w, &the_app.s[i]);
	world_run(&w, PN_S(3), NULL);
	for (int i = 0; i < 2; i++) {	/* and all their slots are free again */
		struct session_info info;

		CU_ASSERT_TRUE(session_info_at(w.node[i].set, 0, &info, w.now));
		CU_ASSERT_EQUAL(info.streams, 0);
	}
	world_fini(&w);
}

/* More than the peer allows at once: the rest waits its turn. */
static void test_stream_limit(void)
{
	struct session_info info;

	begin(2);
	for (int i = 0; i < 2; i++)
		world_stop(&w, i, false);
	w.cfg.stream_max = 64;
	world_start(&w, 1, 1);
	w.cfg.stream_max = 2048;
	world_start(&w, 0, 1);
	for (int i = 0; i < 90; i++)
		app_open(&w, 0, 1, PORT_SINK, 10);
	world_run(&w, PN_S(2), NULL);
	for (uint32_t i = 0, open = 0; i < 90; i++) {
		open += the_app.s[i].opened;
		if (i == 89)
			CU_ASSERT_EQUAL(open, 48);	/* three quarters of 64 */
	}
	for (uint32_t i = 0; i < the_app.count; i++)
		if (the_app.s[i].opened)
			app_close(&w, &the_app.s[i]);
	world_run(&w, PN_S(2), NULL);
	for (uint32_t i = 0; i < 90; i++)
		CU_ASSERT_TRUE(the_app.s[i].opened);
	CU_ASSERT_TRUE(session_info_at(w.node[1].set, 0, &info, w.now));
	CU_ASSERT_EQUAL(info.streams, 42);
	world_fini(&w);
}

static void test_unread(void)
{
	struct app_stream *stuck[8];

	begin(2);
	for (int i = 0; i < 8; i++)
		stuck[i] = app_open(&w, 0, 1, PORT_UNREAD, 100000000);
	world_run(&w, PN_S(5), NULL);
	a = app_open(&w, 0, 1, PORT_ECHO, 5000000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(30), a_fin));
	check_echo(a, 5000000);
	for (int i = 0; i < 8; i++) {
		struct app_stream *s = app_server_of(stuck[i], 1);
		size_t len;
		bool fin;

		CU_ASSERT_TRUE(stuck[i]->sent < 9000000);
		/* now it is read after all, and everything comes */
		s->no_read = false;
		CU_ASSERT_PTR_NOT_NULL(stream_peek(w.node[1].set, s->id, &len, &fin));
		app_pull(&w, s);
		stuck[i]->to_send = stuck[i]->sent;
		app_push(&w, stuck[i]);
	}
	for (int i = 0; i < 8; i++) {
		a = stuck[i];
		CU_ASSERT_TRUE(world_run(&w, PN_S(30), b_got_all));
		CU_ASSERT_EQUAL(b->got, a->sent);
		CU_ASSERT_FALSE(b->bad);
	}
	world_fini(&w);
}

/* Many send at once: none gets far more than another. */
static void test_fair(void)
{
	uint64_t least = UINT64_MAX, most = 0;

	begin(2);
	for (int i = 0; i < 10; i++)
		app_open(&w, 0, 1, PORT_SINK, 100000000);
	world_run(&w, PN_S(1), NULL);
	for (uint32_t i = 0; i < the_app.count; i++) {
		if (!the_app.s[i].incoming)
			continue;
		least = the_app.s[i].got < least ? the_app.s[i].got : least;
		most = the_app.s[i].got > most ? the_app.s[i].got : most;
	}
	CU_ASSERT_TRUE(least > 100000);
	CU_ASSERT_TRUE(most < least + least / 4);
	world_fini(&w);
}

static void test_stale(void)
{
	struct session_set *set;
	stream_id bad[6];
	struct stream_info info;
	uint8_t byte = 0;
	size_t len;
	bool fin;

	begin(2);
	set = w.node[0].set;
	a = app_open(&w, 0, 1, PORT_ECHO, 0);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	bad[0] = a->id;
	app_close(&w, a);
	world_run(&w, PN_S(1), NULL);
	bad[1] = 0;
	bad[2] = UINT64_MAX;
	bad[3] = 1;
	bad[4] = (1ULL << 32) | 0xffffffff;
	bad[5] = (1ULL << 32) | (w.cfg.stream_max + 1);
	a = app_open(&w, 0, 1, PORT_ECHO, 0);	/* takes the slot of the first */
	CU_ASSERT_EQUAL((uint32_t)a->id, (uint32_t)bad[0]);
	for (int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(stream_write(set, bad[i], &byte, 1, w.now), PN_ESTALE);
		CU_ASSERT_PTR_NULL(stream_write_space(set, bad[i], &len));
		stream_write_commit(set, bad[i], 1, w.now);
		CU_ASSERT_PTR_NULL(stream_peek(set, bad[i], &len, &fin));
		stream_consume(set, bad[i], 1, w.now);
		stream_accept(set, bad[i], 1, w.now);
		stream_refuse(set, bad[i], PN_EREFUSED, w.now);
		stream_shutdown(set, bad[i], w.now);
		stream_stop(set, bad[i], w.now);
		stream_reset(set, bad[i], w.now);
		stream_close(set, bad[i], w.now);
		CU_ASSERT_FALSE(stream_info(set, bad[i], &info));
	}
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_opened));
	world_fini(&w);
}

static void test_info(void)
{
	struct stream_info info;

	begin(2);
	a = app_open(&w, 0, 1, PORT_ECHO, 1000);
	CU_ASSERT_TRUE(world_run(&w, PN_S(5), a_fin));
	CU_ASSERT_TRUE(stream_info(w.node[0].set, a->id, &info));
	CU_ASSERT_FALSE(memcmp(info.id, w.node[1].id, PN_ID_LEN));
	CU_ASSERT_FALSE(memcmp(info.hit, w.node[1].hit, PN_HIT_LEN));
	CU_ASSERT_EQUAL(info.port, PORT_ECHO);
	CU_ASSERT_EQUAL(info.peer_port, 40000);
	CU_ASSERT_EQUAL(info.tx_bytes, 1000);
	CU_ASSERT_EQUAL(info.rx_bytes, 1000);
	b = app_server_of(a, 1);
	CU_ASSERT_TRUE(stream_info(w.node[1].set, b->id, &info));
	CU_ASSERT_FALSE(memcmp(info.id, w.node[0].id, PN_ID_LEN));
	CU_ASSERT_TRUE(info.incoming);
	CU_ASSERT_EQUAL(info.peer_port, 40000);
	world_fini(&w);
}

static CU_TestInfo tests[] = {
	{ "10 MB echoed in both directions", test_echo },
	{ "echo with 5 % loss and 30 ms", test_echo_loss },
	{ "BBR with loss", test_bbr },
	{ "jumbo packets", test_jumbo },
	{ "refused", test_refuse },
	{ "unknown identity", test_unknown },
	{ "silent peer", test_silent },
	{ "wrong identity", test_wrong_identity },
	{ "half-close", test_half_close },
	{ "reset", test_reset },
	{ "stop", test_stop },
	{ "stop while all is in flight", test_stop_in_flight },
	{ "close sends what was written", test_close_flushes },
	{ "500 streams", test_many },
	{ "the peer's limit of streams", test_stream_limit },
	{ "an unread stream stalls no other", test_unread },
	{ "streams share evenly", test_fair },
	{ "stale handles", test_stale },
	{ "info", test_info },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_session_stream = { .pName = "session streams", .pTests = tests };
