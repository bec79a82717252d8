/* SPDX-License-Identifier: ISC */
/* libpnpreload - PeerNet's sockets under the calls of an unmodified program
 *
 * Theory of operation
 *
 * Streams.  socket() for TCP returns an AF_UNIX stream descriptor at once
 * ("born AF_UNIX").  connect() to a HIT joins it to the daemon; from then on
 * the kernel does all the work, since the descriptor really is a stream whose
 * other end the daemon holds.  When the program connects or binds to something
 * that is not PeerNet's, a real TCP socket is put under the same number
 * (fallback.c) and the shim forgets about it.
 *
 * Listeners.  bind() to a wildcard address binds a hidden TCP socket there, so
 * that ports and conflicts are the kernel's; listen() hands that to the daemon,
 * whose answer is an AF_UNIX listener, put under the program's number.
 *
 * Datagrams.  A UDP socket stays the kernel's until it is first used with
 * PeerNet (a HIT in connect() or sendto(), a wildcard bind() to a port); then
 * one end of a SOCK_SEQPACKET pair is put under its number and the other goes
 * to the daemon.  Each message carries a header that io_dgram.c adds and takes
 * off.
 *
 * What the shim knows of a descriptor is a struct sock; fdtable.c finds it by
 * number.  A descriptor without one belongs to libc.  Hooks are exported
 * functions with the names of libc's: each asks the table and then calls
 * either the function below (real.h) or an inner function.
 *
 * Rules: never print, exit or change errno on success; in doubt call libc;
 * addresses of 2001:20::/28 and 198.18.0.0/15 and names under .pn.alt never
 * get past the shim, whatever happens ("fails closed").
 */
#ifndef SHIM_SHIM_H
#define SHIM_SHIM_H

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libpeernet/client.h"
#include "shim/libpnpreload/optstore.h"
#include "shim/libpnpreload/real.h"
#include "shim/libpnpreload/sa.h"

#define HOOK __attribute__((visibility("default")))

/** enum sock_kind - What lies under a descriptor of ours */
enum sock_kind {
	SOCK_STREAMS,	/* AF_UNIX, SOCK_STREAM */
	SOCK_DGRAMS,	/* AF_UNIX, SOCK_SEQPACKET, a header on each message */
	SOCK_INTERNAL,	/* the shim's own descriptor: hidden from the program */
};

/** enum sock_state - Where a socket is in its life
 *
 * A stream is born; bind() makes it bound, listen() listening (for ever);
 * connect() connecting, then connected, or born again where it failed.  A
 * datagram socket is bound or connected.
 */
enum sock_state {
	SOCK_BORN,
	SOCK_BOUND,
	SOCK_CONNECTING,	/* the filler lies in the socket; see connect.c */
	SOCK_CONNECTED,
	SOCK_LISTENING,
	SOCK_FAILED,		/* connect() failed later; so_error says why */
	SOCK_WAITING,		/* datagrams: for a daemon; see dgram_wait.c */
};

#define SHUT_READ	1u	/* in struct sock's shut */
#define SHUT_WRITE	2u
#define SHUT_FAR	4u	/* the far side had ended when the program shut down */

/**
 * struct sock - What the shim knows about a socket
 * @refs:	Table entries and calls in progress; 0: free
 * @kind:	As above
 * @state:	As above
 * @domain:	AF_INET or AF_INET6: what the program asked for
 * @key:	Conn id or socket id, by which the daemon knows it
 * @local:	Own address; family 0: none yet
 * @peer:	The far end; family 0: none
 * @so_error:	errno for SO_ERROR or the next call; 0 none
 * @kernel_fd:	Hidden TCP socket bound for this one, of a listener for ever; -1 none
 * @live_fd:	Our end of a listener's liveness pair; -1 none
 * @in_epoll:	The program has put it into an epoll set
 * @eof_asked:	The daemon has told how the stream ended
 * @shut:	What the program has shut down: SHUT_READ, SHUT_WRITE, SHUT_FAR
 * @unannounced: connect() has not yet said that it has succeeded
 * @awaits_answer: A blocking connect() was interrupted: four bytes of answer
 *		come before the data
 * @reset:	SO_LINGER is on with 0 s: close() resets
 * @daemon:	Which daemon has the other end, as dm_which(); 0 unknown
 * @renewing:	A thread puts another socket under it; see dgram_wait.c
 * @owner:	Process that made it; only there close() resets
 * @carries:	Options that AF_UNIX has were set, for accepted sockets to have
 * @opts:	Options that AF_UNIX has not
 */
