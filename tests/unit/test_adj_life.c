// SPDX-License-Identifier: ISC
/* Adjacencies: how they live, change and end. */
#include "tests/unit/adj_lab.h"

/* New keys every two minutes; no packet is lost for it */
static void test_rekey(void)
{
	uint8_t p[200] = { 2 };

	for (int way = 0; way < 2; way++) {
		pair(5 + (uint64_t)way);
		for (int i = 0; i < 4000; i++) {
			lab_data(lab, way, !way, p, sizeof(p));
			lab_run(lab, PN_MS(100));
		}
		CU_ASSERT_EQUAL(lab->delivered[!way], 4000);
		CU_ASSERT(counter(0, "rekeys") >= 3);
		CU_ASSERT(counter(0, "rekeys") <= 5);
		CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
		CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
		done();
	}
}

/* The host cannot send to a neighbour: it is not relied on until it answers */
static void test_unsent(void)
{
	struct net *net;
	struct adj *a;

	pair(5);
	net = lab->net[0];
	a = &net->adjs->a[0];
	CU_ASSERT(adj_at(net, 0)->up);
	net_link_unsent(net, 0, &a->ll, lab->now);
	CU_ASSERT(adj_at(net, 0)->suspect);
	lab_run(lab, PN_MS(20));
	CU_ASSERT(!adj_at(net, 0)->suspect);
	net_link_unsent(net, 0, &(struct pn_lladdr){ .len = 0 }, lab->now);
	CU_ASSERT(adj_at(net, 0)->suspect);
	net_link_unsent(net, 1, &a->ll, lab->now);       /* no such link: nobody */
	CU_ASSERT_EQUAL(counter(0, "tx_unsent"), 3);
	lab_run(lab, PN_MS(20));
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

static bool tap_nothing(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)l;
	(void)wire;
	(void)from;
	(void)pkt;
	return false;
}

/* ... and is asked at once: it is dead as soon as questions are not answered */
static void test_unsent_dead(void)
{
	pair(5);
	lab->tap = tap_nothing;
	net_link_unsent(lab->net[0], 0, &lab->net[0]->adjs->a[0].ll, lab->now);
	lab_run(lab, PN_MS(500));
	CU_ASSERT(adj_at(lab->net[0], 0)->suspect);
	lab_run(lab, PN_MS(300));
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 1);
	done();
}

/* A static peer that was away for minutes is dialled within seconds when it is back */
static void test_dial_again(void)
{
	for (unsigned away = 100; away <= 124; away += 8) {
		tunnel_pair(away, PN_MS(1), 1400);
		lab->wire[0].cut = true;
		lab_dial(lab, 0, 0, 1, NULL);
		lab_run(lab, PN_S(away));
		lab->wire[0].cut = false;
		CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(7)) != UINT64_MAX);
		done();
	}
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

/* A frame under the old keys that comes late counts, once; replays do not */
static void test_rekey_replay(void)
{
	uint8_t p[200] = { 2 }, seen[512];
	size_t seen_len;
	uint64_t before;

	pair(5);
	while (!counter(1, "rekeys")) {
		lab->tap = NULL;
		lab_data(lab, 0, 1, p, sizeof(p));
		lab->tap = tap_steal;
		lab_data(lab, 0, 1, p, sizeof(p));      /* this one is late */
		lab->tap = NULL;
		lab_run(lab, PN_MS(100));
	}
	seen_len = lab->last_len;
	memcpy(seen, lab->last, seen_len);
	before = lab->delivered[1];
	lab_inject(lab, 0, 0, 1, seen, seen_len);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(lab->delivered[1], before + 1);
	for (int i = 0; i < 3; i++)
		lab_inject(lab, 0, 0, 1, seen, seen_len);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(lab->delivered[1], before + 1);
	CU_ASSERT_EQUAL(counter(1, "rx_replayed"), 3);
	/* once the old keys are wiped it is nobody's */
	lab_run(lab, PN_S(11));
	lab_inject(lab, 0, 0, 1, seen, seen_len);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(counter(1, "rx_no_adjacency"), 1);
	done();
}

