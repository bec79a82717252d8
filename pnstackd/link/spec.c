/* SPDX-License-Identifier: ISC */
/* Link specifications: text to struct link_spec. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libpeernet/base/name.h"
#include "pnstackd/link/link_impl.h"

#define SPEC_MAX	640	/* characters */

/* A number, whole, within bounds; base 0 as in C. */
static bool parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	char *end;
	uint64_t v;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoull(s, &end, s[0] == '0' && (s[1] | 32) == 'x' ? 16 : 10);
	if (errno || *end || v < min || v > max)
		return false;
	*out = v;
	return true;
}

/* A number with one of the units, e.g. "1.5s": scaled by its factor. */
static bool parse_unit(const char *s, const char *const *units, const double *factors, double *out)
{
	char *end;
	double v;
	size_t i;

	if ((*s < '0' || *s > '9') && *s != '.')
		return false;
	v = strtod(s, &end);
	if (!isfinite(v) || v < 0 || end == s)
		return false;
	for (i = 0; units[i]; i++) {
		if (!strcasecmp(end, units[i])) {
			*out = v * factors[i];
			return true;
		}
	}
	return false;
}

static bool opt_cost(struct link_spec *s, const char *v)
{
	uint64_t n;

	if (!parse_uint(v, 1, 65534, &n))
		return false;
	s->cost = (uint16_t)n;
	return true;
}

static_assert(LINK_FRAME_MIN == 700 && LINK_UDP_OVERHEAD == 48, "as the options say");

static bool opt_mtu(struct link_spec *s, const char *v)
{
	uint32_t least = LINK_FRAME_MIN + (s->type == LINK_ETHERNET ? 0 : LINK_UDP_OVERHEAD);
	uint64_t n;

	if (!parse_uint(v, least, 65535, &n))
		return false;
	s->mtu = (uint32_t)n;
	return true;
}

static bool opt_ethertype(struct link_spec *s, const char *v)
{
	uint64_t n;

	if (s->type != LINK_ETHERNET || !parse_uint(v, 0x600, 0xffff, &n))
		return false;
	s->ethertype = (uint16_t)n;
	return true;
}

static bool opt_seal(struct link_spec *s, const char *v)
{
	if (strcmp(v, "full") != 0 && strcmp(v, "header") != 0)
		return false;
	s->seal_full = !strcmp(v, "full");
	return true;
}

static bool opt_delay(struct link_spec *s, const char *v)
{
	static const char *const units[] = { "ms", "s", NULL };
	static const double factors[] = { 1e6, 1e9 };
	double d;

	if (!parse_unit(v, units, factors, &d) || d > 10e9)
		return false;
	s->test_delay_ns = (uint64_t)d;
	return true;
}

static bool opt_loss(struct link_spec *s, const char *v)
{
	static const char *const units[] = { "%", "", NULL };
	static const double factors[] = { 0.01, 1 };
	double d;

	if (!parse_unit(v, units, factors, &d) || d > 1)
		return false;
	s->test_loss = d;
	return true;
}

static bool parse_rate(const char *v, uint64_t *bps)
{
	static const char *const units[] = { "bit", "kbit", "mbit", "gbit", NULL };
	static const double factors[] = { 1, 1e3, 1e6, 1e9 };
	double d;

	if (!parse_unit(v, units, factors, &d) || d < 8000 || d > 1e12)
		return false;
	*bps = (uint64_t)d;
	return true;
}

static bool opt_rate(struct link_spec *s, const char *v)
{
	return parse_rate(v, &s->test_rate_bps);
}

static bool opt_bandwidth(struct link_spec *s, const char *v)
{
	return parse_rate(v, &s->rate_bps);
}

static bool opt_control(struct link_spec *s, const char *v)
{
	return parse_rate(v, &s->control_bps);
}

static const struct {
	const char *key;
	bool (*set)(struct link_spec *s, const char *value);
	const char *form;
} options[] = {
	{ "cost", opt_cost, "1 to 65534" },
	{ "mtu", opt_mtu, "at least 700 bytes for Ethernet, 748 for UDP" },
	{ "ethertype", opt_ethertype, "0x600 to 0xffff, for an Ethernet link" },
	{ "bandwidth", opt_bandwidth, "8kbit to 1000gbit" },
	{ "control", opt_control, "8kbit to 1000gbit" },
	{ "seal", opt_seal, "\"full\" or \"header\"" },
	{ "delay", opt_delay, "0 to 10 seconds, as in 30ms" },
	{ "loss", opt_loss, "0 to 100 percent, as in 1%" },
	{ "rate", opt_rate, "8kbit to 1000gbit" },
};

static int parse_option(struct link_spec *s, char *text, char *why, size_t why_len)
{
	char *value = strchr(text, '=');
	size_t i;

	if (!value) {
		snprintf(why, why_len, "option \"%s\" has no value", text);
		return PN_EINVAL;
	}
	*value++ = '\0';
	for (i = 0; i < PN_ARRAY_LEN(options); i++) {
		if (strcmp(text, options[i].key) != 0)
			continue;
		if (options[i].set(s, value))
			return 0;
		snprintf(why, why_len, "%s=%s: must be %s", text, value, options[i].form);
		return PN_EINVAL;
	}
	snprintf(why, why_len, "unknown option \"%s\"", text);
	return PN_EINVAL;
}

