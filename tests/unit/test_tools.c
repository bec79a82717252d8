/* SPDX-License-Identifier: ISC */
/* The tools' parsers of numbers, and what they print. */
#include "tests/unit/unit.h"

#include <CUnit/TestDB.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/node.h"
#include "tools/common/table.h"
#include "tools/common/tool.h"

static void test_u64(void)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		bool ok;
		uint64_t want;
	} rows[] = {
		{ "0", 0, 10, true, 0 },
		{ "10", 0, 10, true, 10 },
		{ "0010", 0, 10, true, 10 },
		{ "11", 0, 10, false, 0 },
		{ "0", 1, 10, false, 0 },
		{ "", 0, 10, false, 0 },
		{ "-1", 0, UINT64_MAX, false, 0 },
		{ "+1", 0, 10, false, 0 },
		{ " 1", 0, 10, false, 0 },
		{ "1 ", 0, 10, false, 0 },
		{ "1x", 0, 10, false, 0 },
		{ "0x1", 0, 10, false, 0 },
		{ "1e3", 0, 10000, false, 0 },
		{ "18446744073709551615", 0, UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, false, 0 },
		{ "99999999999999999999999", 0, UINT64_MAX, false, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t n = 4711;
		bool ok = tool_parse_u64(rows[i].text, rows[i].min, rows[i].max, &n);

		CU_ASSERT_EQUAL(ok, rows[i].ok);
		CU_ASSERT_EQUAL(n, rows[i].ok ? rows[i].want : 4711);
	}
}

