// SPDX-License-Identifier: ISC
/* Packets by address: header and errors on the wire, next hops on random graphs,
 * the walk to a key, and what happens to packets that do not arrive. */
#define FAKE_NAME(x_) tf_##x_
#include "tests/unit/fake_net.h"

#define GRAPHS 40

static void header(void)
{
	struct net_hdr h = { .proto = 1, .level = 7, .flags = 0xc0, .replica = 2, .hops = 1000,
			     .flow = 0xabcd, .dst_tag = 0x01020304, .src_tag = 0xfffefdfc,
			     .dst = 0x1122334455667788, .src = UINT64_MAX };
	struct net_hdr out;
	uint8_t buf[NET_HDR_LEN];

	net_hdr_build(&h, buf);
	CU_ASSERT_EQUAL(net_hdr_parse(&out, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(out.proto, 1);
	CU_ASSERT_EQUAL(out.level, 7);
	CU_ASSERT_EQUAL(out.flags, 0xc0);
	CU_ASSERT_EQUAL(out.replica, 2);
	CU_ASSERT_EQUAL(out.hops, 1000);
	CU_ASSERT_EQUAL(out.flow, 0xabcd);
	CU_ASSERT_EQUAL(out.dst_tag, 0x01020304);
	CU_ASSERT_EQUAL(out.src_tag, 0xfffefdfc);
	CU_ASSERT_EQUAL(out.dst, h.dst);
	CU_ASSERT_EQUAL(out.src, h.src);
	for (size_t len = 0; len < sizeof(buf); len++) {
		uint8_t *copy = unit_copy(buf, len);

		CU_ASSERT_EQUAL(net_hdr_parse(&out, copy, len), PN_ETRUNC);
		free(copy);
	}
	buf[2] = buf[3] = 0;             /* no hop left */
	CU_ASSERT_EQUAL(net_hdr_parse(&out, buf, sizeof(buf)), PN_EBADMSG);
	buf[3] = 1;
	buf[6] = NET_HDR_F_KEY;          /* a session packet cannot walk to a key */
	CU_ASSERT_EQUAL(net_hdr_parse(&out, buf, sizeof(buf)), PN_EBADMSG);
}

static void errors_on_the_wire(void)
{
	struct fwd_error e = { .reason = NET_ERR_TOO_BIG, .level = 3, .mtu = 1400, .proto = 1,
			       .flow = 9,
			       .dst_tag = 77, .dst = 0x123456789, .has_id = true,
				       .excerpt_len = 20 };
	struct fwd_error out;
	uint8_t buf[FWD_ERROR_MAX];
	size_t len;

	memset(e.id, 0x11, sizeof(e.id));
	memset(e.excerpt, 0x22, sizeof(e.excerpt));
	for (size_t cap = 0; cap <= sizeof(buf); cap++) {
		len = fwd_error_build(&e, buf, cap);
		CU_ASSERT(len <= cap);
		CU_ASSERT_EQUAL(len == 0, cap < FWD_ERROR_LEN);
	}
	CU_ASSERT_EQUAL(len, FWD_ERROR_MAX);
	for (size_t cut = 0; cut <= len; cut++) {
		uint8_t *copy = unit_copy(buf, cut);
		int rc = fwd_error_parse(&out, copy, cut);

		CU_ASSERT_EQUAL(rc, cut < FWD_ERROR_LEN ? PN_EBADMSG : 0);
		if (rc == 0)
			CU_ASSERT_EQUAL(out.has_id, cut >= FWD_ERROR_LEN + PN_ID_LEN);
		free(copy);
	}
	CU_ASSERT_EQUAL(out.reason, NET_ERR_TOO_BIG);
	CU_ASSERT_EQUAL(out.level, 3);
	CU_ASSERT_EQUAL(out.mtu, 1400);
	CU_ASSERT_EQUAL(out.proto, 1);
	CU_ASSERT_EQUAL(out.flow, 9);
	CU_ASSERT_EQUAL(out.dst_tag, 77);
	CU_ASSERT_EQUAL(out.dst, e.dst);
	CU_ASSERT_EQUAL(memcmp(out.id, e.id, PN_ID_LEN), 0);
	CU_ASSERT_EQUAL(out.excerpt_len, 20);
	CU_ASSERT_EQUAL(memcmp(out.excerpt, e.excerpt, 20), 0);
	buf[0] = 0;
	CU_ASSERT_EQUAL(fwd_error_parse(&out, buf, len), PN_EBADMSG);
	buf[0] = NET_ERR_GONE + 1;
	CU_ASSERT_EQUAL(fwd_error_parse(&out, buf, len), PN_EBADMSG);
}

/* Walks from vertex @u to @dst by decisions only.
 * Return: hops over links, -1 if it does not arrive */
static int walk(unsigned u, uint64_t dst, uint16_t flow, unsigned *shortcuts)
{
	struct net_hdr hdr = { .dst = dst, .level = NET_LEVEL_ANY, .flow = flow };
	uint32_t from = FWD_ADJ_NONE;

	for (int hops = 0; hops < 1024; hops++) {
		struct w_node *n = w.node[w.vertex[u].node];
		struct fwd_hop hop;

		if (facet_of_addr(&n->net, 0, dst, 0, w.now) >= 0)
			return hops;
		hop = fwd_decide(&n->net, w.vertex[u].facet, &hdr, from);
		if (hop.verdict != FWD_SEND)
			return -1;
		CU_ASSERT_FATAL(n->adj[hop.adj].pub.kind != ADJ_INTERNAL);
		CU_ASSERT(hop.level <= hdr.level);
		CU_ASSERT(hop.detour >= hdr.detour);
		hdr.detour = hop.detour;
		if (hop.shortcut) {
			CU_ASSERT(hop.level < hdr.level);
			(*shortcuts)++;
		}
		hdr.level = hop.level;
		hdr.flags = hop.flags;
		u = n->adj[hop.adj].to;
		from = n->adj[hop.adj].back;
	}
	return 1024;
}

/* Every pair arrives, without passing any place twice: in less hops than there are
 * vertices. */
static void all_pairs(void)
{
	unsigned shortcuts = 0, longest = 0;

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 3 + (unsigned)(seed % 40), (unsigned)(seed % 30),
			       seed % 3 == 0 ? 4 : 0);
		w_start(seed, 16, 16);
		for (unsigned u = 0; u < w.vertices; u++) {
			for (unsigned v = 0; v < w.vertices; v++) {
				int hops = walk(u, w.vertex[v].addr, (uint16_t)seed, &shortcuts);

				CU_ASSERT(hops >= 0);
				CU_ASSERT(hops < (int)w.vertices);
				longest = hops > (int)longest ? (unsigned)hops : longest;
			}
		}
		w_end();
	}
	CU_ASSERT(shortcuts > 1000);
	CU_ASSERT(longest > 5);
}

