/* SPDX-License-Identifier: ISC */
/* pnsim - many nodes of the network layer under virtual time; see pnsim(1) */
#include "tests/sim/parse.h"
#include "tests/sim/outputs.h"
#include "tests/sim/plot.h"
#include "tests/sim/report.h"
#include "tests/sim/run.h"
#include "tests/sim/swarm.h"
#include "tests/sim/util.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#define EXIT_VIOLATION 1
#define EXIT_USAGE 2
#define FAULT_ARGS_MAX 64
#define SWARM_S 30.0
#define QUEUE_BYTES (100 * 1500) /* as a usual interface has */
#define TUNNEL_NS PN_MS(10)

static char repeat_command[1024]; /* for reports, and for what is printed on an abort */

enum { OPT_TOPOLOGY = 256, OPT_LIMIT, OPT_SEED, OPT_SECONDS, OPT_KILL, OPT_KILL_LEADER,
       OPT_KILL_HUB, OPT_SILENT, OPT_LOSS, OPT_DELAY, OPT_SPREAD, OPT_TRACE, OPT_JSON,
       OPT_PINGS, OPT_PAIRS, OPT_WITHIN, OPT_RECOVER,
       OPT_SETTLE, OPT_CAP, OPT_REORDER, OPT_DUMP, OPT_BYZANTINE,
       OPT_BYZANTINE_WITHIN, OPT_CSV, OPT_MAP, OPT_OUT, OPT_HELP, OPT_RATE,
       OPT_QUEUE, OPT_DUPLICATE, OPT_JITTER, OPT_TUNNEL, OPT_DRIFT, OPT_RADIO, OPT_IN_ORDER,
       OPT_SCENARIO, OPT_FAULT, OPT_MOBILITY, OPT_CHURN, OPT_PARTITION, OPT_EARLY_PINGS,
       OPT_SWARM, OPT_LEAF };

static const struct option options[] = {
	{ "topology", required_argument, NULL, OPT_TOPOLOGY },
	{ "nodes-limit", required_argument, NULL, OPT_LIMIT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "kill", required_argument, NULL, OPT_KILL },
	{ "kill-leader", no_argument, NULL, OPT_KILL_LEADER },
	{ "kill-hub", no_argument, NULL, OPT_KILL_HUB },
	{ "silent", no_argument, NULL, OPT_SILENT },
	{ "loss", required_argument, NULL, OPT_LOSS },
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "start-spread", required_argument, NULL, OPT_SPREAD },
	{ "trace", no_argument, NULL, OPT_TRACE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "pings", required_argument, NULL, OPT_PINGS },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "within", required_argument, NULL, OPT_WITHIN },
	{ "recover-within", required_argument, NULL, OPT_RECOVER },
	{ "settle", required_argument, NULL, OPT_SETTLE },
	{ "cap", required_argument, NULL, OPT_CAP },
	{ "reorder", no_argument, NULL, OPT_REORDER },
	{ "byzantine", required_argument, NULL, OPT_BYZANTINE },
	{ "byzantine-within", required_argument, NULL, OPT_BYZANTINE_WITHIN },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "queue", required_argument, NULL, OPT_QUEUE },
	{ "duplicate", required_argument, NULL, OPT_DUPLICATE },
	{ "jitter", required_argument, NULL, OPT_JITTER },
	{ "tunnel", required_argument, NULL, OPT_TUNNEL },
	{ "clock-drift", required_argument, NULL, OPT_DRIFT },
	{ "radio", no_argument, NULL, OPT_RADIO },
	{ "leaf", required_argument, NULL, OPT_LEAF },
	{ "start-in-order", no_argument, NULL, OPT_IN_ORDER },
	{ "scenario", required_argument, NULL, OPT_SCENARIO },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "mobility", required_argument, NULL, OPT_MOBILITY },
	{ "churn", required_argument, NULL, OPT_CHURN },
	{ "partition", required_argument, NULL, OPT_PARTITION },
	{ "swarm", required_argument, NULL, OPT_SWARM },
	{ "early-pings", required_argument, NULL, OPT_EARLY_PINGS },
	{ "csv", required_argument, NULL, OPT_CSV },
	{ "map", required_argument, NULL, OPT_MAP },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "dump", no_argument, NULL, OPT_DUMP },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char usage_text[] =
	"usage: pnsim --topology FILE|GENERATOR:SIZE [--nodes-limit N] [--seed N]\n"
	"             [--seconds S] [--cap S] [--within S] [--kill N [--kill-leader | --kill-hub]\n"
	"             [--settle S] [--recover-within S]] [--silent] [--delay MS[..MS]] [--jitter P]\n"
	"             [--rate BPS] [--queue BYTES] [--loss P] [--duplicate P]\n"
	"             [--reorder] [--tunnel MS[/BPS]] [--radio] [--clock-drift PPM]\n"
	"             [--start-spread S] [--start-in-order] [--pings N] [--pairs N]\n"
	"             [--scenario FILE] [--fault LINE]... [--mobility M/S]\n"
	"             [--churn P] [--partition P] [--swarm N] [--early-pings N]\n"
	"             [--byzantine KIND:SHARE[@S]]... [--byzantine-within S]\n"
	"             [--csv FILE] [--map FILE] [--out DIR] [--trace] [--dump] [--json]\n"
	"       pnsim plot [-o DIR] DIR|FILE...\n"
	"generators: line:N ring:N star:N grid:WxH rtree:N geometric:N[/LINKS]\n"
	"            scalefree:N lan:N islands:NxN islands:GENERATOR:SIZE+GENERATOR:SIZE\n"
	"kinds: drop metrics cheap claim forge replay\n";

