/* SPDX-License-Identifier: ISC */
/* api_int.h - what the files of pnstackd/api share
 *
 * Theory of operation
 *
 *	server.c     the well-known socket; what the first byte of a connection says
 *	control.c    JSON lines in and out; control_ops.c, control_show.c: operations
 *	ask.c        questions to the network that are answered later (lookup, ping)
 *	connector.c  the binary messages of api_wire.h
 *	streams.c    a program's socket and a session's stream: connecting, ending
 *	splice.c     the bytes between them
 *	relay.c      a program's socket spliced with another descriptor: the kernel's
 *	             TCP, or another program on this node
 *	listeners.c  who listens where, and connecting to them
 *	dgrams.c     datagram sockets
 *	ports.c      who may have which port
 *	names.c      petnames, and which identity stands behind a HIT
 *	map4.c       IPv4 addresses that stand for HITs
 *	errs.c       the table of error codes; errors kept until they are asked for
 *	keytab.c     objects by the key that a program chose
 *
 * Everything runs in callbacks of the loop, to completion.  An object is freed in
 * the callback that ends it and nobody keeps a pointer to it across callbacks: the
 * session layer holds a handle (slot and generation) as the owner's cookie, control
 * connections are told by a serial number.
 *
 * Back-pressure: nothing is read from a program while the session's send buffer is
 * full, and nothing is consumed of a session's receive buffer that the program did
 * not take.  No data wait in this module, save at most RELAY_BUF bytes for each
 * direction of a relay.
 */
#ifndef PN_API_INT_H
#define PN_API_INT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "libpeernet/api_wire.h"
#include "libpeernet/base/name.h"
#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"
#include "pnstackd/api/api.h"

/* Limits */
#define API_SOCKET_MAX_DEFAULT 4096
#define API_BACKLOG 4096
#define API_PENDING_MAX 512          /* connections that have not said what they are */
#define API_PENDING_NS PN_S(10)
#define API_CONTROL_MAX 256          /* control connections */
#define API_CONNECTOR_MAX 4096       /* connectors */
#define API_LINE_MAX 65536           /* bytes of one request */
#define API_OUT_MAX (16u << 20)      /* bytes not yet taken by a control connection */
#define API_OUT_PAUSE (1u << 20)     /* above this no further request is read */
#define API_LIST_MAX 100000          /* entries of one list in an answer */
#define API_ASK_MAX 1024             /* questions on their way */
#define API_LISTENER_MAX 4096
#define API_FD_MAX 4                 /* descriptors in one message */
#define API_BATCH 64                 /* messages or connections taken in one callback */
#define API_SCRATCH (128u << 10)
#define API_IO_CHUNK (64u << 10)     /* bytes a system call */
#define API_IO_ROUNDS 16             /* of them in one callback */
#define API_TICK_NS PN_S(1)
#define API_LINKS_WATCHED 256        /* links whose changes are told as events */

/* Log levels, as struct api_config says */
enum { API_LOG_ERR, API_LOG_WARN, API_LOG_INFO, API_LOG_DEBUG, API_LOG_TRACE };

/** enum api_count - counters, names in server.c */
enum api_count {
	API_N_STREAMS_OUT, API_N_STREAMS_IN, API_N_STREAMS_FAILED, API_N_REFUSED_NOBODY,
	API_N_REFUSED_BACKLOG, API_N_REFUSED_FULL, API_N_RELAYS, API_N_DGRAM_OUT,
	API_N_DGRAM_IN, API_N_DGRAM_DROP_FULL, API_N_DGRAM_DROP_NOBODY,
	API_N_DGRAM_DROP_PEER, API_N_DGRAM_DROP_SEND, API_N_DGRAM_DROP_BAD,
	API_N_BAD_HEADER, API_N_BAD_MESSAGE, API_N_BAD_LINE, API_N_DENIED, API_N_OVER_LIMIT,
	API_N_COUNT
};