/* The naive twin: the sibling route alone.  Shortcuts must not make ways longer,
 * all in all. */
static void shortcuts_shorten(void)
{
	unsigned long with = 0, without = 0;
	unsigned n = 0;

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 30, 20, 0);
		w_start(seed, 16, 16);
		for (unsigned hide = 0; hide < 2; hide++) {
			for (unsigned i = 0; i < w.nodes; i++) {
				for (unsigned k = 0; k < w.node[i]->adjs; k++)
					w.node[i]->adj[k].shows_addr = !hide;
			}
			for (unsigned u = 0; u < w.vertices; u++) {
				for (unsigned v = 0; v < w.vertices; v++)
					*(hide ? &without : &with) +=
						(unsigned long)walk(u, w.vertex[v].addr, 0, &n);
			}
		}
		w_end();
	}
	CU_ASSERT(with < without);
}

/* Where only some know routes to parts a packet changes to sibling routes at most once for each
 * level: each place is passed twice at most. */
static void parts_end(void)
{
	unsigned shortcuts = 0;

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 3 + (unsigned)(seed % 40), (unsigned)(seed % 30),
			       seed % 3 == 0 ? 4 : 0);
		w_start(seed, 16, 16);
		w.parts = 2 + (unsigned)(seed % 5);
		for (unsigned i = 0; i < w.nodes && seed % 2; i++) {
			for (unsigned k = 0; k < w.node[i]->adjs; k++)
				w.node[i]->adj[k].shows_addr = false;
		}
		for (unsigned u = 0; u < w.vertices; u++) {
			for (unsigned v = 0; v < w.vertices; v++) {
				int hops = walk(u, w.vertex[v].addr, (uint16_t)seed, &shortcuts);

				CU_ASSERT(hops >= 0);
				CU_ASSERT(hops < 2 * (int)w.vertices);
			}
		}
		w_end();
	}
}

