/* SPDX-License-Identifier: ISC */
/* lookup_store.c - the anchor: what it takes.  The rules are told in lookup.c. */
#include "pnstackd/net/lookup.h"
#include "pnstackd/net/fwd.h"

/* Storing -------------------------------------------------------------------- */

struct store {                       /* a STORE that came in */
	const struct net_hdr *hdr;
	uint8_t replica, flags;
	uint64_t left_ns, cookie;
	const uint8_t *raw;
	size_t len;
	struct addr_record rec;
};

static int store_parse(struct store *m, const struct net_hdr *hdr, struct pn_rd *rd)
{
	m->hdr = hdr;
	m->replica = pn_rd_u8(rd);
	m->flags = pn_rd_u8(rd);
	m->left_ns = PN_MS(pn_rd_u32(rd));
	m->cookie = pn_rd_u64(rd);
	m->len = pn_rd_left(rd);
	m->raw = rd->at;
	if (rd->bad || m->replica >= LOOKUP_REPLICAS ||
	    addr_record_parse(&m->rec, m->raw, m->len) < 0)
		return PN_EBADMSG;
	return 0;
}

static void store_acknowledge(struct net *net, const struct store *m, enum lookup_stored status,
			      struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_LOOKUP, .dst = m->hdr->src,
				.dst_tag = m->hdr->src_tag, .flow = m->hdr->flow };
	uint8_t buf[LOOKUP_STORED_LEN];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, LOOKUP_STORED);
	pn_wr_u8(&w, status);
	pn_wr_u64(&w, m->cookie);
	PN_ASSERT(pn_wr_ok(&w));
	(void)fwd_originate(net, 0, &back, buf, w.len, now);
}

/* Return: it is one that we handed on ourselves */
static bool store_is_ours(const struct net *net, const struct store *m, const struct stored *s,
			  struct pn_time now)
{
	return s && s->handing && s->cookie == m->cookie && m->hdr->src_tag == net->tag &&
	       facet_of_addr(net, FACET_ANY, m->hdr->src, net->tag, now) >= 0;
}

/* Are we in the area it is for?  A walk may have ended here while areas change. */
static bool store_in_area(const struct net *net, const struct addr_record *rec)
{
	uint64_t prefix;

	return addr_prefix(net, rec->area, rec->base, &prefix);
}

/* Who registers himself does it from one of the addresses that he tells. */
static bool store_from_there(const struct store *m)
{
	uint64_t src = addr_low(m->hdr->src, m->rec.base);

	for (unsigned i = 0; i < m->rec.count; i++) {
		if (m->rec.addrs[i] == src)
			return true;
	}
	return false;
}

/* A signature that was checked before: in small networks one anchor gets all replicas. */
static bool store_checked(struct net *net, const struct store *m)
{
	struct stored *s = NULL;

	while ((s = store_next(net, m->rec.hit, s))) {
		if (s->len == m->len && memcmp(m->raw, store_raw(net, s), m->len) == 0)
			return true;
	}
	return false;
}

/* Return: the signature is right */
static bool store_verify(struct net *net, const struct store *m, struct pn_time now)
{
	if (store_checked(net, m))
		return true;
	if (!limit_take(&net->lookup->stores, m->hdr->src, now)) {
		count(net, lookup_limited);
		return false;
	}
	if (addr_record_verify(&m->rec, NULL, m->raw, m->len) < 0) {
		count(net, lookup_bad);
		return false;
	}
	return true;
}

/* Do all addresses of an older record stand in a newer one, too? */
static bool store_agrees(const struct net *net, const struct addr_record *old,
			 const struct addr_record *rec)
{
	uint64_t a, b;

	if (!addr_prefix(net, old->area, old->base, &a) ||
	    !addr_prefix(net, rec->area, rec->base, &b))
		return false;
	for (unsigned i = 0; i < old->count; i++) {
		unsigned k = 0;

		while (k < rec->count && (b | rec->addrs[k]) != (a | old->addrs[i]))
			k++;
		if (k == rec->count)
			return false;
	}
	return true;
}

/* An older record of the same identity that a newer one contradicts; NULL none */
static struct stored *store_contradicted(struct net *net, const struct addr_record *rec)
{
	struct stored *s = NULL;
	struct addr_record old;

