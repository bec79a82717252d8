/* SPDX-License-Identifier: ISC */
/* Petnames, and which identity stands behind a HIT.
 *
 * Theory of operation
 *
 * The petnames file is like hosts(5): on each line an identity (52 characters, with
 * or without ".pn.alt") and one or more aliases; '#' begins a comment.  A line that is
 * wrong is skipped and the first such is remembered for status and log; the others
 * count, so that one typing mistake does not take all names away.  The file is looked
 * at once a second at most and read again when its time, size or inode changed.
 *
 * A HIT is a hash: the identity behind it must have been told by somebody.  Told by
 * the petnames file, by a program that resolved a name, or proved in a session or
 * by a neighbour: learnt identities fill a table where a new one takes the place of an
 * old one with the same hash.  That is a cache, no more: without it a HIT still works.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pnstackd/api/api_int.h"

#define PETNAME_MAX 4096
#define LEARNT_SIZE 8192
#define LINE_MAX_LEN 1024

struct petname {
	char label[PN_LABEL_MAX + 1];
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
};

struct learnt {
	bool used;
	uint8_t hit[PN_HIT_LEN];
	uint8_t id[PN_ID_LEN];
};

struct names {
	char *path;
	struct stat seen;            /* st_ino 0: no file */
	struct petname *pet;         /* PETNAME_MAX */
	size_t pet_count;
	struct learnt *learnt;       /* LEARNT_SIZE */
	struct learnt own;
	char error[512];
};

struct names *names_new(const char *path, const uint8_t own_id[PN_ID_LEN])
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->pet = calloc(PETNAME_MAX, sizeof(*n->pet));
	n->learnt = calloc(LEARNT_SIZE, sizeof(*n->learnt));
	n->path = path && *path ? strdup(path) : NULL;
	if (!n->pet || !n->learnt || (path && *path && !n->path)) {
		names_free(n);
		return NULL;
	}
	n->own.used = true;
	memcpy(n->own.id, own_id, PN_ID_LEN);
	net_identity_hit(own_id, n->own.hit);
	names_refresh(n);
	return n;
}

void names_free(struct names *n)
{
	if (!n)
		return;
	free(n->path);
	free(n->pet);
	free(n->learnt);
	free(n);
}

const char *names_error(const struct names *n)
{
	return n->error;
}

size_t names_count(const struct names *n)
{
	return n->pet_count;
}

/* The file ----------------------------------------------------------------- */

static void complain(struct names *n, unsigned int line, const char *what, const char *token)
{
	if (!n->error[0])
		snprintf(n->error, sizeof(n->error), "%s:%u: %s: '%.80s'", n->path, line, what,
			 token);
}

static const struct petname *find_label(const struct names *n, const char *label)
{
	size_t i;

	for (i = 0; i < n->pet_count; i++) {
		if (!strcmp(n->pet[i].label, label))
			return &n->pet[i];
	}
	return NULL;
}

/* "52 characters" or the same with ".pn.alt".  Return: 0, PN_EINVAL */
static int parse_identity(const char *text, uint8_t id[PN_ID_LEN])
{
	struct pn_name name;

	if (pn_id_from_text(text, strlen(text), id) == 0)
		return 0;
	if (pn_name_parse(text, &name) < 0 || name.kind != PN_NAME_ID)
		return PN_EINVAL;
	memcpy(id, name.id, PN_ID_LEN);
	return 0;
}

/* An alias, perhaps written with ".pn.alt", to a label in lower case */
static bool parse_alias(const char *text, char label[PN_LABEL_MAX + 1])
{
	struct pn_name name;
	uint8_t id[PN_ID_LEN];
	size_t i, len = strlen(text);

	if (pn_name_parse(text, &name) < 0)
		return false;
	if (name.kind == PN_NAME_PETNAME) {
		memcpy(label, name.label, PN_LABEL_MAX + 1);
		return true;
	}
	if (name.kind != PN_NAME_FOREIGN || !pn_label_ok(text, len) || len > PN_LABEL_MAX ||
	    pn_id_from_text(text, len, id) == 0)
		return false;
	for (i = 0; i <= len; i++)
		label[i] = (char)tolower((unsigned char)text[i]);
	return true;
}

static void read_alias(struct names *n, unsigned int line, const uint8_t id[PN_ID_LEN],
		       const char *token)
{
	struct petname *p = &n->pet[n->pet_count];
	char label[PN_LABEL_MAX + 1];

	if (!parse_alias(token, label)) {
		complain(n, line, "not a petname", token);
	} else if (find_label(n, label)) {
		complain(n, line, "petname given twice", token);
	} else if (n->pet_count >= PETNAME_MAX) {
		complain(n, line, "too many petnames", token);
	} else {
		memcpy(p->label, label, sizeof(label));
		memcpy(p->id, id, PN_ID_LEN);
		net_identity_hit(id, p->hit);
		n->pet_count++;
	}
}

static void read_line(struct names *n, unsigned int line, char *text)
{
	uint8_t id[PN_ID_LEN];
	char *save = NULL, *token;
	char *hash = strchr(text, '#');
	unsigned int aliases = 0;

	if (hash)
		*hash = '\0';
	token = strtok_r(text, " \t\r\n", &save);
	if (!token)
		return;
	if (parse_identity(token, id) < 0) {
		complain(n, line, "not an identity (52 characters of a-z and 2-7)", token);
		return;
	}
	while ((token = strtok_r(NULL, " \t\r\n", &save)) != NULL) {
		read_alias(n, line, id, token);
		aliases++;
	}
	if (!aliases)
		complain(n, line, "no petname behind the identity", "");
}

