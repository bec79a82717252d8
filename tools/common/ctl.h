/* SPDX-License-Identifier: ISC */
/* ctl.h - the daemon's control protocol for tools: one JSON object per line
 *
 * See peernet-api(7).  Requests may be answered in any order; a reply carries the
 * id of its request.
 */
#ifndef PN_CTL_H
#define PN_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_LINE_MAX ((size_t)16 << 20)   /* bytes of one reply */
#define CTL_WAIT_MS 10000                 /* for an answer that needs no network */

/** struct ctl - one control connection
 * @path: of the socket, for messages
 */
struct ctl {
	int fd;
	uint64_t last_id;
	char *buf;          /* received, not yet taken: @used bytes, @scanned of which */
	size_t used, scanned, cap; /* are known to hold no end of line */
	char path[108];
};

/** ctl_open() - connect to the daemon; exits with a message if there is none
 *  @path: of its socket; NULL: $PEERNET_SOCKET, the user's own, or the system's */
void ctl_open(struct ctl *c, const char *path);
void ctl_close(struct ctl *c);

/** ctl_send() - takes @request, adds version, id and "op"
 *  @request: object with the parameters, or NULL; stolen
 *  Return: its id; exits with a message when the daemon has gone */
uint64_t ctl_send(struct ctl *c, const char *op, json_t *request);

/** ctl_next() - the next line, if it comes within @timeout_ms (-1: for ever)
 *  Return: an object, owned by the caller; NULL: not yet, or interrupted by a
 *  signal; exits with a message when the daemon has gone or talks nonsense */
json_t *ctl_next(struct ctl *c, int timeout_ms);

/** ctl_call() - ask and wait; other lines that come meanwhile are dropped
 *  Return: the whole reply; exits with a message if none comes in CTL_WAIT_MS */
json_t *ctl_call(struct ctl *c, const char *op, json_t *request);

/** ctl_id() - Return: id of a reply, 0 if it has none */
uint64_t ctl_id(const json_t *reply);

/** ctl_is_error() - is this reply an error? */
bool ctl_is_error(const json_t *reply);

/** ctl_error_code(), ctl_error_text() - "ENOENT" and words; "" if it is none */
const char *ctl_error_code(const json_t *reply);
const char *ctl_error_text(const json_t *reply);

/** ctl_die() - "what: why" of a reply that is an error, and exit with TOOL_ERROR
 *  @reply: stolen */
void ctl_die(const char *what, json_t *reply) __attribute__((noreturn));

/* Reading objects: a member that is missing or of another type is "", 0 or false */
const char *ctl_str(const json_t *object, const char *key);
uint64_t ctl_u64(const json_t *object, const char *key);
bool ctl_bool(const json_t *object, const char *key);

#endif
