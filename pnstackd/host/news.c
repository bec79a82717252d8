/* SPDX-License-Identifier: ISC */
/* What happens in the network, as log lines. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "libpeernet/base/name.h"
#include "pnstackd/host/daemon_impl.h"
#include "pnstackd/host/log.h"

#define SHORT_LEN	8		/* characters of an identity that people read */
#define AUTH_GAP_NS	PN_S(5)		/* between two lines on failed handshakes */

static const char *short_name(const uint8_t id[PN_ID_LEN], char buf[PN_ID_TEXT_LEN + 1])
{
	pn_id_to_text(id, buf);
	buf[SHORT_LEN] = '\0';
	return buf;
}

static const char *link_name(const struct daemon *d, int net_link, struct link_info *info)
{
	size_t i;

	for (i = 0; link_info_at(d->links, i, info); i++) {
		if (info->net_link == net_link)
			return info->name;
	}
	return "a link that is gone";
}

static const char *station_text(const struct pn_lladdr *ll, char *buf, size_t len)
{
	static const uint8_t v4[12] = { [10] = 0xff, [11] = 0xff };
	char host[INET6_ADDRSTRLEN];
	unsigned int port = (unsigned int)(ll->b[16] << 8 | ll->b[17]);

	if (ll->len == PN_LLADDR_MAC_LEN)
		snprintf(buf, len, "%02x:%02x:%02x:%02x:%02x:%02x", ll->b[0], ll->b[1], ll->b[2],
			 ll->b[3], ll->b[4], ll->b[5]);
	else if (ll->len == PN_LLADDR_UDP_LEN && !memcmp(ll->b, v4, sizeof(v4)))
		snprintf(buf, len, "%s:%u", inet_ntop(AF_INET, ll->b + 12, host, sizeof(host)),
			 port);
	else if (ll->len == PN_LLADDR_UDP_LEN)
		snprintf(buf, len, "[%s]:%u", inet_ntop(AF_INET6, ll->b, host, sizeof(host)), port);
	else
		snprintf(buf, len, "an unknown station");
	return buf;
}

static void log_address(struct daemon *d, const struct net_event *ev)
{
	if (d->had_addr && d->addr == ev->addr && d->height == ev->level)
		return;
	d->had_addr = true;
	d->addr = ev->addr;
	d->height = ev->level;
	log_info("address %016llx, in a network of height %u", (unsigned long long)ev->addr,
		 ev->level);
}

/* Anybody can make handshakes fail: the lines are few. */
static void log_auth(struct daemon *d, const struct net_event *ev, struct pn_time now)
{
	struct link_info info;
	char where[80];

	if (pn_time_before(now, d->auth_at)) {
		d->auth_muted++;
		return;
	}
	log_warn("handshake with %s on %s failed: %s", station_text(&ev->ll, where, sizeof(where)),
		 link_name(d, ev->link, &info), net_err_text(ev->reason));
	if (d->auth_muted)
		log_warn("%u more handshakes failed before", d->auth_muted);
	d->auth_muted = 0;
	d->auth_at = pn_time_add(now, AUTH_GAP_NS);
}

void news_log(struct daemon *d, const struct net_event *ev, struct pn_time now)
{
	char name[PN_ID_TEXT_LEN + 1];
	struct link_info info;

	switch (ev->kind) {
	case NET_EV_NEIGHBOUR_UP:
		log_info("neighbour %s: up on %s", short_name(ev->id, name),
			 link_name(d, ev->link, &info));
		break;
	case NET_EV_NEIGHBOUR_DOWN:
		log_info("neighbour %s: down on %s: %s", short_name(ev->id, name),
			 link_name(d, ev->link, &info), net_err_text(ev->reason));
		break;
	case NET_EV_ADDRESS:
		log_address(d, ev);
		break;
	case NET_EV_AUTH_FAILED:
		log_auth(d, ev, now);
		break;
	case NET_EV_PEER_FAILED:
		log_debug("a peer cannot be reached: %s", net_err_text(ev->reason));
		break;
	case NET_EV_PEER_RESOLVED:
	case NET_EV_PEER_MTU:
	case NET_EV_LOOKUP:
	case NET_EV_ECHO:
	case NET_EV_ECHO_ERROR:
		break;
	}
}

void news_log_session(const struct session_event *ev)
{
	char name[PN_ID_TEXT_LEN + 1];

	if (ev->kind == SESSION_EV_UP)
		log_debug("session with %s: up", short_name(ev->id, name));
	else if (ev->kind == SESSION_EV_DOWN)
		log_debug("session with %s: down: %s", short_name(ev->id, name),
			  ev->err ? pn_strerror(ev->err) : "idle");
}