/* A node that dies without a word and comes back at once */
static void test_restart(void)
{
	for (int tunnel = 0; tunnel < 2; tunnel++)
		for (int who = 0; who < 2; who++) {
			struct net_link_config cfg = { .mtu = 1500, .listen = true };

			if (tunnel) {
				tunnel_pair(3, PN_MS(1), 1400);
				lab_dial(lab, 0, 0, 1, NULL);
				lab_run(lab, PN_S(5));
				cfg.mtu = 1400;
			} else {
				pair(3);
			}
			lab_stop(lab, who);
			lab_start(lab, who);
			cfg.kind = lab->wire[0].kind;
			lab->wire[0].end[who].link = net_link_add(lab->net[who], &cfg, lab->now);
			if (tunnel && who == 0)
				lab_dial(lab, 0, 0, 1, NULL);
			CU_ASSERT(lab_until_neighbours(lab, who, 1, PN_S(6)) != UINT64_MAX);
			lab_run(lab, PN_S(10));
			CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 1);
			CU_ASSERT_EQUAL(lab_neighbours(lab, 1), 1);
			CU_ASSERT_EQUAL(lab->ev_count[!who][NET_EV_NEIGHBOUR_DOWN], 1);
			CU_ASSERT(lab_merged(lab, 0, 1));
			done();
		}
}

static uint64_t until_down(int n, uint64_t max_ns)
{
	return lab_until_neighbours(lab, n, 0, max_ns);
}

/* Bytes that end 0 sent in a minute, and the frames of both */
static uint64_t minute(uint64_t *frames, unsigned data_every_ms)
{
	uint8_t p[100] = { 1 };
	uint64_t bytes = lab->bytes, before = lab->frames;

	for (unsigned t = 0; t < 60000; t += 100) {
		if (data_every_ms && t % data_every_ms == 0)
			lab_data(lab, 0, 1, p, sizeof(p));
		lab_run(lab, PN_MS(100));
	}
	*frames = lab->frames - before;
	return lab->bytes - bytes;
}

/* Hellos: few at rest, fast after a change and while data flows one way */
static void test_hello_rate(void)
{
	uint64_t frames;

	tunnel_pair(1, PN_MS(1), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(60));
	CU_ASSERT(minute(&frames, 0) < 6000);	/* hellos, beats and what goes with them */
	CU_ASSERT(frames <= 90);
	/* one way: what comes back is a hello for each quarter second, and no more */
	minute(&frames, 100);
	CU_ASSERT(frames > 600 + 60 * 3);
	CU_ASSERT(frames < 600 + 60 * 6 + 60);
	/* lookups do not hurry anything */
	CU_ASSERT_EQUAL(adj_of(lab->net[1], 0)->hello_ns, HELLO_NS);
	lab_run(lab, PN_S(10));
	CU_ASSERT_EQUAL(adj_of(lab->net[1], 0)->hello_ns, HELLO_REST_NS);
	done();
}

static void test_silence(void)
{
	uint8_t p[100] = { 1 };
	uint64_t start;

	/* at rest */
	pair(1);
	lab_run(lab, PN_S(10));
	lab->wire[0].cut = true;
	CU_ASSERT(until_down(0, PN_MS(5200)) != UINT64_MAX);
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_NEIGHBOUR_DOWN], NET_ERR_TIMEOUT);
	lab->wire[0].cut = false;
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(3)) != UINT64_MAX);
	done();
	/* while data flows one way: the sender must notice fast */
	pair(2);
	for (int i = 0; i < 50; i++) {
		lab_data(lab, 0, 1, p, sizeof(p));
		lab_run(lab, PN_MS(20));
	}
	lab->wire[0].cut = true;
	start = lab->now.ns;
	while (lab_neighbours(lab, 0) && lab->now.ns - start < PN_S(5)) {
		lab_data(lab, 0, 1, p, sizeof(p));
		lab_run(lab, PN_MS(20));
	}
	CU_ASSERT(lab->now.ns - start < PN_MS(1050));
	done();
	/* one packet now and then is enough for that */
	pair(2);
	lab_run(lab, PN_S(10));
	lab->wire[0].cut = true;
	lab_data(lab, 0, 1, p, sizeof(p));
	CU_ASSERT(until_down(0, PN_MS(1000)) != UINT64_MAX);
	done();
	/* a quarter of all frames lost, from one moment to the next: no reason to give up */
	for (uint64_t seed = 3; seed < 6; seed++) {
		pair(seed);
		lab->wire[0].loss_pm = 250;
		for (int i = 0; i < 3000; i++) {
			lab_data(lab, 0, 1, p, sizeof(p));
			lab_run(lab, PN_MS(20));
		}
		CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
		CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
		done();
	}
	/* one way cut only: both give up */
	pair(4);
	lab->wire[0].loss_pm = 0;
	lab->wire[0].end[1].link = -1;		/* node 1 hears nothing, and says nothing */
	CU_ASSERT(until_down(0, PN_MS(3300)) != UINT64_MAX);
	done();
}

