/* SPDX-License-Identifier: ISC */
/* Reading scenarios.
 *
 * A line is split at blanks; what each word of a fault may be followed by stands
 * in one table (kinds[]), so that all faults are read by the same code. */
#include "tests/sim/scenario.h"
#include "tests/sim/parse.h"
#include "tests/sim/util.h"

#include <errno.h>
#include <stdarg.h>

#define WORDS_MAX 24
#define LINE_MAX_LEN 1024
#define FLAP_EVERY_S 2
#define AWAY_S 20
#define MOBILITY_STEPS 30	/* as meshnet-lab's mobility1 */
#define MOBILITY_PINGS 200
#define MOBILITY_PING_S 4	/* two to send, two to wait */
#define MOVE_WATCH_S 10

struct reader {
	char *word[WORDS_MAX];
	unsigned count, at;
	const char *where;
	unsigned line;
	const struct topology *topo;
	char *err;
	size_t err_cap;
};

/* What a fault takes, in this order, and then in any order the options */
#define TAKES_NODES	(1U << 0)
#define TAKES_LINKS	(1U << 1)
#define TAKES_COUNT	(1U << 2)
#define TAKES_SHARE	(1U << 3)
#define TAKES_PER_MIN	(1U << 4)	/* 10%/min */
#define TAKES_PER_S	(1U << 5)	/* 20/s */
#define TAKES_PPM	(1U << 6)
#define TAKES_STEP	(1U << 7)	/* 60m/10s */
#define TAKES_SETTING	(1U << 8)
#define TAKES_FOR	(1U << 9)
#define NEEDS_FOR	(1U << 10)
#define TAKES_SILENT	(1U << 11)
#define TAKES_KEY	(1U << 12)
#define TAKES_EVERY	(1U << 13)
#define TAKES_OVER	(1U << 14)
#define TAKES_AWAY	(1U << 15)
#define TAKES_TO	(1U << 16)
#define TAKES_STEPS	(1U << 17)	/* and pings */
#define TAKES_DELAY	(1U << 18)
#define TAKES_LEAST	(1U << 19)

static const struct {
	const char *name;
	unsigned takes;
} kinds[] = {
	[FAULT_CRASH] = { "crash", TAKES_NODES | TAKES_SILENT },
	[FAULT_RETURN] = { "return", TAKES_NODES | TAKES_KEY },
	[FAULT_JOIN] = { "join", TAKES_COUNT | TAKES_OVER },
	[FAULT_CHURN] = { "churn", TAKES_PER_MIN | TAKES_FOR | NEEDS_FOR | TAKES_AWAY | TAKES_KEY |
				   TAKES_SILENT | TAKES_LEAST },
	[FAULT_PARTITION] = { "partition", TAKES_SHARE | TAKES_FOR | TAKES_SILENT },
	[FAULT_HEAL] = { "heal", 0 },
	[FAULT_CUT] = { "cut", TAKES_LINKS | TAKES_FOR | TAKES_SILENT },
	[FAULT_MEND] = { "mend", TAKES_LINKS },
	[FAULT_FLAP] = { "flap", TAKES_LINKS | TAKES_EVERY | TAKES_FOR | NEEDS_FOR | TAKES_SILENT },
	[FAULT_ONEWAY] = { "oneway", TAKES_LINKS | TAKES_FOR },
	[FAULT_SLOW] = { "slow", TAKES_NODES | TAKES_DELAY | TAKES_FOR },
	[FAULT_CLOCK] = { "clock", TAKES_NODES | TAKES_PPM },
	[FAULT_MOVE] = { "move", TAKES_NODES | TAKES_TO | TAKES_SILENT },
	[FAULT_MOBILITY] = { "mobility", TAKES_STEP | TAKES_STEPS | TAKES_SILENT | TAKES_LEAST },
	[FAULT_LOOKUPS] = { "lookups", TAKES_PER_S | TAKES_FOR | NEEDS_FOR | TAKES_LEAST },
	[FAULT_PINGS] = { "pings", TAKES_PER_S | TAKES_FOR | NEEDS_FOR | TAKES_LEAST },
	[FAULT_SET] = { "set", TAKES_SETTING | TAKES_FOR },
	[FAULT_CHECK] = { "check", 0 },
	[FAULT_END] = { "end", 0 },
};

static const char *const settings[] = {
	[SET_LOSS] = "loss",	 [SET_DUPLICATE] = "duplicate", [SET_JITTER] = "jitter",
	[SET_DELAY] = "delay",	 [SET_RATE] = "rate",		[SET_QUEUE] = "queue",
	[SET_REORDER] = "reorder",
};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *fault_name(enum fault_kind kind)
{
	return kinds[kind].name;
}

