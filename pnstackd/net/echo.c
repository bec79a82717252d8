/* SPDX-License-Identifier: ISC */
/* echo.c - echo requests: sent for net_ping(), answered for others.
 *
 * A ping first waits for its peer to be looked up (it holds the peer open
 * meanwhile), then for an answer.  When the network says that there is no way to the
 * peer's address, or that somebody else has it, peer.c looks it up again, and the ping is
 * sent once more, at most PING_AGAIN times: the peer may have moved.
 *
 * The table is a ring: 256 pings later (or as many as configured) one is forgotten,
 * answered or not; there is no timer. */
#include "pnstackd/net/echo.h"
#include "pnstackd/net/guard.h"
#include "pnstackd/net/peer.h"

#define PINGS_DEFAULT 256            /* power of two */
#define PING_AGAIN 3
#define REPLIES_PER_SOURCE 1000      /* a second */
#define REPLIES_PER_NODE 10000

enum ping_state { PING_FREE, PING_LOOKUP, PING_SENT };

struct ping {
	enum ping_state state;
	net_peer peer;               /* held while PING_LOOKUP */
	uint8_t hit[PN_HIT_LEN];
	uint64_t token;              /* the caller's */
	uint64_t number, cookie;     /* on the wire */
	uint16_t hops, len;
	uint8_t again;               /* sent once more, so many times */
};

struct echo {
	struct limit replies;
	uint64_t next;               /* number of the next ping */
	uint32_t ping_max;           /* a power of two */
	struct ping *pings;
};

void echo_carve(struct net *net, struct arena *a, const struct net_config *cfg)
{
	uint32_t max = net_limit(cfg->ping_max, PINGS_DEFAULT);
	struct ping *pings;

	PN_ASSERT((max & (max - 1)) == 0);
	net->echo = arena_take(a, 1, sizeof(struct echo));
	limit_carve(net->echo ? &net->echo->replies : NULL, a,
		    net_limit(cfg->source_max, LIMIT_SLOTS));
	pings = arena_take(a, max, sizeof(*pings));
	if (!net->echo)
		return;                  /* only being sized */
	net->echo->pings = pings;
	net->echo->ping_max = max;
}

void echo_init(struct net *net, const struct net_config *cfg, struct pn_time now)
{
	(void)cfg;
	(void)now;
	limit_init(&net->echo->replies, REPLIES_PER_SOURCE, REPLIES_PER_NODE, net_random_u64(net));
}

int echo_parse(struct echo_msg *msg, const uint8_t *buf, size_t len)
{
	struct echo_msg m;
	struct pn_rd r;

	pn_rd_init(&r, buf, len);
	m.kind = pn_rd_u8(&r);
	(void)pn_rd_u8(&r);
	m.hops = pn_rd_u16(&r);
	m.number = pn_rd_u64(&r);
	m.cookie = pn_rd_u64(&r);
	if (r.bad || (m.kind != ECHO_REQUEST && m.kind != ECHO_REPLY))
		return PN_EBADMSG;
	*msg = m;
	return 0;
}

void echo_build(const struct echo_msg *msg, uint8_t *buf, size_t cap)
{
	struct pn_wr w;

	pn_wr_init(&w, buf, cap);
	pn_wr_u8(&w, msg->kind);
	pn_wr_u8(&w, 0);
	pn_wr_u16(&w, msg->hops);
	pn_wr_u64(&w, msg->number);
	pn_wr_u64(&w, msg->cookie);
	PN_ASSERT(pn_wr_ok(&w));
	PN_ASSERT(w.len == ECHO_HEAD_LEN);
}

/* Pings of ours --------------------------------------------------------------- */

static void ping_free(struct net *net, struct ping *p)
{
	net_peer held = p->state == PING_LOOKUP ? p->peer : 0;

	p->state = PING_FREE;
	if (held)
		net_peer_close(net, held);
}

/* Our own node knows already that it will not work. */
static void ping_fail(struct net *net, struct ping *p, enum net_err why)
{
	struct net_event *ev = net_event_push(net, NET_EV_ECHO_ERROR);

	ev->token = p->token;
	ev->reason = why;
	memcpy(ev->hit, p->hit, PN_HIT_LEN);
	if (why != NET_ERR_UNKNOWN) {
		memcpy(ev->id, net->id, PN_ID_LEN);
		ev->addr = facet_addr(net, 0);
	}
	ping_free(net, p);
}