/* Whatever neighbours and routes say, a packet ends, with at most 130 shortcuts. */
static void lies_end(void)
{
	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 20, 20, seed % 2 ? 3 : 0);
		w_start(seed, 16, 16);
		w.lying_routes = seed % 4 < 2;
		for (unsigned i = 0; i < w.nodes; i++) {
			for (unsigned k = 0; k < w.node[i]->adjs; k++) {
				w.node[i]->adj[k].lying = true;
				w.node[i]->adj[k].lie = w_random() >> (w_random() % 64);
			}
		}
		for (unsigned u = 0; u < w.vertices; u++) {
			unsigned shortcuts = 0;
			int hops = walk(u, w_random() >> (w_random() % 64), 1, &shortcuts);

			CU_ASSERT(hops <= 1024);
			CU_ASSERT(shortcuts <= 130);
		}
		w_end();
	}
}

/* Who is sent to sibling routes takes them as long as he comes no nearer; then routes to parts
 * again. */
static void plain_until_nearer(void)
{
	unsigned parts = 0, shortcuts = 0;

	w_random_graph(3, 40, 20, 0);
	w_start(3, 16, 16);
	w.parts = 3;
	for (unsigned i = 0; i < w.nodes * w.nodes; i++) {
		unsigned u = i / w.nodes, v = i % w.nodes;
		uint64_t dst = w.vertex[v].addr;
		struct net_hdr hdr = { .dst = dst, .flags = NET_HDR_F_PLAIN };
		struct part_route to;
		struct fwd_hop hop;
		unsigned k;

		if (u == v)
			continue;
		k = fwd_diff(w.vertex[u].addr, dst);
		for (unsigned a = 0; a < w.node[u]->adjs; a++)
			w.node[u]->adj[a].shows_addr = true;
		hdr.level = (uint8_t)nbhd_level(k + 1, 0);
		hop = fwd_decide(w_net(u), 0, &hdr, FWD_ADJ_NONE);
		CU_ASSERT(!hop.shortcut || !(hop.flags & NET_HDR_F_PLAIN));
		shortcuts += hop.shortcut;
		for (unsigned a = 0; a < w.node[u]->adjs; a++)
			w.node[u]->adj[a].shows_addr = false;
		if (!route_part(w_net(u), 0, k, dst, 0, FWD_ADJ_NONE, &to))
			continue;
		parts++;
		hop = fwd_decide(w_net(u), 0, &hdr, FWD_ADJ_NONE);
		CU_ASSERT(hop.flags & NET_HDR_F_PLAIN);
		hdr.level++;
		hop = fwd_decide(w_net(u), 0, &hdr, FWD_ADJ_NONE);
		CU_ASSERT(!(hop.flags & NET_HDR_F_PLAIN));
		CU_ASSERT_EQUAL(hop.adj, to.adj);
	}
	CU_ASSERT(parts > 100);
	CU_ASSERT(shortcuts > 100);
	w_end();
}

/* After one detour only one by a higher sibling: so they end. */
static void detours_rise(void)
{
	struct net_hdr hdr = { .level = (uint8_t)nbhd_level(21, 0) };
	struct fwd_hop hop;

	w_line(12);
	w_start(1, 16, 16);
	hdr.dst = w.vertex[0].addr | UINT64_C(1) << 20; /* nobody's: no way there */
	for (unsigned level = 1; level < w.vertex[0].height; level++) {
		if (w.vertex[0].dist[level] == UINT32_MAX)
			continue;
		w.around = (int)level;
		for (unsigned been = 0; been <= detour_field(level + 2, true); been++) {
			hdr.detour = (uint8_t)been;
			hop = fwd_decide(w_net(0), 0, &hdr, FWD_ADJ_NONE);
			CU_ASSERT_EQUAL(hop.verdict, been <= detour_field(level, false)
							     ? FWD_SEND : FWD_NO_ROUTE);
			CU_ASSERT(hop.detour >= been);
		}
	}
	CU_ASSERT(w.around > 1);
	w.around = 0;
	w_end();
}

