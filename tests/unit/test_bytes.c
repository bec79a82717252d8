// SPDX-License-Identifier: ISC
/* Reader and writer of bytes. */
#include "libpeernet/base/bytes.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* A message with a field of each kind:
 *	u8, u16, u32, u64, { u16 length, "hello", u8 }, 3 bytes copied */
static size_t sample_build(uint8_t *buf, size_t cap)
{
	struct pn_wr w;
	size_t mark;

	pn_wr_init(&w, buf, cap);
	pn_wr_u8(&w, 0x12);
	pn_wr_u16(&w, 0x3456);
	pn_wr_u32(&w, 0x789abcde);
	pn_wr_u64(&w, 0xf0123456789abcde);
	mark = pn_wr_open16(&w);
	pn_wr_bytes(&w, "hello", 5);
	pn_wr_u8(&w, 7);
	pn_wr_close16(&w, mark);
	pn_wr_bytes(&w, "abc", 3);
	return pn_wr_ok(&w) ? w.len : 0;
}

static bool sample_parse(const uint8_t *buf, size_t len)
{
	struct pn_rd r, sub;
	const uint8_t *hello;
	uint8_t abc[3];
	bool right;

	pn_rd_init(&r, buf, len);
	right = pn_rd_u8(&r) == 0x12;
	right = pn_rd_u16(&r) == 0x3456 && right;
	right = pn_rd_u32(&r) == 0x789abcde && right;
	right = pn_rd_u64(&r) == 0xf0123456789abcde && right;
	sub = pn_rd_sub(&r, pn_rd_u16(&r));
	hello = pn_rd_bytes(&sub, 5);
	right = hello && !memcmp(hello, "hello", 5) && right;
	right = pn_rd_u8(&sub) == 7 && right;
	right = pn_rd_copy(&r, abc, 3) && !memcmp(abc, "abc", 3) && right;
	if (!pn_rd_finish(&sub) || !pn_rd_finish(&r))
		return false;
	CU_ASSERT(right);
	return right;
}

static void test_round_trip(void)
{
	static const uint8_t expected[] = {
		0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde,
		0xf0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde,
		0, 6, 'h', 'e', 'l', 'l', 'o', 7, 'a', 'b', 'c',
	};
	uint8_t buf[64];
	size_t len = sample_build(buf, sizeof(buf));

	CU_ASSERT_EQUAL_FATAL(len, sizeof(expected));
	CU_ASSERT(!memcmp(buf, expected, len));
	CU_ASSERT(sample_parse(buf, len));
}

static void test_every_truncation(void)
{
	uint8_t buf[64];
	size_t len = sample_build(buf, sizeof(buf));
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t *copy = unit_copy(buf, i);

		CU_ASSERT(!sample_parse(copy, i));
		free(copy);
	}
	CU_ASSERT(!sample_parse(buf, len + 1));	/* something left over */
}

static void test_every_short_buffer(void)
{
	uint8_t buf[64];
	size_t len = sample_build(buf, sizeof(buf));
	size_t i;

	for (i = 0; i < len; i++) {
		uint8_t *room = unit_copy(buf, i);

		CU_ASSERT_EQUAL(sample_build(room, i), 0);
		free(room);
	}
	CU_ASSERT_EQUAL(sample_build(buf, len), len);
}

static void test_reader_sticky(void)
{
	uint8_t dst[4] = { 1, 2, 3, 4 };
	struct pn_rd r;

	pn_rd_init(&r, "\1\2\3", 3);
	CU_ASSERT_EQUAL(pn_rd_u32(&r), 0);
	CU_ASSERT(r.bad);
	CU_ASSERT_EQUAL(pn_rd_left(&r), 0);
	CU_ASSERT_EQUAL(pn_rd_u8(&r), 0);	/* though there were three */
	CU_ASSERT_EQUAL(pn_rd_u16(&r), 0);
	CU_ASSERT_EQUAL(pn_rd_u64(&r), 0);
	CU_ASSERT_PTR_NULL(pn_rd_bytes(&r, 0));
	CU_ASSERT(!pn_rd_skip(&r, 0));
	CU_ASSERT(!pn_rd_copy(&r, dst, 4));
	CU_ASSERT(!memcmp(dst, "\0\0\0\0", 4));
	CU_ASSERT(!pn_rd_finish(&r));
}

