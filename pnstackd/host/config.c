/* SPDX-License-Identifier: ISC */
/* The configuration file.
 *
 * Theory of operation
 *
 * One table says for each key where its value is kept, what it may be and how it
 * is written: it serves reading and printing, so that what is printed parses
 * again.  Keys of nested objects are named by their path ("log.level").  What is
 * not in the table is refused; so are doubled keys.  A file is read into a copy:
 * if anything is wrong the old values stay whole.
 *
 * jansson does not tell the line of a value, only that of a syntax error.  So
 * the line is looked for in the text: where the key stands exactly once. */
#include "pnstackd/host/config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libpeernet/api_wire.h"
#include "libpeernet/base/name.h"
#include "pnstackd/host/log.h"
#include "pnstackd/loop/loop.h"
#include "pnstackd/session/session.h"

#define CONFIG_FILE_MAX	(1 << 20)	/* bytes */
#define CONFIG_DEPTH	2		/* objects within the top one, at most */
#define KEY_MAX		80

enum key_type { KEY_PATH, KEY_NAME, KEY_UINT, KEY_ENUM, KEY_MODE, KEY_BOOL, KEY_LINKS, KEY_ALLOW };

static const char *const loop_names[] = { "auto", "io_uring", "epoll", NULL };
static const char *const cc_names[] = { "cubic", "bbr", NULL };

static_assert(LOOP_AUTO == 0 && LOOP_URING == 1 && LOOP_EPOLL == 2, "as in loop_names");
static_assert(SESSION_CC_CUBIC == 0 && SESSION_CC_BBR == 1, "as in cc_names");

/**
 * struct key - One key of the file
 * @offset, @size: field of struct config
 * @min, @max:	of a number
 * @zero:	0 is allowed, too, and means "built in"; it is not printed
 * @names:	values of a KEY_ENUM, in the order of their numbers
 */
struct key {
	const char *path;
	enum key_type type;
	size_t offset;
	size_t size;
	uint64_t min, max;
	bool zero;
	const char *const *names;
};

#define FIELD(f_) offsetof(struct config, f_), sizeof(((struct config *)0)->f_)

static const struct key keys[] = {
	{ "state", KEY_PATH, FIELD(state), 0, 0, false, NULL },
	{ "identity", KEY_PATH, FIELD(identity), 0, 0, false, NULL },
	{ "links", KEY_LINKS, FIELD(links), 0, 0, false, NULL },
	{ "petnames", KEY_PATH, FIELD(petnames), 0, 0, false, NULL },
	{ "api.path", KEY_PATH, FIELD(api_path), 0, 0, false, NULL },
	{ "api.mode", KEY_MODE, FIELD(api_mode), 0, 0777, false, NULL },
	{ "api.group", KEY_NAME, FIELD(group), 0, 0, false, NULL },
	{ "user", KEY_NAME, FIELD(user), 0, 0, false, NULL },
	{ "ethernet", KEY_BOOL, FIELD(ethernet), 0, 0, false, NULL },
	{ "leaf", KEY_BOOL, FIELD(leaf), 0, 0, false, NULL },
	{ "loop", KEY_ENUM, FIELD(loop), 0, 0, false, loop_names },
	{ "log.level", KEY_ENUM, FIELD(log_level), 0, 0, false, log_level_names },
	{ "log.file", KEY_PATH, FIELD(log_file), 0, 0, false, NULL },
	{ "allow", KEY_ALLOW, FIELD(allow), 0, 0, false, NULL },
	{ "secret-file", KEY_PATH, FIELD(secret_file), 0, 0, false, NULL },
	{ "limits.neighbours", KEY_UINT, FIELD(limit_neighbours), 1, 8192, true, NULL },
	{ "limits.records", KEY_UINT, FIELD(limit_records), 1, 1000000, true, NULL },
	{ "limits.peers", KEY_UINT, FIELD(limit_peers), 8, 1000000, true, NULL },
	{ "limits.sessions", KEY_UINT, FIELD(limit_sessions), 1, 100000, true, NULL },
	{ "limits.streams", KEY_UINT, FIELD(limit_streams), 1, 1000000, true, NULL },
	{ "limits.sockets", KEY_UINT, FIELD(limit_sockets), 1, 1000000, true, NULL },
	{ "limits.packets", KEY_UINT, FIELD(limit_packets), 256, PN_POOL_MAX, true, NULL },
	{ "limits.packet-size", KEY_UINT, FIELD(limit_packet_size), 1536, PN_PKT_MAX, true, NULL },
	{ "session.cc", KEY_ENUM, FIELD(session_cc), 0, 0, false, cc_names },
	{ "session.window", KEY_UINT, FIELD(session_window), 65536, 1U << 30, true, NULL },
	{ "session.idle", KEY_UINT, FIELD(session_idle_s), 1, 86400, true, NULL },
};

