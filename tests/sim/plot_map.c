/* SPDX-License-Identifier: ISC */
/* Pictures of a map: the tree of areas, and the network coloured by area.
 *
 * A map names for each facet the areas it is in, from the leaf to the root; from that
 * the tree is put together.  A tree of hundreds of leaves cannot be read, so an area
 * is drawn as one box when it is not larger than what leaves about BOXES boxes.
 *
 * For colours the root's children are split, the largest first, until there are
 * COLOURS areas; what is inside one has its colour, in both pictures.  Nodes stand
 * where the topology has them, or where graphviz puts them. */
#include "tests/sim/plot.h"
#include "tests/sim/util.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#define COLOURS 12
#define BOXES 48
#define LABELS_MAX 120		/* nodes whose names can be read */
#define SFDP_MIN 150		/* nodes above which neato takes too long */
#define DEPTH_MAX 128

static const char *const colours[COLOURS] = {
	"#a6cee3", "#1f78b4", "#b2df8a", "#33a02c", "#fb9a99", "#e31a1c",
	"#fdbf6f", "#ff7f00", "#cab2d6", "#6a3d9a", "#ffff99", "#b15928",
};

struct area {
	uint64_t id;
	unsigned base, top, bit;
	uint32_t facets;	/* inside */
	uint32_t parent;	/* index; UINT32_MAX: a root */
	uint32_t child[2];	/* by bit; UINT32_MAX: none */
	int colour;		/* own; -1: that of the parent */
	uint32_t node;		/* one that is inside */
};

struct atlas {
	const json_t *nodes;
	struct area *area;
	uint32_t count, cap;
	uint32_t *by_id;	/* hash table: index + 1 */
	uint32_t by_id_size;
};

static uint64_t hex(const json_t *v)
{
	const char *text = json_string_value(v);

	return text ? strtoull(text, NULL, 16) : 0;
}

/* Return: index of an area, made if it is not there */
static uint32_t area_of(struct atlas *m, uint64_t id, uint32_t node)
{
	uint32_t i;

	for (i = (uint32_t)(id * 0x9e3779b97f4a7c15U >> 32) & (m->by_id_size - 1); m->by_id[i];
	     i = (i + 1) & (m->by_id_size - 1))
		if (m->area[m->by_id[i] - 1].id == id)
			return m->by_id[i] - 1;
	if (m->count == m->cap)
		return UINT32_MAX;
	m->area[m->count] = (struct area){ .id = id, .parent = UINT32_MAX, .colour = -1,
					   .child = { UINT32_MAX, UINT32_MAX }, .node = node };
	m->by_id[i] = ++m->count;
	return m->count - 1;
}

static void facet_read(struct atlas *m, const json_t *areas, uint32_t node)
{
	uint32_t below = UINT32_MAX, at;
	const json_t *v;
	size_t i;

	json_array_foreach(areas, i, v) {
		at = area_of(m, hex(json_array_get(v, 0)), node);
		if (at == UINT32_MAX)
			return;
		m->area[at].base = (unsigned)json_integer_value(json_array_get(v, 1));
		m->area[at].top = (unsigned)json_integer_value(json_array_get(v, 2));
		m->area[at].bit = json_integer_value(json_array_get(v, 3)) & 1;
		m->area[at].facets++;
		if (below != UINT32_MAX) {
			m->area[below].parent = at;
			m->area[at].child[m->area[below].bit] = below;
		}
		below = at;
	}
}

static void atlas_read(struct atlas *m, const json_t *map)
{
	const json_t *node, *facet;
	size_t i, k, areas = 0;

	memset(m, 0, sizeof(*m));
	m->nodes = json_object_get(map, "nodes");
	json_array_foreach(m->nodes, i, node)
		json_array_foreach(json_object_get(node, "facets"), k, facet)
			areas += json_array_size(json_object_get(facet, "areas"));
	m->cap = (uint32_t)areas;
	for (m->by_id_size = 16; m->by_id_size < 2 * m->cap;)
		m->by_id_size *= 2;
	m->area = sim_calloc(m->cap, sizeof(*m->area));
	m->by_id = sim_calloc(m->by_id_size, sizeof(*m->by_id));
	json_array_foreach(m->nodes, i, node)
		json_array_foreach(json_object_get(node, "facets"), k, facet)
			facet_read(m, json_object_get(facet, "areas"), (uint32_t)i);
}

static void atlas_free(struct atlas *m)
{
	free(m->area);
	free(m->by_id);
}

/* --- colours ------------------------------------------------------------------ */

