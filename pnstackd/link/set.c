/* SPDX-License-Identifier: ISC */
/* The set of links: who is there, who gets which frame, who is woken when.
 *
 * Theory of operation
 *
 * A link is described by a spec and lives from link_add() to link_del(),
 * whatever happens to the interface or the host name behind it.  While it can
 * carry frames it has a link number in the net layer (link->net_link), and the
 * set finds it by that number.  Taking the number back (link_net_del()) lets the
 * frames of the goodbye out first, while the descriptor is still open.
 *
 * A deleted link whose sends are not finished waits among the graves: the
 * send's completion needs its counters. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define FREE_WAIT_NS	PN_MS(300)	/* for sends under way at the end */

/* --- news ------------------------------------------------------------- */

void link_log(const struct link *link, int level, const char *fmt, ...)
{
	char text[320];
	int n = snprintf(text, sizeof(text), "link %s: ", link->spec.name);
	va_list ap;

	if (!link->set->log)
		return;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	link->set->log(link->set->log_arg, level, text);
}

void link_state(struct link *link, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(link->state, sizeof(link->state), fmt, ap);
	va_end(ap);
}

void link_set_log(struct link_set *set, void (*log)(void *arg, int level, const char *text),
		  void *arg)
{
	set->log = log;
	set->log_arg = arg;
}

void link_wake_at(struct link *link, struct pn_time at)
{
	link->wake = at;
	link->set->wake = pn_time_min(link->set->wake, at);
}

/* --- frames ------------------------------------------------------------ */

void link_rx_flush(struct link_set *set, struct pn_time now)
{
	size_t n = set->rx_count;

	set->rx_count = 0;
	if (n)
		net_input(set->net, set->rx, n, now);
}

void link_rx(struct link *link, const uint8_t *data, size_t len, const struct pn_lladdr *ll,
	     struct pn_time now)
{
	struct link_set *set = link->set;
	struct pn_pkt *pkt;

	if (link->net_link < 0 || !len || len > link->mtu) {
		link->rx_dropped++;
		return;
	}
	pkt = pn_pkt_get(set->pool);
	if (!pkt) {
		link->rx_dropped++;
		return;
	}
	memcpy(pn_pkt_append(pkt, (uint32_t)len), data, len);
	pkt->link = link->net_link;
	pkt->ll = *ll;
	link->rx_frames++;
	link->rx_bytes += len;
	set->rx[set->rx_count++] = pkt;
	if (set->rx_count == LINK_BATCH)
		link_rx_flush(set, now);
}

/* Nothing gets there now, and more of the same will not either.  (A full queue, a frame too
 * big for the path, no memory: those say nothing about the way.) */
static bool is_no_way(int err)
{
	switch (-err) {
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case EADDRNOTAVAIL:
	case ECONNREFUSED:
	case ENODEV:
	case ENXIO:
	case EPERM:                      /* a packet filter */
	case EACCES:                     /* a route that says prohibited */
		return true;
	default:
		return false;
	}
}

void link_sent(struct link *link, struct pn_pkt **pkts, size_t n, int err)
{
	size_t i;

	if (n && is_no_way(err) && link->net_link >= 0)
		net_link_unsent(link->set->net, link->net_link, &pkts[0]->ll, loop_now());
	for (i = 0; i < n; i++) {
		if (!err) {
			link->tx_frames++;
			link->tx_bytes += pkts[i]->len;
		} else {
			link->tx_dropped++;
		}
		pn_pkt_put(link->set->pool, pkts[i]);
	}
}

static struct link *link_of_net(const struct link_set *set, int net_link)
{
	return net_link >= 0 && net_link < LINK_NET_MAX ? set->by_net[net_link] : NULL;
}

/* Sends @n frames that have one link number. */
static void transmit_run(struct link_set *set, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	struct link *link = link_of_net(set, pkts[0]->link);
	size_t i;

	if (!link) {
		set->tx_no_link += n;
		for (i = 0; i < n; i++)
			pn_pkt_put(set->pool, pkts[i]);
		return;
	}
	if (link->test) {
		n = testlink_take(link->test, link, pkts, n, now);
		set->wake = pn_time_min(set->wake, testlink_deadline(link->test));
	}
	if (n)
		link->ops->transmit(link, pkts, n, now);
}

void link_transmit(struct link_set *set, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	size_t i, first = 0;

	/* runs of frames for one link go to it together */
	for (i = 1; i <= n; i++) {
		if (i < n && pkts[i]->link == pkts[first]->link)
			continue;
		transmit_run(set, pkts + first, i - first, now);
		first = i;
	}
}

