/* SPDX-License-Identifier: ISC */
/* station.c - what the host knows of one station of a link: that it is gone (carrier, for a
 * link that stands for many cables), or that nothing can be sent to it just now */
#include "pnstackd/net/adj_int.h"

void net_link_station_down(struct net *net, int link,
			   const struct pn_lladdr *ll, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	uint32_t i;

	net->now = now;
	for (i = 0; i < t->used; i++) {
		struct adj *a = &t->a[i];

		if (t->pub[i].link != link || t->pub[i].kind == ADJ_INTERNAL ||
		    !pn_lladdr_equal(&a->ll, ll))
			continue;
		if (a->state == ADJ_UP)
			adj_go_down(net, i, NET_ERR_CARRIER, now);
		else if (a->state == ADJ_PENDING || (a->state == ADJ_DIAL && !a->is_static))
			adj_end(net, i, now);
	}
}

void net_link_unsent(struct net *net, int link, const struct pn_lladdr *ll, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	net->now = now;
	count(net, tx_unsent);
	for (uint32_t i = 0; i < t->used; i++)
		if (t->pub[i].link == link && t->pub[i].kind != ADJ_INTERNAL &&
		    t->a[i].state == ADJ_UP && (!ll->len || pn_lladdr_equal(&t->a[i].ll, ll)))
			live_on_unsent(net, i, now);
}
