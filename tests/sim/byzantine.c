/* SPDX-License-Identifier: ISC */
/* Byzantine nodes.
 *
 * Theory of operation
 *
 * pnsim is linked with ld's --wrap for the few functions through which all that a
 * node hears and says must go: calls from one file of the network layer to them
 * arrive here first.  A wrapper asks whose call it is (a node is known by its
 * identity), and unless that node is Byzantine and has turned passes it on as it
 * is.  So a Byzantine node has all keys, adjacencies and tables of an honest one,
 * and the honest ones run unchanged code.
 *
 *	drop	packets in transit are thrown away, except those of the tree's own
 *		protocol.  A packet is judged by its header, as it must be, since its
 *		payload is sealed: whatever looks like a session, an echo, an error
 *		or a lookup goes.  Lookups for which the node would be the anchor are
 *		in transit too: it does not answer them.
 *	others	see byz_lies.c and byz_again.c
 */
#include "tests/sim/byz_int.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include "pnstackd/net/fwd.h"

#include <math.h>

#define LIES 16			/* messages that a liar tells again each second */

/* The one run that there is; sim is NULL when nobody is Byzantine. */
static struct {
	struct sim *sim;
	uint8_t *kind;		/* of each node */
	uint32_t chosen[BYZ_KINDS]; /* so many nodes */
	uint64_t turn_ns[BYZ_KINDS];
	struct rng rng;
	uint64_t acts;
} byz;

static const char *const kind_names[BYZ_KINDS] = {
	[BYZ_HONEST] = "honest",
	[BYZ_DROP] = "drop",
	[BYZ_METRICS] = "metrics",
	[BYZ_CHEAP] = "cheap",
	[BYZ_CLAIM] = "claim",
	[BYZ_FORGE] = "forge",
	[BYZ_REPLAY] = "replay",
};

const char *byz_kind_name(enum byz_kind kind)
{
	return kind_names[kind];
}

bool byz_parse(struct byz_config *cfg, const char *text)
{
	struct byz_group g = { .at_s = -1 };
	const char *colon = strchr(text, ':');
	unsigned kind;
	char *end;

	if (!colon || cfg->count == BYZ_GROUPS_MAX)
		return false;
	for (kind = BYZ_HONEST + 1; kind < BYZ_KINDS; kind++)
		if (strlen(kind_names[kind]) == (size_t)(colon - text) &&
		    !memcmp(kind_names[kind], text, (size_t)(colon - text)))
			break;
	g.kind = (enum byz_kind)kind;
	g.share = strtod(colon + 1, &end);
	if (kind == BYZ_KINDS || end == colon + 1 || !(g.share >= 0 && g.share <= 1))
		return false;
	if (*end == '@') {
		const char *at = end + 1;

		g.at_s = strtod(at, &end);
		if (end == at || !(g.at_s >= 0 && g.at_s <= 1e6))
			return false;
	}
	if (*end)
		return false;
	cfg->group[cfg->count++] = g;
	return true;
}

/* --- who ------------------------------------------------------------------ */

static void group_choose(const struct byz_group *g)
{
	uint32_t n = byz.sim->topo->node_count, left = (uint32_t)lround(g->share * n), node;

	if (g->share > 0 && left == 0)
		left = 1;
	while (left > 0) {
		uint32_t i, honest = 0;

		for (i = 0; i < n; i++)
			honest += byz.kind[i] == BYZ_HONEST;
		if (honest == 0)
			return;
		do
			node = (uint32_t)rng_below(&byz.rng, n);
		while (byz.kind[node] != BYZ_HONEST);
		byz.kind[node] = (uint8_t)g->kind;
		byz.chosen[g->kind]++;
		left--;
	}
}

void byz_start(struct sim *sim, const struct byz_config *cfg)
{
	uint32_t i;

	memset(&byz, 0, sizeof(byz));
	if (cfg->count == 0)
		return;
	byz.sim = sim;
	byz.kind = sim_calloc(sim->topo->node_count, sizeof(*byz.kind));
	again_start(sim->topo->node_count);
	rng_init(&byz.rng, sim->cfg.seed, "byzantine");
	memset(byz.turn_ns, 0xff, sizeof(byz.turn_ns));
	for (i = 0; i < cfg->count; i++) {
		const struct byz_group *g = &cfg->group[i];

		group_choose(g);
		if (g->at_s >= 0)
			byz.turn_ns[g->kind] = sim_time(g->at_s).ns;
	}
}

