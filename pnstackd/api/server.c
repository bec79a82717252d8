/* SPDX-License-Identifier: ISC */
/* The well-known Unix socket: who comes, and what they want.
 *
 * A connection is "pending" until its first byte says what it is; a bounded number of
 * those may wait, for a bounded time.  Names of the socket: an old one that nobody
 * answers on is removed, any other thing under the path is left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

#define WAKES 10                 /* so long, in s, programs may be busy when we start */
#define WAKE_GOES 100            /* and so long if there are more than go in one go */

struct pending {
	struct pending *next, *prev;
	struct api *api;
	int fd;
	struct loop_watch *watch;
	struct api_cred cred;
	struct pn_time until;
};

const char *const api_count_names[API_N_COUNT] = {
	[API_N_STREAMS_OUT] = "api_streams_out",
	[API_N_STREAMS_IN] = "api_streams_in",
	[API_N_STREAMS_FAILED] = "api_streams_failed",
	[API_N_REFUSED_NOBODY] = "api_refused_nobody_listens",
	[API_N_REFUSED_BACKLOG] = "api_refused_backlog_full",
	[API_N_REFUSED_FULL] = "api_refused_socket_limit",
	[API_N_RELAYS] = "api_relays",
	[API_N_DGRAM_OUT] = "api_datagrams_out",
	[API_N_DGRAM_IN] = "api_datagrams_in",
	[API_N_DGRAM_DROP_FULL] = "api_datagrams_dropped_program_slow",
	[API_N_DGRAM_DROP_NOBODY] = "api_datagrams_dropped_nobody_bound",
	[API_N_DGRAM_DROP_PEER] = "api_datagrams_dropped_other_peer",
	[API_N_DGRAM_DROP_SEND] = "api_datagrams_dropped_not_sent",
	[API_N_DGRAM_DROP_BAD] = "api_datagrams_dropped_malformed",
	[API_N_BAD_HEADER] = "api_bad_stream_header",
	[API_N_BAD_MESSAGE] = "api_bad_message",
	[API_N_BAD_LINE] = "api_bad_request",
	[API_N_DENIED] = "api_denied",
	[API_N_OVER_LIMIT] = "api_over_limit",
};

/* Small things ------------------------------------------------------------- */

void api_log(struct api *api, int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!api->cfg.log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	api->cfg.log(api->cfg.host, level, text);
}

