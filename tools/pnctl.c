/* SPDX-License-Identifier: ISC */
/* pnctl - look into a running pnstackd and change how it works
 *
 * A command is one line of the table at the end: the operation of peernet-api(7) it
 * asks for, what it makes of its arguments, and the columns in which the answer is
 * shown.  With --json the answer is printed as it came.
 */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/ctl.h"
#include "tools/common/node.h"
#include "tools/common/show.h"
#include "tools/common/tool.h"

#define COUNT(a_) (sizeof(a_) / sizeof((a_)[0]))

struct pnctl;

/** struct command
 * @name:    one or two words
 * @args:    as shown in the usage; "" none
 * @args_min, @args_max: how many
 * @op:      operation
 * @request: arguments to parameters; NULL: there are none
 * @show:    print a good answer for people; NULL: nothing to print
 * @follow:  print what comes after the answer, for ever
 * @list:    with show_a_list: member of the answer; @none: said when it is empty
 */
struct command {
	const char *name;
	const char *args;
	int args_min, args_max;
	const char *help;
	const char *op;
	json_t *(*request)(char **args, int count);
	void (*show)(const struct pnctl *p, const struct command *cmd, const json_t *answer);
	bool follow;
	const char *list;
	const char *none;
	const struct show_column *columns;
	size_t column_count;
};

struct pnctl {
	const char *socket_path;
	bool json, full;
	struct ctl ctl;
};

/* Columns ------------------------------------------------------------------------ */

static const struct show_column status_columns[] = {
	{ "identity", "identity", SHOW_TEXT },
	{ "hit", "hit", SHOW_TEXT },
	{ "petname", "name", SHOW_TEXT },
	{ "version", "version", SHOW_TEXT },
	{ "pid", "pid", SHOW_TEXT },
	{ "up for", "uptime_ns", SHOW_AGE },
	{ "loop", "loop", SHOW_TEXT },
	{ "addresses", "addresses", SHOW_LIST },
	{ "network", "root", SHOW_ADDR },
	{ "height", "height", SHOW_TEXT },
	{ "neighbours", "neighbours", SHOW_TEXT },
	{ "sessions", "sessions", SHOW_TEXT },
	{ "sockets", "sockets", SHOW_TEXT },
	{ "of at most", "socket_max", SHOW_TEXT },
	{ "listeners", "listeners", SHOW_TEXT },
	{ "petnames", "petnames", SHOW_TEXT },
	{ "petnames file", "petnames_error", SHOW_TEXT },
};

static const struct show_column neighbour_columns[] = {
	{ "NEIGHBOUR", "", SHOW_NODE },
	{ "LINK", "link", SHOW_TEXT },
	{ "STATION", "station", SHOW_TEXT },
	{ "ADDRESS", "address", SHOW_ADDR },
	{ "SAME NET", "same_network", SHOW_TEXT },
	{ "LEAF", "leaf", SHOW_TEXT },
	{ "SHORTCUT", "shortcut", SHOW_TEXT },
	{ ">COST", "cost", SHOW_TEXT },
	{ ">RTT", "rtt_ns", SHOW_MS },
	{ ">UP", "up_ns", SHOW_AGE },
	{ ">RECEIVED", "rx_bytes", SHOW_BYTES },
	{ ">SENT", "tx_bytes", SHOW_BYTES },
};

static const struct show_column area_columns[] = {
	{ ">FACET", "facet", SHOW_TEXT },
	{ ">BASE", "base", SHOW_TEXT },
	{ ">TOP", "top", SHOW_TEXT },
	{ "AREA", "area", SHOW_ADDR },
	{ "LEADER", "leader", SHOW_NODE },
	{ "LEADING", "leading", SHOW_TEXT },
	{ ">EPOCH", "epoch", SHOW_TEXT },
	{ ">SEQ", "seq", SHOW_TEXT },
	{ ">NODES", "nodes", SHOW_TEXT },
	{ "SIBLING", "sibling", SHOW_ADDR },
	{ "DEPUTY", "deputy", SHOW_ADDR },
	{ "IS US", "deputising", SHOW_TEXT },
};

static const struct show_column expelled_columns[] = {
	{ "NEIGHBOUR", "", SHOW_NODE },
	{ ">FOR", "left_ns", SHOW_AGE },
};

static const struct show_column route_columns[] = {
	{ ">FACET", "facet", SHOW_TEXT },
	{ ">LEVEL", "level", SHOW_TEXT },
	{ "BLOCK", "block", SHOW_ADDR },
	{ "SIBLING", "sibling", SHOW_ADDR },
	{ ">METRIC", "metric", SHOW_TEXT },
	{ "NEXT HOP", "next", SHOW_NODE },
	{ "LINK", "link", SHOW_TEXT },
	{ "USED", "selected", SHOW_TEXT },
	{ "FEASIBLE", "feasible", SHOW_TEXT },
	{ ">NODES", "nodes", SHOW_TEXT },
};