void byz_end(void)
{
	if (byz.sim)
		again_end();
	free(byz.kind);
	memset(&byz, 0, sizeof(byz));
}

void byz_turn(void)
{
	unsigned k;

	for (k = 0; byz.sim && k < BYZ_KINDS; k++)
		byz.turn_ns[k] = pn_min(byz.turn_ns[k], byz.sim->now.ns);
}

enum byz_kind byz_kind_of(uint32_t node)
{
	return byz.sim ? (enum byz_kind)byz.kind[node] : BYZ_HONEST;
}

bool byz_drops(void)
{
	return byz.sim && byz.chosen[BYZ_DROP] > 0;
}

static bool expelled(uint32_t by, uint32_t dropper)
{
	uint8_t id[PN_ID_LEN];
	uint64_t left_ns;
	size_t i;

	if (byz_kind_of(dropper) != BYZ_DROP || !sim_node_live(byz.sim, by))
		return false;
	for (i = 0; net_expelled_at(byz.sim->nodes[by].net, i, id, &left_ns,
				    sim_clock(byz.sim, by)); i++)
		if (memcmp(id, byz.sim->nodes[dropper].id, PN_ID_LEN) == 0)
			return true;
	return false;
}

bool byz_parted(uint32_t edge)
{
	const uint32_t *node;

	if (!byz_drops())
		return false;
	node = byz.sim->edges[edge].node;
	return expelled(node[0], node[1]) || expelled(node[1], node[0]);
}

uint64_t byz_parted_links(void)
{
	uint64_t digest = 0;
	uint32_t i;

	for (i = 0; byz_drops() && i < byz.sim->edge_count; i++)
		if (sim_edge_usable(byz.sim, i) && byz_parted(i))
			digest = (digest ^ (i + 1)) * 0x100000001b3; /* as FNV */
	return digest;
}

bool byz_lies(void)
{
	unsigned k;

	for (k = BYZ_DROP + 1; byz.sim && k < BYZ_KINDS; k++)
		if (byz.chosen[k] > 0 && byz.turn_ns[k] <= byz.sim->now.ns)
			return true;
	return false;
}

uint64_t byz_acts(void)
{
	return byz.acts;
}

/* What a node is, turned or not */
static enum byz_kind kind_of_net(const struct net *net)
{
	uint32_t node = byz.sim ? sim_node_find(byz.sim, net->id) : UINT32_MAX;

	return node == UINT32_MAX ? BYZ_HONEST : (enum byz_kind)byz.kind[node];
}

enum byz_kind byz_now(const struct net *net)
{
	enum byz_kind kind = kind_of_net(net);

	return kind != BYZ_HONEST && byz.turn_ns[kind] <= byz.sim->now.ns ? kind : BYZ_HONEST;
}

struct rng *byz_rng(void)
{
	return &byz.rng;
}

void byz_act(void)
{
	byz.acts++;
}

uint32_t byz_node(const struct net *net)
{
	return sim_node_find(byz.sim, net->id);
}

uint64_t byz_time(void)
{
	return byz.sim->now.ns;
}

/* --- what they do ----------------------------------------------------------- */

/* Is it a packet of others that a dropper throws away? */
static bool drops(struct net *net, uint32_t adj, const struct pn_pkt *pkt, struct pn_time now)
{
	const struct adj_pub *a = adj_at(net, adj);
	struct net_hdr hdr;

	if (!a || net_hdr_parse(&hdr, pkt->data, pkt->len) < 0)
		return false;
	if (hdr.proto != NET_PROTO_SESSION && hdr.proto != NET_PROTO_ECHO &&
	    hdr.proto != NET_PROTO_ERROR && hdr.proto != NET_PROTO_LOOKUP)
		return false;
	return (hdr.flags & NET_HDR_F_KEY) ||
	       facet_of_addr(net, a->facet, hdr.dst, hdr.dst_tag, now) < 0;
}

/* --- wrappers -------------------------------------------------------------------- */

