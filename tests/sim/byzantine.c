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
 */
#include "tests/sim/byzantine.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include "pnstackd/net/fwd.h"

#include <math.h>

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

/* What the node that makes a call is at this moment */
static enum byz_kind kind_now(const struct net *net)
{
	uint32_t node;

	if (!byz.sim)
		return BYZ_HONEST;
	node = sim_node_find(byz.sim, net->id);
	if (node == UINT32_MAX || byz.kind[node] == BYZ_HONEST ||
	    byz.turn_ns[byz.kind[node]] > byz.sim->now.ns)
		return BYZ_HONEST;
	return (enum byz_kind)byz.kind[node];
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

/* What ld calls the wrapped function, and the wrapper */
void __real_fwd_on_packet(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now);
void __wrap_fwd_on_packet(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now);

void __wrap_fwd_on_packet(struct net *net, uint32_t adj, struct pn_pkt *pkt, struct pn_time now)
{
	if (kind_now(net) == BYZ_DROP && drops(net, adj, pkt, now)) {
		byz.acts++;
		pn_pkt_put(net->pool, pkt);
		return;
	}
	__real_fwd_on_packet(net, adj, pkt, now);
}
