/* SPDX-License-Identifier: ISC */
/* report.h - the result of a run for programs and for people, */
#ifndef SIM_REPORT_H
#define SIM_REPORT_H

#include "tests/sim/run.h"

#include <stdio.h>

/** report_json() - one JSON object
 *  @f:      goes there
 *  @repeat: command that repeats the run
 *  Return: 0, or -1 if @f failed */
int report_json(FILE *f, const struct topology *topo, const char *spec, const struct run_config *cfg,
		const struct run_result *res, const char *repeat);

/** report_text() - a table, on stdout */
int report_text(const struct topology *topo, const char *spec, const struct run_config *cfg,
		const struct run_result *res, const char *repeat);

#endif
