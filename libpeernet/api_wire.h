/* SPDX-License-Identifier: ISC */
/* api_wire.h - bytes between programs and the daemon (see peernet-api(7))
 *
 * Theory of operation
 *
 * One well-known Unix stream socket: $PEERNET_SOCKET, else
 * $XDG_RUNTIME_DIR/peernet.sock if it exists, else /run/peernet/api.sock.
 * What the first byte of a connection is decides what the connection is:
 *
 *   '{'  control: one JSON object per line, both ways.
 *   'P'  a data stream: struct pn_wire_connect (PN_WIRE_CONNECT_LEN bytes),
 *        and from then on the stream itself.
 *
 * The control request {"v":1,"id":1,"op":"connector"} is answered with a line
 * that carries one SOCK_SEQPACKET descriptor (SCM_RIGHTS): the *connector*.  It
 * survives chroot, fork and exec; processes share it; each message is atomic
 * and one-way.  A message that wants an answer carries a descriptor (one end
 * of a fresh SEQPACKET socketpair) on which the daemon writes one struct
 * pn_wire_reply, possibly with a descriptor, and which it then closes.
 * Who asks is told by SCM_CREDENTIALS, which the kernel attaches
 * (SO_PASSCRED on the daemon's end).
 *
 * Streams, client: the program's socket (AF_UNIX, SOCK_STREAM) is connect()ed
 * to the well-known socket and the header is written.
 *   PN_WIRE_F_ANSWER: the daemon writes a 4-byte answer (big-endian errno, 0 for
 *     success) into the stream as soon as it is known; then stream data, or end.
 *   PN_WIRE_F_FILLER: non-blocking connect.  Behind the header the program
 *     writes filler until EAGAIN (with a small SO_SNDBUF), so that it is not
 *     writable, then tells the count by PN_OP_FILLER on the connector (keyed by
 *     conn id).  The daemon drains exactly that many bytes when the answer is
 *     known (also before it reports failure), so that POLLOUT comes then.
 *     Failure: it drains, then shuts down; the program asks PN_OP_ERROR.
 *   Where connect() cannot reach the path (chroot), PN_OP_CONNECT on the
 *   connector carries one end of a socketpair instead; the same header follows
 *   in that pair.
 *   End of file or reset later: on end of file (only then) a program asks
 *   PN_OP_ERROR: errno once (ECONNRESET, ETIMEDOUT, ...), 0 for a clean end.
 *
 * Before connecting, the client binds its socket to an abstract name made of
 * struct pn_wire_name, so that getsockname() tells both addresses for ever,
 * through fork and exec.
 *
 * Streams, server: PN_OP_LISTEN; the reply carries a listening AF_UNIX socket
 * made and held by the daemon too; it replaces the program's descriptor (dup3).
 * The daemon connects to it, from a socket bound to an abstract name that is a
 * struct pn_wire_name: getpeername() of an accepted descriptor tells both ends.
 * The program checks SO_PEERCRED of what it accepts: its uid must be the
 * daemon's.  A second descriptor sent with PN_OP_LISTEN is a listening kernel
 * TCP socket: the daemon accepts on it as well and relays such connections
 * through the same listener (family 4 or 7 in the name).
 * The listener itself is bound to a struct pn_wire_name of kind 'l'.  The daemon
 * keeps no descriptor of it, only this name: all descriptors closed in all
 * programs, and the name can be bound again.  The daemon tries that once a
 * second, when somebody wants the port, after PN_OP_UNLISTEN, and on HUP of the
 * liveness descriptor (the third of PN_OP_LISTEN, optional: one end of a
 * socketpair whose other end stays with the program's listener; a hint, no more:
 * a program may close that end and go on listening).
 *
 * Names of abstract sockets, and so keys, can be read by everybody on the host
 * (/proc/net/unix).  PN_OP_ERROR and PN_OP_RESET are therefore served only to
 * root, to the user who opened the stream or listener, and to whoever sends the
 * stream's own descriptor along (behind the reply descriptor, if any).
 *
 * Datagrams: the program's socket is one end of a SOCK_SEQPACKET pair, the
 * other is sent with PN_OP_DGRAM.  Each message in it, both ways, is a struct
 * pn_wire_dgram and the payload.  PN_OP_BIND binds it to a port (0: ephemeral;
 * done by the daemon itself at the first send if not before), PN_OP_DCONNECT
 * sets the peer that alone is heard (port 0: anybody again); a message to port 0
 * goes to that peer.  PN_OP_BIND and PN_OP_DCONNECT are carried out before any
 * datagram that was sent after their answer.  libpeernet binds the program's end
 * to a struct pn_wire_name of kind 'd', only to find the key again.
 *
 * All integers are big-endian.  Sizes are fixed; unknown ops get EOPNOTSUPP.
 */
