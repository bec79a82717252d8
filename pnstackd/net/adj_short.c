/* SPDX-License-Identifier: ISC */
/* Shortcuts: one hop to a station of the same Ethernet that is no neighbour.
 *
 * Theory of operation
 *
 * A packet for a station of this LAN goes along the neighbours of the ring
 * (adj_ring.c), up to log2 n hops over the same wire.  Whoever forwards it back
 * onto the wire that it came from, to the station whose address it is for, tells
 * the one it came from, in a record of its own:
 *
 *   REDIRECT  address 8 | identity 32 | length of the station's address 1 | that
 *
 * One that only relays, too, keeps this, and tells it on in the same way when the
 * next packet comes.  So it reaches, in as many packets as there were hops, the
 * station where the packets enter the LAN, and that makes a session with the
 * destination: a shortcut, an adjacency that carries data and is in no tree.  Over
 * it the stations tell each other their address with each hello:
 *
 *   ADDRESS   facet 2 | address 8 | root area 8
 *
 * A shortcut is used for packets to that address only, and only if a redirect named
 * the same identity for it: neither a station that claims somebody's address nor a
 * relay that lies can draw packets alone, and the identity is proven by the
 * handshake.  All that a false redirect can cause is a handshake, of which there are
 * a bounded number; and a station that moved tells its new address, to which no
 * redirect belongs.
 *
 * A shortcut without data for SHORT_IDLE_NS is closed by ring_close().
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

#define REDIRECT_NS      PN_S(10)      /* believed for so long */
#define REDIRECT_EVERY_NS PN_MS(50)    /* told to one neighbour */
#define SHORT_MAX        48            /* shortcuts that we start, on one link */
#define SHORT_DIAL_NS    PN_MS(20)     /* between two of them */

static struct redirect *redirect_find(struct net *net, int link, uint64_t dst, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->redirect_max; i++)
		if (t->redirects[i].dst == dst && t->redirects[i].link == link &&
		    pn_time_before(now, t->redirects[i].until))
			return &t->redirects[i];
	return NULL;
}

/* Return: the entry of @dst, or the one that ends first */
static struct redirect *redirect_slot(struct net *net, int link, uint64_t dst)
{
	struct adj_table *t = net->adjs;
	struct redirect *r = &t->redirects[0];

	for (uint32_t i = 0; i < t->redirect_max; i++) {
		if (t->redirects[i].dst == dst && t->redirects[i].link == link)
			return &t->redirects[i];
		if (pn_time_before(t->redirects[i].until, r->until))
			r = &t->redirects[i];
	}
	return r;
}

static void advise(struct net *net, uint32_t to, uint64_t dst, const uint8_t *id,
		   const struct pn_lladdr *ll, struct pn_time now)
{
	struct adj *a = adj_of(net, to);

	if (pn_time_before(now, a->advise_at) || memcmp(id, pub_of(net, to)->id, PN_ID_LEN) == 0)
		return;
	a->advise_at = pn_time_add(now, REDIRECT_EVERY_NS);
	ctlq_redirect(net, to, dst, id, ll);
	count(net, redirects);
}

static uint32_t shortcuts(const struct net *net, int link)
{
	const struct adj_table *t = net->adjs;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->used; i++)
		n += t->pub[i].link == link && t->pub[i].kind == ADJ_ETHERNET &&
		     ((t->a[i].state == ADJ_UP && t->pub[i].shortcut) ||
		      (t->a[i].state == ADJ_DIAL && !t->a[i].want));
	return n;
}

static void short_dial(struct net *net, struct redirect *r, struct pn_time now)
{
	struct link *l = link_of(net, r->link);
	uint32_t i = adj_find_id(net, r->link, r->id);
	struct adj *a;

	if (i != ADJ_NONE) {
		adj_of(net, i)->short_dst = r->dst;
		return;
	}
	if (pn_time_before(now, l->dial_at) || shortcuts(net, r->link) >= SHORT_MAX)
		return;
	l->dial_at = pn_time_add(now, SHORT_DIAL_NS);
	i = adj_alloc(net, r->link, &r->ll);
	if (i == ADJ_NONE)
		return;
	a = adj_of(net, i);
	a->state = ADJ_DIAL;
	a->short_dst = r->dst;
	adj_set_id(net, i, r->id);
	count(net, shortcuts_dialled);
	hs_initiate(net, i, now);
}

