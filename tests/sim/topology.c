/* SPDX-License-Identifier: ISC */
/* Topologies: files, and cutting one down to a number of nodes. */
#include "tests/sim/topology.h"
#include "tests/sim/generate.h"
#include "tests/sim/util.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

uint32_t topology_node_add(struct topology *t, const char *name)
{
	if ((t->node_count & (t->node_count - 1)) == 0) /* at each power of two */
		t->names = sim_realloc(t->names, t->node_count ? 2 * t->node_count : 1,
				       sizeof(*t->names));
	t->names[t->node_count] = sim_strdup(name);
	return t->node_count++;
}

struct topo_edge *topology_edge_add(struct topology *t, uint32_t a, uint32_t b)
{
	struct topo_edge *e;

	if (a == b)
		return NULL;
	if ((t->edge_count & (t->edge_count - 1)) == 0)
		t->edges = sim_realloc(t->edges, t->edge_count ? 2 * t->edge_count : 1,
				       sizeof(*t->edges));
	e = &t->edges[t->edge_count++];
	*e = (struct topo_edge){ .a = a < b ? a : b, .b = a < b ? b : a };
	return e;
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
	return topology_node_add(t, name);
}

/* What a link says of itself: delay (ms), rate (bit/s), loss, lan (true).
 * Return: false if it makes no sense */
static bool attributes_read(struct topo_edge *e, const json_t *link)
{
	const json_t *delay = json_object_get(link, "delay"), *rate = json_object_get(link, "rate");
	const json_t *loss = json_object_get(link, "loss");
	double delay_ms = json_number_value(delay), bps = json_number_value(rate);
	double share = json_number_value(loss);

	if ((delay && !json_is_number(delay)) || (rate && !json_is_number(rate)) ||
	    (loss && !json_is_number(loss)))
		return false;
	if (delay_ms < 0 || delay_ms > 60000 || bps < 0 || bps > 1e12 || share < 0 || share > 1)
		return false;
	e->delay_ns = (uint64_t)(delay_ms * 1e6);
	e->rate_bps = (uint64_t)bps;
	e->loss = share;
	if (json_is_true(json_object_get(link, "lan")))
		e->kind = TOPO_LAN;
	return true;
}

static bool links_read(struct topology *t, const json_t *root, const char *file, char *err,
		       size_t err_cap)
{
	const json_t *links = json_object_get(root, "links"), *link;
	json_t *index = json_object();
	struct topo_edge *e;
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
		e = topology_edge_add(t, (uint32_t)a, (uint32_t)b);
		if (e && !attributes_read(e, link)) {
			snprintf(err, err_cap, "%s: links[%zu]: bad delay, rate or loss", file, i);
			ok = false;
			break;
		}
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
	double *x = t->x ? sim_calloc(t->node_count, sizeof(*x)) : NULL;
	double *y = t->y ? sim_calloc(t->node_count, sizeof(*y)) : NULL;
	uint32_t i, n = 0, edges = 0;

	search(t, limit, number);
	for (i = 0; i < t->node_count; i++) {
		if (number[i] == UINT32_MAX) {
			free(t->names[i]);
			continue;
		}
		names[number[i]] = t->names[i];
		if (x) {
			x[number[i]] = t->x[i];
			y[number[i]] = t->y[i];
		}
		n++;
	}
	for (i = 0; i < t->edge_count; i++) {
		uint32_t a = number[t->edges[i].a], b = number[t->edges[i].b];

		if (a == UINT32_MAX || b == UINT32_MAX)
			continue;
		t->edges[edges] = t->edges[i];
		t->edges[edges].a = a < b ? a : b;
		t->edges[edges++].b = a < b ? b : a;
	}
	free(t->names);
	free(t->x);
	free(t->y);
	t->x = x;
	t->y = y;
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
	made = topology_generate(t, spec, seed);
	if (made < 0) {
		snprintf(err, err_cap, "%s: bad size for a generated topology", spec);
		topology_free(t);
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
	free(t->x);
	free(t->y);
	memset(t, 0, sizeof(*t));
}
