/* SPDX-License-Identifier: ISC */
/* Names: who is asked for them, in each of the ways there are, and what is said. */
#include "fake.h"
#include "tests/unit/unit.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/names.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROOM	512

/* --- what is below: nobody is found there ---------------------------------------------- */

static char below_name[2000];	/* what was asked for; "" nothing */

static void below_asked(const char *name)
{
	snprintf(below_name, sizeof(below_name), "%s", name);
}

/* libc's own may do what needs no question */
static int below_gai(const char *name, const char *service, const struct addrinfo *hints,
		     struct addrinfo **out)
{
	static int (*libcs)(const char *, const char *, const struct addrinfo *,
			    struct addrinfo **);

	if (!name) {
		libcs = fake_below()->getaddrinfo;
		return 0;
	}
	if (hints && hints->ai_flags & AI_NUMERICHOST)
		return libcs(name, service, hints, out);
	below_asked(name);
	return EAI_NONAME;
}

static struct hostent *below_ghbn(const char *name)
{
	below_asked(name);
	return NULL;
}

static struct hostent *below_ghbn2(const char *name, int family)
{
	(void)family;
	return below_ghbn(name);
}

static int below_ghbn2_r(const char *name, int family, struct hostent *h, char *buf, size_t len,
			 struct hostent **out, int *h_err)
{
	(void)family;
	(void)h;
	(void)buf;
	(void)len;
	below_asked(name);
	*out = NULL;
	*h_err = HOST_NOT_FOUND;
	return 0;
}

static int below_ghbn_r(const char *name, struct hostent *h, char *buf, size_t len,
			struct hostent **out, int *h_err)
{
	return below_ghbn2_r(name, AF_INET, h, buf, len, out, h_err);
}

static int below_gai_a(int mode, struct gaicb **list, int count, struct sigevent *event)
{
	(void)mode;
	(void)event;
	for (int i = 0; i < count; i++) {
		if (list[i])
			below_asked(list[i]->ar_name);
	}
	return 0;
}

static void below_none(void)
{
	struct shim_real *below = fake_below();

	fake_reset();
	below_gai(NULL, NULL, NULL, NULL);
	below->getaddrinfo = below_gai;
	below->getaddrinfo_a = below_gai_a;
	below->gethostbyname = below_ghbn;
	below->gethostbyname2 = below_ghbn2;
	below->gethostbyname_r = below_ghbn_r;
	below->gethostbyname2_r = below_ghbn2_r;
}

/* --- the ways to ask.  Return: found ------------------------------------------------------ */

static bool ask_gai_family(const char *name, int family)
{
	const struct addrinfo hints = { .ai_family = family };
	struct addrinfo *list;

	if (getaddrinfo(name, NULL, &hints, &list))
		return false;
	freeaddrinfo(list);
	return true;
}

static bool ask_gai(const char *name)
{
	struct addrinfo *list;

	if (getaddrinfo(name, NULL, NULL, &list))
		return false;
	freeaddrinfo(list);
	return true;
}

static bool ask_gai4(const char *name)
{
	return ask_gai_family(name, AF_INET);
}

static bool ask_gai6(const char *name)
{
	return ask_gai_family(name, AF_INET6);
}

static bool ask_gai_a(const char *name)
{
	struct gaicb one = { .ar_name = name };
	struct gaicb *list[] = { &one };

	one.__return = EAI_NONAME;
	if (getaddrinfo_a(GAI_WAIT, list, 1, NULL) || one.__return)
		return false;
	freeaddrinfo(one.ar_result);
	return true;
}

static bool ask_ghbn(const char *name)
{
	return gethostbyname(name);
}

static bool ask_ghbn2(const char *name)
{
	return gethostbyname2(name, AF_INET6);
}

static bool ask_ghbn_r(const char *name)
{
	struct hostent h, *out;
	char buf[ROOM];
	int h_err;

	return !gethostbyname_r(name, &h, buf, sizeof(buf), &out, &h_err) && out;
}

static bool ask_ghbn2_r(const char *name)
{
	struct hostent h, *out;
	char buf[ROOM];
	int h_err;

	return !gethostbyname2_r(name, AF_INET6, &h, buf, sizeof(buf), &out, &h_err) && out;
}

static const struct {
	const char *call;
	bool (*ask)(const char *name);
} ways[] = {
	{ "getaddrinfo", ask_gai }, { "getaddrinfo, IPv4", ask_gai4 },
	{ "getaddrinfo, IPv6", ask_gai6 }, { "getaddrinfo_a", ask_gai_a },
	{ "gethostbyname", ask_ghbn }, { "gethostbyname2", ask_ghbn2 },
	{ "gethostbyname_r", ask_ghbn_r }, { "gethostbyname2_r", ask_ghbn2_r },
};

