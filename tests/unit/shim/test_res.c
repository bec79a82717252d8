/* SPDX-License-Identifier: ISC */
/* Questions to the resolver library: who gets them, and what is said in the DNS's place. */
#include "fake.h"
#include "tests/unit/unit.h"

#include "libpeernet/base/pn_assert.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define ROOM	512
#define BELOW	(-77)	/* what is below says */

static struct __res_state state;

/* --- what is below ----------------------------------------------------------------------- */

static int below_query(const char *name, int class, int type, unsigned char *answer, int len)
{
	(void)name;
	(void)class;
	(void)type;
	(void)answer;
	(void)len;
	return BELOW;
}

static int below_nquery(void *st, const char *name, int class, int type, unsigned char *answer,
			int len)
{
	CU_ASSERT_PTR_EQUAL(st, &state);
	return below_query(name, class, type, answer, len);
}

static int below_domain(const char *name, const char *domain, int class, int type,
			unsigned char *answer, int len)
{
	(void)domain;
	return below_query(name, class, type, answer, len);
}

static int below_ndomain(void *st, const char *name, const char *domain, int class, int type,
			 unsigned char *answer, int len)
{
	(void)domain;
	return below_nquery(st, name, class, type, answer, len);
}

static int below_send(const unsigned char *msg, int len, unsigned char *answer, int room)
{
	(void)msg;
	(void)len;
	return below_query(NULL, 0, 0, answer, room);
}

static int below_nsend(void *st, const unsigned char *msg, int len, unsigned char *answer,
		       int room)
{
	CU_ASSERT_PTR_EQUAL(st, &state);
	return below_send(msg, len, answer, room);
}

static void below_none(void)
{
	struct shim_real *r = fake_below();

	fake_reset();
	r->res_query = below_query;
	r->res_search = below_query;
	r->res_nquery = below_nquery;
	r->res_nsearch = below_nquery;
	r->res_querydomain = below_domain;
	r->res_nquerydomain = below_ndomain;
	r->res_send = below_send;
	r->res_nsend = below_nsend;
}

/* --- the ways to ask ----------------------------------------------------------------------- */

enum how {
	RES_QUERY, RES_SEARCH, RES_NQUERY, RES_NSEARCH, RES_DOMAIN, RES_NDOMAIN, RES_SEND,
	RES_NSEND,
	RES_WAYS
};

/* A question as a message, on the heap.  Return: bytes */
static int message(const char *name, int class, int type, unsigned char **msg)
{
	unsigned char buf[NS_HFIXEDSZ + NS_MAXCDNAME + NS_QFIXEDSZ] = { 0x12, 0x34, 1, 0, 0, 1 };
	int n = ns_name_pton(name, buf + NS_HFIXEDSZ, NS_MAXCDNAME);
	const unsigned char *end = buf + NS_HFIXEDSZ;

	PN_ASSERT(n >= 0);
	PN_ASSERT(!ns_name_skip(&end, buf + sizeof(buf)));
	n = (int)(end - buf);
	buf[n + 1] = (unsigned char)type;
	buf[n + 3] = (unsigned char)class;
	*msg = unit_copy(buf, (size_t)n + NS_QFIXEDSZ);
	return n + NS_QFIXEDSZ;
}

/* @old: by the name of before glibc 2.34 */
static int ask_parts(enum how how, bool old, const char *name, const char *domain, int class,
		     int type, unsigned char *answer, int len)
{
	if (how == RES_DOMAIN)
		return (old ? __res_querydomain : res_querydomain)(name, domain, class, type,
								   answer, len);
	return (old ? __res_nquerydomain : res_nquerydomain)(&state, name, domain, class, type,
							     answer, len);
}

static int ask_message(enum how how, bool old, const char *name, int class, int type,
		       unsigned char *answer, int len)
{
	unsigned char *msg;
	int n = message(name, class, type, &msg), ret;

	if (how == RES_SEND)
		ret = (old ? __res_send : res_send)(msg, n, answer, len);
	else
		ret = (old ? __res_nsend : res_nsend)(&state, msg, n, answer, len);
	free(msg);
	return ret;
}

static int ask(enum how how, bool old, const char *name, int class, int type,
	       unsigned char *answer, int len)
{
	const char *dot = strchr(name, '.');
	char first[ROOM];

	h_errno = state.res_h_errno = -5;
	switch (how) {
	case RES_QUERY:
		return (old ? __res_query : res_query)(name, class, type, answer, len);
	case RES_SEARCH:
		return (old ? __res_search : res_search)(name, class, type, answer, len);
	case RES_NQUERY:
		return (old ? __res_nquery : res_nquery)(&state, name, class, type, answer, len);
	case RES_NSEARCH:
		return (old ? __res_nsearch : res_nsearch)(&state, name, class, type, answer, len);
	case RES_DOMAIN:
	case RES_NDOMAIN:
		if (!dot)
			return ask_parts(how, old, name, NULL, class, type, answer, len);
		snprintf(first, sizeof(first), "%.*s", (int)(dot - name), name);
		return ask_parts(how, old, first, dot + 1, class, type, answer, len);
	default:
		return ask_message(how, old, name, class, type, answer, len);
	}
}

