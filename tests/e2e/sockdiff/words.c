/* SPDX-License-Identifier: ISC */
/* Names of errors, flags and options. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

const char *error_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "E?";
}

/* --- flags ---------------------------------------------------------------- */

struct flag {
	const char *name;
	uint32_t value;
};

static const struct flag msg_flags[] = {
	{ "OOB", MSG_OOB }, { "PEEK", MSG_PEEK }, { "TRUNC", MSG_TRUNC },
	{ "CTRUNC", MSG_CTRUNC }, { "DONTWAIT", MSG_DONTWAIT }, { "WAITALL", MSG_WAITALL },
	{ "ERRQUEUE", MSG_ERRQUEUE }, { "NOSIGNAL", MSG_NOSIGNAL }, { "MORE", MSG_MORE },
	{ "WAITFORONE", MSG_WAITFORONE }, { "CMSG_CLOEXEC", MSG_CMSG_CLOEXEC },
	{ "EOR", MSG_EOR }, { "FASTOPEN", MSG_FASTOPEN }, { "CONFIRM", MSG_CONFIRM },
	{ "DONTROUTE", MSG_DONTROUTE }, { "ZEROCOPY", MSG_ZEROCOPY }, { NULL, 0 },
};

/* epoll's have the same values, and some more */
static const struct flag poll_flags[] = {
	{ "IN", POLLIN }, { "PRI", POLLPRI }, { "OUT", POLLOUT }, { "ERR", POLLERR },
	{ "HUP", POLLHUP }, { "NVAL", POLLNVAL }, { "RDNORM", POLLRDNORM },
	{ "RDBAND", POLLRDBAND }, { "WRNORM", POLLWRNORM }, { "WRBAND", POLLWRBAND },
	{ "RDHUP", POLLRDHUP }, { "ET", 1U << 31 }, { "ONESHOT", 1U << 30 },
	{ "EXCLUSIVE", 1U << 28 }, { NULL, 0 },
};

static uint32_t flags_parse(const struct flag *table, const char *word)
{
	const struct flag *f;
	uint32_t value = 0;
	size_t n;

	for (; *word && strcmp(word, "-") != 0; word += word[n] ? n + 1 : n) {
		n = strcspn(word, "|");
		for (f = table; f->name; f++) {
			if (strlen(f->name) == n && !memcmp(f->name, word, n))
				break;
		}
		if (!f->name)
			die("no flag: %s", word);
		value |= f->value;
	}
	return value;
}

static void say_flags(struct out *o, const struct flag *table, uint32_t bits)
{
	const char *between = "";

	if (!bits)
		say(o, "-");
	for (; table->name; table++) {
		if (!(bits & table->value))
			continue;
		say(o, "%s%s", between, table->name);
		between = "|";
		bits &= ~table->value;
	}
	if (bits)
		say(o, "%s%#x", between, bits);
}

int msg_flags_parse(const char *word)
{
	return (int)flags_parse(msg_flags, word);
}

void say_msg_flags(struct out *o, int flags)
{
	say_flags(o, msg_flags, (uint32_t)flags);
}

uint32_t poll_parse(const char *word)
{
	return flags_parse(poll_flags, word);
}

void say_poll(struct out *o, uint32_t bits)
{
	say_flags(o, poll_flags, bits);
}

/* --- options ---------------------------------------------------------------- */

#define S(name_) { #name_, SOL_SOCKET, name_ }
#define T(name_) { #name_, IPPROTO_TCP, name_ }
#define U(name_) { #name_, IPPROTO_UDP, name_ }
#define I(name_) { #name_, IPPROTO_IP, name_ }
#define V(name_) { #name_, IPPROTO_IPV6, name_ }

