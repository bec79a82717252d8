// SPDX-License-Identifier: ISC
/* The area tree: slots, joins and their refusal, leases, full tables, balance, facets. */
#include "tests/unit/ctl_lab.h"

/* Slots ------------------------------------------------------------------------- */

struct area_link { uint8_t base, top, bit; bool sibling; };

/* A chain from (base, top) pairs, top NET_TOP_NONE at its end */
static void chain_make(struct net *net, const struct area_link *l, struct chain *out)
{
	out->n = 0;
	for (unsigned i = 0; i == 0 || l[i - 1].top != NET_TOP_NONE; i++) {
		struct rec r;

		rec_init(&r, net, 0, i);
		r.base = l[i].base;
		r.top = l[i].top;
		r.bit = l[i].bit;
		r.parent = l[i].top == NET_TOP_NONE ? 0 : i + 1;
		if (i > 0 && l[i - 1].sibling)
			r.child[1 - l[i - 1].bit].id = 77;
		r.seq = 1000;
		out->at[out->n++] = rec_intern(&net->ctl->recs, &r, 0);
		CU_ASSERT_FATAL(out->at[i] != 0);
	}
}

static void test_slots(void)
{
	static const struct { struct area_link l[4]; } chains[] = {
		{ { { 0, NET_TOP_NONE, 0, false } } },                          /* 0: alone */
		{ { { 0, 0, 0, true }, { 1, NET_TOP_NONE, 0, false } } },       /* 1: a pair */
		{ { { 0, 0, 1, false }, { 1, NET_TOP_NONE, 0, false } } },      /* 2: half a pair */
		{ { { 0, 2, 0, true }, { 3, NET_TOP_NONE, 0, false } } },       /* 3: room below */
		{ { { 0, 0, 0, true }, { 1, 3, 1, false }, { 4, NET_TOP_NONE, 0, false } } },
		{ { { 0, 61, 0, true }, { 62, 62, 0, true }, { 63, NET_TOP_NONE, 0, false } } },
		{ { { 0, 0, 0, true }, { 1, 62, 0, false }, { 63, NET_TOP_NONE, 0, false } } },
	};
	static const struct { unsigned chain, height; int level; unsigned owner; } table[] = {
		{ 0, 0, 0, 0 }, { 0, 5, 5, 0 }, { 0, 62, 62, 0 }, { 0, 63, -1, 0 },
		{ 1, 0, 1, 1 }, { 1, 1, 1, 1 }, { 1, 4, 4, 1 },
		{ 2, 0, 0, 1 }, { 2, 1, 1, 1 },
		{ 3, 0, 0, 0 }, { 3, 1, 1, 0 }, { 3, 2, 3, 1 },
		{ 4, 0, 1, 1 }, { 4, 2, 2, 1 }, { 4, 3, 3, 2 }, { 4, 4, 4, 2 },
		{ 5, 0, 0, 0 }, { 5, 60, 60, 0 }, { 5, 61, -1, 0 },
		{ 6, 61, 61, 1 }, { 6, 62, 62, 2 }, { 6, 63, -1, 0 },
	};

	nodes(1, 1);
	start_all();
	for (size_t i = 0; i < PN_ARRAY_LEN(table); i++) {
		struct net *net = lab->net[0];
		rec_ref room[CHAIN_MAX];
		struct chain c = {.at = room};
		unsigned owner = 99;
		int level;

		chain_make(net, chains[table[i].chain].l, &c);
		level = join_slot(net, &c, table[i].height, &owner);
		if (level != table[i].level || (level >= 0 && owner != table[i].owner)) {
			fprintf(stderr, "line %zu: level %d owner %u\n", i, level, owner);
			CU_FAIL("slot");
		}
		for (unsigned k = 0; k < c.n; k++)
			rec_put(&net->ctl->recs, c.at[k]);
	}
	done_sound();
}

/* Joins that are asked for by hand --------------------------------------------------- */

enum { CANDIDATE_OP = 1, JOIN_OP = 3, CLAIM_OP = 4 };