static bool __attribute__((format(printf, 2, 3))) bad(struct reader *r, const char *fmt, ...)
{
	int n = r->line ? snprintf(r->err, r->err_cap, "%s:%u: ", r->where, r->line) :
			  snprintf(r->err, r->err_cap, "%s: ", r->where);
	va_list ap;

	va_start(ap, fmt);
	if (n >= 0 && (size_t)n < r->err_cap)
		vsnprintf(r->err + n, r->err_cap - (size_t)n, fmt, ap);
	va_end(ap);
	return false;
}

/* The next word, without taking it; "" at the end */
static const char *peek(const struct reader *r)
{
	return r->at < r->count ? r->word[r->at] : "";
}

static bool take(struct reader *r, const char *word)
{
	if (strcmp(peek(r), word) != 0)
		return false;
	r->at++;
	return true;
}

static bool take_seconds(struct reader *r, const char *of, double *out)
{
	if (!parse_seconds(peek(r), out))
		return bad(r, "%s wants a time, as in 20s, 50ms or 2min, not \"%s\"", of, peek(r));
	r->at++;
	return true;
}

/* "A/B" in one word becomes two words at @a and @b; false: no slash */
static bool halves(const char *word, char a[64], char b[64])
{
	const char *slash = strchr(word, '/');

	if (!slash || slash - word > 63 || strlen(slash + 1) > 63)
		return false;
	snprintf(a, 64, "%.*s", (int)(slash - word), word);
	snprintf(b, 64, "%s", slash + 1);
	return true;
}

/* --- nodes and links ----------------------------------------------------------- */

static bool take_node(struct reader *r, uint32_t *out)
{
	uint32_t i;

	for (i = 0; i < r->topo->node_count; i++)
		if (!strcmp(r->topo->names[i], peek(r)))
			break;
	if (i == r->topo->node_count)
		return bad(r, "there is no node \"%s\"", peek(r));
	*out = i;
	r->at++;
	return true;
}

/* random | N random | P% | all; false: none of these */
static bool take_some(struct reader *r, struct fault *f)
{
	const char *next = r->at + 1 < r->count ? r->word[r->at + 1] : "", *word = peek(r);
	uint64_t n;

	f->count = 1;
	f->who = WHO_RANDOM;
	if (take(r, "random"))
		return true;
	if (take(r, "all")) {
		f->who = WHO_ALL;
		return true;
	}
	if (strchr(word, '%') && parse_share(word, &f->share)) {
		f->who = WHO_SHARE;
		r->at++;
		take(r, "random");
		return true;
	}
	if (!strcmp(next, "random") && parse_count(word, SIM_EDGES_MAX, &n)) {
		f->count = (uint32_t)n;
		r->at += 2;
		return true;
	}
	return false;
}

static bool take_nodes(struct reader *r, struct fault *f)
{
	if (take(r, "node") || take(r, "nodes"))
		;
	else if (take_some(r, f))
		return true;
	else if (take(r, "leader")) {
		f->who = WHO_LEADER;
		return true;
	}
	f->who = WHO_NAMED;
	return take_node(r, &f->node);
}

static bool take_links(struct reader *r, struct fault *f)
{
	if (!take(r, "link"))
		take(r, "links");
	if (take_some(r, f))
		return true;
	f->who = WHO_NAMED;
	return take_node(r, &f->node) && take_node(r, &f->other);
}

/* --- other values ----------------------------------------------------------------- */

static bool take_setting(struct reader *r, struct fault *f)
{
	const char *value;
	uint64_t rate;
	uint32_t bytes;
	unsigned i;
	bool ok;

	for (i = 0; i < COUNT(settings) && strcmp(settings[i], peek(r)) != 0; i++)
		;
	if (i == COUNT(settings))
		return bad(r, "cannot set \"%s\"", peek(r));
	r->at++;
	f->setting = (enum fault_setting)i;
	value = peek(r);
	switch (f->setting) {
	case SET_DELAY: ok = parse_seconds(value, &f->value); break;
	case SET_RATE:
		ok = parse_rate(value, &rate);
		f->value = ok ? (double)rate : 0;
		break;
	case SET_QUEUE:
		ok = parse_bytes(value, &bytes);
		f->value = ok ? bytes : 0;
		break;
	case SET_REORDER:
		f->value = !strcmp(value, "on");
		ok = f->value > 0 || !strcmp(value, "off");
		break;
	default: ok = parse_share(value, &f->value); break;
	}
	if (!ok)
		return bad(r, "%s: bad value \"%s\"", settings[i], value);
	r->at++;
	return true;
}