static const struct option options[] = {
	S(SO_REUSEADDR), S(SO_REUSEPORT), S(SO_KEEPALIVE), S(SO_BROADCAST), S(SO_DONTROUTE),
	S(SO_OOBINLINE), S(SO_SNDBUF), S(SO_RCVBUF), S(SO_SNDBUFFORCE), S(SO_RCVBUFFORCE),
	S(SO_LINGER), S(SO_RCVTIMEO), S(SO_SNDTIMEO), S(SO_RCVLOWAT), S(SO_SNDLOWAT),
	S(SO_ERROR), S(SO_TYPE), S(SO_DOMAIN), S(SO_PROTOCOL), S(SO_ACCEPTCONN),
	S(SO_PRIORITY), S(SO_MARK), S(SO_TIMESTAMP), S(SO_TIMESTAMPNS), S(SO_RXQ_OVFL),
	S(SO_BUSY_POLL), S(SO_INCOMING_CPU), S(SO_INCOMING_NAPI_ID), S(SO_MAX_PACING_RATE),
	S(SO_PASSCRED), S(SO_PEERCRED), S(SO_PEERSEC), S(SO_PEEK_OFF), S(SO_NO_CHECK),
	S(SO_BINDTODEVICE), S(SO_ZEROCOPY), S(SO_COOKIE), S(SO_MEMINFO), S(SO_TIMESTAMPING),
	S(SO_DEBUG), S(SO_ATTACH_FILTER), S(SO_DETACH_FILTER), S(SO_LOCK_FILTER),
	S(SO_PEERNAME), S(SO_WIFI_STATUS), S(SO_SELECT_ERR_QUEUE), S(SO_BINDTOIFINDEX),
	S(SO_PREFER_BUSY_POLL), S(SO_TXTIME), S(SO_PEERGROUPS), S(SO_NETNS_COOKIE),
	T(TCP_NODELAY), T(TCP_MAXSEG), T(TCP_CORK), T(TCP_KEEPIDLE), T(TCP_KEEPINTVL),
	T(TCP_KEEPCNT), T(TCP_SYNCNT), T(TCP_LINGER2), T(TCP_DEFER_ACCEPT),
	T(TCP_WINDOW_CLAMP), T(TCP_INFO), T(TCP_QUICKACK), T(TCP_CONGESTION),
	T(TCP_THIN_LINEAR_TIMEOUTS), T(TCP_THIN_DUPACK), T(TCP_USER_TIMEOUT), T(TCP_FASTOPEN),
	T(TCP_FASTOPEN_CONNECT), T(TCP_FASTOPEN_NO_COOKIE), T(TCP_FASTOPEN_KEY),
	T(TCP_TIMESTAMP), T(TCP_NOTSENT_LOWAT), T(TCP_SAVE_SYN), T(TCP_SAVED_SYN), T(TCP_INQ),
	T(TCP_TX_DELAY), T(TCP_REPAIR), T(TCP_ULP), T(TCP_CC_INFO),
	U(UDP_CORK), U(UDP_ENCAP), U(UDP_NO_CHECK6_TX), U(UDP_NO_CHECK6_RX), U(UDP_SEGMENT),
	U(UDP_GRO),
	I(IP_TOS), I(IP_TTL), I(IP_HDRINCL), I(IP_OPTIONS), I(IP_MTU_DISCOVER), I(IP_MTU),
	I(IP_RECVERR), I(IP_RECVTTL), I(IP_RECVTOS), I(IP_RECVOPTS), I(IP_PKTINFO),
	I(IP_RECVORIGDSTADDR), I(IP_FREEBIND), I(IP_BIND_ADDRESS_NO_PORT), I(IP_TRANSPARENT),
	I(IP_MULTICAST_TTL), I(IP_MULTICAST_LOOP), I(IP_MULTICAST_IF), I(IP_MULTICAST_ALL),
	I(IP_MINTTL), I(IP_NODEFRAG), I(IP_CHECKSUM), I(IP_RETOPTS), I(IP_ROUTER_ALERT),
	I(IP_PASSSEC), I(IP_UNICAST_IF), I(IP_RECVFRAGSIZE),
	V(IPV6_V6ONLY), V(IPV6_UNICAST_HOPS), V(IPV6_MULTICAST_HOPS), V(IPV6_MULTICAST_LOOP),
	V(IPV6_MULTICAST_IF), V(IPV6_MULTICAST_ALL), V(IPV6_MTU_DISCOVER), V(IPV6_MTU),
	V(IPV6_DONTFRAG), V(IPV6_RECVERR), V(IPV6_RECVPKTINFO), V(IPV6_RECVHOPLIMIT),
	V(IPV6_RECVTCLASS), V(IPV6_TCLASS), V(IPV6_AUTOFLOWLABEL), V(IPV6_ADDR_PREFERENCES),
	V(IPV6_FREEBIND), V(IPV6_TRANSPARENT), V(IPV6_RECVORIGDSTADDR), V(IPV6_RECVRTHDR),
	V(IPV6_RECVHOPOPTS), V(IPV6_RECVDSTOPTS), V(IPV6_RECVPATHMTU), V(IPV6_PATHMTU),
	V(IPV6_MINHOPCOUNT), V(IPV6_UNICAST_IF), V(IPV6_RTHDR), V(IPV6_CHECKSUM),
	V(IPV6_ADDRFORM), V(IPV6_NEXTHOP), V(IPV6_RECVFRAGSIZE),
};

/* A name, or LEVEL.NUMBER for what has none */
const struct option *option_lookup(const char *name)
{
	static struct option made;
	char *dot;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!strcmp(options[i].name, name))
			return &options[i];
	}
	made = (struct option){ name, (int)strtol(name, &dot, 10), 0 };
	if (*dot != '.')
		die("no option: %s", name);
	made.value = (int)strtol(dot + 1, NULL, 10);
	return &made;
}
