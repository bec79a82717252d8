/* SPDX-License-Identifier: ISC */
/* Topologies that are made, some of them drawn from a seed. */
#include "tests/sim/generate.h"
#include "tests/sim/rng.h"
#include "tests/sim/util.h"

#include "libpeernet/base/pn_assert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SQUARE_M 1000.0		/* side of the square that points are drawn from */
#define SHORTEST_NODES_MAX 5000	/* all pairs are looked at */
#define LAN_NODES_MAX 2000

static void nodes_number(struct topology *t, uint32_t n)
{
	char name[16];
	uint32_t i;

	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i);
		topology_node_add(t, name);
	}
}

/* --- generators -------------------------------------------------------- */

static void make_line(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	(void)r;
	nodes_number(t, n);
	for (i = 1; i < n; i++)
		topology_edge_add(t, i - 1, i);
}

static void make_ring(struct topology *t, uint32_t n, struct rng *r)
{
	make_line(t, n, r);
	topology_edge_add(t, 0, n - 1);
}

static void make_star(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	(void)r;
	nodes_number(t, n);
	for (i = 1; i < n; i++)
		topology_edge_add(t, 0, i);
}

static void make_grid(struct topology *t, uint32_t w, uint32_t h)
{
	uint32_t x, y;

	nodes_number(t, w * h);
	for (y = 0; y < h; y++)
		for (x = 0; x < w; x++) {
			if (x + 1 < w)
				topology_edge_add(t, y * w + x, y * w + x + 1);
			if (y + 1 < h)
				topology_edge_add(t, y * w + x, (y + 1) * w + x);
		}
}

/* Each node hangs at a random earlier one. */
static void make_rtree(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	nodes_number(t, n);
	for (i = 1; i < n; i++)
		topology_edge_add(t, i, (uint32_t)rng_below(r, i));
}

/* Random points of a square kilometre. */
static void places_draw(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i;

	nodes_number(t, n);
	t->x = sim_calloc(n, sizeof(*t->x));
	t->y = sim_calloc(n, sizeof(*t->y));
	for (i = 0; i < n; i++) {
		t->x[i] = SQUARE_M * rng_unit(r);
		t->y[i] = SQUARE_M * rng_unit(r);
	}
}

static double distance_squared(const struct topology *t, uint32_t i, uint32_t j)
{
	double dx = t->x[i] - t->x[j], dy = t->y[i] - t->y[j];

	return dx * dx + dy * dy;
}

/* Points linked within the radius that gives ten neighbours on average (border
 * effects aside). */
static void make_geometric(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i, j;

	places_draw(t, n, r);
	t->radius_m = SQUARE_M * sqrt(10.0 / (3.14159265358979 * n));
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			if (distance_squared(t, i, j) < t->radius_m * t->radius_m)
				topology_edge_add(t, i, j);
}

struct link_length {
	double squared;
	uint32_t a, b;
};

static int length_compare(const void *pa, const void *pb)
{
	const struct link_length *a = pa, *b = pb;

	if (a->squared != b->squared)
		return a->squared < b->squared ? -1 : 1;
	return a->a != b->a ? (a->a < b->a ? -1 : 1) : a->b < b->b ? -1 : a->b > b->b;
}

uint32_t topology_in_range(const struct topology *t, struct topo_edge *out, uint32_t cap)
{
	uint32_t n = t->node_count, count = 0, i, j, space = 1024;
	struct link_length *all = sim_calloc(space, sizeof(*all));
	double limit = t->radius_m * t->radius_m;

	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++) {
			double d = distance_squared(t, i, j);

			if (!t->shortest && d >= limit)
				continue;
			if (count == space) {
				space *= 2;
				all = sim_realloc(all, space, sizeof(*all));
			}
			all[count++] = (struct link_length){ d, i, j };
		}
	qsort(all, count, sizeof(*all), length_compare);
	if (t->shortest)
		count = (uint32_t)pn_min(count, t->shortest);
	count = (uint32_t)pn_min(count, cap);
	for (i = 0; i < count; i++)
		out[i] = (struct topo_edge){ .a = all[i].a, .b = all[i].b };
	free(all);
	return count;
}

/* Points of which the shortest links are kept, as meshnet-lab's mobility tests */
static void make_shortest(struct topology *t, uint32_t n, uint32_t links, struct rng *r)
{
	struct topo_edge *edges = sim_calloc(links, sizeof(*edges));
	uint32_t i, count;

	places_draw(t, n, r);
	t->shortest = links;
	count = topology_in_range(t, edges, links);
	for (i = 0; i < count; i++)
		topology_edge_add(t, edges[i].a, edges[i].b);
	free(edges);
}

/* One Ethernet: everybody hears everybody. */
static void make_lan(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i, j;

	(void)r;
	nodes_number(t, n);
	for (i = 0; i < n; i++)
		for (j = i + 1; j < n; j++)
			topology_edge_add(t, i, j)->kind = TOPO_LAN;
}

/* Barabási and Albert, m = 2: each new node links with two earlier ones, a node
 * with many links more probably: the end of a random link is such a choice. */
