// SPDX-License-Identifier: ISC
/* guard.c against neighbours that are drawn up here: which of their links lose how much,
 * who drops, who lies, who moves.  The module's own source is compiled in, with what it
 * calls of the rest of the layer replaced. */
#define nbhd_pick      fake_nbhd_pick
#define neighbour_addr fake_neighbour_addr
#define adj_peek       fake_adj_peek
#define adj_count      fake_adj_count
#define adj_data_send  fake_adj_data_send
#define adj_expel      fake_adj_expel
#define route_shun     fake_route_shun
#define facet_addr     fake_facet_addr
#define facet_root     fake_facet_root
#define guard_carve    fake_guard_carve
#define guard_init     fake_guard_init
#define guard_expire   fake_guard_expire
#define guard_on_up    fake_guard_on_up
#define guard_on_down  fake_guard_on_down
#define guard_on_data  fake_guard_on_data
#define guard_on_reply fake_guard_on_reply
#define guard_avoids   fake_guard_avoids
#define guard_may_answer fake_guard_may_answer
#include "pnstackd/net/guard.c"

#include "tests/unit/unit.h"

#include <limits.h>
#include <stdlib.h>

#define NBS 4
#define FLIGHTS 256
#define OWN_ADDR 1u
#define RTT_NS PN_MS(20)

/* A neighbour, at address 16 * (its number + 1), and who is behind it */
struct nb_fake {
	struct adj_pub pub;
	uint64_t addr;
	uint64_t behind[3];
	unsigned behind_count;
	bool drops;
	bool lies;                   /* answers in the others' names */
	double loss;                 /* of a whole round trip, */
	uint64_t rtt_ns;             /* which takes so long */
	unsigned asked;
	unsigned expelled;
	unsigned shuns;              /* changes of mind */
	uint64_t expelled_ns;
};

struct flight { bool used; struct pn_time at; uint32_t adj; struct echo_msg msg; };

static struct {
	struct net net;
	struct pn_time now;
	struct nb_fake nb[NBS];
	struct flight flight[FLIGHTS];
	struct pn_heap_entry *slots[8];
	void *mem, *pool_mem;
	struct pn_pool pool;
	uint64_t root, own;
	unsigned data_to;            /* bits: data of users goes there, */
	bool heeds;                  /* unless it is avoided */
	uint64_t seed;
} w;

static double chance(void)
{
	w.seed = w.seed * 6364136223846793005u + 1442695040888963407u;
	return (double)(w.seed >> 11) / 9007199254740992.0;
}

/* What guard.c calls ------------------------------------------------------------ */

bool nbhd_pick(const struct net *net, uint32_t adj, uint64_t random, uint64_t *addr)
{
	const struct nb_fake *nb = &w.nb[adj];

	(void)net;
	if (nb->behind_count == 0)
		return false;
	*addr = nb->behind[random % nb->behind_count];
	return true;
}

bool neighbour_addr(const struct net *net, uint32_t adj, uint64_t *addr)
{
	(void)net;
	*addr = w.nb[adj].addr;
	return w.nb[adj].pub.up && w.nb[adj].addr;
}

const struct adj_pub *adj_peek(const struct net *net, uint32_t adj)
{
	(void)net;
	return &w.nb[adj].pub;
}

uint32_t adj_count(const struct net *net)
{
	(void)net;
	return NBS;
}

uint64_t facet_addr(const struct net *net, uint16_t facet)
{
	(void)net;
	(void)facet;
	return w.own;
}

uint64_t facet_root(const struct net *net, uint16_t facet)
{
	(void)net;
	(void)facet;
	return w.root;
}

static void flight_add(uint32_t adj, const struct echo_msg *msg)
{
	for (unsigned i = 0; i < FLIGHTS; i++) {
		if (w.flight[i].used)
			continue;
		w.flight[i] = (struct flight){ true, pn_time_add(w.now, w.nb[adj].rtt_ns), adj, *msg };
		return;
	}
	abort();
}

/* Over which adjacency an answer of @dst comes, asked over @adj */
static uint32_t answer_adj(uint64_t dst, uint32_t adj)
{
	for (uint32_t i = 0; i < NBS; i++)
		if (w.nb[i].pub.up && w.nb[i].addr == dst)
			return i;
	return adj;
}

void adj_data_send(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	struct nb_fake *nb = &w.nb[adj];
	struct net_hdr hdr;
	struct echo_msg msg;

	(void)now;
	CU_ASSERT(nb->pub.up);
	CU_ASSERT_EQUAL(net_hdr_parse(&hdr, pkt->data, pkt->len), 0);
	pn_pkt_pull(pkt, NET_HDR_LEN);
	CU_ASSERT_EQUAL(echo_parse(&msg, pkt->data, pkt->len), 0);
	CU_ASSERT_EQUAL(msg.kind, ECHO_REQUEST);
	CU_ASSERT_EQUAL(hdr.src, w.own);
	nb->asked++;
	msg.kind = ECHO_REPLY;
	if (nb->lies)
		flight_add(adj, &msg);
	else if (!nb->drops && chance() >= nb->loss)
		flight_add(answer_adj(hdr.dst, adj), &msg);
	pn_pkt_put(net->pool, pkt);
}

