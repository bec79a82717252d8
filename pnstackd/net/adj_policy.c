/* SPDX-License-Identifier: ISC */
/* Who may be a neighbour: the configured list, and who is expelled for a while.  A node
 * that was expelled is told so, or it would go on to count on us until we are silent
 * for long enough; and since identities cost nothing, more than that is not tried. */
#include "pnstackd/net/adj_int.h"

#include <string.h>

bool adj_allowed(const struct net *net, const uint8_t id[PN_ID_LEN])
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->allowed_count; i++)
		if (memcmp(t->allowed[i], id, PN_ID_LEN) == 0)
			return true;
	return t->allow_all;
}

uint64_t adj_expelled_ns(const struct net *net, const uint8_t id[PN_ID_LEN], struct pn_time now)
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->expelled_max; i++)
		if (pn_time_before(now, t->expelled[i].until) &&
		    memcmp(t->expelled[i].id, id, PN_ID_LEN) == 0)
			return pn_time_until(now, t->expelled[i].until);
	return 0;
}

bool net_expelled_at(const struct net *net, size_t index, uint8_t id[PN_ID_LEN],
		     uint64_t *left_ns, struct pn_time now)
{
	for (uint32_t i = 0; i < net->adjs->expelled_max; i++) {
		const struct expelled *e = &net->adjs->expelled[i];

		if (!pn_time_before(now, e->until) || index-- > 0)
			continue;
		memcpy(id, e->id, PN_ID_LEN);
		*left_ns = pn_time_until(now, e->until);
		return true;
	}
	return false;
}

/* The entry of @id, or the one that ends soonest. */
static struct expelled *expelled_slot(struct adj_table *t, const uint8_t id[PN_ID_LEN])
{
	struct expelled *soonest = &t->expelled[0];

	for (uint32_t i = 0; i < t->expelled_max; i++) {
		if (memcmp(t->expelled[i].id, id, PN_ID_LEN) == 0)
			return &t->expelled[i];
		if (pn_time_before(t->expelled[i].until, soonest->until))
			soonest = &t->expelled[i];
	}
	return soonest;
}

void adj_expel(struct net *net, uint32_t adj, uint64_t ns, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	struct expelled *e;
	uint8_t id[PN_ID_LEN];

	PN_ASSERT(pub_of(net, adj)->up);
	PN_ASSERT(pub_of(net, adj)->kind != ADJ_INTERNAL);
	memcpy(id, pub_of(net, adj)->id, PN_ID_LEN);
	e = expelled_slot(t, id);
	memcpy(e->id, id, PN_ID_LEN);
	e->until = pn_time_add(now, ns);
	count(net, adj_expelled);
	for (uint32_t i = 0; i < t->used; i++) {
		if (t->pub[i].kind == ADJ_INTERNAL || !t->a[i].id_known ||
		    memcmp(t->pub[i].id, id, PN_ID_LEN) != 0)
			continue;
		if (t->a[i].state == ADJ_UP) {
			ctlq_goodbye(net, i, NET_ERR_EXPELLED);
			adj_go_down(net, i, NET_ERR_EXPELLED, now);
		} else if (t->a[i].state == ADJ_PENDING ||
			   (t->a[i].state == ADJ_DIAL && !t->a[i].is_static)) {
			adj_end(net, i, now);
		}
		hs_forget(&t->a[i]);    /* a response on its way finds nothing */
	}
}
