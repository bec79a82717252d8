/* SPDX-License-Identifier: ISC */
/* UDP tunnels: listeners and static peers.
 *
 * Theory of operation
 *
 * In the net layer a tunnel link is a socket.  A listener is one; it serves both
 * families where the system allows it.  A peer is an address to be dialled
 * through a socket: the listener's, if there is one that reaches its family and
 * if the peer's spec asks for nothing special of the link (then the far side sees
 * our well-known port, and so do NATs); else through a socket of its own.  When a
 * listener goes, its peers look for another way.
 *
 * A peer's host name is resolved in a helper thread.  Until it resolves it is
 * tried again with growing pauses; while it resolves but nobody answers there,
 * it is resolved anew every CHECK_NS, and its addresses are tried in turn. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define UDP_RCVBUF	(8 << 20)
#define UDP_SNDBUF	(4 << 20)
#define UDP_OUTER_MTU	1500
#define CHECK_NS	PN_S(15)	/* is the peer there? */
#define RESOLVE_MIN_NS	PN_S(2)		/* after the first failure, then doubled */
#define RESOLVE_TRIES	5		/* doublings: 64 s at most */

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/* --- addresses ----------------------------------------------------------- */

static const uint8_t V4_MAPPED[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool ll_is_v4(const struct pn_lladdr *ll)
{
	return !memcmp(ll->b, V4_MAPPED, sizeof(V4_MAPPED));
}

/* fe80::/10 keeps its interface in the third and fourth byte, which are zero on
 * the wire, as in KAME: a station is an address and an interface there. */
static bool is_link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

bool udp_sockaddr(const struct pn_lladdr *ll, int family, struct sockaddr_storage *ss,
		  socklen_t *len)
{
	struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *s4 = (struct sockaddr_in *)ss;

	if (ll->len != PN_LLADDR_UDP_LEN || (family == AF_INET && !ll_is_v4(ll)))
		return false;
	if (family == AF_INET) {
		memset(s4, 0, sizeof(*s4));
		s4->sin_family = AF_INET;
		memcpy(&s4->sin_addr, ll->b + 12, 4);
		memcpy(&s4->sin_port, ll->b + 16, 2);
		*len = sizeof(*s4);
		return true;
	}
	memset(s6, 0, sizeof(*s6));
	s6->sin6_family = AF_INET6;
	memcpy(&s6->sin6_addr, ll->b, 16);
	memcpy(&s6->sin6_port, ll->b + 16, 2);
	if (is_link_local(ll->b)) {
		s6->sin6_scope_id = (uint32_t)(ll->b[2] << 8 | ll->b[3]);
		s6->sin6_addr.s6_addr[2] = 0;
		s6->sin6_addr.s6_addr[3] = 0;
	}
	*len = sizeof(*s6);
	return true;
}

void udp_lladdr(const struct sockaddr_storage *ss, struct pn_lladdr *ll)
{
	const struct sockaddr_in6 *s6 = (const struct sockaddr_in6 *)ss;
	const struct sockaddr_in *s4 = (const struct sockaddr_in *)ss;

	memset(ll, 0, sizeof(*ll));
	ll->len = PN_LLADDR_UDP_LEN;
	if (ss->ss_family == AF_INET) {
		memcpy(ll->b, V4_MAPPED, sizeof(V4_MAPPED));
		memcpy(ll->b + 12, &s4->sin_addr, 4);
		memcpy(ll->b + 16, &s4->sin_port, 2);
		return;
	}
	memcpy(ll->b, &s6->sin6_addr, 16);
	memcpy(ll->b + 16, &s6->sin6_port, 2);
	if (is_link_local(ll->b)) {
		ll->b[2] = (uint8_t)(s6->sin6_scope_id >> 8);
		ll->b[3] = (uint8_t)s6->sin6_scope_id;
	}
}

void udp_text(const struct pn_lladdr *ll, char *buf, size_t len)
{
	char host[INET6_ADDRSTRLEN];
	unsigned int port = (unsigned int)(ll->b[16] << 8 | ll->b[17]);

	if (ll_is_v4(ll)) {
		inet_ntop(AF_INET, ll->b + 12, host, sizeof(host));
		snprintf(buf, len, "%s:%u", host, port);
	} else {
		inet_ntop(AF_INET6, ll->b, host, sizeof(host));
		snprintf(buf, len, "[%s]:%u", host, port);
	}
}

/* --- sockets --------------------------------------------------------------- */

static void socket_options(int fd, int family)
{
	int one = 1, want = IP_PMTUDISC_WANT, size = UDP_RCVBUF;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	size = UDP_SNDBUF;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one));
	/* a path narrower than we were told: the kernel learns it and splits */
	setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &want, sizeof(want));
	if (family == AF_INET6) {
		want = IPV6_PMTUDISC_WANT;
		setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &want, sizeof(want));
	}
}

