/* SPDX-License-Identifier: ISC */
/* JSON lines in and out.
 *
 * One object a line, at most API_LINE_MAX bytes; of a longer line the rest is thrown
 * away unread, after one error.  Answers are queued and written when the loop says
 * so; who does not read them is not read from either (API_OUT_PAUSE), and is dropped at
 * API_OUT_MAX (events come unasked).  An object is only freed at the end of a callback
 * or of a flush, so that an operation may answer without looking.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pnstackd/api/api_int.h"

#define CONTROL_FDS 8   /* connectors that wait to be sent */

struct control {
	struct control *next, *prev;
	struct api *api;
	uint64_t serial;
	int fd;
	struct loop_watch *watch;
	uint32_t wanted;
	struct api_cred cred;
	char *in;                  /* API_LINE_MAX bytes */
	size_t in_len;
	char *out;
	size_t out_off, out_len, out_cap;
	struct {
		size_t at;         /* offset in out of the line it belongs to */
		int fd;
	} fds[CONTROL_FDS];
	size_t fd_count;
	uint32_t subscribed;
	uint32_t asks;             /* questions not answered yet */
	bool skipping;             /* to the end of a line that was too long */
	bool eof;                  /* nothing more to read */
	bool dead;
};

static void control_free(struct control *c)
{
	struct api *api = c->api;
	size_t i;

	for (i = 0; i < c->fd_count; i++)
		close(c->fds[i].fd);
	api_close(api, &c->watch, &c->fd);
	API_LIST_DEL(api->controls, c);
	api->control_count--;
	free(c->in);
	free(c->out);
	free(c);
}

/* Out ---------------------------------------------------------------------- */

/* Sends one piece, with its descriptor where it begins.  Return: bytes, -1 errno */
static ssize_t send_piece(struct control *c)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} ctl = { .buf = { 0 } };
	struct iovec iov = { c->out + c->out_off, c->out_len - c->out_off };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t next = c->fd_count ? c->fds[0].at : SIZE_MAX;
	ssize_t n;

	if (next > c->out_off) {
		/* plain bytes, up to the next line that carries one */
		if (next != SIZE_MAX)
			iov.iov_len = next - c->out_off;
		return sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	msg.msg_control = ctl.buf;
	msg.msg_controllen = sizeof(ctl.buf);
	ctl.align.cmsg_level = SOL_SOCKET;
	ctl.align.cmsg_type = SCM_RIGHTS;
	ctl.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&ctl.align), &c->fds[0].fd, sizeof(int));
	if (c->fd_count > 1)
		iov.iov_len = c->fds[1].at - c->out_off;
	n = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0) {
		close(c->fds[0].fd);
		c->fd_count--;
		memmove(c->fds, c->fds + 1, c->fd_count * sizeof(c->fds[0]));
	}
	return n;
}

static void write_out(struct control *c)
{
	while (!c->dead && c->out_off < c->out_len) {
		ssize_t n = send_piece(c);

		if (n > 0)
			c->out_off += (size_t)n;
		else if (errno == EAGAIN)
			return;
		else if (errno != EINTR)
			c->dead = true;
	}
	if (c->out_off == c->out_len)
		c->out_off = c->out_len = 0;
}

static bool out_reserve(struct control *c, size_t len)
{
	size_t want = c->out_len + len, cap = c->out_cap ? c->out_cap : 4096;
	char *p;

	if (want > API_OUT_MAX)
		return false;
	while (cap < want)
		cap *= 2;
	if (cap == c->out_cap)
		return true;
	p = realloc(c->out, cap);
	if (!p)
		return false;
	c->out = p;
	c->out_cap = cap;
	return true;
}

void control_send(struct control *c, json_t *o, int fd)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;

	json_decref(o);
	if (!text || c->dead || !out_reserve(c, len + 1) ||
	    (fd >= 0 && c->fd_count == CONTROL_FDS)) {
		c->dead = true;
		if (fd >= 0)
			close(fd);
		free(text);
		return;
	}
	if (fd >= 0) {
		c->fds[c->fd_count].at = c->out_len;
		c->fds[c->fd_count++].fd = fd;
	}
	memcpy(c->out + c->out_len, text, len);
	c->out[c->out_len + len] = '\n';
	c->out_len += len + 1;
	free(text);
}

void control_answer(struct control *c, json_t *id, json_t *fields)
{
	json_t *o = fields ? fields : json_object();

	json_object_set_new(o, "v", json_integer(PN_API_VERSION));
	json_object_set_new(o, "id", id ? id : json_null());
	control_send(c, o, -1);
}

void control_error(struct control *c, json_t *id, int err, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	json_t *o;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o = json_pack("{s:i, s:o, s:{s:s, s:s}}", "v", PN_API_VERSION, "id",
		      id ? id : json_null(), "error", "code", errs_name(err), "text", text);
	if (!o)   /* the text quotes what was asked, which may be no UTF-8 after a cut */
		o = json_pack("{s:i, s:n, s:{s:s, s:s}}", "v", PN_API_VERSION, "id",
			      "error", "code", errs_name(err), "text", strerror(err));
	control_send(c, o, -1);
}

/* In ----------------------------------------------------------------------- */

