/* SPDX-License-Identifier: ISC */
/* Programs that speak to the DNS themselves: no name of ours gets there.
 *
 * Theory of operation
 *
 * Many programs have a resolver of their own (dig, node.js, nginx, haproxy, squid): a socket of
 * libc's, connected to port 53, or datagrams to it.  What goes there is looked at, and a question
 * about a name of ours, or about the name of one of our addresses, is refused as if nobody
 * listened there.  It is not answered: the answer would have to come out of a socket of the
 * kernel's.  Which descriptors are connected to port 53 is a bit for each number; one that stays
 * behind does no harm, since what it makes us look at is not refused unless it is such a question.
 *
 * A stream has two bytes of length before each message (RFC 1035, 4.2.2), which may be sent
 * together with it or alone, or together with messages before and behind.  Each write is looked at
 * for itself: what an earlier one has begun, within a length or a message, is not known, and the
 * messages behind it in the same write are not found.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"
#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#define DNS_PORT	53
#define DNS_LEN		2	/* of the length on a stream */
#define DNS_LOOK	(DNS_LEN + NS_HFIXEDSZ + NS_MAXCDNAME + NS_QFIXEDSZ)
#define DNS_OPCODE	0xf8	/* QR and OPCODE in the third byte: 0 is a standard query */

static _Atomic uint8_t dns_bits[FD_MAX / 8];

bool dns_is_client(int fd)
{
	return fd >= 0 && (unsigned int)fd < FD_MAX &&
	       atomic_load_explicit(&dns_bits[fd / 8], memory_order_relaxed) >> fd % 8 & 1;
}

static void set_dns(int fd, bool on)
{
	uint8_t bit;

	if (fd < 0 || (unsigned int)fd >= FD_MAX || on == dns_is_client(fd))
		return;
	bit = (uint8_t)(1u << fd % 8);
	if (on)
		atomic_fetch_or(&dns_bits[fd / 8], bit);
	else
		atomic_fetch_and(&dns_bits[fd / 8], (uint8_t)~bit);
}

/* 0.0.0.0 is this machine */
static bool is_server(const struct sa_dest *dest)
{
	return dest->port == DNS_PORT && (dest->kind == SA_KERNEL || dest->kind == SA_WILDCARD);
}

void dns_connected(int fd, const struct sa_dest *dest)
{
	set_dns(fd, is_server(dest));
}

void dns_dup(int from, int to)
{
	set_dns(to, dns_is_client(from));
}

static bool is_about_ours(const uint8_t *msg, size_t len)
{
	char name[NS_MAXDNAME];

	if (len < NS_HFIXEDSZ + NS_QFIXEDSZ || msg[2] & DNS_OPCODE)
		return false;
	return dn_expand(msg, msg + len, msg + NS_HFIXEDSZ, name, sizeof(name)) > 0 &&
	       !name_is_foreign(name);
}

/* What is from the byte @at on, in one piece.  Return: bytes of it, no more than are looked at */
static size_t gather(const struct msghdr *msg, size_t at, uint8_t out[DNS_LOOK])
{
	size_t len = 0, n;

	for (size_t i = 0; i < msg->msg_iovlen && len < DNS_LOOK; i++) {
		const struct iovec *iov = &msg->msg_iov[i];

		if (at >= iov->iov_len) {
			at -= iov->iov_len;
			continue;
		}
		n = pn_min(iov->iov_len - at, DNS_LOOK - len);
		memcpy(out + len, (const uint8_t *)iov->iov_base + at, n);
		len += n;
		at = 0;
	}
	return len;
}

/* Messages with their lengths, from the start.  One that is too short is no DNS, and ends them. */
static bool has_one_about_ours(const struct msghdr *msg)
{
	uint8_t head[DNS_LOOK];
	size_t at = 0, len, message, count;

	for (count = 0; count < DNS_MESSAGES_MAX; count++) {
		len = gather(msg, at, head);
		message = len < DNS_LEN ? 0 : (size_t)head[0] << 8 | head[1];
		if (message < NS_HFIXEDSZ)
			return false;
		if (is_about_ours(head + DNS_LEN, len - DNS_LEN))
			return true;
		at += DNS_LEN + message;
	}
	/* Nobody asks so much at once; but if somebody does, nothing gets through unseen */
	return gather(msg, at, head);
}

bool dns_is_leak(int fd, const struct sa_dest *dest, const struct msghdr *msg)
{
	uint8_t head[DNS_LOOK];

	if (!(dest ? is_server(dest) : dns_is_client(fd)) || !shim()->on || !msg->msg_iov ||
	    msg->msg_iovlen > IOV_MAX_SHIM)	/* which the kernel refuses */
		return false;
	if (!is_about_ours(head, gather(msg, 0, head)) && !has_one_about_ours(msg))
		return false;
	trace(fd, "a question to the DNS about a name of PeerNet's: refused");
	return true;
}

bool dns_buf_is_leak(int fd, const void *buf, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)buf, n };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return dns_is_client(fd) && dns_is_leak(fd, NULL, &msg);
}
