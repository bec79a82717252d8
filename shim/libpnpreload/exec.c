/* SPDX-License-Identifier: ISC */
/* Programs that are started by ours stay over PeerNet too.
 *
 * Theory of operation
 *
 * At the start the path of this library and the PEERNET variables are noted.
 * Whoever calls exec or posix_spawn with an environment in which they are
 * missing gets them added, in a copy; the program's own environment is left
 * alone.  PEERNET=off in the new environment says that it is meant so.
 * Memory comes from mmap(), since exec is called where malloc() is not allowed.
 */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/words.h"
#include "shim/libpnpreload/limits.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PRELOAD		"LD_PRELOAD="
#define PRELOAD_LEN	(sizeof(PRELOAD) - 1)

static char exec_library[ENV_VALUE_MAX];	/* "" if it is not known */
static char exec_keep[ENV_KEEP_MAX][ENV_VALUE_MAX]; /* "NAME=value" */
static size_t exec_keep_count;

static void exec_note(const char *name)
{
	const char *value = getenv(name);
	int n;

	if (!value || exec_keep_count >= ENV_KEEP_MAX)
		return;
	n = snprintf(exec_keep[exec_keep_count], ENV_VALUE_MAX, "%s=%s", name, value);
	if (n > 0 && n < ENV_VALUE_MAX)
		exec_keep_count++;
}

void exec_setup(void)
{
	static const char *const names[] = { "PEERNET_SOCKET", "PEERNET_ONLY", "PEERNET_LISTEN",
					     "PEERNET_TRACE" };
	Dl_info info;
	size_t i;

	/* The name by which it was loaded may be relative, and useless later; and the loader
	 * takes a path with a separator for two */
	if (dladdr((void *)(uintptr_t)exec_setup, &info) && info.dli_fname &&
	    (!strchr(info.dli_fname, '/') || !realpath(info.dli_fname, exec_library) ||
	     strpbrk(exec_library, PN_PRELOAD_SEPARATORS)))
		exec_library[0] = '\0';
	for (i = 0; i < PN_ARRAY_LEN(names); i++)
		exec_note(names[i]);
}

/* Length of "NAME=", with the equals sign */
static size_t env_name_len(const char *entry)
{
	return strcspn(entry, "=") + 1;
}

static const char *env_find(char *const *env, const char *entry)
{
	size_t len = env_name_len(entry);

	for (; env && *env; env++) {
		if (!strncmp(*env, entry, len))
			return *env;
	}
	return NULL;
}

/* @entry: LD_PRELOAD=..., or NULL */
static bool preload_has_us(const char *entry)
{
	return entry && pn_words_have(entry + PRELOAD_LEN, PN_PRELOAD_SEPARATORS, exec_library);
}

static bool env_complete(char *const *env)
{
	const char *preload = env_find(env, PRELOAD);
	const char *off = env_find(env, "PEERNET=");
	size_t i;

	if (off && (!strcmp(off, "PEERNET=off") || !strcmp(off, "PEERNET=0") ||
		    !strcmp(off, "PEERNET=no")))
		return true;
	if (!exec_library[0] || !preload_has_us(preload))
		return !exec_library[0];
	for (i = 0; i < exec_keep_count; i++) {
		if (!env_find(env, exec_keep[i]))
			return false;
	}
	return true;
}

/**
 * struct env_copy - An environment with what was missing
 * @env:	To be used; the program's own if nothing was
 * @map:	Memory of the copy, or NULL
 * @len:	Bytes of it
 */
struct env_copy {
	char **env;
	void *map;
	size_t len;
};

static void env_fill(struct env_copy *copy, char *const *env, size_t count)
{
	char *preload = (char *)copy->map + (count + ENV_KEEP_MAX + 2) * sizeof(char *);
	size_t room = copy->len - (size_t)(preload - (char *)copy->map), n = 0, i;
	const char *had = env_find(env, PRELOAD);

	for (i = 0; i < count; i++) {
		if (env[i] != had)
			copy->env[n++] = env[i];
	}
	if (!had || !had[PRELOAD_LEN])
		snprintf(preload, room, PRELOAD "%s", exec_library);
	else if (preload_has_us(had))
		snprintf(preload, room, "%s", had);
	else
		snprintf(preload, room, PRELOAD "%s:%s", exec_library, had + PRELOAD_LEN);
	copy->env[n++] = preload;
	for (i = 0; i < exec_keep_count; i++) {
		if (!env_find(env, exec_keep[i]))
			copy->env[n++] = exec_keep[i];
	}
	copy->env[n] = NULL;
}