static const struct show_column session_columns[] = {
	{ "PEER", "", SHOW_NODE },
	{ "STATE", "state", SHOW_TEXT },
	{ "OPENED", "direction", SHOW_TEXT },
	{ ">STREAMS", "streams", SHOW_TEXT },
	{ ">AGE", "age_ns", SHOW_AGE },
	{ ">IDLE", "idle_ns", SHOW_AGE },
	{ ">RTT", "rtt_ns", SHOW_MS },
	{ ">WINDOW", "cwnd", SHOW_BYTES },
	{ ">MTU", "mtu", SHOW_TEXT },
	{ ">RECEIVED", "rx_bytes", SHOW_BYTES },
	{ ">SENT", "tx_bytes", SHOW_BYTES },
	{ ">LOST", "lost_packets", SHOW_TEXT },
	{ "CIPHER", "cipher", SHOW_TEXT },
};

static const struct show_column socket_columns[] = {
	{ "TYPE", "type", SHOW_TEXT },
	{ "STATE", "state", SHOW_TEXT },
	{ "OPENED", "direction", SHOW_TEXT },
	{ ">LOCAL", "local_port", SHOW_TEXT },
	{ ">PORT", "port", SHOW_TEXT },
	{ "PEER", "", SHOW_NODE },
	{ ">RECEIVED", "rx_bytes", SHOW_BYTES },
	{ ">SENT", "tx_bytes", SHOW_BYTES },
	{ ">UID", "uid", SHOW_TEXT },
	{ ">PID", "pid", SHOW_TEXT },
};

static const struct show_column link_columns[] = {
	{ "LINK", "link", SHOW_TEXT },
	{ "TYPE", "type", SHOW_TEXT },
	{ "STATE", "state", SHOW_TEXT },
	{ ">MTU", "mtu", SHOW_TEXT },
	{ ">RECEIVED", "rx_bytes", SHOW_BYTES },
	{ ">FRAMES", "rx_frames", SHOW_TEXT },
	{ ">DROPPED", "rx_dropped", SHOW_TEXT },
	{ ">SENT", "tx_bytes", SHOW_BYTES },
	{ ">FRAMES", "tx_frames", SHOW_TEXT },
	{ ">DROPPED", "tx_dropped", SHOW_TEXT },
	{ ">CONTROL", "control_bytes", SHOW_BYTES },
	{ ">OF bit/s", "control_bps", SHOW_TEXT },
	{ ">WAITED", "control_waited", SHOW_TEXT },
	{ ">DROPPED", "control_dropped", SHOW_TEXT },
};

static const struct show_column lookup_columns[] = {
	{ "identity", "identity", SHOW_TEXT },
	{ "hit", "hit", SHOW_TEXT },
	{ "petname", "name", SHOW_TEXT },
	{ "addresses", "addresses", SHOW_LIST },
	{ "took", "time_ns", SHOW_MS },
};

/* Showing ------------------------------------------------------------------------ */

static void show_a_record(const struct pnctl *p, const struct command *cmd, const json_t *answer)
{
	show_record(answer, cmd->columns, cmd->column_count, p->full);
}

static void show_a_list(const struct pnctl *p, const struct command *cmd, const json_t *answer)
{
	show_list(json_object_get(answer, cmd->list), cmd->columns, cmd->column_count, cmd->none,
		  p->full);
}

/* name and HIT, each on a line of its own: easy to cut out */
static void show_id(const struct pnctl *p, const struct command *cmd, const json_t *answer)
{
	(void)p;
	(void)cmd;
	printf("%s\n%s\n", ctl_str(answer, "host"), ctl_str(answer, "hit"));
}

static void show_log(const struct pnctl *p, const struct command *cmd, const json_t *answer)
{
	(void)p;
	(void)cmd;
	printf("%s\n", ctl_str(answer, "level"));
}

static void show_counters(const struct pnctl *p, const struct command *cmd, const json_t *answer)
{
	const json_t *counters = json_object_get(answer, cmd->list);
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)counters, name, value) {
		if (p->full || json_integer_value(value))
			printf("%14" JSON_INTEGER_FORMAT "  %s\n", json_integer_value(value), name);
	}
}

/* Arguments to parameters ------------------------------------------------------------ */

static json_t *request_name(char **args, int count)
{
	(void)count;
	return json_pack("{s:s}", "name", args[0]);
}

