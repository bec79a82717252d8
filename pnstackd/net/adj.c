/* SPDX-License-Identifier: ISC */
/* Adjacencies: the table.
 *
 * Theory of operation
 *
 * An adjacency is a neighbour on a link, from the handshake until one side
 * leaves or goes silent.  Entries live in one array; the index is the handle
 * that the rest of the network layer uses.  What others may read of an entry
 * (struct adj_pub) lies in an array of its own, so that walks over all
 * neighbours touch few cache lines.
 *
 * The states are told in adj_int.h.  The only doors are adj_promote(), which
 * makes the session NEXT the current one, and adj_go_down().  Sessions have two
 * random "instance" numbers, one of each side, exchanged inside the handshake.
 * If a new session has the instances of the current one, keys were renewed and
 * nobody above notices.  If not, the neighbour (or we) has started anew: the
 * old adjacency goes down with NET_ERR_REPLACED and a new one comes up, with
 * all sequence numbers reset.
 *
 * An entry that ends is never freed at once, because a caller up the stack may
 * stand in the middle of it: it is marked ADJ_ENDED, and its timer, which is
 * due immediately, collects it in net_expire().
 *
 * Who may be a neighbour: anybody, or the identities of the list, and in a
 * closed network only who knows the secret.  Nothing is kept for a stranger
 * before his handshake opened.
 *
 * Adjacencies between two facets of this node ("internal") are entries without
 * sessions.  Messages between them are queued and handed over at the end of
 * net_input() or net_expire(), so that no module is ever entered twice.
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

/* Its smaller tables */
static void tables_carve(struct adj_table *t, struct arena *a, const struct net_config *cfg)
{
	uint32_t seen_max = net_limit(cfg->seen_max, SEEN_DEFAULT);

	PN_ASSERT((seen_max & (seen_max - 1)) == 0);
	t->station_max = net_limit(cfg->station_max, STATIONS_DEFAULT);
	PN_ASSERT(t->station_max <= UINT16_MAX);
	t->seen_mask = seen_max - 1;
	t->expelled_max = net_limit(cfg->expelled_max, EXPELLED_DEFAULT);
	t->redirect_max = (uint32_t)pn_min(t->station_max, REDIRECT_MAX);
	t->window_words = REPLAY_WORDS(net_limit(cfg->replay_max, REPLAY_DEFAULT));
	t->stations = arena_take(a, t->station_max, sizeof(*t->stations));
	t->ring = arena_take(a, t->station_max, sizeof(*t->ring));
	t->allowed = arena_take(a, pn_max(cfg->allowed_count, 1), PN_ID_LEN);
	t->seen = arena_take(a, seen_max, sizeof(*t->seen));
	t->expelled = arena_take(a, t->expelled_max, sizeof(*t->expelled));
	t->redirects = arena_take(a, t->redirect_max, sizeof(*t->redirects));
	t->windows = arena_take(a, (size_t)cfg->adj_max * t->window_words, sizeof(*t->windows));
}

void adj_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	struct adj_table *taken = arena_take(a, 1, sizeof(*taken)), sizing = { 0 };
	struct adj_table *t = taken ? taken : &sizing;

	PN_ASSERT(cfg->adj_max > 0);
	PN_ASSERT(cfg->adj_max <= ADJ_TABLE_MAX);
	t->max = cfg->adj_max;
	t->link_max = (uint32_t)pn_min(net_limit(cfg->link_max, NET_LINK_MAX), NET_LINK_MAX);
	t->a = arena_take(a, t->max, sizeof(*t->a));
	t->pub = arena_take(a, t->max, sizeof(*t->pub));
	t->links = arena_take(a, t->link_max, sizeof(*t->links));
	tables_carve(t, a, cfg);
	net->adjs = taken;
}

