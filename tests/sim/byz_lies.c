/* SPDX-License-Identifier: ISC */
/* Lies in control messages.
 *
 * What a Byzantine node would say is read, changed and written anew; what it signs it
 * signs with its own key, since it has no other.
 *
 *	metrics	each route that it tells, also one that it has lost, costs nothing; those to
 *		parts of siblings as little as anybody believes
 *	cheap	the same, but it costs as little as can be: what costs nothing shows that it
 *		is a lie, since each link costs 1 at least
 *	claim	of the areas that it leads: another place in the parent, another parent,
 *		more nodes than there are, children that it does not have, a deputy
 *		that is none, a later epoch.  Now and then a record of somebody else is
 *		changed too: its signature no longer fits.  Join messages are sent
 *		again with another meaning.
 *
 * Each message is changed with some probability only: a chain that is wrong in all
 * places is disbelieved as a whole, and does less harm.
 */
#include "tests/sim/byz_int.h"

#include "pnstackd/net/ctl_int.h"

#include <string.h>

#define ROUTE_REST 22		/* bytes of a sibling route that follow the metric */
#define METRIC_LEAST 2		/* from somebody else's border over a link to here */

static uint64_t unread;

uint64_t byz_unread(void)
{
	return unread;
}

static bool chance(unsigned percent)
{
	return rng_below(byz_rng(), 100) < percent;
}

static void claim_own(const struct net *net, struct rec *r)
{
	switch (rng_below(byz_rng(), 7)) {
	case 0:
		r->bit ^= r->parent != 0;
		break;
	case 1:
		r->count = (uint8_t)(r->count + 8 + rng_below(byz_rng(), 64));
		break;
	case 2:
		if (r->parent)
			r->parent = rng_u64(byz_rng()) | 1;
		break;
	case 3:
		if (r->base > 0)
			r->child[rng_below(byz_rng(), 2)] = (struct rec_child){
				.id = rng_u64(byz_rng()) | 1, .leader = rng_u64(byz_rng()) | 1,
				.count = 64 };
		break;
	case 4:
		r->deputy = rng_u64(byz_rng()) | 1;
		break;
	case 5:
		r->epoch += 1 + (uint32_t)rng_below(byz_rng(), 1000);
		break;
	default:
		if (r->top != NET_TOP_NONE && r->top < REC_LEVEL_MAX)
			r->top++;
		break;
	}
	rec_sign(net, r);
}

/* A record: SET has been read */
static bool edit_set(const struct net *net, enum byz_kind kind, struct pn_rd *rd, struct pn_wr *w)
{
	uint8_t slot = pn_rd_u8(rd);
	struct rec r;

	if (rec_parse(rd, &r))
		return false;
	if (kind == BYZ_CLAIM && !memcmp(r.leader_id, net->id, PN_ID_LEN) && chance(40)) {
		claim_own(net, &r);
		byz_act();
	} else if (kind == BYZ_CLAIM && chance(2)) {
		r.bit ^= r.parent != 0;
		r.seq++;
		byz_act();
	}
	pn_wr_u8(w, ENTRY_SET);
	pn_wr_u8(w, slot);
	rec_build(w, &r);
	return true;
}

static bool edit_route(enum byz_kind kind, struct pn_rd *rd, struct pn_wr *w)
{
	uint8_t dest = pn_rd_u8(rd), rest[ROUTE_REST];
	uint64_t area = pn_rd_u64(rd), router = pn_rd_u64(rd);
	uint16_t seqno = pn_rd_u16(rd), metric = pn_rd_u16(rd);

	if (dest > DEST_SIBLING || (dest == DEST_SIBLING && !pn_rd_copy(rd, rest, sizeof(rest))))
		return false;
	if (kind != BYZ_CLAIM) {
		metric = kind == BYZ_METRICS ? 0 : METRIC_LEAST;
		byz_act();
	}
	pn_wr_u8(w, ENTRY_ROUTE);
	pn_wr_u8(w, dest);
	pn_wr_u64(w, area);
	pn_wr_u64(w, router);
	pn_wr_u16(w, seqno);
	pn_wr_u16(w, metric);
	if (dest == DEST_SIBLING)
		pn_wr_bytes(w, rest, sizeof(rest));
	return true;
}

/* An entry that carries its length */
static bool edit_long(enum byz_kind kind, uint8_t entry, struct pn_rd *rd, struct pn_wr *w)
{
	struct pn_rd sub = pn_rd_sub(rd, pn_rd_u16(rd));
	size_t mark;

	pn_wr_u8(w, entry);
	mark = pn_wr_open16(w);
	if (entry == ENTRY_PART && kind != BYZ_CLAIM) {
		pn_wr_u8(w, pn_rd_u8(&sub));
		while (sub.left) {
			pn_wr_u32(w, pn_rd_u32(&sub)); /* level, check, base */
			for (unsigned i = 0; i < PARTS; i++) {
				pn_rd_u16(&sub);
				pn_wr_u16(w, 1);
			}
			byz_act();
		}
	}
	while (sub.left)
		pn_wr_u8(w, pn_rd_u8(&sub));
	pn_wr_close16(w, mark);
	return !sub.bad;
}

size_t lies_edit(struct net *net, enum byz_kind kind, const uint8_t *msg, size_t len, uint8_t *buf)
{
	struct pn_rd rd;
	struct pn_wr w;
	bool ok = true;

	pn_rd_init(&rd, msg, len);
	pn_wr_init(&w, buf, ADJ_CTL_MAX);
	if (pn_rd_u8(&rd) != CTL_UPDATE)
		return 0;
	pn_wr_u8(&w, CTL_UPDATE);
	pn_wr_u16(&w, pn_rd_u16(&rd));
	while (ok && rd.left) {
		uint8_t entry = pn_rd_u8(&rd);

		switch (entry) {
		case ENTRY_SET:
			ok = edit_set(net, kind, &rd, &w);
			break;
		case ENTRY_ROUTE:
			ok = edit_route(kind, &rd, &w);
			break;
		case ENTRY_COMMIT:
			pn_wr_u8(&w, entry);
			pn_wr_u8(&w, pn_rd_u8(&rd));
			break;
		case ENTRY_WANT:
			pn_wr_u8(&w, entry);
			pn_wr_u8(&w, pn_rd_u8(&rd));
			pn_wr_u64(&w, pn_rd_u64(&rd));
			break;
		default:
			ok = entry >= ENTRY_LONG && edit_long(kind, entry, &rd, &w);
		}
		ok = ok && !rd.bad && pn_wr_ok(&w);
	}
	if (!ok) {
		unread++;
		return 0;
	}
	return w.len;
}

bool lies_kind(enum byz_kind kind)
{
	return kind == BYZ_METRICS || kind == BYZ_CHEAP || kind == BYZ_CLAIM;
}

bool lies_about(enum byz_kind kind, const uint8_t *msg, size_t len)
{
	/* records stand before routes */
	bool records = len > 3 && msg[0] == CTL_UPDATE && msg[3] == ENTRY_SET;

	return lies_kind(kind) && records == (kind == BYZ_CLAIM);
}

size_t lies_edit_join(const uint8_t *msg, size_t len, uint8_t *buf)
{
	if (len < 8 || len > ADJ_CTL_MAX || msg[0] != CTL_JOIN || !chance(50))
		return 0;
	memcpy(buf, msg, len);
	buf[1] = (uint8_t)(1 + rng_below(byz_rng(), 7)); /* another operation */
	if (chance(50))
		buf[4 + rng_below(byz_rng(), len - 4)] ^= (uint8_t)(1 + rng_below(byz_rng(), 255));
	byz_act();
	return len;
}
