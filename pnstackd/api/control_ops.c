/* SPDX-License-Identifier: ISC */
/* The table of operations, and those that change something. */
#include <errno.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

static void op_connector(struct api *api, struct control *c, json_t *id, json_t *req)
{
	int fd = connector_new(api);
	json_t *o;

	(void)req;
	if (fd < 0) {
		control_error(c, id, -fd, "no connector: %s", strerror(-fd));
		return;
	}
	o = json_pack("{s:i, s:o}", "v", PN_API_VERSION, "id",
		      id ? id : json_null());
	control_send(c, o, fd);
}

static void op_resolve(struct api *api, struct control *c, json_t *id, json_t *req)
{
	const char *name = json_string_value(json_object_get(req, "name"));
	uint8_t hit[PN_HIT_LEN], ident[PN_ID_LEN];
	char why[160] = "";
	bool known;
	json_t *o;
	int r;

	if (!name) {
		control_error(c, id, EINVAL, "resolve: field 'name' is missing");
		return;
	}
	r = names_resolve(api->names, name, hit, ident, &known, why, sizeof(why));
	if (r < 0) {
		control_error(c, id, errs_errno(r), "%s", why);
		return;
	}
	o = json_object();
	show_identity(api, o, known ? ident : NULL, hit);
	control_answer(c, id, o);
}

/* Return: the operation's "link", NULL after an error was answered */
static const char *link_field(struct api *api, struct control *c, json_t *id, json_t *req)
{
	const char *text = json_string_value(json_object_get(req, "link"));

	if (!text)
		control_error(c, id, EINVAL, "field 'link' is missing");
	else if (!api->cfg.links)
		control_error(c, id, EOPNOTSUPP, "this daemon has no links");
	else
		return text;
	return NULL;
}

static void op_link_add(struct api *api, struct control *c, json_t *id, json_t *req)
{
	const char *text = link_field(api, c, id, req);
	char why[256] = "";
	struct link_spec spec;
	int r;

	if (!text)
		return;
	r = link_spec_parse(text, &spec, why, sizeof(why));
	if (r >= 0)
		r = link_add(api->cfg.links, &spec, api->now, why, sizeof(why));
	if (r < 0) {
		control_error(c, id, errs_errno(r), "%.80s: %s", text,
			      why[0] ? why : pn_strerror(r));
		return;
	}
	api_log(api, API_LOG_INFO, "link %s added by uid %u", spec.name,
		(unsigned int)control_cred(c)->uid);
	control_answer(c, id, json_pack("{s:s}", "link", spec.name));
}

static void op_link_del(struct api *api, struct control *c, json_t *id, json_t *req)
{
	const char *text = link_field(api, c, id, req);
	struct link_spec spec;
	char why[256];
	int r;

	if (!text)
		return;
	/* by its name, or by the text it was added with */
	r = link_del(api->cfg.links, text, api->now);
	if (r == PN_ENOENT && link_spec_parse(text, &spec, why, sizeof(why)) == 0)
		r = link_del(api->cfg.links, spec.name, api->now);
	if (r < 0) {
		control_error(c, id, errs_errno(r), "%.80s: %s", text,
			      r == PN_ENOENT ? "no such link" : pn_strerror(r));
		return;
	}
	api_log(api, API_LOG_INFO, "link %.80s removed by uid %u", text,
		(unsigned int)control_cred(c)->uid);
	control_answer(c, id, NULL);
}

static const char *const level_names[] = { "err", "warn", "info", "debug", "trace" };

static void op_log_level(struct api *api, struct control *c, json_t *id, json_t *req)
{
	const char *level = json_string_value(json_object_get(req, "level"));
	int r;

	if (!api->cfg.log_level) {
		control_error(c, id, EOPNOTSUPP, "not available");
		return;
	}
	if (level && !api_may_admin(api, control_cred(c))) {
		api->count[API_N_DENIED]++;
		control_error(c, id, EPERM, "log-level: only root and the daemon's user may");
		return;
	}
	r = api->cfg.log_level(api->cfg.host, level);
	if (r < 0 || (size_t)r >= PN_ARRAY_LEN(level_names)) {
		control_error(c, id, EINVAL, "no log level '%.40s' (err, warn, info, debug, trace)",
			      level ? level : "");
		return;
	}
	control_answer(c, id, json_pack("{s:s}", "level", level_names[r]));
}

