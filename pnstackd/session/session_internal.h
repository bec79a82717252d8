/* SPDX-License-Identifier: ISC */
/* session_internal.h - what the files of the session layer share
 *
 * One struct session_set holds a table of connections and a table of streams.
 * Files, from the outside inwards:
 *
 *	set.c      life of the set, timers, looking in
 *	events.c   what comes out of session_next_event()
 *	demux.c    packets to connections; new connections; the front gate
 *	conn.c     life of a connection;  callbacks.c  what ngtcp2 calls
 *	pair.c     one connection per pair of identities; hello messages
 *	write.c    packets out: who may send next
 *	stream.c   streams: the table, their states, what the connection reports
 *	stream_io.c   the stream calls of the facade
 *	sendbuf.c, recvbuf.c   bytes between programs and ngtcp2
 *	dgram.c    datagrams, fragments, notices
 *	reset.c    stateless resets, Retry tokens
 *	tls.c      GnuTLS and raw public keys;  tls_null.c  for the simulator
 *	protect.c  packet protection by libcrypto
 *	map.c, errmap.c   a hash table; error codes of the wire
 */
#ifndef PN_SESSION_INTERNAL_H
#define PN_SESSION_INTERNAL_H

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

#include "libpeernet/base/heap.h"
#include "libpeernet/base/pkt.h"
#include "pnstackd/session/ngtcp2_compat.h"
#include "pnstackd/session/session.h"

/* --- limits ------------------------------------------------------------ */
#define SCID_LEN		8	/* bytes of the connection ids we give out */
#define SCIDS_MAX		12	/* of one connection, at once */
#define TOKENS_MAX		8	/* reset tokens of one peer, at once */
#define TOKEN_LEN		16	/* bytes, RFC 9000 10.3 */
#define INITIAL_PAYLOAD		1200	/* bytes, until the handshake is done */
#define PAYLOAD_MAX		(PN_PKT_MAX - PN_PKT_HEADROOM)
#define HANDSHAKE_NS		PN_S(10)
#define SILENCE_NS		PN_S(30) /* unacknowledged data, no word */
#define LOOKS_MAX		8 /* lookups of a peer that is silent */
#define HURRY_NS		PN_S(1)	/* silence, probe at least so often */
#define LATE_NS			PN_S(2)	/* a timer this late: we were stopped */
#define CLOSING_NS		PN_S(1)	/* a closed connection answers strays */
#define REDUNDANT_NS		PN_S(2)	/* the second of two without streams */
#define BURST_PACKETS		64	/* of one connection in one flush */
#define KEY_PACKETS		(1U << 22) /* half of what AES-GCM may (RFC 9001 6.6) */
#define HALF_OPEN_RETRY		32	/* handshakes pending: ask for Retry */
#define HALF_OPEN_MAX		256	/* handshakes pending: no more */
#define DIAL_IN_RATE		1000	/* new handshakes a second, and burst */
#define RESET_RATE		200	/* stateless resets a second, and burst */
#define NOTICE_RATE		1000	/* unreachable notices a second, a session */
#define CONN_WINDOW		(64U << 20) /* bytes, credited on arrival */
#define STREAM_WINDOW		(256U << 10) /* bytes, to begin with */
#define SENDBUF_MIN		(256U << 10) /* bytes a stream may always buffer */
#define SENDBUF_MAX		(4U << 20) /* bytes of one stream */
#define SENDBUF_TOTAL		(512U << 20) /* beyond, streams get SENDBUF_LOW */
#define SENDBUF_LOW		(32U << 10)
#define GUARD_WINDOW		65536	/* bytes of the stream that guards datagrams */
#define PEER_STREAMS		12288	/* that one peer may have open to us */
#define CHUNK_MIN		4096	/* bytes of memory of a buffer's chunk */
#define CHUNK_MAX		65536
#define STREAM_HDR_LEN		6	/* bytes before a dialled stream's data */
#define STREAM_ANSWER_LEN	1	/* byte before an accepted stream's data */
#define DGRAM_QUEUE_BYTES	(1U << 20) /* of one session, going out */
#define DGRAM_QUEUE_COUNT	4096
#define DGRAM_LATE_NS		PN_MS(500) /* so long one waits for the congestion window */
#define DGRAM_IN_BYTES		(16U << 20) /* waiting for session_next_event() */
#define DGRAM_IN_COUNT		8192
#define REASM_SLOTS		16	/* datagrams put together at once, a session */
#define REASM_BYTES		(64U << 20) /* all sessions */
#define REASM_NS		PN_S(2)
#define BY_ADDR_NS		PN_S(2)	/* after a failed lookup, to where it last was */
#define HELLO_TRIES		12
#define HELLO_AGAIN_NS		PN_MS(500) /* doubles with each try */
#define PROBE_NS		PN_MS(100) /* between looks at full streams */
#define RETRY_TOKEN_MAX		64	/* bytes */
#define RETRY_LIFE_NS		PN_S(10)

