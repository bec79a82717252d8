/* SPDX-License-Identifier: ISC */
/* Assembling the daemon, in the stages that privs.c tells, and taking it apart. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libpeernet/base/name.h"
#include "pnstackd/host/daemon_impl.h"
#include "pnstackd/host/log.h"
#include "pnstackd/host/privs.h"

#define POOL_COUNT	2048	/* packets; 3.5 MB at 1,536 bytes */
#define POOL_SIZE	1536	/* bytes: an Ethernet frame */
#define SOCKET_MAX	32768	/* of local programs */

#define LIMIT(key_, default_) (uint32_t)((key_) ? (key_) : (default_))

/* --- stage 2: with the rights we were started with ------------------------- */

static int setup_identity(struct daemon *d)
{
	char path[CONFIG_PATH_MAX + 32], why[CONFIG_WHY_MAX];

	config_identity(d->cfg, path, sizeof(path));
	if (identity_load(&d->identity, path, why, sizeof(why))) {
		log_err("%s", why);
		return PN_EINVAL;
	}
	if (d->identity.made)
		log_info("made a new identity in %s", path);
	if (d->identity.boot_lost)
		log_warn("%s.boot: missing or damaged, the clock stands in", path);
	if (d->cfg->secret_file[0] &&
	    secret_load(d->secret, d->cfg->secret_file, why, sizeof(why))) {
		log_err("%s", why);
		return PN_EINVAL;
	}
	return 0;
}

static void *map_memory(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return NULL;
	/* these tables are used here and there: a huge page for each would be waste */
	madvise(mem, len, MADV_NOHUGEPAGE);
	return mem;
}

/* Packets must take the largest frame of the links there are at the start. */
static uint32_t pool_payload(const struct config *cfg)
{
	uint32_t size = POOL_SIZE;
	size_t i;

	if (cfg->limit_packet_size)
		return (uint32_t)cfg->limit_packet_size;
	for (i = 0; i < cfg->link_count; i++) {
		uint32_t frame = link_frame_max(&cfg->links[i].spec);

		size = frame > size ? frame : size;
	}
	return size < PN_PKT_MAX ? size : PN_PKT_MAX;
}

static int setup_pool(struct daemon *d)
{
	uint32_t count = LIMIT(d->cfg->limit_packets, POOL_COUNT);
	uint32_t size = pool_payload(d->cfg);

	d->pool_mem_len = pn_pool_mem_size(count, size);
	d->pool_mem = map_memory(d->pool_mem_len);
	if (!d->pool_mem)
		return PN_ENOMEM;
	pn_pool_init(&d->pool, d->pool_mem, count, size);
	return 0;
}

static int setup_net(struct daemon *d, struct pn_time now)
{
	struct config *cfg = d->cfg;
	struct net_config nc;

	net_config_default(&nc);
	memcpy(nc.seed, d->identity.seed, sizeof(nc.seed));
	if (getrandom(nc.random, sizeof(nc.random), 0) != (ssize_t)sizeof(nc.random))
		return PN_EINVAL;
	nc.boot = d->identity.boot;
	nc.pool = &d->pool;
	nc.zeroed = true;	/* map_memory() */
	nc.adj_max = LIMIT(cfg->limit_neighbours, nc.adj_max);
	nc.record_max = LIMIT(cfg->limit_records, nc.record_max);
	nc.leaf = cfg->leaf;
	nc.peer_max = LIMIT(cfg->limit_peers, nc.peer_max);
	if (cfg->has_allow) {
		nc.allowed = (const uint8_t(*)[PN_ID_LEN])cfg->allow;
		nc.allowed_count = (uint32_t)cfg->allow_count;
	}
	nc.has_secret = cfg->secret_file[0];
	memcpy(nc.secret, d->secret, sizeof(nc.secret));
	d->net_mem_len = net_mem_size(&nc);
	d->net_mem = map_memory(d->net_mem_len);
	if (d->net_mem)
		d->net = net_init(d->net_mem, &nc, now);
	explicit_bzero(&nc, sizeof(nc));
	explicit_bzero(d->secret, sizeof(d->secret));
	return d->net ? 0 : PN_ENOMEM;
}

static int setup_sessions(struct daemon *d, struct pn_time now)
{
	struct session_config sc;

	session_config_default(&sc);
	memcpy(sc.seed, d->identity.seed, sizeof(sc.seed));
	if (getrandom(sc.random, sizeof(sc.random), 0) != (ssize_t)sizeof(sc.random))
		return PN_EINVAL;
	sc.pool = &d->pool;
	sc.session_max = LIMIT(d->cfg->limit_sessions, sc.session_max);
	sc.stream_max = LIMIT(d->cfg->limit_streams, sc.stream_max);
	sc.window_max = LIMIT(d->cfg->session_window, sc.window_max);
	if (d->cfg->session_idle_s)
		sc.idle_ns = PN_S(d->cfg->session_idle_s);
	sc.cc = (enum session_cc)d->cfg->session_cc;
	d->sessions = session_set_new(&sc, d->net, now);
	explicit_bzero(&sc, sizeof(sc));
	explicit_bzero(d->identity.seed, sizeof(d->identity.seed));
	return d->sessions ? 0 : PN_ENOMEM;
}

static int setup_loop(struct daemon *d)
{
	const char *why;

	d->loop = loop_new((enum loop_kind)d->cfg->loop, &why);
	if (!d->loop) {
		log_err("loop: %s: %s", why ? why : "no event loop", strerror(errno));
		return PN_EINVAL;
	}
	if (why && d->cfg->loop == LOOP_AUTO)
		log_info("%s: using epoll", why);
	return 0;
}

