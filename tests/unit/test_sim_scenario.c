// SPDX-License-Identifier: ISC
/* Scenario files: what each line means, and what is said of wrong ones. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The simulator is no archive; these files of it stand alone. */
#include "tests/sim/parse.c"
#include "tests/sim/scenario.c"

static char name_a[] = "a", name_12[] = "12", name_random[] = "random";
static char *names[] = { name_a, name_12, name_random };
static double place[3];
static const struct topology topo = { .names = names, .node_count = 3, .x = place, .y = place };
static const struct topology nowhere = { .names = names, .node_count = 3 };

static char err[256];

static bool line(struct scenario *s, const char *text)
{
	err[0] = '\0';
	return scenario_line(s, text, "file.scn", 7, &topo, err, sizeof(err));
}

/* One line alone; the fault it is */
static struct fault one(const char *text)
{
	struct scenario s = { 0 };
	struct fault f = { .kind = FAULT_END };

	CU_ASSERT_TRUE_FATAL(line(&s, text));
	CU_ASSERT_EQUAL_FATAL(s.count, 1);
	f = s.faults[0];
	scenario_free(&s);
	return f;
}

static void numbers(void)
{
	static const struct {
		const char *text;
		double seconds;	/* negative: refused */
	} times[] = {
		{ "20s", 20 },	 { "50ms", 0.05 }, { "2min", 120 }, { "3", 3 },	   { "0.5s", 0.5 },
		{ "", -1 },	 { "s", -1 },	   { "-1s", -1 },   { "1h", -1 },  { " 1", -1 },
		{ "0x10", -1 },	 { "1e9", -1 },	   { "inf", -1 },   { "nan", -1 }, { "1ss", -1 },
	};
	uint32_t bytes;
	uint64_t rate;
	double v;
	size_t i;

	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		v = -1;
		CU_ASSERT_EQUAL(parse_seconds(times[i].text, &v), times[i].seconds >= 0);
		CU_ASSERT_DOUBLE_EQUAL(v, times[i].seconds, 1e-9);
	}
	CU_ASSERT_TRUE(parse_share("5%", &v));
	CU_ASSERT_DOUBLE_EQUAL(v, 0.05, 1e-9);
	CU_ASSERT_FALSE(parse_share("101%", &v));
	CU_ASSERT_FALSE(parse_share("1.01", &v));
	CU_ASSERT_TRUE(parse_rate("10M", &rate));
	CU_ASSERT_EQUAL(rate, 10000000);
	CU_ASSERT_TRUE(parse_bytes("64k", &bytes));
	CU_ASSERT_EQUAL(bytes, 65536);
}

static void whom(void)
{
	struct fault f = one("at 20s crash random silent # of them all");

	CU_ASSERT_EQUAL(f.kind, FAULT_CRASH);
	CU_ASSERT_DOUBLE_EQUAL(f.at_s, 20, 1e-9);
	CU_ASSERT_EQUAL(f.who, WHO_RANDOM);
	CU_ASSERT_EQUAL(f.count, 1);
	CU_ASSERT_TRUE(f.silent);
	f = one("crash 12 random");
	CU_ASSERT_EQUAL(f.who, WHO_RANDOM);
	CU_ASSERT_EQUAL(f.count, 12);
	f = one("crash 10%");
	CU_ASSERT_EQUAL(f.who, WHO_SHARE);
	CU_ASSERT_DOUBLE_EQUAL(f.share, 0.1, 1e-9);
	f = one("at 30s return 12 new-key");
	CU_ASSERT_EQUAL(f.who, WHO_NAMED);
	CU_ASSERT_EQUAL(f.node, 1);
	CU_ASSERT_EQUAL(f.key, KEY_NEW);
	f = one("crash node random"); /* somebody may be called so */
	CU_ASSERT_EQUAL(f.who, WHO_NAMED);
	CU_ASSERT_EQUAL(f.node, 2);
	f = one("flap link a 12 every 500ms for 30s");
	CU_ASSERT_EQUAL(f.who, WHO_NAMED);
	CU_ASSERT_EQUAL(f.other, 1);
	CU_ASSERT_DOUBLE_EQUAL(f.every_s, 0.5, 1e-9);
	f = one("crash leader");
	CU_ASSERT_EQUAL(f.who, WHO_LEADER);
}

