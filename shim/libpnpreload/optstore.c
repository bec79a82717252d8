/* SPDX-License-Identifier: ISC */
/* The table of options and what may be done with each. */
#include "shim/libpnpreload/optstore.h"

#include "libpeernet/base/pn_assert.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

#define OPT_BOOL	1u	/* read back as 0 or 1 */
#define OPT_RDONLY	2u	/* ENOPROTOOPT when set */
#define OPT_STREAM	4u	/* TCP only */
#define OPT_DGRAM	8u	/* UDP only */
#define OPT_DOUBLE	16u	/* the kernel reads back twice what was set */
#define OPT_BYTE	32u	/* one byte is enough to set it */

/* SOL_SOCKET options that AF_UNIX lacks, or that would lie or do harm there */
#define OPT_SNDBUF_DEFAULT	2626560 /* bytes: what TCP grows to, about */
#define OPT_RCVBUF_DEFAULT	131072	/* bytes: TCP's default */
#define OPT_MSS			1220	/* bytes: IPv6's smallest MTU */
#define OPT_MTU			1280	/* bytes */
#define OPT_TCP_INFO_LEN	232	/* bytes: as of Linux 5.5 */

static const struct opt {
	int level;
	int name;
	int initial;
	unsigned int flags;
} opt_table[] = {
	{ SOL_SOCKET, SO_SNDBUF, OPT_SNDBUF_DEFAULT, OPT_DOUBLE },
	{ SOL_SOCKET, SO_RCVBUF, OPT_RCVBUF_DEFAULT, OPT_DOUBLE },
	{ SOL_SOCKET, SO_REUSEADDR, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_REUSEPORT, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_KEEPALIVE, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_BROADCAST, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_DONTROUTE, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_OOBINLINE, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_PRIORITY, 0, 0 },
	{ SOL_SOCKET, SO_MARK, 0, 0 },
	{ SOL_SOCKET, SO_RXQ_OVFL, 0, OPT_BOOL },
	{ SOL_SOCKET, SO_BUSY_POLL, 0, 0 },
	{ SOL_SOCKET, SO_INCOMING_CPU, -1, 0 },
	{ SOL_SOCKET, SO_INCOMING_NAPI_ID, 0, OPT_RDONLY },
	{ SOL_SOCKET, SO_MAX_PACING_RATE, -1, 0 },
	{ IPPROTO_TCP, TCP_NODELAY, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_MAXSEG, OPT_MSS, OPT_STREAM },
	{ IPPROTO_TCP, TCP_CORK, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_KEEPIDLE, 7200, OPT_STREAM },
	{ IPPROTO_TCP, TCP_KEEPINTVL, 75, OPT_STREAM },
	{ IPPROTO_TCP, TCP_KEEPCNT, 9, OPT_STREAM },
	{ IPPROTO_TCP, TCP_SYNCNT, 6, OPT_STREAM },
	{ IPPROTO_TCP, TCP_LINGER2, 60, OPT_STREAM },
	{ IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, OPT_STREAM },
	{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, OPT_STREAM },
	{ IPPROTO_TCP, TCP_QUICKACK, 1, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_THIN_DUPACK, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_USER_TIMEOUT, 0, OPT_STREAM },
	{ IPPROTO_TCP, TCP_FASTOPEN, 0, OPT_STREAM },
	{ IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_TIMESTAMP, 0, OPT_STREAM },
	{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, -1, OPT_STREAM },
	{ IPPROTO_TCP, TCP_SAVE_SYN, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_TCP, TCP_INQ, 0, OPT_BOOL | OPT_STREAM },
	{ IPPROTO_UDP, UDP_CORK, 0, OPT_BOOL | OPT_DGRAM },
	{ IPPROTO_UDP, UDP_NO_CHECK6_TX, 0, OPT_BOOL | OPT_DGRAM },
	{ IPPROTO_UDP, UDP_NO_CHECK6_RX, 0, OPT_BOOL | OPT_DGRAM },
	{ IPPROTO_IP, IP_TOS, 0, OPT_BYTE },
	{ IPPROTO_IP, IP_TTL, 64, OPT_BYTE },
	{ IPPROTO_IP, IP_HDRINCL, 0, OPT_RDONLY },
	{ IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, OPT_BYTE },
	{ IPPROTO_IP, IP_MTU, OPT_MTU, OPT_RDONLY },
	{ IPPROTO_IP, IP_RECVERR, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RECVTTL, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RECVTOS, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RECVOPTS, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_PKTINFO, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RECVORIGDSTADDR, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_FREEBIND, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_MULTICAST_TTL, 1, OPT_DGRAM | OPT_BYTE },
	{ IPPROTO_IP, IP_MULTICAST_LOOP, 1, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IPV6, IPV6_V6ONLY, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, 0 },
	{ IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, OPT_DGRAM },
	{ IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT, 0 },
	{ IPPROTO_IPV6, IPV6_MTU, OPT_MTU, OPT_RDONLY },
	{ IPPROTO_IPV6, IPV6_DONTFRAG, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVERR, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVTCLASS, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_TCLASS, 0, 0 },
	{ IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 1, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, 0, 0 },
	{ IPPROTO_IPV6, IPV6_FREEBIND, 0, OPT_BOOL },
	/* without an effect here, or anywhere for what they are set on */
	{ IPPROTO_IP, IP_TRANSPARENT, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_MULTICAST_ALL, 1, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_MINTTL, 0, OPT_BYTE },
	{ IPPROTO_IP, IP_PASSSEC, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RETOPTS, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_RECVFRAGSIZE, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IP, IP_CHECKSUM, 0, OPT_BOOL | OPT_BYTE },
	{ IPPROTO_IPV6, IPV6_TRANSPARENT, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_MULTICAST_ALL, 1, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, 0 },
	{ IPPROTO_IPV6, IPV6_MINHOPCOUNT, 0, 0 },
	{ IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVRTHDR, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVHOPOPTS, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVDSTOPTS, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVPATHMTU, 0, OPT_BOOL },
	{ IPPROTO_IPV6, IPV6_RECVFRAGSIZE, 0, OPT_BOOL },
	{ IPPROTO_IP, IP_UNICAST_IF, 0, 0 },
	{ IPPROTO_IPV6, IPV6_UNICAST_IF, 0, 0 },
	{ IPPROTO_TCP, TCP_TX_DELAY, 0, OPT_STREAM },
};