static void test_reader_edges(void)
{
	struct pn_rd r, sub;

	pn_rd_init(&r, NULL, 0);
	CU_ASSERT(pn_rd_finish(&r));
	CU_ASSERT_PTR_NOT_NULL(pn_rd_bytes(&r, 0));
	CU_ASSERT(pn_rd_copy(&r, NULL, 0));
	CU_ASSERT(pn_rd_finish(&r));
	CU_ASSERT(!pn_rd_skip(&r, SIZE_MAX));
	CU_ASSERT(!pn_rd_finish(&r));

	pn_rd_init(&r, "\1\2\3\4", 4);
	sub = pn_rd_sub(&r, 2);
	CU_ASSERT_EQUAL(pn_rd_left(&sub), 2);
	CU_ASSERT(!pn_rd_finish(&sub));		/* not read */
	CU_ASSERT(pn_rd_skip(&sub, 2));
	CU_ASSERT(pn_rd_finish(&sub));
	CU_ASSERT_EQUAL(pn_rd_u8(&sub), 0);	/* never beyond its part */
	CU_ASSERT_EQUAL(pn_rd_u16(&r), 0x0304);
	CU_ASSERT(pn_rd_finish(&r));

	pn_rd_init(&r, "\1\2", 2);
	sub = pn_rd_sub(&r, 3);
	CU_ASSERT(!pn_rd_finish(&sub));
	CU_ASSERT(!pn_rd_finish(&r));

	pn_rd_init(&r, "\1\2", 2);
	pn_rd_fail(&r);
	CU_ASSERT_EQUAL(pn_rd_u8(&r), 0);
	CU_ASSERT(!pn_rd_finish(&r));
}

static void test_writer_ranges(void)
{
	uint8_t buf[16];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u8(&w, 255);
	pn_wr_u16(&w, 65535);
	pn_wr_u32(&w, 4294967295);
	CU_ASSERT(pn_wr_ok(&w));
	CU_ASSERT_EQUAL(w.len, 7);

	pn_wr_u8(&w, 256);
	CU_ASSERT(!pn_wr_ok(&w));
	CU_ASSERT_EQUAL(w.len, 7);
	pn_wr_u8(&w, 0);			/* sticky */
	CU_ASSERT_EQUAL(w.len, 7);
	CU_ASSERT_PTR_NULL(pn_wr_reserve(&w, 0));

	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u16(&w, 65536);
	CU_ASSERT(!pn_wr_ok(&w));
	pn_wr_init(&w, buf, sizeof(buf));
	pn_wr_u32(&w, (uint64_t)1 << 32);
	CU_ASSERT(!pn_wr_ok(&w));
	pn_wr_init(&w, NULL, 0);
	CU_ASSERT(pn_wr_ok(&w));
	pn_wr_bytes(&w, NULL, 0);
	CU_ASSERT(pn_wr_ok(&w));
	pn_wr_u8(&w, 0);
	CU_ASSERT(!pn_wr_ok(&w));
}

static void test_writer_lengths(void)
{
	static const size_t cap = 2 + UINT16_MAX + 1;
	uint8_t *buf = malloc(cap);
	struct pn_wr w;
	size_t outer, inner;

	CU_ASSERT_PTR_NOT_NULL_FATAL(buf);
	pn_wr_init(&w, buf, cap);
	outer = pn_wr_open16(&w);
	inner = pn_wr_open16(&w);
	pn_wr_close16(&w, inner);
	pn_wr_close16(&w, outer);
	CU_ASSERT(pn_wr_ok(&w));
	CU_ASSERT(!memcmp(buf, "\0\2\0\0", 4));

	pn_wr_init(&w, buf, cap);
	outer = pn_wr_open16(&w);
	CU_ASSERT_PTR_NOT_NULL(pn_wr_reserve(&w, UINT16_MAX));
	pn_wr_close16(&w, outer);
	CU_ASSERT(pn_wr_ok(&w));
	CU_ASSERT(!memcmp(buf, "\xff\xff", 2));
	CU_ASSERT_PTR_NOT_NULL(pn_wr_reserve(&w, 1));
	pn_wr_close16(&w, outer);
	CU_ASSERT(!pn_wr_ok(&w));
	free(buf);
}

static CU_TestInfo tests[] = {
	{ "round trip", test_round_trip },
	{ "every truncation", test_every_truncation },
	{ "every buffer that is too short", test_every_short_buffer },
	{ "a reader's failure is sticky", test_reader_sticky },
	{ "reader edges", test_reader_edges },
	{ "a writer checks ranges", test_writer_ranges },
	{ "back-patched lengths", test_writer_lengths },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_bytes;
CU_SuiteInfo suite_bytes = { .pName = "bytes", .pTests = tests };
