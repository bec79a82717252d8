// SPDX-License-Identifier: ISC
/* Adjacencies: how they come about, and what goes over them.  Whole nodes on virtual
 * wires (lab.h). */
#include "tests/unit/adj_lab.h"

static void test_ethernet(void)
{
	nodes(1, 5);
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(50));
	for (int i = 0; i < 4; i++)
		lab_plug(lab, 0, i);
	for (int i = 0; i < 4; i++)
		CU_ASSERT(lab_until_neighbours(lab, i, 3, PN_S(1)) != UINT64_MAX);
	/* at rest hellos are rare, but a newcomer is seen at once */
	lab_run(lab, PN_S(60));
	lab_plug(lab, 0, 4);
	CU_ASSERT(lab_until_neighbours(lab, 4, 4, PN_MS(1500)) != UINT64_MAX);
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_UP], 4);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

/* Discovery and handshakes where every fifth frame is lost, some come twice */
static void test_lossy_discovery(void)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		nodes(seed, 2);
		start_all();
		lab_wire(lab, NET_LINK_ETHERNET, PN_MS(1));
		lab->wire[0].loss_pm = 200;
		lab->wire[0].dup_pm = 100;
		lab->wire[0].jitter_ns = PN_MS(5);
		lab_plug(lab, 0, 0);
		lab_plug(lab, 0, 1);
		CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(5)) != UINT64_MAX);
		CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_S(5)) != UINT64_MAX);
		done();
	}
}

static void test_tunnel(void)
{
	/* without an identity configured: asked for first */
	tunnel_pair(1, PN_MS(10), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_MS(100)) != UINT64_MAX);
	CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_MS(100)) != UINT64_MAX);
	done();
	/* with it: at once */
	tunnel_pair(2, PN_MS(10), 1400);
	lab_dial(lab, 0, 0, 1, net_id(lab->net[1]));
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_MS(30)) != UINT64_MAX);
	done();
	/* both dial each other at the same moment: one adjacency each, and it stays */
	for (uint64_t seed = 3; seed < 8; seed++) {
		tunnel_pair(seed, PN_MS(10), 1400);
		lab_dial(lab, 0, 0, 1, seed & 1 ? NULL : net_id(lab->net[1]));
		lab_dial(lab, 0, 1, 0, net_id(lab->net[0]));
		lab_run(lab, PN_S(30));
		CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 1);
		CU_ASSERT_EQUAL(lab_neighbours(lab, 1), 1);
		CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
		CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
		done();
	}
	/* the other side comes up late: dialled for ever */
	tunnel_pair(9, PN_MS(10), 1400);
	lab->wire[0].cut = true;
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(200));
	lab->wire[0].cut = false;
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(40)) != UINT64_MAX);
	/* and not any more */
	net_link_peer_del(lab->net[0], lab->wire[0].end[0].link, &lab->wire[0].end[1].ll, lab->now);
	lab_run(lab, PN_S(60));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 1), 0);
	CU_ASSERT_EQUAL(lab->last_reason[1][NET_EV_NEIGHBOUR_DOWN], NET_ERR_GOODBYE);
	done();
}

/* Two addresses of one neighbour on one link: one adjacency, without flapping */
static void test_two_addresses(void)
{
	struct pn_lladdr second;

	tunnel_pair(1, PN_MS(5), 1400);
	lab_dial(lab, 0, 0, 1, net_id(lab->net[1]));
	lab_run(lab, PN_S(1));
	second = lab->wire[0].end[1].ll;
	second.b[17] = 99;
	lab->wire[0].end[2] = lab->wire[0].end[1];
	lab->wire[0].end[2].ll = second;
	lab->wire[0].ends = 3;
	CU_ASSERT_EQUAL(net_link_peer(lab->net[0], 0, &second,
				      net_id(lab->net[1]), 0, lab->now),
			0);
	lab_run(lab, PN_S(60));
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_UP], 1);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