/* --- tests --------------------------------------------------------------------------------- */

enum who { LIBC, DAEMON, NOBODY };

static const struct {
	const char *name;
	enum who who;
	bool found;
} cases[] = {
	{ "example.org", LIBC, false }, { "web", LIBC, false }, { "pn.alt.org", LIBC, false },
	{ "1.0.20.198.in-addr.arpa", LIBC, false }, { "w\\101b.example.org", LIBC, false },
	{ FAKE_NAME, DAEMON, true }, { "WebSite.Pn.aLT.", DAEMON, true },
	{ "nobody.pn.alt", DAEMON, false },
	{ "a.b.pn.alt", NOBODY, false }, { "website.pn.alt..", NOBODY, false },
	{ "pn.alt", NOBODY, false }, { "website.p\\110.alt", NOBODY, false },
	{ "website.\\p\\n.\\alt.", NOBODY, false }, { "we\\b.pn.alt", NOBODY, false },
	{ "web\\.pn.alt", NOBODY, false }, { "1.0.18.198.in-addr.arpa", NOBODY, false },
	{ "1.0.18.19\\8.in-addr.arpa", NOBODY, false },
	{ "1.0.\\18.198.in-addr.arpa", NOBODY, false }, { "2001:20::1", NOBODY, false },
	{ FAKE_HIT, NOBODY, true },
};

static bool is_as_expected(size_t way, size_t i, enum who who)
{
	bool found;

	below_name[0] = '\0';
	fake_daemon.asked = 0;
	found = ways[way].ask(cases[i].name);
	/* An IPv4 address for a HIT is the daemon's to say, too */
	return (found == cases[i].found || (fake_daemon.down && !found)) &&
	       fake_daemon.asked == (who == DAEMON) &&
	       !strcmp(below_name, who == LIBC ? cases[i].name : "");
}

/* @foreign: who is asked for names that are not ours */
static void ask_all(enum who foreign)
{
	for (size_t w = 0; w < PN_ARRAY_LEN(ways); w++) {
		for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
			enum who who = cases[i].who == LIBC ? foreign : cases[i].who;

			if (!is_as_expected(w, i, who)) {
				printf("%s: %s\n", ways[w].call, cases[i].name);
				CU_FAIL("not as expected");
			}
		}
	}
}

static void test_who(void)
{
	below_none();
	ask_all(LIBC);
	fake_daemon.down = true;
	ask_all(LIBC);
	fake_reset();
}

static void test_only(void)
{
	below_none();
	shim()->only = true;
	ask_all(NOBODY);
	CU_ASSERT(ask_gai("127.0.0.1"));
	CU_ASSERT(!name_is_foreign("example.org"));
	fake_reset();
}

static void test_off(void)
{
	below_none();
	shim()->on = false;
	CU_ASSERT(!ask_gai(FAKE_NAME));
	CU_ASSERT_STRING_EQUAL(below_name, FAKE_NAME);
	CU_ASSERT(!ask_ghbn("pn.alt"));
	CU_ASSERT_STRING_EQUAL(below_name, "pn.alt");
	CU_ASSERT_EQUAL(fake_daemon.asked, 0);
	fake_reset();
}

static void test_answers(void)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *list;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	char text[INET6_ADDRSTRLEN];

	below_none();
	CU_ASSERT_EQUAL_FATAL(getaddrinfo("Website.pn.alt", "80", &hints, &list), 0);
	CU_ASSERT_EQUAL_FATAL(list->ai_family, AF_INET6);
	CU_ASSERT_PTR_NULL(list->ai_next);
	CU_ASSERT_STRING_EQUAL(list->ai_canonname, "Website.pn.alt");
	memcpy(&in6, list->ai_addr, sizeof(in6));
	CU_ASSERT_EQUAL(in6.sin6_port, htons(80));
	CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text)), FAKE_HIT);
	freeaddrinfo(list);
	hints.ai_family = AF_INET;
	CU_ASSERT_EQUAL_FATAL(getaddrinfo(FAKE_NAME, "80", &hints, &list), 0);
	memcpy(&in, list->ai_addr, sizeof(in));
	CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text)), FAKE_ADDR4);
	freeaddrinfo(list);
	hints.ai_flags = AI_NUMERICHOST;
	CU_ASSERT_EQUAL(getaddrinfo(FAKE_NAME, "80", &hints, &list), EAI_NONAME);
	CU_ASSERT_EQUAL(getaddrinfo(FAKE_HIT, "80", &hints, &list), EAI_ADDRFAMILY);
	hints.ai_family = AF_UNIX;
	CU_ASSERT_EQUAL(getaddrinfo(FAKE_NAME, NULL, &hints, &list), EAI_FAMILY);
	fake_reset();
}