/* Return: the node where the walk ends, -1: it does not */
static int walk_key(unsigned u, uint64_t key, unsigned max)
{
	struct net_hdr hdr = { .dst = key, .level = NET_LEVEL_ANY, .flags = NET_HDR_F_KEY };
	uint32_t from = FWD_ADJ_NONE;

	for (unsigned hops = 0; hops < max; hops++) {
		struct w_node *n = w.node[w.vertex[u].node];
		struct fwd_hop hop = fwd_decide_key(&n->net, w.vertex[u].facet, &hdr, from);

		if (hop.verdict == FWD_HERE)
			return (int)w.vertex[u].node;
		if (hop.verdict != FWD_SEND)
			return -1;
		CU_ASSERT(hop.level <= hdr.level);
		hdr.level = hop.level;
		hdr.flags = hop.flags;
		u = n->adj[hop.adj].to;
		from = n->adj[hop.adj].back;
	}
	return -1;
}

static bool ends_at(unsigned node, uint64_t key)
{
	for (uint16_t f = 0; f < facet_max(w_net(node)); f++) {
		if (fwd_key_walk(w_net(node), f, key, facet_height(w_net(node), f)) < 0)
			return true;
	}
	return false;
}

static void key_walks_meet(void)
{
	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 2 + (unsigned)(seed % 40), (unsigned)(seed % 20),
			       seed % 3 == 0 ? 4 : 0);
		w_start(seed, 16, 16);
		for (unsigned i = 0; i < 50; i++) {
			uint64_t key = w_random();
			int end = walk_key(0, key, 1024);

			CU_ASSERT(end >= 0);
			for (unsigned u = 1; u < w.vertices; u++)
				CU_ASSERT_EQUAL(walk_key(u, key, 1024), end);
			if (end >= 0)
				CU_ASSERT(ends_at((unsigned)end, key));
		}
		w_end();
	}
}

/* Of two facets of a hub one may be in the sibling where the walk of the other goes next. */
static void key_walks_pass_hubs(void)
{
	unsigned sent = 0;

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 40, (unsigned)(seed % 20), 5);
		w_start(seed, 16, 16);
		for (unsigned i = 0; i < 200; i++) {
			struct w_node *n = w.node[w_random() % w.nodes];
			uint16_t facet = (uint16_t)(w_random() % n->facets);
			struct net_hdr hdr = { 0 };
			struct fwd_hop hop;

			fwd_key_start(&n->net, facet, w_random(), 64, &hdr);
			hop = fwd_decide_key(&n->net, facet, &hdr, FWD_ADJ_NONE);
			if (hop.verdict != FWD_SEND)
				continue;
			sent++;
			for (uint16_t f = 0; f < n->facets; f++)
				CU_ASSERT_NOT_EQUAL((facet_addr(&n->net, f) ^
						     facet_addr(&n->net, hop.facet)) >> hop.level, 1);
		}
		w_end();
	}
	CU_ASSERT(sent > 50 * GRAPHS);
}

/* Load follows size: a node with one facet anchors its share of the keys, also
 * where the tree is lopsided. */
static void key_load(void)
{
	enum { KEYS = 30000 };
	unsigned long n[W_VERTICES] = { 0 };

	w_line(13);
	w_start(5, 16, 16);
	for (unsigned i = 0; i < KEYS; i++)
		n[walk_key(i % w.vertices, w_random(), 1024)]++;
	for (unsigned i = 0; i < w.vertices; i++) {
		CU_ASSERT(n[i] > KEYS / w.vertices * 9 / 10);
		CU_ASSERT(n[i] < KEYS / w.vertices * 11 / 10);
	}
	w_end();
}

/* Counts that differ from node to node turn no walk back. */
static void key_walks_end_whatever_the_counts(void)
{
	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 30, (unsigned)(seed % 20), 0);
		w_start(seed, 16, 16);
		w.lying_counts = true;
		for (unsigned i = 0; i < 200; i++)
			CU_ASSERT(walk_key(i % w.vertices, w_random(), w.vertices) >= 0);
		w_end();
	}
}

static void send_to(unsigned node, uint64_t addr, uint32_t tag, uint16_t hops, size_t len)
{
	struct net_hdr hdr = { .proto = NET_PROTO_SESSION, .dst = addr, .dst_tag = tag,
			       .hops = hops,
			       .flow = 1 };

	(void)fwd_send(w_net(node), 0, &hdr, w_packet(len, 1), NULL, w.now);
}

