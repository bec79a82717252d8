/* SPDX-License-Identifier: ISC */
/* Sources of traffic, and questions: pings and lookups.
 *
 * A ping is net_ping(): found by lookup, answered by the layer of the other
 * node.  Its answer must come from the identity that was asked.  A lookup must
 * tell an address that the node has.
 *
 * A question counts if it could be answered: both nodes lived, and were
 * connected, from its start until the answer's time was over.  Nodes that came
 * a moment ago are not asked about: they may not be registered yet. */
#include "tests/sim/traffic.h"
#include "tests/sim/byzantine.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/measure.h"
#include "tests/sim/probe.h"
#include "tests/sim/snapshot.h"
#include "tests/sim/util.h"

#define PING_WAIT_NS PN_S(2)
#define LOOKUP_WAIT_NS PN_S(5)
#define LOOKUP_AGE_NS PN_S(10)	/* of both nodes */
#define PING_LEN 56		/* bytes, as ping(8) */
#define TOKEN_OURS (UINT64_C(1) << 63)
#define QUESTIONS_MAX 4000000

/* --- pairs ------------------------------------------------------------------- */

const uint32_t *traffic_components(struct traffic *t)
{
	/* droppers are expelled, and let in again, at any time */
	if (t->component_changes != t->sim->changes ||
	    (byz_drops() && t->component_ns != t->sim->now.ns)) {
		snapshot_components(t->sim, t->component);
		t->component_changes = t->sim->changes;
		t->component_ns = t->sim->now.ns;
	}
	return t->component;
}

bool traffic_pair(struct traffic *t, uint32_t *from, uint32_t *to)
{
	const uint32_t *component = traffic_components(t);
	uint32_t n = t->sim->topo->node_count, tries;

	for (tries = 0; tries < 10000; tries++) {
		*from = (uint32_t)rng_below(&t->rng, n);
		*to = (uint32_t)rng_below(&t->rng, n);
		if (*from != *to && component[*from] != UINT32_MAX &&
		    component[*from] == component[*to])
			return true;
	}
	return false;
}

/* --- questions ---------------------------------------------------------------- */

static uint64_t wait_ns(const struct question *q)
{
	return q->lookup ? LOOKUP_WAIT_NS : PING_WAIT_NS;
}

static bool knows_address(const struct sim *sim, const struct net_event *ev, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	uint32_t i;
	uint16_t f;

	for (f = 0; f < net_facet_count(net); f++)
		for (i = 0; i < ev->addr_count && i < NET_ADDRS_MAX; i++)
			if (ev->addrs[i] == net_address(net, f))
				return true;
	return false;
}

static void on_lookup(struct traffic *t, struct question *q, const struct net_event *ev)
{
	if (q->answer_ns || q->failed || q->old)
		return;
	if (sim_node_live(t->sim, q->to) && knows_address(t->sim, ev, q->to)) {
		q->answer_ns = t->sim->now.ns;
		return;
	}
	q->failed = ev->addr_count == 0;
	q->old = !q->failed;
	sim_trace(t->sim, "lookup of %s by %s: %s after %.3f s", t->sim->topo->names[q->to],
		  t->sim->topo->names[q->from], ev->addr_count ? "old address" : "not found",
		  (double)(t->sim->now.ns - q->sent_ns) / 1e9);
}

static void on_echo(struct traffic *t, struct question *q, const struct net_event *ev)
{
	const struct sim *sim = t->sim;

	if (q->answer_ns)
		return;
	if (ev->kind == NET_EV_ECHO_ERROR) {
		sim_trace(sim, "ping from %s to %s: %s", sim->topo->names[q->from],
			  sim->topo->names[q->to], net_err_text(ev->reason));
		q->error = true;
		return;
	}
	q->answer_ns = sim->now.ns;
	t->ping_answered++;
	if (sim_node_find(sim, ev->id) == q->to)
		return;
	q->wrong = true;
	violation(&t->sim->violations, CHECK_DELIVERY_IDENTITY,
		  "a ping from %.40s to %.40s was answered by another identity at %.3f s",
		  sim->topo->names[q->from], sim->topo->names[q->to], sim_seconds(sim));
}