static json_t *request_link(char **args, int count)
{
	(void)count;
	return json_pack("{s:s}", "link", args[0]);
}

static json_t *request_level(char **args, int count)
{
	return count ? json_pack("{s:s}", "level", args[0]) : json_object();
}

static json_t *request_events(char **args, int count)
{
	json_t *kinds = json_array();
	int i;

	for (i = 0; i < count; i++)
		json_array_append_new(kinds, json_string(args[i]));
	if (count)
		return json_pack("{s:o}", "events", kinds);
	json_decref(kinds);
	return json_object();   /* all */
}

/* Commands --------------------------------------------------------------------------- */

#define LIST(name_, none_, columns_) \
	.show = show_a_list, .list = name_, .none = none_, .columns = columns_, \
	.column_count = COUNT(columns_)
#define RECORD(columns_) \
	.show = show_a_record, .columns = columns_, .column_count = COUNT(columns_)

static const struct command commands[] = {
	{ .name = "id", .args = "", .op = "id", .show = show_id,
	  .help = "name and HIT of this node" },
	{ .name = "status", .args = "", .op = "status", RECORD(status_columns),
	  .help = "how the daemon is" },
	{ .name = "neighbours", .args = "", .op = "neighbours",
	  LIST("neighbours", "no neighbours", neighbour_columns),
	  .help = "nodes one link away" },
	{ .name = "expelled", .args = "", .op = "expelled",
	  LIST("expelled", "nobody is expelled", expelled_columns),
	  .help = "neighbours that we refuse for a while" },
	{ .name = "areas", .args = "", .op = "areas", LIST("areas", "no areas", area_columns),
	  .help = "the areas we are in, from the leaf to the root" },
	{ .name = "routes", .args = "", .op = "routes",
	  LIST("routes", "no routes: we are alone", route_columns),
	  .help = "next hops to the siblings" },
	{ .name = "lookup", .args = "NAME", .args_min = 1, .args_max = 1, .op = "lookup",
	  .request = request_name, RECORD(lookup_columns),
	  .help = "ask the network where an identity is" },
	{ .name = "resolve", .args = "NAME", .args_min = 1, .args_max = 1, .op = "resolve",
	  .request = request_name, RECORD(lookup_columns),
	  .help = "identity and HIT behind a name, without asking anybody" },
	{ .name = "sessions", .args = "", .op = "sessions",
	  LIST("sessions", "no sessions", session_columns),
	  .help = "end-to-end sessions" },
	{ .name = "sockets", .args = "", .op = "sockets",
	  LIST("sockets", "no sockets", socket_columns),
	  .help = "sockets of the programs on this node" },
	{ .name = "links", .args = "", .op = "links", LIST("links", "no links", link_columns),
	  .help = "Ethernet links and tunnels" },
	{ .name = "link add", .args = "SPEC", .args_min = 1, .args_max = 1, .op = "link-add",
	  .request = request_link, .help = "eth:IF, udp:HOST:PORT[#KEY], udp-listen:PORT" },
	{ .name = "link del", .args = "LINK", .args_min = 1, .args_max = 1, .op = "link-del",
	  .request = request_link, .help = "as \"links\" names it" },
	{ .name = "log", .args = "[LEVEL]", .args_max = 1, .op = "log-level",
	  .request = request_level, .show = show_log,
	  .help = "show or set: err, warn, info, debug, trace" },
	{ .name = "counters", .args = "", .op = "counters", .show = show_counters,
	  .list = "counters", .help = "packets and drops; --full: zeros, too" },
	{ .name = "reload", .args = "", .op = "reload", .help = "read the configuration again" },
	{ .name = "events", .args = "[KIND]...", .args_max = 8, .op = "subscribe",
	  .request = request_events, .follow = true,
	  .help = "follow: neighbour, address, link, session" },
};

static void usage(FILE *to)
{
	size_t i;

	fputs("usage: pnctl [options] COMMAND [ARGUMENT]\n", to);
	for (i = 0; i < COUNT(commands); i++) {
		char words[64];

		snprintf(words, sizeof(words), "%s %s", commands[i].name, commands[i].args);
		fprintf(to, "  %-20s  %s\n", words, commands[i].help);
	}
	fputs("  -s, --socket PATH     of the daemon\n"
	      "      --json            the answer as it came: one JSON object\n"
	      "      --full            identities in full\n"
	      "  -h, --help            this text\n"
	      "  -V, --version         version\n"
	      "exit code: 0 done, 1 nothing found (lookup), 2 other errors\n", to);
}

