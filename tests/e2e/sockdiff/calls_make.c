/* SPDX-License-Identifier: ISC */
/* Calls that make sockets, join them, name them and end them. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* socket S tcp|udp [nonblock] [cloexec] [proto] */
static void run_socket(const struct step *st, struct out *o)
{
	bool tcp = !strcmp(st->word[2], "tcp");
	int type = tcp ? SOCK_STREAM : SOCK_DGRAM, protocol = 0;
	int domain = me.family == FAMILY_4 ? AF_INET : AF_INET6;
	int *fd = slot(st->word[1]);
	size_t i;

	for (i = 3; i < st->count; i++) {
		if (!strcmp(st->word[i], "nonblock"))
			type |= SOCK_NONBLOCK;
		else if (!strcmp(st->word[i], "cloexec"))
			type |= SOCK_CLOEXEC;
		else
			protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
	}
	*fd = socket(domain, type, protocol);
	say_ok(o, *fd);
}

/* badsocket DOMAIN TYPE PROTOCOL */
static void run_badsocket(const struct step *st, struct out *o)
{
	int fd = socket(atoi(st->word[1]), atoi(st->word[2]), atoi(st->word[3]));

	say_ok(o, fd);
	if (fd >= 0)
		close(fd);
}

static void run_connect(const struct step *st, struct out *o)
{
	struct target t;

	target_parse(st->word[2], &t);
	say_ok(o, connect(*slot(st->word[1]), t.sa, t.len));
}

static void run_bind(const struct step *st, struct out *o)
{
	struct target t;

	target_parse(st->word[2], &t);
	say_ok(o, bind(*slot(st->word[1]), t.sa, t.len));
}

static void run_listen(const struct step *st, struct out *o)
{
	say_ok(o, listen(*slot(st->word[1]), atoi(st->word[2])));
}

/* accept L S [LEN|null|bad] : accept L into S, with room for LEN bytes of address */
static void run_accept(const struct step *st, struct out *o)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = st->word[3][0] ? (socklen_t)atoi(st->word[3]) : sizeof(ss);
	bool null = !strcmp(st->word[3], "null"), bad = !strcmp(st->word[3], "bad");
	struct sockaddr *sa = null ? NULL : bad ? (struct sockaddr *)(uintptr_t)1 :
			      (struct sockaddr *)&ss;
	socklen_t room;
	int *fd = slot(st->word[2]);

	if (bad)
		len = sizeof(ss);
	room = len;
	*fd = accept(*slot(st->word[1]), sa, null ? NULL : &len);
	say_ok(o, *fd);
	if (*fd >= 0 && !null && !bad) {
		say(o, " ");
		say_addr(o, &ss, len, room);
	}
}

/* accept4 L S nonblock|cloexec|bogus */
static void run_accept4(const struct step *st, struct out *o)
{
	int *fd = slot(st->word[2]), flags = 1;

	if (!strcmp(st->word[3], "nonblock"))
		flags = SOCK_NONBLOCK;
	else if (!strcmp(st->word[3], "cloexec"))
		flags = SOCK_CLOEXEC;
	*fd = accept4(*slot(st->word[1]), NULL, NULL, flags);
	say_ok(o, *fd);
}

/* name S [LEN|null|bad], peer S [...] : getsockname, getpeername */
static void name_with(int (*get)(int, struct sockaddr *, socklen_t *), const struct step *st,
		      struct out *o)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = st->word[2][0] ? (socklen_t)atoi(st->word[2]) : sizeof(ss);
	struct sockaddr *sa = (struct sockaddr *)&ss;
	bool null = !strcmp(st->word[2], "null");
	socklen_t room;
	int ret;

	if (null || !strcmp(st->word[2], "bad")) {
		sa = null ? NULL : (struct sockaddr *)(uintptr_t)1;
		len = sizeof(ss);
	}
	room = len;
	ret = get(*slot(st->word[1]), sa, !strcmp(st->word[2], "nolen") ? NULL : &len);
	say_ok(o, ret);
	if (!ret && sa == (struct sockaddr *)&ss) {
		say(o, " ");
		say_addr(o, &ss, len, room);
	}
}

static int get_name(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getsockname(fd, sa, len);
}

static int get_peer(int fd, struct sockaddr *sa, socklen_t *len)
{
	return getpeername(fd, sa, len);
}

static void run_name(const struct step *st, struct out *o)
{
	name_with(get_name, st, o);
}

static void run_peer(const struct step *st, struct out *o)
{
	name_with(get_peer, st, o);
}

/* shutdown S rd|wr|rdwr|NUMBER */
static void run_shutdown(const struct step *st, struct out *o)
{
	static const char *const hows[] = { "rd", "wr", "rdwr" };
	int how = 0;

	while (how < 3 && strcmp(hows[how], st->word[2]) != 0)
		how++;
	say_ok(o, shutdown(*slot(st->word[1]), how == 3 ? atoi(st->word[2]) : how));
}

static void run_close(const struct step *st, struct out *o)
{
	int *fd = slot(st->word[1]);

	say_ok(o, close(*fd));
	*fd = -1;
}

/* dup S T [dup2|dup3|dupfd|dupfd_cloexec] : a copy of S in T */
static void run_dup(const struct step *st, struct out *o)
{
	int from = *slot(st->word[1]), *to = slot(st->word[2]);
	const char *how = st->word[3];

	if (!strcmp(how, "dup2"))
		*to = dup2(from, *to);
	else if (!strcmp(how, "dup3"))
		*to = dup3(from, *to, O_CLOEXEC);
	else if (!strcmp(how, "dupfd"))
		*to = fcntl(from, F_DUPFD, 50);
	else if (!strcmp(how, "dupfd_cloexec"))
		*to = fcntl(from, F_DUPFD_CLOEXEC, 50);
	else
		*to = dup(from);
	say_ok(o, *to);
}

/* getfl S : flags of the file and the descriptor */
static void run_getfl(const struct step *st, struct out *o)
{
	int fd = *slot(st->word[1]);
	int fl = fcntl(fd, F_GETFL), fdfl = fcntl(fd, F_GETFD);

	if (fl < 0) {
		say_ok(o, fl);
		return;
	}
	say(o, "%s%s%s%s", (fl & O_ACCMODE) == O_RDWR ? "rdwr" : "?",
	    fl & O_NONBLOCK ? " nonblock" : "", fl & O_ASYNC ? " async" : "",
	    fdfl & FD_CLOEXEC ? " cloexec" : "");
}

/* setfl S nonblock|block */
static void run_setfl(const struct step *st, struct out *o)
{
	int fd = *slot(st->word[1]), fl = fcntl(fd, F_GETFL);

	if (!strcmp(st->word[2], "nonblock"))
		fl |= O_NONBLOCK;
	else
		fl &= ~O_NONBLOCK;
	say_ok(o, fcntl(fd, F_SETFL, fl));
}

static void run_reset(const struct step *st, struct out *o)
{
	(void)st;
	exec_reset();
	say(o, "ok");
}

const struct call calls_make[] = {
	{ "socket", run_socket }, { "badsocket", run_badsocket }, { "connect", run_connect },
	{ "bind", run_bind }, { "listen", run_listen }, { "accept", run_accept },
	{ "accept4", run_accept4 }, { "name", run_name }, { "peer", run_peer },
	{ "shutdown", run_shutdown }, { "close", run_close }, { "dup", run_dup },
	{ "getfl", run_getfl }, { "setfl", run_setfl }, { "reset", run_reset },
	{ NULL, NULL },
};
