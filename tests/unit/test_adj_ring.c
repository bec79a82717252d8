// SPDX-License-Identifier: ISC
/* Many stations on one Ethernet: the ring of neighbours, and shortcuts. */
#define LAB_NODES 24
#include "tests/unit/adj_lab.h"

#define STATIONS 20

static void lan(uint64_t seed, int n)
{
	nodes(seed, n);
	for (int i = 0; i < n; i++)
		lab->cfg[i].adj_max = 40;
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(50));
	for (int i = 0; i < n; i++)
		lab_plug(lab, 0, i);
}

/* The adjacency of @a with @b; NULL: there is none */
static const struct adj_pub *with(int a, int b)
{
	for (uint32_t i = 0; i < adj_count(lab->net[a]); i++) {
		const struct adj_pub *p = adj_at(lab->net[a], i);

		if (p && memcmp(p->id, net_id(lab->net[b]), PN_ID_LEN) == 0)
			return p;
	}
	return NULL;
}

static int successor(int a)
{
	int next = -1, first = a;

	for (int b = 0; b < lab->nodes; b++) {
		if (!lab->net[b])
			continue;
		if (memcmp(net_id(lab->net[b]), net_id(lab->net[a]), PN_ID_LEN) > 0 &&
		    (next < 0 ||
		     memcmp(net_id(lab->net[b]), net_id(lab->net[next]), PN_ID_LEN) < 0))
			next = b;
		if (memcmp(net_id(lab->net[b]), net_id(lab->net[first]), PN_ID_LEN) < 0)
			first = b;
	}
	return next < 0 ? first : next;
}

static void ring_is_closed(void)
{
	for (int a = 0; a < lab->nodes; a++)
		if (lab->net[a]) {
			const struct adj_pub *p = with(a, successor(a));

			CU_ASSERT(p && !p->shortcut);
		}
}

static void test_ring(void)
{
	int all = 0;

	for (uint64_t seed = 1; seed <= 3; seed++) {
		lan(seed, STATIONS);
		lab_run(lab, PN_S(2));
		ring_is_closed();
		lab_run(lab, PN_S(8));
		for (int i = 0; i < STATIONS; i++) {
			all += lab_neighbours(lab, i);
			CU_ASSERT(lab_merged(lab, 0, i));
		}
		/* one goes and one comes: few others notice */
		lab_stop(lab, 3);
		lab_run(lab, PN_S(12));
		ring_is_closed();
		lab_start(lab, 3);
		lab->wire[0].end[3].link = net_link_add(lab->net[3], &(struct net_link_config){
			.kind = NET_LINK_ETHERNET, .mtu = 1500, .listen = true,
			.self = lab->wire[0].end[3].ll }, lab->now);
		lab_run(lab, PN_S(3));
		ring_is_closed();
		CU_ASSERT(lab_merged(lab, 0, 3));
		done();
	}
	CU_ASSERT(all <= 3 * STATIONS * 10);    /* 2 log2 n is 8.6 */
}

static int data_frames;
static bool tap_data(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)l;
	(void)wire;
	(void)from;
	data_frames += pkt->data[0] == FRAME_DATA;
	return true;
}

/* A flow between two that are no neighbours: soon one hop.  Return: the two of them */
static void flow(int *a, int *b)
{
	uint8_t p[100] = { 1 };
	unsigned before;

	for (*a = 0, *b = 1; with(*a, *b); (*b)++)
		CU_ASSERT_FATAL(*b < STATIONS - 1);
	before = lab->delivered[*b];
	for (int i = 0; i < 50; i++) {
		lab_data(lab, *a, *b, p, sizeof(p));
		lab_run(lab, PN_MS(20));
	}
	CU_ASSERT_EQUAL(lab->delivered[*b], before + 50);
	CU_ASSERT_FATAL(with(*a, *b) != NULL);
	CU_ASSERT(with(*a, *b)->shortcut);
	data_frames = 0;
	lab->tap = tap_data;
	lab_data(lab, *a, *b, p, sizeof(p));
	lab_run(lab, PN_MS(10));
	lab->tap = NULL;
	CU_ASSERT_EQUAL(lab->delivered[*b], before + 51);
	CU_ASSERT_EQUAL(data_frames, 1);
}

