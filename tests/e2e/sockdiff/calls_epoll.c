/* SPDX-License-Identifier: ISC */
/* epoll, level and edge. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>

/* epnew E */
static void run_new(const struct step *st, struct out *o)
{
	int *fd = slot(st->word[1]);

	*fd = epoll_create1(EPOLL_CLOEXEC);
	say_ok(o, *fd);
}

/* epctl E add|mod|del S [EVENTS] */
static void run_ctl(const struct step *st, struct out *o)
{
	struct epoll_event ev = { .events = poll_parse(st->word[4]) };
	int op = !strcmp(st->word[2], "add") ? EPOLL_CTL_ADD :
		 !strcmp(st->word[2], "mod") ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	ev.data.u32 = (uint32_t)st->word[3][0];
	say_ok(o, epoll_ctl(*slot(st->word[1]), op, *slot(st->word[3]), &ev));
}

/* epwait E : what is there now, of all slots */
static void run_wait(const struct step *st, struct out *o)
{
	struct epoll_event ev[8];
	int n = epoll_wait(*slot(st->word[1]), ev, 8, 0), i;

	if (n < 0) {
		say_ok(o, n);
		return;
	}
	say(o, "%d", n);
	for (i = 0; i < n; i++) {
		say(o, " %c:", (int)ev[i].data.u32);
		say_poll(o, ev[i].events);
	}
}

/* epuntil E EVENTS : gather what comes, until all of them have come; for edges */
static void run_until(const struct step *st, struct out *o)
{
	uint32_t want = poll_parse(st->word[2]), have = 0;
	struct epoll_event ev;
	int tries;

	for (tries = 0; tries < 100 && (have & want) != want; tries++) {
		if (epoll_wait(*slot(st->word[1]), &ev, 1, WAIT_MS / 100) > 0)
			have |= ev.events;
	}
	if ((have & want) == want) {
		say(o, "ok");
		return;
	}
	say(o, "never, ");
	say_poll(o, have);
}

const struct call calls_epoll[] = {
	{ "epnew", run_new }, { "epctl", run_ctl }, { "epwait", run_wait },
	{ "epuntil", run_until }, { NULL, NULL },
};