static struct env_copy env_open(char *const *env)
{
	struct env_copy copy = { .env = (char **)(uintptr_t)env };
	const char *had = env_find(env, PRELOAD);
	size_t count = 0, len;
	void *map;

	if (!shim()->on || env_complete(env))
		return copy;
	while (env && env[count])
		count++;
	len = (count + ENV_KEEP_MAX + 2) * sizeof(char *) + ENV_VALUE_MAX + PRELOAD_LEN + 2 +
	      (had ? strlen(had) : 0);
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return copy; /* then without; the program must not fail for it */
	copy.env = map;
	copy.map = map;
	copy.len = len;
	env_fill(&copy, env, count);
	return copy;
}

static void env_close(struct env_copy *copy)
{
	int saved = errno;

	if (copy->map)
		munmap(copy->map, copy->len);
	errno = saved;
}

/* --- hooks -------------------------------------------------------------------- */

HOOK int execve(const char *path, char *const argv[], char *const env[])
{
	struct env_copy copy = env_open(env);
	int ret = real()->execve(path, argv, copy.env);

	env_close(&copy);
	return ret;
}

HOOK int execvpe(const char *file, char *const argv[], char *const env[])
{
	struct env_copy copy = env_open(env);
	int ret = real()->execvpe(file, argv, copy.env);

	env_close(&copy);
	return ret;
}

HOOK int fexecve(int fd, char *const argv[], char *const env[])
{
	struct env_copy copy = env_open(env);
	int ret = real()->fexecve(fd, argv, copy.env);

	env_close(&copy);
	return ret;
}

HOOK int execveat(int dir, const char *path, char *const argv[], char *const env[], int flags)
{
	struct env_copy copy = env_open(env);
	int ret;

	if (real()->execveat)
		ret = real()->execveat(dir, path, argv, copy.env, flags);
	else
		ret = fail(ENOSYS);
	env_close(&copy);
	return ret;
}

HOOK int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

HOOK int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments of execl() and the others, as an array: false if too many.
 * The list's end is left in @ap, where execle() has its environment. */
static bool args_collect(char *argv[ARGS_MAX], const char *first, va_list *ap)
{
	size_t n = 0;

	argv[n++] = (char *)(uintptr_t)first;
	while (argv[n - 1]) {
		if (n == ARGS_MAX) {
			errno = E2BIG;
			return false;
		}
		argv[n++] = va_arg(*ap, char *);
	}
	return true;
}

HOOK int execl(const char *path, const char *arg, ...)
{
	char *argv[ARGS_MAX];
	va_list ap;
	bool ok;

	va_start(ap, arg);
	ok = args_collect(argv, arg, &ap);
	va_end(ap);
	return ok ? execve(path, argv, environ) : -1;
}

HOOK int execlp(const char *file, const char *arg, ...)
{
	char *argv[ARGS_MAX];
	va_list ap;
	bool ok;

	va_start(ap, arg);
	ok = args_collect(argv, arg, &ap);
	va_end(ap);
	return ok ? execvpe(file, argv, environ) : -1;
}

HOOK int execle(const char *path, const char *arg, ...)
{
	char *argv[ARGS_MAX];
	char **env = NULL;
	va_list ap;
	bool ok;

	va_start(ap, arg);
	ok = args_collect(argv, arg, &ap);
	if (ok)
		env = va_arg(ap, char **);
	va_end(ap);
	return ok ? execve(path, argv, env) : -1;
}

HOOK int posix_spawn(pid_t *restrict pid, const char *restrict path,
		     const posix_spawn_file_actions_t *restrict actions,
		     const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		     char *const env[restrict])
{
	struct env_copy copy = env_open(env);
	int ret = real()->posix_spawn(pid, path, actions, attr, argv, copy.env);

	env_close(&copy);
	return ret;
}

HOOK int posix_spawnp(pid_t *restrict pid, const char *restrict file,
		      const posix_spawn_file_actions_t *restrict actions,
		      const posix_spawnattr_t *restrict attr, char *const argv[restrict],
		      char *const env[restrict])
{
	struct env_copy copy = env_open(env);
	int ret = real()->posix_spawnp(pid, file, actions, attr, argv, copy.env);

	env_close(&copy);
	return ret;
}
