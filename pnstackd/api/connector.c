/* SPDX-License-Identifier: ISC */
/* The binary messages of api_wire.h.
 *
 * A connector is shared by all threads and children of a program: who sent a message is
 * told by the SCM_CREDENTIALS of that message, not of the connection.  A message is
 * complete or it is dropped; descriptors in it that no operation took are closed at the
 * end.  The first descriptor of an operation that answers is where the answer goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

struct connector {
	struct connector *next, *prev;
	struct api *api;
	int fd;
	struct loop_watch *watch;
};

/** struct request - one message; operations that take a descriptor set it to -1 */
struct request {
	struct pn_wire_msg m;
	const uint8_t *payload;
	size_t payload_len;
	struct api_cred cred;
	int fds[API_FD_MAX];       /* -1: none; the reply descriptor is not among them */
	int reply_fd;
	struct pn_wire_reply reply;
	int out_fd;                /* goes with the reply, then closed; -1 none */
};

/** an operation: returns 0 or an errno, which goes into the reply */
typedef int op_fn(struct api *api, struct request *q);

static bool socket_is(int fd, int domain, int type, bool listening)
{
	int d = 0, t = 0, a = 0;
	socklen_t dl = sizeof(d), tl = sizeof(t), al = sizeof(a);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &d, &dl) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &t, &tl) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &a, &al) == 0 &&
	       d == domain && t == type && !a == !listening;
}

/* Streams ------------------------------------------------------------------ */

static bool name_has_key(const struct sockaddr_un *un, socklen_t len, const uint8_t key[16])
{
	struct pn_wire_name name;

	return pn_wire_name_parse(un, len, &name) == 0 && !memcmp(name.key, key, 16);
}

bool connector_proof(struct api *api, int fd, const uint8_t key[16])
{
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);
	struct api_cred cred;

	/* Its other end must be ours, and it or that end must bear the key. */
	if (fd < 0 || !socket_is(fd, AF_UNIX, SOCK_STREAM, false) || !api_cred_of(fd, &cred) ||
	    cred.pid != api->pid)
		return false;
	if (getsockname(fd, (struct sockaddr *)&un, &len) == 0 && name_has_key(&un, len, key))
		return true;
	memset(&un, 0, sizeof(un));
	len = sizeof(un);
	return getpeername(fd, (struct sockaddr *)&un, &len) == 0 && name_has_key(&un, len, key);
}

static bool may_ask(struct api *api, const struct request *q, uid_t owner)
{
	return q->cred.uid == 0 || q->cred.uid == owner ||
	       connector_proof(api, q->fds[0], q->m.key);
}

static int op_connect(struct api *api, struct request *q)
{
	if (q->fds[0] < 0 || !socket_is(q->fds[0], AF_UNIX, SOCK_STREAM, false)) {
		api->count[API_N_BAD_MESSAGE]++;
		return EINVAL;
	}
	api_stream_adopt(api, q->fds[0], &q->cred);
	q->fds[0] = -1;
	return 0;
}

static int op_filler(struct api *api, struct request *q)
{
	api_stream_filler(api, q->m.key, keytab_lookup(&api->keys, q->m.key), &q->cred, q->m.count);
	return 0;
}

static int op_error(struct api *api, struct request *q)
{
	struct err_kept *k = errs_find(&api->errs, q->m.key, api->now);
	int err;

	if (!k)
		return 0;
	if (!may_ask(api, q, k->uid)) {
		api->count[API_N_DENIED]++;
		return EPERM;
	}
	err = k->err;
	k->err = 0;
	return err;
}

static int op_reset(struct api *api, struct request *q)
{
	struct key_node *n = keytab_lookup(&api->keys, q->m.key);

	if (!n || (n->kind != KEY_STREAM && n->kind != KEY_RELAY))
		return 0;
	if (!may_ask(api, q, n->uid)) {
		api->count[API_N_DENIED]++;
		return EPERM;
	}
	if (n->kind == KEY_STREAM)
		api_stream_abort(api, n);
	else
		relay_abort(api, n);
	return 0;
}

