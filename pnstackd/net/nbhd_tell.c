/* SPDX-License-Identifier: ISC */
/* nbhd_tell.c - the neighbourhood: what we tell our neighbours
 *
 * The list of what is to be told is gathered from the tables and compared with the log of
 * what was told; the differences are appended to the log.  See the theory of operation in
 * nbhd.c. */
#include "pnstackd/net/nbhd_int.h"

#define OWN_FACETS_MAX NET_ADDRS_MAX /* other facets of one neighbour that are told on */
#define ENTRY_ROOM 48            /* bytes that an entry worth sending may take */

/* Our own list ----------------------------------------------------------------- */

static void want_add(struct nbhd *n, uint32_t *count, uint64_t rel, bool neighbour)
{
	if (*count < n->want_max)
		n->want[(*count)++] = (struct news){ .rel = rel, .neighbour = neighbour };
}

static int news_compare(const void *pa, const void *pb)
{
	const struct news *a = pa, *b = pb;

	if (a->rel != b->rel)
		return a->rel < b->rel ? -1 : 1;
	return (int)a->neighbour - (int)b->neighbour;
}

/* The other facets of our neighbours, as they told. */
static void want_facets(const struct net *net, struct nbhd *n, uint32_t *count, uint64_t first)
{
	uint64_t addr;
	uint32_t i;

	for (i = 0; i < n->told_max; i++)
		n->told[i].facets = 0;
	for (i = 0; i < n->sorted && *count < n->want_max; i++) {
		const struct place *e = &n->index[i];

		if (e->place == PLACE_FACET && neighbour_addr(net, e->adj, &addr) &&
		    n->told[e->adj].facets++ < OWN_FACETS_MAX)
			want_add(n, count, place_addr(e) ^ first, true);
	}
}

/* Our list as it should be, sorted, no address twice.  Return: entries */
static uint32_t want_gather(const struct net *net, struct nbhd *n)
{
	const struct ctl *c = net->ctl;
	uint64_t first = c->facets[0].addr, root = c->facets[0].root, addr;
	uint32_t count = 0, kept = 0, i;

	for (i = 0; c->facet_count > 1 && i < c->facet_count; i++)
		if (c->facets[i].live && c->facets[i].root == root)
			want_add(n, &count, c->facets[i].addr ^ first, false);
	for (i = 0; i < c->nb_high; i++) {
		const struct adj_pub *p = adj_peek(net, i);

		if (p && p->kind != ADJ_INTERNAL && neighbour_addr(net, i, &addr) &&
		    facet_root(net, p->facet) == root)
			want_add(n, &count, addr ^ first, true);
	}
	want_facets(net, n, &count, first);
	nbhd_sort(n->want, count, sizeof(*n->want), news_compare);
	for (i = 0; i < count; i++)
		if (!kept || n->want[i].rel != n->want[kept - 1].rel)
			n->want[kept++] = n->want[i];
	return kept;
}

static struct news *want_find(struct nbhd *n, uint32_t count, uint64_t rel)
{
	uint32_t low = 0, high = count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (n->want[mid].rel < rel)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && n->want[low].rel == rel ? &n->want[low] : NULL;
}

/* All that is still true, then all that is new: everybody hears it from the start. */
static void log_restart(struct nbhd *n)
{
	uint32_t i, kept = 0;

	for (i = 0; i < n->log_count; i++)
		if (!n->log[i].stale && !n->log[i].gone)
			n->log[kept++] = n->log[i];
	n->log_count = kept;
	for (i = 0; i < n->told_max; i++) {
		n->told[i].reset = n->told[i].any;
		n->told[i].version = 0;
	}
}