/* --- tests --------------------------------------------------------------------------------- */

static void test_who(void)
{
	static const struct {
		const char *name;
		bool is_ours;
	} cases[] = {
		{ FAKE_NAME, true }, { "NOBODY.pn.alt.", true }, { "pn.alt", true },
		{ "website.p\\110.alt", true }, { "website\\.pn.alt", true },
		{ "1.0.18.198.in-addr.arpa", true }, { "example.org", false },
		{ "exam\\112le.org", false }, { "alt", false }, { "pn.alt.org", false },
	};
	unsigned char answer[ROOM];

	below_none();
	for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
		for (int how = 0; how < RES_WAYS; how++) {
			for (int old = 0; old < 2; old++) {
				int n = ask((enum how)how, old, cases[i].name, ns_c_in, ns_t_aaaa,
					    answer, ROOM);

				CU_ASSERT_EQUAL(n == BELOW, !cases[i].is_ours);
			}
		}
	}
	shim()->only = true;
	for (int how = 0; how < RES_WAYS; how++)
		CU_ASSERT_NOT_EQUAL(ask((enum how)how, false, "example.org", ns_c_in, ns_t_a,
					answer, ROOM), BELOW);
	fake_reset();
}

/* @addr: the one that is said; NULL: none.  @rcode: of the message */
static void expect(const unsigned char *answer, int n, const char *name, int rcode, int type,
		   const char *addr)
{
	char text[INET6_ADDRSTRLEN];
	ns_msg msg;
	ns_rr rr;

	CU_ASSERT_EQUAL_FATAL(ns_initparse(answer, n, &msg), 0);
	CU_ASSERT_EQUAL(ns_msg_getflag(msg, ns_f_qr), 1);
	CU_ASSERT_EQUAL(ns_msg_getflag(msg, ns_f_rcode), rcode);
	CU_ASSERT_EQUAL(ns_msg_count(msg, ns_s_qd), 1);
	CU_ASSERT_EQUAL(ns_msg_count(msg, ns_s_an), addr != NULL);
	CU_ASSERT_EQUAL(ns_msg_count(msg, ns_s_ns) + ns_msg_count(msg, ns_s_ar), 0);
	CU_ASSERT_EQUAL(ns_parserr(&msg, ns_s_qd, 0, &rr), 0);
	CU_ASSERT_STRING_EQUAL(ns_rr_name(rr), name);
	CU_ASSERT_EQUAL(ns_rr_type(rr), type);
	if (!addr)
		return;
	CU_ASSERT_EQUAL_FATAL(ns_parserr(&msg, ns_s_an, 0, &rr), 0);
	CU_ASSERT_STRING_EQUAL(ns_rr_name(rr), name);
	CU_ASSERT_EQUAL(ns_rr_type(rr), type);
	CU_ASSERT_EQUAL(ns_rr_rdlen(rr), type == ns_t_a ? 4 : 16);
	inet_ntop(type == ns_t_a ? AF_INET : AF_INET6, ns_rr_rdata(rr), text, sizeof(text));
	CU_ASSERT_STRING_EQUAL(text, addr);
}

static const struct {
	const char *name;
	bool down;
	int class, type;
	const char *addr;
	int h_err;	/* if there is no address */
	int rcode;
} answers[] = {
	{ FAKE_NAME, false, ns_c_in, ns_t_aaaa, FAKE_HIT, 0, ns_r_noerror },
	{ FAKE_NAME, false, ns_c_in, ns_t_a, FAKE_ADDR4, 0, ns_r_noerror },
	{ FAKE_NAME, false, ns_c_in, ns_t_mx, NULL, NO_DATA, ns_r_noerror },
	{ FAKE_NAME, false, ns_c_chaos, ns_t_a, NULL, NO_DATA, ns_r_noerror },
	{ "nobody.pn.alt", false, ns_c_in, ns_t_aaaa, NULL, HOST_NOT_FOUND, ns_r_nxdomain },
	{ "a.b.pn.alt", false, ns_c_in, ns_t_a, NULL, HOST_NOT_FOUND, ns_r_nxdomain },
	{ FAKE_NAME, true, ns_c_in, ns_t_aaaa, NULL, TRY_AGAIN, ns_r_servfail },
	{ "a.b.pn.alt", true, ns_c_in, ns_t_mx, NULL, HOST_NOT_FOUND, ns_r_nxdomain },
};

