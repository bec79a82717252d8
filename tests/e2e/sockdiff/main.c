/* SPDX-License-Identifier: ISC */
/* The command line. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct side me;

static void usage(void)
{
	fputs("usage: sockdiff far  PATH ADDRESSES\n"
	      "       sockdiff near PATH ADDRESSES FILE... [-o PART-OF-NAME]\n"
	      "ADDRESSES: SELF4 PEER4 NOWHERE4 SELF6 PEER6 NOWHERE6, numbers or names\n",
	      stderr);
	exit(2);
}

int main(int argc, char **argv)
{
	unsigned int sequences, steps;
	const char *only = NULL;
	int i;

	if (argc < 9)
		usage();
	exec_setup();
	place_set(AF_INET, argv + 3);
	place_set(AF_INET6, argv + 6);
	proc_setup(argv + 3);
	if (!strcmp(argv[1], "step") && argc == 11)	/* calls_proc.c made this process */
		return proc_step(argv[2], argv[9], argv[10]);
	if (!strcmp(argv[1], "far")) {
		far_serve(argv[2]);
		return 0;
	}
	if (argc > 11 && !strcmp(argv[argc - 2], "-o")) {
		only = argv[argc - 1];
		argc -= 2;
	}
	if (strcmp(argv[1], "near") != 0 || argc < 10)
		usage();
	far_connect(argv[2]);
	for (i = 9; i < argc; i++)
		script_run(argv[i], only);
	script_counts(&sequences, &steps);
	fflush(stdout);
	fprintf(stderr, "%u sequences, %u steps\n", sequences, steps);
	return 0;
}
