/* SPDX-License-Identifier: ISC */
/* The shim's inner functions that need no daemon: addresses, options, names.
 * They are included, since the shim's objects export libc's names and must not
 * be linked into another program. */
#include "tests/unit/unit.h"

#include "libpeernet/base/words.h"
#include "shim/libpnpreload/hostent.c"
#include "shim/libpnpreload/optstore.c"
#include "shim/libpnpreload/sa.c"

#include <stdlib.h>

static const uint8_t hit[16] = { 0x20, 0x01, 0x00, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };

static enum sa_kind kind_of(const char *text, uint16_t port)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sa_dest d;

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		sa_parse((struct sockaddr *)&in, sizeof(in), &d);
	} else {
		CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
		sa_parse((struct sockaddr *)&in6, sizeof(in6), &d);
	}
	CU_ASSERT_EQUAL(d.port, port);
	return d.kind;
}

static void test_kinds(void)
{
	static const struct {
		const char *text;
		enum sa_kind kind;
	} cases[] = {
		{ "2001:21:102::1", SA_PEERNET }, { "2001:21::", SA_PEERNET },
		{ "2001:20::1", SA_ORCHID }, { "2001:2f:ffff::", SA_ORCHID },
		{ "2001:30::1", SA_KERNEL }, { "2001:1f::1", SA_KERNEL },
		{ "198.18.0.1", SA_MAPPED }, { "198.19.255.255", SA_MAPPED },
		{ "198.17.255.255", SA_KERNEL }, { "198.20.0.0", SA_KERNEL },
		{ "::ffff:198.18.0.1", SA_MAPPED }, { "::ffff:10.0.0.1", SA_KERNEL },
		{ "::ffff:0.0.0.0", SA_WILDCARD }, { "0.0.0.0", SA_WILDCARD },
		{ "::", SA_WILDCARD }, { "::1", SA_KERNEL }, { "127.0.0.1", SA_KERNEL },
	};
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(kind_of(cases[i].text, (uint16_t)(80 + i)), cases[i].kind);
}

/* Every length, on the heap, so that ASan sees a read too far */
static void test_short_addresses(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sa_dest d;
	socklen_t len;
	void *copy;

	memcpy(&in6.sin6_addr, hit, sizeof(hit));
	for (len = 0; len <= sizeof(in6); len++) {
		copy = unit_copy(&in6, len);
		sa_parse(copy, len, &d);
		CU_ASSERT_EQUAL(d.kind, len >= 24 ? SA_PEERNET : SA_OTHER);
		free(copy);
	}
	in.sin_addr.s_addr = htonl(0xc6120001);
	for (len = 0; len <= sizeof(in); len++) {
		copy = unit_copy(&in, len);
		sa_parse(copy, len, &d);
		CU_ASSERT_EQUAL(d.kind, len == sizeof(in) ? SA_MAPPED : SA_OTHER);
		free(copy);
	}
	sa_parse(NULL, 16, &d);
	CU_ASSERT_EQUAL(d.kind, SA_OTHER);
}

static void check_built(int domain, const struct sa_addr *a, uint32_t addr4, const char *want)
{
	struct sockaddr_storage out;
	char text[INET6_ADDRSTRLEN] = "";
	socklen_t len = sa_build(domain, a, addr4, &out);

	CU_ASSERT_EQUAL(out.ss_family, domain);
	if (domain == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)&out;

		CU_ASSERT_EQUAL(len, sizeof(*in));
		CU_ASSERT_EQUAL(ntohs(in->sin_port), a->port);
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
	} else {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&out;

		CU_ASSERT_EQUAL(len, sizeof(*in6));
		CU_ASSERT_EQUAL(ntohs(in6->sin6_port), a->port);
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
	}
	CU_ASSERT_STRING_EQUAL(text, want);
}

