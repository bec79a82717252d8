/* SPDX-License-Identifier: ISC */
/* pnping - echo requests to identities
 *
 * Theory of operation
 *
 * The daemon sends the probes and measures the round trip; this program asks it for
 * one probe at a time, when the interval is over (or, adaptive, when the last one was
 * answered), and reads the replies, in whatever order they come.  With several names
 * that is one probe to each, in the order in which they were given: a round.  The
 * request's id tells which probe a reply belongs to: ids of probes follow each other, so
 * a division gives round and target.  The daemon answers each request once, at the latest
 * when the probe's time is over, so nothing is kept here per probe.
 *
 * All signals are blocked but while waiting in ppoll(), so that a flag set by a
 * handler is never missed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tools/common/ctl.h"
#include "tools/common/node.h"
#include "tools/common/stats.h"
#include "tools/common/tool.h"

#define SIZE_MAX_BYTES 1200
#define SIZE_DEFAULT 56
#define HOPS_MAX 65535
#define DAY_S UINT64_C(86400)
#define INTERVAL_MIN_NS (2 * TOOL_NS_PER_MS)   /* for users who are not root; as ping(8) */
#define INTERVAL_FLOOD_NS (10 * TOOL_NS_PER_MS)
#define OUTSTANDING_MAX 200    /* probes on their way at once; the daemon remembers 256 */
#define LOOKUPS_MAX 32         /* the same in the first round: each may mean a lookup */

/** struct target - one of those who are pinged
 * @name:   as given; @shown: for people
 * @sent:   probes
 * @errors: answers that were errors: not lost, but not received either
 */
struct target {
	const char *name;
	char shown[256];
	char hit[64];
	uint64_t sent, errors;
	struct stats stats;
};

/** struct ping - what was asked for, and how it goes
 * @count:       probes to send to each target; 0 no end
 * @deadline_ns: end after this; 0 none
 * @hops:        hop limit; 0 the daemon's default
 * @first_id:    id of the request of probe 1
 * @sent, @answered: probes to all targets
 * @next_ns:     when the next round begins
 */
struct ping {
	const char *socket_path;
	uint64_t count, interval_ns, wait_ns, deadline_ns, size, hops;
	bool quiet, stamps, numeric, flood, adaptive, json;
	struct ctl ctl;
	struct target *targets;
	size_t target_count;
	uint64_t first_id;
	uint64_t sent, answered;
	uint64_t start_ns, next_ns, end_ns;
};

static volatile sig_atomic_t got_int, got_quit;

static void on_signal(int sig)
{
	if (sig == SIGQUIT)
		got_quit = 1;
	else
		got_int = 1;
}

static const char usage_text[] =
	"usage: pnping [options] NAME...\n"
	"  NAME              name.pn.alt, a petname, or a HIT\n"
	"  -c COUNT          stop after so many probes to each\n"
	"  -i SECONDS        between two probes (1)\n"
	"  -A                adaptive: the next probe when the last is answered\n"
	"  -f                flood: a dot per probe, a backspace per reply; root only below 2 ms\n"
	"  -W SECONDS        wait for a reply (5)\n"
	"  -w SECONDS        stop after this time, whatever was answered\n"
	"  -s BYTES          payload (56, at most 1200)\n"
	"  -t HOPS           hop limit\n"
	"  -q                only the summary\n"
	"  -D                print the time of day before each line\n"
	"  -n                print HITs instead of names\n"
	"      --json        one JSON object at the end, with all round trips\n"
	"      --socket PATH of the daemon\n"
	"  -h, --help        this text\n"
	"  -V, --version     version\n"
	"exit code: 0 all names answered, 1 one did not, 2 other errors\n";

enum { OPT_JSON = 256, OPT_SOCKET };