void adj_expel(struct net *net, uint32_t adj, uint64_t ns, struct pn_time now)
{
	(void)now;
	w.nb[adj].expelled++;
	w.nb[adj].expelled_ns = ns;
	w.nb[adj].pub.up = false;
	guard_on_down(net, adj);
}

void route_shun(struct net *net, uint16_t facet, uint32_t adj, struct pn_time now)
{
	(void)net;
	(void)facet;
	(void)now;
	w.nb[adj].shuns++;
}

/* The world --------------------------------------------------------------------------- */

static void up(uint32_t i)
{
	w.nb[i].pub.up = true;
	guard_on_up(&w.net, i, w.now);
}

static void begin(uint64_t seed)
{
	struct net_config cfg = { .adj_max = NBS };
	struct arena a = { 0 };

	memset(&w, 0, sizeof(w));
	w.seed = seed;
	w.now = (struct pn_time){ PN_S(1000) };
	w.own = OWN_ADDR;
	w.root = 77;
	w.data_to = UINT_MAX;
	w.pool_mem = malloc(pn_pool_mem_size(8, 256));
	pn_pool_init(&w.pool, w.pool_mem, 8, 256);
	w.net.pool = &w.pool;
	w.net.random_key[0] = (uint8_t)seed;
	w.net.random_key[1] = (uint8_t)(seed >> 8);
	w.net.rx_adj = NET_RX_NONE;
	pn_heap_init(&w.net.timers, w.slots, 8);
	guard_carve(&w.net, &a, &cfg);
	a.at = w.mem = calloc(1, a.used);
	a.used = 0;
	guard_carve(&w.net, &a, &cfg);
	guard_init(&w.net, w.now);
	for (uint32_t i = 0; i < NBS; i++) {
		struct nb_fake *nb = &w.nb[i];

		nb->pub = (struct adj_pub){ .index = i, .kind = ADJ_TUNNEL };
		memset(nb->pub.id, (int)i + 1, PN_ID_LEN);
		nb->addr = 16 * (i + 1);
		nb->rtt_ns = RTT_NS;
		nb->behind_count = 3;
		for (unsigned b = 0; b < 3; b++)
			nb->behind[b] = nb->addr + b + 1;
		up(i);
	}
}

static void end(void)
{
	CU_ASSERT_EQUAL(w.pool.free_count, 8);
	free(w.mem);
	free(w.pool_mem);
}

static void land(struct flight *f)
{
	f->used = false;
	if (!w.nb[f->adj].pub.up)
		return;
	w.net.rx_adj = f->adj;
	CU_ASSERT(guard_on_reply(&w.net, &f->msg, w.now) || w.net.rx_adj != NET_RX_NONE);
	w.net.rx_adj = NET_RX_NONE;
}

static bool data_goes(uint32_t i)
{
	return w.nb[i].pub.up && w.data_to >> i & 1 && !(w.heeds && guard_avoids(&w.net, i));
}

/* @data: packets of users go to all, as far as nothing else is said, all the time */
static void pass(uint64_t ns, bool data)
{
	struct pn_time until = pn_time_add(w.now, ns);

	for (; pn_time_before(w.now, until); w.now = pn_time_add(w.now, PN_MS(5))) {
		w.net.now = w.now;
		for (unsigned i = 0; i < FLIGHTS; i++)
			if (w.flight[i].used && pn_time_due(w.flight[i].at, w.now))
				land(&w.flight[i]);
		for (uint32_t i = 0; data && i < NBS; i++)
			if (data_goes(i))
				guard_on_data(&w.net, i);
		while (pn_time_due(pn_heap_next_deadline(&w.net.timers), w.now)) {
			pn_heap_pop(&w.net.timers);
			guard_expire(&w.net, w.now);
		}
	}
}

/* Tests ----------------------------------------------------------------------------------- */

static void test_rest(void)
{
	begin(1);
	pass(PN_S(1200), false);
	for (unsigned i = 0; i < NBS; i++) {
		CU_ASSERT(w.nb[i].asked >= 3);
		CU_ASSERT(w.nb[i].asked <= 7);
		CU_ASSERT_EQUAL(w.nb[i].expelled, 0);
	}
	end();
}