static void test_wrong_identity(void)
{
	uint8_t other[PN_ID_LEN], seed[32] = { 77 };

	tunnel_pair(1, PN_MS(10), 1400);
	net_identity_derive(seed, other);
	lab_dial(lab, 0, 0, 1, other);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	CU_ASSERT(lab->ev_count[0][NET_EV_AUTH_FAILED] > 0);
	CU_ASSERT(lab->ev_count[0][NET_EV_AUTH_FAILED] < 6);
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_AUTH_FAILED], NET_ERR_IDENTITY);
	done();
}

/* @secret: 0 none, else its first byte */
static int closed(int secret0, int secret1, uint64_t *answers)
{
	int n;

	nodes(1, 2);
	for (int i = 0; i < 2; i++) {
		lab->cfg[i].has_secret = (i ? secret1 : secret0) != 0;
		lab->cfg[i].secret[0] = (uint8_t)(i ? secret1 : secret0);
	}
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	lab_plug(lab, 0, 0);
	lab_plug(lab, 0, 1);
	lab_dial(lab, 0, 0, 1, net_id(lab->net[1]));
	lab_run(lab, PN_S(10));
	n = lab_neighbours(lab, 0);
	*answers = counter(1, "tx_frames");
	if (!n) {
		CU_ASSERT(counter(1, "hs_refused") > 2);
		CU_ASSERT_EQUAL(lab->last_reason[1][NET_EV_AUTH_FAILED], NET_ERR_POLICY);
		CU_ASSERT(lab->ev_count[1][NET_EV_AUTH_FAILED] > 0);
		CU_ASSERT(lab->ev_count[1][NET_EV_AUTH_FAILED] < 4);
	}
	done();
	return n;
}

static void test_closed_network(void)
{
	uint64_t answers;

	CU_ASSERT_EQUAL(closed(7, 7, &answers), 1);
	CU_ASSERT_EQUAL(closed(7, 8, &answers), 0);
	CU_ASSERT_EQUAL(answers, 0);
	CU_ASSERT_EQUAL(closed(0, 8, &answers), 0);
	CU_ASSERT_EQUAL(answers, 0);
	CU_ASSERT_EQUAL(closed(8, 0, &answers), 0);
}

static void test_allow_list(void)
{
	uint8_t allowed[1][PN_ID_LEN];

	for (int good = 0; good < 2; good++) {
		nodes(3, 2);
		lab_start(lab, 0);
		memcpy(allowed[0], net_id(lab->net[0]), PN_ID_LEN);
		allowed[0][5] ^= !good;
		lab->cfg[1].allowed = (const uint8_t (*)[PN_ID_LEN])allowed;
		lab->cfg[1].allowed_count = 1;
		lab_start(lab, 1);
		lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
		lab_wire(lab, NET_LINK_ETHERNET, PN_MS(1));
		lab_plug(lab, 0, 0);
		lab_plug(lab, 0, 1);
		lab_plug(lab, 1, 0);
		lab_plug(lab, 1, 1);
		lab_dial(lab, 0, 0, 1, net_id(lab->net[1]));
		lab_run(lab, PN_S(10));
		CU_ASSERT_EQUAL(lab_neighbours(lab, 1), good ? 2 : 0);
		if (!good) {
			CU_ASSERT(counter(1, "hs_refused") > 0);
			CU_ASSERT_EQUAL(counter(1, "hs_responses"), 0);
			CU_ASSERT_EQUAL(lab->last_reason[1][NET_EV_AUTH_FAILED], NET_ERR_POLICY);
		}
		done();
	}
}

static void test_data(void)
{
	uint8_t p[1400];

	pair(1);
	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(i * 7);
	for (size_t len = 1; len <= sizeof(p); len += len < 40 ? 1 : 97) {
		unsigned before = lab->delivered[1];

		lab_data(lab, 0, 1, p, len);
		lab_run(lab, PN_MS(1));
		CU_ASSERT_EQUAL(lab->delivered[1], before + 1);
		CU_ASSERT_EQUAL(lab->got_len[1], len);
		CU_ASSERT(memcmp(lab->got[1], p, len) == 0);
	}
	done();
}

/* Keeps the last frame of a type from end 0, lets all pass */
static uint8_t tap_type;
static bool tap_keep(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)wire;
	if (from == 0 && pkt->data[0] == tap_type) {
		memcpy(l->last, pkt->data, pkt->len);
		l->last_len = pkt->len;
	}
	return true;
}

