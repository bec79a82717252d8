/* SPDX-License-Identifier: ISC */
/* sendmsg(), recvmsg() and those of several messages. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define MANY	4	/* messages at most in one call */
#define EACH	64	/* bytes of each */
#define SHREDS_MAX 1025	/* pieces of a message, one more than Linux takes */

static char data[MANY][EACH];

/* "2+3+0": the lengths of the pieces of a message, all out of one buffer */
static int pieces(const char *word, char *base, struct iovec *iov)
{
	size_t at = 0;
	char *end;
	int n = 0;

	while (*word) {
		size_t len = strtoul(word, &end, 10);

		if (n == MANY || len > EACH - at || end == word)
			die("no pieces: %s", word);
		iov[n++] = (struct iovec){ base + at, len };
		at += len;
		word = *end ? end + 1 : end;
	}
	return n;
}

static void fill_data(void)
{
	size_t i, j;

	for (i = 0; i < MANY; i++) {
		for (j = 0; j < EACH; j++)
			data[i][j] = (char)('a' + (i * 5 + j) % 26);
	}
}

/* sendmsg S PIECES [FLAGS [ADDRESS]] */
static void run_sendmsg(const struct step *st, struct out *o)
{
	struct iovec iov[MANY];
	struct msghdr msg = { .msg_iov = iov };
	struct target t;

	fill_data();
	msg.msg_iovlen = (size_t)pieces(st->word[2], data[0], iov);
	if (st->word[4][0]) {
		target_parse(st->word[4], &t);
		msg.msg_name = (void *)(uintptr_t)t.sa;
		msg.msg_namelen = t.len;
	}
	errno = QUIET;
	say_ret(o, sendmsg(*slot(st->word[1]), &msg, msg_flags_parse(st->word[3])));
}

/* badmsg S send|recv null|bad|iov|base|count|huge|none [ADDRESS] : a msghdr that is wrong */
static void run_badmsg(const struct step *st, struct out *o)
{
	struct iovec iov = { data[0], 3 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool sending = !strcmp(st->word[2], "send");
	const char *what = st->word[3];
	struct msghdr *m = &msg;
	int fd = *slot(st->word[1]);
	struct target t;

	if (st->word[4][0]) {
		target_parse(st->word[4], &t);
		msg.msg_name = (void *)(uintptr_t)t.sa;
		msg.msg_namelen = t.len;
	}
	if (!strcmp(what, "null"))
		m = NULL;
	else if (!strcmp(what, "bad"))
		m = (struct msghdr *)(uintptr_t)1;
	else if (!strcmp(what, "iov"))
		msg.msg_iov = NULL;
	else if (!strcmp(what, "base"))
		iov.iov_base = (void *)(uintptr_t)1;
	else if (!strcmp(what, "count"))
		msg.msg_iovlen = 1025;
	else if (!strcmp(what, "huge"))
		iov.iov_len = (size_t)-1;
	else if (!strcmp(what, "none"))
		msg.msg_iovlen = 0;
	else
		die("no fault: %s", what);
	say_ret(o, sending ? sendmsg(fd, m, MSG_DONTWAIT) : recvmsg(fd, m, MSG_DONTWAIT));
}

/* What is cut off tells no address */
static void say_control(struct out *o, struct msghdr *msg)
{
	struct cmsghdr *c;
	size_t len;

	for (c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		len = (size_t)c->cmsg_len - CMSG_LEN(0);
		say(o, " cmsg %d/%d len=%zu", c->cmsg_level, c->cmsg_type, len);
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO && len >= 20) {
			struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
			struct sockaddr_storage ss = { 0 };

			memcpy(&in6.sin6_addr, CMSG_DATA(c), 16);
			memcpy(&ss, &in6, sizeof(in6));
			say(o, " ");
			say_addr(o, &ss, sizeof(in6), sizeof(in6));
		}
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && len >= 12) {
			struct sockaddr_in in = { .sin_family = AF_INET };
			struct sockaddr_storage ss = { 0 };

			memcpy(&in.sin_addr, CMSG_DATA(c) + 8, 4);
			memcpy(&ss, &in, sizeof(in));
			say(o, " ");
			say_addr(o, &ss, sizeof(in), sizeof(in));
		}
		say(o, " of %zu", (size_t)msg->msg_controllen);
	}
}

static void say_message(struct out *o, struct msghdr *msg, ssize_t n, const char *bytes,
			socklen_t name_room)
{
	size_t room = 0, i;

	for (i = 0; i < msg->msg_iovlen; i++)
		room += msg->msg_iov[i].iov_len;
	if ((size_t)n < room)
		room = (size_t)n;
	say(o, " \"%.*s\"", room > 8 ? 8 : (int)room, bytes);
	say(o, " flags=");
	say_msg_flags(o, msg->msg_flags & ~MSG_CMSG_CLOEXEC);
	if (msg->msg_name) {
		say(o, " from ");
		say_addr(o, msg->msg_name, msg->msg_namelen, name_room);
	} else {
		say(o, " namelen=%u", (unsigned int)msg->msg_namelen);
	}
	say_control(o, msg);
}

