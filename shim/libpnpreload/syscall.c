/* SPDX-License-Identifier: ISC */
/* syscall(): programs that make system calls by number.
 *
 * Most of these are none of our business and go straight down.  Those that take or give
 * a socket are what the hooks of the same names do: otherwise an address of PeerNet's
 * would go to the kernel's network, and the table of descriptors would be wrong after a
 * close() or dup().
 *
 * What goes straight down must not set anything up: jemalloc opens, reads and closes a file
 * in this way, for the first malloc() of all, which holds its lock.
 */
#include "shim/libpnpreload/shim.h"

#include "shim/libpnpreload/names.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A word of the call as what it is */
#define INT(n_)		((int)a[n_])
#define SIZE(n_)	((size_t)a[n_])
#define LEN(n_)		((socklen_t)a[n_])
#define PTR(n_)		((void *)(uintptr_t)a[n_])
#define SA(n_)		((__SOCKADDR_ARG){ .__sockaddr__ = PTR(n_) })
#define CONST_SA(n_)	((__CONST_SOCKADDR_ARG){ .__sockaddr__ = PTR(n_) })

/* Making, naming and ending sockets.  Return: false if it is no such call */
static bool call_socket(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_socket:
		*ret = socket(INT(0), INT(1), INT(2));
		return true;
	case SYS_connect:
		*ret = connect(INT(0), CONST_SA(1), LEN(2));
		return true;
	case SYS_bind:
		*ret = bind(INT(0), CONST_SA(1), LEN(2));
		return true;
	case SYS_listen:
		*ret = listen(INT(0), INT(1));
		return true;
#ifdef SYS_accept
	case SYS_accept:
		*ret = accept(INT(0), SA(1), PTR(2));
		return true;
#endif
	case SYS_accept4:
		*ret = accept4(INT(0), SA(1), PTR(2), INT(3));
		return true;
	case SYS_getsockname:
		*ret = getsockname(INT(0), SA(1), PTR(2));
		return true;
	case SYS_getpeername:
		*ret = getpeername(INT(0), SA(1), PTR(2));
		return true;
	case SYS_getsockopt:
		*ret = getsockopt(INT(0), INT(1), INT(2), PTR(3), PTR(4));
		return true;
	case SYS_setsockopt:
		*ret = setsockopt(INT(0), INT(1), INT(2), PTR(3), LEN(4));
		return true;
	case SYS_shutdown:
		*ret = shutdown(INT(0), INT(1));
		return true;
	default:
		return false;
	}
}

static bool call_io(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_sendto:
		*ret = sendto(INT(0), PTR(1), SIZE(2), INT(3), CONST_SA(4), LEN(5));
		return true;
	case SYS_sendmsg:
		*ret = sendmsg(INT(0), PTR(1), INT(2));
		return true;
	case SYS_sendmmsg:
		*ret = sendmmsg(INT(0), PTR(1), (unsigned int)a[2], INT(3));
		return true;
	case SYS_recvfrom:
		*ret = recvfrom(INT(0), PTR(1), SIZE(2), INT(3), SA(4), PTR(5));
		return true;
	case SYS_recvmsg:
		*ret = recvmsg(INT(0), PTR(1), INT(2));
		return true;
	case SYS_recvmmsg:
		*ret = recvmmsg(INT(0), PTR(1), (unsigned int)a[2], INT(3), PTR(4));
		return true;
	case SYS_read:
		*ret = read(INT(0), PTR(1), SIZE(2));
		return true;
	case SYS_readv:
		*ret = readv(INT(0), PTR(1), INT(2));
		return true;
	case SYS_write:
		*ret = write(INT(0), PTR(1), SIZE(2));
		return true;
	case SYS_writev:
		*ret = writev(INT(0), PTR(1), INT(2));
		return true;
	default:
		return false;
	}
}

static bool call_number(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_close:
		*ret = close(INT(0));
		return true;
#ifdef SYS_close_range
	case SYS_close_range:
		*ret = close_range((unsigned int)a[0], (unsigned int)a[1], INT(2));
		return true;
#endif
	case SYS_dup:
		*ret = dup(INT(0));
		return true;
#ifdef SYS_dup2
	case SYS_dup2:
		*ret = dup2(INT(0), INT(1));
		return true;
#endif
	case SYS_dup3:
		*ret = dup3(INT(0), INT(1), INT(2));
		return true;
	case SYS_fcntl:
		*ret = fcntl(INT(0), INT(1), PTR(2));
		return true;
	case SYS_ioctl:
		*ret = ioctl(INT(0), (unsigned long)a[1], PTR(2));
		return true;
	case SYS_epoll_ctl:
		*ret = epoll_ctl(INT(0), INT(1), INT(2), PTR(3));
		return true;
	default:
		return false;
	}
}

static bool call_process(long number, const long a[6], long *ret)
{
	switch (number) {
	case SYS_execve:
		*ret = execve(PTR(0), PTR(1), PTR(2));
		return true;
#ifdef SYS_execveat
	case SYS_execveat:
		*ret = execveat(INT(0), PTR(1), PTR(2), PTR(3), INT(4));
		return true;
#endif
	case SYS_prctl:
		*ret = prctl(INT(0), a[1], a[2], a[3], a[4]);
		return true;
#ifdef SYS_io_uring_setup
	case SYS_io_uring_setup:
		/* What goes through a ring passes nobody's hooks: programs that ask in this way
		 * do without where a kernel has none. */
		*ret = fail(ENOSYS);
		return shim()->on;
#endif
	case SYS_seccomp:
		atomic_store(&shim()->sandboxed, true);
		return false;
	default:
		return false;
	}
}

/* Return: it is only about a descriptor, and that is not one of ours */
static bool is_foreign(long number, const long a[6])
{
	switch (number) {
	case SYS_write:
	case SYS_writev:
	case SYS_close:
		return !fd_peek(INT(0)) && !dns_is_client(INT(0));
	case SYS_read:
	case SYS_readv:
	case SYS_fcntl:
	case SYS_ioctl:
		return !fd_peek(INT(0));
	default:
		return false;
	}
}

static long straight(long number, const long a[6])
{
	static _Atomic(void *) found;
	long (*below)(long, ...);
	void *at = atomic_load_explicit(&found, memory_order_relaxed);

	if (!at) {
		at = dlsym(RTLD_NEXT, "syscall");
		atomic_store_explicit(&found, at, memory_order_relaxed);
	}
	memcpy(&below, &at, sizeof(below));
	return below(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

HOOK long syscall(long number, ...)
{
	long a[6], ret;
	va_list ap;
	size_t i;

	/* As libc does: six words, whatever there is */
	va_start(ap, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!is_foreign(number, a) && (call_socket(number, a, &ret) || call_io(number, a, &ret) ||
				       call_number(number, a, &ret) ||
				       call_process(number, a, &ret)))
		return ret;
	return straight(number, a);
}
