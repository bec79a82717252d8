/* SPDX-License-Identifier: ISC */
/* client.h - talking to the daemon: what libpeernet and the shim share
 *
 * Internal, not installed.  The protocol is in api_wire.h.  All functions:
 *   - return 0 (or a descriptor, or a count) and on failure a negative errno,
 *     such as -ECONNREFUSED; no daemon is -ENETDOWN.  errno itself is clobbered:
 *     a caller that must keep it, saves it;
 *   - never wait for longer than PN_CLIENT_WAIT_MS, except where told;
 *   - may be called by several threads at once and after fork() (no locks);
 *   - make socket calls through pn_client.sys only, so that a program that
 *     interposes these calls in itself can hand in the real ones;
 *   - never raise SIGPIPE, never leave a descriptor without close-on-exec, save
 *     the connector if keep_on_exec.
 */
#ifndef PN_CLIENT_H
#define PN_CLIENT_H

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "libpeernet/api_wire.h"

#define PN_CLIENT_WAIT_MS 5000     /* for an answer of the daemon */
#define PN_CLIENT_PATH_MAX 108     /* bytes with NUL, as in sun_path */
#define PN_CLIENT_IOV_MAX 1024     /* pieces of one datagram, as Linux */

/** struct pn_client_sys - the socket calls that client.c makes */
struct pn_client_sys {
	int (*socket)(int domain, int type, int protocol);
	int (*socketpair)(int domain, int type, int protocol, int fds[2]);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*sendmsg)(int fd, const struct msghdr *msg, int flags);
	ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
	ssize_t (*send)(int fd, const void *buf, size_t len, int flags);
	ssize_t (*recv)(int fd, void *buf, size_t len, int flags);
	int (*getsockname)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getpeername)(int fd, struct sockaddr *addr, socklen_t *len);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len);
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len);
	int (*poll)(struct pollfd *fds, nfds_t n, int timeout_ms);
	int (*fcntl)(int fd, int cmd, ...);
	int (*dup3)(int from, int to, int flags);
	int (*close)(int fd);
};
extern const struct pn_client_sys pn_client_libc;

/** struct pn_client - one per process; PN_CLIENT_INIT or pn_client_init()
 * @sys:          socket calls, borrowed
 * @keep_on_exec: the connector is made without close-on-exec
 * @fd_floor:     least number the connector may have (0: any); a program that
 *                closes 3 and up by hand does not hit a high one by chance
 * @path:         the daemon's socket, borrowed; NULL: pn_client_path() tells
 * @connector:    descriptor << 32 | inode number of the socket, 0 none.  The inode
 *                tells whether it is still that socket or the program has closed
 *                it and reused the number
 */
struct pn_client {
	const struct pn_client_sys *sys;
	bool keep_on_exec;
	int fd_floor;
	const char *path;
	_Atomic uint64_t connector;
	_Atomic uint64_t uid;        /* daemon's, +1; 0: unknown */
	_Atomic int info_state;      /* 0 none, 1 being written, 2 valid */
	uint8_t hit[16];             /* of this node */
	uint8_t id[32];
};
#define PN_CLIENT_INIT { .sys = &pn_client_libc, }

/** pn_client_init() - @sys: NULL is libc's */
void pn_client_init(struct pn_client *c, const struct pn_client_sys *sys);

/** pn_client_path() - where the daemon's socket is: $PEERNET_SOCKET, else
 *  $XDG_RUNTIME_DIR/peernet.sock if it exists, else the default
 *  Return: @buf; "" if the name is too long for it */
const char *pn_client_path(char *buf, size_t cap);

/** pn_client_address() - the daemon's socket as an address: @path of @c, or
 *  pn_client_path().  Return: 0, or -ENETDOWN if the name is too long */
int pn_client_address(const struct pn_client *c, struct sockaddr_un *un);

/* The connector ------------------------------------------------------------- */

/** pn_client_connector() - Return: the connector, made if there is none or the
 *  daemon has gone; owned by @c */
int pn_client_connector(struct pn_client *c);

/** pn_client_adopt() - take a connector that was inherited through exec
 *  @fd:    becomes owned by @c on success
 *  Return: 0, -EBADF or -ENOTSOCK if it is no such thing */
int pn_client_adopt(struct pn_client *c, int fd);

/** pn_client_holds() - Is this descriptor the connector? (its close() by the
 *  program is to be ignored, or the number given up) */
bool pn_client_holds(const struct pn_client *c, int fd);

/** pn_client_drop() - close the connector; the next call makes a new one */
void pn_client_drop(struct pn_client *c);

/** pn_client_uid() - the daemon's user, as seen from this user namespace */
int pn_client_uid(struct pn_client *c, uid_t *uid);