/* --- a hash table of numbers (map.c) ------------------------------------- */
struct map {
	uint64_t *keys;
	uint32_t *vals;		/* value + 1; 0 is free */
	uint64_t mul;		/* odd and secret */
	uint32_t mask;
	uint32_t count;
};
bool map_init(struct map *m, uint32_t count_max, uint64_t secret);
void map_fini(struct map *m);
/** map_put() - Return: false if the key is there or the table is full */
bool map_put(struct map *m, uint64_t key, uint32_t val);
/** map_get() - Return: the value, UINT32_MAX if there is none */
uint32_t map_get(const struct map *m, uint64_t key);
void map_del(struct map *m, uint64_t key);
void map_set(struct map *m, uint64_t key, uint32_t val);

/* --- doubly linked lists --------------------------------------------------- */
struct link { struct link *prev, *next; };
static inline void link_init(struct link *l) { l->prev = l->next = l; }
static inline bool link_in(const struct link *l) { return l->next != l; }
static inline void link_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	link_init(l);
}
static inline void link_add_tail(struct link *list, struct link *l)
{
	l->prev = list->prev;
	l->next = list;
	list->prev->next = l;
	list->prev = l;
}

/* --- buffers (sendbuf.c, recvbuf.c) ----------------------------------------- */
struct chunk {
	struct chunk *next;
	uint32_t cap;		/* bytes at data */
	uint32_t start;		/* first byte still wanted */
	uint32_t end;		/* behind the last byte */
	uint8_t data[];
};

/** struct sendbuf - bytes a program wrote; their memory stays until the peer has
 *  acknowledged them, because ngtcp2 points into it.  Offsets count from 0 */
struct sendbuf {
	struct chunk *head, *tail;
	struct chunk *at;	/* holds the byte at @sent; NULL: to be found */
	uint32_t at_off;	/* its place in @at->data */
	uint64_t base;		/* offset of the first byte kept (acknowledged up to) */
	uint64_t sent;		/* offset of the first byte not given to ngtcp2 */
	uint64_t end;		/* offset behind the last byte */
	uint32_t chunk_size;	/* of the next chunk */
};
void sendbuf_init(struct sendbuf *b);
void sendbuf_fini(struct sendbuf *b);
/** sendbuf_space() - a span to write into, then _commit()
 *  Return: NULL if there is no memory */
uint8_t *sendbuf_space(struct sendbuf *b, size_t *len);
void sendbuf_commit(struct sendbuf *b, size_t len);
/** sendbuf_vec() - unsent bytes as up to @max vectors; Return: how many */
size_t sendbuf_vec(struct sendbuf *b, ngtcp2_vec *vec, size_t max, uint64_t *bytes);
void sendbuf_advance(struct sendbuf *b, uint64_t bytes);
void sendbuf_acked(struct sendbuf *b, uint64_t upto);
static inline uint64_t sendbuf_kept(const struct sendbuf *b) { return b->end - b->base; }
static inline uint64_t sendbuf_unsent(const struct sendbuf *b) { return b->end - b->sent; }