/* A stranger that nobody is tied to asks over the tie of 1 and 0. */
static void ask_of(int who, uint64_t area, int op, unsigned base, unsigned level, unsigned height,
		   bool forged)
{
	struct net *net = lab->net[0], *s = lab->net[who];
	uint8_t buf[256];
	struct pn_wr w;
	struct rec r;

	rec_init(&r, s, 0, base ? 1 : 0);
	r.base = (uint8_t)base;
	r.child[0].id = base ? 5 : 0;
	rec_sign(s, &r);
	r.sig[5] ^= forged;
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, CTL_JOIN);
	pn_wr_u8(&w, (unsigned)op);
	pn_wr_u8(&w, 200);
	pn_wr_u8(&w, 1);
	pn_wr_u64(&w, area);
	pn_wr_u64(&w, r.id);
	pn_wr_u32(&w, 0);
	pn_wr_u64(&w, 0);
	pn_wr_u32(&w, 0);
	pn_wr_u64(&w, area);
	pn_wr_u8(&w, level);
	pn_wr_u8(&w, height);
	pn_wr_u64(&w, net_address(net, 0));
	pn_wr_u32(&w, adj_to(0, 1));
	rec_build(&w, &r);
	CU_ASSERT(pn_wr_ok(&w));
	net->now = lab->now;
	ctl_on_soft(net, adj_to(0, 1), buf, w.len, lab->now);
}

static void ask(int op, unsigned base, unsigned level, unsigned height, bool forged)
{
	ask_of(2, root_of(0)->id, op, base, level, height, forged);
}

static void test_lease(void)
{
	pair_and_stranger(1);
	ask(JOIN_OP, 0, 0, 2, false);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counters("tree_grants"), 2);     /* the pair's own, and this */
	CU_ASSERT_EQUAL(root_of(0)->base, 2);
	CU_ASSERT_EQUAL(root_of(1)->base, 2);
	CU_ASSERT(lab_merged(lab, 0, 1));
	CU_ASSERT_EQUAL(rec_count_value(root_of(1)->count), 3);
	ask(JOIN_OP, 0, 0, 2, false);            /* once more, as it has not heard yet */
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(counters("tree_grants"), 2);
	CU_ASSERT_EQUAL(counters("tree_refusals"), 0);
	CU_ASSERT_EQUAL(counters("ctl_stale"), 1);
	/* nobody comes: the slot is free again, and the tree as low as before */
	lab_run(lab, PN_S(5));
	CU_ASSERT(lab_merged(lab, 0, 1));
	CU_ASSERT_EQUAL(root_of(0)->base, 1);
	CU_ASSERT_EQUAL(rec_count_value(root_of(1)->count), 2);
	done_sound();
}

/* What a node sends is lost for a moment when it has asked to join. */
static bool lose_first(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	static struct pn_time until;

	(void)wire; (void)from; (void)pkt;
	if (!counter(2, "tree_joins"))
		until = pn_time_add(l->now, PN_MS(50));
	return !counter(2, "tree_joins") || !pn_time_before(l->now, until);
}

static void test_asked_again(void)
{
	pair_and_stranger(2);
	tie(1, 2);
	lab->tap = lose_first;
	CU_ASSERT(until_whole(PN_S(5)));
	CU_ASSERT_EQUAL(counter(2, "tree_joins"), 1);   /* it has not begun anew */
	done_sound();
}

static void test_refused(void)
{
	pair_and_stranger(2);
	ask(JOIN_OP, 0, 0, 1, false);            /* it would be taller than was hoped for */
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counters("tree_refusals"), 1);
	ask(JOIN_OP, 3, 0, 4, false);            /* the taller does not graft into the lower */
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counters("tree_refusals"), 2);
	ask(JOIN_OP, 0, 0, 2, true);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counters("ctl_bad_signature"), 1);
	CU_ASSERT_EQUAL(counters("tree_grants"), 1);
	CU_ASSERT_EQUAL(root_of(0)->base, 1);
	done_sound();
}

/* A neighbour in another network may ask to join, but has no say with our leaders. */
static void test_foreign(void)
{
	pair_and_stranger(3);
	gossip_forget(lab->net[0], &lab->net[0]->ctl->nbs[adj_to(0, 1)]);
	ask(CLAIM_OP, 0, 1, 2, false);
	ask(CANDIDATE_OP, 0, 1, 2, false);
	CU_ASSERT_EQUAL(counters("ctl_foreign"), 2);
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(counters("tree_grants"), 1);
	done_sound();
}