static void test_h_errno(void)
{
	struct hostent h, *out;
	char text[INET6_ADDRSTRLEN], *buf;
	int h_err = 0, ret;
	size_t len;

	below_none();
	CU_ASSERT_PTR_NULL(gethostbyname("nobody.pn.alt"));
	CU_ASSERT_EQUAL(h_errno, HOST_NOT_FOUND);
	CU_ASSERT_PTR_NULL(gethostbyname("web.p\\110.alt"));
	CU_ASSERT_EQUAL(h_errno, HOST_NOT_FOUND);
	for (len = 0, ret = ERANGE; ret == ERANGE && len < ROOM; len++) {
		buf = malloc(len);
		ret = gethostbyname_r(FAKE_NAME, &h, buf, len, &out, &h_err);
		CU_ASSERT(ret ? h_err == NETDB_INTERNAL && !out : out == &h);
		if (!ret)
			CU_ASSERT_STRING_EQUAL(inet_ntop(AF_INET, h.h_addr_list[0], text,
							 sizeof(text)), FAKE_ADDR4);
		free(buf);
	}
	CU_ASSERT_EQUAL(ret, 0);
	fake_daemon.down = true;
	CU_ASSERT_PTR_NULL(gethostbyname(FAKE_NAME));
	CU_ASSERT_EQUAL(h_errno, TRY_AGAIN);
	CU_ASSERT_EQUAL(gethostbyname2_r(FAKE_NAME, AF_INET6, &h, text, 1, &out, &h_err), 0);
	CU_ASSERT_EQUAL(h_err, TRY_AGAIN);
	fake_reset();
}

static void test_reverse(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	char host[ROOM], port[8];
	struct hostent *h;

	inet_pton(AF_INET6, FAKE_HIT, &in6.sin6_addr);
	h = gethostbyaddr(&in6.sin6_addr, 16, AF_INET6);
	CU_ASSERT_PTR_NOT_NULL_FATAL(h);
	CU_ASSERT_STRING_EQUAL(h->h_name, FAKE_NAME);
	for (socklen_t len = 1; len < 30; len++) {
		char *tight = malloc(len);
		int ret = getnameinfo((struct sockaddr *)&in6, sizeof(in6), tight, len, port,
				      sizeof(port), NI_NUMERICSERV);

		CU_ASSERT_EQUAL(ret, len > strlen(FAKE_NAME) ? 0 : EAI_OVERFLOW);
		if (!ret)
			CU_ASSERT_STRING_EQUAL(tight, FAKE_NAME);
		free(tight);
	}
	in6.sin6_addr.s6_addr[15]++;
	CU_ASSERT_EQUAL(getnameinfo((struct sockaddr *)&in6, sizeof(in6), host, sizeof(host), NULL,
				    0, NI_NAMEREQD), EAI_NONAME);
	CU_ASSERT_EQUAL(getnameinfo((struct sockaddr *)&in6, sizeof(in6), host, sizeof(host), NULL,
				    0, 0), 0);
	CU_ASSERT_STRING_EQUAL(host, "2001:21::6");
	CU_ASSERT_PTR_NULL(gethostbyaddr(&in6.sin6_addr, 16, AF_INET6));
	CU_ASSERT_EQUAL(h_errno, HOST_NOT_FOUND);
}

/* What libc is given for later has other letters still.  It is not waited for; but a locale that
 * libc's thread has not could make another name of it. */
static void test_later_idn(void)
{
	const struct addrinfo hints = { .ai_flags = AI_IDN };
	struct gaicb one = { .ar_request = &hints }, *list[] = { &one };
	char *has_idn;
	locale_t own;

	setlocale(LC_CTYPE, "C.UTF-8");
	below_none();
	has_idn = idn_to_ascii("ｗｗｗ.example.org");
	one.ar_name = "ｗｗｗ.example.org";
	CU_ASSERT_EQUAL(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL), 0);
	CU_ASSERT_STRING_EQUAL(below_name, one.ar_name);
	below_name[0] = '\0';
	one.ar_name = "web。ｐｎ.alt";
	CU_ASSERT_EQUAL(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL), 0);
	CU_ASSERT_EQUAL(!below_name[0], has_idn != NULL);
	below_name[0] = '\0';
	own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	uselocale(own);
	one.__return = 0;
	CU_ASSERT_EQUAL(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL), 0);
	CU_ASSERT_EQUAL(one.__return, EAI_NONAME); /* at once */
	uselocale(LC_GLOBAL_LOCALE);
	freelocale(own);
	setlocale(LC_CTYPE, "C");
	free(has_idn);
	fake_reset();
}

