/* SPDX-License-Identifier: ISC */
/* Points in time, and the only arithmetic that is done with them.
 *
 * A point in time is nanoseconds of a monotonic clock, wrapped in a struct so
 * that it cannot be mixed up with a duration, which is a plain uint64_t whose
 * name ends in _ns.  Nobody here reads a clock: "now" is an argument. */
#ifndef PN_TIME_H
#define PN_TIME_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct pn_time - A point in monotonic time
 * @ns:		Nanoseconds since some start; UINT64_MAX is "never"
 */
struct pn_time {
	uint64_t ns;
};

/** PN_TIME_NEVER - Later than every other time: no deadline */
#define PN_TIME_NEVER	((struct pn_time){ UINT64_MAX })

/** PN_TIME_ZERO - Not later than any other time */
#define PN_TIME_ZERO	((struct pn_time){ 0 })

/* Durations in nanoseconds, as uint64_t */
#define PN_US(us_)	((uint64_t)(us_) * 1000U)	/* from microseconds */
#define PN_MS(ms_)	((uint64_t)(ms_) * 1000000U)	/* from milliseconds */
#define PN_S(s_)	((uint64_t)(s_) * 1000000000U)	/* from seconds */

/** pn_time_is_never() - Is this PN_TIME_NEVER?
 * Return: true or false
 */
static inline bool pn_time_is_never(struct pn_time t)
{
	return t.ns == UINT64_MAX;
}

/** pn_time_add() - The time @delta_ns after @t
 * Return: the sum; saturates, so never (and what would overflow) is never
 */
static inline struct pn_time pn_time_add(struct pn_time t, uint64_t delta_ns)
{
	if (delta_ns > UINT64_MAX - t.ns)
		return PN_TIME_NEVER;
	return (struct pn_time){ t.ns + delta_ns };
}

/** pn_time_before() - Is @a strictly before @b?
 * Return: true or false; false if they are equal, also if both are never
 */
static inline bool pn_time_before(struct pn_time a, struct pn_time b)
{
	return a.ns < b.ns;
}

/** pn_time_due() - Has the deadline @at come?
 * Return: true if @at is @now or before; never true for PN_TIME_NEVER
 */
static inline bool pn_time_due(struct pn_time at, struct pn_time now)
{
	return at.ns <= now.ns && at.ns != UINT64_MAX;
}

/** pn_time_min() - The earlier of two times
 * Return: @a or @b
 */
static inline struct pn_time pn_time_min(struct pn_time a, struct pn_time b)
{
	return a.ns < b.ns ? a : b;
}

/** pn_time_since() - Nanoseconds from @then to @now
 * Return: the difference; 0 if @then lies in the future or is never;
 *	   UINT64_MAX if @now is never and @then is not
 */
static inline uint64_t pn_time_since(struct pn_time now, struct pn_time then)
{
	if (then.ns >= now.ns)
		return 0;
	if (now.ns == UINT64_MAX)
		return UINT64_MAX;
	return now.ns - then.ns;
}

/** pn_time_until() - Nanoseconds from @now to the deadline @at
 * Return: the difference; 0 if it is past; UINT64_MAX if it is never
 */
static inline uint64_t pn_time_until(struct pn_time now, struct pn_time at)
{
	if (at.ns == UINT64_MAX)
		return UINT64_MAX;
	return at.ns > now.ns ? at.ns - now.ns : 0;
}

#endif /* PN_TIME_H */