struct recvbuf {
	struct chunk *head, *tail;
	uint64_t bytes;
};
void recvbuf_init(struct recvbuf *b);
void recvbuf_fini(struct recvbuf *b);
/** recvbuf_put() - Return: false if there is no memory */
PN_MUST_CHECK bool recvbuf_put(struct recvbuf *b, const uint8_t *data, size_t len);
const uint8_t *recvbuf_peek(const struct recvbuf *b, size_t *len);
void recvbuf_consume(struct recvbuf *b, size_t len);

/* --- packet protection (protect.c) ------------------------------------------ */
struct suite;			/* a cipher, its header cipher, a hash */
struct conn;
extern const struct suite suite_aes128, suite_aes256, suite_chacha, suite_null;
const char *suite_cipher_name(const struct suite *s);
/** protect_callbacks() - encrypt, decrypt, hp_mask, key update, key deletion */
void protect_callbacks(ngtcp2_callbacks *cb);
/** protect_initial() - Initial keys of a connection (RFC 9001 5.2)
 *  Return: 0, or NGTCP2_ERR_CALLBACK_FAILURE */
int protect_initial(struct conn *c, const ngtcp2_cid *client_dcid);
/** protect_install() - keys from a TLS secret; either may be NULL */
int protect_install(struct conn *c, const struct suite *suite, qc_level level,
		    const uint8_t *rx_secret, const uint8_t *tx_secret, size_t secret_len);
/** protect_write_retry() - Return: bytes, 0 on failure */
size_t protect_write_retry(const struct suite *initial, uint8_t *dst, size_t cap,
			   const ngtcp2_cid *dcid, const ngtcp2_cid *scid, const ngtcp2_cid *odcid,
			   const uint8_t *token, size_t token_len);
/** protect_mac() - HMAC-SHA256 */
void protect_mac(uint8_t out[32], const uint8_t *key, size_t key_len, const uint8_t *data,
		 size_t len);

/* --- the handshake (tls.c, tls_null.c) ---------------------------------------- */
struct tls_ctx;			/* what all handshakes of a set share */
struct tls_ctx *tls_ctx_new(const uint8_t seed[PN_ID_LEN], const uint8_t id[PN_ID_LEN]);
void tls_ctx_free(struct tls_ctx *t);
/** tls_start() - Return: false if there is no memory */
PN_MUST_CHECK bool tls_start(struct conn *c);
void tls_stop(struct conn *c);
/** tls_feed() - handshake bytes from the peer; @len 0 begins
 *  Return: 0 or an ngtcp2 error */
int tls_feed(struct conn *c, qc_level level, const uint8_t *data, size_t len);
PN_MUST_CHECK bool tls_null_start(struct conn *c);
void tls_null_stop(struct conn *c);
int tls_null_feed(struct conn *c, qc_level level, const uint8_t *data, size_t len);

/* --- streams -------------------------------------------------------------------- */
/* What the owner has still to be told, told in the order of the bits. */
enum {
	EV_INCOMING = 1 << 0,
	EV_OPEN     = 1 << 1,
	EV_READABLE = 1 << 2,
	EV_WRITABLE = 1 << 3,
	EV_STOPPED  = 1 << 4,
	EV_RESET    = 1 << 5,
	EV_FAILED   = 1 << 6,
};

/* A stream's way to its answer:
 *	FREE      not in use
 *	DIALLING  ours, no answer yet; only the header is sent.  -> OPEN, DEAD
 *	HEADER    theirs, its header is not complete; nobody knows of it. -> ASKED, FREE
 *	ASKED     theirs, STREAM_EV_INCOMING is out. -> OPEN, FREE
 *	OPEN      both sides know. -> DEAD, FREE
 *	DEAD      reset or failed; only what was received can be read. -> FREE */
enum stream_state { STREAM_FREE, STREAM_DIALLING, STREAM_HEADER, STREAM_ASKED,
		    STREAM_OPEN, STREAM_DEAD };