void adj_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	bool ok = crypto_ciphers_init(&t->ciphers);

	PN_ASSERT(ok);		/* a libcrypto without AES-GCM or ChaCha20 is no libcrypto */
	t->allow_all = !cfg->allowed;
	t->allowed_count = cfg->allowed ? cfg->allowed_count : 0;
	if (t->allowed_count)
		memcpy(t->allowed, cfg->allowed, (size_t)t->allowed_count * PN_ID_LEN);
	t->has_secret = cfg->has_secret;
	if (cfg->has_secret)
		memcpy(t->secret, cfg->secret, sizeof(t->secret));
	t->caps = (crypto_has_aes() ? NOISE_CAP_AES : 0) | (cfg->leaf ? NOISE_CAP_LEAF : 0);
	noise_mac1_key(t->mac1_key, net->id);
	noise_cookie_key(t->cookie_key, net->id);
	t->cookie_until = PN_TIME_ZERO;
	t->hs_window = now;
	pn_pktq_init(&t->internal_q);
	for (uint32_t i = 0; i < t->link_max; i++)
		timer_init(&t->links[i].timer, TIMER_LINK, i);
}

static void release(struct net *net, struct adj *a)
{
	ctlq_reset(net, a);
	split_drop(net, a, true, net->now);
	for (int s = 0; s < SESSIONS; s++)
		session_wipe(&a->sess[s]);
	hs_forget(a);
}

void adj_fini(struct net *net)
{
	struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++)
		release(net, &t->a[i]);
	pn_pktq_drain(&t->internal_q, net->pool);
	crypto_ciphers_fini(&t->ciphers);
	crypto_wipe(t->secret, sizeof(t->secret));
	crypto_wipe(t->cookie_secret, sizeof(t->cookie_secret));
}

/* Entries ------------------------------------------------------------------- */

uint32_t adj_alloc(struct net *net, int link, const struct pn_lladdr *ll)
{
	struct adj_table *t = net->adjs;
	uint32_t i = 0;
	struct adj *a;

	while (i < t->used && (t->a[i].state != ADJ_FREE || t->a[i].dirty))
		i++;
	if (i == t->max) {
		count(net, adj_full);
		return ADJ_NONE;
	}
	a = &t->a[i];
	if (i == t->used) {
		t->used++;
		timer_init(&a->timer, TIMER_ADJ, i);
	}
	PN_ASSERT(!pn_heap_has(&a->timer.e));
	memset(a, 0, sizeof(*a));
	memset(&t->pub[i], 0, sizeof(t->pub[i]));
	timer_init(&a->timer, TIMER_ADJ, i);
	replay_init(&a->replay, t->windows + (size_t)i * t->window_words, t->window_words);
	pn_pktq_init(&a->ctl_q);
	a->hs_next = PN_TIME_NEVER;
	a->collect_at = PN_TIME_NEVER;
	a->unwanted_at = PN_TIME_NEVER;
	t->pub[i].index = i;
	t->pub[i].link = link;
	t->pub[i].cost = NET_COST_UNIT;
	t->pub[i].payload_max = PN_MTU_MIN;
	if (ll)
		a->ll = *ll;
	if (link >= 0)
		cap_init(&a->cap, &link_of(net, link)->cfg);
	if (link >= 0)
		t->pub[i].kind = link_of(net, link)->cfg.kind == NET_LINK_ETHERNET ?
				 ADJ_ETHERNET : ADJ_TUNNEL;
	return i;
}

static void adj_free(struct net *net, uint32_t i)
{
	struct adj_table *t = net->adjs;
	struct adj *a = &t->a[i];

	timer_set(net, &a->timer, PN_TIME_NEVER);
	release(net, a);
	a->state = ADJ_FREE;
	while (t->used && t->a[t->used - 1].state == ADJ_FREE && !t->a[t->used - 1].dirty)
		t->used--;
}

