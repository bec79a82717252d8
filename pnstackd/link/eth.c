/* SPDX-License-Identifier: ISC */
/* Ethernet links, by libpcap.
 *
 * Theory of operation
 *
 * States of a link, all reached from eth_scan(), which compares it with what the
 * kernel says about the interface of that name:
 *
 *	no interface, or it is down, or unusable	closed
 *	interface up		open: capture runs, known to the net layer
 *	... but no carrier	open, and the net layer is told so
 *
 * When an open link has to close, the net layer keeps its link number and only
 * hears that the carrier is gone: if the interface returns with the same address
 * and MTU the number goes on.  If they differ (the MTU may change any time) the
 * link is taken out of the net layer and put in anew.
 *
 * Frames in: pcap's memory-mapped ring in immediate mode; each frame is copied
 * once, into a packet of the pool.  The filter takes our EtherType only, frames
 * that leave this host are not captured (a second reader of what we send would
 * cost 0.5 us a frame), and what is neither for our MAC address nor for the
 * discovery group is dropped: another program may have made the interface
 * promiscuous.  Frames out: io_uring or epoll sends on pcap's own descriptor,
 * one message per frame, the header pushed into the packet's headroom.
 *
 * Discovery goes to GROUP, a locally administered multicast address, which the
 * interface is told to receive through the same descriptor. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define ETH_IO_MAX	512	/* sends in flight */
#define ETH_BUDGET	256	/* frames per round and link */
#define ETH_BUFFER	(8 << 20) /* bytes of the kernel's ring */
#define ETH_SNDBUF	(4 << 20)
#define RETRY_MIN_NS	PN_S(1)
#define RETRY_MAX_NS	PN_S(30)

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static const uint8_t GROUP[6] = { 0x03, 0x50, 0x4e, 0x00, 0x00, 0x01 };

struct eth_send {
	struct msghdr msg;
	struct iovec iov;
	struct pn_pkt *pkt;
	struct link *link;
	struct eth_send *next;
};

struct eth_io {
	struct eth_send *free;
	struct eth_send all[ETH_IO_MAX];
};

static int eth_io_new(struct link_set *set)
{
	size_t i;

	if (set->eth_io)
		return 0;
	set->eth_io = calloc(1, sizeof(*set->eth_io));
	if (!set->eth_io)
		return PN_ENOMEM;
	for (i = 0; i < ETH_IO_MAX; i++) {
		set->eth_io->all[i].next = set->eth_io->free;
		set->eth_io->free = &set->eth_io->all[i];
	}
	return 0;
}

void eth_io_free(struct link_set *set)
{
	free(set->eth_io);
	set->eth_io = NULL;
}

/* --- frames in ---------------------------------------------------------- */

struct eth_rx {
	struct link *link;
	struct pn_time now;
};

static void eth_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *bytes)
{
	struct eth_rx *rx = (struct eth_rx *)(void *)user;
	struct link *link = rx->link;
	struct pn_lladdr ll = { .len = PN_LLADDR_MAC_LEN };
	uint16_t type;

	if (h->caplen != h->len || h->caplen <= LINK_ETH_HDR)
		goto drop;
	type = (uint16_t)(bytes[12] << 8 | bytes[13]);
	if (type != link->eth.ethertype)	/* a VLAN tag, put back by pcap */
		goto drop;
	if (memcmp(bytes, link->eth.mac, 6) != 0 && memcmp(bytes, GROUP, 6) != 0)
		goto drop;
	memcpy(ll.b, bytes + 6, 6);
	link_rx(link, bytes + LINK_ETH_HDR, h->caplen - LINK_ETH_HDR, &ll, rx->now);
	return;
drop:
	link->rx_dropped++;
}

static void eth_close(struct link *link, struct pn_time now);