/** pn_client_call() - ask and wait for the answer
 *  @msg:     fields; version is added
 *  @payload: what goes behind the message, at most PN_WIRE_NAME_MAX bytes
 *  @fds:     sent behind the reply descriptor, borrowed; at most 2
 *  @out:     the reply, valid on success only
 *  @out_fd:  descriptor in the reply (close-on-exec), -1 if none; NULL: closed
 *  Return: 0, or -errno: the daemon's (out->err) or that of reaching it */
int pn_client_call(struct pn_client *c, const struct pn_wire_msg *msg, const void *payload,
		   size_t payload_len, const int *fds, size_t fd_count,
		   struct pn_wire_reply *out, int *out_fd);

/** pn_client_tell() - a message without an answer */
int pn_client_tell(struct pn_client *c, const struct pn_wire_msg *msg, const int *fds,
		   size_t fd_count);

/** pn_client_key() - 16 random bytes */
void pn_client_key(uint8_t key[16]);

/* Names and addresses --------------------------------------------------------- */

/** pn_client_info() - HIT and identity of this node; remembered. @hit, @id may be NULL */
int pn_client_info(struct pn_client *c, uint8_t hit[16], uint8_t id[32]);
/** pn_client_resolve() - name (".pn.alt", petname, HIT literal) to HIT and identity
 *  (all zero if only the HIT is known).  -ENOENT: no such petname; -EINVAL: malformed,
 *  and not to be asked anywhere else.  @id may be NULL */
int pn_client_resolve(struct pn_client *c, const char *name, uint8_t hit[16], uint8_t id[32]);
/** pn_client_reverse() - HIT to petname or "<52 characters>.pn.alt"; -ENOENT.
 *  @id: NULL or out, all zero if unknown */
int pn_client_reverse(struct pn_client *c, const uint8_t hit[16],
		      char name[PN_WIRE_NAME_MAX + 1], uint8_t id[32]);
/** pn_client_map4() - the address of 198.18.0.0/15 that stands for a HIT, host order */
int pn_client_map4(struct pn_client *c, const uint8_t hit[16], uint32_t *addr4);
int pn_client_unmap4(struct pn_client *c, uint32_t addr4, uint8_t hit[16]);

/* Streams ----------------------------------------------------------------------- */

/** pn_client_stream_connect() - bind @fd to a struct pn_wire_name, connect it to
 *  the daemon and write the header.  Does not wait for the far end.
 *  @fd:         an AF_UNIX SOCK_STREAM socket, not bound, not connected; its number,
 *               O_NONBLOCK and close-on-exec stay.  Where the daemon's path cannot be
 *               reached (chroot), another socket is put under the number (dup3): then
 *               epoll registrations made before are lost, and 1 is returned
 *  @local_port: 0: a random one of 49152..65535
 *  @flags:      PN_WIRE_F_ANSWER: then pn_client_stream_answer() next;
 *               PN_WIRE_F_FILLER: then pn_client_fill() next; not both
 *  @key:        out, the conn id
 *  Return: 0 or 1; -EINVAL also when it is bound already */
int pn_client_stream_connect(struct pn_client *c, int fd, const uint8_t hit[16], uint16_t port,
			     uint16_t local_port, uint16_t flags, uint8_t key[16]);

/** pn_client_stream_fresh() - put a new socket, neither bound nor connected, under the
 *  number (dup3): to connect again after a failure.  Keeps O_NONBLOCK, close-on-exec and
 *  time-outs; epoll registrations are lost */
int pn_client_stream_fresh(struct pn_client *c, int fd);

/** pn_client_stream_answer() - wait for and take the four bytes of the answer, for
 *  as long as the daemon takes (or SO_SNDTIMEO of @fd)
 *  Return: 0 connected; -ECONNREFUSED...; -EINTR by a signal handler without
 *  SA_RESTART, -EINPROGRESS when SO_SNDTIMEO is over or @fd is O_NONBLOCK: then the
 *  answer is still to come, call again before anything is read */
int pn_client_stream_answer(struct pn_client *c, int fd);

/** pn_client_fill() - write filler until @fd is not writable and tell the daemon
 *  how much: from now POLLOUT means that the answer is there.  Leaves SO_SNDBUF small */
int pn_client_fill(struct pn_client *c, int fd, const uint8_t key[16]);

/** pn_client_filled() - has a connect with filler ended?  Never waits for it.  When
 *  it has, SO_SNDBUF is made normal (@sndbuf bytes, 0: the system's default)
 *  Return: 0 connected; -EINPROGRESS; else what went wrong, once */
int pn_client_filled(struct pn_client *c, int fd, const uint8_t key[16], int sndbuf);

/** pn_client_error() - why did this stream end?  Ask on end of file only; consumed
 *  @fd:    the stream's descriptor, proof that we may ask; -1 if closed
 *  Return: 0 clean or not known (any more), else -ECONNRESET, -ETIMEDOUT... */
int pn_client_error(struct pn_client *c, int fd, const uint8_t key[16]);