struct stream {
	struct link of_conn;	/* conn->streams, or set->redial */
	struct link in_ready;	/* conn->ready: has something to send */
	struct link in_events;	/* set->stream_events */
	struct session_set *set;
	struct conn *conn;	/* NULL when QUIC has done with it, or the connection is gone */
	uint32_t index, gen;
	enum stream_state state;
	int64_t qid;		/* QUIC stream id, -1 before */
	uint64_t owner;
	uint8_t id[PN_ID_LEN], hit[PN_HIT_LEN];
	uint16_t port, peer_port;
	bool incoming;
	bool waiting;		/* dialled, has no QUIC id yet; counted in conn->waiting */
	bool orphan;		/* the owner has closed its handle */
	bool want_write;	/* the owner found the buffer full */
	bool fin_wanted, fin_sent, tx_stopped;
	bool rx_fin, rx_stopped;
	bool no_progress;	/* nothing was acknowledged since the last probe */
	bool retried;		/* dialled anew once */
	uint8_t events;
	int err;
	uint8_t pre[STREAM_HDR_LEN]; /* header or answer, goes before the data */
	uint8_t pre_len, pre_sent;
	uint8_t rx_pre[STREAM_HDR_LEN]; /* the peer's, as far as it has come */
	uint8_t rx_pre_len;
	struct sendbuf tx;
	struct recvbuf rx;
	uint64_t tx_bytes, rx_bytes; /* taken from, given to the owner */
};

/* --- datagrams -------------------------------------------------------------------- */
struct dgram {
	struct dgram *next;
	uint16_t src_port, dst_port;
	uint32_t len, off;	/* off: bytes sent as fragments */
	uint32_t msg_id;
	struct pn_time late;	/* then it is not worth sending any more */
	uint8_t type;
	uint8_t data[];
};
struct reasm {
	uint8_t *data;		/* NULL: free */
	uint32_t msg_id, len, got;
	uint16_t src_port, dst_port;
	struct pn_time until;
};

/* --- connections -------------------------------------------------------------------- */
/* FREE       not in use
 * HANDSHAKE  the peer is not proved; streams and datagrams wait.  -> UP, CLOSING, FREE
 * UP         -> CLOSING, FREE
 * CLOSING    no ngtcp2_conn any more; its ids swallow strays for CLOSING_NS. -> FREE */
enum conn_state { CONN_FREE, CONN_HANDSHAKE, CONN_UP, CONN_CLOSING };

struct conn {
	struct session_set *set;
	uint32_t index;
	enum conn_state state;
	bool server;
	bool announced;		/* SESSION_EV_UP is out */
	ngtcp2_conn *qc;
	gnutls_session_t tls;
	void *tls_null;
	const struct suite *suite;
	int tls_err;		/* PN_E... of our own check of the peer */

	uint8_t id[PN_ID_LEN], hit[PN_HIT_LEN];
	bool id_known, hit_known;
	bool in_pairs;		/* linked into the chain of its HIT */
	struct conn *pair_next;
	bool redundant;		/* the other of the two is kept */

	net_peer peer;
	bool addr_known;
	bool use_addr;		/* answer to @addr, not to @peer */
	struct pn_time addr_until; /* then try @peer again; or NEVER */
	bool unreach;		/* NET_EV_PEER_FAILED came during the handshake */
	uint64_t addr;
	uint32_t addr_tag;
	uint16_t flow;
	uint32_t mtu;
	uint32_t key_packets;	/* sent since the keys were changed */
	uint64_t authentic;	/* packets opened with keys of the handshake or later */

	uint64_t scid[SCIDS_MAX];
	uint32_t scid_count;
	uint64_t odcid_key;
	bool has_odcid;
	uint8_t token[TOKENS_MAX][TOKEN_LEN];
	uint32_t token_count;
	uint8_t first_scid[SCID_LEN];

	struct pn_heap_entry timer;
	struct link dirty;	/* set->dirty: wants session_flush() */
	struct pn_time born;
	struct pn_time active;	/* a stream or datagram, last */
	struct pn_time silent;	/* since then something is unacknowledged; or NEVER */
	uint8_t looks;		/* so often was the peer looked up because of it */
	struct pn_time hurry_at; /* probe then, see conn_clock(); or NEVER */
	uint64_t ahead_ns;	/* of the host's clock, see conn_clock() */
	struct pn_time later;	/* no buffer: try again then; or NEVER */
	struct pn_time gone_at;	/* CLOSING: when the slot is freed */
	struct pn_time probe_at; /* full streams: was one stopped?  or NEVER */
	uint64_t cwnd;

