/* SPDX-License-Identifier: ISC */
/* Names that are asked of the resolver library, as questions to the DNS.
 *
 * Mail servers do that, since they want to know more than addresses.  No question about a name of
 * ours gets to the DNS; what it would say is made here: the HIT (AAAA), the IPv4 address that
 * stands for it (A), and that there is nothing else.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/bytes.h"
#include "shim/libpnpreload/limits.h"
#include "shim/libpnpreload/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>

#define FLAGS_ANSWER	0x8580u	/* QR, AA, RD, RA; RFC 1035, 4.1.1 */
#define NAME_OF_QUESTION 0xc00cu	/* points to it; RFC 1035, 4.1.4 */

/**
 * struct res_question - What is asked
 * @id:		Of the message
 * @name:	Dotted
 * @class:	C_IN
 * @type:	T_AAAA, T_A or another
 */
struct res_question {
	unsigned int id;
	const char *name;
	int class;
	int type;
};

/**
 * struct res_data - What is said
 * @h_err:	0; HOST_NOT_FOUND, TRY_AGAIN, NO_RECOVERY, NO_DATA
 * @addr:	The address
 * @len:	Bytes of it
 */
struct res_data {
	int h_err;
	uint8_t addr[16];
	size_t len;
};

static void res_find(const struct res_question *q, struct res_data *data)
{
	enum name_kind kind = name_kind_of(q->name, data->addr);
	uint32_t addr4 = 0;
	int err;

	/* PEERNET_ONLY: foreign names, too, come here */
	err = name_lookup(q->name, kind == NAME_OURS ? kind : NAME_BAD, data->addr);
	data->len = 0;
	if (!err && q->class == C_IN && q->type == T_A)
		err = dm_map4(data->addr, &addr4);
	data->h_err = err ? name_h_errno(err) : NO_DATA;
	if (err || q->class != C_IN)
		return;
	addr4 = htonl(addr4);
	if (q->type == T_A)
		memcpy(data->addr, &addr4, sizeof(addr4));
	if (q->type == T_A || q->type == T_AAAA) {
		data->len = q->type == T_A ? sizeof(addr4) : sizeof(data->addr);
		data->h_err = 0;
	}
}

static unsigned int rcode_of(int h_err)
{
	switch (h_err) {
	case HOST_NOT_FOUND:
		return NXDOMAIN;
	case TRY_AGAIN:
	case NO_RECOVERY:
		return SERVFAIL;
	default:
		return NOERROR;
	}
}

/* Return: bytes of the message; -1: no room, or no such name */
static int res_build(const struct res_question *q, const struct res_data *data,
		     unsigned char *answer, int len)
{
	uint8_t name[NS_MAXCDNAME];
	int name_len = dn_comp(q->name, name, sizeof(name), NULL, NULL);
	struct pn_wr w;

	if (name_len < 0 || len < 0)
		return -1;
	pn_wr_init(&w, answer, (size_t)len);
	pn_wr_u16(&w, q->id);
	pn_wr_u16(&w, FLAGS_ANSWER | rcode_of(data->h_err));
	pn_wr_u16(&w, 1);
	pn_wr_u16(&w, data->len ? 1 : 0);
	pn_wr_u32(&w, 0);	/* no authority, nothing additional */
	pn_wr_bytes(&w, name, (size_t)name_len);
	pn_wr_u16(&w, (uint16_t)q->type);
	pn_wr_u16(&w, (uint16_t)q->class);
	if (data->len) {
		pn_wr_u16(&w, NAME_OF_QUESTION);
		pn_wr_u16(&w, (uint16_t)q->type);
		pn_wr_u16(&w, (uint16_t)q->class);
		pn_wr_u32(&w, RES_TTL);
		pn_wr_u16(&w, data->len);
		pn_wr_bytes(&w, data->addr, data->len);
	}
	return pn_wr_ok(&w) ? (int)w.len : -1;
}

/* As res_query(): only what has data is an answer */
static int res_ours(res_state state, const char *name, int class, int type,
		    unsigned char *answer, int len)
{
	const struct res_question q = { .name = name, .class = class, .type = type };
	struct res_data data;
	int ret = -1;

	res_find(&q, &data);
	if (!data.h_err) {
		ret = res_build(&q, &data, answer, len);
		data.h_err = ret < 0 ? NO_RECOVERY : 0;
	}
	h_errno = data.h_err;
	if (state)
		state->res_h_errno = data.h_err;
	return ret;
}

/* Of a message, as it would be sent.  Return: false if it is not about a name of ours */
static bool res_ours_sent(const unsigned char *msg, int len, unsigned char *answer, int room,
			  int *ret)
{
	char name[NS_MAXDNAME];
	struct res_question q = { .name = name };
	struct res_data data;
	int n;

	if (!shim()->on || len < NS_HFIXEDSZ + NS_QFIXEDSZ)
		return false;
	n = dn_expand(msg, msg + len, msg + NS_HFIXEDSZ, name, sizeof(name));
	if (n < 0 || n + NS_HFIXEDSZ + NS_QFIXEDSZ > len || name_is_foreign(name))
		return false;
	q.id = (unsigned int)msg[0] << 8 | msg[1];
	msg += NS_HFIXEDSZ + n;
	q.type = msg[0] << 8 | msg[1];
	q.class = msg[2] << 8 | msg[3];
	res_find(&q, &data);
	*ret = res_build(&q, &data, answer, room);
	if (*ret < 0)
		errno = EMSGSIZE;
	return true;
}

