/* SPDX-License-Identifier: ISC */
/* Handshakes of adjacencies: who may start one, and when its keys take effect.
 *
 * Theory of operation
 *
 * noise.c makes and reads the frames.  Here it is decided what to do with them.
 *
 * As initiator an entry keeps one initiation under way (adj->hs).  Each retry
 * is a new one, with a new key and a higher timestamp.  A response makes a
 * session, which takes effect at once: it proves that the responder is alive.
 * The first sealed frame, a hello, follows at once and confirms it.
 *
 * As responder an initiation makes the session NEXT, and nothing more.  An old
 * initiation sent again by somebody else would come that far only if we have
 * forgotten the timestamps of its sender, and no further: CUR is replaced when
 * the first frame under the keys of NEXT came (adj_seal.c).
 *
 * Both at once: while our own initiation is on its way (HS_CROSS_NS), that of a
 * neighbour with a higher identity is ignored, and it answers ours.
 *
 * Load: every frame has mac1, one hash to check.  Above HS_LOAD_PER_S the
 * initiator must show by a cookie that it receives at its address; above
 * HS_MAX_PER_S all are dropped.  One neighbour is answered each HS_EACH_NS.
 */
#include "pnstackd/net/adj_int.h"

#include <string.h>

#define HS_CROSS_NS PN_MS(400)
#define HS_EACH_NS  PN_MS(20)   /* between two answers to one neighbour */

static struct noise_local local_of(const struct net *net)
{
	return (struct noise_local){ .id = net->id, .dh_secret = net->dh_secret,
				     .dh_public = net->dh_public, .psk = net->adjs->secret };
}

void session_wipe(struct session *s)
{
	crypto_aead_fini(&s->aead);
	crypto_wipe(s, sizeof(*s));
}

void hs_forget(struct adj *a)
{
	crypto_wipe(&a->hs, sizeof(a->hs));
}

static uint64_t instance_new(struct net *net)
{
	uint64_t v;

	do {
		v = net_random_u64(net);
	} while (!v);
	return v;
}

static uint32_t our_caps(const struct net *net, uint32_t i)
{
	const struct link *l = link_of(net, pub_of(net, i)->link);
	bool want = l->cfg.kind == NET_LINK_TUNNEL || adj_of(net, i)->want;

	return net->adjs->caps | (l->cfg.seal_full ? NOISE_CAP_SEAL_FULL : 0) |
	       (want ? NOISE_CAP_WANT : 0);
}

/* Session NEXT from the outcome of a handshake in which we told @caps.
 * Return: false: no memory in libcrypto */
static bool session_start(struct net *net, uint32_t i, const struct noise_keys *keys,
			  uint32_t caps, const struct noise_options *theirs, uint64_t instance,
			  uint32_t local, uint32_t remote, bool initiator, struct pn_time now)
{
	struct session *s = &adj_of(net, i)->sess[NEXT];
	int link = pub_of(net, i)->link;

	session_wipe(s);
	if (!crypto_aead_init(&s->aead, &net->adjs->ciphers,
			      caps & theirs->caps & NOISE_CAP_AES ? CRYPTO_AES256_GCM :
								    CRYPTO_CHACHA20,
			      keys->tx, keys->rx))
		return false;
	s->local = local;
	s->remote = remote;
	s->born = now;
	s->instance = instance;
	s->peer_instance = theirs->instance;
	s->mtu = (uint32_t)pn_min(theirs->mtu, link_of(net, link)->cfg.mtu);
	s->initiator = initiator;
	s->seal_full = (caps | theirs->caps) & NOISE_CAP_SEAL_FULL;
	s->leaf = theirs->caps & NOISE_CAP_LEAF;
	s->tree = (caps | theirs->caps) & NOISE_CAP_WANT;
	adj_of(net, i)->peer_wants = theirs->caps & NOISE_CAP_WANT;
	return true;
}

/* As initiator ------------------------------------------------------------------ */