/* A captured initiation, and captured sealed frames, sent again */
static void test_replayed(void)
{
	uint8_t init[512], p[100] = { 1 };
	size_t init_len;

	tap_type = FRAME_INIT;
	tunnel_pair(1, PN_MS(1), 1400);
	lab->tap = tap_keep;
	lab_dial(lab, 0, 0, 1, net_id(lab->net[1]));
	lab_run(lab, PN_S(5));
	CU_ASSERT_FATAL(lab->last_len > 0);
	init_len = lab->last_len;
	memcpy(init, lab->last, init_len);
	tap_type = FRAME_DATA;
	lab_data(lab, 0, 1, p, sizeof(p));
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(lab->delivered[1], 1);
	for (int i = 0; i < 5; i++) {
		lab_inject(lab, 0, 0, 1, init, init_len);
		lab_inject(lab, 0, 0, 1, lab->last, lab->last_len);
	}
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(counter(1, "hs_replayed"), 5);
	CU_ASSERT_EQUAL(counter(1, "rx_replayed"), 5);
	CU_ASSERT_EQUAL(lab->delivered[1], 1);
	/* somebody who forgot all timestamps answers, but changes nothing for it */
	memset(lab->net[1]->adjs->seen, 0,
	       (lab->net[1]->adjs->seen_mask + 1) * sizeof(*lab->net[1]->adjs->seen));
	adj_of(lab->net[1], 0)->seen_boot = adj_of(lab->net[1], 0)->seen_counter = 0;
	lab_inject(lab, 0, 0, 1, init, init_len);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(counter(1, "hs_replayed"), 5);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	lab_data(lab, 0, 1, p, sizeof(p));
	lab_run(lab, PN_MS(100));
	CU_ASSERT_EQUAL(lab->delivered[1], 2);
	done();
}

static bool tap_steal(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)wire;
	if (from != 0 || pkt->data[0] != FRAME_DATA)
		return true;
	memcpy(l->last, pkt->data, pkt->len);
	l->last_len = pkt->len;
	return false;
}

static uint64_t refusals(int n)
{
	return counter(n, "rx_auth_failed") + counter(n, "rx_no_adjacency") +
	       counter(n, "rx_runt") + counter(n, "rx_replayed");
}

/* Each byte of a data frame changed: header, tag and tail must be refused, and with
 * seal=full the whole payload, too */
static void forged(bool full)
{
	struct net_link_config cfg = { .mtu = 1500, .listen = true }, plain = cfg;
	uint8_t p[100] = { 1 };
	unsigned refused = 0;
	uint64_t bad;

	cfg.seal_full = full;		/* one side wants it: both do it */
	nodes(1, 2);
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(10));
	lab_plug_cfg(lab, 0, 0, &plain);
	lab_plug_cfg(lab, 0, 1, &cfg);
	lab_run(lab, PN_S(6));
	CU_ASSERT_FATAL(lab_merged(lab, 0, 1));
	lab->tap = tap_steal;
	lab_data(lab, 0, 1, p, sizeof(p));
	CU_ASSERT_EQUAL_FATAL(lab->last_len, FRAME_OVERHEAD + NET_HDR_LEN + sizeof(p));
	bad = refusals(1);
	for (size_t at = 1; at < lab->last_len; at++) {
		bool clear = !full && at >= 64 && at < lab->last_len - 16;

		if (clear)
			continue;
		lab->last[at] ^= 0x80;
		lab_inject(lab, 0, 0, 1, lab->last, lab->last_len);
		lab->last[at] ^= 0x80;
		lab_run(lab, PN_US(20));
		refused++;
	}
	CU_ASSERT_EQUAL(lab->delivered[1], 0);
	CU_ASSERT_EQUAL(refusals(1) - bad, refused);
	/* cut in the part that is in clear, so that its end looks the same (zeros) */
	lab_inject(lab, 0, 0, 1, lab->last, lab->last_len - 10);
	lab_run(lab, PN_US(20));
	CU_ASSERT_EQUAL(lab->delivered[1], 0);
	CU_ASSERT_EQUAL(refusals(1) - bad, refused + 1);
	/* the true one is still good after all that */
	lab_inject(lab, 0, 0, 1, lab->last, lab->last_len);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(lab->delivered[1], 1);
	done();
}