static int setup_links(struct daemon *d, struct pn_time now)
{
	char why[CONFIG_WHY_MAX];
	int pass;
	size_t i;

	d->links = link_set_new(d->loop, d->net, &d->pool);
	if (!d->links)
		return PN_ENOMEM;
	link_set_log(d->links, daemon_link_log, d);
	/* listeners first: peers are dialled through them */
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < d->cfg->link_count; i++) {
			const struct link_spec *spec = &d->cfg->links[i].spec;

			if ((spec->type == LINK_UDP_LISTEN) == (pass == 1))
				continue;
			if (link_add(d->links, spec, now, why, sizeof(why)) < 0) {
				log_err("link %s: %s", spec->name, why);
				return PN_EINVAL;
			}
		}
	}
	return 0;
}

/* The socket's directory, if it is missing: /run is empty after a boot. */
static int setup_api_dir(const struct config *cfg)
{
	char dir[CONFIG_PATH_MAX];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", cfg->api_path);
	slash = strrchr(dir, '/');
	if (slash == dir)
		return 0;
	*slash = '\0';
	if (mkdir(dir, 0755) == 0) {
		privs_own(dir, cfg->user);
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	log_err("api.path: cannot make the directory %s: %s", dir, strerror(errno));
	return PN_EINVAL;
}

static int setup_api(struct daemon *d, struct pn_time now)
{
	struct config *cfg = d->cfg;
	struct api_config ac = {
		.path = cfg->api_path,
		.mode = (unsigned int)cfg->api_mode,
		.gid = -1,
		.petnames = cfg->petnames[0] ? cfg->petnames : NULL,
		.loop = d->loop,
		.net = d->net,
		.sessions = d->sessions,
		.links = d->links,
		.host = d,
		.reload = daemon_reload,
		.log_level = daemon_log_level,
		.log = daemon_link_log,
		.socket_max = LIMIT(cfg->limit_sockets, SOCKET_MAX),
	};
	struct group *gr = cfg->group[0] ? getgrnam(cfg->group) : NULL;
	char why[CONFIG_WHY_MAX] = "";

	if (cfg->group[0] && !gr) {
		log_err("api.group: there is no group \"%s\"", cfg->group);
		return PN_EINVAL;
	}
	if (gr)
		ac.gid = (int)gr->gr_gid;
	if (!cfg->api_path[0]) {
		log_err("api.path: $XDG_RUNTIME_DIR is not set, name a socket (option -s)");
		return PN_EINVAL;
	}
	if (setup_api_dir(cfg))
		return PN_EINVAL;
	d->api = api_new(&ac, now, why, sizeof(why));
	if (!d->api) {
		log_err("%s", why);
		return PN_EINVAL;
	}
	return 0;
}

/* --- signals ------------------------------------------------------------------ */

static void on_signal(void *arg, uint32_t events, struct pn_time now)
{
	struct daemon *d = arg;
	struct signalfd_siginfo si;
	char why[CONFIG_WHY_MAX];

	(void)events;
	(void)now;
	while (read(d->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo != SIGHUP)
			d->stop_signal = (int)si.ssi_signo;
		else
			daemon_reload(d, why, sizeof(why));
	}
}

static int setup_signals(struct daemon *d)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signal_fd < 0)
		return PN_EINVAL;
	d->signal_watch = loop_watch_add(d->loop, d->signal_fd, LOOP_IN, on_signal, d);
	return d->signal_watch ? 0 : PN_ENOMEM;
}

/* --- all of it ------------------------------------------------------------------ */

static void log_self(const struct daemon *d)
{
	char name[PN_ID_NAME_LEN + 1];

	pn_id_to_name(net_id(d->net), name);
	log_info("this node is %s", name);
	log_debug("%s, %u packets of %u bytes, start %llu", loop_name(d->loop), d->pool.count,
		  d->pool.payload_size, (unsigned long long)d->identity.boot);
}

static int setup_core(struct daemon *d, struct pn_time now)
{
	if (!setup_pool(d) && !setup_net(d, now) && !setup_sessions(d, now))
		return 0;
	log_err("out of memory");
	return PN_ENOMEM;
}

int daemon_setup(struct daemon *d)
{
	char told[CONFIG_WHY_MAX];
	struct pn_time now;

	privs_harden();
	/* the key comes early: its lock keeps a second daemon from going further */
	if (setup_loop(d) || setup_signals(d) || setup_identity(d))
		return PN_EINVAL;
	now = loop_now();
	if (setup_core(d, now))
		return PN_ENOMEM;
	log_self(d);
	if (setup_links(d, now) || setup_api(d, now))
		return PN_EINVAL;
	if (privs_drop(d->cfg->user, d->cfg->ethernet, told, sizeof(told))) {
		log_err("%s", told);
		return PN_EINVAL;
	}
	log_debug("%s", told);
	return 0;
}

/* Programs first, then sessions, then goodbye to the neighbours, then links. */
void daemon_teardown(struct daemon *d)
{
	struct pn_time now = loop_now();

	if (d->api)
		api_free(d->api);
	d->api = NULL;
	if (d->sessions) {
		session_flush(d->sessions, now);
		session_set_free(d->sessions);
	}
	d->sessions = NULL;
	if (d->links) {
		daemon_pump(d, now);
		net_goodbye(d->net, now);
		daemon_pump(d, now);
		link_set_free(d->links);
	}
	d->links = NULL;
	if (d->net)
		net_fini(d->net);
	if (d->signal_watch)
		loop_watch_del(d->loop, d->signal_watch);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
	loop_free(d->loop);
	if (d->net_mem)
		munmap(d->net_mem, d->net_mem_len);
	if (d->pool_mem)
		munmap(d->pool_mem, d->pool_mem_len);
	identity_fini(&d->identity);
}
