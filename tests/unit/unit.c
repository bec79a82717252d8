// SPDX-License-Identifier: ISC
/* Helpers that unit tests share. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

bool unit_aborts(void (*fn)(void *arg), void *arg)
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid;

	(void)fflush(NULL);	/* or the child writes it again */
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)signal(SIGABRT, SIG_DFL);
		fn(arg);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid) {
		perror("waitpid");
		exit(2);
	}
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void *unit_copy(const void *p, size_t len)
{
	void *copy = malloc(len);

	if (!copy && len) {
		perror("malloc");
		exit(2);
	}
	if (len)
		memcpy(copy, p, len);
	return copy;
}

uint64_t unit_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}
