/* SPDX-License-Identifier: ISC */
/* api.h - the daemon's Unix socket: control (JSON lines) and data (sockets)
 *
 * See libpeernet/api_wire.h for the data half and peernet-api(7) for both.
 */
#ifndef PN_API_H
#define PN_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pnstackd/link/link.h"
#include "pnstackd/loop/loop.h"
#include "pnstackd/net/net.h"
#include "pnstackd/session/session.h"

struct api;

struct api_config {
	const char *path;        /* Unix socket */
	unsigned int mode;       /* file mode, e.g. 0660 */
	int gid;                 /* -1: leave */
	const char *petnames;    /* file; read again when it changes; NULL none */
	struct loop *loop;
	struct net *net;
	struct session_set *sessions;
	struct link_set *links;
	/* What only the host can do, told by name; NULL where it cannot. */
	void *host;
	int (*reload)(void *host, char *why, size_t why_len);
	/* NULL level: no change.  Return: the level now, 0 err .. 4 trace, or PN_EINVAL */
	int (*log_level)(void *host, const char *level);
	void (*log)(void *host, int level, const char *text); /* level as for log_level */
	uint32_t socket_max;     /* data sockets at once; 0: 4096 */
};

/** api_new() - binds the socket.  Refuses when another daemon answers on it.
 *  Return: NULL with @why */
struct api *api_new(const struct api_config *cfg, struct pn_time now, char *why, size_t why_len);
void api_free(struct api *api);

/** api_on_net_event(), api_on_session_event() - the host shows every event */
void api_on_net_event(struct api *api, const struct net_event *ev, struct pn_time now);
void api_on_session_event(struct api *api, const struct session_event *ev, struct pn_time now);

/** api_flush() - write what became possible; once at the end of a batch */
void api_flush(struct api *api, struct pn_time now);
struct pn_time api_deadline(const struct api *api);
void api_expire(struct api *api, struct pn_time now);

#endif
