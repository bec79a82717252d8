/* SPDX-License-Identifier: ISC */
/* The shim's maxima.  (They do not stand in pn_limits.h, since they bind
 * nothing but the shim.) */
#ifndef SHIM_LIMITS_H
#define SHIM_LIMITS_H

#define FD_BLOCK	1024	/* numbers in a block of the table */
#define FD_BLOCK_COUNT	1024
#define FD_MAX		((unsigned int)FD_BLOCK * FD_BLOCK_COUNT)
#define FD_HIDDEN_MIN	1000	/* where the shim's own descriptors begin */

#define SOCK_BLOCK	128	/* sockets allocated at once */
#define SOCK_BLOCK_COUNT 2048
#define SOCK_MAX	((unsigned int)SOCK_BLOCK * SOCK_BLOCK_COUNT)

#define ENV_KEEP_MAX	8	/* variables handed on to children */
#define ENV_VALUE_MAX	4096	/* bytes of one of them, with name and NUL */
#define ARGS_MAX	4096	/* arguments of execl() and its like */
#define EPOLL_SETS_MAX	64	/* epoll sets that one socket is in */
#define MMSG_MAX	1024	/* messages in one sendmmsg() or recvmmsg(), as Linux */
#define IOV_MAX_SHIM	1024	/* pieces of one message, as Linux */
#define IO_MAX		0x7ffff000u	/* bytes of one call, as Linux */
#define RES_TTL		60	/* s, of what is said in the DNS's place */
#define DNS_QUESTIONS_MAX 4	/* in one message to the DNS; RFC 9619 has one at most */
#define MAP4_CACHE	64	/* HITs whose IPv4 address is remembered */

#endif /* SHIM_LIMITS_H */
