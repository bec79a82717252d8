/* SPDX-License-Identifier: ISC */
/* PEERNET_TRACE: one line for each decision, each written by one write(). */
#include "shim/libpnpreload/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TRACE_LINE	256	/* bytes of a line at most */

static _Atomic int trace_fd = -1;

void trace_open(const char *path)
{
	atomic_store(&trace_fd, fd_hide(open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
					     0600)));
}

void trace_fd_moved(int from, int to)
{
	atomic_compare_exchange_strong(&trace_fd, &from, to);
}

void trace(int fd, const char *fmt, ...)
{
	int out = atomic_load(&trace_fd), saved = errno, n;
	char line[TRACE_LINE];
	struct timespec now;
	va_list args;

	if (out < 0 || shim()->sandboxed)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	n = snprintf(line, sizeof(line), "%lld.%06ld %d fd %d: ", (long long)now.tv_sec,
		     now.tv_nsec / 1000, (int)getpid(), fd);
	va_start(args, fmt);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, args);
	va_end(args);
	if (n > TRACE_LINE - 2)
		n = TRACE_LINE - 2;
	line[n] = '\n';
	if (real()->write(out, line, (size_t)n + 1) < 0) {
		/* A full disk must not be the program's trouble */
	}
	errno = saved;
}
