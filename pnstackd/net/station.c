/* SPDX-License-Identifier: ISC */
/* station.c - the host knows that one station of a link is gone: carrier, for a
 * link that stands for many cables */
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
