/* SPDX-License-Identifier: ISC */
/* pnstackd - the PeerNet daemon: command line (see pnstackd(8)) */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pnstackd/host/daemon.h"
#include "pnstackd/host/log.h"

#ifndef PN_VERSION
#define PN_VERSION "0.1"
#endif

#define EXIT_USAGE 2	/* command line or configuration */

static const char usage_text[] =
	"usage: pnstackd [-fptVh] [-c FILE] [-L LEVEL] [-l LINK]... [-S DIR]\n"
	"                [-s SOCKET] [-u USER]\n"
	"\n"
	"  -c, --config FILE      configuration (pnstackd.conf(5))\n"
	"  -f, --foreground       stay in the foreground: always so\n"
	"  -L, --log-level LEVEL  err, warn, info, debug or trace\n"
	"  -l, --link LINK        add a link: eth:IFNAME, eth:auto, udp:HOST:PORT[#IDENTITY],\n"
	"                         udp-listen:[ADDRESS:]PORT\n"
	"  -p, --print-config     print the configuration in effect and exit\n"
	"  -S, --state DIR        where the identity is kept\n"
	"  -s, --socket SOCKET    where programs connect\n"
	"  -t, --test             check the configuration and exit\n"
	"  -u, --user USER        user to run as, if started by root\n"
	"  -V, --version          print the version and exit\n"
	"  -h, --help             print this and exit\n"
	"\n"
	"With no link configured: eth:auto if we may, else udp-listen:6264.\n";

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ "log-level", required_argument, NULL, 'L' },
	{ "link", required_argument, NULL, 'l' },
	{ "print-config", no_argument, NULL, 'p' },
	{ "state", required_argument, NULL, 'S' },
	{ "socket", required_argument, NULL, 's' },
	{ "test", no_argument, NULL, 't' },
	{ "user", required_argument, NULL, 'u' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

enum action { RUN, TEST, PRINT, HELP, VERSION };

static int usage_error(const char *what)
{
	if (what)
		fprintf(stderr, "pnstackd: %s\n", what);
	fprintf(stderr, "pnstackd: try pnstackd --help\n");
	return EXIT_USAGE;
}

/* Paths from the command line may be relative; what we keep is not. */
static const char *absolute(const char *path)
{
	char dir[CONFIG_PATH_MAX], *out;

	if (path[0] == '/' || !getcwd(dir, sizeof(dir)))
		return path;
	if (asprintf(&out, "%s/%s", dir, path) < 0)
		return path;
	return out;	/* lives as long as the process */
}

static int parse_options(int argc, char **argv, struct daemon_options *opt, enum action *action)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:fhL:l:pS:s:tu:V", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt->config_file = absolute(optarg);
			break;
		case 'f':
			break;
		case 'h':
			*action = HELP;
			return 0;
		case 'L':
			opt->log_level = optarg;
			break;
		case 'l':
			if (opt->link_count == DAEMON_OPT_LINKS_MAX)
				return usage_error("too many links: write a configuration file");
			opt->links[opt->link_count++] = optarg;
			break;
		case 'p':
			*action = PRINT;
			break;
		case 'S':
			opt->state = absolute(optarg);
			break;
		case 's':
			opt->socket = absolute(optarg);
			break;
		case 't':
			*action = TEST;
			break;
		case 'u':
			opt->user = optarg;
			break;
		case 'V':
			*action = VERSION;
			return 0;
		default:
			return usage_error(NULL);
		}
	}
	return optind < argc ? usage_error("there are no arguments, only options") : 0;
}

/* Our own mistakes end the process: say which one, the base library cannot. */
static void on_abort(int sig)
{
	static const char head[] = "pnstackd: assertion failed: ";
	const char *what = pn_assert_failed;

	if (what) {
		(void)!write(STDERR_FILENO, head, sizeof(head) - 1);
		(void)!write(STDERR_FILENO, what, strlen(what));
		(void)!write(STDERR_FILENO, "\n", 1);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static int print_config(const struct config *cfg)
{
	char *text = config_print(cfg);

	if (!text || puts(text) < 0 || fflush(stdout)) {
		fprintf(stderr, "pnstackd: cannot print the configuration\n");
		return 1;
	}
	free(text);
	return 0;
}

static int act(enum action action, const struct daemon_options *opt)
{
	struct config *cfg = calloc(1, sizeof(*cfg));
	char why[CONFIG_WHY_MAX];
	int status = 0;

	if (!cfg) {
		fprintf(stderr, "pnstackd: out of memory\n");
		return 1;
	}
	if (daemon_config(opt, cfg, why, sizeof(why))) {
		fprintf(stderr, "pnstackd: %s\n", why);
		status = EXIT_USAGE;
	} else if (action == PRINT) {
		status = print_config(cfg);
	} else if (action == RUN) {
		status = daemon_run(opt, cfg);
	}
	free(cfg);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon_options opt = { 0 };
	enum action action = RUN;
	int status = parse_options(argc, argv, &opt, &action);

	if (status)
		return status;
	if (action == HELP) {
		fputs(usage_text, stdout);
		return 0;
	}
	if (action == VERSION) {
		puts("pnstackd " PN_VERSION);
		return 0;
	}
	log_init();
	signal(SIGABRT, on_abort);
	return act(action, &opt);
}
