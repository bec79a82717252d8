/* SPDX-License-Identifier: ISC */
/* Operations that show something.  Lists end at API_LIST_MAX entries. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pnstackd/api/api_int.h"

static json_t *num(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static void set(json_t *o, const char *name, uint64_t v)
{
	json_object_set_new(o, name, num(v));
}

static void set_text(json_t *o, const char *name, const char *text)
{
	/* names of interfaces may hold anything */
	json_t *s = json_string(text);

	json_object_set_new(o, name, s ? s : json_string("?"));
}

json_t *show_address(uint64_t addr)
{
	char text[20];

	snprintf(text, sizeof(text), "0x%016" PRIx64, addr);
	return json_string(text);
}

static bool all_zero(const uint8_t *p, size_t n)
{
	while (n--) {
		if (*p++)
			return false;
	}
	return true;
}

void show_identity(struct api *api, json_t *o, const uint8_t *id, const uint8_t *hit)
{
	char text[PN_ID_TEXT_LEN + 1], addr[INET6_ADDRSTRLEN];
	uint8_t computed[PN_HIT_LEN];
	const char *petname;

	if (id && all_zero(id, PN_ID_LEN))
		id = NULL;
	if (id) {
		pn_id_to_text(id, text);
		json_object_set_new(o, "identity", json_string(text));
		petname = names_petname(api->names, id);
		if (petname)
			set_text(o, "name", petname);
		if (!hit) {
			net_identity_hit(id, computed);
			hit = computed;
		}
	}
	if (hit && inet_ntop(AF_INET6, hit, addr, sizeof(addr)))
		json_object_set_new(o, "hit", json_string(addr));
}

static void answer_list(struct control *c, json_t *id, const char *name, json_t *list)
{
	control_answer(c, id, json_pack("{s:o}", name, list));
}

/* This node ---------------------------------------------------------------- */

void op_id(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *o = json_object();
	char host[PN_ID_NAME_LEN + 1];

	(void)req;
	show_identity(api, o, api->id, api->hit);
	pn_id_to_name(api->id, host);
	json_object_set_new(o, "host", json_string(host));
	control_answer(c, id, o);
}

static json_t *addresses(struct api *api)
{
	json_t *list = json_array();
	uint16_t i, n = net_facet_count(api->cfg.net);

	for (i = 0; i < n; i++)
		json_array_append_new(list, show_address(net_address(api->cfg.net, i)));
	return list;
}

void op_status(struct api *api, struct control *c, json_t *id, json_t *req)
{
	struct net_neighbour n;
	struct session_info s;
	size_t neighbours = 0, sessions = 0;
	json_t *o = json_object();

	(void)req;
	while (net_neighbour_at(api->cfg.net, neighbours, &n, api->now))
		neighbours++;
	while (session_info_at(api->cfg.sessions, sessions, &s, api->now))
		sessions++;
	show_identity(api, o, api->id, api->hit);
#ifdef PN_VERSION
	json_object_set_new(o, "version", json_string(PN_VERSION));
#endif
	set(o, "pid", (uint64_t)api->pid);
	set(o, "uptime_ns", pn_time_since(api->now, api->started));
	json_object_set_new(o, "loop", json_string(loop_name(api->cfg.loop)));
	json_object_set_new(o, "addresses", addresses(api));
	set(o, "height", net_height(api->cfg.net));
	json_object_set_new(o, "root", show_address(net_root_id(api->cfg.net)));
	set(o, "neighbours", neighbours);
	set(o, "sessions", sessions);
	set(o, "sockets", api->socket_count);
	set(o, "socket_max", api->cfg.socket_max);
	set(o, "listeners", api->listener_count);
	set(o, "connectors", api->connector_count);
	set(o, "petnames", names_count(api->names));
	if (*names_error(api->names))
		set_text(o, "petnames_error", names_error(api->names));
	control_answer(c, id, o);
}

void op_counters(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *all = json_object();
	struct net_counter n;
	size_t i;

	(void)req;
	for (i = 0; i < API_LIST_MAX && net_counter_at(api->cfg.net, i, &n); i++)
		set(all, n.name, n.value);
	for (i = 0; i < API_LIST_MAX && session_counter_at(api->cfg.sessions, i, &n); i++)
		set(all, n.name, n.value);
	for (i = 0; i < API_N_COUNT; i++)
		set(all, api_count_names[i], api->count[i]);
	answer_list(c, id, "counters", all);
}