static size_t eth_drain(void *arg, struct pn_time now)
{
	struct eth_rx rx = { .link = arg, .now = now };
	struct link *link = arg;
	int n = pcap_dispatch(link->eth.pcap, ETH_BUDGET, eth_frame, (u_char *)&rx);

	link_rx_flush(link->set, now);
	if (n >= 0)
		return (size_t)n;
	/* the interface went down or away: the scan will tell */
	link_log(link, LINK_LOG_DEBUG, "%s", pcap_geterr(link->eth.pcap));
	eth_close(link, now);
	link->eth.open_at = pn_time_add(now, RETRY_MIN_NS);
	link_wake_at(link, link->eth.open_at);
	link->set->scan_at = now;
	return 0;
}

/* --- frames out ---------------------------------------------------------- */

static void eth_sent(void *arg, int res)
{
	struct eth_send *s = arg;
	struct link *link = s->link;

	link_sent(link, &s->pkt, 1, res < 0 ? res : 0);
	link->inflight--;
	s->next = link->set->eth_io->free;
	link->set->eth_io->free = s;
}

/* Sends without the loop, when it has no room. */
static void eth_send_now(struct link *link, struct pn_pkt *pkt)
{
	ssize_t n;

	loop_submit(link->set->loop);	/* what is queued goes first */
	n = send(link->eth.fd, pkt->data, pkt->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	link_sent(link, &pkt, 1, n < 0 ? -errno : 0);
}

static void eth_send_one(struct link *link, struct pn_pkt *pkt)
{
	struct eth_send *s = link->set->eth_io->free;
	uint8_t *hdr = pn_pkt_push(pkt, LINK_ETH_HDR);

	memcpy(hdr, pkt->ll.len ? pkt->ll.b : GROUP, 6);
	memcpy(hdr + 6, link->eth.mac, 6);
	hdr[12] = (uint8_t)(link->eth.ethertype >> 8);
	hdr[13] = (uint8_t)link->eth.ethertype;
	if (!s) {
		eth_send_now(link, pkt);
		return;
	}
	memset(&s->msg, 0, sizeof(s->msg));
	s->iov.iov_base = pkt->data;
	s->iov.iov_len = pkt->len;
	s->msg.msg_iov = &s->iov;
	s->msg.msg_iovlen = 1;
	s->pkt = pkt;
	s->link = link;
	if (loop_sendmsg(link->set->loop, link->eth.fd, &s->msg, eth_sent, s)) {
		eth_send_now(link, pkt);
		return;
	}
	link->set->eth_io->free = s->next;
	link->inflight++;
}

void eth_transmit(struct link *link, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	size_t i;

	(void)now;
	for (i = 0; i < n; i++) {
		if (link->eth.fd < 0)
			link_sent(link, &pkts[i], 1, -ENETDOWN);
		else if (pkts[i]->len > link->mtu ||
			 (pkts[i]->ll.len && pkts[i]->ll.len != PN_LLADDR_MAC_LEN))
			link_sent(link, &pkts[i], 1, -EMSGSIZE);
		else
			eth_send_one(link, pkts[i]);
	}
}

uint64_t eth_kernel_drops(const struct link *link)
{
	struct pcap_stat st;

	if (!link->eth.pcap || pcap_stats(link->eth.pcap, &st) < 0)
		return 0;
	return st.ps_drop;
}

/* --- open and close -------------------------------------------------------- */

static const char *eth_no_right = "needs CAP_NET_RAW: start as root, or give the program that "
				  "capability (setcap cap_net_raw,cap_net_admin+ep)";

static int eth_configure(struct link *link, pcap_t *p, uint32_t mtu, char *why, size_t why_len)
{
	char filter[40];
	struct bpf_program bpf;
	int err;

	pcap_set_snaplen(p, (int)mtu + 64);
	pcap_set_promisc(p, 0);
	pcap_set_immediate_mode(p, 1);
	pcap_set_timeout(p, 1);
	pcap_set_buffer_size(p, ETH_BUFFER);
	err = pcap_activate(p);
	if (err == PCAP_ERROR_PERM_DENIED) {
		snprintf(why, why_len, "%s", eth_no_right);
		return PN_EINVAL;
	}
	if (err < 0) {
		snprintf(why, why_len, "%s: %s", pcap_statustostr(err), pcap_geterr(p));
		return PN_EINVAL;
	}
	if (pcap_datalink(p) != DLT_EN10MB) {
		snprintf(why, why_len, "%s is not an Ethernet interface", link->spec.ifname);
		return PN_EINVAL;
	}
	snprintf(filter, sizeof(filter), "ether proto 0x%04x", link->eth.ethertype);
	if (pcap_compile(p, &bpf, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
		snprintf(why, why_len, "%s", pcap_geterr(p));
		return PN_EINVAL;
	}
	err = pcap_setfilter(p, &bpf);
	pcap_freecode(&bpf);
	if (err < 0) {
		snprintf(why, why_len, "%s", pcap_geterr(p));
		return PN_EINVAL;
	}
	pcap_setdirection(p, PCAP_D_IN);
	return 0;
}

static void eth_socket_options(int fd, int ifindex)
{
	struct packet_mreq mr = { .mr_ifindex = ifindex, .mr_type = PACKET_MR_MULTICAST,
				  .mr_alen = 6 };
	int one = 1, size = ETH_SNDBUF;

	memcpy(mr.mr_address, GROUP, 6);
	setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr));
	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	/* pcap does not read through the descriptor, and the ring must be able
	 * to wait for room in the send buffer */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

static int eth_capture(struct link *link, const struct ifstate *ifs, uint32_t mtu, char *why,
		       size_t why_len)
{
	char errbuf[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap_create(link->spec.ifname, errbuf);
	struct link_eth *eth = &link->eth;

	if (!p) {
		snprintf(why, why_len, "%s", errbuf);
		return PN_EINVAL;
	}
	if (eth_configure(link, p, mtu, why, why_len))
		goto err_close;
	if (pcap_setnonblock(p, 1, errbuf) < 0) {
		snprintf(why, why_len, "%s", errbuf);
		goto err_close;
	}
	eth->pcap = p;
	eth->fd = pcap_fileno(p);
	eth->ifindex = ifs->index;
	eth_socket_options(eth->fd, ifs->index);
	eth->drain = loop_drain_add(link->set->loop, pcap_get_selectable_fd(p), eth_drain, link);
	if (eth->drain)
		return 0;
	snprintf(why, why_len, "%s", strerror(errno));
	eth->pcap = NULL;
	eth->fd = -1;
err_close:
	pcap_close(p);
	return PN_EINVAL;
}

static uint32_t eth_mtu(const struct link *link, const struct ifstate *ifs)
{
	uint32_t mtu = ifs->mtu;

	if (link->spec.mtu && link->spec.mtu < mtu)
		mtu = link->spec.mtu;
	return mtu;
}

/* As configured, or as the driver says (Mbit/s; radio says nothing).  0: unknown */
static uint64_t eth_rate(const struct link *link)
{
	char path[64];
	long long mbit = 0;
	FILE *f;

	if (link->spec.rate_bps)
		return link->spec.rate_bps;
	snprintf(path, sizeof(path), "/sys/class/net/%s/speed", link->spec.ifname);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%lld", &mbit) != 1 || mbit < 0 || mbit > 10000000)
		mbit = 0;
	fclose(f);
	return (uint64_t)mbit * 1000000;
}

static int eth_net_add(struct link *link, uint32_t mtu, struct pn_time now, char *why,
		       size_t why_len)
{
	struct net_link_config cfg = {
		.kind = NET_LINK_ETHERNET,
		.mtu = mtu,
		.self = { .len = PN_LLADDR_MAC_LEN },
		.cost = link->spec.cost,
		.rate_bps = eth_rate(link),
		.control_bps = link->spec.control_bps,
		.seal_full = link->spec.seal_full,
		.listen = true,
	};

	memcpy(cfg.self.b, link->eth.mac, 6);
	return link_net_add(link, &cfg, now, why, why_len);
}

static int eth_open(struct link *link, const struct ifstate *ifs, struct pn_time now, char *why,
		    size_t why_len)
{
	uint32_t mtu = eth_mtu(link, ifs);
	bool same;
	int err;

	if (mtu < LINK_FRAME_MIN) {
		snprintf(why, why_len, "an MTU of %u is too small, %d bytes are needed", mtu,
			 LINK_FRAME_MIN);
		return PN_EINVAL;
	}
	link_mtu_warn(link, mtu);
	mtu = link_mtu_fit(link, mtu);
	err = eth_capture(link, ifs, mtu, why, why_len);
	if (err)
		return err;
	same = link->mtu == mtu && !memcmp(link->eth.mac, ifs->mac, 6);
	if (link->net_link >= 0 && !same)
		link_net_del(link, now);
	memcpy(link->eth.mac, ifs->mac, 6);
	if (link->net_link < 0) {
		err = eth_net_add(link, mtu, now, why, why_len);
		link->eth.carrier = true;	/* as the net layer assumes */
	}
	if (err)
		eth_close(link, now);
	else
		link_log(link, LINK_LOG_INFO, "open, frames of %u bytes", mtu);
	return err;
}

static void eth_carrier(struct link *link, bool up, struct pn_time now)
{
	if (link->net_link < 0 || link->eth.carrier == up)
		return;
	link->eth.carrier = up;
	net_link_carrier(link->set->net, link->net_link, up, now);
}

static void eth_close(struct link *link, struct pn_time now)
{
	struct link_eth *eth = &link->eth;

	if (!eth->pcap)
		return;
	eth_carrier(link, false, now);
	loop_submit(link->set->loop);
	loop_drain_del(link->set->loop, eth->drain);
	pcap_close(eth->pcap);
	eth->drain = NULL;
	eth->pcap = NULL;
	eth->fd = -1;
}

/* --- following the interface ------------------------------------------------- */

static const struct ifstate *if_find(const struct ifstate *ifs, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (!strcmp(ifs[i].name, name))
			return &ifs[i];
	}
	return NULL;
}

/* Says what is new about a link that is not up; once, not at each scan. */
static void eth_closed(struct link *link, int level, const char *state, struct pn_time now)
{
	eth_close(link, now);
	if (!strcmp(link->state, state))
		return;
	link_state(link, "%s", state);
	link_log(link, level, "%s", state);
}

static bool eth_changed(const struct link *link, const struct ifstate *is)
{
	return link->eth.ifindex != is->index || memcmp(link->eth.mac, is->mac, 6) != 0 ||
	       link->mtu != link_mtu_fit(link, eth_mtu(link, is));
}

static void eth_follow(struct link *link, const struct ifstate *is, struct pn_time now)
{
	struct link_eth *eth = &link->eth;
	bool carrier = is->flags & IFF_RUNNING;
	char why[LINK_WHY_MAX];

	if (eth->pcap && eth_changed(link, is)) {
		link_log(link, LINK_LOG_INFO, "the interface has changed");
		link_net_del(link, now);
		eth_close(link, now);
		eth->open_at = now;
	}
	if (!eth->pcap) {
		if (pn_time_before(now, eth->open_at))
			return;
		if (eth_open(link, is, now, why, sizeof(why))) {
			eth_closed(link, LINK_LOG_WARN, why, now);
			eth->open_at = pn_time_add(now, eth->retry_ns);
			eth->retry_ns = eth->retry_ns * 2 < RETRY_MAX_NS ? eth->retry_ns * 2
									  : RETRY_MAX_NS;
			link_wake_at(link, eth->open_at);
			return;
		}
		eth->retry_ns = RETRY_MIN_NS;
		link->state[0] = '\0';
	}
	eth_carrier(link, carrier, now);
	if (!carrier && strcmp(link->state, "no carrier") != 0)
		link_log(link, LINK_LOG_INFO, "no carrier");
	else if (carrier && !strcmp(link->state, "no carrier"))
		link_log(link, LINK_LOG_INFO, "carrier is there");
	link_state(link, "%s", carrier ? "up" : "no carrier");
}

static void eth_scan(struct link *link, const struct ifstate *ifs, size_t n, struct pn_time now)
{
	const struct ifstate *is = if_find(ifs, n, link->spec.ifname);

	if (!is) {
		eth_closed(link, LINK_LOG_INFO, "waiting for the interface", now);
		link->eth.open_at = now;
		link->doomed = link->automatic;
	} else if (!(is->flags & IFF_UP)) {
		eth_closed(link, LINK_LOG_INFO, "the interface is down", now);
		link->eth.open_at = now;
		link->doomed = link->automatic;
	} else if (is->type != ARPHRD_ETHER) {
		eth_closed(link, LINK_LOG_WARN, "not an Ethernet interface", now);
	} else {
		eth_follow(link, is, now);
	}
}

void eth_wake(struct link *link, struct pn_time now)
{
	/* a try that failed is due again: look at the interfaces anew */
	link->set->scan_at = now;
	link->set->wake = pn_time_min(link->set->wake, now);
}

static int eth_may_capture(char *why, size_t why_len)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		snprintf(why, why_len, "%s",
			 errno == EPERM || errno == EACCES ? eth_no_right : strerror(errno));
		return PN_EINVAL;
	}
	close(fd);
	return 0;
}