struct parse {
	struct config *cfg;
	const char *name;
	const char *text;
	char *why;
	size_t why_len;
};

/* --- complaints -------------------------------------------------------- */

/* The line where @key stands; 0 if it is there more than once. */
static int line_of_key(const char *text, const char *key)
{
	char quoted[KEY_MAX + 3];
	const char *p;
	int line = 1, found = 0;

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	for (p = text; *p; p++) {
		const char *q = p;

		if (*p == '\n')
			line++;
		if (strncmp(p, quoted, strlen(quoted)) != 0)
			continue;
		q += strlen(quoted);
		q += strspn(q, " \t\r\n");
		if (*q != ':')
			continue;
		if (found)
			return 0;
		found = line;
	}
	return found;
}

PN_PRINTF(3, 4) static int bad(struct parse *ps, const char *path, const char *fmt, ...)
{
	const char *last = strrchr(path, '.');
	int line = line_of_key(ps->text, last ? last + 1 : path);
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		snprintf(ps->why, ps->why_len, "%s:%d: %s: %s", ps->name, line, path, text);
	else
		snprintf(ps->why, ps->why_len, "%s: %s: %s", ps->name, path, text);
	return PN_EINVAL;
}

/* --- values -------------------------------------------------------------- */

static int set_text(struct parse *ps, const struct key *k, const json_t *v)
{
	const char *s = json_string_value(v);
	char *at = (char *)ps->cfg + k->offset;

	if (!s)
		return bad(ps, k->path, "must be a string");
	if (strlen(s) >= k->size)
		return bad(ps, k->path, "longer than %zu characters", k->size - 1);
	if (strlen(s) != json_string_length(v))
		return bad(ps, k->path, "contains a zero byte");
	if (k->type == KEY_PATH && *s && *s != '/' &&
	    !(k->offset == offsetof(struct config, log_file) && !strcmp(s, "stderr")))
		return bad(ps, k->path, "\"%s\" must be an absolute path", s);
	memcpy(at, s, strlen(s) + 1);
	return 0;
}

static int set_number(struct parse *ps, const struct key *k, uint64_t n)
{
	memcpy((char *)ps->cfg + k->offset, &n, sizeof(n));
	return 0;
}

static int set_uint(struct parse *ps, const struct key *k, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 ||
	    (((uint64_t)n < k->min || (uint64_t)n > k->max) && !(k->zero && !n)))
		return bad(ps, k->path, "must be a number from %llu to %llu",
			   (unsigned long long)k->min, (unsigned long long)k->max);
	return set_number(ps, k, (uint64_t)n);
}

static int set_enum(struct parse *ps, const struct key *k, const json_t *v)
{
	const char *s = json_string_value(v);
	char list[120] = "";
	size_t i, at = 0;

	for (i = 0; k->names[i]; i++) {
		if (s && !strcmp(s, k->names[i]))
			return set_number(ps, k, i);
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%s\"", i ? ", " : "",
				       k->names[i]);
	}
	return bad(ps, k->path, "must be one of %s", list);
}