/* Doubly linked lists of objects with next and prev. */
#define API_LIST_ADD(head_, obj_)				\
	do {							\
		(obj_)->prev = NULL;				\
		(obj_)->next = (head_);				\
		if (head_)					\
			(head_)->prev = (obj_);			\
		(head_) = (obj_);				\
	} while (0)
#define API_LIST_DEL(head_, obj_)				\
	do {							\
		if ((obj_)->prev)				\
			(obj_)->prev->next = (obj_)->next;	\
		else						\
			(head_) = (obj_)->next;			\
		if ((obj_)->next)				\
			(obj_)->next->prev = (obj_)->prev;	\
	} while (0)

/* Objects by key ----------------------------------------------------------- */

enum key_kind { KEY_STREAM, KEY_RELAY, KEY_LISTENER, KEY_DGRAM };

/** struct key_node - part of an object that a program can name */
struct key_node {
	struct key_node *next;
	enum key_kind kind;
	uid_t uid;                /* whose it is */
	uint8_t key[16];
	bool in;                  /* in the table */
};

struct keytab {
	struct key_node **bucket;
	size_t mask;
	uint64_t seed;
};

/** keytab_init() - @size_hint: objects expected.  Return: false: out of memory */
bool keytab_init(struct keytab *t, size_t size_hint, uint64_t seed);
void keytab_fini(struct keytab *t);
/** keytab_insert() - Return: false if the key is taken, or all zero */
bool keytab_insert(struct keytab *t, struct key_node *n);
void keytab_remove(struct keytab *t, struct key_node *n);
struct key_node *keytab_lookup(const struct keytab *t, const uint8_t key[16]);

/* Errors ------------------------------------------------------------------- */

#define ERRS_KEPT 1024
#define ERRS_KEPT_NS PN_S(120)
struct err_kept {
	uint8_t key[16];
	uid_t uid;
	int err;                  /* errno; 0: empty */
	struct pn_time until;
};
struct errs {
	struct err_kept kept[ERRS_KEPT];
	size_t next;
};
/** errs_errno() - a PN_E code as an errno of the host */
int errs_errno(int code);
/** errs_name() - an errno as "ECONNREFUSED" */
const char *errs_name(int err);
void errs_keep(struct errs *e, const uint8_t key[16], uid_t uid, int err, struct pn_time now);
/** errs_find() - Return: NULL if nothing is kept; set @err 0 to consume it */
struct err_kept *errs_find(struct errs *e, const uint8_t key[16], struct pn_time now);

/* Names -------------------------------------------------------------------- */

struct names;
struct names *names_new(const char *path, const uint8_t own_id[PN_ID_LEN]);
void names_free(struct names *n);
/** names_refresh() - read the file again if it has changed.  Return: true if so */
bool names_refresh(struct names *n);
/** names_error() - "" or "FILE:LINE: what is wrong" (the first; other lines count) */
const char *names_error(const struct names *n);
size_t names_count(const struct names *n);
/** names_learn() - remember which identity stands behind a HIT.  It must be true */
void names_learn(struct names *n, const uint8_t id[PN_ID_LEN]);
/** names_identity() - Return: the identity, NULL if not known */
const uint8_t *names_identity(const struct names *n, const uint8_t hit[PN_HIT_LEN]);
/** names_petname() - the first alias of an identity; NULL */
const char *names_petname(const struct names *n, const uint8_t id[PN_ID_LEN]);
/** names_resolve() - "x.pn.alt", petname, 52 characters or HIT literal
 *  @known: out, is the identity known?
 *  Return: 0, PN_EINVAL with @why, PN_ENOENT with @why */
int names_resolve(struct names *n, const char *text, uint8_t hit[PN_HIT_LEN],
		  uint8_t id[PN_ID_LEN], bool *known, char *why, size_t why_len);

/* 198.18.0.0/15 ------------------------------------------------------------ */

