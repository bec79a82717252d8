/* SPDX-License-Identifier: ISC */
/* Datagrams between a program and the daemon, in any number of pieces. */
#include "tests/unit/unit.h"

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"
#include "libpeernet/client.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EACH	7	/* bytes of a piece */

static struct pn_client client = PN_CLIENT_INIT;
static const struct pn_wire_dgram head = { .port = 80, .hit = { 0x20, 0x01, 0x00, 0x21 } };
static uint8_t bytes[PN_CLIENT_IOV_MAX * EACH];
static int ours, daemons;

static void set_up(void)
{
	int ends[2];
	size_t i;

	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	ours = ends[0];
	daemons = ends[1];
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 11 + i / 256);
}

static void tear_down(void)
{
	close(ours);
	close(daemons);
}

/* Pieces of 7 bytes, but for each third, which is empty.  Return: bytes of all */
static size_t cut(uint8_t *from, struct iovec *iov, size_t count)
{
	size_t at = 0, i;

	for (i = 0; i < count; i++) {
		iov[i] = (struct iovec){ from + at, i % 3 == 2 ? 0 : EACH };
		at += iov[i].iov_len;
	}
	return at;
}

static const size_t counts[] = { 0, 1, 2, 63, 64, 65, 1000, 1023, 1024 };

static void test_send_pieces(void)
{
	static uint8_t got[PN_WIRE_DGRAM_LEN + sizeof(bytes)];
	struct iovec iov[PN_CLIENT_IOV_MAX + 1];
	struct pn_wire_dgram to;
	size_t i, len;

	set_up();
	for (i = 0; i < PN_ARRAY_LEN(counts); i++) {
		len = cut(bytes, iov, counts[i]);
		CU_ASSERT_EQUAL(pn_client_dgram_send(&client, ours, &head, iov, counts[i], 0),
				(ssize_t)len);
		CU_ASSERT_EQUAL(recv(daemons, got, sizeof(got), MSG_DONTWAIT),
				(ssize_t)(PN_WIRE_DGRAM_LEN + len));
		CU_ASSERT_EQUAL(pn_wire_dgram_parse(got, PN_WIRE_DGRAM_LEN, &to), 0);
		CU_ASSERT_EQUAL(to.port, head.port);
		CU_ASSERT(!memcmp(got + PN_WIRE_DGRAM_LEN, bytes, len));
	}
	CU_ASSERT_EQUAL(pn_client_dgram_send(&client, ours, &head, iov, 1025, 0), -EMSGSIZE);
	tear_down();
}

static void give(size_t len)
{
	static uint8_t all[PN_WIRE_DGRAM_LEN + sizeof(bytes)];

	pn_wire_dgram_build(&head, all);
	memcpy(all + PN_WIRE_DGRAM_LEN, bytes, len);
	CU_ASSERT_EQUAL(send(daemons, all, PN_WIRE_DGRAM_LEN + len, 0),
			(ssize_t)(PN_WIRE_DGRAM_LEN + len));
}

/* A datagram of @len bytes into @count pieces */
static void check_recv(size_t count, size_t len, int flags)
{
	struct iovec iov[PN_CLIENT_IOV_MAX];
	struct pn_wire_dgram from = { 0 };
	uint8_t *room = malloc(sizeof(bytes));
	size_t fits = cut(room, iov, count);
	int told = 77;

	give(len);
	memset(room, 0x55, sizeof(bytes));
	if (flags & MSG_PEEK)
		CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, count, flags,
						     &told), (ssize_t)pn_min(len, fits));
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, count, flags & ~MSG_PEEK,
					     &told),
			(ssize_t)(flags & MSG_TRUNC ? len : pn_min(len, fits)));
	CU_ASSERT_EQUAL(told, len > fits ? MSG_TRUNC : 0);
	CU_ASSERT_EQUAL(from.port, head.port);
	CU_ASSERT(!memcmp(room, bytes, pn_min(len, fits)));
	CU_ASSERT(len >= fits || room[len] == 0x55);
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, count, MSG_DONTWAIT,
					     &told), -EAGAIN);
	free(room);
}

