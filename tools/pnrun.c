/* SPDX-License-Identifier: ISC */
/* pnrun - run a program over PeerNet
 *
 * Sets LD_PRELOAD to the shim and becomes the program.  Before, it finds out
 * what the dynamic loader would ignore without a word: programs that are
 * statically linked, setuid, or of another architecture. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libpeernet/api_wire.h"
#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/words.h"
#include "libpeernet/client.h"

#define EXIT_OURS	125	/* as env(1): pnrun itself failed */
#define EXIT_CANNOT	126	/* found, but cannot be run like this */
#define EXIT_NOT_FOUND	127
#define SCRIPT_DEPTH	4	/* "#!" that leads to another, as Linux */
#define PHDR_MAX	128	/* program headers looked at */
#define SHIM_NAME	"libpnpreload.so"

static const char usage_text[] =
	"usage: pnrun [-o] [-l both|peernet|kernel] [-t file] program [argument ...]\n"
	"  -o, --only          nothing but PeerNet: all other connections fail\n"
	"  -l, --listen WHERE  where servers are reachable (both)\n"
	"  -t, --trace FILE    append what is decided for each socket to FILE\n"
	"  -h, --help          this text\n"
	"  -V, --version\n";

_Noreturn static void die(int code, const char *fmt, ...) PN_PRINTF(2, 3);
static void say(const char *fmt, ...) PN_PRINTF(1, 2);

static void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("pnrun: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
}

