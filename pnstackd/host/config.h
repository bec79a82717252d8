/* SPDX-License-Identifier: ISC */
/* config.h - pnstackd.conf(5): JSON to struct config, and back */
#ifndef PN_CONFIG_H
#define PN_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pn_limits.h"
#include "pnstackd/link/link.h"

#define CONFIG_PATH_MAX		512
#define CONFIG_LINKS_MAX	128
#define CONFIG_ALLOW_MAX	1024
#define CONFIG_WHY_MAX		700

/** one entry of "links", or a -l option */
struct config_link {
	char text[400];
	struct link_spec spec;
};

/**
 * struct config - Everything that can be configured
 * @file:	where it was read from; "" nowhere
 * @links_given: "links" stands in the file, even if empty
 * @group, @user: names; "" leave
 * @log_file:	"stderr" or a path
 * limits: 0 stands for the built-in value
 */
struct config {
	char file[CONFIG_PATH_MAX];
	char state[CONFIG_PATH_MAX];
	char identity[CONFIG_PATH_MAX];
	char petnames[CONFIG_PATH_MAX];
	char secret_file[CONFIG_PATH_MAX];
	char api_path[CONFIG_PATH_MAX];
	uint64_t api_mode;
	char group[64];
	char user[64];
	bool ethernet;
	bool leaf;		/* carries nobody else's traffic */
	uint64_t loop;		/* enum loop_kind */
	uint64_t log_level;
	char log_file[CONFIG_PATH_MAX];
	uint64_t limit_neighbours;
	uint64_t limit_records;
	uint64_t limit_peers;
	uint64_t limit_sessions;
	uint64_t limit_streams;
	uint64_t limit_sockets;
	uint64_t limit_packets;
	uint64_t limit_packet_size;
	uint64_t session_cc;	/* enum session_cc */
	uint64_t session_window;
	uint64_t session_idle_s;
	bool links_given;
	size_t link_count;
	struct config_link links[CONFIG_LINKS_MAX];
	bool has_allow;
	size_t allow_count;
	uint8_t allow[CONFIG_ALLOW_MAX][PN_ID_LEN];
};

/** config_default() - what holds where the file says nothing, for this user */
void config_default(struct config *cfg);

/** config_default_file() - where the file is looked for if none is named */
void config_default_file(char *buf, size_t len);

/** config_load() - read a file over what is in @cfg
 *  Return: 0; -ENOENT if there is no such file; PN_EINVAL.  @why then says
 *  "FILE:LINE: KEY: what is wrong", and @cfg is as it was */
int config_load(struct config *cfg, const char *path, char *why, size_t why_len);

/** config_parse() - the same from memory; @name stands for the file in @why */
int config_parse(struct config *cfg, const char *text, size_t len, const char *name, char *why,
		 size_t why_len);

/** config_add_link() - as the option -l; PN_EINVAL with @why */
int config_add_link(struct config *cfg, const char *text, char *why, size_t why_len);

/** config_identity() - the key's file: as configured, or in the state directory */
void config_identity(const struct config *cfg, char *buf, size_t len);

/** config_print() - JSON that config_load() reads back to the same
 *  Return: to be freed; NULL when out of memory */
char *config_print(const struct config *cfg);

#endif