/* Listeners ---------------------------------------------------------------- */

static int op_listen(struct api *api, struct request *q)
{
	struct listen_request req = {
		.cred = q->cred, .port = q->m.port, .backlog = q->m.backlog,
		.flags = q->m.flags, .kernel_fd = -1, .live_fd = -1, .own_fd = -1,
	};
	int *kernel = NULL, *live = NULL, *own = NULL, i, fd;

	memcpy(req.hit, q->m.hit, 16);
	memcpy(req.key, q->m.key, 16);
	for (i = 0; i < API_FD_MAX; i++) {
		if (q->fds[i] < 0)
			continue;
		if (!kernel && (socket_is(q->fds[i], AF_INET, SOCK_STREAM, true) ||
				socket_is(q->fds[i], AF_INET6, SOCK_STREAM, true)))
			kernel = &q->fds[i];
		else if (!live && socket_is(q->fds[i], AF_UNIX, SOCK_STREAM, false))
			live = &q->fds[i];
		else if (!own && socket_is(q->fds[i], AF_UNIX, SOCK_STREAM, true))
			own = &q->fds[i];
		else
			return EINVAL;
	}
	if (q->m.flags & PN_LISTEN_NO_PEERNET && !kernel)
		return EINVAL;
	req.kernel_fd = kernel ? *kernel : -1;
	req.live_fd = live ? *live : -1;
	req.own_fd = own ? *own : -1;
	fd = listener_new(api, &req, &q->reply.port);
	if (fd < 0)
		return -fd;
	if (kernel)
		*kernel = -1;
	if (live)
		*live = -1;
	q->out_fd = own ? -1 : fd;
	return 0;
}

static int op_unlisten(struct api *api, struct request *q)
{
	struct key_node *n = keytab_lookup(&api->keys, q->m.key);

	if (n && n->kind == KEY_LISTENER)
		listener_probe(api, n);
	return 0;
}

/* Datagrams ---------------------------------------------------------------- */

static int op_dgram(struct api *api, struct request *q)
{
	int r;

	if (q->fds[0] < 0 || !socket_is(q->fds[0], AF_UNIX, SOCK_SEQPACKET, false)) {
		api->count[API_N_BAD_MESSAGE]++;
		return EINVAL;
	}
	r = dgram_new(api, q->fds[0], q->m.key, &q->cred);
	if (r < 0)
		return -r;
	q->fds[0] = -1;
	return 0;
}

/* Return: the datagram socket, NULL with @err */
static struct key_node *dgram_of(struct api *api, const struct request *q, int *err)
{
	struct key_node *n = keytab_lookup(&api->keys, q->m.key);

	*err = 0;
	if (!n || n->kind != KEY_DGRAM)
		*err = ENOTSOCK;
	return *err ? NULL : n;
}

/* Keys of datagram sockets are in names too: only who has the user's rights may change */
static struct key_node *own_dgram(struct api *api, const struct request *q, int *err)
{
	struct key_node *n = dgram_of(api, q, err);

	if (n && q->cred.uid != 0 && q->cred.uid != n->uid) {
		api->count[API_N_DENIED]++;
		*err = EPERM;
		n = NULL;
	}
	return n;
}

static int op_bind(struct api *api, struct request *q)
{
	int err;
	struct key_node *n = own_dgram(api, q, &err);

	if (!n)
		return err;
	return -dgram_bind(api, n, &q->cred, q->m.port, q->m.flags, &q->reply.port);
}

static int op_dconnect(struct api *api, struct request *q)
{
	int err;
	struct key_node *n = own_dgram(api, q, &err);

	if (!n)
		return err;
	return -dgram_connect(api, n, q->m.hit, q->m.port, &q->reply.port);
}