void adj_on_forward(struct net *net, uint32_t from, uint32_t to, uint64_t dst, struct pn_time now)
{
	const struct adj_pub *out = pub_of(net, to), *in;
	struct redirect *r = NULL;
	uint64_t addr;
	bool last;

	if (out->kind != ADJ_ETHERNET)
		return;
	last = neighbour_addr(net, to, &addr) && addr == dst;
	if (!last)
		r = redirect_find(net, out->link, dst, now);
	in = from < net->adjs->used ? pub_of(net, from) : NULL;
	if (in && in->up && in->kind == ADJ_ETHERNET && in->link == out->link) {
		if (last)
			advise(net, from, dst, out->id, &adj_of(net, to)->ll, now);
		else if (r)
			advise(net, from, dst, r->id, &r->ll, now);
	} else if (r) {
		short_dial(net, r, now);
	}
}

void short_on_redirect(struct net *net, uint32_t i, struct pn_rd *rd, struct pn_time now)
{
	const struct adj_pub *p = pub_of(net, i);
	uint64_t dst = pn_rd_u64(rd);
	const uint8_t *id = pn_rd_bytes(rd, PN_ID_LEN);
	struct pn_lladdr ll = { .len = pn_rd_u8(rd) };
	const uint8_t *b = pn_rd_bytes(rd, PN_LLADDR_MAC_LEN);
	struct redirect *r;

	if (rd->bad || ll.len != PN_LLADDR_MAC_LEN || (b[0] & 1) || p->kind != ADJ_ETHERNET) {
		count(net, rx_malformed);
		return;
	}
	if (memcmp(id, net->id, PN_ID_LEN) == 0 || !adj_allowed(net, id) ||
	    adj_expelled_ns(net, id, now))
		return;
	memcpy(ll.b, b, ll.len);
	r = redirect_slot(net, p->link, dst);
	*r = (struct redirect){ .dst = dst, .link = p->link, .ll = ll,
				.until = pn_time_add(now, REDIRECT_NS) };
	memcpy(r->id, id, PN_ID_LEN);
}

void short_on_address(struct net *net, uint32_t i, struct pn_rd *rd)
{
	struct adj_pub *p = pub_of(net, i);
	uint16_t facet = pn_rd_u16(rd);
	uint64_t addr = pn_rd_u64(rd), root = pn_rd_u64(rd);
	struct adj *a = adj_of(net, i);

	if (rd->bad || !p->shortcut)
		return;
	a->peer_addr = addr;
	a->peer_root = root;
	p->peer_facet = facet;
	p->facet = ctl_link_facet(net, p->link);
}

bool adj_shortcut_addr(const struct net *net, uint32_t i, uint64_t *addr)
{
	const struct adj_pub *p = pub_of(net, i);
	const struct adj *a = adj_of(net, i);

	if (!p->up || !p->shortcut || !a->peer_root || a->short_dst != a->peer_addr ||
	    a->peer_root != facet_root(net, p->facet))
		return false;
	*addr = a->peer_addr;
	return true;
}

uint32_t adj_shortcut_find(const struct net *net, uint64_t dst)
{
	const struct adj_table *t = net->adjs;
	uint64_t addr;

	for (uint32_t i = 0; t->short_count > 0 && i < t->used; i++)
		if (t->pub[i].shortcut && adj_shortcut_addr(net, i, &addr) && addr == dst)
			return i;
	return UINT32_MAX;
}

void adj_on_address(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++) {
		if (!t->pub[i].up || !t->pub[i].shortcut)
			continue;
		t->a[i].hello_now = true;
		ctlq_mark(net, i);
		live_rearm(net, i, now);
	}
}
