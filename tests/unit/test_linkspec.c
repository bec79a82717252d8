// SPDX-License-Identifier: ISC
/* Link specifications: what is taken, what is refused, and with which words. */
#include "pnstackd/link/link.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaq"

static const struct {
	const char *text;
	enum link_type type;
	const char *name, *ifname, *host;
	uint16_t port;
	uint32_t mtu;
	uint16_t cost;
} good[] = {
	{ "eth:eth0", LINK_ETHERNET, "eth:eth0", "eth0", "", 0, 0, 0 },
	{ "eth:auto", LINK_ETHERNET, "eth:auto", "auto", "", 0, 0, 0 },
	{ "eth:br-0123456789ab,mtu=1400", LINK_ETHERNET, "eth:br-0123456789ab",
	  "br-0123456789ab", "", 0, 1400, 0 },
	{ "udp:host.example:6264", LINK_UDP_PEER, "udp:host.example:6264", "", "host.example",
	  6264, 0, 0 },
	{ "udp:10.0.0.1:1,cost=7", LINK_UDP_PEER, "udp:10.0.0.1:1", "", "10.0.0.1", 1, 0, 7 },
	{ "udp:[fe80::1%eth0]:65535", LINK_UDP_PEER, "udp:[fe80::1%eth0]:65535", "",
	  "fe80::1%eth0", 65535, 0, 0 },
	{ "udp:h:5#" ID, LINK_UDP_PEER, "udp:h:5", "", "h", 5, 0, 0 },
	{ "udp:h:5#" ID ".pn.alt,mtu=1280", LINK_UDP_PEER, "udp:h:5", "", "h", 5, 1280, 0 },
	{ "udp-listen:6264", LINK_UDP_LISTEN, "udp-listen:6264", "", "", 6264, 0, 0 },
	{ "udp-listen:*:6264", LINK_UDP_LISTEN, "udp-listen:*:6264", "", "", 6264, 0, 0 },
	{ "udp-listen:[::1]:9", LINK_UDP_LISTEN, "udp-listen:[::1]:9", "", "::1", 9, 0, 0 },
};

static void test_good(void)
{
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(good); i++) {
		struct link_spec s;
		char why[200] = "";

		CU_ASSERT_EQUAL_FATAL(link_spec_parse(good[i].text, &s, why, sizeof(why)), 0);
		CU_ASSERT_EQUAL(s.type, good[i].type);
		CU_ASSERT_STRING_EQUAL(s.name, good[i].name);
		CU_ASSERT_STRING_EQUAL(s.ifname, good[i].ifname);
		CU_ASSERT_STRING_EQUAL(s.host, good[i].host);
		CU_ASSERT_EQUAL(s.port, good[i].port);
		CU_ASSERT_EQUAL(s.mtu, good[i].mtu);
		CU_ASSERT_EQUAL(s.cost, good[i].cost);
		CU_ASSERT_EQUAL(s.has_id, strchr(good[i].text, '#') != NULL);
	}
}

/* text, and a part of the reason */
static const struct {
	const char *text, *why;
} wrong[] = {
	{ "", "must begin with" },
	{ "eth0", "must begin with" },
	{ "eth:", "interface" },
	{ "eth:a/b", "interface" },
	{ "eth:..", "interface" },
	{ "eth:abcdefghijklmnop", "interface" },
	{ "eth:eth0,mtu", "no value" },
	{ "eth:eth0,mtu=", "mtu" },
	{ "eth:eth0,mtu=0", "mtu" },
	{ "eth:eth0,mtu=-5", "mtu" },
	{ "eth:eth0,mtu=699", "mtu=699" },
	{ "udp:h:1,mtu=747", "mtu=747" },
	{ "eth:eth0,mtu=15x", "mtu" },
	{ "eth:eth0,mtu=99999999999999999999", "mtu" },
	{ "eth:eth0,colour=red", "unknown option \"colour\"" },
	{ "eth:eth0,", "no value" },
	{ "eth:eth0,ethertype=0x5ff", "ethertype" },
	{ "udp:h:1,ethertype=0x88b5", "ethertype" },
	{ "eth:eth0,seal=maybe", "seal" },
	{ "eth:eth0,control=1", "control" },
	{ "eth:eth0,bandwidth=fast", "bandwidth" },
	{ "eth:eth0,delay=5", "delay" },
	{ "eth:eth0,delay=11s", "delay" },
	{ "eth:eth0,delay=-1ms", "delay=-1ms: must be 0 to 10 seconds, as in 30ms" },
	{ "udp:h:1,loss=101%", "loss=101%: must be 0 to 100 percent, as in 1%" },
	{ "eth:eth0,loss=nan", "loss" },
	{ "eth:eth0,rate=1bit", "rate" },
	{ "udp:host", "port" },
	{ "udp:host:0", "port" },
	{ "udp:host:65536", "port" },
	{ "udp:host:12a", "port" },
	{ "udp::6264", "host" },
	{ "udp:::1:6264", "brackets" },
	{ "udp:h:5#abc", "identity" },
	{ "udp:h:5#", "identity" },
	{ "udp-listen:", "port" },
	{ "udp-listen:localhost:6264", "address to listen on" },
};

