/* SPDX-License-Identifier: ISC */
/* Log lines: one write() each, so that lines of two processes never mix. */
#include "pnstackd/host/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN	1024

static struct {
	int fd;
	bool journal;
	enum log_level level;
	bool failing;		/* the last line could not be written */
	char path[512];
} lg = { .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO };

const char *const log_level_names[LOG_LEVELS + 1] = {
	"err", "warn", "info", "debug", "trace", NULL,
};

static_assert(LOG_LEVEL_TRACE + 1 == LOG_LEVELS, "one name per level");

/* Is standard error the journal?  systemd says which file it connected. */
static bool stderr_is_journal(void)
{
	const char *env = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	if (!env || sscanf(env, "%llu:%llu", &dev, &ino) != 2)
		return false;
	return !fstat(STDERR_FILENO, &st) && st.st_dev == dev && st.st_ino == ino;
}

void log_init(void)
{
	lg.journal = stderr_is_journal();
}

int log_file(const char *path)
{
	int fd = STDERR_FILENO;

	if (path) {
		if (strlen(path) >= sizeof(lg.path))
			return -ENAMETOOLONG;
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
		if (fd < 0)
			return -errno;
	}
	if (lg.fd != STDERR_FILENO)
		close(lg.fd);
	lg.fd = fd;
	if (path != lg.path)
		snprintf(lg.path, sizeof(lg.path), "%s", path ? path : "");
	return 0;
}

int log_reopen(void)
{
	return lg.path[0] ? log_file(lg.path) : 0;
}

void log_set_level(enum log_level level)
{
	lg.level = level;
}

enum log_level log_get_level(void)
{
	return lg.level;
}

bool log_is_on_(enum log_level level)
{
	return level <= lg.level;
}

int log_level_from_name(const char *name)
{
	int i;

	for (i = 0; i < LOG_LEVELS; i++) {
		if (!strcmp(name, log_level_names[i]))
			return i;
	}
	return -1;
}

const char *log_level_name(enum log_level level)
{
	return log_level_names[level];
}

static size_t log_prefix(char *line, size_t cap, enum log_level level)
{
	static const int syslog[LOG_LEVELS] = { 3, 4, 6, 7, 7 };
	struct timespec ts;
	struct tm tm;
	size_t n;

	if (lg.fd == STDERR_FILENO && lg.journal)
		return (size_t)snprintf(line, cap, "<%d>", syslog[level]);
	clock_gettime(CLOCK_REALTIME, &ts);
	localtime_r(&ts.tv_sec, &tm);
	n = strftime(line, cap, "%Y-%m-%d %H:%M:%S", &tm);
	return n + (size_t)snprintf(line + n, cap - n, ".%03ld %-5s ", ts.tv_nsec / 1000000,
				    log_level_names[level]);
}

/* What the file does not take, a full disk, goes to standard error, after a line that
 * says why, once. */
static void log_put(const char *line, size_t len)
{
	char why[LINE_MAX_LEN];
	ssize_t done = write(lg.fd, line, len);
	bool failed = done != (ssize_t)len;
	int n;

	if (failed && !lg.failing && lg.fd != STDERR_FILENO) {
		n = snprintf(why, sizeof(why), "pnstackd: %s: cannot write the log: %s\n", lg.path,
			     done < 0 ? strerror(errno) : "no room for the whole line");
		/* nowhere left to complain to */
		if (write(STDERR_FILENO, why, (size_t)n) < 0)
			errno = 0;
	}
	if (failed && lg.fd != STDERR_FILENO && write(STDERR_FILENO, line, len) < 0)
		errno = 0;
	lg.failing = failed;
}

void log_write_(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	int saved_errno = errno;
	size_t at = log_prefix(line, sizeof(line), level);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + at, sizeof(line) - at - 1, fmt, ap);
	va_end(ap);
	if (n > 0)
		at += pn_min((size_t)n, sizeof(line) - at - 2);
	line[at++] = '\n';
	log_put(line, at);
	errno = saved_errno;
}