void adj_end(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	PN_ASSERT(a->state != ADJ_FREE);
	PN_ASSERT(!pub_of(net, i)->up);
	a->state = ADJ_ENDED;
	release(net, a);
	timer_set(net, &a->timer, now);
}

void adj_set_id(struct net *net, uint32_t i, const uint8_t id[PN_ID_LEN])
{
	struct adj_pub *p = pub_of(net, i);

	memcpy(p->id, id, PN_ID_LEN);
	net_identity_hit(p->id, p->hit);
	adj_of(net, i)->id_known = true;
}

uint32_t adj_find_id(const struct net *net, int link, const uint8_t id[PN_ID_LEN])
{
	const struct adj_table *t = net->adjs;
	uint32_t found = ADJ_NONE;

	/* one that is up is preferred: a static peer may have dialled us, too */
	for (uint32_t i = 0; i < t->used; i++) {
		if (t->pub[i].link != link || t->pub[i].kind == ADJ_INTERNAL ||
		    t->a[i].state == ADJ_FREE || t->a[i].state == ADJ_ENDED)
			continue;
		if (!t->a[i].id_known || memcmp(t->pub[i].id, id, PN_ID_LEN) != 0)
			continue;
		if (t->a[i].state == ADJ_UP)
			return i;
		if (found == ADJ_NONE)
			found = i;
	}
	return found;
}

uint32_t adj_find_ll(const struct net *net, int link, const struct pn_lladdr *ll)
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++) {
		const struct adj *a = &t->a[i];

		if (t->pub[i].link != link || t->pub[i].kind == ADJ_INTERNAL ||
		    a->state == ADJ_FREE || a->state == ADJ_ENDED)
			continue;
		if (pn_lladdr_equal(&a->ll, ll) ||
		    (a->is_static && pn_lladdr_equal(&a->dial_ll, ll)))
			return i;
	}
	return ADJ_NONE;
}

uint32_t adj_pick_local(struct net *net, uint32_t i)
{
	const struct adj *a = adj_of(net, i);
	uint32_t local;
	bool taken;

	do {
		local = (uint32_t)net_random_u64(net) << 16 | i;
		taken = local >> 16 == 0 || (a->hs.active && a->hs.local_index == local);
		for (int s = 0; s < SESSIONS; s++)
			taken |= a->sess[s].local == local;
	} while (taken);
	return local;
}

/* Up and down ----------------------------------------------------------------- */

static void neighbour_event(struct net *net, uint32_t i, enum net_event_kind kind,
			    enum net_err why)
{
	const struct adj_pub *p = pub_of(net, i);
	struct net_event *ev = net_event_push(net, kind);

	ev->link = p->link;
	ev->reason = why;
	memcpy(ev->id, p->id, PN_ID_LEN);
	memcpy(ev->hit, p->hit, PN_HIT_LEN);
	ev->ll = adj_of(net, i)->ll;
}

static void came_up(struct net *net, uint32_t i, uint64_t rtt_ns, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct adj_pub *p = pub_of(net, i);
	uint32_t whole = a->sess[CUR].mtu - FRAME_OVERHEAD;

	a->state = ADJ_UP;
	a->collect_at = PN_TIME_NEVER;
	p->payload_max = (uint32_t)pn_min(pn_max(whole, PN_MTU_MIN), PN_PKT_MAX);
	p->leaf = a->sess[CUR].leaf;
	p->facet = 0;
	p->peer_facet = 0;
	a->rx_packets = a->rx_bytes = a->tx_packets = a->tx_bytes = 0;
	live_start(net, i, rtt_ns, now);
	p->up = true;
	net->adjs->up_count++;
	count(net, adj_up);
	neighbour_event(net, i, NET_EV_NEIGHBOUR_UP, NET_ERR_NONE);
	p->shortcut = p->kind == ADJ_ETHERNET && !a->sess[CUR].tree;
	net->adjs->short_count += p->shortcut;
	if (p->kind == ADJ_ETHERNET)
		ring_on_up(net, i, now);
	if (!p->shortcut)
		ctl_on_adj_up(net, i, now);
}

