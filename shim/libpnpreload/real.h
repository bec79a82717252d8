/* SPDX-License-Identifier: ISC */
/* The functions that lie under the shim: libc's (or another preload library's).
 *
 * One list names them all; it makes the structure here and the look-up in
 * real.c.  real() resolves them at the first use, which may be before the
 * shim's own constructor has run. */
#ifndef SHIM_REAL_H
#define SHIM_REAL_H

#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#define SHIM_REAL_LIST(R) \
	R(int, socket, (int, int, int)) \
	R(int, socketpair, (int, int, int, int *)) \
	R(int, connect, (int, const struct sockaddr *, socklen_t)) \
	R(int, bind, (int, const struct sockaddr *, socklen_t)) \
	R(int, listen, (int, int)) \
	R(int, accept4, (int, struct sockaddr *, socklen_t *, int)) \
	R(int, getsockname, (int, struct sockaddr *, socklen_t *)) \
	R(int, getpeername, (int, struct sockaddr *, socklen_t *)) \
	R(int, getsockopt, (int, int, int, void *, socklen_t *)) \
	R(int, setsockopt, (int, int, int, const void *, socklen_t)) \
	R(int, shutdown, (int, int)) \
	R(ssize_t, read, (int, void *, size_t)) \
	R(ssize_t, readv, (int, const struct iovec *, int)) \
	R(ssize_t, write, (int, const void *, size_t)) \
	R(ssize_t, writev, (int, const struct iovec *, int)) \
	R(ssize_t, send, (int, const void *, size_t, int)) \
	R(ssize_t, sendto, (int, const void *, size_t, int, \
			    const struct sockaddr *, socklen_t)) \
	R(ssize_t, sendmsg, (int, const struct msghdr *, int)) \
	R(int, sendmmsg, (int, struct mmsghdr *, unsigned int, int)) \
	R(ssize_t, recv, (int, void *, size_t, int)) \
	R(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, \
			      socklen_t *)) \
	R(ssize_t, recvmsg, (int, struct msghdr *, int)) \
	R(int, recvmmsg, (int, struct mmsghdr *, unsigned int, int, \
			  struct timespec *)) \
	R(ssize_t, __read_chk, (int, void *, size_t, size_t)) \
	R(ssize_t, __recv_chk, (int, void *, size_t, size_t, int)) \
	R(ssize_t, __recvfrom_chk, (int, void *, size_t, size_t, int, \
				    struct sockaddr *, socklen_t *)) \
	R(int, poll, (struct pollfd *, nfds_t, int)) \
	R(int, epoll_ctl, (int, int, int, struct epoll_event *)) \
	R(int, dup, (int)) \
	R(int, dup2, (int, int)) \
	R(int, dup3, (int, int, int)) \
	R(int, fcntl, (int, int, ...)) \
	R(int, ioctl, (int, unsigned long, ...)) \
	R(int, prctl, (int, ...)) \
	R(int, chroot, (const char *)) \
	R(int, close, (int)) \
	R(int, close_range, (unsigned int, unsigned int, int)) \
	R(int, fclose, (FILE *)) \
	R(int, execve, (const char *, char *const[], char *const[])) \
	R(int, execvpe, (const char *, char *const[], char *const[])) \
	R(int, fexecve, (int, char *const[], char *const[])) \
	R(int, execveat, (int, const char *, char *const[], char *const[], int)) \
	R(int, posix_spawn, (pid_t *, const char *, \
			     const posix_spawn_file_actions_t *, \
			     const posix_spawnattr_t *, char *const[], \
			     char *const[])) \
	R(int, posix_spawnp, (pid_t *, const char *, \
			      const posix_spawn_file_actions_t *, \
			      const posix_spawnattr_t *, char *const[], \
			      char *const[])) \
	R(int, getaddrinfo, (const char *, const char *, \
			     const struct addrinfo *, struct addrinfo **)) \
	R(void, freeaddrinfo, (struct addrinfo *)) \
	R(int, getnameinfo, (const struct sockaddr *, socklen_t, char *, \
			     socklen_t, char *, socklen_t, int)) \
	R(int, getifaddrs, (struct ifaddrs **)) \
	R(void, freeifaddrs, (struct ifaddrs *)) \
	R(struct hostent *, gethostbyname, (const char *)) \
	R(struct hostent *, gethostbyname2, (const char *, int)) \
	R(int, gethostbyname_r, (const char *, struct hostent *, char *, size_t, \
				 struct hostent **, int *)) \
	R(int, gethostbyname2_r, (const char *, int, struct hostent *, char *, \
				  size_t, struct hostent **, int *)) \
	R(struct hostent *, gethostbyaddr, (const void *, socklen_t, int)) \
	R(int, gethostbyaddr_r, (const void *, socklen_t, int, struct hostent *, \
				 char *, size_t, struct hostent **, int *)) \
	R(int, res_query, (const char *, int, int, unsigned char *, int)) \
	R(int, res_search, (const char *, int, int, unsigned char *, int)) \
	R(int, res_nquery, (void *, const char *, int, int, unsigned char *, \
			    int)) \
	R(int, res_nsearch, (void *, const char *, int, int, unsigned char *, \
			     int)) \
	R(int, res_querydomain, (const char *, const char *, int, int, \
				 unsigned char *, int)) \
	R(int, res_nquerydomain, (void *, const char *, const char *, int, int, \
				  unsigned char *, int)) \
	R(int, res_send, (const unsigned char *, int, unsigned char *, int)) \
	R(int, res_nsend, (void *, const unsigned char *, int, unsigned char *, int)) \
	R(int, getaddrinfo_a, (int, struct gaicb **, int, struct sigevent *))

/**
 * struct shim_real - A pointer to each function below the shim
 *
 * NULL where the C library has no such function.
 */
struct shim_real {
#define R(ret_, name_, args_) ret_ (*name_) args_;
	SHIM_REAL_LIST(R)
#undef R
};

/** real() - The functions below; resolves them at the first call
 * Return: the table, for ever; keeps errno
 */
const struct shim_real *real(void);

#endif /* SHIM_REAL_H */
