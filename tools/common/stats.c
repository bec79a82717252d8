/* SPDX-License-Identifier: ISC */
/* Statistics of round-trip times. */
#include "tools/common/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 256

void stats_fini(struct stats *s)
{
	free(s->kept);
	memset(s, 0, sizeof(*s));
}

static bool grow(struct stats *s)
{
	size_t cap = s->kept_cap ? s->kept_cap * 2 : FIRST_CAP;
	uint64_t *kept = realloc(s->kept, cap * sizeof(*kept));

	if (!kept)
		return false;
	s->kept = kept;
	s->kept_cap = cap;
	return true;
}

bool stats_add(struct stats *s, uint64_t rtt_ns)
{
	double delta = (double)rtt_ns - s->mean_ns;
	uint64_t index = s->count++;

	if (index == 0 || rtt_ns < s->min_ns)
		s->min_ns = rtt_ns;
	if (rtt_ns > s->max_ns)
		s->max_ns = rtt_ns;
	s->mean_ns += delta / (double)s->count;
	s->m2 += delta * ((double)rtt_ns - s->mean_ns);

	/* it doubles until it is STATS_KEPT_MAX, a power of two times FIRST_CAP,
	 * and is a ring from then on */
	if (index == s->kept_cap && s->kept_cap < STATS_KEPT_MAX && !grow(s))
		return false;
	if (!s->kept_cap)
		return false;
	s->kept[index % s->kept_cap] = rtt_ns;
	return true;
}

size_t stats_kept(const struct stats *s)
{
	return s->count < s->kept_cap ? (size_t)s->count : s->kept_cap;
}

uint64_t stats_at(const struct stats *s, size_t i)
{
	size_t first = s->count > s->kept_cap ? (size_t)(s->count % s->kept_cap) : 0;

	return s->kept[(first + i) % s->kept_cap];
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Nearest rank: ceil(percent / 100 * n), counted from 1 */
static uint64_t percentile(const uint64_t *sorted, size_t n, unsigned int percent)
{
	size_t rank = (n * percent + 99) / 100;

	return sorted[rank ? rank - 1 : 0];
}

void stats_summary(const struct stats *s, struct stats_summary *out)
{
	size_t n = stats_kept(s);
	uint64_t *sorted;

	memset(out, 0, sizeof(*out));
	out->count = s->count;
	if (!s->count)
		return;
	out->min_ns = s->min_ns;
	out->max_ns = s->max_ns;
	out->avg_ns = (uint64_t)(s->mean_ns + 0.5);
	out->mdev_ns = (uint64_t)(sqrt(s->m2 / (double)s->count) + 0.5);
	sorted = n ? malloc(n * sizeof(*sorted)) : NULL;
	if (!sorted)
		return;
	memcpy(sorted, s->kept, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_size);
	out->p50_ns = percentile(sorted, n, 50);
	out->p99_ns = percentile(sorted, n, 99);
	free(sorted);
}