static uint64_t retry_ns(struct net *net, const struct adj *a)
{
	uint64_t ns;

	if (a->state == ADJ_UP)
		ns = pn_min(PN_S(1) << pn_min(a->hs_tries, 7), PN_S(10));
	else if (a->is_static)
		ns = dial_pause_ns(a->hs_tries);
	else	/* a station that we hear: soon */
		ns = PN_MS(300) << pn_min(a->hs_tries / 2, 3);
	return ns + net_random_u64(net) % (ns / 4);
}

void hs_initiate(struct net *net, uint32_t i, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	struct adj_pub *p = pub_of(net, i);
	struct noise_local us = local_of(net);
	struct noise_options opt = { .caps = our_caps(net, i),
				     .mtu = link_of(net, p->link)->cfg.mtu };
	struct pn_pkt *pkt = frame_new(net, p->link, &a->ll);
	uint8_t e_secret[32];
	uint32_t local = adj_pick_local(net, i);
	size_t len;

	PN_ASSERT(a->id_known);
	a->hs_next = pn_time_add(now, retry_ns(net, a));
	if (a->hs_tries < UINT8_MAX)
		a->hs_tries++;
	live_rearm(net, i, now);
	if (!pkt)
		return;
	/* Renewing keys names the instances that are; a new adjacency gets a new one. */
	opt.instance = a->state == ADJ_UP ? a->sess[CUR].instance : instance_new(net);
	opt.peer_instance = a->state == ADJ_UP ? a->sess[CUR].peer_instance : 0;
	a->hs_instance = opt.instance;
	a->hs_caps = opt.caps;
	net_random(net, e_secret, sizeof(e_secret));
	len = noise_create_initiation(&a->hs, &us, p->id, e_secret, net->boot,
				      ++net->adjs->hs_counter, &opt, local,
				      pn_pkt_append(pkt, NOISE_INIT_MAX));
	crypto_wipe(e_secret, sizeof(e_secret));
	if (!len) {		/* what it calls its identity is not a key */
		pn_pkt_put(net->pool, pkt);
		return;
	}
	pn_pkt_trim(pkt, (uint32_t)len);
	if (a->has_cookie && !pn_time_before(now, a->cookie_until))
		a->has_cookie = false;
	noise_macs_set(pkt->data, len, p->id, a->has_cookie ? a->cookie : NULL);
	memcpy(a->mac1, pkt->data + len - 2 * NOISE_MAC_LEN, NOISE_MAC_LEN);
	a->has_mac1 = true;
	a->hs_sent = now;
	count(net, hs_initiations);
	frame_out(net, pkt, COUNT_tx_handshake_bytes);
}

/* The entry with an initiation under way that a frame names, or ADJ_NONE */
static uint32_t initiator_of(const struct net *net, uint32_t index, int link)
{
	uint32_t i = index & 0xffff;
	const struct adj *a;

	if (i >= net->adjs->used)
		return ADJ_NONE;
	a = adj_of(net, i);
	if (a->state == ADJ_FREE || a->state == ADJ_ENDED || !a->hs.active ||
	    a->hs.local_index != index || pub_of(net, i)->link != link)
		return ADJ_NONE;
	return i;
}

void hs_on_response(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	size_t len = noise_frame_len(pkt->data, pkt->len);
	struct noise_local us = local_of(net);
	struct noise_options theirs;
	struct noise_keys keys;
	uint32_t i, remote;
	struct adj *a;
	bool ok;
	int err;

	if (!len) {
		count(net, rx_malformed);
		return;
	}
	i = initiator_of(net, noise_response_receiver(pkt->data, len), pkt->link);
	if (i == ADJ_NONE) {
		count(net, rx_no_adjacency);
		return;
	}
	a = adj_of(net, i);
	if (!noise_mac1_check(pkt->data, len, net->adjs->mac1_key)) {
		count(net, rx_auth_failed);
		return;
	}
	err = noise_consume_response(&keys, &theirs, &remote, &a->hs, &us, pkt->data, len);
	if (!err && theirs.mtu < LINK_MTU_MIN)
		err = PN_EBADMSG;
	if (err) {
		if (err == PN_EAUTH)
			count(net, rx_auth_failed);
		else
			count(net, rx_malformed);
		return;
	}
	count(net, hs_responses);
	ok = session_start(net, i, &keys, a->hs_caps, &theirs, a->hs_instance,
			   a->hs.local_index, remote, true, now);
	crypto_wipe(&keys, sizeof(keys));
	if (!ok)
		return;
	a->next_ll = pkt->ll;
	adj_promote(net, i, now);
}

