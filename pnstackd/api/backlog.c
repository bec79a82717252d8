/* SPDX-License-Identifier: ISC */
/* Connections that wait for room in a program's backlog.
 *
 * Theory of operation
 *
 * When the backlog of a listener is full TCP drops the SYN, and the client sends it again:
 * it connects later, and is not refused.  Programs rely on that, who listen with a backlog
 * of five and are called by twenty at once.  So the connection is kept here, in the order
 * of arrival at its port, and tried again; nobody tells when there is room in the backlog
 * of a Unix socket.  After HOLD_NS, or if HELD_PORT_MAX wait for the same port already, it
 * is refused: a program that does not accept is not to cost others their place.  Nor is a
 * user with many such programs: as many may wait for those of one user as there are places
 * free (dynamic thresholds; Choudhury and Hahne, 1998), so that the next one always has some.
 *
 * Two kinds wait: a stream of a session that is not answered yet, and one of this node
 * whose program is still connecting.  Both are named by handles, so that they may end
 * meanwhile.  The kernel's connections wait in the kernel, see listeners.c.
 */
#include <string.h>

#include "pnstackd/api/api_int.h"

#define HOLD_NS PN_S(10)
#define TRY_NS PN_MS(10)

static bool port_waits(const struct held *held, size_t n, uint16_t port)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (held[i].port == port)
			return true;
	}
	return false;
}

bool backlog_busy(const struct api *api, uint16_t port)
{
	return port_waits(api->held, api->held_count, port);
}

static bool has_place(const struct api *api, uint16_t port, uid_t uid)
{
	size_t i, of_port = 0, of_user = 0;

	for (i = 0; i < api->held_count; i++) {
		of_port += api->held[i].port == port;
		of_user += api->held[i].uid == uid;
	}
	return of_port < HELD_PORT_MAX && of_user < HELD_MAX - api->held_count;
}

bool backlog_hold(struct api *api, stream_id sid, uint64_t owner, uint16_t port)
{
	uid_t uid = listener_uid(api, port);

	if (!has_place(api, port, uid))
		return false;
	api->held[api->held_count++] = (struct held){
		.sid = sid, .owner = owner, .port = port, .uid = uid,
		.until = pn_time_add(api->now, HOLD_NS),
	};
	api->held_at = pn_time_min(api->held_at, pn_time_add(api->now, TRY_NS));
	return true;
}

bool backlog_drop(struct api *api, stream_id sid)
{
	size_t i;

	for (i = 0; i < api->held_count; i++) {
		if (api->held[i].sid != sid)
			continue;
		api->held_count--;
		memmove(&api->held[i], &api->held[i + 1],
			(api->held_count - i) * sizeof(api->held[0]));
		return true;
	}
	return false;
}

void backlog_expire(struct api *api)
{
	struct held *held = api->held;
	size_t i, kept = 0;

	for (i = 0; i < api->held_count; i++) {
		bool last = pn_time_due(held[i].until, api->now);

		if ((!last && port_waits(held, kept, held[i].port)) ||
		    !api_stream_retry(api, &held[i], last))
			held[kept++] = held[i];
	}
	api->held_count = (uint32_t)kept;
	api->held_at = kept ? pn_time_add(api->now, TRY_NS) : PN_TIME_NEVER;
}