static const struct option long_options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void parse_option(struct ping *p, int opt)
{
	switch (opt) {
	case 'c': p->count = tool_option_u64('c', optarg, 1, INT64_MAX); break;
	case 'i': p->interval_ns = tool_option_seconds('i', optarg, DAY_S); break;
	case 'W': p->wait_ns = tool_option_seconds('W', optarg, 600); break;
	case 'w': p->deadline_ns = tool_option_seconds('w', optarg, 365 * DAY_S); break;
	case 's': p->size = tool_option_u64('s', optarg, 0, SIZE_MAX_BYTES); break;
	case 't': p->hops = tool_option_u64('t', optarg, 1, HOPS_MAX); break;
	case 'q': p->quiet = true; break;
	case 'D': p->stamps = true; break;
	case 'n': p->numeric = true; break;
	case 'f': p->flood = true; break;
	case 'A': p->adaptive = true; break;
	case OPT_JSON: p->json = true; break;
	case OPT_SOCKET: p->socket_path = optarg; break;
	case 'h':
		fputs(usage_text, stdout);
		exit(tool_flush(TOOL_OK));
	case 'V':
		tool_version();
	default:
		/* getopt has said what is wrong */
		exit(TOOL_ERROR);
	}
}

static void take_names(struct ping *p, char **names, size_t count)
{
	size_t i;

	p->targets = calloc(count, sizeof(*p->targets));
	if (!p->targets)
		tool_die("out of memory");
	for (i = 0; i < count; i++)
		p->targets[i].name = names[i];
	p->target_count = count;
}

static void parse_args(struct ping *p, int argc, char **argv)
{
	int opt;

	p->interval_ns = UINT64_MAX;
	p->wait_ns = 5 * TOOL_NS_PER_S;
	p->size = SIZE_DEFAULT;
	while ((opt = getopt_long(argc, argv, "c:i:W:w:s:t:qDnfAhV", long_options, NULL)) != -1)
		parse_option(p, opt);
	if (optind == argc)
		tool_usage_error("whom to ping? No name given");
	take_names(p, argv + optind, (size_t)(argc - optind));
	if (p->interval_ns == UINT64_MAX)
		p->interval_ns = p->flood ? INTERVAL_FLOOD_NS : TOOL_NS_PER_S;
	if (p->interval_ns < INTERVAL_MIN_NS && geteuid() != 0 && !p->adaptive)
		tool_usage_error("-i: less than 0.002 seconds is for root");
	if (!p->wait_ns)
		tool_usage_error("-W: must be more than 0");
}

/* Fills in name and HIT, or exits: a name that is wrong is an error, not a loss. */
static void resolve(struct ping *p, struct target *t)
{
	json_t *reply = ctl_call(&p->ctl, "resolve", json_pack("{s:s}", "name", t->name));

	if (ctl_is_error(reply))
		ctl_die(t->name, reply);
	snprintf(t->hit, sizeof(t->hit), "%s", ctl_str(reply, "hit"));
	snprintf(t->shown, sizeof(t->shown), "%s", p->numeric ? t->hit : t->name);
	tool_clean(t->shown);
	json_decref(reply);
}

static void stamp(const struct ping *p)
{
	struct timeval tv;

	if (!p->stamps)
		return;
	gettimeofday(&tv, NULL);
	printf("[%lld.%06ld] ", (long long)tv.tv_sec, (long)tv.tv_usec);
}

static uint64_t outstanding(const struct ping *p)
{
	return p->sent - p->answered;
}

/* The next probe is the first of a round */
static bool round_begins(const struct ping *p)
{
	return p->sent % p->target_count == 0;
}

static void send_probe(struct ping *p, uint64_t now)
{
	struct target *t = &p->targets[p->sent % p->target_count];
	json_t *req = json_pack("{s:s, s:I, s:I}", "name", t->hit, "len", (json_int_t)p->size,
				"timeout_ms", (json_int_t)((p->wait_ns + 999999) / 1000000));
	uint64_t id;

	if (p->hops)
		json_object_set_new(req, "hops", json_integer((json_int_t)p->hops));
	if (round_begins(p)) {
		/* a late round does not make the following ones come in a bunch */
		p->next_ns = (p->adaptive ? now : p->next_ns) + p->interval_ns;
		if (p->next_ns < now)
			p->next_ns = now;
	}
	id = ctl_send(&p->ctl, "ping", req);
	if (!p->sent)
		p->first_id = id;
	p->sent++;
	t->sent++;
	if (p->flood && !p->quiet && !p->json) {
		fputc('.', stdout);
		fflush(stdout);
	}
}

