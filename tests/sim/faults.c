/* SPDX-License-Identifier: ISC */
/* Making a scenario happen.
 *
 * Theory of operation
 *
 * Each fault is put on a list of pending events, sorted by time.  When it is due
 * it happens, and may put later events there: its end, its next tick (a flap, a
 * step, the next crash of a churn), or a node's return.  At the end of the
 * scenario everything is undone that can be: links come back, quality is what
 * the run began with, nobody is slow.  Who crashed and was not told to return
 * stays away, who moved stays where it is, clocks go on running wrong.
 *
 * Random choices come from a stream of their own. */
#include "tests/sim/faults.h"
#include "tests/sim/edge.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include <math.h>

#define CHURN_LOOKUPS 20.0	/* per second */
#define PING_SPREAD_S 2.0
#define PING_WAIT_S 2.0

static void later(struct faults *f, uint32_t fault, enum fault_stage stage, uint64_t at_ns,
		  uint32_t arg)
{
	struct pending p = { .at_ns = at_ns, .seq = f->seq++, .fault = fault,
			     .stage = stage, .arg = arg };
	uint32_t i;

	if (f->pending_count == f->pending_cap) {
		f->pending_cap = f->pending_cap ? 2 * f->pending_cap : 64;
		f->pending = sim_realloc(f->pending, f->pending_cap, sizeof(*f->pending));
	}
	for (i = f->pending_count++; i > 0 && f->pending[i - 1].at_ns > at_ns; i--)
		f->pending[i] = f->pending[i - 1];
	f->pending[i] = p;
}

static void later_s(struct faults *f, uint32_t fault, enum fault_stage stage, double in_s,
		    uint32_t arg)
{
	later(f, fault, stage, f->sim->now.ns + (uint64_t)(in_s * 1e9), arg);
}

void faults_later(struct faults *f, uint32_t fault, enum fault_stage stage, uint64_t in_ns,
		  uint32_t arg)
{
	later(f, fault, stage, f->sim->now.ns + in_ns, arg);
}

void faults_measure(struct faults *f, uint32_t fault, uint32_t group, double for_s)
{
	f->measures = sim_realloc(f->measures, f->measure_count + 1, sizeof(*f->measures));
	f->measures[f->measure_count++] = (struct fault_traffic){
		.fault = fault, .group = group, .from_ns = f->sim->now.ns,
		.to_ns = f->sim->now.ns + (uint64_t)(for_s * 1e9) };
}

/* --- edges --------------------------------------------------------------------- */

void faults_edge(struct faults *f, uint32_t e, unsigned reason, bool on, bool tell)
{
	bool was;

	if (e >= f->down_cap) {
		uint32_t cap = f->sim->edge_cap;

		f->down = sim_realloc(f->down, cap, 1);
		memset(f->down + f->down_cap, 0, cap - f->down_cap);
		f->down_cap = cap;
	}
	was = f->down[e] != 0;
	f->down[e] = (uint8_t)(on ? f->down[e] | reason : f->down[e] & ~reason);
	if (was == (f->down[e] != 0))
		return;
	f->link_changes++;
	sim_edge_set(f->sim, e, !f->down[e], tell);
}

static bool edge_has(const struct faults *f, uint32_t e, unsigned reason)
{
	return e < f->down_cap && (f->down[e] & reason);
}

static uint32_t some_of(const struct fault *fault, uint32_t n)
{
	switch (fault->who) {
	case WHO_ALL: return n;
	case WHO_SHARE: return (uint32_t)lround(fault->share * n);
	default: return fault->count;
	}
}

/* Links that a fault means: out, edges; those with @reason (0: usable ones)
 * Return: how many */
static uint32_t links_pick(struct faults *f, const struct fault *fault, unsigned reason,
			   uint32_t *out)
{
	uint32_t n = f->sim->edge_count, count = 0, want, i, j, e;

	if (fault->who == WHO_NAMED) {
		e = sim_edge_find(f->sim, fault->node, fault->other);
		if (e != SIM_EDGE_NONE)
			out[count++] = e;
		return count;
	}
	for (i = 0; i < n; i++)
		if (reason ? edge_has(f, i, reason) : sim_edge_usable(f->sim, i))
			out[count++] = i;
	want = (uint32_t)pn_min(count, some_of(fault, count));
	for (i = 0; i < want; i++) { /* draw without putting back */
		j = i + (uint32_t)rng_below(&f->rng, count - i);
		e = out[i];
		out[i] = out[j];
		out[j] = e;
	}
	return want;
}

