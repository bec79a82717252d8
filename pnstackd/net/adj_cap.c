/* SPDX-License-Identifier: ISC */
/* The share of a link that control traffic may take.
 *
 * Theory of operation
 *
 * A token bucket for each Ethernet, and for each tunnel (the many tunnels of one
 * listener have nothing in common).  It is filled at the configured rate, or 2 % of
 * the link's, or NET_CONTROL_BPS, and holds CAP_BURST bytes, enough for a start or
 * for a neighbour that comes back.
 *
 * Every sealed control frame is charged, with the header of the link.  Hello records and
 * acknowledgements go out whether there is anything in the bucket or not: they are few
 * and small, and without them the adjacency dies; what they overdraw is bounded.  While
 * it is empty reliable messages wait (what waits is state that is sent when its turn
 * comes, not a queue: gossip.c), and soft ones are dropped and counted.  Handshakes and
 * multicast hellos have limits of their own (adj_hs.c, adj_ring.c) and are not charged.
 * Packets are not control traffic, whatever they carry.
 */
#include "pnstackd/net/adj_int.h"

static uint64_t cap_bps(const struct net_link_config *cfg)
{
	uint64_t rate = cfg->rate_bps;

	if (cfg->control_bps)
		return cfg->control_bps;
	if (!rate && cfg->kind == NET_LINK_ETHERNET)
		rate = NET_ETHERNET_BPS;
	return pn_max(rate / 50, NET_CONTROL_BPS);
}

void cap_init(struct cap *c, const struct net_link_config *cfg)
{
	c->byte_ns = pn_max(PN_S(8) / cap_bps(cfg), 1);
	c->full_at = PN_TIME_ZERO;
}

static struct cap *cap_of(const struct net *net, uint32_t i)
{
	struct link *l = link_of(net, pub_of(net, i)->link);

	return l->cfg.kind == NET_LINK_ETHERNET ? &l->cap : &adj_of(net, i)->cap;
}

void cap_charge(struct net *net, uint32_t i, size_t len, struct pn_time now)
{
	struct link *l = link_of(net, pub_of(net, i)->link);
	struct cap *c = cap_of(net, i);

	len += l->cfg.kind == NET_LINK_ETHERNET ? HDR_ETHERNET : HDR_UDP_IP;
	l->control.bytes += len;
	if (pn_time_before(c->full_at, now))
		c->full_at = now;
	c->full_at = pn_time_min(pn_time_add(c->full_at, len * c->byte_ns),
				 pn_time_add(now, 2 * CAP_BURST * c->byte_ns));
}

struct pn_time cap_wait(const struct net *net, uint32_t i, struct pn_time now)
{
	const struct cap *c = cap_of(net, i);
	uint64_t ahead = pn_time_until(now, c->full_at), burst = CAP_BURST * c->byte_ns;

	return ahead <= burst ? now : pn_time_add(now, ahead - burst);
}

bool net_link_control(const struct net *net, int link, struct net_link_control *out)
{
	const struct link *l;

	if (link < 0 || (uint32_t)link >= net->adjs->link_max)
		return false;
	l = link_of(net, link);
	if (!l->used)
		return false;
	*out = l->control;
	out->bps = cap_bps(&l->cfg);
	return true;
}