struct sock {
	_Atomic uint32_t refs;
	_Atomic uint8_t kind;
	_Atomic uint8_t state;
	int domain;
	uint8_t key[16];
	struct sa_addr local;
	struct sa_addr peer;
	_Atomic int so_error;
	_Atomic int kernel_fd;
	_Atomic int live_fd;
	_Atomic bool in_epoll;
	_Atomic bool eof_asked;
	_Atomic uint8_t shut;
	_Atomic bool unannounced;
	bool awaits_answer;
	bool reset;
	uint32_t daemon;
	_Atomic bool renewing;
	pid_t owner;
	bool carries;
	struct opt_store opts;
};

/* --- env.c ------------------------------------------------------------- */

enum shim_listen { SHIM_LISTEN_BOTH, SHIM_LISTEN_PEERNET, SHIM_LISTEN_KERNEL };

/**
 * struct shim_conf - Settings; read from the environment once, at the start
 * @on:		The shim works; false: every call is libc's
 * @only:	PEERNET_ONLY: nothing but PeerNet
 * @listen:	PEERNET_LISTEN
 * @sandboxed:	The process has entered seccomp: no calls of our own any more
 */
struct shim_conf {
	bool on;
	bool only;
	enum shim_listen listen;
	_Atomic bool sandboxed;
};

/** shim() - The settings; sets everything up at the first call */
struct shim_conf *shim(void);

/* --- fdtable.c --------------------------------------------------------- */

/** fd_peek() - What lies at this number, without a reference
 * Return: NULL if it is libc's.  Stays readable memory for ever, but may
 *	   belong to another socket at any time: for a quick look only
 */
struct sock *fd_peek(int fd);

/** fd_get() - The same with a reference, for sock_put(); never an internal one
 * Return: NULL if it is libc's
 */
struct sock *fd_get(int fd);

/** fd_get_checked() - fd_get() that also asks whether the number still is a
 *  socket of ours, for calls that are rare
 */
struct sock *fd_get_checked(int fd);

/** fd_bind() - Enter a socket at a number; what was there is dropped */
void fd_bind(int fd, struct sock *s);

/** fd_drop() - Forget what is at a number, before it is closed */
void fd_drop(int fd);

/** fd_is_internal() - Is this number one of the shim's own? */
bool fd_is_internal(int fd);

/** fd_hide() - Move a descriptor of our own out of the program's way
 * @fd:		Closed in any case
 * Return: its new number, or -1
 */
int fd_hide(int fd);

/** fd_mark() - Hide a descriptor of our own where it is */
void fd_mark(int fd);

/** fd_hidden_min() - The number from which on hidden ones are */
int fd_hidden_min(void);

/** fd_unhide() - Close a hidden descriptor; -1 is fine */
void fd_unhide(int fd);

/** fd_evict() - Move a hidden descriptor away: the program wants its number
 * @fd:		Stays open, and is hidden no more
 * Return: 0; EMFILE: nothing has changed
 */
int fd_evict(int fd);

/** fd_next() - Walk the numbers that have a socket, or are hidden
 * @from:	Look from here on
 * @s:		Set, no reference
 * Return: the number; -1 at the end
 */
int fd_next(int from, struct sock **s);

/** sock_new() - A socket with one reference, which sock_put() drops
 * Return: NULL if there is no memory
 */
struct sock *sock_new(enum sock_kind kind, int domain);
void sock_put(struct sock *s);

/* --- daemon.c: the daemon's client; all return 0 or errno ----------------- */

/** dm_setup() - Remember where the daemon's socket is, for later */
void dm_setup(void);
void dm_fd_moved(int from, int to);

/** dm_ready() - Is there a daemon?  ENETDOWN if not */
int dm_ready(void);

/** dm_self() - The HIT of this node */
int dm_self(uint8_t hit[16]);
int dm_resolve(const char *name, uint8_t hit[16]);
int dm_reverse(const uint8_t hit[16], char name[PN_WIRE_NAME_MAX + 1]);

/** dm_map4(), dm_unmap4() - IPv4 address (host order) that stands for a HIT */
int dm_map4(const uint8_t hit[16], uint32_t *addr4);
int dm_unmap4(uint32_t addr4, uint8_t hit[16]);

/** dm_which() - A number for the daemon that we talk to; another one when it has
 *  been started anew, as far as we know
 * Return: 0 if none yet
 */
uint32_t dm_which(void);

/** dm_has_gone() - Has it ended since? */
bool dm_has_gone(void);