static int op_dinfo(struct api *api, struct request *q)
{
	uint16_t peer_port = 0;
	int err;
	struct key_node *n = dgram_of(api, q, &err);

	if (!n)
		return err;
	dgram_info(n, &q->reply.port, q->reply.hit, &peer_port);
	q->reply.addr4 = peer_port;
	return 0;
}

/* Names -------------------------------------------------------------------- */

static int op_resolve(struct api *api, struct request *q)
{
	char text[PN_NAME_MAX + 1], why[160];
	bool known;

	if (!q->payload_len || q->payload_len > PN_NAME_MAX ||
	    memchr(q->payload, 0, q->payload_len))
		return EINVAL;
	memcpy(text, q->payload, q->payload_len);
	text[q->payload_len] = '\0';
	return errs_errno(names_resolve(api->names, text, q->reply.hit, q->reply.id, &known, why,
					sizeof(why)));
}

static int op_reverse(struct api *api, struct request *q)
{
	const uint8_t *id = names_identity(api->names, q->m.hit);
	const char *petname;

	if (!id)
		return ENOENT;
	memcpy(q->reply.id, id, PN_ID_LEN);
	memcpy(q->reply.hit, q->m.hit, PN_HIT_LEN);
	petname = names_petname(api->names, id);
	if (!petname) {
		pn_id_to_name(id, q->reply.name);
		return 0;
	}
	memcpy(q->reply.name, petname, strlen(petname));
	memcpy(q->reply.name + strlen(petname), PN_NAME_SUFFIX, sizeof(PN_NAME_SUFFIX));
	return 0;
}

static int op_map4(struct api *api, struct request *q)
{
	if (!pn_is_hit(q->m.hit))
		return EINVAL;
	return errs_errno(map4_get(api->map4, q->m.hit, &q->reply.addr4));
}

static int op_unmap4(struct api *api, struct request *q)
{
	const uint8_t *hit = map4_find(api->map4, q->m.count);

	if (!hit)
		return ENOENT;
	memcpy(q->reply.hit, hit, PN_HIT_LEN);
	return 0;
}

static int op_info(struct api *api, struct request *q)
{
	memcpy(q->reply.hit, api->hit, PN_HIT_LEN);
	memcpy(q->reply.id, api->id, PN_ID_LEN);
	return 0;
}

/* Messages ----------------------------------------------------------------- */

static const struct {
	op_fn *fn;
	bool answers;
} ops[] = {
	[PN_OP_CONNECT] = { op_connect, false },
	[PN_OP_FILLER] = { op_filler, false },
	[PN_OP_ERROR] = { op_error, true },
	[PN_OP_LISTEN] = { op_listen, true },
	[PN_OP_UNLISTEN] = { op_unlisten, false },
	[PN_OP_DGRAM] = { op_dgram, false },
	[PN_OP_BIND] = { op_bind, true },
	[PN_OP_DCONNECT] = { op_dconnect, true },
	[PN_OP_RESOLVE] = { op_resolve, true },
	[PN_OP_REVERSE] = { op_reverse, true },
	[PN_OP_MAP4] = { op_map4, true },
	[PN_OP_UNMAP4] = { op_unmap4, true },
	[PN_OP_INFO] = { op_info, true },
	[PN_OP_RESET] = { op_reset, false },
	[PN_OP_DINFO] = { op_dinfo, true },
};