	while ((s = store_next(net, rec->hit, s))) {
		if (s->seq < rec->seq &&
		    (addr_record_parse(&old, store_raw(net, s), s->len) < 0 ||
		     !store_agrees(net, &old, rec)))
			return s;
	}
	return NULL;
}

static void store_drop_contradicted(struct net *net, const struct addr_record *rec)
{
	struct stored *s;

	while ((s = store_contradicted(net, rec)))
		store_remove(net, s);
}

/* Put a record that is new into the table.  Return: it is kept */
static bool store_keep(struct net *net, const struct store *m, struct stored *s, struct pn_time now)
{
	bool handed = m->flags & (LOOKUP_F_HANDOVER | LOOKUP_F_SECOND);
	uint64_t life_ns = PN_S(m->rec.lifetime_s);

	if (!store_verify(net, m, now))
		return false;
	if (!s)
		s = store_insert(net, &m->rec, m->replica, m->hdr->src, !handed);
	if (!s)
		return false;
	if (!store_set_raw(net, s, m->raw, m->len)) {
		count(net, lookup_full);
		store_remove(net, s);
		return false;
	}
	s->seq = m->rec.seq;
	s->stamp = m->rec.stamp;
	s->handing = false;
	s->synced = false;
	s->above = 0;
	s->drop_at = PN_TIME_NEVER;
	s->second = m->flags & LOOKUP_F_SECOND;
	s->expires = pn_time_add(now, pn_min(m->left_ns, life_ns));
	store_rearm(net, s);
	count(net, lookup_registered);
	store_check(net, s, now);
	store_drop_contradicted(net, &m->rec);
	return true;
}

void store_on_store(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		    struct pn_time now)
{
	struct store m;
	struct stored *s;

	if (store_parse(&m, hdr, rd) < 0 || hdr->dst != lookup_key(m.rec.hit, m.replica)) {
		count(net, lookup_bad);
		return;
	}
	s = store_find(net, m.rec.hit, m.replica, m.rec.area);
	if ((m.flags & LOOKUP_F_HANDOVER) && store_is_ours(net, &m, s, now)) {
		store_returned(net, s);
		return;
	}
	if (!store_in_area(net, &m.rec) ||
	    (!(m.flags & LOOKUP_F_HANDOVER) && !store_from_there(&m))) {
		count(net, lookup_elsewhere);
		return;
	}
	if (s && addr_record_newer(s->seq, s->stamp, m.rec.seq, m.rec.stamp)) {
		count(net, lookup_replayed);
		store_acknowledge(net, &m, STORED_OLD, now);
		return;
	}
	if (s && s->seq == m.rec.seq && s->stamp == m.rec.stamp) {
		/* Nobody but its owner signs another one with these numbers. */
		s->second = s->second && (m.flags & LOOKUP_F_SECOND);
		s->drop_at = PN_TIME_NEVER;
		store_rearm(net, s);
	} else if (!store_keep(net, &m, s, now)) {
		return;
	}
	store_acknowledge(net, &m, STORED_OK, now);
}

/* Left -------------------------------------------------------------------------- */

void store_on_left(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		   struct pn_time now)
{
	struct stored *hint;
	struct store m;

	if (store_parse(&m, hdr, rd) < 0 || !(m.flags & LOOKUP_F_LEFT) || !store_from_there(&m)) {
		count(net, lookup_bad);
		return;
	}
	if (!limit_take(&net->lookup->stores, hdr->src, now)) {
		count(net, lookup_limited);
		return;
	}
	/* Nothing is kept for who was never here. */
	if (store_contradicted(net, &m.rec)) {
		hint = store_find(net, m.rec.hit, LOOKUP_HINT, m.rec.area);
		m.replica = LOOKUP_HINT;
		m.left_ns = pn_min(m.left_ns, HINT_NS);  /* it is not signed */
		m.flags |= LOOKUP_F_HANDOVER;    /* counted like that, and its last place */
		if (store_in_area(net, &m.rec) ? !store_keep(net, &m, hint, now)
					       : !store_verify(net, &m, now))
			return;
		store_drop_contradicted(net, &m.rec);
	}
	store_acknowledge(net, &m, STORED_OK, now);
}