static void test_build(void)
{
	struct sa_addr pn = { .family = 6, .port = 80 };
	const struct sa_addr four = { .family = 4, .port = 81, .ip = { 10, 1, 2, 3 } };
	const struct sa_addr none = { 0 }, any = { .family = 6, .port = 82 };

	memcpy(pn.ip, hit, sizeof(hit));
	check_built(AF_INET6, &pn, 0, "2001:21:102:304:506:708:90a:b0c");
	check_built(AF_INET, &pn, 0xc6120007, "198.18.0.7");
	check_built(AF_INET6, &four, 0, "::ffff:10.1.2.3");
	check_built(AF_INET, &four, 0, "10.1.2.3");
	check_built(AF_INET6, &none, 0, "::");
	check_built(AF_INET, &none, 0, "0.0.0.0");
	check_built(AF_INET, &any, 0, "0.0.0.0");
	check_built(AF_INET6, &any, 0, "::");
}

static int get(const struct opt_store *s, bool stream, int level, int name)
{
	socklen_t len = sizeof(int);
	int v = -7;

	if (opt_get(s, stream, level, name, &v, &len))
		return -7;
	CU_ASSERT_EQUAL(len, sizeof(int));
	return v;
}

static int set(struct opt_store *s, bool stream, int level, int name, int v)
{
	return opt_set(s, stream, level, name, &v, sizeof(v));
}

static void test_options(void)
{
	struct opt_store s = { 0 };
	int v = 0;

	CU_ASSERT_EQUAL(get(&s, true, IPPROTO_TCP, TCP_NODELAY), 0);
	CU_ASSERT_EQUAL(set(&s, true, IPPROTO_TCP, TCP_NODELAY, 5), 0);
	CU_ASSERT_EQUAL(get(&s, true, IPPROTO_TCP, TCP_NODELAY), 1);
	CU_ASSERT_EQUAL(set(&s, true, SOL_SOCKET, SO_SNDBUF, 1000), 0);
	CU_ASSERT_EQUAL(get(&s, true, SOL_SOCKET, SO_SNDBUF), 2000);
	CU_ASSERT_EQUAL(set(&s, true, SOL_SOCKET, SO_SNDBUF, INT32_MAX), 0);
	CU_ASSERT(get(&s, true, SOL_SOCKET, SO_SNDBUF) > 0);
	CU_ASSERT_EQUAL(set(&s, true, IPPROTO_TCP, TCP_KEEPIDLE, 77), 0);
	CU_ASSERT_EQUAL(opt_int(&s, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	CU_ASSERT_EQUAL(opt_int(&s, IPPROTO_IP, IP_TTL), 64);
	/* As the program passed it */
	CU_ASSERT(opt_stored(&s, IPPROTO_TCP, TCP_KEEPIDLE, &v));
	CU_ASSERT_EQUAL(v, 77);
	CU_ASSERT_EQUAL(set(&s, true, SOL_SOCKET, SO_RCVBUF, 1000), 0);
	CU_ASSERT(opt_stored(&s, SOL_SOCKET, SO_RCVBUF, &v));
	CU_ASSERT_EQUAL(v, 1000);
	CU_ASSERT_FALSE(opt_stored(&s, IPPROTO_IP, IP_TTL, &v));
	CU_ASSERT(opt_is_switch(true, IPPROTO_TCP, TCP_NODELAY));
	CU_ASSERT_FALSE(opt_is_switch(false, IPPROTO_TCP, TCP_NODELAY));
	CU_ASSERT_FALSE(opt_is_switch(true, IPPROTO_TCP, TCP_KEEPIDLE));
	CU_ASSERT_FALSE(opt_knows(true, IPPROTO_TCP, TCP_ULP));
	/* TCP's are not UDP's */
	CU_ASSERT_EQUAL(get(&s, false, IPPROTO_TCP, TCP_NODELAY), -7);
	CU_ASSERT_EQUAL(set(&s, false, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT);
	CU_ASSERT_EQUAL(set(&s, true, IPPROTO_UDP, UDP_CORK, 1), ENOPROTOOPT);
	/* never pretended */
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_TCP, TCP_ULP, "tls", 4), ENOENT);
	CU_ASSERT_EQUAL(set(&s, true, IPPROTO_TCP, TCP_MD5SIG, 1), ENOPROTOOPT);
	CU_ASSERT_EQUAL(set(&s, true, IPPROTO_IP, IP_MTU, 1), ENOPROTOOPT);
	/* lengths */
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_TCP, TCP_NODELAY, "\1\0\0", 3), EINVAL);
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_IP, IP_TOS, "\x10", 1), 0);
	CU_ASSERT_EQUAL(get(&s, true, IPPROTO_IP, IP_TOS), 16);
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_TCP, TCP_NODELAY, NULL, 4), EFAULT);
	CU_ASSERT(opt_is_ours(IPPROTO_TCP, 9999));
	CU_ASSERT(!opt_is_ours(SOL_SOCKET, SO_RCVTIMEO));
}