/* Why there will be no round trip for that probe */
static const char *why_not(const json_t *reply, char buf[256])
{
	const char *reason = ctl_is_error(reply) ? ctl_error_text(reply) : ctl_str(reply, "reason");
	const json_t *from = json_object_get(reply, "from");
	char who[NODE_TEXT_MAX];
	struct node node;

	node_parse(from, &node);
	if (node_known(&node))
		snprintf(buf, 256, "from %s: %s", node_text(&node, false, who), reason);
	else
		snprintf(buf, 256, "%s", reason);
	return tool_clean(buf);
}

static void print_reply(const struct ping *p, const struct target *t, uint64_t seq,
			const json_t *reply, bool good)
{
	char ms[TOOL_DURATION_MAX], why[256];

	if (p->quiet || p->json)
		return;
	if (p->flood) {
		fputs(good ? "\b \b" : "\bE", stdout);
		return;
	}
	stamp(p);
	if (good)
		printf("%" PRIu64 " bytes from %s: seq=%" PRIu64 " ttl=%" PRIu64 " time=%s ms\n",
		       ctl_u64(reply, "len"), t->shown, seq, ctl_u64(reply, "hops"),
		       tool_format_ms(ctl_u64(reply, "rtt_ns"), ms));
	else
		printf("%s: seq=%" PRIu64 " %s\n", t->shown, seq, why_not(reply, why));
}

static void on_reply(struct ping *p, const json_t *reply)
{
	bool good = !strcmp(ctl_str(reply, "result"), "reply");
	uint64_t probe = ctl_id(reply) - p->first_id;
	struct target *t;

	if (!p->sent || ctl_id(reply) < p->first_id || probe >= p->sent)
		return;
	t = &p->targets[probe % p->target_count];
	p->answered++;
	if (good)
		stats_add(&t->stats, ctl_u64(reply, "rtt_ns"));
	else
		t->errors += strcmp(ctl_error_code(reply), "ETIMEDOUT") != 0;
	print_reply(p, t, probe / p->target_count + 1, reply, good);
	/* now; with several names when the last of the round is in */
	if (p->adaptive && (p->target_count == 1 || !outstanding(p)))
		p->next_ns = 0;
	fflush(stdout);
}

static bool want_more(const struct ping *p)
{
	return !p->count || p->sent / p->target_count < p->count;
}

static bool may_send(const struct ping *p)
{
	uint64_t most = p->sent < p->target_count ? LOOKUPS_MAX : OUTSTANDING_MAX;

	return want_more(p) && outstanding(p) < most;
}

/* When something has to be done without a reply; UINT64_MAX: never */
static uint64_t wake_ns(const struct ping *p)
{
	uint64_t at = may_send(p) ? p->next_ns : UINT64_MAX;

	return p->end_ns && p->end_ns < at ? p->end_ns : at;
}

/* Wait for a reply, a signal or the time @at; signals arrive here only. */
static void wait_for(struct ping *p, uint64_t at, uint64_t now, const sigset_t *open_mask)
{
	struct pollfd pfd = { .fd = p->ctl.fd, .events = POLLIN };
	uint64_t ns = at > now ? at - now : 0;
	struct timespec ts = { (time_t)(ns / TOOL_NS_PER_S), (long)(ns % TOOL_NS_PER_S) };

	if (ppoll(&pfd, 1, at == UINT64_MAX ? NULL : &ts, open_mask) < 0 && errno != EINTR)
		tool_die("cannot wait: %s", strerror(errno));
}

