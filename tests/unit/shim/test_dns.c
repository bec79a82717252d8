/* SPDX-License-Identifier: ISC */
/* Questions to the DNS out of programs that have a resolver of their own. */
#include "fake.h"
#include "tests/unit/unit.h"

#include "libpeernet/base/bytes.h"
#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/limits.h"
#include "shim/libpnpreload/names.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOM	16384
#define FD	901	/* not open, and none of ours */
#define PIECES	64
#define MANY	500	/* messages in one write */
#define BULK	(1u << 20)

static const struct sa_dest server = { .kind = SA_KERNEL, .port = 53 };

/* --- messages ----------------------------------------------------------------------------- */

/* A question as a datagram; @flags: the third and fourth byte */
static void put_question(struct pn_wr *w, const char *name, uint16_t flags)
{
	uint8_t wire[NS_MAXCDNAME];
	const unsigned char *end = wire;

	PN_ASSERT(ns_name_pton(name, wire, sizeof(wire)) >= 0);
	PN_ASSERT(!ns_name_skip(&end, wire + sizeof(wire)));
	pn_wr_u16(w, 7);
	pn_wr_u16(w, flags);
	pn_wr_u64(w, 1ULL << 48);	/* one question, and nothing else */
	pn_wr_bytes(w, wire, (size_t)(end - wire));
	pn_wr_u32(w, ns_t_aaaa << 16 | ns_c_in);
}

/* The same on a stream */
static void put_framed(struct pn_wr *w, const char *name)
{
	size_t mark = pn_wr_open16(w);

	put_question(w, name, 0x0100);
	pn_wr_close16(w, mark);
}

static bool is_leak(const uint8_t *buf, size_t len)
{
	uint8_t *copy = unit_copy(buf, len);
	struct iovec iov = { copy, len };
	const struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool leak = dns_is_leak(FD, &server, &msg);

	free(copy);
	return leak;
}

/* In pieces of @first bytes, then of @size, each for itself, and an empty one between all */
static bool is_leak_cut(const uint8_t *buf, size_t len, size_t first, size_t size)
{
	struct iovec iov[PIECES] = { { NULL, 0 } };
	struct msghdr msg = { .msg_iov = iov };
	size_t n, at, count = 0;
	bool leak;

	for (at = 0; at < len; at += n) {
		n = pn_min(len - at, at || !first ? size : first);
		if (count + 3 > PIECES)
			n = len - at;
		iov[count++] = (struct iovec){ unit_copy(buf + at, n), n };
		iov[count++] = (struct iovec){ NULL, 0 };
	}
	msg.msg_iovlen = count;
	leak = dns_is_leak(FD, &server, &msg);
	for (n = 0; n < count; n++)
		free(iov[n].iov_base);
	return leak;
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_whose(void)
{
	static const struct {
		const char *name;
		uint16_t flags;
		bool leak;
	} cases[] = {
		{ "website.pn.alt", 0x0100, true }, { "a.B.PN.alt", 0x0000, true },
		{ "pn.alt", 0x0100, true }, { "1.18.198.in-addr.arpa", 0x0100, true },
		{ "f.2.0.0.1.0.0.2.ip6.arpa", 0x0100, true }, { "w\\255.pn.alt", 0x0100, true },
		{ "a\\.b.pn.alt", 0x0100, true }, { "\\000.pn.alt", 0x0100, true },
		{ "example.org", 0x0100, false }, { "pn.alt.org", 0x0100, false },
		{ "xpn.alt", 0x0100, false }, { "", 0x0100, false },
		{ "pn.alt\\000", 0x0100, false }, { "p\\010n.alt", 0x0100, false },
		{ "website.pn.alt", 0x8180, false },	/* an answer */
		{ "website.pn.alt", 0x2800, false },	/* an update */
	};
	uint8_t buf[ROOM];
	struct pn_wr w;

	for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
		pn_wr_init(&w, buf, sizeof(buf));
		put_question(&w, cases[i].name, cases[i].flags);
		CU_ASSERT(pn_wr_ok(&w));
		CU_ASSERT_EQUAL(is_leak(buf, w.len), cases[i].leak);
	}
	fake_reset();
	shim()->on = false;
	pn_wr_init(&w, buf, sizeof(buf));
	put_question(&w, FAKE_NAME, 0);
	CU_ASSERT(!is_leak(buf, w.len));
	fake_reset();
	shim()->only = true;
	pn_wr_init(&w, buf, sizeof(buf));
	put_question(&w, "example.org", 0);
	CU_ASSERT(is_leak(buf, w.len));
	fake_reset();
}