static void test_shortcut(void)
{
	int a, b;

	lan(5, STATIONS);
	lab_run(lab, PN_S(10));
	flow(&a, &b);
	/* the one flow made the one shortcut */
	CU_ASSERT_EQUAL(counter(a, "shortcuts_dialled"), 1);
	for (int i = 0; i < STATIONS; i++)
		CU_ASSERT(counter(i, "shortcuts_dialled") <= (i == a));
	/* and it goes with it */
	lab_run(lab, PN_S(70));
	CU_ASSERT(with(a, b) == NULL);
	CU_ASSERT(with(b, a) == NULL);
	CU_ASSERT_EQUAL(lab->last_reason[a][NET_EV_NEIGHBOUR_DOWN], NET_ERR_IDLE);
	flow(&a, &b);
	done();
}

/* So many stations leave that the rest are neighbours of all: a shortcut becomes one */
static void test_shortcut_to_tree(void)
{
	int a, b, left = 0;

	lan(6, STATIONS);
	lab_run(lab, PN_S(10));
	flow(&a, &b);
	for (int i = 0; i < STATIONS; i++) {
		if (i == a || i == b || left++ < 3)
			continue;
		net_goodbye(lab->net[i], lab->now);
		lab_pump(lab);
		lab_stop(lab, i);
	}
	lab_run(lab, PN_S(50));          /* the last are dialled after 15 to 25, or a hello later */
	for (int i = 0; i < STATIONS; i++)
		for (int k = 0; k < STATIONS; k++) {
			if (!lab->net[i] || !lab->net[k] || i == k)
				continue;
			CU_ASSERT_FATAL(with(i, k) != NULL);
			CU_ASSERT(!with(i, k)->shortcut);
			CU_ASSERT(lab_merged(lab, i, k));
		}
	done();
}

static bool tap_hello(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)wire;
	if (from == 2 && pkt->data[0] == FRAME_HELLO) {
		memcpy(l->last, pkt->data, pkt->len);
		l->last_len = pkt->len;
	}
	return true;
}

/* Hellos that nobody signed, and those of a station that is gone, again and again */
static void test_forged_hello(void)
{
	uint64_t calls;

	nodes(1, 3);
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(50));
	for (int i = 0; i < 3; i++)
		lab_plug(lab, 0, i);
	lab->tap = tap_hello;
	lab_run(lab, PN_S(3));
	lab->tap = NULL;
	CU_ASSERT_EQUAL_FATAL(lab->last_len, HELLO_LEN);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 2);
	for (uint8_t i = 1; i < 100; i++) {
		lab->last[12] ^= i;
		lab_inject(lab, 0, 2, 0, lab->last, lab->last_len);
		lab->last[12] ^= i;
	}
	lab->last[5] ^= 1;		/* a boot that it did not sign */
	lab_inject(lab, 0, 2, 0, lab->last, lab->last_len);
	lab->last[5] ^= 1;
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counter(0, "rx_auth_failed"), 100);
	CU_ASSERT_EQUAL(link_of(lab->net[0], 0)->heard, 2);
	lab_stop(lab, 2);
	lab_run(lab, PN_S(60));
	calls = counter(0, "hs_initiations");
	for (int i = 0; i < 600; i++) {
		lab_inject(lab, 0, 2, 0, lab->last, lab->last_len);
		lab_run(lab, PN_MS(500));
	}
	CU_ASSERT(counter(0, "hs_initiations") - calls < 60);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 1);
	done();
}

/* Leaves hang on the ring, which does without them */
static void test_leaves(void)
{
	nodes(9, STATIONS);
	for (int i = 0; i < STATIONS; i++) {
		lab->cfg[i].adj_max = 40;
		lab->cfg[i].leaf = i % 3 == 0;
	}
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(50));
	for (int i = 0; i < STATIONS; i++)
		lab_plug(lab, 0, i);
	lab_run(lab, PN_S(60));
	for (int i = 0; i < STATIONS; i++) {
		int carriers = 0;

		for (int k = 0; k < STATIONS; k++)
			carriers += with(i, k) && !lab->cfg[k].leaf;
		CU_ASSERT(carriers >= 2);
		if (lab->cfg[i].leaf)
			CU_ASSERT_EQUAL(lab_neighbours(lab, i), 2);
	}
	for (int i = 0; i < STATIONS; i += 3)
		lab_stop(lab, i);
	lab_run(lab, PN_S(15));
	ring_is_closed();
	done();
}

static CU_TestInfo tests[] = {
	{ "ring", test_ring },
	{ "shortcut", test_shortcut },
	{ "shortcut becomes neighbour", test_shortcut_to_tree },
	{ "forged hello", test_forged_hello },
	{ "leaves", test_leaves },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_adj_ring;
CU_SuiteInfo suite_adj_ring = { .pName = "adj_ring", .pTests = tests };
