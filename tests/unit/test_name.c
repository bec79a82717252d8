// SPDX-License-Identifier: ISC
/* Base32 and host names. */
#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_error.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* Made with: python3 -c 'import base64; print(base64.b32encode(bytes(
 * range(32))).decode().lower())' */
#define KEY_TEXT	"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
#define LABEL_63	"a-bcdefghijklmnopqrstuvwxyz0123456789-abcdefghijklmnopqrstuvwxy"

static void key_fill(uint8_t id[PN_ID_LEN])
{
	uint8_t i;

	for (i = 0; i < PN_ID_LEN; i++)
		id[i] = i;
}

static void test_id_text(void)
{
	char text[PN_ID_TEXT_LEN + 1], name[PN_ID_NAME_LEN + 1];
	uint8_t id[PN_ID_LEN], back[PN_ID_LEN];
	uint64_t state = 3;
	size_t i, n;

	key_fill(id);
	pn_id_to_text(id, text);
	CU_ASSERT_STRING_EQUAL(text, KEY_TEXT);
	pn_id_to_name(id, name);
	CU_ASSERT_STRING_EQUAL(name, KEY_TEXT ".pn.alt");

	for (n = 0; n < 1000; n++) {
		for (i = 0; i < PN_ID_LEN; i++)
			id[i] = (uint8_t)unit_random(&state);
		pn_id_to_text(id, text);
		CU_ASSERT_EQUAL(strlen(text), PN_ID_TEXT_LEN);
		CU_ASSERT(!pn_id_from_text(text, strlen(text), back));
		CU_ASSERT(!memcmp(id, back, PN_ID_LEN));
	}
	memset(id, 0xff, sizeof(id));
	pn_id_to_text(id, text);
	CU_ASSERT_EQUAL(text[PN_ID_TEXT_LEN - 1], 'q');	/* 10000 */
	CU_ASSERT(!pn_id_from_text(text, strlen(text), back));
	CU_ASSERT(!memcmp(id, back, PN_ID_LEN));
}

static void test_id_refused(void)
{
	static const char bad[] = "0189=-. \xff\x80@[`{";
	char text[] = KEY_TEXT;
	uint8_t id[PN_ID_LEN], same[PN_ID_LEN];
	size_t i, k;

	memset(id, 0x55, sizeof(id));
	memset(same, 0x55, sizeof(same));
	for (i = 0; i < PN_ID_TEXT_LEN; i++) {
		char *copy = unit_copy(text, i);

		CU_ASSERT_EQUAL(pn_id_from_text(copy, i, id), PN_EMSGSIZE);
		free(copy);
	}
	CU_ASSERT_EQUAL(pn_id_from_text(KEY_TEXT "a", 53, id), PN_EMSGSIZE);
	for (i = 0; i < PN_ID_TEXT_LEN; i++) {
		for (k = 0; k < sizeof(bad); k++) {	/* and NUL */
			text[i] = bad[k];
			CU_ASSERT_EQUAL(pn_id_from_text(text, 52, id),
					PN_EINVAL);
		}
		text[i] = KEY_TEXT[i];
	}
	/* of the last character only the first bit counts: 'a' or 'q' */
	for (k = 0; k < 32; k++) {
		text[51] = "abcdefghijklmnopqrstuvwxyz234567"[k];
		if (k != 0 && k != 16)
			CU_ASSERT_EQUAL(pn_id_from_text(text, 52, id),
					PN_EINVAL);
	}
	CU_ASSERT(!memcmp(id, same, sizeof(id)));	/* left alone */
}

static void test_parse_key(void)
{
	static const char *const good[] = {
		KEY_TEXT ".pn.alt",
		KEY_TEXT ".pn.alt.",
		"AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ.PN.Alt",
	};
	uint8_t id[PN_ID_LEN];
	struct pn_name name;
	size_t i;

	key_fill(id);
	for (i = 0; i < PN_ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(pn_name_parse(good[i], &name), 0);
		CU_ASSERT_EQUAL(name.kind, PN_NAME_ID);
		CU_ASSERT(!memcmp(name.id, id, sizeof(id)));
		CU_ASSERT_STRING_EQUAL(name.label, "");
		CU_ASSERT_STRING_EQUAL(name.reason, "");
	}
}