/* Somebody far away asks us by packets to ask a neighbour: not one in our network, and not so
 * often that the link has no room for what we have to tell. */
static void test_asked_by_packet(void)
{
	static const uint8_t head[] = { CTL_JOIN, 2, 200, 1 };     /* ASK, with a record */
	struct net_hdr hdr = { .proto = NET_PROTO_TREE };
	uint8_t buf[256];
	struct pn_wr w;

	pair_and_stranger(13);
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_bytes(&w, head, sizeof(head));
	pn_wr_u64(&w, 0);
	pn_wr_u64(&w, root_of(0)->id);
	for (int i = 0; i < 12; i++)
		pn_wr_u8(&w, 0);
	pn_wr_u32(&w, adj_to(0, 1));
	for (int i = 0; i < 58 - 36; i++)
		pn_wr_u8(&w, 0);
	rec_build(&w, root_of(0));
	CU_ASSERT(pn_wr_ok(&w));
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < 2 * SIGN_BURST; i++) {
			lab->net[0]->now = lab->now;
			tree_on_packet(lab->net[0], 0, &hdr, buf, w.len, lab->now);
			if (i % 50 == 0)
				lab_run(lab, PN_MS(1));
		}
		lab_run(lab, PN_MS(50));
		CU_ASSERT_EQUAL(counter(0, "ctl_malformed"), 0);
		CU_ASSERT_EQUAL(counter(1, "ctl_checks_bounded"), 0);
		CU_ASSERT_EQUAL(counter(0, "soft_capped"), 0);
		/* the same, as if it was in another network */
		lab->net[0]->ctl->nbs[adj_to(0, 1)].in_network = false;
	}
	CU_ASSERT(counter(0, "tree_bounded") > 0);
	done_sound();
}

/* A member tells the root's leader of a parent that nobody would believe in. */
static void test_tall_parent(void)
{
	static const uint8_t head[] = { CTL_JOIN, 7, 200, 1 };     /* JOINED, with a record */
	uint8_t buf[256];
	const struct rec *root;
	struct pn_wr w;
	struct net *net;
	struct rec p;
	int led;

	pair_and_stranger(12);
	root = root_of(0);
	led = root->leader == facet_of(0)->node_id ? 0 : 1;
	net = lab->net[led];
	rec_init(&p, lab->net[2], 0, 1);
	p.base = 40;
	p.child[0] = (struct rec_child){ root->id, root->leader, root->epoch, root->count };
	rec_sign(lab->net[2], &p);
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_bytes(&w, head, sizeof(head));
	pn_wr_u64(&w, root->id);
	pn_wr_u64(&w, root->id);
	for (int i = 0; i < 58 - 20; i++)
		pn_wr_u8(&w, 0);
	rec_build(&w, &p);
	CU_ASSERT(pn_wr_ok(&w));
	net->now = lab->now;
	ctl_on_soft(net, adj_to(led, 1 - led), buf, w.len, lab->now);
	CU_ASSERT_EQUAL(counter(led, "ctl_malformed"), 0);
	CU_ASSERT_EQUAL(counter(led, "ctl_refused_height"), 1);
	CU_ASSERT_EQUAL(root_of(led)->parent, 0);
	done_sound();
}

/* Many keys behind one link do not get many slots. */
static void test_budget(void)
{
	pair_and_stranger(4);
	for (int i = 0; i < 40; i++)
		ask(JOIN_OP, 0, 0, 1, false);
	CU_ASSERT(counter(0, "tree_bounded") >= 7);
	CU_ASSERT(counter(0, "tree_bounded") < 40);
	done_sound();
}

