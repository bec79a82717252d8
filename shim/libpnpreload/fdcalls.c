/* SPDX-License-Identifier: ISC */
/* Calls that make and unmake descriptors' numbers: close, dup, fcntl, ioctl. */
#include "shim/libpnpreload/shim.h"

#include "libpeernet/base/pn_assert.h"
#include "shim/libpnpreload/names.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- close -------------------------------------------------------------- */

/* A program that set SO_LINGER to 0 s wants a reset, not an end.  A forked
 * child that closes its copy does not.  The caller has one reference. */
static void close_reset(struct sock *s, int fd)
{
	if (s->kind == SOCK_STREAMS && s->reset && s->state == SOCK_CONNECTED &&
	    s->refs == 2 && s->owner == getpid())
		dm_reset(fd, s->key);
}

/* The table forgets the number first, since another thread may get it at once;
 * but what is hidden for the socket goes last: the daemon takes the end of a
 * listener's liveness as the sign to see whether the listener is closed. */
static int close_ours(int fd)
{
	struct sock *s = fd_get(fd);
	int ret;

	if (s)
		close_reset(s, fd);
	fd_drop(fd);
	ret = real()->close(fd);
	if (s)
		sock_put(s);
	return ret;
}

/* Before the number is closed, as in close_ours() */
static void forget_dns(int fd)
{
	if (__builtin_expect(dns_is_client(fd), 0))
		dns_forget((unsigned int)fd, (unsigned int)fd);
}

HOOK int close(int fd)
{
	forget_dns(fd);
	if (__builtin_expect(!fd_peek(fd), 1))
		return real()->close(fd);
	return fd_is_internal(fd) ? fail(EBADF) : close_ours(fd);
}

/* libc closes the descriptor of a stream by itself */
HOOK int fclose(FILE *f)
{
	int fd = f ? fileno(f) : -1;

	forget_dns(fd);
	if (fd >= 0 && fd_peek(fd) && !fd_is_internal(fd))
		fd_drop(fd);
	return real()->fclose(f);
}

static int range_close(unsigned int first, unsigned int last, int flags)
{
	return real()->close_range ? real()->close_range(first, last, flags) : fail(ENOSYS);
}

/* All but our own: the gaps between them. */
HOOK int close_range(unsigned int first, unsigned int last, int flags)
{
	unsigned int from = first;
	struct sock *s;
	int fd;

	/* What closes nothing, the kernel's complaints included, is for it alone */
	if (!shim()->on || first > last || flags & ~CLOSE_RANGE_UNSHARE)
		return range_close(first, last, flags);
	dns_forget(first, last);
	for (fd = first > INT_MAX ? -1 : fd_next((int)first, &s);
	     fd >= 0 && (unsigned int)fd <= last; fd = fd_next(fd + 1, &s)) {
		if (!fd_is_internal(fd)) {
			close_ours(fd);
			continue;
		}
		if ((unsigned int)fd > from && range_close(from, (unsigned int)fd - 1, flags))
			return -1;
		from = (unsigned int)fd + 1;
	}
	return from > last ? 0 : range_close(from, last, flags);
}

HOOK void closefrom(int first)
{
	int saved = errno;

	if (first < 0)
		first = 0;
	if (close_range((unsigned int)first, UINT_MAX, 0)) {
		long fd, end = sysconf(_SC_OPEN_MAX);

		for (fd = first; fd < end; fd++)
			close((int)fd);
	}
	errno = saved;
}

/* --- dup ------------------------------------------------------------------ */

static int dup_enter(int from, int to)
{
	struct sock *s;

	if (to < 0)
		return to;
	dns_dup(from, to);
	s = fd_get(from);
	if (s) {
		fd_bind(to, s);
		sock_put(s);
	} else {
		fd_drop(to);
	}
	return to;
}

HOOK int dup(int fd)
{
	if (fd_is_internal(fd))
		return fail(EBADF);
	return dup_enter(fd, real()->dup(fd));
}

static int dup_real(int fd, int to, int flags, bool three)
{
	return three ? real()->dup3(fd, to, flags) : real()->dup2(fd, to);
}

/* Onto a number that the program has not, but we have.  What the kernel refuses whatever the
 * number moves nothing. */
static int dup_onto_hidden(int fd, int to, int flags, bool three)
{
	int saved = errno, err, ret;

	if (flags & ~O_CLOEXEC)
		return dup_real(fd, to, flags, three);
	if (real()->fcntl(fd, F_GETFD, NULL) < 0)
		return -1;
	err = fd_evict(to);
	if (err)
		return fail(err);
	errno = saved;
	ret = dup_real(fd, to, flags, three);
	if (ret < 0) {
		saved = errno;
		real()->close(to);
		errno = saved;
	}
	return ret;
}

static int dup_onto(int fd, int to, int flags, bool three)
{
	if (fd_is_internal(fd))
		return fail(EBADF);
	if (fd == to)
		return dup_real(fd, to, flags, three);
	return dup_enter(fd, fd_is_internal(to) ? dup_onto_hidden(fd, to, flags, three) :
						  dup_real(fd, to, flags, three));
}

