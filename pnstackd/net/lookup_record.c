/* SPDX-License-Identifier: ISC */
/* lookup_record.c - signed address records: build, parse, verify; their keys */
#include "pnstackd/net/lookup.h"

size_t addr_record_build(const struct net *net, const struct addr_record *rec, uint8_t *buf,
			 size_t cap)
{
	uint8_t sig[64];
	struct pn_wr w;

	PN_ASSERT(rec->count >= 1);
	PN_ASSERT(rec->count <= NET_ADDRS_MAX);
	pn_wr_init(&w, buf, cap);
	pn_wr_bytes(&w, net->id, PN_ID_LEN);
	pn_wr_u64(&w, rec->seq);
	pn_wr_u32(&w, rec->lifetime_s);
	pn_wr_u16(&w, rec->count);
	for (unsigned i = 0; i < rec->count; i++)
		pn_wr_u64(&w, rec->addrs[i]);
	if (!pn_wr_ok(&w))
		return 0;
	net_sign(net, SIGN_LOOKUP, buf, w.len, sig);
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
	r.lifetime_s = pn_rd_u32(&rd);
	r.count = pn_rd_u16(&rd);
	if (rd.bad || r.count < 1 || r.count > NET_ADDRS_MAX ||
	    r.lifetime_s < 1 || r.lifetime_s > ADDR_LIFETIME_MAX)
		return PN_EBADMSG;
	for (unsigned i = 0; i < r.count; i++)
		r.addrs[i] = pn_rd_u64(&rd);
	pn_rd_skip(&rd, 64);
	if (!pn_rd_finish(&rd))
		return PN_EBADMSG;
	net_identity_hit(r.id, r.hit);
	*rec = r;
	return 0;
}

int addr_record_verify(const struct addr_record *rec, const uint8_t *buf, size_t len)
{
	PN_ASSERT(len >= ADDR_RECORD_MIN);
	if (!net_verify(rec->id, SIGN_LOOKUP, buf, len - 64, buf + len - 64))
		return PN_EAUTH;
	return 0;
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
