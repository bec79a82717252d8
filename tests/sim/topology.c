/* SPDX-License-Identifier: ISC */
/* Topologies: files, generators, and cutting one down to a number of nodes. */
#include "tests/sim/topology.h"
#include "tests/sim/rng.h"
#include "tests/sim/util.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static uint32_t node_add(struct topology *t, const char *name)
{
	if ((t->node_count & (t->node_count - 1)) == 0) /* at each power of two */
		t->names = sim_realloc(t->names, t->node_count ? 2 * t->node_count : 1,
				       sizeof(*t->names));
	t->names[t->node_count] = sim_strdup(name);
	return t->node_count++;
}

static void nodes_number(struct topology *t, uint32_t n)
{
	char name[16];
	uint32_t i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i);
		node_add(t, name);
	}
}

static void edge_add(struct topology *t, uint32_t a, uint32_t b)
{
	if (a == b)
		return;
	if ((t->edge_count & (t->edge_count - 1)) == 0)
		t->edges = sim_realloc(t->edges, t->edge_count ? 2 * t->edge_count : 1,
				       sizeof(*t->edges));
	t->edges[t->edge_count].a = a < b ? a : b;
	t->edges[t->edge_count].b = a < b ? b : a;
	t->edge_count++;
}

static int edge_compare(const void *pa, const void *pb)
{
	const struct topo_edge *a = pa, *b = pb;

	if (a->a != b->a)
		return a->a < b->a ? -1 : 1;
	return a->b == b->b ? 0 : a->b < b->b ? -1 : 1;
}

static void edges_sort(struct topology *t)
{
	uint32_t i, n = 0;

	if (t->edge_count == 0)
		return;
	qsort(t->edges, t->edge_count, sizeof(*t->edges), edge_compare);
	for (i = 0; i < t->edge_count; i++)
		if (n == 0 || edge_compare(&t->edges[n - 1], &t->edges[i]) != 0)
			t->edges[n++] = t->edges[i];
	t->edge_count = n;
}

/* --- files ------------------------------------------------------------- */

/* The node named by @value, made if it is new; -1 if that is no name. */
static int64_t node_named(struct topology *t, json_t *index, const json_t *value)
{
	char text[32];
	const char *name;
	json_t *have;

	if (json_is_string(value)) {
		name = json_string_value(value);
	} else if (json_is_integer(value)) {
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
		name = text;
	} else {
		return -1;
	}
	have = json_object_get(index, name);
	if (have)
		return json_integer_value(have);
	if (t->node_count >= SIM_NODES_MAX)
		return -1;
	json_object_set_new(index, name, json_integer(t->node_count));
	return node_add(t, name);
}

static bool links_read(struct topology *t, const json_t *root, const char *file, char *err,
		       size_t err_cap)
{
	const json_t *links = json_object_get(root, "links"), *link;
	json_t *index = json_object();
	bool ok = true;
	size_t i;

	if (!json_is_array(links)) {
		snprintf(err, err_cap, "%s: no array \"links\"", file);
		json_decref(index);
		return false;
	}
	json_array_foreach(links, i, link) {
		int64_t a = node_named(t, index, json_object_get(link, "source"));
		int64_t b = node_named(t, index, json_object_get(link, "target"));

		if (a < 0 || b < 0 || t->edge_count >= SIM_EDGES_MAX) {
			snprintf(err, err_cap, a < 0 || b < 0 ?
				 "%s: links[%zu]: no \"source\" and \"target\" (or too many)" :
				 "%s: links[%zu]: too many links", file, i);
			ok = false;
			break;
		}
		edge_add(t, (uint32_t)a, (uint32_t)b);
	}
	json_decref(index);
	if (ok && t->node_count == 0) {
		snprintf(err, err_cap, "%s: no links", file);
		ok = false;
	}
	return ok;
}