static int set_mode(struct parse *ps, const struct key *k, const json_t *v)
{
	const char *s = json_string_value(v);
	char *end = NULL;
	unsigned long n = s ? strtoul(s, &end, 8) : 0;

	if (!s || !*s || *end || strspn(s, "01234567") != strlen(s) || n > k->max)
		return bad(ps, k->path, "must be a file mode in octal, as \"0660\"");
	return set_number(ps, k, n);
}

static int set_bool(struct parse *ps, const struct key *k, const json_t *v)
{
	bool b = json_is_true(v);

	if (!json_is_boolean(v))
		return bad(ps, k->path, "must be true or false");
	memcpy((char *)ps->cfg + k->offset, &b, sizeof(b));
	return 0;
}

/* {"link": "eth:eth0", "cost": 5, "seal": "full"} is eth:eth0,cost=5,seal=full */
static int link_text(const json_t *v, char *buf, size_t len, const char **wrong)
{
	const char *head = json_string_value(json_object_get(v, "link")), *key;
	json_t *o;
	size_t at;

	*wrong = "an object needs \"link\", a string";
	if (!head)
		return PN_EINVAL;
	at = (size_t)snprintf(buf, len, "%s", head);
	json_object_foreach((json_t *)(uintptr_t)v, key, o) {
		if (!strcmp(key, "link") || at >= len)
			continue;
		*wrong = "an option must be a string or a whole number";
		if (json_is_string(o))
			at += (size_t)snprintf(buf + at, len - at, ",%s=%s", key,
					       json_string_value(o));
		else if (json_is_integer(o))
			at += (size_t)snprintf(buf + at, len - at, ",%s=%lld", key,
					       (long long)json_integer_value(o));
		else
			return PN_EINVAL;
	}
	*wrong = "too long";
	return at < len ? 0 : PN_EINVAL;
}

int config_add_link(struct config *cfg, const char *text, char *why, size_t why_len)
{
	struct config_link *l = &cfg->links[cfg->link_count];
	char reason[200];
	size_t i;

	if (cfg->link_count == CONFIG_LINKS_MAX) {
		snprintf(why, why_len, "more than %d links", CONFIG_LINKS_MAX);
		return PN_EINVAL;
	}
	if (strlen(text) >= sizeof(l->text)) {
		snprintf(why, why_len, "link \"%.40s...\": too long", text);
		return PN_EINVAL;
	}
	if (link_spec_parse(text, &l->spec, reason, sizeof(reason))) {
		snprintf(why, why_len, "link \"%s\": %s", text, reason);
		return PN_EINVAL;
	}
	for (i = 0; i < cfg->link_count; i++) {
		if (!strcmp(cfg->links[i].spec.name, l->spec.name)) {
			snprintf(why, why_len, "link \"%s\" is there twice", l->spec.name);
			return PN_EINVAL;
		}
	}
	memcpy(l->text, text, strlen(text) + 1);
	cfg->link_count++;
	return 0;
}

static int set_links(struct parse *ps, const struct key *k, const json_t *v)
{
	char text[sizeof(ps->cfg->links[0].text)], why[CONFIG_WHY_MAX / 2];
	const char *wrong = "too long";
	size_t i;
	json_t *o;

	if (!json_is_array(v))
		return bad(ps, k->path, "must be a list");
	ps->cfg->link_count = 0;
	ps->cfg->links_given = true;
	json_array_foreach(v, i, o) {
		int err = PN_EINVAL;

		if (json_is_string(o))
			err = (size_t)snprintf(text, sizeof(text), "%s", json_string_value(o)) <
					      sizeof(text) ? 0 : PN_EINVAL;
		else if (json_is_object(o))
			err = link_text(o, text, sizeof(text), &wrong);
		else
			wrong = "must be a string or an object";
		if (err)
			return bad(ps, k->path, "entry %zu: %s", i + 1, wrong);
		if (config_add_link(ps->cfg, text, why, sizeof(why)))
			return bad(ps, k->path, "%s", why);
	}
	return 0;
}