static void what(void)
{
	struct fault f = one("churn 10%/min for 60s away 5s least 99.9%");

	CU_ASSERT_DOUBLE_EQUAL(f.value, 0.1, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(f.away_s, 5, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(f.least, 0.999, 1e-9);
	f = one("mobility 60m/10s steps 3");
	CU_ASSERT_DOUBLE_EQUAL(f.value, 60, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(f.every_s, 10, 1e-9);
	CU_ASSERT_EQUAL(f.count, 3);
	CU_ASSERT_EQUAL(f.pings, 200);
	f = one("set rate 1M for 3s");
	CU_ASSERT_EQUAL(f.setting, SET_RATE);
	CU_ASSERT_DOUBLE_EQUAL(f.value, 1e6, 1);
	CU_ASSERT_DOUBLE_EQUAL(f.for_s, 3, 1e-9);
	f = one("clock all -500ppm");
	CU_ASSERT_DOUBLE_EQUAL(f.value, -500, 1e-9);
	f = one("slow node 12 delay 50ms");
	CU_ASSERT_DOUBLE_EQUAL(f.value, 0.05, 1e-9);
	CU_ASSERT_TRUE(f.for_s < 0);
	f = one("partition 0.5 for 20s");
	CU_ASSERT_DOUBLE_EQUAL(f.value, 0.5, 1e-9);
}

static void wrong(void)
{
	static const struct {
		const char *text, *says;
	} lines[] = {
		{ "at noon crash random", "file.scn:7: at wants a time, as in 20s, 50ms or 2min, "
					  "not \"noon\"" },
		{ "at 20s", "file.scn:7: at what time happens what?" },
		{ "explode", "file.scn:7: what is \"explode\"?" },
		{ "crash nobody", "file.scn:7: there is no node \"nobody\"" },
		{ "crash random loudly", "file.scn:7: crash: what is \"loudly\"?" },
		{ "crash random for 3s", "file.scn:7: crash: what is \"for\"?" },
		{ "flap random", "file.scn:7: flap: for how long? (\"for 30s\")" },
		{ "set colour blue", "file.scn:7: cannot set \"colour\"" },
		{ "set loss 200%", "file.scn:7: loss: bad value \"200%\"" },
		{ "churn 10% for 60s", "file.scn:7: churn wants SHARE/min, not \"10%\"" },
		{ "slow a 50ms", "file.scn:7: slow wants \"delay\" and a time" },
		{ "join 4", "file.scn:7: 4 nodes cannot join, there are only 3" },
		{ "join 0", "file.scn:7: \"0\" is not a number from 1 on" },
		{ "origin middle", "file.scn:7: origin is \"start\" or \"rest\"" },
		{ "cut a", "file.scn:7: there is no node \"\"" },
	};
	struct scenario s = { 0 };
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		CU_ASSERT_FALSE(line(&s, lines[i].text));
		CU_ASSERT_STRING_EQUAL(err, lines[i].says);
	}
	CU_ASSERT_FALSE(scenario_line(&s, "mobility 60m/10s", "x", 0, &nowhere, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "x: mobility needs a topology with places: geometric:N or "
				    "geometric:N/LINKS");
	scenario_free(&s);
}

static void whole(void)
{
	char file[] = "/tmp/scenario-test-XXXXXX";
	struct scenario s = { 0 };
	int fd = mkstemp(file);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("# a comment\n\norigin start\nat 5s crash random\r\n"
	      "at 2s join 2 over 10s\n\tat 1s\tmove a to 12", f);
	fclose(f);
	CU_ASSERT_TRUE(scenario_read(&s, file, &topo, err, sizeof(err)));
	CU_ASSERT_EQUAL(s.count, 3);
	CU_ASSERT_TRUE(s.from_start);
	CU_ASSERT_TRUE(s.radio_moves);
	CU_ASSERT_EQUAL(s.joins, 2);
	CU_ASSERT_DOUBLE_EQUAL(s.end_s, 12, 1e-9);
	CU_ASSERT_EQUAL(s.faults[2].line, 6);
	scenario_free(&s);
	unlink(file);
	CU_ASSERT_FALSE(scenario_read(&s, file, &topo, err, sizeof(err)));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "No such file"));
}

static CU_TestInfo tests[] = {
	{ "numbers with units", numbers },
	{ "whom it hits", whom },
	{ "what it does", what },
	{ "wrong lines", wrong },
	{ "a whole file", whole },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_sim_scenario = { .pName = "scenarios", .pTests = tests };
