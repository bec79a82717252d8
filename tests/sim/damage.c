/* SPDX-License-Identifier: ISC */
/* Measuring what Byzantine nodes do to the others.
 *
 * Theory of operation
 *
 * Pairs are drawn among honest nodes that are connected in the physical graph
 * without the Byzantine nodes: for them a way exists.  A question is a session
 * packet; it takes the whole way of real data, from the lookup on.  Who gets it
 * answers to the source address, as a session does in its handshake.  A pair goes
 * on asking every second, whatever happens, and a question counts as answered if
 * the answer came within ANSWER_NS.
 *
 * "Works" means all but one of the questions of the last DAMAGE_WINDOW_S seconds:
 * a single packet may always be lost while something changes.
 */
#include "tests/sim/damage.h"
#include "tests/sim/measure.h"
#include "tests/sim/node.h"
#include "tests/sim/series.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#include "libpeernet/base/bytes.h"

#define PAIRS 600
#define ANSWER_NS PN_S(2)
#define MAGIC 0x706e73696d62797aU
#define PACKET_LEN (8 + 1 + 4 + 4 + PN_ID_LEN)
#define REPLIES_MAX 256		/* within a step of time, which is below 10 ms */

struct talk {
	uint32_t from, to;
	net_peer peer;
	uint16_t flow;
	bool found;		/* by lookup */
	uint64_t *sent_ns;	/* of each second */
	bool *answered;
};

/* An answer that leaves when the node is not being pumped any more */
struct reply {
	uint32_t node, tag;
	uint64_t addr;
	struct pn_pkt *pkt;
};

struct run_of {
	struct sim *sim;
	struct damage *d;
	struct talk *talks;
	struct reply replies[REPLIES_MAX];
	uint32_t reply_count;
	uint32_t seconds;
	struct sim_watcher before;
	uint64_t *addrs;	/* of all nodes when it began */
};

static bool honest(uint32_t node)
{
	return byz_kind_of(node) == BYZ_HONEST;
}

/* --- questions and answers --------------------------------------------------- */

enum { QUESTION, ANSWER };

static struct pn_pkt *packet_make(struct run_of *r, uint8_t what, uint32_t talk, uint32_t second,
				  uint32_t to)
{
	struct pn_pkt *pkt = pn_pkt_get(&r->sim->pool);
	struct pn_wr w;

	if (!pkt)
		return NULL;
	pn_wr_init(&w, pn_pkt_append(pkt, PACKET_LEN), PACKET_LEN);
	pn_wr_u64(&w, MAGIC);
	pn_wr_u8(&w, what);
	pn_wr_u32(&w, talk);
	pn_wr_u32(&w, second);
	pn_wr_bytes(&w, r->sim->nodes[to].id, PN_ID_LEN);
	pkt->flow = r->talks[talk].flow;
	return pkt;
}

static void ask(struct run_of *r, uint32_t i, uint32_t second)
{
	struct talk *t = &r->talks[i];
	struct net *net = r->sim->nodes[t->from].net;
	struct pn_pkt *pkt;

	if (!net || !t->peer)
		return;
	pkt = packet_make(r, QUESTION, i, second, t->to);
	if (!pkt)
		return;
	t->sent_ns[second] = r->sim->now.ns;
	net_send_peer(net, t->peer, pkt, sim_clock(r->sim, t->from));
	sim_node_pump(r->sim, t->from);
}

static void on_answer(struct run_of *r, struct talk *t, uint32_t second)
{
	if (t->sent_ns[second] && r->sim->now.ns - t->sent_ns[second] <= ANSWER_NS)
		t->answered[second] = true;
}

static void on_packet(void *arg, uint32_t node, const struct pn_pkt *pkt)
{
	struct run_of *r = arg;
	struct pn_pkt *reply;
	uint32_t talk, second;
	const uint8_t *id;
	struct pn_rd rd;
	uint8_t what;

	pn_rd_init(&rd, pkt->data, pkt->len);
	if (pn_rd_u64(&rd) != MAGIC) {
		if (r->before.on_packet)
			r->before.on_packet(r->before.arg, node, pkt);
		return;
	}
	what = pn_rd_u8(&rd);
	talk = pn_rd_u32(&rd);
	second = pn_rd_u32(&rd);
	id = pn_rd_bytes(&rd, PN_ID_LEN);
	if (!pn_rd_finish(&rd) || talk >= r->d->pairs || second >= r->seconds)
		return;
	if (memcmp(id, r->sim->nodes[node].id, PN_ID_LEN) != 0) {
		r->d->wrong++;
		violation(&r->sim->violations, CHECK_DELIVERY_IDENTITY,
			  "%.40s got a packet that was not for it at %.3f s",
			  r->sim->topo->names[node], sim_seconds(r->sim));
		return;
	}
	if (what == ANSWER) {
		on_answer(r, &r->talks[talk], second);
		return;
	}
	if (r->reply_count == REPLIES_MAX)
		return;
	reply = packet_make(r, ANSWER, talk, second, r->talks[talk].from);
	if (reply)
		r->replies[r->reply_count++] = (struct reply){ node, pkt->tag, pkt->src, reply };
}