void adj_to_tree(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj_pub *p = pub_of(net, i);

	PN_ASSERT(p->up);
	PN_ASSERT(p->shortcut);
	p->shortcut = false;
	net->adjs->short_count--;
	ctl_on_adj_up(net, i, now);
}

/* The part of going down that a replacement does, too. */
static void went_down(struct net *net, uint32_t i, enum net_err why, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	PN_ASSERT(a->state == ADJ_UP);
	PN_ASSERT(net->adjs->up_count > 0);
	pub_of(net, i)->up = false;
	net->adjs->up_count--;
	net->adjs->short_count -= pub_of(net, i)->shortcut;
	ctlq_reset(net, a);
	split_drop(net, a, true, now);
	session_wipe(&a->sess[CUR]);
	session_wipe(&a->sess[PREV]);
	count(net, adj_down);
	neighbour_event(net, i, NET_EV_NEIGHBOUR_DOWN, why);
	ctl_on_adj_down(net, i, why, now);
}

/* The same neighbour on the same link in another entry: a static peer and its own
 * call to us, or a station whose address changed.  The newer one stays. */
static void replace_twins(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	for (uint32_t k = 0; k < t->used; k++) {
		if (k == i || t->pub[k].link != t->pub[i].link || !t->a[k].id_known ||
		    memcmp(t->pub[k].id, t->pub[i].id, PN_ID_LEN) != 0)
			continue;
		if (t->a[k].state == ADJ_UP)
			adj_go_down(net, k, NET_ERR_REPLACED, now);
		else if (t->a[k].state == ADJ_PENDING && !t->a[k].is_static)
			adj_end(net, k, now);
	}
}

static struct replay_old replay_shrink(const struct replay *r)
{
	struct replay_old old = { .top = r->top };

	for (unsigned k = 0; k < 64; k++)
		if (k > r->top || !replay_is_new(r, r->top - k))
			old.seen |= UINT64_C(1) << k;
	return old;
}

void adj_promote(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct session *s = a->sess;
	uint64_t rtt_ns;

	PN_ASSERT(s[NEXT].local != 0);
	rtt_ns = pn_time_since(now, s[NEXT].initiator ? a->hs_sent : a->response_sent);
	hs_forget(a);
	a->hs_tries = 0;
	a->hs_next = PN_TIME_NEVER;
	a->ll = a->next_ll;
	if (a->state == ADJ_UP && s[NEXT].instance == s[CUR].instance &&
	    s[NEXT].peer_instance == s[CUR].peer_instance) {
		session_wipe(&s[PREV]);
		s[PREV] = s[CUR];
		a->replay_prev = replay_shrink(&a->replay);
		replay_init(&a->replay, a->replay.seen, a->replay.words);
		s[CUR] = s[NEXT];
		memset(&s[NEXT], 0, sizeof(s[NEXT]));
		a->prev_until = pn_time_add(now, PREV_NS);
		a->hello_now = true;
		count(net, rekeys);
		ctlq_mark(net, i);
		live_rearm(net, i, now);
		return;
	}
	if (a->state == ADJ_UP)
		went_down(net, i, NET_ERR_REPLACED, now);
	replace_twins(net, i, now);
	s[CUR] = s[NEXT];
	memset(&s[NEXT], 0, sizeof(s[NEXT]));
	replay_init(&a->replay, a->replay.seen, a->replay.words);
	came_up(net, i, rtt_ns, now);
}

