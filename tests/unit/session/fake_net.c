/* SPDX-License-Identifier: ISC */
/* The network layer's calls, without a network: see fake_net.h. */
#include "fake_net.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "libpeernet/base/name.h"

/* --- what sessions call ------------------------------------------------------ */

void net_identity_derive(const uint8_t seed[PN_ID_LEN], uint8_t id[PN_ID_LEN])
{
	uint8_t sk[64];

	crypto_sign_ed25519_seed_keypair(id, sk, seed);
}

void net_identity_hit(const uint8_t id[PN_ID_LEN], uint8_t hit[PN_HIT_LEN])
{
	uint8_t hash[32];

	crypto_generichash_blake2b(hash, sizeof(hash), id, PN_ID_LEN, NULL, 0);
	pn_hit_set_prefix(hit);
	memcpy(hit + PN_HIT_HASH_OFF, hash, PN_HIT_LEN - PN_HIT_HASH_OFF);
}

uint32_t net_hit_tag(const uint8_t hit[PN_HIT_LEN])
{
	return (uint32_t)hit[12] << 24 | (uint32_t)hit[13] << 16 | (uint32_t)hit[14] << 8 | hit[15];
}

static struct net *node_by_hit(struct world *w, const uint8_t *hit)
{
	for (int i = 0; i < w->count; i++)
		if (!memcmp(w->node[i].hit, hit, PN_HIT_LEN))
			return &w->node[i];
	return NULL;
}

net_peer net_peer_open(struct net *net, const uint8_t hit[PN_HIT_LEN], struct pn_time now)
{
	uint32_t unused = WORLD_PEERS;

	(void)now;
	for (uint32_t i = 0; i < WORLD_PEERS; i++) {
		if (net->peer_refs[i] && !memcmp(net->peer_hit[i], hit, PN_HIT_LEN)) {
			net->peer_refs[i]++;
			return i + 1;
		}
		if (!net->peer_refs[i] && unused == WORLD_PEERS)
			unused = i;
	}
	if (unused == WORLD_PEERS)
		return 0;
	memcpy(net->peer_hit[unused], hit, PN_HIT_LEN);
	net->peer_refs[unused] = 1;
	return unused + 1;
}

void net_peer_close(struct net *net, net_peer peer)
{
	PN_ASSERT(peer);
	PN_ASSERT(net->peer_refs[peer - 1]);
	net->peer_refs[peer - 1]--;
}

void net_peer_silent(struct net *net, net_peer peer, struct pn_time now)
{
	(void)net;
	(void)peer;
	(void)now;
}

uint32_t net_peer_mtu(const struct net *net, net_peer peer)
{
	PN_ASSERT(peer);
	return net->world->mtu;
}

size_t net_own_record(struct net *net, uint8_t *buf, size_t cap)
{
	PN_ASSERT(cap >= NET_RECORD_MAX);
	if (net->no_record)
		return 0;
	memset(buf, 0x5a, 900);
	memcpy(buf, net->id, PN_ID_LEN);
	memcpy(buf + PN_ID_LEN, &net->addr, sizeof(net->addr));
	return 900;
}

int net_peer_update(struct net *net, const uint8_t *record, size_t len, struct pn_time now)
{
	uint8_t hit[PN_HIT_LEN];

	(void)now;
	if (len != 900 || record[899] != 0x5a)
		return PN_EBADMSG;
	net_identity_hit(record, hit);
	for (int i = 0; i < WORLD_PEERS; i++)	/* others it would forget at once */
		net->records_in += net->peer_refs[i] && !memcmp(net->peer_hit[i], hit, PN_HIT_LEN);
	return 0;
}

static void carry(struct net *from, struct net *to, struct pn_pkt *pkt)
{
	struct world *w = from->world;

	w->packets++;
	if (!to || !to->set || from->blackhole ||
	    (w->loss_permille && world_random(w) % 1000 < w->loss_permille)) {
		w->lost++;
		pn_pkt_put(&w->pool, pkt);
		return;
	}
	pkt->src = from->addr;
	pkt->tag = net_hit_tag(from->hit);
	pkt->cookie = w->now.ns + w->delay_ns;
	if (w->on_packet)
		w->on_packet(w, pkt);
	pn_pktq_push(&to->inbox, pkt);
}

void net_send_peer(struct net *net, net_peer peer, struct pn_pkt *pkt, struct pn_time now)
{
	struct net *to = node_by_hit(net->world, net->peer_hit[peer - 1]);

	(void)now;
	net->sent_peer++;
	if (!to && !net->has_event) {
		net->has_event = true;
		memset(&net->event, 0, sizeof(net->event));
		net->event.kind = NET_EV_PEER_FAILED;
		net->event.reason = NET_ERR_UNKNOWN;
		net->event.peer = peer;
	}
	carry(net, to, pkt);
}

void net_send_addr(struct net *net, uint64_t addr, uint32_t tag, struct pn_pkt *pkt,
		   struct pn_time now)
{
	struct world *w = net->world;
	struct net *to = NULL;