/* The process was stopped for a minute: neighbours are not declared dead unheard */
static void test_paused(void)
{
	pair(1);
	lab_run(lab, PN_S(5));
	lab->now = pn_time_add(lab->now, PN_S(60));
	lab_run(lab, PN_S(10));
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

static void test_carrier_and_goodbye(void)
{
	pair(1);
	net_link_carrier(lab->net[0], lab->wire[0].end[0].link, false, lab->now);
	lab_pump(lab);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_NEIGHBOUR_DOWN], NET_ERR_CARRIER);
	lab_run(lab, PN_S(5));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 1), 0);
	net_link_carrier(lab->net[0], lab->wire[0].end[0].link, true, lab->now);
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(1)) != UINT64_MAX);
	/* a link taken away says goodbye */
	lab_run(lab, PN_S(1));
	net_link_del(lab->net[0], lab->wire[0].end[0].link, lab->now);
	lab_pump(lab);
	CU_ASSERT(until_down(1, PN_MS(1)) != UINT64_MAX);
	CU_ASSERT_EQUAL(lab->last_reason[1][NET_EV_NEIGHBOUR_DOWN], NET_ERR_GOODBYE);
	done();
	/* and so does a node */
	pair(2);
	net_goodbye(lab->net[1], lab->now);
	lab_pump(lab);
	CU_ASSERT(until_down(0, PN_MS(1)) != UINT64_MAX);
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_NEIGHBOUR_DOWN], NET_ERR_GOODBYE);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	done();
}

/* What the tap takes: all that node 1 says, or its control frames only */
static bool all_of_1;

static bool tap_deaf(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)wire;
	if (from == 0 && pkt->data[0] == FRAME_CONTROL) {
		memcpy(l->last, pkt->data, pkt->len);
		l->last_len = pkt->len;
	}
	return from == 0 || !(all_of_1 || pkt->data[0] == FRAME_CONTROL);
}

/* Whoever gives up says so: the other side may hear it, and noticed nothing yet.
 * Return: does node 1 know as soon as it can? */
static bool told(void)
{
	unsigned downs = lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN];

	CU_ASSERT(until_down(0, PN_MS(1000)) != UINT64_MAX);
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_NEIGHBOUR_DOWN], NET_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], downs);
	lab_run(lab, lab->wire[0].delay_ns + PN_MS(1));
	CU_ASSERT_EQUAL(counter(1, "adj_unheard"), 1);
	CU_ASSERT_EQUAL(counter(0, "adj_unheard"), 0);   /* nobody answers that */
	return lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN] == downs + 1 &&
	       lab->last_reason[1][NET_EV_NEIGHBOUR_DOWN] == NET_ERR_TIMEOUT;
}

