/* SPDX-License-Identifier: ISC */
/* Messages between programs and the daemon: round trips, every truncation, noise. */
#include "libpeernet/api_wire.h"

#include "libpeernet/base/pn_error.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void fill(void *p, size_t n, uint64_t *state)
{
	uint8_t *b = p;

	while (n--)
		*b++ = (uint8_t)unit_random(state);
}

static void test_connect(void)
{
	struct pn_wire_connect in, out;
	uint8_t buf[PN_WIRE_CONNECT_LEN];
	uint64_t state = 1;
	size_t i;

	fill(&in, sizeof(in), &state);
	pn_wire_connect_build(&in, buf);
	CU_ASSERT_EQUAL(buf[0], 'P');
	CU_ASSERT_EQUAL(pn_wire_connect_parse(buf, sizeof(buf), &out), 0);
	CU_ASSERT_EQUAL(in.flags, out.flags);
	CU_ASSERT_EQUAL(in.port, out.port);
	CU_ASSERT_EQUAL(in.local_port, out.local_port);
	CU_ASSERT_EQUAL(in.sndbuf, out.sndbuf);
	CU_ASSERT(!memcmp(in.hit, out.hit, 16));
	CU_ASSERT(!memcmp(in.key, out.key, 16));
	for (i = 0; i < sizeof(buf); i++) {
		void *cut = unit_copy(buf, i);

		CU_ASSERT_EQUAL(pn_wire_connect_parse(cut, i, &out), PN_EBADMSG);
		free(cut);
	}
	for (i = 0; i < 4; i++) {   /* magic and version */
		buf[i] ^= 1;
		CU_ASSERT_EQUAL(pn_wire_connect_parse(buf, sizeof(buf), &out), PN_EBADMSG);
		buf[i] ^= 1;
	}
}

/* The layout is a promise to other implementations: byte by byte. */
static void test_connect_layout(void)
{
	static const uint8_t want[32] = {
		'P', 'N', 'c', 1, 0x00, 0x02, 0x1f, 0x90, 0xc0, 0x01, 0, 0, 0, 1, 0, 0,
		0x20, 1, 0, 0x21, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
	};
	struct pn_wire_connect in = { .flags = PN_WIRE_F_FILLER, .port = 8080,
				      .local_port = 49153, .sndbuf = 65536 };
	uint8_t buf[PN_WIRE_CONNECT_LEN];

	memset(in.hit, 5, 16);
	memcpy(in.hit, "\x20\x01\x00\x21", 4);
	pn_wire_connect_build(&in, buf);
	CU_ASSERT(!memcmp(buf, want, sizeof(want)));
}

static void test_msg(void)
{
	struct pn_wire_msg in, out;
	uint8_t buf[PN_WIRE_MSG_LEN + 3] = { 0 };
	const uint8_t *payload;
	size_t payload_len, i;
	uint64_t state = 2;

	fill(&in, sizeof(in), &state);
	pn_wire_msg_build(&in, buf);
	memcpy(buf + PN_WIRE_MSG_LEN, "abc", 3);
	CU_ASSERT_EQUAL(pn_wire_msg_parse(buf, sizeof(buf), &out, &payload, &payload_len), 0);
	CU_ASSERT_EQUAL(in.op, out.op);
	CU_ASSERT_EQUAL(in.flags, out.flags);
	CU_ASSERT_EQUAL(in.port, out.port);
	CU_ASSERT_EQUAL(in.backlog, out.backlog);
	CU_ASSERT_EQUAL(in.count, out.count);
	CU_ASSERT(!memcmp(in.hit, out.hit, 16));
	CU_ASSERT(!memcmp(in.key, out.key, 16));
	CU_ASSERT_EQUAL(payload_len, 3);
	CU_ASSERT(!memcmp(payload, "abc", 3));
	for (i = 0; i < PN_WIRE_MSG_LEN; i++) {
		void *cut = unit_copy(buf, i);

		CU_ASSERT_EQUAL(pn_wire_msg_parse(cut, i, &out, &payload, &payload_len),
				PN_EBADMSG);
		free(cut);
	}
	buf[0] = 2;
	CU_ASSERT_EQUAL(pn_wire_msg_parse(buf, sizeof(buf), &out, &payload, &payload_len),
			PN_EBADMSG);
}

