/* SPDX-License-Identifier: ISC */
/* Questions to the network, answered later or never: lookup and ping.
 *
 * The token of a question is what the network layer gives back; the control connection
 * is told by its serial number, for it may have gone meanwhile.  A time-out answers what
 * nothing else did.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

#define LOOKUP_TIMEOUT_MS 5000
#define PING_TIMEOUT_MS 5000
#define TIMEOUT_MAX_MS 600000
#define PING_LEN_MAX 1200

struct ask {
	struct ask *next, *prev;
	bool ping;
	uint64_t token;
	uint64_t control;
	json_t *id;
	uint8_t hit[PN_HIT_LEN];
	struct pn_time sent;
	struct pn_time deadline;
};

static void ask_free(struct api *api, struct ask *a)
{
	struct control *c = control_find(api, a->control);

	if (c)
		control_asks(c, -1);
	API_LIST_DEL(api->asks, a);
	api->ask_count--;
	json_decref(a->id);
	free(a);
}

void ask_free_all(struct api *api)
{
	while (api->asks)
		ask_free(api, api->asks);
}

/* A whole number between @min and @max.  Return: false after an error was answered */
static bool int_field(struct control *c, json_t *id, json_t *req, const char *name, int min,
		      int max, int *out)
{
	json_t *v = json_object_get(req, name);

	if (!v)
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
		control_error(c, id, EINVAL, "'%s' must be a number from %d to %d", name, min, max);
		return false;
	}
	*out = (int)json_integer_value(v);
	return true;
}

/* What is asked for: "name".  Return: false after an error was answered */
static bool target(struct api *api, struct control *c, json_t *id, json_t *req,
		   uint8_t hit[PN_HIT_LEN])
{
	const char *name = json_string_value(json_object_get(req, "name"));
	uint8_t ident[PN_ID_LEN];
	char why[160] = "";
	bool known;
	int r;

	if (!name) {
		control_error(c, id, EINVAL, "field 'name' is missing");
		return false;
	}
	r = names_resolve(api->names, name, hit, ident, &known, why, sizeof(why));
	if (r < 0)
		control_error(c, id, errs_errno(r), "%s", why);
	return r == 0;
}

static struct ask *ask_new(struct api *api, struct control *c, json_t *id, int timeout_ms)
{
	struct ask *a = NULL;

	if (api->ask_count < API_ASK_MAX)
		a = calloc(1, sizeof(*a));
	if (!a) {
		api->count[API_N_OVER_LIMIT]++;
		control_error(c, id, ENOBUFS, "too many questions at once");
		return NULL;
	}
	a->id = id;
	a->control = control_serial(c);
	a->token = ++api->ask_token;
	a->sent = loop_now();
	a->deadline = pn_time_add(a->sent, PN_MS(timeout_ms));
	api->ask_deadline = pn_time_min(api->ask_deadline, a->deadline);
	control_asks(c, 1);
	API_LIST_ADD(api->asks, a);
	api->ask_count++;
	return a;
}

void op_lookup(struct api *api, struct control *c, json_t *id, json_t *req)
{
	int timeout_ms = LOOKUP_TIMEOUT_MS;
	uint8_t hit[PN_HIT_LEN];
	struct ask *a;

	if (!target(api, c, id, req, hit) ||
	    !int_field(c, id, req, "timeout_ms", 1, TIMEOUT_MAX_MS, &timeout_ms))
		return;
	a = ask_new(api, c, id, timeout_ms);
	if (!a)
		return;
	memcpy(a->hit, hit, sizeof(a->hit));
	net_lookup(api->cfg.net, hit, a->token, api->now);
}