static void test_unheard(void)
{
	uint8_t p[100] = { 1 };

	for (int tunnel = 0; tunnel < 2; tunnel++) {
		if (tunnel) {
			tunnel_pair(6, PN_MS(5), 1400);
			lab_dial(lab, 0, 1, 0, NULL);    /* the one who is told dials */
			lab_run(lab, PN_S(8));
		} else {
			pair(6);
		}
		all_of_1 = true;
		lab->tap = tap_deaf;
		lab_data(lab, 0, 1, p, sizeof(p));       /* wants an answer */
		CU_ASSERT(told());
		lab_run(lab, PN_S(5));
		CU_ASSERT_EQUAL(lab_neighbours(lab, 0) + lab_neighbours(lab, 1), 0);
		lab->tap = NULL;
		CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(7)) != UINT64_MAX);
		CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_S(1)) != UINT64_MAX);
		lab_run(lab, PN_S(10));
		CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 1);
		done();
	}
	/* data comes all the time, but no acknowledgement */
	pair(7);
	all_of_1 = false;
	lab->tap = tap_deaf;
	CU_ASSERT_EQUAL(adj_ctl_send(lab->net[0], 0, p, 1, lab->now), 0);
	for (int i = 0; i < 500 && lab_neighbours(lab, 0); i++) {
		lab_data(lab, 1, 0, p, sizeof(p));
		lab_run(lab, PN_MS(10));
	}
	CU_ASSERT_EQUAL(lab->last_reason[0][NET_EV_NEIGHBOUR_DOWN], NET_ERR_TIMEOUT);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(lab->last_reason[1][NET_EV_NEIGHBOUR_DOWN], NET_ERR_TIMEOUT);
	CU_ASSERT_EQUAL(counter(1, "adj_unheard"), 1);
	done();
}

static bool tap_hold(struct lab *l, int wire, int from, struct pn_pkt *pkt)
{
	(void)tap_deaf(l, wire, from, pkt);
	return false;
}

/* Nobody else can say it, and it is not heard twice. */
static void test_unheard_forged(void)
{
	uint8_t p[100] = { 1 }, bye[512];
	size_t len;

	pair(8);
	lab->tap = tap_hold;
	lab_data(lab, 0, 1, p, sizeof(p));
	CU_ASSERT(until_down(0, PN_MS(1000)) != UINT64_MAX);
	memcpy(bye, lab->last, lab->last_len);
	len = (size_t)bye[2] << 8 | bye[3];     /* what follows the link padded */
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	for (size_t k = FRAME_HDR_LEN; k < len; k++) {
		bye[k] ^= 1;
		lab_inject(lab, 0, 0, 1, bye, len);
		bye[k] ^= 1;
	}
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(counter(1, "rx_auth_failed"), len - FRAME_HDR_LEN);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	lab_inject(lab, 0, 0, 1, bye, len);
	lab_inject(lab, 0, 0, 1, bye, len);
	lab_run(lab, PN_MS(1));
	CU_ASSERT_EQUAL(counter(1, "adj_unheard"), 1);
	CU_ASSERT_EQUAL(counter(1, "rx_no_adjacency"), 1);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 1);
	done();
}

static void test_roaming(void)
{
	uint8_t p[100] = { 1 };

	tunnel_pair(1, PN_MS(5), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(6));
	/* a NAT gives end 0 another address; it speaks first */
	lab->wire[0].end[0].ll.b[16] ^= 0x55;
	lab_data(lab, 0, 1, p, sizeof(p));
	lab_run(lab, PN_MS(20));
	lab_data(lab, 1, 0, p, sizeof(p));
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(lab->delivered[0], 1);
	CU_ASSERT_EQUAL(lab->delivered[1], 1);
	CU_ASSERT_EQUAL(lab->ev_count[1][NET_EV_NEIGHBOUR_DOWN], 0);
	CU_ASSERT_EQUAL(lab->ev_count[0][NET_EV_NEIGHBOUR_DOWN], 0);
	done();
}

/* Initiations of @n strangers from a spoofed address */
static void flood(int n)
{
	for (int i = 0; i < n; i++) {
		uint8_t seed[32] = { 1, (uint8_t)i, (uint8_t)(i >> 8) }, sign[64], id[32];
		uint8_t secret[32], public[32], psk[32] = { 0 }, frame[NOISE_INIT_MAX];
		struct noise_local us = { id, secret, public, psk };
		struct noise_options opt = { 0, 1400, 5, 0 };
		struct noise_state st;
		size_t len;

		crypto_identity(seed, id, sign);
		crypto_dh_of_sign_key(secret, public, sign);
		len = noise_create_initiation(&st, &us, net_id(lab->net[0]), seed, 1, 1, &opt,
					      0x10000, frame);
		noise_macs_set(frame, len, net_id(lab->net[0]), NULL);
		lab_inject(lab, 0, 2, 0, frame, len);
		lab_run(lab, PN_US(300));
	}
	lab_run(lab, PN_MS(5));
}