	struct link streams, ready;
	uint32_t stream_count;
	uint32_t waiting;	/* streams without a QUIC id */
	bool stream_ids_out;	/* the peer's limit is reached */
	bool dgram_turn;	/* datagrams before streams in the next packet */

	struct dgram *dg_head, *dg_tail;
	uint32_t dg_bytes, dg_count;
	uint32_t dg_next_id;
	uint32_t dg_piece;	/* bytes that dgram_frame() gave last */
	struct reasm reasm[REASM_SLOTS];
	uint32_t reasm_count;
	uint32_t notice_tokens;
	struct pn_time notice_at;

	int64_t guard_qid;	/* our unidirectional stream; -1 not begun, -2 not allowed */
	uint64_t hello_id, hello_acked; /* dgram ids of our newest hello */
	uint32_t hello_tries;
	bool hello_pending;
	struct pn_time hello_at; /* not acknowledged by then: again; or NEVER */
	bool hello_seen;
	uint64_t peer_nonce;

	uint64_t tx_bytes, rx_bytes, lost;
	uint8_t *close_pkt;
	uint32_t close_len, strays;
};

struct sess_event {		/* session events wait here; stream events are bits */
	struct sess_event *next;
	struct session_event ev;
	uint8_t data[];
};

enum counter {
	CNT_RX_PACKETS, CNT_RX_SHORT, CNT_RX_VERSION, CNT_RX_NOT_INITIAL, CNT_RX_UNKNOWN,
	CNT_RX_CLOSED, CNT_RX_RESET, CNT_TX_RESET, CNT_RESET_LIMITED, CNT_TX_RETRY,
	CNT_RETRY_BAD, CNT_GATE_RATE, CNT_GATE_HALF_OPEN, CNT_GATE_TABLE,
	CNT_TX_PACKETS, CNT_TX_NO_BUFFER, CNT_UP_OUT, CNT_UP_IN, CNT_AUTH_FAILED,
	CNT_HANDSHAKE_TIMEOUT, CNT_CLOSED_IDLE, CNT_CLOSED_SILENT, CNT_CLOSED_REDUNDANT,
	CNT_CLOSED_PEER, CNT_CLOSED_ERROR, CNT_RESTARTED,
	CNT_STREAM_TABLE_FULL, CNT_STREAM_BAD_HEADER,
	CNT_DGRAM_TX, CNT_DGRAM_RX, CNT_DGRAM_QUEUE_FULL, CNT_DGRAM_LATE, CNT_DGRAM_TOO_BIG,
	CNT_DGRAM_BAD,
	CNT_DGRAM_REASM_FULL, CNT_DGRAM_REASM_TIMEOUT, CNT_DGRAM_IN_FULL, CNT_DGRAM_LOST,
	CNT_NOTICE_LIMITED, CNT_HELLO_BAD, CNT_NO_MEMORY, CNT_COUNT
};

struct session_set {
	struct session_config cfg;
	struct net *net;
	struct pn_pool *pool;
	struct pn_time now;	/* of the call that runs */
	bool late;		/* it comes long after its deadline */
	uint8_t id[PN_ID_LEN], hit[PN_HIT_LEN];
	struct tls_ctx *tls;
	const struct suite *initial_suite;
	uint64_t nonce;		/* of this start */
	uint8_t reset_key[32];
	uint8_t retry_key[32];
	uint8_t rng_key[32];
	uint64_t rng_count;

	struct conn *conns;
	struct pn_heap_entry **heap_slots;
	struct pn_heap heap;
	struct map by_scid, by_odcid, by_token, by_hit;
	struct link dirty;
	uint32_t conn_free_hint, conn_count, half_open;

	struct stream *streams;
	uint32_t *stream_free;
	uint32_t stream_free_count;
	struct link stream_events;
	struct link redial;	/* streams whose connection ended before an answer */
	uint64_t tx_buffered;