static void set_links(struct faults *f, const struct fault *fault, unsigned reason, bool on)
{
	uint32_t *edges = sim_calloc(f->sim->edge_count, sizeof(*edges));
	uint32_t n = links_pick(f, fault, on ? 0 : reason, edges), i;

	for (i = 0; i < n; i++)
		faults_edge(f, edges[i], reason, on, !fault->silent);
	free(edges);
}

/* A flap keeps its links: they are drawn once, and marked by the fault's number. */
static void flap(struct faults *f, uint32_t index, const struct pending *p)
{
	const struct fault *fault = &f->sc->faults[index];
	uint32_t *edges, n, i;

	if (p->stage == STAGE_BEGIN) {
		edges = sim_calloc(f->sim->edge_count, sizeof(*edges));
		n = links_pick(f, fault, 0, edges);
		for (i = 0; i < n; i++)
			later(f, index, STAGE_TICK, f->sim->now.ns, edges[i]);
		free(edges);
		return;
	}
	if (f->sim->now.ns >= f->origin_ns + (uint64_t)((fault->at_s + fault->for_s) * 1e9)) {
		faults_edge(f, p->arg, DOWN_FLAP, false, !fault->silent);
		return;
	}
	faults_edge(f, p->arg, DOWN_FLAP, !edge_has(f, p->arg, DOWN_FLAP), !fault->silent);
	later_s(f, index, STAGE_TICK, fault->every_s / 2, p->arg);
}

static void oneway(struct faults *f, const struct fault *fault)
{
	uint32_t *edges = sim_calloc(f->sim->edge_count, sizeof(*edges));
	uint32_t n = links_pick(f, fault, 0, edges), i, side;

	for (i = 0; i < n; i++) {
		struct sim_edge *e = &f->sim->edges[edges[i]];

		/* a named link leads from the first to the second: the first is deaf */
		side = fault->who == WHO_NAMED ? sim_edge_side(e, fault->node) :
						 (uint32_t)rng_below(&f->rng, 2);
		e->deaf[side] = true;
		e->deaf[!side] = false;
		sim_trace(f->sim, "link leads only from %s to %s",
			  f->sim->topo->names[e->node[side]], f->sim->topo->names[e->node[!side]]);
	}
	f->sim->changes++;
	free(edges);
}

static void hear_all(struct faults *f)
{
	uint32_t i;

	for (i = 0; i < f->sim->edge_count; i++)
		f->sim->edges[i].deaf[0] = f->sim->edges[i].deaf[1] = false;
	f->sim->changes++;
}

/* --- partitions ------------------------------------------------------------------ */

/* One half grows from a random node until it has its share. */
static void halves_grow(struct faults *f, double share)
{
	const struct sim *sim = f->sim;
	uint32_t n = sim->topo->node_count, want = (uint32_t)lround(share * n), head = 0, tail = 0;
	uint32_t *queue = sim_calloc(n, sizeof(*queue)), i;

	memset(f->half, 0, n);
	while (tail < want) {
		if (head == tail) { /* a component is used up */
			i = (uint32_t)rng_below(&f->rng, n);
			if (f->half[i])
				continue;
			f->half[i] = 1;
			queue[tail++] = i;
			continue;
		}
		for (i = 0; i < sim->nodes[queue[head]].edge_count && tail < want; i++) {
			const struct sim_edge *e = &sim->edges[sim->nodes[queue[head]].edges[i]];
			uint32_t other = e->node[!sim_edge_side(e, queue[head])];

			if (!e->up || f->half[other])
				continue;
			f->half[other] = 1;
			queue[tail++] = other;
		}
		head++;
	}
	free(queue);
}

static void heal(struct faults *f)
{
	uint32_t i;

	for (i = 0; i < f->sim->edge_count; i++)
		if (edge_has(f, i, DOWN_PARTITION))
			faults_edge(f, i, DOWN_PARTITION, false, true);
}

