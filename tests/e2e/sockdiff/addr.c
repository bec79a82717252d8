/* SPDX-License-Identifier: ISC */
/* Addresses in steps and in results. */
#include "tests/e2e/sockdiff/sockdiff.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static const char *const place_names[PLACE_COUNT] = { "self", "peer", "nowhere", "any" };

static socklen_t length_of(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static void port_put(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET)
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
}

/* --- the command line -------------------------------------------------------- */

static void resolve(int family, const char *name, struct sockaddr_storage *ss)
{
	const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	int err = getaddrinfo(name, NULL, &hints, &found);

	if (err)
		die("%s: %s", name, gai_strerror(err));
	memcpy(ss, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
}

static void map(const struct sockaddr_storage *four, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	const struct sockaddr_in *in = (const struct sockaddr_in *)four;

	in6->sin6_family = AF_INET6;
	in6->sin6_addr.s6_addr[10] = in6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(in6->sin6_addr.s6_addr + 12, &in->sin_addr, 4);
}

void place_set(int family, char *const names[3])
{
	enum family f = family == AF_INET ? FAMILY_4 : FAMILY_6;
	size_t i;

	for (i = 0; i < 3; i++) {
		resolve(family, names[i], &me.place[f][i]);
		if (f == FAMILY_4)
			map(&me.place[f][i], &me.place[FAMILY_MAPPED][i]);
	}
	me.place[f][PLACE_ANY].ss_family = (sa_family_t)family;
	me.place[FAMILY_MAPPED][PLACE_ANY].ss_family = AF_INET6;
}

/* --- in steps ------------------------------------------------------------------ */

static bool special_parse(const char *word, struct target *t)
{
	if (!strcmp(word, "null")) {
		t->sa = NULL;
		t->len = 0;
	} else if (!strcmp(word, "bad")) {
		t->sa = (const struct sockaddr *)(uintptr_t)1;
		t->len = sizeof(struct sockaddr_in6);
	} else if (!strcmp(word, "unspec")) {
		t->len = sizeof(struct sockaddr_in6);
	} else if (!strcmp(word, "local")) {
		t->ss.ss_family = AF_UNIX;
		t->len = 20;
	} else {
		return false;
	}
	return true;
}

/* Nobody is at "nowhere", but who has asked once may know that the next time.  So it is
 * another place each time. */
static void elsewhere(struct sockaddr_storage *ss)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
	static uint8_t count;

	if (ss->ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		in6->sin6_addr.s6_addr[14] ^= count++;
}

/* PLACE:PORT, or "other:PORT" for the peer in the other family */
static void place_parse(const char *word, struct target *t)
{
	const char *colon = strchr(word, ':');
	enum family f = me.family;
	size_t n, i;

	if (!colon)
		die("no address: %s", word);
	n = (size_t)(colon - word);
	if (n == 5 && !memcmp(word, "other", n)) {
		t->ss = me.place[f == FAMILY_4 ? FAMILY_6 : FAMILY_4][PLACE_PEER];
	} else {
		for (i = 0; i < PLACE_COUNT; i++) {
			if (strlen(place_names[i]) == n && !memcmp(word, place_names[i], n))
				break;
		}
		if (i == PLACE_COUNT)
			die("no place: %s", word);
		t->ss = me.place[f][i];
	}
	if (n == 7 && !memcmp(word, "nowhere", n))
		elsewhere(&t->ss);
	port_put(&t->ss, (uint16_t)atoi(colon + 1));
	t->len = length_of(&t->ss);
}

void target_parse(const char *word, struct target *t)
{
	char copy[LINE_MAX_];
	char *slash;

	memset(t, 0, sizeof(*t));
	strncpy(copy, word, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	slash = strchr(copy, '/');
	if (slash)
		*slash = '\0';
	t->sa = (const struct sockaddr *)&t->ss;
	if (!special_parse(copy, t))
		place_parse(copy, t);
	if (slash)
		t->len = (socklen_t)atoi(slash + 1);
}

/* --- in results ------------------------------------------------------------------ */

static bool same_ip(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return !memcmp(&((const struct sockaddr_in *)a)->sin_addr,
			       &((const struct sockaddr_in *)b)->sin_addr, 4);
	return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)b)->sin6_addr, 16);
}

static const char *whose(const struct sockaddr_storage *ss)
{
	size_t f, p;

	for (f = 0; f < FAMILY_COUNT; f++) {
		for (p = 0; p < PLACE_COUNT; p++) {
			if (same_ip(ss, &me.place[f][p]))
				return place_names[p];
		}
	}
	return "somebody";
}

void say_addr(struct out *o, const struct sockaddr_storage *ss, socklen_t len, socklen_t room)
{
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;

	say(o, "len=%u", (unsigned int)len);
	if (len < length_of(ss) || room < length_of(ss))
		return;
	if (ss->ss_family != AF_INET && ss->ss_family != AF_INET6) {
		say(o, " family=%d", ss->ss_family);
		return;
	}
	say(o, " %s%s %s {%u}", ss->ss_family == AF_INET ? "in" : "in6",
	    ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? "-mapped" : "",
	    whose(ss), ntohs(in6->sin6_port));
}