static void test_answers(void)
{
	unsigned char answer[ROOM];

	below_none();
	for (size_t i = 0; i < PN_ARRAY_LEN(answers); i++) {
		fake_daemon.down = answers[i].down;
		for (int how = 0; how < RES_WAYS; how++) {
			int n = ask((enum how)how, false, answers[i].name, answers[i].class,
				    answers[i].type, answer, ROOM);

			if (how == RES_SEND || how == RES_NSEND)
				CU_ASSERT(answer[0] == 0x12 && answer[1] == 0x34);
			if (answers[i].addr || how == RES_SEND || how == RES_NSEND) {
				expect(answer, n, answers[i].name, answers[i].rcode,
				       answers[i].type, answers[i].addr);
				continue;
			}
			CU_ASSERT_EQUAL(n, -1);
			CU_ASSERT_EQUAL(h_errno, answers[i].h_err);
			if (how == RES_NQUERY || how == RES_NSEARCH || how == RES_NDOMAIN)
				CU_ASSERT_EQUAL(state.res_h_errno, answers[i].h_err);
		}
	}
	fake_reset();
}

/* Any room for the answer: it fits, or there is none */
static void test_room(void)
{
	int whole, n, len;

	below_none();
	for (int how = 0; how < RES_WAYS; how++) {
		unsigned char *answer = malloc(ROOM);

		whole = ask((enum how)how, false, FAKE_NAME, ns_c_in, ns_t_aaaa, answer, ROOM);
		free(answer);
		CU_ASSERT(whole > 0);
		for (len = 0; len <= whole; len++) {
			answer = malloc((size_t)len);
			errno = 0;
			n = ask((enum how)how, false, FAKE_NAME, ns_c_in, ns_t_aaaa, answer, len);
			free(answer);
			CU_ASSERT_EQUAL(n, len < whole ? -1 : whole);
			if (n >= 0)
				continue;
			CU_ASSERT(how == RES_SEND || how == RES_NSEND ?
				  errno == EMSGSIZE : h_errno == NO_RECOVERY);
		}
		CU_ASSERT_EQUAL(ask((enum how)how, false, FAKE_NAME, ns_c_in, ns_t_aaaa, NULL, -1),
				-1);
	}
	fake_reset();
}

/* What is no whole question is libc's to judge; nothing behind its end is read */
static void test_messages(void)
{
	unsigned char answer[ROOM], *msg, *cut;
	uint64_t seed = 7;
	int len = message(FAKE_NAME, ns_c_in, ns_t_aaaa, &msg), n;

	PN_ASSERT(len > 0);
	below_none();
	for (n = 0; n <= len; n++) {
		cut = unit_copy(msg, (size_t)n);
		CU_ASSERT_EQUAL(res_send(cut, n, answer, ROOM) == BELOW, n < len);
		free(cut);
	}
	CU_ASSERT_EQUAL(res_send(msg, -1, answer, ROOM), BELOW);
	for (n = 0; n < 20000; n++) {
		cut = unit_copy(msg, (size_t)len);
		cut[unit_random(&seed) % (size_t)len] = (uint8_t)unit_random(&seed);
		cut[unit_random(&seed) % (size_t)len] = (uint8_t)unit_random(&seed);
		res_send(cut, len, answer, ROOM);
		free(cut);
	}
	free(msg);
	fake_reset();
}

/* Names that are put together out of two, of any length */
static void test_domains(void)
{
	unsigned char answer[ROOM];
	char name[3000];

	below_none();
	CU_ASSERT_EQUAL(res_querydomain("website.p\\110", "alt", ns_c_in, ns_t_a, answer, ROOM),
			-1);
	CU_ASSERT_EQUAL(res_querydomain("website.pn", "alt", ns_c_in, ns_t_mx, answer, ROOM), -1);
	CU_ASSERT_EQUAL(h_errno, NO_DATA);
	CU_ASSERT_EQUAL(res_querydomain("website.pn", "alt.org", ns_c_in, ns_t_mx, answer, ROOM),
			BELOW);
	CU_ASSERT_EQUAL(res_querydomain("", NULL, ns_c_in, ns_t_mx, answer, ROOM), BELOW);
	for (size_t i = 0; i < sizeof(name); i += 13) {
		memset(name, 'a', i);
		name[i] = '\0';
		/* libc refuses what is too long for it */
		CU_ASSERT_EQUAL(res_querydomain(name, "pn.alt", ns_c_in, ns_t_a, answer, ROOM),
				i + strlen(".pn.alt") <= NS_MAXDNAME ? -1 : BELOW);
	}
	fake_reset();
}

static CU_TestInfo tests[] = {
	{ "who is asked", test_who },
	{ "answers", test_answers },
	{ "room for the answer", test_room },
	{ "messages", test_messages },
	{ "names and domains", test_domains },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_shim_res = { .pName = "shim res", .pTests = tests };