static void test_parse_petname(void)
{
	static const struct {
		const char *text;
		const char *label;
	} good[] = {
		{ "alice.pn.alt", "alice" },
		{ "ALICE.Pn.aLT.", "alice" },
		{ "a.pn.alt", "a" },
		{ "0.pn.alt", "0" },
		{ "my-old-laptop2.pn.alt", "my-old-laptop2" },
		{ LABEL_63 ".pn.alt", LABEL_63 },
		{ "abcdefghijabcdefghijabcdefghijabcdefghi.pn.alt",
		  "abcdefghijabcdefghijabcdefghijabcdefghi" },
	};
	struct pn_name name;
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(pn_name_parse(good[i].text, &name), 0);
		CU_ASSERT_EQUAL(name.kind, PN_NAME_PETNAME);
		CU_ASSERT_STRING_EQUAL(name.label, good[i].label);
		CU_ASSERT(pn_label_ok(name.label, strlen(name.label)));
	}
	CU_ASSERT(!pn_label_ok("", 0));
	CU_ASSERT(!pn_label_ok("a.b", 3));
	CU_ASSERT(!pn_label_ok(KEY_TEXT, 52));
}

static void test_parse_foreign(void)
{
	static const char *const foreign[] = {
		"", ".", "localhost", "example.com", "pn", "alt", "example.alt",
		"alice.pn", "alice.pn.alt.com", "xpn.alt", "alice.xpn.alt",
		"alice.pn.altx", "alice.pn.alt..", "alicepn.alt", KEY_TEXT,
		"2001:21::1", "..", "alice.pn..alt",
	};
	struct pn_name name;
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(foreign); i++) {
		CU_ASSERT_EQUAL(pn_name_parse(foreign[i], &name), 0);
		CU_ASSERT_EQUAL(name.kind, PN_NAME_FOREIGN);
		CU_ASSERT_STRING_EQUAL(name.reason, "");
	}
}

static void test_parse_malformed(void)
{
#define NOT "not a PeerNet name: "
	static const char only[] = NOT "only letters, digits and hyphens are allowed";
	static const char ends[] = NOT "a label has no hyphen at its ends";
	static const char more[] = NOT "more than one label before .pn.alt";
	static const char none[] = NOT "nothing before .pn.alt";
	static const struct {
		const char *text;
		const char *reason;
	} bad[] = {
		{ "pn.alt", none },
		{ ".pn.alt", none },
		{ "PN.ALT.", none },
		{ "..pn.alt", more },
		{ "a.b.pn.alt", more },
		{ "www." KEY_TEXT ".pn.alt", more },
		{ "-a.pn.alt", ends },
		{ "a-.pn.alt", ends },
		{ "a_b.pn.alt", only },
		{ "a b.pn.alt", only },
		{ "\xc3\xa4.pn.alt", only },
		{ LABEL_63 "z.pn.alt", NOT "a label has at most 63 characters" },
		/* keys that are none */
		{ "aaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.pn.alt",
		  NOT "51 characters, a key has 52" },
		{ KEY_TEXT "a.pn.alt", NOT "53 characters, a key has 52" },
		{ "abcdefghijabcdefghijabcdefghijabcdefghij.pn.alt",
		  NOT "40 characters, a key has 52" },
		{ "1aaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq.pn.alt",
		  NOT "a key has letters and the digits 2 to 7, but not 0, 1, 8, 9" },
		{ "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypr.pn.alt",
		  NOT "the last character of the key is wrong" },
	};
	struct pn_name name;
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(bad); i++) {
		CU_ASSERT_EQUAL(pn_name_parse(bad[i].text, &name), PN_EINVAL);
		CU_ASSERT_EQUAL(name.kind, PN_NAME_FOREIGN);
		CU_ASSERT_STRING_EQUAL(name.reason, bad[i].reason);
	}
}

static void test_hit(void)
{
	uint8_t ip[PN_HIT_LEN] = { 0 };

	CU_ASSERT(!pn_is_hit(ip));
	pn_hit_set_prefix(ip);
	CU_ASSERT(!memcmp(ip, "\x20\x01\x00\x21", 4));	/* 2001:21:: */
	CU_ASSERT(pn_is_hit(ip));
	CU_ASSERT(pn_is_orchid(ip));
	ip[3] = 0x20;		/* an ORCHID, but somebody else's */
	CU_ASSERT(!pn_is_hit(ip));
	CU_ASSERT(pn_is_orchid(ip));
	ip[3] = 0x31;
	CU_ASSERT(!pn_is_orchid(ip));
	ip[3] = 0x21;
	ip[2] = 1;
	CU_ASSERT(!pn_is_hit(ip));
}

static CU_TestInfo tests[] = {
	{ "identity to text and back", test_id_text },
	{ "texts that are no identity", test_id_refused },
	{ "names of keys", test_parse_key },
	{ "petnames", test_parse_petname },
	{ "foreign names", test_parse_foreign },
	{ "malformed names and why", test_parse_malformed },
	{ "HITs", test_hit },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_name;
CU_SuiteInfo suite_name = { .pName = "name", .pTests = tests };