/* Who is inside already gets no slot, whatever old record of it is shown. */
static void test_replayed_root(void)
{
	struct net *net;
	struct rec old;
	uint8_t buf[256];
	struct pn_wr w;
	int led;

	pair_and_stranger(5);
	led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
	net = lab->net[led];
	rec_init(&old, lab->net[1 - led], 0, 0);         /* as it was when it was alone */
	rec_sign(lab->net[1 - led], &old);
	old.id = rec_of(led, 0)->id;
	rec_init(&old, net, 0, 0);                       /* and we ourselves */
	rec_sign(net, &old);
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, CTL_JOIN);
	pn_wr_u8(&w, CLAIM_OP);
	pn_wr_u8(&w, 200);
	pn_wr_u8(&w, 1);
	pn_wr_u64(&w, root_of(led)->id);
	pn_wr_u64(&w, old.id);
	pn_wr_u32(&w, 0);
	pn_wr_u64(&w, 0);
	pn_wr_u32(&w, 0);
	pn_wr_u64(&w, 0);
	pn_wr_u8(&w, 1);
	pn_wr_u8(&w, 9);
	pn_wr_u64(&w, 0);
	pn_wr_u32(&w, 0);
	rec_build(&w, &old);
	ctl_on_soft(net, adj_to(led, 1 - led), buf, w.len, lab->now);
	CU_ASSERT_EQUAL(counters("tree_grants"), 1);
	CU_ASSERT_EQUAL(counter(led, "ctl_stale"), 1);
	lab_run(lab, PN_S(8));
	CU_ASSERT_EQUAL(counters("tree_detaches"), 0);
	done_sound();
}

/* Full tables, full queues --------------------------------------------------------------- */

/* What was to be told when there was no buffer is told when there is one. */
static void test_no_buffer(void)
{
	struct pn_pkt *held[4096];
	size_t n = 0;
	struct rec p;
	int led;

	pair_and_stranger(7);
	led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
	p = *rec_of(led, 1);
	p.count++;
	while ((held[n] = pn_pkt_get(&lab->pool)))
		n++;
	CU_ASSERT(tree_replace(lab->net[led], facet_of(led), 1, &p, lab->now));
	lab_run(lab, PN_MS(300));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count - 1);
	while (n > 0)
		pn_pkt_put(&lab->pool, held[--n]);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count);
	done_sound();
}

/* More to tell than the window takes: the rest follows without waiting for a tick. */
static void test_window(void)
{
	static const uint8_t msg[] = { 99 };
	struct rec p;
	int led;

	pair_and_stranger(8);
	led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
	p = *rec_of(led, 1);
	p.count++;
	CU_ASSERT(tree_replace(lab->net[led], facet_of(led), 1, &p, lab->now));
	while (adj_ctl_ready(lab->net[led], adj_to(led, 1 - led), lab->now))
		CU_ASSERT_EQUAL(adj_ctl_send(lab->net[led], adj_to(led, 1 - led), msg, 1, lab->now),
				0);
	lab->net[led]->ctl->nbs[adj_to(led, 1 - led)].tx_dirty = true;
	ctl_expire(lab->net[led], 0, lab->now);
	timer_set(lab->net[led], &facet_of(led)->timer, pn_time_add(lab->now, PN_S(3)));
	lab_run(lab, PN_MS(500));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count);
	done_sound();
}

/* Records that could not be checked, or kept, when they came are asked for again; what
 * was committed before counts until then. */
static void test_again(void)
{
	struct nb *nb;
	struct rec p;
	int led;

	pair_and_stranger(10);
	led = root_of(0)->leader == facet_of(0)->node_id ? 0 : 1;
	nb = &lab->net[1 - led]->ctl->nbs[adj_to(1 - led, led)];
	for (int i = 0; i < SIGN_BURST; i++)
		gossip_may_check(lab->net[1 - led], adj_to(1 - led, led), lab->now);
	CU_ASSERT(!gossip_may_check(lab->net[1 - led], adj_to(1 - led, led), lab->now));
	nb->checks.used += PN_MS(600) / SIGN_REFILL_NS;          /* none comes back till then */
	p = *rec_of(led, 1);
	p.count++;
	CU_ASSERT(tree_replace(lab->net[led], facet_of(led), 1, &p, lab->now));
	lab_run(lab, PN_MS(200));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count - 1);
	CU_ASSERT(nb->again != 0);
	CU_ASSERT(nb->ready);
	CU_ASSERT(lab_merged(lab, 0, 1));
	CU_ASSERT(counter(1 - led, "ctl_checks_bounded") > 0);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count);
	CU_ASSERT_EQUAL(nb->again, 0);
	/* the same with a full pool */
	lab->net[1 - led]->ctl->rec_quota = 0;
	p.count--;
	CU_ASSERT(tree_replace(lab->net[led], facet_of(led), 1, &p, lab->now));
	lab_run(lab, PN_MS(200));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count + 1);
	CU_ASSERT(counter(1 - led, "rec_full") > 0);
	lab->net[1 - led]->ctl->rec_quota = 100;
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(root_of(1 - led)->count, p.count);
	done_sound();
}

