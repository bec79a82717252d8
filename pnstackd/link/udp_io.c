/* SPDX-License-Identifier: ISC */
/* Frames through UDP sockets, many in each call.
 *
 * Theory of operation
 *
 * Out: consecutive frames for one station that are equally long (the last may be
 * shorter) leave as one message, which the kernel cuts into datagrams
 * (UDP_SEGMENT); without copying, each frame is one piece of the message.  The
 * frames are held until the loop says that the send is over.
 *
 * A kernel, device or path that does not do this refuses the message: then its
 * frames are sent one by one, and if that works the socket does so from then on.
 *
 * In: the kernel joins datagrams of equal size from one sender (UDP_GRO) and
 * says the size; they are copied apart into packets of the pool.  The buffers
 * take the largest message there is, or it would be cut off.  They are shared by
 * all sockets: nothing stays in them between two rounds. */
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define UDP_SENDS	64		/* messages in flight, each up to 64 frames */
#define UDP_CALL	8		/* messages received by one call */
#define UDP_BUDGET	512		/* frames per round and socket */
#define UDP_BUF		(64 * 1024 + 512) /* bytes: any UDP payload */

struct udp_send {
	struct msghdr msg;
	struct iovec iov[LINK_GSO_MAX];
	struct pn_pkt *pkts[LINK_GSO_MAX];
	size_t count;
	struct sockaddr_storage to;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
	struct link *link;
	struct udp_send *next;
};

struct udp_io {
	struct udp_send *free;
	struct udp_send spare;	/* for sends without the loop */
	struct udp_send all[UDP_SENDS];
	uint8_t *buf;
};