static bool file_read(struct topology *t, const char *file, char *err, size_t err_cap)
{
	json_error_t je;
	json_t *root = json_load_file(file, 0, &je);
	bool ok;

	if (!root) {
		if (je.line > 0)
			snprintf(err, err_cap, "%s:%d: %s", file, je.line, je.text);
		else
			snprintf(err, err_cap, "%s", je.text);
		return false;
	}
	ok = links_read(t, root, file, err, err_cap);
	json_decref(root);
	return ok;
}

/* --- generators -------------------------------------------------------- */

static void make_line(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	(void)r;
	nodes_number(t, n);
	for (i = 1; i < n; i++)
		edge_add(t, i - 1, i);
}

static void make_ring(struct topology *t, uint32_t n, struct rng *r)
{
	make_line(t, n, r);
	edge_add(t, 0, n - 1);
}

static void make_star(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	(void)r;
	nodes_number(t, n);
	for (i = 1; i < n; i++)
		edge_add(t, 0, i);
}

static void make_grid(struct topology *t, uint32_t w, uint32_t h)
{
	uint32_t x, y;

	nodes_number(t, w * h);
	for (y = 0; y < h; y++)
		for (x = 0; x < w; x++) {
			if (x + 1 < w)
				edge_add(t, y * w + x, y * w + x + 1);
			if (y + 1 < h)
				edge_add(t, y * w + x, (y + 1) * w + x);
		}
}

/* Each node hangs at a random earlier one. */
static void make_rtree(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	nodes_number(t, n);
	for (i = 1; i < n; i++)
		edge_add(t, i, (uint32_t)rng_below(r, i));
}

/* Random points of a unit square, linked within the radius that gives ten
 * neighbours on average (border effects aside). */
static void make_geometric(struct topology *t, uint32_t n, struct rng *r)
{
	double *x = sim_calloc(n, sizeof(*x)), *y = sim_calloc(n, sizeof(*y));
	double limit = 10.0 / (3.14159265358979 * n);
	uint32_t i, j;

	nodes_number(t, n);
	for (i = 0; i < n; i++) {
		x[i] = rng_unit(r);
		y[i] = rng_unit(r);
	}
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++) {
			double dx = x[i] - x[j], dy = y[i] - y[j];

			if (dx * dx + dy * dy < limit)
				edge_add(t, i, j);
		}
	free(x);
	free(y);
}

/* Barabási and Albert, m = 2: each new node links with two earlier ones, a node
 * with many links more probably: the end of a random link is such a choice. */
static void make_scalefree(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i, first, second, tries;

	nodes_number(t, n);
	edge_add(t, 0, 1);
	for (i = 2; i < n; i++) {
		const struct topo_edge *e = &t->edges[rng_below(r, t->edge_count)];

		first = rng_below(r, 2) ? e->a : e->b;
		second = first;
		for (tries = 0; second == first && tries < 100; tries++) {
			e = &t->edges[rng_below(r, t->edge_count)];
			second = rng_below(r, 2) ? e->a : e->b;
		}
		edge_add(t, i, first);
		edge_add(t, i, second == first ? (first + 1) % i : second);
	}
}

static const struct generator {
	const char *name;
	void (*make)(struct topology *t, uint32_t n, struct rng *r);
} generators[] = {
	{ "line", make_line },		 { "ring", make_ring },
	{ "star", make_star },		 { "rtree", make_rtree },
	{ "geometric", make_geometric }, { "scalefree", make_scalefree },
};