/* A chain longer than ours can ever be is not taken in, and not written behind its room. */
static void test_slot_above(void)
{
	struct net *net;
	struct nb *nb;
	uint8_t buf[3 + 2 + REC_WIRE_LEN];
	unsigned max;

	nodes(1, 2);
	lab->cfg[0].level_max = 4;
	start_all();
	tie(0, 1);
	CU_ASSERT_FATAL(until_whole(PN_S(10)));
	net = lab->net[0];
	nb = &net->ctl->nbs[adj_to(0, 1)];
	max = net->ctl->chain_max;
	CU_ASSERT_FATAL(max < CHAIN_MAX);
	for (unsigned slot = max; slot + 1 >= max; slot--) {
		struct pn_wr w;

		pn_wr_init(&w, buf, sizeof(buf));
		pn_wr_u8(&w, CTL_UPDATE);
		pn_wr_u16(&w, 0);
		pn_wr_u8(&w, ENTRY_SET);
		pn_wr_u8(&w, slot);
		rec_build(&w, rec_of(1, 0));
		ctl_on_msg(net, adj_to(0, 1), buf, w.len, lab->now);
		CU_ASSERT_EQUAL(counter(0, "ctl_refused_height"), 1);
		CU_ASSERT_EQUAL(nb->stage.n == max, slot < max);
	}
	CU_ASSERT_EQUAL(counter(0, "ctl_malformed"), 0);
	CU_ASSERT(nb->ready);
	done_sound();
}

static void test_one_commit(void)
{
	static const uint8_t msg[] = { CTL_UPDATE, 0, 0, ENTRY_COMMIT, 2, ENTRY_COMMIT, 2 };

	pair_and_stranger(9);
	ctl_on_msg(lab->net[0], adj_to(0, 1), msg, 5, lab->now);
	CU_ASSERT_EQUAL(counter(0, "ctl_malformed"), 0);
	ctl_on_msg(lab->net[0], adj_to(0, 1), msg, sizeof(msg), lab->now);
	CU_ASSERT_EQUAL(counter(0, "ctl_malformed"), 1);
	done_sound();
}

/* Commits, and slots to be told again, cost something: a neighbour gets so many at once. */
static void test_commits_bounded(void)
{
	static const uint8_t commit[] = { CTL_UPDATE, 0, 0, ENTRY_COMMIT, 2 };
	static const uint8_t again[] = { CTL_UPDATE, 0, 0, ENTRY_AGAIN, 0 };
	uint32_t adj;

	pair_and_stranger(11);
	adj = adj_to(0, 1);
	for (int i = 0; i < 2 * COMMIT_BURST; i++)
		ctl_on_msg(lab->net[0], adj, commit, sizeof(commit), lab->now);
	CU_ASSERT(counter(0, "ctl_bounded") >= COMMIT_BURST);
	CU_ASSERT(lab->net[0]->ctl->nbs[adj].again != 0);
	for (int i = 0; i < 2 * REPEAT_BURST; i++)
		ctl_on_msg(lab->net[0], adj, again, sizeof(again), lab->now);
	CU_ASSERT(counter(0, "ctl_bounded") >= COMMIT_BURST + REPEAT_BURST);
	/* what was refused is asked for, and comes */
	lab_run(lab, PN_S(1));
	CU_ASSERT(lab->net[0]->ctl->nbs[adj].ready);
	CU_ASSERT_EQUAL(lab->net[0]->ctl->nbs[adj].again, 0);
	CU_ASSERT(lab_merged(lab, 0, 1));
	done_sound();
}

/* Balance ---------------------------------------------------------------------------------- */