static void send_reply(struct request *q, int err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { .buf = { 0 } };
	uint8_t buf[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX];
	struct iovec iov = { buf, 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	q->reply.err = (uint32_t)err;
	q->reply.uid = geteuid();
	iov.iov_len = pn_wire_reply_build(&q->reply, buf);
	if (!err && q->out_fd >= 0) {
		struct cmsghdr *cm;

		msg.msg_control = ctl.buf;
		msg.msg_controllen = sizeof(ctl.buf);
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &q->out_fd, sizeof(int));
	}
	/* Who does not take the answer at once does without. */
	(void)sendmsg(q->reply_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* All descriptors of the message into @q; false if it cannot be a good one */
static bool take_control(struct request *q, struct msghdr *msg)
{
	struct cmsghdr *cm;
	bool have_cred = false, bad = msg->msg_flags & (MSG_CTRUNC | MSG_TRUNC);
	size_t used = 0;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		size_t count, i;

		if (cm->cmsg_level != SOL_SOCKET)
			continue;
		if (cm->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(cm), sizeof(cred));
			q->cred = (struct api_cred){ cred.pid, cred.uid, cred.gid };
			have_cred = true;
		}
		if (cm->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
			if (used < API_FD_MAX)
				q->fds[used++] = fd;
			else
				close(fd);
		}
	}
	return have_cred && !bad;
}

static void handle(struct api *api, struct request *q)
{
	uint8_t op = q->m.op;
	bool known = op < PN_ARRAY_LEN(ops) && ops[op].fn;
	int i, err;

	if (!known || ops[op].answers) {
		/* the first descriptor is where the answer goes */
		q->reply_fd = q->fds[0];
		for (i = 0; i + 1 < API_FD_MAX; i++)
			q->fds[i] = q->fds[i + 1];
		q->fds[API_FD_MAX - 1] = -1;
		if (q->reply_fd < 0) {
			api->count[API_N_BAD_MESSAGE]++;
			return;
		}
	}
	err = known ? ops[op].fn(api, q) : EOPNOTSUPP;
	if (q->reply_fd >= 0)
		send_reply(q, err);
}

static void finish(struct request *q)
{
	int i;

	for (i = 0; i < API_FD_MAX; i++) {
		if (q->fds[i] >= 0)
			close(q->fds[i]);
	}
	if (q->reply_fd >= 0)
		close(q->reply_fd);
	if (q->out_fd >= 0)
		close(q->out_fd);
}

/* One message.  Return: 1 done, 0 nothing there, -1 the program has gone */
static int take_message(struct connector *c)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
	} ctl;
	uint8_t buf[PN_WIRE_MSG_LEN + PN_WIRE_NAME_MAX];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	struct request q = { .fds = { -1, -1, -1, -1 }, .reply_fd = -1, .out_fd = -1 };
	struct api *api = c->api;
	ssize_t n = recvmsg(c->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	if (n == 0 && !msg.msg_controllen)
		return -1;
	if (take_control(&q, &msg) &&
	    pn_wire_msg_parse(buf, (size_t)n, &q.m, &q.payload, &q.payload_len) == 0)
		handle(api, &q);
	else
		api->count[API_N_BAD_MESSAGE]++;
	finish(&q);
	return n == 0 ? -1 : 1;
}

static void connector_free(struct connector *c)
{
	struct api *api = c->api;

	api_close(api, &c->watch, &c->fd);
	API_LIST_DEL(api->connectors, c);
	api->connector_count--;
	free(c);
}

static void on_message(void *arg, uint32_t events, struct pn_time now)
{
	struct connector *c = arg;
	int i, r = 1;

	(void)events;
	c->api->now = now;
	for (i = 0; i < API_BATCH && r > 0; i++)
		r = take_message(c);
	if (r < 0)
		connector_free(c);
}

int connector_new(struct api *api)
{
	const int one = 1;
	struct connector *c;
	int pair[2];

	if (api->connector_count >= API_CONNECTOR_MAX) {
		api->count[API_N_OVER_LIMIT]++;
		return -ENOBUFS;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		int err = errno;

		free(c);
		return -err;
	}
	setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	c->api = api;
	c->fd = pair[0];
	API_LIST_ADD(api->connectors, c);
	api->connector_count++;
	c->watch = loop_watch_add(api->cfg.loop, c->fd, LOOP_IN, on_message, c);
	if (!c->watch) {
		close(pair[1]);
		connector_free(c);
		return -ENOMEM;
	}
	return pair[1];
}

void connector_free_all(struct api *api)
{
	while (api->connectors)
		connector_free(api->connectors);
}
