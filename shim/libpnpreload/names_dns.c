/* SPDX-License-Identifier: ISC */
/* Programs that speak to the DNS themselves: no name of ours gets there.
 *
 * Theory of operation
 *
 * Many programs have a resolver of their own (dig, node.js, nginx, haproxy, squid): a socket of
 * libc's, connected to port 53, or datagrams to it.  What goes there is looked at, and a question
 * about a name of ours, or about the name of one of our addresses, is refused as if nobody
 * listened there.  It is not answered: the answer would have to come out of a socket of the
 * kernel's.  Which descriptors are connected to port 53 is a bit for each number, until it is
 * closed; one that stays behind since a call that is not ours closed it does little harm: what it
 * makes us look at is not refused unless it is such a question.
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
#define DNS_QR		0x80	/* in the third byte: an answer */
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

/* By the byte, since programs close all numbers that there can be */
void dns_forget(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first; fd <= last && fd < FD_MAX; fd++) {
		if (atomic_load_explicit(&dns_bits[fd / 8], memory_order_relaxed))
			set_dns((int)fd, false);
		else
			fd |= 7;
	}
}

static bool is_about_ours(const uint8_t *msg, size_t len)
{
	char name[NS_MAXDNAME];

	if (len < NS_HFIXEDSZ + NS_QFIXEDSZ || msg[2] & DNS_OPCODE)
		return false;
	return dn_expand(msg, msg + len, msg + NS_HFIXEDSZ, name, sizeof(name)) > 0 &&
	       !name_is_foreign(name);
}

/* Where the walk over the pieces is; so it does not begin anew with each message */
struct cursor {
	const struct iovec *iov;
	size_t left;	/* pieces, with this one */
	size_t at;	/* bytes of this one that are behind us */
};

/* Goes on by @n bytes.  @out: a copy of them; may be NULL.  Return: bytes, fewer at the end */
static size_t go_on(struct cursor *c, size_t n, uint8_t *out)
{
	size_t done = 0, step;

	while (c->left && done < n) {
		step = pn_min(c->iov->iov_len - c->at, n - done);
		if (out && step)
			memcpy(out + done, (const uint8_t *)c->iov->iov_base + c->at, step);
		done += step;
		c->at += step;
		if (c->at == c->iov->iov_len) {
			c->iov++;
			c->left--;
			c->at = 0;
		}
	}
	return done;
}

/* What is from there on, in one piece.  Return: bytes of it, no more than are looked at */
static size_t gather(struct cursor c, uint8_t out[DNS_LOOK])
{
	return go_on(&c, DNS_LOOK, out);
}

/* May a client of the DNS have sent it?  If not, it is something else that is sent there. */
static bool is_clients(const uint8_t *msg, size_t len)
{
	return len >= NS_HFIXEDSZ && !(msg[2] & DNS_QR) && !msg[4] && msg[5] <= DNS_QUESTIONS_MAX;
}

/* Messages with their lengths, from the start.  What is no DNS ends them: else bytes of any kind
 * would be taken for lengths.  There is no limit to their number, since nothing may get through
 * unseen and nothing else be refused; each takes a bounded time and DNS_LEN + NS_HFIXEDSZ bytes. */
static bool has_one_about_ours(struct cursor c)
{
	uint8_t head[DNS_LOOK];
	size_t len, message;

	for (;;) {
		len = gather(c, head);
		message = len < DNS_LEN ? 0 : (size_t)head[0] << 8 | head[1];
		if (message < NS_HFIXEDSZ)
			return false;
		len = pn_min(len - DNS_LEN, message);	/* not of the next one */
		if (!is_clients(head + DNS_LEN, len))
			return false;
		if (is_about_ours(head + DNS_LEN, len))
			return true;
		go_on(&c, DNS_LEN + message, NULL);
	}
}

/* An error that somebody took for a length: the kernel refuses it, or sends what memory there is;
 * to look for the end of it would kill the program.  It may have been cut to IO_MAX on the way. */
static bool has_no_end(const struct msghdr *msg)
{
	for (size_t i = 0; i < msg->msg_iovlen; i++) {
		if (msg->msg_iov[i].iov_len >= IO_MAX)
			return true;
	}
	return false;
}

bool dns_is_leak(int fd, const struct sa_dest *dest, const struct msghdr *msg)
{
	struct cursor c = { msg->msg_iov, msg->msg_iovlen, 0 };
	uint8_t head[DNS_LOOK];

	if (!(dest ? is_server(dest) : dns_is_client(fd)) || !shim()->on || !msg->msg_iov ||
	    msg->msg_iovlen > IOV_MAX_SHIM ||	/* which the kernel refuses */
	    has_no_end(msg))
		return false;
	if (!is_about_ours(head, gather(c, head)) && !has_one_about_ours(c))
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
