/* SPDX-License-Identifier: ISC */
/* A call in the background: one that blocks, while the next steps are done, or a signal comes. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_t thread;
static char line[LINE_MAX_];
static struct out result;
static _Atomic pid_t tid;
static _Atomic bool done;

static void *work(void *arg)
{
	(void)arg;
	atomic_store(&tid, gettid());
	result.len = 0;
	result.text[0] = '\0';
	exec_call(line, &result);
	atomic_store(&done, true);
	return NULL;
}

static char thread_state(void)
{
	char path[64], text[256] = "";
	char *after;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)atomic_load(&tid));
	f = fopen(path, "re");
	if (!f)
		return '?';
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	after = strrchr(text, ')');
	return after && after[1] ? after[2] : '?';
}

/* back CALL... : start it, and go on when it sleeps in the kernel or has ended.  It is
 * looked for twice in a row, since a call may sleep for a moment on its way. */
static void run_back(const struct step *st, struct out *o)
{
	int tries, asleep = 0;
	sigset_t all, old;
	size_t i;

	line[0] = '\0';
	for (i = 1; i < st->count; i++) {
		strncat(line, i > 1 ? " " : "", sizeof(line) - strlen(line) - 1);
		strncat(line, st->word[i], sizeof(line) - strlen(line) - 1);
	}
	atomic_store(&tid, 0);
	atomic_store(&done, false);
	/* SIGALRM is for the main thread */
	sigemptyset(&all);
	sigaddset(&all, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	if (pthread_create(&thread, NULL, work, NULL))
		die("no thread");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	for (tries = 0; tries < WAIT_MS && asleep < 3 && !atomic_load(&done); tries++) {
		asleep = atomic_load(&tid) && thread_state() == 'S' ? asleep + 1 : 0;
		poll(NULL, 0, 1);
	}
	say(o, atomic_load(&done) ? "does not block" : "blocks");
}

/* join : its result */
static void run_join(const struct step *st, struct out *o)
{
	struct timespec end;

	(void)st;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_MS / 1000;
	if (pthread_timedjoin_np(thread, NULL, &end)) {
		say(o, "HANGS");
		/* It gets its EINTR, and the slot with it is closed sooner or later */
		pthread_kill(thread, SIGPIPE);
		pthread_join(thread, NULL);
		return;
	}
	say(o, "%s", result.text);
}

static void on_kick(int sig)
{
	(void)sig;
}

/* kick [restart] : a signal for the call in the background, with SA_RESTART or without */
static void run_kick(const struct step *st, struct out *o)
{
	struct sigaction sa = { .sa_handler = on_kick };
	int tries;

	if (!strcmp(st->word[1], "restart"))
		sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	pthread_kill(thread, SIGUSR1);
	for (tries = 0; !sa.sa_flags && tries < WAIT_MS && !atomic_load(&done); tries++)
		poll(NULL, 0, 1);
	/* whether it goes on after SA_RESTART is seen when it ends */
	say(o, "%s", sa.sa_flags ? "ok" : atomic_load(&done) ? "ends" : "goes on");
}

const struct call calls_back[] = {
	{ "back", run_back }, { "join", run_join }, { "kick", run_kick }, { NULL, NULL },
};