#ifndef PN_API_WIRE_H
#define PN_API_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define PN_API_VERSION 1
#define PN_API_SOCKET_ENV "PEERNET_SOCKET"
#define PN_API_SOCKET_DEFAULT "/run/peernet/api.sock"

/* Stream header: 'P' 'N' 'c' version | flags 2 | port 2 | local port 2 (0:
 * ephemeral) | zero 2 | sndbuf 4 (0 default) | hit 16 | conn id 16 | zero 16 */
#define PN_WIRE_CONNECT_LEN 64
#define PN_WIRE_F_ANSWER 1u
#define PN_WIRE_F_FILLER 2u

/* Connector messages: version 1 | op 1 | flags 2 | port 2 | backlog 2 |
 * count 4 | hit 16 | key 16 | zero 20.  key is the conn id of a stream, or
 * the socket id of a datagram socket or listener: 16 random bytes chosen by
 * the program; knowing it is the right to ask about it. */
#define PN_WIRE_MSG_LEN 64
enum pn_wire_op {
	PN_OP_CONNECT = 1,   /* fd: end of a socketpair; header follows in it */
	PN_OP_FILLER = 2,    /* key, count; no answer */
	PN_OP_ERROR = 3,     /* key; fd: reply.  errno, consumed by the question */
	PN_OP_LISTEN = 4,    /* port, backlog, flags, key, hit (zero: any); fds: reply
	                        [, kernel listener [, liveness]], told apart by
	                        SO_DOMAIN */
	PN_OP_UNLISTEN = 5,  /* key; no answer */
	PN_OP_DGRAM = 6,     /* key; fd: the daemon's end; no answer */
	PN_OP_BIND = 7,      /* key, port, flags; fd: reply (errno, port) */
	PN_OP_DCONNECT = 8,  /* key, hit, port; fd: reply (errno, local port) */
	PN_OP_RESOLVE = 9,   /* payload behind the message: name, at most 255 bytes;
	                        fd: reply (errno, hit, id) */
	PN_OP_REVERSE = 10,  /* hit; fd: reply (errno) and the name behind it */
	PN_OP_MAP4 = 11,     /* hit; fd: reply (errno, addr4): the address out of
	                        198.18.0.0/15 that stands for it */
	PN_OP_UNMAP4 = 12,   /* count: the IPv4 address; fd: reply (errno, hit) */
	PN_OP_INFO = 13,     /* fd: reply (hit and id of this node) */
	PN_OP_RESET = 14,    /* key; no answer: abort that stream (SO_LINGER 0) */
	PN_OP_DINFO = 15,    /* key of a datagram socket; fd: reply (errno, local port,
	                        peer's hit, peer's port in addr4) */
};
#define PN_LISTEN_REUSEPORT 1u
#define PN_LISTEN_NO_PEERNET 2u   /* only the kernel's network */
#define PN_LISTEN_V4 4u           /* the program's socket is AF_INET: may stand beside
                                     one of the same user that is not (0.0.0.0 and ::),
                                     which then gets what comes from PeerNet */

/* Reply: version 1 | zero 1 | port 2 | errno 4 | addr4 4 | uid 4 (of the daemon)
 * | hit 16 | id 32 [| name] */
#define PN_WIRE_REPLY_LEN 64
#define PN_WIRE_NAME_MAX 255

