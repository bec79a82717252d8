/* SPDX-License-Identifier: ISC */
/* stats.h - round-trip times: minimum, average, maximum, percentile, deviation
 *
 * Minimum, maximum, average and deviation are of all samples; the percentile is of
 * the newest STATS_KEPT_MAX, so that a ping that runs for weeks stays small.
 */
#ifndef PN_STATS_H
#define PN_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATS_KEPT_MAX ((size_t)1 << 20)   /* samples; 8 MiB */

/** struct stats - zeroed is empty
 * @count:   samples seen
 * @min_ns, @max_ns: valid if @count
 * @mean_ns: of all; @m2: sum of the squared distances from it (Welford)
 * @kept:    the newest, a ring of @kept_cap
 */
struct stats {
	uint64_t count;
	uint64_t min_ns, max_ns;
	double mean_ns, m2;
	uint64_t *kept;
	size_t kept_cap;
};

/** struct stats_summary - what a summary line says; all zero without samples
 * @mdev_ns: as ping(8) has it: the standard deviation of the population
 * @p99_ns:  the smallest that 99 % of the samples do not exceed (nearest rank)
 */
struct stats_summary {
	uint64_t count;
	uint64_t min_ns, avg_ns, max_ns, p50_ns, p99_ns, mdev_ns;
};

void stats_fini(struct stats *s);

/** stats_add() - Return: false when out of memory (the sample still counts in all
 *  but the percentile) */
bool stats_add(struct stats *s, uint64_t rtt_ns);

/** stats_kept() - how many samples are kept; stats_at() - the i-th, oldest first */
size_t stats_kept(const struct stats *s);
uint64_t stats_at(const struct stats *s, size_t i);

void stats_summary(const struct stats *s, struct stats_summary *out);

#endif
