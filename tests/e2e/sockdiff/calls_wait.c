/* SPDX-License-Identifier: ISC */
/* Readiness: poll(), select(), and waiting for something to get across. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>

#define FILL_MAX	((size_t)64 << 20)
#define FULL_MS		60
#define ALL (POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM)

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* poll S [EVENTS] : what is there now */
static void run_poll(const struct step *st, struct out *o)
{
	struct pollfd p = { .fd = *slot(st->word[1]), .events = ALL };

	if (st->word[2][0])
		p.events = (short)poll_parse(st->word[2]);
	if (poll(&p, 1, 0) < 0)
		say_ok(o, -1);
	else
		say_poll(o, (uint32_t)p.revents & 0xffff);
}

/* wait S EVENTS : until all of them are there.  A bit may come a moment after another
 * that poll() returns for, so it is asked again every millisecond. */
static void run_wait(const struct step *st, struct out *o)
{
	uint32_t want = poll_parse(st->word[2]);
	struct pollfd p = { .fd = *slot(st->word[1]), .events = (short)want };
	int64_t end = now_ms() + WAIT_MS;
	int partly = 0;

	while (now_ms() < end) {
		if (partly)
			poll(NULL, 0, 1);
		p.revents = 0;
		if (poll(&p, 1, (int)(end - now_ms())) < 0) {
			say_ok(o, -1);
			return;
		}
		if (((uint32_t)p.revents & want) == want) {
			say(o, "ok");
			return;
		}
		partly = p.revents;
	}
	say(o, "never, ");
	say_poll(o, (uint32_t)p.revents & 0xffff);
}

/* any S EVENTS : until one of them is there, whichever */
static void run_any(const struct step *st, struct out *o)
{
	struct pollfd p = { .fd = *slot(st->word[1]),
			    .events = (short)poll_parse(st->word[2]) };
	int ret = poll(&p, 1, WAIT_MS);

	if (ret < 0)
		say_ok(o, ret);
	else
		say(o, ret ? "ok" : "never");
}

/* quiet S EVENTS : until none of them is there */
static void run_quiet(const struct step *st, struct out *o)
{
	uint32_t avoid = poll_parse(st->word[2]);
	struct pollfd p = { .fd = *slot(st->word[1]), .events = (short)avoid };
	int64_t end = now_ms() + WAIT_MS;

	while (now_ms() < end) {
		if (poll(&p, 1, 0) < 0) {
			say_ok(o, -1);
			return;
		}
		if (!((uint32_t)p.revents & avoid)) {
			say(o, "ok");
			return;
		}
		poll(NULL, 0, 1);
	}
	say(o, "never");
}

/* select S : which of r, w and e */
static void run_select(const struct step *st, struct out *o)
{
	struct timeval now = { 0 };
	int fd = *slot(st->word[1]), ret;
	fd_set r, w, e;

	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_ZERO(&e);
	FD_SET(fd, &r);
	FD_SET(fd, &w);
	FD_SET(fd, &e);
	ret = select(fd + 1, &r, &w, &e, &now);
	if (ret < 0) {
		say_ok(o, ret);
		return;
	}
	say(o, "%s%s%s%s", ret ? "" : "-", FD_ISSET(fd, &r) ? "r" : "",
	    FD_ISSET(fd, &w) ? "w" : "", FD_ISSET(fd, &e) ? "e" : "");
}

/* fill S : send until it would block, and still does after FULL_MS: the other side may
 * take some more before it is full, too.  How much is not told. */
static void run_fill(const struct step *st, struct out *o)
{
	static const char zeros[4096];
	struct pollfd p = { .fd = *slot(st->word[1]), .events = POLLOUT };
	size_t sent = 0;
	int blocked = 0;
	ssize_t n;

	do {
		n = send(p.fd, zeros, sizeof(zeros), MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		blocked = n < 0 ? blocked + 1 : 0;
		if (blocked)
			poll(&p, 1, FULL_MS);
	} while (sent < FILL_MAX && blocked < 2);
	if (n < 0)
		say(o, "%s", error_name(errno));
	else
		say(o, "no end");
}

/* drain S : receive until it would block or ends; how much is not told */
static void run_drain(const struct step *st, struct out *o)
{
	static char bin[16384];
	ssize_t n;

	do {
		n = recv(*slot(st->word[1]), bin, sizeof(bin), MSG_DONTWAIT);
	} while (n > 0);
	say(o, "%s", n ? error_name(errno) : "end");
}

/* readable S N : until FIONREAD would say N at least, told by peeking */
static void run_readable(const struct step *st, struct out *o)
{
	static char bin[BUF_MAX];
	int64_t end = now_ms() + WAIT_MS;
	ssize_t want = atol(st->word[2]), n;

	do {
		n = recv(*slot(st->word[1]), bin, (size_t)want, MSG_PEEK | MSG_DONTWAIT);
		if (n == want) {
			say(o, "ok");
			return;
		}
		poll(NULL, 0, 1);
	} while (now_ms() < end);
	say(o, "never");
}

const struct call calls_wait[] = {
	{ "poll", run_poll }, { "wait", run_wait }, { "any", run_any }, { "quiet", run_quiet },
	{ "select", run_select }, { "fill", run_fill }, { "drain", run_drain },
	{ "readable", run_readable }, { NULL, NULL },
};