/* Abstract socket name, behind the leading zero byte: "pn1" | kind 1: 'c'
 * connecting program, 'a' accepted connection, 'l' listener, 'b' program that
 * has bound but not connected, 'd' datagrams, 'w' a new daemon that wakes a
 * listener | family 1: 6 PeerNet (HITs), 4 or 7 the kernel's IPv4 and IPv6 |
 * flags 1: of a listener, PN_LISTEN_ | peer port 2 | local port 2 | peer
 * address 16 | local address 16 | key 16.  For the program: "peer" is the far
 * end, "local" its own, in all kinds; what a kind does not know is zero.  (IPv4:
 * in the first four bytes.) */
#define PN_WIRE_NAME_LEN 58

/* Datagram header: version 1 | flags 1 | port 2 | hit 16.  Program to daemon:
 * destination; daemon to program: source. */
#define PN_WIRE_DGRAM_LEN 20
#define PN_DGRAM_F_NOFRAG 1u   /* EMSGSIZE instead of fragments */
#define PN_DGRAM_F_ERROR 2u    /* daemon to program: nobody listens there (ECONNREFUSED) */

/* Builders and parsers.  A parser returns 0 or PN_EBADMSG and leaves @out alone
 * on failure; a builder fills exactly the length named above. */

struct pn_wire_connect {
	uint16_t flags;        /* PN_WIRE_F_ */
	uint16_t port;         /* destination */
	uint16_t local_port;   /* 0: ephemeral */
	uint32_t sndbuf;       /* bytes; 0 default */
	uint8_t hit[16];       /* destination */
	uint8_t key[16];       /* conn id */
};

struct pn_wire_msg {
	uint8_t op;            /* enum pn_wire_op */
	uint16_t flags;
	uint16_t port;
	uint16_t backlog;
	uint32_t count;
	uint8_t hit[16];
	uint8_t key[16];
};

struct pn_wire_reply {
	uint16_t port;
	uint32_t err;          /* errno of the host, 0: done */
	uint32_t addr4;        /* IPv4 address, host byte order */
	uint32_t uid;          /* the daemon's */
	uint8_t hit[16];
	uint8_t id[32];
	char name[PN_WIRE_NAME_MAX + 1]; /* "" when there is none */
};

struct pn_wire_name {
	uint8_t kind;          /* 'c', 'a', 'l', 'b', 'd', 'w' */
	uint8_t family;        /* 6, 4 or 7 */
	uint8_t flags;         /* of 'l': PN_LISTEN_ */
	uint16_t peer_port;
	uint16_t local_port;
	uint8_t peer[16];
	uint8_t local[16];
	uint8_t key[16];
};

struct pn_wire_dgram {
	uint8_t flags;         /* PN_DGRAM_F_ */
	uint16_t port;
	uint8_t hit[16];
};

void pn_wire_connect_build(const struct pn_wire_connect *in, uint8_t buf[PN_WIRE_CONNECT_LEN]);
int pn_wire_connect_parse(const void *buf, size_t len, struct pn_wire_connect *out);

void pn_wire_msg_build(const struct pn_wire_msg *in, uint8_t buf[PN_WIRE_MSG_LEN]);
/** pn_wire_msg_parse() - @payload, @payload_len: what stands behind it, borrowed */
int pn_wire_msg_parse(const void *buf, size_t len, struct pn_wire_msg *out,
		      const uint8_t **payload, size_t *payload_len);

/** pn_wire_reply_build() - Return: bytes in @buf */
size_t pn_wire_reply_build(const struct pn_wire_reply *in,
			   uint8_t buf[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX]);
int pn_wire_reply_parse(const void *buf, size_t len, struct pn_wire_reply *out);

void pn_wire_dgram_build(const struct pn_wire_dgram *in, uint8_t buf[PN_WIRE_DGRAM_LEN]);
/** pn_wire_dgram_parse() - @len: of the whole message, at least the header */
int pn_wire_dgram_parse(const void *buf, size_t len, struct pn_wire_dgram *out);

/** pn_wire_name_build() - an abstract Unix address.  Return: its length for bind() */
socklen_t pn_wire_name_build(const struct pn_wire_name *in, struct sockaddr_un *out);
/** pn_wire_name_parse() - @len: as getsockname() or getpeername() told it */
int pn_wire_name_parse(const struct sockaddr_un *in, socklen_t len, struct pn_wire_name *out);

#endif