	struct sess_event *ev_head, *ev_tail, *ev_current;
	uint32_t ev_bytes, ev_count;
	uint64_t reasm_bytes;

	struct pn_time gate_at, reset_at;
	uint32_t gate_tokens, reset_tokens;
	uint64_t counters[CNT_COUNT];
};

static inline void count(struct session_set *set, enum counter c) { set->counters[c]++; }

/* set.c */
void set_random(struct session_set *set, uint8_t *dst, size_t len);
/** rate_take() - a bucket of @rate tokens filled by @rate a second */
bool rate_take(uint32_t *tokens, struct pn_time *at, uint32_t rate, struct pn_time now);
void conn_arm(struct conn *c);		/* put the right time into the heap */
void conn_touch(struct conn *c);	/* wants session_flush() */

/* conn.c */
struct conn *conn_dial(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN]);
struct conn *conn_answer(struct session_set *set, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid,
			 const uint8_t *token, size_t token_len, const struct pn_pkt *pkt);
/** conn_check_peer() - the key the peer showed; Return: 0 or PN_EAUTH */
int conn_check_peer(struct conn *c, const uint8_t id[PN_ID_LEN]);
/** conn_read() - takes nothing; may end the connection */
void conn_read(struct conn *c, const struct pn_pkt *pkt);
/** conn_check_up() - after reads and writes: is the handshake done now? */
void conn_check_up(struct conn *c);
/** conn_idle_at() - when it closes for want of use; never while it is used */
struct pn_time conn_idle_at(const struct conn *c);
void conn_expire(struct conn *c);
/** conn_close() - ends it: tells the peer @code (if @say), our side @err */
void conn_close(struct conn *c, uint64_t code, int err, bool say);
/** conn_fail() - ends it because of an ngtcp2 error */
void conn_fail(struct conn *c, int liberr);
void conn_free(struct conn *c);
void conn_stray(struct conn *c, const struct pn_pkt *pkt);
/** conn_send() - takes @pkt, which holds a QUIC packet */
void conn_send(struct conn *c, struct pn_pkt *pkt, uint8_t ecn);
bool conn_evict(struct session_set *set);

/* callbacks.c */
void conn_callbacks(ngtcp2_callbacks *cb);
/** conn_scid_new() - an id for the peer to send to; Return: false if there are too many */
bool conn_scid_new(struct conn *c, ngtcp2_cid *cid);
void conn_scid_del(struct conn *c, uint64_t key);
/** conn_token_add() - a stateless reset with this token will be for this connection */
bool conn_token_add(struct conn *c, const uint8_t token[TOKEN_LEN]);
void conn_token_del(struct conn *c, const uint8_t token[TOKEN_LEN]);

/** stream_theirs_max() - streams that peers may have of the table: the rest is ours */
static inline uint32_t stream_theirs_max(const struct session_set *set)
{
	return set->cfg.stream_max - set->cfg.stream_max / 4;
}

/** conn_clock() - the time for ngtcp2
 *
 * QUIC doubles the time between two probes for as long as nobody answers.  The
 * network below heals in seconds, and then it would be silent for as long again.
 * ngtcp2 offers no limit, but it only knows the time that we tell it: when something
 * is unacknowledged and nothing has been heard for HURRY_NS, the connection's clock
 * is moved ahead to its next deadline.  It never goes back. */
static inline uint64_t conn_clock(const struct conn *c)
{
	return c->set->now.ns + c->ahead_ns;
}

/* pair.c */
struct conn *pair_find(struct session_set *set, const uint8_t hit[PN_HIT_LEN]);
/** pair_get() - the connection for new streams, dialled if there is none */
struct conn *pair_get(struct session_set *set, const uint8_t *id, const uint8_t hit[PN_HIT_LEN]);
void pair_add(struct conn *c);
void pair_del(struct conn *c);
void pair_on_up(struct conn *c);
void hello_on_up(struct conn *c);
void hello_again(struct conn *c);
size_t hello_build(struct conn *c, uint8_t *buf, size_t cap);
void hello_parse(struct conn *c, const uint8_t *data, size_t len);
void pair_on_net_event(struct session_set *set, const struct net_event *ev);

