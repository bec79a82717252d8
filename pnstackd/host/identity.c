/* SPDX-License-Identifier: ISC */
/* The identity's files.
 *
 * Theory of operation
 *
 * The key is a file of exactly 32 bytes (an Ed25519 seed), readable by its owner
 * only.  It is written once, under another name, synchronised, and then linked
 * to its own name, which fails if the name has come into being meanwhile: a key
 * is never replaced.  The file is locked (flock) while the daemon runs, because
 * two nodes with one identity would take each other's connections away.
 *
 * PATH.boot counts the starts.  The number must never fall, or peers take what
 * we say for old news: it is on the disk before it is used.  If the file is lost
 * the seconds of the wall clock take its place, which grow faster than starts.
 *
 * A full disk, a read-only directory and a file that is not what it should be
 * end the start with one line, and leave what is there as it is. */
#include "pnstackd/host/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_error.h"

#define IDENTITY_PATH_MAX 600
#define BOOT_MAX	UINT32_MAX	/* the net layer keeps it in 32 bits of 64 */

struct report {
	const char *path;
	char *why;
	size_t why_len;
};

PN_PRINTF(2, 3) static int fail(const struct report *rp, const char *fmt, ...)
{
	int n = snprintf(rp->why, rp->why_len, "%s: ", rp->path);
	va_list ap;

	va_start(ap, fmt);
	if (n > 0 && (size_t)n < rp->why_len)
		vsnprintf(rp->why + n, rp->why_len - (size_t)n, fmt, ap);
	va_end(ap);
	return PN_EINVAL;
}

/* Makes the directories above @path that are missing. */
static int make_dirs(const struct report *rp)
{
	char dir[IDENTITY_PATH_MAX];
	char *p;

	if ((size_t)snprintf(dir, sizeof(dir), "%s", rp->path) >= sizeof(dir))
		return fail(rp, "the path is too long");
	for (p = strchr(dir + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return fail(rp, "cannot make the directory %s: %s", dir, strerror(errno));
		*p = '/';
	}
	return 0;
}

static int sync_dir(const char *path)
{
	char dir[IDENTITY_PATH_MAX];
	char *slash;
	int fd, err = 0;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash)
		return 0;
	slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0 && errno != EINVAL)
		err = -errno;
	close(fd);
	return err;
}