/* What waits on a test link and is due at @now. */
static void link_send_late(struct link *link, struct pn_time now)
{
	struct pn_pkt *pkts[LINK_BATCH];
	size_t n;

	if (!link->test)
		return;
	while ((n = testlink_next(link->test, pkts, LINK_BATCH, now)))
		link->ops->transmit(link, pkts, n, now);
}

uint32_t link_frame_max(const struct link_spec *spec)
{
	if (spec->type == LINK_ETHERNET)
		return eth_frame_max(spec);
	return spec->mtu > LINK_UDP_OVERHEAD ? spec->mtu - LINK_UDP_OVERHEAD : 0;
}

/* --- the net layer ------------------------------------------------------ */

/* What of @mtu fits into our packets. */
uint32_t link_mtu_fit(const struct link *link, uint32_t mtu)
{
	uint32_t most = link->set->pool->payload_size;

	return mtu < most ? mtu : most;
}

void link_mtu_warn(const struct link *link, uint32_t mtu)
{
	uint32_t fit = link_mtu_fit(link, mtu);

	if (fit < mtu)
		link_log(link, LINK_LOG_WARN,
			 "frames of %u bytes cut to %u: raise limits.packet-size", mtu, fit);
}

int link_net_add(struct link *link, const struct net_link_config *cfg, struct pn_time now,
		 char *why, size_t why_len)
{
	int n = net_link_add(link->set->net, cfg, now);

	PN_ASSERT(link->net_link < 0);
	if (n < 0 || n >= LINK_NET_MAX) {
		snprintf(why, why_len, "%s", n < 0 ? pn_strerror(n) : "too many links");
		return n < 0 ? n : PN_EFULL;
	}
	link->net_link = n;
	link->mtu = cfg->mtu;
	link->set->by_net[n] = link;
	return 0;
}

void link_net_del(struct link *link, struct pn_time now)
{
	struct link_set *set = link->set;
	struct pn_pkt *pkts[LINK_BATCH];
	size_t n, i;

	if (link->net_link < 0)
		return;
	link_rx_flush(set, now);
	net_link_del(set->net, link->net_link, now);
	for (i = 0; i < 64 && (n = net_output(set->net, pkts, LINK_BATCH)); i++)
		link_transmit(set, pkts, n, now);
	link_send_late(link, PN_TIME_NEVER);	/* now or not at all */
	loop_submit(set->loop);
	set->by_net[link->net_link] = NULL;
	link->net_link = -1;
}

/* --- life of a link ------------------------------------------------------ */

struct link *link_new(struct link_set *set, const struct link_spec *spec)
{
	struct link *link = calloc(1, sizeof(*link));
	struct link **at = &set->links;

	if (!link)
		return NULL;
	link->set = set;
	link->spec = *spec;
	link->net_link = -1;
	link->wake = PN_TIME_NEVER;
	link->handle = ++set->last_handle;
	switch (spec->type) {
	case LINK_ETHERNET:
		link->ops = strcmp(spec->ifname, "auto") ? &link_eth_ops : &link_auto_ops;
		link->eth.fd = -1;
		break;
	case LINK_UDP_LISTEN:
		link->ops = &link_listen_ops;
		link->udp.fd = -1;
		break;
	case LINK_UDP_PEER:
		link->ops = &link_peer_ops;
		link->udp.fd = -1;
		break;
	}
	while (*at)
		at = &(*at)->next;
	*at = link;
	set->count++;
	return link;
}

int link_start(struct link *link, struct pn_time now, char *why, size_t why_len)
{
	if (testlink_wanted(&link->spec) && link->ops != &link_auto_ops) {
		link->test = testlink_new(&link->spec, link->set->pool);
		if (!link->test) {
			snprintf(why, why_len, "out of memory");
			return PN_ENOMEM;
		}
	}
	return link->ops->start(link, now, why, why_len);
}

static void grave_sweep(struct link_set *set)
{
	struct link **at = &set->graves;

	while (*at) {
		struct link *link = *at;

		if (link->inflight) {
			at = &link->next;
			continue;
		}
		*at = link->next;
		free(link);
	}
}

void link_remove(struct link *link, struct pn_time now)
{
	struct link_set *set = link->set;
	struct link **at = &set->links;

	link_net_del(link, now);
	link->ops->stop(link);
	testlink_free(link->test);
	link->test = NULL;
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	set->count--;
	link->dead = true;
	link->next = set->graves;
	set->graves = link;
	if (link->ops == &link_listen_ops)
		udp_set_listener_gone(set, link, now);
}

static struct link *link_find(const struct link_set *set, const char *name)
{
	struct link *link;

	for (link = set->links; link; link = link->next) {
		if (!strcmp(link->spec.name, name))
			return link;
	}
	return NULL;
}