/* The peer is not at @addr, or there is no way: wait until it was looked up again.
 * Return: false: not this time */
static bool ping_again(struct net *net, struct ping *p, enum net_err why, uint64_t addr,
		       struct pn_time now)
{
	if (p->again >= PING_AGAIN || p->hops != NET_HOPS_DEFAULT)
		return false;
	p->peer = net_peer_open(net, p->hit, now);
	if (!p->peer)
		return false;
	p->again++;
	p->state = PING_LOOKUP;
	peer_on_error(net, why, 0, addr, net_hit_tag(p->hit), PEER_FLOW_ANY, now);
	if (peer_in_doubt(net, p->peer))
		return true;
	/* it is no news that it is not there; so where is it? */
	net_peer_close(net, p->peer);
	p->state = PING_SENT;
	return false;
}

static void ping_send(struct net *net, struct ping *p, uint64_t addr, struct pn_time now)
{
	struct net_hdr hdr = { .proto = NET_PROTO_ECHO, .dst = addr, .dst_tag = net_hit_tag(p->hit),
			       .hops = p->hops, .flow = (uint16_t)mix64(p->token >> 16) };
	struct echo_msg msg = { .kind = ECHO_REQUEST, .hops = p->hops, .number = p->number,
				.cookie = p->cookie };
	uint8_t buf[ECHO_MAX] = { 0 };
	net_peer held = p->peer;
	int rc;

	PN_ASSERT(p->state == PING_LOOKUP);
	PN_ASSERT(p->len <= sizeof(buf));
	echo_build(&msg, buf, sizeof(buf));
	p->state = PING_SENT;
	count(net, echo_requests);
	rc = fwd_originate(net, 0, &hdr, buf, p->len, now);
	if (rc == PN_ENOROUTE || rc == PN_ESTALE) {
		enum net_err why = rc == PN_ENOROUTE ? NET_ERR_ROUTE : NET_ERR_GONE;

		if (!ping_again(net, p, why, addr, now))
			ping_fail(net, p, why);
	}
	net_peer_close(net, held);
}

void net_ping(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t token,
	      uint16_t hops, uint16_t len, struct pn_time now)
{
	struct echo *e = net->echo;
	uint64_t number = e->next++;
	struct ping *p = &e->pings[number & (e->ping_max - 1)];
	uint64_t addr;
	int rc;

	net->now = now;
	ping_free(net, p);
	*p = (struct ping){ .state = PING_LOOKUP, .token = token, .number = number,
			    .hops = hops ? hops : NET_HOPS_DEFAULT };
	memcpy(p->hit, hit, PN_HIT_LEN);
	p->len = (uint16_t)pn_min(pn_max(len, ECHO_MIN), ECHO_MAX);
	p->cookie = net_random_u64(net);
	p->peer = net_peer_open(net, hit, now);
	rc = p->peer ? peer_address(net, p->peer, &addr, now) : PN_EFULL;
	if (rc == 0)
		ping_send(net, p, addr, now);
	else if (rc != PN_EAGAIN)
		ping_fail(net, p, NET_ERR_UNKNOWN);
}

void echo_on_peer(struct net *net, net_peer peer, enum net_err err, struct pn_time now)
{
	for (unsigned i = 0; i < net->echo->ping_max; i++) {
		struct ping *p = &net->echo->pings[i];
		uint64_t addr;

		if (p->state != PING_LOOKUP || p->peer != peer)
			continue;
		if (err == NET_ERR_NONE && peer_address(net, peer, &addr, now) == 0)
			ping_send(net, p, addr, now);
		else
			ping_fail(net, p, err ? err : NET_ERR_UNKNOWN);
	}
}

static struct ping *ping_find(struct net *net, const struct echo_msg *msg)
{
	struct ping *p = &net->echo->pings[msg->number & (net->echo->ping_max - 1)];

	if (p->state != PING_SENT || p->number != msg->number || p->cookie != msg->cookie)
		return NULL;
	return p;
}