/* Which sockets and addresses are the DNS's */
static void test_where(void)
{
	static const struct sa_dest others[] = {
		{ .kind = SA_KERNEL, .port = 5353 }, { .kind = SA_PEERNET, .port = 53 },
		{ .kind = SA_UNSPEC, .port = 53 },
	}, wildcard = { .kind = SA_WILDCARD, .port = 53 };
	static uint8_t buf[ROOM];
	struct iovec iov = { buf, 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	put_question(&w, FAKE_NAME, 0);
	iov.iov_len = w.len;
	CU_ASSERT(dns_is_leak(FD, &wildcard, &msg));
	CU_ASSERT(!dns_is_leak(FD, NULL, &msg));
	for (size_t i = 0; i < PN_ARRAY_LEN(others); i++) {
		CU_ASSERT(!dns_is_leak(FD, &others[i], &msg));
		dns_connected(FD, &server);
		CU_ASSERT(dns_is_leak(FD, NULL, &msg));
		CU_ASSERT(dns_buf_is_leak(FD, buf, w.len));
		CU_ASSERT(!dns_is_client(FD - 1) && !dns_is_client(FD + 1));
		dns_dup(FD, FD + 1);
		dns_connected(FD, &others[i]);
		CU_ASSERT(!dns_buf_is_leak(FD, buf, w.len));
		CU_ASSERT(dns_buf_is_leak(FD + 1, buf, w.len));
		dns_dup(FD, FD + 1);
		CU_ASSERT(!dns_is_client(FD + 1));
	}
	dns_connected(-1, &server);
	dns_connected((int)FD_MAX, &server);
	CU_ASSERT(!dns_is_client(-1) && !dns_is_client((int)FD_MAX) && !dns_is_client(INT32_MAX));
	msg.msg_iov = NULL;
	CU_ASSERT(!dns_is_leak(FD, &server, &msg));
	msg.msg_iovlen = 0;
	CU_ASSERT(!dns_is_leak(FD, &server, &msg));
}

static int open_client(void)
{
	int fd = dup(0);

	PN_ASSERT(fd >= 0);
	dns_connected(fd, &server);
	return fd;
}

/* What gets the number next is not connected to the DNS */
static void test_closed(void)
{
	int fd = open_client();

	CU_ASSERT(!close(fd));
	CU_ASSERT(!dns_is_client(fd));
	CU_ASSERT(open_client() == fd);
	CU_ASSERT(!syscall(SYS_close, fd));
	CU_ASSERT(!dns_is_client(fd));
	CU_ASSERT(open_client() == fd);
	CU_ASSERT(!fclose(fdopen(fd, "r")));
	CU_ASSERT(!dns_is_client(fd));
	dns_connected(FD - 1, &server);
	dns_connected(FD, &server);
	dns_connected(FD + 40, &server);
	dns_connected(FD + 41, &server);
	CU_ASSERT(!close_range(FD, FD + 40, CLOSE_RANGE_CLOEXEC));
	CU_ASSERT(dns_is_client(FD));
	CU_ASSERT(!close_range(FD, FD + 40, 0));
	CU_ASSERT(dns_is_client(FD - 1) && dns_is_client(FD + 41));
	CU_ASSERT(!dns_is_client(FD) && !dns_is_client(FD + 40));
	dns_connected((int)FD_MAX - 1, &server);
	closefrom(FD - 1);
	CU_ASSERT(!dns_is_client(FD - 1) && !dns_is_client(FD + 41));
	CU_ASSERT(!dns_is_client((int)FD_MAX - 1));
}

/* @count messages on a stream; the one at @at is about a name of ours.  Return: bytes */
static size_t stream_of(uint8_t buf[ROOM], size_t count, size_t at)
{
	struct pn_wr w;

	pn_wr_init(&w, buf, ROOM);
	for (size_t i = 0; i < count; i++)
		put_framed(&w, i == at ? "website.pn.alt" : "a.example");
	PN_ASSERT(pn_wr_ok(&w));
	return w.len;
}

static void test_several(void)
{
	static uint8_t buf[ROOM];
	size_t count, at;

	for (count = 1; count < 8; count++) {
		CU_ASSERT(!is_leak(buf, stream_of(buf, count, count)));
		for (at = 0; at < count; at++)
			CU_ASSERT(is_leak(buf, stream_of(buf, count, at)));
	}
	/* Nobody asks so much at once, but it is looked at all the same */
	CU_ASSERT(!is_leak(buf, stream_of(buf, MANY, MANY)));
	CU_ASSERT(is_leak(buf, stream_of(buf, MANY, MANY - 1)));
	/* What is no DNS, of whatever length, is not refused */
	memset(buf, 0, sizeof(buf));
	CU_ASSERT(!is_leak(buf, sizeof(buf)));
	memset(buf, 'G', sizeof(buf));
	CU_ASSERT(!is_leak(buf, sizeof(buf)));
}

/* Other things are sent to port 53, too, and files that are no sockets are taken for such: whatever
 * lengths their bytes may be taken for, they are not refused. */
static void test_bulk(void)
{
	static const uint8_t words[][2] = { { 0, 0 }, { 1, 1 }, { 0, 0x20 }, { 0x20, 0 }, { 0, 12 },
					    { 'G', 'G' }, { 0xff, 0xff } };
	static uint8_t buf[BULK];
	uint64_t seed = 1;
	size_t i, k;

	for (k = 0; k < PN_ARRAY_LEN(words); k++) {
		for (i = 0; i < BULK; i++)
			buf[i] = words[k][i % 2];
		CU_ASSERT(!is_leak(buf, BULK));
		CU_ASSERT(!is_leak(buf + 1, BULK - 1));
	}
	for (i = 0; i < BULK; i++)
		buf[i] = (uint8_t)unit_random(&seed);
	for (i = 0; i < 1000; i++)
		CU_ASSERT(!is_leak(buf + i, BULK / 16));
	CU_ASSERT(!is_leak(buf, BULK));
	/* with lengths of 12 bytes, as the DNS has them */
	for (i = 0; i + 14 <= BULK; i += 14) {
		memset(buf + i, 0, 14);
		buf[i + 1] = 12;
	}
	CU_ASSERT(!is_leak(buf, BULK));
}

static void test_pieces(void)
{
	static uint8_t buf[ROOM];
	size_t len, at, first, size;

	for (at = 0; at <= 3; at++) {	/* 3: none */
		len = stream_of(buf, 3, at);
		for (first = 0; first <= len; first++) {
			for (size = 1; size < 30; size += 7)
				CU_ASSERT_EQUAL(is_leak_cut(buf, len, first, size), at < 3);
		}
	}
}

/* What is there of a message is looked at, and nothing behind it */
static void test_cut(void)
{
	static uint8_t buf[ROOM];
	size_t len, least, n, at;
	struct pn_wr w;

	for (at = 0; at < 3; at++) {
		least = stream_of(buf, at + 1, at) - NS_QFIXEDSZ;
		len = stream_of(buf, 3, at);
		for (n = 0; n <= len; n++)
			CU_ASSERT_EQUAL(is_leak(buf, n), n >= least);
	}
	pn_wr_init(&w, buf, sizeof(buf));
	put_question(&w, FAKE_NAME, 0);
	for (n = 0; n <= w.len; n++)
		CU_ASSERT_EQUAL(is_leak(buf, n), n >= w.len - NS_QFIXEDSZ);
}

/* What a message lacks is not taken from the next one */
static void test_short(void)
{
	static uint8_t buf[ROOM];
	struct pn_wr w;
	size_t mark, n;

	pn_wr_init(&w, buf, sizeof(buf));
	mark = pn_wr_open16(&w);
	put_question(&w, "website.pn.alt", 0x0100);
	pn_wr_close16(&w, mark);
	/* bytes of the question that are in the message */
	for (n = 0; n <= 20; n++) {
		buf[1] = (uint8_t)(NS_HFIXEDSZ + n);
		CU_ASSERT_EQUAL(is_leak(buf, w.len), n >= 16);
	}
}

/* Bytes that are changed or cut at random: in one piece and in several it is the same */
static void test_random(void)
{
	static uint8_t buf[ROOM];
	uint64_t seed = 53;
	unsigned int leaks = 0;
	size_t len, i, runs;
	bool leak;

	for (runs = 0; runs < 20000; runs++) {
		len = stream_of(buf, 1 + unit_random(&seed) % 6, unit_random(&seed) % 8);
		for (i = unit_random(&seed) % 4; i; i--)
			buf[unit_random(&seed) % len] = (uint8_t)unit_random(&seed);
		len -= unit_random(&seed) % 20;
		leak = is_leak(buf, len);
		leaks += leak;
		if (is_leak_cut(buf, len, unit_random(&seed) % 40, 1 + unit_random(&seed) % 40) !=
		    leak)
			CU_FAIL_FATAL("pieces make a difference");
	}
	CU_ASSERT(leaks > 1000 && leaks < 19000);
}

/* --- the calls -------------------------------------------------------------------------------- */

static size_t below_count;	/* calls that got there */

static ssize_t below_write(int fd, const void *buf, size_t n)
{
	(void)fd;
	(void)buf;
	below_count++;
	return (ssize_t)n;
}

static ssize_t below_writev(int fd, const struct iovec *iov, int count)
{
	(void)fd;
	(void)iov;
	(void)count;
	below_count++;
	return 1;
}

static ssize_t below_send(int fd, const void *buf, size_t n, int flags)
{
	(void)flags;
	return below_write(fd, buf, n);
}

static ssize_t below_sendto(int fd, const void *buf, size_t n, int flags,
			    const struct sockaddr *to, socklen_t len)
{
	(void)flags;
	(void)to;
	(void)len;
	return below_write(fd, buf, n);
}

static ssize_t below_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	(void)flags;
	return below_writev(fd, msg->msg_iov, (int)msg->msg_iovlen);
}