int link_add(struct link_set *set, const struct link_spec *spec, struct pn_time now, char *why,
	     size_t why_len)
{
	struct link *link = link_find(set, spec->name);
	int err;

	if (link && link->automatic)
		link_remove(link, now);	/* told explicitly: other options */
	else if (link) {
		snprintf(why, why_len, "is there already");
		return PN_EEXIST;
	}
	link = set->count < LINK_MAX ? link_new(set, spec) : NULL;
	if (!link) {
		snprintf(why, why_len, "too many links");
		return PN_EFULL;
	}
	err = link_start(link, now, why, why_len);
	if (err) {
		link_remove(link, now);
		return err;
	}
	return link->handle;
}

int link_del(struct link_set *set, const char *name, struct pn_time now)
{
	struct link_spec spec;
	char why[LINK_WHY_MAX];
	struct link *link = link_find(set, name);

	/* the whole text it was added with does as well */
	if (!link && !link_spec_parse(name, &spec, why, sizeof(why)))
		link = link_find(set, spec.name);
	if (!link)
		return PN_ENOENT;
	if (link->ops == &link_auto_ops) {
		struct link *l = set->links, *next;

		for (; l; l = next) {
			next = l->next;
			if (l->automatic)
				link_remove(l, now);
		}
	}
	link_remove(link, now);
	return 0;
}

/* --- time ----------------------------------------------------------------- */

struct pn_time link_deadline(const struct link_set *set)
{
	return set->wake;
}

void link_expire(struct link_set *set, struct pn_time now)
{
	struct link *link, *next;

	if (!pn_time_due(set->wake, now))
		return;
	set->wake = PN_TIME_NEVER;
	if (pn_time_due(set->scan_at, now))
		ifscan_run(set, now);
	for (link = set->links; link; link = next) {
		next = link->next;
		link_send_late(link, now);
		if (pn_time_due(link->wake, now)) {
			link->wake = PN_TIME_NEVER;
			link->ops->wake(link, now);
		}
	}
	for (link = set->links; link; link = link->next) {
		set->wake = pn_time_min(set->wake, link->wake);
		if (link->test)
			set->wake = pn_time_min(set->wake, testlink_deadline(link->test));
	}
	set->wake = pn_time_min(set->wake, set->scan_at);
	grave_sweep(set);
}

/* --- looking in ------------------------------------------------------------ */

bool link_info_at(const struct link_set *set, size_t index, struct link_info *out)
{
	const struct link *link = set->links;

	while (link && index--)
		link = link->next;
	if (!link)
		return false;
	memset(out, 0, sizeof(*out));
	memcpy(out->name, link->spec.name, sizeof(out->name));
	out->type = link->ops->type;
	out->state = link->state;
	out->net_link = link->net_link;
	if (link->ops == &link_peer_ops && link->udp.via) {
		out->net_link = link->udp.via->net_link;
		if (udp_peer_is_there(link, loop_now()))
			out->state = "up";
	}
	out->mtu = link->mtu;
	out->rx_frames = link->rx_frames;
	out->rx_bytes = link->rx_bytes;
	out->tx_frames = link->tx_frames;
	out->tx_bytes = link->tx_bytes;
	out->rx_dropped = link->rx_dropped;
	if (link->ops == &link_eth_ops)
		out->rx_dropped += eth_kernel_drops(link);
	out->tx_dropped = link->tx_dropped;
	return true;
}

/* --- life of the set --------------------------------------------------------- */

struct link_set *link_set_new(struct loop *loop, struct net *net, struct pn_pool *pool)
{
	struct link_set *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->loop = loop;
	set->net = net;
	set->pool = pool;
	set->wake = PN_TIME_NEVER;
	set->scan_at = PN_TIME_NEVER;
	set->nl_fd = -1;
	set->resolve_fd[0] = -1;
	set->resolve_fd[1] = -1;
	return set;
}

void link_set_free(struct link_set *set)
{
	struct pn_time now = loop_now(), end = pn_time_add(now, FREE_WAIT_NS);
	struct link *link, *next;

	if (!set)
		return;
	/* peers first, or they would look for another listener */
	for (link = set->links; link; link = next) {
		next = link->next;
		if (link->ops == &link_peer_ops)
			link_remove(link, now);
	}
	while (set->links)
		link_remove(set->links, now);
	ifscan_stop(set);
	resolve_fini(set);
	grave_sweep(set);
	/* the kernel may still read from packets that are on their way out */
	while (set->graves && pn_time_before(loop_now(), end)) {
		loop_wait(set->loop, end);
		grave_sweep(set);
	}
	if (set->graves)
		return;		/* rather lost than reused under the kernel */
	udp_io_free(set);
	eth_io_free(set);
	free(set);
}
