/* SPDX-License-Identifier: ISC */
/* pntrace - the way to an identity, hop by hop
 *
 * Theory of operation
 *
 * Echo requests are sent with a hop limit of 1, 2, 3...: the node at which one ends
 * answers with its identity and address, the target itself with an ordinary reply.
 * All probes of one hop are under way at the same time.  The level crossed is the
 * highest bit in which the address of a hop differs from that of the hop before: an
 * area of that level was left.
 */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/ctl.h"
#include "tools/common/node.h"
#include "tools/common/tool.h"

#define PROBES_MAX 10
#define HOPS_MAX 65535
#define HOPS_DEFAULT 64
/* after so many hops without any answer it is not worth going on */
#define SILENT_MAX 5

/** struct hop - what the probes with one hop limit told
 * @from:     who answered first; @from_count: how many different ones were seen
 * @reached:  the target itself answered
 * @failed:   an error that no other hop limit will change; text in @why
 */
struct hop {
	struct node from;
	bool answered, reached, failed, others;
	char why[128];
	bool has_rtt[PROBES_MAX];
	uint64_t rtt_ns[PROBES_MAX];
};

struct trace {
	const char *target;
	const char *socket_path;
	uint64_t probes, hops_max, wait_ns;
	bool full, json;
	struct ctl ctl;
	char hit[64];
	bool has_addr;      /* address of the hop before */
	uint64_t addr;
};

static const char usage_text[] =
	"usage: pntrace [options] NAME\n"
	"  NAME              name.pn.alt, a petname, or a HIT\n"
	"  -m HOPS           go at most so far (64)\n"
	"  -q PROBES         for each hop (3, at most 10)\n"
	"  -w SECONDS        wait for an answer (2)\n"
	"      --full        print identities in full\n"
	"      --json        one JSON object\n"
	"      --socket PATH of the daemon\n"
	"  -h, --help        this text\n"
	"  -V, --version     version\n"
	"exit code: 0 target reached, 1 not reached, 2 other errors\n";

enum { OPT_JSON = 256, OPT_SOCKET, OPT_FULL };

static const struct option long_options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void parse_args(struct trace *t, int argc, char **argv)
{
	int opt;

	t->probes = 3;
	t->hops_max = HOPS_DEFAULT;
	t->wait_ns = 2 * TOOL_NS_PER_S;
	while ((opt = getopt_long(argc, argv, "m:q:w:hV", long_options, NULL)) != -1) {
		switch (opt) {
		case 'm': t->hops_max = tool_option_u64('m', optarg, 1, HOPS_MAX); break;
		case 'q': t->probes = tool_option_u64('q', optarg, 1, PROBES_MAX); break;
		case 'w': t->wait_ns = tool_option_seconds('w', optarg, 600); break;
		case OPT_FULL: t->full = true; break;
		case OPT_JSON: t->json = true; break;
		case OPT_SOCKET: t->socket_path = optarg; break;
		case 'h':
			fputs(usage_text, stdout);
			exit(tool_flush(TOOL_OK));
		case 'V':
			tool_version();
		default:
			exit(TOOL_ERROR);
		}
	}
	if (optind == argc)
		tool_usage_error("the way to whom? No name given");
	if (optind + 1 < argc)
		tool_usage_error("one name only: \"%.64s\" is too many", argv[optind + 1]);
	if (!t->wait_ns)
		tool_usage_error("-w: must be more than 0");
	t->target = argv[optind];
}

static void resolve(struct trace *t)
{
	json_t *reply = ctl_call(&t->ctl, "resolve", json_pack("{s:s}", "name", t->target));

	if (ctl_is_error(reply))
		ctl_die(t->target, reply);
	snprintf(t->hit, sizeof(t->hit), "%s", ctl_str(reply, "hit"));
	json_decref(reply);
}

/* Our own address, so that the first hop has a level, too. */
static void learn_own(struct trace *t)
{
	json_t *reply = ctl_call(&t->ctl, "status", NULL);
	const char *first = json_string_value(
		json_array_get(json_object_get(reply, "addresses"), 0));

	t->has_addr = first && node_parse_address(first, &t->addr);
	json_decref(reply);
}

static void hop_on_reply(struct hop *h, size_t i, const json_t *reply)
{
	bool target = !strcmp(ctl_str(reply, "result"), "reply");
	struct node node;

	if (!strcmp(ctl_error_code(reply), "ETIMEDOUT"))
		return;
	if (!target && !ctl_bool(reply, "expired")) {
		/* no route, no such identity: the daemon or a node on the way says so */
		h->failed = true;
		snprintf(h->why, sizeof(h->why), "%s", ctl_is_error(reply) ?
			 ctl_error_text(reply) : ctl_str(reply, "reason"));
		tool_clean(h->why);
	}
	node_parse(json_object_get(reply, "from"), &node);
	if (!node_known(&node))
		return;
	if (h->answered && !node_same(&h->from, &node))
		h->others = true;
	else
		h->from = node;
	h->answered = true;
	h->reached |= target;
	h->rtt_ns[i] = ctl_u64(reply, "rtt_ns");
	h->has_rtt[i] = h->rtt_ns[i] != 0;
}

