/* SPDX-License-Identifier: ISC */
/* peernet.h - sockets by name: BSD-style calls over PeerNet
 *
 * Every call returns ordinary descriptors and, on failure, -1 with errno, as
 * the socket call of the same name.  read(), write(), poll(), shutdown() and
 * close() work directly on stream descriptors; datagrams go through the pn_
 * calls.  There is no global state; all calls are thread-safe.  They need a
 * running pnstackd(8); without one they fail with ENETDOWN.
 */
#ifndef PEERNET_H
#define PEERNET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AF_PEERNET 45          /* used inside struct sockaddr_pn only */
#define PF_PEERNET AF_PEERNET

/** struct sockaddr_pn - an identity and a port */
struct sockaddr_pn {
	sa_family_t spn_family;   /* AF_PEERNET */
	uint16_t spn_port;        /* network byte order, as sin_port */
	uint8_t spn_id[32];       /* identity (Ed25519 public key); all zero: any, or
	                             not known yet */
	uint8_t spn_hit[16];      /* its HIT; all zero with spn_id set: computed */
};

/** struct pn_addrinfo - one answer of pn_getaddrinfo(), a linked list */
struct pn_addrinfo {
	int ai_socktype;          /* SOCK_STREAM or SOCK_DGRAM */
	struct sockaddr_pn ai_addr;
	char *ai_canonname;       /* "<52 characters>.pn.alt", owned by the list */
	struct pn_addrinfo *ai_next;
};

int pn_socket(int domain, int type, int protocol);
int pn_bind(int fd, const struct sockaddr_pn *addr, socklen_t len);
int pn_listen(int fd, int backlog);
int pn_accept(int fd, struct sockaddr_pn *addr, socklen_t *len);
int pn_accept4(int fd, struct sockaddr_pn *addr, socklen_t *len, int flags);
int pn_connect(int fd, const struct sockaddr_pn *addr, socklen_t len);
ssize_t pn_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr_pn *to,
		  socklen_t len);
ssize_t pn_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr_pn *from,
		    socklen_t *len);
ssize_t pn_sendmsg(int fd, const struct msghdr *msg, int flags);
ssize_t pn_recvmsg(int fd, struct msghdr *msg, int flags);
int pn_getsockname(int fd, struct sockaddr_pn *addr, socklen_t *len);
int pn_getpeername(int fd, struct sockaddr_pn *addr, socklen_t *len);
int pn_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int pn_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int pn_close(int fd);

/** pn_getaddrinfo() - name (".pn.alt" name, petname or HIT) and port to addresses
 *  Return: 0 or an EAI_ code of <netdb.h>; @out is freed by pn_freeaddrinfo() */
int pn_getaddrinfo(const char *name, const char *service, int socktype, struct pn_addrinfo **out);
void pn_freeaddrinfo(struct pn_addrinfo *list);

#ifdef __cplusplus
}
#endif
#endif