static void test_dropper(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed);
		w.nb[2].drops = true;            /* from the start */
		pass(PN_S(16), true);
		CU_ASSERT_EQUAL(w.nb[2].expelled, 1);
		pass(PN_S(60), true);
		w.nb[1].drops = true;            /* turns later */
		pass(PN_S(11), true);
		CU_ASSERT_EQUAL(w.nb[1].expelled, 1);
		CU_ASSERT_EQUAL(w.nb[0].expelled + w.nb[3].expelled, 0);
		end();
	}
}

/* Soon it is the last resort, and that for as long as it drops. */
static void test_avoided(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed);
		pass(PN_S(30), true);
		w.nb[2].drops = true;
		for (unsigned i = 0; i < 46 && !guard_avoids(&w.net, 2); i++)
			pass(PN_MS(100), true);
		CU_ASSERT(guard_avoids(&w.net, 2));
		CU_ASSERT_EQUAL(w.nb[2].shuns, 1);
		CU_ASSERT_EQUAL(w.nb[2].expelled, 0);
		w.nb[2].drops = false;
		pass(PN_MS(150), true);
		CU_ASSERT(!guard_avoids(&w.net, 2));
		CU_ASSERT_EQUAL(w.nb[2].shuns, 2);
		pass(PN_S(30), true);
		for (unsigned i = 0; i < NBS; i++)
			CU_ASSERT(w.nb[i].expelled == 0 && w.nb[i].shuns == (i == 2 ? 2 : 0));
		end();
	}
}

/* Whom nobody needs is not expelled, and asked seldom; but as soon as somebody does. */
static void test_kept(void)
{
	unsigned asked;

	begin(10);
	w.heeds = true;
	w.nb[2].drops = true;
	pass(PN_S(120), true);
	CU_ASSERT(guard_avoids(&w.net, 2));
	CU_ASSERT_EQUAL(w.nb[2].expelled, 0);
	CU_ASSERT(w.net.counters[COUNT_guard_kept] > 0);
	asked = w.nb[2].asked;
	pass(PN_S(120), true);
	CU_ASSERT(w.nb[2].asked - asked <= 6);
	w.root++;                                /* our own place changes */
	pass(PN_S(60), true);
	CU_ASSERT(guard_avoids(&w.net, 2));
	w.heeds = false;
	pass(PN_S(7), true);
	CU_ASSERT_EQUAL(w.nb[2].expelled, 1);
	end();
}

/* What went over one goes over others now: they are tested before it does. */
static void test_others_too(void)
{
	begin(11);
	w.data_to = 1;
	w.heeds = true;
	w.nb[0].drops = w.nb[3].drops = true;
	pass(PN_S(9), true);
	CU_ASSERT(guard_avoids(&w.net, 0) && guard_avoids(&w.net, 3));
	CU_ASSERT(w.nb[1].asked > 0 && w.nb[2].asked > 0);
	CU_ASSERT(!guard_avoids(&w.net, 1) && !guard_avoids(&w.net, 2));
	end();
}

/* Links over satellites are slow, and known to be after a test. */
static void test_slow(void)
{
	begin(12);
	w.nb[1].rtt_ns = PN_S(2);
	pass(PN_S(600), true);
	CU_ASSERT(w.nb[1].shuns <= 2);
	CU_ASSERT_EQUAL(w.nb[1].expelled, 0);
	end();
}

/* Virtual hours of loss, and nobody is blamed for it */
static void test_loss(void)
{
	static const double loss[] = { 0.19, 0.59 };     /* 5 % and 20 % on each of four links */

	for (unsigned k = 0; k < 2; k++) {
		for (uint64_t seed = 1; seed <= 10; seed++) {
			begin(seed);
			for (unsigned i = 0; i < NBS; i++)
				w.nb[i].loss = loss[k];
			pass(PN_S(1800), true);
			for (unsigned i = 0; i < NBS; i++)
				CU_ASSERT_EQUAL(w.nb[i].expelled, 0);
			end();
		}
	}
}

/* Not even if it sets in at once with those that were always reliable */
static void test_onset(void)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		begin(seed);
		pass(PN_S(100), true);
		for (unsigned i = 0; i < NBS; i++)
			w.nb[i].loss = 0.59;
		pass(PN_S(60), true);
		for (unsigned i = 0; i < NBS; i++)
			CU_ASSERT_EQUAL(w.nb[i].expelled, 0);
		end();
	}
}

static void test_leaf(void)
{
	begin(3);
	w.nb[0].pub.leaf = w.nb[0].drops = true;
	w.nb[1].behind_count = 0;                        /* nobody to ask */
	w.nb[1].drops = true;
	pass(PN_S(60), true);
	CU_ASSERT_EQUAL(w.nb[0].asked + w.nb[1].asked, 0);
	CU_ASSERT_EQUAL(w.nb[0].expelled + w.nb[1].expelled, 0);
	end();
}

