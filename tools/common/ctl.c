/* SPDX-License-Identifier: ISC */
/* The daemon's control protocol. */
#include "tools/common/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libpeernet/client.h"
#include "tools/common/tool.h"

#define READ_STEP 65536

static const char *no_daemon_hint(int err)
{
	switch (err) {
	case ENOENT:
	case ECONNREFUSED:
		return " (is pnstackd running?)";
	case EACCES:
	case EPERM:
		return " (its file mode or group keeps you out)";
	default:
		return "";
	}
}

void ctl_open(struct ctl *c, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char buf[PN_CLIENT_PATH_MAX];

	memset(c, 0, sizeof(*c));
	if (!path)
		path = pn_client_path(buf, sizeof(buf));
	if (!*path || strlen(path) >= sizeof(sun.sun_path))
		tool_die("the path of the daemon's socket is %s", *path ? "too long" : "empty");
	memcpy(sun.sun_path, path, strlen(path) + 1);
	memcpy(c->path, path, strlen(path) + 1);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		tool_die("cannot make a socket: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		tool_die("no daemon at %s: %s%s", c->path, strerror(errno), no_daemon_hint(errno));
}

void ctl_close(struct ctl *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buf);
	memset(c, 0, sizeof(*c));
	c->fd = -1;
}

static void write_all(struct ctl *c, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			tool_die("the daemon at %s has gone: %s", c->path, strerror(errno));
		text += n;
		len -= (size_t)n;
	}
}

uint64_t ctl_send(struct ctl *c, const char *op, json_t *request)
{
	uint64_t id = ++c->last_id;
	char *text;

	if (!request)
		request = json_object();
	json_object_set_new(request, "v", json_integer(PN_API_VERSION));
	json_object_set_new(request, "id", json_integer((json_int_t)id));
	json_object_set_new(request, "op", json_string(op));
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!text)
		tool_die("out of memory, or text that is not UTF-8");
	write_all(c, text, strlen(text));
	write_all(c, "\n", 1);
	free(text);
	return id;
}

/* Return: the first line in the buffer, parsed and removed; NULL: not complete */
static json_t *take_line(struct ctl *c)
{
	char *end = NULL;
	json_t *line;
	size_t len;

	if (c->used > c->scanned)
		end = memchr(c->buf + c->scanned, '\n', c->used - c->scanned);
	c->scanned = c->used;
	if (!end)
		return NULL;
	len = (size_t)(end - c->buf) + 1;
	line = json_loadb(c->buf, len, 0, NULL);
	if (!json_is_object(line))
		tool_die("the daemon at %s does not speak our protocol", c->path);
	c->used -= len;
	memmove(c->buf, c->buf + len, c->used);
	c->scanned = 0;
	return line;
}

/* Return: false: nothing came, or a signal did */
static bool read_more(struct ctl *c, int timeout_ms)
{
	struct pollfd pfd = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) <= 0)
		return false;
	if (c->cap - c->used < READ_STEP) {
		size_t cap = c->cap * 2 + READ_STEP;
		char *buf = cap > CTL_LINE_MAX * 2 ? NULL : realloc(c->buf, cap);

		if (!buf)
			tool_die("an answer of the daemon at %s is too long", c->path);
		c->buf = buf;
		c->cap = cap;
	}
	n = recv(c->fd, c->buf + c->used, c->cap - c->used, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0)
		tool_die("the daemon at %s has gone%s%s", c->path, n ? ": " : "",
			 n ? strerror(errno) : "");
	c->used += (size_t)n;
	return true;
}

json_t *ctl_next(struct ctl *c, int timeout_ms)
{
	json_t *line = take_line(c);

	while (!line && read_more(c, timeout_ms))
		line = take_line(c);
	return line;
}

json_t *ctl_call(struct ctl *c, const char *op, json_t *request)
{
	uint64_t id = ctl_send(c, op, request);
	uint64_t end = tool_now_ns() + CTL_WAIT_MS * TOOL_NS_PER_MS;

	for (;;) {
		uint64_t now = tool_now_ns();
		json_t *reply;

		if (now >= end)
			tool_die("the daemon at %s does not answer", c->path);
		reply = ctl_next(c, (int)((end - now) / TOOL_NS_PER_MS) + 1);
		if (reply && ctl_id(reply) == id)
			return reply;
		json_decref(reply);
	}
}

uint64_t ctl_id(const json_t *reply)
{
	return ctl_u64(reply, "id");
}

bool ctl_is_error(const json_t *reply)
{
	return json_object_get(reply, "error") != NULL;
}

const char *ctl_error_code(const json_t *reply)
{
	return ctl_str(json_object_get(reply, "error"), "code");
}

const char *ctl_error_text(const json_t *reply)
{
	return ctl_str(json_object_get(reply, "error"), "text");
}

void ctl_die(const char *what, json_t *reply)
{
	char text[512];

	snprintf(text, sizeof(text), "%.255s: %s", what, ctl_error_text(reply));
	json_decref(reply);
	tool_die("%s", tool_clean(text));
}

const char *ctl_str(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t ctl_u64(const json_t *object, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(object, key));

	return n > 0 ? (uint64_t)n : 0;
}

bool ctl_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}