static void test_forged(void)
{
	forged(false);
	forged(true);
}

/* Reliable messages arrive exactly once over a wire that loses, doubles and disorders.
 * A message of an unknown type is counted by its receiver, and nothing else. */
static void test_reliable(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		uint8_t msg[ADJ_CTL_MAX] = { 250 };
		unsigned sent = 0;
		uint64_t before;

		tunnel_pair(seed, PN_MS(2), seed & 1 ? 700 : 1500);
		lab_dial(lab, 0, 0, 1, NULL);
		lab_run(lab, PN_S(5));
		lab->wire[0].loss_pm = 150;
		lab->wire[0].dup_pm = 100;
		lab->wire[0].jitter_ns = PN_MS(8);
		before = counter(1, "ctl_malformed");
		for (int round = 0; round < 20000 && sent < 300; round++) {
			while (sent < 300 && adj_ctl_ready(lab->net[0], 0, lab->now)) {
				size_t len = 1 + lab_random(lab) % ADJ_CTL_MAX;

				CU_ASSERT_EQUAL(adj_ctl_send(lab->net[0], 0,
							     msg, len, lab->now),
						0);
				sent++;
			}
			if (!adj_ctl_ready(lab->net[0], 0, lab->now))
				CU_ASSERT_EQUAL(adj_ctl_send(lab->net[0], 0,
							     msg, 9, lab->now),
						PN_EAGAIN);
			lab_run(lab, PN_MS(5));
			if (lab_neighbours(lab, 0) == 0)
				break;
		}
		CU_ASSERT_EQUAL(sent, 300);
		lab_run(lab, PN_S(3));
		CU_ASSERT_EQUAL(counter(1, "ctl_malformed") - before, sent);
		CU_ASSERT(counter(0, "ctl_retransmits") > 20);
		CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
		done();
	}
}

static uint32_t longest;
static bool tap_longest(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)l;
	(void)wire;
	(void)from;
	longest = pkt->len > longest ? pkt->len : longest;
	return true;
}

static void test_split(void)
{
	uint8_t p[PN_MTU_MIN - NET_HDR_LEN];
	uint64_t lost;

	for (size_t i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(i * 11);
	tunnel_pair(1, PN_MS(1), 700);
	longest = 0;
	lab->tap = tap_longest;
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(6));
	CU_ASSERT_FATAL(lab_merged(lab, 0, 1));
	lab->wire[0].jitter_ns = PN_US(800);	/* halves may cross */
	for (int i = 0; i < 200; i++) {
		lab_data(lab, 0, 1, p, sizeof(p));
		lab_run(lab, PN_MS(4));
		CU_ASSERT_EQUAL(lab->delivered[1], (unsigned)i + 1);
		CU_ASSERT(memcmp(lab->got[1], p, sizeof(p)) == 0);
	}
	CU_ASSERT(longest <= 700);
	lost = counter(1, "rx_split_lost");
	lab->wire[0].loss_pm = 300;
	for (int i = 0; i < 100; i++) {
		lab_data(lab, 0, 1, p, sizeof(p));
		lab_run(lab, PN_MS(4));
	}
	CU_ASSERT(lab->delivered[1] > 210);
	CU_ASSERT(lab->delivered[1] < 290);
	CU_ASSERT(counter(1, "rx_split_lost") - lost > 10);
	lab->wire[0].loss_pm = 0;
	lab_run(lab, PN_S(2));		/* halves do not hold packets for ever: done() counts */
	/* one byte more does not fit */
	CU_ASSERT_EQUAL(adj_at(lab->net[0], 0)->payload_max, PN_MTU_MIN);
	done();
	/* where it fits whole it is whole, and more than the minimum is used */
	tunnel_pair(2, PN_MS(1), 1420);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(1));
	CU_ASSERT_EQUAL(adj_at(lab->net[0], 0)->payload_max, 1420 - FRAME_OVERHEAD);
	done();
}