static void probe_hop(struct trace *t, uint64_t limit, struct hop *h)
{
	uint64_t first = 0, left = t->probes, i;
	/* the daemon ends each probe; this is only for a daemon that does not */
	uint64_t end = tool_now_ns() + t->wait_ns + CTL_WAIT_MS * TOOL_NS_PER_MS;

	memset(h, 0, sizeof(*h));
	for (i = 0; i < t->probes; i++) {
		json_t *req = json_pack("{s:s, s:I, s:I}", "name", t->hit, "hops",
					(json_int_t)limit, "timeout_ms",
					(json_int_t)((t->wait_ns + 999999) / 1000000));
		uint64_t id = ctl_send(&t->ctl, "ping", req);

		if (!i)
			first = id;
	}
	while (left) {
		uint64_t now = tool_now_ns(), id;
		json_t *reply;

		if (now >= end)
			tool_die("the daemon at %s does not answer", t->ctl.path);
		reply = ctl_next(&t->ctl, (int)((end - now) / TOOL_NS_PER_MS) + 1);
		id = ctl_id(reply);
		if (reply && id >= first && id < first + t->probes) {
			hop_on_reply(h, (size_t)(id - first), reply);
			left--;
		}
		json_decref(reply);
	}
}

/* The level crossed to get there; -1 unknown */
static int hop_level(struct trace *t, const struct hop *h)
{
	int level = -1;

	if (h->from.has_addr && t->has_addr)
		level = node_level(t->addr, h->from.addr);
	t->has_addr = h->from.has_addr;
	t->addr = h->from.addr;
	return level;
}

static void print_hop(const struct trace *t, uint64_t limit, const struct hop *h, int level)
{
	char who[NODE_TEXT_MAX], ms[TOOL_DURATION_MAX];
	size_t i;

	printf("%2" PRIu64 "  ", limit);
	if (!h->answered) {
		printf(h->failed ? "!  %s\n" : "*  no answer\n", h->why);
		return;
	}
	printf("%s", node_text(&h->from, t->full, who));
	if (h->from.has_addr)
		printf("  address %" PRIx64, h->from.addr);
	if (level >= 0)
		printf("  level %d", level);
	for (i = 0; i < t->probes; i++) {
		if (h->has_rtt[i])
			printf("  %s ms", tool_format_ms(h->rtt_ns[i], ms));
		else
			printf("  *");
	}
	if (h->others)
		printf("  (and others)");
	if (h->failed)
		printf("  !  %s", h->why);
	putchar('\n');
	fflush(stdout);
}

static json_t *hop_json(const struct trace *t, uint64_t limit, const struct hop *h, int level)
{
	json_t *out = json_object(), *rtts = json_array();
	size_t i;

	json_object_set_new(out, "hop", json_integer((json_int_t)limit));
	if (h->answered) {
		json_object_set_new(out, "identity", json_string(h->from.identity));
		json_object_set_new(out, "hit", json_string(h->from.hit));
		if (h->from.petname[0])
			json_object_set_new(out, "name", json_string(h->from.petname));
		json_object_set_new(out, "address", json_string(h->from.address));
	}
	json_object_set_new(out, "level", level < 0 ? json_null() : json_integer(level));
	if (h->failed)
		json_object_set_new(out, "error", json_string(h->why));
	for (i = 0; i < t->probes; i++)
		json_array_append_new(rtts, h->has_rtt[i] ?
					    json_integer((json_int_t)h->rtt_ns[i]) : json_null());
	json_object_set_new(out, "rtts_ns", rtts);
	json_object_set_new(out, "reached", json_boolean(h->reached));
	return out;
}

static void end_json(const struct trace *t, json_t *hops, bool reached)
{
	json_t *out = json_pack("{s:s, s:s, s:b, s:o}", "target", t->target, "hit", t->hit,
				"reached", reached, "hops", hops);

	if (!out)
		tool_die("cannot build the JSON object");
	json_dumpf(out, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(out);
}

static bool run(struct trace *t)
{
	json_t *hops = json_array();
	unsigned int silent = 0;
	bool reached = false;
	uint64_t limit;

	for (limit = 1; limit <= t->hops_max && !reached; limit++) {
		struct hop h;
		int level;

		probe_hop(t, limit, &h);
		level = hop_level(t, &h);
		if (t->json)
			json_array_append_new(hops, hop_json(t, limit, &h, level));
		else
			print_hop(t, limit, &h, level);
		reached = h.reached;
		silent = h.answered ? 0 : silent + 1;
		if (h.failed && !reached)
			break;
		if (silent == SILENT_MAX) {
			tool_warn("no answer from %d hops in a row; giving up", SILENT_MAX);
			break;
		}
	}
	if (t->json)
		end_json(t, hops, reached);
	else
		json_decref(hops);
	return reached;
}

int main(int argc, char **argv)
{
	struct trace t = { .probes = 0 };
	bool reached;

	tool_init("pntrace");
	parse_args(&t, argc, argv);
	ctl_open(&t.ctl, t.socket_path);
	resolve(&t);
	learn_own(&t);
	if (!t.json)
		printf("the way to %.255s (%s), at most %" PRIu64 " hops, %" PRIu64
		       " probes each\n", t.target, t.hit, t.hops_max, t.probes);
	fflush(stdout);
	reached = run(&t);
	ctl_close(&t.ctl);
	return tool_flush(reached ? TOOL_OK : TOOL_NO_ANSWER);
}