static void test_wrong(void)
{
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(wrong); i++) {
		struct link_spec s, before;
		char why[200] = "";

		memset(&s, 0xa5, sizeof(s));
		before = s;
		CU_ASSERT_EQUAL(link_spec_parse(wrong[i].text, &s, why, sizeof(why)), PN_EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, wrong[i].why));
		CU_ASSERT_EQUAL(memcmp(&s, &before, sizeof(s)), 0);
	}
}

static void test_units(void)
{
	struct link_spec s;
	char why[200];

	CU_ASSERT_EQUAL_FATAL(link_spec_parse("eth:a,delay=1.5s,loss=1%,rate=100mbit,seal=full,"
					      "ethertype=0x9000", &s, why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(s.test_delay_ns, PN_MS(1500));
	CU_ASSERT_DOUBLE_EQUAL(s.test_loss, 0.01, 1e-9);
	CU_ASSERT_EQUAL(s.test_rate_bps, 100000000);
	CU_ASSERT_TRUE(s.seal_full);
	CU_ASSERT_EQUAL(s.ethertype, 0x9000);
	CU_ASSERT_EQUAL(s.rate_bps, 0);
	CU_ASSERT_EQUAL_FATAL(link_spec_parse("udp:10.0.0.1:1,bandwidth=2mbit,control=48kbit", &s,
					      why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(s.rate_bps, 2000000);
	CU_ASSERT_EQUAL(s.control_bps, 48000);
	CU_ASSERT_EQUAL(s.test_rate_bps, 0);
	CU_ASSERT_EQUAL_FATAL(link_spec_parse("eth:a,delay=30ms,loss=0.25", &s, why,
					      sizeof(why)), 0);
	CU_ASSERT_EQUAL(s.test_delay_ns, PN_MS(30));
	CU_ASSERT_DOUBLE_EQUAL(s.test_loss, 0.25, 1e-9);
	CU_ASSERT_EQUAL_FATAL(link_spec_parse("udp-listen:1,delay=.5ms", &s, why, sizeof(why)),
			      0);
	CU_ASSERT_EQUAL(s.test_delay_ns, PN_US(500));
	CU_ASSERT_EQUAL(s.test_loss, 0);
}

/* Random mutations of good texts neither crash nor leave the reason empty. */
static void test_mutations(void)
{
	uint64_t seed = 1;
	int i;

	for (i = 0; i < 20000; i++) {
		const char *text = good[unit_random(&seed) % PN_ARRAY_LEN(good)].text;
		size_t len = strlen(text);
		char *copy = unit_copy(text, len + 1);
		char why[40] = "";
		struct link_spec s;

		copy[unit_random(&seed) % len] = (char)unit_random(&seed);
		if (unit_random(&seed) % 2)
			copy[unit_random(&seed) % len] = (char)(' ' + unit_random(&seed) % 95);
		if (link_spec_parse(copy, &s, why, sizeof(why)))
			CU_ASSERT_FATAL(why[0] != '\0');
		free(copy);
	}
}

static CU_TestInfo tests[] = {
	{ "good texts", test_good },
	{ "wrong texts and the reason", test_wrong },
	{ "units", test_units },
	{ "mutations", test_mutations },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_linkspec;
CU_SuiteInfo suite_linkspec = { .pName = "linkspec", .pTests = tests };
