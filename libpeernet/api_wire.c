/* SPDX-License-Identifier: ISC */
/* Builders and parsers of the messages of api_wire.h. */
#include "libpeernet/api_wire.h"

#include <assert.h>
#include <string.h>

#include "libpeernet/base/bytes.h"
#include "libpeernet/base/pn_error.h"
#include "libpeernet/base/pn_limits.h"

static_assert(PN_WIRE_NAME_LEN + 1 <= sizeof(((struct sockaddr_un *)0)->sun_path),
	      "a name must fit a Unix address");
static_assert(PN_WIRE_NAME_MAX == PN_NAME_MAX, "names as in pn_limits.h");

#define NAME_MAGIC "pn1"
#define NAME_MAGIC_LEN 3

/* Writes @n zero bytes */
static void wr_zero(struct pn_wr *w, size_t n)
{
	uint8_t *p = pn_wr_reserve(w, n);

	if (p)
		memset(p, 0, n);
}

/* 'P' 'N' 'c' version | flags 2 | port 2 | local port 2 | zero 2 | sndbuf 4 |
 * hit 16 | conn id 16 | zero 16 */
void pn_wire_connect_build(const struct pn_wire_connect *in, uint8_t buf[PN_WIRE_CONNECT_LEN])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, PN_WIRE_CONNECT_LEN);
	pn_wr_bytes(&w, "PNc", 3);
	pn_wr_u8(&w, PN_API_VERSION);
	pn_wr_u16(&w, in->flags);
	pn_wr_u16(&w, in->port);
	pn_wr_u16(&w, in->local_port);
	pn_wr_u16(&w, 0);
	pn_wr_u32(&w, in->sndbuf);
	pn_wr_bytes(&w, in->hit, sizeof(in->hit));
	pn_wr_bytes(&w, in->key, sizeof(in->key));
	wr_zero(&w, 16);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == PN_WIRE_CONNECT_LEN);
}

int pn_wire_connect_parse(const void *buf, size_t len, struct pn_wire_connect *out)
{
	struct pn_wire_connect c;
	const uint8_t *magic;
	struct pn_rd r;

	pn_rd_init(&r, buf, len);
	magic = pn_rd_bytes(&r, 3);
	if (!magic || memcmp(magic, "PNc", 3) != 0)
		return PN_EBADMSG;
	if (pn_rd_u8(&r) != PN_API_VERSION)
		return PN_EBADMSG;
	c.flags = pn_rd_u16(&r);
	c.port = pn_rd_u16(&r);
	c.local_port = pn_rd_u16(&r);
	pn_rd_skip(&r, 2);
	c.sndbuf = pn_rd_u32(&r);
	pn_rd_copy(&r, c.hit, sizeof(c.hit));
	pn_rd_copy(&r, c.key, sizeof(c.key));
	pn_rd_skip(&r, 16);
	if (!pn_rd_finish(&r))
		return PN_EBADMSG;
	*out = c;
	return 0;
}

/* version 1 | op 1 | flags 2 | port 2 | backlog 2 | count 4 | hit 16 | key 16 |
 * zero 20 [| payload] */
void pn_wire_msg_build(const struct pn_wire_msg *in, uint8_t buf[PN_WIRE_MSG_LEN])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, PN_WIRE_MSG_LEN);
	pn_wr_u8(&w, PN_API_VERSION);
	pn_wr_u8(&w, in->op);
	pn_wr_u16(&w, in->flags);
	pn_wr_u16(&w, in->port);
	pn_wr_u16(&w, in->backlog);
	pn_wr_u32(&w, in->count);
	pn_wr_bytes(&w, in->hit, sizeof(in->hit));
	pn_wr_bytes(&w, in->key, sizeof(in->key));
	wr_zero(&w, 20);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == PN_WIRE_MSG_LEN);
}

int pn_wire_msg_parse(const void *buf, size_t len, struct pn_wire_msg *out,
		      const uint8_t **payload, size_t *payload_len)
{
	struct pn_wire_msg m;
	struct pn_rd r;

	pn_rd_init(&r, buf, len);
	if (pn_rd_u8(&r) != PN_API_VERSION)
		return PN_EBADMSG;
	m.op = pn_rd_u8(&r);
	m.flags = pn_rd_u16(&r);
	m.port = pn_rd_u16(&r);
	m.backlog = pn_rd_u16(&r);
	m.count = pn_rd_u32(&r);
	pn_rd_copy(&r, m.hit, sizeof(m.hit));
	pn_rd_copy(&r, m.key, sizeof(m.key));
	pn_rd_skip(&r, 20);
	if (r.bad)
		return PN_EBADMSG;
	*out = m;
	*payload = r.at;
	*payload_len = r.left;
	return 0;
}