static bool take_step(struct reader *r, struct fault *f)
{
	char metres[64], time[64];
	size_t len;

	if (!halves(peek(r), metres, time))
		return bad(r, "mobility wants METRES/TIME, as in 60m/10s, not \"%s\"", peek(r));
	len = strlen(metres);
	if (len > 0 && metres[len - 1] == 'm')
		metres[len - 1] = '\0';
	if (!parse_real(metres, 1e6, &f->value) || !parse_seconds(time, &f->every_s))
		return bad(r, "mobility wants METRES/TIME, as in 60m/10s, not \"%s\"", peek(r));
	if (!r->topo->x)
		return bad(r, "mobility needs a topology with places: geometric:N or "
			      "geometric:N/LINKS");
	r->at++;
	return true;
}

static bool take_per(struct reader *r, struct fault *f, const char *unit, bool share)
{
	char value[64], per[64];
	bool ok = halves(peek(r), value, per) && !strcmp(per, unit) &&
		  (share ? parse_share(value, &f->value) : parse_real(value, 1e5, &f->value)) &&
		  f->value > 0;

	if (!ok)
		return bad(r, "%s wants %s/%s, not \"%s\"", kinds[f->kind].name,
			   share ? "SHARE" : "NUMBER", unit, peek(r));
	r->at++;
	return true;
}

static bool take_ppm(struct reader *r, struct fault *f)
{
	char number[64];
	bool minus = peek(r)[0] == '-';
	size_t len;

	snprintf(number, sizeof(number), "%s", peek(r) + minus);
	len = strlen(number);
	if (len > 3 && !strcmp(number + len - 3, "ppm"))
		number[len - 3] = '\0';
	if (!parse_real(number, 100000, &f->value))
		return bad(r, "clock wants parts in a million, as in 500ppm or -500ppm, not \"%s\"",
			   peek(r));
	if (minus)
		f->value = -f->value;
	r->at++;
	return true;
}

static bool take_number(struct reader *r, uint32_t *out, uint32_t least)
{
	uint64_t n;

	if (!parse_count(peek(r), SIM_NODES_MAX, &n) || n < least)
		return bad(r, "\"%s\" is not a number from %u on", peek(r), least);
	*out = (uint32_t)n;
	r->at++;
	return true;
}

static bool take_values(struct reader *r, struct fault *f)
{
	unsigned takes = kinds[f->kind].takes;

	if ((takes & TAKES_NODES) && !take_nodes(r, f))
		return false;
	if ((takes & TAKES_LINKS) && !take_links(r, f))
		return false;
	if ((takes & TAKES_COUNT) && !take_number(r, &f->count, 1))
		return false;
	if (takes & TAKES_SHARE) {
		if (!parse_share(peek(r), &f->value))
			return bad(r, "%s wants a share, as in 0.5 or 50%%, not \"%s\"",
				   kinds[f->kind].name, peek(r));
		r->at++;
	}
	if ((takes & TAKES_PER_MIN) && !take_per(r, f, "min", true))
		return false;
	if ((takes & TAKES_PER_S) && !take_per(r, f, "s", false))
		return false;
	if ((takes & TAKES_PPM) && !take_ppm(r, f))
		return false;
	if ((takes & TAKES_STEP) && !take_step(r, f))
		return false;
	if ((takes & TAKES_DELAY) && (!take(r, "delay") || !take_seconds(r, "delay", &f->value)))
		return bad(r, "slow wants \"delay\" and a time");
	return !(takes & TAKES_SETTING) || take_setting(r, f);
}

/* One option; false and no text: there is none of that name */
static bool take_option(struct reader *r, struct fault *f)
{
	unsigned takes = kinds[f->kind].takes;

	if ((takes & TAKES_FOR) && take(r, "for"))
		return take_seconds(r, "for", &f->for_s);
	if ((takes & TAKES_EVERY) && take(r, "every"))
		return take_seconds(r, "every", &f->every_s);
	if ((takes & TAKES_OVER) && take(r, "over"))
		return take_seconds(r, "over", &f->over_s);
	if ((takes & TAKES_AWAY) && take(r, "away"))
		return take_seconds(r, "away", &f->away_s);
	if ((takes & TAKES_TO) && take(r, "to"))
		return take_node(r, &f->to);
	if ((takes & TAKES_STEPS) && take(r, "steps"))
		return take_number(r, &f->count, 1);
	if ((takes & TAKES_STEPS) && take(r, "pings"))
		return take_number(r, &f->pings, 0);
	if ((takes & TAKES_LEAST) && take(r, "least")) {
		if (!parse_share(peek(r), &f->least))
			return bad(r, "least wants a share, as in 0.97 or 97%%, not \"%s\"",
				   peek(r));
		r->at++;
		return true;
	}
	if ((takes & TAKES_SILENT) && take(r, "silent")) {
		f->silent = true;
		return true;
	}
	if ((takes & TAKES_KEY) && (take(r, "with-key") || take(r, "new-key"))) {
		f->key = !strcmp(r->word[r->at - 1], "new-key") ? KEY_NEW : KEY_KEPT;
		return true;
	}
	return bad(r, "%s: what is \"%s\"?", kinds[f->kind].name, peek(r));
}