static void op_reload(struct api *api, struct control *c, json_t *id, json_t *req)
{
	char why[512] = "";
	int r;

	(void)req;
	if (!api->cfg.reload) {
		control_error(c, id, EOPNOTSUPP, "not available");
		return;
	}
	r = api->cfg.reload(api->cfg.host, why, sizeof(why));
	names_refresh(api->names);
	if (r < 0)
		control_error(c, id, errs_errno(r), "%s", why[0] ? why : pn_strerror(r));
	else
		control_answer(c, id, NULL);
}

static const struct {
	const char *name;
	uint32_t bit;
} event_kinds[] = {
	{ "neighbour", SUB_NEIGHBOUR },
	{ "address", SUB_ADDRESS },
	{ "link", SUB_LINK },
	{ "session", SUB_SESSION },
};

static uint32_t event_bit(const char *name)
{
	size_t i;

	for (i = 0; name && i < PN_ARRAY_LEN(event_kinds); i++) {
		if (!strcmp(event_kinds[i].name, name))
			return event_kinds[i].bit;
	}
	return 0;
}

static void op_subscribe(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_object_get(req, "events"), *e;
	uint32_t mask = 0;
	size_t i;

	(void)api;
	if (list && !json_is_array(list)) {
		control_error(c, id, EINVAL, "subscribe: 'events' is not a list");
		return;
	}
	if (!list)
		mask = SUB_NEIGHBOUR | SUB_ADDRESS | SUB_LINK | SUB_SESSION;
	json_array_foreach(list, i, e) {
		uint32_t bit = event_bit(json_string_value(e));

		if (!bit) {
			control_error(c, id, EINVAL, "subscribe: no events '%.40s' (neighbour, "
				      "address, link, session)",
				      json_is_string(e) ? json_string_value(e) : "?");
			return;
		}
		mask |= bit;
	}
	control_subscribe(c, mask);
	control_answer(c, id, NULL);
}

static const struct {
	const char *name;
	control_fn *fn;
	bool admin;       /* for root and the daemon's user only */
} ops[] = {
	{ "areas", op_areas, false },
	{ "connector", op_connector, false },
	{ "counters", op_counters, false },
	{ "expelled", op_expelled, false },
	{ "id", op_id, false },
	{ "link-add", op_link_add, true },
	{ "link-del", op_link_del, true },
	{ "links", op_links, false },
	{ "log-level", op_log_level, false },   /* asking is free */
	{ "lookup", op_lookup, false },
	{ "neighbours", op_neighbours, false },
	{ "ping", op_ping, false },
	{ "reload", op_reload, true },
	{ "resolve", op_resolve, false },
	{ "routes", op_routes, false },
	{ "sessions", op_sessions, false },
	{ "sockets", op_sockets, false },
	{ "status", op_status, false },
	{ "subscribe", op_subscribe, false },
};

void control_request(struct api *api, struct control *c, json_t *req)
{
	json_t *version = json_object_get(req, "v");
	json_t *id = json_object_get(req, "id");
	const char *op = json_string_value(json_object_get(req, "op"));
	size_t i;

	/* any number or string will do, as long as it can be told apart */
	if (id && !json_is_integer(id) && !json_is_string(id)) {
		control_error(c, NULL, EINVAL, "'id' is neither a number nor a string");
		return;
	}
	json_incref(id);
	if (!json_is_integer(version) || json_integer_value(version) != PN_API_VERSION) {
		control_error(c, id, EPROTO, "field 'v' must be %d", PN_API_VERSION);
		return;
	}
	for (i = 0; op && i < PN_ARRAY_LEN(ops); i++) {
		if (strcmp(ops[i].name, op) != 0)
			continue;
		if (ops[i].admin && !api_may_admin(api, control_cred(c))) {
			api->count[API_N_DENIED]++;
			control_error(c, id, EPERM, "%s: only root and the daemon's user may", op);
			return;
		}
		ops[i].fn(api, c, id, req);
		return;
	}
	api->count[API_N_BAD_LINE]++;
	if (op)
		control_error(c, id, EOPNOTSUPP, "no operation '%.40s'", op);
	else
		control_error(c, id, EINVAL, "field 'op' is missing");
}