static void colours_choose(struct atlas *m)
{
	uint32_t part[COLOURS], n = 0, i, largest;

	for (i = 0; i < m->count && n < COLOURS; i++)
		if (m->area[i].parent == UINT32_MAX)
			part[n++] = i;
	while (n > 0 && n < COLOURS) {
		const struct area *a;

		for (largest = 0, i = 1; i < n; i++)
			if (m->area[part[i]].facets > m->area[part[largest]].facets)
				largest = i;
		a = &m->area[part[largest]];
		if (a->child[0] == UINT32_MAX && a->child[1] == UINT32_MAX)
			break;
		if (a->child[0] == UINT32_MAX || a->child[1] == UINT32_MAX) {
			part[largest] = a->child[a->child[0] == UINT32_MAX];
			continue;
		}
		part[n++] = a->child[1];
		part[largest] = a->child[0];
	}
	for (i = 0; i < n; i++)
		m->area[part[i]].colour = (int)i;
}

/* Of an area: its own colour, or that of one above; grey for what is above all of them */
static const char *colour_of(const struct atlas *m, uint32_t at)
{
	unsigned depth;

	for (depth = 0; at != UINT32_MAX && depth < DEPTH_MAX; depth++, at = m->area[at].parent)
		if (m->area[at].colour >= 0)
			return colours[m->area[at].colour];
	return "#eeeeee";
}

static const char *node_colour(struct atlas *m, const json_t *node)
{
	const json_t *leaf = json_array_get(json_object_get(json_array_get(
		json_object_get(node, "facets"), 0), "areas"), 0);

	return leaf ? colour_of(m, area_of(m, hex(json_array_get(leaf, 0)), 0)) : "#000000";
}

/* Is white better than black on it? */
static bool is_dark(const char *colour)
{
	unsigned r = 255, g = 255, b = 255;

	sscanf(colour, "#%2x%2x%2x", &r, &g, &b);
	return 3 * r + 6 * g + b < 1280;
}

/* --- the tree --------------------------------------------------------------------- */

static void text_out(FILE *f, const char *text)
{
	fputc('"', f);
	for (; text && *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', f);
		fputs(*text == '\n' ? "\\n" : (char[]){ *text, 0 }, f);
	}
	fputc('"', f);
}

/* Return: boxes if areas of up to @most facets are drawn as one */
static uint32_t boxes(const struct atlas *m, uint32_t most)
{
	uint32_t i, n = 0;

	for (i = 0; i < m->count; i++) {
		uint32_t up = m->area[i].parent;

		n += m->area[i].facets <= most && (up == UINT32_MAX || m->area[up].facets > most);
	}
	return n;
}

static void tree_area(FILE *f, const struct atlas *m, uint32_t i, uint32_t most)
{
	const struct area *a = &m->area[i];
	const char *name = json_string_value(json_object_get(json_array_get(m->nodes, a->node),
							     "name"));
	bool last = a->facets <= most;

	fprintf(f, "a%u [shape=%s, fillcolor=\"%s\"%s", i, last ? "box" : "ellipse",
		colour_of(m, i), is_dark(colour_of(m, i)) ? ", fontcolor=white" : "");
	if (a->facets == 1 && last) {
		fputs(", label=", f);
		text_out(f, name);
	} else {
		fprintf(f, ", label=\"%u facets\\nlevel %u\"", a->facets, a->base);
	}
	fputs("];\n", f);
	if (a->parent != UINT32_MAX)
		fprintf(f, "a%u -> a%u [label=\" %u\"];\n", a->parent, i, a->bit);
}

static bool tree_draw(const struct atlas *m, const char *base, const char *title)
{
	char path[1100], out[1200], *text = NULL;
	const char *const argv[] = { "dot", "-Tpng", out, NULL };
	uint32_t most = 1, i;
	size_t len;
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s-tree.png", base);
	snprintf(out, sizeof(out), "-o%s", path);
	while (boxes(m, most) > BOXES)
		most++;
	f = sim_check_(open_memstream(&text, &len));
	fputs("digraph areas {\ngraph [rankdir=LR, ranksep=0.35, nodesep=0.08, dpi=80, "
	      "labelloc=t, fontname=sans, fontsize=18, label=", f);
	text_out(f, title);
	fputs("];\nnode [style=filled, fontname=sans, fontsize=10, height=0.2, "
	      "margin=\"0.06,0.02\"];\n"
	      "edge [arrowhead=none, color=\"#888888\", fontname=sans, fontsize=9];\n", f);
	for (i = 0; i < m->count; i++) {
		uint32_t up = m->area[i].parent;

		if (m->area[i].facets > most || up == UINT32_MAX || m->area[up].facets > most)
			tree_area(f, m, i, most);
	}
	fputs("}\n", f);
	fclose(f);
	ok = plot_pipe(argv, text);
	free(text);
	return ok;
}