static int parse_eth(struct link_spec *s, const char *text, char *why, size_t why_len)
{
	size_t len = strlen(text);

	s->type = LINK_ETHERNET;
	if (!len || len >= sizeof(s->ifname) || strpbrk(text, "/ \t:") ||
	    !strcmp(text, ".") || !strcmp(text, "..")) {
		snprintf(why, why_len, "\"%s\" is not the name of an interface", text);
		return PN_EINVAL;
	}
	memcpy(s->ifname, text, len + 1);
	return 0;
}

/* "host:port" or "[v6]:port"; the host may be missing for a listener. */
static int parse_host_port(struct link_spec *s, const char *text, bool need_host, char *why,
			   size_t why_len)
{
	const char *host = text, *colon = strrchr(text, ':');
	const char *port = colon ? colon + 1 : text;
	size_t len = colon ? (size_t)(colon - text) : 0;
	uint64_t n;

	if (!parse_uint(port, 1, 65535, &n)) {
		snprintf(why, why_len, "\"%s\" is not a port (1 to 65535)", port);
		return PN_EINVAL;
	}
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		snprintf(why, why_len, "an IPv6 address needs brackets: [%.*s]:%s",
			 (int)len, host, port);
		return PN_EINVAL;
	}
	if ((need_host && !len) || len >= sizeof(s->host) || strpbrk(text, " \t/")) {
		snprintf(why, why_len, "\"%.*s\" is not a host", (int)len, host);
		return PN_EINVAL;
	}
	memcpy(s->host, host, len);
	s->host[len] = '\0';
	s->port = (uint16_t)n;
	return 0;
}

static int parse_identity(struct link_spec *s, const char *text, char *why, size_t why_len)
{
	size_t len = strlen(text), suffix = sizeof(PN_NAME_SUFFIX) - 1;

	if (len > suffix && !strcasecmp(text + len - suffix, PN_NAME_SUFFIX))
		len -= suffix;
	if (pn_id_from_text(text, len, s->id)) {
		snprintf(why, why_len, "\"%s\" is not an identity (52 characters of base32)", text);
		return PN_EINVAL;
	}
	s->has_id = true;
	return 0;
}

static int parse_udp(struct link_spec *s, char *text, char *why, size_t why_len)
{
	char *hash = strchr(text, '#');

	s->type = LINK_UDP_PEER;
	if (hash) {
		*hash++ = '\0';
		if (parse_identity(s, hash, why, why_len))
			return PN_EINVAL;
	}
	return parse_host_port(s, text, true, why, why_len);
}

static int parse_listen(struct link_spec *s, const char *text, char *why, size_t why_len)
{
	struct in6_addr a6;
	struct in_addr a4;

	s->type = LINK_UDP_LISTEN;
	if (parse_host_port(s, text, false, why, why_len))
		return PN_EINVAL;
	if (!strcmp(s->host, "*"))
		s->host[0] = '\0';
	if (s->host[0] && inet_pton(AF_INET, s->host, &a4) != 1 &&
	    inet_pton(AF_INET6, s->host, &a6) != 1) {
		snprintf(why, why_len, "\"%s\" is not an IPv4 or IPv6 address to listen on",
			 s->host);
		return PN_EINVAL;
	}
	return 0;
}

static int parse_head(struct link_spec *s, char *text, char *why, size_t why_len)
{
	size_t len = strcspn(text, "#");

	if (len >= sizeof(s->name)) {
		snprintf(why, why_len, "longer than %zu characters", sizeof(s->name) - 1);
		return PN_EINVAL;
	}
	memcpy(s->name, text, len);
	if (!strncmp(text, "eth:", 4))
		return parse_eth(s, text + 4, why, why_len);
	if (!strncmp(text, "udp:", 4))
		return parse_udp(s, text + 4, why, why_len);
	if (!strncmp(text, "udp-listen:", 11))
		return parse_listen(s, text + 11, why, why_len);
	snprintf(why, why_len, "must begin with eth:, udp: or udp-listen:");
	return PN_EINVAL;
}

int link_spec_parse(const char *text, struct link_spec *out, char *why, size_t why_len)
{
	struct link_spec s;
	char copy[SPEC_MAX];
	size_t len = strlen(text);
	char *option;

	memset(&s, 0, sizeof(s));
	if (len >= sizeof(copy)) {
		snprintf(why, why_len, "longer than %zu characters", sizeof(copy) - 1);
		return PN_EINVAL;
	}
	memcpy(copy, text, len + 1);
	option = strchr(copy, ',');
	if (option)
		*option++ = '\0';
	if (parse_head(&s, copy, why, why_len))
		return PN_EINVAL;
	while (option) {
		char *next = strchr(option, ',');

		if (next)
			*next++ = '\0';
		if (parse_option(&s, option, why, why_len))
			return PN_EINVAL;
		option = next;
	}
	*out = s;
	return 0;
}
