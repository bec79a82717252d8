/* SPDX-License-Identifier: ISC */
/* Random scenarios, in the manner of swarm testing: each run draws which sorts of
 * fault it has at all, so that some runs are full of one sort and free of the
 * others, and then faults of these sorts.  They are written as lines of a
 * scenario, which whoever wants to make a run smaller can put into a file. */
#include "tests/sim/swarm.h"
#include "tests/sim/rng.h"
#include "tests/sim/util.h"

#include "libpeernet/base/pn_assert.h"

#define SILENT(r) (rng_below(r, 3) == 0 ? " silent" : "")

enum sort { CRASH, RETURN, PARTITION, CUT, FLAP, ONEWAY, SLOW, CLOCK, MOVE, QUALITY, CHURN, SORTS };

static void quality(char *line, size_t cap, struct rng *r, double at_s, double for_s)
{
	switch (rng_below(r, 5)) {
	case 0:
		snprintf(line, cap, "at %.2fs set loss %u%% for %.2fs", at_s,
			 (unsigned)rng_below(r, 20), for_s);
		break;
	case 1:
		snprintf(line, cap, "at %.2fs set duplicate %u%% for %.2fs", at_s,
			 (unsigned)rng_below(r, 20), for_s);
		break;
	case 2:
		snprintf(line, cap, "at %.2fs set delay %ums for %.2fs", at_s,
			 (unsigned)rng_below(r, 100), for_s);
		break;
	case 3: snprintf(line, cap, "at %.2fs set jitter 0.9 for %.2fs", at_s, for_s); break;
	default: snprintf(line, cap, "at %.2fs set reorder on for %.2fs", at_s, for_s); break;
	}
}

static void line_draw(char *line, size_t cap, struct rng *r, enum sort sort, double at_s,
		      double for_s, uint32_t nodes)
{
	unsigned few = 1 + (unsigned)rng_below(r, 1 + nodes / 20);

	switch (sort) {
	case CRASH:
		if (rng_below(r, 4) == 0)
			snprintf(line, cap, "at %.2fs crash leader%s", at_s, SILENT(r));
		else
			snprintf(line, cap, "at %.2fs crash %u random%s", at_s, few, SILENT(r));
		break;
	case RETURN:
		snprintf(line, cap, "at %.2fs return %u random %s", at_s, few,
			 rng_below(r, 2) ? "with-key" : "new-key");
		break;
	case PARTITION:
		snprintf(line, cap, "at %.2fs partition %u%% for %.2fs%s", at_s,
			 10 + (unsigned)rng_below(r, 41), for_s, SILENT(r));
		break;
	case CUT:
		snprintf(line, cap, "at %.2fs cut %u random for %.2fs%s", at_s, few, for_s,
			 SILENT(r));
		break;
	case FLAP:
		snprintf(line, cap, "at %.2fs flap %u random every %ums for %.2fs%s", at_s, few,
			 200 + (unsigned)rng_below(r, 4000), for_s, SILENT(r));
		break;
	case ONEWAY:
		snprintf(line, cap, "at %.2fs oneway %u random for %.2fs", at_s, few, for_s);
		break;
	case SLOW:
		snprintf(line, cap, "at %.2fs slow %u random delay %ums for %.2fs", at_s, few,
			 1 + (unsigned)rng_below(r, 500), for_s);
		break;
	case CLOCK:
		snprintf(line, cap, "at %.2fs clock %u random %dppm", at_s, few,
			 (int)rng_below(r, 2001) - 1000);
		break;
	case MOVE: snprintf(line, cap, "at %.2fs move random%s", at_s, SILENT(r)); break;
	case CHURN:
		snprintf(line, cap, "at %.2fs churn %u%%/min for %.2fs away 5s %s%s", at_s,
			 5 + (unsigned)rng_below(r, 100), for_s,
			 rng_below(r, 2) ? "with-key" : "new-key", SILENT(r));
		break;
	case QUALITY: quality(line, cap, r, at_s, for_s); break;
	case SORTS: PN_ASSERT(false);
	}
}

void swarm_make(struct scenario *s, const struct topology *topo, uint64_t seed, uint32_t count,
		double within_s, void (*tell)(const char *line))
{
	char line[128], err[256];
	uint32_t i, wanted;
	struct rng r;

	rng_init(&r, seed, "swarm");
	do
		wanted = (uint32_t)rng_below(&r, 1U << SORTS);
	while (wanted == 0);
	for (i = 0; i < count; i++) {
		double at_s = within_s * rng_unit(&r);
		double for_s = 0.5 + (within_s - at_s) * rng_unit(&r);
		enum sort sort;

		do
			sort = (enum sort)rng_below(&r, SORTS);
		while (!(wanted & 1U << sort));
		line_draw(line, sizeof(line), &r, sort, at_s, for_s, topo->node_count);
		if (!scenario_line(s, line, "swarm", 0, topo, err, sizeof(err)))
			PN_ASSERT(false);
		if (tell)
			tell(line);
	}
}