struct map4;
struct map4 *map4_new(void);
void map4_free(struct map4 *m);
/** map4_get() - Return: 0, PN_EFULL */
int map4_get(struct map4 *m, const uint8_t hit[PN_HIT_LEN], uint32_t *addr4);
/** map4_find() - Return: the HIT, NULL if that address stands for none */
const uint8_t *map4_find(const struct map4 *m, uint32_t addr4);

/* The API ------------------------------------------------------------------ */

struct pending;
struct control;
struct connector;
struct stream;
struct relay;
struct listener;
struct dgram;
struct ask;

/** struct api_cred - who is at the other end of a Unix socket */
struct api_cred {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

struct handle_slot {
	struct stream *stream;
	uint32_t generation;
	uint32_t next_free;
};

/** struct filler_note - a PN_OP_FILLER that came before its stream */
#define FILLER_NOTES 128
struct filler_note {
	uint8_t key[16];
	uint32_t count;
	struct pn_time until;     /* 0: empty */
};

#define PORT_BUCKETS 256

#define HELD_MAX 512
#define HELD_PORT_MAX 128

/**
 * struct held - A connection that waits for room in a program's backlog
 * @sid:	stream of a session, not answered yet; 0: it is of this node
 * @owner:	handle of the stream of this node
 * @uid:	whose program it is that listens
 * @until:	then it is refused
 */
struct held {
	stream_id sid;
	uint64_t owner;
	uint16_t port;
	uid_t uid;
	struct pn_time until;
};

struct api {
	struct api_config cfg;
	struct pn_time now;
	struct pn_time started;
	pid_t pid;
	char path[108];
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	uint64_t random;              /* state of a generator for things not secret */
	int listen_fd;
	struct loop_watch *listen_watch;
	bool listen_paused;           /* out of descriptors: until the next tick */
	uint8_t wakes;                /* listener_wake() to the end so often from now on, */
	uint8_t wake_goes;            /* and so often at most, */
	struct pn_time wake_at;       /* next at that time, */
	uint32_t wake_from;           /* behind so many listeners in the kernel's list */

	struct pending *pending;
	uint32_t pending_count;
	struct control *controls;
	uint32_t control_count;
	uint64_t control_serial;
	struct connector *connectors;
	uint32_t connector_count;
	struct stream *streams;       /* all, for lists and the end */
	struct relay *relays;
	struct dgram *dgrams;
	struct listener *listeners;
	uint32_t listener_count;
	uint32_t socket_count;        /* streams, relays and datagram sockets */