static void test_load(void)
{
	nodes(1, 3);
	lab->cfg[0].adj_max = 40;
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(1));
	for (int i = 0; i < 3; i++)
		lab_plug(lab, 0, i);
	lab->wire[0].end[2].link = -1;
	flood(HS_LOAD_PER_S + 50);
	CU_ASSERT(counter(0, "hs_cookies") >= 50);
	CU_ASSERT_EQUAL(counter(0, "adj_up"), 0);
	/* an honest one gets in with its cookie while the flood goes on */
	lab_dial(lab, 0, 1, 0, net_id(lab->net[0]));
	flood(100);
	CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_MS(500)) != UINT64_MAX);
	/* what strangers left behind goes away */
	lab_run(lab, PN_S(10));
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 1);
	CU_ASSERT(adj_count(lab->net[0]) <= 40);
	for (uint32_t i = 0, busy = 0; i < 40; i++) {
		busy += adj_of(lab->net[0], i)->state != ADJ_FREE;
		CU_ASSERT(busy <= 1);
	}
	done();
}

static uint16_t cost(void)
{
	return adj_at(lab->net[0], 0)->cost;
}

static void test_cost(void)
{
	struct net_link_config cfg = { .mtu = 1400, .listen = true, .cost = 99 };
	uint32_t high = 0;

	tunnel_pair(1, PN_US(300), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(3));
	CU_ASSERT_EQUAL(cost(), NET_COST_UNIT);
	lab->wire[0].delay_ns = PN_MS(50);	/* 100 ms there and back */
	lab_run(lab, PN_S(60));
	CU_ASSERT(cost() > 7 * NET_COST_UNIT);
	CU_ASSERT(cost() <= 8 * NET_COST_UNIT);
	CU_ASSERT(adj_of(lab->net[0], 0)->srtt_ns > PN_MS(95));
	CU_ASSERT(adj_of(lab->net[0], 0)->srtt_ns < PN_MS(105));
	done();

	nodes(2, 2);
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, PN_MS(50));
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug(lab, 0, 1);
	lab_dial(lab, 0, 0, 1, NULL);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(cost(), 99);
	done();

	pair(3);
	lab_run(lab, PN_S(20));
	CU_ASSERT_EQUAL(cost(), NET_COST_UNIT);
	lab->wire[0].loss_pm = 300;
	for (int i = 0; i < 180; i++) {  /* it is measured by a few hellos: up and down */
		lab_run(lab, PN_S(1));
		high = cost() > high ? cost() : high;
	}
	CU_ASSERT(high > NET_COST_UNIT * 5 / 4);
	CU_ASSERT(high < NET_COST_UNIT * 5);
	lab->wire[0].loss_pm = 0;
	lab_run(lab, PN_S(60));
	CU_ASSERT(cost() <= NET_COST_UNIT * 9 / 8);
	done();
}

/* Round trips of 20 to 100 ms, each another: the cost is that of their mean, and hellos stay rare. */
static void test_jitter(void)
{
	unsigned changes = 0;
	uint64_t hellos;
	uint16_t last;

	tunnel_pair(5, PN_MS(10), 1400);
	lab_dial(lab, 0, 0, 1, NULL);
	lab->wire[0].jitter_ns = PN_MS(40);
	lab_run(lab, PN_S(120));
	hellos = counter(0, "tx_hello_bytes");
	last = cost();
	for (int i = 0; i < 240; i++) {
		lab_run(lab, PN_S(1));
		changes += cost() != last;
		last = cost();
	}
	CU_ASSERT(changes <= 1);
	CU_ASSERT(last > 4 * NET_COST_UNIT);
	CU_ASSERT(last < 7 * NET_COST_UNIT);
	hellos = counter(0, "tx_hello_bytes") - hellos;
	CU_ASSERT(hellos < 20000);       /* a sixth of those at the quick interval */
	done();
}