static void make_scalefree(struct topology *t, uint32_t n, struct rng *r)
{
	uint32_t i, first, second, tries;

	nodes_number(t, n);
	topology_edge_add(t, 0, 1);
	for (i = 2; i < n; i++) {
		const struct topo_edge *e = &t->edges[rng_below(r, t->edge_count)];

		first = rng_below(r, 2) ? e->a : e->b;
		second = first;
		for (tries = 0; second == first && tries < 100; tries++) {
			e = &t->edges[rng_below(r, t->edge_count)];
			second = rng_below(r, 2) ? e->a : e->b;
		}
		topology_edge_add(t, i, first);
		topology_edge_add(t, i, second == first ? (first + 1) % i : second);
	}
}

static const struct generator {
	const char *name;
	void (*make)(struct topology *t, uint32_t n, struct rng *r);
} generators[] = {
	{ "line", make_line },		 { "ring", make_ring },
	{ "star", make_star },		 { "rtree", make_rtree },
	{ "geometric", make_geometric }, { "scalefree", make_scalefree },
	{ "lan", make_lan },
};

/* Return: 1 made, 0 no generator of that name, -1 bad size */
static int make_one(struct topology *t, const char *spec, struct rng *r)
{
	const char *colon = strchr(spec, ':');
	size_t i, len = colon ? (size_t)(colon - spec) : 0;
	unsigned w, h;
	int end = 0;

	if (!colon)
		return 0;
	if (len == 4 && !memcmp(spec, "grid", 4)) {
		if (sscanf(colon + 1, "%5ux%5u%n", &w, &h, &end) != 2 || colon[1 + end] || !w ||
		    !h || (uint64_t)w * h > SIM_NODES_MAX)
			return -1;
		make_grid(t, w, h);
		return 1;
	}
	if (len == 9 && !memcmp(spec, "geometric", 9) && strchr(colon, '/')) {
		if (sscanf(colon + 1, "%5u/%7u%n", &w, &h, &end) != 2 || colon[1 + end] || w < 2 ||
		    w > SHORTEST_NODES_MAX || !h || h > SIM_EDGES_MAX)
			return -1;
		make_shortest(t, w, h, r);
		return 1;
	}
	for (i = 0; i < sizeof(generators) / sizeof(generators[0]); i++) {
		const struct generator *g = &generators[i];

		if (strlen(g->name) != len || memcmp(spec, g->name, len) != 0)
			continue;
		if (sscanf(colon + 1, "%6u%n", &w, &end) != 1 || colon[1 + end] || w < 2 ||
		    w > (g->make == make_lan ? LAN_NODES_MAX : SIM_NODES_MAX))
			return -1;
		g->make(t, w, r);
		return 1;
	}
	return 0;
}

/* An island of its own; a number alone is a random geometric graph. */
static int make_island(struct topology *t, const char *spec, size_t len, struct rng *r)
{
	char text[64];
	bool number = len > 0 && strspn(spec, "0123456789/") >= len;
	int n = snprintf(text, sizeof(text), "%s%.*s", number ? "geometric:" : "", (int)len, spec);

	return n > 0 && (size_t)n < sizeof(text) && make_one(t, text, r) == 1 ? 1 : -1;
}

/* Append the nodes and edges of @from, which it takes, to @t. */
static void append(struct topology *t, struct topology *from)
{
	uint32_t base = t->node_count, i;
	char name[32];

	for (i = 0; i < from->node_count; i++) {
		snprintf(name, sizeof(name), "%c%s", base ? 'b' : 'a', from->names[i]);
		topology_node_add(t, name);
	}
	for (i = 0; i < from->edge_count; i++)
		topology_edge_add(t, base + from->edges[i].a, base + from->edges[i].b)->kind =
			from->edges[i].kind;
	topology_free(from);
}

/* Two islands and a tunnel between a node of each, found at the end of a random
 * link, so that it is not alone. */
static int make_islands(struct topology *t, const char *spec, struct rng *r)
{
	const char *sep = strchr(spec, '+');
	struct topology island[2] = { { 0 }, { 0 } };
	uint32_t gate[2], k;

	if (!sep && strspn(spec, "0123456789x") == strlen(spec))
		sep = strchr(spec, 'x');
	if (!sep)
		return -1;
	for (k = 0; k < 2; k++) {
		const char *at = k ? sep + 1 : spec;

		if (make_island(&island[k], at, k ? strlen(at) : (size_t)(sep - spec), r) < 0 ||
		    island[k].edge_count == 0) {
			topology_free(&island[0]);
			topology_free(&island[1]);
			return -1;
		}
		gate[k] = island[k].edges[rng_below(r, island[k].edge_count)].a;
	}
	gate[1] += island[0].node_count;
	append(t, &island[0]);
	append(t, &island[1]);
	topology_edge_add(t, gate[0], gate[1])->kind = TOPO_TUNNEL;
	return 1;
}

int topology_generate(struct topology *t, const char *spec, uint64_t seed)
{
	struct rng r;

	rng_init(&r, seed, "topology");
	if (!strncmp(spec, "islands:", 8))
		return make_islands(t, spec + 8, &r);
	return make_one(t, spec, &r);
}