static void test_reply(void)
{
	uint8_t buf[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX];
	uint8_t big[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX + 1];
	struct pn_wire_reply in = { .port = 443, .err = 111, .addr4 = 0xc6120001, .uid = 1000 };
	struct pn_wire_reply out;
	uint64_t state = 3;
	size_t len, i;

	fill(in.hit, 16, &state);
	fill(in.id, 32, &state);
	CU_ASSERT_EQUAL(pn_wire_reply_build(&in, buf), PN_WIRE_REPLY_LEN);
	memset(in.name, 'n', PN_WIRE_NAME_MAX);
	in.name[PN_WIRE_NAME_MAX] = '\0';
	len = pn_wire_reply_build(&in, buf);
	CU_ASSERT_EQUAL(len, sizeof(buf));
	CU_ASSERT_EQUAL(pn_wire_reply_parse(buf, len, &out), 0);
	CU_ASSERT_EQUAL(in.port, out.port);
	CU_ASSERT_EQUAL(in.err, out.err);
	CU_ASSERT_EQUAL(in.addr4, out.addr4);
	CU_ASSERT_EQUAL(in.uid, out.uid);
	CU_ASSERT(!memcmp(in.hit, out.hit, 16));
	CU_ASSERT(!memcmp(in.id, out.id, 32));
	CU_ASSERT_STRING_EQUAL(in.name, out.name);
	for (i = 0; i < PN_WIRE_REPLY_LEN; i++) {
		void *cut = unit_copy(buf, i);

		CU_ASSERT_EQUAL(pn_wire_reply_parse(cut, i, &out), PN_EBADMSG);
		free(cut);
	}
	memcpy(big, buf, len);
	big[len] = 'n';
	CU_ASSERT_EQUAL(pn_wire_reply_parse(big, sizeof(big), &out), PN_EBADMSG);
	buf[PN_WIRE_REPLY_LEN + 1] = 0;   /* a name with a NUL inside */
	CU_ASSERT_EQUAL(pn_wire_reply_parse(buf, len, &out), PN_EBADMSG);
}

static void test_dgram(void)
{
	struct pn_wire_dgram in, out;
	uint8_t buf[PN_WIRE_DGRAM_LEN];
	uint64_t state = 4;
	size_t i;

	fill(&in, sizeof(in), &state);
	pn_wire_dgram_build(&in, buf);
	CU_ASSERT_EQUAL(pn_wire_dgram_parse(buf, sizeof(buf), &out), 0);
	CU_ASSERT_EQUAL(in.flags, out.flags);
	CU_ASSERT_EQUAL(in.port, out.port);
	CU_ASSERT(!memcmp(in.hit, out.hit, 16));
	for (i = 0; i < sizeof(buf); i++) {
		void *cut = unit_copy(buf, i);

		CU_ASSERT_EQUAL(pn_wire_dgram_parse(cut, i, &out), PN_EBADMSG);
		free(cut);
	}
}

static void test_name(void)
{
	static const char kinds[] = "calbd";
	static const uint8_t families[] = { 6, 4, 7 };
	struct pn_wire_name in = { 0 }, out;
	struct sockaddr_un un;
	uint64_t state = 5;
	socklen_t len;
	size_t i;

	for (i = 0; i < 15; i++) {
		fill(&in, sizeof(in), &state);
		in.kind = (uint8_t)kinds[i % 5];
		in.family = families[i % 3];
		len = pn_wire_name_build(&in, &un);
		CU_ASSERT_EQUAL(len, sizeof(sa_family_t) + 1 + PN_WIRE_NAME_LEN);
		CU_ASSERT_EQUAL(un.sun_path[0], 0);
		CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len, &out), 0);
		CU_ASSERT_EQUAL(in.kind, out.kind);
		CU_ASSERT_EQUAL(in.family, out.family);
		CU_ASSERT_EQUAL(in.peer_port, out.peer_port);
		CU_ASSERT_EQUAL(in.local_port, out.local_port);
		CU_ASSERT(!memcmp(in.peer, out.peer, 16));
		CU_ASSERT(!memcmp(in.local, out.local, 16));
		CU_ASSERT(!memcmp(in.key, out.key, 16));
	}
	for (i = 0; i < len; i++)
		CU_ASSERT_EQUAL(pn_wire_name_parse(&un, (socklen_t)i, &out), PN_EBADMSG);
	CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len + 1, &out), PN_EBADMSG);
	un.sun_path[4] = 'z';   /* kind */
	CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len, &out), PN_EBADMSG);
	un.sun_path[4] = 'c';
	CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len, &out), 0);
	un.sun_path[5] = 5;     /* family */
	CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len, &out), PN_EBADMSG);
	un.sun_path[5] = 6;
	un.sun_path[0] = '/';   /* a file's name */
	CU_ASSERT_EQUAL(pn_wire_name_parse(&un, len, &out), PN_EBADMSG);
}

/* What a parser takes, its builder makes again from. */
static void test_noise(void)
{
	uint8_t buf[PN_WIRE_CONNECT_LEN], again[PN_WIRE_CONNECT_LEN];
	struct pn_wire_connect c;
	uint64_t state = 6;
	size_t taken = 0, i;

	for (i = 0; i < 20000; i++) {
		fill(buf, sizeof(buf), &state);
		if (i % 2)
			memcpy(buf, "PNc\1", 4);
		if (pn_wire_connect_parse(buf, sizeof(buf), &c) < 0)
			continue;
		taken++;
		pn_wire_connect_build(&c, again);
		CU_ASSERT(!memcmp(buf, again, 10));
		CU_ASSERT(!memcmp(buf + 12, again + 12, 36));
	}
	CU_ASSERT(taken >= 10000);
}

static CU_TestInfo tests[] = {
	{ "stream header", test_connect },
	{ "stream header, layout", test_connect_layout },
	{ "connector message", test_msg },
	{ "reply", test_reply },
	{ "datagram header", test_dgram },
	{ "abstract name", test_name },
	{ "noise", test_noise },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_api_wire;
CU_SuiteInfo suite_api_wire = { .pName = "api_wire", .pTests = tests };