/* The network -------------------------------------------------------------- */

static void show_lladdr(json_t *o, const struct pn_lladdr *ll)
{
	char text[INET6_ADDRSTRLEN + 10], ip[INET6_ADDRSTRLEN];
	const uint8_t *b = ll->b;
	unsigned int port;

	if (ll->len == PN_LLADDR_MAC_LEN) {
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2],
			 b[3], b[4], b[5]);
	} else if (ll->len == PN_LLADDR_UDP_LEN) {
		port = (unsigned int)b[16] << 8 | b[17];
		if (!memcmp(b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12))
			snprintf(text, sizeof(text), "%u.%u.%u.%u:%u", b[12], b[13], b[14], b[15],
				 port);
		else if (inet_ntop(AF_INET6, b, ip, sizeof(ip)))
			snprintf(text, sizeof(text), "[%s]:%u", ip, port);
		else
			return;
	} else {
		return;
	}
	json_object_set_new(o, "station", json_string(text));
}

/* The name of the link with that number in the network layer, or the number */
static void show_link(struct api *api, json_t *o, int number)
{
	struct link_info info;
	size_t i;

	for (i = 0; api->cfg.links && link_info_at(api->cfg.links, i, &info); i++) {
		if (info.net_link == number) {
			set_text(o, "link", info.name);
			return;
		}
	}
	json_object_set_new(o, "link_number", json_integer(number));
}

void op_neighbours(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();
	struct net_neighbour n;
	size_t i;

	(void)req;
	for (i = 0; i < API_LIST_MAX && net_neighbour_at(api->cfg.net, i, &n, api->now); i++) {
		json_t *o = json_object();

		show_identity(api, o, n.id, NULL);
		show_link(api, o, n.link);
		show_lladdr(o, &n.ll);
		json_object_set_new(o, "address", show_address(n.addr));
		json_object_set_new(o, "same_network", json_boolean(n.same_network));
		set(o, "facet", n.facet);
		set(o, "peer_facet", n.peer_facet);
		set(o, "cost", n.cost);
		json_object_set_new(o, "leaf", json_boolean(n.leaf));
		json_object_set_new(o, "shortcut", json_boolean(n.shortcut));
		set(o, "rtt_ns", n.rtt_ns);
		set(o, "up_ns", n.up_ns);
		set(o, "rx_packets", n.rx_packets);
		set(o, "rx_bytes", n.rx_bytes);
		set(o, "tx_packets", n.tx_packets);
		set(o, "tx_bytes", n.tx_bytes);
		json_array_append_new(list, o);
	}
	answer_list(c, id, "neighbours", list);
}

void op_expelled(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();
	uint8_t who[PN_ID_LEN];
	uint64_t left_ns;
	size_t i;

	(void)req;
	for (i = 0; i < API_LIST_MAX &&
	     net_expelled_at(api->cfg.net, i, who, &left_ns, api->now); i++) {
		json_t *o = json_object();

		show_identity(api, o, who, NULL);
		set(o, "left_ns", left_ns);
		json_array_append_new(list, o);
	}
	answer_list(c, id, "expelled", list);
}

static json_t *show_area(struct api *api, const struct net_area *a)
{
	json_t *o = json_object(), *leader = json_object();

	set(o, "facet", a->facet);
	json_object_set_new(o, "area", show_address(a->area_id));
	set(o, "base", a->base);
	if (a->top != NET_TOP_NONE) {
		set(o, "top", a->top);
		set(o, "bit", a->bit);
		json_object_set_new(o, "parent", show_address(a->parent_id));
	}
	show_identity(api, leader, a->leader, NULL);
	set(leader, "facet", a->leader_facet);
	json_object_set_new(o, "leader", leader);
	json_object_set_new(o, "leading", json_boolean(a->leading));
	set(o, "epoch", a->epoch);
	set(o, "seq", a->seq);
	set(o, "nodes", a->count);
	if (a->child_id[0] || a->child_id[1])
		json_object_set_new(o, "children", json_pack("[o, o]",
							     show_address(a->child_id[0]),
							     show_address(a->child_id[1])));
	if (a->sibling_id)
		json_object_set_new(o, "sibling", show_address(a->sibling_id));
	if (a->deputy)
		json_object_set_new(o, "deputy", show_address(a->deputy));
	json_object_set_new(o, "deputising", json_boolean(a->deputising));
	return o;
}