static _Noreturn void __attribute__((format(printf, 1, 2))) usage_error(const char *fmt, ...)
{
	va_list ap;

	fputs("pnsim: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}

static uint64_t number_arg(const char *name, const char *text, uint64_t max)
{
	uint64_t v = 0;

	if (!parse_count(text, max, &v))
		usage_error("--%s: %s is not a number from 0 to %llu", name, text,
			    (unsigned long long)max);
	return v;
}

static double real_arg(const char *name, const char *text, double max)
{
	double v = 0;

	if (!parse_real(text, max, &v))
		usage_error("--%s: %s is not a number from 0 to %g", name, text, max);
	return v;
}

static double share_arg(const char *name, const char *text)
{
	double v = 0;

	if (!parse_share(text, &v))
		usage_error("--%s: %s is not a share from 0 to 1 (or 100%%)", name, text);
	return v;
}

/* Two values with @sep between them, the second of which may be missing
 * Return: the second, "" if there is none */
static const char *two_args(char *text, const char *sep)
{
	char *second = strstr(text, sep);

	if (!second)
		return "";
	*second = '\0';
	return second + strlen(sep);
}

static void delay_arg(struct sim_config *c, const char *text)
{
	char first[64];
	const char *most;

	snprintf(first, sizeof(first), "%s", text);
	most = two_args(first, "..");
	c->delay_max_ns = 0;
	if (!parse_ns(first, 1e6, &c->link.delay_ns) ||
	    (*most && (!parse_ns(most, 1e6, &c->delay_max_ns) ||
		       c->delay_max_ns < c->link.delay_ns)))
		usage_error("--delay: %s is not MS or MS..MS", text);
}

static void tunnel_arg(struct sim_config *c, const char *text)
{
	char first[64];
	const char *rate;

	snprintf(first, sizeof(first), "%s", text);
	rate = two_args(first, "/");
	if (!parse_ns(first, 1e6, &c->tunnel.delay_ns) ||
	    (*rate && !parse_rate(rate, &c->tunnel.rate_bps)))
		usage_error("--tunnel: %s is not MS or MS/BPS", text);
}

struct arguments {
	const char *spec;
	uint32_t limit;
	bool json;
	const char *scenario;	/* file */
	char *faults[FAULT_ARGS_MAX]; /* lines, owned */
	uint32_t fault_count;
	uint32_t swarm;		/* random faults */
	struct outputs outputs;
	struct run_config run;
};

/* A line of a scenario; it is read when the topology is known. */
static void fault_arg(struct arguments *a, const char *before, const char *text, const char *behind)
{
	if (a->fault_count == FAULT_ARGS_MAX ||
	    asprintf(&a->faults[a->fault_count++], "%s%s%s", before, text, behind) < 0)
		usage_error("more than %u faults; write a file for --scenario", FAULT_ARGS_MAX);
}

static void fault_tell(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static void scenario_arg(struct arguments *a, const struct topology *topo)
{
	struct scenario *s = &a->run.scenario;
	char err[512];
	uint32_t i;

	if (a->scenario && !scenario_read(s, a->scenario, topo, err, sizeof(err)))
		usage_error("%s", err);
	for (i = 0; i < a->fault_count; i++) {
		if (!scenario_line(s, a->faults[i], "command line", 0, topo, err, sizeof(err)))
			usage_error("%s", err);
		free(a->faults[i]);
	}
	if (a->swarm > 0)
		swarm_make(s, topo, a->run.sim.seed, a->swarm, SWARM_S,
			   a->run.sim.trace ? fault_tell : NULL);
	if (a->scenario && s->count == 0)
		usage_error("%s: nothing happens in it", a->scenario);
	a->run.sim.more_edges = s->radio_moves;
}

/* Options of the medium; Return: false if it is another one */
static bool medium_argument(struct sim_config *c, int opt, const char *name)
{
	switch (opt) {
	case OPT_LOSS: c->link.loss = share_arg(name, optarg); break;
	case OPT_DUPLICATE: c->link.duplicate = share_arg(name, optarg); break;
	case OPT_JITTER: c->link.jitter = share_arg(name, optarg); break;
	case OPT_REORDER: c->link.reorder = true; break;
	case OPT_DELAY: delay_arg(c, optarg); break;
	case OPT_TUNNEL: tunnel_arg(c, optarg); break;
	case OPT_RATE:
		if (!parse_rate(optarg, &c->link.rate_bps))
			usage_error("--%s: %s is not a rate, as 10M", name, optarg);
		break;
	case OPT_QUEUE:
		if (!parse_bytes(optarg, &c->link.queue_bytes))
			usage_error("--%s: %s is not a number of bytes, as 64k", name, optarg);
		break;
	case OPT_DRIFT: c->drift_ppm = real_arg(name, optarg, 100000); break;
	case OPT_RADIO: c->radio = true; break;
	case OPT_LEAF: c->leaf_share = real_arg(name, optarg, 1); break;
	case OPT_SILENT: c->silent = true; break;
	case OPT_SPREAD: c->start_spread_ns = (uint64_t)(real_arg(name, optarg, 1e6) * 1e9); break;
	case OPT_IN_ORDER: c->start_in_order = true; break;
	default: return false;
	}
	return true;
}

static void argument(struct arguments *a, int opt, const char *name)
{
	struct run_config *r = &a->run;

	if (medium_argument(&r->sim, opt, name))
		return;
	switch (opt) {
	case OPT_TOPOLOGY: a->spec = optarg; break;
	case OPT_LIMIT: a->limit = (uint32_t)number_arg(name, optarg, SIM_NODES_MAX); break;
	case OPT_SEED: r->sim.seed = number_arg(name, optarg, INT64_MAX); break;
	case OPT_SECONDS: r->seconds = real_arg(name, optarg, 1e6); break;
	case OPT_KILL: r->kills = (uint32_t)number_arg(name, optarg, SIM_NODES_MAX); break;
	case OPT_KILL_LEADER: r->kill_leaders = true; break;
	case OPT_KILL_HUB: r->kill_hubs = true; break;
	case OPT_TRACE: r->sim.trace = true; break;
	case OPT_JSON: a->json = true; break;
	case OPT_PINGS: r->pings = (uint32_t)number_arg(name, optarg, 1000000); break;
	case OPT_PAIRS: r->pairs = (uint32_t)number_arg(name, optarg, 100000000); break;
	case OPT_WITHIN: r->within = real_arg(name, optarg, 1e6); break;
	case OPT_RECOVER: r->recover_within = real_arg(name, optarg, 1e6); break;
	case OPT_SETTLE: r->settle = real_arg(name, optarg, 1e6); break;
	case OPT_CAP: r->cap = real_arg(name, optarg, 1e6); break;
	case OPT_BYZANTINE:
		if (!byz_parse(&r->byz, optarg))
			usage_error("--%s: %s is not KIND:SHARE[@SECONDS]", name, optarg);
		break;
	case OPT_BYZANTINE_WITHIN: r->byz.within = real_arg(name, optarg, 3600); break;
	case OPT_SCENARIO: a->scenario = optarg; break;
	case OPT_FAULT: fault_arg(a, "", optarg, ""); break;
	case OPT_MOBILITY: fault_arg(a, "mobility ", optarg, ""); break;
	case OPT_CHURN: fault_arg(a, "churn ", optarg, "/min for 60s"); break;
	case OPT_PARTITION: fault_arg(a, "partition ", optarg, " for 20s"); break;
	case OPT_SWARM: a->swarm = (uint32_t)number_arg(name, optarg, FAULTS_MAX / 2); break;
	case OPT_EARLY_PINGS: r->early_pings = (uint32_t)number_arg(name, optarg, 10000); break;
	case OPT_CSV: a->outputs.csv = optarg; break;
	case OPT_MAP: a->outputs.map = optarg; break;
	case OPT_OUT: a->outputs.dir = optarg; break;
	case OPT_DUMP: r->dump = true; break;
	case OPT_HELP:
		fputs(usage_text, stdout);
		exit(0);
	default:
		fputs(usage_text, stderr);
		exit(EXIT_USAGE);
	}
}

static void arguments_parse(struct arguments *a, int argc, char **argv)
{
	uint64_t tunnel_ns, tunnel_bps;
	int opt, index = 0;

	*a = (struct arguments){ .run = {
		.sim = { .seed = 1, .start_spread_ns = PN_MS(200), .mtu = 1500, .link_header = 14,
			 .link = { .delay_ns = PN_MS(1), .jitter = 0.2,
				   .queue_bytes = QUEUE_BYTES } },
		.cap = 90, .recover_within = 60, .settle = 15, .pings = 200, .pairs = 20000,
		.early_pings = 100,
		.probes_per_s = 20, .byz = { .within = 30 },
	} };
	while ((opt = getopt_long(argc, argv, "", options, &index)) != -1)
		argument(a, opt, options[index].name);
	/* a tunnel is a link like others, but slower, as far as nothing else is said */
	tunnel_ns = a->run.sim.tunnel.delay_ns;
	tunnel_bps = a->run.sim.tunnel.rate_bps;
	a->run.sim.tunnel = a->run.sim.link;
	a->run.sim.tunnel.delay_ns = tunnel_ns ? tunnel_ns : TUNNEL_NS;
	a->run.sim.tunnel.rate_bps = tunnel_bps;
	if (optind < argc)
		usage_error("unexpected argument %s", argv[optind]);
	if (!a->spec)
		usage_error("--topology is missing (see --help)");
	if (a->run.seconds > a->run.cap)
		a->run.cap = a->run.seconds;
	a->run.progress = isatty(STDERR_FILENO) && !a->run.sim.trace;
}

static void repeat_make(int argc, char **argv)
{
	const char *quote;
	size_t len = 0;
	int i;

	for (i = 0; i < argc && len < sizeof(repeat_command); i++) {
		if (i > 0 && (!strcmp(argv[i], "--json") || !strcmp(argv[i], "--trace")))
			continue;
		quote = strchr(argv[i], ' ') ? "'" : "";
		len += (size_t)snprintf(repeat_command + len, sizeof(repeat_command) - len,
					"%s%s%s%s", i ? " " : "", quote, i ? argv[i] : "pnsim", quote);
	}
}

/* An assertion of the layer failed: say which, and how to see it again. */
static void on_abort(int sig)
{
	const char *parts[] = { "\npnsim: ", pn_assert_failed ? pn_assert_failed : "aborted",
				"\npnsim: repeat with: ", repeat_command, "\n" };
	size_t i;

	(void)sig;
	for (i = 0; i < PN_ARRAY_LEN(parts); i++)
		if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0)
			break;
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct topology topo;
	struct run_result res;
	char err[256];
	int rc;

	if (argc > 1 && !strcmp(argv[1], "plot"))
		return plot_main(argc - 1, argv + 1);
	arguments_parse(&a, argc, argv);
	repeat_make(argc, argv);
	if (!topology_load(&topo, a.spec, a.run.sim.seed, a.limit, err, sizeof(err)))
		usage_error("%s", err);
	scenario_arg(&a, &topo);
	if (!outputs_open(&a.outputs, &a.run, err, sizeof(err)))
		usage_error("%s", err);
	signal(SIGABRT, on_abort);
	run(&topo, &a.run, &res);
	rc = a.json ? report_json(stdout, &topo, a.spec, &a.run, &res, repeat_command)
		    : report_text(&topo, a.spec, &a.run, &res, repeat_command);
	if (rc < 0) {
		fprintf(stderr, "pnsim: standard output: %s\n", strerror(errno));
		rc = EXIT_USAGE;
	} else if (violations_any(&res.violations)) {
		rc = EXIT_VIOLATION;
	}
	if (!outputs_finish(&a.outputs, &topo, a.spec, &a.run, &res, repeat_command, err,
			    sizeof(err))) {
		fprintf(stderr, "pnsim: %s\n", err);
		rc = EXIT_USAGE;
	}
	run_result_free(&res);
	scenario_free(&a.run.scenario);
	topology_free(&topo);
	return rc;
}