/* Random bytes, and true frames cut at every length */
static void test_garbage(void)
{
	uint8_t buf[1600], p[300] = { 1 };

	pair(1);
	for (int i = 0; i < 20000; i++) {
		size_t len = lab_random(lab) % (i % 10 ? 200 : sizeof(buf));

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)lab_random(lab);
		buf[0] = (uint8_t)(lab_random(lab) % 11);
		buf[1] = lab_random(lab) % 8 ? 1 : buf[1];
		lab_inject(lab, 0, 0, 1, buf, len);
		if (i % 64 == 0)
			lab_run(lab, PN_US(200));
	}
	lab_run(lab, PN_S(1));
	for (tap_type = FRAME_HELLO; tap_type <= (uint8_t)FRAME_CONTROL; tap_type++) {
		lab->tap = tap_type == FRAME_DATA ? tap_steal : tap_keep;
		lab->last_len = 0;
		if (tap_type == FRAME_DATA)
			lab_data(lab, 0, 1, p, sizeof(p));
		else
			lab_run(lab, PN_S(tap_type == FRAME_INIT || tap_type == FRAME_RESPONSE ?
					  130 : 11));
		for (size_t cut = 0; cut < lab->last_len; cut++) {
			lab_inject(lab, 0, 0, 1, lab->last, cut);
			lab_run(lab, PN_US(200));
		}
	}
	CU_ASSERT_EQUAL(lab->delivered[1], 0);
	CU_ASSERT(counter(1, "rx_runt") > 0);
	CU_ASSERT(counter(1, "rx_bad_version") > 0);
	CU_ASSERT(counter(1, "rx_unknown_type") > 0);
	CU_ASSERT(counter(1, "rx_no_adjacency") > 0);
	CU_ASSERT(counter(1, "rx_malformed") > 0);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

static uint64_t hash;
static bool tap_hash(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	uint8_t key[16] = { 0 };
	uint64_t h[3] = { hash, l->now.ns, (uint64_t)(wire * 16 + from) };

	hash = crypto_siphash(key, h, sizeof(h)) ^ crypto_siphash(key, pkt->data, pkt->len);
	return true;
}

/* One seed, one run, byte for byte */
static void test_repeats(void)
{
	uint64_t first[2];

	for (int run = 0; run < 4; run++) {
		hash = 0;
		nodes(run < 2 ? 42 : 43, 4);
		lab->tap = tap_hash;
		start_all();
		lab_wire(lab, NET_LINK_ETHERNET, PN_US(100));
		lab_wire(lab, NET_LINK_TUNNEL, PN_MS(20));
		lab->wire[0].loss_pm = 50;
		lab->wire[1].jitter_ns = PN_MS(5);
		for (int i = 0; i < 3; i++)
			lab_plug(lab, 0, i);
		lab_plug(lab, 1, 2);
		lab_plug(lab, 1, 3);
		lab_dial(lab, 1, 0, 1, NULL);
		lab_run(lab, PN_S(20));
		CU_ASSERT(lab->frames > 100);
		if (run % 2)
			CU_ASSERT_EQUAL(hash, first[run / 2]);
		first[run / 2] = hash;
		done();
	}
	CU_ASSERT_NOT_EQUAL(first[0], first[1]);
}

static CU_TestInfo tests[] = {
	{ "Ethernet discovery", test_ethernet },
	{ "discovery with loss", test_lossy_discovery },
	{ "tunnels", test_tunnel },
	{ "two addresses of one peer", test_two_addresses },
	{ "wrong identity", test_wrong_identity },
	{ "closed network", test_closed_network },
	{ "allow list", test_allow_list },
	{ "data", test_data },
	{ "replayed", test_replayed },
	{ "forged", test_forged },
	{ "reliable messages", test_reliable },
	{ "split frames", test_split },
	{ "garbage", test_garbage },
	{ "one seed, one run", test_repeats },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_adj;
CU_SuiteInfo suite_adj = { .pName = "adj", .pTests = tests };
