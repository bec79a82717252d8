// SPDX-License-Identifier: ISC
/* Leaves: nodes that carry nobody else's traffic, in small networks of real nodes. */
#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/fwd.h"
#include "tests/unit/lab.h"
#include "tests/unit/unit.h"

static struct lab *lab;

static void begin(uint64_t seed, int nodes, unsigned leaves)
{
	lab = lab_new(seed);
	for (int i = 0; i < nodes; i++)
		lab->cfg[lab_node(lab)].leaf = leaves >> i & 1;
	for (int i = 0; i < nodes; i++)
		lab_start(lab, i);
}

static void tie(int a, int b)
{
	struct net_link_config cfg = { .mtu = 1400, .listen = true };
	int wire = lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	int from = lab_plug_cfg(lab, wire, a, &cfg), to = lab_plug_cfg(lab, wire, b, &cfg);

	lab_dial(lab, wire, from, to, NULL);
}

static void done(void)
{
	CU_ASSERT_EQUAL(lab_free(lab), 0);
}

static uint64_t counter(int n, const char *name)
{
	return lab_counter(lab, n, name);
}

/* Return: a ping from @from to @to is answered */
static bool ping(int from, int to)
{
	static uint64_t token;
	uint64_t before = counter(from, "echo_replies");

	net_ping(lab->net[from], net_hit(lab->net[to]), ++token, 0, 0, lab->now);
	lab_run(lab, PN_S(3));
	return counter(from, "echo_replies") > before;
}

/* A leaf between two nodes: it is in the network of one, and brings them no nearer. */
static void test_between(void)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		begin(seed, 3, 2);
		tie(0, 1);
		tie(1, 2);
		lab_run(lab, PN_S(12));
		CU_ASSERT(!lab_merged(lab, 0, 2));
		CU_ASSERT(lab_merged(lab, 0, 1) || lab_merged(lab, 1, 2));
		CU_ASSERT_EQUAL(counter(1, "tree_grants"), 0);
		done();
	}
}

/* It reaches and is reached through others, leads nothing and is nobody's deputy. */
static void test_attached(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed, 4, 8);
		tie(0, 1);
		tie(1, 2);
		tie(3, 2);                       /* the leaf has two ways */
		tie(3, 0);
		lab_run(lab, PN_S(12));
		CU_ASSERT(lab_merged(lab, 0, 2));
		CU_ASSERT(lab_merged(lab, 0, 3));
		CU_ASSERT(ping(3, 1));
		CU_ASSERT(ping(1, 3));
		CU_ASSERT(ping(0, 2));           /* not through it, near as it is */
		CU_ASSERT_EQUAL(counter(3, "fwd_forwarded"), 0);
		CU_ASSERT_EQUAL(counter(3, "fwd_leaf"), 0);
		for (int n = 0; n < 3; n++) {
			struct facet *f = facet_at(lab->net[n], 0);

			for (unsigned i = 1; i < f->chain.n; i++) {
				CU_ASSERT_NOT_EQUAL(facet_rec(lab->net[n], f, i)->leader,
						    facet_at(lab->net[3], 0)->node_id);
				CU_ASSERT_NOT_EQUAL(facet_rec(lab->net[n], f, i)->deputy,
						    facet_at(lab->net[3], 0)->node_id);
			}
		}
		done();
	}
}

/* Whoever hands it what is not for it is told so. */
static void test_refuses(void)
{
	struct net_hdr hdr = { .proto = NET_PROTO_ECHO, .level = NET_LEVEL_ANY, .hops = 9,
			       .dst_tag = 5 };
	struct pn_pkt *pkt;

	begin(3, 3, 1);
	tie(0, 1);
	tie(1, 2);
	lab_run(lab, PN_S(10));
	CU_ASSERT(lab_merged(lab, 0, 2));
	hdr.dst = net_address(lab->net[2], 0);
	hdr.src = net_address(lab->net[1], 0);
	hdr.src_tag = net_hit_tag(net_hit(lab->net[1]));
	pkt = pn_pkt_get(&lab->pool);
	memset(pn_pkt_append(pkt, 80), 0, 80);
	pn_pkt_push(pkt, NET_HDR_LEN);
	net_hdr_build(&hdr, pkt->data);
	fwd_on_packet(lab->net[0], 0, pkt, lab->now);
	CU_ASSERT_EQUAL(counter(0, "fwd_leaf"), 1);
	CU_ASSERT_EQUAL(counter(0, "fwd_forwarded"), 0);
	CU_ASSERT_EQUAL(counter(0, "fwd_errors_sent"), 1);
	lab_run(lab, PN_S(1));
	done();
}

/* Two leaves talk; when somebody comes who carries traffic, they part for it. */
static void test_leaves_only(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed, 3, 6);
		tie(1, 2);
		lab_run(lab, PN_S(5));
		CU_ASSERT(lab_merged(lab, 1, 2));
		CU_ASSERT(ping(1, 2));
		tie(0, 1);
		lab_run(lab, PN_S(12));
		CU_ASSERT(lab_merged(lab, 0, 1));
		CU_ASSERT(!lab_merged(lab, 1, 2));
		CU_ASSERT_EQUAL(net_height(lab->net[0]), 1);
		done();
	}
}

/* It answers for no key as long as there is anybody else. */
static void test_no_anchor(void)
{
	unsigned ours = 0, theirs = 0;

	begin(5, 2, 2);
	tie(0, 1);
	lab_run(lab, PN_S(5));
	CU_ASSERT(lab_merged(lab, 0, 1));
	for (uint64_t key = 1; key <= 200; key++) {
		ours += fwd_key_walk(lab->net[1], 0, key * 0x9e3779b97f4a7c15u, 1) < 0;
		theirs += fwd_key_walk(lab->net[0], 0, key * 0x9e3779b97f4a7c15u, 1) < 0;
	}
	CU_ASSERT_EQUAL(ours, 0);
	CU_ASSERT_EQUAL(theirs, 200);
	done();
}

static CU_TestInfo tests[] = {
	{ "no border", test_between },
	{ "attached", test_attached },
	{ "refuses to carry", test_refuses },
	{ "leaves only", test_leaves_only },
	{ "no anchor", test_no_anchor },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_leaf = { .pName = "leaf", .pTests = tests };