static int set_allow(struct parse *ps, const struct key *k, const json_t *v)
{
	struct config *cfg = ps->cfg;
	size_t i;
	json_t *o;

	if (!json_is_array(v))
		return bad(ps, k->path, "must be a list");
	if (json_array_size(v) > CONFIG_ALLOW_MAX)
		return bad(ps, k->path, "more than %d entries", CONFIG_ALLOW_MAX);
	cfg->has_allow = true;
	cfg->allow_count = 0;
	json_array_foreach(v, i, o) {
		const char *s = json_string_value(o);
		size_t len = s ? strlen(s) : 0, suffix = sizeof(PN_NAME_SUFFIX) - 1;

		if (!s)
			return bad(ps, k->path, "entry %zu: must be a string", i + 1);
		if (len > suffix && !strcasecmp(s + len - suffix, PN_NAME_SUFFIX))
			len -= suffix;
		if (pn_id_from_text(s, len, cfg->allow[cfg->allow_count]))
			return bad(ps, k->path,
				   "\"%s\" is not an identity (52 characters of base32)", s);
		cfg->allow_count++;
	}
	return 0;
}

static int set_value(struct parse *ps, const struct key *k, const json_t *v)
{
	switch (k->type) {
	case KEY_PATH:
	case KEY_NAME:
		return set_text(ps, k, v);
	case KEY_UINT:
		return set_uint(ps, k, v);
	case KEY_ENUM:
		return set_enum(ps, k, v);
	case KEY_MODE:
		return set_mode(ps, k, v);
	case KEY_BOOL:
		return set_bool(ps, k, v);
	case KEY_LINKS:
		return set_links(ps, k, v);
	case KEY_ALLOW:
		return set_allow(ps, k, v);
	}
	return PN_EINVAL;
}

/* --- the file --------------------------------------------------------------- */

/* Is there a key that begins with @path and a dot? */
static bool is_section(const char *path)
{
	size_t i, len = strlen(path);

	for (i = 0; i < PN_ARRAY_LEN(keys); i++) {
		if (!strncmp(keys[i].path, path, len) && keys[i].path[len] == '.')
			return true;
	}
	return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): not deeper than CONFIG_DEPTH */
static int parse_object(struct parse *ps, json_t *obj, const char *prefix, int depth)
{
	const char *name;
	json_t *v;

	json_object_foreach(obj, name, v) {
		char path[KEY_MAX];
		const struct key *k = NULL;
		size_t i;
		int err;

		if ((size_t)snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "",
				     name) >= sizeof(path))
			return bad(ps, "", "a key is too long: %.40s...", name);
		if (depth < CONFIG_DEPTH && is_section(path)) {
			if (!json_is_object(v))
				return bad(ps, path, "must be an object");
			err = parse_object(ps, v, path, depth + 1);
			if (err)
				return err;
			continue;
		}
		for (i = 0; i < PN_ARRAY_LEN(keys); i++) {
			if (!strcmp(keys[i].path, path))
				k = &keys[i];
		}
		if (!k)
			return bad(ps, path, "unknown key");
		err = set_value(ps, k, v);
		if (err)
			return err;
	}
	return 0;
}

int config_parse(struct config *cfg, const char *text, size_t len, const char *name, char *why,
		 size_t why_len)
{
	struct parse ps = { .name = name, .text = text, .why = why, .why_len = why_len };
	struct config *copy;
	json_error_t je;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	int err;

	if (!root) {
		snprintf(why, why_len, "%s:%d: %s", name, je.line, je.text);
		return PN_EINVAL;
	}
	if (!json_is_object(root)) {
		snprintf(why, why_len, "%s:1: must be one JSON object", name);
		json_decref(root);
		return PN_EINVAL;
	}
	copy = malloc(sizeof(*copy));
	if (!copy) {
		snprintf(why, why_len, "%s: out of memory", name);
		json_decref(root);
		return PN_ENOMEM;
	}
	*copy = *cfg;
	ps.cfg = copy;
	err = parse_object(&ps, root, "", 0);
	if (!err)
		*cfg = *copy;
	free(copy);
	json_decref(root);
	return err;
}