	(void)now;
	net->sent_addr++;
	for (int i = 0; i < w->count; i++)
		if (w->node[i].addr == addr && net_hit_tag(w->node[i].hit) == tag)
			to = &w->node[i];
	carry(net, to, pkt);
}

/* --- the world ------------------------------------------------------------------ */

uint32_t world_random(struct world *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 16);
}

void world_init(struct world *w, int nodes)
{
	memset(w, 0, sizeof(*w));
	w->count = nodes;
	w->now = (struct pn_time){ PN_S(1000) };
	w->rng = 88172645463325252ULL;
	w->mtu = 1400;
	w->pool_mem = malloc(pn_pool_mem_size(WORLD_POOL, 9100));
	PN_ASSERT(w->pool_mem);
	pn_pool_init(&w->pool, w->pool_mem, WORLD_POOL, 9100);
	session_config_default(&w->cfg);
	w->cfg.pool = &w->pool;
	w->cfg.session_max = 64;
	w->cfg.stream_max = 2048;
	for (int i = 0; i < nodes; i++) {
		struct net *n = &w->node[i];

		n->world = w;
		n->index = i;
		memset(n->seed, 0x11 * (i + 1), sizeof(n->seed));
		net_identity_derive(n->seed, n->id);
		net_identity_hit(n->id, n->hit);
		n->addr = 0x1000 + (uint64_t)i;
		pn_pktq_init(&n->inbox);
		world_start(w, i, 0);
	}
}

void world_start(struct world *w, int node, uint32_t life)
{
	struct net *n = &w->node[node];

	memcpy(w->cfg.seed, n->seed, sizeof(n->seed));
	memset(w->cfg.random, (int)(node * 16 + (int)life), sizeof(w->cfg.random));
	n->set = session_set_new(&w->cfg, n, w->now);
	PN_ASSERT(n->set);
}

void world_stop(struct world *w, int node, bool goodbye)
{
	struct net *n = &w->node[node];
	bool was = n->blackhole;

	n->blackhole = !goodbye;
	session_set_free(n->set);
	n->blackhole = was;
	n->set = NULL;
	pn_pktq_drain(&n->inbox, &w->pool);
}

void world_fini(struct world *w)
{
	for (int i = 0; i < w->count; i++) {
		if (w->node[i].set)
			world_stop(w, i, false);
		for (int p = 0; p < WORLD_PEERS; p++)	/* each open has its close */
			PN_ASSERT(!w->node[i].peer_refs[p]);
	}
	PN_ASSERT(w->pool.free_count == w->pool.count);
	free(w->pool_mem);
}

static bool step_node(struct world *w, struct net *n)
{
	struct pn_pkt *batch[WORLD_BATCH];
	struct session_event ev;
	size_t k = 0;
	bool worked = false;

	while (k < WORLD_BATCH && n->inbox.head && n->inbox.head->cookie <= w->now.ns)
		batch[k++] = pn_pktq_pop(&n->inbox);
	if (k)
		session_input(n->set, batch, k, w->now);
	if (n->has_event) {
		n->has_event = false;
		session_on_net_event(n->set, &n->event, w->now);
		worked = true;
	}
	if (pn_time_due(session_deadline(n->set), w->now)) {
		session_expire(n->set, w->now);
		worked = true;
	}
	while (n->set && session_next_event(n->set, &ev)) {
		if (w->on_event)
			w->on_event(w, n->index, &ev);
		worked = true;
	}
	if (n->set)
		session_flush(n->set, w->now);
	return worked || k;
}

bool world_run(struct world *w, uint64_t ns, bool (*done)(struct world *w))
{
	struct pn_time end = pn_time_add(w->now, ns);

	while (!done || !done(w)) {
		struct pn_time next = end;
		bool worked = false;

		for (int i = 0; i < w->count; i++)
			if (w->node[i].set)
				worked |= step_node(w, &w->node[i]);
		if (w->on_idle)
			w->on_idle(w);
		for (int i = 0; i < w->count; i++) {
			struct net *n = &w->node[i];

			if (!n->set)
				continue;
			if (n->inbox.head)
				next = pn_time_min(next, (struct pn_time){ n->inbox.head->cookie });
			next = pn_time_min(next, session_deadline(n->set));
		}
		if (next.ns > w->now.ns)
			w->now = next;
		else if (!worked)
			w->now.ns += 1000;	/* a little, as a real clock would */
		if (!pn_time_before(w->now, end))
			return done && done(w);
	}
	return true;
}

uint64_t world_counter(struct world *w, int node, const char *name)
{
	struct net_counter c;

	for (size_t i = 0; session_counter_at(w->node[node].set, i, &c); i++)
		if (!strcmp(c.name, name))
			return c.value;
	PN_ASSERT(!"no such counter");
	return 0;
}

size_t world_sessions(struct world *w, int node, const char *state)
{
	struct session_info info;
	size_t n = 0;

	for (size_t i = 0; session_info_at(w->node[node].set, i, &info, w->now); i++)
		n += !strcmp(info.state, state);
	return n;
}