/* write.c */
void conn_flush(struct conn *c);
/** conn_dgram_room() - bytes of a DATAGRAM frame's content that surely fit */
size_t conn_dgram_room(const struct conn *c);

/* stream.c */
struct stream *stream_new(struct session_set *set, struct conn *c);
void stream_free(struct stream *s);
struct stream *stream_at(const struct session_set *set, stream_id id);
stream_id stream_handle(const struct stream *s);
void stream_event(struct stream *s, uint8_t bit);
void stream_ready(struct stream *s);	/* into its connection's ring; flush soon */
/** stream_io.c: how much a stream may buffer now */
uint64_t stream_tx_limit(const struct stream *s);
void stream_tx_drop(struct stream *s);
void stream_fail(struct stream *s, int err);
bool stream_has_tx(const struct stream *s);
void stream_attach(struct stream *s, struct conn *c); /* a dialled one, not begun */
void stream_move_waiting(struct conn *from, struct conn *to);
void stream_redial(struct session_set *set);
bool stream_begin(struct stream *s);	/* give it a QUIC id, if there are any left */
void stream_unwait(struct stream *s);
void stream_orphan_check(struct stream *s);
/* from the connection */
int stream_on_data(struct stream *s, const uint8_t *data, size_t len, bool fin);
void stream_on_acked(struct stream *s, uint64_t upto);
void stream_on_reset(struct stream *s, uint64_t code);
void stream_on_stopped(struct stream *s);
void stream_on_done(struct stream *s);
void stream_on_conn_gone(struct stream *s, int err, bool may_redial);

/* dgram.c */
#define DG_WHOLE	1
#define DG_FRAGMENT	2
#define DG_UNREACHABLE	3
#define DG_HELLO	4
/** dgram_frame() - header and span of what to send next; Return: vectors, 0 if none */
size_t dgram_frame(struct conn *c, uint8_t hdr[16], ngtcp2_vec vec[2], size_t room);
void dgram_sent(struct conn *c);	/* what dgram_frame() gave is in a packet */
void dgram_on_up(struct conn *c);	/* from now on what waits can leave */
void dgram_drop_late(struct conn *c);	/* what has waited too long */
void dgram_drop(struct conn *c);	/* what dgram_frame() gave cannot be sent */
void dgram_on_frame(struct conn *c, const uint8_t *data, size_t len);
void dgram_expire(struct conn *c);
struct pn_time dgram_deadline(const struct conn *c);
void dgram_fini(struct conn *c);

/* reset.c */
void reset_token(const struct session_set *set, const uint8_t *cid, size_t len,
		 uint8_t token[TOKEN_LEN]);
/** reset_match() - is this packet a stateless reset of one of our connections? */
struct conn *reset_match(struct session_set *set, const struct pn_pkt *pkt);
/** reset_send() - answer a packet for nobody */
void reset_send(struct session_set *set, const uint8_t *cid, const struct pn_pkt *pkt);
size_t retry_token_make(const struct session_set *set, uint8_t *buf, const struct pn_pkt *pkt,
			const ngtcp2_cid *odcid, const ngtcp2_cid *scid);
bool retry_token_check(const struct session_set *set, const uint8_t *token, size_t len,
		       const struct pn_pkt *pkt, const ngtcp2_cid *scid, ngtcp2_cid *odcid);

/* events.c */
/** event_put() - Return: false if dropped */
bool event_put(struct session_set *set, enum session_event_kind kind, const struct conn *c,
	       int err, uint16_t src_port, uint16_t dst_port, const uint8_t *data, size_t len);
void events_fini(struct session_set *set);

/* errmap.c */
uint64_t err_to_wire(int err);
int err_from_wire(uint64_t code);
/** err_from_close() - what a closed connection means to its streams */
int err_from_close(uint64_t code, bool app);
#define WIRE_IDLE	0x50	/* closed without streams: dial again when needed */
#define WIRE_REDUNDANT	0x51	/* the other of two connections is kept */
#define WIRE_SHUTDOWN	0x52	/* the node stops */
#define WIRE_STOP	0x60	/* the program reads no more */

#endif