void op_ping(struct api *api, struct control *c, json_t *id, json_t *req)
{
	int timeout_ms = PING_TIMEOUT_MS, hops = 0, len = 0;
	uint8_t hit[PN_HIT_LEN];
	struct ask *a;

	if (!target(api, c, id, req, hit) ||
	    !int_field(c, id, req, "timeout_ms", 1, TIMEOUT_MAX_MS, &timeout_ms) ||
	    !int_field(c, id, req, "hops", 0, 65535, &hops) ||
	    !int_field(c, id, req, "len", 0, PING_LEN_MAX, &len))
		return;
	a = ask_new(api, c, id, timeout_ms);
	if (!a)
		return;
	a->ping = true;
	memcpy(a->hit, hit, sizeof(a->hit));
	net_ping(api->cfg.net, hit, a->token, (uint16_t)hops, (uint16_t)len, api->now);
}

/* Answers ------------------------------------------------------------------ */

static void answer_lookup(struct api *api, struct control *c, struct ask *a,
			  const struct net_event *ev)
{
	json_t *o, *list;
	uint32_t i;

	if (!ev->addr_count) {
		control_error(c, json_incref(a->id), EHOSTUNREACH, "no address found");
		return;
	}
	o = json_object();
	list = json_array();
	show_identity(api, o, names_identity(api->names, a->hit), a->hit);
	for (i = 0; i < ev->addr_count && i < NET_ADDRS_MAX; i++)
		json_array_append_new(list, show_address(ev->addrs[i]));
	json_object_set_new(o, "addresses", list);
	json_object_set_new(o, "time_ns",
			    json_integer((json_int_t)pn_time_since(loop_now(), a->sent)));
	control_answer(c, json_incref(a->id), o);
}

/* An error on the way is an answer too: for pntrace it is the answer. */
static void answer_ping(struct api *api, struct control *c, struct ask *a,
			const struct net_event *ev)
{
	static const uint8_t none[PN_ID_LEN];
	json_t *o = json_object(), *from = json_object();
	bool echo = ev->kind == NET_EV_ECHO;

	json_object_set_new(o, "result", json_string(echo ? "reply" : "error"));
	json_object_set_new(o, "rtt_ns",
			    json_integer((json_int_t)pn_time_since(loop_now(), a->sent)));
	json_object_set_new(o, "hops", json_integer(ev->hops));
	json_object_set_new(o, "len", json_integer(ev->len));
	if (memcmp(ev->id, none, PN_ID_LEN) != 0)
		show_identity(api, from, ev->id, NULL);
	json_object_set_new(from, "address", show_address(ev->addr));
	json_object_set_new(o, "from", from);
	if (!echo) {
		json_object_set_new(o, "reason", json_string(net_err_text(ev->reason)));
		json_object_set_new(o, "expired", json_boolean(ev->reason == NET_ERR_HOPS));
		json_object_set_new(o, "level", json_integer(ev->level));
		if (ev->reason == NET_ERR_TOO_BIG)
			json_object_set_new(o, "mtu", json_integer(ev->mtu));
	}
	control_answer(c, json_incref(a->id), o);
}

void ask_on_net_event(struct api *api, const struct net_event *ev)
{
	struct control *c;
	struct ask *a;
	bool ping = ev->kind == NET_EV_ECHO || ev->kind == NET_EV_ECHO_ERROR;

	if (!ping && ev->kind != NET_EV_LOOKUP)
		return;
	for (a = api->asks; a; a = a->next) {
		if (a->token == ev->token && a->ping == ping)
			break;
	}
	if (!a)
		return;
	c = control_find(api, a->control);
	if (c && ping)
		answer_ping(api, c, a, ev);
	else if (c)
		answer_lookup(api, c, a, ev);
	ask_free(api, a);
}

void ask_expire(struct api *api)
{
	struct ask *a, *next;

	api->ask_deadline = PN_TIME_NEVER;
	for (a = api->asks; a; a = next) {
		struct control *c;

		next = a->next;
		if (!pn_time_due(a->deadline, api->now)) {
			api->ask_deadline = pn_time_min(api->ask_deadline, a->deadline);
			continue;
		}
		c = control_find(api, a->control);
		if (c)
			control_error(c, json_incref(a->id), ETIMEDOUT, "no answer in time");
		ask_free(api, a);
	}
}
