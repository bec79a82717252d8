// SPDX-License-Identifier: ISC
/* The replay window against a naive twin that remembers every counter. */
#include "libpeernet/base/pn_assert.h"
#include "pnstackd/net/replay.h"
#include "tests/unit/unit.h"

#include <string.h>

#define SPAN 20000
#define WINDOW REPLAY_DEFAULT

static uint64_t words[REPLAY_WORDS(WINDOW)];

static void test_twin(void)
{
	static bool seen[SPAN];

	for (uint64_t round = 1; round <= 20; round++) {
		struct replay r;
		uint64_t state = round, top = 0, at = 0;
		bool any = false;
		int wrong = 0;

		replay_init(&r, words, PN_ARRAY_LEN(words));
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 30000; i++) {
			uint64_t c, x = unit_random(&state);
			bool want;

			/* mostly around the top, sometimes far ahead or far back */
			if (x % 50 == 0)
				at += unit_random(&state) % (round % 3 ? 200 : 4000);
			c = at + unit_random(&state) % 64;
			if (x % 7 == 0)
				c -= c < 3000 ? c : unit_random(&state) % 3000;
			if (c >= SPAN)
				break;
			want = !seen[c] && (!any || c > top || top - c < WINDOW);
			wrong += replay_is_new(&r, c) != want;
			if (!want)
				continue;
			replay_mark(&r, c);
			seen[c] = true;
			any = true;
			top = c > top ? c : top;
		}
		CU_ASSERT_EQUAL(wrong, 0);
		CU_ASSERT(top > 10000);
	}
}

static void test_edges(void)
{
	static const struct { uint64_t counter; bool is_new; } steps[] = {
		{ 0, true }, { 0, false }, { 1, true }, { 63, true }, { 64, true },
		{ 2047, true }, { 2048, true }, { 0, false }, { 2, true }, { 1, false },
		{ 2049, true }, { 1, false }, { 1000000, true }, { 1000000 - 2047, true },
		{ 1000000 - 2048, false }, { 2050, false }, { 1000000, false },
		{ UINT64_MAX, true }, { UINT64_MAX, false }, { UINT64_MAX - 1, true },
		{ UINT64_MAX - 2047, true }, { UINT64_MAX - 2048, false },
	};
	struct replay r;

	replay_init(&r, words, PN_ARRAY_LEN(words));
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		CU_ASSERT_EQUAL(replay_is_new(&r, steps[i].counter), steps[i].is_new);
		if (replay_is_new(&r, steps[i].counter))
			replay_mark(&r, steps[i].counter);
	}
	CU_ASSERT(WINDOW >= 2048);
}

static CU_TestInfo tests[] = {
	{ "as its naive twin", test_twin },
	{ "edges", test_edges },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_replay;
CU_SuiteInfo suite_replay = { .pName = "replay", .pTests = tests };