/* Return: words that make up the name of @cmd at the start of @args; 0: it is another */
static int match(const struct command *cmd, char **args, int count)
{
	const char *space = strchr(cmd->name, ' ');
	size_t first = space ? (size_t)(space - cmd->name) : strlen(cmd->name);

	if (strlen(args[0]) != first || strncmp(args[0], cmd->name, first) != 0)
		return 0;
	if (!space)
		return 1;
	return count > 1 && !strcmp(args[1], space + 1) ? 2 : 0;
}

static const struct command *find_command(char **args, int count, int *words)
{
	size_t i;

	for (i = 0; i < COUNT(commands); i++) {
		*words = match(&commands[i], args, count);
		if (*words)
			return &commands[i];
	}
	if (!strcmp(args[0], "link"))
		tool_usage_error("link: add or del?");
	tool_usage_error("no command \"%.64s\"", args[0]);
}

static void print_json(json_t *answer)
{
	json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
}

/* "neighbour up: alice (eth:eth0)" and the like: one line for each event */
static void print_event(const struct pnctl *p, const json_t *event)
{
	static const char *const more[] = { "address", "state", "link", "reason" };
	char who[NODE_TEXT_MAX], text[256];
	struct node node;
	size_t i;

	snprintf(text, sizeof(text), "%s %s", ctl_str(event, "event"), ctl_str(event, "what"));
	printf("%s", tool_clean(text));
	node_parse(event, &node);
	if (node_known(&node))
		printf("  %s", node_text(&node, p->full, who));
	for (i = 0; i < COUNT(more); i++) {
		snprintf(text, sizeof(text), "%s", ctl_str(event, more[i]));
		if (text[0])
			printf("  %s: %s", more[i], tool_clean(text));
	}
	putchar('\n');
}

/* Until interrupted, or the daemon goes */
static void follow(struct pnctl *p)
{
	for (;;) {
		json_t *event = ctl_next(&p->ctl, -1);

		if (!event)
			continue;
		if (p->json)
			print_json(event);
		else
			print_event(p, event);
		json_decref(event);
		if (tool_flush(TOOL_OK) != TOOL_OK)
			exit(TOOL_ERROR);
	}
}

static int run(struct pnctl *p, const struct command *cmd, char **args, int count)
{
	json_t *answer;

	ctl_open(&p->ctl, p->socket_path);
	answer = ctl_call(&p->ctl, cmd->op, cmd->request ? cmd->request(args, count) : NULL);
	if (ctl_is_error(answer)) {
		const char *code = ctl_error_code(answer);
		bool silent = !strcmp(code, "EHOSTUNREACH") || !strcmp(code, "ETIMEDOUT");
		char text[512];

		snprintf(text, sizeof(text), "%s%s%s: %s", cmd->name, count ? " " : "",
			 count ? args[0] : "", ctl_error_text(answer));
		tool_warn("%s", tool_clean(text));
		json_decref(answer);
		return silent ? TOOL_NO_ANSWER : TOOL_ERROR;
	}
	/* version and number of the request are of no interest any more */
	json_object_del(answer, "v");
	json_object_del(answer, "id");
	if (p->json && !cmd->follow)
		print_json(answer);
	else if (cmd->show)
		cmd->show(p, cmd, answer);
	json_decref(answer);
	if (cmd->follow)
		follow(p);
	return TOOL_OK;
}

enum { OPT_JSON = 256, OPT_FULL };

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "full", no_argument, NULL, OPT_FULL },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void parse_options(struct pnctl *p, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "s:hV", long_options, NULL)) != -1) {
		switch (opt) {
		case 's': p->socket_path = optarg; break;
		case OPT_JSON: p->json = true; break;
		case OPT_FULL: p->full = true; break;
		case 'h':
			usage(stdout);
			exit(tool_flush(TOOL_OK));
		case 'V':
			tool_version();
		default:
			exit(TOOL_ERROR);
		}
	}
}

int main(int argc, char **argv)
{
	struct pnctl p = { .json = false };
	const struct command *cmd;
	int words, count, code;

	tool_init("pnctl");
	parse_options(&p, argc, argv);
	if (optind == argc)
		tool_usage_error("which command?");
	cmd = find_command(argv + optind, argc - optind, &words);
	count = argc - optind - words;
	if (count < cmd->args_min)
		tool_usage_error("%s: %s is missing", cmd->name, cmd->args);
	if (count > cmd->args_max)
		tool_usage_error("%s: \"%.64s\" is too much", cmd->name,
				 argv[optind + words + cmd->args_max]);
	code = run(&p, cmd, argv + optind + words, count);
	ctl_close(&p.ctl);
	return tool_flush(code);
}
