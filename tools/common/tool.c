/* SPDX-License-Identifier: ISC */
/* Messages, numbers and exit codes of the tools. */
#include "tools/common/tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef PN_VERSION
#define PN_VERSION "unknown"
#endif

static const char *tool_name = "tool";

void tool_init(const char *name)
{
	tool_name = name;
}

static void vmessage(const char *fmt, va_list ap)
{
	/* results printed so far come before the complaint, also in one log */
	fflush(stdout);
	fprintf(stderr, "%s: ", tool_name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void tool_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vmessage(fmt, ap);
	va_end(ap);
}

void tool_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vmessage(fmt, ap);
	va_end(ap);
	exit(TOOL_ERROR);
}

void tool_usage_error(const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tool_die("%s (see %s -h)", text, tool_name);
}

void tool_version(void)
{
	printf("%s (PeerNet) %s\n", tool_name, PN_VERSION);
	exit(tool_flush(TOOL_OK));
}

int tool_flush(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	tool_warn("cannot write the output: %s", strerror(errno));
	return TOOL_ERROR;
}

bool tool_parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9')
			return false;
		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (n < min || n > max)
		return false;
	*out = n;
	return true;
}

/* By hand, not strtod(): no hexadecimal, no "inf", no comma of some locale, and
 * nothing is rounded. */
bool tool_parse_seconds(const char *text, uint64_t max_s, uint64_t *out_ns)
{
	uint64_t whole = 0, fraction = 0, unit = TOOL_NS_PER_S;
	size_t digits = 0;

	for (; *text >= '0' && *text <= '9'; text++, digits++) {
		whole = whole * 10 + (uint64_t)(*text - '0');
		if (whole > max_s)
			return false;
	}
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9'; text++, digits++) {
			unit /= 10;
			fraction += unit * (uint64_t)(*text - '0');
		}
	}
	if (*text || !digits || (whole == max_s && fraction))
		return false;
	*out_ns = whole * TOOL_NS_PER_S + fraction;
	return true;
}

uint64_t tool_option_u64(int option, const char *text, uint64_t min, uint64_t max)
{
	uint64_t n;

	if (!tool_parse_u64(text, min, max, &n))
		tool_usage_error("-%c: \"%.64s\" is not a number from %" PRIu64 " to %" PRIu64,
				 option, text, min, max);
	return n;
}

uint64_t tool_option_seconds(int option, const char *text, uint64_t max_s)
{
	uint64_t ns;

	if (!tool_parse_seconds(text, max_s, &ns))
		tool_usage_error("-%c: \"%.64s\" is not a time from 0 to %" PRIu64 " seconds",
				 option, text, max_s);
	return ns;
}

uint64_t tool_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * TOOL_NS_PER_S + (uint64_t)ts.tv_nsec;
}

char *tool_clean(char *text)
{
	char *p;

	for (p = text; *p; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	return text;
}

const char *tool_format_ms(uint64_t ns, char buf[TOOL_DURATION_MAX])
{
	double ms = (double)ns / 1e6;
	int decimals = ms < 10 ? 3 : ms < 100 ? 2 : ms < 1000 ? 1 : 0;

	snprintf(buf, TOOL_DURATION_MAX, "%.*f", decimals, ms);
	return buf;
}

const char *tool_format_age(uint64_t ns, char buf[TOOL_DURATION_MAX])
{
	uint64_t s = ns / TOOL_NS_PER_S;

	if (s < 120)
		snprintf(buf, TOOL_DURATION_MAX, "%" PRIu64 " s", s);
	else if (s < UINT64_C(120) * 60)
		snprintf(buf, TOOL_DURATION_MAX, "%" PRIu64 " min", s / 60);
	else if (s < UINT64_C(48) * 3600)
		snprintf(buf, TOOL_DURATION_MAX, "%" PRIu64 " h", s / 3600);
	else
		snprintf(buf, TOOL_DURATION_MAX, "%" PRIu64 " d", s / 86400);
	return buf;
}

const char *tool_format_bytes(uint64_t n, char buf[TOOL_DURATION_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double value = (double)n;
	size_t i = 0;

	while (value >= 999.95 && i + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1000;
		i++;
	}
	snprintf(buf, TOOL_DURATION_MAX, i ? "%.1f %s" : "%.0f %s", value, units[i]);
	return buf;
}