/* Let time pass, and answers leave. */
static void pass(struct run_of *r, uint64_t until_ns)
{
	uint32_t i;

	while (r->sim->now.ns < until_ns) {
		uint64_t next = r->sim->now.ns + PN_MS(2);

		sim_run_until(r->sim, (struct pn_time){ pn_min(next, until_ns) });
		for (i = 0; i < r->reply_count; i++) {
			const struct reply *y = &r->replies[i];
			struct net *net = r->sim->nodes[y->node].net;

			if (!net) {
				pn_pkt_put(&r->sim->pool, y->pkt);
				continue;
			}
			net_send_addr(net, y->addr, y->tag, y->pkt,
				      sim_clock(r->sim, y->node));
			sim_node_pump(r->sim, y->node);
		}
		r->reply_count = 0;
	}
}

static void on_event(void *arg, uint32_t node, const struct net_event *ev)
{
	struct run_of *r = arg;
	uint32_t i;

	for (i = 0; ev->kind == NET_EV_PEER_RESOLVED && i < r->d->pairs; i++)
		if (r->talks[i].from == node && r->talks[i].peer == ev->peer)
			r->talks[i].found = true;
	if (r->before.on_event)
		r->before.on_event(r->before.arg, node, ev);
}

/* --- who talks ---------------------------------------------------------------- */

static uint32_t leader_of(uint32_t *parent, uint32_t i)
{
	while (parent[i] != i)
		i = parent[i] = parent[parent[i]];
	return i;
}

/* Components of the live graph without Byzantine nodes, as a forest of leaders */
static uint32_t *honest_components(const struct sim *sim)
{
	uint32_t n = sim->topo->node_count, i, *parent = sim_calloc(n, sizeof(*parent));

	for (i = 0; i < n; i++)
		parent[i] = i;
	for (i = 0; i < sim->edge_count; i++) {
		const struct sim_edge *e = &sim->edges[i];
		uint32_t a = e->node[0], b = e->node[1];

		if (e->up && sim_node_live(sim, a) && sim_node_live(sim, b) && honest(a) &&
		    honest(b))
			parent[leader_of(parent, a)] = leader_of(parent, b);
	}
	return parent;
}

static void talks_draw(struct run_of *r)
{
	struct sim *sim = r->sim;
	uint32_t n = sim->topo->node_count, tries, *parent = honest_components(sim);
	struct rng rng;

	rng_init(&rng, sim->cfg.seed, "damage");
	r->talks = sim_calloc(PAIRS, sizeof(*r->talks));
	for (tries = 0; tries < 100 * PAIRS && r->d->pairs < PAIRS; tries++) {
		uint32_t a = (uint32_t)rng_below(&rng, n), b = (uint32_t)rng_below(&rng, n);
		struct talk *t = &r->talks[r->d->pairs];

		if (a == b || !honest(a) || !honest(b) || !sim_node_live(sim, a) ||
		    !sim_node_live(sim, b) || leader_of(parent, a) != leader_of(parent, b))
			continue;
		*t = (struct talk){ .from = a, .to = b, .flow = (uint16_t)rng_u64(&rng) };
		t->peer = net_peer_open(sim->nodes[a].net, sim->nodes[b].hit,
					sim_clock(sim, a));
		if (!t->peer)
			continue; /* it talks to as many as it can already */
		t->sent_ns = sim_calloc(r->seconds, sizeof(*t->sent_ns));
		t->answered = sim_calloc(r->seconds, sizeof(*t->answered));
		r->d->pairs++;
	}
	free(parent);
}

/* --- pictures ------------------------------------------------------------------- */

/* Share of the pairs whose path along next hops has no Byzantine node on it */
static double clean(const struct run_of *r)
{
	uint32_t i, good = 0;

	for (i = 0; i < r->d->pairs; i++) {
		const struct talk *t = &r->talks[i];

		if (sim_node_live(r->sim, t->from) && sim_node_live(r->sim, t->to))
			good += measure_walk(r->sim, t->from, t->to, t->flow, honest) >= 0;
	}
	return r->d->pairs ? (double)good / r->d->pairs : 0;
}

static void count_edges(const struct run_of *r, unsigned when)
{
	struct net_neighbour nb;
	uint32_t i, other;
	size_t k;

	for (i = 0; i < r->sim->topo->node_count; i++) {
		if (!honest(i) || !sim_node_live(r->sim, i))
			continue;
		for (k = 0; net_neighbour_at(r->sim->nodes[i].net, k, &nb,
					  sim_clock(r->sim, i)); k++) {
			other = sim_node_find(r->sim, nb.id);
			if (other == UINT32_MAX || other == i)
				continue;
			if (honest(other))
				r->d->edges_good[when] += i < other;
			else
				r->d->edges_bad[when]++;
		}
	}
}

struct place {
	uint64_t root, addr;
};