int eth_prepare(struct link *link, char *why, size_t why_len)
{
	int err = eth_may_capture(why, why_len);

	if (err)
		return err;
	if (eth_io_new(link->set)) {
		snprintf(why, why_len, "out of memory");
		return PN_ENOMEM;
	}
	err = ifscan_start(link->set);
	if (err) {
		snprintf(why, why_len, "cannot follow the interfaces: %s", strerror(-err));
		return PN_EINVAL;
	}
	return 0;
}

static void eth_init(struct link *link)
{
	link->eth.ethertype = link->spec.ethertype ? link->spec.ethertype : LINK_ETHERTYPE;
	link->eth.retry_ns = RETRY_MIN_NS;
}

static int eth_start(struct link *link, struct pn_time now, char *why, size_t why_len)
{
	struct ifstate *ifs;
	const struct ifstate *is;
	int n, err = eth_prepare(link, why, why_len);

	eth_init(link);
	if (err)
		return err;
	ifs = calloc(IFSCAN_MAX, sizeof(*ifs));
	n = ifs ? ifscan_read(ifs, IFSCAN_MAX) : 0;
	is = n > 0 ? if_find(ifs, (size_t)n, link->spec.ifname) : NULL;
	if (!is) {
		eth_closed(link, LINK_LOG_WARN, "waiting for the interface", now);
	} else if (is->type != ARPHRD_ETHER) {
		snprintf(why, why_len, "%s is not an Ethernet interface", is->name);
		err = PN_EINVAL;
	} else if (!(is->flags & IFF_UP)) {
		eth_closed(link, LINK_LOG_WARN, "the interface is down", now);
	} else {
		err = eth_open(link, is, now, why, why_len);
		if (!err)
			eth_follow(link, is, now);
	}
	free(ifs);
	return err;
}

static void eth_stop(struct link *link)
{
	struct link_eth *eth = &link->eth;

	if (!eth->pcap)
		return;
	loop_submit(link->set->loop);
	loop_drain_del(link->set->loop, eth->drain);
	pcap_close(eth->pcap);
	eth->pcap = NULL;
	eth->fd = -1;
}

const struct link_ops link_eth_ops = {
	.type = "ethernet",
	.start = eth_start,
	.stop = eth_stop,
	.transmit = eth_transmit,
	.wake = eth_wake,
	.scan = eth_scan,
};