static void intermediate(const struct ping *p)
{
	char min[TOOL_DURATION_MAX], avg[TOOL_DURATION_MAX], max[TOOL_DURATION_MAX];
	size_t i;

	fflush(stdout);
	fputc('\r', stderr);
	for (i = 0; i < p->target_count; i++) {
		const struct target *t = &p->targets[i];
		struct stats_summary s;

		stats_summary(&t->stats, &s);
		if (p->target_count > 1)
			fprintf(stderr, "%s: ", t->shown);
		fprintf(stderr, "%" PRIu64 "/%" PRIu64 " packets, min/avg/max = %s/%s/%s ms\n",
			s.count, t->sent, tool_format_ms(s.min_ns, min),
			tool_format_ms(s.avg_ns, avg), tool_format_ms(s.max_ns, max));
	}
}

static void run(struct ping *p, const sigset_t *open_mask)
{
	json_t *reply;

	p->start_ns = tool_now_ns();
	p->next_ns = p->start_ns;
	p->end_ns = p->deadline_ns ? p->start_ns + p->deadline_ns : 0;
	while (!got_int && (want_more(p) || outstanding(p))) {
		uint64_t now = tool_now_ns();

		if (got_quit) {
			got_quit = 0;
			intermediate(p);
		}
		if (p->end_ns && now >= p->end_ns)
			break;
		while ((reply = ctl_next(&p->ctl, 0)) != NULL) {
			on_reply(p, reply);
			json_decref(reply);
		}
		if (may_send(p) && (!round_begins(p) || now >= p->next_ns))
			send_probe(p, now);
		else if (want_more(p) || outstanding(p))
			wait_for(p, wake_ns(p), now, open_mask);
	}
}

static double loss_percent(uint64_t sent, uint64_t received)
{
	return sent ? 100.0 * (double)(sent - received) / (double)sent : 0;
}

static uint64_t answering(const struct ping *p)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < p->target_count; i++)
		n += p->targets[i].stats.count != 0;
	return n;
}

static void print_rtt(const struct stats_summary *s)
{
	char min[TOOL_DURATION_MAX], avg[TOOL_DURATION_MAX], max[TOOL_DURATION_MAX];
	char p99[TOOL_DURATION_MAX], mdev[TOOL_DURATION_MAX];

	printf("rtt min/avg/max/p99/mdev = %s/%s/%s/%s/%s ms\n",
	       tool_format_ms(s->min_ns, min), tool_format_ms(s->avg_ns, avg),
	       tool_format_ms(s->max_ns, max), tool_format_ms(s->p99_ns, p99),
	       tool_format_ms(s->mdev_ns, mdev));
}

static void summary_one(const struct ping *p)
{
	const struct target *t = p->targets;
	struct stats_summary s;

	stats_summary(&t->stats, &s);
	printf("\n--- %s ping statistics ---\n", t->shown);
	printf("%" PRIu64 " packets transmitted, %" PRIu64 " received, ", t->sent, s.count);
	if (t->errors)
		printf("%" PRIu64 " errors, ", t->errors);
	printf("%.6g%% packet loss, time %" PRIu64 " ms\n", loss_percent(t->sent, s.count),
	       (tool_now_ns() - p->start_ns) / TOOL_NS_PER_MS);
	if (s.count)
		print_rtt(&s);
}

/* A line for each, as fping(8) has it */
static void summary_many(const struct ping *p)
{
	size_t i;

	printf("\n--- ping statistics of %zu names ---\n", p->target_count);
	for (i = 0; i < p->target_count; i++) {
		const struct target *t = &p->targets[i];
		struct stats_summary s;

		stats_summary(&t->stats, &s);
		printf("%s: %" PRIu64 "/%" PRIu64 " received", t->shown, s.count, t->sent);
		if (t->errors)
			printf(", %" PRIu64 " errors", t->errors);
		printf(", %.6g%% loss%s", loss_percent(t->sent, s.count), s.count ? ", " : "\n");
		if (s.count)
			print_rtt(&s);
	}
	printf("%" PRIu64 " of %zu names answered, time %" PRIu64 " ms\n", answering(p),
	       p->target_count, (tool_now_ns() - p->start_ns) / TOOL_NS_PER_MS);
}