static int place_compare(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->root != b->root)
		return a->root < b->root ? -1 : 1;
	return a->addr == b->addr ? 0 : a->addr < b->addr ? -1 : 1;
}

/* Honest facets of one network with one address */
static uint32_t duplicates(const struct sim *sim)
{
	struct snapshot s;
	struct place *p;
	uint32_t i, n = 0, found = 0;

	snapshot_take(&s, sim);
	p = sim_calloc(s.facet_count, sizeof(*p));
	for (i = 0; i < s.facet_count; i++) {
		const struct snap_facet *f = &s.facets[i];

		if (honest(f->node) && f->area_count > 0)
			p[n++] = (struct place){
				s.areas[f->area_first + f->area_count - 1].id, f->addr };
	}
	qsort(p, n, sizeof(*p), place_compare);
	for (i = 1; i < n; i++)
		found += !place_compare(&p[i - 1], &p[i]);
	free(p);
	snapshot_free(&s);
	return found;
}

/* --- the course ------------------------------------------------------------------- */

static void begin(struct run_of *r)
{
	uint32_t n = r->sim->topo->node_count, i;

	r->addrs = sim_calloc(n, sizeof(*r->addrs));
	for (i = 0; i < n; i++) {
		r->addrs[i] = sim_addresses_hash(r->sim, i);
		r->d->byzantine += !honest(i);
	}
	talks_draw(r);
	count_edges(r, 0);
	r->d->clean_before = clean(r);
}

/* A row of the series: share of the questions two seconds ago that were answered */
static void row(const struct run_of *r, uint32_t second)
{
	struct violations v;
	struct snapshot s;
	uint32_t i, got = 0;

	if (!series_wanted())
		return;
	for (i = 0; second >= 2 && i < r->d->pairs; i++)
		got += r->talks[i].answered[second - 2];
	snapshot_take(&s, r->sim);
	check_snapshot(&s, &v);
	series_row(&s, &v, "byzantine", second >= 2 ? (double)got / r->d->pairs : -1);
	snapshot_free(&s);
}

static void talk_all(struct run_of *r)
{
	uint64_t start_ns = r->sim->now.ns;
	uint32_t second, i;

	for (second = 0; second < r->seconds; second++, byz_tick(), row(r, second))
		for (i = 0; i < r->d->pairs; i++) {
			pass(r, start_ns + PN_S(second) + PN_S(1) / r->d->pairs * i);
			ask(r, i, second);
		}
	pass(r, start_ns + PN_S(r->seconds) + ANSWER_NS);
}

static void talk_count(struct run_of *r)
{
	struct damage *d = r->d;
	uint32_t i, s, works = 0, ever = 0, found = 0, got;

	d->series = sim_calloc(r->seconds, sizeof(*d->series));
	d->series_count = r->seconds;
	for (i = 0; i < d->pairs; i++) {
		got = 0;
		for (s = 0; s < r->seconds; s++) {
			d->series[s] += r->talks[i].answered[s] ? 1.0 / d->pairs : 0;
			got += r->talks[i].answered[s];
		}
		ever += got > 0;
		found += r->talks[i].found || got > 0;
		for (got = 0, s = r->seconds - DAMAGE_WINDOW_S; s < r->seconds; s++)
			got += r->talks[i].answered[s];
		works += got + 1 >= DAMAGE_WINDOW_S;
	}
	d->working = d->pairs ? (double)works / d->pairs : 0;
	d->ever = d->pairs ? (double)ever / d->pairs : 0;
	d->found = d->pairs ? (double)found / d->pairs : 0;
	d->first = d->series[0];
}

static void end(struct run_of *r)
{
	struct sim *sim = r->sim;
	uint32_t i;

	for (i = 0; i < sim->topo->node_count; i++)
		if (honest(i) && sim_node_live(sim, i)) {
			r->d->honest++;
			r->d->readdressed += sim_addresses_hash(sim, i) != r->addrs[i];
		}
	r->d->clean_after = clean(r);
	count_edges(r, 1);
	r->d->duplicated = duplicates(sim);
	r->d->acts = byz_acts();
	for (i = 0; i < r->d->pairs; i++) {
		struct talk *t = &r->talks[i];

		if (sim_node_live(sim, t->from))
			net_peer_close(sim->nodes[t->from].net, t->peer);
		free(t->sent_ns);
		free(t->answered);
	}
	free(r->talks);
	free(r->addrs);
}

void damage_measure(struct sim *sim, double within, struct damage *d)
{
	struct run_of r = { .sim = sim, .d = d, .before = sim->watcher,
			    .seconds = (uint32_t)within + DAMAGE_WINDOW_S };

	memset(d, 0, sizeof(*d));
	d->within = within;
	sim->watcher = (struct sim_watcher){ .arg = &r, .on_event = on_event,
					     .on_packet = on_packet };
	begin(&r);
	byz_turn();
	if (d->pairs > 0) {
		talk_all(&r);
		talk_count(&r);
	}
	sim->watcher = r.before;
	end(&r);
}

void damage_free(struct damage *d)
{
	free(d->series);
}
