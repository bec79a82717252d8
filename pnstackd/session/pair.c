/* SPDX-License-Identifier: ISC */
/* One connection per pair of identities, and what the two tell each other.
 *
 * Theory of operation: connections whose peer is known (dialled, or proved by
 * the handshake) are chained by HIT.  There can be two at a time:
 *
 * - Both dialled at once.  The one dialled by the lower identity is kept; on the
 *   other, "redundant", no new streams start, and it closes when it has none.
 *   Streams that still wait for a handshake take whichever is up first.
 * - The peer was restarted and dials again, while we still hold the old one.  A
 *   node never dials twice, so the old one is dead: its streams are reset.
 *
 * The hello message, a datagram frame sent when a connection comes up and
 * whenever our address changes, and again when it is lost:
 *
 *	type  DG_HELLO                                     1 byte
 *	nonce random, the same until the node restarts     8
 *	token reset token of the sender's first id        16
 *	len   of the record                                2
 *	record the sender's signed address record        len
 *
 * The record goes to the network layer, which from then on can reach the peer
 * wherever it moves; until then we answer to where its packets come from. */
#include "pnstackd/session/session_internal.h"

#include "libpeernet/base/bytes.h"

static uint64_t hit_key(const uint8_t hit[PN_HIT_LEN])
{
	uint64_t k;

	memcpy(&k, &hit[PN_HIT_LEN - sizeof(k)], sizeof(k));
	return k;
}

static struct conn *chain(struct session_set *set, const uint8_t hit[PN_HIT_LEN])
{
	uint32_t i = map_get(&set->by_hit, hit_key(hit));

	return i == UINT32_MAX ? NULL : &set->conns[i];
}

static bool same_peer(const struct conn *c, const uint8_t hit[PN_HIT_LEN])
{
	return !memcmp(c->hit, hit, PN_HIT_LEN);
}

void pair_add(struct conn *c)
{
	uint64_t key = hit_key(c->hit);

	if (c->in_pairs)
		return;
	c->pair_next = chain(c->set, c->hit);
	if (c->pair_next)
		map_set(&c->set->by_hit, key, c->index);
	else
		PN_ASSERT(map_put(&c->set->by_hit, key, c->index));
	c->in_pairs = true;
}

void pair_del(struct conn *c)
{
	uint64_t key = hit_key(c->hit);
	struct conn *o;

	if (!c->in_pairs)
		return;
	c->in_pairs = false;
	o = chain(c->set, c->hit);
	PN_ASSERT(o);
	if (o == c) {
		if (c->pair_next)
			map_set(&c->set->by_hit, key, c->pair_next->index);
		else
			map_del(&c->set->by_hit, key);
		return;
	}
	while (o->pair_next != c)
		o = o->pair_next;
	o->pair_next = c->pair_next;
}

/* The better of two for new streams: one that is up; of two, the kept one. */
static bool better(const struct conn *a, const struct conn *b)
{
	if (!b || a->state != b->state)
		return !b || a->state == CONN_UP;
	return !a->redundant && b->redundant;
}

struct conn *pair_find(struct session_set *set, const uint8_t hit[PN_HIT_LEN])
{
	struct conn *best = NULL;

	for (struct conn *c = chain(set, hit); c; c = c->pair_next)
		if (same_peer(c, hit) && better(c, best))
			best = c;
	return best;
}

struct conn *pair_get(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN])
{
	struct conn *c = pair_find(set, hit);

	return c ? c : conn_dial(set, id, hit);
}

static const uint8_t *dialler(const struct conn *c)
{
	return c->server ? c->id : c->set->id;
}

/* What of the pair's other connections must end because @c is up; NULL: none */
static struct conn *replaced_by(struct conn *c)
{
	for (struct conn *o = chain(c->set, c->hit); o; o = o->pair_next) {
		if (o == c || !same_peer(o, c->hit))
			continue;
		/* the peer dialled again: it knows nothing of the old one */
		if (o->state == CONN_UP && o->server && c->server)
			return o;
		/* ours is under way, but the peer's would be kept anyway */
		if (o->state == CONN_HANDSHAKE && !o->server && c->server &&
		    memcmp(c->id, c->set->id, PN_ID_LEN) < 0)
			return o;
	}
	return NULL;
}

void pair_on_up(struct conn *c)
{
	struct conn *o;

	pair_add(c);
	if (same_peer(c, c->set->hit))
		return;	/* a session with ourselves has both its ends here */
	for (o = chain(c->set, c->hit); o; o = o->pair_next) {
		if (o == c || !same_peer(o, c->hit))
			continue;
		if (o->state == CONN_HANDSHAKE)
			stream_move_waiting(o, c);
		if (o->state != CONN_UP || o->server == c->server)
			continue;
		if (memcmp(dialler(o), dialler(c), PN_ID_LEN) < 0)
			c->redundant = true;
		else
			o->redundant = true;
		o->active = c->active = c->set->now;
		conn_touch(o);
	}
	while ((o = replaced_by(c)) != NULL) {
		if (o->state == CONN_UP)
			count(c->set, CNT_RESTARTED);
		else
			count(c->set, CNT_CLOSED_REDUNDANT);
		conn_close(o, WIRE_REDUNDANT, PN_ERESET, true);
	}
}