uint64_t api_random(struct api *api)
{
	uint64_t z = api->random += 0x9e3779b97f4a7c15u;   /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

void api_key(uint8_t key[16])
{
	size_t got = 0;

	while (got < 16) {
		ssize_t n = getrandom(key + got, 16 - got, 0);

		if (n > 0)
			got += (size_t)n;
	}
}

bool api_socket_take(struct api *api)
{
	if (api->socket_count >= api->cfg.socket_max) {
		api->count[API_N_OVER_LIMIT]++;
		return false;
	}
	api->socket_count++;
	return true;
}

void api_socket_drop(struct api *api)
{
	PN_ASSERT(api->socket_count > 0);
	api->socket_count--;
}

bool api_cred_of(int fd, struct api_cred *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*out = (struct api_cred){ .pid = cred.pid, .uid = cred.uid, .gid = cred.gid };
	return true;
}

void api_close(struct api *api, struct loop_watch **w, int *fd)
{
	if (*w)
		loop_watch_del(api->cfg.loop, *w);
	*w = NULL;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool api_may_admin(const struct api *api, const struct api_cred *cred)
{
	(void)api;
	return cred->uid == 0 || cred->uid == geteuid();
}

/* Connections -------------------------------------------------------------- */

static void pending_free(struct pending *p, bool close_fd)
{
	struct api *api = p->api;
	int none = -1;

	API_LIST_DEL(api->pending, p);
	api->pending_count--;
	api_close(api, &p->watch, close_fd ? &p->fd : &none);
	free(p);
}

enum { FIRST_WAIT = -1, FIRST_END = -2 };

/* Return: its first byte, or that nothing came yet, or will */
static int first_byte(int fd)
{
	uint8_t byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return FIRST_WAIT;
	return n == 1 ? byte : FIRST_END;
}

/* To whom the descriptor belongs from now on, as that byte tells */
static void hand_over(struct api *api, int fd, const struct api_cred *cred, int byte)
{
	if (byte == 'P') {
		api_stream_adopt(api, fd, cred);
		return;
	}
	if (byte == '{' && control_new(api, fd, cred))
		return;
	if (byte == '{')
		api->count[API_N_OVER_LIMIT]++;
	else if (byte >= 0)
		api->count[API_N_BAD_HEADER]++;
	close(fd);
}

static void on_first_byte(void *arg, uint32_t events, struct pn_time now)
{
	struct pending *p = arg;
	struct api *api = p->api;
	struct api_cred cred = p->cred;
	int fd = p->fd, byte = first_byte(fd);

	(void)events;
	api->now = now;
	if (byte == FIRST_WAIT)
		return;
	pending_free(p, false);
	hand_over(api, fd, &cred, byte);
}

static void welcome(struct api *api, int fd)
{
	struct pending *p;
	struct api_cred cred;
	int byte;

	if (!api_cred_of(fd, &cred)) {
		close(fd);
		return;
	}
	byte = first_byte(fd);
	if (byte != FIRST_WAIT) {        /* most often it is there already */
		hand_over(api, fd, &cred, byte);
		return;
	}
	p = api->pending_count < API_PENDING_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		api->count[API_N_OVER_LIMIT]++;
		close(fd);
		return;
	}
	p->api = api;
	p->fd = fd;
	p->cred = cred;
	p->until = pn_time_add(api->now, API_PENDING_NS);
	API_LIST_ADD(api->pending, p);
	api->pending_count++;
	p->watch = loop_watch_add(api->cfg.loop, fd, LOOP_IN, on_first_byte, p);
	if (!p->watch)
		pending_free(p, true);
}

static void on_connection(void *arg, uint32_t events, struct pn_time now)
{
	struct api *api = arg;
	int i;

	(void)events;
	api->now = now;
	for (i = 0; i < API_BATCH; i++) {
		int fd = accept4(api->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(api, fd);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != EINTR && errno != ECONNABORTED) {
			/* Out of descriptors or memory: who waits, waits. */
			api_log(api, API_LOG_WARN, "api: accept: %s", strerror(errno));
			loop_watch_set(api->cfg.loop, api->listen_watch, 0);
			api->listen_paused = true;
			return;
		}
	}
}

/* Life --------------------------------------------------------------------- */

/* Return: 0 if the path is free now, or -1 with @why */
static int clear_path(const struct sockaddr_un *un, char *why, size_t why_len)
{
	struct stat st;
	int fd, r;

	if (lstat(un->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		snprintf(why, why_len, "%s: %s", un->sun_path, strerror(errno));
		return -1;
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(why, why_len, "%s exists and is not a socket", un->sun_path);
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		snprintf(why, why_len, "socket: %s", strerror(errno));
		return -1;
	}
	r = connect(fd, (const struct sockaddr *)un, sizeof(*un)) < 0 ? errno : 0;
	close(fd);
	if (r == ECONNREFUSED && unlink(un->sun_path) == 0)
		return 0;
	if (r == 0 || r == EAGAIN)
		snprintf(why, why_len, "%s: another daemon answers there", un->sun_path);
	else
		snprintf(why, why_len, "%s: %s", un->sun_path, strerror(r));
	return -1;
}

static int make_socket(struct api *api, char *why, size_t why_len)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	mode_t mask;
	int r;

	memcpy(un.sun_path, api->path, sizeof(api->path));
	if (clear_path(&un, why, why_len) < 0)
		return -1;
	api->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (api->listen_fd < 0) {
		snprintf(why, why_len, "socket: %s", strerror(errno));
		return -1;
	}
	mask = umask(0177);   /* nobody comes in before the mode is set */
	r = bind(api->listen_fd, (struct sockaddr *)&un, sizeof(un));
	umask(mask);
	if (r < 0) {
		snprintf(why, why_len, "%s: bind: %s", api->path, strerror(errno));
		return -1;
	}
	if ((api->cfg.gid >= 0 && chown(api->path, (uid_t)-1, (gid_t)api->cfg.gid) < 0) ||
	    chmod(api->path, api->cfg.mode & 0777) < 0 ||
	    listen(api->listen_fd, API_BACKLOG) < 0) {
		snprintf(why, why_len, "%s: %s", api->path, strerror(errno));
		unlink(api->path);
		return -1;
	}
	return 0;
}

static bool make_tables(struct api *api)
{
	uint32_t i, max = api->cfg.socket_max;
	uint8_t seed[16];

	api_key(seed);
	memcpy(&api->random, seed, sizeof(api->random));
	api->scratch = malloc(API_SCRATCH);
	api->slots = calloc((size_t)max + 1, sizeof(*api->slots));
	api->map4 = map4_new();
	api->names = names_new(api->cfg.petnames, api->id);
	if (!api->scratch || !api->slots || !api->map4 || !api->names ||
	    !keytab_init(&api->keys, (size_t)max * 2, api_random(api)))
		return false;
	/* slot 0 is nobody; the others form the free list, the last points to 0 */
	for (i = 1; i <= max; i++)
		api->slots[i].next_free = i < max ? i + 1 : 0;
	api->slot_free = 1;
	return true;
}

struct api *api_new(const struct api_config *cfg, struct pn_time now, char *why, size_t why_len)
{
	struct api *api;

	PN_ASSERT(why_len > 0);
	if (!cfg->path || !*cfg->path || strlen(cfg->path) >= sizeof(api->path)) {
		snprintf(why, why_len, "api socket path is %s", cfg->path && *cfg->path ?
			 "too long (107 characters at most)" : "empty");
		return NULL;
	}
	api = calloc(1, sizeof(*api));
	if (!api) {
		snprintf(why, why_len, "out of memory");
		return NULL;
	}
	api->cfg = *cfg;
	if (!api->cfg.socket_max)
		api->cfg.socket_max = API_SOCKET_MAX_DEFAULT;
	api->now = api->started = now;
	api->ask_deadline = PN_TIME_NEVER;
	api->held_at = PN_TIME_NEVER;
	api->tick = now;
	api->wakes = WAKES;
	api->wake_goes = WAKE_GOES;
	api->wake_at = now;
	api->pid = getpid();
	api->listen_fd = -1;
	memcpy(api->path, cfg->path, strlen(cfg->path) + 1);
	api->cfg.path = api->path;
	memcpy(api->id, net_id(cfg->net), PN_ID_LEN);
	memcpy(api->hit, net_hit(cfg->net), PN_HIT_LEN);
	snprintf(why, why_len, "out of memory");
	if (!make_tables(api) || make_socket(api, why, why_len) < 0)
		goto err;
	api->listen_watch = loop_watch_add(cfg->loop, api->listen_fd, LOOP_IN, on_connection, api);
	if (!api->listen_watch) {
		snprintf(why, why_len, "cannot watch the api socket: %s", strerror(errno));
		unlink(api->path);
		goto err;
	}
	if (*names_error(api->names))
		api_log(api, API_LOG_WARN, "petnames: %s", names_error(api->names));
	return api;
err:
	api_free(api);
	return NULL;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	if (api->listen_watch)
		unlink(api->path);
	api_close(api, &api->listen_watch, &api->listen_fd);
	while (api->pending)
		pending_free(api->pending, true);
	control_free_all(api);
	ask_free_all(api);
	connector_free_all(api);
	if (api->slots)
		api_stream_free_all(api);
	relay_free_all(api);
	dgram_free_all(api);
	listener_free_all(api);
	keytab_fini(&api->keys);
	names_free(api->names);
	map4_free(api->map4);
	free(api->slots);
	free(api->scratch);
	free(api);
}

void api_on_net_event(struct api *api, const struct net_event *ev, struct pn_time now)
{
	api->now = now;
	if (ev->kind == NET_EV_NEIGHBOUR_UP)
		names_learn(api->names, ev->id);
	ask_on_net_event(api, ev);
	event_on_net(api, ev);
}

void api_on_session_event(struct api *api, const struct session_event *ev, struct pn_time now)
{
	api->now = now;
	switch (ev->kind) {
	case SESSION_EV_DATAGRAM:
	case SESSION_EV_UNREACHABLE:
		dgram_on_event(api, ev);
		break;
	case SESSION_EV_UP:
		names_learn(api->names, ev->id);
		event_on_session(api, ev);
		break;
	case SESSION_EV_DOWN:
		event_on_session(api, ev);
		break;
	default:
		api_stream_on_event(api, ev);
		break;
	}
}

void api_flush(struct api *api, struct pn_time now)
{
	api->now = now;
	control_flush(api);
}

struct pn_time api_deadline(const struct api *api)
{
	return pn_time_min(api->tick, pn_time_min(api->ask_deadline, api->held_at));
}

static void expire_pending(struct api *api)
{
	struct pending *p, *next;

	for (p = api->pending; p; p = next) {
		next = p->next;
		if (pn_time_due(p->until, api->now))
			pending_free(p, true);
	}
}

void api_expire(struct api *api, struct pn_time now)
{
	api->now = now;
	if (pn_time_due(api->ask_deadline, now))
		ask_expire(api);
	if (pn_time_due(api->held_at, now))
		backlog_expire(api);
	if (!pn_time_due(api->tick, now))
		return;
	api->tick = pn_time_add(now, API_TICK_NS);
	if (api->listen_paused) {
		api->listen_paused = false;
		loop_watch_set(api->cfg.loop, api->listen_watch, LOOP_IN);
	}
	expire_pending(api);
	listener_tick(api);
	/* ticks can come sooner: those do not count */
	if (api->wakes && pn_time_due(api->wake_at, now)) {
		api->wake_at = pn_time_add(now, API_TICK_NS);
		if (listener_wake(api))
			api->wakes--;
		if (!--api->wake_goes)
			api->wakes = 0;
	}
	event_poll_links(api);
	if (names_refresh(api->names) && *names_error(api->names))
		api_log(api, API_LOG_WARN, "petnames: %s", names_error(api->names));
}