static char *read_file(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return NULL;
	*len = 0;
	if (fstat(fd, &st) < 0)
		goto out;
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		goto out;
	}
	text = malloc(CONFIG_FILE_MAX + 1);
	if (!text)
		goto out;
	while (*len < CONFIG_FILE_MAX && (n = read(fd, text + *len, CONFIG_FILE_MAX - *len)) > 0)
		*len += (size_t)n;
	text[*len] = '\0';
	if (*len == CONFIG_FILE_MAX) {
		free(text);
		text = NULL;
		errno = EFBIG;
	}
out:
	close(fd);
	return text;
}

int config_load(struct config *cfg, const char *path, char *why, size_t why_len)
{
	size_t len;
	char *text = read_file(path, &len);
	int err;

	if (!text) {
		err = errno == ENOENT ? -ENOENT : PN_EINVAL;
		snprintf(why, why_len, "%s: %s", path, strerror(errno));
		return err;
	}
	err = config_parse(cfg, text, len, path, why, why_len);
	free(text);
	if (!err)
		snprintf(cfg->file, sizeof(cfg->file), "%s", path);
	return err;
}

/* --- printing ------------------------------------------------------------------ */

static json_t *links_json(const struct config *cfg)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < cfg->link_count; i++)
		json_array_append_new(list, json_string(cfg->links[i].text));
	return list;
}

static json_t *allow_json(const struct config *cfg)
{
	char name[PN_ID_NAME_LEN + 1];
	json_t *list;
	size_t i;

	if (!cfg->has_allow)
		return NULL;
	list = json_array();
	for (i = 0; i < cfg->allow_count; i++) {
		pn_id_to_name(cfg->allow[i], name);
		json_array_append_new(list, json_string(name));
	}
	return list;
}

static json_t *value_json(const struct config *cfg, const struct key *k)
{
	const char *at = (const char *)cfg + k->offset;
	char mode[8];
	uint64_t n;
	bool b;

	switch (k->type) {
	case KEY_PATH:
	case KEY_NAME:
		return *at ? json_string(at) : NULL;
	case KEY_LINKS:
		return links_json(cfg);
	case KEY_ALLOW:
		return allow_json(cfg);
	case KEY_BOOL:
		memcpy(&b, at, sizeof(b));
		return json_boolean(b);
	case KEY_UINT:
	case KEY_ENUM:
	case KEY_MODE:
		break;
	}
	memcpy(&n, at, sizeof(n));
	if (k->type == KEY_ENUM)
		return json_string(k->names[n]);
	if (k->type == KEY_MODE) {
		snprintf(mode, sizeof(mode), "%04o", (unsigned int)n);
		return json_string(mode);
	}
	return n ? json_integer((json_int_t)n) : NULL;
}

char *config_print(const struct config *cfg)
{
	json_t *root = json_object();
	char *text;
	size_t i;

	for (i = 0; root && i < PN_ARRAY_LEN(keys); i++) {
		const char *dot = strchr(keys[i].path, '.');
		json_t *v = value_json(cfg, &keys[i]), *sub = root;
		char section[KEY_MAX];

		if (!v)
			continue;
		if (dot) {
			snprintf(section, sizeof(section), "%.*s", (int)(dot - keys[i].path),
				 keys[i].path);
			sub = json_object_get(root, section);
			if (!sub) {
				sub = json_object();
				json_object_set_new(root, section, sub);
			}
		}
		json_object_set_new(sub, dot ? dot + 1 : keys[i].path, v);
	}
	text = root ? json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	json_decref(root);
	return text;
}
