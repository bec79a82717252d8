/* SPDX-License-Identifier: ISC */
/* What programs that are started by ours get into their environment. */
#include "fake.h"

#include "libpeernet/base/pn_assert.h"

#include <CUnit/CUnit.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES	600
#define KEPT	"PEERNET_SOCKET=/run/s"		/* what the shim has noted at the start */
#define KEPT_TOO "PEERNET_LISTEN=kernel"

static char library[PATH_MAX];	/* here it is the program that is the shim */

static const char *loaded_as;	/* NULL: as it is */

int dladdr(const void *addr, Dl_info *info)
{
	int (*next)(const void *, Dl_info *);
	void *at = dlsym(RTLD_NEXT, "dladdr");

	if (!at)
		return 0;
	memcpy(&next, &at, sizeof(next));
	if (!next(addr, info))
		return 0;
	if (loaded_as)
		info->dli_fname = loaded_as;
	return 1;
}

/* --- what is below: notes what it gets, and fails -------------------------------------------- */

static struct {
	char *const *env_at;
	char *env[ENTRIES];
	size_t env_count;
	char what[200];
} got;

static int below(const char *path, char *const argv[], char *const env[])
{
	size_t n = (size_t)snprintf(got.what, sizeof(got.what), "%s", path);

	for (; argv && *argv; argv++)
		n += (size_t)snprintf(got.what + n, sizeof(got.what) - n, " %s", *argv);
	while (got.env_count)
		free(got.env[--got.env_count]);
	got.env_at = env;
	for (; env && *env; env++) {
		PN_ASSERT(got.env_count < ENTRIES);
		got.env[got.env_count++] = strdup(*env);
	}
	errno = ENOEXEC;
	return -1;
}

static int below_fexecve(int fd, char *const argv[], char *const env[])
{
	return below(fd == 7 ? "seven" : "", argv, env);
}

static int below_execveat(int dir, const char *path, char *const argv[], char *const env[],
			  int flags)
{
	return dir == 7 && flags == AT_EMPTY_PATH ? below(path, argv, env) : 0;
}

static int below_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	*pid = 42;
	return !actions && !attr && below(path, argv, env) ? ENOEXEC : 0;
}

static void below_exec(void)
{
	struct shim_real *r = fake_below();

	r->execve = below;
	r->execvpe = below;
	r->fexecve = below_fexecve;
	r->execveat = below_execveat;
	r->posix_spawn = below_spawn;
	r->posix_spawnp = below_spawn;
}

/* --- helpers ----------------------------------------------------------------------------------- */

/* How often an entry is in what was passed on */
static unsigned int count_of(const char *entry)
{
	unsigned int n = 0;

	for (size_t i = 0; i < got.env_count; i++)
		n += !strcmp(got.env[i], entry);
	return n;
}

static void start(char *const env[])
{
	char *argv[] = { (char[]){ "prog" }, NULL };

	CU_ASSERT_EQUAL(execve("/prog", argv, env), -1);
	CU_ASSERT_EQUAL(errno, ENOEXEC);
}

/* @format with the library for %s: "LD_PRELOAD=..." */
static char *entry_of(char entry[4 * PATH_MAX], const char *format)
{
	size_t n = (size_t)sprintf(entry, "LD_PRELOAD=");

	for (; *format; format++) {
		if (format[0] == '%')
			n += (size_t)sprintf(entry + n, "%s", library);
		else
			entry[n++] = *format;
	}
	entry[n] = '\0';
	return entry;
}

/* --- tests ------------------------------------------------------------------------------------- */

static int suite_init(void)
{
	ssize_t n = readlink("/proc/self/exe", library, sizeof(library) - 1);

	if (n <= 0)
		return -1;
	/* As if the program had been started with these */
	setenv("PEERNET_SOCKET", strchr(KEPT, '=') + 1, 1);
	setenv("PEERNET_LISTEN", strchr(KEPT_TOO, '=') + 1, 1);
	exec_setup();
	unsetenv("PEERNET_SOCKET");
	unsetenv("PEERNET_LISTEN");
	below_exec();
	return 0;
}

