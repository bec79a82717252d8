/* SPDX-License-Identifier: ISC */
/* link.h - links to the world: Ethernet by libpcap, UDP tunnels
 *
 * A link_set owns the descriptors.  It takes frames from the wire into packets
 * of the pool and gives them to net_input() in batches, and sends what
 * net_output() yields.  Link numbers are those of net_link_add().
 */
#ifndef PN_LINK_H
#define PN_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pkt.h"
#include "pnstackd/loop/loop.h"
#include "pnstackd/net/net.h"

struct link_set;

enum link_type { LINK_ETHERNET, LINK_UDP_LISTEN, LINK_UDP_PEER };

struct link_spec {
	enum link_type type;
	char name[64];        /* as configured, without options and identity:
	                         "eth:eth0", "udp:host:6264", "udp-listen:6264" */
	/* Ethernet */
	char ifname[16];      /* "auto": every Ethernet interface that is up */
	uint16_t ethertype;   /* 0: 0x88B5 */
	/* UDP */
	char host[256];       /* name or literal; listener: address to bind, "" any */
	uint16_t port;
	bool has_id;
	uint8_t id[PN_ID_LEN];   /* peer must be this one */
	uint16_t cost;        /* 0: measured */
	uint32_t mtu;         /* outer MTU; 0: from the interface, UDP 1500 */
	uint64_t rate_bps;    /* 0: what the interface says, or unknown */
	uint64_t control_bps; /* cap of control traffic; 0: by the rate */
	bool seal_full;
	/* test link: the only place where delay and loss are made */
	uint64_t test_delay_ns;
	double test_loss;     /* 0..1 */
	uint64_t test_rate_bps;
};

#define LINK_UDP_PORT 6264   /* where a daemon listens if not told otherwise */

/** link_spec_parse() - "eth:IFNAME", "eth:auto", "udp:HOST:PORT[#IDENTITY]" (dial),
 *  "udp-listen:[ADDR:]PORT", each with ",key=value" options (cost=, mtu=,
 *  bandwidth=100mbit, control=64kbit, ethertype=, seal=full, delay=30ms, loss=1%, rate=100mbit)
 *  Return: 0, or PN_EINVAL with @why (static or in @why_buf) naming what is wrong */
int link_spec_parse(const char *text, struct link_spec *out, char *why, size_t why_len);

/** link_frame_max() - bytes of the largest frame such a link would carry now, so
 *  that packets can be made large enough; 0 unknown */
uint32_t link_frame_max(const struct link_spec *spec);

struct link_set *link_set_new(struct loop *loop, struct net *net, struct pn_pool *pool);
void link_set_free(struct link_set *set);

/** link_set_log() - where news about links go; @level as in api_config.log_level.
 *  @text is one line without its end */
void link_set_log(struct link_set *set,
		  void (*log)(void *arg, int level, const char *text), void *arg);

/** link_add() - Return: handle > 0, or a negative code with @why (the reason alone,
 *  without the link's name).  An Ethernet
 *  interface that does not exist yet is waited for (and taken up again when it
 *  returns); a host name that does not resolve is tried again later */
int link_add(struct link_set *set, const struct link_spec *spec,
	     struct pn_time now, char *why, size_t why_len);
/** link_del() - by its spec's name; PN_ENOENT */
int link_del(struct link_set *set, const char *name, struct pn_time now);

/** link_transmit() - takes frames from net_output() */
void link_transmit(struct link_set *set, struct pn_pkt **pkts, size_t n, struct pn_time now);

struct pn_time link_deadline(const struct link_set *set);
void link_expire(struct link_set *set, struct pn_time now);

struct link_info {
	char name[64];
	const char *type;     /* "ethernet", "udp-listen", "udp" */
	const char *state;    /* "up", "no carrier", "waiting for interface", ... */
	int net_link;         /* -1: none now */
	uint32_t mtu;
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes, rx_dropped, tx_dropped;
};
bool link_info_at(const struct link_set *set, size_t index, struct link_info *out);

#endif