static void line(struct control *c, const char *text, size_t len)
{
	json_error_t err;
	json_t *req;

	if (len && text[len - 1] == '\r')
		len--;
	if (!len)
		return;
	req = json_loadb(text, len, JSON_REJECT_DUPLICATES, &err);
	if (!req || !json_is_object(req)) {
		c->api->count[API_N_BAD_LINE]++;
		control_error(c, NULL, EBADMSG, "%s", req ? "a request is a JSON object" :
			      err.text);
	} else {
		control_request(c->api, c, req);
	}
	json_decref(req);
}

static bool paused(const struct control *c)
{
	return c->out_len - c->out_off >= API_OUT_PAUSE;
}

/* All whole lines of the buffer, as long as the answers are taken */
static void take_lines(struct control *c)
{
	size_t at = 0;

	while (!c->dead && !paused(c)) {
		char *end = memchr(c->in + at, '\n', c->in_len - at);

		if (!end)
			break;
		if (!c->skipping)
			line(c, c->in + at, (size_t)(end - c->in) - at);
		c->skipping = false;
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

static void read_in(struct control *c)
{
	ssize_t n;

	if (c->in_len == API_LINE_MAX) {
		if (memchr(c->in, '\n', c->in_len))
			return;   /* lines wait for answers to be taken */
		if (!c->skipping) {
			c->api->count[API_N_BAD_LINE]++;
			control_error(c, NULL, EMSGSIZE, "a request is longer than %d bytes",
				      API_LINE_MAX);
		}
		c->skipping = true;
		c->in_len = 0;
	}
	n = recv(c->fd, c->in + c->in_len, API_LINE_MAX - c->in_len, MSG_DONTWAIT);
	if (n > 0)
		c->in_len += (size_t)n;
	else if (n == 0)
		c->eof = true;
	else if (errno != EAGAIN && errno != EINTR)
		c->dead = true;
}

/* Writes, and goes on with lines that waited for that.  May free @c */
static void settle(struct control *c)
{
	uint32_t events = 0;

	write_out(c);
	while (!c->dead && !paused(c) && memchr(c->in, '\n', c->in_len)) {
		take_lines(c);
		write_out(c);
	}
	if (!c->eof && !paused(c))
		events |= LOOP_IN;
	if (c->out_len)
		events |= LOOP_OUT;
	/* After end of file the rest of the answers, those to come, and events. */
	if (c->dead || (c->eof && !c->out_len && !c->asks && !c->subscribed)) {
		control_free(c);
		return;
	}
	if (!events)
		events = LOOP_HUP;
	if (events != c->wanted) {
		c->wanted = events;
		loop_watch_set(c->api->cfg.loop, c->watch, events);
	}
}

static void on_control(void *arg, uint32_t events, struct pn_time now)
{
	struct control *c = arg;

	c->api->now = now;
	if (!c->eof && events & LOOP_IN)
		read_in(c);
	if (c->eof && events & (LOOP_HUP | LOOP_ERR))
		c->dead = true;   /* closed, not only shut down */
	settle(c);
}

/* Life --------------------------------------------------------------------- */

bool control_new(struct api *api, int fd, const struct api_cred *cred)
{
	struct control *c;

	if (api->control_count >= API_CONTROL_MAX)
		return false;
	c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	c->in = malloc(API_LINE_MAX);
	c->api = api;
	c->serial = ++api->control_serial;
	c->fd = -1;
	c->cred = *cred;
	c->wanted = LOOP_IN;
	API_LIST_ADD(api->controls, c);
	api->control_count++;
	c->watch = c->in ? loop_watch_add(api->cfg.loop, fd, LOOP_IN, on_control, c) : NULL;
	if (!c->watch) {
		control_free(c);
		return false;
	}
	c->fd = fd;
	api_log(api, API_LOG_DEBUG, "api: control connection %llu of pid %d uid %u",
		(unsigned long long)c->serial, (int)cred->pid, (unsigned int)cred->uid);
	on_control(c, LOOP_IN, api->now);
	return true;
}

void control_free_all(struct api *api)
{
	while (api->controls)
		control_free(api->controls);
}

void control_flush(struct api *api)
{
	struct control *c, *next;

	for (c = api->controls; c; c = next) {
		next = c->next;
		if (!c->dead && !c->out_len)
			continue;
		settle(c);
	}
}

struct control *control_find(struct api *api, uint64_t serial)
{
	struct control *c;

	for (c = api->controls; c; c = c->next) {
		if (c->serial == serial)
			return c->dead ? NULL : c;
	}
	return NULL;
}

uint64_t control_serial(const struct control *c)
{
	return c->serial;
}

const struct api_cred *control_cred(const struct control *c)
{
	return &c->cred;
}

void control_asks(struct control *c, int more)
{
	c->asks += (uint32_t)more;
}

void control_subscribe(struct control *c, uint32_t mask)
{
	c->subscribed = mask;
}

bool control_wanted(const struct api *api, uint32_t kind)
{
	const struct control *c;

	for (c = api->controls; c; c = c->next) {
		if (c->subscribed & kind)
			return true;
	}
	return false;
}

void control_publish(struct api *api, uint32_t kind, json_t *o)
{
	struct control *c;

	for (c = api->controls; o && c; c = c->next) {
		if (c->subscribed & kind)
			control_send(c, json_incref(o), -1);
	}
	json_decref(o);
}
