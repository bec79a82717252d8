/* SPDX-License-Identifier: ISC */
/* link_impl.h - inside pnstackd/link/; nobody else includes it */
#ifndef PN_LINK_IMPL_H
#define PN_LINK_IMPL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "libpeernet/base/pkt.h"
#include "libpeernet/base/pn_time.h"
#include "pnstackd/link/link.h"

#define LINK_MAX	256	/* links of one daemon */
#define LINK_BATCH	64	/* frames handed to the net layer at once */
#define LINK_GSO_MAX	64	/* segments per send, as the kernel's limit */
#define LINK_GSO_BYTES	65000	/* bytes per send, below 65,507 */
#define LINK_UDP_OVERHEAD 48	/* bytes of IPv6 and UDP header */
#define LINK_ETH_HDR	14	/* bytes */
#define LINK_FRAME_MIN	700	/* bytes: what the net layer asks of a link */
#define LINK_ETHERTYPE	0x88B5	/* IEEE 802 local experimental 1 */
#define LINK_ADDRS_MAX	4	/* addresses of a host name that are tried */
#define LINK_WHY_MAX	200

enum { LINK_LOG_ERR, LINK_LOG_WARN, LINK_LOG_INFO, LINK_LOG_DEBUG };

struct link;
struct testlink;
struct resolve;

/**
 * struct ifstate - What the kernel says about one interface
 * @type:	ARPHRD_...
 * @master:	index of the bridge or bond it belongs to, 0 none
 */
struct ifstate {
	int index;
	char name[16];
	unsigned int flags;
	unsigned int type;
	uint32_t mtu;
	int master;
	uint8_t mac[6];
};

/**
 * struct link_ops - One kind of link
 * @start:	Return: 0, or a negative code with @why
 * @stop:	close descriptors; the link number of the net layer is gone already
 * @transmit:	takes @n frames, all for this link
 * @wake:	link->wake has come
 * @scan:	the interfaces may have changed; NULL if that does not matter
 */
struct link_ops {
	const char *type;
	int (*start)(struct link *link, struct pn_time now, char *why, size_t why_len);
	void (*stop)(struct link *link);
	void (*transmit)(struct link *link, struct pn_pkt **pkts, size_t n, struct pn_time now);
	void (*wake)(struct link *link, struct pn_time now);
	void (*scan)(struct link *link, const struct ifstate *ifs, size_t n, struct pn_time now);
};

/**
 * struct link_eth - Ethernet
 * @pcap:	NULL while closed
 * @ifindex:	of the open one
 * @open_at:	when to try again to open it
 * @retry_ns:	pause after the next failure
 */
struct link_eth {
	void *pcap;
	int fd;
	int ifindex;
	uint8_t mac[6];
	uint16_t ethertype;
	bool carrier;
	struct pn_time open_at;
	struct loop_drain *drain;
	uint64_t retry_ns;
};

/**
 * struct link_udp - A socket, or a peer that is dialled through one
 * @fd:		-1: has none of its own
 * @family:	of the socket
 * @v4, @v6:	what can be reached through it
 * @gso:	the kernel segments for us
 * @via:	peer: the link whose socket it uses, itself or a listener
 * @ll:		peer: where it is dialled now; len 0: nowhere
 * @addrs:	peer: what its name resolved to; @addr_at the one in use
 * @resolve:	peer: a question under way
 * @tries:	peer: resolutions that failed in a row
 */
struct link_udp {
	int fd;
	int family;
	bool v4, v6;
	bool gso;
	struct loop_drain *drain;
	struct link *via;
	struct pn_lladdr ll;
	struct pn_lladdr addrs[LINK_ADDRS_MAX];
	unsigned int addr_count, addr_at;
	bool literal;
	struct resolve *resolve;
	unsigned int tries;
};

/**
 * struct link - One link
 * @next:	of the set
 * @handle:	what link_add() returned; also the hint of its static peer
 * @net_link:	number in the net layer, -1: none now
 * @mtu:	largest frame
 * @inflight:	sends that the loop has not finished
 * @dead:	deleted, freed when @inflight is 0
 * @automatic:	made by eth:auto; @doomed: its interface is gone, so will it be
 * @wake:	when ops->wake() is due
 */
struct link {
	struct link_set *set;
	const struct link_ops *ops;
	struct link *next;
	struct link_spec spec;
	int handle;
	int net_link;
	uint32_t mtu;
	uint32_t inflight;
	bool dead;
	bool automatic;
	bool doomed;
	struct pn_time wake;
	char state[96];
	struct testlink *test;
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t rx_dropped, tx_dropped;
	union {
		struct link_eth eth;
		struct link_udp udp;
	};
};

#define LINK_NET_MAX	1024	/* link numbers of the net layer, at most */

/**
 * struct link_set - All links
 * @by_net:	who has a link number of the net layer
 * @graves:	deleted links whose sends are still under way
 * @wake:	earliest of all deadlines
 * @nl_fd:	rtnetlink news; -1 none
 * @scan_at:	when to look at the interfaces; @scanned_at when last
 * @rx:		frames on their way to net_input()
 * @udp_io, @eth_io: send records, made by the first link of the kind
 * @resolve_fd:	results of resolutions arrive here
 */