/** dm_of_stream() - dm_which(), of a stream that is new
 * Return: 0 if it is from another daemon than we last talked to, which has gone: whoever
 *	   has only accepted since, or connected, has not asked the next one anything
 */
uint32_t dm_of_stream(void);

/** dm_error() - How did this stream end?  Told once */
int dm_error(int fd, const uint8_t key[16]);

/** dm_reset() - Break a stream off, before it is closed */
void dm_reset(int fd, const uint8_t key[16]);

/** dm_connect() - Join a stream to the daemon; sets key, local and peer of @s
 * @nonblock:	Leave it in progress
 * Return: 0 connected; EINPROGRESS; EINTR and EINPROGRESS for a blocking one
 *	   that goes on (dm_answer() later); else errno
 */
int dm_connect(struct sock *s, int fd, const uint8_t hit[16], uint16_t port, bool nonblock);

/** dm_connected() - How is a connect() in progress?
 * Return: 0 connected; EINPROGRESS; else errno, once
 */
int dm_connected(struct sock *s, int fd);

/** dm_listen() - Have a listener at s->local
 * @kernel_fd:	Listening TCP socket for the daemon, or -1; stays the caller's
 * @fd:		Set: the listening descriptor
 * @live_fd:	Set: our end of its liveness pair, or -1
 */
int dm_listen(struct sock *s, int backlog, int kernel_fd, int *fd, int *live_fd);

/** dm_accepted() - Is this descriptor from the daemon?  EPERM if not; ESTALE: it is a
 *  new one, which waits for dm_relisten()
 */
int dm_accepted(int fd, struct pn_wire_name *name);

/** dm_relisten() - Have the listener at @fd known to the daemon that has been started
 *  anew; s->kernel_fd goes with it
 * @live_fd:	Set: our end of its liveness pair, or -1
 */
int dm_relisten(struct sock *s, int fd, int *live_fd);

/** dm_name() - The name that a socket of ours bears; ENOENT if none */
int dm_name(int fd, struct pn_wire_name *name);

/** dm_dgram_*() - Datagram sockets; set key, local and peer of @s */
int dm_dgram_open(struct sock *s, int *fd);
int dm_dgram_bind(struct sock *s, uint16_t port);
int dm_dgram_connect(struct sock *s, const uint8_t hit[16], uint16_t port);

/** dm_dgram_bind_again() - To s->local.port, which other processes may have again already */
int dm_dgram_bind_again(struct sock *s);

/** dm_dgram_local() - Learn the local port that the daemon chose
 *  dm_dgram_facts() - Learn that and the peer */
void dm_dgram_local(struct sock *s);
void dm_dgram_facts(struct sock *s);

/** dm_client() - For pn_client_dgram_send() and _recv() */
struct pn_client *dm_client(void);

/* --- fallback.c -------------------------------------------------------- */

/** sock_replace() - Put a descriptor under the number of another
 * @fd:		Number; and all others in the table that are the same socket
 * @s:		What is there now, or NULL if it was libc's
 * @with:	Descriptor; closed in any case
 *
 * Descriptor flags, O_NONBLOCK and registrations in epoll sets are carried over.
 *
 * Return: 0 or errno
 */
int sock_replace(int fd, struct sock *s, int with);

/** carry_options() - Give a socket what AF_UNIX keeps for real on another */
void carry_options(int from, int to);

/** sock_fallback() - Make it a real socket of the kernel's, with its options
 * Return: 0 or errno; the table has no entry for it afterwards
 */
int sock_fallback(int fd, struct sock *s);

/** sock_adopt() - Make a TCP or UDP socket of the kernel's one of ours
 * @fd:		Not in the table
 * Return: it, with a reference; NULL with errno if it is no such socket
 */
struct sock *sock_adopt(int fd);

/** sock_facts() - Domain and type that the kernel tells; false if it is no socket */
bool sock_facts(int fd, int *domain, int *type);

/** next_open() - The next number in /proc/self/fd; -1 at the end */
int next_open(DIR *d);

/* --- recover.c --------------------------------------------------------- */

/** sock_tag() - Note on the socket itself that it is ours, and of which domain
 *
 * It is read where no memory of ours has come along: after exec, and by those who get
 * the descriptor in a message (sock_recover()).
 */
void sock_tag(int fd, int domain);

/** sock_recover() - Know a descriptor again that came through exec, or in a message
 * Return: it, with a reference, or NULL if it is none of ours
 */
struct sock *sock_recover(int fd);

/** recover_all() - The same for every descriptor there is, at the start */
void recover_all(void);

/* --- others ------------------------------------------------------------ */

/* --- optprobe.c -------------------------------------------------------- */