/* --- hello ------------------------------------------------------------------------- */

void hello_on_up(struct conn *c)
{
	c->hello_id++;
	c->hello_tries = 0;
	c->hello_pending = true;
	conn_touch(c);
}

/* It was lost.  ngtcp2 does not report each loss, so there is a timer, too. */
void hello_again(struct conn *c)
{
	c->hello_at = PN_TIME_NEVER;
	if (c->hello_tries < HELLO_TRIES)
		c->hello_pending = true;
}

size_t hello_build(struct conn *c, uint8_t *buf, size_t cap)
{
	uint8_t token[TOKEN_LEN], record[NET_RECORD_MAX];
	size_t len = net_own_record(c->set->net, record, sizeof(record));
	struct pn_wr w;

	reset_token(c->set, c->first_scid, SCID_LEN, token);
	pn_wr_init(&w, buf, cap);
	pn_wr_u8(&w, DG_HELLO);
	pn_wr_u64(&w, c->set->nonce);
	pn_wr_bytes(&w, token, sizeof(token));
	pn_wr_u16(&w, len);
	pn_wr_bytes(&w, record, len);
	return pn_wr_ok(&w) ? w.len : 0;
}

/* An older connection with an earlier life of the peer; NULL if there is none */
static struct conn *former_life(struct conn *c)
{
	for (struct conn *o = chain(c->set, c->hit); o; o = o->pair_next)
		if (o != c && same_peer(o, c->hit) && o->state == CONN_UP && o->hello_seen &&
		    o->peer_nonce != c->peer_nonce && !pn_time_before(c->born, o->born))
			return o;
	return NULL;
}

/* Called by ngtcp2 while it reads, so other connections may end here, but not @c. */
void hello_parse(struct conn *c, const uint8_t *data, size_t len)
{
	const uint8_t *token, *record;
	uint64_t nonce;
	struct pn_rd r;
	struct conn *o;
	size_t n;

	pn_rd_init(&r, data, len);
	pn_rd_u8(&r);
	nonce = pn_rd_u64(&r);
	token = pn_rd_bytes(&r, TOKEN_LEN);
	n = pn_rd_u16(&r);
	record = pn_rd_bytes(&r, n);
	if (!pn_rd_finish(&r) || n > NET_RECORD_MAX) {
		count(c->set, CNT_HELLO_BAD);
		return;
	}
	if (!c->hello_seen)
		conn_token_add(c, token);
	c->hello_seen = true;
	c->peer_nonce = nonce;
	if (n && net_peer_update(c->set->net, record, n, c->set->now) == 0) {
		if (c->peer) {
			c->use_addr = false;
			c->mtu = net_peer_mtu(c->set->net, c->peer);
		}
	} else if (n) {
		count(c->set, CNT_HELLO_BAD);
	}
	while ((o = former_life(c)) != NULL) {
		count(c->set, CNT_RESTARTED);
		conn_close(o, 0, PN_ERESET, false);
	}
}

/* --- the network layer's news ---------------------------------------------------------- */

static void on_peer_failed(struct conn *c, enum net_err reason)
{
	if (c->state == CONN_UP) {
		/* perhaps it still is where its last packet came from */
		c->use_addr = c->addr_known;
		c->addr_until = pn_time_add(c->set->now, BY_ADDR_NS);
	} else if (c->state == CONN_HANDSHAKE && !c->server) {
		c->unreach = true;
		if (reason == NET_ERR_UNKNOWN)
			conn_close(c, 0, PN_EUNREACH, false);
	}
}

static void on_peer_event(struct conn *c, const struct net_event *ev)
{
	switch (ev->kind) {
	case NET_EV_PEER_RESOLVED:
		c->unreach = false;
		if (c->state == CONN_UP)
			c->use_addr = false;
		break;
	case NET_EV_PEER_FAILED:
		on_peer_failed(c, ev->reason);
		return;
	default:
		break;
	}
	c->mtu = net_peer_mtu(c->set->net, c->peer);
	conn_touch(c);
}

void pair_on_net_event(struct session_set *set, const struct net_event *ev)
{
	bool of_peer = ev->kind == NET_EV_PEER_RESOLVED || ev->kind == NET_EV_PEER_FAILED ||
		       ev->kind == NET_EV_PEER_MTU;

	if (!of_peer && ev->kind != NET_EV_ADDRESS)
		return;
	for (uint32_t i = 0; i < set->cfg.session_max; i++) {
		struct conn *c = &set->conns[i];

		if (!c->qc)
			continue;
		if (of_peer && c->peer && c->peer == ev->peer)
			on_peer_event(c, ev);
		else if (!of_peer && c->state == CONN_UP)
			hello_on_up(c);
	}
}