	struct handle_slot *slots;    /* socket_max + 1; 0 is nobody */
	uint32_t slot_free;
	struct keytab keys;
	struct listener *listen_ports[PORT_BUCKETS];
	struct dgram *dgram_ports[PORT_BUCKETS];
	uint32_t round;               /* round robin among sharers */
	struct filler_note notes[FILLER_NOTES];
	struct errs errs;
	struct names *names;
	struct map4 *map4;
	struct ask *asks;
	uint32_t ask_count;
	uint64_t ask_token;
	struct pn_time ask_deadline;
	struct held held[HELD_MAX];   /* in the order of arrival */
	uint32_t held_count;
	struct pn_time held_at;       /* when to try them again */
	bool link_state_known;
	uint32_t link_state[API_LINKS_WATCHED]; /* hash of name and state */
	struct pn_time tick;
	uint64_t count[API_N_COUNT];
	uint8_t *scratch;             /* API_SCRATCH bytes, valid within one call */
};

extern const char *const api_count_names[API_N_COUNT];

/* server.c */
void api_log(struct api *api, int level, const char *fmt, ...) PN_PRINTF(3, 4);
/** api_random() - not for secrets */
uint64_t api_random(struct api *api);
/** api_key() - 16 random bytes */
void api_key(uint8_t key[16]);
/** api_socket_take() - one more data socket.  Return: false: limit reached (counted) */
bool api_socket_take(struct api *api);
void api_socket_drop(struct api *api);
/** api_cred_of() - SO_PEERCRED */
bool api_cred_of(int fd, struct api_cred *out);
/** api_close() - forget a watch and close its descriptor; both may be none */
void api_close(struct api *api, struct loop_watch **w, int *fd);
/** api_may_admin() - may this user change how the daemon works? */
bool api_may_admin(const struct api *api, const struct api_cred *cred);

/* ports.c */
bool port_allowed(const struct api_cred *cred, uint16_t port);
/** port_ephemeral() - a port for which @used is false; 0 if there is none */
uint16_t port_ephemeral(struct api *api, bool (*used)(struct api *api, uint16_t port));

/* control.c */
/** control_new() - takes @fd.  Return: false: limit reached, @fd still the caller's */
bool control_new(struct api *api, int fd, const struct api_cred *cred);
void control_free_all(struct api *api);
void control_flush(struct api *api);
struct control *control_find(struct api *api, uint64_t serial);
uint64_t control_serial(const struct control *c);
const struct api_cred *control_cred(const struct control *c);
/** control_asks() - one more (1) or less (-1) question whose answer is to come */
void control_asks(struct control *c, int more);
/** control_send() - takes @o; @fd >= 0: goes along, is closed */
void control_send(struct control *c, json_t *o, int fd);
/** control_answer() - takes @fields (an object, or NULL) and @id */
void control_answer(struct control *c, json_t *id, json_t *fields);
/** control_error() - @err: errno; takes @id */
void control_error(struct control *c, json_t *id, int err, const char *fmt, ...)
	PN_PRINTF(4, 5);
#define SUB_NEIGHBOUR 1u
#define SUB_ADDRESS 2u
#define SUB_LINK 4u
#define SUB_SESSION 8u
void control_subscribe(struct control *c, uint32_t mask);
/** control_publish() - takes @o */
void control_publish(struct api *api, uint32_t kind, json_t *o);
/** control_wanted() - does anybody listen to that? */
bool control_wanted(const struct api *api, uint32_t kind);

/* control_ops.c */
/** control_request() - one request; always answers, now or later */
void control_request(struct api *api, struct control *c, json_t *req);
typedef void control_fn(struct api *api, struct control *c, json_t *id, json_t *req);
/* control_show.c */
control_fn op_id, op_status, op_neighbours, op_areas, op_routes, op_sessions, op_sockets,
	op_links, op_counters, op_expelled;
/** show_identity() - set "identity" (52 characters; "id" is the request's), "hit" and
 *  "name" (petname) of an object;
 *  @id may be NULL or zero when only the HIT is known, @hit NULL when computed */
void show_identity(struct api *api, json_t *o, const uint8_t *id, const uint8_t *hit);
json_t *show_address(uint64_t addr);
/* control_event.c */
void event_on_net(struct api *api, const struct net_event *ev);
void event_on_session(struct api *api, const struct session_event *ev);
void event_poll_links(struct api *api);

/* ask.c */
control_fn op_lookup, op_ping;
void ask_on_net_event(struct api *api, const struct net_event *ev);
void ask_expire(struct api *api);
void ask_free_all(struct api *api);

/* connector.c */
/** connector_new() - Return: the program's end, the caller's; -errno */
int connector_new(struct api *api);
void connector_free_all(struct api *api);
/** connector_proof() - is @fd the program's end of the stream with that key? */
bool connector_proof(struct api *api, int fd, const uint8_t key[16]);

/* streams.c */
/** api_stream_adopt() - a connection that begins with a stream header; takes @fd */
void api_stream_adopt(struct api *api, int fd, const struct api_cred *cred);
void api_stream_on_event(struct api *api, const struct session_event *ev);
/** api_stream_filler() - @n: NULL if no object has that key (yet) */
void api_stream_filler(struct api *api, const uint8_t key[16], struct key_node *n,
		   const struct api_cred *cred, uint32_t count);
void api_stream_abort(struct api *api, struct key_node *n);
void api_stream_free_all(struct api *api);
void api_stream_show_all(struct api *api, json_t *list);

/** api_stream_retry() - one that has waited; @last: it is refused rather than wait on
 *  Return: false: there is still no room */
bool api_stream_retry(struct api *api, const struct held *held, bool last);

/* backlog.c */
/** backlog_busy() - does anybody wait for that port already? */
bool backlog_busy(const struct api *api, uint16_t port);
/** backlog_hold() - let it wait: a stream of a session, or (@sid 0) one of this node
 *  Return: false: too many do */
bool backlog_hold(struct api *api, stream_id sid, uint64_t owner, uint16_t port);
/** backlog_drop() - the stream has ended.  Return: false if it did not wait */
bool backlog_drop(struct api *api, stream_id sid);
void backlog_expire(struct api *api);

/* relay.c */
struct relay_end {
	int fd;                   /* taken */
	uint8_t key[16];          /* zero: none */
	uid_t uid;
	bool kernel;              /* a kernel TCP socket */
};
/** relay_new() - takes both descriptors; the socket has been counted */
void relay_new(struct api *api, const struct relay_end ends[2]);
void relay_abort(struct api *api, struct key_node *n);
void relay_free_all(struct api *api);
void relay_show_all(struct api *api, json_t *list);

/* listeners.c */
struct listen_request {
	struct api_cred cred;
	uint8_t hit[16];
	uint16_t port, backlog, flags;
	uint8_t key[16];
	int kernel_fd, live_fd;   /* taken on success; -1 none */
	int own_fd;               /* the program has a listener already, of a daemon before; it
	                             stays the caller's; -1 none */
};
/** listener_new() - Return: the program's listening socket, the caller's (0 if it has one
 *  already); -errno */
int listener_new(struct api *api, const struct listen_request *req, uint16_t *port);
/** listener_uid() - whose program listens on that port; -1: nobody's */
uid_t listener_uid(struct api *api, uint16_t port);
/** listener_connect() - a connection to whoever listens
 *  @name: as the program shall see it: peer, ports, family
 *  @only: that listener, NULL: by port
 *  @uid:  out, whose listener it is
 *  Return: descriptor, non-blocking; -ECONNREFUSED nobody, -EAGAIN backlog full... */
int listener_connect(struct api *api, struct listener *only, struct pn_wire_name *name,
		     uid_t *uid);
/** listener_probe() - forget it if no program has it open any more */
void listener_probe(struct api *api, struct key_node *n);
/** listener_wake() - connect to listeners that there are without our knowing, from a daemon
 *  before us: whoever accepts that, comes to us (struct pn_wire_name, kind 'w')
 *  Return: false: there are more, for the next time */
bool listener_wake(struct api *api);
void listener_tick(struct api *api);
void listener_free_all(struct api *api);
void listener_show_all(struct api *api, json_t *list);

/* dgrams.c */
/** dgram_new() - takes @fd.  Return: 0, -errno (then @fd is still the caller's) */
int dgram_new(struct api *api, int fd, const uint8_t key[16], const struct api_cred *cred);
int dgram_bind(struct api *api, struct key_node *n, const struct api_cred *cred,
	       uint16_t port, uint16_t flags, uint16_t *bound);
int dgram_connect(struct api *api, struct key_node *n, const uint8_t hit[16], uint16_t port,
		  uint16_t *local_port);
void dgram_info(struct key_node *n, uint16_t *local_port, uint8_t peer[16],
		uint16_t *peer_port);
void dgram_on_event(struct api *api, const struct session_event *ev);
void dgram_free_all(struct api *api);
void dgram_show_all(struct api *api, json_t *list);

#endif