static void delivery(void)
{
	struct pn_pkt *pkt;

	w_line(5);
	w_start(1, 16, 16);
	send_to(0, w.vertex[4].addr, w_net(4)->tag, 0, 1000);
	w_run(PN_MS(10));
	pkt = pn_pktq_pop(&w_net(4)->deliver);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pkt);
	CU_ASSERT_EQUAL(pkt->len, 1000);
	CU_ASSERT_EQUAL(pkt->data[0], 0x5a);
	CU_ASSERT_EQUAL(pkt->src, w.vertex[0].addr);
	CU_ASSERT_EQUAL(pkt->tag, w_net(0)->tag);
	CU_ASSERT_EQUAL(pkt->flow, 1);
	pn_pkt_put(&w.pool, pkt);
	/* to oneself, at once */
	net_send_addr(w_net(2), w.vertex[2].addr, w_net(2)->tag, w_packet(10, 3), w.now);
	CU_ASSERT_EQUAL(w_net(2)->deliver.count, 1);
	w_end();
}

static void errors_come_back(void)
{
	w_line(5);
	w_start(1, 16, 16);
	w_run(PN_S(2));
	/* not the one who has the address now */
	send_to(0, w.vertex[4].addr, w_net(4)->tag + 1, 0, 200);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(4, COUNT_fwd_gone), 1);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_gone), 1);
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, 0);
	/* the hop limit is counted by those between, not by the ends */
	send_to(0, w.vertex[4].addr, w_net(4)->tag, 3, 200);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(3, COUNT_fwd_hop_limit), 1);
	CU_ASSERT_EQUAL(w_count(3, COUNT_fwd_errors_sent), 1);
	send_to(0, w.vertex[4].addr, w_net(4)->tag, 4, 200);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, 1);
	/* too big further on, and here */
	w.node[2]->adj[1].pub.payload_max = 1280;
	w.node[2]->adj[0].pub.payload_max = 1280;
	send_to(0, w.vertex[4].addr, w_net(4)->tag, 0, 1249);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_too_big), 1);
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_errors_sent), 1);
	send_to(0, w.vertex[4].addr, w_net(4)->tag, 0, 1248);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_net(4)->deliver.count, 2);
	/* nobody there */
	send_to(0, UINT64_C(1) << 40, 1, 0, 200);
	CU_ASSERT_EQUAL(w_count(0, COUNT_fwd_no_route), 1);
	/* too small to be answered: 32 + 20 < 32 + 21 */
	send_to(0, w.vertex[4].addr, w_net(4)->tag + 1, 0, 20);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(4, COUNT_fwd_errors_limited), 1);
	CU_ASSERT_EQUAL(w_count(0, COUNT_peer_gone), 1);
	w_end();
}

/* A packet for an address that was ours goes on to whom it is meant for; one that
 * is still meant for us is taken. */
static void old_addresses(void)
{
	w_line(4);
	w_start(1, 16, 16);
	w.vertex[1].has_old = true;
	w.vertex[1].old_addr = w.vertex[3].addr;
	send_to(0, w.vertex[3].addr, w_net(3)->tag, 0, 100);
	send_to(0, w.vertex[3].addr, w_net(1)->tag, 0, 100);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_net(3)->deliver.count, 1);
	CU_ASSERT_EQUAL(w_net(1)->deliver.count, 1);
	w_end();
}

static void errors_are_limited(void)
{
	w_line(3);
	w_start(1, 16, 16);
	w_run(PN_S(2));
	for (unsigned i = 0; i < 1000; i++) {
		send_to(0, w.vertex[2].addr, 1, 0, 100);
		w_run(0);
	}
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_gone), 1000);
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_errors_sent), ERRORS_PER_SOURCE);
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_errors_limited), 1000 - ERRORS_PER_SOURCE);
	w_run(PN_S(1));
	send_to(0, w.vertex[2].addr, 1, 0, 100);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_errors_sent), ERRORS_PER_SOURCE + 1);
	w_end();
}

/* An error about an error is never sent, whatever is in it. */
static void no_error_about_an_error(void)
{
	struct net_hdr hdr = { .proto = NET_PROTO_ERROR, .dst_tag = 1, .hops = 2 };
	uint8_t payload[200] = { 0 };

	w_line(5);
	w_start(1, 16, 16);
	w_run(PN_S(2));
	hdr.dst = w.vertex[4].addr;
	CU_ASSERT_EQUAL(fwd_originate(w_net(0), 0, &hdr, payload, sizeof(payload), w.now), 0);
	w_run(PN_MS(10));
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_hop_limit), 1);
	CU_ASSERT_EQUAL(w_count(2, COUNT_fwd_errors_sent), 0);
	w_end();
}