void hs_on_cookie(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	uint32_t i = initiator_of(net, noise_cookie_receiver(pkt->data, pkt->len), pkt->link);
	struct adj *a;

	if (i == ADJ_NONE) {
		count(net, rx_no_adjacency);
		return;
	}
	a = adj_of(net, i);
	if (!a->has_mac1 || noise_consume_cookie(a->cookie, pkt->data, pkt->len,
						 pub_of(net, i)->id, a->mac1) != 0) {
		count(net, rx_auth_failed);
		return;
	}
	a->has_mac1 = false;	/* one cookie for one initiation */
	a->has_cookie = true;
	a->cookie_until = pn_time_add(now, NOISE_COOKIE_NS - PN_S(5));
	/* soon, but not all who were told at the same moment */
	a->hs_next = pn_time_add(now, PN_MS(20) + net_random_u64(net) % PN_MS(200));
	live_rearm(net, i, now);
}

/* As responder ------------------------------------------------------------------ */

bool hs_admit(struct net *net, struct pn_time now)
{
	struct adj_table *t = net->adjs;

	if (pn_time_since(now, t->hs_window) >= PN_S(1)) {
		t->hs_window = now;
		t->hs_count = 0;
	}
	if (t->hs_count >= HS_MAX_PER_S) {
		count(net, hs_rate_limited);
		return false;
	}
	t->hs_count++;
	return true;
}

/* Under load: did the initiator prove its address?  If not, it gets a cookie. */
static bool cookie_ok(struct net *net, const struct pn_pkt *pkt, size_t len, struct pn_time now)
{
	struct adj_table *t = net->adjs;
	uint8_t cookie[NOISE_COOKIE_LEN], nonce[16];
	struct pn_pkt *out;

	if (!pn_time_before(now, t->cookie_until)) {
		net_random(net, t->cookie_secret, sizeof(t->cookie_secret));
		t->cookie_until = pn_time_add(now, NOISE_COOKIE_NS);
	}
	noise_cookie_of(cookie, t->cookie_secret, &pkt->ll);
	if (noise_mac2_check(pkt->data, len, cookie))
		return true;
	out = frame_new(net, pkt->link, &pkt->ll);
	if (!out)
		return false;
	net_random(net, nonce, sizeof(nonce));
	noise_create_cookie(pn_pkt_append(out, NOISE_COOKIE_FRAME_LEN), pkt->data, len, cookie,
			    t->cookie_key, nonce);
	count(net, hs_cookies);
	frame_out(net, out, COUNT_tx_handshake_bytes);
	return false;
}

/* Timestamps of identities that have no entry (any more) are kept in a small
 * table.  A collision only forgets: see above what a replay can do then. */
static struct seen *seen_of(struct net *net, const uint8_t id[PN_ID_LEN], uint64_t *key)
{
	uint8_t digest[16];
	struct pn_rd r;

	crypto_digest_keyed(digest, sizeof(digest), net->random_key, 32, id, PN_ID_LEN);
	pn_rd_init(&r, digest, 8);
	*key = pn_rd_u64(&r) | 1;
	return &net->adjs->seen[*key >> 1 & net->adjs->seen_mask];
}

static bool newer(uint64_t boot, uint64_t counter, uint64_t than_boot, uint64_t than_counter)
{
	return boot > than_boot || (boot == than_boot && counter > than_counter);
}

static bool timestamp_ok(struct net *net, uint32_t i, const struct noise_initiation *in)
{
	struct adj *a = i == ADJ_NONE ? NULL : adj_of(net, i);
	uint64_t key;
	struct seen *s = seen_of(net, in->id, &key);

	if (a && (a->seen_boot || a->seen_counter) &&
	    !newer(in->boot, in->counter, a->seen_boot, a->seen_counter))
		return false;
	if (s->key == key && !newer(in->boot, in->counter, s->boot, s->counter))
		return false;
	if (a) {
		a->seen_boot = in->boot;
		a->seen_counter = in->counter;
	}
	*s = (struct seen){ key, in->boot, in->counter };
	return true;
}