void adj_go_down(struct net *net, uint32_t i, enum net_err why, struct pn_time now)
{
	struct adj *a = adj_of(net, i);

	went_down(net, i, why, now);
	release(net, a);
	if (why == NET_ERR_TIMEOUT) {
		link_hurry(net, pub_of(net, i)->link, now);
		ring_on_silent(net, i, PN_S(2), now);
	}
	if (why == NET_ERR_TIMEOUT || why == NET_ERR_CARRIER)
		live_change(net, now);
	if (!a->is_static) {
		adj_end(net, i, now);
		return;
	}
	a->state = ADJ_DIAL;
	a->ll = a->dial_ll;
	a->id_known = a->want_id;
	a->hs_tries = 0;
	/* a twin took its place, or the neighbour left: no hurry.  Else it may have given up many */
	a->hs_next = why == NET_ERR_TIMEOUT ?
		pn_time_add(now, PN_MS(100) + net_random_u64(net) % PN_MS(200)) :
		pn_time_add(now, PN_S(1) + net_random_u64(net) % PN_S(1));
	if (!link_of(net, pub_of(net, i)->link)->carrier)
		a->hs_next = PN_TIME_NEVER;
	timer_set(net, &a->timer, a->hs_next);
}

void adj_auth_event(struct net *net, int link, const struct pn_lladdr *ll, enum net_err reason,
		    struct pn_time now)
{
	struct link *l = link_of(net, link);
	struct net_event *ev;

	if (pn_time_before(now, l->event_at))
		return;
	l->event_at = pn_time_add(now, EVENT_EVERY_NS);
	ev = net_event_push(net, NET_EV_AUTH_FAILED);
	ev->link = link;
	ev->ll = *ll;
	ev->reason = reason;
}

void adj_goodbye(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	t->leaving = true;
	for (uint32_t i = 0; i < t->used; i++) {
		if (t->a[i].state == ADJ_FREE || t->pub[i].kind == ADJ_INTERNAL)
			continue;
		if (t->a[i].state == ADJ_UP)
			ctlq_goodbye(net, i, NET_ERR_GOODBYE);
		t->pub[i].up = false;
		t->a[i].is_static = false;
		if (t->a[i].state == ADJ_UP)
			ctl_on_adj_down(net, i, NET_ERR_GOODBYE, now);
		if (t->a[i].state != ADJ_ENDED)
			adj_end(net, i, now);
	}
	for (uint32_t l = 0; l < t->link_max; l++)
		timer_set(net, &t->links[l].timer, PN_TIME_NEVER);
}

/* What the rest of the layer sees --------------------------------------------- */

uint32_t adj_count(const struct net *net)
{
	return net->adjs->used;
}

struct adj_pub *adj_at(struct net *net, uint32_t index)
{
	struct adj_table *t = net->adjs;

	return index < t->used && t->pub[index].up ? &t->pub[index] : NULL;
}

const struct adj_pub *adj_peek(const struct net *net, uint32_t index)
{
	const struct adj_table *t = net->adjs;

	/* still so in ctl_on_adj_down() */
	return index < t->used && t->a[index].state == ADJ_UP ? &t->pub[index] : NULL;
}

/* A frame that is not sealed; borrowed. */
static void plain_input(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	switch (pkt->data[0]) {
	case FRAME_HELLO:
		link_on_hello(net, pkt, now);
		break;
	case FRAME_INIT:
		hs_on_init(net, pkt, now);
		break;
	case FRAME_RESPONSE:
		hs_on_response(net, pkt, now);
		break;
	case FRAME_COOKIE:
		hs_on_cookie(net, pkt, now);
		break;
	case FRAME_SOLICIT:
		link_on_solicit(net, pkt, now);
		break;
	case FRAME_ANNOUNCE:
		link_on_announce(net, pkt, now);
		break;
	default:
		count(net, rx_unknown_type);
		break;
	}
}