static int suite_clean(void)
{
	while (got.env_count)
		free(got.env[--got.env_count]);
	fake_reset();
	return 0;
}

/* %: the library */
static void test_preload(void)
{
	static const struct {
		const char *had;
		const char *gets;
	} cases[] = {
		{ "", "%" }, { "/x.so", "%:/x.so" }, { "/x.so /y.so", "%:/x.so /y.so" },
		{ "%", "%" }, { "%:/x.so", "%:/x.so" }, { "/x.so %", "/x.so %" },
		{ ": %:", ": %:" }, { "%.old", "%:%.old" }, { "%x /y.so", "%:%x /y.so" },
		{ "/x%", "%:/x%" }, { "%.old:%", "%.old:%" }, { "%%", "%:%%" },
		{ "/", "%:/" },
	};
	char had[4 * PATH_MAX], gets[4 * PATH_MAX];
	char *env[] = { (char[]){ "A=b" }, had, (char[]){ KEPT }, NULL, NULL };

	for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
		entry_of(had, cases[i].had);
		entry_of(gets, cases[i].gets);
		/* with all the rest there, and without */
		for (int whole = 0; whole < 2; whole++) {
			env[3] = whole ? (char[]){ KEPT_TOO } : NULL;
			start(env);
			CU_ASSERT_EQUAL(got.env_count, 4);
			CU_ASSERT_EQUAL(count_of(gets), 1);
			CU_ASSERT_EQUAL(count_of("A=b"), 1);
			CU_ASSERT_EQUAL(count_of(KEPT), 1);
			CU_ASSERT_EQUAL(count_of(KEPT_TOO), 1);
			/* The program's own, where there is nothing to add */
			CU_ASSERT_EQUAL(got.env_at == env, whole && !strcmp(had, gets));
		}
	}
}

static void test_settings(void)
{
	static const struct {
		const char *had;
		bool added;
	} cases[] = {
		{ "PEERNET=off", false }, { "PEERNET=0", false }, { "PEERNET=no", false },
		{ "PEERNET=", true }, { "PEERNET=on", true }, { "PEERNET_=off", true },
		{ "PEERNET", true },
	};
	char entry[4 * PATH_MAX];

	entry_of(entry, "%");
	for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
		char *env[] = { (char *)(uintptr_t)cases[i].had, NULL };

		start(env);
		CU_ASSERT_EQUAL(count_of(cases[i].had), 1);
		CU_ASSERT_EQUAL(got.env_count, cases[i].added ? 4 : 1);
		CU_ASSERT_EQUAL(count_of(entry), cases[i].added);
	}
	/* What the program has set itself stays; what only begins so is something else */
	{
		char *env[] = { (char[]){ "PEERNET_SOCKET=" },
				(char[]){ "PEERNET_LISTENER=x" }, NULL };

		start(env);
		CU_ASSERT_EQUAL(got.env_count, 4);
		CU_ASSERT_EQUAL(count_of("PEERNET_SOCKET="), 1);
		CU_ASSERT_EQUAL(count_of(KEPT), 0);
		CU_ASSERT_EQUAL(count_of("PEERNET_LISTENER=x"), 1);
		CU_ASSERT_EQUAL(count_of(KEPT_TOO), 1);
	}
	shim()->on = false;
	start(NULL);
	CU_ASSERT_EQUAL(got.env_count, 0);
	shim()->on = true;
}

/* None, an empty one, and large ones, which keep their order */
static void test_sizes(void)
{
	static char text[ENTRIES][16];
	static char *env[ENTRIES];
	char entry[4 * PATH_MAX];

	entry_of(entry, "%");
	start(NULL);
	CU_ASSERT_EQUAL(got.env_count, 3);
	for (size_t n = 0; n < ENTRIES - 4; n += n < 40 ? 1 : 37) {
		for (size_t i = 0; i < n; i++) {
			sprintf(text[i], "V%zu=%zu", i, i * i);
			env[i] = text[i];
		}
		env[n] = NULL;
		start(env);
		CU_ASSERT_EQUAL(got.env_count, n + 3);
		CU_ASSERT_EQUAL(count_of(entry), 1);
		CU_ASSERT_EQUAL(count_of(KEPT), 1);
		for (size_t i = 0; i < n; i++)
			CU_ASSERT_STRING_EQUAL(got.env[i], text[i]);
	}
}