/* Who may be a neighbour on this link?  Return: its entry, or ADJ_NONE with *@stranger
 * if it may get one */
static uint32_t entry_for(struct net *net, const struct pn_pkt *pkt, const uint8_t *id,
			  bool *stranger, struct pn_time now)
{
	const struct link *l = link_of(net, pkt->link);
	uint32_t i = adj_find_id(net, pkt->link, id);

	*stranger = false;
	if (memcmp(id, net->id, PN_ID_LEN) == 0 || !adj_allowed(net, id)) {
		count(net, hs_refused);
		adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_POLICY, now);
		return ADJ_NONE;
	}
	if (adj_expelled_ns(net, id, now)) {
		count(net, hs_expelled);
		return ADJ_NONE;
	}
	if (i != ADJ_NONE)
		return i;
	i = adj_find_ll(net, pkt->link, &pkt->ll);
	if (i != ADJ_NONE && adj_of(net, i)->is_static && !pub_of(net, i)->up) {
		if (!adj_of(net, i)->want_id) {
			adj_set_id(net, i, id);
			return i;
		}
		if (!l->cfg.listen) {
			count(net, hs_refused);
			adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_IDENTITY, now);
			return ADJ_NONE;
		}
	}
	if (l->cfg.kind == NET_LINK_TUNNEL && !l->cfg.listen) {
		count(net, hs_refused);
		adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_POLICY, now);
		return ADJ_NONE;
	}
	*stranger = true;
	return ADJ_NONE;
}

/* Strangers may not take the whole table before they confirmed anything: where too many
 * are pending the oldest of them gives way.  Nobody up the stack knows it yet, so it
 * may be freed at once.  Return: false if the link has all the stations it may */
static bool make_room(struct net *net, int link, struct pn_time now)
{
	const struct adj_table *t = net->adjs;
	bool ethernet = link_of(net, link)->cfg.kind == NET_LINK_ETHERNET;
	uint32_t all = 0, pending = 0, oldest = ADJ_NONE;
	bool full;

	for (uint32_t i = 0; i < t->used; i++) {
		enum adj_state state = t->a[i].state;

		if (t->pub[i].link != link || t->pub[i].kind == ADJ_INTERNAL)
			continue;
		all += state == ADJ_UP || state == ADJ_DIAL || state == ADJ_PENDING;
		if (state != ADJ_PENDING)
			continue;
		pending++;
		if (oldest == ADJ_NONE ||
		    pn_time_before(t->a[i].collect_at, t->a[oldest].collect_at))
			oldest = i;
	}
	full = ethernet ? all >= LINK_ACCEPT_MAX : pending > t->max / 2;
	if (!full)
		return true;
	if (!pending || (ethernet && pn_time_until(now, t->a[oldest].collect_at) >
				     PENDING_NS - PENDING_SURE_NS))
		return false;
	adj_end(net, oldest, now);
	adj_collect(net, oldest);
	count(net, adj_full);
	return true;
}

