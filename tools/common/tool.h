/* SPDX-License-Identifier: ISC */
/* tool.h - what all tools share: messages, exit codes, numbers in arguments
 *
 * Results go to standard output, everything else in one line to standard error,
 * with the tool's name in front.
 */
#ifndef PN_TOOL_H
#define PN_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_NS_PER_S UINT64_C(1000000000)
#define TOOL_NS_PER_MS UINT64_C(1000000)

/** enum tool_exit - exit codes, as iputils has them */
enum tool_exit {
	TOOL_OK = 0,          /* reached, found, done */
	TOOL_NO_ANSWER = 1,   /* asked, and nobody (or nothing) answered */
	TOOL_ERROR = 2,       /* usage, no daemon, no such name, ... */
};

/** tool_init() - @name: of the program, for messages; borrowed for ever */
void tool_init(const char *name);

/** tool_warn() - one line on standard error: "name: text" */
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** tool_die() - the same, and exit with TOOL_ERROR */
void tool_die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** tool_usage_error() - the same with a hint at -h behind it */
void tool_usage_error(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** tool_version() - print "name (PeerNet) version" and exit with TOOL_OK */
void tool_version(void) __attribute__((noreturn));

/** tool_flush() - Return: @code, or TOOL_ERROR with a message if standard output
 *  could not be written (a full disk must not look like success) */
int tool_flush(int code);

/** tool_parse_u64() - a decimal number, nothing around it
 *  Return: false if it is none, or not in @min..@max; @out is left alone then */
bool tool_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/** tool_parse_seconds() - "2", "0.25", ".5": seconds to nanoseconds
 *  @max_s:  at most
 *  Return: false if malformed, negative or too long; @out_ns is left alone then */
bool tool_parse_seconds(const char *text, uint64_t max_s, uint64_t *out_ns);

/** tool_option_u64(), tool_option_seconds() - the same for the argument of an
 *  option: exits with a message that names option, value and range */
uint64_t tool_option_u64(int option, const char *text, uint64_t min, uint64_t max);
uint64_t tool_option_seconds(int option, const char *text, uint64_t max_s);

/** tool_now_ns() - monotonic */
uint64_t tool_now_ns(void);

/** tool_clean() - make text from elsewhere fit for a terminal: every byte that is
 *  no printable ASCII becomes '?'.  In place.  Return: @text */
char *tool_clean(char *text);

#define TOOL_DURATION_MAX 32
/** tool_format_ms() - nanoseconds as milliseconds, three to four digits that count:
 *  "0.087", "12.3", "1530"
 *  Return: @buf */
const char *tool_format_ms(uint64_t ns, char buf[TOOL_DURATION_MAX]);

/** tool_format_age() - nanoseconds for people: "3 s", "12 min", "5 h", "9 d" */
const char *tool_format_age(uint64_t ns, char buf[TOOL_DURATION_MAX]);

/** tool_format_bytes() - "512", "3.2 MB" */
const char *tool_format_bytes(uint64_t n, char buf[TOOL_DURATION_MAX]);

#endif
