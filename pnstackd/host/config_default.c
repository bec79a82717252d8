/* SPDX-License-Identifier: ISC */
/* What holds where pnstackd.conf says nothing: the system's daemon (started as
 * root) and a user's own keep their things in different places. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libpeernet/api_wire.h"
#include "pnstackd/host/config.h"
#include "pnstackd/host/log.h"
#include "pnstackd/session/session.h"

#ifndef PN_SYSCONFDIR
#define PN_SYSCONFDIR "/etc"
#endif

/* $NAME if it is an absolute path, else @home below $HOME. */
static void user_dir(char *buf, size_t len, const char *name, const char *home)
{
	const char *env = getenv(name), *h = getenv("HOME");

	if (env && *env == '/')
		snprintf(buf, len, "%s", env);
	else
		snprintf(buf, len, "%s/%s", h && *h == '/' ? h : "/nonexistent", home);
}

/* The system's daemon: root's, or a user's that the system's unit made for it,
 * which shows in the directory from systemd.exec(5). */
static bool is_system(void)
{
	const char *run = getenv("RUNTIME_DIRECTORY");

	return geteuid() == 0 || (run && !strcmp(run, "/run/peernet"));
}

void config_default_file(char *buf, size_t len)
{
	char dir[CONFIG_PATH_MAX - 64];

	if (is_system()) {
		snprintf(buf, len, "%s/peernet/pnstackd.conf", PN_SYSCONFDIR);
		return;
	}
	user_dir(dir, sizeof(dir), "XDG_CONFIG_HOME", ".config");
	snprintf(buf, len, "%s/peernet/pnstackd.conf", dir);
}

static void default_state(struct config *cfg)
{
	const char *env = getenv("STATE_DIRECTORY");	/* systemd.exec(5) */
	char dir[CONFIG_PATH_MAX - 64];

	if (env && *env == '/' && strlen(env) < sizeof(cfg->state) && !strchr(env, ':')) {
		snprintf(cfg->state, sizeof(cfg->state), "%s", env);
	} else if (is_system()) {
		snprintf(cfg->state, sizeof(cfg->state), "/var/lib/peernet");
	} else {
		user_dir(dir, sizeof(dir), "XDG_STATE_HOME", ".local/state");
		snprintf(cfg->state, sizeof(cfg->state), "%s/peernet", dir);
	}
}

static void default_api(struct config *cfg)
{
	const char *env = getenv(PN_API_SOCKET_ENV), *run = getenv("XDG_RUNTIME_DIR");

	if (env && *env == '/' && strlen(env) < sizeof(cfg->api_path))
		snprintf(cfg->api_path, sizeof(cfg->api_path), "%s", env);
	else if (is_system())
		snprintf(cfg->api_path, sizeof(cfg->api_path), "%s", PN_API_SOCKET_DEFAULT);
	else if (run && *run == '/')
		snprintf(cfg->api_path, sizeof(cfg->api_path), "%.400s/peernet.sock", run);
	/* else it must be named: a program would not find it */
}

static void default_petnames(struct config *cfg)
{
	char *slash;

	config_default_file(cfg->petnames, sizeof(cfg->petnames));
	slash = strrchr(cfg->petnames, '/');
	snprintf(slash + 1, sizeof(cfg->petnames) - (size_t)(slash + 1 - cfg->petnames),
		 "petnames");
}

void config_default(struct config *cfg)
{
	struct session_config session;

	memset(cfg, 0, sizeof(*cfg));
	session_config_default(&session);
	default_state(cfg);
	default_api(cfg);
	default_petnames(cfg);
	cfg->api_mode = is_system() ? 0666 : 0600;
	cfg->ethernet = true;
	cfg->loop = LOOP_AUTO;
	cfg->log_level = LOG_LEVEL_INFO;
	cfg->session_cc = session.cc;
	snprintf(cfg->log_file, sizeof(cfg->log_file), "stderr");
}

void config_identity(const struct config *cfg, char *buf, size_t len)
{
	if (cfg->identity[0])
		snprintf(buf, len, "%s", cfg->identity);
	else
		snprintf(buf, len, "%s/identity.key", cfg->state);
}