static void test_limits(void)
{
	struct net_link_config cfg = { .kind = NET_LINK_TUNNEL, .mtu = LINK_MTU_MIN - 1 };
	struct pn_lladdr ll = { PN_LLADDR_UDP_LEN, { 1 } };

	nodes(1, 1);
	start_all();
	CU_ASSERT_EQUAL(net_link_add(lab->net[0], &cfg, lab->now), PN_EINVAL);
	cfg.mtu++;
	for (int i = 0; i < NET_LINK_MAX; i++)
		CU_ASSERT_EQUAL(net_link_add(lab->net[0], &cfg, lab->now), i);
	CU_ASSERT_EQUAL(net_link_add(lab->net[0], &cfg, lab->now), PN_EFULL);
	net_link_del(lab->net[0], 3, lab->now);
	CU_ASSERT_EQUAL(net_link_peer(lab->net[0], 3, &ll, NULL, 0, lab->now), PN_ENOENT);
	CU_ASSERT_EQUAL(net_link_peer(lab->net[0], -1, &ll, NULL, 0, lab->now), PN_ENOENT);
	CU_ASSERT_EQUAL(net_link_peer(lab->net[0], 999, &ll, NULL, 0, lab->now), PN_ENOENT);
	for (uint32_t i = 0; i < lab->cfg[0].adj_max; i++) {
		ll.b[3] = (uint8_t)i;
		CU_ASSERT_EQUAL(net_link_peer(lab->net[0], 4, &ll, NULL, 0, lab->now), 0);
	}
	ll.b[3] = 255;
	CU_ASSERT_EQUAL(net_link_peer(lab->net[0], 4, &ll, NULL, 0, lab->now), PN_EFULL);
	CU_ASSERT(counter(0, "adj_full") > 0);
	lab_run(lab, PN_S(1));
	done();
}

/* Facets of one node talk through a queue, in order, never recursively */
static void test_internal(void)
{
	uint8_t msg[3] = { 250, 1, 2 };
	uint64_t before;
	int a;

	nodes(1, 1);
	start_all();
	a = adj_internal_add(lab->net[0], 0, 0);
	CU_ASSERT_FATAL(a >= 0);
	CU_ASSERT(adj_at(lab->net[0], (uint32_t)a) != NULL);
	CU_ASSERT_EQUAL(adj_at(lab->net[0], (uint32_t)a)->cost, 0);
	CU_ASSERT_EQUAL(adj_at(lab->net[0], adj_at(lab->net[0], (uint32_t)a)->internal_peer)
			->internal_peer, (uint32_t)a);
	CU_ASSERT_EQUAL(lab_neighbours(lab, 0), 0);
	before = lab->pool.free_count;
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(adj_ctl_send(lab->net[0], (uint32_t)a, msg, 3, lab->now), 0);
	CU_ASSERT_EQUAL(lab->pool.free_count, before - 10);
	CU_ASSERT_EQUAL(net_deadline(lab->net[0]).ns, lab->now.ns);
	net_expire(lab->net[0], lab->now);
	CU_ASSERT_EQUAL(lab->pool.free_count, before);
	/* messages of one that is gone reach nobody */
	CU_ASSERT_EQUAL(adj_ctl_send(lab->net[0], (uint32_t)a, msg, 3, lab->now), 0);
	adj_internal_del(lab->net[0], (uint32_t)a);
	CU_ASSERT(adj_at(lab->net[0], (uint32_t)a) == NULL);
	lab_run(lab, PN_MS(10));
	CU_ASSERT_EQUAL(lab->pool.free_count, before);
	done();
}

static CU_TestInfo tests[] = {
	{ "new keys", test_rekey },
	{ "new keys, replays", test_rekey_replay },
	{ "restart", test_restart },
	{ "hello rate", test_hello_rate },
	{ "silence", test_silence },
	{ "paused process", test_paused },
	{ "carrier and goodbye", test_carrier_and_goodbye },
	{ "who is not heard is told", test_unheard },
	{ "and by nobody else", test_unheard_forged },
	{ "the host cannot send", test_unsent },
	{ "the host cannot send, nobody answers", test_unsent_dead },
	{ "dialled again", test_dial_again },
	{ "roaming", test_roaming },
	{ "load", test_load },
	{ "cost", test_cost },
	{ "round trips that differ", test_jitter },
	{ "limits", test_limits },
	{ "internal adjacencies", test_internal },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_adj_life;
CU_SuiteInfo suite_adj_life = { .pName = "adj_life", .pTests = tests };