static void on_event(void *arg, uint32_t node, const struct net_event *ev)
{
	struct traffic *t = arg;
	struct question *q;

	if (ev->kind != NET_EV_ECHO && ev->kind != NET_EV_ECHO_ERROR && ev->kind != NET_EV_LOOKUP)
		return;
	if (!(ev->token & TOKEN_OURS) || (ev->token & ~TOKEN_OURS) >= t->question_count)
		return;
	q = &t->questions[ev->token & ~TOKEN_OURS];
	if (q->from != node || q->lookup != (ev->kind == NET_EV_LOOKUP))
		return;
	if (q->lookup)
		on_lookup(t, q, ev);
	else
		on_echo(t, q, ev);
}

static void on_packet(void *arg, uint32_t node, const struct pn_pkt *pkt)
{
	probe_received(arg, node, pkt);
}

static bool old_enough(const struct sim *sim, uint32_t node)
{
	return sim->now.ns - sim->nodes[node].since_ns >= LOOKUP_AGE_NS;
}

static void ask(struct traffic *t, const struct source *s)
{
	struct sim *sim = t->sim;
	struct question q = { .group = s->group, .lookup = s->kind == SOURCE_LOOKUPS,
			      .sent_ns = sim->now.ns };
	uint64_t token = TOKEN_OURS | t->question_count;
	uint32_t tries = 0;
	struct net *net;

	do {
		if (tries++ == 1000 || !traffic_pair(t, &q.from, &q.to))
			return;
	} while ((s->apart && sim_edge_find(sim, q.from, q.to) != SIM_EDGE_NONE &&
		  sim_edge_usable(sim, sim_edge_find(sim, q.from, q.to))) ||
		 (q.lookup && !(old_enough(sim, q.from) && old_enough(sim, q.to))));
	if (t->question_count == QUESTIONS_MAX)
		return;
	if (t->question_count == t->question_cap) {
		t->question_cap = t->question_cap ? 2 * t->question_cap : 1024;
		t->questions = sim_realloc(t->questions, t->question_cap, sizeof(*t->questions));
	}
	if (q.lookup)
		q.way_ns = 2 * (float)sim->cfg.link.delay_ns *
			   (float)measure_distance(sim, q.from, q.to);
	t->questions[t->question_count++] = q;
	t->ping_count += !q.lookup;
	net = sim->nodes[q.from].net;
	if (q.lookup)
		net_lookup(net, sim->nodes[q.to].hit, token, sim_clock(sim, q.from));
	else
		net_ping(net, sim->nodes[q.to].hit, token, 0, PING_LEN, sim_clock(sim, q.from));
	sim_node_pump(sim, q.from);
}

static bool died_since(const struct sim *sim, uint32_t node, uint64_t since_ns)
{
	return sim->nodes[node].state != NODE_LIVE || sim->nodes[node].since_ns > since_ns;
}

/* For those whose time is over: could they be answered? */
static void questions_close(struct traffic *t)
{
	for (; t->closed < t->question_count; t->closed++) {
		struct question *q = &t->questions[t->closed];

		if (q->sent_ns + wait_ns(q) > t->sim->now.ns)
			break; /* a lookup may hold up some pings, that does no harm */
		q->closed = true;
		if (q->answer_ns > q->sent_ns + wait_ns(q))
			q->answer_ns = 0;
		if (q->answer_ns)
			continue;
		q->idle = died_since(t->sim, q->from, q->sent_ns) ||
			  died_since(t->sim, q->to, q->sent_ns) ||
			  traffic_components(t)[q->from] != traffic_components(t)[q->to];
	}
}

static int double_compare(const void *pa, const void *pb)
{
	const double *a = pa, *b = pb;

	return *a == *b ? 0 : *a < *b ? -1 : 1;
}

void traffic_tally(const struct traffic *t, uint32_t group, uint64_t from_ns, uint64_t to_ns,
		   struct tally *out)
{
	double *cost = sim_calloc(t->question_count, sizeof(*cost));
	uint32_t i, costs = 0;

	memset(out, 0, sizeof(*out));
	for (i = 0; i < t->question_count; i++) {
		const struct question *q = &t->questions[i];

		if (q->group != group || !q->closed || q->idle || q->sent_ns < from_ns ||
		    q->sent_ns >= to_ns)
			continue;
		out->asked++;
		out->errors += q->error;
		out->failed += q->failed;
		out->old += q->old;
		if (!q->answer_ns || q->wrong)
			continue;
		out->answered++;
		out->rtt_sum_ns += q->answer_ns - q->sent_ns;
		if (q->way_ns > 0)
			cost[costs++] = (double)(q->answer_ns - q->sent_ns) / (double)q->way_ns;
	}
	if (costs > 0) {
		qsort(cost, costs, sizeof(*cost), double_compare);
		out->cost_median = cost[costs / 2];
		out->cost_p95 = cost[(costs - 1) * 95 / 100];
	}
	free(cost);
}