/* Whoever hangs much too high moves to a low slot, and only it gets another address. */
static void test_move(void)
{
	uint64_t addr[2];

	for (uint64_t seed = 20; seed < 23; seed++) {
		pair_and_stranger(seed);
		ask(CLAIM_OP, 0, 6, 7, false);
		lab_run(lab, PN_MS(200));
		tie(1, 2);
		CU_ASSERT(until_whole(PN_S(3)));
		CU_ASSERT_EQUAL(root_of(2)->base, 7);
		for (int i = 0; i < 2; i++)
			addr[i] = net_address(lab->net[i], 0);
		lab_run(lab, PN_S(12));
		CU_ASSERT(whole());
		CU_ASSERT_EQUAL(root_of(2)->base, 2);
		CU_ASSERT_EQUAL(counters("tree_moves"), 1);
		CU_ASSERT_EQUAL(counters("tree_rebuilds"), 0);
		for (int i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(net_address(lab->net[i], 0), addr[i]);
		done_sound();
	}
}

/* An area that is only height above one child is taken out; no address changes. */
static void test_hollow(void)
{
	uint64_t pair_id, addr[3];

	nodes(24, 4);
	start_all();
	tie(0, 1);
	lab_run(lab, PN_S(6));
	pair_id = root_of(0)->id;
	ask_of(2, pair_id, CLAIM_OP, 0, 3, 4, false);
	lab_run(lab, PN_MS(200));
	tie(1, 2);
	ask_of(3, pair_id, CLAIM_OP, 0, 1, 4, false);   /* which never comes */
	CU_ASSERT(until_whole(PN_S(2)) || !lab_merged(lab, 0, 3));
	CU_ASSERT_EQUAL(facet_of(0)->chain.n, 4);
	for (int i = 0; i < 3; i++)
		addr[i] = net_address(lab->net[i], 0);
	lab_run(lab, PN_S(12));
	CU_ASSERT_EQUAL(counters("tree_hollows"), 1);
	CU_ASSERT_EQUAL(facet_of(0)->chain.n, 3);
	CU_ASSERT_EQUAL(rec_of(0, 1)->id, pair_id);
	CU_ASSERT_EQUAL(rec_of(0, 1)->top, 3);
	CU_ASSERT(lab_merged(lab, 0, 2));
	CU_ASSERT(reaches(0, 2));
	CU_ASSERT(reaches(2, 0));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(net_address(lab->net[i], 0), addr[i]);
	done_sound();
}

/* Facets ----------------------------------------------------------------------------------- */

static void hub(uint64_t seed, int leaves)
{
	nodes(seed, leaves + 1);
	for (int i = 0; i < lab->nodes; i++)
		lab->cfg[i].adj_max = 48;
	start_all();
	for (int i = 1; i <= leaves; i++)
		tie(0, i);
}

/* As many facets as there must be, and no more */
static void check_facets_for(void)
{
	for (uint32_t n = 1, room = 0, have = 0; n <= 1100; n++) {
		if (room < n)
			room += facet_adj_max(have++);
		CU_ASSERT_EQUAL(facets_for(n), have);
		CU_ASSERT_EQUAL(net_facets_of(n, 0), have);
	}
	CU_ASSERT_EQUAL(net_facets_of(0, 0), 1);
	CU_ASSERT_EQUAL(net_facets_of(8, 5), 2);     /* an Ethernet counts as one */
	/* and the record of a large hub has room for all of them */
	CU_ASSERT(facets_for(1000) <= NET_ADDRS_MAX);
}

static void test_facets(void)
{
	struct net *net;

	check_facets_for();
	hub(1, 8);
	CU_ASSERT(until_whole(PN_S(15)));
	CU_ASSERT_EQUAL(net_facet_count(lab->net[0]), 1);
	done_sound();
	hub(2, 10);
	CU_ASSERT(until_whole(PN_S(15)));
	net = lab->net[0];
	CU_ASSERT_EQUAL(net_facet_count(net), 2);
	CU_ASSERT_NOT_EQUAL(net_address(net, 0), net_address(net, 1));
	CU_ASSERT_EQUAL(facet_root(net, 0), facet_root(net, 1));
	CU_ASSERT_EQUAL(net->ctl->facets[0].load, 8);
	CU_ASSERT_EQUAL(net->ctl->facets[1].load, 2);
	/* the facets are neighbours of one another */
	for (uint32_t i = 0; i < adj_count(net); i++) {
		const struct adj_pub *p = adj_peek(net, i);

		if (!p || p->kind != ADJ_INTERNAL)
			continue;
		CU_ASSERT_EQUAL(adj_peek(net, p->internal_peer)->internal_peer, i);
		CU_ASSERT_EQUAL(nb_facet(net, i)->index, p->facet);
		CU_ASSERT(net->ctl->nbs[i].in_network);
	}
	done_sound();
	hub(2, 22);
	CU_ASSERT(until_whole(PN_S(15)));
	net = lab->net[0];
	CU_ASSERT_EQUAL_FATAL(net_facet_count(net), 4);
	CU_ASSERT_EQUAL(net->ctl->facets[2].load, 5);
	CU_ASSERT_EQUAL(net->ctl->facets[3].load, 1);
	/* while networks merge two facets may have the same address in different ones */
	net->ctl->facets[1].addr = net->ctl->facets[0].addr;
	net->ctl->facets[1].root = 1;
	CU_ASSERT_EQUAL(facet_of_addr(net, 0, net_address(net, 0), 0, lab->now), 0);
	CU_ASSERT_EQUAL(facet_of_addr(net, 1, net_address(net, 0), 0, lab->now), 1);
	CU_ASSERT_EQUAL(facet_of_addr(net, FACET_ANY, net_address(net, 0), 0, lab->now), 0);
	done_sound();
}

/* A facet that has long been without neighbours goes; another may come in its place. */
static void test_facet_goes(void)
{
	struct net *net;
	uint64_t was;

	hub(4, 10);
	CU_ASSERT(until_whole(PN_S(15)));
	net = lab->net[0];
	was = net_address(net, 1);
	CU_ASSERT_EQUAL_FATAL(net_facet_count(net), 2);
	for (int i = 1; i <= 10; i++)
		if (adj_peek(net, adj_to(0, i))->facet == 1)
			lab_stop(lab, i);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(net_facet_count(net), 2);
	lab_run(lab, PN_S(130));
	CU_ASSERT_EQUAL(net_facet_count(net), 1);
	CU_ASSERT_EQUAL(counter(0, "facets_removed"), 1);
	CU_ASSERT(facet_of_addr(net, FACET_ANY, was, 0, lab->now) < 0);
	CU_ASSERT(whole());
	for (int i = 1; i <= 10; i++)
		if (!lab->net[i]) {
			lab_start(lab, i);
			tie(0, i);
		}
	CU_ASSERT(until_whole(PN_S(15)));
	CU_ASSERT_EQUAL(net_facet_count(net), 2);
	done_sound();
}

/* Who falls out of a network beside a facet whose slots are all taken comes in at another facet:
 * and nobody else has another address. */
static void test_rehomed(void)
{
	uint64_t addrs[22];
	struct net *net;
	uint32_t adj;
	unsigned height, load = 0;
	uint16_t full;
	int fallen = 0;

	hub(5, 21);
	CU_ASSERT(until_whole(PN_S(15)));
	net = lab->net[0];
	CU_ASSERT_EQUAL_FATAL(net_facet_count(net), 3);
	height = net_height(net);
	for (int i = 1; i <= 21; i++) {
		addrs[i] = net_address(lab->net[i], 0);
		if (nb_facet(net, adj_to(0, i))->load == NET_FACET_ADJ_MAX)
			fallen = i;
	}
	CU_ASSERT_FATAL(fallen > 0);
	adj = adj_to(0, fallen);
	full = adj_peek(net, adj)->facet;
	tree_detach(lab->net[fallen], facet_at(lab->net[fallen], 0), 0, lab->now);
	CU_ASSERT(until_whole(PN_S(15)));
	CU_ASSERT_EQUAL(counter(0, "facets_rehomed"), 1);
	CU_ASSERT_EQUAL(adj_to(0, fallen), adj);
	CU_ASSERT_NOT_EQUAL(adj_peek(net, adj)->facet, full);
	CU_ASSERT_EQUAL(nb_facet(net, adj)->index, adj_peek(net, adj)->facet);
	CU_ASSERT_EQUAL(adj_peek(lab->net[fallen], adj_to(fallen, 0))->peer_facet,
			adj_peek(net, adj)->facet);
	CU_ASSERT_EQUAL(facet_at(net, full)->load, NET_FACET_ADJ_MAX - 1);
	for (uint16_t f = 0; f < net_facet_count(net); f++)
		load += facet_at(net, f)->load;
	CU_ASSERT_EQUAL(load, 21);
	CU_ASSERT(net_height(net) <= height + 1);
	for (int i = 1; i <= 21; i++)
		CU_ASSERT(i == fallen || net_address(lab->net[i], 0) == addrs[i]);
	done_sound();
}

/* The last slot of a facet goes to who stands beside it: who was given it stays, though there is
 * no other slot then. */
static void test_granted_stays(void)
{
	struct net *net;
	int gone = 0, fallen = 0;

	hub(5, 21);
	CU_ASSERT(until_whole(PN_S(15)));
	net = lab->net[0];
	for (int i = 1; i <= 21; i++)
		if (adj_peek(net, adj_to(0, i))->facet == 0) {
			gone = fallen;
			fallen = i;
		}
	CU_ASSERT_FATAL(gone > 0);
	lab_stop(lab, gone);
	lab_run(lab, PN_S(20));
	tree_detach(lab->net[fallen], facet_at(lab->net[fallen], 0), 0, lab->now);
	CU_ASSERT(until_whole(PN_S(15)));
	CU_ASSERT_EQUAL(adj_peek(net, adj_to(0, fallen))->facet, 0);
	CU_ASSERT_EQUAL(counter(0, "facets_rehomed"), 0);
	done_sound();
}

/* However many fall out, there are not many more facets than there are neighbours for. */
static void test_rehomed_bounded(void)
{
	hub(6, 21);
	CU_ASSERT(until_whole(PN_S(15)));
	for (int i = 1; i <= 21; i++)
		tree_detach(lab->net[i], facet_at(lab->net[i], 0), 0, lab->now);
	CU_ASSERT(until_whole(PN_S(30)));
	CU_ASSERT(counter(0, "facets_rehomed") > 1);
	CU_ASSERT(net_facet_count(lab->net[0]) <= 4);
	done_sound();
}

/* Neighbours that fill the pool of records do not stop a hub that grows. */
static void test_pool_full(void)
{
	struct net *net;
	struct rec r;

	hub(3, 10);
	net = lab->net[0];
	rec_init(&r, net, 9, 9);
	for (r.seq = 0; rec_intern(&net->ctl->recs, &r, 0); r.seq++)
		;
	lab_run(lab, PN_S(3));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 10);
	CU_ASSERT_EQUAL(net_facet_count(net), 1);
	CU_ASSERT(counter(0, "rec_full") > 0);
	done_sound();
}