/* A socket for both families, or for what the system has. */
static int socket_open(struct link_udp *udp)
{
	int zero = 0;

	udp->family = AF_INET6;
	udp->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	udp->v4 = true;
	udp->v6 = true;
	if (udp->fd >= 0) {
		setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	} else if (errno == EAFNOSUPPORT) {
		udp->family = AF_INET;
		udp->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		udp->v6 = false;
	}
	if (udp->fd < 0)
		return -errno;
	socket_options(udp->fd, udp->family);
	udp->gso = true;
	return 0;
}

static int socket_bind(struct link *link)
{
	struct link_udp *udp = &link->udp;
	struct sockaddr_storage ss;
	struct pn_lladdr ll = { .len = PN_LLADDR_UDP_LEN };
	bool v4 = inet_pton(AF_INET, link->spec.host, ll.b + 12) == 1;
	bool v6 = !v4 && inet_pton(AF_INET6, link->spec.host, ll.b) == 1;
	socklen_t len;

	PN_ASSERT(v4 || v6 || !link->spec.host[0]);
	if (v4 || (!v6 && udp->family == AF_INET))
		memcpy(ll.b, V4_MAPPED, sizeof(V4_MAPPED));
	ll.b[16] = (uint8_t)(link->spec.port >> 8);
	ll.b[17] = (uint8_t)link->spec.port;
	if (v4)
		udp->v6 = false;
	if (v6)
		udp->v4 = false;
	if (!udp_sockaddr(&ll, udp->family, &ss, &len))
		return -EAFNOSUPPORT;
	return bind(udp->fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

static void socket_close(struct link *link)
{
	if (link->udp.fd < 0)
		return;
	loop_submit(link->set->loop);
	loop_drain_del(link->set->loop, link->udp.drain);
	link->udp.drain = NULL;
	close(link->udp.fd);
	link->udp.fd = -1;
}

static int udp_mtu(struct link *link, char *why, size_t why_len)
{
	uint32_t outer = link->spec.mtu ? link->spec.mtu : UDP_OUTER_MTU;

	if (outer < LINK_FRAME_MIN + LINK_UDP_OVERHEAD) {
		snprintf(why, why_len, "an MTU of %u is too small, %d bytes are needed", outer,
			 LINK_FRAME_MIN + LINK_UDP_OVERHEAD);
		return PN_EINVAL;
	}
	link_mtu_warn(link, outer - LINK_UDP_OVERHEAD);
	return (int)link_mtu_fit(link, outer - LINK_UDP_OVERHEAD);
}

/* Opens the socket, binds it if it listens, tells the net layer. */
static int udp_open(struct link *link, bool listen, struct pn_time now, char *why, size_t why_len)
{
	struct net_link_config cfg = {
		.kind = NET_LINK_TUNNEL,
		.cost = link->spec.cost,
		.rate_bps = link->spec.rate_bps,
		.control_bps = link->spec.control_bps,
		.seal_full = link->spec.seal_full,
		.listen = listen,
	};
	int mtu = udp_mtu(link, why, why_len), err;

	if (mtu < 0)
		return mtu;
	cfg.mtu = (uint32_t)mtu;
	if (udp_io_new(link->set)) {
		snprintf(why, why_len, "out of memory");
		return PN_ENOMEM;
	}
	err = socket_open(&link->udp);
	if (!err && listen)
		err = socket_bind(link);
	if (!err) {
		link->udp.drain = loop_drain_add(link->set->loop, link->udp.fd, udp_io_drain, link);
		err = link->udp.drain ? 0 : -errno;
	}
	if (err) {
		snprintf(why, why_len, "%s", strerror(-err));
		socket_close(link);
		return PN_EINVAL;
	}
	err = link_net_add(link, &cfg, now, why, why_len);
	if (err)
		socket_close(link);
	return err;
}

/* --- listeners ------------------------------------------------------------- */

static int listen_start(struct link *link, struct pn_time now, char *why, size_t why_len)
{
	int err = udp_open(link, true, now, why, why_len);

	if (err)
		return err;
	link_state(link, "up");
	link_log(link, LINK_LOG_INFO, "listening, frames of %u bytes", link->mtu);
	return 0;
}

static void udp_wake_none(struct link *link, struct pn_time now)
{
	(void)link;
	(void)now;
}

const struct link_ops link_listen_ops = {
	.type = "udp-listen",
	.start = listen_start,
	.stop = socket_close,
	.transmit = udp_io_transmit,
	.wake = udp_wake_none,
};

/* --- peers ------------------------------------------------------------------- */

static bool peer_is_plain(const struct link_spec *s)
{
	return !s->cost && !s->mtu && !s->rate_bps && !s->control_bps && !s->seal_full && !testlink_wanted(s);
}

/* The socket to dial @ll through.  Return: NULL with @why */
static struct link *peer_way(struct link *link, const struct pn_lladdr *ll, struct pn_time now,
			     char *why, size_t why_len)
{
	bool v4 = ll_is_v4(ll);
	struct link *l;

	if (peer_is_plain(&link->spec) && link->udp.fd < 0) {
		for (l = link->set->links; l; l = l->next) {
			if (l->ops == &link_listen_ops && l->net_link >= 0 &&
			    (v4 ? l->udp.v4 : l->udp.v6))
				return l;
		}
	}
	if (link->udp.fd < 0 && udp_open(link, false, now, why, why_len))
		return NULL;
	if (v4 ? link->udp.v4 : link->udp.v6)
		return link;
	snprintf(why, why_len, "this system has no IPv6");
	return NULL;
}

static void peer_hang_up(struct link *link, struct pn_time now)
{
	struct link_udp *udp = &link->udp;

	if (udp->via && udp->via->net_link >= 0 && udp->ll.len)
		net_link_peer_del(link->set->net, udp->via->net_link, &udp->ll, now);
	udp->via = NULL;
	udp->ll.len = 0;
}

static void peer_dial(struct link *link, struct pn_time now)
{
	struct link_udp *udp = &link->udp;
	const struct pn_lladdr *ll = &udp->addrs[udp->addr_at];
	char why[LINK_WHY_MAX] = "", where[64];
	int err;

	link_wake_at(link, pn_time_add(now, CHECK_NS));
	udp_text(ll, where, sizeof(where));
	if (udp->via && pn_lladdr_equal(&udp->ll, ll))
		return;
	peer_hang_up(link, now);
	udp->via = peer_way(link, ll, now, why, sizeof(why));
	if (udp->via) {
		link->mtu = udp->via->mtu;
		err = net_link_peer(link->set->net, udp->via->net_link, ll,
				    link->spec.has_id ? link->spec.id : NULL,
				    (uint32_t)link->handle, now);
		if (!err) {
			udp->ll = *ll;
			link_state(link, "dialling %s", where);
			link_log(link, LINK_LOG_DEBUG, "dialling %s through %s", where,
				 udp->via == link ? "a socket of its own" : udp->via->spec.name);
			return;
		}
		snprintf(why, sizeof(why), "%s", pn_strerror(err));
		udp->via = NULL;
	}
	link_state(link, "%.60s", why);
	link_log(link, LINK_LOG_WARN, "cannot dial %s: %s", where, why);
}

bool udp_peer_is_there(const struct link *link, struct pn_time now)
{
	struct net_neighbour n;
	size_t i;

	for (i = 0; net_neighbour_at(link->set->net, i, &n, now); i++) {
		if (n.hint == (uint32_t)link->handle)
			return true;
	}
	return false;
}

static void peer_resolve(struct link *link, struct pn_time now)
{
	if (link->udp.resolve)
		return;
	if (!link->udp.via)
		link_state(link, "resolving the name");
	if (resolve_start(link))
		link_wake_at(link, pn_time_add(now, CHECK_NS));
}

/* The peer's name has been looked up: @n addresses, or 0 and @why not. */
void udp_on_resolved(struct link *link, const struct pn_lladdr *addrs, unsigned int n,
		     const char *why, struct pn_time now)
{
	struct link_udp *udp = &link->udp;
	uint64_t pause_ns = RESOLVE_MIN_NS << udp->tries;
	unsigned int i;

	if (!n) {
		if (!udp->tries)
			link_log(link, LINK_LOG_WARN, "cannot resolve %s: %s (will try again)",
				 link->spec.host, why);
		if (udp->tries < RESOLVE_TRIES)
			udp->tries++;
		if (!udp->via)
			link_state(link, "cannot resolve %.40s", link->spec.host);
		link_wake_at(link, pn_time_add(now, pause_ns));
		return;
	}
	if (udp->tries)
		link_log(link, LINK_LOG_INFO, "%s resolves again", link->spec.host);
	udp->tries = 0;
	memcpy(udp->addrs, addrs, n * sizeof(*addrs));
	udp->addr_count = n;
	udp->addr_at = 0;
	/* the one behind that which did not answer */
	for (i = 0; i < n; i++) {
		if (udp->via && pn_lladdr_equal(&udp->ll, &addrs[i]))
			udp->addr_at = (i + 1) % n;
	}
	peer_dial(link, now);
}

static void peer_wake(struct link *link, struct pn_time now)
{
	if (udp_peer_is_there(link, now)) {
		link_wake_at(link, pn_time_add(now, CHECK_NS));
		return;
	}
	if (link->udp.literal)
		peer_dial(link, now);
	else
		peer_resolve(link, now);
}

/* "1.2.3.4", "2001:db8::1", "fe80::1%eth0"? */
static bool peer_literal(struct link *link)
{
	struct pn_lladdr *ll = &link->udp.addrs[0];
	char host[sizeof(link->spec.host)], *scope;
	unsigned int index = 0;

	memset(ll, 0, sizeof(*ll));
	memcpy(host, link->spec.host, sizeof(host));
	scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		index = if_nametoindex(scope);
	}
	ll->len = PN_LLADDR_UDP_LEN;
	ll->b[16] = (uint8_t)(link->spec.port >> 8);
	ll->b[17] = (uint8_t)link->spec.port;
	if (inet_pton(AF_INET, host, ll->b + 12) == 1) {
		memcpy(ll->b, V4_MAPPED, sizeof(V4_MAPPED));
		return true;
	}
	if (inet_pton(AF_INET6, host, ll->b) != 1)
		return false;
	if (is_link_local(ll->b)) {
		ll->b[2] = (uint8_t)(index >> 8);
		ll->b[3] = (uint8_t)index;
	}
	return true;
}

static int peer_start(struct link *link, struct pn_time now, char *why, size_t why_len)
{
	int mtu = udp_mtu(link, why, why_len);

	if (mtu < 0)
		return mtu;
	link->mtu = (uint32_t)mtu;
	link->udp.literal = peer_literal(link);
	if (!link->udp.literal) {
		peer_resolve(link, now);
		return 0;
	}
	link->udp.addr_count = 1;
	peer_dial(link, now);
	return 0;
}

static void peer_stop(struct link *link)
{
	resolve_cancel(link);
	/* after link_net_del() only a listener's link number is still there */
	peer_hang_up(link, loop_now());
	socket_close(link);
}

void udp_set_listener_gone(struct link_set *set, const struct link *gone, struct pn_time now)
{
	struct link *l;

	for (l = set->links; l; l = l->next) {
		if (l->ops != &link_peer_ops || l->udp.via != gone)
			continue;
		l->udp.via = NULL;	/* the net layer forgot it with the link */
		l->udp.ll.len = 0;
		peer_dial(l, now);
	}
}

const struct link_ops link_peer_ops = {
	.type = "udp",
	.start = peer_start,
	.stop = peer_stop,
	.transmit = udp_io_transmit,
	.wake = peer_wake,
};