/* Longer than whatever has a limit */
static void test_long_list(void)
{
	static char had[5 * PATH_MAX], gets[7 * PATH_MAX];
	char *env[] = { had, NULL };
	size_t n = (size_t)sprintf(had, "LD_PRELOAD=");

	memset(had + n, 'x', sizeof(had) - n - 1);
	sprintf(gets, "LD_PRELOAD=%s:%s", library, had + n);
	start(env);
	CU_ASSERT_EQUAL(got.env_count, 3);
	CU_ASSERT_EQUAL(count_of(gets), 1);
}

/* The loader cannot find it in a list then, and nor could we: it would get longer each time */
static void test_path_with_separator(void)
{
	static const char *const names[] = { "a b", "a:b", "ab" };
	char *env[] = { (char[]){ "A=b" }, NULL };
	char dir[] = "/tmp/pn-exec-XXXXXX", path[100];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	for (size_t i = 0; i < PN_ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		fclose(fopen(path, "w"));
		loaded_as = path;
		exec_setup();
		start(env);
		CU_ASSERT_EQUAL(got.env_at == env, strlen(names[i]) == 3);
		unlink(path);
	}
	rmdir(dir);
	loaded_as = NULL;
	exec_setup();
}

/* A call's program and arguments, and what there is of the environment */
static void expect(int ret, const char *what, size_t entries)
{
	char entry[4 * PATH_MAX];

	CU_ASSERT_EQUAL(errno, ENOEXEC);
	CU_ASSERT(ret == -1 || ret == ENOEXEC);
	CU_ASSERT_STRING_EQUAL(got.what, what);
	CU_ASSERT_EQUAL(got.env_count, entries);
	CU_ASSERT_EQUAL(count_of(entry_of(entry, "%")), 1);
	got.what[0] = '\0';
}

static void test_calls(void)
{
	char *argv[] = { (char[]){ "a" }, (char[]){ "b" }, NULL };
	char *mine[] = { (char[]){ "A=b" }, NULL }, **saved = environ;
	pid_t pid = 0;

	expect(execve("/p", argv, mine), "/p a b", 4);
	expect(execvpe("p", argv, mine), "p a b", 4);
	expect(fexecve(7, argv, mine), "seven a b", 4);
	expect(execveat(7, "/p", argv, mine, AT_EMPTY_PATH), "/p a b", 4);
	expect(execle("/p", "a", NULL, mine), "/p a", 4);
	expect(execle("/p", "a", "b", "c", NULL, mine), "/p a b c", 4);
	expect(posix_spawn(&pid, "/p", NULL, NULL, argv, mine), "/p a b", 4);
	expect(posix_spawnp(&pid, "p", NULL, NULL, argv, mine), "p a b", 4);
	CU_ASSERT_EQUAL(pid, 42);
	environ = NULL;
	expect(execv("/p", argv), "/p a b", 3);
	expect(execvp("p", argv), "p a b", 3);
	expect(execl("/p", "a", "b", NULL), "/p a b", 3);
	expect(execlp("p", "a", NULL), "p a", 3);
	environ = saved;
	fake_below()->execveat = NULL;
	CU_ASSERT_EQUAL(execveat(7, "/p", argv, mine, AT_EMPTY_PATH), -1);
	CU_ASSERT_EQUAL(errno, ENOSYS);
	below_exec();
}

static CU_TestInfo tests[] = {
	{ "LD_PRELOAD", test_preload },
	{ "settings", test_settings },
	{ "environments of all sizes", test_sizes },
	{ "a long list", test_long_list },
	{ "a path with a separator", test_path_with_separator },
	{ "all calls", test_calls },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_shim_exec = {
	.pName = "shim exec", .pInitFunc = suite_init, .pCleanupFunc = suite_clean, .pTests = tests,
};