static void test_seconds(void)
{
	static const struct {
		const char *text;
		uint64_t max_s;
		bool ok;
		uint64_t want_ns;
	} rows[] = {
		{ "1", 10, true, 1000000000 },
		{ "0", 10, true, 0 },
		{ "0.2", 10, true, 200000000 },
		{ ".5", 10, true, 500000000 },
		{ "5.", 10, true, 5000000000 },
		{ "0.000000001", 10, true, 1 },
		{ "0.0000000019", 10, true, 1 },
		{ "10", 10, true, 10000000000 },
		{ "10.0", 10, true, 10000000000 },
		{ "10.000000001", 10, false, 0 },
		{ "11", 10, false, 0 },
		{ "99999999999999999999999999", 10, false, 0 },
		{ "", 10, false, 0 },
		{ ".", 10, false, 0 },
		{ "-1", 10, false, 0 },
		{ "1,5", 10, false, 0 },
		{ "1s", 10, false, 0 },
		{ "1.5.", 10, false, 0 },
		{ "inf", 10, false, 0 },
		{ "nan", 10, false, 0 },
		{ "0x1", 10, false, 0 },
		{ "1e1", 10, false, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t ns = 4711;
		bool ok = tool_parse_seconds(rows[i].text, rows[i].max_s, &ns);

		CU_ASSERT_EQUAL(ok, rows[i].ok);
		CU_ASSERT_EQUAL(ns, rows[i].ok ? rows[i].want_ns : 4711);
	}
}

static void test_format(void)
{
	char buf[TOOL_DURATION_MAX], evil[] = "a\033[2Jb\xc3\xa4\n";

	CU_ASSERT_STRING_EQUAL(tool_format_ms(0, buf), "0.000");
	CU_ASSERT_STRING_EQUAL(tool_format_ms(86700, buf), "0.087");
	CU_ASSERT_STRING_EQUAL(tool_format_ms(12345678, buf), "12.35");
	CU_ASSERT_STRING_EQUAL(tool_format_ms(123456789, buf), "123.5");
	CU_ASSERT_STRING_EQUAL(tool_format_ms(1529999999, buf), "1530");
	CU_ASSERT_STRING_EQUAL(tool_format_age(3 * TOOL_NS_PER_S, buf), "3 s");
	CU_ASSERT_STRING_EQUAL(tool_format_age(121 * TOOL_NS_PER_S, buf), "2 min");
	CU_ASSERT_STRING_EQUAL(tool_format_age(UINT64_MAX, buf), "213503 d");
	CU_ASSERT_STRING_EQUAL(tool_format_bytes(999, buf), "999 B");
	CU_ASSERT_STRING_EQUAL(tool_format_bytes(1000, buf), "1.0 kB");
	CU_ASSERT_STRING_EQUAL(tool_format_bytes(999949, buf), "999.9 kB");
	CU_ASSERT_STRING_EQUAL(tool_format_bytes(999950, buf), "1.0 MB");
	CU_ASSERT_STRING_EQUAL(tool_format_bytes(UINT64_MAX, buf), "18.4 EB");
	CU_ASSERT_STRING_EQUAL(tool_clean(evil), "a?[2Jb???");
}

static void test_node(void)
{
	static const char key[] = "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";
	char text[NODE_TEXT_MAX];
	struct node n = { .identity = "" };
	uint64_t a = 7;

	CU_ASSERT_FALSE(node_known(&n));
	snprintf(n.hit, sizeof(n.hit), "2001:21::1");
	CU_ASSERT_STRING_EQUAL(node_text(&n, true, text), "2001:21::1");
	snprintf(n.identity, sizeof(n.identity), "%s", key);
	CU_ASSERT_STRING_EQUAL(node_text(&n, false, text), "abcdefgh..");
	CU_ASSERT_STRING_EQUAL(node_text(&n, true, text),
			       "abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst.pn.alt");
	snprintf(n.petname, sizeof(n.petname), "alice");
	CU_ASSERT_STRING_EQUAL(node_text(&n, false, text), "alice");
	CU_ASSERT_STRING_EQUAL(
		node_text(&n, true, text),
		"abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst.pn.alt (alice)");
	CU_ASSERT_TRUE(node_known(&n));

	CU_ASSERT_TRUE(node_parse_address("0x1F", &a) && a == 0x1f);
	CU_ASSERT_TRUE(node_parse_address("00000000000000ff", &a) && a == 0xff);
	CU_ASSERT_TRUE(node_parse_address("ffffffffffffffff", &a) && a == UINT64_MAX);
	CU_ASSERT_FALSE(node_parse_address("fffffffffffffffff", &a));
	CU_ASSERT_FALSE(node_parse_address("", &a));
	CU_ASSERT_FALSE(node_parse_address("0x", &a));
	CU_ASSERT_FALSE(node_parse_address("12g", &a));
	CU_ASSERT_EQUAL(a, UINT64_MAX);
	CU_ASSERT_EQUAL(node_level(5, 5), -1);
	CU_ASSERT_EQUAL(node_level(5, 4), 0);
	CU_ASSERT_EQUAL(node_level(0, 8), 3);
	CU_ASSERT_EQUAL(node_level(0, UINT64_MAX), 63);
}

static void test_table(void)
{
	static const char *const heads[] = { "WHO", ">N", "REST" };
	struct table *t = table_new(heads, 3);
	char text[256] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	table_cell(t, "%s", "a");
	table_cell(t, "%d", 1000);
	table_cell(t, "%s", "x\ty");
	table_cell(t, "%s", "longer");
	table_cell(t, "%d", 2);
	table_cell(t, "%s", "");
	CU_ASSERT_EQUAL(table_rows(t), 2);
	table_print(t, f);
	fclose(f);
	table_free(t);
	CU_ASSERT_STRING_EQUAL(text,
			       "WHO        N  REST\n"
			       "a       1000  x?y\n"
			       "longer     2  -\n");
}

static CU_TestInfo tests[] = {
	{ "numbers", test_u64 },
	{ "seconds", test_seconds },
	{ "numbers for people", test_format },
	{ "nodes", test_node },
	{ "tables", test_table },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_tools;
CU_SuiteInfo suite_tools = { .pName = "tools", .pTests = tests };
