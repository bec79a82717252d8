/* SPDX-License-Identifier: ISC */
/* session.h - the facade of the session layer: QUIC between identities
 *
 * One QUIC connection per pair of identities (RFC 9000, 9001, 9002, 9221) over
 * net_send_peer(); streams and datagrams of all local programs share it.
 * Sans-I/O like the network layer: packets come in through session_input(), go
 * out straight into the net given at init, data waits until the owner takes it,
 * news come out of session_next_event().  Time and randomness are arguments.
 */
#ifndef PN_SESSION_H
#define PN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pkt.h"
#include "libpeernet/base/pn_error.h"
#include "libpeernet/base/pn_limits.h"
#include "libpeernet/base/pn_time.h"
#include "pnstackd/net/net.h"

struct session_set;                 /* all sessions of this node */
typedef uint64_t stream_id;         /* index and generation; 0 is none */

enum session_cc { SESSION_CC_CUBIC, SESSION_CC_BBR };

struct session_config {
	uint8_t seed[PN_ID_LEN];    /* the identity's secret; wiped by the caller */
	uint8_t random[32];
	uint32_t session_max;       /* QUIC connections at once */
	uint32_t stream_max;        /* streams at once, all sessions */
	uint32_t window_max;        /* bytes of receive window per stream, at most */
	uint64_t idle_ns;           /* a session without streams closes after */
	enum session_cc cc;
	bool null_cipher;           /* simulator only: no GnuTLS, no encryption */
	struct pn_pool *pool;       /* where packets to send come from: the net's */
	uint32_t mtu_max;           /* largest session packet worth sending; raise
	                               it on a node with jumbo links */
};
void session_config_default(struct session_config *cfg);

/** session_set_new() - allocates; Return: NULL when out of memory.
 *  @net: outlives the set */
struct session_set *session_set_new(const struct session_config *cfg, struct net *net,
				    struct pn_time now);
void session_set_free(struct session_set *set);

/** session_input() - takes packets from net_deliver() */
void session_input(struct session_set *set, struct pn_pkt **pkts, size_t n, struct pn_time now);

/** session_on_net_event() - shows it a NET_EV_PEER_* or NET_EV_ADDRESS event */
void session_on_net_event(struct session_set *set, const struct net_event *ev, struct pn_time now);

/** session_flush() - write out what the connections want to send now; call once
 *  at the end of each batch, after all reads and writes */
void session_flush(struct session_set *set, struct pn_time now);

struct pn_time session_deadline(const struct session_set *set);
void session_expire(struct session_set *set, struct pn_time now);

/* Streams ------------------------------------------------------------------ */

/** stream_open() - open a stream to (peer, port); answered by STREAM_EV_OPEN or
 *  STREAM_EV_FAILED.  Data written before the answer is kept, not sent.
 *  @id:    the peer's whole identity, or NULL if only the HIT is known
 *  @hit:   the peer's HIT (always given)
 *  @owner: cookie that comes back in every event of this stream
 *  Return: handle, or 0 when the table is full */
stream_id stream_open(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN],
		      uint16_t port, uint16_t local_port, uint64_t owner, struct pn_time now);

/** stream_accept() - answer STREAM_EV_INCOMING: somebody listens
 *  @owner: cookie for the events to come */
void stream_accept(struct session_set *set, stream_id s, uint64_t owner, struct pn_time now);

/** stream_refuse() - answer it with an error: PN_EREFUSED, PN_EFULL... */
void stream_refuse(struct session_set *set, stream_id s, int err, struct pn_time now);

/** stream_write() - copies up to @len bytes into the send buffer
 *  Return: bytes taken, 0 when the buffer is full (STREAM_EV_WRITABLE follows),
 *  or PN_ERESET, PN_ESTALE, PN_ECLOSED */
long stream_write(struct session_set *set, stream_id s, const uint8_t *data, size_t len,
		  struct pn_time now);

/** stream_write_space() - a span to read() into directly, then _commit()
 *  Return: its start (owned by the stream, valid until the next call), NULL if full */
uint8_t *stream_write_space(struct session_set *set, stream_id s, size_t *len);
void stream_write_commit(struct session_set *set, stream_id s, size_t len, struct pn_time now);

/** stream_shutdown() - no more bytes from us: FIN after what is buffered */
void stream_shutdown(struct session_set *set, stream_id s, struct pn_time now);