/** optprobe_set() - Would the kernel take this option?
 * Return: 0 yes; ENOSYS: nobody can be asked; else errno
 */
int optprobe_set(const struct sock *s, int level, int name, const void *value, socklen_t len);

/** optprobe_get() - What the kernel says of this option, as it was set
 * Return: 0 or errno; ENOSYS: nobody can be asked
 */
int optprobe_get(const struct sock *s, int level, int name, void *value, socklen_t *len);

/* --- ending.c ---------------------------------------------------------- */

/** stream_eof() - read() has returned 0: was it the end, or a reset?
 * Return: 0 for the end; -1 with errno
 */
ssize_t stream_eof(struct sock *s, int fd);

/** stream_error() - What SO_ERROR says of a connected stream; errno, once */
int stream_error(struct sock *s, int fd);

/** stream_far_ended() - Has the far side ended?
 * stream_is_over() - Has it ended both ways?  TCP knows no peer then */
bool stream_far_ended(const struct sock *s, int fd);
bool stream_is_over(const struct sock *s, int fd);

/** stream_broken() - Nobody reads: SIGPIPE unless @flags say no
 * Return: -1 with EPIPE
 */
ssize_t stream_broken(int flags);

/** stream_sent() - What was made of sending with MSG_NOSIGNAL
 * @ret:	What the kernel said, with errno
 * @flags:	Without MSG_NOSIGNAL unless the program said so
 * Return: what TCP would say, with errno
 */
ssize_t stream_sent(int fd, ssize_t ret, int flags);

/** stream_tcp_state() - For TCP_INFO */
int stream_tcp_state(const struct sock *s, int fd);

/* --- connect.c --------------------------------------------------------- */

/** stream_settle() - Finish a connect() in progress if it has ended
 * Return: 0 connected; EINPROGRESS; else errno, once
 */
int stream_settle(struct sock *s, int fd);

/** stream_give_up() - End a connect() that is in progress; 0 or errno */
int stream_give_up(struct sock *s, int fd);

/** stream_look() - The same; a failure is kept for SO_ERROR or the next call */
int stream_look(struct sock *s, int fd);

/** dgram_send(), dgram_recv() - One datagram */
ssize_t dgram_send(struct sock *s, int fd, const struct msghdr *msg, int flags);
ssize_t dgram_recv(struct sock *s, int fd, struct msghdr *msg, int flags);

/** dgram_wait() - The daemon has gone: have the socket wait for the next one
 * dgram_again() - Have it back, if there is one
 * dgram_await() - The same for who receives; EAGAIN: not yet
 * Return: 0 or errno
 */
int dgram_wait(struct sock *s, int fd);
int dgram_again(struct sock *s, int fd);
int dgram_await(struct sock *s, int fd, bool dontwait);

/** dgram_look() - If "nobody listens there" is what comes next, keep it in so_error */
void dgram_look(struct sock *s, int fd);

/** dgram_connect(), dgram_bind(), dgram_shutdown() - The hooks' inner functions
 * Return: 0 or errno
 */
int dgram_connect(struct sock *s, int fd, const struct sa_dest *dest);
int dgram_bind(struct sock *s, int fd, const struct sa_dest *dest);
int dgram_shutdown(struct sock *s, int fd, int how);

/** sa_error() - What is wrong with an address that cannot be understood; errno */
int sa_error(int domain, const struct sockaddr *sa, socklen_t len);

/** dest_of() - Where an address leads, asking the daemon for mapped ones
 * Return: 0 or errno
 */
int dest_of(const struct sockaddr *sa, socklen_t len, struct sa_dest *dest);

/** addr_out() - Hand an address to the program in the form it expects
 * @sa:		NULL: it wants none
 * Return: 0 or errno
 */
int addr_out(int domain, const struct sa_addr *a, struct sockaddr *sa, socklen_t *len);

/** trace() - One line into PEERNET_TRACE; keeps errno */
void trace(int fd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void trace_open(const char *path);
void trace_fd_moved(int from, int to);

/** vfork_fd_moved() - What a child of vfork() keeps its parent waiting by has a new number */
void vfork_fd_moved(int from, int to);

/** exec_setup() - Remember what children need in their environment */
void exec_setup(void);

/** connect_inner() - What connect() does, for sendto() with MSG_FASTOPEN too */
int connect_inner(int fd, const struct sockaddr *sa, socklen_t len);

/** fail() - Set errno; for the ends of hooks
 * Return: 0 if @err is 0, else -1
 */
int fail(int err);

#endif /* SHIM_SHIM_H */