static void read_file(struct names *n)
{
	char buf[LINE_MAX_LEN];
	unsigned int line = 0;
	FILE *f = fopen(n->path, "re");

	n->pet_count = 0;
	n->error[0] = '\0';
	if (!f) {
		if (errno != ENOENT)
			snprintf(n->error, sizeof(n->error), "%s: %s", n->path, strerror(errno));
		return;
	}
	while (fgets(buf, sizeof(buf), f)) {
		size_t len = strlen(buf);

		line++;
		if (len == sizeof(buf) - 1 && buf[len - 1] != '\n') {
			int c;

			complain(n, line, "line too long", "");
			do {
				c = getc(f);
			} while (c != EOF && c != '\n');
			continue;
		}
		read_line(n, line, buf);
	}
	fclose(f);
}

bool names_refresh(struct names *n)
{
	struct stat st;

	if (!n->path)
		return false;
	if (stat(n->path, &st) < 0)
		memset(&st, 0, sizeof(st));
	if (st.st_ino == n->seen.st_ino && st.st_size == n->seen.st_size &&
	    st.st_mtim.tv_sec == n->seen.st_mtim.tv_sec &&
	    st.st_mtim.tv_nsec == n->seen.st_mtim.tv_nsec)
		return false;
	n->seen = st;
	read_file(n);
	return true;
}

/* Identities --------------------------------------------------------------- */

static struct learnt *learnt_at(const struct names *n, const uint8_t hit[PN_HIT_LEN])
{
	/* the end of a HIT is a hash already */
	return &n->learnt[((size_t)hit[14] << 8 | hit[15]) % LEARNT_SIZE];
}

void names_learn(struct names *n, const uint8_t id[PN_ID_LEN])
{
	static const uint8_t none[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];
	struct learnt *l;

	if (!memcmp(id, none, PN_ID_LEN))
		return;
	net_identity_hit(id, hit);
	l = learnt_at(n, hit);
	l->used = true;
	memcpy(l->hit, hit, PN_HIT_LEN);
	memcpy(l->id, id, PN_ID_LEN);
}

const uint8_t *names_identity(const struct names *n, const uint8_t hit[PN_HIT_LEN])
{
	const struct learnt *l = learnt_at(n, hit);
	size_t i;

	if (!memcmp(n->own.hit, hit, PN_HIT_LEN))
		return n->own.id;
	if (l->used && !memcmp(l->hit, hit, PN_HIT_LEN))
		return l->id;
	for (i = 0; i < n->pet_count; i++) {
		if (!memcmp(n->pet[i].hit, hit, PN_HIT_LEN))
			return n->pet[i].id;
	}
	return NULL;
}

const char *names_petname(const struct names *n, const uint8_t id[PN_ID_LEN])
{
	size_t i;

	for (i = 0; i < n->pet_count; i++) {
		if (!memcmp(n->pet[i].id, id, PN_ID_LEN))
			return n->pet[i].label;
	}
	return NULL;
}

/* Resolving ---------------------------------------------------------------- */

static void found(struct names *n, const uint8_t found_id[PN_ID_LEN], uint8_t hit[PN_HIT_LEN],
		  uint8_t id[PN_ID_LEN], bool *known)
{
	memcpy(id, found_id, PN_ID_LEN);
	net_identity_hit(id, hit);
	names_learn(n, id);
	*known = true;
}

static int resolve_literal(struct names *n, const char *text, const uint8_t ip[PN_HIT_LEN],
			   uint8_t hit[PN_HIT_LEN], uint8_t id[PN_ID_LEN], bool *known,
			   char *why, size_t why_len)
{
	const uint8_t *known_id;

	if (!pn_is_hit(ip)) {
		snprintf(why, why_len, "'%.80s' is an IPv6 address, but not a HIT of PeerNet",
			 text);
		return PN_EINVAL;
	}
	known_id = names_identity(n, ip);
	*known = known_id != NULL;
	memcpy(hit, ip, PN_HIT_LEN);
	if (known_id)
		memcpy(id, known_id, PN_ID_LEN);
	else
		memset(id, 0, PN_ID_LEN);
	return 0;
}

static int resolve_label(struct names *n, const char *label, uint8_t hit[PN_HIT_LEN],
			 uint8_t id[PN_ID_LEN], bool *known, char *why, size_t why_len)
{
	const struct petname *p = find_label(n, label);

	if (!p) {
		snprintf(why, why_len, "no petname '%.63s'%s%s", label, n->path ? " in " : "",
			 n->path ? n->path : "");
		return PN_ENOENT;
	}
	found(n, p->id, hit, id, known);
	return 0;
}

int names_resolve(struct names *n, const char *text, uint8_t hit[PN_HIT_LEN],
		  uint8_t id[PN_ID_LEN], bool *known, char *why, size_t why_len)
{
	char label[PN_LABEL_MAX + 1];
	uint8_t raw[PN_ID_LEN];
	struct pn_name name;

	if (inet_pton(AF_INET6, text, raw) == 1)
		return resolve_literal(n, text, raw, hit, id, known, why, why_len);
	if (pn_name_parse(text, &name) < 0) {
		snprintf(why, why_len, "%s", name.reason);
		return PN_EINVAL;
	}
	if (name.kind == PN_NAME_ID || pn_id_from_text(text, strlen(text), raw) == 0) {
		found(n, name.kind == PN_NAME_ID ? name.id : raw, hit, id, known);
		return 0;
	}
	if (name.kind == PN_NAME_PETNAME)
		return resolve_label(n, name.label, hit, id, known, why, why_len);
	if (parse_alias(text, label))
		return resolve_label(n, label, hit, id, known, why, why_len);
	snprintf(why, why_len, "'%.80s' is no name of PeerNet", text);
	return PN_ENOENT;
}