void adj_input(struct net *net, struct pn_pkt *pkt, struct pn_time now)
{
	count(net, rx_frames);
	if (net->adjs->leaving || pkt->link < 0 || (uint32_t)pkt->link >= net->adjs->link_max ||
	    !link_of(net, pkt->link)->used) {
		count(net, rx_no_adjacency);
		goto put;
	}
	if (pkt->len < FRAME_HDR_LEN) {
		count(net, rx_runt);
		goto put;
	}
	if (pkt->len > FRAME_MAX) {
		count(net, rx_too_long);
		goto put;
	}
	switch (pkt->data[0]) {
	case FRAME_DATA:
	case FRAME_CONTROL:
		seal_on_frame(net, pkt, now);
		return;
	case FRAME_SPLIT:
		seal_on_split(net, pkt, now);
		return;
	default:
		break;
	}
	if (pkt->data[1] == NOISE_VERSION)
		plain_input(net, pkt, now);
	else
		count(net, rx_bad_version);
put:
	pn_pkt_put(net->pool, pkt);
}

/* Internal adjacencies ---------------------------------------------------------- */

int adj_internal_add(struct net *net, uint16_t facet_a, uint16_t facet_b)
{
	uint32_t end[2];

	end[0] = adj_alloc(net, -1, NULL);
	if (end[0] == ADJ_NONE)
		return PN_EFULL;
	adj_of(net, end[0])->state = ADJ_UP;
	end[1] = adj_alloc(net, -1, NULL);
	if (end[1] == ADJ_NONE) {
		adj_free(net, end[0]);
		return PN_EFULL;
	}
	adj_of(net, end[1])->state = ADJ_UP;
	for (int k = 0; k < 2; k++) {
		struct adj_pub *p = pub_of(net, end[k]);

		p->kind = ADJ_INTERNAL;
		p->up = true;
		p->cost = 0;
		p->payload_max = PN_PKT_MAX;
		p->facet = k ? facet_b : facet_a;
		p->peer_facet = k ? facet_a : facet_b;
		p->internal_peer = end[!k];
		memcpy(p->id, net->id, PN_ID_LEN);
		memcpy(p->hit, net->hit, PN_HIT_LEN);
		adj_of(net, end[k])->hs_instance = net_random_u64(net);
	}
	return (int)end[0];
}

void adj_internal_del(struct net *net, uint32_t adj)
{
	struct adj_pub *p = pub_of(net, adj);
	uint32_t end[2] = { adj, p->internal_peer };

	PN_ASSERT(p->kind == ADJ_INTERNAL);
	for (int k = 0; k < 2; k++) {
		pub_of(net, end[k])->up = false;
		adj_end(net, end[k], net->now);
	}
}

/* Looking in ------------------------------------------------------------------------ */

bool net_neighbour_at(const struct net *net, size_t index, struct net_neighbour *out,
		      struct pn_time now)
{
	const struct adj_table *t = net->adjs;

	for (uint32_t i = 0; i < t->used; i++) {
		const struct adj_pub *p = &t->pub[i];
		const struct adj *a = &t->a[i];

		if (!p->up || p->kind == ADJ_INTERNAL || index-- > 0)
			continue;
		memset(out, 0, sizeof(*out));
		memcpy(out->id, p->id, PN_ID_LEN);
		out->link = p->link;
		out->ll = a->ll;
		out->facet = p->facet;
		out->peer_facet = p->peer_facet;
		out->same_network = neighbour_addr(net, i, &out->addr);
		out->cost = p->cost;
		out->leaf = p->leaf;
		out->shortcut = p->shortcut;
		out->rtt_ns = a->srtt_ns;
		out->up_ns = pn_time_since(now, a->up_at);
		out->rx_packets = a->rx_packets;
		out->rx_bytes = a->rx_bytes;
		out->tx_packets = a->tx_packets;
		out->tx_bytes = a->tx_bytes;
		out->hint = a->hint;
		return true;
	}
	return false;
}

/* adj_collect() is the last thing that happens to an entry. */
void adj_collect(struct net *net, uint32_t i)
{
	PN_ASSERT(adj_of(net, i)->state == ADJ_ENDED);
	adj_free(net, i);
}
