/* SPDX-License-Identifier: ISC */
/* Calls that send and receive bytes from one buffer. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static char buffer[BUF_MAX];

/* "huge": what a program passes that takes an error for a length */
static size_t length(const char *word)
{
	long n = atol(word);

	if (!strcmp(word, "huge"))
		return (size_t)-1;
	if (n < 0 || n > BUF_MAX)
		die("no length: %s", word);
	return (size_t)n;
}

/* What is sent: the alphabet */
static char *to_send(size_t n)
{
	size_t i;

	for (i = 0; i < n && i < BUF_MAX; i++)
		buffer[i] = (char)('a' + i % 26);
	return buffer;
}

/* What was received: its beginning */
static void say_data(struct out *o, const char *data, ssize_t n, size_t room)
{
	size_t show = n < 0 ? 0 : (size_t)n;

	say_ret(o, n);
	if (show > room)
		show = room;
	if (show)
		say(o, " %.*s%s", show > 8 ? 8 : (int)show, data, show > 8 ? "..." : "");
}

static void *where(const char *word, char *good)
{
	if (!strcmp(word, "null"))
		return NULL;
	return !strcmp(word, "bad") ? (void *)(uintptr_t)1 : good;
}

/* write S N [null|bad] */
static void run_write(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	void *data = where(st->word[3], to_send(n));

	errno = QUIET;
	say_ret(o, write(*slot(st->word[1]), data, n));
}

/* read S N [null|bad] */
static void run_read(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);

	say_data(o, buffer, read(*slot(st->word[1]), where(st->word[3], buffer), n), n);
}

/* Two pieces of N bytes: 1 and the rest; a count other than 2 is passed as it is */
static int pieces(struct iovec iov[2], size_t n, const char *count)
{
	iov[0] = (struct iovec){ buffer, n ? 1 : 0 };
	iov[1] = (struct iovec){ buffer + iov[0].iov_len, n - iov[0].iov_len };
	return *count ? atoi(count) : 2;
}

/* writev S N [COUNT] */
static void run_writev(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	struct iovec iov[2];
	int count = pieces(iov, n, st->word[3]);

	to_send(n);
	errno = QUIET;
	say_ret(o, writev(*slot(st->word[1]), iov, count));
}

/* readv S N [COUNT] */
static void run_readv(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	struct iovec iov[2];
	int count = pieces(iov, n, st->word[3]);

	say_data(o, buffer, readv(*slot(st->word[1]), iov, count), n);
}

/* send S N [FLAGS [null|bad]] */
static void run_send(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	void *data = where(st->word[4], to_send(n));

	errno = QUIET;
	say_ret(o, send(*slot(st->word[1]), data, n, msg_flags_parse(st->word[3])));
}

/* recv S N [FLAGS [null|bad]] */
static void run_recv(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	ssize_t ret = recv(*slot(st->word[1]), where(st->word[4], buffer), n,
			   msg_flags_parse(st->word[3]));

	say_data(o, buffer, ret, n);
}

/* sendto S N FLAGS ADDRESS */
static void run_sendto(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	struct target t;

	to_send(n);
	target_parse(st->word[4], &t);
	errno = QUIET;
	say_ret(o, sendto(*slot(st->word[1]), buffer, n, msg_flags_parse(st->word[3]), t.sa,
			  t.len));
}

/* recvfrom S N FLAGS [LEN|null|nolen|bad] */
static void run_recvfrom(const struct step *st, struct out *o)
{
	struct sockaddr_storage ss = { 0 };
	const char *how = st->word[4];
	bool given = (*how >= '0' && *how <= '9') || *how == '-';
	socklen_t len = given ? (socklen_t)atoi(how) : sizeof(ss);
	struct sockaddr *sa = where(how, (char *)&ss);
	socklen_t *lenp = !strcmp(how, "nolen") || !strcmp(how, "null") ? NULL : &len;
	size_t n = length(st->word[2]);
	socklen_t room = len;
	ssize_t ret = recvfrom(*slot(st->word[1]), buffer, n, msg_flags_parse(st->word[3]), sa,
			       lenp);

	say_data(o, buffer, ret, n);
	if (ret >= 0 && lenp && sa == (struct sockaddr *)&ss) {
		say(o, " from ");
		say_addr(o, &ss, len, room);
	}
}

/* recvall S N : until N bytes, the end or an error; non-blocking or not */
static void run_recvall(const struct step *st, struct out *o)
{
	size_t want = length(st->word[2]), have = 0;
	ssize_t n = 1;

	while (have < want && n > 0) {
		n = recv(*slot(st->word[1]), buffer + have, want - have, 0);
		if (n > 0)
			have += (size_t)n;
	}
	say(o, "%zu", have);
	if (n <= 0)
		say(o, " then ");
	if (n <= 0)
		say_data(o, buffer, n, 0);
}

/* sendfile S N : out of a file of N bytes */
static void run_sendfile(const struct step *st, struct out *o)
{
	size_t n = length(st->word[2]);
	int file = memfd_create("sockdiff", MFD_CLOEXEC);
	off_t at = 0;

	if (file < 0 || write(file, to_send(n), n) != (ssize_t)n)
		die("memfd: %s", error_name(errno));
	errno = QUIET;
	say_ret(o, sendfile(*slot(st->word[1]), file, &at, n));
	close(file);
}

const struct call calls_io[] = {
	{ "write", run_write }, { "read", run_read }, { "writev", run_writev },
	{ "readv", run_readv }, { "send", run_send }, { "recv", run_recv },
	{ "sendto", run_sendto }, { "recvfrom", run_recvfrom }, { "recvall", run_recvall },
	{ "sendfile", run_sendfile }, { NULL, NULL },
};
