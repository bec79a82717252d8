/* SPDX-License-Identifier: ISC */
/* The contracts of address allocation, checked with global knowledge.
 *
 * Theory of operation
 *
 * Everything is per component of the physical graph: what is not connected
 * cannot be one network.  Facets are sorted once by (component, address); then
 * equal neighbours in that order are double addresses, and whether a block is
 * empty is one binary search.  Areas are found by sorting all (component, area,
 * facet) and walking each group: a search over adjacencies that stay inside the
 * group must reach all of it.  The cost is O(n log n) times the height.
 *
 * A sibling exists if some live facet of the component has an address in its
 * block.  That is the truth to compare tables with, whatever records say.
 */
#include "tests/sim/check.h"
#include "tests/sim/util.h"

#include <stdarg.h>

const char *const check_names[CHECK_COUNT] = {
	[CHECK_ONE_NETWORK] = "one_network",
	[CHECK_ADDRESSES_DISTINCT] = "addresses_distinct",
	[CHECK_CHAINS] = "chains",
	[CHECK_AREAS_CONNECTED] = "areas_connected",
	[CHECK_SIBLINGS_KNOWN] = "siblings_known",
	[CHECK_HEIGHT_BOUNDED] = "height_bounded",
	[CHECK_REACHABLE] = "reachable",
	[CHECK_DELIVERY_IDENTITY] = "delivery_identity",
	[CHECK_TERMINATION] = "termination",
	[CHECK_NO_UNBOUNDED] = "no_unbounded",
};

void violation(struct violations *v, enum check check, const char *fmt, ...)
{
	va_list ap;

	if (v->bad[check])
		return;
	v->bad[check] = true;
	va_start(ap, fmt);
	vsnprintf(v->text[check], sizeof(v->text[check]), fmt, ap);
	va_end(ap);
}

bool violations_any(const struct violations *v)
{
	unsigned i;

	for (i = 0; i < CHECK_COUNT; i++)
		if (v->bad[i])
			return true;
	return false;
}

unsigned check_height_limit(uint32_t n)
{
	/* floor(2 log2 n) = floor(log2 n^2): exact, without floating point */
	uint64_t square = (uint64_t)n * n;
	unsigned log = 0;

	while (square >>= 1)
		log++;
	return log + 4;
}

/* A facet's name in texts: node/facet */
struct label {
	char text[64];
};

static struct label label(const struct snapshot *s, const struct snap_facet *f)
{
	struct label l;

	if (s->names)
		snprintf(l.text, sizeof(l.text), "%.40s/%u", s->names[f->node], f->facet);
	else
		snprintf(l.text, sizeof(l.text), "#%u/%u", f->node, f->facet);
	return l;
}

static const struct snap_area *root_of(const struct snapshot *s, const struct snap_facet *f)
{
	return f->area_count ? &s->areas[f->area_first + f->area_count - 1] : NULL;
}

/* --- by address ---------------------------------------------------------- */

struct place {
	uint32_t component, index;
	uint64_t addr;
};

static int place_compare(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;

	if (a->component != b->component)
		return a->component < b->component ? -1 : 1;
	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->index == b->index ? 0 : a->index < b->index ? -1 : 1;
}

static struct place *places_make(const struct snapshot *s)
{
	struct place *p = sim_calloc(s->facet_count, sizeof(*p));
	uint32_t i;

	for (i = 0; i < s->facet_count; i++)
		p[i] = (struct place){ s->facets[i].component, i, s->facets[i].addr };
	qsort(p, s->facet_count, sizeof(*p), place_compare);
	return p;
}