static void respond(struct net *net, uint32_t i, const struct pn_pkt *pkt,
		    const struct noise_initiation *in, struct pn_time now)
{
	struct adj *a = adj_of(net, i);
	const struct session *cur = &a->sess[CUR];
	struct noise_options opt = { .caps = our_caps(net, i),
				     .mtu = link_of(net, pkt->link)->cfg.mtu,
				     .peer_instance = in->options.instance };
	struct pn_pkt *out = frame_new(net, pkt->link, &pkt->ll);
	uint32_t local = adj_pick_local(net, i);
	struct noise_keys keys;
	uint8_t e_secret[32];
	size_t len;

	if (!out)
		return;
	opt.instance = a->state == ADJ_UP && in->options.instance == cur->peer_instance &&
		       in->options.peer_instance == cur->instance ? cur->instance :
								   instance_new(net);
	net_random(net, e_secret, sizeof(e_secret));
	len = noise_create_response(&keys, in, e_secret, &opt, local,
				    pn_pkt_append(out, NOISE_RESPONSE_MAX));
	crypto_wipe(e_secret, sizeof(e_secret));
	if (!len || !session_start(net, i, &keys, opt.caps, &in->options, opt.instance,
				   local, in->sender_index, false, now)) {
		pn_pkt_put(net->pool, out);
		crypto_wipe(&keys, sizeof(keys));
		return;
	}
	crypto_wipe(&keys, sizeof(keys));
	pn_pkt_trim(out, (uint32_t)len);
	noise_macs_set(out->data, len, in->id, NULL);
	a->next_ll = pkt->ll;
	a->next_until = pn_time_add(now, PENDING_NS);
	a->response_sent = now;
	if (a->state == ADJ_PENDING)
		a->collect_at = a->next_until;
	/* ours is superseded; try again only if this one comes to nothing */
	hs_forget(a);
	if (a->state == ADJ_DIAL)
		a->hs_next = pn_time_add(now, PN_S(2));
	else if (a->state == ADJ_UP && !pn_time_is_never(a->hs_next))
		a->hs_next = pn_time_add(now, PN_S(5));
	live_rearm(net, i, now);
	frame_out(net, out, COUNT_tx_handshake_bytes);
}

/* An initiation that opened. */
static void on_authentic_init(struct net *net, const struct pn_pkt *pkt,
			      const struct noise_initiation *in, struct pn_time now)
{
	bool stranger;
	uint32_t i = entry_for(net, pkt, in->id, &stranger, now);
	struct adj *a;

	if (i == ADJ_NONE && !stranger)
		return;
	if (in->options.mtu < LINK_MTU_MIN) {
		count(net, rx_malformed);
		return;
	}
	if (i != ADJ_NONE) {
		a = adj_of(net, i);
		if (a->hs.active && pn_time_since(now, a->hs_sent) < HS_CROSS_NS &&
		    memcmp(net->id, in->id, PN_ID_LEN) < 0)
			return;		/* it will answer ours */
		if (pn_time_since(now, a->response_sent) < HS_EACH_NS) {
			count(net, hs_rate_limited);
			return;
		}
	}
	if (!timestamp_ok(net, i, in)) {
		count(net, hs_replayed);
		return;
	}
	if (i == ADJ_NONE) {
		if (!make_room(net, pkt->link, now)) {
			count(net, adj_full);
			return;
		}
		i = adj_alloc(net, pkt->link, &pkt->ll);
		if (i == ADJ_NONE)
			return;
		a = adj_of(net, i);
		a->state = ADJ_PENDING;
		a->collect_at = pn_time_add(now, PENDING_NS);
		a->seen_boot = in->boot;
		a->seen_counter = in->counter;
		adj_set_id(net, i, in->id);
		live_rearm(net, i, now);
	}
	respond(net, i, pkt, in, now);
}

void hs_on_init(struct net *net, const struct pn_pkt *pkt, struct pn_time now)
{
	size_t len = noise_frame_len(pkt->data, pkt->len);
	struct noise_local us = local_of(net);
	struct noise_initiation in;
	int err;

	if (!len) {
		count(net, rx_malformed);
		return;
	}
	if (!noise_mac1_check(pkt->data, len, net->adjs->mac1_key)) {
		count(net, rx_auth_failed);
		return;
	}
	if (!hs_admit(net, now))
		return;
	if (net->adjs->hs_count > HS_LOAD_PER_S && !cookie_ok(net, pkt, len, now))
		return;
	err = noise_consume_initiation(&in, &us, pkt->data, len);
	if (err == PN_EAUTH) {
		/* meant for us, but it does not open: another network secret */
		count(net, hs_refused);
		adj_auth_event(net, pkt->link, &pkt->ll, NET_ERR_POLICY, now);
	} else if (err) {
		count(net, rx_malformed);
	} else {
		on_authentic_init(net, pkt, &in, now);
	}
	crypto_wipe(&in, sizeof(in));
}