/* Replies and errors ------------------------------------------------------------ */

static void echo_on_reply(struct net *net, const struct net_hdr *hdr, const struct echo_msg *msg,
			  const uint8_t *payload, size_t len)
{
	struct ping *p = ping_find(net, msg);
	const uint8_t *id = payload + ECHO_HEAD_LEN;
	uint8_t hit[PN_HIT_LEN];
	struct net_event *ev;

	if (!p || len < ECHO_HEAD_LEN + PN_ID_LEN) {
		count(net, echo_bad);
		return;
	}
	net_identity_hit(id, hit);
	if (memcmp(hit, p->hit, PN_HIT_LEN) != 0) {
		count(net, echo_bad);
		return;
	}
	count(net, echo_replies);
	ev = net_event_push(net, NET_EV_ECHO);
	ev->token = p->token;
	ev->hops = hdr->hops;
	ev->len = (uint16_t)len;
	ev->addr = hdr->src;
	/* What its hop limit lost on the way there, as far as 8 bits go */
	ev->level = p->hops >= msg->hops ? (uint8_t)pn_min(p->hops - msg->hops, UINT8_MAX) : 0;
	memcpy(ev->id, id, PN_ID_LEN);
	memcpy(ev->hit, hit, PN_HIT_LEN);
	ping_free(net, p);
}

bool echo_on_error(struct net *net, const struct net_hdr *hdr, const struct fwd_error *err,
		   struct pn_time now)
{
	struct echo_msg msg;
	struct net_event *ev;
	struct ping *p;

	if (echo_parse(&msg, err->excerpt, err->excerpt_len) < 0 || msg.kind != ECHO_REQUEST)
		return false;
	p = ping_find(net, &msg);
	if (!p) {
		count(net, echo_bad);
		return false;
	}
	if ((err->reason == NET_ERR_ROUTE || err->reason == NET_ERR_GONE) &&
	    ping_again(net, p, err->reason, err->dst, now))
		return false;            /* peer.c knows of it already */
	ev = net_event_push(net, NET_EV_ECHO_ERROR);
	ev->token = p->token;
	ev->reason = err->reason;
	ev->level = err->level;
	ev->mtu = err->mtu;
	ev->hops = hdr->hops;
	ev->addr = hdr->src;
	memcpy(ev->hit, p->hit, PN_HIT_LEN);
	if (err->has_id)
		memcpy(ev->id, err->id, PN_ID_LEN);
	ping_free(net, p);
	return true;
}

/* Requests of others -------------------------------------------------------------- */

static void echo_on_request(struct net *net, uint16_t facet, const struct net_hdr *hdr,
			    const struct echo_msg *msg, const uint8_t *payload, size_t len,
			    struct pn_time now)
{
	struct net_hdr back = { .proto = NET_PROTO_ECHO, .dst = hdr->src, .dst_tag = hdr->src_tag,
				.flow = hdr->flow };
	struct echo_msg reply = { .kind = ECHO_REPLY, .hops = hdr->hops, .number = msg->number,
				  .cookie = msg->cookie };
	uint8_t buf[PN_PKT_MAX];

	if (len < ECHO_MIN || len > sizeof(buf)) {
		count(net, echo_bad);
		return;
	}
	if (!guard_may_answer(net, now) || !limit_take(&net->echo->replies, hdr->src, now)) {
		count(net, echo_limited);
		return;
	}
	memcpy(buf, payload, len);
	echo_build(&reply, buf, len);
	memcpy(buf + ECHO_HEAD_LEN, net->id, PN_ID_LEN);
	fwd_answer(net, facet, &back, buf, len, now);
}

void echo_on_packet(struct net *net, uint16_t facet, const struct net_hdr *hdr,
		    const uint8_t *payload, size_t len, struct pn_time now)
{
	struct echo_msg msg;

	if (echo_parse(&msg, payload, len) < 0)
		count(net, echo_bad);
	else if (msg.kind == ECHO_REQUEST)
		echo_on_request(net, facet, hdr, &msg, payload, len, now);
	else if (!guard_on_reply(net, &msg, now))
		echo_on_reply(net, hdr, &msg, payload, len);
}
