/* SPDX-License-Identifier: ISC */
/* daemon_impl.h - between the files of the daemon; nobody else includes it */
#ifndef PN_DAEMON_IMPL_H
#define PN_DAEMON_IMPL_H

#include "pnstackd/api/api.h"
#include "pnstackd/host/daemon.h"
#include "pnstackd/host/identity.h"
#include "pnstackd/link/link.h"
#include "pnstackd/loop/loop.h"
#include "pnstackd/net/net.h"
#include "pnstackd/session/session.h"

/**
 * struct daemon
 * @net_mem, @pool_mem: mapped, @..._len bytes
 * @addr, @height: what was logged last
 * @auth_at:	a failed handshake is logged not before; @auth_muted those since
 * @watchdog_ns: how often systemd wants to hear of us; 0 never
 * @pump_again:	the last pump stopped because it had done enough
 */
struct daemon {
	const struct daemon_options *opt;
	struct config *cfg;
	struct identity identity;
	uint8_t secret[32];
	struct loop *loop;
	struct pn_pool pool;
	void *pool_mem;
	size_t pool_mem_len;
	void *net_mem;
	size_t net_mem_len;
	struct net *net;
	struct session_set *sessions;
	struct link_set *links;
	struct api *api;
	int signal_fd;
	struct loop_watch *signal_watch;
	int stop_signal;
	uint64_t addr;
	uint8_t height;
	bool had_addr;
	struct pn_time auth_at;
	unsigned int auth_muted;
	uint64_t watchdog_ns;
	struct pn_time watchdog_at;
	bool pump_again;
};

/* daemon_setup.c */
int daemon_setup(struct daemon *d);
void daemon_teardown(struct daemon *d);

/* daemon_reload.c */
int daemon_reload(void *host, char *why, size_t why_len);
int daemon_log_level(void *host, const char *level);
void daemon_link_log(void *arg, int level, const char *text);

/* daemon.c */
void daemon_pump(struct daemon *d, struct pn_time now);

/* news.c */
void news_log(struct daemon *d, const struct net_event *ev, struct pn_time now);
void news_log_session(const struct session_event *ev);

#endif