int udp_io_new(struct link_set *set)
{
	struct udp_io *io;
	size_t i;

	if (set->udp_io)
		return 0;
	io = calloc(1, sizeof(*io));
	if (!io)
		return PN_ENOMEM;
	/* untouched pages cost nothing */
	io->buf = mmap(NULL, UDP_CALL * UDP_BUF, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (io->buf == MAP_FAILED) {
		free(io);
		return PN_ENOMEM;
	}
	for (i = 0; i < UDP_SENDS; i++) {
		io->all[i].next = io->free;
		io->free = &io->all[i];
	}
	set->udp_io = io;
	return 0;
}

void udp_io_free(struct link_set *set)
{
	if (!set->udp_io)
		return;
	munmap(set->udp_io->buf, UDP_CALL * UDP_BUF);
	free(set->udp_io);
	set->udp_io = NULL;
}

/* --- out ------------------------------------------------------------------ */

/* Does the kernel refuse to segment, or is this about something else? */
static bool is_gso_refusal(int err)
{
	return err == -EIO || err == -EINVAL || err == -ENOPROTOOPT || err == -EOPNOTSUPP ||
	       err == -EMSGSIZE;
}

/* Sends the frames of a refused message one by one. */
static void send_apart(struct udp_send *s)
{
	struct link *link = s->link;
	bool all = true;
	size_t i;

	s->msg.msg_control = NULL;
	s->msg.msg_controllen = 0;
	s->msg.msg_iovlen = 1;
	for (i = 0; i < s->count; i++) {
		int err;

		s->msg.msg_iov = &s->iov[i];
		err = sendmsg(link->udp.fd, &s->msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
		all &= !err;
		link_sent(link, &s->pkts[i], 1, err);
	}
	if (all && link->udp.gso) {
		link->udp.gso = false;
		link_log(link, LINK_LOG_INFO,
			 "the kernel does not segment here, sending frame by frame");
	}
}

static void send_over(struct udp_send *s, int res)
{
	if (res < 0 && s->count > 1 && s->link->udp.fd >= 0 && is_gso_refusal(res))
		send_apart(s);
	else
		link_sent(s->link, s->pkts, s->count, res < 0 ? res : 0);
}

static void on_sent(void *arg, int res)
{
	struct udp_send *s = arg;
	struct udp_io *io = s->link->set->udp_io;

	send_over(s, res);
	s->link->inflight--;
	s->next = io->free;
	io->free = s;
}

/* Sends without the loop, when it has no room. */
static void send_now(struct udp_send *s)
{
	ssize_t n;

	loop_submit(s->link->set->loop);	/* what is queued goes first */
	n = sendmsg(s->link->udp.fd, &s->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	send_over(s, n < 0 ? -errno : (int)n);
}

/* How many of @pkts can leave as one message. */
static size_t send_group(const struct link *link, struct pn_pkt *const *pkts, size_t n)
{
	size_t len = pkts[0]->len, total = len, k = 1;

	if (!link->udp.gso)
		return 1;
	while (k < n && k < LINK_GSO_MAX && pkts[k]->len <= len &&
	       total + pkts[k]->len <= LINK_GSO_BYTES &&
	       pn_lladdr_equal(&pkts[k]->ll, &pkts[0]->ll)) {
		total += pkts[k]->len;
		if (pkts[k++]->len < len)
			break;	/* a shorter one ends the message */
	}
	return k;
}

static bool send_build(struct udp_send *s, struct link *link, struct pn_pkt **pkts, size_t n)
{
	uint16_t segment = (uint16_t)pkts[0]->len;
	struct cmsghdr *c;
	socklen_t to_len;
	size_t i;

	if (!udp_sockaddr(&pkts[0]->ll, link->udp.family, &s->to, &to_len))
		return false;
	for (i = 0; i < n; i++) {
		s->pkts[i] = pkts[i];
		s->iov[i].iov_base = pkts[i]->data;
		s->iov[i].iov_len = pkts[i]->len;
	}
	s->count = n;
	s->link = link;
	memset(&s->msg, 0, sizeof(s->msg));
	s->msg.msg_name = &s->to;
	s->msg.msg_namelen = to_len;
	s->msg.msg_iov = s->iov;
	s->msg.msg_iovlen = n;
	if (n == 1)
		return true;
	s->msg.msg_control = s->control;
	s->msg.msg_controllen = sizeof(s->control);
	c = CMSG_FIRSTHDR(&s->msg);
	c->cmsg_level = SOL_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(segment));
	memcpy(CMSG_DATA(c), &segment, sizeof(segment));
	return true;
}

void udp_io_transmit(struct link *link, struct pn_pkt **pkts, size_t n, struct pn_time now)
{
	struct udp_io *io = link->set->udp_io;
	size_t i, k;

	(void)now;
	for (i = 0; i < n; i += k) {
		struct udp_send *s = io->free ? io->free : &io->spare;

		k = send_group(link, pkts + i, n - i);
		if (link->udp.fd < 0 || pkts[i]->len > link->mtu ||
		    !send_build(s, link, pkts + i, k)) {
			link_sent(link, pkts + i, k, link->udp.fd < 0 ? -ENETDOWN : -EMSGSIZE);
			continue;
		}
		if (s == &io->spare ||
		    loop_sendmsg(link->set->loop, link->udp.fd, &s->msg, on_sent, s)) {
			send_now(s);
			continue;
		}
		io->free = s->next;
		link->inflight++;
	}
}

/* --- in -------------------------------------------------------------------- */

static size_t gro_size(struct msghdr *msg, size_t len)
{
	struct cmsghdr *c;
	int size;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		if (size > 0)
			return (size_t)size;
	}
	return len;
}

/* One received message: one frame, or several of one size. */
static size_t take_message(struct link *link, const uint8_t *data, size_t len, struct msghdr *msg,
			   struct pn_time now)
{
	size_t size = gro_size(msg, len), count = 0;
	struct pn_lladdr ll;

	if (msg->msg_flags & MSG_TRUNC) {
		link->rx_dropped++;
		return 1;
	}
	udp_lladdr(msg->msg_name, &ll);
	while (len) {
		size_t part = len < size ? len : size;

		link_rx(link, data, part, &ll, now);
		data += part;
		len -= part;
		count++;
	}
	return count ? count : 1;	/* an empty datagram came, too */
}

static int receive(struct link *link, struct pn_time now, size_t *got)
{
	struct udp_io *io = link->set->udp_io;
	struct mmsghdr mm[UDP_CALL];
	struct iovec iov[UDP_CALL];
	struct sockaddr_storage from[UDP_CALL];
	_Alignas(struct cmsghdr) char control[UDP_CALL][CMSG_SPACE(sizeof(int)) + 32];
	int i, n;

	memset(mm, 0, sizeof(mm));
	for (i = 0; i < UDP_CALL; i++) {
		iov[i].iov_base = io->buf + (size_t)i * UDP_BUF;
		iov[i].iov_len = UDP_BUF;
		mm[i].msg_hdr.msg_iov = &iov[i];
		mm[i].msg_hdr.msg_iovlen = 1;
		mm[i].msg_hdr.msg_name = &from[i];
		mm[i].msg_hdr.msg_namelen = sizeof(from[i]);
		mm[i].msg_hdr.msg_control = control[i];
		mm[i].msg_hdr.msg_controllen = sizeof(control[i]);
	}
	n = recvmmsg(link->udp.fd, mm, UDP_CALL, MSG_DONTWAIT, NULL);
	for (i = 0; i < n; i++)
		*got += take_message(link, iov[i].iov_base, mm[i].msg_len, &mm[i].msg_hdr, now);
	return n;
}

size_t udp_io_drain(void *arg, struct pn_time now)
{
	struct link *link = arg;
	size_t got = 0;

	/* a short call has emptied the socket; an error that the network
	 * reported (ICMP) is taken off by the call that fails */
	while (got < UDP_BUDGET && receive(link, now, &got) == UDP_CALL)
		;
	link_rx_flush(link->set, now);
	return got;
}