static void partition(struct faults *f, const struct fault *fault)
{
	uint32_t i;

	heal(f);
	halves_grow(f, fault->value);
	for (i = 0; i < f->sim->edge_count; i++) {
		const struct sim_edge *e = &f->sim->edges[i];

		if (f->half[e->node[0]] != f->half[e->node[1]])
			faults_edge(f, i, DOWN_PARTITION, true, !fault->silent);
	}
}

/* --- nodes ----------------------------------------------------------------------- */

static bool leads(const struct sim *sim, uint32_t node)
{
	const struct net *net = sim->nodes[node].net;
	struct net_area a;
	uint16_t facet;
	size_t i;

	for (facet = 0; facet < net_facet_count(net); facet++)
		for (i = 0; net_area_at(net, facet, i, &a); i++)
			if (a.top == NET_TOP_NONE && a.leading)
				return true;
	return false;
}

/* Nodes that a fault means and that live, or do not; out, at most all
 * Return: how many */
static uint32_t nodes_pick(struct faults *f, const struct fault *fault, bool live, uint32_t *out)
{
	const struct sim *sim = f->sim;
	uint32_t n = sim->topo->node_count, count = 0, want, i, j, node;

	for (i = 0; i < n; i++) {
		bool is_live = sim->nodes[i].state == NODE_LIVE;

		if (is_live != live || sim->nodes[i].boot == 0 ||
		    (fault->who == WHO_NAMED && fault->node != i) ||
		    (fault->who == WHO_LEADER && (!is_live || !leads(sim, i))))
			continue;
		out[count++] = i;
	}
	if (fault->who == WHO_NAMED)
		return count;
	want = (uint32_t)pn_min(count, fault->who == WHO_LEADER ? 1 : some_of(fault, count));
	for (i = 0; i < want; i++) {
		j = i + (uint32_t)rng_below(&f->rng, count - i);
		node = out[i];
		out[i] = out[j];
		out[j] = node;
	}
	return want;
}

static void crash(struct faults *f, const struct fault *fault, uint32_t node)
{
	if (!sim_node_live(f->sim, node))
		return;
	sim_node_crash(f->sim, node, !fault->silent);
	f->crashes++;
}

static void come_back(struct faults *f, const struct fault *fault, uint32_t node)
{
	if (f->sim->nodes[node].state != NODE_DEAD)
		return;
	sim_node_start(f->sim, node, fault->key == KEY_NEW);
	f->returns++;
}

/* Crashes at random times, as many as the rate says on average; each node comes
 * back after half to one and a half of the time it is to be away. */
static void churn(struct faults *f, uint32_t index, const struct pending *p)
{
	const struct fault *fault = &f->sc->faults[index];
	uint64_t until_ns = f->origin_ns + (uint64_t)((fault->at_s + fault->for_s) * 1e9);
	double per_s = fault->value / 60 * f->sim->topo->node_count, in_s;
	uint32_t *nodes;

	if (p->stage == STAGE_RETURN) {
		come_back(f, fault, p->arg);
		return;
	}
	if (f->sim->now.ns >= until_ns)
		return;
	if (p->stage == STAGE_BEGIN) {
		faults_measure(f, index, traffic_add(f->traffic, SOURCE_LOOKUPS, CHURN_LOOKUPS,
						     fault->for_s, false), fault->for_s);
	} else {
		const struct fault one = { .who = WHO_RANDOM, .count = 1 };

		nodes = sim_calloc(f->sim->topo->node_count, sizeof(*nodes));
		if (nodes_pick(f, &one, true, nodes) == 1) {
			crash(f, fault, nodes[0]);
			later_s(f, index, STAGE_RETURN,
				fault->away_s * (0.5 + rng_unit(&f->rng)), nodes[0]);
		}
		free(nodes);
	}
	in_s = -log(1 - rng_unit(&f->rng)) / per_s;
	later_s(f, index, STAGE_TICK, fmin(in_s, 1e6), 0);
}

static void join(struct faults *f, uint32_t index, const struct pending *p)
{
	const struct fault *fault = &f->sc->faults[index];
	uint32_t i;

	if (p->stage == STAGE_BEGIN) {
		for (i = 0; i < fault->count; i++)
			later_s(f, index, STAGE_TICK, fault->over_s * i / fault->count, 0);
		return;
	}
	PN_ASSERT(f->held_count > 0);
	sim_node_start(f->sim, f->held[--f->held_count], false);
	f->joined++;
}

