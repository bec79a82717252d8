/* SPDX-License-Identifier: ISC */
/* News for control connections that subscribed. */
#include <stdio.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

static json_t *event(const char *kind, const char *what)
{
	return json_pack("{s:i, s:s, s:s}", "v", PN_API_VERSION, "event", kind, "what", what);
}

static void neighbour(struct api *api, const struct net_event *ev)
{
	bool up = ev->kind == NET_EV_NEIGHBOUR_UP;
	struct link_info info;
	json_t *o;
	size_t i;

	if (!control_wanted(api, SUB_NEIGHBOUR))
		return;
	o = event("neighbour", up ? "up" : "down");
	show_identity(api, o, ev->id, NULL);
	for (i = 0; api->cfg.links && link_info_at(api->cfg.links, i, &info); i++) {
		if (info.net_link == ev->link)
			json_object_set_new(o, "link", json_string(info.name));
	}
	if (!up)
		json_object_set_new(o, "reason", json_string(net_err_text(ev->reason)));
	control_publish(api, SUB_NEIGHBOUR, o);
}

void event_on_net(struct api *api, const struct net_event *ev)
{
	json_t *o;

	switch (ev->kind) {
	case NET_EV_NEIGHBOUR_UP:
	case NET_EV_NEIGHBOUR_DOWN:
		neighbour(api, ev);
		break;
	case NET_EV_ADDRESS:
		if (!control_wanted(api, SUB_ADDRESS))
			break;
		o = event("address", "changed");
		json_object_set_new(o, "address", show_address(ev->addr));
		json_object_set_new(o, "height", json_integer(ev->level));
		control_publish(api, SUB_ADDRESS, o);
		break;
	default:
		break;
	}
}

void event_on_session(struct api *api, const struct session_event *ev)
{
	bool up = ev->kind == SESSION_EV_UP;
	json_t *o;

	if (!control_wanted(api, SUB_SESSION))
		return;
	o = event("session", up ? "up" : "down");
	show_identity(api, o, ev->id, ev->hit);
	if (!up && ev->err)
		json_object_set_new(o, "reason", json_string(pn_strerror(ev->err)));
	control_publish(api, SUB_SESSION, o);
}

/* The link layer tells no news of its own: compare once a second. */
void event_poll_links(struct api *api)
{
	uint32_t seen[API_LINKS_WATCHED] = { 0 };
	struct link_info info;
	size_t i;

	if (!api->cfg.links || !control_wanted(api, SUB_LINK)) {
		api->link_state_known = false;
		return;
	}
	for (i = 0; i < API_LINKS_WATCHED && link_info_at(api->cfg.links, i, &info); i++) {
		const char *p;
		uint32_t h = 2166136261u;
		json_t *o;

		for (p = info.name; *p; p++)
			h = (h ^ (uint8_t)*p) * 16777619u;
		for (p = info.state; *p; p++)
			h = (h ^ (uint8_t)*p) * 16777619u;
		seen[i] = h | 1;
		if (!api->link_state_known || api->link_state[i] == seen[i])
			continue;
		o = event("link", "state");
		json_object_set_new(o, "link", json_string(info.name));
		json_object_set_new(o, "state", json_string(info.state));
		control_publish(api, SUB_LINK, o);
	}
	memcpy(api->link_state, seen, sizeof(seen));
	api->link_state_known = true;
}