double traffic_answers_from(const struct traffic *t, uint32_t group, uint64_t batch_ns,
			    double share)
{
	uint32_t batches = (uint32_t)((t->sim->now.ns - SIM_EPOCH_NS) / batch_ns) + 1, i;
	uint32_t *asked = sim_calloc(batches, sizeof(*asked));
	uint32_t *good = sim_calloc(batches, sizeof(*good));
	double all = 0, all_good = 0, from_s = -1;

	for (i = 0; i < t->question_count; i++) {
		const struct question *q = &t->questions[i];
		uint64_t b = (q->sent_ns - SIM_EPOCH_NS) / batch_ns;

		if (q->group != group || !q->closed || q->idle)
			continue;
		asked[b]++;
		good[b] += q->answer_ns && !q->wrong;
	}
	for (i = batches; i-- > 0;) {
		all += asked[i];
		all_good += good[i];
		if (asked[i] > 0 && good[i] >= share * asked[i] && all_good >= share * all)
			from_s = (double)i * (double)batch_ns / 1e9;
	}
	free(asked);
	free(good);
	return from_s;
}

/* --- sources ------------------------------------------------------------------ */

void traffic_init(struct traffic *t, struct sim *sim)
{
	memset(t, 0, sizeof(*t));
	t->sim = sim;
	rng_init(&t->rng, sim->cfg.seed, "traffic");
	t->component = sim_calloc(sim->topo->node_count, sizeof(*t->component));
	t->component_changes = UINT64_MAX;
	probes_init(t);
	sim->watcher = (struct sim_watcher){ .arg = t, .on_event = on_event,
					     .on_packet = on_packet };
}

void traffic_fini(struct traffic *t)
{
	t->sim->watcher = (struct sim_watcher){ 0 };
	probes_fini(t);
	free(t->questions);
	free(t->component);
}

uint32_t traffic_add(struct traffic *t, enum source_kind kind, double per_s, double for_s,
		     bool apart)
{
	struct source s = { .kind = kind, .next_ns = t->sim->now.ns, .group = ++t->groups,
			    .every_ns = 1e9 / per_s, .apart = apart, .until_ns = UINT64_MAX };

	if (for_s >= 0)
		s.until_ns = t->sim->now.ns + (uint64_t)(for_s * 1e9);
	if (t->source_count < SOURCES_MAX)
		t->sources[t->source_count++] = s;
	return s.group;
}

void traffic_stop(struct traffic *t, uint32_t group)
{
	uint32_t i;

	for (i = 0; i < t->source_count; i++)
		if (t->sources[i].group == group)
			t->sources[i--] = t->sources[--t->source_count];
}

struct pn_time traffic_next(const struct traffic *t)
{
	struct pn_time next = PN_TIME_NEVER;
	uint32_t i;

	for (i = 0; i < t->source_count; i++)
		next.ns = pn_min(next.ns, t->sources[i].next_ns);
	return next;
}

static void source_due(struct traffic *t, struct source *s)
{
	switch (s->kind) {
	case SOURCE_PINGS:
	case SOURCE_LOOKUPS: ask(t, s); break;
	case SOURCE_PROBES: probe_send(t); break;
	case SOURCE_FLOWS: flow_send(t); break;
	}
	s->debt_ns += s->every_ns;
	s->next_ns += (uint64_t)s->debt_ns;
	s->debt_ns -= (double)(uint64_t)s->debt_ns;
}

void traffic_due(struct traffic *t)
{
	uint32_t i = 0;

	questions_close(t);
	while (i < t->source_count) {
		struct source *s = &t->sources[i];

		if (s->next_ns >= s->until_ns) {
			traffic_stop(t, s->group);
			continue;
		}
		if (s->next_ns <= t->sim->now.ns)
			source_due(t, s);
		else
			i++;
	}
}

void traffic_advance(struct traffic *t, struct pn_time until)
{
	while (pn_time_before(t->sim->now, until)) {
		struct pn_time next = pn_time_min(until, traffic_next(t));

		if (pn_time_before(t->sim->now, next))
			sim_run_until(t->sim, next);
		traffic_due(t);
	}
}