static void on_nodes(struct faults *f, uint32_t index)
{
	const struct fault *fault = &f->sc->faults[index];
	uint32_t *nodes = sim_calloc(f->sim->topo->node_count, sizeof(*nodes));
	uint32_t n = nodes_pick(f, fault, fault->kind != FAULT_RETURN, nodes), i;

	for (i = 0; i < n; i++) {
		struct sim_node *node = &f->sim->nodes[nodes[i]];

		switch (fault->kind) {
		case FAULT_CRASH: crash(f, fault, nodes[i]); break;
		case FAULT_RETURN: come_back(f, fault, nodes[i]); break;
		case FAULT_SLOW: node->lag_ns = (uint64_t)(fault->value * 1e9); break;
		case FAULT_CLOCK: sim_node_drift(f->sim, nodes[i], fault->value); break;
		case FAULT_MOVE: mobility_move(f, index, nodes[i]); break;
		default: PN_ASSERT(false);
		}
	}
	free(nodes);
}

static void none_slow(struct faults *f)
{
	uint32_t i;

	for (i = 0; i < f->sim->topo->node_count; i++)
		f->sim->nodes[i].lag_ns = 0;
}

/* --- quality --------------------------------------------------------------------- */

static void quality_set(struct link_quality *q, enum fault_setting setting, double value)
{
	switch (setting) {
	case SET_LOSS: q->loss = value; break;
	case SET_DUPLICATE: q->duplicate = value; break;
	case SET_JITTER: q->jitter = value; break;
	case SET_DELAY: q->delay_ns = (uint64_t)(value * 1e9); break;
	case SET_RATE: q->rate_bps = (uint64_t)value; break;
	case SET_QUEUE: q->queue_bytes = (uint32_t)value; break;
	case SET_REORDER: q->reorder = value > 0; break;
	}
}

/* Of all links, also of those that will come */
static void set_all(struct faults *f, const struct fault *fault)
{
	uint32_t i;

	quality_set(&f->sim->cfg.link, fault->setting, fault->value);
	quality_set(&f->sim->cfg.tunnel, fault->setting, fault->value);
	for (i = 0; i < f->sim->edge_count; i++)
		quality_set(&f->sim->edges[i].q, fault->setting, fault->value);
}

/* --- time ------------------------------------------------------------------------ */

/* Steps, each followed by a pause and pings: as meshnet-lab's mobility1. */
static void mobility(struct faults *f, uint32_t index, const struct pending *p)
{
	const struct fault *fault = &f->sc->faults[index];

	if (p->stage == STAGE_END) {
		if (fault->pings > 0)
			faults_measure(f, index, traffic_add(f->traffic, SOURCE_PINGS,
							     fault->pings / PING_SPREAD_S,
							     PING_SPREAD_S, true), PING_SPREAD_S);
		return;
	}
	mobility_step(f, fault);
	later_s(f, index, STAGE_END, fault->every_s, 0);
	if (p->arg + 1 < fault->count)
		later_s(f, index, STAGE_TICK, fault->every_s + PING_SPREAD_S + PING_WAIT_S,
			p->arg + 1);
}

static void source(struct faults *f, uint32_t index)
{
	const struct fault *fault = &f->sc->faults[index];
	enum source_kind kind = fault->kind == FAULT_PINGS ? SOURCE_PINGS : SOURCE_LOOKUPS;

	faults_measure(f, index, traffic_add(f->traffic, kind, fault->value, fault->for_s, false),
		       fault->for_s);
}

static void undo(struct faults *f, const struct fault *fault)
{
	switch (fault->kind) {
	case FAULT_PARTITION: heal(f); break;
	case FAULT_CUT: set_links(f, fault, DOWN_CUT, false); break;
	case FAULT_ONEWAY: hear_all(f); break;
	case FAULT_SLOW: none_slow(f); break;
	case FAULT_SET: sim_quality_reset(f->sim); break;
	default: break;
	}
}