/* Where no name is asked for, flags mean what they do for an address of libc's */
static void test_name_not_wanted(void)
{
	static const int flags[] = { 0, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICHOST | NI_NAMEREQD };
	struct sockaddr_in6 ours = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	struct sockaddr_in6 libcs = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	char host[ROOM], serv[ROOM];

	inet_pton(AF_INET6, FAKE_HIT, &ours.sin6_addr);
	for (size_t i = 0; i < 6 * PN_ARRAY_LEN(flags); i++) {
		int flag = flags[i / 6] | NI_NUMERICSERV, ret[2];
		char *to_host = i % 3 ? host : NULL, *to_serv = i / 3 % 2 ? serv : NULL;
		socklen_t len = i % 3 == 1 ? 0 : sizeof(host), serv_len = to_serv ? ROOM : 0;

		if (to_host && len && !(flag & NI_NUMERICHOST))
			continue;
		ret[0] = getnameinfo((struct sockaddr *)&ours, sizeof(ours), to_host, len, to_serv,
				     serv_len, flag);
		ret[1] = getnameinfo((struct sockaddr *)&libcs, sizeof(libcs), to_host, len,
				     to_serv, serv_len, flag);
		CU_ASSERT_EQUAL(ret[0], ret[1]);
	}
}

/* Each character as it is, or with an escape; now and then another one before it */
static void escape(const char *plain, char *out, uint64_t *seed)
{
	for (; *plain; plain++) {
		uint64_t dice = unit_random(seed) % 16;
		char c = dice & 8 && *plain >= 'a' ? (char)(*plain - 'a' + 'A') : *plain;

		if (dice == 7 && *plain != '.')
			*out++ = 'x';
		if (dice % 4 == 0 && *plain != '.')
			out += sprintf(out, "\\%03u", (unsigned int)c);
		else if (dice % 4 == 1 && *plain != '.' && (c < '0' || c > '9'))
			out += sprintf(out, "\\%c", c);
		else
			*out++ = c;
	}
	*out = '\0';
}

static bool wire_is_ours(const unsigned char *wire)
{
	static const char *const ends[] = { "\2pn\3alt", "\00218\003198\7in-addr\4arpa",
					    "\0012\0010\0010\0011\0010\0010\0012\3ip6\4arpa" };

	for (; *wire; wire += 1 + *wire) {
		for (size_t i = 0; i < PN_ARRAY_LEN(ends); i++) {
			if (!strcasecmp((const char *)wire, ends[i]))
				return true;
		}
	}
	return false;
}

/* The twin is the C library: what it would ask the DNS for, and whether that is ours */
static void test_escapes(void)
{
	static const char *const plain[] = { "web.pn.alt", "pn.alt.", "a.b.pn.alt", "pn.alto",
					     "1.18.198.in-addr.arpa", "2.0.0.1.0.0.2.ip6.arpa",
					     "xpn.alt", "example.org" };
	unsigned int ours = 0, foreign = 0;
	unsigned char wire[NS_MAXCDNAME];
	uint64_t seed = 1;
	char name[ROOM];
	uint8_t hit[16];
	bool expected;

	for (size_t i = 0; i < 40000; i++) {
		escape(plain[i % PN_ARRAY_LEN(plain)], name, &seed);
		if (ns_name_pton(name, wire, sizeof(wire)) < 0)
			CU_FAIL_FATAL("libc takes no such escape");
		expected = wire_is_ours(wire);
		ours += expected;
		foreign += !expected;
		if ((name_kind_of(name, hit) != NAME_FOREIGN) != expected) {
			printf("%s\n", name);
			CU_FAIL_FATAL("name and twin differ");
		}
	}
	CU_ASSERT(ours > 5000 && foreign > 5000);
}

static CU_TestInfo tests[] = {
	{ "who is asked for a name", test_who },
	{ "who is asked under PEERNET_ONLY", test_only },
	{ "who is asked when the shim is off", test_off },
	{ "addresses", test_answers },
	{ "errors of gethostbyname()", test_h_errno },
	{ "from address to name", test_reverse },
	{ "other letters, asked for later", test_later_idn },
	{ "names that are not wanted", test_name_not_wanted },
	{ "escapes against a twin", test_escapes },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_shim_names = { .pName = "shim names", .pTests = tests };