static json_t *target_json(const struct ping *p, const struct target *t)
{
	json_t *rtts = json_array(), *out;
	struct stats_summary s;
	size_t i;

	stats_summary(&t->stats, &s);
	for (i = 0; i < stats_kept(&t->stats); i++)
		json_array_append_new(rtts, json_integer((json_int_t)stats_at(&t->stats, i)));
	out = json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
			"target", t->shown, "hit", t->hit, "sent", (json_int_t)t->sent,
			"received", (json_int_t)s.count, "errors", (json_int_t)t->errors,
			"loss_percent", loss_percent(t->sent, s.count),
			"time_ms", (json_int_t)((tool_now_ns() - p->start_ns) / TOOL_NS_PER_MS),
			"min_ns", (json_int_t)s.min_ns, "avg_ns", (json_int_t)s.avg_ns,
			"max_ns", (json_int_t)s.max_ns, "p50_ns", (json_int_t)s.p50_ns,
			"p99_ns", (json_int_t)s.p99_ns, "mdev_ns", (json_int_t)s.mdev_ns,
			"rtts_ns", rtts);
	if (!out)
		tool_die("cannot build the JSON object");
	return out;
}

/* One name: its object; several: an object around all of theirs */
static void summary_json(const struct ping *p)
{
	json_t *out, *list = NULL;
	size_t i;

	if (p->target_count == 1) {
		out = target_json(p, p->targets);
	} else {
		list = json_array();
		for (i = 0; i < p->target_count; i++)
			json_array_append_new(list, target_json(p, &p->targets[i]));
		out = json_pack("{s:I, s:I, s:I, s:o}", "names", (json_int_t)p->target_count,
				"answered", (json_int_t)answering(p), "time_ms",
				(json_int_t)((tool_now_ns() - p->start_ns) / TOOL_NS_PER_MS),
				"targets", list);
	}
	if (!out)
		tool_die("cannot build the JSON object");
	json_dumpf(out, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(out);
}

static void summary(const struct ping *p)
{
	if (p->json)
		summary_json(p);
	else if (p->target_count == 1)
		summary_one(p);
	else
		summary_many(p);
}

/* As ping(8): with a count and a deadline all must have been answered */
static int exit_code(const struct ping *p)
{
	uint64_t wanted = p->count && p->deadline_ns ? p->count : 1;
	size_t i;

	for (i = 0; i < p->target_count; i++) {
		if (p->targets[i].stats.count < wanted)
			return TOOL_NO_ANSWER;
	}
	return TOOL_OK;
}

static void greet(const struct ping *p)
{
	if (p->target_count == 1)
		printf("PING %s (%s)", p->targets->shown, p->targets->hit);
	else
		printf("PING %zu names", p->target_count);
	printf(": %" PRIu64 " bytes of payload\n", p->size);
	fflush(stdout);
}

/* Only in ppoll() may signals arrive.  Return: in @open_mask, the mask for that */
static void block_signals(sigset_t *open_mask)
{
	static const int wanted[] = { SIGINT, SIGTERM, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t block;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&block, wanted[i]);
	sigprocmask(SIG_BLOCK, &block, open_mask);
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		sigaction(wanted[i], &sa, NULL);
		sigdelset(open_mask, wanted[i]);
	}
}

int main(int argc, char **argv)
{
	struct ping p = { .hops = 0 };
	sigset_t open_mask;
	size_t i;
	int code;

	tool_init("pnping");
	parse_args(&p, argc, argv);
	ctl_open(&p.ctl, p.socket_path);
	for (i = 0; i < p.target_count; i++)
		resolve(&p, &p.targets[i]);
	block_signals(&open_mask);
	if (!p.json)
		greet(&p);
	run(&p, &open_mask);
	summary(&p);
	code = exit_code(&p);
	ctl_close(&p.ctl);
	for (i = 0; i < p.target_count; i++)
		stats_fini(&p.targets[i].stats);
	free(p.targets);
	return tool_flush(code);
}