/* Somebody in the block of 2^level addresses around @addr; NULL if it is empty */
static const struct place *block_member(const struct place *p, uint32_t n, uint32_t component,
					uint64_t addr, unsigned level)
{
	uint64_t first = addr >> level << level;
	struct place key = { component, 0, first };
	uint32_t low = 0, high = n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (place_compare(&p[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == n || p[low].component != component || p[low].addr >> level != first >> level)
		return NULL;
	return &p[low];
}

static void check_distinct(const struct snapshot *s, const struct place *p, struct violations *v)
{
	uint32_t i;

	for (i = 1; i < s->facet_count; i++)
		if (p[i].component == p[i - 1].component && p[i].addr == p[i - 1].addr)
			violation(v, CHECK_ADDRESSES_DISTINCT, "%s and %s both have address %#llx",
				  label(s, &s->facets[p[i - 1].index]).text,
				  label(s, &s->facets[p[i].index]).text,
				  (unsigned long long)p[i].addr);
}

static void check_siblings(const struct snapshot *s, const struct place *p, struct violations *v)
{
	uint32_t i;
	unsigned k;

	for (i = 0; i < s->facet_count; i++) {
		const struct snap_facet *f = &s->facets[i];
		const struct snap_area *root = root_of(s, f);
		unsigned height = root ? root->base : 0;

		for (k = 0; k < height && k < 64; k++) {
			const struct place *other;

			if (f->known >> k & 1)
				continue;
			other = block_member(p, s->facet_count, f->component,
					     f->addr ^ (uint64_t)1 << k, k);
			if (other)
				violation(v, CHECK_SIBLINGS_KNOWN,
					  "%s at %#llx has no route to its sibling at level %u, "
					  "where %s is at %#llx", label(s, f).text,
					  (unsigned long long)f->addr, k,
					  label(s, &s->facets[other->index]).text,
					  (unsigned long long)other->addr);
		}
	}
}

/* --- chains, networks, height -------------------------------------------- */

static void check_chain(const struct snapshot *s, const struct snap_facet *f, struct violations *v)
{
	const struct snap_area *a = &s->areas[f->area_first];
	uint64_t addr = 0;
	uint32_t i;

	if (f->area_count == 0 || a[0].base != 0) {
		violation(v, CHECK_CHAINS, "%s has no leaf area of level 0", label(s, f).text);
		return;
	}
	for (i = 0; i < f->area_count; i++) {
		bool last = i + 1 == f->area_count;

		if (last != (a[i].top == SNAP_TOP_NONE)) {
			violation(v, CHECK_CHAINS, "%s: area %llx (%u of %u) has top %u",
				  label(s, f).text, (unsigned long long)a[i].id, i + 1,
				  f->area_count, a[i].top);
			return;
		}
		if (last)
			break;
		if (a[i].top < a[i].base || a[i + 1].base != a[i].top + 1 || a[i].top > 63) {
			violation(v, CHECK_CHAINS,
				  "%s: area %llx from level %u to %u hangs in %llx of level %u",
				  label(s, f).text, (unsigned long long)a[i].id,
				  a[i].base, a[i].top,
				  (unsigned long long)a[i + 1].id, a[i + 1].base);
			return;
		}
		addr |= (uint64_t)(a[i].bit & 1) << a[i].top;
	}
	if (addr != f->addr)
		violation(v, CHECK_CHAINS, "%s has address %#llx but its areas say %#llx",
			  label(s, f).text, (unsigned long long)f->addr, (unsigned long long)addr);
}

static void check_networks(const struct snapshot *s, struct violations *v)
{
	const struct snap_facet **first = sim_calloc(s->component_count, sizeof(*first));
	uint32_t *size = sim_calloc(s->component_count, sizeof(*size)), i;
	unsigned limit;

	for (i = 0; i < s->facet_count; i++)
		size[s->facets[i].component]++;
	for (i = 0; i < s->facet_count; i++) {
		const struct snap_facet *f = &s->facets[i], **one = &first[f->component];
		const struct snap_area *root = root_of(s, f);

		check_chain(s, f, v);
		if (!root)
			continue;
		if (!*one)
			*one = f;
		if (root_of(s, *one)->id != root->id)
			violation(v, CHECK_ONE_NETWORK,
				  "%s is in network %llx, %s in %llx: one component of %u facets",
				  label(s, *one).text, (unsigned long long)root_of(s, *one)->id,
				  label(s, f).text, (unsigned long long)root->id,
				  size[f->component]);
		limit = check_height_limit(size[f->component]);
		if (root->base > limit)
			violation(v, CHECK_HEIGHT_BOUNDED,
				  "network %llx has height %u; %u facets allow %u",
				  (unsigned long long)root->id, root->base, size[f->component],
				  limit);
	}
	free(first);
	free(size);
}

/* --- areas --------------------------------------------------------------- */

struct member {
	uint32_t component, index;
	uint64_t area;
	uint8_t base;
};

static int member_compare(const void *pa, const void *pb)
{
	const struct member *a = pa, *b = pb;

	if (a->component != b->component)
		return a->component < b->component ? -1 : 1;
	if (a->area != b->area)
		return a->area < b->area ? -1 : 1;
	return a->index == b->index ? 0 : a->index < b->index ? -1 : 1;
}

/* What a search needs: which group each facet is in, who has been seen. */
struct search {
	const struct snapshot *s;
	uint32_t *group;	/* of a facet: number of the group searched last */
	uint32_t *stack;
	uint32_t depth;
	uint32_t now;		/* number of this group; now + 1: seen */
};

static void search_visit(struct search *q, uint32_t index)
{
	if (q->group[index] != q->now)
		return;
	q->group[index] = q->now + 1;
	q->stack[q->depth++] = index;
}

/* Visit all that @start reaches inside the group; Return: how many */
static uint32_t search_run(struct search *q, uint32_t start)
{
	const struct snapshot *s = q->s;
	uint32_t seen = 0, i;

	q->depth = 0;
	search_visit(q, start);
	while (q->depth > 0) {
		uint32_t at = q->stack[--q->depth];
		const struct snap_facet *f = &s->facets[at];

		seen++;
		for (i = 0; i < f->adj_count; i++)
			search_visit(q, s->adjs[f->adj_first + i]);
		for (i = at; i-- > 0 && s->facets[i].node == f->node;)
			search_visit(q, i);
		for (i = at + 1; i < s->facet_count && s->facets[i].node == f->node; i++)
			search_visit(q, i);
	}
	return seen;
}

static void check_group(struct search *q, const struct member *m, uint32_t n, struct violations *v)
{
	const struct snapshot *s = q->s;
	uint32_t i, seen;

	q->now += 2;
	for (i = 0; i < n; i++) {
		uint64_t a = s->facets[m[0].index].addr, b = s->facets[m[i].index].addr;

		q->group[m[i].index] = q->now;
		if (m[i].base != m[0].base || (m[0].base < 64 && a >> m[0].base != b >> m[0].base))
			violation(v, CHECK_AREAS_CONNECTED,
				  "area %llx is at %#llx (level %u, %s) and at %#llx (level %u, %s)",
				  (unsigned long long)m[0].area,
				  (unsigned long long)a, m[0].base,
				  label(s, &s->facets[m[0].index]).text,
				  (unsigned long long)b, m[i].base,
				  label(s, &s->facets[m[i].index]).text);
	}
	seen = search_run(q, m[0].index);
	if (seen == n)
		return;
	for (i = 0; i + 1 < n && q->group[m[i].index] != q->now; i++)
		;
	violation(v, CHECK_AREAS_CONNECTED,
		  "area %llx of level %u is not connected: from %s %u of its %u facets are reached, "
		  "not %s",
		  (unsigned long long)m[0].area, m[0].base,
		  label(s, &s->facets[m[0].index]).text, seen, n,
		  label(s, &s->facets[m[i].index]).text);
}

static void check_areas(const struct snapshot *s, struct violations *v)
{
	struct member *m = sim_calloc(s->area_count, sizeof(*m));
	struct search q = { .s = s };
	uint32_t i, j, n = 0;

	q.group = sim_calloc(s->facet_count, sizeof(*q.group));
	q.stack = sim_calloc(s->facet_count, sizeof(*q.stack));
	for (i = 0; i < s->facet_count; i++) {
		const struct snap_facet *f = &s->facets[i];

		for (j = 0; j < f->area_count; j++) {
			const struct snap_area *a = &s->areas[f->area_first + j];

			m[n++] = (struct member){ f->component, i, a->id, a->base };
		}
	}
	qsort(m, n, sizeof(*m), member_compare);
	for (i = 0; i < n; i = j) {
		for (j = i + 1; j < n && m[j].component == m[i].component &&
				m[j].area == m[i].area;)
			j++;
		check_group(&q, &m[i], j - i, v);
	}
	free(m);
	free(q.group);
	free(q.stack);
}

bool check_snapshot(const struct snapshot *s, struct violations *v)
{
	struct place *p = places_make(s);

	memset(v, 0, sizeof(*v));
	check_networks(s, v);
	check_distinct(s, p, v);
	check_areas(s, v);
	check_siblings(s, p, v);
	free(p);
	return !violations_any(v);
}
