/* SPDX-License-Identifier: ISC */
/* A call in another process, which has the descriptors of this one. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS 11		/* step SLOTS, six addresses, the family, the step; see main.c */

extern char **environ;

static char *const *addresses;

void proc_setup(char *const *addrs)
{
	addresses = addrs;
}

/* The step that is to be done: all words but the first */
static void rest_of(const struct step *st, char line[LINE_MAX_])
{
	size_t i;

	line[0] = '\0';
	for (i = 1; i < st->count; i++) {
		strncat(line, i > 1 ? " " : "", LINE_MAX_ - strlen(line) - 1);
		strncat(line, st->word[i], LINE_MAX_ - strlen(line) - 1);
	}
}

/* What the child wrote before it ended, and how it did */
static void take_result(pid_t pid, int from, struct out *o)
{
	int status = 0;
	ssize_t n;

	while (o->len < sizeof(o->text) - 1) {
		n = read(from, o->text + o->len, sizeof(o->text) - 1 - o->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		o->len += (size_t)n;
	}
	o->text[o->len] = '\0';
	close(from);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		say(o, " and ended with %#x", (unsigned int)status);
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		die("pipe: %s", error_name(errno));
}

/* fork CALL... : in a child, whose slots are copies of ours */
static void run_fork(const struct step *st, struct out *o)
{
	char line[LINE_MAX_];
	struct out child;
	int ends[2];
	pid_t pid;

	rest_of(st, line);
	make_pipe(ends);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", error_name(errno));
	if (!pid) {
		exec_step(line, &child);
		_exit(write(ends[1], child.text, child.len) < 0);
	}
	close(ends[1]);
	take_result(pid, ends[0], o);
}

/* exec CALL... : in this program started anew, which has what is not close-on-exec */
static void run_exec(const struct step *st, struct out *o)
{
	char line[LINE_MAX_], slots[SLOTS * 16] = "", family[2] = { (char)('0' + me.family) };
	char *argv[ARGS + 1] = { "sockdiff", "step", slots };
	posix_spawn_file_actions_t actions;
	int ends[2], i, err;
	size_t len = 0;
	pid_t pid;

	rest_of(st, line);
	for (i = 0; i < SLOTS; i++)
		if (me.fd[i] >= 0)
			len += (size_t)snprintf(slots + len, sizeof(slots) - len, "%c=%d,", 'a' + i,
						me.fd[i]);
	for (i = 0; i < 6; i++)
		argv[3 + i] = addresses[i];
	argv[9] = family;
	argv[10] = line;
	make_pipe(ends);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	err = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		die("posix_spawn: %s", error_name(err));
	close(ends[1]);
	take_result(pid, ends[0], o);
}

int proc_step(char *slots, const char *family, const char *line)
{
	char *save = NULL, *word;
	struct out o;

	for (word = strtok_r(slots, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (sscanf(word + 1, "=%d", &me.fd[word[0] - 'a']) != 1)
			die("\"%s\" is no descriptor", word);
	me.family = (enum family)(family[0] - '0');
	exec_step(line, &o);
	return write(STDOUT_FILENO, o.text, o.len) < 0;
}

const struct call calls_proc[] = {
	{ "fork", run_fork }, { "exec", run_exec }, { NULL, NULL },
};