/* Who has said goodbye may be called on, until it is gone, wherever in a merge that was. */
static void test_goodbye_goes_on(void)
{
	for (int ms = 0; ms < 600; ms += 30) {
		line(1, 3, true);
		lab_run(lab, PN_MS(20) + (uint64_t)ms * PN_MS(1));
		net_goodbye(lab->net[0], lab->now);
		CU_ASSERT_EQUAL(facet_of(0)->nb_first, 0);
		lab_run(lab, PN_S(1));
		CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
		done_sound();
	}
}

static CU_TestInfo tests[] = {
	{ "slots", test_slots },
	{ "a lease runs out", test_lease },
	{ "a request that was lost", test_asked_again },
	{ "joins refused", test_refused },
	{ "no say from outside", test_foreign },
	{ "slots for one adjacency", test_budget },
	{ "an old root record", test_replayed_root },
	{ "no buffer", test_no_buffer },
	{ "window full", test_window },
	{ "told again", test_again },
	{ "a slot above all of ours", test_slot_above },
	{ "one commit each", test_one_commit },
	{ "commits are bounded", test_commits_bounded },
	{ "a parent too tall", test_tall_parent },
	{ "asked by packet", test_asked_by_packet },
	{ "too high: move", test_move },
	{ "hollow areas", test_hollow },
	{ "facets", test_facets },
	{ "a facet goes", test_facet_goes },
	{ "who falls out beside a full facet joins at another", test_rehomed },
	{ "who was given the last slot of a facet stays", test_granted_stays },
	{ "facets for those who fall out are bounded", test_rehomed_bounded },
	{ "pool of records full", test_pool_full },
	{ "called on after goodbye", test_goodbye_goes_on },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_tree;
CU_SuiteInfo suite_tree = { .pName = "tree", .pTests = tests };