struct link_set {
	struct loop *loop;
	struct net *net;
	struct pn_pool *pool;
	struct link *links;
	struct link *graves;
	unsigned int count;
	int last_handle;
	struct link *by_net[LINK_NET_MAX];
	struct pn_time wake;
	int nl_fd;
	struct loop_watch *nl_watch;
	struct pn_time scan_at, scanned_at;
	struct pn_pkt *rx[LINK_BATCH];
	size_t rx_count;
	struct udp_io *udp_io;
	struct eth_io *eth_io;
	int resolve_fd[2];
	struct loop_watch *resolve_watch;
	uint64_t tx_no_link;
	void (*log)(void *arg, int level, const char *text);
	void *log_arg;
};

/* set.c */
PN_PRINTF(3, 4) void link_log(const struct link *link, int level, const char *fmt, ...);
PN_PRINTF(2, 3) void link_state(struct link *link, const char *fmt, ...);
void link_wake_at(struct link *link, struct pn_time at);
/** link_net_add() - make the net layer know it; sets link->net_link and mtu */
int link_net_add(struct link *link, const struct net_link_config *cfg, struct pn_time now,
		 char *why, size_t why_len);
/** link_net_del() - the goodbye still leaves through it */
void link_net_del(struct link *link, struct pn_time now);
void link_rx(struct link *link, const uint8_t *data, size_t len, const struct pn_lladdr *ll,
	     struct pn_time now);
void link_rx_flush(struct link_set *set, struct pn_time now);
/** link_sent() - the end of frames that were sent, or could not be
 *  @err:  0, or -errno: if that says that there is no way the net layer is told */
void link_sent(struct link *link, struct pn_pkt **pkts, size_t n, int err);
struct link *link_new(struct link_set *set, const struct link_spec *spec);
int link_start(struct link *link, struct pn_time now, char *why, size_t why_len);
void link_remove(struct link *link, struct pn_time now);
/** link_mtu_fit() - what of it fits into our packets; link_mtu_warn() tells if less */
uint32_t link_mtu_fit(const struct link *link, uint32_t mtu);
void link_mtu_warn(const struct link *link, uint32_t mtu);

/* ifscan.c */
int ifscan_start(struct link_set *set);
void ifscan_stop(struct link_set *set);
void ifscan_run(struct link_set *set, struct pn_time now);
/** ifscan_read() - Return: entries in @out, or -errno */
int ifscan_read(struct ifstate *out, size_t max);
#define IFSCAN_MAX 1024

/* eth.c */
extern const struct link_ops link_eth_ops, link_auto_ops;
/** eth_prepare() - may we capture, and is there what all Ethernet links share? */
int eth_prepare(struct link *link, char *why, size_t why_len);
void eth_wake(struct link *link, struct pn_time now);
void eth_transmit(struct link *link, struct pn_pkt **pkts, size_t n, struct pn_time now);

/* eth_auto.c */
uint32_t eth_frame_max(const struct link_spec *spec);
void eth_io_free(struct link_set *set);
uint64_t eth_kernel_drops(const struct link *link);

/* udp.c */
extern const struct link_ops link_listen_ops, link_peer_ops;
void udp_set_listener_gone(struct link_set *set, const struct link *gone, struct pn_time now);
/** udp_peer_is_there() - has the peer that is dialled become a neighbour? */
bool udp_peer_is_there(const struct link *link, struct pn_time now);
bool udp_sockaddr(const struct pn_lladdr *ll, int family, struct sockaddr_storage *ss,
		  socklen_t *len);
void udp_lladdr(const struct sockaddr_storage *ss, struct pn_lladdr *ll);
void udp_text(const struct pn_lladdr *ll, char *buf, size_t len);

/* udp_io.c */
int udp_io_new(struct link_set *set);
void udp_io_free(struct link_set *set);
void udp_io_transmit(struct link *link, struct pn_pkt **pkts, size_t n, struct pn_time now);
size_t udp_io_drain(void *arg, struct pn_time now);

/* resolve.c */
/** resolve_start() - ask for @host's addresses; link->udp.resolve until
 *  resolve_fn is called.  Return: 0 or -errno */
int resolve_start(struct link *link);
void resolve_cancel(struct link *link);
int resolve_init(struct link_set *set);
void resolve_fini(struct link_set *set);
void udp_on_resolved(struct link *link, const struct pn_lladdr *addrs, unsigned int n,
		     const char *why, struct pn_time now);

/* testlink.c */
bool testlink_wanted(const struct link_spec *spec);
struct testlink *testlink_new(const struct link_spec *spec, struct pn_pool *pool);
void testlink_free(struct testlink *t);
/** testlink_take() - takes those of @n frames that are to come later or never
 *  Return: how many leave now, in front of @pkts in their order */
size_t testlink_take(struct testlink *t, struct link *link, struct pn_pkt **pkts, size_t n,
		     struct pn_time now);
/** testlink_next() - Return: frames whose time has come, in @pkts, @max at most */
size_t testlink_next(struct testlink *t, struct pn_pkt **pkts, size_t max, struct pn_time now);
struct pn_time testlink_deadline(const struct testlink *t);

#endif
