/* SPDX-License-Identifier: ISC */
/* parse.h - numbers with units, for the command line and for scenario files */
#ifndef SIM_PARSE_H
#define SIM_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* All: false, and *@out untouched, if @text is anything else. */

/** parse_real() - a number from 0 to @max */
bool parse_real(const char *text, double max, double *out);

/** parse_count() - a whole number from 0 to @max */
bool parse_count(const char *text, uint64_t max, uint64_t *out);

/** parse_share() - "0.05" or "5%", 0 to 1 */
bool parse_share(const char *text, double *out);

/** parse_seconds() - "20s", "50ms", "2min"; without a unit, seconds */
bool parse_seconds(const char *text, double *out);

/** parse_ns() - the same in nanoseconds; without a unit, @unit_ns each */
bool parse_ns(const char *text, double unit_ns, uint64_t *out);

/** parse_rate() - bits per second: "64k", "10M", "1G", "9600" */
bool parse_rate(const char *text, uint64_t *out);

/** parse_bytes() - "64k", "1M", "1500" */
bool parse_bytes(const char *text, uint32_t *out);

#endif