WRAP(void, fwd_on_packet, struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	enum byz_kind kind = byz_now(net);
	struct pn_pkt *again = NULL;
	uint32_t over = adj;

	if (kind == BYZ_DROP && drops(net, adj, pkt, now)) {
		byz_act();
		pn_pkt_put(net->pool, pkt);
		return;
	}
	if (kind == BYZ_REPLAY)
		again = again_packet(net, &over, pkt);
	__real_fwd_on_packet(net, adj, pkt, now);
	if (again)
		__real_fwd_on_packet(net, over, again, now);
}

WRAP(int, adj_ctl_send, struct net *net, uint32_t adj, const uint8_t *msg, size_t len,
     struct pn_time now)
{
	enum byz_kind kind = byz_now(net);
	uint8_t buf[ADJ_CTL_MAX];
	size_t n = 0;
	int rc;

	if (lies_kind(kind))
		n = lies_edit(net, kind, msg, len, buf);
	if (lies_about(kind_of_net(net), msg, len))
		again_told(net, adj, msg, len);
	if (n > 0)
		return __real_adj_ctl_send(net, adj, buf, n, now);
	if (kind == BYZ_REPLAY)
		n = again_message(net, adj, msg, len, buf);
	rc = __real_adj_ctl_send(net, adj, msg, len, now);
	if (n > 0 && rc == 0 && adj_ctl_ready(net, adj, now))
		(void)__real_adj_ctl_send(net, adj, buf, n, now);
	return rc;
}

WRAP(void, adj_soft_send, struct net *net, uint32_t adj, const uint8_t *msg, size_t len,
     struct pn_time now)
{
	uint8_t buf[ADJ_CTL_MAX];
	size_t n = byz_now(net) == BYZ_CLAIM ? lies_edit_join(msg, len, buf) : 0;

	__real_adj_soft_send(net, adj, msg, len, now);
	if (n > 0)
		__real_adj_soft_send(net, adj, buf, n, now);
}

WRAP(int, fwd_originate, struct net *net, uint16_t facet, struct net_hdr *hdr,
     const uint8_t *payload, size_t len, struct pn_time now)
{
	uint8_t buf[PN_MTU_MIN - NET_HDR_LEN];
	size_t n;

	if (byz_now(net) != BYZ_FORGE || hdr->proto != NET_PROTO_LOOKUP || len > sizeof(buf))
		return __real_fwd_originate(net, facet, hdr, payload, len, now);
	n = again_answer(net, payload, len, buf, sizeof(buf));
	return n ? __real_fwd_originate(net, facet, hdr, buf, n, now) : 0;
}

WRAP(int, fwd_relay, struct net *net, uint16_t facet, struct net_hdr *hdr,
     const uint8_t *payload, size_t len, struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = hdr->src,
				.dst_tag = hdr->src_tag, .flow = hdr->flow };
	uint8_t buf[PN_MTU_MIN - NET_HDR_LEN];
	size_t n;

	if (byz_now(net) != BYZ_FORGE)
		return __real_fwd_relay(net, facet, hdr, payload, len, now);
	n = again_query(payload, len, buf, sizeof(buf));
	return n ? __real_fwd_originate(net, facet, &back, buf, n, now) : 0;
}

WRAP(void, adj_input, struct net *net, struct pn_pkt *pkt, struct pn_time now)
{
	if (byz_now(net) == BYZ_REPLAY)
		again_frame(net, pkt);
	__real_adj_input(net, pkt, now);
}

static void lie(struct net *net, struct pn_time now)
{
	uint8_t msg[ADJ_CTL_MAX], buf[ADJ_CTL_MAX];
	unsigned i;

	for (i = 0; i < LIES; i++) {
		uint32_t adj = 0;
		size_t len = again_tell(net, &adj, msg);
		size_t n = len ? lies_edit(net, byz_now(net), msg, len, buf) : 0;

		if (n > 0 && adj_at(net, adj) && adj_ctl_ready(net, adj, now))
			(void)__real_adj_ctl_send(net, adj, buf, n, now);
	}
}

void byz_tick(void)
{
	uint32_t i;

	for (i = 0; byz.sim && i < byz.sim->topo->node_count; i++) {
		enum byz_kind kind = (enum byz_kind)byz.kind[i];

		if (!lies_kind(kind) || !sim_node_live(byz.sim, i) ||
		    byz.turn_ns[kind] > byz.sim->now.ns)
			continue;
		lie(byz.sim->nodes[i].net, sim_clock(byz.sim, i));
		sim_node_pump(byz.sim, i);
	}
}