/* Writes a fresh file, all of it down to the disk.  Return: 0 or -errno */
static int write_new(const char *path, const void *data, size_t len)
{
	int fd, err = 0;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	errno = 0;
	if (write(fd, data, len) != (ssize_t)len)
		err = errno ? -errno : -ENOSPC;
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

/* --- the key --------------------------------------------------------------- */

static int key_make(const struct report *rp)
{
	char temp[IDENTITY_PATH_MAX + 32];
	uint8_t seed[PN_ID_LEN];
	int err;

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return fail(rp, "no randomness: %s", strerror(errno));
	snprintf(temp, sizeof(temp), "%s.new.%ld", rp->path, (long)getpid());
	err = write_new(temp, seed, sizeof(seed));
	explicit_bzero(seed, sizeof(seed));
	if (err)
		return fail(rp, "cannot write the key: %s", strerror(-err));
	if (link(temp, rp->path) < 0 && errno != EEXIST)
		err = -errno;
	unlink(temp);
	if (!err)
		err = sync_dir(rp->path);
	return err ? fail(rp, "cannot write the key: %s", strerror(-err)) : 0;
}

static int key_check(const struct report *rp, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(rp, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(rp, "not a regular file");
	if (st.st_mode & 077)
		return fail(rp, "others may read or write this key (mode %04o): chmod 600 it",
			    (unsigned int)st.st_mode & 07777);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return fail(rp, "this key belongs to user %u, not to us", (unsigned int)st.st_uid);
	if (st.st_size != PN_ID_LEN)
		return fail(rp, "not a key: %lld bytes instead of %d", (long long)st.st_size,
			    PN_ID_LEN);
	return 0;
}

static int key_read(const struct report *rp, struct identity *id, int fd)
{
	int err = key_check(rp, fd);

	if (err)
		return err;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fail(rp, errno == EWOULDBLOCK ? "this key is in use by another pnstackd" :
			    "cannot lock the key");
	if (read(fd, id->seed, sizeof(id->seed)) != (ssize_t)sizeof(id->seed))
		return fail(rp, "cannot read the key: %s", strerror(errno));
	return 0;
}

/* --- the boot counter -------------------------------------------------------- */

/* Return: true if it could be read */
static bool boot_read(const char *path, uint64_t *boot)
{
	char text[32];
	char *end;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 1)
		return false;
	text[n] = '\0';
	*boot = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\n';
}

static int boot_count(const struct report *key, struct identity *id)
{
	char path[IDENTITY_PATH_MAX + 8], temp[IDENTITY_PATH_MAX + 16], text[32];
	struct report rp = { .path = path, .why = key->why, .why_len = key->why_len };
	uint64_t boot = 0;
	int err;

	snprintf(path, sizeof(path), "%s.boot", key->path);
	snprintf(temp, sizeof(temp), "%s.boot.new", key->path);
	if (!boot_read(path, &boot)) {
		id->boot_lost = !id->made;
		boot = id->made ? 0 : (uint64_t)time(NULL);
	}
	if (boot >= BOOT_MAX)
		return fail(&rp, "the boot counter is used up");
	boot++;
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)boot);
	err = write_new(temp, text, strlen(text));
	if (!err && rename(temp, path) < 0)
		err = -errno;
	if (!err)
		err = sync_dir(path);
	if (err)
		return fail(&rp, "cannot write the boot counter: %s", strerror(-err));
	id->boot = boot;
	return 0;
}

int identity_load(struct identity *id, const char *path, char *why, size_t why_len)
{
	struct report rp = { .path = path, .why = why, .why_len = why_len };
	int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
	int err;

	memset(id, 0, sizeof(*id));
	id->lock_fd = open(path, flags);
	if (id->lock_fd < 0 && errno == ENOENT) {
		id->made = true;
		err = make_dirs(&rp);
		if (!err)
			err = key_make(&rp);
		if (err)
			return err;
		id->lock_fd = open(path, flags);
	}
	if (id->lock_fd < 0)
		return fail(&rp, "cannot open the key: %s", strerror(errno));
	err = key_read(&rp, id, id->lock_fd);
	if (!err)
		err = boot_count(&rp, id);
	if (err)
		identity_fini(id);
	return err;
}

void identity_fini(struct identity *id)
{
	explicit_bzero(id->seed, sizeof(id->seed));
	if (id->lock_fd >= 0)
		close(id->lock_fd);
	id->lock_fd = -1;
}

/* --- the network's secret ------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int secret_load(uint8_t secret[32], const char *path, char *why, size_t why_len)
{
	struct report rp = { .path = path, .why = why, .why_len = why_len };
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err = 0;
	char text[80];
	struct stat st;
	ssize_t n;
	size_t i;

	if (fd < 0)
		return fail(&rp, "cannot open the network's secret: %s", strerror(errno));
	n = read(fd, text, sizeof(text));
	if (!fstat(fd, &st) && (st.st_mode & 077))
		err = fail(&rp, "others may read or write this secret (mode %04o): chmod 600 it",
			   (unsigned int)st.st_mode & 07777);
	close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
		n--;
	if (!err && n != 64)
		err = fail(&rp, "must hold 64 hexadecimal digits");
	for (i = 0; !err && i < 32; i++) {
		int hi = hex_digit(text[2 * i]), lo = hex_digit(text[2 * i + 1]);

		if (hi < 0 || lo < 0)
			err = fail(&rp, "must hold 64 hexadecimal digits");
		else
			secret[i] = (uint8_t)(hi << 4 | lo);
	}
	explicit_bzero(text, sizeof(text));
	return err;
}