static_assert(PN_ARRAY_LEN(opt_table) <= OPT_MAX, "a bit and a value each");

#define OPT_NONE	PN_ARRAY_LEN(opt_table)

static size_t opt_find(int level, int name)
{
	size_t i;

	for (i = 0; i < OPT_NONE; i++) {
		if (opt_table[i].level == level && opt_table[i].name == name)
			break;
	}
	return i;
}

static bool opt_fits(size_t i, bool stream)
{
	return i < OPT_NONE &&
	       !(opt_table[i].flags & (stream ? OPT_DGRAM : OPT_STREAM));
}

static bool opt_is_set(const struct opt_store *s, size_t i)
{
	return s->set[i / 64] >> (i % 64) & 1;
}

static int opt_value(const struct opt_store *s, size_t i)
{
	return opt_is_set(s, i) ? s->value[i] : opt_table[i].initial;
}

/* As the program passed it, when it set it */
static int opt_passed(const struct opt_store *s, size_t i)
{
	return opt_table[i].flags & OPT_DOUBLE ? s->value[i] / 2 : s->value[i];
}

bool opt_is_ours(int level, int name)
{
	return level != SOL_SOCKET || opt_find(level, name) < OPT_NONE;
}

/* Never pretended: the kernel would have to do it to the bytes (TLS), or
 * somebody's safety rests on it (MD5 signatures). */
static int opt_refused(int level, int name)
{
	if (level == IPPROTO_TCP && name == TCP_ULP)
		return ENOENT;
	if (level == IPPROTO_TCP && name == TCP_REPAIR)
		return EPERM;
	return ENOPROTOOPT;
}

static int opt_set_cc(struct opt_store *s, const void *value, socklen_t len)
{
	static const char *const known[] = { "cubic", "reno", "bbr" };
	char name[OPT_CC_LEN] = "";
	size_t i;

	if (len < 1)
		return EINVAL;
	memcpy(name, value, pn_min(len, sizeof(name) - 1));
	for (i = 0; i < PN_ARRAY_LEN(known); i++) {
		if (!strcmp(name, known[i])) {
			memcpy(s->cc, name, sizeof(name));
			return 0;
		}
	}
	return ENOENT;
}