/* Programs pass structures of many ages: what fits is copied, no byte more */
static void test_option_lengths(void)
{
	struct opt_store s = { 0 };
	socklen_t room, len;
	char *buf;

	for (room = 0; room <= 400; room += 8) {
		buf = malloc(room + 1);
		memset(buf, 0x55, room + 1);
		len = room;
		CU_ASSERT_EQUAL(opt_get(&s, true, IPPROTO_TCP, TCP_INFO, buf, &len), 0);
		CU_ASSERT(len <= room);
		CU_ASSERT(!room || buf[0] == TCP_ESTABLISHED);
		CU_ASSERT_EQUAL(buf[len], 0x55);
		free(buf);
	}
	buf = malloc(16);
	len = 16;
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
	CU_ASSERT_EQUAL(opt_get(&s, true, IPPROTO_TCP, TCP_CONGESTION, buf, &len), 0);
	CU_ASSERT_STRING_EQUAL(buf, "reno");
	CU_ASSERT_EQUAL(opt_set(&s, true, IPPROTO_TCP, TCP_CONGESTION, "none", 4), ENOENT);
	free(buf);
}

static void test_option_walk(void)
{
	int level, name, value, seen = 0;
	struct opt_store s = { 0 };
	unsigned int at = 0;

	CU_ASSERT(!opt_each(&s, &at, &level, &name, &value));
	set(&s, true, SOL_SOCKET, SO_RCVBUF, 5000);
	set(&s, true, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	for (at = 0; opt_each(&s, &at, &level, &name, &value); seen++)
		CU_ASSERT(level == SOL_SOCKET ? value == 5000 : value == 1);
	CU_ASSERT_EQUAL(seen, 2);
}

static void test_names(void)
{
	static const struct {
		const char *name;
		enum name_kind kind;
	} cases[] = {
		{ "example.org", NAME_FOREIGN }, { "", NAME_FOREIGN },
		{ "pn.alt.org", NAME_FOREIGN },
		{ "xpn.alt", NAME_FOREIGN }, { "::1", NAME_FOREIGN }, { "127.0.0.1", NAME_FOREIGN },
		{ "web.pn.alt", NAME_OURS }, { "WEB.PN.ALT.", NAME_OURS },
		{ "a.b.pn.alt", NAME_BAD }, { "-.pn.alt", NAME_BAD }, { ".pn.alt", NAME_BAD },
		{ "pn.alt", NAME_BAD }, { "x y.pn.alt", NAME_BAD }, { "web.pn.alt..", NAME_BAD },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pn.alt", NAME_BAD },
		{ "2001:21::1", NAME_HIT }, { "2001:20::1", NAME_BAD },
		{ "1.2.0.0.1.0.0.2.ip6.arpa", NAME_BAD }, { "2.0.0.1.0.0.2.IP6.ARPA.", NAME_BAD },
		{ "3.0.0.1.0.0.2.ip6.arpa", NAME_FOREIGN },
		{ "12.0.0.1.0.0.2.ip6.arpa", NAME_FOREIGN },
		{ "1.0.19.198.in-addr.arpa", NAME_BAD }, { "18.198.in-addr.arpa", NAME_BAD },
		{ "1.0.118.198.in-addr.arpa", NAME_FOREIGN },
		{ "1.0.20.198.in-addr.arpa", NAME_FOREIGN },
		{ "web.p\\110.alt", NAME_BAD }, { "web.\\080\\N.ALT.", NAME_BAD },
		{ "web\\046pn.alt", NAME_BAD }, { "\\000.pn.alt", NAME_BAD },
		{ "\\1web.pn.alt", NAME_BAD }, { "\\999web.pn.al\\t", NAME_BAD },
		{ "2001:21:\\:1", NAME_BAD }, { "\\050.0.0.1.0.0.2.ip6.arpa", NAME_BAD },
		{ "exam\\112le.org", NAME_FOREIGN }, { "web.p\\1100.alt", NAME_FOREIGN },
		{ "web.p\\010.alt", NAME_FOREIGN }, { "web.pn.alt\\000", NAME_FOREIGN },
		{ "example.org\\", NAME_FOREIGN }, { "\\", NAME_FOREIGN },
	};
	char *too_long = malloc(3001);
	uint8_t out[16];
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(name_kind_of(cases[i].name, out), cases[i].kind);
	for (i = 0; i < 3000; i++)
		too_long[i] = i % 2 ? 'a' : '\\';
	too_long[3000] = '\0';
	CU_ASSERT_EQUAL(name_kind_of(too_long, out), NAME_BAD);
	CU_ASSERT_EQUAL(name_kind_of(too_long + 1000, out), NAME_FOREIGN);
	free(too_long);
	CU_ASSERT_EQUAL(name_kind_of(NULL, out), NAME_FOREIGN);
	CU_ASSERT_EQUAL(name_eai(0), 0);
	CU_ASSERT_EQUAL(name_eai(ENETDOWN), EAI_AGAIN);
	CU_ASSERT_EQUAL(name_eai(ENOENT), EAI_NONAME);
}

/* Any size and alignment of the caller's buffer: it fits, or ERANGE */
static void test_hostent(void)
{
	size_t len, shift, fitted = 0;
	struct hostent h;
	char *buf;

	for (shift = 0; shift < sizeof(void *); shift++) {
		for (len = 0; len < 100; len++) {
			buf = malloc(len + shift);
			if (hostent_fill(&h, buf + shift, len, "web.pn.alt", AF_INET6, hit)) {
				free(buf);
				continue;
			}
			fitted++;
			CU_ASSERT_STRING_EQUAL(h.h_name, "web.pn.alt");
			CU_ASSERT_EQUAL(h.h_length, 16);
			CU_ASSERT(!memcmp(h.h_addr_list[0], hit, 16));
			CU_ASSERT_PTR_NULL(h.h_addr_list[1]);
			CU_ASSERT_PTR_NULL(h.h_aliases[0]);
			free(buf);
		}
	}
	CU_ASSERT(fitted > 0);
}

static void test_words(void)
{
	static const struct {
		const char *list;
		bool has;
	} cases[] = {
		{ NULL, false }, { "", false }, { " :", false }, { "/a.so", true },
		{ "/a.so:/b.so", true }, { "/b.so /a.so", true }, { ": :/a.so: ", true },
		{ "/a.so.old", false }, { "/x/a.so", false }, { "/a.s", false },
		{ "/a.so.old:/a.so", true }, { "/a.sox /b.so", false },
	};

	for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(pn_words_have(cases[i].list, PN_PRELOAD_SEPARATORS, "/a.so"),
				cases[i].has);
	CU_ASSERT(!pn_words_have("/a.so", PN_PRELOAD_SEPARATORS, ""));
	CU_ASSERT(!pn_words_have("::", PN_PRELOAD_SEPARATORS, ""));
}

static CU_TestInfo tests[] = {
	{ "where addresses lead", test_kinds },
	{ "addresses that are too short", test_short_addresses },
	{ "addresses for the program", test_build },
	{ "options read back", test_options },
	{ "options of any length", test_option_lengths },
	{ "walking the options", test_option_walk },
	{ "whose name it is", test_names },
	{ "struct hostent in any buffer", test_hostent },
	{ "whole words of a list", test_words },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_shim;
CU_SuiteInfo suite_shim = {
	.pName = "shim",
	.pTests = tests,
};