/* version 1 | zero 1 | port 2 | errno 4 | addr4 4 | uid 4 | hit 16 | id 32 [| name] */
size_t pn_wire_reply_build(const struct pn_wire_reply *in,
			   uint8_t buf[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX);
	pn_wr_u8(&w, PN_API_VERSION);
	pn_wr_u8(&w, 0);
	pn_wr_u16(&w, in->port);
	pn_wr_u32(&w, in->err);
	pn_wr_u32(&w, in->addr4);
	pn_wr_u32(&w, in->uid);
	pn_wr_bytes(&w, in->hit, sizeof(in->hit));
	pn_wr_bytes(&w, in->id, sizeof(in->id));
	PN_ASSERT(w.len == PN_WIRE_REPLY_LEN);
	pn_wr_bytes(&w, in->name, strnlen(in->name, PN_WIRE_NAME_MAX));
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

int pn_wire_reply_parse(const void *buf, size_t len, struct pn_wire_reply *out)
{
	struct pn_wire_reply m;
	struct pn_rd r;
	size_t name_len;

	memset(&m, 0, sizeof(m));
	pn_rd_init(&r, buf, len);
	if (pn_rd_u8(&r) != PN_API_VERSION)
		return PN_EBADMSG;
	pn_rd_skip(&r, 1);
	m.port = pn_rd_u16(&r);
	m.err = pn_rd_u32(&r);
	m.addr4 = pn_rd_u32(&r);
	m.uid = pn_rd_u32(&r);
	pn_rd_copy(&r, m.hit, sizeof(m.hit));
	pn_rd_copy(&r, m.id, sizeof(m.id));
	name_len = pn_rd_left(&r);
	if (r.bad || name_len > PN_WIRE_NAME_MAX)
		return PN_EBADMSG;
	pn_rd_copy(&r, m.name, name_len);
	if (memchr(m.name, 0, name_len))
		return PN_EBADMSG;
	*out = m;
	return 0;
}

/* version 1 | flags 1 | port 2 | hit 16 */
void pn_wire_dgram_build(const struct pn_wire_dgram *in, uint8_t buf[PN_WIRE_DGRAM_LEN])
{
	struct pn_wr w;

	pn_wr_init(&w, buf, PN_WIRE_DGRAM_LEN);
	pn_wr_u8(&w, PN_API_VERSION);
	pn_wr_u8(&w, in->flags);
	pn_wr_u16(&w, in->port);
	pn_wr_bytes(&w, in->hit, sizeof(in->hit));
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == PN_WIRE_DGRAM_LEN);
}

int pn_wire_dgram_parse(const void *buf, size_t len, struct pn_wire_dgram *out)
{
	struct pn_wire_dgram d;
	struct pn_rd r;

	pn_rd_init(&r, buf, len);
	if (pn_rd_u8(&r) != PN_API_VERSION)
		return PN_EBADMSG;
	d.flags = pn_rd_u8(&r);
	d.port = pn_rd_u16(&r);
	pn_rd_copy(&r, d.hit, sizeof(d.hit));
	if (r.bad)
		return PN_EBADMSG;
	*out = d;
	return 0;
}

/* 0 | "pn1" | kind 1 | family 1 | flags 1 | peer port 2 | local port 2 | peer 16 |
 * local 16 | key 16 */
socklen_t pn_wire_name_build(const struct pn_wire_name *in, struct sockaddr_un *out)
{
	struct pn_wr w;

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	pn_wr_init(&w, out->sun_path + 1, PN_WIRE_NAME_LEN);
	pn_wr_bytes(&w, NAME_MAGIC, NAME_MAGIC_LEN);
	pn_wr_u8(&w, in->kind);
	pn_wr_u8(&w, in->family);
	pn_wr_u8(&w, in->flags);
	pn_wr_u16(&w, in->peer_port);
	pn_wr_u16(&w, in->local_port);
	pn_wr_bytes(&w, in->peer, sizeof(in->peer));
	pn_wr_bytes(&w, in->local, sizeof(in->local));
	pn_wr_bytes(&w, in->key, sizeof(in->key));
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == PN_WIRE_NAME_LEN);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + PN_WIRE_NAME_LEN);
}

int pn_wire_name_parse(const struct sockaddr_un *in, socklen_t len, struct pn_wire_name *out)
{
	const size_t want = offsetof(struct sockaddr_un, sun_path) + 1 + PN_WIRE_NAME_LEN;
	struct pn_wire_name m;
	const uint8_t *magic;
	struct pn_rd r;

	if (len != want || in->sun_family != AF_UNIX || in->sun_path[0] != '\0')
		return PN_EBADMSG;
	pn_rd_init(&r, in->sun_path + 1, PN_WIRE_NAME_LEN);
	magic = pn_rd_bytes(&r, NAME_MAGIC_LEN);
	if (!magic || memcmp(magic, NAME_MAGIC, NAME_MAGIC_LEN) != 0)
		return PN_EBADMSG;
	m.kind = pn_rd_u8(&r);
	m.family = pn_rd_u8(&r);
	m.flags = pn_rd_u8(&r);
	m.peer_port = pn_rd_u16(&r);
	m.local_port = pn_rd_u16(&r);
	pn_rd_copy(&r, m.peer, sizeof(m.peer));
	pn_rd_copy(&r, m.local, sizeof(m.local));
	pn_rd_copy(&r, m.key, sizeof(m.key));
	if (!pn_rd_finish(&r) || !memchr("calbdw", m.kind, 6))
		return PN_EBADMSG;
	if (m.family != 6 && m.family != 4 && m.family != 7)
		return PN_EBADMSG;
	*out = m;
	return 0;
}