/* recvmsg S PIECES [FLAGS [NAME-LENGTH|- [CONTROL-LENGTH]]] */
static void run_recvmsg(const struct step *st, struct out *o)
{
	struct sockaddr_storage ss = { 0 };
	union {
		struct cmsghdr align;
		char bytes[256];
	} control;
	struct iovec iov[MANY];
	struct msghdr msg = { .msg_iov = iov, .msg_flags = 0x77 };
	socklen_t room;
	ssize_t ret;

	memset(data, '.', sizeof(data));
	msg.msg_iovlen = (size_t)pieces(st->word[2], data[0], iov);
	if (st->word[4][0] && strcmp(st->word[4], "-") != 0) {
		msg.msg_name = &ss;
		msg.msg_namelen = (socklen_t)atoi(st->word[4]);
	}
	if (st->word[5][0]) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = strtoul(st->word[5], NULL, 10);
	}
	room = msg.msg_namelen;
	ret = recvmsg(*slot(st->word[1]), &msg, msg_flags_parse(st->word[3]));
	say_ret(o, ret);
	if (ret >= 0)
		say_message(o, &msg, ret, data[0], room);
}

static unsigned int many(struct mmsghdr *all, struct iovec *iov, const char *sizes)
{
	unsigned int n = (unsigned int)pieces(sizes, data[0], iov), i;

	memset(all, 0, MANY * sizeof(*all));
	for (i = 0; i < n; i++) {
		iov[i].iov_base = data[i];
		all[i].msg_hdr.msg_iov = &iov[i];
		all[i].msg_hdr.msg_iovlen = 1;
		all[i].msg_len = 77;
	}
	return n;
}

/* sendmmsg S SIZES [FLAGS [ADDRESS]] : a message of each size */
static void run_sendmmsg(const struct step *st, struct out *o)
{
	struct mmsghdr all[MANY];
	struct iovec iov[MANY];
	unsigned int n = many(all, iov, st->word[2]), i;
	struct target t;
	int ret;

	fill_data();
	if (st->word[4][0])
		target_parse(st->word[4], &t);
	for (i = 0; i < n && st->word[4][0]; i++) {
		all[i].msg_hdr.msg_name = (void *)(uintptr_t)t.sa;
		all[i].msg_hdr.msg_namelen = t.len;
	}
	errno = QUIET;
	ret = sendmmsg(*slot(st->word[1]), all, n, msg_flags_parse(st->word[3]));
	say_ret(o, ret);
	for (i = 0; ret > 0 && i < (unsigned int)ret; i++)
		say(o, " %u", all[i].msg_len);
}

/* recvmmsg S SIZES [FLAGS [now]] : "now" with a timeout of 0 */
static void run_recvmmsg(const struct step *st, struct out *o)
{
	struct timespec now = { 0 };
	struct mmsghdr all[MANY];
	struct iovec iov[MANY];
	unsigned int n, i;
	int ret;

	memset(data, '.', sizeof(data));
	n = many(all, iov, st->word[2]);
	ret = recvmmsg(*slot(st->word[1]), all, n, msg_flags_parse(st->word[3]),
		       st->word[4][0] ? &now : NULL);
	say_ret(o, ret);
	for (i = 0; ret > 0 && i < (unsigned int)ret; i++) {
		say(o, " %u %.*s flags=", all[i].msg_len, all[i].msg_len > 8 ? 8 :
		    (int)all[i].msg_len, data[i]);
		say_msg_flags(o, all[i].msg_hdr.msg_flags);
	}
}

/* COUNT pieces of 3 bytes, but for each third, which is empty */
static size_t shreds(char *base, struct iovec iov[SHREDS_MAX], size_t count)
{
	size_t at = 0, i;

	if (count > SHREDS_MAX)
		die("too many: %zu", count);
	for (i = 0; i < count; i++) {
		iov[i] = (struct iovec){ base + at, i % 3 == 2 ? 0 : 3 };
		at += iov[i].iov_len;
	}
	return at;
}

/* sendshreds S COUNT */
static void run_sendshreds(const struct step *st, struct out *o)
{
	static struct iovec iov[SHREDS_MAX];
	static char all[SHREDS_MAX * 3];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = strtoul(st->word[2], NULL, 10) };
	size_t len = shreds(all, iov, msg.msg_iovlen), i;

	for (i = 0; i < len; i++)
		all[i] = (char)('a' + i * 7 % 26);
	errno = QUIET;
	say_ret(o, sendmsg(*slot(st->word[1]), &msg, MSG_DONTWAIT));
}

/* recvshreds S COUNT [FLAGS] */
static void run_recvshreds(const struct step *st, struct out *o)
{
	static struct iovec iov[SHREDS_MAX];
	static char all[SHREDS_MAX * 3];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = strtoul(st->word[2], NULL, 10) };
	size_t len = shreds(all, iov, msg.msg_iovlen);
	ssize_t ret;

	memset(all, '.', sizeof(all));
	ret = recvmsg(*slot(st->word[1]), &msg, msg_flags_parse(st->word[3]) | MSG_DONTWAIT);
	say_ret(o, ret);
	if (ret < 0)
		return;
	say(o, " %.4s...%.4s flags=", all, len < 4 ? all : all + len - 4);
	say_msg_flags(o, msg.msg_flags);
}

const struct call calls_msg[] = {
	{ "sendmsg", run_sendmsg }, { "recvmsg", run_recvmsg }, { "badmsg", run_badmsg },
	{ "sendmmsg", run_sendmmsg }, { "recvmmsg", run_recvmmsg },
	{ "sendshreds", run_sendshreds }, { "recvshreds", run_recvshreds }, { NULL, NULL },
};
