/* SPDX-License-Identifier: ISC */
/* lookup_record.c - signed address records: build, parse, verify; their keys */
#include "pnstackd/net/lookup.h"

static unsigned addr_width(unsigned base)
{
	return base <= 8 ? 1 : (base + 7) / 8;
}

/* What is signed: the record, and the question if it answers one.  Return: bytes */
static size_t signed_text(uint8_t out[ADDR_RECORD_MAX + 16], const uint8_t *body, size_t len,
			  const struct addr_ask *ask)
{
	struct pn_wr w;

	pn_wr_init(&w, out, ADDR_RECORD_MAX + 16);
	pn_wr_bytes(&w, body, len);
	if (ask) {
		pn_wr_u64(&w, ask->qid);
		pn_wr_u64(&w, ask->asker);
	}
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

size_t addr_record_build(const struct net *net, const struct addr_record *rec,
			 const struct addr_ask *ask, uint8_t *buf, size_t cap)
{
	unsigned width = addr_width(rec->base), n = rec->count;
	unsigned fit = (ADDR_RECORD_MAX - ADDR_RECORD_HEAD - 64) / width;
	uint8_t sig[64], text[ADDR_RECORD_MAX + 16];
	struct pn_wr w;

	PN_ASSERT(rec->count >= 1);
	PN_ASSERT(rec->count <= NET_ADDRS_MAX);
	PN_ASSERT(rec->base <= 64);
	n = n < fit ? n : fit;
	pn_wr_init(&w, buf, cap);
	pn_wr_bytes(&w, net->id, PN_ID_LEN);
	pn_wr_u64(&w, rec->seq);
	pn_wr_u32(&w, rec->stamp);
	pn_wr_u16(&w, rec->lifetime_s);
	pn_wr_u64(&w, rec->area);
	pn_wr_u8(&w, rec->base);
	pn_wr_u8(&w, n);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned byte = width; byte-- > 0;)
			pn_wr_u8(&w, rec->addrs[i] >> (8 * byte) & 0xff);
	}
	if (!pn_wr_ok(&w))
		return 0;
	net_sign(net, ask ? SIGN_ANSWER : SIGN_LOOKUP, text, signed_text(text, buf, w.len, ask),
		 sig);
	pn_wr_bytes(&w, sig, sizeof(sig));
	return pn_wr_ok(&w) ? w.len : 0;
}

int addr_record_parse(struct addr_record *rec, const uint8_t *buf, size_t len)
{
	struct addr_record r = { 0 };
	struct pn_rd rd;

	pn_rd_init(&rd, buf, len);
	pn_rd_copy(&rd, r.id, PN_ID_LEN);
	r.seq = pn_rd_u64(&rd);
	r.stamp = pn_rd_u32(&rd);
	r.lifetime_s = pn_rd_u16(&rd);
	r.area = pn_rd_u64(&rd);
	r.base = pn_rd_u8(&rd);
	r.count = pn_rd_u8(&rd);
	if (rd.bad || r.count < 1 || r.count > NET_ADDRS_MAX || r.base > 64 || r.area == 0 ||
	    r.lifetime_s < 1 || r.lifetime_s > ADDR_LIFETIME_MAX)
		return PN_EBADMSG;
	for (unsigned i = 0; i < r.count; i++) {
		for (unsigned byte = addr_width(r.base); byte > 0; byte--)
			r.addrs[i] = r.addrs[i] << 8 | pn_rd_u8(&rd);
		if (r.addrs[i] != addr_low(r.addrs[i], r.base))
			return PN_EBADMSG;
	}
	pn_rd_skip(&rd, 64);
	if (!pn_rd_finish(&rd) || len > ADDR_RECORD_MAX)
		return PN_EBADMSG;
	net_identity_hit(r.id, r.hit);
	*rec = r;
	return 0;
}

int addr_record_verify(const struct addr_record *rec, const struct addr_ask *ask,
		       const uint8_t *buf, size_t len)
{
	uint8_t text[ADDR_RECORD_MAX + 16];

	PN_ASSERT(len >= ADDR_RECORD_MIN);
	PN_ASSERT(len <= ADDR_RECORD_MAX);
	if (!net_verify(rec->id, ask ? SIGN_ANSWER : SIGN_LOOKUP, text,
			signed_text(text, buf, len - 64, ask), buf + len - 64))
		return PN_EAUTH;
	return 0;
}

bool addr_record_newer(uint64_t seq, uint32_t stamp, uint64_t old_seq, uint32_t old_stamp)
{
	return seq != old_seq ? seq > old_seq : stamp > old_stamp;
}

bool addr_prefix(const struct net *net, uint64_t area, unsigned base, uint64_t *prefix)
{
	for (uint16_t f = 0; f < facet_max(net); f++) {
		if (!facet_live(net, f) || tree_area_base(net, f, area) != (int)base)
			continue;
		*prefix = facet_addr(net, f) - addr_low(facet_addr(net, f), base);
		return true;
	}
	return false;
}

uint64_t lookup_key(const uint8_t hit[PN_HIT_LEN], uint8_t replica)
{
	uint8_t in[PN_HIT_LEN + 1], out[16];
	struct pn_rd r;

	memcpy(in, hit, PN_HIT_LEN);
	in[PN_HIT_LEN] = replica;
	crypto_digest(out, sizeof(out), in, sizeof(in));
	pn_rd_init(&r, out, sizeof(out));
	return pn_rd_u64(&r);
}
