/* SPDX-License-Identifier: ISC */
/* series.h - a run over time, as comma-separated values
 *
 * One row for each check of the contracts.  Rates and events are those since the
 * row before.  One series at a time; while none is open nothing is done.
 */
#ifndef SIM_SERIES_H
#define SIM_SERIES_H

#include "tests/sim/check.h"
#include "tests/sim/traffic.h"
#include "tests/sim/medium.h"

/** series_create() - all rows of the run to come go to @file
 *  Return: false, errno set, if it cannot be written */
bool series_create(const char *file);

/** series_start() - the run begins; nothing is done if there is no file
 *  @traffic: whose pings and probes are told
 *  Both are borrowed until series_stop() */
void series_start(const struct sim *sim, const struct traffic *traffic);
void series_stop(void);

/** series_wanted() - Return: true if there is a file */
bool series_wanted(void);

/** series_row() - one row
 *  @s: a picture of now   @v: what it violates
 *  @answered: share of questions answered to honest pairs; negative: not measured */
void series_row(const struct snapshot *s, const struct violations *v, const char *phase,
		double answered);

/** series_close() - Return: false, errno set, if not all of it could be written */
bool series_close(void);

#endif
