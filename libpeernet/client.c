/* SPDX-License-Identifier: ISC */
/* The connector, requests on it, and names.
 *
 * Theory of operation
 *
 * A process has one connector.  It is fetched with one line on a control
 * connection, and then every request is one atomic message on it, so that threads
 * and forked children share it without locks.  Number and inode of the descriptor
 * stand in one atomic word: a program may close descriptors it does not know and get
 * the number again for something else, and then we must not write to it.  Every use
 * compares the inode first.  When the daemon has gone, the message fails with EPIPE;
 * then one new connector is fetched and the message is sent once more.  When two
 * threads fetch one at the same time, the loser of the compare-and-swap closes his.
 */
#include "libpeernet/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"

#define CONNECTOR_REQUEST "{\"v\":1,\"id\":1,\"op\":\"connector\"}\n"
#define FDS_MAX 4   /* with the reply descriptor */

const struct pn_client_sys pn_client_libc = {
	.socket = socket,
	.socketpair = socketpair,
	.bind = bind,
	.connect = connect,
	.sendmsg = sendmsg,
	.recvmsg = recvmsg,
	.send = send,
	.recv = recv,
	.getsockname = getsockname,
	.getpeername = getpeername,
	.getsockopt = getsockopt,
	.setsockopt = setsockopt,
	.poll = poll,
	.fcntl = fcntl,
	.dup3 = dup3,
	.close = close,
};

void pn_client_init(struct pn_client *c, const struct pn_client_sys *sys)
{
	memset(c, 0, sizeof(*c));
	c->sys = sys ? sys : &pn_client_libc;
}

void pn_client_key(uint8_t key[16])
{
	size_t got = 0;

	while (got < 16) {
		ssize_t n = getrandom(key + got, 16 - got, 0);

		if (n > 0)
			got += (size_t)n;
		else
			PN_ASSERT(errno == EINTR);
	}
	/* in names of sockets the kernel shows 0 as '@': so that they can be told apart */
	for (got = 0; got < 16; got++)
		if (key[got] == 0 || key[got] == '@')
			key[got] ^= 0x81;
}

const char *pn_client_path(char *buf, size_t cap)
{
	const char *env = getenv(PN_API_SOCKET_ENV);
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	PN_ASSERT(cap > 0);
	if (!env || !*env) {
		if (dir && *dir) {
			n = snprintf(buf, cap, "%s/peernet.sock", dir);
			if (n > 0 && (size_t)n < cap && access(buf, F_OK) == 0)
				return buf;
		}
		env = PN_API_SOCKET_DEFAULT;
	}
	n = snprintf(buf, cap, "%s", env);
	if (n < 0 || (size_t)n >= cap)
		buf[0] = '\0';
	return buf;
}

/* The connector ------------------------------------------------------------- */

/* Low 32 bits of the inode, never 0; 0 if it is no socket */
static uint32_t socket_ino(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
		return 0;
	return (uint32_t)st.st_ino ? (uint32_t)st.st_ino : 1;
}

static uint64_t connector_pack(int fd)
{
	return (uint64_t)(uint32_t)fd << 32 | socket_ino(fd);
}

static int connector_fd(uint64_t packed)
{
	return (int)(packed >> 32);
}

/* Is it still the socket that was packed? */
static bool connector_valid(uint64_t packed)
{
	return packed && socket_ino(connector_fd(packed)) == (uint32_t)packed;
}

/* The only descriptor in a message, -1 if there is none; others are closed */
static int take_fd(struct pn_client *c, struct msghdr *msg)
{
	struct cmsghdr *cm;
	int fd = -1;

	for (cm = CMSG_FIRSTHDR(msg); cm; cm = CMSG_NXTHDR(msg, cm)) {
		size_t count, i;

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			int got;

			memcpy(&got, CMSG_DATA(cm) + i * sizeof(int), sizeof(got));
			if (fd < 0)
				fd = got;
			else
				c->sys->close(got);
		}
	}
	return fd;
}

int pn_client_address(const struct pn_client *c, struct sockaddr_un *un)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (!c->path)
		pn_client_path(un->sun_path, sizeof(un->sun_path));
	else if (strlen(c->path) < sizeof(un->sun_path))
		memcpy(un->sun_path, c->path, strlen(c->path) + 1);
	return *un->sun_path ? 0 : -ENETDOWN;
}

