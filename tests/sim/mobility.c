/* SPDX-License-Identifier: ISC */
/* Nodes that move.
 *
 * Mobility is that of meshnet-lab's tests: every node steps so many metres in a
 * random direction, not held back by any border, and then the links are those
 * that are in range (or the shortest).
 *
 * What a single move causes is the difference to the same run without it: the
 * process forks, the child is the twin in which the node stays where it is, runs
 * as long as the move is watched and tells how many frames each node sent.  The
 * medium's random numbers are not the same for both from then on, so a node
 * counts as touched only if it sent NOISE_FRAMES more than that of its twin, and
 * NOISE_SHARE more. */
#include "tests/sim/faults.h"
#include "tests/sim/edge.h"
#include "tests/sim/measure.h"
#include "tests/sim/node.h"
#include "tests/sim/util.h"

#include <errno.h>
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_NS PN_S(10)
#define NOISE_FRAMES 6
#define NOISE_SHARE 0.15

void mobility_init(struct faults *f)
{
	const struct topology *t = f->sim->topo;
	size_t size = t->node_count * sizeof(*t->x);

	if (!t->x)
		return;
	f->places = *t;
	f->places.x = sim_calloc(t->node_count, sizeof(*t->x));
	f->places.y = sim_calloc(t->node_count, sizeof(*t->y));
	memcpy(f->places.x, t->x, size);
	memcpy(f->places.y, t->y, size);
}

void mobility_fini(struct faults *f)
{
	uint32_t i;

	if (f->sim->topo->x) {
		free(f->places.x);
		free(f->places.y);
	}
	for (i = 0; i < f->move_count; i++) {
		free(f->moves[i].sent);
		free(f->moves[i].dist);
	}
	free(f->moves);
}

/* --- all together ---------------------------------------------------------------- */

/* Links become those that are in range. */
static void range_apply(struct faults *f, bool tell)
{
	struct sim *sim = f->sim;
	uint32_t cap = f->places.shortest ? f->places.shortest : SIM_EDGES_MAX, n, i, e;
	struct topo_edge *near = sim_calloc(cap, sizeof(*near));
	bool *in_range;

	n = topology_in_range(&f->places, near, cap);
	for (i = 0; i < n; i++)
		if (sim_edge_find(sim, near[i].a, near[i].b) == SIM_EDGE_NONE)
			sim_edge_add(sim, near[i].a, near[i].b,
				     sim->cfg.radio ? TOPO_RADIO : TOPO_CABLE);
	in_range = sim_calloc(sim->edge_count, sizeof(*in_range));
	for (i = 0; i < n; i++)
		in_range[sim_edge_find(sim, near[i].a, near[i].b)] = true;
	for (e = 0; e < sim->edge_count; e++) /* first those that go: they free link numbers */
		if (!in_range[e])
			faults_edge(f, e, DOWN_RANGE, true, tell);
	for (e = 0; e < sim->edge_count; e++)
		if (in_range[e])
			faults_edge(f, e, DOWN_RANGE, false, tell);
	free(in_range);
	free(near);
}

void mobility_step(struct faults *f, const struct fault *fault)
{
	uint32_t i, before = f->link_changes;

	for (i = 0; i < f->places.node_count; i++) {
		double dx = 0.5 - rng_unit(&f->rng), dy = 0.5 - rng_unit(&f->rng);
		double len = sqrt(dx * dx + dy * dy);

		if (len <= 0)
			continue;
		f->places.x[i] += fault->value * dx / len;
		f->places.y[i] += fault->value * dy / len;
	}
	range_apply(f, !fault->silent);
	sim_trace(f->sim, "all nodes stepped %.0f m, %u links changed", fault->value,
		  f->link_changes - before);
}

/* --- one of them ------------------------------------------------------------------ */

/* What nodes sent until now, and behind that the sums of all counters */
static uint64_t *sent_now(const struct sim *sim)
{
	uint32_t n = sim->topo->node_count, i, j;
	uint64_t *sent = sim_calloc((size_t)n + MOVE_COUNTERS, sizeof(*sent));
	struct net_counter c;

	for (i = 0; i < n; i++) {
		sent[i] = sim->nodes[i].sent_frames;
		for (j = 0; j < MOVE_COUNTERS && sim_node_live(sim, i) &&
			    net_counter_at(sim->nodes[i].net, j, &c); j++)
			sent[n + j] += c.value;
	}
	return sent;
}

static size_t sent_size(const struct sim *sim)
{
	return ((size_t)sim->topo->node_count + MOVE_COUNTERS) * sizeof(uint64_t);
}

static bool all_written(int fd, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	for (; len > 0; at += n, len -= (size_t)n) {
		n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return false;
	}
	return true;
}

static void no_check(void *arg, const struct fault *fault)
{
	(void)arg;
	(void)fault;
}

/* The twin goes on as if nothing was; what nodes sent goes to the pipe. */
static _Noreturn void twin_run(struct faults *f, int fd)
{
	uint64_t *sent;

	f->sim->cfg.trace = false;
	f->check = no_check;
	f->advance(f->arg, pn_time_add(f->sim->now, WATCH_NS));
	sent = sent_now(f->sim);
	_exit(all_written(fd, sent, sent_size(f->sim)) ? 0 : 1);
}