/** pn_client_reset() - abort: the far end sees ECONNRESET.  Then close @fd */
int pn_client_reset(struct pn_client *c, int fd, const uint8_t key[16]);

/** pn_client_name() - both addresses of a connected or accepted stream, a listener,
 *  a bound stream or a datagram socket of libpeernet, from the descriptor alone
 *  Return: 0, -ENOENT if the socket carries no such name, -EBADF, -ENOTSOCK */
int pn_client_name(struct pn_client *c, int fd, struct pn_wire_name *out);

/* Listeners ----------------------------------------------------------------------- */

struct pn_client_listen {
	uint8_t hit[16];     /* all zero: any */
	uint16_t port;       /* 0: ephemeral */
	uint16_t backlog;
	uint16_t flags;      /* PN_LISTEN_ */
	int kernel_fd;       /* listening kernel TCP socket, borrowed; -1 none */
	int live_fd;         /* daemon's end of a liveness pair, borrowed; -1 none */
	uint8_t key[16];
};
/** pn_client_listen() - @port: out, what was bound
 *  Return: a listening AF_UNIX stream socket, close-on-exec, blocking: put it under
 *  the program's number with dup3 */
int pn_client_listen(struct pn_client *c, const struct pn_client_listen *req, uint16_t *port);
int pn_client_unlisten(struct pn_client *c, const uint8_t key[16]);

/** pn_client_accepted() - check what accept() on such a listener gave: is it from the
 *  daemon (SO_PEERCRED), and from whom?
 *  Return: 0 with @out; -EPERM: close it and accept again; -ESTALE: the same, but before
 *  that pn_client_relisten(), since the daemon has been started anew */
int pn_client_accepted(struct pn_client *c, int fd, struct pn_wire_name *out);

/** pn_client_relisten() - make a listener of the daemon before known to this one
 *  @fd: it; all processes that have it open listen again, too
 *  @kernel_fd, @live_fd: as in struct pn_client_listen */
int pn_client_relisten(struct pn_client *c, int fd, int kernel_fd, int live_fd);

/* Datagrams ------------------------------------------------------------------------- */

/** pn_client_dgram_open() - a new datagram socket (AF_UNIX SEQPACKET)
 *  @sock_flags: SOCK_NONBLOCK, SOCK_CLOEXEC
 *  Return: descriptor */
int pn_client_dgram_open(struct pn_client *c, int sock_flags, const uint8_t key[16]);
/** pn_client_dgram_give() - the same with a pair made by the caller; @fd: the daemon's
 *  end, borrowed: close it after */
int pn_client_dgram_give(struct pn_client *c, int fd, const uint8_t key[16]);
/** pn_client_dgram_bind() - @port: 0 ephemeral; @bound: out, may be NULL */
int pn_client_dgram_bind(struct pn_client *c, const uint8_t key[16], uint16_t port,
			 uint16_t flags, uint16_t *bound);
/** pn_client_dgram_connect() - @port 0: disconnect.  @local_port: out, may be NULL */
int pn_client_dgram_connect(struct pn_client *c, const uint8_t key[16], const uint8_t hit[16],
			    uint16_t port, uint16_t *local_port);
/** pn_client_dgram_info() - @local_port, @peer_port 0: none */
int pn_client_dgram_info(struct pn_client *c, const uint8_t key[16], uint16_t *local_port,
			 uint8_t peer[16], uint16_t *peer_port);

/** pn_client_dgram_send() - one datagram
 *  @to:    flags, and where to; port 0: the connected peer
 *  @flags: MSG_DONTWAIT...
 *  Return: bytes of payload; -EMSGSIZE over PN_DATAGRAM_MAX or more than
 *  PN_CLIENT_IOV_MAX pieces; -ENOBUFS: no memory for many pieces; -ENETDOWN: the
 *  daemon has gone */
ssize_t pn_client_dgram_send(struct pn_client *c, int fd, const struct pn_wire_dgram *to,
			     const struct iovec *iov, size_t iov_count, int flags);
/** pn_client_dgram_recv() - one datagram
 *  @from:  out; flags has PN_DGRAM_F_ERROR never: that returns -ECONNREFUSED
 *  @msg_flags: out, MSG_TRUNC if the datagram was longer; may be NULL
 *  Return: bytes put into @iov, or the real length if MSG_TRUNC is in @flags;
 *  -ENETDOWN: the daemon has gone */
ssize_t pn_client_dgram_recv(struct pn_client *c, int fd, struct pn_wire_dgram *from,
			     const struct iovec *iov, size_t iov_count, int flags,
			     int *msg_flags);
/** pn_client_dgram_refused() - if what comes next tells that nobody listens, take it
 *  Return: true if so; false for a datagram, or nothing */
bool pn_client_dgram_refused(struct pn_client *c, int fd);

#endif
