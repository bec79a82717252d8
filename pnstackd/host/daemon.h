/* SPDX-License-Identifier: ISC */
/* daemon.h - pnstackd as a whole: assemble, run, end */
#ifndef PN_DAEMON_H
#define PN_DAEMON_H

#include <stdbool.h>
#include <stddef.h>

#include "pnstackd/host/config.h"

#define DAEMON_OPT_LINKS_MAX 32

/**
 * struct daemon_options - The command line; all borrowed, all may be NULL
 * @config_file: -c; then it must exist
 * @links:	-l, in the order given
 */
struct daemon_options {
	const char *config_file;
	const char *socket;
	const char *state;
	const char *user;
	const char *log_level;
	const char *links[DAEMON_OPT_LINKS_MAX];
	size_t link_count;
};

/** daemon_config() - defaults, file, command line, in that order
 *  Return: 0, or PN_EINVAL with @why */
int daemon_config(const struct daemon_options *opt, struct config *cfg, char *why, size_t why_len);

/** daemon_run() - until a signal ends it
 *  @cfg:   as daemon_config() made it; changed by a reload
 *  Return: exit status */
int daemon_run(const struct daemon_options *opt, struct config *cfg);

#endif