static void happen(struct faults *f, const struct pending *p)
{
	const struct fault *fault = &f->sc->faults[p->fault];

	if (p->stage == STAGE_BEGIN)
		sim_trace(f->sim, "fault: %s (line %u)", fault_name(fault->kind), fault->line);
	if (p->stage == STAGE_END && fault->kind != FAULT_MOBILITY && fault->kind != FAULT_MOVE) {
		undo(f, fault);
		return;
	}
	if (p->stage == STAGE_BEGIN && fault->for_s > 0)
		later_s(f, p->fault, STAGE_END, fault->for_s, 0);
	switch (fault->kind) {
	case FAULT_MOVE:
		if (p->stage == STAGE_END) {
			mobility_moved(f, p->arg);
			break;
		}
		/* fall through */
	case FAULT_CRASH:
	case FAULT_RETURN:
	case FAULT_SLOW:
	case FAULT_CLOCK: on_nodes(f, p->fault); break;
	case FAULT_JOIN: join(f, p->fault, p); break;
	case FAULT_CHURN: churn(f, p->fault, p); break;
	case FAULT_PARTITION: partition(f, fault); break;
	case FAULT_HEAL: heal(f); break;
	case FAULT_CUT: set_links(f, fault, DOWN_CUT, true); break;
	case FAULT_MEND: set_links(f, fault, DOWN_CUT, false); break;
	case FAULT_FLAP: flap(f, p->fault, p); break;
	case FAULT_ONEWAY: oneway(f, fault); break;
	case FAULT_MOBILITY: mobility(f, p->fault, p); break;
	case FAULT_LOOKUPS:
	case FAULT_PINGS: source(f, p->fault); break;
	case FAULT_SET: set_all(f, fault); break;
	case FAULT_CHECK: f->check(f->arg, fault); break;
	case FAULT_END: break;
	}
}

/* Faults stop: who is to come back comes now, all links are there. */
static void end(struct faults *f)
{
	uint32_t i;

	f->ended = true;
	for (i = 0; i < f->sim->edge_count; i++)
		faults_edge(f, i, DOWN_CUT | DOWN_PARTITION | DOWN_FLAP, false, true);
	hear_all(f);
	none_slow(f);
	sim_quality_reset(f->sim);
	for (i = 0; i < f->pending_count; i++)
		if (f->pending[i].stage == STAGE_RETURN)
			come_back(f, &f->sc->faults[f->pending[i].fault], f->pending[i].arg);
	for (i = 0; i < f->move_count; i++)
		mobility_moved(f, i);
	f->pending_count = 0;
	sim_trace(f->sim, "faults stop");
}

struct pn_time faults_next(const struct faults *f)
{
	struct pn_time at = PN_TIME_NEVER;

	if (f->ended || f->end_ns == 0)
		return at;
	at.ns = f->end_ns;
	if (f->pending_count > 0)
		at.ns = pn_min(at.ns, f->pending[0].at_ns);
	return at;
}

void faults_due(struct faults *f)
{
	while (!f->ended && f->pending_count > 0 && f->pending[0].at_ns <= f->sim->now.ns) {
		struct pending p = f->pending[0];

		memmove(f->pending, f->pending + 1, --f->pending_count * sizeof(p));
		happen(f, &p);
	}
	if (!f->ended && f->end_ns && f->end_ns <= f->sim->now.ns)
		end(f);
}

void faults_begin(struct faults *f)
{
	uint32_t i;

	f->origin_ns = f->sim->now.ns;
	f->end_ns = f->origin_ns + (uint64_t)(f->sc->end_s * 1e9) + 1;
	for (i = 0; i < f->sc->count; i++)
		later_s(f, i, STAGE_BEGIN, f->sc->faults[i].at_s, 0);
	faults_due(f);
}

void faults_init(struct faults *f, struct sim *sim, struct traffic *t, const struct scenario *sc)
{
	uint32_t n = sim->topo->node_count, node;

	memset(f, 0, sizeof(*f));
	f->sim = sim;
	f->traffic = t;
	f->sc = sc;
	rng_init(&f->rng, sim->cfg.seed, "scenario");
	f->half = sim_calloc(n, 1);
	f->held = sim_calloc(sc->joins, sizeof(*f->held));
	while (f->held_count < sc->joins) {
		node = (uint32_t)rng_below(&f->rng, n);
		if (sim->nodes[node].state != NODE_WAITING)
			continue;
		sim_node_hold(sim, node);
		f->held[f->held_count++] = node;
	}
	mobility_init(f);
}

void faults_fini(struct faults *f)
{
	mobility_fini(f);
	free(f->pending);
	free(f->down);
	free(f->half);
	free(f->held);
	free(f->measures);
}