static void twin_start(struct faults *f, struct fault_move *m)
{
	int fd[2];

	m->twin = -1;
	fflush(NULL);
	if (pipe(fd) < 0)
		return;
	m->pid = fork();
	if (m->pid == 0) {
		close(fd[0]);
		twin_run(f, fd[1]);
	}
	close(fd[1]);
	if (m->pid < 0)
		close(fd[0]);
	else
		m->twin = fd[0];
}

/* Return: what nodes of the twin sent until the end; NULL: there was no twin */
static uint64_t *twin_read(struct faults *f, struct fault_move *m)
{
	size_t want = sent_size(f->sim), have = 0;
	uint64_t *sent = sim_calloc(1, want);
	ssize_t n;

	while (m->twin >= 0 && have < want) {
		n = read(m->twin, (char *)sent + have, want - have);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		have += n > 0 ? (size_t)n : 0;
	}
	if (m->twin >= 0) {
		close(m->twin);
		waitpid(m->pid, NULL, 0);
	}
	m->twin = -1;
	if (have == want)
		return sent;
	free(sent);
	return NULL;
}

static void distances_shorten(const struct sim *sim, uint32_t node, uint32_t *dist)
{
	uint32_t *now = sim_calloc(sim->topo->node_count, sizeof(*now)), i;

	measure_distances(sim, node, now);
	for (i = 0; i < sim->topo->node_count; i++)
		dist[i] = (uint32_t)pn_min(dist[i], now[i]);
	free(now);
}

/* Away from all old links, and to @to and as many of its neighbours as there were. */
static void relink(struct faults *f, const struct fault *fault, uint32_t node, uint32_t to)
{
	struct sim *sim = f->sim;
	uint32_t degree = 0, i, n, e;
	uint32_t *place;

	for (i = 0; i < sim->nodes[node].edge_count; i++) {
		e = sim->nodes[node].edges[i];
		if (!sim->edges[e].up)
			continue;
		faults_edge(f, e, DOWN_RANGE, true, !fault->silent);
		degree++;
	}
	place = sim_calloc((size_t)sim->nodes[to].edge_count + 1, sizeof(*place));
	place[0] = to;
	for (n = 1, i = 0; i < sim->nodes[to].edge_count; i++) {
		const struct sim_edge *at = &sim->edges[sim->nodes[to].edges[i]];

		if (at->up)
			place[n++] = at->node[!sim_edge_side(at, to)];
	}
	for (i = 0; i < n && i < pn_max(degree, 1); i++) {
		if (place[i] == node)
			continue;
		e = sim_edge_find(sim, node, place[i]);
		if (e == SIM_EDGE_NONE)
			sim_edge_add(sim, node, place[i],
				     sim->cfg.radio ? TOPO_RADIO : TOPO_CABLE);
		else
			faults_edge(f, e, DOWN_RANGE, false, !fault->silent);
	}
	free(place);
}

void mobility_move(struct faults *f, uint32_t index, uint32_t node)
{
	const struct fault *fault = &f->sc->faults[index];
	uint32_t n = f->sim->topo->node_count, to = fault->to, tries = 0;
	struct fault_move *m;

	while (to == UINT32_MAX || to == node || !sim_node_live(f->sim, to)) {
		if (tries++ == 1000)
			return;
		to = (uint32_t)rng_below(&f->rng, n);
	}
	f->moves = sim_realloc(f->moves, f->move_count + 1, sizeof(*f->moves));
	m = &f->moves[f->move_count];
	*m = (struct fault_move){ .fault = index, .node = node, .from_ns = f->sim->now.ns };
	m->dist = sim_calloc(n, sizeof(*m->dist));
	measure_distances(f->sim, node, m->dist);
	m->sent = sent_now(f->sim);
	twin_start(f, m);
	sim_trace(f->sim, "%s moves to %s", f->sim->topo->names[node], f->sim->topo->names[to]);
	relink(f, fault, node, to);
	distances_shorten(f->sim, node, m->dist);
	faults_later(f, index, STAGE_END, WATCH_NS, f->move_count++);
}

void mobility_moved(struct faults *f, uint32_t move)
{
	struct fault_move *m = &f->moves[move];
	uint64_t *now, *twin;
	uint32_t i;

	if (m->done)
		return;
	m->done = true;
	now = sent_now(f->sim);
	twin = twin_read(f, m);
	for (i = 0; twin && i < MOVE_COUNTERS; i++)
		m->counters[i] = (int64_t)(now[f->sim->topo->node_count + i] -
					   twin[f->sim->topo->node_count + i]);
	for (i = 0; twin && i < f->sim->topo->node_count; i++) {
		double here = (double)(now[i] - m->sent[i]), there = (double)(twin[i] - m->sent[i]);
		uint32_t dist = m->dist[i];

		if (here - there < NOISE_FRAMES || here < there * (1 + NOISE_SHARE))
			continue;
		m->touched++;
		m->frames += here - there;
		m->ring[pn_min(dist, MOVE_RINGS - 1)] += here - there;
		if (dist != UINT32_MAX)
			m->reach = (uint32_t)pn_max(m->reach, dist);
	}
	free(now);
	free(twin);
}