/* The other way is taken when the best next hop is down. */
static void alternate(void)
{
	w_line(3);
	w.vertices = 4;                  /* 3 has two borders to the area of the others */
	w.vertex[3].node = 3;
	w_edge(0, 2);
	w_edge(3, 0);
	w_edge(3, 1);
	w_start(1, 16, 16);
	for (unsigned i = 0; i < 2; i++) {
		w.node[3]->adj[i].pub.up = false;
		send_to(3, w.vertex[2].addr, w_net(2)->tag, 0, 100);
		w_run(PN_MS(10));
		CU_ASSERT_EQUAL(w_net(2)->deliver.count, i + 1);
		w.node[3]->adj[i].pub.up = true;
	}
	/* one of the two was the best hop, the other one the alternate */
	CU_ASSERT(w_count(3, COUNT_fwd_alternate) + w_count(3, COUNT_fwd_shortcuts) >= 1);
	w_end();
}

/* Somebody in the middle is the best way to anywhere, as all believe, and leads back:
 * packets arrive all the same, each place is passed a few times at most, and soon it is
 * not even tried any more. */
static void circles_end(void)
{
	uint64_t steps[3] = { 0 };
	unsigned returns = 0, sent = 0, lost = 0;

	for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
		w_random_graph(seed, 40, 12, 0);
		w_start(seed, 16, 16);
		w.lure = 1 + (unsigned)(seed % w.nodes);
		for (unsigned k = 0; k < 3; k++) {
			uint64_t before = w.sent;

			for (unsigned u = 0; u < w.nodes; u++) {
				unsigned to = (u * 7 + 3) % w.nodes, had = w_net(to)->deliver.count;

				if (to == u)
					continue;
				send_to(u, w.vertex[to].addr, w_net(to)->tag, 0, 100);
				w_run(PN_MS(200));
				lost += w_net(to)->deliver.count != had + 1;
				sent++;
			}
			steps[k] += w.sent - before;
		}
		for (unsigned u = 0; u < w.nodes; u++) {
			returns += (unsigned)w_count(u, COUNT_circle_returns);
			CU_ASSERT_EQUAL(w_count(u, COUNT_fwd_hop_limit), 0);
		}
		w_end();
	}
	CU_ASSERT(returns > 100);
	CU_ASSERT(500 * lost < sent);    /* a way is held for bad just then */
	CU_ASSERT(steps[0] < 40 * (uint64_t)sent);
}

/* @hops: what is left of the limit when it comes to node 1 */
static bool is_back(uint32_t hash, uint16_t hops, uint8_t flags)
{
	struct net_hdr hdr = { .level = 9, .hops = hops, .flags = flags };
	uint32_t to, first;

	return circle_is_back(w_net(1), 0, &hdr, hash, &to, &first, w.now);
}

static void note(uint32_t hash, uint8_t flags)
{
	struct net_hdr hdr = { .level = 9, .hops = 100 };
	struct fwd_hop hop = { .verdict = FWD_SEND, .adj = 1, .level = 9, .flags = flags };

	circle_note(w_net(1), 0, &hdr, hash, &hop, w.now);
}

/* The detour of a packet to an address changes under way, the replica of a key does not; and who
 * is on a detour, and was not, has not gone round. */
static void a_detour_is_no_circle(void)
{
	struct net_hdr hdr = { .dst = 5, .src = 6, .level = 9, .hops = 50 };
	struct pn_pkt pkt = {0};
	uint32_t hash = circle_hash(&hdr, &pkt), to, first;

	hdr.detour = 7;
	CU_ASSERT_EQUAL(circle_hash(&hdr, &pkt), hash);
	hdr.flags = NET_HDR_F_KEY;
	CU_ASSERT_NOT_EQUAL(circle_hash(&hdr, &pkt), hash);
	hdr.flags = 0;
	w_line(3);
	w_start(1, 16, 16);
	note(5, 0);
	CU_ASSERT(is_back(5, 50, 0));
	CU_ASSERT(!circle_is_back(w_net(1), 0, &hdr, 5, &to, &first, w.now));
	w_end();
}

/* A packet of ours left by neighbour 1 and is back.  Return: whether what it used is shunned now */
static bool shunned_after_return(uint32_t hash)
{
	note(hash, 0);
	CU_ASSERT(is_back(hash, 50, 0));
	return circle_shuns(w_net(1), route_sibling_line(w_net(1), 0, 0), 1);
}