static int below_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int count, int flags)
{
	(void)fd;
	(void)msgs;
	(void)flags;
	below_count++;
	return (int)count;
}

/* Return: calls that were refused */
static unsigned int send_all_ways(uint8_t *buf, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(0x7f000035) };
	struct iovec iov[2] = { { buf, 5 }, { buf + 5, len - 5 } };
	struct mmsghdr msgs[2] = { { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 0 } },
				   { .msg_hdr = { .msg_iov = iov, .msg_iovlen = 2 } } };
	unsigned int refused = 0;

#define TRY(call_) (errno = 0, refused += (call_) < 0 && errno == ECONNREFUSED)
	TRY(write(FD, buf, len));
	TRY(writev(FD, iov, 2));
	TRY(send(FD, buf, len, MSG_NOSIGNAL));
	TRY(sendto(FD, buf, len, 0, NULL, 0));
	TRY(sendto(FD + 1, buf, len, 0, (struct sockaddr *)&to, sizeof(to)));
	TRY(sendmsg(FD, &msgs[1].msg_hdr, 0));
	TRY(sendmmsg(FD, &msgs[1], 1, 0));
	TRY(syscall(SYS_write, FD, buf, len));
	TRY(syscall(SYS_writev, FD, iov, 2));
	TRY(syscall(SYS_sendto, FD, buf, len, 0, NULL, 0));
	msgs[1].msg_hdr.msg_name = &to;
	msgs[1].msg_hdr.msg_namelen = sizeof(to);
	TRY(sendmsg(FD + 1, &msgs[1].msg_hdr, 0));
	/* The first one is sent */
	refused += sendmmsg(FD + 1, msgs, 2, 0) == 1;