/* Make room for @more: drop what nobody needs any more. */
static void log_compact(const struct net *net, struct nbhd *n, uint32_t more)
{
	uint32_t i, kept = 0, heard = n->version;

	for (i = 0; i < net->ctl->nb_high; i++)
		if (n->told[i].any && !n->told[i].reset && n->told[i].version < heard)
			heard = n->told[i].version;
	for (i = 0; i < n->log_count; i++)
		if (!n->log[i].stale && (!n->log[i].gone || n->log[i].version > heard))
			n->log[kept++] = n->log[i];
	n->log_count = kept;
	if (n->log_count + more > n->log_max)
		log_restart(n);
}

static void log_add(struct nbhd *n, struct news e)
{
	PN_ASSERT(n->log_count < n->log_max);
	e.version = ++n->version;
	n->log[n->log_count++] = e;
}

bool nbhd_log_update(const struct net *net, struct nbhd *n)
{
	uint32_t count = want_gather(net, n), before = n->version, changes = 0, end, i;

	for (i = 0; i < n->log_count; i++) {
		struct news *e = &n->log[i], *w = e->stale || e->gone
				? NULL : want_find(n, count, e->rel);

		e->seen = w && w->neighbour == e->neighbour;
		if (w && e->seen)
			w->seen = true;
		changes += !e->stale && !e->gone && !e->seen;
	}
	for (i = 0; i < count; i++)
		changes += !n->want[i].seen;
	if (changes == 0)
		return false;
	if (n->log_count + changes > n->log_max)
		log_compact(net, n, changes);
	for (end = n->log_count, i = 0; i < end; i++) {
		struct news *e = &n->log[i], gone = *e;

		if (e->stale || e->gone || e->seen)
			continue;
		e->stale = true;
		gone.gone = true;
		log_add(n, gone);
	}
	for (i = 0; i < count; i++)
		if (!n->want[i].seen)
			log_add(n, n->want[i]);
	return n->version != before;
}

/* To a neighbour --------------------------------------------------------------- */

static void rel_write(struct pn_wr *w, unsigned flags, uint64_t rel)
{
	unsigned len = 0;

	while (len < REL_MAX && rel >> (8 * len))
		len++;
	pn_wr_u8(w, flags | len);
	while (len-- > 0)
		pn_wr_u8(w, rel >> (8 * len) & 0xff);
}

/* The first entry of the log behind @version */
static uint32_t log_after(const struct nbhd *n, uint32_t version)
{
	uint32_t low = 0, high = n->log_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (n->log[mid].version <= version)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool nbhd_build(struct net *net, uint32_t adj, struct pn_wr *w)
{
	struct nbhd *n = nbhd_of(net);
	const struct adj_pub *p = adj_peek(net, adj);
	const struct facet *first = facet_at(net, 0), *f;
	struct told *t = &n->told[adj];
	uint64_t base;
	uint32_t i;
	size_t length;
	bool first_time = !t->any;

	if (!p || p->kind == ADJ_INTERNAL || !net->ctl->nbs[adj].in_network)
		return true;
	f = facet_at(net, p->facet);
	base = first->addr ^ f->addr;
	if (f->root != first->root || (t->version == n->version && t->base_sent == base))
		return true;
	if (w->cap - w->len < ENTRY_ROOM)
		return false;
	pn_wr_u8(w, ENTRY_NBHD);
	length = pn_wr_open16(w);
	pn_wr_u8(w, t->reset ? TOLD_RESET : 0);
	rel_write(w, 0, base);
	for (i = log_after(n, t->version); i < n->log_count; i++) {
		const struct news *e = &n->log[i];

		if (w->cap - w->len < 1 + REL_MAX)
			break;
		t->version = e->version;
		/* who begins to listen need not hear what went */
		if (!e->stale && !(e->gone && first_time))
			rel_write(w, (e->neighbour ? TOLD_NEIGHBOUR : 0) |
				     (e->gone ? TOLD_GONE : 0), e->rel);
	}
	pn_wr_close16(w, length);
	t->base_sent = base;
	t->reset = false;
	t->any = true;
	if (i < n->log_count)
		return false;
	t->version = n->version;
	return true;
}