/* --- the network --------------------------------------------------------------------- */

static bool leads_root(const json_t *node)
{
	const json_t *facet, *areas;
	size_t k;

	json_array_foreach(json_object_get(node, "facets"), k, facet) {
		areas = json_object_get(facet, "areas");
		if (json_array_size(areas) > 0 &&
		    json_is_true(json_array_get(json_array_get(areas, json_array_size(areas) - 1),
						4)))
			return true;
	}
	return false;
}

static void network_node(FILE *f, struct atlas *m, const json_t *node, size_t i, bool names,
			 double size)
{
	const char *kind = json_string_value(json_object_get(node, "kind"));

	fprintf(f, "n%zu [fillcolor=\"%s\"%s", i, node_colour(m, node),
		is_dark(node_colour(m, node)) ? ", fontcolor=white" : "");
	if (json_is_number(json_object_get(node, "x")))
		fprintf(f, ", pos=\"%.1f,%.1f!\"",
			size * json_number_value(json_object_get(node, "x")),
			size * json_number_value(json_object_get(node, "y")));
	if (kind)
		fputs(", shape=Msquare, color=red, penwidth=2", f);
	else if (leads_root(node))
		fputs(", shape=star, width=0.4, height=0.4, penwidth=2", f);
	if (names) {
		fputs(", label=", f);
		text_out(f, json_string_value(json_object_get(node, "name")));
	}
	fputs("];\n", f);
}

static void network_links(FILE *f, struct atlas *m, const json_t *map)
{
	const json_t *link;
	size_t i;

	json_array_foreach(json_object_get(map, "links"), i, link) {
		size_t a = (size_t)json_integer_value(json_array_get(link, 0));
		size_t b = (size_t)json_integer_value(json_array_get(link, 1));
		const char *ca = node_colour(m, json_array_get(m->nodes, a));
		const char *cb = node_colour(m, json_array_get(m->nodes, b));

		fprintf(f, "n%zu -- n%zu [color=\"%s\"%s];\n", a, b,
			ca == cb ? "#777777" : "#bbbbbb", ca == cb ? "" : ", style=dashed");
	}
}

static bool network_draw(struct atlas *m, const json_t *map, const char *base, const char *title)
{
	size_t n = json_array_size(m->nodes), i, len;
	bool placed = json_is_number(json_object_get(json_array_get(m->nodes, 0), "x"));
	char path[1100], out[1200], *text = NULL;
	const char *const argv[] = { placed ? "neato" : n < SFDP_MIN ? "neato" : "sfdp",
				     placed ? "-n2" : "-Goverlap=prism", "-Tpng", out, NULL };
	bool names = n <= LABELS_MAX, ok;
	const json_t *node;
	double far = 1e-9;
	FILE *f;

	json_array_foreach(m->nodes, i, node) {
		far = fmax(far, json_number_value(json_object_get(node, "x")));
		far = fmax(far, json_number_value(json_object_get(node, "y")));
	}
	snprintf(path, sizeof(path), "%s-network.png", base);
	snprintf(out, sizeof(out), "-o%s", path);
	f = sim_check_(open_memstream(&text, &len));
	fprintf(f, "graph network {\ngraph [outputorder=edgesfirst, splines=line, dpi=72, "
		"size=\"16,16\", labelloc=t, fontname=sans, fontsize=20, label=");
	text_out(f, title);
	fprintf(f, "];\nnode [style=filled, shape=circle, fontname=sans, fontsize=9, "
		"fixedsize=%s, width=%s, height=%s, margin=\"0.02,0.02\", color=\"#444444\", "
		"label=\"\"];\n", names ? "false" : "true", names ? "0.3" : "0.17",
		names ? "0.3" : "0.17");
	json_array_foreach(m->nodes, i, node)
		network_node(f, m, node, i, names, 1000 / far);
	network_links(f, m, map);
	fputs("}\n", f);
	fclose(f);
	ok = plot_pipe(argv, text);
	free(text);
	return ok;
}

bool plot_map(const json_t *map, const char *base)
{
	char name[256], title[400];
	struct atlas m;
	bool ok;

	atlas_read(&m, map);
	colours_choose(&m);
	plot_title(base, name, sizeof(name));
	snprintf(title, sizeof(title), "Area tree at %.1f s: %s\n(a box is an area whose inside is "
		 "not shown; on an edge the bit of the address)",
		 json_number_value(json_object_get(map, "t_s")), name);
	ok = tree_draw(&m, base, title);
	snprintf(title, sizeof(title), "Areas of %s\n(dashed: link between colours; star: leader "
		 "of the root; red square: Byzantine)", name);
	ok = ok && network_draw(&m, map, base, title);
	atlas_free(&m);
	return ok;
}
