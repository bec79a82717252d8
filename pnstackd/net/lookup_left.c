/* SPDX-License-Identifier: ISC */
/* lookup_left.c - telling the places that we left where we are now
 *
 * Theory of operation
 *
 * Who moves is in other small areas then, and the records that the anchors of the old ones
 * keep would lead those who ask there astray for minutes.  So each anchor of a small
 * area that we left is sent our newest record, for the whole network, straight to its
 * address, a few times until it acknowledges.  If it has an older record of ours it keeps the new
 * one instead, for a minute, as a hint for those who look for us at the old place.  Both are
 * near where we were, or at our new place: nobody else hears of it.
 *
 * Packets that are on their way to the old address may still find us: at that address, for a
 * while, or by a neighbour of before who knows our tag (fwd.c).  Their source is sent our record
 * too (MOVED), if it is not longer than the packet was.  It is believed because it is
 * signed and newer, and only by those who talk to us. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/peer.h"

#define LEFT_TRIES 4
#define SAY_NS PN_MS(300)            /* doubled at each attempt */
#define SAY_FOR_NS PN_S(30)          /* while there is no way to it */

void left_area(struct net *net, const struct registration *reg, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint64_t prefix;

	if (!reg->anchor || reg->anchor_tag == net->tag ||
	    addr_prefix(net, reg->area, reg->base, &prefix))
		return;                  /* nobody asks there, or we are there yet */
	lk->left[lk->left_at++ % LOOKUP_LEFT] =
		(struct left){ .tries = LEFT_TRIES, .anchor = reg->anchor,
			       .tag = reg->anchor_tag, .next_try = now,
			       .until = pn_time_add(now, SAY_FOR_NS) };
}

struct pn_time left_next(const struct net *net)
{
	const struct lookup *lk = net->lookup;
	struct pn_time at = PN_TIME_NEVER;

	for (unsigned i = 0; i < LOOKUP_LEFT; i++) {
		if (lk->left[i].tries > 0)
			at = pn_time_min(at, lk->left[i].next_try);
	}
	return at;
}

static void left_send(struct net *net, struct left *l, const uint8_t *raw, size_t len,
		      struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_LOOKUP, .dst = l->anchor, .dst_tag = l->tag };
	uint8_t buf[LOOKUP_PAYLOAD_MAX];
	struct pn_wr w;

	l->cookie = net_random_u64(net);
	l->next_try = pn_time_add(now, SAY_NS << (LEFT_TRIES - l->tries));
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_STORE);
	pn_wr_u8(&w, 0);
	pn_wr_u8(&w, LOOKUP_F_LEFT);
	pn_wr_u32(&w, HINT_NS / PN_MS(1));
	pn_wr_u64(&w, l->cookie);
	pn_wr_bytes(&w, raw, len);
	PN_ASSERT(pn_wr_ok(&w));
	count(net, lookup_left);
	/* No way there: perhaps we are cut off for a moment. */
	if (fwd_originate(net, 0, &hdr, buf, w.len, now) == 0 || pn_time_due(l->until, now))
		l->tries--;
}

void left_expire(struct net *net, struct pn_time now)
{
	struct lookup *lk = net->lookup;
	uint8_t raw[ADDR_RECORD_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < LOOKUP_LEFT; i++) {
		struct left *l = &lk->left[i];

		if (l->tries == 0 || !pn_time_due(l->next_try, now))
			continue;
		if (len == 0)
			len = own_record(net, 0, NULL, raw, sizeof(raw));
		if (len > 0)
			left_send(net, l, raw, len, now);
		else                     /* our own network is being put together */
			l->next_try = pn_time_add(now, SAY_NS);
	}
}

bool left_on_stored(struct net *net, uint64_t cookie)
{
	struct lookup *lk = net->lookup;

	for (unsigned i = 0; i < LOOKUP_LEFT; i++) {
		/* told for the last time, it may have none left */
		if (lk->left[i].anchor && lk->left[i].cookie == cookie) {
			lk->left[i] = (struct left){ 0 };
			return true;
		}
	}
	return false;
}

/* Those who talk to us -------------------------------------------------------- */

void lookup_tell_moved(struct net *net, const struct net_hdr *hdr, size_t room,
		       struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = hdr->src,
				.dst_tag = hdr->src_tag, .flow = hdr->flow };
	uint8_t buf[1 + ADDR_RECORD_MAX];
	size_t len = own_record(net, 0, NULL, buf + 1, sizeof(buf) - 1);

	buf[0] = LOOKUP_MOVED;
	if (len == 0 || NET_HDR_LEN + 1 + len > room)
		return;
	count(net, lookup_moved);
	(void)fwd_originate(net, 0, &back, buf, 1 + len, now);
}

void lookup_on_moved(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		     struct pn_time now)
{
	if (!limit_take(&net->lookup->stores, hdr->src, now))
		count(net, lookup_limited);
	else if (net_peer_update(net, rd->at, pn_rd_left(rd), now) < 0)
		count(net, lookup_bad);
}