/** stream_peek() - received bytes in order, without a copy
 *  Return: start, valid until the next call into the set; @len 0: nothing now.
 *  @fin: true when the peer's FIN stands right behind these bytes */
const uint8_t *stream_peek(struct session_set *set, stream_id s, size_t *len, bool *fin);

/** stream_consume() - @len bytes of them are delivered: opens the window */
void stream_consume(struct session_set *set, stream_id s, size_t len, struct pn_time now);

/** stream_stop() - our program reads no more: STOP_SENDING */
void stream_stop(struct session_set *set, stream_id s, struct pn_time now);

/** stream_reset() - abort both directions: the peer sees ECONNRESET */
void stream_reset(struct session_set *set, stream_id s, struct pn_time now);

/** stream_close() - the owner forgets the handle.  What is buffered is still
 *  sent, then FIN, unless reset before; no event follows */
void stream_close(struct session_set *set, stream_id s, struct pn_time now);

struct stream_info {
	uint8_t id[PN_ID_LEN];      /* peer; all zero before the handshake if unknown */
	uint8_t hit[PN_HIT_LEN];
	uint16_t port;              /* port at the listening side */
	uint16_t peer_port;         /* the other side's port number */
	bool incoming;
	uint64_t tx_bytes, rx_bytes;
	uint64_t rtt_ns, cwnd;
};
bool stream_info(const struct session_set *set, stream_id s, struct stream_info *out);

/* Datagrams ------------------------------------------------------------------ */

/** session_datagram_send() - copies; fragmented inside the session when it does
 *  not fit a frame; never retransmitted; kept (bounded) while a session starts
 *  Return: 0, PN_EMSGSIZE (over PN_DATAGRAM_MAX, or over one frame with @no_frag),
 *  PN_EAGAIN (queue full: dropped and counted), PN_EFULL */
int session_datagram_send(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN],
			  uint16_t src_port, uint16_t dst_port, const uint8_t *data, size_t len,
			  bool no_frag, struct pn_time now);

/** session_datagram_unreachable() - nothing is bound to that port: tell the
 *  sender, rate limited; comes out there as SESSION_EV_UNREACHABLE */
void session_datagram_unreachable(struct session_set *set, const uint8_t hit[PN_HIT_LEN],
				  uint16_t src_port, uint16_t dst_port, struct pn_time now);

/* News ------------------------------------------------------------------------ */

enum session_event_kind {
	STREAM_EV_INCOMING,   /* stream; info says port: accept or refuse at once */
	STREAM_EV_OPEN,       /* stream, owner: the other side accepted */
	STREAM_EV_FAILED,     /* stream, owner, err: PN_EREFUSED, PN_EUNREACH,
	                         PN_ETIMEDOUT, PN_EAUTH...; handle is gone */
	STREAM_EV_READABLE,   /* stream, owner: stream_peek() has bytes or a fin that
	                         were not there before; said once per arrival */
	STREAM_EV_WRITABLE,   /* stream, owner: said once after a write that found the
	                         buffer full, when a quarter of it is free again */
	STREAM_EV_RESET,      /* stream, owner, err (PN_ERESET, PN_ETIMEDOUT): what was
	                         received before may still be peeked; then close */
	STREAM_EV_STOPPED,    /* stream, owner: the peer reads no more (EPIPE) */
	SESSION_EV_DATAGRAM,  /* hit, id, src_port, dst_port, data, len: borrowed until
	                         the next session_* call */
	SESSION_EV_UNREACHABLE, /* hit, src_port (ours), dst_port: nothing bound there */
	SESSION_EV_UP,        /* id, hit: handshake done */
	SESSION_EV_DOWN,      /* id, hit, err */
};

struct session_event {
	enum session_event_kind kind;
	stream_id stream;
	uint64_t owner;
	int err;
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	uint16_t src_port, dst_port;
	const uint8_t *data;
	size_t len;
};
bool session_next_event(struct session_set *set, struct session_event *ev);

struct session_info {
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	const char *state;          /* "handshake", "up", "closing" */
	bool incoming;
	uint64_t age_ns, idle_ns, rtt_ns, cwnd;
	uint32_t streams;
	uint32_t mtu;
	uint64_t tx_bytes, rx_bytes, lost_packets;
	const char *cipher;
};
bool session_info_at(const struct session_set *set, size_t index, struct session_info *out,
		     struct pn_time now);
bool session_counter_at(const struct session_set *set, size_t index, struct net_counter *out);

#endif