HOOK int dup2(int fd, int to)
{
	return dup_onto(fd, to, 0, false);
}

HOOK int dup3(int fd, int to, int flags)
{
	return dup_onto(fd, to, flags, true);
}

/* --- fcntl, ioctl --------------------------------------------------------- */

static int fcntl_inner(int fd, int cmd, void *arg)
{
	int ret;

	if (fd_is_internal(fd))
		return fail(EBADF);
	ret = real()->fcntl(fd, cmd, arg);
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)
		return dup_enter(fd, ret);
	return ret;
}

/* As libc does: every command takes one word or none */
HOOK int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_inner(fd, cmd, arg);
}

HOOK int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fcntl_inner(fd, cmd, arg);
}

/* Questions about interfaces are put to any IP socket; AF_UNIX has no answer */
static int ioctl_by_proxy(int fd, unsigned long request, void *arg)
{
	int ret = real()->ioctl(fd, request, arg), tmp;

	if (!ret || errno != ENOTTY || request >> 8 != 0x89)
		return ret;
	tmp = real()->socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (tmp < 0)
		return fail(ENOTTY);
	ret = real()->ioctl(tmp, request, arg);
	real()->close(tmp);
	return ret;
}

/* UDP tells the size of the next datagram, AF_UNIX of all, with our headers */
static int ioctl_fionread(struct sock *s, int fd, int *bytes)
{
	struct msghdr msg = { 0 };
	int saved = errno;
	ssize_t n;

	if (!bytes)
		return fail(EFAULT);
	dgram_look(s, fd);
	n = s->so_error ? 0 : dgram_recv(s, fd, &msg, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	*bytes = n < 0 ? 0 : (int)n;
	errno = saved;
	return 0;
}

/* What is not yet sent: the buffer's room, with the kernel's own overhead, is no answer */
static int ioctl_outq(struct sock *s, int fd, unsigned long request, int *bytes)
{
	if (s->state == SOCK_LISTENING)
		return fail(EINVAL);
	if (!bytes)
		return fail(EFAULT);
	if (request == SIOCOUTQ && s->state == SOCK_CONNECTED)
		return real()->ioctl(fd, request, bytes);
	*bytes = 0;
	return 0;
}

HOOK int ioctl(int fd, unsigned long request, ...)
{
	struct sock *s = fd_get(fd);
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!s)
		return real()->ioctl(fd, request, arg);
	if (s->kind == SOCK_DGRAMS && request == FIONREAD)
		ret = ioctl_fionread(s, fd, (int *)arg);
	else if (s->kind == SOCK_STREAMS && (request == SIOCOUTQ || request == SIOCOUTQNSD))
		ret = ioctl_outq(s, fd, request, arg);
	else if (s->kind == SOCK_DGRAMS && request == SIOCATMARK)
		ret = fail(ENOTTY);
	else
		ret = ioctl_by_proxy(fd, request, arg);
	sock_put(s);
	return ret;
}

/* --- processes -------------------------------------------------------------- */

/* A sandbox follows, which may kill for a system call: no questions any more */
HOOK int prctl(int option, ...)
{
	unsigned long arg[4];
	va_list ap;
	size_t i;

	va_start(ap, option);
	for (i = 0; i < PN_ARRAY_LEN(arg); i++)
		arg[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
		atomic_store(&shim()->sandboxed, true);
	return real()->prctl(option, arg[0], arg[1], arg[2], arg[3]);
}

/* The daemon's socket may be out of reach there: go to it before, if nobody has yet */
HOOK int chroot(const char *path)
{
	int saved = errno;

	if (shim()->on && !shim()->sandboxed)
		dm_ready();
	errno = saved;
	return real()->chroot(path);
}

/* The child of vfork() shares our table and closes descriptors, which must not
 * be forgotten in the parent.  So it is fork(); the parent goes on when the
 * child has called exec or has ended, told by a pipe that closes by itself. */
static _Atomic int vfork_pipe = -1;

/* A grandchild must not keep the parent waiting */
static void vfork_forget(void)
{
	fd_unhide(atomic_exchange(&vfork_pipe, -1));
}

void vfork_fd_moved(int from, int to)
{
	atomic_compare_exchange_strong(&vfork_pipe, &from, to);
}

__attribute__((constructor)) static void vfork_setup(void)
{
	pthread_atfork(NULL, NULL, vfork_forget);
}

HOOK pid_t vfork(void)
{
	int pipefd[2], saved;
	char byte;
	pid_t pid;

	if (!shim()->on || pipe2(pipefd, O_CLOEXEC))
		return fork();
	pipefd[1] = fd_hide(pipefd[1]);
	pid = fork();
	if (!pid) {
		atomic_store(&vfork_pipe, pipefd[1]);
		real()->close(pipefd[0]);
		return 0;
	}
	saved = errno;
	fd_unhide(pipefd[1]);
	while (pid > 0 && real()->read(pipefd[0], &byte, 1) < 0 && errno == EINTR)
		;
	real()->close(pipefd[0]);
	errno = saved;
	return pid;
}