/* Would what came back be sent that way again? */
static bool ruled_out(void)
{
	struct fwd_hop hop = { .verdict = FWD_SEND, .adj = 1, .level = 1 };

	circle_rule_out(w_net(1), 0, &hop, w.now);
	return hop.verdict == FWD_NO_ROUTE;
}

/* News of a way that is none may be under way yet; if it does not come the way is shunned. */
static void who_goes_round_is_suspected_first(void)
{
	w_line(3);
	w_start(1, 16, 16);
	CU_ASSERT(!ruled_out());
	CU_ASSERT(!shunned_after_return(5));
	CU_ASSERT(ruled_out());
	w_run(PATIENCE_NS - PN_MS(2));
	CU_ASSERT(!shunned_after_return(7));
	w_run(PN_MS(4));
	CU_ASSERT(shunned_after_return(9));
	w_run(HOLD_NS);
	circle_expire(w_net(1), w.now);
	w_run(SUSPECT_NS);
	CU_ASSERT(!ruled_out());
	CU_ASSERT(shunned_after_return(11));     /* again: at once, */
	w_run(2 * HOLD_NS);
	circle_expire(w_net(1), w.now);
	w_run(FORGET_NS);
	CU_ASSERT(!shunned_after_return(13));    /* until it is forgotten */
	w_end();
}

/* Node @u would send what came back by @from to @a, which is suspected.  Return: where it goes instead;
 * -1: nowhere */
static int instead_of(unsigned u, unsigned level, int a, int from)
{
	struct fwd_hop hop = { .verdict = FWD_SEND, .adj = (uint32_t)a, .level = (uint8_t)level,
			       .sibling = (uint8_t)level };

	circle_rule_out(w_net(u), (uint32_t)from, &hop, w.now);
	CU_ASSERT_EQUAL(!!(hop.flags & NET_HDR_F_PLAIN), hop.verdict == FWD_SEND);
	return hop.verdict == FWD_SEND ? (int)hop.adj : -1;
}

/* What came back takes the second route, but not back to where it came from, nor one that is
 * suspected as well. */
static void the_second_route_is_taken(void)
{
	unsigned tried = 0;

	w_random_graph(3, 20, 40, 0);
	w_start(3, 16, 16);
	for (unsigned u = 0; u < w.nodes; u++)
		for (unsigned level = 1; level < w.vertex[u].height; level++) {
			int a = route_hop(w_net(u), 0, level, 0), b;

			b = a < 0 ? -1 : route_alternate(w_net(u), 0, level, a);
			if (b < 0)
				continue;
			tried++;
			blame(w_net(u), 0, level, (uint32_t)a, w.now);
			CU_ASSERT_EQUAL(instead_of(u, level, a, a), b);
			CU_ASSERT_EQUAL(instead_of(u, level, a, b), -1);
			blame(w_net(u), 0, level, (uint32_t)b, w.now);
			CU_ASSERT_EQUAL(instead_of(u, level, a, a), -1);
		}
	CU_ASSERT(tried > 20);
	w_end();
}

/* Who makes packets come back for more areas than there is room for is shunned for some. */
static void suspects_do_not_push_out(void)
{
	uint32_t shunned = 0;

	w_line(3);
	w_start(1, 16, 16);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned level = 0; level < 40; level++) {
			w_vertex(w_net(1), 0)->dist[level] = 1;
			blame(w_net(1), 0, level, 1, w.now);
		}
		w_run(PN_MS(100));
	}
	for (unsigned level = 0; level < 40; level++)
		shunned += circle_shuns(w_net(1), route_sibling_line(w_net(1), 0, level), 1);
	CU_ASSERT(shunned >= w_net(1)->circle->shun_mask / 2);
	w_end();
}

/* The neighbour has been moved to another facet of ours meanwhile. */
static void a_shun_ends_where_it_stands(void)
{
	w_line(3);
	w_start(1, 16, 16);
	shun(w_net(1), ALL, 0, HOLD_NS, w.now);
	CU_ASSERT(circle_shuns(w_net(1), ALL, 0));
	CU_ASSERT_EQUAL(w.shun_facet, 0);
	adj_at(w_net(1), 0)->facet = 3;
	circle_expire(w_net(1), pn_time_add(w.now, 2 * HOLD_NS));
	CU_ASSERT(!circle_shuns(w_net(1), ALL, 0));
	CU_ASSERT_EQUAL(w.shun_facet, 3);
	adj_at(w_net(1), 0)->facet = 0;
	w_end();
}

