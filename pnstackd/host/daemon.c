/* SPDX-License-Identifier: ISC */
/* The daemon's main loop.
 *
 * Theory of operation
 *
 * One thread.  loop_wait() sleeps until a frame, a program, a signal or a
 * deadline wants something; links hand frames to the net layer and the API hands
 * bytes to the sessions within its callbacks.  Then the pump moves what that has
 * caused between the layers until all is quiet:
 *
 *	net_deliver  ->  session_input		packets for this node
 *	net_next_event  ->  session, api, log	news of the network
 *	session_next_event  ->  api		news of the streams
 *	session_flush, api_flush		write what became possible
 *	net_output  ->  link_transmit		frames to the wire
 *
 * The pump is bounded: after PUMP_ROUNDS the loop looks at descriptors again
 * (without sleeping), so that no source starves the others.  The clock is read
 * once per round of the loop and passed down. */
#include "pnstackd/host/daemon_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/host/log.h"
#include "pnstackd/host/privs.h"
#include "pnstackd/host/sdnotify.h"

#define PUMP_ROUNDS	16
#define PUMP_BATCH	64	/* packets moved by one call */
#define PUMP_FRAMES	1024	/* frames out per round */

/* --- configuration --------------------------------------------------------- */

static int config_options(const struct daemon_options *opt, struct config *cfg, char *why,
			  size_t why_len)
{
	size_t i;

	if (opt->socket)
		snprintf(cfg->api_path, sizeof(cfg->api_path), "%s", opt->socket);
	if (opt->state)
		snprintf(cfg->state, sizeof(cfg->state), "%s", opt->state);
	if (opt->user)
		snprintf(cfg->user, sizeof(cfg->user), "%s", opt->user);
	if (opt->log_level) {
		int level = log_level_from_name(opt->log_level);

		if (level < 0) {
			snprintf(why, why_len,
				 "log level \"%s\": must be err, warn, info, debug or trace",
				 opt->log_level);
			return PN_EINVAL;
		}
		cfg->log_level = (uint64_t)level;
	}
	for (i = 0; i < opt->link_count; i++) {
		if (config_add_link(cfg, opt->links[i], why, why_len))
			return PN_EINVAL;
	}
	return 0;
}

int daemon_config(const struct daemon_options *opt, struct config *cfg, char *why, size_t why_len)
{
	char path[CONFIG_PATH_MAX], listen[32];
	int err;

	config_default(cfg);
	if (opt->config_file)
		snprintf(path, sizeof(path), "%s", opt->config_file);
	else
		config_default_file(path, sizeof(path));
	err = config_load(cfg, path, why, why_len);
	if (err && (err != -ENOENT || opt->config_file))
		return PN_EINVAL;
	if (config_options(opt, cfg, why, why_len))
		return PN_EINVAL;
	if (cfg->links_given || opt->link_count)
		return 0;
	/* nothing said: all of the local network, or as much as a user may */
	snprintf(listen, sizeof(listen), "udp-listen:%d", LINK_UDP_PORT);
	return config_add_link(cfg, privs_has_net_raw() ? "eth:auto" : listen, why, why_len);
}

/* --- the pump ----------------------------------------------------------------- */

static bool pump_in(struct daemon *d, struct pn_time now)
{
	struct pn_pkt *pkts[PUMP_BATCH];
	struct session_event sev;
	struct net_event ev;
	bool moved = false;
	size_t n;

	while ((n = net_deliver(d->net, pkts, PUMP_BATCH))) {
		moved = true;
		if (d->sessions) {
			session_input(d->sessions, pkts, n, now);
			continue;
		}
		while (n)
			pn_pkt_put(&d->pool, pkts[--n]);
	}
	while (net_next_event(d->net, &ev)) {
		moved = true;
		news_log(d, &ev, now);
		if (d->sessions)
			session_on_net_event(d->sessions, &ev, now);
		if (d->api)
			api_on_net_event(d->api, &ev, now);
	}
	while (d->sessions && session_next_event(d->sessions, &sev)) {
		moved = true;
		news_log_session(&sev);
		if (d->api)
			api_on_session_event(d->api, &sev, now);
	}
	return moved;
}

static bool pump_out(struct daemon *d, struct pn_time now)
{
	struct pn_pkt *pkts[PUMP_BATCH];
	size_t n, total = 0;

	while (total < PUMP_FRAMES && (n = net_output(d->net, pkts, PUMP_BATCH))) {
		link_transmit(d->links, pkts, n, now);
		total += n;
	}
	if (total)
		loop_submit(d->loop);
	return total > 0;
}

void daemon_pump(struct daemon *d, struct pn_time now)
{
	int i;

	d->pump_again = true;
	for (i = 0; i < PUMP_ROUNDS && d->pump_again; i++) {
		d->pump_again = pump_in(d, now);
		if (d->sessions)
			session_flush(d->sessions, now);
		if (d->api)
			api_flush(d->api, now);
		d->pump_again |= pump_out(d, now);
	}
}

/* --- time ------------------------------------------------------------------------ */

static struct pn_time next_deadline(const struct daemon *d)
{
	struct pn_time at = net_deadline(d->net);

	if (d->pump_again)
		return PN_TIME_ZERO;
	at = pn_time_min(at, session_deadline(d->sessions));
	at = pn_time_min(at, api_deadline(d->api));
	at = pn_time_min(at, link_deadline(d->links));
	return pn_time_min(at, d->watchdog_at);
}

static void expire(struct daemon *d, struct pn_time now)
{
	if (pn_time_due(link_deadline(d->links), now))
		link_expire(d->links, now);
	if (pn_time_due(net_deadline(d->net), now))
		net_expire(d->net, now);
	if (pn_time_due(session_deadline(d->sessions), now))
		session_expire(d->sessions, now);
	if (pn_time_due(api_deadline(d->api), now))
		api_expire(d->api, now);
	if (pn_time_due(d->watchdog_at, now)) {
		sdnotify("WATCHDOG=1");
		d->watchdog_at = pn_time_add(now, d->watchdog_ns);
	}
}

static void run(struct daemon *d)
{
	struct pn_time now = loop_now();

	daemon_pump(d, now);
	while (!d->stop_signal) {
		loop_wait(d->loop, next_deadline(d));
		now = loop_now();
		expire(d, now);
		daemon_pump(d, now);
	}
}

static int open_log(const struct config *cfg)
{
	int err;

	log_set_level((enum log_level)cfg->log_level);
	if (!strcmp(cfg->log_file, "stderr"))
		return 0;
	err = log_file(cfg->log_file);
	if (err)
		log_err("log.file: %s: %s", cfg->log_file, strerror(-err));
	return err;
}

int daemon_run(const struct daemon_options *opt, struct config *cfg)
{
	struct daemon *d = calloc(1, sizeof(*d));
	int status = 1;

	if (!d)
		return 1;
	d->opt = opt;
	d->cfg = cfg;
	d->signal_fd = -1;
	d->identity.lock_fd = -1;
	d->watchdog_at = PN_TIME_NEVER;
	if (!open_log(cfg) && !daemon_setup(d)) {
		d->watchdog_ns = sdnotify_watchdog_ns();
		if (d->watchdog_ns)
			d->watchdog_at = pn_time_add(loop_now(), d->watchdog_ns);
		sdnotify("READY=1");
		log_info("ready, programs connect to %s", cfg->api_path);
		run(d);
		sdnotify("STOPPING=1");
		log_info("ending: %s", strsignal(d->stop_signal));
		status = 0;
	}
	daemon_teardown(d);
	free(d);
	return status;
}