const char *name_join(const char *name, const char *domain, char all[NS_MAXDNAME + 1])
{
	int n = snprintf(all, NS_MAXDNAME + 1, "%s%s%s", name, domain ? "." : "",
			 domain ? domain : "");

	return n > 0 && n <= NS_MAXDNAME && !name_is_foreign(all) ? all : NULL;
}

/* --- hooks ------------------------------------------------------------------------------ */

#undef res_query
#undef res_search
#undef res_nquery
#undef res_nsearch
#undef res_querydomain
#undef res_nquerydomain
#undef res_send
#undef res_nsend
int __res_query(const char *name, int class, int type, unsigned char *answer, int len);
int __res_search(const char *name, int class, int type, unsigned char *answer, int len);
int __res_nquery(res_state state, const char *name, int class, int type, unsigned char *answer,
		 int len);
int __res_nsearch(res_state state, const char *name, int class, int type,
		  unsigned char *answer, int len);
int __res_querydomain(const char *name, const char *domain, int class, int type,
		      unsigned char *answer, int len);
int __res_nquerydomain(res_state state, const char *name, const char *domain, int class, int type,
		       unsigned char *answer, int len);
int __res_send(const unsigned char *msg, int len, unsigned char *answer, int room);
int __res_nsend(res_state state, const unsigned char *msg, int len, unsigned char *answer,
		int room);

HOOK int res_query(const char *name, int class, int type, unsigned char *answer, int len)
{
	return name_is_foreign(name) ? real()->res_query(name, class, type, answer, len) :
				       res_ours(NULL, name, class, type, answer, len);
}

HOOK int res_search(const char *name, int class, int type, unsigned char *answer, int len)
{
	struct search_list kept;
	int ret;

	if (!name_is_foreign(name))
		return res_ours(NULL, name, class, type, answer, len);
	search_hide(&_res, name, &kept);
	ret = real()->res_search(name, class, type, answer, len);
	search_show(&_res, &kept);
	return ret;
}

HOOK int res_nquery(res_state state, const char *name, int class, int type,
		    unsigned char *answer, int len)
{
	return name_is_foreign(name) ? real()->res_nquery(state, name, class, type, answer, len) :
				       res_ours(state, name, class, type, answer, len);
}

HOOK int res_nsearch(res_state state, const char *name, int class, int type,
		     unsigned char *answer, int len)
{
	struct search_list kept;
	int ret;

	if (!name_is_foreign(name))
		return res_ours(state, name, class, type, answer, len);
	search_hide(state, name, &kept);
	ret = real()->res_nsearch(state, name, class, type, answer, len);
	search_show(state, &kept);
	return ret;
}

HOOK int res_querydomain(const char *name, const char *domain, int class, int type,
			 unsigned char *answer, int len)
{
	char all[NS_MAXDNAME + 1];

	return name_join(name, domain, all) ?
	       res_ours(NULL, all, class, type, answer, len) :
	       real()->res_querydomain(name, domain, class, type, answer, len);
}

HOOK int res_nquerydomain(res_state state, const char *name, const char *domain, int class,
			  int type, unsigned char *answer, int len)
{
	char all[NS_MAXDNAME + 1];

	return name_join(name, domain, all) ?
	       res_ours(state, all, class, type, answer, len) :
	       real()->res_nquerydomain(state, name, domain, class, type, answer, len);
}

HOOK int res_send(const unsigned char *msg, int len, unsigned char *answer, int room)
{
	int ret;

	return res_ours_sent(msg, len, answer, room, &ret) ? ret :
	       real()->res_send(msg, len, answer, room);
}

HOOK int res_nsend(res_state state, const unsigned char *msg, int len, unsigned char *answer,
		   int room)
{
	int ret;

	return res_ours_sent(msg, len, answer, room, &ret) ? ret :
	       real()->res_nsend(state, msg, len, answer, room);
}

/* The names that programs of before glibc 2.34 ask for */
HOOK int __res_query(const char *name, int class, int type, unsigned char *answer, int len)
{
	return res_query(name, class, type, answer, len);
}

HOOK int __res_search(const char *name, int class, int type, unsigned char *answer, int len)
{
	return res_search(name, class, type, answer, len);
}

HOOK int __res_nquery(res_state state, const char *name, int class, int type,
		      unsigned char *answer, int len)
{
	return res_nquery(state, name, class, type, answer, len);
}

HOOK int __res_nsearch(res_state state, const char *name, int class, int type,
		       unsigned char *answer, int len)
{
	return res_nsearch(state, name, class, type, answer, len);
}

HOOK int __res_querydomain(const char *name, const char *domain, int class, int type,
			   unsigned char *answer, int len)
{
	return res_querydomain(name, domain, class, type, answer, len);
}

HOOK int __res_nquerydomain(res_state state, const char *name, const char *domain, int class,
			    int type, unsigned char *answer, int len)
{
	return res_nquerydomain(state, name, domain, class, type, answer, len);
}

HOOK int __res_send(const unsigned char *msg, int len, unsigned char *answer, int room)
{
	return res_send(msg, len, answer, room);
}

HOOK int __res_nsend(res_state state, const unsigned char *msg, int len, unsigned char *answer,
		     int room)
{
	return res_nsend(state, msg, len, answer, room);
}