/* Reads the answer to CONNECTOR_REQUEST, of which only the descriptor matters */
static int connector_receive(struct pn_client *c, int control)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} ctl;
	char line[1024];
	struct iovec iov = { line, sizeof(line) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	ssize_t n;
	int fd;

	do {
		n = c->sys->recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -ENETDOWN;
	fd = take_fd(c, &msg);
	return fd >= 0 ? fd : -ENETDOWN;
}

/* Asks the daemon for a connector.  Return: descriptor or -errno */
static int connector_fetch(struct pn_client *c)
{
	const struct timeval wait = { .tv_sec = PN_CLIENT_WAIT_MS / 1000 };
	struct sockaddr_un un;
	int control, r;

	r = pn_client_address(c, &un);
	if (r < 0)
		return r;
	control = c->sys->socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (control < 0)
		return -errno;
	c->sys->setsockopt(control, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	c->sys->setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	do {
		r = c->sys->connect(control, (struct sockaddr *)&un, sizeof(un));
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = errno == EACCES || errno == EPERM ? -EACCES : -ENETDOWN;
	} else if (c->sys->send(control, CONNECTOR_REQUEST, strlen(CONNECTOR_REQUEST),
				MSG_NOSIGNAL) < 0) {
		r = -ENETDOWN;
	} else {
		r = connector_receive(c, control);
	}
	c->sys->close(control);
	return r;
}

/* Gives the fresh connector the number and flags it shall have */
static int connector_place(struct pn_client *c, int fd)
{
	int moved;

	if (c->fd_floor > fd) {
		moved = c->sys->fcntl(fd, F_DUPFD_CLOEXEC, c->fd_floor);
		if (moved >= 0) {
			c->sys->close(fd);
			fd = moved;
		}
	}
	if (c->keep_on_exec)
		c->sys->fcntl(fd, F_SETFD, 0);
	return fd;
}

static uint64_t peer_uid(struct pn_client *c, int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (c->sys->getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return 0;
	return (uint64_t)cred.uid + 1;
}

/* Puts a new connector into the place of @old */
static int connector_renew(struct pn_client *c, uint64_t old)
{
	int fd = connector_fetch(c);

	if (fd < 0)
		return fd;
	fd = connector_place(c, fd);
	if (!atomic_compare_exchange_strong(&c->connector, &old, connector_pack(fd))) {
		/* another thread was faster */
		c->sys->close(fd);
		return connector_valid(old) ? connector_fd(old) : -ENETDOWN;
	}
	atomic_store(&c->uid, peer_uid(c, fd));
	atomic_store(&c->info_state, 0);
	if (connector_valid(old))
		c->sys->close(connector_fd(old));
	return fd;
}

int pn_client_connector(struct pn_client *c)
{
	uint64_t packed = atomic_load(&c->connector);

	if (connector_valid(packed))
		return connector_fd(packed);
	return connector_renew(c, packed);
}

int pn_client_adopt(struct pn_client *c, int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (c->sys->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_SEQPACKET)
		return -ENOTSOCK;
	pn_client_drop(c);
	atomic_store(&c->uid, peer_uid(c, fd));
	atomic_store(&c->connector, connector_pack(fd));
	return 0;
}

bool pn_client_holds(const struct pn_client *c, int fd)
{
	uint64_t packed = atomic_load(&c->connector);

	return packed && connector_fd(packed) == fd && connector_valid(packed);
}

void pn_client_drop(struct pn_client *c)
{
	uint64_t old = atomic_exchange(&c->connector, 0);

	if (connector_valid(old))
		c->sys->close(connector_fd(old));
	atomic_store(&c->info_state, 0);
}

int pn_client_uid(struct pn_client *c, uid_t *uid)
{
	int fd = pn_client_connector(c);
	uint64_t known;

	if (fd < 0)
		return fd;
	known = atomic_load(&c->uid);
	if (!known)
		known = peer_uid(c, fd);
	if (!known)
		return -ENETDOWN;
	*uid = (uid_t)(known - 1);
	return 0;
}

/* Requests -------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Waits for @events, across signals.  Return: 0, -ETIMEDOUT */
static int wait_ready(struct pn_client *c, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int64_t end = now_ms() + PN_CLIENT_WAIT_MS;

	for (;;) {
		int64_t left = end - now_ms();
		int n = c->sys->poll(&p, 1, left > 0 ? (int)left : 0);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

/* One sendmsg() without SIGPIPE, waiting where the buffer is full */
static int send_bounded(struct pn_client *c, int fd, const struct msghdr *msg)
{
	for (;;) {
		int r;

		if (c->sys->sendmsg(fd, msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -errno;
		r = wait_ready(c, fd, POLLOUT);
		if (r < 0)
			return r;
	}
}

static bool daemon_gone(int err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -ENOTCONN || err == -ECONNREFUSED;
}

static int send_request(struct pn_client *c, const struct pn_wire_msg *m, const void *payload,
			size_t payload_len, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} ctl;
	uint8_t buf[PN_WIRE_MSG_LEN + PN_WIRE_NAME_MAX];
	struct iovec iov = { buf, PN_WIRE_MSG_LEN + payload_len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fd, r;

	PN_ASSERT(payload_len <= PN_WIRE_NAME_MAX);
	PN_ASSERT(fd_count <= FDS_MAX);
	pn_wire_msg_build(m, buf);
	if (payload_len)
		memcpy(buf + PN_WIRE_MSG_LEN, payload, payload_len);
	if (fd_count) {
		struct cmsghdr *cm;

		memset(&ctl, 0, sizeof(ctl));
		msg.msg_control = ctl.buf;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		cm = CMSG_FIRSTHDR(&msg);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cm), fds, fd_count * sizeof(int));
	}
	fd = pn_client_connector(c);
	if (fd < 0)
		return fd;
	r = send_bounded(c, fd, &msg);
	if (daemon_gone(r)) {
		fd = connector_renew(c, atomic_load(&c->connector));
		r = fd < 0 ? fd : send_bounded(c, fd, &msg);
	}
	return daemon_gone(r) ? -ENETDOWN : r;
}

int pn_client_tell(struct pn_client *c, const struct pn_wire_msg *msg, const int *fds,
		   size_t fd_count)
{
	return send_request(c, msg, NULL, 0, fds, fd_count);
}

static int receive_reply(struct pn_client *c, int fd, struct pn_wire_reply *out, int *out_fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} ctl;
	uint8_t buf[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX + 1];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.buf,
			      .msg_controllen = sizeof(ctl.buf) };
	ssize_t n;
	int got, r;

	r = wait_ready(c, fd, POLLIN);
	if (r < 0)
		return r;
	do {
		n = c->sys->recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -ENETDOWN;
	got = take_fd(c, &msg);
	r = pn_wire_reply_parse(buf, (size_t)n, out) < 0 ? -EPROTO : 0;
	if (!r && out->err)
		r = out->err <= INT32_MAX ? -(int)out->err : -EPROTO;
	if (got >= 0 && (r < 0 || !out_fd)) {
		c->sys->close(got);
		got = -1;
	}
	if (!r && out_fd)
		*out_fd = got;
	return r;
}

int pn_client_call(struct pn_client *c, const struct pn_wire_msg *msg, const void *payload,
		   size_t payload_len, const int *fds, size_t fd_count,
		   struct pn_wire_reply *out, int *out_fd)
{
	int pair[2], all[FDS_MAX];
	int r;

	PN_ASSERT(fd_count < FDS_MAX);
	if (c->sys->socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	all[0] = pair[1];
	if (fd_count)
		memcpy(all + 1, fds, fd_count * sizeof(int));
	r = send_request(c, msg, payload, payload_len, all, fd_count + 1);
	c->sys->close(pair[1]);
	if (r == 0)
		r = receive_reply(c, pair[0], out, out_fd);
	c->sys->close(pair[0]);
	return r;
}

/* Names and addresses --------------------------------------------------------- */

int pn_client_info(struct pn_client *c, uint8_t hit[16], uint8_t id[32])
{
	const struct pn_wire_msg msg = { .op = PN_OP_INFO };
	struct pn_wire_reply reply;
	int none = 0, r;

	if (atomic_load(&c->info_state) == 2) {
		if (hit)
			memcpy(hit, c->hit, 16);
		if (id)
			memcpy(id, c->id, 32);
		return 0;
	}
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r < 0)
		return r;
	if (hit)
		memcpy(hit, reply.hit, 16);
	if (id)
		memcpy(id, reply.id, 32);
	/* One thread remembers it; one that forked in between never does. */
	if (atomic_compare_exchange_strong(&c->info_state, &none, 1)) {
		memcpy(c->hit, reply.hit, 16);
		memcpy(c->id, reply.id, 32);
		atomic_store(&c->info_state, 2);
	}
	return 0;
}

int pn_client_resolve(struct pn_client *c, const char *name, uint8_t hit[16], uint8_t id[32])
{
	const struct pn_wire_msg msg = { .op = PN_OP_RESOLVE };
	struct pn_wire_reply reply;
	size_t len = strlen(name);
	int r;

	if (len == 0 || len > PN_WIRE_NAME_MAX)
		return -EINVAL;
	r = pn_client_call(c, &msg, name, len, NULL, 0, &reply, NULL);
	if (r < 0)
		return r;
	memcpy(hit, reply.hit, 16);
	if (id)
		memcpy(id, reply.id, 32);
	return 0;
}

int pn_client_reverse(struct pn_client *c, const uint8_t hit[16],
		      char name[PN_WIRE_NAME_MAX + 1], uint8_t id[32])
{
	struct pn_wire_msg msg = { .op = PN_OP_REVERSE };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.hit, hit, 16);
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r < 0)
		return r;
	memcpy(name, reply.name, sizeof(reply.name));
	if (id)
		memcpy(id, reply.id, 32);
	return 0;
}

int pn_client_map4(struct pn_client *c, const uint8_t hit[16], uint32_t *addr4)
{
	struct pn_wire_msg msg = { .op = PN_OP_MAP4 };
	struct pn_wire_reply reply;
	int r;

	memcpy(msg.hit, hit, 16);
	r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);
	if (r == 0)
		*addr4 = reply.addr4;
	return r;
}

int pn_client_unmap4(struct pn_client *c, uint32_t addr4, uint8_t hit[16])
{
	const struct pn_wire_msg msg = { .op = PN_OP_UNMAP4, .count = addr4 };
	struct pn_wire_reply reply;
	int r = pn_client_call(c, &msg, NULL, 0, NULL, 0, &reply, NULL);

	if (r == 0)
		memcpy(hit, reply.hit, 16);
	return r;
}