#undef TRY
	return refused;
}

static void fake_sends(void)
{
	struct shim_real *below = fake_below();

	below->write = below_write;
	below->writev = below_writev;
	below->send = below_send;
	below->sendto = below_sendto;
	below->sendmsg = below_sendmsg;
	below->sendmmsg = below_sendmmsg;
	below_count = 0;
}

static void test_calls(void)
{
	static uint8_t buf[ROOM];

	fake_sends();
	dns_connected(FD, &server);
	CU_ASSERT_EQUAL(send_all_ways(buf, stream_of(buf, 4, 2)), 12);
	CU_ASSERT_EQUAL(below_count, 1);
	CU_ASSERT_EQUAL(send_all_ways(buf, stream_of(buf, 4, 4)), 0);
	CU_ASSERT_EQUAL(below_count, 13);
	dns_connected(FD, &(struct sa_dest){ .kind = SA_UNSPEC });
	fake_reset();
}

/* TCP Fast Open connects with the first bytes */
static void test_fast_open(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(0x7f000035) };
	uint8_t first[64], second[64];
	struct iovec iov[2] = { { first, 0 }, { second, 0 } };
	struct mmsghdr msgs[2] = { { .msg_hdr = { &to, sizeof(to), &iov[0], 1, NULL, 0, 0 } },
				   { .msg_hdr = { NULL, 0, &iov[1], 1, NULL, 0, 0 } } };
	struct pn_wr w;

	pn_wr_init(&w, first, sizeof(first));
	put_framed(&w, "a.example");
	iov[0].iov_len = w.len;
	pn_wr_init(&w, second, sizeof(second));
	put_framed(&w, "website.pn.alt");
	iov[1].iov_len = w.len;
	fake_sends();
	CU_ASSERT(sendto(FD, first, iov[0].iov_len, 0, (struct sockaddr *)&to, sizeof(to)) > 0);
	CU_ASSERT(!dns_is_client(FD));
	CU_ASSERT(sendto(FD, first, iov[0].iov_len, MSG_FASTOPEN, (struct sockaddr *)&to,
			 sizeof(to)) > 0);
	CU_ASSERT(send(FD, second, iov[1].iov_len, 0) < 0 && errno == ECONNREFUSED);
	CU_ASSERT_EQUAL(below_count, 2);
	dns_forget(FD, FD);
	CU_ASSERT_EQUAL(sendmmsg(FD, msgs, 2, MSG_FASTOPEN), 1);
	CU_ASSERT_EQUAL(below_count, 3);
	dns_forget(FD, FD);
	fake_reset();
}

