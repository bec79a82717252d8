/* SPDX-License-Identifier: ISC */
/* Doing one step: words, the call's function, signals, slots. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t pipe_signals, hang_signals;

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("sockdiff: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(2);
}

void say(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->text + o->len, sizeof(o->text) - o->len, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(o->text) - o->len)
		die("a result is too long");
	o->len += (size_t)n;
}

void say_ok(struct out *o, long ret)
{
	if (ret < 0)
		say(o, "%s", error_name(errno));
	else if (errno != QUIET)
		say(o, "ok but errno is %s", error_name(errno));
	else
		say(o, "ok");
}

void say_ret(struct out *o, long ret)
{
	if (ret < 0 || errno != QUIET)
		say_ok(o, ret);
	else
		say(o, "%ld", ret);
}

/* --- signals ---------------------------------------------------------------- */

static void on_pipe(int sig)
{
	(void)sig;
	pipe_signals = pipe_signals + 1;
}

/* The first time the call should end with EINTR; the second time it has not */
static void on_alarm(int sig)
{
	static const char text[] = "sockdiff: a call cannot be interrupted\n";

	(void)sig;
	hang_signals = hang_signals + 1;
	if (hang_signals > 1) {
		if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
			_exit(3);
		_exit(2);
	}
	alarm(HANG_S);
}

void exec_setup(void)
{
	struct sigaction sa = { .sa_handler = on_pipe };
	size_t i;

	sigaction(SIGPIPE, &sa, NULL);
	sa.sa_handler = on_alarm;
	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < SLOTS; i++)
		me.fd[i] = -1;
}

/* --- slots ------------------------------------------------------------------- */

int *slot(const char *word)
{
	if (word[0] < 'a' || word[0] > 'z' || word[1])
		die("\"%s\" is no slot", word);
	return &me.fd[word[0] - 'a'];
}

void exec_reset(void)
{
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		if (me.fd[i] >= 0)
			close(me.fd[i]);
		me.fd[i] = -1;
	}
}

/* --- steps ---------------------------------------------------------------------- */

static void step_parse(const char *line, struct step *st)
{
	char *save = NULL, *word;
	size_t i;

	if (strlen(line) >= sizeof(st->text))
		die("too long: %s", line);
	strcpy(st->text, line);
	st->count = 0;
	for (word = strtok_r(st->text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (st->count == WORDS_MAX)
			die("too many words: %s", line);
		st->word[st->count++] = word;
	}
	for (i = st->count; i < WORDS_MAX; i++)
		st->word[i] = "";
}

static const struct call *call_lookup(const char *name)
{
	const struct call *const tables[] = { calls_make, calls_io, calls_msg, calls_wait,
					      calls_opt, calls_epoll, calls_back,
					      calls_proc };
	const struct call *c;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (c = tables[i]; c->name; c++) {
			if (!strcmp(c->name, name))
				return c;
		}
	}
	die("no call \"%s\"", name);
}

void exec_call(const char *line, struct out *o)
{
	struct step st;

	step_parse(line, &st);
	errno = QUIET;
	call_lookup(st.word[0])->run(&st, o);
}

void exec_step(const char *line, struct out *o)
{
	o->len = 0;
	o->text[0] = '\0';
	pipe_signals = 0;
	hang_signals = 0;
	alarm(HANG_S);
	exec_call(line, o);
	alarm(0);
	if (pipe_signals)
		say(o, " SIGPIPE");
	if (hang_signals)
		say(o, " HANGS");
}