void op_areas(struct api *api, struct control *c, json_t *id, json_t *req)
{
	uint16_t facet, facets = net_facet_count(api->cfg.net);
	json_t *list = json_array();
	struct net_area a;
	size_t i;

	(void)req;
	for (facet = 0; facet < facets; facet++) {
		for (i = 0; i < API_LIST_MAX && net_area_at(api->cfg.net, facet, i, &a); i++)
			json_array_append_new(list, show_area(api, &a));
	}
	answer_list(c, id, "areas", list);
}

void op_routes(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();
	struct net_route r;
	size_t i;

	(void)req;
	for (i = 0; i < API_LIST_MAX && net_route_at(api->cfg.net, i, &r); i++) {
		json_t *o = json_object(), *next = json_object();

		set(o, "facet", r.facet);
		set(o, "level", r.level);
		json_object_set_new(o, "block", show_address(r.block));
		json_object_set_new(o, "sibling", show_address(r.sibling_id));
		if (r.metric < NET_METRIC_INF)
			set(o, "metric", r.metric);
		show_identity(api, next, r.next_id, NULL);
		json_object_set_new(o, "next", next);
		if (r.link >= 0)
			show_link(api, o, r.link);
		json_object_set_new(o, "selected", json_boolean(r.selected));
		json_object_set_new(o, "feasible", json_boolean(r.feasible));
		set(o, "nodes", r.count);
		json_array_append_new(list, o);
	}
	answer_list(c, id, "routes", list);
}

void op_links(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();
	struct net_link_control control;
	struct link_info l;
	size_t i;

	(void)req;
	for (i = 0; api->cfg.links && i < API_LIST_MAX && link_info_at(api->cfg.links, i, &l);
	     i++) {
		json_t *o = json_object();

		set_text(o, "link", l.name);
		set_text(o, "type", l.type);
		set_text(o, "state", l.state);
		set(o, "mtu", l.mtu);
		set(o, "rx_frames", l.rx_frames);
		set(o, "rx_bytes", l.rx_bytes);
		set(o, "rx_dropped", l.rx_dropped);
		set(o, "tx_frames", l.tx_frames);
		set(o, "tx_bytes", l.tx_bytes);
		set(o, "tx_dropped", l.tx_dropped);
		if (net_link_control(api->cfg.net, l.net_link, &control)) {
			set(o, "control_bps", control.bps);
			set(o, "control_bytes", control.bytes);
			set(o, "control_waited", control.waited);
			set(o, "control_dropped", control.dropped);
		}
		json_array_append_new(list, o);
	}
	answer_list(c, id, "links", list);
}

void op_sessions(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();
	struct session_info s;
	size_t i;

	(void)req;
	for (i = 0; i < API_LIST_MAX &&
	     session_info_at(api->cfg.sessions, i, &s, api->now); i++) {
		json_t *o = json_object();

		show_identity(api, o, all_zero(s.id, PN_ID_LEN) ?
			      names_identity(api->names, s.hit) : s.id, s.hit);
		set_text(o, "state", s.state ? s.state : "");
		set_text(o, "direction", s.incoming ? "in" : "out");
		set(o, "age_ns", s.age_ns);
		set(o, "idle_ns", s.idle_ns);
		set(o, "rtt_ns", s.rtt_ns);
		set(o, "cwnd", s.cwnd);
		set(o, "streams", s.streams);
		set(o, "mtu", s.mtu);
		set(o, "tx_bytes", s.tx_bytes);
		set(o, "rx_bytes", s.rx_bytes);
		set(o, "lost_packets", s.lost_packets);
		set_text(o, "cipher", s.cipher ? s.cipher : "");
		json_array_append_new(list, o);
	}
	answer_list(c, id, "sessions", list);
}

void op_sockets(struct api *api, struct control *c, json_t *id, json_t *req)
{
	json_t *list = json_array();

	(void)req;
	listener_show_all(api, list);
	api_stream_show_all(api, list);
	relay_show_all(api, list);
	dgram_show_all(api, list);
	answer_list(c, id, "sockets", list);
}