/* --- lines ------------------------------------------------------------------------ */

static double ends_at(const struct fault *f)
{
	switch (f->kind) {
	case FAULT_JOIN: return f->at_s + f->over_s;
	case FAULT_MOBILITY: return f->at_s + f->count * (f->every_s + MOBILITY_PING_S);
	case FAULT_MOVE: return f->at_s + MOVE_WATCH_S;
	default: return f->at_s + (f->for_s > 0 ? f->for_s : 0);
	}
}

static bool read_fault(struct reader *r, struct scenario *s)
{
	struct fault f = { .for_s = -1, .line = r->line, .to = UINT32_MAX };
	unsigned kind;

	if (take(r, "at") && !take_seconds(r, "at", &f.at_s))
		return false;
	for (kind = 0; kind < COUNT(kinds) && strcmp(kinds[kind].name, peek(r)) != 0; kind++)
		;
	if (kind == COUNT(kinds))
		return bad(r, *peek(r) ? "what is \"%s\"?" : "at what time happens what?%s", peek(r));
	r->at++;
	f.kind = (enum fault_kind)kind;
	if (!take_values(r, &f))
		return false;
	if (f.kind == FAULT_FLAP)
		f.every_s = FLAP_EVERY_S;
	if (f.kind == FAULT_CHURN)
		f.away_s = AWAY_S;
	if (f.kind == FAULT_MOBILITY) {
		f.count = MOBILITY_STEPS;
		f.pings = MOBILITY_PINGS;
	}
	while (r->at < r->count)
		if (!take_option(r, &f))
			return false;
	if ((kinds[kind].takes & NEEDS_FOR) && f.for_s <= 0)
		return bad(r, "%s: for how long? (\"for 30s\")", kinds[kind].name);
	if (f.kind == FAULT_FLAP && f.every_s <= 0)
		return bad(r, "flap: every 0 seconds is too often");
	if (s->count == FAULTS_MAX)
		return bad(r, "more than %u faults", FAULTS_MAX);
	if (f.kind == FAULT_JOIN)
		s->joins += f.count;
	if (s->joins > r->topo->node_count)
		return bad(r, "%u nodes cannot join, there are only %u", s->joins,
			   r->topo->node_count);
	s->radio_moves |= f.kind == FAULT_MOBILITY || f.kind == FAULT_MOVE;
	if (ends_at(&f) > s->end_s)
		s->end_s = ends_at(&f);
	s->faults = sim_realloc(s->faults, s->count + 1, sizeof(*s->faults));
	s->faults[s->count++] = f;
	return true;
}

bool scenario_line(struct scenario *s, const char *text, const char *where, unsigned line,
		   const struct topology *topo, char *err, size_t err_cap)
{
	struct reader r = { .where = where, .line = line, .topo = topo, .err = err,
			    .err_cap = err_cap };
	char copy[LINE_MAX_LEN], *word, *rest = copy;

	if (strlen(text) >= sizeof(copy))
		return bad(&r, "the line is too long");
	snprintf(copy, sizeof(copy), "%s", text);
	copy[strcspn(copy, "#\r\n")] = '\0';
	while ((word = strsep(&rest, " \t"))) {
		if (!*word)
			continue;
		if (r.count == WORDS_MAX)
			return bad(&r, "more than %u words", WORDS_MAX);
		r.word[r.count++] = word;
	}
	if (r.count == 0)
		return true;
	if (take(&r, "origin")) {
		s->from_start = !strcmp(peek(&r), "start");
		return r.count == 2 && (s->from_start || !strcmp(peek(&r), "rest")) ? true :
		       bad(&r, "origin is \"start\" or \"rest\"");
	}
	return read_fault(&r, s);
}

bool scenario_read(struct scenario *s, const char *file, const struct topology *topo, char *err,
		   size_t err_cap)
{
	FILE *f = fopen(file, "re");
	char *text = NULL;
	unsigned line = 0;
	size_t cap = 0;
	bool ok = true;

	if (!f) {
		snprintf(err, err_cap, "%s: %s", file, strerror(errno));
		return false;
	}
	while (ok && getline(&text, &cap, f) >= 0)
		ok = scenario_line(s, text, file, ++line, topo, err, err_cap);
	if (ok && ferror(f)) {
		snprintf(err, err_cap, "%s: %s", file, strerror(errno));
		ok = false;
	}
	free(text);
	fclose(f);
	return ok;
}

void scenario_free(struct scenario *s)
{
	free(s->faults);
	memset(s, 0, sizeof(*s));
}