_Noreturn static void die(int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("pnrun: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(code);
}

/* --- the shim -------------------------------------------------------------- */

static bool readable(const char *path)
{
	return access(path, R_OK) == 0;
}

/* The directory in which this program lies */
static void own_dir(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	dir[n > 0 ? n : 0] = '\0';
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
}

/* Next to pnrun (as built), in ../lib (as installed), or where it was meant to be */
static void find_shim(char path[PATH_MAX])
{
	static const char *const places[] = { "%s/" SHIM_NAME, "%s/../lib/" SHIM_NAME };
	const char *env = getenv("PNRUN_SHIM");
	char dir[PATH_MAX], try[PATH_MAX + 32];
	size_t i;

	if (env && *env) {
		if (!readable(env) || !realpath(env, path))
			die(EXIT_OURS, "PNRUN_SHIM=%s: %s", env, strerror(errno));
		return;
	}
	own_dir(dir);
	for (i = 0; i < PN_ARRAY_LEN(places); i++) {
		snprintf(try, sizeof(try), i ? places[1] : places[0], dir);
		if (readable(try) && realpath(try, path))
			return;
	}
	if (readable(PN_LIBDIR "/" SHIM_NAME) && realpath(PN_LIBDIR "/" SHIM_NAME, path))
		return;
	die(EXIT_OURS, SHIM_NAME " is neither in %s nor in " PN_LIBDIR
	    ": set PNRUN_SHIM to its path", dir);
}

static void set_preload(const char *shim)
{
	const char *had = getenv("LD_PRELOAD");
	char *value;

	if (strpbrk(shim, PN_PRELOAD_SEPARATORS))
		die(EXIT_OURS, "%s: the loader takes no path with a space or colon in LD_PRELOAD",
		    shim);
	if (pn_words_have(had, PN_PRELOAD_SEPARATORS, shim))
		return;
	if (asprintf(&value, "%s%s%s", shim, had && *had ? ":" : "", had ? had : "") < 0 ||
	    setenv("LD_PRELOAD", value, 1))
		die(EXIT_OURS, "%s", strerror(errno));
	free(value);
}

/* --- the program ------------------------------------------------------------- */

/* As execvp() looks for it.  Ends the program if there is none. */
static void find_program(const char *name, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH"), *end;
	bool denied = false;
	struct stat st;
	size_t len;

	if (strchr(name, '/')) {
		if (stat(name, &st))
			die(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT, "%s: %s", name,
			    strerror(errno));
		if (!S_ISREG(st.st_mode) || access(name, X_OK))
			die(EXIT_CANNOT, "%s: not an executable file", name);
		snprintf(path, PATH_MAX, "%s", name);
		return;
	}
	if (!dirs || !*dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	for (; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		len = (size_t)(end - dirs);
		if (snprintf(path, PATH_MAX, "%.*s%s%s", (int)len, dirs, len ? "/" : "", name) >=
		    PATH_MAX || stat(path, &st) || !S_ISREG(st.st_mode))
			continue;
		if (!access(path, X_OK))
			return;
		denied = true;
	}
	die(denied ? EXIT_CANNOT : EXIT_NOT_FOUND, "%s: %s", name,
	    denied ? "not an executable file" : "not found in PATH");
}

/* Nobody gets rights from a file here: so the loader has no reason to be careful */
static bool gives_no_rights(int fd)
{
	struct statvfs fs;

	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	       (!fstatvfs(fd, &fs) && fs.f_flag & ST_NOSUID);
}

/* The loader ignores LD_PRELOAD where a program gets more rights than its user */
static void check_rights(const char *path, int fd)
{
	const char *what = NULL;
	struct stat st;

	if (fstat(fd, &st) || gives_no_rights(fd))
		return;
	if (st.st_mode & S_ISUID && st.st_uid != getuid())
		what = "setuid";
	else if (st.st_mode & S_ISGID && st.st_mode & S_IXGRP && st.st_gid != getgid())
		what = "setgid";
	else if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		what = "given file capabilities";
	if (what)
		die(EXIT_CANNOT, "%s is %s, so the loader would ignore the shim: run it as the "
		    "user it becomes, or run a copy without that right", path, what);
}

static void check_interpreter(const char *path, int fd, uint64_t off, uint64_t len)
{
	char interp[PATH_MAX] = "";

	if (pread(fd, interp, pn_min(len, sizeof(interp) - 1), (off_t)off) <= 0)
		return;
	if (strstr(interp, "musl"))
		die(EXIT_CANNOT, "%s uses %s, not the GNU C library, for which the shim is made: "
		    "run a build of it for this system", path, interp);
}

/* Only our own class of ELF has got here */
#if __SIZEOF_POINTER__ == 8
typedef Elf64_Ehdr elf_header;
typedef Elf64_Phdr elf_segment;
#define ELF_CLASS_OURS ELFCLASS64
#else
typedef Elf32_Ehdr elf_header;
typedef Elf32_Phdr elf_segment;
#define ELF_CLASS_OURS ELFCLASS32
#endif

static void check_dynamic(const char *path, int fd, const elf_header *h)
{
	elf_segment seg;
	unsigned int i;

	for (i = 0; i < h->e_phnum && i < PHDR_MAX; i++) {
		off_t at = (off_t)(h->e_phoff + (uint64_t)i * h->e_phentsize);

		if (pread(fd, &seg, sizeof(seg), at) != (ssize_t)sizeof(seg))
			break;
		if (seg.p_type == PT_INTERP) {
			check_interpreter(path, fd, seg.p_offset, seg.p_filesz);
			return;
		}
	}
	die(EXIT_CANNOT, "%s is statically linked, so nothing can be loaded into it: run a "
	    "dynamically linked build of it", path);
}

static bool own_header(elf_header *h)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && pread(fd, h, sizeof(*h), 0) == (ssize_t)sizeof(*h);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void check_elf(const char *path, int fd)
{
	elf_header h, own;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return;
	if (h.e_ident[EI_CLASS] != ELF_CLASS_OURS ||
	    (own_header(&own) && h.e_machine != own.e_machine))
		die(EXIT_CANNOT, "%s is for another architecture than the shim: run a build of it "
		    "for this one", path);
	check_rights(path, fd);
	check_dynamic(path, fd, &h);
}

/* The interpreter of a script: false if it is none */
static bool script_interpreter(int fd, char out[PATH_MAX])
{
	char line[256];
	ssize_t n = pread(fd, line, sizeof(line) - 1, 0);
	char *start, *end;

	if (n < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	end = start + strcspn(start, " \t\n");
	*end = '\0';
	snprintf(out, PATH_MAX, "%s", start);
	return *start != '\0';
}

/* @path becomes that of the interpreter of a script, as often as Linux would */
static void check_program(char path[PATH_MAX])
{
	char magic[SELFMAG];
	bool again = true;
	int depth, fd;

	for (depth = 0; again && depth <= SCRIPT_DEPTH; depth++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* What may be run but not read is left to the system */
		if (fd < 0)
			return;
		again = false;
		if (pread(fd, magic, SELFMAG, 0) == SELFMAG && !memcmp(magic, ELFMAG, SELFMAG))
			check_elf(path, fd);
		else
			again = script_interpreter(fd, path);
		close(fd);
	}
}

/* --- the daemon ------------------------------------------------------------------ */

/* Only a warning: the program may have other things to do, or wait for it */
static void check_daemon(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (!*pn_client_path(un.sun_path, sizeof(un.sun_path))) {
		say("the name of the daemon's socket in " PN_API_SOCKET_ENV " is too long");
		return;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&un, sizeof(un))) {
		if (errno == EACCES)
			say("%s: permission denied: join the group that owns it", un.sun_path);
		else
			say("no daemon at %s: PeerNet will not be reached (start pnstackd, or set "
			    PN_API_SOCKET_ENV ")", un.sun_path);
	}
	close(fd);
}

/* --- options ---------------------------------------------------------------------- */

static void set_trace(const char *file)
{
	char path[PATH_MAX];
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || !realpath(file, path))
		die(EXIT_OURS, "%s: %s", file, strerror(errno));
	close(fd);
	setenv("PEERNET_TRACE", path, 1);
}

static void set_listen(const char *where)
{
	if (strcmp(where, "both") && strcmp(where, "peernet") && strcmp(where, "kernel"))
		die(EXIT_OURS, "--listen %s: must be both, peernet or kernel", where);
	setenv("PEERNET_LISTEN", where, 1);
}

static void options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "only", no_argument, NULL, 'o' },
		{ "listen", required_argument, NULL, 'l' },
		{ "trace", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	/* "+": options behind the program are the program's */
	while ((c = getopt_long(argc, argv, "+ol:t:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'o':
			setenv("PEERNET_ONLY", "1", 1);
			break;
		case 'l':
			set_listen(optarg);
			break;
		case 't':
			set_trace(optarg);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		case 'V':
			puts("pnrun " PN_VERSION);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(EXIT_OURS);
		}
	}
}

int main(int argc, char **argv)
{
	char shim[PATH_MAX], program[PATH_MAX];

	options(argc, argv);
	if (optind == argc) {
		fputs(usage_text, stderr);
		return EXIT_OURS;
	}
	find_shim(shim);
	find_program(argv[optind], program);
	check_program(program);
	check_daemon();
	unsetenv("PEERNET"); /* "off" would make all this useless */
	set_preload(shim);
	execvp(argv[optind], argv + optind);
	die(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT, "%s: %s", argv[optind],
	    strerror(errno));
}