int opt_set(struct opt_store *s, bool stream, int level, int name, const void *value, socklen_t len)
{
	size_t i = opt_find(level, name);
	unsigned int flags;
	int v;

	if (stream && level == IPPROTO_TCP && name == TCP_CONGESTION)
		return value ? opt_set_cc(s, value, len) : EFAULT;
	if (!opt_fits(i, stream))
		return opt_refused(level, name);
	flags = opt_table[i].flags;
	if (flags & OPT_RDONLY)
		return ENOPROTOOPT;
	if (!value)
		return EFAULT;
	if (len >= sizeof(v))
		memcpy(&v, value, sizeof(v));
	else if (len && flags & OPT_BYTE)
		v = *(const unsigned char *)value;
	else
		return EINVAL;
	if (flags & OPT_BOOL)
		v = !!v;
	if (flags & OPT_DOUBLE) {
		if (v < 0 || v > INT32_MAX / 2)
			v = INT32_MAX / 2;
		v *= 2;
	}
	s->value[i] = v;
	s->set[i / 64] |= (uint64_t)1 << (i % 64);
	return 0;
}

int opt_out(const void *from, size_t n, void *value, socklen_t *len)
{
	n = pn_min(n, *len);
	if (!value && n)
		return EFAULT;
	if (n)
		memcpy(value, from, n);
	*len = (socklen_t)n;
	return 0;
}

/* What is true of every stream here and hurts nobody who reads it.  Programs
 * pass shorter structures than ours, of older kernels: copy what fits. */
static int opt_get_tcp_info(void *value, socklen_t *len)
{
	static_assert(sizeof(struct tcp_info) <= OPT_TCP_INFO_LEN, "the C library's is older");
	uint8_t all[OPT_TCP_INFO_LEN] = { 0 };
	struct tcp_info info = {
		.tcpi_state = TCP_ESTABLISHED,
		.tcpi_snd_mss = OPT_MSS,
		.tcpi_rcv_mss = OPT_MSS,
		.tcpi_advmss = OPT_MSS,
		.tcpi_pmtu = OPT_MTU,
		.tcpi_rto = 200000,		/* us */
		.tcpi_rtt = 1000,		/* us */
		.tcpi_rttvar = 500,		/* us */
		.tcpi_snd_cwnd = 1000,
		.tcpi_snd_ssthresh = 0x7fffffff,
		.tcpi_reordering = 3,
	};

	/* What newer kernels tell besides is 0 */
	memcpy(all, &info, sizeof(info));
	return opt_out(all, sizeof(all), value, len);
}

int opt_get(const struct opt_store *s, bool stream, int level, int name, void *value,
	    socklen_t *len)
{
	size_t i = opt_find(level, name);
	char cc[OPT_CC_LEN] = "cubic";
	int v;

	if (stream && level == IPPROTO_TCP && name == TCP_INFO)
		return opt_get_tcp_info(value, len);
	if (stream && level == IPPROTO_TCP && name == TCP_CONGESTION) {
		if (s->cc[0])
			memcpy(cc, s->cc, sizeof(cc));
		return opt_out(cc, sizeof(cc), value, len);
	}
	if (!opt_fits(i, stream))
		return ENOPROTOOPT;
	v = opt_value(s, i);
	/* As the kernel: a short buffer at level IP gets one byte */
	if (*len < sizeof(v) && *len && level == IPPROTO_IP && v >= 0 && v <= 255) {
		unsigned char byte = (unsigned char)v;

		*len = 1;
		return opt_out(&byte, 1, value, len);
	}
	return opt_out(&v, sizeof(v), value, len);
}

bool opt_knows(bool stream, int level, int name)
{
	return opt_fits(opt_find(level, name), stream);
}

bool opt_is_switch(bool stream, int level, int name)
{
	size_t i = opt_find(level, name);

	return opt_fits(i, stream) && opt_table[i].flags & OPT_BOOL;
}

bool opt_stored(const struct opt_store *s, int level, int name, int *value)
{
	size_t i = opt_find(level, name);

	if (i == OPT_NONE || !opt_is_set(s, i))
		return false;
	*value = opt_passed(s, i);
	return true;
}

int opt_int(const struct opt_store *s, int level, int name)
{
	size_t i = opt_find(level, name);

	PN_ASSERT(i < OPT_NONE);
	return opt_value(s, i);
}

bool opt_each(const struct opt_store *s, unsigned int *at, int *level, int *name, int *value)
{
	for (; *at < OPT_NONE; (*at)++) {
		const struct opt *o = &opt_table[*at];

		if (!opt_is_set(s, *at))
			continue;
		*level = o->level;
		*name = o->name;
		*value = opt_passed(s, *at);
		(*at)++;
		return true;
	}
	return false;
}