/* While addresses change nothing counts. */
static void test_unstable(void)
{
	begin(4);
	w.nb[0].drops = true;
	for (unsigned i = 0; i < 60; i++) {
		pass(PN_S(1), true);
		if (i % 2)
			w.root++;
		else
			w.nb[0].addr ^= 1024;
	}
	CU_ASSERT_EQUAL(w.nb[0].expelled, 0);
	/* nor in the midst of a streak */
	pass(PN_S(10), true);
	CU_ASSERT(guard_avoids(&w.net, 0) || w.nb[0].expelled);
	end();
}

/* Who answers in the name of our own neighbours is not believed; for others we cannot tell. */
static void test_liar(void)
{
	begin(5);
	for (unsigned b = 0; b < 3; b++)
		w.nb[0].behind[b] = w.nb[b % 2 + 1].addr;
	w.nb[0].lies = true;
	pass(PN_S(30), true);
	CU_ASSERT_EQUAL(w.nb[0].expelled, 1);
	end();
	begin(5);
	w.nb[0].lies = true;
	pass(PN_S(30), true);
	CU_ASSERT_EQUAL(w.nb[0].expelled, 0);
	end();
}

/* A forged or an old answer is none of ours, or changes nothing. */
static void test_forged(void)
{
	struct echo_msg msg = { .kind = ECHO_REPLY, .number = 0x1234567800000000u, .cookie = 5 };

	begin(6);
	pass(PN_S(5), true);
	for (uint32_t i = 0; i < 0x20000; i++) {
		msg.number++;
		CU_ASSERT(!guard_on_reply(&w.net, &msg, w.now));
	}
	msg.number = UINT64_MAX;
	CU_ASSERT(!guard_on_reply(&w.net, &msg, w.now));
	end();
}

/* The last that carries is kept; and if all seem to drop, it is us. */
static void test_spared(void)
{
	begin(7);
	for (unsigned i = 0; i < NBS; i++)
		w.nb[i].drops = true;
	w.net.guard->watch[0].used = false;      /* three neighbours */
	w.nb[0].pub.up = false;
	pass(PN_S(300), true);
	CU_ASSERT(w.nb[1].pub.up || w.nb[2].pub.up || w.nb[3].pub.up);
	CU_ASSERT(w.net.counters[COUNT_guard_spared] > 0);
	end();
}

static void test_penalty(void)
{
	uint64_t last = 0;

	begin(8);
	w.nb[0].drops = true;
	for (unsigned i = 0; i < 8; i++) {
		pass(PN_S(30), true);
		CU_ASSERT_EQUAL(w.nb[0].expelled, i + 1);
		CU_ASSERT(w.nb[0].expelled_ns == (last ? pn_min(2 * last, PN_S(3600)) : PN_S(60)));
		last = w.nb[0].expelled_ns;
		pass(last, true);
		up(0);
	}
	w.nb[0].drops = false;                   /* mends its ways */
	pass(PN_S(8000), true);
	w.nb[0].drops = true;
	pass(PN_S(30), true);
	CU_ASSERT_EQUAL(w.nb[0].expelled_ns, PN_S(60));
	end();
}

/* A neighbour that makes us answer without end uses up its own share alone. */
static void test_answers(void)
{
	begin(9);
	w.net.rx_adj = 1;
	for (unsigned i = 0; i < ANSWER_BURST; i++)
		CU_ASSERT(guard_may_answer(&w.net, w.now));
	CU_ASSERT(!guard_may_answer(&w.net, w.now));
	CU_ASSERT_EQUAL(w.net.counters[COUNT_guard_bounded], 1);
	w.net.rx_adj = 2;
	CU_ASSERT(guard_may_answer(&w.net, w.now));
	w.net.rx_adj = NET_RX_NONE;
	CU_ASSERT(guard_may_answer(&w.net, w.now));
	w.net.rx_adj = 1;
	CU_ASSERT(guard_may_answer(&w.net, pn_time_add(w.now, ANSWER_NS)));
	end();
}

static CU_TestInfo tests[] = {
	{ "rare at rest", test_rest },
	{ "a dropper is expelled in time", test_dropper },
	{ "it is avoided before that", test_avoided },
	{ "nobody is expelled for nothing", test_kept },
	{ "all are tested when one is avoided", test_others_too },
	{ "slow links", test_slow },
	{ "loss is nobody's fault", test_loss },
	{ "nor when it sets in at once", test_onset },
	{ "leaves, and who has nobody behind it", test_leaf },
	{ "places that change", test_unstable },
	{ "answers in others' names", test_liar },
	{ "forged answers", test_forged },
	{ "the last one is kept", test_spared },
	{ "the penalty doubles", test_penalty },
	{ "answers to one neighbour", test_answers },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_guard = { .pName = "guard", .pTests = tests };