static void test_recv_pieces(void)
{
	struct iovec iov[PN_CLIENT_IOV_MAX + 1];
	struct pn_wire_dgram from;
	size_t i, fits;

	set_up();
	for (i = 0; i < PN_ARRAY_LEN(counts); i++) {
		fits = cut(bytes, iov, counts[i]);
		check_recv(counts[i], fits, 0);
		check_recv(counts[i], fits / 2, 0);
		check_recv(counts[i], fits + 1, 0);
		check_recv(counts[i], fits + 1, MSG_TRUNC);
		check_recv(counts[i], fits, MSG_PEEK);
	}
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, 1025, 0, NULL), -EMSGSIZE);
	tear_down();
}

/* Programs that know the data to be short say any length */
static void test_lengths(void)
{
	struct pn_wire_dgram from;
	uint8_t room[2][100];
	struct iovec iov[2] = { { room[0], SSIZE_MAX }, { room[1], SSIZE_MAX } };
	size_t count;

	set_up();
	for (count = 1; count <= 2; count++) {
		give(100);
		CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, count, 0, NULL),
				100);
		CU_ASSERT(!memcmp(room[0], bytes, 100));
		CU_ASSERT_EQUAL(pn_client_dgram_send(&client, ours, &head, iov, count, 0),
				-EMSGSIZE);
	}
	iov[1].iov_len++;
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, iov, 2, 0, NULL), -EINVAL);
	CU_ASSERT_EQUAL(pn_client_dgram_send(&client, ours, &head, iov, 2, 0), -EINVAL);
	tear_down();
}

static void refuse(void)
{
	struct pn_wire_dgram error = { .flags = PN_DGRAM_F_ERROR };
	uint8_t all[PN_WIRE_DGRAM_LEN];

	pn_wire_dgram_build(&error, all);
	CU_ASSERT_EQUAL(send(daemons, all, sizeof(all), 0), sizeof(all));
}

/* Another thread takes what has just been looked at */
static void steal(int fd, int flags)
{
	char byte;

	if (flags & MSG_PEEK)
		recv(fd, &byte, 1, MSG_DONTWAIT);
}

static ssize_t stolen_recv(int fd, void *buf, size_t len, int flags)
{
	ssize_t n = recv(fd, buf, len, flags);

	steal(fd, flags);
	return n;
}

static ssize_t stolen_recvmsg(int fd, struct msghdr *msg, int flags)
{
	ssize_t n = recvmsg(fd, msg, flags);

	steal(fd, flags);
	return n;
}

static void test_refused(void)
{
	struct pn_client_sys sys = pn_client_libc;
	struct iovec iov = { bytes, sizeof(bytes) };
	struct pn_client others;
	struct pn_wire_dgram from;

	set_up();
	CU_ASSERT(!pn_client_dgram_refused(&client, ours));
	refuse();
	give(3);
	CU_ASSERT(pn_client_dgram_refused(&client, ours));
	CU_ASSERT(!pn_client_dgram_refused(&client, ours));
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, &iov, 1, 0, NULL), 3);
	refuse();
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&client, ours, &from, &iov, 1, MSG_PEEK, NULL),
			-ECONNREFUSED);
	/* who has not got it does not tell it */
	sys.recv = stolen_recv;
	sys.recvmsg = stolen_recvmsg;
	pn_client_init(&others, &sys);
	refuse();
	CU_ASSERT(!pn_client_dgram_refused(&others, ours));
	refuse();
	CU_ASSERT_EQUAL(pn_client_dgram_recv(&others, ours, &from, &iov, 1,
					     MSG_PEEK | MSG_DONTWAIT, NULL), -EAGAIN);
	tear_down();
}

static CU_TestInfo tests[] = {
	{ "a datagram out of many pieces", test_send_pieces },
	{ "a datagram into many pieces", test_recv_pieces },
	{ "lengths that are beyond all bounds", test_lengths },
	{ "nobody listens, and two threads hear of it", test_refused },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_client;
CU_SuiteInfo suite_client = {
	.pName = "client",
	.pTests = tests,
};