/* Return: 1 made, 0 no generator of that name, -1 bad size */
static int generate(struct topology *t, const char *spec, uint64_t seed)
{
	const char *colon = strchr(spec, ':');
	struct rng r;
	unsigned w, h;
	size_t i, len;
	int end = 0;

	if (!colon)
		return 0;
	len = (size_t)(colon - spec);
	rng_init(&r, seed, "topology");
	if (len == 4 && !memcmp(spec, "grid", 4)) {
		if (sscanf(colon + 1, "%5ux%5u%n", &w, &h, &end) != 2 || colon[1 + end] || !w ||
		    !h || (uint64_t)w * h > SIM_NODES_MAX)
			return -1;
		make_grid(t, w, h);
		return 1;
	}
	for (i = 0; i < sizeof(generators) / sizeof(generators[0]); i++) {
		const struct generator *g = &generators[i];

		if (strlen(g->name) != len || memcmp(spec, g->name, len) != 0)
			continue;
		if (sscanf(colon + 1, "%6u%n", &w, &end) != 1 || colon[1 + end] || w < 2 ||
		    w > SIM_NODES_MAX)
			return -1;
		g->make(t, w, &r);
		return 1;
	}
	return 0;
}

/* --- cutting ------------------------------------------------------------- */

static uint32_t best_connected(const struct topology *t)
{
	uint32_t *degree = sim_calloc(t->node_count, sizeof(*degree)), i, best = 0;

	for (i = 0; i < t->edge_count; i++) {
		degree[t->edges[i].a]++;
		degree[t->edges[i].b]++;
	}
	for (i = 1; i < t->node_count; i++)
		if (degree[i] > degree[best])
			best = i;
	free(degree);
	return best;
}

/* Number the nodes anew in the order a breadth-first search finds them; those
 * behind the limit get UINT32_MAX.  Quadratic in the rounds, which are few. */
static void search(const struct topology *t, uint32_t limit, uint32_t *number)
{
	uint32_t count = 0, before, i, round = 0;
	uint32_t *depth = sim_calloc(t->node_count, sizeof(*depth));

	for (i = 0; i < t->node_count; i++)
		number[i] = UINT32_MAX;
	number[best_connected(t)] = count++;
	do {
		before = count;
		for (i = 0; i < t->edge_count && count < limit; i++) {
			const struct topo_edge *e = &t->edges[i];
			uint32_t from = number[e->a] != UINT32_MAX ? e->a : e->b;
			uint32_t to = from == e->a ? e->b : e->a;

			if (number[from] == UINT32_MAX || number[to] != UINT32_MAX ||
			    depth[from] != round)
				continue;
			number[to] = count++;
			depth[to] = round + 1;
		}
		round++;
	} while (count > before && count < limit);
	free(depth);
}

static void cut(struct topology *t, uint32_t limit)
{
	uint32_t *number = sim_calloc(t->node_count, sizeof(*number));
	char **names = sim_calloc(t->node_count, sizeof(*names));
	uint32_t i, n = 0, edges = 0;

	search(t, limit, number);
	for (i = 0; i < t->node_count; i++) {
		if (number[i] == UINT32_MAX) {
			free(t->names[i]);
			continue;
		}
		names[number[i]] = t->names[i];
		n++;
	}
	for (i = 0; i < t->edge_count; i++) {
		uint32_t a = number[t->edges[i].a], b = number[t->edges[i].b];

		if (a == UINT32_MAX || b == UINT32_MAX)
			continue;
		t->edges[edges].a = a < b ? a : b;
		t->edges[edges++].b = a < b ? b : a;
	}
	free(t->names);
	free(number);
	t->names = names;
	t->node_count = n;
	t->edge_count = edges;
	edges_sort(t);
}

bool topology_load(struct topology *t, const char *spec, uint64_t seed, uint32_t limit, char *err,
		   size_t err_cap)
{
	int made;

	memset(t, 0, sizeof(*t));
	made = generate(t, spec, seed);
	if (made < 0) {
		snprintf(err, err_cap, "%s: bad size for a generated topology", spec);
		return false;
	}
	if (made == 0 && !file_read(t, spec, err, err_cap)) {
		topology_free(t);
		return false;
	}
	edges_sort(t);
	if (limit > 0 && limit < t->node_count)
		cut(t, limit);
	return true;
}

void topology_free(struct topology *t)
{
	uint32_t i;

	for (i = 0; i < t->node_count; i++)
		free(t->names[i]);
	free(t->names);
	free(t->edges);
	memset(t, 0, sizeof(*t));
}