/* What a program has for a length after an error is the kernel's to refuse */
static void test_no_length(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(53),
				  .sin_addr.s_addr = htonl(0x7f000035) };
	static const size_t lengths[] = { SIZE_MAX, (size_t)SSIZE_MAX + 1, SSIZE_MAX, IO_MAX };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	struct msghdr msg = { 0 };
	uint8_t *buf;

	/* one byte, and no memory behind it */
	PN_ASSERT(map != MAP_FAILED);
	PN_ASSERT(!mprotect(map + page, page, PROT_NONE));
	buf = map + page - 1;
	fake_sends();
	dns_connected(FD, &server);
	for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++) {
		struct iovec iov[2] = { { buf, 1 }, { buf, lengths[i] } };

		msg.msg_iov = iov;
		msg.msg_iovlen = 2;
		below_count = 0;
		write(FD, buf, lengths[i]);
		writev(FD, iov, 2);
		send(FD, buf, lengths[i], 0);
		sendto(FD, buf, lengths[i], 0, NULL, 0);
		sendto(FD + 1, buf, lengths[i], 0, (struct sockaddr *)&to, sizeof(to));
		sendmsg(FD, &msg, 0);
		syscall(SYS_write, FD, buf, lengths[i]);
		CU_ASSERT_EQUAL(below_count, 7);
	}
	munmap(map, 2 * page);
	dns_connected(FD, &(struct sa_dest){ .kind = SA_UNSPEC });
	fake_reset();
}

static CU_TestInfo tests[] = {
	{ "whose name is asked for", test_whose },
	{ "where it goes", test_where },
	{ "what is closed", test_closed },
	{ "several in one write", test_several },
	{ "bytes of other kinds", test_bulk },
	{ "in pieces", test_pieces },
	{ "cut at each byte", test_cut },
	{ "a message that is too short", test_short },
	{ "random changes", test_random },
	{ "all calls that send", test_calls },
	{ "TCP Fast Open", test_fast_open },
	{ "errors for lengths", test_no_length },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_shim_dns = { .pName = "shim DNS", .pTests = tests };
