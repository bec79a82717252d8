// SPDX-License-Identifier: ISC
/* Areas that are cut in two: packets go around, before the tree has changed. */
#include "tests/unit/ctl_lab.h"
#include "pnstackd/net/fwd.h"

/* Return: a packet from @from gets to @to's address; its header goes along */
static bool gets_there(int from, int to)
{
	struct net_hdr hdr = { .dst = net_address(lab->net[to], 0), .level = NET_LEVEL_ANY };
	uint32_t in = FWD_ADJ_NONE;
	int at = from;

	for (int hops = 0; hops < 64; hops++) {
		struct fwd_hop hop = fwd_decide(lab->net[at], 0, &hdr, in);
		int next = 0;

		if (hop.verdict != FWD_SEND)
			return hop.verdict == FWD_HERE && at == to;
		CU_ASSERT(hop.detour >= hdr.detour);
		hdr.level = hop.level;
		hdr.detour = hop.detour;
		while (!lab->net[next] || memcmp(net_id(lab->net[next]),
						 adj_peek(lab->net[at], hop.adj)->id, PN_ID_LEN))
			next++;
		in = adj_to(next, at);
		at = next;
	}
	return false;
}

/* A ring without one node is a line, and what was an arc may be both of its ends.  At once,
 * long before anybody gives a dead leader up, all packets that are not for the smaller end
 * arrive. */
static void test_around(void)
{
	unsigned small = 0;

	for (uint64_t seed = 1; seed <= 10; seed++) {
		uint64_t before[LAB_NODES];
		int dead = (int)(seed % 8);

		line(seed, 8, true);
		CU_ASSERT_FATAL(until_whole(PN_S(12)));
		lab_run(lab, PN_S(4));
		for (int i = 0; i < 8; i++)
			before[i] = net_address(lab->net[i], 0);
		net_goodbye(lab->net[dead], lab->now);
		lab_run(lab, PN_MS(20));
		lab_stop(lab, dead);
		lab_run(lab, PN_MS(200));
		for (int to = 0; to < 8; to++) {
			if (to == dead)
				continue;
			CU_ASSERT_EQUAL(net_address(lab->net[to], 0), before[to]);
			small += facet_of(to)->cut != 0;
			for (int from = 0; from < 8 && !facet_of(to)->cut; from++)
				CU_ASSERT(from == dead || from == to || gets_there(from, to));
		}
		done_sound();
	}
	CU_ASSERT(small > 3);
}

/* What was cut is told, and told again when it is whole. */
static void test_told(void)
{
	uint8_t msg[] = { CTL_UPDATE, 0, 0, ENTRY_CUT, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5 };
	uint64_t bad;
	uint32_t adj;

	line(3, 4, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(facet_of(i)->cut, 0);
	adj = adj_to(0, 1);
	ctl_on_msg(lab->net[0], adj, msg, sizeof(msg), lab->now);
	CU_ASSERT_EQUAL(lab->net[0]->ctl->nbs[adj].cut, 5);
	/* bit 2: he has no way to the sibling of his pair; but one to that of himself */
	CU_ASSERT(cut_ends(lab->net[0], adj, rec_of(1, 1)->top));
	CU_ASSERT(!cut_ends(lab->net[0], adj, rec_of(1, 0)->top));
	CU_ASSERT(!cut_ends(lab->net[0], UINT32_MAX, rec_of(1, 1)->top));
	bad = counter(0, "ctl_malformed");
	msg[5] = 7;                              /* a bit short: what follows is no entry */
	ctl_on_msg(lab->net[0], adj, msg, sizeof(msg) - 1, lab->now);
	CU_ASSERT_EQUAL(lab->net[0]->ctl->nbs[adj].cut, 5);
	CU_ASSERT_EQUAL(counter(0, "ctl_malformed"), bad + 1);
	done_sound();
}

/* All siblings of a node are out of reach.  Return: its areas that are cut then */
static uint64_t cut_off(int node, bool had)
{
	struct facet *f = facet_of(node);

	for (unsigned i = 0; i < f->dest_high; i++) {
		struct dest *d = &f->dests[i];

		if (!d->area || d->kind != DEST_SIBLING)
			continue;
		d->own = false;
		d->metric = NET_METRIC_INF;
		d->lost_at = (struct pn_time){ 0 };
		d->had = had;
	}
	cut_duties(lab->net[node], f, lab->now);
	return f->cut;
}

/* A sibling that is listed but was never reached may be an invention. */
static void test_never_reached(void)
{
	line(3, 4, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(cut_off(i, false), 0);
		CU_ASSERT_NOT_EQUAL(cut_off(i, true), 0);
	}
	done_sound();
}

/* A leader who has most of his area beyond the cut leaves it; but since how many those are is
 * what somebody among them told, not twice in a minute. */
static void test_outnumbered(void)
{
	struct pn_time later;
	struct facet *f = NULL;
	struct rec *pair;
	unsigned piece = 9;
	int led = 0;

	line(3, 4, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
	while (rec_of(led, 1)->leader != facet_of(led)->node_id || !rec_of(led, 1)->parent)
		CU_ASSERT_FATAL(++led < 4);
	f = facet_of(led);
	pair = (struct rec *)(uintptr_t)rec_of(led, 1);
	cut_off(led, true);
	CU_ASSERT(!cut_outnumbered(lab->net[led], f, &piece, lab->now));
	pair->child[1 - rec_of(led, 0)->bit].count = 40;  /* 32 */
	CU_ASSERT(cut_outnumbered(lab->net[led], f, &piece, lab->now));
	CU_ASSERT_EQUAL(piece, 0);
	later = pn_time_add(lab->now, PN_S(59));
	CU_ASSERT(!cut_outnumbered(lab->net[led], f, &piece, later));
	later = pn_time_add(later, PN_S(2));
	CU_ASSERT(cut_outnumbered(lab->net[led], f, &piece, later));
	done();
}

/* Each change makes all routes over that neighbour others: not more often than is of use. */
static void test_toggled(void)
{
	uint8_t msg[] = { CTL_UPDATE, 0, 0, ENTRY_CUT, 0, 8, 0, 0, 0, 0, 0, 0, 0, 5 };
	struct nb *nb;

	line(3, 4, true);
	CU_ASSERT_FATAL(until_whole(PN_S(12)));
	lab_run(lab, PN_S(4));
	nb = &lab->net[0]->ctl->nbs[adj_to(0, 1)];
	for (int i = 0; i < 17; i++) {
		msg[13] = i % 2 ? 0 : 5;
		ctl_on_msg(lab->net[0], adj_to(0, 1), msg, sizeof(msg), lab->now);
	}
	CU_ASSERT_EQUAL(nb->cut, 0);     /* the 16th */
	lab_run(lab, PN_MS(110));
	CU_ASSERT_EQUAL(nb->cut, 5);
	done();
}

static CU_TestInfo tests[] = {
	{ "packets go around at once", test_around },
	{ "what is told", test_told },
	{ "never reached, not cut", test_never_reached },
	{ "a leader with few leaves, once", test_outnumbered },
	{ "told to and fro", test_toggled },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_cut;
CU_SuiteInfo suite_cut = { .pName = "cut areas", .pTests = tests };