/* An entry has its place for a moment, and then until somebody else wants it. */
static void the_table_gives_way(void)
{
	w_line(3);
	w_start(1, 16, 16);
	w_net(1)->circle->mask = 0;
	note(5, 0);
	w_run(SEEN_KEEP_NS / 2);
	note(7, 0);
	CU_ASSERT(!is_back(7, 50, 0));
	CU_ASSERT(is_back(5, 50, 0));
	w_run(LIFE_NS / 2);
	CU_ASSERT(is_back(5, 50, 0));
	note(7, 0);
	CU_ASSERT(is_back(7, 50, 0));
	CU_ASSERT(!is_back(5, 50, 0));
	w_end();
}

/* Who left by a part and is back for the sibling route has not gone round. */
static void plain_is_no_circle(void)
{
	w_line(3);
	w_start(1, 16, 16);
	note(5, 0);
	CU_ASSERT(!is_back(5, 50, NET_HDR_F_PLAIN));
	CU_ASSERT(is_back(5, 50, 0));
	note(7, NET_HDR_F_PLAIN);
	CU_ASSERT(is_back(7, 50, NET_HDR_F_PLAIN));
	w_end();
}

/* The same packet again over the same way is not a circle. */
static void repetition_is_no_circle(void)
{
	w_line(6);
	w_start(1, 16, 16);
	for (unsigned i = 0; i < 4; i++) {
		send_to(0, w.vertex[5].addr, w_net(5)->tag, 0, 100);
		w_run(PN_MS(50));
	}
	CU_ASSERT_EQUAL(w_net(5)->deliver.count, 4);
	for (unsigned u = 0; u < w.nodes; u++)
		CU_ASSERT_EQUAL(w_count(u, COUNT_circle_returns), 0);
	w_end();
}

static void next_hop(void)
{
	uint8_t id[PN_ID_LEN], level = NET_LEVEL_ANY, flags = 0;
	uint16_t facet = 9;

	w_line(4);
	w_start(1, 16, 16);
	CU_ASSERT_EQUAL(net_next_hop(w_net(0), 0, w.vertex[0].addr, &level, &flags, 0, id,
				     &facet), 1);
	CU_ASSERT_EQUAL(net_next_hop(w_net(0), 0, w.vertex[3].addr, &level, &flags, 0, id,
				     &facet), 0);
	CU_ASSERT_EQUAL(memcmp(id, w_net(1)->id, PN_ID_LEN), 0);
	CU_ASSERT_EQUAL(facet, 0);
	CU_ASSERT(level < NET_LEVEL_ANY);
	level = NET_LEVEL_ANY;
	CU_ASSERT_EQUAL(net_next_hop(w_net(0), 0, 1u << 20, &level, &flags, 0, id,
				     &facet), PN_EUNREACH);
	w_end();
}

static CU_TestInfo tests[] = {
	{ "header", header },
	{ "errors on the wire", errors_on_the_wire },
	{ "all pairs arrive", all_pairs },
	{ "shortcuts shorten", shortcuts_shorten },
	{ "parts end", parts_end },
	{ "lies end", lies_end },
	{ "plain until it is nearer", plain_until_nearer },
	{ "detours rise", detours_rise },
	{ "key walks meet", key_walks_meet },
	{ "key walks pass hubs", key_walks_pass_hubs },
	{ "key load follows size", key_load },
	{ "key walks end whatever the counts", key_walks_end_whatever_the_counts },
	{ "delivery", delivery },
	{ "errors come back", errors_come_back },
	{ "old addresses", old_addresses },
	{ "errors are limited", errors_are_limited },
	{ "no error about an error", no_error_about_an_error },
	{ "alternate", alternate },
	{ "circles end", circles_end },
	{ "repetition is no circle", repetition_is_no_circle },
	{ "a detour is no circle", a_detour_is_no_circle },
	{ "the table of packets gives way", the_table_gives_way },
	{ "who goes round is suspected first", who_goes_round_is_suspected_first },
	{ "the second route is taken", the_second_route_is_taken },
	{ "suspects do not push out who is shunned", suspects_do_not_push_out },
	{ "a shun ends where its neighbour stands by then", a_shun_ends_where_it_stands },
	{ "the other kind of route is no circle", plain_is_no_circle },
	{ "next hop", next_hop },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_fwd;
CU_SuiteInfo suite_fwd = { .pName = "fwd", .pTests = tests };
