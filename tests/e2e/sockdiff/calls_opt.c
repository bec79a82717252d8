/* SPDX-License-Identifier: ISC */
/* Socket options and ioctl(). */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static void say_value(struct out *o, const unsigned char *value, socklen_t len)
{
	socklen_t i;
	int v;

	say(o, " len=%u", (unsigned int)len);
	if (len == sizeof(v)) {
		memcpy(&v, value, sizeof(v));
		say(o, " %d", v);
		return;
	}
	for (i = 0; i < len && i < 16; i++)
		say(o, "%s%02x", i ? "" : " ", value[i]);
}

static void option_get(const struct step *st, struct out *o, bool value_too)
{
	const struct option *opt = option_lookup(st->word[2]);
	const char *how = st->word[3];
	unsigned char value[256];
	socklen_t len = *how >= '0' && *how <= '9' ? (socklen_t)atoi(how) : 64;
	void *at = !strcmp(how, "null") ? NULL : !strcmp(how, "bad") ? (void *)(uintptr_t)1 : value;
	int ret;

	if (!strcmp(how, "negative"))
		len = (socklen_t)-1;
	memset(value, 0xee, sizeof(value));
	ret = getsockopt(*slot(st->word[1]), opt->level, opt->value, at,
			 !strcmp(how, "nolen") ? NULL : &len);
	say_ok(o, ret);
	if (ret || at != value)
		return;
	if (value_too)
		say_value(o, value, len);
	else
		say(o, " len=%u", (unsigned int)len);
}

/* get S OPTION [LEN|null|bad|nolen|negative] */
static void run_get(const struct step *st, struct out *o)
{
	option_get(st, o, true);
}

/* has S OPTION [...] : the same without the value, which may differ rightly */
static void run_has(const struct step *st, struct out *o)
{
	option_get(st, o, false);
}

/* error S : SO_ERROR by its name */
static void run_error(const struct step *st, struct out *o)
{
	int v = -1, ret;
	socklen_t len = sizeof(v);

	ret = getsockopt(*slot(st->word[1]), SOL_SOCKET, SO_ERROR, &v, &len);
	if (ret)
		say_ok(o, ret);
	else
		say(o, "%s", v ? error_name(v) : "0");
}

/* set S OPTION V[,V...] [LEN|null|bad] : integers, or a text that is no number */
static void run_set(const struct step *st, struct out *o)
{
	const struct option *opt = option_lookup(st->word[2]);
	const char *word = st->word[3], *how = st->word[4];
	union {
		int v[16];
		char text[64];
	} value = { { 0 } };
	socklen_t len = 0;
	const void *at = !strcmp(how, "null") ? NULL :
			 !strcmp(how, "bad") ? (const void *)(uintptr_t)1 : &value;
	char *end;

	for (; *word && len < sizeof(value); word = *end ? end + 1 : end, len += 4) {
		value.v[len / 4] = (int)strtol(word, &end, 0);
		if (end == word) {
			strncpy(value.text, word, sizeof(value.text) - 1);
			len = (socklen_t)strlen(word);
			break;
		}
	}
	if (*how >= '0' && *how <= '9')
		len = (socklen_t)atoi(how);
	say_ok(o, setsockopt(*slot(st->word[1]), opt->level, opt->value, at, len));
}

/* linger S SECONDS */
static void run_linger(const struct step *st, struct out *o)
{
	struct linger l = { 1, atoi(st->word[2]) };

	say_ok(o, setsockopt(*slot(st->word[1]), SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
}

/* tcpstate S : of TCP_INFO */
static void run_tcpstate(const struct step *st, struct out *o)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int ret = getsockopt(*slot(st->word[1]), IPPROTO_TCP, TCP_INFO, &info, &len);

	say_ok(o, ret);
	/* When the other side has acknowledged our end is a matter of time */
	if (!ret)
		say(o, " state=%u", info.tcpi_state == TCP_FIN_WAIT1 ? TCP_FIN_WAIT2 :
			info.tcpi_state);
}

static const struct option requests[] = {
	{ "FIONREAD", 0, FIONREAD }, { "FIONBIO", 1, FIONBIO }, { "FIOASYNC", 1, FIOASYNC },
	{ "SIOCATMARK", 0, SIOCATMARK }, { "SIOCOUTQ", 0, SIOCOUTQ },
	{ "SIOCOUTQNSD", 0, SIOCOUTQNSD }, { "SIOCGPGRP", 0, SIOCGPGRP },
	{ "TIOCOUTQ", 0, TIOCOUTQ }, { "TCGETS", 0, TCGETS },
};

/* ioctl S REQUEST [VALUE|null] */
static void run_ioctl(const struct step *st, struct out *o)
{
	size_t i = 0;
	int v, ret;

	while (i < sizeof(requests) / sizeof(requests[0]) &&
	       strcmp(requests[i].name, st->word[2]) != 0)
		i++;
	if (i == sizeof(requests) / sizeof(requests[0]))
		die("no request: %s", st->word[2]);
	v = requests[i].level ? atoi(st->word[3]) : -1;
	ret = ioctl(*slot(st->word[1]), (unsigned long)requests[i].value,
		    !strcmp(st->word[3], "null") ? NULL : (char *)&v);
	say_ok(o, ret);
	if (!ret && !requests[i].level)
		say(o, " %d", v);
}

const struct call calls_opt[] = {
	{ "get", run_get }, { "has", run_has }, { "error", run_error }, { "set", run_set },
	{ "linger", run_linger }, { "tcpstate", run_tcpstate }, { "ioctl", run_ioctl },
	{ NULL, NULL },
};
